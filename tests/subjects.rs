//! Whose rows were seen: the hidden columns stay with the proxy, and the access log holds what they said.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::print_stderr)]

mod raw;

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, OnceLock};

use pgpurpose::catalog::{CatalogBuilder, CatalogStore};
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

/// Statement, columns, rows, and what the log says.
const SHAPES: &[(&str, u16, usize, &str)] = &[
    ("SELECT email FROM persons WHERE id < 3", 1, 2, "persons 1 2"),
    ("SELECT * FROM persons WHERE id = 3", 3, 1, "persons 3"),
    ("SELECT persons FROM persons WHERE id = 3", 1, 1, "persons 3"),
    ("SELECT row_to_json(p) FROM persons p WHERE id = 3", 1, 1, "persons 3"),
    ("SELECT FROM persons WHERE id = 3", 0, 1, "persons 3"),
    ("SELECT * FROM items WHERE order_id = 2", 2, 1, "items 3"),
    ("SELECT thing FROM items ORDER BY thing LIMIT 1", 1, 1, "items 2"),
    (
        "SELECT p.city, o.total FROM persons p LEFT JOIN orders o ON o.person = p.id WHERE p.id IN (3, 5)",
        2,
        3,
        "orders 3; persons 3 5",
    ),
    ("SELECT a.city, b.city FROM persons a JOIN persons b ON b.id = a.id + 1 WHERE a.id = 1", 2, 1, "persons 1 2"),
    ("SELECT * FROM (SELECT city, email FROM persons WHERE id = 4) d, things", 4, 1, "persons 4"),
    ("WITH c AS (SELECT * FROM persons WHERE id > 3) SELECT c.*, 1 AS one FROM c", 4, 2, "persons 4 5"),
    (
        "SELECT id FROM persons WHERE id = 1 UNION ALL SELECT person FROM orders WHERE order_id = 2",
        1,
        2,
        "orders 3; persons 1",
    ),
    ("SELECT id, city FROM persons WHERE id = 1 UNION ALL VALUES (9, 'x') ORDER BY 1", 2, 2, "persons 1"),
    (
        "SELECT p.id, x.total FROM persons p, LATERAL (SELECT * FROM orders o WHERE o.person = p.id ORDER BY total LIMIT 1) x WHERE id = 2",
        2,
        1,
        "orders 2; persons 2",
    ),
    ("SELECT id, rank() OVER (ORDER BY id DESC) FROM persons WHERE id = 2", 2, 1, "persons 2; ~persons"),
    ("SELECT DISTINCT ON (city) city, id FROM persons ORDER BY city, id", 2, 2, "persons 1 2"),
    ("SELECT count(*) FROM persons", 1, 1, "~persons"),
    ("SELECT city FROM persons GROUP BY city", 1, 2, "~persons"),
    ("SELECT DISTINCT city FROM persons", 1, 2, "~persons"),
    ("SELECT id FROM persons EXCEPT SELECT person FROM orders", 1, 2, "~orders; ~persons"),
    ("SELECT thing FROM things WHERE EXISTS (SELECT 1 FROM persons WHERE id = 1)", 1, 1, "~persons"),
    (
        "SELECT id, (SELECT max(total) FROM orders WHERE person = p.id) FROM persons p WHERE id = 1",
        2,
        1,
        "persons 1; ~orders",
    ),
    ("SELECT (SELECT p.city) FROM persons p WHERE id = 1", 1, 1, "persons 1"),
    ("SELECT (SELECT max(p.id) FROM things) FROM persons p", 1, 1, "~persons"),
    ("SELECT * FROM persons p NATURAL JOIN (SELECT id FROM persons) q WHERE id = 1", 3, 1, "persons 1; ~persons"),
    ("SELECT j.email FROM (persons p JOIN orders o ON o.person = p.id) AS j", 1, 6, "~orders; ~persons"),
    ("UPDATE orders SET total = total + 1 WHERE person = 2 RETURNING order_id", 1, 2, "orders 2"),
    ("WITH u AS (UPDATE orders SET total = total WHERE order_id = 2 RETURNING *) SELECT * FROM u", 3, 1, "orders 3"),
    // Who keeps a row out by being there is seen by that.
    (
        "SELECT o.order_id FROM orders o LEFT JOIN persons p ON p.id = o.order_id WHERE p.id IS NULL",
        1,
        1,
        "orders 1; ~persons",
    ),
    (
        "SELECT o.order_id FROM orders o LEFT JOIN persons p ON p.id = o.order_id WHERE coalesce(p.city, 'none') = 'none'",
        1,
        1,
        "orders 1; ~persons",
    ),
    (
        "SELECT o.order_id FROM orders o LEFT JOIN persons p ON p.id = o.order_id WHERE p.city = 'Durban' AND p.id > 1",
        1,
        2,
        "orders 2 3; persons 2 4",
    ),
    ("SELECT o.total FROM orders o LEFT JOIN persons p ON p.id = o.order_id WHERE o.order_id = 6", 1, 1, "orders 1"),
    (
        "SELECT o.order_id FROM persons p RIGHT JOIN orders o ON p.id = o.order_id WHERE p IS NULL",
        1,
        1,
        "orders 1; ~persons",
    ),
    (
        "SELECT p.id, o.order_id FROM persons p FULL JOIN orders o ON o.order_id = p.id WHERE p.id IS NULL",
        2,
        1,
        "orders 1; ~persons",
    ),
    (
        "SELECT o.order_id FROM orders o LEFT JOIN persons p ON p.id = o.order_id JOIN things t ON p.id IS NULL",
        1,
        1,
        "orders 1; ~persons",
    ),
    (
        "SELECT t.id, o.order_id FROM things t LEFT JOIN (orders o LEFT JOIN persons p ON p.id = o.order_id) ON p.id IS NULL",
        2,
        1,
        "orders 1; ~persons",
    ),
    (
        "SELECT d.order_id FROM (SELECT o.order_id, p.id AS who FROM orders o LEFT JOIN persons p ON p.id = o.order_id) d WHERE d.who IS NULL",
        1,
        1,
        "orders 1; ~persons",
    ),
    (
        "WITH d AS (SELECT o.order_id, p.id AS who FROM orders o LEFT JOIN persons p ON p.id = o.order_id) SELECT order_id FROM d WHERE who IS NULL",
        1,
        1,
        "orders 1; ~persons",
    ),
    (
        "SELECT o.order_id, p.city FROM orders o LEFT JOIN persons p ON p.id = o.order_id ORDER BY p.id NULLS FIRST LIMIT 1",
        2,
        1,
        "orders 1; ~persons",
    ),
    (
        "SELECT o.order_id, p.city FROM orders o LEFT JOIN persons p ON p.id = o.order_id ORDER BY o.order_id LIMIT 1",
        2,
        1,
        "orders 2; persons 1",
    ),
    ("SELECT id FROM (SELECT * FROM persons ORDER BY id LIMIT 3) d WHERE city = 'Durban'", 1, 1, "persons 2; ~persons"),
    ("SELECT id FROM (SELECT * FROM persons ORDER BY id LIMIT 3) d", 1, 3, "persons 1 2 3"),
    (
        "SELECT id FROM (SELECT DISTINCT ON (city) * FROM persons ORDER BY city, id) d WHERE id > 1",
        1,
        1,
        "persons 2; ~persons",
    ),
    (
        "UPDATE orders SET total = total FROM things t LEFT JOIN persons p ON p.id = t.id + 5 WHERE p.id IS NULL AND order_id = 2 RETURNING order_id",
        1,
        1,
        "orders 3; ~persons",
    ),
    // One WITH query that is read in ways of both kinds.
    (
        "WITH c AS (SELECT * FROM persons) SELECT c.id, (SELECT string_agg(d.city, ',') FROM c d) FROM c WHERE c.id = 1",
        2,
        1,
        "persons 1; ~persons",
    ),
    (
        "WITH c AS (SELECT * FROM persons) SELECT id FROM c WHERE id = 1 AND EXISTS (SELECT FROM c d WHERE d.city = 'Durban')",
        1,
        1,
        "persons 1; ~persons",
    ),
    (
        "WITH c AS (SELECT * FROM persons) SELECT id FROM c WHERE id = 1 UNION ALL SELECT count(*)::int FROM c",
        1,
        2,
        "persons 1; ~persons",
    ),
    ("SELECT v.x FROM persons p JOIN LATERAL (VALUES (p.id)) v (x) ON v.x = 2", 1, 1, "persons 2"),
    ("SELECT t.id FROM things t JOIN LATERAL (SELECT FROM persons p WHERE p.id = t.id) x ON true", 1, 1, "persons 1"),
    ("SELECT * FROM json_to_recordset((SELECT json_agg(p) FROM persons p)) AS x (id int)", 1, 5, "~persons"),
    ("SELECT city FROM persons ORDER BY city FETCH FIRST 1 ROW WITH TIES", 1, 2, "persons 2 4"),
    ("VALUES ((SELECT max(id) FROM persons))", 1, 1, "~persons"),
    (
        "UPDATE orders SET total = total FROM persons p WHERE p.id = person AND order_id = 2 RETURNING order_id",
        1,
        1,
        "orders 3; persons 3",
    ),
    ("SELECT * FROM quiet", 2, 1, ""),
    ("SELECT * FROM things", 2, 1, ""),
    ("SELECT id FROM persons WHERE false", 1, 0, ""),
    ("EXPLAIN (COSTS off) SELECT thing FROM things", 1, 1, ""),
];

