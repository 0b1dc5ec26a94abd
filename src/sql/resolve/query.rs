//! Queries: WITH, set operations, SELECT, ORDER BY.

use sqlparser::ast::{
    Distinct, Expr, LimitClause, LockClause, OrderBy, Query, Select, SelectFlavor, SelectItem,
    SelectItemQualifiedWildcardKind, SetExpr, SetOperator, SetQuantifier, Values, WildcardAdditionalOptions,
};

use super::absence::is_cut;
use super::names::{name_of, parts_of, quoted_name};
use super::order::order_keys;
use super::output::{output_name, output_names};
use super::scope::CarrierId;
use super::scope::{Columns, Scope, UNSURE, VisibleColumn};
use super::{Fail, OccurrenceId, Resolver, unsupported};
use crate::policy::Use;
use crate::sql::ast::marker;

impl Resolver<'_> {
    /// Resolves a query and gives the names of its columns.
    pub(super) fn query(&mut self, query: &mut Query) -> Result<Columns, Fail> {
        let cut = is_cut(query);
        let Query {
            with,
            body,
            order_by,
            limit_clause,
            fetch,
            locks,
            for_clause,
            settings,
            format_clause,
            pipe_operators,
        } = query;
        if for_clause.is_some() || settings.is_some() || format_clause.is_some() || !pipe_operators.is_empty() {
            return Err(unsupported("a clause of another database"));
        }
        let leaf = self.begin_carrier();
        self.nested = self.nested.saturating_add(1);
        let outer_ctes = self.ctes.len();
        let first = self.occurrences.len();
        if let Some(with) = with {
            self.with(with)?;
        }
        self.leaf = leaf;
        let columns = match body.as_mut() {
            // ORDER BY of a plain SELECT sees its FROM items.
            SetExpr::Select(select) => self.select(select, order_by.as_mut(), cut)?,
            other => {
                let columns = self.set_expr(other)?;
                self.order_by_output(order_by.as_mut())?;
                columns
            }
        };
        if let Some((carrier, _)) = leaf.filter(|_| cut) {
            self.cut_query(carrier, !matches!(body.as_ref(), SetExpr::Select(_)));
        }
        self.limits(limit_clause.as_mut())?;
        if let Some(fetch) = fetch {
            if fetch.percent {
                return Err(unsupported("FETCH with PERCENT"));
            }
            if let Some(quantity) = &mut fetch.quantity {
                self.detached(quantity)?;
            }
        }
        for lock in locks.iter() {
            self.lock(lock, first)?;
        }
        self.ctes.truncate(outer_ctes);
        self.nested = self.nested.saturating_sub(1);
        self.made = leaf.map(|(carrier, _)| carrier);
        Ok(columns)
    }

    fn set_expr(&mut self, body: &mut SetExpr) -> Result<Columns, Fail> {
        match body {
            SetExpr::Select(select) => self.select(select, None, false),
            SetExpr::Query(query) => {
                self.carrying = self.leaf.take().into();
                self.query(query)
            }
            SetExpr::SetOperation { left, right, set_quantifier, op } => {
                match set_quantifier {
                    SetQuantifier::All | SetQuantifier::Distinct | SetQuantifier::None => {}
                    SetQuantifier::ByName | SetQuantifier::AllByName | SetQuantifier::DistinctByName => {
                        return Err(unsupported("BY NAME"));
                    }
                }
                let all = matches!((op, set_quantifier), (SetOperator::Union, SetQuantifier::All));
                let leaf = self.leaf.take().map(|(carrier, rows)| (carrier, rows && all));
                self.leaf = leaf;
                let columns = self.set_expr(left)?;
                self.leaf = leaf;
                self.set_expr(right)?;
                Ok(computed(columns))
            }
            SetExpr::Values(values) => self.values(values),
            SetExpr::Insert(statement)
            | SetExpr::Update(statement)
            | SetExpr::Delete(statement)
            | SetExpr::Merge(statement) => self.statement(statement),
            // The parser turns `TABLE t` into `SELECT * FROM t`, which is the same tree.
            SetExpr::Table(_) => Err(unsupported("TABLE in this place")),
        }
    }

    fn values(&mut self, values: &mut Values) -> Result<Columns, Fail> {
        if values.explicit_row || values.value_keyword {
            return Err(unsupported("this form of VALUES"));
        }
        let leaf = self.leaf.take();
        for row in &mut values.rows {
            for expr in &mut row.content {
                self.expr(expr, Use::Output)?;
            }
        }
        let columns = values_columns(values);
        if let Some(mark) = self.end_values(leaf) {
            values.rows.iter_mut().for_each(|row| row.content.push(mark.clone()));
        }
        Ok(Some(columns))
    }

    /// `cut`: only some of the rows are kept, by the order.
    fn select(&mut self, select: &mut Select, order_by: Option<&mut OrderBy>, cut: bool) -> Result<Columns, Fail> {
        refuse_foreign_clauses(select)?;
        let before = self.occurrences.len();
        let leaf = self.leaf.take();
        let shape = self.filter_shape(select.selection.as_ref());
        self.scopes.push(Scope { leaf: leaf.is_some(), ..Scope::default() });
        let columns = self.select_in_scope(select, order_by, cut, before);
        self.end_select(select, leaf, shape, before);
        self.scopes.pop();
        columns
    }

    fn select_in_scope(
        &mut self,
        select: &mut Select,
        order_by: Option<&mut OrderBy>,
        cut: bool,
        before: usize,
    ) -> Result<Columns, Fail> {
        self.from(&mut select.from)?;
        if self.occurrences.len() > before {
            self.levels += 1;
            if self.nested > 1 && !plain_outputs(&select.projection) {
                // Below an outer join PostgreSQL computes a subquery's columns where the relation is read.
                self.expose_all();
            }
        }
        self.ranges(select, before);
        if let Some(selection) = &mut select.selection {
            self.judge_predicate(selection);
            self.test_level(selection);
            self.lookups(selection, &select.from, before);
            self.expr(selection, Use::Filter)?;
        }
        self.cut_level(select, order_by.as_deref(), cut);
        let outputs = output_names(&select.projection);
        self.group_by(&mut select.group_by, &outputs)?;
        self.judge_keys(&select.group_by, &select.projection);
        if let Some(having) = &mut select.having {
            self.judge_predicate(having);
            self.expr(having, Use::Filter)?;
        }
        for window in &mut select.named_window {
            self.named_window(window)?;
        }
        match &mut select.distinct {
            None | Some(Distinct::All | Distinct::Distinct) => {}
            Some(Distinct::On(exprs)) => {
                for expr in exprs {
                    self.sort_key(expr, &outputs, Use::Group)?;
                }
            }
        }
        let columns = self.projection(&mut select.projection)?;
        if let Some(order_by) = order_by {
            for key in order_keys(order_by)? {
                self.sort_key(&mut key.expr, &outputs, Use::Order)?;
            }
        }
        self.add_functional_dependencies(&mut select.group_by, &select.projection, before);
        Ok(columns)
    }

    fn projection(&mut self, items: &mut [SelectItem]) -> Result<Columns, Fail> {
        let mut columns: Columns = Some(Vec::new());
        let push = |columns: &mut Columns, more: Columns| match (columns.as_mut(), more) {
            (Some(have), Some(more)) => have.extend(more),
            _ => *columns = None,
        };
        for item in items {
            let more = self.select_item(item, Use::Output)?;
            push(&mut columns, more);
        }
        Ok(columns)
    }

    /// One item of a select list or RETURNING; gives the columns that it makes.
    pub(super) fn select_item(&mut self, item: &mut SelectItem, usage: Use) -> Result<Columns, Fail> {
        match item {
            SelectItem::UnnamedExpr(expr) => {
                let name = output_name(expr);
                self.expr(expr, usage)?;
                Ok(Some(vec![VisibleColumn::computed(name)]))
            }
            SelectItem::ExprWithAlias { expr, alias } => {
                self.expr(expr, usage)?;
                Ok(Some(vec![VisibleColumn::computed(name_of(alias))]))
            }
            SelectItem::ExprWithAliases { .. } => Err(unsupported("an alias list in the select list")),
            SelectItem::Wildcard(options) => {
                plain_star(options)?;
                self.saw_column(vec!["*".to_owned()]);
                self.star_of_level()
            }
            SelectItem::QualifiedWildcard(kind, options) => {
                plain_star(options)?;
                match kind {
                    SelectItemQualifiedWildcardKind::ObjectName(name) => {
                        let parts = parts_of(name)?;
                        let (columns, occurrence, carrier, table) = self.qualified_star(&parts)?;
                        let mut seen = parts.clone();
                        seen.push("*".to_owned());
                        self.seen.add_column(seen);
                        self.meant.add_column(vec![table.clone(), "*".to_owned()]);
                        if parts.len() > 1 {
                            *name = quoted_name([table.as_str()]);
                        }
                        self.mark_row(&columns, occurrence);
                        if !self.can_name_all(Some(&table)) {
                            self.expose_row(&columns, occurrence, carrier);
                        }
                        Ok(computed(columns))
                    }
                    SelectItemQualifiedWildcardKind::Expr(expr) => {
                        self.expr(expr, usage)?;
                        Ok(None)
                    }
                }
            }
        }
    }

    /// `*`: every FROM item of this level.
    fn star_of_level(&mut self) -> Result<Columns, Fail> {
        let Some(scope) = self.scopes.last().cloned() else { return Err(unsupported("* without FROM")) };
        let mut columns: Columns = Some(Vec::new());
        let named = self.can_name_all(None);
        for source in &scope.sources {
            self.mark_row(&source.columns, source.occurrence);
            if !named {
                self.expose_row(&source.columns, source.occurrence, source.carrier);
            }
            match (columns.as_mut(), computed(source.columns.clone())) {
                (Some(have), Some(more)) => {
                    let merged = |name: &str, have: &[VisibleColumn]| {
                        scope.merged.contains(name) && have.iter().any(|column| column.name == name)
                    };
                    for column in more {
                        if !merged(&column.name, have) {
                            have.push(column);
                        }
                    }
                }
                _ => columns = None,
            }
        }
        Ok(columns)
    }

    /// What `t.*` or `s.t.*` stands for, and the name it is written by.
    pub(super) fn qualified_star(
        &self,
        parts: &[String],
    ) -> Result<(Columns, Option<OccurrenceId>, Option<CarrierId>, String), Fail> {
        let (schema, table) = match parts {
            [table] => (None, table),
            [schema, table] => (Some(schema), table),
            _ => return Err(unsupported("a star with so many parts to its name")),
        };
        let source = self.source(schema, table)?;
        Ok((source.columns.clone(), source.occurrence, source.carrier, table.clone()))
    }

    fn limits(&mut self, limit: Option<&mut LimitClause>) -> Result<(), Fail> {
        match limit {
            None => Ok(()),
            Some(LimitClause::LimitOffset { limit, offset, limit_by }) => {
                if !limit_by.is_empty() {
                    return Err(unsupported("LIMIT BY"));
                }
                if let Some(limit) = limit {
                    self.detached(limit)?;
                }
                if let Some(offset) = offset {
                    self.detached(&mut offset.value)?;
                }
                Ok(())
            }
            Some(LimitClause::OffsetCommaLimit { .. }) => Err(unsupported("LIMIT with a comma")),
        }
    }

    /// FOR UPDATE and the like reach the FROM items they name by what they are called, or all of the query's. The derived
    /// table has that name, and PostgreSQL locks what is inside it.
    fn lock(&mut self, lock: &LockClause, first: OccurrenceId) -> Result<(), Fail> {
        let only: Option<Vec<String>> = lock.of.as_ref().map(|of| marker::locked(of).map(name_of).collect());
        let named = |alias: &String| only.as_ref().is_none_or(|only| only.contains(alias));
        // An item that is named may be a subquery: then whatever it holds is locked, so all of the query's count.
        let direct = self.occurrences.iter().skip(first).any(|occurrence| named(&occurrence.alias));
        for occurrence in self.occurrences.iter_mut().skip(first) {
            if !direct || named(&occurrence.alias) {
                occurrence.locked = true;
                occurrence.waits |= lock.nonblock.is_none();
            }
        }
        Ok(())
    }

    /// An expression that sees no FROM item of its own level: LIMIT, OFFSET, arguments.
    pub(super) fn detached(&mut self, expr: &mut Expr) -> Result<(), Fail> {
        self.expr(expr, Use::Filter)
    }
}

