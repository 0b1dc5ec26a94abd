//! The order of a session's messages as a machine: it is told what the client asks and what the database answers, and says
//! what is to be done. It holds no socket, knows no runtime and reads no clock but to note when a run began.
//!
//! `asks` is the client's direction, `answers` the database's, `ends` how runs end.

mod answers;
mod asks;
mod beside;
mod by_name;
mod ends;
pub(super) mod names;
pub(super) mod pending;
pub(super) mod running;
pub(super) mod said;
pub(super) mod settings;
pub(super) mod structure;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Instant;

pub(super) use answers::{Answer, Description, Reply, Strange};
pub(super) use asks::{Door, Next, Refused};
pub(super) use beside::Again;
pub(super) use ends::{Ended, How};

use self::names::{Names, Prepared};
use self::pending::Pending;
use self::settings::Settings;
use crate::catalog::Unread;
use crate::session::judge::enforcer::Judgement;
use crate::wire::backend::Status;

/// A Parse that was logged, and no Execute used the record yet.
#[derive(Debug)]
pub(super) struct Unspent<T> {
    pub(super) prepared: Arc<Prepared>,
    /// Whose report the record has.
    pub(super) reported: Judgement,
    /// Number of the record.
    pub(super) seq: u64,
    /// The proof that it was logged, which the machine can neither make nor read.
    pub(super) token: T,
    pub(super) started: Instant,
}

/// Which way rows of a COPY go now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Copying {
    #[default]
    No,
    /// From the client.
    In,
    /// To the client.
    Out,
}

/// What was forwarded and waits for its answer, and what it will mean for names, purpose and search path. `T` is the proof
/// that a Parse was logged.
#[derive(Debug)]
pub(super) struct Flow<T> {
    /// Prepared statements and portals as they will be once all that was forwarded has run.
    pub(super) names: Names,
    /// Settings likewise.
    ahead: Settings,
    /// Grows with each change of `ahead`.
    version: u64,
    /// `ahead` as it was before the batch at hand, where that changes it.
    before: Option<Settings>,
    /// Settings as the database has confirmed them.
    confirmed: Settings,
    /// Whether more results may come than statements were sent, as for text that could not be split.
    uncounted: bool,
    pending: Pending,
    unspent: Vec<Unspent<T>>,
    status: Status,
    /// Everything of the client's is dropped until its Sync, as PostgreSQL does after an error.
    discarding: bool,
    /// Messages of the extended protocol were forwarded since the last Sync.
    segment_open: bool,
    /// Number of the segment: what stands between two Syncs.
    segment: u64,
    /// Number of the exchange: what the client sends without asking for the answers so far.
    exchange: u64,
    /// The segment changes names or settings: the next one waits until it is answered.
    dirty: bool,
    barrier: bool,
    /// An error came back since the last ReadyForQuery.
    failed: bool,
    copying: Copying,
    /// The database's structure will be another once the transaction lasts.
    structure: Unread,
    /// Statements of one message run one by one: what the extended protocol says besides is not for the client.
    stepping: bool,
    /// The open transaction wrote rows of which the database may speak later, and not all may be told.
    wrote_part: bool,
    /// RESET ALL or DISCARD ALL has run.
    reset: bool,
    /// What ended and was not told yet.
    ended: Vec<Ended>,
}

impl<T> Flow<T> {
    /// At the start of a session; `uncounted` where a text may have more results than the proxy knows of.
    pub(super) fn new(settings: Settings, uncounted: bool) -> Self {
        Self {
            names: Names::default(),
            ahead: settings.clone(),
            version: 0,
            before: None,
            confirmed: settings,
            uncounted,
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
            copying: Copying::No,
            structure: Unread::default(),
            stepping: false,
            wrote_part: false,
            reset: false,
            ended: Vec::new(),
        }
    }

    /// Whether more results may come than statements were sent, as for text that could not be split.
    pub(super) fn set_uncounted(&mut self, uncounted: bool) {
        self.uncounted = uncounted;
    }

    /// Settings as they will be once all that was forwarded has run.
    pub(super) fn ahead(&self) -> &Settings {
        &self.ahead
    }

    /// Changes with [`Self::ahead`].
    pub(super) fn version(&self) -> u64 {
        self.version
    }

    /// Whether RESET ALL or DISCARD ALL has run since this was asked last.
    pub(super) fn was_reset(&mut self) -> bool {
        std::mem::take(&mut self.reset)
    }

    /// The purpose that the database has confirmed.
    pub(super) fn confirmed_purpose(&self) -> &str {
        self.confirmed.purpose()
    }

    /// Number of the exchange at hand: what the client sends without asking for the answers so far.
    pub(super) fn exchange(&self) -> u64 {
        self.exchange
    }

    /// Whether nothing runs, and no transaction is open.
    pub(super) fn is_at_rest(&self) -> bool {
        self.pending.is_empty() && self.status == Status::Idle && !self.segment_open && self.copying == Copying::No
    }

    /// Whether nothing runs, in a transaction that failed.
    pub(super) fn has_failed(&self) -> bool {
        self.pending.is_empty() && self.status == Status::Failed
    }

    /// Whether an answer is owed.
    pub(super) fn waits(&self) -> bool {
        !self.pending.is_empty()
    }

    /// What ended since this was asked last, in order.
    pub(super) fn ended(&mut self) -> std::vec::Drain<'_, Ended> {
        if self.ended.is_empty() && self.ended.capacity() > 64 {
            self.ended = Vec::new();
        }
        self.ended.drain(..)
    }

    /// Gives what was ahead before.
    fn set_ahead(&mut self, settings: Settings) -> Settings {
        self.version = self.version.wrapping_add(1);
        std::mem::replace(&mut self.ahead, settings)
    }
}
