//! What the console has read: it goes on from there after a start, and it is about the logs of all proxies.

use std::fs;
use std::path::Path;
use std::time::Duration;

use pgpurpose::cluster::Cluster;

use super::snooper::{customers_of, history, looks, policy, with_history};
use super::support::proxy::{Proxy, Upstream};
use super::support::visitor::{OFFICER, REVIEWER, Visitor, people};
use super::support::{own_shop, shop};
use super::until;

const SCHEMA: &str = include_str!("../../deploy/audit.sql");
const SNOOPER: &str = "<code>support_agent</code> as <code>u7</code>";

fn snoops(proxy: &Proxy) {
    looks(proxy, 7, customers_of(7).chain((0..30).map(|other| (other * 6 + 11) % 199 + 1)));
}

/// The oldest file of the log without the words of its first two thousand records: nobody has a past of two weeks any more.
fn emptied(folder: &Path) {
    let files = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    let oldest = files.filter(|file| file.extension().is_some_and(|end| end == "jsonl")).min().unwrap();
    let text = fs::read_to_string(&oldest).unwrap();
    let blank = |(at, line): (usize, &str)| if at < 2_000 { " ".repeat(line.len()) } else { line.to_owned() };
    let lines: Vec<String> = text.lines().enumerate().map(blank).collect();
    fs::write(&oldest, lines.join("\n") + "\n").unwrap();
}

#[test]
fn a_console_goes_on_from_what_it_had_read_and_reads_all_again_where_that_was_touched() {
    let own = tempfile::tempdir().unwrap();
    fs::write(own.path().join("signing.key"), "22".repeat(32)).unwrap();
    let keys = format!("signing_key = \"file:{}/signing.key\"\n", own.path().display());
    let mut proxy = Proxy::start_logging(shop(), Upstream::Socket, &policy(), &people(), &keys);
    with_history(&mut proxy);
    snoops(&proxy);
    let waits = |proxy: &Proxy| {
        let mut reviewer = Visitor::log_in(proxy, REVIEWER);
        let mut inbox = String::new();
        until("the log is read", || {
            inbox = reviewer.get("/");
            !inbox.contains("still being read")
        });
        inbox.contains(SNOOPER)
    };
    until("it is found", || waits(&proxy));
    // What is kept is kept with the next start at the latest, whatever ends the proxy.
    proxy.kill();
    proxy.restart();
    assert!(waits(&proxy));
    let kept = proxy.audit_dir().join("console.desk");
    until("it is kept", || kept.exists());
    proxy.kill();
    let whole = fs::read(&kept).unwrap();
    // Nothing but what was kept can say so now: the log's older lines are gone.
    let logs = fs::read_dir(proxy.audit_dir()).unwrap().map(|file| file.unwrap().path());
    let logs: Vec<(std::path::PathBuf, Vec<u8>)> = logs
        .filter(|file| file.extension().is_some_and(|end| end == "jsonl"))
        .map(|file| (file.clone(), fs::read(&file).unwrap()))
        .collect();
    emptied(&proxy.audit_dir());
    proxy.restart();
    assert!(waits(&proxy), "{}", proxy.output());
    proxy.kill();
    // Of whoever writes in the folder and has no key nothing is believed.
    let mut forged = whole.clone();
    let digits = whole.windows(13).position(|bytes| bytes == b"\"signature\":\"").unwrap() + 13;
    forged[digits] = if forged[digits] == b'0' { b'1' } else { b'0' };
    fs::write(&kept, forged).unwrap();
    proxy.restart();
    assert!(!waits(&proxy) && proxy.output().contains("not signed with the log's key"), "{}", proxy.output());
    proxy.kill();
    // The log as it was, and a desk of another one: it is read from its beginning.
    for (file, bytes) in logs {
        fs::write(file, bytes).unwrap();
    }
    fs::write(&kept, "{}").unwrap();
    proxy.restart();
    assert!(waits(&proxy), "{}", proxy.output());
}

fn with_audit() -> Cluster {
    let cluster = own_shop();
    cluster.run_statements("postgres", "CREATE DATABASE audit").unwrap();
    cluster.run_statements("audit", SCHEMA).unwrap();
    let roles = "CREATE ROLE courier LOGIN; GRANT audit_writer TO courier; CREATE ROLE auditor LOGIN; GRANT audit_reader TO auditor";
    cluster.run_statements("audit", roles).unwrap();
    cluster
}

fn proxy(cluster: &Cluster, name: &str, admin: &str, more: &str) -> Proxy {
    let (folder, port) = (cluster.socket_dir().display().to_string(), cluster.port());
    let sections = format!(
        "{admin}\n[upstream]\naddress = \"{folder}:{port}\"\ntls = \"disable\"\ncatalog_login = \"pgpurpose\"\n[auth]\nmethod = \"relay\"\n\
         [fleet]\nname = \"{name}\"\n[audit.postgres]\naddress = \"{folder}:{port}\"\ndatabase = \"audit\"\nlogin = \"courier\"\n{more}"
    );
    Proxy::start_sections(&policy(), "", &sections)
}

