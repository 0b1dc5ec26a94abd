//! The file that is written, and its chain.
//!
//! All records that wait are written in one write and synced once; then all are answered. When that fails, all that
//! wait are refused, the file is cut back to its last good end, and the next append (or the next second) tries again.
//! Who calls, and when, is for [`combine`](super::combine); how the log is opened for [`opening`](super::opening), and what is
//! done while nobody writes for [`tending`](super::tending).

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Write};
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use jiff::civil::Date;

use super::job::{Answer, Asker, Job};
use super::keeper::Keeper;
use super::numbers::Numbers;
use super::options::{LogOptions, Sync};
use super::room::Room;
use super::status::StatusCell;
use super::steady::Steady;
use super::tending::Pace;
use super::watch::Watch;
use crate::audit::record::chain::{self, Link, seal};
use crate::audit::record::stamp::{Clock, Today};
use crate::audit::record::{AuditError, Body};
use crate::audit::store::beside;
use crate::audit::store::files::{self, LogFile};

/// A file takes no more of the disk than one part in so many.
const SMALL_DISK: u64 = 64;
/// Records that are kept for when the log can be written again. What is behind is closed as lost at the next start.
const MOST_OWED: usize = 100_000;
/// Digests of long statements that are remembered; when there are more, some texts stand in the file twice.
const MOST_WHOLE: usize = 100_000;
/// Microseconds within which is not asked twice whether the file is where it was, while several sessions append.
const ASKED: u64 = 1_000;
/// Bytes of memory that are kept for the next batch.
const KEPT_BYTES: usize = 64 << 10;
/// How often the writer looks after the file by itself.
pub(in crate::audit) const TEND: Duration = Duration::from_secs(1);
/// Bytes that may wait in the kernel with `written`: a file is closed with no more than these to sync.
const UNSYNCED: u64 = 8 << 20;

/// What a checkpoint covers, and when it was made.
#[derive(Debug, Clone, Copy)]
pub(super) struct Covered {
    seq: u64,
    at: Instant,
    time: Timestamp,
}

/// What is about to be written in one go.
struct Batch<'a> {
    bytes: &'a mut Vec<u8>,
    link: Link,
    now: Timestamp,
    covered: Option<Covered>,
    /// The line of the newest checkpoint among it.
    newest: Option<Range<usize>>,
    /// Digests of the long statements whose text is among it, and how many bytes these take.
    told: Vec<[u8; 32]>,
    texts: u64,
}

/// The file that is being written.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) file: File,
    pub(super) named: LogFile,
    /// Of the path.
    pub(super) watch: Watch,
    /// When somebody asked it last, in microseconds since 1970.
    pub(super) asked: i64,
    pub(super) length: u64,
    /// Of these, whole texts of long statements: they close no file, or one long text would close a file at each run.
    pub(super) texts: u64,
    /// Bytes that were on their way to the disk before.
    pub(super) flushed: u64,
    pub(super) begun: Timestamp,
    /// A sync failed.
    pub(super) doubtful: bool,
    /// Held while the file is.
    pub(super) _lock: File,
}

/// Where a file and its chain stood.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mark {
    pub(super) link: Link,
    pub(super) length: u64,
}

/// Why and since when nothing can be written.
#[derive(Debug)]
pub(super) struct Trouble {
    pub(super) error: String,
    pub(super) since: Timestamp,
    pub(super) refused: u64,
}

pub(in crate::audit) struct Writer {
    pub(super) options: LogOptions,
    pub(super) status: Arc<StatusCell>,
    pub(super) room: Arc<Room>,
    pub(super) open: Option<Open>,
    /// The last record written; `None` until the log was opened once.
    pub(super) link: Option<Link>,
    /// Where the file stood when it was last synced.
    pub(super) synced: Option<Mark>,
    pub(super) trouble: Option<Trouble>,
    /// What nobody waits for and could not be written: outcomes. Written once the log can be written again.
    pub(super) owed: Vec<Body>,
    /// Names the log in checkpoints; empty until the log was opened once.
    pub(super) name: String,
    pub(super) covered: Option<Covered>,
    pub(super) keeper: Option<Keeper>,
    pub(super) steady: Option<Steady>,
    /// How much was destroyed of late.
    pub(super) pace: Pace,
    /// What was handed in by others, and taken.
    pub(super) taken: super::handed::Taken,
    clock: Clock,
    pub(super) today: Today,
    /// Digests of the long statements whose text stands in the open file.
    pub(super) whole: HashSet<[u8; 32]>,
    /// What a write that failed would have left, as far as it came.
    pub(super) attempted: Vec<Link>,
    /// The copy of the newest checkpoint could not be written, and that was said.
    unanchored: bool,
    /// What is written now is of several sessions.
    pub(super) crowded: bool,
    /// Kept for their memory.
    bytes: Vec<u8>,
    numbers: Vec<Numbers>,
}

