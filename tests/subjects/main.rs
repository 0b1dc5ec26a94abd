//! Whose rows were seen: the hidden columns stay with the proxy, and the access log holds what they said.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::print_stderr)]

#[path = "../raw/mod.rs"]
mod raw;

mod answers;
mod copies;
mod drivers;
mod liar;
mod shapes;

use std::collections::BTreeSet;
use std::io::Write;
use std::sync::OnceLock;

use pgpurpose::server::Options;
use raw::{
    Client, Message, Proxy, batch, bind, describe, execute, message, parse, query, rows, servers, shown, socket, sync,
};
use serde_json::Value;

const POLICY: &str = r#"
version = 1
unlisted_tables = "deny"
[tables."public.persons"]
subject = "id"
record_subjects = "plain"
columns = { id = "reference", email = "contact", city = "open", secret = "closed" }
[tables."public.orders"]
subject = "person"
record_subjects = "plain"
columns = { order_id = "open", person = "reference", total = "open" }
[tables."public.items"]
subject = { column = "order_id", references = "public.orders.order_id" }
record_subjects = "plain"
columns = { order_id = "open", thing = "open" }
[tables."public.patients"]
subject = "patient"
record_subjects = true
columns = { patient = "key", ward = "open" }
[tables."public.quiet"]
subject = "id"
columns = { id = "reference", n = "open" }
[tables."public.things"]
open = true
[purposes.support]
basis = "contract"
description = "Answer a patient's question"
[roles.support]
logins = ["support"]
purposes = ["support"]
recipient = "Ward Round Ltd"
operator_contract = "2026/3"
[roles.owner]
logins = ["postgres"]
unrestricted = "sets the test up"
[[rules]]
name = "support"
roles = ["support"]
purposes = ["support"]
read = ["reference", "open"]
mask = { contact = "first(1)", key = "band(10)" }
write = ["open", "reference"]
delete = ["public.orders"]
"#;

const TABLES: &str = "
    CREATE TABLE persons (id int PRIMARY KEY, email text, city text, secret text);
    CREATE TABLE orders (order_id int PRIMARY KEY, person int, total int);
    CREATE TABLE items (order_id int, thing text);
    CREATE TABLE patients (patient bigint PRIMARY KEY, ward text);
    CREATE TABLE quiet (id int, n int);
    CREATE TABLE things (id int, thing text);
    INSERT INTO persons SELECT i, 'p' || i || '@x.org', CASE i % 2 WHEN 0 THEN 'Durban' ELSE 'Pretoria' END, 's' FROM generate_series(1, 5) i;
    INSERT INTO orders SELECT i, 1 + i % 3, i * 10 FROM generate_series(1, 6) i;
    INSERT INTO items SELECT i, 'thing ' || i FROM generate_series(1, 4) i;
    INSERT INTO patients SELECT i, 'ward ' || i % 2 FROM generate_series(11, 14) i;
    INSERT INTO quiet VALUES (1, 2);
    INSERT INTO things VALUES (1, 'spade');
    GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO support";

fn proxy() -> &'static Proxy {
    static PROXY: OnceLock<Proxy> = OnceLock::new();
    PROXY.get_or_init(|| {
        raw::cluster().run_statements("postgres", "CREATE DATABASE seen").unwrap();
        raw::cluster().run_sql("seen", TABLES).unwrap();
        raw::start(Options::new("127.0.0.1:0", servers(&socket())), POLICY, raw::catalog("seen"))
    })
}

fn client(application: &str) -> Client {
    proxy().login("support", &[("database", "seen"), ("application_name", application)])
}

/// The disclosures of one application.
fn disclosures(application: &str) -> Vec<Value> {
    let mut records = proxy().records();
    records.retain(|record| record["event"] == "disclosure" && record["application"] == application);
    records
}

