//! HTTP: records as JSON lines in the body of a POST, for checkpoints that are kept on another machine.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::{Request, Uri, header};
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::audit::read::Entry;
use crate::audit::ship::{Deliver, Position};
use crate::config::Secret;

/// How long one POST may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Where Debian and its kin keep the authorities that the machine trusts.
const AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// A server that takes POSTs.
pub struct Http {
    uri: Uri,
    token: Option<Secret>,
    tls: Option<Arc<ClientConfig>>,
}

impl Http {
    /// For `http://` and `https://`; the server's certificate must be of one of these authorities, or of one that the
    /// machine trusts. A token goes as `Authorization: Bearer`.
    ///
    /// # Errors
    /// The address is none, or the authorities cannot be read.
    pub fn new(url: &str, token: Option<Secret>, ca: Option<&std::path::Path>) -> Result<Self, String> {
        let uri: Uri = url.parse().map_err(|error| format!("`{url}` is no address: {error}"))?;
        let tls = match uri.scheme_str() {
            Some("http") => None,
            Some("https") => {
                let file = ca.unwrap_or(std::path::Path::new(AUTHORITIES));
                let failed = |error: String| format!("the authorities in `{}`: {error}", file.display());
                let mut roots = RootCertStore::empty();
                for one in CertificateDer::pem_file_iter(file).map_err(|error| failed(error.to_string()))? {
                    let one = one.map_err(|error| failed(error.to_string()))?;
                    roots.add_parsable_certificates([one]);
                }
                let provider = Arc::new(rustls::crypto::ring::default_provider());
                let config = ClientConfig::builder_with_provider(provider)
                    .with_safe_default_protocol_versions()
                    .map_err(|error| error.to_string())?
                    .with_root_certificates(roots)
                    .with_no_client_auth();
                Some(Arc::new(config))
            }
            Some(_) | None => return Err(format!("`{url}` begins with neither `http://` nor `https://`")),
        };
        if uri.host().is_none() {
            return Err(format!("`{url}` names no host"));
        }
        Ok(Self { uri, token, tls })
    }

    async fn post(&self, body: String) -> Result<(), String> {
        let host = self.uri.host().unwrap_or_default();
        let port = self.uri.port_u16().unwrap_or(if self.tls.is_some() { 443 } else { 80 });
        let stream =
            TcpStream::connect((host.trim_matches(['[', ']']), port)).await.map_err(|error| error.to_string())?;
        match &self.tls {
            None => self.send(stream, body).await,
            Some(config) => {
                let name = ServerName::try_from(host.to_owned()).map_err(|error| error.to_string())?;
                let stream = TlsConnector::from(Arc::clone(config)).connect(name, stream).await;
                self.send(stream.map_err(|error| error.to_string())?, body).await
            }
        }
    }

    async fn send<S>(&self, stream: S, body: String) -> Result<(), String>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
        let connection = tokio::spawn(connection);
        let path = self.uri.path_and_query().map_or("/", |path| path.as_str());
        let host = self.uri.authority().map_or("", |authority| authority.as_str());
        let mut request =
            Request::post(path).header(header::HOST, host).header(header::CONTENT_TYPE, "application/x-ndjson");
        if let Some(token) = &self.token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {}", token.expose()));
        }
        let request = request.body(Full::new(Bytes::from(body))).map_err(|error| error.to_string())?;
        let answer = sender.send_request(request).await.map_err(|error| error.to_string())?;
        let status = answer.status();
        // What it says does not matter, that it ends does.
        let _ = answer.into_body().collect().await;
        connection.abort();
        if status.is_success() { Ok(()) } else { Err(format!("it answered {status}")) }
    }
}

impl Deliver for Http {
    fn begin(&mut self) -> Result<Option<Position>, String> {
        Ok(None)
    }

    fn deliver(&mut self, entries: &[Entry]) -> Result<(), String> {
        let body: String = entries.iter().map(|entry| format!("{}\n", entry.line)).collect();
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string())?;
        let posted = runtime.block_on(async { tokio::time::timeout(TIMEOUT, self.post(body)).await });
        let host = self.uri.host().unwrap_or_default();
        posted.unwrap_or_else(|_| Err("no answer in time".to_owned())).map_err(|error| format!("`{host}`: {error}"))
    }
}
