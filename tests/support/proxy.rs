//! The built binary, started with a configuration of its own.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use pgpurpose::cluster::Cluster;
use socket2::{Domain, Socket, Type};
use tempfile::TempDir;

/// Ends the proxy with the test, also with one that is killed: its standard input is a pipe that closes then. Shared proxies
/// stand in statics, which are never dropped.
const SUPERVISOR: &str = r#"
    pid_file=$1; shift
    exec 3<&0
    "$@" </dev/null 3<&- &
    proxy=$!
    echo "$proxy" >"$pid_file.new" && mv "$pid_file.new" "$pid_file"
    (while read -r _; do :; done <&3; kill -9 "$proxy") >/dev/null 2>&1 &
    watcher=$!
    exec 3<&- </dev/null
    wait "$proxy"; status=$?
    kill "$watcher"
    exit "$status"
"#;

/// A running proxy. Dropped, it is killed.
pub struct Proxy {
    supervisor: Child,
    pid: u32,
    folder: TempDir,
    environment: Vec<(String, String)>,
    _ports: [Port; 2],
    /// Where it listens, on 127.0.0.1.
    pub port: u16,
    /// Where its console listens, on 127.0.0.1.
    pub admin_port: u16,
}

/// The two ways to the database that `relay` is for.
#[derive(Debug, Clone, Copy)]
pub enum Upstream {
    /// Over the Unix socket.
    Socket,
    /// Over TCP without TLS.
    Tcp,
}

impl Proxy {
    /// Before this cluster, with the sample shop's policy.
    pub fn start(cluster: &Cluster) -> Self {
        let policy = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies/shop.toml");
        Self::start_with(cluster, Upstream::Socket, &fs::read_to_string(policy).unwrap(), "")
    }

    /// With a policy's text, and more lines for the configuration (whole sections).
    pub fn start_with(cluster: &Cluster, upstream: Upstream, policy: &str, more: &str) -> Self {
        Self::start_logging(cluster, upstream, policy, more, "")
    }

    /// The same with more keys for `[audit]`.
    pub fn start_logging(cluster: &Cluster, upstream: Upstream, policy: &str, more: &str, audit_keys: &str) -> Self {
        let address = match upstream {
            Upstream::Socket => format!("{}:{}", cluster.socket_dir().display(), cluster.port()),
            Upstream::Tcp => cluster.tcp_address().unwrap(),
        };
        let sections = format!(
            "[upstream]\naddress = \"{address}\"\ntls = \"disable\"\ncatalog_login = \"pgpurpose\"\n\
             [auth]\nmethod = \"relay\"\n{more}"
        );
        Self::launch(policy, "", &sections, audit_keys, &[])
    }

    /// The same with variables of its environment, and no more sections.
    pub fn start_in(
        cluster: &Cluster,
        policy: &str,
        more: &str,
        audit_keys: &str,
        environment: &[(&str, &str)],
    ) -> Self {
        let sections = format!(
            "[upstream]\naddress = \"{}:{}\"\ntls = \"disable\"\ncatalog_login = \"pgpurpose\"\n\
             [auth]\nmethod = \"relay\"\n{more}",
            cluster.socket_dir().display(),
            cluster.port()
        );
        Self::launch(policy, "", &sections, audit_keys, environment)
    }

    /// With a policy's text, more keys for `[listen]`, and all sections but `[listen]`, `[policy]`, `[audit]` and `[admin]`.
    pub fn start_sections(policy: &str, listen: &str, sections: &str) -> Self {
        Self::launch(policy, listen, sections, "", &[])
    }

    /// The same with more keys for `[audit]`.
    pub fn start_sections_logging(policy: &str, listen: &str, sections: &str, audit_keys: &str) -> Self {
        Self::launch(policy, listen, sections, audit_keys, &[])
    }

    /// With its access log in a folder of a disk that is given.
    pub fn start_logging_to(cluster: &Cluster, policy: &str, disk: &Path, audit_keys: &str) -> Self {
        let sections = format!(
            "[upstream]\naddress = \"{}:{}\"\ntls = \"disable\"\ncatalog_login = \"pgpurpose\"\n\
             [auth]\nmethod = \"relay\"\n",
            cluster.socket_dir().display(),
            cluster.port()
        );
        Self::launch_on(Some(disk), policy, "", &sections, audit_keys, &[])
    }

    fn launch(policy: &str, listen: &str, sections: &str, audit_keys: &str, environment: &[(&str, &str)]) -> Self {
        Self::launch_on(None, policy, listen, sections, audit_keys, environment)
    }

