//! A catalog made of what the policies themselves say, for when there is no database to ask.
//!
//! It holds the tables that are listed with columns, and those of consents, objections and the like. A column's type is not in a policy, so
//! it is assumed: `text`, another in a condition that text does not fit, or where the masks of that column do not fit a text the first of `date`, `numeric`, `uuid`
//! and `timestamp with time zone` that they all fit. There are no keys, views, functions or open tables' columns in it:
//! a test that needs them needs the database (`check --live`).

use std::collections::{BTreeMap, BTreeSet};

use crate::catalog::{Catalog, CatalogBuilder, RelationName, TypeClass};
use crate::policy::{Holds, ListedColumn, PolicySet, ROWS, Stated, SubjectPath, WishTable};
use crate::sql::unsettled_among;

const TYPES: [(&str, TypeClass); 5] = [
    ("text", TypeClass::Text),
    ("date", TypeClass::Date),
    ("numeric", TypeClass::Numeric),
    ("uuid", TypeClass::Uuid),
    ("timestamp with time zone", TypeClass::TimestampTz),
];

/// So many columns of one condition may be something else than text.
const MOST_CHANGED: usize = 3;

/// The catalog that the policies imply.
pub(super) fn catalog(policies: &PolicySet) -> Catalog {
    let mut builder = CatalogBuilder::new();
    // Once for all tables: each rule is held against each of them.
    let mut stated: BTreeMap<&RelationName, Vec<Stated<'_>>> = BTreeMap::new();
    for one in policies.conditions() {
        stated.entry(one.table).or_default().push(one);
    }
    let stated_of = |table: &RelationName| stated.get(table).map_or(&[][..], Vec::as_slice);
    let all_needed = policies.needed_columns();
    let wishes = policies.wish_tables();
    let referred = referred_columns(policies);
    for table in policies.listed_tables() {
        let listed = policies.listed_columns(&table);
        let needed: Vec<_> = all_needed.iter().filter(|needed| *needed.table == table).collect();
        let holds = |name: &str| needed.iter().find(|needed| needed.column == name).map(|needed| needed.holds);
        let mut columns: Vec<(&str, &'static str)> =
            listed.iter().map(|column| (column.name, assumed_type(column, holds(column.name)))).collect();
        for needed in &needed {
            if !columns.iter().any(|(name, _)| *name == needed.column) {
                columns.push((needed.column, assumed_needed(needed.holds)));
            }
        }
        for column in referred.get(&table).into_iter().flatten() {
            if !columns.iter().any(|(name, _)| name == column) {
                columns.push((column, "text"));
            }
        }
        let own = stated_of(&table).iter().filter(|stated| stated.key == ROWS);
        let own = own.map(|stated| stated.text).collect::<Vec<_>>().join(" ");
        let named = words(&own);
        for name in named.iter().filter(|name| name.as_str() != "login") {
            if !columns.iter().any(|(known, _)| known == name) {
                columns.push((name, "text"));
            }
        }
        settle(stated_of(&table), &WishTable { table: &table, condition: own }, &mut columns);
        for wish in wishes.iter().filter(|wish| *wish.table == table) {
            settle(stated_of(&table), wish, &mut columns);
        }
        builder.table(table, &columns, &[]);
    }
    for wish in &wishes {
        if !policies.listed_columns(wish.table).is_empty() {
            continue;
        }
        let mut columns: Vec<(&str, &'static str)> = all_needed
            .iter()
            .filter(|needed| needed.table == wish.table)
            .map(|needed| (needed.column, assumed_needed(needed.holds)))
            .collect();
        let consent = policies.listed_consent().filter(|consent| consent.table == wish.table);
        let words = words(&wish.condition);
        let named = consent.iter().flat_map(|consent| [consent.subject, consent.purpose]);
        for name in named.chain(words.iter().map(String::as_str)) {
            if !columns.iter().any(|(known, _)| *known == name) {
                columns.push((name, "text"));
            }
        }
        settle(stated_of(wish.table), wish, &mut columns);
        builder.table(wish.table.clone(), &columns, &[]);
    }
    builder.build()
}

fn assumed_needed(holds: Holds) -> &'static str {
    if holds == Holds::Day { "date" } else { "text" }
}

fn assumed_type(column: &ListedColumn<'_>, holds: Option<Holds>) -> &'static str {
    let held = |class| holds.is_none_or(|holds| holds.fits(class));
    let fits_all = |class| held(class) && column.masks.iter().all(|mask| mask.fits(class));
    TYPES.iter().find(|(_, class)| fits_all(*class)).map_or("text", |(sql, _)| sql)
}

/// By table, its columns by which rows of any table lead to their subject.
fn referred_columns(policies: &PolicySet) -> BTreeMap<RelationName, BTreeSet<String>> {
    let mut found: BTreeMap<RelationName, BTreeSet<String>> = BTreeMap::new();
    for owner in policies.listed_tables() {
        let mut path = policies.listed_subject(&owner);
        let mut at = owner;
        while let Some(step) = path {
            match step {
                SubjectPath::Column(column) => {
                    found.entry(at.clone()).or_default().insert(column.clone());
                    path = None;
                }
                SubjectPath::Through { column, relation, references, next } => {
                    found.entry(at).or_default().insert(column.clone());
                    found.entry(relation.clone()).or_default().insert(references.clone());
                    at = relation.clone();
                    path = Some(next);
                }
            }
        }
    }
    found
}

/// Changes the fewest types of columns of a table of wishes for which its condition is understood: `granted` alone is true or
/// false, and no text. Where none are found the types stay, and the condition is told to be wrong.
fn settle(stated: &[Stated<'_>], wish: &WishTable<'_>, columns: &mut [(&str, &'static str)]) {
    const OTHERS: [&str; 5] = ["boolean", "timestamp with time zone", "date", "numeric", "uuid"];
    let understood = |columns: &[(&str, &str)]| {
        let mut builder = CatalogBuilder::new();
        builder.table(wish.table.clone(), columns, &[]);
        unsettled_among(stated.iter().copied(), &builder.build()).is_empty()
    };
    if understood(columns) {
        return;
    }
    let words = words(&wish.condition);
    let named: Vec<usize> =
        (0..columns.len()).filter(|at| columns.get(*at).is_some_and(|(name, _)| words.contains(*name))).collect();
    // Each way to give the columns types, those that change fewer of them first.
    let mut ways: Vec<Vec<(usize, &'static str)>> = vec![Vec::new()];
    for _ in 0..MOST_CHANGED {
        let mut wider = Vec::new();
        for way in &ways {
            let last = way.last().map_or(0, |(at, _)| at.saturating_add(1));
            for at in named.iter().copied().filter(|at| *at >= last) {
                wider.extend(OTHERS.map(|other| [way.as_slice(), &[(at, other)]].concat()));
            }
        }
        for way in &wider {
            let mut tried = columns.to_vec();
            for (at, other) in way {
                if let Some(column) = tried.get_mut(*at) {
                    column.1 = other;
                }
            }
            if understood(&tried) {
                columns.copy_from_slice(&tried);
                return;
            }
        }
        ways = wider;
    }
}

/// Every word of a condition: more than its columns, which does no harm.
fn words(condition: &str) -> BTreeSet<String> {
    condition
        .split(|c: char| !(c.is_alphanumeric() || c == '_'))
        .filter(|word| word.starts_with(|c: char| c.is_alphabetic() || c == '_'))
        .flat_map(|word| [word.to_owned(), word.to_lowercase()])
        .collect()
}
