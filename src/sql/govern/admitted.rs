//! Whether the purpose in force may be used for what was decided: the same for a session, for `explain` and for the policies'
//! own tests.

use jiff::civil::Date;

use super::effect::Effect;
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
    match effect {
        Effect::SetPurpose { purpose: Some(set), .. } => may_use(policies, role, set, today),
        // Their effects need no other permission than the decision.
        Effect::SetPurpose { purpose: None, .. }
        | Effect::None
        | Effect::Begin
        | Effect::Commit { .. }
        | Effect::Rollback { .. }
        | Effect::Savepoint(_)
        | Effect::Release(_)
        | Effect::RollbackTo(_)
        | Effect::SetSearchPath { .. }
        | Effect::ResetAll
        | Effect::DiscardAll
        | Effect::Prepare(_)
        | Effect::Execute(_)
        | Effect::Deallocate(_)
        | Effect::Declare { .. }
        | Effect::Fetch { .. }
        | Effect::CloseCursor(_)
        | Effect::CopyIn
        | Effect::CopyOut
        | Effect::Define => Ok(()),
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
