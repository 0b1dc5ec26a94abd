//! The database's direction: which of the forwarded messages an answer belongs to, and what it means.

use super::pending::{Expect, Run};
use super::running::Running;
use super::{Copying, Ended, Flow, How};
use crate::audit::Logged;
use crate::catalog::Touched;
use crate::sql::Effect;
use crate::wire::backend::{Status, rows_of};

/// Command tags after which the catalog is another.
const DDL: &[&str] = &[
    "CREATE",
    "ALTER",
    "DROP",
    "GRANT",
    "REVOKE",
    "COMMENT",
    "SECURITY",
    "IMPORT",
    "REFRESH",
    "SELECT INTO",
    "DO",
    "CALL",
];

/// An answer of the database. Rows are not among them: see [`Flow::rows_come`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::session) enum Answer<'a> {
    /// ParseComplete.
    Parsed,
    /// BindComplete.
    Bound,
    /// CloseComplete.
    Closed,
    /// ParameterDescription.
    Parameters,
    /// RowDescription, which was held against [`Flow::description`].
    Described,
    /// NoData.
    NoData,
    /// CopyInResponse.
    CopyIn,
    /// CopyOutResponse.
    CopyOut,
    /// CopyDone.
    CopyDone,
    /// CommandComplete with its tag.
    Complete(&'a str),
    /// EmptyQueryResponse.
    Empty,
    /// PortalSuspended.
    Suspended,
    /// ErrorResponse.
    Failed {
        /// As the client is told.
        sqlstate: &'a str,
        /// The session ends with it.
        fatal: bool,
    },
    /// ReadyForQuery.
    Ready(Status),
}

/// What becomes of an answer.
#[derive(Debug)]
pub(in crate::session) enum Reply {
    /// The client gets it.
    Pass,
    /// The client does not know what it answers.
    Hide,
    /// The client gets this in place of the error.
    Refusal(Box<Logged>),
}

/// An answer that must not come: the session ends.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::session) enum Strange {
    /// Nothing that was forwarded is answered so.
    Unexpected,
    /// The database does what was not decided: an incident under this record.
    Incident(Option<u64>, &'static str),
}

/// What a RowDescription that comes now is held against.
#[derive(Debug)]
pub(in crate::session) struct Description {
    /// What runs; `None` where nothing may come.
    pub(in crate::session) running: Option<Running>,
    /// Number of the `access` record.
    pub(in crate::session) seq: Option<u64>,
}

impl<T> Flow<T> {
    /// Takes an answer in.
    ///
    /// # Errors
    /// It must not come.
    pub(in crate::session) fn answer(&mut self, answer: Answer<'_>) -> Result<Reply, Strange> {
        match answer {
            Answer::Parsed | Answer::Bound | Answer::Closed => self.acknowledged(answer),
            Answer::Parameters | Answer::Described | Answer::NoData => self.described(answer),
            Answer::CopyIn => self.copy_begins(true),
            Answer::CopyOut => self.copy_begins(false),
            Answer::CopyDone if self.copying == Copying::Out => {
                self.copying = Copying::No;
                Ok(Reply::Pass)
            }
            Answer::CopyDone => Err(Strange::Unexpected),
            Answer::Complete(tag) => self.completed(answer, tag),
            Answer::Empty | Answer::Suspended => self.completed(answer, ""),
            Answer::Failed { sqlstate, fatal } => Ok(self.failed(sqlstate, fatal)),
            Answer::Ready(status) => self.ready(status),
        }
    }

    /// The run whose rows, or lines of a COPY, come now.
    ///
    /// # Errors
    /// Nobody asked for rows.
    pub(in crate::session) fn rows_come(&mut self, copied: bool) -> Result<&mut Run, Strange> {
        let copying = self.copying == Copying::Out;
        let run = self.running().filter(|run| if copied { copying } else { run.described });
        run.ok_or(Strange::Incident(None, "the database sent rows that nobody asked for"))
    }

    /// The run that is answered now.
    pub(in crate::session) fn running(&mut self) -> Option<&mut Run> {
        match self.pending.head() {
            Some(Expect::Query { runs, .. }) => runs.front_mut(),
            Some(Expect::Execute(run)) => Some(run),
            _ => None,
        }
    }

    /// What a RowDescription that comes now is held against.
    ///
    /// # Errors
    /// None may come.
    pub(in crate::session) fn description(&mut self) -> Result<Description, Strange> {
        let (running, seq, of) = match self.pending.head() {
            Some(Expect::Describe { of, running, .. }) => (running.clone(), None, Some(of.clone())),
            Some(Expect::Query { runs, .. }) => match runs.front() {
                Some(run) => (run.running.clone(), run.seq, None),
                None => return Err(Strange::Unexpected),
            },
            _ => return Err(Strange::Unexpected),
        };
        let seq = seq.or_else(|| self.seq_of(of.as_ref()?, self.pending.iter()));
        Ok(Description { running, seq })
    }

    fn acknowledged(&mut self, answer: Answer<'_>) -> Result<Reply, Strange> {
        let hidden = match (answer, self.pending.head()) {
            (Answer::Parsed, Some(Expect::Parse { hidden, .. }))
            | (Answer::Closed, Some(Expect::Close { hidden, .. })) => *hidden,
            (Answer::Bound, Some(Expect::Bind { hidden, .. })) => *hidden || self.stepping,
            _ => return Err(Strange::Unexpected),
        };
        self.pending.pop();
        Ok(shown(hidden))
    }

