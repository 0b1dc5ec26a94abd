//! Conditions that a masked column is held to: where a mask keeps the order of values, they say between which raw values a row
//! stands, and the rewrite may say so below the mask, where an index or a partition is found by it.
//!
//! Only conjuncts of WHERE over a relation that no outer join fills with NULLs: a row for which one does not hold reaches
//! nothing, so that leaving it out earlier changes nothing. And only where nothing but groups comes of the rows: found by the
//! index of the raw column they come in its order, which the mask hides.

use std::collections::HashSet;
use std::ops::ControlFlow;

use sqlparser::ast::{BinaryOperator, Expr, Function, FunctionArguments, GroupByExpr, Select, SelectItem};

use super::from::is_constant;
use super::group::{called, has_aggregate};
use super::names::name_of;
use super::safety::preserved;
use super::scope::Meaning;
use super::{OccurrenceId, Resolver};
use crate::catalog::{Column, Oid, builtin};
use crate::policy::Verb;
use crate::sql::ast::walk::{Look, look};
use crate::sql::reviewed::builtins;

/// A conjunct `column < constant` and the like.
#[derive(Debug, Clone)]
pub(in crate::sql) struct Range {
    /// The catalog column.
    pub(in crate::sql) column: String,
    /// How its value stands to the constant.
    pub(in crate::sql) side: Side,
    /// The constant, or a date with an interval added; it can be cast to the column's base type without loss, or to a date with
    /// the same outcome.
    pub(in crate::sql) value: Expr,
    /// It has a time of day, whatever the column's type.
    pub(in crate::sql) timed: bool,
}

/// How a value stands to a constant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sql) enum Side {
    /// `<`
    Below,
    /// `<=`
    AtMost,
    /// `=`
    Equal,
    /// `>=`
    AtLeast,
    /// `>`
    Above,
}

impl Side {
    fn of(operator: &BinaryOperator) -> Option<Self> {
        match operator {
            BinaryOperator::Lt => Some(Self::Below),
            BinaryOperator::LtEq => Some(Self::AtMost),
            BinaryOperator::Eq => Some(Self::Equal),
            BinaryOperator::GtEq => Some(Self::AtLeast),
            BinaryOperator::Gt => Some(Self::Above),
            _ => None,
        }
    }

    /// With the constant on the left.
    fn turned(self) -> Self {
        match self {
            Self::Below => Self::Above,
            Self::AtMost => Self::AtLeast,
            Self::Equal => Self::Equal,
            Self::AtLeast => Self::AtMost,
            Self::Above => Self::Below,
        }
    }

    fn operator(self) -> &'static str {
        match self {
            Self::Below => "<",
            Self::AtMost => "<=",
            Self::Equal => "=",
            Self::AtLeast => ">=",
            Self::Above => ">",
        }
    }
}

