//! FROM: relations, joins, derived tables, functions.

use std::collections::BTreeSet;
use std::sync::Arc;

use sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, Ident, Join, JoinConstraint, JoinOperator, ObjectName, TableAlias, TableFactor,
    TableSampleKind, TableWithJoins,
};

use super::carry::Carrying;
use super::names::{MARK, name_of, parts_of, quoted_name};
use super::query::{aliased, computed};
use super::scope::{Columns, Source, VisibleColumn};
use super::{Fail, Occurrence, OccurrenceId, Resolver, no_relation, unsupported};
use crate::catalog::{Relation, RelationName};
use crate::policy::{Use, Verb};
use crate::sql::{definitions, marker, system};

impl Resolver<'_> {
    /// Resolves a FROM list into the innermost scope.
    pub(super) fn from(&mut self, from: &mut [TableWithJoins]) -> Result<(), Fail> {
        for item in from {
            let sources = self.joined(item)?;
            self.show(sources);
        }
        Ok(())
    }

    fn show(&mut self, sources: Vec<Source>) {
        if let Some(scope) = self.scopes.last_mut() {
            scope.sources.extend(sources);
        }
    }

    /// One FROM item with its joins. What it makes visible is in the scope only while its conditions are resolved.
    fn joined(&mut self, item: &mut TableWithJoins) -> Result<Vec<Source>, Fail> {
        let mut sources = self.factor(&mut item.relation)?;
        for join in &mut item.joins {
            let Join { relation, global, join_operator } = join;
            if *global {
                return Err(unsupported("GLOBAL JOIN"));
            }
            // LATERAL items and functions on the right see the left side.
            let depth = self.depth();
            self.show(sources.clone());
            let right = self.factor(relation);
            self.hide(depth);
            let right = right?;
            let constraint = constraint(join_operator)?;
            let mut merged_alias = None;
            let both: Vec<Source> = sources.iter().chain(&right).cloned().collect();
            match constraint {
                JoinConstraint::None => {}
                JoinConstraint::On(condition) => {
                    self.show(both.clone());
                    self.judge_predicate(condition);
                    let resolved = self.expr(condition, Use::Join);
                    self.hide(depth);
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
                JoinConstraint::Natural => {
                    for source in &both {
                        // Its hidden columns would be joined by as well.
                        self.expose_row(&None, None, source.carrier);
                    }
                    for name in common_columns(&sources, &right)? {
                        self.merge_column(&name, &sources, &right)?;
                    }
                }
            }
            sources = both;
            if let Some(name) = merged_alias {
                // JOIN .. USING (..) AS name: the merged columns once more, under that name only.
                let merged = self.scopes.last().map(|scope| scope.merged.clone()).unwrap_or_default();
                let columns = all_columns(&sources, &merged)
                    .map(|columns| columns.into_iter().filter(|column| merged.contains(&column.name)).collect());
                sources.push(Source {
                    name: Some(name),
                    schema: None,
                    columns,
                    occurrence: None,
                    unqualified: false,
                    carrier: None,
                });
            }
        }
        Ok(sources)
    }

    fn depth(&self) -> usize {
        self.scopes.last().map_or(0, |scope| scope.sources.len())
    }

    fn hide(&mut self, depth: usize) {
        if let Some(scope) = self.scopes.last_mut() {
            scope.sources.truncate(depth);
        }
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
            return Err(super::Refusal::new(
                super::Stage::Resolve,
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

    /// Resolves one FROM item without its joins; what it shows is given, and not in the scope yet.
    pub(super) fn factor(&mut self, factor: &mut TableFactor) -> Result<Vec<Source>, Fail> {
        match factor {
            TableFactor::Table {
                name,
                alias,
                args,
                with_hints,
                version,
                with_ordinality,
                partitions,
                json_path,
                sample,
                index_hints,
            } => {
                if !with_hints.is_empty()
                    || version.is_some()
                    || !partitions.is_empty()
                    || json_path.is_some()
                    || !index_hints.is_empty()
                {
                    return Err(unsupported("a clause of another database"));
                }
                match args {
                    Some(args) => {
                        if sample.is_some() || args.settings.is_some() {
                            return Err(unsupported("a clause of another database"));
                        }
                        let source = self.function_item(name, &mut args.args, *with_ordinality, alias.as_ref())?;
                        Ok(vec![source])
                    }
                    None if *with_ordinality => Err(unsupported("WITH ORDINALITY on a table")),
                    None => Ok(vec![self.relation_item(name, alias, sample)?]),
                }
            }
            TableFactor::Function { lateral: _, name, args, with_ordinality, alias } => {
                Ok(vec![self.function_item(name, args, *with_ordinality, alias.as_ref())?])
            }
            TableFactor::Derived { lateral, subquery, alias, sample } => {
                if sample.is_some() {
                    return Err(unsupported("TABLESAMPLE on a subquery"));
                }
                self.carrying = Carrying::New;
                let columns = if *lateral {
                    self.expose_all();
                    self.query(subquery)?
                } else {
                    // It sees the levels around this one, not its neighbours.
                    let own = self.scopes.pop();
                    let columns = self.query(subquery);
                    self.scopes.extend(own);
                    columns?
                };
                let carrier = self.made.take();
                Ok(vec![Source { carrier, ..source_of(alias.as_ref(), None, computed(columns), None)? }])
            }
            TableFactor::NestedJoin { table_with_joins, alias } => {
                let sources = self.joined(table_with_joins)?;
                match alias {
                    None => Ok(sources),
                    Some(alias) => {
                        if !alias.columns.is_empty() {
                            self.merged.insert("*".to_owned());
                            // Its names go by position, so that every column must stand where it stood.
                            for source in &sources {
                                self.mark_row(&source.columns, source.occurrence);
                                self.expose_row(&source.columns, source.occurrence, source.carrier);
                            }
                        }
                        let merged = self.scopes.last().map(|scope| scope.merged.clone()).unwrap_or_default();
                        Ok(vec![source_of(Some(alias), None, all_columns(&sources, &merged), None)?])
                    }
                }
            }
            TableFactor::UNNEST { alias, array_exprs, with_offset, with_offset_alias, with_ordinality } => {
                if *with_offset || with_offset_alias.is_some() {
                    return Err(unsupported("UNNEST WITH OFFSET"));
                }
                if !array_exprs.iter().all(is_constant) {
                    self.expose_all();
                }
                for expr in array_exprs.iter_mut() {
                    self.expr(expr, Use::Output)?;
                }
                // PostgreSQL reads `unnest` of several arrays by this very name, without a schema.
                self.saw_function(&["unnest".to_owned()]);
                let mut columns: Vec<_> = array_exprs.iter().map(|_| VisibleColumn::computed("unnest")).collect();
                if *with_ordinality {
                    columns.push(VisibleColumn::computed("ordinality"));
                }
                let mut columns = Some(columns);
                if let (Some(alias), [_]) = (alias.as_ref(), array_exprs.as_slice()) {
                    columns = aliased(columns, &[name_of(&alias.name)]);
                }
                let mut source = source_of(alias.as_ref(), None, columns, None)?;
                source.name.get_or_insert_with(|| "unnest".to_owned());
                Ok(vec![source])
            }
            TableFactor::TableFunction { .. } => Err(unsupported("TABLE(...) in FROM")),
            TableFactor::XmlTable { .. } => Err(unsupported("XMLTABLE")),
            TableFactor::JsonTable { .. } => Err(unsupported("JSON_TABLE")),
            TableFactor::OpenJsonTable { .. }
            | TableFactor::Pivot { .. }
            | TableFactor::Unpivot { .. }
            | TableFactor::UnpivotExpr { .. }
            | TableFactor::MatchRecognize { .. }
            | TableFactor::SemanticView { .. } => Err(unsupported("a FROM item of another database")),
        }
    }

    /// A table reference that is read: a WITH query, a system catalog, or a relation.
    fn relation_item(
        &mut self,
        name: &mut ObjectName,
        alias: &mut Option<TableAlias>,
        sample: &mut Option<TableSampleKind>,
    ) -> Result<Source, Fail> {
        let only = marker::is_only(name);
        marker::set_only(name, false);
        let (schema, table) = self.table_name(name)?;
        if schema.is_none()
            && let Some((_, columns, carrier)) = self.ctes.iter().rev().find(|(cte, ..)| *cte == table)
        {
            if sample.is_some() || only {
                return Err(unsupported("TABLESAMPLE or ONLY on a WITH query"));
            }
            let (columns, carrier) = (columns.clone(), *carrier);
            self.meant.add_relation(None, table.clone());
            let mut source = Source { carrier, ..source_of(alias.as_ref(), None, columns, None)? };
            source.name.get_or_insert(table);
            return Ok(source);
        }
        let called = match self.called(schema.as_deref(), &table)? {
            Called::System(found) => return self.system_item(found, name, alias.as_ref(), sample.is_some(), only),
            Called::Relation(relation) => relation,
        };
        let sample = match sample.take() {
            None => None,
            Some(TableSampleKind::BeforeTableAlias(sample) | TableSampleKind::AfterTableAlias(sample)) => {
                Some(self.sample(&sample)?)
            }
        };
        let column_aliases = match alias.as_mut() {
            Some(alias) => std::mem::take(&mut alias.columns).iter().map(|column| name_of(&column.name)).collect(),
            None => Vec::new(),
        };
        let shown = alias.as_ref().map_or(table, |alias| name_of(&alias.name));
        let id = self.occurs(&called, &shown, Verb::Select);
        if let Some(occurrence) = self.occurrences.get_mut(id) {
            occurrence.column_aliases.clone_from(&column_aliases);
            occurrence.only = only;
            occurrence.sample = sample;
        }
        *name = marked(id);
        // A catalog that is assumed from policies does not know the columns of open tables.
        let columns = (!called.columns.is_empty()).then(|| columns_of(&called, id));
        let columns = aliased(columns, &column_aliases);
        let schema = alias.is_none().then(|| called.name.schema.clone());
        Ok(Source { name: Some(shown), schema, columns, occurrence: Some(id), unqualified: true, carrier: None })
    }

    fn system_item(
        &mut self,
        name: RelationName,
        written: &mut ObjectName,
        alias: Option<&TableAlias>,
        sample: bool,
        only: bool,
    ) -> Result<Source, Fail> {
        if sample || only {
            return Err(unsupported("TABLESAMPLE or ONLY on a system catalog"));
        }
        *written = quoted_name([name.schema.as_str(), name.name.as_str()]);
        self.meant.add_relation(Some(name.schema.clone()), name.name.clone());
        let columns = match self.context.catalog.relation(&name) {
            Some(relation) => {
                self.system.push(relation.oid);
                let columns = relation.columns.iter().map(|column| VisibleColumn::computed(column.name.clone()));
                // `oid` and the like are ordinary columns since PostgreSQL 12.
                let hidden = super::names::SYSTEM_COLUMNS.iter().map(|name| VisibleColumn::computed(*name));
                Some(columns.chain(hidden).collect())
            }
            None => None,
        };
        let mut source = source_of(alias, Some(name.schema.clone()), columns, None)?;
        source.name.get_or_insert(name.name);
        Ok(source)
    }

    /// The schema and name of a table reference.
    pub(super) fn table_name(&mut self, name: &ObjectName) -> Result<(Option<String>, String), Fail> {
        let (schema, table) = match parts_of(name)?.as_slice() {
            [table] => (None, table.clone()),
            [schema, table] => (Some(schema.clone()), table.clone()),
            _ => return Err(unsupported("a table name with a database")),
        };
        self.seen.add_relation(schema.clone(), table.clone());
        Ok((schema, table))
    }

    /// What a table name means: by the search path where it has no schema.
    pub(super) fn called(&self, schema: Option<&str>, table: &str) -> Result<Called, Fail> {
        let catalog = self.context.catalog;
        let found = match schema {
            Some(schema) => catalog.relation(&RelationName::new(schema, table)),
            None => catalog.find_relation(self.context.search_path, table),
        };
        let name = match (found, schema) {
            (Some(relation), _) => relation.name.clone(),
            (None, Some(schema)) => RelationName::new(schema, table),
            // A catalog that was not read from a server holds no system catalogs.
            (None, None) => RelationName::new("pg_catalog", table),
        };
        if system::is_system_schema(&name.schema) {
            return match system::access(&name) {
                system::Access::Open => Ok(Called::System(name)),
                system::Access::Closed => Err(system::closed(&name)),
                system::Access::Unknown => {
                    Err(no_relation(&schema.map_or_else(|| table.to_owned(), |schema| format!("{schema}.{table}"))))
                }
            };
        }
        match found {
            Some(relation) => Ok(Called::Relation(Arc::clone(relation))),
            None => Err(no_relation(&name.to_string())),
        }
    }

    /// A new occurrence of a relation.
    pub(super) fn occurs(&mut self, relation: &Arc<Relation>, alias: &str, verb: Verb) -> OccurrenceId {
        let id = self.occurrences.len();
        self.occurrences.push(Occurrence {
            relation: Arc::clone(relation),
            alias: alias.to_owned(),
            column_aliases: Vec::new(),
            verb,
            uses: std::collections::BTreeMap::new(),
            physical: std::collections::BTreeSet::new(),
            star: false,
            locked: false,
            only: false,
            sample: None,
            lookups: Vec::new(),
            whole: false,
            windowed: false,
            filter_shape: None,
        });
        id
    }

    fn sample(&mut self, sample: &sqlparser::ast::TableSample) -> Result<String, Fail> {
        // Its arguments are numbers or parameters; anything else would have to be resolved inside the derived table.
        let text = sample.to_string();
        let plain = text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, ' ' | '(' | ')' | '.' | '_'));
        let words = ["TABLESAMPLE", "BERNOULLI", "SYSTEM", "REPEATABLE"];
        let known = text
            .split(|c: char| !c.is_ascii_alphabetic())
            .filter(|word| !word.is_empty())
            .all(|word| words.contains(&word.to_ascii_uppercase().as_str()));
        if plain && known { Ok(text) } else { Err(unsupported("TABLESAMPLE with this method or these arguments")) }
    }

    fn function_item(
        &mut self,
        name: &mut ObjectName,
        args: &mut [FunctionArg],
        with_ordinality: bool,
        alias: Option<&TableAlias>,
    ) -> Result<Source, Fail> {
        // A function in FROM sees the items before it, and may run before a row filter does.
        let constant = |arg: &FunctionArg| match arg {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => is_constant(expr),
            _ => false,
        };
        if !args.iter().all(constant) {
            self.expose_all();
        }
        if marker::is_rows_from(name) {
            return self.rows_from(args, alias);
        }
        let several_arrays = args.len() > 1 && parts_of(name)? == ["unnest"];
        let parts = if several_arrays {
            // PostgreSQL itself makes one call of each array, by this very name without a schema.
            self.saw_function(&["unnest".to_owned()]);
            vec!["unnest".to_owned()]
        } else {
            self.function_name(name, args)?
        };
        for arg in args.iter_mut() {
            self.function_argument(arg, Use::Output)?;
        }
        let called = parts.last().cloned().unwrap_or_default();
        if parts.first().is_some_and(|schema| schema == "pg_catalog") && definitions::defines(&called) {
            return Err(unsupported(&format!("`{called}` in FROM")));
        }
        let mut columns = if several_arrays {
            Some(args.iter().map(|_| VisibleColumn::computed("unnest")).collect())
        } else {
            self.function_columns(&parts)
        };
        if let (Some(alias), Some([column])) = (alias, columns.as_deref_mut()) {
            // One scalar column takes the alias as its name.
            if column.name == called && !marker::is_no_alias(&alias.name) {
                column.name = name_of(&alias.name);
            }
        }
        if with_ordinality && let Some(columns) = &mut columns {
            columns.push(VisibleColumn::computed("ordinality"));
        }
        if let Some(alias) = alias
            && alias.columns.iter().any(|column| column.data_type.is_some())
        {
            columns = Some(alias.columns.iter().map(|column| VisibleColumn::computed(name_of(&column.name))).collect());
        }
        for column in alias.iter().flat_map(|alias| &alias.columns) {
            column.data_type.as_ref().map_or(Ok(()), |data_type| self.data_type(data_type))?;
        }
        let mut source = source_of(alias, None, columns, None)?;
        source.name.get_or_insert(called);
        Ok(source)
    }
}

impl Resolver<'_> {
    /// ROWS FROM (f(), g()): the columns of each call, side by side.
    fn rows_from(&mut self, calls: &mut [FunctionArg], alias: Option<&TableAlias>) -> Result<Source, Fail> {
        self.expose_all();
        for call in calls {
            let FunctionArg::Unnamed(FunctionArgExpr::Expr(call)) = call else {
                return Err(unsupported("this form of ROWS FROM"));
            };
            self.expr(call, Use::Output)?;
        }
        source_of(alias, None, None, None)
    }
}

