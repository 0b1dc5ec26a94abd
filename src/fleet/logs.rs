//! The logs of all proxies, as one audit database holds them (`deploy/audit.sql`).
//!
//! Everything is read in one transaction that sees one moment, by cursors: of each log no more is in memory than one portion.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::runtime::Runtime;
use tokio::time::timeout;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Row};

use super::address::AuditPlace;
use crate::audit::chain::{Hash, Link};
use crate::audit::columns::NEWER;
use crate::audit::read::{Entry, merge};
use crate::upstream::{Address, DriveError, described, drive};

/// Rows that are fetched at once.
const PORTION: usize = 500;
/// How long connecting with its log-in may take.
const BEGIN_TIMEOUT: Duration = Duration::from_secs(10);

/// Why the audit database could not be read, in words for the operator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the audit database{0}")]
pub struct DbError(String);

impl From<tokio_postgres::Error> for DbError {
    fn from(error: tokio_postgres::Error) -> Self {
        Self(format!(": {}", described(&error)))
    }
}

impl DbError {
    pub(super) fn new(what: impl std::fmt::Display) -> Self {
        Self(format!(": {what}"))
    }
}

/// One proxy's log among those of the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogName {
    /// What its `start` records call it.
    pub name: String,
    /// Up to which record the database says that it has it; `None` where it says nothing.
    pub position: Option<Link>,
    /// Times of its first record and of its last, in UTC.
    pub span: Option<(Timestamp, Timestamp)>,
}

/// An audit database that is being read, as it was at one moment.
pub struct AuditDb {
    connection: Rc<Connection>,
    logs: Vec<LogName>,
    cursors: u64,
    /// Whoever reads wants no more.
    stop: Cell<bool>,
    /// Columns that tables of an older `audit.sql` do not have.
    pub(super) newer: bool,
}

impl std::fmt::Debug for AuditDb {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AuditDb").field("logs", &self.logs).finish_non_exhaustive()
    }
}

/// The connection, and the first error that a cursor met: what is read stops there.
pub(super) struct Connection {
    runtime: Runtime,
    client: Client,
    failed: RefCell<Option<DbError>>,
}

pub(super) type Parameter = Box<dyn ToSql + Sync>;

impl Connection {
    pub(super) fn query(&self, sql: &str, parameters: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>, DbError> {
        Ok(self.runtime.block_on(self.client.query(sql, parameters))?)
    }

    pub(super) fn check(&self) -> Result<(), DbError> {
        self.failed.borrow_mut().take().map_or(Ok(()), Err)
    }
}

/// Every log there is, whether its proxy has left a position or not; the tables may be large, so that each is asked for by the index.
const LOGS: &str = "WITH RECURSIVE logs (log) AS ( \
      SELECT min(log) FROM audit.records \
      UNION ALL SELECT (SELECT min(r.log) FROM audit.records AS r WHERE r.log > logs.log) FROM logs WHERE logs.log IS NOT NULL) \
    SELECT log, p.seq, p.hash, \
      (SELECT time::text FROM audit.records AS r WHERE r.log = names.log ORDER BY seq LIMIT 1), \
      (SELECT time::text FROM audit.records AS r WHERE r.log = names.log ORDER BY seq DESC LIMIT 1) \
    FROM (SELECT log FROM logs WHERE log IS NOT NULL UNION SELECT log FROM audit.positions) AS names \
    LEFT JOIN audit.positions AS p USING (log) ORDER BY log COLLATE \"C\"";
const HAS_NEWER: &str = "SELECT count(*) = pg_catalog.cardinality($1::text[]) FROM pg_attribute \
    WHERE attrelid = 'audit.records'::regclass AND NOT attisdropped AND attname = ANY ($1)";
const BEGIN: &str = "SET search_path = pg_catalog; SET timezone = 'UTC'; SET datestyle = 'ISO'; SET statement_timeout = 0; BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

impl AuditDb {
    /// Connects, and looks at one moment of it.
    ///
    /// # Errors
    /// No server of the place answers or lets in, or it has no tables of `deploy/audit.sql`.
    pub fn open(place: &AuditPlace) -> Result<Self, DbError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(DbError::new)?;
        let client = runtime.block_on(connect(place))?;
        runtime.block_on(client.batch_execute(BEGIN))?;
        let connection = Connection { runtime, client, failed: RefCell::default() };
        let there = connection.query(
            "SELECT to_regclass('audit.records') IS NOT NULL AND to_regclass('audit.positions') IS NOT NULL",
            &[],
        )?;
        if !there.first().map(|row| row.try_get(0)).transpose()?.unwrap_or(false) {
            return Err(DbError::new("it has no table `audit.records`: `deploy/audit.sql` makes the tables"));
        }
        let newer = connection.query(HAS_NEWER, &[&NEWER.as_slice()])?;
        let newer = newer.first().map(|row| row.try_get(0)).transpose()?.unwrap_or(false);
        let logs = connection.query(LOGS, &[])?.iter().map(log_name).collect::<Result<_, _>>()?;
        Ok(Self { connection: Rc::new(connection), logs, cursors: 0, stop: Cell::new(false), newer })
    }

