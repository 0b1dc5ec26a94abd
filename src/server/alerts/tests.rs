#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::time::{Duration, Instant};

use jiff::SignedDuration;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::send::{Ways, signature};
use super::*;
use crate::audit::Sync;

const SOON: [Duration; 1] = [Duration::from_millis(10)];

fn alert(about: &str) -> Alert {
    let alert = Alert::new(Kind::Refusals, about, format!("{about}: 31 refusals within a minute"));
    Alert { record: Some(7), ..alert }.by(about.split(" as ").next().unwrap())
}

/// A fold whose command writes what it is given behind each other into a file of the folder, and then ends as it is told.
fn fold(folder: &TempDir, then: &str) -> (Fold, AuditLog, Arc<AtomicU64>) {
    let log = AuditLog::open(&folder.path().join("log"), Sync::Written).unwrap();
    // One write a line: several alerts are sent at the same time.
    let script = format!("printf '%s\\n' \"$(cat)\" >> {}/sent; {then}", folder.path().display());
    let ways = Ways::of_a_test(vec!["/bin/sh".into(), "-c".into(), script], &SOON);
    let pending = Arc::new(AtomicU64::new(0));
    let sender = Sender::start(ways, log.clone(), Arc::clone(&pending)).unwrap();
    (Fold::new(sender, 60), log, pending)
}

