//! Reading the log back: all of it, its end, and what is added.

mod merge;
mod page;
mod search;
mod sieve;
mod sightings;
mod walk;

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

pub use crate::audit::record::Entry;
use crate::audit::record::chain::{self, Link};
use crate::audit::store::files::{self, LogFile};
pub use merge::{merge, merged};
pub use page::{Page, page};
pub use search::{Filter, Search, search, search_with};
pub use sightings::{Gathering, SeenColumn, SeenFor, Sightings, Wanted};
pub use walk::{Effort, read_all};

/// Every line of the log that is a JSON object, oldest first, given to `each` until it answers `false`.
///
/// # Errors
/// The folder or a file cannot be read.
pub fn scan(directory: &Path, mut each: impl FnMut(Entry) -> bool) -> io::Result<()> {
    for file in files::list(directory)?.0 {
        if !scan_lines(&mut *file.open()?, &mut each)? {
            return Ok(());
        }
    }
    Ok(())
}

/// The same of the records behind the one of this number, without reading the files before.
///
/// # Errors
/// The folder or a file cannot be read.
pub fn scan_behind(directory: &Path, after: u64, mut each: impl FnMut(Entry) -> bool) -> io::Result<()> {
    let files = files::list(directory)?.0;
    let first = files.iter().rposition(|file| file.first_seq <= after.saturating_add(1)).unwrap_or(0);
    for file in files.into_iter().skip(first) {
        let mut reader = match file.open() {
            // Destroyed by age since it was listed.
            Err(error) if error.kind() == io::ErrorKind::NotFound && file.is_gone() => continue,
            opened => opened?,
        };
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line)? > 0 {
            let is_known = number_of(&line).is_some_and(|seq| seq <= after);
            if !is_known
                && let Some(entry) = line.strip_suffix(b"\n").and_then(Entry::parse)
                && entry.seq().is_none_or(|seq| seq > after)
                && !each(entry)
            {
                return Ok(());
            }
            line.clear();
        }
    }
    Ok(())
}

/// The number of a record, where its line begins with it as the log's own do.
fn number_of(line: &[u8]) -> Option<u64> {
    let digits = line.strip_prefix(b"{\"seq\":")?;
    let end = digits.iter().position(|byte| !byte.is_ascii_digit())?;
    std::str::from_utf8(digits.get(..end)?).ok()?.parse().ok()
}

/// What the log in this folder is called in its newest record that says so.
///
/// # Errors
/// The folder or a file cannot be read.
pub fn log_name(directory: &Path) -> io::Result<Option<String>> {
    files::log_name(directory)
}

/// Whether the log still has this record, whole and with this hash.
///
/// # Errors
/// The folder or a file cannot be read.
pub fn holds(directory: &Path, link: Link) -> io::Result<bool> {
    let Some(file) = files::list(directory)?.0.into_iter().rev().find(|file| file.first_seq <= link.seq) else {
        return Ok(false);
    };
    let (mut reader, mut line) = (file.open()?, Vec::new());
    while reader.read_until(b'\n', &mut line)? > 0 {
        if number_of(&line) == Some(link.seq) {
            let sealed = line.strip_suffix(b"\n").and_then(|line| chain::open(line).ok());
            return Ok(sealed.is_some_and(|sealed| sealed.hash == link.hash));
        }
        line.clear();
    }
    Ok(false)
}

/// The same of what is left of one file; `false` where `each` wants no more.
fn scan_lines(reader: &mut dyn BufRead, each: &mut impl FnMut(Entry) -> bool) -> io::Result<bool> {
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line)? > 0 {
        if let Some(entry) = line.strip_suffix(b"\n").and_then(Entry::parse)
            && !each(entry)
        {
            return Ok(false);
        }
        line.clear();
    }
    Ok(true)
}

/// The record of this number, from the file that it belongs to.
///
/// # Errors
/// The folder or a file cannot be read.
pub fn record(directory: &Path, seq: u64) -> io::Result<Option<Entry>> {
    let mut found = None;
    if let Some(file) = files::list(directory)?.0.into_iter().rev().find(|file| file.first_seq <= seq) {
        scan_lines(&mut *file.open()?, &mut |entry| {
            found = Some(entry).filter(|entry| entry.seq() == Some(seq));
            found.is_none()
        })?;
    }
    Ok(found)
}

