//! Validates patterns: what they name, and that of two which match one name one is the narrower.

use std::collections::BTreeMap;

use crate::catalog::{RelationName, split_dotted};
use crate::document::{Fault, Located, Place};
use crate::policy::model::pattern::{ColumnPattern, Shape, is_pattern, is_relation_pattern};
use crate::policy::model::{PolicySet, Table};

/// `"*.created_at" = "operational"`: `schema.table.column`, or `*.column` for every table.
pub(in crate::policy) fn columns(
    written: Vec<(Located<String>, Located<String>)>,
    faults: &mut Vec<Fault>,
) -> Vec<ColumnPattern> {
    let mut found = Vec::new();
    for (pattern, category) in written {
        let parts = split_dotted(&pattern.value).unwrap_or_default();
        let shape = match parts.as_slice() {
            [every, column] if every == "*" => Some(["*".to_owned(), "*".to_owned(), column.clone()]),
            [schema, table, column] => Some([schema.clone(), table.clone(), column.clone()]),
            _ => None,
        };
        let Some(shape) = shape else {
            let message = format!(
                "`{}` must be written as `schema.table.column` or `*.column`, where `*` stands for any letters",
                pattern.value
            );
            faults.push(Fault::error(&pattern.place, message));
            continue;
        };
        if category.value.trim().is_empty() || category.value.contains(['.', '"']) {
            let message = format!(
                "pattern `{}` has the category `{}`: a category is a name without dots",
                pattern.value, category.value
            );
            faults.push(Fault::error(&category.place, message));
        }
        found.push(ColumnPattern { shape: Shape(shape), owner: None, category: category.value, place: pattern.place });
    }
    found
}

/// Patterns within the `columns` of a table, which say of that table alone, and every column of a table that is a pattern itself.
pub(in crate::policy) fn of_tables(set: &PolicySet) -> Vec<ColumnPattern> {
    let of_one = |(name, table): (&RelationName, &Table)| {
        let every = is_relation_pattern(name);
        let found: Vec<ColumnPattern> = table
            .columns
            .iter()
            .filter(|(column, _)| every || is_pattern(column))
            .map(|(column, category)| ColumnPattern {
                shape: Shape::of_column(name, column),
                owner: Some(name.clone()),
                category: category.clone(),
                place: table.place_of(column).clone(),
            })
            .collect();
        found
    };
    set.tables.iter().flat_map(of_one).collect()
}

/// Whether which columns a table lists is known only when the database is.
pub(in crate::policy) fn lists_by_pattern(name: &RelationName, columns: &BTreeMap<String, String>) -> bool {
    is_relation_pattern(name) || columns.keys().any(|column| is_pattern(column))
}

/// Takes the patterns out of the tables, when all else is validated.
pub(in crate::policy) fn split(set: &mut PolicySet) {
    let (patterns, tables) =
        std::mem::take(&mut set.tables).into_iter().partition(|(name, _)| is_relation_pattern(name));
    (set.patterns, set.tables) = (patterns, tables);
    for table in set.tables.values_mut() {
        table.columns.retain(|column, _| !is_pattern(column));
    }
}

/// Notes each two patterns that match a name in common of which neither is the narrower, and that no third settles.
pub(in crate::policy) fn ties(set: &PolicySet, faults: &mut Vec<Fault>) {
    let tables: Vec<(Shape, &Place)> =
        set.tables.iter().map(|(name, table)| (Shape::of_relation(name), &table.place)).collect();
    let mut patterns = tables.iter().filter(|(shape, _)| is_shape_pattern(shape));
    while let Some((one, place)) = patterns.next() {
        for (other, again) in patterns.clone().filter(|(other, _)| tie(one, other)) {
            if !tables.iter().any(|(third, _)| third.settles(one, other)) {
                let (name, others) = (of_table(one), of_table(other));
                told(&name, place, &others, again, &of_table(&one.with(other)), faults);
            }
        }
    }
    let exact = set.tables.iter().flat_map(|(name, table)| {
        let plain = table.columns.keys().filter(|column| !is_relation_pattern(name) && !is_pattern(column));
        plain.map(|column| Shape::of_column(name, column))
    });
    let exact: Vec<Shape> = exact.collect();
    let patterns = &set.column_patterns;
    for (number, one) in patterns.iter().enumerate() {
        for other in patterns.iter().skip(number + 1) {
            // Where both say the same it does not matter which is meant.
            let apart = one.owner.is_some() && other.owner.is_some() && one.owner != other.owner;
            if apart || one.category == other.category || !tie(&one.shape, &other.shape) {
                continue;
            }
            let settled = |third: &Shape| third.settles(&one.shape, &other.shape);
            if !exact.iter().any(settled) && !patterns.iter().any(|third| settled(&third.shape)) {
                let (name, others) = (one.shape.to_string(), other.shape.to_string());
                let both = one.shape.with(&other.shape).to_string();
                told(&name, &one.place, &others, &other.place, &both, faults);
            }
        }
    }
}

fn is_shape_pattern(Shape([schema, table, _]): &Shape) -> bool {
    is_pattern(schema) || is_pattern(table)
}

fn of_table(Shape([schema, table, _]): &Shape) -> String {
    RelationName::new(schema, table).to_string()
}

/// Whether both match a name, and neither matches fewer.
fn tie(one: &Shape, other: &Shape) -> bool {
    one.meets(other) && one.within(other) == other.within(one)
}

fn told(one: &str, place: &Place, other: &str, again: &Place, both: &str, faults: &mut Vec<Fault>) {
    // At the later of both, so far as one file has them.
    if (&place.file, place.line) > (&again.file, again.line) {
        return told(other, again, one, place, both, faults);
    }
    let message = format!(
        "`{other}` and `{one}` at {place} can match one name, and neither is the narrower: say what is meant where both match, as `{both}`"
    );
    faults.push(Fault::error(again, message));
}
