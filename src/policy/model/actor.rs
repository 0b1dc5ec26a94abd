//! The application's end user behind a login that many share.

use std::collections::BTreeSet;
use std::str::FromStr;

use super::{PolicySet, Rule};

/// What a role says of the application's end user.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Actors {
    /// Whether there must be one.
    pub rule: ActorRule,
    /// How the application's name tells who it is.
    pub from: Option<ActorFrom>,
}

/// Whether a role's statements over governed tables must say for whom they run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ActorRule {
    /// `actor = "free"`: they may.
    #[default]
    Free,
    /// `actor = "required"`: they must, in any way.
    Required,
    /// `actor = "each"`: they must, each in its own comment or its transaction by SET LOCAL. What the session or the connection says does
    /// not count: a pooler may have given it to another client since.
    Each,
}

impl ActorRule {
    /// As a policy writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Free => "free",
            Self::Required => "required",
            Self::Each => "each",
        }
    }

    pub(in crate::policy) fn parse(text: &str) -> Option<Self> {
        [Self::Free, Self::Required, Self::Each].into_iter().find(|rule| rule.name() == text)
    }
}

/// `crm/{actor}/{ticket}`: how `application_name` tells actor and ticket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActorFrom {
    before: String,
    /// Between actor and ticket; `None` where the name has no ticket.
    between: Option<String>,
    after: String,
}

const ACTOR: &str = "{actor}";
const TICKET: &str = "{ticket}";

impl ActorFrom {
    /// What a name tells; nothing where it is not of the form, or the actor would be empty.
    pub fn read(&self, application: &str) -> (Option<String>, Option<String>) {
        let inner =
            application.strip_prefix(self.before.as_str()).and_then(|rest| rest.strip_suffix(self.after.as_str()));
        let (actor, ticket) = match (inner, &self.between) {
            (None, _) => return (None, None),
            (Some(actor), None) => (actor, None),
            (Some(inner), Some(between)) => match inner.split_once(between.as_str()) {
                Some((actor, ticket)) => (actor, Some(ticket)),
                None => return (None, None),
            },
        };
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let Some(actor) = some(actor) else { return (None, None) };
        (Some(actor), ticket.and_then(some))
    }
}

/// # Errors
/// What about it is not of the form.
impl FromStr for ActorFrom {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (before, rest) = text.split_once(ACTOR).ok_or("it must hold `{actor}`, as in `crm/{actor}`")?;
        let (between, after) = match rest.split_once(TICKET) {
            Some(("", _)) => return Err("something must stand between `{actor}` and `{ticket}`".to_owned()),
            Some((between, after)) => (Some(between.to_owned()), after),
            None => (None, rest),
        };
        if [before, between.as_deref().unwrap_or(""), after].iter().any(|part| part.contains(['{', '}'])) {
            return Err("it may hold `{actor}` once, and behind it `{ticket}` once".to_owned());
        }
        Ok(Self { before: before.to_owned(), between, after: after.to_owned() })
    }
}

/// A condition of a rule's own over the rows that it opens (`own`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RowCondition {
    /// SQL over the table's columns; `login` and `actor` stand for who asks.
    pub text: String,
    /// The names in it, columns among them.
    pub names: BTreeSet<String>,
}

impl RowCondition {
    /// Whether it depends on the actor.
    pub(in crate::policy) fn names_actor(&self) -> bool {
        names(&self.text, "actor")
    }
}

/// Whether a word stands in a condition outside quotes.
pub(in crate::policy) fn names(text: &str, wanted: &str) -> bool {
    let (mut quote, mut word) = (None, String::new());
    for c in text.chars().chain([' ']) {
        match quote {
            Some(open) if c == open => quote = None,
            Some(_) => {}
            None if c.is_alphanumeric() || c == '_' => word.push(c.to_ascii_lowercase()),
            None => {
                if word == wanted {
                    return true;
                }
                word.clear();
                quote = matches!(c, '\'' | '"').then_some(c);
            }
        }
    }
    false
}

/// How a decision depends on the actor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ActorUse {
    /// Not at all.
    Nothing,
    /// Whether there is one.
    Presence,
    /// Who it is.
    Value,
}

impl PolicySet {
    /// How decisions for a role and purpose depend on the actor: decisions of actors who do not differ by that are one.
    pub fn actor_use(&self, role: &str, purpose: &str) -> ActorUse {
        // Each names the actor, or the policy is not loaded.
        let by_value = |rule: &Rule| rule.own.is_some();
        if self.lineage(purpose).iter().any(|level| self.rules_for(role, &level.name).any(by_value)) {
            return ActorUse::Value;
        }
        match self.roles.get(role).map(|role| role.actor.rule) {
            Some(ActorRule::Required | ActorRule::Each) => ActorUse::Presence,
            Some(ActorRule::Free) | None => ActorUse::Nothing,
        }
    }

    /// Whether a rule opens each actor's own rows for a purpose, and the names in the conditions.
    pub(in crate::policy) fn own_names(&self, purpose: &str) -> Option<BTreeSet<String>> {
        let rules = self.rules.iter().filter(|rule| {
            rule.own.is_some() && self.lineage(purpose).iter().any(|level| rule.purposes.contains(&level.name))
        });
        let names: BTreeSet<String> = rules.flat_map(|rule| &rule.own).flat_map(|own| own.names.clone()).collect();
        (!names.is_empty()).then_some(names)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_an_application_tells_actor_and_ticket() {
        let read = |form: &str, name: &str| form.parse::<ActorFrom>().unwrap().read(name);
        let some = |actor: &str, ticket: Option<&str>| (Some(actor.to_owned()), ticket.map(str::to_owned));
        assert_eq!(read("crm/{actor}", "crm/u42"), some("u42", None));
        assert_eq!(read("{actor}", "u42"), some("u42", None));
        assert_eq!(read("crm:{actor} ({ticket})", "crm:u42 (OPS-12)"), some("u42", Some("OPS-12")));
        assert_eq!(read("crm/{actor}/{ticket}", "crm/u42/"), some("u42", None));
        for name in ["crm", "crm/", "psql", "", "xcrm/u42"] {
            assert_eq!(read("crm/{actor}", name), (None, None), "{name}");
        }
        assert_eq!(read("crm/{actor}/{ticket}", "crm/u42"), (None, None));
        for form in ["", "crm", "{actor}{ticket}", "{ticket}/{actor}", "{actor}/{actor}", "{actor}/{who}"] {
            assert!(form.parse::<ActorFrom>().is_err(), "{form}");
        }
    }

    #[test]
    fn a_condition_names_the_actor_outside_quotes_only() {
        let condition = |text: &str| RowCondition { text: text.to_owned(), names: BTreeSet::new() };
        for (text, names) in [
            ("account_manager = actor", true),
            ("ACTOR=manager_id", true),
            ("rep = login", false),
            ("a = actor OR b = actor", true),
            ("\"actor\" = 'actor'", false),
            ("factor = actors", false),
            ("region = 'x'", false),
            ("lower(a) = actor", true),
        ] {
            assert_eq!(condition(text).names_actor(), names, "{text}");
        }
    }
}
