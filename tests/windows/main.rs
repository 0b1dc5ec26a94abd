//! What a session keeps open over a change: snapshots, cursors, portals, prepared statements, settings.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::string_slice)]

mod cursors;
mod drivers;
mod fetches;
#[path = "../raw/mod.rs"]
mod raw;

use std::sync::{Arc, OnceLock};

use pgpurpose::catalog::{CatalogBuilder, CatalogStore, RelationName};
use pgpurpose::policy::PolicySet;
use pgpurpose::server::Options;
use raw::{
    Client, Proxy, batch, bind, describe, execute, field, message, parse, query, rows, servers, shown, socket, sync,
};

const POLICY: &str = r#"
version = 1
unlisted_tables = "deny"
[tables."public.people"]
subject = "id"
columns = { id = "reference", email = "contact", city = "operational" }
[tables."public.readers"]
subject = "person"
record_subjects = "plain"
columns = { person = "reference", name = "contact", city = "operational" }
[tables."public.loans"]
subject = { column = "reader", references = "public.readers.person" }
columns = { id = "operational", reader = "reference" }
[tables."public.things"]
open = true
[tables."public.keyed"]
open = true
[tables."public.marked"]
open = true
[tables."a.marked"]
open = true
[tables."b.marked"]
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
read = ["reference", "contact", "operational"]
write = ["operational", "reference"]
"#;

const IDS: &str = "SELECT id FROM people ORDER BY id";

