//! Traces and metrics for a collector: what arrives, what never does, and a collector that is away.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::Value;

use super::support::client::login;
use super::support::proxy::{Port, Proxy};
use super::support::shop;
use super::{SHOP_POLICY, get, until};

/// A collector of our own: it takes what is posted.
struct Collector {
    port: u16,
    taken: Arc<Mutex<Vec<(String, String)>>>,
}

impl Collector {
    fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let taken = Arc::new(Mutex::new(Vec::new()));
        let all = Arc::clone(&taken);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let all = Arc::clone(&all);
                std::thread::spawn(move || take(stream.unwrap(), &all));
            }
        });
        Self { port, taken }
    }

    /// Bodies of one signal, as text.
    fn bodies(&self, path: &str) -> Vec<String> {
        let taken = self.taken.lock().unwrap();
        taken
            .iter()
            .filter(|(head, _)| head.starts_with(&format!("POST {path} ")))
            .map(|(_, body)| body.clone())
            .collect()
    }

    fn spans(&self) -> Vec<Value> {
        let of = |body: &String| {
            let body: Value = serde_json::from_str(body).unwrap();
            body["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().unwrap().clone()
        };
        self.bodies("/v1/traces").iter().flat_map(of).collect()
    }

    fn metrics(&self) -> Vec<Value> {
        let Some(last) = self.bodies("/v1/metrics").pop() else { return Vec::new() };
        let body: Value = serde_json::from_str(&last).unwrap();
        body["resourceMetrics"][0]["scopeMetrics"][0]["metrics"].as_array().unwrap().clone()
    }
}

fn take(stream: TcpStream, all: &Mutex<Vec<(String, String)>>) {
    let mut reader = BufReader::new(stream);
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 {
            return;
        }
        if let Some(said) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = said.trim().parse().unwrap();
        }
        if line == "\r\n" {
            break;
        }
        head.push_str(&line);
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    all.lock().unwrap().push((head, String::from_utf8(body).unwrap()));
    let _ =
        reader.get_mut().write_all(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}");
}

fn before(port: u16, more: &str) -> Proxy {
    let telemetry = format!("[telemetry]\notlp = \"http://127.0.0.1:{port}/\"\n{more}");
    Proxy::start_in(shop(), SHOP_POLICY, &telemetry, "", &[("COLLECTOR_TOKEN", "collector-secret")])
}

fn said<'a>(span: &'a Value, key: &str) -> Option<&'a str> {
    let all = span["attributes"].as_array().unwrap();
    let value = &all.iter().find(|attribute| attribute["key"] == key)?["value"];
    value["stringValue"].as_str().or_else(|| value["intValue"].as_str())
}

