//! What was done with people who are not known one by one: counts over them, and statements that nobody looked into.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::audit::record::entry::{Entry, objects};

/// On whose behalf and why something was seen.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Whom {
    /// `internal`, or the third party's name.
    pub recipient: String,
    /// The purpose.
    pub purpose: String,
    /// The role.
    pub role: String,
}

impl Whom {
    pub(in crate::audit) fn of(entry: &Entry) -> Self {
        let text = |field| entry.text(field).unwrap_or_default().to_owned();
        Self { recipient: text("recipient"), purpose: text("purpose"), role: text("role") }
    }
}

/// Something that was counted, grouped or tested for, by people who are not known one by one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Group {
    /// On whose behalf and why.
    #[serde(flatten)]
    pub whom: Whom,
    /// The relation.
    pub relation: String,
    /// The condition, without literals.
    pub filter: Option<String>,
}

/// How often, and when.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Times {
    /// How many statements.
    pub statements: usize,
    /// The first.
    pub first: String,
    /// The last.
    pub last: String,
}

impl Times {
    fn add(&mut self, time: &str) {
        self.statements = self.statements.saturating_add(1);
        between(&mut self.first, &mut self.last, time);
    }

    fn join(&mut self, other: &Self) {
        self.statements = self.statements.saturating_add(other.statements);
        between(&mut self.first, &mut self.last, &other.first);
        between(&mut self.first, &mut self.last, &other.last);
    }
}

/// Records are in order of time within one log, but clocks are set back.
pub(in crate::audit) fn between(first: &mut String, last: &mut String, time: &str) {
    if first.is_empty() || time < first.as_str() {
        time.clone_into(first);
    }
    if time > last.as_str() {
        time.clone_into(last);
    }
}

/// What a part of the log says of people who are not known one by one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// What was counted, grouped or tested for.
    pub groups: BTreeMap<Group, Times>,
    /// Statements by roles that are relayed as they are, by login: what they saw is not known.
    pub unrestricted: BTreeMap<String, Times>,
}

impl Tally {
    /// Adds what a record says of relations that `takes` takes.
    pub(in crate::audit) fn add(&mut self, entry: &Entry, time: &str, takes: impl Fn(&str) -> bool) {
        match entry.event() {
            "access" if entry.text("unrestricted").is_some() => {
                self.unrestricted.entry(entry.text("login").unwrap_or_default().to_owned()).or_default().add(time);
            }
            "disclosure" => {
                for relation in objects(entry.field("aggregate")) {
                    let name = relation.get("name").and_then(Value::as_str).unwrap_or_default();
                    if takes(name) {
                        let filter = relation.get("filter").and_then(Value::as_str).map(str::to_owned);
                        let group = Group { whom: Whom::of(entry), relation: name.to_owned(), filter };
                        self.groups.entry(group).or_default().add(time);
                    }
                }
            }
            _ => {}
        }
    }

    /// Adds what another part of the log says of relations that `takes` takes.
    pub(in crate::audit) fn join(&mut self, other: Self, takes: impl Fn(&str) -> bool) {
        for (group, times) in other.groups.into_iter().filter(|(group, _)| takes(&group.relation)) {
            self.groups.entry(group).or_default().join(&times);
        }
        for (login, times) in other.unrestricted {
            self.unrestricted.entry(login).or_default().join(&times);
        }
    }

    /// The same for each that holds the same.
    pub(in crate::audit) fn to_json(&self) -> Option<Vec<u8>> {
        let groups: Vec<(&Group, &Times)> = self.groups.iter().collect();
        serde_json::to_vec(&(groups, &self.unrestricted)).ok()
    }

    pub(in crate::audit) fn from_json(json: &[u8]) -> Option<Self> {
        let (groups, unrestricted): (Vec<(Group, Times)>, _) = serde_json::from_slice(json).ok()?;
        Some(Self { groups: groups.into_iter().collect(), unrestricted })
    }
}
