//! Parts of a condition as they are written: casts, South Africa's clock, and names.

use sqlparser::ast::{Expr, ObjectName};

use crate::sql::ast::fragment;
use crate::sql::ast::render::render_expr;
use crate::sql::resolve::name_of;

/// South Africa's clock.
pub(super) const NOW: &str = "pg_catalog.timezone('02:00'::pg_catalog.interval, pg_catalog.statement_timestamp())";

/// The unqualified name of a function of the system's.
pub(super) fn called(name: &ObjectName) -> Option<String> {
    match name.0.as_slice() {
        [part] => Some(name_of(part.as_ident()?)),
        [schema, part] if name_of(schema.as_ident()?) == "pg_catalog" => Some(name_of(part.as_ident()?)),
        _ => None,
    }
}

pub(super) fn cast_to(expr: Expr, name: &str) -> Result<Expr, String> {
    let mut cast = fragment::parse_expression(&format!("NULL::pg_catalog.{name}")).map_err(|_| of_form(&expr))?;
    if let Expr::Cast { expr: inner, .. } = &mut cast {
        **inner = Expr::Nested(Box::new(expr));
    }
    Ok(cast)
}

pub(super) fn in_south_africa(moment: &Expr) -> Result<Expr, String> {
    let text = format!("pg_catalog.timezone('02:00'::pg_catalog.interval, {})", render_expr(moment));
    fragment::parse_expression(&text).map_err(|_| of_form(moment))
}

pub(super) fn today() -> Result<Expr, String> {
    fragment::parse_expression(&format!("({NOW})::pg_catalog.date")).map_err(|_| "is not understood".to_owned())
}

pub(super) fn of_form(expr: &Expr) -> String {
    format!("holds {}, which is not known to mean the same under all settings", form_of(expr))
}

/// The policy's own words, shortened.
pub(super) fn form_of(expr: &Expr) -> String {
    const TOLD: usize = 60;
    let text = render_expr(expr);
    let told: String = text.chars().take(TOLD).collect();
    if told.len() < text.len() { format!("`{told}…`") } else { format!("`{told}`") }
}
