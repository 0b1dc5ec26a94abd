//! Names, values and the rest of the table together.

use super::accounts;
use super::context::People;
use super::document;
use super::kind::{Kind, Level};
use super::lexicon::Lexicon;
use super::naming::{self, Named};
use super::profile::Profile;
use super::values::{self, Proposal};

/// What is known of a column.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// Its name.
    pub name: String,
    /// Its type as PostgreSQL writes it: `character varying(20)`.
    pub type_sql: String,
    /// Its comment.
    pub comment: Option<String>,
    /// Values as text, where they were looked at.
    pub sample: Option<Sample>,
}

/// Some rows of a column.
#[derive(Clone, Default)]
pub struct Sample {
    /// How many rows were looked at.
    pub rows: usize,
    /// The values that are not null, in the order of the rows.
    pub values: Vec<String>,
    /// Which rows have none, counted from 0, in order.
    pub absent: Vec<usize>,
}

impl Sample {
    /// The values with the rows in which they stand.
    pub(super) fn by_row(&self) -> impl Iterator<Item = (usize, &str)> {
        let mut absent = self.absent.iter().copied().peekable();
        let mut row = 0;
        self.values.iter().map(move |value| {
            while absent.next_if_eq(&row).is_some() {
                row += 1;
            }
            row += 1;
            (row - 1, value.as_str())
        })
    }
}

impl std::fmt::Debug for Sample {
    /// Counts only: values are shown nowhere.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sample({} rows, {} values)", self.rows, self.values.len())
    }
}

/// What a column is taken for.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// What was seen; `None`: nothing personal.
    pub kind: Option<Kind>,
    /// From 0 to 1, that `kind` is right; where it is `None`, that there is nothing.
    pub confidence: f64,
    /// In words, without a value of the column.
    pub evidence: String,
    /// Where `kind` is `None`: what the name alone suggests, for a policy that would rather close too much.
    pub suggested: Option<Kind>,
    /// What a document holds, by path.
    pub paths: Vec<(String, Kind)>,
}

impl Verdict {
    /// The category, where something personal was seen.
    pub fn category(&self) -> Option<&'static str> {
        self.kind.map(Kind::category)
    }

    /// The category that a policy should give it: what was seen, what the name suggests, else `operational`.
    pub fn policy_category(&self) -> &'static str {
        self.kind.or(self.suggested).unwrap_or(Kind::None).category()
    }

    /// How sure that is.
    pub fn level(&self) -> Level {
        if self.kind.is_none() && self.suggested.is_some() { Level::Unsure } else { Level::of(self.confidence) }
    }

    pub(super) fn nothing(confidence: f64, evidence: String, suggested: Option<Kind>) -> Self {
        Self { kind: None, confidence, evidence, suggested, paths: Vec::new() }
    }
}

/// Below this a column is not taken for personal.
const ENOUGH: f64 = 0.5;

/// One column by itself.
pub fn judge(facts: &Facts, lexicon: &Lexicon) -> Verdict {
    judge_table("", std::slice::from_ref(facts), lexicon)
        .pop()
        .unwrap_or_else(|| Verdict::nothing(0.0, String::new(), None))
}

/// The columns of one table: what one holds says something of the others, such as whether `name` is a person's.
pub fn judge_table(table: &str, columns: &[Facts], lexicon: &Lexicon) -> Vec<Verdict> {
    let read: Vec<Option<Named>> = columns.iter().map(|facts| naming::read(&facts.name, lexicon)).collect();
    let profiles: Vec<Option<Profile>> = columns
        .iter()
        .map(|facts| {
            facts.sample.as_ref().map(|sample| Profile::of(&document::elements(facts, &sample.values), lexicon))
        })
        .collect();
    let people = People::of(table, &read, &profiles, lexicon);
    let accounts = accounts::beside_branches(columns, &profiles, lexicon);
    columns
        .iter()
        .zip(&read)
        .zip(&profiles)
        .zip(accounts)
        .enumerate()
        .map(|(at, (((facts, named), profile), account))| {
            if let Some(verdict) = document::judge_document(facts, lexicon) {
                return verdict;
            }
            let column = Column { facts, named: named.as_ref(), profile: profile.as_ref(), people: people.without(at) };
            column.verdict(account, lexicon)
        })
        .collect()
}

/// One column and what is around it.
struct Column<'a> {
    facts: &'a Facts,
    named: Option<&'a Named>,
    profile: Option<&'a Profile>,
    /// How many other columns say that the rows are people.
    people: usize,
}

