//! The target of UPDATE and DELETE, which cannot be a derived table: its row filter joins the statement's condition.

use sqlparser::ast::{Expr, Value};

use super::{Fail, Rewriter, and, derived, fail, fresh};
use crate::sql::ast::fragment::{own, parse_expression};
use crate::sql::ast::marker;
use crate::sql::resolve::OccurrenceId;
use crate::sql::witness;

impl Rewriter<'_> {
    /// The row filter of the target of UPDATE and DELETE joins its condition.
    pub(super) fn filter_target(&mut self, id: OccurrenceId, condition: Option<Expr>) -> Result<Expr, Fail> {
        let (occurrence, obligation) = self.get(id)?;
        let mut filter = derived::row_filter(occurrence, obligation, &occurrence.alias, self.context)?;
        if let Some((condition, facts)) = filter.as_mut().filter(|_| obligation.rests_on_wishes()) {
            let short = fresh::short_wait(self.context.policies.lock_seconds());
            facts.extend(&witness::facts_of(&format!("SELECT {short}"))?);
            *condition =
                Expr::Nested(Box::new(and(own(parse_expression(&short)?, self.context.catalog), condition.clone())));
        }
        let fence = self.fence;
        if let Some(cursor) = condition.as_ref().and_then(current_of) {
            // Nothing can be added to it.
            return match filter {
                None => Ok(cursor.clone()),
                Some(_) => Err(fail("`WHERE CURRENT OF` is not open for a purpose that rests on consent")
                    .detail("whether the data subject still agrees cannot be asked there")
                    .hint("name the row by its key")),
            };
        }
        Ok(match (filter, condition) {
            (None, None) => Expr::Value(Value::Boolean(true).into()),
            (None, Some(condition)) => condition,
            (Some((filter, facts)), None) => {
                self.expected.extend(&facts);
                filter
            }
            (Some((filter, facts)), Some(condition)) => {
                self.expected.extend(&facts);
                if fence { derived::guarded(filter, condition) } else { and(condition, filter) }
            }
        })
    }
}

/// `CURRENT OF cursor`, in the parentheses that the resolver puts around a condition.
fn current_of(condition: &Expr) -> Option<&Expr> {
    match condition {
        Expr::Nested(inner) => current_of(inner),
        Expr::Prefixed { prefix, .. } if marker::is_current_of(prefix) => Some(condition),
        _ => None,
    }
}
