//! A table. Text stays text in what reads it: a cell that a spreadsheet would run, or that some reader would take for a number, a date
//! or nothing at all, begins with `'`; lists are JSON.

use serde_json::Value;

use super::Told;

const COLUMNS: [&str; 26] = [
    "time",
    "seq",
    "event",
    "verdict",
    "login",
    "actor",
    "ticket",
    "role",
    "purpose",
    "recipient",
    "database",
    "application",
    "client",
    "session",
    "statement",
    "tables",
    "columns",
    "people",
    "of",
    "status",
    "rows",
    "sqlstate",
    "ms",
    "reason",
    "more",
    "hash",
];

pub(super) fn header() -> String {
    COLUMNS.join(",")
}

pub(super) fn line(told: &Told<'_>) -> String {
    let cells = COLUMNS.iter().map(|column| quoted(&cell(told, column)));
    cells.collect::<Vec<_>>().join(",")
}

fn cell(told: &Told<'_>, column: &str) -> String {
    let list = |list: Value| if list.as_array().is_some_and(Vec::is_empty) { String::new() } else { list.to_string() };
    match column {
        "time" => told.text("time").unwrap_or_default().to_owned(),
        "seq" | "of" | "rows" | "ms" => {
            told.entry.field(column).filter(|value| value.is_number()).map(Value::to_string).unwrap_or_default()
        }
        "tables" => list(Value::from(told.tables())),
        "columns" => list(Value::from(told.columns())),
        "people" => list(Value::from(told.people())),
        "more" => {
            let mut more = told.but(&COLUMNS);
            for field in ["relations", "prev"] {
                more.remove(field);
            }
            if more.is_empty() { String::new() } else { Value::from(more).to_string() }
        }
        other => guarded(told.text(other).unwrap_or_default()),
    }
}

/// What some reader takes for something else than text.
fn guarded(text: &str) -> String {
    let words =
        ["nan", "null", "none", "n/a", "na", "nil", "inf", "infinity", "true", "false", "epoch", "today", "now"];
    let bare = text.trim_start_matches(['-', '+']).to_ascii_lowercase();
    let runs = text.starts_with(['=', '+', '-', '@', '\'', '\t', '\r', ' ']);
    let counts = text.parse::<f64>().is_ok() || text.starts_with("0x");
    let dated = text.starts_with(|c: char| c.is_ascii_digit())
        && text.chars().all(|c| c.is_ascii_digit() || " -/:.,TZ+eE%".contains(c))
        && text.matches('.').count() < 3;
    if runs || counts || dated || words.contains(&bare.as_str()) { format!("'{text}") } else { text.to_owned() }
}

fn quoted(cell: &str) -> String {
    if cell.contains(['"', ',', '\n', '\r']) || cell.starts_with(' ') || cell.ends_with(' ') {
        format!("\"{}\"", cell.replace('"', "\"\""))
    } else {
        cell.to_owned()
    }
}
