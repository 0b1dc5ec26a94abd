//! What was refused, to whom and why.

use std::collections::HashMap;

use serde::Serialize;

use super::facts::{Facts, named};
use super::{At, shortened};
use crate::audit::record::Entry;

/// So many kinds of refusal are counted by themselves.
const MOST: usize = 2000;
/// So many columns of one refusal are named.
const MOST_COLUMNS: usize = 10;

/// What was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A statement, one that states a purpose among them.
    Statement,
    /// A login or a connection.
    Login,
}

/// Refusals that are alike.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct Refusal {
    /// What was refused.
    pub kind: Kind,
    /// PostgreSQL login.
    pub login: String,
    /// Role of the policies.
    pub role: String,
    /// The purpose in force.
    pub purpose: String,
    /// `public.customers.health_note`: for which columns, as far as it was for columns.
    pub columns: Vec<String>,
    /// Why.
    pub reason: String,
}

/// Refusals that are alike, counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Counted {
    /// What they have in common.
    #[serde(flatten)]
    pub refusal: Refusal,
    /// How many.
    pub times: u64,
    /// The newest.
    pub newest: At,
}

/// What was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Default)]
pub struct Refusals {
    /// The most frequent first.
    pub kinds: Vec<Counted>,
    /// Refusals that were too many in kind to be told apart.
    pub others: u64,
}

#[derive(Debug, Default)]
pub(super) struct Collector {
    kinds: HashMap<Refusal, (u64, At)>,
    others: u64,
}

impl Collector {
    pub(super) fn access(&mut self, facts: &Facts<'_>, at: At) {
        if !facts.refused() {
            return;
        }
        let columns = facts.closed().map(|(relation, column)| format!("{}.{}", relation.name, column.name));
        let refusal = Refusal {
            kind: Kind::Statement,
            login: shortened(facts.login),
            role: facts.role.to_owned(),
            purpose: shortened(facts.purpose),
            columns: columns.take(MOST_COLUMNS).collect(),
            reason: shortened(facts.reason.unwrap_or_default()),
        };
        self.count(refusal, at);
    }

    /// Logins that were refused. A purpose that was refused has an `access` of its own.
    pub(super) fn event(&mut self, entry: &Entry, at: At) {
        if entry.event() != "login_refused" {
            return;
        }
        let text = |field| shortened(named(entry.text(field).unwrap_or_default()));
        let refusal = Refusal {
            kind: Kind::Login,
            login: text("login"),
            role: text("role"),
            purpose: text("purpose"),
            columns: Vec::new(),
            reason: shortened(entry.text("reason").unwrap_or_default()),
        };
        self.count(refusal, at);
    }

    fn count(&mut self, refusal: Refusal, at: At) {
        if let Some((count, newest)) = self.kinds.get_mut(&refusal) {
            *count += 1;
            *newest = at;
        } else if self.kinds.len() < MOST {
            self.kinds.insert(refusal, (1, at));
        } else {
            self.others += 1;
        }
    }

    pub(super) fn finish(self) -> Refusals {
        let counted = |(refusal, (times, newest))| Counted { refusal, times, newest };
        let mut kinds: Vec<Counted> = self.kinds.into_iter().map(counted).collect();
        kinds.sort_by_key(|kind| std::cmp::Reverse((kind.times, kind.newest)));
        Refusals { kinds, others: self.others }
    }
}
