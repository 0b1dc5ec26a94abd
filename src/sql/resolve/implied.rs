//! What a statement calls without naming it: the operators of IN, BETWEEN, CASE and the like, and what a type brings along.
//!
//! PostgreSQL finds such operators by the session's search path and the operands' types; casts and operator classes by the
//! types alone. One that calls what nobody reviewed is kept clear of.

use sqlparser::ast::{BinaryOperator, Expr, InTarget};

use super::function::calls_unreviewed;
use super::{Fail, Resolved, Resolver, body};
use crate::catalog::Oid;
use crate::policy::{Action, Permit, RelationObligation, Verb};
use crate::sql::form::context::Context;
use crate::sql::reviewed::builtins;

/// Whether each function may be called without being named: by the policy, or as a built-in one that is harmless for any arguments.
pub(super) fn open(functions: &[(String, String)], context: &Context<'_>) -> bool {
    functions
        .iter()
        .all(|(schema, function)| open_by_name(schema, function, context) || body::computes(schema, function, context))
}

/// The same by its name alone, whatever stands in it.
pub(super) fn open_by_name(schema: &str, function: &str, context: &Context<'_>) -> bool {
    context.policies.allows_function(schema, function)
        || (schema == "pg_catalog"
            && builtins::is_reviewed(function)
            && !matches!(function, "current_setting" | "set_config" | "nextval"))
}

impl Resolver<'_> {
    /// The grammar compares by an operator that it does not write: fine where no operator of that name calls unreviewed code, or
    /// where both sides are plain columns or constants for which PostgreSQL has its own.
    pub(super) fn implied(&self, form: &str, operator: &str, left: &Expr, right: &Expr) -> Result<(), Fail> {
        if self.operator_name(operator).is_ok() || self.compares_as_builtin(operator, left, right) {
            return Ok(());
        }
        Err(calls_unreviewed(&format!("{form}, which stands for the operator `{operator}`,"))
            .hint(format!("write the comparison out, with `OPERATOR(pg_catalog.{operator})`, or let a policy open its function: `[functions] allow = [\"schema.name\"]`")))
    }

    /// BETWEEN in any form.
    pub(super) fn implied_between(&self, negated: bool, value: &Expr, low: &Expr, high: &Expr) -> Result<(), Fail> {
        let (above, below) = if negated { ("<", ">") } else { (">=", "<=") };
        let symmetric = |bound| match bound {
            Expr::Prefixed { value, .. } => value.as_ref().clone(),
            bound => bound,
        };
        let (low, high) = (symmetric(low.clone()), symmetric(high.clone()));
        for (operator, bound) in [(above, &low), (below, &high), (above, &high), (below, &low)] {
            self.implied("BETWEEN", operator, value, bound)?;
        }
        Ok(())
    }

    /// `x IN (SELECT ..)` is `x = ANY (SELECT ..)`, which can say whose `=` is meant.
    pub(super) fn explicit_in(&self, expr: &mut Expr) {
        if self.operator_name("=").is_ok() {
            return;
        }
        let hollow = Expr::Tuple(Vec::new());
        *expr = match std::mem::replace(expr, hollow) {
            Expr::In { expr: inner, target: InTarget::Subquery(subquery), negated, global: false } => {
                let any = Expr::AnyOp {
                    left: inner,
                    compare_op: BinaryOperator::Eq,
                    right: Box::new(Expr::Subquery(subquery)),
                    is_some: false,
                };
                let any = Expr::Nested(Box::new(any));
                if negated {
                    Expr::Nested(Box::new(Expr::UnaryOp {
                        op: sqlparser::ast::UnaryOperator::Not,
                        expr: Box::new(any),
                    }))
                } else {
                    any
                }
            }
            other => other,
        };
    }

    /// Casts between built-in types that somebody added: no statement can be told to keep clear of them.
    pub(super) fn no_calls_anywhere(&self) -> Result<(), Fail> {
        if open(self.context.catalog.value_calls(0), self.context) {
            return Ok(());
        }
        Err(calls_unreviewed("a cast or an operator class between built-in types, which any statement may use,"))
    }
}

/// Whether the columns that the statement gets have types that call nothing that nobody reviewed.
///
/// # Errors
/// 42501.
pub(in crate::sql) fn check_values(resolved: &Resolved, permit: &Permit, context: &Context<'_>) -> Result<(), Fail> {
    let catalog = context.catalog;
    let calls = |oid: Oid| !open(catalog.value_calls(oid), context);
    for (occurrence, obligation) in resolved.occurrences.iter().zip(permit.relations()) {
        if occurrence.verb != Verb::Select && !open(catalog.write_calls(), context) {
            return Err(calls_unreviewed("a cast between built-in types, which any write may use,"));
        }
        for column in &occurrence.relation.columns {
            let got = match obligation {
                RelationObligation::Open { .. } => occurrence.star || occurrence.uses.contains_key(&column.name),
                RelationObligation::Governed { columns, .. } => {
                    columns.get(&column.name).is_some_and(|column| !matches!(column.action, Action::Omit))
                }
            };
            if got && calls(column.type_oid) {
                return Err(calls_unreviewed(&format!(
                    "column `{}.{}`, whose type compares or converts its values by a function,",
                    occurrence.relation.name, column.name
                )));
            }
        }
    }
    Ok(())
}

/// Whether parameters may have these types.
///
/// # Errors
/// 42501; 42704 where one is not known.
pub fn open_parameters(oids: &[Oid], context: &Context<'_>) -> Result<(), Fail> {
    for &oid in oids.iter().filter(|oid| **oid != 0) {
        let Some(ty) = context.catalog.type_by_oid(oid) else {
            return Err(super::Refusal::new(
                super::Stage::Resolve,
                super::SqlState::UNDEFINED_OBJECT,
                format!("type {oid} of a parameter does not exist"),
            ));
        };
        if !open(context.catalog.type_calls(&ty.name), context) || !open(context.catalog.value_calls(oid), context) {
            return Err(calls_unreviewed(&format!("a parameter of the type `{}`", ty.name)));
        }
    }
    Ok(())
}

/// A type by its name as text: in whatever schema, its casts and checks must call nothing that nobody reviewed.
pub(super) fn named_type(written: &str, context: &Context<'_>) -> Result<(), Fail> {
    let calls = written.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$')).any(|word| {
        let calls = |word: &str| !open(context.catalog.type_calls(word), context);
        calls(word) || calls(&word.to_lowercase())
    });
    if calls { Err(super::function::calls_unreviewed("this type")) } else { Ok(()) }
}
