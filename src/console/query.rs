//! What is looked for, as an address: so that it can be kept, sent and gone back to.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;

use crate::audit::{Filter, SubjectKey};
use crate::config::Zone;

/// Fields of the search form, as they were typed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Query {
    pub(super) subject: String,
    pub(super) login: String,
    pub(super) actor: String,
    pub(super) table: String,
    pub(super) column: String,
    pub(super) purpose: String,
    pub(super) verdict: String,
    pub(super) since: String,
    pub(super) until: String,
    /// The page begins behind these records, one of each log.
    pub(super) before: Before,
}

/// Behind which record of each log a page begins, by the log's number; of a log that is not here, at its end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Before(pub(super) BTreeMap<u64, u64>);

/// `17`, and for other logs `17,40233:5`.
impl fmt::Display for Before {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let one = |(log, seq): (&u64, &u64)| if *log == 0 { seq.to_string() } else { format!("{log}:{seq}") };
        f.write_str(&self.0.iter().map(one).collect::<Vec<_>>().join(","))
    }
}

impl FromStr for Before {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let one = |part: &str| {
            let (log, seq) = part.split_once(':').unwrap_or(("0", part));
            Ok((log.parse()?, seq.parse()?))
        };
        text.split(',').map(one).collect::<Result<_, _>>().map(Self)
    }
}

/// The names of the fields, in the address and in the form.
pub(super) const FIELDS: [&str; 9] =
    ["subject", "login", "actor", "table", "column", "purpose", "verdict", "since", "until"];

impl Query {
    pub(super) fn of(fields: &[(String, String)]) -> Self {
        let field = |name: &str| {
            let value = fields.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value.trim());
            value.chars().take(300).collect::<String>()
        };
        Self {
            subject: field("subject"),
            login: field("login"),
            actor: field("actor"),
            table: field("table"),
            column: field("column"),
            purpose: field("purpose"),
            verdict: field("verdict"),
            since: field("since"),
            until: field("until"),
            before: field("before").parse().unwrap_or_default(),
        }
    }

    pub(super) fn get(&self, name: &str) -> &str {
        match name {
            "subject" => &self.subject,
            "login" => &self.login,
            "actor" => &self.actor,
            "table" => &self.table,
            "column" => &self.column,
            "purpose" => &self.purpose,
            "verdict" => &self.verdict,
            "since" => &self.since,
            "until" => &self.until,
            _ => "",
        }
    }

    /// Whether anything is asked for at all.
    pub(super) fn is_empty(&self) -> bool {
        FIELDS.iter().all(|name| self.get(name).is_empty())
    }

    /// The address of the page behind this record.
    pub(super) fn address(&self, before: Option<&Before>) -> String {
        let fields = FIELDS.iter().filter(|name| !self.get(name).is_empty());
        let mut parts: Vec<String> = fields.map(|name| format!("{name}={}", encoded(self.get(name)))).collect();
        parts.extend(before.map(|before| format!("before={before}")));
        format!("/find?{}", parts.join("&"))
    }

    /// What stands in the log of it: the person as the log names them, or not at all.
    pub(super) fn told(&self, key: Option<&SubjectKey>) -> String {
        let of = |name: &&str| {
            let value = self.get(name);
            let told = match (*name, key) {
                _ if value.is_empty() => return None,
                ("subject", _) if value.starts_with("ps_") => value.to_owned(),
                ("subject", Some(key)) => key.pseudonym(value),
                ("subject", None) => "(a person)".to_owned(),
                (_, _) => value.to_owned(),
            };
            Some(format!("{name} {told}"))
        };
        let mut parts: Vec<String> = FIELDS.iter().filter_map(of).collect();
        parts.extend(Some(&self.before).filter(|before| !before.0.is_empty()).map(|before| format!("before {before}")));
        parts.join(", ")
    }

    /// As the log is searched.
    ///
    /// # Errors
    /// A time that is none, in words.
    pub(super) fn filter(&self, key: Option<&SubjectKey>, zone: &Zone) -> Result<Filter, String> {
        let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        let forms = |text: &str, pseudonym: &dyn Fn(&SubjectKey) -> String| -> Vec<String> {
            let keyed = key.map(pseudonym).filter(|_| !text.is_empty());
            some(text).into_iter().chain(keyed).collect()
        };
        let (since, until) = (moment(&self.since, zone, false)?, moment(&self.until, zone, true)?);
        let subject = forms(&self.subject, &|key| key.pseudonym(&self.subject));
        // Who was seen stands in the record of what was returned, and what was asked in that of the statement.
        let event = if subject.is_empty() { "access" } else { "disclosure" };
        Ok(Filter {
            login: some(&self.login),
            role: None,
            purpose: some(&self.purpose),
            actor: forms(&self.actor, &|key| key.actor(&self.actor)),
            relation: some(&self.table),
            column: some(&self.column),
            verdict: some(&self.verdict).filter(|_| subject.is_empty()),
            event: Some(event.to_owned()),
            subject,
            since,
            until,
            ..Filter::default()
        })
    }
}

/// `2026-11-22`, `2026-11-22T10:00:00Z`, `7d`.
fn moment(text: &str, zone: &Zone, is_end: bool) -> Result<Option<Timestamp>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    let when: crate::config::When = text.parse()?;
    if is_end { when.over(zone).map(Some) } else { when.first(zone).map(Some) }
}

/// A text within an address.
pub(super) fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
            byte => format!("%{byte:02X}"),
        })
        .collect()
}
