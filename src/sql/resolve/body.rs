//! Functions in SQL: a call is judged as what stands in the body.
//!
//! A body runs as it is, for nothing in it can be masked: so one is told apart only where no policy hides anything. What it reads and
//! writes is decided beside the statement that calls it, and is in the log with it. What it calls must be open itself, whichever
//! function, operator or cast of a name PostgreSQL takes. Aggregates are judged by their support functions, and what a type brought along
//! calls nothing. Functions in other languages stay closed until a policy names them.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::function::is_guarded;
use super::{Occurrence, Resolver, automatic, implied};
use crate::catalog::{Function, Relation, RelationName};
use crate::policy::{Consequence, Use, Verb};
use crate::sql::form::context::Context;
use crate::sql::reviewed::pure::is_pure;
use crate::sql::reviewed::{builtins, definitions, system};
use crate::sql::witness::{Body, WrittenBy, body_of};

/// How deep functions that call each other are followed.
const DEEPEST: usize = 8;

/// `internal`: only the server calls a function that takes one.
const INTERNAL: u32 = 2281;

/// What a function reads and writes, by its body and by those of what it calls.
pub(super) type Touched = BTreeSet<(RelationName, Way)>;

/// How it is touched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Way {
    /// Read.
    Read,
    /// Written.
    Written(WrittenBy),
}

/// What every function of that name in the schema touches; `None` where one of them is not open.
pub(super) fn touched(schema: &str, name: &str, context: &Context<'_>) -> Option<Touched> {
    let mut found = Touched::new();
    let hides_nothing = context.policies.hides_nothing();
    (hides_nothing && all_of(schema, name, context, DEEPEST, &mut found)).then_some(found)
}

/// Whether every function of that name in the schema may be called by what stands in it, and touches no relation.
pub(super) fn computes(schema: &str, name: &str, context: &Context<'_>) -> bool {
    touched(schema, name, context).is_some_and(|touched| touched.is_empty())
}

fn all_of(schema: &str, name: &str, context: &Context<'_>, depth: usize, found: &mut Touched) -> bool {
    let mut overloads = context.catalog.functions(name).iter().filter(|function| function.schema == schema).peekable();
    overloads.peek().is_some() && overloads.all(|function| one(function, context, depth, found).is_some())
}

fn one(function: &Function, context: &Context<'_>, depth: usize, found: &mut Touched) -> Option<()> {
    let text = function.body.as_deref()?;
    let depth = depth.checked_sub(1)?;
    let memo = context.catalog.memo();
    let key = format!("body of a function in SQL: {text}");
    let body = match memo.get::<Option<Body>>(&key) {
        Some(body) => body,
        None => {
            let body = Arc::new(body_of(text));
            memo.put(&key, &body);
            body
        }
    };
    let mut values = function.arguments.iter().chain([&function.returns]);
    values.all(|oid| implied_open(context.catalog.value_calls(*oid), context, depth)).then_some(())?;
    within(body.as_ref().as_ref()?, context, depth, found)
}

/// What a query that is written down touches; `None` where something in it is not open.
pub(super) fn judged(body: &Body, context: &Context<'_>) -> Option<Touched> {
    let mut found = Touched::new();
    context.policies.hides_nothing().then_some(())?;
    within(body, context, DEEPEST, &mut found)?;
    Some(found)
}

fn within(body: &Body, context: &Context<'_>, depth: usize, found: &mut Touched) -> Option<()> {
    let catalog = context.catalog;
    let plain = [catalog.value_calls(0), catalog.write_calls()].into_iter();
    let operators = body.operators.iter().map(|name| catalog.operator_calls(name));
    let types = body.types.iter().map(|name| catalog.type_calls(name));
    if !plain.chain(operators).chain(types).all(|calls| implied_open(calls, context, depth)) {
        return None;
    }
    let fields = body.fields.iter().all(|field| field == "*" || is_no_call(field, context));
    let calls = body.facts.functions().iter().all(|parts| called(parts, context, depth, found));
    (fields && calls).then_some(())?;
    relations(body, context, depth, found)
}

/// Whether what an operator, a cast or a type calls is open, and touches nothing.
fn implied_open(calls: &[(String, String)], context: &Context<'_>, depth: usize) -> bool {
    calls.iter().all(|(schema, name)| {
        let mut none = Touched::new();
        implied::open_by_name(schema, name, context)
            || all_of(schema, name, context, depth, &mut none) && none.is_empty()
    })
}

/// Whether a field of that name is no function of one argument that is closed.
fn is_no_call(field: &str, context: &Context<'_>) -> bool {
    let functions = context.catalog.functions(field);
    !functions.iter().any(|function| function.arguments.len() == 1 && function.schema != "pg_catalog")
        && (functions.is_empty() || is_open_builtin(field, context))
}

/// A function of PostgreSQL's own that is open whatever it is called with.
fn is_open_builtin(name: &str, context: &Context<'_>) -> bool {
    (builtins::is_reviewed(name) || is_pure("pg_catalog", name, context.catalog)) && !is_guarded(name)
}

