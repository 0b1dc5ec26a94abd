//! The desk as it is kept, and what it forgets.

use serde_json::Value;

use super::*;
use crate::audit::checkpoint::Signer;

/// Three weeks of two actors with people of their own, reviews, a grant, a campaign, policies, checkpoints; then a night.
fn everything() -> Vec<Value> {
    let mut all = Vec::new();
    let mut add = |time: &str, fields: Value| all.push((time.to_owned(), fields));
    add("2026-10-01T07:00:00Z", json!({ "event": "start", "version": "0", "proxy": "edge-1" }));
    add(
        "2026-10-01T07:00:00Z",
        json!({ "event": "policy", "policy": "sha256:a", "before": null, "mode": "enforce", "files": ["a.toml"], "faults": [] }),
    );
    for day in 1..=21 {
        for hour in 8..14 {
            let time = format!("2026-10-{day:02}T{hour:02}:00:00Z");
            let (actor, person) = (["u1", "u2"][hour % 2], format!("p{}", hour % 2 * 10 + day % 7));
            access(&time, &mut add, actor);
            add(
                &time,
                json!({ "event": "disclosure", "of": 1, "login": "crm", "actor": actor, "relations": [{ "name": "public.people", "subjects": [person] }] }),
            );
            add("", json!({ "event": "outcome", "of": 1, "rows": 2 }));
        }
        add(&format!("2026-10-{day:02}T20:00:00Z"), json!({ "event": "checkpoint", "covers": 1, "signature": "x" }));
    }
    add(
        "2026-10-10T12:00:00Z",
        json!({ "event": "policy", "policy": "sha256:b", "before": "sha256:a", "mode": "enforce", "files": [], "faults": [] }),
    );
    add(
        "2026-10-21T12:00:00Z",
        json!({ "event": "grant", "what": "begun", "grant": "g1", "login": "crm", "purpose": "incident", "until": "2026-12-01T00:00:00Z", "reason": "r", "by": "b", "approved_by": "c" }),
    );
    add(
        "2026-10-21T13:00:00Z",
        json!({ "event": "campaign", "what": "begun", "campaign": "c1", "policy": "sha256:b", "has": "1 line", "by": "ada", "comment": "x" }),
    );
    for minute in 0..120 {
        access(&format!("2026-10-22T03:{:02}:{:02}Z", minute / 60, minute % 60), &mut add, "u1");
    }
    add(
        "2026-10-22T09:00:00Z",
        json!({ "event": "review", "verdict": "ask", "findings": ["1-login"], "what": "w", "day": "2026-10-22", "login": "crm", "actor": "u1", "by": "thandi", "comment": "called" }),
    );
    add(
        "2026-10-23T09:00:00Z",
        json!({ "event": "access", "login": "new", "role": "agent", "purpose": "support", "verdict": "deny", "relations": [] }),
    );
    // An outcome is of the statement two records before it.
    let numbered = all.into_iter().zip(1_u64..).map(|((time, fields), seq)| {
        let mut record = json!({ "seq": seq });
        if !time.is_empty() {
            record["time"] = time.into();
        }
        record.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        if fields["event"] == "outcome" || fields["event"] == "disclosure" {
            record["of"] = (seq - if fields["event"] == "outcome" { 2 } else { 1 }).into();
        }
        record["hash"] = format!("{seq:064x}").into();
        record
    });
    numbered.collect()
}

fn access(time: &str, add: &mut impl FnMut(&str, Value), actor: &str) {
    let relations = json!([{ "name": "public.people", "columns": [{ "name": "email", "category": "contact", "action": "read", "use": ["output"] }] }]);
    add(
        time,
        json!({ "event": "access", "login": "crm", "actor": actor, "role": "agent", "purpose": "support", "verdict": "allow", "relations": relations }),
    );
}

fn desk(records: &[Value]) -> Desk {
    let mut desk = Desk::new(TimeZone::UTC);
    go_on(&mut desk, records);
    desk
}

