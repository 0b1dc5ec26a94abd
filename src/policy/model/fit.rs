//! Policies with their patterns fitted to a database: each table and column that a pattern means is listed by its name.
//!
//! A pattern never opens what would be closed without it by more than its own listing: what is listed by name stays as it is, a part
//! of a listed table is governed as that is, a view over what is not open is not listed by a pattern, nor are the system's own relations
//! and temporary ones. Where two patterns match and neither is narrower, nothing is opened.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::index::RuleIndex;
use super::pattern::{ColumnPattern, Shape, is_pattern, is_relation_pattern, matches, matches_relation, narrowest};
use super::{Governance, Lineage, PolicySet, SubjectPath, Table, Target};
use crate::catalog::{Catalog, Relation, RelationKind, RelationName};
use crate::document::{Fault, Place, quoted};

impl PolicySet {
    /// Whether there are patterns, so that what is listed depends on the database.
    pub fn has_patterns(&self) -> bool {
        !self.patterns.is_empty() || !self.column_patterns.is_empty()
    }

    /// The same for one snapshot of a database's structure, with where it is from: what has no patterns is the set itself.
    pub fn fitted_to(self: &Arc<Self>, catalog: &Catalog) -> Arc<Self> {
        if !self.has_patterns() {
            return Arc::clone(self);
        }
        let origin = self.origin();
        Arc::new(Self { origin: Some(Arc::clone(origin)), ..origin.fitted(catalog) })
    }

    /// What it was fitted from, or itself.
    pub fn origin(self: &Arc<Self>) -> &Arc<Self> {
        self.origin.as_ref().unwrap_or(self)
    }

    /// The same with every table and column that a pattern means listed by its name.
    #[must_use]
    pub fn fitted(&self, catalog: &Catalog) -> Self {
        let mut fitted = self.clone();
        if !self.has_patterns() || self.fitted {
            return fitted;
        }
        fitted.fitted = true;
        let mut relations: Vec<&Arc<Relation>> =
            catalog.relations().filter(|relation| is_listable(relation, catalog)).collect();
        relations.sort_by(|a, b| a.name.cmp(&b.name));
        let (views, tables): (Vec<_>, Vec<_>) =
            relations.into_iter().partition(|relation| !relation.reaches.is_empty() || relation.opaque);
        for relation in tables {
            fitted.list(relation, &Lineage::of(catalog, relation.oid), catalog);
        }
        // A view over views is listed once those are.
        let mut waiting = views;
        loop {
            let before = waiting.len();
            waiting.retain(|view| {
                let lineage = Lineage::of(catalog, view.oid);
                let open = !lineage.opaque
                    && lineage.reaches.iter().all(|reached| match fitted.governance(reached) {
                        Governance::Open | Governance::UnlistedAllow => true,
                        Governance::Governed | Governance::UnlistedDeny => false,
                    });
                if open {
                    fitted.list(view, &lineage, catalog);
                }
                !open
            });
            if waiting.len() == before {
                break;
            }
        }
        for name in self.tables.iter().filter(|(_, table)| !table.open).map(|(name, _)| name) {
            if let Some(relation) = catalog.relation(name) {
                fitted.categories_by_pattern(name, relation);
            }
        }
        let wishes: Vec<RelationName> = self.wishes().map(|(_, table, _)| table.clone()).collect();
        for rule in &mut fitted.rules {
            let globs: Vec<RelationName> =
                rule.delete.iter().filter(|name| is_relation_pattern(name)).cloned().collect();
            let fits = |name: &RelationName| globs.iter().any(|glob| matches_relation(glob, name));
            let more = fitted.tables.iter().filter(|(name, table)| {
                !table.open && !self.tables.contains_key(name) && !wishes.contains(name) && fits(name)
            });
            rule.delete.extend(more.map(|(name, _)| name.clone()));
        }
        fitted.index = RuleIndex::of(&fitted.rules);
        fitted
    }

    /// Lists a relation as the narrowest pattern says, unless it is listed by its name or governed as what it is part of. What it was
    /// called before keeps the listing that it had under that name.
    fn list(&mut self, relation: &Relation, lineage: &Lineage, catalog: &Catalog) {
        if self.tables.get(&relation.name).is_some_and(|table| !table.by_pattern) {
            return;
        }
        let mut above = false;
        for name in &lineage.ancestors {
            let named = self.tables.get(name).is_some_and(|table| !table.by_pattern);
            if !named && self.matches_pattern(name) && catalog.relation(name).is_none() {
                self.list_as(name, relation);
            }
            above |= (named || self.matches_pattern(name)) && !self.is_open_under(name);
        }
        if !above {
            self.list_as(&relation.name, relation);
        }
    }

    /// Whether what speaks of a relation of this name opens it whole.
    fn is_open_under(&self, name: &RelationName) -> bool {
        let listing = self.owner_of(name).and_then(|owner| self.tables.get(owner).or_else(|| self.patterns.get(owner)));
        listing.is_some_and(|table| table.open)
    }

