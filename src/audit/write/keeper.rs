//! The thread that looks after closed files: compresses and indexes them, and destroys them when they are old enough.
//!
//! It never touches the file that is written. What is to be destroyed is told to the writer, which writes that down first
//! and then lets it happen.

use std::fs::{self, File};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::status::StatusCell;
use super::steady::{Margin, STEPS};
use crate::audit::record::chain::{self, Hash, Link};
use crate::audit::store::clock;
use crate::audit::store::files::{self, LogFile};
use crate::audit::store::opened::current;
use crate::audit::store::pack::{Pace, hash_of, index_again, pack, write_index};
use crate::audit::store::pair;

/// How often it looks by itself.
const LOOK: Duration = Duration::from_secs(600);

/// A file that is old enough to be destroyed.
#[derive(Debug, Clone)]
pub(in crate::audit) struct Doomed {
    pub(in crate::audit) file: LogFile,
    pub(in crate::audit) last: Link,
    pub(in crate::audit) sha256: Hash,
    /// Time of its newest record, as it stands there.
    pub(in crate::audit) newest: String,
    /// When that was at the latest, whatever the clock did since.
    pub(in crate::audit) until: Timestamp,
    pub(in crate::audit) retain_days: u32,
}

/// What the keeper is told.
#[derive(Debug)]
enum Task {
    /// A file was closed.
    Look,
    /// It is written down that this file is destroyed.
    Destroy(LogFile),
}

/// The writer's side of it.
#[derive(Debug)]
pub(in crate::audit) struct Keeper {
    tasks: Sender<Task>,
    doomed: Receiver<Doomed>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// What it does with closed files.
#[derive(Debug, Clone)]
pub(in crate::audit) struct Care {
    pub(in crate::audit) directory: PathBuf,
    pub(in crate::audit) compress: bool,
    pub(in crate::audit) retain_days: Option<u32>,
    pub(in crate::audit) status: Arc<StatusCell>,
}

impl Keeper {
    pub(in crate::audit) fn start(care: Care) -> io::Result<Self> {
        let (tasks, inbox) = channel();
        let (sentence, doomed) = channel();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::Builder::new()
            .name("audit-files".to_owned())
            .spawn(move || Thread { care, inbox, sentence, stop: stopped }.run())?;
        Ok(Self { tasks, doomed, stop, thread: Some(thread) })
    }

    /// There may be something to do.
    pub(in crate::audit) fn look(&self) {
        // Where the thread is gone, files stay as they are.
        let _ = self.tasks.send(Task::Look);
    }

    /// What waits to be written down.
    pub(in crate::audit) fn doomed(&self) -> Option<Doomed> {
        self.doomed.try_recv().ok()
    }

    /// It is written down.
    pub(in crate::audit) fn destroy(&self, file: LogFile) {
        let _ = self.tasks.send(Task::Destroy(file));
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        self.look();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that looks after closed files of the access log panicked");
        }
    }
}

struct Thread {
    care: Care,
    inbox: Receiver<Task>,
    sentence: Sender<Doomed>,
    stop: Arc<AtomicBool>,
}

impl Thread {
    fn run(self) {
        loop {
            let done = match self.inbox.recv_timeout(LOOK) {
                _ if self.stop.load(Ordering::Acquire) => return,
                Ok(Task::Look) | Err(RecvTimeoutError::Timeout) => self.look(),
                Ok(Task::Destroy(file)) => destroy(&file),
                Err(RecvTimeoutError::Disconnected) => return,
            };
            if let Err(error) = done {
                // Tried again with the next look.
                tracing::warn!(%error, "a closed file of the access log could not be compressed, indexed or removed");
            }
        }
    }

    fn look(&self) -> io::Result<()> {
        let (mut closed, _) = files::list(&self.care.directory)?;
        // The newest is being written.
        closed.pop();
        let mut failed = Ok(());
        for file in &closed {
            let done = if !file.packed && self.care.compress {
                // More may have been closed since the last one.
                let (now, _) = files::list(&self.care.directory)?;
                let waiting = now.iter().filter(|file| !file.packed).count();
                let pace = Pace { stop: &self.stop, percent: percent(waiting) };
                pack(file, &pace).map(drop)
            } else if current(file).is_some() {
                continue;
            } else {
                index_again(file).and_then(|index| write_index(file, &index))
            };
            if self.stop.load(Ordering::Acquire) {
                return Ok(());
            }
            failed = failed.and(done);
        }
        self.judge().and(failed)
    }

