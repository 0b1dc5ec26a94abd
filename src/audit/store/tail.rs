//! What stands behind the last checkpoint of a log: how much, since when, and whether it closes the log.

use jiff::{SignedDuration, Timestamp};

use super::pair;
use crate::audit::record::Entry;
use crate::audit::record::chain::{self, Link};
use crate::audit::record::checkpoint::{Checkpoint, Rhythm};

/// The records behind the last checkpoint that counts.
#[derive(Debug, Clone, Default)]
pub(in crate::audit) struct Tail {
    /// That checkpoint's own number, and how often it says that one is due.
    signed: Option<(u64, Rhythm)>,
    signed_at: Option<String>,
    /// The newest time of all.
    newest: Option<String>,
    /// Times after this one were promised a checkpoint.
    limit: Option<String>,
    /// How many records stand behind it.
    count: u64,
    /// A time beyond the limit, and whether there is another: what is written at one moment is written at once, and may be cut
    /// off from its checkpoint by a crash.
    late: Option<String>,
    too_late: bool,
    /// The checkpoint closes the log, and other records than those of another start stand behind it; or records stand behind such
    /// a start, which has its checkpoint in the same write.
    closed: bool,
    started: Option<String>,
    stray: bool,
    /// The kind of the last record, and of the one before.
    last: Kind,
    before: Kind,
    link: Option<Link>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Kind {
    #[default]
    Other,
    Start,
    Stop,
    Checkpoint,
}

impl Kind {
    fn of(line: &[u8]) -> Self {
        match pair::event_of(line) {
            b"start" => Self::Start,
            b"stop" => Self::Stop,
            b"checkpoint" => Self::Checkpoint,
            _ => Self::Other,
        }
    }
}

impl Tail {
    /// Takes the next line. `vouches` says whether a record is a checkpoint that counts behind this record.
    pub(in crate::audit) fn line(
        &mut self,
        line: &[u8],
        vouches: impl FnOnce(&Entry, Option<Link>) -> Option<Checkpoint>,
    ) {
        let kind = Kind::of(line);
        let checkpoint = match kind {
            Kind::Checkpoint => Entry::parse(line).and_then(|entry| vouches(&entry, self.link)),
            Kind::Start | Kind::Stop | Kind::Other => None,
        };
        self.takes(kind, pair::time_of(line), checkpoint.as_ref());
        self.link = chain::open(line).ok().map(|sealed| Link { seq: sealed.seq, hash: sealed.hash });
    }

    /// The same of a line whose checkpoint is known already.
    pub(in crate::audit) fn see(&mut self, line: &[u8], checkpoint: Option<&Checkpoint>) {
        self.takes(Kind::of(line), pair::time_of(line), checkpoint);
    }

    fn takes(&mut self, kind: Kind, time: Option<&str>, checkpoint: Option<&Checkpoint>) {
        (self.before, self.last) = (self.last, kind);
        if let Some(time) = time.filter(|time| self.newest.as_deref().is_none_or(|newest| *time > newest)) {
            self.newest = Some(time.to_owned());
        }
        if let Some(checkpoint) = checkpoint {
            self.signed = Some((checkpoint.record.seq, checkpoint.rhythm));
            self.signed_at = Some(checkpoint.time.clone());
            self.limit = limit(checkpoint);
            (self.count, self.late, self.too_late) = (0, None, false);
            (self.closed, self.started, self.stray) = (self.before == Kind::Stop, None, false);
            return;
        }
        self.stray |= self.closed && self.count == 0 && kind != Kind::Start;
        self.stray |= self.started.as_deref().zip(time).is_some_and(|(started, time)| started != time);
        if kind == Kind::Start {
            self.started = time.map(str::to_owned);
        }
        self.count += 1;
        if let (Some(limit), Some(time)) = (&self.limit, time)
            && time > limit.as_str()
        {
            self.too_late |= self.late.as_deref().is_some_and(|late| late != time);
            self.late = Some(time.to_owned());
        }
    }

    /// What stands in the next file, behind this.
    pub(in crate::audit) fn then(self, next: Self) -> Self {
        if next.signed.is_some() {
            return next;
        }
        // Times of the next file were held against no limit: the caller reads back to a checkpoint, so that it is the first.
        Self {
            count: self.count + next.count,
            last: next.last,
            before: next.before,
            newest: self.newest.max(next.newest),
            started: self.started.or(next.started),
            link: next.link,
            ..self
        }
    }

    /// The number of the last checkpoint that counts.
    pub(in crate::audit) fn signed(&self) -> Option<u64> {
        self.signed.map(|(seq, _)| seq)
    }

    /// The newest time: with a key that of the last checkpoint, where there is one.
    pub(in crate::audit) fn written_last(&self, keyed: bool) -> Option<String> {
        self.signed_at.clone().filter(|_| keyed).or_else(|| self.newest.clone())
    }

    /// Whether it ends with the record that closes the log; with a key that record has its checkpoint behind it.
    pub(in crate::audit) fn is_closed(&self, keyed: bool) -> bool {
        let vouched = self.last == Kind::Checkpoint && self.before == Kind::Stop && (!keyed || self.count == 0);
        vouched || (!keyed && self.last == Kind::Stop)
    }

    /// Why there are more records than may be without a checkpoint, or over a longer time. Of a log that has none
    /// nothing was promised.
    pub(in crate::audit) fn is_too_long(&self) -> Option<String> {
        let (signed, rhythm) = self.signed?;
        let due = rhythm.records;
        if self.count > due {
            return Some(format!(
                "{} records stand behind checkpoint {signed}, and one is due after {due}",
                self.count
            ));
        }
        if self.stray {
            return Some(format!(
                "{} records stand behind checkpoint {signed}, where the log was closed or opened with a checkpoint of its own",
                self.count
            ));
        }
        self.too_late.then(|| {
            format!(
                "records stand behind checkpoint {signed} for longer than the {} seconds after which one is due",
                rhythm.seconds
            )
        })
    }
}

/// As records write it: so many seconds after the checkpoint.
fn limit(checkpoint: &Checkpoint) -> Option<String> {
    let time: Timestamp = checkpoint.time.parse().ok()?;
    let seconds = i64::try_from(checkpoint.rhythm.seconds).ok()?;
    Some(format!("{:.6}", time.checked_add(SignedDuration::from_secs(seconds)).ok()?))
}
