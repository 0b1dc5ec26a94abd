//! The handle that sessions hold.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use super::audited::{Audited, Logged};
use super::combine::Core;
use super::job::Bodies;
use super::numbers::Numbers;
use super::options::{LogOptions, Sync};
use super::room::{Allowance, Room};
use super::status::LogStatus;
use super::status::StatusCell;
use super::writer::Writer;
use crate::audit::record::AuditError;
use crate::audit::record::{AccessRecord, EventRecord};
use crate::error::Refusal;
use crate::telemetry::Metrics;

/// The access log. Clones are handles to the same log, one for each who appends.
#[derive(Debug)]
pub struct AuditLog {
    live: Arc<Live>,
    /// Tells this handle from others.
    who: u64,
    /// Of the login whose session this is.
    allowance: Option<Arc<Allowance>>,
    metrics: Option<Arc<Metrics>>,
}

/// What ends with the last handle.
struct Live {
    core: Arc<Core>,
    status: Arc<StatusCell>,
    directory: Box<Path>,
    handles: AtomicU64,
}

impl Drop for Live {
    fn drop(&mut self) {
        self.core.drop_handle();
    }
}

impl fmt::Debug for Live {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Live").field("directory", &self.directory).finish_non_exhaustive()
    }
}

impl Clone for AuditLog {
    fn clone(&self) -> Self {
        let who = self.live.handles.fetch_add(1, Ordering::Relaxed);
        Self { live: Arc::clone(&self.live), who, allowance: self.allowance.clone(), metrics: self.metrics.clone() }
    }
}

impl AuditLog {
    /// Opens the log, puts a torn end aside, continues number and chain, and writes a `start` record. Blocks.
    ///
    /// # Errors
    /// The folder or file cannot be made, read, written or locked.
    pub fn open(directory: &Path, sync: Sync) -> Result<Self, AuditError> {
        Self::open_with(LogOptions::new(directory, sync))
    }

    /// [`Self::open`] with every option.
    ///
    /// # Errors
    /// The folder or file cannot be made, read, written or locked.
    pub fn open_with(options: LogOptions) -> Result<Self, AuditError> {
        let status = Arc::new(StatusCell::awaiting(&options.places));
        let directory = options.directory.clone().into_boxed_path();
        let room = Arc::new(Room::new(&directory, options.login_bytes));
        let writer = Writer::start(options.clone(), Arc::clone(&status), Arc::clone(&room))?;
        let core = Core::start(writer, &options, Arc::clone(&status), room).map_err(|error| {
            AuditError::Unwritable { directory: directory.display().to_string(), reason: error.to_string() }
        })?;
        let live = Arc::new(Live { core, status, directory, handles: AtomicU64::new(1) });
        Ok(Self { live, who: 0, allowance: None, metrics: None })
    }

    /// The handle of one login's session: what it appends counts towards the share of that login.
    #[must_use]
    pub fn of_login(&self, login: &str) -> Self {
        Self { allowance: Some(self.live.core.room().of(login)), ..self.clone() }
    }

    /// Counts how long appends take.
    #[must_use]
    pub fn with_metrics(mut self, metrics: Arc<Metrics>) -> Self {
        self.metrics = Some(metrics);
        self
    }

    /// Appends the `access` record of something that may run, and waits until it counts as logged.
    ///
    /// # Errors
    /// [`AuditError::Denied`] where the record's verdict is deny (but for observe mode); else that it is not in the log.
    pub async fn append_access<T>(&self, record: AccessRecord, what: T) -> Result<Audited<T>, AuditError> {
        if !record.may_run {
            return Err(AuditError::Denied);
        }
        let seq = self.append_bodies(Bodies::One(record.body)).await?.first();
        Ok(Audited::new(what, seq))
    }

    /// Appends the records of all statements of one batch: all are logged, or none counts as logged.
    ///
    /// # Errors
    /// As [`Self::append_access`]; then nothing of the batch may run.
    pub async fn append_accesses<T>(&self, batch: Vec<(AccessRecord, T)>) -> Result<Vec<Audited<T>>, AuditError> {
        if batch.iter().any(|(record, _)| !record.may_run) {
            return Err(AuditError::Denied);
        }
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        let (bodies, whats): (Vec<_>, Vec<_>) = batch.into_iter().map(|(record, what)| (record.body, what)).unzip();
        let numbers = self.append_bodies(Bodies::Some(bodies)).await?;
        Ok(numbers.each().zip(whats).map(|(seq, what)| Audited::new(what, seq)).collect())
    }

    /// Appends the `access` record of a statement that was refused, and waits until it counts as logged. Gives its number.
    ///
    /// # Errors
    /// It is not in the log.
    pub async fn append_refused(&self, record: AccessRecord) -> Result<u64, AuditError> {
        Ok(self.append_bodies(Bodies::One(record.body)).await?.first())
    }

    /// The same for a refusal that the client is to be told: gives that, and the number.
    ///
    /// # Errors
    /// It is not in the log.
    pub async fn append_refusal(&self, record: AccessRecord, refusal: Refusal) -> Result<(Logged, u64), AuditError> {
        let seq = self.append_refused(record).await?;
        Ok((Logged::new(refusal, seq), seq))
    }

    /// Appends an event and waits until it counts as logged. Gives its number.
    ///
    /// # Errors
    /// It is not in the log.
    pub async fn append(&self, record: EventRecord) -> Result<u64, AuditError> {
        Ok(self.append_bodies(Bodies::One(record.body)).await?.first())
    }

    /// Appends an event without waiting: for outcomes and what is told afterwards. A log in trouble shows in [`Self::status`].
    pub fn note(&self, record: EventRecord) {
        self.live.core.note(record.body);
    }

    /// Appends an event about a connection from this address that came to no session, without waiting. Of many in a minute
    /// most are counted only, and told in one record.
    pub fn note_refused(&self, address: &str, record: EventRecord) {
        self.live.core.knock(address, record.body);
    }

    /// Appends an event and blocks until it counts as logged: for threads without a runtime.
    ///
    /// # Errors
    /// It is not in the log.
    pub fn append_blocking(&self, record: EventRecord) -> Result<u64, AuditError> {
        Ok(self.live.core.append_blocking(Bodies::One(record.body), self.who)?.first())
    }

    /// How the log does.
    pub fn status(&self) -> LogStatus {
        let room = self.live.core.room();
        LogStatus { free_bytes: room.free(), low: room.is_low(), ..self.live.status.get() }
    }

    /// A place has everything up to this record.
    pub(in crate::audit) fn shipped(&self, place: &'static str, seq: u64) {
        self.live.status.shipped(place, seq);
    }

    /// What the log is called in its `start` records and checkpoints.
    pub fn name(&self) -> &str {
        self.live.status.name()
    }

    /// The folder.
    pub fn directory(&self) -> &Path {
        &self.live.directory
    }

    /// Writes what waits and a `stop` record, and ends the writer: every later append fails.
    ///
    /// # Errors
    /// The `stop` record is not in the log.
    pub async fn close(&self, reason: &str) -> Result<u64, AuditError> {
        let record = crate::audit::record::Event::Stop { reason }.record()?;
        Ok(self.live.core.close(record.body).await?.first())
    }

    async fn append_bodies(&self, bodies: Bodies) -> Result<Numbers, AuditError> {
        let from = Instant::now();
        self.live.core.room().take(self.allowance.as_deref(), &bodies)?;
        let numbers = self.live.core.append(bodies, self.who).await;
        if let Some(metrics) = &self.metrics {
            metrics.log_append.observe(from.elapsed());
        }
        numbers
    }
}
