//! `[telemetry]`: traces and metrics for a collector.

use std::path::{Path, PathBuf};

use super::place::HttpUrl;
use super::read::{path, secret};
use super::secret::SecretSource;
use crate::document::{Document, Section};

/// Where traces and metrics go, and how many.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Telemetry {
    /// A collector that speaks OTLP over HTTP; `/v1/traces` and `/v1/metrics` come behind its path.
    pub otlp: HttpUrl,
    /// Goes along as `Authorization: Bearer`.
    pub token: Option<SecretSource>,
    /// PEM file of the authorities of its certificate, instead of those of the machine.
    pub tls_ca: Option<PathBuf>,
    /// One statement in so many is a span, and each that was refused or failed; 0: none is.
    pub trace_one_in: u32,
    /// Seconds between two reports of the metrics; 0: they do not go there.
    pub metrics_seconds: u32,
    /// What the proxy is called there.
    pub service_name: String,
}

/// `None` where there is no such section, or a fault was noted.
pub(super) fn read(document: &mut Document, section: Option<Section<'_>>, base: &Path) -> Option<Telemetry> {
    let mut section = section?;
    let place = section.place.clone();
    let url = section.string("otlp", document);
    if url.is_none() {
        document.fault(&place, "`[telemetry]` needs `otlp`, the collector: `http://127.0.0.1:4318`");
    }
    let otlp = url.and_then(|url| match url.value.parse::<HttpUrl>() {
        Ok(parsed) => Some(parsed),
        Err(message) => {
            document.fault(&url.place, message.replace("`url`", "`otlp`"));
            None
        }
    });
    let token = secret(&mut section, "token", base, document);
    let tls_ca = path(&mut section, "tls_ca", base, document);
    let mut number =
        |key, range, otherwise| section.integer(key, range, document).map_or(otherwise, |number| number.value);
    let trace_one_in = number("trace_one_in", 0..=1_000_000, 100);
    let metrics_seconds = number("metrics_seconds", 0..=3600, 60);
    let service_name =
        section.string("service_name", document).map_or_else(|| "pgpurpose".to_owned(), |name| name.value);
    section.finish(document);
    Some(Telemetry { otlp: otlp?, token, tls_ca, trace_one_in, metrics_seconds, service_name })
}
