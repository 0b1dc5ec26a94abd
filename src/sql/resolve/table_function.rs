//! Functions in FROM.

use sqlparser::ast::{Expr, FunctionArg, FunctionArgExpr, ObjectName, TableAlias};

use super::from::{is_constant, source_of};
use super::names::{name_of, parts_of};
use super::scope::{Source, VisibleColumn};
use super::{Fail, Resolver, unsupported};
use crate::policy::Use;
use crate::sql::ast::marker;
use crate::sql::reviewed::definitions;

impl Resolver<'_> {
    pub(super) fn function_item(
        &mut self,
        name: &mut ObjectName,
        args: &mut [FunctionArg],
        with_ordinality: bool,
        alias: Option<&TableAlias>,
    ) -> Result<Source, Fail> {
        if let [FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Function(held)))] = args
            && marker::is_sequence(&held.name)
        {
            return self.json_table(&mut held.args, with_ordinality, alias);
        }
        // A function in FROM sees the items before it, and may run before a row filter does.
        let constant = |arg: &FunctionArg| match arg {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => is_constant(expr),
            _ => false,
        };
        if !args.iter().all(constant) {
            self.expose_all();
        }
        if marker::is_rows_from(name) {
            return self.rows_from(args, alias);
        }
        let several_arrays = args.len() > 1 && parts_of(name)? == ["unnest"];
        let parts = if several_arrays {
            // PostgreSQL itself makes one call of each array, by this very name without a schema.
            self.saw_function(&["unnest".to_owned()]);
            vec!["unnest".to_owned()]
        } else {
            self.function_name(name, args)?
        };
        for arg in args.iter_mut() {
            self.function_argument(arg, Use::Output)?;
        }
        let called = parts.last().cloned().unwrap_or_default();
        // Both are rewritten where they are values.
        let rewritten = definitions::defines(&called) || called == "current_setting" || called == "set_config";
        if parts.first().is_some_and(|schema| schema == "pg_catalog") && rewritten {
            return Err(unsupported(&format!("`{called}` in FROM")));
        }
        let mut columns = if several_arrays {
            Some(args.iter().map(|_| VisibleColumn::computed("unnest")).collect())
        } else {
            self.function_columns(&parts)
        };
        if let (Some(alias), Some([column])) = (alias, columns.as_deref_mut()) {
            // One scalar column takes the alias as its name.
            if column.name == called && !marker::is_no_alias(&alias.name) {
                column.name = name_of(&alias.name);
            }
        }
        if with_ordinality && let Some(columns) = &mut columns {
            columns.push(VisibleColumn::computed("ordinality"));
        }
        if let Some(alias) = alias
            && alias.columns.iter().any(|column| column.data_type.is_some())
        {
            columns = Some(alias.columns.iter().map(|column| VisibleColumn::computed(name_of(&column.name))).collect());
        }
        for column in alias.iter().flat_map(|alias| &alias.columns) {
            column.data_type.as_ref().map_or(Ok(()), |data_type| self.data_type(data_type))?;
        }
        let mut source = source_of(alias, None, columns, None)?;
        source.name.get_or_insert(called);
        Ok(source)
    }

    /// ROWS FROM (f(), g()): the columns of each call, side by side.
    fn rows_from(&mut self, calls: &mut [FunctionArg], alias: Option<&TableAlias>) -> Result<Source, Fail> {
        self.expose_all();
        for call in calls {
            let FunctionArg::Unnamed(FunctionArgExpr::Expr(call)) = call else {
                return Err(unsupported("this form of ROWS FROM"));
            };
            self.expr(call, Use::Output)?;
        }
        source_of(alias, None, None, None)
    }
}
