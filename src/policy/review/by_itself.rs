//! What the database does by itself that reaches what a policy governs: foreign keys as far as they lead, triggers, rules, defaults,
//! what is attached below a table. Told beside the policies, since no statement names it.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use crate::catalog::automatic::{Code, Events, ReferenceAction};
use crate::catalog::{Catalog, Oid, Relation};
use crate::policy::model::{Governance, PolicySet};

/// What happens to rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Happens {
    /// They go.
    Deleted,
    /// A key of theirs changes.
    Changed,
}

impl PolicySet {
    /// A sentence for each. Sorted.
    pub fn by_itself(&self, catalog: &Catalog) -> Vec<String> {
        let mut found = BTreeSet::new();
        for relation in catalog.relations().filter(|relation| is_own(relation)) {
            for happens in [Happens::Deleted, Happens::Changed] {
                found.extend(self.follows(relation, happens, catalog));
            }
            let governed = self.is_kept(relation.oid, catalog);
            let reaches = relation.reaches.iter().any(|oid| self.is_kept(*oid, catalog));
            for code in &relation.automatic.code {
                found.extend(self.runs(relation, code, governed || reaches));
            }
            if governed {
                found.extend(self.attached(relation, catalog));
            }
        }
        found.into_iter().collect()
    }

    /// Whether a policy governs it, or keeps data subjects' wishes in it: by its own name or as a part.
    fn is_kept(&self, oid: Oid, catalog: &Catalog) -> bool {
        std::iter::once(oid).chain(catalog.ancestors(oid)).filter_map(|oid| catalog.relation_by_oid(oid)).any(
            |relation| self.governance(&relation.name) == Governance::Governed || self.keeps_wishes(&relation.name),
        )
    }

    /// What foreign keys do to governed rows when rows of the relation go, or change: each by the shortest way.
    fn follows(&self, relation: &Arc<Relation>, happens: Happens, catalog: &Catalog) -> Vec<String> {
        let (mut told, mut ways) = (BTreeMap::new(), BTreeMap::<(Oid, Happens), String>::new());
        let mut queue = VecDeque::from([(relation.oid, happens)]);
        let first = match happens {
            Happens::Deleted => format!("deleting rows of `{}`", relation.name),
            Happens::Changed => format!("changing keys of `{}`", relation.name),
        };
        ways.insert((relation.oid, happens), first);
        while let Some((at, happens)) = queue.pop_front() {
            let before = ways.get(&(at, happens)).cloned().unwrap_or_default();
            let parts =
                std::iter::once(at).chain(catalog.descendants(at)).filter_map(|oid| catalog.relation_by_oid(oid));
            for reference in parts.flat_map(|part| &part.automatic.referenced) {
                let Some(from) = catalog.relation_by_oid(reference.from) else { continue };
                let action = match happens {
                    Happens::Deleted => reference.on_delete,
                    Happens::Changed => reference.on_update,
                };
                let columns = from.columns.iter().filter(|column| reference.columns.contains(&column.number));
                let columns: Vec<String> = columns.map(|column| format!("`{}.{}`", from.name, column.name)).collect();
                let (what, next) = match (action, happens) {
                    (ReferenceAction::Refuse, _) => continue,
                    (ReferenceAction::Cascade, Happens::Deleted) => {
                        (format!("deletes rows of `{}`", from.name), Happens::Deleted)
                    }
                    (ReferenceAction::Cascade, Happens::Changed) => {
                        (format!("changes {}", columns.join(" and ")), Happens::Changed)
                    }
                    (ReferenceAction::Set, _) => {
                        (format!("sets {} to NULL or its default", columns.join(" and ")), Happens::Changed)
                    }
                };
                let way = format!("{before} {what} by foreign key `{}`", reference.name);
                if self.is_kept(from.oid, catalog) {
                    let sentence = || format!("{way}: it is refused where a rule does not open that");
                    told.entry((from.oid, next)).or_insert_with(sentence);
                }
                if let Entry::Vacant(vacant) = ways.entry((from.oid, next)) {
                    vacant.insert(format!("{way}, which"));
                    queue.push_back((from.oid, next));
                }
            }
        }
        told.into_values().collect()
    }

    /// What a trigger, rule, default, check or index calls.
    fn runs(&self, relation: &Relation, code: &Code, governed: bool) -> Option<String> {
        let name = &relation.name;
        if !code.on.writes() {
            return None;
        }
        let when = events(code.on);
        let Some((schema, function)) = &code.function else {
            // Rules of what is open are judged by what they reach.
            return governed.then(|| {
                format!("{} of `{name}` runs on {when}: such a write is refused, and no policy can name it", code.what)
            });
        };
        if code.only_row {
            return governed.then(|| {
                format!(
                    "{} of `{name}` calls `{schema}.{function}` on {when}, which touches nothing but the row",
                    code.what
                )
            });
        }
        let told = if self.allows_function(schema, function) {
            "the policies name it, and what it reads and writes is not decided"
        } else {
            "what it reads and writes is not known, so that such a write is refused until `[functions] allow` names it"
        };
        let listed = governed || self.governance(name) == Governance::Open;
        listed.then(|| format!("{} of `{name}` calls `{schema}.{function}` on {when}: {told}", code.what))
    }

    /// Parts without a listing of their own.
    fn attached(&self, relation: &Relation, catalog: &Catalog) -> Vec<String> {
        let below = relation.children.iter().filter_map(|oid| catalog.relation_by_oid(*oid));
        below
            .filter(|part| self.governance(&part.name) == Governance::Open)
            .map(|part| {
                format!(
                    "rows of `{}` come along with `{}`, and `{0}` by its own name is open",
                    part.name, relation.name
                )
            })
            .collect()
    }
}

fn is_own(relation: &Relation) -> bool {
    !["pg_catalog", "information_schema", "pg_toast"].contains(&relation.name.schema.as_str())
}

fn events(on: Events) -> String {
    let all = [(on.insert, "INSERT"), (on.update, "UPDATE"), (on.delete, "DELETE"), (on.truncate, "TRUNCATE")];
    all.iter().filter(|(happens, _)| *happens).map(|(_, word)| *word).collect::<Vec<_>>().join(", ")
}
