//! What the database does by itself beside a statement: read from the catalog, for the policy to decide.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{Occurrence, body, implied};
use crate::catalog::automatic::{Code, FUNCTIONS, ReferenceAction};
use crate::catalog::{Catalog, Oid, Relation, RelationKind, RelationName};
use crate::policy::{Automatic, ColumnAccess, Consequence, Lineage, Raw, RelationAccess, Unknown, Use, Verb};
use crate::sql::form::context::Context;
use crate::sql::reviewed::{builtins, definitions, system};

/// How far the consequences of consequences are followed; more are a fault of the database's own.
const FURTHEST: usize = 1_000;

/// Beside one occurrence. `planned`: the statement's plan is shown, which names partitions.
pub(super) fn of(occurrence: &Occurrence, planned: bool, context: &Context<'_>) -> Automatic {
    let catalog = context.catalog;
    let relation = &occurrence.relation;
    let mut found = Automatic {
        elsewhere: is_elsewhere(relation, catalog),
        policies_read: names(catalog, &relation.automatic.policies_read),
        ..Automatic::default()
    };
    if !occurrence.only {
        found.below = names(catalog, &catalog.descendants(relation.oid));
    }
    let mut raw = BTreeSet::new();
    if let Some(column) = occurrence.physical.first() {
        let by = format!("the system column `{column}`");
        raw.extend(relation.columns.iter().map(|column| Raw {
            column: column.name.clone(),
            by: by.clone(),
            tested: false,
        }));
        found.all_rows = Some(by);
    }
    if occurrence.verb != Verb::Insert {
        raw.extend(partition_keys(relation, planned, catalog));
    }
    if occurrence.verb == Verb::Update || occurrence.upserts {
        raw.extend(tied(relation, &occurrence.assigned, catalog));
    }
    found.raw = raw.into_iter().collect();
    found.unknown = of_code(relation, occurrence.verb, occurrence.upserts, context);
    found.unknown.extend(of_row_policies(occurrence, context));
    found
}

/// Functions of row policies of which it is not known what they do. Where something is hidden, the policies are those of who made the
/// database; where nothing is, who may change the structure makes them, and may make other functions of these since.
fn of_row_policies(occurrence: &Occurrence, context: &Context<'_>) -> Vec<Unknown> {
    if !context.policies.hides_nothing() || occurrence.verb == Verb::Define {
        return Vec::new();
    }
    let closed = row_policies(&occurrence.relation, context.catalog).into_iter().filter(|code| {
        let open = |(schema, name): &(String, String)| {
            implied::open_by_name(schema, name, context) || body::touched(schema, name, context).is_some()
        };
        !code.function.as_ref().is_some_and(open)
    });
    closed.map(|code| Unknown { what: code.what, function: code.function }).collect()
}

/// What the row policies of a relation call, and those of what a view shows.
fn row_policies(relation: &Arc<Relation>, catalog: &Catalog) -> Vec<Code> {
    let held = written_through(relation, catalog);
    held.iter().flat_map(|held| held.automatic.code.iter().filter(|code| code.on.found).cloned()).collect()
}

/// What the row policies of an occurrence's relation read and write, where that is told.
pub(super) fn by_row_policies(occurrence: &Occurrence, context: &Context<'_>) -> Vec<Consequence> {
    if !context.policies.hides_nothing() || occurrence.verb == Verb::Define {
        return Vec::new();
    }
    let catalog = context.catalog;
    let mut found = body::Touched::new();
    for held in written_through(&occurrence.relation, catalog) {
        let read = held.automatic.policies_read.iter().filter_map(|oid| catalog.relation_by_oid(*oid));
        // What a system relation says of the structure is in no record.
        let read = read.filter(|relation| !system::is_system_schema(&relation.name.schema));
        found.extend(read.map(|relation| (relation.name.clone(), body::Way::Read)));
    }
    for code in row_policies(&occurrence.relation, catalog) {
        let Some((schema, name)) = &code.function else { continue };
        found.extend(body::touched(schema, name, context).unwrap_or_default());
    }
    body::accesses("row policies", found, context)
}

fn names(catalog: &Catalog, oids: &[Oid]) -> Vec<RelationName> {
    oids.iter().filter_map(|oid| Some(catalog.relation_by_oid(*oid)?.name.clone())).collect()
}

/// Rows that are not the relation's own: of another server or a file, or of a system relation that is closed.
fn is_elsewhere(relation: &Relation, catalog: &Catalog) -> bool {
    let foreign = |relation: &Relation| relation.kind == RelationKind::ForeignTable;
    let closed = |relation: &Relation| {
        // The session's own temporary relations carry the purposes of what filled them.
        system::is_system_schema(&relation.name.schema)
            && !catalog.is_temporary(relation.oid)
            // Where a view shows one of these, nothing takes the statements or the secret out.
            && (system::access(&relation.name) != system::Access::Open || definitions::holds_statements(&relation.name))
    };
    let reached = relation.reaches.iter().chain(catalog.descendants(relation.oid).iter()).copied().collect::<Vec<_>>();
    foreign(relation)
        || reached.iter().filter_map(|oid| catalog.relation_by_oid(*oid)).any(|other| foreign(other) || closed(other))
}