/// Whether whatever a call of that name means is open. Without a schema, that is a function of that name in any of them.
fn called(parts: &[String], context: &Context<'_>, depth: usize, found: &mut Touched) -> bool {
    let (schema, name) = match parts {
        [name] => (None, name),
        [schema, name] => (Some(schema), name),
        _ => return false,
    };
    let catalog = context.catalog;
    let known = catalog.functions(name);
    let schemas: BTreeSet<&str> = known.iter().map(|function| function.schema.as_str()).collect();
    let open = |other: &str, found: &mut Touched| match other {
        "pg_catalog" => {
            let mut internal = known.iter().filter(|function| function.schema == "pg_catalog");
            is_open_builtin(name, context) || internal.all(|function| function.arguments.contains(&INTERNAL))
        }
        other => {
            context.policies.allows_function(other, name)
                || is_pure(other, name, catalog)
                || all_of(other, name, context, depth, found)
        }
    };
    match schema {
        Some(schema) => schemas.contains(schema.as_str()) && open(schema, found),
        None => !schemas.is_empty() && schemas.into_iter().all(|schema| open(schema, found)),
    }
}

/// What it names among relations, by the search path in force.
fn relations(body: &Body, context: &Context<'_>, depth: usize, found: &mut Touched) -> Option<()> {
    let catalog = context.catalog;
    let find = |schema: &Option<String>, name: &str| match schema {
        Some(schema) => catalog.relation(&RelationName::new(schema.as_str(), name)),
        None => catalog.find_relation(context.search_path, name),
    };
    let mut read = body.facts.relations().to_vec();
    for inserted in &body.inserts {
        read.remove(read.iter().position(|named| named == inserted)?);
    }
    for (schema, name) in &read {
        let Some(relation) = find(schema, name) else {
            if schema.is_none() && body.with.contains(name) {
                continue;
            }
            return None;
        };
        let is_temporary = catalog.is_temporary(relation.oid);
        if system::is_system_schema(&relation.name.schema) && !is_temporary {
            let open = system::access(&relation.name) == system::Access::Open;
            if open && !definitions::is_kept_in_part(&relation.name) {
                continue;
            }
            return None;
        }
        own(relation, name, context, depth)?;
        found.insert((relation.name.clone(), Way::Read));
    }
    for write in &body.writes {
        let (schema, name) = &write.relation;
        let relation = find(schema, name)?;
        if system::is_system_schema(&relation.name.schema) && !catalog.is_temporary(relation.oid) {
            return None;
        }
        own(relation, name, context, depth)?;
        found.insert((relation.name.clone(), Way::Written(write.way)));
    }
    Some(())
}

/// A relation that is none of the system's: one that the session means by the name, whose values call nothing that is closed.
fn own(relation: &Relation, name: &str, context: &Context<'_>, depth: usize) -> Option<()> {
    let catalog = context.catalog;
    if catalog.is_refused(name) && !catalog.is_temporary(relation.oid) {
        return None;
    }
    let mut values = relation.columns.iter().map(|column| catalog.value_calls(column.type_oid));
    values.all(|calls| implied_open(calls, context, depth)).then_some(())
}

impl Resolver<'_> {
    /// Notes what a function that is called reads and writes; `by`: which, in words.
    pub(super) fn runs(&mut self, by: String, touched: Touched) {
        for (relation, way) in touched {
            let Some(relation) = self.context.catalog.relation(&relation) else { continue };
            let occurrence = whole(relation, way);
            let known =
                |(_, other): &(String, Occurrence)| other.relation.oid == relation.oid && other.verb == occurrence.verb;
            if !self.called.iter().any(known) {
                self.called.push((by.clone(), occurrence));
            }
        }
    }
}

/// All of a relation.
fn whole(relation: &Arc<Relation>, way: Way) -> Occurrence {
    let (verb, usage) = match way {
        Way::Read => (Verb::Select, Use::Output),
        Way::Written(WrittenBy::Insert) => (Verb::Insert, Use::Write),
        Way::Written(WrittenBy::Update) => (Verb::Update, Use::Write),
        Way::Written(WrittenBy::Delete) => (Verb::Delete, Use::Filter),
    };
    let mut occurrence = Occurrence::new(relation, &relation.name.name, verb);
    occurrence.star = verb == Verb::Select;
    for column in &relation.columns {
        occurrence.mark(&column.name, usage);
    }
    if verb == Verb::Update {
        occurrence.assigned = relation.columns.iter().map(|column| column.name.clone()).collect();
    }
    occurrence
}

/// What a function that is called does to a relation, and what follows from that.
pub(super) fn follows(by: &str, occurrence: &Occurrence, context: &Context<'_>) -> Vec<Consequence> {
    let access = super::relation_access(occurrence, false, context);
    let mut all = automatic::consequences(occurrence, context);
    all.insert(0, Consequence { access, by: by.to_owned() });
    all
}
