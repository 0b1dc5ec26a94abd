//! Several logs as one, by the times of their records.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::sync_channel;

use jiff::Timestamp;

use super::read_all;
use crate::audit::record::Entry;

/// So many records of each log wait for the others.
const AHEAD: usize = 1000;

/// One log, read as far as is needed.
struct Source<R> {
    records: R,
    /// The time of the last record that has one: an outcome has none, and stands where it stood.
    time: Timestamp,
    next: Option<Entry>,
}

impl<R: Iterator<Item = Entry>> Source<R> {
    fn step(&mut self) -> Option<Entry> {
        let next = self.records.next();
        if let Some(time) = next.as_ref().and_then(Entry::time) {
            self.time = time.max(self.time);
        }
        std::mem::replace(&mut self.next, next)
    }
}

/// Every record of these logs with the number of its log, from 0, by time; each log in its own order. Of each log no more is read
/// than one record beyond what was given.
pub fn merge<R: Iterator<Item = Entry>>(logs: impl IntoIterator<Item = R>, mut each: impl FnMut(u64, Entry)) {
    let mut sources: Vec<Source<R>> = logs
        .into_iter()
        .map(|records| {
            let mut source = Source { records, time: Timestamp::MIN, next: None };
            source.step();
            source
        })
        .collect();
    loop {
        let first = sources.iter_mut().enumerate().filter(|(_, source)| source.next.is_some());
        let Some((log, source)) = first.min_by_key(|(_, source)| source.time) else { break };
        if let Some(entry) = source.step() {
            each(log as u64, entry);
        }
    }
}

/// The same of the logs in these folders.
///
/// # Errors
/// The folder that cannot be read.
pub fn merged(directories: &[PathBuf], each: impl FnMut(u64, Entry)) -> Result<(), (PathBuf, io::Error)> {
    std::thread::scope(|scope| {
        let mut readers = Vec::new();
        let mut sources = Vec::new();
        for directory in directories {
            let (sender, records) = sync_channel(AHEAD);
            let directory: &Path = directory;
            // Where nobody takes any more, the rest is read in vain.
            readers
                .push(scope.spawn(move || read_all(directory, |entry| drop(sender.send(entry.clone())), &mut |_| {})));
            sources.push(records.into_iter());
        }
        merge(sources, each);
        for (reader, directory) in readers.into_iter().zip(directories) {
            let read = reader.join().unwrap_or_else(|_| Err(io::Error::other("the reader ended")));
            read.map_err(|error| (directory.clone(), error))?;
        }
        Ok(())
    })
}
