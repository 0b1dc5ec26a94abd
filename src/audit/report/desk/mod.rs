//! What a reviewer works with, kept up to date record by record: findings that nobody judged yet, what was judged, policies as they
//! changed, what is used of what is open, exceptions, campaigns, and counts for pictures.
//!
//! Everything is bounded, and comes from the log alone: what is kept of it beside the log can be thrown away at any time. What is destroyed
//! of the log by age is forgotten here as well.

pub(super) mod campaigns;
pub(super) mod inbox;
mod kept;
mod policies;
mod proxies;
mod uses;

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::clock::Clock;
use super::facts::Facts;
use super::{At, Finding, Past, of_log};
use crate::audit::record::Entry;
use crate::audit::record::chain::{Hash, Link};
pub use campaigns::{Campaign, CampaignLine};
pub use inbox::Review;
pub use policies::{Exception, Stretch};
pub use proxies::Running;
pub use uses::Use;

use campaigns::Campaigns;
use inbox::Inbox;
use policies::Policies;
use proxies::Proxies;
use uses::Uses;

/// So many days have a checkpoint of their own in what an auditor is given.
const MOST_CHECKPOINTS: usize = 800;

/// The desk.
#[derive(Debug, Serialize, Deserialize)]
pub struct Desk {
    #[serde(skip, default = "Clock::unset")]
    clock: Clock,
    inbox: Inbox,
    policies: Policies,
    uses: Uses,
    campaigns: Campaigns,
    proxies: Proxies,
    /// The last checkpoint of each day, and the last of all.
    #[serde(serialize_with = "kept::lines", deserialize_with = "kept::lines_again")]
    checkpoints: BTreeMap<String, Entry>,
    /// By log: the last record that it has.
    #[serde(skip)]
    ends: BTreeMap<u64, Link>,
    first: Option<At>,
    last: Option<At>,
    records: u64,
}

impl Desk {
    /// With days and hours of this zone.
    pub fn new(zone: TimeZone) -> Self {
        Self {
            clock: Clock::new(zone.clone()),
            inbox: Inbox::new(zone),
            policies: Policies::default(),
            uses: Uses::default(),
            campaigns: Campaigns::default(),
            proxies: Proxies::default(),
            checkpoints: BTreeMap::new(),
            ends: BTreeMap::new(),
            first: None,
            last: None,
            records: 0,
        }
    }

    /// Other proxies know the log with number 0 under this one: what they judged of its findings is judged here too.
    #[must_use]
    pub fn known_as(mut self, number: u64) -> Self {
        self.inbox.known_as(number);
        self
    }

    /// The next record; of another log than the proxy's own, [with its number](Entry::of_log).
    pub fn add(&mut self, entry: &Entry) {
        self.records += 1;
        if let Some(seq) = entry.seq() {
            let (log, seq) = of_log(seq);
            let hash = entry.text("hash").and_then(Hash::from_hex).unwrap_or(Hash::GENESIS);
            self.ends.insert(log, Link { seq, hash });
        }
        self.inbox.add(entry);
        let (Some(time), Some(seq)) = (entry.time(), entry.seq()) else { return };
        let at = At { time, seq };
        self.first = self.first.or(Some(at));
        self.last = Some(at);
        let is_own = of_log(seq).0 == 0;
        match entry.event() {
            "policy" | "start" | "stop" if !is_own => self.proxies.step(entry, at),
            "campaign" | "checkpoint" if !is_own => {}
            "access" => {
                let none = BTreeMap::new();
                let facts = Facts::of(entry, &none);
                self.uses.access(&facts, self.clock.moment(at));
            }
            "policy" => {
                self.proxies.step(entry, at);
                self.policies.policy(entry, at);
            }
            "start" => {
                self.proxies.step(entry, at);
                self.policies.start(entry, at);
            }
            "stop" => self.proxies.step(entry, at),
            "grant" => self.policies.grant(entry, at),
            "campaign" => self.campaigns.step(entry, at),
            "destroyed" => {
                if let Some(past) = Past::of(entry, &self.clock) {
                    self.forget(&past);
                }
            }
            "checkpoint" => {
                self.checkpoints.insert(self.clock.day_of(time), entry.clone());
                while self.checkpoints.len() > MOST_CHECKPOINTS {
                    self.checkpoints.pop_first();
                }
            }
            _ => {}
        }
    }

    /// Records were destroyed by age: what is told of them goes with them.
    fn forget(&mut self, past: &Past) {
        self.inbox.forget(past);
        self.policies.forget(past);
        self.uses.forget(past);
        self.campaigns.forget(past);
        self.checkpoints.retain(|_, entry| !entry.seq().is_some_and(|seq| past.has_number(seq)));
        self.first = self.first.map(|first| if past.has(first) { past.at } else { first });
    }

    /// What nobody judged yet, and how much of it was too much to be kept. What the day at hand comes to is counted up to now.
    pub fn open(&self) -> (Vec<Finding>, u64) {
        self.inbox.open()
    }

    /// Whether one of these was judged or is not known.
    pub fn is_open(&self, id: &str) -> bool {
        self.inbox.is_open(id)
    }

    /// What was judged, the newest last.
    pub fn reviews(&self) -> impl DoubleEndedIterator<Item = &Review> {
        self.inbox.reviews()
    }

    /// Policies as they were in force, the newest last: starts under the same ones are one.
    pub fn stretches(&self) -> &[Stretch] {
        self.policies.stretches()
    }

    /// Exceptions that are in force at this moment, as far as the log says.
    pub fn exceptions(&self, now: jiff::Timestamp) -> Vec<&Exception> {
        self.policies.exceptions(now)
    }

    /// Proxies that wrote this log: version, and when each began last.
    pub fn starts(&self) -> u64 {
        self.policies.starts()
    }

    /// How often a role used a category for a purpose, and when last.
    pub fn used(&self, role: &str, purpose: &str, category: &str) -> Option<Use> {
        self.uses.used(role, purpose, category)
    }

    /// When a role was last used for a purpose.
    pub fn used_for(&self, role: &str, purpose: &str) -> Option<Use> {
        self.uses.used_for(role, purpose)
    }

    /// Statements by day and purpose: the days from this one on, the most frequent purposes first.
    pub fn by_purpose(&self, days: usize) -> (Vec<String>, Vec<(String, Vec<u64>)>) {
        self.uses.by_purpose(days, self.last.map(|last| self.clock.moment(last).day()))
    }

    /// Statements by weekday, Monday first, and hour, of so many days.
    pub fn by_hour(&self, days: usize) -> [[u64; 24]; 7] {
        self.uses.by_hour(days, self.last.map(|last| self.clock.moment(last).day()))
    }

    /// By the number of its log: what a proxy says that it runs.
    pub fn proxies(&self) -> &BTreeMap<u64, Running> {
        self.proxies.all()
    }

    /// Campaigns, the newest last.
    pub fn campaigns(&self) -> &[Campaign] {
        self.campaigns.all()
    }

    /// The last checkpoint of each day.
    pub fn checkpoints(&self) -> impl Iterator<Item = &Entry> {
        self.checkpoints.values()
    }

    /// The first record and the last that have a time; how many there are.
    pub fn reach(&self) -> (Option<At>, Option<At>, u64) {
        (self.first, self.last, self.records)
    }
}

/// A text of a record, no longer than is worth repeating.
fn text(entry: &Entry, field: &str) -> String {
    super::shortened(entry.text(field).unwrap_or_default())
}

#[cfg(test)]
mod tests;
