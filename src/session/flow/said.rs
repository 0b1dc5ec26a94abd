//! Which statement an error or a notice of the database's is about.

use std::sync::Arc;

use super::Flow;
use super::names::Prepared;
use super::pending::{Expect, Run};
use super::running::Running;
use crate::session::judge::enforcer::Judgement;
use crate::sql::Words;

/// A statement as the client wrote it, and where it begins in the client's message and in what was sent.
#[derive(Debug, Clone)]
pub(in crate::session) struct Written {
    /// The client's text.
    pub(in crate::session) asked: Arc<str>,
    /// Characters before it in the client's message, and before what runs instead in the message that was sent.
    pub(in crate::session) before: (usize, usize),
}

/// What is known of what the database speaks about.
#[derive(Debug)]
pub(in crate::session) struct Said {
    /// How much may be told.
    pub(in crate::session) words: Words,
    /// The same where a constraint speaks, which may do so of what was written before.
    pub(in crate::session) of_constraints: Words,
    /// What was asked, and what was sent.
    pub(in crate::session) written: Option<(Written, Judgement)>,
}

impl<T> Flow<T> {
    /// What the database speaks about now.
    pub(in crate::session) fn said(&mut self) -> Said {
        let later = if self.wrote_part { Words::Names } else { Words::All };
        let (words, written) = match self.pending.head() {
            Some(Expect::Query { runs, .. }) => runs.front().map_or((Words::Names, None), |run| of_run(run, later)),
            Some(Expect::Execute(run)) => of_run(run, later),
            Some(Expect::Parse { of: Some(of), .. })
            | Some(Expect::Bind { of, .. })
            | Some(Expect::Describe { of, .. }) => {
                let of = Arc::clone(of);
                let words = self.running_of(&of).map_or(Words::Names, |running| of_running(&running));
                (words, written(&of))
            }
            // What was put off until the end of a transaction.
            Some(Expect::Sync { .. }) => (later, None),
            Some(
                Expect::Parse { of: None, .. }
                | Expect::Close { .. }
                | Expect::Refuse(_)
                | Expect::Structure
                | Expect::CopyEnd,
            )
            | None => (Words::Names, None),
        };
        let of_constraints = if later == Words::All { words } else { Words::Names };
        Said { words, of_constraints, written }
    }

    /// A run was forwarded: whether the database may speak later of what it wrote.
    pub(super) fn notes(&mut self, run: &Run) {
        let Some(running) = &run.running else { return };
        let words = [running.statement().enforced.words(), running.rows().enforced.words()];
        self.wrote_part |= words.contains(&Words::NamesLater);
    }
}

fn of_run(run: &Run, later: Words) -> (Words, Option<(Written, Judgement)>) {
    let Some(running) = &run.running else { return (Words::Names, None) };
    let words = if running.statement().enforced.effect().commits() { later } else { of_running(running) };
    (words, run.written.clone().map(|written| (written, running.statement().clone())))
}

fn of_running(running: &Running) -> Words {
    let rows = running.rows().enforced.words();
    if rows == Words::All { running.statement().enforced.words() } else { rows }
}

fn written(of: &Prepared) -> Option<(Written, Judgement)> {
    let written = Written { asked: Arc::clone(&of.text), before: (0, 0) };
    of.decision().cloned().map(|decision| (written, decision))
}
