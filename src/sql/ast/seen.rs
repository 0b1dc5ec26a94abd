//! What the AST refers to, by the rules of [`Facts`]: held to PostgreSQL's tree before anything is resolved, so that what
//! the tree names and the AST does not is refused here already.

use std::collections::HashSet;
use std::ops::ControlFlow;

use sqlparser::ast::{
    AccessExpr, BinaryOperator, ConflictTarget, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgOperator,
    FunctionArguments, Ident, ObjectName, ObjectNamePart, OnInsert, OutputClause, SelectItem,
    SelectItemQualifiedWildcardKind, Statement, TableFactor, TableObject, Visit,
};

use super::marker;
use super::walk::{Look, look};
use crate::sql::witness::Facts;

/// What a statement or an expression refers to.
pub(in crate::sql) fn seen(node: &impl Visit, facts: &mut Facts) {
    let mut collector = Collector { facts, passed: HashSet::new() };
    let _ = look(node, &mut collector);
}

/// Functions that the grammar spells as functions, where their name stands without quotes and schema; PostgreSQL's tree has
/// nodes of their own for them.
#[rustfmt::skip]
const GRAMMAR: [&str; 41] = [
    "array", "coalesce", "collation for", "current_catalog", "current_date", "current_role", "current_schema",
    "current_time", "current_timestamp", "current_user", "greatest", "grouping", "json", "json_array",
    "json_arrayagg", "json_exists", "json_objectagg", "json_query", "json_scalar", "json_serialize", "json_table", "json_value",
    "least", "localtime", "localtimestamp", "merge_action", "normalize", "nullif", "row", "session_user",
    "system_user", "user", "xmlattributes", "xmlconcat", "xmlelement", "xmlexists", "xmlforest", "xmlparse", "xmlpi",
    "xmlroot", "xmlserialize",
];

/// Whether a function is one that the grammar spells, and so none that counts: COALESCE, CURRENT_DATE, ROW, XMLELEMENT ..
/// `current_schema()` is a call, CURRENT_SCHEMA is none.
pub fn is_grammar_function(function: &Function) -> bool {
    spelled(&function.name, !matches!(function.args, FunctionArguments::None))
        || is_json_constructor(&function.name, &function.args)
}

/// Whether it is the constructor JSON_OBJECT (PostgreSQL 16), and not the function of that name: with nothing in its parentheses, with a
/// colon or VALUE between key and value, or with a clause.
pub(in crate::sql) fn is_json_constructor(name: &ObjectName, args: &FunctionArguments) -> bool {
    let ([ObjectNamePart::Identifier(ident)], FunctionArguments::List(list)) = (name.0.as_slice(), args) else {
        return false;
    };
    let pair = |arg: &FunctionArg| {
        matches!(
            arg,
            FunctionArg::ExprNamed { operator: FunctionArgOperator::Colon | FunctionArgOperator::Value, .. }
                | FunctionArg::Named { operator: FunctionArgOperator::Colon | FunctionArgOperator::Value, .. }
        )
    };
    let more = list.args.is_empty() || !list.clauses.is_empty() || list.args.iter().any(pair);
    ident.quote_style.is_none() && ident.value.eq_ignore_ascii_case("json_object") && more
}

fn spelled(name: &ObjectName, called: bool) -> bool {
    match name.0.as_slice() {
        [ObjectNamePart::Identifier(ident)] if ident.quote_style.is_none() => {
            let lower = ident.value.to_ascii_lowercase();
            lower.starts_with('\0') || (GRAMMAR.contains(&lower.as_str()) && !(called && lower == "current_schema"))
        }
        _ => false,
    }
}

/// Whether `Expr::Substring` is a call of a function, rather than the grammar's `SUBSTRING(a FROM b)`: with commas or
/// one argument only.
pub fn is_substring_call(expr: &Expr) -> bool {
    match expr {
        Expr::Substring { expr, substring_from, substring_for, special, .. } => {
            let similar =
                matches!(&**expr, Expr::BinaryOp { op: BinaryOperator::Custom(op), .. } if marker::is_words(op));
            *special || (substring_from.is_none() && substring_for.is_none() && !similar)
        }
        _ => false,
    }
}

/// The parts of a column reference: `a.b[1].c` refers to `a.b`. `None` where it starts with something else than a name.
pub fn column_parts(expr: &Expr) -> Option<Vec<String>> {
    match expr {
        Expr::Identifier(ident) => Some(vec![ident.value.clone()]),
        Expr::CompoundIdentifier(parts) => Some(parts.iter().map(|part| part.value.clone()).collect()),
        Expr::CompoundFieldAccess { root, access_chain } => {
            let mut parts = column_parts(root)?;
            for access in access_chain {
                match access {
                    AccessExpr::Dot(Expr::Identifier(ident)) => {
                        parts.push(if marker::is_star(ident) { "*".to_owned() } else { ident.value.clone() });
                    }
                    AccessExpr::Dot(_) | AccessExpr::Subscript(_) => break,
                }
            }
            Some(parts)
        }
        _ => None,
    }
}

struct Collector<'a> {
    facts: &'a mut Facts,
    /// Expressions that are parts of others and no column references of their own.
    passed: HashSet<*const Expr>,
}

fn parts(name: &ObjectName) -> Vec<String> {
    name.0.iter().filter_map(ObjectNamePart::as_ident).map(|ident| ident.value.clone()).collect()
}

