//! Whose operators the text means that the proxy writes. PostgreSQL finds an operator by the session's search path and the operands' types:
//! where somebody made one of the same name that calls what nobody reviewed, PostgreSQL's own is named with its schema. What the client
//! wrote went the same way when it was resolved.

use sqlparser::ast::{BinaryOperator, Expr, InTarget, Statement, UnaryOperator};

use crate::sql::ast::marker;
use crate::sql::ast::walk::{Change, change};
use crate::sql::form::context::Context;
use crate::sql::resolve::operator_is_open;
use crate::sql::reviewed::builtins;

/// Names the operators of a statement that is finished, where that is needed. BETWEEN, IN, IS DISTINCT FROM and `CASE x WHEN` name no
/// operator, so that none of them stands in a text of the proxy's.
pub(super) fn name_own(statement: &mut Statement, context: &Context<'_>) {
    if context.catalog.has_calling_operators() {
        change(statement, &mut Own(context));
    }
}

struct Own<'a>(&'a Context<'a>);

impl Own<'_> {
    fn is_closed(&self, name: &str) -> bool {
        builtins::is_operator(name) && !operator_is_open(name, self.0)
    }

    /// The same operator with its schema; `None` where its name is enough, or has a schema.
    fn own(&self, operator: &BinaryOperator) -> Option<BinaryOperator> {
        let name = match operator {
            BinaryOperator::And | BinaryOperator::Or => return None,
            BinaryOperator::Custom(words) if marker::is_words(words) => return None,
            BinaryOperator::PGCustomBinaryOperator(parts) => match parts.as_slice() {
                [name] => name.clone(),
                _ => return None,
            },
            other => other.to_string(),
        };
        self.is_closed(&name).then(|| named(&name))
    }
}

impl Change for Own<'_> {
    fn after_expr(&mut self, expr: &mut Expr) {
        match expr {
            Expr::BinaryOp { left, op, right } => {
                let Some(own) = self.own(op) else { return };
                *op = own;
                // `OPERATOR(..)` binds otherwise than the sign does.
                nest(left);
                nest(right);
                nest(expr);
            }
            Expr::AnyOp { left, compare_op, .. } | Expr::AllOp { left, compare_op, .. } => {
                let Some(own) = self.own(compare_op) else { return };
                *compare_op = own;
                nest(left);
                nest(expr);
            }
            _ => {}
        }
    }
}

fn named(operator: &str) -> BinaryOperator {
    BinaryOperator::PGCustomBinaryOperator(vec!["pg_catalog".to_owned(), operator.to_owned()])
}

fn nest(expr: &mut Expr) {
    if !matches!(expr, Expr::Nested(_)) {
        let inner = std::mem::replace(expr, Expr::Tuple(Vec::new()));
        *expr = Expr::Nested(Box::new(inner));
    }
}

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
