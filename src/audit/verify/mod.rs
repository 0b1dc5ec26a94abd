//! The proof that nothing in the log was changed, removed, inserted or reordered.
//!
//! Without a key, the chain shows every change but a rewrite of everything that follows it, and a clean cut of the newest
//! records. With the public key of its [`checkpoint`](crate::audit::checkpoint)s a rewrite shows too, but for what was written
//! since the last one; a cut shows by a checkpoint that was kept elsewhere, or by the missing end of a log that was closed.

mod breaks;

use std::collections::HashMap;
use std::fs;
use std::io::{self, BufRead};
use std::path::Path;
use std::time::Duration;

use crate::audit::record::Entry;
use crate::audit::record::chain::{self, Hash, Link, Sealed};
use crate::audit::record::checkpoint::{BadCheckpoint, Checkpoint, PublicKey};
use crate::audit::store::Advance;
use crate::audit::store::files::{self, LogFile};
use crate::audit::store::index::MAGIC;
use crate::audit::store::pack;
use crate::audit::store::pair::Pairs;
pub use breaks::{Break, MOST_BREAKS, Wrong};

/// What the log's chain says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verification {
    /// Files read.
    pub files: usize,
    /// Lines read.
    pub records: u64,
    /// Number of the first record that is there.
    pub first: u64,
    /// The end of the chain.
    pub last: Link,
    /// Where it breaks, in order; no more than [`MOST_BREAKS`].
    pub breaks: Vec<Break>,
    /// What the log itself says of crashes, outages and what was destroyed.
    pub notices: Vec<String>,
    /// Checkpoints that were read; with a key: whose signature is right.
    pub checkpoints: u64,
    /// The last record that a checkpoint vouches for; 0 where none does, or no key was given.
    pub vouched: u64,
    /// Accesses whose outcome is not in the log. While it is written these may be running.
    pub open: u64,
    /// Accesses whose outcome says that it is not known.
    pub lost: u64,
    /// How the log ends.
    pub ended: Ended,
}

/// How the log ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// With the record that closes it.
    InOrder,
    /// A process writes it now.
    Running,
    /// Neither: a process was killed, or records were cut off.
    Abruptly,
}

/// What the log is held against besides its own chain.
#[derive(Debug, Clone, Default)]
pub struct Trust {
    /// Keys whose checkpoints count. Without one, signatures are not looked at.
    pub keys: Vec<PublicKey>,
    /// Checkpoints that were kept elsewhere.
    pub sent: Vec<Sent>,
    /// Whether indexes are built again and compared, which takes twice as long.
    pub indexes: bool,
}

/// A checkpoint that was kept elsewhere.
#[derive(Debug, Clone)]
pub struct Sent {
    /// Where it was found, for the message: `kept.jsonl:3`.
    pub place: String,
    /// The checkpoint.
    pub checkpoint: Checkpoint,
}

impl Verification {
    /// Whether nothing is wrong, and there was something to look at.
    pub fn holds(&self) -> bool {
        self.breaks.is_empty() && !self.is_empty()
    }

    /// Whether there is no record.
    pub fn is_empty(&self) -> bool {
        self.records == 0
    }
}

/// Reads the whole log in `directory`. May run while it is written.
///
/// # Errors
/// The folder or a file cannot be read.
pub fn verify(directory: &Path) -> io::Result<Verification> {
    verify_with(directory, &Trust::default(), |_| {})
}

