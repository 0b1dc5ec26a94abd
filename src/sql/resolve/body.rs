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
use crate::catalog::{Function, Oid, Relation, RelationName};
use crate::policy::{Consequence, Use, Verb};
use crate::sql::form::context::Context;
use crate::sql::reviewed::pure::is_pure;
use crate::sql::reviewed::{builtins, definitions, settings, system};
use crate::sql::witness::{Body, WrittenBy, body_of};

/// How deep functions that call each other are followed.
const DEEPEST: usize = 8;

/// `internal`: only the server calls a function that takes one.
const INTERNAL: u32 = 2281;

/// Where the walk over bodies is.
#[derive(Debug, Clone, Copy)]
struct At {
    /// How many more it may go down.
    depth: usize,
    /// It runs as somebody else, in whose search path `$user` is another schema: a relation is named with its own.
    as_owner: bool,
}

impl At {
    const TOP: Self = Self { depth: DEEPEST, as_owner: false };

    fn within(self, function: &Function) -> Option<Self> {
        let as_owner = self.as_owner || function.security_definer;
        Some(Self { depth: self.depth.checked_sub(1)?, as_owner })
    }
}

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
    context.policies.hides_nothing().then_some(())?;
    let mut judge = Judge { context, followed: BTreeSet::new() };
    let mut found = Touched::new();
    judge.all_of(schema, name, At::TOP, &mut found).then_some(found)
}

/// Whether every function of that name in the schema may be called by what stands in it, and touches no relation.
pub(super) fn computes(schema: &str, name: &str, context: &Context<'_>) -> bool {
    touched(schema, name, context).is_some_and(|touched| touched.is_empty())
}

/// What a query that is written down touches; `None` where something in it is not open.
pub(super) fn judged(body: &Body, context: &Context<'_>) -> Option<Touched> {
    context.policies.hides_nothing().then_some(())?;
    let mut judge = Judge { context, followed: BTreeSet::new() };
    let mut found = Touched::new();
    judge.within(body, At::TOP, &mut found)?;
    Some(found)
}

/// A judgement of one body and of all that it comes to call.
struct Judge<'a> {
    context: &'a Context<'a>,
    /// Functions that were met already. What one of them touches stands where it was met first, and one that is not open ends the whole:
    /// so what every statement may use, an operator class of the system's types, is judged once and not again within itself. With whether
    /// they run as their owner.
    followed: BTreeSet<(Oid, bool)>,
}

