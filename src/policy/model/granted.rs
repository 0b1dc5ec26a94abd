//! Exceptions that expire: purposes that a login may use for a time, beside those of its role.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::{PolicySet, Role};

/// An exception that is in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Granted {
    /// Names it.
    pub id: String,
    /// The PostgreSQL login.
    pub login: String,
    /// The purpose.
    pub purpose: String,
    /// From then on it is gone.
    pub until: Timestamp,
    /// Another person stands behind it besides the one who granted it.
    pub approved: bool,
}

/// Who must stand behind an exception for a purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum GrantRule {
    /// `grant = "one person"`
    #[default]
    One,
    /// `grant = "two persons"`: who grants, and another who approved.
    Two,
    /// `grant = "never"`
    Never,
}

impl GrantRule {
    pub(in crate::policy) fn parse(text: &str) -> Option<Self> {
        let known = [("one person", Self::One), ("two persons", Self::Two), ("never", Self::Never)];
        known.into_iter().find_map(|(word, rule)| (word == text).then_some(rule))
    }
}

/// The exceptions that decisions of a set take into account.
#[derive(Debug, Clone, Default)]
pub(in crate::policy) struct Exceptions {
    granted: Arc<[Granted]>,
    /// By login: its role, with the purposes that it may use besides.
    roles: BTreeMap<String, Arc<Role>>,
    /// The set's hash, and the exceptions.
    version: Option<Arc<str>>,
}

impl Exceptions {
    pub(in crate::policy) fn role(&self, login: &str) -> Option<&Arc<Role>> {
        self.roles.get(login)
    }
}

impl PolicySet {
    /// With these exceptions instead of those before. What these policies do not take opens nothing: logins without a role, unrestricted
    /// ones, purposes that are not there or may never be granted, and what one person granted where they want two.
    #[must_use]
    pub fn with_granted(mut self, granted: Vec<Granted>) -> Self {
        self.exceptions = Exceptions::default();
        let mut roles: BTreeMap<String, Role> = BTreeMap::new();
        let mut kept: Vec<Granted> = Vec::new();
        for grant in granted {
            let (Ok(()), Some(role)) = (self.takes(&grant), self.role_of(&grant.login)) else {
                continue;
            };
            let role = roles.entry(grant.login.clone()).or_insert_with(|| role.clone());
            if !role.purposes.contains(&grant.purpose) {
                role.purposes.push(grant.purpose.clone());
            }
            kept.push(grant);
        }
        if kept.is_empty() {
            return self;
        }
        let ids: Vec<&str> = kept.iter().map(|grant| grant.id.as_str()).collect();
        let version = Some(format!("{}+{}", self.hash, ids.join("+")).into());
        let roles = roles.into_iter().map(|(login, role)| (login, Arc::new(role))).collect();
        self.exceptions = Exceptions { granted: kept.into(), roles, version };
        self
    }

    /// The exceptions that are in force.
    pub fn granted(&self) -> &[Granted] {
        &self.exceptions.granted
    }

    /// When the first of them ends.
    pub fn granted_until(&self) -> Option<Timestamp> {
        self.exceptions.granted.iter().map(|grant| grant.until).min()
    }

    /// Tells sets apart that may decide otherwise: the hash, and the exceptions.
    pub fn version(&self) -> &str {
        self.exceptions.version.as_deref().unwrap_or(&self.hash)
    }

    /// Whether these policies let this exception open anything.
    ///
    /// # Errors
    /// It opens nothing: why, in words.
    pub fn takes(&self, grant: &Granted) -> Result<(), String> {
        match self.may_grant(&grant.login, &grant.purpose)? {
            GrantRule::Two if !grant.approved => {
                Err(format!("purpose `{}` needs two persons, and one stands behind it", grant.purpose))
            }
            GrantRule::One | GrantRule::Two => Ok(()),
            GrantRule::Never => Err(format!("purpose `{}` is never granted, the policy says", grant.purpose)),
        }
    }

