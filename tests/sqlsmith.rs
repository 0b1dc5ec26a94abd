//! SQLsmith's random statements through the proxy: no canary comes back, and the proxy stands. See `sqlsmith.sh`.
//! `PGPURPOSE_SQLSMITH_QUERIES` (1000) and `PGPURPOSE_SQLSMITH_SEED`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, clippy::print_stderr)]

mod support;

use std::path::Path;
use std::process::Command;

use support::proxy::{Proxy, Upstream};

/// Canaries in what is denied and in what is masked.
const SCHEMA: &str = "
    CREATE TABLE customers (id bigint PRIMARY KEY, full_name text, email text, health_note text, points integer);
    CREATE TABLE orders (order_id bigint PRIMARY KEY, customer_id bigint REFERENCES customers, total numeric, note text);
    CREATE TABLE products (product_id bigint PRIMARY KEY, name text, price numeric);
    CREATE TABLE secrets (id bigint PRIMARY KEY, secret text);
    INSERT INTO customers SELECT i, 'XCANARY name ' || i, 'CANARY' || i || '@CANARY.za', 'CANARY health ' || i, i FROM generate_series(1, 20) i;
    INSERT INTO orders SELECT i, 1 + i % 20, i, 'CANARY note ' || i FROM generate_series(1, 40) i;
    INSERT INTO products SELECT i, 'thing ' || i, i FROM generate_series(1, 10) i;
    INSERT INTO secrets SELECT i, 'CANARY secret ' || i FROM generate_series(1, 5) i;
    ANALYZE;
    CREATE ROLE pgpurpose LOGIN;
    CREATE ROLE agent LOGIN;
    GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO agent;
    GRANT pg_read_all_stats TO agent;
    GRANT CREATE ON SCHEMA public TO agent;
";

/// The same tables with nothing but what the policy shows: statements made over them name no denied column, and run.
const SEEN: &str = "
    CREATE TABLE customers (id bigint PRIMARY KEY, full_name text, email text, points integer);
    CREATE TABLE orders (order_id bigint PRIMARY KEY, customer_id bigint REFERENCES customers, total numeric);
    CREATE TABLE products (product_id bigint PRIMARY KEY, name text, price numeric);
";

const POLICY: &str = r#"
version = 1
unlisted_tables = "deny"
[tables."public.customers"]
subject = "id"
columns = { id = "open", full_name = "identity", email = "contact", health_note = "health", points = "open" }
[tables."public.orders"]
subject = "customer_id"
columns = { order_id = "open", customer_id = "open", total = "open", note = "health" }
[tables."public.products"]
open = true
[purposes.support]
basis = "contract"
description = "Answer a customer's question"
[roles.agent]
logins = ["agent"]
purposes = ["support"]
ddl = true
[[rules]]
name = "agents see masks"
roles = ["agent"]
purposes = ["support"]
read = ["open"]
mask = { identity = "first(1)", contact = "email" }
"#;

#[test]
fn random_statements_bring_no_canary_back() {
    let cluster = support::own_cluster();
    cluster.run_statements("postgres", "CREATE DATABASE shop").unwrap();
    cluster.run_sql("shop", SCHEMA).unwrap();
    cluster.run_statements("postgres", "CREATE DATABASE seen").unwrap();
    cluster.run_sql("seen", SEEN).unwrap();
    // The proxy must find the tables in one database only.
    cluster.run_statements("seen", "REVOKE CONNECT ON DATABASE seen FROM PUBLIC").unwrap();
    let proxy = Proxy::start_with(&cluster, Upstream::Socket, POLICY, "");
    let direct = format!("host={} port={} user=postgres dbname=shop", cluster.socket_dir().display(), cluster.port());
    let seen = direct.replace("dbname=shop", "dbname=seen");
    let proxied = format!("host=127.0.0.1 port={} user=agent dbname=shop", proxy.port);
    let named = |name: &str, otherwise: &str| std::env::var(name).unwrap_or_else(|_| otherwise.to_owned());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sqlsmith.sh");
    let output = Command::new("sh")
        .arg(script)
        .args([&direct, &seen, &proxied, &proxy.pid().to_string()])
        .args([named("PGPURPOSE_SQLSMITH_QUERIES", "1000"), named("PGPURPOSE_SQLSMITH_SEED", "1")])
        .output()
        .unwrap();
    println!("{}", String::from_utf8_lossy(&output.stdout).trim_end());
    eprintln!("{}", String::from_utf8_lossy(&output.stderr).trim_end());
    if output.status.code() == Some(77) {
        return;
    }
    assert!(output.status.success(), "{}", output.status);
    assert!(!proxy.output().contains("panicked"), "{}", proxy.output());
}
