//! Rows that a rule's own condition picks: one's own portfolio.

use super::condition::condition_for;
use super::condition::said;
use super::rows::Place;
use super::{Fail, fail};
use crate::catalog::Relation;
use crate::policy::{ActorRows, RowCondition};

/// What the table is called that has the columns of the condition where the row itself has not.
const REGISTER: &str = "pgpurpose_own";

impl Place<'_> {
    /// A rule's own condition, over the row itself or over the one row of its data subject's table that has the columns.
    pub(super) fn own(&self, own: &ActorRows) -> Result<String, Fail> {
        let ActorRows { rule, condition: RowCondition { key, text }, registers } = own;
        let names = said::columns(text)?;
        let has = |relation: &Relation| names.iter().any(|name| relation.column(name).is_some());
        let over = |relation, row| condition_for(key, text, relation, row, self.catalog, Some(self.whom));
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
                "the purpose is closed: rule `{rule}` opens rows of `{}`, which do not lead to the columns of its `{key}`",
                self.relation.name
            ))),
        }
    }

    /// What the value of one column of a new row must meet, where the condition is about that column alone.
    pub(super) fn own_value(&self, own: &ActorRows, column: &str) -> Result<Option<String>, Fail> {
        if own.column() != Some(column) {
            return Ok(None);
        }
        let RowCondition { key, text } = &own.condition;
        condition_for(key, text, self.relation, self.row, self.catalog, Some(self.whom)).map(Some)
    }
}
