//! Validates `date_of_birth`, `identity_number` and `no_children`: how it is known whose rows are a child's (POPIA
//! s34-35).

use std::collections::BTreeMap;

use super::patterns::lists_by_pattern;
use super::told::{spoken, unknown};
use crate::catalog::RelationName;
use crate::document::{Fault, Located};
use crate::policy::model::set::key;
use crate::policy::model::{Birth, Table, Target};

/// What a table says.
#[derive(Debug)]
pub(in crate::policy) struct WrittenBirth {
    pub(in crate::policy) table: RelationName,
    pub(in crate::policy) date: Option<Located<String>>,
    pub(in crate::policy) number: Option<Located<String>>,
    pub(in crate::policy) none: Option<Located<String>>,
}

/// Gives every table that says, or whose subjects another table knows, the place of the birth.
///
/// A table whose rows have a subject, and that says nothing, has it from the one table that names the column of its own and
/// whose rows are the subjects themselves.
pub(in crate::policy) fn births(
    written: Vec<WrittenBirth>,
    tables: &mut BTreeMap<RelationName, Table>,
    faults: &mut Vec<Fault>,
) {
    let mut found: BTreeMap<RelationName, Birth> = BTreeMap::new();
    let mut silent = Vec::new();
    for birth in written {
        let said = birth.date.is_some() || birth.number.is_some();
        if let Some(none) = birth.none {
            if said {
                let message = format!("`{}` says both when people are born and that none is a child", birth.table);
                faults.push(Fault::error(&none.place, message));
            }
            spoken(Some(none), "the reason for `no_children`", faults);
            continue;
        }
        if !said {
            silent.push(birth.table);
            continue;
        }
        let (date, number) =
            (place(&birth.table, birth.date, tables, faults), place(&birth.table, birth.number, tables, faults));
        let own = |place: &Option<Place>| place.as_ref().map(|place| place.register.clone());
        let register = match (own(&date), own(&number)) {
            (Some(date), Some(number)) if date != number => {
                let at = tables.get(&birth.table).map(|table| table.place.clone()).unwrap_or_default();
                let message = format!(
                    "`{}` has date of birth and identity number in two tables: both must be of one",
                    birth.table
                );
                faults.push(Fault::error(&at, message));
                continue;
            }
            (Some(register), _) | (None, Some(register)) => register,
            (None, None) => continue,
        };
        let column = |place: Option<Place>| place.map(|place| place.column);
        found.insert(birth.table, Birth { date: column(date), number: column(number), register });
    }
    let registers: Vec<(RelationName, Birth)> = found
        .iter()
        .filter(|(_, birth)| birth.register.is_none())
        .filter_map(|(name, birth)| {
            let subject = key(tables.get(name)?)?;
            Some((name.clone(), Birth { register: Some((name.clone(), subject)), ..birth.clone() }))
        })
        .collect();
    for name in silent {
        let Some(table) = tables.get(&name).filter(|table| table.subject.is_some()) else { continue };
        match registers.as_slice() {
            [] => {}
            [(_, only)] => {
                found.insert(name, only.clone());
            }
            [(one, _), (other, _), ..] => faults.push(Fault::error(
                &table.place,
                format!(
                    "`{one}` and `{other}` both say when people are born: `{name}` must say whose columns tell of its rows, \
                     as `date_of_birth = \"schema.table.column\"`, or why none is a child's, as `no_children`"
                ),
            )),
        }
    }
    for (name, birth) in found {
        if let Some(table) = tables.get_mut(&name) {
            table.birth = Some(birth);
        }
    }
}

/// A column, and the table and its subject's column where it is not the row's own.
struct Place {
    column: String,
    register: Option<(RelationName, String)>,
}

fn place(
    name: &RelationName,
    text: Option<Located<String>>,
    tables: &BTreeMap<RelationName, Table>,
    faults: &mut Vec<Fault>,
) -> Option<Place> {
    let text = text?;
    let found = match text.value.parse::<Target>() {
        Err(_) => Err(format!("`{}` is neither a column nor one written as schema.table.column", text.value)),
        Ok(Target::Category(column)) => listed(name, &column, tables).map(|()| Place { column, register: None }),
        Ok(Target::Column(table, column)) if table == *name => {
            listed(name, &column, tables).map(|()| Place { column, register: None })
        }
        Ok(Target::Column(table, column)) => listed(&table, &column, tables).and_then(|()| {
            if tables.get(name).is_some_and(|table| table.subject.is_none()) {
                return Err(format!("rows of `{name}` have no `subject` by which to find them in `{table}`"));
            }
            match tables.get(&table).and_then(key) {
                Some(subject) => Ok(Place { column, register: Some((table, subject)) }),
                None => Err(format!("`{table}` has no column of its own as `subject` by which its rows are found")),
            }
        }),
    };
    found.map_err(|message| faults.push(Fault::error(&text.place, message))).ok()
}

/// That a table lists a column.
pub(in crate::policy) fn listed(
    name: &RelationName,
    column: &str,
    tables: &BTreeMap<RelationName, Table>,
) -> Result<(), String> {
    match tables.get(name) {
        None => {
            let names: Vec<String> = tables.keys().map(ToString::to_string).collect();
            Err(unknown("table", &name.to_string(), names.iter()))
        }
        Some(table) if table.open || table.columns.contains_key(column) => Ok(()),
        Some(table) if lists_by_pattern(name, &table.columns) => Ok(()),
        Some(table) => Err(unknown(&format!("column of `{name}`"), column, table.columns.keys())),
    }
}
