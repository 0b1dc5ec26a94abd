//! The derived table that stands where a governed relation stood.
//!
//! INVARIANT I4: Masked below the predicates: conditions, joins and aggregates stand above the derived table.

use std::collections::BTreeMap;
use std::sync::Arc;

use sqlparser::ast::helpers::attached_token::AttachedToken;
use sqlparser::ast::{CaseWhen, Expr, Query, SetExpr, TableAlias, TableAliasColumnDef, TableFactor, Value};

use super::condition::said::Whom;
use super::fresh;
use super::{Fail, fail, filter, groups, mask, rows};
use crate::catalog::{Column, Relation, TypeClass, quote_ident};
use crate::error::{Refusal, Stage};
use crate::policy::{Action, ColumnObligation, RelationObligation, SubjectPath, Use};
use crate::sql::ast::fragment::{FIRST_VALUE, fill, own, parse_expression, parse_query};
use crate::sql::ast::marker;
use crate::sql::form::context::Context;
use crate::sql::resolve::{Occurrence, Range, quoted, quoted_name};
use crate::sql::reviewed::definitions::ROW;
use crate::sql::witness::{self, Facts};

/// The hidden column by which `min_group` counts subjects.
pub(super) const SUBJECT: &str = "pgpurpose_subject";

/// An open relation: written by its full name.
pub(super) fn open(occurrence: &Occurrence, factor: &TableFactor) -> Result<(TableFactor, Facts), Fail> {
    let mut factor = factor.clone();
    let relation = &occurrence.relation.name;
    if occurrence.sample.is_some() {
        // Only a fragment can say TABLESAMPLE again: sqlparser's AST does not keep it as the resolver needs it.
        let physical: String = match occurrence.star {
            true => String::new(),
            false => occurrence.physical.iter().map(|column| format!(", \"{ROW}\".{}", quote_ident(column))).collect(),
        };
        let text = format!("SELECT \"{ROW}\".*{physical} FROM {} AS \"{ROW}\"{}", base(occurrence), sample(occurrence));
        return derive(occurrence, Fragment::of(&text)?, &[], true);
    }
    let TableFactor::Table { name, alias, .. } = &mut factor else { return Err(Refusal::internal(Stage::Rewrite)) };
    *name = quoted_name([relation.schema.as_str(), relation.name.as_str()]);
    if let Some(alias) = alias {
        alias.columns = column_list(&occurrence.column_aliases);
    }
    marker::set_only(name, occurrence.only);
    let mut facts = Facts::default();
    facts.add_relation(Some(relation.schema.clone()), relation.name.clone());
    Ok((factor, facts))
}

