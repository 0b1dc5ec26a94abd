//! Constants that are converted before any row is looked at.
//!
//! A condition is judged by the types of its sides, and a conversion is part of it. That of a literal is made by the parser, or by the planner
//! where its function is immutable: it fails for every statement, whatever rows there are. That of a text into a time is stable, and
//! that of a parameter is left to each row in a generic plan ("PREPARE", `plan_cache_mode`): it fails, if it does, only where a row
//! that the other conditions let through comes by.

use sqlparser::ast::{Expr, UnaryOperator, Value};

use super::Resolver;
use super::from::is_constant;
use crate::catalog::{Oid, builtin};
use crate::sql::ast::types::cast_type;
use crate::sql::form::Known;

impl Resolver<'_> {
    /// The type that a cast gives a constant; `None` where the cast may fail as late as on a row, or is of no constant.
    pub(super) fn converted(&self, from: &Expr, to: &str) -> Option<Oid> {
        let oid = cast_type(to)?;
        let at_once = match from {
            Expr::Nested(inner) => return self.converted(inner, to),
            Expr::Value(value) => match (self.context.constants.known(&value.value), &value.value) {
                (Known::Other, Value::Placeholder(name)) => self.parameter_converts(name, to, oid),
                (Known::Constant(_) | Known::Typed | Known::Boolean | Known::Null | Known::Other, _) => true,
            },
            Expr::TypedString(_) | Expr::Cast { .. } | Expr::UnaryOp { .. } => {
                // What a setting takes part in is not computed by the planner.
                is_constant(from) && self.is_literal(from) && !is_time(oid)
            }
            _ => false,
        };
        at_once.then_some(oid)
    }

    fn parameter_converts(&self, name: &str, to: &str, oid: Oid) -> bool {
        // Cutting a number to size is a step of its own.
        let cut = oid == builtin::NUMERIC && to.contains('(');
        match self.declared(name) {
            // It becomes of that type itself, if no other place decides.
            None => !cut && !self.repeated.contains(name),
            Some(declared) => !cut && converts(declared, oid),
        }
    }

    /// Whether a constant is converted, or fails, before any row is looked at.
    pub(super) fn settles(&self, constant: &Expr) -> bool {
        match constant {
            Expr::Nested(inner) => self.settles(inner),
            Expr::Value(_) | Expr::TypedString(_) => true,
            Expr::Cast { expr, data_type, .. } => match expr.as_ref() {
                // Of a type that no comparison is judged by, too.
                Expr::Value(_) if self.is_literal(expr) => true,
                inner => self.converted(inner, &data_type.to_string()).is_some(),
            },
            other => self.is_literal(other),
        }
    }

    /// What the client declared a parameter to be.
    fn declared(&self, name: &str) -> Option<Oid> {
        let number = name.strip_prefix('$')?.parse::<usize>().ok()?.checked_sub(1)?;
        self.context.parameters.get(number).copied().filter(|oid| ![0, builtin::UNKNOWN].contains(oid))
    }

    /// Whether it is a constant without parameters.
    pub(super) fn is_literal(&self, expr: &Expr) -> bool {
        match expr {
            Expr::Nested(inner) | Expr::Cast { expr: inner, .. } => self.is_literal(inner),
            Expr::UnaryOp { op: UnaryOperator::Minus | UnaryOperator::Plus, expr: inner } => self.is_literal(inner),
            Expr::TypedString(_) => true,
            Expr::Value(value) => match self.context.constants.known(&value.value) {
                Known::Constant(_) | Known::Typed | Known::Boolean | Known::Null => true,
                Known::Other => false,
            },
            _ => false,
        }
    }
}

fn is_time(oid: Oid) -> bool {
    [builtin::DATE, builtin::TIMESTAMP, builtin::TIMESTAMPTZ].contains(&oid)
}

/// Whether no value of a type fails to become one of the other.
fn converts(from: Oid, to: Oid) -> bool {
    use builtin::{BPCHAR, FLOAT4, FLOAT8, INT2, INT4, INT8, NAME, NUMERIC, TEXT, VARCHAR};
    let texts = [TEXT, VARCHAR, BPCHAR, NAME];
    match to {
        _ if from == to => true,
        TEXT => {
            texts.contains(&from)
                || [INT2, INT4, INT8, NUMERIC, FLOAT4, FLOAT8, builtin::BOOL, builtin::UUID].contains(&from)
        }
        INT4 => from == INT2,
        INT8 => [INT2, INT4].contains(&from),
        NUMERIC | FLOAT8 => [INT2, INT4, INT8, FLOAT4].contains(&from) && !(to == NUMERIC && from == FLOAT4),
        FLOAT4 => [INT2, INT4, INT8].contains(&from),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_holds_every_value_converts() {
        use builtin::{DATE, FLOAT4, FLOAT8, INT4, INT8, NUMERIC, TEXT, TIMESTAMPTZ, UUID, VARCHAR};
        for (from, to) in [(INT4, INT8), (INT8, NUMERIC), (FLOAT4, FLOAT8), (VARCHAR, TEXT), (UUID, TEXT), (DATE, DATE)]
        {
            assert!(converts(from, to), "{from} to {to}");
        }
        for (from, to) in [
            (INT8, INT4),
            (TEXT, UUID),
            (VARCHAR, TIMESTAMPTZ),
            (DATE, TIMESTAMPTZ),
            (NUMERIC, FLOAT8),
            (FLOAT8, FLOAT4),
        ] {
            assert!(!converts(from, to), "{from} to {to}");
        }
    }
}
