//! Places that accept and never read: statements and the log's files go on, and nothing piles up in memory.

use std::fs;
use std::net::TcpListener;
use std::thread;

use pgpurpose::audit::ship::{Deliver, Shipping, Wanted};
use pgpurpose::audit::{AuditLog, Event, LogOptions, Sync};
use pgpurpose::server::sinks::{Http, Postgres, Syslog};
use pgpurpose::upstream::{TlsMode, UpstreamTls};

use super::places::until;
use super::support::client::login;
use super::support::own_shop;
use super::support::proxy::Proxy;
use super::{POLICY, metric};

/// Accepts, and reads nothing.
fn deaf() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || listener.incoming().map(Result::unwrap).collect::<Vec<_>>());
    port
}

/// Kilobytes of memory that a process holds.
fn resident(pid: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[test]
fn places_that_never_read_hold_up_no_statement_and_tell_no_secret() {
    let cluster = own_shop();
    let sinks = format!(
        "[audit.syslog]\naddress = \"tcp:127.0.0.1:{}\"\n\
         [audit.http]\nurl = \"http://127.0.0.1:{}/\"\ntoken = \"env:PGPURPOSE_TEST_TOKEN\"\nrecords = \"all\"\n\
         [audit.postgres]\naddress = \"127.0.0.1:{}\"\ndatabase = \"audit\"\nlogin = \"courier\"\n\
         password = \"env:PGPURPOSE_TEST_PASSWORD\"\n",
        deaf(),
        deaf(),
        deaf()
    );
    let secrets = [("PGPURPOSE_TEST_TOKEN", "Geheim-1180"), ("PGPURPOSE_TEST_PASSWORD", "Geheim-2290")];
    let proxy = Proxy::start_in(&cluster, POLICY, &sinks, "", &secrets);
    let down = || {
        let down = |sink: &str| metric(&proxy, &format!("pgpurpose_sink_up{{sink=\"{sink}\"}} 0"));
        ["syslog", "http", "postgres"].into_iter().all(down)
    };
    let ask = || proxy.psql(&cluster, &login("support_agent"), &["SELECT city FROM customers WHERE id = 1"]).out;
    let city = ask();
    assert!(!city.is_empty());
    until("all are down", down);
    (0..5).for_each(|_| assert_eq!(ask(), city));
    // Trying again does not look like being well again.
    until("all are down", down);
    let said = proxy.output();
    assert!(!said.contains("Geheim") && said.matches("wait in its files").count() == 3, "{said}");
}

#[test]
fn what_waits_for_a_place_waits_in_the_files_and_not_in_memory() {
    let folder = tempfile::tempdir().unwrap();
    let log = AuditLog::open_with(LogOptions::new(folder.path(), Sync::Written)).unwrap();
    let tls = UpstreamTls::new(TlsMode::Disable, None, None).unwrap();
    let mut config = tokio_postgres::Config::new();
    config.user("courier").dbname("audit");
    let address = format!("127.0.0.1:{}", deaf()).parse().unwrap();
    let places: [(&str, Box<dyn Deliver>); 3] = [
        ("syslog", Box::new(Syslog::new(format!("tcp:127.0.0.1:{}", deaf()).parse().unwrap()))),
        ("http", Box::new(Http::new(format!("http://127.0.0.1:{}", deaf()).parse().unwrap(), None, None).unwrap())),
        ("postgres", Box::new(Postgres::new(address, tls, config, "log".to_owned()))),
    ];
    let places = places.map(|(name, to)| Shipping::start(&log, name, Wanted::All, to).unwrap());
    let text = "x".repeat(64 * 1024);
    let write = |count: usize| {
        for _ in 0..count {
            let record = Event::Disconnect { session: "s", reason: Some(&text) }.record().unwrap();
            log.append_blocking(record).unwrap();
        }
    };
    write(100);
    until("all are in trouble", || places.iter().all(|place| place.status().trouble.is_some()));
    let before = resident("self");
    write(1000);
    let failures = places[0].status().failures;
    until("another attempt is over", || places[0].status().failures > failures);
    let grown = resident("self").saturating_sub(before);
    eprintln!("64 MB of records for three places that read nothing: memory grew by {grown} kB");
    assert!(grown < 16 * 1024, "{before} kB grew by {grown} kB");
    assert!(places.iter().all(|place| place.status().delivered == 0));
}
