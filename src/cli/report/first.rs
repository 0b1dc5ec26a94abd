//! Whom to look at first: what one login or actor did on one day is one matter, however many rules found it.

use std::collections::{BTreeMap, BTreeSet};

use super::record;
use crate::audit::report::{Finding, Measure, Unusual, What};
use crate::page::{Block, Cell, Table, Words, count, heads};

/// So many matters are told apart.
const MOST: usize = 10;

/// What one login or actor did on one day.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Matter<'a> {
    pub(super) day: &'a str,
    login: &'a str,
    actor: Option<&'a str>,
    what: BTreeSet<&'static str>,
    weight: u32,
    record: u64,
    findings: u64,
}

/// How much each kind says, and what it is called here.
fn weight(what: &What) -> (u32, &'static str) {
    match what {
        What::Strangers { .. } => (4, "people whom others look after"),
        What::Volume { measure: Measure::Subjects, .. } => (3, "more data subjects than usual"),
        What::NewCategory { .. } => (2, "a category for the first time"),
        What::Volume { measure: Measure::Rows, .. } => (2, "more rows than usual"),
        What::Volume { measure: Measure::Statements, .. } => (1, "more statements than usual"),
        What::Hours { .. } => (1, "unusual hours"),
        What::NewLogin { .. } => (1, "a new login"),
    }
}

/// The heaviest first, and of two the newer one.
pub(super) fn matters(unusual: &Unusual) -> Vec<Matter<'_>> {
    let mut found: BTreeMap<(&str, Option<&str>, &str), Vec<&Finding>> = BTreeMap::new();
    for finding in &unusual.findings {
        found.entry((&finding.login, finding.actor.as_deref(), &finding.day)).or_default().push(finding);
    }
    let matters = found.into_iter().map(|((login, actor, day), findings)| {
        let what: BTreeSet<&str> = findings.iter().map(|finding| weight(&finding.what).1).collect();
        // Five first uses of a category weigh no more than one.
        let kinds: BTreeMap<&str, u32> =
            findings.iter().map(|finding| weight(&finding.what)).map(|(w, n)| (n, w)).collect();
        Matter {
            day,
            login,
            actor,
            what,
            weight: kinds.values().sum(),
            record: findings.iter().map(|finding| finding.at.seq).min().unwrap_or_default(),
            findings: findings.len() as u64,
        }
    });
    let mut matters: Vec<Matter<'_>> = matters.collect();
    matters.sort_by(|a, b| b.weight.cmp(&a.weight).then(b.day.cmp(a.day)).then(a.record.cmp(&b.record)));
    matters
}

impl Matter<'_> {
    fn who(&self) -> Words {
        match self.actor {
            Some(actor) => Words::code(self.login).plain(" as ").name(actor),
            None => Words::code(self.login),
        }
    }

    fn told(&self) -> String {
        self.what.iter().copied().collect::<Vec<_>>().join(", ")
    }
}

/// The report's first line.
pub(super) fn headline(unusual: &Unusual) -> Words {
    let matters = matters(unusual);
    match matters.as_slice() {
        [] => Words::from("Nothing unusual was found."),
        [first, others @ ..] => {
            let more = match others.len() as u64 {
                0 => String::new(),
                others => format!(" {} more under “Unusual access”.", count(others, "matter")),
            };
            Words::from("To be looked at first: ").and(first.who()).plain(format!(
                " on {}: {}.{more}",
                first.day,
                first.told()
            ))
        }
    }
}

/// The list, where it says more than the findings one by one.
pub(super) fn list(unusual: &Unusual) -> Option<Block> {
    let matters = matters(unusual);
    if matters.len() == unusual.findings.len() && matters.len() <= 1 {
        return None;
    }
    let rows = matters.iter().take(MOST).map(|matter| {
        vec![
            matter.day.to_owned().into(),
            matter.who().into(),
            matter.told().into(),
            Cell::Number(matter.findings),
            record(matter.record),
        ]
    });
    Some(Block::Table(Table {
        caption: "Whom to look at first: one line for what one did on one day".to_owned(),
        heads: heads([("day", false), ("login", false), ("what", false), ("findings", true), ("first record", true)]),
        rows: rows.collect(),
    }))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::audit::report::At;

    fn finding(seq: u64, actor: Option<&str>, day: &str, what: What) -> Finding {
        let at = At { time: "2026-11-30T10:00:00Z".parse().unwrap(), seq };
        Finding { at, day: day.to_owned(), login: "crm".to_owned(), actor: actor.map(str::to_owned), what }
    }

    #[test]
    fn one_night_of_one_person_is_one_matter_and_the_heaviest_is_the_headline() {
        let volume = |measure| What::Volume { measure, count: 900, limit: 100, median: 10, days: 20 };
        let login = || What::NewLogin { log_days: 30 };
        let strangers = What::Strangers { people: 9, limit: 5, median: 0, others: 39 };
        let findings = vec![
            finding(3, None, "2026-11-28", login()),
            finding(7, Some("u7"), "2026-11-27", volume(Measure::Rows)),
            finding(8, Some("u7"), "2026-11-27", volume(Measure::Subjects)),
            finding(9, Some("u7"), "2026-11-27", strangers),
            finding(12, Some("u8"), "2026-11-29", volume(Measure::Rows)),
        ];
        let unusual = Unusual { findings, ..Unusual::default() };
        let found: Vec<(Option<&str>, u64, u64)> =
            matters(&unusual).iter().map(|matter| (matter.actor, matter.record, matter.findings)).collect();
        assert_eq!(found, [(Some("u7"), 7, 3), (Some("u8"), 12, 1), (None, 3, 1)]);
        let told: String = headline(&unusual).0.iter().map(|word| word.text().to_owned()).collect();
        assert_eq!(
            told,
            "To be looked at first: crm as u7 on 2026-11-27: more data subjects than usual, more rows than usual, \
             people whom others look after. 2 matters more under “Unusual access”."
        );
        assert!(list(&unusual).is_some() && list(&Unusual::default()).is_none());
    }
}
