//! A search page by page, the newest records first.
//!
//! A page begins behind a record's number, and not at the so-many-hundredth match: whatever the log's size, nothing is read twice. It
//! ends when it is full or when its time is up; either way it says behind which record the next one begins.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

use super::search::Filter;
use super::sieve::Sieve;
use super::walk::{candidates, open_index, read_one};
use crate::audit::record::Entry;
use crate::audit::store::files::{self, LogFile};
use crate::audit::store::index::Key;
use crate::audit::store::opened::Index;

/// Bytes of a plain file that are read at a time, from its end.
const CHUNK: u64 = if cfg!(test) { 4 << 10 } else { 1 << 20 };

/// One page.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Page {
    /// What was found, the newest first. Outcomes are not among it.
    pub entries: Vec<Entry>,
    /// The next page begins behind this record; `None`: nothing older matches.
    pub next: Option<u64>,
    /// The time was up before the page was full.
    pub is_part: bool,
    /// Files that could not be read to their end: what they hold may be missing.
    pub damaged: Vec<String>,
}

/// The newest `most` records that match and are older than the record `before`. After `patience` it ends with what it has.
///
/// # Errors
/// The folder cannot be read.
pub fn page(
    directory: &Path,
    filter: &Filter,
    before: Option<u64>,
    most: usize,
    patience: Duration,
) -> io::Result<Page> {
    let before = before.unwrap_or(u64::MAX);
    let mut reader = Reader { filter, keys: filter.keys(), sieve: filter.sieve(), before, most, page: Page::default() };
    let until = Instant::now() + patience;
    for file in files::list(directory)?.0.iter().rev().filter(|file| file.first_seq < before) {
        match reader.file(file, until) {
            Ok(true) => {}
            Ok(false) => return Ok(reader.page),
            Err(error) if error.kind() == io::ErrorKind::NotFound && file.is_gone() => {}
            Err(error) => reader.page.damaged.push(format!("`{}`: {error}", file.name())),
        }
        if Instant::now() >= until {
            return Ok(reader.stopped(file.first_seq));
        }
    }
    Ok(reader.page)
}

struct Reader<'a> {
    filter: &'a Filter,
    keys: Vec<Vec<Key>>,
    sieve: Sieve,
    before: u64,
    most: usize,
    page: Page,
}

impl Reader<'_> {
    /// `false` where the page is done.
    fn file(&mut self, file: &LogFile, until: Instant) -> io::Result<bool> {
        match open_index(file)? {
            Some((index, data)) => self.blocks(file, &index, &data, until),
            None if file.packed => self.packed(file),
            None => self.plain(file, until),
        }
    }

    fn blocks(&mut self, file: &LogFile, index: &Index, data: &File, until: Instant) -> io::Result<bool> {
        let mut lines = Vec::new();
        for at in candidates(index, &self.keys, self.filter.since, self.filter.until).into_iter().rev() {
            let Some(block) = index.blocks.get(at).filter(|block| block.first_seq < self.before) else { continue };
            read_one(file, data, *block, &mut lines)?;
            if !self.lines(&lines) {
                return Ok(false);
            }
            // By what stands there: of a block in which nothing has a number, an index tells that of the record before it.
            if Instant::now() >= until && self.stop_at(&lines) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// From its end, a part at a time.
    fn plain(&mut self, file: &LogFile, until: Instant) -> io::Result<bool> {
        let data = match File::open(&file.path) {
            Ok(data) => data,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return self.packed(&file.other_form()),
            Err(error) => return Err(error),
        };
        let (mut end, mut tail) = (data.metadata()?.len(), Vec::new());
        while end > 0 {
            let begin = end.saturating_sub(CHUNK);
            let mut bytes = vec![0; usize::try_from(end - begin).unwrap_or_default()];
            data.read_exact_at(&mut bytes, begin)?;
            bytes.append(&mut tail);
            // A line that begins before this part waits for the next one.
            let first = if begin == 0 { 0 } else { memchr::memchr(b'\n', &bytes).map_or(bytes.len(), |at| at + 1) };
            let whole = bytes.split_off(first);
            (tail, end) = (bytes, begin);
            if !self.lines(&whole) {
                return Ok(false);
            }
            if begin > 0 && Instant::now() >= until && self.stop_at(&whole) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// A compressed file without an index, which is read whole.
    fn packed(&mut self, file: &LogFile) -> io::Result<bool> {
        let mut lines = Vec::new();
        io::Read::read_to_end(&mut file.open()?, &mut lines)?;
        Ok(self.lines(&lines))
    }

    /// Whole lines, the last first; `false` where the page is full and more is there.
    fn lines(&mut self, lines: &[u8]) -> bool {
        let mut end = lines.len();
        while end > 0 {
            let begin = lines.get(..end - 1).and_then(|rest| memchr::memrchr(b'\n', rest)).map_or(0, |at| at + 1);
            let line = lines.get(begin..end).unwrap_or_default();
            let line = line.strip_suffix(b"\n").unwrap_or(line);
            end = begin;
            if !self.sieve.lets_through(line) {
                continue;
            }
            let Some(entry) = Entry::parse(line) else { continue };
            let is_older = entry.seq().is_some_and(|seq| seq < self.before);
            if !is_older || entry.event() == "outcome" || !self.filter.matches(&entry) {
                continue;
            }
            if self.page.entries.len() >= self.most {
                self.page.next = self.page.entries.last().and_then(Entry::seq);
                return false;
            }
            self.page.entries.push(entry);
        }
        true
    }

    /// Ends the page behind the oldest record of these lines; whether there is one to end at. What is newer than the page is passed over, however
    /// long it takes: else the next page would begin where this one did.
    fn stop_at(&mut self, lines: &[u8]) -> bool {
        let oldest = lines.split(|byte| *byte == b'\n').find_map(|line| Entry::parse(line)?.seq());
        let oldest = oldest.filter(|oldest| *oldest < self.before);
        if let Some(oldest) = oldest {
            self.stop(oldest);
        }
        oldest.is_some()
    }

    fn stop(&mut self, at: u64) {
        (self.page.next, self.page.is_part) = (Some(at), true);
    }

    fn stopped(mut self, at: u64) -> Page {
        if at > 1 {
            self.stop(at);
        }
        self.page
    }
}