    /// Sends the closed files whose newest record is too old, oldest first and without a gap. One that a place beside the
    /// files still needs stays: what is destroyed there would be missing everywhere. While the clock is in doubt nothing is old.
    fn judge(&self) -> io::Result<()> {
        let (Some(retain_days), Some(margin)) = (self.care.retain_days, self.care.status.margin()) else {
            return Ok(());
        };
        let now = Timestamp::now();
        let limit = now.checked_sub(age(retain_days, margin)).unwrap_or(Timestamp::MIN);
        let (mut closed, _) = files::list(&self.care.directory)?;
        let newest = closed.pop();
        let limit_day = limit.to_zoned_datetime(TimeZone::UTC).date();
        let mut held = closed.iter().filter(|file| file.day < limit_day).count() as u64;
        self.care.status.held(0, 0);
        let later: Vec<LogFile> = closed.iter().skip(1).cloned().chain(newest).collect();
        for (at, file) in closed.into_iter().enumerate() {
            // Nothing in a file is older than its day.
            if file.day > limit_day {
                return Ok(());
            }
            let Some(until) = clock::newest_of(&file, later.get(at..).unwrap_or_default(), margin.shift)? else {
                return Ok(());
            };
            if !is_old(until, retain_days, margin, now) {
                return Ok(());
            }
            let Some(doomed) = examine(file, retain_days, until)? else { return Ok(()) };
            if doomed.last.seq > self.care.status.everywhere() {
                self.care.status.held(held.max(1), doomed.last.seq);
                return Ok(());
            }
            held = held.saturating_sub(1);
            if self.stop.load(Ordering::Acquire) || self.sentence.send(doomed).is_err() {
                return Ok(());
            }
        }
        Ok(())
    }
}

/// How old a record has to be: so many days, what the clock may have been set by, and the time of which nothing is known.
fn age(retain_days: u32, margin: Margin) -> SignedDuration {
    let days = SignedDuration::from_hours(24 * i64::from(retain_days));
    days.saturating_add(STEPS.min(days)).saturating_add(SignedDuration::from_secs(margin.off.max(0)))
}

/// Whether what was written then, at the latest, is to be destroyed now.
pub(in crate::audit) fn is_old(until: Timestamp, retain_days: u32, margin: Margin, now: Timestamp) -> bool {
    now.duration_since(until) >= age(retain_days, margin)
}

/// How much of a core compressing takes while so many files wait: as little as it can for as long as it keeps up.
fn percent(waiting: usize) -> u32 {
    match waiting {
        0..=8 => 3,
        9..=16 => 12,
        17..=24 => 50,
        _ => 100,
    }
}

/// What the record of its destruction says of a file; `None` where its end cannot be read, so that it stays.
fn examine(file: LogFile, retain_days: u32, until: Timestamp) -> io::Result<Option<Doomed>> {
    let (mut last, mut newest) = (None, None::<String>);
    files::each_line(&file, |line| {
        last = Some(line.to_owned());
        if let Some(time) = pair::time_of(line)
            && newest.as_deref().is_none_or(|newest| time > newest)
        {
            newest = Some(time.to_owned());
        }
    })?;
    let sealed = last.and_then(|line| chain::open(&line).ok());
    let (Some(sealed), Some(newest)) = (sealed, newest) else { return Ok(None) };
    let sha256 = hash_of(&mut File::open(&file.path)?)?;
    let last = Link { seq: sealed.seq, hash: sealed.hash };
    Ok(Some(Doomed { file, last, sha256, newest, until, retain_days }))
}

fn destroy(file: &LogFile) -> io::Result<()> {
    fs::remove_file(&file.path)?;
    match fs::remove_file(file.index()) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    files::sync_directory(&file.path)
}
