//! What the log says of the people who were seen: of one of them (POPIA s23), or of all whom one login saw (s22).

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use super::read::{Entry, scan};

/// Which records count.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Wanted {
    /// The subject in each form that it may have in the log; empty: everybody.
    pub subjects: Vec<String>,
    /// This login alone.
    pub login: Option<String>,
    /// This relation alone: `public.customers`, or `customers` in any schema.
    pub relation: Option<String>,
    /// Not before.
    pub since: Option<Timestamp>,
    /// Before.
    pub until: Option<Timestamp>,
}

/// On whose behalf and why something was seen.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Whom {
    /// `internal`, or the third party's name.
    pub recipient: String,
    /// The purpose.
    pub purpose: String,
    /// The role.
    pub role: String,
}

/// What was seen for them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct SeenFor {
    /// How many statements.
    pub statements: usize,
    /// The first.
    pub first: String,
    /// The last.
    pub last: String,
    /// PostgreSQL logins.
    pub logins: BTreeSet<String>,
    /// By relation and column: the category, and whether it was ever seen as it is.
    pub columns: BTreeMap<String, BTreeMap<String, SeenColumn>>,
    #[serde(skip)]
    counted: BTreeSet<u64>,
}

/// How a column was seen.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct SeenColumn {
    /// The policy's category then.
    pub category: Option<String>,
    /// Whether it was seen as it is at least once, and not through a mask only.
    pub plain: bool,
}

/// Something that was counted, grouped or tested for, by people who are not known one by one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Group {
    /// On whose behalf and why.
    #[serde(flatten)]
    pub whom: Whom,
    /// The relation.
    pub relation: String,
    /// The condition, without literals.
    pub filter: Option<String>,
}

/// How often, and when.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Times {
    /// How many statements.
    pub statements: usize,
    /// The first.
    pub first: String,
    /// The last.
    pub last: String,
}

/// All that was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sightings {
    /// By whom, and what.
    pub seen: BTreeMap<Whom, SeenFor>,
    /// Everybody who was seen, by relation.
    pub subjects: BTreeMap<String, BTreeSet<String>>,
    /// Everybody whose columns of a category were seen.
    pub categories: BTreeMap<String, BTreeSet<String>>,
    /// What was counted, grouped or tested for.
    pub groups: BTreeMap<Group, Times>,
    /// Statements by roles that are relayed as they are, by login: what they saw is not known.
    pub unrestricted: BTreeMap<String, Times>,
    /// Statements of all kinds.
    pub statements: usize,
    /// Of which refused.
    pub refused: usize,
    /// Time of the log's first record.
    pub log_from: Option<String>,
    /// Time of its last.
    pub log_to: Option<String>,
}

impl Times {
    fn add(&mut self, time: &str) {
        self.statements = self.statements.saturating_add(1);
        between(&mut self.first, &mut self.last, time);
    }
}

/// Records are in order of time within one log, but clocks are set back.
fn between(first: &mut String, last: &mut String, time: &str) {
    if first.is_empty() || time < first.as_str() {
        time.clone_into(first);
    }
    if time > last.as_str() {
        time.clone_into(last);
    }
}

impl Sightings {
    /// Reads the whole log.
    ///
    /// # Errors
    /// The folder or a file cannot be read.
    pub fn collect(directory: &Path, wanted: &Wanted) -> io::Result<Self> {
        let mut found = Self::default();
        scan(directory, |entry| {
            found.add(&entry, wanted);
            true
        })?;
        Ok(found)
    }

    fn add(&mut self, entry: &Entry, wanted: &Wanted) {
        let Some(time) = entry.text("time") else { return };
        self.log_from.get_or_insert_with(|| time.to_owned());
        self.log_to = Some(time.to_owned());
        let event = entry.event();
        if !matches!(event, "disclosure" | "access") || !wanted.takes(entry, time) {
            return;
        }
        if event == "access" {
            self.statement(entry, time);
        } else {
            self.disclosure(entry, time, wanted);
        }
    }

    fn statement(&mut self, entry: &Entry, time: &str) {
        self.statements = self.statements.saturating_add(1);
        if entry.text("verdict") == Some("deny") && entry.text("mode").is_none() {
            self.refused = self.refused.saturating_add(1);
        }
        if entry.text("unrestricted").is_some() {
            self.unrestricted.entry(entry.text("login").unwrap_or_default().to_owned()).or_default().add(time);
        }
    }

    fn disclosure(&mut self, entry: &Entry, time: &str, wanted: &Wanted) {
        let text = |field| entry.text(field).unwrap_or_default().to_owned();
        let whom = Whom { recipient: text("recipient"), purpose: text("purpose"), role: text("role") };
        for relation in objects(entry.field("aggregate")) {
            let name = relation.get("name").and_then(Value::as_str).unwrap_or_default();
            if wanted.takes_relation(name) {
                let filter = relation.get("filter").and_then(Value::as_str).map(str::to_owned);
                let group = Group { whom: whom.clone(), relation: name.to_owned(), filter };
                self.groups.entry(group).or_default().add(time);
            }
        }
        for relation in objects(entry.field("relations")) {
            let name = relation.get("name").and_then(Value::as_str).unwrap_or_default();
            let subjects = relation.get("subjects").and_then(Value::as_array);
            let subjects: Vec<&str> = subjects
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .filter(|subject| wanted.takes_subject(subject))
                .collect();
            if subjects.is_empty() || !wanted.takes_relation(name) {
                continue;
            }
            let seen = self.seen.entry(whom.clone()).or_default();
            if entry.number("of").is_none_or(|of| seen.counted.insert(of)) {
                seen.statements = seen.statements.saturating_add(1);
            }
            between(&mut seen.first, &mut seen.last, time);
            seen.logins.insert(text("login"));
            let columns = seen.columns.entry(name.to_owned()).or_default();
            for column in objects(relation.get("columns")) {
                let part = |field| column.get(field).and_then(Value::as_str);
                let known = columns.entry(part("name").unwrap_or_default().to_owned()).or_default();
                known.plain |= part("action") == Some("read");
                known.category = part("category").map(str::to_owned);
                if let Some(category) = part("category") {
                    let people = self.categories.entry(category.to_owned()).or_default();
                    people.extend(subjects.iter().map(|subject| (*subject).to_owned()));
                }
            }
            self.subjects.entry(name.to_owned()).or_default().extend(subjects.into_iter().map(str::to_owned));
        }
    }
}

impl Wanted {
    fn takes(&self, entry: &Entry, time: &str) -> bool {
        if self.login.as_deref().is_some_and(|login| entry.text("login") != Some(login)) {
            return false;
        }
        if self.since.is_none() && self.until.is_none() {
            return true;
        }
        let Ok(time) = time.parse::<Timestamp>() else { return false };
        self.since.is_none_or(|since| time >= since) && self.until.is_none_or(|until| time < until)
    }

    fn takes_subject(&self, subject: &str) -> bool {
        self.subjects.is_empty() || self.subjects.iter().any(|wanted| wanted == subject)
    }

    fn takes_relation(&self, name: &str) -> bool {
        self.relation.as_deref().is_none_or(|wanted| {
            name.strip_suffix(wanted).is_some_and(|before| before.is_empty() || before.ends_with('.'))
        })
    }
}

fn objects(value: Option<&Value>) -> impl Iterator<Item = &Value> {
    value.and_then(Value::as_array).into_iter().flatten()
}
