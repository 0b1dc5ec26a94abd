//! The validated policy set: what the policies say, ready to be asked.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::granted::Exceptions;
use super::index::RuleIndex;
use super::pattern::ColumnPattern;
use super::{CURSOR_SECONDS, Contact, LOCK_SECONDS, OptOuts, RecordAs, RecordPurposes, SubjectPath};
use super::{
    Category, Compatible, ConsentSource, ExclusionSource, Governance, MarketingSource, PolicyTest, Purpose, Role, Rule,
    Table,
};
use crate::catalog::RelationName;
use crate::config::Zone;
use crate::document::{Fault, Place};

/// All policies, merged and validated; immutable.
///
/// The default is the empty policy: it knows no login, and so denies everything.
#[derive(Debug, Clone, Default)]
pub struct PolicySet {
    pub(in crate::policy) hash: String,
    /// The texts that were read, by their files' names.
    pub(in crate::policy) sources: Arc<[(String, String)]>,
    pub(in crate::policy) unlisted_allowed: bool,
    pub(in crate::policy) tables: BTreeMap<RelationName, Table>,
    /// Tables that are patterns: what each lists depends on the database.
    pub(in crate::policy) patterns: BTreeMap<RelationName, Table>,
    pub(in crate::policy) column_patterns: Vec<ColumnPattern>,
    /// The patterns are fitted to a database.
    pub(in crate::policy) fitted: bool,
    /// What it was fitted from, where that is shared.
    pub(in crate::policy) origin: Option<Arc<Self>>,
    pub(in crate::policy) categories: BTreeMap<String, Category>,
    pub(in crate::policy) purposes: BTreeMap<String, Purpose>,
    pub(in crate::policy) consent: Option<ConsentSource>,
    /// Objections and restrictions.
    pub(in crate::policy) exclusions: Vec<ExclusionSource>,
    pub(in crate::policy) marketing: MarketingSource,
    pub(in crate::policy) compatible: Vec<Compatible>,
    pub(in crate::policy) roles: BTreeMap<String, Arc<Role>>,
    /// Role of each login.
    pub(in crate::policy) logins: BTreeMap<String, String>,
    pub(in crate::policy) rules: Vec<Rule>,
    pub(in crate::policy) index: RuleIndex,
    /// (schema, name).
    pub(in crate::policy) functions: BTreeSet<(String, String)>,
    /// Settings of applications, or `prefix.*`.
    pub(in crate::policy) settings: BTreeSet<String>,
    /// Channels whose payloads hold nothing that a purpose may not see, or `prefix*`.
    pub(in crate::policy) channels: BTreeSet<String>,
    pub(in crate::policy) tests: Vec<PolicyTest>,
    pub(in crate::policy) warnings: Vec<Fault>,
    pub(in crate::policy) zone: Zone,
    pub(in crate::policy) observe: bool,
    pub(in crate::policy) exceptions: Exceptions,
}

impl PolicySet {
    /// `sha256:…` over the sources; neither their names nor their order matter.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// With the dates in it being days of this zone.
    #[must_use]
    pub fn in_zone(self, zone: Zone) -> Self {
        Self { zone, ..self }
    }

    /// In force, or only observed: what would be masked or refused is logged, and nothing is changed.
    #[must_use]
    pub fn observed(self, observe: bool) -> Self {
        Self { observe, ..self }
    }

    /// Whether nothing of it is enforced.
    pub fn observes(&self) -> bool {
        self.observe
    }

    /// Whose days the dates in it are: what expires on a day is in force until that day is over there.
    pub fn zone(&self) -> &Zone {
        &self.zone
    }

    /// What is worth a look in the files, though they are in force.
    pub fn warnings(&self) -> &[Fault] {
        &self.warnings
    }

    /// Every login that has a role.
    pub fn logins(&self) -> impl Iterator<Item = &str> {
        self.logins.keys().map(String::as_str)
    }

