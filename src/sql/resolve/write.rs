//! INSERT, UPDATE, DELETE: their targets cannot be derived tables, so what is read from them must be open as it is.

use std::sync::Arc;

use sqlparser::ast::{
    Assignment, AssignmentTarget, BinaryOperator, ConflictTarget, Delete, Expr, FromTable, FunctionArg,
    FunctionArgExpr, FunctionArguments, Insert, ObjectName, ObjectNamePart, OnConflictAction, OnInsert, SelectItem,
    SetExpr, TableFactor, TableObject, TableWithJoins, Update, UpdateTableFromKind,
};

use super::carry::LeafOf;
use super::from::{Called, columns_of};
use super::mark::Mark;
use super::names::{name_of, quoted_name};
use super::scope::{Columns, Scope, Source, VisibleColumn};
use super::{Fail, OccurrenceId, Resolver, unsupported};
use crate::policy::{Use, Verb};
use crate::sql::ast::marker;

impl Resolver<'_> {
    /// INSERT.
    pub(super) fn insert(&mut self, insert: &mut Insert, leaf: Option<LeafOf>) -> Result<Columns, Fail> {
        let Insert {
            insert_token: _,
            optimizer_hints,
            or,
            ignore,
            into: _,
            table,
            table_alias,
            columns,
            overwrite,
            by_name,
            overriding,
            source,
            assignments,
            partitioned,
            after_columns,
            has_table_keyword,
            on,
            returning,
            output,
            replace_into,
            priority,
            insert_alias,
            settings,
            format_clause,
            multi_table_insert_type,
            multi_table_into_clauses,
            multi_table_when_clauses,
            multi_table_else_clause,
        } = insert;
        let foreign = !optimizer_hints.is_empty()
            || or.is_some()
            || *ignore
            || *overwrite
            || *by_name
            // OVERRIDING is told by a mark of our own.
            || overriding.is_some()
            || !assignments.is_empty()
            || partitioned.is_some()
            || !after_columns.is_empty()
            || *has_table_keyword
            || output.is_some()
            || *replace_into
            || priority.is_some()
            || insert_alias.is_some()
            || settings.is_some()
            || format_clause.is_some()
            || multi_table_insert_type.is_some()
            || !multi_table_into_clauses.is_empty()
            || !multi_table_when_clauses.is_empty()
            || multi_table_else_clause.is_some();
        if foreign {
            return Err(unsupported("a clause of another database"));
        }
        let TableObject::TableName(name) = table else {
            return Err(unsupported("INSERT into a function or a query"));
        };
        let alias = table_alias.as_ref().map(|alias| name_of(&alias.alias));
        let (id, target) = self.target(name, alias, Verb::Insert)?;
        let named: Vec<String> = columns.iter_mut().map(|name| self.set_column(name)).collect::<Result<_, _>>()?;
        self.writes(id, &named)?;
        if let Some(source) = source {
            if let SetExpr::Values(values) = source.body.as_mut() {
                // DEFAULT is no column, though sqlparser reads it as one; it is put back after the walk.
                let mut defaults = Vec::new();
                for (row, cells) in values.rows.iter_mut().enumerate() {
                    for (cell, expr) in cells.content.iter_mut().enumerate() {
                        if is_default(expr) {
                            defaults.push((row, cell, std::mem::replace(expr, null())));
                        }
                    }
                }
                self.query(source)?;
                if let SetExpr::Values(values) = source.body.as_mut() {
                    for (row, cell, default) in defaults {
                        if let Some(expr) = values.rows.get_mut(row).and_then(|row| row.content.get_mut(cell)) {
                            *expr = default;
                        }
                    }
                }
                self.hold_values(id, &named, source)?;
            } else {
                let shown = self.query(source)?;
                self.hold_query(id, &named, source, &shown)?;
            }
        }
        self.scopes.push(Scope { sources: vec![target], leaf: leaf.is_some(), ..Scope::default() });
        let result = self.after_insert(id, on.as_mut(), returning.as_mut());
        self.end_returning(returning.as_mut(), leaf);
        self.scopes.pop();
        result
    }

    fn after_insert(
        &mut self,
        id: OccurrenceId,
        on: Option<&mut OnInsert>,
        returning: Option<&mut Vec<SelectItem>>,
    ) -> Result<Columns, Fail> {
        match on {
            None => {}
            Some(OnInsert::OnConflict(conflict)) => {
                match &mut conflict.conflict_target {
                    None => {}
                    Some(ConflictTarget::OnConstraint(name)) if marker::is_conflict_target(name) => {
                        self.conflict_target(id, name)?;
                    }
                    Some(ConflictTarget::OnConstraint(_)) => {
                        // A constraint's columns are not known here: whatever is inserted may be looked for.
                        let written: Vec<String> = self
                            .occurrences
                            .get(id)
                            .map_or_else(Vec::new, |occurrence| occurrence.uses.keys().cloned().collect());
                        for column in written {
                            self.mark(&vec![(id, column)], Use::Filter);
                        }
                    }
                    Some(ConflictTarget::Columns { predicate: Some(_), .. }) => {
                        return Err(unsupported("a condition of ON CONFLICT without a mark"));
                    }
                    Some(ConflictTarget::Columns { columns, predicate: None }) => {
                        for column in columns.iter() {
                            let name = name_of(column);
                            self.mark(&vec![(id, name)], Use::Filter);
                        }
                    }
                }
                if let OnConflictAction::DoUpdate(update) = &mut conflict.action {
                    let excluded = self.excluded(id);
                    if let Some(scope) = self.scopes.last_mut() {
                        scope.sources.push(excluded);
                    }
                    self.assignments(id, &mut update.assignments)?;
                    if let Some(occurrence) = self.occurrences.get_mut(id) {
                        occurrence.upserts = true;
                    }
                    if let Some(selection) = &mut update.selection {
                        self.judge_predicate(selection);
                        self.expr(selection, Use::Filter)?;
                    }
                    update.selection = Some(filtered(update.selection.take(), id));
                    if let Some(scope) = self.scopes.last_mut() {
                        scope.sources.truncate(1);
                    }
                }
            }
            Some(_) => return Err(unsupported("ON DUPLICATE KEY")),
        }
        self.returning(returning, id, true)
    }

    /// ON CONFLICT (expressions) WHERE condition: they must match an index, whose definition is the database's.
    fn conflict_target(&mut self, id: OccurrenceId, name: &mut ObjectName) -> Result<(), Fail> {
        let Some(ObjectNamePart::Function(target)) = name.0.first_mut() else { return Err(unsupported("this target")) };
        for arg in &mut target.args {
            match arg {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Function(condition)))
                    if marker::is_conflict_where(&condition.name) =>
                {
                    if let FunctionArguments::List(list) = &mut condition.args {
                        for arg in &mut list.args {
                            self.function_argument(arg, Use::Filter)?;
                        }
                    }
                }
                FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => match uncollated(expr) {
                    Expr::Identifier(column) => self.mark(&vec![(id, name_of(column))], Use::Filter),
                    _ => self.expr(expr, Use::Filter)?,
                },
                _ => return Err(unsupported("this conflict target")),
            }
        }
        Ok(())
    }

    /// `excluded`: the row that the client itself proposed, so nothing is read from it.
    fn excluded(&self, id: OccurrenceId) -> Source {
        let columns = self.occurrences.get(id).map(|occurrence| {
            occurrence.relation.columns.iter().map(|column| VisibleColumn::computed(column.name.clone())).collect()
        });
        Source { name: Some("excluded".to_owned()), columns, unqualified: false, ..Source::nameless() }
    }

    /// UPDATE.
    pub(super) fn update(&mut self, update: &mut Update, leaf: Option<LeafOf>) -> Result<Columns, Fail> {
        let Update {
            update_token: _,
            optimizer_hints,
            table,
            on_cluster,
            assignments,
            from,
            selection,
            returning,
            output,
            or,
            order_by,
            limit,
            settings,
        } = update;
        let foreign = !optimizer_hints.is_empty()
            || on_cluster.is_some()
            || output.is_some()
            || or.is_some()
            || !order_by.is_empty()
            || limit.is_some()
            || settings.is_some();
        if foreign {
            return Err(unsupported("a clause of another database"));
        }
        let (id, target) = self.target_item(table, Verb::Update)?;
        let shape = self.filter_shape(selection.as_ref());
        self.scopes.push(Scope { sources: vec![target], leaf: leaf.is_some(), ..Scope::default() });
        let result = self.update_inside(id, assignments, from.as_mut(), selection.as_mut(), returning.as_mut());
        self.keep_shape(shape, id);
        self.end_returning(returning.as_mut(), leaf);
        self.scopes.pop();
        *selection = Some(filtered(selection.take(), id));
        result
    }

    fn update_inside(
        &mut self,
        id: OccurrenceId,
        assignments: &mut [Assignment],
        from: Option<&mut UpdateTableFromKind>,
        selection: Option<&mut Expr>,
        returning: Option<&mut Vec<SelectItem>>,
    ) -> Result<Columns, Fail> {
        match from {
            None => {}
            Some(UpdateTableFromKind::AfterSet(items)) => self.from(items)?,
            Some(UpdateTableFromKind::BeforeSet(_)) => return Err(unsupported("FROM before SET")),
        }
        self.assignments(id, assignments)?;
        self.condition(selection)?;
        self.returning(returning, id, false)
    }

    /// DELETE.
    pub(super) fn delete(&mut self, delete: &mut Delete, leaf: Option<LeafOf>) -> Result<Columns, Fail> {
        let Delete {
            delete_token: _,
            optimizer_hints,
            tables,
            from,
            using,
            selection,
            returning,
            output,
            order_by,
            limit,
            on_cluster,
            settings,
        } = delete;
        if !optimizer_hints.is_empty()
            || on_cluster.is_some()
            || settings.is_some()
            || !tables.is_empty()
            || output.is_some()
            || !order_by.is_empty()
            || limit.is_some()
        {
            return Err(unsupported("a clause of another database"));
        }
        let FromTable::WithFromKeyword(items) = from else { return Err(unsupported("DELETE without FROM")) };
        let [item] = items.as_mut_slice() else { return Err(unsupported("DELETE from several tables")) };
        let (id, target) = self.target_item(item, Verb::Delete)?;
        let shape = self.filter_shape(selection.as_ref());
        self.scopes.push(Scope { sources: vec![target], leaf: leaf.is_some(), ..Scope::default() });
        let mut inside = || {
            if let Some(using) = using {
                self.from(using)?;
            }
            self.condition(selection.as_mut())?;
            self.returning(returning.as_mut(), id, false)
        };
        let result = inside();
        self.keep_shape(shape, id);
        self.end_returning(returning.as_mut(), leaf);
        self.scopes.pop();
        *selection = Some(filtered(selection.take(), id));
        result
    }

    fn condition(&mut self, selection: Option<&mut Expr>) -> Result<(), Fail> {
        let Some(selection) = selection else { return Ok(()) };
        self.judge_predicate(selection);
        self.test_level(selection);
        self.expr(selection, Use::Filter)
    }

    pub(super) fn assignments(&mut self, id: OccurrenceId, assignments: &mut [Assignment]) -> Result<(), Fail> {
        for Assignment { target, value } in &mut *assignments {
            unpack_row(target, value);
            let columns = match target {
                AssignmentTarget::ColumnName(name) => vec![self.set_column(name)?],
                AssignmentTarget::Tuple(names) => {
                    names.iter_mut().map(|name| self.set_column(name)).collect::<Result<_, _>>()?
                }
            };
            self.writes(id, &columns)?;
            if let Some(occurrence) = self.occurrences.get_mut(id) {
                occurrence.assigned.extend(columns);
            }
            match value {
                value if is_default(value) => {}
                Expr::Tuple(items) => {
                    for item in items.iter_mut().filter(|item| !is_default(item)) {
                        self.expr(item, Use::Output)?;
                    }
                }
                value => self.expr(value, Use::Output)?,
            }
        }
        // What is held to row filters is the value that will stand there.
        self.keep_assignments(id, assignments)?;
        self.hold_assignments(id, assignments);
        Ok(())
    }

    /// The column of `a`, `a.field`, `a[1]`; subscripts are expressions.
    pub(super) fn set_column(&mut self, name: &mut ObjectName) -> Result<String, Fail> {
        let mut parts = name.0.iter_mut();
        let first = match parts.next() {
            Some(ObjectNamePart::Identifier(ident)) => name_of(ident),
            Some(ObjectNamePart::Function(_)) | None => return Err(unsupported("a column without a name")),
        };
        for part in parts {
            match part {
                ObjectNamePart::Identifier(_) => {}
                ObjectNamePart::Function(subscript) if marker::is_subscript(&subscript.name) => {
                    for bound in &mut subscript.args {
                        self.function_argument(bound, Use::Output)?;
                    }
                }
                ObjectNamePart::Function(_) => return Err(unsupported("this kind of column")),
            }
        }
        Ok(first)
    }

    /// Columns that are set; none named means all of them.
    pub(super) fn writes(&mut self, id: OccurrenceId, columns: &[String]) -> Result<(), Fail> {
        let Some(occurrence) = self.occurrences.get_mut(id) else { return Err(unsupported("this target")) };
        let relation = Arc::clone(&occurrence.relation);
        if columns.is_empty() {
            for column in relation.columns.iter().filter(|column| !column.generated) {
                occurrence.mark(&column.name, Use::Write);
            }
        }
        for column in columns {
            if relation.column(column).is_none() {
                let refusal = super::Refusal::new(
                    super::Stage::Resolve,
                    super::SqlState::UNDEFINED_COLUMN,
                    format!("column `{column}` of relation `{}` does not exist", relation.name.name),
                )
                .named(vec![column.clone()]);
                return Err(match occurrence.verb {
                    Verb::Insert => refusal.said_by("parse_target.c", "checkInsertTargets"),
                    Verb::Update => refusal.said_by("analyze.c", "transformUpdateTargetList"),
                    Verb::Select | Verb::Delete | Verb::Define => refusal,
                });
            }
            occurrence.mark(column, Use::Write);
        }
        Ok(())
    }

    fn target_item(&mut self, item: &mut TableWithJoins, verb: Verb) -> Result<(OccurrenceId, Source), Fail> {
        if !item.joins.is_empty() {
            return Err(unsupported("a target with joins"));
        }
        self.target_factor(&mut item.relation, verb)
    }

    /// The table that is written, as a FROM item.
    pub(super) fn target_factor(
        &mut self,
        factor: &mut TableFactor,
        verb: Verb,
    ) -> Result<(OccurrenceId, Source), Fail> {
        let TableFactor::Table { name, alias, args: None, with_ordinality: false, sample: None, .. } = factor else {
            return Err(unsupported("a target that is not a table"));
        };
        if alias.as_ref().is_some_and(|alias| !alias.columns.is_empty()) {
            return Err(unsupported("a target with column aliases"));
        }
        let alias = alias.as_ref().map(|alias| name_of(&alias.name));
        self.target(name, alias, verb)
    }

    /// The relation that is written; its name is written in full at once.
    pub(super) fn target(
        &mut self,
        name: &mut ObjectName,
        alias: Option<String>,
        verb: Verb,
    ) -> Result<(OccurrenceId, Source), Fail> {
        let only = marker::is_only(name);
        marker::set_only(name, false);
        let overriding = marker::overriding(name).is_some().then(|| name.0.remove(0));
        let (schema, table) = self.table_name(name)?;
        let relation = match self.called(schema.as_deref(), &table)? {
            Called::System(name) => return Err(crate::sql::reviewed::system::closed(&name)),
            Called::Relation(relation) => relation,
        };
        *name = quoted_name([relation.name.schema.as_str(), relation.name.name.as_str()]);
        marker::set_only(name, only);
        name.0.splice(0..0, overriding);
        self.meant.add_relation(Some(relation.name.schema.clone()), relation.name.name.clone());
        let schema = alias.is_none().then(|| relation.name.schema.clone());
        let shown = alias.unwrap_or_else(|| relation.name.name.clone());
        let id = self.occurs(&relation, &shown, verb);
        let columns = Some(columns_of(&relation, id));
        Ok((id, Source::relation(shown, schema, columns, id)))
    }
}

