//! New rows: a value that tells of whom a row is makes the statement fail where the purpose may have no row of theirs.

use sqlparser::ast::Expr;

use super::condition::said::Whom;
use super::fresh::{self, NEW_ROW};
use super::{Fail, Rewriter, fail, rows};
use crate::catalog::{Column, quote_ident};
use crate::error::{Refusal, Stage};
use crate::policy::{RelationObligation, RowFilter, Verb};
use crate::sql::ast::fragment::{FIRST_VALUE, fill, own, parse_expression};
use crate::sql::form::context::Context;
use crate::sql::resolve::{Occurrence, OccurrenceId, plain_type};
use crate::sql::witness::{self, Facts};

/// What the value is called while it is looked at.
const NEW: &str = "pgpurpose_new";

impl Rewriter<'_> {
    /// The value of a mark, held to the filters, or as it is where there are none.
    pub(super) fn added(&mut self, inner: &Expr, id: OccurrenceId, position: usize) -> Result<Expr, Fail> {
        let internal = || Refusal::internal(Stage::Rewrite);
        let (occurrence, obligation) = self.get(id)?;
        let column = occurrence.relation.columns.get(position).ok_or_else(internal)?;
        let (value, born) = match inner {
            Expr::Tuple(both) => match both.as_slice() {
                [value, born] => (value, Some(born)),
                _ => return Err(internal()),
            },
            value => (value, None),
        };
        let key = (id, position, born.is_some());
        if !self.held.contains_key(&key) {
            let held = match self.definition {
                true => None,
                false => holder(occurrence, obligation, column, born.is_some(), self.context)?,
            };
            self.held.insert(key, held);
        }
        let Some(Some((holder, facts))) = self.held.get(&key) else { return Ok(value.clone()) };
        let mut expr = holder.clone();
        self.expected.extend(facts);
        let values: Vec<Expr> = std::iter::once(value).chain(born).cloned().collect();
        fill(&mut expr, &values)?;
        Ok(expr)
    }
}

/// What a value of the column is put into, and what that refers to.
fn holder(
    occurrence: &Occurrence,
    obligation: &RelationObligation,
    column: &Column,
    born: bool,
    context: &Context<'_>,
) -> Result<Option<(Expr, Facts)>, Fail> {
    let mut conditions = conditions(occurrence, obligation, column, born, context)?;
    if occurrence.verb == Verb::Insert && obligation.rests_on_wishes() {
        // Before it waits for a row of the same key that somebody else writes.
        conditions.push(fresh::short_wait(context.policies.lock_seconds()));
    }
    if conditions.is_empty() {
        return Ok(None);
    }
    let named = quote_ident(&column.name);
    let text = format!(
        "(SELECT CASE WHEN {} THEN \"{NEW}\".{named} WHEN pg_catalog.current_setting('{NEW_ROW}') IS NULL THEN \"{NEW}\".{named} END \
         FROM (SELECT (${FIRST_VALUE})::{} AS {named}) AS \"{NEW}\")",
        conditions.join(" AND "),
        plain_type(column)
    );
    let facts = witness::facts_of(&format!("SELECT {text}"))?;
    Ok(Some((own(parse_expression(&text)?, context.catalog), facts)))
}

/// Refuses what writes values that tell of whom rows are, where they cannot be looked at.
pub(super) fn unheld(
    occurrence: &Occurrence,
    obligation: &RelationObligation,
    context: &Context<'_>,
) -> Result<(), Fail> {
    for column in &occurrence.unheld {
        let Some(column) = occurrence.relation.column(column) else { return Err(Refusal::internal(Stage::Rewrite)) };
        if !conditions(occurrence, obligation, column, false, context)?.is_empty() {
            let message = format!(
                "column `{}.{}` cannot be set by this kind of statement for this purpose",
                occurrence.relation.name, column.name
            );
            return Err(fail(message)
                .detail("it tells of whom a row is, and the purpose may have no rows of children, or of some data subjects")
                .hint("set each column by a value of its own: `INSERT INTO t (a, b) VALUES (..)` or `SELECT a, b`, `UPDATE t SET a = .., b = ..`"));
        }
    }
    Ok(())
}

/// Each condition that a value of the column must meet.
fn conditions(
    occurrence: &Occurrence,
    obligation: &RelationObligation,
    column: &Column,
    born: bool,
    context: &Context<'_>,
) -> Result<Vec<String>, Fail> {
    let RelationObligation::Governed { added, subject, .. } = obligation else { return Ok(Vec::new()) };
    let place = rows::Place {
        relation: &occurrence.relation,
        row: NEW,
        subject: subject.as_ref(),
        catalog: context.catalog,
        whom: Whom::of(context),
    };
    let (mut conditions, mut wishes) = (Vec::new(), false);
    for filter in added {
        let born = match filter {
            RowFilter::Adults(birth) if born => {
                let date = birth.date.as_deref().and_then(|date| occurrence.relation.column(date));
                date.map(|date| format!("${}::{}", FIRST_VALUE.saturating_add(1), plain_type(date)))
            }
            _ => None,
        };
        let held = rows::of_value(filter, place, &column.name, born.as_deref())?;
        wishes |= matches!(filter, RowFilter::NotListed(_)) && held.is_some();
        conditions.extend(held);
    }
    if wishes {
        conditions.insert(0, fresh::condition());
    }
    Ok(conditions)
}
