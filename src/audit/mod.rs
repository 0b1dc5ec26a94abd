//! The access log: what was asked, by whom, why and with which outcome, on disk before the statement runs.
//!
//! Lines of JSON in `DIR/access-*.jsonl`, one record a line, each chained to the one before it; see [`chain`] for the
//! exact bytes. [`AuditLog::append_access`] is the only way to an [`Audited`], which is what may be forwarded.
//! Closed files are compressed and carry an index for [`search`](search()); signed [`checkpoint`]s let [`verify_with`] prove
//! with a public key alone that nothing was changed.

mod advance;
mod audited;
mod breaks;
pub mod chain;
pub mod checkpoint;
mod disclosure;
mod entry;
mod error;
mod files;
mod index;
mod indexed;
mod json;
mod keeper;
mod log;
mod lookup;
mod opened;
mod options;
mod pack;
pub mod read;
mod record;
mod reindex;
pub mod report;
mod search;
pub mod ship;
mod sieve;
mod sightings;
mod status;
mod tally;
mod verify;
mod walk;
mod writer;

pub use advance::Advance;
pub use audited::Audited;
pub use breaks::{Break, MOST_BREAKS, Wrong};
pub use disclosure::{DisclosureRecord, Seen, SubjectKey};
pub use error::AuditError;
pub use log::AuditLog;
pub use lookup::{LookedUp, LookupRecord};
pub use options::{LogOptions, Sync};
pub use record::{Access, AccessRecord, Event, EventRecord, Outcome, OutcomeStatus, SessionFacts};
pub use reindex::{Reindexed, reindex};
pub use search::{Filter, Search, search, search_with};
pub use sightings::{SeenColumn, SeenFor, Sightings, Wanted};
pub use status::{LastCheckpoint, LogStatus};
pub use tally::{Group, Tally, Times, Whom};
pub use verify::{Ended, Sent, Trust, Verification, verify, verify_with};
pub use walk::{Effort, read_all};

#[cfg(test)]
mod tests;
