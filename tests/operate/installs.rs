//! From a server that is there to a proxy before it: `pgpurpose init`, and a proxy as a service.

use std::fs;
use std::io::Write as _;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use pgpurpose::cluster::{Cluster, ClusterOptions};

use super::support::client::login;
use super::support::proxy::{Port, Proxy};
use super::support::{direct, shop};
use super::{SHOP_POLICY, pgpurpose, signal, until};

/// Asks everybody for a password but the tests' own superuser.
const HBA: &str =
    "local all postgres trust\nhost all refused 127.0.0.1/32 reject\nhost all all 127.0.0.1/32 scram-sha-256\n";

/// A server with two databases, and a superuser `dba` and an application `crm` that have passwords.
fn guarded() -> Cluster {
    let settings = vec![("timezone".to_owned(), "UTC".to_owned())];
    let options = ClusterOptions { tcp: true, hba: Some(HBA.to_owned()), settings, ..ClusterOptions::default() };
    let cluster = Cluster::start(&options).unwrap();
    direct(
        &cluster,
        "postgres",
        "SET password_encryption = 'scram-sha-256'; CREATE ROLE dba SUPERUSER LOGIN PASSWORD 'all-of-it'",
    );
    direct(
        &cluster,
        "postgres",
        "SET password_encryption = 'scram-sha-256'; CREATE ROLE crm LOGIN PASSWORD 'crm-secret'",
    );
    direct(
        &cluster,
        "postgres",
        "SET password_encryption = 'scram-sha-256'; CREATE ROLE maker CREATEROLE LOGIN PASSWORD 'some-of-it'",
    );
    for name in ["crm", "books"] {
        cluster.run_statements("postgres", &format!("CREATE DATABASE {name}")).unwrap();
    }
    direct(
        &cluster,
        "crm",
        "CREATE TABLE customers (id bigint PRIMARY KEY, email text, city text); GRANT SELECT ON customers TO crm; \
         INSERT INTO customers VALUES (1, 'thandi@example.co.za', 'Durban')",
    );
    cluster
}

struct Init {
    cluster: Cluster,
    folder: tempfile::TempDir,
}

impl Init {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("dba"), "all-of-it\n").unwrap();
        fs::write(folder.path().join("maker"), "some-of-it\n").unwrap();
        Self { cluster: guarded(), folder }
    }

    fn dir(&self) -> PathBuf {
        self.folder.path().join("new")
    }

    fn arguments(&self, login: &str, more: &[&str]) -> Vec<String> {
        let [dir, password] = [self.dir(), self.folder.path().join(login)].map(|path| path.display().to_string());
        let upstream = self.cluster.tcp_address().unwrap();
        let password = format!("file:{password}");
        let fixed = ["init", "--dir", &dir, "--upstream", &upstream, "--login", login, "--password", &password];
        fixed.iter().chain(more).map(|part| (*part).to_owned()).collect()
    }

    fn run(&self, login: &str, more: &[&str]) -> (i32, String, String) {
        let arguments = self.arguments(login, more);
        pgpurpose(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// With answers from a pipe.
    fn answered(&self, more: &[&str], answers: &str) -> (i32, String, String) {
        let mut child = Command::new(env!("CARGO_BIN_EXE_pgpurpose"))
            .args(self.arguments("dba", more))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // It may have ended before it read them all.
        let _ = child.stdin.take().unwrap().write_all(answers.as_bytes());
        let said = child.wait_with_output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (said.status.code().unwrap(), text(&said.stdout), text(&said.stderr))
    }

    fn roles(&self, name: &str) -> String {
        direct(
            &self.cluster,
            "postgres",
            &format!(
                "SELECT rolsuper, rolcreaterole, rolcreatedb, rolreplication, rolbypassrls FROM pg_roles WHERE rolname = '{name}'"
            ),
        )
    }
}

/// Everything in a folder, with its mode and text.
fn files(folder: &Path) -> Vec<(String, u32, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        found.push((path.display().to_string(), mode, fs::read_to_string(&path).unwrap_or_default()));
        if path.is_dir() {
            found.extend(files(&path));
        }
    }
    found.sort();
    found
}

/// A proxy with a configuration of somebody else's making.
struct Served(Child, tempfile::NamedTempFile);