impl Writer {
    /// Of a log that was not opened yet.
    pub(super) fn new(options: LogOptions, status: Arc<StatusCell>, room: Arc<Room>) -> Self {
        Self {
            options,
            status,
            room,
            open: None,
            link: None,
            synced: None,
            trouble: None,
            owed: Vec::new(),
            name: String::new(),
            covered: None,
            keeper: None,
            steady: None,
            pace: Pace::default(),
            taken: super::handed::Taken::default(),
            clock: Clock::default(),
            today: Today::default(),
            whole: HashSet::new(),
            attempted: Vec::new(),
            unanchored: false,
            crowded: false,
            bytes: Vec::new(),
            numbers: Vec::new(),
        }
    }

    /// The file, where much of it waits in the kernel: synced outside, so that nobody waits for that when it is closed.
    pub(in crate::audit) fn flushes(&mut self) -> Option<File> {
        let open = self.open.as_mut().filter(|open| open.length >= open.flushed + UNSYNCED)?;
        open.flushed = open.length;
        open.file.try_clone().ok()
    }

    /// Writes the jobs and answers them; `jobs` is empty then. Gives the answer for whoever asks here.
    pub(in crate::audit) fn commit(&mut self, jobs: &mut Vec<Job>, stop: bool) -> Option<Answer> {
        self.status.taken(jobs.len());
        let waited = stop || jobs.iter().any(Job::is_awaited);
        let mut here = None;
        let written = self.ready().and_then(|()| {
            self.write(jobs, waited, stop).map_err(|error| {
                self.fail(&error);
                self.unwritable(&error.to_string())
            })
        });
        if stop {
            // Before the answer: who waited for the end may open the log again.
            self.keeper = None;
            self.open = None;
        }
        match written {
            Ok(mut numbers) => {
                for (job, numbers) in jobs.drain(..).zip(numbers.drain(..)) {
                    match job.asker {
                        Asker::Nobody => {}
                        // A session that went away does not wait any more.
                        Asker::Waits(answer) => drop(answer.send(Ok(numbers))),
                        Asker::Here => here = Some(Ok(numbers)),
                    }
                }
                self.numbers = numbers;
            }
            Err(error) => {
                let records = jobs.iter().map(|job| job.bodies.len() as u64).sum();
                self.status.refused(records);
                if let Some(trouble) = &mut self.trouble {
                    trouble.refused += records;
                }
                for Job { bodies, asker } in jobs.drain(..) {
                    match asker {
                        Asker::Waits(answer) => drop(answer.send(Err(error.clone()))),
                        Asker::Here => here = Some(Err(error.clone())),
                        Asker::Nobody if self.owed.len() < MOST_OWED => self.owed.extend_from_slice(&bodies),
                        Asker::Nobody => {}
                    }
                }
            }
        }
        here
    }

    /// Whether records wait for a checkpoint since longer than they may, by either clock.
    pub(super) fn is_due(&self) -> bool {
        self.due(self.link, self.covered, Timestamp::now())
    }

    fn due(&self, link: Option<Link>, covered: Option<Covered>, now: Timestamp) -> bool {
        let seconds = self.options.rhythm.seconds;
        let waits = |link: Link| covered.is_none_or(|covered| link.seq > covered.seq + 1);
        let late = |covered: Covered| {
            let by_clock = u64::try_from(now.duration_since(covered.time).as_secs());
            covered.at.elapsed().as_secs() >= seconds || by_clock.is_ok_and(|waited| waited >= seconds)
        };
        self.options.signer.is_some() && link.is_some_and(waits) && covered.is_none_or(late)
    }

    /// How many records stand behind the last checkpoint, which needs none itself.
    fn waiting(link: Link, covered: Option<Covered>) -> u64 {
        covered.map_or(link.seq, |covered| link.seq.saturating_sub(covered.seq + 1))
    }

    /// Makes sure that a file is open, a new one where the old one is full or of another day.
    pub(super) fn ready(&mut self) -> Result<(), AuditError> {
        if self.open.is_none() {
            self.reopen()?;
        }
        let now = Timestamp::now();
        let today = self.today.at(now);
        let old = |open: &Open| now.duration_since(open.begun).as_hours() >= self.options.rotate_hours.into();
        // On a small disk files are closed, and compressed, before one takes much of it.
        let most = self.options.rotate_bytes.min((self.room.total() / SMALL_DISK).max(1 << 20));
        let most = if self.options.keep { most } else { self.options.rotate_bytes };
        let large = |open: &Open| open.length - open.texts >= most || open.length >= 4 * most;
        let full = |open: &Open| large(open) || open.named.day != today || old(open);
        if self.open.as_ref().is_some_and(|open| open.length > 0 && full(open)) {
            self.rotate(today).map_err(|error| {
                self.fail(&error);
                self.unwritable(&error.to_string())
            })?;
        }
        Ok(())
    }

