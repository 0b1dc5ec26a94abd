//! The proxy's own log: one line an event, to stderr.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;

use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::{EnvFilter, fmt, registry};

use super::flood::{Limit, OwnLines};

/// How a line is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// For a person.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// The variable that says what is logged, in the form of `tracing`'s `EnvFilter`: `debug`, `pgpurpose::session=trace`.
const LEVELS: &str = "PGPURPOSE_LOG";

/// Begins to write `tracing` events to stderr: those of `info` and above, or as `PGPURPOSE_LOG` says.
///
/// # Errors
/// `PGPURPOSE_LOG` is not understood, or somebody else has begun before.
pub fn start(format: Format) -> Result<Arc<OwnLines>, String> {
    start_at("info", format)
}

/// [`start`], with another level than `info` where `PGPURPOSE_LOG` says nothing.
///
/// # Errors
/// As [`start`].
pub fn start_at(level: &str, format: Format) -> Result<Arc<OwnLines>, String> {
    let levels = std::env::var(LEVELS).unwrap_or_else(|_| level.to_owned());
    let filter = EnvFilter::try_new(&levels).map_err(|error| format!("`{LEVELS}`: {error}"))?;
    let output = output().map_err(|error| format!("stderr: {error}"))?;
    let lines = fmt::layer().with_writer(output).with_target(false);
    let limit = Limit::default();
    let own = Arc::clone(&limit.lines);
    limit.clone().tell();
    // Not `try_init`, which would take what libraries say through the crate `log` too: at `debug` sqlparser says the literals of
    // each statement.
    match format {
        Format::Text => {
            let lines = lines.with_ansi(io::IsTerminal::is_terminal(&io::stderr()));
            tracing::subscriber::set_global_default(registry().with(filter).with(lines.with_filter(limit)))
        }
        Format::Json => {
            let lines = lines.json().flatten_event(true);
            tracing::subscriber::set_global_default(registry().with(filter).with(lines.with_filter(limit)))
        }
    }
    .map_err(|error| error.to_string())?;
    Ok(own)
}

/// Stderr as it is now, under a number of its own.
///
/// PostgreSQL's parser points the process's stderr elsewhere while it reads a statement, each thread for itself: a line that is
/// written meanwhile goes nowhere, and two threads at once may leave it pointing there for good.
///
/// # Errors
/// Stderr is closed, or no file can be opened.
pub fn output() -> io::Result<File> {
    Ok(File::from(io::stderr().as_fd().try_clone_to_owned()?))
}
