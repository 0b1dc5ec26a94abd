//! Why nothing was appended.

use crate::error::{Refusal, SqlState, Stage};

/// The record does not stand in the log, so what it is about must not happen.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuditError {
    /// The file or folder cannot be opened, written or synced.
    #[error("the access log in `{directory}` cannot be written: {reason}")]
    Unwritable {
        /// The folder of the log.
        directory: String,
        /// What the operating system said.
        reason: String,
    },
    /// Another process holds the folder.
    #[error("the access log in `{directory}` is in use by another process")]
    InUse {
        /// The folder of the log.
        directory: String,
    },
    /// The record's verdict is deny, and it was to be forwarded.
    #[error("a denied statement was to be forwarded")]
    Denied,
    /// The record cannot be written as JSON.
    #[error("the record cannot be written as JSON")]
    Encode,
    /// The log was closed.
    #[error("the access log is closed")]
    Closed,
    /// The login has written its share of the log for this minute.
    #[error("the login has written its share of the access log for this minute")]
    OverBudget,
    /// What is left of the disk is for short records.
    #[error("the disk of the access log is nearly full, and the record is long")]
    NoRoom,
}

impl AuditError {
    /// Says in the operator's log that something did not happen because it could not be logged. What a login brings about by itself, as
    /// often as it likes, is said there once a minute by whoever counts it.
    pub fn told(&self, what: &str) {
        match self {
            Self::OverBudget | Self::NoRoom => tracing::debug!(error = %self, "{what}"),
            Self::Unwritable { .. } | Self::InUse { .. } | Self::Denied | Self::Encode | Self::Closed => {
                tracing::error!(error = %self, "{what}");
            }
        }
    }

    /// What the client is told: that nothing was forwarded, and nothing of the machine.
    pub fn refusal(&self) -> Refusal {
        match self {
            Self::Unwritable { .. } | Self::InUse { .. } | Self::Closed => Refusal::new(
                Stage::Audit,
                SqlState::IO_ERROR,
                "the access log cannot be written, so the statement was not forwarded",
            )
            .hint("the operator's log names the cause; service returns when the access log can be written again"),
            Self::OverBudget => Refusal::new(
                Stage::Audit,
                SqlState::CONFIGURATION_LIMIT_EXCEEDED,
                "this login has written its share of the access log for this minute, so the statement was not forwarded",
            )
            .hint("try again in a minute, with fewer or shorter statements; `max_mb_per_login` under `[audit]` bounds the share"),
            Self::NoRoom => Refusal::new(
                Stage::Audit,
                SqlState::DISK_FULL,
                "the disk of the access log is nearly full, so the statement was not forwarded",
            )
            .hint("short statements still run; the operator's log names the disk"),
            Self::Denied | Self::Encode => Refusal::internal(Stage::Audit),
        }
    }
}
