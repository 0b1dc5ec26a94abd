//! Enforced or only observed: nobody need guess which, and a reload that is not taken says so.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::thread;
use std::time::Duration;

use super::support::client::{login, wait};
use super::support::proxy::{Proxy, Upstream};
use super::support::shop;
use super::support::visitor::{REVIEWER, Visitor, people};
use super::{folder, pgpurpose, policy, until};

const NOTE: &str = "SELECT health_note FROM customers WHERE id = 1";
const LOUD: &str = "OBSERVE MODE: NOTHING IS ENFORCED";

pub(crate) fn page(proxy: &Proxy, path: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", proxy.admin_port)).unwrap();
    let ask = format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nConnection: close\r\n\r\n", proxy.admin_port);
    stream.write_all(ask.as_bytes()).unwrap();
    let mut page = String::new();
    stream.read_to_string(&mut page).unwrap();
    page
}

/// Changes the configuration, and has it read again.
fn configure(proxy: &Proxy, from: &str, to: &str) {
    let path = folder(proxy).join("pgpurpose.toml");
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{text}");
    fs::write(&path, text.replacen(from, to, 1)).unwrap();
    assert!(Command::new("kill").args(["-HUP", &proxy.pid().to_string()]).status().unwrap().success());
}

fn loads(proxy: &Proxy) -> Vec<serde_json::Value> {
    let mut records = proxy.access_log();
    records.retain(|record| record["event"] == "policy");
    records
}

#[test]
fn a_reload_takes_the_mode_and_every_place_says_which_it_is() {
    let proxy = Proxy::start_with(shop(), Upstream::Socket, &policy(), "");
    let agent = login("support_agent").application("mode");
    assert!(proxy.psql(shop(), &agent, &[NOTE]).err.contains("42501"));
    for path in ["/", "/readyz"] {
        assert!(!page(&proxy, path).contains(LOUD));
    }
    assert!(page(&proxy, "/metrics").contains("pgpurpose_enforcing 1"));

    configure(&proxy, "[policy]\n", "[policy]\nmode = \"observe\"\n");
    until("it observes", || loads(&proxy).last().is_some_and(|load| load["mode"] == "observe"));
    for path in ["/", "/readyz"] {
        assert!(page(&proxy, path).contains(LOUD), "{path}");
    }
    assert!(page(&proxy, "/readyz").starts_with("HTTP/1.1 200"));
    assert!(page(&proxy, "/metrics").contains("pgpurpose_enforcing 0"));
    assert!(proxy.output().contains(LOUD));
    proxy.psql(shop(), &agent, &[NOTE]).fine();
    let log = proxy.audit_dir().display().to_string();
    let (_, report, _) = pgpurpose(&["audit", "report", "--dir", &log]);
    let first: Vec<&str> = report.lines().take(8).collect();
    assert!(first.iter().any(|line| line.contains("NOTHING WAS ENFORCED")), "{first:?}");
    let (_, tail, _) = pgpurpose(&["audit", "tail", "--dir", &log]);
    assert!(tail.contains("mode=observe"), "{tail}");

    // A statement that was decided while nothing was enforced is decided again once it is.
    let mut psql = proxy.client(shop(), &agent, "psql");
    psql.args(["-X", "-q", "-A", "-t", "-v", "VERBOSITY=verbose", "-c", &format!("PREPARE p AS {NOTE}")]);
    psql.args(["-c", "EXECUTE p", "-c", "SELECT 'slept', pg_sleep(6)", "-c", "EXECUTE p", "-c", "SELECT 'still here'"]);
    let child = psql.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap();
    let slept =
        || proxy.accesses_of("mode").iter().any(|access| access["statement"].as_str().unwrap().contains("pg_sleep"));
    until("it sleeps", slept);
    configure(&proxy, "mode = \"observe\"\n", "mode = \"enforce\"\n");
    let said = wait(child, Duration::from_secs(40)).unwrap();
    assert!(said.out.contains("slept") && said.out.contains("still here"), "{said:?}");
    assert!(said.err.contains("42501") && said.err.contains("health_note"), "{said:?}");
}

