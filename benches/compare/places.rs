//! What is compared: the database, and the ways to it.

use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use pgpurpose::cluster::{Cluster, ClusterOptions};

use super::relay;
use super::support::proxy::Proxy;

/// Rows of pgbench_accounts in hundred thousands.
const SCALE: &str = "2";
/// Of the login that is checked by SCRAM on every way; all others are trusted.
pub(crate) const PASSWORD: &str = "Vela-geheim-7731";
/// That login.
pub(crate) const CHECKED: &str = "carol";
/// Sessions that the database takes: the idle ones, and some.
const SESSIONS: &str = "1100";

const HBA: &str = "local all carol scram-sha-256\nlocal all all trust\n\
    host all carol 127.0.0.1/32 scram-sha-256\nhost all all 127.0.0.1/32 trust\n";

/// The same tables for three purposes.
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
[tables."public.wide"]
open = true
[tables."public.filled"]
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
logins = ["postgres", "carol"]
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

const TABLES: &str = "
    CREATE SCHEMA privacy;
    CREATE TABLE privacy.consents (subject_id bigint, purpose text, granted boolean, withdrawn_at timestamptz,
        PRIMARY KEY (subject_id, purpose));
    INSERT INTO privacy.consents SELECT aid, 'marketing', true, CASE WHEN aid % 3 = 0 THEN now() END FROM pgbench_accounts;
    CREATE TABLE wide AS SELECT i AS id, repeat(md5(i::text), 32) AS body FROM generate_series(1, 50000) i;
    CREATE UNLOGGED TABLE filled (id int, body text);
    CREATE ROLE pgpurpose LOGIN;
    CREATE ROLE carol LOGIN PASSWORD 'Vela-geheim-7731';
    GRANT SELECT ON ALL TABLES IN SCHEMA public TO carol;
    GRANT SELECT (rolname, rolpassword, rolcanlogin, rolvaliduntil) ON pg_catalog.pg_authid TO pgpurpose;
    VACUUM ANALYZE;";

/// One way to the database, over TCP.
#[derive(Clone)]
pub(crate) struct Way {
    /// Short, for `PGPURPOSE_BENCH_WAYS`.
    pub(crate) key: &'static str,
    pub(crate) name: &'static str,
    pub(crate) port: u16,
    pub(crate) database: &'static str,
    /// The process between client and database; `None` where there is none.
    pub(crate) process: Option<u32>,
}

/// Ends with the bench.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Everything that runs.
pub(crate) struct Places {
    pub(crate) ways: Vec<Way>,
    pub(crate) cluster: Cluster,
    _processes: Vec<Running>,
    _proxies: Vec<Proxy>,
}

impl Places {
    pub(crate) fn start() -> Self {
        let cluster = cluster();
        let port = cluster.tcp_address().unwrap().rsplit(':').next().unwrap().parse().unwrap();
        let way = |key, name, port, database, process| Way { key, name, port, database, process };
        let mut ways = vec![way("direct", "direct", port, "bench", None)];
        let mut processes = Vec::new();
        let (running, port) = start_relay(&cluster);
        ways.push(way("relay", "bare relay", port, "bench", Some(running.0.id())));
        processes.push(running);
        match start_bouncer(&cluster) {
            Some((running, port)) => {
                ways.push(way("pgbouncer", "PgBouncer, session mode", port, "bench", Some(running.0.id())));
                processes.push(running);
            }
            None => println!("PgBouncer is not installed: left out\n"),
        }
        let written = start_proxy(&cluster, "relay", "written");
        let always = start_proxy(&cluster, "relay", "always");
        let checking = start_proxy(&cluster, "passthrough", "written");
        for (key, name, proxy, database) in [
            ("plain", "pgpurpose, plain columns", &written, "bench@read"),
            ("masked", "pgpurpose, masked column", &written, "bench@masked"),
            ("consent", "pgpurpose, consent filter", &written, "bench@marketing"),
            ("always", "pgpurpose, masked column, log on disk first (`always`)", &always, "bench@masked"),
            ("passthrough", "pgpurpose, `passthrough`", &checking, "bench@read"),
        ] {
            ways.push(way(key, name, proxy.port, database, Some(proxy.pid())));
        }
        Self { ways, cluster, _processes: processes, _proxies: vec![written, always, checking] }
    }
}

