//! How the log does, for readiness and metrics.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// How the log does now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogStatus {
    /// Number of the last record that stands in the log.
    pub last_seq: u64,
    /// Why it cannot be written; `None` while it can.
    pub trouble: Option<String>,
    /// Records refused since the log was opened.
    pub refused: u64,
}

/// Written by the writer, read by everyone.
#[derive(Debug, Default)]
pub(super) struct StatusCell {
    last_seq: AtomicU64,
    refused: AtomicU64,
    trouble: Mutex<Option<String>>,
}

impl StatusCell {
    pub(super) fn get(&self) -> LogStatus {
        LogStatus {
            last_seq: self.last_seq.load(Ordering::Acquire),
            trouble: self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            refused: self.refused.load(Ordering::Acquire),
        }
    }

    pub(super) fn reached(&self, seq: u64) {
        self.last_seq.store(seq, Ordering::Release);
    }

    pub(super) fn refused(&self, records: u64) {
        self.refused.fetch_add(records, Ordering::AcqRel);
    }

    pub(super) fn trouble(&self, trouble: Option<String>) {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
    }
}
