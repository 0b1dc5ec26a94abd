//! The small file beside a closed file of the log that says in which of its blocks a value stands.
//!
//! Only what looks for records reads it ([`walk`](crate::audit::read::walk)), to leave out what cannot match; the records that it leads to
//! are looked at themselves, and [`verify`](crate::audit::verify()) builds it again from the file and compares. To find a value takes
//! two reads: the front, and the page that the value is in. Both carry a digest, and what does not match its digest is not
//! used. To the byte, numbers little-endian; a digest is the first 8 bytes of the SHA-256:
//!
//! ```text
//! magic "PGPAIDX2" · SHA-256 of the file · its length u64 · first and last record u64 u64
//! oldest record whose outcome stands here u64 · oldest and newest time, microseconds since 1970, i64 i64
//! blocks u32 · entries u32 · bytes of the tally u32 · digest of the tally
//! each block:  offset u64 · length u32 · first record u64 · oldest and newest time in it i64 i64
//! each page of 512 entries: the first of them · digest of all
//! digest of everything up to here
//! each entry, sorted: 48 bits of SHA-256 of `field NUL value`, then the block's number, 16 bits, as one u64
//! the tally: JSON, see `Tally`; nothing where there is none
//! ```

use jiff::Timestamp;

use super::indexed::Indexed;
use super::tally::Tally;
use crate::audit::record::chain::Hash;

pub(in crate::audit) const MAGIC: &[u8; 8] = b"PGPAIDX2";
pub(in crate::audit) const DIGEST: usize = 8;
pub(in crate::audit) const HEAD: usize = 8 + 32 + 32 + 16 + 12 + DIGEST;
pub(in crate::audit) const BLOCK: usize = 8 + 4 + 8 + 16;
pub(in crate::audit) const PAGE: usize = 8 + DIGEST;
pub(in crate::audit) const ENTRY: usize = 8;
/// Entries of a page.
pub(in crate::audit) const PAGE_ENTRIES: usize = if cfg!(test) { 8 } else { 512 };
/// Blocks that an entry can tell apart.
pub(in crate::audit) const MOST_BLOCKS: usize = 1 << 16;
/// A tally that is longer is left out.
const MOST_TALLY: usize = 256 << 10;

/// One block of a file: whole lines, compressed by themselves where the file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::audit) struct Block {
    pub(in crate::audit) offset: u64,
    pub(in crate::audit) length: u32,
    pub(in crate::audit) first_seq: u64,
    pub(in crate::audit) times: Times,
}

/// From the oldest to the newest time of some records, microseconds since 1970: clocks are set back, so it is not the first
/// and the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::audit) struct Times {
    pub(in crate::audit) oldest: i64,
    pub(in crate::audit) newest: i64,
}

impl Times {
    /// Of no record.
    pub(in crate::audit) const NONE: Self = Self { oldest: i64::MAX, newest: i64::MIN };

    fn with(self, other: Self) -> Self {
        Self { oldest: self.oldest.min(other.oldest), newest: self.newest.max(other.newest) }
    }

    /// Whether there may be a record from `since` on and before `until`. Parts of microseconds are not known here.
    pub(in crate::audit) fn overlap(self, since: Option<Timestamp>, until: Option<Timestamp>) -> bool {
        since.is_none_or(|since| self.newest >= since.as_microsecond())
            && until.is_none_or(|until| self.oldest <= until.as_microsecond())
    }

    /// Whether every record certainly is from `since` on and before `until`.
    pub(in crate::audit) fn within(self, since: Option<Timestamp>, until: Option<Timestamp>) -> bool {
        since.is_none_or(|since| self.oldest > since.as_microsecond())
            && until.is_none_or(|until| self.newest < until.as_microsecond())
    }
}

/// A value that is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::audit) struct Key(pub(in crate::audit) u64);

impl Key {
    pub(in crate::audit) fn of(field: &str, value: &str) -> Self {
        let mut text = Vec::with_capacity(field.len() + value.len() + 1);
        text.extend_from_slice(field.as_bytes());
        text.push(0);
        text.extend_from_slice(value.as_bytes());
        let digest = Hash::of(&text);
        Self(digest.bytes().iter().take(6).fold(0, |key, byte| key << 8 | u64::from(*byte)))
    }

    /// Of every record that counts in a tally.
    pub(in crate::audit) fn tallied() -> Self {
        Self::of("tallied", "")
    }
}

/// The first bytes of a SHA-256.
pub(in crate::audit) fn digest(bytes: &[u8]) -> [u8; DIGEST] {
    Hash::of(bytes).bytes().first_chunk().copied().unwrap_or_default()
}