#[test]
fn a_reload_that_is_not_taken_says_why_on_the_console_and_in_tail() {
    let proxy = Proxy::start_with(shop(), Upstream::Socket, &policy(), &people());
    let mut reviewer = Visitor::log_in(&proxy, REVIEWER);
    let log = proxy.audit_dir().display().to_string();
    configure(&proxy, "[audit]\n", "[audit]\nsync = \"written\"\n");
    let why = "`[audit] sync` was changed, which needs a restart";
    until("it is refused", || reviewer.get("/").contains("`[audit] sync` was changed"));
    assert!(page(&proxy, "/readyz").contains(why) && page(&proxy, "/readyz").starts_with("HTTP/1.1 200"));
    assert!(page(&proxy, "/metrics").contains("pgpurpose_policy_not_loaded 1"));
    assert!(pgpurpose(&["audit", "tail", "--dir", &log]).1.contains(why));

    // A fault of a policy, with its file and line; and then one that is taken.
    configure(&proxy, "sync = \"written\"\n", "");
    fs::write(folder(&proxy).join("policy.toml"), format!("{}\n[nonsense]\n", policy())).unwrap();
    let line = policy().lines().count() + 2;
    let place = format!("policy.toml:{line}");
    until("it is refused", || reviewer.get("/").contains(&place));
    assert!(pgpurpose(&["audit", "tail", "--dir", &log]).1.contains(&place));
    fs::write(folder(&proxy).join("policy.toml"), policy()).unwrap();
    configure(&proxy, "[audit]\n", "[audit]\n");
    until("it is taken", || page(&proxy, "/metrics").contains("pgpurpose_policy_not_loaded 0"));
    assert!(!reviewer.get("/").contains("was not taken"));
}

#[test]
fn nothing_that_a_client_sets_ends_a_session_that_is_only_observed() {
    let observe = "[policy]\nmode = \"observe\"\n";
    let proxy = Proxy::start_with(shop(), Upstream::Socket, &policy(), "");
    configure(&proxy, "[policy]\n", observe);
    until("it observes", || page(&proxy, "/readyz").contains(LOUD));
    let agent = login("support_agent").application("settings");
    let settings = [
        "SET client_encoding = 'LATIN1'",
        "SET standard_conforming_strings = off",
        "SET search_path = 'nowhere'",
        "SET ROLE support_agent",
        "SET session_replication_role = 'origin'",
        "SET backslash_quote = on",
        "SET escape_string_warning = off",
        "SET DateStyle = 'German'",
        "SELECT set_config('client_encoding', 'SQL_ASCII', false)",
        "RESET ALL",
        "DISCARD ALL",
    ];
    for setting in settings {
        let said = proxy.psql(shop(), &agent, &[setting, "SELECT 'here'"]);
        assert!(said.out.ends_with("here"), "{setting}: {said:?}");
    }
    // Said at the start of the connection.
    for encoding in ["LATIN1", "SJIS", "SQL_ASCII"] {
        let mut psql = proxy.client(shop(), &agent, "psql");
        psql.env("PGCLIENTENCODING", encoding).args([
            "-X",
            "-q",
            "-A",
            "-t",
            "-c",
            "SHOW client_encoding",
            "-c",
            "SELECT 'here'",
        ]);
        let said = psql.output().unwrap();
        let out = String::from_utf8_lossy(&said.stdout).into_owned();
        assert_eq!(out.trim(), format!("{encoding}\nhere"), "{}", String::from_utf8_lossy(&said.stderr));
    }
    thread::sleep(Duration::from_millis(100));
    let incidents = proxy.access_log().iter().filter(|record| record["event"] == "incident").count();
    assert_eq!(incidents, 0);
    // Once something is enforced it is refused, as it always was.
    configure(&proxy, "mode = \"observe\"\n", "mode = \"enforce\"\n");
    until("it enforces", || !page(&proxy, "/readyz").contains(LOUD));
    let mut psql = proxy.client(shop(), &agent, "psql");
    let said = psql.env("PGCLIENTENCODING", "LATIN1").args(["-X", "-c", "SELECT 1"]).output().unwrap();
    assert!(!said.status.success() && String::from_utf8_lossy(&said.stderr).contains("only UTF8 is"), "{said:?}");
}
