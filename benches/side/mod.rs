//! The same pgbench by several ways to one database, alternating, as ratios within one run.
//!
//! `PGPURPOSE_BENCH_SECONDS` (default 5) is the time of one run, `PGPURPOSE_BENCH_ROUNDS` (default 3) how often each is
//! run; tables hold medians. Times on a shared machine tell little: only the ratios within one run do.
#![allow(dead_code, unreachable_pub)]

use std::process::Command;

use pgpurpose::cluster::Cluster;

use super::support;

/// Rows of pgbench_accounts in hundred thousands.
pub const SCALE: u64 = 2;

/// One way to the database.
pub struct Way {
    pub name: String,
    host: String,
    port: u16,
    database: String,
    rates: Vec<f64>,
}

impl Way {
    /// Over TCP, to this port here.
    pub fn tcp(name: impl Into<String>, port: u16, database: &str) -> Self {
        Self { name: name.into(), host: "127.0.0.1".to_owned(), port, database: database.to_owned(), rates: Vec::new() }
    }

    /// Straight to the database over its Unix socket.
    pub fn socket(cluster: &Cluster) -> Self {
        let host = cluster.socket_dir().display().to_string();
        Self { host, ..Self::tcp("direct (Unix socket)", cluster.port(), "bench") }
    }

    /// Straight to the database over TCP.
    pub fn direct(cluster: &Cluster) -> Self {
        let address = cluster.tcp_address().unwrap();
        Self::tcp("direct (TCP)", address.rsplit(':').next().unwrap().parse().unwrap(), "bench")
    }
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

/// A cluster whose database `bench` holds pgbench's tables, with more statements run in it.
pub fn cluster(more: &str) -> Cluster {
    let cluster = support::own_cluster();
    cluster.run_statements("postgres", "CREATE DATABASE bench").unwrap();
    let made = cluster.client("pgbench").args(["-i", "-q", "-s", &SCALE.to_string(), "bench"]).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    cluster.run_statements("bench", more).unwrap();
    cluster
}

/// Transactions a second, as pgbench counts them without the time to connect.
fn pgbench(cluster: &Cluster, way: &Way, seconds: u64, arguments: &[&str]) -> f64 {
    let output = Command::new(cluster.bin().program("pgbench"))
        .args(["-n", "-M", "prepared", "-j", "2", "-T", &seconds.to_string(), "-U", "postgres"])
        .args(arguments)
        .args(["-h", &way.host, "-p", &way.port.to_string(), &way.database])
        .env("PGSSLMODE", "disable")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let rate = text.lines().find_map(|line| line.strip_prefix("tps = ")?.split(' ').next()?.parse().ok());
    rate.unwrap_or_else(|| panic!("{}: {text}{}", way.name, String::from_utf8_lossy(&output.stderr)))
}

fn median(rates: &[f64]) -> f64 {
    let mut sorted = rates.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

/// Runs pgbench with these arguments by each way in turn and prints a table in Markdown; ratios are to the way `base`.
/// `what` describes the run for its heading.
pub fn compare(cluster: &Cluster, ways: &mut [Way], base: usize, what: &str, arguments: &[&str]) {
    let (seconds, rounds) = (number("PGPURPOSE_BENCH_SECONDS", 5), number("PGPURPOSE_BENCH_ROUNDS", 3));
    for way in &mut *ways {
        way.rates.clear();
    }
    for _ in 0..rounds {
        for way in &mut *ways {
            let rate = pgbench(cluster, way, seconds, arguments);
            way.rates.push(rate);
        }
    }
    let direct = median(&ways[base].rates);
    println!("\n{what}, {rounds} rounds of {seconds} s, medians:\n");
    println!("| way | transactions/s | ratio to {} |\n| --- | ---: | ---: |", ways[base].name);
    for way in ways {
        let rate = median(&way.rates);
        println!("| {} | {rate:.0} | {:.2} |", way.name, rate / direct);
    }
}
