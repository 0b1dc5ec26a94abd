//! The same TLS for the driver that the proxy's own connections use.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;
use tokio_postgres::config::SslMode;
use tokio_postgres::tls::{ChannelBinding, TlsConnect, TlsStream};
use tokio_postgres::{Client, Config};

use super::Address;
use super::tls::{TlsMode, UpstreamTls, peer_end_point};
use super::watched::{Proof, Watched};

/// How long one connection may take, without its login.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A connection of the proxy's own.
pub struct Driven {
    /// What asks.
    pub client: Client,
    /// The server follows another and accepts no writes (PostgreSQL 14 and later say so).
    pub standby: bool,
}

/// What went wrong, in words: the database's own with its SQLSTATE, where the driver would say `db error`; else with its cause, where
/// what went wrong in TLS stands.
pub fn described(error: &tokio_postgres::Error) -> String {
    if let Some(db) = error.as_db_error() {
        return format!("{} ({})", db.message(), db.code().code());
    }
    let cause = std::error::Error::source(error).map(|cause| format!(": {cause}")).unwrap_or_default();
    format!("{error}{cause}")
}

/// Connects for the proxy's own purposes, with login and password of `config`. The password leaves only as a SCRAM proof,
/// whatever the database asks for.
///
/// # Errors
/// Those of the stream and of the driver.
pub async fn drive(address: &Address, tls: &UpstreamTls, config: &Config) -> Result<Driven, DriveError> {
    match address {
        Address::Unix(path) => {
            let stream = in_time(UnixStream::connect(path)).await?;
            let connector = Connector { config: None, name: None, proof: Proof::None };
            login(Watched::new(stream, Proof::None, false), connector, config, SslMode::Disable).await
        }
        Address::Tcp { host, port } => {
            let stream = in_time(TcpStream::connect((host.as_str(), *port))).await?;
            stream.set_nodelay(true).map_err(DriveError::Io)?;
            let proof = if address.is_here() { Proof::None } else { Proof::Needed };
            let inside = if tls.is_verified() { Proof::None } else { proof };
            let name = ServerName::try_from(host.clone()).ok();
            let connector = Connector { config: tls.config.clone(), name, proof: inside };
            let mode = match tls.mode {
                TlsMode::Disable => SslMode::Disable,
                TlsMode::Prefer => SslMode::Prefer,
                TlsMode::Require | TlsMode::VerifyFull => SslMode::Require,
            };
            login(Watched::new(stream, proof, mode != SslMode::Disable), connector, config, mode).await
        }
    }
}

async fn in_time<S>(connect: impl Future<Output = io::Result<S>>) -> Result<S, DriveError> {
    let connected = timeout(CONNECT_TIMEOUT, connect).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
    connected.map_err(DriveError::Io)
}

async fn login<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: S,
    connector: Connector,
    config: &Config,
    mode: SslMode,
) -> Result<Driven, DriveError> {
    let mut config = config.clone();
    config.ssl_mode(mode);
    let (client, connection) = config.connect_raw(stream, connector).await.map_err(DriveError::Driver)?;
    let standby = connection.parameter("in_hot_standby") == Some("on");
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "the proxy's own connection ended");
        }
    });
    Ok(Driven { client, standby })
}

/// Why the proxy itself could not log in.
#[derive(Debug, thiserror::Error)]
pub enum DriveError {
    /// The stream.
    #[error(transparent)]
    Io(io::Error),
    /// The login.
    #[error(transparent)]
    Driver(tokio_postgres::Error),
}

/// One connection's TLS; without both, none can begin.
#[derive(Debug)]
struct Connector {
    config: Option<Arc<ClientConfig>>,
    name: Option<ServerName<'static>>,
    proof: Proof,
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> TlsConnect<S> for Connector {
    type Stream = Encrypted<S>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Encrypted<S>>> + Send>>;

    fn connect(self, stream: S) -> Self::Future {
        Box::pin(async move {
            let (Some(config), Some(name)) = (self.config, self.name) else {
                return Err(io::Error::new(io::ErrorKind::InvalidInput, "TLS needs a host name, and `tls` to say how"));
            };
            let stream = tokio_rustls::TlsConnector::from(config).connect(name, stream).await?;
            Ok(Encrypted(Watched::new(Box::new(stream), self.proof, false)))
        })
    }
}

/// A stream over TLS.
struct Encrypted<S>(Watched<Box<tokio_rustls::client::TlsStream<S>>>);

impl<S: AsyncRead + AsyncWrite + Unpin> TlsStream for Encrypted<S> {
    fn channel_binding(&self) -> ChannelBinding {
        match peer_end_point(self.0.get_ref().get_ref().1) {
            Some(hash) => ChannelBinding::tls_server_end_point(hash),
            None => ChannelBinding::none(),
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Encrypted<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Encrypted<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, data)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
