//! What each stage of a statement's way takes that is new to the proxy, and what a record of the access log takes:
//! `cargo bench --bench stages`. How often each is run, and for how long, are divan's own options.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::sync::OnceLock;

use divan::{Bencher, black_box};
use pgpurpose::audit::{Access, AuditLog, SessionFacts, Sync};
use pgpurpose::catalog::{Catalog, CatalogBuilder, RelationName};
use pgpurpose::policy::{AccessReport, PolicySet};
use pgpurpose::sql::{self, Context};

fn main() {
    divan::main();
}

const POLICY: &str = r#"
version = 1
[tables."public.customers"]
subject = "id"
columns = { id = "reference", email = "contact", name = "identity", city = "operational", health = "health" }
[tables."public.orders"]
subject = "customer_id"
columns = { id = "reference", customer_id = "reference", total = "operational" }
[categories.health]
special = true
[purposes.support]
basis = "contract"
[roles.agent]
logins = ["agent"]
purposes = ["support"]
[[rules]]
name = "support"
roles = ["agent"]
purposes = ["support"]
read = ["reference", "operational", "identity"]
mask = { contact = "email" }
"#;

/// A point read, a join with a condition, and a report with aggregates.
const STATEMENTS: [&str; 3] = [
    "SELECT id, email FROM customers WHERE id = 4711",
    "SELECT c.id, c.name, c.email, o.total FROM customers c JOIN orders o ON o.customer_id = c.id \
     WHERE c.city = 'Durban' AND o.total > 100 ORDER BY o.total DESC LIMIT 20",
    "WITH spent AS (SELECT customer_id, sum(total) AS total, count(*) AS orders FROM orders GROUP BY customer_id) \
     SELECT c.city, avg(s.total) AS mean, max(s.orders) AS most, count(*) FILTER (WHERE s.total > 1000) AS large \
     FROM customers c LEFT JOIN spent s ON s.customer_id = c.id WHERE c.city IN ('Durban', 'Gqeberha', 'Polokwane') \
     GROUP BY c.city HAVING count(*) > 10 ORDER BY mean DESC NULLS LAST",
];

fn catalog() -> &'static Catalog {
    static CATALOG: OnceLock<Catalog> = OnceLock::new();
    CATALOG.get_or_init(|| {
        let mut builder = CatalogBuilder::new();
        let customers = [("id", "int8"), ("email", "text"), ("name", "text"), ("city", "text"), ("health", "text")];
        builder.table(RelationName::new("public", "customers"), &customers, &["id"]);
        let orders = [("id", "int8"), ("customer_id", "int8"), ("total", "numeric")];
        builder.table(RelationName::new("public", "orders"), &orders, &["id"]);
        builder.build()
    })
}

fn policies() -> &'static PolicySet {
    static POLICIES: OnceLock<PolicySet> = OnceLock::new();
    POLICIES.get_or_init(|| {
        let source = ("bench.toml".to_owned(), POLICY.to_owned());
        PolicySet::from_sources(&[source]).unwrap_or_else(|faults| panic!("{faults:?}"))
    })
}

fn with_context<T>(run: impl FnOnce(&Context<'_>) -> T) -> T {
    let search_path = ["public".to_owned()];
    run(&Context::new(catalog(), policies(), "agent", "support", &search_path, jiff::civil::date(2026, 11, 22)))
}

/// Literals out, fingerprint.
#[divan::bench(args = STATEMENTS)]
fn redact(sql: &str) -> sql::Redacted {
    sql::redact(black_box(sql))
}

/// Both parsers and the comparison of their trees.
#[divan::bench(args = STATEMENTS)]
fn parse_and_witness(bencher: Bencher, sql: &str) {
    bencher.bench_local(|| sql::parse(black_box(sql), catalog().server_version()).unwrap());
}

/// All of it: parse, witness, resolve, decide, rewrite, and the check of the text that came out.
#[divan::bench(args = STATEMENTS)]
fn enforce(bencher: Bencher, sql: &str) {
    with_context(|context| {
        bencher.bench_local(|| sql::enforce(black_box(sql), context).unwrap_or_else(|_| panic!("refused: {sql}")));
    });
}

fn report_of(sql: &str) -> AccessReport {
    with_context(|context| sql::enforce(sql, context).unwrap_or_else(|_| panic!("refused: {sql}")).report().clone())
}

fn facts() -> SessionFacts {
    SessionFacts {
        session: "0123456789abcdef0123456789abcdef".into(),
        client: "127.0.0.1:50112".into(),
        login: "agent".into(),
        role: Some("agent".into()),
        purpose: Some("support".into()),
        actor: None,
        ticket: None,
        recipient: Some("internal".into()),
        database: "shop".into(),
        application: "crm".into(),
    }
}

fn access<'a>(facts: &'a SessionFacts, logged: &'a sql::Redacted, report: &'a AccessReport) -> Access<'a> {
    Access {
        session: facts,
        statement: &logged.statement,
        fingerprint: &logged.fingerprint,
        report,
        policy: policies().hash(),
        observe: false,
        unrestricted: None,
        lookups: &[],
    }
}

/// An `access` record as JSON.
#[divan::bench(args = STATEMENTS)]
fn record(bencher: Bencher, sql: &str) {
    let (facts, logged, report) = (facts(), sql::redact(sql), report_of(sql));
    bencher.bench_local(|| access(&facts, &logged, &report).record().unwrap());
}

/// An `access` record from its parts until it counts as logged, with `written`.
#[divan::bench(args = STATEMENTS)]
fn record_and_append(bencher: Bencher, sql: &str) {
    let folder = tempfile::tempdir().unwrap();
    let log = AuditLog::open(folder.path(), Sync::Written).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (facts, logged, report) = (facts(), sql::redact(sql), report_of(sql));
    bencher.bench_local(|| {
        let record = access(&facts, &logged, &report).record().unwrap();
        runtime.block_on(log.append_access(record, ())).unwrap().seq()
    });
    runtime.block_on(log.close("bench")).unwrap();
}