/// A login of the purpose that rests on consent, and a superuser straight on the database.
fn stand() -> &'static Proxy {
    static PROXY: OnceLock<Proxy> = OnceLock::new();
    PROXY.get_or_init(|| {
        let sql = "CREATE SCHEMA privacy;
                   CREATE TABLE people (id int PRIMARY KEY, email text, city text);
                   CREATE TABLE keyed (k int PRIMARY KEY);
                   CREATE TABLE things (k int); INSERT INTO things VALUES (1), (2), (3);
                   INSERT INTO people SELECT i, 'mail' || i, 'x' FROM generate_series(1, 4) i;
                   CREATE TABLE privacy.consents (subject_id int, purpose text, granted boolean, until timestamptz);
                   INSERT INTO privacy.consents SELECT i, 'marketing', true, NULL FROM generate_series(1, 4) i;
                   CREATE TABLE readers (person int PRIMARY KEY, name text, city text);
                   INSERT INTO readers SELECT i, 'name' || i, 'x' || i % 7 FROM generate_series(1001, 4000) i;
                   CREATE TABLE loans (id int PRIMARY KEY, reader int REFERENCES readers);
                   INSERT INTO loans SELECT i, 1001 + i % 50 FROM generate_series(1, 200) i;
                   INSERT INTO privacy.consents SELECT i, 'marketing', true, NULL FROM generate_series(1001, 4000) i;
                   CREATE INDEX ON privacy.consents (subject_id);
                   CREATE SCHEMA a; CREATE SCHEMA b; CREATE TABLE a.marked AS SELECT 'a' AS v; CREATE TABLE b.marked AS SELECT 'b' AS v;
                   CREATE TABLE public.marked AS SELECT 'public' AS v;
                   GRANT USAGE ON SCHEMA privacy, a, b TO support; GRANT SELECT ON a.marked, b.marked TO support;
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

/// The schema that the proxy takes `marked` from, and the first one of the server's own path.
fn paths(client: &mut Client) -> (String, String) {
    let mut one = |sql: &str| client.rows(sql).join(",");
    (one("SELECT v FROM marked"), one("SELECT (current_schemas(false))[1]"))
}

#[test]
fn proxy_and_server_search_the_same_schemas() {
    let proxy = stand();
    for (statements, expected) in [
        ("SET search_path = b", "b"),
        ("SET \"SEARCH_PATH\" = b", "b"),
        ("SET \"Search_Path\" TO 'b'", "b"),
        ("SET SESSION Search_Path TO b, a", "b"),
        ("SET SCHEMA 'b'", "b"),
        ("SET search_path = b; RESET search_path", "public"),
        ("SET search_path = b; RESET \"SEARCH_PATH\"", "public"),
        ("SET search_path = b; SET \"SEARCH_PATH\" TO DEFAULT", "public"),
        ("SET search_path = b; RESET ALL", "public"),
        ("SET search_path = b; DISCARD ALL", "public"),
        ("BEGIN; SET LOCAL \"SEARCH_PATH\" = b", "b"),
        ("BEGIN; SET LOCAL search_path = b; COMMIT", "public"),
        ("BEGIN; SET LOCAL search_path = b; SET search_path = a; COMMIT", "a"),
        ("BEGIN; SET search_path = a; SET LOCAL search_path = b; COMMIT", "a"),
        ("BEGIN; SET search_path = a; SET LOCAL search_path = b; COMMIT AND CHAIN", "a"),
        ("BEGIN; SET search_path = a; ROLLBACK", "public"),
        ("BEGIN; SET search_path = a; ROLLBACK AND CHAIN", "public"),
        ("BEGIN; SAVEPOINT s; SET search_path = a; ROLLBACK TO s", "public"),
        ("BEGIN; SET search_path = b; SAVEPOINT s; SET LOCAL search_path = a; ROLLBACK TO s", "b"),
        ("BEGIN; SAVEPOINT s; SET LOCAL search_path = a; RELEASE s", "a"),
        ("BEGIN; SAVEPOINT \"S\"; SAVEPOINT s; SET search_path = a; ROLLBACK TO \"S\"", "public"),
        ("BEGIN; SET search_path = b; SAVEPOINT s; RESET ALL; ROLLBACK TO s", "b"),
        ("BEGIN; SET search_path = b; SELECT 1/0; ROLLBACK", "public"),
        ("BEGIN; SET search_path = b; SELECT 1/0; COMMIT", "public"),
        ("BEGIN; SET search_path = b; SELECT nothing; ROLLBACK", "public"),
        ("SET LOCAL search_path = b", "public"),
        ("SET search_path = nowhere, b", "b"),
        ("SET search_path = 'a, b', b", "b"),
        ("SET search_path = \"B\", b", "b"),
        ("SET search_path = '', b", "b"),
        ("SET search_path = \"$user\", b", "b"),
        ("SET search_path = b; SET search_path = 5", ""),
        ("SET TIME ZONE 'UTC'; SET timezone = 'UTC'; SET search_path = b", "b"),
        ("SET search_path = b, pg_catalog", "b"),
        ("SELECT set_config('search_path', 'b', false)", "b"),
        ("SELECT set_config('SEARCH_PATH', 'b', false)", "public"),
        ("SELECT set_config('transaction_isolation', 'serializable', false)", "public"),
        ("PREPARE p AS SELECT 1; SET search_path = b; DEALLOCATE ALL", "b"),
    ] {
        let mut client = market();
        for statement in statements.split("; ") {
            client.query(statement);
        }
        let (ours, theirs) = paths(&mut client);
        let ours = if expected.is_empty() { theirs.clone() } else { ours };
        assert_eq!(
            (ours.as_str(), theirs.as_str()),
            if expected.is_empty() { ("NULL", "NULL") } else { (expected, expected) },
            "{statements}"
        );
        // The same in one message, and by Parse.
        if !statements.contains("BEGIN") && !statements.contains("DISCARD") {
            let mut client = market();
            client.query(statements);
            let (ours, theirs) = paths(&mut client);
            assert!(expected.is_empty() || ours == theirs, "{statements}: {ours} and {theirs}");
        }
        let mut client = market();
        for statement in statements.split("; ") {
            client.send(&batch(&[parse("", statement), bind("", ""), execute("", 0), sync()]));
            client.until_ready();
        }
        let (ours, theirs) = paths(&mut client);
        assert!(expected.is_empty() || (ours == expected && theirs == expected), "{statements}: {ours} and {theirs}");
    }
    // From the start-up packet, and from the role's own settings; RESET goes back to that.
    for more in
        [("search_path", "b"), ("options", "-c search_path=b"), ("options", "--SEARCH-PATH=b"), ("SEARCH_PATH", "b, a")]
    {
        let mut client = proxy.login("support", &[more]);
        assert_eq!(paths(&mut client), ("b".to_owned(), "b".to_owned()), "{more:?}");
        client.query("SET search_path = a");
        client.query("RESET ALL");
        assert_eq!(paths(&mut client), ("b".to_owned(), "b".to_owned()), "{more:?}");
    }
    raw::cluster().run_sql("postgres", "ALTER ROLE support SET search_path = a, b").unwrap();
    let mut client = market();
    assert_eq!(paths(&mut client), ("a".to_owned(), "a".to_owned()));
    client.query("SET search_path = b");
    client.query("DISCARD ALL");
    assert_eq!(paths(&mut client), ("a".to_owned(), "a".to_owned()));
    raw::cluster().run_sql("postgres", "ALTER ROLE support RESET search_path").unwrap();
}

#[test]
fn the_purpose_is_one_setting_however_it_is_written() {
    for set in [
        "SET \"PGPURPOSE.PURPOSE\" = 'support'",
        "SET pgpurpose.\"PURPOSE\" = 'support'",
        "SET \"PgPurpose\".purpose TO support",
        "SET PGPURPOSE.PURPOSE = 'support'",
    ] {
        let mut client = market();
        let answer = client.query(set);
        // Taken or refused, but never half.
        let purpose = client.rows("SHOW pgpurpose.purpose").join("");
        assert_eq!(purpose == "support", answer.starts_with("C(SET)"), "{set}: {answer}, {purpose}");
        assert_eq!(client.rows("SHOW \"PGPURPOSE.PURPOSE\"").join(""), purpose);
        client.query("RESET \"PGPURPOSE.PURPOSE\"");
        client.query("RESET pgpurpose.purpose");
        assert_eq!(client.rows("SHOW pgpurpose.purpose"), ["marketing"]);
    }
}

#[test]
fn what_was_opened_under_another_policy_is_decided_again_or_refused() {
    stand();
    let proxy = raw::start(Options::new("127.0.0.1:0", servers(&socket())), POLICY, raw::catalog("postgres"));
    let load = |text: String| {
        proxy.shared.policies.store(Arc::new(PolicySet::from_sources(&[("test.toml".into(), text)]).unwrap()));
    };
    let email = "SELECT email FROM people WHERE id = 1";
    let opens = "read = [\"reference\", \"contact\", \"operational\"]";
    let closed = POLICY.replace(opens, "read = [\"reference\"]");
    let masked = POLICY.replace(opens, "read = [\"reference\"]\nmask = { contact = \"null\" }");
    let mut client = proxy.login("support", &[("options", "-c pgpurpose.purpose=support")]);
    client.query(&format!("PREPARE p AS {email}"));
    client.query(&format!("DECLARE held CURSOR WITH HOLD FOR {email}"));
    client.query("BEGIN");
    client.query(&format!("DECLARE c CURSOR FOR {email}"));
    client.send(&batch(&[parse("s", email), bind("portal", "s"), sync()]));
    client.until_ready();
    // A policy that asks for the same text holds for what is read from here on.
    load(format!("{POLICY}# The same once more."));
    for statement in ["FETCH 0 FROM c", "FETCH 0 FROM portal", "FETCH 0 FROM held", "EXECUTE p"] {
        assert!(client.query(statement).ends_with("ZT"), "{statement}");
    }
    load(closed);
    for statement in ["FETCH 1 FROM c", "FETCH 1 FROM portal", "FETCH 1 FROM held", "EXECUTE p"] {
        client.query("SAVEPOINT x");
        assert_eq!(client.query(statement).split(' ').next(), Some("E42501"), "{statement}");
        client.query("ROLLBACK TO x");
    }
    for messages in [batch(&[execute("portal", 0), sync()]), batch(&[bind("again", "s"), execute("again", 0), sync()])]
    {
        client.query("SAVEPOINT x");
        client.send(&messages);
        assert_eq!(shown(&client.until_ready()), "E42501 ZE");
        client.query("ROLLBACK TO x");
    }
    load(masked);
    assert_eq!(client.rows("EXECUTE p"), ["NULL"]);
    client.send(&batch(&[bind("again", "s"), execute("again", 0), sync()]));
    let messages = client.until_ready();
    assert_eq!((shown(&messages).as_str(), rows(&messages)), ("2 D C(SELECT 1) ZT", vec!["NULL".to_owned()]));
    client.query("ROLLBACK");
}

#[test]
fn a_name_that_is_used_again_in_a_pipeline_means_what_it_meant_there() {
    let mut client = market();
    client.query("SET pgpurpose.purpose = 'support'");
    client.send(&batch(&[
        parse("n", "SELECT id FROM people WHERE id = 1"),
        bind("p", "n"),
        execute("p", 0),
        message(b'C', b"Sn\0"),
        message(b'C', b"Pp\0"),
        parse("n", "SELECT email FROM people WHERE id = 1"),
        bind("p", "n"),
        execute("p", 0),
        sync(),
    ]));
    let messages = client.until_ready();
    assert_eq!(shown(&messages), "1 2 D C(SELECT 1) 3 3 1 2 D C(SELECT 1) ZI");
    assert_eq!(rows(&messages), ["1", "mail1"]);
    // A second Parse of a name that is taken fails, and leaves the first.
    client.send(&batch(&[parse("n", "SELECT 7"), bind("q", "n"), execute("q", 0), sync()]));
    assert_eq!(shown(&client.until_ready()), "E42P05 ZI");
    client.send(&batch(&[bind("q", "n"), execute("q", 0), sync()]));
    assert_eq!(rows(&client.until_ready()), ["mail1"]);
    // A statement of another purpose is decided again where it is bound.
    client.query("SET pgpurpose.purpose = 'marketing'");
    withdraw(1, false);
    client.send(&batch(&[bind("q", "n"), execute("q", 0), sync()]));
    let messages = client.until_ready();
    withdraw(1, true);
    assert_eq!((shown(&messages).as_str(), rows(&messages).len()), ("2 C(SELECT 0) ZI", 0));
}

#[test]
fn a_renamed_table_is_decided_by_what_it_is_called_now() {
    let proxy = stand();
    let mut client = market();
    client.query("SET pgpurpose.purpose = 'support'");
    client.send(&batch(&[parse("s", "SELECT k FROM things"), sync()]));
    client.until_ready();
    let mut migrator = proxy.login("postgres", &[]);
    migrator.query("ALTER TABLE things RENAME TO things_gone");
    migrator.query("CREATE VIEW things AS SELECT id AS k, email FROM people");
    migrator.query("GRANT SELECT ON things TO support");
    // The view brings a governed table's rows along: known to the next statement once the catalog is read again.
    let started = std::time::Instant::now();
    let answer = loop {
        // Until then the row description tells: its relation is not the one that was decided.
        client.send(&batch(&[bind("", "s"), execute("", 0), sync()]));
        let mut messages = Vec::new();
        while let Some(message) = client.receive() {
            let ready = message.0 == b'Z';
            messages.push(message);
            if ready {
                break;
            }
        }
        let answer = shown(&messages);
        if answer.contains('E') || started.elapsed() > std::time::Duration::from_secs(5) {
            break answer;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    };
    migrator.query("DROP VIEW things; ALTER TABLE things_gone RENAME TO things");
    assert!(answer.contains("E42501") && !answer.contains("D"), "{answer}");
}

#[test]
fn the_row_description_is_checked_whichever_way_rows_come() {
    stand();
    // A catalog in which the table has another oid: what comes back is then a stranger.
    let mut builder = CatalogBuilder::new();
    builder.table(
        RelationName::new("public", "people"),
        &[("id", "integer"), ("email", "text"), ("city", "text")],
        &["id"],
    );
    let catalog = Arc::new(CatalogStore::fixed(builder.build()));
    let policy =
        POLICY.replace("purposes = [\"marketing\", \"support\"]\n[roles.m", "purposes = [\"support\"]\n[roles.m");
    let proxy = raw::start(Options::new("127.0.0.1:0", servers(&socket())), &policy, catalog);
    let id = "SELECT id FROM people";
    for messages in [
        batch(&[query(&format!("PREPARE p AS {id}")), query("EXECUTE p")]),
        batch(&[query(&format!("PREPARE p AS {id}; EXECUTE p"))]),
        batch(&[query("BEGIN"), query(&format!("DECLARE c CURSOR FOR {id}")), query("FETCH 1 FROM c")]),
        batch(&[query(&format!("BEGIN; DECLARE c CURSOR FOR {id}; FETCH ALL FROM c"))]),
        batch(&[query(&format!("PREPARE p AS {id}")), parse("", "EXECUTE p"), bind("", ""), execute("", 0), sync()]),
        batch(&[parse("s", id), sync(), query("EXECUTE s")]),
        batch(&[query("BEGIN"), parse("s", id), bind("portal", "s"), sync(), query("FETCH 1 FROM portal")]),
        batch(&[
            query("BEGIN"),
            parse("s", id),
            bind("portal", "s"),
            sync(),
            parse("f", "FETCH 1 FROM portal"),
            bind("", "f"),
            execute("", 0),
            sync(),
        ]),
        batch(&[parse("s", id), bind("portal", "s"), describe('P', "portal"), sync()]),
        batch(&[query("UPDATE people SET city = 'y' WHERE id = 1 RETURNING id")]),
    ] {
        let mut client = proxy.login("support", &[]);
        client.send(&messages);
        let messages = client.until_closed();
        assert!(!messages.iter().any(|(tag, _)| matches!(tag, b'D' | b'T')), "{}", shown(&messages));
        assert!(shown(&messages).ends_with("E42501"), "{}", shown(&messages));
    }
}
