//! The row description is held against the decision.
//!
//! INVARIANT I11: Belt and braces: a row description that names a column which was not opened ends the session before a row.

use crate::catalog::Oid;
use crate::error::{Refusal, SqlState, Stage};
use crate::session::judge::enforcer::Decision;
use crate::session::state::{End, Session};
use crate::wire::backend;

/// Relation and column number of a field that no decision opened.
pub(super) type Stranger = (Oid, i16);

impl Session {
    /// A field of a RowDescription that may not come back for the statement, if there is one: its relation and column.
    ///
    /// # Errors
    /// The description cannot be read.
    pub(super) fn stranger(&self, decision: Option<&Decision>, body: &[u8]) -> Result<Option<Stranger>, End> {
        let mut stranger = None;
        let guard = decision.map(|decision| decision.enforced.guard());
        let read = backend::row_description(body, |table, column| {
            if !guard.is_some_and(|guard| guard.permits(table, column)) {
                stranger = Some((table, column));
            }
        });
        if read.is_err() {
            return Err(End::violation("the database sent a message that cannot be read"));
        }
        Ok(stranger.filter(|_| !self.observes()))
    }

    /// The end of a session whose rows would hold such a column.
    pub(super) fn strange_column(&self, seq: Option<u64>, (table, column): Stranger) -> End {
        let what = format!("the result holds column {column} of relation {table}, which the decision did not open");
        self.incident(seq, &what)
    }

    /// Logs what must never happen, and ends the session before anything of it reaches the client.
    pub(in crate::session) fn incident(&self, seq: Option<u64>, what: &str) -> End {
        self.shared.metrics.incidents.bump();
        self.journal.incident(seq, what);
        End::Fatal(
            Refusal::new(
                Stage::Session,
                SqlState::INSUFFICIENT_PRIVILEGE,
                "the database's answer does not match the decision, so the session was ended",
            )
            .hint("the access log holds the incident"),
        )
    }
}