impl Served {
    fn start(config: &Path, more: &[&str]) -> Self {
        let log = tempfile::NamedTempFile::new().unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_pgpurpose"))
            .args(["serve", "--config"])
            .arg(config)
            .args(more)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log.reopen().unwrap())
            .spawn()
            .unwrap();
        Self(child, log)
    }

    fn said(&self) -> String {
        fs::read_to_string(self.1.path()).unwrap()
    }

    fn ready(self) -> Self {
        until("the proxy is ready", || self.said().contains(" ready"));
        self
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn psql(port: u16, who: &str, password: &str, database: &str, sql: &str) -> (bool, String) {
    let said = Command::new("psql")
        .args([
            "-X",
            "-q",
            "-A",
            "-t",
            "-h",
            "127.0.0.1",
            "-p",
            &port.to_string(),
            "-U",
            who,
            "-d",
            database,
            "-c",
            sql,
        ])
        .env("PGPASSWORD", password)
        .output()
        .unwrap();
    (
        said.status.success(),
        format!("{}{}", String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr)),
    )
}

#[test]
fn init_makes_all_that_serve_needs_and_a_second_time_changes_nothing() {
    let init = Init::new();
    let port = Port::free();
    let listen = format!("127.0.0.1:{}", port.number());
    let database = ["--yes", "--listen", &listen, "--database", "crm", "books"];
    let (status, said, told) = init.run("dba", &database);
    assert_eq!(status, 0, "{said}{told}");
    for part in
        ["applications log in by `passthrough`", "`pgpurpose` can log in", "What to do next", "was written by a scan"]
    {
        assert!(said.contains(part), "{part}: {said}{told}");
    }
    // The least rights, in each database that was named and in no other.
    assert_eq!(init.roles("pgpurpose"), "f|f|f|f|f");
    let granted = "SELECT string_agg(attname, ',' ORDER BY attname) FROM pg_attribute WHERE attrelid = 'pg_authid'::regclass AND attacl::text LIKE '%pgpurpose=r/%'";
    for (name, columns) in [
        ("crm", "rolcanlogin,rolname,rolpassword,rolvaliduntil"),
        ("books", "rolcanlogin,rolname,rolpassword,rolvaliduntil"),
        ("postgres", ""),
    ] {
        assert_eq!(direct(&init.cluster, name, granted), columns, "{name}");
    }
    assert_eq!(direct(&init.cluster, "crm", "SELECT has_table_privilege('pgpurpose', 'customers', 'SELECT')"), "f");
    // Keys are for their owner alone, and never shown.
    let written = files(&init.dir());
    let keys: Vec<_> = written.iter().filter(|(path, ..)| path.contains("/keys/")).collect();
    assert_eq!(keys.len(), 3, "{written:?}");
    for (path, mode, key) in &keys {
        assert_eq!((*mode, key.trim().len()), (0o600, 64), "{path}");
        assert!(!said.contains(key.trim()) && !told.contains(key.trim()), "{path} was shown");
    }
    assert!(
        written.iter().all(|(path, mode, _)| mode & 0o022 == 0 && (mode & 0o044 == 0 || path.ends_with(".toml"))),
        "{written:?}"
    );
    // Again: what is there stays.
    let verifier = "SELECT rolpassword FROM pg_authid WHERE rolname = 'pgpurpose'";
    let before = direct(&init.cluster, "postgres", verifier);
    let (status, said, told) = init.run("dba", &database);
    assert_eq!(status, 0, "{said}{told}");
    assert!(said.contains("logs in with the password in keys/catalog.password") && !said.contains("Done"), "{said}");
    assert_eq!((files(&init.dir()), direct(&init.cluster, "postgres", verifier)), (written, before));
    // And it serves: by the policy that was written, for an application with its own password.
    let proxy = Served::start(&init.dir().join("pgpurpose.toml"), &[]).ready();
    let (fine, answer) = psql(port.number(), "crm", "crm-secret", "crm", "SELECT city FROM customers");
    assert!(fine || answer.contains("42501") || answer.contains("no rule opens"), "{answer}");
    let (fine, answer) = psql(port.number(), "crm", "another", "crm", "SELECT 1");
    assert!(!fine && answer.contains("password authentication failed"), "{answer}");
    let (fine, answer) = psql(port.number(), "crm", "crm-secret", "crm", "SELECT 1");
    assert!(fine && answer.trim() == "1", "{answer}{}", proxy.said());
}