    /// The role of a PostgreSQL login.
    pub fn role_of(&self, login: &str) -> Option<&Role> {
        self.exceptions.role(login).or_else(|| self.roles.get(self.logins.get(login)?)).map(AsRef::as_ref)
    }

    /// The same, for who keeps it.
    pub fn shared_role_of(&self, login: &str) -> Option<Arc<Role>> {
        self.exceptions.role(login).or_else(|| self.roles.get(self.logins.get(login)?)).cloned()
    }

    /// Every role.
    pub fn roles(&self) -> impl Iterator<Item = &Role> {
        self.roles.values().map(AsRef::as_ref)
    }

    /// The purpose of that name.
    pub fn purpose(&self, name: &str) -> Option<&Purpose> {
        self.purposes.get(name)
    }

    /// Every purpose.
    pub fn purposes(&self) -> impl Iterator<Item = &Purpose> {
        self.purposes.values()
    }

    /// The purpose and its ancestors, itself first; empty where it is unknown.
    pub fn lineage(&self, purpose: &str) -> Vec<&Purpose> {
        let mut chain = Vec::new();
        let mut next = self.purposes.get(purpose);
        while let Some(purpose) = next {
            chain.push(purpose);
            next = purpose.parent.as_ref().and_then(|parent| self.purposes.get(parent));
        }
        chain
    }

    /// Lookups of raw values that a login of the role may make in a minute for the purpose: the least that the role and the
    /// rules for the purpose or an ancestor of it state, and no more than an ancestor has.
    pub fn lookup_limit(&self, role: &str, purpose: &str) -> u32 {
        let of_role = self.roles.get(role).and_then(|role| role.lookup_limit);
        let (mut stated, mut limit) = (of_role, None::<u32>);
        for level in self.lineage(purpose).iter().rev() {
            stated = self.rules_for(role, &level.name).filter_map(|rule| rule.lookup_limit).chain(stated).min();
            let level = stated.unwrap_or(super::DEFAULT_LOOKUP_LIMIT);
            limit = Some(limit.map_or(level, |above| above.min(level)));
        }
        limit.unwrap_or(0)
    }

    /// The rule of that name: where it stands, and the grounds that it names.
    pub fn rule_at(&self, name: &str) -> Option<(&Place, Option<&str>, Option<&str>)> {
        let rule = self.rule_called(name)?;
        Some((&rule.place, rule.ground.as_deref(), rule.child_ground.as_deref()))
    }

    /// `(purpose, queries a day)`: the budgets that a statement over groups for this purpose is counted against.
    pub fn budgets(&self, purpose: &str) -> impl Iterator<Item = (&str, u32)> {
        self.lineage(purpose).into_iter().filter_map(|purpose| Some((purpose.name.as_str(), purpose.queries_per_day?)))
    }

    /// Whether any purpose has a budget of queries.
    pub fn has_budgets(&self) -> bool {
        self.purposes.values().any(|purpose| purpose.queries_per_day.is_some())
    }

    /// How a relation of exactly this name is treated. Tables by which rows are filtered are never open by being
    /// unlisted.
    pub fn governance(&self, relation: &RelationName) -> Governance {
        match self.tables.get(relation) {
            Some(table) if table.open => Governance::Open,
            Some(_) => Governance::Governed,
            // What a pattern matches and does not list is closed.
            None if self.unlisted_allowed && !self.keeps_wishes(relation) && !self.matches_pattern(relation) => {
                Governance::UnlistedAllow
            }
            None => Governance::UnlistedDeny,
        }
    }

    /// Whether no relation is masked, filtered or closed, for whomever: every one is open, listed or not.
    pub fn hides_nothing(&self) -> bool {
        let open = self.tables.values().chain(self.patterns.values()).all(|table| table.open);
        self.unlisted_allowed && open && self.wishes().next().is_none()
    }

