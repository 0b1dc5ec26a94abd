//! What is read later than it was opened, cursors and portals: rows that rest on consent only where each has the key of whoever
//! agreed, who is asked for again before it goes out; else a consent that was withdrawn since would still be used.
//! Which rows those are: `rewrite/recheck.rs`.

use super::effect::Effect;
use super::enforced::Refused;
use super::enforced::refused;
use crate::error::{Refusal, SqlState, Stage};

/// Refuses a cursor over such rows without keys: its snapshot is that of DECLARE, however late it is read.
pub(in crate::sql) fn check_cursor(rests_on_consent: bool, effect: &Effect) -> Result<(), Box<Refused>> {
    match effect {
        Effect::Declare { .. } if rests_on_consent => Err(refused(
            Refusal::new(
                Stage::Decide,
                SqlState::INSUFFICIENT_PRIVILEGE,
                "no cursor may be declared over rows that rest on consent",
            )
            .detail("a consent that is withdrawn while it is open would still be used")
            .hint("read the rows without a cursor, in pages if need be: `WHERE id > $1 ORDER BY id LIMIT 1000`"),
        )),
        _ => Ok(()),
    }
}

/// The refusal of a cursor or portal over such rows that was opened longer ago than the policy lets it be.
pub fn too_old_refusal(name: &str, seconds: u64) -> Refusal {
    Refusal::new(
        Stage::Session,
        SqlState::INSUFFICIENT_PRIVILEGE,
        format!("cursor `{name}` is over rows that rest on consent, and was opened more than {seconds} seconds ago"),
    )
    .detail("its rows are as they were then")
    .hint("open it again; the policy may give it longer: `[consent] cursor_seconds`")
}

/// The refusal of a portal over such rows that is read later than it was opened.
pub fn portal_refusal(name: &str) -> Refusal {
    Refusal::new(
        Stage::Session,
        SqlState::INSUFFICIENT_PRIVILEGE,
        format!("cursor `{name}` is over rows that rest on consent, and was opened earlier"),
    )
    .detail("a consent that was withdrawn since would still be used")
    .hint("read all rows at once (a fetch size of 0), in pages if need be: `WHERE id > $1 ORDER BY id LIMIT 1000`")
}
