//! The session's state, and the loop that moves it.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use jiff::civil::Date;
use tokio::sync::watch;

use super::cancel::CancelKey;
use super::flow::names::Names;
use super::flow::pending::Pending;
use super::flow::settings::{Settings, parse_search_path};
use super::journal::Journal;
use super::judge::admit::Unspent;
use super::judge::enforcer::Scope;
use super::judge::lookups::Meter;
use super::relay::disclose::Held;
use super::shared::Shared;
use crate::audit::SessionFacts;
use crate::catalog::CatalogStore;
use crate::error::{Refusal, SqlState, Stage};
use crate::policy::{PolicySet, Role};
use crate::upstream::{Upstream, cancel};
use crate::wire::backend::Status;
use crate::wire::copy_rows::CopyTrim;
use crate::wire::{ErrorFields, Link};

/// Bytes that may wait for a peer before the other is no longer read.
pub(super) const HIGH: usize = 128 * 1024;

/// What a finished login hands over.
pub struct Login {
    /// The client, with whatever it already sent behind its last message.
    pub client: Link,
    /// The database, ready for its first query.
    pub upstream: Upstream,
    /// What the log says of the session.
    pub facts: SessionFacts,
    /// Its role.
    pub role: Arc<Role>,
    /// The policies that the role is from.
    pub policies: Arc<PolicySet>,
    /// The catalog of its database.
    pub catalog: Arc<CatalogStore>,
    /// The purpose that it begins with.
    pub purpose: String,
    /// `search_path`, as the database gave it.
    pub search_path: String,
    /// The cancel key, which lives as long as the session.
    pub key: CancelKey,
}

/// Why a session ends.
#[derive(Debug)]
pub(super) enum End {
    /// The client said goodbye.
    Terminated,
    /// The client's connection ended.
    ClientGone,
    /// The database's connection ended.
    DatabaseGone,
    /// The database said why, and the client was told: the SQLSTATE.
    Told(String),
    /// The proxy ends it, and says why.
    Fatal(Refusal),
}

impl End {
    /// The client, or the database, sent what it may not.
    pub(super) fn violation(message: impl Into<String>) -> Self {
        Self::Fatal(Refusal::new(Stage::Wire, SqlState::PROTOCOL_VIOLATION, message))
    }
}

/// One session.
pub struct Session {
    pub(super) shared: Arc<Shared>,
    /// The catalog of the session's database.
    pub(super) catalog: Arc<CatalogStore>,
    pub(super) client: Link,
    pub(super) upstream: Upstream,
    pub(super) login: String,
    /// What it looked up in the last minute.
    pub(super) meter: Meter,
    pub(super) role: Arc<Role>,
    /// The policies that `role` is from.
    pub(super) role_from: Arc<PolicySet>,
    pub(super) journal: Journal,
    key: CancelKey,
    /// Settings as they will be once all that was forwarded has run.
    pub(super) ahead: Settings,
    /// Settings as the database has confirmed them.
    pub(super) confirmed: Settings,
    pub(super) scope: Option<Arc<Scope>>,
    pub(super) names: Names,
    pub(super) pending: Pending,
    pub(super) unspent: Vec<Unspent>,
    pub(super) status: Status,
    /// Everything of the client's is dropped until its Sync, as PostgreSQL does after an error.
    pub(super) discarding: bool,
    /// Messages of the extended protocol were forwarded since the last Sync.
    pub(super) segment_open: bool,
    /// Number of the segment: what stands between two Syncs.
    pub(super) segment: u64,
    /// Number of the exchange: what the client sends without asking for the answers so far.
    pub(super) exchange: u64,
    /// The segment changes names or settings: the next one waits until it is answered.
    pub(super) dirty: bool,
    pub(super) barrier: bool,
    /// An error came back since the last ReadyForQuery.
    pub(super) failed: bool,
    pub(super) copy_in: bool,
    pub(super) copy_out: bool,
    pub(super) ddl: bool,
    /// Bytes of a client's message that are dropped.
    pub(super) skip: usize,
    /// Bytes of a database's message that are passed on.
    pub(super) passing: usize,
    /// Bytes of a database's message that are dropped.
    pub(super) skipping: usize,
    /// How many bytes the client's next message needs; `None` while it is not read.
    pub(super) client_need: Option<usize>,
    pub(super) upstream_need: Option<usize>,
    pub(super) scratch: Vec<u8>,
    /// Rows whose subjects are not in the log yet.
    pub(super) held: Held,
    /// Takes hidden columns out of the rows of a COPY.
    pub(super) copy_trim: CopyTrim,
}

impl Session {
    /// From a finished login.
    pub fn new(shared: Arc<Shared>, login: Login) -> Self {
        let settings = Settings::new(login.purpose, parse_search_path(&login.search_path));
        Self {
            catalog: login.catalog,
            client: login.client,
            upstream: login.upstream,
            login: login.facts.login.clone(),
            role: login.role,
            role_from: login.policies,
            journal: Journal::new(shared.audit.clone(), login.facts),
            key: login.key,
            ahead: settings.clone(),
            confirmed: settings,
            scope: None,
            meter: Meter::default(),
            names: Names::default(),
            pending: Pending::default(),
            unspent: Vec::new(),
            status: Status::Idle,
            discarding: false,
            segment_open: false,
            segment: 1,
            exchange: 1,
            dirty: false,
            barrier: false,
            failed: false,
            copy_in: false,
            copy_out: false,
            ddl: false,
            skip: 0,
            passing: 0,
            skipping: 0,
            client_need: None,
            upstream_need: None,
            scratch: Vec::new(),
            held: Held::default(),
            copy_trim: CopyTrim::default(),
            shared,
        }
    }

