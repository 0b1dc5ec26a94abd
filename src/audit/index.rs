//! The small file beside a closed file of the log that says in which of its blocks a value stands.
//!
//! Only [`search`](super::search) reads it, to leave out what cannot match; the records that it leads to are looked at
//! themselves, and [`verify`](super::verify()) builds it again from the file and compares. To the byte, numbers
//! little-endian:
//!
//! ```text
//! magic "PGPAIDX1" · SHA-256 of the file · its length u64 · first and last record u64 u64
//! first and last time, microseconds since 1970, i64 i64 · blocks u32 · entries u32
//! each block:  offset u64 · length u32 · first record u64 · time of its first record i64
//! each entry, sorted: 48 bits of SHA-256 of `field NUL value`, then the block's number, 16 bits, as one u64
//! ```

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use jiff::Timestamp;

use super::chain::Hash;
use super::read::Entry;

const MAGIC: &[u8; 8] = b"PGPAIDX1";
const HEAD: usize = 8 + 32 + 8 + 16 + 16 + 8;
const BLOCK: usize = 8 + 4 + 8 + 8;
const ENTRY: usize = 8;
/// Entries that are read at once.
const PAGE: u64 = 512;

/// One block of a file: whole lines, compressed by themselves where the file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Block {
    pub(super) offset: u64,
    pub(super) length: u32,
    pub(super) first_seq: u64,
    /// Microseconds since 1970; of the first record in it that has a time, or else of the block before.
    pub(super) time: i64,
}

/// A value that is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key(u64);

impl Key {
    pub(super) fn of(field: &str, value: &str) -> Self {
        let mut text = Vec::with_capacity(field.len() + value.len() + 1);
        text.extend_from_slice(field.as_bytes());
        text.push(0);
        text.extend_from_slice(value.as_bytes());
        let digest = Hash::of(&text);
        Self(digest.bytes().iter().take(6).fold(0, |key, byte| key << 8 | u64::from(*byte)))
    }
}

/// Fields of which every value is indexed.
const FIELDS: &[&str] = &["event", "login", "role", "recipient", "verdict"];

/// What a record can be found by.
fn keys(entry: &Entry, block_first: u64, mut each: impl FnMut(Key)) {
    for field in FIELDS {
        if let Some(value) = entry.text(field) {
            each(Key::of(field, value));
        }
    }
    if let Some(purpose) = entry.text("purpose") {
        for (at, _) in purpose.match_indices('.') {
            each(Key::of("purpose", purpose.get(..at).unwrap_or_default()));
        }
        each(Key::of("purpose", purpose));
    }
    for (relation, _) in entry.relations() {
        each(Key::of("relation", relation));
        if let Some((_, name)) = relation.rsplit_once('.') {
            each(Key::of("relation", name));
        }
    }
    for subject in entry.subjects() {
        each(Key::of("subject", subject));
    }
    for digest in entry.lookups() {
        each(Key::of("lookup", digest));
    }
    // What belongs to an access in the same block is read with it.
    if let Some(of) = entry.number("of").filter(|of| *of < block_first) {
        each(Key::of("of", &of.to_string()));
    }
}

/// Collects an index while a file is read from its beginning.
#[derive(Debug, Default)]
pub(super) struct Builder {
    blocks: Vec<Block>,
    entries: Vec<u64>,
    /// Those of the block at hand, as they come.
    here: Vec<u64>,
    block_first: Option<u64>,
    block_time: Option<i64>,
    first_seq: Option<u64>,
    last_seq: u64,
    first_time: Option<i64>,
    last_time: i64,
}

impl Builder {
    pub(super) fn record(&mut self, entry: &Entry) {
        let seq = entry.seq().unwrap_or(self.last_seq);
        self.first_seq.get_or_insert(seq);
        let block_first = *self.block_first.get_or_insert(seq);
        self.last_seq = seq;
        if let Some(time) = entry.time().map(Timestamp::as_microsecond) {
            self.first_time.get_or_insert(time);
            self.block_time.get_or_insert(time);
            self.last_time = self.last_time.max(time);
        }
        let number = u64::try_from(self.blocks.len()).unwrap_or(u64::MAX);
        let here = &mut self.here;
        keys(entry, block_first, |Key(key)| {
            here.push(key << 16 | (number & 0xffff));
        });
    }

    /// The records since the last block are one, and stand there in the file.
    pub(super) fn block(&mut self, offset: u64, length: usize) {
        let before = self.blocks.last().map(|block| block.time);
        self.blocks.push(Block {
            offset,
            length: u32::try_from(length).unwrap_or(u32::MAX),
            first_seq: self.block_first.take().unwrap_or(self.last_seq),
            time: self.block_time.take().or(before).unwrap_or(self.last_time),
        });
        self.here.sort_unstable();
        self.here.dedup();
        self.entries.append(&mut self.here);
    }

