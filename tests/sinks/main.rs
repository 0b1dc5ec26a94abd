//! Places beside the log's files: after an outage, and after a kill, nothing is missing and nothing is there twice.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::print_stderr)]

mod balanced;
mod budgets;
mod fleet;
mod http;
mod kills;
mod metrics;
mod places;
mod stalled;
#[path = "../support/mod.rs"]
mod support;
mod syslog;
mod tables;
mod tls;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use pgpurpose::audit::checkpoint::{Checkpoint, PublicKey};
use pgpurpose::audit::read::Entry;
use pgpurpose::audit::{Sent, Trust, verify_with};
use support::client::login;
use support::proxy::Proxy;
use support::{direct, own_shop};

const POLICY: &str = include_str!("../../policies/shop.toml");
const SCHEMA: &str = include_str!("../../deploy/audit.sql");
/// RFC 8032, section 7.1, test 1.
const PRIVATE_KEY: &str = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
const PUBLIC_KEY: &str = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";

#[track_caller]
fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(30), "{what}");
        thread::sleep(Duration::from_millis(50));
    }
}

/// Answers POSTs with 204 and keeps their lines; the token must come with each.
fn collector() -> (u16, Arc<Mutex<Vec<String>>>) {
    let (listener, kept) = (TcpListener::bind("127.0.0.1:0").unwrap(), Arc::new(Mutex::new(Vec::new())));
    let (port, lines) = (listener.local_addr().unwrap().port(), Arc::clone(&kept));
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut reader = BufReader::new(stream.unwrap());
            let (mut length, mut token, mut head) = (0, false, String::new());
            while reader.read_line(&mut head).unwrap() > 2 {
                let line = head.to_ascii_lowercase();
                length = line.strip_prefix("content-length: ").map_or(length, |number| number.trim().parse().unwrap());
                token |= line.trim() == "authorization: bearer kept-elsewhere";
                head.clear();
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            if token {
                lines.lock().unwrap().extend(String::from_utf8(body).unwrap().lines().map(str::to_owned));
            }
            let answer: &[u8] = if token { b"HTTP/1.1 204 Kept\r\n\r\n" } else { b"HTTP/1.1 401 No\r\n\r\n" };
            reader.get_mut().write_all(answer).unwrap();
        }
    });
    (port, kept)
}

/// What the console answers, without its head.
fn get(proxy: &Proxy, path: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", proxy.admin_port)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.split_once("\r\n\r\n").unwrap().1.to_owned()
}

fn metric(proxy: &Proxy, line: &str) -> bool {
    get(proxy, "/metrics").lines().any(|have| have == line)
}

/// Number and line of every record, as the files have them.
fn in_files(proxy: &Proxy) -> Vec<String> {
    let mut lines = Vec::new();
    pgpurpose::audit::read::scan(&proxy.audit_dir(), |entry| {
        lines.push(entry.line.clone());
        true
    })
    .unwrap();
    lines
}