#[test]
fn each_shape_is_recorded_and_shows_nothing_more() {
    let mut client = client("shapes");
    let mut wrong = Vec::new();
    let mut before = 0;
    for (sql, columns, count, expected) in SHAPES {
        client.send(&query(sql));
        let messages = client.until_ready();
        let records = disclosures("shapes");
        let found = told(&records[before..]);
        before = records.len();
        let shape = (width(&messages), rows(&messages).len());
        if shape != (Some(*columns), *count) || found != *expected {
            wrong.push(format!(
                "{sql}\n  {shape:?} {} `{found}` instead of {columns} {count} `{expected}`",
                shown(&messages)
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
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

/// A database that answers each simple query with these bytes.
fn liar(answers: Vec<Vec<u8>>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for answer in answers {
            let read = |stream: &mut std::net::TcpStream| {
                let mut header = [0; 5];
                stream.read_exact(&mut header).ok()?;
                let length = u32::from_be_bytes(header[1..].try_into().unwrap()) as usize;
                let mut body = vec![0; length - 4];
                stream.read_exact(&mut body).ok()?;
                Some(header[0])
            };
            // What ran is cancelled on a connection of its own, of 16 bytes.
            let (mut stream, mut startup) = loop {
                let (mut stream, _) = listener.accept().unwrap();
                let mut length = [0; 4];
                stream.read_exact(&mut length).unwrap();
                let mut startup = vec![0; u32::from_be_bytes(length) as usize - 4];
                stream.read_exact(&mut startup).unwrap();
                if startup.len() != 12 {
                    break (stream, startup);
                }
            };
            let status = |name: &str, value: &str| message(b'S', format!("{name}\0{value}\0").as_bytes());
            let greeting = batch(&[
                message(b'R', &[0; 4]),
                status("client_encoding", "UTF8"),
                status("server_version", "17.0"),
                status("standard_conforming_strings", "on"),
                message(b'K', &[0, 0, 0, 1, 0, 0, 0, 1]),
                message(b'Z', b"I"),
            ]);
            stream.write_all(&greeting).unwrap();
            let mut answer = Some(answer);
            while let Some(tag) = read(&mut stream) {
                if tag != b'Q' {
                    continue;
                }
                let own = batch(&[
                    message(b'T', b"\0\x01p\0\0\0\0\0\0\0\0\0\0\x19\xff\xff\xff\xff\xff\xff\0\0"),
                    message(b'D', b"\0\x01\0\0\0\x06public"),
                    message(b'C', b"SELECT 1\0"),
                    message(b'Z', b"I"),
                ]);
                // The first is the proxy's own.
                stream
                    .write_all(&if startup.is_empty() {
                        answer.take().unwrap_or_default()
                    } else {
                        startup.clear();
                        own
                    })
                    .unwrap();
            }
        }
    });
    port
}

#[test]
fn a_database_that_leaves_the_key_out_ends_the_session() {
    let field = |name: &str, ty: u8| {
        let mut field = format!("{name}\0").into_bytes();
        field.extend([0, 0, 0, 0, 0, 0, 0, 0, 0, ty, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0]);
        field
    };
    let description = |fields: &[Vec<u8>]| {
        let mut body = u16::try_from(fields.len()).unwrap().to_be_bytes().to_vec();
        body.extend(fields.concat());
        message(b'T', &body)
    };
    let end = [message(b'C', b"SELECT 1\0"), message(b'Z', b"I")].concat();
    let honest = description(&[field("city", 25), field("pgpurpose_subject_q0_0", 25)]);
    let two = message(b'D', b"\0\x02\0\0\0\x01x\0\0\0\x015");
    let cases: Vec<(&str, Vec<Vec<u8>>)> = vec![
        ("a description without the column", vec![description(&[field("city", 25)]), two.clone(), end.clone()]),
        ("one of no columns", vec![description(&[]), two.clone(), end.clone()]),
        ("one of another name", vec![description(&[field("city", 25), field("x", 25)]), two.clone(), end.clone()]),
        (
            "one of another type",
            vec![description(&[field("city", 25), field("pgpurpose_subject_q0_0", 23)]), two.clone(), end.clone()],
        ),
        ("a row of no columns", vec![honest.clone(), message(b'D', b"\0\0"), end.clone()]),
        ("a row that is cut", vec![honest.clone(), message(b'D', b"\0\x02\0\0\0\x01x\0\0\0\x095"), end.clone()]),
        ("a row with more", vec![honest.clone(), message(b'D', b"\0\x02\0\0\0\x01x\0\0\0\x015zzz"), end.clone()]),
        (
            "a row of negative length",
            vec![honest.clone(), message(b'D', b"\0\x02\0\0\0\x01x\xff\xff\xff\xfe"), end.clone()],
        ),
        ("a key that is no text", vec![honest.clone(), message(b'D', b"\0\x02\0\0\0\x01x\0\0\0\x01\xff"), end.clone()]),
        ("a row before its description", vec![two.clone(), end.clone()]),
    ];
    let port = liar(cases.iter().map(|(_, messages)| messages.concat()).chain([[honest, two, end].concat()]).collect());
    let mut builder = CatalogBuilder::new();
    builder.table(
        "public.persons".parse().unwrap(),
        &[("id", "integer"), ("email", "text"), ("city", "text")],
        &["id"],
    );
    let store = Arc::new(CatalogStore::fixed(builder.build()));
    let lied = raw::start(Options::new("127.0.0.1:0", servers(&format!("127.0.0.1:{port}"))), POLICY, store);
    for (what, _) in &cases {
        let mut client = lied.login("support", &[]);
        client.send(&query("SELECT city FROM persons"));
        let messages = client.until_closed();
        assert!(
            rows(&messages).is_empty() && messages.last().is_some_and(|(tag, _)| *tag == b'E'),
            "{what}: {}",
            shown(&messages)
        );
    }
    let mut client = lied.login("support", &[]);
    assert_eq!(client.rows("SELECT city FROM persons"), ["x"]);
}

/// `pgpurpose audit ...` over the log of this test.
fn audit(arguments: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::write(at("policy.toml"), POLICY).unwrap();
    std::fs::write(at("key"), "07".repeat(32)).unwrap();
    let config = format!(
        "[upstream]\naddress = \"127.0.0.1:1\"\n[auth]\nmethod = \"relay\"\n[policy]\nfiles = [\"policy.toml\"]\n\
         [audit]\ndirectory = \"{}\"\nsubject_key = \"file:key\"\n",
        proxy().log.path().display()
    );
    std::fs::write(at("pgpurpose.toml"), config).unwrap();
    std::fs::write(at("ids"), "11\n12\n13\n").unwrap();
    let ids = at("ids").display().to_string();
    let arguments: Vec<&str> = arguments.iter().map(|part| if *part == "IDS" { ids.as_str() } else { part }).collect();
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_pgpurpose"))
        .arg("audit")
        .args(&arguments)
        .arg("--config")
        .arg(at("pgpurpose.toml"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_person_and_a_breach_are_answered_from_the_log() {
    let mut client = client("person");
    client.rows("SELECT * FROM patients WHERE ward = 'ward 0'");
    client.rows("SELECT ward FROM patients WHERE ward = 'ward 0'");
    client.rows("SELECT count(*) FROM patients WHERE ward = 'ward 1'");
    client.rows("SELECT email FROM persons WHERE id = 5");
    proxy().records();
    let json = |arguments: &[&str]| serde_json::from_str::<Value>(&audit(arguments)).unwrap();
    let told = json(&["subject", "12", "--json"]);
    assert_eq!(told["people"], serde_json::json!({ "public.patients": 1 }));
    let seen = &told["seen"][0];
    assert_eq!(
        (&seen["recipient"], &seen["third_party"], &seen["purpose"], &seen["basis"], &seen["seen"]["statements"]),
        (&"Ward Round Ltd".into(), &true.into(), &"support".into(), &"contract".into(), &2.into())
    );
    let columns = &seen["seen"]["columns"]["public.patients"];
    assert_eq!(columns["patient"], serde_json::json!({ "category": "key", "plain": false }));
    assert_eq!(columns["ward"], serde_json::json!({ "category": "open", "plain": true }));
    assert_eq!(told["may_have_been_part_of"][0]["group"]["relation"], "public.patients");
    assert_eq!(json(&["subject", "13", "--json"])["people"], serde_json::json!({}));
    // The key is the same for every table; a table of other people is left out by its name.
    assert_eq!(json(&["subject", "5", "--json"])["people"], serde_json::json!({ "public.persons": 1 }));
    assert_eq!(json(&["subject", "5", "--relation", "patients", "--json"])["people"], serde_json::json!({}));
    let found = audit(&["search", "--subject", "12", "--json"]);
    assert_eq!(found.matches("\"event\":\"disclosure\"").count(), 2, "{found}");
    assert_eq!(audit(&["search", "--subject", "13", "--json"]), "");
    let page = audit(&["subject", "12"]);
    for part in [
        "Ward Round Ltd",
        "Answer a patient&#39;s question",
        "a contract with you needs it",
        "2 times",
        "hidden in part",
    ] {
        assert!(page.contains(part), "`{part}` is not in\n{page}");
    }
    assert!(!page.contains("<script") && !page.contains("http"), "{page}");
    assert!(audit(&["subject", "<b>"]).contains("&lt;b&gt;"));
    let breach = json(&["breach", "--login", "support", "--from", "2020-01-01", "--ids", "IDS", "--json"]);
    assert_eq!(breach["people"], serde_json::json!({ "public.patients": 2, "public.persons": 1 }));
    assert_eq!(breach["named"], serde_json::json!({ "public.patients": ["12"] }));
    assert_eq!(breach["categories"]["open"], serde_json::json!({ "people": 2, "special": false }));
    assert_eq!(
        json(&["breach", "--login", "support", "--from", "2020-01-01", "--to", "2020-01-02", "--json"])["people"],
        serde_json::json!({})
    );
    assert!(
        audit(&["breach", "--login", "support", "--from", "1d"])
            .contains("public.patients                  2 data subjects")
    );
}

/// What came of a COPY: formats, and its data with the messages' ends as `⏎`.
fn copied(client: &mut Client, sql: &str) -> (u16, Vec<String>) {
    client.send(&query(sql));
    let messages = client.until_ready();
    let columns = messages.iter().find(|(tag, _)| *tag == b'H').map_or(99, |(_, body)| {
        let columns = u16::from_be_bytes([body[1], body[2]]);
        assert_eq!(body.len(), 3 + 2 * usize::from(columns));
        columns
    });
    let data = messages.iter().filter(|(tag, _)| *tag == b'd');
    (columns, data.map(|(_, body)| String::from_utf8_lossy(body).into_owned()).collect())
}

#[test]
fn copies_carry_the_key_in_every_format() {
    let mut client = client("copies");
    client.rows("INSERT INTO orders (order_id, person, total) VALUES (90, NULL, 5), (91, 5, NULL)");
    let mut before = 0;
    let mut wrong = Vec::new();
    for (sql, columns, expected, said) in [
        (
            "COPY (SELECT id, city FROM persons WHERE id < 3 ORDER BY id) TO STDOUT",
            2,
            &["1\tPretoria\n", "2\tDurban\n"][..],
            "persons 1 2",
        ),
        (
            "COPY (SELECT order_id, total FROM orders WHERE order_id > 80 ORDER BY 1) TO STDOUT",
            2,
            &["90\t5\n", "91\t\\N\n"],
            "orders 5",
        ),
        (
            "COPY (SELECT order_id, total FROM orders WHERE order_id > 80 ORDER BY 1) TO STDOUT (FORMAT csv, HEADER, NULL 'none', FORCE_QUOTE *)",
            2,
            &["order_id,total\n", "\"90\",\"5\"\n", "\"91\",none\n"],
            "orders 5",
        ),
        (
            "COPY (SELECT id, city FROM persons WHERE id = 3) TO STDOUT WITH CSV DELIMITER '=' QUOTE 'P'",
            2,
            &["3=PPPretoriaP\n"],
            "persons 3",
        ),
        (
            "COPY (SELECT id, city FROM persons WHERE id = 3) TO STDOUT (DELIMITER '=')",
            2,
            &["3=Pretoria\n"],
            "persons 3",
        ),
        (
            "COPY (SELECT id, city FROM persons WHERE id = 3) TO STDOUT (FORMAT csv, DELIMITER '3')",
            2,
            &["\"3\"3Pretoria\n"],
            "persons 3",
        ),
        (
            "COPY items TO STDOUT (HEADER false)",
            2,
            &["1\tthing 1\n", "2\tthing 2\n", "3\tthing 3\n", "4\tthing 4\n"],
            "items 1 2 3",
        ),
        (
            "COPY persons (city) TO STDOUT (FORMAT csv)",
            1,
            &["Pretoria\n", "Durban\n", "Pretoria\n", "Durban\n", "Pretoria\n"],
            "persons 1 2 3 4 5",
        ),
        (
            "COPY (SELECT '\\.', city FROM persons WHERE id = 1) TO STDOUT (FORMAT csv)",
            2,
            &["\\.,Pretoria\n"],
            "persons 1",
        ),
        ("COPY (SELECT '\\.' FROM persons WHERE id = 1) TO STDOUT (FORMAT csv)", 1, &["\"\\.\"\n"], "persons 1"),
        ("COPY (SELECT city FROM persons WHERE false) TO STDOUT (FORMAT csv)", 1, &[], ""),
        (
            "COPY (SELECT city FROM persons WHERE id = 1 UNION ALL VALUES ('x')) TO STDOUT",
            1,
            &["Pretoria\n", "x\n"],
            "persons 1",
        ),
        ("COPY (SELECT city FROM persons WHERE id = 1) TO STDOUT (NULL '\\')", 1, &["Pretoria\n"], "~persons"),
        ("COPY (SELECT count(*) FROM persons) TO STDOUT", 1, &["5\n"], "~persons"),
        ("COPY things TO STDOUT", 2, &["1\tspade\n"], ""),
    ] {
        let found = copied(&mut client, sql);
        let records = disclosures("copies");
        let recorded = told(&records[before..]);
        before = records.len();
        if found != (columns, expected.iter().map(|line| (*line).to_owned()).collect()) || recorded != said {
            wrong.push(format!("{sql}\n  {found:?} `{recorded}`"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // In binary each row has its own count of fields.
    client.send(&query("COPY (SELECT id FROM persons WHERE id IN (2, 4) ORDER BY id) TO STDOUT (FORMAT binary)"));
    let data: Vec<u8> =
        client.until_ready().into_iter().filter(|(tag, _)| *tag == b'd').flat_map(|(_, body)| body).collect();
    let rows: &[u8] = b"\0\x01\0\0\0\x04\0\0\0\x02\0\x01\0\0\0\x04\0\0\0\x04\xff\xff";
    assert_eq!(data[19..], *rows);
    assert_eq!(told(&disclosures("copies")[before..]), "persons 2 4");
    client.rows("DELETE FROM orders WHERE order_id > 80");
}

/// Runs a script of another language with `PG*` leading to the proxy; `None`, loudly, where its driver is not installed.
fn script(program: &str, probe: &[&str], arguments: &[&str], application: &str) -> Option<String> {
    let command = || {
        let mut command = std::process::Command::new(program);
        command
            .env("PGHOST", "127.0.0.1")
            .env("PGPORT", proxy().port.to_string())
            .env("PGUSER", "support")
            .env("PGDATABASE", "seen")
            .env("PGSSLMODE", "disable")
            .env("PGAPPNAME", application)
            .env("NODE_PATH", concat!(env!("CARGO_MANIFEST_DIR"), "/target/pg18/node_modules"))
            .env("PYTHONDONTWRITEBYTECODE", "1");
        command
    };
    if !command().args(probe).output().is_ok_and(|output| output.status.success()) {
        eprintln!("SKIPPED: `{program} {}` fails, so nothing of it is tested", probe.join(" "));
        return None;
    }
    let output = command().args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8(output.stdout).unwrap().trim().to_owned())
}

#[test]
fn drivers_see_nothing_of_the_keys() {
    let python = std::env::var("PGPURPOSE_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let psycopg = r#"
import psycopg
from psycopg.rows import dict_row
with psycopg.connect("", autocommit=True, prepare_threshold=0) as c:
    for binary in (False, True):
        cur = c.cursor(binary=binary, row_factory=dict_row)
        print(cur.execute("SELECT id, city FROM persons WHERE id = %s", [1]).fetchall())
        print(cur.execute("SELECT id, city FROM persons WHERE id = %s", [2]).fetchone(), len(cur.description))
    with c.pipeline():
        a = c.execute("SELECT id FROM persons WHERE id = 3")
        b = c.execute("SELECT * FROM persons WHERE id = 4")
    print(a.fetchall(), b.fetchall())
    with c.transaction(), c.cursor("named") as cur:
        cur.itersize = 2
        cur.execute("SELECT id FROM persons ORDER BY id")
        print([row[0] for row in cur])
    for how in ("", "(FORMAT binary)"):
        with c.cursor().copy(f"COPY (SELECT id, city FROM persons WHERE id = 5) TO STDOUT {how}") as copy:
            copy.set_types(["int4", "text"])
            print(list(copy.rows()))
"#;
    if let Some(said) = script(&python, &["-c", "import psycopg"], &["-c", psycopg], "psycopg") {
        let one = "[{'id': 1, 'city': 'Pretoria'}]\n{'id': 2, 'city': 'Durban'} 2\n";
        let expected = format!(
            "{one}{one}[(3,)] [(4, 'p*******', 'Durban')]\n[1, 2, 3, 4, 5]\n[(5, 'Pretoria')]\n[(5, 'Pretoria')]"
        );
        assert_eq!(said, expected);
        assert_eq!(told(&disclosures("psycopg")), "persons 1 2 3 4 5");
    }
    let asyncpg = r#"
import asyncio, asyncpg, io, os
async def main():
    c = await asyncpg.connect(ssl=False, server_settings={"application_name": os.environ["PGAPPNAME"]})
    print([tuple(r) for r in await c.fetch("SELECT id, city FROM persons WHERE id = $1", 1)])
    s = await c.prepare("SELECT * FROM persons WHERE id = ANY($1::int[]) ORDER BY id")
    print([a.name for a in s.get_attributes()], [r["id"] for r in await s.fetch([1, 2])])
    async with c.transaction():
        print([r["id"] async for r in c.cursor("SELECT id FROM persons ORDER BY id", prefetch=2)])
    out = io.BytesIO()
    print(await c.copy_from_query("SELECT id, city FROM persons WHERE id = 2", output=out, format="csv"), out.getvalue())
    await c.close()
asyncio.run(main())
"#;
    if let Some(said) = script(&python, &["-c", "import asyncpg"], &["-c", asyncpg], "asyncpg") {
        let expected = "[(1, 'Pretoria')]\n['id', 'email', 'city'] [1, 2]\n[1, 2, 3, 4, 5]\nCOPY 1 b'2,Durban\\n'";
        assert_eq!(said, expected);
        assert_eq!(told(&disclosures("asyncpg")), "persons 1 2 3 4 5");
    }
    let node = r#"
const { Client } = require("pg");
(async () => {
  const c = new Client({ application_name: process.env.PGAPPNAME });
  await c.connect();
  for (const name of [undefined, "q"]) {
    const r = await c.query({ name, text: "SELECT id, city FROM persons WHERE id = $1", values: [1], rowMode: "array" });
    console.log(JSON.stringify(r.rows), r.fields.map((f) => f.name).join(","));
  }
  const r = await c.query("SELECT * FROM persons WHERE id = 2");
  console.log(Object.keys(r.rows[0]).join(","));
  await c.end();
})().catch((e) => { console.error(e); process.exit(1); });
"#;
    if let Some(said) = script("node", &["-e", "require('pg')"], &["-e", node], "node") {
        assert_eq!(said, "[[1,\"Pretoria\"]] id,city\n[[1,\"Pretoria\"]] id,city\nid,email,city");
        assert_eq!(told(&disclosures("node")), "persons 1 2");
    }
}
