//! Joins under `min_group`: no row is counted twice, weighted or picked by what it is joined to.
//!
//! One relation, whose rows are added up, is joined to others that have at most one row for each of its own: governed ones along
//! the way that the policy says leads to the data subject, open ones by their primary key. Rows joined otherwise could carry weights by
//! which a sum tells who is in it.

use sqlparser::ast::{BinaryOperator, Expr, JoinConstraint, JoinOperator, Select, TableFactor};

use super::names::name_of;
use super::{Occurrence, OccurrenceId, Resolver};
use crate::catalog::RelationKind;
use crate::policy::{Governance, SubjectPath, Use};

/// Two columns that are equal in every row.
type Equal = ((OccurrenceId, String), (OccurrenceId, String));

impl Resolver<'_> {
    /// Whether the one level of a grouped statement counts each row of one relation once, and adds up only columns of that.
    pub(super) fn adds_no_weight(&self, select: &Select) -> bool {
        let tables = |factor: &TableFactor| matches!(factor, TableFactor::Table { .. });
        let items = select.from.iter().map(|item| {
            usize::from(tables(&item.relation)) + item.joins.iter().filter(|join| tables(&join.relation)).count()
        });
        // What is no relation of the database's own (a system catalog, a WITH query) has rows that nobody counts.
        if items.sum::<usize>() != self.occurrences.len() {
            return false;
        }
        if self.occurrences.iter().any(|occurrence| occurrence.only || occurrence.sample.is_some()) {
            return false;
        }
        if self.occurrences.len() <= 1 {
            return true;
        }
        if self.occurrences.iter().any(|occurrence| !occurrence.column_aliases.is_empty()) {
            return false;
        }
        let Some(equal) = self.equalities(select) else { return false };
        (0..self.occurrences.len()).any(|base| self.is_base(base, &equal))
    }

    /// Whether every other relation has at most one row for each of this one's.
    fn is_base(&self, base: OccurrenceId, equal: &[Equal]) -> bool {
        if self.occurrences.get(base).is_none_or(|first| self.is_open(first)) {
            return false;
        }
        let mut reached = vec![base];
        loop {
            let next = (0..self.occurrences.len())
                .find(|id| !reached.contains(id) && reached.iter().any(|from| self.leads(*from, *id, equal)));
            match next {
                Some(id) => reached.push(id),
                None => break,
            }
        }
        let added_elsewhere =
            self.occurrences.iter().enumerate().any(|(id, occurrence)| {
                id != base && occurrence.uses.values().any(|uses| uses.contains(&Use::Aggregate))
            });
        // An equality beside the joins is a condition: none on a column that names one row or person.
        let beside = |((a, x), (b, y)): &Equal| {
            let single =
                |id: &OccurrenceId, column: &str| self.occurrences.get(*id).is_none_or(|one| self.singles(one, column));
            (single(a, x) || single(b, y)) && !self.leads(*a, *b, equal) && !self.leads(*b, *a, equal)
        };
        reached.len() == self.occurrences.len() && !added_elsewhere && !equal.iter().any(beside)
    }

    /// Whether a row of the first has at most one of the second, and by no key of a single person's but the declared one.
    fn leads(&self, from: OccurrenceId, to: OccurrenceId, equal: &[Equal]) -> bool {
        let (Some(one), Some(other)) = (self.occurrences.get(from), self.occurrences.get(to)) else { return false };
        let pairs: Vec<(&str, &str)> = equal
            .iter()
            .filter_map(|((a, x), (b, y))| match () {
                () if (*a, *b) == (from, to) => Some((x.as_str(), y.as_str())),
                () if (*a, *b) == (to, from) => Some((y.as_str(), x.as_str())),
                () => None,
            })
            .collect();
        let by_key = unique_by(other, &pairs.iter().map(|(_, there)| *there).collect::<Vec<_>>());
        if self.is_open(other) {
            // A condition on the open side is one on the column that it is joined by: none that names one row or person.
            let single = |column: &&str| self.singles(one, column);
            return by_key && !pairs.iter().map(|(here, _)| here).any(single);
        }
        let listed = |occurrence: &Occurrence| self.context.policies.listed_subject(&occurrence.relation.name);
        let declared = match (listed(one), listed(other)) {
            (Some(SubjectPath::Through { column, relation, references, .. }), _)
                if *relation == other.relation.name =>
            {
                by_key && pairs.contains(&(column.as_str(), references.as_str()))
            }
            (Some(SubjectPath::Column(own)), Some(SubjectPath::Column(theirs))) => {
                by_key && key_of(other) == [theirs.as_str()] && pairs.contains(&(own.as_str(), theirs.as_str()))
            }
            _ => false,
        };
        declared && pairs.len() == 1
    }

    fn is_open(&self, occurrence: &Occurrence) -> bool {
        let policies = self.context.policies;
        let open = |name| matches!(policies.governance(name), Governance::Open | Governance::UnlistedAllow);
        let catalog = self.context.catalog;
        let above = catalog.ancestors(occurrence.relation.oid);
        open(&occurrence.relation.name)
            && above.iter().filter_map(|oid| catalog.relation_by_oid(*oid)).all(|relation| open(&relation.name))
    }

    /// Whether a column of a governed relation names one row or one data subject.
    fn singles(&self, occurrence: &Occurrence, column: &str) -> bool {
        if self.is_open(occurrence) {
            return false;
        }
        let subject = self.context.policies.listed_subject(&occurrence.relation.name);
        key_of(occurrence) == [column] || subject.is_none_or(|path| path.column() == column)
    }

    /// The columns that are equal by ON, USING and WHERE. `None` where that cannot be told.
    fn equalities(&self, select: &Select) -> Option<Vec<Equal>> {
        let mut found = Vec::new();
        for item in &select.from {
            for join in &item.joins {
                let (JoinOperator::Join(constraint)
                | JoinOperator::Inner(constraint)
                | JoinOperator::CrossJoin(constraint)) = &join.join_operator
                else {
                    return None;
                };
                match constraint {
                    JoinConstraint::On(condition) => self.equal(condition, &mut found),
                    JoinConstraint::None => {}
                    // Which column of which relation is meant is not told here.
                    JoinConstraint::Using(names) => {
                        for name in names {
                            let [part] = name.0.as_slice() else { return None };
                            let name = name_of(part.as_ident()?);
                            let with: Vec<OccurrenceId> = self.with_column(&name);
                            let [a, b] = with.as_slice() else { return None };
                            found.push(((*a, name.clone()), (*b, name)));
                        }
                    }
                    JoinConstraint::UsingAlias(..) | JoinConstraint::Natural => return None,
                }
            }
        }
        if let Some(selection) = &select.selection {
            self.equal(selection, &mut found);
        }
        Some(found)
    }

    fn with_column(&self, name: &str) -> Vec<OccurrenceId> {
        let has = |(id, occurrence): (usize, &Occurrence)| occurrence.relation.column(name).map(|_| id);
        self.occurrences.iter().enumerate().filter_map(has).collect()
    }

    fn equal(&self, condition: &Expr, found: &mut Vec<Equal>) {
        match condition {
            Expr::Nested(inner) => self.equal(inner, found),
            Expr::BinaryOp { left, op: BinaryOperator::And, right } => {
                self.equal(left, found);
                self.equal(right, found);
            }
            Expr::BinaryOp { left, op: BinaryOperator::Eq, right } => {
                if let (Some(left), Some(right)) = (self.column_of(left), self.column_of(right)) {
                    found.push((left, right));
                }
            }
            _ => {}
        }
    }

    pub(super) fn column_of(&self, expr: &Expr) -> Option<(OccurrenceId, String)> {
        match expr {
            Expr::Nested(inner) => self.column_of(inner),
            Expr::Identifier(ident) => {
                let name = name_of(ident);
                match self.with_column(&name).as_slice() {
                    [id] => Some((*id, name)),
                    _ => None,
                }
            }
            Expr::CompoundIdentifier(idents) => {
                let (column, table) = match idents.as_slice() {
                    [table, column] | [_, table, column] => (name_of(column), name_of(table)),
                    _ => return None,
                };
                let mut called =
                    self.occurrences.iter().enumerate().filter(|(_, occurrence)| occurrence.alias == table);
                match (called.next(), called.next()) {
                    (Some((id, _)), None) => Some((id, column)),
                    _ => None,
                }
            }
            _ => None,
        }
    }
}

fn key_of(occurrence: &Occurrence) -> Vec<&str> {
    names_of(occurrence, &occurrence.relation.primary_key)
}

fn names_of<'a>(occurrence: &'a Occurrence, numbers: &[i16]) -> Vec<&'a str> {
    let named = |number: &i16| occurrence.relation.columns.iter().find(|column| column.number == *number);
    numbers.iter().filter_map(named).map(|column| column.name.as_str()).collect()
}

/// Whether at no moment two of the rows that are read have the same in these columns: they hold a primary key that is not deferrable,
/// or what a foreign key refers to, which PostgreSQL holds unique at once. No key is held over inheritance children
/// ("Inheritance", caveats), but over partitions.
fn unique_by(occurrence: &Occurrence, columns: &[&str]) -> bool {
    let relation = &occurrence.relation;
    if relation.kind != RelationKind::PartitionedTable && !relation.children.is_empty() {
        return false;
    }
    let held = |key: &[i16]| {
        let names = names_of(occurrence, key);
        !key.is_empty() && names.len() == key.len() && names.iter().all(|name| columns.contains(name))
    };
    (!relation.deferrable_key && held(&relation.primary_key))
        || relation.automatic.referenced.iter().any(|reference| held(&reference.to))
}