#[test]
fn postgresql_syslog_http_and_standard_output_have_every_record_once_after_outage_and_kill() {
    let cluster = own_shop();
    cluster.run_statements("postgres", "CREATE DATABASE audit").unwrap();
    cluster.run_statements("audit", SCHEMA).unwrap();
    cluster.run_statements("audit", "CREATE ROLE courier LOGIN; GRANT audit_writer TO courier").unwrap();
    let syslog = UdpSocket::bind("127.0.0.1:0").unwrap();
    syslog.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let (http, kept) = collector();
    let sinks = format!(
        "[audit.stdout]\n[audit.syslog]\naddress = \"udp:{}\"\nrecords = \"checkpoints\"\n\
         [audit.http]\nurl = \"http://127.0.0.1:{http}/checkpoints\"\ntoken = \"env:PGPURPOSE_TEST_TOKEN\"\n\
         [audit.postgres]\naddress = \"{}:{}\"\ndatabase = \"audit\"\nlogin = \"courier\"\n",
        syslog.local_addr().unwrap(),
        cluster.socket_dir().display(),
        cluster.port()
    );
    let audit = "signing_key = \"env:PGPURPOSE_TEST_SIGNING_KEY\"\ncheckpoint_seconds = 1";
    let environment = [("PGPURPOSE_TEST_SIGNING_KEY", PRIVATE_KEY), ("PGPURPOSE_TEST_TOKEN", "kept-elsewhere")];
    let mut proxy = Proxy::start_in(&cluster, POLICY, &sinks, audit, &environment);
    let agent = login("support_agent").application("sinks");
    let ask = |proxy: &Proxy, city: &str| {
        let commands = ["SELECT city FROM customers WHERE id = 1", "SELECT health_note FROM customers", city];
        proxy.psql(&cluster, &agent, &commands)
    };
    let same = |proxy: &Proxy| {
        // Both sides at rest: the database has what the files have, in their order, each once.
        let database = direct(&cluster, "audit", "SELECT line FROM audit.records ORDER BY seq");
        let database: Vec<&str> = database.lines().collect();
        let files = in_files(proxy);
        database.len() == files.len() && database.iter().zip(&files).all(|(one, other)| one == other)
    };
    let backslash = "SELECT city AS \"tab\\t new\\nline é\" FROM customers WHERE id = 1";
    assert!(ask(&proxy, backslash).out.contains(|c: char| c.is_alphabetic()));
    until("the audit database has every record", || same(&proxy));

    // An outage of the audit database holds up nothing.
    cluster.run_statements("postgres", "ALTER DATABASE audit ALLOW_CONNECTIONS false").unwrap();
    direct(
        &cluster,
        "postgres",
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = 'audit'",
    );
    let city = ask(&proxy, "SELECT city FROM customers WHERE id = 2").out;
    assert!(!city.is_empty());
    until("the metric tells", || metric(&proxy, "pgpurpose_sink_up{sink=\"postgres\"} 0"));
    assert_eq!(ask(&proxy, "SELECT city FROM customers WHERE id = 2").out, city);
    cluster.run_statements("postgres", "ALTER DATABASE audit ALLOW_CONNECTIONS true").unwrap();
    until("the audit database has caught up", || {
        same(&proxy) && metric(&proxy, "pgpurpose_sink_up{sink=\"postgres\"} 1")
    });

    // So does a kill of the proxy.
    for _ in 0..3 {
        ask(&proxy, "SELECT city FROM customers WHERE id = 2");
        proxy.kill();
        proxy.restart();
    }
    until("the audit database has caught up after kills", || same(&proxy));
    let row = direct(
        &cluster,
        "audit",
        "SELECT count(*) = count(DISTINCT seq), max(seq) = count(*), max(seq) = (SELECT max(seq) FROM audit.positions) FROM audit.records",
    );
    assert_eq!(row, "t|t|t");

    // The views answer.
    for (view, wanted) in [
        (
            "SELECT DISTINCT purpose, recipient, verdict FROM audit.accesses_by_purpose ORDER BY verdict",
            "support|internal|",
        ),
        ("SELECT reason FROM audit.refusals LIMIT 1", "health_note"),
        ("SELECT DISTINCT relation, column_name FROM audit.columns_by_recipient", "public.customers|city"),
        ("SELECT DISTINCT login FROM audit.logins", "support_agent"),
        ("SELECT DISTINCT status FROM audit.statements WHERE status IS NOT NULL", "ok"),
        ("SELECT count(*) FROM audit.incidents", ""),
    ] {
        let answer = direct(&cluster, "audit", view);
        assert!(answer.contains(wanted), "{view}: {answer}");
    }

    // Checkpoints came by HTTP and by syslog; with those a cut of the log shows.
    until("a newer checkpoint is elsewhere", || kept.lock().unwrap().len() > 4);
    let sent: Vec<Sent> = kept
        .lock()
        .unwrap()
        .iter()
        .filter_map(|line| Checkpoint::of(&Entry::parse(line.as_bytes())?))
        .map(|checkpoint| Sent { place: "elsewhere".to_owned(), checkpoint })
        .collect();
    let trust = Trust { keys: vec![PublicKey::from_hex(PUBLIC_KEY).unwrap()], sent, indexes: false };
    let found = verify_with(&proxy.audit_dir(), &trust, |_| {}).unwrap();
    assert!(found.holds(), "{:?}", found.breaks);
    let mut datagram = [0; 4096];
    let length = syslog.recv(&mut datagram).unwrap();
    let message = String::from_utf8_lossy(&datagram[..length]).into_owned();
    let parts: Vec<&str> = message.splitn(8, ' ').collect();
    assert_eq!((parts[0], parts[3], parts[5], parts[6]), ("<109>1", "pgpurpose", "checkpoint", "-"), "{message}");
    assert!(
        parts[1].ends_with('Z') && Checkpoint::of(&Entry::parse(parts[7].as_bytes()).unwrap()).is_some(),
        "{message}"
    );

    // Standard output has each record too; it is given again what a killed process had not noted yet.
    let said = proxy.output();
    let wanted = in_files(&proxy);
    until("standard output has caught up", || wanted.iter().all(|line| proxy.output().contains(line.as_str())));
    assert!(said.contains("\"event\":\"start\""));
    let position = proxy.audit_dir().join("sink-stdout.json");
    assert!(fs::read_to_string(position).unwrap().starts_with("{\"seq\":"));
}
