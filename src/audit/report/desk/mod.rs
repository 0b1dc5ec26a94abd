//! What a reviewer works with, kept up to date record by record: findings that nobody judged yet, what was judged, policies as they
//! changed, what is used of what is open, exceptions, campaigns, and counts for pictures.
//!
//! Everything is bounded, and is the same whenever the log is read again: nothing but the log is asked.

pub(super) mod campaigns;
pub(super) mod inbox;
mod policies;
mod uses;

use std::collections::BTreeMap;

use jiff::tz::TimeZone;

use super::clock::Clock;
use super::facts::Facts;
use super::{At, Finding};
use crate::audit::record::Entry;
pub use campaigns::{Campaign, CampaignLine};
pub use inbox::Review;
pub use policies::{Exception, Stretch};
pub use uses::Use;

use campaigns::Campaigns;
use inbox::Inbox;
use policies::Policies;
use uses::Uses;

/// So many days have a checkpoint of their own in what an auditor is given.
const MOST_CHECKPOINTS: usize = 800;

/// The desk.
#[derive(Debug)]
pub struct Desk {
    clock: Clock,
    inbox: Inbox,
    policies: Policies,
    uses: Uses,
    campaigns: Campaigns,
    /// The last checkpoint of each day, and the last of all.
    checkpoints: BTreeMap<String, Entry>,
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
            checkpoints: BTreeMap::new(),
            first: None,
            last: None,
            records: 0,
        }
    }

    /// The next record.
    pub fn add(&mut self, entry: &Entry) {
        self.records += 1;
        self.inbox.add(entry);
        let (Some(time), Some(seq)) = (entry.time(), entry.seq()) else { return };
        let at = At { time, seq };
        self.first = self.first.or(Some(at));
        self.last = Some(at);
        match entry.event() {
            "access" => {
                let none = BTreeMap::new();
                let facts = Facts::of(entry, &none);
                self.uses.access(&facts, self.clock.moment(at));
            }
            "policy" => self.policies.policy(entry, at),
            "start" => self.policies.start(entry, at),
            "grant" => self.policies.grant(entry, at),
            "campaign" => self.campaigns.step(entry, at),
            "checkpoint" => {
                self.checkpoints.insert(self.clock.day_of(time), entry.clone());
                while self.checkpoints.len() > MOST_CHECKPOINTS {
                    self.checkpoints.pop_first();
                }
            }
            _ => {}
        }
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
