//! The parts of a policy, validated. What refers to something else by name refers to something that exists.

mod actor;
mod automatic;
mod fit;
mod granted;
pub(super) mod index;
mod lineage;
pub(super) mod mask;
pub(super) mod pattern;
mod request;
mod rows;
pub(super) mod set;
mod structure;
mod subject;
mod verdict;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use jiff::civil::Date;

use crate::catalog::{RelationName, split_dotted};
use crate::document::Place;
pub use actor::{ActorFrom, ActorRule, ActorUse, Actors, RowCondition};
pub use automatic::{Automatic, Consequence, Raw, Unknown};
pub use granted::{GrantRule, Granted};
pub use lineage::Lineage;
pub use mask::{AddressPart, Mask, NamePart, Noise, PhonePart, Unit};
pub use request::{AccessRequest, ColumnAccess, RelationAccess, Shape, Use, Verb};
pub use rows::{
    ActorRows, Approach, Birth, Contact, ContactKind, Customers, Exclusion, ExclusionList, Limit, OptOuts, Own, Period,
    PeriodUnit, RecordPurposes, RowFilter, SinceColumn,
};
pub use set::PolicySet;
pub use structure::{Change, Make, Structure};
pub use subject::{ConsentFilter, RecordAs, SubjectPath};
pub use verdict::Verdict;

/// Lookups of raw values that a session may make in a minute where neither the role nor a rule says otherwise: more than
/// a clerk types, and too few to try identity numbers one by one.
pub const DEFAULT_LOOKUP_LIMIT: u32 = 60;

/// How long a cursor over rows that rest on consent may be read where the policy does not say, in seconds: an hour.
pub(in crate::policy) const CURSOR_SECONDS: u64 = 3600;

/// How long a statement that changes rows which rest on consent waits for a lock where the policy does not say, in seconds.
pub(in crate::policy) const LOCK_SECONDS: u32 = 10;

/// The recipient that is no third party.
pub const OURSELVES: &str = "internal";

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
    pub country_ground: Option<String>,
    /// Lookups of raw values that a session may make in a minute; a login's sessions together have ten times as many.
    pub lookup_limit: Option<u32>,
    /// What it says of the application's end user.
    pub actor: Actors,
    /// Whether the role may change the database's structure.
    pub ddl: bool,
    /// How long a lesson counts for who uses it; `None` where none is demanded.
    pub training: Option<Period>,
    pub(in crate::policy) place: Place,
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
    /// Statements over groups that one login may run in a day of the policies' zone.
    pub queries_per_day: Option<u32>,
    /// Rows of governed relations come in no order but what the statement asks for.
    pub shuffle: bool,
    /// The purpose whose child it is.
    pub parent: Option<String>,
    /// Rows past their retention stay visible to it, and restricted ones do (POPIA s14(6)).
    pub proof: bool,
    /// It sees only rows that are due for destruction (s14(4)).
    pub destruction: bool,
    /// The ground of s35 on which rows of children are opened.
    pub child_ground: Option<String>,
    pub(in crate::policy) direct_marketing: Option<DirectMarketing>,
    /// Who must stand behind an exception that lets a login use it.
    pub grant: GrantRule,
    pub(in crate::policy) place: Place,
}

impl Purpose {
    /// Whether it is direct marketing to people who may not have consented (s69): an objection needs no reason.
    pub fn is_direct_marketing(&self) -> bool {
        self.direct_marketing.is_some()
    }
}

/// Whom a purpose of direct marketing may approach, besides those who consented (s69).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::policy) struct DirectMarketing {
    pub(in crate::policy) customers: Option<Customers>,
    pub(in crate::policy) first_approach: bool,
    pub(in crate::policy) opt_outs_days: Option<u32>,
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

    pub(in crate::policy) fn parse(text: &str) -> Option<Self> {
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
    /// The application's end user, where one is stated.
    pub actor: Option<String>,
    /// The statement.
    pub sql: String,
    /// What must come out.
    pub expect: Expected,
    /// What must appear in the reason.
    pub reason: Option<String>,
}

