//! The validated policy set: what the policies say, ready to be asked.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use jiff::civil::Date;

use super::model::{
    Category, Compatible, ConsentSource, ExclusionSource, Governance, MarketingSource, PolicyTest, Purpose, Role, Rule,
    Table,
};
use super::{Reason, RecordAs, source, validate};
use crate::catalog::RelationName;
use crate::config::{Fault, Place};

/// All policies, merged and validated; immutable.
///
/// The default is the empty policy: it knows no login, and so denies everything.
#[derive(Debug, Clone, Default)]
pub struct PolicySet {
    pub(super) hash: String,
    pub(super) unlisted_allowed: bool,
    pub(super) tables: BTreeMap<RelationName, Table>,
    pub(super) categories: BTreeMap<String, Category>,
    pub(super) purposes: BTreeMap<String, Purpose>,
    pub(super) consent: Option<ConsentSource>,
    /// Objections and restrictions.
    pub(super) exclusions: Vec<ExclusionSource>,
    pub(super) marketing: MarketingSource,
    pub(super) compatible: Vec<Compatible>,
    pub(super) roles: BTreeMap<String, Role>,
    /// Role of each login.
    pub(super) logins: BTreeMap<String, String>,
    pub(super) rules: Vec<Rule>,
    /// (schema, name).
    pub(super) functions: BTreeSet<(String, String)>,
    pub(super) tests: Vec<PolicyTest>,
    pub(super) warnings: Vec<Fault>,
}

impl PolicySet {
    /// Reads and validates the files, merged.
    ///
    /// # Errors
    /// Every fault that was found, not only the first.
    pub fn load(files: &[PathBuf]) -> Result<Self, Vec<Fault>> {
        let mut sources = Vec::new();
        let mut faults = Vec::new();
        for file in files {
            let name = file.display().to_string();
            match std::fs::read_to_string(file) {
                Ok(text) => sources.push((name, text)),
                Err(error) => faults.push(Fault::error(&Place::file(&name), format!("cannot be read: {error}"))),
            }
        }
        if faults.is_empty() { Self::from_sources(&sources) } else { Err(faults) }
    }

    /// The same from `(file name, text)` pairs.
    ///
    /// # Errors
    /// Every fault that was found.
    pub fn from_sources(sources: &[(String, String)]) -> Result<Self, Vec<Fault>> {
        let mut written = source::Written::default();
        let mut faults = Vec::new();
        if sources.is_empty() {
            faults.push(Fault::error(&Place::default(), "there is no policy file"));
        }
        for (file, text) in sources {
            faults.extend(source::read(file, text, &mut written));
        }
        let (mut set, found) = validate::validate(written);
        faults.extend(found);
        let (errors, warnings): (Vec<_>, Vec<_>) = faults.into_iter().partition(Fault::is_error);
        if !errors.is_empty() {
            return Err(errors);
        }
        set.warnings = warnings;
        set.hash = hash(sources);
        Ok(set)
    }

    /// `sha256:…` over the sources; neither their names nor their order matter.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// What is worth a look in the files, though they are in force.
    pub fn warnings(&self) -> &[Fault] {
        &self.warnings
    }

    /// What has run out, or should have been looked at, by that day, and what will within [`SOON`]: purposes and contracts.
    pub fn overdue(&self, today: Date) -> Vec<Fault> {
        let mut faults = Vec::new();
        for purpose in self.purposes.values() {
            let name = &purpose.name;
            match purpose.expires.map(|expires| (expires, days_until(today, expires))) {
                Some((expires, ..0)) => {
                    let message = format!("purpose `{name}` expired on {expires}, and is refused");
                    faults.push(Fault::warning(&purpose.place, message));
                }
                Some((expires, days @ 0..=SOON)) => {
                    let message =
                        format!("purpose `{name}` expires {}, and is refused from then on", on(expires, days));
                    faults.push(Fault::warning(&purpose.place, message));
                }
                Some(_) | None => {}
            }
            match purpose.review.map(|review| (review, days_until(today, review))) {
                Some((review, ..0)) => {
                    let message = format!("purpose `{name}` should have been reviewed by {review}");
                    faults.push(Fault::warning(&purpose.place, message));
                }
                Some((review, days @ 0..=SOON)) => {
                    let message = format!("purpose `{name}` is to be reviewed by {review}, in {days} days");
                    faults.push(Fault::warning(&purpose.place, message));
                }
                Some(_) | None => {}
            }
        }
        for role in self.roles.values() {
            let (name, recipient) = (&role.name, &role.recipient);
            match role.operator_expires.map(|expires| (expires, days_until(today, expires))) {
                Some((expires, ..0)) => {
                    let message =
                        format!("the contract with `{recipient}` ended on {expires}: role `{name}` is refused");
                    faults.push(Fault::warning(&role.place, message));
                }
                Some((expires, days @ 0..=SOON)) => {
                    let ends = on(expires, days);
                    let message =
                        format!("the contract with `{recipient}` ends {ends}: role `{name}` is refused from then on");
                    faults.push(Fault::warning(&role.place, message));
                }
                Some(_) | None => {}
            }
        }
        faults
    }

    /// Every login that has a role.
    pub fn logins(&self) -> impl Iterator<Item = &str> {
        self.logins.keys().map(String::as_str)
    }

    /// The role of a PostgreSQL login.
    pub fn role_of(&self, login: &str) -> Option<&Role> {
        self.roles.get(self.logins.get(login)?)
    }

