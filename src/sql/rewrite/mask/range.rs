//! What a condition over a masked value says of the raw one, for masks that keep the order of values.
//!
//! Let `m` be the mask. For dates, times and bands it never lies above its value, never falls where its value rises, and masks
//! what is masked to itself. So `m(x) >= k` implies `x >= m(k)`, and `m(x) <= k` implies that `x` lies in the unit of `m(k)` or
//! before it. Both bounds are ends of units: what they find tells nothing that the mask does not show. Outside the years 2 to
//! 9899 nothing is implied, so that no bound overflows and infinity, and what is before our era, stay out of it.

use crate::catalog::{Column, builtin};
use crate::policy::{Mask, Unit};
use crate::sql::resolve::{Range, Side};

/// Conditions over the raw value, as SQL; `constant` is what the masked one is compared with. Empty where the mask does not keep
/// the order, or nothing is known of it.
pub(in crate::sql::rewrite) fn implied(
    mask: &Mask,
    column: &Column,
    value: &str,
    range: &Range,
    constant: &str,
) -> Vec<String> {
    let side = range.side;
    let bounds = match (mask, column.base_oid) {
        (Mask::Calendar(unit), builtin::DATE) => Some(date(constant, *unit, side, range.timed)),
        (Mask::Calendar(unit), builtin::TIMESTAMP) => Some(time(constant, *unit, side)),
        (Mask::Calendar(unit), builtin::TIMESTAMPTZ) => Some(time_with_zone(constant, *unit, side)),
        (Mask::Band(width), builtin::INT2 | builtin::INT4 | builtin::INT8) => {
            let ty = match column.base_oid {
                builtin::INT2 => "int2",
                builtin::INT4 => "int4",
                _ => "int8",
            };
            Some(whole(&format!("({constant})::pg_catalog.{ty}::pg_catalog.numeric"), *width, side))
        }
        (Mask::Band(width), builtin::NUMERIC) => {
            return numbers(&format!("({constant})::pg_catalog.numeric"), *width, side)
                .into_iter()
                .map(|bound| format!("{value} {bound}"))
                .collect();
        }
        _ => None,
    };
    let Some(Bounds { least, greatest }) = bounds else { return Vec::new() };
    let least = least.map(|least| format!("{value} >= {least}"));
    let greatest = greatest.map(|greatest| format!("{value} <= {greatest}"));
    least.into_iter().chain(greatest).collect()
}

/// Of the raw value, both of them included.
struct Bounds {
    least: Option<String>,
    greatest: Option<String>,
}

/// The bounds of a side, of what is told of a constant: that, the next value before it and the next one after it.
fn bounds(side: Side, least: impl Fn(Next) -> String, greatest: impl Fn(Next) -> String) -> Bounds {
    let (least, greatest) = match side {
        Side::Below => (None, Some(greatest(Next::Before))),
        Side::AtMost => (None, Some(greatest(Next::Itself))),
        Side::Equal => (Some(least(Next::Itself)), Some(greatest(Next::Itself))),
        Side::AtLeast => (Some(least(Next::Itself)), None),
        Side::Above => (Some(least(Next::After)), None),
    };
    Bounds { least, greatest }
}

#[derive(Clone, Copy)]
enum Next {
    Before,
    Itself,
    After,
}

impl Next {
    fn of(self, value: &str, step: &str) -> String {
        match self {
            Self::Before => format!("({value} - {step})"),
            Self::Itself => value.to_owned(),
            Self::After => format!("({value} + {step})"),
        }
    }
}

fn length(unit: Unit) -> &'static str {
    match unit {
        Unit::Hour => "1 hour",
        Unit::Day => "1 day",
        Unit::Week => "7 days",
        Unit::Month => "1 month",
        Unit::Quarter => "3 months",
        Unit::Year => "1 year",
        Unit::Decade => "10 years",
    }
}

/// `bound` where the constant lies in the years that are looked at, else what excludes nothing.
fn within(constant: &str, ty: &str, zone: &str, bound: &str, otherwise: &str) -> String {
    format!(
        "CASE WHEN {constant} >= '0002-01-01{zone}'::pg_catalog.{ty} AND {constant} < '9900-01-01{zone}'::pg_catalog.{ty} \
         THEN {bound} ELSE '{otherwise}'::pg_catalog.{ty} END"
    )
}