/// A governed relation: only the columns that the statement uses, masked, and only the rows that it may see. `writes`: the statement writes
/// rows somewhere.
pub(super) fn governed(
    occurrence: &Occurrence,
    obligation: &RelationObligation,
    context: &Context<'_>,
    fence: bool,
    hidden: Option<&str>,
    writes: bool,
) -> Result<(TableFactor, Facts), Fail> {
    let RelationObligation::Governed { columns, subject, min_group, .. } = obligation else {
        return Err(Refusal::internal(Stage::Rewrite));
    };
    let mut items = Vec::new();
    let whose = subject.as_ref().and_then(|path| subject_text(path, ROW, &occurrence.relation, context));
    for column in &occurrence.relation.columns {
        if let Some(item) = item(occurrence, column, columns, context, whose.as_deref())? {
            items.push(item);
        }
    }
    if !occurrence.physical.is_empty() {
        if occurrence.star {
            return Err(Refusal::unsupported(
                Stage::Rewrite,
                format!("system columns beside a star over `{}` are not supported", occurrence.relation.name),
            )
            .hint("name the columns instead of `*`"));
        }
        if min_group.is_some() {
            return Err(fail(format!(
                "system columns of `{}` are not open to a purpose that sees groups only",
                occurrence.relation.name
            )));
        }
    }
    for column in &occurrence.physical {
        items.push(format!("\"{ROW}\".{column} AS {}", quote_ident(column)));
    }
    if min_group.is_some() {
        let path = subject.as_ref().ok_or_else(|| Refusal::internal(Stage::Rewrite))?;
        items.push(format!("{} AS {}", filter::subject(path, ROW), quote_ident(SUBJECT)));
    }
    if let Some(hidden) = hidden {
        let path = subject.as_ref().ok_or_else(|| Refusal::internal(Stage::Rewrite))?;
        items.push(format!("{}::pg_catalog.text AS {}", filter::subject(path, ROW), quote_ident(hidden)));
    }
    let mut conditions = Vec::new();
    let mut values = Vec::new();
    for lookup in occurrence.lookups.iter().filter(|lookup| is_lookup(obligation, &lookup.column)) {
        conditions.push(format!("\"{ROW}\".{} = ${}", quote_ident(&lookup.column), FIRST_VALUE + values.len()));
        values.push(lookup.value.clone());
    }
    for range in &occurrence.ranges {
        let constant = format!("${}", FIRST_VALUE + values.len());
        let implied = implied(occurrence, columns, range, &constant, context.catalog.server_version());
        if !implied.is_empty() {
            conditions.extend(implied);
            values.push(range.value.clone());
        }
    }
    if writes && obligation.rests_on_wishes() {
        // Where the rows go, others may have to be waited for.
        conditions.push(fresh::short_wait(context.policies.lock_seconds()));
    }
    conditions.extend(row_conditions(occurrence, obligation, ROW, context)?);
    let filter = if conditions.is_empty() { String::new() } else { format!(" WHERE {}", conditions.join(" AND ")) };
    // Without a fence PostgreSQL may run the caller's predicates before the filter.
    let fence = if obligation.leaves_rows_out() && fence { " OFFSET 0" } else { "" };
    // Without it rows may come in the order of an index over what is hidden. `random()` would give a sequence that a client starts by
    // `setseed`, or goes on with from what it saw, and so the order in which the rows were found; no client starts this one.
    let shuffled = context.policies.shuffles(context.purpose);
    let order = if shuffled { " ORDER BY pg_catalog.gen_random_uuid()" } else { "" };
    let text = format!(
        "SELECT {} FROM {} AS \"{ROW}\"{}{filter}{order}{fence}",
        items.join(", "),
        base(occurrence),
        sample(occurrence)
    );
    let fragment = Fragment::known(&text, context)?;
    let fragment = Fragment { query: own(fragment.query.clone(), context.catalog), facts: fragment.facts.clone() };
    derive(occurrence, fragment, &values, false)
}

/// What a condition over a masked column says of the raw one.
fn implied(
    occurrence: &Occurrence,
    columns: &BTreeMap<String, ColumnObligation>,
    range: &Range,
    constant: &str,
    server_version: u32,
) -> Vec<String> {
    // Beside the row filter a virtual column would be computed for rows that the filter leaves out.
    let column = occurrence.relation.column(&range.column).filter(|column| !column.may_be_virtual(server_version));
    match (column, columns.get(&range.column).map(|column| &column.action)) {
        (Some(column), Some(Action::Mask { mask, .. })) => {
            let value = format!("\"{ROW}\".{}", quote_ident(&column.name));
            mask::range::implied(mask, column, &value, range, constant)
        }
        (Some(_), Some(Action::Read | Action::Omit | Action::Write) | None) | (None, _) => Vec::new(),
    }
}

/// The row filter of a relation that is not derived, as a condition over `row`.
pub(super) fn row_filter(
    occurrence: &Occurrence,
    obligation: &RelationObligation,
    row: &str,
    context: &Context<'_>,
) -> Result<Option<(Expr, Facts)>, Fail> {
    let conditions = row_conditions(occurrence, obligation, row, context)?;
    if conditions.is_empty() {
        return Ok(None);
    }
    let condition = conditions.join(" AND ");
    let facts = witness::facts_of(&format!("SELECT {condition}"))?;
    let condition = own(parse_expression(&condition)?, context.catalog);
    Ok(Some((Expr::Nested(Box::new(condition)), facts)))
}

