//! How often, by purpose, role, recipient and category, over time.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::Timestamp;
use serde::Serialize;

use super::as_text;
use super::clock::{Bucket, Clock, Grain, Moment, Steps};
use super::facts::{Facts, named, objects, part};
use crate::audit::record::Entry;

/// So many names of a kind are counted by themselves.
const MOST_NAMES: usize = 200;

/// How often.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Counts {
    /// Statements, refused ones included.
    pub statements: u64,
    /// Of these, refused.
    pub refused: u64,
    /// Of these, run in observe mode where enforcement would have refused them.
    pub would_refuse: u64,
    /// Data subjects in the rows that were returned, once for each record that names them.
    pub subjects: u64,
}

impl Counts {
    fn add(&mut self, other: Self) {
        self.statements += other.statements;
        self.refused += other.refused;
        self.would_refuse += other.would_refuse;
        self.subjects += other.subjects;
    }
}

/// One purpose, role, recipient or category.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// Its name; `None` for all those that were too many to be counted by themselves.
    pub name: Option<String>,
    /// In the whole period.
    pub total: Counts,
    /// In each step of it.
    pub steps: Vec<Counts>,
}

/// Statements of a role that is relayed as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unrestricted {
    /// PostgreSQL login.
    pub login: String,
    /// Why, as the policy said it last.
    pub reason: String,
    /// How many.
    pub statements: u64,
}

/// What lies in the period.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Activity {
    /// Its beginning.
    #[serde(serialize_with = "as_text")]
    pub from: Timestamp,
    /// Its end.
    #[serde(serialize_with = "as_text")]
    pub to: Timestamp,
    /// The step of what follows.
    pub grain: Grain,
    /// Each step: its beginning.
    pub steps: Vec<Bucket>,
    /// Everything.
    pub all: Line,
    /// By purpose, the most frequent first.
    pub purposes: Vec<Line>,
    /// By role.
    pub roles: Vec<Line>,
    /// By recipient.
    pub recipients: Vec<Line>,
    /// By category. A statement counts once for each that it had to do with, and as refused for those it was refused for.
    pub categories: Vec<Line>,
    /// Roles that are relayed as they are: which columns their statements used is not known.
    pub unrestricted: Vec<Unrestricted>,
}

/// Names of one kind.
#[derive(Debug, Default)]
struct Names {
    known: HashMap<String, Vec<Counts>>,
    others: Vec<Counts>,
}

impl Names {
    fn add(&mut self, name: &str, steps: usize, at: usize, counts: Counts) {
        let series = if self.known.contains_key(name) || self.known.len() < MOST_NAMES {
            self.known.entry(name.to_owned()).or_default()
        } else {
            &mut self.others
        };
        if series.is_empty() {
            series.resize(steps, Counts::default());
        }
        if let Some(step) = series.get_mut(at) {
            step.add(counts);
        }
    }

    fn lines(self) -> Vec<Line> {
        let line = |name: Option<String>, steps: Vec<Counts>| {
            let mut total = Counts::default();
            steps.iter().for_each(|step| total.add(*step));
            Line { name, total, steps }
        };
        let mut lines: Vec<Line> = self.known.into_iter().map(|(name, steps)| line(Some(name), steps)).collect();
        lines.sort_by(|a, b| (b.total.statements, &a.name).cmp(&(a.total.statements, &b.name)));
        if !self.others.is_empty() {
            lines.push(line(None, self.others));
        }
        lines
    }
}

#[derive(Debug)]
pub(super) struct Collector {
    from: Timestamp,
    to: Timestamp,
    steps: Steps,
    all: Vec<Counts>,
    purposes: Names,
    roles: Names,
    recipients: Names,
    categories: Names,
    unrestricted: BTreeMap<String, (String, u64)>,
}

impl Collector {
    pub(super) fn new(clock: &Clock, from: Timestamp, to: Timestamp) -> Self {
        let steps = Steps::new(clock, from, to);
        Self {
            from,
            to,
            steps,
            all: vec![Counts::default(); steps.count()],
            purposes: Names::default(),
            roles: Names::default(),
            recipients: Names::default(),
            categories: Names::default(),
            unrestricted: BTreeMap::new(),
        }
    }

    fn add(&mut self, at: usize, purpose: &str, role: &str, recipient: &str, counts: Counts) {
        let steps = self.steps.count();
        if let Some(all) = self.all.get_mut(at) {
            all.add(counts);
        }
        self.purposes.add(purpose, steps, at, counts);
        self.roles.add(role, steps, at, counts);
        self.recipients.add(recipient, steps, at, counts);
    }

    pub(super) fn access(&mut self, facts: &Facts<'_>, moment: Moment) {
        let (at, steps) = (self.steps.at(moment), self.steps.count());
        let counts = Counts {
            statements: 1,
            refused: u64::from(facts.refused()),
            would_refuse: u64::from(facts.denied && facts.observed),
            subjects: 0,
        };
        self.add(at, facts.purpose, facts.role, facts.recipient, counts);
        let closed: BTreeSet<&str> = facts.closed().map(|(_, column)| column.category).collect();
        let accessed: BTreeSet<&str> = facts.accessed().map(|(_, column)| column.category).collect();
        for category in closed.union(&accessed) {
            let denied = u64::from(closed.contains(category));
            let counts = Counts {
                refused: if facts.observed { 0 } else { denied },
                would_refuse: if facts.observed { denied } else { 0 },
                ..counts
            };
            self.categories.add(category, steps, at, counts);
        }
        if let Some(reason) = facts.unrestricted {
            let known = self.unrestricted.len();
            let login =
                if known < MOST_NAMES || self.unrestricted.contains_key(facts.login) { facts.login } else { "others" };
            let (why, statements) = self.unrestricted.entry(login.to_owned()).or_default();
            if why != reason {
                *why = super::shortened(reason);
            }
            *statements += 1;
        }
    }

    pub(super) fn disclosure(&mut self, entry: &Entry, moment: Moment) {
        let (at, steps) = (self.steps.at(moment), self.steps.count());
        let counts = |subjects: usize| Counts { subjects: subjects as u64, ..Counts::default() };
        let text = |field| named(entry.text(field).unwrap_or_default());
        let all: BTreeSet<&str> = entry.subjects().collect();
        self.add(at, text("purpose"), text("role"), text("recipient"), counts(all.len()));
        let mut by_category: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for relation in objects(entry.field("relations")) {
            let subjects = relation.get("subjects").and_then(serde_json::Value::as_array);
            let subjects: Vec<&str> = subjects.into_iter().flatten().filter_map(serde_json::Value::as_str).collect();
            for category in objects(relation.get("columns")).filter_map(|column| part(column, "category")) {
                by_category.entry(category).or_default().extend(&subjects);
            }
        }
        for (category, subjects) in by_category {
            self.categories.add(category, steps, at, counts(subjects.len()));
        }
    }

    pub(super) fn finish(self) -> Activity {
        let all = Names { known: HashMap::new(), others: self.all }.lines().pop();
        let unrestricted = self.unrestricted.into_iter();
        Activity {
            from: self.from,
            to: self.to,
            grain: self.steps.grain,
            steps: self.steps.labels(),
            all: all.unwrap_or(Line { name: None, total: Counts::default(), steps: Vec::new() }),
            purposes: self.purposes.lines(),
            roles: self.roles.lines(),
            recipients: self.recipients.lines(),
            categories: self.categories.lines(),
            unrestricted: unrestricted
                .map(|(login, (reason, statements))| Unrestricted { login, reason, statements })
                .collect(),
        }
    }
}
