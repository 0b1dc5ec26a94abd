//! How long rows are kept, table by table: for the report of what is due.

use crate::catalog::RelationName;
use crate::document::Place;
use crate::policy::model::{Basis, Limit, PolicySet, SubjectPath};

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

/// Why rows of a table stay although the person asks for them to go (POPIA s14(1), s24(1)(b)).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keeps<'a> {
    /// The purpose for which they are needed.
    pub purpose: &'a str,
    /// How long; `None`: the policies say no end.
    pub limit: Option<&'a Limit>,
    /// The section.
    pub section: &'static str,
}

impl PolicySet {
    /// The purposes that keep rows of a table against a request for deletion: those that rest on an obligation by law and may use the table,
    /// for as long as the table says (its own limit, or that of `"*"`), and those of proof that have a limit of their own there.
    pub fn kept_by(&self, table: &RelationName) -> Vec<Keeps<'_>> {
        let Some((name, listed)) = self.tables.get_key_value(table) else { return Vec::new() };
        let uses =
            |purpose: &str| self.rules.iter().any(|rule| rule.purposes.contains(purpose) && rule.opens(name, listed));
        let mut keeps = Vec::new();
        for purpose in self.purposes.values().filter(|purpose| uses(&purpose.name)) {
            let own = listed.retain.get(&Some(purpose.name.clone()));
            let any = own.or_else(|| listed.retain.get(&None));
            if purpose.proof {
                keeps.extend(own.map(|limit| Keeps {
                    purpose: &purpose.name,
                    limit: Some(limit),
                    section: "s14(6)(b)",
                }));
            } else if purpose.basis == Basis::LegalObligation {
                keeps.push(Keeps { purpose: &purpose.name, limit: any, section: "s14(1)(a)" });
            }
        }
        keeps
    }

    /// Whether any table, or pattern for tables, says how long rows are kept.
    pub fn keeps_for_a_time(&self) -> bool {
        self.tables.values().chain(self.patterns.values()).any(|table| !table.retain.is_empty())
    }

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