impl Collector<'_> {
    fn relation(&mut self, name: &ObjectName) {
        // FROM CURRENT_DATE is a function's.
        if let [ObjectNamePart::Identifier(ident)] = name.0.as_slice()
            && marker::is_reserved(ident)
        {
            return;
        }
        let marked = usize::from(marker::is_only(name) || marker::overriding(name).is_some());
        let mut parts: Vec<String> = parts(name).into_iter().skip(marked).collect();
        // What has more parts, or arguments, agrees with nothing.
        let table = parts.pop().unwrap_or_default();
        let schema = if parts.is_empty() { None } else { Some(parts.join(".")) };
        self.facts.add_relation(schema, table);
    }

    fn function(&mut self, name: &ObjectName) {
        if !spelled(name, true) {
            self.facts.add_function(parts(name));
        }
    }

    fn star(&mut self, name: &ObjectName) {
        let mut parts = parts(name);
        parts.push("*".to_owned());
        self.facts.add_column(parts);
    }

    fn items(&mut self, items: &[SelectItem]) {
        for item in items {
            match item {
                SelectItem::Wildcard(_) => self.facts.add_column(vec!["*".to_owned()]),
                SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), _) => self.star(name),
                SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::Expr(_), _)
                | SelectItem::UnnamedExpr(_)
                | SelectItem::ExprWithAlias { .. }
                | SelectItem::ExprWithAliases { .. } => {}
            }
        }
    }

    fn args(&mut self, args: &[FunctionArg]) {
        for arg in args {
            let value = match arg {
                FunctionArg::Named { arg, .. } | FunctionArg::Unnamed(arg) => arg,
                FunctionArg::ExprNamed { name, arg, operator } => {
                    if matches!(operator, FunctionArgOperator::RightArrow | FunctionArgOperator::Assignment) {
                        self.passed.insert(name);
                    }
                    arg
                }
            };
            if let FunctionArgExpr::QualifiedWildcard(name) = value {
                self.star(name);
            }
        }
    }

    fn call(&mut self, function: &Function) {
        if !is_grammar_function(function) {
            self.facts.add_function(parts(&function.name));
        }
        if let FunctionArguments::List(list) = &function.args {
            self.args(&list.args);
        }
    }

    fn ident(&mut self, ident: &Ident) {
        if !marker::is_reserved(ident) {
            self.facts.add_column(vec![ident.value.clone()]);
        }
    }

    fn field_access(&mut self, expr: &Expr, root: &Expr, chain: &[AccessExpr]) {
        for access in chain {
            if let AccessExpr::Dot(field) = access {
                self.passed.insert(field);
            }
        }
        if let Some(parts) = column_parts(expr) {
            self.passed.insert(root);
            self.facts.add_column(parts);
        }
    }

    /// A column of ON CONFLICT is a name, no reference.
    fn conflict_target(&mut self, name: &ObjectName) {
        for part in &name.0 {
            let ObjectNamePart::Function(function) = part else { continue };
            for arg in &function.args {
                if let FunctionArg::Unnamed(FunctionArgExpr::Expr(element)) = arg {
                    let mut element = element;
                    while let Expr::Collate { expr, .. } = element {
                        element = expr;
                    }
                    if matches!(element, Expr::Identifier(_)) {
                        self.passed.insert(element);
                    }
                }
            }
        }
    }
}

impl Look for Collector<'_> {
    fn select(&mut self, select: &sqlparser::ast::Select) -> ControlFlow<()> {
        self.items(&select.projection);
        ControlFlow::Continue(())
    }

    fn table_factor(&mut self, table: &TableFactor) -> ControlFlow<()> {
        match table {
            TableFactor::Table { name, args: None, .. } => self.relation(name),
            TableFactor::Table { name, args: Some(args), .. } => {
                self.function(name);
                self.args(&args.args);
            }
            TableFactor::Function { name, args, .. } => {
                self.function(name);
                self.args(args);
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }

    fn statement(&mut self, statement: &Statement) -> ControlFlow<()> {
        match statement {
            Statement::Insert(insert) => {
                if let TableObject::TableName(name) = &insert.table {
                    self.relation(name);
                }
                if let Some(OnInsert::OnConflict(conflict)) = &insert.on
                    && let Some(ConflictTarget::OnConstraint(name)) = &conflict.conflict_target
                {
                    self.conflict_target(name);
                }
                self.items(insert.returning.as_deref().unwrap_or_default());
            }
            Statement::Update(update) => self.items(update.returning.as_deref().unwrap_or_default()),
            Statement::Delete(delete) => self.items(delete.returning.as_deref().unwrap_or_default()),
            Statement::Merge(merge) => {
                if let Some(OutputClause::Returning { select_items, .. }) = &merge.output {
                    self.items(select_items);
                }
            }
            Statement::Call(call) => self.call(call),
            _ => {}
        }
        ControlFlow::Continue(())
    }

    fn expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        if self.passed.remove(&std::ptr::from_ref(expr)) {
            return ControlFlow::Continue(());
        }
        match expr {
            Expr::Identifier(ident) => self.ident(ident),
            Expr::CompoundIdentifier(parts) => {
                self.facts.add_column(parts.iter().map(|part| part.value.clone()).collect())
            }
            Expr::CompoundFieldAccess { root, access_chain } => self.field_access(expr, root, access_chain),
            Expr::QualifiedWildcard(name, _) => self.star(name),
            Expr::Wildcard(_) => self.facts.add_column(vec!["*".to_owned()]),
            Expr::Function(function) => self.call(function),
            Expr::Prefixed { prefix, value } if marker::is_current_of(prefix) || marker::is_xml_name(prefix) => {
                self.passed.insert(&**value);
            }
            _ if is_substring_call(expr) => self.facts.add_function(vec!["substring".to_owned()]),
            _ => {}
        }
        ControlFlow::Continue(())
    }
}
