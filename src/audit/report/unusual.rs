//! What differs from a login's own past: judged record by record, by what came before and nothing else. Where statements say for which
//! of the application's end users they ran, each of those is judged by their own past as well.
//!
//! A login is judged once its first statement is [`HISTORY_DAYS`] old and it was active on [`ACTIVE_DAYS`] days before the one
//! at hand; before that nobody knows what is usual for it. Of its past, its last [`KEPT_DAYS`] active days count for volumes.

mod live;
mod whose;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub(super) use self::whose::Whose;
use super::At;
use super::clock::{Clock, Moment};
use super::facts::{Facts, NO_CATEGORY, UNKNOWN};
use crate::audit::record::Entry;

/// So many days after its first statement a login begins to be judged.
pub const HISTORY_DAYS: i64 = 14;
/// And once it was active on so many days before.
pub const ACTIVE_DAYS: usize = 5;
/// A day is held against so many active days before it.
pub const KEPT_DAYS: usize = 90;
/// Hours are judged once a login made so many statements before.
pub const HOURS_STATEMENTS: u64 = 100;

/// Looks at other people's are counted over so many days.
pub const STRANGER_DAYS: i64 = 7;

/// So many logins are followed, and as many actors.
const MOST_LOGINS: usize = 5000;
/// So many categories of a login.
const MOST_CATEGORIES: usize = 300;
/// So many findings are told.
const MOST_FINDINGS: usize = 1000;
/// So many statements wait for their outcome.
const MOST_WAITING: usize = 200_000;

/// What is counted of a login's day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Measure {
    /// Statements, refused ones included.
    Statements,
    /// Data subjects in the rows that were returned, once for each record that names them.
    Subjects,
    /// Rows that the database said it returned or changed.
    Rows,
}

impl Measure {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Statements, Self::Subjects, Self::Rows];

    /// No day of up to so many is unusual.
    pub fn floor(self) -> u64 {
        match self {
            Self::Statements => 50,
            Self::Subjects => 20,
            Self::Rows => 500,
        }
    }
}

/// What is unusual.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum What {
    /// A login that the log did not hold before, though it goes back [`HISTORY_DAYS`] days.
    NewLogin {
        /// How many days it goes back.
        log_days: i64,
    },
    /// A login's first use of a category.
    NewCategory {
        /// The category.
        category: String,
        /// For which purpose.
        purpose: String,
        /// What it used before.
        usual: Vec<String>,
        /// Days since its first statement.
        known_days: i64,
    },
    /// More on one day than on those before.
    Volume {
        /// Of what.
        measure: Measure,
        /// How much, at the day's end.
        count: u64,
        /// What is still usual: the median of the days before, and five times the median distance from it or as much again,
        /// whichever is more; never below the measure's floor.
        limit: u64,
        /// The median of the days before.
        median: u64,
        /// How many these were.
        days: usize,
    },
    /// People whom others of the same login look after, and whom this actor had not seen before: more in [`STRANGER_DAYS`] than the others
    /// see of each other's.
    Strangers {
        /// How many.
        people: u64,
        /// What is still usual.
        limit: u64,
        /// What the one in the middle of the others saw.
        median: u64,
        /// How many others there are.
        others: usize,
    },
    /// In hours in which fewer than one in a hundred of its earlier statements were made.
    Hours {
        /// The hours, 0 to 23.
        hours: Vec<usize>,
        /// Statements in them.
        statements: u64,
        /// The hours in which it made more.
        usual: Vec<usize>,
        /// Its earlier statements.
        earlier: u64,
    },
}

impl What {
    /// Whether it is told with the record that shows it, and not when the day is over.
    pub(super) fn is_told_at_once(&self) -> bool {
        match self {
            Self::NewLogin { .. } | Self::NewCategory { .. } | Self::Strangers { .. } => true,
            Self::Volume { .. } | Self::Hours { .. } => false,
        }
    }
}

/// Something unusual.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The record that shows it first.
    #[serde(flatten)]
    pub at: At,
    /// The day in the zone of the report.
    pub day: String,
    /// PostgreSQL login.
    pub login: String,
    /// The application's end user behind it, where it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// What.
    #[serde(flatten)]
    pub what: What,
}

