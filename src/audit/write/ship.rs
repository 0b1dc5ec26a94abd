//! Records on their way to other places, beside the file: each place follows the files at its own pace.
//!
//! A place that is slow or away holds up nothing and loses nothing: what it has is a position, and what it lacks is in the
//! files. Only records that cannot be cut back any more are given away.

use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::log::AuditLog;
use super::origin::ABOUT;
use crate::audit::read::Follower;
use crate::audit::record::chain::{Hash, Link};
use crate::audit::record::{Entry, Event};
use crate::audit::store::beside;

/// How long it waits where nothing is new.
const PAUSE: Duration = Duration::from_millis(200);
/// How long it waits after the first failure, and at most.
const FIRST_RETRY: Duration = Duration::from_millis(250);
const LONGEST_RETRY: Duration = Duration::from_secs(5);
/// Bytes that are given away at once.
const AT_ONCE: usize = 1 << 20;

/// Up to which record a place has everything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// Its number.
    pub seq: u64,
    /// Its hash; `None` where it is not known.
    pub hash: Option<String>,
}

/// A place that takes records.
pub trait Deliver: Send + 'static {
    /// Connects, where that is needed, and says up to where the place has everything, where it knows that itself.
    ///
    /// # Errors
    /// In words for the operator.
    fn begin(&mut self) -> Result<Option<Position>, String>;

    /// Gives it records, in order. After an error, [`begin`](Self::begin) is asked again, and nothing counts as given.
    ///
    /// # Errors
    /// In words for the operator.
    fn deliver(&mut self, entries: &[Entry]) -> Result<(), String>;

    /// Whether all that was given is certain to be there; asked again and again until it is. Where it never becomes so
    /// (an error here, or in [`deliver`](Self::deliver)), what was given since it last was is given again.
    ///
    /// # Errors
    /// In words for the operator.
    fn settle(&mut self) -> Result<bool, String> {
        Ok(true)
    }
}

/// Which records a place gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// All of them.
    All,
    /// Checkpoints.
    Checkpoints,
}

/// How a place does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShipStatus {
    /// What it is called.
    pub name: &'static str,
    /// Up to which record it has what it wants.
    pub delivered: u64,
    /// Why it cannot be given anything; `None` while it can.
    pub trouble: Option<String>,
    /// How often it failed.
    pub failures: u64,
}

#[derive(Debug, Default)]
struct Cell {
    delivered: AtomicU64,
    failures: AtomicU64,
    trouble: Mutex<Option<String>>,
}

/// A place that is being given records, by a thread of its own.
#[derive(Debug, Clone)]
pub struct Shipping {
    name: &'static str,
    cell: Arc<Cell>,
    stop: Arc<AtomicBool>,
}

impl Shipping {
    /// Begins. `name` is part of a file's name and a metric's label.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn start(log: &AuditLog, name: &'static str, wanted: Wanted, to: Box<dyn Deliver>) -> io::Result<Self> {
        let (cell, stop) = (Arc::new(Cell::default()), Arc::new(AtomicBool::new(false)));
        let courier = Courier {
            log: log.clone(),
            name,
            wanted,
            to,
            cell: Arc::clone(&cell),
            stop: Arc::clone(&stop),
            state: log.directory().join(format!("sink-{name}.json")),
            given: Link::START,
            incident: false,
            owed: false,
            retry: FIRST_RETRY,
        };
        thread::Builder::new().name(format!("audit-{name}")).spawn(move || courier.run())?;
        Ok(Self { name, cell, stop })
    }

    /// How it does.
    pub fn status(&self) -> ShipStatus {
        ShipStatus {
            name: self.name,
            delivered: self.cell.delivered.load(Ordering::Acquire),
            trouble: self.cell.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            failures: self.cell.failures.load(Ordering::Acquire),
        }
    }

    /// Waits until everything up to this record is there, for so long at most, and ends. What is missing then goes with
    /// the next start. Blocks.
    pub fn finish(&self, last: u64, longest: Duration) {
        let until = Instant::now() + longest;
        while self.cell.delivered.load(Ordering::Acquire) < last && Instant::now() < until {
            thread::sleep(Duration::from_millis(20));
        }
        self.stop.store(true, Ordering::Release);
    }
}

struct Courier {
    log: AuditLog,
    name: &'static str,
    wanted: Wanted,
    to: Box<dyn Deliver>,
    cell: Arc<Cell>,
    stop: Arc<AtomicBool>,
    state: PathBuf,
    /// Up to here it was given everything.
    given: Link,
    /// Whether it is not certain yet that all of that is there.
    owed: bool,
    /// Whether it was written into the log that the place has what the log lacks.
    incident: bool,
    /// How long it waits after the next failure.
    retry: Duration,
}

