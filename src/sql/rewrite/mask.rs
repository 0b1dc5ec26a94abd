//! Masks as SQL that the database evaluates.
//!
//! Each is a total function: it fails on no value, so that a predicate over a mask tells nothing by an error. Each gives
//! the column's own type back. Functions are written with their schema.

use crate::catalog::{Column, TypeClass, builtin, quote_literal};
use crate::policy::Mask;
use crate::sql::token;

/// The expression that shows `value` (a column reference as SQL) through the mask.
///
/// `None` where the mask does not fit the column's type: the caller refuses.
pub(super) fn sql(mask: &Mask, column: &Column, value: &str, purpose: &str) -> Option<String> {
    if !mask.fits(column.class) {
        return None;
    }
    let ty = &column.type_sql;
    let text = format!("{value}::pg_catalog.text");
    let expression = match mask {
        Mask::Null => return Some(format!("NULL::{ty}")),
        Mask::Fixed(fixed) => return Some(format!("{}::{ty}", quote_literal(fixed))),
        Mask::First(n) => partial(&text, *n, |shown, hidden| format!("pg_catalog.concat({shown}, {hidden})"), "left"),
        Mask::Last(n) => partial(&text, *n, |shown, hidden| format!("pg_catalog.concat({hidden}, {shown})"), "right"),
        Mask::Email => format!(
            "CASE WHEN {value} IS NULL THEN NULL ELSE pg_catalog.concat(pg_catalog.left({text}, 1), '***@', \
             pg_catalog.left(pg_catalog.split_part({text}, '@', 2), 1), '***', \
             (pg_catalog.regexp_match({text}, '@.*([.][^.@]+)$'))[1]) END"
        ),
        Mask::Year => calendar(column, value, "year")?,
        Mask::Month => calendar(column, value, "month")?,
        Mask::Band(width) => band(column, value, *width)?,
        Mask::Token => return token_sql(column, value, purpose),
    };
    Some(format!("({expression})::{ty}"))
}

/// `n` characters shown and the rest as stars; a value that is not longer than `n` is all stars.
fn partial(text: &str, n: u32, join: impl Fn(&str, &str) -> String, side: &str) -> String {
    let length = format!("pg_catalog.length({text})");
    let shown = join(&format!("pg_catalog.{side}({text}, {n})"), &format!("pg_catalog.repeat('*', {length} - {n})"));
    format!("CASE WHEN {length} > {n} THEN {shown} ELSE pg_catalog.repeat('*', {length}) END")
}

fn calendar(column: &Column, value: &str, unit: &str) -> Option<String> {
    match column.class {
        TypeClass::Date => {
            // By days back, since dates reach further than timestamps do.
            let days = if unit == "year" { "doy" } else { "day" };
            let first = format!("{value} - (EXTRACT({days} FROM {value})::pg_catalog.int4 - 1)");
            Some(format!("CASE WHEN pg_catalog.isfinite({value}) THEN {first} ELSE {value} END"))
        }
        TypeClass::Timestamp | TypeClass::TimestampTz => Some(format!("pg_catalog.date_trunc('{unit}', {value})")),
        _ => None,
    }
}

/// The lower end of the band; clamped where the type is too narrow for it.
fn band(column: &Column, value: &str, width: u64) -> Option<String> {
    let lower = format!("pg_catalog.floor({value}::pg_catalog.numeric / {width}) * {width}");
    match column.class {
        TypeClass::Integer => {
            let least = match column.type_oid {
                builtin::INT2 => "-32768",
                builtin::INT4 => "-2147483648",
                _ => "-9223372036854775808",
            };
            Some(format!("CASE WHEN {value} IS NULL THEN NULL ELSE GREATEST({lower}, {least}::pg_catalog.numeric) END"))
        }
        TypeClass::Numeric => Some(lower),
        TypeClass::Float => {
            let wide = format!("{value}::pg_catalog.float8");
            Some(format!("pg_catalog.floor({wide} / {width}) * {width}"))
        }
        _ => None,
    }
}

/// HMAC-SHA-256 with the purpose's key, which the session holds as two settings (the key against the inner and the
/// outer pad of RFC 2104), so that the key stands in no SQL text.
fn token_sql(column: &Column, value: &str, purpose: &str) -> Option<String> {
    let (inner, outer) = token::setting_names(purpose);
    let key = |name: &str| format!("pg_catalog.decode(pg_catalog.current_setting('{name}'), 'hex')");
    let message = format!("pg_catalog.convert_to({value}::pg_catalog.text, 'UTF8')");
    let first = format!("pg_catalog.sha256({} || {message})", key(&inner));
    let hex = format!("pg_catalog.encode(pg_catalog.sha256({} || {first}), 'hex')", key(&outer));
    let ty = &column.type_sql;
    let bits = |hex_digits: u32, bits: u32| {
        format!("pg_catalog.concat('x', pg_catalog.left({hex}, {hex_digits}))::pg_catalog.bit({bits})::pg_catalog.int8")
    };
    let token = match column.class {
        TypeClass::Text => format!("pg_catalog.concat('tok_', pg_catalog.left({hex}, 20))"),
        TypeClass::Uuid => format!("pg_catalog.left({hex}, 32)"),
        TypeClass::Integer => match column.type_oid {
            builtin::INT2 => bits(4, 15),
            builtin::INT4 => bits(8, 31),
            _ => bits(16, 63),
        },
        _ => return None,
    };
    Some(format!("CASE WHEN {value} IS NULL THEN NULL ELSE ({token})::{ty} END"))
}
