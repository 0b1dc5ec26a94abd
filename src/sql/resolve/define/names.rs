//! Names in statements that change the structure: written in full, by the search path as PostgreSQL has it.

use std::ffi::c_char;

use pg_raw_parse::Node;
use pg_raw_parse::nodes::RangeVar;

use super::Define;
use crate::catalog::{RelationName, quote_ident};
use crate::error::{Refusal, SqlState, Stage};
use crate::policy::{Change, Verb};
use crate::sql::resolve::from::Called;
use crate::sql::resolve::{Fail, OccurrenceId, no_relation, unsupported};
use crate::sql::reviewed::system;

impl Define<'_, '_> {
    /// A relation that is there.
    pub(super) fn existing(&mut self, range: Option<&RangeVar>) -> Result<OccurrenceId, Fail> {
        let (schema, table) = self.written(range)?;
        let id = self.found(schema.as_deref(), &table)?;
        let name = self.name_of(id)?;
        self.write(range, &name)?;
        Ok(id)
    }

    /// Whether a relation that may be missing is: then its name is written in full, and the database says so.
    pub(super) fn is_missing(&mut self, range: Option<&RangeVar>) -> Result<bool, Fail> {
        let (schema, table) = self.spelled(range)?;
        match self.resolver.called(schema.as_deref(), &table) {
            Err(refusal) if refusal.sqlstate == SqlState::UNDEFINED_TABLE => {
                let (schema, table) = self.written(range)?;
                let name = self.new_name(schema, table)?;
                self.write(range, &name)?;
                Ok(true)
            }
            Ok(_) | Err(_) => Ok(false),
        }
    }

    /// A relation that is made.
    pub(super) fn made(&mut self, range: Option<&RangeVar>, from_query: bool) -> Result<(), Fail> {
        self.made_where(range, from_query, false)
    }

    /// A relation that is made; `temporary` whatever it says itself.
    pub(super) fn made_where(
        &mut self,
        range: Option<&RangeVar>,
        from_query: bool,
        temporary: bool,
    ) -> Result<(), Fail> {
        let (schema, table) = self.written(range)?;
        let temporary = (temporary || range.is_some_and(is_temporary)) && schema.is_none();
        let name = self.new_name(if temporary { Some(TEMPORARY.to_owned()) } else { schema }, table)?;
        self.write(range, &name)?;
        self.make(name, from_query);
        Ok(())
    }

    /// A relation by the parts of its name, as DROP and COMMENT have it.
    pub(super) fn by_parts(&mut self, parts: &[String]) -> Result<(OccurrenceId, RelationName), Fail> {
        let (schema, table) = split(parts)?;
        let id = self.found(schema, table)?;
        Ok((id, self.name_of(id)?))
    }

    /// A relation that is dropped, if it is there.
    /// `kind`: what it is said to be.
    pub(super) fn dropped(&mut self, object: Node<'_>, kind: &str, missing_ok: bool) -> Result<RelationName, Fail> {
        let parts = strings(object)?;
        match self.by_parts(&parts) {
            Ok((id, name)) => {
                let temporary = self.resolver.context.catalog.is_temporary_schema(&name.schema);
                self.change(id, Change::Drop { rows: kind == "TABLE" && !temporary });
                Ok(name)
            }
            Err(refusal) if missing_ok && is_absent(&refusal) => {
                let (schema, table) = split(&parts)?;
                self.new_name(schema.map(str::to_owned), table.to_owned())
            }
            Err(refusal) if is_absent(&refusal) => Err(absent(refusal, kind, split(&parts)?.1)),
            Err(refusal) => Err(refusal),
        }
    }

    fn found(&mut self, schema: Option<&str>, table: &str) -> Result<OccurrenceId, Fail> {
        let called = self.resolver.called(schema, table).map_err(Refusal::placeless);
        if let (Err(refusal), Some(schema)) = (&called, schema)
            && refusal.sqlstate == SqlState::UNDEFINED_TABLE
            && !self.resolver.context.catalog.has_schema(schema)
        {
            return Err(no_schema(schema));
        }
        match called? {
            Called::System(name) => Err(Refusal::new(
                Stage::Resolve,
                SqlState::INSUFFICIENT_PRIVILEGE,
                format!("the structure of system relation `{name}` may not be changed"),
            )),
            Called::Relation(relation) => Ok(self.resolver.occurs(&relation, table, Verb::Define)),
        }
    }

