//! Expressions in definitions: constants, columns, operators and reviewed functions, without queries.

use pg_raw_parse::list::NodeList;
use pg_raw_parse::nodes::{A_Expr_Kind, CoercionForm, ColumnRef, FuncCall, TypeName};
use pg_raw_parse::{ConstValue, Node};
use sqlparser::ast::{FunctionArg, FunctionArgExpr};

use super::{Define, names};
use crate::error::Refusal;
use crate::sql::ast::fragment;
use crate::sql::resolve::{Fail, body, quoted_name, unsupported};
use crate::sql::reviewed::builtins;
use crate::sql::witness;

impl Define<'_, '_> {
    /// Walks an expression, and gathers the columns that it names.
    pub(super) fn scalar(&mut self, node: Node<'_>, columns: &mut Vec<String>) -> Result<(), Fail> {
        match node {
            Node::None => Ok(()),
            Node::A_Const(_) | Node::SQLValueFunction(_) => Ok(()),
            Node::ColumnRef(column) => self.column_ref(column, columns),
            Node::FuncCall(call) => self.call(call, columns),
            Node::TypeCast(cast) => {
                self.type_name(cast.type_name())?;
                self.scalar(cast.arg(), columns)
            }
            Node::A_Expr(expr) => {
                self.operator(expr.name())?;
                if expr.kind >= A_Expr_Kind::AEXPR_BETWEEN {
                    // BETWEEN in any form: the grammar writes no operator.
                    for operator in ["<", "<=", ">", ">="] {
                        self.resolver.operator_name(operator)?;
                    }
                }
                self.scalar(expr.lexpr(), columns)?;
                self.scalar(expr.rexpr(), columns)
            }
            Node::BoolExpr(expr) => self.scalars(expr.args(), columns),
            Node::NullTest(test) => self.scalar(test.arg(), columns),
            Node::BooleanTest(test) => self.scalar(test.arg(), columns),
            Node::CaseExpr(case) => {
                if !matches!(case.arg(), Node::None) {
                    self.resolver.operator_name("=")?;
                }
                self.scalar(case.arg(), columns)?;
                self.scalars(case.args(), columns)?;
                self.scalar(case.defresult(), columns)
            }
            Node::CaseWhen(when) => {
                self.scalar(when.expr(), columns)?;
                self.scalar(when.result(), columns)
            }
            Node::CoalesceExpr(expr) => self.scalars(expr.args(), columns),
            Node::MinMaxExpr(expr) => self.scalars(expr.args(), columns),
            Node::A_ArrayExpr(array) => self.scalars(array.elements(), columns),
            Node::RowExpr(row) => self.scalars(row.args(), columns),
            Node::NodeList(list) => self.scalars(list, columns),
            Node::NamedArgExpr(named) => self.scalar(named.arg(), columns),
            // A field, an element or a slice of a value. What is written as a field may be a call.
            Node::A_Indirection(part) => {
                self.scalar(part.arg(), columns)?;
                self.scalars(part.indirection(), columns)
            }
            Node::A_Indices(at) => {
                self.scalar(at.lidx(), columns)?;
                self.scalar(at.uidx(), columns)
            }
            Node::String(field) => self.resolver.check_field(field.sval().unwrap_or_default()),
            Node::SubLink(_) if self.resolver.context.policies.hides_nothing() => self.query_within(node),
            Node::CollateClause(collate) => self.scalar(collate.arg(), columns),
            _ => Err(unsupported("this kind of expression in a definition")),
        }
    }

    /// A query, as policies of row security have them; elsewhere PostgreSQL takes none, and says so. It runs when rows are read, as what
    /// stands in a view does, and is written down as it is.
    fn query_within(&mut self, node: Node<'_>) -> Result<(), Fail> {
        let body = witness::body_within(node).ok_or_else(|| unsupported("this query in a definition"))?;
        let touched = body::judged(&body, self.resolver.context);
        let Some(touched) = touched else {
            for (schema, name) in body.facts.relations() {
                let told = |refusal: Refusal| refusal.placeless().said_by("parse_relation.c", "parserOpenTable");
                self.resolver.called(schema.as_deref(), name).map_err(told)?;
            }
            return Err(unsupported("what this query in a definition names"));
        };
        self.resolver.seen.extend(&body.facts);
        self.resolver.meant.extend(&body.facts);
        self.resolver.runs("a query in the definition".to_owned(), touched);
        Ok(())
    }

    /// Each in turn.
    pub(super) fn scalars(&mut self, nodes: &NodeList, columns: &mut Vec<String>) -> Result<(), Fail> {
        nodes.iter().try_for_each(|node| self.scalar(node, columns))
    }

