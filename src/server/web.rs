//! What a site for people is served by: connections that are bounded, in TLS where there is a certificate; requests that are read whole
//! and small; answers that are held in memory.

use std::convert::Infallible;
use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{HeaderMap, HeaderName};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::patient::Patient;
use super::places::{Place, Places};
use super::tls::ListenTls;

/// Connections that are served at a time; with one more, the one that is there longest ends.
const MOST_CONNECTIONS: usize = 512;
/// The same from one address.
const MOST_PER_ADDRESS: usize = 64;
/// How long a client may take for TLS, for its request's head, and for its body.
const PATIENCE: Duration = Duration::from_secs(10);
/// Bytes of a request's body.
const MOST_BODY: usize = 16 << 10;

/// What was asked, read to its end.
#[derive(Debug)]
pub struct WebRequest {
    /// How.
    pub method: Method,
    /// The path, as it came.
    pub path: String,
    /// What stands behind the question mark.
    pub query: String,
    /// The common name of the certificate that the client showed, where it was asked for one and it holds.
    pub certificate: Option<String>,
    /// Headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// From where; of IPv6 the /64.
    pub from: IpAddr,
}

/// What is answered.
pub type WebAnswer = Response<Full<Bytes>>;

/// Answers one request.
pub type Answer = Arc<dyn Fn(WebRequest) -> Pin<Box<dyn Future<Output = WebAnswer> + Send>> + Send + Sync>;

/// How a site is reached.
pub struct Site {
    /// Its certificate.
    pub tls: Option<ListenTls>,
    /// Whether a proxy before it says in `X-Forwarded-For` from where a request comes: the last address there counts.
    pub forwarded: bool,
    /// What answers.
    pub answer: Answer,
}

/// Answers on the listener until the task is dropped.
pub async fn serve(listener: TcpListener, site: Site) {
    let site = Arc::new(site);
    let places = Places::new(MOST_CONNECTIONS, if site.forwarded { MOST_CONNECTIONS } else { MOST_PER_ADDRESS });
    loop {
        let (stream, from) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "the site could not accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let (place, site) = (places.enter(from.ip()), Arc::clone(&site));
        tokio::spawn(async move {
            let _ = stream.set_nodelay(true);
            match &site.tls {
                None => connection(stream, place, from.ip(), &site).await,
                Some(tls) => {
                    let acceptor = TlsAcceptor::from(Arc::clone(&tls.current().config));
                    let accepted = tokio::time::timeout(PATIENCE, acceptor.accept(stream)).await;
                    if let Ok(Ok(stream)) = accepted {
                        connection(stream, place, from.ip(), &site).await;
                    }
                }
            }
        });
    }
}

async fn connection<S: AsyncRead + AsyncWrite + Unpin>(stream: S, place: Place, from: IpAddr, site: &Arc<Site>) {
    let service = service_fn(move |request| {
        let site = Arc::clone(site);
        async move { Ok::<_, Infallible>(answered(&site, from, request).await) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .max_buf_size(32 << 10)
        .serve_connection(TokioIo::new(Patient::new(stream, PATIENCE)), service);
    tokio::select! {
        biased;
        served = served => if let Err(error) = served {
            tracing::debug!(%error, "a connection to the site ended");
        },
        () = place.ended() => tracing::debug!("a connection to the site made room for another"),
    }
}

async fn answered(site: &Site, peer: IpAddr, request: Request<Incoming>) -> WebAnswer {
    match asked(request, peer, None, site.forwarded).await {
        Ok(asked) => (site.answer)(asked).await,
        Err(refused) => refused,
    }
}

/// Reads a request to its end.
pub(super) async fn asked(
    request: Request<Incoming>,
    peer: IpAddr,
    certificate: Option<String>,
    is_forwarded: bool,
) -> Result<WebRequest, WebAnswer> {
    let (parts, body) = request.into_parts();
    let read = tokio::time::timeout(PATIENCE, Limited::new(body, MOST_BODY).collect()).await;
    let Ok(Ok(body)) = read else { return Err(refused(StatusCode::PAYLOAD_TOO_LARGE)) };
    let forwarded = if is_forwarded { forwarded(&parts.headers) } else { None };
    Ok(WebRequest {
        method: parts.method,
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        certificate,
        headers: parts.headers,
        body: body.to_bytes(),
        from: super::places::whole(forwarded.unwrap_or(peer)),
    })
}

/// The address that the proxy before us saw: it appends it, so that it is the last one, whatever the client wrote.
fn forwarded(headers: &HeaderMap) -> Option<IpAddr> {
    let last = headers.get_all(HeaderName::from_static("x-forwarded-for")).iter().next_back()?.to_str().ok()?;
    last.rsplit(',').next()?.trim().trim_matches(['[', ']']).parse().ok()
}

fn refused(status: StatusCode) -> WebAnswer {
    let mut answer = Response::new(Full::new(Bytes::new()));
    *answer.status_mut() = status;
    answer
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn of_forwarded_addresses_only_the_last_is_believed() {
        let mut headers = HeaderMap::new();
        headers.append("x-forwarded-for", "198.51.100.7, 203.0.113.9".parse().unwrap());
        assert_eq!(forwarded(&headers), Some("203.0.113.9".parse().unwrap()));
        headers.append("x-forwarded-for", "[2001:db8::1]".parse().unwrap());
        assert_eq!(forwarded(&headers), Some("2001:db8::1".parse().unwrap()));
        headers.append("x-forwarded-for", "nobody".parse().unwrap());
        assert_eq!(forwarded(&headers), None);
    }
}