#[test]
fn a_collector_gets_a_span_for_each_statement_and_no_literal_subject_or_secret() {
    let collector = Collector::start();
    let more = "trace_one_in = 1\nmetrics_seconds = 1\ntoken = \"env:COLLECTOR_TOKEN\"\nservice_name = \"shop proxy\"";
    let proxy = before(collector.port, more);
    let agent = login("support_agent").application("traced of thandi");
    let sql = "/* actor='thandi.dlamini',ticket='OPS-12' */ SELECT id, email FROM customers WHERE city = 'Qwertyville' AND id = 4711";
    assert!(proxy.psql(shop(), &agent, &[sql]).ok);
    assert!(!proxy.psql(shop(), &agent, &["SELECT health_note FROM customers WHERE full_name = 'Zanele Q'"]).ok);
    assert!(!proxy.psql(shop(), &agent, &["thandi is no statement"]).ok);
    assert!(!proxy.psql(shop(), &agent, &["SELECT 1 / (id - id) FROM customers"]).ok);
    until("all are traced", || collector.spans().len() >= 4);
    let (spans, log) = (collector.spans(), proxy.access_log());
    for span in &spans {
        // Each is the record of the access log that it names.
        let record: u64 = said(span, "pgpurpose.record").unwrap().parse().unwrap();
        let logged = log.iter().find(|logged| logged["seq"] == record && logged["event"] == "access").unwrap();
        let outcome = log.iter().find(|other| other["event"] == "outcome" && other["of"] == logged["seq"]);
        let outcome = outcome.unwrap();
        for (field, key) in [
            ("login", "pgpurpose.login"),
            ("purpose", "pgpurpose.purpose"),
            ("verdict", "pgpurpose.verdict"),
            ("fingerprint", "pgpurpose.fingerprint"),
            ("database", "db.namespace"),
        ] {
            assert_eq!(said(span, key), logged[field].as_str(), "{field}: {span}");
        }
        assert_eq!(said(span, "db.response.status_code"), outcome["sqlstate"].as_str(), "{span} {outcome}");
        let times =
            ["startTimeUnixNano", "endTimeUnixNano"].map(|key| span[key].as_str().unwrap().parse::<u64>().unwrap());
        let took = (outcome["ms"].as_f64().unwrap() * 1e6).round();
        assert!(((times[1] - times[0]) as f64 - took).abs() <= 1000.0, "{span} {outcome}");
        assert_eq!((span["traceId"].as_str().unwrap().len(), span["spanId"].as_str().unwrap().len()), (32, 16));
        assert_eq!(span["status"]["code"] == 2, outcome["status"] != "ok", "{span} {outcome}");
    }
    let names: Vec<&str> = spans.iter().map(|span| span["name"].as_str().unwrap()).collect();
    assert!(names.iter().filter(|name| **name == "SELECT shop").count() >= 3, "{names:?}");
    // The metrics are those of Prometheus, by the same names.
    until("metrics arrive", || {
        collector.metrics().iter().any(|metric| {
            metric["name"] == "pgpurpose_statements_total"
                && metric["sum"]["dataPoints"][2]["asInt"].as_str().is_some_and(|denied| denied != "0")
        })
    });
    let page = get(&proxy, "/metrics").1;
    let typed: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    let metrics = collector.metrics();
    let sent: Vec<&str> = metrics.iter().map(|metric| metric["name"].as_str().unwrap()).collect();
    assert_eq!(sent, typed);
    let taken = collector.taken.lock().unwrap();
    for (head, body) in taken.iter() {
        assert!(
            head.to_ascii_lowercase().contains("content-type: application/json")
                && head.contains("Bearer collector-secret"),
            "{head}"
        );
        assert!(body.contains("shop proxy"));
        for part in [
            "thandi",
            "Thandi",
            "OPS-12",
            "Qwertyville",
            "4711",
            "Zanele",
            "collector-secret",
            "customers",
            "traced of",
        ] {
            assert!(!body.contains(part), "{part}: {body}");
        }
    }
    assert!(
        page.contains("pgpurpose_otlp_sent_total{signal=\"traces\"}")
            && !page.contains("otlp_dropped_total{signal=\"traces\"} 1")
    );
}

#[test]
fn sampling_leaves_out_what_went_well_and_keeps_what_was_refused() {
    let collector = Collector::start();
    let proxy = before(collector.port, "trace_one_in = 1000000\nmetrics_seconds = 0");
    let agent = login("support_agent").application("sampled");
    for _ in 0..5 {
        assert!(proxy.psql(shop(), &agent, &["SELECT id FROM customers WHERE id = 1"]).ok);
        assert!(!proxy.psql(shop(), &agent, &["SELECT health_note FROM customers"]).ok);
    }
    until("the refusals are traced", || collector.spans().len() >= 5);
    let verdicts: Vec<Value> = collector.spans();
    assert!(verdicts.iter().all(|span| said(span, "pgpurpose.verdict") == Some("deny")), "{verdicts:?}");
    assert!(collector.bodies("/v1/metrics").is_empty());
}

#[test]
fn a_collector_that_is_away_or_never_answers_holds_no_statement_up() {
    let port = Port::free();
    let proxy = before(port.number(), "trace_one_in = 1\nmetrics_seconds = 1");
    let agent = login("support_agent").application("untraced");
    let ask = || assert_eq!(proxy.psql(shop(), &agent, &["SELECT id FROM customers WHERE id = 1"]).fine(), "1");
    for _ in 0..5 {
        ask();
    }
    until("what cannot be sent is dropped and counted", || {
        let page = get(&proxy, "/metrics").1;
        let dropped = |signal: &str| {
            page.lines().any(|line| {
                line.strip_prefix(&format!("pgpurpose_otlp_dropped_total{{signal=\"{signal}\"}} "))
                    .is_some_and(|count| count != "0")
            })
        };
        dropped("traces") && dropped("metrics")
    });
    assert_eq!(get(&proxy, "/readyz").0, 200);
    drop(proxy);
    // It takes connections, and says nothing.
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let proxy = before(silent.local_addr().unwrap().port(), "trace_one_in = 1\nmetrics_seconds = 1");
    for _ in 0..5 {
        assert_eq!(proxy.psql(shop(), &agent, &["SELECT id FROM customers WHERE id = 1"]).fine(), "1");
    }
    assert_eq!(get(&proxy, "/readyz").0, 200);
    let accesses = proxy.accesses_of("untraced");
    assert_eq!(accesses.len(), 5, "and all are logged");
}
