//! The protocol engine before a real database, with psql: an unrestricted role is relayed as it is.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::process::Command;
use std::sync::{Arc, OnceLock};

use pgpurpose::audit::{AuditLog, Sync};
use pgpurpose::catalog::{CatalogBuilder, CatalogStore};
use pgpurpose::cluster::{Cluster, ClusterOptions};
use pgpurpose::policy::PolicySet;
use pgpurpose::server::{Options, Server};
use pgpurpose::session::{Catalogs, Parts, Shared};
use pgpurpose::telemetry::Metrics;
use pgpurpose::upstream::{Servers, UpstreamTls};

const POLICY: &str = r#"
version = 1
unlisted_tables = "deny"
[purposes.support]
basis = "contract"
[roles.support]
logins = ["support"]
purposes = ["support"]
[roles.migrator]
logins = ["postgres"]
unrestricted = "tests of the protocol"
"#;

struct Proxy {
    cluster: Cluster,
    _server: Server,
    port: u16,
    log: tempfile::TempDir,
}

fn proxy() -> &'static Proxy {
    static PROXY: OnceLock<Proxy> = OnceLock::new();
    PROXY.get_or_init(|| {
        let cluster =
            Cluster::start(&ClusterOptions { tcp: true, ..ClusterOptions::default() }).expect("a cluster starts");
        cluster.run_sql("postgres", "CREATE ROLE support LOGIN").unwrap();
        let (server, log) = serve(&cluster, Options::new("127.0.0.1:0", servers(&cluster)));
        let port = server.addresses()[0].port();
        Proxy { cluster, _server: server, port, log }
    })
}

fn servers(cluster: &Cluster) -> Servers {
    let address = format!("{}:{}", cluster.socket_dir().display(), cluster.port());
    Servers::new(vec![address.parse().unwrap()], UpstreamTls::disabled())
}

fn serve(_cluster: &Cluster, options: Options) -> (Server, tempfile::TempDir) {
    let log = tempfile::tempdir().unwrap();
    let policies = PolicySet::from_sources(&[("test.toml".into(), POLICY.into())]).unwrap();
    let shared = Shared::new(Parts {
        policies: Arc::new(policies),
        catalogs: Catalogs::one(Arc::new(CatalogStore::fixed(CatalogBuilder::new().build()))),
        audit: AuditLog::open(log.path(), Sync::Written).unwrap(),
        metrics: Arc::new(Metrics::default()),
        enforce: Box::new(pgpurpose::sql::enforce_form),
        observe: false,
        subject_key: None,
    })
    .unwrap();
    (Server::start(options, Arc::new(shared)).unwrap(), log)
}

impl Proxy {
    fn psql(&self, arguments: &[&str]) -> (String, String) {
        let mut command: Command = self.cluster.client("psql");
        command.env("PGHOST", "127.0.0.1").env("PGPORT", self.port.to_string()).env("PGUSER", "postgres");
        command.env("PGDATABASE", "postgres").args(["-X", "-A", "-t"]).args(arguments);
        let output = command.output().unwrap();
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
    }
}

#[test]
fn psql_talks_through_the_proxy() {
    let (out, err) = proxy().psql(&["-c", "SELECT 1 + 1"]);
    assert_eq!((out.as_str(), err.as_str()), ("2\n", ""));
}

#[test]
fn a_batch_keeps_its_implicit_transaction() {
    let proxy = proxy();
    proxy.psql(&["-c", "CREATE TABLE batch (id int)"]);
    let (_, err) = proxy.psql(&["-c", "INSERT INTO batch VALUES (1); SELECT 1/0; INSERT INTO batch VALUES (2)"]);
    assert!(err.contains("division by zero"), "{err}");
    assert_eq!(proxy.psql(&["-c", "SELECT count(*) FROM batch"]).0, "0\n");
}

#[test]
fn rows_are_copied_both_ways() {
    let proxy = proxy();
    let script = "CREATE TABLE copied (id int, name text);\nCOPY copied FROM STDIN;\n1\tone\n2\ttwo\n\\.\nCOPY copied TO STDOUT;\n";
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), script).unwrap();
    let (out, err) = proxy.psql(&["-q", "-f", file.path().to_str().unwrap()]);
    assert_eq!((out.as_str(), err.as_str()), ("1\tone\n2\ttwo\n", ""));
}

#[test]
fn every_statement_has_its_access_and_its_outcome_in_the_log() {
    let proxy = proxy();
    proxy.psql(&["-c", "SELECT 'logged', 4711"]);
    let lines = || {
        let files = std::fs::read_dir(proxy.log.path()).unwrap().map(|entry| entry.unwrap().path());
        let files = files.filter(|path| path.extension().is_some_and(|extension| extension == "jsonl"));
        files.flat_map(|path| std::fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect::<Vec<_>>())
    };
    let found = |wanted: &dyn Fn(&serde_json::Value) -> bool| {
        lines().map(|line| serde_json::from_str::<serde_json::Value>(&line).unwrap()).find(|record| wanted(record))
    };
    let access = found(&|record| record["event"] == "access" && record["statement"] == "SELECT $1, $2").unwrap();
    assert_eq!(access["login"], "postgres");
    // An outcome goes along with the next record, or by itself a few milliseconds later.
    let outcome = (0..100).find_map(|_| {
        std::thread::sleep(std::time::Duration::from_millis(20));
        found(&|record| record["event"] == "outcome" && record["of"] == access["seq"])
    });
    let outcome = outcome.expect("the outcome is in the log");
    assert_eq!(outcome["rows"], 1);
    assert!(!lines().any(|line| line.contains("4711")));
}
