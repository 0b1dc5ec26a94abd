//! The verifiers of the database's own logins.

use std::time::Duration;

use tokio::sync::{Mutex, Semaphore};
use tokio::time::timeout;
use tokio_postgres::{Client, types::Type};
use zeroize::Zeroizing;

use super::{Connect, LoadError};
use crate::config::Verifier;

/// How long one read may take.
const LONGEST: Duration = Duration::from_secs(10);
/// Reads at a time; more wait. They share one connection.
const AT_A_TIME: usize = 16;

const READ: &str = "SELECT a.rolpassword, a.rolcanlogin, a.rolvaliduntil IS NOT NULL AND a.rolvaliduntil < pg_catalog.now() \
    FROM pg_catalog.pg_authid AS a WHERE a.rolname = $1";

/// What the database keeps of a login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kept {
    /// A SCRAM verifier.
    Scram(Verifier),
    /// No such login.
    Unknown,
    /// A role that may not log in.
    NoLogin,
    /// The password is no longer valid (`VALID UNTIL`).
    Expired,
    /// No password.
    NoPassword,
    /// An MD5 hash, or something else that is no SCRAM verifier.
    NotScram,
}

/// Reads `pg_authid`. Each login is read when it is asked for and not kept: a changed password, an expired one and a role
/// that may no longer log in count at once, and no key stays in memory for longer than its login.
pub struct Verifiers {
    connect: Connect,
    client: Mutex<Option<std::sync::Arc<Client>>>,
    turns: Semaphore,
}

impl std::fmt::Debug for Verifiers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Verifiers(..)")
    }
}

impl Verifiers {
    /// Over a connection of the proxy's own login, made when it is first needed and again when it has broken.
    pub fn new(connect: Connect) -> Self {
        Self { connect, client: Mutex::new(None), turns: Semaphore::new(AT_A_TIME) }
    }

    /// What the database keeps of this login now.
    ///
    /// # Errors
    /// [`LoadError`]: the database is away, or does not let the proxy's login read `pg_authid` (42501).
    pub async fn read(&self, login: &str) -> Result<Kept, LoadError> {
        let work = async {
            let Ok(_turn) = self.turns.acquire().await else { return Ok(Kept::Unknown) };
            // A connection that broke while it was idle is noticed with the first query on it.
            match self.read_on(login, false).await {
                Err(LoadError::Query(error)) if error.as_db_error().is_none() || error.is_closed() => {
                    self.read_on(login, true).await
                }
                Err(LoadError::Query(error)) if shut_down(&error) => self.read_on(login, true).await,
                other => other,
            }
        };
        timeout(LONGEST, work).await.unwrap_or(Err(LoadError::Timeout(LONGEST.as_secs())))
    }

    async fn read_on(&self, login: &str, fresh: bool) -> Result<Kept, LoadError> {
        let client = {
            let mut open = self.client.lock().await;
            match open.as_ref().filter(|client| !fresh && !client.is_closed()) {
                Some(client) => std::sync::Arc::clone(client),
                None => std::sync::Arc::clone(open.insert(std::sync::Arc::new((self.connect)().await?))),
            }
        };
        let rows = client.query_typed(READ, &[(&login, Type::TEXT)]).await?;
        let Some(row) = rows.first() else { return Ok(Kept::Unknown) };
        let password: Option<String> = row.try_get(0)?;
        let password = password.map(Zeroizing::new);
        let (may, expired): (bool, bool) = (row.try_get(1)?, row.try_get(2)?);
        Ok(match password {
            _ if !may => Kept::NoLogin,
            _ if expired => Kept::Expired,
            None => Kept::NoPassword,
            Some(text) => text.parse().map_or(Kept::NotScram, Kept::Scram),
        })
    }
}

/// `admin_shutdown`, `crash_shutdown`, `cannot_connect_now`: the server restarts.
fn shut_down(error: &tokio_postgres::Error) -> bool {
    error.code().is_some_and(|code| code.code().starts_with("57P"))
}