/// What a test of the policies' own expects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// This verdict.
    Verdict(Verdict),
    /// That it runs, and shows groups only (`min_group`).
    Aggregate,
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
pub(in crate::policy) struct Table {
    pub(in crate::policy) open: bool,
    /// `open = "read"`: nobody writes to it through the proxy.
    pub(in crate::policy) read_only: bool,
    /// `subject = false`: its rows are of no data subject.
    pub(in crate::policy) no_subject: bool,
    /// A pattern lists it.
    pub(in crate::policy) by_pattern: bool,
    /// Patterns match of which none is the narrowest, or what they say does not fit: nothing of it is open.
    pub(in crate::policy) tied: bool,
    pub(in crate::policy) subject: Option<SubjectPath>,
    /// Category of each listed column.
    pub(in crate::policy) columns: BTreeMap<String, String>,
    /// Where it stands that a column has its category; by their names, where keys of the table stand: `.subject`.
    pub(in crate::policy) places: BTreeMap<String, Place>,
    /// Where each record says for which purposes it may be used.
    pub(in crate::policy) purposes: Option<RecordPurposes>,
    /// A star over it is refused where a column of it is denied, instead of leaving that column out.
    pub(in crate::policy) star_refused: bool,
    /// The log says whose rows were seen, in this form.
    pub(in crate::policy) record: Option<RecordAs>,
    /// How long its rows are kept; the key is the purpose, `None` for every other.
    pub(in crate::policy) retain: BTreeMap<Option<String>, Limit>,
    /// Where it says when the person was born.
    pub(in crate::policy) birth: Option<Birth>,
    /// The purposes for which a column's values were collected, of those columns that say so.
    pub(in crate::policy) collected_for: BTreeMap<String, BTreeSet<String>>,
    /// The same for every other column.
    pub(in crate::policy) collected_others: Option<BTreeSet<String>>,
    pub(in crate::policy) place: Place,
}

impl Table {
    /// Where a column is given its category, or else where the table is listed.
    pub(in crate::policy) fn place_of(&self, column: &str) -> &Place {
        self.places.get(column).unwrap_or(&self.place)
    }

    /// Where a key of the table stands, or else its heading.
    pub(in crate::policy) fn place_of_key(&self, key: &str) -> &Place {
        self.places.get(&format!(".{key}")).unwrap_or(&self.place)
    }
}

/// A category of columns.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(in crate::policy) struct Category {
    /// POPIA s26: a rule that opens it must name its ground.
    pub(in crate::policy) special: bool,
    /// The mask where a rule says mask without one.
    pub(in crate::policy) mask: Option<Mask>,
    /// What each rule that opens anything opens of it, unless it says otherwise.
    pub(in crate::policy) default: Option<Opens>,
    /// Where it is described; `None` where only columns have it.
    pub(in crate::policy) place: Option<Place>,
}

/// How a rule opens a category that it does not name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::policy) enum Opens {
    /// As it is.
    Read,
    /// Through the category's mask.
    Mask,
}

/// A use for another purpose than that of collection (POPIA s15).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::policy) struct Compatible {
    pub(in crate::policy) from: String,
    pub(in crate::policy) to: String,
    /// Why, and the section.
    pub(in crate::policy) reason: String,
    pub(in crate::policy) section: String,
    pub(in crate::policy) place: Place,
}

/// Where the database keeps objections or restrictions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::policy) struct ExclusionSource {
    pub(in crate::policy) list: ExclusionList,
    pub(in crate::policy) table: RelationName,
    pub(in crate::policy) subject: String,
    pub(in crate::policy) purpose: Option<String>,
    pub(in crate::policy) active: String,
    pub(in crate::policy) place: Place,
}

/// What all direct marketing shares.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(in crate::policy) struct MarketingSource {
    /// The register of approaches, and its column that names the subject.
    pub(in crate::policy) approaches: Option<(RelationName, String)>,
    /// The opt-outs, and the lists that they come from.
    pub(in crate::policy) opt_outs: Option<(RelationName, RelationName)>,
    /// What is reached, by its column.
    pub(in crate::policy) contacts: BTreeMap<ContactKind, (RelationName, String)>,
    pub(in crate::policy) place: Place,
}