/// A condition with the mark of the target's row filter.
pub(super) fn filtered(condition: Option<Expr>, id: OccurrenceId) -> Expr {
    let mark = Mark::Filter(id).expr();
    match condition {
        None => mark,
        Some(condition) => Expr::BinaryOp {
            left: Box::new(Expr::Nested(Box::new(condition))),
            op: BinaryOperator::And,
            right: Box::new(mark),
        },
    }
}

/// A name in a conflict target is a column's, also within COLLATE.
fn uncollated(expr: &Expr) -> &Expr {
    match expr {
        Expr::Collate { expr, .. } => uncollated(expr),
        other => other,
    }
}

/// The keyword DEFAULT, which sqlparser reads as a name.
pub(super) fn is_default(expr: &Expr) -> bool {
    matches!(expr, Expr::Identifier(ident) if ident.quote_style.is_none() && ident.value.eq_ignore_ascii_case("default"))
}

pub(super) fn null() -> Expr {
    Expr::Value(sqlparser::ast::Value::Null.into())
}

/// `(a, b) = ROW (x, DEFAULT)` is `(a, b) = (x, DEFAULT)`, and `(a) = ROW (x)` is `a = x`. Where their numbers differ, or a star stands
/// in the row, it stays as it is.
fn unpack_row(target: &mut AssignmentTarget, value: &mut Expr) {
    let AssignmentTarget::Tuple(names) = target else { return };
    let Expr::Function(call) = value else { return };
    let bare = call.over.is_none() && call.filter.is_none() && call.within_group.is_empty();
    let row = matches!(call.name.0.as_slice(), [part] if part.as_ident().is_some_and(|ident| {
        ident.quote_style.is_none() && name_of(ident) == "row"
    }));
    let FunctionArguments::List(list) = &call.args else { return };
    let items: Option<Vec<Expr>> = list
        .args
        .iter()
        .map(|arg| match arg {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::QualifiedWildcard(..) | Expr::Wildcard(_))) => None,
            FunctionArg::Unnamed(FunctionArgExpr::Expr(item)) => Some(item.clone()),
            _ => None,
        })
        .collect();
    let Some(mut items) = items.filter(|items| row && bare && items.len() == names.len()) else { return };
    match (names.as_slice(), items.pop()) {
        ([one], Some(item)) => {
            *value = item;
            *target = AssignmentTarget::ColumnName(one.clone());
        }
        (_, Some(last)) => {
            items.push(last);
            *value = Expr::Tuple(items);
        }
        (_, None) => {}
    }
}
