//! Made-up records, and what the report makes of them.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use jiff::Timestamp;
use jiff::tz::{Offset, TimeZone};
use serde_json::{Value, json};

use super::*;

mod strangers;
mod unusual;

const FIRST_DAY: &str = "2026-09-01T00:00:00Z";

/// A log that is made up record by record.
struct Made {
    reporter: Reporter,
    seq: u64,
}

fn time(day: i64, hour: i64) -> Timestamp {
    let first: Timestamp = FIRST_DAY.parse().unwrap();
    Timestamp::from_second(first.as_second() + day * 86_400 + hour * 3600).unwrap()
}

fn wanted(since: Option<Timestamp>, until: Option<Timestamp>) -> Wanted {
    Wanted { since, until, zone: TimeZone::fixed(Offset::constant(2)), unused_days: 90, now: time(100, 0) }
}

/// A log of 40 days, with the report of its last `days`.
fn made(days: i64, policies: Option<&PolicySet>) -> Made {
    made_of(wanted(Some(time(40 - days, 0)), None), policies)
}

fn made_of(wanted: Wanted, policies: Option<&PolicySet>) -> Made {
    Made { reporter: Reporter::new(wanted, Some((time(0, 0), time(40, 0))), policies), seq: 0 }
}

/// What a record says besides what all of them do.
fn who(login: &str) -> Value {
    json!({"login": login, "role": "agent", "purpose": "support", "recipient": "internal", "application": "crm"})
}

fn column(name: &str, category: &str, action: &str) -> Value {
    json!({"name": name, "category": category, "use": ["output"], "action": action, "mask": null, "rule": "r"})
}

fn of(columns: &[Value]) -> Value {
    json!([{"name": "public.people", "filter": null, "columns": columns}])
}

fn joined(a: Value, b: Value) -> Value {
    let (Value::Object(mut a), Value::Object(b)) = (a, b) else { panic!("no objects") };
    a.extend(b);
    Value::Object(a)
}

impl Made {
    fn add(&mut self, at: Timestamp, record: Value) -> u64 {
        self.seq += 1;
        let record = joined(json!({"seq": self.seq, "time": at.to_string()}), record);
        self.reporter.add(&Entry::parse(record.to_string().as_bytes()).unwrap());
        self.seq
    }

    fn access(&mut self, at: Timestamp, login: &str, more: Value) -> u64 {
        let access = json!({"event": "access", "verdict": "allow", "statement": "SELECT $1", "fingerprint": "f", "relations": []});
        self.add(at, joined(joined(access, who(login)), more))
    }

    fn reads(&mut self, at: Timestamp, login: &str, category: &str) -> u64 {
        self.access(at, login, json!({"relations": of(&[column("c", category, "read")])}))
    }

    fn outcome(&mut self, seq: u64, rows: u64) {
        let record = json!({"seq": self.seq + 1, "event": "outcome", "of": seq, "status": "ok", "rows": rows, "ms": 1});
        self.seq += 1;
        self.reporter.add(&Entry::parse(record.to_string().as_bytes()).unwrap());
    }

    /// Ten statements over the categories `reference` on each of these days, from nine to six.
    fn usual_days(&mut self, login: &str, days: std::ops::Range<i64>) {
        for day in days {
            for hour in 7..17 {
                self.reads(time(day, hour), login, "reference");
            }
        }
    }

    fn finish(self) -> Report {
        self.reporter.finish()
    }
}

fn findings(report: &Report) -> Vec<(u64, &str, &What)> {
    report.unusual.findings.iter().map(|found| (found.at.seq, found.login.as_str(), &found.what)).collect()
}

fn totals(lines: &[Line]) -> Vec<(&str, Counts)> {
    lines.iter().map(|line| (line.name.as_deref().unwrap_or("others"), line.total)).collect()
}

fn counts(statements: u64, refused: u64, would_refuse: u64, subjects: u64) -> Counts {
    Counts { statements, refused, would_refuse, subjects }
}

