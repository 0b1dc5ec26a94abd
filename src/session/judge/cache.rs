//! Decisions, kept by everything that they depend on.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use dashmap::DashMap;

use super::enforcer::Decision;

/// Decisions kept for one scope; the table is emptied when it is full.
const ENTRIES: usize = 4096;
/// The longest statement whose decision is kept.
const LONGEST: usize = 64 * 1024;
/// Bytes that all decisions may take together, estimated; all are forgotten when they are more.
const BUDGET: usize = 64 * 1024 * 1024;
/// Scopes kept; all are forgotten when there are more.
const SCOPES: usize = 512;

/// Everything but the text that a decision depends on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(in crate::session) struct ScopeKey {
    pub(in crate::session) login: String,
    pub(in crate::session) role: String,
    pub(in crate::session) purpose: String,
    pub(in crate::session) search_path: Vec<String>,
    pub(in crate::session) today: jiff::civil::Date,
    pub(in crate::session) policy: String,
    pub(in crate::session) epoch: u64,
}

/// Decisions of one scope, by statement text and declared types.
#[derive(Debug, Default)]
pub(in crate::session) struct Table {
    decisions: DashMap<Box<str>, Arc<Decision>>,
    /// Bytes of all tables.
    bytes: Arc<AtomicUsize>,
}

impl Table {
    /// The decision about this text.
    pub(in crate::session) fn get(&self, text: &str) -> Option<Arc<Decision>> {
        self.decisions.get(text).map(|entry| Arc::clone(entry.value()))
    }

    /// Keeps a decision.
    pub(in crate::session) fn put(&self, text: &str, decision: &Arc<Decision>) {
        // The text is kept as key, as the client's, as what runs, and for the log; the report and the guard beside it.
        let cost = text.len().saturating_mul(4).saturating_add(2048);
        if text.len() > LONGEST || self.bytes.load(Ordering::Relaxed).saturating_add(cost) > BUDGET {
            return;
        }
        if self.decisions.len() >= ENTRIES {
            self.decisions.clear();
        }
        self.bytes.fetch_add(cost, Ordering::Relaxed);
        self.decisions.insert(text.into(), Arc::clone(decision));
    }
}

/// All tables.
#[derive(Debug, Default)]
pub(in crate::session) struct Cache {
    tables: DashMap<ScopeKey, Arc<Table>>,
    bytes: Arc<AtomicUsize>,
}

impl Cache {
    /// The table of a scope.
    pub(in crate::session) fn table(&self, key: ScopeKey) -> Arc<Table> {
        if self.tables.len() >= SCOPES && !self.tables.contains_key(&key) {
            self.forget();
        }
        let new = || Arc::new(Table { decisions: DashMap::new(), bytes: Arc::clone(&self.bytes) });
        Arc::clone(self.tables.entry(key).or_insert_with(new).value())
    }

    /// Makes room once the budget is used up.
    pub(in crate::session) fn keep_within_budget(&self) {
        if self.bytes.load(Ordering::Relaxed).saturating_add(BUDGET / 8) > BUDGET {
            self.forget();
        }
    }

    fn forget(&self) {
        for table in &self.tables {
            // Sessions may hold the table itself.
            table.value().decisions.clear();
        }
        self.tables.clear();
        self.bytes.store(0, Ordering::Relaxed);
    }
}
