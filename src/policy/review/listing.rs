//! What the policies name, for comparison with a catalog, and to make one where there is no database.

use crate::catalog::RelationName;
use crate::document::Place;
use crate::policy::model::{ExclusionList, Mask, PolicySet, RowCondition, SubjectPath};

/// A column as the policies list it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedColumn<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its category.
    pub category: &'a str,
    /// Every mask that a rule, or the category, may put on it.
    pub masks: Vec<&'a Mask>,
}

/// The table of consents, as the policies name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedConsent<'a> {
    /// The table.
    pub table: &'a RelationName,
    /// The column that names the subject.
    pub subject: &'a str,
    /// The column that names the purpose.
    pub purpose: &'a str,
    /// SQL over its columns that says a consent is live.
    pub active: &'a str,
    /// The column that says when it was given.
    pub given_at: Option<&'a str>,
    /// The column without which a row proves nothing (POPIA s11(2)(a)).
    pub evidence: Option<&'a str>,
    /// Where the policies say so.
    pub place: &'a Place,
}

impl PolicySet {
    /// The columns of a listed table; none for one that is open or not listed.
    pub fn listed_columns(&self, table: &RelationName) -> Vec<ListedColumn<'_>> {
        let Some((table, listed)) = self.tables.get_key_value(table) else { return Vec::new() };
        listed
            .columns
            .iter()
            .map(|(name, category)| {
                let by_category = self.categories.get(category).and_then(|category| category.mask.as_ref());
                let by_rules = self.rules_naming(table, name, category).flat_map(|rule| &rule.mask);
                let named = by_rules.filter(|(target, _)| target.is(table, name, category)).map(|(_, mask)| mask);
                ListedColumn { name, category, masks: named.chain(by_category).collect() }
            })
            .collect()
    }

    /// Whether some rule lets a column be looked up by its raw value.
    pub fn opens_for_lookup(&self, table: &RelationName, column: &str) -> bool {
        let category = self.tables.get(table).and_then(|table| table.columns.get(column));
        category.is_some_and(|category| {
            let mut rules = self.rules_naming(table, column, category);
            rules.any(|rule| rule.lookup.iter().any(|target| target.is(table, column, category)))
        })
    }

    /// Every such column.
    pub fn columns_for_lookups(&self) -> impl Iterator<Item = (&RelationName, &str)> {
        let columns =
            self.tables.iter().flat_map(|(name, table)| table.columns.keys().map(move |column| (name, &**column)));
        columns.filter(|(table, column)| self.opens_for_lookup(table, column))
    }

    /// How a row of a listed table leads to its data subject.
    pub fn listed_subject(&self, table: &RelationName) -> Option<&SubjectPath> {
        self.tables.get(table)?.subject.as_ref()
    }

    /// Whether a table is listed as one whose rows are of no data subject (`subject = false`).
    pub fn is_of_nobody(&self, table: &RelationName) -> bool {
        self.tables.get(table).is_some_and(|table| table.no_subject)
    }

    /// The category of a listed column, and where it is given: the line of its own, or of the pattern that gives it.
    pub fn category_at(&self, table: &RelationName, column: &str) -> Option<(&str, &Place)> {
        let listing = self.tables.get(table)?;
        Some((listing.columns.get(column)?, listing.place_of(column)))
    }

    /// Where a table is listed.
    pub fn listed_at(&self, table: &RelationName) -> Option<&Place> {
        self.tables.get(table).map(|table| &table.place)
    }

    /// The table of consents.
    pub fn listed_consent(&self) -> Option<ListedConsent<'_>> {
        self.consent.as_ref().map(|consent| ListedConsent {
            table: &consent.table,
            subject: &consent.subject,
            purpose: &consent.purpose,
            active: &consent.active,
            given_at: consent.given_at.as_deref(),
            evidence: consent.evidence.as_deref(),
            place: &consent.place,
        })
    }
}

/// A table of objections or restrictions, as the policies name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedExclusion<'a> {
    /// The table.
    pub table: &'a RelationName,
    /// The column that names the subject.
    pub subject: &'a str,
    /// The column that names the purpose.
    pub purpose: Option<&'a str>,
    /// SQL over its columns that says that a row is in force.
    pub active: &'a str,
}

impl PolicySet {
    /// The table of objections, or that of restrictions.
    pub fn listed_exclusion(&self, list: ExclusionList) -> Option<ListedExclusion<'_>> {
        self.exclusions.iter().find(|source| source.list == list).map(|source| ListedExclusion {
            table: &source.table,
            subject: &source.subject,
            purpose: source.purpose.as_deref(),
            active: &source.active,
        })
    }
}

/// What a rule calls its own condition; `login` may stand in it.
pub const ROWS: &str = "rows";
/// The same by the application's end user; `actor` may stand in it besides.
pub const OWN: &str = "own";

/// A condition over a table's columns, as the policies state it.
#[derive(Debug, Clone, Copy)]
pub struct Stated<'a> {
    /// What it is called there.
    pub key: &'static str,
    /// SQL over the table's columns.
    pub text: &'a str,
    /// The table.
    pub table: &'a RelationName,
    /// Where it stands.
    pub place: &'a Place,
    /// A rule's own, over the rows that it opens: `login` and `actor` may stand in it.
    pub of_rule: bool,
}

impl PolicySet {
    /// Every condition that the policies state as SQL.
    pub fn conditions(&self) -> impl Iterator<Item = Stated<'_>> {
        let consent = self.consent.iter().map(|consent| Stated {
            key: "active",
            text: &consent.active,
            table: &consent.table,
            place: &consent.place,
            of_rule: false,
        });
        let lists = self.exclusions.iter().map(|list| Stated {
            key: "active",
            text: &list.active,
            table: &list.table,
            place: &list.place,
            of_rule: false,
        });
        let customers = self.purposes.values().filter_map(|purpose| {
            let customers = purpose.direct_marketing.as_ref()?.customers.as_ref()?;
            let text = customers.condition.as_deref()?;
            Some(Stated {
                key: "customers_where",
                text,
                table: &customers.table,
                place: &purpose.place,
                of_rule: false,
            })
        });
        let own = self.rules.iter().filter(|rule| rule.own.is_some()).flat_map(move |rule| {
            let opened = self.tables.iter().filter(|(name, table)| !table.open && rule.opens(name, table));
            opened.flat_map(move |(table, _)| {
                let place = &rule.place;
                rule.own.iter().map(move |RowCondition { text, names: _ }| Stated {
                    key: OWN,
                    text,
                    table,
                    place,
                    of_rule: true,
                })
            })
        });
        consent.chain(lists).chain(customers).chain(self.conditions_of_rules()).chain(own)
    }

    /// The conditions of the rules' own, once for each table that they are about.
    fn conditions_of_rules(&self) -> impl Iterator<Item = Stated<'_>> {
        self.rules.iter().filter(|rule| !rule.rows.is_empty()).flat_map(move |rule| {
            let tables = self.tables.iter().filter(|(name, table)| !table.open && rule.opens(name, table));
            tables.flat_map(|(name, _)| {
                let own = rule.rows.iter().filter(|rows| rows.concerns(name));
                own.map(move |rows| Stated {
                    key: ROWS,
                    text: &rows.condition,
                    table: name,
                    place: &rows.place,
                    of_rule: false,
                })
            })
        })
    }
}