#[test]
fn init_asks_before_each_step_and_a_no_leaves_it_out() {
    let init = Init::new();
    // Databases, method; no login.
    let (status, said, told) = init.answered(&[], "crm\npassthrough\nn\n");
    assert_eq!(status, 2, "{said}{told}");
    assert!(
        told.contains("Make this login, with a password that is made now? [Y/n]")
            && told.contains("without `pgpurpose`"),
        "{told}"
    );
    assert_eq!(init.roles("pgpurpose"), "");
    // The login, and nobody answers then.
    let (status, said, told) = init.answered(&[], "crm\n\ny\n");
    assert_eq!(status, 2, "{said}{told}");
    assert!(told.contains("nobody answers") && told.contains("run it again"), "{told}");
    for part in ["Done", "keys/catalog.password was written", "the login `pgpurpose` was made"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    // It goes on: rights, both keys, no scan, observing, the configuration.
    let (status, said, told) = init.answered(&[], "crm\n\ny\ny\nn\nn\ny\ny\n");
    assert!(said.contains("logs in with the password in keys/catalog.password"), "{said}{told}");
    assert!(said.contains("Left out") && said.contains("keys/signing.key was not made"), "{said}{told}");
    assert_eq!(status, 1, "{said}{told}");
    assert!(fs::read_to_string(init.dir().join("policies/first.toml")).unwrap().contains("Names no table yet"));
    let config = fs::read_to_string(init.dir().join("pgpurpose.toml")).unwrap();
    assert!(config.contains("mode = \"observe\"") && config.contains("method = \"passthrough\""), "{config}");
    // Something else than is there is replaced only by who says so, and kept.
    let (_, said, told) = init.answered(&["--listen", "127.0.0.1:7777"], "crm\n\ny\nn\nn\n");
    assert!(told.contains("Replace it") && said.contains("stays as it was"), "{said}{told}");
    assert_eq!(fs::read_to_string(init.dir().join("pgpurpose.toml")).unwrap(), config);
    init.answered(&["--listen", "127.0.0.1:7777"], "crm\n\ny\ny\n");
    assert_eq!(fs::read_to_string(init.dir().join("pgpurpose.toml.bak")).unwrap(), config);
    assert!(fs::read_to_string(init.dir().join("pgpurpose.toml")).unwrap().contains("7777"));
}

#[test]
fn init_on_a_terminal_takes_the_password_without_echo() {
    let init = Init::new();
    let dir = init.dir().display().to_string();
    let command = format!("{} init --dir {dir}", env!("CARGO_BIN_EXE_pgpurpose"));
    let Ok(mut terminal) = Command::new("script")
        .args(["-q", "-e", "-c", &command, "/dev/null"])
        .env_remove("PGPASSWORD")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
    else {
        assert!(std::env::var_os("CI").is_none(), "`script` of util-linux is needed");
        return;
    };
    let mut typed = terminal.stdin.take().unwrap();
    let said = std::sync::Arc::new(std::sync::Mutex::new(String::new()));
    let mut shown = terminal.stdout.take().unwrap();
    let heard = std::sync::Arc::clone(&said);
    let reader = std::thread::spawn(move || {
        let mut part = [0; 4096];
        while let Ok(length) = std::io::Read::read(&mut shown, &mut part) {
            if length == 0 {
                break;
            }
            heard.lock().unwrap().push_str(&String::from_utf8_lossy(&part[..length]));
        }
    });
    let address = init.cluster.tcp_address().unwrap();
    // Each answer once its question stands there.
    for (question, answer) in [
        ("Where is it", address.as_str()),
        ("Which login", "dba"),
        ("Password of dba", "all-of-it"),
        ("Databases that applications use", "crm"),
        ("How do applications log in", ""),
        ("Make this login", ""),
        ("these rights?", ""),
        ("token.key", ""),
        ("signing.key", ""),
        ("Scan `crm`", ""),
        ("observing only", ""),
        ("Write this to", ""),
    ] {
        until(question, || said.lock().unwrap().contains(question));
        writeln!(typed, "{answer}").unwrap();
    }
    let status = terminal.wait().unwrap();
    drop(typed);
    reader.join().unwrap();
    let said = said.lock().unwrap().clone();
    assert!(status.success(), "{said}");
    assert!(!said.contains("all-of-it"), "{said}");
    assert!(said.contains("What to do next") && init.dir().join("pgpurpose.toml").exists(), "{said}");
}

#[test]
fn init_that_fails_in_the_middle_says_what_was_done_and_goes_on_later() {
    let init = Init::new();
    let (status, said, told) = init.run("dba", &["--yes", "--database", "crm", "--catalog-login", "refused"]);
    assert_eq!(status, 2, "{said}{told}");
    for part in [
        "keys/catalog.password was written",
        "the login `refused` was made",
        "`refused` was given what it needs in database `crm`",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(told.contains("pg_hba.conf") && told.contains("run it again"), "{told}");
    assert!(!init.dir().join("pgpurpose.toml").exists());
    direct(&init.cluster, "postgres", "SELECT pg_reload_conf()");
    let hba = direct(&init.cluster, "postgres", "SHOW hba_file");
    fs::write(&hba, HBA.replace("host all refused 127.0.0.1/32 reject\n", "")).unwrap();
    direct(&init.cluster, "postgres", "SELECT pg_reload_conf()");
    until("it goes on", || init.run("dba", &["--yes", "--database", "crm", "--catalog-login", "refused"]).0 == 0);
}

#[test]
fn init_offers_the_method_that_the_rights_allow() {
    let init = Init::new();
    // May make logins, and may not let anybody read verifiers.
    let (status, said, told) = init.run("maker", &["--yes", "--database", "crm", "--method", "passthrough"]);
    assert_eq!((status, said.contains("Done")), (2, false), "{said}{told}");
    assert!(told.contains("`passthrough` needs SELECT on `pg_authid`"), "{told}");
    let (status, said, told) = init.run("maker", &["--dry-run", "--database", "crm"]);
    assert!(status == 0 && said.contains("applications log in by `relay`"), "{said}{told}");
    assert!(said.contains("nothing was changed") && !init.dir().exists(), "{said}{told}");
    assert_eq!(init.roles("pgpurpose"), "");
    fs::write(init.folder.path().join("crm"), "crm-secret\n").unwrap();
    let source = format!("crm=file:{}", init.folder.path().join("crm").display());
    let port = Port::free();
    let listen = format!("127.0.0.1:{}", port.number());
    let scram = ["--yes", "--database", "crm", "--method", "scram", "--app", &source, "--no-scan", "--listen", &listen];
    let (status, said, told) = init.run("maker", &scram);
    assert_eq!(status, 0, "{said}{told}");
    assert!(!said.contains("crm-secret") && !told.contains("crm-secret"));
    let policy = "version = 1\n[purposes.work]\nbasis = \"contract\"\ndescription = \"work\"\n[roles.crm]\nlogins = [\"crm\"]\npurposes = [\"work\"]\n";
    fs::write(init.dir().join("policies/first.toml"), policy).unwrap();
    let proxy = Served::start(&init.dir().join("pgpurpose.toml"), &[]).ready();
    let (fine, answer) = psql(port.number(), "crm", "crm-secret", "crm", "SELECT 1");
    assert!(fine && answer.trim() == "1", "{answer}{}", proxy.said());
    // What cannot be reached and what is wrong is told before anything is done.
    let (status, said, told) = init.run("dba", &["--yes", "--database", "nowhere"]);
    assert!(status == 2 && told.contains("nowhere"), "{said}{told}");
}

/// A port that is free, and whose console would find its place free too.
fn with_console() -> (Port, u16) {
    loop {
        let port = Port::free();
        if let Some(above) = port.number().checked_add(3000)
            && TcpListener::bind((Ipv4Addr::LOCALHOST, above)).is_ok()
        {
            return (port, above);
        }
    }
}

fn configured(folder: &Path, port: u16, admin: &str) -> PathBuf {
    fs::write(folder.join("policy.toml"), SHOP_POLICY).unwrap();
    fs::write(folder.join("token.key"), "0123456789abcdef".repeat(4)).unwrap();
    fs::create_dir_all(folder.join("audit")).unwrap();
    let text = format!(
        "[listen]\naddress = \"127.0.0.1:{port}\"\n[upstream]\naddress = \"{}:{}\"\n[auth]\nmethod = \"relay\"\n\
         [policy]\nfiles = [\"policy.toml\"]\ntoken_key = \"file:token.key\"\n{admin}\n",
        shop().socket_dir().display(),
        shop().port()
    );
    let config = folder.join("pgpurpose.toml");
    fs::write(&config, text).unwrap();
    config
}

#[test]
fn a_second_proxy_on_a_host_starts_without_a_clash_of_consoles() {
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let places = [with_console(), with_console()];
    let configs: Vec<PathBuf> =
        folders.iter().zip(&places).map(|(folder, (port, _))| configured(folder.path(), port.number(), "")).collect();
    let both: Vec<Served> = configs.iter().map(|config| Served::start(config, &[]).ready()).collect();
    for (_, console) in &places {
        assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, *console)).is_ok(), "{console}: {}", both[1].said());
    }
    drop(both);
    // Somebody else is where the console would be: statements are served, and it comes once there is room.
    let (port, console) = &places[0];
    let other = TcpListener::bind((Ipv4Addr::LOCALHOST, *console)).unwrap();
    let proxy = Served::start(&configs[0], &[]).ready();
    assert!(proxy.said().contains(&format!("another process listens on `127.0.0.1:{console}`")), "{}", proxy.said());
    let (fine, answer) = psql(port.number(), "support_agent", "", "shop", "SELECT 1");
    assert!(fine, "{answer}");
    drop(other);
    until("the console comes", || proxy.said().contains("the console is there"));
    drop(proxy);
    // Where the address was said, that is not what is done.
    let other = TcpListener::bind((Ipv4Addr::LOCALHOST, *console)).unwrap();
    let said = format!("[admin]\naddress = \"127.0.0.1:{console}\"");
    let config = configured(folders[0].path(), port.number(), &said);
    let (status, _, told) = pgpurpose(&["serve", "--config", &config.display().to_string()]);
    assert!(status == 2 && told.contains("`[admin] address` wants the console: name another port"), "{told}");
    drop(other);
    let config = configured(folders[0].path(), port.number(), "[admin]\naddress = \"off\"");
    let proxy = Served::start(&config, &[]).ready();
    assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, *console)).is_err(), "{}", proxy.said());
}

