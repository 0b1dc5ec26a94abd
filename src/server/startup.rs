//! From the first byte to a StartupMessage: TLS, cancel requests, versions.

use std::io;
use std::sync::Arc;

use tokio_rustls::TlsAcceptor;

use super::tls::{ALPN, ListenTls};
use crate::error::{Refusal, SqlState, Stage};
use crate::session::Shared;
use crate::upstream::cancel;
use crate::wire::startup::{Packet, Startup, packet_length};
use crate::wire::{ErrorFields, Link, Prefixed, common_name, own};

/// First byte of a TLS handshake record.
const TLS_HANDSHAKE: u8 = 0x16;
/// The newest minor version of protocol 3 that is spoken.
const NEWEST_MINOR: u16 = 2;

/// Why no session came of a connection.
#[derive(Debug)]
pub(super) enum NoSession {
    /// The client is told no more than that; the operator is told why.
    Failed(Refusal, &'static str),
    /// TLS could not begin, and has told the client so itself.
    Handshake(String),
    /// Nothing is to be said: the peer went away, or asked for a cancel.
    Silent,
    /// The client is told.
    Refused(Refusal),
    /// The client gets what the database said.
    Told(ErrorFields),
}

impl From<io::Error> for NoSession {
    fn from(_: io::Error) -> Self {
        Self::Silent
    }
}

fn violation(message: &str) -> NoSession {
    NoSession::Refused(Refusal::new(Stage::Wire, SqlState::PROTOCOL_VIOLATION, message))
}

/// What TLS says of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PeerTls {
    /// `tls-server-end-point` of the certificate that the client was shown.
    pub(super) end_point: Option<Vec<u8>>,
    /// The common name of the client's own certificate.
    pub(super) name: Option<String>,
    /// `TLSv1.3`
    pub(super) version: &'static str,
}

/// Reads up to the StartupMessage; `link` is replaced where TLS begins.
pub(super) async fn negotiate(
    link: &mut Option<Link>,
    tls: Option<&ListenTls>,
    shared: &Shared,
) -> Result<(Startup, Option<PeerTls>), NoSession> {
    let mut asked_tls = false;
    let mut asked_gss = false;
    let mut peer = None;
    let client = link.as_mut().ok_or(NoSession::Silent)?;
    client.fill_to(1).await?;
    if client.input().first() == Some(&TLS_HANDSHAKE) {
        let Some(tls) = tls else { return Err(NoSession::Silent) };
        peer = Some(accept_tls(link, tls, true).await?);
    }
    loop {
        let encrypted = peer.is_some();
        let client = link.as_mut().ok_or(NoSession::Silent)?;
        let packet = read_packet(client).await?;
        match packet {
            Packet::Ssl if !asked_tls && !encrypted => {
                asked_tls = true;
                no_bytes_behind(client)?;
                client.out.extend_from_slice(if tls.is_some() { b"S" } else { b"N" });
                client.drain().await?;
                if let Some(tls) = tls {
                    peer = Some(accept_tls(link, tls, false).await?);
                }
            }
            Packet::GssEnc if !asked_gss && !encrypted => {
                asked_gss = true;
                no_bytes_behind(client)?;
                client.out.extend_from_slice(b"N");
                client.drain().await?;
            }
            Packet::Ssl | Packet::GssEnc => return Err(violation("encryption was already negotiated")),
            Packet::Cancel { pid, secret } => {
                // Right or wrong, the answer is the end of the connection.
                if let Some(target) = shared.cancels.find(pid, &secret)
                    && let Err(error) = cancel(&target).await
                {
                    tracing::warn!(%error, "a cancel request could not be passed on");
                }
                return Err(NoSession::Silent);
            }
            Packet::Startup(startup) => {
                if tls.is_some_and(|tls| tls.required) && !encrypted {
                    let refusal = Refusal::new(
                        Stage::Wire,
                        SqlState::INVALID_AUTHORIZATION,
                        "this server accepts connections with TLS only",
                    );
                    return Err(NoSession::Refused(refusal.hint("connect with `sslmode=require` or stricter")));
                }
                if startup.major != 3 {
                    let message = format!("unsupported frontend protocol {}.{}", startup.major, startup.minor);
                    return Err(NoSession::Refused(Refusal::unsupported(Stage::Wire, message)));
                }
                agree_on_version(client, &startup);
                return Ok((startup, peer));
            }
        }
    }
}

