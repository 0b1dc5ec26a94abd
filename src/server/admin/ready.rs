//! Whether statements can be served.

use std::fmt;
use std::time::{Duration, Instant};

use super::Admin;

/// How long the database may take to answer.
const UPSTREAM_TIMEOUT: Duration = Duration::from_secs(2);

/// The three things without which no statement is served; an error is for the operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Readiness {
    /// The access log can be written.
    pub log: Result<(), String>,
    /// A catalog snapshot is there.
    pub catalog: Result<(), String>,
    /// The database can be reached.
    pub upstream: Result<(), String>,
    /// The proxy is being stopped.
    pub draining: bool,
    /// What is no reason not to be used, and must not be overlooked.
    pub remarks: Vec<String>,
}

/// How long a sync of the access log may take: a disk that is only slow answers within that.
const SYNC_TIMEOUT: Duration = Duration::from_secs(5);

fn hanging(syncing: Duration) -> Result<(), String> {
    if syncing < SYNC_TIMEOUT {
        return Ok(());
    }
    Err(format!("a write or sync has not returned for {} seconds: the disk hangs", syncing.as_secs()))
}

/// In letters that nobody overlooks.
pub(crate) const OBSERVED: &str = "OBSERVE MODE: NOTHING IS ENFORCED";

/// What waits for somebody who looks at the machine's clock.
pub(crate) const CLOCK: &str =
    "the machine's clock jumped: the access log destroys nothing by age until `pgpurpose audit confirm-clock`";

impl Readiness {
    /// Looks.
    pub async fn of(admin: &Admin) -> Self {
        let upstream = match tokio::time::timeout(UPSTREAM_TIMEOUT, (admin.upstream)()).await {
            Ok(answer) => answer,
            Err(_) => Err(format!("no answer within {} seconds", UPSTREAM_TIMEOUT.as_secs())),
        };
        let running = (admin.running)();
        let observe = running.observe.then(|| OBSERVED.to_owned());
        let not_loaded = running.not_loaded.map(|why| format!("the last reload was not taken: {why}"));
        let misfit =
            running.misfit.map(|why| format!("the database has changed, and the policies no longer fit it: {why}"));
        let log = admin.log.status();
        let clock = log.clock_in_doubt.then(|| CLOCK.to_owned());
        Self {
            remarks: observe.into_iter().chain(not_loaded).chain(misfit).chain(clock).collect(),
            log: log.trouble.map_or_else(|| hanging(log.syncing), Err),
            draining: running.draining,
            catalog: running.catalog.map(|_| ()).ok_or_else(|| "not loaded yet".to_owned()),
            upstream,
        }
    }

    /// All three.
    pub fn is_ready(&self) -> bool {
        !self.draining && self.parts().iter().all(|(_, part)| part.is_ok())
    }

    /// What must be seen besides: observe mode first.
    pub(super) fn remarks(&self) -> &[String] {
        &self.remarks
    }

    /// Each with its name.
    pub fn parts(&self) -> [(&'static str, &Result<(), String>); 3] {
        [("access log", &self.log), ("catalog", &self.catalog), ("database", &self.upstream)]
    }
}

/// Looks of all who ask, one at a time: however many ask at once, the database is asked once or twice.
#[derive(Debug, Default)]
pub(super) struct Looks {
    last: tokio::sync::Mutex<Option<(Instant, Readiness)>>,
}

impl Looks {
    /// What is so now: no look that began before it was asked for.
    pub(super) async fn look(&self, admin: &Admin) -> Readiness {
        let asked = Instant::now();
        let mut last = self.last.lock().await;
        if let Some((_, readiness)) = last.as_ref().filter(|(begun, _)| *begun >= asked) {
            return readiness.clone();
        }
        let begun = Instant::now();
        let readiness = Readiness::of(admin).await;
        *last = Some((begun, readiness.clone()));
        readiness
    }
}

impl fmt::Display for Readiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.draining {
            writeln!(f, "draining: the proxy is being stopped")?;
        }
        for remark in &self.remarks {
            writeln!(f, "{remark}")?;
        }
        for (name, part) in self.parts() {
            match part {
                Ok(()) => writeln!(f, "{name}: ok")?,
                Err(error) => writeln!(f, "{name}: {error}")?,
            }
        }
        Ok(())
    }
}
