//! A catalog made of what the policies themselves say, for when there is no database to ask.
//!
//! It holds the tables that are listed with columns, and the table of consents. A column's type is not in a policy, so
//! it is assumed: `text`, or where the masks of that column do not fit a text the first of `date`, `numeric`, `uuid`
//! and `timestamp with time zone` that they all fit. There are no keys, views, functions or open tables' columns in it:
//! a test that needs them needs the database (`check --live`).

use std::collections::BTreeSet;

use crate::catalog::{Catalog, CatalogBuilder, RelationName, TypeClass};
use crate::policy::{ListedColumn, PolicySet, SubjectPath};

const TYPES: [(&str, TypeClass); 5] = [
    ("text", TypeClass::Text),
    ("date", TypeClass::Date),
    ("numeric", TypeClass::Numeric),
    ("uuid", TypeClass::Uuid),
    ("timestamp with time zone", TypeClass::TimestampTz),
];

/// The catalog that the policies imply.
pub(super) fn catalog(policies: &PolicySet) -> Catalog {
    let mut builder = CatalogBuilder::new();
    for table in policies.listed_tables() {
        let listed = policies.listed_columns(&table);
        let mut columns: Vec<(&str, &str)> = listed.iter().map(|column| (column.name, assumed_type(column))).collect();
        let referred = referred_columns(policies, &table);
        for column in &referred {
            if !columns.iter().any(|(name, _)| name == column) {
                columns.push((column, "text"));
            }
        }
        builder.table(table, &columns, &[]);
    }
    if let Some(consent) = policies.listed_consent() {
        let words = words(consent.active);
        let mut columns = vec![(consent.subject, "text"), (consent.purpose, "text")];
        for word in &words {
            if !columns.iter().any(|(name, _)| name == word) {
                columns.push((word, "text"));
            }
        }
        if policies.listed_columns(consent.table).is_empty() {
            builder.table(consent.table.clone(), &columns, &[]);
        }
    }
    builder.build()
}

fn assumed_type(column: &ListedColumn<'_>) -> &'static str {
    let fits_all = |class| column.masks.iter().all(|mask| mask.fits(class));
    TYPES.iter().find(|(_, class)| fits_all(*class)).map_or("text", |(sql, _)| sql)
}

/// Columns of this table by which rows of any table lead to their subject.
fn referred_columns(policies: &PolicySet, table: &RelationName) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for owner in policies.listed_tables() {
        let mut at = owner.clone();
        let mut path = policies.listed_subject(&owner);
        while let Some(step) = path {
            match step {
                SubjectPath::Column(column) => {
                    found.extend((at == *table).then(|| column.clone()));
                    path = None;
                }
                SubjectPath::Through { column, relation, references, next } => {
                    found.extend((at == *table).then(|| column.clone()));
                    found.extend((relation == table).then(|| references.clone()));
                    at = relation.clone();
                    path = Some(next);
                }
            }
        }
    }
    found
}

/// Every word of a condition: more than its columns, which does no harm.
fn words(condition: &str) -> BTreeSet<String> {
    condition
        .split(|c: char| !(c.is_alphanumeric() || c == '_'))
        .filter(|word| word.starts_with(|c: char| c.is_alphabetic() || c == '_'))
        .flat_map(|word| [word.to_owned(), word.to_lowercase()])
        .collect()
}
