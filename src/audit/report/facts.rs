//! An `access` record, read once for all sections.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::audit::record::Entry;

/// A column that the policies gave no category, or whose table is open.
pub const NO_CATEGORY: &str = "no category";
/// A column of a record that does not say its category.
pub(super) const UNKNOWN: &str = "not recorded";

/// An `access` record.
#[derive(Debug)]
pub(super) struct Facts<'a> {
    pub(super) login: &'a str,
    /// The application's end user.
    pub(super) actor: Option<&'a str>,
    pub(super) role: &'a str,
    pub(super) purpose: &'a str,
    pub(super) recipient: &'a str,
    pub(super) application: &'a str,
    pub(super) statement: &'a str,
    pub(super) fingerprint: &'a str,
    pub(super) denied: bool,
    pub(super) masked: bool,
    /// Nothing was enforced.
    pub(super) observed: bool,
    /// Why the role is relayed as it is.
    pub(super) unrestricted: Option<&'a str>,
    pub(super) reason: Option<&'a str>,
    pub(super) relations: Vec<Touched<'a>>,
}

#[derive(Debug)]
pub(super) struct Touched<'a> {
    pub(super) name: &'a str,
    pub(super) filter: Option<&'a str>,
    pub(super) columns: Vec<Column<'a>>,
}

#[derive(Debug)]
pub(super) struct Column<'a> {
    pub(super) name: &'a str,
    pub(super) category: &'a str,
    pub(super) action: &'a str,
    pub(super) mask: Option<&'a str>,
    pub(super) rule: Option<&'a str>,
    uses: &'a [Value],
}

impl Column<'_> {
    /// Whether the statement, as it was run, had to do with its values.
    fn touched(&self) -> bool {
        !matches!(self.action, "omit" | "deny")
    }

    pub(super) fn used_for(&self, name: &str) -> bool {
        self.uses.iter().any(|used| used.as_str() == Some(name))
    }

    /// Whether it is set and nothing else.
    pub(super) fn only_set(&self) -> bool {
        self.uses.iter().all(|used| used.as_str() == Some("write"))
    }
}

impl<'a> Facts<'a> {
    pub(super) fn of(entry: &'a Entry, categories: &'a BTreeMap<String, BTreeMap<String, String>>) -> Self {
        let text = |field| entry.text(field).unwrap_or_default();
        let verdict = text("verdict");
        let relations = objects(entry.field("relations")).map(|relation| {
            let name = part(relation, "name").unwrap_or_default();
            let known = categories.get(name);
            let columns = objects(relation.get("columns")).map(|column| {
                let own = part(column, "name").unwrap_or_default();
                let category = match column.get("category") {
                    Some(category) => category.as_str().unwrap_or(NO_CATEGORY),
                    None => known.and_then(|known| known.get(own)).map_or(UNKNOWN, String::as_str),
                };
                Column {
                    name: own,
                    category,
                    action: part(column, "action").unwrap_or_default(),
                    mask: part(column, "mask"),
                    rule: part(column, "rule"),
                    uses: column.get("use").and_then(Value::as_array).map_or(&[], Vec::as_slice),
                }
            });
            Touched { name, filter: part(relation, "filter"), columns: columns.collect() }
        });
        Self {
            login: text("login"),
            actor: entry.text("actor"),
            role: named(text("role")),
            purpose: named(text("purpose")),
            recipient: named(text("recipient")),
            application: text("application"),
            statement: text("statement"),
            fingerprint: text("fingerprint"),
            denied: verdict == "deny",
            masked: verdict == "mask",
            observed: entry.text("mode") == Some("observe"),
            unrestricted: entry.text("unrestricted"),
            reason: entry.text("reason"),
            relations: relations.collect(),
        }
    }

    /// Whether it was not carried out.
    pub(super) fn refused(&self) -> bool {
        self.denied && !self.observed
    }

    /// Every column whose values the statement had to do with, with its relation; none where it was refused.
    pub(super) fn accessed(&self) -> impl Iterator<Item = (&Touched<'a>, &Column<'a>)> {
        let (ran, observed) = (!self.refused(), self.observed);
        let all =
            self.relations.iter().flat_map(|relation| relation.columns.iter().map(move |column| (relation, column)));
        all.filter(move |(_, column)| ran && (observed || column.touched()))
    }

    /// Every column for which it was refused, or would be, with its relation.
    pub(super) fn closed(&self) -> impl Iterator<Item = (&Touched<'a>, &Column<'a>)> {
        let denied = self.denied;
        let all =
            self.relations.iter().flat_map(|relation| relation.columns.iter().map(move |column| (relation, column)));
        all.filter(move |(_, column)| denied && column.action == "deny")
    }
}

/// A name, or that there was none.
pub(super) fn named(name: &str) -> &str {
    if name.is_empty() { "none" } else { name }
}

pub(super) fn part<'a>(value: &'a Value, field: &str) -> Option<&'a str> {
    value.get(field)?.as_str()
}

pub(super) fn objects(value: Option<&Value>) -> impl Iterator<Item = &Value> {
    value.and_then(Value::as_array).into_iter().flatten()
}