/// Everything unusual in the period.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Unusual {
    /// In the order of the log.
    pub findings: Vec<Finding>,
    /// Findings that were too many to be told.
    pub more: u64,
    /// Logins whose past was long enough to judge them on some day of the period.
    pub judged: usize,
    /// Actors likewise.
    pub actors_judged: usize,
    /// Logins that were seen in the period and could not be judged on any day of it.
    pub too_new: Vec<String>,
    /// How many actors were seen in the period and could not be judged on any day of it.
    pub actors_too_new: usize,
    /// Logins and actors that were too many to be followed; their statements are not judged.
    pub not_followed: u64,
}

type Amounts = [u64; 3];

/// A login's past and its day at hand.
#[derive(Debug, Serialize, Deserialize)]
struct History {
    first_day: i64,
    days: VecDeque<Amounts>,
    hours: [u64; 24],
    categories: BTreeSet<String>,
    today: Today,
    judged: bool,
    in_period: bool,
}

#[derive(Debug, Serialize, Deserialize)]
struct Today {
    day: i64,
    amounts: Amounts,
    hours: [u64; 24],
    /// Whether the past is long enough.
    judged: bool,
    limits: Amounts,
    /// The record that went beyond each limit.
    beyond: [Option<At>; 3],
    /// The first record in unusual hours, and how many there are in each.
    odd: Option<At>,
    odd_hours: BTreeMap<usize, u64>,
    /// What was told while it happened.
    told: [bool; 3],
    odd_told: bool,
    /// The newest record that had to do with the day.
    newest: At,
    within: bool,
}

#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Collector {
    #[serde(with = "super::pairs")]
    known: HashMap<Whose, History>,
    actors: usize,
    /// Whose day the newest record changed.
    #[serde(skip)]
    touched: Vec<Whose>,
    /// Statements without an outcome so far.
    #[serde(with = "super::pairs")]
    waiting: BTreeMap<u64, Whose>,
    first_day: Option<i64>,
    #[serde(skip)]
    findings: Vec<Finding>,
    more: u64,
    not_followed: BTreeSet<u64>,
}

impl Collector {
    pub(super) fn access(&mut self, facts: &Facts<'_>, moment: Moment, within: bool) {
        let day = moment.day();
        let log_days = day - *self.first_day.get_or_insert(day);
        let mut waits = None;
        self.touched.clear();
        for whose in Whose::all(facts.login, facts.actor) {
            if !self.follow(&whose, moment, log_days, within) {
                continue;
            }
            self.judge(&whose, facts, moment, within);
            self.touched.push(whose.clone());
            waits = Some(whose);
        }
        if let Some(whose) = waits.filter(|_| !facts.refused()) {
            if self.waiting.len() >= MOST_WAITING {
                self.waiting.pop_first();
            }
            self.waiting.insert(moment.at.seq, whose);
        }
    }

    fn judge(&mut self, whose: &Whose, facts: &Facts<'_>, moment: Moment, within: bool) {
        let Some(history) = self.known.get_mut(whose) else { return };
        let closed = history.turn(moment, within);
        let known_days = moment.day() - history.first_day;
        history.in_period |= within;
        history.judged |= within && history.today.judged;
        let hour = moment.hour();
        let earlier: u64 = history.hours.iter().sum();
        let today = &mut history.today;
        if let Some(count) = today.hours.get_mut(hour) {
            *count += 1;
        }
        if within && today.judged && earlier >= HOURS_STATEMENTS && is_odd(&history.hours, hour, earlier) {
            today.odd.get_or_insert(moment.at);
            *today.odd_hours.entry(hour).or_default() += 1;
        }
        today.add(Measure::Statements, 1, moment.at, within);
        let judged = today.judged;
        let categories: BTreeSet<&str> = facts.accessed().map(|(_, column)| column.category).collect();
        let mut new = Vec::new();
        for category in categories {
            if matches!(category, NO_CATEGORY | UNKNOWN) || history.categories.contains(category) {
                continue;
            }
            if judged && within {
                let usual = history.categories.iter().cloned().collect();
                let (category, purpose) = (category.to_owned(), facts.purpose.to_owned());
                new.push(What::NewCategory { category, purpose, usual, known_days });
            }
            if history.categories.len() < MOST_CATEGORIES {
                history.categories.insert(category.to_owned());
            }
        }
        for (at, what) in closed {
            self.found(whose, at, what);
        }
        for what in new {
            self.found(whose, moment.at, what);
        }
    }

