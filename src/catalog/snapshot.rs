//! The snapshot itself.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use super::shards::Shards;
use super::type_map::Types;
use super::{Memo, Oid, RelationName, Type, TypeClass};

/// The schema by which each session names its own temporary relations.
const TEMPORARY: &str = "pg_temp";

/// What the database looked like when the snapshot was taken.
#[derive(Debug, Clone, Default)]
pub struct Catalog {
    pub(super) epoch: u64,
    /// `server_version_num`, such as 150018.
    pub(super) server_version: u32,
    /// The database that it is of; empty where it was not read from a server.
    pub(super) database: String,
    /// Who read it.
    pub(super) reader: Option<String>,
    pub(super) schemas: BTreeSet<String>,
    pub(super) relations: Shards<Oid, Arc<Relation>>,
    pub(super) by_name: Shards<RelationName, Oid>,
    /// By relation, its indexes, its TOAST table, sequences that its columns own, by number.
    pub(super) parts: Shards<Oid, Vec<Oid>>,
    /// Relations that a foreign key refers to: [`Catalog::find_referred`].
    pub(super) referred: Arc<BTreeSet<Oid>>,
    pub(super) types: Types,
    /// By name without schema.
    pub(super) functions: Arc<HashMap<String, Vec<Function>>>,
    /// What functions return that are not the system's: [`Catalog::find_returned`].
    pub(super) returned: Arc<BTreeSet<Oid>>,
    /// (operator name, left type, right type) of operators whose function is leakproof.
    pub(super) leakproof_operators: Arc<HashSet<(String, Oid, Oid)>>,
    /// By operator name, the functions (schema, name) that such an operator calls and nobody reviewed.
    pub(super) calling_operators: Arc<HashMap<String, Vec<(String, String)>>>,
    /// By a type's name, such functions that are called where the type is named: casts, checks.
    pub(super) calling_types: Arc<HashMap<String, Vec<(String, String)>>>,
    /// By type, such functions that a value of it may call: casts, operator classes. 0: any value.
    pub(super) calling_values: Arc<HashMap<Oid, Vec<(String, String)>>>,
    /// Such functions that any write may call.
    pub(super) calling_writes: Vec<(String, String)>,
    /// What the rules of views and tables name.
    pub(super) rules: Arc<Rules>,
    /// Changes of this transaction number on are not in it.
    pub(super) since: Option<u32>,
    /// How many operators, casts and the like there are that `initdb` did not make.
    pub(super) counted: String,
    /// Something else may happen along with a statement that changes the structure: event triggers, extensions.
    pub(super) hooked: bool,
    /// What only one session has.
    pub(super) temporary: Option<Temporary>,
    /// Names that a relation had before, its own and those of what it was part of, as long as this process has run.
    pub(super) former: Arc<BTreeMap<Oid, BTreeSet<RelationName>>>,
    pub(super) memo: Arc<Memo>,
}

/// What rules name, before it is followed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Rules {
    /// By the relation that has rules, what they name themselves.
    pub(super) direct: BTreeMap<Oid, BTreeSet<Oid>>,
    /// Relations whose rules call something of which it cannot be told what it reads.
    pub(super) untold: BTreeSet<Oid>,
}

/// For what governed rows went into a temporary relation.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct FilledFor {
    /// The purpose.
    pub purpose: String,
    /// The actor whose rows they may be, empty where that was nobody; `None` where no rule opens an actor's own rows for the purpose.
    pub actor: Option<String>,
}

/// The temporary relations of one session.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Temporary {
    /// The schema's own name: `pg_temp_3`.
    pub(super) schema: String,
    /// The relations in it.
    pub(super) relations: HashSet<Oid>,
    /// By relation, for what governed rows went into it.
    pub(super) filled: HashMap<Oid, BTreeSet<FilledFor>>,
    /// Names that were to be temporary relations and are not: they mean no other.
    pub(super) refused: BTreeSet<String>,
}

/// `pg_class.relkind`, of the kinds that a statement can name in FROM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RelationKind {
    /// An ordinary table.
    Table,
    /// A partitioned table.
    PartitionedTable,
    /// A view.
    View,
    /// A materialized view.
    MaterializedView,
    /// A foreign table.
    ForeignTable,
    /// A sequence.
    Sequence,
    /// A TOAST table.
    Toast,
    /// A composite type's row description, an index, or anything else.
    Other,
}

