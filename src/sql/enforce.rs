//! The one path from text to what may run.

use super::{Context, Effect, Enforced, Guard, Refused};
use crate::error::{Refusal, Stage};
use crate::policy::{AccessReport, Role};

/// Decides one statement and gives the text that may run instead of it.
///
/// Pure: no I/O, no clock. Call it on a thread with a large stack (64 MB): both parsers recurse.
///
/// # Errors
/// [`Refused`] with the refusal for the client and the report for the log.
pub fn enforce(_text: &str, _context: &Context<'_>) -> Result<Enforced, Box<Refused>> {
    let refusal = Refusal::unsupported(Stage::Resolve, "statements are not decided yet");
    Err(Box::new(Refused { report: AccessReport::deny(refusal.message.clone()), refusal }))
}

/// A statement of an unrestricted role: forwarded as it is, and logged.
///
/// # Errors
/// Refused where the role is not unrestricted.
pub fn relay_unrestricted(text: &str, role: &Role) -> Result<Enforced, Box<Refused>> {
    if role.unrestricted.is_none() {
        let refusal = Refusal::internal(Stage::Decide);
        return Err(Box::new(Refused { report: AccessReport::deny(refusal.message.clone()), refusal }));
    }
    Ok(Enforced {
        text: text.to_owned(),
        report: AccessReport::allow(),
        guard: Guard { unrestricted: true, ..Guard::default() },
        effect: Effect::None,
    })
}
