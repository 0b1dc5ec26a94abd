//! The protocol engine between peers that are not our own code: a real database and psql, and a client and servers that speak by
//! pgwire's messages. An unrestricted role is relayed as it is.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod peers;

use std::process::Command;
use std::sync::{Arc, OnceLock};

use bytes::{Bytes, BytesMut};
use peers::{Answer, Asked, Client, Heard};
use pgpurpose::audit::{AuditLog, Sync};
use pgpurpose::catalog::{CatalogBuilder, CatalogStore};
use pgpurpose::cluster::{Cluster, ClusterOptions};
use pgpurpose::policy::PolicySet;
use pgpurpose::server::{Options, Server};
use pgpurpose::session::{Catalogs, Parts, Shared};
use pgpurpose::telemetry::Metrics;
use pgpurpose::upstream::{Servers, UpstreamTls};
use pgwire::messages::extendedquery::{Bind, BindComplete, Describe, Execute, Parse, ParseComplete};
use pgwire::messages::response::{ErrorResponse, NoticeResponse};
use pgwire::messages::simplequery::Query;

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
        let (server, log) = serve(Options::new("127.0.0.1:0", servers(&cluster)));
        let port = server.addresses()[0].port();
        Proxy { cluster, _server: server, port, log }
    })
}

fn servers(cluster: &Cluster) -> Servers {
    let address = format!("{}:{}", cluster.socket_dir().display(), cluster.port());
    Servers::new(vec![address.parse().unwrap()], UpstreamTls::disabled())
}

