//! A column that is seen masked and set: a value that is the mask of what is there leaves what is there.
//!
//! `SET email = $1` becomes `SET email = CASE WHEN $1 is the mask of email THEN email ELSE $1 END`, the value written once. The mask
//! is the one through which this purpose reads the column, so that the comparison tells no more than reading it does.

use sqlparser::ast::Expr;

use super::{Fail, Rewriter, derived, fail, mask};
use crate::catalog::{Column, TypeClass, builtin, quote_ident};
use crate::error::{Refusal, Stage};
use crate::policy::{Mask, RelationObligation};
use crate::sql::ast::fragment::{FIRST_VALUE, fill, own, parse_expression};
use crate::sql::form::context::Context;
use crate::sql::resolve::{Occurrence, OccurrenceId, plain_type};
use crate::sql::witness::{self, Facts};

/// What the value is called while it is compared.
const NEW: &str = "pgpurpose_kept";

impl Rewriter<'_> {
    /// The value of a mark, or what is there where the value is its mask; as it is where the purpose sees no mask.
    pub(super) fn kept(&mut self, value: &Expr, id: OccurrenceId, position: usize) -> Result<Expr, Fail> {
        let internal = || Refusal::internal(Stage::Rewrite);
        let (occurrence, obligation) = self.get(id)?;
        let column = occurrence.relation.columns.get(position).ok_or_else(internal)?;
        if self.definition {
            return Ok(value.clone());
        }
        let key = (id, position);
        if !self.kept.contains_key(&key) {
            let keeper = keeper(occurrence, obligation, column, self.context)?;
            self.kept.insert(key, keeper);
        }
        let Some(Some((keeper, facts))) = self.kept.get(&key) else { return Ok(value.clone()) };
        let mut expr = keeper.clone();
        self.expected.extend(facts);
        fill(&mut expr, std::slice::from_ref(value))?;
        Ok(expr)
    }
}

/// The mask through which the purpose sees what it sets.
fn seen_through<'a>(obligation: &'a RelationObligation, column: &str) -> Option<&'a Mask> {
    match obligation {
        RelationObligation::Open { .. } => None,
        RelationObligation::Governed { columns, .. } => columns.get(column)?.keep.as_ref(),
    }
}

/// Refuses what sets part of such a column, or in a way that cannot be compared.
pub(super) fn unkept(occurrence: &Occurrence, obligation: &RelationObligation) -> Result<(), Fail> {
    match occurrence.unkept.iter().find(|column| seen_through(obligation, column).is_some()) {
        None => Ok(()),
        Some(column) => Err(fail(format!(
            "column `{}.{column}` cannot be set by this kind of statement for this purpose",
            occurrence.relation.name
        ))
        .detail("the purpose sees it masked, and what is set in part cannot be held against the mask")
        .hint("set the column whole, by a value of its own: `SET a = .., b = ..` or `SET (a, b) = (.., ..)`")),
    }
}

/// What a value of the column is put into, and what that refers to.
fn keeper(
    occurrence: &Occurrence,
    obligation: &RelationObligation,
    column: &Column,
    context: &Context<'_>,
) -> Result<Option<(Expr, Facts)>, Fail> {
    let Some(mask) = seen_through(obligation, &column.name) else { return Ok(None) };
    let RelationObligation::Governed { subject, .. } = obligation else { return Ok(None) };
    let alias = &occurrence.alias;
    let there = format!("{}.{}", quote_ident(alias), quote_ident(&column.name));
    let new = format!("\"{NEW}\".{}", quote_ident(&column.name));
    let name = format!("{}.{}", occurrence.relation.name, column.name);
    let subject = subject.as_ref().and_then(|path| derived::subject_text(path, alias, &occurrence.relation, context));
    let domain = derived::domain(&occurrence.relation, column, context);
    let (purpose, subject) = (context.purpose, subject.as_deref());
    let masked = mask::Masked { column, value: &there, name: &name, domain: &domain, purpose, subject };
    let shown = mask::sql(mask, &masked)
        .ok_or_else(|| fail(format!("mask `{mask}` does not fit column `{name}` of type `{}`", column.type_sql)))?;
    let text = format!(
        "(SELECT CASE WHEN {} THEN {there} ELSE {new} END FROM (SELECT (${FIRST_VALUE})::{} AS {}) AS \"{NEW}\")",
        same(mask, column, &new, &shown),
        compared_type(column),
        quote_ident(&column.name)
    );
    let facts = witness::facts_of(&format!("SELECT {text}"))?;
    Ok(Some((own(parse_expression(&text)?, context.catalog), facts)))
}

/// Whether the new value is what the mask shows. Drivers may bring it back with fewer parts of a second, `char(n)` with blanks, and
/// NULL as the `null` of JSON.
fn same(mask: &Mask, column: &Column, new: &str, shown: &str) -> String {
    let ty = compared_type(column);
    match column.class {
        // Only the mask `null` fits it, and it has no comparison.
        TypeClass::Json => format!("COALESCE(pg_catalog.btrim({new}::pg_catalog.text), 'null') = 'null'"),
        TypeClass::Jsonb => {
            let or_null = |value: &str| format!("COALESCE({value}, 'null'::pg_catalog.jsonb)");
            format!("{} = {}", or_null(new), or_null(&format!("({shown})::{ty}")))
        }
        // No comparison of some types exists, and none is needed.
        _ if *mask == Mask::Null => format!("{new} IS NULL"),
        TypeClass::Timestamp | TypeClass::TimestampTz => {
            let cut = |time: &str| format!("pg_catalog.date_trunc('milliseconds', {time})");
            alike(&cut(new), &cut(&format!("({shown})::{ty}")))
        }
        TypeClass::Text if column.base_oid == builtin::BPCHAR => {
            alike(&format!("pg_catalog.rtrim({new}, ' ')"), &format!("pg_catalog.rtrim(({shown})::{ty}, ' ')"))
        }
        _ => alike(new, &format!("({shown})::{ty}")),
    }
}

/// IS NOT DISTINCT FROM, by an operator that can be named.
fn alike(one: &str, other: &str) -> String {
    format!("CASE WHEN {one} IS NULL THEN {other} IS NULL ELSE COALESCE({one} = {other}, false) END")
}

/// A type in which the value is neither cut nor rounded; `bit` without its length would be one digit.
fn compared_type(column: &Column) -> String {
    let plain = plain_type(column);
    if matches!(plain.as_str(), "bit" | "pg_catalog.bit" | "pg_catalog.\"bit\"") {
        return "pg_catalog.varbit".to_owned();
    }
    plain
}
