//! Masks with the purpose's key: pseudonyms, and values moved by what a pseudonym says.

use super::{Masked, names};
use crate::catalog::{TypeClass, builtin, quote_literal};
use crate::policy::{NamePart, Noise};
use crate::sql::rewrite::token_key::setting_names;

/// HMAC-SHA-256 of some bytes with the purpose's key, in hexadecimal digits. The session holds the key as two settings
/// (the key against the inner and the outer pad of RFC 2104), so that it stands in no SQL text.
fn hmac(purpose: &str, message: &str) -> String {
    let (inner, outer) = setting_names(purpose);
    let key = |name: &str| format!("pg_catalog.decode(pg_catalog.current_setting('{name}'), 'hex')");
    let first = format!("pg_catalog.sha256({} || {message})", key(&inner));
    format!("pg_catalog.encode(pg_catalog.sha256({} || {first}), 'hex')", key(&outer))
}

fn bytes(text: &str) -> String {
    format!("pg_catalog.convert_to({text}, 'UTF8')")
}

/// So many bits of the digits as a whole number.
fn bits(hex: &str, from: u32, bits: u32) -> String {
    let digits = bits.div_ceil(4);
    let part = match from {
        1 => format!("pg_catalog.left({hex}, {digits})"),
        _ => format!("pg_catalog.substr({hex}, {from}, {digits})"),
    };
    format!("('x' || {part})::pg_catalog.bit({bits})::pg_catalog.int8")
}

pub(super) fn token(masked: &Masked<'_>) -> Option<String> {
    // Equal values of two columns that have nothing to do with each other have different pseudonyms.
    let domain = quote_literal(&format!("token|{}|", masked.domain));
    let hex = hmac(masked.purpose, &bytes(&format!("{domain} || {}::pg_catalog.text", masked.value)));
    match masked.column.class {
        TypeClass::Text => Some(format!("'tok_' || pg_catalog.left({hex}, 20)")),
        TypeClass::Uuid => Some(format!("pg_catalog.left({hex}, 32)")),
        TypeClass::Integer => Some(match masked.column.base_oid {
            builtin::INT2 => bits(&hex, 1, 15),
            builtin::INT4 => bits(&hex, 1, 31),
            _ => bits(&hex, 1, 63),
        }),
        _ => None,
    }
}

pub(super) fn name(masked: &Masked<'_>, part: NamePart) -> String {
    let hex = hmac(masked.purpose, &bytes(&format!("pg_catalog.concat('name|', {}::pg_catalog.text)", masked.value)));
    let one_of = |names: &[&str], from: u32| {
        let place = format!("(({}) % {})::pg_catalog.int4 + 1", bits(&hex, from, 32), names.len());
        format!("pg_catalog.split_part({}, ',', {place})", quote_literal(&names.join(",")))
    };
    match part {
        NamePart::Given => one_of(names::GIVEN, 1),
        NamePart::Family => one_of(names::FAMILY, 9),
        NamePart::Full => {
            format!("pg_catalog.concat({}, ' ', {})", one_of(names::GIVEN, 1), one_of(names::FAMILY, 9))
        }
    }
}

/// What noise is drawn from: column, data subject and value. So the same question always has the same answer, and asking
/// it again averages nothing out. The value is taken in a form that no setting of the session changes.
fn drawn(masked: &Masked<'_>) -> Option<String> {
    let value = masked.value;
    let sent = |function: &str, value: &str| format!("pg_catalog.encode(pg_catalog.{function}({value}), 'hex')");
    let stable = match masked.column.class {
        TypeClass::Integer | TypeClass::Numeric => format!("{value}::pg_catalog.text"),
        TypeClass::Float => sent("float8send", &format!("{value}::pg_catalog.float8")),
        TypeClass::Date => sent("date_send", value),
        TypeClass::Timestamp => sent("timestamp_send", value),
        TypeClass::TimestampTz => sent("timestamptz_send", value),
        _ => return None,
    };
    let place = quote_literal(&format!("noise|{}|", masked.name));
    let subject = masked.subject.unwrap_or("''");
    Some(hmac(masked.purpose, &bytes(&format!("pg_catalog.concat({place}, {subject}, '|', {stable})"))))
}

pub(super) fn noise(masked: &Masked<'_>, noise: Noise) -> Option<String> {
    let (value, hex) = (masked.value, drawn(masked)?);
    // Whole numbers from -n to n.
    let around = |n: u64| format!("(({}) % {} - {n})", bits(&hex, 1, 60), 2 * n + 1);
    Some(match noise {
        Noise::Percent(percent) => {
            let share = format!("({}::pg_catalog.numeric / 4503599627370496)", bits(&hex, 1, 52));
            percent_of(masked, &format!("({share} * 2 - 1)"), percent)?
        }
        Noise::Days(days) => moved(masked, &around(days.into()))?,
        Noise::Hours(hours) => {
            let seconds = around(u64::from(hours) * 3600);
            within_our_era(value, &format!("{value} + '1 second'::pg_catalog.interval * {seconds}"))
        }
    })
}

/// The least part of its last digit by which a number is moved, so that rounding does not bring it back; of 1 where it is whole.
const LEAST: &str = "0.6";
/// So much of it is drawn from at least, so that a small number may become several others.
const SPREAD: &str = "2.5";

