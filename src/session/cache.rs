//! Decisions, kept by everything that they depend on.

use std::sync::Arc;

use dashmap::DashMap;

use super::enforcer::Decision;

/// Decisions kept for one scope; the table is emptied when it is full.
const ENTRIES: usize = 4096;
/// Bytes of statement text kept for one scope.
const LONGEST: usize = 64 * 1024;
/// Scopes kept; all are forgotten when there are more.
const SCOPES: usize = 512;

/// Everything but the text that a decision depends on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct ScopeKey {
    pub(super) login: String,
    pub(super) role: String,
    pub(super) purpose: String,
    pub(super) search_path: Vec<String>,
    pub(super) today: jiff::civil::Date,
    pub(super) policy: String,
    pub(super) epoch: u64,
}

/// Decisions of one scope, by statement text.
#[derive(Debug, Default)]
pub(super) struct Table(DashMap<Box<str>, Arc<Decision>>);

impl Table {
    /// The decision about this text.
    pub(super) fn get(&self, text: &str) -> Option<Arc<Decision>> {
        self.0.get(text).map(|entry| Arc::clone(entry.value()))
    }

    /// Keeps a decision.
    pub(super) fn put(&self, text: &str, decision: &Arc<Decision>) {
        if text.len() > LONGEST {
            return;
        }
        if self.0.len() >= ENTRIES {
            self.0.clear();
        }
        self.0.insert(text.into(), Arc::clone(decision));
    }
}

/// All tables.
#[derive(Debug, Default)]
pub(super) struct Cache(DashMap<ScopeKey, Arc<Table>>);

impl Cache {
    /// The table of a scope.
    pub(super) fn table(&self, key: ScopeKey) -> Arc<Table> {
        if self.0.len() >= SCOPES && !self.0.contains_key(&key) {
            self.0.clear();
        }
        Arc::clone(self.0.entry(key).or_default().value())
    }
}
