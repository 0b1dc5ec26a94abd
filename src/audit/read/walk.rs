//! Reads of the log what may be looked for: blocks that their index names, and whole files that have none that fits.

use std::collections::{BTreeSet, HashSet};
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;

use jiff::Timestamp;

use super::sieve::{Part, Sieve};
use crate::audit::record::Entry;
use crate::audit::store::Advance;
use crate::audit::store::files::{self, LogFile};
use crate::audit::store::index::{Block, Key};
use crate::audit::store::opened::Index;
use crate::audit::store::pack::read_block;

/// What a search took.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Effort {
    /// Files of the log.
    pub files: usize,
    /// Of these, files that have no index that fits, and were read whole.
    pub unindexed: usize,
    /// Blocks of indexed files.
    pub blocks: usize,
    /// Of these, blocks that were read.
    pub read: usize,
    /// Files that could not be read to their end, and why: what they hold may be missing.
    pub damaged: Vec<String>,
}

impl Effort {
    /// For those to whom a part of the log is no use.
    ///
    /// # Errors
    /// A file could not be read to its end.
    pub fn complete(&self) -> io::Result<()> {
        match self.damaged.first() {
            None => Ok(()),
            Some(damaged) => Err(io::Error::new(io::ErrorKind::InvalidData, damaged.clone())),
        }
    }
}

/// What is looked for, as far as that says what need not be read. Whoever looks still looks at each record himself.
#[derive(Debug)]
pub(in crate::audit) struct Plan {
    /// Lines that do not pass are not read.
    pub(in crate::audit) sieve: Sieve,
    /// No record before.
    pub(in crate::audit) since: Option<Timestamp>,
    /// No record from then on.
    pub(in crate::audit) until: Option<Timestamp>,
    /// Read everything, whatever the indexes say.
    pub(in crate::audit) all: bool,
}

/// Who looks.
pub(in crate::audit) trait Seeker {
    /// Of a record that is looked for, one value at least of each group stands in its block. Asked before each file, with its
    /// index where it has one.
    fn keys(&mut self, index: Option<&Index>) -> Vec<Vec<Key>>;

    /// Takes a record; `false`: no more.
    fn take(&mut self, entry: Entry) -> bool;

    /// Records whose outcomes are looked for too.
    fn awaited(&self) -> Option<&BTreeSet<u64>> {
        None
    }
}

/// Gives the seeker every record that may be looked for, oldest first. `progress` is told now and then.
///
/// # Errors
/// The folder or a file cannot be read.
pub(in crate::audit) fn walk(
    directory: &Path,
    plan: &Plan,
    seeker: &mut impl Seeker,
    progress: &mut dyn FnMut(Advance),
) -> io::Result<Effort> {
    let files = files::list(directory)?.0;
    let lengths: Vec<u64> =
        files.iter().map(|file| fs::metadata(&file.path).map_or(0, |metadata| metadata.len())).collect();
    let mut walk = Walk {
        plan,
        seeker,
        progress,
        effort: Effort::default(),
        advance: Advance { done: 0, of: lengths.iter().sum() },
        outcome: Sieve::new([vec![("outcome", Part::Whole)]]),
        buffer: Vec::new(),
    };
    for (file, length) in files.iter().zip(lengths) {
        let done = walk.advance.done;
        match walk.file(file) {
            Ok(true) => {}
            Ok(false) => break,
            // Destroyed by age since it was listed.
            Err(error) if error.kind() == io::ErrorKind::NotFound && file.is_gone() => {}
            Err(error) => walk.effort.damaged.push(format!("`{}`: {error}", file.name())),
        }
        walk.advance.done = done + length;
        (walk.progress)(walk.advance);
    }
    Ok(walk.effort)
}

/// Every record of the log, oldest first; `progress` is told now and then how far it is.
///
/// # Errors
/// The folder or a file cannot be read.
pub fn read_all(directory: &Path, each: impl FnMut(&Entry), progress: &mut dyn FnMut(Advance)) -> io::Result<()> {
    struct Everything<F>(F);
    impl<F: FnMut(&Entry)> Seeker for Everything<F> {
        fn keys(&mut self, _: Option<&Index>) -> Vec<Vec<Key>> {
            Vec::new()
        }

        fn take(&mut self, entry: Entry) -> bool {
            (self.0)(&entry);
            true
        }
    }
    let plan = Plan { sieve: Sieve::new([]), since: None, until: None, all: true };
    let effort = walk(directory, &plan, &mut Everything(each), progress)?;
    effort.complete()
}

struct Walk<'a, S> {
    plan: &'a Plan,
    seeker: &'a mut S,
    progress: &'a mut dyn FnMut(Advance),
    effort: Effort,
    advance: Advance,
    outcome: Sieve,
    buffer: Vec<u8>,
}