/// Each condition that a row must meet.
fn row_conditions(
    occurrence: &Occurrence,
    obligation: &RelationObligation,
    row: &str,
    context: &Context<'_>,
) -> Result<Vec<String>, Fail> {
    let RelationObligation::Governed { consent, rows: filters, subject, .. } = obligation else {
        return Ok(Vec::new());
    };
    let mut conditions = Vec::new();
    if let Some(consent) = consent {
        let path = subject.as_ref().ok_or_else(|| Refusal::internal(Stage::Rewrite))?;
        conditions.push(filter::consent(consent, path, row, context.catalog)?);
    } else if obligation.rests_on_wishes() {
        conditions.push(fresh::condition());
    }
    let place = rows::Place {
        relation: &occurrence.relation,
        row,
        subject: subject.as_ref(),
        catalog: context.catalog,
        whom: Whom::of(context),
    };
    for filter in filters {
        conditions.push(rows::condition(filter, place)?);
    }
    Ok(conditions)
}

/// `CASE WHEN filter THEN condition ELSE false END`: the condition sees only rows that passed the filter.
pub(super) fn guarded(filter: Expr, condition: Expr) -> Expr {
    Expr::Case {
        case_token: AttachedToken::empty(),
        end_token: AttachedToken::empty(),
        operand: None,
        conditions: vec![CaseWhen { condition: filter, result: condition }],
        else_result: Some(Box::new(Expr::Value(Value::Boolean(false).into()))),
    }
}

/// `CASE WHEN filter THEN value END`.
pub(super) fn where_agreed(filter: Expr, value: Expr) -> Expr {
    Expr::Case {
        case_token: AttachedToken::empty(),
        end_token: AttachedToken::empty(),
        operand: None,
        conditions: vec![CaseWhen { condition: filter, result: value }],
        else_result: None,
    }
}

/// `count(DISTINCT subject) >= least`.
///
/// With a `value`, only subjects count that have one.
pub(super) fn at_least(column: &[String], value: Option<&[String]>, least: u32) -> Result<Expr, Fail> {
    let written = |parts: &[String]| parts.iter().map(|part| quote_ident(part)).collect::<Vec<_>>().join(".");
    let column = written(column);
    let counted = match value {
        None => column,
        Some(value) => format!("CASE WHEN {} IS NULL THEN NULL ELSE {column} END", written(value)),
    };
    parse_expression(&format!("pg_catalog.count(DISTINCT {counted}) >= {least}"))
}

/// `(everybody in the relation) - (those in the group)` is 0, or at least `least`.
///
/// With a `value`, only subjects count that have one, here and there.
pub(super) fn outside(
    occurrence: &Occurrence,
    obligation: &RelationObligation,
    value: Option<&str>,
    least: u32,
    context: &Context<'_>,
) -> Result<(Expr, Facts), Fail> {
    let RelationObligation::Governed { subject: Some(path), .. } = obligation else {
        return Err(Refusal::internal(Stage::Rewrite));
    };
    let of_those = |who: &str, value: Option<String>| match value {
        None => who.to_owned(),
        Some(value) => format!("CASE WHEN {value} IS NULL THEN NULL ELSE {who} END"),
    };
    let alias = quote_ident(&occurrence.alias);
    let shown = value.map(|name| format!("{alias}.{}", quote_ident(occurrence.shown_as(name))));
    let group = of_those(&format!("{alias}.{}", quote_ident(SUBJECT)), shown);
    let stored = value.map(|name| format!("\"{ROW}\".{}", quote_ident(name)));
    let everybody = of_those(&filter::subject(path, ROW), stored);
    // Those who are left out of every answer are nobody's difference.
    let conditions = row_conditions(occurrence, obligation, ROW, context)?;
    let rows = if conditions.is_empty() { String::new() } else { format!(" WHERE {}", conditions.join(" AND ")) };
    // A part is not its own whole: what is left of the relation that it is part of can be asked for as well.
    let whole = context.catalog.ancestors(occurrence.relation.oid).last().copied();
    let whole = whole.and_then(|oid| context.catalog.relation_by_oid(oid)).unwrap_or(&occurrence.relation);
    let rest = format!(
        "(SELECT pg_catalog.count(DISTINCT {everybody}) FROM {} AS \"{ROW}\"{rows}) - pg_catalog.count(DISTINCT {group})",
        whole.name.to_sql()
    );
    let condition = groups::not_a_few(&rest, least);
    let facts = witness::facts_of(&format!("SELECT {condition}"))?;
    Ok((Expr::Nested(Box::new(parse_expression(&condition)?)), facts))
}

