//! Whom to look at first: what one login or actor did on one day is one matter, however many rules found it.

use std::collections::{BTreeMap, BTreeSet};

use super::unusual::{Finding, Measure, What};
use crate::page::Words;

/// What one login or actor did on one day.
#[derive(Debug, PartialEq, Eq)]
pub struct Matter<'a> {
    /// What was found, in the order of the log; at least one.
    pub findings: Vec<&'a Finding>,
    weight: u32,
}

/// How much each kind says, and what it is called here.
fn weight(what: &What) -> (u32, &'static str) {
    match what {
        What::Strangers { .. } => (4, "people whom others look after"),
        What::Volume { measure: Measure::Subjects, .. } => (3, "more data subjects than usual"),
        What::NewCategory { .. } => (2, "a category for the first time"),
        What::Volume { measure: Measure::Rows, .. } => (2, "more rows than usual"),
        What::Volume { measure: Measure::Statements, .. } => (1, "more statements than usual"),
        What::Hours { .. } => (1, "unusual hours"),
        What::NewLogin { .. } => (1, "a new login"),
    }
}

/// The heaviest first, and of two the newer one.
pub fn matters<'a>(findings: impl IntoIterator<Item = &'a Finding>) -> Vec<Matter<'a>> {
    let mut found: BTreeMap<(&str, Option<&str>, &str), Vec<&Finding>> = BTreeMap::new();
    for finding in findings {
        found.entry((&finding.login, finding.actor.as_deref(), &finding.day)).or_default().push(finding);
    }
    let matters = found.into_values().map(|mut findings| {
        findings.sort_by_key(|finding| finding.at);
        // Five first uses of a category weigh no more than one.
        let kinds: BTreeMap<&str, u32> =
            findings.iter().map(|finding| weight(&finding.what)).map(|(weight, name)| (name, weight)).collect();
        Matter { findings, weight: kinds.values().sum() }
    });
    let mut matters: Vec<Matter<'a>> = matters.collect();
    matters.sort_by(|a, b| {
        b.weight.cmp(&a.weight).then_with(|| b.day().cmp(a.day())).then_with(|| a.record().cmp(&b.record()))
    });
    matters
}

impl Matter<'_> {
    /// The day.
    pub fn day(&self) -> &str {
        self.findings.first().map_or("", |finding| &finding.day)
    }

    /// The login.
    pub fn login(&self) -> &str {
        self.findings.first().map_or("", |finding| &finding.login)
    }

    /// The end user behind it.
    pub fn actor(&self) -> Option<&str> {
        self.findings.first().and_then(|finding| finding.actor.as_deref())
    }

    /// The first record that shows any of it.
    pub fn record(&self) -> u64 {
        self.findings.iter().map(|finding| finding.at.seq).min().unwrap_or_default()
    }

    /// The login, and the end user behind it where there is one.
    pub(crate) fn who(&self) -> Words {
        self.findings.first().map(|finding| finding.whose()).unwrap_or_default()
    }

    /// The kinds, each once.
    pub fn told(&self) -> String {
        let what: BTreeSet<&str> = self.findings.iter().map(|finding| weight(&finding.what).1).collect();
        what.into_iter().collect::<Vec<_>>().join(", ")
    }
}
