//! Tables of which a purpose sees some columns and not others: what maps whole tables to objects names every column, and is refused.

use std::collections::BTreeMap;

use crate::catalog::{Catalog, RelationName};
use crate::policy::decide::column::{Sight, standing};
use crate::policy::model::PolicySet;

/// A table that is open in part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partly {
    /// The table.
    pub table: RelationName,
    /// Its closed columns.
    pub closed: Vec<String>,
}

impl PolicySet {
    /// By role and purpose, the tables of a database of which some columns are seen, and that are closed in others. Tables of which nothing is
    /// seen are not among them: nobody takes them for open.
    pub fn partly_open(&self, catalog: &Catalog) -> BTreeMap<(String, String), Vec<Partly>> {
        let mut found: BTreeMap<(String, String), Vec<Partly>> = BTreeMap::new();
        for role in self.roles.values().filter(|role| role.unrestricted.is_none()) {
            for purpose in &role.purposes {
                let lineage = self.lineage(purpose);
                for (name, table) in self.tables.iter().filter(|(_, table)| !table.open) {
                    let Some(relation) = catalog.relation(name) else { continue };
                    let hidden = |column: &str| {
                        matches!(
                            standing(self, &role.name, &lineage, name, table, column, None).sight,
                            Sight::Hidden(_)
                        )
                    };
                    let columns = relation.columns.iter().map(|column| column.name.clone());
                    let (closed, seen): (Vec<String>, Vec<String>) = columns.partition(|column| hidden(column));
                    if !closed.is_empty() && !seen.is_empty() {
                        let key = (role.name.clone(), purpose.clone());
                        found.entry(key).or_default().push(Partly { table: name.clone(), closed });
                    }
                }
            }
        }
        found
    }
}
