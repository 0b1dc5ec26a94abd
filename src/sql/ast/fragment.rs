//! Text of the proxy's own as an AST.

use sqlparser::ast::{Expr, Query, SelectItem, SetExpr, Statement, Value, VisitMut};

use super::parse;
use super::walk::{Change, change};
use crate::error::{Refusal, Stage};
use crate::sql::text::lex::lex;

/// Parameters from this number on stand in a fragment for expressions of the statement; the protocol has none so high.
pub(in crate::sql) const FIRST_VALUE: usize = 1_000_000;

/// Our own text as an AST; that it cannot be read is a fault of ours.
pub(in crate::sql) fn parse_query(text: &str) -> Result<Query, Refusal> {
    let fault = |_: Refusal| Refusal::internal(Stage::Rewrite);
    match parse::statement(&lex(text).map_err(fault)?).map_err(fault)? {
        Statement::Query(query) => Ok(*query),
        _ => Err(Refusal::internal(Stage::Rewrite)),
    }
}

/// The one expression of `SELECT expression`.
pub(in crate::sql) fn parse_expression(text: &str) -> Result<Expr, Refusal> {
    let SetExpr::Select(select) = *parse_query(&format!("SELECT {text}"))?.body else {
        return Err(Refusal::internal(Stage::Rewrite));
    };
    let mut items = select.projection.into_iter();
    match (items.next(), items.next(), select.from.is_empty(), &select.selection) {
        (Some(SelectItem::UnnamedExpr(expr)), None, true, None) => Ok(expr),
        _ => Err(Refusal::internal(Stage::Rewrite)),
    }
}

/// Puts expressions where a fragment has `$1000000`, `$1000001` ...
pub(in crate::sql) fn fill<T: VisitMut>(fragment: &mut T, values: &[Expr]) -> Result<(), Refusal> {
    let mut filler = Filler { values, missing: false };
    change(fragment, &mut filler);
    if filler.missing { Err(Refusal::internal(Stage::Rewrite)) } else { Ok(()) }
}

struct Filler<'a> {
    values: &'a [Expr],
    missing: bool,
}

impl Change for Filler<'_> {
    fn expr(&mut self, expr: &mut Expr) {
        let Expr::Value(value) = expr else { return };
        let Value::Placeholder(name) = &value.value else { return };
        let number = name.strip_prefix('$').and_then(|digits| digits.parse::<usize>().ok());
        if let Some(number) = number.and_then(|number| number.checked_sub(FIRST_VALUE)) {
            match self.values.get(number) {
                Some(value) => *expr = value.clone(),
                None => self.missing = true,
            }
        }
    }
}
