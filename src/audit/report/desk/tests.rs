#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use jiff::Timestamp;
use serde_json::json;

use super::*;

mod kept;

/// Records as the log has them, each an hour after the one before.
struct Writer {
    desk: Desk,
    seq: u64,
}

impl Writer {
    fn new() -> Self {
        Self { desk: Desk::new(TimeZone::UTC), seq: 0 }
    }

    fn write(&mut self, time: &str, fields: serde_json::Value) -> u64 {
        self.seq += 1;
        let mut record = json!({ "seq": self.seq, "time": time });
        record.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        self.desk.add(&Entry::parse(record.to_string().as_bytes()).unwrap());
        self.seq
    }

    fn access(&mut self, time: &str, login: &str) -> u64 {
        let relations = json!([{ "name": "public.customers", "columns": [{ "name": "email", "category": "contact", "action": "read", "use": ["output"] }] }]);
        self.write(time, json!({ "event": "access", "login": login, "role": "agent", "purpose": "support", "verdict": "allow", "relations": relations }))
    }

    /// Three weeks of ten statements a day, and then many in one night.
    fn a_night(&mut self, count: usize) {
        for day in 1..=21 {
            for hour in 8..18 {
                self.access(&format!("2026-10-{day:02}T{hour:02}:00:00Z"), "ada");
            }
        }
        self.more(count);
    }

    fn more(&mut self, count: usize) {
        for minute in 0..count {
            self.access(&format!("2026-10-22T03:{:02}:{:02}Z", minute / 60, minute % 60), "ada");
        }
    }

    fn review(&mut self, findings: &[String]) {
        self.write("2026-10-22T09:00:00Z", json!({ "event": "review", "verdict": "ask", "findings": findings, "what": "w", "day": "2026-10-22", "login": "ada", "actor": null, "by": "thandi", "comment": "called her" }));
    }

    fn open(&self) -> Vec<String> {
        self.desk.open().0.iter().map(Finding::id).collect()
    }
}

#[test]
fn a_finding_waits_with_what_the_day_comes_to_until_it_is_judged_and_comes_back_when_it_has_doubled() {
    let mut log = Writer::new();
    log.a_night(120);
    let open = log.open();
    assert_eq!(open.len(), 2, "statements and hours: {open:?}");
    let (findings, _) = log.desk.open();
    let told: Vec<String> =
        findings.iter().flat_map(|finding| finding.told().0.0).map(|word| word.text().to_owned()).collect();
    assert!(told.iter().any(|text| text.contains("120 statements")), "up to now: {told:?}");
    log.review(&open);
    assert_eq!(log.open(), Vec::<String>::new());
    assert_eq!(log.desk.reviews().map(|review| review.comment.as_str()).collect::<Vec<_>>(), ["called her"]);
    // A little more of the same is not told again; the next day closes this one.
    log.more(30);
    log.access("2026-10-23T10:00:00Z", "ada");
    assert_eq!(log.open(), Vec::<String>::new());
    let mut log = Writer::new();
    log.a_night(120);
    let open = log.open();
    log.review(&open);
    log.more(240);
    log.access("2026-10-23T10:00:00Z", "ada");
    assert_eq!(log.open(), open, "three times as much is another matter");
}

#[test]
fn sixty_restarts_are_folded_so_that_the_one_change_is_seen() {
    let mut log = Writer::new();
    let mut start = |policy: &str, at: usize| {
        let time = format!("2026-10-01T{:02}:{:02}:00Z", at / 60, at % 60);
        log.write(&time, json!({ "event": "start", "version": "0" }));
        log.write(&time, json!({ "event": "policy", "policy": policy, "before": null, "mode": "enforce", "files": ["a.toml"], "faults": [] }));
    };
    (0..40).for_each(|at| start("sha256:a", at));
    (40..66).for_each(|at| start("sha256:b", at));
    log.write("2026-10-01T12:00:00Z", json!({ "event": "policy", "policy": "sha256:b", "before": "sha256:b", "mode": "enforce", "files": [], "faults": ["a.toml:1: wrong"] }));
    let told: Vec<(&str, u64, usize)> = log
        .desk
        .stretches()
        .iter()
        .map(|stretch| (stretch.policy.as_str(), stretch.starts, stretch.refused.len()))
        .collect();
    assert_eq!(told, [("sha256:a", 40, 0), ("sha256:b", 26, 1)]);
    assert_eq!(log.desk.starts(), 66);
}

#[test]
fn exceptions_are_open_from_their_beginning_to_their_end_and_uses_have_their_last_time() {
    let mut log = Writer::new();
    let grant = |what: &str, until: &str| json!({ "event": "grant", "what": what, "grant": "g1", "login": "ada", "purpose": "incident", "until": until, "reason": "r", "by": "b", "approved_by": null });
    log.write("2026-10-01T08:00:00Z", grant("begun", "2026-10-01T10:00:00Z"));
    let at = |time: &str| time.parse::<Timestamp>().unwrap();
    assert_eq!(log.desk.exceptions(at("2026-10-01T09:00:00Z")).len(), 1);
    assert_eq!(log.desk.exceptions(at("2026-10-01T10:00:00Z")).len(), 0);
    log.write("2026-10-01T08:30:00Z", grant("ended", "2026-10-01T10:00:00Z"));
    assert_eq!(log.desk.exceptions(at("2026-10-01T09:00:00Z")).len(), 0);

    log.access("2026-10-01T08:00:00Z", "ada");
    let last = log.access("2026-10-05T08:00:00Z", "ada");
    let used = log.desk.used("agent", "support", "contact").unwrap();
    assert_eq!((used.statements, used.last.seq), (2, last));
    assert_eq!(log.desk.used("agent", "billing", "contact"), None);
    let (days, series) = log.desk.by_purpose(7);
    assert_eq!((days.len(), days.last().map(String::as_str)), (7, Some("2026-10-05")));
    assert_eq!(series, [("support".to_owned(), vec![0, 0, 1, 0, 0, 0, 1])]);
    // 1 October 2026 is a Thursday, the 5th a Monday.
    let hours = log.desk.by_hour(7);
    assert_eq!((hours[3][8], hours[0][8], hours.iter().flatten().sum::<u64>()), (1, 1, 2));
}

#[test]
fn a_campaign_holds_each_line_as_it_was_judged_last_and_takes_none_once_it_is_closed() {
    let mut log = Writer::new();
    let step = |what: &str, purpose: Option<&str>| json!({ "event": "campaign", "what": what, "campaign": "c1", "policy": "sha256:a", "role": purpose.map(|_| "agent"), "purpose": purpose, "has": "2 lines", "by": "ada", "standing": "officer", "comment": what });
    for (what, purpose) in [
        ("begun", None),
        ("certified", Some("support")),
        ("revoked", Some("support")),
        ("certified", Some("billing")),
        ("closed", None),
        ("certified", Some("support")),
    ] {
        log.write("2026-10-01T08:00:00Z", step(what, purpose));
    }
    let campaign = &log.desk.campaigns()[0];
    let lines: Vec<(&str, bool)> = campaign.lines.iter().map(|line| (line.purpose.as_str(), line.certified)).collect();
    assert_eq!(lines, [("support", false), ("billing", true)]);
    assert!(campaign.closed.is_some());
}
