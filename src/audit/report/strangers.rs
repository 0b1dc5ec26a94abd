//! Who looks at people whom others look after: behind a login that many share, each person is seen by few of its actors again and again.
//!
//! A look counts where the actor had not seen the person on an earlier day, and another actor of the same login had. How many such people an
//! actor sees in [`STRANGER_DAYS`] is held against the other actors of the login in the same days: where everybody serves everybody,
//! all see many, and nobody stands out.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::At;
use super::clock::Moment;
use super::unusual::{Finding, HISTORY_DAYS, STRANGER_DAYS, What};
use crate::audit::record::Entry;

/// So many others there must be to compare with.
const OTHERS: usize = 5;
/// So few are never unusual.
const FLOOR: u64 = 5;
/// So many pairs of an actor and a person are remembered.
const MOST: usize = 2_000_000;

/// Whom an actor saw.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Actor {
    first_day: i64,
    /// By person: the last day on which they were seen.
    #[serde(with = "super::pairs")]
    seen: HashMap<u64, i64>,
    /// By day: people of others, each on the first day that they were seen.
    strangers: BTreeMap<i64, HashSet<u64>>,
    /// The last day on which it was told.
    told: Option<i64>,
}

impl Actor {
    fn recent(&self, day: i64) -> u64 {
        let days = self.strangers.range(day - STRANGER_DAYS + 1..=day);
        days.map(|(_, people)| people.len() as u64).sum()
    }
}

/// The first two actors who saw somebody, each with the day.
#[derive(Debug, Default, Clone, Copy, Serialize, Deserialize)]
struct Seen {
    first: Option<(u32, i64)>,
    other: Option<(u32, i64)>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Login {
    first_day: i64,
    #[serde(skip)]
    names: HashMap<Arc<str>, u32>,
    #[serde(with = "actors")]
    actors: Vec<(Arc<str>, Actor)>,
    #[serde(with = "super::pairs")]
    people: HashMap<u64, Seen>,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stranger {
    pub(super) login: String,
    pub(super) actor: String,
    pub(super) at: At,
    pub(super) what: What,
}

impl Stranger {
    pub(super) fn finding(self, day: String) -> Finding {
        Finding { at: self.at, day, login: self.login, actor: Some(self.actor), what: self.what }
    }
}

#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Collector {
    #[serde(with = "logins")]
    logins: HashMap<Arc<str>, Login>,
    pairs: usize,
}

/// Actors of a login, as they are kept.
mod actors {
    use std::sync::Arc;

    use serde::{Deserialize, Deserializer, Serializer};

    use super::Actor;

    pub(super) fn serialize<S: Serializer>(all: &[(Arc<str>, Actor)], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(all.iter().map(|(name, actor)| (&**name, actor)))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<(Arc<str>, Actor)>, D::Error> {
        let all = Vec::<(String, Actor)>::deserialize(deserializer)?;
        Ok(all.into_iter().map(|(name, actor)| (name.into(), actor)).collect())
    }
}

/// Logins, as they are kept.
mod logins {
    use std::collections::HashMap;
    use std::sync::Arc;

    use serde::{Deserialize, Deserializer, Serializer};

    use super::Login;

    pub(super) fn serialize<S: Serializer>(all: &HashMap<Arc<str>, Login>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(all.iter().map(|(name, login)| (&**name, login)))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<HashMap<Arc<str>, Login>, D::Error> {
        let all = Vec::<(String, Login)>::deserialize(deserializer)?;
        Ok(all.into_iter().map(|(name, login)| (name.into(), login)).collect())
    }
}

/// One person has rows in several tables: what names them is the same.
pub(super) fn person(subject: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    subject.hash(&mut hasher);
    hasher.finish()
}

impl Collector {
    /// One record; what it shows of whoever it is about.
    pub(super) fn disclosure(&mut self, entry: &Entry, moment: Moment, within: bool) -> Option<Stranger> {
        let (login, actor) = (entry.text("login")?, entry.text("actor")?);
        let day = moment.day();
        if !self.logins.contains_key(login) {
            self.logins.insert(login.into(), Login { first_day: day, ..Login::default() });
        }
        let known = self.logins.get_mut(login)?;
        let number = known.number(actor, day);
        for subject in entry.subjects() {
            known.see(person(subject), number, day, &mut self.pairs);
        }
        let found = known.judge(number, day).filter(|_| within)?;
        Some(Stranger { login: super::shortened(login), actor: super::shortened(actor), at: moment.at, what: found })
    }
}

impl Collector {
    /// What was seen before this day is forgotten, where it was not seen again since.
    pub(super) fn forget(&mut self, day: i64) {
        for login in self.logins.values_mut() {
            login.forget(day);
        }
        self.logins.retain(|_, login| login.actors.iter().any(|(_, actor)| !actor.seen.is_empty()));
        let actors = self.logins.values().flat_map(|login| &login.actors);
        self.pairs = actors.map(|(_, actor)| actor.seen.len()).sum();
    }

