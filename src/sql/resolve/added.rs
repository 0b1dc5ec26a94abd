//! Marks values that tell of whom a new row is, for the rewrite to hold them to row filters.

use std::collections::BTreeSet;

use sqlparser::ast::{Assignment, AssignmentTarget, Expr, Query, SelectItem, SetExpr, TableAlias, TableFactor};

use super::mark::Mark;
use super::names::{name_of, quoted};
use super::scope::{Columns, VisibleColumn};
use super::write::is_default;
use super::{Fail, OccurrenceId, Resolver};
use crate::catalog::{Column, RelationName, TypeClass, builtin};
use crate::policy::Governance;
use crate::sql::ast::fragment::{self, FIRST_VALUE};
use crate::sql::form::{Asked, Class, Known};

/// So many rows of VALUES are looked at one by one.
const FEW: usize = 8;

/// What the query is called whose rows are added.
const SOURCE: &str = "pgpurpose_source";

impl Resolver<'_> {
    /// The columns of a target whose values tell of whom a row is.
    fn telling(&self, id: OccurrenceId) -> BTreeSet<String> {
        let Some(occurrence) = self.occurrences.get(id) else { return BTreeSet::new() };
        let catalog = self.context.catalog;
        let ancestors: Vec<RelationName> = catalog
            .ancestors(occurrence.relation.oid)
            .into_iter()
            .filter_map(|oid| catalog.relation_by_oid(oid).map(|relation| relation.name.clone()))
            .collect();
        let names = std::iter::once(&occurrence.relation.name).chain(&ancestors);
        self.context.policies.telling_columns(names, self.context.purpose)
    }

    /// Notes that these columns are set where no value can be looked at.
    pub(super) fn cannot_hold(&mut self, id: OccurrenceId, columns: &[String]) {
        let telling = self.telling(id);
        let Some(occurrence) = self.occurrences.get_mut(id) else { return };
        let every: Vec<String> = occurrence.relation.columns.iter().map(|column| column.name.clone()).collect();
        let set = if columns.is_empty() { &every } else { columns };
        occurrence.unheld.extend(set.iter().filter(|column| telling.contains(*column)).cloned());
    }

    /// Marks the values of the rows of an INSERT; none named means the columns in their order.
    pub(super) fn hold_rows<'a>(
        &mut self,
        id: OccurrenceId,
        named: &[String],
        rows: impl Iterator<Item = &'a mut Vec<Expr>>,
    ) {
        let columns = self.written(id, named);
        let telling = self.telling(id);
        if !columns.iter().any(|column| telling.contains(column)) {
            return;
        }
        for row in rows {
            self.note_said(id, &columns, &telling, row);
            let dates: Vec<Option<Expr>> = row.iter().map(|value| simple(value).then(|| value.clone())).collect();
            for (column, value) in columns.iter().zip(row.iter_mut()) {
                if telling.contains(column) && !is_default(value) {
                    let beside = |date: &str| {
                        let at = columns.iter().position(|column| column == date)?;
                        dates.get(at).cloned().flatten()
                    };
                    self.hold(id, column, value, beside);
                }
            }
        }
    }

    /// Notes which of the telling columns a new row says, and which are left to their default.
    fn note_said(&mut self, id: OccurrenceId, columns: &[String], telling: &BTreeSet<String>, row: &[Expr]) {
        let Some(occurrence) = self.occurrences.get_mut(id) else { return };
        for (position, column) in columns.iter().enumerate().filter(|(_, column)| telling.contains(*column)) {
            match row.get(position) {
                Some(value) if !is_default(value) => occurrence.said.insert(column.clone()),
                Some(_) | None => occurrence.defaulted.insert(column.clone()),
            };
        }
    }

    /// Marks the values of an INSERT of VALUES: each, or, where there are many rows, the columns of a query around them, so that
    /// what looks at them stands in the text once.
    pub(super) fn hold_values(&mut self, id: OccurrenceId, named: &[String], source: &mut Query) -> Result<(), Fail> {
        let SetExpr::Values(values) = source.body.as_mut() else { return Ok(()) };
        let width = values.rows.first().map_or(0, |row| row.content.len());
        let regular = |row: &Vec<Expr>| row.len() == width && !row.iter().any(is_default);
        if values.rows.len() <= FEW || !values.rows.iter().all(|row| regular(&row.content)) {
            self.hold_rows(id, named, values.rows.iter_mut().map(|row| &mut row.content));
            return Ok(());
        }
        let shown = (0..width).map(|_| VisibleColumn::computed(String::new())).collect();
        self.hold_query(id, named, source, &Some(shown))
    }

    /// Marks the values of SET.
    pub(super) fn hold_assignments(&mut self, id: OccurrenceId, assignments: &mut [Assignment]) {
        let telling = self.telling(id);
        if telling.is_empty() {
            return;
        }
        let mut dates: Vec<(String, Expr)> = Vec::new();
        for Assignment { target, value } in &*assignments {
            if let (AssignmentTarget::ColumnName(name), true) = (target, simple(value))
                && let [sqlparser::ast::ObjectNamePart::Identifier(column)] = name.0.as_slice()
            {
                dates.push((name_of(column), value.clone()));
            }
        }
        let beside = |date: &str| dates.iter().find(|(column, _)| column == date).map(|(_, value)| value.clone());
        for Assignment { target, value } in assignments {
            let names: Vec<(String, bool)> = match &*target {
                AssignmentTarget::ColumnName(name) => first_part(name).into_iter().collect(),
                AssignmentTarget::Tuple(names) => names.iter().filter_map(first_part).collect(),
            };
            let values: Vec<&mut Expr> = match (target, value) {
                (AssignmentTarget::ColumnName(_), value) => vec![value],
                (AssignmentTarget::Tuple(_), Expr::Tuple(items)) => items.iter_mut().collect(),
                (AssignmentTarget::Tuple(_), _) => Vec::new(),
            };
            let whole = values.len() == names.len() && names.iter().all(|(_, whole)| *whole);
            if !whole {
                let columns: Vec<String> = names.into_iter().map(|(column, _)| column).collect();
                self.cannot_hold(id, &columns);
                continue;
            }
            for ((column, _), value) in names.iter().zip(values) {
                if telling.contains(column) && !is_default(value) {
                    self.hold(id, column, value, beside);
                } else if telling.contains(column)
                    && let Some(occurrence) = self.occurrences.get_mut(id)
                {
                    occurrence.defaulted.insert(column.clone());
                }
            }
        }
    }

    /// `INSERT .. SELECT`: its rows pass through a query of their own, in which each column is a value.
    pub(super) fn hold_query(
        &mut self,
        id: OccurrenceId,
        named: &[String],
        source: &mut Query,
        shown: &Columns,
    ) -> Result<(), Fail> {
        let columns = self.written(id, named);
        let telling = self.telling(id);
        let count = match shown {
            Some(shown) if shown.iter().all(|column| self.surely_there(column)) => shown.len(),
            Some(_) | None => {
                self.cannot_hold(id, named);
                return Ok(());
            }
        };
        let columns: Vec<String> = columns.into_iter().take(count).collect();
        if columns.len() < count || !columns.iter().any(|column| telling.contains(column)) {
            return Ok(());
        }
        self.type_constants(id, &columns, source)?;
        let names: Vec<String> = (1..=count).map(|number| format!("c{number}")).collect();
        let mut items: Vec<Expr> =
            names.iter().map(|name| Expr::CompoundIdentifier(vec![quoted(SOURCE), quoted(name)])).collect();
        self.hold_rows(id, named, std::iter::once(&mut items));
        for item in &items {
            self.count_source(item);
        }
        let mut query = fragment::parse_query(&format!("SELECT 1 FROM (SELECT 1) AS \"{SOURCE}\""))?;
        let SetExpr::Select(select) = query.body.as_mut() else { return Err(super::unsupported("this query")) };
        select.projection = items.into_iter().map(SelectItem::UnnamedExpr).collect();
        let Some(TableFactor::Derived { subquery, alias: Some(TableAlias { columns: aliases, .. }), .. }) =
            select.from.first_mut().map(|from| &mut from.relation)
        else {
            return Err(super::unsupported("this query"));
        };
        *aliases = names
            .iter()
            .map(|name| sqlparser::ast::TableAliasColumnDef { name: quoted(name), data_type: None })
            .collect();
        // What WITH writes must stand at the top.
        let with = source.with.take();
        std::mem::swap(subquery.as_mut(), source);
        *source = query;
        source.with = with;
        Ok(())
    }

    /// Whether no policy leaves the column out of a star.
    fn surely_there(&self, column: &VisibleColumn) -> bool {
        column.by_star.as_ref().is_none_or(|(id, _)| {
            let occurrence = self.occurrences.get(*id);
            occurrence.is_some_and(|found| self.context.policies.governance(&found.relation.name) == Governance::Open)
        })
    }

    fn written(&self, id: OccurrenceId, named: &[String]) -> Vec<String> {
        match self.occurrences.get(id) {
            Some(occurrence) if named.is_empty() => {
                occurrence.relation.columns.iter().map(|column| column.name.clone()).collect()
            }
            Some(_) | None => named.to_vec(),
        }
    }

    fn hold(&mut self, id: OccurrenceId, column: &str, value: &mut Expr, beside: impl Fn(&str) -> Option<Expr>) {
        let Some(occurrence) = self.occurrences.get(id) else { return };
        let Some(position) = occurrence.relation.columns.iter().position(|known| known.name == column) else { return };
        let written = std::mem::replace(value, super::write::null());
        let born = self.context.policies.born_beside(&occurrence.relation.name, column).and_then(beside);
        let inner = match born {
            Some(born) => Expr::Tuple(vec![written, born]),
            None => written,
        };
        *value = Mark::New(id, position).on(inner);
    }

    /// Counts the columns of the source that the items name.
    fn count_source(&mut self, item: &Expr) {
        match item {
            Expr::Named { expr, .. } => self.count_source(expr),
            Expr::Tuple(items) => items.iter().for_each(|item| self.count_source(item)),
            Expr::CompoundIdentifier(parts) => {
                let parts = parts.iter().map(name_of).collect();
                self.meant.add_column(parts);
            }
            _ => {}
        }
    }

    /// Constants and parameters of a select list, and of the first of many rows, take their type from the column that they are
    /// written to; in a subquery they would be texts.
    pub(super) fn type_constants(&self, id: OccurrenceId, columns: &[String], source: &mut Query) -> Result<(), Fail> {
        let Some(occurrence) = self.occurrences.get(id) else { return Ok(()) };
        let values: Vec<Option<&mut Expr>> = match source.body.as_mut() {
            SetExpr::Select(select) => select
                .projection
                .iter_mut()
                .map(|item| match item {
                    SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => Some(expr),
                    _ => None,
                })
                .collect(),
            SetExpr::Values(values) => {
                values.rows.first_mut().into_iter().flat_map(|row| row.content.iter_mut().map(Some)).collect()
            }
            _ => return Ok(()),
        };
        // A star stands for several.
        if values.len() != columns.len() {
            return Ok(());
        }
        for (value, column) in values.into_iter().zip(columns) {
            let Some(value) = value.filter(|value| untyped(value, self.context.constants)) else { continue };
            let Some(column) = occurrence.relation.column(column) else { continue };
            let mut typed = fragment::parse_expression(&format!("${FIRST_VALUE}::{}", plain_type(column)))?;
            fragment::fill(&mut typed, std::slice::from_ref(value))?;
            *value = typed;
        }
        Ok(())
    }
}

