//! Whether the purpose in force may be used for what was decided: the same for a session, for `explain` and for the policies'
//! own tests.

use jiff::civil::Date;

use super::effect::{Effect, Named};
use crate::error::{Refusal, SqlState, Stage};
use crate::policy::{PolicySet, Reason, Role};

/// Asked after the decision: a statement that leads out of a purpose or a transaction needs none, and SET names the purpose
/// that must be one of the role's.
///
/// # Errors
/// 42501: the purpose is not the role's, it or an ancestor is past its expiry, or the operator's contract is.
pub fn admitted(effect: &Effect, policies: &PolicySet, role: &Role, purpose: &str, today: Date) -> Result<(), Refusal> {
    if !effect.leaves_purpose() {
        may_use(policies, role, purpose, today)?;
    }
    match effect.named() {
        Named::Purpose(set) => may_use(policies, role, set, today),
        Named::Nothing | Named::New(_) | Named::Statement(_) | Named::Cursor(_) => Ok(()),
    }
}

/// Whether the role may use the purpose that day. An unrestricted role without purposes needs none.
///
/// # Errors
/// 42501, with the policy's reason.
pub fn may_use(policies: &PolicySet, role: &Role, purpose: &str, today: Date) -> Result<(), Refusal> {
    let checked = if role.unrestricted.is_some() && role.purposes.is_empty() {
        policies.check_role(role, today)
    } else {
        policies.check_purpose(role, purpose, today)
    };
    checked.map_err(|reason| refusal_of(reason, SqlState::INSUFFICIENT_PRIVILEGE))
}

/// A reason of the policy as a refusal.
pub fn refusal_of(reason: Reason, sqlstate: SqlState) -> Refusal {
    let mut refusal = Refusal::new(Stage::Decide, sqlstate, reason.message);
    refusal.detail = reason.detail.or_else(|| reason.rule.map(|rule| format!("rule `{rule}`")));
    refusal.hint = reason.hint;
    refusal
}