/// A partition that is named, or whose plan is shown, tells which values the key of its parents has.
fn partition_keys(relation: &Arc<Relation>, planned: bool, catalog: &Catalog) -> Vec<Raw> {
    let above = catalog.ancestors(relation.oid);
    let below = if planned { catalog.descendants(relation.oid) } else { Vec::new() };
    let own = planned.then_some(relation.oid);
    let mut found = Vec::new();
    for oid in above.into_iter().chain(own).chain(below) {
        let Some(keyed) = catalog.relation_by_oid(oid).filter(|keyed| !keyed.automatic.partition_key.is_empty()) else {
            continue;
        };
        let by = if planned { "the plan, by partitions," } else { "the name of a partition" };
        let columns = columns_of(keyed, &keyed.automatic.partition_key);
        found.extend(columns.into_iter().map(|column| Raw { column, by: by.to_owned(), tested: false }));
    }
    found
}

/// Columns of these numbers; all for 0.
fn columns_of(relation: &Relation, numbers: &[i16]) -> Vec<String> {
    let whole = numbers.contains(&0);
    let wanted = relation.columns.iter().filter(|column| whole || numbers.contains(&column.number));
    wanted.map(|column| column.name.clone()).collect()
}

/// The columns that something looks at together with one that is set, and that keep the values they have.
fn tied(relation: &Arc<Relation>, assigned: &BTreeSet<String>, catalog: &Catalog) -> Vec<Raw> {
    let mut found = Vec::new();
    let view = matches!(relation.kind, RelationKind::View | RelationKind::MaterializedView);
    for held in written_through(relation, catalog) {
        for tie in &held.automatic.ties {
            let columns = columns_of(&held, &tie.columns);
            // What a view calls its base's columns is not known: whatever it sets may be tied.
            if view || columns.iter().any(|column| assigned.contains(column)) {
                let others = columns.into_iter().filter(|column| !assigned.contains(column));
                found.extend(others.map(|column| Raw { column, by: tie.what.clone(), tested: true }));
            }
        }
        for code in held.automatic.code.iter().filter(|code| code.on.update && code.only_row) {
            let others = code.looks_at.iter().filter(|column| !assigned.contains(*column));
            found.extend(others.map(|column| Raw { column: column.clone(), by: code.what.clone(), tested: true }));
        }
    }
    found
}

/// The relations whose rows a write of this one changes: itself, what is below it, what a view is made of.
fn written_through(relation: &Arc<Relation>, catalog: &Catalog) -> Vec<Arc<Relation>> {
    let view = relation.kind == RelationKind::View;
    let below = catalog.descendants(relation.oid);
    let through = if view { relation.reaches.clone() } else { Vec::new() };
    let found = below.into_iter().chain(through).filter_map(|oid| catalog.relation_by_oid(oid));
    std::iter::once(relation).chain(found).cloned().collect()
}

/// The relations that the database looks at when rows of this one are written: those that foreign keys lead to, from both sides, and
/// what is written with it.
pub(in crate::sql) fn looked_at(relation: &Relation, catalog: &Catalog) -> Vec<Oid> {
    let written: BTreeSet<Oid> = std::iter::once(relation.oid)
        .chain(catalog.descendants(relation.oid))
        .chain(catalog.ancestors(relation.oid))
        .chain(relation.reaches.iter().copied())
        .collect();
    let mut found = written.clone();
    for other in catalog.relations() {
        for reference in &other.automatic.referenced {
            if written.contains(&reference.from) {
                found.insert(other.oid);
            }
            if written.contains(&other.oid) {
                found.insert(reference.from);
            }
        }
    }
    found.into_iter().collect()
}

/// Whether a write of it calls no trigger, rule or function of somebody's.
pub(in crate::sql) fn runs_no_code(relation: &Relation, catalog: &Catalog) -> bool {
    let mut cascades: Vec<Oid> = looked_at(relation, catalog);
    cascades.push(relation.oid);
    cascades
        .into_iter()
        .filter_map(|oid| catalog.relation_by_oid(oid))
        .all(|held| !held.automatic.code.iter().any(|code| code.on.writes()))
}

fn happens(code: &Code, verb: Verb, upserts: bool) -> bool {
    match verb {
        Verb::Insert => code.on.insert || (upserts && code.on.update),
        Verb::Update => code.on.update,
        Verb::Delete => code.on.delete,
        Verb::Select | Verb::Define => false,
    }
}

fn of_code(relation: &Arc<Relation>, verb: Verb, upserts: bool, context: &Context<'_>) -> Vec<Unknown> {
    let catalog = context.catalog;
    let above = catalog.ancestors(relation.oid).into_iter().filter_map(|oid| catalog.relation_by_oid(oid));
    let keys = above.flat_map(|held| held.automatic.code.iter().filter(|code| code.on.of_parts).cloned());
    written_through(relation, catalog)
        .iter()
        .flat_map(|held| held.automatic.code.clone())
        .chain(keys)
        .filter(|code| happens(code, verb, upserts) && !(code.only_row && nothing_stands_before(context)))
        .filter(|code| !is_known(code, context))
        .map(|code| Unknown { what: code.what, function: code.function })
        .collect()
}

