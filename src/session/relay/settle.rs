//! How runs end, as the access log is told: finished, failed, skipped behind a failure, or lost with the session.

use std::sync::Arc;

use crate::session::flow::names::Prepared;
use crate::session::flow::pending::{Expect, Run};
use crate::session::judge::admit::Unspent;
use crate::session::state::Session;

impl Session {
    /// A run ended; `failed` is the SQLSTATE of its error.
    pub(in crate::session) fn finished(&self, run: &Run, rows: Option<u64>, failed: Option<&str>) {
        self.shared.metrics.upstream.observe(run.started.elapsed());
        if let Some(seq) = run.seq {
            self.journal.outcome(seq, run.started, rows, failed);
        }
    }

    /// What became of a run is not known.
    pub(in crate::session) fn lost(&self, run: &Run) {
        if let Some(seq) = run.seq {
            self.journal.lost(seq, run.started, run.rows_so_far());
        }
    }

    /// Everything that was forwarded and is not answered when the session ends.
    pub(in crate::session) fn lose_runs(&mut self) {
        while let Some(expect) = self.pending.pop() {
            match expect {
                Expect::Query { runs, .. } => runs.iter().for_each(|run| self.lost(run)),
                Expect::Execute(run) => self.lost(&run),
                Expect::Parse { .. }
                | Expect::Bind { .. }
                | Expect::Describe { .. }
                | Expect::Close { .. }
                | Expect::Sync { .. }
                | Expect::Refuse(_)
                | Expect::CopyEnd => {}
            }
        }
        for unspent in self.unspent.drain(..) {
            self.journal.lost(unspent.token.seq(), unspent.started, None);
        }
    }

    /// The first message that waits failed, with this SQLSTATE, or was refused: the database skips everything up to the next
    /// Sync.
    pub(in crate::session) fn void_to_sync(&mut self, sqlstate: Option<&str>) {
        let skipped = self.pending.skip_to_sync();
        let failed = sqlstate.and_then(|sqlstate| Some((self.failed_in(&skipped)?, sqlstate)));
        for expect in skipped.into_iter().rev() {
            match expect {
                Expect::Parse { undo, seq, .. } => {
                    undo.into_iter().for_each(|undo| self.names.undo(undo));
                    let unspent = self.unspent.iter().position(|unspent| Some(unspent.token.seq()) == seq);
                    if let Some(Unspent { token, started, .. }) = unspent.map(|at| self.unspent.swap_remove(at)) {
                        match failed {
                            Some((seq, sqlstate)) if seq == token.seq() => {
                                self.journal.outcome(seq, started, None, Some(sqlstate));
                            }
                            Some(_) | None => self.journal.skipped(token.seq(), started),
                        }
                    }
                }
                Expect::Bind { undo, .. } | Expect::Close { undo, .. } => {
                    undo.into_iter().for_each(|undo| self.names.undo(undo));
                }
                Expect::Execute(run) => self.void_runs(vec![*run], failed),
                Expect::Query { runs, .. } => self.void_runs(runs.into_iter().collect(), None),
                Expect::Describe { .. } | Expect::Sync { .. } | Expect::Refuse(_) | Expect::CopyEnd => {}
            }
        }
        // A simple query behind the failure is skipped with the rest, and is no end of it.
        if !self.pending.has_sync() {
            self.discarding = true;
        }
    }

    /// Number of the `access` that failed with the first of these messages.
    fn failed_in(&self, skipped: &[Expect]) -> Option<u64> {
        match skipped.first()? {
            Expect::Parse { seq, .. } => *seq,
            Expect::Execute(run) => run.seq,
            Expect::Bind { of, .. } | Expect::Describe { of, .. } => self.seq_of(of, skipped),
            Expect::Query { .. } | Expect::Close { .. } | Expect::Sync { .. } | Expect::Refuse(_) | Expect::CopyEnd => {
                None
            }
        }
    }

    /// Number of the `access` that a prepared statement runs under next: among these messages, or that of its Parse.
    pub(in crate::session) fn seq_of<'a>(
        &self,
        prepared: &Arc<Prepared>,
        messages: impl IntoIterator<Item = &'a Expect>,
    ) -> Option<u64> {
        let of = prepared.decision.as_ref()?;
        let run = messages.into_iter().find_map(|expect| match expect {
            Expect::Execute(run) if run.running.as_ref().is_some_and(|running| Arc::ptr_eq(&running.statement, of)) => {
                run.seq
            }
            _ => None,
        });
        let parsed = self.unspent.iter().find(|unspent| Arc::ptr_eq(&unspent.prepared, prepared));
        run.or_else(|| Some(parsed?.token.seq()))
    }

    /// Of runs that stand in one message one may have failed, with this SQLSTATE; the others never ran.
    pub(in crate::session) fn void_runs(&mut self, runs: Vec<Run>, failed: Option<(u64, &str)>) {
        for mut run in runs.into_iter().rev() {
            for undo in run.undo.drain(..).rev() {
                self.names.undo(undo);
            }
            match (failed, run.seq) {
                (Some((failed, sqlstate)), Some(seq)) if failed == seq => {
                    self.finished(&run, run.rows_so_far(), Some(sqlstate));
                }
                (_, Some(seq)) => self.journal.skipped(seq, run.started),
                (_, None) => {}
            }
        }
    }
}