/// The last `count` records that `wanted` takes, oldest first. Reads no more than the newest files that it needs, and
/// of each no more than its last `reach` bytes.
///
/// # Errors
/// The folder or a file cannot be read.
pub fn last(directory: &Path, count: usize, reach: u64, wanted: impl Fn(&Entry) -> bool) -> io::Result<Vec<Entry>> {
    let mut found: VecDeque<Entry> = VecDeque::new();
    for file in files::list(directory)?.0.into_iter().rev() {
        let mut here = Vec::new();
        // A line that begins before the reach is cut, so it is no JSON object.
        for line in near_end(&file, reach)?.split(b'\n') {
            here.extend(Entry::parse(&line?).filter(&wanted));
        }
        for entry in here.into_iter().rev() {
            if found.len() == count {
                return Ok(found.into());
            }
            found.push_front(entry);
        }
    }
    Ok(found.into())
}

/// A file's last bytes; of a compressed one all of it.
fn near_end(file: &LogFile, reach: u64) -> io::Result<Box<dyn BufRead>> {
    if file.packed {
        return file.open();
    }
    let mut opened = match File::open(&file.path) {
        Ok(opened) => opened,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return file.other_form().open(),
        Err(error) => return Err(error),
    };
    let from = opened.metadata()?.len().saturating_sub(reach);
    opened.seek(SeekFrom::Start(from))?;
    Ok(Box::new(BufReader::new(opened)))
}

/// Gives what is added to the log, over rotations.
#[derive(Debug)]
pub struct Follower {
    directory: PathBuf,
    /// First number of the file that is read, and how far it is read, in plain bytes.
    at: Option<(u64, u64)>,
    /// Records up to here were given before.
    after: u64,
}

impl Follower {
    /// Begins at the log's end.
    ///
    /// # Errors
    /// The folder or a file cannot be read.
    pub fn at_end(directory: &Path) -> io::Result<Self> {
        let at = match files::list(directory)?.0.pop() {
            Some(file) if file.packed => Some((file.first_seq, u64::MAX)),
            Some(file) => Some((file.first_seq, file.path.metadata()?.len())),
            None => None,
        };
        Ok(Self { directory: directory.to_owned(), at, after: 0 })
    }

    /// Begins behind the record of this number; 0: at the beginning.
    pub fn after(directory: &Path, seq: u64) -> Self {
        Self { directory: directory.to_owned(), at: None, after: seq }
    }

    /// The records added since the last call.
    ///
    /// # Errors
    /// The folder or a file cannot be read.
    pub fn poll(&mut self) -> io::Result<Vec<Entry>> {
        self.poll_some(usize::MAX, u64::MAX)
    }

    /// No more than so many bytes of them, and at least one record where there is one; none behind the record `until`.
    ///
    /// # Errors
    /// The folder or a file cannot be read.
    pub fn poll_some(&mut self, most: usize, until: u64) -> io::Result<Vec<Entry>> {
        let (mut entries, mut bytes) = (Vec::new(), 0_usize);
        let files = files::list(&self.directory)?.0;
        let from = match self.at {
            Some((first, _)) => files.iter().position(|file| file.first_seq >= first).unwrap_or(files.len()),
            // The last file that begins no later than what is wanted next.
            None => files.iter().rposition(|file| file.first_seq <= self.after + 1).unwrap_or(0),
        };
        for file in files.into_iter().skip(from) {
            let mut offset = match self.at {
                Some((first, offset)) if first == file.first_seq => offset,
                Some(_) | None => 0,
            };
            let mut reader = behind(&file, offset)?;
            let mut line = Vec::new();
            while reader.read_until(b'\n', &mut line)? > 0 {
                // A line that is not whole yet is read again.
                let Some(whole) = line.strip_suffix(b"\n") else { break };
                if let Some(entry) = Entry::parse(whole) {
                    let seq = entry.seq();
                    if seq.is_some_and(|seq| seq > until) {
                        return Ok(entries);
                    }
                    if seq.is_none_or(|seq| seq > self.after) {
                        entries.push(entry);
                    }
                }
                offset += line.len() as u64;
                bytes = bytes.saturating_add(line.len());
                line.clear();
                self.at = Some((file.first_seq, offset));
                if bytes >= most && !entries.is_empty() {
                    return Ok(entries);
                }
            }
            self.at = Some((file.first_seq, offset));
        }
        Ok(entries)
    }
}

/// A file's lines from this byte of its plain form on.
fn behind(file: &LogFile, offset: u64) -> io::Result<Box<dyn BufRead>> {
    if !file.packed {
        match File::open(&file.path) {
            Ok(mut opened) => {
                opened.seek(SeekFrom::Start(offset))?;
                return Ok(Box::new(BufReader::with_capacity(1 << 18, opened)));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    let mut reader = file.open()?;
    io::copy(&mut (&mut reader).take(offset), &mut io::sink())?;
    Ok(reader)
}