    /// Whether this relation's own listing says that nobody may write to it: `open = "read"`.
    pub(in crate::policy) fn keeps(&self, relation: &RelationName) -> bool {
        self.tables.get(relation).is_some_and(|table| table.read_only)
    }

    /// Whether nobody may write to some relation: `open = "read"`.
    pub fn keeps_some(&self) -> bool {
        self.tables.values().chain(self.patterns.values()).any(|table| table.read_only)
    }

    /// Whether the table holds consents, objections, restrictions, approaches or opt-outs.
    pub(in crate::policy) fn keeps_wishes(&self, relation: &RelationName) -> bool {
        self.wishes().any(|(_, table, _)| table == relation)
    }

    /// The tables by which rows are filtered: what they hold, the table, and where the policy says so.
    pub(in crate::policy) fn wishes(&self) -> impl Iterator<Item = (&'static str, &RelationName, &Place)> {
        let consent = self.consent.iter().map(|consent| ("consents", &consent.table, &consent.place));
        let exclusions = self.exclusions.iter().map(|source| (source.list.name(), &source.table, &source.place));
        let marketing = &self.marketing;
        let approaches = marketing.approaches.iter().map(|(table, _)| ("approaches", table, &marketing.place));
        let opt_outs = marketing.opt_outs.iter().flat_map(|(table, lists)| [table, lists]);
        let opt_outs = opt_outs.map(|table| ("opt-outs", table, &marketing.place));
        let listings = self.tables.values().chain(self.patterns.values());
        let records = listings.filter_map(|listing| match listing.purposes.as_ref()? {
            RecordPurposes::Table { table, place, .. } => Some(("purposes of records", table, place)),
            RecordPurposes::Column(_) => None,
        });
        consent.chain(exclusions).chain(approaches).chain(opt_outs).chain(records)
    }

    /// Whether a setting of an application's is named in `[settings] allow`, or all that begin as it does (`app.*`).
    pub fn allows_setting(&self, name: &str) -> bool {
        is_among(&self.settings, name)
    }

    /// Whether payloads of a channel are shown: `[notifications] allow` names it, or nothing is hidden from anybody.
    pub fn shows_payloads_of(&self, channel: &str) -> bool {
        self.hides_nothing() || is_among(&self.channels, channel)
    }

    /// Whether a function that is not on the reviewed list of built-ins is named in `[functions] allow`.
    pub fn allows_function(&self, schema: &str, name: &str) -> bool {
        self.functions.iter().any(|(a, b)| a == schema && b == name)
    }

    /// The policies' own tests.
    pub fn tests(&self) -> &[PolicyTest] {
        &self.tests
    }

    /// Whether any mask is computed with a key, so that a token key is needed.
    pub fn needs_token_key(&self) -> bool {
        self.rules.iter().flat_map(|rule| &rule.mask).any(|(_, mask)| mask.is_keyed())
    }

    /// Whether a category is special personal information (POPIA s26).
    pub fn is_special(&self, category: &str) -> bool {
        self.categories.get(category).is_some_and(|category| category.special)
    }

    /// Whether a purpose, or one above it, has rows of governed relations shuffled.
    pub fn shuffles(&self, purpose: &str) -> bool {
        self.lineage(purpose).iter().any(|level| level.shuffle)
    }

    /// How long a cursor over rows that rest on consent may be read after it was opened, in seconds.
    pub fn cursor_seconds(&self) -> u64 {
        self.consent.as_ref().map_or(CURSOR_SECONDS, |consent| consent.cursor_seconds)
    }

    /// How long a statement that changes rows which rest on consent may wait for a lock, in seconds.
    pub fn lock_seconds(&self) -> u32 {
        self.consent.as_ref().map_or(LOCK_SECONDS, |consent| consent.lock_seconds)
    }

    /// Whether the log says of any table whose rows were seen.
    pub fn records_subjects(&self) -> bool {
        self.tables.values().chain(self.patterns.values()).any(|table| table.record.is_some())
    }

