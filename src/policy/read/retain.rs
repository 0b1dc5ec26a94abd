//! Validates `retain`: how long rows of a table are kept, for each purpose (POPIA s14).

use std::collections::BTreeMap;

use super::patterns::lists_by_pattern;
use super::told::{twice, unknown};
use crate::catalog::RelationName;
use crate::document::{Fault, Located, Place};
use crate::policy::model::{Limit, Period, Purpose, SinceColumn, SubjectPath, Table, Target, column_name};

/// The key of `retain` for every purpose that has none of its own.
const EVERY_OTHER: &str = "*";

/// The limits of one table, by purpose.
pub(in crate::policy) fn limits(
    name: &RelationName,
    written: Vec<(Option<Located<String>>, Located<String>)>,
    tables: &BTreeMap<RelationName, Table>,
    purposes: &BTreeMap<String, Purpose>,
    faults: &mut Vec<Fault>,
) -> BTreeMap<Option<String>, Limit> {
    let mut limits = BTreeMap::new();
    let mut places: BTreeMap<Option<String>, Place> = BTreeMap::new();
    for (purpose, text) in written {
        let purpose = purpose.filter(|purpose| purpose.value != EVERY_OTHER);
        if let Some(purpose) = &purpose {
            match purposes.get(&purpose.value) {
                None => {
                    faults.push(Fault::error(&purpose.place, unknown("purpose", &purpose.value, purposes.keys())));
                }
                Some(known) if known.destruction => faults.push(Fault::error(
                    &purpose.place,
                    format!("purpose `{}` is for destruction: it sees what is past every other limit", purpose.value),
                )),
                Some(_) => {}
            }
        }
        let key = purpose.map(|purpose| purpose.value);
        if let Some(before) = places.insert(key.clone(), text.place.clone()) {
            twice("limit", key.as_deref().unwrap_or(EVERY_OTHER), &text.place, &before, faults);
        }
        match limit(name, &text.value, tables) {
            Ok(limit) => {
                limits.insert(key, limit);
            }
            Err(message) => faults.push(Fault::error(&text.place, message)),
        }
    }
    limits
}

/// `5 years after closed_at`, `5 years after public.orders.closed_at`.
fn limit(name: &RelationName, text: &str, tables: &BTreeMap<RelationName, Table>) -> Result<Limit, String> {
    let wrong =
        || format!("`retain` is written as `5 years after closed_at`, or as `until closes_on`, and not `{text}`");
    let (period, column) = match text.strip_prefix("until ") {
        Some(column) => (Period::NONE, column),
        None => {
            let (period, column) = text.split_once(" after ").ok_or_else(wrong)?;
            (period.parse().map_err(|()| wrong())?, column)
        }
    };
    let since = match column.trim().parse::<Target>().map_err(|_| wrong())? {
        Target::Category(column) => SinceColumn::Own(column),
        Target::Column(relation, column) if relation == *name => SinceColumn::Own(column),
        Target::Column(relation, column) => SinceColumn::Of(relation, column),
    };
    match &since {
        SinceColumn::Own(column) => {
            let table = tables.get(name).filter(|table| !table.open);
            let unlisted =
                |table: &&Table| !table.columns.contains_key(column) && !lists_by_pattern(name, &table.columns);
            if let Some(table) = table.filter(unlisted) {
                return Err(unknown(&format!("column of `{name}`"), column, table.columns.keys()));
            }
        }
        SinceColumn::Of(relation, column) => {
            let mut path = tables.get(name).and_then(|table| table.subject.as_ref());
            let mut there = false;
            while let Some(SubjectPath::Through { relation: step, next, .. }) = path {
                there |= step == relation;
                path = Some(next);
            }
            if !there {
                return Err(format!(
                    "the period of `{name}` counts from `{}`, and its rows do not lead to their subject by that table",
                    column_name(relation, column)
                ));
            }
        }
    }
    Ok(Limit { period, since })
}
