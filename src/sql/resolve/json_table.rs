//! JSON_TABLE in FROM.

use sqlparser::ast::{Expr, FunctionArg, FunctionArgExpr, FunctionArguments, TableAlias};

use super::from::{is_constant, source_of};
use super::scope::{Source, VisibleColumn};
use super::{Fail, Resolver, unsupported};
use crate::policy::Use;
use crate::sql::ast::marker;

impl Resolver<'_> {
    /// Its columns are computed from what it is given; as a function in FROM does, it sees the items before it.
    pub(super) fn json_table(
        &mut self,
        held: &mut FunctionArguments,
        with_ordinality: bool,
        alias: Option<&TableAlias>,
    ) -> Result<Source, Fail> {
        let FunctionArguments::List(held) = held else { return Err(unsupported("this form of JSON_TABLE")) };
        if with_ordinality || alias.is_some_and(|alias| alias.columns.iter().any(|column| column.data_type.is_some())) {
            return Err(unsupported("this form of JSON_TABLE"));
        }
        let mut given: Vec<&mut Expr> = Vec::new();
        let mut shown = Vec::new();
        for part in &mut held.args {
            let FunctionArg::Unnamed(FunctionArgExpr::Expr(part)) = part else {
                return Err(unsupported("this form of JSON_TABLE"));
            };
            match part {
                Expr::Identifier(word) if super::Mark::is_one(word) => {
                    if let Some((name, data_type)) = marker::made_column(word) {
                        self.type_name(data_type)?;
                        shown.push(VisibleColumn::computed(name));
                    }
                }
                part => given.push(part),
            }
        }
        // It may run before a row filter does.
        if !given.iter().all(|expr| is_constant(expr)) {
            self.expose_all();
        }
        given.into_iter().try_for_each(|expr| self.expr(expr, Use::Output))?;
        let mut source = source_of(alias, None, Some(shown), None)?;
        source.name.get_or_insert_with(|| "json_table".to_owned());
        Ok(source)
    }
}
