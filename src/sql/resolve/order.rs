//! ORDER BY, of queries and within calls.

use sqlparser::ast::{Expr, Ident, ObjectName, ObjectNamePart, OrderBy, OrderByExpr, OrderByKind, OrderBySort};

use super::names::name_of;
use super::scope::Meaning;
use super::{Fail, Resolver, unsupported};
use crate::policy::Use;
use crate::sql::reviewed::builtins;

impl Resolver<'_> {
    /// A key of ORDER BY or DISTINCT ON: an output column's name comes first, then input columns.
    pub(super) fn sort_key(&mut self, expr: &mut Expr, outputs: &[String], usage: Use) -> Result<(), Fail> {
        if let Expr::Identifier(ident) = expr {
            let name = name_of(ident);
            if outputs.contains(&name) {
                // The output column was resolved with the select list; note the use where it is a plain column.
                if let Ok(Meaning::Column(origins)) = self.meaning(std::slice::from_ref(&name)) {
                    let visible = origins;
                    self.mark_if_used(&visible, usage);
                }
                self.saw_column(vec![name]);
                return Ok(());
            }
        }
        self.expr(expr, usage)
    }

    /// ORDER BY of a set operation or VALUES: names of output columns or positions only.
    pub(super) fn order_by_output(&mut self, order_by: Option<&mut OrderBy>) -> Result<(), Fail> {
        let Some(order_by) = order_by else { return Ok(()) };
        for key in order_keys(order_by)? {
            match &mut key.expr {
                Expr::Identifier(ident) => {
                    let name = name_of(ident);
                    self.saw_column(vec![name]);
                }
                other => {
                    // PostgreSQL allows no expression over columns here; one without columns is resolved on its own.
                    self.detached(other)?;
                }
            }
        }
        Ok(())
    }
}

/// ORDER BY keys of a form that PostgreSQL knows.
pub(super) fn order_keys(order_by: &mut OrderBy) -> Result<&mut Vec<OrderByExpr>, Fail> {
    if order_by.interpolate.is_some() {
        return Err(unsupported("INTERPOLATE"));
    }
    match &mut order_by.kind {
        OrderByKind::Expressions(keys) => {
            order_keys_plain(keys)?;
            Ok(keys)
        }
        OrderByKind::All(_) => Err(unsupported("ORDER BY ALL")),
    }
}

/// ORDER BY keys within a call or window.
pub(super) fn order_keys_plain(keys: &mut [OrderByExpr]) -> Result<&mut [OrderByExpr], Fail> {
    for key in keys.iter_mut() {
        if key.with_fill.is_some() {
            return Err(unsupported("WITH FILL"));
        }
        if let Some(OrderBySort::Using(operator)) = &mut key.options.sort {
            sort_operator(operator)?;
        }
    }
    Ok(keys)
}

/// USING means the system's own operator, and is written so: another of the same name may call anything.
fn sort_operator(operator: &mut ObjectName) -> Result<(), Fail> {
    let parts: Vec<String> = operator.0.iter().map(ToString::to_string).collect();
    let name = match parts.as_slice() {
        [name] => name,
        [schema, name] if schema == "pg_catalog" => name,
        _ => return Err(unsupported("an operator of another schema than `pg_catalog`")),
    };
    if !builtins::is_operator(name) {
        return Err(unsupported("ORDER BY USING with an operator that PostgreSQL does not come with"));
    }
    let part = |name: &str| ObjectNamePart::Identifier(Ident::new(name));
    operator.0 = vec![part("pg_catalog"), part(name)];
    Ok(())
}