#[test]
fn accesses_are_counted_by_purpose_role_recipient_and_category_over_time() {
    let mut log = made(10, None);
    log.reads(time(29, 0), "a", "too early");
    log.reads(time(30, 0), "a", "contact");
    // In the zone of the report this is the next day.
    log.reads(time(30, 23), "a", "contact");
    log.access(
        time(32, 0),
        "a",
        json!({"verdict": "deny", "purpose": "billing", "recipient": "Mailer", "role": "clerk", "reason": "no",
               "relations": of(&[column("c", "contact", "read"), column("h", "health", "deny")])}),
    );
    log.access(
        time(33, 0),
        "a",
        json!({"verdict": "deny", "mode": "observe", "relations": of(&[column("h", "health", "deny"), column("s", "star", "omit")])}),
    );
    // What a star leaves out was not accessed.
    log.access(
        time(34, 0),
        "a",
        json!({"verdict": "mask", "relations": of(&[column("x", "left", "omit"), column("c", "contact", "mask")])}),
    );
    let disclosure = json!({"event": "disclosure", "of": 2, "relations": [
        {"name": "public.people", "columns": [{"name": "c", "category": "contact"}], "subjects": ["1", "2"]},
        {"name": "public.orders", "columns": [{"name": "o", "category": "sales"}], "subjects": ["2", "3"]}]});
    log.add(time(34, 1), joined(disclosure, who("a")));
    let report = log.finish();
    let activity = &report.activity;
    assert_eq!(activity.all.total, counts(5, 1, 1, 3), "the same person in two tables is one");
    assert_eq!(totals(&activity.purposes), [("support", counts(4, 0, 1, 3)), ("billing", counts(1, 1, 0, 0))]);
    assert_eq!(totals(&activity.roles), [("agent", counts(4, 0, 1, 3)), ("clerk", counts(1, 1, 0, 0))]);
    assert_eq!(totals(&activity.recipients), [("internal", counts(4, 0, 1, 3)), ("Mailer", counts(1, 1, 0, 0))]);
    assert_eq!(
        totals(&activity.categories),
        [
            ("contact", counts(3, 0, 0, 2)),
            ("health", counts(2, 1, 1, 0)),
            ("star", counts(1, 0, 0, 0)),
            ("sales", counts(0, 0, 0, 2))
        ],
        "what was refused was not accessed, and in observe mode everything was"
    );
    assert_eq!(activity.grain, Grain::Day);
    assert_eq!(activity.steps[0].0, "2026-10-01");
    assert_eq!(activity.steps.len(), 11);
    let by_day: Vec<u64> = activity.all.steps.iter().map(|step| step.statements).collect();
    assert_eq!(by_day, [1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0]);
}

#[test]
fn the_step_of_the_charts_fits_the_period() {
    for (days, grain, steps, first) in [
        (2, Grain::Hour, 49, "2026-09-01 02:00"),
        (40, Grain::Day, 41, "2026-09-01"),
        (100, Grain::Week, 15, "2026-08-31"),
        (800, Grain::Month, 27, "2026-09"),
    ] {
        let reporter = Reporter::new(wanted(None, None), Some((time(0, 0), time(days, 0))), None);
        let activity = reporter.finish().activity;
        assert_eq!((activity.grain, activity.steps.len(), activity.steps[0].0.as_str()), (grain, steps, first));
    }
}

#[test]
fn names_beyond_what_can_be_told_apart_are_counted_together() {
    let mut log = made(40, None);
    for n in 0..500 {
        let more = json!({"purpose": format!("p{n}"), "application": format!("app {n} {}", "x".repeat(2000)), "mode": "observe",
                          "verdict": "deny", "fingerprint": format!("f{n}")});
        log.access(time(1, 0), "a", more);
    }
    for n in 0..7000 {
        let more = json!({"verdict": "deny", "reason": format!("reason {n}")});
        log.access(time(2, 0), &format!("login {n}"), more);
    }
    for n in 0..7000 {
        log.access(time(3, 0), "b", json!({"mode": "observe", "verdict": "mask", "fingerprint": format!("g{n}")}));
    }
    let report = log.finish();
    let others = report.activity.purposes.last().unwrap();
    assert_eq!((report.activity.purposes.len(), others.name.as_deref(), others.total.statements), (201, None, 14_300));
    assert_eq!((report.refusals.kinds.len(), report.refusals.others), (2000, 5000));
    assert!(report.unusual.not_followed > 1900, "{}", report.unusual.not_followed);
    let shapes: usize = report.observed.applications.iter().map(|known| known.shapes.len()).sum();
    assert_eq!((shapes, report.observed.others), (5000, 2500));
    assert!(report.observed.applications.iter().all(|known| known.application.chars().count() <= 501));
    assert!(report.unusual.findings.len() <= 1000);
}