/// `drawn` is between -1 and 1. No whole number is shown as it is, nor as one that is rounded to it, however small: it is moved by at least
/// 0.6, and a number with digits after the point by as much of its last one. What is not negative stays so.
fn percent_of(masked: &Masked<'_>, drawn: &str, percent: u32) -> Option<String> {
    let value = masked.value;
    let bounds = super::number::bounds(masked.column);
    let wide = format!("{value}::pg_catalog.numeric");
    // By how much, where the last digit that counts is worth `unit`.
    let by = |unit: &str| {
        let most = format!("GREATEST(pg_catalog.abs({wide}) * {percent} / 100, {SPREAD} * {unit})");
        format!("({LEAST} * {unit} + pg_catalog.abs({drawn}) * ({most} - {LEAST} * {unit}))")
    };
    // Where a value is at an end, it goes the other way: cut off at the end it would be shown as it is.
    let moved = |by: &str| {
        let ends = bounds.as_ref().map(|(least, most)| [least, most].map(|end| format!("{end}::pg_catalog.numeric")));
        let (up, down, least) = match &ends {
            Some([least, most]) => {
                (format!("({wide} = 0 OR {wide} = {least})"), format!("{wide} = {most} OR "), least.clone())
            }
            None => (format!("{wide} = 0"), String::new(), format!("2 * {wide} - 2")),
        };
        let way = format!("CASE WHEN {up} THEN 1 WHEN {down}{drawn} < 0 THEN -1 ELSE 1 END");
        let moved = format!("GREATEST({wide} + {way} * {by}, CASE WHEN {wide} > 0 THEN 0 ELSE {least} END)");
        match &ends {
            Some([_, most]) => format!("LEAST({moved}, {most})"),
            None => moved,
        }
    };
    match masked.column.class {
        TypeClass::Integer => Some(moved(&format!("pg_catalog.round({})", by("1")))),
        // As many digits after the point as the value has.
        TypeClass::Numeric => {
            let scale = format!("pg_catalog.scale({value})");
            let last = format!("pg_catalog.power(10::pg_catalog.numeric, (0 - {scale})::pg_catalog.numeric)");
            let unit = format!("CASE WHEN {wide} = pg_catalog.trunc({wide}) THEN 1 ELSE {last} END");
            let moved = moved(&format!("pg_catalog.round({}, {scale})", by(&format!("({unit})"))));
            Some(format!(
                "CASE WHEN {value} = 'NaN'::pg_catalog.numeric THEN {value} ELSE pg_catalog.round({moved}, {scale}) END"
            ))
        }
        TypeClass::Float => Some(percent_of_float(value, drawn, percent, bounds.as_ref()?)),
        _ => None,
    }
}

/// The same for a floating-point number; what is next to nothing counts as 0.
fn percent_of_float(value: &str, drawn: &str, percent: u32, (least, greatest): &(String, String)) -> String {
    let wide = format!("{value}::pg_catalog.float8");
    let part = format!("{drawn}::pg_catalog.float8");
    let within = format!("{wide} >= {least}::pg_catalog.float8 / 2 AND {wide} <= {greatest}::pg_catalog.float8 / 2");
    let whole = format!("{wide} = pg_catalog.trunc({wide})");
    let share = format!("pg_catalog.abs({wide}) * {percent} / 100");
    let by = format!(
        "(CASE WHEN {whole} THEN {LEAST} ELSE 0 END + pg_catalog.abs({part}) * CASE WHEN {whole} THEN GREATEST({share}, {SPREAD}) - {LEAST} ELSE {share} END)"
    );
    let way = format!("CASE WHEN {part} < 0 THEN -1 ELSE 1 END");
    let moved =
        format!("GREATEST({wide} + {way} * {by}, CASE WHEN {wide} > 0 THEN 0 ELSE {least}::pg_catalog.float8 END)");
    let from_nothing = format!("{LEAST} + pg_catalog.abs({part}) * ({SPREAD} - {LEAST})");
    super::number::finite(&wide, &within, &from_nothing, &moved)
}

/// All dates of one subject by the same number of days, none of them 0.
pub(super) fn shift(masked: &Masked<'_>, days: u32) -> Option<String> {
    let subject = masked.subject?;
    let hex = hmac(masked.purpose, &bytes(&format!("pg_catalog.concat('shift|', {subject})")));
    let drawn = format!("(({}) % {})", bits(&hex, 1, 60), u64::from(days) * 2);
    let shifted = moved(masked, &format!("({drawn} - CASE WHEN {drawn} < {days} THEN {days} ELSE {days} - 1 END)"))?;
    // Rows that are nobody's have nothing to be shifted by.
    Some(format!("CASE WHEN {subject} IS NULL THEN NULL ELSE {shifted} END"))
}

fn moved(masked: &Masked<'_>, days: &str) -> Option<String> {
    let value = masked.value;
    let moved = match masked.column.class {
        TypeClass::Date => format!("{value} + {days}::pg_catalog.int4"),
        // Hours, not days: a day is 23 or 25 of them where a session's zone changes its clocks.
        TypeClass::Timestamp | TypeClass::TimestampTz => {
            format!("{value} + '24 hours'::pg_catalog.interval * {days}")
        }
        _ => return None,
    };
    Some(within_our_era(value, &moved))
}

/// A date beyond what a person could mean is shown as NULL, so that none can overflow.
fn within_our_era(value: &str, moved: &str) -> String {
    format!(
        "CASE WHEN {value} >= '0100-01-01'::pg_catalog.date AND {value} < '9900-01-01'::pg_catalog.date THEN {moved} ELSE NULL END"
    )
}
