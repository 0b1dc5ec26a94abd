//! Which records somebody looks for.

use std::collections::HashSet;

use jiff::Timestamp;

use super::read::Entry;

/// What a record must match; a field that is `None` matches all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Filter {
    /// `login`, exactly.
    pub login: Option<String>,
    /// `role`, exactly.
    pub role: Option<String>,
    /// `purpose`, exactly, or a child of it.
    pub purpose: Option<String>,
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
    /// A part of the statement, in any case.
    pub statement: Option<String>,
    /// Not before.
    pub since: Option<Timestamp>,
    /// Before.
    pub until: Option<Timestamp>,
}

/// Applies a [`Filter`] to records in their order: the outcome of a record that matched matches too.
#[derive(Debug)]
pub struct Search {
    filter: Filter,
    matched: HashSet<u64>,
}

impl Search {
    /// A search from the log's beginning.
    pub fn new(filter: Filter) -> Self {
        Self { filter, matched: HashSet::new() }
    }

    /// Whether this record is looked for.
    pub fn wants(&mut self, entry: &Entry) -> bool {
        if entry.event() == "outcome" && self.filter.event.is_none() {
            return entry.number("of").is_some_and(|of| self.matched.remove(&of));
        }
        let wanted = self.filter.matches(entry);
        if let (true, "access", Some(seq)) = (wanted, entry.event(), entry.seq()) {
            self.matched.insert(seq);
        }
        wanted
    }
}

impl Filter {
    /// Whether a record matches by its own fields.
    pub fn matches(&self, entry: &Entry) -> bool {
        let is = |wanted: &Option<String>, field: &str| {
            wanted.as_deref().is_none_or(|wanted| entry.text(field).is_some_and(|value| value == wanted))
        };
        is(&self.login, "login")
            && is(&self.role, "role")
            && is(&self.recipient, "recipient")
            && is(&self.verdict, "verdict")
            && is(&self.event, "event")
            && self.purpose.as_deref().is_none_or(|wanted| {
                entry.text("purpose").is_some_and(|value| {
                    value.strip_prefix(wanted).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
                })
            })
            && self.statement.as_deref().is_none_or(|wanted| {
                entry.text("statement").is_some_and(|value| value.to_lowercase().contains(&wanted.to_lowercase()))
            })
            && self.in_time(entry)
            && self.touches(entry)
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