fn go_on(desk: &mut Desk, records: &[Value]) {
    records.iter().for_each(|record| desk.add(&Entry::parse(record.to_string().as_bytes()).unwrap()));
}

/// All that it holds, without the order of what has none.
fn whole(desk: &Desk) -> Value {
    fn sorted(value: Value) -> Value {
        match value {
            Value::Array(all) => {
                let mut all: Vec<Value> = all.into_iter().map(sorted).collect();
                all.sort_by_key(Value::to_string);
                Value::Array(all)
            }
            Value::Object(all) => Value::Object(all.into_iter().map(|(name, value)| (name, sorted(value))).collect()),
            value => value,
        }
    }
    sorted(serde_json::to_value(desk).unwrap())
}

fn logs() -> BTreeMap<u64, String> {
    BTreeMap::from([(0, "l".to_owned())])
}

#[test]
fn a_desk_that_was_kept_at_any_record_goes_on_as_if_it_had_read_all() {
    let own = tempfile::tempdir().unwrap();
    let (file, records) = (own.path().join("desk"), everything());
    let read = desk(&records);
    let signer = Signer::new(&[3; 32]).unwrap();
    for at in (0..=records.len()).step_by(17).chain([records.len()]) {
        desk(&records[..at]).keep(&file, &logs(), Some(&signer)).unwrap();
        let (mut resumed, names) = Desk::resume(&file, &TimeZone::UTC, Some(&signer.public())).unwrap();
        assert_eq!((names, resumed.ends().get(&0).map_or(0, |link| link.seq)), (logs(), at as u64));
        go_on(&mut resumed, &records[at..]);
        assert_eq!(whole(&resumed), whole(&read), "kept at {at}");
        assert_eq!(resumed.open(), read.open(), "kept at {at}");
    }
    assert!(read.open().0.iter().any(|finding| finding.login == "crm"), "{:?}", read.open());
}

#[test]
fn a_kept_desk_that_was_changed_or_is_of_something_else_is_not_used() {
    let own = tempfile::tempdir().unwrap();
    let (file, records) = (own.path().join("desk"), everything());
    let signer = Signer::new(&[3; 32]).unwrap();
    let key = signer.public();
    let refused = |says: &str| {
        let why = Desk::resume(&file, &TimeZone::UTC, Some(&key)).unwrap_err();
        assert!(why.as_ref().is_some_and(|why| why.contains(says)), "{says}: {why:?}");
    };
    assert_eq!(Desk::resume(&file, &TimeZone::UTC, Some(&key)).unwrap_err(), None, "there is none");
    desk(&records).keep(&file, &logs(), None).unwrap();
    refused("not signed");
    assert!(Desk::resume(&file, &TimeZone::UTC, None).is_ok(), "of a log that is not signed either");
    desk(&records).keep(&file, &logs(), Some(&Signer::new(&[4; 32]).unwrap())).unwrap();
    refused("not signed");
    desk(&records).keep(&file, &logs(), Some(&signer)).unwrap();
    let berlin = TimeZone::fixed(jiff::tz::offset(1));
    let why = Desk::resume(&file, &berlin, Some(&key)).unwrap_err().unwrap();
    assert!(why.contains("time zone"), "{why}");
    let whole = std::fs::read(&file).unwrap();
    let head = whole.iter().position(|byte| *byte == b'\n').unwrap();
    let mut changed = whole.clone();
    changed[head + 40] ^= 1;
    std::fs::write(&file, &changed).unwrap();
    refused("changed or cut");
    std::fs::write(&file, &whole[..whole.len() - 9]).unwrap();
    refused("changed or cut");
    let seq = format!("\"seq\":{}", records.len());
    let elsewhere = String::from_utf8_lossy(&whole[..head]).replacen(&seq, "\"seq\":7", 1);
    std::fs::write(&file, [elsewhere.as_bytes(), &whole[head..]].concat()).unwrap();
    refused("not signed");
    std::fs::write(&file, "{}\n").unwrap();
    refused("another form");
    std::fs::write(&file, [0xff, 0x00]).unwrap();
    refused("another form");
}

