#![allow(unused_must_use, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::string_slice)]

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};

use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;
use crate::audit::Sync;

struct Running1 {
    address: SocketAddr,
    metrics: Arc<Metrics>,
    database: Arc<AtomicBool>,
    directory: TempDir,
}

async fn running() -> Running1 {
    let directory = TempDir::new().unwrap();
    let log = AuditLog::open(&directory.path().join("log"), Sync::Written).unwrap();
    let (metrics, database) = (Arc::new(Metrics::default()), Arc::new(AtomicBool::new(true)));
    let up = Arc::clone(&database);
    let admin = Admin {
        metrics: Arc::clone(&metrics),
        own: Arc::default(),
        log,
        sinks: Vec::new(),
        alerts: None,
        exported: None,
        running: Box::new(|| Running {
            policy: "sha256:<b>".into(),
            observe: false,
            not_loaded: None,
            misfit: None,
            draining: false,
            zone: Zone::default(),
            catalog: Some(7),
        }),
        upstream: Box::new(move || {
            let up = up.load(Ordering::Relaxed);
            Box::pin(async move { if up { Ok(()) } else { Err("connection refused".to_owned()) } })
        }),
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(serve(listener, Arc::new(admin), None, None));
    Running1 { address, metrics, database, directory }
}

impl Running1 {
    async fn ask(&self, request: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        (answer.split(' ').nth(1).unwrap().parse().unwrap(), answer)
    }

    async fn get(&self, path: &str) -> (u16, String) {
        self.ask(&format!("GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.address)).await
    }
}

#[tokio::test]
async fn health_and_readiness_tell_what_is_wrong() {
    let server = running().await;
    assert_eq!(server.get("/healthz").await.0, 200);
    let (status, text) = server.get("/readyz").await;
    assert_eq!(status, 200, "{text}");
    server.database.store(false, Ordering::Relaxed);
    let (status, text) = server.get("/readyz").await;
    assert_eq!(status, 503);
    assert!(text.ends_with("access log: ok\ncatalog: ok\ndatabase: connection refused\n"), "{text}");
    server.database.store(true, Ordering::Relaxed);
    let (here, away) = (server.directory.path().join("log"), server.directory.path().join("away"));
    std::fs::rename(&here, &away).unwrap();
    let until = std::time::Instant::now() + Duration::from_secs(10);
    while server.get("/readyz").await.0 == 200 {
        assert!(std::time::Instant::now() < until, "a vanished log turns readiness red without a statement");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(server.get("/metrics").await.1.contains("\npgpurpose_log_writable 0\n"));
    std::fs::rename(&away, &here).unwrap();
    while server.get("/readyz").await.0 != 200 {
        assert!(std::time::Instant::now() < until, "and it turns green again without one");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(server.get("/healthz").await.0, 200);
}

#[tokio::test]
async fn metrics_are_in_the_form_of_prometheus() {
    let server = running().await;
    server.metrics.statements_denied.bump();
    let (status, text) = server.get("/metrics").await;
    assert_eq!(status, 200);
    assert!(text.contains("content-type: text/plain; version=0.0.4"), "{text}");
    assert!(text.contains("\npgpurpose_statements_total{verdict=\"deny\"} 1\n"), "{text}");
    assert!(text.contains("\npgpurpose_log_writable 1\n"), "{text}");
}

/// A sink that takes nothing.
struct Nowhere;

impl crate::audit::ship::Deliver for Nowhere {
    fn begin(&mut self) -> Result<Option<crate::audit::ship::Position>, String> {
        Err("nowhere".to_owned())
    }

    fn deliver(&mut self, _: &[crate::audit::read::Entry]) -> Result<(), String> {
        Ok(())
    }
}

/// Everything that can be exposed: a log with checkpoints, and a sink.
async fn everything() -> (String, TempDir) {
    let directory = TempDir::new().unwrap();
    let signer = crate::audit::checkpoint::Signer::new(&[7; 32]).map(Arc::new);
    let options = crate::audit::LogOptions { signer, ..crate::audit::LogOptions::new(directory.path(), Sync::Written) };
    let log = AuditLog::open_with(options).unwrap();
    let sink = Shipping::start(&log, "postgres", crate::audit::ship::Wanted::All, Box::new(Nowhere)).unwrap();
    while sink.status().failures == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let admin = Admin {
        metrics: Arc::new(Metrics::default()),
        own: Arc::default(),
        log,
        sinks: vec![sink],
        alerts: None,
        exported: None,
        running: Box::new(Running::default),
        upstream: Box::new(|| Box::pin(async { Ok(()) })),
    };
    admin.metrics.upstream.observe(Duration::from_millis(3));
    (metrics(&admin).finish(), directory)
}

/// The name of a metric, without what a histogram adds.
fn family(name: &str) -> &str {
    ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name)
}

/// What `promtool check metrics` looks at.
#[tokio::test]
async fn every_metric_has_its_help_and_type_and_histograms_add_up() {
    let (page, _directory) = everything().await;
    let (mut helped, mut typed) = (std::collections::HashSet::new(), std::collections::HashMap::new());
    let (mut seen, mut below) = (std::collections::HashSet::new(), None::<(String, f64)>);
    for line in page.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').unwrap();
            assert!(helped.insert(name) && help.ends_with('.'), "{line}");
            continue;
        }
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert!(helped.contains(name) && typed.insert(name, kind).is_none(), "{line}");
            assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
            continue;
        }
        let (sample, value) = line.rsplit_once(' ').unwrap();
        let value: f64 = value.parse().unwrap();
        assert!(seen.insert(sample), "twice: {line}");
        let name = sample.split('{').next().unwrap();
        assert!(name.starts_with("pgpurpose_") && name.chars().all(|c| c.is_ascii_lowercase() || c == '_'), "{line}");
        let histogram = typed.get(family(name)) == Some(&"histogram");
        assert!(histogram || typed.contains_key(name), "{line}");
        if name.ends_with("_bucket") {
            if let Some((before, count)) = &below {
                assert!(before != name || value >= *count, "{line}");
            }
            below = Some((name.to_owned(), value));
        } else if histogram && name.ends_with("_count") {
            assert_eq!(below.take().map(|(_, count)| count), Some(value), "{line}");
        }
        let label = sample.split_once('{').map(|(_, label)| label.split('=').next().unwrap());
        assert!(
            matches!(label, None | Some("le" | "stage" | "verdict" | "sink" | "level")),
            "no label that a client could choose: {line}"
        );
    }
    assert!(page.lines().count() < 350, "bounded");
    assert!(
        page.contains("\npgpurpose_sink_up{sink=\"postgres\"} 0\n")
            && page.contains("\npgpurpose_log_uncovered_records 0\n"),
        "{page}"
    );
}

#[tokio::test]
async fn nothing_but_get_is_answered_and_there_is_no_console_where_nobody_may_look() {
    let server = running().await;
    for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
        let request =
            format!("{method} /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
        assert_eq!(server.ask(&request).await.0, 405, "{method}");
    }
    let (status, state) = server.get("/").await;
    assert!(status == 200 && state.contains("<h1>pgpurpose") && state.contains("access log"), "{state}");
    assert!(
        state.contains("reviewers]]") && state.contains("style-src 'sha256-") && !state.contains("Last decisions"),
        "{state}"
    );
    for path in ["/etc/passwd", "/enter", "/proxy"] {
        let (status, text) = server.get(path).await;
        assert!(status == 404 && text.contains("the console is for"), "{path}: {text}");
    }
}

#[tokio::test]
async fn a_client_that_never_finishes_its_request_is_let_go() {
    let server = running().await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(b"GET / HTT").await.unwrap();
    let mut rest = Vec::new();
    let ended = tokio::time::timeout(HEAD_TIMEOUT + Duration::from_secs(5), stream.read_to_end(&mut rest)).await;
    assert!(ended.is_ok());
    assert_eq!(server.get("/healthz").await.0, 200);
}

/// Asks for page after page and reads none, until nothing more is taken.
async fn unread(address: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let many = format!("GET /metrics HTTP/1.1\r\nHost: {address}\r\n\r\n").repeat(500);
    while let Ok(Ok(())) = tokio::time::timeout(Duration::from_millis(200), stream.write_all(many.as_bytes())).await {}
    stream
}

#[tokio::test]
async fn health_is_told_while_others_hold_connections_and_read_nothing() {
    let server = running().await;
    let mut held = Vec::new();
    for number in 0..MOST_CONNECTIONS + 10 {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        // Some say nothing, some a part, some have been answered and stay, and read nothing.
        let said: &[u8] = match number % 3 {
            0 => b"",
            1 => b"GET /readyz HT",
            _ => b"GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n",
        };
        stream.write_all(said).await.unwrap();
        held.push(stream);
    }
    held.push(unread(server.address).await);
    for path in ["/healthz", "/readyz", "/metrics"] {
        let answer = tokio::time::timeout(HEAD_TIMEOUT / 2, server.get(path)).await;
        assert_eq!(answer.map(|(status, _)| status), Ok(200), "{path}");
    }
    drop(held);
}

#[tokio::test]
async fn a_client_that_reads_nothing_is_let_go() {
    let server = running().await;
    let mut stream = unread(server.address).await;
    tokio::time::sleep(WRITE_TIMEOUT + Duration::from_secs(1)).await;
    // What was sent is still there; behind it the connection has ended.
    let mut rest = Vec::new();
    let ended = tokio::time::timeout(Duration::from_secs(3), stream.read_to_end(&mut rest)).await;
    assert!(ended.is_ok(), "{} bytes, and no end", rest.len());
}

#[tokio::test]
async fn many_who_ask_at_once_ask_the_database_once_or_twice() {
    let asked = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    let directory = TempDir::new().unwrap();
    let admin = Admin {
        metrics: Arc::new(Metrics::default()),
        own: Arc::default(),
        log: AuditLog::open(directory.path(), Sync::Written).unwrap(),
        sinks: Vec::new(),
        alerts: None,
        exported: None,
        running: Box::new(Running::default),
        upstream: Box::new(move || {
            counted.fetch_add(1, Ordering::Relaxed);
            Box::pin(async {
                tokio::time::sleep(Duration::from_millis(50)).await;
                Ok(())
            })
        }),
    };
    let looks = Looks::default();
    futures_util::future::join_all((0..50).map(|_| looks.look(&admin))).await;
    assert!((1..=2).contains(&asked.load(Ordering::Relaxed)));
    looks.look(&admin).await;
    assert!((2..=3).contains(&asked.load(Ordering::Relaxed)), "a later question is not answered by an older look");
}