    /// Whether what the database says back is checked and cleaned.
    pub(super) fn governed(&self) -> bool {
        self.role.unrestricted.is_none() && !self.shared.observe
    }

    /// Serves the session to its end. `shutdown` turns true when the proxy is stopped.
    pub async fn run(mut self, mut shutdown: watch::Receiver<bool>) {
        let shared = Arc::clone(&self.shared);
        shared.metrics.sessions_opened.bump();
        shared.metrics.sessions.up();
        let end = loop {
            if let Err(end) = self.step().await {
                break end;
            }
            tokio::select! {
                biased;
                turned = self.turn() => if let Err(end) = turned { break end },
                () = stopped(&mut shutdown) => break End::Fatal(Refusal::new(
                    Stage::Session,
                    SqlState::ADMIN_SHUTDOWN,
                    "terminating connection because the proxy is shutting down",
                )),
            }
        };
        self.finish(end).await;
        shared.metrics.sessions.down();
    }

    async fn step(&mut self) -> Result<(), End> {
        self.serve_upstream().await?;
        if self.upstream.is_closed() && self.upstream_need.is_some() {
            return Err(End::DatabaseGone);
        }
        self.serve_client().await?;
        if self.client.is_closed()
            && (self.client_need.is_some() || self.client.input().is_empty() || !self.pending.is_empty())
        {
            return Err(End::ClientGone);
        }
        Ok(())
    }

    /// Waits until something was read or written that may let the session go on.
    async fn turn(&mut self) -> Result<(), End> {
        // Decided once: what is written in parts is under the mark before its last part goes.
        let (database_full, client_full) = (self.upstream.waiting() > HIGH, self.client.out.len() > HIGH);
        poll_fn(|cx| {
            let mut progress = false;
            match self.upstream.poll_drain(cx) {
                Poll::Ready(Ok(())) => progress |= database_full,
                // What the database said last may still be read.
                Poll::Ready(Err(_)) if self.upstream.is_closed() => return Poll::Ready(Err(End::DatabaseGone)),
                Poll::Ready(Err(_)) => self.upstream.abandon_output(),
                Poll::Pending => {}
            }
            match self.client.poll_drain(cx) {
                Poll::Ready(Ok(())) => progress |= client_full,
                Poll::Ready(Err(_)) => return Poll::Ready(Err(End::ClientGone)),
                Poll::Pending => {}
            }
            if let Some(need) = self.upstream_need
                && !self.upstream.is_closed()
            {
                // An error is the end of the stream too.
                progress |= self.upstream.poll_fill(cx, need).is_ready();
            }
            // A client that has to wait is read a little, so that its end is noticed.
            let need = self.client_need.or_else(|| (self.client.input().len() < HIGH / 16).then_some(1));
            if let Some(need) = need
                && !self.client.is_closed()
            {
                progress |= self.client.poll_fill(cx, need).is_ready();
            }
            if progress { Poll::Ready(Ok(())) } else { Poll::Pending }
        })
        .await
    }

    async fn finish(mut self, end: End) {
        let mut reason = None;
        let abandoned = matches!(end, End::ClientGone | End::Fatal(_));
        match end {
            End::Terminated => {}
            End::Told(sqlstate) => reason = Some(format!("the database ended it with {sqlstate}")),
            End::ClientGone => reason = Some("the client's connection ended".to_owned()),
            End::DatabaseGone => {
                self.shared.metrics.upstream_errors.bump();
                let refusal = Refusal::new(
                    Stage::Session,
                    SqlState::CONNECTION_FAILURE,
                    "the database closed the connection unexpectedly",
                );
                reason = Some(refusal.message.clone());
                self.say_fatal(&refusal);
            }
            End::Fatal(refusal) => {
                reason = Some(refusal.message.clone());
                self.say_fatal(&refusal);
            }
        }
        let running = !self.pending.is_empty();
        self.lose_runs();
        self.journal.disconnect(reason.as_deref());
        if abandoned && running && !self.upstream.is_closed() {
            // Nobody waits for what still runs.
            let target = self.key.target.clone();
            tokio::spawn(async move { cancel(&target).await });
        }
        let farewell = async {
            let _ = self.client.close().await;
            let _ = self.upstream.close().await;
        };
        // A peer that reads nothing must not keep the session.
        let _ = tokio::time::timeout(std::time::Duration::from_secs(2), farewell).await;
    }

    fn say_fatal(&mut self, refusal: &Refusal) {
        // In the middle of a message nothing can be said.
        if self.passing == 0 {
            ErrorFields::refusal("FATAL", refusal).encode(b'E', &mut self.client.out);
        }
    }
}

/// Today in UTC.
pub(super) fn today() -> Date {
    jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date()
}

/// Waits until the proxy is stopped.
pub async fn stopped(shutdown: &mut watch::Receiver<bool>) {
    // A sender that is gone has stopped it too.
    let _ = shutdown.wait_for(|stop| *stop).await;
}
