//! Statements that change the database's structure: which relations they touch, what they look at in them, and what they
//! make of names.
//!
//! The walk is over PostgreSQL's own tree. A place of it that the walk does not know is a refusal: each kind of statement
//! and command is named, and what the tree refers to must be what the walk met.

mod alter;
mod beside;
mod evaluated;
mod expr;
mod kinds;
mod names;
mod roles;
mod schema;
mod table;
mod touched;

use pg_raw_parse::Node;
use pg_raw_parse::nodes::{
    AlterObjectSchemaStmt, CommentStmt, DropBehavior, DropStmt, GrantStmt, GrantTargetType, IndexStmt, IntoClause,
    ObjectType, RangeVar, RenameStmt, TruncateStmt, VacuumStmt, ViewStmt,
};
use sqlparser::ast::{Ident, Statement};

use super::{Fail, OccurrenceId, Resolved, Resolver, unsupported};
use crate::catalog::{RelationName, quote_ident, quote_literal};
use crate::error::{Refusal, SqlState, Stage};
use crate::policy::{Change, Make, Shape, Structure, Use, Verb};
use crate::sql::ast::ddl::{Ddl, Edits};
use crate::sql::form::context::Context;
use crate::sql::witness::Facts;

/// The lock that a SELECT takes (`storage/lockdefs.h`): pg_dump asks for it by name.
const ACCESS_SHARE: i32 = 1;

/// Resolves a statement that changes the structure; gives the names that are written instead of the client's.
///
/// # Errors
/// As [`super::resolve`].
pub(in crate::sql) fn define(ddl: Ddl, witness: &Facts, context: &Context<'_>) -> Result<(Resolved, Edits, Ddl), Fail> {
    let mut ddl = ddl;
    let query = ddl.query.as_mut().map(|(_, statement)| statement.as_ref().clone());
    let mut define = Define {
        resolver: Resolver::new(context),
        ddl: &ddl,
        edits: Edits::default(),
        structure: Structure::default(),
        making: None,
        within: None,
    };
    let mut statement = query.unwrap_or(Statement::UNLISTEN { channel: Ident::new("*") });
    let node = match ddl.reading.node() {
        // With ANALYZE it is carried out, and the plan tells of rows.
        Node::ExplainStmt(explain) if context.policies.hides_nothing() => explain.query(),
        Node::ExplainStmt(_) => {
            return Err(unsupported("EXPLAIN of what makes a table").hint("show the plan of its query"));
        }
        node => node,
    };
    define.statement(node, &mut statement)?;
    let Define { resolver, edits, mut structure, .. } = define;
    witness.agrees(&resolver.seen)?;
    structure.consents = beneath_consents(context);
    structure.temporary = is_temporary(node, &structure, &resolver);
    structure.reads = matches!(node, Node::LockStmt(lock) if lock.mode == ACCESS_SHARE);
    structure.touched = touched::of(node, &structure, &resolver);
    let definition = matches!(node, Node::ViewStmt(_));
    let shape = Shape { grouped: !resolver.may_fail && resolver.is_grouped(&statement) };
    let mut resolved = resolver.resolved(statement, shape);
    resolved.structure = Some(structure);
    resolved.definition = definition;
    Ok((resolved, edits, ddl))
}

/// Whether nothing is made, changed or looked through but temporary relations.
fn is_temporary(node: Node<'_>, structure: &Structure, resolver: &Resolver<'_>) -> bool {
    let catalog = resolver.context.catalog;
    let own = |id: &OccurrenceId| {
        resolver.occurrences.get(*id).is_some_and(|occurrence| catalog.is_temporary(occurrence.relation.oid))
    };
    let defined = resolver.occurrences.iter().filter(|occurrence| occurrence.verb == Verb::Define);
    let mut named = defined.map(|occurrence| catalog.is_temporary(occurrence.relation.oid)).peekable();
    // These change nothing but what they name.
    let only_names =
        matches!(node, Node::VacuumStmt(_) | Node::CommentStmt(_) | Node::ReindexStmt(_) | Node::LockStmt(_));
    let something = !(structure.makes.is_empty() && structure.changes.is_empty())
        || only_names && named.peek().is_some() && named.all(|temporary| temporary);
    something
        && structure.makes.iter().all(|make| catalog.is_temporary_schema(&make.name.schema))
        && structure.changes.iter().all(|(id, _)| own(id))
}

