//! Builds a snapshot from descriptions: for tests, policies' own `[[tests]]` and `explain` without a database, and as
//! the last step of loading one from a server.

use std::sync::Arc;

use super::{Catalog, Column, Function, Oid, Relation, RelationKind, RelationName, Type, TypeClass, builtin as t};

/// Collects the parts of a [`Catalog`].
#[derive(Debug, Default)]
pub struct CatalogBuilder {
    catalog: Catalog,
    next_oid: Oid,
}

/// Name in a description, oid, class.
const BUILTIN_TYPES: &[(&str, &str, Oid, TypeClass)] = &[
    ("boolean", "bool", t::BOOL, TypeClass::Bool),
    ("bytea", "bytea", t::BYTEA, TypeClass::Other),
    ("name", "name", t::NAME, TypeClass::Text),
    ("bigint", "int8", t::INT8, TypeClass::Integer),
    ("smallint", "int2", t::INT2, TypeClass::Integer),
    ("integer", "int4", t::INT4, TypeClass::Integer),
    ("text", "text", t::TEXT, TypeClass::Text),
    ("oid", "oid", t::OID, TypeClass::Other),
    ("json", "json", t::JSON, TypeClass::Json),
    ("real", "float4", t::FLOAT4, TypeClass::Float),
    ("double precision", "float8", t::FLOAT8, TypeClass::Float),
    ("money", "money", t::MONEY, TypeClass::Other),
    ("inet", "inet", t::INET, TypeClass::Inet),
    ("cidr", "cidr", t::CIDR, TypeClass::Inet),
    ("character", "bpchar", t::BPCHAR, TypeClass::Text),
    ("character varying", "varchar", t::VARCHAR, TypeClass::Text),
    ("date", "date", t::DATE, TypeClass::Date),
    ("time without time zone", "time", t::TIME, TypeClass::Other),
    ("timestamp without time zone", "timestamp", t::TIMESTAMP, TypeClass::Timestamp),
    ("timestamp with time zone", "timestamptz", t::TIMESTAMPTZ, TypeClass::TimestampTz),
    ("interval", "interval", t::INTERVAL, TypeClass::Other),
    ("numeric", "numeric", t::NUMERIC, TypeClass::Numeric),
    ("uuid", "uuid", t::UUID, TypeClass::Uuid),
    ("jsonb", "jsonb", t::JSONB, TypeClass::Jsonb),
];

/// Types whose comparison operators with themselves are leakproof in PostgreSQL 15; the integers' with each other are too.
const LEAKPROOF_COMPARED: &[Oid] = &[
    t::BOOL,
    t::INT2,
    t::INT4,
    t::INT8,
    t::TEXT,
    t::BPCHAR,
    t::DATE,
    t::TIMESTAMP,
    t::TIMESTAMPTZ,
    t::UUID,
    t::FLOAT4,
    t::FLOAT8,
    t::NAME,
    t::OID,
];

impl CatalogBuilder {
    /// An empty catalog of PostgreSQL 15 with the built-in types and their leakproof comparisons.
    pub fn new() -> Self {
        let mut builder = Self { catalog: Catalog::default(), next_oid: 16384 };
        builder.catalog.epoch = 1;
        builder.catalog.server_version = 150_000;
        builder.catalog.schemas.extend(["public".to_owned(), "pg_catalog".to_owned(), "information_schema".to_owned()]);
        for &(_, name, oid, class) in BUILTIN_TYPES {
            builder.add_type(Type {
                oid,
                schema: "pg_catalog".into(),
                name: name.into(),
                class,
                base: oid,
                element: None,
            });
        }
        let integers = [t::INT2, t::INT4, t::INT8];
        let mixed = integers.iter().flat_map(|&left| integers.iter().map(move |&right| (left, right)));
        for (left, right) in mixed.chain(LEAKPROOF_COMPARED.iter().map(|&oid| (oid, oid))) {
            for operator in ["=", "<>", "<", "<=", ">", ">="] {
                builder.add_leakproof_operator(operator, left, right);
            }
        }
        builder
    }

    /// A builder with nothing in it, for a snapshot that is read from a server.
    pub fn empty(epoch: u64, server_version: u32) -> Self {
        let catalog = Catalog { epoch, server_version, ..Catalog::default() };
        Self { catalog, next_oid: 16384 }
    }

    /// Sets the epoch.
    #[must_use]
    pub fn epoch(mut self, epoch: u64) -> Self {
        self.catalog.epoch = epoch;
        self
    }

    /// Sets the name of the database.
    #[must_use]
    pub fn database(mut self, name: impl Into<String>) -> Self {
        self.catalog.database = name.into();
        self
    }

