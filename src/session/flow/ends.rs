//! How runs end, as the access log is told: finished, failed, skipped behind a failure, or lost with the session.

use std::sync::Arc;
use std::time::Instant;

use super::Flow;
use super::names::Prepared;
use super::pending::{Expect, Run};
use crate::catalog::Touched;

/// Something that is over.
#[derive(Debug)]
pub(in crate::session) enum Ended {
    /// A run that has a record.
    Run {
        /// Number of the record.
        seq: u64,
        started: Instant,
        how: How,
    },
    /// The database has confirmed another purpose.
    Purpose { before: String, after: String },
    /// The database's structure is another: in this.
    Structure(Touched),
}

/// How a run ended.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::session) enum How {
    /// With so many rows, where the database says.
    Done(Option<u64>),
    /// With this SQLSTATE, behind so many rows.
    Failed(String, Option<u64>),
    /// The database passed over it.
    Skipped,
    /// Its end will never be known; so many rows came before.
    Lost(Option<u64>),
}

impl Ended {
    pub(super) fn run(seq: u64, started: Instant, how: How) -> Self {
        Self::Run { seq, started, how }
    }
}

impl<T> Flow<T> {
    /// The session ends: everything that was forwarded and is not answered is lost.
    pub(in crate::session) fn lose_all(&mut self) {
        while let Some(expect) = self.pending.pop() {
            match expect {
                Expect::Query { runs, .. } => runs.iter().for_each(|run| self.lose(run)),
                Expect::Execute(run) => self.lose(&run),
                Expect::Parse { .. }
                | Expect::Bind { .. }
                | Expect::Describe { .. }
                | Expect::Close { .. }
                | Expect::Sync { .. }
                | Expect::Refuse(_)
                | Expect::Structure
                | Expect::CopyEnd => {}
            }
        }
        for unspent in self.unspent.drain(..) {
            self.ended.push(Ended::run(unspent.seq, unspent.started, How::Lost(None)));
        }
    }

    fn lose(&mut self, run: &Run) {
        self.ended.extend(run.seq.map(|seq| Ended::run(seq, run.started, How::Lost(run.rows_so_far()))));
    }

    /// The first message that waits failed, with this SQLSTATE, or was refused: the database skips everything up to the next
    /// Sync. Gives the message that failed.
    pub(super) fn void_to_sync(&mut self, sqlstate: Option<&str>) -> Option<Expect> {
        let mut skipped = self.pending.skip_to_sync();
        let failed = sqlstate.and_then(|sqlstate| Some((self.failed_in(&skipped)?, sqlstate)));
        let refused = match skipped.first() {
            Some(Expect::Refuse(_)) => Some(skipped.remove(0)),
            _ => None,
        };
        for expect in skipped.into_iter().rev() {
            match expect {
                Expect::Parse { undo, seq, .. } => {
                    undo.into_iter().for_each(|undo| self.names.undo(undo));
                    self.void_parse(seq, failed);
                }
                Expect::Bind { undo, .. } | Expect::Close { undo, .. } => {
                    undo.into_iter().for_each(|undo| self.names.undo(undo));
                }
                Expect::Execute(run) => self.void_runs(vec![*run], failed),
                Expect::Query { runs, .. } => self.void_runs(runs.into(), None),
                Expect::Describe { .. }
                | Expect::Sync { .. }
                | Expect::Refuse(_)
                | Expect::Structure
                | Expect::CopyEnd => {}
            }
        }
        // A simple query behind the failure is skipped with the rest, and is no end of it.
        if !self.pending.has_sync() {
            self.discarding = true;
        }
        refused
    }

    /// The record of a Parse that did not happen, where no run has it.
    fn void_parse(&mut self, seq: Option<u64>, failed: Option<(u64, &str)>) {
        let Some(position) = self.unspent.iter().position(|unspent| Some(unspent.seq) == seq) else { return };
        let unspent = self.unspent.swap_remove(position);
        let how = match failed {
            Some((seq, sqlstate)) if seq == unspent.seq => How::Failed(sqlstate.to_owned(), None),
            Some(_) | None => How::Skipped,
        };
        self.ended.push(Ended::run(unspent.seq, unspent.started, how));
    }

    /// Number of the `access` that failed with the first of these messages.
    fn failed_in(&self, skipped: &[Expect]) -> Option<u64> {
        match skipped.first()? {
            Expect::Parse { seq, .. } => *seq,
            Expect::Execute(run) => run.seq,
            Expect::Bind { of, .. } | Expect::Describe { of, .. } => self.seq_of(of, skipped),
            Expect::Query { .. }
            | Expect::Close { .. }
            | Expect::Sync { .. }
            | Expect::Refuse(_)
            | Expect::Structure
            | Expect::CopyEnd => None,
        }
    }

    /// Number of the `access` that a prepared statement runs under next: among these messages, or that of its Parse.
    pub(super) fn seq_of<'a>(
        &self,
        prepared: &Arc<Prepared>,
        messages: impl IntoIterator<Item = &'a Expect>,
    ) -> Option<u64> {
        let of = prepared.decision()?;
        let run = messages.into_iter().find_map(|expect| match expect {
            Expect::Execute(run) if run.running.as_ref().is_some_and(|running| running.statement().is(of)) => run.seq,
            _ => None,
        });
        let parsed = self.unspent.iter().find(|unspent| Arc::ptr_eq(&unspent.prepared, prepared));
        run.or_else(|| Some(parsed?.seq))
    }

    /// Of runs that stand in one message one may have failed, with this SQLSTATE; the others never ran.
    pub(super) fn void_runs(&mut self, runs: Vec<Run>, failed: Option<(u64, &str)>) {
        for mut run in runs.into_iter().rev() {
            for undo in run.undo.drain(..).rev() {
                self.names.undo(undo);
            }
            let Some(seq) = run.seq else { continue };
            let how = match failed {
                Some((failed, sqlstate)) if failed == seq => How::Failed(sqlstate.to_owned(), run.rows_so_far()),
                Some(_) | None => How::Skipped,
            };
            self.ended.push(Ended::run(seq, run.started, how));
        }
    }
}