/// What the tables of consents, objections and the like are made or part of.
fn beneath_consents(context: &Context<'_>) -> Vec<RelationName> {
    let catalog = context.catalog;
    let tables = context.policies.wish_tables();
    let kept = tables.iter().filter_map(|wish| catalog.relation(wish.table));
    kept.flat_map(|table| {
        let lineage = crate::policy::Lineage::of(catalog, table.oid);
        lineage.ancestors.into_iter().chain(lineage.reaches)
    })
    .collect()
}

/// The walk's state.
struct Define<'r, 'a> {
    resolver: Resolver<'a>,
    ddl: &'r Ddl,
    edits: Edits,
    structure: Structure,
    /// The table that CREATE TABLE makes: a key may refer to it.
    making: Option<RelationName>,
    /// The schema that CREATE SCHEMA makes, and what it makes there.
    within: Option<schema::Within>,
}

impl Define<'_, '_> {
    fn statement(&mut self, node: Node<'_>, query: &mut Statement) -> Result<(), Fail> {
        match node {
            Node::CreateStmt(create) => self.create_table(create),
            Node::CreateTableAsStmt(create) => self.create_table_as(create.into(), query),
            // SELECT INTO, which makes a table too.
            Node::SelectStmt(select) => self.create_table_as(select.into_clause(), query),
            Node::ViewStmt(view) => self.view(view, query),
            Node::IndexStmt(index) => self.index(index),
            Node::CreateSeqStmt(create) => self.made(create.sequence(), false),
            Node::AlterSeqStmt(alter) => self.touched(alter.sequence()),
            Node::AlterTableStmt(alter) => self.alter(alter),
            Node::RenameStmt(rename) => self.rename(rename),
            Node::AlterObjectSchemaStmt(alter) => self.set_schema(alter),
            Node::DropStmt(drop) => self.drop(drop),
            Node::TruncateStmt(truncate) => self.truncate(truncate),
            Node::VacuumStmt(vacuum) => self.vacuum(vacuum),
            Node::LockStmt(lock) => lock.relations().iter().try_for_each(|node| self.range(node).map(drop)),
            Node::CommentStmt(comment) => self.comment(comment),
            Node::GrantStmt(grant) => self.grant(grant),
            Node::CreateSchemaStmt(create) if create.schema_elts().is_empty() => Ok(()),
            Node::CreateSchemaStmt(create) => self.schema(create),
            Node::CreateEnumStmt(_) | Node::AlterEnumStmt(_) => Ok(()),
            Node::CreateDomainStmt(domain) => self.domain(domain),
            Node::CompositeTypeStmt(composite) => self.composite(composite),
            Node::CreateRangeStmt(range) => self.range_type(range),
            Node::CreateFunctionStmt(function) => self.function(function),
            Node::CreateTrigStmt(trigger) => self.trigger(trigger),
            Node::CreateExtensionStmt(create) => self.extension(create),
            Node::AlterOwnerStmt(alter) => self.owner(alter),
            // Another database, or one's own whole: where this one hides nothing.
            Node::CreatedbStmt(_) | Node::DropdbStmt(_) if self.resolver.context.policies.hides_nothing() => Ok(()),
            Node::ReindexStmt(reindex) => match reindex.relation() {
                Some(relation) => self.existing(Some(relation)).and_then(|id| self.looks_through(id)),
                None if self.resolver.context.policies.hides_nothing() => self.looks_through_all(),
                None => Err(unsupported("REINDEX of a schema or database")),
            },
            Node::RefreshMatViewStmt(refresh) => self.existing(refresh.relation()).and_then(|id| self.runs_again(id)),
            Node::ClusterStmt(cluster) => match cluster.relation() {
                Some(relation) => {
                    let id = self.existing(Some(relation))?;
                    self.change(id, Change::Alter);
                    self.looks_through(id)?;
                    self.ordered(id)
                }
                None if self.resolver.context.policies.hides_nothing() => self.looks_through_all(),
                None => Err(unsupported("CLUSTER of every table")),
            },
            other => self.beside(other),
        }
    }

    /// Its rows come in the order of an index from then on, or from the next CLUSTER on, whoever runs that.
    fn ordered(&mut self, id: OccurrenceId) -> Result<(), Fail> {
        let columns = self.resolver.occurrences.get(id).map_or_else(Vec::new, |occurrence| {
            occurrence.relation.columns.iter().map(|column| column.name.clone()).collect()
        });
        self.looks(id, &[], columns)
    }

    fn create_table_as(&mut self, into: Option<&IntoClause>, query: &mut Statement) -> Result<(), Fail> {
        let Some(into) = into else { return Err(unsupported("this form of a table from a query")) };
        self.made(into.rel(), true)?;
        self.resolver.statement(query).map(drop)
    }

