//! The sections on what is unusual, what is not used, and what enforcement would break.

use std::collections::{BTreeMap, BTreeSet};

use super::content::{Clock, short};
use super::record;
use crate::audit::report::{
    ACTIVE_DAYS, Application, Filtered, HISTORY_DAYS, NO_CATEGORY, Observed, Shape, Unused, UnusedGrant, Unusual,
};
use crate::page::{Block, Cell, Table, Words, count, heads, number};

/// Statements of one application that are shown; the columns that they need stand above, of all of them.
const SHAPES_TOLD: usize = 25;

pub(super) fn unusual(unusual: &Unusual, clock: Clock<'_>) -> Vec<Block> {
    let mut blocks = vec![Block::Text(
        format!(
            "Each login is held against its own past, once that is {HISTORY_DAYS} days old and holds {ACTIVE_DAYS} active days: \
             {}{} could be judged in this period.",
            count(unusual.judged as u64, "login"),
            if unusual.actors_judged > 0 {
                format!(" and {}", count(unusual.actors_judged as u64, "actor"))
            } else {
                String::new()
            }
        )
        .into(),
    )];
    if !unusual.too_new.is_empty() {
        blocks.push(Block::Text(Words::from("Too new to be judged: ").and(Words::some(&unusual.too_new)).plain(".")));
    }
    if unusual.actors_too_new > 0 {
        let people = count(unusual.actors_too_new as u64, "actor");
        blocks.push(Block::Text(
            format!("{people} (end users of an application) too new to be judged by their own past.").into(),
        ));
    }
    if unusual.not_followed > 0 {
        blocks.push(Block::Warning(
            format!("{} more than can be followed were not judged.", count(unusual.not_followed, "login")).into(),
        ));
    }
    if unusual.findings.is_empty() {
        blocks.push(Block::Text("Nothing was found.".into()));
        return blocks;
    }
    blocks.extend(super::first::list(unusual));
    let rows = unusual.findings.iter().map(|finding| {
        let (what, usual) = finding.told();
        vec![
            clock.time(finding.at.time).into(),
            record(finding.at.seq),
            finding.whose().into(),
            what.into(),
            usual.into(),
        ]
    });
    blocks.push(Block::Table(Table {
        caption: "What was found, with the record that shows it first".to_owned(),
        heads: heads([("when", false), ("record", true), ("login", false), ("what", false), ("usual for it", false)]),
        rows: rows.collect(),
    }));
    if unusual.more > 0 {
        blocks.push(Block::Text(format!("{} are not listed.", count(unusual.more, "further finding")).into()));
    }
    blocks
}

pub(super) fn unused(unused: Option<&Unused>, clock: Clock<'_>) -> Vec<Block> {
    let Some(unused) = unused else {
        let text = Words::from("Left out: what is open stands in the policies. Give ").name("--config FILE").plain(".");
        return vec![Block::Text(text)];
    };
    let days = count(unused.days.into(), "day");
    let mut blocks = Vec::new();
    if unused.covered_days < unused.days {
        blocks.push(Block::Warning(
            format!(
                "the log covers {} only. What follows was not used in them; that says little about {days}.",
                count(unused.covered_days.into(), "whole day")
            )
            .into(),
        ));
    } else {
        blocks.push(Block::Text(format!("What was not used in {days}, by the log.").into()));
    }
    blocks.push(Block::Text(match unused.in_force {
        Some(since) => Words::from("The policies ")
            .name(short(&unused.policy))
            .plain(format!(" are in force since {}, as far as the log goes back.", clock.time(since.time))),
        None => Words::from("The policies ")
            .name(short(&unused.policy))
            .plain(" are not those that the log says are in force."),
    }));
    if unused.grants.is_empty() {
        blocks.push(Block::Text(format!("Each of {} was used.", count(unused.granted as u64, "opened column")).into()));
    } else {
        blocks.extend(grants(unused, clock));
    }
    for (what, names) in
        [("Purposes that no statement was made for", &unused.purposes), ("Logins that were not seen", &unused.logins)]
    {
        if !names.is_empty() {
            blocks.push(Block::Text(Words::from(format!("{what}: ")).and(Words::some(names)).plain(".")));
        }
    }
    blocks
}