impl Courier {
    fn run(mut self) {
        while !self.stopped() {
            match self.serve() {
                Ok(()) => return,
                Err(error) => {
                    self.cell.failures.fetch_add(1, Ordering::AcqRel);
                    let mut trouble = self.cell.trouble.lock().unwrap_or_else(PoisonError::into_inner);
                    if trouble.is_none() {
                        tracing::warn!(sink = self.name, error, "records of the access log wait in its files");
                    }
                    *trouble = Some(error);
                }
            }
            let until = Instant::now() + self.retry;
            while Instant::now() < until && !self.stopped() {
                thread::sleep(PAUSE.min(self.retry));
            }
            self.retry = (self.retry * 2).min(LONGEST_RETRY);
        }
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    fn serve(&mut self) -> Result<(), String> {
        let told = self.to.begin()?;
        let by_itself = told.is_some();
        let known = match told {
            Some(position) => position,
            None => match beside::position(&self.state) {
                Some(given) => Position { seq: given.seq, hash: given.hash.map(|hash| hash.to_string()) },
                None => Position { seq: 0, hash: None },
            },
        };
        let from = self.from(&known, by_itself)?;
        let mut follower = Follower::after(self.log.directory(), from);
        // Nothing is owed, so that this hash is never written down.
        (self.given, self.owed) = (Link { seq: from, hash: Hash::GENESIS }, false);
        self.reached(from);
        while !self.stopped() {
            // What is not on disk yet may be cut back.
            let durable = self.log.status().durable;
            let entries = follower.poll_some(AT_ONCE, durable).map_err(|error| error.to_string())?;
            let bytes: usize = entries.iter().map(|entry| entry.line.len() + 1).sum();
            self.give(entries)?;
            if bytes == 0 && !self.owed {
                self.well();
            }
            // Few at a time would be many small transactions.
            if bytes < AT_ONCE {
                thread::sleep(PAUSE);
            }
        }
        Ok(())
    }

    fn give(&mut self, mut entries: Vec<Entry>) -> Result<(), String> {
        let last = entries
            .last()
            .and_then(|entry| Some(Link { seq: entry.seq()?, hash: Hash::from_hex(entry.text("hash")?)? }));
        match self.wanted {
            Wanted::All => {}
            Wanted::Checkpoints => entries.retain(|entry| entry.event() == "checkpoint"),
        }
        if !entries.is_empty() {
            self.to.deliver(&entries)?;
            self.owed = true;
        }
        self.given = last.unwrap_or(self.given);
        if self.owed {
            if !self.to.settle()? {
                return Ok(());
            }
            beside::keep_position(&self.state, self.given)
                .map_err(|error| format!("`{}`: {error}", self.state.display()))?;
            self.owed = false;
            self.well();
        }
        self.reached(self.given.seq);
        Ok(())
    }

    fn reached(&self, seq: u64) {
        self.cell.delivered.store(seq, Ordering::Release);
        self.log.shipped(self.name, seq);
    }

    /// It takes what it is given.
    fn well(&mut self) {
        self.retry = FIRST_RETRY;
        let mut trouble = self.cell.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        if trouble.take().is_some() {
            tracing::info!(sink = self.name, "records of the access log go to it again");
        }
    }

    /// Where to begin: behind the position, if the log holds the same record there; else everything again. What the place knows
    /// `by_itself`, nobody who can write the folder has changed.
    fn from(&mut self, known: &Position, by_itself: bool) -> Result<u64, String> {
        let Some(before) = known.seq.checked_sub(1) else { return Ok(0) };
        let mut follower = Follower::after(self.log.directory(), before);
        let next = follower.poll_some(1, u64::MAX).map_err(|error| error.to_string())?.into_iter().next();
        let same = match &next {
            Some(entry) if entry.seq() == Some(known.seq) => {
                known.hash.as_deref().is_none_or(|hash| entry.text("hash") == Some(hash))
            }
            // Destroyed by age meanwhile.
            Some(entry) => entry.seq().is_some_and(|seq| seq > known.seq),
            None => false,
        };
        if !same {
            tracing::warn!(
                sink = self.name,
                seq = known.seq,
                "the sink has a record that the log lost; all records are given again"
            );
            if by_itself && !self.incident {
                let what = format!("`{}` holds record {}, which is not in this log", self.name, known.seq);
                let incident = Event::LogIncident { about: ABOUT, what: &what, kept: None };
                self.log
                    .append_blocking(incident.record().map_err(|error| error.to_string())?)
                    .map_err(|error| error.to_string())?;
                self.incident = true;
            }
            return Ok(0);
        }
        Ok(known.seq)
    }
}
