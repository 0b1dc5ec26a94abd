//! Text of the proxy's own as an AST.

use sqlparser::ast::{BinaryOperator, Expr, Query, SelectItem, SetExpr, Statement, Value, VisitMut};

use super::walk::{Change, change};
use super::{marker, parse};
use crate::catalog::Catalog;
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

/// A plain string.
pub(in crate::sql) fn string(text: &str) -> Expr {
    Expr::Value(Value::SingleQuotedString(text.to_owned()).into())
}

/// NULL.
pub(in crate::sql) fn null() -> Expr {
    Expr::Value(Value::Null.into())
}

/// A fragment whose operators mean PostgreSQL's own. Which one a name means is found by the session's search path: wherever somebody made one of
/// the same name, whatever that calls, PostgreSQL's is named with its schema. Expressions of the client's are put in afterwards. BETWEEN, IN,
/// IS DISTINCT FROM and `CASE x WHEN` name no operator, so that none of them stands in a fragment.
pub(in crate::sql) fn own<T: VisitMut>(mut fragment: T, catalog: &Catalog) -> T {
    if catalog.has_calling_operators() {
        change(&mut fragment, &mut Own(catalog));
    }
    fragment
}

struct Own<'a>(&'a Catalog);

impl Own<'_> {
    /// The same operator with its schema; `None` where its name is enough, or has a schema.
    fn named(&self, operator: &BinaryOperator) -> Option<BinaryOperator> {
        let name = match operator {
            BinaryOperator::And | BinaryOperator::Or => return None,
            BinaryOperator::Custom(words) if marker::is_words(words) => return None,
            BinaryOperator::PGCustomBinaryOperator(parts) if parts.len() > 1 => return None,
            other => other.to_string(),
        };
        (!self.0.operator_calls(&name).is_empty()).then(|| named(&name))
    }
}

impl Change for Own<'_> {
    fn after_expr(&mut self, expr: &mut Expr) {
        match expr {
            Expr::BinaryOp { left, op, right } => {
                let Some(named) = self.named(op) else { return };
                *op = named;
                nest(left);
                nest(right);
                nest(expr);
            }
            Expr::AnyOp { left, compare_op, .. } | Expr::AllOp { left, compare_op, .. } => {
                let Some(named) = self.named(compare_op) else { return };
                *compare_op = named;
                nest(left);
                nest(expr);
            }
            _ => {}
        }
    }
}

/// PostgreSQL's own operator of this name. It binds otherwise than the sign alone does: what it compares goes into parentheses, and so does the
/// whole ([`nest`]).
pub(in crate::sql) fn named(operator: &str) -> BinaryOperator {
    BinaryOperator::PGCustomBinaryOperator(vec!["pg_catalog".to_owned(), operator.to_owned()])
}

/// Puts parentheses around it.
pub(in crate::sql) fn nest(expr: &mut Expr) {
    let inner = std::mem::replace(expr, Expr::Tuple(Vec::new()));
    *expr = Expr::Nested(Box::new(inner));
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
