//! The access log: what was asked, by whom, why and with which outcome, on disk before the statement runs.
//!
//! Lines of JSON in `DIR/access-*.jsonl`, one record a line, each chained to the one before it; see [`chain`] for the
//! exact bytes. [`AuditLog::append_access`] is the only way to an [`Audited`], which is what may be forwarded.
//! Closed files are compressed and carry an index for [`search`](search()); signed [`checkpoint`]s let [`verify_with`] prove
//! with a public key alone that nothing was changed.
//!
//! The rooms from the top down; each imports only from those below it:
//!
//! | room | what is in it |
//! | --- | --- |
//! | `report` | what the log tells, counted |
//! | `export` | records in the forms of other programs |
//! | `verify` | the proof that nothing was changed |
//! | `write` | the handle that sessions hold, the thread that writes, the one that looks after closed files, other places |
//! | `read` | reading back: all, the end, what is added, what somebody looks for, who was seen |
//! | `store` | files, their compressed form and their index |
//! | `record` | what a record holds, to the byte: fields, chain, checkpoints |

pub mod columns;
pub mod export;
pub mod read;
mod record;
pub mod report;
mod store;
mod verify;
mod write;

pub use read::{
    Effort, Filter, Gathering, Search, SeenColumn, SeenFor, Sightings, Wanted, read_all, search, search_with,
};
pub use record::{
    Access, AccessRecord, Asked, AuditError, ClockFields, DisclosureRecord, Event, EventRecord, GroupedRecord,
    LookedUp, LookupRecord, Outcome, OutcomeStatus, PreparedAccess, PreparedSession, Seen, SessionFacts, SubjectKey,
    WHOLE_STATEMENT, chain, checkpoint,
};
pub(crate) use store::beside::replace;
pub use store::{Advance, Group, Reindexed, Tally, Times, Whom, reindex};
pub use verify::{
    Break, Ended, MOST_BREAKS, Proving, Sent, Trust, Verification, Wrong, verify, verify_signed_from, verify_with,
};
pub use write::{
    AuditLog, Audited, Doubt, LastCheckpoint, LogOptions, LogStatus, Logged, RequestStep, Sync, clock_doubt,
    confirm_clock, hand_in, ship,
};

/// Whether a process writes the log of this folder now.
pub fn is_written(directory: &std::path::Path) -> bool {
    store::files::in_use(directory)
}

#[cfg(test)]
mod tests;
