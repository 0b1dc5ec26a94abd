//! Row filters: who consented, and whose row it is.

use super::condition::condition;
use super::fresh;
use super::{Fail, fail};
use crate::catalog::{Catalog, quote_ident, quote_literal};
use crate::policy::{ConsentFilter, SubjectPath};

/// What the consent table is called within a filter.
const CONSENT: &str = "pgpurpose_consent";

/// `EXISTS (...)` for one relation, whose row is called `row`: live consent for every purpose that needs it.
///
/// A consent table or column that is not there closes the purpose.
pub(super) fn consent(
    filter: &ConsentFilter,
    subject: &SubjectPath,
    row: &str,
    catalog: &Catalog,
) -> Result<String, Fail> {
    let relation = catalog
        .relation(&filter.table)
        .ok_or_else(|| fail(format!("the purpose is closed: its consent table `{}` does not exist", filter.table)))?;
    for column in [&filter.subject, &filter.purpose_column] {
        if relation.column(column).is_none() {
            return Err(fail(format!("the purpose is closed: `{}` has no column `{column}`", filter.table)));
        }
    }
    let active = condition("active", &filter.active, relation, CONSENT, catalog)?;
    let Chain { from, conditions, subject } = chain(subject, row);
    let conditions: String = conditions.iter().map(|condition| format!("{condition} AND ")).collect();
    let each = filter.purposes.iter().map(|purpose| {
        let from: String = from.iter().map(|item| format!("{item}, ")).collect();
        format!(
            "EXISTS (SELECT 1 FROM {from}{table} AS \"{CONSENT}\" WHERE {conditions}\"{CONSENT}\".{by} = {subject} AND \
             \"{CONSENT}\".{purpose_column} = {purpose} AND {active})",
            table = filter.table.to_sql(),
            by = quote_ident(&filter.subject),
            purpose_column = quote_ident(&filter.purpose_column),
            purpose = quote_literal(purpose),
        )
    });
    let each: Vec<String> = std::iter::once(fresh::condition()).chain(each).collect();
    Ok(each.join(" AND "))
}

/// The subject of a row as one expression.
pub(super) fn subject(path: &SubjectPath, row: &str) -> String {
    let Chain { from, conditions, subject } = chain(path, row);
    if from.is_empty() {
        subject
    } else {
        format!("(SELECT {subject} FROM {} WHERE {})", from.join(", "), conditions.join(" AND "))
    }
}

/// How a row leads to its subject: relations to join, conditions, and the subject's column at the end.
pub(super) struct Chain {
    pub(super) from: Vec<String>,
    pub(super) conditions: Vec<String>,
    pub(super) subject: String,
}

/// What the relations on the way are called, the first after the row itself being number 0.
pub(super) fn step(number: usize) -> String {
    format!("pgpurpose_subject{number}")
}

pub(super) fn chain(path: &SubjectPath, row: &str) -> Chain {
    let mut chain = Chain { from: Vec::new(), conditions: Vec::new(), subject: String::new() };
    let mut row = row.to_owned();
    let mut path = path;
    loop {
        match path {
            SubjectPath::Column(column) => {
                chain.subject = format!("{}.{}", quote_ident(&row), quote_ident(column));
                return chain;
            }
            SubjectPath::Through { column, relation, references, next } => {
                let name = step(chain.from.len());
                chain.from.push(format!("{} AS {}", relation.to_sql(), quote_ident(&name)));
                chain.conditions.push(format!(
                    "{}.{} = {}.{}",
                    quote_ident(&name),
                    quote_ident(references),
                    quote_ident(&row),
                    quote_ident(column)
                ));
                row = name;
                path = next;
            }
        }
    }
}
