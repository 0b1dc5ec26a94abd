//! Which rows of a relation remain, besides those of subjects who consented: retention, children, objections and
//! restrictions, direct marketing. Values only; `sql` writes the conditions.

use std::fmt;
use std::str::FromStr;

use jiff::civil::Date;

use super::{ConsentFilter, RowCondition};
use crate::catalog::RelationName;
use crate::document::Place;

/// One condition that a row must meet. The database evaluates it within the statement, by its own clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RowFilter {
    /// Rows within each of these periods (POPIA s14(1)).
    Kept(Vec<Limit>),
    /// Rows past each of these periods, due for destruction (s14(4)); none where there is no period.
    Due(Vec<Limit>),
    /// Rows of people who are not children (s34-35).
    Adults(Birth),
    /// Rows of subjects who are not on a list.
    NotListed(Exclusion),
    /// Rows of subjects who may be approached by direct marketing (s69).
    Approachable(Box<Approach>),
    /// Rows that a rule opens (`rows`).
    Own(Own),
    /// Rows whose record allows one of these purposes.
    Allowed(RecordPurposes, Vec<String>),
    /// Rows that are the actor's own, or another one's by a rule's `own`.
    OfActor(ActorRows),
}

/// A condition of a rule's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Own {
    /// The rule.
    pub rule: String,
    /// SQL over the relation's own columns, in which `login` stands for whose session it is.
    pub condition: String,
    /// The columns that it names, of those that are listed.
    pub columns: Vec<String>,
}

/// Where each record says for which purposes it may be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecordPurposes {
    /// A column of it: an array of purposes, a JSON array of them, or one purpose.
    Column(String),
    /// A table with a row for each record and purpose.
    Table {
        /// The table.
        table: RelationName,
        /// Its column that names the record.
        record: String,
        /// The record's own column that is named there.
        key: String,
        /// Its column that names the purpose.
        purpose: String,
        /// Where the policy says so.
        place: Place,
    },
}

/// A rule's own condition over the rows that it opens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActorRows {
    /// The rule.
    pub rule: String,
    /// The condition.
    pub condition: RowCondition,
    /// Where it is looked up by the row's data subject if the table has none of its columns: tables whose rows say whose they are by a
    /// column of their own, which is named.
    pub registers: Vec<(RelationName, String)>,
    /// The listing that governs the rows.
    pub table: RelationName,
    /// The rule opens something of it; else other rows that the rule opens may be reached by it.
    pub opens: bool,
    /// The rule opens rows of other tables, which may be looked up here.
    pub leads: bool,
    /// Rows of other tables that the rule opens lead to their data subject through this table's: the columns that they refer to.
    pub referred: Vec<String>,
}

/// How long rows are kept.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Limit {
    /// The period.
    pub period: Period,
    /// The column from whose day it counts.
    pub since: SinceColumn,
}

/// The column from whose day a period counts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum SinceColumn {
    /// Of the row itself.
    Own(String),
    /// Of a relation by which the row leads to its subject.
    Of(RelationName, String),
}

/// `5 years`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Period {
    /// At least one, at most 1000; none for what is kept until a day.
    pub amount: u32,
    /// Of what.
    pub unit: PeriodUnit,
}

/// A unit of the calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum PeriodUnit {
    /// Days.
    Day,
    /// Seven days.
    Week,
    /// Calendar months.
    Month,
    /// Calendar years.
    Year,
}

/// Where the database says when a person was born.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Birth {
    /// The date of birth.
    pub date: Option<String>,
    /// The South African identity number, whose first six digits are the date of birth without its century.
    pub number: Option<String>,
    /// Whose columns these are, where not the row's own: the table, and the column of it that names the subject.
    pub register: Option<(RelationName, String)>,
}

/// A list of subjects whose rows are left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exclusion {
    /// What the list is.
    pub list: ExclusionList,
    /// The table.
    pub table: RelationName,
    /// Its column that names the subject.
    pub subject: String,
    /// Its column that names the purpose, and the purposes that count; a row that names none counts where `general`.
    pub purposes: Option<(String, Vec<String>)>,
    /// Whether a row that names no purpose counts.
    pub general: bool,
    /// SQL over its columns that says a row is in force.
    pub active: String,
}