/// What a record can be found by.
fn keys(line: &Indexed<'_>, block_first: u64, mut each: impl FnMut(Key)) {
    let fields = [
        ("event", &line.event),
        ("login", &line.login),
        ("role", &line.role),
        ("recipient", &line.recipient),
        ("actor", &line.actor),
        ("ticket", &line.ticket),
        ("verdict", &line.verdict),
    ];
    for (field, value) in fields {
        if let Some(value) = value {
            each(Key::of(field, value));
        }
    }
    if let Some(purpose) = &line.purpose {
        for (at, _) in purpose.match_indices('.') {
            each(Key::of("purpose", purpose.get(..at).unwrap_or_default()));
        }
        each(Key::of("purpose", purpose));
    }
    for relation in &line.relations {
        each(Key::of("relation", relation));
        if let Some((_, name)) = relation.rsplit_once('.') {
            each(Key::of("relation", name));
        }
    }
    for subject in &line.subjects {
        each(Key::of("subject", subject));
    }
    for digest in &line.lookups {
        each(Key::of("lookup", digest));
    }
    // What belongs to an access in the same block is read with it.
    if let Some(of) = line.of.filter(|of| *of < block_first) {
        each(Key::of("of", &of.to_string()));
    }
    if line.tallied {
        each(Key::tallied());
    }
}

/// Collects an index while a file is read from its beginning.
#[derive(Debug)]
pub(in crate::audit) struct Builder {
    blocks: Vec<Block>,
    entries: Vec<u64>,
    /// Those of the block at hand, as they come.
    here: Vec<u64>,
    block_first: Option<u64>,
    block_times: Times,
    first_seq: Option<u64>,
    last_seq: u64,
    oldest_of: u64,
    /// `None` where it would not say all.
    tally: Option<Tally>,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            blocks: Vec::new(),
            entries: Vec::new(),
            here: Vec::new(),
            block_first: None,
            block_times: Times::NONE,
            first_seq: None,
            last_seq: 0,
            oldest_of: u64::MAX,
            tally: Some(Tally::default()),
        }
    }
}

impl Builder {
    /// A line; what is no JSON object is passed over.
    pub(in crate::audit) fn line(&mut self, line: &[u8]) {
        let Some(read) = Indexed::parse(line) else { return };
        let seq = read.seq.unwrap_or(self.last_seq);
        self.first_seq.get_or_insert(seq);
        let block_first = *self.block_first.get_or_insert(seq);
        self.last_seq = seq;
        self.oldest_of = self.oldest_of.min(read.of.unwrap_or(u64::MAX));
        let time = read.time();
        if let Some(time) = time {
            self.block_times = self.block_times.with(Times { oldest: time, newest: time });
        }
        let number = u64::try_from(self.blocks.len()).unwrap_or(u64::MAX);
        let here = &mut self.here;
        keys(&read, block_first, |Key(key)| {
            here.push(key << 16 | (number & 0xffff));
        });
        if read.tallied {
            self.tally = self.tally.take().and_then(|tally| read.add_to(tally, time));
        }
    }

    /// The records since the last block are one, and stand there in the file.
    pub(in crate::audit) fn block(&mut self, offset: u64, length: usize) {
        self.blocks.push(Block {
            offset,
            length: u32::try_from(length).unwrap_or(u32::MAX),
            first_seq: self.block_first.take().unwrap_or(self.last_seq),
            times: std::mem::replace(&mut self.block_times, Times::NONE),
        });
        self.here.sort_unstable();
        self.here.dedup();
        self.entries.append(&mut self.here);
    }

    /// The index of a file of this hash and length.
    pub(in crate::audit) fn finish(mut self, sha256: Hash, length: u64) -> Vec<u8> {
        self.entries.sort_unstable();
        let entries: Vec<u8> = self.entries.iter().flat_map(|entry| entry.to_le_bytes()).collect();
        let tally = self.tally.and_then(|tally| tally.to_json()).filter(|json| json.len() <= MOST_TALLY);
        let tally = tally.unwrap_or_default();
        let times = self.blocks.iter().fold(Times::NONE, |times, block| times.with(block.times));

        let pages = entries.len().div_ceil(PAGE_ENTRIES * ENTRY);
        let front = HEAD + self.blocks.len() * BLOCK + pages * PAGE + DIGEST;
        let mut bytes = Vec::with_capacity(front + entries.len() + tally.len());
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(sha256.bytes());
        for number in [length, self.first_seq.unwrap_or_default(), self.last_seq, self.oldest_of] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        put_times(&mut bytes, times);
        for count in [self.blocks.len(), self.entries.len(), tally.len()] {
            bytes.extend_from_slice(&u32::try_from(count).unwrap_or(u32::MAX).to_le_bytes());
        }
        bytes.extend_from_slice(&digest(&tally));
        for block in &self.blocks {
            bytes.extend_from_slice(&block.offset.to_le_bytes());
            bytes.extend_from_slice(&block.length.to_le_bytes());
            bytes.extend_from_slice(&block.first_seq.to_le_bytes());
            put_times(&mut bytes, block.times);
        }
        for page in entries.chunks(PAGE_ENTRIES * ENTRY) {
            bytes.extend(page.iter().take(ENTRY));
            bytes.extend_from_slice(&digest(page));
        }
        bytes.extend_from_slice(&digest(&bytes));
        bytes.extend_from_slice(&entries);
        bytes.extend_from_slice(&tally);
        bytes
    }
}

fn put_times(bytes: &mut Vec<u8>, times: Times) {
    bytes.extend_from_slice(&times.oldest.to_le_bytes());
    bytes.extend_from_slice(&times.newest.to_le_bytes());
}
