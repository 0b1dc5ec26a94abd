//! A log of its own for a test, and a place that follows it.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use pgpurpose::audit::read::Entry;
use pgpurpose::audit::ship::{Deliver, ShipStatus, Shipping, Wanted};
use pgpurpose::audit::{AuditLog, Event, LogOptions, Sync};
use tempfile::TempDir;

#[track_caller]
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(60), "{what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// A log, a place beside it, and everything that the place was ever in trouble for.
pub(crate) struct Place {
    pub(crate) folder: TempDir,
    pub(crate) log: AuditLog,
    shipping: Shipping,
    written: usize,
    pub(crate) troubles: Vec<String>,
}

impl Place {
    pub(crate) fn new(name: &'static str, to: Box<dyn Deliver>) -> Self {
        let folder = TempDir::new().unwrap();
        let log = AuditLog::open_with(LogOptions::new(folder.path(), Sync::Written)).unwrap();
        let shipping = Shipping::start(&log, name, Wanted::All, to).unwrap();
        Self { folder, log, shipping, written: 0, troubles: Vec::new() }
    }

    /// Writes so many records of some 2 kB.
    pub(crate) fn write(&mut self, count: usize) {
        for _ in 0..count {
            self.written += 1;
            let reason = format!("{} é {}", self.written, "x".repeat(2000));
            let record = Event::Disconnect { session: "s", reason: Some(&reason) }.record().unwrap();
            self.log.append_blocking(record).unwrap();
        }
    }

    pub(crate) fn status(&mut self) -> ShipStatus {
        let status = self.shipping.status();
        self.troubles.extend(status.trouble.clone().filter(|trouble| self.troubles.last() != Some(trouble)));
        status
    }

    /// Waits until the place has everything, as far as the proxy knows.
    #[track_caller]
    pub(crate) fn delivered(&mut self) {
        let last = self.log.status().last_seq;
        until("everything is delivered", || {
            let status = self.status();
            status.delivered >= last && status.trouble.is_none()
        });
    }

    /// Waits until it is in trouble, and says why.
    #[track_caller]
    pub(crate) fn in_trouble(&mut self) -> String {
        until("it is in trouble", || self.status().trouble.is_some());
        self.troubles.last().unwrap().clone()
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        lines(self.folder.path())
    }

    #[track_caller]
    pub(crate) fn were_taken(&self, taken: &[String]) {
        follow_each_other(&self.lines(), taken);
    }
}

/// That every record of a log was taken at least once, and none before the one before it.
#[track_caller]
pub(crate) fn follow_each_other(log: &[String], taken: &[String]) {
    let mut missing: Vec<&String> = log.iter().rev().collect();
    for line in taken {
        if missing.last() == Some(&line) {
            missing.pop();
        }
        let seq = Entry::parse(line.as_bytes()).unwrap().seq().unwrap();
        let next = missing.last().and_then(|line| Entry::parse(line.as_bytes())?.seq());
        assert!(next.is_none_or(|next| seq < next), "{seq} came before {next:?}");
    }
    assert!(missing.is_empty(), "{} of {} records never came", missing.len(), log.len());
}

/// Every line of a log.
pub(crate) fn lines(directory: &Path) -> Vec<String> {
    let mut lines = Vec::new();
    pgpurpose::audit::read::scan(directory, |entry| {
        lines.push(entry.line.clone());
        true
    })
    .unwrap();
    lines
}
