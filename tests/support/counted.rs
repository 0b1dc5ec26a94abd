//! How many instructions the whole proxy executes for a statement that it has decided before, counted by callgrind: from the socket to the
//! socket, the record in the access log included. A count, unlike a time, is the same on a busy machine.
//!
//! A client of pgbench goes through a proxy that runs under valgrind twice, for few and for many transactions: the difference is what the
//! transactions cost. Valgrind knows no instructions for SHA-256: hashing a record and its outcome counts some 37,000 here that a processor
//! does in a tenth of it.

use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
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

/// Transactions of the two runs. The first already holds every decision that the second needs.
const FEW: u64 = 100;
const MANY: u64 = 600;

/// Whether there is what counts.
pub fn can_count() -> bool {
    Command::new("valgrind").arg("--version").stdout(Stdio::null()).status().is_ok()
}

/// A cluster with pgbench's tables.
pub fn cluster() -> Cluster {
    let cluster = Cluster::start(&ClusterOptions::default()).unwrap();
    let made = cluster.client("pgbench").args(["-i", "-q", "-s", "1", "postgres"]).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    cluster.run_statements("postgres", "CREATE ROLE pgpurpose LOGIN; VACUUM ANALYZE").unwrap();
    cluster
}

/// Instructions of one of pgbench's SELECTs over a masked column, by each of these of its protocols, together.
pub fn of_a_select(cluster: &Cluster, protocols: &[&str]) -> u64 {
    let [few, many] = [FEW, MANY].map(|transactions| count(cluster, protocols, transactions));
    let each = many.saturating_sub(few) / (MANY - FEW);
    assert!(each > 1_000, "nothing was counted: {few}, {many}");
    each
}

/// Ends with whoever counts.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Instructions of a proxy from its start to its end, with so many transactions between.
fn count(cluster: &Cluster, protocols: &[&str], transactions: u64) -> u64 {
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let config = configure(cluster, folder.path(), port);
    let counted = folder.path().join("counted");
    // Valgrind reads what is there for debuggers before it begins, which is most of the file.
    let program = folder.path().join("program");
    let stripped = Command::new("strip").args(["-g", "-o"]).arg(&program).arg(env!("CARGO_BIN_EXE_pgpurpose")).status();
    assert!(stripped.unwrap().success());
    let child = Command::new("valgrind")
        .args(["--tool=callgrind", "--separate-threads=yes", "--quiet", "--log-file=/dev/null"])
        .arg(format!("--callgrind-out-file={}", counted.display()))
        .arg(&program)
        .args(["serve", "--config"])
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
    for protocol in protocols {
        let output = Command::new(cluster.bin().program("pgbench"))
            .args(["-n", "-M", protocol, "-c", "1", "-t", &transactions.to_string(), "-U", "postgres", "-f"])
            .arg(&script)
            .args(["-h", "127.0.0.1", "-p", &port.to_string(), "postgres"])
            .env("PGSSLMODE", "disable")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(said.contains(&format!("actually processed: {transactions}/{transactions}")), "{said}");
    }
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