#[test]
fn refusals_that_are_alike_are_counted_with_the_newest() {
    let mut log = made(10, None);
    let refused = |column_name: &str| {
        json!({"verdict": "deny", "reason": format!("column `{column_name}` is not open"),
               "relations": of(&[column("id", "reference", "read"), column(column_name, "health", "deny")])})
    };
    log.access(time(20, 0), "a", refused("too_early"));
    log.access(time(31, 0), "a", refused("note"));
    log.access(time(32, 0), "a", refused("note"));
    log.access(time(32, 1), "b", refused("note"));
    log.access(time(32, 2), "a", joined(refused("note"), json!({"mode": "observe"})));
    log.add(time(33, 0), joined(who("nobody"), json!({"event": "login_refused", "role": null, "purpose": null, "sqlstate": "28P01", "reason": "no such login"})));
    log.add(time(33, 1), joined(who("a"), json!({"event": "purpose", "from": "support", "to": "curiosity", "refused": "there is no purpose `curiosity`"})));
    log.add(
        time(33, 2),
        joined(who("a"), json!({"event": "purpose", "from": "support", "to": "billing", "refused": null})),
    );
    let kinds = log.finish().refusals.kinds;
    let told: Vec<_> = kinds
        .iter()
        .map(|Counted { refusal, times, newest }| {
            (
                refusal.kind,
                refusal.login.as_str(),
                refusal.purpose.as_str(),
                refusal.columns.join(","),
                *times,
                newest.seq,
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            (Kind::Statement, "a", "support", "public.people.note".to_owned(), 2, 3),
            (Kind::Login, "nobody", "none", String::new(), 1, 6),
            (Kind::Statement, "b", "support", "public.people.note".to_owned(), 1, 4),
        ]
    );
}

const POLICY: &str = r#"
version = 1
[tables."public.people"]
subject = "id"
columns = { id = "reference", name = "identity", number = "national_id", note = "health" }
[categories.health]
special = true
[purposes.support]
basis = "contract"
[purposes.billing]
basis = "contract"
[roles.agent]
logins = ["a", "b"]
purposes = ["support", "billing"]
[[rules]]
name = "agents"
roles = ["agent"]
purposes = ["support"]
read = ["reference", "identity"]
mask = { national_id = "last(4)" }
lookup = ["national_id"]
write = ["public.people.name"]
"#;

fn policies() -> PolicySet {
    PolicySet::from_sources(&[("p.toml".into(), POLICY.into())]).unwrap()
}

fn used(name: &str, uses: &[&str], action: &str) -> Value {
    json!({"name": name, "category": "x", "use": uses, "action": action, "mask": null, "rule": "agents"})
}

fn unused(report: &Report) -> Vec<(String, Option<u64>)> {
    let grants = report.unused.as_ref().unwrap().grants.iter();
    grants.map(|grant| (format!("{} {}", grant.column, grant.way.name()), grant.last.map(|at| at.seq))).collect()
}

#[test]
fn what_is_open_and_was_not_used_is_told_with_its_last_use() {
    let policies = policies();
    let mut log = made_of(Wanted { unused_days: 10, ..wanted(None, Some(time(40, 0))) }, Some(&policies));
    let old = log.access(time(20, 0), "a", json!({"relations": of(&[used("id", &["output"], "read")])}));
    log.access(
        time(35, 0),
        "a",
        json!({"relations": of(&[used("number", &["lookup"], "mask"), used("name", &["write"], "write")])}),
    );
    // Refused, left out by a star, for another purpose, by another role, past the end: no uses.
    log.access(time(36, 0), "a", json!({"verdict": "deny", "relations": of(&[used("id", &["output"], "read")])}));
    log.access(time(36, 0), "a", json!({"relations": of(&[used("id", &["star"], "omit")])}));
    log.access(time(36, 0), "a", json!({"purpose": "billing", "relations": of(&[used("id", &["output"], "read")])}));
    log.access(time(36, 0), "a", json!({"role": "clerk", "relations": of(&[used("id", &["output"], "read")])}));
    log.access(time(41, 0), "a", json!({"relations": of(&[used("id", &["output"], "read")])}));
    let report = log.finish();
    assert_eq!(unused(&report), [("id read".to_owned(), Some(old)), ("name read".to_owned(), None)]);
    let found = report.unused.unwrap();
    assert_eq!((found.granted, found.days, found.covered_days), (5, 10, 10));
    assert_eq!((found.purposes, found.logins), (vec![], vec!["b".to_owned()]));
    assert_eq!(found.in_force, None, "the log says nothing of these policies");
}

#[test]
fn a_young_log_does_not_claim_to_know_ninety_days() {
    let policies = policies();
    let mut log = made_of(wanted(None, Some(time(3, 12))), Some(&policies));
    let policy = |hash: &str| json!({"event": "policy", "policy": hash, "before": null, "mode": "enforce", "files": [], "faults": []});
    log.add(time(0, 0), policy("sha256:other"));
    let since = log.add(time(1, 0), policy(policies.hash()));
    log.add(time(2, 0), policy(policies.hash()));
    log.add(time(2, 0), joined(json!({"event": "connect"}), who("b")));
    let report = log.finish();
    let found = report.unused.as_ref().unwrap();
    assert_eq!((found.days, found.covered_days, found.grants.len()), (90, 3, 5));
    assert_eq!(found.in_force.unwrap().seq, since);
    assert_eq!(found.purposes, ["billing", "support"]);
    assert_eq!(found.logins, ["a"], "one who logged in was seen");
}

#[test]
fn a_partition_uses_what_the_listing_of_its_table_opens() {
    let policies = policies();
    let mut log = made_of(wanted(None, None), Some(&policies));
    let relations =
        json!([{"name": "public.people_2026", "filter": null, "columns": [used("id", &["filter"], "read")]}]);
    log.access(time(20, 0), "a", json!({"relations": relations}));
    let report = log.finish();
    assert!(!unused(&report).iter().any(|(name, _)| name == "id read"), "{:?}", unused(&report));
}

#[test]
fn older_records_have_the_category_of_the_policies_or_none() {
    let old = json!({"relations": of(&[json!({"name": "note", "use": ["output"], "action": "read", "mask": null, "rule": null})])});
    for (policies, category) in [(Some(policies()), "health"), (None, "not recorded")] {
        let mut log = made(40, policies.as_ref());
        log.access(time(1, 0), "a", old.clone());
        log.access(
            time(1, 0),
            "a",
            json!({"relations": of(&[joined(column("o", "", "read"), json!({"category": null}))])}),
        );
        let report = log.finish();
        let names: Vec<_> = totals(&report.activity.categories).into_iter().map(|(name, _)| name.to_owned()).collect();
        assert!(
            names.len() == 2 && names.contains(&category.to_owned()) && names.contains(&"no category".to_owned()),
            "{names:?}"
        );
    }
}

#[test]
fn policies_and_what_the_log_says_of_itself_are_told() {
    let mut log = made(10, None);
    let policy = |policy: &str, before: Value, faults: &[&str]| json!({"event": "policy", "policy": policy, "before": before, "mode": "enforce", "files": ["p.toml"], "faults": faults});
    log.add(time(20, 0), policy("sha256:early", Value::Null, &[]));
    log.add(time(31, 0), json!({"event": "start", "version": "0.1.0", "sync": "always", "log": "x", "key": null}));
    let first = log.add(time(31, 0), policy("sha256:1", Value::Null, &[]));
    let second = log.add(time(32, 0), policy("sha256:2", json!("sha256:1"), &[]));
    let third = log.add(time(33, 0), policy("sha256:2", json!("sha256:2"), &["p.toml:3: no"]));
    let incident =
        log.add(time(34, 0), joined(who("a"), json!({"event": "incident", "of": 3, "what": "a column was not open"})));
    log.add(time(35, 0), json!({"event": "recovered", "error": "disk full", "since": "then", "refused": 7}));
    log.add(time(36, 0), json!({"event": "checkpoint"}));
    let events = log.finish().events;
    let told: Vec<_> =
        events.policies.iter().map(|event| (event.at.seq, event.policy.as_str(), event.faults.len())).collect();
    assert_eq!(told, [(first, "sha256:1", 0), (second, "sha256:2", 0), (third, "sha256:2", 1)]);
    assert_eq!(
        (events.incidents[0].at.seq, events.incidents[0].what.as_str()),
        (incident, "login a: a column was not open, about record 3")
    );
    let others: Vec<_> = events.others.iter().map(|event| event.event.as_str()).collect();
    assert_eq!(others, ["start", "recovered"]);
    assert!(events.others[1].what.contains("7 records were refused (disk full)"));
}

#[test]
fn what_enforcement_would_break_is_told_by_application() {
    let mut log = made(10, None);
    let observed = |application: &str, verdict: &str, fingerprint: &str, more: Value| {
        let base = json!({"mode": "observe", "application": application, "verdict": verdict, "fingerprint": fingerprint, "statement": fingerprint});
        joined(base, more)
    };
    let closed = json!({"reason": "column `h` is not open", "relations": of(&[
        joined(column("h", "health", "deny"), json!({"rule": null})), joined(column("m", "x", "mask"), json!({"mask": "null"}))])});
    let changed = json!({"relations": [{"name": "public.people", "filter": "consent(m)", "columns": [
        joined(column("m", "contact", "mask"), json!({"mask": "email"})), column("s", "health", "omit")]}]});
    log.access(time(31, 0), "a", observed("crm", "mask", "f1", changed.clone()));
    log.access(time(31, 0), "a", observed("crm", "mask", "f1", changed));
    log.access(time(31, 0), "a", observed("crm", "deny", "f2", closed.clone()));
    log.access(time(31, 0), "a", observed("crm", "allow", "f3", json!({})));
    log.access(time(31, 0), "a", observed("erp", "allow", "f3", json!({})));
    let newest = log.access(time(32, 0), "a", observed("crm", "deny", "f2", closed));
    log.access(time(31, 0), "a", json!({"verdict": "deny", "application": "enforced"}));
    let observed = log.finish().observed;
    let numbers: Vec<_> = observed
        .applications
        .iter()
        .map(|known| (known.application.as_str(), known.statements, known.unchanged, known.changed, known.refused))
        .collect();
    assert_eq!(numbers, [("crm", 5, 1, 2, 2), ("erp", 1, 1, 0, 0)]);
    let [refused, changed] = observed.applications[0].shapes.as_slice() else { panic!("{observed:?}") };
    assert_eq!((refused.verdict, refused.statements, refused.newest.seq), ("deny", 2, newest));
    assert_eq!(refused.closed, [Closed { column: "public.people.h".into(), category: "health".into(), rule: None }]);
    assert_eq!((changed.verdict, changed.statements), ("mask", 2));
    assert_eq!(
        changed.masked,
        [Masked { column: "public.people.m".into(), mask: "email".into(), rule: Some("r".into()) }]
    );
    assert_eq!(changed.left_out, ["public.people.s"]);
    assert_eq!(changed.filters, [Filtered { relation: "public.people".into(), filter: "consent(m)".into() }]);
}

#[test]
fn statements_of_unrestricted_roles_are_counted_by_login() {
    let mut log = made(10, None);
    log.access(time(31, 0), "root", json!({"unrestricted": "migrations"}));
    log.access(time(32, 0), "root", json!({"unrestricted": "migrations, again"}));
    let found = log.finish().activity.unrestricted;
    assert_eq!(found, [Unrestricted { login: "root".into(), reason: "migrations, again".into(), statements: 2 }]);
}