impl Judge<'_> {
    fn all_of(&mut self, schema: &str, name: &str, at: At, found: &mut Touched) -> bool {
        let functions = self.context.catalog.functions(name);
        let mut overloads = functions.iter().filter(|function| function.schema == schema).peekable();
        overloads.peek().is_some() && overloads.all(|function| self.one(function, at, found).is_some())
    }

    fn one(&mut self, function: &Function, at: At, found: &mut Touched) -> Option<()> {
        let text = function.body.as_deref()?;
        let at = at.within(function)?;
        self.followed.insert((function.oid, at.as_owner));
        let catalog = self.context.catalog;
        let memo = catalog.memo();
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
        values.all(|oid| self.implied_open(catalog.value_calls(*oid), at)).then_some(())?;
        self.within(body.as_ref().as_ref()?, at, found)
    }

    fn within(&mut self, body: &Body, at: At, found: &mut Touched) -> Option<()> {
        let catalog = self.context.catalog;
        let plain = [catalog.value_calls(0), catalog.write_calls()].into_iter();
        let operators = body.operators.iter().map(|name| catalog.operator_calls(name));
        let types = body.types.iter().map(|name| catalog.type_calls(name));
        if !plain.chain(operators).chain(types).all(|calls| self.implied_open(calls, at)) {
            return None;
        }
        let fields = body.fields.iter().all(|field| field == "*" || is_no_call(field, self.context));
        let calls = body.facts.functions().iter().all(|parts| self.called(parts, body, at, found));
        (fields && calls).then_some(())?;
        self.relations(body, at, found)
    }

    /// Whether what an operator, a cast or a type calls is open, and touches nothing.
    fn implied_open(&mut self, calls: &[(String, String)], at: At) -> bool {
        calls.iter().all(|(schema, name)| {
            let mut none = Touched::new();
            implied::open_by_name(schema, name, self.context)
                || self.is_followed(schema, name, at)
                || self.all_of(schema, name, at, &mut none) && none.is_empty()
        })
    }

    fn is_followed(&self, schema: &str, name: &str, at: At) -> bool {
        let functions = self.context.catalog.functions(name);
        let mut overloads = functions.iter().filter(|function| function.schema == schema).peekable();
        overloads.peek().is_some()
            && overloads
                .all(|function| self.followed.contains(&(function.oid, at.as_owner || function.security_definer)))
    }

    /// Whether whatever a call of that name means is open. Without a schema, that is a function of that name in any of them.
    fn called(&mut self, parts: &[String], body: &Body, at: At, found: &mut Touched) -> bool {
        let context = self.context;
        let (schema, name) = match parts {
            [name] => (None, name),
            [schema, name] => (Some(schema), name),
            _ => return false,
        };
        let catalog = context.catalog;
        let known = catalog.functions(name);
        let schemas: BTreeSet<&str> = known.iter().map(|function| function.schema.as_str()).collect();
        let mut open = |other: &str| match other {
            "pg_catalog" => {
                let mut internal = known.iter().filter(|function| function.schema == "pg_catalog");
                is_open_builtin(name, context)
                    || name == "current_setting" && body.settings.iter().all(|setting| may_be_read(setting, context))
                    || internal.all(|function| function.arguments.contains(&INTERNAL))
            }
            other => {
                context.policies.allows_function(other, name)
                    || is_pure(other, name, catalog)
                    || self.all_of(other, name, at, found)
            }
        };
        match schema {
            Some(schema) => schemas.contains(schema.as_str()) && open(schema),
            None => !schemas.is_empty() && schemas.into_iter().all(open),
        }
    }

    /// What it names among relations, by the search path in force.
    fn relations(&mut self, body: &Body, at: At, found: &mut Touched) -> Option<()> {
        let context = self.context;
        let catalog = context.catalog;
        let find = |schema: &Option<String>, name: &str| match schema {
            Some(schema) => catalog.relation(&RelationName::new(schema.as_str(), name)),
            None if at.as_owner => None,
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
            self.own(relation, name, at)?;
            found.insert((relation.name.clone(), Way::Read));
        }
        for write in &body.writes {
            let (schema, name) = &write.relation;
            let relation = find(schema, name)?;
            if system::is_system_schema(&relation.name.schema) && !catalog.is_temporary(relation.oid) {
                return None;
            }
            self.own(relation, name, at)?;
            found.insert((relation.name.clone(), Way::Written(write.way)));
        }
        Some(())
    }

    /// A relation that is none of the system's: one that the session means by the name, whose values call nothing that is closed.
    fn own(&mut self, relation: &Relation, name: &str, at: At) -> Option<()> {
        let catalog = self.context.catalog;
        if catalog.is_refused(name) && !catalog.is_temporary(relation.oid) {
            return None;
        }
        let mut values = relation.columns.iter().map(|column| catalog.value_calls(column.type_oid));
        values.all(|calls| self.implied_open(calls, at)).then_some(())
    }
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

/// Whether the value of a setting of that name may be read: one that is named by a plain string.
fn may_be_read(setting: &Option<String>, context: &Context<'_>) -> bool {
    setting.as_ref().is_some_and(|name| settings::may_read(name, context.policies))
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

/// Each of these as an access that follows from a statement; `by`: what does it, in words.
pub(super) fn accesses(by: &str, touched: Touched, context: &Context<'_>) -> Vec<Consequence> {
    let known = touched.into_iter().filter_map(|(name, way)| Some(whole(context.catalog.relation(&name)?, way)));
    known.flat_map(|occurrence| follows(by, &occurrence, context)).collect()
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
