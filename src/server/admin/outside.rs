//! The page at `/` where the configuration names nobody for the console: how the proxy does, and nothing of what was asked or by whom.

use super::{Admin, Readiness, Running};
use crate::page::html::render;
use crate::page::{Block, Cell, Page, Section, Table, Words, heads};

/// As HTML, for whoever reaches the listener.
pub(super) fn page(admin: &Admin, readiness: &Readiness) -> String {
    let running = (admin.running)();
    let mut blocks: Vec<Block> =
        readiness.remarks().iter().map(|remark| Block::Warning(remark.clone().into())).collect();
    blocks.push(Block::Table(Table {
        caption: String::new(),
        heads: heads([("part", false), ("state", false)]),
        rows: parts(readiness, &running),
    }));
    let where_else = Words::from("For programs: ").and(Words::code("/healthz")).plain(", ");
    blocks
        .push(Block::Text(where_else.and(Words::code("/readyz")).plain(", ").and(Words::code("/metrics")).plain(".")));
    blocks.push(Block::Text(
        Words::from("The console, with findings, search and campaigns, is for the ")
            .and(Words::code("[[admin.reviewers]]"))
            .plain(" and ")
            .and(Words::code("[[admin.officers]]"))
            .plain(" of the configuration, which names none."),
    ));
    let section = Section { id: "state", title: "How it does".into(), blocks };
    render(&Page { language: "", title: format!("pgpurpose {}", env!("CARGO_PKG_VERSION")), sections: vec![section] })
}

/// Each part with its state, the policies last.
pub(crate) fn parts(readiness: &Readiness, running: &Running) -> Vec<Vec<Cell>> {
    let state = |found: &Result<(), String>| found.as_ref().err().map_or_else(|| "ok".to_owned(), Clone::clone);
    let rows = readiness.parts().into_iter().map(|(name, found)| vec![name.into(), state(found).into()]);
    let mode = if running.observe { " (observe)" } else { " (enforce)" };
    rows.chain([vec!["policy".into(), Words::code(&running.policy).plain(mode).into()]]).collect()
}