impl Resolver<'_> {
    /// Notes each conjunct of WHERE that compares a column with a constant by PostgreSQL's own operator.
    pub(super) fn ranges(&mut self, select: &Select, before: usize) {
        if let Some(selection) = &select.selection
            && hides_order(select)
        {
            self.ranges_in(selection, &preserved(&select.from), before);
        }
    }

    fn ranges_in(&mut self, expr: &Expr, preserved: &HashSet<OccurrenceId>, before: usize) {
        match expr {
            Expr::BinaryOp { left, op: BinaryOperator::And, right } => {
                self.ranges_in(left, preserved, before);
                self.ranges_in(right, preserved, before);
            }
            Expr::Nested(inner) => self.ranges_in(inner, preserved, before),
            Expr::BinaryOp { left, op, right } => {
                let Some(side) = Side::of(op) else { return };
                self.range(left, side, right, preserved, before);
                self.range(right, side.turned(), left, preserved, before);
            }
            Expr::Between { expr, negated: false, low, high } if !matches!(low.as_ref(), Expr::Prefixed { .. }) => {
                self.range(expr, Side::AtLeast, low, preserved, before);
                self.range(expr, Side::AtMost, high, preserved, before);
            }
            _ => {}
        }
    }

    fn range(&mut self, column: &Expr, side: Side, value: &Expr, preserved: &HashSet<OccurrenceId>, before: usize) {
        let parts: Vec<String> = match column {
            Expr::Identifier(ident) => vec![name_of(ident)],
            Expr::CompoundIdentifier(idents) => idents.iter().map(name_of).collect(),
            _ => return,
        };
        let Ok(Meaning::Column(origins)) = self.meaning(&parts) else { return };
        let [(id, name)] = origins.as_slice() else { return };
        let Some(occurrence) = self.occurrences.get(*id) else { return };
        if *id < before || occurrence.verb != Verb::Select || !preserved.contains(id) {
            return;
        }
        let Some(held) = occurrence.relation.column(name) else { return };
        let Some(ty) = self.type_of_value(value) else { return };
        let open = self.context.catalog.operator_calls(side.operator());
        if !open.is_empty() || !fits(held, ty) {
            return;
        }
        let timed = ty == Some(builtin::TIMESTAMP);
        let range = Range { column: name.clone(), side, value: value.clone(), timed };
        if let Some(occurrence) = self.occurrences.get_mut(*id) {
            occurrence.ranges.push(range);
        }
    }

    /// The type of a constant, or of a date or time with intervals added; `Some(None)` for one that takes the column's type.
    fn type_of_value(&self, value: &Expr) -> Option<Option<Oid>> {
        match value {
            Expr::Nested(inner) => self.type_of_value(inner),
            Expr::BinaryOp { left, op, right } => {
                let name = match op {
                    BinaryOperator::Plus => "+",
                    BinaryOperator::Minus => "-",
                    _ => return None,
                };
                let own = self.context.catalog.operator_calls(name).is_empty();
                let interval = matches!(right.as_ref(), Expr::Interval(interval) if is_constant(&interval.value));
                match self.type_of_value(left)? {
                    Some(builtin::DATE | builtin::TIMESTAMP) if own && interval => Some(Some(builtin::TIMESTAMP)),
                    _ => None,
                }
            }
            value if is_constant(value) => self.operand(value),
            _ => None,
        }
    }
}

/// Whether what comes of the rows is the same in whatever order they come: groups, and aggregates that do not depend on it.
fn hides_order(select: &Select) -> bool {
    struct Ordered;
    impl Look for Ordered {
        fn expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            match expr {
                Expr::Function(function) if !is_orderless(function) => ControlFlow::Break(()),
                _ => ControlFlow::Continue(()),
            }
        }
    }
    let grouped = match &select.group_by {
        GroupByExpr::Expressions(keys, modifiers) => modifiers.is_empty() && !keys.is_empty(),
        GroupByExpr::All(_) => return false,
    };
    let plain = |item: &SelectItem| matches!(item, SelectItem::UnnamedExpr(_) | SelectItem::ExprWithAlias { .. });
    (grouped || select.projection.iter().any(has_aggregate))
        && select.distinct.is_none()
        && select.projection.iter().all(plain)
        && look(&select.projection, &mut Ordered).is_continue()
        && look(&select.having, &mut Ordered).is_continue()
}

fn is_orderless(function: &Function) -> bool {
    let Some(name) = called(function) else { return false };
    let plain = match &function.args {
        FunctionArguments::List(list) => list.clauses.is_empty(),
        FunctionArguments::None => true,
        FunctionArguments::Subquery(_) => false,
    };
    let known = if builtins::is_aggregate(&name) {
        builtins::is_group_aggregate(&name) || matches!(name.as_str(), "min" | "max")
    } else {
        builtins::is_reviewed(&name) || builtins::is_grammar_function(&name)
    };
    known && plain && function.over.is_none() && function.within_group.is_empty()
}

/// Whether a constant of this type can be cast to the column's base type, and compares with it as before then.
fn fits(column: &Column, ty: Option<Oid>) -> bool {
    match (column.base_oid, ty) {
        (builtin::DATE | builtin::TIMESTAMP, None | Some(builtin::DATE | builtin::TIMESTAMP)) => true,
        (builtin::TIMESTAMPTZ, None | Some(builtin::TIMESTAMPTZ)) => true,
        (builtin::INT2, None | Some(builtin::INT2)) => true,
        (builtin::INT4, None | Some(builtin::INT2 | builtin::INT4)) => true,
        (builtin::INT8, None | Some(builtin::INT2 | builtin::INT4 | builtin::INT8)) => true,
        // What takes the column's type may be NaN.
        (builtin::NUMERIC, Some(builtin::INT2 | builtin::INT4 | builtin::INT8 | builtin::NUMERIC)) => true,
        _ => false,
    }
}
