//! Which records are worth an alert.

use std::collections::{HashMap, HashSet, VecDeque};

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::{Alert, Kind};
use crate::audit::read::Entry;
use crate::audit::report::{Finding, Live, Measure, STRANGER_DAYS, What};
use crate::config::Alerts;
use crate::page::{count, number};

/// So many of those who were refused are followed.
const MOST: usize = 10_000;

pub(super) struct Rules {
    refusals_per_minute: usize,
    protected_per_day: usize,
    protected: HashSet<String>,
    canaries: HashSet<String>,
    zone: TimeZone,
    live: Live,
    refused: HashMap<String, VecDeque<Timestamp>>,
    /// Whom each has seen of those who are protected, on the day at hand.
    seen: HashMap<String, HashSet<String>>,
    day: Option<jiff::civil::Date>,
}

/// `crm`, or `crm as u42`.
fn whose(login: &str, actor: Option<&str>) -> String {
    actor.map_or_else(|| login.to_owned(), |actor| format!("{login} as {actor}"))
}

impl Rules {
    pub(super) fn new(
        config: &Alerts,
        (protected, canaries): (HashSet<String>, HashSet<String>),
        zone: TimeZone,
    ) -> Self {
        Self {
            refusals_per_minute: usize::try_from(config.refusals_per_minute).unwrap_or(usize::MAX),
            protected_per_day: usize::try_from(config.protected_per_day).unwrap_or(usize::MAX),
            protected,
            canaries,
            live: Live::new(zone.clone()),
            zone,
            refused: HashMap::new(),
            seen: HashMap::new(),
            day: None,
        }
    }

    /// The log is read from its beginning again.
    pub(super) fn forget(&mut self) {
        self.live = Live::new(self.zone.clone());
        (self.refused, self.seen, self.day) = (HashMap::new(), HashMap::new(), None);
    }

    /// What a record shows; of one that is not new it is only learnt from.
    pub(super) fn add(&mut self, entry: &Entry, new: bool) -> Vec<Alert> {
        let mut alerts: Vec<Alert> =
            self.live.add(entry, new).into_iter().map(|finding| unusual(&finding).of_record(&finding)).collect();
        if !new {
            return alerts;
        }
        match entry.event() {
            "access" => alerts.extend(self.refusal(entry)),
            "disclosure" => alerts.extend(self.people(entry)),
            "incident" | "torn" | "recovered" => {
                let what = entry.text("what").or_else(|| entry.text("error")).unwrap_or("see the record");
                alerts.push(
                    Alert::new(Kind::Log, entry.event(), format!("the access log holds `{}`: {what}", entry.event()))
                        .of(entry),
                );
            }
            "resumed" if entry.field("closed").and_then(serde_json::Value::as_bool) == Some(false) => {
                alerts.push(
                    Alert::new(Kind::Log, "resumed", "the proxy ended without closing its log, and was started again")
                        .of(entry),
                );
            }
            "grant" if entry.text("what") == Some("refused") => {
                alerts.push(
                    Alert::new(Kind::Log, "grants", "the file of grants does not hold: none is in force").of(entry),
                );
            }
            _ => {}
        }
        alerts
    }

    fn refusal(&mut self, entry: &Entry) -> Option<Alert> {
        if entry.text("verdict") != Some("deny") || entry.text("mode") == Some("observe") {
            return None;
        }
        let time = entry.time()?;
        let who = whose(entry.text("login")?, entry.text("actor"));
        if self.refused.len() >= MOST && !self.refused.contains_key(&who) {
            self.refused.clear();
        }
        let times = self.refused.entry(who.clone()).or_default();
        times.push_back(time);
        let minute = SignedDuration::from_mins(1);
        while times.front().is_some_and(|first| time.duration_since(*first) > minute) {
            times.pop_front();
        }
        if times.len() <= self.refusals_per_minute {
            return None;
        }
        let title = format!("{who}: {} within a minute", count(times.len() as u64, "refusal"));
        times.clear();
        let text = format!(
            "purpose {}; the newest: {}",
            entry.text("purpose").unwrap_or("-"),
            entry.text("reason").unwrap_or("-")
        );
        Some(Alert::new(Kind::Refusals, who, title).text(text).of(entry))
    }

    fn people(&mut self, entry: &Entry) -> Vec<Alert> {
        let mut alerts = Vec::new();
        let (Some(login), purpose) = (entry.text("login"), entry.text("purpose").unwrap_or("-")) else { return alerts };
        let who = whose(login, entry.text("actor"));
        let found = |list: &HashSet<String>| entry.subjects().filter(|subject| list.contains(*subject)).count() as u64;
        let canaries = found(&self.canaries);
        if canaries > 0 {
            let title =
                format!("{who} saw {} whom nobody has a reason to see, for {purpose}", count(canaries, "person"));
            alerts.push(Alert::new(Kind::Canary, who.clone(), title).of(entry));
        }
        let day = entry.time().map(|time| time.to_zoned_datetime(self.zone.clone()).date());
        if day != self.day {
            (self.seen, self.day) = (HashMap::new(), day);
        }
        let seen = self.seen.entry(who.clone()).or_default();
        let before = seen.len();
        seen.extend(entry.subjects().filter(|subject| self.protected.contains(*subject)).map(str::to_owned));
        let (now, most) = (seen.len(), self.protected_per_day);
        if before == 0 && now > 0 {
            let title = format!("{who} saw somebody who is protected, for {purpose}");
            alerts.push(Alert::new(Kind::Protected, who.clone(), title).of(entry));
        }
        if before <= most && now > most {
            let title = format!("{who} saw {} who are protected today, for {purpose}", number(now as u64));
            alerts.push(Alert::new(Kind::Protected, format!("{who}, many"), title).of(entry));
        }
        alerts
    }
}

impl Alert {
    fn of_record(mut self, finding: &Finding) -> Self {
        self.record = Some(finding.at.seq);
        self.time = format!("{:.6}", finding.at.time);
        self
    }
}

fn unusual(finding: &Finding) -> Alert {
    let who = whose(&finding.login, finding.actor.as_deref());
    let (what, usual, kind) = match &finding.what {
        What::NewLogin { log_days } => {
            ("was not seen before".to_owned(), format!("the log goes back {log_days} days"), "login")
        }
        What::NewCategory { category, purpose, usual, .. } => {
            (format!("used the category {category} for the first time, for {purpose}"), usual.join(", "), "category")
        }
        What::Volume { measure, count: amount, limit, median, days } => {
            let (what, kind) = match measure {
                Measure::Statements => (count(*amount, "statement"), "statements"),
                Measure::Subjects => (count(*amount, "data subject"), "subjects"),
                Measure::Rows => (count(*amount, "row"), "rows"),
            };
            let usual = format!("up to {}; {} in the middle of {days} days", number(*limit), number(*median));
            (format!("{what} on {}", finding.day), usual, kind)
        }
        What::Strangers { people, limit, median, others } => {
            let what =
                format!("looked at {} whom others look after, within {STRANGER_DAYS} days", count(*people, "person"));
            (
                what,
                format!("up to {}; {} for the one in the middle of {others} others", number(*limit), number(*median)),
                "strangers",
            )
        }
        What::Hours { statements, .. } => {
            (format!("{} in unusual hours on {}", count(*statements, "statement"), finding.day), String::new(), "hours")
        }
    };
    let usual = if usual.is_empty() { usual } else { format!("usual: {usual}") };
    Alert::new(Kind::Unusual, format!("{who}: {kind}"), format!("{who}: {what}")).text(usual)
}