/// One relation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relation {
    /// `pg_class.oid`.
    pub oid: Oid,
    /// Schema and name.
    pub name: RelationName,
    /// Table, view ...
    pub kind: RelationKind,
    /// Live columns in the order of their numbers; system columns are left out.
    pub columns: Vec<Column>,
    /// Column numbers of the primary key, in key order; empty where there is none.
    pub primary_key: Vec<i16>,
    /// The primary key is deferrable: within a transaction two rows may have the same.
    pub deferrable_key: bool,
    /// Direct parents: partition of, or inherits from.
    pub parents: Vec<Oid>,
    /// Direct children.
    pub children: Vec<Oid>,
    /// For a view or materialized view: every relation that its definition names, transitively through other views.
    /// For a table with rules: what the rules name.
    pub reaches: Vec<Oid>,
    /// The definition calls a function that is not built in, so that what it reads cannot be known.
    pub opaque: bool,
    /// What the database does by itself when its rows are written.
    pub automatic: super::automatic::Automatic,
}

impl Relation {
    /// Whether rows can be copied into it.
    pub fn is_writable(&self) -> bool {
        matches!(self.kind, RelationKind::Table | RelationKind::PartitionedTable | RelationKind::ForeignTable)
    }

    /// The column of that name.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }
}

/// One column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// `attnum`.
    pub number: i16,
    /// `attname`.
    pub name: String,
    /// `atttypid`.
    pub type_oid: Oid,
    /// `format_type(atttypid, atttypmod)`: `character varying(20)`; schema-qualified where it is not built in.
    pub type_sql: String,
    /// Followed through domains.
    pub class: TypeClass,
    /// The type under all domains: what a row description names.
    pub base_oid: Oid,
    /// That type as `type_sql` writes one: a value shown instead of the column's own need not pass a domain's checks.
    pub base_sql: String,
    /// A generated column (`GENERATED ALWAYS AS (...) STORED`).
    pub generated: bool,
}

impl Column {
    /// Whether its values may be computed wherever they are read, which can fail: a generated column of a server that has virtual ones,
    /// which PostgreSQL 18 is the first to have. `server_version`: as `server_version_num` has it.
    pub fn may_be_virtual(&self, server_version: u32) -> bool {
        self.generated && server_version >= 180_000
    }
}

/// `pg_proc.prokind`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FunctionKind {
    /// A plain function.
    Plain,
    /// A procedure.
    Procedure,
    /// An aggregate.
    Aggregate,
    /// A window function.
    Window,
}

/// `pg_proc.provolatile`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Volatility {
    /// Same result for the same arguments, always.
    Immutable,
    /// Same result within a statement.
    Stable,
    /// Anything.
    Volatile,
}

/// One row of `pg_proc`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Function {
    /// `pg_proc.oid`.
    pub oid: Oid,
    /// Schema.
    pub schema: String,
    /// `proname`.
    pub name: String,
    /// Plain, aggregate ...
    pub kind: FunctionKind,
    /// `provolatile`.
    pub volatility: Volatility,
    /// `proleakproof`.
    pub leakproof: bool,
    /// `pg_language.lanname`.
    pub language: String,
    /// The extension that it belongs to.
    pub extension: Option<String>,
    /// `prosecdef`.
    pub security_definer: bool,
    /// Argument types.
    pub arguments: Vec<Oid>,
    /// `prorettype`.
    pub returns: Oid,
    /// Names of OUT/TABLE columns, where it returns a row; empty for a scalar.
    pub columns: Vec<String>,
    /// `proretset`.
    pub returns_set: bool,
    /// What a call of it runs, as statements with semicolons between them, where that can be told: the body and the defaults of one in SQL
    /// that sets nothing, the support functions of an aggregate as calls, nothing for what a type brought along. Only of
    /// those that are not built in.
    pub body: Option<String>,
}

/// What a change has not touched is not looked through.
fn same<T: PartialEq>(one: &Arc<T>, other: &Arc<T>) -> bool {
    Arc::ptr_eq(one, other) || one == other
}

impl Catalog {
    /// What was worked out of texts beside the snapshot.
    pub fn memo(&self) -> &Memo {
        &self.memo
    }

    /// Grows with each reload; part of every cached decision's key.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Whether the other snapshot says the same, whatever its epoch.
    pub fn same_contents(&self, other: &Self) -> bool {
        self.server_version == other.server_version
            && self.schemas == other.schemas
            && self.relations.same(&other.relations, same)
            && self.types.same(&other.types)
            && same(&self.functions, &other.functions)
            && self.leakproof_operators == other.leakproof_operators
            && self.calling_operators == other.calling_operators
            && self.calling_types == other.calling_types
            && self.calling_values == other.calling_values
            && self.calling_writes == other.calling_writes
    }

    /// Whether the other snapshot knows what belongs to which relation in the same way, on which no decision rests.
    pub fn same_parts(&self, other: &Self) -> bool {
        self.hooked == other.hooked
            && self.parts.same(&other.parts, Vec::eq)
            && self.referred == other.referred
            && self.returned == other.returned
    }

    /// Whether more may happen along with a statement that changes the structure than the statement says.
    pub fn is_hooked(&self) -> bool {
        self.hooked
    }

