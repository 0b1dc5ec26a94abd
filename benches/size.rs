//! What a large policy costs: 10,000 rules over 1,000 tables, and what statements that change the structure cost beside them.
//!
//! `cargo bench --bench size` prints a table in Markdown: medians, but for what is done once.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing,
    missing_docs
)]

#[path = "../tests/support/mod.rs"]
mod support;

use std::fmt::Write;
use std::fs;
use std::process::Command;
use std::time::Instant;

use pgpurpose::catalog::load_catalog;
use pgpurpose::cluster::{Cluster, ClusterOptions};
use pgpurpose::policy::PolicySet;
use pgpurpose::sql::{self, Context};
use support::proxy::Proxy;
use tokio_postgres::{Client, NoTls};

const TABLES: usize = 1_000;
const RULES: usize = 10_000;
const ROLES: usize = 50;
const PURPOSES: usize = 20;
const CATEGORIES: usize = 200;
const COLUMNS: [&str; 6] = ["id", "owner", "email", "phone", "born", "amount"];

/// Half of the rules open categories, half of them columns by name.
fn policy() -> String {
    let mut text = "version = 1\nunlisted_tables = \"deny\"\n".to_owned();
    for table in 0..TABLES {
        write!(text, "[tables.\"public.t{table:04}\"]\nsubject = \"owner\"\n[tables.\"public.t{table:04}\".columns]\n")
            .unwrap();
        for (at, column) in COLUMNS.iter().enumerate() {
            writeln!(text, "{column} = \"c{:03}\"", (table + at * 31) % CATEGORIES).unwrap();
        }
    }
    let purposes: Vec<String> = (0..PURPOSES).map(|purpose| format!("\"p{purpose:02}\"")).collect();
    for purpose in 0..PURPOSES {
        writeln!(text, "[purposes.p{purpose:02}]\nbasis = \"contract\"").unwrap();
    }
    for role in 0..ROLES {
        let login = if role == 0 { "postgres".to_owned() } else { format!("login{role}") };
        writeln!(text, "[roles.r{role:02}]\nlogins = [\"{login}\"]\npurposes = [{}]\nddl = true", purposes.join(", "))
            .unwrap();
    }
    for rule in 0..RULES {
        let (role, purpose) = (rule % ROLES, (rule / ROLES) % PURPOSES);
        let opened = if rule % 2 == 0 {
            format!("read = [\"c{:03}\"]", (rule / 2) % CATEGORIES)
        } else {
            let table = rule % TABLES;
            format!("mask = {{ \"public.t{table:04}.email\" = \"email\", \"public.t{table:04}.born\" = \"year\" }}")
        };
        writeln!(
            text,
            "[[rules]]\nname = \"rule {rule}\"\nroles = [\"r{role:02}\"]\npurposes = [\"p{purpose:02}\"]\n{opened}"
        )
        .unwrap();
    }
    // One table that the measured purpose may read.
    text + "[[rules]]\nname = \"measured\"\nroles = [\"r00\"]\npurposes = [\"p00\"]\nread = [\"public.t0000.id\", \"public.t0000.owner\"]\n\
            mask = { \"public.t0000.born\" = \"year\" }\n"
}

