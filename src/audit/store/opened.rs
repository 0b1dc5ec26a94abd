//! An index that is open for questions. It is never trusted beyond its digests: what is damaged answers `None`, and then the
//! file is read instead.

use std::collections::BTreeSet;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::files::LogFile;
use super::index::{BLOCK, Block, DIGEST, ENTRY, HEAD, Key, MAGIC, MOST_BLOCKS, PAGE, PAGE_ENTRIES, Times, digest};
use super::tally::Tally;

/// Bytes of a first read: the whole front of the index of a file of 64 MiB.
const FRONT: usize = if cfg!(test) { 256 } else { 8 << 10 };

/// The index of a closed file.
#[derive(Debug)]
pub(in crate::audit) struct Index {
    file: File,
    pub(in crate::audit) blocks: Vec<Block>,
    pub(in crate::audit) times: Times,
    /// The oldest record whose outcome stands in the file.
    pub(in crate::audit) oldest_of: u64,
    /// First entry and digest of each page.
    pages: Vec<(u64, [u8; DIGEST])>,
    entries_at: u64,
    entries: usize,
    tally: usize,
    tally_digest: [u8; DIGEST],
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

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    fn count(&mut self) -> Option<usize> {
        usize::try_from(self.u32()?).ok()
    }

    fn times(&mut self) -> Option<Times> {
        let mut time = || self.array().map(i64::from_le_bytes);
        Some(Times { oldest: time()?, newest: time()? })
    }
}

impl Index {
    /// `None` where it is not there or cannot be read, has another form, or is not of a file of this length that begins with
    /// this record.
    pub(in crate::audit) fn open(path: &Path, length: u64, first_seq: u64) -> Option<Self> {
        let file = File::open(path).ok()?;
        let have = usize::try_from(file.metadata().ok()?.len()).ok()?;
        let mut front = read(&file, 0, have.min(FRONT))?;

        let mut head = Take(front.get(..HEAD)?);
        let this = head.array()? == *MAGIC && head.array::<32>().is_some();
        if !this || head.u64()? != length || head.u64()? != first_seq {
            return None;
        }
        let (_last_seq, oldest_of, times) = (head.u64()?, head.u64()?, head.times()?);
        let (blocks, entries, tally) = (head.count()?, head.count()?, head.count()?);
        let tally_digest = head.array()?;

        let pages = entries.div_ceil(PAGE_ENTRIES);
        let covered = HEAD + blocks * BLOCK + pages * PAGE;
        let entries_at = covered + DIGEST;
        if blocks > MOST_BLOCKS || have != entries_at + entries * ENTRY + tally {
            return None;
        }
        if front.len() < entries_at {
            let more = read(&file, front.len(), entries_at - front.len())?;
            front.extend(more);
        }
        if digest(front.get(..covered)?) != front.get(covered..entries_at)? {
            return None;
        }
        let mut rest = Take(front.get(HEAD..covered)?);
        let blocks = (0..blocks)
            .map(|_| {
                let (offset, length, first_seq) = (rest.u64()?, rest.u32()?, rest.u64()?);
                Some(Block { offset, length, first_seq, times: rest.times()? })
            })
            .collect::<Option<_>>()?;
        let pages = (0..pages).map(|_| Some((rest.u64()?, rest.array()?))).collect::<Option<_>>()?;
        let entries_at = u64::try_from(entries_at).ok()?;
        Some(Self { file, blocks, times, oldest_of, pages, entries_at, entries, tally, tally_digest })
    }

    /// The blocks that hold the value, by number; `None` where the index is damaged there.
    pub(in crate::audit) fn find(&self, key: Key) -> Option<BTreeSet<usize>> {
        let (from, to) = (key.0 << 16, key.0 << 16 | 0xffff);
        let mut found = BTreeSet::new();
        // The last page that begins no later: what is looked for begins there or with the next.
        let first = self.pages.partition_point(|(first, _)| *first <= from).saturating_sub(1);
        for (at, (begins, _)) in self.pages.iter().enumerate().skip(first) {
            if *begins > to {
                break;
            }
            let wanted = self.page(at)?.into_iter().filter(|entry| (from..=to).contains(entry));
            found.extend(wanted.filter_map(|entry| usize::try_from(entry & 0xffff).ok()));
        }
        Some(found)
    }

    fn page(&self, at: usize) -> Option<Vec<u64>> {
        let before = at * PAGE_ENTRIES;
        let count = self.entries.checked_sub(before)?.min(PAGE_ENTRIES);
        let from = usize::try_from(self.entries_at).ok()? + before * ENTRY;
        let bytes = read(&self.file, from, count * ENTRY)?;
        let (_, expected) = self.pages.get(at)?;
        if digest(&bytes) != *expected {
            return None;
        }
        let mut bytes = Take(&bytes);
        Some(std::iter::from_fn(|| bytes.u64()).collect())
    }

    /// What was done with people who are not known one by one; `None` where the index does not say.
    pub(in crate::audit) fn tally(&self) -> Option<Tally> {
        if self.tally == 0 {
            return None;
        }
        let json = read(&self.file, usize::try_from(self.entries_at).ok()? + self.entries * ENTRY, self.tally)?;
        (digest(&json) == self.tally_digest).then(|| Tally::from_json(&json)).flatten()
    }

    /// Whether every part of it matches its digest.
    pub(in crate::audit) fn is_whole(&self) -> bool {
        (0..self.pages.len()).all(|at| self.page(at).is_some()) && (self.tally == 0 || self.tally().is_some())
    }
}

fn read(file: &File, from: usize, count: usize) -> Option<Vec<u8>> {
    let mut bytes = vec![0; count];
    file.read_exact_at(&mut bytes, u64::try_from(from).ok()?).ok()?;
    Some(bytes)
}

/// The index of a file, where it has one in today's form.
pub(in crate::audit) fn current(file: &LogFile) -> Option<Index> {
    Index::open(&file.index(), File::open(&file.path).ok()?.metadata().ok()?.len(), file.first_seq)
}
