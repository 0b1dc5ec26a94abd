//! GROUP BY: its names, the columns that follow from a primary key, and the shape that `min_group` can hold.

use sqlparser::ast::{
    BinaryOperator, Distinct, DuplicateTreatment, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments,
    GroupByExpr, JoinConstraint, JoinOperator, OrderByKind, Query, Select, SelectItem, SetExpr, Statement, TableFactor,
};

use super::mark::Mark;
use super::names::name_of;
use super::output::output_name;
use super::scope::Meaning;
use super::{Fail, Occurrence, OccurrenceId, Resolver, unsupported};
use crate::catalog::builtin;
use crate::policy::Use;
use crate::sql::form::Asked;
use crate::sql::reviewed::builtins;

impl Resolver<'_> {
    /// GROUP BY: an input column of this level comes before an output column's name.
    pub(super) fn group_by(&mut self, group_by: &mut GroupByExpr, outputs: &[String]) -> Result<(), Fail> {
        match group_by {
            GroupByExpr::Expressions(keys, modifiers) => {
                if !modifiers.is_empty() {
                    return Err(unsupported("GROUP BY with a modifier of another database"));
                }
                keys.iter_mut().try_for_each(|key| self.group_key(key, outputs))
            }
            GroupByExpr::All(_) => Err(unsupported("GROUP BY ALL")),
        }
    }

    fn group_key(&mut self, key: &mut Expr, outputs: &[String]) -> Result<(), Fail> {
        match key {
            Expr::Identifier(ident) => {
                let name = name_of(ident);
                let input = match self.scopes.last() {
                    Some(scope) => scope.find(&name)?.is_some(),
                    None => false,
                };
                if !input && outputs.contains(&name) {
                    self.saw_column(vec![name]);
                    return Ok(());
                }
                self.expr(key, Use::Group)
            }
            Expr::Nested(inner) => self.group_key(inner, outputs),
            Expr::Tuple(items) => items.iter_mut().try_for_each(|item| self.group_key(item, outputs)),
            Expr::GroupingSets(sets) | Expr::Cube(sets) | Expr::Rollup(sets) => {
                sets.iter_mut().flatten().try_for_each(|item| self.group_key(item, outputs))
            }
            other => self.expr(other, Use::Group),
        }
    }

    /// PostgreSQL lets a row's other columns be output where its primary key is grouped by; a derived table has no
    /// key, so the rewrite adds those columns, which changes no group. Marks where.
    pub(super) fn add_functional_dependencies(
        &mut self,
        group_by: &mut GroupByExpr,
        projection: &[SelectItem],
        before: usize,
    ) {
        let GroupByExpr::Expressions(keys, _) = group_by else { return };
        let mut grouped: Vec<(OccurrenceId, String)> = Vec::new();
        for key in keys.iter().map(|key| by_position(key, projection, self.context.constants)) {
            let parts: Vec<String> = match key {
                Expr::Identifier(ident) => vec![name_of(ident)],
                Expr::CompoundIdentifier(idents) => idents.iter().map(name_of).collect(),
                _ => continue,
            };
            if let Ok(Meaning::Column(origins)) = self.meaning(&parts) {
                grouped.extend(origins);
            }
        }
        let Some(scope) = self.scopes.last() else { return };
        let here: Vec<OccurrenceId> =
            scope.sources.iter().filter_map(|source| source.occurrence).filter(|id| *id >= before).collect();
        for id in here {
            let Some(occurrence) = self.occurrences.get(id) else { continue };
            let relation = &occurrence.relation;
            let covered = !relation.primary_key.is_empty()
                && relation.primary_key.iter().all(|number| {
                    relation
                        .columns
                        .iter()
                        .any(|column| column.number == *number && grouped.contains(&(id, column.name.clone())))
                });
            if covered {
                keys.push(Mark::Group(id).expr());
            }
        }
    }

    /// See [`Shape::grouped`](crate::policy::Shape).
    pub(super) fn is_grouped(&self, statement: &Statement) -> bool {
        let Statement::Query(query) = statement else { return false };
        let SetExpr::Select(select) = query.body.as_ref() else { return false };
        let Query { with, locks, fetch: _, order_by, limit_clause: _, .. } = query.as_ref();
        let GroupByExpr::Expressions(keys, _) = &select.group_by else { return false };
        let keys: Vec<&Expr> = keys.iter().filter(|key| !is_mark(key)).collect();
        let order_by_holds = match order_by.as_ref().map(|order| &order.kind) {
            None => true,
            Some(OrderByKind::Expressions(sort)) => sort.iter().all(|key| grouped_sort(&key.expr, &keys)),
            Some(OrderByKind::All(_)) => false,
        };
        with.is_none()
            && locks.is_empty()
            && self.levels == 1
            && plain_from(select)
            && matches!(select.distinct, None | Some(Distinct::All))
            && select.named_window.is_empty()
            && select.having.is_none()
            && keys.iter().all(|key| self.grouped_by(key, &select.projection).is_some_and(|key| self.plain_key(key)))
            && select.projection.iter().all(|item| match item {
                SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => grouped_output(expr, &keys),
                SelectItem::ExprWithAliases { .. } | SelectItem::QualifiedWildcard(..) | SelectItem::Wildcard(_) => {
                    false
                }
            })
            && (!keys.is_empty() || select.projection.iter().any(has_aggregate))
            && order_by_holds
            // Last: it holds each relation against each other one.
            && self.adds_no_weight(select)
    }
}

