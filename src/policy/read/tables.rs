//! Validates `[tables]`: columns, and how each row leads to its data subject.

use std::collections::BTreeMap;

use super::births::{self, WrittenBirth};
use super::patterns::lists_by_pattern;
use super::source::{WrittenRecordPurposes, WrittenSubject, WrittenTable};
use super::told::{twice, unknown};
use super::{collected, retain};
use crate::catalog::RelationName;
use crate::document::{Fault, Located, Place};
use crate::policy::model::{Purpose, RecordPurposes, SubjectPath, Table, Target};

/// The tables by name. Faults are noted.
pub(in crate::policy) fn tables(
    written: Vec<WrittenTable>,
    patterns: bool,
    purposes: &BTreeMap<String, Purpose>,
    faults: &mut Vec<Fault>,
) -> BTreeMap<RelationName, Table> {
    let (mut births, mut retained) = (Vec::new(), Vec::new());
    let mut subjects: BTreeMap<RelationName, WrittenSubject> = BTreeMap::new();
    let mut tables: BTreeMap<RelationName, Table> = BTreeMap::new();
    for mut table in written {
        let name = table.name.value;
        let place = table.name.place;
        if let Some(before) = tables.get(&name) {
            twice("table", &name.to_string(), &place, &before.place.clone(), faults);
        }
        if table.open {
            let contradicts = [
                (!table.columns.is_empty(), "columns"),
                (table.subject.is_some() || table.no_subject, "subject"),
                (table.star.is_some(), "star"),
                (table.record_subjects.is_some(), "record_subjects"),
                (!table.retain.is_empty(), "retain"),
                (table.date_of_birth.is_some(), "date_of_birth"),
                (table.identity_number.is_some(), "identity_number"),
                (table.no_children.is_some(), "no_children"),
                (!table.collected_for.is_empty(), "collected_for"),
                (table.purposes.is_some(), "purposes"),
            ];
            for (_, key) in contradicts.into_iter().filter(|(given, _)| *given) {
                faults.push(Fault::error(
                    table.keys.get(key).unwrap_or(&place),
                    format!("table `{name}` is `open` and has `{key}`: an open table holds no personal information"),
                ));
            }
        } else if table.columns.is_empty() && !patterns {
            faults.push(Fault::error(
                &place,
                format!("table `{name}` has neither `columns` nor `open = true`: nothing of it could be seen"),
            ));
        }
        let star_refused = match table.star.as_ref().map(|star| star.value.as_str()) {
            None | Some("omit") => false,
            Some("refuse") => true,
            Some(other) => {
                let place = table.star.as_ref().map_or(&place, |star| &star.place);
                faults.push(Fault::error(place, format!("`star` is `omit` or `refuse`, and not `{other}`")));
                true
            }
        };
        if let Some(record) = &table.record_subjects
            && table.subject.is_none()
            && !table.open
        {
            let message = format!("table `{name}` has `record_subjects` and no `subject` that says whose a row is");
            faults.push(Fault::error(&record.place, message));
        }
        let record = table.record_subjects.map(|record| record.value);
        let (columns, mut places) = columns(table.columns, faults);
        places.extend(table.keys.into_iter().map(|(key, place)| (format!(".{key}"), place)));
        let record_purposes = table
            .purposes
            .take()
            .filter(|_| !table.open)
            .and_then(|written| record_purposes(&name, written, &columns, faults));
        if let Some(subject) = table.subject {
            subjects.insert(name.clone(), subject);
        }
        births.push(WrittenBirth {
            table: name.clone(),
            date: table.date_of_birth,
            number: table.identity_number,
            none: table.no_children,
        });
        retained.push((name.clone(), table.retain));
        let collected_others = collected::others(&table.collected_for);
        let collected_for = collected::collected(&name, &columns, table.collected_for, purposes, faults);
        tables.insert(
            name,
            Table {
                open: table.open,
                read_only: table.read_only,
                no_subject: table.no_subject,
                by_pattern: false,
                tied: false,
                subject: None,
                columns,
                places,
                purposes: record_purposes,
                star_refused,
                retain: BTreeMap::new(),
                birth: None,
                collected_for,
                collected_others,
                record,
                place,
            },
        );
    }
    let paths: Vec<_> = subjects.keys().map(|name| (name.clone(), path(name, &subjects, &tables, faults))).collect();
    for (name, path) in paths {
        if let Some(table) = tables.get_mut(&name) {
            table.subject = path;
        }
    }
    for (name, written) in retained {
        let limits = retain::limits(&name, written, &tables, purposes, faults);
        if let Some(table) = tables.get_mut(&name) {
            table.retain = limits;
        }
    }
    births::births(births, &mut tables, faults);
    tables
}

