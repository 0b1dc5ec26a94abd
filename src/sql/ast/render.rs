//! AST to text, such that PostgreSQL reads the tree that was meant.
//!
//! sqlparser's own rendering is used, after the parts that it writes wrongly have been put in a form that it copies
//! as it stands: names, strings, signs, and our markers. A name without quotes is copied as it stands.

use sqlparser::ast::{
    Assignment, AssignmentTarget, ConflictTarget, Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, Insert,
    Join, JoinConstraint, JoinOperator, LockClause, MergeAction, MergeUpdateKind, NamedWindowExpr, ObjectName,
    ObjectNamePart, OnConflictAction, OnInsert, Query, Select, Statement, TableFactor, TableObject, UnaryOperator,
    Value, ValueWithSpan, VisitMut, WindowSpec, WindowType,
};

use super::fragment::nest;
use super::marker::{self, Overriding};
use super::walk::{Change, change};
use crate::catalog::{quote_ident, quote_literal};
use crate::sql::form::Slot;

/// The text of a statement.
pub fn render(statement: &Statement) -> String {
    text_of(statement)
}

/// The text of an expression.
pub fn render_expr(expr: &Expr) -> String {
    text_of(expr)
}

/// The text of a statement that nobody needs afterwards: no copy of it is made.
pub(in crate::sql) fn render_owned(statement: Statement) -> String {
    written_over(statement)
}

fn text_of<T: VisitMut + Clone + ToString>(node: &T) -> String {
    written_over(node.clone())
}

fn written_over<T: VisitMut + ToString>(mut node: T) -> String {
    change(&mut node, &mut Writer);
    unmark(node.to_string())
}

/// Signs that stand where sqlparser writes words in the wrong place. They hold a NUL, which no name or string can.
const KEY_LOCK: &str = "\0key";
const USING_AS: &str = ", \0as ";
const USING_END: &str = "\0)";

/// Puts right what could not be put right in the AST.
fn unmark(text: String) -> String {
    if Slot::are_all_signs(&text) {
        return text;
    }
    text.replace(&format!("FOR UPDATE OF {KEY_LOCK} OF "), "FOR NO KEY UPDATE OF ")
        .replace(&format!("FOR SHARE OF {KEY_LOCK} OF "), "FOR KEY SHARE OF ")
        .replace(&format!("FOR UPDATE OF {KEY_LOCK}"), "FOR NO KEY UPDATE")
        .replace(&format!("FOR SHARE OF {KEY_LOCK}"), "FOR KEY SHARE")
        .replace(&format!("VALUES ({})", marker::DEFAULT_VALUES), "DEFAULT VALUES")
        .replace(&format!("FROM {}", marker::RECURSION), "")
        .replace(marker::WORDS, "")
        .replace(&format!("GROUP BY {}, ", marker::GROUP_DISTINCT), "GROUP BY DISTINCT ")
        .replace(marker::MADE_COLUMN, "")
        .replace(&format!("TIME ZONE {}", marker::LOCAL_ZONE), "LOCAL")
        .replace(&format!("LIMIT {}", marker::TIES), "FETCH FIRST")
        .replace(marker::XML_CONTENT, "CONTENT")
        .replace(marker::XML_DOCUMENT, "DOCUMENT")
        .replace(USING_AS, ") AS ")
        .replace(USING_END, "")
}

/// Puts text in the place of nodes, innermost first.
struct Writer;

fn raw(text: String) -> Ident {
    Ident::new(text)
}

fn raw_name(text: String) -> ObjectName {
    ObjectName(vec![ObjectNamePart::Identifier(raw(text))])
}

impl Change for Writer {
    fn after_ident(&mut self, ident: &mut Ident) {
        if ident.quote_style.take().is_some() {
            ident.value = quote_ident(&ident.value);
        } else if marker::is_star(ident) {
            ident.value = "*".to_owned();
        } else if marker::is_no_alias(ident) || ident.value == marker::NO_BOUND {
            ident.value = String::new();
        } else if ident.value == marker::ROWS_FROM {
            ident.value = "ROWS FROM".to_owned();
        }
    }

    fn after_value(&mut self, value: &mut ValueWithSpan) {
        let text = match &value.value {
            Value::SingleQuotedString(text) | Value::EscapedStringLiteral(text) => quote_literal(text),
            Value::NationalStringLiteral(text) => format!("N'{}'", text.replace('\'', "''")),
            Value::SingleQuotedByteStringLiteral(digits) => format!("B'{digits}'"),
            Value::HexStringLiteral(digits) => format!("X'{digits}'"),
            _ => return,
        };
        value.value = Value::Placeholder(text);
    }

    fn after_relation(&mut self, relation: &mut ObjectName) {
        if marker::is_only(relation) {
            relation.0.remove(0);
            *relation = raw_name(format!("ONLY {relation}"));
        }
    }

