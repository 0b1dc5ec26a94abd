//! Consent at the statement: `deploy/privacy.sql` and the statements of `docs/consent.md` on a real PostgreSQL, and what
//! sessions see through the proxy from the moment a withdrawal has committed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "../support/mod.rs"]
mod support;

mod indexes;
mod withdraw;

use std::sync::OnceLock;

use pgpurpose::cluster::Cluster;
use support::client::{As, Said, login};
use support::proxy::{Proxy, Upstream};

const POLICY: &str = r#"
version = 1
[tables."public.customers"]
subject = "id"
columns = { id = "reference", email = "contact", phone = "contact" }
[tables."public.orders"]
subject = "customer_id"
columns = { order_id = "reference", customer_id = "reference", total = "operational" }
[consent]
table = "privacy.consents"
subject = "subject_id"
purpose = "purpose"
active = "granted AND withdrawn_at IS NULL"
evidence = "evidence"
given_at = "granted_at"
[purposes.marketing]
basis = "consent"
[purposes."marketing.sms"]
[purposes."marketing.email"]
[purposes.support]
basis = "contract"
[roles.marketing]
logins = ["marketing"]
purposes = ["marketing", "marketing.sms", "marketing.email"]
[roles.agent]
logins = ["agent"]
purposes = ["support"]
[[rules]]
name = "whom we may write to"
roles = ["marketing"]
purposes = ["marketing", "marketing.sms", "marketing.email"]
read = ["reference", "contact", "operational"]
[[rules]]
name = "support"
roles = ["agent"]
purposes = ["support"]
read = ["reference", "contact"]
"#;

const CUSTOMERS: &str = "
    CREATE ROLE pgpurpose LOGIN SUPERUSER; CREATE ROLE marketing LOGIN; CREATE ROLE agent LOGIN; CREATE ROLE web LOGIN;
    CREATE TABLE customers (id bigint PRIMARY KEY, email text NOT NULL, phone text);
    CREATE TABLE orders (order_id bigint PRIMARY KEY, customer_id bigint NOT NULL REFERENCES customers, total numeric);
    INSERT INTO customers SELECT i, 'c' || i || '@example.co.za', '+2782000' || i FROM generate_series(1, 200) i;
    INSERT INTO orders SELECT i, 1 + i % 200, i FROM generate_series(1, 400) i;
    GRANT SELECT ON customers, orders TO marketing, agent;";

const PRIVACY: &str = include_str!("../../deploy/privacy.sql");
const PAGE: &str = include_str!("../../docs/consent.md");

struct Stand {
    cluster: Cluster,
    proxy: Proxy,
}

/// One cluster; each test has customers of its own in it.
fn stand() -> &'static Stand {
    static STAND: OnceLock<Stand> = OnceLock::new();
    STAND.get_or_init(|| {
        let (cluster, proxy) = open(POLICY);
        Stand { cluster, proxy }
    })
}

/// A cluster and proxy of one test's own, for what breaks it for others.
fn open(policy: &str) -> (Cluster, Proxy) {
    let cluster = support::own_cluster();
    cluster.run_statements("postgres", "CREATE DATABASE shop").unwrap();
    cluster.run_statements("shop", CUSTOMERS).unwrap();
    cluster.run_statements("shop", PRIVACY).unwrap();
    cluster.run_statements("shop", "GRANT privacy_reader TO marketing, agent; GRANT privacy_keeper TO web").unwrap();
    let proxy = Proxy::start_with(&cluster, Upstream::Socket, policy, "");
    (cluster, proxy)
}

impl Stand {
    fn see(&self, options: &str, sql: &str) -> Said {
        let who: As<'_> = login("marketing").options(options);
        self.proxy.psql(&self.cluster, &who, &[sql])
    }

    /// The ids between the two that the purpose sees.
    fn seen(&self, purpose: &str, from: i64, to: i64) -> String {
        let sql =
            format!("SELECT string_agg(id::text, ',' ORDER BY id) FROM customers WHERE id BETWEEN {from} AND {to}");
        self.see(&format!("-c pgpurpose.purpose={purpose}"), &sql).fine()
    }

    fn direct(&self, sql: &str) -> String {
        support::direct(&self.cluster, "shop", sql)
    }
}

/// The statement that stands on the page under this mark, its parameters replaced.
fn statement(mark: &str, values: &[&str]) -> String {
    let after = PAGE.split_once(&format!("<!-- {mark} -->\n```sql\n")).unwrap_or_else(|| panic!("no `{mark}`")).1;
    let mut sql = after.split_once("```").unwrap().0.to_owned();
    for (number, value) in values.iter().enumerate() {
        sql = sql.replace(&format!("${}", number + 1), value);
    }
    assert!(values.is_empty() || !sql.contains("$"), "{sql}");
    sql
}

