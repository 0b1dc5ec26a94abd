//! One catalog for each database: the same names mean other tables in another.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;

use crate::catalog::CatalogStore;

/// Opens the catalog of a database by its name; the first epoch of its snapshots is given.
pub type OpenCatalog = Box<
    dyn Fn(String, u64) -> Pin<Box<dyn Future<Output = Result<CatalogStore, String>> + Send>> + Send + Sync + 'static,
>;

/// Epochs of one database's snapshots stand so far from the next one's, for decisions are cached by epoch.
const EPOCHS: u64 = 1 << 40;
/// How often a catalog is read again for changes that did not pass through the proxy.
const EVERY: Duration = Duration::from_secs(60);
/// More databases than this are not served at once: each keeps a connection.
const MOST: usize = 64;

/// The catalogs of all databases that sessions asked for.
pub struct Catalogs {
    main: Arc<CatalogStore>,
    database: Option<String>,
    open: Option<OpenCatalog>,
    others: Mutex<HashMap<String, Arc<CatalogStore>>>,
}

impl fmt::Debug for Catalogs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Catalogs").field("database", &self.database).finish_non_exhaustive()
    }
}

impl Catalogs {
    /// One catalog, whatever the database is called: for tests.
    pub fn one(main: Arc<CatalogStore>) -> Self {
        Self { main, database: None, open: None, others: Mutex::new(HashMap::new()) }
    }

    /// The catalog of `database`, which is open already, and a way to open those of others.
    pub fn new(database: String, main: Arc<CatalogStore>, open: OpenCatalog) -> Self {
        Self { main, database: Some(database), open: Some(open), others: Mutex::new(HashMap::new()) }
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
        if let Some(store) = others.get(database) {
            return Ok(Arc::clone(store));
        }
        if others.len() >= MOST {
            return Err(format!("more than {MOST} databases are in use"));
        }
        let number = u64::try_from(others.len()).unwrap_or(u64::MAX).saturating_add(1);
        let store = Arc::new(open(database.to_owned(), number.saturating_mul(EPOCHS)).await?);
        let kept = Arc::downgrade(&store);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(EVERY).await;
                let Some(store) = kept.upgrade() else { return };
                super::shared::changed(&store).await;
            }
        });
        others.insert(database.to_owned(), Arc::clone(&store));
        Ok(store)
    }
}
