//! What stands in the report, in words.

use std::borrow::Cow;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::{activity, findings, first, record};
use crate::audit::report::{LogEvent, Reach, Report, Trained};
use crate::audit::{Ended, Verification};
use crate::config::Organisation;
use crate::page::{Block, Cell, Page, Section, Table, Words, count, heads, number};

/// Which part of the report is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Parts {
    All,
    Unused,
    Observed,
}

/// What the proof of the log said, and what it cannot say.
#[derive(Debug)]
pub(super) struct Chain {
    /// Whose, where the report is about several.
    pub(super) directory: Option<String>,
    pub(super) found: Verification,
    pub(super) limits: Vec<String>,
}

/// The clock of the report.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock<'a>(&'a TimeZone);

impl Clock<'_> {
    /// `2026-11-22 10:00`.
    pub(super) fn time(self, time: Timestamp) -> String {
        time.to_zoned_datetime(self.0.clone()).strftime("%Y-%m-%d %H:%M").to_string()
    }

    pub(super) fn day(self, time: Timestamp) -> String {
        time.to_zoned_datetime(self.0.clone()).date().to_string()
    }
}

pub(super) fn page(
    report: &Report,
    chains: &[Chain],
    parts: Parts,
    zone: &TimeZone,
    organisation: Option<&Organisation>,
) -> Page {
    let clock = Clock(zone);
    let section = |id, title, blocks| Section { id, title: Cow::Borrowed(title), blocks };
    match parts {
        Parts::All => {
            let mut sections = vec![
                section("summary", "In short", summary(report, chains, clock, organisation)),
                section("accesses", "Accesses", activity::accesses(&report.activity)),
                section("refusals", "Refusals", activity::refusals(&report.refusals, clock)),
                section("unusual", "Unusual access", findings::unusual(&report.unusual, clock)),
                section("reviews", "Reviews", super::reviews::reviews(report, clock)),
                section("unused", "Open and not used", unused(report, clock)),
                section("policies", "Policies", policies(report, clock)),
            ];
            if let Some(trained) = &report.trained {
                sections.push(section("training", "Training", training(trained)));
            }
            sections.extend([section("log", "The log itself", log(report, chains, clock))]);
            if !report.observed.applications.is_empty() {
                sections.push(section("observed", "What enforcement would break", observed(report, clock)));
            }
            sections.push(section("limits", "What this report does not show", vec![Block::List(limits(report))]));
            Page { language: "", title: "Access to personal information".to_owned(), sections }
        }
        Parts::Unused => Page {
            language: "",
            title: "Open and not used".to_owned(),
            sections: vec![section("unused", "Columns, purposes and logins", unused(report, clock))],
        },
        Parts::Observed => Page {
            language: "",
            title: "What enforcement would break".to_owned(),
            sections: vec![section("observed", "By application", observed(report, clock))],
        },
    }
}

fn unused(report: &Report, clock: Clock<'_>) -> Vec<Block> {
    findings::unused(report.unused.as_ref(), clock)
}

fn observed(report: &Report, clock: Clock<'_>) -> Vec<Block> {
    findings::observed(&report.observed, clock)
}

