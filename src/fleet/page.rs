//! A search of one log page by page, the newest records first, as [`page`](crate::audit::read::page) does it over files.
//!
//! The table has no index for every question, so that it is looked through in windows of the log's own numbers, which its key has: each is
//! larger than the one before for as long as that is quick.

use std::time::{Duration, Instant};

use super::logs::{AuditDb, DbError};
use crate::audit::read::{Entry, Page};
use crate::audit::{Filter, Search};

/// Records of the first window.
const FIRST: i64 = 5_000;
/// And of the largest.
const LARGEST: i64 = 1_000_000;

impl AuditDb {
    /// The newest `most` records of this log that match and are older than the record `before`. After `patience` it ends with what it has.
    ///
    /// # Errors
    /// The database's.
    pub fn page(
        &mut self,
        log: &str,
        filter: &Filter,
        before: Option<u64>,
        most: usize,
        patience: Duration,
    ) -> Result<Page, DbError> {
        let begun = Instant::now();
        let mut page = Page::default();
        let Some((first, last)) = self.numbers(log, filter)? else { return Ok(page) };
        let before = before.and_then(|before| i64::try_from(before).ok()).unwrap_or(i64::MAX);
        let (mut end, mut width) = (before.min(last.saturating_add(1)), FIRST);
        let mut search = Search::new(filter.clone());
        while end > first {
            let begin = end.saturating_sub(width).max(first);
            let looked = Instant::now();
            for row in self.window(log, filter, begin, end)? {
                let line: String = row.try_get(0)?;
                let Some(entry) = Entry::parse(line.as_bytes()).filter(|entry| search.wants(entry)) else { continue };
                if page.entries.len() >= most {
                    page.next = page.entries.last().and_then(Entry::seq);
                    return Ok(page);
                }
                page.entries.push(entry);
            }
            end = begin;
            if end > first && begun.elapsed() >= patience {
                (page.next, page.is_part) = (u64::try_from(end).ok(), true);
                return Ok(page);
            }
            if looked.elapsed() < patience / 4 {
                width = width.saturating_mul(2).min(LARGEST);
            }
        }
        Ok(page)
    }

    /// The numbers of the first record and of the last that lie in the time that is asked for.
    fn numbers(&self, log: &str, filter: &Filter) -> Result<Option<(i64, i64)>, DbError> {
        let end = |condition: &str, time: Option<jiff::Timestamp>, order: &str| {
            let time = time.map_or_else(|| "-infinity".to_owned(), |time| time.to_string());
            let sql = format!(
                "SELECT seq FROM audit.records WHERE log = $1 AND {condition} ORDER BY seq {order}, time {order} LIMIT 1"
            );
            let rows = self.connection().query(&sql, &[&log, &time])?;
            Ok::<Option<i64>, DbError>(rows.first().map(|row| row.try_get(0)).transpose()?)
        };
        let first = end("time >= ($2::text)::timestamptz", filter.since, "ASC")?;
        let until =
            if filter.until.is_some() { "time < ($2::text)::timestamptz" } else { "time > ($2::text)::timestamptz" };
        Ok(first.zip(end(until, filter.until, "DESC")?))
    }

    /// What may match among the records of these numbers, the newest first.
    fn window(
        &mut self,
        log: &str,
        filter: &Filter,
        begin: i64,
        end: i64,
    ) -> Result<Vec<tokio_postgres::Row>, DbError> {
        let mut wanted = self.conditions(filter);
        wanted.add("log = ?", Box::new(log.to_owned()));
        wanted.add("seq >= ?", Box::new(begin));
        wanted.add("seq < ?", Box::new(end));
        let sql = format!("SELECT line FROM audit.records WHERE {} ORDER BY seq DESC, time DESC", wanted.text());
        let parameters: Vec<&(dyn tokio_postgres::types::ToSql + Sync)> =
            wanted.parameters.iter().map(AsRef::as_ref).collect();
        self.connection().query(&sql, &parameters)
    }
}
