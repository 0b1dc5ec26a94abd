//! No name and no text makes a record, ends one, or hides one from whoever reads the file.

use std::fs;
use std::path::Path;

use pgpurpose::audit::{Access, AuditLog, Event, SessionFacts, Sync, verify};
use pgpurpose::policy::AccessReport;
use pgpurpose::server::Options;
use proptest::prelude::*;
use ring::digest::{SHA256, digest};
use serde_json::Value;

use super::raw::{self, message, query, servers, socket};
use super::{POLICY, set_up};

/// What a terminal or a reader of lines takes for more than text.
const HIDDEN: &[char] = &[
    '\u{1}', '\u{7}', '\u{8}', '\t', '\n', '\u{b}', '\r', '\u{1b}', '\u{7f}', '\u{80}', '\u{85}', '\u{9b}', '\u{200b}',
    '\u{200e}', '\u{200f}', '\u{2028}', '\u{2029}', '\u{202a}', '\u{202e}', '\u{2060}', '\u{2066}', '\u{2069}',
    '\u{feff}',
];

fn is_hidden(c: char) -> bool {
    c.is_control() || HIDDEN.contains(&c)
}

/// The records of a folder, which must be whole, one a line, numbered without a gap, and of plain text.
fn records(folder: &Path) -> Vec<Value> {
    assert!(verify(folder).unwrap().holds());
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "jsonl"));
    files.sort();
    let text: String = files.iter().map(|path| fs::read_to_string(path).unwrap()).collect();
    let strange: Vec<char> = text.chars().filter(|c| *c != '\n' && is_hidden(*c)).collect();
    assert_eq!(strange, Vec::<char>::new(), "in the file as they are");
    let records: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let numbers: Vec<u64> = records.iter().map(|record| record["seq"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (1..=records.len() as u64).collect::<Vec<_>>());
    records
}

/// A text that is to become a record of its own.
const RECORD: &str = "x\"}\n{\"seq\":1,\"event\":\"access\",\"forged\":true}\n";

/// Whether a text was cut as a name is that takes more than 256 bytes: how it begins, its length, and its digest.
fn is_beginning(held: &str, text: &str) -> bool {
    let digest: String = digest(&SHA256, text.as_bytes()).as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    let Some(beginning) = held.strip_suffix(&format!("… ({} bytes, sha256:{digest})", text.len())) else {
        return false;
    };
    text.starts_with(beginning) && (240..=256).contains(&room(beginning)) && text.len() > beginning.len()
}

/// Bytes that are counted for a text within a record.
fn room(text: &str) -> usize {
    text.chars()
        .map(|c| match c {
            '"' | '\\' => 2,
            c if is_hidden(c) => 6,
            c => c.len_utf8(),
        })
        .sum()
}

fn evil() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        any::<char>().prop_map(String::from),
        prop::sample::select(HIDDEN).prop_map(String::from),
        prop::sample::select(&["\"", "\\", "\\u000a", "\\n", "}", RECORD, "\",\"hash\":\"", "\u{10ffff}", "\0"][..])
            .prop_map(str::to_owned),
    ];
    prop::collection::vec(part, 0..12).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_a_field_holds_is_one_record_on_one_line(texts in prop::collection::vec(evil(), 12)) {
        let folder = tempfile::tempdir().unwrap();
        let text = |at: usize| texts[at].clone();
        let session = SessionFacts {
            session: text(0),
            client: text(1),
            login: text(2),
            role: Some(text(3)),
            purpose: Some(text(4)),
            actor: Some(text(9)),
            ticket: Some(text(10)),
            recipient: Some(text(5)),
            database: text(6),
            application: text(7),
        };
        let report = AccessReport::deny(text(8));
        let access = Access {
            session: &session,
            statement: &texts[9],
            fingerprint: &texts[10],
            report: &report,
            policy: &texts[11],
            observe: false,
            unrestricted: Some(&texts[8]),
            lookups: &[],
        };
        let borrowed = || std::borrow::Cow::Borrowed(&session);
        let (files, faults) = ([text(0), text(1)], [text(2)]);
        let events = [
            Event::LoginRefused { session: borrowed(), sqlstate: "28000", reason: &texts[8] },
            Event::Purpose { session: borrowed(), from: Some(&texts[0]), to: &texts[1], refused: Some(&texts[2]) },
            Event::Policy { policy: &texts[0], before: None, mode: "enforce", files: &files, bundle: None, faults: &faults },
            Event::Incident { session: borrowed(), of: Some(1), what: &texts[8] },
            Event::Disconnect { session: &texts[0], reason: Some(&texts[8]) },
        ];
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let log = AuditLog::open(folder.path(), Sync::Written).unwrap();
            log.append_refused(access.record().unwrap()).await.unwrap();
            for event in &events {
                log.append(event.record().unwrap()).await.unwrap();
            }
            log.close("test").await.unwrap();
        });
        let records = records(folder.path());
        let names: Vec<&str> = records.iter().map(|record| record["event"].as_str().unwrap()).collect();
        prop_assert_eq!(names, ["start", "access", "login_refused", "purpose", "policy", "incident", "disconnect", "stop"]);
        // Read back, each is what it was; of a name that takes too much room, as far as it stands there.
        let whose = ["session", "client", "login", "role", "purpose", "actor", "ticket", "recipient", "database", "application"];
        let texts_of = [0, 1, 2, 3, 4, 9, 10, 5, 6, 7].map(|at: usize| &texts[at]);
        for (field, text) in whose.into_iter().zip(texts_of) {
            let held = records[1][field].as_str().unwrap();
            prop_assert!(held == text || is_beginning(held, text), "{} holds {:?} of {:?}", field, held, text);
        }
        prop_assert_eq!(records[1]["reason"].as_str(), Some(texts[8].as_str()));
        prop_assert_eq!(records[1]["statement"].as_str(), Some(texts[9].as_str()));
        prop_assert_eq!(records[3]["to"].as_str(), Some(texts[1].as_str()));
        prop_assert_eq!(records[4]["faults"][0].as_str(), Some(texts[2].as_str()));
        prop_assert_eq!(records[5]["what"].as_str(), Some(texts[8].as_str()));
    }
}