    /// Once it was read back.
    pub(super) fn resumed(&mut self) {
        for login in self.logins.values_mut() {
            let names = login.actors.iter().zip(0_u32..);
            login.names = names.map(|((name, _), number)| (Arc::clone(name), number)).collect();
        }
    }
}

impl Login {
    fn forget(&mut self, day: i64) {
        self.first_day = self.first_day.max(day);
        for (_, actor) in &mut self.actors {
            actor.first_day = actor.first_day.max(day);
            actor.seen.retain(|_, last| *last >= day);
            actor.strangers = actor.strangers.split_off(&day);
        }
        let actors = &self.actors;
        self.people.retain(|person, seen| {
            let still = |(number, _): &(u32, i64)| {
                let actor = usize::try_from(*number).ok().and_then(|number| actors.get(number));
                actor.is_some_and(|(_, actor)| actor.seen.contains_key(person))
            };
            let (first, other) = (seen.first.filter(still), seen.other.filter(still));
            (seen.first, seen.other) = (first.or(other), other.filter(|_| first.is_some()));
            seen.first.is_some()
        });
    }

    fn number(&mut self, actor: &str, day: i64) -> u32 {
        if let Some(number) = self.names.get(actor) {
            return *number;
        }
        let number = u32::try_from(self.actors.len()).unwrap_or(u32::MAX);
        let name: Arc<str> = actor.into();
        self.names.insert(Arc::clone(&name), number);
        self.actors.push((name, Actor { first_day: day, ..Actor::default() }));
        number
    }

    fn see(&mut self, person: u64, number: u32, day: i64, pairs: &mut usize) {
        let index = usize::try_from(number).unwrap_or(usize::MAX);
        let Some((_, actor)) = self.actors.get_mut(index) else { return };
        if let Some(last) = actor.seen.get_mut(&person) {
            *last = day.max(*last);
            return;
        }
        let before = self.people.get(&person).copied().unwrap_or_default();
        let by_others = [before.first, before.other];
        let theirs = by_others.into_iter().flatten().any(|(other, since)| other != number && since < day);
        if theirs {
            actor.strangers.entry(day).or_default().insert(person);
            while actor.strangers.len() > usize::try_from(STRANGER_DAYS).unwrap_or(usize::MAX) {
                actor.strangers.pop_first();
            }
        }
        if *pairs >= MOST {
            return;
        }
        *pairs += 1;
        actor.seen.insert(person, day);
        let seen = self.people.entry(person).or_default();
        match (seen.first, seen.other) {
            (None, _) => seen.first = Some((number, day)),
            (Some((first, _)), None) if first != number => seen.other = Some((number, day)),
            (_, _) => {}
        }
    }

    fn judge(&mut self, number: u32, day: i64) -> Option<What> {
        let index = usize::try_from(number).ok()?;
        let (_, own) = self.actors.get(index)?;
        // Who is new takes over what others had, and so does everybody in a log that is new.
        if day - self.first_day < HISTORY_DAYS
            || day - own.first_day < HISTORY_DAYS
            || own.told >= Some(day - STRANGER_DAYS + 1)
        {
            return None;
        }
        let people = own.recent(day);
        if people <= FLOOR {
            return None;
        }
        let others = self
            .actors
            .iter()
            .enumerate()
            .filter(|(other, (_, actor))| *other != index && day - actor.first_day >= HISTORY_DAYS);
        let mut others: Vec<u64> = others.map(|(_, (_, actor))| actor.recent(day)).collect();
        if others.len() < OTHERS {
            return None;
        }
        others.sort_unstable();
        let middle = |values: &[u64]| values.get(values.len().saturating_sub(1) / 2).copied().unwrap_or_default();
        let median = middle(&others);
        let mut spread: Vec<u64> = others.iter().map(|other| other.abs_diff(median)).collect();
        spread.sort_unstable();
        let limit = median.saturating_add(middle(&spread).saturating_mul(5).max(median)).max(FLOOR);
        if people <= limit {
            return None;
        }
        let (_, own) = self.actors.get_mut(index)?;
        own.told = Some(day);
        Some(What::Strangers { people, limit, median, others: others.len() })
    }
}
