//! Masks as SQL that the database evaluates.
//!
//! Each is a total function: it fails on no value, so that a predicate over a mask tells nothing by an error. Each gives
//! the column's own type back, a domain's base type for a domain (a row description names that one), and NULL for NULL.
//! None depends on a setting of the session (time zone, date style): a client that turned it would see more each time.
//! Functions are written with their schema.

mod keyed;
mod names;
mod number;
pub(super) mod range;
mod text;
mod time;

use crate::catalog::{Column, TypeClass, builtin, quote_literal};
use crate::policy::Mask;
use crate::sql::resolve::base_type;

/// The column that is masked, and all that a mask is computed from.
pub(super) struct Masked<'a> {
    /// The column.
    pub(super) column: &'a Column,
    /// A reference to it, as SQL.
    pub(super) value: &'a str,
    /// `public.customers.email`.
    pub(super) name: &'a str,
    /// The column whose values these are, by which pseudonyms can be joined: itself, or what its foreign key refers to.
    pub(super) domain: &'a str,
    /// The purpose in force: pseudonyms have a key for each.
    pub(super) purpose: &'a str,
    /// The data subject of the row as SQL of type text; `None` where the policy does not say whose a row is.
    pub(super) subject: Option<&'a str>,
}

/// The expression that shows a column through the mask.
///
/// `None` where the mask does not fit the column's type: the caller refuses.
pub(super) fn sql(mask: &Mask, masked: &Masked<'_>) -> Option<String> {
    let Masked { column, value, .. } = masked;
    if !mask.fits(column.class) {
        return None;
    }
    let ty = &base_type(column);
    // What is text already needs no cast, and each word of a mask is read by the database with each new statement.
    let text = match column.type_oid {
        builtin::TEXT => (*value).to_owned(),
        _ => format!("{value}::pg_catalog.text"),
    };
    let expression = match mask {
        Mask::Null => return Some(format!("NULL::{ty}")),
        Mask::Fixed(fixed) => quote_literal(fixed),
        Mask::First(n) => text::first(&text, *n),
        Mask::Last(n) => text::last(&text, *n),
        Mask::Partial { prefix, text: between, suffix } => text::partial(&text, *prefix, between, *suffix),
        Mask::Email => text::email(&text),
        Mask::SaId { year, sex } => text::sa_id(&text, *year, *sex),
        Mask::Phone(part) => text::phone(&text, *part),
        Mask::Account => text::account(&text),
        Mask::Card => text::card(&text),
        Mask::Address(part) => text::address(&text, *part),
        Mask::PostalArea => text::postal_area(&text),
        Mask::TaxNumber => text::tax_number(&text),
        Mask::CompanyNumber => text::company_number(&text),
        Mask::Host => text::host(&text),
        Mask::Network if column.class == TypeClass::Inet => number::network(value),
        Mask::Network => text::network(&text),
        Mask::Keys(keys) => text::keys(value, keys),
        Mask::Calendar(unit) => time::calendar(column, value, *unit)?,
        Mask::Band(width) => number::band(column, value, *width)?,
        Mask::Range(width) => number::range(value, *width),
        Mask::Steps(steps) => number::steps(value, steps),
        Mask::Noise(noise) => keyed::noise(masked, *noise)?,
        Mask::Shift(days) => keyed::shift(masked, *days)?,
        Mask::Token => keyed::token(masked)?,
        Mask::Name(part) => keyed::name(masked, *part),
    };
    if gives_null_for_null(mask) {
        return Some(format!("({expression})::{ty}"));
    }
    // `varchar(20)`: a CASE has the modifier that all of its parts have, so NULL has to say it too.
    let null = if ty.contains('(') { format!("NULL::{ty}") } else { "NULL".to_owned() };
    Some(format!("CASE WHEN {value} IS NULL THEN {null} ELSE ({expression})::{ty} END"))
}

/// Whether its expression is NULL for NULL by itself: each of its parts is, or a comparison with NULL leads to the column itself.
fn gives_null_for_null(mask: &Mask) -> bool {
    match mask {
        Mask::First(_) | Mask::Last(_) | Mask::Calendar(_) | Mask::Band(_) | Mask::Steps(_) | Mask::Token => true,
        Mask::Null
        | Mask::Fixed(_)
        | Mask::Partial { .. }
        | Mask::Email
        | Mask::SaId { .. }
        | Mask::Phone(_)
        | Mask::Account
        | Mask::Card
        | Mask::Address(_)
        | Mask::PostalArea
        | Mask::TaxNumber
        | Mask::CompanyNumber
        | Mask::Host
        | Mask::Network
        | Mask::Keys(_)
        | Mask::Range(_)
        | Mask::Noise(_)
        | Mask::Shift(_)
        | Mask::Name(_) => false,
    }
}
