//! How the proxy does: its parts, counts, places beside the log, and what was decided last.

use super::{Frame, section};
use crate::audit::read::Entry;
use crate::audit::report::At;
use crate::audit::ship::Shipping;
use crate::page::{Block, Cell, Table, Words, heads};
use crate::server::admin::{Readiness, parts};

/// So many decisions are shown.
pub(in crate::console) const DECISIONS: usize = 25;

pub(in crate::console) fn render(
    frame: &Frame<'_>,
    readiness: &Readiness,
    decisions: &Result<Vec<Entry>, String>,
) -> String {
    let admin = &frame.console.parts.admin;
    let (running, status, metrics) = ((admin.running)(), admin.log.status(), &admin.metrics);
    let mut out = String::new();
    let mut rows = parts(readiness, &running);
    let mut part = |name: &str, says: Words| rows.push(vec![name.to_owned().into(), says.into()]);
    part("catalog epoch", running.catalog.map_or_else(|| "none".to_owned(), |epoch| epoch.to_string()).into());
    part("log", format!("{}, last record {}", admin.log.name(), status.last_seq).into());
    if let Some(checkpoint) = status.checkpoint {
        part(
            "signed checkpoint",
            format!("{}, covers record {}", frame.time(checkpoint.time), checkpoint.covers).into(),
        );
    }
    for sink in admin.sinks.iter().map(Shipping::status) {
        let behind = status.durable.saturating_sub(sink.delivered);
        let says = sink.trouble.clone().unwrap_or_else(|| "ok".to_owned());
        part(&format!("place {}", sink.name), format!("{says}, {behind} records behind").into());
    }
    let table = Table { caption: String::new(), heads: heads([("part", false), ("state", false)]), rows };
    out.push_str(&section("Parts", &[Block::Table(table)]));
    out.push_str(&proxies(frame));
    let counts = [
        ("statements as asked", metrics.statements_allowed.get()),
        ("statements masked", metrics.statements_masked.get()),
        ("statements refused", metrics.statements_denied.get()),
        ("sessions opened", metrics.sessions_opened.get()),
        ("logins refused", metrics.logins_refused.get()),
        ("incidents", metrics.incidents.get()),
        ("decisions from the cache", metrics.cache_hits.get()),
        ("connections to the database that failed", metrics.upstream_errors.get()),
    ];
    let rows = counts.into_iter().map(|(name, count)| vec![name.into(), Cell::Number(count)]);
    let table =
        Table { caption: String::new(), heads: heads([("what", false), ("how often", true)]), rows: rows.collect() };
    out.push_str(&section("Since start", &[Block::Table(table)]));
    let inner = match decisions {
        Err(error) => Block::Warning(format!("the log cannot be read: {error}").into()),
        Ok(decisions) if decisions.is_empty() => Block::Text("None yet.".into()),
        Ok(decisions) => Block::Table(Table {
            caption: format!("Times of {}", frame.zone),
            heads: heads([
                ("when", false),
                ("login", false),
                ("purpose", false),
                ("verdict", false),
                ("statement", false),
            ]),
            rows: decisions.iter().map(|entry| decision(frame, entry)).collect(),
        }),
    };
    out.push_str(&section("Last decisions", &[inner]));
    frame.page("Proxy", &out)
}

/// What each proxy runs whose log is read here, where there is more than one.
fn proxies(frame: &Frame<'_>) -> String {
    if frame.others.is_empty() {
        return String::new();
    }
    let desk = frame.console.following.desk();
    let mut policies: Vec<(&str, &str)> = Vec::new();
    let rows = desk.proxies().iter().map(|(number, running)| {
        let name = match frame.others.get(number) {
            _ if !running.proxy.is_empty() => running.proxy.clone(),
            Some(other) => other.label.clone(),
            None => "this one".to_owned(),
        };
        let time = |at: Option<At>| at.map_or_else(|| "not known".to_owned(), |at| frame.time(at.time));
        if !running.stopped {
            policies.push((&running.policy, &running.mode));
        }
        let last = desk.ends().get(number).map_or(0, |last| last.seq);
        vec![
            Words::code(name).into(),
            (if running.stopped { "stopped" } else { "runs" }).into(),
            Words::code(running.policy.chars().take(19).collect::<String>()).into(),
            running.mode.clone().into(),
            time(running.since).into(),
            time(running.started).into(),
            Cell::Record(last),
        ]
    });
    let rows: Vec<Vec<Cell>> = rows.collect();
    policies.sort_unstable();
    policies.dedup();
    let mut blocks = Vec::new();
    if policies.len() > 1 {
        blocks.push(Block::Warning("Proxies that run do not all run the same policies in the same mode.".into()));
    }
    blocks.push(Block::Table(Table {
        caption: String::new(),
        heads: heads([
            ("proxy", false),
            ("state", false),
            ("policy", false),
            ("mode", false),
            ("since", false),
            ("started", false),
            ("last record", true),
        ]),
        rows,
    }));
    section("Proxies", &blocks)
}

fn decision(frame: &Frame<'_>, entry: &Entry) -> Vec<Cell> {
    let text = |field: &str| entry.text(field).unwrap_or("");
    let verdict = match text("verdict") {
        "allow" => "allow",
        "mask" => "mask",
        _ => "deny",
    };
    let mut says = Words::code(shortened(text("statement")));
    if let Some(reason) = entry.text("reason") {
        says = says.plain(" ").and(Words::said(reason));
    }
    let when = entry.time().map_or_else(String::new, |time| frame.time(time));
    vec![
        when.into(),
        Words::code(text("login")).into(),
        Words::code(text("purpose")).into(),
        verdict.into(),
        says.into(),
    ]
}

fn shortened(text: &str) -> String {
    let mut short: String = text.chars().take(400).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}
