//! One actor of many who looks at people whom others look after.

use super::*;
use crate::audit::report::Live;

const ACTORS: i64 = 40;

/// Each actor sees five of their own twenty customers a day; `more` adds people whom an actor sees besides.
fn days(days: std::ops::Range<i64>, more: impl Fn(i64, i64) -> Vec<String>) -> Vec<Entry> {
    let mut entries = Vec::new();
    for day in days {
        for actor in 0..ACTORS {
            let own = (0..5).map(|n| format!("c{actor}-{}", (day * 5 + n) % 20));
            let people: Vec<String> = own.chain(more(day, actor)).collect();
            let record = json!({
                "event": "disclosure", "of": 1, "login": "crm", "actor": format!("u{actor}"), "purpose": "support", "role": "agent",
                "recipient": "internal", "relations": [{"name": "public.people", "columns": [], "subjects": people}]
            });
            let seq = entries.len() as u64 + 1_000 * day as u64 + 1;
            let record = joined(json!({"seq": seq, "time": time(day, 8 + actor % 8).to_string()}), record);
            entries.push(Entry::parse(record.to_string().as_bytes()).unwrap());
        }
    }
    entries
}

fn found(entries: &[Entry]) -> Vec<(String, String, What)> {
    let mut live = Live::new(TimeZone::fixed(Offset::constant(2)));
    let found = entries.iter().flat_map(|entry| live.add(entry, true));
    let strangers = found.filter(|finding| matches!(finding.what, What::Strangers { .. }));
    strangers.map(|finding| (finding.actor.unwrap(), finding.day, finding.what)).collect()
}

/// Some customers of other actors; never the same twice.
fn of_others(day: i64, actor: i64, count: i64) -> Vec<String> {
    (0..count).map(|n| format!("c{}-{}", (actor + 1 + n) % ACTORS, (day * 3 + n) % 20)).collect()
}

#[test]
fn who_looks_at_other_people_s_customers_is_told_on_the_first_day_and_once() {
    // Now and then everybody takes somebody else's call.
    let snooper = |day: i64, actor: i64| match actor {
        7 if day >= 25 => of_others(day, actor, 6),
        _ if (day + actor) % 10 == 0 => of_others(day, actor, 1),
        _ => Vec::new(),
    };
    let told = found(&days(0..30, snooper));
    assert_eq!(
        told.iter().map(|(actor, day, _)| (actor.as_str(), day.as_str())).collect::<Vec<_>>(),
        [("u7", "2026-09-26")]
    );
    let What::Strangers { people, limit, others, .. } = &told[0].2 else { panic!("{told:?}") };
    assert!(*people > *limit && *others == 39, "{told:?}");
    // The report of the same log says so too.
    let mut log = made(40, None);
    days(0..30, snooper).iter().for_each(|entry| log.reporter.add(entry));
    let report = log.finish();
    let strangers = report.unusual.findings.iter().filter(|found| matches!(found.what, What::Strangers { .. }));
    assert_eq!(strangers.map(|found| found.actor.as_deref()).collect::<Vec<_>>(), [Some("u7")]);
}

#[test]
fn where_everybody_serves_everybody_and_in_a_new_log_nobody_stands_out() {
    assert_eq!(found(&days(0..30, |day, actor| of_others(day, actor, 4 + (day + actor) % 3))), []);
    assert_eq!(
        found(&days(0..10, |day, actor| if actor == 7 && day > 5 { of_others(day, actor, 9) } else { Vec::new() })),
        []
    );
}

#[test]
fn an_actor_is_judged_by_their_own_past_beside_the_login_s() {
    let mut log = made(40, None);
    let mut reads = |day: i64, actor: &str, times: usize| {
        for _ in 0..times {
            log.access(
                time(day, 9),
                "crm",
                json!({"actor": actor, "relations": of(&[column("c", "contact", "read")])}),
            );
        }
    };
    for day in 0..20 {
        for actor in ["u1", "u2", "u3"] {
            reads(day, actor, 100);
        }
    }
    reads(20, "u1", 20);
    reads(20, "u2", 250);
    reads(20, "u3", 20);
    let report = log.finish();
    // The login as a whole did what it always does.
    let found: Vec<_> =
        report.unusual.findings.iter().map(|found| (found.login.as_str(), found.actor.as_deref())).collect();
    assert_eq!(found, [("crm", Some("u2"))]);
    assert_eq!((report.unusual.judged, report.unusual.actors_judged), (1, 3));
}