fn tables() -> String {
    (0..TABLES).fold(String::new(), |mut text, table| {
        writeln!(
            text,
            "CREATE TABLE t{table:04} (id bigint PRIMARY KEY, owner bigint, email text, phone text, born date, amount numeric);"
        )
        .unwrap();
        text
    })
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

fn row(what: &str, figure: String, goal: &str) {
    println!("| {what} | {figure} | {goal} |");
}

async fn connect(host: &str, port: u16, database: &str) -> Client {
    let mut config = tokio_postgres::Config::new();
    config.host(host).port(port).user("postgres").dbname(database);
    let (client, connection) = config.connect(NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// Milliseconds that making, changing and dropping a table takes.
async fn structure(client: &Client, name: &str) -> f64 {
    let mut took = Vec::new();
    for round in 0..9 {
        let from = Instant::now();
        client.batch_execute(&format!("CREATE TABLE {name}{round} (id int PRIMARY KEY, note text)")).await.unwrap();
        client.batch_execute(&format!("ALTER TABLE {name}{round} ADD COLUMN more text")).await.unwrap();
        client.batch_execute(&format!("DROP TABLE {name}{round}")).await.unwrap();
        took.push(from.elapsed().as_secs_f64() * 1000.0 / 3.0);
    }
    median(took)
}

fn main() {
    let policy = policy();
    let cluster = Cluster::start(&ClusterOptions { tcp: true, ..ClusterOptions::default() }).unwrap();
    cluster.run_statements("postgres", &tables()).unwrap();
    cluster.run_statements("postgres", "CREATE ROLE pgpurpose LOGIN; VACUUM ANALYZE").unwrap();
    println!(
        "{RULES} rules over {TABLES} tables, {ROLES} roles, {PURPOSES} purposes.\n\n| | measured | goal |\n| --- | ---: | ---: |"
    );

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("large.toml");
    fs::write(&path, &policy).unwrap();
    let from = Instant::now();
    let checked = Command::new(env!("CARGO_BIN_EXE_pgpurpose"))
        .args(["check", "--offline", "--policy"])
        .arg(&path)
        .output()
        .unwrap();
    let took = from.elapsed().as_secs_f64();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
    row("`pgpurpose check --offline`", format!("{took:.2} s"), "< 3 s");

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(decisions(&cluster, &policy));

    let sections = format!(
        "[upstream]\naddress = \"{}:{}\"\ntls = \"disable\"\ncatalog_login = \"pgpurpose\"\n[auth]\nmethod = \"relay\"\n",
        cluster.socket_dir().display(),
        cluster.port()
    );
    let from = Instant::now();
    let proxy = Proxy::start_sections_logging(&policy, "", &sections, "sync = \"written\"");
    row("start, until it listens", format!("{:.2} s", from.elapsed().as_secs_f64()), "< 2 s");

    runtime.block_on(async {
        let port: u16 = cluster.tcp_address().unwrap().rsplit(':').next().unwrap().parse().unwrap();
        let direct = connect("127.0.0.1", port, "postgres").await;
        let proxied = connect("127.0.0.1", proxy.port, "postgres@p00").await;
        let (plain, through) = (structure(&direct, "d").await, structure(&proxied, "p").await);
        row("CREATE, ALTER, DROP TABLE: ms each, direct", format!("{plain:.2}"), "");
        row("the same through the proxy", format!("{through:.2} ({:.1} x)", through / plain), "3 x");
    });
}

/// Microseconds of a decision from nothing, over one table, and what reading the policies takes.
async fn decisions(cluster: &Cluster, policy: &str) {
    let from = Instant::now();
    let policies = PolicySet::from_sources(&[("large.toml".to_owned(), policy.to_owned())]).unwrap();
    row("reading the policies", format!("{:.2} s", from.elapsed().as_secs_f64()), "");
    let mut client = connect(&cluster.socket_dir().display().to_string(), cluster.port(), "postgres").await;
    let from = Instant::now();
    let catalog = load_catalog(&mut client, 1).await.unwrap();
    row("reading the catalog", format!("{:.2} s", from.elapsed().as_secs_f64()), "");
    let from = Instant::now();
    let faults = policies.check_against(&catalog);
    row("holding them against it", format!("{:.2} s ({} notes)", from.elapsed().as_secs_f64(), faults.len()), "");
    let path = ["public".to_owned()];
    let context = Context::new(&catalog, &policies, "postgres", "p00", &path, jiff::civil::date(2026, 11, 22));
    let took = (0..201).map(|number| {
        let text = format!("SELECT id, born AS born_{number} FROM t0000 WHERE owner = 7");
        let from = Instant::now();
        sql::enforce(&text, &context).unwrap_or_else(|refused| panic!("{}", refused.refusal.message));
        from.elapsed().as_secs_f64() * 1e6
    });
    row("a decision from nothing", format!("{:.0} µs", median(took.collect())), "< 1000 µs");
}
