//! What the policies open and nobody used (POPIA s10: no more than is needed).

use std::collections::{BTreeSet, HashMap};

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::At;
use super::facts::{Column, Facts};
use crate::audit::record::Entry;
use crate::policy::{Grant, PolicySet, Way};

/// What is open and was not used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unused {
    /// In so many days.
    pub days: u32,
    /// The whole days that the log covers of these, and no more.
    pub covered_days: u32,
    /// Since when the policies of this hash are in force without a break; `None` where the log's newest are others.
    pub in_force: Option<At>,
    /// The policies that were given.
    pub policy: String,
    /// How many grants there are.
    pub granted: usize,
    /// Those that were not used.
    pub grants: Vec<UnusedGrant>,
    /// Purposes that no statement of those days was made for.
    pub purposes: Vec<String>,
    /// Logins that were not seen in those days.
    pub logins: Vec<String>,
}

/// One column, open in one way to a role for a purpose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UnusedGrant {
    /// The role.
    pub role: String,
    /// The purpose.
    pub purpose: String,
    /// The rule that opens it.
    pub rule: String,
    /// The relation.
    pub relation: String,
    /// The column.
    pub column: String,
    /// Its category.
    pub category: String,
    /// `read`, `mask`, `lookup`, `write`.
    pub way: Way,
    /// When it was used last, before those days; `None` where the log holds no use of it.
    pub last: Option<At>,
}

/// When a column was used last.
#[derive(Debug, Default)]
struct Uses {
    seen: Option<At>,
    lookup: Option<At>,
    write: Option<At>,
}

impl Uses {
    fn note(&mut self, column: &Column<'_>, at: At) {
        if !column.only_set() {
            self.seen = Some(at);
        }
        if column.used_for("lookup") {
            self.lookup = Some(at);
        }
        if column.used_for("write") {
            self.write = Some(at);
        }
    }

    fn last(&self, way: Way) -> Option<At> {
        match way {
            Way::Read | Way::Mask => self.seen,
            Way::Lookup => self.lookup,
            Way::Write => self.write,
        }
    }
}

type ByColumn = HashMap<String, HashMap<String, Uses>>;

#[derive(Debug)]
pub(super) struct Collector {
    grants: Vec<Grant>,
    /// By role, purpose, relation and column; holds what is granted and no more.
    uses: HashMap<String, HashMap<String, ByColumn>>,
    purposes: HashMap<String, Option<At>>,
    logins: HashMap<String, Option<At>>,
    policy: String,
    /// The policies in force at this point of the log, and since when.
    in_force: Option<(String, At)>,
}

impl Collector {
    pub(super) fn new(policies: &PolicySet) -> Self {
        let grants = policies.grants();
        let mut uses: HashMap<String, HashMap<String, ByColumn>> = HashMap::new();
        for grant in &grants {
            let relations = uses.entry(grant.role.clone()).or_default().entry(grant.purpose.clone()).or_default();
            relations.entry(grant.relation.clone()).or_default().entry(grant.column.clone()).or_default();
        }
        let role_purposes = policies.roles().flat_map(|role| role.purposes.iter());
        Self {
            grants,
            uses,
            purposes: role_purposes.map(|purpose| (purpose.clone(), None)).collect(),
            logins: policies.logins().map(|login| (login.to_owned(), None)).collect(),
            policy: policies.hash().to_owned(),
            in_force: None,
        }
    }

    pub(super) fn access(&mut self, facts: &Facts<'_>, at: At) {
        seen(&mut self.logins, facts.login, at);
        seen(&mut self.purposes, facts.purpose, at);
        let Some(relations) = self.uses.get_mut(facts.role).and_then(|purposes| purposes.get_mut(facts.purpose)) else {
            return;
        };
        for (relation, column) in facts.accessed() {
            if let Some(columns) = relations.get_mut(relation.name) {
                if let Some(uses) = columns.get_mut(column.name) {
                    uses.note(column, at);
                }
                continue;
            }
            // A partition, which the listing of another table governs. Which one the record does not say, so that each column
            // of this name counts as used.
            for uses in relations.values_mut().filter_map(|columns| columns.get_mut(column.name)) {
                uses.note(column, at);
            }
        }
    }

    /// Logins, purposes that were taken up, and policies that came into force.
    pub(super) fn event(&mut self, entry: &Entry, at: At) {
        match entry.event() {
            "connect" => seen(&mut self.logins, entry.text("login").unwrap_or_default(), at),
            "policy" => {
                let policy = entry.text("policy").unwrap_or_default();
                if self.in_force.as_ref().is_none_or(|(known, _)| known != policy) {
                    self.in_force = Some((policy.to_owned(), at));
                }
            }
            _ => {}
        }
    }

    pub(super) fn finish(self, days: u32, end: Timestamp, log_from: Option<Timestamp>) -> Unused {
        let long = SignedDuration::from_hours(24 * i64::from(days));
        let since = end.checked_sub(long).unwrap_or(Timestamp::MIN);
        let old = |last: Option<At>| last.is_none_or(|last| last.time < since);
        let covered = log_from.map_or(0, |from| end.duration_since(from).as_hours() / 24);
        let mut grants = Vec::new();
        let granted = self.grants.len();
        for grant in self.grants {
            let uses = self.uses.get(&grant.role).and_then(|purposes| purposes.get(&grant.purpose));
            let uses = uses.and_then(|relations| relations.get(&grant.relation)?.get(&grant.column));
            let last = uses.and_then(|uses| uses.last(grant.way));
            if old(last) {
                let Grant { role, purpose, relation, column, category, way, rule } = grant;
                grants.push(UnusedGrant { role, purpose, rule, relation, column, category, way, last });
            }
        }
        let names = |all: HashMap<String, Option<At>>| -> Vec<String> {
            let unused: BTreeSet<String> =
                all.into_iter().filter(|(_, last)| old(*last)).map(|(name, _)| name).collect();
            unused.into_iter().collect()
        };
        Unused {
            days,
            covered_days: u32::try_from(covered.max(0)).unwrap_or(u32::MAX).min(days),
            in_force: self.in_force.filter(|(policy, _)| *policy == self.policy).map(|(_, at)| at),
            policy: self.policy,
            granted,
            grants,
            purposes: names(self.purposes),
            logins: names(self.logins),
        }
    }
}

fn seen(all: &mut HashMap<String, Option<At>>, name: &str, at: At) {
    if let Some(last) = all.get_mut(name) {
        *last = Some(at);
    }
}