    /// Whether a name is that of the table which is made, so that a key refers to the table itself; written in full then.
    pub(super) fn refers_to_itself(&mut self, range: Option<&RangeVar>) -> Result<bool, Fail> {
        if self.made_within(range)? {
            return Ok(true);
        }
        let Some(making) = self.making.clone() else { return Ok(false) };
        let (schema, table) = self.spelled(range)?;
        let context = self.resolver.context;
        let itself = table == making.name
            && match &schema {
                Some(schema) => *schema == making.schema,
                None if making.schema == TEMPORARY => true,
                // The first of the path that has it, as if the table were there already.
                None => {
                    let has = |schema: &&String| {
                        **schema == making.schema
                            || context.catalog.relation(&RelationName::new(*schema, &*table)).is_some()
                    };
                    context.search_path.iter().find(has).is_some_and(|schema| *schema == making.schema)
                }
            };
        // One that is there already is looked at as any other: IF NOT EXISTS makes nothing.
        if !itself || context.catalog.relation(&making).is_some() {
            return Ok(false);
        }
        self.written(range)?;
        self.write(range, &making)?;
        Ok(true)
    }

    /// Schema and name as they are written, counted among what the walk met.
    pub(super) fn written(&mut self, range: Option<&RangeVar>) -> Result<(Option<String>, String), Fail> {
        let (schema, table) = self.spelled(range)?;
        self.resolver.seen.add_relation(schema.clone(), table.clone());
        Ok((schema, table))
    }

    /// Schema and name as they are written.
    pub(super) fn spelled(&self, range: Option<&RangeVar>) -> Result<(Option<String>, String), Fail> {
        let Some(range) = range else { return Err(Refusal::internal(Stage::Resolve)) };
        if range.catalogname().is_some() || range.alias().is_some() {
            return Err(unsupported("a table name with a database or an alias"));
        }
        Ok((range.schemaname().map(str::to_owned), word(range.relname())))
    }

    pub(super) fn write(&mut self, range: Option<&RangeVar>, name: &RelationName) -> Result<(), Fail> {
        let Some(range) = range else { return Err(Refusal::internal(Stage::Resolve)) };
        let parts: Vec<String> =
            [range.schemaname(), range.relname()].into_iter().flatten().map(str::to_owned).collect();
        if !self.ddl.name_at(&mut self.edits, range.location, &parts, name.to_sql()) {
            return Err(unsupported("a name in this place"));
        }
        self.resolver.meant.add_relation(Some(name.schema.clone()), name.name.clone());
        Ok(())
    }

    /// Where a new relation goes: the schema that is written, else the first of the search path that is there.
    pub(super) fn new_name(&self, schema: Option<String>, table: String) -> Result<RelationName, Fail> {
        let context = self.resolver.context;
        let within = self.within.as_ref().map(|within| within.schema.clone());
        let schema = match schema.or(within) {
            Some(schema) => schema,
            None => context
                .search_path
                .iter()
                .find(|schema| context.catalog.has_schema(schema) || schema.starts_with("pg_temp"))
                .cloned()
                .ok_or_else(|| {
                    Refusal::new(
                        Stage::Resolve,
                        SqlState::UNDEFINED_OBJECT,
                        "no schema of the search path is there to create in",
                    )
                })?,
        };
        if context.catalog.is_temporary_schema(&schema) {
            return Ok(RelationName::new(TEMPORARY, table));
        }
        own_schema(&schema)?;
        Ok(RelationName::new(schema, table))
    }

    pub(super) fn name_of(&self, id: OccurrenceId) -> Result<RelationName, Fail> {
        let occurrence = self.resolver.occurrences.get(id);
        occurrence.map(|occurrence| occurrence.relation.name.clone()).ok_or_else(|| Refusal::internal(Stage::Resolve))
    }

    /// Whether the relation has the column. Where nothing is hidden, PostgreSQL itself says what it says of one that is not there: each
    /// command in other words.
    pub(super) fn column(&self, id: OccurrenceId, column: &str) -> Result<(), Fail> {
        let relation = self.resolver.occurrences.get(id).map(|occurrence| &occurrence.relation);
        match relation {
            Some(relation) if relation.column(column).is_some() => Ok(()),
            Some(_) if self.resolver.context.policies.hides_nothing() => Ok(()),
            Some(relation) => Err(no_column(column, &relation.name.name)),
            None => Err(Refusal::internal(Stage::Resolve)),
        }
    }