    fn view(&mut self, view: &ViewStmt, query: &mut Statement) -> Result<(), Fail> {
        self.resolver.statement(query)?;
        let catalog = self.resolver.context.catalog;
        // A view of what is temporary is temporary itself.
        let temporary =
            self.resolver.occurrences.iter().any(|occurrence| catalog.is_temporary(occurrence.relation.oid));
        self.made_where(view.view(), true, temporary)
    }

    fn index(&mut self, index: &IndexStmt) -> Result<(), Fail> {
        let id = self.existing(index.relation())?;
        let mut looked = Vec::new();
        for element in index.index_params() {
            // Rows that are found by the index come in the order of its columns.
            self.index_element(element, true, &mut looked)?;
        }
        self.scalar(index.where_clause(), &mut looked)?;
        self.change(id, Change::Alter);
        self.looks(id, &[], looked)
    }

    fn rename(&mut self, rename: &RenameStmt) -> Result<(), Fail> {
        let (subname, newname) = (names::word(rename.subname()), names::word(rename.newname()));
        if rename.missing_ok && rename.relation().is_some() && self.is_missing(rename.relation())? {
            return Ok(());
        }
        match rename.rename_type {
            ObjectType::OBJECT_TABLE
            | ObjectType::OBJECT_VIEW
            | ObjectType::OBJECT_MATVIEW
            | ObjectType::OBJECT_INDEX
            | ObjectType::OBJECT_SEQUENCE => {
                let id = self.existing(rename.relation())?;
                let to = RelationName::new(self.name_of(id)?.schema, newname);
                self.change(id, Change::Move(to));
                Ok(())
            }
            ObjectType::OBJECT_COLUMN => {
                let id = self.existing(rename.relation())?;
                self.column(id, &subname)?;
                self.change(id, Change::RenameColumn { from: subname, to: newname });
                Ok(())
            }
            ObjectType::OBJECT_TABCONSTRAINT => {
                let id = self.existing(rename.relation())?;
                self.change(id, Change::Alter);
                Ok(())
            }
            ObjectType::OBJECT_ATTRIBUTE if self.resolver.context.policies.hides_nothing() => {
                self.composite_type(rename.relation())
            }
            ObjectType::OBJECT_ROLE if self.resolver.context.policies.hides_nothing() => {
                self.may_be_changed(rename.subname())?;
                self.may_be_changed(rename.newname())
            }
            // Tables that nobody may write to would have another name.
            ObjectType::OBJECT_SCHEMA if self.resolver.context.policies.keeps_some() => Err(self.ddl.refused_kind()),
            kind if self.is_plain(kind) => match rename.relation() {
                Some(relation) => {
                    let id = self.existing(Some(relation))?;
                    self.change(id, Change::Alter);
                    Ok(())
                }
                None => Ok(()),
            },
            _ => Err(self.ddl.refused_kind()),
        }
    }

    fn set_schema(&mut self, alter: &AlterObjectSchemaStmt) -> Result<(), Fail> {
        if alter.missing_ok && alter.relation().is_some() && self.is_missing(alter.relation())? {
            return Ok(());
        }
        match alter.object_type {
            ObjectType::OBJECT_TABLE
            | ObjectType::OBJECT_VIEW
            | ObjectType::OBJECT_MATVIEW
            | ObjectType::OBJECT_SEQUENCE => {
                let id = self.existing(alter.relation())?;
                let schema = names::word(alter.newschema());
                names::own_schema(&schema)?;
                let to = RelationName::new(schema, self.name_of(id)?.name);
                self.change(id, Change::Move(to));
                Ok(())
            }
            kind if alter.relation().is_none() && self.is_plain(kind) => {
                names::own_schema(alter.newschema().unwrap_or_default())
            }
            _ => Err(self.ddl.refused_kind()),
        }
    }