/// As the application that keeps consents, straight on the database.
fn keep(mark: &str, values: &[&str]) -> String {
    stand().direct(&format!("SET ROLE web; {}", statement(mark, values)))
}

#[test]
fn an_application_grants_and_withdraws_for_each_channel() {
    let stand = stand();
    for purpose in ["'marketing'", "'marketing.sms'"] {
        keep("grant", &["1", purpose, "'web form v3'"]);
        keep("grant", &["1", purpose, "'web form v3, sent twice'"]);
    }
    keep("grant", &["2", "'marketing.sms'", "'a child alone is not enough'"]);
    keep("grant", &["3", "'marketing'", "'call'"]);
    keep("refuse", &["4", "'marketing'", "'call'"]);
    assert_eq!(stand.seen("marketing", 1, 4), "1,3");
    assert_eq!(stand.seen("marketing.sms", 1, 4), "1");
    assert_eq!(stand.seen("marketing.email", 1, 4), "∅", "no channel stands for another");

    keep("withdraw", &["1", "'marketing.sms'", "'STOP'"]);
    assert_eq!(stand.seen("marketing.sms", 1, 4), "∅");
    assert_eq!(stand.seen("marketing", 1, 4), "1,3");
    keep("grant", &["1", "'marketing.sms'", "'web form v4'"]);
    assert_eq!(stand.seen("marketing.sms", 1, 4), "1", "who agrees again is seen again");
    keep("withdraw all", &["1", "'marketing'", "'letter'"]);
    assert_eq!(stand.seen("marketing", 1, 4), "3");
    assert_eq!(stand.seen("marketing.sms", 1, 4), "∅");
    let history = keep("list", &["1"]);
    assert_eq!(history.lines().count(), 3, "every consent and its withdrawal is kept: {history}");

    keep("object", &["1", "'marketing'", "'form 1'"]);
    keep("object", &["1", "'marketing'", "'form 1, again'"]);
    keep("restrict", &["1", "'accuracy_contested'", "'letter'"]);
    assert_eq!(stand.direct("SELECT count(*) FROM privacy.objections WHERE subject_id = 1"), "1");
}

#[test]
fn a_row_without_evidence_or_time_is_no_consent() {
    let stand = stand();
    // A table of somebody else's making has no such constraints.
    stand.direct("SET session_replication_role = replica");
    for (id, evidence, given) in [
        (11, "'web form'", "now() - interval '1 hour'"),
        (12, "'web form'", "now() + interval '1 hour'"),
        (13, "'web form'", "'infinity'"),
    ] {
        stand.direct(&format!(
            "INSERT INTO privacy.consents (subject_id, purpose, evidence, granted_at) VALUES ({id}, 'marketing', {evidence}, {given})"
        ));
    }
    assert_eq!(stand.seen("marketing", 11, 13), "11");
    for evidence in ["''", "'  '", "NULL"] {
        let insert = format!(
            "INSERT INTO privacy.consents (subject_id, purpose, evidence) VALUES (14, 'marketing', {evidence})"
        );
        assert!(stand.cluster.run_sql("shop", &insert).is_err(), "{evidence}");
    }
}

#[test]
fn a_consent_is_withdrawn_once_and_never_rewritten() {
    let stand = stand();
    keep("grant", &["21", "'marketing'", "'web form'"]);
    for change in [
        "SET evidence = 'better'",
        "SET granted_at = now() - interval '1 year'",
        "SET subject_id = 22",
        "SET purpose = 'marketing.sms'",
    ] {
        let told = stand.cluster.run_sql("shop", &format!("UPDATE privacy.consents {change} WHERE subject_id = 21"));
        assert!(told.unwrap_err().to_string().contains("only the withdrawal"), "{change}");
    }
    keep("withdraw", &["21", "'marketing'", "'letter'"]);
    let told = stand.cluster.run_sql("shop", "UPDATE privacy.consents SET withdrawn_at = NULL WHERE subject_id = 21");
    assert!(told.unwrap_err().to_string().contains("does not change"));
    let told = stand.cluster.run_sql("shop", "SET ROLE web; DELETE FROM privacy.consents WHERE subject_id = 21");
    assert!(told.unwrap_err().to_string().contains("permission denied"));
    let told = stand.cluster.run_sql("shop", "SET ROLE marketing; SELECT withdrawn_evidence FROM privacy.consents");
    assert!(told.unwrap_err().to_string().contains("permission denied"), "a filter needs no more than its columns");
}