    /// Whether its history is kept; it is met for the first time here, or known.
    fn follow(&mut self, whose: &Whose, moment: Moment, log_days: i64, within: bool) -> bool {
        if self.known.contains_key(whose) {
            return true;
        }
        let kind = if whose.actor.is_some() { self.actors } else { self.known.len() - self.actors };
        if kind >= MOST_LOGINS {
            self.not_followed.insert(hash(whose));
            return false;
        }
        self.actors += usize::from(whose.actor.is_some());
        self.known.insert(whose.clone(), History::begin(moment));
        // People come and go; a login is given.
        if within && log_days >= HISTORY_DAYS && whose.actor.is_none() {
            self.found(whose, moment.at, What::NewLogin { log_days });
        }
        true
    }

    pub(super) fn disclosure(&mut self, entry: &Entry, moment: Moment, within: bool) {
        let subjects: BTreeSet<&str> = entry.subjects().collect();
        self.touched.clear();
        for whose in Whose::all(entry.text("login").unwrap_or_default(), entry.text("actor")) {
            if let Some(history) = self.known.get_mut(&whose) {
                history.today.add(Measure::Subjects, subjects.len() as u64, moment.at, within);
                self.touched.push(whose);
            }
        }
    }

    /// An outcome has no time of its own: its rows count for the day of the login's newest statement.
    pub(super) fn outcome(&mut self, entry: &Entry) {
        let of = entry.number("of").unwrap_or_default();
        let Some(Whose { login, actor }) = self.waiting.remove(&of) else { return };
        let Some(rows) = entry.number("rows") else { return };
        self.touched.clear();
        let own = actor.map(|actor| Whose { login: Arc::clone(&login), actor: Some(actor) });
        for whose in [Some(Whose { login, actor: None }), own].into_iter().flatten() {
            if let Some(history) = self.known.get_mut(&whose) {
                let (newest, within) = (history.today.newest, history.today.within);
                history.today.add(Measure::Rows, rows, At { seq: of, ..newest }, within);
                self.touched.push(whose);
            }
        }
    }

    /// A proxy was started: what waits in its log has no outcome any more.
    pub(super) fn restarted(&mut self, seq: u64) {
        let (log, _) = super::of_log(seq);
        self.waiting.retain(|waiting, _| super::of_log(*waiting).0 != log);
    }

    fn found(&mut self, whose: &Whose, at: At, what: What) {
        if self.findings.len() >= MOST_FINDINGS {
            self.more += 1;
            return;
        }
        self.findings.push(whose.finding(at, what, String::new()));
    }

    /// What was found since this was asked last, in the order of the log.
    pub(super) fn take_findings(&mut self) -> Vec<Finding> {
        std::mem::take(&mut self.findings)
    }

    pub(super) fn finish(mut self, clock: &Clock) -> Unusual {
        let mut known: Vec<(Whose, History)> = self.known.drain().collect();
        known.sort_by(|a, b| a.0.cmp(&b.0));
        let mut told = Unusual::default();
        for (whose, history) in known {
            for (at, what) in history.close() {
                self.found(&whose, at, what);
            }
            match (&whose.actor, history.judged) {
                (None, true) => told.judged += 1,
                (Some(_), true) => told.actors_judged += 1,
                (None, false) if history.in_period && told.too_new.len() < MOST_FINDINGS => {
                    told.too_new.push(super::shortened(&whose.login));
                }
                (Some(_), false) if history.in_period => told.actors_too_new += 1,
                (_, false) => {}
            }
        }
        let mut findings = self.findings;
        for finding in &mut findings {
            finding.day = clock.day_of(finding.at.time);
        }
        findings.sort_by_key(|finding| (finding.at.time, finding.at.seq));
        Unusual { findings, more: self.more, not_followed: self.not_followed.len() as u64, ..told }
    }
}

/// Not to be remembered by name: there are too many.
fn hash(whose: &Whose) -> u64 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    whose.hash(&mut hasher);
    // A bound for those that are not followed.
    hasher.finish() % 1_000_000
}