    fn list_as(&mut self, name: &RelationName, relation: &Relation) {
        if !self.tables.contains_key(name) {
            let Some(table) = self.by_pattern(name, relation) else { return };
            if table.open && self.keeps_wishes(name) {
                return;
            }
            self.tables.insert(name.clone(), table);
        }
        self.categories_by_pattern(name, relation);
    }

    fn categories_by_pattern(&mut self, name: &RelationName, relation: &Relation) {
        let Some(table) = self.tables.get(name).filter(|table| !table.open && !table.tied) else { return };
        let found: Vec<(String, String, Place)> = relation
            .columns
            .iter()
            .filter(|column| !table.columns.contains_key(&column.name))
            .filter_map(|column| {
                let (category, place) = self.category_by_pattern(name, &column.name)?;
                Some((column.name.clone(), category.to_owned(), place.clone()))
            })
            .collect();
        let Some(table) = self.tables.get_mut(name) else { return };
        for (column, category, place) in found {
            // What a pattern was collected for stands under the pattern itself.
            let collected = table.collected_for.get(&column).cloned().or_else(|| {
                let mut patterns =
                    table.collected_for.iter().filter(|(own, _)| is_pattern(own) && matches(own, &column));
                patterns.next().map(|(_, purposes)| purposes.clone())
            });
            if let Some(purposes) = collected.or_else(|| table.collected_others.clone()) {
                table.collected_for.insert(column.clone(), purposes);
            }
            table.columns.insert(column.clone(), category);
            table.places.insert(column, place);
        }
    }

    /// Whether the policies list a relation of this name, or a pattern would.
    pub(in crate::policy) fn lists(&self, name: &RelationName) -> bool {
        self.tables.contains_key(name) || self.matches_pattern(name)
    }

    /// Whether a pattern would list a table, written `schema.table`, or give a column its category, written `schema.table.column`.
    pub fn names_by_pattern(&self, what: &str) -> bool {
        if let Ok(Target::Column(table, column)) = what.parse::<Target>() {
            return self.lists(&table) && self.category_by_pattern(&table, &column).is_some();
        }
        what.parse::<RelationName>().is_ok_and(|table| self.matches_pattern(&table))
    }

    /// Whether a pattern for tables matches the name.
    pub(in crate::policy) fn matches_pattern(&self, name: &RelationName) -> bool {
        self.patterns.keys().any(|pattern| matches_relation(pattern, name))
    }

    /// The listing that speaks of a relation of this name: its own, or the narrowest pattern.
    fn owner_of<'a>(&'a self, name: &'a RelationName) -> Option<&'a RelationName> {
        if self.tables.get(name).is_some_and(|table| !table.by_pattern) {
            return Some(name);
        }
        // While policies are validated patterns stand among the tables.
        let patterns = self.tables.keys().filter(|name| is_relation_pattern(name)).chain(self.patterns.keys());
        let shapes: Vec<(Shape, &RelationName)> = patterns
            .filter(|pattern| matches_relation(pattern, name))
            .map(|pattern| (Shape::of_relation(pattern), pattern))
            .collect();
        let candidates: Vec<&(Shape, &RelationName)> = shapes.iter().collect();
        narrowest(&candidates, |(shape, _)| shape).map(|(_, pattern)| *pattern)
    }

    /// The listing that the narrowest pattern gives a relation; one that lists nothing where no pattern is the narrowest, or where
    /// the relation lacks the column that says whose a row is.
    fn by_pattern(&self, name: &RelationName, relation: &Relation) -> Option<Table> {
        let shapes: Vec<(Shape, &Table)> = self
            .patterns
            .iter()
            .filter(|(pattern, _)| matches_relation(pattern, name))
            .map(|(pattern, table)| (Shape::of_relation(pattern), table))
            .collect();
        let candidates: Vec<&(Shape, &Table)> = shapes.iter().collect();
        let (_, first) = candidates.first()?;
        let Some((_, table)) = narrowest(&candidates, |(shape, _)| shape) else {
            return Some(Table::closed(first.place.clone()));
        };
        let led = table.subject.as_ref().map(SubjectPath::column);
        if led.is_some_and(|column| relation.column(column).is_none()) {
            return Some(Table::closed(table.place.clone()));
        }
        Some(Table { by_pattern: true, columns: BTreeMap::new(), places: BTreeMap::new(), ..(*table).clone() })
    }

