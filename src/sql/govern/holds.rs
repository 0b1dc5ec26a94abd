//! Which errors of the database's stand for a new row about somebody about whom the purpose may have none.

use std::collections::BTreeSet;

use crate::catalog::{Catalog, Oid, Relation, RelationName};
use crate::policy::{RelationObligation, Verb};
use crate::sql::resolve::Occurrence;

/// What is held of the new rows of a statement: what is told of one that is refused is then the same whoever it is about, also where that
/// is nobody who is there and the database itself refuses it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(in crate::sql) struct Holds {
    /// New rows are held to whom they are about.
    held: bool,
    /// The foreign keys, by relation and constraint, that refer to rows which the statement changes, and that it gives no value to: what
    /// they refuse is no new row.
    referred: Vec<(RelationName, String)>,
}

impl Holds {
    /// Of the relations that a statement writes.
    pub(super) fn of(occurrences: &[Occurrence], obligations: &[RelationObligation], catalog: &Catalog) -> Self {
        if !obligations.iter().any(RelationObligation::holds_added) {
            return Self::default();
        }
        let written = || occurrences.iter().filter(|occurrence| occurrence.verb != Verb::Select);
        let mut referred = Vec::new();
        for from in written().flat_map(|occurrence| below(occurrence, catalog)).flat_map(|oid| behind(oid, catalog)) {
            let Some(relation) = catalog.relation_by_oid(from.0) else { continue };
            let gives = written().any(|occurrence| {
                below(occurrence, catalog).contains(&relation.oid) && gives(occurrence, relation, from.1)
            });
            if !gives {
                referred.push((relation.name.clone(), from.2.clone()));
            }
        }
        Self { held: true, referred }
    }

    /// Whether an error stands for such a row: a foreign key that the statement gives a value to, a row policy, or a view's check option.
    /// `file`: of PostgreSQL's source. `names`: schema, table and constraint, where the error has them.
    pub(super) fn stand_for(&self, sqlstate: &str, file: Option<&[u8]>, names: [Option<&str>; 3]) -> bool {
        if !self.held {
            return false;
        }
        match sqlstate {
            "23503" => match names {
                [Some(schema), Some(table), Some(constraint)] => !self
                    .referred
                    .iter()
                    .any(|(relation, name)| relation.schema == schema && relation.name == table && name == constraint),
                // Nobody says which.
                [..] => true,
            },
            // WITH CHECK OPTION.
            "44000" => true,
            "42501" => file == Some(b"execMain.c"),
            _ => false,
        }
    }
}

/// The relations whose rows an occurrence may write: its own, its parts, what a view is made of.
fn below(occurrence: &Occurrence, catalog: &Catalog) -> Vec<Oid> {
    let relation = &occurrence.relation;
    let parts = catalog.descendants(relation.oid);
    std::iter::once(relation.oid).chain(parts).chain(relation.reaches.iter().copied()).collect()
}

/// A foreign key: the relation that refers, its columns, the constraint's name.
type Key<'a> = (Oid, &'a [i16], &'a String);

/// The foreign keys that lead to a relation, as far as what they do leads on.
fn behind(oid: Oid, catalog: &Catalog) -> Vec<Key<'_>> {
    let (mut seen, mut queue, mut found) = (BTreeSet::from([oid]), vec![oid], Vec::new());
    while let Some(at) = queue.pop() {
        for key in catalog.relation_by_oid(at).into_iter().flat_map(|relation| &relation.automatic.referenced) {
            found.push((key.from, key.columns.as_slice(), &key.name));
            if seen.insert(key.from) {
                queue.push(key.from);
            }
        }
    }
    found
}

/// Whether an occurrence gives values to these columns of a relation that it writes.
fn gives(occurrence: &Occurrence, relation: &Relation, columns: &[i16]) -> bool {
    let set = |number: &i16| {
        relation.columns.iter().any(|column| column.number == *number && occurrence.assigned.contains(&column.name))
    };
    match occurrence.verb {
        Verb::Insert => true,
        // What a view calls the columns is not known.
        Verb::Update => relation.oid != occurrence.relation.oid || columns.iter().any(set),
        Verb::Select | Verb::Delete | Verb::Define => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_others_refer_to_is_no_new_row() {
        let key = (RelationName::new("public", "items"), "items_visit_id_fkey".to_owned());
        let holds = Holds { held: true, referred: vec![key] };
        let of = |table, constraint| [Some("public"), Some(table), Some(constraint)];
        let file = Some(&b"ri_triggers.c"[..]);
        assert!(holds.stand_for("23503", file, of("visits", "visits_person_id_fkey")));
        assert!(!holds.stand_for("23503", file, of("items", "items_visit_id_fkey")));
        assert!(holds.stand_for("23503", file, [None; 3]), "what is not named may be one");
        assert!(holds.stand_for("42501", Some(b"execMain.c"), [None; 3]));
        assert!(!holds.stand_for("42501", Some(b"aclchk.c"), [None; 3]), "a right that the database denies");
        assert!(holds.stand_for("44000", Some(b"execMain.c"), [None; 3]));
        assert!(!Holds::default().stand_for("23503", file, [None; 3]));
    }
}