    /// The same under another epoch.
    #[must_use]
    pub(super) fn under(mut self, epoch: u64) -> Self {
        self.epoch = epoch;
        self
    }

    /// The login that read it; `None` where it was not read from a server.
    pub fn reader(&self) -> Option<&str> {
        self.reader.as_deref()
    }

    /// The database that it is of; empty where it was not read from a server.
    pub fn database(&self) -> &str {
        &self.database
    }

    /// `server_version_num`.
    pub fn server_version(&self) -> u32 {
        self.server_version
    }

    /// Whether the schema exists.
    pub fn has_schema(&self, schema: &str) -> bool {
        self.schemas.contains(schema)
    }

    /// The relation of that full name.
    pub fn relation(&self, name: &RelationName) -> Option<&Arc<Relation>> {
        if name.schema == TEMPORARY {
            let name = RelationName::new(&*self.temporary.as_ref()?.schema, &*name.name);
            return self.relations.get(self.by_name.get(&name)?);
        }
        self.relations.get(self.by_name.get(name)?)
    }

    /// Whether the relation is a temporary one of the session whose snapshot this is.
    pub fn is_temporary(&self, oid: Oid) -> bool {
        self.temporary.as_ref().is_some_and(|temporary| temporary.relations.contains(&oid))
    }

    /// Whether the schema is the session's own for temporary relations.
    pub fn is_temporary_schema(&self, schema: &str) -> bool {
        schema == TEMPORARY || self.temporary.as_ref().is_some_and(|temporary| temporary.schema == schema)
    }

    /// The session's temporary relations: tables, views, sequences and their indexes.
    pub fn temporaries(&self) -> impl Iterator<Item = &Arc<Relation>> {
        let oids = self.temporary.iter().flat_map(|temporary| &temporary.relations);
        oids.filter_map(|oid| self.relations.get(oid))
    }

    /// For what governed rows went into the relation itself, where it is temporary.
    pub fn filled_for(&self, oid: Oid) -> Option<&BTreeSet<FilledFor>> {
        self.temporary.as_ref()?.filled.get(&oid)
    }

    /// Whether a temporary relation of this name was refused, so that the name alone means none.
    pub fn is_refused(&self, name: &str) -> bool {
        self.temporary.as_ref().is_some_and(|temporary| temporary.refused.contains(name))
    }

    /// The same for a session whose temporary relations were filled for these, and where these names mean none.
    #[must_use]
    pub fn with_private(
        &self,
        filled: &HashMap<Oid, BTreeSet<FilledFor>>,
        refused: &BTreeSet<String>,
        epoch: u64,
    ) -> Self {
        let mut own = self.clone();
        own.epoch = epoch;
        if own.temporary.is_some() || !filled.is_empty() || !refused.is_empty() {
            let temporary = own.temporary.get_or_insert_default();
            temporary.filled.clone_from(filled);
            temporary.refused.clone_from(refused);
        }
        own
    }

    /// The relation with that oid.
    pub fn relation_by_oid(&self, oid: Oid) -> Option<&Arc<Relation>> {
        self.relations.get(&oid)
    }

    /// Every relation, in no particular order.
    pub fn relations(&self) -> impl Iterator<Item = &Arc<Relation>> {
        self.relations.values()
    }

    /// What an unqualified relation name means under a search path (which is given without the implicit
    /// `pg_catalog`; that is searched first unless the path names it).
    pub fn find_relation(&self, search_path: &[String], name: &str) -> Option<&Arc<Relation>> {
        let listed = |name: &str| search_path.iter().any(|schema| schema == name);
        let own = (self.temporary.is_some() && !search_path.iter().any(|schema| self.is_temporary_schema(schema)))
            .then_some(TEMPORARY);
        let implicit = (!listed("pg_catalog")).then_some("pg_catalog");
        own.into_iter()
            .chain(implicit)
            .chain(search_path.iter().map(String::as_str))
            .find_map(|schema| self.relation(&RelationName::new(schema, name)))
    }

    /// The type with that oid.
    pub fn type_by_oid(&self, oid: Oid) -> Option<&Type> {
        self.types.get(&oid)
    }

    /// The type of that schema and name.
    pub fn type_by_name(&self, schema: &str, name: &str) -> Option<&Type> {
        self.types.called(name).find(|ty| ty.schema == schema)
    }

    /// The types of that name, in whatever schema.
    pub fn types_called<'a>(&'a self, name: &'a str) -> impl Iterator<Item = Oid> + 'a {
        self.types.called(name).map(|ty| ty.oid)
    }

    /// Whether values of the type are rows, or could be: a composite type, `record`, or a type that is not known.
    pub fn is_row_type(&self, oid: Oid) -> bool {
        self.types.get(&oid).is_none_or(|ty| ty.class == TypeClass::Composite || ty.name == "record")
    }

