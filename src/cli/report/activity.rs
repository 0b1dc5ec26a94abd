//! The sections on accesses and refusals.

use super::content::Clock;
use super::record;
use crate::audit::report::{Activity, Bucket, Counted, Counts, Kind, Line, Refusals};
use crate::page::{Block, Cell, Chart, Table, Words, count, heads, number};

/// So many names have a colour of their own; the rest are drawn together.
const DRAWN: usize = 6;
const OTHERS: &str = "others";

pub(super) fn accesses(activity: &Activity) -> Vec<Block> {
    let total = activity.all.total;
    if total.statements == 0 {
        return vec![Block::Text("There were none.".into())];
    }
    let of = |value: fn(&Counts) -> u64| activity.all.steps.iter().map(value).collect::<Vec<u64>>();
    let mut series = vec![
        ("run".to_owned(), of(|step| step.statements - step.refused - step.would_refuse)),
        ("refused".to_owned(), of(|step| step.refused)),
    ];
    if total.would_refuse > 0 {
        series.push(("run, and refused if enforced".to_owned(), of(|step| step.would_refuse)));
    }
    let grain = activity.grain.name();
    let mut blocks = vec![chart(
        activity,
        format!("Statements by {grain}"),
        format!("{}, of which {} refused", count(total.statements, "statement"), number(total.refused)),
        series,
        true,
    )];
    for (title, what, lines) in [
        ("By purpose", "purpose", &activity.purposes),
        ("By role", "role", &activity.roles),
        ("By recipient", "recipient", &activity.recipients),
        ("By category", "category", &activity.categories),
    ] {
        if lines.is_empty() {
            continue;
        }
        blocks.push(Block::Heading(title.into()));
        if what == "category" {
            blocks.push(Block::Text(
                "A statement counts once for each category that it had to do with, and as refused for those that it was \
                 refused for."
                    .into(),
            ));
        }
        let most = lines.first().and_then(|line| Some((line.name.as_deref()?, line.total.statements)));
        let description = most.map_or(String::new(), |(name, statements)| {
            format!("{} of them; the most frequent is {name} with {}", lines.len(), count(statements, "statement"))
        });
        blocks.push(chart(
            activity,
            format!("Statements by {what} and {grain}"),
            description,
            drawn(lines),
            what != "category",
        ));
        blocks.push(table(what, lines));
    }
    if !activity.unrestricted.is_empty() {
        blocks.push(Block::Heading("Unrestricted roles".into()));
        let rows = activity.unrestricted.iter().map(|known| {
            vec![Words::code(&known.login).into(), known.reason.clone().into(), Cell::Number(known.statements)]
        });
        blocks.push(Block::Table(Table {
            caption: "Statements that were relayed as they are; which columns they used is not known".to_owned(),
            heads: heads([("login", false), ("reason", false), ("statements", true)]),
            rows: rows.collect(),
        }));
    }
    blocks
}

fn chart(
    activity: &Activity,
    title: String,
    description: String,
    series: Vec<(String, Vec<u64>)>,
    sums: bool,
) -> Block {
    let steps = activity.steps.iter().map(|Bucket(step)| step.clone()).collect();
    Block::Chart(Chart { title, description, step: activity.grain.name(), steps, series, sums })
}

fn name(line: &Line) -> &str {
    line.name.as_deref().unwrap_or(OTHERS)
}

/// The most frequent by themselves, the rest together.
fn drawn(lines: &[Line]) -> Vec<(String, Vec<u64>)> {
    let statements = |line: &Line| line.steps.iter().map(|step| step.statements).collect::<Vec<u64>>();
    // One colour is better spent on a name than on others that are one.
    let alone = if lines.len() > DRAWN + 1 { DRAWN } else { lines.len() };
    let mut series: Vec<_> = lines.iter().take(alone).map(|line| (name(line).to_owned(), statements(line))).collect();
    let rest = lines.iter().skip(alone).map(statements).reduce(|mut sum, line| {
        sum.iter_mut().zip(line).for_each(|(sum, more)| *sum += more);
        sum
    });
    series.extend(rest.map(|rest| (OTHERS.to_owned(), rest)));
    series
}

fn table(what: &'static str, lines: &[Line]) -> Block {
    let observed = lines.iter().any(|line| line.total.would_refuse > 0);
    let most = lines.iter().map(|line| line.total.statements).max().unwrap_or_default();
    let mut titles = heads([(what, false), ("statements", true), ("", false), ("refused", true)]);
    if observed {
        titles.extend(heads([("would be refused", true)]));
    }
    titles.extend(heads([("data subjects", true)]));
    let rows = lines.iter().map(|line| {
        let Counts { statements, refused, would_refuse, subjects } = line.total;
        let name = line.name.as_ref().map_or_else(|| Words::from(OTHERS), Words::code);
        let mut row = vec![name.into(), Cell::Number(statements), Cell::Bar(statements, most), Cell::Number(refused)];
        if observed {
            row.push(Cell::Number(would_refuse));
        }
        row.push(Cell::Number(subjects));
        row
    });
    Block::Table(Table { caption: format!("The period, by {what}"), heads: titles, rows: rows.collect() })
}

pub(super) fn refusals(refusals: &Refusals, clock: Clock<'_>) -> Vec<Block> {
    if refusals.kinds.is_empty() {
        return vec![Block::Text("There were none.".into())];
    }
    let rows = refusals.kinds.iter().map(|Counted { refusal, times, newest }| {
        let what = match refusal.kind {
            Kind::Statement => Words::names(&refusal.columns),
            Kind::Login => Words::from("the login"),
        };
        vec![
            Cell::Number(*times),
            Words::code(&refusal.login).into(),
            Words::code(&refusal.role).into(),
            Words::code(&refusal.purpose).into(),
            what.into(),
            Words::said(&refusal.reason).into(),
            clock.time(newest.time).into(),
            record(newest.seq),
        ]
    });
    let mut blocks = vec![Block::Table(Table {
        caption: "Those that are alike, counted; the newest record of each".to_owned(),
        heads: heads([
            ("times", true),
            ("login", false),
            ("role", false),
            ("purpose", false),
            ("for", false),
            ("why", false),
            ("newest", false),
            ("record", true),
        ]),
        rows: rows.collect(),
    })];
    if refusals.others > 0 {
        let others = count(refusals.others, "other refusal");
        blocks.push(Block::Text(format!("{others} of more kinds than are told apart here.").into()));
    }
    blocks
}
