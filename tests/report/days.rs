//! One day is one day: a record is of the same day for every verb, for the console, and for the date with which a purpose ends.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use jiff::civil::{Date, date};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use pgpurpose::config::Zone;
use pgpurpose::policy::PolicySet;
use serde_json::Value;

use super::support::chain::Lines;
use super::support::client::login;
use super::support::proxy::{Proxy, Upstream};
use super::support::shop;
use super::support::visitor::{REVIEWER, Visitor, people};
use super::{pgpurpose, policy};

/// The one, the other side of the world, and one whose clock goes back in the night between the two days.
const ZONES: [&str; 3] = ["Africa/Johannesburg", "America/New_York", "Pacific/Auckland"];
/// 31 October and 1 November 2026, with half a day before and behind in every zone.
const FROM: &str = "2026-10-30T08:00:00Z";
const EVERY: SignedDuration = SignedDuration::from_mins(30);
pub(super) const COUNT: usize = 170;

/// A log whose statements are each half an hour later than the one before: `(time, its subject)`.
pub(super) fn generated(folder: &Path) -> Vec<(Timestamp, String)> {
    let (mut time, mut made) = (FROM.parse::<Timestamp>().unwrap(), Vec::new());
    let mut lines = Lines::default();
    for number in 0..COUNT {
        // The last moment before the half hour, and the half hour itself.
        let at = if number % 2 == 0 { time } else { time - SignedDuration::from_micros(1) };
        let who = r#""session":"s","login":"ann","role":"agent","purpose":"support","recipient":"internal","database":"d","application":"a""#;
        let relation = |more: &str| {
            format!(
                r#""relations":[{{"name":"public.t","filter":null{more},"columns":[{{"name":"c","category":"contact","use":["output"],"action":"read","mask":null,"rule":"r"}}]}}]"#
            )
        };
        let of = lines.add(&format!(
            r#""time":"{at:.6}","event":"access",{who},"statement":"SELECT {number}","fingerprint":"f","verdict":"allow",{},"reason":null"#,
            relation("")
        ));
        lines.add(&format!(
            r#""time":"{at:.6}","event":"disclosure","of":{of},{who},"statement":"SELECT {number}",{},"aggregate":[]"#,
            relation(&format!(r#","form":"plain","subjects":["p{number}"]"#))
        ));
        lines.add(&format!(r#""event":"outcome","of":{of},"status":"ok","rows":1,"sqlstate":null,"ms":1.0"#));
        made.push((at, format!("p{number}")));
        time += EVERY;
    }
    fs::write(folder.join("access-000000000001-20261030.jsonl"), lines.text).unwrap();
    made
}

fn on(made: &[(Timestamp, String)], zone: &str, day: Date) -> BTreeSet<String> {
    let zone = TimeZone::get(zone).unwrap();
    let of_day = made.iter().filter(|(time, _)| time.to_zoned_datetime(zone.clone()).date() == day);
    of_day.map(|(_, subject)| subject.clone()).collect()
}

#[test]
fn every_verb_reckons_a_record_to_the_same_day() {
    let folder = tempfile::tempdir().unwrap();
    let made = generated(folder.path());
    let log = folder.path().display().to_string();
    let config = folder.path().join("pgpurpose.toml");
    fs::write(folder.path().join("p.toml"), "version = 1\n[purposes.p]\nbasis = \"contract\"\n").unwrap();
    for zone in ZONES {
        fs::write(
            &config,
            format!(
                "[upstream]\naddress = \"127.0.0.1:1\"\ncatalog_login = \"x\"\n[policy]\nfiles = [\"p.toml\"]\n\
             [audit]\ndirectory = \"{log}\"\ntime_zone = \"{zone}\"\n"
            ),
        )
        .unwrap();
        // Said on the line, or once in the configuration.
        for how in [vec!["--dir", &log, "--time-zone", zone], vec!["--config", config.to_str().unwrap()]] {
            for day in [date(2026, 10, 31), date(2026, 11, 1)] {
                let wanted = on(&made, zone, day);
                let written = day.to_string();
                let run = |verb: &[&str], more: &[&str]| {
                    let (status, said, told) = pgpurpose(&[&["audit"], verb, &how, more].concat());
                    assert_eq!(status, 0, "{verb:?}: {said}{told}");
                    assert!(
                        format!("{said}{told}").contains(zone),
                        "{verb:?} does not say whose days count: {said}{told}"
                    );
                    said
                };
                let within = ["--from", &written, "--to", &written];
                let found: BTreeSet<String> =
                    run(&["search"], &[&within[..], &["--json", "--event", "access"]].concat())
                        .lines()
                        .map(|line| {
                            serde_json::from_str::<Value>(line).unwrap()["statement"]
                                .as_str()
                                .unwrap()
                                .replace("SELECT ", "p")
                        })
                        .collect();
                assert_eq!(found, wanted, "search in {zone} on {day}");
                let tail: BTreeSet<String> = run(&["tail"], &["-n", "1000"])
                    .lines()
                    .filter(|line| line.split_whitespace().nth(1).is_some_and(|time| time.starts_with(&written)))
                    .filter_map(|line| Some(format!("p{}", line.split_once("SELECT ")?.1)))
                    .collect();
                assert_eq!(tail, wanted, "tail in {zone} on {day}");
                let breach = run(&["breach"], &[&within[..], &["--login", "ann", "--json"]].concat());
                let breach: Value = serde_json::from_str(&breach).unwrap();
                let people: BTreeSet<String> = serde_json::from_value(breach["subjects"]["public.t"].clone()).unwrap();
                assert_eq!(people, wanted, "breach in {zone} on {day}");
                let report = run(&["report"], &[&within[..], &["--no-verify", "--format", "json"]].concat());
                let report: Value = serde_json::from_str(&report).unwrap();
                assert_eq!(
                    report["activity"]["all"]["total"]["statements"],
                    wanted.len(),
                    "report in {zone} on {day}: {}",
                    report["activity"]
                );
                // The first and the last of the day, and their neighbours.
                let places: Vec<usize> =
                    made.iter().enumerate().filter(|(_, (_, p))| wanted.contains(p)).map(|(at, _)| at).collect();
                let (first, last) = (places[0], *places.last().unwrap());
                for at in [first - 1, first, last, last + 1] {
                    let subject = &made[at].1;
                    let said = run(&["subject", subject], &[&within[..], &["--json"]].concat());
                    let seen = !serde_json::from_str::<Value>(&said).unwrap()["seen"].as_array().unwrap().is_empty();
                    assert_eq!(seen, wanted.contains(subject), "subject {subject} in {zone} on {day}");
                }
                run(&["verify"], &[]);
            }
        }
    }
}

#[test]
fn a_purpose_and_a_contract_end_with_their_day_in_the_same_zone() {
    let folder = tempfile::tempdir().unwrap();
    let made = generated(folder.path());
    let policy = "version = 1\n[purposes.p]\nbasis = \"contract\"\nexpires = 2026-10-31\n[purposes.q]\nbasis = \"contract\"\n\
        [roles.r]\nlogins = [\"r\"]\npurposes = [\"p\"]\n[roles.o]\nlogins = [\"o\"]\npurposes = [\"q\"]\nrecipient = \"Mailer\"\n\
        operator_contract = \"1\"\noperator_expires = 2026-10-31\n";
    for name in ZONES {
        let zone: Zone = name.parse().unwrap();
        let policies = PolicySet::from_sources(&[("p.toml".to_owned(), policy.to_owned())]).unwrap().in_zone(zone);
        let last = on(&made, name, date(2026, 10, 31));
        let end = made.iter().filter(|(_, subject)| last.contains(subject)).map(|(time, _)| *time).max().unwrap();
        for (time, _) in &made {
            let today = policies.zone().day_of(*time);
            for (login, purpose) in [("r", "p"), ("o", "q")] {
                let allowed = policies.check_purpose(policies.role_of(login).unwrap(), purpose, today).is_ok();
                assert_eq!(allowed, *time <= end, "{login} at {time} in {name}");
            }
        }
    }
}

#[test]
fn the_console_shows_times_in_the_zone_of_the_log() {
    let keys = "time_zone = \"Pacific/Kiritimati\"\n";
    let proxy = Proxy::start_logging(shop(), Upstream::Socket, &policy(), &people(), keys);
    proxy.psql(shop(), &login("support_agent").application("days"), &["SELECT id FROM customers WHERE id = 1"]).fine();
    let record = proxy.accesses_of("days").into_iter().next().unwrap();
    let zone: Zone = "Pacific/Kiritimati".parse().unwrap();
    let shown = zone.show_text(record["time"].as_str().unwrap())[..16].replace('T', " ");
    let page = Visitor::log_in(&proxy, REVIEWER).get("/proxy");
    assert!(page.contains("Times of Pacific/Kiritimati") && page.contains(&shown), "{shown}: {page}");
}
