//! What was forwarded and is not answered yet, in order: each answer of the database belongs to the first.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use super::names::{Prepared, Undo};
use crate::audit::Logged;
use crate::session::flow::running::Running;
use crate::session::flow::said::Written;

/// One run of a statement.
#[derive(Debug)]
pub(in crate::session) struct Run {
    /// Number of its `access` record; `None` for a statement of no text.
    pub(in crate::session) seq: Option<u64>,
    pub(in crate::session) started: Instant,
    /// `None` for a statement of no text.
    pub(in crate::session) running: Option<Running>,
    /// A row description came for it.
    pub(in crate::session) described: bool,
    pub(in crate::session) rows: u64,
    /// What it reads of people who are not known one by one stands in the log.
    pub(in crate::session) told: bool,
    /// Its rows were opened earlier: they are asked about again before they go out.
    pub(in crate::session) late: bool,
    pub(in crate::session) undo: Vec<Undo>,
    /// As the client wrote it.
    pub(in crate::session) written: Option<Written>,
}

impl Run {
    /// The rows that came of a run that did not end well.
    pub(in crate::session) fn rows_so_far(&self) -> Option<u64> {
        (self.rows > 0).then_some(self.rows)
    }
}

/// A message that was forwarded. `hidden`: the client does not know of it.
#[derive(Debug)]
pub(in crate::session) enum Expect {
    /// A simple query; ends with ReadyForQuery.
    Query { runs: VecDeque<Run>, hidden: bool },
    /// ParseComplete. `seq`: number of its `access` record.
    Parse { of: Option<Arc<Prepared>>, hidden: bool, seq: Option<u64>, undo: Option<Undo> },
    /// BindComplete.
    Bind { hidden: bool, of: Arc<Prepared>, undo: Option<Undo> },
    /// RowDescription or NoData; for a statement, ParameterDescription before it.
    Describe { of: Arc<Prepared>, running: Option<Running>, hidden: bool },
    /// Rows, and CommandComplete, EmptyQueryResponse or PortalSuspended.
    Execute(Box<Run>),
    /// CloseComplete.
    Close { hidden: bool, undo: Option<Undo> },
    /// ReadyForQuery.
    Sync { hidden: bool },
    /// An error, in whose place the client gets this.
    Refuse(Box<Logged>),
    /// What the proxy itself asks about the structure.
    Structure,
    /// The client ended a COPY: nothing is expected for it.
    CopyEnd,
}

/// The queue.
#[derive(Debug, Default)]
pub(in crate::session) struct Pending(VecDeque<Expect>);

impl Pending {
    pub(in crate::session) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(in crate::session) fn len(&self) -> usize {
        self.0.len()
    }

    /// From the one that is answered next.
    pub(in crate::session) fn iter(&self) -> impl Iterator<Item = &Expect> {
        self.0.iter()
    }

    pub(in crate::session) fn push(&mut self, expect: Expect) {
        self.0.push_back(expect);
    }

    /// The message that the next answer belongs to.
    pub(in crate::session) fn head(&mut self) -> Option<&mut Expect> {
        while matches!(self.0.front(), Some(Expect::CopyEnd)) {
            self.0.pop_front();
        }
        self.0.front_mut()
    }

    /// The first message is answered.
    pub(in crate::session) fn pop(&mut self) -> Option<Expect> {
        let popped = self.0.pop_front();
        // Markers are answered by nothing.
        while matches!(self.0.front(), Some(Expect::CopyEnd)) {
            self.0.pop_front();
        }
        popped
    }

    /// After an error: everything that the database skips, up to the next Sync, which stays.
    pub(in crate::session) fn skip_to_sync(&mut self) -> Vec<Expect> {
        let end = self.0.iter().position(|expect| matches!(expect, Expect::Sync { .. })).unwrap_or(self.0.len());
        self.0.drain(..end).collect()
    }

    /// Whether a Sync waits.
    pub(in crate::session) fn has_sync(&self) -> bool {
        self.0.iter().any(|expect| matches!(expect, Expect::Sync { .. }))
    }

    /// COPY IN began for the first message: the database ignores each Sync that was sent before the copy's end. Gives
    /// how many were dropped.
    pub(in crate::session) fn drop_syncs_in_copy(&mut self) -> usize {
        let before = self.0.len();
        let mut kept = VecDeque::with_capacity(before);
        let mut within = true;
        for (position, expect) in std::mem::take(&mut self.0).into_iter().enumerate() {
            within = within && (position == 0 || matches!(expect, Expect::Sync { .. }));
            if !(within && position > 0) {
                kept.push_back(expect);
            }
        }
        self.0 = kept;
        before.saturating_sub(self.0.len())
    }
}