/// The other proxy's log of three weeks in which one snoops, looked at and judged at the console of the first.
fn reviewed_elsewhere(cluster: &Cluster, admin: impl Fn(&Proxy) -> String) {
    let mut two = proxy(cluster, "edge-2", "", "");
    two.kill();
    for file in fs::read_dir(two.audit_dir()).unwrap() {
        fs::remove_file(file.unwrap().path()).unwrap();
    }
    history(&two.audit_dir());
    two.restart();
    let mut one = proxy(cluster, "edge-1", &admin(&two), &people());
    let look = |proxy: &Proxy, actor: usize, whom: Vec<usize>| {
        let statements: Vec<String> = whom
            .iter()
            .map(|id| format!("/*purpose='support',actor='u{actor}'*/ SELECT city FROM customers WHERE id = {id}"))
            .collect();
        let statements: Vec<&str> = statements.iter().map(String::as_str).collect();
        proxy.psql(cluster, &super::login("support_agent"), &statements).fine();
    };
    look(&one, 3, customers_of(3).collect());
    look(&two, 7, customers_of(7).chain((0..30).map(|other| (other * 6 + 11) % 199 + 1)).collect());
    let mut reviewer = Visitor::log_in(&one, REVIEWER);
    let mut inbox = String::new();
    until("what was found in the other log waits", || {
        inbox = reviewer.get("/");
        // With all of it: what comes later is another finding, which nobody judged. In the evening the last look of the three weeks, at five,
        // is of the same day.
        let all = ["35 data subjects on", "40 data subjects on"].iter().any(|all| inbox.contains(all));
        inbox.contains(SNOOPER) && all && !inbox.contains("still being read")
    });
    // Lines of both logs, the newest first, and pages that go on where each of them ended.
    let found = reviewer.get("/find?login=support_agent");
    assert!(found.contains("edge-2") && found.contains("as <code>u7</code>"), "{found}");
    let mut seen = 0;
    let (mut page, mut at) = (reviewer.get("/find?column=city"), String::from("x"));
    for _ in 0..40 {
        seen += page.split("<tbody").nth(1).map_or(0, |rows| rows.matches("<tr").count());
        let Some(older) = page.split("href=\"/find?").nth(1).filter(|_| page.contains(">Older</a>")) else { break };
        at = older.split('#').next().unwrap().replace("&amp;", "&");
        page = reviewer.get(&format!("/find?{at}"));
    }
    let all = one.access_log().into_iter().chain(two.access_log());
    let all =
        all.filter(|record| record["event"] == "access" && record.to_string().contains("\"name\":\"city\"")).count();
    assert_eq!(seen, all, "each line once: {at}");
    // What each says of itself comes by the audit database, every few seconds.
    until("both say that they run the same", || {
        let proxies = reviewer.get("/proxy");
        proxies.contains("edge-1") && proxies.contains("edge-2") && !proxies.contains("do not all run")
    });
    // It is judged here, and stays judged after a start.
    let card = inbox.split("<section class=\"card matter\"").skip(1).find(|card| card.contains(SNOOPER)).unwrap();
    let findings: Vec<String> = card
        .split("name=\"finding\" value=\"")
        .skip(1)
        .map(|rest| format!("finding={}", rest.split('"').next().unwrap().replace(' ', "+")))
        .collect();
    let (status, said) = reviewer.post("/", "/review", &format!("verdict=ask&comment=why&{}", findings.join("&")));
    assert_eq!(status, 303, "{findings:?} {}", String::from_utf8_lossy(&said));
    until("it is judged", || !reviewer.get("/").contains(&format!("id=\"matter0\">{SNOOPER}")));
    one.kill();
    one.restart();
    let mut reviewer = Visitor::log_in(&one, REVIEWER);
    until("the logs are read", || !reviewer.get("/pictures").contains("still being read"));
    let inbox = reviewer.get("/");
    assert!(!inbox.contains(&format!("\">{SNOOPER}")) && inbox.contains("“why”"), "{inbox}");
    let (status, zip) = Visitor::log_in(&one, OFFICER).post("/bundle", "/bundle", "");
    assert!(status == 200 && zip.starts_with(b"PK"));
    // Another proxy that is away is said, and what is here is shown.
    two.kill();
    let away = two.audit_dir().with_extension("away");
    fs::rename(two.audit_dir(), &away).unwrap();
    std::thread::sleep(Duration::from_millis(100));
    assert!(reviewer.get("/find?actor=u3").contains("as <code>u3</code>"));
}

#[test]
fn one_console_is_about_the_logs_of_all_proxies_in_folders() {
    let cluster = with_audit();
    reviewed_elsewhere(&cluster, |other| format!("logs = [\"{}\"]", other.audit_dir().display()));
}

#[test]
fn one_console_is_about_the_logs_of_all_proxies_in_the_audit_database() {
    let cluster = with_audit();
    let url = format!("postgresql://auditor@/audit?host={}&port={}", cluster.socket_dir().display(), cluster.port());
    reviewed_elsewhere(&cluster, |_| format!("audit_db = \"{url}\""));
}