/// Whether what code calls by the names of PostgreSQL's functions and operators is that: others of these names may be found before them, by
/// the session's search path or their arguments' types.
fn nothing_stands_before(context: &Context<'_>) -> bool {
    let known = |schema: &str, name: &str| {
        context.policies.allows_function(schema, name) || body::computes(schema, name, context)
    };
    let mut functions = FUNCTIONS.iter().flat_map(|name| context.catalog.functions(name));
    let plain = functions.all(|function| {
        function.schema == "pg_catalog" || function.extension.is_some() || known(&function.schema, &function.name)
    });
    // Such code has these signs, and LIKE.
    let written = |name: &str| name.chars().all(|sign| "=<>+-*|".contains(sign)) || name.contains("~~");
    let mut operators = context.catalog.calling_operators().filter(|(name, _)| written(name));
    plain && operators.all(|(_, calls)| implied::open(calls, context))
}

/// Whether it is known that a function touches nothing.
fn is_known(code: &Code, context: &Context<'_>) -> bool {
    code.function.as_ref().is_some_and(|(schema, name)| {
        schema == "pg_catalog" && builtins::is_reviewed(name) || body::computes(schema, name, context)
    })
}

/// What a statement calls that looks through the values of a relation again, and of which it is not known what it does.
pub(super) fn looked_through<'a>(
    relation: &'a Relation,
    context: &'a Context<'_>,
) -> impl Iterator<Item = &'a Code> + 'a {
    relation.automatic.code.iter().filter(|code| {
        let named = |(schema, name): &(String, String)| context.policies.allows_function(schema, name);
        code.on.looked_through && !code.function.as_ref().is_some_and(named) && !is_known(code, context)
    })
}

/// The writes that follow from one: by foreign keys, as far as they lead.
pub(super) fn consequences(occurrence: &Occurrence, context: &Context<'_>) -> Vec<Consequence> {
    let catalog = context.catalog;
    let mut queue = match occurrence.verb {
        Verb::Delete => vec![(Arc::clone(&occurrence.relation), None)],
        Verb::Update => vec![(Arc::clone(&occurrence.relation), Some(occurrence.assigned.clone()))],
        Verb::Insert if occurrence.upserts => {
            vec![(Arc::clone(&occurrence.relation), Some(occurrence.assigned.clone()))]
        }
        Verb::Select | Verb::Insert | Verb::Define => Vec::new(),
    };
    let mut found: Vec<Consequence> = Vec::new();
    while let Some((relation, set)) = queue.pop() {
        for held in written_through(&relation, catalog) {
            for reference in &held.automatic.referenced {
                let action = match &set {
                    None => reference.on_delete,
                    Some(set) => {
                        let named = columns_of(&held, &reference.to);
                        let touched = held.oid != relation.oid || named.iter().any(|column| set.contains(column));
                        if touched { reference.on_update } else { ReferenceAction::Refuse }
                    }
                };
                let Some(from) = catalog.relation_by_oid(reference.from) else { continue };
                let columns = columns_of(from, &reference.columns);
                let (verb, next) = match (action, set.is_none()) {
                    (ReferenceAction::Refuse, _) => continue,
                    (ReferenceAction::Cascade, true) => (Verb::Delete, None),
                    (ReferenceAction::Cascade, false) | (ReferenceAction::Set, _) => {
                        (Verb::Update, Some(columns.iter().cloned().collect::<BTreeSet<_>>()))
                    }
                };
                let consequence = Consequence {
                    access: access(from, verb, &columns, context),
                    by: format!("foreign key `{}`", reference.name),
                };
                let known = found.iter().any(|other| other.access == consequence.access);
                if !known && found.len() < FURTHEST {
                    queue.push((Arc::clone(from), next));
                    found.push(consequence);
                }
            }
        }
    }
    found
}

fn access(relation: &Arc<Relation>, verb: Verb, columns: &[String], context: &Context<'_>) -> RelationAccess {
    let catalog = context.catalog;
    let lineage = Lineage::of(catalog, relation.oid);
    let set = match verb {
        Verb::Update => columns,
        Verb::Select | Verb::Insert | Verb::Delete | Verb::Define => &[],
    };
    RelationAccess {
        relation: relation.name.clone(),
        ancestors: lineage.ancestors,
        reaches: lineage.reaches,
        opaque: lineage.opaque,
        verb,
        star: false,
        columns: set
            .iter()
            .filter_map(|name| relation.column(name))
            .map(|column| ColumnAccess {
                name: column.name.clone(),
                class: column.class,
                uses: BTreeSet::from([Use::Write]),
            })
            .collect(),
        temporary: catalog.is_temporary(relation.oid),
        filled: super::filled(catalog, relation),
        whole_row_write: verb == Verb::Delete,
        automatic: Automatic { unknown: of_code(relation, verb, false, context), ..Automatic::default() },
    }
}
