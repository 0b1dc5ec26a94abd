//! CREATE SCHEMA with statements inside: what they make lies in the new schema.
//!
//! Where nothing is hidden. A view is written down as it stands, and decided when it is read; everything else is judged as the same
//! statement by itself is.

use std::collections::BTreeSet;

use pg_raw_parse::Node;
use pg_raw_parse::nodes::{CreateSchemaStmt, GrantStmt, GrantTargetType, ObjectType, RangeVar, RoleSpecType};

use super::{Define, names};
use crate::catalog::RelationName;
use crate::sql::resolve::{Fail, unsupported};
use crate::sql::witness;

/// A schema that is made, with relations in it.
pub(super) struct Within {
    /// Its name.
    pub(super) schema: String,
    /// What is made in it: PostgreSQL puts the statements into an order of its own.
    made: BTreeSet<String>,
}

impl Define<'_, '_> {
    /// CREATE SCHEMA with statements inside.
    pub(super) fn schema(&mut self, create: &CreateSchemaStmt) -> Result<(), Fail> {
        if !self.resolver.context.policies.hides_nothing() {
            return Err(unsupported("CREATE SCHEMA with statements inside").hint("write them behind it"));
        }
        let schema = match (create.schemaname(), create.authrole()) {
            (Some(schema), _) => schema.to_owned(),
            (None, Some(role)) if role.roletype == RoleSpecType::ROLESPEC_CSTRING => names::word(role.rolename()),
            // As whom the session is taken by then: where that is another, PostgreSQL says that these names are not of the new schema.
            (None, _) => self.resolver.context.login.to_owned(),
        };
        names::own_schema(&schema)?;
        let made = |node: Node<'_>| {
            let range = match node {
                Node::CreateStmt(table) => table.relation(),
                Node::ViewStmt(view) => view.view(),
                Node::CreateSeqStmt(sequence) => sequence.sequence(),
                _ => None,
            };
            range.map(|range| names::word(range.relname()))
        };
        let made = create.schema_elts().iter().filter_map(made).collect();
        self.within = Some(Within { schema, made });
        create.schema_elts().iter().try_for_each(|element| self.element(element))
    }

    fn element(&mut self, element: Node<'_>) -> Result<(), Fail> {
        match element {
            Node::CreateStmt(table) => self.create_table(table),
            Node::CreateSeqStmt(sequence) => self.made(sequence.sequence(), false),
            Node::ViewStmt(view) => {
                let within = witness::facts_within(view.query())?;
                self.resolver.seen.extend(&within);
                self.resolver.meant.extend(&within);
                self.made(view.view(), true)
            }
            Node::IndexStmt(index) => {
                self.of_this(index.relation())?;
                let mut looked = Vec::new();
                for element in index.index_params() {
                    self.index_element(element, true, &mut looked)?;
                }
                self.scalar(index.where_clause(), &mut looked)
            }
            Node::CreateTrigStmt(trigger) if trigger.constrrel().is_none() => {
                self.of_this(trigger.relation())?;
                self.scalar(trigger.when_clause(), &mut Vec::new())
            }
            Node::GrantStmt(grant) => self.granted(grant),
            _ => Err(unsupported("this statement inside CREATE SCHEMA")),
        }
    }

    /// GRANT of what is made here; of anything else, as by itself.
    fn granted(&mut self, grant: &GrantStmt) -> Result<(), Fail> {
        let relations = matches!(grant.objtype, ObjectType::OBJECT_TABLE | ObjectType::OBJECT_SEQUENCE);
        if grant.targtype != GrantTargetType::ACL_TARGET_OBJECT || !relations {
            return self.grant(grant);
        }
        grant.objects().iter().try_for_each(|range| self.of_this(Some(range)))
    }

    /// A relation that must be one of those that are made here. Of one in another schema PostgreSQL says so before any of them is made.
    fn of_this(&mut self, range: Option<&RangeVar>) -> Result<(), Fail> {
        if self.made_within(range)? {
            return Ok(());
        }
        if let (Some(schema), table) = self.spelled(range)?
            && self.within.as_ref().is_some_and(|within| within.schema != schema)
        {
            self.written(range)?;
            return self.write(range, &RelationName::new(schema, table));
        }
        Err(unsupported("a statement inside CREATE SCHEMA on what it does not make"))
    }

    /// Whether a relation is one that CREATE SCHEMA makes; then it is written in full.
    pub(super) fn made_within(&mut self, range: Option<&RangeVar>) -> Result<bool, Fail> {
        let (schema, table) = self.spelled(range)?;
        let Some(within) = &self.within else { return Ok(false) };
        if !within.made.contains(&table) || schema.is_some_and(|schema| schema != within.schema) {
            return Ok(false);
        }
        let name = RelationName::new(within.schema.clone(), table);
        self.written(range)?;
        self.write(range, &name)?;
        Ok(true)
    }
}
