//! Types, as far as masks and the leakproof check need them.

/// An object identifier of PostgreSQL.
pub type Oid = u32;

/// Well-known type oids (PostgreSQL's `pg_type.dat`; they never change).
#[allow(missing_docs)]
pub mod builtin {
    use super::Oid;
    /// `FirstNormalObjectId`: what is made later than the cluster itself begins here.
    pub const FIRST_OF_USERS: Oid = 16_384;
    pub const BOOL: Oid = 16;
    pub const BYTEA: Oid = 17;
    pub const NAME: Oid = 19;
    pub const INT8: Oid = 20;
    pub const INT2: Oid = 21;
    pub const INT4: Oid = 23;
    pub const TEXT: Oid = 25;
    pub const OID: Oid = 26;
    pub const JSON: Oid = 114;
    pub const FLOAT4: Oid = 700;
    pub const FLOAT8: Oid = 701;
    pub const UNKNOWN: Oid = 705;
    pub const MONEY: Oid = 790;
    pub const CIDR: Oid = 650;
    pub const INET: Oid = 869;
    pub const BPCHAR: Oid = 1042;
    pub const VARCHAR: Oid = 1043;
    pub const DATE: Oid = 1082;
    pub const TIME: Oid = 1083;
    pub const TIMESTAMP: Oid = 1114;
    pub const TIMESTAMPTZ: Oid = 1184;
    pub const INTERVAL: Oid = 1186;
    pub const NUMERIC: Oid = 1700;
    pub const UUID: Oid = 2950;
    pub const JSONB: Oid = 3802;
}

/// What kind of value a type holds: decides which masks fit it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TypeClass {
    /// text, varchar, char(n), name, citext.
    Text,
    /// smallint, integer, bigint.
    Integer,
    /// numeric.
    Numeric,
    /// real, double precision.
    Float,
    /// date.
    Date,
    /// timestamp without time zone.
    Timestamp,
    /// timestamp with time zone.
    TimestampTz,
    /// uuid.
    Uuid,
    /// boolean.
    Bool,
    /// An enum type.
    Enum,
    /// json.
    Json,
    /// jsonb.
    Jsonb,
    /// inet, cidr.
    Inet,
    /// An array of any element type.
    Array,
    /// A row type.
    Composite,
    /// Anything else: only `null` fits it.
    Other,
}

/// One row of `pg_type`, domains already followed to their base for `class`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Type {
    /// `pg_type.oid`.
    pub oid: Oid,
    /// Schema of the type.
    pub schema: String,
    /// `typname`.
    pub name: String,
    /// What it holds.
    pub class: TypeClass,
    /// The base type of a domain, else its own oid.
    pub base: Oid,
    /// The element type of an array.
    pub element: Option<Oid>,
}
