#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::string_slice)]

use serde_json::json;

use super::*;

fn entry(value: &Value) -> Entry {
    Entry::parse(value.to_string().as_bytes()).unwrap()
}

fn access(more: &Value) -> Entry {
    let mut record = json!({
        "seq": 9_007_199_254_740_993_u64, "time": "2026-11-30T10:00:00.123456Z", "event": "access", "session": "s1", "client": "10.1.2.3:4455",
        "login": "crm", "role": "agent", "purpose": "support", "actor": "0820000001", "ticket": "=HYPERLINK(\"x\")", "recipient": "internal",
        "database": "shop", "application": "a|b=c\\", "statement": "SELECT email,\n\"x\" FROM t WHERE id = $1", "fingerprint": "f1",
        "verdict": "deny", "reason": "no|rule = opens", "relations": [{"name": "public.t", "columns": [{"name": "email"}], "subjects": ["0015", "+27820000001"]}],
        "prev": "p", "hash": "h"
    });
    for (key, value) in more.as_object().unwrap() {
        record[key] = value.clone();
    }
    entry(&record)
}

fn outcome() -> Entry {
    entry(
        &json!({"seq": 10, "event": "outcome", "of": 9_007_199_254_740_993_u64, "status": "ok", "rows": 3, "sqlstate": null, "ms": 1.5}),
    )
}

/// The cells of one line, as RFC 4180 has them.
fn cells(line: &str) -> Vec<String> {
    let (mut cells, mut cell, mut within, mut chars) = (Vec::new(), String::new(), false, line.chars().peekable());
    while let Some(c) = chars.next() {
        match c {
            '"' if within && chars.peek() == Some(&'"') => cell.extend(chars.next()),
            '"' => within = !within,
            ',' if !within => cells.push(std::mem::take(&mut cell)),
            c => cell.push(c),
        }
    }
    cells.push(cell);
    cells
}

