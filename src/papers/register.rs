//! The documentation of all processing operations (POPIA s17).

use super::facts::Processing;
use super::parts::Writer;
use crate::page::{Block, Page, Words};

pub(super) fn page(writer: &Writer<'_>) -> Page {
    let w = writer;
    let mut purposes = Vec::new();
    for processing in &w.facts.purposes {
        purposes.push(Block::Heading(Words::code(&processing.purpose.name)));
        purposes.push(Block::List(about(w, processing)));
        purposes.push(w.uses(processing));
    }
    let unrestricted: Vec<Words> = w
        .facts
        .policies
        .roles()
        .filter_map(|role| {
            let reason = role.unrestricted.as_deref()?;
            Some(Words::code(&role.name).plain(": ").plain(reason))
        })
        .collect();
    let unrestricted = if unrestricted.is_empty() {
        vec![Block::Text(w.plain("register.unrestricted_none"))]
    } else {
        vec![Block::Text(w.plain("register.unrestricted_text")), Block::List(unrestricted)]
    };
    let kept = w.retention().unwrap_or_else(|| Block::Text(w.text("notice.how_long_none")));
    let sections = vec![
        w.section("who", "paia.who", vec![Block::Text(w.text("register.intro")), w.who()]),
        w.section("purposes", "paia.purposes", purposes),
        w.section("records", "paia.held", vec![w.records()]),
        w.section("recipients", "paia.recipients", vec![w.recipients()]),
        w.section("borders", "paia.borders", vec![w.borders()]),
        w.section("retention", "register.retention", vec![kept]),
        w.section("unrestricted", "register.unrestricted", unrestricted),
    ];
    w.page("register.title", sections)
}

fn about(w: &Writer<'_>, processing: &Processing<'_>) -> Vec<Words> {
    let purpose = processing.purpose;
    let line = |label: &str, what: Words| w.plain(label).plain(": ").and(what);
    let mut lines = vec![
        line("common.description", w.description(processing)),
        line("common.basis", w.basis(processing)),
        line("register.roles", Words::names(processing.roles.iter().map(|role| role.name.as_str()))),
    ];
    if let Some(count) = purpose.min_group {
        lines.push(w.texts.words("register.group", &[("count", count.to_string().into())]));
    }
    if let Some(day) = purpose.review {
        lines.push(line("register.review", day.to_string().into()));
    }
    if let Some(day) = purpose.expires {
        lines.push(line("register.expires", day.to_string().into()));
    }
    if let Some(ground) = &purpose.child_ground {
        lines.push(Words::from(format!("POPIA s35: {ground}")));
    }
    lines
}
