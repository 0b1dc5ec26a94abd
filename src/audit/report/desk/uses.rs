//! What is used of what is open, and how much when.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::audit::report::clock::Moment;
use crate::audit::report::facts::Facts;
use crate::audit::report::{At, Past};

/// So many uses are told apart.
const MOST_USES: usize = 50_000;
/// So many days are counted.
const MOST_DAYS: usize = 800;
/// So many purposes of a day.
const MOST_PURPOSES: usize = 50;

/// How often something was used, and when last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Use {
    /// Statements that were not refused.
    pub statements: u64,
    /// The newest.
    pub last: At,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Day {
    purposes: BTreeMap<String, u64>,
    hours: [u64; 24],
}

#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Uses {
    /// By role, purpose and category.
    #[serde(with = "crate::audit::report::pairs")]
    uses: HashMap<(String, String, String), Use>,
    /// By role and purpose.
    #[serde(with = "crate::audit::report::pairs")]
    purposes: HashMap<(String, String), Use>,
    days: BTreeMap<i64, Day>,
}

impl Uses {
    pub(super) fn access(&mut self, facts: &Facts<'_>, moment: Moment) {
        let day = self.days.entry(moment.day()).or_default();
        let purpose = if day.purposes.len() < MOST_PURPOSES || day.purposes.contains_key(facts.purpose) {
            facts.purpose
        } else {
            "others"
        };
        match day.purposes.get_mut(purpose) {
            Some(count) => *count += 1,
            None => {
                day.purposes.insert(purpose.to_owned(), 1);
            }
        }
        if let Some(hour) = day.hours.get_mut(moment.hour()) {
            *hour += 1;
        }
        while self.days.len() > MOST_DAYS {
            self.days.pop_first();
        }
        if facts.refused() {
            return;
        }
        note(&mut self.purposes, (facts.role.to_owned(), facts.purpose.to_owned()), moment.at);
        let categories: BTreeSet<&str> = facts.accessed().map(|(_, column)| column.category).collect();
        for category in categories {
            let key = (facts.role.to_owned(), facts.purpose.to_owned(), category.to_owned());
            note(&mut self.uses, key, moment.at);
        }
    }

    /// What was not used since these were destroyed.
    pub(super) fn forget(&mut self, past: &Past) {
        self.uses.retain(|_, used| !past.has(used.last));
        self.purposes.retain(|_, used| !past.has(used.last));
        self.days = self.days.split_off(&past.day);
    }

    pub(super) fn used(&self, role: &str, purpose: &str, category: &str) -> Option<Use> {
        self.uses.get(&(role.to_owned(), purpose.to_owned(), category.to_owned())).copied()
    }

    pub(super) fn used_for(&self, role: &str, purpose: &str) -> Option<Use> {
        self.purposes.get(&(role.to_owned(), purpose.to_owned())).copied()
    }

    pub(super) fn by_purpose(&self, days: usize, last: Option<i64>) -> (Vec<String>, Vec<(String, Vec<u64>)>) {
        let Some(span) = span(days, last) else { return (Vec::new(), Vec::new()) };
        let mut series: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
        let length = span.clone().count();
        for (at, day) in span.clone().enumerate() {
            for (purpose, count) in self.days.get(&day).into_iter().flat_map(|day| &day.purposes) {
                let values = series.entry(purpose).or_insert_with(|| vec![0; length]);
                if let Some(value) = values.get_mut(at) {
                    *value = *count;
                }
            }
        }
        let mut series: Vec<(String, Vec<u64>)> =
            series.into_iter().map(|(purpose, values)| (purpose.to_owned(), values)).collect();
        series.sort_by_key(|(_, values)| std::cmp::Reverse(values.iter().sum::<u64>()));
        (span.map(|day| date(day).map_or_else(String::new, |date| date.to_string())).collect(), series)
    }

    pub(super) fn by_hour(&self, days: usize, last: Option<i64>) -> [[u64; 24]; 7] {
        let mut hours = [[0; 24]; 7];
        for day in span(days, last).into_iter().flatten() {
            let Some(counts) = self.days.get(&day) else { continue };
            let weekday = date(day).map(|date| date.weekday().to_monday_zero_offset());
            let row = weekday.and_then(|weekday| hours.get_mut(usize::try_from(weekday).ok()?));
            for (sum, count) in row.into_iter().flatten().zip(counts.hours) {
                *sum += count;
            }
        }
        hours
    }
}

/// The last so many days.
fn span(days: usize, last: Option<i64>) -> Option<std::ops::RangeInclusive<i64>> {
    let (last, days) = (last?, i64::try_from(days).ok()?);
    Some(last - days + 1..=last)
}

/// Of days since 1970.
fn date(day: i64) -> Option<Date> {
    Date::constant(1970, 1, 1).checked_add(jiff::Span::new().try_days(day).ok()?).ok()
}

fn note<K: std::hash::Hash + Eq>(uses: &mut HashMap<K, Use>, key: K, at: At) {
    if uses.len() >= MOST_USES && !uses.contains_key(&key) {
        return;
    }
    let known = uses.entry(key).or_insert(Use { statements: 0, last: at });
    (known.statements, known.last) = (known.statements + 1, at);
}
