//! A snooper's story: behind a login that many share, one actor looks at people whom others look after. Somebody is told at once, by every
//! way, and nobody else is suspected.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use ring::hmac;
use serde_json::Value;

use super::smtp::{Manner, Server};
use super::support::chain::Lines;
use super::support::client::login;
use super::support::proxy::{Proxy, Upstream};
use super::support::shop;
use super::support::visitor::{OFFICER, REVIEWER, Visitor, people};
use super::{SHOP_POLICY, until};

/// Actors, each with five customers of their own, and so many days on which each sees these.
const ACTORS: usize = 40;
const DAYS: i64 = 21;

pub(super) fn policy() -> String {
    SHOP_POLICY.replacen("subject = \"id\" ", "record_subjects = \"plain\"\nsubject = \"id\" ", 1)
}

pub(super) fn customers_of(actor: usize) -> std::ops::RangeInclusive<usize> {
    actor * 5 + 1..=actor * 5 + 5
}

/// Three weeks of a log until yesterday; each actor works at an hour of their own.
pub(super) fn history(folder: &Path) {
    let mut lines = Lines::default();
    let begun = Timestamp::now() - SignedDuration::from_hours(24 * DAYS);
    let (actors, between) = (i64::try_from(ACTORS).unwrap(), 24 * 3600 / i64::try_from(ACTORS).unwrap());
    for slot in 0..DAYS * actors {
        let at = begun + SignedDuration::from_secs(slot * between);
        let actor = usize::try_from(slot % actors).unwrap();
        let who = format!(
            r#""session":"s","login":"support_agent","role":"support_agent","purpose":"support","actor":"u{actor}","ticket":null,"recipient":"internal","database":"shop","application":"crm""#
        );
        let columns = [
            "id\",\"category\":\"reference\",\"use\":[\"filter\"]",
            "city\",\"category\":\"operational\",\"use\":[\"output\"]",
        ]
        .map(|column| format!("{{\"name\":\"{column},\"action\":\"read\",\"mask\":null,\"rule\":\"r\"}}"))
        .join(",");
        let relation = |more: &str| {
            format!(r#""relations":[{{"name":"public.customers","filter":null{more},"columns":[{columns}]}}]"#)
        };
        let of = lines.add(&format!(
            r#""time":"{at:.6}","event":"access",{who},"statement":"SELECT","fingerprint":"f","verdict":"allow",{},"reason":null"#,
            relation("")
        ));
        let people: Vec<String> = customers_of(actor).map(|id| format!("\"{id}\"")).collect();
        lines.add(&format!(
            r#""time":"{at:.6}","event":"disclosure","of":{of},{who},"statement":"SELECT",{},"aggregate":[]"#,
            relation(&format!(r#","form":"plain","subjects":[{}]"#, people.join(",")))
        ));
        lines.add(&format!(r#""event":"outcome","of":{of},"status":"ok","rows":5,"sqlstate":null,"ms":1.0"#));
    }
    fs::write(folder.join(format!("access-000000000001-{}.jsonl", begun.strftime("%Y%m%d"))), lines.text).unwrap();
}

/// One POST: its headers and its body.
type Posted = (String, String);

fn posted(stream: &mut TcpStream) -> Option<Posted> {
    stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
    let (mut all, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        let read = stream.read(&mut buffer).ok()?;
        all.extend_from_slice(&buffer[..read]);
        let text = String::from_utf8_lossy(&all).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let head = head.to_ascii_lowercase();
            let length: usize = head.split_once("content-length: ")?.1.lines().next()?.trim().parse().ok()?;
            if body.len() >= length {
                return Some((head, body.to_owned()));
            }
        }
        if read == 0 {
            return None;
        }
    }
}

/// A server that says no to the first POST, and yes to the others.
fn webhook() -> (SocketAddr, Arc<Mutex<Vec<Posted>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, heard) = (listener.local_addr().unwrap(), Arc::new(Mutex::new(Vec::new())));
    let keeps = Arc::clone(&heard);
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let Some(post) = posted(&mut stream) else { continue };
            let first = keeps.lock().unwrap().is_empty();
            keeps.lock().unwrap().push(post);
            let status = if first { "503 Service Unavailable" } else { "200 OK" };
            let _ = write!(stream, "HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        }
    });
    (address, heard)
}

fn verified((head, body): &Posted) -> bool {
    let (_, rest) = head.split_once("x-pgpurpose-signature: t=").unwrap();
    let (seconds, tag) = rest.lines().next().unwrap().split_once(",v1=").unwrap();
    let tag: Vec<u8> = (0..tag.len()).step_by(2).map(|at| u8::from_str_radix(&tag[at..at + 2], 16).unwrap()).collect();
    let key = hmac::Key::new(hmac::HMAC_SHA256, b"a key of both");
    hmac::verify(&key, format!("{seconds}.{body}").as_bytes(), &tag).is_ok()
}

/// One connection that looks at these customers, one after the other.
pub(super) fn looks(proxy: &Proxy, actor: usize, people: impl IntoIterator<Item = usize>) {
    let statements: Vec<String> = people
        .into_iter()
        .map(|id| format!("/*purpose='support',actor='u{actor}'*/ SELECT city FROM customers WHERE id = {id}"))
        .collect();
    let statements: Vec<&str> = statements.iter().map(String::as_str).collect();
    let said = proxy.psql(shop(), &login("support_agent").application("crm"), &statements);
    assert_eq!(said.clone().lines().len(), statements.len(), "{said:?}");
}

fn alerts(proxy: &Proxy) -> Vec<Value> {
    proxy.access_log().into_iter().filter(|record| record["event"] == "alert").collect()
}

/// The proxy finds the log of three weeks in the place of its own.
pub(super) fn with_history(proxy: &mut Proxy) {
    proxy.kill();
    for file in fs::read_dir(proxy.audit_dir()).unwrap() {
        let file = file.unwrap().path();
        if file.is_file() { fs::remove_file(file).unwrap() } else { fs::remove_dir_all(file).unwrap() }
    }
    history(&proxy.audit_dir());
    proxy.restart();
}

#[test]
fn one_actor_who_looks_at_other_people_s_customers_is_told_at_once_by_every_way_and_nobody_else_is() {
    let own = tempfile::tempdir().unwrap();
    let mail = Server::start(Manner::default());
    let (hook, posts) = webhook();
    let syslog = UdpSocket::bind("127.0.0.1:0").unwrap();
    syslog.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let sent = own.path().join("sent");
    fs::write(own.path().join("hook.key"), "a key of both").unwrap();
    let more = format!(
        "[mail]\nfrom = \"pgpurpose@shop.example\"\nsmtp = \"{}\"\ntls = \"disable\"\n\
         [alerts]\nemail = [\"dpo@shop.example\"]\nsyslog = \"udp:{}\"\n\
         command = [\"/bin/sh\", \"-c\", \"printf '%s\\\\n' \\\"$(cat)\\\" >> {sent}\"]\n\
         [alerts.webhook]\nurl = \"http://{hook}/alerts\"\nkey = \"file:{}\"\n",
        mail.address,
        syslog.local_addr().unwrap(),
        own.path().join("hook.key").display(),
        sent = sent.display(),
    );
    let more = format!("{more}{}", people());
    let signing = own.path().join("signing.key");
    fs::write(&signing, "22".repeat(32)).unwrap();
    let keys = format!("signing_key = \"file:{}\"\n", signing.display());
    let mut proxy = Proxy::start_logging(shop(), Upstream::Socket, &policy(), &more, &keys);
    // The three weeks before: the proxy finds their log, and learns what is usual.
    with_history(&mut proxy);
    let strangers = |proxy: &Proxy| -> Vec<Value> {
        let all = alerts(proxy).into_iter();
        all.filter(|alert| alert["what"].as_str().unwrap().contains("whom others look after")).collect()
    };
    // Everybody does their work, and one takes a colleague's calls.
    for actor in [3, 4, 9] {
        looks(&proxy, actor, customers_of(actor));
    }
    looks(&proxy, 4, [31, 36]);
    // One looks at six people of six others.
    looks(&proxy, 7, customers_of(7).chain([1, 16, 51, 66, 81]));
    thread::sleep(Duration::from_secs(1));
    assert_eq!(strangers(&proxy), Vec::<Value>::new());
    looks(&proxy, 7, [96, 101, 106]);
    until("somebody is told, by every way", || strangers(&proxy).len() == 1);
    let told = strangers(&proxy).pop().unwrap();
    assert_eq!(told["what"], "support_agent as u7: looked at 6 persons whom others look after, within 7 days");
    assert_eq!((&told["kind"], &told["about"]), (&"unusual".into(), &"support_agent as u7: strangers".into()));
    let mut ways: Vec<&str> = told["sent"].as_array().unwrap().iter().map(|way| way.as_str().unwrap()).collect();
    ways.sort_unstable();
    assert_eq!((ways, &told["unsent"]), (vec!["command", "email", "syslog", "webhook"], &Value::Array(Vec::new())));
    let about: Vec<String> = alerts(&proxy).iter().map(|alert| alert["about"].to_string()).collect();
    assert!(about.iter().all(|about| about.contains("u7") || !about.contains(" as u")), "nobody else: {about:?}");

    // The record that it names is the sixth look.
    let shown = proxy.access_log().into_iter().find(|record| record["seq"] == told["of"]).unwrap();
    assert_eq!((&shown["event"], &shown["actor"]), (&"disclosure".into(), &"u7".into()));
    assert_eq!(shown["relations"][0]["subjects"], serde_json::json!(["96"]));

    // Each way has it; nothing that left names a person, a statement or a value.
    let messages = mail.wait_for(1);
    let letter = messages.iter().find(|message| message.data.contains("u7")).unwrap();
    assert_eq!(letter.to, "dpo@shop.example");
    let commanded = fs::read_to_string(&sent).unwrap();
    let posted = posts.lock().unwrap().clone();
    assert!(posted.iter().all(verified), "{posted:?}");
    assert!(posted.len() > 1, "the first was refused, and sent again");
    let mut datagram = [0; 4096];
    let length = syslog.recv(&mut datagram).unwrap();
    let syslog = String::from_utf8_lossy(&datagram[..length]).into_owned();
    assert!(syslog.contains("\"event\":\"alert\""), "{syslog}");
    for left in [&letter.data, &commanded, &posted[0].1, &posted[1].1, &syslog] {
        assert!(!left.contains("SELECT") && !left.contains("\"96\"") && !left.contains("city"), "{left}");
    }
    assert!(posted.iter().any(|(_, body)| body.contains("as u7")) && commanded.contains("as u7"));

    // Once: more of the same, thirty in all, is not told again, and a start of the proxy tells nothing that was told.
    looks(&proxy, 7, (0..22).map(|more| 111 + 4 * more));
    // How far the log was looked through is noted within a moment; what was told after that is told again after a crash.
    thread::sleep(Duration::from_secs(3));
    proxy.kill();
    proxy.restart();
    looks(&proxy, 7, [117]);
    thread::sleep(Duration::from_secs(2));
    assert_eq!(strangers(&proxy).len(), 1);

    // The report says the same, and the log holds.
    let said = proxy.command(&["audit", "report", "--config", "pgpurpose.toml", "--format", "json", "--no-verify"]);
    assert!(said.ok, "{said:?}");
    let report: Value = serde_json::from_str(&said.out).unwrap();
    let findings = report["unusual"]["findings"].as_array().unwrap();
    let found = |finding: &&Value| finding.to_string().contains("strangers");
    let actors: Vec<&Value> = findings.iter().filter(found).map(|finding| &finding["actor"]).collect();
    assert_eq!(actors, [&Value::from("u7")], "{findings:?}");
    let searched = proxy.command(&["audit", "search", "--config", "pgpurpose.toml", "--event", "alert", "--json"]);
    assert_eq!(searched.out.matches("whom others look after").count(), 1, "{searched:?}");
    reviewed(&proxy, &signing);
}

/// A reviewer finds it first in the inbox, sees whom that actor looked at, and judges; it leaves the inbox, and is in the report and in what
/// an auditor is given.
fn reviewed(proxy: &Proxy, signing: &Path) {
    let mut reviewer = Visitor::log_in(proxy, REVIEWER);
    let mut inbox = String::new();
    until("the log is read and the finding waits", || {
        inbox = reviewer.get("/");
        inbox.contains("whom others look after")
    });
    let first = inbox.split("<section class=\"card matter\"").nth(1).unwrap();
    assert!(
        first.contains("<code>support_agent</code> as <code>u7</code>") && first.contains("usual: up to 5"),
        "{first}"
    );
    let day = first.split("<small>").nth(1).unwrap().split('<').next().unwrap();
    let seen = reviewer.get(&format!("/find?actor=u7&since={day}&until={day}"));
    assert!(seen.contains("as <code>u7</code>") && seen.contains("<code>support</code>"), "{seen}");
    let who = reviewer.get("/find?subject=96");
    let lines = who.split("<tbody").nth(1).unwrap();
    assert!(lines.contains("as <code>u7</code>") && lines.contains("saw of 1 person"), "{who}");
    let findings: Vec<&str> =
        first.split("name=\"finding\" value=\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    let fields = findings
        .iter()
        .fold(String::from("verdict=incident&comment=reported+to+HR"), |fields, id| format!("{fields}&finding={id}"));
    assert_eq!(reviewer.post("/", "/review", &fields).0, 303);
    let inbox = reviewer.get("/");
    assert!(!inbox.split("Judged last").next().unwrap().contains("as <code>u7</code>"), "it has left: {inbox}");
    assert!(inbox.contains("reported to HR"), "{inbox}");
    assert_eq!(reviewer.post("/", "/review", &fields).0, 422, "once");
    let reviews: Vec<Value> = proxy.access_log().into_iter().filter(|record| record["event"] == "review").collect();
    let [review] = reviews.as_slice() else { panic!("one: {reviews:?}") };
    assert_eq!(
        (&review["verdict"], &review["by"], &review["actor"]),
        (&"incident".into(), &"thandi".into(), &"u7".into())
    );
    let said = proxy.command(&["audit", "report", "--config", "pgpurpose.toml", "--no-verify"]);
    assert!(said.out.contains("reported to HR") && said.out.contains("judged by a person"), "{}", said.out);

    let mut officer = Visitor::log_in(proxy, OFFICER);
    let (status, zip) = officer.post("/bundle", "/bundle", "");
    assert_eq!(status, 200);
    let file = proxy.folder().join("bundle.zip");
    fs::write(&file, &zip).unwrap();
    let public = proxy.command(&["audit", "keygen", "--of", &signing.display().to_string()]);
    let (file, key) = (file.display().to_string(), public.out.trim().to_owned());
    let checked = proxy.command(&["audit", "bundle", &file, "--public-key", &key]);
    assert!(checked.ok && checked.out.contains("as it was signed: 4 files"), "{checked:?}");
    let other = proxy.command(&["audit", "bundle", &file, "--public-key", &"ab".repeat(32)]);
    assert!(!other.ok, "{other:?}");
    let unpacked = Command::new("python3")
        .args(["-c", "import sys,zipfile; z=zipfile.ZipFile(sys.argv[1]); z.extractall(sys.argv[2]); print(z.read('bundle.json').decode())"])
        .args([&file, &proxy.folder().display().to_string()])
        .output()
        .unwrap();
    let bundle: Value = serde_json::from_slice(&unpacked.stdout).unwrap();
    assert_eq!(
        (&bundle["reviews"][0]["comment"], &bundle["reviews"][0]["actor"]),
        (&"reported to HR".into(), &"u7".into())
    );
    // The checkpoints in it are ones that the log is held to.
    let held = proxy.command(&[
        "audit",
        "verify",
        "--config",
        "pgpurpose.toml",
        "--public-key",
        &key,
        "--checkpoint",
        "checkpoints.jsonl",
    ]);
    assert!(held.out.contains("checkpoint") || held.err.contains("checkpoint"), "{held:?}");
}

#[test]
fn refusals_in_a_row_and_people_whom_nobody_has_a_reason_to_see_are_told_once_each() {
    let own = tempfile::tempdir().unwrap();
    let canaries = own.path().join("canaries");
    fs::write(&canaries, "# planted\n17\n").unwrap();
    let sent = own.path().join("sent");
    let more = format!(
        "[alerts]\nrefusals_per_minute = 5\ncanaries = \"{}\"\n\
         command = [\"/bin/sh\", \"-c\", \"printf '%s\\\\n' \\\"$(cat)\\\" >> {sent}\"]\n",
        canaries.display(),
        sent = sent.display()
    );
    let proxy = Proxy::start_with(shop(), Upstream::Socket, &policy(), &more);
    let refused = vec!["SELECT health_note FROM customers WHERE full_name = 'Sipho'"; 20];
    let said = proxy.psql(shop(), &login("support_agent"), &refused);
    assert_eq!(said.err.matches("42501").count(), 20, "{said:?}");
    looks(&proxy, 1, [16, 18]);
    looks(&proxy, 1, [17, 17]);
    until("both are told", || alerts(&proxy).len() >= 2);
    thread::sleep(Duration::from_secs(1));
    let mut told: Vec<(String, String)> = alerts(&proxy)
        .iter()
        .map(|alert| (alert["kind"].as_str().unwrap().to_owned(), alert["what"].as_str().unwrap().to_owned()))
        .collect();
    told.sort();
    let pair = |kind: &str, what: &str| (kind.to_owned(), what.to_owned());
    assert_eq!(
        told,
        [
            pair("canary", "support_agent as u1 saw 1 person whom nobody has a reason to see, for support"),
            pair("refusals", "support_agent: 6 refusals within a minute"),
        ]
    );
    let sent = fs::read_to_string(&sent).unwrap();
    assert!(!sent.contains("Sipho") && !sent.contains("SELECT") && sent.lines().count() == 2, "{sent}");
}
