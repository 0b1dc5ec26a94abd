//! Metrics and spans as OTLP has them: the JSON that `/v1/metrics` and `/v1/traces` take
//! (<https://opentelemetry.io/docs/specs/otlp/>, "JSON Protobuf Encoding": names in lowerCamelCase, identifiers in hexadecimal, whole
//! numbers of 64 bits as text).

use serde_json::{Value as Json, json};

use super::page::{Family, Kind, Page, Value};

/// Who speaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    /// `service.name`.
    pub service: String,
    /// `service.instance.id`: tells proxies of one service apart.
    pub instance: String,
}

/// Something that took time. It holds no literal, no data subject and no secret: who makes one sees to that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// What it is part of.
    pub trace: [u8; 16],
    /// Itself.
    pub id: [u8; 8],
    /// One of few.
    pub name: String,
    /// Nanoseconds since 1970.
    pub start: u64,
    /// Nanoseconds since 1970.
    pub end: u64,
    /// It did not end well.
    pub failed: bool,
    /// What is said of it.
    pub attributes: Vec<(&'static str, Attribute)>,
}

/// What is said of a span.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attribute {
    /// In words.
    Text(String),
    /// A number.
    Number(u64),
}

/// Cumulative from the start of the process, as Prometheus counts.
const CUMULATIVE: u8 = 2;
/// It answers a request from elsewhere.
const SERVER: u8 = 2;
/// It failed.
const ERROR: u8 = 2;

impl Resource {
    fn json(&self) -> Json {
        let attributes = [
            ("service.name", self.service.as_str()),
            ("service.version", env!("CARGO_PKG_VERSION")),
            ("service.instance.id", &self.instance),
        ];
        json!({ "attributes": attributes.map(|(key, value)| text(key, value)) })
    }
}

fn scope() -> Json {
    json!({ "name": "pgpurpose", "version": env!("CARGO_PKG_VERSION") })
}

/// The body for `/v1/metrics`. `began` and `now` are nanoseconds since 1970.
pub fn metrics(page: &Page, resource: &Resource, began: u64, now: u64) -> String {
    let metrics: Vec<Json> = page.families().iter().map(|family| metric(family, began, now)).collect();
    json!({ "resourceMetrics": [{
        "resource": resource.json(),
        "scopeMetrics": [{ "scope": scope(), "metrics": metrics }],
    }] })
    .to_string()
}

fn metric(family: &Family, began: u64, now: u64) -> Json {
    let points: Vec<Json> =
        family.samples.iter().map(|(label, value)| point(label.as_ref(), value, began, now)).collect();
    let (unit, data) = match family.kind {
        Kind::Gauge => ("1", json!({ "gauge": { "dataPoints": points } })),
        Kind::Counter => {
            ("1", json!({ "sum": { "aggregationTemporality": CUMULATIVE, "isMonotonic": true, "dataPoints": points } }))
        }
        Kind::Histogram => {
            ("s", json!({ "histogram": { "aggregationTemporality": CUMULATIVE, "dataPoints": points } }))
        }
    };
    let mut metric = json!({ "name": family.name, "description": family.help, "unit": unit });
    if let (Some(metric), Json::Object(data)) = (metric.as_object_mut(), data) {
        metric.extend(data);
    }
    metric
}

fn point(label: Option<&(String, String)>, value: &Value, began: u64, now: u64) -> Json {
    let attributes: Vec<Json> = label.iter().map(|(key, value)| text(key, value)).collect();
    let (began, now) = (began.to_string(), now.to_string());
    match value {
        Value::Number(number) => {
            json!({ "attributes": attributes, "startTimeUnixNano": began, "timeUnixNano": now, "asInt": number.to_string() })
        }
        Value::Durations(durations) => {
            let below: u64 = durations.buckets.iter().map(|(_, count)| count).sum();
            let longer = durations.count.saturating_sub(below);
            let counts: Vec<String> = durations
                .buckets
                .iter()
                .map(|(_, count)| *count)
                .chain([longer])
                .map(|count| count.to_string())
                .collect();
            let bounds: Vec<f64> = durations.buckets.iter().map(|(end, _)| end.as_secs_f64()).collect();
            json!({
                "attributes": attributes, "startTimeUnixNano": began, "timeUnixNano": now, "count": durations.count.to_string(),
                "sum": durations.sum.as_secs_f64(), "bucketCounts": counts, "explicitBounds": bounds,
            })
        }
    }
}