fn is_odd(hours: &[u64; 24], hour: usize, earlier: u64) -> bool {
    hours.get(hour).copied().unwrap_or_default().saturating_mul(100) < earlier
}

impl History {
    fn begin(moment: Moment) -> Self {
        Self {
            first_day: moment.day(),
            days: VecDeque::new(),
            hours: [0; 24],
            categories: BTreeSet::new(),
            today: Today::begin(moment, false, [u64::MAX; 3]),
            judged: false,
            in_period: false,
        }
    }

    /// Where another day has begun, the one at hand becomes part of the past. What was unusual in it is returned. A clock that
    /// was set back does not bring a day back.
    fn turn(&mut self, moment: Moment, within: bool) -> Vec<(At, What)> {
        let found = if moment.day() > self.today.day {
            let found = self.close();
            if self.days.len() >= KEPT_DAYS {
                self.days.pop_front();
            }
            self.days.push_back(self.today.amounts);
            for (all, today) in self.hours.iter_mut().zip(self.today.hours) {
                *all += today;
            }
            let judged = moment.day() - self.first_day >= HISTORY_DAYS && self.days.len() >= ACTIVE_DAYS;
            self.today = Today::begin(moment, judged, Measure::ALL.map(|measure| self.limit(measure).0));
            found
        } else {
            Vec::new()
        };
        self.today.newest = moment.at;
        self.today.within |= within;
        found
    }

    /// What is still usual, and the median.
    fn limit(&self, measure: Measure) -> (u64, u64) {
        let amount = |day: &Amounts| day.get(measure as usize).copied().unwrap_or_default();
        let middle = median(self.days.iter().map(amount).collect());
        let spread = median(self.days.iter().map(|day| amount(day).abs_diff(middle)).collect());
        let limit = middle.saturating_add(spread.saturating_mul(5).max(middle));
        (limit.max(measure.floor()), middle)
    }

    /// The unusual hours of the day at hand.
    fn odd_hours(&self) -> Option<What> {
        self.today.odd?;
        let earlier = self.hours.iter().sum();
        Some(What::Hours {
            hours: self.today.odd_hours.keys().copied().collect(),
            statements: self.today.odd_hours.values().sum(),
            usual: (0..24).filter(|hour| !is_odd(&self.hours, *hour, earlier)).collect(),
            earlier,
        })
    }

    /// What was unusual in the day at hand.
    fn close(&self) -> Vec<(At, What)> {
        let mut found = Vec::new();
        for measure in Measure::ALL {
            let at = self.today.beyond.get(measure as usize).copied().flatten();
            if let (Some(at), Some(count)) = (at, self.today.amounts.get(measure as usize)) {
                let (limit, median) = self.limit(measure);
                let what = What::Volume { measure, count: *count, limit, median, days: self.days.len() };
                found.push((at, what));
            }
        }
        if let (Some(at), Some(what)) = (self.today.odd, self.odd_hours()) {
            found.push((at, what));
        }
        found
    }
}

impl Today {
    fn begin(moment: Moment, judged: bool, limits: Amounts) -> Self {
        Self {
            day: moment.day(),
            amounts: [0; 3],
            hours: [0; 24],
            judged,
            limits,
            beyond: [None; 3],
            odd: None,
            odd_hours: BTreeMap::new(),
            told: [false; 3],
            odd_told: false,
            newest: moment.at,
            within: false,
        }
    }

    fn add(&mut self, measure: Measure, amount: u64, at: At, within: bool) {
        let index = measure as usize;
        let Some(total) = self.amounts.get_mut(index) else { return };
        *total = total.saturating_add(amount);
        let beyond = self.limits.get(index).is_some_and(|limit| *total > *limit);
        if let (true, true, true, Some(first)) = (beyond, within, self.judged, self.beyond.get_mut(index)) {
            first.get_or_insert(at);
        }
    }
}

/// Of an even number of values the lower one in the middle; 0 of none.
fn median(mut values: Vec<u64>) -> u64 {
    values.sort_unstable();
    values.get(values.len().saturating_sub(1) / 2).copied().unwrap_or_default()
}