/// What a table name turned out to be.
pub(super) enum Called {
    /// A system catalog that may be read.
    System(RelationName),
    /// Anything else.
    Relation(Arc<Relation>),
}

/// The marked name that stands for an occurrence.
pub(in crate::sql) fn marked(id: OccurrenceId) -> ObjectName {
    ObjectName::from(vec![Ident::new(format!("{MARK}{id}"))])
}

/// The columns of a relation under their own names.
pub(super) fn columns_of(relation: &Relation, id: OccurrenceId) -> Vec<VisibleColumn> {
    relation
        .columns
        .iter()
        .map(|column| VisibleColumn {
            name: column.name.clone(),
            origins: vec![(id, column.name.clone())],
            by_star: None,
        })
        .collect()
}

fn source_of(
    alias: Option<&TableAlias>,
    schema: Option<String>,
    columns: Columns,
    occurrence: Option<OccurrenceId>,
) -> Result<Source, Fail> {
    let Some(alias) = alias else {
        return Ok(Source { name: None, schema, columns, occurrence, unqualified: true, carrier: None });
    };
    let called = (!marker::is_no_alias(&alias.name)).then(|| name_of(&alias.name));
    if alias.at.is_some() {
        return Err(unsupported("a clause of another database"));
    }
    let names: Vec<String> = alias.columns.iter().map(|column| name_of(&column.name)).collect();
    let columns = aliased(columns, &names);
    Ok(Source { name: called, schema: None, columns, occurrence, unqualified: true, carrier: None })
}

fn constraint(operator: &mut JoinOperator) -> Result<&mut JoinConstraint, Fail> {
    match operator {
        JoinOperator::Join(constraint)
        | JoinOperator::Inner(constraint)
        | JoinOperator::Left(constraint)
        | JoinOperator::LeftOuter(constraint)
        | JoinOperator::Right(constraint)
        | JoinOperator::RightOuter(constraint)
        | JoinOperator::FullOuter(constraint)
        | JoinOperator::CrossJoin(constraint) => Ok(constraint),
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
fn all_columns(sources: &[Source], merged: &BTreeSet<String>) -> Columns {
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

/// Whether an expression is free of FROM items: a constant or parameter, maybe cast.
pub(in crate::sql) fn is_constant(expr: &Expr) -> bool {
    match expr {
        Expr::Value(_) | Expr::TypedString(_) => true,
        Expr::Cast { expr, .. } | Expr::Nested(expr) => is_constant(expr),
        Expr::UnaryOp { expr, .. } => is_constant(expr),
        _ => false,
    }
}
