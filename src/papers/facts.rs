//! What the policies say about processing, gathered for papers.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;

use crate::policy::{OURSELVES, PolicySet, Purpose, Role, Way};

/// The country that needs no ground of s72.
pub(crate) const HERE: &str = "ZA";

pub(crate) struct Facts<'a> {
    pub(crate) policies: &'a PolicySet,
    pub(crate) today: Date,
    /// Purposes that some role may declare, by name.
    pub(crate) purposes: Vec<Processing<'a>>,
    /// Categories of each table with personal information.
    pub(crate) records: BTreeMap<String, BTreeSet<&'a str>>,
}

/// What is done for one purpose.
pub(crate) struct Processing<'a> {
    pub(crate) purpose: &'a Purpose,
    pub(crate) roles: Vec<&'a Role>,
    /// How each category is used, and the grounds that rules name for it.
    pub(crate) categories: BTreeMap<String, CategoryUse>,
}

#[derive(Debug, Default)]
pub(crate) struct CategoryUse {
    pub(crate) ways: BTreeSet<Way>,
    pub(crate) special: bool,
    pub(crate) grounds: BTreeSet<String>,
}

impl<'a> Facts<'a> {
    pub(crate) fn of(policies: &'a PolicySet, today: Date) -> Self {
        let mut uses: BTreeMap<String, BTreeMap<String, CategoryUse>> = BTreeMap::new();
        for grant in policies.grants() {
            let of_purpose = uses.entry(grant.purpose).or_default();
            let special = policies.is_special(&grant.category);
            let found = of_purpose.entry(grant.category).or_default();
            found.ways.insert(grant.way);
            if special {
                found.special = true;
                let ground = policies.rule_at(&grant.rule).and_then(|(_, ground, _)| ground);
                found.grounds.extend(ground.map(str::to_owned));
            }
        }
        let purposes = policies.purposes().map(|purpose| {
            let declares = |role: &&Role| role.unrestricted.is_none() && role.purposes.contains(&purpose.name);
            let roles = policies.roles().filter(declares).collect();
            Processing { purpose, roles, categories: uses.remove(&purpose.name).unwrap_or_default() }
        });
        let purposes = purposes.filter(|processing| !processing.roles.is_empty()).collect();
        let mut records: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
        for (relation, _, category) in policies.categories() {
            records.entry(relation).or_default().insert(category);
        }
        Self { policies, today, purposes, records }
    }

    /// Roles of third parties.
    pub(crate) fn third_parties(&self) -> impl Iterator<Item = &'a Role> {
        self.policies.roles().filter(|role| role.recipient != OURSELVES)
    }

    /// Every category with its ways over all purposes.
    pub(crate) fn categories(&self) -> BTreeMap<&str, bool> {
        let mut all: BTreeMap<&str, bool> = BTreeMap::new();
        for category in self.records.values().flatten() {
            all.insert(category, self.policies.is_special(category));
        }
        all
    }

    /// What a role receives: categories over all its purposes.
    pub(crate) fn received(&self, role: &Role) -> BTreeSet<&str> {
        let purposes = self.purposes.iter().filter(|processing| role.purposes.contains(&processing.purpose.name));
        purposes.flat_map(|processing| processing.categories.keys().map(String::as_str)).collect()
    }
}