fn sent(folder: &TempDir, pending: &AtomicU64) -> Vec<Value> {
    let begun = Instant::now();
    while pending.load(Ordering::Acquire) > 0 {
        assert!(begun.elapsed() < Duration::from_secs(20), "it is sent");
        std::thread::sleep(Duration::from_millis(10));
    }
    let text = std::fs::read_to_string(folder.path().join("sent")).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn records(folder: &TempDir) -> Vec<Value> {
    let mut found = Vec::new();
    crate::audit::read::scan(&folder.path().join("log"), |entry| {
        if entry.event() == "alert" {
            found.push(serde_json::from_str(&entry.line).unwrap());
        }
        true
    })
    .unwrap();
    found
}

#[test]
fn the_same_is_sent_once_and_then_as_a_number() {
    let folder = TempDir::new().unwrap();
    let (fold, _log, pending) = fold(&folder, "true");
    let now = Timestamp::now();
    let later = |minutes| now + SignedDuration::from_mins(minutes);
    for _ in 0..100 {
        fold.take(alert("crm"), now);
    }
    fold.take(alert("other"), now);
    assert_eq!(sent(&folder, &pending).len(), 2);
    fold.tick(later(30));
    assert_eq!(sent(&folder, &pending).len(), 2);
    fold.tick(later(61));
    let all = sent(&folder, &pending);
    assert_eq!(all.len(), 3);
    assert_eq!(all[2]["title"], "crm: 31 refusals within a minute (99 more since)");
    fold.tick(later(200));
    fold.take(alert("crm"), later(200));
    assert_eq!(sent(&folder, &pending).len(), 4, "it begins again");
    let told = records(&folder);
    assert_eq!(told.len(), 4);
    assert_eq!(
        (&told[0]["kind"], &told[0]["sent"], &told[0]["unsent"]),
        (&json!("refusals"), &json!(["command"]), &json!([]))
    );
}

#[test]
fn what_lasts_is_told_again_without_a_number() {
    let folder = TempDir::new().unwrap();
    let (fold, _log, pending) = fold(&folder, "true");
    let now = Timestamp::now();
    for second in 0..=7300 {
        let now = now + SignedDuration::from_secs(second);
        fold.take(Alert::new(Kind::Log, "unwritable", "the log cannot be written"), now);
        fold.tick(now);
    }
    let titles: Vec<Value> = sent(&folder, &pending).into_iter().map(|alert| alert["title"].clone()).collect();
    assert_eq!(titles[0], "the log cannot be written");
    assert!(titles.len() <= 4, "{titles:?}");
}

#[test]
fn a_storm_of_different_ones_is_a_number_too() {
    let folder = TempDir::new().unwrap();
    let (fold, _log, pending) = fold(&folder, "true");
    let now = Timestamp::now();
    for number in 0..100 {
        fold.take(alert(&format!("crm as u{number}")), now);
    }
    assert_eq!(sent(&folder, &pending).len(), 30);
    fold.tick(now + SignedDuration::from_mins(61));
    let all = sent(&folder, &pending);
    assert_eq!(all.len(), 31);
    assert_eq!(all[30]["title"], "70 alerts (refusals of crm) were not sent one by one: see the report");
    assert!(all[30].get("login").is_none(), "nothing more leaves than is documented");
    fold.tick(now + SignedDuration::from_mins(62));
    assert_eq!(sent(&folder, &pending).len(), 31, "told once");
}

#[test]
fn a_storm_hides_neither_another_kind_nor_another_login() {
    let folder = TempDir::new().unwrap();
    let (fold, _log, pending) = fold(&folder, "true");
    let now = Timestamp::now();
    for number in 0..40 {
        fold.take(alert(&format!("crm as u{number}")), now);
        fold.take(Alert::new(Kind::Unusual, format!("crm as u{number}: hours"), "hours").by("crm"), now);
    }
    let before = sent(&folder, &pending).len();
    assert_eq!(before, 60);
    let others = [
        Alert::new(Kind::Log, "grants", "the file of grants does not hold: none is in force"),
        Alert::new(Kind::Protected, "crm as u1", "crm as u1 saw somebody who is protected").by("crm"),
        Alert::new(Kind::Canary, "crm as u1", "crm as u1 saw 1 person").by("crm"),
        Alert::new(Kind::Expiring, "purpose p", "purpose p ends"),
        Alert::new(Kind::Overdue, "requests", "requests are overdue"),
        alert("other as u1"),
    ];
    for (number, other) in others.into_iter().enumerate() {
        let title = other.title.clone();
        fold.take(other, now);
        let all = sent(&folder, &pending);
        assert!(
            all.len() == before + number + 1 && all.iter().any(|alert| alert["title"] == title.as_str()),
            "{title}"
        );
    }
    // However many are seen.
    for number in 0..40 {
        fold.take(Alert::new(Kind::Protected, format!("crm as p{number}"), "somebody").by("crm"), now);
    }
    assert_eq!(sent(&folder, &pending).len(), before + 6 + 40);
}

#[test]
fn what_could_not_be_sent_is_tried_again_and_then_a_record() {
    let folder = TempDir::new().unwrap();
    let (fold, _log, pending) = fold(&folder, "exit 3");
    fold.take(alert("crm"), Timestamp::now());
    assert_eq!(sent(&folder, &pending).len(), 2, "twice");
    let told = records(&folder);
    assert_eq!(told.len(), 1);
    assert_eq!((&told[0]["unsent"], &told[0]["sent"]), (&json!(["command"]), &json!([])));
    assert!(told[0]["reason"].as_str().unwrap().contains("it failed"), "{told:?}");
    assert_eq!(fold.sender().counts(), (0, 1));
}

#[test]
fn a_signature_is_over_the_time_and_the_body() {
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, b"shared");
    let own = signature(&key, 17, "{}");
    assert!(own.starts_with("t=17,v1=") && own.len() == 8 + 64, "{own}");
    assert_ne!(own, signature(&key, 18, "{}").replace("t=18", "t=17"));
    assert_ne!(own, signature(&key, 17, "{ }"));
    // The same as `printf '17.{}' | openssl dgst -sha256 -hmac shared`.
    let tag = ring::hmac::sign(&key, b"17.{}");
    assert!(own.ends_with(&tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect::<String>()));
}

fn rules(protected: &[&str], canaries: &[&str]) -> Rules {
    let config = Alerts {
        email: Vec::new(),
        webhook: None,
        syslog: None,
        command: Some(vec!["true".into()]),
        refusals_per_minute: 3,
        fold_minutes: 60,
        protected: None,
        protected_per_day: 2,
        canaries: None,
        expiry_days: 14,
    };
    let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    Rules::new(&config, (set(protected), set(canaries)), jiff::tz::TimeZone::UTC)
}

fn entry(seq: u64, second: u64, more: &Value) -> Entry {
    let mut record = json!({"seq": seq, "time": format!("2026-11-30T10:00:{second:02}.000000Z"), "login": "crm", "actor": "u7", "purpose": "support"});
    for (key, value) in more.as_object().unwrap() {
        record[key] = value.clone();
    }
    Entry::parse(record.to_string().as_bytes()).unwrap()
}

fn seen(people: &[&str]) -> Value {
    json!({"event": "disclosure", "of": 1, "relations": [{"name": "public.people", "columns": [], "subjects": people}]})
}

