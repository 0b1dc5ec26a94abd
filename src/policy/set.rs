//! The validated policy set. (Interface first: fields and loading are being written.)

use std::path::PathBuf;

use crate::catalog::RelationName;

/// All policies, merged and validated; immutable.
#[derive(Debug, Default)]
pub struct PolicySet {
    hash: String,
}

/// A fault in a policy file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The file, as it was named.
    pub file: String,
    /// Line, from 1; 0 where the fault has no place.
    pub line: usize,
    /// What is wrong and what would help.
    pub message: String,
}

/// A role: logins, purposes, recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    /// Its name in the policy.
    pub name: String,
    /// PostgreSQL logins.
    pub logins: Vec<String>,
    /// Purposes it may declare; the first is the default.
    pub purposes: Vec<String>,
    /// `internal`, or the third party's name.
    pub recipient: String,
    /// The reason why this role is relayed as it is.
    pub unrestricted: Option<String>,
}

/// A purpose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Purpose {
    /// Its name; a dotted name is a child.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
}

/// One of the policies' own `[[tests]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyTest {
    /// The file it stands in, and the line.
    pub file: String,
    /// Line of the test.
    pub line: usize,
    /// The login.
    pub login: String,
    /// The purpose; the role's default where it is not given.
    pub purpose: Option<String>,
    /// The statement.
    pub sql: String,
    /// What must come out.
    pub expect: super::Verdict,
    /// What must appear in the reason.
    pub reason: Option<String>,
}

/// How the policies treat a relation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Governance {
    /// Listed with columns.
    Governed,
    /// Listed as open.
    Open,
    /// Not listed, and unlisted tables are denied.
    UnlistedDeny,
    /// Not listed, and unlisted tables are open.
    UnlistedAllow,
}

impl PolicySet {
    /// Reads and validates the files, merged.
    ///
    /// # Errors
    /// Every fault that was found, not only the first.
    pub fn load(_files: &[PathBuf]) -> Result<Self, Vec<Fault>> {
        Ok(Self::default())
    }

    /// The same from `(file name, text)` pairs.
    ///
    /// # Errors
    /// Every fault that was found.
    pub fn from_sources(_sources: &[(String, String)]) -> Result<Self, Vec<Fault>> {
        Ok(Self::default())
    }

    /// `sha256:…` over the sources.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// The role of a PostgreSQL login.
    pub fn role_of(&self, _login: &str) -> Option<&Role> {
        None
    }

    /// The purpose of that name.
    pub fn purpose(&self, _name: &str) -> Option<&Purpose> {
        None
    }

    /// Whether the role may use the purpose today; the error says why not, in words safe to show.
    ///
    /// # Errors
    /// Unknown purpose, not among the role's, past its expiry, the operator's contract past its expiry ...
    pub fn check_purpose(&self, _role: &Role, _purpose: &str, _today: jiff::civil::Date) -> Result<(), super::Reason> {
        Ok(())
    }

    /// How a relation of exactly this name is treated.
    pub fn governance(&self, _relation: &RelationName) -> Governance {
        Governance::UnlistedDeny
    }

    /// Whether a function that is not on the reviewed list of built-ins is named in `[functions] allow`.
    pub fn allows_function(&self, _schema: &str, _name: &str) -> bool {
        false
    }

    /// The policies' own tests.
    pub fn tests(&self) -> &[PolicyTest] {
        &[]
    }

    /// Whether any mask is `token`, so that a token key is needed.
    pub fn needs_token_key(&self) -> bool {
        false
    }

    /// Names of all tables that are listed, for comparison with the catalog.
    pub fn listed_tables(&self) -> Vec<RelationName> {
        Vec::new()
    }
}