    fn after_table_factor(&mut self, table: &mut TableFactor) {
        match table {
            TableFactor::NestedJoin { table_with_joins, .. } => table_with_joins.joins.iter_mut().for_each(join),
            TableFactor::XmlTable { row_expression, .. } => {
                let lateral = match row_expression {
                    Expr::Prefixed { prefix, value } if prefix.value == marker::LATERAL => {
                        let path = std::mem::replace(value.as_mut(), Expr::Tuple(Vec::new()));
                        *row_expression = path;
                        true
                    }
                    _ => false,
                };
                if lateral {
                    *table = written(format!("LATERAL {table}"));
                }
            }
            _ => {}
        }
    }

    fn after_expr(&mut self, expr: &mut Expr) {
        match expr {
            // `- - 1` must not become a comment, nor `- @` an operator of two signs.
            Expr::UnaryOp { op, expr: inner } if *op != UnaryOperator::Not && starts_with_sign(inner) => nest(inner),
            Expr::Prefixed { prefix, value } if prefix.value == marker::TIES => {
                *expr = Expr::Identifier(raw(format!("{} {value} ROWS WITH TIES", marker::TIES)));
            }
            Expr::Prefixed { value, .. } if starts_with_sign(value) => nest(value),
            Expr::Collate { expr: inner, collation } if marker::is_operator_class(collation) => {
                collation.0.remove(0);
                *expr = Expr::Identifier(raw(format!("{inner} {collation}")));
            }
            Expr::Function(function) if marker::is_sequence(&function.name) => {
                if let FunctionArguments::List(list) = &function.args {
                    let parts: Vec<String> = list.args.iter().map(ToString::to_string).collect();
                    *expr = Expr::Identifier(raw(parts.join(" ")));
                }
            }
            Expr::Function(function) => {
                if let Some(WindowType::WindowSpec(spec)) = &mut function.over {
                    frame(spec);
                }
            }
            Expr::GroupingSets(sets) => {
                let sets: Vec<String> = sets.iter().map(|set| grouping_set(set)).collect();
                *expr = Expr::Identifier(raw(format!("{GROUPING_SETS}{})", sets.join(", "))));
            }
            _ => {}
        }
    }

    fn after_select(&mut self, select: &mut Select) {
        for window in &mut select.named_window {
            if let NamedWindowExpr::WindowSpec(spec) = &mut window.1 {
                frame(spec);
            }
        }
        select.from.iter_mut().for_each(|table| table.joins.iter_mut().for_each(join));
    }

    fn after_query(&mut self, query: &mut Query) {
        query.locks.iter_mut().for_each(lock);
    }

    fn after_statement(&mut self, statement: &mut Statement) {
        match statement {
            Statement::Insert(statement) => insert(statement),
            Statement::Update(update) => {
                assignments(&mut update.assignments);
                update.table.joins.iter_mut().for_each(join);
            }
            Statement::Merge(merge) => {
                for clause in &mut merge.clauses {
                    match &mut clause.action {
                        MergeAction::Update(update) => match &mut update.kind {
                            MergeUpdateKind::Set(set) => assignments(set),
                            MergeUpdateKind::Wildcard => {}
                        },
                        MergeAction::Insert(insert) => insert.columns.iter_mut().for_each(target),
                        MergeAction::Delete { .. } | MergeAction::DoNothing { .. } => {}
                    }
                }
            }
            _ => {}
        }
    }
}

/// A FROM item that is copied as it stands.
fn written(text: String) -> TableFactor {
    TableFactor::Table {
        name: raw_name(text),
        alias: None,
        args: None,
        with_hints: Vec::new(),
        version: None,
        with_ordinality: false,
        partitions: Vec::new(),
        json_path: None,
        sample: None,
        index_directives: Vec::new(),
        inheritance: None,
    }
}

const GROUPING_SETS: &str = "GROUPING SETS (";

