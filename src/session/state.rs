//! The session's state, and the loop that moves it.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant, SystemTime};

use jiff::civil::Date;
use tokio::sync::watch;

use super::cancel::CancelKey;
use super::client::Inbound;
use super::flow::Flow;
use super::flow::settings::{SaidAtStart, Settings};
use super::flow::structure::Structure;
use super::journal::Journal;
use super::judge::enforcer::Scope;
use super::judge::lookups::Meter;
use super::relay::Outbound;
use super::shared::Shared;
use crate::audit::{Audited, SessionFacts};
use crate::catalog::CatalogStore;
use crate::config::Zone;
use crate::error::{Refusal, SqlState, Stage};
use crate::policy::{PolicySet, Role};
use crate::upstream::{Decided, Upstream, cancel};
use crate::wire::{Encoding, Link};

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
    /// For whom it begins.
    pub said: SaidAtStart,
    /// `search_path`, as the database gave it.
    pub search_path: String,
    /// A setting under which the proxy and the database read a text differently: in observe mode only.
    pub unlike: Option<&'static str>,
    /// The encoding that the client asked for, where it is another than UTF-8: in observe mode, and where nothing is hidden.
    pub encoding: Option<String>,
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
    pub(super) key: CancelKey,
    /// What it notified channels of by literals of its own, the newest first.
    pub(super) notified: VecDeque<(String, String)>,
    /// The scope in force, and the version of the settings that it is of.
    pub(super) scope: Option<(u64, Arc<Scope>)>,
    pub(super) calendar: Calendar,
    /// A setting that was changed while nothing was enforced, so that texts could be read in two ways.
    pub(super) unlike: Option<&'static str>,
    /// How its texts are read.
    pub(super) encoding: Encoding,
    /// The order of messages.
    pub(super) flow: Flow<Audited<Decided>>,
    /// The structure as the session alone sees it.
    pub(super) structure: Structure,
    pub(super) inbound: Inbound,
    pub(super) outbound: Outbound,
}

impl Session {
    /// From a finished login.
    pub fn new(shared: Arc<Shared>, login: Login) -> Self {
        let encoding = login.encoding.as_deref().map(|name| Encoding::named(name).unwrap_or(Encoding::Other));
        let mut upstream = login.upstream;
        if encoding.is_some() {
            upstream.write_in_ascii();
        }
        let settings = Settings::new(login.purpose, crate::sql::parse_search_path(&login.search_path), login.said);
        Self {
            catalog: login.catalog,
            client: login.client,
            upstream,
            encoding: encoding.unwrap_or_default(),
            login: login.facts.login.clone(),
            role_from: login.policies,
            journal: Journal::new(shared.audit.clone(), login.facts),
            key: login.key,
            notified: VecDeque::new(),
            scope: None,
            calendar: Calendar::default(),
            unlike: login.unlike,
            meter: Meter::default(),
            flow: Flow::new(settings, login.role.unrestricted.is_some()),
            role: login.role,
            structure: Structure::default(),
            inbound: Inbound::default(),
            outbound: Outbound::default(),
            shared,
        }
    }

    /// Whether what the database says back is checked and cleaned.
    pub(super) fn governed(&self) -> bool {
        self.role.unrestricted.is_none() && !self.observes()
    }

    /// Whether what runs was only observed: as it was when the newest statement was decided.
    pub(super) fn observes(&self) -> bool {
        self.scope.as_ref().map_or_else(|| self.shared.policies.load().observes(), |(_, scope)| scope.observe)
    }

    /// Serves the session to its end. `shutdown` says when the proxy is stopped: then it ends as soon as nothing runs and no transaction
    /// is open, or at once.
    pub async fn run(mut self: Box<Self>, shutdown: watch::Receiver<Stop>) {
        let shared = Arc::clone(&self.shared);
        shared.metrics.sessions_opened.bump();
        shared.metrics.sessions.up();
        let arrived = Instant::now();
        let mut stop = std::pin::pin!(leaving(shutdown.clone(), Stop::Draining, arrived));
        let mut draining = false;
        let end = loop {
            if let Err(end) = self.step().await {
                break end;
            }
            if draining && self.flow.is_at_rest() && !self.structure.in_batch() {
                break shut_down();
            }
            tokio::select! {
                biased;
                turned = self.turn() => if let Err(end) = turned { break end },
                () = &mut stop => {
                    if draining || *shutdown.borrow() == Stop::Now {
                        break shut_down();
                    }
                    draining = true;
                    stop.set(leaving(shutdown.clone(), Stop::Now, arrived));
                }
            }
        };
        let last = *shutdown.borrow() == Stop::Now;
        Box::pin(self.finish(end, last)).await;
        shared.metrics.sessions.down();
    }

