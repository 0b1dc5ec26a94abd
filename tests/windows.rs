//! What a session keeps open over a change: snapshots, cursors, portals, prepared statements, settings.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod raw;

use std::sync::OnceLock;

use pgpurpose::server::Options;
use raw::{Client, Proxy, batch, bind, describe, execute, field, message, parse, query, servers, shown, socket, sync};

const POLICY: &str = r#"
version = 1
unlisted_tables = "deny"
[tables."public.people"]
subject = "id"
columns = { id = "reference", email = "contact", city = "operational" }
[tables."public.things"]
open = true
[purposes.marketing]
basis = "consent"
[purposes.support]
basis = "contract"
[consent]
table = "privacy.consents"
subject = "subject_id"
purpose = "purpose"
active = "granted AND (until IS NULL OR until > now())"
[roles.support]
logins = ["support"]
purposes = ["marketing", "support"]
[roles.migrator]
logins = ["postgres"]
unrestricted = "tests of the protocol"
[[rules]]
name = "all"
roles = ["support"]
purposes = ["marketing", "support"]
read = ["reference", "contact"]
write = ["operational"]
"#;

const IDS: &str = "SELECT id FROM people ORDER BY id";

/// A login of the purpose that rests on consent, and a superuser straight on the database.
fn stand() -> &'static Proxy {
    static PROXY: OnceLock<Proxy> = OnceLock::new();
    PROXY.get_or_init(|| {
        let sql = "CREATE SCHEMA privacy;
                   CREATE TABLE people (id int PRIMARY KEY, email text, city text);
                   CREATE TABLE things (k int); INSERT INTO things VALUES (1), (2), (3);
                   INSERT INTO people SELECT i, 'mail' || i, 'x' FROM generate_series(1, 4) i;
                   CREATE TABLE privacy.consents (subject_id int, purpose text, granted boolean, until timestamptz);
                   INSERT INTO privacy.consents SELECT i, 'marketing', true, NULL FROM generate_series(1, 4) i;
                   GRANT USAGE ON SCHEMA privacy TO support;
                   GRANT ALL ON ALL TABLES IN SCHEMA public, privacy TO support";
        raw::cluster().run_sql("postgres", sql).unwrap();
        raw::start(Options::new("127.0.0.1:0", servers(&socket())), POLICY, raw::catalog("postgres"))
    })
}

fn market() -> Client {
    stand().login("support", &[])
}

fn withdraw(id: i32, granted: bool) {
    let sql = format!("UPDATE privacy.consents SET granted = {granted} WHERE subject_id = {id}");
    raw::cluster().run_sql("postgres", &sql).unwrap();
}

/// Runs with a consent withdrawn in the middle, and given again at the end.
fn with_withdrawal(id: i32, after: impl FnOnce()) {
    withdraw(id, false);
    after();
    withdraw(id, true);
}

/// SQLSTATE and what helps.
fn refusal(client: &mut Client, sql: &str) -> (String, String) {
    client.send(&query(sql));
    let messages = client.until_ready();
    let error = messages.iter().find(|(tag, _)| *tag == b'E').unwrap_or_else(|| panic!("{sql}: {}", shown(&messages)));
    (field(&error.1, b'C'), field(&error.1, b'H'))
}

#[test]
fn rows_that_rest_on_consent_are_not_read_in_an_older_snapshot() {
    for begin in [
        "BEGIN ISOLATION LEVEL REPEATABLE READ",
        "BEGIN ISOLATION LEVEL SERIALIZABLE, DEFERRABLE",
        "START TRANSACTION ISOLATION LEVEL REPEATABLE READ",
        "BEGIN; SET TRANSACTION ISOLATION LEVEL SERIALIZABLE",
        "BEGIN; SET LOCAL transaction_isolation = 'repeatable read'",
        "BEGIN; SET \"TRANSACTION_ISOLATION\" = 'repeatable read'",
        "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL REPEATABLE READ; COMMIT; BEGIN",
        "SET default_transaction_isolation = 'serializable'; COMMIT; BEGIN",
    ] {
        let mut client = market();
        for statement in begin.split("; ") {
            client.query(statement);
        }
        assert_eq!(client.query("SELECT k FROM things"), "T D D D C(SELECT 3) ZT", "{begin}");
        for statement in [
            IDS,
            "SELECT count(*) FROM people WHERE id / 1 = 1",
            "SELECT t.k, p.email FROM things t LEFT JOIN people p ON p.id = t.k",
            "UPDATE people SET city = 'y' WHERE id = 1",
            "UPDATE people SET city = 'y' WHERE id / 1 = 1",
            "COPY people (id) TO STDOUT",
        ] {
            client.query("SAVEPOINT s");
            let (state, hint) = refusal(&mut client, statement);
            assert_eq!(state, "42501", "{begin}: {statement}");
            assert!(hint.contains("READ COMMITTED"), "{hint}");
            client.query("ROLLBACK TO s");
        }
        client.query("ROLLBACK");
    }
    let mut client = stand().login("support", &[("default_transaction_isolation", "repeatable read")]);
    assert_eq!(refusal(&mut client, IDS).0, "42501");
    client.query("BEGIN ISOLATION LEVEL READ COMMITTED");
    assert_eq!(client.rows(IDS), ["1", "2", "3", "4"]);
    client.query("ROLLBACK");
    // What rests on no consent goes on in any snapshot.
    client.query("SET pgpurpose.purpose = 'support'");
    assert_eq!(client.rows(IDS), ["1", "2", "3", "4"]);
}

