//! Builds the indexes of a log again: those that are missing, damaged or of another form.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::thread;

use super::advance::Advance;
use super::files::{self, LogFile};
use super::opened::current;
use super::pack::{index_again, write_index};

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reindexed {
    /// Closed files.
    pub files: usize,
    /// Of these, files whose index was built.
    pub built: usize,
}

/// Builds the index of each closed file that has none that can be used; with `again` of each. May run while the log is
/// written, and reads on all cores. `progress` is told now and then how far it is.
///
/// # Errors
/// The folder or a file cannot be read, or an index not be written.
pub fn reindex(directory: &Path, again: bool, mut progress: impl FnMut(Advance)) -> io::Result<Reindexed> {
    let mut closed = files::list(directory)?.0;
    if closed.last().is_some_and(|newest| !newest.packed) {
        // It is being written.
        closed.pop();
    }
    let lengths: Vec<u64> =
        closed.iter().map(|file| fs::metadata(&file.path).map_or(0, |metadata| metadata.len())).collect();
    let mut advance = Advance { done: 0, of: lengths.iter().sum() };
    let (next, (sender, done)) = (AtomicUsize::new(0), channel());
    let mut reindexed = Reindexed { files: closed.len(), built: 0 };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            let (sender, next, closed, lengths) = (sender.clone(), &next, &closed, &lengths);
            scope.spawn(move || {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let (Some(file), Some(length)) = (closed.get(at), lengths.get(at)) else { return };
                    let built = index(file, again);
                    // After an error nobody listens any more.
                    if sender.send((*length, built)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        // Ours, so that it goes with the first error.
        let done = done;
        for (length, built) in &done {
            reindexed.built += usize::from(built?);
            advance.done += length;
            progress(advance);
        }
        Ok(reindexed)
    })
}

/// Whether it was built.
fn index(file: &LogFile, again: bool) -> io::Result<bool> {
    if !again && current(file).is_some_and(|index| index.is_whole()) {
        return Ok(false);
    }
    match index_again(file) {
        Ok(bytes) => write_index(file, &bytes).map(|()| true),
        // Compressed or destroyed meanwhile.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(io::Error::new(error.kind(), format!("{}: {error}", file.name()))),
    }
}