/// Whether a select list computes nothing that could fail on a row: columns, constants, stars, and counts of rows.
fn plain_outputs(items: &[SelectItem]) -> bool {
    items.iter().all(|item| match item {
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => {
            matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_)) || super::from::is_constant(expr)
        }
        SelectItem::QualifiedWildcard(..) | SelectItem::Wildcard(_) => true,
        SelectItem::ExprWithAliases { .. } => false,
    })
}

/// Columns that are visible from outside of a subquery: computed, for the names inside are resolved already.
pub(super) fn computed(columns: Columns) -> Columns {
    let computed = |VisibleColumn { name, origins, by_star }| VisibleColumn {
        name,
        origins: Vec::new(),
        by_star: by_star.or_else(|| origins.into_iter().next()),
    };
    columns.map(|columns| columns.into_iter().map(computed).collect())
}

/// Applies an alias's column list by position; with unknown columns, the list is all that is known, so it stays unknown.
pub(super) fn aliased(columns: Columns, aliases: &[String]) -> Columns {
    if aliases.is_empty() {
        return columns;
    }
    let mut columns = columns?;
    if let Some(by_star) = columns.iter_mut().find_map(|column| column.by_star.as_mut()) {
        by_star.0 = UNSURE;
    }
    for (column, alias) in columns.iter_mut().zip(aliases) {
        column.name.clone_from(alias);
    }
    Some(columns)
}