    /// The category that the narrowest pattern gives a column of a listed table, and where it stands.
    pub(in crate::policy) fn category_by_pattern(&self, table: &RelationName, column: &str) -> Option<(&str, &Place)> {
        let owner = self.owner_of(table);
        let speaks = |pattern: &&ColumnPattern| pattern.owner.is_none() || pattern.owner.as_ref() == owner;
        let matching = self.column_patterns.iter().filter(|pattern| pattern.shape.matches(table, column));
        let candidates: Vec<&ColumnPattern> = matching.filter(speaks).collect();
        let first = candidates.first()?;
        if candidates.iter().all(|other| other.category == first.category) {
            return Some((&first.category, &first.place));
        }
        let found = narrowest(&candidates, |pattern| &pattern.shape)?;
        Some((&found.category, &found.place))
    }

    /// The same with patterns among the tables under their own names, where they are not fitted to a database: for comparison with other
    /// policies, never for a decision.
    pub(in crate::policy) fn patterns_as_names(&self) -> Self {
        let mut named = self.clone();
        if self.fitted {
            return named;
        }
        named.tables.extend(std::mem::take(&mut named.patterns));
        for pattern in &self.column_patterns {
            let Shape([schema, name, column]) = &pattern.shape;
            let relation = RelationName::new(schema, name);
            let table = named
                .tables
                .entry(relation)
                .or_insert_with(|| Table { tied: false, ..Table::closed(pattern.place.clone()) });
            table.columns.entry(column.clone()).or_insert_with(|| pattern.category.clone());
        }
        named
    }

    /// What each pattern lists in a database, one line a pattern, and those that list nothing; for a set that was fitted to it.
    pub fn by_patterns(&self, catalog: &Catalog) -> Vec<Fault> {
        let mut told = Vec::new();
        for (pattern, listing) in &self.patterns {
            let mut listed: Vec<String> = Vec::new();
            let mut closed: Vec<String> = Vec::new();
            for (name, table) in self.tables.iter().filter(|(_, table)| table.place == listing.place) {
                if table.tied { closed.push(name.to_string()) } else { listed.push(name.to_string()) }
            }
            let how = if listing.open { "opens" } else { "lists" };
            let message = match listed.as_slice() {
                [] => format!("pattern `{pattern}` lists no table of this database"),
                listed => format!("pattern `{pattern}` {how} {}: {}", tables(listed.len()), some(listed)),
            };
            told.push(Fault::warning(&listing.place, message));
            if !closed.is_empty() {
                let message = format!(
                    "{} {} closed: two patterns match of which neither is narrower, or the column is missing that says whose a row is",
                    some(&closed),
                    if closed.len() == 1 { "stays" } else { "stay" }
                );
                told.push(Fault::error(&listing.place, message));
            }
        }
        for pattern in &self.column_patterns {
            let mut columns: Vec<String> = Vec::new();
            for (name, table) in
                self.tables.iter().filter(|(name, table)| !table.open && catalog.relation(name).is_some())
            {
                let own = table.places.iter().filter(|(_, place)| **place == pattern.place).map(|(column, _)| column);
                columns.extend(own.map(|column| super::column_name(name, column)));
            }
            let (shape, category) = (&pattern.shape, &pattern.category);
            let message = match columns.as_slice() {
                [] => format!("pattern `{shape}` gives no column its category"),
                [column] => format!("pattern `{shape}` gives `{column}` the category `{category}`"),
                columns => {
                    format!(
                        "pattern `{shape}` gives {} columns the category `{category}`: {}",
                        columns.len(),
                        some(columns)
                    )
                }
            };
            told.push(Fault::warning(&pattern.place, message));
        }
        told
    }
}

impl Table {
    /// A listing of which nothing is open.
    fn closed(place: Place) -> Self {
        Self {
            open: false,
            read_only: false,
            no_subject: false,
            by_pattern: true,
            tied: true,
            purposes: None,
            subject: None,
            columns: BTreeMap::new(),
            places: BTreeMap::new(),
            star_refused: true,
            record: None,
            retain: BTreeMap::new(),
            birth: None,
            collected_for: BTreeMap::new(),
            collected_others: None,
            place,
        }
    }
}

fn tables(count: usize) -> String {
    if count == 1 { "1 table".to_owned() } else { format!("{count} tables") }
}

/// The first of many names.
fn some(names: &[String]) -> String {
    const TOLD: usize = 8;
    let first = quoted(names.iter().take(TOLD));
    if names.len() > TOLD { format!("{first} and {} more", names.len() - TOLD) } else { first }
}

/// Whether a pattern may mean a relation: what the system keeps, and what only one session has, it never does.
fn is_listable(relation: &Relation, catalog: &Catalog) -> bool {
    let schema = relation.name.schema.as_str();
    let system = schema.starts_with("pg_") || schema == "information_schema";
    let rows = match relation.kind {
        RelationKind::Table
        | RelationKind::PartitionedTable
        | RelationKind::View
        | RelationKind::MaterializedView
        | RelationKind::ForeignTable => true,
        RelationKind::Sequence | RelationKind::Toast | RelationKind::Other => false,
    };
    rows && !system && !catalog.is_temporary(relation.oid)
}
