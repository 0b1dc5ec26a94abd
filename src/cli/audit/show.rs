//! One record on the terminal.

use crate::audit::read::Entry;
use crate::cli::output::{Output, Style, printable};
use crate::config::Zone;

pub(super) fn show(entry: &Entry, zone: &Zone, json: bool, output: &mut Output) {
    if json {
        output.line(&entry.line);
    } else {
        let line = describe(entry, zone, output);
        output.line(line);
    }
}

/// One record for a person.
fn describe(entry: &Entry, zone: &Zone, output: &Output) -> String {
    let text = |field| printable(entry.text(field).unwrap_or("-"));
    let seq = entry.seq().unwrap_or_default();
    let actor = entry.text("actor").map(|actor| format!(" as {}", printable(actor))).unwrap_or_default();
    let ticket = entry.text("ticket").map(|ticket| format!(" ({})", printable(ticket))).unwrap_or_default();
    let who = format!("{}{actor} for {}{ticket}", text("login"), text("purpose"));
    let time = zone.show_text(&text("time"));
    match entry.event() {
        "access" => {
            let verdict = text("verdict");
            let style = match verdict.as_str() {
                "allow" => Style::Good,
                "mask" => Style::Middling,
                _ => Style::Bad,
            };
            let mode = if entry.text("mode").is_some() { " (observed)" } else { "" };
            let reason = entry.text("reason").map(|reason| format!("\n    {}", printable(reason))).unwrap_or_default();
            let verdict = output.styled(style, format_args!("{verdict:5}"));
            format!("{seq:>8} {time} {verdict}{mode} {who}: {}{reason}", text("statement"))
        }
        "outcome" => {
            let number = |field| entry.number(field).map_or_else(|| "-".to_owned(), |number| number.to_string());
            let ms = entry.field("ms").map(ToString::to_string).unwrap_or_default();
            let state = entry.text("sqlstate").map(|state| format!(" {}", printable(state))).unwrap_or_default();
            format!("{seq:>8}   of {}: {}{state}, {} rows, {ms} ms", number("of"), text("status"), number("rows"))
        }
        "groups" => {
            let left = entry.number("left").map(|left| format!(", {left} left")).unwrap_or_default();
            let asked = entry.number("asked").unwrap_or_default();
            let of = entry.number("of").unwrap_or_default();
            format!("{seq:>8} {time} groups, of {of}: {who}: number {asked} of the day{left}")
        }
        "lookup" => {
            let columns: Vec<String> = entry
                .field("lookups")
                .and_then(serde_json::Value::as_array)
                .into_iter()
                .flatten()
                .map(|lookup| {
                    let part = |field: &str| lookup.get(field).and_then(serde_json::Value::as_str);
                    let name = format!("{}.{}", part("relation").unwrap_or("-"), part("column").unwrap_or("-"));
                    let digest = part("digest").or_else(|| part("reason")).unwrap_or("-");
                    format!("{} {}", printable(&name), printable(digest))
                })
                .collect();
            let of = entry.number("of").unwrap_or_default();
            format!("{seq:>8} {time} looked up, of {of}: {who}: {}\n    {}", columns.join(", "), text("statement"))
        }
        other => {
            let details: Vec<String> = [
                "about",
                "by",
                "standing",
                "verdict",
                "campaign",
                "page",
                "says",
                "comment",
                "day",
                "has",
                "client",
                "database",
                "application",
                "from",
                "to",
                "refused",
                "policy",
                "what",
                "error",
                "kept",
                "sync",
                "reason",
                "mode",
                "faults",
                "file",
                "after",
                "signed",
                "closed",
                "of",
                "count",
                "bytes",
            ]
            .into_iter()
            .filter_map(|field| Some((field, entry.field(field)?)))
            .filter(|(_, value)| !value.is_null())
            .map(|(field, value)| {
                format!("{field}={}", printable(&value.as_str().map_or_else(|| value.to_string(), str::to_owned)))
            })
            .collect();
            // Who was seen is told as what was asked is: by whom, and why.
            let who = match (entry.text("login"), entry.text("purpose")) {
                (Some(_), Some(_)) => format!(" {who}"),
                (Some(login), None) => format!(" {}{actor}", printable(login)),
                (None, _) => String::new(),
            };
            format!("{seq:>8} {time} {}{who} {}", output.styled(Style::Heading, printable(other)), details.join(" "))
        }
    }
}
