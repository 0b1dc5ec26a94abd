//! One page of a search over the proxy's own log and those of others: the newest lines of all of them.

use std::path::Path;
use std::time::Duration;

use super::following::Other;
use super::query::Before;
use crate::audit::Filter;
use crate::audit::read::{Entry, Page, page};
use crate::audit::report::{in_log, of_log};

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// The newest first; those of other logs [with their numbers](Entry::of_log).
    pub(super) entries: Vec<Entry>,
    /// Where the next page begins; `None`: nothing older matches.
    pub(super) next: Option<Before>,
    /// Where the time was up: the record of each log that was looked at last.
    pub(super) parts: Vec<u64>,
    /// What could not be read, in words.
    pub(super) damaged: Vec<String>,
}

/// One log's part of a page, the newest last.
struct Source {
    log: u64,
    lines: Vec<Entry>,
    page: Page,
    last: Option<u64>,
}

impl Source {
    fn of(log: u64, before: Option<u64>, mut page: Page) -> Self {
        let mut lines = std::mem::take(&mut page.entries);
        lines.reverse();
        Self { log, lines, page, last: before }
    }

    /// Behind which record the next page begins here; 0: there is nothing older.
    fn next(&self) -> Option<u64> {
        if self.lines.is_empty() { Some(self.page.next.unwrap_or(0)) } else { self.last }
    }
}

/// The newest `most` lines behind `before`. What cannot be read of other proxies' logs is told, and the rest is shown.
///
/// # Errors
/// The proxy's own log cannot be read.
pub(super) fn seek(
    own: &Path,
    others: impl IntoIterator<Item = (u64, Other)>,
    filter: &Filter,
    before: &Before,
    most: usize,
    patience: Duration,
) -> std::io::Result<Found> {
    let others: Vec<(u64, Other)> = others.into_iter().collect();
    let share = patience / u32::try_from(others.len() + 1).unwrap_or(u32::MAX);
    let at = |log: u64| before.0.get(&log).copied();
    let mut found = Found::default();
    let mut sources = Vec::new();
    if at(0) != Some(0) {
        sources.push(Source::of(0, at(0), page(own, filter, at(0), most, share)?));
    }
    for (log, other) in others.into_iter().filter(|(log, _)| at(*log) != Some(0)) {
        match other.place.page(&other.name, filter, at(log), most, share) {
            Ok(mut page) => {
                page.entries = page.entries.into_iter().map(|entry| entry.of_log(log)).collect();
                sources.push(Source::of(log, at(log), page));
            }
            Err(error) => found.damaged.push(format!("the log of {}: {error}", other.label)),
        }
    }
    while found.entries.len() < most {
        let newest = sources.iter_mut().filter(|source| !source.lines.is_empty());
        let Some(source) = newest.max_by_key(|source| source.lines.last().and_then(Entry::time)) else { break };
        if let Some(entry) = source.lines.pop() {
            source.last = entry.seq().map(|seq| of_log(seq).1);
            found.entries.push(entry);
        }
    }
    let mut next = before.clone();
    for source in &sources {
        found.damaged.extend(source.page.damaged.iter().cloned());
        match source.next() {
            Some(seq) => next.0.insert(source.log, seq),
            None => next.0.remove(&source.log),
        };
        if let (true, true, Some(seq)) = (source.page.is_part, source.lines.is_empty(), source.page.next) {
            found.parts.push(in_log(source.log, seq));
        }
    }
    // A log that was read through stands with 0, so that it is not read again.
    let is_over = sources.iter().all(|source| source.next() == Some(0));
    found.next = Some(next).filter(|_| !is_over);
    Ok(found)
}
