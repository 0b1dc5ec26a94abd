//! The proof that nothing in the log was changed, removed, inserted or reordered.
//!
//! Without a key, the chain shows every change but a rewrite of everything that follows it, and a clean cut of the newest
//! records. With the public key of its [`checkpoint`](crate::audit::checkpoint)s a rewrite shows too, but for what was written
//! since the last one; a cut shows by a checkpoint that was kept elsewhere, or by the missing end of a log that was closed.

mod breaks;
mod held;
mod proving;
mod times;
mod told;

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
use crate::audit::store::pair::{self, Pairs};
use crate::audit::store::tail::Tail;
pub use breaks::{Break, MOST_BREAKS, Wrong};
use held::Held;
pub use proving::Proving;
use times::Times;
use told::resumed;

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
    /// Not with the record that closes it, and from here nobody can tell whether a process writes it now.
    Open,
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
pub fn verify_with(directory: &Path, trust: &Trust, progress: impl FnMut(Advance)) -> io::Result<Verification> {
    verify_signed_from(directory, trust, 0, progress)
}

/// The same of a log whose records before `signed_from` were written before it was signed, and need no checkpoint.
///
/// # Errors
/// The folder or a file cannot be read.
pub fn verify_signed_from(
    directory: &Path,
    trust: &Trust,
    signed_from: u64,
    mut progress: impl FnMut(Advance),
) -> io::Result<Verification> {
    let running = files::in_use(directory);
    let (files, stray) = files::list(directory)?;
    let ended = if running { Ended::Running } else { Ended::Abruptly };
    // Read before the log: what is added meanwhile is not missed.
    let held = Held::read(directory, trust)?;
    let mut check = Check::new(Some(directory), trust, signed_from, held, ended);
    check.found.files = files.len();
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
    Ok(check.finish())
}

/// What is known so far.
struct Check<'a> {
    /// The log's folder; `None` where it is read from another place.
    directory: Option<&'a Path>,
    trust: &'a Trust,
    /// Records before this one need no checkpoint.
    signed_from: u64,
    found: Verification,
    /// What the checkpoints call the log.
    log: Option<String>,
    /// What stands behind the last checkpoint that counts.
    tail: Tail,
    /// A start behind records that no checkpoint covers, and where it stands: judged once it is known what was promised.
    started: Option<Started>,
    /// Files that were destroyed.
    destroyed: Vec<Destroyed>,
    /// The log begins behind this record, in this file.
    missing_before: Option<(Link, String)>,
    /// When the records say that they were written.
    times: Times,
    /// What is held against it from elsewhere.
    held: Held,
    /// Accesses and their outcomes.
    pairs: Pairs,
}

/// A start of the proxy, and what no checkpoint covered then.
struct Started {
    name: String,
    line: u64,
    seq: u64,
    /// The first record that it is about.
    from: u64,
    tail: Tail,
}

/// The end of a file that was destroyed.
struct Destroyed {
    last: Link,
    /// The record that says so.
    said_by: Link,
    /// A checkpoint follows that record at once.
    vouched: bool,
}

