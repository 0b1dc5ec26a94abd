//! How much of what the database says about a statement the client may be told.

use crate::catalog::{Oid, Relation};
use crate::policy::{Action, Permit, RelationObligation, Verb};
use crate::sql::form::context::Context;
use crate::sql::resolve::{self, Resolved};
use crate::sql::reviewed::definitions;

/// How much may be told of an error or a notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Words {
    /// All that the database says: it can speak of nothing but what the session sees whole.
    #[default]
    All,
    /// What names only what the client wrote.
    Names,
    /// The same, also of what is said later, when the transaction ends: it wrote rows.
    NamesLater,
}

impl Words {
    /// Of a statement that may run.
    ///
    /// All, where the policy hides nothing, or where each relation whose rows the database looks at for it is seen unmasked and
    /// unfiltered, with every column, and no code runs that could look at others.
    pub(super) fn of(resolved: &Resolved, permit: &Permit, context: &Context<'_>) -> Self {
        if context.policies.hides_nothing() {
            return Self::All;
        }
        let writes = |verb: Verb| match verb {
            Verb::Select => false,
            Verb::Insert | Verb::Update | Verb::Delete | Verb::Define => true,
        };
        let calls_own = resolved.meant.functions().iter().any(|function| is_own(function));
        let occurrences = &resolved.occurrences;
        let told = resolved.structure.is_none()
            && !calls_own
            // Known already of most; what is not is asked of the policy, relation by relation.
            && !permit.relations().iter().any(hides)
            && occurrences.iter().all(|occurrence| {
                let relation = &*occurrence.relation;
                let beside =
                    if writes(occurrence.verb) { resolve::looked_at(relation, context.catalog) } else { Vec::new() };
                let quiet = !writes(occurrence.verb) || resolve::runs_no_code(relation, context.catalog);
                quiet && sees(relation.oid, context) && beside.into_iter().all(|oid| sees(oid, context))
            });
        match told {
            true => Self::All,
            false if calls_own || occurrences.iter().any(|occurrence| writes(occurrence.verb)) => Self::NamesLater,
            false => Self::Names,
        }
    }
}

/// Whether what was permitted of a relation leaves a value or a row of it hidden.
fn hides(obligation: &RelationObligation) -> bool {
    match obligation {
        RelationObligation::Open { .. } => false,
        RelationObligation::Governed { columns, min_group, .. } => {
            min_group.is_some()
                || obligation.leaves_rows_out()
                || columns.values().any(|column| matches!(column.action, Action::Mask { .. }))
        }
    }
}

/// A function that is not the system's.
fn is_own(function: &[String]) -> bool {
    match function {
        [schema, _] => schema != "pg_catalog",
        // What the grammar itself spells.
        _ => false,
    }
}

/// Whether the relation, with what it is made of and what it is part of, is seen as it is.
fn sees(oid: Oid, context: &Context<'_>) -> bool {
    let catalog = context.catalog;
    let Some(relation) = catalog.relation_by_oid(oid) else { return false };
    let parts =
        catalog.descendants(oid).into_iter().chain(catalog.ancestors(oid)).chain(relation.reaches.iter().copied());
    let one = |relation: &Relation| catalog.is_temporary(relation.oid) || definitions::sees_whole(relation, context);
    one(relation) && parts.into_iter().all(|oid| catalog.relation_by_oid(oid).is_some_and(|part| one(part)))
}
