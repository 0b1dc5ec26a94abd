//! Where in the list of rules those stand that matter to a question, so that a decision does not read all of them.

use std::collections::HashMap;

use super::{PolicySet, Rule, Target};
use crate::catalog::RelationName;

/// Positions in [`PolicySet`]'s rules, each list in their order. Made once, when the rules are complete.
#[derive(Debug, Clone, Default)]
pub(in crate::policy) struct RuleIndex {
    /// By role, by purpose.
    whom: HashMap<String, HashMap<String, Vec<usize>>>,
    /// By a category that the rule names: to open, to mask, or to deny it.
    categories: HashMap<String, Vec<usize>>,
    /// The same by table, by column.
    columns: HashMap<RelationName, HashMap<String, Vec<usize>>>,
    /// By the table whose rows it lets be deleted.
    deletes: HashMap<RelationName, Vec<usize>>,
    /// By name; the first of that name.
    names: HashMap<String, usize>,
}

impl RuleIndex {
    pub(in crate::policy) fn of(rules: &[Rule]) -> Self {
        let mut index = Self::default();
        for (at, rule) in rules.iter().enumerate() {
            index.names.entry(rule.name.clone()).or_insert(at);
            for role in &rule.roles {
                let purposes = index.whom.entry(role.clone()).or_default();
                for purpose in &rule.purposes {
                    purposes.entry(purpose.clone()).or_default().push(at);
                }
            }
            for target in rule.named() {
                let list = match target {
                    Target::Category(name) => index.categories.entry(name.clone()).or_default(),
                    Target::Column(table, column) => {
                        index.columns.entry(table.clone()).or_default().entry(column.clone()).or_default()
                    }
                };
                if list.last() != Some(&at) {
                    list.push(at);
                }
            }
            for table in &rule.delete {
                index.deletes.entry(table.clone()).or_default().push(at);
            }
        }
        index
    }

    fn about(&self, role: &str, purpose: &str) -> &[usize] {
        self.whom.get(role).and_then(|purposes| purposes.get(purpose)).map_or(&[], Vec::as_slice)
    }

    fn naming(&self, table: &RelationName, column: &str, category: &str) -> (&[usize], &[usize]) {
        let own = self.columns.get(table).and_then(|columns| columns.get(column));
        (self.categories.get(category).map_or(&[], Vec::as_slice), own.map_or(&[], Vec::as_slice))
    }
}

impl Rule {
    /// All that it names.
    fn named(&self) -> impl Iterator<Item = &Target> {
        let opened = self.read.iter().chain(&self.lookup).chain(&self.write);
        opened.chain(self.mask.iter().map(|(target, _)| target)).chain(&self.deny)
    }
}

impl PolicySet {
    fn at<'a>(&'a self, places: &'a [usize]) -> impl Iterator<Item = &'a Rule> {
        places.iter().filter_map(|at| self.rules.get(*at))
    }

    /// The rules about a role and a purpose, in their order.
    pub(in crate::policy) fn rules_for<'a>(&'a self, role: &str, purpose: &str) -> impl Iterator<Item = &'a Rule> {
        self.at(self.index.about(role, purpose))
    }

    /// The rules that name a column or its category, in their order.
    pub(in crate::policy) fn rules_naming<'a>(
        &'a self,
        table: &RelationName,
        column: &str,
        category: &str,
    ) -> impl Iterator<Item = &'a Rule> {
        let (by_category, own) = self.index.naming(table, column, category);
        in_order(by_category, own).filter_map(|at| self.rules.get(at))
    }

    /// Those that are about the role and the purpose and may name the column, in their order: the shorter list of both is read.
    pub(in crate::policy) fn rules_on<'a>(
        &'a self,
        role: &'a str,
        purpose: &'a str,
        table: &RelationName,
        column: &str,
        category: &str,
    ) -> impl Iterator<Item = &'a Rule> {
        let about = self.index.about(role, purpose);
        let (by_category, own) = self.index.naming(table, column, category);
        let (about, by_category, own): (_, &[usize], &[usize]) =
            if about.len() <= by_category.len() + own.len() { (about, &[], &[]) } else { (&[], by_category, own) };
        in_order(about, &[])
            .chain(in_order(by_category, own))
            .filter_map(|at| self.rules.get(at))
            .filter(move |rule| rule.applies(role, purpose))
    }

    /// The rules that let rows of a table be deleted.
    pub(in crate::policy) fn rules_deleting<'a>(&'a self, table: &RelationName) -> impl Iterator<Item = &'a Rule> {
        self.at(self.index.deletes.get(table).map_or(&[], Vec::as_slice))
    }

    /// The first rule of that name.
    pub(in crate::policy) fn rule_called(&self, name: &str) -> Option<&Rule> {
        self.rules.get(*self.index.names.get(name)?)
    }
}

/// Both lists, each in order, as one without doubles.
fn in_order<'a>(one: &'a [usize], other: &'a [usize]) -> impl Iterator<Item = usize> + 'a {
    let (mut one, mut other) = (one.iter().copied().peekable(), other.iter().copied().peekable());
    std::iter::from_fn(move || match (one.peek(), other.peek()) {
        (Some(a), Some(b)) if a == b => {
            other.next();
            one.next()
        }
        (Some(a), Some(b)) if a > b => other.next(),
        (Some(_), _) => one.next(),
        (None, _) => other.next(),
    })
}

#[cfg(test)]
mod tests {
    use super::in_order;

    #[test]
    fn two_lists_of_places_are_one_in_order_without_doubles() {
        let merged: Vec<usize> = in_order(&[1, 3, 5, 9], &[0, 3, 4, 9, 12]).collect();
        assert_eq!(merged, [0, 1, 3, 4, 5, 9, 12]);
    }
}
