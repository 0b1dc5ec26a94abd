//! The verifiers of the database's own logins.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, Semaphore};
use tokio::time::{Instant, timeout};
use tokio_postgres::{Client, Statement, types::Type};
use zeroize::Zeroizing;

use super::{Connect, LoadError};
use crate::config::{Shape, Shapes, Verifier};

/// How long one read may take.
const LONGEST: Duration = Duration::from_secs(10);
/// Reads at a time; more wait. They share one connection.
const AT_A_TIME: usize = 16;

const READ: &str = "SELECT a.rolpassword, a.rolcanlogin, a.rolvaliduntil IS NOT NULL AND a.rolvaliduntil < pg_catalog.now() \
    FROM pg_catalog.pg_authid AS a WHERE a.rolname = $1";

/// Rounds and length of salt (its base64, without padding) of every verifier, and how many have them.
const SHAPES: &str = "SELECT pg_catalog.split_part(v.salted, ':', 1), \
    pg_catalog.length(pg_catalog.rtrim(pg_catalog.split_part(v.salted, ':', 2), '=')), pg_catalog.count(*) \
    FROM (SELECT pg_catalog.split_part(a.rolpassword, '$', 2) AS salted FROM pg_catalog.pg_authid AS a \
        WHERE a.rolcanlogin AND a.rolpassword LIKE 'SCRAM-SHA-256$%') AS v GROUP BY 1, 2";
/// What the next verifier would have, where there is none: PostgreSQL 16 and later.
const ROUNDS: &str = "SELECT pg_catalog.current_setting('scram_iterations', true)";
/// How long the shapes are kept.
const SHAPES_FOR: Duration = Duration::from_secs(60);

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

/// A connection, and the one statement that every login runs: parsed and planned once.
struct Reader {
    client: Client,
    read: Statement,
}

/// Reads `pg_authid`. Each login is read when it is asked for and not kept: a changed password, an expired one and a role
/// that may no longer log in count at once, and no key stays in memory for longer than its login.
pub struct Verifiers {
    connect: Connect,
    client: Mutex<Option<Arc<Reader>>>,
    turns: Semaphore,
    shapes: Mutex<Option<(Instant, Shapes)>>,
}

impl std::fmt::Debug for Verifiers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Verifiers(..)")
    }
}

impl Verifiers {
    /// Over a connection of the proxy's own login, made when it is first needed and again when it has broken.
    pub fn new(connect: Connect) -> Self {
        Self { connect, client: Mutex::new(None), turns: Semaphore::new(AT_A_TIME), shapes: Mutex::new(None) }
    }

    /// What the database keeps of this login now, and what its verifiers look like from outside (read once a minute, whoever
    /// asks).
    ///
    /// # Errors
    /// [`LoadError`]: the database is away, or does not let the proxy's login read `pg_authid` (42501).
    pub async fn read(&self, login: &str) -> Result<(Kept, Shapes), LoadError> {
        let work = async {
            let Ok(_turn) = self.turns.acquire().await else { return Ok((Kept::Unknown, Shapes::default())) };
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

    async fn read_on(&self, login: &str, fresh: bool) -> Result<(Kept, Shapes), LoadError> {
        let reader = {
            let mut open = self.client.lock().await;
            match open.as_ref().filter(|reader| !fresh && !reader.client.is_closed()) {
                Some(reader) => Arc::clone(reader),
                None => {
                    let client = (self.connect)().await?;
                    let read = client.prepare_typed(READ, &[Type::TEXT]).await?;
                    Arc::clone(open.insert(Arc::new(Reader { client, read })))
                }
            }
        };
        let Reader { client, read } = &*reader;
        let rows = client.query(read, &[&login]).await?;
        let shapes = self.shapes(client).await?;
        let Some(row) = rows.first() else { return Ok((Kept::Unknown, shapes)) };
        let password: Option<String> = row.try_get(0)?;
        let password = password.map(Zeroizing::new);
        let (may, expired): (bool, bool) = (row.try_get(1)?, row.try_get(2)?);
        let kept = match password {
            _ if !may => Kept::NoLogin,
            _ if expired => Kept::Expired,
            None => Kept::NoPassword,
            Some(text) => text.parse().map_or(Kept::NotScram, Kept::Scram),
        };
        Ok((kept, shapes))
    }

    async fn shapes(&self, client: &Client) -> Result<Shapes, LoadError> {
        let mut cached = self.shapes.lock().await;
        if let Some((read, shapes)) = cached.as_ref()
            && read.elapsed() < SHAPES_FOR
        {
            return Ok(shapes.clone());
        }
        let mut counts = Vec::new();
        for row in client.query_typed(SHAPES, &[]).await? {
            let (rounds, salt, count): (String, i32, i64) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
            // Four characters of base64 are three bytes.
            let salt = usize::try_from(salt).unwrap_or_default().saturating_mul(3) / 4;
            let shape = Shape { rounds: rounds.parse().unwrap_or_default(), salt };
            counts.push((shape, u32::try_from(count).unwrap_or(u32::MAX)));
        }
        if counts.is_empty() {
            let row = client.query_typed(ROUNDS, &[]).await?;
            let rounds: Option<String> = row.first().map(|row| row.try_get(0)).transpose()?.flatten();
            if let Some(rounds) = rounds.and_then(|rounds| rounds.parse().ok()) {
                counts.push((Shape { rounds, ..Shape::default() }, 1));
            }
        }
        let shapes = Shapes::counted(counts);
        *cached = Some((Instant::now(), shapes.clone()));
        Ok(shapes)
    }
}

/// `admin_shutdown`, `crash_shutdown`, `cannot_connect_now`: the server restarts.
fn shut_down(error: &tokio_postgres::Error) -> bool {
    error.code().is_some_and(|code| code.code().starts_with("57P"))
}
