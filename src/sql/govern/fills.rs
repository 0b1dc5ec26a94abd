//! Which temporary relations a statement puts governed rows into: they are open for its purpose alone from then on.

use crate::catalog::{Catalog, Oid};
use crate::policy::{Permit, RelationObligation, Verb};
use crate::sql::resolve::Resolved;

/// Temporary relations that governed rows go into.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fills {
    /// Those that are there.
    pub relations: Vec<Oid>,
    /// One that the statement makes.
    pub made: bool,
}

/// What a permitted statement fills. Whatever it reads of governed relations, or of temporary ones that hold rows of them, may
/// flow into each relation that it writes.
pub(super) fn of(resolved: &Resolved, permit: &Permit, catalog: &Catalog) -> Fills {
    let governed =
        permit.relations().iter().any(|obligation| matches!(obligation, RelationObligation::Governed { .. }));
    let along = |oid: Oid| std::iter::once(oid).chain(catalog.descendants(oid));
    let holds = |oid: Oid| {
        let reached = catalog.relation_by_oid(oid).map_or(&[][..], |relation| &relation.reaches);
        along(oid).chain(reached.iter().copied()).any(|oid| catalog.filled_for(oid).is_some())
    };
    let carried = resolved.occurrences.iter().any(|occurrence| holds(occurrence.relation.oid));
    if !governed && !carried {
        return Fills::default();
    }
    let written =
        resolved.occurrences.iter().filter(|occurrence| matches!(occurrence.verb, Verb::Insert | Verb::Update));
    let relations =
        written.flat_map(|occurrence| along(occurrence.relation.oid)).filter(|oid| catalog.is_temporary(*oid));
    let makes = resolved.structure.iter().flat_map(|structure| &structure.makes);
    let made = !resolved.definition && makes.into_iter().any(|make| catalog.is_temporary_schema(&make.name.schema));
    Fills { relations: relations.collect(), made }
}

/// Whether it makes a temporary relation of any kind.
pub(super) fn makes_temporary(resolved: &Resolved, catalog: &Catalog) -> bool {
    let makes = resolved.structure.iter().flat_map(|structure| &structure.makes);
    makes.into_iter().any(|make| catalog.is_temporary_schema(&make.name.schema))
}