    fn rotate(&mut self, today: Date) -> io::Result<()> {
        self.write(NONE, true, true)?;
        let (Some(open), Some(link)) = (&mut self.open, self.link) else { return Ok(()) };
        self.status.sync(|| open.file.sync_data()).inspect_err(|_| open.doubtful = true)?;
        let named = LogFile::new(&self.options.directory, link.seq + 1, today);
        open.file = files::open_append(&named, true)?;
        (open.watch, open.asked) = (Watch::over(&named.path), 0);
        open.named = named;
        (open.length, open.texts, open.flushed) = (0, 0, 0);
        self.whole.clear();
        open.begun = Timestamp::now();
        self.synced = Some(Mark { link, length: 0 });
        self.status.durable(link.seq);
        if let Some(keeper) = &self.keeper {
            keeper.look();
        }
        Ok(())
    }

    /// Writes the records in one go, and the checkpoints that are due or asked for; gives the numbers of each job's.
    /// Nothing is answered yet.
    pub(super) fn write(
        &mut self,
        jobs: &[impl AsRef<[Body]>],
        waited: bool,
        checkpoint: bool,
    ) -> io::Result<Vec<Numbers>> {
        let mut bytes = std::mem::take(&mut self.bytes);
        bytes.clear();
        let written = self.write_in(&mut bytes, jobs, waited, checkpoint);
        if written.is_err() {
            let lines = bytes.split(|&byte| byte == b'\n').filter_map(|line| chain::open(line).ok());
            self.attempted.extend(lines.map(|sealed| Link { seq: sealed.seq, hash: sealed.hash }));
        }
        bytes.shrink_to(KEPT_BYTES);
        self.bytes = bytes;
        written
    }

    fn write_in(
        &mut self,
        bytes: &mut Vec<u8>,
        jobs: &[impl AsRef<[Body]>],
        waited: bool,
        checkpoint: bool,
    ) -> io::Result<Vec<Numbers>> {
        let (link, now) = (self.link.ok_or_else(not_open)?, Timestamp::now());
        let mut batch = Batch { bytes, link, now, covered: self.covered, newest: None, told: Vec::new(), texts: 0 };
        let mut numbers = std::mem::take(&mut self.numbers);
        numbers.clear();
        for bodies in jobs {
            numbers.push(self.seal_job(&mut batch, bodies.as_ref())?);
        }
        let waiting = Self::waiting(batch.link, batch.covered);
        let due = self.due(Some(batch.link), batch.covered, now) || waiting >= self.options.rhythm.records;
        if waiting > 0 && (checkpoint || due) {
            self.seal_checkpoint(&mut batch)?;
        }
        let Batch { link, covered, newest, told, texts, .. } = batch;
        if bytes.is_empty() {
            return Ok(numbers);
        }
        // A checkpoint beside the log must not be ahead of it on the disk.
        let synced = self.options.sync == Sync::Always && (waited || newest.is_some());
        let open = self.open.as_mut().ok_or_else(not_open)?;
        // A disk that hangs lets neither return.
        self.status.sync(|| open.file.write_all(bytes))?;
        if synced {
            // After a failed sync nobody knows what the disk holds of what was written since the last one.
            self.status.sync(|| open.file.sync_data()).inspect_err(|_| open.doubtful = true)?;
        }
        // Of what several sessions append at once no order with what happens to the file is told: once a millisecond is enough.
        let micros = now.as_microsecond();
        if !self.crowded || micros.abs_diff(open.asked) >= ASKED {
            open.asked = micros;
            if !open.watch.is_quiet() {
                files::still_there(&open.file, &open.named.path)?;
            }
        }
        open.length += bytes.len() as u64;
        open.texts += texts;
        let file = open.named.first_seq;
        self.link = Some(link);
        if synced || self.options.sync == Sync::Written {
            self.synced = Some(Mark { link, length: open.length });
            self.status.durable(link.seq);
        }
        self.status.reached(link.seq);
        self.covered = covered;
        if let Some(line) = newest.and_then(|line| bytes.get(line)) {
            self.keep_checkpoint(line);
        }
        if self.whole.len() > MOST_WHOLE {
            self.whole.clear();
        }
        self.whole.extend(told);
        let bodies = jobs.iter().flat_map(|bodies| bodies.as_ref());
        bodies.filter_map(Body::whole).for_each(|whole| whole.tell(file));
        self.room.writes(file);
        Ok(numbers)
    }

