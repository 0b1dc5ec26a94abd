//! What is worth a look in policies that are in force: contradictions, and what has no effect.

use std::collections::{BTreeMap, BTreeSet};

use crate::document::Fault;
use crate::document::quoted;
use crate::policy::model::{Governance, OURSELVES, PolicySet, Rule, Target, column_name};

impl PolicySet {
    /// Warnings, each with its place: what is opened and denied, categories that no column has, columns that no rule
    /// opens, purposes that no role has, contracts without an end, who may make any row their own.
    pub fn lint(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        self.contradictions(&mut faults);
        self.without_effect(&mut faults);
        self.never_destroyed(&mut faults);
        self.made_their_own(&mut faults);
        faults.sort_by(|a, b| (&a.file, a.line, &a.message).cmp(&(&b.file, b.line, &b.message)));
        faults
    }

    fn contradictions(&self, faults: &mut Vec<Fault>) {
        let mut denying: BTreeMap<&Target, Vec<&Rule>> = BTreeMap::new();
        for (rule, target) in self.rules.iter().flat_map(|rule| rule.deny.iter().map(move |target| (rule, target))) {
            denying.entry(target).or_default().push(rule);
        }
        for rule in &self.rules {
            let masked: BTreeSet<&Target> = rule.mask.iter().map(|(target, _)| target).collect();
            for target in rule.read.iter().filter(|target| masked.contains(target)) {
                let message = format!("rule `{}` both reads and masks `{target}`: it is masked", rule.name);
                faults.push(Fault::warning(&rule.place, message));
            }
            for target in opened(rule).filter(|target| rule.deny.contains(target)) {
                let message = format!("rule `{}` both opens and denies `{target}`: it is denied", rule.name);
                faults.push(Fault::warning(&rule.place, message));
            }
            for target in opened(rule) {
                let others = denying.get(target).into_iter().flatten().filter(|other| other.name != rule.name);
                let covers =
                    |other: &&&Rule| rule.roles.is_subset(&other.roles) && rule.purposes.is_subset(&other.purposes);
                for other in others.filter(covers) {
                    let message = format!(
                        "rule `{}` opens `{target}`, and rule `{}` at {} denies it to the same roles and purposes: it is denied",
                        rule.name, other.name, other.place
                    );
                    faults.push(Fault::warning(&rule.place, message));
                }
            }
        }
    }

    /// Tables whose rows are kept for a time, are deleted for ordinary purposes, which do not see those past it, and by no purpose of
    /// destruction: what is past its time would stay for ever, and seem gone.
    fn never_destroyed(&self, faults: &mut Vec<Fault>) {
        let destroys = |purpose: &String| self.purposes.get(purpose).is_some_and(|purpose| purpose.destruction);
        for (name, table) in self.tables.iter().filter(|(_, table)| !table.retain.is_empty()) {
            let mut rules = self.rules_deleting(name).peekable();
            if rules.peek().is_some() && !self.rules_deleting(name).any(|rule| rule.purposes.iter().any(destroys)) {
                let message = format!(
                    "rows of `{name}` are deleted for purposes that do not see those past their retention, and by no purpose with \
                     `destruction = true`: those would stay for ever"
                );
                faults.push(Fault::warning(table.place_of_key("retain"), message));
            }
        }
    }

    fn without_effect(&self, faults: &mut Vec<Fault>) {
        let listed = self.tables.values().chain(self.patterns.values()).flat_map(|table| table.columns.values());
        let used: BTreeSet<&String> =
            listed.chain(self.column_patterns.iter().map(|pattern| &pattern.category)).collect();
        for (name, category) in self.categories.iter().filter(|(name, _)| !used.contains(name)) {
            if let Some(place) = &category.place {
                faults.push(Fault::warning(place, format!("no column has the category `{name}`")));
            }
        }
        for (name, table) in self.tables.iter().filter(|(name, _)| self.governance(name) == Governance::Governed) {
            let closed: Vec<String> = table
                .columns
                .iter()
                .filter(|(column, category)| {
                    let mut rules = self.rules_naming(name, column, category);
                    !rules.any(|rule| opened(rule).any(|target| target.is(name, column, category)))
                })
                .map(|(column, category)| format!("{} ({category})", column_name(name, column)))
                .collect();
            if !closed.is_empty() {
                faults.push(Fault::warning(&table.place, format!("no rule opens {}", quoted(closed))));
            }
        }
        for purpose in self.purposes.values() {
            let mine = |own: &String| *own == purpose.name || own.starts_with(&format!("{}.", purpose.name));
            if !self.roles.values().any(|role| role.purposes.iter().any(mine)) {
                faults.push(Fault::warning(&purpose.place, format!("no role has the purpose `{}`", purpose.name)));
            }
        }
        for role in self.roles.values() {
            if role.recipient != OURSELVES && role.operator_expires.is_none() {
                let message = format!(
                    "the contract with `{}` has no end: state `operator_expires`, so that somebody looks at it again (POPIA s21)",
                    role.recipient
                );
                faults.push(Fault::warning(&role.place, message));
            }
            for purpose in role.purposes.iter().filter(|_| role.unrestricted.is_none()) {
                if self.rules_for(&role.name, purpose).next().is_none() {
                    let message = format!("no rule is about role `{}` and its purpose `{purpose}`", role.name);
                    faults.push(Fault::warning(&role.place, message));
                }
            }
        }
    }
}

fn opened(rule: &Rule) -> impl Iterator<Item = &Target> {
    rule.read.iter().chain(&rule.lookup).chain(&rule.write).chain(rule.mask.iter().map(|(target, _)| target))
}
