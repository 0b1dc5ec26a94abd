//! HAProxy before two proxies, and PgBouncer before HAProxy: while one proxy after the other is stopped and started again, no client
//! is refused, and one audit database has everything once.

use std::fs;
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use pgpurpose::cluster::Cluster;

use super::fleet::{log_of, sink, url, with_audit};
use super::support::client::login;
use super::support::direct;
use super::support::proxy::{Port, Proxy};
use super::{POLICY, in_files, until};

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn program(name: &str) -> Option<String> {
    let places = ["/usr/sbin", "/usr/local/sbin", "/usr/bin"].map(|folder| format!("{folder}/{name}"));
    let found = places.into_iter().find(|path| fs::exists(path).unwrap());
    if found.is_none() {
        eprintln!("SKIPPED: no {name}, so that it is not tested before the proxies");
    }
    found
}

fn listens(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port)).is_ok()
}

fn start(cluster: &Cluster) -> Proxy {
    let (folder, port) = (cluster.socket_dir().display().to_string(), cluster.port());
    let sections = format!(
        "[upstream]\naddress = \"{folder}:{port}\"\ntls = \"disable\"\ncatalog_login = \"pgpurpose\"\n[auth]\nmethod = \"relay\"\n{}",
        sink(cluster)
    );
    Proxy::start_sections(POLICY, "drain_notice_seconds = 2", &sections)
}

/// As in docs/fleet.md.
fn haproxy(folder: &std::path::Path, port: u16, proxies: &[Proxy; 2]) -> Option<Running> {
    let program = program("haproxy")?;
    let [one, two] = proxies;
    let text = format!(
        "defaults\n  mode tcp\n  timeout connect 5s\n  timeout client 1h\n  timeout server 1h\n  retries 3\n  option redispatch\n\
         listen pgpurpose\n  bind 127.0.0.1:{port}\n  balance roundrobin\n  option httpchk\n  \
         http-check send meth GET uri /readyz ver HTTP/1.1 hdr Host 127.0.0.1\n  default-server inter 300ms fall 1 rise 1\n  \
         server one 127.0.0.1:{} check port {}\n  server two 127.0.0.1:{} check port {}\n",
        one.port, one.admin_port, two.port, two.admin_port
    );
    let file = folder.join("haproxy.cfg");
    fs::write(&file, text).unwrap();
    let mut command = Command::new(program);
    command.arg("-f").arg(&file).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let running = Running(command.spawn().unwrap());
    until("HAProxy listens", || listens(port));
    Some(running)
}

/// In session mode, with one server to connect to.
fn pgbouncer(cluster: &Cluster, port: u16, to: u16) -> Option<Running> {
    let program = program("pgbouncer")?;
    let folder = cluster.root().join("before");
    fs::create_dir(&folder).unwrap();
    let at = |name: &str| folder.join(name).display().to_string();
    let ini = format!(
        "[databases]\nshop = host=127.0.0.1 port={to}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nauth_type = trust\n\
         auth_file = {}\npool_mode = session\nserver_lifetime = 0\nserver_idle_timeout = 1\nunix_socket_dir =\nlogfile = {}\n",
        at("users"),
        at("log")
    );
    for (name, text) in [("ini", ini.as_str()), ("users", "\"support_agent\" \"\"\n")] {
        fs::write(folder.join(name), text).unwrap();
        cluster.user().give(&folder.join(name)).unwrap();
    }
    cluster.user().give(&folder).unwrap();
    let child = cluster.user().command(program).arg("-q").arg(folder.join("ini")).stdin(Stdio::null()).spawn().unwrap();
    let running = Running(child);
    until("PgBouncer listens", || listens(port));
    Some(running)
}

#[test]
fn behind_haproxy_and_pgbouncer_proxies_are_exchanged_and_no_client_notices() {
    let cluster = with_audit();
    let mut proxies = [start(&cluster), start(&cluster)];
    let folder = tempfile::tempdir().unwrap();
    let (front, pool) = (Port::free(), Port::free());
    let Some(_balancer) = haproxy(folder.path(), front.number(), &proxies) else { return };
    let pooler = pgbouncer(&cluster, pool.number(), front.number());
    let (over, asked) = (AtomicBool::new(false), AtomicUsize::new(0));
    let ports: Vec<u16> =
        [Some(front.number()), pooler.as_ref().map(|_| pool.number())].into_iter().flatten().collect();
    thread::scope(|scope| {
        for port in &ports {
            let (over, asked, cluster) = (&over, &asked, &cluster);
            scope.spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    let mut psql = cluster.client("psql");
                    psql.env("PGHOST", "127.0.0.1").env("PGPORT", port.to_string()).env("PGUSER", "support_agent");
                    psql.env("PGDATABASE", "shop").env("PGAPPNAME", "balanced");
                    psql.args(["-X", "-q", "-A", "-t", "-c", "SELECT id FROM customers WHERE id = 1"]);
                    let output = psql.output().unwrap();
                    let said = String::from_utf8_lossy(&output.stderr).into_owned();
                    assert!(output.status.success() && output.stdout == b"1\n", "through {port}: {said}");
                    asked.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let more = |count: usize| {
            let before = asked.load(Ordering::Relaxed);
            until("clients go on", || asked.load(Ordering::Relaxed) >= before + count);
        };
        for proxy in &mut proxies {
            more(10);
            let stop = Command::new("kill").args(["-TERM", &proxy.pid().to_string()]).status().unwrap();
            assert!(stop.success());
            more(10);
            until("it is gone", || !listens(proxy.admin_port));
            thread::sleep(Duration::from_millis(300));
            proxy.restart();
        }
        more(10);
        over.store(true, Ordering::Relaxed);
    });
    // Every client's statement is in one of both logs, and the audit database has both.
    let asked = asked.load(Ordering::Relaxed);
    let of = |proxy: &Proxy| proxy.accesses_of("balanced").len();
    let through: Vec<usize> = proxies.iter().map(of).collect();
    // Behind a pooler the application is the pooler's.
    let all: usize = proxies
        .iter()
        .flat_map(Proxy::access_log)
        .filter(|record| record["event"] == "access" && record["relations"][0]["name"] == "public.customers")
        .count();
    assert_eq!(all, asked);
    assert!(through.iter().all(|count| *count > 0), "both served: {through:?}");
    until("the audit database has every record", || {
        proxies.iter().all(|proxy| {
            let sql =
                format!("SELECT count(*), count(DISTINCT seq) FROM audit.records WHERE log = '{}'", log_of(proxy));
            let here = in_files(proxy).len();
            direct(&cluster, "audit", &sql) == format!("{here}|{here}")
        })
    });
    let said = proxies[0].command(&["fleet", "--audit-db", &url(&cluster)]);
    assert!(said.ok && said.out.contains("2 proxies run the same policies"), "{said:?}");
    let agent = login("support_agent");
    assert_eq!(proxies[0].psql(&cluster, &agent, &["SELECT id FROM customers WHERE id = 2"]).fine(), "2");
}
