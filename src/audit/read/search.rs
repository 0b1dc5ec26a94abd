//! Which records somebody looks for.

use std::collections::{BTreeSet, HashSet};
use std::io;
use std::path::Path;

use jiff::Timestamp;

use super::sieve::{Part, Sieve};
use super::walk::{Effort, Plan, Seeker, walk};
use crate::audit::record::Entry;
use crate::audit::store::Advance;
use crate::audit::store::index::Key;
use crate::audit::store::opened::Index;

/// What a record must match; a field that is `None` matches all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Filter {
    /// `login`, exactly.
    pub login: Option<String>,
    /// `role`, exactly.
    pub role: Option<String>,
    /// `purpose`, exactly, or a child of it.
    pub purpose: Option<String>,
    /// `actor` as it stands in the record, plain or as a pseudonym: any of these.
    pub actor: Vec<String>,
    /// `ticket`, exactly.
    pub ticket: Option<String>,
    /// `recipient`, exactly.
    pub recipient: Option<String>,
    /// A relation of the statement: `public.customers`, or `customers` in any schema.
    pub relation: Option<String>,
    /// A column of the statement; within `relation` where both are given. `public.customers.email` names both.
    pub column: Option<String>,
    /// `verdict`.
    pub verdict: Option<String>,
    /// `event`.
    pub event: Option<String>,
    /// A subject as it stands in the record, plain or as a digest: any of these.
    pub subject: Vec<String>,
    /// A value that was looked up, by its digest: any of these.
    pub lookup: Vec<String>,
    /// A part of the statement, in any case.
    pub statement: Option<String>,
    /// Not before.
    pub since: Option<Timestamp>,
    /// Before.
    pub until: Option<Timestamp>,
}

/// Applies a [`Filter`] to records in their order: the outcome of a record that matched matches too.
#[derive(Debug, Clone)]
pub struct Search {
    filter: Filter,
    /// Accesses that matched, and whose outcome was not seen yet.
    matched: BTreeSet<u64>,
    /// Digests of the long statements whose whole text matches.
    long: HashSet<String>,
}

impl Search {
    /// A search from the log's beginning.
    pub fn new(filter: Filter) -> Self {
        Self { filter, matched: BTreeSet::new(), long: HashSet::new() }
    }

    /// Whether this record is looked for.
    pub fn wants(&mut self, entry: &Entry) -> bool {
        if entry.event() == "outcome" && self.filter.event.is_none() {
            return entry.number("of").is_some_and(|of| self.matched.remove(&of));
        }
        self.learn(entry);
        let wanted = self.filter.matches_but_statement(entry)
            && (self.filter.states(entry)
                || entry.text("statement_sha256").is_some_and(|digest| self.long.contains(digest)));
        let run = match entry.event() {
            "access" => entry.seq(),
            "lookup" | "groups" => entry.number("of"),
            _ => None,
        };
        if let (true, Some(seq)) = (wanted, run) {
            self.matched.insert(seq);
        }
        wanted
    }
}

impl Search {
    /// Takes the whole text of a long statement, of which its runs hold the beginning. Who does not read a log from its beginning
    /// gives it all of them first.
    pub fn learn(&mut self, entry: &Entry) {
        if self.filter.statement.is_some()
            && entry.event() == "statement"
            && self.filter.states(entry)
            && let Some(digest) = entry.text("statement_sha256")
        {
            self.long.insert(digest.to_owned());
        }
    }
}

impl Filter {
    /// Whether the statement in a record holds what is looked for.
    fn states(&self, entry: &Entry) -> bool {
        self.statement.as_deref().is_none_or(|wanted| {
            entry.text("statement").is_some_and(|value| value.to_lowercase().contains(&wanted.to_lowercase()))
        })
    }

    /// Whether a record matches by its own fields.
    pub(super) fn matches(&self, entry: &Entry) -> bool {
        self.matches_but_statement(entry) && self.states(entry)
    }

    /// The same, whatever its statement is.
    fn matches_but_statement(&self, entry: &Entry) -> bool {
        let is = |wanted: &Option<String>, field: &str| {
            wanted.as_deref().is_none_or(|wanted| entry.text(field).is_some_and(|value| value == wanted))
        };
        is(&self.login, "login")
            && is(&self.role, "role")
            && is(&self.recipient, "recipient")
            && is(&self.ticket, "ticket")
            && (self.actor.is_empty()
                || entry.text("actor").is_some_and(|actor| self.actor.iter().any(|wanted| wanted == actor)))
            && is(&self.verdict, "verdict")
            && is(&self.event, "event")
            && self.purpose.as_deref().is_none_or(|wanted| {
                entry.text("purpose").is_some_and(|value| {
                    value.strip_prefix(wanted).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
                })
            })
            && (self.subject.is_empty()
                || entry.subjects().any(|subject| self.subject.iter().any(|wanted| wanted == subject)))
            && (self.lookup.is_empty()
                || entry.lookups().any(|digest| self.lookup.iter().any(|wanted| wanted == digest)))
            && self.in_time(entry)
            && self.touches(entry)
    }