    async fn step(&mut self) -> Result<(), End> {
        self.serve_upstream().await?;
        if self.upstream.is_closed() && self.outbound.need.is_some() {
            return Err(End::DatabaseGone);
        }
        self.serve_client().await?;
        if self.client.is_closed()
            && (self.inbound.need.is_some() || self.client.input().is_empty() || self.flow.waits())
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
            if let Some(need) = self.outbound.need
                && !self.upstream.is_closed()
            {
                // An error is the end of the stream too.
                progress |= self.upstream.poll_fill(cx, need).is_ready();
            }
            // A client that has to wait is read a little, so that its end is noticed.
            let need = self.inbound.need.or_else(|| (self.client.input().len() < HIGH / 16).then_some(1));
            if let Some(need) = need
                && !self.client.is_closed()
            {
                progress |= self.client.poll_fill(cx, need).is_ready();
            }
            if progress { Poll::Ready(Ok(())) } else { Poll::Pending }
        })
        .await
    }

    /// `last`: the proxy ends with it.
    async fn finish(mut self: Box<Self>, end: End, last: bool) {
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
        let running = self.flow.waits();
        self.flow.lose_all();
        self.tell_ended();
        self.journal.disconnect(reason.as_deref());
        if abandoned && running && !self.upstream.is_closed() {
            // Nobody waits for what still runs.
            let target = self.key.target.clone();
            if last {
                // Nobody is there to do it later.
                let _ = tokio::time::timeout(std::time::Duration::from_secs(2), cancel(&target)).await;
            } else {
                tokio::spawn(async move { cancel(&target).await });
            }
        }
        let farewell = async {
            let _ = self.client.close().await;
            let _ = self.upstream.close().await;
        };
        // A peer that reads nothing must not keep the session.
        let _ = tokio::time::timeout(std::time::Duration::from_secs(2), farewell).await;
    }
}

/// Today in the policies' zone, worked out once a day.
#[derive(Debug, Default)]
pub(super) struct Calendar {
    /// Its name; empty where no day was worked out yet.
    zone: Box<str>,
    date: Date,
    /// Seconds since 1970 between which it is that day.
    from: i64,
    until: i64,
}

impl Calendar {
    pub(super) fn today(&mut self, zone: &Zone) -> Date {
        // Each statement comes by here: seconds are enough to tell that it is the same day.
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let seconds = since.ok().and_then(|since| i64::try_from(since.as_secs()).ok()).unwrap_or(i64::MIN);
        let within = (self.from..self.until).contains(&seconds);
        if !within || *self.zone != *zone.name() {
            let date = zone.today();
            // Where its bounds cannot be told it is worked out each time.
            let bound = |time: Result<jiff::Timestamp, String>| time.map_or(0, jiff::Timestamp::as_second);
            let (from, until) = (bound(zone.begin(date)), bound(zone.end(date)));
            *self = Self { zone: zone.name().into(), date, from, until };
        }
        self.date
    }
}

/// How far the proxy is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stop {
    /// It serves.
    No,
    /// Nobody new is served; what runs may end.
    Draining,
    /// At once.
    Now,
}

/// Waits until the proxy is stopped so far.
pub async fn stopped(mut shutdown: watch::Receiver<Stop>, so_far: Stop) {
    // A sender that is gone has stopped it too.
    let _ = shutdown.wait_for(|stop| *stop >= so_far).await;
}

/// How long whoever has just come has to ask something before being sent away for asking nothing.
const ARRIVAL: Duration = Duration::from_secs(1);

/// The same for somebody who came at this time: the proxy being drained is no reason to go at once for who is just through the door.
/// So nobody is turned away where another process takes the port over.
pub async fn leaving(mut shutdown: watch::Receiver<Stop>, so_far: Stop, arrived: Instant) {
    stopped(shutdown.clone(), so_far).await;
    let left = ARRIVAL.saturating_sub(arrived.elapsed());
    if so_far == Stop::Draining && !left.is_zero() {
        // On the heap: few sessions ever wait here.
        let _ = Box::pin(tokio::time::timeout(left, shutdown.wait_for(|stop| *stop == Stop::Now))).await;
    }
}

fn shut_down() -> End {
    let message = "terminating connection because the proxy is shutting down";
    End::Fatal(Refusal::new(Stage::Session, SqlState::ADMIN_SHUTDOWN, message))
}
