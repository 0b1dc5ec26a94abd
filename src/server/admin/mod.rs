//! What the operator asks over HTTP: `/healthz`, `/readyz` and `/metrics`, by GET alone; everything else is the console's.

mod outside;
mod ready;

use std::convert::Infallible;
use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::alerts::Teller;
use super::otlp::Exported;
use super::patient::Patient;
use super::places::{Place, Places};
use super::tls::ListenTls;
use super::web::{Answer, asked};
use crate::audit::AuditLog;
use crate::audit::ship::{ShipStatus, Shipping};
use crate::config::Zone;
use crate::telemetry::{Metrics, OwnLines, Page as MetricsPage};
use crate::wire::common_name;

pub(crate) use outside::parts;
use ready::Looks;
pub use ready::Readiness;
pub(crate) use ready::{CLOCK, OBSERVED};

/// Connections that are served at a time; with one more, the one that is there longest ends.
const MOST_CONNECTIONS: usize = 64;
/// The same from one address.
const MOST_PER_ADDRESS: usize = 32;
/// How long a client may take to send its request's head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a client may read nothing of its answer.
const WRITE_TIMEOUT: Duration = Duration::from_secs(5);

/// What the proxy runs with at the moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Running {
    /// `sha256:…` of the policies in force.
    pub policy: String,
    /// Nothing is enforced.
    pub observe: bool,
    /// Why the last reload was not taken; `None` where it was.
    pub not_loaded: Option<String>,
    /// Why the policies no longer fit the catalog as it is now; `None` where they do.
    pub misfit: Option<String>,
    /// The proxy is being stopped: nobody should be sent to it any more.
    pub draining: bool,
    /// Whose times are shown.
    pub zone: Zone,
    /// Epoch of the catalog snapshot; `None` while there is none.
    pub catalog: Option<u64>,
}

/// Asks the database whether it can be reached; the error is for the operator.
pub type UpstreamCheck = Box<dyn Fn() -> Pin<Box<dyn Future<Output = Result<(), String>> + Send>> + Send + Sync>;

/// What the pages are made from.
pub struct Admin {
    /// The counters.
    pub metrics: Arc<Metrics>,
    /// The lines of the proxy's own log.
    pub own: Arc<OwnLines>,
    /// The access log.
    pub log: AuditLog,
    /// Places beside its files.
    pub sinks: Vec<Shipping>,
    /// Counts alerts, where somebody is told of any.
    pub alerts: Option<Teller>,
    /// What went to a collector, where there is one.
    pub exported: Option<Arc<Exported>>,
    /// Gives what the proxy runs with.
    pub running: Box<dyn Fn() -> Running + Send + Sync>,
    /// Asks the database.
    pub upstream: UpstreamCheck,
}

/// What is shared by the connections of one listener.
struct Serving {
    admin: Arc<Admin>,
    looks: Looks,
    console: Option<Answer>,
}

/// Who asks.
struct Peer {
    from: IpAddr,
    /// The common name of the certificate that was shown.
    certificate: Option<String>,
}

/// Answers on the listener until the task is dropped. `console`: what answers people, where anybody may look.
pub async fn serve(listener: TcpListener, admin: Arc<Admin>, tls: Option<ListenTls>, console: Option<Answer>) {
    let serving = Arc::new(Serving { admin, looks: Looks::default(), console });
    let places = Places::new(MOST_CONNECTIONS, MOST_PER_ADDRESS);
    loop {
        let (stream, from) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "the admin endpoint could not accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let (place, serving, tls) = (places.enter(from.ip()), Arc::clone(&serving), tls.clone());
        tokio::spawn(async move {
            let Some(tls) = tls else {
                return connection(stream, place, Peer { from: from.ip(), certificate: None }, serving).await;
            };
            let acceptor = TlsAcceptor::from(Arc::clone(&tls.current().config));
            if let Ok(Ok(stream)) = tokio::time::timeout(HEAD_TIMEOUT, acceptor.accept(stream)).await {
                let shown = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
                let certificate = shown.and_then(|certificate| common_name(certificate));
                connection(stream, place, Peer { from: from.ip(), certificate }, serving).await;
            }
        });
    }
}

