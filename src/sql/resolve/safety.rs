//! Which predicates may run before a row filter, and which conditions may be tested below a mask.
//!
//! PostgreSQL pulls a derived table up and runs the cheapest condition first. A condition that can fail on a value, or
//! tell of it otherwise, would then see rows that the filter leaves out. `pg_proc.proleakproof` says which cannot.
//!
//! INVARIANT I5: Row filters are fenced where a predicate could look behind them, and only there.

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;

use sqlparser::ast::{
    BinaryOperator, Expr, Ident, InTarget, JoinOperator, SetExpr, Statement, TableFactor, TableWithJoins,
    UnaryOperator, Value, ValueWithSpan,
};

use super::from::is_constant;
use super::mark::Mark;
use super::names::name_of;
use super::scope::{Meaning, Origins};
use super::{Fail, Lookup, OccurrenceId, Resolver};
use crate::catalog::{Oid, builtin};
use crate::policy::{Use, Verb};
use crate::sql::ast::types::cast_type;
use crate::sql::ast::walk::{Look, look};
use crate::sql::form::{Class, Known};

/// Oids from here on are the database's own types (`FirstNormalObjectId`).
const FIRST_OWN_OID: Oid = 16384;

/// The type of an operand; `None` for a literal or parameter that takes the other side's type.
type OperandType = Option<Oid>;