/// What was recorded, in one line: `persons 1 2; ~orders` (`~`: an aggregate).
fn told(records: &[Value]) -> String {
    let mut by_relation: std::collections::BTreeMap<String, BTreeSet<String>> = std::collections::BTreeMap::new();
    for record in records {
        for relation in record["relations"].as_array().unwrap() {
            let name = relation["name"].as_str().unwrap().trim_start_matches("public.").to_owned();
            let subjects = relation["subjects"].as_array().unwrap().iter().map(|s| s.as_str().unwrap().to_owned());
            by_relation.entry(name).or_default().extend(subjects);
        }
        for relation in record["aggregate"].as_array().into_iter().flatten() {
            by_relation
                .entry(format!("~{}", relation["name"].as_str().unwrap().trim_start_matches("public.")))
                .or_default();
        }
    }
    let parts = by_relation
        .into_iter()
        .map(|(name, subjects)| std::iter::once(name).chain(subjects).collect::<Vec<_>>().join(" "));
    parts.collect::<Vec<_>>().join("; ")
}

/// How many fields the first row description has.
fn width(messages: &[Message]) -> Option<u16> {
    let (_, body) = messages.iter().find(|(tag, _)| *tag == b'T')?;
    Some(u16::from_be_bytes([body[0], body[1]]))
}

#[test]
fn a_key_that_is_masked_or_left_out_is_recorded_by_pseudonym() {
    let mut client = client("masked");
    assert_eq!(client.rows("SELECT * FROM patients WHERE ward = 'ward 1' ORDER BY 1"), ["10|ward 1", "10|ward 1"]);
    let records = disclosures("masked");
    let subjects = records[0]["relations"][0]["subjects"].as_array().unwrap();
    let key = pgpurpose::audit::SubjectKey::derive(&[7; 32]);
    let expected: BTreeSet<String> = ["11", "13"].map(|id| key.pseudonym(id)).into();
    assert_eq!(subjects.iter().map(|s| s.as_str().unwrap().to_owned()).collect::<BTreeSet<_>>(), expected);
    let relation = &records[0]["relations"][0];
    assert_eq!(relation["form"], "pseudonym");
    let columns = relation["columns"].as_array().unwrap();
    assert!(
        columns.iter().any(|c| c["name"] == "patient" && c["category"] == "key" && c["action"] == "mask"),
        "{relation}"
    );
    let access = proxy().records().into_iter().find(|record| record["seq"] == records[0]["of"]).unwrap();
    assert_eq!((&access["event"], &access["application"]), (&"access".into(), &"masked".into()));
    for field in ["login", "purpose", "recipient", "database", "session"] {
        assert_eq!(records[0][field], access[field], "{field}");
    }
}

#[test]
fn the_extended_protocol_carries_and_strips_in_both_formats() {
    let mut client = client("extended");
    // Two parameters' worth of formats: none, one for all, one for each; text and binary.
    let bind_with = |formats: &[u16], id: &str| {
        let mut body = b"\0\0\0\0\0\x01".to_vec();
        body.extend(u32::try_from(id.len()).unwrap().to_be_bytes());
        body.extend(id.bytes());
        body.extend(u16::try_from(formats.len()).unwrap().to_be_bytes());
        body.extend(formats.iter().flat_map(|format| format.to_be_bytes()));
        message(b'B', &body)
    };
    for (number, formats) in [&[][..], &[0], &[1], &[1, 0], &[0, 1], &[1, 1]].into_iter().enumerate() {
        let id = (number % 5 + 1).to_string();
        client.send(&batch(&[
            parse("", "SELECT id, city FROM persons WHERE id = $1"),
            describe('S', ""),
            bind_with(formats, &id),
            describe('P', ""),
            execute("", 0),
            sync(),
        ]));
        let messages = client.until_ready();
        assert_eq!(shown(&messages), "1 t T 2 T D C(SELECT 1) ZI", "{formats:?}");
        let described: Vec<u16> = messages
            .iter()
            .filter(|(tag, _)| *tag == b'T')
            .map(|(_, body)| u16::from_be_bytes([body[0], body[1]]))
            .collect();
        assert_eq!(described, [2, 2]);
        let (_, row) = messages.iter().find(|(tag, _)| *tag == b'D').unwrap();
        let first = u32::from_be_bytes(row[2..6].try_into().unwrap());
        assert_eq!(u16::from_be_bytes([row[0], row[1]]), 2);
        assert_eq!(first, if formats.first() == Some(&1) { 4 } else { 1 }, "{formats:?}");
        assert_eq!(told(&disclosures("extended")[number..]), format!("persons {id}"));
    }
}

