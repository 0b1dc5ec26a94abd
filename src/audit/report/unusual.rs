//! What differs from a login's own past: judged record by record, by what came before and nothing else.
//!
//! A login is judged once its first statement is [`HISTORY_DAYS`] old and it was active on [`ACTIVE_DAYS`] days before the one
//! at hand; before that nobody knows what is usual for it. Of its past, its last [`KEPT_DAYS`] active days count for volumes.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::rc::Rc;

use serde::Serialize;

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

/// So many logins are followed.
const MOST_LOGINS: usize = 5000;
/// So many categories of a login.
const MOST_CATEGORIES: usize = 300;
/// So many findings are told.
const MOST_FINDINGS: usize = 1000;
/// So many statements wait for their outcome.
const MOST_WAITING: usize = 200_000;

/// What is counted of a login's day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
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

/// Something unusual.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The record that shows it first.
    #[serde(flatten)]
    pub at: At,
    /// The day in the zone of the report.
    pub day: String,
    /// PostgreSQL login.
    pub login: String,
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
    /// Logins that were seen in the period and could not be judged on any day of it.
    pub too_new: Vec<String>,
    /// Logins that were too many to be followed; their statements are not judged.
    pub not_followed: u64,
}

type Amounts = [u64; 3];

/// A login's past and its day at hand.
#[derive(Debug)]
struct History {
    first_day: i64,
    days: VecDeque<Amounts>,
    hours: [u64; 24],
    categories: BTreeSet<String>,
    today: Today,
    judged: bool,
    in_period: bool,
}

#[derive(Debug)]
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
    /// The newest record that had to do with the day.
    newest: At,
    within: bool,
}

#[derive(Debug, Default)]
pub(super) struct Collector {
    logins: HashMap<Rc<str>, History>,
    /// Statements without an outcome so far.
    waiting: BTreeMap<u64, Rc<str>>,
    first_day: Option<i64>,
    findings: Vec<Finding>,
    more: u64,
    not_followed: BTreeSet<u64>,
}

impl Collector {
    pub(super) fn access(&mut self, facts: &Facts<'_>, moment: Moment, within: bool) {
        let day = moment.day();
        let log_days = day - *self.first_day.get_or_insert(day);
        let Some(login) = self.follow(facts.login, moment, log_days, within) else { return };
        let Some(history) = self.logins.get_mut(&login) else { return };
        let closed = history.turn(moment, within);
        let known_days = day - history.first_day;
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
            self.found(&login, at, what);
        }
        for what in new {
            self.found(&login, moment.at, what);
        }
        if !facts.refused() {
            if self.waiting.len() >= MOST_WAITING {
                self.waiting.pop_first();
            }
            self.waiting.insert(moment.at.seq, login);
        }
    }

    /// The login as a key of the map; it is met for the first time here, or known.
    fn follow(&mut self, login: &str, moment: Moment, log_days: i64, within: bool) -> Option<Rc<str>> {
        if let Some((known, _)) = self.logins.get_key_value(login) {
            return Some(Rc::clone(known));
        }
        if self.logins.len() >= MOST_LOGINS {
            self.not_followed.insert(hash(login));
            return None;
        }
        let name: Rc<str> = login.into();
        self.logins.insert(Rc::clone(&name), History::begin(moment));
        if within && log_days >= HISTORY_DAYS {
            self.found(&name, moment.at, What::NewLogin { log_days });
        }
        Some(name)
    }

    pub(super) fn disclosure(&mut self, entry: &Entry, moment: Moment, within: bool) {
        let login = entry.text("login").unwrap_or_default();
        if let Some(history) = self.logins.get_mut(login) {
            let subjects: BTreeSet<&str> = entry.subjects().collect();
            history.today.add(Measure::Subjects, subjects.len() as u64, moment.at, within);
        }
    }

    /// An outcome has no time of its own: its rows count for the day of the login's newest statement.
    pub(super) fn outcome(&mut self, entry: &Entry) {
        let of = entry.number("of").unwrap_or_default();
        let Some(login) = self.waiting.remove(&of) else { return };
        if let (Some(rows), Some(history)) = (entry.number("rows"), self.logins.get_mut(&login)) {
            let (newest, within) = (history.today.newest, history.today.within);
            history.today.add(Measure::Rows, rows, At { seq: of, ..newest }, within);
        }
    }

    /// The proxy was started: what waits has no outcome any more.
    pub(super) fn restarted(&mut self) {
        self.waiting.clear();
    }

    fn found(&mut self, login: &Rc<str>, at: At, what: What) {
        if self.findings.len() >= MOST_FINDINGS {
            self.more += 1;
            return;
        }
        let login = super::shortened(login);
        self.findings.push(Finding { at, day: String::new(), login, what });
    }

    pub(super) fn finish(mut self, clock: &Clock) -> Unusual {
        let mut logins: Vec<(Rc<str>, History)> = self.logins.drain().collect();
        logins.sort_by(|a, b| a.0.cmp(&b.0));
        let (mut judged, mut too_new) = (0, Vec::new());
        for (login, history) in logins {
            for (at, what) in history.close() {
                self.found(&login, at, what);
            }
            if history.judged {
                judged += 1;
            } else if history.in_period && too_new.len() < MOST_FINDINGS {
                too_new.push(super::shortened(&login));
            }
        }
        let mut findings = self.findings;
        for finding in &mut findings {
            finding.day = clock.day_of(finding.at.time);
        }
        findings.sort_by_key(|finding| finding.at.seq);
        Unusual { findings, more: self.more, judged, too_new, not_followed: self.not_followed.len() as u64 }
    }
}

/// Not to be remembered by name: there are too many.
fn hash(login: &str) -> u64 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    login.hash(&mut hasher);
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
        if let Some(at) = self.today.odd {
            let earlier = self.hours.iter().sum();
            let what = What::Hours {
                hours: self.today.odd_hours.keys().copied().collect(),
                statements: self.today.odd_hours.values().sum(),
                usual: (0..24).filter(|hour| !is_odd(&self.hours, *hour, earlier)).collect(),
                earlier,
            };
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
