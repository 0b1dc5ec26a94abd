//! The section on what was looked at by a person: the evidence that access is reviewed regularly (POPIA s19(2)(c)).

use super::content::Clock;
use super::record;
use crate::audit::report::Report;
use crate::console::tables;
use crate::page::{Block, Cell, Table, Words, count, heads};

/// One line of the summary.
pub(super) fn in_short(report: &Report) -> String {
    let closed = report.campaigns.iter().filter(|campaign| campaign.closed.is_some()).count() as u64;
    let open = open(report);
    format!(
        "{} judged by a person; {} not judged; {} of who has what closed.",
        count(judged(report), "finding"),
        count(open, "finding"),
        count(closed, "campaign")
    )
}

fn judged(report: &Report) -> u64 {
    report.reviews.iter().map(|review| review.findings.len() as u64).sum()
}

/// Findings of the period that no review of the period names.
fn open(report: &Report) -> u64 {
    let named = |id: &str| report.reviews.iter().any(|review| review.findings.iter().any(|judged| judged == id));
    report.unusual.findings.iter().filter(|finding| !named(&finding.id())).count() as u64
}

pub(super) fn reviews(report: &Report, clock: Clock<'_>) -> Vec<Block> {
    let mut blocks = Vec::new();
    if report.reviews.is_empty() {
        blocks.push(Block::Text("Nobody judged a finding in this period.".into()));
    } else {
        let table = tables::reviews(report.reviews.iter(), |time| clock.time(time), record);
        let caption = "Findings that were judged on the console, each a record of the log".to_owned();
        blocks.push(Block::Table(Table { caption, ..table }));
    }
    let rows = report.campaigns.iter().map(|campaign| {
        let revoked = campaign.lines.iter().filter(|line| !line.certified).count() as u64;
        let closed = campaign
            .closed
            .as_ref()
            .map_or_else(|| "open".to_owned(), |(at, by, _)| format!("{} by {by}", clock.time(at.time)));
        vec![
            Words::code(&campaign.campaign).into(),
            format!("{} by {}", clock.time(campaign.at.time), campaign.by).into(),
            campaign.has.clone().into(),
            Cell::Number(campaign.lines.len() as u64 - revoked),
            Cell::Number(revoked),
            closed.into(),
            record(campaign.at.seq),
        ]
    });
    let rows: Vec<Vec<Cell>> = rows.collect();
    if !rows.is_empty() {
        blocks.push(Block::Table(Table {
            caption: "Campaigns in which it was certified who has what".to_owned(),
            heads: heads([
                ("campaign", false),
                ("begun", false),
                ("over", false),
                ("certified", true),
                ("revoked", true),
                ("closed", false),
                ("record", true),
            ]),
            rows,
        }));
    }
    blocks
}