impl Column<'_> {
    fn verdict(&self, account: Option<Proposal>, lexicon: &Lexicon) -> Verdict {
        let by_name = self.by_name(lexicon);
        let class = Class::of(&self.facts.type_sql);
        if let Some((kind, worth, _)) = by_name.as_ref().filter(|(kind, ..)| !class.can_hold(*kind)) {
            return Verdict::nothing(
                1.0 - worth / 4.0,
                format!(
                    "{}, but a column of type `{}` holds no {}",
                    self.name_words(),
                    self.facts.type_sql,
                    kind.words()
                ),
                None,
            );
        }
        let Some(profile) = self.profile else { return self.without_values(by_name, class) };
        if profile.n == 0 {
            return self.without_one_value(by_name, class);
        }
        let denied = self.named.is_some_and(|named| named.kind == Kind::None);
        let proposals = values::proposals(profile, class, self.people > 0);
        let best = proposals
            .into_iter()
            .chain(account)
            .filter(|proposal| !denied || proposal.certain)
            .max_by(|a, b| a.confidence.total_cmp(&b.confidence));
        match (by_name, best) {
            (Some((kind, worth, why)), Some(seen)) if kind.category() == seen.kind.category() => {
                self.found(kind, 1.0 - (1.0 - worth) * (1.0 - seen.confidence), &[why, self.seen(&seen)])
            }
            (Some((kind, worth, why)), seen) => {
                let refuted = values::refuted(kind, profile);
                match seen.filter(|seen| {
                    seen.confidence >= 0.85 && seen.certain || refuted.is_some() || seen.confidence > worth
                }) {
                    Some(seen) => {
                        self.found(seen.kind, seen.confidence, &[self.seen(&seen), format!("{why} says otherwise")])
                    }
                    None => match refuted {
                        Some(reason) => Verdict::nothing(0.7, format!("{why}, but {reason}"), None),
                        None => self.found(kind, worth, &[why, self.sampled()]),
                    },
                }
            }
            (None, Some(seen)) => self.found(seen.kind, seen.confidence, &[self.seen(&seen)]),
            (None, None) => Verdict::nothing(
                if self.named.is_some() { 0.9 } else { 0.75 },
                format!("nothing personal seen; {}", self.sampled()),
                None,
            ),
        }
    }

    fn found(&self, kind: Kind, confidence: f64, parts: &[String]) -> Verdict {
        let evidence = parts.join("; ");
        if confidence < ENOUGH {
            return Verdict::nothing(1.0 - confidence, evidence, Some(kind));
        }
        Verdict { kind: Some(kind), confidence: rounded(confidence), evidence, suggested: None, paths: Vec::new() }
    }

    /// What the name is worth, with the rest of the table and the comment.
    fn by_name(&self, lexicon: &Lexicon) -> Option<(Kind, f64, String)> {
        let named = self.named.filter(|named| named.kind != Kind::None);
        let Some(named) = named else { return if self.named.is_some() { None } else { self.by_comment(lexicon) } };
        let mut worth = named.level.worth();
        if named.kind == Kind::PersonName && named.level == Level::Unsure {
            let surely = named.of_people && !named.more && named.phrase != "user";
            // `name` alone in a table about no people is a product's or a city's.
            if !surely && self.people == 0 {
                return None;
            }
            worth = if surely || (self.people > 0 && !named.more) { 0.72 } else { 0.38 };
        } else if named.kind == Kind::PersonName && named.level == Level::Likely && named.more && !named.of_people {
            worth = 0.45;
        } else if self.profile.is_none()
            && (named.kind == Kind::UserName || (named.kind == Kind::PersonId && named.level < Level::Sure))
        {
            // By its name alone a key is a key: what it leads to is judged where it stands.
            worth = 0.45;
        }
        Some((named.kind, worth, self.name_words()))
    }

    /// A comment that begins with a phrase says what a cryptic name does not.
    fn by_comment(&self, lexicon: &Lexicon) -> Option<(Kind, f64, String)> {
        let comment = self.facts.comment.as_deref()?;
        let first = comment.split(['.', ',', ';', ':', '(', '\n']).next().unwrap_or_default();
        let named = naming::read(first, lexicon)
            .filter(|named| named.kind != Kind::None && first.split_whitespace().count() <= 6)?;
        let worth = named.level.worth() * 0.85;
        Some((named.kind, worth, format!("comment says `{}`", named.phrase)))
    }

    fn name_words(&self) -> String {
        match self.named {
            Some(named) => format!("name `{}` ({})", self.facts.name, named.kind.words()),
            None => format!("name `{}`", self.facts.name),
        }
    }

    fn seen(&self, seen: &Proposal) -> String {
        let sampled = self.facts.sample.as_ref().map_or(0, |sample| sample.rows);
        let n = self.profile.map_or(0, |profile| profile.n);
        let percent = 100 * seen.hits / n.max(1);
        let of = if n == sampled { format!("{sampled} sampled") } else { format!("{n} values in {sampled} sampled") };
        format!("{percent} % of {of}: {}", seen.what)
    }

    fn sampled(&self) -> String {
        let rows = self.facts.sample.as_ref().map_or(0, |sample| sample.rows);
        match self.profile {
            Some(profile) if profile.n == rows => format!("{rows} sampled"),
            Some(profile) => format!("{} values in {rows} sampled", profile.n),
            None => "no value looked at".to_owned(),
        }
    }

    fn without_values(&self, by_name: Option<(Kind, f64, String)>, class: Class) -> Verdict {
        if let Some((kind, confidence)) =
            class.itself().filter(|_| self.named.is_none_or(|named| named.kind != Kind::None))
        {
            return self.found(kind, confidence, &[format!("type `{}`", self.facts.type_sql)]);
        }
        match by_name {
            // What people write into free text nobody sees from its name.
            Some((Kind::FreeText, worth, why)) => {
                // `description` is mostly a thing's.
                let suggested = (worth >= ENOUGH || self.people > 0).then_some(Kind::FreeText);
                Verdict::nothing(1.0 - worth / 2.0, format!("{why}; no value looked at"), suggested)
            }
            Some((kind, worth, why)) => self.found(kind, worth, &[why, "no value looked at".to_owned()]),
            None => Verdict::nothing(0.6, "nothing personal in the name; no value looked at".to_owned(), None),
        }
    }

    /// The table has rows and this column no value in them.
    fn without_one_value(&self, by_name: Option<(Kind, f64, String)>, class: Class) -> Verdict {
        let rows = self.facts.sample.as_ref().map_or(0, |sample| sample.rows);
        if rows == 0 {
            let mut verdict = self.without_values(by_name, class);
            verdict.evidence = verdict.evidence.replace("no value looked at", "the table has no rows");
            return verdict;
        }
        let suggested = by_name.as_ref().map(|(kind, ..)| *kind);
        let why = by_name.map(|(.., why)| format!("{why}; ")).unwrap_or_default();
        Verdict::nothing(0.6, format!("{why}no value in {rows} sampled"), suggested)
    }
}

