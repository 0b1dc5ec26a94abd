//! What all sessions share.

use std::sync::Arc;
use std::{fmt, io};

use arc_swap::ArcSwap;

use super::cancel::Cancels;
use super::catalogs::Catalogs;
use super::flow::settings::{SaidAtStart, Settings};
use super::judge::budget::Budgets;
use super::judge::enforcer::{Enforce, Enforcer};
use super::judge::lookups::Meters;
use super::judge::together::Together;
use super::judge::who::Who;
use crate::audit::{AuditLog, SubjectKey};
use crate::catalog::CatalogStore;
use crate::error::{Refusal, SqlState, Stage};
use crate::policy::{PolicySet, Role};
use crate::telemetry::Metrics;

/// The longest statement that is taken where nothing else is said.
pub const STATEMENT_LIMIT: usize = 1024 * 1024;

/// What all sessions share. Policies and catalog are replaced whole; a session sees a new one with its next statement.
pub struct Shared {
    /// The policies in force: store another set to replace them.
    pub policies: ArcSwap<PolicySet>,
    /// Keeps the newest snapshots of the databases' catalogs.
    pub catalogs: Catalogs,
    /// The access log.
    pub audit: AuditLog,
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// The longest statement that is taken, in bytes.
    pub statement_limit: usize,
    /// A session is told once of each column that a condition compares by its mask.
    pub mask_notices: bool,
    /// The key of the pseudonyms by which the log names subjects.
    pub subject_key: Option<SubjectKey>,
    /// The key of the pseudonyms by which it names actors, where it does not name them as they are.
    pub actor_key: Option<SubjectKey>,
    /// Cancel keys of all sessions.
    pub cancels: Arc<Cancels>,
    /// Statements over groups, counted.
    pub budgets: Budgets,
    /// Lookups of raw values, counted.
    pub lookups: Meters,
    /// Where both are counted together with other proxies.
    pub together: Option<Together>,
    pub(super) enforcer: Enforcer,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("observe", &self.policies.load().observes()).finish_non_exhaustive()
    }
}

/// What [`Shared`] is made of.
pub struct Parts {
    /// The policies.
    pub policies: Arc<PolicySet>,
    /// The catalogs.
    pub catalogs: Catalogs,
    /// The access log.
    pub audit: AuditLog,
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// The decision: [`sql::enforce`](crate::sql::enforce_form), or a test's own.
    pub enforce: Box<Enforce>,
    /// Observe mode.
    pub observe: bool,
    /// The key of the pseudonyms by which the log names subjects; needed where a policy says `record_subjects = true`.
    pub subject_key: Option<SubjectKey>,
}

impl Shared {
    /// Starts the threads that decide.
    ///
    /// # Errors
    /// A thread cannot be started.
    pub fn new(parts: Parts) -> io::Result<Self> {
        let policies = match parts.policies.observes() == parts.observe {
            true => parts.policies,
            false => Arc::new(PolicySet::clone(&parts.policies).observed(parts.observe)),
        };
        let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Ok(Self {
            policies: ArcSwap::new(policies),
            catalogs: parts.catalogs,
            audit: parts.audit,
            enforcer: Enforcer::new(parts.enforce, threads, Arc::clone(&parts.metrics))?,
            metrics: parts.metrics,
            subject_key: parts.subject_key,
            actor_key: None,
            statement_limit: STATEMENT_LIMIT,
            mask_notices: false,
            cancels: Arc::new(Cancels::default()),
            budgets: Budgets::default(),
            lookups: Meters::default(),
            together: None,
        })
    }

    /// Tells sessions of conditions that compare with masks, or does not.
    #[must_use]
    pub fn with_mask_notices(mut self, tells: bool) -> Self {
        self.mask_notices = tells;
        self
    }

    /// The policies in force now: an exception that is over is gone, whoever looks first.
    pub fn policies_now(&self) -> arc_swap::Guard<Arc<PolicySet>> {
        let policies = self.policies.load();
        match policies.granted_until() {
            Some(until) if jiff::Timestamp::now() >= until => {
                self.end_exceptions();
                self.policies.load()
            }
            Some(_) | None => policies,
        }
    }

    fn end_exceptions(&self) {
        let now = jiff::Timestamp::now();
        self.policies.rcu(|policies| {
            let kept = policies.granted().iter().filter(|grant| grant.until > now).cloned().collect();
            Arc::new(PolicySet::clone(policies).with_granted(kept))
        });
    }

    /// Actor and ticket of a session that begins so, as the log names them.
    pub fn named_at_start(&self, said: &SaidAtStart, role: &Role) -> (Option<String>, Option<String>) {
        let settings = Settings::new(String::new(), Vec::new(), said.clone());
        let who = Who::of(None, &settings, role, self.actor_key.as_ref());
        (who.written, who.ticket)
    }

    /// Counts budgets together with other proxies.
    #[must_use]
    pub fn with_counts(mut self, together: Option<Together>) -> Self {
        self.together = together;
        self
    }

    /// Names actors in the log by pseudonyms of this key.
    #[must_use]
    pub fn with_actor_key(mut self, key: Option<SubjectKey>) -> Self {
        self.actor_key = key;
        self
    }

    /// With so many bytes for decisions that are kept; 0 decides each statement anew.
    #[must_use]
    pub fn with_decision_memory(mut self, bytes: u64) -> Self {
        self.enforcer.keep(bytes);
        self
    }
}

/// Reads the catalog again because a name is not known; whether it is newer than `seen` then.
pub(super) async fn refresh(catalog: &CatalogStore, seen: u64) -> bool {
    if catalog.current().epoch() > seen {
        return true;
    }
    match catalog.reload_for_unknown_name().await {
        Ok(catalog) => catalog.epoch() > seen,
        Err(error) => {
            tracing::warn!(%error, "the catalog could not be read again; the last snapshot stays");
            false
        }
    }
}

/// Waits until the catalog is newer than all DDL that passed.
///
/// # Errors
/// 58030: it cannot be read, so that nothing can be decided by it.
pub(super) async fn settle(catalog: &CatalogStore) -> Result<(), Refusal> {
    catalog.settled().await.map_err(|error| {
        tracing::warn!(%error, "the catalog could not be read again after a change of the database's structure");
        Refusal::new(
            Stage::Session,
            SqlState::IO_ERROR,
            "the database's structure has changed, and its catalog could not be read again",
        )
        .hint("try again; the operator's log says why")
    })
}
