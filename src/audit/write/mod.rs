//! Writing: the handle that sessions hold, the one thread that writes, the one that looks after closed files, and records on
//! their way to other places.

mod audited;
mod keeper;
mod log;
mod options;
pub mod ship;
mod status;
mod writer;

pub use audited::Audited;
pub use log::AuditLog;
pub use options::{LogOptions, Sync};
pub use status::{LastCheckpoint, LogStatus};
