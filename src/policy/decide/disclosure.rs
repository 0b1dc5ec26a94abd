//! Whose rows a statement shows, as far as that is known before it runs: what the access log must hold besides the
//! statement itself.

use serde::Serialize;

use super::{Action, RelationObligation};
use crate::policy::model::RecordAs;

/// What a statement discloses of tables whose policy says `record_subjects`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Disclosure {
    /// For each hidden column at the end of the result's rows, in their order: which of `rows` its values are subjects of; `None`
    /// where it is not there for the log.
    pub hidden: Vec<Option<usize>>,
    /// Relations whose subjects come with the rows.
    pub rows: Vec<Disclosed>,
    /// Relations that were read in a shape that carries no subjects: counted, grouped, tested for.
    pub aggregate: Vec<Disclosed>,
}

/// One relation of a disclosure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Disclosed {
    /// The relation.
    pub name: String,
    /// In which form its subjects are recorded.
    pub form: RecordAs,
    /// The columns that were read, not those that were left out or only set.
    pub columns: Vec<DisclosedColumn>,
    /// For an aggregate: the condition on its level of the query, literals as `$n`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
}

/// One column of a disclosed relation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DisclosedColumn {
    /// Its name.
    pub name: String,
    /// The policy's category of it.
    pub category: Option<String>,
    /// `read`, or `mask`.
    pub action: &'static str,
}

impl Disclosed {
    /// Of one occurrence; `None` where its relation records no subjects.
    pub fn of(obligation: &RelationObligation, filter: Option<String>) -> Option<Self> {
        let RelationObligation::Governed { relation, columns, record: Some(record), .. } = obligation else {
            return None;
        };
        let columns = columns.iter().filter_map(|(name, column)| {
            let action = match column.action {
                Action::Read => "read",
                Action::Mask { .. } => "mask",
                Action::Omit | Action::Write => return None,
            };
            Some(DisclosedColumn { name: name.clone(), category: record.categories.get(name).cloned(), action })
        });
        Some(Self { name: relation.to_string(), form: record.form, columns: columns.collect(), filter })
    }

    fn add(&mut self, other: Self) {
        for column in other.columns {
            match self.columns.iter_mut().find(|known| known.name == column.name) {
                // What was seen once as it is was seen as it is.
                Some(known) if column.action == "read" => known.action = column.action,
                Some(_) => {}
                None => self.columns.push(column),
            }
        }
    }
}

impl Disclosure {
    /// Whether there is nothing to record.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.aggregate.is_empty()
    }

    /// A relation whose subjects stand in the next hidden column; `None` where they are not recorded.
    pub fn carries(&mut self, disclosed: Option<Disclosed>) {
        let Some(disclosed) = disclosed else { return self.hidden.push(None) };
        let at = match self.rows.iter_mut().enumerate().find(|(_, known)| known.name == disclosed.name) {
            Some((at, known)) => {
                known.add(disclosed);
                at
            }
            None => {
                self.rows.push(disclosed);
                self.rows.len().saturating_sub(1)
            }
        };
        self.hidden.push(Some(at));
    }

    /// A relation that was read without its subjects being known.
    pub fn aggregates(&mut self, disclosed: Disclosed) {
        let same = |known: &&mut Disclosed| known.name == disclosed.name && known.filter == disclosed.filter;
        match self.aggregate.iter_mut().find(same) {
            Some(known) => known.add(disclosed),
            None => self.aggregate.push(disclosed),
        }
    }
}