impl Resolver<'_> {
    /// Notes when a predicate could tell of rows that it should not have seen.
    pub(super) fn judge_predicate(&mut self, predicate: &Expr) {
        if !self.safe(predicate) {
            self.unsafe_predicates = true;
            self.lenient = true;
            self.may_fail |= !self.safe(predicate);
            self.lenient = false;
        }
    }

    /// Whether an expression compares columns and constants, which fails on no value.
    pub(super) fn cannot_fail(&mut self, expr: &Expr) -> bool {
        self.lenient = true;
        let safe = self.safe(expr);
        self.lenient = false;
        safe
    }

    /// The same for `=` between columns that USING merges.
    pub(super) fn judge_merge(&mut self, origins: &Origins) -> Result<(), Fail> {
        let types: Option<Vec<Oid>> = origins.iter().map(|(id, column)| self.type_of(*id, column)).collect();
        let safe = match types.as_deref() {
            Some([first, rest @ ..]) if !rest.is_empty() => {
                rest.iter().all(|other| self.leakproof("=", Some(*first), Some(*other)))
            }
            _ => false,
        };
        if !safe {
            self.unsafe_predicates = true;
            self.operator_name("=")?;
        }
        Ok(())
    }

    /// A LATERAL item or a function over columns can run anywhere in the plan.
    pub(super) fn expose_all(&mut self) {
        self.unsafe_predicates = true;
    }

    fn safe(&self, predicate: &Expr) -> bool {
        match predicate {
            Expr::Nested(inner)
            | Expr::IsTrue(inner)
            | Expr::IsNotTrue(inner)
            | Expr::IsFalse(inner)
            | Expr::IsNotFalse(inner)
            | Expr::IsUnknown(inner)
            | Expr::IsNotUnknown(inner)
            | Expr::UnaryOp { op: UnaryOperator::Not, expr: inner } => self.safe(inner),
            Expr::BinaryOp { left, op: BinaryOperator::And | BinaryOperator::Or, right } => {
                self.safe(left) && self.safe(right)
            }
            Expr::BinaryOp { left, op, right } => {
                comparison(op).is_some_and(|operator| self.compared(operator, left, right))
            }
            Expr::IsNull(inner) | Expr::IsNotNull(inner) => self.operand(inner).is_some(),
            Expr::In { expr, target: InTarget::List(list), negated: _, global: false } => {
                list.iter().all(|item| self.compared("=", expr, item))
            }
            Expr::Between { expr, negated: _, low, high } => {
                self.compared(">=", expr, low) && self.compared("<=", expr, high)
            }
            Expr::Value(value) => matches!(value.value, Value::Boolean(_) | Value::Null),
            Expr::Identifier(_) | Expr::CompoundIdentifier(_) => self.operand(predicate).is_some(),
            // Its own predicates are judged where they stand; its select list is never computed.
            Expr::Exists { subquery, negated: _ } => match subquery.body.as_ref() {
                SetExpr::Select(select) => {
                    subquery.with.is_none()
                        && subquery.limit_clause.is_none()
                        && subquery.fetch.is_none()
                        && subquery.order_by.is_none()
                        && select.having.is_none()
                        && select.distinct.is_none()
                        && matches!(&select.group_by, sqlparser::ast::GroupByExpr::Expressions(keys, _) if keys.is_empty())
                        && select.projection.iter().all(|item| match item {
                            sqlparser::ast::SelectItem::UnnamedExpr(expr)
                            | sqlparser::ast::SelectItem::ExprWithAlias { expr, .. } => {
                                is_constant(expr)
                                    || self.operand(expr).is_some()
                                    || matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_))
                            }
                            _ => true,
                        })
                }
                _ => false,
            },
            _ => false,
        }
    }

    fn compared(&self, operator: &str, left: &Expr, right: &Expr) -> bool {
        match (self.operand(left), self.operand(right)) {
            (Some(left), Some(right)) => self.leakproof(operator, left, right),
            _ => false,
        }
    }

    /// Whether both sides are plain columns or constants of types that PostgreSQL's own operator of that name compares, and no other
    /// of the same types.
    pub(super) fn compares_as_builtin(&self, operator: &str, left: &Expr, right: &Expr) -> bool {
        !self.lenient && self.compared(operator, left, right)
    }

    fn leakproof(&self, operator: &str, left: OperandType, right: OperandType) -> bool {
        let text = builtin::TEXT;
        let (left, right) = match (left, right) {
            (Some(left), Some(right)) => (left, right),
            (Some(known), None) | (None, Some(known)) => (known, known),
            (None, None) => (text, text),
        };
        // varchar has no operators of its own.
        // A comparison of built-in types fails on no value, whether or not PostgreSQL marks it.
        if self.lenient && left < FIRST_OWN_OID && right < FIRST_OWN_OID {
            return true;
        }
        let plain = |oid: Oid| if oid == builtin::VARCHAR { text } else { oid };
        self.context.catalog.operator_is_leakproof(operator, plain(left), plain(right))
    }

    /// The type of a plain column of a relation, or of a constant; `None` for anything that is computed.
    pub(super) fn operand(&self, expr: &Expr) -> Option<OperandType> {
        match expr {
            Expr::Identifier(ident) => self.column_type(&[name_of(ident)]).map(Some),
            Expr::CompoundIdentifier(idents) => {
                self.column_type(&idents.iter().map(name_of).collect::<Vec<_>>()).map(Some)
            }
            Expr::Nested(inner) => self.operand(inner),
            Expr::Value(value) => match (self.context.constants.known(&value.value), &value.value) {
                (Known::Constant(Class::Integer), _) => Some(Some(builtin::INT4)),
                (Known::Constant(Class::Large), _) => Some(Some(builtin::INT8)),
                (Known::Constant(Class::Numeric), _) => Some(Some(builtin::NUMERIC)),
                (Known::Boolean, _) => Some(Some(builtin::BOOL)),
                (Known::Other, Value::Placeholder(name)) => self.parameter(name),
                // Bit strings and the national text have types of their own.
                (Known::Typed, _) => None,
                (Known::Constant(Class::Text) | Known::Null | Known::Other, _) => Some(None),
            },
            Expr::UnaryOp { op: UnaryOperator::Minus, expr } if self.is_literal(expr) => {
                // The sign of what has no type makes it a double precision.
                self.operand(expr).filter(Option::is_some)
            }
            Expr::Cast { expr, data_type, .. } => self.converted(expr, &data_type.to_string()).map(Some),
            Expr::TypedString(typed) => cast_type(&typed.data_type.to_string()).map(Some),
            _ => None,
        }
    }

    /// The type of a parameter: what the client declared. One that is left open takes the other side's type, if this is its only place.
    fn parameter(&self, name: &str) -> Option<OperandType> {
        let number = name.strip_prefix('$')?.parse::<usize>().ok()?.checked_sub(1)?;
        match self.context.parameters.get(number) {
            None | Some(0 | &builtin::UNKNOWN) if self.lenient || !self.repeated.contains(name) => Some(None),
            None | Some(0 | &builtin::UNKNOWN) => None,
            Some(oid) => Some(Some(*oid)),
        }
    }

    fn column_type(&self, parts: &[String]) -> Option<Oid> {
        match self.meaning(parts) {
            Ok(Meaning::Column(origins)) => {
                let (first, rest) = origins.split_first()?;
                let oid = self.type_of(first.0, &first.1)?;
                rest.iter().all(|(id, column)| self.type_of(*id, column) == Some(oid)).then_some(oid)
            }
            _ => None,
        }
    }

    /// The type of a column that holds its values; a virtual one, of PostgreSQL 18, computes them wherever it is read.
    fn type_of(&self, id: OccurrenceId, column: &str) -> Option<Oid> {
        let column = self.occurrences.get(id)?.relation.column(column)?;
        if column.may_be_virtual(self.context.catalog.server_version()) {
            return None;
        }
        let oid = column.type_oid;
        Some(self.context.catalog.type_by_oid(oid).map_or(oid, |ty| ty.base))
    }

    /// Wraps each conjunct `column = constant` of WHERE whose table's rows the condition cannot but leave out.
    pub(super) fn lookups(&mut self, selection: &mut Expr, from: &[TableWithJoins], before: usize) {
        self.lookups_in(selection, &preserved(from), before);
    }

    fn lookups_in(&mut self, expr: &mut Expr, preserved: &HashSet<OccurrenceId>, before: usize) {
        match expr {
            Expr::BinaryOp { left, op: BinaryOperator::And, right } => {
                self.lookups_in(left, preserved, before);
                self.lookups_in(right, preserved, before);
            }
            Expr::Nested(inner) => self.lookups_in(inner, preserved, before),
            Expr::BinaryOp { left, op: BinaryOperator::Eq, right } => {
                let (column, value) = if is_constant(right) { (left.as_ref(), right) } else { (right.as_ref(), left) };
                let parts: Vec<String> = match column {
                    Expr::Identifier(ident) => vec![name_of(ident)],
                    Expr::CompoundIdentifier(idents) => idents.iter().map(name_of).collect(),
                    _ => return,
                };
                if !is_constant(value) {
                    return;
                }
                let Ok(Meaning::Column(origins)) = self.meaning(&parts) else { return };
                let [(id, column)] = origins.as_slice() else { return };
                // Beside the row filter it would be computed for rows that the filter leaves out.
                if self.type_of(*id, column).is_none() {
                    return;
                }
                let value = value.as_ref().clone();
                // Two conditions are tested on a row in any order: one that can fail on it stays alone, else its error tells of the other.
                let before_it =
                    self.occurrences.get(*id).map(|occurrence| occurrence.lookups.as_slice()).unwrap_or_default();
                if !before_it.is_empty()
                    && before_it.iter().map(|lookup| &lookup.value).chain([&value]).any(|value| !self.settles(value))
                {
                    return;
                }
                let Some(occurrence) = self.occurrences.get_mut(*id) else { return };
                if *id < before || occurrence.verb != Verb::Select || !preserved.contains(id) {
                    return;
                }
                let number = occurrence.lookups.len();
                let written = parts.get(parts.len().saturating_sub(2)..).unwrap_or(&parts).to_vec();
                occurrence.lookups.push(Lookup { column: column.clone(), value, written });
                *expr = Mark::Lookup(*id, number).on(expr.clone());
            }
            _ => {}
        }
    }

    /// A wrapped condition: its column is used for a lookup, and is written only where the rewrite leaves it.
    pub(super) fn lookup(&mut self, expr: &mut Expr) -> Result<(), Fail> {
        let Expr::BinaryOp { left, right, .. } = expr else { return Err(super::unsupported("this condition")) };
        for side in [left, right] {
            match side.as_mut() {
                Expr::Identifier(ident) if !is_constant_keyword(ident) => {
                    let parts = vec![name_of(ident)];
                    self.lookup_column(parts, side)?;
                }
                Expr::CompoundIdentifier(idents) => {
                    let parts = idents.iter().map(name_of).collect();
                    self.lookup_column(parts, side)?;
                }
                other => self.expr(other, Use::Filter)?,
            }
        }
        Ok(())
    }

    fn lookup_column(&mut self, parts: Vec<String>, side: &mut Expr) -> Result<(), Fail> {
        if let Meaning::Column(origins) = self.meaning(&parts)? {
            self.mark(&origins, Use::Lookup);
        }
        if let [_, table, column] = parts.as_slice() {
            *side = Expr::CompoundIdentifier(vec![super::quoted(table), super::quoted(column)]);
        }
        self.seen.add_column(parts);
        Ok(())
    }
}

