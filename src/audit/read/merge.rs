//! Several logs as one, by the times of their records.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, sync_channel};

use jiff::Timestamp;

use super::read_all;
use crate::audit::record::Entry;

/// So many records of each log wait for the others.
const AHEAD: usize = 1000;

/// One log, read as far as is needed.
struct Source {
    records: Receiver<Entry>,
    /// The time of the last record that has one: an outcome has none, and stands where it stood.
    time: Timestamp,
    next: Option<Entry>,
}

impl Source {
    fn step(&mut self) -> Option<Entry> {
        let next = self.records.recv().ok();
        if let Some(time) = next.as_ref().and_then(Entry::time) {
            self.time = time.max(self.time);
        }
        std::mem::replace(&mut self.next, next)
    }
}

/// Every record of these logs with the number of its log, from 0; each log in its own order.
///
/// # Errors
/// The folder that cannot be read.
pub fn merged(directories: &[PathBuf], mut each: impl FnMut(u64, Entry)) -> Result<(), (PathBuf, io::Error)> {
    std::thread::scope(|scope| {
        let mut readers = Vec::new();
        let mut sources = Vec::new();
        for directory in directories {
            let (sender, records) = sync_channel(AHEAD);
            let directory: &Path = directory;
            // Where nobody takes any more, the rest is read in vain.
            readers
                .push(scope.spawn(move || read_all(directory, |entry| drop(sender.send(entry.clone())), &mut |_| {})));
            let mut source = Source { records, time: Timestamp::MIN, next: None };
            source.step();
            sources.push(source);
        }
        loop {
            let first = sources.iter_mut().enumerate().filter(|(_, source)| source.next.is_some());
            let Some((log, source)) = first.min_by_key(|(_, source)| source.time) else { break };
            if let Some(entry) = source.step() {
                each(log as u64, entry);
            }
        }
        for (reader, directory) in readers.into_iter().zip(directories) {
            let read = reader.join().unwrap_or_else(|_| Err(io::Error::other("the reader ended")));
            read.map_err(|error| (directory.clone(), error))?;
        }
        Ok(())
    })
}
