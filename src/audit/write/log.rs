//! The handle that sessions hold.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{self, Sender};
use std::time::Instant;

use tokio::sync::oneshot;

use super::audited::Audited;
use super::options::{LogOptions, Sync};
use super::status::LogStatus;
use super::status::StatusCell;
use super::writer::{Job, Message, Writer};
use crate::audit::record::AuditError;
use crate::audit::record::{AccessRecord, Body, EventRecord};
use crate::telemetry::Metrics;

/// The access log. Clones are handles to the same log; one thread of its own writes.
#[derive(Debug, Clone)]
pub struct AuditLog {
    jobs: Sender<Message>,
    status: Arc<StatusCell>,
    directory: Arc<Path>,
    metrics: Option<Arc<Metrics>>,
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
        let directory = Arc::from(options.directory.as_path());
        let (jobs, inbox) = mpsc::channel();
        Writer::start(options, Arc::clone(&status), inbox)?;
        Ok(Self { jobs, status, directory, metrics: None })
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
        let seq = self.append_bodies(vec![record.body]).await?;
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
        let first = self.append_bodies(bodies).await?;
        Ok((first..).zip(whats).map(|(seq, what)| Audited::new(what, seq)).collect())
    }

    /// Appends the `access` record of a statement that was refused, and waits until it counts as logged. Gives its number.
    ///
    /// # Errors
    /// It is not in the log.
    pub async fn append_refused(&self, record: AccessRecord) -> Result<u64, AuditError> {
        self.append_bodies(vec![record.body]).await
    }

    /// Appends an event and waits until it counts as logged. Gives its number.
    ///
    /// # Errors
    /// It is not in the log.
    pub async fn append(&self, record: EventRecord) -> Result<u64, AuditError> {
        self.append_bodies(vec![record.body]).await
    }

    /// Appends an event without waiting: for outcomes and what is told afterwards. A log in trouble shows in [`Self::status`].
    pub fn note(&self, record: EventRecord) {
        self.status.submitted();
        // A closed log has no reader left; its status says so.
        let _ = self.jobs.send(Message::Append(Job { bodies: vec![record.body], answer: None }));
    }

    /// Appends an event and blocks until it counts as logged: for threads without a runtime.
    ///
    /// # Errors
    /// It is not in the log.
    pub fn append_blocking(&self, record: EventRecord) -> Result<u64, AuditError> {
        self.submit(vec![record.body])?.blocking_recv().map_err(|_| AuditError::Closed)?
    }

    /// How the log does.
    pub fn status(&self) -> LogStatus {
        self.status.get()
    }

    /// A place has everything up to this record.
    pub(in crate::audit) fn shipped(&self, place: &'static str, seq: u64) {
        self.status.shipped(place, seq);
    }

    /// What the log is called in its `start` records and checkpoints.
    pub fn name(&self) -> &str {
        self.status.name()
    }

    /// The folder.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Writes what waits and a `stop` record, and ends the writer: every later append fails.
    ///
    /// # Errors
    /// The `stop` record is not in the log.
    pub async fn close(&self, reason: &str) -> Result<u64, AuditError> {
        let record = crate::audit::record::Event::Stop { reason }.record()?;
        let (answer, answered) = oneshot::channel();
        let stop = Message::Stop(Job { bodies: vec![record.body], answer: Some(answer) });
        self.status.submitted();
        self.jobs.send(stop).map_err(|_| AuditError::Closed)?;
        answered.await.map_err(|_| AuditError::Closed)?
    }

    async fn append_bodies(&self, bodies: Vec<Body>) -> Result<u64, AuditError> {
        let from = Instant::now();
        let seq = self.submit(bodies)?.await.map_err(|_| AuditError::Closed)?;
        if let Some(metrics) = &self.metrics {
            metrics.log_append.observe(from.elapsed());
        }
        seq
    }

    fn submit(&self, bodies: Vec<Body>) -> Result<oneshot::Receiver<Result<u64, AuditError>>, AuditError> {
        let (answer, answered) = oneshot::channel();
        self.status.submitted();
        self.jobs.send(Message::Append(Job { bodies, answer: Some(answer) })).map_err(|_| AuditError::Closed)?;
        Ok(answered)
    }
}