#[test]
fn refusals_protected_people_and_canaries_are_told_by_who_looked_and_without_any_value() {
    let mut rules = rules(&["ps_1", "ps_2", "ps_3"], &["ps_9"]);
    let deny =
        json!({"event": "access", "verdict": "deny", "reason": "column `x` is not open", "statement": "SELECT 1"});
    let mut told: Vec<(Kind, u64, String)> = Vec::new();
    let mut add = |entry: Entry, new: bool| {
        told.extend(rules.add(&entry, new).into_iter().map(|alert| (alert.kind, alert.record.unwrap(), alert.title)));
    };
    for seq in 1..=9 {
        add(entry(seq, seq, &deny), seq > 3);
    }
    add(entry(10, 20, &seen(&["ps_1", "other"])), true);
    add(entry(11, 21, &seen(&["ps_1"])), true);
    add(entry(12, 22, &seen(&["ps_2", "ps_3"])), true);
    add(entry(13, 23, &seen(&["ps_9"])), true);
    add(entry(14, 24, &json!({"event": "incident", "what": "the row description named a column"})), true);
    add(entry(15, 25, &json!({"event": "access", "verdict": "deny", "mode": "observe"})), true);
    let expected = [
        (Kind::Refusals, 7, "crm as u7: 4 refusals within a minute"),
        (Kind::Protected, 10, "crm as u7 saw somebody who is protected, for support"),
        (Kind::Protected, 12, "crm as u7 saw 3 who are protected today, for support"),
        (Kind::Canary, 13, "crm as u7 saw 1 person whom nobody has a reason to see, for support"),
        (Kind::Log, 14, "the access log holds `incident`: the row description named a column"),
    ];
    let found: Vec<(Kind, u64, &str)> =
        told.iter().map(|(kind, record, title)| (*kind, *record, title.as_str())).collect();
    assert_eq!(found, expected);
    assert!(!told.iter().any(|(_, _, title)| title.contains("ps_")), "no data subject is named");
}

#[test]
fn who_names_another_actor_each_time_is_told_of_by_the_login() {
    let mut rules = rules(&["ps_1", "ps_2", "ps_3"], &[]);
    let deny = |actor: u64| json!({"event": "access", "verdict": "deny", "actor": format!("u{actor}"), "reason": "no", "statement": "SELECT 1"});
    let look = |actor: u64, person: &str| {
        let mut look = seen(&[person]);
        look["actor"] = format!("u{actor}").into();
        look
    };
    let mut told: Vec<(Kind, u64, String)> = Vec::new();
    let mut add = |entry: Entry| {
        told.extend(rules.add(&entry, true).into_iter().map(|alert| {
            assert_eq!(alert.login, "crm");
            (alert.kind, alert.record.unwrap(), alert.title)
        }));
    };
    // One a time, and then one who makes them all: what was told of one is not told of all besides.
    for (seq, actor) in
        [(1, 1), (2, 2), (3, 3), (4, 4), (5, 5), (6, 5), (7, 5), (8, 5), (9, 6), (10, 6), (11, 7), (12, 8)]
    {
        add(entry(seq, seq, &deny(actor)));
    }
    for (seq, person) in [(21, "ps_1"), (22, "ps_1"), (23, "ps_2"), (24, "ps_3"), (25, "ps_2")] {
        add(entry(seq, seq, &look(seq, person)));
    }
    let told: Vec<(Kind, u64, &str)> = told.iter().map(|(kind, at, title)| (*kind, *at, title.as_str())).collect();
    let first = |seq: u64| (Kind::Protected, seq, format!("crm as u{seq} saw somebody who is protected, for support"));
    let firsts: Vec<(Kind, u64, String)> = (21..=25).map(first).collect();
    let mut expected = vec![
        (Kind::Refusals, 4, "crm: 4 refusals within a minute, by 4 actors"),
        (Kind::Refusals, 8, "crm as u5: 4 refusals within a minute"),
        (Kind::Refusals, 12, "crm: 4 refusals within a minute, by 3 actors"),
    ];
    expected.extend(firsts.iter().map(|(kind, at, title)| (*kind, *at, title.as_str())));
    expected.insert(7, (Kind::Protected, 24, "crm saw 3 who are protected today, by several actors"));
    assert_eq!(told, expected);
}
