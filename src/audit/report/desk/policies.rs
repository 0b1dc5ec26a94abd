//! Policies as they changed, and exceptions.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::text;
use crate::audit::record::Entry;
use crate::audit::report::{At, Past, of_log};

/// So many changes are kept.
const MOST_STRETCHES: usize = 1_000;
/// So many exceptions.
const MOST_EXCEPTIONS: usize = 1_000;

/// A time in which the same policies were in force in the same mode.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stretch {
    /// The record that says so first.
    #[serde(flatten)]
    pub at: At,
    /// The last one.
    pub last: At,
    /// `sha256:…`
    pub policy: String,
    /// `enforce` or `observe`.
    pub mode: String,
    /// The files.
    pub files: Vec<String>,
    /// How often the proxy was started in it.
    pub starts: u64,
    /// Loads that were not taken, each with why.
    pub refused: Vec<String>,
}

/// A login may use a purpose for a time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exception {
    /// The record that says that it began.
    #[serde(flatten)]
    pub at: At,
    /// Names it.
    pub grant: String,
    /// PostgreSQL login.
    pub login: String,
    /// For what.
    pub purpose: String,
    /// Until when.
    pub until: String,
    /// Why.
    pub reason: String,
    /// Who granted it.
    pub by: String,
    /// Who approved it besides.
    pub approved_by: Option<String>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Policies {
    stretches: Vec<Stretch>,
    exceptions: BTreeMap<String, Exception>,
    starts: u64,
}

impl Policies {
    pub(super) fn start(&mut self, _entry: &Entry, at: At) {
        self.starts += 1;
        if let Some(stretch) = self.stretches.last_mut() {
            (stretch.starts, stretch.last) = (stretch.starts + 1, at);
        }
    }

    pub(super) fn policy(&mut self, entry: &Entry, at: At) {
        let (policy, mode) = (text(entry, "policy"), text(entry, "mode"));
        let texts = |field: &str| -> Vec<String> {
            let values = entry.field(field).and_then(serde_json::Value::as_array).into_iter().flatten();
            values.filter_map(serde_json::Value::as_str).take(20).map(crate::audit::report::shortened).collect()
        };
        let faults = texts("faults");
        match self.stretches.last_mut() {
            Some(last) if last.policy == policy && last.mode == mode => {
                last.last = at;
                if !faults.is_empty() && last.refused.len() < 20 {
                    last.refused.push(faults.join("; "));
                }
            }
            Some(_) | None => {
                if self.stretches.len() >= MOST_STRETCHES {
                    self.stretches.remove(0);
                }
                // A start that brought other policies is the first of theirs.
                let starts = u64::from(entry.text("before").is_none());
                if let Some(last) = self.stretches.last_mut().filter(|_| starts > 0) {
                    last.starts = last.starts.saturating_sub(1);
                }
                let files = texts("files");
                self.stretches.push(Stretch { at, last: at, policy, mode, files, starts, refused: Vec::new() });
            }
        }
    }

    pub(super) fn grant(&mut self, entry: &Entry, at: At) {
        let id = text(entry, "grant");
        match entry.text("what") {
            Some("begun" | "in_force") => {
                let exception = Exception {
                    at,
                    grant: id.clone(),
                    login: text(entry, "login"),
                    purpose: text(entry, "purpose"),
                    until: text(entry, "until"),
                    reason: text(entry, "reason"),
                    by: text(entry, "by"),
                    approved_by: entry.text("approved_by").map(crate::audit::report::shortened),
                };
                if self.exceptions.len() < MOST_EXCEPTIONS {
                    self.exceptions.insert(id, exception);
                }
            }
            // None of that proxy's is in force.
            Some("refused") => {
                self.exceptions.retain(|_, known| of_log(known.at.seq).0 != of_log(at.seq).0);
            }
            Some(_) | None => {
                self.exceptions.remove(&id);
            }
        }
    }

    /// Policies that were in force only while what is gone was written.
    pub(super) fn forget(&mut self, past: &Past) {
        // What followed a stretch says until when it was in force; the newest is in force.
        let first =
            self.stretches.windows(2).take_while(|two| two.last().is_some_and(|next| past.has(next.at))).count();
        self.stretches.drain(..first);
    }

    pub(super) fn stretches(&self) -> &[Stretch] {
        &self.stretches
    }

    pub(super) fn starts(&self) -> u64 {
        self.starts
    }

    pub(super) fn exceptions(&self, now: Timestamp) -> Vec<&Exception> {
        let is_over = |exception: &Exception| exception.until.parse::<Timestamp>().is_ok_and(|until| until <= now);
        self.exceptions.values().filter(|exception| !is_over(exception)).collect()
    }
}
