//! Who used a role that demands training, and who of them has passed a lesson that still counts.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;

use super::shortened;
use crate::audit::record::Entry;
use crate::policy::{Period, PolicySet};

/// So many people are told apart, of each role and among those who passed lessons.
const MOST: usize = 10_000;
/// So many of those without training are named.
const NAMED: usize = 100;

/// Training of one role's people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Trained {
    /// The role.
    pub role: String,
    /// How long a lesson counts, as the policy says it.
    pub every: String,
    /// People who used it: whom a record names as its actor, else its login.
    pub people: u64,
    /// Of these, who passed a lesson that counts at the report's end.
    pub trained: u64,
    /// The others, as far as they are named.
    pub untrained: Vec<String>,
    /// There were more people than are told apart.
    pub more: bool,
}

#[derive(Debug)]
pub(super) struct Collector {
    /// By role.
    demanded: BTreeMap<String, (Period, BTreeSet<String>)>,
    /// The newest lesson of each learner.
    lessons: BTreeMap<String, Timestamp>,
    more: bool,
}

impl Collector {
    /// `None` where no role demands training.
    pub(super) fn new(policies: &PolicySet) -> Option<Self> {
        let demanded: BTreeMap<_, _> =
            policies.roles().filter_map(|role| Some((role.name.clone(), (role.training?, BTreeSet::new())))).collect();
        (!demanded.is_empty()).then(|| Self { demanded, lessons: BTreeMap::new(), more: false })
    }

    /// A statement of the period.
    pub(super) fn access(&mut self, entry: &Entry) {
        let Some((_, people)) = entry.text("role").and_then(|role| self.demanded.get_mut(role)) else { return };
        let Some(who) = entry.text("actor").or_else(|| entry.text("login")) else { return };
        if people.len() < MOST {
            people.insert(shortened(who));
        } else if !people.contains(&shortened(who)) {
            self.more = true;
        }
    }

    /// A step of a request, which may be a lesson; of all the time before the report's end.
    pub(super) fn step(&mut self, entry: &Entry, time: Timestamp) {
        let (Some("lesson"), Some(learner)) = (entry.text("step"), entry.text("by")) else { return };
        let learner = shortened(learner);
        if self.lessons.len() < MOST || self.lessons.contains_key(&learner) {
            let newest = self.lessons.entry(learner).or_insert(time);
            *newest = time.max(*newest);
        } else {
            self.more = true;
        }
    }

    pub(super) fn finish(self, end: Timestamp, zone: &TimeZone) -> Vec<Trained> {
        let day = |time: Timestamp| time.to_zoned_datetime(zone.clone()).date();
        let Self { demanded, lessons, more } = self;
        demanded
            .into_iter()
            .map(|(role, (training, people))| {
                let counts =
                    |who: &&String| lessons.get(*who).is_some_and(|passed| training.after(day(*passed)) >= day(end));
                let (trained, untrained): (Vec<&String>, Vec<&String>) = people.iter().partition(counts);
                Trained {
                    role,
                    every: training.to_string(),
                    people: people.len() as u64,
                    trained: trained.len() as u64,
                    untrained: untrained.into_iter().take(NAMED).cloned().collect(),
                    more,
                }
            })
            .collect()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn people_are_counted_by_actor_or_login_and_a_lesson_counts_for_its_time() {
        let policies = PolicySet::from_sources(&[(
            "p.toml".into(),
            "version = 1\n[purposes.p]\nbasis = \"contract\"\n[roles.r]\nlogins = [\"app\"]\npurposes = [\"p\"]\ntraining = \"12 months\"\n\
             [roles.free]\nlogins = [\"other\"]\npurposes = [\"p\"]\n"
                .into(),
        )])
        .unwrap();
        let mut collector = Collector::new(&policies).unwrap();
        let entry = |text: &str| Entry::parse(text.as_bytes()).unwrap();
        let lesson = |collector: &mut Collector, by: &str, at: &str| {
            let line = format!(r#"{{"event":"request","step":"lesson","by":"{by}"}}"#);
            collector.step(&entry(&line), at.parse().unwrap());
        };
        for who in ["ann", "ben", "cas"] {
            collector.access(&entry(&format!(r#"{{"event":"access","role":"r","login":"app","actor":"{who}"}}"#)));
        }
        collector.access(&entry(r#"{"event":"access","role":"r","login":"app"}"#));
        collector.access(&entry(r#"{"event":"access","role":"free","login":"other"}"#));
        lesson(&mut collector, "ann", "2026-01-10T08:00:00Z");
        lesson(&mut collector, "ben", "2025-01-10T08:00:00Z");
        lesson(&mut collector, "ben", "2024-01-10T08:00:00Z");
        collector.step(&entry(r#"{"event":"request","step":"export","by":"cas"}"#), Timestamp::UNIX_EPOCH);
        let found = collector.finish("2026-11-30T08:00:00Z".parse().unwrap(), &TimeZone::UTC);
        let [role] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!((role.role.as_str(), role.people, role.trained), ("r", 4, 1));
        assert_eq!(role.untrained, ["app", "ben", "cas"]);
    }
}