/// By role; columns that are open alike, and were used last on the same day, in one row.
fn grants(unused: &Unused, clock: Clock<'_>) -> Vec<Block> {
    type Key<'a> = (&'a str, &'a str, &'a str, &'a str, &'static str, Option<String>);
    let mut groups: BTreeMap<Key<'_>, Vec<&UnusedGrant>> = BTreeMap::new();
    for grant in &unused.grants {
        let last = grant.last.map(|last| clock.day(last.time));
        let key = (
            grant.role.as_str(),
            grant.purpose.as_str(),
            grant.rule.as_str(),
            grant.relation.as_str(),
            grant.way.name(),
            last,
        );
        groups.entry(key).or_default().push(grant);
    }
    let mut roles: BTreeMap<&str, (u64, Vec<Vec<Cell>>)> = BTreeMap::new();
    for ((role, purpose, rule, relation, way, last), grants) in groups {
        let (columns, rows) = roles.entry(role).or_default();
        *columns += grants.len() as u64;
        rows.push(vec![
            Words::code(purpose).into(),
            rule.into(),
            Words::code(relation).into(),
            way.into(),
            Words::names(grants.iter().map(|grant| &grant.column)).into(),
            last.unwrap_or_else(|| "never".to_owned()).into(),
        ]);
    }
    let all = format!(
        "Of {} (one column, one role, one purpose, one way) these {}, by role:",
        count(unused.granted as u64, "opening"),
        number(unused.grants.len() as u64)
    );
    let folded = roles.into_iter().map(|(role, (columns, rows))| {
        let title = Words::code(role).plain(format!(": {}", count(columns, "opening")));
        Block::Folded(title, of_role(rows))
    });
    std::iter::once(Block::Text(all.into())).chain(folded).collect()
}

fn of_role(rows: Vec<Vec<Cell>>) -> Table {
    Table {
        caption: String::new(),
        heads: heads([
            ("purpose", false),
            ("rule", false),
            ("table", false),
            ("open for", false),
            ("columns", false),
            ("used last", false),
        ]),
        rows,
    }
}

pub(super) fn observed(observed: &Observed, clock: Clock<'_>) -> Vec<Block> {
    if observed.applications.is_empty() {
        return vec![Block::Text(
            Words::from("The log holds no statement of this period that ran in observe mode (")
                .name("mode = \"observe\"")
                .plain(" under ")
                .name("[policy]")
                .plain(")."),
        )];
    }
    let rows = observed.applications.iter().map(|known| {
        vec![
            Words::code(&known.application).into(),
            Words::code(&known.login).into(),
            Words::code(&known.purpose).into(),
            Cell::Number(known.statements),
            Cell::Number(known.unchanged),
            Cell::Number(known.changed),
            Cell::Number(known.refused),
        ]
    });
    let mut blocks = vec![Block::Table(Table {
        caption: "Statements that ran in observe mode, and what enforcement would make of them".to_owned(),
        heads: heads([
            ("application", false),
            ("login", false),
            ("purpose", false),
            ("statements", true),
            ("the same", true),
            ("other values or rows", true),
            ("refused", true),
        ]),
        rows: rows.collect(),
    })];
    if !observed.needed.is_empty() {
        let rows = observed.needed.iter().map(|needed| {
            vec![
                Words::code(&needed.column).into(),
                needed.category.as_ref().map_or(Words::default(), Words::code).into(),
                needed.would_be.into(),
                Words::code(&needed.role).plain(" for ").name(&needed.purpose).into(),
                Words::some(&needed.applications).into(),
                Cell::Number(needed.statements),
            ]
        });
        blocks.push(Block::Table(Table {
            caption: "Columns that are needed and would not be seen as they are, by whom, and how often".to_owned(),
            heads: heads([
                ("column", false),
                ("category", false),
                ("would be", false),
                ("role and purpose", false),
                ("applications", false),
                ("statements", true),
            ]),
            rows: rows.collect(),
        }));
    }
    for known in observed.applications.iter().filter(|known| !known.shapes.is_empty()) {
        blocks.push(Block::Heading(
            Words::code(&known.application).plain(", login ").name(&known.login).plain(" for ").name(&known.purpose),
        ));
        let rows = known.shapes.iter().take(SHAPES_TOLD).map(|shape| {
            vec![
                Cell::Number(shape.statements),
                (if shape.verdict == "deny" { "refused" } else { "changed" }).into(),
                Words::code(&shape.statement).into(),
                why(shape, known).into(),
                clock.time(shape.newest.time).into(),
                record(shape.newest.seq),
            ]
        });
        blocks.push(Block::Table(Table {
            caption: "Statements that differ in literals only, together".to_owned(),
            heads: heads([
                ("times", true),
                ("would be", false),
                ("statement", false),
                ("because", false),
                ("newest", false),
                ("record", true),
            ]),
            rows: rows.collect(),
        }));
    }
    let left = observed.applications.iter().map(|known| known.shapes.len().saturating_sub(SHAPES_TOLD)).sum::<usize>();
    if left > 0 {
        let left = count(left as u64, "shape");
        blocks.push(Block::Text(
            Words::from(format!("{left} more of statements: ")).name("--json").plain(" has all of them."),
        ));
    }
    if observed.others > 0 {
        let others = count(observed.others, "statement");
        blocks.push(Block::Text(format!("{others} of more shapes than are told apart here.").into()));
    }
    blocks
}