#[test]
fn portals_with_limits_and_cursors_are_recorded_as_they_are_fetched() {
    let mut client = client("portals");
    client.send(&batch(&[
        parse("p", "SELECT id FROM persons ORDER BY id"),
        bind("", "p"),
        execute("", 2),
        execute("", 2),
        execute("", 0),
        sync(),
    ]));
    assert_eq!(shown(&client.until_ready()), "1 2 D D s D D s D C(SELECT 1) ZI");
    let records = disclosures("portals");
    let each: Vec<String> = records.iter().map(|record| told(std::slice::from_ref(record))).collect();
    assert_eq!(each, ["persons 1 2", "persons 3 4", "persons 5"]);
    client.query("BEGIN");
    client.query("DECLARE c CURSOR FOR SELECT * FROM persons ORDER BY id");
    client.query("MOVE 2 FROM c");
    assert_eq!(client.rows("FETCH 1 FROM c"), ["3|p*******|Pretoria"]);
    client.send(&batch(&[parse("f", "FETCH 1 FROM c"), describe('S', "f"), bind("", "f"), execute("", 0), sync()]));
    let messages = client.until_ready();
    assert_eq!((shown(&messages).as_str(), width(&messages)), ("1 t T 2 D C(FETCH 1) ZT", Some(3)));
    client.query("COMMIT");
    let each: Vec<String> =
        disclosures("portals")[3..].iter().map(|record| told(std::slice::from_ref(record))).collect();
    assert_eq!(each, ["~persons", "persons 3", "persons 4"]);
    client.query("PREPARE q AS SELECT city FROM persons WHERE id = $1");
    assert_eq!(client.rows("EXECUTE q(2)"), ["Durban"]);
    assert_eq!(told(&disclosures("portals")[6..]), "persons 2");
    assert!(client.rows("EXPLAIN EXECUTE q(1)").len() > 1, "a plan is not taken apart");
    assert_eq!(told(&disclosures("portals")[7..]), "~persons");
}

#[test]
fn a_cursor_that_is_moved_tells_how_many_there_are_and_that_is_recorded() {
    let mut client = client("moved");
    let mut before = 0;
    let mut told_by = |client: &mut Client, sql: &str| {
        client.send(&query(sql));
        let messages = client.until_ready();
        let tag = |(_, body): &Message| String::from_utf8_lossy(&body[..body.len() - 1]).into_owned();
        let tags: Vec<String> = messages.iter().filter(|(tag, _)| *tag == b'C').map(tag).collect();
        let records = disclosures("moved");
        let told = told(&records[before..]);
        before = records.len();
        (tags.join(", "), told)
    };
    let declare = "BEGIN; DECLARE c SCROLL CURSOR FOR SELECT city FROM persons WHERE id < 4";
    for (sql, tags, told) in [
        (declare, "BEGIN, DECLARE CURSOR", ""),
        ("MOVE ALL IN c", "MOVE 3", "~persons"),
        ("FETCH PRIOR FROM c", "FETCH 1", "persons 3"),
        ("MOVE BACKWARD ALL IN c; FETCH 1 FROM c", "MOVE 2, FETCH 1", "persons 1; ~persons"),
        ("COMMIT", "COMMIT", ""),
        // That there is nobody is told as well.
        (
            "BEGIN; DECLARE c CURSOR FOR SELECT 1 FROM persons WHERE id = 9; MOVE 1 IN c; COMMIT",
            "BEGIN, DECLARE CURSOR, MOVE 0, COMMIT",
            "~persons",
        ),
        (
            "BEGIN; DECLARE c CURSOR FOR SELECT 1 FROM things; MOVE 1 IN c; COMMIT",
            "BEGIN, DECLARE CURSOR, MOVE 1, COMMIT",
            "",
        ),
    ] {
        assert_eq!(told_by(&mut client, sql), (tags.to_owned(), told.to_owned()), "{sql}");
    }
    // The same by the extended protocol.
    client.rows(declare);
    client.send(&batch(&[parse("", "MOVE ALL IN c"), bind("", ""), describe('P', ""), execute("", 0), sync()]));
    client.until_ready();
    assert_eq!(told_by(&mut client, "COMMIT"), ("COMMIT".to_owned(), "~persons".to_owned()));
}