/// The same, with keys and what was kept elsewhere. `progress` is told now and then how far it is.
///
/// # Errors
/// The folder or a file cannot be read.
pub fn verify_with(directory: &Path, trust: &Trust, mut progress: impl FnMut(Advance)) -> io::Result<Verification> {
    let running = files::in_use(directory);
    let (files, stray) = files::list(directory)?;
    let found = Verification {
        files: files.len(),
        records: 0,
        first: 0,
        last: Link::START,
        breaks: Vec::new(),
        notices: Vec::new(),
        checkpoints: 0,
        vouched: 0,
        open: 0,
        lost: 0,
        ended: if running { Ended::Running } else { Ended::Abruptly },
    };
    let mut check = Check {
        directory,
        trust,
        found,
        log: None,
        due: None,
        stopped: None,
        destroyed: Vec::new(),
        missing_before: None,
        wanted: HashMap::new(),
        pairs: Pairs::default(),
    };
    // Read before the log: what is added meanwhile is not missed.
    let newest_checkpoint = fs::read(directory.join(files::CHECKPOINT)).ok();
    for sent in &trust.sent {
        check.wanted.insert(sent.checkpoint.record.seq, None);
    }
    let newest_checkpoint = newest_checkpoint.and_then(|line| Checkpoint::of(&Entry::parse(line.trim_ascii_end())?));
    if let Some(checkpoint) = &newest_checkpoint {
        check.wanted.insert(checkpoint.record.seq, None);
    }
    for name in stray {
        check.wrong(&name, 0, Wrong::Stray);
    }
    let newest = files.last().map(|file| file.first_seq);
    let lengths: Vec<u64> =
        files.iter().map(|file| fs::metadata(&file.path).map_or(0, |metadata| metadata.len())).collect();
    let mut advance = Advance { done: 0, of: lengths.iter().sum() };
    for (file, length) in files.iter().zip(lengths) {
        check.file(file, newest == Some(file.first_seq), &mut |read| {
            // How far a compressed file is read shows at its end only.
            let done = if file.packed { advance.done } else { advance.done + read };
            progress(Advance { done, ..advance });
        })?;
        advance.done += length;
        progress(advance);
    }
    Ok(check.finish(newest_checkpoint))
}

/// What is known so far.
struct Check<'a> {
    directory: &'a Path,
    trust: &'a Trust,
    found: Verification,
    /// What the checkpoints call the log.
    log: Option<String>,
    /// Records that may wait for a checkpoint, as the last one says, and where it stands.
    due: Option<(u64, String, u64)>,
    /// Number of the last `stop`.
    stopped: Option<u64>,
    /// Ends of files that were destroyed, and the record that says so.
    destroyed: Vec<(Link, u64)>,
    /// The log begins behind this record, in this file.
    missing_before: Option<(Link, String)>,
    /// Records of checkpoints kept elsewhere, and their hash here once they were read.
    wanted: HashMap<u64, Option<Hash>>,
    /// Accesses and their outcomes.
    pairs: Pairs,
}

