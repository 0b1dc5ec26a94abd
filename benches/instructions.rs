//! How many instructions the whole proxy executes for a statement that it has decided before, counted by callgrind: from the
//! socket to the socket, the record in the access log included. A count, unlike a time, is the same on a busy machine.
//!
//! `cargo bench --bench instructions` fails where a count is over its bound. It takes a client of pgbench through a proxy
//! that runs under valgrind twice, for few and for many transactions: the difference is what the transactions cost.
//! Valgrind knows no instructions for SHA-256: hashing a record and its outcome counts some 30,000 here that a processor does in
//! a tenth of it. Without valgrind it says so and ends well, but not where `CI` is set.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::indexing_slicing,
    missing_docs
)]

use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::thread;
use std::time::Duration;

use pgpurpose::cluster::{Cluster, ClusterOptions};

const POLICY: &str = r#"
version = 1
[tables."public.pgbench_accounts"]
subject = "aid"
columns = { aid = "reference", bid = "reference", abalance = "balance", filler = "text" }
[purposes.masked]
basis = "contract"
[roles.bench]
logins = ["postgres"]
purposes = ["masked"]
[[rules]]
name = "bands of balances"
roles = ["bench"]
purposes = ["masked"]
read = ["reference"]
mask = { balance = "band(100)" }
"#;

/// pgbench's protocol, and instructions that one of its SELECTs may take. Lower a bound when the proxy gets better.
const BOUNDS: [(&str, u64); 2] = [("prepared", 100_000), ("simple", 120_000)];
/// Transactions of the two runs. The first already holds every decision that the second needs.
const FEW: u64 = 100;
const MANY: u64 = 600;

fn main() -> ExitCode {
    if Command::new("valgrind").arg("--version").stdout(Stdio::null()).status().is_err() {
        eprintln!("LEFT OUT: valgrind is not installed");
        return if std::env::var_os("CI").is_some() { ExitCode::FAILURE } else { ExitCode::SUCCESS };
    }
    let cluster = Cluster::start(&ClusterOptions::default()).unwrap();
    let made = cluster.client("pgbench").args(["-i", "-q", "-s", "1", "postgres"]).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    cluster.run_statements("postgres", "CREATE ROLE pgpurpose LOGIN; VACUUM ANALYZE").unwrap();
    println!("| pgbench's SELECT, masked column | instructions | at most |\n| --- | ---: | ---: |");
    let mut fine = true;
    for (protocol, bound) in BOUNDS {
        let [few, many] = [FEW, MANY].map(|transactions| count(&cluster, protocol, transactions));
        let each = many.saturating_sub(few) / (MANY - FEW);
        println!("| {protocol} | {each} | {bound} |");
        assert!(each > 1_000, "nothing was counted: {few}, {many}");
        fine &= each <= bound;
    }
    if fine { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Ends with the bench.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Instructions of a proxy from its start to its end, with so many transactions between.
fn count(cluster: &Cluster, protocol: &str, transactions: u64) -> u64 {
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let config = configure(cluster, folder.path(), port);
    let counted = folder.path().join("counted");
    let child = Command::new("valgrind")
        .args(["--tool=callgrind", "--separate-threads=yes", "--quiet", "--log-file=/dev/null"])
        .arg(format!("--callgrind-out-file={}", counted.display()))
        .args([env!("CARGO_BIN_EXE_pgpurpose"), "serve", "--config"])
        .arg(config)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut running = Running(child);
    let ready = (0..600).any(|_| {
        thread::sleep(Duration::from_millis(100));
        TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
    });
    assert!(ready, "the proxy does not listen: {:?}", running.0.try_wait());
    // One value for all, so that a statement by `simple` has one text.
    let script = folder.path().join("select.sql");
    fs::write(&script, "SELECT abalance FROM pgbench_accounts WHERE aid = 4711;\n").unwrap();
    let output = Command::new(cluster.bin().program("pgbench"))
        .args(["-n", "-M", protocol, "-c", "1", "-t", &transactions.to_string(), "-U", "postgres", "-f"])
        .arg(&script)
        .args(["-h", "127.0.0.1", "-p", &port.to_string(), "postgres"])
        .env("PGSSLMODE", "disable")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(said.contains(&format!("actually processed: {transactions}/{transactions}")), "{said}");
    let ended = Command::new("kill").args(["-TERM", &running.0.id().to_string()]).status().unwrap();
    assert!(ended.success());
    running.0.wait().unwrap();
    // The main thread reads the catalog now and then, whatever the sessions do.
    let threads = fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap()).filter(|file| {
        let name = file.file_name().to_string_lossy().into_owned();
        name.strip_prefix("counted-").is_some_and(|thread| thread != "01")
    });
    threads.map(|file| total(&fs::read_to_string(file.path()).unwrap())).sum()
}

/// What callgrind wrote of one thread comes to.
fn total(text: &str) -> u64 {
    let totals = text.lines().filter_map(|line| line.strip_prefix("summary: ").or(line.strip_prefix("totals: ")));
    totals.filter_map(|number| number.trim().parse::<u64>().ok()).max().unwrap_or(0)
}

fn configure(cluster: &Cluster, folder: &Path, port: u16) -> std::path::PathBuf {
    fs::write(folder.join("policy.toml"), POLICY).unwrap();
    fs::write(folder.join("token.key"), "0123456789abcdef".repeat(4)).unwrap();
    let config = format!(
        "[listen]\naddress = \"127.0.0.1:{port}\"\n\
         [upstream]\naddress = \"{}:{}\"\ntls = \"disable\"\ncatalog_login = \"pgpurpose\"\n\
         [auth]\nmethod = \"relay\"\n[policy]\nfiles = [\"policy.toml\"]\ntoken_key = \"file:token.key\"\n\
         [audit]\ndirectory = \"audit\"\nsync = \"written\"\n[admin]\naddress = \"127.0.0.1:{}\"\n",
        cluster.socket_dir().display(),
        cluster.port(),
        free_port()
    );
    let path = folder.join("pgpurpose.toml");
    fs::write(&path, config).unwrap();
    path
}

fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}
