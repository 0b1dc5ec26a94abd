//! What runs, and whose rows come back.

use std::sync::Arc;

use super::names::Prepared;
use crate::policy::{AccessReport, Disclosed};
use crate::session::judge::enforcer::{Judgement, Scope};
use crate::sql::Stated;

/// A statement with the one whose rows come back: EXECUTE and FETCH run what was decided under its own name, everything
/// else runs itself. All that is counted, recorded and told of a run comes out of this one value.
#[derive(Debug, Clone)]
pub(in crate::session) struct Running {
    statement: Judgement,
    /// Where it is another.
    rows: Option<Judgement>,
}

impl Running {
    /// A statement that runs itself.
    pub(in crate::session) fn itself(decision: &Judgement) -> Self {
        Self { statement: decision.clone(), rows: None }
    }

    /// A statement that runs what was decided under another name.
    pub(in crate::session) fn of(statement: &Judgement, rows: &Judgement) -> Self {
        Self { statement: statement.clone(), rows: (!statement.is(rows)).then(|| rows.clone()) }
    }

    /// Whether the rows are the statement's own.
    pub(in crate::session) fn is_itself(&self) -> bool {
        self.rows.is_none()
    }

    /// The statement itself: its text, its effect.
    pub(in crate::session) fn statement(&self) -> &Judgement {
        &self.statement
    }

    /// The statement whose rows come back.
    pub(in crate::session) fn rows(&self) -> &Judgement {
        self.rows.as_ref().unwrap_or(&self.statement)
    }

    /// For whom, why and under which policies the rows are read.
    pub(in crate::session) fn scope(&self) -> &Arc<Scope> {
        self.rows().scope()
    }

    /// Whether the rows are read for whom that is decided.
    pub(in crate::session) fn is_for(&self, other: &Judgement) -> bool {
        self.scope().who == other.scope().who
    }

    /// Why the rows are read.
    pub(in crate::session) fn purpose(&self) -> &str {
        &self.scope().purpose
    }

    /// What the log says about the rows.
    pub(in crate::session) fn report(&self) -> &AccessReport {
        self.rows().enforced.report()
    }

    /// How many hidden columns the rows have.
    pub(in crate::session) fn hidden(&self) -> usize {
        hidden_columns(&self.statement, self.rows())
    }

    /// Whether it brings rows of its own: PREPARE brings none, and FETCH those of a cursor that was counted when it was
    /// declared.
    pub(in crate::session) fn brings_rows(&self) -> bool {
        self.statement.enforced.effect().runs()
    }

    /// What it reads without its subjects being known.
    pub(in crate::session) fn aggregates(&self) -> impl Iterator<Item = &Disclosed> {
        let disclosure = self.rows().enforced.disclosure();
        let effect = self.statement.enforced.effect();
        // EXPLAIN ANALYZE EXECUTE and MOVE count rows; whether one fails that is held is told when the transaction ends.
        let counts = self.statement.enforced.shows_plan() || effect.moves() || effect.holds();
        let later = effect.reads_later() && !effect.holds();
        let rows = if counts && !later { disclosure.rows.as_slice() } else { &[] };
        let aggregate = if later { &[] } else { disclosure.aggregate.as_slice() };
        rows.iter().chain(aggregate)
    }

    /// All that it may read of people, for an error tells of a row as well.
    pub(in crate::session) fn everything(&self) -> impl Iterator<Item = &Disclosed> {
        let disclosure = self.rows().enforced.disclosure();
        let effect = self.statement.enforced.effect();
        let now = !effect.reads_later() || effect.holds();
        disclosure.rows.iter().chain(&disclosure.aggregate).filter(move |_| now)
    }

    /// Whether the database may begin a COPY for it.
    pub(in crate::session) fn copies(&self, incoming: bool) -> bool {
        let enforced = &self.statement.enforced;
        enforced.guard().is_unrestricted() || enforced.effect().copies(incoming)
    }
}

/// How many hidden columns the rows have of a statement that runs what was decided under another name, or itself.
pub(super) fn hidden_columns(statement: &Judgement, rows: &Judgement) -> usize {
    // EXPLAIN EXECUTE shows the plan of what was prepared, not its rows.
    if statement.enforced.shows_plan() { 0 } else { rows.enforced.disclosure().hidden.len() }
}

/// A statement that was decided, and under what.
#[derive(Debug, Clone)]
pub(in crate::session) struct Judged {
    pub(in crate::session) text: Arc<str>,
    pub(in crate::session) decision: Judgement,
    /// What the statement's own comment states.
    pub(in crate::session) stated: Option<Arc<Stated>>,
}

impl Judged {
    pub(in crate::session) fn into_prepared(self, types: Option<Vec<u8>>) -> Prepared {
        Prepared::new(self.text, types, self.decision, self.stated)
    }
}
