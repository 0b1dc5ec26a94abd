//! Records that were destroyed by age: what is counted is forgotten with them.

use super::clock::Clock;
use super::{At, of_log};
use crate::audit::record::Entry;

/// Up to where a log is gone.
#[derive(Debug, Clone, Copy)]
pub(super) struct Past {
    log: u64,
    to: u64,
    /// The day of the newest record that is gone.
    pub(super) day: i64,
    /// That record's number; its time.
    pub(super) at: At,
}

impl Past {
    /// Of a record `destroyed`.
    pub(super) fn of(entry: &Entry, clock: &Clock) -> Option<Self> {
        let (log, _) = of_log(entry.seq()?);
        let (to, time) = (entry.number("to")?, entry.text("newest")?.parse().ok()?);
        let at = At { time, seq: to + log * crate::audit::record::entry::LOG };
        Some(Self { log, to, day: clock.moment(at).day(), at })
    }

    /// Whether the record of this number is gone.
    pub(super) fn has_number(&self, seq: u64) -> bool {
        let (log, seq) = of_log(seq);
        log == self.log && seq <= self.to
    }

    /// The same.
    pub(super) fn has(&self, at: At) -> bool {
        self.has_number(at.seq)
    }
}
