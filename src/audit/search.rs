//! Which records somebody looks for.

use std::collections::{BTreeSet, HashSet};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Seek, SeekFrom};
use std::path::Path;

use jiff::Timestamp;

use super::files::{self, LogFile};
use super::index::{Block, Index, Key};
use super::read::{Entry, scan_lines};

/// What a record must match; a field that is `None` matches all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Filter {
    /// `login`, exactly.
    pub login: Option<String>,
    /// `role`, exactly.
    pub role: Option<String>,
    /// `purpose`, exactly, or a child of it.
    pub purpose: Option<String>,
    /// `recipient`, exactly.
    pub recipient: Option<String>,
    /// A relation of the statement: `public.customers`, or `customers` in any schema.
    pub relation: Option<String>,
    /// A column of the statement; within `relation` where both are given. `public.customers.email` names both.
    pub column: Option<String>,
    /// `verdict`.
    pub verdict: Option<String>,
    /// `event`.
    pub event: Option<String>,
    /// A subject as it stands in the record, plain or as a digest: any of these.
    pub subject: Vec<String>,
    /// A value that was looked up, by its digest: any of these.
    pub lookup: Vec<String>,
    /// A part of the statement, in any case.
    pub statement: Option<String>,
    /// Not before.
    pub since: Option<Timestamp>,
    /// Before.
    pub until: Option<Timestamp>,
}

/// Applies a [`Filter`] to records in their order: the outcome of a record that matched matches too.
#[derive(Debug)]
pub struct Search {
    filter: Filter,
    matched: HashSet<u64>,
}

impl Search {
    /// A search from the log's beginning.
    pub fn new(filter: Filter) -> Self {
        Self { filter, matched: HashSet::new() }
    }

    /// Whether this record is looked for.
    pub fn wants(&mut self, entry: &Entry) -> bool {
        if entry.event() == "outcome" && self.filter.event.is_none() {
            return entry.number("of").is_some_and(|of| self.matched.remove(&of));
        }
        let wanted = self.filter.matches(entry);
        let run = match entry.event() {
            "access" => entry.seq(),
            "lookup" => entry.number("of"),
            _ => None,
        };
        if let (true, Some(seq)) = (wanted, run) {
            self.matched.insert(seq);
        }
        wanted
    }
}

impl Filter {
    /// Whether a record matches by its own fields.
    pub fn matches(&self, entry: &Entry) -> bool {
        let is = |wanted: &Option<String>, field: &str| {
            wanted.as_deref().is_none_or(|wanted| entry.text(field).is_some_and(|value| value == wanted))
        };
        is(&self.login, "login")
            && is(&self.role, "role")
            && is(&self.recipient, "recipient")
            && is(&self.verdict, "verdict")
            && is(&self.event, "event")
            && self.purpose.as_deref().is_none_or(|wanted| {
                entry.text("purpose").is_some_and(|value| {
                    value.strip_prefix(wanted).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
                })
            })
            && self.statement.as_deref().is_none_or(|wanted| {
                entry.text("statement").is_some_and(|value| value.to_lowercase().contains(&wanted.to_lowercase()))
            })
            && (self.subject.is_empty()
                || entry.subjects().any(|subject| self.subject.iter().any(|wanted| wanted == subject)))
            && (self.lookup.is_empty()
                || entry.lookups().any(|digest| self.lookup.iter().any(|wanted| wanted == digest)))
            && self.in_time(entry)
            && self.touches(entry)
    }

    /// The values of which one each must stand in a block for a record of it to match.
    fn keys(&self) -> Vec<Vec<Key>> {
        let fields = [
            ("login", &self.login),
            ("role", &self.role),
            ("purpose", &self.purpose),
            ("recipient", &self.recipient),
            ("relation", &self.relation),
            ("verdict", &self.verdict),
            ("event", &self.event),
        ];
        let fields = fields.into_iter().filter_map(|(name, value)| Some(vec![Key::of(name, value.as_deref()?)]));
        let any = |name, values: &[String]| values.iter().map(|value| Key::of(name, value)).collect::<Vec<_>>();
        let several = [any("subject", &self.subject), any("lookup", &self.lookup)];
        fields.chain(several.into_iter().filter(|keys| !keys.is_empty())).collect()
    }

    fn in_time(&self, entry: &Entry) -> bool {
        if self.since.is_none() && self.until.is_none() {
            return true;
        }
        let Some(time) = entry.text("time").and_then(|time| time.parse::<Timestamp>().ok()) else { return false };
        self.since.is_none_or(|since| time >= since) && self.until.is_none_or(|until| time < until)
    }

    fn touches(&self, entry: &Entry) -> bool {
        let ends_in = |full: &str, wanted: &str| {
            full.strip_suffix(wanted).is_some_and(|before| before.is_empty() || before.ends_with('.'))
        };
        if self.relation.is_none() && self.column.is_none() {
            return true;
        }
        entry.relations().any(|(relation, columns)| {
            self.relation.as_deref().is_none_or(|wanted| ends_in(relation, wanted))
                && self
                    .column
                    .as_deref()
                    .is_none_or(|wanted| columns.iter().any(|column| ends_in(&format!("{relation}.{column}"), wanted)))
        })
    }
}

