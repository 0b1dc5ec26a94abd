//! Names of types as a statement writes them, as far as comparisons are judged by them.

use crate::catalog::{Oid, builtin};

/// The oid of a type that PREPARE declares; one that no comparison is judged by for a type that is not known here.
pub(in crate::sql) fn declared_type(written: &str) -> Oid {
    if written.trim().eq_ignore_ascii_case("unknown") { 0 } else { cast_type(written).unwrap_or(Oid::MAX) }
}

/// The oid of a type whose comparisons are known; `None` for any other.
pub(in crate::sql) fn cast_type(written: &str) -> Option<Oid> {
    let (before, rest) = written.split_once('(').unwrap_or((written, ""));
    // What follows a precision is part of the name: `timestamp(3) with time zone`, `varchar(9)[]`.
    let after = rest.split_once(')').map_or(rest, |(_, after)| after);
    let plain = format!("{before} {after}").to_ascii_lowercase();
    match plain.split_whitespace().collect::<Vec<_>>().join(" ").as_str() {
        "text" | "varchar" | "character varying" => Some(builtin::TEXT),
        "int" | "integer" | "int4" => Some(builtin::INT4),
        "bigint" | "int8" => Some(builtin::INT8),
        "smallint" | "int2" => Some(builtin::INT2),
        "numeric" | "decimal" => Some(builtin::NUMERIC),
        "real" | "float4" => Some(builtin::FLOAT4),
        "double precision" | "float8" => Some(builtin::FLOAT8),
        "boolean" | "bool" => Some(builtin::BOOL),
        "date" => Some(builtin::DATE),
        "timestamp" | "timestamp without time zone" => Some(builtin::TIMESTAMP),
        "timestamptz" | "timestamp with time zone" => Some(builtin::TIMESTAMPTZ),
        "uuid" => Some(builtin::UUID),
        _ => None,
    }
}
