//! What the proxy costs, as ratios: the same pgbench, alternating, straight to the database, through pgbouncer, and through
//! the proxy with the access log on.
//!
//! `cargo bench --bench compare` prints a table in Markdown. `PGPURPOSE_BENCH_SECONDS` (default 5) is the time of one
//! run, `PGPURPOSE_BENCH_ROUNDS` (default 3) how often each is run; the table holds medians. Times on a shared machine
//! tell little: only the ratios within one run do.
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

use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use pgpurpose::cli::cluster::Cluster;
use support::proxy::{Proxy, Upstream};

/// Rows of pgbench_accounts in hundred thousands.
const SCALE: &str = "2";

/// The same table for four purposes.
const POLICY: &str = r#"
version = 1
unlisted_tables = "deny"
[tables."public.pgbench_accounts"]
subject = "aid"
[tables."public.pgbench_accounts".columns]
aid = "reference"
bid = "reference"
abalance = "balance"
filler = "text"
[tables."privacy.consents"]
subject = "subject_id"
columns = { subject_id = "reference", purpose = "text", granted = "text", withdrawn_at = "text" }
[tables."public.pgbench_branches"]
open = true
[tables."public.pgbench_tellers"]
open = true
[consent]
table = "privacy.consents"
subject = "subject_id"
purpose = "purpose"
active = "granted AND withdrawn_at IS NULL"
[purposes.read]
basis = "contract"
[purposes.masked]
basis = "contract"
[purposes.marketing]
basis = "consent"
[roles.bench]
logins = ["postgres"]
purposes = ["read", "masked", "marketing"]
[[rules]]
name = "balances"
roles = ["bench"]
purposes = ["read", "marketing"]
read = ["reference", "balance"]
[[rules]]
name = "bands of balances"
roles = ["bench"]
purposes = ["masked"]
read = ["reference"]
mask = { balance = "band(100)" }
"#;

const CONSENTS: &str = "
    CREATE SCHEMA privacy;
    CREATE TABLE privacy.consents (subject_id bigint, purpose text, granted boolean, withdrawn_at timestamptz,
        PRIMARY KEY (subject_id, purpose));
    INSERT INTO privacy.consents SELECT aid, 'marketing', true, CASE WHEN aid % 3 = 0 THEN now() END FROM pgbench_accounts;
    CREATE ROLE pgpurpose LOGIN;
    VACUUM ANALYZE;";

/// One way to the database.
struct Way {
    name: &'static str,
    host: String,
    port: u16,
    database: String,
    rates: Vec<f64>,
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

/// Ends with the bench.
struct Bouncer(Child);

impl Drop for Bouncer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// pgbouncer in session mode over the same Unix socket, where it is installed.
fn bouncer(cluster: &Cluster) -> Option<(Bouncer, u16)> {
    let program =
        ["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer"].into_iter().find(|path| fs::exists(path).unwrap_or(false))?;
    let port = free_port();
    let folder = tempfile::Builder::new().prefix("pgpurpose-bouncer-").tempdir().unwrap().keep();
    let at = |name: &str| folder.join(name);
    fs::write(at("users.txt"), "\"postgres\" \"\"\n").unwrap();
    fs::write(
        at("pgbouncer.ini"),
        format!(
            "[databases]\nbench = host={} port={} dbname=bench\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
             auth_type = trust\nauth_file = {}\npool_mode = session\nmax_client_conn = 100\ndefault_pool_size = 50\n\
             unix_socket_dir =\nlogfile = {}\n",
            cluster.socket_dir().display(),
            cluster.port(),
            at("users.txt").display(),
            at("log").display()
        ),
    )
    .unwrap();
    cluster.user().give(&folder).unwrap();
    for name in ["users.txt", "pgbouncer.ini"] {
        cluster.user().give(&at(name)).unwrap();
    }
    let child =
        cluster.user().command(program).arg("-q").arg(at("pgbouncer.ini")).stdin(Stdio::null()).spawn().unwrap();
    let bouncer = Bouncer(child);
    for _ in 0..100 {
        if TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Some((bouncer, port));
        }
        thread::sleep(Duration::from_millis(50));
    }
    None
}

/// Transactions a second, as pgbench counts them without the time to connect.
fn pgbench(cluster: &Cluster, way: &Way, seconds: u64, clients: &str) -> f64 {
    let output = Command::new(cluster.bin().program("pgbench"))
        .args(["-n", "-S", "-M", "prepared", "-c", clients, "-j", "2", "-T", &seconds.to_string(), "-U", "postgres"])
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

fn main() {
    let (seconds, rounds) = (number("PGPURPOSE_BENCH_SECONDS", 5), number("PGPURPOSE_BENCH_ROUNDS", 3));
    let cluster = support::own_cluster();
    cluster.run_statements("postgres", "CREATE DATABASE bench").unwrap();
    let made = cluster.client("pgbench").args(["-i", "-q", "-s", SCALE, "bench"]).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    cluster.run_statements("bench", CONSENTS).unwrap();
    let always = Proxy::start_with(&cluster, Upstream::Socket, POLICY, "");
    let written = Proxy::start_logging(&cluster, Upstream::Socket, POLICY, "", "sync = \"written\"");
    let local = |name, port, database: &str| Way {
        name,
        host: "127.0.0.1".to_owned(),
        port,
        database: database.to_owned(),
        rates: Vec::new(),
    };
    let mut ways = vec![Way {
        name: "direct (Unix socket)",
        host: cluster.socket_dir().display().to_string(),
        port: cluster.port(),
        database: "bench".to_owned(),
        rates: Vec::new(),
    }];
    let tcp = cluster.tcp_address().unwrap();
    ways.push(local("direct (TCP)", tcp.rsplit(':').next().unwrap().parse().unwrap(), "bench"));
    let bouncer = bouncer(&cluster);
    if let Some((_, port)) = &bouncer {
        ways.push(local("pgbouncer, session mode", *port, "bench"));
    }
    ways.push(local("pgpurpose, plain columns, log handed to the kernel", written.port, "bench@read"));
    ways.push(local("pgpurpose, masked column, log handed to the kernel", written.port, "bench@masked"));
    ways.push(local("pgpurpose, consent filter, log handed to the kernel", written.port, "bench@marketing"));
    ways.push(local("pgpurpose, plain columns, log on disk first", always.port, "bench@read"));
    for clients in ["1", "8"] {
        for way in &mut ways {
            way.rates.clear();
        }
        for _ in 0..rounds {
            for way in &mut ways {
                let rate = pgbench(&cluster, way, seconds, clients);
                way.rates.push(rate);
            }
        }
        let base = median(&ways[1].rates);
        println!("\n`pgbench -S -M prepared -c {clients} -j 2`, {rounds} rounds of {seconds} s, medians:\n");
        println!("| way | transactions/s | ratio to direct TCP |\n| --- | ---: | ---: |");
        for way in &ways {
            let rate = median(&way.rates);
            println!("| {} | {rate:.0} | {:.2} |", way.name, rate / base);
        }
    }
}
