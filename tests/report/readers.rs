//! Every reader of the log over what is written once a file and what is only counted: `statement` and `folded` events.

use std::io::Write;
use std::net::TcpStream;
use std::process::Command;

use serde_json::Value;

use super::support::client::login;
use super::support::proxy::{Proxy, Upstream};
use super::support::shop;
use super::{mode::page, pgpurpose, policy, until};

/// More than fits one record, and a word at its end.
fn long() -> String {
    format!(
        "SELECT id, email FROM customers WHERE id IN (1, {}) AND id < 1000000 AND id IS NOT NULL",
        vec!["2"; 700].join(", ")
    )
}

#[test]
fn every_reader_understands_long_statements_and_what_was_only_counted() {
    let mut proxy =
        Proxy::start_logging(shop(), Upstream::Socket, &policy(), "", "[audit.stdout]\nrecords = \"all\"\n");
    let agent = login("support_agent").application("readers");
    // Three runs of one text, which stands there once.
    proxy.psql(shop(), &agent, &[&long(), &long(), &long()]).fine();
    let log = proxy.access_log();
    let of = |event: &str| log.iter().filter(|record| record["event"] == event).cloned().collect::<Vec<Value>>();
    let whole = of("statement");
    assert_eq!(whole.len(), 1, "{whole:?}");
    assert!(whole[0]["statement"].as_str().unwrap().ends_with("IS NOT NULL"));
    let accesses = proxy.accesses_of("readers");
    assert_eq!(accesses.len(), 3);
    assert!(accesses.iter().all(|access| !access["statement"].as_str().unwrap().contains("IS NOT NULL")));

    // Connections that come to nothing.
    for _ in 0..200 {
        let mut junk = TcpStream::connect(("127.0.0.1", proxy.port)).unwrap();
        let _ = junk.write_all(b"GET / HTTP/1.1\r\nHost: example.org\r\n\r\n");
    }
    let refused = || proxy.access_log().iter().filter(|record| record["event"] == "login_refused").count();
    until("the first are told", || refused() >= 120);
    std::thread::sleep(std::time::Duration::from_millis(500));
    assert_eq!(refused(), 120);
    let pid = proxy.pid().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    let folded = || proxy.access_log().into_iter().filter(|record| record["event"] == "folded").collect::<Vec<Value>>();
    until("the rest is counted", || !folded().is_empty());
    let counted = folded();
    assert_eq!((counted[0]["what"].as_str(), counted[0]["count"].as_u64()), (Some("login_refused"), Some(80)));
    until("it ended", || proxy.access_log().last().is_some_and(|record| record["event"] == "stop"));

    let dir = proxy.audit_dir().display().to_string();
    let run = |arguments: &[&str]| {
        let (status, said, told) = pgpurpose(&[&["audit"], arguments, &["--dir", &dir]].concat());
        assert_eq!(status, 0, "{arguments:?}: {said}{told}");
        said
    };
    let found = run(&["search", "--statement", "IS NOT NULL", "--event", "access", "--json"]);
    assert_eq!(found.lines().count(), 3, "each run is found by what only the whole text holds: {found}");
    assert_eq!(run(&["search", "--event", "folded", "--json"]).lines().count(), 1);
    let tail = run(&["tail", "-n", "500"]);
    assert!(tail.contains("folded") && tail.contains("count=80"), "{tail}");
    let report: Value = serde_json::from_str(&run(&["report", "--format", "json"])).unwrap();
    assert_eq!(report["activity"]["all"]["total"]["statements"], 3, "a text is no statement that ran");
    let told = report["events"]["others"].to_string();
    assert!(told.contains("80 refused log-ins, of 127.0.0.1, were counted"), "{told}");
    let named = of("disclosure")[0]["relations"][0]["subjects"][0].as_str().unwrap().to_owned();
    let subject: Value = serde_json::from_str(&run(&["subject", &named, "--json"])).unwrap();
    let seen = subject["seen"].as_array().unwrap();
    assert!(!seen.is_empty(), "{subject}");
    let breach: Value =
        serde_json::from_str(&run(&["breach", "--login", "support_agent", "--from", "2020-01-01", "--json"])).unwrap();
    assert!(breach["subjects"]["public.customers"].as_array().unwrap().iter().any(|one| *one == named), "{breach}");
    assert!(run(&["verify"]).contains("the chain holds"));
    // The places beside the files got the very lines.
    for record in whole.iter().chain(&counted) {
        let hash = record["hash"].as_str().unwrap();
        until("standard output has the record", || proxy.output().contains(hash));
    }
    proxy.restart();
}

#[test]
fn the_time_of_each_append_is_taken_once() {
    let proxy = Proxy::start_with(shop(), Upstream::Socket, &policy(), "");
    let appended = || -> u64 {
        let metrics = page(&proxy, "/metrics");
        let line =
            metrics.lines().find(|line| line.starts_with("pgpurpose_log_append_seconds_count")).unwrap().to_owned();
        line.rsplit_once(' ').unwrap().1.parse().unwrap()
    };
    let waited = || -> u64 {
        let log = proxy.access_log();
        let waits = |record: &&Value| match record["event"].as_str().unwrap() {
            "connect" | "access" | "disconnect" => true,
            "outcome" => record["status"] == "refused",
            _ => false,
        };
        log.iter().filter(waits).count() as u64
    };
    let (before, had) = (appended(), waited());
    let agent = login("support_agent").application("append");
    let allowed = "SELECT id FROM customers WHERE id = 1";
    let refused = "SELECT health_note FROM customers WHERE id = 1";
    proxy.psql(shop(), &agent, &[allowed, allowed, refused, allowed, refused]);
    // The session's begin and end, five statements, and what became of the two that were refused.
    until("all is in the log", || waited() == had + 9);
    assert_eq!(appended() - before, 9, "each record once");
}
