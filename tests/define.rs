//! Changes of the database's structure by a governed role, against a real database: what they make is governed, what they
//! change opens nothing, and every session decides by the new structure from then on.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod raw;

use std::sync::OnceLock;

use pgpurpose::server::Options;
use raw::{Client, Proxy, servers, socket};

const POLICY: &str = r#"
version = 1
unlisted_tables = "allow"
[tables."public.people"]
subject = "id"
columns = { id = "reference", email = "contact", city = "operational", secret = "hidden", old_city = "operational" }
[tables."public.later"]
columns = { id = "reference", secret = "hidden" }
[purposes.work]
basis = "contract"
[purposes.marketing]
basis = "consent"
[consent]
table = "privacy.consents"
subject = "subject_id"
purpose = "purpose"
active = "granted"
[roles.owner]
logins = ["owner"]
purposes = ["work", "marketing"]
ddl = true
[roles.support]
logins = ["support"]
purposes = ["work"]
[roles.migrator]
logins = ["postgres"]
unrestricted = "tests of the structure"
[[rules]]
name = "work"
roles = ["owner", "support"]
purposes = ["work"]
read = ["reference", "operational"]
mask = { contact = "first(1)" }
write = ["reference", "operational"]
[[rules]]
name = "marketing"
roles = ["owner"]
purposes = ["marketing"]
read = ["reference", "operational", "contact"]
"#;

fn proxy() -> &'static Proxy {
    static PROXY: OnceLock<Proxy> = OnceLock::new();
    PROXY.get_or_init(|| {
        let sql = "CREATE ROLE owner LOGIN SUPERUSER;
                   CREATE SCHEMA privacy;
                   CREATE TABLE privacy.consents (subject_id int, purpose text, granted boolean);
                   INSERT INTO privacy.consents VALUES (1, 'marketing', true);
                   CREATE TABLE people (id int PRIMARY KEY, email text, city text, secret text);
                   INSERT INTO people VALUES (1, 'ann@x.org', 'Durban', 'canary1'), (2, 'bob@x.org', 'Paarl', 'canary2');
                   GRANT ALL ON people TO support; GRANT USAGE ON SCHEMA privacy TO support;
                   ALTER DEFAULT PRIVILEGES FOR ROLE owner GRANT ALL ON TABLES TO support";
        raw::cluster().run_sql("postgres", sql).unwrap();
        raw::start(Options::new("127.0.0.1:0", servers(&socket())), POLICY, raw::catalog("postgres"))
    })
}

fn owner() -> Client {
    proxy().login("owner", &[])
}

fn support() -> Client {
    proxy().login("support", &[])
}

fn truth(sql: &str) -> String {
    raw::cluster().run_sql("postgres", sql).unwrap().trim().to_owned()
}

#[test]
fn a_table_from_a_query_holds_masked_values_only() {
    let mut client = owner();
    assert_eq!(client.query("CREATE TABLE copy1 AS SELECT id, email FROM people"), "C(SELECT 2) ZI");
    assert_eq!(truth("SELECT string_agg(email, ',' ORDER BY id) FROM copy1"), "a********,b********");
    assert_eq!(client.rows("SELECT email FROM copy1 ORDER BY id"), ["a********", "b********"]);
    assert_eq!(support().rows("SELECT email FROM copy1 WHERE id = 1"), ["a********"]);
    assert_eq!(client.query("SELECT email INTO copy2 FROM people WHERE id = 1"), "C(SELECT 1) ZI");
    assert_eq!(truth("SELECT email FROM copy2"), "a********");
    assert_eq!(client.query("CREATE MATERIALIZED VIEW copy3 AS SELECT email FROM people"), "C(SELECT 2) ZI");
    assert_eq!(client.query("REFRESH MATERIALIZED VIEW copy3"), "C(REFRESH MATERIALIZED VIEW) ZI");
    assert_eq!(truth("SELECT min(email) FROM copy3"), "a********");
    // It is made of governed rows, so that it is closed until a policy lists it.
    assert_eq!(support().query("SELECT email FROM copy3"), "E42501 ZI");
}

#[test]
fn a_table_from_a_query_of_a_consent_purpose_holds_rows_of_those_who_agreed() {
    let mut client = proxy().login("owner", &[("pgpurpose.purpose", "marketing")]);
    assert_eq!(client.query("CREATE TABLE agreed AS SELECT id, email FROM people"), "C(SELECT 1) ZI");
    assert_eq!(truth("SELECT email FROM agreed"), "ann@x.org");
}

