//! The client's direction: what may be handled now, and what was forwarded.

use std::sync::Arc;
use std::time::Instant;

use super::names::{Portal, Prepared, Undo};
use super::pending::{Expect, Run};
use super::running::{Judged, Running, hidden_columns};
use super::said::Written;
use super::{Copying, Flow, Unspent};
use crate::audit::{Logged, LookedUp};
use crate::session::judge::enforcer::Judgement;
use crate::sql::{Effect, Named};
use crate::wire::backend::Status;
use crate::wire::frontend::{Tag, Target};

/// Messages that may wait for their answers before the client is no longer read.
const MAX_PENDING: usize = 4096;

/// Whether the client's next message may be looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::session) enum Door {
    Open,
    /// Answers come first.
    Shut,
    /// The same, and the database has to be told to send them, by a Flush.
    ShutAsking,
}

/// What becomes of a message of the client's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::session) enum Next {
    /// It is read, decided and forwarded.
    Handle,
    /// It is dropped unread.
    Drop,
    /// It is read and means nothing: what PostgreSQL ignores within a COPY, or the end of none.
    Ignore,
    /// Rows of a COPY: the body is passed on as it comes.
    PassCopy,
    /// The client ends its COPY.
    EndCopy {
        /// In good order.
        done: bool,
    },
    /// It is dropped, and ends the COPY that it has no place in.
    BreakCopy,
    /// The client says goodbye.
    Leave,
}

/// How a refusal reaches the client in protocol order.
#[derive(Debug)]
pub(in crate::session) enum Refused {
    /// At once; ReadyForQuery with this status follows, where there is one.
    Now(Logged, Option<Status>),
    /// The database fails in its stead, so that it rolls back what PostgreSQL would roll back; `sync` follows the message that
    /// fails.
    InOrder {
        /// A Sync.
        sync: bool,
    },
}

impl<T> Flow<T> {
    /// Whether the next message may be looked at, or has to wait for the database.
    pub(in crate::session) fn door(&mut self) -> Door {
        if self.pending.is_empty() {
            self.barrier = false;
        }
        if self.copying == Copying::In {
            return Door::Open;
        }
        if self.pending.len() >= MAX_PENDING && !self.barrier {
            // The database may keep its answers until it is told to send them.
            self.barrier = true;
            return Door::ShutAsking;
        }
        if self.barrier { Door::Shut } else { Door::Open }
    }

    /// What becomes of a message with this tag.
    pub(in crate::session) fn next(&self, tag: Tag) -> Next {
        match tag {
            Tag::Terminate => Next::Leave,
            Tag::Sync if self.discarding => Next::Handle,
            _ if self.discarding => Next::Drop,
            Tag::CopyData if self.copying == Copying::In => Next::PassCopy,
            // Sent ahead of the answer that asks for it, or by a client that has not seen the error yet: the database takes or
            // ignores it, as it is.
            Tag::CopyData if self.pending.is_empty() => Next::Drop,
            Tag::CopyData => Next::PassCopy,
            Tag::CopyDone | Tag::CopyFail if self.copying != Copying::In && self.pending.is_empty() => Next::Ignore,
            Tag::CopyDone => Next::EndCopy { done: true },
            Tag::CopyFail => Next::EndCopy { done: false },
            Tag::Sync | Tag::Flush if self.copying == Copying::In => Next::Ignore,
            Tag::Query | Tag::Parse | Tag::Bind | Tag::Describe | Tag::Execute | Tag::Close | Tag::FunctionCall
                if self.copying == Copying::In =>
            {
                Next::BreakCopy
            }
            Tag::Query
            | Tag::Parse
            | Tag::Bind
            | Tag::Describe
            | Tag::Execute
            | Tag::Close
            | Tag::Sync
            | Tag::Flush
            | Tag::FunctionCall => Next::Handle,
        }
    }

    /// How a refusal is told. `simple`: ReadyForQuery follows; else everything up to the client's Sync is dropped.
    pub(in crate::session) fn refuse(&mut self, refusal: Logged, simple: bool) -> Refused {
        let quiet = self.pending.is_empty() && !self.segment_open && self.status != Status::Transaction;
        if quiet {
            self.discarding |= !simple;
            return Refused::Now(refusal, simple.then_some(self.status));
        }
        self.pending.push(Expect::Refuse(Box::new(refusal)));
        if simple {
            self.synced();
        } else {
            self.segment_open = true;
            self.discarding = true;
        }
        Refused::InOrder { sync: simple }
    }

    /// A simple query begins: PostgreSQL drops the unnamed statement and portal.
    pub(in crate::session) fn begin_query(&mut self) {
        self.exchange = self.exchange.wrapping_add(1);
        self.names.forget_statement("");
        self.names.forget_portal("");
        self.before = None;
    }

    /// Nothing of a batch is forwarded: what its statements were expected to do is undone, the last first.
    pub(in crate::session) fn abandon_query(&mut self, undo: impl IntoIterator<Item = Undo>) {
        undo.into_iter().for_each(|undo| self.names.undo(undo));
        if let Some(before) = self.before.take() {
            self.set_ahead(before);
        }
    }