#[test]
fn many_rows_go_in_batches_each_behind_its_record() {
    let mut client = client("batches");
    client.send(&query("SELECT p.id, g FROM persons p, generate_series(1, 1000) g"));
    let messages = client.until_ready();
    assert_eq!(rows(&messages).len(), 5000);
    let records = disclosures("batches");
    assert!(records.len() >= 5, "{}", records.len());
    assert_eq!(records.iter().map(|record| record["rows"].as_u64().unwrap()).sum::<u64>(), 5000);
    assert_eq!(told(&records), "persons 1 2 3 4 5");
}

#[test]
fn an_error_after_rows_comes_after_them() {
    let mut client = client("error");
    client.send(&query("SELECT 1 / (id - 3) FROM persons ORDER BY id"));
    let messages = client.until_ready();
    let tags: String = shown(&messages);
    assert!(tags.ends_with("E22012 ZI"), "{tags}");
    let seen: usize = rows(&messages).len();
    // The error tells of a row as well, and not of which.
    let recorded = told(&disclosures("error"));
    let named = recorded.split("; ").find_map(|part| part.strip_prefix("persons ")).unwrap_or_default();
    assert_eq!(named.split_whitespace().count(), seen, "{recorded} for {seen} rows");
    assert!(recorded.ends_with("~persons"), "{recorded}");
    assert_eq!(client.rows("SELECT id FROM persons WHERE id = 5"), ["5"]);
}

#[test]
fn an_answer_by_an_error_is_recorded() {
    for (number, (sql, recorded)) in [
        ("SELECT 1 / (id - 5) FROM persons WHERE id = 5 AND city = 'Pretoria'", "~persons"),
        ("SELECT city::int FROM persons WHERE id = 5", "~persons"),
        (
            "SELECT thing FROM things WHERE id = 1 AND EXISTS (SELECT 1 / (total - 10) FROM orders WHERE order_id = 1)",
            "~orders",
        ),
        ("UPDATE persons SET city = (1 / (id - 5))::text WHERE id = 5", "~persons"),
        ("SELECT 1 / (id - 1) FROM things", ""),
    ]
    .into_iter()
    .enumerate()
    {
        let simple = format!("by error {number}");
        let mut client = client(&simple);
        client.send(&query(sql));
        let messages = client.until_ready();
        assert!(shown(&messages).contains('E'), "{sql}: {}", shown(&messages));
        assert_eq!(told(&disclosures(&simple)), recorded, "{sql}");
        let extended = format!("by error {number}, extended");
        let mut client = self::client(&extended);
        client.send(&batch(&[parse("", sql), bind("", ""), execute("", 0), sync()]));
        client.until_ready();
        assert_eq!(told(&disclosures(&extended)), recorded, "{sql}");
    }
}

#[test]
fn nothing_of_a_value_but_the_key_is_in_the_log() {
    let mut client = client("values");
    client.rows("SELECT email, city FROM persons WHERE id = 1 AND city = 'Pretoria'");
    client.rows("SELECT count(*) FROM persons WHERE city = 'Pretoria'");
    let records = disclosures("values");
    assert_eq!(records[1]["aggregate"][0]["filter"], "city = $1");
    let text = serde_json::to_string(&records).unwrap();
    assert!(!text.contains("Pretoria") && !text.contains("p1@"), "{text}");
}
