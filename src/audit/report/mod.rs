//! A report over the log, in one pass: who used what and why over time, refusals, what is unusual, what is open and not used, and
//! what the log says of policies and of itself.
//!
//! No record is kept. Everything is counted in maps whose size is bounded; what does not fit is counted as *others*.

mod activity;
mod clock;
mod desk;
mod events;
mod facts;
mod live;
mod matters;
mod observed;
mod pairs;
mod past;
mod refusals;
mod strangers;
#[cfg(test)]
mod tests;
mod told;
mod trained;
mod unused;
mod unusual;

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::audit::read::{last, scan};
use crate::audit::record::Entry;
use crate::audit::record::chain::Hash;
use crate::audit::record::entry::LOG;
use crate::policy::PolicySet;

pub use activity::{Activity, Counts, Line, Unrestricted};
pub use clock::{Bucket, Grain};
pub use desk::{Campaign, CampaignLine, Desk, Exception, Review, Running, Stretch, Use};
pub use events::{LogEvent, LogEvents, PolicyEvent};
pub use facts::NO_CATEGORY;
pub use live::Live;
pub use matters::{Matter, matters};
pub use observed::{Application, Closed, Filtered, Masked, Needed, Observed, Shape};
pub use refusals::{Counted, Kind, Refusal, Refusals};
pub use trained::Trained;
pub use unused::{Unused, UnusedGrant};
pub use unusual::{
    ACTIVE_DAYS, Finding, HISTORY_DAYS, HOURS_STATEMENTS, KEPT_DAYS, Measure, STRANGER_DAYS, Unusual, What,
};

use clock::Clock;
use facts::Facts;
use past::Past;

/// The longest text of a record that the report repeats, in characters.
const LONGEST: usize = 500;

/// So many judgements of findings are told.
const MOST_REVIEWS: usize = 2_000;

/// What a report is wanted of.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Not before; what is older is still the history that unusual access is judged by.
    pub since: Option<Timestamp>,
    /// Before.
    pub until: Option<Timestamp>,
    /// Whose days and hours count.
    pub zone: TimeZone,
    /// What is open is called unused after so many days.
    pub unused_days: u32,
    /// The day that these are counted back from, where `until` does not say.
    pub now: Timestamp,
}

/// From when to when the log goes; `None` where no record has a time.
///
/// # Errors
/// The folder or a file cannot be read.
pub fn span(directory: &Path) -> io::Result<Option<(Timestamp, Timestamp)>> {
    let mut first = None;
    scan(directory, |entry| {
        first = entry.time();
        first.is_none()
    })?;
    let newest = last(directory, 1, 1 << 20, |entry| entry.time().is_some())?;
    let newest = newest.first().and_then(Entry::time);
    Ok(first.map(|first| (first, newest.map_or(first, |newest| newest.max(first)))))
}

/// A record, and when it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct At {
    /// When.
    pub time: Timestamp,
    /// Its number; of several logs, with that of its log (see [`of_log`]).
    pub seq: u64,
}

fn as_text<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(time)
}

/// `time`, `seq`, and for a further log `log`, from 2.
impl Serialize for At {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (log, seq) = of_log(self.seq);
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("time", &self.time.to_string())?;
        map.serialize_entry("seq", &seq)?;
        if log > 0 {
            map.serialize_entry("log", &(log + 1))?;
        }
        map.end()
    }
}

/// As it is written.
impl<'de> Deserialize<'de> for At {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Written {
            time: String,
            seq: u64,
            log: Option<u64>,
        }
        let Written { time, seq, log } = Written::deserialize(deserializer)?;
        let time = time.parse().map_err(serde::de::Error::custom)?;
        let log = log.map_or(0, |log| log.saturating_sub(1).min(u64::MAX / LOG));
        Ok(Self { time, seq: seq.saturating_add(log.saturating_mul(LOG)) })
    }
}

/// A record's number with that of its log.
pub fn in_log(log: u64, seq: u64) -> u64 {
    log.saturating_mul(LOG).saturating_add(seq)
}

/// The number of a log by its name, from 1: the same wherever several are read, so that a finding is called the same.
pub fn number_of(log: &str) -> u64 {
    let digits: String = Hash::of(log.as_bytes()).to_string().chars().take(4).collect();
    u64::from_str_radix(&digits, 16).unwrap_or_default() % (u64::MAX / LOG) + 1
}

/// Which of several logs a number is of, from 0, and the number there.
pub fn of_log(seq: u64) -> (u64, u64) {
    (seq / LOG, seq % LOG)
}

/// How far the log goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Reach {
    /// Its first record that has a time.
    pub first: At,
    /// Its last.
    pub last: At,
}

/// The report.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// The zone of all days and hours.
    pub time_zone: String,
    /// How far the log goes; `None` where no record has a time.
    pub log: Option<Reach>,
    /// Records read.
    pub records: u64,
    /// What lies in the period.
    pub activity: Activity,
    /// What was refused.
    pub refusals: Refusals,
    /// What differs from each login's own past.
    pub unusual: Unusual,
    /// What is open and was not used; `None` where no policies were given.
    pub unused: Option<Unused>,
    /// Training of those who used roles that demand it; `None` where the policies demand none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trained: Option<Vec<Trained>>,
    /// Policies, crashes and the like.
    pub events: LogEvents,
    /// Findings that somebody looked at and judged in the period (POPIA s19(2)(c)).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reviews: Vec<Review>,
    /// Campaigns in which what everybody has was certified, begun in the period.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub campaigns: Vec<Campaign>,
    /// What enforcement would break.
    pub observed: Observed,
}

