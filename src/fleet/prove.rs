//! Each log proved from what the database holds: its chain and its checkpoints, that the columns of a row say what its line says,
//! and, where the files are there too, that both are the same log.

use std::path::Path;

use tokio_postgres::Row;

use super::logs::{AuditDb, DbError, LogName, Parameter};
use crate::audit::chain::Link;
use crate::audit::columns::{NEWER, NUMBERS, TEXTS};
use crate::audit::read::{Entry, scan};
use crate::audit::{Proving, Trust, Verification, Wrong};

impl AuditDb {
    /// Whether one log holds, as the database has it. `trust` may hold checkpoints of other logs too.
    ///
    /// # Errors
    /// The database's.
    pub fn prove(&mut self, log: &LogName, trust: &Trust) -> Result<Verification, DbError> {
        let sent = trust.sent.iter().filter(|sent| sent.checkpoint.log == log.name).cloned().collect();
        let trust = Trust { sent, ..trust.clone() };
        let texts: Vec<&'static str> =
            TEXTS.iter().copied().filter(|column| self.newer || !NEWER.contains(column)).collect();
        let quoted: Vec<String> = texts.iter().map(|column| format!("\"{column}\"")).collect();
        let sql = format!(
            "SELECT line, ARRAY[{}]::text[], ARRAY[seq, \"of\", rows], ms, to_char(time, 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') \
             FROM audit.records WHERE log = $1 ORDER BY seq, time",
            quoted.join(", ")
        );
        let mut proving = Proving::new(&log.name, &trust, 0);
        let mut time = None;
        for row in self.rows(&sql, &[Box::new(log.name.clone()) as Parameter])? {
            let line: String = row.try_get(0)?;
            proving.line(line.as_bytes());
            if let Some(column) = differs(&row, &line, &texts, &mut time)? {
                proving.wrong(Wrong::Row { column });
            }
        }
        self.connection().check()?;
        match log.position {
            Some(position) if position == proving.last() => {}
            Some(Link { seq, .. }) => proving.wrong(Wrong::Position { seq }),
            None => proving.wrong(Wrong::Position { seq: 0 }),
        }
        Ok(proving.finish())
    }

    /// Where a folder's log is not the one that the database holds. Records that only one of the two has, because the other has not
    /// got them yet or has destroyed them, are no fault.
    ///
    /// # Errors
    /// The folder cannot be read, or the database's.
    pub fn hold_against(&mut self, directory: &Path) -> Result<Held, DbError> {
        let unreadable =
            |error: std::io::Error| DbError::new(format!("`{}` cannot be read: {error}", directory.display()));
        let mut name = None;
        scan(directory, |entry| {
            name = entry.text("log").filter(|_| matches!(entry.event(), "start" | "checkpoint")).map(str::to_owned);
            name.is_none()
        })
        .map_err(unreadable)?;
        let name = name.unwrap_or_default();
        let Some(log) = self.logs().iter().find(|log| log.name == name).cloned() else {
            return Ok(Held { log: name, same: 0, waiting: 0, wrong: None, known: false });
        };
        let mut there = self.lines(&log.name)?.peekable();
        let (mut held, mut last) = (Held { log: name, same: 0, waiting: 0, wrong: None, known: true }, 0);
        scan(directory, |here| {
            let Some(seq) = here.seq() else { return true };
            last = last.max(seq);
            // What the folder has destroyed, the database may keep.
            while there.next_if(|entry: &Entry| entry.seq().is_none_or(|other| other < seq)).is_some() {}
            match there.next_if(|entry| entry.seq() == Some(seq)) {
                Some(entry) if entry.line == here.line => held.same += 1,
                Some(_) => held.wrong = Some(Wrong::Differs { place: "the audit database".to_owned(), seq }),
                None if there.peek().is_none() => held.waiting += 1,
                // The database begins later: what it had of older months was let go of.
                None if held.same == 0 => {}
                None => held.wrong = Some(Wrong::Differs { place: "the audit database".to_owned(), seq }),
            }
            held.wrong.is_none()
        })
        .map_err(unreadable)?;
        if held.wrong.is_none()
            && let Some(more) = there.last().and_then(|entry| entry.seq())
        {
            // The folder is read after the moment at which the database was looked at.
            held.wrong = Some(Wrong::Given { place: "the audit database".to_owned(), seq: more, last });
        }
        self.connection().check()?;
        Ok(held)
    }
}

/// What holding a folder against the database came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// The log's name.
    pub log: String,
    /// Records that both have.
    pub same: u64,
    /// Records that the database has not got yet.
    pub waiting: u64,
    /// Where they differ first.
    pub wrong: Option<Wrong>,
    /// Whether the database has anything of it.
    pub known: bool,
}

/// The first column of a row that says otherwise than its line.
fn differs(
    row: &Row,
    line: &str,
    texts: &[&'static str],
    time: &mut Option<String>,
) -> Result<Option<&'static str>, DbError> {
    // A line that is no record is told already.
    let Some(entry) = Entry::parse(line.as_bytes()) else { return Ok(None) };
    let said: Vec<Option<String>> = row.try_get(1)?;
    for (column, said) in texts.iter().zip(said) {
        // PostgreSQL's text holds no byte of 0.
        let own = entry.text(column).map(|text| text.replace('\0', "?"));
        if own != said {
            return Ok(Some(column));
        }
    }
    let numbers: Vec<Option<i64>> = row.try_get(2)?;
    for (column, said) in ["seq"].iter().chain(&NUMBERS).zip(numbers) {
        if entry.number(column).and_then(|number| i64::try_from(number).ok()) != said {
            return Ok(Some(column));
        }
    }
    let ms: Option<f64> = row.try_get(3)?;
    if entry.field("ms").and_then(serde_json::Value::as_f64) != ms {
        return Ok(Some("ms"));
    }
    // An outcome has no time, and stands in the table with that of the record before it that has one.
    if let Some(own) = entry.text("time") {
        *time = Some(own.to_owned());
    }
    let said: String = row.try_get(4)?;
    Ok(time.as_ref().is_some_and(|time| *time != said).then_some("time"))
}