    fn drop(&mut self, drop: &DropStmt) -> Result<(), Fail> {
        let (kind, relations) = match drop.remove_type {
            ObjectType::OBJECT_TABLE => ("TABLE", true),
            ObjectType::OBJECT_INDEX => ("INDEX", true),
            ObjectType::OBJECT_SEQUENCE => ("SEQUENCE", true),
            ObjectType::OBJECT_VIEW => ("VIEW", true),
            ObjectType::OBJECT_MATVIEW => ("MATERIALIZED VIEW", true),
            ObjectType::OBJECT_SCHEMA | ObjectType::OBJECT_TYPE | ObjectType::OBJECT_DOMAIN => ("", false),
            ObjectType::OBJECT_FUNCTION | ObjectType::OBJECT_PROCEDURE | ObjectType::OBJECT_ROUTINE => ("", false),
            kind if self.is_plain(kind) => ("", false),
            _ => return Err(self.ddl.refused_kind()),
        };
        let cascade = drop.behavior == DropBehavior::DROP_CASCADE;
        if !relations {
            // What else it would take away is not known here.
            return if cascade { self.without_cascade(drop) } else { Ok(()) };
        }
        let mut written = Vec::new();
        for object in drop.objects() {
            written.push(self.dropped(object, kind, drop.missing_ok)?.to_sql());
        }
        let word = |set: bool, word: &'static str| if set { word } else { "" };
        let text = format!(
            "DROP {kind}{}{} {}{}",
            word(drop.concurrent, " CONCURRENTLY"),
            word(drop.missing_ok, " IF EXISTS"),
            written.join(", "),
            word(cascade, " CASCADE")
        );
        self.edits.whole(text);
        Ok(())
    }