    fn described(&mut self, answer: Answer<'_>) -> Result<Reply, Strange> {
        match self.pending.head() {
            Some(Expect::Describe { of, hidden, .. }) => {
                // A simple query is not told that nothing comes.
                let hidden = *hidden || (self.stepping && answer == Answer::NoData);
                if answer != Answer::Parameters {
                    of.described();
                    self.pending.pop();
                }
                Ok(shown(hidden))
            }
            Some(Expect::Query { runs, .. }) if answer == Answer::Described => {
                runs.front_mut().ok_or(Strange::Unexpected)?.described = true;
                Ok(Reply::Pass)
            }
            _ => Err(Strange::Unexpected),
        }
    }

    fn copy_begins(&mut self, incoming: bool) -> Result<Reply, Strange> {
        let extended = matches!(self.pending.head(), Some(Expect::Execute(_)));
        let run = self.running().ok_or(Strange::Unexpected)?;
        if !run.running.as_ref().is_some_and(|running| running.copies(incoming)) {
            return Err(Strange::Incident(run.seq, "the database began a COPY that was not decided"));
        }
        if !incoming {
            self.copying = Copying::Out;
            return Ok(Reply::Pass);
        }
        self.copying = Copying::In;
        if extended && self.pending.drop_syncs_in_copy() > 0 {
            // PostgreSQL ignores that Sync, so the segment is not over.
            self.barrier = false;
            self.segment_open = true;
            self.dirty = true;
        }
        Ok(Reply::Pass)
    }

    fn completed(&mut self, answer: Answer<'_>, tag: &str) -> Result<Reply, Strange> {
        let suspended = answer == Answer::Suspended;
        let (run, hidden) = match self.pending.head() {
            Some(Expect::Query { runs, hidden }) if !suspended => match runs.pop_front() {
                Some(run) => (Some(run), *hidden),
                // The empty query, or more results of a text that could not be split.
                None if answer == Answer::Empty || self.uncounted => (None, false),
                None => return Err(Strange::Unexpected),
            },
            Some(Expect::Execute(_)) => match self.pending.pop() {
                Some(Expect::Execute(run)) => (Some(*run), false),
                _ => return Err(Strange::Unexpected),
            },
            _ => return Err(Strange::Unexpected),
        };
        self.copying = Copying::No;
        let decided = run.as_ref().and_then(|run| run.running.as_ref()).map(|running| &running.statement().enforced);
        match decided.filter(|enforced| *enforced.effect() == Effect::Define) {
            // No snapshot but the session's own holds its temporary relations.
            Some(enforced) if enforced.touches_own() => {}
            Some(enforced) => self.structure.add(enforced.touched()),
            None if DDL.iter().any(|ddl| tag.starts_with(ddl)) => self.structure.add(&Touched::Everything),
            None => {}
        }
        let Some(run) = run else { return Ok(shown(hidden)) };
        let rows = if suspended { Some(run.rows) } else { rows_of(tag) };
        self.ended.extend(run.seq.map(|seq| Ended::run(seq, run.started, How::Done(rows))));
        if let Some(running) = &run.running {
            let effect = running.statement().enforced.effect();
            if !suspended && effect.changes_session() {
                self.reset |= matches!(effect, Effect::ResetAll | Effect::DiscardAll);
                self.confirm(|settings| settings.apply(effect, tag == "ROLLBACK"));
            }
        }
        Ok(shown(hidden))
    }

    fn ready(&mut self, status: Status) -> Result<Reply, Strange> {
        let hidden = match self.pending.pop() {
            Some(Expect::Sync { hidden }) => hidden,
            Some(Expect::Query { runs, hidden }) => {
                for run in runs {
                    self.ended.extend(run.seq.map(|seq| Ended::run(seq, run.started, How::Lost(run.rows_so_far()))));
                }
                hidden
            }
            _ => return Err(Strange::Unexpected),
        };
        self.status = status;
        let failed = std::mem::take(&mut self.failed);
        if status == Status::Idle && !self.confirmed.is_settled() {
            self.confirm(|settings| settings.idle(failed));
        }
        if self.pending.is_empty() && !self.segment_open {
            if status == Status::Idle {
                self.wrote_part = false;
                self.names.end_transaction();
            }
            if self.ahead != self.confirmed {
                self.set_ahead(self.confirmed.clone());
            }
            let unused = self.unspent.drain(..);
            self.ended.extend(unused.map(|unspent| Ended::run(unspent.seq, unspent.started, How::Done(None))));
        }
        if status == Status::Idle && !self.structure.touched().is_nothing() {
            self.ended.push(Ended::Structure(self.structure.take()));
        }
        Ok(shown(hidden))
    }

    fn failed(&mut self, sqlstate: &str, fatal: bool) -> Reply {
        self.failed = true;
        self.copying = Copying::No;
        match self.pending.head() {
            Some(Expect::Query { runs, .. }) => {
                let runs = std::mem::take(runs);
                let failed = runs.front().and_then(|run| run.seq).map(|seq| (seq, sqlstate));
                self.void_runs(runs.into(), failed);
            }
            Some(Expect::Refuse(_)) if !fatal => {
                if let Some(Expect::Refuse(refusal)) = self.void_to_sync(None) {
                    return Reply::Refusal(refusal);
                }
            }
            Some(_) => drop(self.void_to_sync(Some(sqlstate))),
            None => {}
        }
        Reply::Pass
    }

    /// Changes what is confirmed, and tells of another purpose.
    fn confirm(&mut self, change: impl FnOnce(&mut super::settings::Settings)) {
        let before = self.confirmed.purpose().to_owned();
        change(&mut self.confirmed);
        let after = self.confirmed.purpose();
        if before != after {
            self.ended.push(Ended::Purpose { before, after: after.to_owned() });
        }
    }
}

fn shown(hidden: bool) -> Reply {
    if hidden { Reply::Hide } else { Reply::Pass }
}