    /// The same for COMMENT, which names the relation as it is written.
    pub(super) fn commented(&self, id: OccurrenceId, column: &str, written: &[String]) -> Result<(), Fail> {
        let relation = self.resolver.occurrences.get(id).map(|occurrence| &occurrence.relation);
        match relation.and_then(|relation| relation.column(column)) {
            Some(_) => Ok(()),
            None => {
                Err(no_column(column, &written.join(".")).said_by("objectaddress.c", "get_object_address_attribute"))
            }
        }
    }
}

/// By this name each session means its own temporary relations, also before it has any.
pub(super) const TEMPORARY: &str = "pg_temp";

/// Nothing is made in the system's schemas, nor in a session's own: what stands there is no part of the catalog.
pub(super) fn own_schema(schema: &str) -> Result<(), Fail> {
    if schema.starts_with("pg_temp") {
        return Err(unsupported("moving a relation among the temporary ones"));
    }
    if system::is_system_schema(schema) {
        return Err(Refusal::new(
            Stage::Resolve,
            SqlState::INSUFFICIENT_PRIVILEGE,
            format!("nothing may be made in schema `{schema}`"),
        ));
    }
    Ok(())
}

fn no_column(column: &str, relation: &str) -> Fail {
    let message = format!("column `{column}` of relation `{relation}` does not exist");
    Refusal::new(Stage::Resolve, SqlState::UNDEFINED_COLUMN, message)
}

/// 3F000. Said of relations that are not read, where the schema they are named with is not there.
fn no_schema(schema: &str) -> Fail {
    Refusal::new(Stage::Resolve, SqlState::UNDEFINED_SCHEMA, format!("schema `{schema}` does not exist"))
        .told(format!("schema \"{schema}\" does not exist"))
}

/// What DROP says of a relation of that kind which is not there (`DropErrorMsgNonExistent` of `tablecmds.c`).
fn absent(refusal: Refusal, kind: &str, table: &str) -> Fail {
    let mut refusal = refusal.said_by("tablecmds.c", "DropErrorMsgNonExistent");
    if refusal.sqlstate == SqlState::UNDEFINED_TABLE {
        if kind == "INDEX" {
            refusal.sqlstate = SqlState::UNDEFINED_OBJECT;
        }
        refusal = refusal.told(format!("{} \"{table}\" does not exist", kind.to_lowercase()));
    }
    refusal
}

/// Whether a relation, or its schema, is not there.
fn is_absent(refusal: &Refusal) -> bool {
    [SqlState::UNDEFINED_TABLE, SqlState::UNDEFINED_SCHEMA].contains(&refusal.sqlstate)
}

fn split(parts: &[String]) -> Result<(Option<&str>, &str), Fail> {
    match parts {
        [table] => Ok((None, table)),
        [schema, table] => Ok((Some(schema), table)),
        [] => Err(no_relation("")),
        _ => Err(unsupported("a table name with a database")),
    }
}

/// Whether a relation is named as a temporary one: `RELPERSISTENCE_TEMP` of `catalog/pg_class.h`.
pub(super) fn is_temporary(range: &RangeVar) -> bool {
    range.relpersistence == b't' as c_char
}

/// A word of the tree; nothing where there is none.
pub(super) fn word(word: Option<&str>) -> String {
    word.unwrap_or_default().to_owned()
}

/// The strings of a list, as dotted names stand in the tree.
pub(super) fn strings(node: Node<'_>) -> Result<Vec<String>, Fail> {
    match node {
        Node::NodeList(list) => list.iter().map(string).collect(),
        Node::String(string) => Ok(vec![word(string.sval())]),
        _ => Err(unsupported("a name in this place")),
    }
}

/// One string of the tree.
pub(super) fn string(node: Node<'_>) -> Result<String, Fail> {
    match node {
        Node::String(string) => Ok(word(string.sval())),
        _ => Err(unsupported("a name in this place")),
    }
}

/// A dotted name in double quotes.
pub(super) fn full(parts: &[String]) -> String {
    parts.iter().map(|part| quote_ident(part)).collect::<Vec<_>>().join(".")
}
