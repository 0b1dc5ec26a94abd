//! Asks the database how it would check a login, without logging in.

use crate::upstream::{ConnectError, Servers};
use crate::wire::backend::Authentication;
use crate::wire::{HEADER, Pool};

/// What the database asks of a login that comes from the proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// Nothing: `trust`, `peer`, or a certificate.
    Nothing,
    /// SCRAM.
    Scram,
    /// The password in clear, or as MD5.
    Weak,
    /// Something else.
    Other,
    /// It refuses at once.
    Refused,
}

/// The longest answer that is read.
const LONGEST: usize = 16 * 1024;

/// Begins a login and ends the connection once the database has said what it wants.
///
/// # Errors
/// The database cannot be reached, or answers what cannot be read.
pub async fn ask(servers: &Servers, login: &str, database: &str) -> Result<Asked, ConnectError> {
    let (_, mut upstream) = servers.connect(Pool::default()).await?;
    let address = upstream.address().clone();
    let failed = |error| ConnectError::Io { address: address.clone(), error };
    upstream.start([("user", login), ("database", database)]);
    upstream.drain().await.map_err(failed)?;
    let header = upstream.message(LONGEST).await.map_err(failed)?;
    let body = upstream.input().get(HEADER..header.total()).unwrap_or_default();
    Ok(match (header.tag, Authentication::decode(body)) {
        (b'R', Ok(Authentication::Ok)) => Asked::Nothing,
        (b'R', Ok(Authentication::Sasl(_))) => Asked::Scram,
        (b'R', Ok(Authentication::Cleartext | Authentication::Md5)) => Asked::Weak,
        (b'R', _) => Asked::Other,
        _ => Asked::Refused,
    })
}