/// Where the database keeps consents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::policy) struct ConsentSource {
    pub(in crate::policy) table: RelationName,
    pub(in crate::policy) subject: String,
    pub(in crate::policy) purpose: String,
    /// What the policy says, and what follows from `evidence` and `given_at`.
    pub(in crate::policy) active: String,
    /// The column without which a row proves nothing (POPIA s11(2)(a)).
    pub(in crate::policy) evidence: Option<String>,
    /// The column that says when it was given.
    pub(in crate::policy) given_at: Option<String>,
    /// How long a cursor over rows that rest on it may be read, in seconds.
    pub(in crate::policy) cursor_seconds: u64,
    /// How long a statement that changes such rows may wait for a lock, in seconds.
    pub(in crate::policy) lock_seconds: u32,
    pub(in crate::policy) place: Place,
}

/// A rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::policy) struct Rule {
    pub(in crate::policy) name: String,
    pub(in crate::policy) roles: BTreeSet<String>,
    pub(in crate::policy) purposes: BTreeSet<String>,
    pub(in crate::policy) read: BTreeSet<Target>,
    pub(in crate::policy) mask: Vec<(Target, Mask)>,
    pub(in crate::policy) lookup: BTreeSet<Target>,
    pub(in crate::policy) write: BTreeSet<Target>,
    pub(in crate::policy) deny: BTreeSet<Target>,
    /// Tables whose rows may be deleted.
    pub(in crate::policy) delete: BTreeSet<RelationName>,
    /// The ground of POPIA s27-33 on which a special category is opened.
    pub(in crate::policy) ground: Option<String>,
    /// The ground of s35 on which rows of children are opened.
    pub(in crate::policy) child_ground: Option<String>,
    /// What comes back as its own mask leaves the value as it is.
    pub(in crate::policy) keep_masked: bool,
    pub(in crate::policy) lookup_limit: Option<u32>,
    /// Which rows it opens of what it opens.
    pub(in crate::policy) rows: Vec<OwnRows>,
    /// Where it names something.
    pub(in crate::policy) places: BTreeMap<Target, Place>,
    /// Which rows of what it opens are the application's end user's own.
    pub(in crate::policy) own: Option<RowCondition>,
    pub(in crate::policy) place: Place,
}

/// `rows` of a rule: a condition over a table's own columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::policy) struct OwnRows {
    /// The table that it is about; `None`: each of which the rule opens anything.
    pub(in crate::policy) table: Option<RelationName>,
    pub(in crate::policy) condition: String,
    /// The names in it, the table's columns among them.
    pub(in crate::policy) names: BTreeSet<String>,
    pub(in crate::policy) place: Place,
}

impl OwnRows {
    /// Whether it is about a table of which the rule opens something.
    pub(in crate::policy) fn concerns(&self, table: &RelationName) -> bool {
        self.table.as_ref().is_none_or(|own| own == table)
    }
}

impl Rule {
    /// Whether it speaks about this role and purpose.
    pub(in crate::policy) fn applies(&self, role: &str, purpose: &str) -> bool {
        self.roles.contains(role) && self.purposes.contains(purpose)
    }

    /// Whether it opens anything of that table.
    pub(in crate::policy) fn opens(&self, name: &RelationName, table: &Table) -> bool {
        let targets = self.read.iter().chain(&self.lookup).chain(&self.write);
        let mut targets = targets.chain(self.mask.iter().map(|(target, _)| target));
        self.delete.contains(name)
            || targets.any(|target| table.columns.iter().any(|(column, category)| target.is(name, column, category)))
    }
}

/// What a rule is about: a category, or one column by its full name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::policy) enum Target {
    Category(String),
    Column(RelationName, String),
}

impl Target {
    pub(in crate::policy) fn is(&self, table: &RelationName, column: &str, category: &str) -> bool {
        match self {
            Self::Category(name) => name == category,
            Self::Column(relation, name) => relation == table && name == column,
        }
    }
}

impl Target {
    pub(in crate::policy) fn is_column(&self) -> bool {
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
pub(in crate::policy) fn column_name(relation: &RelationName, column: &str) -> String {
    // `RelationName` writes its two parts as wanted; the column is written like its second.
    let written = RelationName::new("x", column).to_string();
    format!("{relation}.{}", written.strip_prefix("x.").unwrap_or(column))
}
