//! One catalog for each database: the same names mean other tables in another.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::Mutex;

use crate::catalog::{Catalog, CatalogStore};

/// Opens the catalog of a database by its name; the first epoch of its snapshots is given.
pub type OpenCatalog = Box<
    dyn Fn(String, u64) -> Pin<Box<dyn Future<Output = Result<CatalogStore, String>> + Send>> + Send + Sync + 'static,
>;

/// Epochs of one database's snapshots stand so far from the next one's, for decisions are cached by epoch.
const EPOCHS: u64 = 1 << 40;
/// How often a catalog is read again for changes that did not pass through the proxy.
const EVERY: Duration = Duration::from_secs(60);
/// How often is looked whether the structure was changed and whether a catalog is still used, and how long none need use it until it is closed.
const LOOK: Duration = Duration::from_millis(500);
const IDLE: Duration = Duration::from_secs(2);
/// More databases than this are not served at once: each keeps a connection.
const MOST: usize = 64;

#[derive(Default)]
struct Others {
    open: HashMap<String, Arc<CatalogStore>>,
    /// What those said last that were closed: what a relation was called then is not forgotten. No connection belongs to them.
    closed: HashMap<String, Arc<Catalog>>,
}

/// The catalogs of all databases that sessions asked for.
pub struct Catalogs {
    main: Arc<CatalogStore>,
    database: Option<String>,
    open: Option<OpenCatalog>,
    others: Arc<Mutex<Others>>,
    /// How many were opened.
    opened: AtomicU64,
}

impl fmt::Debug for Catalogs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Catalogs").field("database", &self.database).finish_non_exhaustive()
    }
}

impl Catalogs {
    /// One catalog, whatever the database is called: for tests.
    pub fn one(main: Arc<CatalogStore>) -> Self {
        Self { main, database: None, open: None, others: Arc::default(), opened: AtomicU64::new(0) }
    }

    /// The catalog of `database`, which is open already, and a way to open those of others.
    pub fn new(database: String, main: Arc<CatalogStore>, open: OpenCatalog) -> Self {
        Self { main, database: Some(database), open: Some(open), others: Arc::default(), opened: AtomicU64::new(0) }
    }

    /// The catalog of the database that the policies were found in.
    pub fn main(&self) -> &Arc<CatalogStore> {
        &self.main
    }

    /// The catalog of a database.
    ///
    /// # Errors
    /// In words for the operator: it cannot be read.
    pub async fn of(&self, database: &str) -> Result<Arc<CatalogStore>, String> {
        let Some(open) = self.open.as_ref().filter(|_| self.database.as_deref() != Some(database)) else {
            return Ok(Arc::clone(&self.main));
        };
        let mut others = self.others.lock().await;
        if let Some(store) = others.open.get(database) {
            return Ok(Arc::clone(store));
        }
        if others.open.len() >= MOST {
            return Err(format!("more than {MOST} databases are in use"));
        }
        let number = self.opened.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        let store = Arc::new(open(database.to_owned(), number.saturating_mul(EPOCHS)).await?);
        if let Some(before) = others.closed.remove(database) {
            store.follow(&before);
        }
        tokio::spawn(keep(Arc::downgrade(&store), database.to_owned(), Arc::clone(&self.others)));
        others.open.insert(database.to_owned(), Arc::clone(&store));
        Ok(store)
    }
}

/// Reads a catalog again from time to time, and closes it once no session has used it for a while: a connection that sits in a database
/// would stand in the way of DROP DATABASE, and of CREATE DATABASE that takes it as a template.
async fn keep(kept: Weak<CatalogStore>, database: String, others: Arc<Mutex<Others>>) {
    let (mut idle, mut since) = (Duration::ZERO, Duration::ZERO);
    loop {
        tokio::time::sleep(LOOK).await;
        let Some(store) = kept.upgrade() else { return };
        since += LOOK;
        // That of the map, and the one here.
        idle = if Arc::strong_count(&store) > 2 { Duration::ZERO } else { idle + LOOK };
        if idle >= IDLE {
            let mut others = others.lock().await;
            // Nobody gets it while the map is locked.
            if Arc::strong_count(&store) <= 2 {
                others.open.remove(&database);
                if others.closed.len() >= MOST
                    && let Some(any) = others.closed.keys().next().cloned()
                {
                    others.closed.remove(&any);
                }
                others.closed.insert(database, store.current());
                return;
            }
        } else if since >= EVERY {
            since = Duration::ZERO;
            store.look(true).await;
        } else {
            store.look(false).await;
        }
    }
}
