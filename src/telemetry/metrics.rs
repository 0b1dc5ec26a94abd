//! Counters.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::page::{Durations, Page};

/// Only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// One more.
    pub fn bump(&self) {
        self.add(1);
    }

    /// So many more.
    pub fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    /// How many.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Grows and shrinks.
#[derive(Debug, Default)]
pub struct Gauge(AtomicI64);

impl Gauge {
    /// One more.
    pub fn up(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// One less.
    pub fn down(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }

    /// Exactly so many.
    pub fn set(&self, value: i64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// How many.
    pub fn get(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Upper ends of the buckets, in microseconds.
const BUCKETS: [u64; 16] =
    [10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 1_000_000, 10_000_000];

/// Durations, counted by size.
#[derive(Debug, Default)]
pub struct Histogram {
    buckets: [AtomicU64; BUCKETS.len()],
    count: AtomicU64,
    sum_ns: AtomicU64,
}

impl Histogram {
    /// Counts one.
    pub fn observe(&self, took: Duration) {
        let micros = took.as_micros();
        if let Some((_, bucket)) = BUCKETS.iter().zip(&self.buckets).find(|&(&end, _)| micros <= u128::from(end)) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
        self.sum_ns.fetch_add(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
        self.count.fetch_add(1, Ordering::Relaxed);
    }

    /// How many.
    pub fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// As it is at the moment.
    pub(super) fn durations(&self) -> Durations {
        let buckets: Vec<(Duration, u64)> = BUCKETS
            .iter()
            .zip(&self.buckets)
            .map(|(end, bucket)| (Duration::from_micros(*end), bucket.load(Ordering::Relaxed)))
            .collect();
        let below = buckets.iter().map(|(_, count)| count).sum();
        // Read after the buckets: what is counted meanwhile may be missing above, never the other way round.
        let count = self.count.load(Ordering::Relaxed).max(below);
        Durations { buckets, count, sum: Duration::from_nanos(self.sum_ns.load(Ordering::Relaxed)) }
    }
}

/// Counters by a label that the policies name, and no client can choose.
#[derive(Debug, Default)]
pub struct Labelled(Mutex<BTreeMap<String, u64>>);

impl Labelled {
    /// One more of it.
    pub fn bump(&self, label: &str) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match counts.get_mut(label) {
            Some(count) => *count = count.saturating_add(1),
            None => drop(counts.insert(label.to_owned(), 1)),
        }
    }

    /// All of them, in the order of their labels.
    pub fn get(&self) -> Vec<(String, u64)> {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.iter().map(|(label, count)| (label.clone(), *count)).collect()
    }
}

/// How long each stage of a decision took that was not cached, where the statement came so far.
#[derive(Debug, Default)]
pub struct Stages {
    /// Text to AST.
    pub parse: Histogram,
    /// PostgreSQL's own grammar.
    pub witness: Histogram,
    /// Names to columns.
    pub resolve: Histogram,
    /// What the policies say.
    pub decide: Histogram,
    /// Masks, row filters and the text that runs.
    pub rewrite: Histogram,
}

/// Everything that is counted. One for the process, handed to whoever counts.
#[derive(Debug, Default)]
pub struct Metrics {
    /// Statements that ran as asked.
    pub statements_allowed: Counter,
    /// Statements that ran with masks, columns or rows left out.
    pub statements_masked: Counter,
    /// Statements that were refused.
    pub statements_denied: Counter,
    /// Statements over groups of data subjects, by purpose.
    pub group_queries: Labelled,
    /// Statements over groups that a used-up budget refused, by purpose.
    pub group_queries_refused: Labelled,
    /// Sessions that are open.
    pub sessions: Gauge,
    /// Sessions that were ever opened.
    pub sessions_opened: Counter,
    /// Logins that were refused.
    pub logins_refused: Counter,
    /// Row descriptions that named what was not opened, and the like.
    pub incidents: Counter,
    /// Time from handing a record to the access log until it counts as logged.
    pub log_append: Histogram,
    /// Time from a statement's text to its decision, where no decision was cached.
    pub decide: Histogram,
    /// The parts of that time.
    pub stages: Stages,
    /// Time from forwarding a statement to its end.
    pub upstream: Histogram,
    /// Decisions that were found in the cache.
    pub cache_hits: Counter,
    /// Decisions that had to be made.
    pub cache_misses: Counter,
    /// Connections to the database that could not be made or broke.
    pub upstream_errors: Counter,
    /// Policies that came into force after start.
    pub policy_reloads: Counter,
    /// Policies that were not taken because of a fault.
    pub policy_reload_failures: Counter,
}

impl Metrics {
    /// All of it in Prometheus' text form.
    pub fn render(&self) -> String {
        self.page().finish()
    }

    /// The same, for more to be added.
    pub fn page(&self) -> Page {
        let mut page = Page::default();
        page.by_label(
            "statements_total",
            "counter",
            "Statements by verdict.",
            "verdict",
            &[
                ("allow", self.statements_allowed.get()),
                ("mask", self.statements_masked.get()),
                ("deny", self.statements_denied.get()),
            ],
        );
        for (name, help, counts) in [
            (
                "group_queries_total",
                "Statements over groups of data subjects that ran, by purpose.",
                &self.group_queries,
            ),
            (
                "group_queries_refused_total",
                "Statements over groups that a budget refused.",
                &self.group_queries_refused,
            ),
        ] {
            let counts = counts.get();
            let samples: Vec<(&str, u64)> = counts.iter().map(|(purpose, count)| (purpose.as_str(), *count)).collect();
            page.by_label(name, "counter", help, "purpose", &samples);
        }
        page.gauge("sessions", "Sessions that are open.", self.sessions.get());
        for (name, help, counter) in [
            ("sessions_opened_total", "Sessions that were ever opened.", &self.sessions_opened),
            ("logins_refused_total", "Logins that were refused.", &self.logins_refused),
            ("incidents_total", "Results that were stopped because they named what was not opened.", &self.incidents),
            ("decision_cache_hits_total", "Decisions found in the cache.", &self.cache_hits),
            ("decision_cache_misses_total", "Decisions that had to be made.", &self.cache_misses),
            ("upstream_errors_total", "Connections to the database that failed or broke.", &self.upstream_errors),
            ("policy_reloads_total", "Policies that came into force after start.", &self.policy_reloads),
            ("policy_reload_failures_total", "Policies that were not taken.", &self.policy_reload_failures),
        ] {
            page.counter(name, help, counter.get());
        }
        page.histogram("log_append_seconds", "Time until a record counts as logged.", &self.log_append);
        page.histogram("decide_seconds", "Time of a decision that was not cached.", &self.decide);
        let stages = &self.stages;
        page.histograms(
            "stage_seconds",
            "Parts of the time of a decision that was not cached.",
            "stage",
            &[
                ("parse", &stages.parse),
                ("witness", &stages.witness),
                ("resolve", &stages.resolve),
                ("decide", &stages.decide),
                ("rewrite", &stages.rewrite),
            ],
        );
        page.histogram("upstream_seconds", "Time from forwarding a statement to its end.", &self.upstream);
        page
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use super::*;

    #[test]
    fn the_page_is_what_prometheus_reads() {
        let metrics = Metrics::default();
        metrics.statements_masked.add(3);
        metrics.group_queries.bump("figures");
        metrics.group_queries.bump("figures");
        metrics.sessions.up();
        metrics.sessions.up();
        metrics.sessions.down();
        metrics.log_append.observe(Duration::from_micros(10));
        metrics.log_append.observe(Duration::from_micros(11));
        metrics.log_append.observe(Duration::from_secs(60));
        let page = metrics.render();
        for line in [
            "# TYPE pgpurpose_statements_total counter",
            "pgpurpose_statements_total{verdict=\"mask\"} 3",
            "pgpurpose_statements_total{verdict=\"deny\"} 0",
            "pgpurpose_group_queries_total{purpose=\"figures\"} 2",
            "pgpurpose_sessions 1",
            "pgpurpose_log_append_seconds_bucket{le=\"0.00001\"} 1",
            "pgpurpose_log_append_seconds_bucket{le=\"0.000025\"} 2",
            "pgpurpose_log_append_seconds_bucket{le=\"10\"} 2",
            "pgpurpose_log_append_seconds_bucket{le=\"+Inf\"} 3",
            "pgpurpose_log_append_seconds_sum 60.000021",
            "pgpurpose_log_append_seconds_count 3",
        ] {
            assert!(page.lines().any(|have| have == line), "`{line}` is missing in\n{page}");
        }
        for line in page.lines().filter(|line| !line.starts_with('#')) {
            let (name, value) = line.rsplit_once(' ').unwrap();
            assert!(name.starts_with("pgpurpose_"), "{line}");
            assert!(value.parse::<f64>().is_ok(), "{line}");
        }
    }
}
