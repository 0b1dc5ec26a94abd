//! Patterns in a real database whose structure changes: what is made is listed by them, and what was closed is not opened.

use pgpurpose::server::Options;

use super::raw::{self, servers, socket};
use super::{error, run};

const POLICY: &str = r#"
version = 1
unlisted_tables = "allow"
[tables."shop.*"]
subject = "person_id"
[tables."shop.*".columns]
"*_id" = "reference"
"*_at" = "operational"
[tables."shop.people"]
subject = "person_id"
columns = { person_id = "reference", name = "identity" }
[tables."open.*"]
open = true
[purposes.care]
basis = "contract"
[roles.r]
logins = ["support"]
purposes = ["care"]
ddl = true
[[rules]]
name = "all"
roles = ["r"]
purposes = ["care"]
read = ["reference", "operational"]
write = ["reference", "operational"]
"#;

fn database(name: &str) -> raw::Proxy {
    raw::cluster().run_statements("postgres", &format!("CREATE DATABASE {name}")).unwrap();
    run(
        name,
        "CREATE SCHEMA shop; CREATE SCHEMA open; CREATE SCHEMA other;
         CREATE TABLE shop.people (person_id bigint PRIMARY KEY, name text, changed_at timestamptz);
         INSERT INTO shop.people VALUES (1, 'Ann', now());
         CREATE TABLE shop.orders (order_id bigint, person_id bigint, made_at date, note text) PARTITION BY RANGE (order_id);
         CREATE TABLE open.orders_1 PARTITION OF shop.orders FOR VALUES FROM (1) TO (10);
         INSERT INTO shop.orders VALUES (1, 1, '2026-01-01', 'secret');
         CREATE TABLE other.closed (id int); INSERT INTO other.closed VALUES (7);
         CREATE VIEW open.over_people AS SELECT name FROM shop.people;
         CREATE TABLE open.words (word text); INSERT INTO open.words VALUES ('hello');
         CREATE VIEW open.over_words AS SELECT word FROM open.words;
         CREATE VIEW open.over_both AS SELECT word FROM open.over_words;
         GRANT ALL ON SCHEMA shop, open, other TO support;
         GRANT ALL ON ALL TABLES IN SCHEMA shop, open, other TO support;",
    );
    raw::start(Options::new("127.0.0.1:0", servers(&socket())), POLICY, raw::catalog(name))
}

#[test]
fn a_pattern_lists_what_is_made_later_and_opens_nothing_that_was_closed() {
    let proxy = database("patterns");
    let mut session = proxy.login("support", &[("database", "patterns@care")]);
    assert_eq!(session.rows("SELECT order_id, made_at FROM shop.orders"), ["1|2026-01-01"]);
    for (statement, said) in [
        ("SELECT note FROM shop.orders", "shop.orders.note"),
        ("SELECT changed_at FROM shop.people", "shop.people.changed_at"),
        // A part of a listed table is governed as that is, whatever pattern matches its own name.
        ("SELECT note FROM open.orders_1", "open.orders_1.note"),
        ("SELECT name FROM open.over_people", "over_people"),
    ] {
        let refusal = error(&mut session, statement);
        assert!(refusal.contains(said), "{statement}: {refusal}");
    }
    assert_eq!(session.rows("SELECT order_id FROM open.orders_1"), ["1"]);
    // A view is listed by a pattern where all that it reads is open.
    assert_eq!(session.rows("SELECT word FROM open.over_both"), ["hello"]);
    // Made by the session itself, within a transaction: closed columns stay closed, others are listed.
    session.rows("BEGIN");
    session.rows("CREATE TABLE shop.visits (person_id bigint, seen_at date, town text)");
    session.rows("INSERT INTO shop.visits (person_id, seen_at) VALUES (1, '2026-02-02')");
    assert_eq!(session.rows("SELECT seen_at FROM shop.visits"), ["2026-02-02"]);
    session.rows("COMMIT");
    let refusal = error(&mut session, "SELECT town FROM shop.visits");
    assert!(refusal.contains("shop.visits.town"), "{refusal}");
    // A pattern's name cannot be given to what would be opened by it.
    for (statement, said) in [
        ("CREATE TABLE open.copied AS SELECT person_id FROM shop.people", "may not be made from a query"),
        ("CREATE VIEW open.seen AS SELECT person_id FROM shop.people", "may not be made from a query"),
        ("ALTER TABLE shop.visits RENAME TO \"orders2\"", ""),
        ("ALTER TABLE shop.visits RENAME COLUMN town TO town_at", "giving other values the name"),
        ("ALTER TABLE shop.visits ADD COLUMN copied_at text GENERATED ALWAYS AS (town) STORED", ""),
    ] {
        let refusal = error(&mut session, statement);
        assert!(refusal.contains(said), "{statement}: {refusal}");
    }
}

#[test]
fn a_table_that_is_renamed_into_a_pattern_stays_as_closed_as_it_was() {
    let proxy = database("renamed_patterns");
    let mut session = proxy.login("support", &[("database", "renamed_patterns@care")]);
    assert_eq!(session.rows("SELECT person_id FROM shop.people"), ["1"]);
    run("renamed_patterns", "ALTER TABLE shop.people SET SCHEMA open; ALTER TABLE open.words SET SCHEMA shop;");
    let settled = std::time::Instant::now();
    // The proxy looks at the catalog again when a name is not known.
    while error(&mut session, "SELECT * FROM shop.people").contains("could not") && settled.elapsed().as_secs() < 20 {}
    let refusal = error(&mut session, "SELECT name FROM open.people");
    assert!(refusal.contains("open.people.name"), "{refusal}");
    assert_eq!(session.rows("SELECT person_id FROM open.people"), ["1"], "by the listing that it had");
    // A table of open words that comes under a governed pattern is no more open than that, and no less closed.
    let refusal = error(&mut session, "SELECT word FROM shop.words");
    assert!(refusal.contains("shop.words"), "{refusal}");
}