/// The columns that a statement would be refused for: those of one rule together, and what would help with the others.
fn in_the_way(shape: &Shape, known: &Application) -> Vec<Words> {
    let mut by_rule: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let (mut unlisted, mut unopened) = (Vec::new(), Vec::new());
    for closed in &shape.closed {
        match &closed.rule {
            Some(rule) => by_rule.entry(rule).or_default().push(&closed.column),
            None if closed.category == NO_CATEGORY => unlisted.push(&closed.column),
            None => unopened.push(closed),
        }
    }
    let by_rule = by_rule.into_iter();
    let mut parts: Vec<Words> = by_rule
        .map(|(rule, columns)| Words::from("rule ").name(rule).plain(" closes ").and(Words::names(columns)))
        .collect();
    if !unlisted.is_empty() {
        let columns = Words::names(unlisted);
        parts.push(
            Words::from("no policy lists ").and(columns).plain(": name table and column under ").name("[tables]"),
        );
    }
    if !unopened.is_empty() {
        let categories: BTreeSet<&str> = unopened.iter().map(|closed| closed.category.as_str()).collect();
        parts.push(
            Words::from("no rule opens ")
                .and(Words::names(unopened.iter().map(|closed| &closed.column)))
                .plain(": open it (category ")
                .and(Words::names(categories))
                .plain(") to role ")
                .name(&known.role)
                .plain(" for purpose ")
                .name(&known.purpose)
                .plain(", or leave it out"),
        );
    }
    parts
}

/// What would be done, by which rule, and what would help.
fn why(shape: &Shape, known: &Application) -> Words {
    let mut parts = Vec::new();
    if let Some(reason) = &shape.reason {
        parts.push(Words::said(reason));
    }
    parts.extend(in_the_way(shape, known));
    if shape.verdict != "deny" {
        for masked in &shape.masked {
            let rule = masked.rule.as_ref().map(|rule| Words::from(" by rule ").name(rule)).unwrap_or_default();
            parts.push(Words::code(&masked.column).plain(" comes as ").name(&masked.mask).and(rule));
        }
        if !shape.left_out.is_empty() {
            parts.push(Words::from("the star leaves out ").and(Words::names(&shape.left_out)));
        }
        for Filtered { relation, filter } in &shape.filters {
            parts.push(Words::from("rows of ").name(relation).plain(" are left out by ").name(filter));
        }
    }
    parts.into_iter().reduce(|all, part| all.plain("; ").and(part)).unwrap_or_default()
}