    /// An expression that names no column.
    pub(super) fn constant(&mut self, node: Node<'_>) -> Result<(), Fail> {
        let mut columns = Vec::new();
        self.scalar(node, &mut columns)?;
        // PostgreSQL takes none, and says so.
        let open = self.resolver.context.policies.hides_nothing();
        if open || columns.is_empty() { Ok(()) } else { Err(unsupported("a column in a default")) }
    }

    fn column_ref(&mut self, column: &ColumnRef, columns: &mut Vec<String>) -> Result<(), Fail> {
        let parts: Vec<String> = column.fields().iter().map(names::string).collect::<Result<_, _>>()?;
        self.resolver.saw_column(parts.clone());
        match parts.as_slice() {
            [.., name] if parts.len() <= 2 => {
                if parts.len() == 2 {
                    self.resolver.check_field(name)?;
                }
                columns.push(name.clone());
                Ok(())
            }
            _ => Err(unsupported("a column with so many parts to its name")),
        }
    }

    fn call(&mut self, call: &FuncCall, columns: &mut Vec<String>) -> Result<(), Fail> {
        let aggregate = !call.agg_order().is_empty() || call.agg_within_group || call.agg_star || call.agg_distinct;
        if aggregate || !matches!(call.agg_filter(), Node::None) || call.over().is_some() {
            return Err(unsupported("an aggregate or window function in a definition"));
        }
        self.scalars(call.args(), columns)?;
        let parts: Vec<String> = call.funcname().iter().map(names::string).collect::<Result<_, _>>()?;
        if call.funcformat == CoercionForm::COERCE_SQL_SYNTAX {
            // EXTRACT, AT TIME ZONE and the like: the grammar writes the name.
            return match parts.as_slice() {
                [schema, name] if schema == "pg_catalog" && builtins::is_reviewed(name) => Ok(()),
                [schema, name] if schema == "pg_catalog" && builtins::is_grammar_function(name) => Ok(()),
                _ => Err(unsupported("this function in a definition")),
            };
        }
        let mut name = quoted_name(parts.iter().map(String::as_str));
        let arguments: Vec<FunctionArg> = call.args().iter().map(argument).collect();
        let full = self.resolver.function_name(&mut name, &arguments)?;
        self.resolver.may_be_defined_with(&full, &arguments)?;
        let written = self.ddl.name_at(&mut self.edits, call.location, &parts, names::full(&full));
        if written || full == parts { Ok(()) } else { Err(unsupported("a function in this place")) }
    }

    /// Operators call functions: those must be the system's or be open.
    pub(super) fn operator(&mut self, name: &NodeList) -> Result<(), Fail> {
        let parts: Vec<String> = name.iter().map(names::string).collect::<Result<_, _>>()?;
        match parts.as_slice() {
            [operator] => self.resolver.operator_name(operator),
            [schema, _] if schema == "pg_catalog" => Ok(()),
            _ => Err(unsupported("an operator of another schema than `pg_catalog`")),
        }
    }

    /// A type, whose casts and checks must call nothing that nobody reviewed.
    pub(super) fn type_name(&mut self, name: Option<&TypeName>) -> Result<(), Fail> {
        let Some(name) = name else { return Ok(()) };
        if name.pct_type && !self.resolver.context.policies.hides_nothing() {
            return Err(unsupported("%TYPE"));
        }
        let parts = name.names().iter().map(|part| names::word(part.sval()));
        let parts: Vec<String> = parts.collect();
        self.scalars(name.typmods(), &mut Vec::new())?;
        parts.iter().try_for_each(|part| self.resolver.type_name(part))
    }
}

/// An argument as far as it matters to functions that are open for some arguments only: a plain string, or something else.
fn argument(node: Node<'_>) -> FunctionArg {
    let text = match node {
        Node::TypeCast(cast) if is_text(cast.type_name()) => plain_text(cast.arg()),
        other => plain_text(other),
    };
    FunctionArg::Unnamed(FunctionArgExpr::Expr(text.map_or_else(fragment::null, fragment::string)))
}

/// Whether it is `text`, as the server writes it.
fn is_text(name: Option<&TypeName>) -> bool {
    let parts = name.map(|name| name.names().iter().map(|part| names::word(part.sval())).collect::<Vec<_>>());
    let parts = parts.unwrap_or_default();
    matches!(parts.iter().map(String::as_str).collect::<Vec<_>>().as_slice(), ["text"] | ["pg_catalog", "text"])
}

fn plain_text(node: Node<'_>) -> Option<&str> {
    match node {
        Node::A_Const(constant) => match constant.val() {
            Some(ConstValue::String(text)) => Some(text),
            _ => None,
        },
        _ => None,
    }
}
