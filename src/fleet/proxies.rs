//! Which proxy runs which policies since when, from what its log says of itself.

use serde::Serialize;

use super::logs::{AuditDb, DbError};
use crate::audit::read::Entry;

/// A proxy, as its log tells of it last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Proxy {
    /// What its log is called.
    pub log: String,
    /// What it calls itself; `None` where its version says nothing of that.
    pub name: Option<String>,
    /// Its version.
    pub version: Option<String>,
    /// Hash of the policies in force.
    pub policy: Option<String>,
    /// Since when these are in force without a break but restarts.
    pub since: Option<String>,
    /// `enforce` or `observe`.
    pub mode: Option<String>,
    /// SHA-256 of the bundle that they came in; `None` where they came from files.
    pub bundle: Option<String>,
    /// Why policies that came later were not taken.
    pub refused: Option<String>,
    /// When it was started last.
    pub started: Option<String>,
    /// When it was stopped in order; `None` where it runs, or was killed.
    pub stopped: Option<String>,
    /// The time of its newest record here.
    pub last_seen: Option<String>,
    /// How many records of it are here.
    pub records: u64,
}

/// Events that say what a proxy runs; few, so that they are read in their order from the newest back.
const EVENTS: &str =
    "SELECT line FROM audit.records WHERE log = $1 AND event IN ('start', 'stop', 'policy') ORDER BY seq DESC";

/// Every proxy whose log the database holds, by the log's name.
///
/// # Errors
/// The database's.
pub fn proxies(database: &mut AuditDb) -> Result<Vec<Proxy>, DbError> {
    let logs = database.logs().to_vec();
    let mut found = Vec::new();
    for log in logs {
        let told = |time: jiff::Timestamp| format!("{time:.6}");
        let mut proxy = Proxy {
            log: log.name.clone(),
            name: None,
            version: None,
            policy: None,
            since: None,
            mode: None,
            bundle: None,
            refused: None,
            started: None,
            stopped: None,
            last_seen: log.span.map(|(_, last)| told(last)),
            records: log.position.map_or(0, |position| position.seq),
        };
        let mut other = false;
        let events = database.rows(EVENTS, &[Box::new(log.name.clone())])?;
        for row in events {
            let line: String = row.try_get(0)?;
            if let Some(entry) = Entry::parse(line.as_bytes())
                && {
                    proxy.before(&entry, &mut other);
                    other && proxy.started.is_some()
                }
            {
                break;
            }
        }
        database.connection().check()?;
        found.push(proxy);
    }
    Ok(found)
}

impl Proxy {
    /// Takes the event before the ones that were taken; `other`: other policies than the newest were in force then.
    fn before(&mut self, entry: &Entry, other: &mut bool) {
        let text = |field: &str| entry.text(field).map(str::to_owned);
        match entry.event() {
            "stop" if self.started.is_none() && self.policy.is_none() => self.stopped = text("time"),
            "start" if self.started.is_none() => {
                (self.started, self.version, self.name) = (text("time"), text("version"), text("proxy"));
            }
            "policy" if !*other => {
                let faults = entry.field("faults").and_then(serde_json::Value::as_array);
                let refused = faults.is_some_and(|faults| !faults.is_empty());
                match &self.policy {
                    None => {
                        (self.policy, self.mode, self.bundle) = (text("policy"), text("mode"), text("bundle"));
                        if refused {
                            self.refused = faults.and_then(|faults| faults.first()?.as_str().map(str::to_owned));
                        } else {
                            self.since = text("time");
                        }
                    }
                    Some(policy) if entry.text("policy") == Some(policy) && text("mode") == self.mode => {
                        // Where it was refused nothing came into force then, but the ones before stayed.
                        if !refused {
                            self.since = text("time");
                        }
                    }
                    Some(_) => *other = true,
                }
            }
            _ => {}
        }
    }
}