    /// Every role.
    pub fn roles(&self) -> impl Iterator<Item = &Role> {
        self.roles.values()
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
            let rules = self.rules.iter().filter(|rule| rule.applies(role, &level.name));
            stated = rules.filter_map(|rule| rule.lookup_limit).chain(stated).min();
            let level = stated.unwrap_or(super::DEFAULT_LOOKUP_LIMIT);
            limit = Some(limit.map_or(level, |above| above.min(level)));
        }
        limit.unwrap_or(0)
    }

    /// The rule of that name: where it stands, and the grounds that it names.
    pub fn rule_at(&self, name: &str) -> Option<(&Place, Option<&str>, Option<&str>)> {
        let rule = self.rules.iter().find(|rule| rule.name == name)?;
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

    /// Whether the role may be used at all today: the contract with a third party may have ended (POPIA s21).
    ///
    /// # Errors
    /// The reason, in words safe to show.
    #[allow(clippy::result_large_err)] // a refusal is rare and is told in full
    pub fn check_role(&self, role: &Role, today: Date) -> Result<(), Reason> {
        match role.operator_expires {
            Some(expires) if today > expires => Err(Reason::plain(format!(
                "the contract with `{}` for role `{}` ended on {expires}",
                role.recipient, role.name
            ))
            .hint("a renewed contract is stated with `operator_contract` and `operator_expires` in the policy")),
            Some(_) | None => Ok(()),
        }
    }

    /// Whether the role may use the purpose today; the error says why not, in words safe to show.
    ///
    /// # Errors
    /// Unknown purpose, not among the role's, it or an ancestor past its expiry, the operator's contract past its
    /// expiry.
    #[allow(clippy::result_large_err)]
    pub fn check_purpose(&self, role: &Role, purpose: &str, today: Date) -> Result<(), Reason> {
        self.check_role(role, today)?;
        let allowed = role.purposes.join("`, `");
        let hint = if role.purposes.is_empty() {
            format!("role `{}` has no purposes", role.name)
        } else {
            format!("role `{}` may use: `{allowed}`", role.name)
        };
        let chain = self.lineage(purpose);
        if chain.is_empty() {
            return Err(Reason::plain(format!("there is no purpose `{purpose}`")).hint(hint));
        }
        if !role.purposes.iter().any(|name| name == purpose) {
            return Err(Reason::plain(format!("role `{}` may not use purpose `{purpose}`", role.name)).hint(hint));
        }
        for ancestor in chain {
            match ancestor.expires {
                Some(expires) if today > expires => {
                    return Err(Reason::plain(format!("purpose `{}` expired on {expires}", ancestor.name))
                        .hint("a purpose that is reviewed and goes on needs a later `expires` in the policy"));
                }
                Some(_) | None => {}
            }
        }
        Ok(())
    }

    /// How a relation of exactly this name is treated. Tables by which rows are filtered are never open by being
    /// unlisted.
    pub fn governance(&self, relation: &RelationName) -> Governance {
        match self.tables.get(relation) {
            Some(table) if table.open => Governance::Open,
            Some(_) => Governance::Governed,
            None if self.unlisted_allowed && !self.keeps_wishes(relation) => Governance::UnlistedAllow,
            None => Governance::UnlistedDeny,
        }
    }

    /// Whether the table holds consents, objections, restrictions, approaches or opt-outs.
    pub(super) fn keeps_wishes(&self, relation: &RelationName) -> bool {
        self.wishes().any(|(_, table, _)| table == relation)
    }

    /// The tables by which rows are filtered: what they hold, the table, and where the policy says so.
    pub(super) fn wishes(&self) -> impl Iterator<Item = (&'static str, &RelationName, &Place)> {
        let consent = self.consent.iter().map(|consent| ("consents", &consent.table, &consent.place));
        let exclusions = self.exclusions.iter().map(|source| (source.list.name(), &source.table, &source.place));
        let marketing = &self.marketing;
        let approaches = marketing.approaches.iter().map(|(table, _)| ("approaches", table, &marketing.place));
        let opt_outs = marketing.opt_outs.iter().flat_map(|(table, lists)| [table, lists]);
        let opt_outs = opt_outs.map(|table| ("opt-outs", table, &marketing.place));
        consent.chain(exclusions).chain(approaches).chain(opt_outs)
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

    /// Whether the log says of any table whose rows were seen.
    pub fn records_subjects(&self) -> bool {
        self.tables.values().any(|table| table.record.is_some())
    }

    /// Whether any subject is recorded by pseudonym, so that a key for them is needed.
    pub fn needs_subject_key(&self) -> bool {
        self.tables.values().any(|table| table.record == Some(RecordAs::Pseudonym))
    }

    /// Names of all tables that are listed, for comparison with the catalog.
    pub fn listed_tables(&self) -> Vec<RelationName> {
        self.tables.keys().cloned().collect()
    }
}

/// What ends within so many days is worth a warning.
const SOON: i32 = 30;

/// Negative for a day that is past.
fn days_until(today: Date, day: Date) -> i32 {
    // Both lie within years 1 to 9999, so that the difference in days is small.
    (day - today).get_days()
}

/// `after 2026-12-01, in 9 days`.
fn on(day: Date, days: i32) -> String {
    match days {
        0 => format!("after {day}, which is today"),
        1 => format!("after {day}, in 1 day"),
        days => format!("after {day}, in {days} days"),
    }
}

fn hash(sources: &[(String, String)]) -> String {
    use ring::digest::{SHA256, digest};
    let mut parts: Vec<Vec<u8>> =
        sources.iter().map(|(_, text)| digest(&SHA256, text.as_bytes()).as_ref().to_vec()).collect();
    parts.sort();
    let whole = digest(&SHA256, &parts.concat());
    let hex: String = whole.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
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
