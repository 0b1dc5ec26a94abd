//! AST to text, such that PostgreSQL reads the tree that was meant.
//!
//! sqlparser's own rendering is used, after the parts that it writes wrongly have been put in a form that it copies
//! as it stands: names, strings, signs, and our markers.

use std::ops::ControlFlow;

use sqlparser::ast::{
    Expr, Ident, Insert, ObjectName, ObjectNamePart, Statement, TableObject, UnaryOperator, Value, ValueWithSpan, VisitMut,
    VisitorMut,
};

use super::marker;
use crate::catalog::{quote_ident, quote_literal};

/// The text of a statement.
pub fn render(statement: &Statement) -> String {
    text_of(statement)
}

/// The text of an expression.
pub fn render_expr(expr: &Expr) -> String {
    text_of(expr)
}

fn text_of<T: VisitMut + Clone + ToString>(node: &T) -> String {
    let mut node = node.clone();
    let _: ControlFlow<()> = node.visit(&mut Writer);
    node.to_string()
}

/// Puts text in the place of nodes. A name without quotes is copied as it stands.
struct Writer;

fn raw(text: String) -> Ident {
    Ident::new(text)
}

impl VisitorMut for Writer {
    type Break = ();

    fn post_visit_ident(&mut self, ident: &mut Ident) -> ControlFlow<()> {
        if ident.quote_style.take().is_some() {
            ident.value = quote_ident(&ident.value);
        }
        ControlFlow::Continue(())
    }

    fn post_visit_value(&mut self, value: &mut ValueWithSpan) -> ControlFlow<()> {
        let text = match &value.value {
            Value::SingleQuotedString(text) => quote_literal(text),
            Value::NationalStringLiteral(text) => format!("N'{}'", text.replace('\'', "''")),
            Value::SingleQuotedByteStringLiteral(digits) => format!("B'{digits}'"),
            Value::HexStringLiteral(digits) => format!("X'{digits}'"),
            _ => return ControlFlow::Continue(()),
        };
        value.value = Value::Placeholder(text);
        ControlFlow::Continue(())
    }

    fn post_visit_relation(&mut self, relation: &mut ObjectName) -> ControlFlow<()> {
        if marker::is_only(relation) {
            relation.0.remove(0);
            let rest = relation.to_string();
            *relation = ObjectName::from(vec![raw(format!("ONLY {rest}"))]);
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        match expr {
            // `- - 1` must not become a comment, nor `- -` an operator of two signs.
            Expr::UnaryOp { op: UnaryOperator::Minus | UnaryOperator::Plus, expr: inner }
                if matches!(**inner, Expr::UnaryOp { .. } | Expr::Prefixed { .. }) =>
            {
                nest(inner);
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }

    fn post_visit_statement(&mut self, statement: &mut Statement) -> ControlFlow<()> {
        if let Statement::Insert(insert) = statement {
            overriding(insert);
        }
        ControlFlow::Continue(())
    }
}

fn nest(expr: &mut Expr) {
    let inner = std::mem::replace(expr, Expr::Identifier(raw(String::new())));
    *expr = Expr::Nested(Box::new(inner));
}

/// OVERRIDING stands behind the columns: all of it is written as one name.
fn overriding(insert: &mut Insert) {
    let Some(marked) = insert.partitioned.take() else { return };
    let clause = match marked.as_slice() {
        [Expr::Identifier(ident)] if ident.value == marker::OVERRIDING_USER => "OVERRIDING USER VALUE",
        [Expr::Identifier(ident)] if ident.value == marker::OVERRIDING_SYSTEM => "OVERRIDING SYSTEM VALUE",
        _ => {
            insert.partitioned = Some(marked);
            return;
        }
    };
    let mut text = insert.table.to_string();
    if let Some(alias) = insert.table_alias.take() {
        text.push_str(" AS ");
        text.push_str(&alias.alias.to_string());
    }
    if !insert.columns.is_empty() {
        let columns: Vec<String> = insert.columns.drain(..).map(|column| column.to_string()).collect();
        text.push_str(&format!(" ({})", columns.join(", ")));
    }
    text.push(' ');
    text.push_str(clause);
    insert.table = TableObject::TableName(ObjectName(vec![ObjectNamePart::Identifier(raw(text))]));
}
