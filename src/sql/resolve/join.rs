//! Joins in FROM: what each side shows to the conditions, and the columns that USING and NATURAL make one.

use std::collections::BTreeSet;

use sqlparser::ast::{Join, JoinConstraint, TableWithJoins};

use super::absence::sides;
use super::names::{name_of, parts_of};
use super::scope::{Columns, Source, VisibleColumn};
use super::{Fail, Resolver, unsupported};
use crate::error::{Refusal, Stage};
use crate::policy::Use;
use crate::sql::ast::marker;

impl Resolver<'_> {
    /// One FROM item with its joins. What it makes visible is in the scope only while its conditions are resolved.
    pub(super) fn joined(&mut self, item: &mut TableWithJoins) -> Result<Vec<Source>, Fail> {
        if self.scopes.is_empty() {
            // What is shown to conditions is lent to the innermost level: there is one wherever FROM stands.
            return Err(Refusal::internal(Stage::Resolve));
        }
        let mut sources = self.factor(&mut item.relation)?;
        for join in &mut item.joins {
            let Join { relation, global, join_operator } = join;
            if *global {
                return Err(unsupported("GLOBAL JOIN"));
            }
            // LATERAL items and functions on the right see the left side.
            let depth = self.depth();
            self.show(sources);
            let right = self.factor(relation);
            sources = self.hide(depth);
            let mut right = right?;
            let (sides, constraint) = sides(join_operator)?;
            self.join_sides(sides, constraint, &mut sources, &mut right);
            let mut merged_alias = None;
            match constraint {
                JoinConstraint::None => {}
                JoinConstraint::On(condition) => {
                    sources.append(&mut right);
                    self.show(sources);
                    self.judge_predicate(condition);
                    let resolved = self.expr(condition, Use::Join);
                    sources = self.hide(depth);
                    resolved?;
                }
                JoinConstraint::Using(columns) => {
                    for column in columns.iter() {
                        if let Some(alias) = marker::using_alias(column) {
                            merged_alias = Some(name_of(alias));
                            continue;
                        }
                        match parts_of(column)?.as_slice() {
                            [name] => self.merge_column(name, &sources, &right)?,
                            _ => return Err(unsupported("a dotted name in USING")),
                        }
                    }
                }
                // Its alias is told by a mark of our own.
                JoinConstraint::UsingAlias(..) => return Err(unsupported("USING with an alias and without a mark")),
                JoinConstraint::Natural => {
                    for source in sources.iter().chain(&right) {
                        // Its hidden columns would be joined by as well.
                        self.expose_row(&None, None, source.carrier);
                    }
                    for name in common_columns(&sources, &right)? {
                        self.merge_column(&name, &sources, &right)?;
                    }
                }
            }
            sources.append(&mut right);
            if let Some(name) = merged_alias {
                // JOIN .. USING (..) AS name: the merged columns once more, under that name only.
                let merged = self.scopes.last().map(|scope| scope.merged.clone()).unwrap_or_default();
                let columns = all_columns(&sources, &merged)
                    .map(|columns| columns.into_iter().filter(|column| merged.contains(&column.name)).collect());
                sources.push(Source { name: Some(name), columns, unqualified: false, ..Source::nameless() });
            }
        }
        Ok(sources)
    }

    fn depth(&self) -> usize {
        self.scopes.last().map_or(0, |scope| scope.sources.len())
    }

    /// Takes back what was shown beyond this depth.
    fn hide(&mut self, depth: usize) -> Vec<Source> {
        self.scopes.last_mut().map_or_else(Vec::new, |scope| scope.sources.split_off(depth.min(scope.sources.len())))
    }

    /// Makes one column of the two sides' columns of that name, and notes that both are compared.
    fn merge_column(&mut self, name: &str, left: &[Source], right: &[Source]) -> Result<(), Fail> {
        let origins: Vec<_> = left
            .iter()
            .chain(right)
            .filter_map(|source| source.column(name))
            .flat_map(|column| column.origins.clone())
            .collect();
        let known =
            |sources: &[Source]| sources.iter().any(|source| source.columns.is_none() || source.column(name).is_some());
        if !known(left) || !known(right) {
            return Err(Refusal::new(
                Stage::Resolve,
                super::SqlState::UNDEFINED_COLUMN,
                format!("column `{name}` specified in USING clause does not exist on both sides"),
            ));
        }
        self.judge_merge(&origins)?;
        self.mark(&origins, Use::Join);
        self.merged.insert(name.to_owned());
        if let Some(scope) = self.scopes.last_mut() {
            scope.merged.insert(name.to_owned());
        }
        Ok(())
    }
}

/// The columns that NATURAL joins by. Both sides must be known, for a column more or less would be another join.
fn common_columns(left: &[Source], right: &[Source]) -> Result<Vec<String>, Fail> {
    let names = |sources: &[Source]| -> Option<BTreeSet<String>> {
        let mut names = BTreeSet::new();
        for source in sources {
            names.extend(source.columns.as_ref()?.iter().map(|column| column.name.clone()));
        }
        Some(names)
    };
    match (names(left), names(right)) {
        (Some(left), Some(right)) => Ok(left.intersection(&right).cloned().collect()),
        _ => Err(unsupported("NATURAL JOIN with a FROM item whose columns are not known")),
    }
}

/// The columns of a join that has an alias of its own: it hides the names inside.
pub(super) fn all_columns(sources: &[Source], merged: &BTreeSet<String>) -> Columns {
    let mut columns: Vec<VisibleColumn> = Vec::new();
    for source in sources {
        for column in source.columns.as_ref()? {
            match columns.iter_mut().find(|have| have.name == column.name && merged.contains(&column.name)) {
                Some(have) => have.origins.extend(column.origins.clone()),
                None => columns.push(column.clone()),
            }
        }
    }
    Some(columns)
}
