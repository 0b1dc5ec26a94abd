//! What is decided again while the database answers it, because its structure was changed beside the proxy.

use std::sync::Arc;

use super::pending::{Expect, Run};
use super::running::Running;
use super::{Copying, Flow};
use crate::catalog::Oid;
use crate::session::judge::enforcer::Judgement;
use crate::sql::Effect;
use crate::wire::backend::Status;
use crate::wire::frontend::parameter_types;

/// A statement that is answered now, as it was asked.
#[derive(Debug)]
pub(in crate::session) struct Again {
    /// The client's text.
    pub(in crate::session) text: Arc<str>,
    types: Option<Vec<u8>>,
    /// What was decided.
    pub(in crate::session) rows: Judgement,
}

impl Again {
    /// The declared types of its parameters.
    pub(in crate::session) fn types(&self) -> Vec<Oid> {
        self.types.as_deref().map(parameter_types).into_iter().flatten().collect()
    }
}

impl<T> Flow<T> {
    /// The statement that is answered now; `None` where its rows are another's, which was asked under another text.
    pub(in crate::session) fn again(&mut self) -> Option<Again> {
        let (running, text, types) = match self.pending.head()? {
            Expect::Query { runs, .. } => {
                let run = runs.front()?;
                (run.running.as_ref()?, Arc::clone(&run.written.as_ref()?.asked), None)
            }
            Expect::Describe { of, running, .. } => (running.as_ref()?, Arc::clone(&of.text), of.types.clone()),
            Expect::Parse { .. }
            | Expect::Bind { .. }
            | Expect::Execute(_)
            | Expect::Close { .. }
            | Expect::Sync { .. }
            | Expect::Refuse(_)
            | Expect::Structure
            | Expect::CopyEnd => return None,
        };
        running.is_itself().then(|| Again { text, types, rows: running.rows().clone() })
    }

    /// What is answered now was decided again: its answers are held against that.
    pub(in crate::session) fn redecided(&mut self, now: &Judgement) {
        let running = match self.pending.head() {
            Some(Expect::Query { runs, .. }) => runs.front_mut().map(|run| &mut run.running),
            Some(Expect::Describe { running, .. }) => Some(running),
            _ => None,
        };
        if let Some(running) = running {
            *running = Some(Running::itself(now));
        }
    }

    /// Whether the statement that failed can run again as though it had come now: it is the whole message, nothing of it was answered,
    /// no transaction is open that has failed with it, and nothing was forwarded behind it.
    pub(in crate::session) fn can_run_again(&mut self) -> bool {
        let alone = self.pending.len() == 1
            && self.status == Status::Idle
            && self.copying == Copying::No
            && !(self.segment_open || self.stepping || self.uncounted);
        let fresh = |run: &Run| {
            let free = |running: &Running| *running.statement().enforced.effect() == Effect::None;
            run.rows == 0 && !run.described && run.undo.is_empty() && run.running.as_ref().is_some_and(free)
        };
        alone
            && match self.pending.head() {
                Some(Expect::Query { runs, hidden: false }) => runs.len() == 1 && runs.front().is_some_and(fresh),
                _ => false,
            }
    }

    /// It does: the client hears nothing of this time, and is not read before the next.
    pub(in crate::session) fn runs_again(&mut self) {
        if let Some(Expect::Query { hidden, .. }) = self.pending.head() {
            *hidden = true;
        }
        self.barrier = true;
    }
}
