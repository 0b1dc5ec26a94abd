//! The parts of a policy, validated. What refers to something else by name refers to something that exists.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use jiff::civil::Date;

use super::{Mask, RecordAs, SubjectPath, Verdict};
use crate::catalog::{RelationName, split_dotted};
use crate::config::Place;

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
    /// The written contract with the third party (POPIA s21).
    pub operator_contract: Option<String>,
    /// Past this day the third party is refused.
    pub operator_expires: Option<Date>,
    /// ISO 3166 code of the country where the recipient is.
    pub country: String,
    /// Why information may leave for that country (POPIA s72); present wherever it is not South Africa.
    pub transfer_ground: Option<String>,
    /// Whether the role may change the database's structure.
    pub ddl: bool,
    pub(super) place: Place,
}

/// A purpose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Purpose {
    /// Its name; a dotted name is a child.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// Why it is lawful; a child that names none has its parent's.
    pub basis: Basis,
    /// Past this day the purpose is refused.
    pub expires: Option<Date>,
    /// The day by which somebody must look at it again.
    pub review: Option<Date>,
    /// Aggregates only, over at least so many data subjects.
    pub min_group: Option<u32>,
    /// The purpose whose child it is.
    pub parent: Option<String>,
    pub(super) place: Place,
}

/// Why processing is lawful (POPIA s11(1)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Basis {
    /// s11(1)(a): the data subject consents.
    Consent,
    /// s11(1)(b): needed for a contract with the data subject.
    Contract,
    /// s11(1)(c): an obligation imposed by law.
    LegalObligation,
    /// s11(1)(d): protects a legitimate interest of the data subject.
    SubjectInterest,
    /// s11(1)(e): a public law duty by a public body.
    PublicDuty,
    /// s11(1)(f): the legitimate interests of the responsible party or a third party.
    LegitimateInterest,
}

impl Basis {
    /// All of them, with how a policy writes each and where POPIA names it.
    pub const ALL: [(Self, &'static str, &'static str); 6] = [
        (Self::Consent, "consent", "s11(1)(a)"),
        (Self::Contract, "contract", "s11(1)(b)"),
        (Self::LegalObligation, "legal_obligation", "s11(1)(c)"),
        (Self::SubjectInterest, "subject_interest", "s11(1)(d)"),
        (Self::PublicDuty, "public_duty", "s11(1)(e)"),
        (Self::LegitimateInterest, "legitimate_interest", "s11(1)(f)"),
    ];

    /// As a policy writes it.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(basis, ..)| *basis == self).map_or("", |(_, name, _)| name)
    }

    /// The section of POPIA.
    pub fn section(self) -> &'static str {
        Self::ALL.iter().find(|(basis, ..)| *basis == self).map_or("", |(.., section)| section)
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, name, _)| *name == text).map(|(basis, ..)| *basis)
    }
}

/// One of the policies' own `[[tests]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyTest {
    /// The file it stands in, and the line.
    pub file: String,
    /// Line of the test.
    pub line: usize,
    /// Its name, where it has one.
    pub name: Option<String>,
    /// The login.
    pub login: String,
    /// The purpose; the role's default where it is not given.
    pub purpose: Option<String>,
    /// The statement.
    pub sql: String,
    /// What must come out.
    pub expect: Verdict,
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

/// A listed table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Table {
    pub(super) open: bool,
    pub(super) subject: Option<SubjectPath>,
    /// Category of each listed column.
    pub(super) columns: BTreeMap<String, String>,
    /// A star over it is refused where a column of it is denied, instead of leaving that column out.
    pub(super) star_refused: bool,
    /// The log says whose rows were seen, in this form.
    pub(super) record: Option<RecordAs>,
    /// Keys that are understood and not carried out yet: the table is refused while it has any.
    pub(super) pending: Vec<&'static str>,
    pub(super) place: Place,
}

/// A category of columns.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Category {
    /// POPIA s26: a rule that opens it must name its ground.
    pub(super) special: bool,
    /// The mask where a rule says mask without one.
    pub(super) mask: Option<Mask>,
}

/// Where the database keeps consents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ConsentSource {
    pub(super) table: RelationName,
    pub(super) subject: String,
    pub(super) purpose: String,
    /// What the policy says, and what follows from `evidence` and `given_at`.
    pub(super) active: String,
    /// The column without which a row proves nothing (POPIA s11(2)(a)).
    pub(super) evidence: Option<String>,
    /// The column that says when it was given.
    pub(super) given_at: Option<String>,
    pub(super) place: Place,
}

/// A rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rule {
    pub(super) name: String,
    pub(super) roles: BTreeSet<String>,
    pub(super) purposes: BTreeSet<String>,
    pub(super) read: BTreeSet<Target>,
    pub(super) mask: Vec<(Target, Mask)>,
    pub(super) lookup: BTreeSet<Target>,
    pub(super) write: BTreeSet<Target>,
    pub(super) deny: BTreeSet<Target>,
    /// Tables whose rows may be deleted.
    pub(super) delete: BTreeSet<RelationName>,
    /// The ground of POPIA s27-33 on which a special category is opened.
    pub(super) ground: Option<String>,
    pub(super) place: Place,
}

impl Rule {
    /// Whether it speaks about this role and purpose.
    pub(super) fn applies(&self, role: &str, purpose: &str) -> bool {
        self.roles.contains(role) && self.purposes.contains(purpose)
    }
}

/// What a rule is about: a category, or one column by its full name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Target {
    Category(String),
    Column(RelationName, String),
}

impl Target {
    pub(super) fn is(&self, table: &RelationName, column: &str, category: &str) -> bool {
        match self {
            Self::Category(name) => name == category,
            Self::Column(relation, name) => relation == table && name == column,
        }
    }
}

impl Target {
    pub(super) fn is_column(&self) -> bool {
        matches!(self, Self::Column(..))
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Category(name) => f.write_str(name),
            Self::Column(relation, column) => f.write_str(&column_name(relation, column)),
        }
    }
}

/// `category`, or `schema.table.column`.
impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || format!("`{text}` is neither a category nor a column written as `schema.table.column`");
        let mut parts = split_dotted(text).map_err(|_| wrong())?;
        match (parts.pop(), parts.pop(), parts.pop(), parts.pop()) {
            (Some(category), None, None, None) => Ok(Self::Category(category)),
            (Some(column), Some(table), Some(schema), None) => {
                Ok(Self::Column(RelationName::new(schema, table), column))
            }
            (_, _, _, _) => Err(wrong()),
        }
    }
}

/// `public.customers.email`, quoted where a part holds a dot.
pub(super) fn column_name(relation: &RelationName, column: &str) -> String {
    // `RelationName` writes its two parts as wanted; the column is written like its second.
    let written = RelationName::new("x", column).to_string();
    format!("{relation}.{}", written.strip_prefix("x.").unwrap_or(column))
}
