//! FROM: relations, joins, derived tables, functions.

use std::sync::Arc;

use sqlparser::ast::{Expr, ObjectName, TableAlias, TableFactor, TableSampleKind, TableWithJoins};

use super::carry::Carrying;
use super::join::all_columns;
use super::mark::Mark;
use super::names::{name_of, parts_of, quoted_name};
use super::query::{aliased, computed};
use super::scope::{Columns, Source, VisibleColumn};
use super::{Fail, Occurrence, OccurrenceId, Resolver, no_relation, unsupported};
use crate::catalog::{Relation, RelationName};
use crate::error::{Refusal, SqlState, Stage};
use crate::policy::{Use, Verb};
use crate::sql::ast::marker;
use crate::sql::reviewed::system;

impl Resolver<'_> {
    /// Resolves a FROM list into the innermost scope.
    pub(super) fn from(&mut self, from: &mut [TableWithJoins]) -> Result<(), Fail> {
        for item in from {
            let sources = self.joined(item)?;
            self.show(sources);
        }
        Ok(())
    }

    pub(super) fn show(&mut self, sources: Vec<Source>) {
        if let Some(scope) = self.scopes.last_mut() {
            scope.sources.extend(sources);
        }
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
                index_directives,
                inheritance,
            } => {
                if !with_hints.is_empty()
                    || version.is_some()
                    || !partitions.is_empty()
                    || json_path.is_some()
                    || !index_directives.is_empty()
                    // ONLY is told by a mark of our own.
                    || inheritance.is_some()
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
                let doubtful = self.doubtful(carrier);
                Ok(vec![Source { carrier, doubtful, ..source_of(alias.as_ref(), None, computed(columns), None)? }])
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
            TableFactor::XmlTable { namespaces, row_expression, passing, columns, alias } => {
                Ok(vec![self.xml_table(namespaces, row_expression, passing, columns, alias.as_ref())?])
            }
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
            let doubtful = self.doubtful(carrier);
            let mut source = Source { carrier, doubtful, ..source_of(alias.as_ref(), None, columns, None)? };
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
        *name = Mark::Relation(id).table();
        // A catalog that is assumed from policies does not know the columns of open tables.
        let columns = (!called.columns.is_empty()).then(|| columns_of(&called, id));
        let columns = aliased(columns, &column_aliases);
        let schema = alias.is_none().then(|| called.name.schema.clone());
        Ok(Source::relation(shown, schema, columns, id))
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
        // What the rewrite puts in its place reads it under such a name.
        if let Some(called) = alias.map(|alias| name_of(&alias.name)).filter(|name| name.starts_with(super::OWN_NAMES))
        {
            return Err(unsupported(&format!("a table called `{called}`, a name that is kept for the proxy,")));
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
        if schema.is_none() && catalog.is_refused(table) && !found.is_some_and(|found| catalog.is_temporary(found.oid))
        {
            return Err(refused_name(table));
        }
        if let Some(own) = found.filter(|found| catalog.is_temporary(found.oid)) {
            return Ok(Called::Relation(Arc::clone(own)));
        }
        let name = match (found, schema) {
            (Some(relation), _) => relation.name.clone(),
            (None, Some(schema)) => RelationName::new(schema, table),
            // None of the system's: one may yet be made, or dropped if it is there.
            (None, None)
                if table.starts_with("pg_")
                    && self.context.policies.hides_nothing()
                    && catalog.relation(&RelationName::new("pg_catalog", "pg_class")).is_some() =>
            {
                return Err(super::no_relation(table));
            }
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
        self.occurrences.push(Occurrence::new(relation, alias, verb));
        id
    }

    fn sample(&mut self, sample: &sqlparser::ast::TableSample) -> Result<String, Fail> {
        // Its arguments are numbers or parameters; anything else would have to be resolved inside the derived table.
        let text = sample.to_string();
        let plain = text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, ' ' | '(' | ')' | '.' | '_' | '+' | '-' | '*' | '/'))
            // What two signs in a row would begin is a comment.
            && !text.contains("--")
            && !text.contains("/*");
        let words = ["TABLESAMPLE", "BERNOULLI", "SYSTEM", "REPEATABLE"];
        let known = text
            .split(|c: char| !c.is_ascii_alphabetic())
            .filter(|word| !word.is_empty())
            .all(|word| words.contains(&word.to_ascii_uppercase().as_str()));
        if plain && known { Ok(text) } else { Err(unsupported("TABLESAMPLE with this method or these arguments")) }
    }
}

impl Occurrence {
    /// Of which nothing is used yet.
    pub(super) fn new(relation: &Arc<Relation>, alias: &str, verb: Verb) -> Self {
        Self {
            relation: Arc::clone(relation),
            alias: alias.to_owned(),
            column_aliases: Vec::new(),
            verb,
            uses: std::collections::BTreeMap::new(),
            physical: std::collections::BTreeSet::new(),
            star: false,
            locked: false,
            assigned: std::collections::BTreeSet::new(),
            upserts: false,
            waits: false,
            only: false,
            sample: None,
            lookups: Vec::new(),
            ranges: Vec::new(),
            unheld: std::collections::BTreeSet::new(),
            said: std::collections::BTreeSet::new(),
            defaulted: std::collections::BTreeSet::new(),
            unkept: std::collections::BTreeSet::new(),
            whole: false,
            beyond: false,
            filter_shape: None,
        }
    }
}

/// The temporary relation that the client believes to have made is not there, and the permanent one is not what it means.
fn refused_name(table: &str) -> Fail {
    Refusal::new(
        Stage::Resolve,
        SqlState::INSUFFICIENT_PRIVILEGE,
        format!("a temporary relation `{table}` was refused in this session, and its name means no other"),
    )
    .hint(format!("for another of that name write its schema: `schema.{table}`"))
}

/// What a table name turned out to be.
pub(super) enum Called {
    /// A system catalog that may be read.
    System(RelationName),
    /// Anything else.
    Relation(Arc<Relation>),
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

pub(super) fn source_of(
    alias: Option<&TableAlias>,
    schema: Option<String>,
    columns: Columns,
    occurrence: Option<OccurrenceId>,
) -> Result<Source, Fail> {
    let Some(alias) = alias else {
        return Ok(Source { name: None, schema, columns, occurrence, ..Source::nameless() });
    };
    let called = (!marker::is_no_alias(&alias.name)).then(|| name_of(&alias.name));
    if alias.at.is_some() {
        return Err(unsupported("a clause of another database"));
    }
    let names: Vec<String> = alias.columns.iter().map(|column| name_of(&column.name)).collect();
    let columns = aliased(columns, &names);
    Ok(Source { name: called, columns, occurrence, ..Source::nameless() })
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