    /// Every function of that name, in every schema.
    pub fn functions(&self, name: &str) -> &[Function] {
        self.functions.get(name).map_or(&[], Vec::as_slice)
    }

    /// Whether an extension of that name brought a function.
    pub fn has_extension(&self, name: &str) -> bool {
        self.functions.values().flatten().any(|function| function.extension.as_deref() == Some(name))
    }

    /// Whether the operator for exactly these operand types is leakproof (`pg_proc.proleakproof`): its function tells
    /// nothing about its arguments but its result.
    pub fn operator_is_leakproof(&self, operator: &str, left: Oid, right: Oid) -> bool {
        self.leakproof_operators.contains(&(operator.to_owned(), left, right))
    }

    /// Whether any operator calls a function that nobody reviewed.
    pub fn has_calling_operators(&self) -> bool {
        !self.calling_operators.is_empty()
    }

    /// Operators of which one calls a function that nobody reviewed, with these functions.
    pub fn calling_operators(&self) -> impl Iterator<Item = (&str, &[(String, String)])> {
        self.calling_operators.iter().map(|(name, calls)| (name.as_str(), calls.as_slice()))
    }

    /// The functions that nobody reviewed, with their schemas, that operators of this name call, whatever
    /// their own schema and operands: which one a statement means depends on its session's search path.
    pub fn operator_calls(&self, operator: &str) -> &[(String, String)] {
        self.calling_operators.get(operator).map_or(&[], Vec::as_slice)
    }

    /// Such functions that are called where a type of this name, in whatever schema, is named: by casts and checks.
    pub fn type_calls(&self, name: &str) -> &[(String, String)] {
        self.calling_types.get(name).map_or(&[], Vec::as_slice)
    }

    /// Such functions that comparing, sorting or converting a value of the type calls. 0: of any type.
    pub fn value_calls(&self, oid: Oid) -> &[(String, String)] {
        self.calling_values.get(&oid).map_or(&[], Vec::as_slice)
    }

    /// Such functions that any write calls where types differ.
    pub fn write_calls(&self) -> &[(String, String)] {
        &self.calling_writes
    }

    /// The table that an index, a sequence or a TOAST table belongs to.
    pub fn owner_of(&self, part: Oid) -> Option<Oid> {
        self.parts.iter().find(|(_, parts)| parts.contains(&part)).map(|(owner, _)| *owner)
    }

    /// The ancestors of a relation (partition parents, inheritance parents), nearest first.
    pub fn ancestors(&self, oid: Oid) -> Vec<Oid> {
        self.closure(oid, |relation| &relation.parents)
    }

    /// Names that a relation had before, its own and those of what it was part of: what was listed under one stays so.
    pub fn former_names(&self, oid: Oid) -> impl Iterator<Item = &RelationName> {
        self.former.get(&oid).into_iter().flatten()
    }

    /// Takes over what relations were called, and what they were part of, in the snapshot before.
    pub(super) fn remember(&mut self, before: &Self) {
        let mut former = Arc::clone(&before.former);
        for (oid, old) in before.relations.apart(&self.relations) {
            let Some(new) = self.relations.get(oid).filter(|new| !Arc::ptr_eq(old, new)) else { continue };
            let parents = old.parents.iter().filter(|parent| !new.parents.contains(parent));
            let above: Vec<Oid> = parents.flat_map(|oid| std::iter::once(*oid).chain(before.ancestors(*oid))).collect();
            let above = above.iter().filter_map(|oid| Some(before.relations.get(oid)?.name.clone()));
            let own = (old.name != new.name).then(|| old.name.clone());
            let names: BTreeSet<RelationName> = own.into_iter().chain(above).collect();
            if !names.is_empty() {
                Arc::make_mut(&mut former).entry(old.oid).or_default().extend(names);
            }
        }
        if former.keys().any(|oid| !self.relations.contains_key(oid)) {
            Arc::make_mut(&mut former).retain(|oid, _| self.relations.contains_key(oid));
        }
        self.former = former;
    }

    /// The descendants of a relation, nearest first.
    pub fn descendants(&self, oid: Oid) -> Vec<Oid> {
        self.closure(oid, |relation| &relation.children)
    }

    fn closure(&self, oid: Oid, next: impl Fn(&Relation) -> &Vec<Oid>) -> Vec<Oid> {
        let mut found = Vec::new();
        let mut queue = vec![oid];
        while let Some(oid) = queue.pop() {
            for &neighbour in self.relations.get(&oid).map_or(&[][..], |relation| next(relation)) {
                if !found.contains(&neighbour) {
                    found.push(neighbour);
                    queue.push(neighbour);
                }
            }
        }
        found
    }
}
