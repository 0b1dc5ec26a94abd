//! The report's own rules, applied to records as they come.

use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::clock::Clock;
use super::facts::Facts;
use super::{At, Finding, Past, strangers, unusual};
use crate::audit::record::Entry;

/// Follows a log from its beginning, and tells what is unusual when a record shows it.
#[derive(Debug, Serialize, Deserialize)]
pub struct Live {
    #[serde(skip, default = "Clock::unset")]
    clock: Clock,
    unusual: unusual::Collector,
    strangers: strangers::Collector,
    /// What a day came to is told when it is over.
    days: bool,
}

impl Live {
    /// With days and hours of this zone.
    pub fn new(zone: TimeZone) -> Self {
        Self {
            clock: Clock::new(zone),
            unusual: unusual::Collector::default(),
            strangers: strangers::Collector::default(),
            days: false,
        }
    }

    /// The next record; `within`: what it shows is told, and is not only the past by which later ones are judged.
    pub fn add(&mut self, entry: &Entry, within: bool) -> Vec<Finding> {
        if entry.event() == "outcome" {
            self.unusual.outcome(entry);
            return self.found();
        }
        let (Some(time), Some(seq)) = (entry.time(), entry.seq()) else { return Vec::new() };
        let moment = self.clock.moment(At { time, seq });
        let mut more = None;
        match entry.event() {
            "access" => {
                let none = std::collections::BTreeMap::new();
                self.unusual.access(&Facts::of(entry, &none), moment, within);
            }
            "disclosure" => {
                self.unusual.disclosure(entry, moment, within);
                more = self.strangers.disclosure(entry, moment, within);
            }
            "start" => self.unusual.restarted(seq),
            "destroyed" => {
                if let Some(past) = Past::of(entry, &self.clock) {
                    self.unusual.forget(&past);
                    self.strangers.forget(past.day);
                }
                return Vec::new();
            }
            _ => return Vec::new(),
        }
        let mut found = self.found();
        found.extend(more.map(|stranger| stranger.finding(self.clock.day_of(time))));
        found
    }

    /// The same, and what was counted of each day when it is over: a finding that was told before comes once more, with its last number.
    pub(super) fn add_with_days(&mut self, entry: &Entry) -> Vec<Finding> {
        self.days = true;
        self.add(entry, true)
    }

    /// Once it was read back: it goes on in this zone.
    pub(super) fn resumed(&mut self, zone: TimeZone) {
        self.clock = Clock::new(zone);
        self.strangers.resumed();
    }

    /// What the day at hand of this login or actor comes to so far, of what was found in it.
    pub(super) fn so_far(&self, login: &str, actor: Option<&str>) -> Vec<Finding> {
        let found = self.unusual.so_far(login, actor).into_iter();
        found.map(|(whose, at, what)| whose.finding(at, what, self.clock.day_of(at.time))).collect()
    }

    fn found(&mut self) -> Vec<Finding> {
        let news = self.unusual.news();
        let news = news
            .into_iter()
            .map(|(whose, at, what)| whose.finding(at, what, self.clock.day_of(at.time)))
            .collect::<Vec<_>>();
        // Volumes and hours are told when a day is over as well, and were told while it lasted.
        let days = self.days;
        let at_once = self.unusual.take_findings().into_iter().filter(|finding| days || finding.what.is_told_at_once());
        let at_once = at_once.map(|finding| Finding { day: self.clock.day_of(finding.at.time), ..finding });
        news.into_iter().chain(at_once.collect::<Vec<_>>()).collect()
    }
}