    /// The values of which one each must stand in a block for a record of it to match.
    pub(super) fn keys(&self) -> Vec<Vec<Key>> {
        let fields = [
            ("login", &self.login),
            ("role", &self.role),
            ("purpose", &self.purpose),
            ("recipient", &self.recipient),
            ("ticket", &self.ticket),
            ("relation", &self.relation),
            ("verdict", &self.verdict),
            ("event", &self.event),
        ];
        let fields = fields.into_iter().filter_map(|(name, value)| Some(vec![Key::of(name, value.as_deref()?)]));
        let any = |name, values: &[String]| values.iter().map(|value| Key::of(name, value)).collect::<Vec<_>>();
        let several = [any("subject", &self.subject), any("lookup", &self.lookup), any("actor", &self.actor)];
        fields.chain(several.into_iter().filter(|keys| !keys.is_empty())).collect()
    }

    /// What the line of a record that matches holds.
    pub(super) fn sieve(&self) -> Sieve {
        let fields = [
            (&self.login, Part::Whole),
            (&self.role, Part::Whole),
            (&self.purpose, Part::Start),
            (&self.recipient, Part::Whole),
            (&self.ticket, Part::Whole),
            (&self.relation, Part::End),
            (&self.verdict, Part::Whole),
            (&self.event, Part::Whole),
        ];
        let fields = fields.into_iter().filter_map(|(value, part)| Some(vec![(value.as_deref()?, part)]));
        // `public.customers.email` stands in the record as a table and a column.
        let column = self.column.as_deref().map(|column| column.rsplit('.').next().unwrap_or(column));
        let column = column.map(|column| vec![(column, Part::End)]);
        let several = [&self.subject, &self.lookup, &self.actor].into_iter().filter(|values| !values.is_empty());
        let several = several.map(|values| values.iter().map(|value| (value.as_str(), Part::Whole)).collect());
        Sieve::new(fields.chain(column).chain(several))
    }

    fn in_time(&self, entry: &Entry) -> bool {
        if self.since.is_none() && self.until.is_none() {
            return true;
        }
        let Some(time) = entry.text("time").and_then(|time| time.parse::<Timestamp>().ok()) else { return false };
        self.since.is_none_or(|since| time >= since) && self.until.is_none_or(|until| time < until)
    }

    fn touches(&self, entry: &Entry) -> bool {
        let ends_in = |full: &str, wanted: &str| {
            full.strip_suffix(wanted).is_some_and(|before| before.is_empty() || before.ends_with('.'))
        };
        if self.relation.is_none() && self.column.is_none() {
            return true;
        }
        entry.relations().any(|(relation, columns)| {
            self.relation.as_deref().is_none_or(|wanted| ends_in(relation, wanted))
                && self
                    .column
                    .as_deref()
                    .is_none_or(|wanted| columns.iter().any(|column| ends_in(&format!("{relation}.{column}"), wanted)))
        })
    }
}

/// Every record that matches, and the outcome of each that does, oldest first, given to `each` until it answers `false`.
/// Blocks that their index says hold nothing are not read, unless `all` are to be.
///
/// # Errors
/// The folder or a file cannot be read.
pub fn search(directory: &Path, filter: Filter, all: bool, each: impl FnMut(Entry) -> bool) -> io::Result<Effort> {
    search_with(directory, filter, all, each, &mut |_| {})
}

/// The same; `progress` is told now and then how far it is.
///
/// # Errors
/// The folder or a file cannot be read.
pub fn search_with(
    directory: &Path,
    filter: Filter,
    all: bool,
    each: impl FnMut(Entry) -> bool,
    progress: &mut dyn FnMut(Advance),
) -> io::Result<Effort> {
    let plan = Plan { sieve: filter.sieve(), since: filter.since, until: filter.until, all };
    let mut hunt = Hunt { keys: filter.keys(), search: Search::new(filter), each };
    if hunt.search.filter.statement.is_some() {
        learn(directory, &mut hunt.search, all)?;
    }
    walk(directory, &plan, &mut hunt, progress)
}

/// Reads the whole texts of long statements first: a text stands before its runs, but not in each block of them.
fn learn(directory: &Path, search: &mut Search, all: bool) -> io::Result<()> {
    let texts = Filter { event: Some("statement".to_owned()), ..Filter::default() };
    let plan = Plan { sieve: texts.sieve(), since: None, until: None, all };
    // What is damaged is told by the search itself.
    walk(directory, &plan, &mut Texts { keys: texts.keys(), search }, &mut |_| {}).map(drop)
}

struct Texts<'a> {
    keys: Vec<Vec<Key>>,
    search: &'a mut Search,
}

impl Seeker for Texts<'_> {
    fn keys(&mut self, _: Option<&Index>) -> Vec<Vec<Key>> {
        self.keys.clone()
    }

    fn take(&mut self, entry: Entry) -> bool {
        self.search.learn(&entry);
        true
    }
}

struct Hunt<F> {
    keys: Vec<Vec<Key>>,
    search: Search,
    each: F,
}

impl<F: FnMut(Entry) -> bool> Seeker for Hunt<F> {
    fn keys(&mut self, _: Option<&Index>) -> Vec<Vec<Key>> {
        self.keys.clone()
    }

    fn take(&mut self, entry: Entry) -> bool {
        !self.search.wants(&entry) || (self.each)(entry)
    }

    fn awaited(&self) -> Option<&BTreeSet<u64>> {
        self.search.filter.event.is_none().then_some(&self.search.matched)
    }
}
