//! Comparisons of a policy's condition by operators that are named: PostgreSQL finds an operator by the session's search path and the
//! operands' types, where no schema is said.

use sqlparser::ast::{BinaryOperator, Expr, InTarget, UnaryOperator};

use crate::sql::ast::fragment::named;

/// A comparison of a policy's condition that names no operator, by operators that are named; `None` where `is_closed` says of none of those
/// it stands for that another of its name calls what nobody reviewed.
pub(super) fn written_out(expr: &Expr, is_closed: impl Fn(&str) -> bool) -> Option<Expr> {
    match expr {
        Expr::Between { expr: value, negated, low, high } => {
            let ([below, above], both) = match negated {
                true => (["<", ">"], BinaryOperator::Or),
                false => ([">=", "<="], BinaryOperator::And),
            };
            let closed = is_closed(below) || is_closed(above);
            closed.then(|| joined(compared(value, below, low), both, compared(value, above, high)))
        }
        Expr::In { expr: value, target: InTarget::List(list), negated, global: false } => {
            let (name, both) = match negated {
                true => ("<>", BinaryOperator::And),
                false => ("=", BinaryOperator::Or),
            };
            let each = list.iter().map(|item| compared(value, name, item));
            if is_closed(name) { each.reduce(|one, other| joined(one, both.clone(), other)) } else { None }
        }
        Expr::IsDistinctFrom(one, other) if is_closed("=") => {
            let alike = Box::new(alike(one, other));
            Some(Expr::Nested(Box::new(Expr::UnaryOp { op: UnaryOperator::Not, expr: alike })))
        }
        Expr::IsNotDistinctFrom(one, other) if is_closed("=") => Some(alike(one, other)),
        Expr::Like { expr: value, pattern, negated, .. } => {
            let name = if *negated { "!~~" } else { "~~" };
            is_closed(name).then(|| compared(value, name, pattern))
        }
        Expr::ILike { expr: value, pattern, negated, .. } => {
            let name = if *negated { "!~~*" } else { "~~*" };
            is_closed(name).then(|| compared(value, name, pattern))
        }
        _ => None,
    }
}

fn nested(expr: &Expr) -> Box<Expr> {
    Box::new(Expr::Nested(Box::new(expr.clone())))
}

fn joined(left: Expr, op: BinaryOperator, right: Expr) -> Expr {
    Expr::Nested(Box::new(Expr::BinaryOp { left: Box::new(left), op, right: Box::new(right) }))
}

/// Both sides by PostgreSQL's own operator of this name.
pub(super) fn compared(left: &Expr, operator: &str, right: &Expr) -> Expr {
    Expr::Nested(Box::new(Expr::BinaryOp { left: nested(left), op: named(operator), right: nested(right) }))
}

/// IS NOT DISTINCT FROM.
fn alike(one: &Expr, other: &Expr) -> Expr {
    let neither = joined(Expr::IsNull(nested(one)), BinaryOperator::And, Expr::IsNull(nested(other)));
    joined(neither, BinaryOperator::Or, Expr::IsTrue(Box::new(compared(one, "=", other))))
}
