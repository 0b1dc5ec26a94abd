//! The manual of a private body (PAIA s51(1); s51(1)(c) is what POPIA added).

use super::parts::Writer;
use crate::page::{Block, Page};

pub(super) fn page(writer: &Writer<'_>) -> Page {
    let w = writer;
    let mut security = w.texts.list("paia.security_list", &[]);
    security.extend(w.own_list("security"));
    let people = w.texts.words("paia.people_text", &[("people", w.own("data_subjects"))]);
    let copies = w.texts.words("paia.copies_text", &[("website", w.own("website"))]);
    let sections = vec![
        w.section("about", "paia.about", vec![Block::Text(w.text("paia.about_text"))]),
        w.section("who", "paia.who", vec![w.who()]),
        w.section("guide", "paia.guide", vec![Block::Text(w.text("paia.guide_text"))]),
        w.section("automatic", "paia.automatic", vec![Block::List(w.own_list("automatic_records"))]),
        w.section("laws", "paia.by_law", vec![Block::List(w.own_list("records_by_law"))]),
        w.section("records", "paia.held", vec![w.records()]),
        w.section("purposes", "paia.purposes", vec![w.purposes()]),
        w.section("people", "paia.people", vec![Block::Text(people), Block::List(w.held())]),
        w.section("recipients", "paia.recipients", vec![w.recipients()]),
        w.section("borders", "paia.borders", vec![w.borders()]),
        w.section("security", "paia.security", vec![Block::List(security)]),
        w.section("ask", "paia.ask", vec![Block::List(w.texts.list("paia.ask_list", &[]))]),
        w.section("copies", "paia.copies", vec![Block::Text(copies)]),
    ];
    w.page("paia.title", sections)
}
