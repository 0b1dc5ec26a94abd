//! Whether a step was done: by the access log, the database, and what a command said.

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::desk::{Desk, Said};
use super::planted::DESKS;
use super::text::{Record, Seen, Truth};
use super::walk::Ended;
use crate::audit::read::Entry;

/// A statement's end is recorded shortly after its answer.
const SHORTLY: Duration = Duration::from_secs(3);

/// What is missing, in words; `None` where all of it happened since the record `mark`.
pub(super) fn missing(seen: &Seen, said: &Said, mark: u64, login: &str, desk: &Desk) -> Result<Option<String>, Ended> {
    if let Some(ran) = &seen.ran {
        if !said.line.starts_with(ran.as_str()) {
            return Ok(Some(format!("the command is `{ran}`")));
        }
        if !said.fine {
            return Ok(Some("the command did not end well".to_owned()));
        }
    }
    if let Some(printed) = &seen.printed
        && !said.text.contains(printed.as_str())
    {
        return Ok(Some(format!("`{printed}` is not in what came back")));
    }
    if let Some(truth) = seen.truth {
        let records = desk.since(0)?;
        let right = told(truth, &records, login);
        let Some(right) = right else { return Ok(Some("the log does not tell".to_owned())) };
        let typed = said.line.trim_matches(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '`'));
        let same = |right: &str| typed.eq_ignore_ascii_case(right);
        // The desk's name alone will do: `nomsa` for `crm nomsa`.
        if !same(&right) && !right.split_once(' ').is_some_and(|(_, name)| same(name)) {
            return Ok(Some("the log says something else".to_owned()));
        }
    }
    if let Some(record) = &seen.record {
        let begun = Instant::now();
        loop {
            let records = desk.since(mark)?;
            if records.iter().any(|entry| is(entry, record, &records)) {
                break;
            }
            if begun.elapsed() > SHORTLY {
                return Ok(Some(wanted(record)));
            }
            thread::sleep(Duration::from_millis(50));
        }
    }
    if let Some(holds) = &seen.holds
        && !desk.holds(holds)?
    {
        return Ok(Some("the database does not have it yet".to_owned()));
    }
    Ok(None)
}

fn is(entry: &Entry, record: &Record, all: &[Entry]) -> bool {
    let text =
        |field: &str, wanted: &Option<String>| wanted.as_deref().is_none_or(|wanted| entry.text(field) == Some(wanted));
    let holds = |field: &str, wanted: &Option<String>| {
        wanted.as_deref().is_none_or(|wanted| entry.text(field).is_some_and(|text| text.contains(wanted)))
    };
    let rows = |rows: u64| {
        all.iter().any(|outcome| {
            outcome.event() == "outcome" && outcome.number("of") == entry.seq() && outcome.number("rows") == Some(rows)
        })
    };
    entry.event() == record.event
        && text("login", &record.login)
        && text("purpose", &record.purpose)
        && text("verdict", &record.verdict)
        && text("step", &record.step)
        && holds("statement", &record.statement)
        && record.column.as_deref().is_none_or(|column| used(entry, column, record.action.as_deref()))
        && (!record.lookup || looks_up(entry))
        && (!record.refused || entry.text("refused").is_some())
        && record.rows.is_none_or(rows)
}

fn looks_up(entry: &Entry) -> bool {
    entry.field("lookups").and_then(Value::as_array).is_some_and(|lookups| !lookups.is_empty())
}

/// The columns of an access as `(table.column, action)`.
fn columns(entry: &Entry) -> Vec<(String, String)> {
    let members = |value: Option<&Value>| value.and_then(Value::as_array).cloned().unwrap_or_default();
    let name = |value: &Value, field: &str| value.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
    members(entry.field("relations"))
        .iter()
        .flat_map(|relation| {
            let table = name(relation, "name");
            let table = table.rsplit('.').next().unwrap_or_default().to_owned();
            members(relation.get("columns"))
                .iter()
                .map(|column| (format!("{table}.{}", name(column, "name")), name(column, "action")))
                .collect::<Vec<_>>()
        })
        .collect()
}

fn used(entry: &Entry, column: &str, action: Option<&str>) -> bool {
    columns(entry).iter().any(|(name, did)| name == column && action.is_none_or(|action| action == did))
}

/// What the record should have been, in words.
fn wanted(record: &Record) -> String {
    let mut text = format!("the log has no such record yet: event `{}`", record.event);
    let parts = [
        ("login", &record.login),
        ("purpose", &record.purpose),
        ("verdict", &record.verdict),
        ("column", &record.column),
        ("step", &record.step),
    ];
    for (name, value) in parts {
        if let Some(value) = value {
            text.push_str(&format!(", {name} `{value}`"));
        }
    }
    if let Some(rows) = record.rows {
        text.push_str(&format!(", {rows} rows"));
    }
    if record.lookup {
        text.push_str(", a value looked up");
    }
    text
}

/// What the log says.
fn told(truth: Truth, records: &[Entry], login: &str) -> Option<String> {
    let accesses = || records.iter().filter(|entry| entry.event() == "access");
    let mut lookups: BTreeMap<&str, u64> = BTreeMap::new();
    for entry in accesses().filter(|entry| looks_up(entry)) {
        let desk = entry.text("application").unwrap_or_default();
        if DESKS.contains(&desk) {
            *lookups.entry(desk).or_default() += 1;
        }
    }
    let (snooper, count) = lookups.into_iter().max_by_key(|(_, count)| *count).unzip();
    match truth {
        Truth::Snooper => snooper.map(str::to_owned),
        Truth::SnoopersLookups => count.map(|count| count.to_string()),
        Truth::SnoopersWish => {
            let mut theirs = accesses().filter(|entry| entry.text("application") == snooper);
            let refused = theirs.rfind(|entry| entry.text("verdict") == Some("deny"))?;
            let denied = columns(refused).into_iter().find(|(_, action)| action == "deny")?;
            denied.0.split_once('.').map(|(_, column)| column.to_owned())
        }
        Truth::LastRecord => {
            let mine = accesses()
                .filter(|entry| entry.text("login") == Some(login) && entry.text("application") == Some("lesson"));
            mine.filter_map(Entry::seq).next_back().map(|seq| seq.to_string())
        }
    }
}