    /// The logs that it holds, by name.
    pub fn logs(&self) -> &[LogName] {
        &self.logs
    }

    pub(super) fn connection(&self) -> &Rc<Connection> {
        &self.connection
    }

    /// Rows of a query, in portions.
    pub(super) fn rows(&mut self, sql: &str, parameters: &[Parameter]) -> Result<Rows, DbError> {
        self.cursors += 1;
        let name = format!("c{}", self.cursors);
        let parameters: Vec<&(dyn ToSql + Sync)> = parameters.iter().map(AsRef::as_ref).collect();
        self.connection.query(&format!("DECLARE {name} NO SCROLL CURSOR FOR {sql}"), &parameters)?;
        Ok(Rows { connection: Rc::clone(&self.connection), name, portion: VecDeque::new(), over: false })
    }

    /// One log's records in their order.
    ///
    /// # Errors
    /// The database's.
    pub fn lines(&mut self, log: &str) -> Result<Lines, DbError> {
        let rows = self.rows(
            "SELECT line FROM audit.records WHERE log = $1 ORDER BY seq, time",
            &[Box::new(log.to_owned()) as Parameter],
        )?;
        Ok(Lines(rows))
    }

    /// Every record of these logs behind the number that stands with each, given to `each` with the log's place among them until it
    /// answers `false`: by time, and each log in its own order.
    ///
    /// # Errors
    /// The database's.
    pub fn behind(&mut self, logs: &[(String, u64)], mut each: impl FnMut(u64, Entry) -> bool) -> Result<(), DbError> {
        let mut sources = Vec::new();
        for (log, after) in logs {
            let parameters: [Parameter; 2] =
                [Box::new(log.clone()), Box::new(i64::try_from(*after).unwrap_or(i64::MAX))];
            let sql = "SELECT line FROM audit.records WHERE log = $1 AND seq > $2 ORDER BY seq, time";
            sources.push(Lines(self.rows(sql, &parameters)?));
        }
        let failed = Rc::clone(&self.connection);
        let mut goes_on = true;
        let sources = sources.into_iter().map(|lines| Stopped { lines, at: &self.stop });
        merge(sources, |log, entry| {
            goes_on = goes_on && each(log, entry);
            self.stop.set(!goes_on);
        });
        self.stop.set(false);
        failed.check()
    }

    /// The record of this number as its log has it.
    ///
    /// # Errors
    /// The database's.
    pub fn line(&mut self, log: &str, seq: u64) -> Result<Option<String>, DbError> {
        let seq = i64::try_from(seq).unwrap_or(i64::MAX);
        let rows = self
            .connection
            .query("SELECT line FROM audit.records WHERE log = $1 AND seq = $2 ORDER BY time LIMIT 1", &[&log, &seq])?;
        Ok(rows.first().map(|row| row.try_get(0)).transpose()?)
    }