/// What a search took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Effort {
    /// Files of the log.
    pub files: usize,
    /// Of these, files that have no index that fits, and were read whole.
    pub unindexed: usize,
    /// Blocks of indexed files.
    pub blocks: usize,
    /// Of these, blocks that were read.
    pub read: usize,
}

/// Every record that matches, and the outcome of each that does, oldest first, given to `each` until it answers `false`.
/// Blocks that their index says hold nothing are not read, unless `all` are to be.
///
/// # Errors
/// The folder or a file cannot be read.
pub fn search(directory: &Path, filter: Filter, all: bool, mut each: impl FnMut(Entry) -> bool) -> io::Result<Effort> {
    let keys = filter.keys();
    let mut search = Search::new(filter);
    let mut effort = Effort::default();
    for file in files::list(directory)?.0 {
        effort.files += 1;
        let index = if all { None } else { open_index(&file)? };
        let more = match index {
            Some((index, data)) => search.indexed(&file, &index, data, &keys, &mut effort, &mut each)?,
            None => {
                effort.unindexed += 1;
                let mut wanted = |entry: Entry| !search.wants(&entry) || each(entry);
                scan_lines(&mut *file.open()?, &mut wanted)?
            }
        };
        if !more {
            break;
        }
    }
    Ok(effort)
}

fn open_index(file: &LogFile) -> io::Result<Option<(Index, File)>> {
    let data = match File::open(&file.path) {
        Ok(data) => data,
        // Just compressed: it is read whole, in its other form.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let index = Index::open(&file.index(), data.metadata()?.len())?;
    Ok(index.map(|index| (index, data)))
}

impl Search {
    /// The blocks of one file that may hold what is looked for.
    fn candidates(&self, index: &Index, keys: &[Vec<Key>]) -> io::Result<BTreeSet<usize>> {
        let mut wanted: BTreeSet<usize> = (0..index.blocks.len()).collect();
        for any in keys {
            let mut here = BTreeSet::new();
            for key in any {
                here.append(&mut index.find(*key)?);
            }
            wanted.retain(|block| here.contains(block));
            if wanted.is_empty() {
                return Ok(wanted);
            }
        }
        let (since, until) =
            (self.filter.since.map(Timestamp::as_microsecond), self.filter.until.map(Timestamp::as_microsecond));
        let times: Vec<i64> = index.blocks.iter().map(|block| block.time).collect();
        wanted.retain(|&at| {
            let begins = times.get(at).copied().unwrap_or(i64::MIN);
            let ends = times.get(at + 1).copied().unwrap_or(index.last_time);
            since.is_none_or(|since| ends >= since) && until.is_none_or(|until| begins < until)
        });
        Ok(wanted)
    }

    fn indexed(
        &mut self,
        file: &LogFile,
        index: &Index,
        mut data: File,
        keys: &[Vec<Key>],
        effort: &mut Effort,
        each: &mut impl FnMut(Entry) -> bool,
    ) -> io::Result<bool> {
        effort.blocks += index.blocks.len();
        let mut wanted = self.candidates(index, keys)?;
        let mut asked = HashSet::new();
        self.follow(index, &mut asked, &mut wanted)?;
        while let Some(at) = wanted.pop_first() {
            let Some(block) = index.blocks.get(at) else { continue };
            effort.read += 1;
            let mut lines = open_block(file, &mut data, *block)?;
            if !scan_lines(&mut *lines, &mut |entry| !self.wants(&entry) || each(entry))? {
                return Ok(false);
            }
            self.follow(index, &mut asked, &mut wanted)?;
            wanted = wanted.split_off(&(at + 1));
        }
        Ok(true)
    }

    /// Adds the blocks with the outcomes that are still missing; of each it asks once in a file.
    fn follow(&self, index: &Index, asked: &mut HashSet<u64>, wanted: &mut BTreeSet<usize>) -> io::Result<()> {
        if self.filter.event.is_some() {
            return Ok(());
        }
        for seq in &self.matched {
            if asked.insert(*seq) {
                wanted.append(&mut index.find(Key::of("of", &seq.to_string()))?);
            }
        }
        Ok(())
    }
}

fn open_block(file: &LogFile, data: &mut File, block: Block) -> io::Result<Box<dyn BufRead>> {
    data.seek(SeekFrom::Start(block.offset))?;
    let part = io::Read::take(data.try_clone()?, block.length.into());
    if file.packed {
        return Ok(Box::new(BufReader::with_capacity(1 << 17, zstd::stream::read::Decoder::new(part)?.single_frame())));
    }
    Ok(Box::new(BufReader::with_capacity(1 << 17, part)))
}
