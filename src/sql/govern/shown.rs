//! What SHOW tells of the proxy's own settings.

use super::effect::Effect;
use super::enforced::{Plan, Tree};
use crate::error::{Refusal, SqlState, Stage};
use crate::sql::form::context::Context;
use crate::sql::reviewed::settings::OWN;

/// `SHOW pgpurpose.purpose`, `.actor`, `.ticket`, `.role`, `.policy`: answered by a constant, whatever the database holds under that name.
pub(in crate::sql) fn show(name: &str, context: &Context<'_>) -> Result<Plan, Refusal> {
    let value = match name.strip_prefix(OWN) {
        Some("purpose") => context.purpose.to_owned(),
        Some("actor") => context.actor.unwrap_or_default().to_owned(),
        Some("ticket") => context.ticket.unwrap_or_default().to_owned(),
        Some("role") => context.policies.role_of(context.login).map(|role| role.name.clone()).unwrap_or_default(),
        Some("policy") => context.policies.hash().to_owned(),
        _ => {
            return Err(Refusal::new(
                Stage::Resolve,
                SqlState::UNDEFINED_OBJECT,
                format!("unrecognized configuration parameter `{name}`"),
            )
            .hint("there are `pgpurpose.purpose`, `.actor`, `.ticket`, `.role` and `.policy`"));
        }
    };
    let of_whom = matches!(name.strip_prefix(OWN), Some("actor" | "ticket"));
    Ok(Plan::plain(Tree::Value(name, &value), Effect::None).with(|about| about.of_whom = of_whom))
}
