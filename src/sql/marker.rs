//! Names that stand in the AST for what sqlparser has no node for. No client can write them: they hold a NUL, or a space
//! without quotes.

use sqlparser::ast::{Ident, ObjectName, ObjectNamePart};

use super::keywords::{Category, category};

/// First part of a table's name: `ONLY t`.
pub(super) const ONLY: &str = "\0only";
/// Part of the name of a column that is set: `a[1]`; a function whose arguments are the bounds.
pub(super) const SUBSCRIPT: &str = "\0subscript";
/// The same with a colon: `a[1:2]`.
pub(super) const SLICE: &str = "\0slice";
/// A bound that is left out.
pub(super) const NO_BOUND: &str = "\0bound";
/// In the `partitioned` of an INSERT.
pub(super) const OVERRIDING_USER: &str = "\0overriding_user";
/// In the `partitioned` of an INSERT.
pub(super) const OVERRIDING_SYSTEM: &str = "\0overriding_system";
/// Prefix of the cursor's name: `CURRENT OF c` is `Expr::Prefixed`, and its value no column.
pub(super) const CURRENT_OF: &str = "CURRENT OF";
/// Prefix of an argument: `VARIADIC a` is `Expr::Prefixed`.
pub(super) const VARIADIC: &str = "VARIADIC";

/// Whether the name is that of a table with ONLY before it; the parts that name the table follow.
pub fn is_only(name: &ObjectName) -> bool {
    matches!(name.0.first(), Some(ObjectNamePart::Identifier(ident)) if ident.value == ONLY)
}

/// Puts ONLY before a table's name, or takes it away.
pub fn set_only(name: &mut ObjectName, only: bool) {
    match (is_only(name), only) {
        (true, false) => {
            name.0.remove(0);
        }
        (false, true) => name.0.insert(0, ObjectNamePart::Identifier(Ident::new(ONLY))),
        (true, true) | (false, false) => {}
    }
}

/// Whether `Expr::Prefixed` with this prefix is `CURRENT OF cursor`: then its value is no column.
pub fn is_current_of(prefix: &Ident) -> bool {
    prefix.quote_style.is_none() && prefix.value == CURRENT_OF
}

/// Whether `Expr::Prefixed` with this prefix is `VARIADIC argument`.
pub fn is_variadic(prefix: &Ident) -> bool {
    prefix.quote_style.is_none() && prefix.value == VARIADIC
}

/// Whether a part of the name of a column that is set is a subscript: `SET a[1] = ..`, `INSERT INTO t (a[1:2])`. Its
/// arguments are expressions.
pub fn is_subscript(part: &Ident) -> bool {
    part.value == SUBSCRIPT || part.value == SLICE
}

/// Whether an identifier in an expression is a reserved word without quotes (DEFAULT, CURRENT_DATE, USER ..), and so no
/// column.
pub fn is_reserved(ident: &Ident) -> bool {
    ident.quote_style.is_none()
        && (ident.value == NO_BOUND || category(&ident.value.to_ascii_lowercase()) == Some(Category::Reserved))
}