/// Serves one connection until it ends or has to make room.
async fn connection<S: AsyncRead + AsyncWrite + Unpin>(stream: S, place: Place, peer: Peer, serving: Arc<Serving>) {
    let (place, peer) = (&place, &peer);
    let service = service_fn(move |request| {
        let serving = Arc::clone(&serving);
        async move { Ok::<_, Infallible>(answer(&serving, place, peer, request).await) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(16 << 10)
        .serve_connection(TokioIo::new(Patient::new(stream, WRITE_TIMEOUT)), service);
    tokio::select! {
        // What has come is answered before the place is given away.
        biased;
        served = served => if let Err(error) = served {
            tracing::debug!(%error, "a connection to the admin endpoint ended");
        },
        () = place.ended() => tracing::debug!("a connection to the admin endpoint made room for another"),
    }
}

type Page = Response<Full<Bytes>>;

async fn answer(serving: &Serving, place: &Place, peer: &Peer, request: Request<Incoming>) -> Page {
    let admin = &serving.admin;
    let machine = matches!(request.uri().path(), "/healthz" | "/readyz" | "/metrics");
    if machine && request.method() != Method::GET {
        return page(StatusCode::METHOD_NOT_ALLOWED, TEXT, "only GET is answered\n".to_owned());
    }
    match request.uri().path() {
        "/healthz" => page(StatusCode::OK, TEXT, "ok\n".to_owned()),
        "/readyz" => {
            // Whoever asks whether statements are served waits for the database, and makes room for nobody meanwhile.
            let _held = place.hold();
            let readiness = serving.looks.look(admin).await;
            let status = if readiness.is_ready() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
            page(status, TEXT, readiness.to_string())
        }
        "/metrics" => page(StatusCode::OK, METRICS, metrics(admin).finish()),
        _ => match &serving.console {
            None if request.uri().path() == "/" && request.method() == Method::GET => {
                let _held = place.hold();
                let readiness = serving.looks.look(admin).await;
                page(StatusCode::OK, HTML, outside::page(admin, &readiness))
            }
            None => page(StatusCode::NOT_FOUND, TEXT, NO_CONSOLE.to_owned()),
            Some(console) => match asked(request, peer.from, peer.certificate.clone(), false).await {
                Ok(asked) => console(asked).await,
                Err(refused) => refused,
            },
        },
    }
}

/// Where nobody may look.
const NO_CONSOLE: &str = "there are /healthz, /readyz and /metrics; the console is for the `[[admin.reviewers]]` and \
    `[[admin.officers]]` of the configuration, which names none\n";

/// Everything that is measured, as it is at the moment.
pub fn metrics(admin: &Admin) -> MetricsPage {
    let status = admin.log.status();
    let mut page = admin.metrics.page();
    let running = (admin.running)();
    page.gauge("enforcing", "Whether policies are enforced: 0 in observe mode.", !running.observe);
    page.gauge("policy_not_loaded", "Whether the last reload was not taken.", running.not_loaded.is_some());
    page.gauge(
        "policy_misfit",
        "Whether the catalog has changed so that the policies no longer fit it.",
        running.misfit.is_some(),
    );
    page.gauge("log_writable", "Whether the access log can be written.", status.trouble.is_none());
    page.counter("log_refused_total", "Records that the access log could not take.", status.refused);
    page.gauge("log_records", "Number of the last record in the access log.", status.last_seq);
    page.gauge("log_waiting_jobs", "Statements and events that wait for the writer.", status.waiting);
    let undurable = status.last_seq.saturating_sub(status.durable);
    page.gauge("log_unsynced_records", "Records that were written and not synced yet.", undurable);
    if status.free_bytes != u64::MAX {
        page.gauge("log_free_bytes", "Bytes that are free on the access log's disk.", status.free_bytes);
    }
    page.gauge("log_space_low", "Whether the access log's disk is nearly full.", status.low);
    page.gauge(
        "log_clock_in_doubt",
        "Whether the machine's clock jumped and nobody confirmed it.",
        status.clock_in_doubt,
    );
    page.gauge(
        "log_sync_seconds",
        "Age of a sync of the access log that has not returned yet.",
        status.syncing.as_secs(),
    );
    page.gauge("draining", "Whether the proxy is being stopped.", running.draining);
    let levels = admin.own.by_level();
    page.by_label("own_log_lines_total", "counter", "Lines of the proxy's own log.", "level", &levels);
    page.counter("own_log_left_out_total", "Of these, left out because one place said too much.", admin.own.left_out());
    if let Some((sent, unsent)) = admin.alerts.as_ref().map(Teller::counts) {
        page.counter("alerts_sent_total", "Alerts that every way took.", sent);
        page.counter("alerts_unsent_total", "Alerts that one way at least did not take.", unsent);
    }
    page.gauge("log_held_files", "Files past their age that a sink still needs.", status.held_files);
    if let Some(checkpoint) = status.checkpoint {
        let age = jiff::Timestamp::now().duration_since(checkpoint.time).as_secs().max(0);
        page.gauge("log_checkpoint_age_seconds", "Age of the newest signed checkpoint.", age);
        let behind = status.last_seq.saturating_sub(checkpoint.covers + 1);
        page.gauge("log_uncovered_records", "Records since the newest signed checkpoint.", behind);
    }
    let sinks: Vec<_> = admin.sinks.iter().map(Shipping::status).collect();
    let labelled = |value: fn(&ShipStatus, u64) -> u64| -> Vec<(&str, u64)> {
        sinks.iter().map(|sink| (sink.name, value(sink, status.durable))).collect()
    };
    page.by_label(
        "sink_up",
        "gauge",
        "Whether a sink takes records.",
        "sink",
        &labelled(|sink, _| sink.trouble.is_none().into()),
    );
    let lag = labelled(|sink, durable| durable.saturating_sub(sink.delivered));
    page.by_label("sink_lag_records", "gauge", "Records that a sink does not have yet.", "sink", &lag);
    page.by_label("sink_failures_total", "counter", "Failures of a sink.", "sink", &labelled(|sink, _| sink.failures));
    if let Some(exported) = &admin.exported {
        exported.show(&mut page);
    }
    page
}

const HTML: &str = "text/html; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";
const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";

const HEADERS: [(HeaderName, HeaderValue); 5] = [
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (
        header::CONTENT_SECURITY_POLICY,
        // A page says besides, by its digest, which style may stand in it; both hold.
        HeaderValue::from_static(
            "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'",
        ),
    ),
];

fn page(status: StatusCode, kind: &'static str, body: String) -> Page {
    let mut page = Response::new(Full::new(Bytes::from(body)));
    *page.status_mut() = status;
    page.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    page.headers_mut().extend(HEADERS);
    page
}

#[cfg(test)]
mod tests;