fn cluster() -> Cluster {
    let settings = [("max_connections", SESSIONS), ("max_parallel_workers_per_gather", "0"), ("fsync", "off")];
    let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let options = ClusterOptions { tcp: true, hba: Some(HBA.to_owned()), settings, ..ClusterOptions::default() };
    let cluster = Cluster::start(&options).unwrap();
    cluster.run_statements("postgres", "CREATE DATABASE bench").unwrap();
    let made = cluster.client("pgbench").args(["-i", "-q", "-s", SCALE, "bench"]).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    cluster.run_statements("bench", TABLES).unwrap();
    cluster
}

fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

fn answers(port: u16) -> bool {
    (0..100).any(|_| {
        thread::sleep(Duration::from_millis(50));
        TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
    })
}

fn start_relay(cluster: &Cluster) -> (Running, u16) {
    let port = free_port();
    let socket = cluster.socket_dir().join(format!(".s.PGSQL.{}", cluster.port()));
    let child = Command::new(std::env::current_exe().unwrap())
        .env(relay::ASKED, format!("{port},{}", socket.display()))
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    assert!(answers(port), "the relay does not listen");
    (Running(child), port)
}

/// PgBouncer before the same Unix socket, where it is installed.
fn start_bouncer(cluster: &Cluster) -> Option<(Running, u16)> {
    let program =
        ["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer"].into_iter().find(|path| fs::exists(path).unwrap_or(false))?;
    let port = free_port();
    // Removed with the cluster.
    let folder = cluster.root().join("pgbouncer");
    fs::create_dir(&folder).unwrap();
    let at = |name: &str| folder.join(name);
    let secret = "SELECT rolpassword FROM pg_catalog.pg_authid WHERE rolname = 'carol'";
    let secret = cluster.run_sql("bench", secret).unwrap();
    let ini = format!(
        "[databases]\nbench = host={} port={} dbname=bench\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
         auth_type = hba\nauth_hba_file = {}\nauth_file = {}\npool_mode = session\nmax_client_conn = {SESSIONS}\n\
         default_pool_size = {SESSIONS}\nunix_socket_dir =\nlogfile = {}\nlisten_backlog = 1024\n",
        cluster.socket_dir().display(),
        cluster.port(),
        at("hba.conf").display(),
        at("users.txt").display(),
        at("log").display()
    );
    let users = format!("\"postgres\" \"\"\n\"carol\" \"{}\"\n", secret.trim());
    for (name, text) in [("pgbouncer.ini", ini.as_str()), ("users.txt", users.as_str()), ("hba.conf", HBA)] {
        fs::write(at(name), text).unwrap();
        cluster.user().give(&at(name)).unwrap();
    }
    cluster.user().give(&folder).unwrap();
    let child = cluster.user().command(program).arg("-q").arg(at("pgbouncer.ini")).stdin(Stdio::null()).spawn();
    let running = Running(child.unwrap());
    answers(port).then_some((running, port))
}

fn start_proxy(cluster: &Cluster, method: &str, sync: &str) -> Proxy {
    let sections = format!(
        "[upstream]\naddress = \"{}:{}\"\ntls = \"disable\"\ncatalog_login = \"pgpurpose\"\n[auth]\nmethod = \"{method}\"\n",
        cluster.socket_dir().display(),
        cluster.port()
    );
    Proxy::start_sections_logging(POLICY, "max_connections = 1100", &sections, &format!("sync = \"{sync}\""))
}
