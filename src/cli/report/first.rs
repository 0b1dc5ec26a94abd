//! Whom to look at first: what one login or actor did on one day is one matter, however many rules found it.

use super::record;
use crate::audit::report::{Unusual, matters};
use crate::page::{Block, Cell, Table, Words, count, heads};

/// So many matters are told apart.
const MOST: usize = 10;

/// The report's first line.
pub(super) fn headline(unusual: &Unusual) -> Words {
    let matters = matters(&unusual.findings);
    match matters.as_slice() {
        [] => Words::from("Nothing unusual was found."),
        [first, others @ ..] => {
            let more = match others.len() as u64 {
                0 => String::new(),
                others => format!(" {} more under “Unusual access”.", count(others, "matter")),
            };
            Words::from("To be looked at first: ").and(first.who()).plain(format!(
                " on {}: {}.{more}",
                first.day(),
                first.told()
            ))
        }
    }
}

/// The list, where it says more than the findings one by one.
pub(super) fn list(unusual: &Unusual) -> Option<Block> {
    let matters = matters(&unusual.findings);
    if matters.len() == unusual.findings.len() && matters.len() <= 1 {
        return None;
    }
    let rows = matters.iter().take(MOST).map(|matter| {
        vec![
            matter.day().to_owned().into(),
            matter.who().into(),
            matter.told().into(),
            Cell::Number(matter.findings.len() as u64),
            record(matter.record()),
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
    use crate::audit::report::{At, Finding, Measure, What};

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
        let all = matters(&unusual.findings);
        let found: Vec<(Option<&str>, u64, u64)> =
            all.iter().map(|matter| (matter.actor(), matter.record(), matter.findings.len() as u64)).collect();
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
