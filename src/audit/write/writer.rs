//! The file that is written, and its chain.
//!
//! All records that wait are written in one write and synced once; then all are answered. When that fails, all that
//! wait are refused, the file is cut back to its last good end, and the next append (or the next second) tries again.
//! Who calls, and when, is for [`combine`](super::combine).

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use tokio::sync::oneshot;

use super::keeper::{Care, Keeper};
use super::options::{LogOptions, Sync};
use super::room::Room;
use super::status::StatusCell;
use super::watch::Watch;
use crate::audit::record::AuditError;
use crate::audit::record::chain::{Link, seal};
use crate::audit::record::stamp::Clock;
use crate::audit::record::{Body, Event, Outcome, OutcomeStatus};
use crate::audit::store::files::{self, LogFile, TornEnd};
use crate::audit::store::pair;

/// Records that stand or fall together, and who waits for them.
#[derive(Debug)]
pub(in crate::audit) struct Job {
    pub(in crate::audit) bodies: Vec<Body>,
    /// Gets the number of the first; `None` where nobody waits.
    pub(in crate::audit) answer: Option<oneshot::Sender<Result<u64, AuditError>>>,
}

/// A file takes no more of the disk than one part in so many.
const SMALL_DISK: u64 = 64;
/// Records that are kept for when the log can be written again. What is behind is closed as lost at the next start.
const MOST_OWED: usize = 100_000;
/// Digests of long statements that are remembered; when there are more, some texts stand in the file twice.
const MOST_WHOLE: usize = 100_000;
/// Bytes of memory that are kept for the next batch.
const KEPT_BYTES: usize = 64 << 10;
/// How often the writer looks after the file by itself.
pub(in crate::audit) const TEND: Duration = Duration::from_secs(1);
/// Bytes that may wait in the kernel with `written`: a file is closed with no more than these to sync.
const UNSYNCED: u64 = 8 << 20;

/// What a checkpoint covers, and when it was made.
#[derive(Debug, Clone, Copy)]
struct Covered {
    seq: u64,
    at: Instant,
}

/// The file that is being written.
#[derive(Debug)]
struct Open {
    file: File,
    named: LogFile,
    /// Of the path.
    watch: Watch,
    length: u64,
    /// Of these, whole texts of long statements: they close no file, or one long text would close a file at each run.
    texts: u64,
    /// Bytes that were on their way to the disk before.
    flushed: u64,
    begun: Timestamp,
    /// A sync failed.
    doubtful: bool,
    /// Held while the file is.
    _lock: File,
}

/// Where a file and its chain stood.
#[derive(Debug, Clone, Copy)]
struct Mark {
    link: Link,
    length: u64,
}

/// Why and since when nothing can be written.
#[derive(Debug)]
struct Trouble {
    error: String,
    since: Timestamp,
    refused: u64,
}

pub(in crate::audit) struct Writer {
    options: LogOptions,
    status: Arc<StatusCell>,
    room: Arc<Room>,
    open: Option<Open>,
    /// The last record written; `None` until the log was opened once.
    link: Option<Link>,
    /// Where the file stood when it was last synced.
    synced: Option<Mark>,
    trouble: Option<Trouble>,
    /// What nobody waits for and could not be written: outcomes. Written once the log can be written again.
    owed: Vec<Body>,
    /// Names the log in checkpoints; empty until the log was opened once.
    name: String,
    covered: Option<Covered>,
    keeper: Option<Keeper>,
    clock: Clock,
    /// Digests of the long statements whose text stands in the open file.
    whole: HashSet<[u8; 32]>,
    /// Kept for its memory.
    bytes: Vec<u8>,
}