pub(super) fn values_columns(values: &Values) -> Vec<VisibleColumn> {
    let width = values.rows.first().map_or(0, |row| row.content.len());
    (1..=width).map(|number| VisibleColumn::computed(format!("column{number}"))).collect()
}

fn plain_star(options: &WildcardAdditionalOptions) -> Result<(), Fail> {
    let WildcardAdditionalOptions {
        wildcard_token: _,
        opt_ilike,
        opt_exclude,
        opt_except,
        opt_replace,
        opt_rename,
        opt_alias,
    } = options;
    if opt_ilike.is_some()
        || opt_exclude.is_some()
        || opt_except.is_some()
        || opt_replace.is_some()
        || opt_rename.is_some()
        || opt_alias.is_some()
    {
        return Err(unsupported("a star with options"));
    }
    Ok(())
}

fn refuse_foreign_clauses(select: &Select) -> Result<(), Fail> {
    let Select {
        select_token: _,
        optimizer_hints,
        distinct: _,
        select_modifiers,
        top,
        top_before_distinct: _,
        projection: _,
        exclude,
        into,
        from: _,
        lateral_views,
        prewhere,
        selection: _,
        connect_by,
        group_by: _,
        cluster_by,
        distribute_by,
        sort_by,
        having: _,
        named_window: _,
        qualify,
        window_before_qualify: _,
        value_table_mode,
        flavor,
    } = select;
    if into.is_some() {
        return Err(unsupported("SELECT INTO"));
    }
    let foreign = !optimizer_hints.is_empty()
        || select_modifiers.is_some()
        || top.is_some()
        || exclude.is_some()
        || !lateral_views.is_empty()
        || prewhere.is_some()
        || !connect_by.is_empty()
        || !cluster_by.is_empty()
        || !distribute_by.is_empty()
        || !sort_by.is_empty()
        || qualify.is_some()
        || value_table_mode.is_some()
        || !matches!(flavor, SelectFlavor::Standard);
    if foreign { Err(unsupported("a clause of another database")) } else { Ok(()) }
}
