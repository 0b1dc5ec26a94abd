//! Alerts: what somebody should know now, and not with the next report.
//!
//! A place beside the log's files follows every record (`rules`), as the other places do; what it finds is folded (`fold`) and sent
//! by every way that is configured (`send`), each tried again for some minutes. What was sent, and what could not be, is a record `alert`.
//! An alert names logins, actors, purposes and counts: no value, no statement, no data subject.

mod fold;
mod rules;
mod send;

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use jiff::Timestamp;
use serde::Serialize;

use crate::audit::read::Entry;
use crate::audit::ship::{Deliver, Position, Shipping, Wanted};
use crate::audit::{AuditLog, SubjectKey};
use crate::config::{Alerts, Zone};
use crate::mail::Mailer;

use fold::Fold;
use rules::Rules;
use send::Sender;
pub use send::{Ways, WaysOf};

/// What an alert is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// More refusals in a minute than usual.
    Refusals,
    /// What the report calls unusual.
    Unusual,
    /// Somebody who is protected was seen.
    Protected,
    /// Somebody was seen whom nobody has a reason to see.
    Canary,
    /// The access log, its chain, a place beside it, or the machine's clock.
    Log,
    /// A purpose or a contract ends.
    Expiring,
    /// A data subject's request is overdue.
    Overdue,
    /// Alerts that were not sent one by one.
    Folded,
}

impl Kind {
    /// Whether it is sent however many were sent of its kind: trouble of the log, and whoever is protected, are not to be hidden
    /// behind a storm that a client can make.
    fn is_always_sent(self) -> bool {
        match self {
            Self::Protected | Self::Canary | Self::Log | Self::Folded => true,
            Self::Refusals | Self::Unusual | Self::Expiring | Self::Overdue => false,
        }
    }

    /// As records and messages have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Refusals => "refusals",
            Self::Unusual => "unusual",
            Self::Protected => "protected",
            Self::Canary => "canary",
            Self::Log => "log",
            Self::Expiring => "expiring",
            Self::Overdue => "overdue",
            Self::Folded => "folded",
        }
    }
}

/// One alert.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Alert {
    /// Names it.
    pub id: String,
    /// What it is about.
    pub kind: Kind,
    /// Of whom or what: alerts of one kind about the same are folded.
    pub about: String,
    /// One line.
    pub title: String,
    /// More of it.
    pub text: String,
    /// The record that shows it, where one does.
    pub record: Option<u64>,
    /// When that was written, in UTC.
    pub time: String,
    /// The login behind it, whose storms are counted for themselves; empty where none is.
    #[serde(skip)]
    login: String,
}

impl Alert {
    pub(crate) fn new(kind: Kind, about: impl Into<String>, title: impl Into<String>) -> Self {
        Self {
            id: format!("al-{:016x}", rand::random::<u64>()),
            kind,
            about: about.into(),
            title: title.into(),
            text: String::new(),
            record: None,
            time: format!("{:.6}", Timestamp::now()),
            login: String::new(),
        }
    }

    fn by(mut self, login: &str) -> Self {
        login.clone_into(&mut self.login);
        self
    }

    pub(crate) fn text(mut self, text: impl Into<String>) -> Self {
        self.text = text.into();
        self
    }

    fn of(mut self, entry: &Entry) -> Self {
        self.record = entry.seq();
        if let Some(time) = entry.text("time") {
            time.clone_into(&mut self.time);
        }
        self
    }
}

/// What is beside the log: it tells of what no record can.
#[derive(Clone)]
pub struct Teller {
    fold: Arc<Fold>,
}

impl std::fmt::Debug for Teller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Teller(..)")
    }
}

impl Teller {
    /// Tells of something that is no record, such as a log that cannot be written.
    pub fn tell(&self, kind: Kind, about: &str, title: &str) {
        self.fold.take(Alert::new(kind, about, title), Timestamp::now());
    }

    /// Sends what was folded and whose time is over.
    pub fn tick(&self) {
        self.fold.tick(Timestamp::now());
    }

    /// How many alerts were sent by every way, and how many by one way at least were not.
    pub fn counts(&self) -> (u64, u64) {
        self.fold.sender().counts()
    }
}

/// A place that evaluates records.
pub(crate) struct Watch {
    rules: Rules,
    fold: Arc<Fold>,
    /// Records up to this one are the past.
    handled: u64,
    pending: Arc<AtomicU64>,
}

/// Begins: gives the place among the others, and what tells of the rest.
///
/// # Errors
/// A way cannot be used, a list cannot be read, or a thread cannot be started.
pub fn start(
    config: &Alerts,
    log: &AuditLog,
    zone: &Zone,
    mailer: Option<Mailer>,
    key: Option<&SubjectKey>,
) -> Result<(Shipping, Teller), String> {
    let ways = WaysOf { config, mailer }.ways()?;
    let pending = Arc::new(AtomicU64::new(0));
    let sender = Sender::start(ways, log.clone(), Arc::clone(&pending))?;
    let fold = Arc::new(Fold::new(sender, config.fold_minutes));
    let lists = (people(config.protected.as_deref(), key)?, people(config.canaries.as_deref(), key)?);
    let handled = position(&log.directory().join("sink-alerts.json")).unwrap_or(log.status().last_seq);
    let rules = Rules::new(config, lists, zone.tz().clone());
    let watch = Watch { rules, fold: Arc::clone(&fold), handled, pending };
    let shipping = Shipping::start(log, "alerts", Wanted::All, Box::new(watch));
    Ok((shipping.map_err(|error| format!("a thread cannot be started: {error}"))?, Teller { fold }))
}

/// Up to which record alerts were made before.
fn position(file: &Path) -> Option<u64> {
    let text = std::fs::read_to_string(file).ok()?;
    serde_json::from_str::<serde_json::Value>(&text).ok()?.get("seq")?.as_u64()
}

/// A list of people, each as the log may name them.
fn people(file: Option<&Path>, key: Option<&SubjectKey>) -> Result<HashSet<String>, String> {
    let Some(file) = file else { return Ok(HashSet::new()) };
    let text =
        std::fs::read_to_string(file).map_err(|error| format!("`{}` cannot be read: {error}", file.display()))?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let forms = lines.flat_map(|line| [Some(line.to_owned()), key.map(|key| key.pseudonym(line))]);
    Ok(forms.flatten().collect())
}

impl Deliver for Watch {
    fn begin(&mut self) -> Result<Option<Position>, String> {
        // What is usual is learnt from the whole log, each time.
        self.rules.forget();
        Ok(Some(Position { seq: 0, hash: None }))
    }

    fn deliver(&mut self, entries: &[Entry]) -> Result<(), String> {
        for entry in entries {
            let seq = entry.seq().unwrap_or_default();
            let new = seq > self.handled;
            for alert in self.rules.add(entry, new) {
                self.fold.take(alert, Timestamp::now());
            }
            self.handled = self.handled.max(seq);
        }
        Ok(())
    }

    fn settle(&mut self) -> Result<bool, String> {
        // What a way may still take is made again after a crash.
        Ok(self.pending.load(Ordering::Acquire) == 0)
    }
}

#[cfg(test)]
mod tests;