impl Check<'_> {
    fn wrong(&mut self, file: &str, line: u64, what: Wrong) {
        let seq = if line == 0 { 0 } else { self.found.last.seq + 1 };
        if self.found.breaks.len() < MOST_BREAKS {
            self.found.breaks.push(Break { file: file.to_owned(), line, seq, what });
        }
    }

    fn file(&mut self, file: &LogFile, newest: bool, progress: &mut dyn FnMut(u64)) -> io::Result<()> {
        let (name, mut number, mut line, mut bytes) = (file.name(), 0, Vec::new(), 0);
        let mut reader = match file.open() {
            Ok(reader) => reader,
            // Destroyed since it was listed; the record of that follows.
            Err(error) if error.kind() == io::ErrorKind::NotFound && self.found.records == 0 => return Ok(()),
            Err(error) => return Err(error),
        };
        loop {
            line.clear();
            match reader.read_until(b'\n', &mut line) {
                Ok(0) => break,
                Ok(_) => {}
                Err(_) if file.packed => {
                    self.wrong(&name, 0, Wrong::Damaged);
                    break;
                }
                Err(error) => return Err(error),
            }
            if !line.ends_with(b"\n") && newest && !file.packed {
                // Perhaps it is just being written.
                std::thread::sleep(Duration::from_millis(250));
                reader.read_until(b'\n', &mut line)?;
            }
            number += 1;
            let Some(whole) = line.strip_suffix(b"\n") else {
                self.wrong(&name, number, Wrong::Cut);
                break;
            };
            self.line(&name, number, whole, file.first_seq);
            bytes += line.len() as u64;
            if number.is_multiple_of(1 << 12) {
                progress(bytes);
            }
        }
        if number == 0 && !newest {
            self.wrong(&name, 0, Wrong::Name { named: file.first_seq });
        }
        if self.trust.indexes
            && let Ok(index) = fs::read(file.index())
            // One of another form is not used, so that it hides nothing.
            && index.starts_with(MAGIC)
            && pack::index_again(file).is_ok_and(|again| again != index)
        {
            self.wrong(&name, 0, Wrong::Index);
        }
        Ok(())
    }

    fn line(&mut self, name: &str, number: u64, line: &[u8], first_seq: u64) {
        self.found.records += 1;
        let sealed = match chain::open(line) {
            Ok(sealed) => sealed,
            Err(bad) => {
                self.wrong(name, number, bad.into());
                // What follows is held against what this line says of itself, so that one change is told once.
                if let Some((seq, hash)) = said(line) {
                    self.found.last = Link { seq, hash };
                }
                return;
            }
        };
        let Sealed { seq, prev, hash } = sealed;
        if self.found.first == 0 && seq > 1 && self.found.last == Link::START {
            // Perhaps what stood before was destroyed in order.
            self.found.last = Link { seq: seq - 1, hash: prev };
            self.missing_before = Some((self.found.last, name.to_owned()));
        }
        if self.found.first == 0 {
            self.found.first = seq;
        }
        if number == 1 && seq != first_seq {
            self.wrong(name, number, Wrong::Name { named: first_seq });
        }
        let expected = self.found.last.seq + 1;
        if seq > expected {
            self.wrong(name, number, Wrong::Missing { from: expected, to: seq - 1 });
        } else if seq < expected {
            self.wrong(name, number, Wrong::Moved { seq, after: self.found.last.seq });
        } else if prev != self.found.last.hash {
            self.wrong(name, number, Wrong::Replaced { seq });
        }
        self.pairs.line(line);
        self.special(name, number, line, sealed);
        self.found.last = Link { seq, hash };
        if let Some(wanted) = self.wanted.get_mut(&seq) {
            *wanted = Some(hash);
        }
    }

    /// Records that say something of the log itself.
    fn special(&mut self, name: &str, number: u64, line: &[u8], sealed: Sealed) {
        let about = SPECIAL.iter().any(|event| line.windows(event.len()).take(96).any(|window| window == *event));
        // Most lines are no such event; parsing them all would cost more than the hashes.
        let Some(entry) = about.then(|| Entry::parse(line)).flatten() else { return };
        let time = entry.text("time").unwrap_or_default();
        match entry.event() {
            "checkpoint" => self.checkpoint(name, number, &entry, sealed),
            "stop" => self.stopped = Some(sealed.seq),
            "recovered" => {
                let (since, refused) =
                    (entry.text("since").unwrap_or_default(), entry.number("refused").unwrap_or_default());
                self.found.notices.push(format!(
                    "from {since} to {time} the log could not be written; {refused} records were refused"
                ));
            }
            "torn" => self.torn(name, number, &entry),
            "destroyed" => {
                let last = entry.text("last").and_then(Hash::from_hex);
                let (Some(to), Some(hash)) = (entry.number("to"), last) else { return };
                let file = entry.text("file").unwrap_or_default();
                let from = entry.number("from").unwrap_or_default();
                self.found.notices.push(format!("at {time} `{file}` with records {from} to {to} was destroyed by age"));
                self.destroyed.push((Link { seq: to, hash }, sealed.seq));
            }
            _ => {}
        }
    }

    fn checkpoint(&mut self, name: &str, number: u64, entry: &Entry, sealed: Sealed) {
        let checked = match Checkpoint::of(entry) {
            None => Err(BadCheckpoint::Unreadable),
            Some(checkpoint) if checkpoint.covers != (Link { seq: sealed.seq - 1, hash: sealed.prev }) => {
                Err(BadCheckpoint::Elsewhere)
            }
            Some(checkpoint) if self.log.as_ref().is_some_and(|log| *log != checkpoint.log) => {
                Err(BadCheckpoint::OtherLog)
            }
            Some(checkpoint) if self.trust.keys.is_empty() => Ok((checkpoint, false)),
            Some(checkpoint) => checkpoint.check(&self.trust.keys).map(|()| (checkpoint, true)),
        };
        match checked {
            Ok((checkpoint, vouched)) => {
                self.found.checkpoints += 1;
                if vouched {
                    // Itself too: its signature covers what it says.
                    self.found.vouched = sealed.seq;
                    self.due = Some((checkpoint.rhythm.records, name.to_owned(), number));
                }
                self.log = Some(checkpoint.log);
            }
            // Of a key that is not in use any more, perhaps.
            Err(BadCheckpoint::OtherKey) if self.found.vouched == 0 => {}
            Err(why) => self.wrong(name, number, Wrong::Checkpoint { vouched: self.found.vouched, why }),
        }
    }

    fn torn(&mut self, name: &str, number: u64, entry: &Entry) {
        let (kept, sha256) = (entry.text("kept").unwrap_or_default(), entry.text("sha256").unwrap_or_default());
        let bytes = entry.number("bytes").unwrap_or_default();
        let time = entry.text("time").unwrap_or_default();
        self.found.notices.push(format!("at {time} a torn end of {bytes} bytes was kept aside in `{kept}`"));
        let plain_name = !kept.contains('/') && kept.starts_with("torn-");
        let intact =
            plain_name && fs::read(self.directory.join(kept)).is_ok_and(|bytes| Hash::of(&bytes).to_string() == sha256);
        if !intact {
            self.wrong(name, number, Wrong::Torn { kept: kept.to_owned() });
        }
    }

    fn finish(mut self, newest: Option<Checkpoint>) -> Verification {
        let last = self.found.last;
        (self.found.open, self.found.lost) = (self.pairs.open.len() as u64, self.pairs.lost);
        let in_order = self.stopped.is_some_and(|stop| {
            stop == last.seq || (stop + 1 == last.seq && (self.found.vouched == last.seq || self.trust.keys.is_empty()))
        });
        if in_order && self.found.ended == Ended::Abruptly {
            self.found.ended = Ended::InOrder;
        }
        if let Some((before, name)) = self.missing_before.take() {
            let vouched = |seq: u64| self.trust.keys.is_empty() || seq <= self.found.vouched;
            if !self.destroyed.iter().any(|(link, said_by)| *link == before && vouched(*said_by)) {
                let what = Wrong::Missing { from: 1, to: before.seq };
                self.found.breaks.insert(0, Break { file: name, line: 1, seq: 1, what });
            }
        }
        if let Some((due, name, line)) = self.due.take()
            && last.seq.saturating_sub(self.found.vouched) > due.saturating_add(BATCH)
        {
            let what = Wrong::Unvouched { vouched: self.found.vouched, due };
            let seq = self.found.vouched + 1;
            self.found.breaks.push(Break { file: name, line: line + 1, seq, what });
        }
        if !self.trust.keys.is_empty() && self.found.checkpoints == 0 {
            self.wrong("the log", 0, Wrong::NoCheckpoint);
        }
        for sent in &self.trust.sent {
            self.sent(sent);
        }
        match newest {
            Some(checkpoint) => self.sent(&Sent { place: format!("`{}`", files::CHECKPOINT), checkpoint }),
            None if self.found.vouched > 0 => self.wrong("the log", 0, Wrong::NoNewest),
            None => {}
        }
        self.found
    }

    fn sent(&mut self, sent: &Sent) {
        let Link { seq, hash } = sent.checkpoint.record;
        let place = sent.place.clone();
        let signed = if self.trust.keys.is_empty() { Ok(()) } else { sent.checkpoint.check(&self.trust.keys) };
        let what = match (signed, self.wanted.get(&seq).copied().flatten()) {
            (Err(why), _) => Wrong::Sent { place, why },
            (Ok(()), Some(here)) if here == hash => return,
            (Ok(()), Some(_)) => Wrong::Rewritten { place, covers: seq },
            // Destroyed by age.
            (Ok(()), None) if seq < self.found.first => return,
            (Ok(()), None) if seq > self.found.last.seq => {
                Wrong::CutOff { place, covers: seq, last: self.found.last.seq }
            }
            (Ok(()), None) => Wrong::Rewritten { place, covers: seq },
        };
        self.wrong("the log", 0, what);
    }
}

/// Records that one write may hold beyond those after which a checkpoint is due: it ends in one, but for a crash within.
const BATCH: u64 = 10_000;

/// How the records begin that say something of the log itself.
const SPECIAL: &[&[u8]] = &[
    b"\"event\":\"checkpoint\"",
    b"\"event\":\"stop\"",
    b"\"event\":\"torn\"",
    b"\"event\":\"recovered\"",
    b"\"event\":\"destroyed\"",
];

/// Number and hash that a changed line still says it has.
fn said(line: &[u8]) -> Option<(u64, Hash)> {
    let entry = Entry::parse(line)?;
    Some((entry.seq()?, Hash::from_hex(entry.text("hash")?)?))
}
