//! What the log says of policies and of itself.

use serde::Serialize;
use serde_json::Value;

use super::{At, shortened};
use crate::audit::record::Entry;

/// So many events of a kind are told one by one.
const MOST: usize = 500;

/// Policies came into force, or were not taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PolicyEvent {
    /// When.
    #[serde(flatten)]
    pub at: At,
    /// `sha256:…` of what was in force afterwards.
    pub policy: String,
    /// The same before; `None` where the proxy was started.
    pub before: Option<String>,
    /// `enforce` or `observe`.
    pub mode: String,
    /// The files.
    pub files: Vec<String>,
    /// Why new policies were not taken; empty where they were.
    pub faults: Vec<String>,
}

/// Something else that the log says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LogEvent {
    /// When.
    #[serde(flatten)]
    pub at: At,
    /// `start`, `stop`, `incident`, `resumed`, `folded`, `clock_confirmed`, `torn`, `recovered`, `destroyed`.
    pub event: String,
    /// What happened, in words.
    pub what: String,
}

/// What the log says of policies and of itself.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct LogEvents {
    /// Policies, oldest first.
    pub policies: Vec<PolicyEvent>,
    /// What must never happen and was stopped.
    pub incidents: Vec<LogEvent>,
    /// Starts, stops, crashes, outages, files destroyed by age.
    pub others: Vec<LogEvent>,
    /// Events that were too many to be told.
    pub more: u64,
}

#[derive(Debug, Default)]
pub(super) struct Collector {
    found: LogEvents,
}

impl Collector {
    pub(super) fn add(&mut self, entry: &Entry, at: At) {
        let text = |field| shortened(entry.text(field).unwrap_or_default());
        let number = |field| entry.number(field).unwrap_or_default();
        let event = entry.event();
        let what = match event {
            "policy" => {
                let event = PolicyEvent {
                    at,
                    policy: text("policy"),
                    before: entry.text("before").map(shortened),
                    mode: text("mode"),
                    files: texts(entry, "files"),
                    faults: texts(entry, "faults"),
                };
                push(&mut self.found.policies, event, &mut self.found.more);
                return;
            }
            "start" => format!("version {}, log {}", text("version"), text("log")),
            "stop" => text("reason"),
            "incident" => {
                let of = entry.number("of").map(|of| format!(", about record {of}")).unwrap_or_default();
                let who = match entry.text("about") {
                    Some(about) => format!("of the {}", shortened(about)),
                    None => format!("login {}", text("login")),
                };
                let what = format!("{who}: {}{of}", text("what"));
                let event = LogEvent { at, event: event.to_owned(), what };
                push(&mut self.found.incidents, event, &mut self.found.more);
                return;
            }
            "resumed" => {
                let closed =
                    if entry.field("closed") == Some(&Value::Bool(true)) { "" } else { ", which had not been closed" };
                format!("behind record {}{closed}", number("after"))
            }
            "folded" => {
                let who = entry.text("client").filter(|client| !client.is_empty()).or_else(|| entry.text("login"));
                let who = who.map_or_else(|| "many".to_owned(), shortened);
                let what = if text("what") == "access" {
                    "statements that were refused for want of room"
                } else {
                    "refused log-ins"
                };
                format!("{} {what}, of {who}, were counted and not told one by one", number("count"))
            }
            "clock_confirmed" => format!("the jump of record {}: {}", number("of"), text("reason")),
            "torn" => format!("a torn end of {} bytes was kept aside in {}", number("bytes"), text("kept")),
            "recovered" => {
                let (since, refused, error) = (text("since"), number("refused"), text("error"));
                format!("the log could not be written since {since}: {refused} records were refused ({error})")
            }
            "destroyed" => {
                format!("{} with records {} to {} was destroyed by age", text("file"), number("from"), number("to"))
            }
            _ => return,
        };
        push(&mut self.found.others, LogEvent { at, event: event.to_owned(), what }, &mut self.found.more);
    }

    pub(super) fn finish(self) -> LogEvents {
        self.found
    }
}

/// The newest are the ones to keep.
fn push<T>(events: &mut Vec<T>, event: T, more: &mut u64) {
    if events.len() == MOST {
        events.remove(0);
        *more += 1;
    }
    events.push(event);
}

fn texts(entry: &Entry, field: &str) -> Vec<String> {
    let values = entry.field(field).and_then(Value::as_array);
    values.into_iter().flatten().filter_map(Value::as_str).take(20).map(shortened).collect()
}