/// `timed`: the constant may stand within a day. The day of what is just before it is the last one below it then.
fn date(constant: &str, unit: Unit, side: Side, timed: bool) -> Bounds {
    let given = constant;
    let constant = format!("({given})::pg_catalog.date");
    let cut = |next: Next| {
        let day = match next {
            Next::Before if timed => format!("(({given})::pg_catalog.timestamp - {MICROSECOND})::pg_catalog.date"),
            next => next.of(&constant, "1"),
        };
        format!("pg_catalog.date_trunc('{}', {day}::pg_catalog.timestamp)", unit.name())
    };
    let least = |next: Next| within(&constant, "date", "", &format!("{}::pg_catalog.date", cut(next)), "-infinity");
    let greatest = |next: Next| {
        let end = format!("({} + '{}'::pg_catalog.interval)::pg_catalog.date - 1", cut(next), length(unit));
        within(&constant, "date", "", &end, "infinity")
    };
    bounds(side, least, greatest)
}

const MICROSECOND: &str = "'1 microsecond'::pg_catalog.interval";

fn time(constant: &str, unit: Unit, side: Side) -> Bounds {
    let constant = format!("({constant})::pg_catalog.timestamp");
    let cut = |next: Next| format!("pg_catalog.date_trunc('{}', {})", unit.name(), next.of(&constant, MICROSECOND));
    let least = |next: Next| within(&constant, "timestamp", "", &cut(next), "-infinity");
    let greatest = |next: Next| {
        let end = format!("{} + '{}'::pg_catalog.interval - {MICROSECOND}", cut(next), length(unit));
        within(&constant, "timestamp", "", &end, "infinity")
    };
    bounds(side, least, greatest)
}

/// In UTC, as the mask cuts.
fn time_with_zone(constant: &str, unit: Unit, side: Side) -> Bounds {
    let constant = format!("({constant})::pg_catalog.timestamptz");
    let utc = |time: &str| format!("pg_catalog.timezone('0'::pg_catalog.interval, {time})");
    let cut =
        |next: Next| format!("pg_catalog.date_trunc('{}', {})", unit.name(), utc(&next.of(&constant, MICROSECOND)));
    let least = |next: Next| within(&constant, "timestamptz", "+00", &utc(&cut(next)), "-infinity");
    let greatest = |next: Next| {
        let end = format!("{} + '{}'::pg_catalog.interval - {MICROSECOND}", cut(next), length(unit));
        within(&constant, "timestamptz", "+00", &utc(&end), "infinity")
    };
    bounds(side, least, greatest)
}

/// Whole numbers: the ends of bands, held to what eight bytes hold.
fn whole(constant: &str, width: u64, side: Side) -> Bounds {
    let band = |next: Next| format!("pg_catalog.floor({} / {width}) * {width}", next.of(constant, "1"));
    let least =
        |next: Next| format!("GREATEST({}, -9223372036854775808::pg_catalog.numeric)::pg_catalog.int8", band(next));
    let greatest = |next: Next| {
        let end = format!("{} + {}", band(next), width.saturating_sub(1));
        format!(
            "GREATEST(LEAST({end}, 9223372036854775807::pg_catalog.numeric), -9223372036854775808::pg_catalog.numeric)\
             ::pg_catalog.int8"
        )
    };
    bounds(side, least, greatest)
}

/// Decimals, which have no next one: an operator and a bound.
fn numbers(constant: &str, width: u64, side: Side) -> Vec<String> {
    let least = format!(">= pg_catalog.floor({constant} / {width}) * {width}");
    let through = format!("< pg_catalog.floor({constant} / {width}) * {width} + {width}");
    match side {
        Side::Below => vec![format!("< pg_catalog.ceil({constant} / {width}) * {width}")],
        Side::AtMost => vec![through],
        Side::Equal => vec![least, through],
        Side::AtLeast | Side::Above => vec![least],
    }
}
