//! How the log does, for readiness and metrics.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::steady::Margin;

/// How the log does now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogStatus {
    /// Number of the last record that stands in the log.
    pub last_seq: u64,
    /// Why it cannot be written; `None` while it can.
    pub trouble: Option<String>,
    /// Number of the last record that cannot be cut back any more: on disk with `always`, the kernel's with `written`.
    pub durable: u64,
    /// Jobs that wait for the writer.
    pub waiting: u64,
    /// How long a write or a sync has not returned for; none where none runs.
    pub syncing: Duration,
    /// Records refused since the log was opened.
    pub refused: u64,
    /// Files older than they may be that a place beside the log still needs.
    pub held_files: u64,
    /// Bytes that are free on the disk.
    pub free_bytes: u64,
    /// What is free is less than twice what only short records may take.
    pub low: bool,
    /// The machine's clock moved as no clock does, and nobody confirmed it: nothing is destroyed by age.
    pub clock_in_doubt: bool,
    /// The last signed checkpoint; `None` where none was made since the log was opened.
    pub checkpoint: Option<LastCheckpoint>,
}

/// The last signed checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastCheckpoint {
    /// Number of the last record that it covers.
    pub covers: u64,
    /// When it was made.
    pub time: Timestamp,
}

/// Files that are not destroyed although they are old enough.
#[derive(Debug, Clone, Copy, Default)]
struct Held {
    files: u64,
    /// The last record of the oldest.
    until: u64,
}

/// Written by the writer, read by everyone.
#[derive(Debug, Default)]
pub(in crate::audit) struct StatusCell {
    last_seq: AtomicU64,
    durable: AtomicU64,
    waiting: AtomicU64,
    refused: AtomicU64,
    /// Milliseconds from `begun` to the beginning of the sync that runs, and one more; 0 where none does.
    sync_since: AtomicU64,
    begun: OnceLock<Instant>,
    held: Mutex<Held>,
    /// Up to which record each place beside the files has everything.
    shipped: Mutex<BTreeMap<&'static str, u64>>,
    name: OnceLock<String>,
    trouble: Mutex<Option<String>>,
    /// What of the clock's past bears on the age of records; `None` while it is in doubt.
    clock: Mutex<Option<Margin>>,
    checkpoint: Mutex<Option<LastCheckpoint>>,
}

impl StatusCell {
    /// Of a log that waits for these places.
    pub(in crate::audit) fn awaiting(places: &[&'static str]) -> Self {
        Self { shipped: Mutex::new(places.iter().map(|place| (*place, 0)).collect()), ..Self::default() }
    }

    pub(in crate::audit) fn shipped(&self, place: &'static str, seq: u64) {
        self.shipped.lock().unwrap_or_else(PoisonError::into_inner).insert(place, seq);
    }

    /// Up to which record every place has everything.
    pub(in crate::audit) fn everywhere(&self) -> u64 {
        let shipped = self.shipped.lock().unwrap_or_else(PoisonError::into_inner);
        shipped.values().min().copied().unwrap_or(u64::MAX)
    }

    /// So many files wait for a place; the oldest ends with this record.
    pub(in crate::audit) fn held(&self, files: u64, until: u64) {
        *self.held.lock().unwrap_or_else(PoisonError::into_inner) = Held { files, until };
    }

    /// Whether what held files back is gone.
    pub(in crate::audit) fn may_let_go(&self) -> bool {
        let held = *self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.files > 0 && held.until <= self.everywhere()
    }

    pub(in crate::audit) fn get(&self) -> LogStatus {
        LogStatus {
            last_seq: self.last_seq.load(Ordering::Acquire),
            durable: self.durable.load(Ordering::Acquire),
            waiting: self.waiting.load(Ordering::Acquire),
            trouble: self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            syncing: self.syncing(),
            refused: self.refused.load(Ordering::Acquire),
            free_bytes: u64::MAX,
            low: false,
            clock_in_doubt: self.margin().is_none(),
            held_files: self.held.lock().unwrap_or_else(PoisonError::into_inner).files,
            checkpoint: *self.checkpoint.lock().unwrap_or_else(PoisonError::into_inner),
        }
    }

    /// What of the clock's past bears on the age of records; gives what did before.
    pub(in crate::audit) fn clock(&self, margin: Option<Margin>) -> Option<Margin> {
        std::mem::replace(&mut *self.clock.lock().unwrap_or_else(PoisonError::into_inner), margin)
    }

    pub(in crate::audit) fn margin(&self) -> Option<Margin> {
        *self.clock.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(in crate::audit) fn reached(&self, seq: u64) {
        self.last_seq.store(seq, Ordering::Release);
    }

    pub(in crate::audit) fn durable(&self, seq: u64) {
        self.durable.store(seq, Ordering::Release);
    }

    fn milliseconds(&self) -> u64 {
        u64::try_from(self.begun.get_or_init(Instant::now).elapsed().as_millis()).unwrap_or(u64::MAX - 1)
    }

    fn syncing(&self) -> Duration {
        match self.sync_since.load(Ordering::Acquire) {
            0 => Duration::ZERO,
            since => Duration::from_millis(self.milliseconds().saturating_sub(since - 1)),
        }
    }

    /// Runs a write or a sync; whoever looks meanwhile sees how long it takes.
    pub(in crate::audit) fn sync<T>(&self, sync: impl FnOnce() -> T) -> T {
        self.sync_since.store(self.milliseconds() + 1, Ordering::Release);
        let synced = sync();
        self.sync_since.store(0, Ordering::Release);
        synced
    }

    pub(in crate::audit) fn submitted(&self) {
        self.waiting.fetch_add(1, Ordering::AcqRel);
    }

    pub(in crate::audit) fn taken(&self, jobs: usize) {
        self.waiting.fetch_sub(u64::try_from(jobs).unwrap_or(u64::MAX), Ordering::AcqRel);
    }

    pub(in crate::audit) fn named(&self, name: &str) {
        // The name never changes.
        let _ = self.name.set(name.to_owned());
    }

    pub(in crate::audit) fn name(&self) -> &str {
        self.name.get().map_or("", String::as_str)
    }

    pub(in crate::audit) fn refused(&self, records: u64) {
        self.refused.fetch_add(records, Ordering::AcqRel);
    }

    pub(in crate::audit) fn checkpoint(&self, covers: u64, time: Timestamp) {
        *self.checkpoint.lock().unwrap_or_else(PoisonError::into_inner) = Some(LastCheckpoint { covers, time });
    }

    pub(in crate::audit) fn trouble(&self, trouble: Option<String>) {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
    }
}
