//! WITH: queries that stand before a query under a name of their own.

use std::collections::BTreeSet;

use sqlparser::ast::{Cte, Query, SelectItem, SetExpr, With};

use super::carry::Carrying;
use super::names::name_of;
use super::output::output_name;
use super::query::{aliased, computed, values_columns};
use super::scope::{Columns, VisibleColumn};
use super::{Fail, Resolver, unsupported};
use crate::sql::ast::marker;
use crate::sql::ast::walk::{Look, look};

impl Resolver<'_> {
    /// Resolves what stands in WITH; the names hold until the query around ends.
    pub(super) fn with(&mut self, with: &mut With) -> Result<(), Fail> {
        if with.recursive {
            sort(&mut with.cte_tables)?;
        }
        for cte in &mut with.cte_tables {
            self.cte(cte, with.recursive)?;
        }
        Ok(())
    }

    fn cte(&mut self, cte: &mut Cte, recursive: bool) -> Result<(), Fail> {
        let added = match &cte.from {
            None => Vec::new(),
            Some(words) => match marker::recursion_columns(words) {
                Some(_) if self.recording => {
                    return Err(unsupported("SEARCH or CYCLE where subjects are recorded"));
                }
                Some(columns) => columns,
                None => return Err(unsupported("a clause of another database")),
            },
        };
        if cte.alias.at.is_some() {
            return Err(unsupported("a clause of another database"));
        }
        let name = name_of(&cte.alias.name);
        let aliases: Vec<String> = cte.alias.columns.iter().map(|column| name_of(&column.name)).collect();
        // A WITH query sees no FROM item of the level that it stands in, but those of the levels around it.
        let columns = if recursive && mentions(&cte.query, &name) {
            let start = self.recursive_columns(&cte.query, &aliases);
            self.ctes.push((name.clone(), start, None));
            let columns = self.query(&mut cte.query)?;
            self.ctes.pop();
            columns
        } else {
            self.carrying = Carrying::New;
            self.query(&mut cte.query)?
        };
        let carrier = self.made.take();
        let mut columns = aliased(computed(columns), &aliases);
        // In the order of rows that were met, or by which ways: of what the query itself shows.
        if let Some(columns) = &mut columns {
            columns.extend(added.into_iter().map(VisibleColumn::computed));
        }
        self.ctes.push((name, columns, carrier));
        Ok(())
    }

    /// Columns of a recursive query before it is walked: the alias list, else the names of its first SELECT.
    fn recursive_columns(&mut self, query: &Query, aliases: &[String]) -> Columns {
        let mut body = query.body.as_ref();
        while let SetExpr::SetOperation { left, .. } = body {
            body = left;
        }
        let names = match body {
            SetExpr::Select(select) => select
                .projection
                .iter()
                .map(|item| match item {
                    SelectItem::UnnamedExpr(expr) => Some(output_name(expr)),
                    SelectItem::ExprWithAlias { alias, .. } => Some(name_of(alias)),
                    SelectItem::ExprWithAliases { .. }
                    | SelectItem::QualifiedWildcard(..)
                    | SelectItem::Wildcard(..) => None,
                })
                .collect::<Option<Vec<_>>>()
                .map(|names| names.into_iter().map(VisibleColumn::computed).collect()),
            SetExpr::Values(values) => Some(values_columns(values)),
            SetExpr::Query(_)
            | SetExpr::SetOperation { .. }
            | SetExpr::Insert(_)
            | SetExpr::Update(_)
            | SetExpr::Delete(_)
            | SetExpr::Merge(_)
            | SetExpr::Table(_) => None,
        };
        aliased(names, aliases)
    }
}

/// With RECURSIVE a WITH query may name a later one: they are put in the order in which PostgreSQL takes them
/// (`TopologicalSort` in `parse_cte.c`), so that each stands behind those that it names.
fn sort(ctes: &mut [Cte]) -> Result<(), Fail> {
    let names: Vec<String> = ctes.iter().map(|cte| name_of(&cte.alias.name)).collect();
    // What each names beside itself.
    let mut needs: Vec<(String, BTreeSet<String>)> = ctes
        .iter()
        .zip(&names)
        .map(|(cte, own)| {
            let named = names.iter().filter(|name| *name != own && mentions(&cte.query, name));
            (own.clone(), named.cloned().collect())
        })
        .collect();
    for at in 0..ctes.len() {
        let free = needs.iter().skip(at).position(|(_, needed)| needed.is_empty());
        let Some(ahead) = free else { return Err(unsupported("mutual recursion of WITH queries")) };
        ctes.swap(at, at + ahead);
        needs.swap(at, at + ahead);
        let Some((done, _)) = needs.get(at).cloned() else { continue };
        for (_, needed) in needs.iter_mut().skip(at + 1) {
            needed.remove(&done);
        }
    }
    Ok(())
}

/// Whether a query mentions a name as a table: only then does RECURSIVE matter for it.
fn mentions(query: &Query, name: &str) -> bool {
    struct Finder<'n>(&'n str);
    impl Look for Finder<'_> {
        fn relation(&mut self, relation: &sqlparser::ast::ObjectName) -> std::ops::ControlFlow<()> {
            let found =
                matches!(relation.0.as_slice(), [part] if part.as_ident().is_some_and(|i| name_of(i) == self.0));
            if found { std::ops::ControlFlow::Break(()) } else { std::ops::ControlFlow::Continue(()) }
        }
    }
    look(query, &mut Finder(name)).is_break()
}
