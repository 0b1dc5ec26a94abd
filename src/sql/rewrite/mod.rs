//! The permitted AST becomes the text that runs: every governed relation a masked derived table, row filters inside.
//!
//! What the text must refer to is counted on the way, and the finished text is parsed again by PostgreSQL's own grammar:
//! a relation, function or column more or less is a refusal.

mod added;
mod condition;
mod derived;
mod filter;
mod fresh;
mod groups;
mod guard;
mod keep;
mod mask;
mod operators;
mod own;
mod recheck;
mod returning;
mod rows;
mod subjects;
mod target;
mod token_key;
mod visit;

use std::collections::{BTreeSet, HashMap, HashSet};

use sqlparser::ast::{BinaryOperator, Expr, GroupByExpr, SetExpr, Statement, TableAlias, TableFactor, Value};

use crate::sql::reviewed::definitions::{self, ROW, Sight};
use crate::sql::reviewed::system;
pub use condition::{unsettled, unsettled_among};
pub use fresh::{new_row_refusal, refusal_for};
pub use guard::Guard;
pub use recheck::Recheck;
pub use rows::{contact_form, due_counts, still_kept};
pub use token_key::TokenKey;

use crate::catalog::{RelationName, TypeClass};
use crate::error::{Refusal, SqlState, Stage};
use crate::policy::{Action, Disclosure, Permit, RelationObligation, Use, Verb};
use crate::sql::ast::fragment;
use crate::sql::ast::walk::change;
use crate::sql::form::context::Context;
use crate::sql::resolve::Tested;
use crate::sql::resolve::{
    Mark, OWN_NAMES, Occurrence, OccurrenceId, Resolved, name_of, parts_of, quoted, system_column_number,
};
use crate::sql::text::limits;
use crate::sql::witness::{self, Facts};
use subjects::{Parts, Plan, Planned};

/// Why rewriting stopped.
pub(super) type Fail = Refusal;

/// 42501 from this stage.
pub(super) fn fail(message: impl Into<String>) -> Fail {
    Refusal::new(Stage::Rewrite, SqlState::INSUFFICIENT_PRIVILEGE, message)
}

/// What may run.
pub(super) struct Rewritten {
    /// The AST to render.
    pub(super) statement: Statement,
    /// What its text must refer to.
    pub(super) expected: Facts,
    /// What its rows may show.
    pub(super) guard: Guard,
    /// Whose rows they are.
    pub(super) disclosure: Disclosure,
    /// What is asked again of rows that are read later.
    pub(super) recheck: Recheck,
    /// How many raw values it tests.
    pub(super) lookups: u32,
    /// The values that columns for lookups are compared with.
    pub(super) tested: Vec<Tested>,
}

/// Carries the obligations of a permit out.
///
/// # Errors
/// 42501 where an obligation cannot be carried out (no consent table, a mask that does not fit); XX000 where the permit
/// does not match the statement.
pub(super) fn rewrite(resolved: Resolved, permit: &Permit, context: &Context<'_>) -> Result<Rewritten, Fail> {
    let Resolved {
        mut statement,
        occurrences,
        meant,
        system,
        unsafe_predicates,
        carriers,
        top,
        merged,
        copied,
        definition,
        blocks,
        ..
    } = resolved;
    if permit.relations().len() != occurrences.len() {
        return Err(Refusal::internal(Stage::Rewrite));
    }
    let masks = permit.relations().iter().map(|obligation| match obligation {
        RelationObligation::Open { .. } => 0,
        RelationObligation::Governed { columns, .. } => columns
            .values()
            .filter(|column| matches!(column.action, Action::Mask { .. }) || column.keep.is_some())
            .count(),
    });
    limits::masks(masks.sum())?;
    let mut guard = Guard::default();
    guard.open.extend(system);
    for (occurrence, obligation) in occurrences.iter().zip(permit.relations()) {
        open(&mut guard, occurrence, obligation)?;
        added::unheld(occurrence, obligation, context)?;
        own::check(occurrence, obligation, context)?;
        keep::unkept(occurrence, obligation)?;
        if !definition {
            fresh::waits(occurrence, obligation, blocks.as_deref(), context.later)?;
        }
    }
    let copied = if copied { top } else { None };
    let later = context.later;
    let parts = Parts {
        carriers: &carriers,
        occurrences: &occurrences,
        obligations: permit.relations(),
        catalog: context.catalog,
        copied,
        later,
    };
    let (mut lookups, mut tested) = (0_u32, Vec::new());
    for (occurrence, obligation) in occurrences.iter().zip(permit.relations()) {
        for lookup in &occurrence.lookups {
            let raw = derived::is_lookup(obligation, &lookup.column);
            lookups = lookups.saturating_add(raw.into());
            if !definition && (raw || derived::is_open_lookup(obligation, &lookup.column, context)) {
                tested.push(occurrence.tested(lookup, context));
            }
        }
    }
    let Planned { plan, disclosure, keys, keyless } = parts.plan(top);
    let recheck = if later && !context.observe {
        recheck::recheck(&keys, &keyless, &parts, context)?
    } else {
        Recheck::default()
    };
    let used: HashSet<String> =
        meant.columns().iter().filter_map(|parts| parts.last()).chain(&merged).cloned().collect();
    let mut rewriter = Rewriter {
        used,
        sight: None,
        held: HashMap::new(),
        kept: HashMap::new(),
        occurrences: &occurrences,
        obligations: permit.relations(),
        marked: !carriers.is_empty(),
        parts,
        plan,
        context,
        fence: unsafe_predicates,
        definition,
        expected: meant,
        fault: None,
    };
    if !definition {
        rewriter.hold_groups(&mut statement)?;
    }
    change(&mut statement, &mut rewriter);
    let Rewriter { expected, fault, .. } = rewriter;
    match fault {
        Some(fault) => Err(fault),
        None => Ok(Rewritten { statement, expected, guard, disclosure, recheck, lookups, tested }),
    }
}

