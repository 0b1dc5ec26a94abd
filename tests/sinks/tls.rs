//! The audit database over TLS: `tls` means there what it means in libpq.

use std::path::PathBuf;

use pgpurpose::cluster::{Cluster, ClusterOptions, ServerUser};
use pgpurpose::server::sinks::Postgres;
use pgpurpose::upstream::{TlsMode, UpstreamTls};

use super::SCHEMA;
use super::places::Place;
use super::support::certs::{Authority, Files};
use super::support::{direct, own_shop, template};

const PASSWORD: &str = "Koerier-3381";

/// A cluster with TLS, whose certificate is for `localhost`, with the audit database.
fn cluster(files: &Files, authority: &Authority) -> Cluster {
    let (cert, key) = authority.sign_for("db", &["localhost"], 4096);
    let (cert, key) = (files.write("db.crt", &cert), files.write("db.key", &key));
    let user = ServerUser::choose().unwrap();
    [&cert, &key].into_iter().for_each(|file| user.give(file).unwrap());
    let set = |name: &str, value: String| (name.to_owned(), value);
    let settings = vec![
        set("ssl", "on".to_owned()),
        set("ssl_cert_file", cert.display().to_string()),
        set("ssl_key_file", key.display().to_string()),
    ];
    let hba = "local all postgres trust\nhost all all 127.0.0.1/32 scram-sha-256\nhost all all ::1/128 scram-sha-256\n";
    let cluster = Cluster::start(&ClusterOptions {
        tcp: true,
        hba: Some(hba.to_owned()),
        settings,
        template: Some(template(None)),
        ..ClusterOptions::default()
    });
    let cluster = cluster.unwrap();
    cluster.run_statements("postgres", "CREATE DATABASE audit").unwrap();
    cluster.run_statements("audit", SCHEMA).unwrap();
    let courier = format!("CREATE ROLE courier LOGIN PASSWORD '{PASSWORD}'; GRANT audit_writer TO courier");
    cluster.run_statements("audit", &courier).unwrap();
    cluster
}

struct Sink {
    host: &'static str,
    mode: TlsMode,
    ca: Option<PathBuf>,
    password: &'static str,
}

/// A log that goes there.
fn place(cluster: &Cluster, sink: &Sink, log: &str) -> Place {
    let port = cluster.tcp_address().unwrap().rsplit_once(':').unwrap().1.to_owned();
    let tls = UpstreamTls::new(sink.mode, sink.ca.as_deref(), None).unwrap();
    let mut config = tokio_postgres::Config::new();
    config.user("courier").dbname("audit").application_name(log).password(sink.password);
    let address = format!("{}:{port}", sink.host).parse().unwrap();
    Place::new("postgres", Box::new(Postgres::new(address, tls, config, log.to_owned())))
}

#[test]
fn the_audit_database_over_tls_is_believed_as_the_mode_says() {
    let (files, authority) = (Files::new(), Authority::new("the audit database's"));
    let ca = Some(files.write("ca.crt", &authority.pem));
    let other = Some(files.write("other.crt", &Authority::new("another").pem));
    let cluster = cluster(&files, &authority);
    let encrypted = |log: &str| {
        let sql = format!(
            "SELECT DISTINCT s.ssl FROM pg_stat_ssl s JOIN pg_stat_activity a USING (pid) WHERE application_name = '{log}'"
        );
        direct(&cluster, "postgres", &sql)
    };
    let sink = |host, mode, ca: &Option<PathBuf>| Sink { host, mode, ca: ca.clone(), password: PASSWORD };
    for (log, sink, tls) in [
        ("disable", sink("localhost", TlsMode::Disable, &None), "f"),
        ("prefer", sink("localhost", TlsMode::Prefer, &None), "t"),
        ("require", sink("127.0.0.1", TlsMode::Require, &None), "t"),
        ("verify-full", sink("localhost", TlsMode::VerifyFull, &ca), "t"),
    ] {
        let mut place = place(&cluster, &sink, log);
        place.write(20);
        place.delivered();
        assert_eq!(encrypted(log), tls, "{log}");
        let there =
            direct(&cluster, "audit", &format!("SELECT line FROM audit.records WHERE log = '{log}' ORDER BY seq"));
        assert_eq!(there.lines().collect::<Vec<_>>(), place.lines(), "{log}");
    }
    for (log, sink, wanted) in [
        ("wrong authority", sink("localhost", TlsMode::VerifyFull, &other), "UnknownIssuer"),
        ("wrong authority required", sink("localhost", TlsMode::Require, &other), "UnknownIssuer"),
        ("wrong host", sink("127.0.0.1", TlsMode::VerifyFull, &ca), "not valid for name"),
        (
            "wrong password",
            Sink { password: "Koerier-0000", ..sink("localhost", TlsMode::Require, &None) },
            "authentication",
        ),
    ] {
        let mut place = place(&cluster, &sink, log);
        place.write(3);
        let trouble = place.in_trouble();
        assert!(trouble.contains(wanted) && !trouble.contains("Koerier"), "{log}: {trouble}");
        // The files go on.
        place.write(3);
        assert_eq!((place.status().delivered, place.lines().len()), (0, 7), "{log}");
    }
    assert_eq!(direct(&cluster, "audit", "SELECT count(*) FROM audit.records WHERE log LIKE 'wrong%'"), "0");

    // A database without TLS: what must be encrypted does not go.
    let cluster = own_shop();
    cluster.run_statements("postgres", "CREATE DATABASE audit").unwrap();
    cluster.run_statements("audit", SCHEMA).unwrap();
    cluster.run_statements("audit", "CREATE ROLE courier LOGIN; GRANT audit_writer TO courier").unwrap();
    let mut open = place(&cluster, &sink("localhost", TlsMode::Prefer, &None), "open");
    let mut closed = place(&cluster, &sink("localhost", TlsMode::Require, &None), "closed");
    open.write(1);
    open.delivered();
    closed.write(1);
    let trouble = closed.in_trouble();
    assert!(trouble.contains("TLS") && !trouble.contains(PASSWORD), "{trouble}");
}
