//! What all sessions share.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{fmt, io};

use arc_swap::ArcSwap;
use tokio::sync::Mutex;

use super::cancel::Cancels;
use super::enforcer::{Enforce, Enforcer};
use crate::audit::AuditLog;
use crate::catalog::Catalog;
use crate::policy::PolicySet;

/// An unknown name makes the catalog be read again at most so often.
const RELOAD_EVERY: Duration = Duration::from_secs(1);

/// The longest statement that is taken where nothing else is said.
pub const STATEMENT_LIMIT: usize = 1024 * 1024;

/// Reads the catalog again; the argument is the epoch that the new snapshot must have. The error is for the operator.
pub type Reload = Box<dyn Fn(u64) -> Pin<Box<dyn Future<Output = Result<Catalog, String>> + Send>> + Send + Sync>;

/// What all sessions share. Policies and catalog are replaced whole; a session sees a new one with its next statement.
pub struct Shared {
    /// The policies in force.
    pub policies: ArcSwap<PolicySet>,
    /// The newest snapshot of the catalog.
    pub catalog: ArcSwap<Catalog>,
    /// The access log.
    pub audit: AuditLog,
    /// Observe mode.
    pub observe: bool,
    /// The longest statement that is taken, in bytes.
    pub statement_limit: usize,
    /// Cancel keys of all sessions.
    pub cancels: Arc<Cancels>,
    pub(super) enforcer: Enforcer,
    reload: Reload,
    reloaded: Mutex<Option<Instant>>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("observe", &self.observe).finish_non_exhaustive()
    }
}

/// What [`Shared`] is made of.
pub struct Parts {
    /// The policies.
    pub policies: Arc<PolicySet>,
    /// The catalog.
    pub catalog: Arc<Catalog>,
    /// The access log.
    pub audit: AuditLog,
    /// The decision: `sql::enforce`.
    pub enforce: Box<Enforce>,
    /// Reads the catalog again.
    pub reload: Reload,
    /// Observe mode.
    pub observe: bool,
}

impl Shared {
    /// Starts the threads that decide.
    ///
    /// # Errors
    /// A thread cannot be started.
    pub fn new(parts: Parts) -> io::Result<Self> {
        let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Ok(Self {
            policies: ArcSwap::new(parts.policies),
            catalog: ArcSwap::new(parts.catalog),
            audit: parts.audit,
            observe: parts.observe,
            statement_limit: STATEMENT_LIMIT,
            cancels: Arc::new(Cancels::default()),
            enforcer: Enforcer::new(parts.enforce, threads)?,
            reload: parts.reload,
            reloaded: Mutex::new(None),
        })
    }

    /// Reads the catalog again unless that was done just now; whether it is newer than `seen`.
    pub async fn refresh(&self, seen: u64) -> bool {
        self.reload_unless(seen, Some(RELOAD_EVERY)).await
    }

    /// Reads the catalog again, because DDL passed.
    pub async fn changed(&self) {
        let seen = self.catalog.load().epoch();
        self.reload_unless(seen, None).await;
    }

    async fn reload_unless(&self, seen: u64, every: Option<Duration>) -> bool {
        let mut reloaded = self.reloaded.lock().await;
        let epoch = self.catalog.load().epoch();
        if epoch > seen {
            return true;
        }
        if let (Some(last), Some(every)) = (*reloaded, every)
            && last.elapsed() < every
        {
            return false;
        }
        *reloaded = Some(Instant::now());
        match (self.reload)(epoch.saturating_add(1)).await {
            Ok(catalog) => {
                self.catalog.store(Arc::new(catalog));
                true
            }
            Err(error) => {
                tracing::warn!(%error, "the catalog could not be read again; the last snapshot stays");
                false
            }
        }
    }
}
