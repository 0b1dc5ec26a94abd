//! Who writes: with `written`, whoever appends first writes for all who wait, also for those who come while it is at it; with `always` a
//! thread, so that no session's thread waits for the disk. What nobody waits for (outcomes) goes along with the next write, or after some
//! milliseconds.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, TryLockError};
use std::thread::{self, Thread, ThreadId};
use std::time::{Duration, Instant};

use tokio::sync::oneshot::{self, Receiver};
use tokio::task::yield_now;

use super::fold::{Fold, Folded};
use super::job::{Answer, Asker, Bodies, Job};
use super::options::{LogOptions, Sync};
use super::room::{Room, Untold};
use super::status::StatusCell;
use super::writer::{TEND, Writer};
use crate::audit::record::{AuditError, Body, Event};

/// Bytes after which no further job joins a batch.
const BATCH_BYTES: usize = 4 << 20;
/// The same for records.
const BATCH_RECORDS: usize = 5_000;
/// So many outcomes ride along with one who is alone.
const FEW: usize = 64;
/// Jobs for which memory is kept.
const KEPT: usize = 256;
/// How long an outcome waits for a write to go along with.
const RIDE: Duration = Duration::from_millis(5);
/// How long the thread looks every [`RIDE`] after something was written; then it sleeps.
const LIVELY: Duration = Duration::from_millis(100);
/// So many appends of one session in a row mean that it is alone.
const ALONE: u8 = 16;

/// What the thread that looks after the log does.
#[derive(Debug, Default, PartialEq, Eq)]
enum Parked {
    /// It runs, and will look at the queue.
    #[default]
    No,
    /// It looks again within [`RIDE`].
    Dozing,
    /// It wants to be woken.
    Asleep,
}

/// Jobs that wait to be written.
#[derive(Debug, Default)]
struct Queue {
    jobs: Vec<Job>,
    /// A list that was used, for its memory.
    spare: Vec<Job>,
    /// The last job of all.
    stop: Option<Job>,
    /// Nothing is taken any more.
    closed: bool,
    parked: Parked,
    /// The thread on which somebody is about to write what waits.
    leader: Option<ThreadId>,
    /// Who appended last, and how many appends of others are not long ago.
    last: u64,
    company: u8,
    /// Of what waits, something was appended by another session than what came before it.
    crowded: bool,
}

/// The queue and the file.
pub(in crate::audit) struct Core {
    sync: Sync,
    status: Arc<StatusCell>,
    room: Arc<Room>,
    directory: PathBuf,
    /// Connections that came to no session.
    fold: Fold,
    queue: Mutex<Queue>,
    writer: Mutex<Writer>,
    thread: OnceLock<Thread>,
}

/// What an append has to do for its answer.
enum Turn {
    /// Wait: somebody writes.
    Wait,
    /// Write what waits; before that let others who are about to append do so, where there are any.
    Lead { in_company: bool },
}