    /// Whether any subject is recorded by pseudonym, so that a key for them is needed.
    pub fn needs_subject_key(&self) -> bool {
        self.tables.values().chain(self.patterns.values()).any(|table| table.record == Some(RecordAs::Pseudonym))
    }

    /// Names of all tables that are listed, for comparison with the catalog.
    pub fn listed_tables(&self) -> Vec<RelationName> {
        self.tables.keys().cloned().collect()
    }
}

impl PolicySet {
    /// Whether what was collected for these purposes may be used for another: for one of them, for a descendant of one, or
    /// for one, or a descendant of one, that `[[compatible]]` names.
    pub(in crate::policy) fn compatible(&self, collected: &BTreeSet<String>, purpose: &str) -> bool {
        self.lineage(purpose).iter().any(|level| {
            collected.contains(&level.name)
                || self.compatible.iter().any(|line| line.to == level.name && collected.contains(&line.from))
        })
    }
}

impl PolicySet {
    /// The list of opt-outs, as stale as it may be.
    pub(in crate::policy) fn opt_outs(&self, days: u32) -> Option<OptOuts> {
        let contacts = self
            .marketing
            .contacts
            .iter()
            .filter_map(|(kind, (table, column))| {
                let subject = key(self.tables.get(table)?)?;
                Some(Contact { kind: *kind, table: table.clone(), subject, column: column.clone() })
            })
            .collect();
        let (table, lists) = self.marketing.opt_outs.clone()?;
        Some(OptOuts { table, lists, days, contacts })
    }

    /// The purposes that need a list of opt-outs, and how many days old it may be.
    pub fn opt_outs_needed(&self) -> impl Iterator<Item = (&str, u32)> {
        self.purposes
            .values()
            .filter_map(|purpose| Some((purpose.name.as_str(), purpose.direct_marketing.as_ref()?.opt_outs_days?)))
    }

    /// Where the database keeps opt-outs and their lists, and after how many days the first purpose takes a list for stale.
    pub fn opt_out_tables(&self) -> Option<(&RelationName, &RelationName, Option<u32>)> {
        let days = self.purposes.values().filter_map(|purpose| purpose.direct_marketing.as_ref()?.opt_outs_days).min();
        self.marketing.opt_outs.as_ref().map(|(table, lists)| (table, lists, days))
    }
}

/// Whether a name is listed, or begins as one that ends with a star.
fn is_among(listed: &BTreeSet<String>, name: &str) -> bool {
    listed.iter().any(|allowed| match allowed.strip_suffix('*') {
        Some(prefix) => name.starts_with(prefix),
        None => allowed == name,
    })
}

/// The column by which the rows of a table are the subjects themselves.
pub(in crate::policy) fn key(table: &Table) -> Option<String> {
    match table.subject.as_ref()? {
        SubjectPath::Column(column) => Some(column.clone()),
        SubjectPath::Through { .. } => None,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_child_looks_up_no_more_than_its_parent_may() {
        let policy = "version = 1\n[tables.\"public.t\"]\nsubject = \"a\"\ncolumns = { a = \"k\" }\n\
            [purposes.p]\nbasis = \"contract\"\n[purposes.\"p.q\"]\n[purposes.other]\nbasis = \"contract\"\n\
            [roles.r]\nlogins = [\"r\"]\npurposes = [\"p\", \"p.q\", \"other\"]\n\
            [[rules]]\nname = \"x\"\nroles = [\"r\"]\npurposes = [\"p.q\", \"other\"]\nread = [\"k\"]\nlookup_limit = 500\n";
        let policies = PolicySet::from_sources(&[("test.toml".into(), policy.into())]).unwrap();
        let limit = |purpose| policies.lookup_limit("r", purpose);
        assert_eq!((limit("p"), limit("p.q"), limit("other")), (60, 60, 500));
    }
}
