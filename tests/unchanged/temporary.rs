//! A temporary table of governed rows is open for the purpose that they were read for, and for no other.

use std::sync::OnceLock;

use pgpurpose::server::Options;

use crate::raw::{self, Client, Proxy, cluster, servers, socket};
use crate::straight;

const POLICY: &str = r#"
version = 1
unlisted_tables = "deny"
[tables."public.people"]
subject = "id"
columns = { id = "reference", email = "contact", city = "operational" }
[tables."public.open"]
open = true
[purposes.work]
basis = "contract"
[purposes.fraud]
basis = "legal_obligation"
[roles.clerk]
logins = ["clerk"]
purposes = ["work", "fraud"]
[[rules]]
name = "work"
roles = ["clerk"]
purposes = ["work"]
read = ["reference", "operational"]
mask = { contact = "first(1)" }
write = ["operational"]
[[rules]]
name = "fraud"
roles = ["clerk"]
purposes = ["fraud"]
read = ["reference", "operational", "contact"]
"#;

fn proxy() -> &'static Proxy {
    static PROXY: OnceLock<Proxy> = OnceLock::new();
    PROXY.get_or_init(|| {
        for sql in ["CREATE DATABASE governed", "CREATE ROLE clerk LOGIN"] {
            straight("postgres", "postgres").query(sql);
        }
        let sql = "CREATE TABLE people (id int PRIMARY KEY, email text, city text);
                   INSERT INTO people VALUES (1, 'ann@x.org', 'Durban'), (2, 'bob@x.org', 'Paarl');
                   CREATE TABLE open (a text);
                   GRANT ALL ON people, open TO clerk; GRANT ALL ON SCHEMA public TO clerk;";
        cluster().run_sql("governed", sql).unwrap();
        raw::start(Options::new("127.0.0.1:0", servers(&socket())), POLICY, raw::catalog("governed"))
    })
}

fn clerk() -> Client {
    proxy().login("clerk", &[("database", "governed"), ("pgpurpose.purpose", "work")])
}

fn purpose(client: &mut Client, name: &str) {
    assert_eq!(client.query(&format!("SET pgpurpose.purpose = '{name}'")), "C(SET) ZI");
}

#[test]
fn it_holds_what_its_purpose_may_see_and_is_closed_under_another() {
    let fills: [&[&str]; 7] = [
        &["CREATE TEMP TABLE t AS SELECT email AS a FROM people"],
        &["SELECT email AS a INTO TEMP t FROM people"],
        &["CREATE TEMP TABLE t (a text)", "INSERT INTO t SELECT email FROM people"],
        &[
            "CREATE TEMP TABLE t (a text)",
            "INSERT INTO t VALUES ('x')",
            "UPDATE t SET a = (SELECT min(email) FROM people)",
        ],
        &["CREATE TEMP TABLE s AS SELECT email FROM people", "CREATE TEMP TABLE t AS SELECT email AS a FROM s"],
        &["CREATE TEMP TABLE t (a text)", "PREPARE p AS INSERT INTO t SELECT email FROM people", "EXECUTE p"],
        &[
            "CREATE TEMP TABLE t (a text)",
            "WITH x AS (INSERT INTO t SELECT email FROM people RETURNING a) SELECT count(*) FROM x",
        ],
    ];
    for (from, to, seen) in [("work", "fraud", "*"), ("fraud", "work", "@")] {
        for steps in fills {
            let mut client = clerk();
            purpose(&mut client, from);
            for step in steps {
                let said = client.query(step);
                assert!(!said.contains("E4") && !said.contains("E2"), "{step}: {said}");
            }
            let rows = client.rows("SELECT a FROM t");
            assert!(!rows.is_empty() && rows.iter().all(|row| row.contains(seen)), "{steps:?} {rows:?}");
            purpose(&mut client, to);
            for read in [
                "SELECT a FROM t",
                "SELECT count(*) FROM t",
                "COPY t TO STDOUT",
                "UPDATE t SET a = a || 'x'",
                "INSERT INTO open SELECT a FROM t",
                "CREATE TEMP TABLE more AS SELECT * FROM t",
                "DELETE FROM t WHERE a LIKE 'a%'",
                "CREATE UNIQUE INDEX ON t (a)",
                "ALTER TABLE t ALTER a TYPE int USING a::int",
            ] {
                assert_eq!(client.query(read), "E42501 ZI", "{steps:?} {read}");
            }
            purpose(&mut client, from);
            assert_eq!(client.rows("SELECT a FROM t"), rows, "{steps:?}");
            purpose(&mut client, to);
            assert_eq!(client.query("DROP TABLE t"), "C(DROP TABLE) ZI");
        }
    }
}