#[test]
fn a_view_is_governed_when_it_is_read() {
    let mut client = owner();
    assert_eq!(client.query("CREATE VIEW seen AS SELECT p.id, p.email FROM people p"), "C(CREATE VIEW) ZI");
    assert_eq!(truth("SELECT min(email) FROM seen"), "ann@x.org");
    for client in [&mut client, &mut support()] {
        // Its own masks or a refusal, but never the value.
        let said = client.query("SELECT email FROM seen");
        assert!(!said.contains("ann@x.org"), "{said}");
        assert_eq!(client.query("SELECT secret FROM seen"), "E42703 ZI");
    }
    assert_eq!(client.query("ALTER VIEW seen RENAME COLUMN email TO city"), "C(ALTER VIEW) ZI");
    let said = client.query("SELECT city FROM seen");
    assert!(!said.contains("ann@x.org"), "{said}");
    assert_eq!(client.query("DROP VIEW seen"), "C(DROP VIEW) ZI");
}

#[test]
fn every_session_decides_by_the_new_structure_at_once() {
    let (mut changes, mut reads) = (owner(), support());
    for number in 0..5 {
        let table = format!("quick{number}");
        assert_eq!(reads.query(&format!("SELECT a FROM {table}")), "E42P01 ZI");
        assert_eq!(changes.query(&format!("CREATE TABLE {table} (a int)")), "C(CREATE TABLE) ZI");
        assert_eq!(reads.query(&format!("INSERT INTO {table} VALUES (7)")), "C(INSERT 0 1) ZI");
        assert_eq!(changes.query(&format!("ALTER TABLE {table} RENAME a TO b")), "C(ALTER TABLE) ZI");
        assert_eq!(reads.rows(&format!("SELECT b FROM {table}")), ["7"]);
        assert_eq!(reads.query(&format!("SELECT a FROM {table}")), "E42703 ZI");
        assert_eq!(changes.query(&format!("ALTER TABLE {table} ADD COLUMN c int DEFAULT 3")), "C(ALTER TABLE) ZI");
        assert_eq!(reads.rows(&format!("SELECT * FROM {table}")), ["7|3"]);
        assert_eq!(changes.query(&format!("DROP TABLE {table}")), "C(DROP TABLE) ZI");
        assert_eq!(reads.query(&format!("SELECT b FROM {table}")), "E42P01 ZI");
    }
}

#[test]
fn what_is_rolled_back_changes_nothing() {
    let mut client = owner();
    client.query("BEGIN");
    assert_eq!(client.query("CREATE TABLE gone (a int)"), "C(CREATE TABLE) ZT");
    assert_eq!(client.query("ALTER TABLE people RENAME COLUMN city TO town"), "C(ALTER TABLE) ZT");
    client.query("ROLLBACK");
    assert_eq!(client.query("SELECT a FROM gone"), "E42P01 ZI");
    assert_eq!(client.rows("SELECT city FROM people WHERE id = 1"), ["Durban"]);
    assert_eq!(support().rows("SELECT city FROM people WHERE id = 1"), ["Durban"]);
}

#[test]
fn a_governed_column_under_a_new_name_is_closed() {
    let mut client = owner();
    client.query("CREATE TABLE later (id int, secret text)");
    truth("INSERT INTO later VALUES (1, 'canary3')");
    assert_eq!(client.query("ALTER TABLE later RENAME COLUMN secret TO id2"), "C(ALTER TABLE) ZI");
    for client in [&mut client, &mut support()] {
        assert_eq!(client.query("SELECT id2 FROM later"), "E42501 ZI");
        assert_eq!(client.rows("SELECT * FROM later"), ["1"]);
    }
    assert_eq!(client.query("ALTER TABLE people RENAME COLUMN secret TO old_city"), "E42501 ZI");
    assert_eq!(
        client.query("ALTER TABLE people ADD COLUMN old_city text GENERATED ALWAYS AS (secret) STORED"),
        "E42501 ZI"
    );
    assert_eq!(client.query("ALTER TABLE people RENAME TO others"), "E42501 ZI");
}

#[test]
fn what_another_session_changed_beside_the_policy_opens_nothing() {
    let mut client = support();
    truth("CREATE TABLE swapped (id int, open_text text, secret text)");
    truth("INSERT INTO swapped VALUES (1, 'fine', 'canary4')");
    let mut migrator = proxy().login("postgres", &[]);
    assert_eq!(migrator.query("ALTER TABLE people RENAME COLUMN city TO spare"), "C(ALTER TABLE) ZI");
    // The unrestricted role's change is known before the next statement of any other.
    assert_eq!(client.query("SELECT city FROM people"), "E42703 ZI");
    assert_eq!(client.query("SELECT spare FROM people"), "E42501 ZI");
    assert_eq!(migrator.query("ALTER TABLE people RENAME COLUMN spare TO city"), "C(ALTER TABLE) ZI");
    assert_eq!(client.rows("SELECT city FROM people WHERE id = 1"), ["Durban"]);
    assert_eq!(migrator.query("CREATE TABLE fresh AS SELECT 1 AS a"), "C(SELECT 1) ZI");
    assert_eq!(migrator.query("GRANT SELECT ON fresh TO support"), "C(GRANT) ZI");
    assert_eq!(client.rows("SELECT a FROM fresh"), ["1"]);
}