    fn launch_on(
        disk: Option<&Path>,
        policy: &str,
        listen: &str,
        sections: &str,
        audit_keys: &str,
        environment: &[(&str, &str)],
    ) -> Self {
        let folder = tempfile::Builder::new().prefix("pgpurpose-test-").tempdir().unwrap();
        let ports = [Port::free(), Port::free()];
        let [port, admin_port] = ports.each_ref().map(Port::number);
        let at = |name: &str| folder.path().join(name);
        fs::write(at("policy.toml"), policy).unwrap();
        fs::write(at("token.key"), "0123456789abcdef".repeat(4)).unwrap();
        match disk {
            None => fs::create_dir(at("audit")).unwrap(),
            Some(disk) => {
                fs::create_dir(disk.join("log")).unwrap();
                std::os::unix::fs::symlink(disk.join("log"), at("audit")).unwrap();
            }
        }
        let config = format!(
            "[listen]\naddress = \"127.0.0.1:{port}\"\n{listen}\n\
             [policy]\nfiles = [\"{policy}\"]\ntoken_key = \"file:{key}\"\n{memory}\n\
             [audit]\ndirectory = \"{audit}\"\n{audit_keys}\n\
             [admin]\naddress = \"127.0.0.1:{admin_port}\"\n{sections}\n",
            // `PGPURPOSE_TEST_DECIDE_EACH=1` has every suite decide each statement from nothing.
            memory = std::env::var_os("PGPURPOSE_TEST_DECIDE_EACH").map_or("", |_| "decision_memory = 0"),
            policy = at("policy.toml").display(),
            key = at("token.key").display(),
            audit = at("audit").display(),
        );
        fs::write(at("pgpurpose.toml"), config).unwrap();
        let environment: Vec<(String, String)> =
            environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let supervisor = spawn(folder.path(), &environment);
        let mut proxy = Self { supervisor, pid: 0, folder, environment, _ports: ports, port, admin_port };
        proxy.wait_until_ready();
        proxy
    }

    /// Starts it again, once it has ended.
    pub fn restart(&mut self) {
        self.supervisor = spawn(self.folder.path(), &self.environment);
        self.wait_until_ready();
    }

    fn wait_until_ready(&mut self) {
        let started = Instant::now();
        while started.elapsed() < Duration::from_secs(30) {
            if TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_ok() {
                self.pid = fs::read_to_string(self.folder.path().join("pid")).unwrap().trim().parse().unwrap();
                return;
            }
            if let Some(status) = self.supervisor.try_wait().unwrap() {
                panic!("the proxy ended with {status}:\n{}", self.output());
            }
            thread::sleep(Duration::from_millis(20));
        }
        panic!("the proxy is not ready:\n{}", self.output());
    }

    /// What it printed.
    pub fn output(&self) -> String {
        fs::read_to_string(self.folder.path().join("proxy.log")).unwrap_or_default()
    }

    /// The folder of its access log.
    pub fn audit_dir(&self) -> PathBuf {
        self.folder.path().join("audit")
    }

    /// The folder of its configuration.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Its process number.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        kill_9(self.pid);
        self.supervisor.wait().unwrap();
    }

    /// Every record of the access log.
    pub fn access_log(&self) -> Vec<serde_json::Value> {
        let mut records = Vec::new();
        pgpurpose::audit::read::scan(&self.audit_dir(), |entry| {
            records.push(serde_json::from_str(&entry.line).unwrap());
            true
        })
        .unwrap();
        records
    }

    /// The `access` records of one application name, in order.
    pub fn accesses_of(&self, application: &str) -> Vec<serde_json::Value> {
        let mut records = self.access_log();
        records.retain(|record| record["event"] == "access" && record["application"] == application);
        records
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("--- what the proxy said ---\n{}", self.output());
        }
        drop(self.supervisor.stdin.take());
        let _ = self.supervisor.wait();
    }
}

/// The proxy that is tried: the one that was built with the tests, or the one that `PGPURPOSE_TEST_PROGRAM` names, for measurements of a
/// build that is at hand.
pub fn program() -> String {
    std::env::var("PGPURPOSE_TEST_PROGRAM").unwrap_or_else(|_| env!("CARGO_BIN_EXE_pgpurpose").to_owned())
}

fn spawn(folder: &Path, environment: &[(String, String)]) -> Child {
    let log = File::options().create(true).append(true).open(folder.join("proxy.log")).unwrap();
    Command::new("sh")
        .args(["-c", SUPERVISOR, "supervisor"])
        .arg(folder.join("pid"))
        .args([&program(), "serve", "--config"])
        .arg(folder.join("pgpurpose.toml"))
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::piped())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap()
}

pub fn kill_9(pid: u32) {
    assert!(Command::new("kill").args(["-9", &pid.to_string()]).status().unwrap().success());
}

/// A port that nobody else is given while this lives: not as a port to listen on, and not as one to connect from. A client that
/// asks a free port again and again whether somebody listens yet is itself connected from it one day, to itself.
pub struct Port {
    number: u16,
    _held: Socket,
}

impl Port {
    /// Any free one on 127.0.0.1. Whoever sets SO_REUSEADDR can listen on it.
    pub fn free() -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.set_reuse_address(true).unwrap();
        socket.set_reuse_port(true).unwrap();
        socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
        let number = socket.local_addr().unwrap().as_socket().unwrap().port();
        Self { number, _held: socket }
    }

    /// Its number.
    pub fn number(&self) -> u16 {
        self.number
    }
}
