//! Which column was perhaps meant by a name that does not exist: the nearest that the purpose may see.

use std::collections::BTreeSet;

use super::Resolver;
use super::scope::VisibleColumn;
use crate::error::{Refusal, SqlState, Stage};
use crate::policy::Seen;

/// Names that differ by more are nobody's slip (`MAX_FUZZY_DISTANCE` of PostgreSQL's `parse_relation.c`).
const FARTHEST: usize = 3;

impl Resolver<'_> {
    /// 42703, with a hint where a column that the purpose sees has nearly this name.
    pub(super) fn no_column(&self, table: Option<&str>, name: &str) -> Refusal {
        let written = table.map_or_else(|| name.to_owned(), |table| format!("{table}.{name}"));
        let parts = table.into_iter().chain([name]).map(str::to_owned).collect();
        let message = format!("column `{written}` does not exist");
        let refusal = Refusal::new(Stage::Resolve, SqlState::UNDEFINED_COLUMN, message).named(parts);
        let near: Vec<String> =
            self.nearest(table, name).into_iter().map(|column| format!("the column `{column}`")).collect();
        if near.is_empty() {
            refusal
        } else {
            refusal.hint(format!("perhaps you meant to reference {}", near.join(" or ")))
        }
    }

    fn nearest(&self, table: Option<&str>, name: &str) -> BTreeSet<String> {
        let mut found: (usize, BTreeSet<String>) = (FARTHEST + 1, BTreeSet::new());
        for source in self.scopes.iter().rev().flat_map(|scope| &scope.sources) {
            let Some(called) = source.name.as_deref().filter(|called| table.is_none_or(|table| table == *called))
            else {
                continue;
            };
            for column in source.columns.iter().flatten().filter(|column| self.is_seen(column)) {
                let far = strsim::levenshtein(name, &column.name);
                if far > FARTHEST || far > name.chars().count() / 2 || far > found.0 {
                    continue;
                }
                if far < found.0 {
                    found = (far, BTreeSet::new());
                }
                found.1.insert(format!("{called}.{}", column.name));
            }
        }
        // PostgreSQL names two at most: more is a guess.
        if found.1.len() > 2 { BTreeSet::new() } else { found.1 }
    }

    /// Whether the purpose sees what the column comes from.
    fn is_seen(&self, column: &VisibleColumn) -> bool {
        let context = self.context;
        column.origins.iter().all(|(id, name)| {
            let Some(occurrence) = self.occurrences.get(*id) else { return false };
            let ancestors = context.catalog.ancestors(occurrence.relation.oid);
            let above = ancestors
                .into_iter()
                .filter_map(|oid| context.catalog.relation_by_oid(oid))
                .map(|relation| &relation.name);
            let names = std::iter::once(&occurrence.relation.name).chain(above);
            context.policies.seen(context.login, context.purpose, names, name) != Seen::Hidden
        })
    }
}