/// Where each record says for which purposes it may be used.
fn record_purposes(
    name: &RelationName,
    written: WrittenRecordPurposes,
    columns: &BTreeMap<String, String>,
    faults: &mut Vec<Fault>,
) -> Option<RecordPurposes> {
    let listed = |column: &Located<String>, faults: &mut Vec<Fault>| {
        if !columns.contains_key(&column.value) && !lists_by_pattern(name, columns) {
            faults.push(Fault::error(
                &column.place,
                unknown(&format!("column of `{name}`"), &column.value, columns.keys()),
            ));
        }
        column.value.clone()
    };
    if let Some(column) = written.column {
        return Some(RecordPurposes::Column(listed(&column, faults)));
    }
    let table = written.table?;
    let Ok(relation) = table.value.parse::<RelationName>() else {
        faults.push(Fault::error(&table.place, format!("`{}` must be written as schema.table", table.value)));
        return None;
    };
    let key = listed(&written.key?, faults);
    Some(RecordPurposes::Table {
        table: relation,
        record: written.record?.value,
        key,
        purpose: written.purpose?.value,
        place: written.place,
    })
}

type Columns = (BTreeMap<String, String>, BTreeMap<String, Place>);

fn columns(written: Vec<(Located<String>, Located<String>)>, faults: &mut Vec<Fault>) -> Columns {
    let mut places = BTreeMap::new();
    let mut columns = BTreeMap::new();
    for (column, category) in written {
        if category.value.trim().is_empty() || category.value.contains(['.', '"']) {
            faults.push(Fault::error(
                &category.place,
                format!(
                    "column `{}` has the category `{}`: a category is a name without dots",
                    column.value, category.value
                ),
            ));
        }
        places.insert(column.value.clone(), column.place);
        columns.insert(column.value, category.value);
    }
    (columns, places)
}

/// Follows the references from a table to the column that names the subject.
fn path(
    start: &RelationName,
    subjects: &BTreeMap<RelationName, WrittenSubject>,
    tables: &BTreeMap<RelationName, Table>,
    faults: &mut Vec<Fault>,
) -> Option<SubjectPath> {
    let mut steps: Vec<(String, RelationName, String)> = Vec::new();
    let mut seen = vec![start.clone()];
    let mut at = start.clone();
    let last = loop {
        let subject = subjects.get(&at)?;
        let Some(references) = &subject.references else { break subject.column.value.clone() };
        let target = references.value.parse::<Target>();
        let Ok(Target::Column(relation, column)) = target else {
            note(
                start,
                &at,
                faults,
                &references.place,
                format!("`{}` must be written as schema.table.column", references.value),
            );
            return None;
        };
        if seen.contains(&relation) {
            // Told once, for the table that begins the circle.
            note(
                start,
                &at,
                faults,
                &references.place,
                format!("the subject of `{start}` leads back to `{relation}`: no row has a subject that way"),
            );
            return None;
        }
        match tables.get(&relation) {
            Some(_) if subjects.contains_key(&relation) => {}
            Some(_) => {
                note(
                    start,
                    &at,
                    faults,
                    &references.place,
                    format!("table `{relation}` has no `subject` of its own to lead on to"),
                );
                return None;
            }
            None => {
                let names: Vec<String> = tables.keys().map(ToString::to_string).collect();
                note(start, &at, faults, &references.place, unknown("table", &relation.to_string(), names.iter()));
                return None;
            }
        }
        steps.push((subject.column.value.clone(), relation.clone(), column));
        seen.push(relation.clone());
        at = relation;
    };
    let path = steps.into_iter().rev().fold(SubjectPath::Column(last), |next, (column, relation, references)| {
        SubjectPath::Through { column, relation, references, next: Box::new(next) }
    });
    Some(path)
}

/// A fault of a reference is told where the reference stands, and not again for every table that leads there.
fn note(start: &RelationName, at: &RelationName, faults: &mut Vec<Fault>, place: &Place, message: String) {
    let fault = Fault::error(place, message);
    let told = faults.iter().any(|other| other.file == fault.file && other.line == fault.line);
    if start == at || !told {
        faults.push(fault);
    }
}
