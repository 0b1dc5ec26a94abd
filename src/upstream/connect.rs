//! Reaching a database server.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rustls_pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};

use super::send::Secured;
use super::tls::{TlsMode, UpstreamTls, peer_end_point};
use super::{Address, Upstream};
use crate::wire::{Io, Link, Pool, startup};

/// How long one address may take to answer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Why no server could be reached. Told to the operator, never to a client.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The last address that was tried.
    #[error("the database at {address} cannot be reached: {error}")]
    Io {
        /// Where.
        address: Address,
        /// Why.
        error: io::Error,
    },
    /// The server refuses TLS, and the configuration demands it.
    #[error("the database at {0} does not offer TLS")]
    NoTls(Address),
    /// No address at all.
    #[error("no address of a database is configured")]
    NoAddress,
}

/// The servers of one database: the first that can be reached and accepts writes is used.
#[derive(Debug, Clone)]
pub struct Servers {
    addresses: Arc<[Address]>,
    tls: UpstreamTls,
    first: Arc<AtomicUsize>,
    pooler: bool,
}

/// Where a running query can be cancelled.
#[derive(Debug, Clone)]
pub struct CancelTarget {
    address: Address,
    tls: UpstreamTls,
    pid: u32,
    secret: Vec<u8>,
}

impl Servers {
    /// With their addresses in order of preference.
    pub fn new(addresses: Vec<Address>, tls: UpstreamTls) -> Self {
        Self { addresses: addresses.into(), tls, first: Arc::new(AtomicUsize::new(0)), pooler: false }
    }

    /// That what listens there is a pooler, which takes few settings at start-up.
    #[must_use]
    pub fn behind_pooler(self, pooler: bool) -> Self {
        Self { pooler, ..self }
    }

    /// Whether it is a pooler.
    pub fn is_pooler(&self) -> bool {
        self.pooler
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.addresses.len()
    }

    /// Connects to the first server that can be reached, beginning with the one that last accepted writes. Gives which
    /// it was. Nothing of the protocol is sent but the request for TLS.
    ///
    /// # Errors
    /// None could be reached.
    pub async fn connect(&self, pool: Pool) -> Result<(usize, Upstream), ConnectError> {
        let first = self.first.load(Ordering::Relaxed);
        let mut last = ConnectError::NoAddress;
        for step in 0..self.addresses.len() {
            let index = first.wrapping_add(step) % self.addresses.len();
            let Some(address) = self.addresses.get(index) else { continue };
            match tokio::time::timeout(CONNECT_TIMEOUT, open(address, &self.tls)).await {
                Ok(Ok((io, secured))) => {
                    let link = Link::new(io, pool).secret();
                    return Ok((index, Upstream::new(link, address.clone(), self.tls.clone(), secured)));
                }
                Ok(Err(error)) => last = error,
                Err(_) => last = ConnectError::Io { address: address.clone(), error: io::ErrorKind::TimedOut.into() },
            }
        }
        Err(last)
    }

    /// Says that the server does not accept writes: the next connection begins with the one after it.
    pub fn read_only(&self, index: usize) {
        // Whatever stood before it was tried first, and cannot be reached.
        self.first.store(index.wrapping_add(1) % self.addresses.len().max(1), Ordering::Relaxed);
    }

    /// Says that the server accepts writes.
    pub fn writable(&self, index: usize) {
        self.first.store(index, Ordering::Relaxed);
    }
}

impl CancelTarget {
    pub(super) fn new(address: Address, tls: UpstreamTls, pid: u32, secret: &[u8]) -> Self {
        Self { address, tls, pid, secret: secret.to_vec() }
    }

    /// The process of the server's that it ends the work of.
    pub fn pid(&self) -> u32 {
        self.pid
    }
}

/// Asks the server to cancel what the target runs. The server answers nothing but the end of the connection.
///
/// # Errors
/// It could not be reached.
pub async fn cancel(target: &CancelTarget) -> Result<(), ConnectError> {
    let failed = |error| ConnectError::Io { address: target.address.clone(), error };
    let work = async {
        let (mut io, _) = open(&target.address, &target.tls).await?;
        io.write_all(&startup::cancel_request(target.pid, &target.secret)).await.map_err(failed)?;
        io.flush().await.map_err(failed)?;
        // The end comes once the signal was sent.
        let _ = io.read(&mut [0; 16]).await;
        Ok(())
    };
    match tokio::time::timeout(CONNECT_TIMEOUT, work).await {
        Ok(result) => result,
        Err(_) => Err(failed(io::ErrorKind::TimedOut.into())),
    }
}

async fn open(address: &Address, tls: &UpstreamTls) -> Result<(Box<dyn Io>, Option<Secured>), ConnectError> {
    let failed = |error| ConnectError::Io { address: address.clone(), error };
    let (host, port) = match address {
        Address::Unix(path) => {
            let stream = UnixStream::connect(path).await.map_err(failed)?;
            return Ok((Box::new(stream), None));
        }
        Address::Tcp { host, port } => (host.as_str(), *port),
    };
    let mut stream = TcpStream::connect((host, port)).await.map_err(failed)?;
    stream.set_nodelay(true).map_err(failed)?;
    let Some(config) = &tls.config else { return Ok((Box::new(stream), None)) };
    stream.write_all(&startup::ssl_request()).await.map_err(failed)?;
    // One byte and no more: whatever an attacker puts in clear behind it goes into the handshake and breaks it.
    let mut answer = [0_u8; 1];
    stream.read_exact(&mut answer).await.map_err(failed)?;
    match (answer, tls.mode) {
        ([b'S'], _) => {
            let name = ServerName::try_from(host.to_owned())
                .map_err(|_| failed(io::Error::new(io::ErrorKind::InvalidInput, "not a host name")))?;
            let connector = tokio_rustls::TlsConnector::from(Arc::clone(config));
            let stream = connector.connect(name, stream).await.map_err(failed)?;
            let end_point = peer_end_point(stream.get_ref().1);
            Ok((Box::new(stream), Some(Secured { end_point })))
        }
        ([b'N'], TlsMode::Prefer) => Ok((Box::new(stream), None)),
        ([b'N'], TlsMode::Disable | TlsMode::Require | TlsMode::VerifyFull) => {
            Err(ConnectError::NoTls(address.clone()))
        }
        _ => Err(failed(io::ErrorKind::InvalidData.into())),
    }
}