    /// Sets the login that reads it.
    #[must_use]
    pub fn reader(mut self, login: impl Into<String>) -> Self {
        self.catalog.reader = Some(login.into());
        self
    }

    /// Sets the server's version, as `server_version_num` has it.
    #[must_use]
    pub fn server_version(mut self, version: u32) -> Self {
        self.catalog.server_version = version;
        self
    }

    /// Adds a schema.
    pub fn add_schema(&mut self, schema: impl Into<String>) {
        self.catalog.schemas.insert(schema.into());
    }

    /// Adds a type.
    pub fn add_type(&mut self, ty: Type) {
        self.catalog.types.insert(ty);
    }

    /// Adds a function.
    pub fn add_function(&mut self, function: Function) {
        let overloads = Arc::make_mut(&mut self.catalog.functions).entry(function.name.clone()).or_default();
        // Most of the thousands of names have one function, and a list grows to four by itself.
        overloads.reserve_exact(1);
        overloads.push(function);
    }

    /// Says that an operator's function is leakproof.
    pub fn add_leakproof_operator(&mut self, operator: impl Into<String>, left: Oid, right: Oid) {
        Arc::make_mut(&mut self.catalog.leakproof_operators).insert((operator.into(), left, right));
    }

    /// Says that an operator calls a function that is not built in, named with its schema.
    pub fn add_calling_operator(&mut self, operator: impl Into<String>, schema: String, function: String) {
        self.catalog.add_calling_operator(operator.into(), (schema, function));
    }

    /// Says that a type calls such a function (schema and name) without naming it. `oid` is 0 where no statement can keep
    /// clear of it; `when`: `n` where the type is named, `v` by a value of it too, `w` by a write.
    pub fn add_calling_type(&mut self, oid: Oid, name: impl Into<String>, when: &str, function: (String, String)) {
        self.catalog.add_calling_type(oid, name.into(), when, function);
    }

    /// Adds a relation as it is.
    pub fn add_relation(&mut self, relation: Relation) {
        self.catalog.schemas.insert(relation.name.schema.clone());
        self.catalog.by_name.insert(relation.name.clone(), relation.oid);
        self.catalog.relations.insert(relation.oid, Arc::new(relation));
    }

    /// Adds an ordinary table from `(column, type)` pairs, types as `format_type` writes them (`bigint`,
    /// `character varying(20)`, `text[]`); an unknown type is [`TypeClass::Other`].
    pub fn table(&mut self, name: RelationName, columns: &[(&str, &str)], primary_key: &[&str]) -> Oid {
        let oid = self.next_oid;
        self.next_oid += 1;
        let columns: Vec<Column> = columns
            .iter()
            .zip(1_i16..)
            .map(|(&(column, type_sql), number)| {
                let (type_oid, class) = self.type_of(type_sql);
                Column {
                    number,
                    name: column.to_owned(),
                    type_oid,
                    type_sql: type_sql.to_owned(),
                    class,
                    base_oid: type_oid,
                    base_sql: type_sql.to_owned(),
                    generated: false,
                }
            })
            .collect();
        let primary_key = primary_key
            .iter()
            .filter_map(|key| columns.iter().find(|column| column.name == *key).map(|column| column.number))
            .collect();
        self.add_relation(Relation {
            oid,
            name,
            kind: RelationKind::Table,
            columns,
            primary_key,
            deferrable_key: false,
            parents: Vec::new(),
            children: Vec::new(),
            reaches: Vec::new(),
            opaque: false,
            automatic: super::automatic::Automatic::default(),
        });
        oid
    }

    fn type_of(&self, type_sql: &str) -> (Oid, TypeClass) {
        if type_sql.ends_with("[]") {
            return (0, TypeClass::Array);
        }
        let plain = type_sql.split('(').next().unwrap_or(type_sql).trim();
        BUILTIN_TYPES
            .iter()
            .find(|(long, short, ..)| *long == plain || *short == plain)
            .map_or((0, TypeClass::Other), |&(_, _, oid, class)| (oid, class))
    }

    /// From when on changes are not in it, and what is counted to notice some of them.
    pub(super) fn read_at(&mut self, since: Option<u32>, counted: String, rules: super::snapshot::Rules) {
        (self.catalog.since, self.catalog.counted, self.catalog.rules) = (since, counted, Arc::new(rules));
    }

    /// What belongs to which relation, and whether something may happen along with statements that change the structure.
    pub(super) fn belonging(&mut self, pairs: Vec<(Oid, Oid)>, hooked: bool) {
        self.catalog.hooked = hooked;
        self.catalog.put_parts(pairs);
    }

    /// The finished snapshot.
    pub fn build(mut self) -> Catalog {
        self.catalog.find_referred();
        self.catalog.find_returned();
        self.catalog
    }
}