impl<'a> Check<'a> {
    fn new(directory: Option<&'a Path>, trust: &'a Trust, signed_from: u64, held: Held, ended: Ended) -> Self {
        let found = Verification {
            files: 0,
            records: 0,
            first: 0,
            last: Link::START,
            breaks: Vec::new(),
            notices: Vec::new(),
            checkpoints: 0,
            vouched: 0,
            open: 0,
            lost: 0,
            ended,
        };
        Check {
            directory,
            trust,
            signed_from,
            found,
            log: None,
            tail: Tail::default(),
            started: None,
            destroyed: Vec::new(),
            missing_before: None,
            times: Times::default(),
            held,
            pairs: Pairs::default(),
        }
    }
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
        if pair::event_of(line) == b"start" {
            self.begins(name, number, seq);
        }
        if let Some(time) = pair::time_of(line) {
            self.times.take(seq, time);
        }
        let checkpoint = self.special(name, number, line, sealed);
        self.tail.see(line, checkpoint.as_ref());
        self.found.last = Link { seq, hash };
        self.held.saw(self.found.last);
    }

    /// The log was opened here: no more than was promised may stand without a checkpoint.
    fn begins(&mut self, name: &str, line: u64, seq: u64) {
        let from = (self.found.vouched + 1).max(self.found.first).max(self.signed_from);
        if !self.trust.keys.is_empty() && from < seq && self.started.is_none() {
            self.started = Some(Started { name: name.to_owned(), line, seq, from, tail: self.tail.clone() });
        }
    }

    /// Whether what stood unsigned at a start was as little as was promised; a log that has no checkpoint yet was promised
    /// none, and whatever stands in it somebody may have written.
    fn judge_start(&mut self) {
        let Some(Started { name, line, seq, from, tail }) = self.started.take() else { return };
        let begun_unsigned = tail.signed().is_none() && from <= self.found.first;
        if begun_unsigned && self.found.first == 1 {
            let what = Wrong::Unsigned { from, to: seq - 1 };
            self.found.breaks.push(Break { file: name, line, seq, what });
        } else if let Some(why) = tail.is_too_long() {
            self.found.breaks.push(Break { file: name, line, seq, what: Wrong::Unvouched { why } });
        }
    }

    /// Records that say something of the log itself. Gives a checkpoint that counts.
    fn special(&mut self, name: &str, number: u64, line: &[u8], sealed: Sealed) -> Option<Checkpoint> {
        // Most lines are no such event; parsing them all would cost more than the hashes.
        if !SPECIAL.contains(&pair::event_of(line)) {
            return None;
        }
        let entry = Entry::parse(line)?;
        let time = entry.text("time").unwrap_or_default();
        match entry.event() {
            "checkpoint" => return self.checkpoint(name, number, &entry, sealed),
            "recovered" => {
                let (since, refused) =
                    (entry.text("since").unwrap_or_default(), entry.number("refused").unwrap_or_default());
                self.found.notices.push(format!(
                    "from {since} to {time} the log could not be written; {refused} records were refused"
                ));
            }
            "torn" => self.torn(name, number, &entry),
            "resumed" => self.found.notices.extend(resumed(&entry)),
            "incident" => self.incident(name, number, &entry),
            "clock_confirmed" => {
                self.times.doubt = None;
                let (of, reason) = (entry.number("of").unwrap_or_default(), entry.text("reason").unwrap_or_default());
                self.found.notices.push(format!("at {time} the clock's jump of record {of} was confirmed: {reason}"));
            }
            "destroyed" => self.destroyed(name, number, &entry, sealed),
            _ => {}
        }
        None
    }

    /// An incident of the log or of its clock; those of sessions are told by the report.
    fn incident(&mut self, name: &str, number: u64, entry: &Entry) {
        let what = entry.text("what").unwrap_or_default();
        let time = entry.text("time").unwrap_or_default();
        match entry.text("about") {
            Some("log") => self.wrong(name, number, Wrong::Incident { what: what.to_owned() }),
            Some("clock") => {
                self.times.doubt = entry.seq();
                self.found.notices.push(format!("at {time}: {what}"));
            }
            Some(_) | None => {}
        }
    }

    fn destroyed(&mut self, name: &str, number: u64, entry: &Entry, sealed: Sealed) {
        let last = entry.text("last").and_then(Hash::from_hex);
        let (Some(to), Some(hash)) = (entry.number("to"), last) else { return };
        let (time, file) = (entry.text("time").unwrap_or_default(), entry.text("file").unwrap_or_default());
        let from = entry.number("from").unwrap_or_default();
        self.found.notices.push(format!("at {time} `{file}` with records {from} to {to} was destroyed by age"));
        if let Some(why) = self.times.too_early(entry) {
            self.wrong(name, number, Wrong::Early { file: file.to_owned(), why });
        }
        let said_by = Link { seq: sealed.seq, hash: sealed.hash };
        self.destroyed.push(Destroyed { last: Link { seq: to, hash }, said_by, vouched: false });
    }

    fn checkpoint(&mut self, name: &str, number: u64, entry: &Entry, sealed: Sealed) -> Option<Checkpoint> {
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
                self.held.newest_in_log(checkpoint.record.seq);
                self.log = Some(checkpoint.log.clone());
                if !vouched {
                    return None;
                }
                self.judge_start();
                if let Some(destroyed) = self.destroyed.last_mut().filter(|one| one.said_by == checkpoint.covers) {
                    destroyed.vouched = true;
                }
                // Itself too: its signature covers what it says.
                self.found.vouched = sealed.seq;
                return Some(checkpoint);
            }
            // Of a key that is not in use any more, perhaps.
            Err(BadCheckpoint::OtherKey) if self.found.vouched == 0 => {}
            Err(why) => self.wrong(name, number, Wrong::Checkpoint { vouched: self.found.vouched, why }),
        }
        None
    }

    /// Whether a file that was destroyed held what is missing up to this record. Where the files themselves are not read, the
    /// place may have let go of less than was destroyed: its months are not the log's files.
    fn makes_up_for(&self, one: &Destroyed, before: Link, keyed: bool) -> bool {
        let reaches = match self.directory {
            Some(_) => one.last == before,
            None => one.last == before || one.last.seq > before.seq,
        };
        reaches && (one.vouched || !keyed)
    }

    fn finish(mut self) -> Verification {
        let keyed = !self.trust.keys.is_empty();
        (self.found.open, self.found.lost) = (self.pairs.open.len() as u64, self.pairs.lost);
        // With a key it is closed where a checkpoint vouches for that.
        if matches!(self.found.ended, Ended::Abruptly | Ended::Open) && self.tail.is_closed(keyed) {
            self.found.ended = Ended::InOrder;
        }
        if let Some((before, name)) = self.missing_before.take()
            && !self.destroyed.iter().any(|one| self.makes_up_for(one, before, keyed))
        {
            let what = Wrong::Missing { from: 1, to: before.seq };
            self.found.breaks.insert(0, Break { file: name, line: 1, seq: 1, what });
        }
        if keyed && self.found.checkpoints == 0 {
            self.wrong("the log", 0, Wrong::NoCheckpoint);
        } else {
            self.judge_start();
        }
        if let (true, Some(why)) = (keyed, self.tail.is_too_long()) {
            self.wrong("the log", 0, Wrong::Unvouched { why });
        }
        let times = std::mem::take(&mut self.times);
        self.found.notices.extend(times.back());
        self.hold();
        self.found
    }
}

/// Records that say something of the log itself.
const SPECIAL: [&[u8]; 7] =
    [b"checkpoint", b"torn", b"recovered", b"destroyed", b"resumed", b"incident", b"clock_confirmed"];

/// Number and hash that a changed line still says it has.
fn said(line: &[u8]) -> Option<(u64, Hash)> {
    let entry = Entry::parse(line)?;
    Some((entry.seq()?, Hash::from_hex(entry.text("hash")?)?))
}