    /// Every record of all logs with the number of its log, from 0 in the order of [`logs`](Self::logs): by time, and each log in its
    /// own order, as [`merged`](crate::audit::read::merged) gives those of folders.
    ///
    /// # Errors
    /// The database's.
    pub fn merged(&mut self, each: impl FnMut(u64, Entry)) -> Result<(), DbError> {
        let names: Vec<String> = self.logs.iter().map(|log| log.name.clone()).collect();
        let logs = names.iter().map(|name| self.lines(name)).collect::<Result<Vec<_>, _>>()?;
        merge(logs, each);
        self.connection.check()
    }

    /// From when to when all logs go.
    pub fn span(&self) -> Option<(Timestamp, Timestamp)> {
        let spans = self.logs.iter().filter_map(|log| log.span);
        spans.reduce(|(from, to), (first, last)| (from.min(first), to.max(last)))
    }
}

pub(super) async fn connect(place: &AuditPlace) -> Result<Client, DbError> {
    let mut last = DbError::new("no address is given");
    for address in &place.addresses {
        let at = |error: String| DbError(format!(" at {address}: {error}"));
        last = match timeout(BEGIN_TIMEOUT, drive(address, &place.tls, &place.config)).await {
            Ok(Ok(driven)) => return Ok(driven.client),
            Ok(Err(DriveError::Io(error))) => at(error.to_string()),
            Ok(Err(DriveError::Driver(error))) => at(described(&error)),
            Err(_) => unanswered(address),
        };
    }
    Err(last)
}

fn unanswered(address: &Address) -> DbError {
    DbError(format!(" at {address} does not answer"))
}

fn log_name(row: &Row) -> Result<LogName, DbError> {
    let time = |at: usize| -> Result<Option<Timestamp>, DbError> {
        let text: Option<String> = row.try_get(at)?;
        Ok(text.and_then(|text| text.replacen(' ', "T", 1).replace("+00", "Z").parse().ok()))
    };
    let (seq, hash): (Option<i64>, Option<String>) = (row.try_get(1)?, row.try_get(2)?);
    let position = seq.map(|seq| Link {
        seq: u64::try_from(seq).unwrap_or_default(),
        // One that is none fits no record.
        hash: hash.as_deref().and_then(Hash::from_hex).unwrap_or(Hash::GENESIS),
    });
    Ok(LogName { name: row.try_get(0)?, position, span: time(3)?.zip(time(4)?) })
}

/// Rows of a cursor. An error ends them, and is told by [`Connection::check`].
pub(super) struct Rows {
    connection: Rc<Connection>,
    name: String,
    portion: VecDeque<Row>,
    over: bool,
}

impl Iterator for Rows {
    type Item = Row;

    fn next(&mut self) -> Option<Row> {
        if self.portion.is_empty() && !self.over {
            match self.connection.query(&format!("FETCH FORWARD {PORTION} FROM {}", self.name), &[]) {
                Ok(rows) => {
                    self.over = rows.len() < PORTION;
                    self.portion = rows.into();
                }
                Err(error) => {
                    self.over = true;
                    self.connection.failed.borrow_mut().get_or_insert(error);
                }
            }
        }
        self.portion.pop_front()
    }
}

/// Records of one log, until nobody wants more.
struct Stopped<'a> {
    lines: Lines,
    at: &'a Cell<bool>,
}

impl Iterator for Stopped<'_> {
    type Item = Entry;

    fn next(&mut self) -> Option<Entry> {
        if self.at.get() { None } else { self.lines.next() }
    }
}

/// Records of one log.
pub struct Lines(Rows);

impl std::fmt::Debug for Lines {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lines").field("cursor", &self.0.name).finish_non_exhaustive()
    }
}

impl Iterator for Lines {
    type Item = Entry;

    fn next(&mut self) -> Option<Entry> {
        // A line that is no record is for the proof to tell of, as with a file.
        loop {
            let row = self.0.next()?;
            let line: String = row.try_get(0).ok()?;
            if let Some(entry) = Entry::parse(line.as_bytes()) {
                return Some(entry);
            }
        }
    }
}