    /// The index of a file of this hash and length.
    pub(super) fn finish(mut self, sha256: Hash, length: u64) -> Vec<u8> {
        self.entries.sort_unstable();
        let mut bytes = Vec::with_capacity(HEAD + self.blocks.len() * BLOCK + self.entries.len() * ENTRY);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(sha256.bytes());
        for number in [length, self.first_seq.unwrap_or_default(), self.last_seq] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        for time in [self.first_time.unwrap_or(self.last_time), self.last_time] {
            bytes.extend_from_slice(&time.to_le_bytes());
        }
        for count in [self.blocks.len(), self.entries.len()] {
            bytes.extend_from_slice(&u32::try_from(count).unwrap_or(u32::MAX).to_le_bytes());
        }
        for block in &self.blocks {
            bytes.extend_from_slice(&block.offset.to_le_bytes());
            bytes.extend_from_slice(&block.length.to_le_bytes());
            bytes.extend_from_slice(&block.first_seq.to_le_bytes());
            bytes.extend_from_slice(&block.time.to_le_bytes());
        }
        for entry in &self.entries {
            bytes.extend_from_slice(&entry.to_le_bytes());
        }
        bytes
    }
}

/// An index that is open for questions.
#[derive(Debug)]
pub(super) struct Index {
    file: File,
    pub(super) blocks: Vec<Block>,
    pub(super) last_time: i64,
    entries_at: u64,
    entries: u64,
}

/// Takes numbers off the front of bytes.
struct Take<'a>(&'a [u8]);

impl Take<'_> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*taken)
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    fn i64(&mut self) -> Option<i64> {
        self.array().map(i64::from_le_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }
}

impl Index {
    /// Opens it; `None` where it is not there, is not of a file of this length, or is damaged: then the file is read whole.
    pub(super) fn open(path: &Path, length: u64) -> io::Result<Option<Self>> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let have = file.metadata()?.len();
        let mut head = [0; HEAD];
        if have < HEAD as u64 {
            return Ok(None);
        }
        file.read_exact_at(&mut head, 0)?;
        let Some((blocks, entries, last_time)) = read_head(&head, length) else { return Ok(None) };
        let entries_at = (HEAD + blocks * BLOCK) as u64;
        if have != entries_at + entries * ENTRY as u64 {
            return Ok(None);
        }
        let mut table = vec![0; blocks * BLOCK];
        file.read_exact_at(&mut table, HEAD as u64)?;
        let mut table = Take(&table);
        let mut read = Vec::with_capacity(blocks);
        while let (Some(offset), Some(length), Some(first_seq), Some(time)) =
            (table.u64(), table.u32(), table.u64(), table.i64())
        {
            read.push(Block { offset, length, first_seq, time });
        }
        Ok(Some(Self { file, blocks: read, last_time, entries_at, entries }))
    }

    /// The blocks that hold the value, by number.
    pub(super) fn find(&self, key: Key) -> io::Result<BTreeSet<usize>> {
        let (from, to) = (key.0 << 16, key.0 << 16 | 0xffff);
        // The first page whose last entry is not below.
        let (mut low, mut high) = (0, self.entries.div_ceil(PAGE));
        while low < high {
            let middle = low + (high - low) / 2;
            let last = ((middle + 1) * PAGE).min(self.entries) - 1;
            match self.read(last, 1)?.first() {
                Some(entry) if *entry < from => low = middle + 1,
                Some(_) | None => high = middle,
            }
        }
        let mut found = BTreeSet::new();
        let mut at = low * PAGE;
        while at < self.entries {
            let count = PAGE.min(self.entries - at);
            let page = self.read(at, count)?;
            found.extend(
                page.iter()
                    .filter(|entry| (from..=to).contains(entry))
                    .filter_map(|entry| usize::try_from(entry & 0xffff).ok()),
            );
            if page.last().is_none_or(|last| *last > to) {
                break;
            }
            at += count;
        }
        Ok(found)
    }

    fn read(&self, at: u64, count: u64) -> io::Result<Vec<u64>> {
        let mut bytes = vec![0; usize::try_from(count).unwrap_or_default() * ENTRY];
        self.file.read_exact_at(&mut bytes, self.entries_at + at * ENTRY as u64)?;
        let mut bytes = Take(&bytes);
        Ok(std::iter::from_fn(|| bytes.u64()).collect())
    }
}

/// Numbers of blocks and entries, and the newest time, where the head is of a file of this length.
fn read_head(head: &[u8], wanted: u64) -> Option<(usize, u64, i64)> {
    let mut head = Take(head);
    if head.array::<8>()? != *MAGIC {
        return None;
    }
    head.array::<32>()?;
    let length = head.u64()?;
    let (_, _, _, last_time) = (head.u64()?, head.u64()?, head.i64()?, head.i64()?);
    let (blocks, entries) = (head.u32()?, head.u32()?);
    (length == wanted).then_some((usize::try_from(blocks).ok()?, u64::from(entries), last_time))
}
