//! Rows that a rule's own condition picks: one's own portfolio.

use super::condition::condition_for;
use super::condition::said;
use super::rows::Place;
use super::{Fail, fail};
use crate::catalog::{Catalog, Oid, Relation, RelationKind, RelationName};
use crate::policy::{ActorRows, OWN, RelationObligation, RowCondition, RowFilter, SubjectPath, Verb};
use crate::sql::form::context::Context;
use crate::sql::resolve::Occurrence;

/// What the table is called that has the columns of the condition where the row itself has not.
const REGISTER: &str = "pgpurpose_own";

impl Place<'_> {
    /// A rule's own condition, over the row itself or over the one row of its data subject's table that has the columns.
    pub(super) fn own(&self, own: &ActorRows) -> Result<String, Fail> {
        let ActorRows { rule, condition: RowCondition { text, names: _ }, registers, .. } = own;
        let names = said::columns(text)?;
        let has = |relation: &Relation| names.iter().any(|name| relation.column(name).is_some());
        let over = |relation, row| condition_for(OWN, text, relation, row, self.catalog, Some(self.whom));
        if names.is_empty() || has(self.relation) {
            return over(self.relation, self.row);
        }
        let known = registers.iter().filter_map(|(table, key)| Some((self.catalog.relation(table)?, key)));
        let mut fitting = known.filter(|(relation, _)| has(relation.as_ref()));
        match (fitting.next(), fitting.next(), self.subject) {
            (Some((register, by)), None, Some(_)) => {
                self.exists(&register.name, REGISTER, by, &over(register.as_ref(), REGISTER)?)
            }
            (Some(_), Some(_), Some(_)) => Err(fail(format!(
                "the purpose is closed: rule `{rule}` picks rows of `{}` by columns that several tables have",
                self.relation.name
            ))),
            (_, _, _) => Err(fail(format!(
                "the purpose is closed: rule `{rule}` opens rows of `{}`, which do not lead to the columns of its `{OWN}`",
                self.relation.name
            ))),
        }
    }

    /// What the value of one column of a new row must meet: the condition, where it is about that column alone, or that the data subject
    /// whom it names is one's own.
    pub(super) fn own_value(&self, own: &ActorRows, column: &str) -> Result<Option<String>, Fail> {
        if !own.opens {
            return Ok(None);
        }
        let names = said::columns(&own.condition.text)?;
        let mut tested = self.relation.columns.iter().filter(|known| names.contains(&known.name));
        match (tested.next(), tested.next()) {
            (Some(only), None) if only.name == column => self.own(own).map(Some),
            (None, _) if self.subject.is_some_and(|path| path.column() == column) => self.own(own).map(Some),
            (_, _) => Ok(None),
        }
    }
}

/// Refuses a write that could give somebody rows of others: one whose new values cannot be held to a rule's own condition.
///
/// # Errors
/// 42501, with what helps.
pub(super) fn check(
    occurrence: &Occurrence,
    obligation: &RelationObligation,
    context: &Context<'_>,
) -> Result<(), Fail> {
    let RelationObligation::Governed { added, subject, .. } = obligation else { return Ok(()) };
    for filter in added {
        if let RowFilter::OfActor(own) = filter {
            Write::of(occurrence, own, subject.as_ref(), context.catalog)?.check()?;
        }
    }
    Ok(())
}

/// A write to a table by which a rule's own condition holds.
struct Write<'a> {
    occurrence: &'a Occurrence,
    own: &'a ActorRows,
    subject: Option<&'a str>,
    /// The table's columns in the condition.
    tested: Vec<&'a str>,
    /// Rows of other tables are looked up here.
    register: bool,
    catalog: &'a Catalog,
}