    /// DROP of a schema, a type or a function with CASCADE: where nothing is hidden and every table may be written to, or where there is no
    /// such thing, so that nothing is taken away with it.
    fn without_cascade(&mut self, drop: &DropStmt) -> Result<(), Fail> {
        let context = self.resolver.context;
        if context.policies.hides_nothing() && !context.policies.keeps_some() {
            return Ok(());
        }
        let absent = |node: Node<'_>| match node {
            Node::String(schema) => !context.catalog.has_schema(&names::word(schema.sval())),
            Node::TypeName(name) => {
                let last = name.names().iter().next_back().and_then(|name| name.sval());
                last.is_some_and(|name| context.catalog.types_called(name).next().is_none())
            }
            _ => false,
        };
        if drop.missing_ok && drop.objects().iter().all(absent) && self.ddl.leave_out_last(&mut self.edits, "cascade") {
            return Ok(());
        }
        Err(unsupported("DROP of a schema, a type or a function with CASCADE").hint("drop what depends on it first"))
    }

    fn truncate(&mut self, truncate: &TruncateStmt) -> Result<(), Fail> {
        let mut ids = Vec::new();
        for relation in truncate.relations() {
            let id = self.range(relation)?;
            self.runs_nothing_on_truncate(id)?;
            self.change(id, Change::Empty);
            ids.push(id);
        }
        if truncate.behavior == DropBehavior::DROP_CASCADE {
            self.empties_too(&ids)?;
        }
        Ok(())
    }

    /// TRUNCATE .. CASCADE empties what refers to these, and what refers to that.
    fn empties_too(&mut self, ids: &[OccurrenceId]) -> Result<(), Fail> {
        let catalog = self.resolver.context.catalog;
        let named =
            ids.iter().filter_map(|id| self.resolver.occurrences.get(*id)).map(|occurrence| occurrence.relation.oid);
        let mut reached: std::collections::BTreeSet<_> = named.collect();
        let mut queue: Vec<_> = reached.iter().copied().collect();
        while let Some(oid) = queue.pop() {
            let Some(relation) = catalog.relation_by_oid(oid) else { continue };
            let referring = relation.automatic.referenced.iter().map(|reference| reference.from);
            for next in referring.chain(catalog.descendants(oid)) {
                if reached.insert(next)
                    && let Some(relation) = catalog.relation_by_oid(next).cloned()
                {
                    let name = relation.name.name.clone();
                    let id = self.resolver.occurs(&relation, &name, Verb::Define);
                    self.runs_nothing_on_truncate(id)?;
                    self.change(id, Change::Empty);
                    queue.push(next);
                }
            }
        }
        Ok(())
    }

    /// Refuses what would run a trigger of the relation's, or of a part of it, that the policy does not name: what that reads and writes is
    /// not known.
    fn runs_nothing_on_truncate(&self, id: OccurrenceId) -> Result<(), Fail> {
        let context = self.resolver.context;
        let Some(occurrence) = self.resolver.occurrences.get(id) else { return Err(Refusal::internal(Stage::Resolve)) };
        let parts = context.catalog.descendants(occurrence.relation.oid);
        let parts = parts.into_iter().filter_map(|oid| context.catalog.relation_by_oid(oid)).map(AsRef::as_ref);
        for relation in std::iter::once(&*occurrence.relation).chain(parts) {
            for code in relation.automatic.code.iter().filter(|code| code.on.truncate) {
                let named = |(schema, name): &(String, String)| context.policies.allows_function(schema, name);
                if code.function.as_ref().is_some_and(named) {
                    continue;
                }
                let message = format!("a TRUNCATE that runs {} of `{}` is not open", code.what, relation.name);
                let refusal = Refusal::new(Stage::Resolve, SqlState::INSUFFICIENT_PRIVILEGE, message)
                    .detail("what that reads and writes is not known");
                return Err(match &code.function {
                    Some((schema, name)) => {
                        refusal.hint(format!("a policy may open it: `[functions] allow = [\"{schema}.{name}\"]`"))
                    }
                    None => refusal,
                });
            }
        }
        Ok(())
    }

    fn vacuum(&mut self, vacuum: &VacuumStmt) -> Result<(), Fail> {
        let evaluates = evaluated::by_vacuum(vacuum);
        if evaluates && vacuum.rels().is_empty() {
            return self.looks_through_all();
        }
        for relation in vacuum.rels() {
            let id = self.existing(relation.relation())?;
            if evaluates {
                self.looks_through(id)?;
            }
        }
        Ok(())
    }

    fn comment(&mut self, comment: &CommentStmt) -> Result<(), Fail> {
        let kind = match comment.objtype {
            ObjectType::OBJECT_TABLE => "TABLE",
            ObjectType::OBJECT_COLUMN => "COLUMN",
            ObjectType::OBJECT_VIEW => "VIEW",
            ObjectType::OBJECT_MATVIEW => "MATERIALIZED VIEW",
            ObjectType::OBJECT_INDEX => "INDEX",
            ObjectType::OBJECT_SEQUENCE => "SEQUENCE",
            ObjectType::OBJECT_SCHEMA => return Ok(()),
            ObjectType::OBJECT_ROLE if self.resolver.context.policies.hides_nothing() => return Ok(()),
            kind if self.is_plain(kind) => return Ok(()),
            _ => return Err(self.ddl.refused_kind()),
        };
        let mut parts = names::strings(comment.object())?;
        let column = if kind == "COLUMN" { parts.pop() } else { None };
        let (id, relation) = self.by_parts(&parts)?;
        if let Some(column) = &column {
            self.commented(id, column, &parts)?;
        }
        let column = column.map(|column| format!(".{}", quote_ident(&column))).unwrap_or_default();
        let text = comment.comment().map_or_else(|| "NULL".to_owned(), quote_literal);
        self.edits.whole(format!("COMMENT ON {kind} {}{column} IS {text}", relation.to_sql()));
        Ok(())
    }

    fn grant(&mut self, grant: &GrantStmt) -> Result<(), Fail> {
        if grant.targtype != GrantTargetType::ACL_TARGET_OBJECT {
            if self.resolver.context.policies.hides_nothing() {
                return Ok(());
            }
            return Err(unsupported("GRANT on everything in a schema, or by default"));
        }
        match grant.objtype {
            ObjectType::OBJECT_TABLE | ObjectType::OBJECT_SEQUENCE => {
                grant.objects().iter().try_for_each(|range| self.touched(Some(range)))
            }
            ObjectType::OBJECT_SCHEMA | ObjectType::OBJECT_TYPE | ObjectType::OBJECT_DOMAIN => Ok(()),
            ObjectType::OBJECT_LANGUAGE if self.resolver.context.policies.hides_nothing() => Ok(()),
            kind if self.is_plain(kind) => Ok(()),
            _ => Err(self.ddl.refused_kind()),
        }
    }

    /// A relation that is only named.
    fn touched(&mut self, range: Option<&RangeVar>) -> Result<(), Fail> {
        self.existing(range).map(|_| ())
    }

    fn range(&mut self, node: Node<'_>) -> Result<OccurrenceId, Fail> {
        match node {
            Node::RangeVar(range) => self.existing(Some(range)),
            _ => Err(Refusal::internal(Stage::Resolve)),
        }
    }

    fn change(&mut self, id: OccurrenceId, change: Change) {
        self.structure.changes.push((id, change));
    }

    fn make(&mut self, name: RelationName, from_query: bool) {
        self.structure.makes.push(Make { name, from_query });
    }

    /// Every row's values of these columns are looked at; `new` are columns that this statement makes.
    fn looks(&mut self, id: OccurrenceId, new: &[String], columns: Vec<String>) -> Result<(), Fail> {
        for column in columns.into_iter().filter(|column| !new.contains(column)) {
            self.column(id, &column)?;
            if let Some(occurrence) = self.resolver.occurrences.get_mut(id) {
                occurrence.mark(&column, Use::Filter);
            }
        }
        Ok(())
    }
}
