//! When the records say that they were written, and what that says of the clock and of what was destroyed by age.

use jiff::{SignedDuration, Timestamp};

use crate::audit::record::Entry;

/// Times that go back are told one by one up to so many.
const MOST: usize = 20;

/// What was read of times so far.
#[derive(Debug, Default)]
pub(super) struct Times {
    before: Option<String>,
    back: Vec<(u64, String, String)>,
    more: u64,
    /// The clock jumped, and nobody confirmed it yet: the record that says so.
    pub(super) doubt: Option<u64>,
}

impl Times {
    /// Takes the next record's.
    pub(super) fn take(&mut self, seq: u64, time: &str) {
        match &mut self.before {
            None => self.before = Some(time.to_owned()),
            Some(before) => {
                if time < before.as_str() {
                    if self.back.len() < MOST {
                        self.back.push((seq, before.clone(), time.to_owned()));
                    } else {
                        self.more += 1;
                    }
                }
                before.clear();
                before.push_str(time);
            }
        }
    }

    /// Where they go back, in words.
    pub(super) fn back(self) -> Vec<String> {
        let line = |(seq, before, time)| format!("at record {seq} the time goes back, from {before} to {time}");
        let mut lines: Vec<String> = self.back.into_iter().map(line).collect();
        if self.more > 0 {
            lines.push(format!("at {} more records the time goes back", self.more));
        }
        lines
    }

    /// Why a file should not have been destroyed when it was.
    pub(super) fn too_early(&self, entry: &Entry) -> Option<String> {
        if let Some(seq) = self.doubt {
            return Some(format!("the clock had jumped (record {seq}), and nobody had confirmed it"));
        }
        let newest: Timestamp = entry.text("newest")?.parse().ok()?;
        let days = i64::try_from(entry.number("retain_days")?).ok()?;
        let age = entry.time()?.duration_since(newest);
        let early = age < SignedDuration::from_hours(days.checked_mul(24)?);
        early.then(|| format!("its newest record was of {newest:.6}, and records are kept for {days} days"))
    }
}
