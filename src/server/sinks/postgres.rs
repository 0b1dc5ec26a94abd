//! PostgreSQL: the tables of `deploy/audit.sql` in a separate database, loaded by COPY.
//!
//! Records and the position up to which they are there are written in one transaction, so that after an outage of either
//! side nothing is missing and nothing is there twice.

use std::time::Duration;

use bytes::Bytes;
use futures_util::SinkExt;
use tokio::runtime::Runtime;
use tokio::time::timeout;
use tokio_postgres::{Client, Config};

use crate::audit::columns::{NEWER, NUMBERS, TEXTS};
use crate::audit::read::Entry;
use crate::audit::ship::{Deliver, Position};
use crate::upstream::{Address, DriveError, UpstreamTls, described, drive};

/// How long connecting with its log-in may take.
const BEGIN_TIMEOUT: Duration = Duration::from_secs(10);
/// How long loading may take; a statement of it has 60 seconds in the database.
const LOAD_TIMEOUT: Duration = Duration::from_secs(90);

/// The audit database.
pub struct Postgres {
    address: Address,
    tls: UpstreamTls,
    config: Config,
    /// What the log is called there.
    log: String,
    runtime: Option<Runtime>,
    client: Option<Client>,
    /// The columns of its table that records fill.
    columns: Vec<&'static str>,
    /// The time of the last record that has one: an `outcome` has none, and its row needs one.
    time: Option<String>,
}

const POSITION: &str = "SELECT seq, hash, to_char(time AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') FROM audit.positions WHERE log = $1";
const THERE: &str = "SELECT attname::text FROM pg_attribute WHERE attrelid = 'audit.records'::regclass AND NOT attisdropped AND attname = ANY ($1)";

impl Postgres {
    /// Connected with the first record. `log` names the log among those that report to the same database.
    pub fn new(address: Address, tls: UpstreamTls, config: Config, log: String) -> Self {
        Self { address, tls, config, log, runtime: None, client: None, columns: TEXTS.to_vec(), time: None }
    }

    fn row(&mut self, entry: &Entry, out: &mut Vec<u8>) {
        if let Some(time) = entry.text("time") {
            self.time = Some(time.to_owned());
        }
        put(out, Some(&self.log));
        put_raw(out, Some(&entry.seq().unwrap_or_default().to_string()));
        put(out, Some(self.time.as_deref().unwrap_or("1970-01-01T00:00:00Z")));
        for column in &self.columns {
            put(out, entry.text(column));
        }
        for column in NUMBERS {
            put_raw(out, entry.number(column).map(|number| number.to_string()).as_deref());
        }
        put_raw(out, entry.field("ms").map(ToString::to_string).as_deref());
        put(out, Some(&entry.line));
        // The last field's tab becomes the row's end.
        if let Some(last) = out.last_mut() {
            *last = b'\n';
        }
    }
}

fn put_raw(out: &mut Vec<u8>, text: Option<&str>) {
    out.extend_from_slice(text.unwrap_or("\\N").as_bytes());
    out.push(b'\t');
}

/// As COPY's text format wants it (<https://www.postgresql.org/docs/current/sql-copy.html>).
fn put(out: &mut Vec<u8>, text: Option<&str>) {
    let Some(text) = text else { return put_raw(out, None) };
    for byte in text.bytes() {
        match byte {
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\t' => out.extend_from_slice(b"\\t"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            // PostgreSQL's text holds no such byte.
            0 => out.push(b'?'),
            other => out.push(other),
        }
    }
    out.push(b'\t');
}

async fn connect(address: &Address, tls: &UpstreamTls, config: &Config, log: &str) -> Result<Begun, String> {
    let client = match drive(address, tls, config).await {
        Ok(driven) => driven.client,
        Err(DriveError::Io(error)) => return Err(format!("the audit database at {address}: {error}")),
        Err(DriveError::Driver(error)) => {
            return Err(format!("the audit database at {address}: {}", told(&error)));
        }
    };
    client.batch_execute(PREPARE).await.map_err(|error| told(&error))?;
    let there = client.query(THERE, &[&NEWER.as_slice()]).await.map_err(|error| told(&error))?;
    let there: Vec<String> =
        there.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>().map_err(|error| told(&error))?;
    let columns = TEXTS.iter().filter(|name| !NEWER.contains(name) || there.iter().any(|known| known == *name));
    let columns = columns.copied().collect();
    let row = client.query_opt(POSITION, &[&log]).await.map_err(|error| told(&error))?;
    let position = row.map(|row| {
        let seq: i64 = row.try_get(0)?;
        Ok::<_, tokio_postgres::Error>((u64::try_from(seq).unwrap_or_default(), row.try_get(1)?, row.try_get(2)?))
    });
    Ok(Begun { client, columns, position: position.transpose().map_err(|error| told(&error))? })
}

