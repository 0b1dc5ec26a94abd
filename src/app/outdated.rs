//! Policies that are kept beside the access log go with the records that were made under them.

use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime};

use crate::audit::AuditLog;
use crate::session::Shared;

/// How often is looked.
const OFTEN: Duration = Duration::from_secs(3600);
/// A record is destroyed with the file that it stands in, which may be somewhat later than its own age says.
const MARGIN_DAYS: u64 = 14;
const DAY: u64 = 86_400;

/// Notes which policies are in force, and destroys those that no record of the log can be of any more.
pub(super) async fn tend(shared: Weak<Shared>, log: AuditLog, retain_days: Option<u32>) {
    while let Some(held) = shared.upgrade() {
        let (policies, folder) = (held.policies.load_full(), log.directory().to_owned());
        drop(held);
        // While nobody knows how late it is nothing is old.
        let in_doubt = log.status().clock_in_doubt;
        let age =
            retain_days.filter(|_| !in_doubt).map(|days| Duration::from_secs((u64::from(days) + MARGIN_DAYS) * DAY));
        let limit = age.and_then(|age| SystemTime::now().checked_sub(age));
        let tended = tokio::task::spawn_blocking(move || {
            policies.keep(&folder)?;
            limit.map_or(Ok(0), |limit| policies.destroy_older(&folder, limit))
        });
        match tended.await {
            Ok(Ok(0)) | Err(_) => {}
            Ok(Ok(destroyed)) => {
                tracing::info!(destroyed, "policies that no record of the access log is of any more were destroyed")
            }
            Ok(Err(error)) => tracing::warn!(%error, "kept policies cannot be looked after"),
        }
        tokio::time::sleep(OFTEN).await;
    }
}

/// Begins.
pub(super) fn start(shared: &Arc<Shared>, log: &AuditLog, retain_days: Option<u32>) {
    tokio::spawn(tend(Arc::downgrade(shared), log.clone(), retain_days));
}
