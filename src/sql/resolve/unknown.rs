//! A function that is not there, in PostgreSQL's words: with the types of its arguments, as far as they are plain.
//!
//! Source: `func_signature_string` and `format_type_be` of PostgreSQL 15.

use sqlparser::ast::{Expr, FunctionArg, FunctionArgExpr, UnaryOperator};

use super::names::parts_of;
use super::output::type_name;
use super::scope::Meaning;
use super::{Fail, Resolver};
use crate::catalog::Oid;
use crate::error::{Refusal, SqlState, Stage};
use crate::sql::form::{Class, Known};

/// What PostgreSQL 15 to 18 hint at.
const HINT: &str = "No function matches the given name and argument types. You might need to add explicit type casts.";

/// Names of types in the catalog, and as PostgreSQL shows them.
const SHOWN: [(&str, &str); 12] = [
    ("bool", "boolean"),
    ("bpchar", "character"),
    ("float4", "real"),
    ("float8", "double precision"),
    ("int2", "smallint"),
    ("int4", "integer"),
    ("int8", "bigint"),
    ("time", "time without time zone"),
    ("timestamp", "timestamp without time zone"),
    ("timestamptz", "timestamp with time zone"),
    ("timetz", "time with time zone"),
    ("varchar", "character varying"),
];

impl Resolver<'_> {
    /// 42883. `parts`: the function's name as it is written.
    pub(super) fn unknown_function(&self, parts: &[String], args: &[FunctionArg]) -> Fail {
        self.unknown_routine(parts, args, "function")
    }

    /// 42883 of a routine of that kind.
    pub(super) fn unknown_routine(&self, parts: &[String], args: &[FunctionArg], kind: &str) -> Fail {
        let name = parts.join(".");
        let message = format!("{kind} `{name}` does not exist or is not open");
        let refusal = Refusal::new(Stage::Resolve, SqlState::UNDEFINED_FUNCTION, message).named(parts.to_vec());
        let types: Option<Vec<String>> = args.iter().map(|arg| self.shown_argument(arg)).collect();
        match types {
            Some(types) => {
                let hint = HINT.replacen("function", kind, 1);
                refusal.told(format!("{kind} {name}({}) does not exist", types.join(", "))).hint(hint)
            }
            None => refusal,
        }
    }

    fn shown_argument(&self, arg: &FunctionArg) -> Option<String> {
        match arg {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => self.shown_type(expr),
            _ => None,
        }
    }

    /// The type of an expression, as PostgreSQL shows it; `None` where it is not plain.
    fn shown_type(&self, expr: &Expr) -> Option<String> {
        match expr {
            Expr::Nested(inner) => self.shown_type(inner),
            Expr::UnaryOp { op: UnaryOperator::Minus | UnaryOperator::Plus, expr } => self.shown_type(expr),
            Expr::Value(value) => {
                let shown = match self.context.constants.known(&value.value) {
                    Known::Constant(Class::Integer) => "integer",
                    Known::Constant(Class::Large) => "bigint",
                    Known::Constant(Class::Numeric) => "numeric",
                    Known::Constant(Class::Text) | Known::Null => "unknown",
                    Known::Boolean => "boolean",
                    Known::Typed | Known::Other => return None,
                };
                Some(shown.to_owned())
            }
            Expr::Cast { data_type, .. } => self.shown(&data_type.to_string()),
            Expr::TypedString(typed) => self.shown(&typed.data_type.to_string()),
            Expr::Identifier(ident) => self.of_column(&[super::names::name_of(ident)]),
            Expr::CompoundIdentifier(parts) => {
                self.of_column(&parts.iter().map(super::names::name_of).collect::<Vec<_>>())
            }
            Expr::Function(function) => {
                let parts = parts_of(&function.name).ok()?;
                let known = self.context.catalog.functions(parts.last()?);
                let returns = known.first()?.returns;
                if known.iter().all(|function| function.returns == returns) { self.of_oid(returns) } else { None }
            }
            _ => None,
        }
    }

    fn of_column(&self, parts: &[String]) -> Option<String> {
        let Ok(Meaning::Column(origins)) = self.meaning(parts) else { return None };
        let [(id, column)] = origins.as_slice() else { return None };
        self.of_oid(self.occurrences.get(*id)?.relation.column(column)?.type_oid)
    }

    fn of_oid(&self, oid: Oid) -> Option<String> {
        let found = self.context.catalog.type_by_oid(oid)?;
        if let Some(element) = found.element
            && let Some(shown) = found.name.strip_prefix('_').and_then(|_| self.of_oid(element))
        {
            return Some(format!("{shown}[]"));
        }
        if found.schema == "pg_catalog" {
            return Some(shown_as(&found.name));
        }
        let visible = self.context.search_path.contains(&found.schema);
        Some(if visible { found.name.clone() } else { format!("{}.{}", found.schema, found.name) })
    }

    /// As it is written.
    fn shown(&self, written: &str) -> Option<String> {
        let array = if written.ends_with(']') { "[]" } else { "" };
        let name = type_name(written);
        let mut known = self.context.catalog.types_called(&name);
        let (Some(oid), None) = (known.next(), known.next()) else { return None };
        self.of_oid(oid).map(|shown| format!("{shown}{array}"))
    }
}

fn shown_as(name: &str) -> String {
    SHOWN.iter().find(|(called, _)| *called == name).map_or(name, |(_, shown)| shown).to_owned()
}