    /// A simple query of these runs was forwarded.
    pub(in crate::session) fn queried(&mut self, runs: impl IntoIterator<Item = Run>) {
        let runs: std::collections::VecDeque<Run> = runs.into_iter().collect();
        runs.iter().for_each(|run| self.notes(run));
        self.pending.push(Expect::Query { runs, hidden: false });
        // What comes behind it reads later than it.
        self.exchange = self.exchange.wrapping_add(1);
        self.end_segment();
    }

    /// A simple query that the client does not know of was forwarded.
    pub(in crate::session) fn queried_unseen(&mut self, run: Run) {
        self.pending.push(Expect::Query { runs: [run].into(), hidden: true });
        self.dirty = true;
    }

    /// A Parse of no text was forwarded.
    pub(in crate::session) fn parsed_empty(&mut self, name: &str, prepared: Arc<Prepared>) {
        let undo = Some(self.names.prepare(name, prepared));
        self.extended(Expect::Parse { of: None, hidden: false, seq: None, undo });
        self.dirty = true;
    }

    /// A Parse was forwarded under the record `seq`, for which `token` stands.
    pub(in crate::session) fn parsed(
        &mut self,
        name: &str,
        prepared: Arc<Prepared>,
        reported: Judgement,
        (seq, token): (u64, T),
        hidden: bool,
    ) {
        let undo = Some(self.names.prepare(name, Arc::clone(&prepared)));
        let of = Some(Arc::clone(&prepared));
        self.unspent.push(Unspent { prepared, reported, seq, token, started: Instant::now() });
        self.extended(Expect::Parse { of, hidden, seq: Some(seq), undo });
        self.dirty = true;
    }

    /// A Bind was forwarded.
    pub(in crate::session) fn bound(
        &mut self,
        portal: &str,
        prepared: Arc<Prepared>,
        lookups: Option<Arc<[LookedUp]>>,
        values: Option<Arc<[u8]>>,
    ) {
        self.opened(portal, prepared, lookups, values, false);
    }

    /// A Bind that the client does not know of was forwarded, in place of one that it does.
    pub(in crate::session) fn bound_again(&mut self, name: &str, prepared: Arc<Prepared>, before: Portal) {
        self.opened(name, prepared, before.lookups, before.values, true);
    }

    fn opened(
        &mut self,
        name: &str,
        prepared: Arc<Prepared>,
        lookups: Option<Arc<[LookedUp]>>,
        values: Option<Arc<[u8]>>,
        hidden: bool,
    ) {
        let of = Arc::clone(&prepared);
        let portal = Portal::new(prepared, self.exchange, lookups, values);
        let undo = Some(self.names.bind(name, portal));
        self.extended(Expect::Bind { hidden, of, undo });
    }

    /// A Describe was forwarded.
    pub(in crate::session) fn describing(&mut self, of: &Arc<Prepared>, hidden: bool) {
        of.describing(self.segment);
        let running = self.running_of(of);
        self.extended(Expect::Describe { of: Arc::clone(of), running, hidden });
    }

    /// A Close was forwarded.
    pub(in crate::session) fn closing(&mut self, target: Target, name: &str, hidden: bool) {
        let undo = match target {
            Target::Statement => {
                self.dirty = true;
                self.names.forget_statement(name)
            }
            Target::Portal => self.names.forget_portal(name),
        };
        self.extended(Expect::Close { hidden, undo: Some(undo) });
    }

    /// An Execute was forwarded.
    pub(in crate::session) fn executing(&mut self, run: Run) {
        self.notes(&run);
        self.extended(Expect::Execute(Box::new(run)));
    }

    /// The client's Sync was forwarded: the segment ends.
    pub(in crate::session) fn synced(&mut self) {
        self.discarding = false;
        self.exchange = self.exchange.wrapping_add(1);
        self.pending.push(Expect::Sync { hidden: false });
        self.end_segment();
    }

    /// A Sync that the client does not know of was forwarded.
    pub(in crate::session) fn synced_unseen(&mut self) {
        self.pending.push(Expect::Sync { hidden: true });
        self.segment_open = false;
    }

    /// The client's Flush was forwarded.
    pub(in crate::session) fn flushed(&mut self) {
        self.exchange = self.exchange.wrapping_add(1);
    }

    /// The end of the client's COPY was forwarded.
    pub(in crate::session) fn copy_ended(&mut self) {
        self.copying = Copying::No;
        self.pending.push(Expect::CopyEnd);
    }

    fn extended(&mut self, expect: Expect) {
        self.pending.push(expect);
        self.segment_open = true;
    }

    /// A Sync or simple query was forwarded.
    fn end_segment(&mut self) {
        self.segment_open = false;
        self.segment = self.segment.wrapping_add(1);
        self.barrier |= self.dirty;
        self.dirty = false;
    }

    /// What a prepared statement runs.
    pub(in crate::session) fn running_of(&self, prepared: &Prepared) -> Option<Running> {
        self.runs(prepared.decision()?)
    }

