//! What SHOW tells of the proxy's own settings.

use super::effect::Effect;
use super::enforce::plain;
use super::enforced::Plan;
use crate::catalog::{quote_ident, quote_literal};
use crate::error::{Refusal, SqlState, Stage};
use crate::sql::form::context::Context;
use crate::sql::reviewed::settings::OWN;

/// `SHOW pgpurpose.purpose`, `.role`, `.policy`: answered by a constant, whatever the database holds under that name.
pub(in crate::sql) fn show(name: &str, context: &Context<'_>) -> Result<Plan, Refusal> {
    let value = match name.strip_prefix(OWN) {
        Some("purpose") => context.purpose.to_owned(),
        Some("role") => context.policies.role_of(context.login).map(|role| role.name.clone()).unwrap_or_default(),
        Some("policy") => context.policies.hash().to_owned(),
        _ => {
            return Err(Refusal::new(
                Stage::Resolve,
                SqlState::UNDEFINED_OBJECT,
                format!("unrecognized configuration parameter `{name}`"),
            )
            .hint("there are `pgpurpose.purpose`, `pgpurpose.role` and `pgpurpose.policy`"));
        }
    };
    let text = format!("SELECT {}::pg_catalog.text AS {}", quote_literal(&value), quote_ident(name));
    Ok(plain(text, Effect::None))
}
