//! OCSF's Datastore Activity, and the Elastic Common Schema.

use serde_json::{Map, Value, json};

use super::Told;

/// Of a statement by its first word.
fn activity(told: &Told<'_>) -> (u32, String) {
    let other = || (99, told.event().to_owned());
    let named = |id, name: &str| (id, name.to_owned());
    match told.event() {
        "connect" => named(3, "Connect"),
        "disclosure" | "lookup" => named(1, "Read"),
        "access" => {
            let word = told.text("statement").and_then(|statement| statement.split_whitespace().next());
            match word.unwrap_or_default().to_ascii_uppercase().as_str() {
                "SELECT" | "WITH" | "TABLE" | "VALUES" | "COPY" | "FETCH" | "DECLARE" => named(4, "Query"),
                "UPDATE" => named(2, "Update"),
                "INSERT" | "MERGE" => named(5, "Write"),
                "DELETE" | "TRUNCATE" => named(7, "Delete"),
                "CREATE" => named(6, "Create"),
                _ => other(),
            }
        }
        _ => other(),
    }
}

/// Without fields that say nothing.
fn object(fields: impl IntoIterator<Item = (&'static str, Value)>) -> Value {
    let empty = |value: &Value| {
        value.is_null() || value.as_object().is_some_and(Map::is_empty) || value.as_array().is_some_and(Vec::is_empty)
    };
    let fields = fields.into_iter().filter(|(_, value)| !empty(value));
    Value::Object(fields.map(|(field, value)| (field.to_owned(), value)).collect())
}

pub(super) fn ocsf(told: &Told<'_>) -> Value {
    let (activity_id, activity_name) = activity(told);
    let (severity_id, severity) = match (told.grave(), told.refused(), told.event()) {
        (true, _, _) => (4, "High"),
        (_, _, "alert") => (3, "Medium"),
        (_, true, _) => (2, "Low"),
        _ => (1, "Informational"),
    };
    let (status_id, status) = match (told.refused(), told.text("status")) {
        (true, _) | (_, Some("error" | "refused" | "skipped")) => (2, "Failure"),
        (_, Some("ok")) | (false, None) if matches!(told.event(), "outcome" | "connect" | "disclosure") => {
            (1, "Success")
        }
        _ => (0, "Unknown"),
    };
    let endpoint = match told.client() {
        Some((ip, port)) => json!({"ip": ip, "port": port}),
        None => json!({"name": told.text("client").unwrap_or("pgpurpose")}),
    };
    let user = told.text("login").map(|login| {
        object([("name", login.into()), ("groups", told.text("role").map(|role| json!([{"name": role}])).into())])
    });
    let correlation = told.entry.number("of").unwrap_or_else(|| told.seq());
    let query = told
        .text("statement")
        .map(|statement| object([("query_string", statement.into()), ("uid", told.text("fingerprint").into())]));
    let tables = told.tables();
    let mapped = [
        "seq",
        "time",
        "event",
        "client",
        "session",
        "login",
        "role",
        "database",
        "statement",
        "fingerprint",
        "reason",
        "sqlstate",
        "application",
        "status",
        "prev",
    ];
    object([
        ("class_uid", 6005.into()),
        ("class_name", "Datastore Activity".into()),
        ("category_uid", 6.into()),
        ("category_name", "Application Activity".into()),
        ("activity_id", activity_id.into()),
        ("activity_name", activity_name.into()),
        ("type_uid", (600_500 + activity_id).into()),
        ("severity_id", severity_id.into()),
        ("severity", severity.into()),
        ("time", told.time().map(|time| time.as_millisecond()).unwrap_or_default().into()),
        ("time_dt", told.text("time").into()),
        ("status_id", status_id.into()),
        ("status", status.into()),
        ("status_code", told.text("sqlstate").into()),
        ("status_detail", told.text("reason").into()),
        ("action_id", if told.refused() { 2.into() } else { 1.into() }),
        ("type_id", 1.into()),
        ("type", "Database".into()),
        (
            "actor",
            object([
                ("user", user.into()),
                ("app_name", told.text("application").filter(|name| !name.is_empty()).or(Some("pgpurpose")).into()),
                ("session", told.text("session").map(|session| json!({"uid": session})).into()),
            ]),
        ),
        ("src_endpoint", endpoint),
        ("database", json!({"name": told.text("database").unwrap_or("unknown"), "type_id": 1, "type": "Relational"})),
        ("table", tables.first().map(|table| json!({"name": table})).into()),
        ("query_info", query.into()),
        (
            "metadata",
            json!({
                "version": "1.3.0",
                "profiles": ["datetime", "security_control"],
                "product": {"name": "pgpurpose", "vendor_name": "pgpurpose", "version": env!("CARGO_PKG_VERSION")},
                "log_name": "access",
                "event_code": told.event(),
                // Numbers beyond 2^53 are rounded by many readers; this one is text.
                "uid": told.uid(told.seq()),
                "correlation_uid": told.uid(correlation),
            }),
        ),
        ("unmapped", Value::Object(told.but(&mapped))),
    ])
}

pub(super) fn ecs(told: &Told<'_>) -> Value {
    let (category, kind): (&[&str], &[&str]) = match told.event() {
        "connect" => (&["authentication", "session"], &["start"]),
        "login_refused" => (&["authentication"], &["start"]),
        "disconnect" => (&["session"], &["end"]),
        "policy" | "grant" => (&["configuration"], &["change"]),
        "access" | "outcome" | "disclosure" | "lookup" | "groups" => (&["database"], &["access"]),
        _ => (&["database"], &["info"]),
    };
    let outcome = match (told.refused(), told.text("status")) {
        (true, _) | (_, Some("error" | "refused" | "skipped")) => Some("failure"),
        (_, Some("ok")) => Some("success"),
        (_, Some(_)) => Some("unknown"),
        (_, None) if told.event() == "connect" => Some("success"),
        (_, None) => None,
    };
    let endpoint = told.client().map(|(ip, port)| json!({"ip": ip, "port": port}));
    let users: Vec<&str> = [told.text("login"), told.text("actor")].into_iter().flatten().collect();
    let mapped = ["time", "event", "login", "role", "reason", "hash", "prev", "seq"];
    object([
        ("@timestamp", told.text("time").into()),
        ("ecs", json!({"version": "8.17.0"})),
        (
            "event",
            object([
                ("kind", if told.grave() || told.event() == "alert" { "alert".into() } else { "event".into() }),
                ("category", json!(category)),
                ("type", json!(kind)),
                ("action", told.event().into()),
                ("outcome", outcome.into()),
                ("reason", told.text("reason").into()),
                ("id", told.uid(told.seq()).into()),
                ("sequence", told.seq().into()),
                ("hash", told.text("hash").into()),
                ("module", "pgpurpose".into()),
                ("dataset", "pgpurpose.access".into()),
            ]),
        ),
        (
            "user",
            object([
                ("name", told.text("login").into()),
                ("roles", told.text("role").map(|role| json!([role])).into()),
            ]),
        ),
        ("related", object([("user", json!(users))])),
        ("source", endpoint.into()),
        ("service", json!({"name": "pgpurpose", "type": "postgresql"})),
        ("pgpurpose", Value::Object(told.but(&mapped))),
    ])
}