impl Resolver<'_> {
    /// What a key stands for: an output that it names by position or, where no input column is called so, by name; else itself.
    fn grouped_by<'a>(&self, key: &'a Expr, projection: &'a [SelectItem]) -> Option<&'a Expr> {
        match key {
            Expr::Nested(inner) => self.grouped_by(inner, projection),
            Expr::Identifier(ident) => {
                let name = name_of(ident);
                let has = |occurrence: &Occurrence| {
                    occurrence.relation.columns.iter().any(|column| occurrence.shown_as(&column.name) == name)
                };
                if self.occurrences.iter().any(has) {
                    return Some(key);
                }
                projection.iter().find_map(|item| match item {
                    SelectItem::UnnamedExpr(expr) if output_name(expr) == name => Some(expr),
                    SelectItem::ExprWithAlias { expr, alias } if name_of(alias) == name => Some(expr),
                    _ => None,
                })
            }
            _ => Some(by_position(key, projection, self.context.constants)),
        }
    }

    /// Judges what GROUP BY computes, as a condition is: by whether it can fail on a row, or do anything but compare.
    pub(super) fn judge_keys(&mut self, group_by: &GroupByExpr, projection: &[SelectItem]) {
        let GroupByExpr::Expressions(keys, _) = group_by else { return };
        for key in keys {
            let Some(mut key) = self.grouped_by(key, projection) else { continue };
            while let Expr::Nested(inner) = key {
                key = inner;
            }
            // Constants, and functions, are judged by what they are.
            let compares = !is_column(key) && !matches!(key, Expr::Value(_) | Expr::Function(_));
            self.computed_keys |= compares && !self.cannot_fail(key);
        }
    }

    /// A grouping key: a column, a constant, `date_trunc` of a column, or a comparison that cannot fail. What else is computed for each row,
    /// before a group is held to its size, could fail on one or tell of it otherwise.
    fn plain_key(&self, key: &Expr) -> bool {
        match key {
            Expr::Value(_) => true,
            Expr::Nested(inner) => self.plain_key(inner),
            Expr::Function(function) => {
                called(function).as_deref() == Some("date_trunc")
                    && arguments(function).is_some_and(|args| match args.as_slice() {
                        [Expr::Value(field), column] => {
                            let field = self.context.constants.text(&field.value);
                            field.is_some_and(|field| FIELDS.contains(&field.to_ascii_lowercase().as_str()))
                                && self.is_time(column)
                        }
                        _ => false,
                    })
            }
            other => is_column(other) || !self.computed_keys,
        }
    }

    /// Whether every field can be cut off a column: an interval has no weeks.
    fn is_time(&self, column: &Expr) -> bool {
        let Some((id, name)) = self.column_of(column) else { return false };
        let column = self.occurrences.get(id).and_then(|occurrence| occurrence.relation.column(&name));
        column
            .is_some_and(|column| [builtin::DATE, builtin::TIMESTAMP, builtin::TIMESTAMPTZ].contains(&column.base_oid))
    }
}

/// What `date_trunc` cuts off after; it fails on any other word, once a row comes by.
const FIELDS: [&str; 13] = [
    "microseconds",
    "milliseconds",
    "second",
    "minute",
    "hour",
    "day",
    "week",
    "month",
    "quarter",
    "year",
    "decade",
    "century",
    "millennium",
];

/// `GROUP BY 1` is the first of the select list, as far as no star stands before it.
fn by_position<'a>(key: &'a Expr, projection: &'a [SelectItem], constants: Asked<'_>) -> &'a Expr {
    let Expr::Value(value) = key else { return key };
    let Some(Ok(position)) = constants.number(&value.value).map(str::parse::<usize>) else { return key };
    let items: Option<Vec<&Expr>> = projection
        .iter()
        .take(position)
        .map(|item| match item {
            SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => Some(expr),
            SelectItem::ExprWithAliases { .. } | SelectItem::QualifiedWildcard(..) | SelectItem::Wildcard(_) => None,
        })
        .collect();
    match items {
        Some(items) if items.len() == position => items.last().copied().unwrap_or(key),
        _ => key,
    }
}

fn is_mark(expr: &Expr) -> bool {
    matches!(expr, Expr::Identifier(ident) if Mark::is_one(ident))
}

