//! Whether the machine's clock moves plausibly: nothing is destroyed by age while it may be wrong.
//!
//! The clock on the wall is held against the time since the machine was started (`/proc/uptime`, see proc_uptime(5), which also
//! counts while it sleeps), from one fixed point on, so that many small steps add up as one large one does. Between two runs of
//! the proxy on one start of the machine that is exact. Where the machine was started anew, nobody can tell how long it was off:
//! a week in all is believed, and no more. What was seen stands in the log itself, chained and under its checkpoints, so that who
//! can write the folder can change nothing of it without a break.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

use super::confirm::{self, Confirmation};
use crate::audit::record::checkpoint::Signer;
use crate::audit::record::{AuditError, Body, ClockFields, Event};
use crate::audit::store::clock::{self, Kept};

/// The clock may be set right by so much, all steps together.
pub(in crate::audit) const STEPS: SignedDuration = SignedDuration::from_hours(1);
/// So long may the machine have been off, all times together, before somebody has to look at the clock.
const OFF: SignedDuration = SignedDuration::from_hours(7 * 24);
/// How often both clocks are written down where nothing happens.
const NOTED: Duration = Duration::from_secs(6 * 3600);
/// While it is in doubt, no more than one jump is told in this time; they are summed up.
const TOLD: Duration = Duration::from_secs(10);

/// What an incident of the clock is about.
pub(in crate::audit) const ABOUT: &str = "clock";

/// Both clocks at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::audit) struct Reading {
    pub(in crate::audit) wall: Timestamp,
    /// Names a start of the machine.
    boot: String,
    /// Milliseconds since then.
    up: i64,
}

/// What the log says of the time before.
#[derive(Debug, Default)]
pub(in crate::audit) struct Before {
    /// The newest word on both clocks that can be trusted.
    pub(in crate::audit) kept: Option<Kept>,
    /// When the log was written last, as far as that can be trusted.
    pub(in crate::audit) newest: Option<Timestamp>,
}

/// What a look at the clock brings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::audit) enum News {
    /// It moved as no clock does, in these words.
    Jumped(String),
    /// Somebody found it right: the incident's record, and the reason.
    Confirmed { of: u64, reason: String },
    /// Nothing happened for long.
    Note,
}

/// What of a clock's past bears on the age of records, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::audit) struct Margin {
    /// Of this much time nothing is known but the clock itself.
    pub(in crate::audit) off: i64,
    /// Jumps of the clock since the log began, all together.
    pub(in crate::audit) shift: i64,
}

/// Who watches the clock.
#[derive(Debug)]
pub(in crate::audit) struct Steady {
    directory: PathBuf,
    /// Whether files are destroyed by age: then a machine that was off for long is a doubt too.
    retains: bool,
    /// The fixed point.
    base: Reading,
    last: Reading,
    off: i64,
    shift: i64,
    /// Seconds of jumps that the log does not tell yet, and in which words the newest of them is told.
    untold: Option<(i64, String)>,
    /// The incident that waits to be confirmed.
    doubt: Option<u64>,
    told: Option<Instant>,
    noted: Instant,
    /// Where the kernel says nothing of its start.
    began: (Instant, String),
}

impl Steady {
    /// Begins to watch.
    pub(in crate::audit) fn open(directory: &Path, retains: bool, before: &Before) -> Self {
        let began = (Instant::now(), format!("{:032x}", rand::random::<u128>()));
        Self::from(directory, retains, before, reading(&began), began)
    }

    fn from(directory: &Path, retains: bool, before: &Before, now: Reading, began: (Instant, String)) -> Self {
        let mut steady = Self {
            directory: directory.to_owned(),
            retains,
            base: now.clone(),
            last: now.clone(),
            off: 0,
            shift: 0,
            untold: None,
            doubt: None,
            told: None,
            noted: Instant::now(),
            began,
        };
        if let Some(kept) = &before.kept {
            (steady.off, steady.shift, steady.doubt) = (kept.off, kept.shift, kept.doubt);
            if kept.boot == now.boot && kept.up <= now.up {
                let wall = kept.time.checked_sub(SignedDuration::from_millis(kept.drift)).unwrap_or(kept.time);
                steady.base = Reading { wall, boot: kept.boot.clone(), up: kept.up };
                return steady;
            }
            steady.off = steady.off.saturating_add(kept.drift.saturating_abs() / 1000);
        }
        let newest = before.newest.into_iter().chain(before.kept.as_ref().map(|kept| kept.time)).max();
        if let Some(newest) = newest {
            steady.was_off(newest, now.wall);
        }
        steady
    }

    /// The machine was started anew since the log was written last.
    fn was_off(&mut self, newest: Timestamp, now: Timestamp) {
        let off = now.duration_since(newest);
        if off < -STEPS {
            let what = format!("the clock stands at {now:.6}, and the log was written at {newest:.6} already");
            self.untold = Some((off.as_secs(), what));
            return;
        }
        self.off = self.off.saturating_add(off.as_secs().max(0));
        if self.off > OFF.as_secs() && self.retains && self.doubt.is_none() {
            let what = format!(
                "the machine was started anew: the log was written last at {newest:.6}, the clock stands at {now:.6}, and nothing else tells \
                 whether that is so"
            );
            self.untold = Some((0, what));
        }
    }

    /// What bears on the age of records; `None` while nothing may be destroyed.
    pub(in crate::audit) fn margin(&self) -> Option<Margin> {
        let sure = self.doubt.is_none() && self.untold.is_none();
        sure.then_some(Margin { off: self.off, shift: self.shift })
    }

