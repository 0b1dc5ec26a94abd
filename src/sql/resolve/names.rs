//! Names as PostgreSQL's lexer leaves them.

use sqlparser::ast::{Ident, ObjectName, ObjectNamePart};

use super::Fail;
use crate::error::{Refusal, Stage};

/// Longest name in bytes (`NAMEDATALEN - 1`).
const LONGEST: usize = 63;

/// System columns of every table.
pub(super) const SYSTEM_COLUMNS: &[&str] = &["ctid", "xmin", "xmax", "cmin", "cmax", "tableoid"];

/// The attribute number of a system column (`access/sysattr.h`).
pub(in crate::sql) fn system_column_number(name: &str) -> Option<i16> {
    match name {
        "ctid" => Some(-1),
        "xmin" => Some(-2),
        "cmin" => Some(-3),
        "xmax" => Some(-4),
        "cmax" => Some(-5),
        "tableoid" => Some(-6),
        _ => None,
    }
}

/// Whether a name is a system column's.
pub(in crate::sql) fn is_system_column(name: &str) -> bool {
    system_column_number(name).is_some()
}

/// The name that an identifier stands for: folded unless quoted, cut at 63 bytes on a character boundary.
pub(in crate::sql) fn name_of(ident: &Ident) -> String {
    let mut name = if ident.quote_style.is_some() { ident.value.clone() } else { ident.value.to_ascii_lowercase() };
    if name.len() > LONGEST {
        let cut = (0..=LONGEST).rev().find(|&at| name.is_char_boundary(at)).unwrap_or(0);
        name.truncate(cut);
    }
    name
}

/// The parts of a dotted name.
pub(in crate::sql) fn parts_of(name: &ObjectName) -> Result<Vec<String>, Fail> {
    name.0
        .iter()
        .map(|part| match part {
            ObjectNamePart::Identifier(ident) => Ok(name_of(ident)),
            ObjectNamePart::Function(_) => {
                Err(Refusal::unsupported(Stage::Resolve, "a name that is made by a function is not supported"))
            }
        })
        .collect()
}

/// An identifier in double quotes: it means the same wherever it stands.
pub(in crate::sql) fn quoted(name: &str) -> Ident {
    Ident::with_quote('"', name)
}

/// A dotted name of quoted identifiers.
pub(in crate::sql) fn quoted_name<'a>(parts: impl IntoIterator<Item = &'a str>) -> ObjectName {
    ObjectName::from(parts.into_iter().map(quoted).collect::<Vec<_>>())
}