fn summary(report: &Report, chains: &[Chain], clock: Clock<'_>, organisation: Option<&Organisation>) -> Vec<Block> {
    let Some(Reach { first: oldest, last: newest }) = report.log else {
        return vec![Block::Text("The log holds no record.".into())];
    };
    let activity = &report.activity;
    let observed = !report.observed.applications.is_empty() || report.observed.others > 0;
    let loud = "NOTHING WAS ENFORCED for statements of this period: the proxy ran in observe mode, and did not mask, filter or refuse them.";
    let loud = observed.then(|| Words::from(loud.to_owned()));
    let mut facts = Vec::from_iter(loud);
    facts.push(first::headline(&report.unusual));
    for (key, name) in [("name", "Responsible party"), ("information_officer", "Information officer")] {
        let said = organisation.and_then(|organisation| organisation.get(key));
        facts.extend(said.map(|said| Words::from(format!("{name}: {}.", said.join(", ")))));
    }
    facts.extend([
        Words::from(format!(
            "Period: {} to {}, in the time of {}.",
            clock.time(activity.from),
            clock.time(activity.to),
            report.time_zone
        )),
        Words::from(format!(
            "The log holds {} from {} to {}.",
            count(report.records, "record"),
            clock.time(oldest.time),
            clock.time(newest.time)
        )),
    ]);
    let total = activity.all.total;
    let mut statements = format!(
        "{}, of which {} refused; data subjects were named {} in what was returned.",
        count(total.statements, "statement"),
        number(total.refused),
        count(total.subjects, "time")
    );
    if total.would_refuse > 0 {
        statements.push_str(&format!(
            " {} ran in observe mode and would have been refused.",
            count(total.would_refuse, "statement")
        ));
    }
    facts.push(statements.into());
    facts.push(format!("{} of unusual access.", count(report.unusual.findings.len() as u64, "finding")).into());
    facts.push(super::reviews::in_short(report).into());
    if let Some(unused) = &report.unused {
        let days = count(unused.days.min(unused.covered_days.max(1)).into(), "day");
        facts.push(
            format!(
                "Columns that are open to a role for a purpose: {}, of which not used in {days}: {}.",
                number(unused.granted as u64),
                number(unused.grants.len() as u64)
            )
            .into(),
        );
    }
    let mut blocks = vec![Block::List(facts)];
    match chains {
        [] => blocks.push(Block::Text("The log was not verified for this report.".into())),
        chains if chains.iter().any(|chain| !chain.found.holds()) => blocks.push(Block::Warning(
            "the log does not verify: records were changed, removed or moved. Nothing below can be relied on.".into(),
        )),
        [_] => blocks.push(Block::Text("The log verifies: its chain holds.".into())),
        _ => blocks.push(Block::Text("The logs verify: the chain of each holds.".into())),
    }
    if !report.events.incidents.is_empty() {
        let incidents = count(report.events.incidents.len() as u64, "incident");
        blocks.push(Block::Warning(format!("{incidents} in the log: see below.").into()));
    }
    blocks
}

fn policies(report: &Report, clock: Clock<'_>) -> Vec<Block> {
    let events = &report.events.policies;
    if events.is_empty() {
        return vec![Block::Text("No policies were loaded in this period.".into())];
    }
    // Starts with the policies of before would hide the one change.
    let mut before = None;
    let told = events.iter().filter(|event| {
        let news = !event.faults.is_empty() || before != Some(&event.policy);
        before = Some(&event.policy);
        news
    });
    let told: Vec<_> = told.collect();
    let same = (events.len() - told.len()) as u64;
    let rows = told.into_iter().map(|event| {
        let happened = match (&event.before, event.faults.is_empty()) {
            (_, false) => Words::from("not taken, the ones before stay: ").and(Words::said(&event.faults.join("; "))),
            (None, true) => Words::from("in force, as the proxy started"),
            (Some(before), true) if *before == event.policy => Words::from("read again, unchanged"),
            (Some(before), true) => Words::from("in force, instead of ").name(short(before)),
        };
        vec![
            clock.time(event.at.time).into(),
            record(event.at.seq),
            Words::code(short(&event.policy)).into(),
            happened.into(),
            event.mode.clone().into(),
        ]
    });
    let mut blocks = vec![Block::Table(Table {
        caption: "Changes of policies, oldest first".to_owned(),
        heads: heads([("when", false), ("record", true), ("in force then", false), ("what", false), ("mode", false)]),
        rows: rows.collect(),
    })];
    if same > 0 {
        let text = format!("{} with the policies of before are not listed.", count(same, "start or load"));
        blocks.push(Block::Text(text.replace("start or loads", "starts or loads").into()));
    }
    blocks
}