    /// Both clocks, as the log writes them; `doubt` as the record has it.
    pub(in crate::audit) fn fields(&self) -> ClockFields<'_> {
        ClockFields {
            boot: &self.last.boot,
            up: self.last.up,
            drift: self.drift(),
            off: self.off,
            shift: self.shift,
            doubt: self.doubt,
        }
    }

    /// Milliseconds by which the clock was set since the fixed point.
    fn drift(&self) -> i64 {
        let run = SignedDuration::from_millis(self.last.up.saturating_sub(self.base.up));
        let expected = self.base.wall.checked_add(run).unwrap_or(self.base.wall);
        i64::try_from(self.last.wall.duration_since(expected).as_millis()).unwrap_or(i64::MAX)
    }

    /// Looks at both clocks.
    pub(in crate::audit) fn look(&mut self, signer: Option<&Signer>) -> Option<News> {
        let now = reading(&self.began);
        self.at(now, signer)
    }

    fn at(&mut self, now: Reading, signer: Option<&Signer>) -> Option<News> {
        self.last = now;
        let drift = self.drift();
        if drift.saturating_abs() > i64::try_from(STEPS.as_millis()).unwrap_or(i64::MAX) {
            let now = self.last.wall;
            let expected = now.checked_sub(SignedDuration::from_millis(drift)).unwrap_or(now);
            let what = format!(
                "the clock jumped: by the time since the machine was started it is {expected:.6}, and it says {now:.6}"
            );
            let before = self.untold.take().map_or(0, |(seconds, _)| seconds);
            self.untold = Some((before.saturating_add(drift / 1000), what));
            self.base = self.last.clone();
        }
        let may_tell = self.doubt.is_none() || self.told.is_none_or(|told| told.elapsed() >= TOLD);
        if let Some((_, what)) = self.untold.as_ref().filter(|_| may_tell) {
            return Some(News::Jumped(what.clone()));
        }
        self.confirmed(signer).or_else(|| (self.noted.elapsed() >= NOTED).then_some(News::Note))
    }

    fn confirmed(&mut self, signer: Option<&Signer>) -> Option<News> {
        let Confirmation { of, reason } = confirm::take(&self.directory, self.doubt, self.last.wall, signer)?;
        // A jump that is not told yet was seen by nobody.
        self.untold.is_none().then_some(News::Confirmed { of, reason })
    }

    /// The record of what a look brought. Once it is written, [`is_told`](Self::is_told).
    ///
    /// # Errors
    /// It cannot be encoded.
    pub(in crate::audit) fn body(&self, news: &News) -> Result<Body, AuditError> {
        let clock = self.fields();
        let record = match news {
            News::Jumped(what) => {
                let jump = self.untold.as_ref().map_or(0, |(seconds, _)| *seconds);
                // 0: this record itself.
                let clock = ClockFields { shift: self.shift.saturating_add(jump), doubt: Some(0), drift: 0, ..clock };
                let what = format!(
                    "{what}; nothing is destroyed by age until `pgpurpose audit confirm-clock` says that it is right"
                );
                Event::ClockIncident { about: ABOUT, what: &what, jump, clock }.record()
            }
            News::Confirmed { of, reason } => {
                let clock = ClockFields { doubt: None, drift: 0, off: 0, ..clock };
                Event::ClockConfirmed { of: *of, reason, clock }.record()
            }
            News::Note => Event::Clock { clock }.record(),
        };
        Ok(record?.body)
    }

    /// The record of it stands in the log under this number.
    pub(in crate::audit) fn is_told(&mut self, news: &News, seq: u64) {
        self.noted = Instant::now();
        match news {
            News::Jumped(what) => {
                tracing::error!(what, "the access log destroys nothing by age until the clock is confirmed");
                let jump = self.untold.take().map_or(0, |(seconds, _)| seconds);
                self.shift = self.shift.saturating_add(jump);
                (self.doubt, self.told) = (Some(seq), Some(Instant::now()));
            }
            News::Confirmed { .. } => {
                tracing::info!("the clock is confirmed");
                (self.doubt, self.told, self.off) = (None, None, 0);
                self.base = self.last.clone();
                confirm::done(&self.directory);
            }
            News::Note => {}
        }
    }
}

/// The newest word on both clocks among the records up to this one.
///
/// # Errors
/// The folder or a file cannot be read.
pub(in crate::audit) fn newest_word(directory: &Path, until: u64) -> io::Result<Option<Kept>> {
    clock::newest(directory, until)
}

fn reading((began, run): &(Instant, String)) -> Reading {
    let up = fs::read_to_string("/proc/uptime").ok().and_then(|text| milliseconds(text.split(' ').next()?));
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok().map(|boot| boot.trim().to_owned());
    let wall = Timestamp::now();
    match (up, boot) {
        (Some(up), Some(boot)) => Reading { wall, boot, up },
        (_, _) => {
            let up = i64::try_from(began.elapsed().as_millis()).unwrap_or(i64::MAX);
            Reading { wall, boot: run.clone(), up }
        }
    }
}

/// `350735.47` in milliseconds.
fn milliseconds(text: &str) -> Option<i64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    let hundredths: i64 = format!("{part:0<2}").get(..2)?.parse().ok()?;
    whole.parse::<i64>().ok()?.checked_mul(1000)?.checked_add(hundredths.checked_mul(10)?)
}

#[cfg(test)]
#[path = "steady_tests.rs"]
mod tests;
