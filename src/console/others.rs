//! Logs of other proxies, which the console is about as well.

use std::io;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::audit::Filter;
use crate::audit::chain::Link;
use crate::audit::read::{Entry, Follower, Page, holds, log_name, page, scan_behind};

/// Bytes that are read at a time of what is new.
pub(super) const BYTES: usize = 1 << 20;

/// A place that holds one log or several.
pub(crate) trait Others: Send + Sync {
    /// The logs that it holds now, by name.
    fn names(&self) -> Result<Vec<String>, String>;

    /// Every record of these logs behind the number that stands with each, given to `each` with the name of its log until it answers
    /// `false`: by time, and each log in its own order.
    fn behind(&self, logs: &[(String, u64)], each: &mut dyn FnMut(&str, Entry) -> bool) -> Result<(), String>;

    /// Whether it has this record of a log, whole and with this hash.
    fn holds(&self, log: &str, link: Link) -> Result<bool, String>;

    /// One page of a search in one of its logs, as [`page`] gives it of a folder.
    fn page(
        &self,
        log: &str,
        filter: &Filter,
        before: Option<u64>,
        most: usize,
        patience: Duration,
    ) -> Result<Page, String>;
}

/// The folder of another proxy's log, or of a copy that grows.
pub(crate) struct Folder {
    directory: PathBuf,
    name: Mutex<Option<String>>,
    /// Once what was there is read: gives what is added.
    follower: Mutex<Option<Follower>>,
}

impl Folder {
    pub(crate) fn new(directory: PathBuf) -> Self {
        Self { directory, name: Mutex::new(None), follower: Mutex::new(None) }
    }

    fn failed(&self, error: &io::Error) -> String {
        format!("`{}`: {error}", self.directory.display())
    }
}

impl Others for Folder {
    fn names(&self) -> Result<Vec<String>, String> {
        let mut known = self.name.lock().unwrap_or_else(PoisonError::into_inner);
        if known.is_none() {
            *known = log_name(&self.directory).map_err(|error| self.failed(&error))?;
        }
        Ok(known.clone().into_iter().collect())
    }

    fn behind(&self, logs: &[(String, u64)], each: &mut dyn FnMut(&str, Entry) -> bool) -> Result<(), String> {
        let Some((name, after)) = logs.first() else { return Ok(()) };
        let mut follower = self.follower.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(follower) = follower.as_mut() {
            let polled = follower.poll_some(BYTES, u64::MAX).map_err(|error| self.failed(&error))?;
            let new = polled.into_iter().filter(|entry| entry.seq().is_none_or(|seq| seq > *after));
            for entry in new {
                if !each(name, entry) {
                    break;
                }
            }
            return Ok(());
        }
        let (mut last, mut whole) = (*after, true);
        scan_behind(&self.directory, *after, |entry| {
            let seq = entry.seq().unwrap_or(last);
            whole = each(name, entry);
            last = if whole { seq } else { last };
            whole
        })
        .map_err(|error| self.failed(&error))?;
        if whole {
            *follower = Some(Follower::after(&self.directory, last));
        }
        Ok(())
    }

    fn holds(&self, _: &str, link: Link) -> Result<bool, String> {
        *self.follower.lock().unwrap_or_else(PoisonError::into_inner) = None;
        holds(&self.directory, link).map_err(|error| self.failed(&error))
    }

    fn page(
        &self,
        _: &str,
        filter: &Filter,
        before: Option<u64>,
        most: usize,
        patience: Duration,
    ) -> Result<Page, String> {
        page(&self.directory, filter, before, most, patience).map_err(|error| self.failed(&error))
    }
}