/// Notes what the row description may name, and holds targets to plain columns once more.
fn open(guard: &mut Guard, occurrence: &Occurrence, obligation: &RelationObligation) -> Result<(), Fail> {
    let relation = &occurrence.relation;
    let physical = occurrence.physical.iter().filter_map(|column| system_column_number(column));
    guard.columns.extend(physical.map(|number| (relation.oid, number)));
    let columns = match obligation {
        RelationObligation::Open { relation: name } if *name == relation.name => {
            guard.open.insert(relation.oid);
            return Ok(());
        }
        RelationObligation::Governed { relation: name, columns, .. } if *name == relation.name => columns,
        RelationObligation::Open { .. } | RelationObligation::Governed { .. } => {
            return Err(Refusal::internal(Stage::Rewrite));
        }
    };
    for (name, column) in columns {
        match &column.action {
            Action::Read => {
                guard.columns.extend(relation.column(name).map(|column| (relation.oid, column.number)));
            }
            Action::Write => {}
            Action::Mask { .. } | Action::Omit if occurrence.verb != Verb::Select && !returned(occurrence, name) => {
                return Err(fail(format!(
                    "column `{}.{name}` is masked or closed, and cannot be read from the target of a write",
                    relation.name
                )));
            }
            Action::Mask { .. } | Action::Omit => {}
        }
    }
    Ok(())
}

/// Whether a column of a write's target is only set, and reached by RETURNING alone: by a star, which masks it or leaves it out, or by
/// its name, which masks it.
fn returned(occurrence: &Occurrence, column: &str) -> bool {
    match occurrence.uses.get(column) {
        None => occurrence.star,
        Some(uses) => {
            (occurrence.star || uses.contains(&Use::Returned))
                && uses.iter().all(|used| matches!(used, Use::Write | Use::Returned))
        }
    }
}

struct Rewriter<'a> {
    /// Names of columns that the statement uses.
    used: HashSet<String>,
    sight: Option<Sight>,
    /// What values of new rows are put into, by occurrence, column, and whether a date of birth goes with it.
    held: HashMap<(OccurrenceId, usize, bool), Option<(Expr, Facts)>>,
    /// What values of masked columns are put into, by occurrence and column.
    kept: HashMap<(OccurrenceId, usize), Option<(Expr, Facts)>>,
    occurrences: &'a [Occurrence],
    obligations: &'a [RelationObligation],
    /// Select lists may have marks for hidden columns.
    marked: bool,
    parts: Parts<'a>,
    plan: Plan,
    context: &'a Context<'a>,
    fence: bool,
    /// Nothing is masked or filtered: it is governed when it is used.
    definition: bool,
    expected: Facts,
    fault: Option<Fail>,
}

