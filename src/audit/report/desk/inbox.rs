//! Findings that wait for somebody, and those that were judged.

use std::collections::{BTreeMap, HashMap, VecDeque};

use jiff::tz::TimeZone;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::text;
use crate::audit::record::Entry;
use crate::audit::record::entry::LOG;
use crate::audit::report::{At, Finding, Live, Past, What, of_log};

/// So many findings wait.
const MOST_OPEN: usize = 5_000;
/// So many are known to be judged: of older ones nothing new comes any more.
const MOST_JUDGED: usize = 20_000;
/// So many judgements are shown.
const MOST_REVIEWS: usize = 2_000;

/// Somebody has looked at findings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Review {
    /// The record.
    #[serde(flatten)]
    pub at: At,
    /// `expected`, `ask` or `incident`.
    pub verdict: String,
    /// Which findings.
    pub findings: Vec<String>,
    /// What was found, in words.
    pub what: String,
    /// The day that they are about.
    pub day: String,
    /// The login.
    pub login: String,
    /// The end user behind it.
    pub actor: Option<String>,
    /// Who judged.
    pub by: String,
    /// What they said.
    pub comment: String,
}

impl Review {
    /// Of a record `review`.
    pub(in crate::audit::report) fn of(entry: &Entry, at: At) -> Self {
        let findings = entry.field("findings").and_then(serde_json::Value::as_array);
        let findings = findings.into_iter().flatten().filter_map(serde_json::Value::as_str);
        Self {
            at,
            verdict: text(entry, "verdict"),
            findings: findings.map(str::to_owned).collect(),
            what: text(entry, "what"),
            day: text(entry, "day"),
            login: text(entry, "login"),
            actor: entry.text("actor").map(crate::audit::report::shortened),
            by: text(entry, "by"),
            comment: text(entry, "comment"),
        }
    }
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Inbox {
    live: Live,
    #[serde(serialize_with = "kept", deserialize_with = "kept_again")]
    open: BTreeMap<(At, String), Finding>,
    /// By name: how much it was when it was judged.
    judged: HashMap<String, u64>,
    judged_order: VecDeque<String>,
    reviews: VecDeque<Review>,
    more: u64,
    /// As other proxies number this log.
    #[serde(skip)]
    known_as: Option<u64>,
}

fn kept<S: Serializer>(open: &BTreeMap<(At, String), Finding>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(open.values())
}

fn kept_again<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<(At, String), Finding>, D::Error> {
    let all = Vec::<Finding>::deserialize(deserializer)?;
    Ok(all.into_iter().map(|finding| ((finding.at, finding.id()), finding)).collect())
}

/// How much it is, where that can grow.
fn amount(what: &What) -> u64 {
    match what {
        What::Volume { count, .. } => *count,
        What::Hours { statements, .. } => *statements,
        What::Strangers { people, .. } => *people,
        What::NewLogin { .. } | What::NewCategory { .. } => 0,
    }
}

impl Inbox {
    pub(super) fn new(zone: TimeZone) -> Self {
        Self {
            live: Live::new(zone),
            open: BTreeMap::new(),
            judged: HashMap::new(),
            judged_order: VecDeque::new(),
            reviews: VecDeque::new(),
            more: 0,
            known_as: None,
        }
    }

    pub(super) fn add(&mut self, entry: &Entry) {
        if entry.event() == "review" {
            if let (Some(time), Some(seq)) = (entry.time(), entry.seq()) {
                let mut review = Review::of(entry, At { time, seq });
                for id in &mut review.findings {
                    *id = self.as_here(std::mem::take(id), of_log(seq).0);
                }
                self.review(review);
            }
            return;
        }
        for finding in self.live.add_with_days(entry) {
            self.found(finding);
        }
    }

    pub(super) fn known_as(&mut self, number: u64) {
        self.known_as = Some(number);
    }

    /// The name of a finding that was judged at the console of that log: what has no log's number there is of that log, and what is of
    /// ours has none here.
    fn as_here(&self, id: String, log: u64) -> String {
        let Some((number, rest)) = id.split_once('-') else { return id };
        let Some((of, seq)) = number.parse().ok().map(of_log).filter(|_| log != 0) else { return id };
        let of = match of {
            0 => log,
            of if Some(of) == self.known_as => 0,
            of => of,
        };
        format!("{}-{rest}", of * LOG + seq)
    }

    /// What is about records that are gone.
    pub(super) fn forget(&mut self, past: &Past) {
        self.open.retain(|(at, _), _| !past.has(*at));
        for review in self.reviews.iter().filter(|review| past.has(review.at)) {
            for id in &review.findings {
                self.judged.remove(id);
            }
        }
        self.reviews.retain(|review| !past.has(review.at));
        self.judged_order.retain(|id| self.judged.contains_key(id));
    }

    /// Once it was read back.
    pub(super) fn resumed(&mut self, zone: TimeZone) {
        self.live.resumed(zone);
    }

    fn found(&mut self, finding: Finding) {
        let id = finding.id();
        // What was judged in the morning may be another matter in the evening.
        if self.judged.get(&id).is_some_and(|judged| amount(&finding.what) <= judged.saturating_mul(2)) {
            return;
        }
        self.open.insert((finding.at, id), finding);
        if self.open.len() > MOST_OPEN && self.open.pop_first().is_some() {
            self.more += 1;
        }
    }

    fn review(&mut self, review: Review) {
        let now = self.live.so_far(&review.login, review.actor.as_deref());
        let now: HashMap<String, u64> = now.iter().map(|finding| (finding.id(), amount(&finding.what))).collect();
        let before: HashMap<&str, u64> =
            self.open.iter().map(|((_, id), finding)| (id.as_str(), amount(&finding.what))).collect();
        let judged: Vec<(String, u64)> = review
            .findings
            .iter()
            .map(|id| {
                let known = before.get(id.as_str()).copied().unwrap_or_default();
                (id.clone(), now.get(id).copied().unwrap_or_default().max(known))
            })
            .collect();
        for (id, amount) in judged {
            self.open.retain(|(_, open), _| *open != id);
            if self.judged.insert(id.clone(), amount).is_none() {
                self.judged_order.push_back(id);
            }
        }
        while self.judged_order.len() > MOST_JUDGED {
            if let Some(oldest) = self.judged_order.pop_front() {
                self.judged.remove(&oldest);
            }
        }
        if self.reviews.len() >= MOST_REVIEWS {
            self.reviews.pop_front();
        }
        self.reviews.push_back(review);
    }

    pub(super) fn is_open(&self, id: &str) -> bool {
        self.open.keys().any(|(_, open)| open == id)
    }

    pub(super) fn open(&self) -> (Vec<Finding>, u64) {
        let mut so_far: HashMap<String, Finding> = HashMap::new();
        let whose: std::collections::BTreeSet<(&str, Option<&str>)> =
            self.open.values().map(|finding| (finding.login.as_str(), finding.actor.as_deref())).collect();
        for (login, actor) in whose {
            so_far.extend(self.live.so_far(login, actor).into_iter().map(|finding| (finding.id(), finding)));
        }
        let newest =
            |((_, id), finding): (&(At, String), &Finding)| so_far.remove(id).unwrap_or_else(|| finding.clone());
        (self.open.iter().map(newest).collect(), self.more)
    }

    pub(super) fn reviews(&self) -> impl DoubleEndedIterator<Item = &Review> {
        self.reviews.iter()
    }
}
