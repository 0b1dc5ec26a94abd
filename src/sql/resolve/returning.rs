//! RETURNING: held to the read rules. A star over the target stands for the columns that SELECT * would show.

use sqlparser::ast::{Expr, ObjectName, SelectItem, SelectItemQualifiedWildcardKind, WildcardAdditionalOptions};

use super::mark::Mark;
use super::names::{name_of, parts_of, quoted};
use super::query::computed;
use super::scope::{Columns, Meaning, Source, VisibleColumn};
use super::{Fail, OccurrenceId, Resolver};
use crate::policy::Use;

/// The first server whose RETURNING knows `old` and `new`.
const OLD_AND_NEW: u32 = 180_000;

impl Resolver<'_> {
    /// A RETURNING list over the FROM items in force. `adds`: the statement may add rows to the target.
    pub(super) fn returning(
        &mut self,
        items: Option<&mut Vec<SelectItem>>,
        id: OccurrenceId,
        adds: bool,
    ) -> Result<Columns, Fail> {
        let Some(items) = items else { return Ok(Some(Vec::new())) };
        let before = self.scopes.last().map(|scope| scope.sources.len());
        self.old_and_new(id);
        let columns = self.returned(items, id, adds);
        if let (Some(scope), Some(before)) = (self.scopes.last_mut(), before) {
            scope.sources.truncate(before);
        }
        columns
    }

    /// From PostgreSQL 18 on RETURNING knows the row before and after by `old` and `new`, where nothing else is called so. Their columns
    /// are the target's.
    fn old_and_new(&mut self, id: OccurrenceId) {
        if self.context.catalog.server_version() < OLD_AND_NEW {
            return;
        }
        let Some(scope) = self.scopes.last_mut() else { return };
        let Some(target) = scope.sources.iter().find(|source| source.occurrence == Some(id)).cloned() else { return };
        for name in ["old", "new"] {
            if scope.sources.iter().all(|source| source.name.as_deref() != Some(name)) {
                let name = Some(name.to_owned());
                scope.sources.push(Source { name, schema: None, unqualified: false, ..target.clone() });
            }
        }
    }

    fn returned(&mut self, items: &mut Vec<SelectItem>, id: OccurrenceId, adds: bool) -> Result<Columns, Fail> {
        let mut columns: Columns = Some(Vec::new());
        let mut out = vec![marked(Mark::Return { id, adds })];
        for mut item in std::mem::take(items) {
            let more = match self.star_over_target(&item, id) {
                Some((more, replaced)) => {
                    out.extend(replaced);
                    more
                }
                None => {
                    if let Some((column, named)) = self.column_of_target(&item, id) {
                        let name = VisibleColumn::computed(output_of(&named));
                        out.push(named);
                        if let Some(occurrence) = self.occurrences.get_mut(id) {
                            occurrence.uses.entry(column).or_default().insert(Use::Returned);
                        }
                        if let Some(have) = columns.as_mut() {
                            have.push(name);
                        }
                        continue;
                    }
                    let more = self.select_item(&mut item, Use::Output)?;
                    out.push(item);
                    more
                }
            };
            match (columns.as_mut(), more) {
                (Some(have), Some(more)) => have.extend(computed(Some(more)).unwrap_or_default()),
                _ => columns = None,
            }
        }
        *items = out;
        Ok(columns)
    }

    /// A column of the target by its name, with or without an alias: the column, and what stands for it.
    fn column_of_target(&mut self, item: &SelectItem, id: OccurrenceId) -> Option<(String, SelectItem)> {
        let (expr, alias) = match item {
            SelectItem::UnnamedExpr(expr) => (expr, None),
            SelectItem::ExprWithAlias { expr, alias } => (expr, Some(alias.clone())),
            SelectItem::ExprWithAliases { .. } | SelectItem::QualifiedWildcard(..) | SelectItem::Wildcard(_) => {
                return None;
            }
        };
        let parts: Vec<String> = match expr {
            Expr::Identifier(ident) if ident.quote_style.is_some() || !super::function::is_value_keyword(ident) => {
                vec![name_of(ident)]
            }
            Expr::CompoundIdentifier(idents) => idents.iter().map(name_of).collect(),
            _ => return None,
        };
        let Ok(Meaning::Column(origins)) = self.meaning(&parts) else { return None };
        let [(of, column)] = origins.as_slice() else { return None };
        let known = self.occurrences.get(id).is_some_and(|target| target.relation.column(column).is_some());
        // Of `excluded`, a joined relation, a level further out, the row before: as everywhere.
        if *of != id || !known || self.is_excluded(&parts) || self.is_old_or_new(&parts) {
            return None;
        }
        self.seen.add_column(parts.clone());
        self.note_level(&parts);
        let alias = alias.unwrap_or_else(|| quoted(parts.last().map_or("", String::as_str)));
        let expr = Mark::ReturnOne(id, column.clone()).expr();
        Some((column.clone(), SelectItem::ExprWithAlias { expr, alias }))
    }

    /// Whether the parts name `excluded`, which RETURNING does not know.
    fn is_excluded(&self, parts: &[String]) -> bool {
        matches!(parts, [table, _] if table == "excluded")
    }

    /// Whether the parts name the row before or after by those names.
    fn is_old_or_new(&self, parts: &[String]) -> bool {
        let [table, _] = parts else { return false };
        self.source(None, table).is_ok_and(|source| !source.unqualified)
    }

    /// `*` over FROM items that can each be named, none of which was merged with another; all others stay stars, and need
    /// every column of the target open.
    fn star_over_target(&mut self, item: &SelectItem, id: OccurrenceId) -> Option<(Columns, Vec<SelectItem>)> {
        let SelectItem::Wildcard(options) = item else { return self.star_of_target(item, id) };
        if *options != WildcardAdditionalOptions::default() {
            return None;
        }
        let scope = self.scopes.last()?.clone();
        if !scope.merged.is_empty() {
            return None;
        }
        let mut columns: Columns = Some(Vec::new());
        let (mut items, mut stars) = (Vec::new(), Vec::new());
        for source in scope.sources.iter().filter(|source| source.unqualified) {
            let name = source.name.clone()?;
            if source.occurrence == Some(id) {
                items.push(marked(Mark::ReturnAll(id)));
            } else {
                stars.push((vec![name.clone(), "*".to_owned()], source.clone()));
                let name = SelectItemQualifiedWildcardKind::ObjectName(ObjectName::from(vec![quoted(&name)]));
                items.push(SelectItem::QualifiedWildcard(name, WildcardAdditionalOptions::default()));
            }
            match (columns.as_mut(), source.columns.clone()) {
                (Some(have), Some(more)) => have.extend(more),
                _ => columns = None,
            }
        }
        self.seen.add_column(vec!["*".to_owned()]);
        for (star, source) in stars {
            self.meant.add_column(star);
            self.mark_row(&source.columns, source.occurrence);
        }
        if let Some(occurrence) = self.occurrences.get_mut(id) {
            occurrence.star = true;
        }
        Some((columns, items))
    }

    /// `t.*` of the target by the name it goes by.
    fn star_of_target(&mut self, item: &SelectItem, id: OccurrenceId) -> Option<(Columns, Vec<SelectItem>)> {
        let SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), options) = item else {
            return None;
        };
        let mut parts = parts_of(name).ok()?;
        let source = match parts.as_slice() {
            [table] => self.source(None, table),
            [schema, table] => self.source(Some(schema), table),
            _ => return None,
        };
        // The row before and `excluded` go by names under which no column is found without them.
        let source = source.ok().filter(|source| source.occurrence == Some(id) && source.unqualified)?;
        if *options != WildcardAdditionalOptions::default() {
            return None;
        }
        let columns = source.columns.clone();
        parts.push("*".to_owned());
        self.seen.add_column(parts);
        self.occurrences.get_mut(id)?.star = true;
        Some((columns, vec![marked(Mark::ReturnAll(id))]))
    }
}

/// What the column of the result is called.
fn output_of(item: &SelectItem) -> String {
    match item {
        SelectItem::ExprWithAlias { alias, .. } => name_of(alias),
        SelectItem::UnnamedExpr(expr) => super::output_name(expr),
        SelectItem::ExprWithAliases { .. } | SelectItem::QualifiedWildcard(..) | SelectItem::Wildcard(_) => {
            String::new()
        }
    }
}

fn marked(mark: Mark) -> SelectItem {
    SelectItem::UnnamedExpr(mark.expr())
}
