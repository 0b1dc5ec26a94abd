//! The access log: what was asked, by whom, why and with which outcome, on disk before the statement runs.
//!
//! Lines of JSON in `DIR/access-*.jsonl`, one record a line, each chained to the one before it; see [`chain`] for the
//! exact bytes. [`AuditLog::append_access`] is the only way to an [`Audited`], which is what may be forwarded.

mod audited;
pub mod chain;
mod disclosure;
mod error;
mod files;
mod json;
mod log;
pub mod read;
mod record;
mod search;
mod status;
mod verify;
mod writer;

pub use audited::Audited;
pub use disclosure::{DisclosureRecord, Seen, SubjectKey};
pub use error::AuditError;
pub use log::{AuditLog, LogOptions, Sync};
pub use record::{Access, AccessRecord, Event, EventRecord, Outcome, OutcomeStatus, SessionFacts};
pub use search::{Filter, Search};
pub use status::LogStatus;
pub use verify::{Break, MOST_BREAKS, Verification, Wrong, verify};

#[cfg(test)]
mod tests;