#[test]
fn what_was_filled_cannot_be_reached_by_another_way() {
    let mut client = clerk();
    purpose(&mut client, "fraud");
    assert_eq!(client.query("CREATE TEMP TABLE t AS SELECT email AS a FROM people"), "C(SELECT 2) ZI");
    assert_eq!(client.query("CREATE TEMP VIEW v AS SELECT a FROM t"), "C(CREATE VIEW) ZI");
    assert_eq!(client.query("PREPARE p AS SELECT a FROM t"), "C(PREPARE) ZI");
    assert_eq!(client.query("BEGIN; DECLARE c CURSOR FOR SELECT a FROM t"), "C(BEGIN) C(DECLARE CURSOR) ZT");
    assert_eq!(client.query("SET pgpurpose.purpose = 'work'"), "C(SET) ZT");
    assert_eq!(client.query("FETCH c"), "E42501 ZE");
    client.query("ROLLBACK");
    for way in [
        "SET pgpurpose.purpose = 'work'; SELECT a FROM t",
        "SET pgpurpose.purpose = 'work'; SELECT a FROM v",
        "SET pgpurpose.purpose = 'work'; EXECUTE p",
        "SET pgpurpose.purpose = 'work'; ALTER TABLE t RENAME TO u; SELECT a FROM u",
        "BEGIN; SET LOCAL pgpurpose.purpose = 'work'; SELECT a FROM t",
        "SET pgpurpose.purpose = 'work'; CREATE TEMP TABLE w (a text); INSERT INTO w SELECT a FROM pg_temp.t",
    ] {
        let mut messages = client.query(way);
        assert!(messages.contains("E42501"), "{way}: {messages}");
        messages = client.query("ROLLBACK");
        assert!(messages.contains("C(ROLLBACK)"), "{messages}");
        purpose(&mut client, "fraud");
    }
}

#[test]
fn what_is_refused_does_not_run_against_a_permanent_table_of_that_name() {
    let mut client = clerk();
    // `secret` is no column: refused, by name resolution.
    assert_eq!(client.query("CREATE TEMP TABLE open AS SELECT pg_read_file('x') AS a"), "E42501 ZI");
    for step in [
        "INSERT INTO open VALUES ('x')",
        "DELETE FROM open",
        "SELECT * FROM open",
        "DROP TABLE IF EXISTS open",
        "TRUNCATE open",
    ] {
        assert_eq!(client.query(step), "E42501 ZI", "{step}");
    }
    assert_eq!(client.query("INSERT INTO public.open VALUES ('y')"), "C(INSERT 0 1) ZI");
    assert_eq!(client.query("CREATE TEMP TABLE open (a text)"), "C(CREATE TABLE) ZI");
    assert_eq!(client.rows("SELECT count(*) FROM open"), ["0"]);
    assert_eq!(client.query("DROP TABLE open"), "C(DROP TABLE) ZI");
    assert_eq!(client.rows("SELECT a FROM open"), ["y"]);
    assert_eq!(client.query("DELETE FROM open"), "C(DELETE 1) ZI");
}

#[test]
fn structure_that_a_transaction_made_is_decided_as_permanent_structure_is() {
    let mut client = clerk();
    // No `ddl` for this role: only what is temporary is its own to make.
    for step in [
        "CREATE TABLE mine (a int)",
        "CREATE TEMP TABLE c () INHERITS (people)",
        "ALTER TABLE people ADD x int",
        "CREATE VIEW w AS SELECT 1 AS a",
    ] {
        assert_eq!(client.query(step), "E42501 ZI", "{step}");
    }
    assert_eq!(client.query("CREATE TEMP VIEW w AS SELECT email FROM people"), "C(CREATE VIEW) ZI");
    let said = client.rows("SELECT email FROM w").join(" ");
    assert!(!said.contains('@'), "{said}");
    assert_eq!(client.query("DISCARD ALL"), "C(DISCARD ALL) ZI");
}

#[test]
fn a_temporary_table_is_analyzed_and_described_without_the_right_to_change_structure() {
    let mut client = clerk();
    assert_eq!(client.query("CREATE TEMP TABLE held AS SELECT email AS a FROM people"), "C(SELECT 2) ZI");
    for (step, said) in [
        ("ANALYZE held", "C(ANALYZE) ZI"),
        ("VACUUM (ANALYZE) pg_temp.held (a)", "C(VACUUM) ZI"),
        ("REINDEX TABLE held", "C(REINDEX) ZI"),
        ("COMMENT ON COLUMN held.a IS 'x'", "C(COMMENT) ZI"),
        ("ANALYZE open", "E42501 ZI"),
        ("ANALYZE held, open", "E42501 ZI"),
        ("ANALYZE", "E42501 ZI"),
        ("COMMENT ON TABLE open IS 'x'", "E42501 ZI"),
        ("REINDEX SCHEMA public", "E0A000 ZI"),
    ] {
        assert_eq!(client.query(step), said, "{step}");
    }
    assert_eq!(client.query("DISCARD ALL"), "C(DISCARD ALL) ZI");
}

#[test]
fn structure_is_read_however_little_time_a_client_gives_its_statements() {
    let mut client = clerk();
    client.query("SET statement_timeout = '200ms'");
    client.query("BEGIN");
    client.query("CREATE TEMP TABLE brief AS SELECT 1 AS a");
    // What the proxy reads then, and no statement of the client's, waits for longer than that.
    let mut holder = straight("governed", "postgres");
    holder.query("BEGIN");
    assert_eq!(holder.query("LOCK TABLE pg_catalog.pg_extension IN ACCESS EXCLUSIVE MODE"), "C(LOCK TABLE) ZT");
    let released = std::thread::spawn(move || {
        std::thread::sleep(std::time::Duration::from_millis(700));
        holder.query("COMMIT")
    });
    assert_eq!(client.rows("SELECT a FROM brief"), ["1"]);
    assert_eq!(client.rows("SHOW statement_timeout"), ["200ms"]);
    assert_eq!(client.query("ROLLBACK"), "C(ROLLBACK) ZI");
    assert_eq!(released.join().unwrap(), "C(COMMIT) ZI");
}
