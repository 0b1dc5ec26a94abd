//! Masks over dates and times.

use crate::catalog::{Column, TypeClass};
use crate::policy::Unit;

/// The beginning of the unit. Times with a zone are cut in UTC: cut in the session's zone, one that is moved hour by hour
/// would tell when the cut is passed. Infinity is shown as it is, and nothing of what lies where the beginning of its unit might be
/// no timestamp: the first few years that there are, and of dates, which reach further, all from the year 294276.
///
/// Short: a statement that is new is read by the database word for word.
pub(super) fn calendar(column: &Column, value: &str, unit: Unit) -> Option<String> {
    let cut = |time: &str| format!("pg_catalog.date_trunc('{}', {time})", unit.name());
    let utc = |time: &str| format!("pg_catalog.timezone('0'::pg_catalog.interval, {time})");
    // Infinity, cut, is infinity; as a date it would be no timestamp that can be cut.
    let (within, shown) = match (column.class, unit) {
        (TypeClass::Date, Unit::Hour | Unit::Day) => return None,
        (TypeClass::Date, Unit::Week | Unit::Month | Unit::Quarter | Unit::Year | Unit::Decade) => (
            format!("{value} >= '4700-01-01 BC'::pg_catalog.date AND {value} <= '294275-12-31'::pg_catalog.date"),
            format!("{}::pg_catalog.date", cut(&format!("{value}::pg_catalog.timestamp"))),
        ),
        (TypeClass::Timestamp, _) => (format!("{value} >= '4700-01-01 BC'::pg_catalog.timestamp"), cut(value)),
        (TypeClass::TimestampTz, _) => {
            (format!("{value} >= '4700-01-01 00:00:00+00 BC'::pg_catalog.timestamptz"), utc(&cut(&utc(value))))
        }
        _ => return None,
    };
    Some(format!("CASE WHEN {within} THEN {shown} WHEN pg_catalog.isfinite({value}) THEN NULL ELSE {value} END"))
}