/// What a list of subjects is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExclusionList {
    /// Objections (s11(3)).
    Objections,
    /// Restrictions (s14(6)).
    Restrictions,
}

/// Whom direct marketing may approach (s69).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approach {
    /// The purpose rests on consent, which has its own filter: only the opt-outs remain to be looked at.
    pub only_consent: bool,
    /// Those with live consent (s69(1)(a)).
    pub consent: Option<ConsentFilter>,
    /// Customers (s69(1)(b) and (3)).
    pub customers: Option<Customers>,
    /// Those never approached (s69(2)): the register of approaches and its column that names the subject.
    pub first: Option<(RelationName, String)>,
    /// The list of those who opted out altogether.
    pub opt_outs: Option<OptOuts>,
}

/// Who is a customer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Customers {
    /// The table whose rows make somebody a customer.
    pub table: RelationName,
    /// Its column that names the subject.
    pub subject: String,
    /// SQL over its columns that a row must meet.
    pub condition: Option<String>,
}

/// A list of those who opted out, by digests of what they are reached by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OptOuts {
    /// The table: `kind`, `digest`.
    pub table: RelationName,
    /// The lists: `as_of`.
    pub lists: RelationName,
    /// Past so many days a list is stale, and nobody may be approached.
    pub days: u32,
    /// What a subject is reached by.
    pub contacts: Vec<Contact>,
}

/// A column that says how somebody is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contact {
    /// What it holds.
    pub kind: ContactKind,
    /// Its table.
    pub table: RelationName,
    /// The column of that table that names the subject.
    pub subject: String,
    /// The column.
    pub column: String,
}

/// What somebody is reached or known by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ContactKind {
    /// An e-mail address.
    Email,
    /// A telephone number.
    Phone,
    /// A South African identity number.
    IdNumber,
}

impl RowFilter {
    /// Whether a snapshot of the rows must not grow old.
    pub fn rests_on_wishes(&self) -> bool {
        match self {
            Self::Approachable(_) => true,
            Self::NotListed(exclusion) => exclusion.list == ExclusionList::Objections && exclusion.general,
            Self::Kept(_) | Self::Due(_) | Self::Adults(_) | Self::Own(_) | Self::Allowed(..) | Self::OfActor(_) => {
                false
            }
        }
    }

    /// What the log says: `retain(5 years after closed_at)`.
    pub fn describe(&self) -> String {
        let listed = |limits: &[Limit]| limits.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        match self {
            Self::Kept(limits) => format!("retain({})", listed(limits)),
            Self::Due(limits) => format!("due({})", listed(limits)),
            Self::Adults(_) => "adults".to_owned(),
            Self::NotListed(exclusion) => format!("no {}", exclusion.list.name()),
            Self::Approachable(_) => "direct marketing".to_owned(),
            Self::Own(own) => format!("rows({})", own.rule),
            Self::Allowed(..) => "purposes of the record".to_owned(),
            Self::OfActor(own) => format!("own({})", own.rule),
        }
    }
}

impl ExclusionList {
    /// The section of the policy.
    pub fn name(self) -> &'static str {
        match self {
            Self::Objections => "objections",
            Self::Restrictions => "restrictions",
        }
    }
}

impl ContactKind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Email, Self::Phone, Self::IdNumber];

    /// As the policy and the table of opt-outs write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Phone => "phone",
            Self::IdNumber => "id_number",
        }
    }

    /// The one form in which it is hashed: an e-mail address without outer spaces and with small ASCII letters; a
    /// telephone number's digits with the country's code, `27` where it begins with `0`; an identity number's digits.
    /// `sql` writes the same for the database. `None` where nothing is left.
    pub fn normalised(self, text: &str) -> Option<String> {
        let digits = || text.chars().filter(char::is_ascii_digit).collect::<String>();
        let normal = match self {
            Self::Email => text.trim_matches(' ').to_ascii_lowercase(),
            Self::Phone => {
                let digits = digits();
                match (digits.strip_prefix("00"), digits.strip_prefix('0')) {
                    (Some(international), _) => international.to_owned(),
                    (None, Some(national)) => format!("27{national}"),
                    (None, None) => digits,
                }
            }
            Self::IdNumber => digits(),
        };
        (!normal.is_empty()).then_some(normal)
    }
}