/// Where only groups are seen, the columns that name one row or one data subject may be joined by and counted, and no more.
pub(super) fn singles_nobody_out(occurrence: &Occurrence, obligation: &RelationObligation) -> Result<(), Fail> {
    let relation = &occurrence.relation;
    let key = match relation.primary_key.as_slice() {
        [number] => relation.columns.iter().find(|column| column.number == *number).map(|column| column.name.as_str()),
        _ => None,
    };
    let whose = match obligation {
        RelationObligation::Governed {
            subject: Some(SubjectPath::Column(column) | SubjectPath::Through { column, .. }),
            ..
        } => Some(column.as_str()),
        RelationObligation::Governed { subject: None, .. } | RelationObligation::Open { .. } => None,
    };
    let singling = |uses: &Use| matches!(uses, Use::Filter | Use::Lookup | Use::Group | Use::Order | Use::Output);
    for name in key.into_iter().chain(whose) {
        if occurrence.uses.get(name).is_some_and(|uses| uses.iter().any(singling)) {
            return Err(fail(format!(
                "column `{}.{name}` names single rows or data subjects, and the purpose sees groups only",
                relation.name
            ))
            .hint("filter and group by columns that many people share; join with ON; the column may be joined by and counted"));
        }
    }
    Ok(())
}

/// Whether `column = constant` may be tested on the raw value.
pub(super) fn is_lookup(obligation: &RelationObligation, column: &str) -> bool {
    match obligation {
        RelationObligation::Open { .. } => false,
        RelationObligation::Governed { columns, .. } => {
            columns.get(column).is_some_and(|column| matches!(column.action, Action::Mask { lookup: true, .. }))
        }
    }
}

/// Whether the column may be read as it is here, and is one that some rule opens for lookups.
pub(super) fn is_open_lookup(obligation: &RelationObligation, column: &str, context: &Context<'_>) -> bool {
    match obligation {
        RelationObligation::Open { .. } => false,
        RelationObligation::Governed { relation, columns, .. } => {
            columns.get(column).is_some_and(|column| matches!(column.action, Action::Read))
                && context.policies.opens_for_lookup(relation, column)
        }
    }
}

fn item(
    occurrence: &Occurrence,
    column: &Column,
    columns: &BTreeMap<String, ColumnObligation>,
    context: &Context<'_>,
    subject: Option<&str>,
) -> Result<Option<String>, Fail> {
    let Some(obligation) = columns.get(&column.name) else { return Ok(None) };
    let value = format!("\"{ROW}\".{}", quote_ident(&column.name));
    let expression = match &obligation.action {
        Action::Read => value,
        Action::Mask { mask, .. } => {
            let name = format!("{}.{}", occurrence.relation.name, column.name);
            let domain = domain(&occurrence.relation, column, context);
            let (purpose, domain) = (context.purpose, domain.as_str());
            let masked = mask::Masked { column, value: &value, name: &name, domain, purpose, subject };
            mask::sql(mask, &masked).ok_or_else(|| {
                fail(format!("mask `{mask}` does not fit column `{name}` of type `{}`", column.type_sql))
            })?
        }
        Action::Omit => return Ok(None),
        // The resolver gives reads and writes occurrences of their own.
        Action::Write => return Err(Refusal::internal(Stage::Rewrite)),
    };
    Ok(Some(format!("{expression} AS {}", quote_ident(occurrence.shown_as(&column.name)))))
}

