//! Whose rows a table holds, found from keys and names.

use std::collections::{BTreeMap, BTreeSet};

use super::Lexicon;
use super::findings::Judged;
use super::kind::Kind;
use super::words;
use crate::catalog::RelationName;

/// How a row leads to its data subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// This column of the row.
    Column {
        /// The column.
        column: String,
        /// How that was found.
        found: &'static str,
    },
    /// This column leads to a row of that table, which leads on.
    Through {
        /// The column.
        column: String,
        /// `schema.table.column`.
        references: String,
    },
}

type Name = (String, String);

/// A column's name behind its table's.
fn part(name: &str) -> String {
    if name.contains(['.', '"']) { format!("\"{}\"", name.replace('"', "\"\"")) } else { name.to_owned() }
}

/// For each table that has one, by schema and name.
pub fn subjects(judged: &[Judged], lexicon: &Lexicon) -> BTreeMap<Name, Subject> {
    let name = |judged: &Judged| (judged.table.schema.clone(), judged.table.name.clone());
    let people: BTreeMap<Name, String> = judged
        .iter()
        .filter(|table| holds_people(table))
        .filter_map(|table| Some((name(table), key_of(table)?)))
        .collect();
    let mut found: BTreeMap<Name, Subject> = BTreeMap::new();
    for (table, key) in &people {
        found.insert(table.clone(), Subject::Column { column: key.clone(), found: "its own key: the rows are people" });
    }
    for table in judged.iter().filter(|table| !people.contains_key(&name(table))) {
        let to_people = |table: &Judged| {
            table
                .table
                .foreign_keys
                .iter()
                .find(|key| people.get(&key.table) == Some(&key.references) && !is_about_staff(&key.column))
                .map(|key| key.column.clone())
        };
        if let Some(column) = to_people(table) {
            found.insert(name(table), Subject::Column { column, found: "a foreign key to people" });
        } else if let Some(column) = by_name(table, &people, lexicon) {
            found.insert(name(table), Subject::Column { column, found: "by its name: no foreign key says so" });
        }
    }
    through(judged, &mut found);
    found
}

/// Tables that lead to a subject through another one, as far as the keys go.
fn through(judged: &[Judged], found: &mut BTreeMap<Name, Subject>) {
    loop {
        let mut more = Vec::new();
        for table in judged {
            let name = (table.table.schema.clone(), table.table.name.clone());
            if found.contains_key(&name) {
                continue;
            }
            let step = table
                .table
                .foreign_keys
                .iter()
                .find(|key| key.table != name && found.contains_key(&key.table) && !is_about_staff(&key.column));
            if let Some(key) = step {
                let references =
                    format!("{}.{}", RelationName::new(&*key.table.0, &*key.table.1), part(&key.references));
                more.push((name, Subject::Through { column: key.column.clone(), references }));
            }
        }
        if more.is_empty() {
            return;
        }
        found.extend(more);
    }
}

/// A row is a person: it has a person's name or number, and more than one thing about them.
fn holds_people(judged: &Judged) -> bool {
    let kinds: BTreeSet<Kind> = judged.verdicts.iter().filter_map(|verdict| verdict.kind).collect();
    let is_person = [Kind::PersonName, Kind::NationalId, Kind::Email].iter().any(|kind| kinds.contains(kind));
    let about =
        kinds.iter().filter(|kind| kind.marks_people() || kind.is_special() || **kind == Kind::Credential).count();
    let leads_elsewhere =
        judged.table.foreign_keys.iter().any(|key| judged.table.primary_key.first() == Some(&key.column));
    is_person && about >= 2 && !leads_elsewhere || (is_person && judged.table.foreign_keys.is_empty())
}

/// The one column of the primary key, else a column that is called like one.
fn key_of(judged: &Judged) -> Option<String> {
    match judged.table.primary_key.as_slice() {
        [one] => Some(one.clone()),
        _ => judged
            .table
            .columns
            .iter()
            .find(|column| column.name.eq_ignore_ascii_case("id"))
            .map(|column| column.name.clone()),
    }
}

/// `customer_id` or `klantId` beside a table `customers` or `klante` of people.
fn by_name(judged: &Judged, people: &BTreeMap<Name, String>, lexicon: &Lexicon) -> Option<String> {
    judged.table.columns.iter().find_map(|column| {
        let words = words::split(&column.name, &lexicon.known);
        let (last, rest) = words.split_last()?;
        let is_key = matches!(last.as_str(), "id" | "no" | "nr" | "nommer" | "number" | "key");
        let stem = rest.join("");
        let fits = |table: &str| {
            let table = words::plain(table).replace('_', "");
            table == stem || table == format!("{stem}s") || table == format!("{stem}e") || table == format!("{stem}es")
        };
        (is_key && !stem.is_empty() && people.keys().any(|(_, table)| fits(table))).then(|| column.name.clone())
    })
}

/// Who wrote a row down is not whom it is about.
fn is_about_staff(column: &str) -> bool {
    let column = column.to_ascii_lowercase();
    ["created", "updated", "modified", "approved", "deleted", "changed", "geskep", "verander", "assigned", "handled"]
        .iter()
        .any(|word| column.contains(word))
}
