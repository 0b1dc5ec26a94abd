//! Operators and other third parties (POPIA s20, s21, s72).

use super::parts::Writer;
use crate::page::{Block, Cell, Page, Words};
use crate::policy::Role;

/// A contract that ends within so many days is told.
const SOON_DAYS: i32 = 60;

pub(super) fn page(writer: &Writer<'_>) -> Page {
    let w = writer;
    let mut blocks = vec![Block::Text(w.text("operators.intro"))];
    let third: Vec<&Role> = w.facts.third_parties().collect();
    if third.is_empty() {
        blocks.push(Block::Text(w.plain("operators.none")));
    } else {
        let rows = third.iter().map(|role| {
            vec![
                Cell::Words(Words::from(role.recipient.as_str())),
                Cell::Words(w.stated(role.operator_contract.as_deref())),
                Cell::Words(
                    role.operator_expires.map_or_else(|| w.plain("common.not_stated"), |day| day.to_string().into()),
                ),
                Cell::Words(Words::from(role.country.as_str())),
                Cell::Words(Words::names(&role.purposes)),
                Cell::Words(w.received(role)),
            ]
        });
        let heads = [
            "common.recipient",
            "common.contract",
            "common.ends",
            "common.country",
            "common.purpose",
            "common.categories",
        ];
        blocks.push(w.table(heads, rows.collect()));
    }
    let attention: Vec<Words> = third.iter().filter_map(|role| attention(w, role)).collect();
    let mut sections = vec![w.section("third", "operators.title", blocks)];
    if !attention.is_empty() {
        sections.push(w.section("attention", "operators.attention", vec![Block::List(attention)]));
    }
    sections.push(w.section("borders", "paia.borders", vec![w.borders()]));
    w.page("operators.title", sections)
}

/// What is wrong with a third party's contract, if anything.
pub(super) fn attention(w: &Writer<'_>, role: &Role) -> Option<Words> {
    let said = |key: &str, day: Option<jiff::civil::Date>| {
        let day = day.map(|day| day.to_string()).unwrap_or_default();
        Words::from(role.recipient.as_str()).plain(": ").and(w.texts.words(key, &[("date", day.into())]))
    };
    if role.operator_contract.is_none() {
        return Some(said("operators.no_contract", None));
    }
    match role.operator_expires {
        None => Some(said("operators.no_end", None)),
        Some(day) if day < w.facts.today => Some(said("operators.ended", Some(day))),
        Some(day) if (day - w.facts.today).get_days() <= SOON_DAYS => Some(said("operators.soon", Some(day))),
        Some(_) => None,
    }
}
