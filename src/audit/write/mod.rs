//! Writing: the handle that sessions hold, who writes and when, the one that looks after closed files, and records on
//! their way to other places.

mod audited;
mod combine;
mod fold;
mod keeper;
mod log;
mod options;
mod room;
pub mod ship;
mod status;
mod watch;
mod writer;

pub use audited::Audited;
pub use log::AuditLog;
pub use options::{LogOptions, Sync};
pub use status::{LastCheckpoint, LogStatus};