/// The column whose values a column has: what its foreign key refers to, and so on, in the relation at the top of what it is part
/// of. Keys that say whose a row is are of one domain.
pub(super) fn domain(relation: &Relation, column: &Column, context: &Context<'_>) -> String {
    const LONGEST: usize = 16;
    let catalog = context.catalog;
    let (mut relation, mut name) = (relation, column.name.as_str());
    for _ in 0..LONGEST {
        if let Some(root) = catalog.ancestors(relation.oid).last().and_then(|oid| catalog.relation_by_oid(*oid))
            && root.column(name).is_some()
        {
            relation = root;
        }
        let Some(number) = relation.column(name).map(|column| column.number) else { break };
        let referred = catalog.relations().find_map(|to| {
            let reference = to.automatic.referenced.iter().find(|reference| {
                reference.from == relation.oid && reference.columns == [number] && to.oid != relation.oid
            })?;
            let there = reference.to.first()?;
            Some((to, to.columns.iter().find(|column| column.number == *there)?))
        });
        match referred {
            Some((to, column)) => (relation, name) = (to, column.name.as_str()),
            None => break,
        }
    }
    let subject = context.policies.listed_subject(&relation.name);
    if matches!(subject, Some(SubjectPath::Column(own)) if own == name) {
        return "subject".to_owned();
    }
    format!("{}.{name}", relation.name)
}

/// The data subject of a row as text, where no setting of the session changes how its type is written.
pub(super) fn subject_text(
    path: &SubjectPath,
    row: &str,
    relation: &Relation,
    context: &Context<'_>,
) -> Option<String> {
    let (mut at, mut step) = (relation, path);
    let column = loop {
        match step {
            SubjectPath::Column(column) => break at.column(column)?,
            SubjectPath::Through { relation, next, .. } => {
                at = context.catalog.relation(relation)?;
                step = next;
            }
        }
    };
    matches!(column.class, TypeClass::Text | TypeClass::Integer | TypeClass::Numeric | TypeClass::Uuid)
        .then(|| format!("{}::pg_catalog.text", filter::subject(path, row)))
}

fn base(occurrence: &Occurrence) -> String {
    occurrence.relation.name.to_sql()
}

fn sample(occurrence: &Occurrence) -> String {
    occurrence.sample.as_ref().map(|sample| format!(" {sample}")).unwrap_or_default()
}

fn column_list(names: &[String]) -> Vec<TableAliasColumnDef> {
    names.iter().map(|name| TableAliasColumnDef { name: quoted(name), data_type: None }).collect()
}

/// A query of our own, and what it refers to: both follow from its text alone.
struct Fragment {
    query: Query,
    facts: Facts,
}

impl Fragment {
    fn of(text: &str) -> Result<Self, Fail> {
        Ok(Self { query: parse_query(text)?, facts: witness::facts_of(text)? })
    }

    /// The same, read once for all statements that need it: most new statements read the same columns of the same tables.
    fn known(text: &str, context: &Context<'_>) -> Result<Arc<Self>, Fail> {
        let memo = context.catalog.memo();
        if let Some(fragment) = memo.get(text) {
            return Ok(fragment);
        }
        let fragment = Arc::new(Self::of(text)?);
        memo.put(text, &fragment);
        Ok(fragment)
    }
}

fn derive(
    occurrence: &Occurrence,
    fragment: Fragment,
    values: &[Expr],
    positional: bool,
) -> Result<(TableFactor, Facts), Fail> {
    // Constants add nothing to what a statement refers to.
    let Fragment { query: mut subquery, facts } = fragment;
    set_only(&mut subquery, occurrence.only);
    fill(&mut subquery, values)?;
    let columns = if positional { column_list(&occurrence.column_aliases) } else { Vec::new() };
    let alias = TableAlias { explicit: true, name: quoted(&occurrence.alias), columns, at: None };
    let factor =
        TableFactor::Derived { lateral: false, subquery: Box::new(subquery), alias: Some(alias), sample: None };
    Ok((factor, facts))
}

/// The base relation is the first FROM item of the fragment.
fn set_only(query: &mut Query, only: bool) {
    if let SetExpr::Select(select) = query.body.as_mut()
        && let Some(item) = select.from.first_mut()
        && let TableFactor::Table { name, .. } = &mut item.relation
    {
        marker::set_only(name, only);
    }
}
