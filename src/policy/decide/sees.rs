//! How a column is seen for a purpose, asked about by name: for what is told beside a decision, such as which name was perhaps meant.

use super::column::{Sight, standing};
use crate::catalog::RelationName;
use crate::policy::model::PolicySet;

/// How a purpose sees a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// As it is.
    Plain,
    /// Through a mask.
    Masked,
    /// Not at all.
    Hidden,
}

impl PolicySet {
    /// How a login sees a column of a relation for a purpose. `names` are the relation's own and its ancestors', nearest first.
    pub fn seen<'a>(
        &self,
        login: &str,
        purpose: &str,
        names: impl IntoIterator<Item = &'a RelationName>,
        column: &str,
    ) -> Seen {
        let Some(role) = self.role_of(login) else { return Seen::Hidden };
        match names.into_iter().find_map(|name| Some((name, self.tables.get(name)?))) {
            None if self.unlisted_allowed => Seen::Plain,
            None => Seen::Hidden,
            Some((_, table)) if table.open => Seen::Plain,
            Some((name, table)) => {
                match standing(self, &role.name, &self.lineage(purpose), name, table, column, None).sight {
                    Sight::Plain { .. } => Seen::Plain,
                    Sight::Masked { .. } => Seen::Masked,
                    Sight::Hidden(_) => Seen::Hidden,
                }
            }
        }
    }
}