fn serve(options: Options) -> (Server, tempfile::TempDir) {
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

fn query(text: &str) -> Asked {
    Asked::Query(Query::new(text.to_owned()))
}

/// Parse, Bind with these values, Describe, Execute and Sync.
fn extended(text: &str, values: &[&str]) -> Vec<Asked> {
    let values = values.iter().map(|value| Some(Bytes::copy_from_slice(value.as_bytes()))).collect();
    vec![
        Asked::Parse(Parse::new(None, text.to_owned(), Vec::new())),
        Asked::Bind(Bind::new(None, None, Vec::new(), values, Vec::new())),
        Asked::Describe(Describe::new(b'P', None)),
        Asked::Execute(Execute::new(None, 0)),
        Asked::Sync(pgwire::messages::extendedquery::Sync::new()),
    ]
}

/// The letters of messages.
fn shown(answers: &[Answer]) -> String {
    let mut out = BytesMut::new();
    let letter = |answer: &Answer| {
        out.clear();
        answer.encode(&mut out).unwrap();
        char::from(out[0])
    };
    answers.iter().map(letter).collect()
}

fn field(answer: &Answer, code: u8) -> Option<&str> {
    let (Answer::ErrorResponse(ErrorResponse { fields, .. }) | Answer::NoticeResponse(NoticeResponse { fields, .. })) =
        answer
    else {
        return None;
    };
    fields.iter().find(|(known, _)| *known == code).map(|(_, value)| value.as_str())
}

/// A proxy before a server of pgwire's messages.
fn before(
    answers: impl Fn(&Asked) -> Vec<Answer> + Send + std::marker::Sync + 'static,
) -> (Server, Heard, tempfile::TempDir) {
    let (address, heard) = peers::serve(answers);
    let servers = Servers::new(vec![address.to_string().parse().unwrap()], UpstreamTls::disabled());
    let (server, log) = serve(Options::new("127.0.0.1:0", servers));
    (server, heard, log)
}

#[test]
fn a_client_of_pgwire_hears_through_the_proxy_what_the_database_says_to_it() {
    let proxy = proxy();
    let (mut direct, _) = Client::connect(([127, 0, 0, 1], proxy.cluster.port()).into(), "postgres");
    let (mut through, _) = Client::connect(([127, 0, 0, 1], proxy.port).into(), "postgres");
    let asked = [
        vec![query("SELECT 1 AS one, 'two' AS two, NULL AS three")],
        vec![query("SELECT 1; SELECT 2 / 0; SELECT 3")],
        vec![query("")],
        vec![query("DO $$ BEGIN RAISE NOTICE 'told'; RAISE WARNING 'told too' USING HINT = 'h', DETAIL = 'd'; END $$")],
        vec![query("SELECT nothing FROM nowhere")],
        vec![query("BEGIN; SAVEPOINT a; ROLLBACK TO a; COMMIT")],
        vec![query("COPY (SELECT generate_series(1, 3)) TO STDOUT")],
        extended("SELECT $1::int + 1 AS sum, $2 AS word", &["41", "said"]),
        extended("SELECT 1 / $1::int", &["0"]),
        extended("", &[]),
    ];
    for messages in &asked {
        direct.send(messages);
        through.send(messages);
        assert_eq!(format!("{:?}", through.until_ready()), format!("{:?}", direct.until_ready()), "{messages:?}");
    }
}

#[test]
fn what_the_proxy_says_itself_is_read_by_a_client_of_pgwire() {
    let proxy = proxy();
    let (mut client, greeting) = Client::connect(([127, 0, 0, 1], proxy.port).into(), "support");
    assert!(shown(&greeting).starts_with('R') && shown(&greeting).ends_with("KZ"), "{greeting:?}");
    let status = |wanted: &str| {
        greeting.iter().find_map(|answer| match answer {
            Answer::ParameterStatus(status) if status.name == wanted => Some(status.value.clone()),
            _ => None,
        })
    };
    assert_eq!(status("client_encoding").as_deref(), Some("UTF8"));
    client.send(&[query("SELECT * FROM nowhere")]);
    let refused = client.until_ready();
    assert_eq!(shown(&refused), "EZ");
    assert_eq!(field(&refused[0], b'C'), Some("42P01"));
    assert_eq!((field(&refused[0], b'S'), field(&refused[0], b'V')), (Some("ERROR"), Some("ERROR")));
    assert!(field(&refused[0], b'M').unwrap().contains("nowhere"), "{refused:?}");
    client.send(&[query("EXPLAIN POLICY SELECT 1")]);
    assert!(shown(&client.until_ready()).starts_with("TD"));
    let (_, nobody) = Client::connect(([127, 0, 0, 1], proxy.port).into(), "nobody_at_all");
    assert_eq!(shown(&nobody), "E");
    assert_eq!(field(&nobody[0], b'S'), Some("FATAL"));
}

#[test]
fn a_server_of_pgwire_gets_what_was_decided_and_its_rows_reach_the_client() {
    let (server, heard, _log) = before(|asked| match asked {
        Asked::Query(_) => peers::rows(&["one"], &[&["1"], &["2"]]),
        Asked::Parse(_) => vec![Answer::ParseComplete(ParseComplete::new())],
        Asked::Bind(_) => vec![Answer::BindComplete(BindComplete::new())],
        Asked::Describe(_) => vec![peers::described(&["one"], (0, 0))],
        Asked::Execute(_) => vec![peers::row(&["1"]), peers::complete("SELECT 1")],
        Asked::Sync(_) => vec![peers::ready()],
        _ => Vec::new(),
    });
    let (mut client, _) = Client::connect(server.addresses()[0], "support");
    client.send(&[query("select 1 /* a secret */ as one -- and another")]);
    assert_eq!(shown(&client.until_ready()), "TDDCZ");
    client.send(&extended("select 1 /* a secret */ as one", &[]));
    assert_eq!(shown(&client.until_ready()), "12TDCZ");
    let heard = heard.lock().unwrap().join("\n");
    assert!(heard.contains("SELECT 1 AS one") && !heard.contains("secret") && !heard.contains("another"), "{heard}");
}

#[test]
fn a_server_of_pgwire_that_answers_what_was_not_decided_ends_the_session_before_a_row() {
    let told = |answers: Vec<Vec<Answer>>, letters: &str, sqlstate: &str| {
        let answers = std::sync::Mutex::new(answers);
        let (server, _, log) = before(move |_| answers.lock().unwrap().pop().unwrap_or_default());
        let (mut client, _) = Client::connect(server.addresses()[0], "support");
        client.send(&[query("SELECT 1 AS one")]);
        let came = client.until_ready();
        assert_eq!(shown(&came), letters, "{came:?}");
        let end = came.last().unwrap();
        assert_eq!((field(end, b'S'), field(end, b'C')), (Some("FATAL"), Some(sqlstate)), "{came:?}");
        assert!(!format!("{came:?}").contains("8001015009087"), "{came:?}");
        (server, log)
    };
    let secret = || peers::row(&["8001015009087"]);
    // A column of a table that was not asked for.
    let described = peers::described(&["one"], (16384, 2));
    let (_server, log) =
        told(vec![vec![described, secret(), peers::complete("SELECT 1"), peers::ready()]], "E", "42501");
    let records = || -> String {
        let files = std::fs::read_dir(log.path()).unwrap();
        files.filter_map(|file| std::fs::read_to_string(file.unwrap().path()).ok()).collect()
    };
    // It goes along with the next record, or by itself a few milliseconds later.
    let told_of = (0..100).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(20));
        records().contains("\"event\":\"incident\"")
    });
    assert!(told_of, "{}", records());
    // Rows that no description came before.
    told(vec![vec![secret(), peers::complete("SELECT 1"), peers::ready()]], "E", "42501");
    // More answers than there were statements.
    let again = vec![peers::described(&["one"], (0, 0)), peers::complete("SELECT 0"), secret(), peers::ready()];
    told(vec![again], "TCE", "42501");
    // What answers nothing that was sent.
    told(vec![vec![Answer::BindComplete(BindComplete::new())]], "E", "08P01");
    // COPY where none was decided.
    let copies = Answer::CopyOutResponse(pgwire::messages::copy::CopyOutResponse::new(0, 1, vec![0]));
    told(vec![vec![copies, peers::ready()]], "E", "42501");
}