/// One of GROUPING SETS: in parentheses, but for sets of sets.
fn grouping_set(set: &[Expr]) -> String {
    match set {
        [one @ (Expr::Cube(_) | Expr::Rollup(_))] => one.to_string(),
        [Expr::Identifier(one)] if one.value.starts_with(GROUPING_SETS) => one.value.clone(),
        set => format!("({})", set.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")),
    }
}

fn starts_with_sign(expr: &Expr) -> bool {
    match expr {
        Expr::UnaryOp { .. } | Expr::Prefixed { .. } => true,
        Expr::BinaryOp { left, .. } => starts_with_sign(left),
        Expr::Cast { expr, .. } | Expr::Collate { expr, .. } => starts_with_sign(expr),
        Expr::CompoundFieldAccess { root, access_chain: _ } => starts_with_sign(root),
        _ => false,
    }
}

/// Subscripts as they are written.
fn target(name: &mut ObjectName) {
    if !name.0.iter().any(|part| matches!(part, ObjectNamePart::Function(_))) {
        return;
    }
    let mut text = String::new();
    for part in &name.0 {
        match part {
            ObjectNamePart::Identifier(ident) => {
                if !text.is_empty() {
                    text.push('.');
                }
                text.push_str(&ident.value);
            }
            ObjectNamePart::Function(function) => {
                let bounds: Vec<String> = function.args.iter().map(ToString::to_string).collect();
                text.push_str(&format!("[{}]", bounds.join(":")));
            }
        }
    }
    *name = raw_name(text);
}

fn assignments(assignments: &mut [Assignment]) {
    for assignment in assignments {
        match &mut assignment.target {
            AssignmentTarget::ColumnName(name) => target(name),
            AssignmentTarget::Tuple(names) => names.iter_mut().for_each(target),
        }
    }
}

/// What an INSERT writes in other places than sqlparser has for it.
fn insert(insert: &mut Insert) {
    insert.columns.iter_mut().for_each(target);
    if let Some(OnInsert::OnConflict(conflict)) = &mut insert.on {
        if let OnConflictAction::DoUpdate(update) = &mut conflict.action {
            assignments(&mut update.assignments);
        }
        if let Some(ConflictTarget::OnConstraint(name)) = &conflict.conflict_target
            && marker::is_conflict_target(name)
        {
            conflict.conflict_target =
                Some(ConflictTarget::Columns { columns: vec![raw(conflict_target(name))], predicate: None });
        }
    }
    let TableObject::TableName(name) = &mut insert.table else { return };
    let Some(overriding) = marker::overriding(name) else { return };
    name.0.remove(0);
    let mut text = name.to_string();
    if let Some(alias) = insert.table_alias.take() {
        text.push_str(&format!(" AS {}", alias.alias));
    }
    if !insert.columns.is_empty() {
        let columns: Vec<String> = insert.columns.drain(..).map(|column| column.to_string()).collect();
        text.push_str(&format!(" ({})", columns.join(", ")));
    }
    text.push_str(match overriding {
        Overriding::User => " OVERRIDING USER VALUE",
        Overriding::System => " OVERRIDING SYSTEM VALUE",
    });
    *name = raw_name(text);
}

/// `a, lower(b)) WHERE (c > 1`: sqlparser writes the outer parentheses.
fn conflict_target(name: &ObjectName) -> String {
    let mut elements = Vec::new();
    let mut filter = String::new();
    for part in &name.0 {
        let ObjectNamePart::Function(function) = part else { continue };
        for arg in &function.args {
            match arg {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Function(call)))
                    if marker::is_conflict_where(&call.name) =>
                {
                    let condition = call.args.to_string();
                    let condition =
                        condition.strip_prefix('(').and_then(|text| text.strip_suffix(')')).unwrap_or(&condition);
                    filter = format!(") WHERE ({condition}");
                }
                other => elements.push(other.to_string()),
            }
        }
    }
    format!("{}{filter}", elements.join(", "))
}

/// EXCLUDE stands behind the frame.
fn frame(spec: &mut WindowSpec) {
    let exclude = match spec.partition_by.first() {
        Some(Expr::Identifier(ident)) => match ident.value.as_str() {
            marker::EXCLUDE_TIES => "EXCLUDE TIES",
            marker::EXCLUDE_GROUP => "EXCLUDE GROUP",
            marker::EXCLUDE_ROW => "EXCLUDE CURRENT ROW",
            _ => return,
        },
        _ => return,
    };
    spec.partition_by.remove(0);
    let text = format!("{spec} {exclude}");
    *spec =
        WindowSpec { window_name: Some(raw(text)), partition_by: Vec::new(), order_by: Vec::new(), window_frame: None };
}

fn lock(lock: &mut LockClause) {
    let Some(of) = &lock.of else { return };
    let sign = match of.0.first().and_then(ObjectNamePart::as_ident).map(|ident| ident.value.as_str()) {
        Some(marker::KEY_LOCK_OF) => KEY_LOCK,
        Some(marker::LOCK_OF) => "",
        _ => return,
    };
    let names: Vec<String> = marker::locked(of).map(|ident| ident.value.clone()).collect();
    let of = if names.is_empty() { "" } else { " OF " };
    let text = format!("{sign}{}{}", if sign.is_empty() { "" } else { of }, names.join(", "));
    lock.of = Some(raw_name(text));
}

fn join(join: &mut Join) {
    let (JoinOperator::Join(constraint)
    | JoinOperator::Inner(constraint)
    | JoinOperator::Left(constraint)
    | JoinOperator::LeftOuter(constraint)
    | JoinOperator::Right(constraint)
    | JoinOperator::RightOuter(constraint)
    | JoinOperator::FullOuter(constraint)) = &mut join.join_operator
    else {
        return;
    };
    let JoinConstraint::Using(names) = constraint else { return };
    let alias = names.last().and_then(marker::using_alias).map(|alias| alias.value.clone());
    if let (Some(alias), Some(last)) = (alias, names.last_mut()) {
        // The sign begins with the comma that sqlparser writes.
        *last = raw_name(format!("\0as {alias}\0"));
    }
}
