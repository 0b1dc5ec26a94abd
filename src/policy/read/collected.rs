//! Further processing (POPIA s15): what a column was collected for, and which other purposes are compatible with it.

use std::collections::{BTreeMap, BTreeSet};

use super::source::{WrittenCollected, WrittenCompatible};
use super::told::{spoken, unknown};
use crate::catalog::RelationName;
use crate::document::{Fault, Located, quoted};
use crate::policy::model::{Compatible, Purpose};

/// Where POPIA lets information be used for another purpose than that of collection.
const SECTIONS: [&str; 7] = ["s15(2)", "s15(3)(a)", "s15(3)(b)", "s15(3)(c)", "s15(3)(d)", "s15(3)(e)", "s15(3)(f)"];

/// The purposes of each column that says; a list for the table holds for the columns that have none of their own.
pub(in crate::policy) fn collected(
    name: &RelationName,
    columns: &BTreeMap<String, String>,
    written: Vec<WrittenCollected>,
    purposes: &BTreeMap<String, Purpose>,
    faults: &mut Vec<Fault>,
) -> BTreeMap<String, BTreeSet<String>> {
    let mut collected: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for WrittenCollected { column, purposes: list } in written {
        for purpose in list.iter().filter(|purpose| !purposes.contains_key(&purpose.value)) {
            faults.push(Fault::error(&purpose.place, unknown("purpose", &purpose.value, purposes.keys())));
        }
        let list: BTreeSet<String> = list.into_iter().map(|purpose| purpose.value).collect();
        match column {
            Some(column) if column.value != "*" => {
                if !columns.contains_key(&column.value) {
                    let message = unknown(&format!("column of `{name}`"), &column.value, columns.keys());
                    faults.push(Fault::error(&column.place, message));
                }
                collected.insert(column.value, list);
            }
            Some(_) | None => {
                for column in columns.keys() {
                    collected.entry(column.clone()).or_insert_with(|| list.clone());
                }
            }
        }
    }
    collected
}

/// The purposes of the columns that have none of their own, and of those that a pattern lists later.
pub(in crate::policy) fn others(written: &[WrittenCollected]) -> Option<BTreeSet<String>> {
    let every = |column: &Option<Located<String>>| column.as_ref().is_none_or(|column| column.value == "*");
    let found = written.iter().find(|collected| every(&collected.column))?;
    Some(found.purposes.iter().map(|purpose| purpose.value.clone()).collect())
}

/// `[[compatible]]`. Faults are noted.
pub(in crate::policy) fn compatible(
    written: Vec<WrittenCompatible>,
    purposes: &BTreeMap<String, Purpose>,
    faults: &mut Vec<Fault>,
) -> Vec<Compatible> {
    let mut lines = Vec::new();
    for line in written {
        let given = [("from", &line.from), ("to", &line.to), ("reason", &line.reason), ("section", &line.section)];
        let missing: Vec<&str> = given.into_iter().filter(|(_, value)| value.is_none()).map(|(key, _)| key).collect();
        if !missing.is_empty() {
            faults.push(Fault::error(&line.place, format!("`compatible` lacks {}", quoted(missing))));
        }
        for purpose in [&line.from, &line.to].into_iter().flatten() {
            if !purposes.contains_key(&purpose.value) {
                faults.push(Fault::error(&purpose.place, unknown("purpose", &purpose.value, purposes.keys())));
            }
        }
        if let Some(section) = line.section.as_ref().filter(|section| !SECTIONS.contains(&section.value.as_str())) {
            let message = format!(
                "`{}` is not where POPIA lets information be used further: there are {}",
                section.value,
                quoted(SECTIONS)
            );
            faults.push(Fault::error(&section.place, message));
        }
        let reason = spoken(line.reason, "the reason of `compatible`", faults);
        if let (Some(from), Some(to), Some(reason), Some(section)) = (line.from, line.to, reason, line.section) {
            let (from, to, section) = (from.value, to.value, section.value);
            lines.push(Compatible { from, to, reason, section, place: line.place });
        }
    }
    lines
}