impl<S: Seeker> Walk<'_, S> {
    /// `false` where the seeker wants no more.
    fn file(&mut self, file: &LogFile) -> io::Result<bool> {
        self.effort.files += 1;
        let opened = if self.plan.all { None } else { open_index(file)? };
        let keys = self.seeker.keys(opened.as_ref().map(|(index, _)| index));
        match opened {
            Some((index, data)) => self.blocks(file, &index, &data, &keys),
            None => self.whole(file),
        }
    }

    fn whole(&mut self, file: &LogFile) -> io::Result<bool> {
        self.effort.unindexed += 1;
        let mut reader = file.open()?;
        loop {
            let lines = read_block(&mut *reader)?;
            if lines.is_empty() {
                return Ok(true);
            }
            if !self.lines(&lines) {
                return Ok(false);
            }
            // How far a compressed file is read shows at its end only.
            if !file.packed {
                self.advance.done = self.advance.of.min(self.advance.done + lines.len() as u64);
                (self.progress)(self.advance);
            }
        }
    }

    fn blocks(&mut self, file: &LogFile, index: &Index, data: &File, keys: &[Vec<Key>]) -> io::Result<bool> {
        self.effort.blocks += index.blocks.len();
        let begun = self.advance.done;
        let mut wanted = candidates(index, keys, self.plan.since, self.plan.until);
        let mut asked = HashSet::new();
        self.follow(index, &mut asked, 0, &mut wanted);
        while let Some(at) = wanted.pop_first() {
            let Some(block) = index.blocks.get(at) else { continue };
            self.effort.read += 1;
            let mut lines = std::mem::take(&mut self.buffer);
            read_one(file, data, *block, &mut lines)?;
            let more = self.lines(&lines);
            self.buffer = lines;
            if !more {
                return Ok(false);
            }
            (self.progress)(Advance { done: begun + block.offset, ..self.advance });
            self.follow(index, &mut asked, at + 1, &mut wanted);
        }
        Ok(true)
    }

    /// Adds the blocks from `from` on with the outcomes that are still missing; of each it asks once in a file.
    fn follow(&self, index: &Index, asked: &mut HashSet<u64>, from: usize, wanted: &mut BTreeSet<usize>) {
        for seq in self.seeker.awaited().into_iter().flat_map(|awaited| awaited.range(index.oldest_of..)) {
            if asked.insert(*seq) {
                match index.find(Key::of("of", &seq.to_string())) {
                    Some(found) => wanted.extend(found.into_iter().filter(|at| *at >= from)),
                    None => wanted.extend(from..index.blocks.len()),
                }
            }
        }
    }

    /// Whole lines; `false` where the seeker wants no more.
    fn lines(&mut self, lines: &[u8]) -> bool {
        let mut begin = 0;
        for end in memchr::memchr_iter(b'\n', lines) {
            let line = lines.get(begin..end).unwrap_or_default();
            begin = end + 1;
            let awaits = || self.seeker.awaited().is_some_and(|awaited| !awaited.is_empty());
            if (self.plan.sieve.lets_through(line) || (awaits() && self.outcome.lets_through(line)))
                && let Some(entry) = Entry::parse(line)
                && !self.seeker.take(entry)
            {
                return false;
            }
        }
        true
    }
}

/// The blocks of a file that may hold what is looked for.
pub(super) fn candidates(
    index: &Index,
    keys: &[Vec<Key>],
    since: Option<Timestamp>,
    until: Option<Timestamp>,
) -> BTreeSet<usize> {
    if !index.times.overlap(since, until) && (since.is_some() || until.is_some()) {
        return BTreeSet::new();
    }
    let in_time = |block: &Block| (since.is_none() && until.is_none()) || block.times.overlap(since, until);
    let mut wanted: BTreeSet<usize> =
        index.blocks.iter().enumerate().filter(|(_, block)| in_time(block)).map(|(at, _)| at).collect();
    for any in keys {
        let mut here = BTreeSet::new();
        for key in any {
            match index.find(*key) {
                Some(mut found) => here.append(&mut found),
                // Damaged: this says nothing.
                None => here.extend(0..index.blocks.len()),
            }
        }
        wanted.retain(|block| here.contains(block));
        if wanted.is_empty() {
            break;
        }
    }
    wanted
}

/// The index of a file, where it has one that fits, and its data.
pub(super) fn open_index(file: &LogFile) -> io::Result<Option<(Index, File)>> {
    let data = match File::open(&file.path) {
        Ok(data) => data,
        // Just compressed: it is read whole, in its other form.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let index = Index::open(&file.index(), data.metadata()?.len(), file.first_seq);
    Ok(index.map(|index| (index, data)))
}

/// The lines of one block.
pub(super) fn read_one(file: &LogFile, data: &File, block: Block, lines: &mut Vec<u8>) -> io::Result<()> {
    let mut bytes = vec![0; usize::try_from(block.length).unwrap_or(usize::MAX)];
    data.read_exact_at(&mut bytes, block.offset)?;
    if file.packed {
        lines.clear();
        zstd::stream::read::Decoder::new(bytes.as_slice())?.single_frame().read_to_end(lines)?;
    } else {
        *lines = bytes;
    }
    Ok(())
}