impl Core {
    /// Starts the thread that looks after the log.
    pub(in crate::audit) fn start(
        writer: Writer,
        options: &LogOptions,
        status: Arc<StatusCell>,
        room: Arc<Room>,
    ) -> std::io::Result<Arc<Self>> {
        let core = Arc::new(Self {
            sync: options.sync,
            status,
            room,
            directory: options.directory.clone(),
            fold: Fold::default(),
            queue: Mutex::default(),
            writer: Mutex::new(writer),
            thread: OnceLock::new(),
        });
        let run = Arc::clone(&core);
        let thread = thread::Builder::new().name("audit".to_owned()).spawn(move || run.run())?;
        // The thread runs whether it can be woken yet or not: it does not sleep for longer than a tick until then.
        let _ = core.thread.set(thread.thread().clone());
        Ok(core)
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does this with the writer, and then writes for those who found it taken meanwhile.
    fn with_writer<T>(&self, what: impl FnOnce(&mut Writer) -> T) -> T {
        let done = what(&mut self.writer.lock().unwrap_or_else(PoisonError::into_inner));
        if self.queue().is_awaited() {
            self.commit();
        }
        done
    }

    /// How much room there is, and who takes it.
    pub(in crate::audit) fn room(&self) -> &Room {
        &self.room
    }

    /// Takes a record of a connection that came to no session, or counts it.
    pub(in crate::audit) fn knock(&self, address: &str, body: Body) {
        if self.fold.stands(address) {
            self.note(body);
        }
    }

    /// Tells what was counted instead of being told; all of it where the log is closed `now`.
    fn folded(&self, now: bool) -> Vec<Body> {
        let knocks = self.fold.over(now);
        let untold = self.room.untold(now);
        let knocks = knocks.iter().map(|Folded { address, count }| Event::Folded {
            what: "login_refused",
            client: Some(address),
            login: None,
            count: *count,
        });
        let untold = untold.iter().map(|Untold { login, count }| Event::Folded {
            what: "access",
            client: None,
            login: Some(login),
            count: *count,
        });
        knocks.chain(untold).filter_map(|event| event.record().ok()).map(|record| record.body).collect()
    }

    fn wake(&self) {
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
    }

    /// Takes a job that nobody waits for.
    pub(in crate::audit) fn note(&self, body: Body) {
        let mut queue = self.queue();
        if queue.closed {
            return;
        }
        self.status.submitted();
        queue.jobs.push(Job::noted(body));
        if queue.parked == Parked::Asleep {
            queue.parked = Parked::No;
            drop(queue);
            self.wake();
        }
    }

    /// Takes a job and waits until it counts as logged. `who` tells one session from another.
    pub(super) async fn append(&self, bodies: Bodies, who: u64) -> Answer {
        let bodies = match self.append_alone(bodies, who) {
            Ok(answer) => return answer,
            Err(bodies) => bodies,
        };
        let (turn, mut answered) = self.push(bodies, who)?;
        if let Turn::Lead { in_company } = turn {
            // Those who rely on it are written for however this ends.
            let lead = Lead(self);
            if in_company {
                yield_now().await;
            }
            drop(lead);
            if let Ok(answer) = answered.try_recv() {
                return answer;
            }
        }
        answered.await.unwrap_or(Err(AuditError::Closed))
    }

    /// The same for threads without a runtime.
    pub(in crate::audit) fn append_blocking(&self, bodies: Bodies, who: u64) -> Answer {
        let (turn, answered) = self.push(bodies, who)?;
        if let Turn::Lead { .. } = turn {
            drop(Lead(self));
        }
        answered.blocking_recv().unwrap_or(Err(AuditError::Closed))
    }

    /// Writes what waits and this last job; nothing is taken any more.
    pub(super) async fn close(&self, body: Body) -> Answer {
        let (answer, answered) = oneshot::channel();
        if !self.stop(body, Some(answer)) {
            return Err(AuditError::Closed);
        }
        answered.await.unwrap_or(Err(AuditError::Closed))
    }

    /// Nobody holds the log any more.
    pub(in crate::audit) fn drop_handle(&self) {
        if let Ok(stop) = (Event::Stop { reason: "dropped" }).record() {
            self.stop(stop.body, None);
        }
    }

    fn stop(&self, body: Body, answer: Option<oneshot::Sender<Answer>>) -> bool {
        let mut queue = self.queue();
        if queue.closed {
            return false;
        }
        self.status.submitted();
        queue.closed = true;
        let asker = answer.map_or(Asker::Nobody, Asker::Waits);
        queue.stop = Some(Job { bodies: Bodies::One(body), asker });
        queue.parked = Parked::No;
        drop(queue);
        self.wake();
        true
    }

    /// Where the session is alone, nobody waits and nobody writes: writes its records here and now, with the outcomes that ride along.
    /// Gives them back where that is not so.
    fn append_alone(&self, bodies: Bodies, who: u64) -> Result<Answer, Bodies> {
        match self.sync {
            Sync::Always => return Err(bodies),
            Sync::Written => {}
        }
        let mut queue = self.queue();
        let alone = queue.last == who && queue.company <= 1 && !queue.closed && queue.parked != Parked::Asleep;
        if !alone || queue.jobs.len() > FEW || queue.is_awaited() {
            return Err(bodies);
        }
        let mut writer = match self.writer.try_lock() {
            Ok(writer) => writer,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return Err(bodies),
        };
        queue.company = 0;
        self.status.submitted();
        queue.jobs.push(Job { bodies, asker: Asker::Here });
        let mut jobs = queue.take();
        drop(queue);
        let answer = writer.commit(&mut jobs, false);
        drop(writer);
        if self.queue().put_back(jobs) {
            self.commit();
        }
        Ok(answer.unwrap_or(Err(AuditError::Closed)))
    }

    fn push(&self, bodies: Bodies, who: u64) -> Result<(Turn, Receiver<Answer>), AuditError> {
        let (answer, answered) = oneshot::channel();
        let mut queue = self.queue();
        if queue.closed {
            return Err(AuditError::Closed);
        }
        self.status.submitted();
        queue.jobs.push(Job { bodies, asker: Asker::Waits(answer) });
        queue.company = if queue.last == who { queue.company.saturating_sub(1) } else { ALONE };
        queue.crowded |= queue.last != who && queue.last != 0;
        queue.last = who;
        let (turn, wake) = match self.sync {
            Sync::Always => (Turn::Wait, queue.parked != Parked::No),
            Sync::Written => {
                // One leader on each thread: nobody waits for what another thread is busy with.
                let here = thread::current().id();
                let turn = if queue.leader == Some(here) {
                    Turn::Wait
                } else {
                    queue.leader = Some(here);
                    Turn::Lead { in_company: queue.company > 0 }
                };
                (turn, queue.parked == Parked::Asleep)
            }
        };
        if wake {
            queue.parked = Parked::No;
            drop(queue);
            self.wake();
        }
        Ok((turn, answered))
    }

    /// Writes all that waits now; where somebody is at it already, that one does. No thread sleeps for another's write.
    fn commit(&self) {
        loop {
            let mut writer = match self.writer.try_lock() {
                Ok(writer) => writer,
                Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
                Err(TryLockError::WouldBlock) => return,
            };
            loop {
                let mut queue = self.queue();
                writer.crowded = std::mem::take(&mut queue.crowded);
                let mut jobs = queue.take();
                drop(queue);
                if jobs.is_empty() {
                    writer.crowded = false;
                    break;
                }
                writer.commit(&mut jobs, false);
                writer.crowded = false;
                self.queue().put_back(jobs);
            }
            drop(writer);
            // Who came after the last look and found the writer taken waits for this one.
            if !self.queue().is_awaited() {
                return;
            }
        }
    }

    /// The last of what was counted.
    fn note_folded(&self, jobs: &mut Vec<Job>) {
        for body in self.folded(true) {
            self.status.submitted();
            jobs.push(Job::noted(body));
        }
    }

    /// The thread: writes what nobody else writes, and looks after the file.
    fn run(&self) {
        let (mut tended, mut lively) = (Instant::now(), Instant::now());
        loop {
            let mut queue = self.queue();
            if let Some(stop) = queue.stop.take() {
                let mut jobs = std::mem::take(&mut queue.jobs);
                drop(queue);
                self.note_folded(&mut jobs);
                jobs.push(stop);
                self.with_writer(|writer| writer.commit(&mut jobs, true));
                return;
            }
            let waits = match self.sync {
                // Those who wait have woken the thread; outcomes alone may ride along.
                Sync::Always => queue.is_awaited(),
                Sync::Written => false,
            };
            if !waits && tended.elapsed() < TEND {
                let asleep = queue.jobs.is_empty() && lively.elapsed() >= LIVELY && self.thread.get().is_some();
                queue.parked = if asleep { Parked::Asleep } else { Parked::Dozing };
                drop(queue);
                thread::park_timeout(if asleep { TEND.saturating_sub(tended.elapsed()) } else { RIDE });
                queue = self.queue();
                queue.parked = Parked::No;
            }
            let due = !queue.jobs.is_empty();
            drop(queue);
            if due {
                lively = Instant::now();
                self.commit();
            }
            let flush = if self.sync == Sync::Written { self.with_writer(Writer::flushes) } else { None };
            if let Some(Err(error)) = flush.map(|file| self.status.sync(|| file.sync_data())) {
                // The file will not tell of it again.
                self.with_writer(|writer| writer.fail(&error));
            }
            if tended.elapsed() >= TEND {
                self.room.look(&self.directory);
                for body in self.folded(false) {
                    self.note(body);
                }
                self.with_writer(Writer::tend);
                tended = Instant::now();
            }
        }
    }
}

impl Queue {
    /// Whether somebody waits for what is in it.
    fn is_awaited(&self) -> bool {
        self.jobs.iter().any(Job::is_awaited)
    }

    /// Takes back a list that was written, for its memory; whether somebody waits for what came meanwhile.
    fn put_back(&mut self, jobs: Vec<Job>) -> bool {
        if self.spare.capacity() < jobs.capacity() && jobs.capacity() <= KEPT {
            self.spare = jobs;
        }
        self.is_awaited()
    }

    /// The jobs of the next batch, up to a bound.
    fn take(&mut self) -> Vec<Job> {
        self.leader = None;
        let (mut bytes, mut records, mut count) = (0, 0, 0);
        for job in &self.jobs {
            if bytes >= BATCH_BYTES || records >= BATCH_RECORDS {
                break;
            }
            bytes += job.bodies.iter().map(Body::length).sum::<usize>();
            records += job.bodies.len();
            count += 1;
        }
        if count == self.jobs.len() {
            let spare = std::mem::take(&mut self.spare);
            return std::mem::replace(&mut self.jobs, spare);
        }
        let rest = self.jobs.split_off(count);
        std::mem::replace(&mut self.jobs, rest)
    }
}

/// Whoever writes for those who wait, also when it goes away before its turn.
struct Lead<'a>(&'a Core);

impl Drop for Lead<'_> {
    fn drop(&mut self) {
        self.0.commit();
    }
}
