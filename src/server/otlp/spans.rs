//! From records of the access log to spans.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::mpsc;

use super::Exported;
use crate::audit::AuditLog;
use crate::audit::read::Entry;
use crate::audit::ship::{Deliver, Position};
use crate::telemetry::{Attribute, Span};

/// Runs whose end is not known yet; of more the oldest are forgotten.
const OPEN: usize = 10_000;

/// What a span may be called after: any other first word could be anything.
const OPERATIONS: [&str; 24] = [
    "SELECT",
    "INSERT",
    "UPDATE",
    "DELETE",
    "MERGE",
    "COPY",
    "WITH",
    "VALUES",
    "TABLE",
    "BEGIN",
    "COMMIT",
    "ROLLBACK",
    "SET",
    "SHOW",
    "PREPARE",
    "EXECUTE",
    "DEALLOCATE",
    "DECLARE",
    "FETCH",
    "CLOSE",
    "EXPLAIN",
    "CREATE",
    "ALTER",
    "DROP",
];

/// What of a record stands in its span: names that policies and the database have, and numbers. No statement, no actor or ticket, no
/// application's name, no address: those a client chooses, or they are somebody's.
const SAID: [(&str, &str); 7] = [
    ("database", "db.namespace"),
    ("verdict", "pgpurpose.verdict"),
    ("role", "pgpurpose.role"),
    ("purpose", "pgpurpose.purpose"),
    ("login", "pgpurpose.login"),
    ("fingerprint", "pgpurpose.fingerprint"),
    ("mode", "pgpurpose.mode"),
];

/// Follows the log.
pub(super) struct Tracer {
    one_in: u32,
    log: AuditLog,
    queue: mpsc::Sender<Span>,
    exported: Arc<Exported>,
    open: BTreeMap<u64, Span>,
}

impl Tracer {
    pub(super) fn new(one_in: u32, log: AuditLog, queue: mpsc::Sender<Span>, exported: Arc<Exported>) -> Self {
        Self { one_in, log, queue, exported, open: BTreeMap::new() }
    }

    fn send(&self, span: Span) {
        self.exported.waiting.fetch_add(1, Ordering::AcqRel);
        if self.queue.try_send(span).is_err() {
            self.exported.waiting.fetch_sub(1, Ordering::AcqRel);
            self.exported.spans_dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Deliver for Tracer {
    /// What was logged before is not traced.
    fn begin(&mut self) -> Result<Option<Position>, String> {
        self.open.clear();
        Ok(Some(Position { seq: self.log.status().durable, hash: None }))
    }

    fn deliver(&mut self, entries: &[Entry]) -> Result<(), String> {
        for entry in entries {
            match entry.event() {
                "access" => {
                    if let Some((seq, span)) = entry.seq().zip(begun(entry)) {
                        self.open.insert(seq, span);
                        if self.open.len() > OPEN {
                            self.open.pop_first();
                        }
                    }
                }
                "outcome" => {
                    let open = entry.number("of").and_then(|of| self.open.remove(&of));
                    let Some(span) = open.map(|span| ended(span, entry)) else { continue };
                    if span.failed || rand::random_range(0..self.one_in.max(1)) == 0 {
                        self.send(span);
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// At the end of the proxy what waits goes out, as far as there is time.
    fn settle(&mut self) -> Result<bool, String> {
        Ok(self.exported.waiting.load(Ordering::Acquire) == 0)
    }
}

/// The span of an `access`.
fn begun(entry: &Entry) -> Option<Span> {
    let start = u64::try_from(entry.time()?.as_nanosecond()).ok()?;
    let operation = operation(entry.text("statement").unwrap_or_default());
    let mut attributes = vec![
        ("db.system.name", Attribute::Text("postgresql".to_owned())),
        ("db.operation.name", Attribute::Text(operation.to_owned())),
        ("pgpurpose.record", Attribute::Number(entry.seq()?)),
    ];
    for (field, attribute) in SAID {
        attributes.extend(entry.text(field).map(|value| (attribute, Attribute::Text(value.to_owned()))));
    }
    let name = match entry.text("database") {
        Some(database) => format!("{operation} {database}"),
        None => operation.to_owned(),
    };
    Some(Span { trace: rand::random(), id: rand::random(), name, start, end: start, failed: false, attributes })
}

/// The same once its `outcome` is known.
fn ended(mut span: Span, outcome: &Entry) -> Span {
    let ms = outcome.field("ms").and_then(serde_json::Value::as_f64).unwrap_or(0.0).max(0.0);
    let took = std::time::Duration::try_from_secs_f64(ms / 1000.0).unwrap_or_default();
    span.end = span.start.saturating_add(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
    span.failed = outcome.text("status") != Some("ok");
    if let Some(status) = outcome.text("status") {
        span.attributes.push(("pgpurpose.status", Attribute::Text(status.to_owned())));
    }
    if let Some(sqlstate) = outcome.text("sqlstate") {
        span.attributes.push(("db.response.status_code", Attribute::Text(sqlstate.to_owned())));
    }
    if let Some(rows) = outcome.number("rows") {
        span.attributes.push(("db.response.returned_rows", Attribute::Number(rows)));
    }
    span
}

fn operation(statement: &str) -> &'static str {
    let first = statement.trim_start().split(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or_default();
    OPERATIONS.into_iter().find(|known| known.eq_ignore_ascii_case(first)).unwrap_or("statement")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn entry(line: &str) -> Entry {
        Entry::parse(line.as_bytes()).unwrap()
    }

    #[test]
    fn a_record_and_its_outcome_are_a_span_without_what_a_client_chose() {
        let access = entry(
            r#"{"seq":17,"time":"2026-11-22T10:00:00.000001Z","event":"access","session":"s","client":"203.0.113.9:50112","login":"support_agent","role":"support","purpose":"support","actor":"thandi","ticket":"OPS-12","recipient":"internal","database":"shop","application":"crm thandi","statement":"  select id FROM customers WHERE id = $1","fingerprint":"f1","verdict":"mask","subjects":["s-1"],"reason":null,"policy":"sha256:x"}"#,
        );
        let outcome =
            entry(r#"{"seq":18,"event":"outcome","of":17,"status":"error","rows":1,"sqlstate":"57014","ms":0.8}"#);
        let span = ended(begun(&access).unwrap(), &outcome);
        assert_eq!((span.name.as_str(), span.failed, span.end - span.start), ("SELECT shop", true, 800_000));
        assert_eq!(span.start % 1_000_000_000, 1000);
        let shown = format!("{span:?}");
        for part in ["thandi", "OPS-12", "customers", "203.0.113.9", "s-1", "crm"] {
            assert!(!shown.contains(part), "{part}: {shown}");
        }
        for part in ["\"support_agent\"", "\"mask\"", "Number(17)", "\"57014\"", "\"f1\""] {
            assert!(shown.contains(part), "{part}: {shown}");
        }
    }

    #[test]
    fn a_first_word_that_is_no_statement_is_not_told() {
        for (text, name) in [
            ("SELECT 1", "SELECT"),
            ("select$1", "SELECT"),
            ("Thandi", "statement"),
            ("", "statement"),
            ("SELECTED", "statement"),
            ("/* x */ SELECT", "statement"),
        ] {
            assert_eq!(operation(text), name, "{text}");
        }
    }
}
