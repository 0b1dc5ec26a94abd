//! Constants of days, times and periods that are read alike under every `DateStyle`, `IntervalStyle` and `TimeZone`.

use sqlparser::ast::{Expr, Value};

use super::written::form_of;

/// The text of a constant in quotes.
fn text(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Nested(inner) => text(inner),
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) => Some(text),
            _ => None,
        },
        _ => None,
    }
}

/// Whether it is `''`.
pub(super) fn is_empty(expr: &Expr) -> bool {
    text(expr) == Some("")
}

/// `2026-12-31`, at the front; gives what follows.
fn iso_day(text: &str) -> Option<&str> {
    let bytes = text.as_bytes();
    let digits = |from: usize, to: usize| bytes.get(from..to).is_some_and(|part| part.iter().all(u8::is_ascii_digit));
    let dashes = bytes.get(4) == Some(&b'-') && bytes.get(7) == Some(&b'-');
    (digits(0, 4) && digits(5, 7) && digits(8, 10) && dashes).then(|| text.get(10..)).flatten()
}

/// ` 10:00`, `T10:00:30.5`, at the front; gives what follows.
fn iso_time(text: &str) -> Option<&str> {
    let rest = text.strip_prefix([' ', 'T'])?;
    let end = rest.find(|c: char| !(c.is_ascii_digit() || c == ':' || c == '.')).unwrap_or(rest.len());
    let (time, after) = rest.split_at(end);
    let mut parts = time.split(':');
    let two = |part: Option<&str>| part.is_some_and(|part| part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit()));
    let hours = two(parts.next()) && two(parts.next());
    let seconds = parts.next().is_none_or(|part| {
        let (whole, fraction) = part.split_once('.').unwrap_or((part, "0"));
        two(Some(whole)) && !fraction.is_empty() && fraction.bytes().all(|b| b.is_ascii_digit())
    });
    (hours && seconds && parts.next().is_none()).then_some(after)
}

fn endless(text: &str) -> bool {
    matches!(text, "infinity" | "-infinity")
}

/// A day.
///
/// # Errors
/// It is in another form than ISO 8601's, which settings read differently, or `today`.
pub(super) fn day(expr: &Expr) -> Result<(), String> {
    match text(expr) {
        Some(text) if endless(text) || iso_day(text) == Some("") => Ok(()),
        _ => Err(format!("has the day {}: only the form `2026-12-31` is read alike by every session", form_of(expr))),
    }
}

/// A time without its zone.
///
/// # Errors
/// As [`day`]; and where it says a zone, which would be passed over.
pub(super) fn time(expr: &Expr) -> Result<(), String> {
    let told = text(expr);
    let plain = told.and_then(iso_day).is_some_and(|rest| rest.is_empty() || iso_time(rest) == Some(""));
    if plain || told.is_some_and(endless) {
        return Ok(());
    }
    Err(format!(
        "has the time {}: only the form `2026-12-31 23:59:59`, South Africa's time, is read alike by every session",
        form_of(expr)
    ))
}

/// A moment that says its own zone, as a value of type `timestamptz`.
pub(super) fn moment(expr: &Expr) -> Option<Expr> {
    let after = iso_time(iso_day(text(expr)?)?)?;
    let offset = after.strip_prefix(['+', '-']).is_some_and(|digits| {
        let plain = digits.replace(':', "");
        matches!(plain.len(), 2 | 4) && plain.bytes().all(|byte| byte.is_ascii_digit())
    });
    if !offset && after != "Z" {
        return None;
    }
    let mut cast = crate::sql::ast::fragment::parse_expression("NULL::pg_catalog.timestamptz").ok()?;
    if let Expr::Cast { expr: inner, .. } = &mut cast {
        **inner = expr.clone();
    }
    Some(cast)
}

/// A period: `2 years`, `P1Y`, `02:00`.
///
/// # Errors
/// It has a sign, which `IntervalStyle` gives a meaning to.
pub(super) fn period(expr: &Expr) -> Result<(), String> {
    let plain = |text: &str| {
        text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, ' ' | ':' | '.'))
            && text.starts_with(|c: char| c.is_ascii_digit() || c == 'P')
    };
    if text(expr).is_some_and(plain) {
        return Ok(());
    }
    Err(format!(
        "has the period {}: write it as `2 years`, and take it away where it is to be taken away",
        form_of(expr)
    ))
}

/// A time zone: by the name of a place, whose meaning no setting changes. `UTC` is written as one.
///
/// # Errors
/// It is an abbreviation, which `timezone_abbreviations` gives a meaning to.
pub(super) fn zone(expr: &mut Expr) -> Result<(), String> {
    let place = match text(expr) {
        Some("UTC" | "utc") => Some("Etc/UTC".to_owned()),
        Some(text) if text.contains('/') && text.chars().all(|c| c.is_ascii_alphanumeric() || "/_+-".contains(c)) => {
            Some(text.to_owned())
        }
        _ => None,
    };
    match place {
        Some(place) => {
            *expr = Expr::Value(Value::SingleQuotedString(place).into());
            Ok(())
        }
        None => Err(format!("has the time zone {}: name a place, such as `Africa/Johannesburg`", form_of(expr))),
    }
}