#[test]
fn no_name_or_statement_over_the_wire_forges_a_record() {
    set_up();
    let proxy = raw::start(Options::new("127.0.0.1:0", servers(&socket())), POLICY, raw::catalog("log"));
    let hidden: String = HIDDEN.iter().collect();
    for evil in [RECORD, &hidden, "\u{202e}drowssap\u{202c}", "a\r\nb", "\u{feff}{\"seq\":2}"] {
        // Start-up: each name that the log holds.
        let startup: Vec<Vec<(&str, &str)>> = vec![
            vec![("user", evil), ("database", "log"), ("application_name", "x")],
            vec![("user", "support"), ("database", evil), ("application_name", "x")],
            vec![("user", "support"), ("database", "log"), ("application_name", evil)],
            vec![("user", "support"), ("database", "log"), (evil, evil)],
            vec![("user", "support"), ("database", "log"), ("options", evil)],
        ];
        let options = format!("-c pgpurpose.purpose={}", evil.replace('\\', "\\\\").replace([' ', '\n'], "\\\n"));
        let at = format!("log@{evil}");
        let more = [
            vec![("user", "support"), ("database", "log"), ("options", options.as_str())],
            vec![("user", "support"), ("database", at.as_str())],
        ];
        for parameters in startup.iter().chain(&more) {
            let mut client = proxy.connect();
            client.startup(3, 0, parameters);
            // Refused, or accepted and ended here.
            client.send(&message(b'X', b""));
            client.until_closed();
        }
        let mut client = proxy.login("support", &[("database", "log"), ("application_name", evil)]);
        let (single, double) = (evil.replace('\'', "''"), evil.replace('"', "\"\""));
        for sql in [
            format!("SET application_name = '{single}'"),
            "SELECT 1".to_owned(),
            format!("SET pgpurpose.purpose = '{single}'"),
            format!("SELECT '{single}'"),
            format!("SELECT 1 AS \"{double}\""),
            format!("SELECT \"{double}\" FROM people"),
            format!("SELECT id FROM \"{double}\""),
            format!("SELECT 1 /* {evil} */"),
            format!("/* purpose='{}' */ SELECT 1", evil.replace('\'', "%27")),
            format!("SELECT 1 -- {evil}"),
            format!("PREPARE \"{double}\" AS SELECT 1"),
            format!("EXECUTE \"{double}\""),
            format!("LISTEN \"{double}\""),
            format!("SAVEPOINT \"{double}\""),
            evil.to_owned(),
            format!("SELECT {evil}"),
        ] {
            client.send(&query(&sql));
            client.until_ready();
        }
        client.send(&message(b'Q', &[b"SELECT '\xff\n{\"seq\":1}'\n", &b"\0"[..]].concat()));
        client.until_ready();
        client.send(&message(b'X', b""));
        client.until_closed();
    }
    // What is no UTF-8 comes to no session, and is in the log all the same.
    let mut client = proxy.connect();
    let body = [&[0, 3, 0, 0][..], b"user\0\xff\n{\"seq\":1}\0database\0log\0\0"].concat();
    client.send(&[&(body.len() as u32 + 4).to_be_bytes()[..], &body].concat());
    client.until_closed();
    std::thread::sleep(std::time::Duration::from_millis(300));
    let records = records(proxy.log.path());
    assert!(records.iter().all(|record| record["forged"].is_null()));
    assert_eq!(records.iter().filter(|record| record["event"] == "start").count(), 1);
    assert!(records.len() > 150, "{}", records.len());
    let named = |record: &Value| record["event"] == "connect" && record["application"] == RECORD;
    assert!(records.iter().any(named), "the name stands there as it is, once it is read back");
}