impl PeriodUnit {
    /// In the singular.
    pub fn name(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
            Self::Year => "year",
        }
    }
}

impl Period {
    /// So long after a day, by the calendar: a year after 29 February is 28 February. No further than the calendar goes.
    pub fn after(self, day: Date) -> Date {
        let amount = i64::from(self.amount);
        let span = match self.unit {
            PeriodUnit::Day => jiff::Span::new().try_days(amount),
            PeriodUnit::Week => jiff::Span::new().try_weeks(amount),
            PeriodUnit::Month => jiff::Span::new().try_months(amount),
            PeriodUnit::Year => jiff::Span::new().try_years(amount),
        };
        span.map_or(Date::MAX, |span| day.saturating_add(span))
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.amount == 1 { "" } else { "s" };
        write!(f, "{} {}{plural}", self.amount, self.unit.name())
    }
}

/// `5 years`, `1 month`, `90 days`, `2 weeks`.
impl FromStr for Period {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let [amount, unit] = words.as_slice() else { return Err(()) };
        let amount = amount.parse().map_err(|_| ())?;
        let unit = [PeriodUnit::Day, PeriodUnit::Week, PeriodUnit::Month, PeriodUnit::Year]
            .into_iter()
            .find(|known| unit.strip_suffix('s').unwrap_or(unit) == known.name())
            .ok_or(())?;
        // PostgreSQL's calendar does not reach back further than a few thousand years.
        if (1..=1000).contains(&amount) { Ok(Self { amount, unit }) } else { Err(()) }
    }
}

impl Period {
    /// No time at all: kept until the day itself.
    pub const NONE: Self = Self { amount: 0, unit: PeriodUnit::Day };
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.since {
            SinceColumn::Own(column) if self.period == Period::NONE => write!(f, "until {column}"),
            SinceColumn::Of(relation, column) if self.period == Period::NONE => {
                write!(f, "until {}", super::column_name(relation, column))
            }
            SinceColumn::Own(column) => write!(f, "{} after {column}", self.period),
            SinceColumn::Of(relation, column) => {
                write!(f, "{} after {}", self.period, super::column_name(relation, column))
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn periods_are_read_as_they_are_written() {
        for text in ["5 years", "1 month", "90 days", "2 weeks"] {
            assert_eq!(text.parse::<Period>().unwrap().to_string(), text);
        }
        assert_eq!("1 years".parse::<Period>().unwrap().to_string(), "1 year");
        let until = Limit { period: Period::NONE, since: SinceColumn::Own("closes_on".to_owned()) };
        assert_eq!(until.to_string(), "until closes_on");
        for text in ["", "5", "years", "0 days", "-1 days", "five years", "5 decades", "5 years ago", "4000 years"] {
            assert!(text.parse::<Period>().is_err(), "{text}");
        }
    }

    #[test]
    fn one_person_is_hashed_in_one_form() {
        let phone = |text| ContactKind::Phone.normalised(text).unwrap();
        for text in ["+27 82 555 0101", "082 555 0101", "(082) 555-0101", "0027825550101", "27825550101"] {
            assert_eq!(phone(text), "27825550101", "{text}");
        }
        assert_eq!(ContactKind::Email.normalised("  Ann@X.org ").as_deref(), Some("ann@x.org"));
        assert_eq!(ContactKind::IdNumber.normalised("800101 5009 087").as_deref(), Some("8001015009087"));
        assert_eq!(ContactKind::Phone.normalised("none"), None);
    }
}
