//! The columns that row filters need in the database: without one of them, the purposes concerned are closed.

use std::collections::BTreeSet;

use crate::catalog::{Catalog, RelationName, TypeClass};
use crate::document::{Fault, Place};
use crate::policy::model::{ContactKind, PolicySet, RecordPurposes, SinceColumn};

/// A column by which rows are filtered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NeededColumn<'a> {
    /// Its table.
    pub table: &'a RelationName,
    /// Its name.
    pub column: &'a str,
    /// What it must hold.
    pub holds: Holds,
    /// For what.
    pub why: &'static str,
    /// Where the policy says so.
    pub place: &'a Place,
}

/// What a column must hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holds {
    /// Anything that compares with its other side.
    Anything,
    /// A date or a time stamp.
    Day,
    /// A text.
    Text,
    /// A text or a number.
    Digits,
    /// One purpose, or several of them.
    Purposes,
}

impl Holds {
    /// Whether a column of this class can.
    pub fn fits(self, class: TypeClass) -> bool {
        let day = matches!(class, TypeClass::Date | TypeClass::Timestamp | TypeClass::TimestampTz);
        match self {
            Self::Anything => true,
            Self::Day => day,
            Self::Text => class == TypeClass::Text,
            Self::Digits => matches!(class, TypeClass::Text | TypeClass::Integer | TypeClass::Numeric),
            Self::Purposes => matches!(class, TypeClass::Text | TypeClass::Enum | TypeClass::Array | TypeClass::Jsonb),
        }
    }
}

/// A table by which rows are filtered, and which no rule need open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WishTable<'a> {
    /// The table.
    pub table: &'a RelationName,
    /// The words of its conditions: its columns among them.
    pub condition: String,
}

impl PolicySet {
    /// Every column by which rows are filtered, besides those of consent.
    pub fn needed_columns(&self) -> Vec<NeededColumn<'_>> {
        let mut all: Vec<NeededColumn<'_>> = Vec::new();
        let mut add = |table, column, holds, why, place| {
            let new = NeededColumn { table, column, holds, why, place };
            if !all.iter().any(|other| (other.table, other.column, other.why) == (table, column, why)) {
                all.push(new);
            }
        };
        for (name, table) in &self.tables {
            for limit in table.retain.values() {
                let (at, column) = match &limit.since {
                    SinceColumn::Own(column) => (name, column),
                    SinceColumn::Of(relation, column) => (relation, column),
                };
                add(at, column.as_str(), Holds::Day, "how long rows are kept", table.place_of_key("retain"));
            }
            match &table.purposes {
                Some(RecordPurposes::Column(column)) => {
                    let place = table.place_of_key("purposes");
                    add(name, column, Holds::Purposes, "for which purposes a record may be used", place);
                }
                Some(RecordPurposes::Table { table, record, key, purpose, place }) => {
                    add(name, key, Holds::Anything, "which record it is", place);
                    add(table, record, Holds::Anything, "for which purposes a record may be used", place);
                    add(table, purpose, Holds::Text, "for which purposes a record may be used", place);
                }
                None => {}
            }
            if let Some(birth) = &table.birth {
                let at = birth.register.as_ref().map_or(name, |(register, _)| register);
                for (column, holds) in [(&birth.date, Holds::Day), (&birth.number, Holds::Digits)] {
                    if let Some(column) = column {
                        add(at, column, holds, "who is a child", &table.place);
                    }
                }
            }
        }
        for source in &self.exclusions {
            let why = source.list.name();
            add(&source.table, &source.subject, Holds::Anything, why, &source.place);
            if let Some(purpose) = &source.purpose {
                add(&source.table, purpose, Holds::Text, why, &source.place);
            }
        }
        let marketing = &self.marketing;
        if let Some((table, subject)) = &marketing.approaches {
            add(table, subject, Holds::Anything, "approaches", &marketing.place);
        }
        if let Some((table, lists)) = &marketing.opt_outs {
            add(table, "kind", Holds::Text, "opt-outs", &marketing.place);
            add(table, "digest", Holds::Anything, "opt-outs", &marketing.place);
            add(lists, "as_of", Holds::Day, "opt-outs", &marketing.place);
        }
        for (kind, (table, column)) in &marketing.contacts {
            let holds = if *kind == ContactKind::IdNumber { Holds::Digits } else { Holds::Text };
            add(table, column, holds, "opt-outs", &marketing.place);
        }
        for purpose in self.purposes.values() {
            if let Some(customers) = purpose.direct_marketing.as_ref().and_then(|direct| direct.customers.as_ref()) {
                add(&customers.table, &customers.subject, Holds::Anything, "customers", &purpose.place);
            }
        }
        all
    }

    /// What `[direct_marketing] contacts` says that a column holds.
    pub fn contact_kind(&self, table: &RelationName, column: &str) -> Option<ContactKind> {
        let mut contacts = self.marketing.contacts.iter();
        contacts.find(|(_, (known, name))| known == table && name == column).map(|(kind, _)| *kind)
    }

    /// The tables of wishes that name a subject, with the column that does: consents, objections, restrictions, approaches.
    pub fn wish_subjects(&self) -> Vec<(&RelationName, &str)> {
        let consent = self.consent.iter().map(|source| (&source.table, source.subject.as_str()));
        let lists = self.exclusions.iter().map(|source| (&source.table, source.subject.as_str()));
        let approaches = self.marketing.approaches.iter().map(|(table, subject)| (table, subject.as_str()));
        consent.chain(lists).chain(approaches).collect()
    }

    /// The tables of consents, objections, restrictions, approaches and opt-outs.
    pub fn wish_tables(&self) -> Vec<WishTable<'_>> {
        let tables: BTreeSet<&RelationName> = self.wishes().map(|(_, table, _)| table).collect();
        tables
            .into_iter()
            .map(|table| {
                let consent = self.consent.iter().filter(|source| source.table == *table).map(|source| &source.active);
                let lists = self.exclusions.iter().filter(|source| source.table == *table).map(|source| &source.active);
                let condition = consent.chain(lists).cloned().collect::<Vec<_>>().join(" ");
                WishTable { table, condition }
            })
            .collect()
    }

    /// Columns that row filters need and the database lacks, or that hold something else.
    pub fn check_filters(&self, catalog: &Catalog) -> Vec<Fault> {
        let mut faults = Vec::new();
        for NeededColumn { table, column, holds, why, place } in self.needed_columns() {
            let closed = "purposes that need it are closed";
            let message = match catalog.relation(table).map(|relation| relation.column(column)) {
                None => format!("table `{table}` does not exist, and says {why}: {closed}"),
                Some(None) => format!("column `{table}.{column}` does not exist, and says {why}: {closed}"),
                Some(Some(found)) if !holds.fits(found.class) => {
                    format!("column `{table}.{column}` says {why}, and is of type {}: {closed}", found.type_sql)
                }
                Some(Some(_)) => continue,
            };
            faults.push(Fault::error(place, message));
        }
        faults
    }
}