fn rounded(confidence: f64) -> f64 {
    (confidence.min(0.99) * 100.0).round() / 100.0
}

/// Types, as far as they say what a column cannot hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    Text,
    Integer,
    Number,
    Bool,
    Date,
    Moment,
    Inet,
    Mac,
    Uuid,
    Bytes,
    Document,
    Other,
}

impl Class {
    pub(super) fn of(type_sql: &str) -> Self {
        let lower = type_sql.to_ascii_lowercase();
        let base = lower.trim_end_matches("[]").split('(').next().unwrap_or_default().trim();
        match base {
            "" | "text" | "character varying" | "varchar" | "character" | "char" | "bpchar" | "name" | "citext" => {
                Self::Text
            }
            "smallint" | "integer" | "bigint" | "int2" | "int4" | "int8" | "int" => Self::Integer,
            "numeric" | "decimal" | "real" | "double precision" | "float4" | "float8" | "money" => Self::Number,
            "boolean" | "bool" => Self::Bool,
            "date" => Self::Date,
            "timestamp"
            | "timestamptz"
            | "timestamp without time zone"
            | "timestamp with time zone"
            | "time"
            | "time without time zone"
            | "interval" => Self::Moment,
            "inet" | "cidr" => Self::Inet,
            "macaddr" | "macaddr8" => Self::Mac,
            "uuid" => Self::Uuid,
            "bytea" | "oid" => Self::Bytes,
            "json" | "jsonb" | "xml" | "hstore" => Self::Document,
            _ if base.ends_with(".citext") => Self::Text,
            _ => Self::Other,
        }
    }

    /// A kind that the type alone means.
    fn itself(self) -> Option<(Kind, f64)> {
        match self {
            Self::Inet => Some((Kind::Network, 0.8)),
            Self::Mac => Some((Kind::Device, 0.8)),
            Self::Text
            | Self::Integer
            | Self::Number
            | Self::Bool
            | Self::Date
            | Self::Moment
            | Self::Uuid
            | Self::Bytes
            | Self::Document
            | Self::Other => None,
        }
    }

    /// Whether values of the type can be of that kind.
    fn can_hold(self, kind: Kind) -> bool {
        match self {
            Self::Text | Self::Other | Self::Document => true,
            Self::Bool => kind.is_special() || kind == Kind::Family,
            Self::Date => matches!(kind, Kind::Birth | Kind::Health | Kind::Crime),
            Self::Moment => matches!(kind, Kind::Birth),
            Self::Integer => !matches!(
                kind,
                Kind::PersonName
                    | Kind::Email
                    | Kind::Address
                    | Kind::FreeText
                    | Kind::Network
                    | Kind::Location
                    | Kind::Photo
                    | Kind::Social
                    | Kind::UserName
                    | Kind::Credential
                    | Kind::Document
                    | Kind::Language
                    | Kind::Employment
            ),
            Self::Number => matches!(
                kind,
                Kind::NationalId
                    | Kind::TaxNumber
                    | Kind::Phone
                    | Kind::Location
                    | Kind::Birth
                    | Kind::Financial
                    | Kind::Health
                    | Kind::PersonId
                    | Kind::Area
                    | Kind::Family
                    | Kind::Gender
                    | Kind::Race
            ),
            Self::Inet => kind == Kind::Network,
            Self::Mac => kind == Kind::Device,
            Self::Uuid => matches!(kind, Kind::PersonId | Kind::Credential | Kind::Device),
            Self::Bytes => {
                matches!(kind, Kind::Photo | Kind::Biometric | Kind::Credential | Kind::Health | Kind::NationalId)
            }
        }
    }
}
