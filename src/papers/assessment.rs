//! A personal information impact assessment (regulation 4(1)(b) under POPIA): what the policies show, and what a person must
//! judge.

use super::facts::{HERE, Processing};
use super::operators;
use super::parts::Writer;
use crate::page::{Block, Page, Words};
use crate::policy::Way;

pub(super) fn page(writer: &Writer<'_>) -> Page {
    let w = writer;
    let mut purposes = Vec::new();
    for processing in &w.facts.purposes {
        purposes.push(Block::Heading(Words::code(&processing.purpose.name)));
        purposes.push(Block::Text(w.description(processing).plain(". ").and(w.basis(processing))));
        purposes.push(w.uses(processing));
        purposes.push(w.judged("assessment.necessity"));
        purposes.push(w.judged("assessment.risk"));
    }
    let mut measures = w.texts.list("paia.security_list", &[]);
    measures.extend(w.own_list("security"));
    let sections = vec![
        w.section("who", "paia.who", vec![Block::Text(w.text("assessment.intro")), w.who()]),
        w.section("purposes", "assessment.purposes", purposes),
        w.section("special", "assessment.special", special(w)),
        w.section("measures", "assessment.measures", vec![Block::List(measures)]),
        w.section("findings", "assessment.findings", vec![Block::List(findings(w))]),
        w.section("decision", "assessment.decision", vec![w.judged("assessment.decision_text")]),
    ];
    w.page("assessment.title", sections)
}

fn special(w: &Writer<'_>) -> Vec<Block> {
    let mut lines = Vec::new();
    for processing in &w.facts.purposes {
        for (category, used) in processing.categories.iter().filter(|(_, used)| used.special) {
            let grounds: Vec<&str> = used.grounds.iter().map(String::as_str).collect();
            lines.push(
                Words::code(&processing.purpose.name).plain(", ").name(category).plain(": ").plain(grounds.join("; ")),
            );
        }
        if let Some(ground) = &processing.purpose.child_ground {
            lines.push(Words::code(&processing.purpose.name).plain(format!(": s35: {ground}")));
        }
    }
    if lines.is_empty() { vec![Block::Text(w.plain("assessment.special_none"))] } else { vec![Block::List(lines)] }
}

fn findings(w: &Writer<'_>) -> Vec<Words> {
    let mut found = Vec::new();
    for processing in &w.facts.purposes {
        found.extend(of_purpose(w, processing));
    }
    for role in w.facts.policies.roles() {
        if let Some(reason) = &role.unrestricted {
            let holes = [("role", Words::code(&role.name)), ("reason", Words::from(reason.as_str()))];
            found.push(w.texts.words("assessment.f_unrestricted", &holes));
        }
        if role.country != HERE {
            let holes = [
                ("recipient", w.recipient(role)),
                ("country", Words::from(role.country.as_str())),
                ("ground", w.stated(role.country_ground.as_deref())),
            ];
            found.push(w.texts.words("assessment.f_abroad", &holes));
        }
    }
    found.extend(w.facts.third_parties().filter_map(|role| operators::attention(w, role)));
    for table in w.kept_without_end() {
        found.push(w.texts.words("assessment.f_retention", &[("table", Words::code(table))]));
    }
    if w.facts.policies.listed_consent().is_some_and(|consent| consent.evidence.is_none()) {
        found.push(w.plain("assessment.f_evidence"));
    }
    if found.is_empty() {
        found.push(w.plain("assessment.f_none"));
    }
    found
}

fn of_purpose(w: &Writer<'_>, processing: &Processing<'_>) -> Vec<Words> {
    let name = || Words::code(&processing.purpose.name);
    let mut found = Vec::new();
    if processing.purpose.expires.is_none() && processing.purpose.review.is_none() {
        found.push(w.texts.words("assessment.f_no_review", &[("purpose", name())]));
    }
    // Special categories in full, and identity numbers, are what harms most when it is seen too often.
    for (category, used) in &processing.categories {
        if used.special && used.ways.contains(&Way::Read) {
            let holes = [("purpose", name()), ("category", Words::code(category))];
            found.push(w.texts.words("assessment.f_plain", &holes));
        }
    }
    found
}
