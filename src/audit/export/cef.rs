//! `ArcSight`'s Common Event Format. No name of an event holds a `|`; a line stays under what syslog servers cut.

use super::{Told, cut};

/// No longer value than this, escapes included; of a statement three times as much.
const MOST: usize = 700;

pub(super) fn line(told: &Told<'_>) -> String {
    let refused = told.refused();
    let severity = match (told.grave(), told.event(), refused) {
        (true, _, _) => 9,
        (_, "alert", _) => 7,
        (_, _, true) => 5,
        _ => 2,
    };
    let name = match (told.event(), refused) {
        ("access", true) => "statement refused",
        ("access", false) => "statement",
        ("outcome", _) => "statement ended",
        ("disclosure", _) => "people seen",
        ("login_refused", _) => "login refused",
        (other, _) => other,
    };
    let mut out = format!(
        "CEF:0|pgpurpose|pgpurpose|{}|{}|{}|{severity}|",
        env!("CARGO_PKG_VERSION"),
        header(told.event()),
        header(name)
    );
    let mut first = true;
    let mut field = |key: &str, value: Option<&str>, most: usize| {
        let Some(value) = value.filter(|value| !value.is_empty()) else { return };
        if !std::mem::take(&mut first) {
            out.push(' ');
        }
        out.push_str(key);
        out.push('=');
        out.push_str(&escaped(value, most));
    };
    let number = |name: &str| told.entry.number(name).map(|number| number.to_string());
    field("rt", told.time().map(|time| time.as_millisecond().to_string()).as_deref(), MOST);
    field("externalId", Some(&told.uid(told.seq())), MOST);
    field("act", told.text("verdict"), MOST);
    field("outcome", told.text("status"), MOST);
    field("suser", told.text("login"), MOST);
    match told.client() {
        Some((address, port)) => {
            let port = port.to_string();
            field(if address.contains(':') { "c6a2" } else { "src" }, Some(address), MOST);
            if address.contains(':') {
                field("c6a2Label", Some("Source IPv6 Address"), MOST);
            }
            field("spt", Some(&port), MOST);
        }
        None => field("shost", told.text("client"), MOST),
    }
    field("sourceServiceName", told.text("application"), MOST);
    field("destinationServiceName", told.text("database"), MOST);
    let (tables, people) = (told.tables().join(" "), told.people().join(" "));
    let customs = [
        ("cs1", "purpose", told.text("purpose")),
        ("cs2", "actor", told.text("actor")),
        ("cs3", "ticket", told.text("ticket")),
        ("cs4", "role", told.text("role")),
        ("cs5", "tables", Some(tables.as_str())),
        ("cs6", "people", Some(people.as_str())),
        ("flexString1", "recipient", told.text("recipient")),
        ("flexString2", "sqlstate", told.text("sqlstate")),
        ("cn1", "rows", number("rows").as_deref()),
        ("cn2", "of", number("of").as_deref()),
    ]
    .map(|(key, label, value)| (key, label, value.map(str::to_owned)));
    for (key, label, value) in customs {
        if value.as_ref().is_some_and(|value| !value.is_empty()) {
            field(key, value.as_deref(), MOST);
            field(&format!("{key}Label"), Some(label), MOST);
        }
    }
    field("reason", told.text("reason"), MOST);
    field("msg", told.text("statement").or_else(|| told.text("what")), 3 * MOST);
    out
}

fn header(text: &str) -> String {
    text.replace(['|', '\\'], "/")
}

/// `=` and `\` behind a `\`, a line end as `\n`: at most so many bytes.
fn escaped(value: &str, most: usize) -> String {
    let mut out = String::new();
    for c in value.chars() {
        let before = out.len();
        match c {
            '=' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
        if out.len() > most {
            out.truncate(before);
            let shorter = cut(&out, most - '…'.len_utf8()).trim_end_matches('\\').len();
            out.truncate(shorter);
            out.push('…');
            break;
        }
    }
    out
}
