//! What is asked of the database again before rows of a cursor, or of a portal that is read in parts, go out: whose data subjects
//! still wish that they are seen.
//!
//! Such rows are as they were when the cursor was opened, however late they are read. Each has the key of whoever must have
//! agreed, as a hidden column; a key that the query here does not give back keeps its row from the client.

use super::condition::said::Whom;
use super::subjects::Parts;
use super::{Fail, fail, filter, fresh, rows};
use crate::catalog::{Column, Oid, Relation, TypeClass, quote_ident};
use crate::error::{Refusal, Stage};
use crate::policy::{RelationObligation, RowFilter, SubjectPath};
use crate::sql::form::context::Context;
use crate::sql::resolve::OccurrenceId;
use crate::sql::reviewed::definitions::ROW;
use crate::sql::witness;

/// Types from this number on are not PostgreSQL's own, and are written with their schema (`FirstNormalObjectId`).
const FIRST_OF_USERS: Oid = 16384;

/// A key as the row has it.
const KEY: &str = "pgpurpose_key";

/// What is asked again of rows that are read later than they were opened.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Recheck {
    /// Each takes keys as one parameter, `text[]`, and gives those whose rows may still be seen, as one column of text.
    pub queries: Vec<String>,
    /// For each hidden column of the rows, in their order, which query is asked about its keys; `None`: none.
    pub columns: Vec<Option<usize>>,
}

impl Recheck {
    /// Whether nothing is asked.
    pub fn is_empty(&self) -> bool {
        self.queries.is_empty()
    }

    /// Bytes that it takes, estimated.
    pub fn weight(&self) -> usize {
        let queries: usize = self.queries.iter().map(String::len).sum();
        queries + self.columns.len() * size_of::<Option<usize>>()
    }
}

/// The queries for rows whose hidden columns have the keys of these occurrences.
///
/// # Errors
/// 42501 where some rows that rest on wishes have no key, or a table that is needed is not there.
pub(super) fn recheck(
    keys: &[OccurrenceId],
    keyless: &[OccurrenceId],
    parts: &Parts<'_>,
    context: &Context<'_>,
) -> Result<Recheck, Fail> {
    let wished = |id: &OccurrenceId| parts.obligations.get(*id).is_some_and(RelationObligation::rests_on_wishes);
    if keyless.iter().any(wished) {
        return Err(fail("rows that rest on consent are read later than they are asked for only one by one")
            .detail("they are counted, grouped, made distinct or tested for, so that a consent that is withdrawn meanwhile would still be used")
            .hint("read the rows without a cursor (a fetch size of 0), in pages if need be: `WHERE id > $1 ORDER BY id LIMIT 1000`"));
    }
    let mut recheck = Recheck::default();
    for id in keys {
        let fault = || Refusal::internal(Stage::Rewrite);
        let obligation = parts.obligations.get(*id).ok_or_else(fault)?;
        if !obligation.rests_on_wishes() {
            recheck.columns.push(None);
            continue;
        }
        let relation = &parts.occurrences.get(*id).ok_or_else(fault)?.relation;
        let query = query(relation, obligation, context)?;
        let at = recheck.queries.iter().position(|known| *known == query).unwrap_or_else(|| {
            recheck.queries.push(query);
            recheck.queries.len().saturating_sub(1)
        });
        recheck.columns.push(Some(at));
    }
    Ok(recheck)
}

fn query(relation: &Relation, obligation: &RelationObligation, context: &Context<'_>) -> Result<String, Fail> {
    let RelationObligation::Governed { consent, rows: filters, subject: Some(path), .. } = obligation else {
        return Err(Refusal::internal(Stage::Rewrite));
    };
    let (relation, column) = whose(relation, path, context)
        .ok_or_else(|| fail(format!("the policy does not say whose the rows of `{}` are", relation.name)))?;
    let path = SubjectPath::Column(column.name.clone());
    let mut conditions = match consent {
        Some(consent) => vec![filter::consent(consent, &path, ROW, context.catalog)?],
        None => vec![fresh::condition()],
    };
    let place =
        rows::Place { relation, row: ROW, subject: Some(&path), catalog: context.catalog, whom: Whom::of(context) };
    for filter in filters {
        match filter {
            RowFilter::NotListed(_) | RowFilter::Approachable(_) => conditions.push(rows::condition(filter, place)?),
            // Of the row itself, and nobody's wish.
            RowFilter::Kept(_)
            | RowFilter::Due(_)
            | RowFilter::Adults(_)
            | RowFilter::Own(_)
            | RowFilter::Allowed(..)
            | RowFilter::OfActor(_) => {}
        }
    }
    let text = format!(
        "SELECT \"{ROW}\".\"{KEY}\" FROM (SELECT k AS \"{KEY}\", k::{} AS {} FROM pg_catalog.unnest($1::pg_catalog.text[]) AS u(k)) \
         AS \"{ROW}\" WHERE {}",
        type_of(column),
        quote_ident(&column.name),
        conditions.join(" AND ")
    );
    // PostgreSQL's own grammar reads it.
    witness::facts_of(&text)?;
    Ok(text)
}

/// The type of a key, whatever the session's search path is.
fn type_of(column: &Column) -> &str {
    if column.base_oid >= FIRST_OF_USERS {
        return &column.base_sql;
    }
    match column.class {
        TypeClass::Integer => "pg_catalog.int8",
        TypeClass::Numeric => "pg_catalog.numeric",
        TypeClass::Text => "pg_catalog.text",
        TypeClass::Uuid => "pg_catalog.uuid",
        _ => &column.base_sql,
    }
}

/// The column at the end of a path, and its relation.
fn whose<'a>(
    relation: &'a Relation,
    path: &SubjectPath,
    context: &'a Context<'_>,
) -> Option<(&'a Relation, &'a Column)> {
    let (mut at, mut step) = (relation, path);
    loop {
        match step {
            SubjectPath::Column(column) => return Some((at, at.column(column)?)),
            SubjectPath::Through { relation, next, .. } => {
                at = context.catalog.relation(relation)?;
                step = next;
            }
        }
    }
}