/// The body for `/v1/traces`.
pub fn spans(spans: &[Span], resource: &Resource) -> String {
    let spans: Vec<Json> = spans.iter().map(Span::json).collect();
    json!({ "resourceSpans": [{
        "resource": resource.json(),
        "scopeSpans": [{ "scope": scope(), "spans": spans }],
    }] })
    .to_string()
}

impl Span {
    fn json(&self) -> Json {
        let attributes: Vec<Json> = self
            .attributes
            .iter()
            .map(|(key, value)| match value {
                Attribute::Text(value) => text(key, value),
                Attribute::Number(number) => json!({ "key": key, "value": { "intValue": number.to_string() } }),
            })
            .collect();
        let status = if self.failed { json!({ "code": ERROR }) } else { json!({}) };
        json!({
            "traceId": hex(&self.trace), "spanId": hex(&self.id), "name": self.name, "kind": SERVER,
            "startTimeUnixNano": self.start.to_string(), "endTimeUnixNano": self.end.to_string(),
            "attributes": attributes, "status": status,
        })
    }
}

fn text(key: &str, value: &str) -> Json {
    json!({ "key": key, "value": { "stringValue": value } })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use std::time::Duration;

    use super::super::Metrics;
    use super::*;

    fn resource() -> Resource {
        Resource { service: "pgpurpose".to_owned(), instance: "a1".to_owned() }
    }

    #[test]
    fn every_family_of_the_page_is_a_metric_of_the_same_kind() {
        let counted = Metrics::default();
        counted.statements_masked.add(3);
        counted.group_queries.bump("figures");
        counted.sessions.up();
        for micros in [10, 11, 60_000_000] {
            counted.log_append.observe(Duration::from_micros(micros));
        }
        let page = counted.page();
        let body: Json = serde_json::from_str(&metrics(&page, &resource(), 5, 7)).unwrap();
        let all = body["resourceMetrics"][0]["scopeMetrics"][0]["metrics"].as_array().unwrap();
        assert_eq!(all.len(), page.families().len());
        let named = |name: &str| all.iter().find(|metric| metric["name"] == format!("pgpurpose_{name}")).unwrap();
        let masked = &named("statements_total")["sum"];
        assert_eq!((&masked["isMonotonic"], &masked["aggregationTemporality"]), (&json!(true), &json!(2)));
        assert_eq!(
            masked["dataPoints"][1],
            json!({
                "attributes": [{ "key": "verdict", "value": { "stringValue": "mask" } }],
                "startTimeUnixNano": "5", "timeUnixNano": "7", "asInt": "3",
            })
        );
        assert_eq!(named("sessions")["gauge"]["dataPoints"][0]["asInt"], "1");
        let appended = &named("log_append_seconds")["histogram"]["dataPoints"][0];
        let counts = appended["bucketCounts"].as_array().unwrap();
        assert_eq!((&counts[0], &counts[1], counts.last().unwrap()), (&json!("1"), &json!("1"), &json!("1")));
        assert_eq!(counts.len(), appended["explicitBounds"].as_array().unwrap().len() + 1);
        assert_eq!((&appended["count"], &appended["sum"]), (&json!("3"), &json!(60.000_021)));
        assert_eq!(body["resourceMetrics"][0]["resource"]["attributes"][2]["value"]["stringValue"], "a1");
    }

    #[test]
    fn a_span_has_its_times_as_text_and_its_identifiers_in_hexadecimal() {
        let span = Span {
            trace: [0xab; 16],
            id: [1; 8],
            name: "SELECT shop".to_owned(),
            start: u64::MAX - 1,
            end: u64::MAX,
            failed: true,
            attributes: vec![
                ("db.namespace", Attribute::Text("shop".to_owned())),
                ("pgpurpose.record", Attribute::Number(u64::MAX)),
            ],
        };
        let body: Json = serde_json::from_str(&spans(&[span], &resource())).unwrap();
        assert_eq!(
            body["resourceSpans"][0]["scopeSpans"][0]["spans"][0],
            json!({
                "traceId": "ab".repeat(16), "spanId": "01".repeat(8), "name": "SELECT shop", "kind": 2,
                "startTimeUnixNano": "18446744073709551614", "endTimeUnixNano": "18446744073709551615",
                "attributes": [
                    { "key": "db.namespace", "value": { "stringValue": "shop" } },
                    { "key": "pgpurpose.record", "value": { "intValue": "18446744073709551615" } },
                ],
                "status": { "code": 2 },
            })
        );
    }
}
