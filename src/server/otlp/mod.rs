//! Traces and metrics for a collector that speaks OTLP over HTTP, beside Prometheus.
//!
//! Spans are made from the access log, which a place beside its files follows (`spans`): what no record holds, no span can hold, and a
//! statement never waits for one. They go through a bounded queue to a thread of its own; what a collector does not take is tried again
//! for some seconds, then dropped and counted. Metrics are those of `/metrics`, by the same names, as often as is configured.

mod spans;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::mpsc;

use super::admin::{self, Admin};
use super::sinks::Http;
use crate::audit::AuditLog;
use crate::audit::ship::{Shipping, Wanted};
use crate::config::{HttpUrl, Telemetry};
use crate::telemetry::{Page, Resource, Span, otlp};

use spans::Tracer;

/// So many spans wait to be sent; more are dropped and counted.
const WAITING: usize = 4096;
/// So many go at once.
const AT_ONCE: usize = 512;
/// How long one POST may take.
const TIMEOUT: Duration = Duration::from_secs(5);
/// How long is waited before a batch is tried again; then it is dropped.
const TRIES: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(2)];

/// What went to the collector, and what did not.
#[derive(Debug, Default)]
pub struct Exported {
    spans: AtomicU64,
    spans_dropped: AtomicU64,
    reports: AtomicU64,
    reports_dropped: AtomicU64,
    /// Spans that are in the queue or on their way.
    waiting: AtomicU64,
}

impl Exported {
    /// As metrics.
    pub fn show(&self, page: &mut Page) {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        page.by_label(
            "otlp_sent_total",
            "counter",
            "Spans, and reports of metrics, that the collector took.",
            "signal",
            &[("traces", of(&self.spans)), ("metrics", of(&self.reports))],
        );
        page.by_label(
            "otlp_dropped_total",
            "counter",
            "Spans, and reports of metrics, that it did not take.",
            "signal",
            &[("traces", of(&self.spans_dropped)), ("metrics", of(&self.reports_dropped))],
        );
    }
}

/// A collector.
pub struct Collector {
    traces: Http,
    metrics: Http,
    resource: Resource,
    began: u64,
    /// What went there.
    pub exported: Arc<Exported>,
}

impl Collector {
    /// Reads token and authorities. `instance` tells this proxy from others.
    ///
    /// # Errors
    /// One of them cannot be read.
    pub fn new(config: &Telemetry, instance: &str) -> Result<Self, String> {
        let to = |signal: &str| {
            let token = config.token.as_ref().map(crate::config::SecretSource::read).transpose()?;
            let path = format!("{}/v1/{signal}", config.otlp.path.trim_end_matches('/'));
            Http::new(HttpUrl { path, ..config.otlp.clone() }, token, config.tls_ca.as_deref())
        };
        Ok(Self {
            traces: to("traces")?,
            metrics: to("metrics")?,
            resource: Resource { service: config.service_name.clone(), instance: instance.to_owned() },
            began: now(),
            exported: Arc::default(),
        })
    }

    /// Begins to send one span in so many statements, and those of what was refused or failed.
    ///
    /// # Errors
    /// A thread cannot be started.
    pub fn trace(self: &Arc<Self>, one_in: u32, log: &AuditLog) -> Result<Shipping, String> {
        let failed = |error: std::io::Error| format!("a thread cannot be started: {error}");
        let (queue, inbox) = mpsc::channel(WAITING);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let collector = Arc::clone(self);
        let sends = move || runtime.block_on(collector.send(inbox));
        std::thread::Builder::new().name("otlp".to_owned()).spawn(sends).map_err(failed)?;
        let tracer = Tracer::new(one_in, log.clone(), queue, Arc::clone(&self.exported));
        Shipping::start(log, "traces", Wanted::All, Box::new(tracer)).map_err(failed)
    }

    async fn send(&self, mut inbox: mpsc::Receiver<Span>) {
        let mut batch = Vec::with_capacity(AT_ONCE);
        while inbox.recv_many(&mut batch, AT_ONCE).await > 0 {
            let count = u64::try_from(batch.len()).unwrap_or(u64::MAX);
            let body = otlp::spans(&batch, &self.resource);
            batch.clear();
            let mut sent = post(&self.traces, body.clone()).await;
            for wait in TRIES {
                if sent.is_ok() {
                    break;
                }
                tokio::time::sleep(wait).await;
                sent = post(&self.traces, body.clone()).await;
            }
            let counter = if sent.is_ok() { &self.exported.spans } else { &self.exported.spans_dropped };
            counter.fetch_add(count, Ordering::Relaxed);
            self.exported.waiting.fetch_sub(count, Ordering::AcqRel);
            if let Err(error) = sent {
                tracing::warn!(error, spans = count, "the collector takes no traces");
            }
        }
    }

    /// Sends the metrics every so many seconds until the task is dropped.
    pub async fn report(self: Arc<Self>, every: Duration, admin: Arc<Admin>) {
        let mut rhythm = tokio::time::interval(every);
        rhythm.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            rhythm.tick().await;
            let page = admin::metrics(&admin);
            let sent = post(&self.metrics, otlp::metrics(&page, &self.resource, self.began, now())).await;
            let counter = if sent.is_ok() { &self.exported.reports } else { &self.exported.reports_dropped };
            counter.fetch_add(1, Ordering::Relaxed);
            if let Err(error) = sent {
                tracing::warn!(error, "the collector takes no metrics");
            }
        }
    }
}

async fn post(to: &Http, body: String) -> Result<(), String> {
    let posted = tokio::time::timeout(TIMEOUT, to.post(body, "application/json", &[])).await;
    posted.unwrap_or_else(|_| Err("no answer in time".to_owned()))
}

/// Nanoseconds since 1970.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
