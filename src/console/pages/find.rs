//! Who saw somebody, what somebody saw, and every other question: one line says who, why, what and when.

use std::fmt::Write;

use super::{Frame, blocks, field};
use crate::audit::read::Entry;
use crate::console::query::Query;
use crate::console::seek::Found;
use crate::page::html::escape;
use crate::page::{Block, Cell, Table, Words, count, heads};

/// Lines on a page.
pub(in crate::console) const PER_PAGE: usize = 50;

/// The form, and what was found where something was asked for.
pub(in crate::console) fn render(frame: &Frame<'_>, query: &Query, found: Option<&Result<Found, String>>) -> String {
    let mut out = String::new();
    out.push_str("<div class=\"cards\">\n");
    let _ = write!(
        out,
        "<section class=\"card\"><h2>Who saw this person?</h2><form method=\"get\" action=\"/find\">{}<button>Who saw them</button></form></section>\n\
         <section class=\"card\"><h2>What did they see?</h2><form method=\"get\" action=\"/find\">{}{}<button>What they saw</button></form></section>\n</div>\n",
        one("whom", "subject", "The person’s key, as the database has it", &query.subject),
        one("wholog", "login", "Login", &query.login),
        one("whoact", "actor", "End user of the application, where many share a login", &query.actor),
    );
    let open = if query.is_empty() { "" } else { " open" };
    let _ = write!(
        out,
        "<details{open}><summary>All fields</summary>\n<form method=\"get\" action=\"/find\" class=\"fields\">\n{}{}{}{}{}{}{}{}{}<button>Find</button></form>\n</details>\n",
        field("subject", "Person", "", &query.subject),
        field("login", "Login", "", &query.login),
        field("actor", "End user", "", &query.actor),
        field("table", "Table", "<code>customers</code> or <code>public.customers</code>", &query.table),
        field("column", "Column", "", &query.column),
        field("purpose", "Purpose", "", &query.purpose),
        verdict(&query.verdict),
        field("since", "From", "<code>2026-11-22</code>, or so long ago: <code>7d</code>", &query.since),
        field("until", "To", "the whole of a day", &query.until),
    );
    match found {
        None => {}
        Some(Err(problem)) => {
            let _ = writeln!(out, "<div class=\"note bad\" role=\"alert\"><p>{}</p></div>", escape(problem));
        }
        Some(Ok(found)) => results(&mut out, frame, query, found),
    }
    frame.page("Find", &out)
}

fn one(id: &str, name: &str, label: &str, value: &str) -> String {
    format!(
        "<div class=\"field\"><label for=\"{id}\">{label}</label><input id=\"{id}\" name=\"{name}\" value=\"{}\" autocomplete=\"off\"></div>",
        escape(value)
    )
}

fn verdict(chosen: &str) -> String {
    let mut out = String::from(
        "<div class=\"field\"><label for=\"verdict\">Outcome</label><select id=\"verdict\" name=\"verdict\">",
    );
    for (value, name) in [("", "all"), ("allow", "as asked"), ("mask", "masked"), ("deny", "refused")] {
        let selected = if value == chosen { " selected" } else { "" };
        let _ = write!(out, "<option value=\"{value}\"{selected}>{name}</option>");
    }
    out.push_str("</select></div>\n");
    out
}

fn results(out: &mut String, frame: &Frame<'_>, query: &Query, found: &Found) {
    for damaged in &found.damaged {
        let _ = writeln!(out, "<p class=\"warning\">A part of the log cannot be read: {}</p>", escape(damaged));
    }
    let _ = writeln!(out, "<h2 id=\"found\">{}</h2>", if found.entries.is_empty() { "Nothing" } else { "Found" });
    if !found.entries.is_empty() {
        let rows = found.entries.iter().map(|entry| line(frame, entry));
        out.push_str(&blocks(&[Block::Table(Table {
            caption: format!(
                "{}, the newest first; times of {}",
                count(found.entries.len() as u64, "line"),
                frame.zone
            ),
            heads: heads([("when", false), ("who", false), ("why", false), ("what", false), ("record", true)]),
            rows: rows.collect(),
        })]));
    }
    let Some(next) = &found.next else {
        out.push_str("<p>Nothing older matches.</p>\n");
        return;
    };
    if !found.parts.is_empty() {
        let parts: Vec<String> = found.parts.iter().map(|seq| frame.record_name(*seq)).collect();
        let _ = writeln!(out, "<p>Looked through the log as far back as record {}.</p>", escape(&parts.join(", ")));
    }
    let _ = writeln!(out, "<p><a class=\"button\" href=\"{}#found\">Older</a></p>", escape(&query.address(Some(next))));
}

/// One record: when, who, why, what.
fn line(frame: &Frame<'_>, entry: &Entry) -> Vec<Cell> {
    let text = |field: &str| entry.text(field).filter(|text| !text.is_empty());
    let mut who = Words::code(text("login").unwrap_or("-"));
    if let Some(actor) = text("actor") {
        who = who.plain(" as ").name(actor);
    }
    let mut why = text("purpose").map_or_else(|| Words::from("no purpose"), Words::code);
    if let Some(ticket) = text("ticket") {
        why = why.plain(", ticket ").name(ticket);
    }
    let when = entry.time().map_or_else(String::new, |time| frame.time(time));
    vec![when.into(), who.into(), why.into(), what(entry).into(), frame.record(entry.seq().unwrap_or_default())]
}

/// What was done with which columns.
fn what(entry: &Entry) -> Words {
    let people = entry.subjects().count() as u64;
    let mut words = match (entry.event(), entry.text("verdict")) {
        ("disclosure", _) => Words::from(format!("saw of {}: ", count(people, "person"))),
        (_, Some("deny")) => Words::from("refused: "),
        (_, Some("mask")) => Words::from("masked: "),
        (_, _) => Words::default(),
    };
    let mut first = true;
    for (relation, columns) in entry.relations() {
        if !std::mem::take(&mut first) {
            words = words.plain("; ");
        }
        words = words.name(relation);
        if !columns.is_empty() {
            words = words.plain(" (").and(Words::some(&columns)).plain(")");
        }
    }
    if let Some(reason) = entry.text("reason").filter(|reason| !reason.is_empty()) {
        words = words.plain(if first { "" } else { " – " }).and(Words::said(reason));
    } else if first {
        words = words.and(
            entry
                .text("statement")
                .map_or_else(Words::default, |statement| Words::code(statement.chars().take(200).collect::<String>())),
        );
    }
    words
}