#[test]
fn what_is_destroyed_by_age_is_forgotten_and_the_rest_is_as_if_it_had_never_been() {
    let mut records = everything();
    let to = records.iter().position(|record| record["time"] == "2026-10-12T08:00:00Z").unwrap() as u64;
    let newest = records[to as usize - 1]["time"].clone();
    let last = records.len() as u64 + 1;
    records.push(json!({ "seq": last, "time": "2026-10-23T10:00:00Z", "event": "destroyed", "file": "f", "from": 1, "to": to, "newest": newest }));
    let forgot = desk(&records);
    let never = desk(&records[to as usize..]);
    assert_eq!(
        forgot.stretches().iter().map(|stretch| stretch.policy.as_str()).collect::<Vec<_>>(),
        ["sha256:a", "sha256:b"]
    );
    assert_eq!(forgot.reviews().count(), 1);
    assert_eq!(forgot.campaigns().len(), 1);
    // Days of which something is left are counted as they were.
    let days: Vec<u64> = never.by_purpose(12).1[0].1.clone();
    assert_eq!(forgot.by_purpose(12).1[0].1, days);
    // And the day of the newest that is gone, until all of it is.
    assert_eq!(forgot.by_purpose(30).1[0].1.iter().sum::<u64>(), days.iter().sum::<u64>() + 6);
    assert_eq!(forgot.checkpoints().count(), never.checkpoints().count());
    let kept = whole(&forgot);
    let (forgotten, rest) =
        (kept["inbox"]["live"]["strangers"].clone(), whole(&never)["inbox"]["live"]["strangers"].clone());
    assert_eq!(
        forgotten["logins"][0][1]["people"].as_array().unwrap().len(),
        rest["logins"][0][1]["people"].as_array().unwrap().len()
    );
    assert_eq!(forgotten["pairs"], rest["pairs"]);
    // Everything of a login that was not seen since is gone.
    let mut all = records;
    all.push(json!({ "seq": last + 1, "time": "2026-10-24T10:00:00Z", "event": "destroyed", "file": "f", "from": to + 1, "to": last - 1, "newest": "2026-10-23T09:00:00Z" }));
    let nothing = desk(&all);
    assert_eq!((nothing.open().0.len(), nothing.reviews().count(), nothing.checkpoints().count()), (0, 0, 0));
    assert_eq!(whole(&nothing)["inbox"]["live"]["unusual"]["known"], json!([]));
    assert_eq!(whole(&nothing)["inbox"]["live"]["strangers"]["logins"], json!([]));
    assert_eq!(nothing.stretches().len(), 1, "what is in force stays");
}

#[test]
fn what_another_proxy_s_console_judged_is_judged_here_too() {
    let mut log = Writer::new();
    log.a_night(120);
    let open = log.open();
    let number = crate::audit::report::number_of("edge-1");
    let theirs: Vec<String> = open
        .iter()
        .map(|id| {
            let (seq, rest) = id.split_once('-').unwrap();
            format!("{}-{rest}", crate::audit::report::in_log(number, seq.parse().unwrap()))
        })
        .collect();
    log.desk = std::mem::replace(&mut log.desk, Desk::new(TimeZone::UTC)).known_as(number);
    let review = json!({ "seq": 9, "time": "2026-10-22T09:00:00Z", "event": "review", "verdict": "ask", "findings": theirs, "what": "w", "day": "2026-10-22", "login": "ada", "actor": null, "by": "thandi", "comment": "x" });
    log.desk.add(&Entry::parse(review.to_string().as_bytes()).unwrap().of_log(77));
    assert_eq!(log.open(), Vec::<String>::new());
    assert_eq!(log.desk.reviews().count(), 1);
}
