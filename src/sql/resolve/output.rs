//! What output columns are called.

use sqlparser::ast::{Expr, SelectItem, SetExpr};

use super::names::name_of;

/// Names of the select list's columns, as far as they have one; a star has none here.
pub(super) fn output_names(items: &[SelectItem]) -> Vec<String> {
    items
        .iter()
        .filter_map(|item| match item {
            SelectItem::UnnamedExpr(expr) => Some(output_name(expr)),
            SelectItem::ExprWithAlias { alias, .. } => Some(name_of(alias)),
            SelectItem::ExprWithAliases { .. } | SelectItem::QualifiedWildcard(..) | SelectItem::Wildcard(_) => None,
        })
        .collect()
}

/// The name PostgreSQL gives an output column without alias (`FigureColname`).
pub(in crate::sql) fn output_name(expr: &Expr) -> String {
    figure(expr).unwrap_or_else(|| "?column?".to_owned())
}

fn figure(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Identifier(ident) => Some(name_of(ident)),
        Expr::CompoundIdentifier(parts) => parts.last().map(name_of),
        Expr::CompoundFieldAccess { root, access_chain } => access_chain
            .iter()
            .rev()
            .find_map(|access| match access {
                sqlparser::ast::AccessExpr::Dot(Expr::Identifier(ident)) => Some(name_of(ident)),
                sqlparser::ast::AccessExpr::Dot(_) | sqlparser::ast::AccessExpr::Subscript(_) => None,
            })
            .or_else(|| figure(root)),
        Expr::Function(function) => function.name.0.last().and_then(|part| part.as_ident()).map(name_of),
        Expr::Nested(inner) | Expr::Collate { expr: inner, .. } => figure(inner),
        Expr::Cast { expr: inner, data_type, .. } => figure(inner).or_else(|| Some(type_name(&data_type.to_string()))),
        Expr::TypedString(typed) => Some(type_name(&typed.data_type.to_string())),
        Expr::Case { else_result, .. } => else_result.as_deref().and_then(figure).or_else(|| Some("case".to_owned())),
        Expr::Subquery(query) => match query.body.as_ref() {
            SetExpr::Select(select) => match select.projection.as_slice() {
                [SelectItem::UnnamedExpr(expr)] => figure(expr),
                [SelectItem::ExprWithAlias { alias, .. }] => Some(name_of(alias)),
                _ => None,
            },
            _ => None,
        },
        Expr::Exists { .. } => Some("exists".to_owned()),
        Expr::Array(_) => Some("array".to_owned()),
        Expr::Extract { .. } => Some("extract".to_owned()),
        Expr::Ceil { .. } => Some("ceil".to_owned()),
        Expr::Floor { .. } => Some("floor".to_owned()),
        Expr::Position { .. } => Some("position".to_owned()),
        Expr::Substring { .. } => Some("substring".to_owned()),
        Expr::Trim { trim_where, .. } => Some(
            match trim_where {
                Some(sqlparser::ast::TrimWhereField::Leading) => "ltrim",
                Some(sqlparser::ast::TrimWhereField::Trailing) => "rtrim",
                Some(sqlparser::ast::TrimWhereField::Both) | None => "btrim",
            }
            .to_owned(),
        ),
        Expr::Overlay { .. } => Some("overlay".to_owned()),
        Expr::AtTimeZone { .. } => Some("timezone".to_owned()),
        Expr::Tuple(_) => Some("row".to_owned()),
        Expr::Interval(_) => Some("interval".to_owned()),
        Expr::Value(value) => match value.value {
            sqlparser::ast::Value::Boolean(_) => Some("bool".to_owned()),
            _ => None,
        },
        _ => None,
    }
}

/// The last word of a type's name, as PostgreSQL's catalog has it.
pub(super) fn type_name(written: &str) -> String {
    let plain = written.split(['(', '[']).next().unwrap_or(written).trim().to_ascii_lowercase();
    let name = plain.rsplit('.').next().unwrap_or(&plain);
    match name {
        "int" | "integer" => "int4",
        "bigint" => "int8",
        "smallint" => "int2",
        "boolean" => "bool",
        "real" => "float4",
        "double precision" | "float" => "float8",
        "decimal" => "numeric",
        "character varying" => "varchar",
        "character" | "char" => "bpchar",
        "timestamp with time zone" => "timestamptz",
        "timestamp without time zone" => "timestamp",
        other => other,
    }
    .to_owned()
}
