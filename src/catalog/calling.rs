//! What operators and types call without being asked by name, as a snapshot keeps it.

use std::sync::Arc;

use super::changes::{Read, Unapplied};
use super::{Catalog, Oid};

impl Catalog {
    /// What operators and types call, where that was asked for.
    pub(super) fn put_called(&mut self, read: &Read<'_>) -> Result<(), Unapplied> {
        if let Some(operators) = read.each::<Vec<(String, String, String)>>("operators")?.pop() {
            self.calling_operators = Arc::default();
            for (operator, schema, function) in operators {
                self.add_calling_operator(operator, (schema, function));
            }
        }
        if let Some(calls) = read.each::<Vec<(Oid, String, String, String, String)>>("calls")?.pop() {
            (self.calling_types, self.calling_values, self.calling_writes) = Default::default();
            for (oid, name, when, schema, function) in calls {
                self.add_calling_type(oid, name, &when, (schema, function));
            }
        }
        Ok(())
    }

    /// An operator calls a function: see [`CatalogBuilder::add_calling_operator`](super::CatalogBuilder::add_calling_operator).
    pub(super) fn add_calling_operator(&mut self, operator: String, function: (String, String)) {
        Arc::make_mut(&mut self.calling_operators).entry(operator).or_default().push(function);
    }

    /// A type calls a function: see [`CatalogBuilder::add_calling_type`](super::CatalogBuilder::add_calling_type).
    pub(super) fn add_calling_type(&mut self, oid: Oid, name: String, when: &str, function: (String, String)) {
        match (oid, when) {
            (0, "w") => self.calling_writes.push(function),
            (0, _) => Arc::make_mut(&mut self.calling_values).entry(0).or_default().push(function),
            (oid, when) => {
                if when == "v" {
                    Arc::make_mut(&mut self.calling_values).entry(oid).or_default().push(function.clone());
                }
                Arc::make_mut(&mut self.calling_types).entry(name).or_default().push(function);
            }
        }
    }
}
