//! What a relation is made of and part of.

use crate::catalog::{Catalog, Oid, RelationName};

/// What a relation is made of and part of, by name: the three fields of [`RelationAccess`] that the catalog knows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Lineage {
    /// Partition and inheritance parents, nearest first, and what it was called or part of before.
    pub ancestors: Vec<RelationName>,
    /// Descendants, what a view's definition names, and the ancestors and descendants of those: a view over one partition reaches
    /// the listing of the whole. Under the names that they had before, too.
    pub reaches: Vec<RelationName>,
    /// Some definition on the way calls a function that is not built in, or is not known.
    pub opaque: bool,
}

impl Lineage {
    /// Reads it from the snapshot.
    pub fn of(catalog: &Catalog, oid: Oid) -> Self {
        let mut opaque = false;
        let mut found: Vec<Oid> = Vec::new();
        // Descendants come along with the relation itself; its own ancestors do not.
        let mut queue = vec![oid];
        queue.extend(catalog.descendants(oid));
        found.extend(catalog.descendants(oid));
        while let Some(at) = queue.pop() {
            let Some(relation) = catalog.relation_by_oid(at) else {
                opaque = true;
                continue;
            };
            opaque |= relation.opaque;
            for &reached in &relation.reaches {
                for near in
                    std::iter::once(reached).chain(catalog.ancestors(reached)).chain(catalog.descendants(reached))
                {
                    if near != oid && !found.contains(&near) {
                        found.push(near);
                        queue.push(near);
                    }
                }
            }
        }
        let name = |oid: Oid| catalog.relation_by_oid(oid).map(|relation| relation.name.clone());
        let ancestors = catalog.ancestors(oid);
        let former = std::iter::once(oid).chain(ancestors.iter().copied()).flat_map(|oid| catalog.former_names(oid));
        let former: Vec<RelationName> = former.cloned().collect();
        // A relation that the snapshot lacks cannot be judged.
        opaque |= ancestors.iter().chain(&found).any(|&oid| name(oid).is_none());
        let formerly = found.iter().flat_map(|oid| catalog.former_names(*oid)).cloned();
        let formerly: Vec<RelationName> = formerly.filter(|name| !former.contains(name)).collect();
        Self {
            ancestors: ancestors.into_iter().filter_map(name).chain(former).collect(),
            reaches: found.into_iter().filter_map(name).chain(formerly).collect(),
            opaque,
        }
    }
}