impl<'a> Write<'a> {
    fn of(
        occurrence: &'a Occurrence,
        own: &'a ActorRows,
        subject: Option<&'a SubjectPath>,
        catalog: &'a Catalog,
    ) -> Result<Self, Fail> {
        let names = said::columns(&own.condition.text)?;
        let has = |table: &RelationName| {
            catalog.relation(table).is_some_and(|known| names.iter().any(|name| known.column(name).is_some()))
        };
        let mut fitting = own.registers.iter().map(|(table, _)| table).filter(|table| has(table));
        let register = own.leads && fitting.next() == Some(&own.table) && fitting.next().is_none();
        let columns = occurrence.relation.columns.iter().map(|column| column.name.as_str());
        let tested = columns.filter(|column| names.contains(*column)).collect();
        Ok(Self { occurrence, own, subject: subject.map(SubjectPath::column), tested, register, catalog })
    }

    fn check(&self) -> Result<(), Fail> {
        let adds = self.occurrence.verb == Verb::Insert;
        // A second row by the same key would bring what hangs on the first.
        let keys = self.own.referred.iter().map(String::as_str).chain(self.subject.filter(|_| self.register));
        for key in keys.filter(|key| adds || self.sets(key)) {
            if !self.is_unique(key) {
                return Err(
                    self.refused(format!("rows of other tables are reached by its `{key}`, which is no primary key"))
                );
            }
        }
        let through = self.register || !self.own.referred.is_empty();
        if !self.own.opens {
            let tested = self.tested.iter().copied().filter(|_| self.register);
            let mut ways = tested.chain(self.subject.filter(|_| through));
            return match ways.find(|column| self.sets(column)) {
                Some(way) => Err(self.refused(format!("whose rows are one's own is looked up by its `{way}`"))),
                None => Ok(()),
            };
        }
        let held = match (self.tested.as_slice(), self.subject) {
            ([only], _) => *only,
            ([], Some(subject)) => subject,
            ([], None) if adds => return Err(self.refused("no new row can be held to that".to_owned())),
            ([], None) => return Ok(()),
            (several, _) if adds || several.iter().any(|column| self.sets(column)) => {
                return Err(self.refused("a new row cannot be held to a condition over several columns".to_owned()));
            }
            (_, _) => return self.moves_others(),
        };
        if self.occurrence.defaulted.contains(held) || (adds && !self.occurrence.said.contains(held)) {
            return Err(self.refused(format!("a new row must say its `{held}`")));
        }
        self.moves_others()
    }

    /// Rows of other tables lead through this one to their data subject, while its own rows are held by another column.
    fn moves_others(&self) -> Result<(), Fail> {
        let moved = self.subject.filter(|_| !self.own.referred.is_empty() && !self.tested.is_empty());
        match moved.filter(|column| self.sets(column) && !self.is_unique(column)) {
            Some(column) => {
                Err(self.refused(format!("rows of other tables lead to their data subject by its `{column}`")))
            }
            None => Ok(()),
        }
    }

    /// Whether rows that are there are given another value.
    fn sets(&self, column: &str) -> bool {
        self.occurrence.assigned.contains(column)
    }

    /// Whether no two rows have the same: it is the primary key by itself, at every moment and over all that is read with it.
    fn is_unique(&self, column: &str) -> bool {
        let relation = &self.occurrence.relation;
        let partitioned = |relation: &Relation| relation.kind == RelationKind::PartitionedTable;
        let known = |oid: &Oid| self.catalog.relation_by_oid(*oid).is_some_and(|parent| partitioned(parent));
        relation.column(column).is_some_and(|column| relation.primary_key == [column.number])
            && !relation.deferrable_key
            && (relation.children.is_empty() || partitioned(relation))
            && relation.parents.iter().all(known)
    }

    fn refused(&self, why: String) -> Fail {
        let ActorRows { rule, condition, .. } = self.own;
        let table = &self.occurrence.relation.name;
        fail(format!("rows of `{table}` cannot be written like this for this purpose"))
            .detail(format!("rule `{rule}` opens only rows that meet `{}`, and {why}", condition.text))
            .hint("name each column that says whose the row is, leave those of other rows as they are, or use a purpose whose rules have no `own`")
    }
}
