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
    /// The same of each login, with who of it was: clients choose their actors, and may name another each time.
    refused_of: HashMap<String, VecDeque<(Timestamp, String)>>,
    /// Whom each has seen of those who are protected, on the day at hand.
    seen: HashMap<String, HashSet<String>>,
    /// Whom each login has, and whether that it were many was told.
    seen_of: HashMap<String, (HashSet<String>, bool)>,
    day: Option<jiff::civil::Date>,
}

/// What is kept of one of so many.
fn bounded<'a, T: Default>(all: &'a mut HashMap<String, T>, of: &str) -> &'a mut T {
    if all.len() >= MOST && !all.contains_key(of) {
        all.clear();
    }
    all.entry(of.to_owned()).or_default()
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
            refused_of: HashMap::new(),
            seen: HashMap::new(),
            seen_of: HashMap::new(),
            day: None,
        }
    }

    /// The log is read from its beginning again.
    pub(super) fn forget(&mut self) {
        self.live = Live::new(self.zone.clone());
        (self.refused, self.refused_of) = (HashMap::new(), HashMap::new());
        (self.seen, self.seen_of, self.day) = (HashMap::new(), HashMap::new(), None);
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
        let (time, login) = (entry.time()?, entry.text("login")?);
        let who = whose(login, entry.text("actor"));
        let is_over = |first: &Timestamp| time.duration_since(*first) > SignedDuration::from_mins(1);
        let all = bounded(&mut self.refused_of, login);
        all.push_back((time, who.clone()));
        while all.front().is_some_and(|(first, _)| is_over(first)) {
            all.pop_front();
        }
        let times = bounded(&mut self.refused, &who);
        times.push_back(time);
        while times.front().is_some_and(is_over) {
            times.pop_front();
        }
        let within = |number: usize| format!("{} within a minute", count(number as u64, "refusal"));
        let (about, title) = if times.len() > self.refusals_per_minute {
            let title = format!("{who}: {}", within(times.len()));
            times.clear();
            // What was told of one is not told of all once more.
            all.retain(|(_, other)| *other != who);
            (who, title)
        } else if all.len() > self.refusals_per_minute {
            let others: HashSet<&str> = all.iter().map(|(_, other)| other.as_str()).collect();
            let title = format!("{login}: {}, by {}", within(all.len()), count(others.len() as u64, "actor"));
            all.clear();
            (format!("{login}, all actors"), title)
        } else {
            return None;
        };
        let text = format!(
            "purpose {}; the newest: {}",
            entry.text("purpose").unwrap_or("-"),
            entry.text("reason").unwrap_or("-")
        );
        Some(Alert::new(Kind::Refusals, about, title).text(text).by(login).of(entry))
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
            alerts.push(Alert::new(Kind::Canary, who.clone(), title).by(login).of(entry));
        }
        let day = entry.time().map(|time| time.to_zoned_datetime(self.zone.clone()).date());
        if day != self.day {
            (self.seen, self.seen_of, self.day) = (HashMap::new(), HashMap::new(), day);
        }
        let people: Vec<&str> = entry.subjects().filter(|subject| self.protected.contains(*subject)).collect();
        if people.is_empty() {
            return alerts;
        }
        let seen = self.seen.entry(who.clone()).or_default();
        let before = seen.len();
        seen.extend(people.iter().map(|person| (*person).to_owned()));
        let (now, most) = (seen.len(), self.protected_per_day);
        let mut tell =
            |about: String, title: String| alerts.push(Alert::new(Kind::Protected, about, title).by(login).of(entry));
        if before == 0 {
            tell(who.clone(), format!("{who} saw somebody who is protected, for {purpose}"));
        }
        if before <= most && now > most {
            let title = format!("{who} saw {} who are protected today, for {purpose}", number(now as u64));
            tell(format!("{who}, many"), title);
        }
        let (all, told) = self.seen_of.entry(login.to_owned()).or_default();
        all.extend(people.into_iter().map(str::to_owned));
        // Where one has seen them all, it was told of that one.
        if all.len() > most && all.len() > now && !*told {
            *told = true;
            let title = format!("{login} saw {} who are protected today, by several actors", number(all.len() as u64));
            tell(format!("{login}, all actors, many"), title);
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
    Alert::new(Kind::Unusual, format!("{who}: {kind}"), format!("{who}: {what}")).text(usual).by(&finding.login)
}