struct Begun {
    client: Client,
    columns: Vec<&'static str>,
    position: Option<(u64, String, Option<String>)>,
}

const PREPARE: &str = "SET synchronous_commit = on; SET statement_timeout = '60s'; SET lock_timeout = '10s'; \
    CREATE TEMPORARY TABLE IF NOT EXISTS incoming (LIKE audit.records) ON COMMIT DELETE ROWS";

async fn load(
    client: &mut Client,
    columns: &[&str],
    log: &str,
    rows: Vec<u8>,
    last: &Last,
) -> Result<(), tokio_postgres::Error> {
    let transaction = client.transaction().await?;
    // One proxy at a time for each log.
    transaction.execute("SELECT FROM audit.positions WHERE log = $1 FOR UPDATE", &[&log]).await?;
    let columns = format!("log, seq, time, {}, {}, ms, line", quoted(columns).join(", "), quoted(&NUMBERS).join(", "));
    let sink = transaction.copy_in(&format!("COPY pg_temp.incoming ({columns}) FROM STDIN")).await?;
    let mut sink = std::pin::pin!(sink);
    sink.send(Bytes::from(rows)).await?;
    sink.as_mut().finish().await?;
    transaction
        .batch_execute(
            "SELECT audit.make_partition(day) FROM (SELECT DISTINCT date_trunc('month', time AT TIME ZONE 'UTC')::date FROM pg_temp.incoming) AS days (day); \
             INSERT INTO audit.records SELECT * FROM pg_temp.incoming ON CONFLICT DO NOTHING",
        )
        .await?;
    let seq = i64::try_from(last.seq).unwrap_or(i64::MAX);
    transaction
        .execute(
            "INSERT INTO audit.positions AS p (log, seq, hash, time) VALUES ($1, $2, $3, $4::text::timestamptz) \
             ON CONFLICT (log) DO UPDATE SET seq = excluded.seq, hash = excluded.hash, time = excluded.time",
            &[&log, &seq, &last.hash, &last.time],
        )
        .await?;
    transaction.commit().await
}

struct Last {
    seq: u64,
    hash: String,
    time: Option<String>,
}

fn quoted(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| format!("\"{name}\"")).collect()
}

fn told(error: &tokio_postgres::Error) -> String {
    format!("the audit database: {}", described(error))
}

impl Deliver for Postgres {
    fn begin(&mut self) -> Result<Option<Position>, String> {
        self.client = None;
        if self.runtime.is_none() {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            self.runtime = Some(runtime.map_err(|error| error.to_string())?);
        }
        let Some(runtime) = &self.runtime else { return Err("no runtime".to_owned()) };
        let connecting = connect(&self.address, &self.tls, &self.config, &self.log);
        let begun = runtime.block_on(async { timeout(BEGIN_TIMEOUT, connecting).await });
        let begun = begun.unwrap_or_else(|_| Err(format!("the audit database at {} does not answer", self.address)))?;
        (self.client, self.columns) = (Some(begun.client), begun.columns);
        let (seq, hash, time) = match begun.position {
            Some((seq, hash, time)) => (seq, Some(hash), time),
            None => (0, None, None),
        };
        self.time = time;
        Ok(Some(Position { seq, hash }))
    }

    fn deliver(&mut self, entries: &[Entry]) -> Result<(), String> {
        let mut rows = Vec::new();
        for entry in entries {
            self.row(entry, &mut rows);
        }
        let Some(entry) = entries.last() else { return Ok(()) };
        let last = Last {
            seq: entry.seq().unwrap_or_default(),
            hash: entry.text("hash").unwrap_or_default().to_owned(),
            time: self.time.clone(),
        };
        let (Some(runtime), Some(client)) = (&self.runtime, &mut self.client) else {
            return Err("the audit database is not connected".to_owned());
        };
        let loading = load(client, &self.columns, &self.log, rows, &last);
        match runtime.block_on(async { timeout(LOAD_TIMEOUT, loading).await }) {
            Ok(loaded) => loaded.map_err(|error| told(&error)),
            Err(_) => Err(format!("the audit database at {} does not answer", self.address)),
        }
    }
}
