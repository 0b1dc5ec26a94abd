//! Where the parts are put together: from a configuration to a database, an access log, policies and a proxy that runs.
//!
//! The commands read what a person typed and call this; nothing below knows how it is put together.

mod access_log;
mod alarms;
mod auth;
pub(crate) mod centre;
mod console;
mod database;
mod exceptions;
mod fit;
pub(crate) mod grants;
mod others;
mod outdated;
mod permissions;
mod policies;
mod proxy;
mod reviewing;
mod supervisor;
mod telemetry;
mod watch;

pub(crate) use access_log::options as log_options;
pub(crate) use auth::{Trouble, trouble};
pub(crate) use database::Database;
pub(crate) use policies::{fits, policies, subject_key, told};
pub(crate) use proxy::{How, serve};

/// What waits for a database or a network: one thread, the caller's own.
///
/// # Errors
/// The system's.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime, String> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string())
}
