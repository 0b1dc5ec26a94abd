//! Masks over numbers and addresses.

use std::fmt::Write as _;

use crate::catalog::{Column, TypeClass, builtin};

/// The least and the greatest value of the type, as SQL; `None` where it knows none.
pub(super) fn bounds(column: &Column) -> Option<(String, String)> {
    let pair = |least: &str, greatest: &str| Some((least.to_owned(), greatest.to_owned()));
    match column.base_oid {
        builtin::INT2 => pair("-32768", "32767"),
        builtin::INT4 => pair("-2147483648", "2147483647"),
        builtin::INT8 => pair("-9223372036854775808", "9223372036854775807"),
        builtin::FLOAT4 => pair("-3e38", "3e38"),
        builtin::FLOAT8 => pair("-1e308", "1e308"),
        // `numeric(12,2)`: up to 9999999999.99.
        builtin::NUMERIC => {
            let (precision, scale) = column.base_sql.strip_prefix("numeric(")?.strip_suffix(')')?.split_once(',')?;
            let (precision, scale) = (precision.trim().parse::<i32>().ok()?, scale.trim().parse::<i32>().ok()?);
            let nines = "9".repeat(usize::try_from(precision).ok()?);
            let greatest = format!("{nines}e{}", scale.checked_neg()?);
            Some((format!("-{greatest}"), greatest))
        }
        _ => None,
    }
}

/// The lower end of the band; clamped where the type is too narrow for it.
pub(super) fn band(column: &Column, value: &str, width: u64) -> Option<String> {
    match column.class {
        TypeClass::Integer => {
            let (least, _) = bounds(column)?;
            Some(match (column.base_oid, clamped(&least, width)) {
                (builtin::INT2 | builtin::INT4, Some(end)) if width <= 1 << 30 => {
                    whole(value, "int4", width, &least, &end)
                }
                (builtin::INT8, Some(end)) if width <= 1 << 62 => whole(value, "int8", width, &least, &end),
                _ => clamped_late(value, width, &least),
            })
        }
        TypeClass::Numeric => Some(match bounds(column) {
            Some((least, _)) => match clamped(&least, width) {
                Some(end) => format!(
                    "CASE WHEN {value} < {end} THEN {least}::pg_catalog.numeric ELSE {} END",
                    lower(value, width)
                ),
                None => clamped_late(value, width, &least),
            },
            None => lower(value, width),
        }),
        TypeClass::Float => {
            let wide = format!("{value}::pg_catalog.float8");
            Some(match bounds(column) {
                // Dividing and multiplying again may pass the greatest value by a rounding.
                Some((least, greatest)) => finite(
                    &wide,
                    &format!("{wide} >= {least} AND {wide} <= {greatest}"),
                    "0",
                    &format!("GREATEST(pg_catalog.floor({wide} / {width}) * {width}, {least}::pg_catalog.float8)"),
                ),
                None => return None,
            })
        }
        _ => None,
    }
}

fn lower(value: &str, width: u64) -> String {
    format!("pg_catalog.floor({value}::pg_catalog.numeric / {width}) * {width}")
}

/// GREATEST leaves NULL out.
fn clamped_late(value: &str, width: u64, least: &str) -> String {
    let lower = lower(value, width);
    format!("CASE WHEN {value} IS NULL THEN NULL ELSE GREATEST({lower}, {least}::pg_catalog.numeric) END")
}

/// The lowest end of a band that is not below the least value of the type, a whole number or all nines (`-9999e-2`); `None` where it
/// is none that can be worked out here.
fn clamped(least: &str, width: u64) -> Option<String> {
    let (digits, scale) = least.strip_prefix('-')?.split_once("e-").unwrap_or((least.strip_prefix('-')?, "0"));
    let whole = digits.len().checked_sub(scale.parse().ok()?)?;
    // What stands before the point: all nines, or the whole number itself.
    let whole = digits.get(..whole)?.parse::<i128>().or_else(|error| match error.kind() {
        std::num::IntErrorKind::Empty => Ok(0),
        _ => Err(error),
    });
    let end = whole.ok()?.checked_div(width.into())?.checked_mul(width.into())?;
    Some(format!("({})", end.checked_neg()?))
}

/// `%` has the sign of its left side. Twice the width must fit the type.
fn whole(value: &str, ty: &str, width: u64, least: &str, end: &str) -> String {
    let value = format!("{value}::pg_catalog.{ty}");
    format!(
        "CASE WHEN {value} < {end} THEN ({least})::pg_catalog.{ty} WHEN {value} >= 0 THEN {value} - {value} % {width} \
         ELSE {value} - ({value} % {width} + {width}) % {width} END"
    )
}

/// What is shown of a floating-point number within bounds where nothing overflows: NaN and the infinities as they are, and
/// nothing of what is beyond the bounds. What is next to nothing would become too small for the type: `nothing` is shown of it.
pub(super) fn finite(value: &str, within: &str, nothing: &str, shown: &str) -> String {
    let special = ["NaN", "Infinity", "-Infinity"].map(|special| format!("'{special}'::pg_catalog.float8")).join(", ");
    format!(
        "CASE WHEN {value} >= -1e-20 AND {value} <= 1e-20 THEN {nothing} WHEN {within} THEN {shown} WHEN {value} = ANY (ARRAY[{special}]) THEN {value} ELSE NULL END"
    )
}

/// `20 to 29`, for a text that is a whole number.
pub(super) fn range(value: &str, width: u64) -> String {
    let text = format!("{value}::pg_catalog.text");
    let lower = format!("pg_catalog.floor({text}::pg_catalog.numeric / {width}) * {width}");
    format!(
        "CASE WHEN {text} ~ '^ *[+-]?[0-9]{{1,18}} *$' THEN pg_catalog.concat({lower}, ' to ', {lower} + {}) ELSE '*' END",
        width - 1
    )
}

/// The greatest step that is not above the value; below the first there is none.
pub(super) fn steps(value: &str, steps: &[i64]) -> String {
    let mut sql = "CASE".to_owned();
    for step in steps.iter().rev() {
        let _ = write!(sql, " WHEN {value} >= ({step}) THEN ({step})::pg_catalog.numeric");
    }
    sql + " ELSE NULL END"
}

/// /24 of version 4, /48 of version 6.
pub(super) fn network(value: &str) -> String {
    let address = format!("{value}::pg_catalog.inet");
    format!(
        "pg_catalog.network(pg_catalog.set_masklen({address}, CASE WHEN pg_catalog.family({address}) = 4 THEN 24 ELSE 48 END))"
    )
}
