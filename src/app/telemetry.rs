//! Traces and metrics for a collector, where the configuration names one.

use std::sync::Arc;
use std::time::Duration;

use crate::audit::AuditLog;
use crate::audit::ship::Shipping;
use crate::config::Telemetry;
use crate::server::admin::Admin;
use crate::server::otlp::Collector;

/// The collector, and what follows the log for it where statements are traced.
///
/// # Errors
/// Token or authorities cannot be read, or a thread cannot be started.
pub(super) fn start(
    wanted: Option<&Telemetry>,
    log: &AuditLog,
) -> Result<(Option<Arc<Collector>>, Option<Shipping>), String> {
    let Some(wanted) = wanted else { return Ok((None, None)) };
    let collector = Arc::new(Collector::new(wanted, log.name())?);
    let traces = match wanted.trace_one_in {
        0 => None,
        one_in => Some(collector.trace(one_in, log)?),
    };
    Ok((Some(collector), traces))
}

/// Sends the metrics from now on.
pub(super) fn report(wanted: Option<&Telemetry>, collector: Option<&Arc<Collector>>, admin: &Arc<Admin>) {
    if let (Some(collector), Some(seconds @ 1..)) = (collector, wanted.map(|wanted| wanted.metrics_seconds)) {
        tokio::spawn(Arc::clone(collector).report(Duration::from_secs(seconds.into()), Arc::clone(admin)));
    }
}