#[test]
fn the_service_manager_is_told_when_the_proxy_is_ready_loads_again_and_stops() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    manager.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let heard = || {
        let mut buffer = [0; 1024];
        let length = manager.recv(&mut buffer).unwrap();
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    };
    // A proxy that cannot start never says that it is ready.
    let other = tempfile::tempdir().unwrap();
    let misfit = configured(other.path(), 0, "[nonsense]");
    let failed = Command::new(env!("CARGO_BIN_EXE_pgpurpose"))
        .args(["serve", "--config"])
        .arg(&misfit)
        .env("NOTIFY_SOCKET", &path)
        .output();
    assert_eq!(failed.unwrap().status.code(), Some(2));
    let proxy = Proxy::start_in(shop(), SHOP_POLICY, "", "", &[("NOTIFY_SOCKET", &path.display().to_string())]);
    let ready = heard();
    assert!(ready.starts_with("READY=1\nSTATUS=enforcing, sha256:"), "{ready}");
    assert_eq!(super::get(&proxy, "/readyz").0, 200, "it is");
    let pid = proxy.pid();
    signal(&proxy, "HUP");
    assert!(heard().starts_with("RELOADING=1"));
    assert!(heard().starts_with("READY=1\nSTATUS=enforcing"));
    fs::write(proxy.folder().join("policy.toml"), "version = 1\n[tables").unwrap();
    assert!(heard().starts_with("RELOADING=1"));
    let kept = heard();
    assert!(kept.starts_with("READY=1") && kept.ends_with("the last reload was not taken"), "{kept}");
    assert_eq!(
        fs::read_to_string(format!("/proc/{pid}/comm")).unwrap().trim(),
        "pgpurpose",
        "the process is still the same"
    );
    let asked = proxy.psql(shop(), &login("support_agent"), &["SELECT city FROM customers WHERE id = 1"]);
    assert!(asked.ok, "{asked:?}");
    signal(&proxy, "TERM");
    let stopping = heard();
    assert!(
        stopping.starts_with("STOPPING=1\nEXTEND_TIMEOUT_USEC=50000000\n"),
        "30 seconds to drain and 20 beside: {stopping}"
    );
}
