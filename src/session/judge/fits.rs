//! Policies fitted to snapshots of databases' structures: patterns mean other tables in each.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use crate::catalog::Catalog;
use crate::policy::PolicySet;

/// So many are kept: those of a few databases, and of transactions that change the structure.
const KEPT: usize = 8;

struct Fit {
    /// What was fitted, and the epoch of the snapshot: those of one process that differ have different ones.
    origin: Arc<PolicySet>,
    epoch: u64,
    fitted: Arc<PolicySet>,
}

/// The newest of them.
#[derive(Default)]
pub(super) struct Fits(Mutex<VecDeque<Fit>>);

impl Fits {
    /// The policies for a snapshot; the same where they have no patterns.
    pub(super) fn of(&self, policies: &Arc<PolicySet>, catalog: &Catalog) -> Arc<PolicySet> {
        if !policies.has_patterns() {
            return Arc::clone(policies);
        }
        let origin = policies.origin();
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = kept.iter().find(|fit| fit.epoch == catalog.epoch() && Arc::ptr_eq(&fit.origin, origin));
        if let Some(fit) = known {
            return Arc::clone(&fit.fitted);
        }
        let fitted = origin.fitted_to(catalog);
        kept.push_front(Fit { origin: Arc::clone(origin), epoch: catalog.epoch(), fitted: Arc::clone(&fitted) });
        kept.truncate(KEPT);
        fitted
    }
}