#[test]
fn each_statement_of_a_transaction_sees_what_was_withdrawn_before_it() {
    let mut client = market();
    client.query("BEGIN");
    assert_eq!(client.rows("SELECT id FROM people WHERE id = 1"), ["1"]);
    with_withdrawal(1, || assert_eq!(client.rows("SELECT id FROM people WHERE id = 1"), [""; 0]));
    client.query("ROLLBACK");
}

#[test]
fn a_consent_that_ended_since_the_transaction_began_has_ended() {
    let mut client = market();
    client.query("BEGIN");
    assert_eq!(client.rows("SELECT id FROM people WHERE id = 4"), ["4"]);
    let sql = "UPDATE privacy.consents SET until = clock_timestamp() WHERE subject_id = 4";
    raw::cluster().run_sql("postgres", sql).unwrap();
    assert_eq!(client.rows("SELECT id FROM people WHERE id = 4"), [""; 0]);
    raw::cluster().run_sql("postgres", "UPDATE privacy.consents SET until = NULL").unwrap();
    client.query("ROLLBACK");
}

#[test]
fn no_cursor_is_declared_over_rows_that_rest_on_consent() {
    let mut client = market();
    for declare in [
        format!("DECLARE c CURSOR FOR {IDS}"),
        format!("DECLARE c CURSOR WITH HOLD FOR {IDS}"),
        format!("DECLARE c INSENSITIVE SCROLL CURSOR FOR {IDS}"),
        "DECLARE c CURSOR FOR SELECT k FROM things WHERE EXISTS (SELECT FROM people WHERE id = k)".to_owned(),
    ] {
        client.query("BEGIN");
        let (state, hint) = refusal(&mut client, &declare);
        assert_eq!(state, "42501", "{declare}");
        assert!(hint.contains("without a cursor"), "{hint}");
        client.query("ROLLBACK");
        client.send(&batch(&[query("BEGIN"), parse("", &declare), bind("", ""), execute("", 0), sync()]));
        client.until_ready();
        assert_eq!(shown(&client.until_ready()), "E42501 ZE");
        client.query("ROLLBACK");
    }
    client.query("BEGIN");
    assert_eq!(client.query("DECLARE c CURSOR FOR SELECT k FROM things"), "C(DECLARE CURSOR) ZT");
    assert_eq!(client.rows("FETCH 1 FROM c"), ["1"]);
    client.query("ROLLBACK");
    client.query("SET pgpurpose.purpose = 'support'");
    assert_eq!(client.query(&format!("DECLARE c CURSOR WITH HOLD FOR {IDS}")), "C(DECLARE CURSOR) ZI");
    assert_eq!(client.rows("FETCH 1 FROM c"), ["1"]);
}

#[test]
fn a_portal_is_read_in_the_exchange_that_opened_it() {
    let mut client = market();
    // At once, also in several pieces.
    client.send(&batch(&[
        query("BEGIN"),
        parse("", IDS),
        bind("a", ""),
        describe('P', "a"),
        execute("a", 1),
        execute("a", 2),
        sync(),
    ]));
    client.until_ready();
    assert_eq!(shown(&client.until_ready()), "1 2 T D s D D s ZT");
    // Suspended, and gone on with later.
    withdraw(4, false);
    client.send(&batch(&[execute("a", 2), sync()]));
    let messages = client.until_ready();
    withdraw(4, true);
    assert_eq!(shown(&messages), "E42501 ZE");
    client.query("ROLLBACK");
    // Opened, and run later.
    for between in [sync(), message(b'H', b"")] {
        client.send(&batch(&[query("BEGIN"), parse("", IDS), bind("b", ""), between.clone()]));
        client.until_ready();
        if between == sync() {
            client.until_ready();
        } else {
            for _ in 0..2 {
                client.receive().unwrap();
            }
        }
        withdraw(4, false);
        client.send(&batch(&[execute("b", 0), sync()]));
        let messages = client.until_ready();
        withdraw(4, true);
        assert_eq!(shown(&messages), "E42501 ZE");
        client.query("ROLLBACK");
    }
    // What rests on no consent is read in pieces.
    client.query("SET pgpurpose.purpose = 'support'");
    client.send(&batch(&[
        query("BEGIN"),
        parse("", IDS),
        bind("c", ""),
        execute("c", 1),
        sync(),
        execute("c", 1),
        sync(),
    ]));
    client.until_ready();
    assert_eq!(shown(&client.until_ready()), "1 2 D s ZT");
    assert_eq!(shown(&client.until_ready()), "D s ZT");
    client.query("ROLLBACK");
}
