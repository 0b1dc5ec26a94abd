//! COPY of a table: out of it is a query, into it a write.

use sqlparser::ast::{Expr, Statement};
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::parser::Parser;

use super::carry::Carry;
use super::from::Called;
use super::from::columns_of;
use super::scope::{Scope, Source};
use super::{Fail, Resolved, Resolver, unsupported};
use crate::catalog::{RelationName, quote_ident};
use crate::error::{Refusal, SqlState, Stage};
use crate::policy::{Shape, Use, Verb};
use crate::sql::form::context::Context;
use crate::sql::witness::Facts;

/// `COPY t (columns) TO STDOUT` as `SELECT columns FROM t`, resolved.
///
/// # Errors
/// As [`super::resolve`].
pub(in crate::sql) fn copy_out(
    schema: Option<String>,
    name: String,
    columns: &[String],
    witness: &Facts,
    carry: Carry,
    context: &Context<'_>,
) -> Result<Resolved, Fail> {
    let mut seen = Facts::default();
    seen.add_relation(schema.clone(), name.clone());
    witness.agrees(&seen)?;
    let list: Vec<String> = columns.iter().map(|column| quote_ident(column)).collect();
    let list = if list.is_empty() { "*".to_owned() } else { list.join(", ") };
    let table: Vec<String> = schema.iter().chain([&name]).map(|part| quote_ident(part)).collect();
    let text = format!("SELECT {list} FROM {}", table.join("."));
    let mut statements =
        Parser::parse_sql(&PostgreSqlDialect {}, &text).map_err(|_| Refusal::internal(Stage::Resolve))?;
    let Some(mut statement @ Statement::Query(_)) = statements.pop() else {
        return Err(Refusal::internal(Stage::Resolve));
    };
    // Of a column that is not there COPY says something else than a query.
    let context = &Context { absent: false, ..*context };
    let mut resolver = Resolver::new(context);
    resolver.carry_rows(carry);
    resolver.statement(&mut statement).map_err(|refusal| {
        let refusal = refusal.placeless();
        match columns.iter().find(|column| refusal.message == format!("column `{column}` does not exist")) {
            Some(column) => {
                no_column(refusal.told(format!("column \"{column}\" of relation \"{name}\" does not exist")))
            }
            None => refusal,
        }
    })?;
    Ok(resolver.resolved(statement, Shape::default()))
}

/// `COPY t (columns) FROM STDIN`: the columns that are written, and the table by its full name.
///
/// # Errors
/// As [`super::resolve`].
pub(in crate::sql) fn copy_in(
    schema: Option<String>,
    name: String,
    columns: &[String],
    filter: Option<&mut Expr>,
    witness: &Facts,
    context: &Context<'_>,
) -> Result<(Resolved, RelationName), Fail> {
    let mut resolver = Resolver::new(context);
    resolver.seen.add_relation(schema.clone(), name.clone());
    let relation = match resolver.called(schema.as_deref(), &name).map_err(Refusal::placeless)? {
        Called::System(name) => return Err(crate::sql::reviewed::system::closed(&name)),
        Called::Relation(relation) => relation,
    };
    let id = resolver.occurs(&relation, &name, Verb::Insert);
    resolver.writes(id, columns).map_err(|refusal| no_column(refusal.placeless()))?;
    resolver.cannot_hold(id, columns);
    if let Some(filter) = filter {
        // It looks at the new rows: at what the client sends, and at what the table's defaults say.
        let source = Source::relation(name.clone(), None, Some(columns_of(&relation, id)), id);
        resolver.scopes.push(Scope { sources: vec![source], ..Scope::default() });
        resolver.expr(filter, Use::Filter)?;
        resolver.scopes.pop();
        if resolver.occurrences.len() > 1 || !resolver.system.is_empty() {
            return Err(unsupported("a subquery in the WHERE of COPY"));
        }
    }
    witness.agrees(&resolver.seen)?;
    resolver.meant.add_relation(Some(relation.name.schema.clone()), relation.name.name.clone());
    if !relation.is_writable() {
        return Err(Refusal::new(
            Stage::Resolve,
            SqlState::FEATURE_NOT_SUPPORTED,
            format!("COPY into `{}` is not supported", relation.name),
        ));
    }
    let hollow = Statement::UNLISTEN { channel: sqlparser::ast::Ident::new("*") };
    let target = relation.name.clone();
    Ok((resolver.resolved(hollow, Shape::default()), target))
}

/// As COPY tells of its columns.
fn no_column(mut refusal: Fail) -> Fail {
    refusal.hint = None;
    refusal.said_by("copy.c", "CopyGetAttnums")
}