/// Who used roles that demand training, and who of them has it.
fn training(trained: &[Trained]) -> Vec<Block> {
    let rows = trained.iter().map(|role| {
        vec![
            Words::code(role.role.clone()).into(),
            role.every.clone().into(),
            Cell::Number(role.people),
            Cell::Number(role.trained),
            Cell::Words(Words::some(&role.untrained)),
        ]
    });
    let heads = heads([("role", false), ("every", false), ("people", true), ("trained", true), ("not trained", false)]);
    let mut blocks = vec![Block::Table(Table {
        caption: "People who used roles that demand training".to_owned(),
        heads,
        rows: rows.collect(),
    })];
    let untrained: u64 = trained.iter().map(|role| role.people - role.trained).sum();
    if untrained > 0 {
        let who = if untrained == 1 { "person has" } else { "people have" };
        blocks.push(Block::Warning(format!("{} {who} access without a lesson that counts.", number(untrained)).into()));
    }
    if trained.iter().any(|role| role.more) {
        blocks.push(Block::Text("There were more people than are told apart.".into()));
    }
    blocks
}

/// Enough of a hash to tell it from others.
pub(super) fn short(hash: &str) -> String {
    hash.chars().take("sha256:".len() + 16).collect()
}

fn log(report: &Report, chains: &[Chain], clock: Clock<'_>) -> Vec<Block> {
    let mut blocks = Vec::new();
    if chains.is_empty() {
        blocks.push(Block::Text(
            Words::from("Whether the log was changed was not looked at: ")
                .name("pgpurpose audit verify")
                .plain(" does that."),
        ));
    }
    for (number, chain) in chains.iter().enumerate() {
        if let Some(directory) = &chain.directory {
            blocks.push(Block::Heading(Words::from(format!("Log {}: ", number + 1)).name(directory)));
        }
        let found = &chain.found;
        let last = format!("{}:{}", found.last.seq, found.last.hash);
        let held = if found.holds() { "The chain holds" } else { "The chain is broken" };
        let files = count(found.files as u64, "file");
        let text = format!("{held}: {} in {files}, the last is ", count(found.records, "record"));
        let ended = match found.ended {
            Ended::InOrder => "It ends with the record that closes it.",
            Ended::Running => "It is being written.",
            Ended::Abruptly | Ended::Open => "It does not end with the record that closes it.",
        };
        let text = Words::from(text).name(last).plain(format!(". {ended}"));
        blocks.push(if found.holds() { Block::Text(text) } else { Block::Warning(text) });
        if !found.breaks.is_empty() {
            let breaks = found.breaks.iter().map(|found| Words::said(&found.to_string()));
            blocks.push(Block::List(breaks.collect()));
        }
        blocks.push(Block::List(chain.limits.iter().map(|limit| Words::said(limit)).collect()));
    }
    for (title, events) in [("Incidents", &report.events.incidents), ("Events", &report.events.others)] {
        if !events.is_empty() {
            blocks.push(events_table(title, events, clock));
        }
    }
    if report.events.more > 0 {
        let more = count(report.events.more, "older event");
        blocks.push(Block::Text(format!("{more} of the period are not listed.").into()));
    }
    blocks
}

fn events_table(title: &str, events: &[LogEvent], clock: Clock<'_>) -> Block {
    let rows = events.iter().map(|event| {
        vec![
            clock.time(event.at.time).into(),
            record(event.at.seq),
            event.event.clone().into(),
            event.what.clone().into(),
        ]
    });
    Block::Table(Table {
        caption: title.to_owned(),
        heads: heads([("when", false), ("record", true), ("event", false), ("what", false)]),
        rows: rows.collect(),
    })
}

fn limits(report: &Report) -> Vec<Words> {
    let mut limits = vec![
        Words::from("What went past the proxy: direct logins to the database, backups, replicas, paper."),
        Words::from(
            "Who a person is behind a login that several share, and whether a purpose that was stated was the true one.",
        ),
        Words::from("Data subjects of tables without ")
            .name("record_subjects")
            .plain(", and of groups that were counted."),
        Words::from("That what is usual is also right: a login that always saw too much is not unusual."),
    ];
    if !report.activity.unrestricted.is_empty() {
        limits.push("Which columns the statements of unrestricted roles used.".into());
    }
    if report.unused.is_none() {
        limits
            .push(Words::from("What is open and not used: the policies were not given (").name("--config").plain(")."));
    }
    limits
}
