//! Row filters: who consented, and whose row it is.

use std::ops::ControlFlow;

use sqlparser::ast::{Expr, Ident, Query, VisitMut, VisitorMut};

use super::fresh;
use super::{Fail, fail};
use crate::catalog::{Catalog, RelationName, quote_ident, quote_literal};
use crate::policy::{ConsentFilter, SubjectPath};
use crate::sql::ast::fragment;
use crate::sql::ast::render::render_expr;
use crate::sql::resolve::{name_of, quoted, quoted_name};
use crate::sql::reviewed::builtins;

/// What the consent table is called within a filter.
const CONSENT: &str = "pgpurpose_consent";

/// `EXISTS (...)` for one relation, whose row is called `row`: live consent for every purpose that needs it.
///
/// A consent table or column that is not there closes the purpose.
pub(super) fn consent(
    filter: &ConsentFilter,
    subject: &SubjectPath,
    row: &str,
    catalog: &Catalog,
) -> Result<String, Fail> {
    let relation = catalog
        .relation(&filter.table)
        .ok_or_else(|| fail(format!("the purpose is closed: its consent table `{}` does not exist", filter.table)))?;
    for column in [&filter.subject, &filter.purpose_column] {
        if relation.column(column).is_none() {
            return Err(fail(format!("the purpose is closed: `{}` has no column `{column}`", filter.table)));
        }
    }
    let columns: Vec<&str> = relation.columns.iter().map(|column| column.name.as_str()).collect();
    let active = condition("active", &filter.active, &filter.table, &columns, CONSENT)?;
    let Chain { from, conditions, subject } = chain(subject, row);
    let conditions: String = conditions.iter().map(|condition| format!("{condition} AND ")).collect();
    let each = filter.purposes.iter().map(|purpose| {
        let from: String = from.iter().map(|item| format!("{item}, ")).collect();
        format!(
            "EXISTS (SELECT 1 FROM {from}{table} AS \"{CONSENT}\" WHERE {conditions}\"{CONSENT}\".{by} = {subject} AND \
             \"{CONSENT}\".{purpose_column} = {purpose} AND {active})",
            table = filter.table.to_sql(),
            by = quote_ident(&filter.subject),
            purpose_column = quote_ident(&filter.purpose_column),
            purpose = quote_literal(purpose),
        )
    });
    let each: Vec<String> = std::iter::once(fresh::condition()).chain(each).collect();
    Ok(each.join(" AND "))
}

/// The subject of a row as one expression.
pub(super) fn subject(path: &SubjectPath, row: &str) -> String {
    let Chain { from, conditions, subject } = chain(path, row);
    if from.is_empty() {
        subject
    } else {
        format!("(SELECT {subject} FROM {} WHERE {})", from.join(", "), conditions.join(" AND "))
    }
}

/// How a row leads to its subject: relations to join, conditions, and the subject's column at the end.
pub(super) struct Chain {
    pub(super) from: Vec<String>,
    pub(super) conditions: Vec<String>,
    pub(super) subject: String,
}

/// What the relations on the way are called, the first after the row itself being number 0.
pub(super) fn step(number: usize) -> String {
    format!("pgpurpose_subject{number}")
}

pub(super) fn chain(path: &SubjectPath, row: &str) -> Chain {
    let mut chain = Chain { from: Vec::new(), conditions: Vec::new(), subject: String::new() };
    let mut row = row.to_owned();
    let mut path = path;
    loop {
        match path {
            SubjectPath::Column(column) => {
                chain.subject = format!("{}.{}", quote_ident(&row), quote_ident(column));
                return chain;
            }
            SubjectPath::Through { column, relation, references, next } => {
                let name = step(chain.from.len());
                chain.from.push(format!("{} AS {}", relation.to_sql(), quote_ident(&name)));
                chain.conditions.push(format!(
                    "{}.{} = {}.{}",
                    quote_ident(&name),
                    quote_ident(references),
                    quote_ident(&row),
                    quote_ident(column)
                ));
                row = name;
                path = next;
            }
        }
    }
}

/// A condition of the policy's own, every column of it written as `owner`'s, which is what `table` is called: one that is not there must not come
/// to mean a column of the row that is filtered.
pub(super) fn condition(
    key: &str,
    text: &str,
    table: &RelationName,
    columns: &[&str],
    owner: &str,
) -> Result<String, Fail> {
    let unclear = || fail(format!("the purpose is closed: the condition `{key}` of `{table}` is not understood"));
    let mut expr = fragment::parse_expression(&format!("({text})")).map_err(|_| unclear())?;
    let mut owner = Owner { name: owner, columns, fault: None };
    let _ = expr.visit(&mut owner);
    match owner.fault {
        None => Ok(render_expr(&expr)),
        Some(fault) => Err(fail(format!("the purpose is closed: the condition `{key}` of `{table}` {fault}"))),
    }
}

struct Owner<'a> {
    name: &'a str,
    columns: &'a [&'a str],
    fault: Option<String>,
}

impl Owner<'_> {
    fn own(&mut self, ident: &Ident) -> Expr {
        let name = name_of(ident);
        if !self.columns.contains(&name.as_str()) {
            self.fault.get_or_insert(format!("names the column `{name}`, which is not there"));
        }
        Expr::CompoundIdentifier(vec![quoted(self.name), quoted(&name)])
    }
}

/// What the clock of the transaction's start is written as: a consent that ended since has ended.
fn clock(expr: &Expr) -> Option<Expr> {
    let name = match expr {
        Expr::Identifier(ident) if ident.quote_style.is_none() => name_of(ident),
        Expr::Function(function) => match function.name.0.as_slice() {
            [part] => name_of(part.as_ident()?),
            [schema, part] if name_of(schema.as_ident()?) == "pg_catalog" => name_of(part.as_ident()?),
            _ => return None,
        },
        _ => return None,
    };
    let text = match name.as_str() {
        "now" | "transaction_timestamp" | "current_timestamp" => "pg_catalog.statement_timestamp()",
        "current_date" => "pg_catalog.statement_timestamp()::date",
        "localtimestamp" => "pg_catalog.statement_timestamp()::timestamp",
        _ => return None,
    };
    fragment::parse_expression(text).ok()
}

impl VisitorMut for Owner<'_> {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Some(now) = clock(expr) {
            *expr = now;
        }
        match expr {
            Expr::Identifier(ident) if ident.quote_style.is_none() && builtins::is_value_keyword(&name_of(ident)) => {}
            Expr::Identifier(ident) => *expr = self.own(&ident.clone()),
            Expr::CompoundIdentifier(parts) if parts.first().is_some_and(|part| part.value == self.name) => {}
            Expr::CompoundIdentifier(_) => {
                self.fault.get_or_insert("names a column with its table".to_owned());
            }
            Expr::Function(function) => {
                let name = function.name.0.last().and_then(|part| part.as_ident()).map(name_of).unwrap_or_default();
                if builtins::is_value_keyword(&name) || builtins::is_grammar_function(&name) {
                } else if builtins::is_reviewed(&name) {
                    function.name = quoted_name(["pg_catalog", name.as_str()]);
                } else {
                    self.fault.get_or_insert(format!("calls the function `{name}`, which is not reviewed"));
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_query(&mut self, _query: &mut Query) -> ControlFlow<()> {
        self.fault.get_or_insert("holds a query".to_owned());
        ControlFlow::Break(())
    }
}
