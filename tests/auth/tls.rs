//! Certificates: replaced while sessions run, asked of clients, shown to the database.

use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::setup::{Authority, Guarded, Libpq, PASSWORD, conninfo, guarded, listen, proxy, psql};

#[test]
fn a_certificate_is_replaced_without_ending_a_session() {
    let guarded = guarded();
    let (before, after) = (Authority::new("before"), Authority::new("after"));
    let files = crate::setup::Files::new();
    let put = |authority: &Authority| {
        let (cert, key) = authority.sign("localhost");
        (files.write("s.crt", &cert), files.write("s.key", &key))
    };
    let (cert, key) = put(&before);
    let (ca_before, ca_after) = (files.write("before.crt", &before.pem), files.write("after.crt", &after.pem));
    let proxy = proxy(&listen(&cert, &key), &format!("{}{}", guarded.upstream_tls(), guarded.auth("passthrough")));
    let with = |ca: &std::path::Path| {
        let more = format!("sslmode=verify-full channel_binding=require sslrootcert={}", ca.display());
        conninfo(&proxy, "support_agent", &more)
    };
    assert!(psql(guarded, Libpq::Own, &with(&ca_before), PASSWORD).is_ok());
    assert!(psql(guarded, Libpq::Own, &with(&ca_after), PASSWORD).is_err());

    let mut open = guarded.cluster.client("psql");
    open.args(["-X", "-A", "-t", "-q", &with(&ca_before)]).env("PGPASSWORD", PASSWORD).env("HOME", "/nonexistent");
    let mut open = open.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let (mut input, mut output) = (open.stdin.take().unwrap(), BufReader::new(open.stdout.take().unwrap()));
    let mut ask = || {
        writeln!(input, "SELECT count(*) FROM customers;").unwrap();
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        line.trim().parse::<u32>().unwrap()
    };
    let count = ask();

    put(&after);
    let started = Instant::now();
    while psql(guarded, Libpq::Own, &with(&ca_after), PASSWORD).is_err() {
        assert!(started.elapsed() < Duration::from_secs(20), "the new certificate is not used:\n{}", proxy.output());
        std::thread::sleep(Duration::from_millis(200));
    }
    assert_eq!(ask(), count, "the session goes on");
    drop(input);
    assert!(open.wait().unwrap().success());

    // Half a replacement: what was there stays.
    files.write("s.key", "no key");
    std::process::Command::new("kill").args(["-HUP", &proxy.pid().to_string()]).status().unwrap();
    let started = Instant::now();
    while !proxy.output().contains("the one before stays in use") {
        assert!(started.elapsed() < Duration::from_secs(20), "{}", proxy.output());
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(psql(guarded, Libpq::Own, &with(&ca_after), PASSWORD).is_ok());
}

#[test]
fn a_client_s_certificate_must_be_of_its_login() {
    let guarded = guarded();
    let files = crate::setup::Files::new();
    let clients = Authority::new("clients");
    let put = |name: &str, authority: &Authority, common: &str| {
        let (cert, key) = authority.sign(common);
        let (cert, key) = (files.write(&format!("{name}.crt"), &cert), files.write(&format!("{name}.key"), &key));
        format!("sslmode=require sslcert={} sslkey={}", cert.display(), key.display())
    };
    let own = put("own", &clients, "support_agent");
    let listed = put("listed", &clients, "crm.example");
    let other = put("other", &clients, "migrator");
    let foreign = put("foreign", &Authority::new("nobody's"), "support_agent");
    let ca = files.write("clients.crt", &clients.pem);
    let auth = "[auth]\nclient_certificate = \"verify-full\"\n[auth.certificate_names]\n\"crm.example\" = [\"support_agent\"]\n";
    let sections = format!("{}{auth}", guarded.upstream(&guarded.socket(), ""));
    let proxy = proxy(&format!("{}tls_client_ca = \"{}\"\n", guarded.listen(), ca.display()), &sections);
    let login = |more: &str| psql(guarded, Libpq::Own, &conninfo(&proxy, "support_agent", more), PASSWORD);
    assert_eq!((login(&own).err(), login(&listed).err()), (None, None));
    assert!(login(&other).unwrap_err().contains("password authentication failed"));
    assert!(login(&foreign).is_err());
    assert!(login("sslmode=require sslcert=/nonexistent").is_err(), "a certificate is demanded");
    assert!(login("sslmode=disable").unwrap_err().contains("TLS only"), "and so is TLS");
    let records = proxy.access_log();
    assert!(records.iter().any(|record| record["event"] == "connect" && record["certificate"] == "crm.example"));
    // Whoever is turned away in the handshake stands there too.
    let handshakes = records.iter().filter(|record| record["event"] == "login_refused");
    let handshakes =
        handshakes.filter(|record| record["reason"].as_str().unwrap().starts_with("TLS could not begin")).count();
    assert_eq!(handshakes, 2, "{records:?}");
}

/// The `pg_hba.conf` of docs/authentication.md, with the tests' own first line.
const ONLY_THE_PROXY: &str = "local all postgres trust\n\
    hostssl all all 127.0.0.1/32 scram-sha-256 clientcert=verify-ca\n";

#[test]
fn a_database_that_asks_for_the_proxy_s_certificate_lets_only_the_proxy_in() {
    let guarded = Guarded::start(ONLY_THE_PROXY);
    let at = |name: &str| guarded.files.at(name).display().to_string();
    let direct = guarded.tcp();
    let port = direct.rsplit_once(':').unwrap().1;
    let stolen =
        format!("host=127.0.0.1 port={port} user=support_agent dbname=shop sslmode=require sslcert=/nonexistent");
    let error = psql(&guarded, Libpq::Own, &stolen, PASSWORD).unwrap_err();
    assert!(error.contains("certificate"), "the password alone does not open the database: {error}");

    let own = format!("tls_cert = \"{}\"\ntls_key = \"{}\"\n", at("proxy.crt"), at("proxy.key"));
    let upstream = guarded.upstream_tls().trim_end().to_owned();
    let proxy = proxy(&guarded.listen(), &format!("{upstream}\n{own}{}", guarded.auth("passthrough")));
    let bound = conninfo(&proxy, "support_agent", "sslmode=require channel_binding=require");
    assert!(psql(&guarded, Libpq::Own, &bound, PASSWORD).is_ok());
}

#[test]
fn tls_towards_the_database_has_libpq_s_meanings() {
    let guarded = guarded();
    let other = guarded.files.write("other-ca.crt", &Authority::new("another").pem);
    let (tcp, other, ca) = (guarded.tcp(), other.display(), guarded.files.at("db-ca.crt"));
    for (keys, works) in [
        ("tls = \"prefer\"".to_owned(), true),
        ("tls = \"require\"".to_owned(), true),
        (format!("tls = \"require\"\ntls_ca = \"{}\"", ca.display()), true),
        (format!("tls = \"verify-full\"\ntls_ca = \"{other}\""), false),
        (format!("tls = \"require\"\ntls_ca = \"{other}\""), false),
    ] {
        let sections = format!("{}{}", guarded.upstream(&tcp, &keys), guarded.auth("passthrough"));
        if works {
            let proxy = proxy(&guarded.listen(), &sections);
            let said = psql(guarded, Libpq::Own, &conninfo(&proxy, "support_agent", "sslmode=require"), PASSWORD);
            assert!(said.is_ok(), "{keys}: {said:?}\n{}", proxy.output());
        } else {
            let refused = std::thread::spawn(move || drop(proxy(&guarded.listen(), &sections))).join();
            assert!(refused.is_err(), "{keys}");
        }
    }
}

#[test]
fn tls_1_2_and_1_3_on_both_legs() {
    for database in ["TLSv1.2", "TLSv1.3"] {
        let more = [("ssl_min_protocol_version", database), ("ssl_max_protocol_version", database)];
        let guarded = Guarded::start_as(crate::setup::HBA, None, false, &more);
        let proxy = proxy(&guarded.listen(), &format!("{}{}", guarded.upstream_tls(), guarded.auth("passthrough")));
        for client in ["TLSv1.2", "TLSv1.3"] {
            let more = format!("ssl_min_protocol_version={client} ssl_max_protocol_version={client}");
            let to = conninfo(&proxy, "support_agent", &format!("sslmode=require channel_binding=require {more}"));
            let said = crate::setup::ask(&guarded, Libpq::Own, &to, PASSWORD, "SELECT count(*) FROM customers");
            assert!(said.is_ok(), "{client} before {database}: {said:?}");
            assert!(proxy.access_log().iter().any(|record| record["event"] == "connect" && record["tls"] == client));
        }
        let old = conninfo(
            &proxy,
            "support_agent",
            "sslmode=require ssl_min_protocol_version=TLSv1.1 ssl_max_protocol_version=TLSv1.1",
        );
        assert!(psql(&guarded, Libpq::Own, &old, PASSWORD).is_err());
    }
}
