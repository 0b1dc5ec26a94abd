//! What looking at a large database costs: `pgpurpose scan` over 1,000 tables with 20,000 columns and 600 rows each.
//!
//! `cargo bench --bench scan` prints a table in Markdown. `PGPURPOSE_BENCH_TABLES` makes it smaller.
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
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use support::own_cluster;

/// A table's columns with what stands in row `i`; nine of the twenty are personal.
const COLUMNS: [(&str, &str, &str); 20] = [
    ("id", "bigint", "i"),
    (
        "full_name",
        "text",
        "(ARRAY['Thandi','Sipho','Anna','Pieter','Lerato','Johan'])[1 + i % 6] || ' ' || (ARRAY['Dlamini','Botha','Nkosi','van Wyk','Naidoo'])[1 + i % 5]",
    ),
    ("email", "text", "'person' || i || '@example.co.za'"),
    ("selfoon", "text", "'082 555 ' || lpad(i::text, 4, '0')"),
    ("geboortedatum", "date", "date '1950-01-01' + i * 37 % 20000"),
    ("street_address", "text", "i || ' Main Road, Observatory'"),
    ("postal_code", "text", "lpad((7000 + i % 900)::text, 4, '0')"),
    ("rekeningnommer", "text", "lpad((i * 7919)::text, 10, '4')"),
    ("takkode", "text", "(ARRAY['470010','198765'])[1 + i % 2]"),
    (
        "details",
        "jsonb",
        "jsonb_build_object('contact', jsonb_build_object('email', 'p' || i || '@example.org'), 'seats', i % 4)",
    ),
    ("order_no", "text", "'SO-' || (100000 + i)"),
    ("quantity", "integer", "i % 9"),
    ("unit_price", "numeric(10,2)", "(i % 500) / 7.0"),
    ("sku", "text", "'SKU' || (i % 50)"),
    ("status", "text", "(ARRAY['new','paid','sent'])[1 + i % 3]"),
    ("created_at", "timestamptz", "timestamptz '2026-01-01 00:00+02' + i * interval '1 hour'"),
    ("is_active", "boolean", "i % 2 = 0"),
    ("description", "text", "'A wooden table with four legs, number ' || i"),
    ("barcode", "text", "'600123' || lpad(i::text, 7, '0')"),
    ("weight_kg", "double precision", "i / 3.0"),
];
const ROWS: usize = 600;

/// Runs it; gives seconds and the most memory that it had, in kB.
fn scan(arguments: &[&str]) -> (f64, u64) {
    let from = Instant::now();
    let mut child = Command::new(env!("CARGO_BIN_EXE_pgpurpose"))
        .arg("scan")
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut most = 0;
    let status = loop {
        let told = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        let peak = told.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse().ok());
        most = most.max(peak.unwrap_or(0));
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    assert!(status.success(), "{status}");
    (from.elapsed().as_secs_f64(), most)
}

fn main() {
    let tables: usize = std::env::var("PGPURPOSE_BENCH_TABLES").ok().and_then(|n| n.parse().ok()).unwrap_or(1_000);
    let cluster = own_cluster();
    cluster.run_statements("postgres", "CREATE DATABASE large").unwrap();
    let columns: Vec<String> = COLUMNS.iter().map(|(name, type_sql, _)| format!("{name} {type_sql}")).collect();
    let values: Vec<&str> = COLUMNS.iter().map(|(.., value)| *value).collect();
    let mut made = String::new();
    for table in 0..tables {
        writeln!(made, "CREATE TABLE t{table:04} ({});", columns.join(", ")).unwrap();
        writeln!(made, "INSERT INTO t{table:04} SELECT {} FROM generate_series(1, {ROWS}) i;", values.join(", "))
            .unwrap();
    }
    cluster.run_statements("large", &made).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let lines = folder.path().join("columns.jsonl");
    let address = cluster.tcp_address().unwrap();
    let json = lines.to_str().unwrap();
    let policy = folder.path().join("scanned.toml");
    let place = ["--upstream", &address, "--login", "postgres", "--database", "large", "--json", json];
    let with: Vec<&str> = place.iter().copied().chain(["-o", policy.to_str().unwrap()]).collect();
    let (seconds, kilobytes) = scan(&with);
    let found = fs::read_to_string(&lines).unwrap();
    let personal = found.lines().filter(|line| !line.contains("\"category\":null")).count();
    println!("| {tables} tables, {} columns, {ROWS} rows each | figure | goal |", found.lines().count());
    println!("| --- | ---: | ---: |");
    println!("| scan with values, s | {seconds:.1} | 120 |");
    println!("| most memory, MB | {:.0} | 200 |", kilobytes as f64 / 1024.0);
    println!("| columns found personal | {personal} | {} |", tables * 10);
}