impl Rewriter<'_> {
    fn get(&self, id: OccurrenceId) -> Result<(&Occurrence, &RelationObligation), Fail> {
        match (self.occurrences.get(id), self.obligations.get(id)) {
            (Some(occurrence), Some(obligation)) => Ok((occurrence, obligation)),
            _ => Err(Refusal::internal(Stage::Rewrite)),
        }
    }

    fn or_fault<T>(&mut self, result: Result<T, Fail>) -> Option<T> {
        result.map_err(|fault| self.fault.get_or_insert(fault).stage).ok()
    }

    /// `min_group`: the one level that aggregates keeps only groups of enough distinct subjects.
    fn hold_groups(&mut self, statement: &mut Statement) -> Result<(), Fail> {
        let mut conditions: Vec<Expr> = Vec::new();
        let figures = groups::Figures::of(statement);
        for (occurrence, obligation) in self.occurrences.iter().zip(self.obligations) {
            let RelationObligation::Governed { min_group: Some(least), .. } = obligation else { continue };
            let least = figures.least(*least);
            let column = vec![occurrence.alias.clone(), derived::SUBJECT.to_owned()];
            self.expected.add_function(vec!["pg_catalog".to_owned(), "count".to_owned()]);
            self.expected.add_column(column.clone());
            conditions.push(derived::at_least(&column, None, least)?);
            derived::singles_nobody_out(occurrence, obligation)?;
            conditions.push(self.outside(occurrence, obligation, None, least)?);
            // Where only one subject of a group has a value, the sum is that value.
            let added = occurrence.uses.iter().filter(|(_, uses)| uses.contains(&Use::Aggregate)).map(|(name, _)| name);
            let mut values = Vec::new();
            for name in added {
                let value = vec![occurrence.alias.clone(), occurrence.shown_as(name).to_owned()];
                self.expected.add_function(vec!["pg_catalog".to_owned(), "count".to_owned()]);
                self.expected.add_column(column.clone());
                self.expected.add_column(value.clone());
                conditions.push(derived::at_least(&column, Some(&value), least)?);
                conditions.push(self.outside(occurrence, obligation, Some(name), least)?);
                values.push(value);
            }
            if values.is_empty() {
                continue;
            }
            for (condition, facts) in figures.apart(&column, &values, least)? {
                self.expected.extend(&facts);
                conditions.push(condition);
            }
        }
        if conditions.is_empty() {
            return Ok(());
        }
        let conditions = conditions.into_iter().map(|condition| fragment::own(condition, self.context.catalog));
        let conditions: Vec<Expr> = conditions.collect();
        let select = match statement {
            Statement::Query(query) => match query.body.as_mut() {
                SetExpr::Select(select) => select,
                _ => return Err(Refusal::internal(Stage::Rewrite)),
            },
            _ => return Err(Refusal::internal(Stage::Rewrite)),
        };
        for condition in conditions {
            select.having = Some(match select.having.take() {
                None => condition,
                Some(having) => and(Expr::Nested(Box::new(having)), condition),
            });
        }
        Ok(())
    }

    /// Nobody, or enough, are left outside of a group: else the difference to a larger one tells of the few.
    fn outside(
        &mut self,
        occurrence: &Occurrence,
        obligation: &RelationObligation,
        value: Option<&str>,
        least: u32,
    ) -> Result<Expr, Fail> {
        let (condition, facts) = derived::outside(occurrence, obligation, value, least, self.context)?;
        self.expected.extend(&facts);
        Ok(condition)
    }

    fn table(&mut self, factor: &mut TableFactor) -> Result<(), Fail> {
        let TableFactor::Table { name, .. } = factor else { return Ok(()) };
        let Some(id) = Mark::relation(name) else { return self.system(factor) };
        let (occurrence, obligation) = self.get(id)?;
        let (replaced, facts) = match obligation {
            _ if self.definition => derived::open(occurrence, factor)?,
            RelationObligation::Open { .. } => derived::open(occurrence, factor)?,
            RelationObligation::Governed { .. } => {
                let hidden = self.plan.within(id);
                let writes = self.occurrences.iter().any(|other| other.verb != Verb::Select);
                derived::governed(occurrence, obligation, self.context, self.fence, hidden.as_deref(), writes)?
            }
        };
        *factor = replaced;
        self.expected.extend(&facts);
        limits::added(self.expected.added())
    }

    /// VALUES have no visit of their own.
    fn values(&mut self, body: &mut SetExpr) -> Result<(), Fail> {
        match body {
            SetExpr::Values(values) => self.plan.finish_values(&self.parts, values),
            SetExpr::SetOperation { left, right, .. } => {
                self.values(left)?;
                self.values(right)
            }
            SetExpr::Select(_)
            | SetExpr::Query(_)
            | SetExpr::Insert(_)
            | SetExpr::Update(_)
            | SetExpr::Delete(_)
            | SetExpr::Merge(_)
            | SetExpr::Table(_) => Ok(()),
        }
    }

    /// A system relation that holds definitions becomes a derived table that leaves out what they may give away.
    fn system(&mut self, factor: &mut TableFactor) -> Result<(), Fail> {
        let TableFactor::Table { name, alias, .. } = factor else { return Ok(()) };
        let Ok([schema, table]) = <[String; 2]>::try_from(parts_of(name)?) else { return Ok(()) };
        let name = RelationName::new(schema, table);
        let called = alias.as_ref().map_or_else(|| name.name.clone(), |alias| name_of(&alias.name));
        let renamed = alias.as_ref().is_some_and(|alias| !alias.columns.is_empty());
        if called.starts_with(OWN_NAMES) || !(renamed || definitions::concerns(&name, &called, &self.used)) {
            return Ok(());
        }
        let Some(relation) = self.context.catalog.relation(&name) else {
            // Nothing is known of it to take the statements out.
            return if definitions::holds_statements(&name) { Err(system::closed(&name)) } else { Ok(()) };
        };
        let context = self.context;
        let sight = self.sight.get_or_insert_with(|| Sight::of(context));
        let items = definitions::select_list(relation, &self.used, sight);
        let facts = witness::facts_of(&format!("SELECT {items}"))?;
        let filter = definitions::row_filter(relation, sight);
        let facts = if filter.is_empty() { facts } else { witness::facts_of(&format!("SELECT {items}{filter}"))? };
        let text = format!("SELECT {items} FROM {} AS \"{ROW}\"{filter}", name.to_sql());
        let subquery = fragment::own(fragment::parse_query(&text)?, context.catalog);
        let alias = alias.take().unwrap_or_else(|| TableAlias {
            explicit: true,
            name: quoted(&name.name),
            columns: Vec::new(),
            at: None,
        });
        *factor =
            TableFactor::Derived { lateral: false, subquery: Box::new(subquery), alias: Some(alias), sample: None };
        self.expected.extend(&facts);
        limits::added(self.expected.added())
    }

    /// The columns that follow from a grouped primary key.
    fn group(&mut self, group_by: &mut GroupByExpr) -> Result<(), Fail> {
        let GroupByExpr::Expressions(keys, _) = group_by else { return Ok(()) };
        let mut marks = Vec::new();
        keys.retain(|key| match Mark::of(key) {
            Some(Mark::Group(id)) => {
                marks.push(id);
                false
            }
            Some(_) | None => true,
        });
        let of_sets = columns_of_sets(keys, false);
        for id in marks.into_iter().filter(|_| !self.definition) {
            let (occurrence, obligation) = self.get(id)?;
            let RelationObligation::Governed { columns, .. } = obligation else { continue };
            let mut more = Vec::new();
            for column in &occurrence.relation.columns {
                let shown =
                    columns.get(&column.name).is_some_and(|o| matches!(o.action, Action::Read | Action::Mask { .. }));
                let uses = occurrence.uses.get(&column.name);
                let needed = occurrence.star
                    || uses
                        .is_some_and(|uses| uses.iter().any(|u| matches!(u, Use::Output | Use::Order | Use::Filter)));
                let groupable = !matches!(column.class, TypeClass::Json | TypeClass::Other | TypeClass::Composite)
                    || uses.is_some_and(|uses| uses.contains(&Use::Output));
                let key = occurrence.relation.primary_key.contains(&column.number);
                // Of a set that leaves such a column out it is NULL.
                if shown && needed && groupable && !key && !of_sets.contains(occurrence.shown_as(&column.name)) {
                    more.push(vec![occurrence.alias.clone(), occurrence.shown_as(&column.name).to_owned()]);
                }
            }
            for parts in more {
                keys.push(Expr::CompoundIdentifier(parts.iter().map(|part| quoted(part)).collect()));
                self.expected.add_column(parts);
            }
        }
        Ok(())
    }

    /// A condition that may be tested below the mask leaves; another stays.
    fn lookup(&mut self, inner: &Expr, id: OccurrenceId, number: usize) -> Result<Expr, Fail> {
        let (occurrence, obligation) = self.get(id)?;
        let lookup = occurrence.lookups.get(number).ok_or_else(|| Refusal::internal(Stage::Rewrite))?;
        if !self.definition && derived::is_lookup(obligation, &lookup.column) {
            Ok(Expr::Value(Value::Boolean(true).into()))
        } else {
            let written = lookup.written.clone();
            self.expected.add_column(written);
            Ok(inner.clone())
        }
    }
}

/// Names of the columns that stand in GROUPING SETS, CUBE or ROLLUP; `inside`: these keys do.
fn columns_of_sets(keys: &[Expr], inside: bool) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for key in keys {
        match key {
            Expr::GroupingSets(sets) | Expr::Cube(sets) | Expr::Rollup(sets) => {
                sets.iter().for_each(|set| names.extend(columns_of_sets(set, true)));
            }
            Expr::Tuple(items) => names.extend(columns_of_sets(items, inside)),
            Expr::Nested(inner) => names.extend(columns_of_sets(std::slice::from_ref(inner), inside)),
            Expr::Identifier(ident) if inside => names.extend([name_of(ident)]),
            Expr::CompoundIdentifier(parts) if inside => names.extend(parts.last().map(name_of)),
            _ => {}
        }
    }
    names
}

fn and(left: Expr, right: Expr) -> Expr {
    Expr::BinaryOp { left: Box::new(left), op: BinaryOperator::And, right: Box::new(right) }
}