/// The column that is set, and whether it is set as a whole.
fn first_part(name: &sqlparser::ast::ObjectName) -> Option<(String, bool)> {
    match name.0.as_slice() {
        [sqlparser::ast::ObjectNamePart::Identifier(column)] => Some((name_of(column), true)),
        [sqlparser::ast::ObjectNamePart::Identifier(column), ..] => Some((name_of(column), false)),
        _ => None,
    }
}

/// A value that may stand twice: a constant, a parameter, or a column of the source.
fn simple(expr: &Expr) -> bool {
    match expr {
        Expr::Value(_) => true,
        Expr::CompoundIdentifier(parts) => parts.first().is_some_and(|part| part.value == SOURCE),
        _ => false,
    }
}

fn untyped(expr: &Expr, constants: Asked<'_>) -> bool {
    match expr {
        Expr::Nested(inner) => untyped(inner, constants),
        // What is known of nothing else here is a parameter.
        Expr::Value(value) => {
            matches!(constants.known(&value.value), Known::Constant(Class::Text) | Known::Null | Known::Other)
        }
        _ => false,
    }
}

/// Types that the grammar knows by these words, whatever the search path (PostgreSQL's `gram.y`, SimpleTypename).
const OF_THE_GRAMMAR: &[&str] = &[
    "bigint",
    "integer",
    "smallint",
    "boolean",
    "real",
    "double",
    "numeric",
    "character",
    "bit",
    "timestamp",
    "time",
    "interval",
];

/// The column's type under all domains, by a name that the session's search path does not lead elsewhere.
pub(in crate::sql) fn base_type(column: &Column) -> String {
    let written = &column.base_sql;
    let word = written.split([' ', '(', '[']).next().unwrap_or_default();
    let anywhere = column.base_oid < builtin::FIRST_OF_USERS && !OF_THE_GRAMMAR.contains(&word);
    if anywhere && !written.starts_with("pg_catalog.") { format!("pg_catalog.{written}") } else { written.clone() }
}

/// A type in which the value is looked at without being cut: without the length of the column's, which is checked when the row
/// is written.
pub(in crate::sql) fn plain_type(column: &Column) -> String {
    if column.class == TypeClass::Text {
        return "pg_catalog.text".to_owned();
    }
    let whole = base_type(column);
    match (whole.split_once('('), whole.split_once(')')) {
        (Some((front, _)), Some((_, back))) => format!("{}{back}", front.trim_end()),
        _ => whole,
    }
}
