//! Whether the policies fit the database: when the proxy starts, at each reload, and whenever the catalog changes.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::catalog::{Catalog, CatalogStore};
use crate::document::Fault;
use crate::policy::PolicySet;
use crate::session::Shared;

/// Changes of the catalog often come together, one statement after the other.
const SETTLE: Duration = Duration::from_millis(300);

/// Why the policies in force no longer fit the catalog; `None` where they do.
pub(super) type Misfit = Arc<Mutex<Option<String>>>;

/// That every mask fits its column, that no condition depends on a session's settings, and that each listing is of a table that is
/// there where others are open, in the database that the policies are about.
///
/// # Errors
/// Every fault.
pub(super) fn fit(policies: &PolicySet, catalog: &Catalog) -> Result<(), Vec<Fault>> {
    let policies = &policies.fitted(catalog);
    let mut misfits = policies.misfits(catalog);
    misfits.extend(crate::sql::unsettled(policies, catalog));
    if misfits.is_empty() { Ok(()) } else { Err(misfits) }
}

/// Looks again after each change of the catalog, and tells the operator once of each trouble and of its end. Never ends by itself.
///
/// Nothing is opened meanwhile: what was listed stays closed under the name that it has now, and what a condition or a mask needs and
/// does not find is refused when it is asked for.
pub(super) async fn watch(shared: Arc<Shared>, catalog: Arc<CatalogStore>, misfit: Misfit) {
    let mut epochs = catalog.epochs();
    while epochs.changed().await.is_ok() {
        tokio::time::sleep(SETTLE).await;
        epochs.mark_unchanged();
        let (policies, now) = (shared.policies.load_full(), catalog.current());
        let Ok(found) = tokio::task::spawn_blocking(move || fit(&policies, &now)).await else { continue };
        let found = found.err().map(|faults| faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "));
        let before = std::mem::replace(&mut *misfit.lock().unwrap_or_else(PoisonError::into_inner), found.clone());
        match found {
            Some(found) if before.as_ref() != Some(&found) => {
                tracing::error!("the database has changed, and the policies no longer fit it: {found}");
            }
            None if before.is_some() => tracing::info!("the policies fit the database again"),
            Some(_) | None => {}
        }
    }
}
