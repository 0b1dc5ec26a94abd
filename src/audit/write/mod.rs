//! Writing: the handle that sessions hold, who writes and when, the one that looks after closed files, and records on
//! their way to other places.

mod audited;
mod combine;
mod confirm;
mod dropbox;
mod fold;
mod handed;
mod job;
mod keeper;
mod log;
mod numbers;
mod opening;
mod options;
mod origin;
mod room;
pub mod ship;
mod status;
mod steady;
mod tending;
mod watch;
mod writer;

pub use audited::{Audited, Logged};
pub use confirm::{Doubt, clock_doubt, confirm_clock};
pub use handed::{RequestStep, hand_in};
pub use log::AuditLog;
pub use options::{LogOptions, Sync};
pub use status::{LastCheckpoint, LogStatus};
