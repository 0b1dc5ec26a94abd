//! What the log says of the people who were seen: of one of them (POPIA s23), or of all whom one login saw (s22).

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use super::sieve::{Part, Sieve};
use super::walk::{Effort, Plan, Seeker, walk};
use super::{last, scan};
use crate::audit::record::entry::{Entry, objects};
use crate::audit::store::Advance;
use crate::audit::store::index::Key;
use crate::audit::store::opened::Index;
use crate::audit::store::tally::{Tally, Whom, between};

/// Which records count.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Wanted {
    /// The subject in each form that it may have in the log; empty: everybody.
    pub subjects: Vec<String>,
    /// This login alone.
    pub login: Option<String>,
    /// One end user of the application alone, in each form that it may have in the log; empty: everybody.
    pub actor: Vec<String>,
    /// This relation alone: `public.customers`, or `customers` in any schema.
    pub relation: Option<String>,
    /// Not before.
    pub since: Option<Timestamp>,
    /// Before.
    pub until: Option<Timestamp>,
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
    /// The application's end users, as the log names them.
    pub actors: BTreeSet<String>,
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

/// All that was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sightings {
    /// By whom, and what.
    pub seen: BTreeMap<Whom, SeenFor>,
    /// Everybody who was seen, by relation.
    pub subjects: BTreeMap<String, BTreeSet<String>>,
    /// Everybody whose columns of a category were seen.
    pub categories: BTreeMap<String, BTreeSet<String>>,
    /// What was done with people who are not known one by one.
    pub tally: Tally,
    /// Statements of all kinds; not counted where one subject is looked for.
    pub statements: usize,
    /// Of which refused.
    pub refused: usize,
    /// Time of the log's first record.
    pub log_from: Option<String>,
    /// Time of its last.
    pub log_to: Option<String>,
}

impl Sightings {
    /// Reads what the indexes do not leave out, or `all`; the result is the same. `progress` is told now and then how far it is.
    ///
    /// # Errors
    /// The folder or a file cannot be read.
    pub fn collect(
        directory: &Path,
        wanted: &Wanted,
        all: bool,
        progress: &mut dyn FnMut(Advance),
    ) -> io::Result<(Self, Effort)> {
        let plan = Plan { sieve: wanted.sieve(), since: wanted.since, until: wanted.until, all };
        let mut collector = Collector { wanted, found: Self::default(), tallied: false };
        let effort = walk(directory, &plan, &mut collector, progress)?;
        // Who asks what is known of a person is not given a part of it.
        effort.complete()?;
        let mut found = collector.found;
        let time = |entry: &Entry| entry.text("time").map(str::to_owned);
        scan(directory, |entry| {
            found.log_from = time(&entry);
            found.log_from.is_none()
        })?;
        for reach in [NEAR_END, u64::MAX] {
            if found.log_to.is_none() {
                found.log_to = last(directory, 1, reach, |entry| time(entry).is_some())?.iter().find_map(time);
            }
        }
        Ok((found, effort))
    }

    /// The same by reading every record, for a test to compare.
    #[cfg(test)]
    pub(in crate::audit) fn by_reading(directory: &Path, wanted: &Wanted) -> io::Result<Self> {
        let mut collector = Collector { wanted, found: Self::default(), tallied: false };
        let (mut from, mut to) = (None, None);
        scan(directory, |entry| {
            to = entry.text("time").map(str::to_owned).or(to.take());
            from = from.take().or(to.clone());
            collector.take(entry)
        })?;
        Ok(Self { log_from: from, log_to: to, ..collector.found })
    }

    fn statement(&mut self, entry: &Entry) {
        self.statements = self.statements.saturating_add(1);
        if entry.text("verdict") == Some("deny") && entry.text("mode").is_none() {
            self.refused = self.refused.saturating_add(1);
        }
    }