    /// How many hidden columns the rows of a prepared statement have.
    pub(in crate::session) fn hidden_of(&self, prepared: &Prepared) -> usize {
        let rows = prepared.decision().and_then(|own| Some((own, self.rows_of(own)?)));
        rows.map_or(0, |(own, rows)| hidden_columns(own, rows))
    }

    /// What a statement runs: EXECUTE and FETCH that of the name, where there is one.
    pub(in crate::session) fn runs(&self, decision: &Judgement) -> Option<Running> {
        Some(Running::of(decision, self.rows_of(decision)?))
    }

    fn rows_of<'a>(&'a self, decision: &'a Judgement) -> Option<&'a Judgement> {
        match decision.enforced.effect().named() {
            Named::Statement(name) => self.names.statement(name)?.decision(),
            Named::Cursor(name) => self.names.portal(name)?.prepared.decision(),
            Named::Nothing | Named::Purpose(_) | Named::New(_) => Some(decision),
        }
    }

    /// Whether rows of it may come only behind another Describe: no row description was checked, nor will be before them.
    pub(in crate::session) fn needs_description(&self, prepared: &Prepared) -> bool {
        let governed = prepared.decision().is_some_and(|own| !own.enforced.guard().is_unrestricted());
        governed && !prepared.is_described(self.segment)
    }

    /// The record that was written for the Parse serves the first run in the same segment, so that a statement that is
    /// prepared and run at once has one record.
    pub(in crate::session) fn take_unspent(&mut self, prepared: &Arc<Prepared>, reported: &Judgement) -> Option<T> {
        let fits = |unspent: &Unspent<T>| Arc::ptr_eq(&unspent.prepared, prepared) && unspent.reported.is(reported);
        let position = self.unspent.iter().position(fits)?;
        Some(self.unspent.swap_remove(position).token)
    }

    /// Takes a statement's effect on names and settings for granted, because what follows in the same batch or pipeline runs
    /// only if it does; gives what undoes it.
    pub(in crate::session) fn expect_effect(&mut self, judged: &Judged) -> Vec<Undo> {
        let effect = judged.decision.enforced.effect();
        if !effect.changes_session() {
            return Vec::new();
        }
        self.dirty = true;
        let mut after = self.ahead.clone();
        after.apply(effect, false);
        if after != self.ahead {
            let before = self.set_ahead(after);
            self.before.get_or_insert(before);
        }
        match effect {
            Effect::Prepare(name) => vec![self.names.prepare(name, Arc::new(judged.clone().into_prepared(None)))],
            Effect::Deallocate(Some(name)) => vec![self.names.forget_statement(name)],
            Effect::Deallocate(None) => vec![self.names.forget_statements()],
            Effect::DiscardAll => vec![self.names.forget_statements(), self.names.forget_portals()],
            Effect::Declare { name, hold } => {
                let prepared = Arc::new(judged.clone().into_prepared(None));
                let portal = Portal { hold: *hold, ..Portal::new(prepared, self.exchange, None, None) };
                vec![self.names.bind(name, portal)]
            }
            Effect::CloseCursor(Some(name)) => vec![self.names.forget_portal(name)],
            Effect::CloseCursor(None) => vec![self.names.forget_portals()],
            Effect::None
            | Effect::Begin
            | Effect::Commit { .. }
            | Effect::Rollback { .. }
            | Effect::Savepoint(_)
            | Effect::Release(_)
            | Effect::RollbackTo(_)
            | Effect::SetPurpose { .. }
            | Effect::Say { .. }
            | Effect::SetSearchPath { .. }
            | Effect::SetRole { .. }
            | Effect::ResetAll
            | Effect::Execute(_)
            | Effect::Fetch { .. }
            | Effect::CopyIn
            | Effect::CopyOut
            | Effect::Define => Vec::new(),
        }
    }
}

impl Run {
    /// A run that is forwarded now, under the record `seq`.
    pub(in crate::session) fn begun(seq: u64, running: Running, undo: Vec<Undo>) -> Self {
        let (started, described, rows, told, late) = (Instant::now(), false, 0, false, false);
        let (running, written) = (Some(running), None);
        Self { seq: Some(seq), started, running, described, rows, told, late, undo, written }
    }

    /// A run of no text.
    pub(in crate::session) fn empty() -> Self {
        let (started, described, rows, told, late) = (Instant::now(), true, 0, false, false);
        let (running, undo, written) = (None, Vec::new(), None);
        Self { seq: None, started, running, described, rows, told, late, undo, written }
    }

    /// Its rows are asked about again before they go out.
    #[must_use]
    pub(in crate::session) fn late(mut self, late: bool) -> Self {
        self.late = late;
        self
    }

    /// As the client wrote it.
    #[must_use]
    pub(in crate::session) fn written(mut self, asked: Arc<str>, before: (usize, usize)) -> Self {
        self.written = Some(Written { asked, before });
        self
    }

    /// Its row description was checked before.
    #[must_use]
    pub(in crate::session) fn described(mut self) -> Self {
        self.described = true;
        self
    }
}
