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

use crate::catalog::{Column, TypeClass, quote_literal};
use crate::policy::Mask;

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
    let ty = &column.base_sql;
    let expression = match mask {
        Mask::Null => return Some(format!("NULL::{ty}")),
        Mask::Fixed(fixed) => quote_literal(fixed),
        Mask::First(n) => text::first(value, *n),
        Mask::Last(n) => text::last(value, *n),
        Mask::Partial { prefix, text, suffix } => text::partial(value, *prefix, text, *suffix),
        Mask::Email => text::email(value),
        Mask::SaId { year, sex } => text::sa_id(value, *year, *sex),
        Mask::Phone(part) => text::phone(value, *part),
        Mask::Account => text::account(value),
        Mask::Card => text::card(value),
        Mask::Address(part) => text::address(value, *part),
        Mask::PostalArea => text::postal_area(value),
        Mask::TaxNumber => text::tax_number(value),
        Mask::CompanyNumber => text::company_number(value),
        Mask::Host => text::host(value),
        Mask::Network if column.class == TypeClass::Inet => number::network(value),
        Mask::Network => text::network(value),
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
    // `varchar(20)`: a CASE has the modifier that all of its parts have, so NULL has to say it too.
    let null = if ty.contains('(') { format!("NULL::{ty}") } else { "NULL".to_owned() };
    Some(format!("CASE WHEN {value} IS NULL THEN {null} ELSE ({expression})::{ty} END"))
}
