//! Masks over dates and times.

use crate::catalog::{Column, TypeClass};
use crate::policy::Unit;

/// The beginning of the unit. Times with a zone are cut in UTC: cut in the session's zone, one that is moved hour by hour
/// would tell when the cut is passed.
pub(super) fn calendar(column: &Column, value: &str, unit: Unit) -> Option<String> {
    let expression = match column.class {
        TypeClass::Date => date(value, unit)?,
        TypeClass::Timestamp => time(value, unit),
        TypeClass::TimestampTz => {
            let utc = |time: &str| format!("pg_catalog.timezone('0'::pg_catalog.interval, {time})");
            utc(&time(&utc(value), unit))
        }
        _ => return None,
    };
    Some(format!("CASE WHEN pg_catalog.isfinite({value}) THEN {expression} ELSE {value} END"))
}

/// By days back, since dates reach further than timestamps do. What is before our era is cut to its year, and nothing is
/// shown of the first few of it, whose beginnings no type holds.
fn date(value: &str, unit: Unit) -> Option<String> {
    let part = |part: &str| format!("EXTRACT({part} FROM {value})::pg_catalog.int4");
    let back = |days: &str| format!("{value} - ({} - 1)", part(days));
    let year = part("year");
    let ours = match unit {
        Unit::Hour | Unit::Day => return None,
        Unit::Week => back("isodow"),
        Unit::Month => back("day"),
        Unit::Quarter => format!("pg_catalog.make_date({year}, {} * 3 - 2, 1)", part("quarter")),
        Unit::Year => back("doy"),
        Unit::Decade => format!("pg_catalog.make_date(GREATEST(1, {year} - {year} % 10), 1, 1)"),
    };
    Some(eras(value, &ours, &back("doy"), "date"))
}

fn time(value: &str, unit: Unit) -> String {
    let cut = |unit: &str| format!("pg_catalog.date_trunc('{unit}', {value})");
    eras(value, &cut(unit.name()), &cut("year"), "timestamp")
}

fn eras(value: &str, ours: &str, before: &str, ty: &str) -> String {
    format!(
        "CASE WHEN {value} >= '0001-01-01'::pg_catalog.{ty} THEN {ours} WHEN {value} >= '4700-01-01 BC'::pg_catalog.{ty} \
         THEN {before} ELSE NULL END"
    )
}
