//! Expressions in definitions: constants, columns, operators and reviewed functions, without queries.

use pg_query::NodeEnum;
use pg_query::protobuf::{AExprKind, CoercionForm, ColumnRef, FuncCall, Node, TypeName};

use super::{Define, names};
use crate::sql::resolve::{Fail, quoted_name, unsupported};
use crate::sql::reviewed::builtins;

impl Define<'_, '_> {
    /// Walks an expression, and gathers the columns that it names.
    pub(super) fn scalar(&mut self, node: Option<&Node>, columns: &mut Vec<String>) -> Result<(), Fail> {
        let Some(node) = node else { return Ok(()) };
        match &node.node {
            None => Ok(()),
            Some(NodeEnum::AConst(_) | NodeEnum::SqlvalueFunction(_)) => Ok(()),
            Some(NodeEnum::ColumnRef(column)) => self.column_ref(column, columns),
            Some(NodeEnum::FuncCall(call)) => self.call(call, columns),
            Some(NodeEnum::TypeCast(cast)) => {
                self.type_name(cast.type_name.as_ref())?;
                self.scalar(cast.arg.as_deref(), columns)
            }
            Some(NodeEnum::AExpr(expr)) => {
                self.operator(&expr.name)?;
                if expr.kind >= AExprKind::AexprBetween as i32 {
                    // BETWEEN in any form: the grammar writes no operator.
                    for operator in ["<", "<=", ">", ">="] {
                        self.resolver.operator_name(operator)?;
                    }
                }
                self.scalar(expr.lexpr.as_deref(), columns)?;
                self.scalar(expr.rexpr.as_deref(), columns)
            }
            Some(NodeEnum::BoolExpr(expr)) => self.scalars(&expr.args, columns),
            Some(NodeEnum::NullTest(test)) => self.scalar(test.arg.as_deref(), columns),
            Some(NodeEnum::BooleanTest(test)) => self.scalar(test.arg.as_deref(), columns),
            Some(NodeEnum::CaseExpr(case)) => {
                if case.arg.is_some() {
                    self.resolver.operator_name("=")?;
                }
                self.scalar(case.arg.as_deref(), columns)?;
                self.scalars(&case.args, columns)?;
                self.scalar(case.defresult.as_deref(), columns)
            }
            Some(NodeEnum::CaseWhen(when)) => {
                self.scalar(when.expr.as_deref(), columns)?;
                self.scalar(when.result.as_deref(), columns)
            }
            Some(NodeEnum::CoalesceExpr(expr)) => self.scalars(&expr.args, columns),
            Some(NodeEnum::MinMaxExpr(expr)) => self.scalars(&expr.args, columns),
            Some(NodeEnum::AArrayExpr(array)) => self.scalars(&array.elements, columns),
            Some(NodeEnum::RowExpr(row)) => self.scalars(&row.args, columns),
            Some(NodeEnum::List(list)) => self.scalars(&list.items, columns),
            Some(NodeEnum::NamedArgExpr(named)) => self.scalar(named.arg.as_deref(), columns),
            // A field, an element or a slice of a value.
            Some(NodeEnum::AIndirection(part)) => {
                self.scalar(part.arg.as_deref(), columns)?;
                self.scalars(&part.indirection, columns)
            }
            Some(NodeEnum::AIndices(at)) => {
                self.scalar(at.lidx.as_deref(), columns)?;
                self.scalar(at.uidx.as_deref(), columns)
            }
            Some(NodeEnum::String(_)) => Ok(()),
            Some(NodeEnum::CollateClause(collate)) => self.scalar(collate.arg.as_deref(), columns),
            Some(_) => Err(unsupported("this kind of expression in a definition")),
        }
    }

    /// Each in turn.
    pub(super) fn scalars(&mut self, nodes: &[Node], columns: &mut Vec<String>) -> Result<(), Fail> {
        nodes.iter().try_for_each(|node| self.scalar(Some(node), columns))
    }

    /// An expression that names no column.
    pub(super) fn constant(&mut self, node: Option<&Node>) -> Result<(), Fail> {
        let mut columns = Vec::new();
        self.scalar(node, &mut columns)?;
        if columns.is_empty() { Ok(()) } else { Err(unsupported("a column in a default")) }
    }

    fn column_ref(&mut self, column: &ColumnRef, columns: &mut Vec<String>) -> Result<(), Fail> {
        let parts: Vec<String> = column.fields.iter().map(names::string).collect::<Result<_, _>>()?;
        self.resolver.saw_column(parts.clone());
        match parts.as_slice() {
            [.., name] if parts.len() <= 2 => {
                columns.push(name.clone());
                Ok(())
            }
            _ => Err(unsupported("a column with so many parts to its name")),
        }
    }

    fn call(&mut self, call: &FuncCall, columns: &mut Vec<String>) -> Result<(), Fail> {
        let FuncCall {
            funcname,
            args,
            agg_order,
            agg_filter,
            over,
            agg_within_group,
            agg_star,
            agg_distinct,
            func_variadic: _,
            funcformat,
            location,
        } = call;
        let aggregate = !agg_order.is_empty() || *agg_within_group || *agg_star || *agg_distinct;
        if aggregate || agg_filter.is_some() || over.is_some() {
            return Err(unsupported("an aggregate or window function in a definition"));
        }
        self.scalars(args, columns)?;
        let parts: Vec<String> = funcname.iter().map(names::string).collect::<Result<_, _>>()?;
        if *funcformat == CoercionForm::CoerceSqlSyntax as i32 {
            // EXTRACT, AT TIME ZONE and the like: the grammar writes the name.
            return match parts.as_slice() {
                [schema, name] if schema == "pg_catalog" && builtins::is_reviewed(name) => Ok(()),
                [schema, name] if schema == "pg_catalog" && builtins::is_grammar_function(name) => Ok(()),
                _ => Err(unsupported("this function in a definition")),
            };
        }
        let mut name = quoted_name(parts.iter().map(String::as_str));
        let full = self.resolver.function_name(&mut name, &[])?;
        let written = self.ddl.name_at(&mut self.edits, *location, &parts, names::full(&full));
        if written || full == parts { Ok(()) } else { Err(unsupported("a function in this place")) }
    }

    /// Operators call functions: those must be the system's or be open.
    pub(super) fn operator(&mut self, name: &[Node]) -> Result<(), Fail> {
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
        let parts: Vec<String> = name.names.iter().map(names::string).collect::<Result<_, _>>()?;
        self.scalars(&name.typmods, &mut Vec::new())?;
        parts.iter().try_for_each(|part| self.resolver.type_name(part))
    }
}
