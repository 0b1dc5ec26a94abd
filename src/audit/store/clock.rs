//! What the log says of the machine's clocks: the newest word on both, and how old the records of a file are.

use std::io;
use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::files::{self, LogFile};
use super::pair;
use crate::audit::record::Entry;

/// Plain bytes of the log's end that are looked through, from the last file back.
const REACH: u64 = 512 << 20;

/// What a record says of both clocks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::audit) struct Kept {
    /// The record's own time.
    pub(in crate::audit) time: Timestamp,
    /// Names a start of the machine.
    pub(in crate::audit) boot: String,
    /// Milliseconds since then.
    pub(in crate::audit) up: i64,
    /// Milliseconds by which the clock was set since it was believed last.
    pub(in crate::audit) drift: i64,
    /// Seconds of which nothing is known but the clock itself.
    pub(in crate::audit) off: i64,
    /// Seconds of all jumps since the log began.
    pub(in crate::audit) shift: i64,
    /// The incident that waits to be confirmed.
    pub(in crate::audit) doubt: Option<u64>,
    /// Of these, the jump that this record tells.
    pub(in crate::audit) jump: i64,
}

impl Kept {
    fn of(line: &[u8]) -> Option<Self> {
        if !matches!(pair::event_of(line), b"start" | b"clock" | b"clock_confirmed" | b"incident") {
            return None;
        }
        let entry = Entry::parse(line)?;
        let clock = entry.field("clock")?;
        let number = |field| clock.get(field).and_then(Value::as_i64);
        let doubt = clock.get("doubt").and_then(Value::as_u64);
        Some(Self {
            time: entry.time()?,
            boot: clock.get("boot")?.as_str()?.to_owned(),
            up: number("up")?,
            drift: number("drift")?,
            off: number("off")?,
            shift: number("shift")?,
            // 0: the record itself.
            doubt: match doubt {
                Some(0) => Some(entry.seq()?),
                other => other,
            },
            jump: entry.field("jump").and_then(Value::as_i64).unwrap_or(0),
        })
    }

    /// The shift of the records before it.
    fn shift_before(&self) -> i64 {
        self.shift.saturating_sub(self.jump)
    }
}

/// The newest word on both clocks among the records up to this one.
///
/// # Errors
/// The folder or a file cannot be read.
pub(in crate::audit) fn newest(directory: &Path, until: u64) -> io::Result<Option<Kept>> {
    let mut read = 0;
    for file in files::list(directory)?.0.into_iter().rev() {
        if file.first_seq > until {
            continue;
        }
        let mut newest = None;
        files::each_line(&file, |line| {
            read += line.len() as u64;
            if let Some(kept) = Kept::of(line)
                && Entry::parse(line).and_then(|entry| entry.seq()).is_some_and(|seq| seq <= until)
            {
                newest = Some(kept);
            }
        })?;
        if newest.is_some() || read >= REACH {
            return Ok(newest);
        }
    }
    Ok(None)
}

/// When the newest record of a file was written at the latest, told by a clock whose jumps come to `now` today: `None` where
/// no record has a time. Where the clock was set forward after a record was written, the record may be as much younger than it says.
///
/// # Errors
/// A file cannot be read.
pub(in crate::audit) fn newest_of(file: &LogFile, later: &[LogFile], now: i64) -> io::Result<Option<Timestamp>> {
    let (mut newest, mut part, mut known) = (None::<Timestamp>, None::<Timestamp>, None::<i64>);
    let mut close = |part: Option<Timestamp>, shift: i64| {
        let later = SignedDuration::from_secs(now.saturating_sub(shift).max(0));
        let at = part.map(|time| time.saturating_add(later).unwrap_or(Timestamp::MAX));
        newest = newest.max(at);
    };
    files::each_line(file, |line| {
        if let Some(kept) = Kept::of(line) {
            close(part.take(), kept.shift_before());
            known = Some(kept.shift);
        }
        let time = pair::time_of(line).and_then(|time| time.parse::<Timestamp>().ok());
        part = part.max(time);
    })?;
    let shift = match known {
        Some(shift) => shift,
        None => first_word(later)?.map_or(now, |kept| kept.shift_before()),
    };
    close(part, shift);
    Ok(newest)
}

/// The first word on both clocks in these files: what was so behind the file before them, since a jump leaves a record.
fn first_word(later: &[LogFile]) -> io::Result<Option<Kept>> {
    for file in later {
        let mut first = None;
        files::each_line(file, |line| {
            if first.is_none() {
                first = Kept::of(line);
            }
        })?;
        if first.is_some() {
            return Ok(first);
        }
    }
    Ok(None)
}