#[test]
fn a_second_approach_fails() {
    let stand = stand();
    let approach = "INSERT INTO privacy.approaches (subject_id, purpose, evidence) VALUES (31, 'marketing', 'form 4')";
    stand.direct(approach);
    assert!(stand.cluster.run_sql("shop", approach).unwrap_err().to_string().contains("approaches_subject_id_key"));
}

#[test]
fn a_customer_key_of_another_type_is_one_substitution() {
    let cluster = support::own_cluster();
    let changed = PRIVACY.lines().map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["subject_id", kind, ..] if kind.starts_with("bigint") => line.replacen("bigint", "uuid", 1),
            _ => line.to_owned(),
        }
    });
    cluster.run_statements("postgres", &changed.collect::<Vec<_>>().join("\n")).unwrap();
    let types = "SELECT count(*) FILTER (WHERE data_type = 'uuid'), count(*) FROM information_schema.columns
                 WHERE table_schema = 'privacy' AND column_name = 'subject_id'";
    assert_eq!(support::direct(&cluster, "postgres", types), "5|5");
}

/// What is done to the table, what undoes it, and what the refusal names.
const BROKEN: &[(&str, &str, &str)] = &[
    (
        "ALTER TABLE privacy.consents RENAME TO consents_old",
        "ALTER TABLE privacy.consents_old RENAME TO consents",
        "privacy.consents",
    ),
    (
        "ALTER TABLE privacy.consents RENAME subject_id TO person",
        "ALTER TABLE privacy.consents RENAME person TO subject_id",
        "subject_id",
    ),
    (
        "ALTER TABLE privacy.consents RENAME purpose TO why",
        "ALTER TABLE privacy.consents RENAME why TO purpose",
        "purpose",
    ),
    (
        "ALTER TABLE privacy.consents RENAME withdrawn_at TO ended",
        "ALTER TABLE privacy.consents RENAME ended TO withdrawn_at",
        "withdrawn_at",
    ),
    (
        "ALTER TABLE privacy.consents RENAME evidence TO proof",
        "ALTER TABLE privacy.consents RENAME proof TO evidence",
        "evidence",
    ),
    (
        "ALTER TABLE privacy.consents RENAME granted_at TO given",
        "ALTER TABLE privacy.consents RENAME given TO granted_at",
        "granted_at",
    ),
    ("ALTER SCHEMA privacy RENAME TO confidential", "ALTER SCHEMA confidential RENAME TO privacy", "privacy.consents"),
    ("REVOKE privacy_reader FROM marketing", "GRANT privacy_reader TO marketing", "permission denied"),
    (
        "ALTER TABLE privacy.consents ENABLE ROW LEVEL SECURITY",
        "ALTER TABLE privacy.consents DISABLE ROW LEVEL SECURITY",
        "",
    ),
];

fn pause() -> bool {
    std::thread::sleep(std::time::Duration::from_millis(100));
    false
}

#[test]
fn what_cannot_be_read_as_consent_closes_the_purpose() {
    let (cluster, proxy) = open(POLICY);
    let stand = Stand { cluster, proxy };
    stand.direct("INSERT INTO privacy.consents (subject_id, purpose, evidence) VALUES (1, 'marketing', 'form')");
    for (broken, mended, named) in BROKEN {
        // What was mended before is read within a second.
        let seen = || stand.see("-c pgpurpose.purpose=marketing", "SELECT id FROM customers WHERE id BETWEEN 1 AND 3");
        let open = || seen().out.trim() == "1";
        assert!((0..50).any(|_| open() || pause()), "before {broken}: {:?}", seen());
        stand.direct(broken);
        // The first statement may still be decided under the catalog before; it fails then, or sees nobody.
        for sql in
            ["SELECT id FROM customers", "SELECT id, email FROM customers WHERE id = 1", "SELECT order_id FROM orders"]
        {
            let said = stand.see("", sql);
            assert_eq!(said.out, "", "{broken}: {said:?}");
            // What the database itself says of it is cleaned of names.
            assert!(said.err.contains(named) || said.err.contains("does not exist"), "{broken}: {said:?}");
        }
        let agent = stand.proxy.psql(&stand.cluster, &login("agent"), &["SELECT count(*) FROM customers"]);
        assert_eq!(agent.fine(), "200", "a purpose on another basis goes on: {broken}");
        stand.direct(mended);
    }
}
