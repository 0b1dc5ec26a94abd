//! How long rows are kept, table by table: for the report of what is due.

use crate::catalog::RelationName;
use crate::config::Place;
use crate::policy::model::{Limit, PolicySet, SubjectPath};

/// A table whose rows are kept for a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retained<'a> {
    /// The table.
    pub table: &'a RelationName,
    /// The limits: the purpose, `None` for every other, and how long.
    pub limits: Vec<(Option<&'a str>, &'a Limit)>,
    /// How a row leads to its subject.
    pub subject: Option<&'a SubjectPath>,
    /// Where the policy lists it.
    pub place: &'a Place,
}

impl PolicySet {
    /// The tables that say how long their rows are kept, in the order of their names.
    pub fn retained(&self) -> Vec<Retained<'_>> {
        self.tables
            .iter()
            .filter(|(_, table)| !table.retain.is_empty())
            .map(|(name, table)| Retained {
                table: name,
                limits: table.retain.iter().map(|(purpose, limit)| (purpose.as_deref(), limit)).collect(),
                subject: table.subject.as_ref(),
                place: &table.place,
            })
            .collect()
    }
}
