//! What the figures of one statement tell of each other, where only groups may be seen.
//!
//! A count of rows beside a sum over a column, or sums over two columns, are taken of two sets of people. Who is in one and not in the other
//! is a group as well, of which the difference tells: it has nobody in it, or enough.

use std::ops::ControlFlow;

use sqlparser::ast::{Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Query, SetExpr, Statement};

use super::{Fail, fail};
use crate::catalog::quote_ident;
use crate::sql::ast::fragment::parse_expression;
use crate::sql::ast::walk::{Look, look};
use crate::sql::reviewed::builtins;
use crate::sql::witness::{self, Facts};

/// So many different columns and counts are held against each other in one statement; their pairs grow with the square.
const MOST: usize = 12;

/// Two values have one sum and one variance, which give both: three have not.
const SPREAD: u32 = 3;

/// What a statement over groups shows, beside sums over columns.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Figures {
    /// Rows are counted, whether or not a column has a value.
    rows: bool,
    /// How values spread is shown.
    spread: bool,
}

impl Figures {
    /// Of a statement's select list and order.
    pub(super) fn of(statement: &Statement) -> Self {
        let mut seen = Seen(Self::default());
        if let Statement::Query(query) = statement {
            let Query { body, order_by, .. } = query.as_ref();
            if let SetExpr::Select(select) = body.as_ref() {
                let _ = look(&select.projection, &mut seen);
            }
            let _ = look(order_by, &mut seen);
        }
        seen.0
    }

    /// The least group of it, where the policy says `least`.
    pub(super) fn least(self, least: u32) -> u32 {
        if self.spread { least.max(SPREAD) } else { least }
    }

    /// Conditions that between any two of the sets that are shown nobody, or enough, are in one and not in the other.
    ///
    /// `subject`: the hidden column that says whose a row is; `values`: the columns that are added up, both as the statement
    /// knows them (`alias`, `column`).
    ///
    /// # Errors
    /// 42501: more sets than are held against each other.
    pub(super) fn apart(
        self,
        subject: &[String],
        values: &[Vec<String>],
        least: u32,
    ) -> Result<Vec<(Expr, Facts)>, Fail> {
        let written = |parts: &[String]| parts.iter().map(|part| quote_ident(part)).collect::<Vec<_>>().join(".");
        let mut sets: Vec<Option<String>> = values.iter().map(|value| Some(written(value))).collect();
        if self.rows {
            sets.push(None);
        }
        if sets.len() > MOST {
            return Err(fail(format!("a statement over groups of people shows figures of {MOST} columns at most"))
                .hint("ask for fewer figures at once"));
        }
        let subject = written(subject);
        let mut conditions = Vec::new();
        for without in sets.iter().flatten() {
            for with in sets.iter().filter(|with| with.as_ref() != Some(without)) {
                let there = with.as_ref().map(|with| format!(" AND {with} IS NOT NULL")).unwrap_or_default();
                let count = format!(
                    "pg_catalog.count(DISTINCT CASE WHEN {without} IS NULL{there} THEN {subject} ELSE NULL END)"
                );
                let condition = not_a_few(&count, least);
                let facts = witness::facts_of(&format!("SELECT {condition}"))?;
                conditions.push((Expr::Nested(Box::new(parse_expression(&condition)?)), facts));
            }
        }
        Ok(conditions)
    }
}

/// Goes through the aggregates.
struct Seen(Figures);

impl Look for Seen {
    fn expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        let Expr::Function(function) = expr else { return ControlFlow::Continue(()) };
        let Some(name) = function.name.0.last().and_then(|part| part.as_ident()).map(|ident| ident.value.as_str())
        else {
            return ControlFlow::Continue(());
        };
        if builtins::is_aggregate(name) {
            self.0.rows |= !over_a_column(function);
            self.0.spread |= name.starts_with("stddev") || name.starts_with("var");
        }
        ControlFlow::Continue(())
    }
}

fn over_a_column(function: &Function) -> bool {
    let FunctionArguments::List(list) = &function.args else { return false };
    list.args.iter().any(|arg| {
        matches!(arg, FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Identifier(_) | Expr::CompoundIdentifier(_))))
    })
}

/// Whether a count is none, or at least so many: not between 1 and one less, said with one mention of the count, which may be a query of its
/// own, and by operators that can be named.
pub(super) fn not_a_few(count: &str, least: u32) -> String {
    format!("pg_catalog.abs(2 * ({count}) - {least}) > {}", i64::from(least) - 2)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use sqlparser::dialect::PostgreSqlDialect;
    use sqlparser::parser::Parser;

    #[test]
    fn what_is_shown_is_told_by_the_aggregates() {
        for (sql, rows, spread) in [
            ("SELECT avg(a) FROM t", false, false),
            ("SELECT avg(a), count(*) FROM t", true, false),
            ("SELECT avg(t.a) / (1 + pg_catalog.count(1)) FROM t", true, false),
            ("SELECT avg(a) FROM t ORDER BY count(*)", true, false),
            ("SELECT sum(a), stddev_pop(a) FROM t", false, true),
            ("SELECT count(a) FROM t ORDER BY variance(a)", false, true),
        ] {
            let statement = Parser::parse_sql(&PostgreSqlDialect {}, sql).unwrap().remove(0);
            assert_eq!(Figures::of(&statement), Figures { rows, spread }, "{sql}");
        }
    }
}
