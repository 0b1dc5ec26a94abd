//! `b(t)`: the column `b` of `t`, in the notation of a function.
//!
//! Source: "Field Selection" and "Using Composite Types in Queries" in PostgreSQL's documentation, and `ParseFuncOrColumn`.

use sqlparser::ast::{Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, ObjectName};

use super::Resolver;
use super::names::{name_of, parts_of};
use super::scope::Meaning;
use crate::sql::reviewed::builtins;

impl Resolver<'_> {
    /// The parts of the column that a call names. `None` where a function or a type has the name, whatever it takes, or the
    /// argument is not the whole row of a FROM item that has the column: then it is held to be a call.
    ///
    /// What is written instead, `t.b`, is the column whatever functions there are.
    pub(super) fn called_column(&mut self, call: &Function) -> Option<Vec<String>> {
        let Function { name, uses_odbc_syntax: false, parameters: FunctionArguments::None, args, .. } = call else {
            return None;
        };
        let bare = call.over.is_none()
            && call.filter.is_none()
            && call.null_treatment.is_none()
            && call.within_group.is_empty();
        let FunctionArguments::List(list) = args else { return None };
        let [FunctionArg::Unnamed(argument)] = list.args.as_slice() else { return None };
        if !bare || list.duplicate_treatment.is_some() || !list.clauses.is_empty() {
            return None;
        }
        let column = self.no_function(name)?;
        let (table, star) = whole_row(argument)?;
        let row = vec![table.clone()];
        match self.meaning(&row) {
            Ok(Meaning::Row(Some(columns), ..)) if columns.iter().any(|known| known.name == column) => {}
            Ok(_) | Err(_) => return None,
        }
        // What the tree has: a call, and the row.
        self.seen.add_function(vec![column.clone()]);
        self.seen.add_column(if star { vec![table.clone(), "*".to_owned()] } else { row });
        Some(vec![table, column])
    }

    /// A name of one part that is neither a function's nor a type's.
    fn no_function(&self, name: &ObjectName) -> Option<String> {
        let parts = parts_of(name).ok()?;
        let [column] = parts.as_slice() else { return None };
        let catalog = self.context.catalog;
        let mut schemas = self.context.search_path.iter().map(String::as_str).chain(["pg_catalog"]);
        let taken = !catalog.functions(column).is_empty()
            || schemas.any(|schema| catalog.type_by_name(schema, column).is_some())
            || builtins::is_known(column)
            || builtins::is_grammar_function(column)
            || self.context.search_path.iter().any(|schema| self.context.policies.allows_function(schema, column));
        (!taken).then(|| column.clone())
    }
}

/// The FROM item whose row an argument is, by its name alone, and whether it is written `t.*`.
fn whole_row(argument: &FunctionArgExpr) -> Option<(String, bool)> {
    if let FunctionArgExpr::Expr(expr) = argument {
        let mut expr = expr;
        while let Expr::Nested(inner) = expr {
            expr = inner;
        }
        if let Expr::Identifier(ident) = expr {
            return Some((name_of(ident), false));
        }
    }
    match argument {
        FunctionArgExpr::Expr(Expr::QualifiedWildcard(name, _)) | FunctionArgExpr::QualifiedWildcard(name) => {
            match parts_of(name).ok()?.as_slice() {
                [table] => Some((table.clone(), true)),
                _ => None,
            }
        }
        FunctionArgExpr::Expr(_) | FunctionArgExpr::Wildcard | FunctionArgExpr::WildcardWithOptions(_) => None,
    }
}