#[test]
fn a_migration_runs() {
    let mut client = owner();
    let steps = [
        ("CREATE TABLE migrations (version text PRIMARY KEY)", "C(CREATE TABLE) ZI"),
        ("BEGIN", "C(BEGIN) ZT"),
        (
            "CREATE TABLE visits (id bigserial PRIMARY KEY, person int NOT NULL REFERENCES people (id) ON DELETE CASCADE,
                at timestamptz NOT NULL DEFAULT now(), kind varchar(20) DEFAULT 'x' CHECK (length(kind) > 0))",
            "C(CREATE TABLE) ZT",
        ),
        ("INSERT INTO migrations VALUES ('1')", "C(INSERT 0 1) ZT"),
        ("COMMIT", "C(COMMIT) ZI"),
        ("CREATE INDEX CONCURRENTLY visits_person ON visits (person, at DESC)", "C(CREATE INDEX) ZI"),
        ("ALTER TABLE visits ADD COLUMN note text, ALTER COLUMN kind SET NOT NULL", "C(ALTER TABLE) ZI"),
        ("COMMENT ON COLUMN visits.note IS 'it''s free text'", "C(COMMENT) ZI"),
        ("INSERT INTO visits (person, note) VALUES (1, 'a'), (2, 'b')", "C(INSERT 0 2) ZI"),
        ("VACUUM ANALYZE visits", "C(VACUUM) ZI"),
        ("LOCK TABLE visits", "E25P01 ZI"),
        ("GRANT SELECT ON visits TO support", "C(GRANT) ZI"),
        ("TRUNCATE visits", "C(TRUNCATE TABLE) ZI"),
        ("DROP TABLE IF EXISTS visits, nothing CASCADE", "N C(DROP TABLE) ZI"),
    ];
    for (step, said) in steps {
        assert_eq!(client.query(step), said, "{step}");
    }
    assert_eq!(truth("SELECT string_agg(version, '') FROM migrations"), "1");
}

#[test]
fn who_may_not_change_the_structure_does_not() {
    let mut client = support();
    for sql in [
        "CREATE TABLE mine (a int)",
        "CREATE TABLE mine AS SELECT id FROM people",
        "SELECT id INTO mine FROM people",
        "CREATE VIEW mine AS SELECT id FROM people",
        "ALTER TABLE people ADD COLUMN mine int",
        "DROP TABLE people",
        "TRUNCATE people",
        "LOCK TABLE people",
        "GRANT SELECT ON people TO support",
        "VACUUM people",
    ] {
        assert_eq!(client.query(sql), "E42501 ZI", "{sql}");
    }
    // Whoever may change the structure makes functions, which stay closed to calls.
    let function = "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'";
    assert_eq!(client.query(function), "E42501 ZI");
    for mut client in [client, owner()] {
        assert_eq!(client.query("DO $$ BEGIN END $$"), "E0A000 ZI");
    }
    assert_eq!(truth("SELECT count(*) FROM people"), "2");
}

#[test]
fn a_truncate_runs_no_trigger_that_nobody_named() {
    let proxy = proxy();
    let mut migrator = proxy.login("postgres", &[]);
    for sql in [
        "CREATE FUNCTION empties() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN DELETE FROM public.people; RETURN NULL; END $$",
        "CREATE TABLE emptied (k int)",
        "CREATE TRIGGER empties BEFORE TRUNCATE ON emptied FOR EACH STATEMENT EXECUTE FUNCTION empties()",
        "CREATE TABLE whole (k int) PARTITION BY RANGE (k)",
        "CREATE TABLE half PARTITION OF whole FOR VALUES FROM (0) TO (10)",
        "CREATE TRIGGER halves AFTER TRUNCATE ON half FOR EACH STATEMENT EXECUTE FUNCTION empties()",
        "CREATE TABLE quiet (k int)",
        "CREATE TRIGGER quiet BEFORE DELETE ON quiet FOR EACH STATEMENT EXECUTE FUNCTION empties()",
    ] {
        assert!(migrator.query(sql).starts_with("C(CREATE"), "{sql}");
    }
    let mut client = owner();
    for (sql, said) in [
        ("TRUNCATE emptied", "E42501 ZI"),
        ("TRUNCATE quiet, emptied", "E42501 ZI"),
        ("TRUNCATE whole", "E42501 ZI"),
        ("TRUNCATE half", "E42501 ZI"),
        ("TRUNCATE quiet", "C(TRUNCATE TABLE) ZI"),
    ] {
        assert_eq!(client.query(sql), said, "{sql}");
    }
    assert_eq!(truth("SELECT count(*) FROM people"), "2");
}