impl Writer {
    /// Opens the log and writes `start`.
    pub(in crate::audit) fn start(
        options: LogOptions,
        status: Arc<StatusCell>,
        room: Arc<Room>,
    ) -> Result<Self, AuditError> {
        let mut writer = Self {
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
            clock: Clock::default(),
            whole: HashSet::new(),
            bytes: Vec::new(),
        };
        files::make_directory(&writer.options.directory).map_err(|error| writer.unwritable(&error.to_string()))?;
        writer.room.look(&writer.options.directory);
        writer.reopen()?;
        // What the run before left without an outcome.
        let unfinished = pair::unfinished(&writer.options.directory);
        let unfinished = unfinished.map_err(|error| writer.unwritable(&error.to_string()))?;
        let sync = writer.options.sync.to_string();
        let key = writer.options.signer.as_ref().map(|signer| signer.public().id());
        let start =
            Event::Start { version: env!("CARGO_PKG_VERSION"), sync: &sync, log: &writer.name, key: key.as_deref() };
        let start = start.record()?;
        let lost = unfinished.into_iter().map(lost_outcome);
        let bodies = std::iter::once(Ok(start.body)).chain(lost).collect::<Result<Vec<Body>, AuditError>>()?;
        writer.write(&[&bodies], true, true).map_err(|error| writer.unwritable(&error.to_string()))?;
        let care = Care {
            directory: writer.options.directory.clone(),
            compress: writer.options.compress,
            retain_days: writer.options.retain_days,
            status: Arc::clone(&writer.status),
        };
        if writer.options.keep {
            let keeper = Keeper::start(care).map_err(|error| writer.unwritable(&error.to_string()))?;
            keeper.look();
            writer.keeper = Some(keeper);
        }
        Ok(writer)
    }

    /// The file, where much of it waits in the kernel: synced outside, so that nobody waits for that when it is closed.
    pub(in crate::audit) fn flushes(&mut self) -> Option<File> {
        let open = self.open.as_mut().filter(|open| open.length >= open.flushed + UNSYNCED)?;
        open.flushed = open.length;
        open.file.try_clone().ok()
    }