    /// Who must stand behind an exception of this login for this purpose.
    ///
    /// # Errors
    /// There can be none: in words for whoever asks.
    pub fn may_grant(&self, login: &str, purpose: &str) -> Result<GrantRule, String> {
        let Some(role) = self.logins.get(login).and_then(|role| self.roles.get(role)) else {
            return Err(format!("no role of the policies has the login `{login}`"));
        };
        if role.unrestricted.is_some() {
            return Err(format!("role `{}` is unrestricted: it needs no exception", role.name));
        }
        let Some(known) = self.purposes.get(purpose) else { return Err(format!("there is no purpose `{purpose}`")) };
        if role.purposes.iter().any(|own| own == purpose) {
            return Err(format!("role `{}` may use the purpose `{purpose}` anyway", role.name));
        }
        match known.grant {
            GrantRule::Never => Err(format!("purpose `{purpose}` is never granted, the policy says")),
            rule @ (GrantRule::One | GrantRule::Two) => Ok(rule),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_granted_purpose_is_one_login_s_beside_those_of_its_role() {
        let policy = "version = 1\n[purposes.p]\nbasis = \"contract\"\n[purposes.incident]\nbasis = \"contract\"\n\
            [purposes.closed]\nbasis = \"contract\"\ngrant = \"never\"\n\
            [roles.r]\nlogins = [\"ann\", \"ben\"]\npurposes = [\"p\"]\n[roles.m]\nlogins = [\"m\"]\nunrestricted = \"x\"\n";
        let policies = PolicySet::from_sources(&[("test.toml".into(), policy.into())]).unwrap();
        let until = "2026-11-30T12:00:00Z".parse().unwrap();
        let grant = |id: &str, login: &str, purpose: &str| Granted {
            id: id.into(),
            login: login.into(),
            purpose: purpose.into(),
            until,
            approved: false,
        };
        let hash = policies.hash().to_owned();
        let all = vec![
            grant("g-1", "ann", "incident"),
            grant("g-2", "nobody", "incident"),
            grant("g-3", "ann", "closed"),
            grant("g-4", "m", "incident"),
            grant("g-5", "ann", "unknown"),
        ];
        let with = policies.with_granted(all);
        let purposes = |login: &str| with.role_of(login).unwrap().purposes.clone();
        assert_eq!((purposes("ann"), purposes("ben")), (vec!["p".to_owned(), "incident".into()], vec!["p".to_owned()]));
        assert_eq!((with.hash(), with.granted().len(), with.granted_until()), (hash.as_str(), 1, Some(until)));
        assert_ne!(with.version(), with.hash());
        let without = with.clone().with_granted(Vec::new());
        assert_eq!((without.version(), without.granted_until()), (hash.as_str(), None));
        assert!(with.may_grant("ann", "p").is_err() && with.may_grant("ben", "incident") == Ok(GrantRule::One));
    }

    #[test]
    fn what_one_person_granted_is_gone_with_the_policies_that_want_two() {
        let policy = |rule: &str| {
            let text = format!(
                "version = 1\n[purposes.p]\nbasis = \"contract\"\n[purposes.incident]\nbasis = \"contract\"\n{rule}\n\
                [roles.r]\nlogins = [\"ann\"]\npurposes = [\"p\"]\n"
            );
            PolicySet::from_sources(&[("test.toml".into(), text)]).unwrap()
        };
        for (rule, approved, stays) in [
            ("", false, true),
            ("grant = \"one person\"", false, true),
            ("grant = \"two persons\"", false, false),
            ("grant = \"two persons\"", true, true),
            ("grant = \"never\"", true, false),
        ] {
            let until = "2026-11-30T12:00:00Z".parse().unwrap();
            let (id, login, purpose) = ("g-1".to_owned(), "ann".to_owned(), "incident".to_owned());
            let before = policy("").with_granted(vec![Granted { id, login, purpose, until, approved }]);
            assert_eq!(before.granted().len(), 1);
            let after = policy(rule).with_granted(before.granted().to_vec());
            let opened = after.role_of("ann").unwrap().purposes.len() == 2;
            assert_eq!((after.granted().len() == 1, opened), (stays, stays), "{rule} {approved}");
        }
    }
}