/// How the message Terminate begins; no start-up packet is as long as that would be.
const TERMINATE: [u8; 4] = [b'X', 0, 0, 0];

async fn read_packet(client: &mut Link) -> Result<Packet, NoSession> {
    client.fill_to(4).await?;
    // A driver that gives up before it has begun says goodbye; PostgreSQL answers nothing.
    if client.input().starts_with(&TERMINATE) {
        return Err(NoSession::Silent);
    }
    let length = packet_length(client.input()).map_err(|_| violation("invalid length of startup packet"))?;
    let length = length.ok_or(NoSession::Silent)?;
    client.fill_to(length).await?;
    let packet = Packet::decode(client.input().get(4..length).unwrap_or_default());
    client.consume(length);
    packet.map_err(|error| violation(&format!("invalid startup packet: {error}")))
}

/// What an attacker put in clear behind a request for encryption would be taken for the client's own words once
/// encryption has begun (CVE-2021-23214).
fn no_bytes_behind(client: &Link) -> Result<(), NoSession> {
    if client.input().is_empty() {
        Ok(())
    } else {
        Err(violation("received unencrypted data after a request for encryption"))
    }
}

async fn accept_tls(link: &mut Option<Link>, tls: &ListenTls, direct: bool) -> Result<PeerTls, NoSession> {
    let (io, read, pool) = link.take().ok_or(NoSession::Silent)?.into_parts();
    let loaded = tls.current();
    let stream =
        TlsAcceptor::from(Arc::clone(&loaded.config)).accept(Prefixed::new(read, io)).await.map_err(handshake)?;
    let connection = stream.get_ref().1;
    let agreed = connection.alpn_protocol() == Some(ALPN);
    let own = connection.peer_certificates().and_then(|chain| chain.first());
    let peer = PeerTls {
        end_point: loaded.end_point.clone(),
        name: own.and_then(|certificate| common_name(certificate)),
        version: match connection.protocol_version() {
            Some(rustls::ProtocolVersion::TLSv1_2) => "TLSv1.2",
            _ => "TLSv1.3",
        },
    };
    *link = Some(Link::new(Box::new(stream), pool).secret());
    if direct && !agreed {
        return Err(violation("direct TLS needs the ALPN protocol `postgresql`"));
    }
    Ok(peer)
}

/// What rustls refuses (a certificate that is missing or of nobody known, an old version) is worth a record; that the peer
/// went away is not.
fn handshake(error: io::Error) -> NoSession {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(inner) => NoSession::Handshake(format!("TLS could not begin: {inner}")),
        None => NoSession::Silent,
    }
}

/// Tells a client that wants a newer minor version, or options that are not known, what it gets.
fn agree_on_version(client: &mut Link, startup: &Startup) {
    let unknown: Vec<&str> =
        startup.parameters.iter().map(|(name, _)| name.as_str()).filter(|name| name.starts_with("_pq_.")).collect();
    if startup.minor > NEWEST_MINOR || !unknown.is_empty() {
        own::negotiate(&mut client.out, startup.minor.min(NEWEST_MINOR), &unknown);
    }
}

/// Whether the client takes a long cancel key.
pub(super) fn takes_long_key(startup: &Startup) -> bool {
    startup.minor >= NEWEST_MINOR
}

/// Says why there is no session, and closes.
pub(super) async fn say(client: &mut Link, refusal: &Refusal) {
    ErrorFields::refusal("FATAL", refusal).encode(b'E', &mut client.out);
    let _ = client.close().await;
}
