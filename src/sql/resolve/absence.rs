//! People who are seen though no row of theirs is: those who keep other rows out by being there.
//!
//! `x LEFT JOIN y .. WHERE y.id IS NULL` shows rows of `x`, and says of each that `y` has none for it: whose row of `y` is
//! not there is known, as it is with NOT EXISTS. The same goes for what an inner LIMIT let through and an outer condition
//! left out. A FROM item is *missing* where an outer join may put NULL in its place, and *doubtful* are the occurrences
//! within a subquery whose rows are missing or cut there. Once such an item is tested by a condition that NULL can pass,
//! or decides which rows a LIMIT keeps, whom it is about is recorded as an aggregate.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use sqlparser::ast::{
    BinaryOperator, Distinct, Expr, InTarget, JoinConstraint, JoinOperator, LimitClause, OrderBy, OrderByKind, Query,
    Select, SelectItem, SetExpr,
};

use super::names::name_of;
use super::scope::CarrierId;
use super::scope::Source;
use super::{Fail, OccurrenceId, Resolver, unsupported};
use crate::sql::ast::walk::{Look, look};

/// The sides of a join that NULL may stand for, and those of which its condition leaves rows out.
pub(super) struct Sides {
    missing: (bool, bool),
    tested: (bool, bool),
}

/// What a join does to its sides, and its condition.
pub(super) fn sides(operator: &mut JoinOperator) -> Result<(Sides, &mut JoinConstraint), Fail> {
    match operator {
        JoinOperator::Left(condition) | JoinOperator::LeftOuter(condition) => {
            Ok((Sides { missing: (false, true), tested: (false, true) }, condition))
        }
        JoinOperator::Right(condition) | JoinOperator::RightOuter(condition) => {
            Ok((Sides { missing: (true, false), tested: (true, false) }, condition))
        }
        JoinOperator::FullOuter(condition) => Ok((Sides { missing: (true, true), tested: (false, false) }, condition)),
        JoinOperator::Join(condition) | JoinOperator::Inner(condition) | JoinOperator::CrossJoin(condition) => {
            Ok((Sides { missing: (false, false), tested: (true, true) }, condition))
        }
        JoinOperator::Semi(_)
        | JoinOperator::LeftSemi(_)
        | JoinOperator::RightSemi(_)
        | JoinOperator::Anti(_)
        | JoinOperator::LeftAnti(_)
        | JoinOperator::RightAnti(_)
        | JoinOperator::CrossApply
        | JoinOperator::OuterApply
        | JoinOperator::AsOf { .. }
        | JoinOperator::StraightJoin(_)
        | JoinOperator::ArrayJoin
        | JoinOperator::LeftArrayJoin
        | JoinOperator::InnerArrayJoin => Err(unsupported("a join of another database")),
    }
}