fn plain_from(select: &Select) -> bool {
    let table = |factor: &TableFactor| matches!(factor, TableFactor::Table { args: None, .. });
    select.from.iter().all(|item| {
        table(&item.relation)
            && item.joins.iter().all(|join| {
                table(&join.relation)
                    && joined_by_columns(&join.join_operator)
                    && matches!(
                        join.join_operator,
                        JoinOperator::Join(_) | JoinOperator::Inner(_) | JoinOperator::CrossJoin(_)
                    )
            })
    })
}

/// Rows are joined where columns are equal: any other condition could pick single rows.
fn joined_by_columns(join: &JoinOperator) -> bool {
    fn equal(condition: &Expr) -> bool {
        match condition {
            Expr::Nested(inner) => equal(inner),
            Expr::BinaryOp { left, op: BinaryOperator::And, right } => equal(left) && equal(right),
            Expr::BinaryOp { left, op: BinaryOperator::Eq, right } => is_column(left) && is_column(right),
            _ => false,
        }
    }
    match join {
        JoinOperator::Join(constraint) | JoinOperator::Inner(constraint) | JoinOperator::CrossJoin(constraint) => {
            match constraint {
                JoinConstraint::On(condition) => equal(condition),
                JoinConstraint::Using(_)
                | JoinConstraint::UsingAlias(..)
                | JoinConstraint::Natural
                | JoinConstraint::None => true,
            }
        }
        _ => false,
    }
}

fn is_column(expr: &Expr) -> bool {
    matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_))
}

fn grouped_sort(expr: &Expr, keys: &[&Expr]) -> bool {
    // A plain name is an output column's or a grouping key's, else PostgreSQL refuses it.
    is_column(expr) || matches!(expr, Expr::Value(_)) || grouped_output(expr, keys)
}

/// An output of a grouped query: grouping keys, constants, and aggregates over whole columns, in any arithmetic.
fn grouped_output(expr: &Expr, keys: &[&Expr]) -> bool {
    // Two spellings of a column (`city`, `c.city`) are held equal by PostgreSQL, which refuses an ungrouped column.
    if is_column(expr) || matches!(expr, Expr::Value(_) | Expr::TypedString(_)) || keys.contains(&expr) {
        return true;
    }
    match expr {
        Expr::Nested(inner) | Expr::Cast { expr: inner, .. } | Expr::UnaryOp { expr: inner, .. } => {
            grouped_output(inner, keys)
        }
        Expr::BinaryOp { left, right, .. } => grouped_output(left, keys) && grouped_output(right, keys),
        Expr::Function(function) => {
            if function.over.is_some() || function.filter.is_some() || !function.within_group.is_empty() {
                return false;
            }
            let Some(name) = called(function) else { return false };
            if builtins::is_aggregate(&name) {
                return builtins::is_group_aggregate(&name) && whole_column(function, &name);
            }
            arguments(function).is_some_and(|args| args.iter().all(|arg| grouped_output(arg, keys)))
        }
        _ => false,
    }
}

pub(super) fn has_aggregate(item: &SelectItem) -> bool {
    let (SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }) = item else { return false };
    fn inside(expr: &Expr) -> bool {
        match expr {
            Expr::Nested(inner) | Expr::Cast { expr: inner, .. } | Expr::UnaryOp { expr: inner, .. } => inside(inner),
            Expr::BinaryOp { left, right, .. } => inside(left) || inside(right),
            Expr::Function(function) => {
                called(function).is_some_and(|name| builtins::is_aggregate(&name))
                    || arguments(function).is_some_and(|args| args.iter().any(inside))
            }
            _ => false,
        }
    }
    inside(expr)
}

/// `count(*)`, `sum(column)`, `count(DISTINCT column)`: nothing that picks out single rows. A sum of distinct values beside one of all
/// tells which occur twice.
fn whole_column(function: &Function, name: &str) -> bool {
    let FunctionArguments::List(list) = &function.args else { return false };
    let distinct = matches!(list.duplicate_treatment, Some(DuplicateTreatment::Distinct));
    list.clauses.is_empty()
        && (!distinct || name == "count")
        && list.args.iter().all(|arg| match arg {
            FunctionArg::Unnamed(FunctionArgExpr::Wildcard) => true,
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => is_column(expr) || matches!(expr, Expr::Value(_)),
            _ => false,
        })
}

pub(super) fn called(function: &Function) -> Option<String> {
    function.name.0.last().and_then(|part| part.as_ident()).map(name_of)
}

fn arguments(function: &Function) -> Option<Vec<Expr>> {
    let FunctionArguments::List(list) = &function.args else { return Some(Vec::new()) };
    list.args
        .iter()
        .map(|arg| match arg {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr.clone()),
            _ => None,
        })
        .collect()
}
