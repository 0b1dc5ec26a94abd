//! Marks values that are set where a rule may mask the column: an application that saves a row whole sends the mask back, and the
//! rewrite then leaves the value as it is.

use std::collections::BTreeSet;

use sqlparser::ast::{
    Assignment, AssignmentTarget, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, ObjectName,
    ObjectNamePart, Query, SelectItem, SetExpr, TableAlias, TableAliasColumnDef, TableFactor,
};

use super::mark::Mark;
use super::names::{name_of, quoted};
use super::write::{is_default, null};
use super::{Fail, OccurrenceId, Resolver};
use crate::catalog::RelationName;
use crate::sql::ast::fragment;

/// What the query is called that gives several columns their values at once.
const SOURCE: &str = "pgpurpose_values";
/// The one row beside which it stands, so that a query without rows sets its columns to NULL as before.
const ONE: &str = "pgpurpose_one";

impl Resolver<'_> {
    /// Marks the values of SET: of UPDATE, of ON CONFLICT DO UPDATE, of MERGE.
    pub(super) fn keep_assignments(&mut self, id: OccurrenceId, assignments: &mut [Assignment]) -> Result<(), Fail> {
        let kept = self.kept(id);
        if kept.is_empty() {
            return Ok(());
        }
        for Assignment { target, value } in assignments {
            match target {
                AssignmentTarget::ColumnName(name) => self.keep_one(id, &kept, name, value),
                AssignmentTarget::Tuple(names) => self.keep_tuple(id, &kept, names, value)?,
            }
        }
        Ok(())
    }

    /// The columns of a target of which some rule masks what some rule lets be set.
    fn kept(&self, id: OccurrenceId) -> BTreeSet<String> {
        let Some(occurrence) = self.occurrences.get(id) else { return BTreeSet::new() };
        let catalog = self.context.catalog;
        let ancestors: Vec<RelationName> = catalog
            .ancestors(occurrence.relation.oid)
            .into_iter()
            .filter_map(|oid| catalog.relation_by_oid(oid).map(|relation| relation.name.clone()))
            .collect();
        self.context.policies.kept_columns(std::iter::once(&occurrence.relation.name).chain(&ancestors))
    }

    fn keep_one(&mut self, id: OccurrenceId, kept: &BTreeSet<String>, name: &ObjectName, value: &mut Expr) {
        match whole(name) {
            // DEFAULT is what nobody has read: it sets the column.
            Some((column, true)) if kept.contains(&column) && !is_default(value) => self.keep(id, &column, value),
            Some((column, false)) if kept.contains(&column) => self.cannot_keep(id, column),
            Some(_) | None => {}
        }
    }

    fn keep_tuple(
        &mut self,
        id: OccurrenceId,
        kept: &BTreeSet<String>,
        names: &[ObjectName],
        value: &mut Expr,
    ) -> Result<(), Fail> {
        let columns: Vec<(String, bool)> = names.iter().filter_map(whole).collect();
        if !columns.iter().any(|(column, _)| kept.contains(column)) {
            return Ok(());
        }
        match value {
            Expr::Tuple(items) if items.len() == names.len() => {
                for (name, item) in names.iter().zip(items) {
                    self.keep_one(id, kept, name, item);
                }
            }
            Expr::Function(row) if is_row(row) => {
                let FunctionArguments::List(list) = &mut row.args else { return Ok(()) };
                for (name, arg) in names.iter().zip(&mut list.args) {
                    let FunctionArg::Unnamed(FunctionArgExpr::Expr(item)) = arg else {
                        return Err(super::unsupported("this argument of ROW"));
                    };
                    self.keep_one(id, kept, name, item);
                }
            }
            Expr::Subquery(query) if columns.len() == names.len() && columns.iter().all(|(_, whole)| *whole) => {
                let columns: Vec<String> = columns.into_iter().map(|(column, _)| column).collect();
                self.keep_query(id, kept, &columns, query)?;
            }
            _ => columns
                .into_iter()
                .filter(|(column, _)| kept.contains(column))
                .for_each(|(column, _)| self.cannot_keep(id, column)),
        }
        Ok(())
    }

    /// `(a, b) = (SELECT ..)`: its row passes through a query of its own, in which each column is a value.
    fn keep_query(
        &mut self,
        id: OccurrenceId,
        kept: &BTreeSet<String>,
        columns: &[String],
        source: &mut Query,
    ) -> Result<(), Fail> {
        self.type_constants(id, columns, source)?;
        let mut wrapped = fragment::parse_query(&format!(
            "SELECT 1 FROM (SELECT 1) AS \"{ONE}\" LEFT JOIN (SELECT 1) AS \"{SOURCE}\" ON true"
        ))?;
        let SetExpr::Select(select) = wrapped.body.as_mut() else { return Err(super::unsupported("this query")) };
        let joined = select.from.first_mut().and_then(|from| from.joins.first_mut()).map(|join| &mut join.relation);
        let Some(TableFactor::Derived { subquery, alias: Some(TableAlias { columns: aliases, .. }), .. }) = joined
        else {
            return Err(super::unsupported("this query"));
        };
        let mut items = Vec::new();
        for (number, column) in columns.iter().enumerate() {
            let name = format!("c{}", number.saturating_add(1));
            aliases.push(TableAliasColumnDef { name: quoted(&name), data_type: None });
            self.meant.add_column(vec![SOURCE.to_owned(), name.clone()]);
            let mut item = Expr::CompoundIdentifier(vec![quoted(SOURCE), quoted(&name)]);
            if kept.contains(column) {
                self.keep(id, column, &mut item);
            }
            items.push(SelectItem::UnnamedExpr(item));
        }
        std::mem::swap(subquery.as_mut(), source);
        select.projection = items;
        *source = wrapped;
        Ok(())
    }

    fn keep(&mut self, id: OccurrenceId, column: &str, value: &mut Expr) {
        let Some(occurrence) = self.occurrences.get(id) else { return };
        let Some(position) = occurrence.relation.columns.iter().position(|known| known.name == column) else { return };
        let written = std::mem::replace(value, null());
        *value = Mark::Keep(id, position).on(written);
    }

    /// Notes that the column is set in a way in which the new value cannot be held against its mask.
    fn cannot_keep(&mut self, id: OccurrenceId, column: String) {
        if let Some(occurrence) = self.occurrences.get_mut(id) {
            occurrence.unkept.insert(column);
        }
    }
}

/// `ROW (..)`, which sqlparser reads as a call.
fn is_row(function: &Function) -> bool {
    matches!(function.name.0.as_slice(), [ObjectNamePart::Identifier(name)] if name.quote_style.is_none() && name.value.eq_ignore_ascii_case("row"))
        && matches!(function.args, FunctionArguments::List(_))
}

/// The column that is set, and whether it is set as a whole.
fn whole(name: &ObjectName) -> Option<(String, bool)> {
    match name.0.as_slice() {
        [ObjectNamePart::Identifier(column)] => Some((name_of(column), true)),
        [ObjectNamePart::Identifier(column), ..] => Some((name_of(column), false)),
        _ => None,
    }
}