impl Resolver<'_> {
    /// The occurrences that a subquery in FROM shows only in part.
    pub(super) fn doubtful(&self, carrier: Option<CarrierId>) -> BTreeSet<OccurrenceId> {
        carrier.and_then(|id| self.carriers.get(id)).map(|carrier| carrier.doubtful.clone()).unwrap_or_default()
    }

    /// Joins two sides: what the condition tests of them, and which may be missing from now on.
    pub(super) fn join_sides(
        &mut self,
        Sides { missing, tested }: Sides,
        condition: &JoinConstraint,
        left: &mut [Source],
        right: &mut [Source],
    ) {
        if !self.recording {
            return;
        }
        for (side, tested, missing) in [(left, tested.0, missing.0), (right, tested.1, missing.1)] {
            match condition {
                JoinConstraint::On(condition) if tested => self.test(condition, side),
                // They compare what a subquery computed, which may be from what is missing in it.
                JoinConstraint::Using(_) | JoinConstraint::UsingAlias(..) | JoinConstraint::Natural if tested => {
                    side.iter().for_each(|source| self.beyond(&source.doubtful));
                }
                JoinConstraint::On(_)
                | JoinConstraint::Using(_)
                | JoinConstraint::UsingAlias(..)
                | JoinConstraint::Natural
                | JoinConstraint::None => {}
            }
            side.iter_mut().for_each(|source| source.missing |= missing);
        }
    }

    /// WHERE of the innermost level.
    pub(super) fn test_level(&mut self, condition: &Expr) {
        if self.recording {
            let mut sources =
                self.scopes.last_mut().map(|scope| std::mem::take(&mut scope.sources)).unwrap_or_default();
            self.test(condition, &mut sources);
            if let Some(scope) = self.scopes.last_mut() {
                scope.sources = sources;
            }
        }
    }

    fn test(&mut self, condition: &Expr, sources: &mut [Source]) {
        for source in sources.iter_mut().filter(|source| refers(condition, source)) {
            self.beyond(&source.doubtful);
            if source.missing && self.fails_on_null(condition, source) {
                source.missing = false;
            } else if source.missing {
                let within = self.within(source);
                self.beyond(&within);
            }
        }
    }

    /// LIMIT and DISTINCT ON keep the first rows in an order: who stands in it decides who is shown.
    pub(super) fn cut_level(&mut self, select: &Select, order: Option<&OrderBy>, limited: bool) {
        let distinct = match &select.distinct {
            Some(Distinct::On(keys)) => keys.as_slice(),
            None | Some(Distinct::All | Distinct::Distinct) => &[],
        };
        if !self.recording || (!limited && distinct.is_empty()) {
            return;
        }
        let keys: Vec<Expr> = distinct.iter().chain(order_exprs(order)).cloned().collect();
        let sources = self.scopes.last().map(|scope| scope.sources.clone()).unwrap_or_default();
        for source in &sources {
            self.beyond(&source.doubtful);
            // A name of the select list, or a place in it, may stand for anything.
            let plain = |key: &Expr| matches!(key, Expr::CompoundIdentifier(_));
            if source.missing && keys.iter().any(|key| !plain(key) || refers(key, source)) {
                let within = self.within(source);
                self.beyond(&within);
            }
        }
    }

    /// A level ends: what the query around must know of its FROM items.
    pub(super) fn leave_level(&mut self, carrier: CarrierId, sources: &[Source], cut: bool) {
        for source in sources {
            let within = self.within(source);
            if let Some(carrier) = self.carriers.get_mut(carrier) {
                carrier.doubtful.extend(&source.doubtful);
                if source.missing || cut {
                    carrier.doubtful.extend(&within);
                }
                carrier.within.extend(within);
            }
        }
    }

    /// A query ends that keeps some of its rows only; of several sides, their order decides as well.
    pub(super) fn cut_query(&mut self, carrier: CarrierId, several: bool) {
        let Some(carrier) = self.carriers.get_mut(carrier) else { return };
        let doubtful = std::mem::take(&mut carrier.doubtful);
        carrier.doubtful.clone_from(&carrier.within);
        if several {
            self.beyond(&doubtful);
        }
    }

    /// Every occurrence whose rows a FROM item shows.
    fn within(&self, source: &Source) -> BTreeSet<OccurrenceId> {
        let carried = source.carrier.and_then(|id| self.carriers.get(id)).map(|carrier| &carrier.within);
        source.occurrence.into_iter().chain(carried.into_iter().flatten().copied()).collect()
    }

    fn beyond(&mut self, seen: &BTreeSet<OccurrenceId>) {
        for id in seen {
            if let Some(occurrence) = self.occurrences.get_mut(*id) {
                occurrence.beyond = true;
            }
        }
    }

    /// Whether no row passes the condition in which this item is missing.
    fn fails_on_null(&self, condition: &Expr, source: &Source) -> bool {
        match condition {
            Expr::Nested(inner) => self.fails_on_null(inner, source),
            Expr::BinaryOp { left, op: BinaryOperator::And, right } => {
                self.fails_on_null(left, source) || self.fails_on_null(right, source)
            }
            Expr::BinaryOp { left, op, right } => {
                let compares = matches!(
                    op,
                    BinaryOperator::Eq
                        | BinaryOperator::NotEq
                        | BinaryOperator::Lt
                        | BinaryOperator::LtEq
                        | BinaryOperator::Gt
                        | BinaryOperator::GtEq
                );
                compares && (self.is_column_of(left, source) || self.is_column_of(right, source))
            }
            Expr::IsNotNull(column) => self.is_column_of(column, source),
            Expr::Between { expr, negated: false, .. }
            | Expr::In { expr, target: InTarget::List(_), negated: false, .. } => self.is_column_of(expr, source),
            Expr::Like { expr, .. } | Expr::ILike { expr, .. } => self.is_column_of(expr, source),
            _ => false,
        }
    }

    /// A plain column of the item, which is NULL where the item is missing. What USING merged is of another, too.
    fn is_column_of(&self, expr: &Expr, source: &Source) -> bool {
        let merged = |name: &str| self.scopes.last().is_none_or(|scope| scope.merged.contains(name));
        match expr {
            Expr::Identifier(ident) => {
                let name = name_of(ident);
                source.column(&name).is_some() && !merged(&name)
            }
            Expr::CompoundIdentifier(parts) => match parts.as_slice() {
                [table, column] => {
                    source.name.as_ref() == Some(&name_of(table)) && source.column(&name_of(column)).is_some()
                }
                _ => false,
            },
            _ => false,
        }
    }
}

/// Whether a query keeps some of its rows only.
pub(super) fn is_cut(query: &Query) -> bool {
    let limits = |clause: &LimitClause| match clause {
        LimitClause::LimitOffset { limit, offset, .. } => limit.is_some() || offset.is_some(),
        LimitClause::OffsetCommaLimit { .. } => true,
    };
    query.fetch.is_some() || query.limit_clause.as_ref().is_some_and(limits)
}

fn order_exprs(order: Option<&OrderBy>) -> impl Iterator<Item = &Expr> {
    let keys = match order.map(|order| &order.kind) {
        Some(OrderByKind::Expressions(keys)) => keys.as_slice(),
        Some(OrderByKind::All(_)) | None => &[],
    };
    keys.iter().map(|key| &key.expr)
}

/// Whether an expression names the item or a column of it; a query inside with a `t.*` is taken to.
fn refers(expr: &Expr, source: &Source) -> bool {
    struct Finder<'s>(&'s Source);
    impl Look for Finder<'_> {
        fn query(&mut self, query: &Query) -> ControlFlow<()> {
            if names_all(&query.body) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        }
        fn expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            let found = match expr {
                Expr::Identifier(ident) => {
                    let name = name_of(ident);
                    self.0.columns.is_none() || self.0.name.as_ref() == Some(&name) || self.0.column(&name).is_some()
                }
                Expr::CompoundIdentifier(parts) => {
                    parts.iter().any(|part| self.0.name.as_ref() == Some(&name_of(part)))
                }
                _ => false,
            };
            if found { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        }
    }
    look(expr, &mut Finder(source)).is_break()
}

/// Whether a select list holds `t.*`, which is no expression that a visitor would meet.
fn names_all(body: &SetExpr) -> bool {
    match body {
        SetExpr::Select(select) => {
            select.projection.iter().any(|item| matches!(item, SelectItem::QualifiedWildcard(..)))
        }
        SetExpr::SetOperation { left, right, .. } => names_all(left) || names_all(right),
        SetExpr::Query(_) | SetExpr::Values(_) => false,
        SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_) | SetExpr::Table(_) => true,
    }
}