    fn disclosure(&mut self, entry: &Entry, time: &str, wanted: &Wanted) {
        let whom = Whom::of(entry);
        for relation in objects(entry.field("relations")) {
            let name = relation.get("name").and_then(Value::as_str).unwrap_or_default();
            let subjects: Vec<&str> = objects(relation.get("subjects"))
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
            seen.logins.insert(entry.text("login").unwrap_or_default().to_owned());
            seen.actors.extend(entry.text("actor").map(str::to_owned));
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

/// Bytes of a plain file's end in which a record with a time is looked for first.
const NEAR_END: u64 = 1 << 20;

/// Gathers [`Sightings`] of records that are read from elsewhere than a log's files.
pub struct Gathering<'a>(Collector<'a>);

impl std::fmt::Debug for Gathering<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gathering").field("wanted", self.0.wanted).finish_non_exhaustive()
    }
}

impl<'a> Gathering<'a> {
    /// Of nothing yet.
    pub fn new(wanted: &'a Wanted) -> Self {
        Self(Collector { wanted, found: Sightings::default(), tallied: false })
    }

    /// Takes a record; of several logs, one that says which ([`Entry::of_log`]).
    pub fn take(&mut self, entry: Entry) {
        self.0.take(entry);
    }

    /// What was found in logs that go from the one time to the other.
    pub fn finish(self, log_from: Option<String>, log_to: Option<String>) -> Sightings {
        Sightings { log_from, log_to, ..self.0.found }
    }
}

struct Collector<'a> {
    wanted: &'a Wanted,
    found: Sightings,
    /// The tally of the file at hand is there already.
    tallied: bool,
}

impl Seeker for Collector<'_> {
    fn keys(&mut self, index: Option<&Index>) -> Vec<Vec<Key>> {
        let Wanted { subjects, login, actor, since, until, .. } = self.wanted;
        self.tallied = false;
        if login.is_some() || !actor.is_empty() {
            let login = login.iter().map(|login| vec![Key::of("login", login)]);
            let actors: Vec<Key> = actor.iter().map(|actor| Key::of("actor", actor)).collect();
            return login.chain(Some(actors).filter(|actors| !actors.is_empty())).collect();
        }
        if subjects.is_empty() {
            return Vec::new();
        }
        let mut keys: Vec<Key> = subjects.iter().map(|subject| Key::of("subject", subject)).collect();
        let whole = index.filter(|index| index.times.within(*since, *until) || (since.is_none() && until.is_none()));
        match whole.and_then(Index::tally) {
            Some(tally) => {
                self.found.tally.join(tally, |relation| self.wanted.takes_relation(relation));
                self.tallied = true;
            }
            None => keys.push(Key::tallied()),
        }
        vec![keys]
    }

    fn take(&mut self, entry: Entry) -> bool {
        let Some(time) = entry.text("time") else { return true };
        let event = entry.event();
        if !matches!(event, "disclosure" | "access") || !self.wanted.takes(&entry, time) {
            return true;
        }
        if !self.tallied {
            self.found.tally.add(&entry, time, |relation| self.wanted.takes_relation(relation));
        }
        if event == "disclosure" {
            self.found.disclosure(&entry, time, self.wanted);
        } else if self.wanted.subjects.is_empty() {
            self.found.statement(&entry);
        }
        true
    }
}

impl Wanted {
    /// What a line that counts holds.
    fn sieve(&self) -> Sieve {
        let login = self.login.as_deref().map(|login| vec![(login, Part::Whole)]);
        let mut subjects: Vec<_> = self.subjects.iter().map(|subject| (subject.as_str(), Part::Whole)).collect();
        if !subjects.is_empty() {
            subjects.extend([("aggregate", Part::Whole), ("unrestricted", Part::Whole)]);
        }
        let actor: Vec<_> = self.actor.iter().map(|actor| (actor.as_str(), Part::Whole)).collect();
        Sieve::new(login.into_iter().chain([subjects, actor].into_iter().filter(|values| !values.is_empty())))
    }

    fn takes(&self, entry: &Entry, time: &str) -> bool {
        if self.login.as_deref().is_some_and(|login| entry.text("login") != Some(login)) {
            return false;
        }
        let actor = entry.text("actor");
        if !self.actor.is_empty() && !actor.is_some_and(|actor| self.actor.iter().any(|wanted| wanted == actor)) {
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