/// Builds a [`Report`] from records in their order.
#[derive(Debug)]
pub struct Reporter {
    wanted: Wanted,
    clock: Clock,
    /// By relation and column, for records that do not say it themselves.
    categories: BTreeMap<String, BTreeMap<String, String>>,
    log: Option<Reach>,
    records: u64,
    activity: activity::Collector,
    refusals: refusals::Collector,
    unusual: unusual::Collector,
    strangers: strangers::Collector,
    found: Vec<strangers::Stranger>,
    unused: Option<unused::Collector>,
    trained: Option<trained::Collector>,
    events: events::Collector,
    reviews: Vec<Review>,
    campaigns: desk::campaigns::Campaigns,
    observed: observed::Collector,
}

impl Reporter {
    /// `span` is the log's, as [`span`] tells it; with it the steps of the charts are chosen.
    pub fn new(wanted: Wanted, span: Option<(Timestamp, Timestamp)>, policies: Option<&PolicySet>) -> Self {
        let clock = Clock::new(wanted.zone.clone());
        let (from, to) = span.unwrap_or((wanted.now, wanted.now));
        let from = wanted.since.map_or(from, |since| since.max(from));
        let to = wanted.until.map_or(to, |until| until.min(to)).max(from);
        let mut categories: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
        for (relation, column, category) in policies.into_iter().flat_map(PolicySet::categories) {
            categories.entry(relation).or_default().insert(column.to_owned(), category.to_owned());
        }
        Self {
            activity: activity::Collector::new(&clock, from, to),
            refusals: refusals::Collector::default(),
            unusual: unusual::Collector::default(),
            strangers: strangers::Collector::default(),
            found: Vec::new(),
            unused: policies.map(unused::Collector::new),
            trained: policies.and_then(trained::Collector::new),
            events: events::Collector::default(),
            reviews: Vec::new(),
            campaigns: desk::campaigns::Campaigns::default(),
            observed: observed::Collector::default(),
            clock,
            categories,
            wanted,
            log: None,
            records: 0,
        }
    }

    /// The next record.
    pub fn add(&mut self, entry: &Entry) {
        self.records += 1;
        let event = entry.event();
        if event == "outcome" {
            self.unusual.outcome(entry);
            return;
        }
        let (Some(time), Some(seq)) = (entry.time(), entry.seq()) else { return };
        let at = At { time, seq };
        self.log = Some(Reach { first: self.log.map_or(at, |log| log.first), last: at });
        if self.wanted.until.is_some_and(|until| time >= until) {
            return;
        }
        let within = self.wanted.since.is_none_or(|since| time >= since);
        match event {
            "access" => {
                let facts = Facts::of(entry, &self.categories);
                let moment = self.clock.moment(at);
                self.unusual.access(&facts, moment, within);
                if let Some(unused) = &mut self.unused {
                    unused.access(&facts, at);
                }
                if within {
                    if let Some(trained) = &mut self.trained {
                        trained.access(entry);
                    }
                    self.activity.access(&facts, moment);
                    self.refusals.access(&facts, at);
                    self.observed.access(&facts, at);
                }
            }
            "disclosure" => {
                self.unusual.disclosure(entry, self.clock.moment(at), within);
                self.found.extend(self.strangers.disclosure(entry, self.clock.moment(at), within));
                if within {
                    self.activity.disclosure(entry, self.clock.moment(at));
                }
            }
            _ => {
                if let Some(unused) = &mut self.unused {
                    unused.event(entry, at);
                }
                if event == "start" {
                    self.unusual.restarted(seq);
                }
                if let Some(trained) = self.trained.as_mut().filter(|_| event == "request") {
                    trained.step(entry, time);
                }
                if within {
                    self.refusals.event(entry, at);
                    self.events.add(entry, at);
                    match event {
                        "review" if self.reviews.len() < MOST_REVIEWS => self.reviews.push(Review::of(entry, at)),
                        "campaign" => self.campaigns.step(entry, at),
                        _ => {}
                    }
                }
            }
        }
    }

    /// All that was found.
    pub fn finish(self) -> Report {
        let end = self.wanted.until.unwrap_or(self.wanted.now);
        let log_from = self.log.map(|log| log.first.time);
        let mut unusual = self.unusual.finish(&self.clock);
        let strangers = self.found.into_iter().map(|found| {
            let day = self.clock.day_of(found.at.time);
            found.finding(day)
        });
        unusual.findings.extend(strangers);
        unusual.findings.sort_by_key(|finding| (finding.at.time, finding.at.seq));
        Report {
            time_zone: self.clock.name(),
            log: self.log,
            records: self.records,
            activity: self.activity.finish(),
            refusals: self.refusals.finish(),
            unusual,
            unused: self.unused.map(|unused| unused.finish(self.wanted.unused_days, end, log_from)),
            trained: self.trained.map(|trained| trained.finish(end, &self.wanted.zone)),
            events: self.events.finish(),
            reviews: self.reviews,
            campaigns: self.campaigns.all().to_vec(),
            observed: self.observed.finish(),
        }
    }
}

/// No more of a text than is worth repeating.
fn shortened(text: &str) -> String {
    let mut characters = text.chars();
    let mut short: String = characters.by_ref().take(LONGEST).collect();
    if characters.next().is_some() {
        short.push('…');
    }
    short
}