#[test]
fn csv_is_read_back_and_its_text_stays_text() {
    let mut exporter = Exporter::new(Form::Csv);
    let header: Vec<String> = cells(&exporter.header().unwrap());
    let line = cells(&exporter.line(&access(&json!({}))));
    assert_eq!(header.len(), line.len());
    let of = |line: &[String], column: &str| line[header.iter().position(|name| name == column).unwrap()].clone();
    for (column, expected) in [
        ("time", "2026-11-30T10:00:00.123456Z"),
        ("seq", "9007199254740993"),
        ("actor", "'0820000001"),
        ("ticket", "'=HYPERLINK(\"x\")"),
        ("login", "crm"),
        ("client", "10.1.2.3:4455"),
        ("statement", "SELECT email,\n\"x\" FROM t WHERE id = $1"),
        ("columns", r#"["public.t.email"]"#),
        ("people", r#"["0015","+27820000001"]"#),
        ("more", r#"{"fingerprint":"f1"}"#),
    ] {
        assert_eq!(of(&line, column), expected, "{column}");
    }
    let ended = cells(&exporter.line(&outcome()));
    for (column, expected) in
        [("time", "2026-11-30T10:00:00.123456Z"), ("login", "crm"), ("rows", "3"), ("status", "ok")]
    {
        assert_eq!(of(&ended, column), expected, "{column}");
    }
    for text in ["12:30", "2026-11-30", "01/02/2026", "NaN", "-Infinity", "1e5", "epoch", "+27", "'a", "@a", "0x1f"] {
        let line = cells(&exporter.line(&access(&json!({"actor": text}))));
        assert_eq!(of(&line, "actor"), format!("'{text}"));
    }
    for text in ["u42", "Thabo Mokoena", "10.0.0.1:5432", "OPS-12", "é"] {
        let line = cells(&exporter.line(&access(&json!({"actor": text}))));
        assert_eq!(of(&line, "actor"), text);
    }
}

#[test]
fn ocsf_has_what_datastore_activity_requires() {
    let mut exporter = Exporter::new(Form::Ocsf);
    let told: Value = serde_json::from_str(&exporter.line(&access(&json!({})))).unwrap();
    for field in [
        "activity_id",
        "category_uid",
        "class_uid",
        "type_uid",
        "severity_id",
        "time",
        "metadata",
        "actor",
        "src_endpoint",
        "database",
    ] {
        assert!(!told[field].is_null(), "{field}");
    }
    assert_eq!(
        (&told["class_uid"], &told["activity_id"], &told["type_uid"]),
        (&json!(6005), &json!(4), &json!(600_504))
    );
    assert_eq!(told["time"], json!(1_796_032_800_123_i64));
    assert_eq!(told["time_dt"], "2026-11-30T10:00:00.123456Z");
    assert_eq!(told["metadata"]["uid"], "9007199254740993");
    assert_eq!((&told["action_id"], &told["status_id"]), (&json!(2), &json!(2)));
    assert_eq!(told["actor"]["user"]["name"], "crm");
    assert_eq!((&told["unmapped"]["purpose"], &told["unmapped"]["actor"]), (&json!("support"), &json!("0820000001")));
    let ended: Value = serde_json::from_str(&exporter.line(&outcome())).unwrap();
    assert_eq!(ended["metadata"]["correlation_uid"], "9007199254740993");
    assert_eq!(
        (&ended["status_id"], &ended["time"], &ended["unmapped"]["rows"]),
        (&json!(1), &told["time"], &json!(3))
    );
    // What has neither client, login nor database is whole too.
    let start: Value = serde_json::from_str(
        &exporter.line(&entry(&json!({"seq": 1, "time": "2026-11-30T10:00:00.0Z", "event": "start"}))),
    )
    .unwrap();
    for field in ["actor", "src_endpoint", "database"] {
        assert!(!start[field].is_null(), "{field}");
    }
}

#[test]
fn ecs_names_who_when_and_what_came_of_it() {
    let mut exporter = Exporter::new(Form::Ecs);
    let told: Value = serde_json::from_str(&exporter.line(&access(&json!({})))).unwrap();
    assert_eq!(told["@timestamp"], "2026-11-30T10:00:00.123456Z");
    assert_eq!((&told["event"]["outcome"], &told["event"]["category"]), (&json!("failure"), &json!(["database"])));
    assert_eq!((&told["event"]["id"], &told["source"]["port"]), (&json!("9007199254740993"), &json!(4455)));
    assert_eq!(told["related"]["user"], json!(["crm", "0820000001"]));
    assert_eq!(told["pgpurpose"]["purpose"], "support");
    let ended: Value = serde_json::from_str(&exporter.line(&outcome())).unwrap();
    assert_eq!((&ended["@timestamp"], &ended["event"]["outcome"]), (&told["@timestamp"], &json!("success")));
}

/// Header and extension of a line, read by the format's rules.
fn cef(line: &str) -> (Vec<String>, HashMap<String, String>) {
    let mut parts: Vec<String> = line.splitn(8, '|').map(str::to_owned).collect();
    let extension = parts.pop().unwrap();
    // A key is a word before a `=` that has no `\` before it.
    let bytes = extension.as_bytes();
    let ends: Vec<usize> =
        (0..bytes.len()).filter(|at| bytes[*at] == b'=' && (*at == 0 || bytes[*at - 1] != b'\\')).collect();
    let begins: Vec<usize> = ends.iter().map(|end| extension[..*end].rfind(' ').map_or(0, |at| at + 1)).collect();
    let mut fields = HashMap::new();
    for (number, end) in ends.iter().enumerate() {
        let until = begins.get(number + 1).map_or(extension.len(), |next| next - 1);
        let value = extension[end + 1..until].replace("\\=", "=").replace("\\n", "\n").replace("\\\\", "\\");
        fields.insert(extension[begins[number]..*end].to_owned(), value);
    }
    (parts, fields)
}

#[test]
fn cef_is_read_back_and_stays_short() {
    let mut exporter = Exporter::new(Form::Cef);
    let (header, fields) = cef(&exporter.line(&access(&json!({}))));
    assert_eq!(
        (header[0].as_str(), header[4].as_str(), header[5].as_str(), header[6].as_str()),
        ("CEF:0", "access", "statement refused", "5")
    );
    for (key, expected) in [
        ("rt", "1796032800123"),
        ("externalId", "9007199254740993"),
        ("suser", "crm"),
        ("src", "10.1.2.3"),
        ("spt", "4455"),
        ("cs1", "support"),
        ("cs1Label", "purpose"),
        ("cs2", "0820000001"),
        ("cs6", "0015 +27820000001"),
        ("sourceServiceName", "a|b=c\\"),
        ("reason", "no|rule = opens"),
        ("msg", "SELECT email,\n\"x\" FROM t WHERE id = $1"),
    ] {
        assert_eq!(fields.get(key).map(String::as_str), Some(expected), "{key}");
    }
    for filler in ["é", "=", "\\", "\n"] {
        let people: Vec<String> = (0..5000).map(|n| format!("{filler}{n}")).collect();
        let long = json!({"statement": filler.repeat(20_000), "reason": filler.repeat(5000), "application": filler.repeat(5000), "actor": filler.repeat(5000),
            "ticket": filler.repeat(5000), "relations": [{"name": "t", "columns": [], "subjects": people}]});
        let line = exporter.line(&access(&long));
        assert!(line.len() < 8000 && !line.contains('\n'), "{}", line.len());
    }
}