    /// Writes the jobs and answers them.
    pub(in crate::audit) fn commit(&mut self, jobs: Vec<Job>, stop: bool) {
        self.status.taken(jobs.len());
        let waited = stop || jobs.iter().any(|job| job.answer.is_some());
        let bodies: Vec<&[Body]> = jobs.iter().map(|job| job.bodies.as_slice()).collect();
        let written = self.ready().and_then(|()| {
            self.write(&bodies, waited, stop).map_err(|error| {
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
            Ok(firsts) => {
                for (job, first) in jobs.into_iter().zip(firsts) {
                    if let Some(answer) = job.answer {
                        // A session that went away does not wait any more.
                        let _ = answer.send(Ok(first));
                    }
                }
            }
            Err(error) => {
                let records = jobs.iter().map(|job| job.bodies.len() as u64).sum();
                self.status.refused(records);
                if let Some(trouble) = &mut self.trouble {
                    trouble.refused += records;
                }
                for Job { bodies, answer } in jobs {
                    match answer {
                        Some(answer) => drop(answer.send(Err(error.clone()))),
                        None if self.owed.len() < MOST_OWED => self.owed.extend(bodies),
                        None => {}
                    }
                }
            }
        }
    }

    /// Looks after the file while nobody writes, so that readiness tells the truth.
    pub(in crate::audit) fn tend(&mut self) {
        if let Some(open) = &self.open
            && let Err(error) = files::still_there(&open.file, &open.named.path)
        {
            self.fail(&error);
        }
        if self.status.may_let_go()
            && let Some(keeper) = &self.keeper
        {
            keeper.look();
        }
        // What went wrong stands in the status.
        if self.open.is_none() {
            let _ = self.ready();
        }
        if self.open.is_some()
            && let Err(error) = self.keep()
        {
            self.fail(&error);
        }
    }

    /// Writes the checkpoint that is due, and what is destroyed.
    fn keep(&mut self) -> io::Result<()> {
        while let Some(doomed) = self.keeper.as_ref().and_then(Keeper::doomed) {
            if !doomed.file.path.exists() {
                continue;
            }
            let event = Event::Destroyed {
                file: &doomed.file.name(),
                from: doomed.file.first_seq,
                to: doomed.last.seq,
                last: &doomed.last.hash.to_string(),
                sha256: &doomed.sha256.to_string(),
                newest: &doomed.newest,
                retain_days: doomed.retain_days,
            };
            let record = event.record().map_err(io::Error::other)?;
            self.write(&[&[record.body]], true, true)?;
            tracing::info!(file = doomed.file.name(), "a file of the access log is destroyed because of its age");
            if let Some(keeper) = &self.keeper {
                keeper.destroy(doomed.file);
            }
        }
        self.settle()?;
        if self.is_due() { self.write(&[], true, true).map(drop) } else { Ok(()) }
    }

    /// Syncs what nobody waited for: outcomes.
    fn settle(&mut self) -> io::Result<()> {
        let (Some(open), Some(link), Some(synced)) = (&mut self.open, self.link, self.synced) else { return Ok(()) };
        if link.seq > synced.link.seq {
            open.file.sync_data().inspect_err(|_| open.doubtful = true)?;
            self.synced = Some(Mark { link, length: open.length });
            self.status.durable(link.seq);
        }
        Ok(())
    }

    /// Whether records wait for a checkpoint since longer than they may.
    fn is_due(&self) -> bool {
        let waits = |link: Link| self.covered.is_none_or(|covered| link.seq > covered.seq + 1);
        let late = |covered: Covered| covered.at.elapsed().as_secs() >= self.options.rhythm.seconds;
        self.options.signer.is_some() && self.link.is_some_and(waits) && self.covered.is_none_or(late)
    }

    /// The checkpoint that belongs behind this record, where one does.
    fn checkpoint(&self, link: Link, now: Timestamp, asked: bool) -> io::Result<Option<Body>> {
        let Some(signer) = &self.options.signer else { return Ok(None) };
        // The checkpoint itself needs none.
        let waiting = self.covered.map_or(link.seq, |covered| link.seq.saturating_sub(covered.seq + 1));
        if waiting == 0 || !(asked || self.is_due() || waiting >= self.options.rhythm.records) {
            return Ok(None);
        }
        let record = signer.record(&self.name, link, &format!("{now:.6}"), self.options.rhythm);
        record.map(|record| Some(record.body)).map_err(io::Error::other)
    }

    /// Makes sure that a file is open, a new one where the old one is full or of another day.
    fn ready(&mut self) -> Result<(), AuditError> {
        if self.open.is_none() {
            self.reopen()?;
        }
        let today = today();
        let old =
            |open: &Open| Timestamp::now().duration_since(open.begun).as_hours() >= self.options.rotate_hours.into();
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
        self.write(&[], true, true)?;
        let (Some(open), Some(link)) = (&mut self.open, self.link) else { return Ok(()) };
        open.file.sync_data().inspect_err(|_| open.doubtful = true)?;
        let named = LogFile::new(&self.options.directory, link.seq + 1, today);
        open.file = files::open_append(&named, true)?;
        open.watch = Watch::over(&named.path);
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

    /// Opens the log where it ends, and says in it what was torn and that it could not be written for a while.
    fn reopen(&mut self) -> Result<(), AuditError> {
        self.try_reopen().inspect_err(|error| {
            let error = match error {
                AuditError::Unwritable { reason, .. } => reason.clone(),
                other => other.to_string(),
            };
            self.in_trouble(error);
        })
    }

    fn try_reopen(&mut self) -> Result<(), AuditError> {
        self.open = None;
        let failed = |writer: &Self, error: &io::Error| writer.unwritable(&error.to_string());
        let lock = files::lock(&self.options.directory).map_err(|error| failed(self, &error))?;
        let lock = lock.ok_or_else(|| AuditError::InUse { directory: self.options.directory.display().to_string() })?;
        let now = Timestamp::now();
        let recovered = files::recover(&self.options.directory, now).map_err(|error| failed(self, &error))?;
        // Records that were refused, and stand in the file all the same, stay. A folder that was emptied or put
        // back is continued after what was written last: `verify` then shows the gap.
        let link = match self.link {
            Some(link) if link.seq >= recovered.link.seq => link,
            Some(_) | None => recovered.link,
        };
        let last = recovered.last.filter(|_| link == recovered.link);
        let (named, new) = match last {
            Some(named) => (named, false),
            None => (LogFile::new(&self.options.directory, link.seq + 1, today()), true),
        };
        let file = files::open_append(&named, new).map_err(|error| failed(self, &error))?;
        let length = file.metadata().map_err(|error| failed(self, &error))?.len();
        let begun = if new { None } else { files::begun(&named).map_err(|error| failed(self, &error))? };
        if self.name.is_empty() {
            let known = files::log_name(&self.options.directory).map_err(|error| failed(self, &error))?;
            self.name = known.unwrap_or_else(|| format!("{:032x}", rand::random::<u128>()));
        }
        self.whole.clear();
        let (watch, begun) = (Watch::over(&named.path), begun.unwrap_or(now));
        self.open =
            Some(Open { file, named, watch, length, texts: 0, flushed: 0, begun, doubtful: false, _lock: lock });
        self.link = Some(link);
        self.synced = Some(Mark { link, length });
        self.status.named(&self.name);
        self.status.durable(link.seq);
        self.tell(&recovered.torn)
    }

    /// The first records after opening: what was torn, and that the log was in trouble. Their write is the proof that
    /// it is not any more.
    fn tell(&mut self, torn: &[TornEnd]) -> Result<(), AuditError> {
        let mut bodies = Vec::new();
        for TornEnd { file, kept, bytes, sha256 } in torn {
            let sha256 = sha256.to_string();
            bodies.push(Event::Torn { file, kept, bytes: *bytes, sha256: &sha256 }.record()?.body);
        }
        if let Some(Trouble { error, since, refused }) = &self.trouble {
            let since = format!("{since:.6}");
            bodies.push(Event::Recovered { error, since: &since, refused: *refused }.record()?.body);
        }
        bodies.extend(self.owed.iter().cloned());
        if !bodies.is_empty() {
            self.write(&[&bodies], true, false).map_err(|error| {
                self.cut_back();
                self.unwritable(&error.to_string())
            })?;
        }
        self.trouble = None;
        self.owed.clear();
        self.status.trouble(None);
        if let Some(link) = self.link {
            self.status.reached(link.seq);
        }
        Ok(())
    }

    /// Writes the records in one go, and the checkpoint that is due or asked for; gives the number of each job's first.
    /// Nothing is answered yet.
    fn write(&mut self, jobs: &[&[Body]], waited: bool, checkpoint: bool) -> io::Result<Vec<u64>> {
        let mut bytes = std::mem::take(&mut self.bytes);
        bytes.clear();
        let written = self.write_in(&mut bytes, jobs, waited, checkpoint);
        bytes.shrink_to(KEPT_BYTES);
        self.bytes = bytes;
        written
    }

    fn write_in(
        &mut self,
        bytes: &mut Vec<u8>,
        jobs: &[&[Body]],
        waited: bool,
        checkpoint: bool,
    ) -> io::Result<Vec<u64>> {
        let (mut link, now) = (self.link.ok_or_else(not_open)?, Timestamp::now());
        let time = self.clock.text(now);
        let (mut firsts, mut told, mut texts) = (Vec::with_capacity(jobs.len()), Vec::new(), 0);
        for bodies in jobs {
            for whole in bodies.iter().filter_map(|body| body.whole.as_deref()) {
                let digest = *whole.digest.bytes();
                if !self.whole.contains(&digest) && !told.contains(&digest) {
                    let before = bytes.len();
                    link = seal(link, time, &whole.body, bytes);
                    texts += (bytes.len() - before) as u64;
                    told.push(digest);
                }
            }
            firsts.push(link.seq + 1);
            for body in *bodies {
                link = seal(link, time, body, bytes);
            }
        }
        let covered = match self.checkpoint(link, now, checkpoint)? {
            Some(body) => {
                let (covered, from) = (Covered { seq: link.seq, at: Instant::now() }, bytes.len());
                link = seal(link, self.clock.text(now), &body, bytes);
                Some((covered, from))
            }
            None => None,
        };
        if bytes.is_empty() {
            return Ok(firsts);
        }
        let open = self.open.as_mut().ok_or_else(not_open)?;
        open.file.write_all(bytes)?;
        if waited && self.options.sync == Sync::Always {
            // After a failed sync nobody knows what the disk holds of what was written since the last one.
            open.file.sync_data().inspect_err(|_| open.doubtful = true)?;
        }
        if !open.watch.is_quiet() {
            files::still_there(&open.file, &open.named.path)?;
        }
        open.length += bytes.len() as u64;
        open.texts += texts;
        let file = open.named.first_seq;
        self.link = Some(link);
        if waited || self.options.sync == Sync::Written {
            self.synced = Some(Mark { link, length: open.length });
            self.status.durable(link.seq);
        }
        self.status.reached(link.seq);
        if let Some((covered, from)) = covered {
            self.status.checkpoint(covered.seq, now);
            self.covered = Some(covered);
            if let Err(error) = files::keep_checkpoint(&self.options.directory, bytes.get(from..).unwrap_or_default()) {
                tracing::warn!(%error, "the newest checkpoint cannot be put beside the access log");
            }
        }
        if self.whole.len() > MOST_WHOLE {
            self.whole.clear();
        }
        self.whole.extend(told);
        let bodies = jobs.iter().flat_map(|bodies| bodies.iter());
        bodies.filter_map(|body| body.whole.as_deref()).for_each(|whole| whole.tell(file));
        self.room.writes(file);
        Ok(firsts)
    }

    /// Notes the trouble and lets go of the file.
    pub(in crate::audit) fn fail(&mut self, error: &io::Error) {
        self.cut_back();
        self.in_trouble(error.to_string());
    }

    /// Cuts the file back to what was written before, as far as the file still obeys; what cannot be cut is found again
    /// as records that nobody was promised, or as a torn end.
    fn cut_back(&mut self) {
        let (Some(open), Some(written), Some(synced)) = (self.open.take(), self.link, self.synced) else { return };
        let mark = if open.doubtful { synced } else { Mark { link: written, length: open.length } };
        if open.file.set_len(mark.length).is_ok() && open.file.sync_all().is_ok() {
            self.link = Some(mark.link);
            self.covered = self.covered.filter(|covered| covered.seq < mark.link.seq);
        }
    }

    fn in_trouble(&mut self, error: String) {
        tracing::error!(directory = %self.options.directory.display(), %error, "the access log cannot be written; statements are refused");
        self.status.trouble(Some(error.clone()));
        self.trouble.get_or_insert_with(|| Trouble { error, since: Timestamp::now(), refused: 0 });
    }

    fn unwritable(&self, reason: &str) -> AuditError {
        AuditError::Unwritable { directory: self.options.directory.display().to_string(), reason: reason.to_owned() }
    }
}

/// What is written of an access whose end nobody will know.
fn lost_outcome(of: u64) -> Result<Body, AuditError> {
    let outcome = Outcome { of, status: OutcomeStatus::Lost, rows: None, sqlstate: None, ms: 0.0 };
    Ok(Event::Outcome(outcome).record()?.body)
}

fn not_open() -> io::Error {
    io::Error::other("the log is not open")
}

fn today() -> Date {
    Timestamp::now().to_zoned(TimeZone::UTC).date()
}