fn is_constant_keyword(ident: &Ident) -> bool {
    super::function::is_value_keyword(ident)
}

/// Occurrences at this level whose rows no outer join can fill with NULLs.
pub(super) fn preserved(from: &[TableWithJoins]) -> HashSet<OccurrenceId> {
    let mut all = HashSet::new();
    for item in from {
        let mut here = ids(&item.relation);
        for join in &item.joins {
            let right = ids(&join.relation);
            match join.join_operator {
                JoinOperator::Join(_) | JoinOperator::Inner(_) | JoinOperator::CrossJoin(_) => here.extend(right),
                JoinOperator::Left(_) | JoinOperator::LeftOuter(_) => {}
                JoinOperator::Right(_) | JoinOperator::RightOuter(_) => here = right,
                _ => here.clear(),
            }
        }
        all.extend(here);
    }
    all
}

fn ids(factor: &TableFactor) -> HashSet<OccurrenceId> {
    match factor {
        TableFactor::Table { name, .. } => Mark::relation(name).into_iter().collect(),
        _ => HashSet::new(),
    }
}

fn comparison(operator: &BinaryOperator) -> Option<&'static str> {
    match operator {
        BinaryOperator::Eq => Some("="),
        BinaryOperator::NotEq => Some("<>"),
        BinaryOperator::Lt => Some("<"),
        BinaryOperator::LtEq => Some("<="),
        BinaryOperator::Gt => Some(">"),
        BinaryOperator::GtEq => Some(">="),
        _ => None,
    }
}

/// Parameters that stand at more than one place, IS NULL aside, which asks for no type: the first place that needs a type
/// decides it for all (`parse_param.c`).
pub(super) fn repeated_parameters(statement: &Statement) -> HashSet<String> {
    #[derive(Default)]
    struct Places(HashMap<String, i32>);
    impl Look for Places {
        fn value(&mut self, value: &ValueWithSpan) -> ControlFlow<()> {
            if let Value::Placeholder(name) = &value.value {
                *self.0.entry(name.clone()).or_default() += 1;
            }
            ControlFlow::Continue(())
        }
        fn expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            if let Expr::IsNull(inner) | Expr::IsNotNull(inner) = expr
                && let Expr::Value(ValueWithSpan { value: Value::Placeholder(name), .. }) = inner.as_ref()
            {
                *self.0.entry(name.clone()).or_default() -= 1;
            }
            ControlFlow::Continue(())
        }
    }
    let mut places = Places::default();
    let _ = look(statement, &mut places);
    places.0.into_iter().filter(|(_, count)| *count > 1).map(|(name, _)| name).collect()
}
