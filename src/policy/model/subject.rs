//! How a row leads to its data subject, and what the subject said.

use crate::catalog::RelationName;

/// How the access log names the subjects whose rows were seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RecordAs {
    /// By a keyed pseudonym, the same wherever the same subject is seen.
    Pseudonym,
    /// By the value that the database has.
    Plain,
}

impl RecordAs {
    /// As a policy and the log write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pseudonym => "pseudonym",
            Self::Plain => "plain",
        }
    }

    pub(in crate::policy) fn parse(text: &str) -> Option<Self> {
        [Self::Pseudonym, Self::Plain].into_iter().find(|form| form.name() == text)
    }
}

/// The rows of subjects who consented: `EXISTS (SELECT FROM table WHERE subject = <row's subject> AND purpose = '<purpose>' AND (active))`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsentFilter {
    /// Where the database keeps consents.
    pub table: RelationName,
    /// The column of that table that names the subject.
    pub subject: String,
    /// The column of that table that names the purpose.
    pub purpose_column: String,
    /// The purposes that must each have live consent: the purpose in force (a child needs its own).
    pub purposes: Vec<String>,
    /// SQL over that table's columns that says a consent is live. Validated with the policy.
    pub active: String,
}

/// How a row leads to its data subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SubjectPath {
    /// A column of the row itself.
    Column(String),
    /// A column that refers to another relation's column, whose row leads on.
    Through {
        /// The column of this relation.
        column: String,
        /// The relation referred to.
        relation: RelationName,
        /// The column of that relation that is referred to.
        references: String,
        /// How that relation's row leads on.
        next: Box<SubjectPath>,
    },
}

impl SubjectPath {
    /// The column of the row itself.
    pub fn column(&self) -> &str {
        match self {
            Self::Column(column) | Self::Through { column, .. } => column,
        }
    }
}
