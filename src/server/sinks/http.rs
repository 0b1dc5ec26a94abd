//! HTTP: records as JSON lines in the body of a POST, for checkpoints that are kept on another machine.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{self, HeaderValue};
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::audit::read::Entry;
use crate::audit::ship::{Deliver, Position};
use crate::config::{HostPort, HttpUrl, Secret};

/// How long one POST may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How much of an answer is read, and how long the next part of it may take.
const ANSWER: usize = 64 * 1024;
const AFTERWARDS: Duration = Duration::from_millis(500);
/// Where Debian and its kin keep the authorities that the machine trusts.
const AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// A server that takes POSTs.
pub struct Http {
    url: HttpUrl,
    token: Option<Secret>,
    tls: Option<Arc<ClientConfig>>,
}

impl Http {
    /// The server's certificate must be of one of the authorities in this file, or of one that the machine trusts. A token
    /// goes as `Authorization: Bearer`, to this server alone: redirects are not followed.
    ///
    /// # Errors
    /// The authorities cannot be read.
    pub fn new(url: HttpUrl, token: Option<Secret>, ca: Option<&Path>) -> Result<Self, String> {
        let tls = if url.tls { Some(Arc::new(trusting(ca.unwrap_or(Path::new(AUTHORITIES)))?)) } else { None };
        Ok(Self { url, token, tls })
    }

    /// Sends one body, with more headers.
    ///
    /// # Errors
    /// The server cannot be reached, or answers with no success.
    pub(in crate::server) async fn post(
        &self,
        body: String,
        kind: &'static str,
        more: &[(&'static str, String)],
    ) -> Result<(), String> {
        let HostPort { host, port } = &self.url.address;
        let stream = TcpStream::connect((host.as_str(), *port)).await.map_err(|error| error.to_string())?;
        match &self.tls {
            None => self.send(stream, body, kind, more).await,
            Some(config) => {
                let name = ServerName::try_from(host.clone()).map_err(|error| error.to_string())?;
                let stream = TlsConnector::from(Arc::clone(config)).connect(name, stream).await;
                self.send(stream.map_err(|error| error.to_string())?, body, kind, more).await
            }
        }
    }

    async fn send<S>(
        &self,
        stream: S,
        body: String,
        kind: &'static str,
        more: &[(&'static str, String)],
    ) -> Result<(), String>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
        let connection = tokio::spawn(connection);
        let mut request =
            Request::post(&self.url.path).header(header::HOST, &self.url.authority).header(header::CONTENT_TYPE, kind);
        for (name, value) in more {
            request = request.header(*name, value);
        }
        if let Some(token) = &self.token {
            let mut value = HeaderValue::from_str(&format!("Bearer {}", token.expose()))
                .map_err(|_| "the token holds what no header may".to_owned())?;
            value.set_sensitive(true);
            request = request.header(header::AUTHORIZATION, value);
        }
        let request = request.body(Full::new(Bytes::from(body))).map_err(|error| error.to_string())?;
        let answer = sender.send_request(request).await.map_err(|error| error.to_string())?;
        let status = answer.status();
        // What it says does not matter; a little of it is read, so that a short answer is not broken off.
        let mut body = answer.into_body();
        let mut said = 0;
        while said < ANSWER
            && let Ok(Some(Ok(frame))) = tokio::time::timeout(AFTERWARDS, body.frame()).await
        {
            said += frame.data_ref().map_or(0, Bytes::len);
        }
        connection.abort();
        if status.is_success() { Ok(()) } else { Err(format!("it answered {status}")) }
    }
}

/// TLS towards servers with a certificate of these authorities.
fn trusting(file: &Path) -> Result<ClientConfig, String> {
    let failed = |error: String| format!("the authorities in `{}`: {error}", file.display());
    let mut roots = RootCertStore::empty();
    for one in CertificateDer::pem_file_iter(file).map_err(|error| failed(error.to_string()))? {
        let one = one.map_err(|error| failed(error.to_string()))?;
        roots.add_parsable_certificates([one]);
    }
    if roots.is_empty() {
        return Err(failed("there are none".to_owned()));
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    Ok(builder.map_err(|error| error.to_string())?.with_root_certificates(roots).with_no_client_auth())
}

impl Deliver for Http {
    fn begin(&mut self) -> Result<Option<Position>, String> {
        Ok(None)
    }

    fn deliver(&mut self, entries: &[Entry]) -> Result<(), String> {
        let body: String = entries.iter().map(|entry| format!("{}\n", entry.line)).collect();
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string())?;
        let posted = runtime
            .block_on(async { tokio::time::timeout(TIMEOUT, self.post(body, "application/x-ndjson", &[])).await });
        // A look-up of the name that hangs is not waited for.
        runtime.shutdown_background();
        let host = &self.url.address;
        posted.unwrap_or_else(|_| Err("no answer in time".to_owned())).map_err(|error| format!("`{host}`: {error}"))
    }
}