    /// One job's records, with the texts that must stand before them.
    fn seal_job(&mut self, batch: &mut Batch<'_>, bodies: &[Body]) -> io::Result<Numbers> {
        for whole in bodies.iter().filter_map(Body::whole) {
            let digest = *whole.digest.bytes();
            if !self.whole.contains(&digest) && !batch.told.contains(&digest) {
                let before = batch.bytes.len();
                self.seal_next(batch, &whole.body)?;
                batch.texts += (batch.bytes.len() - before) as u64;
                batch.told.push(digest);
            }
        }
        let mut numbers = Numbers::default();
        for body in bodies {
            self.seal_next(batch, body)?;
            numbers.push(batch.link.seq);
        }
        Ok(numbers)
    }

    /// One record; before it a checkpoint, where as many stand without one as may: a crash then leaves no more than was promised.
    fn seal_next(&mut self, batch: &mut Batch<'_>, body: &Body) -> io::Result<()> {
        // What the first write after opening covers is told in it, and signed at its end.
        if batch.covered.is_some() && Self::waiting(batch.link, batch.covered) >= self.options.rhythm.records {
            self.seal_checkpoint(batch)?;
        }
        batch.link = seal(batch.link, self.clock.text(batch.now), body, batch.bytes);
        Ok(())
    }

    fn seal_checkpoint(&mut self, batch: &mut Batch<'_>) -> io::Result<()> {
        let Some(signer) = &self.options.signer else { return Ok(()) };
        let record = signer.record(&self.name, batch.link, &format!("{:.6}", batch.now), self.options.rhythm);
        let (body, from) = (record.map_err(io::Error::other)?.body, batch.bytes.len());
        batch.covered = Some(Covered { seq: batch.link.seq, at: Instant::now(), time: batch.now });
        batch.link = seal(batch.link, self.clock.text(batch.now), &body, batch.bytes);
        batch.newest = Some(from..batch.bytes.len());
        Ok(())
    }

    /// Puts the newest checkpoint beside the log, and where the log is anchored.
    fn keep_checkpoint(&mut self, line: &[u8]) {
        if let Some(Covered { seq, time, .. }) = self.covered {
            self.status.checkpoint(seq, time);
        }
        let durable = self.options.sync == Sync::Always;
        let beside = self.options.directory.join(beside::CHECKPOINT);
        if let Err(error) = beside::replace(&beside, line, durable) {
            tracing::warn!(%error, "the newest checkpoint cannot be put beside the access log");
        }
        let Some(anchor) = &self.options.anchor else { return };
        match beside::replace(anchor, line, durable) {
            Ok(()) => self.unanchored = false,
            Err(error) if !self.unanchored => {
                tracing::warn!(%error, anchor = %anchor.display(), "the newest checkpoint cannot be put where the access log is anchored");
                self.unanchored = true;
            }
            Err(_) => {}
        }
    }

    /// Notes the trouble and lets go of the file.
    pub(in crate::audit) fn fail(&mut self, error: &io::Error) {
        self.cut_back();
        self.in_trouble(error.to_string());
    }

    /// Cuts the file back to what was written before, as far as the file still obeys; what cannot be cut is found again
    /// as records that nobody was promised, or as a torn end.
    pub(super) fn cut_back(&mut self) {
        let (Some(open), Some(written), Some(synced)) = (self.open.take(), self.link, self.synced) else { return };
        let mark = if open.doubtful { synced } else { Mark { link: written, length: open.length } };
        if open.file.set_len(mark.length).is_ok() && open.file.sync_all().is_ok() {
            self.link = Some(mark.link);
            self.covered = self.covered.filter(|covered| covered.seq < mark.link.seq);
        }
    }

    pub(super) fn in_trouble(&mut self, error: String) {
        tracing::error!(directory = %self.options.directory.display(), %error, "the access log cannot be written; statements are refused");
        self.status.trouble(Some(error.clone()));
        self.trouble.get_or_insert_with(|| Trouble { error, since: Timestamp::now(), refused: 0 });
    }

    pub(super) fn unwritable(&self, reason: &str) -> AuditError {
        AuditError::Unwritable { directory: self.options.directory.display().to_string(), reason: reason.to_owned() }
    }
}

/// Where only what is due is written.
pub(super) const NONE: &[&[Body]] = &[];

fn not_open() -> io::Error {
    io::Error::other("the log is not open")
}
