//! What the client is told of what does not run. A refusal is told as [`Logged`] alone, and in this file alone.
//!
//! INVARIANT I3: A refusal goes to the client only as `Logged`: its record stands in the log, or the log cannot be written.

use crate::audit::Logged;
use crate::error::{Refusal, SqlState, Stage};
use crate::session::flow::Refused;
use crate::session::state::Session;
use crate::upstream::Control;
use crate::wire::{ErrorFields, own};

impl Session {
    /// Answers with an error in protocol order. `simple`: ReadyForQuery follows; else everything up to the client's
    /// Sync is dropped.
    ///
    /// Where the database has part of the pipeline or an open transaction, it gets a message that fails, so that it
    /// rolls back what PostgreSQL would roll back, and its error is replaced by this one.
    pub(in crate::session) fn refuse(&mut self, refusal: Logged, simple: bool) {
        match self.flow.refuse(refusal, simple) {
            Refused::Now(refusal, status) => {
                match self.flow.has_failed().then(|| aborted(&refusal, simple)).flatten() {
                    Some(aborted) => ErrorFields::refusal("ERROR", &aborted).encode(b'E', &mut self.client.out),
                    None => self.say(&refusal),
                }
                if let Some(status) = status {
                    own::ready(&mut self.client.out, status);
                }
            }
            Refused::InOrder { sync } => {
                self.upstream.control(Control::Refuse);
                if sync {
                    self.upstream.control(Control::Sync);
                }
            }
        }
    }

    /// Tells a refusal now.
    pub(super) fn say(&mut self, refusal: &Logged) {
        ErrorFields::refusal("ERROR", refusal.refusal()).encode(b'E', &mut self.client.out);
    }

    /// Why the session ends: the record of its end says it too.
    pub(super) fn say_fatal(&mut self, refusal: &Refusal) {
        // In the middle of a message nothing can be said.
        if self.outbound.passing == 0 {
            ErrorFields::refusal("FATAL", refusal).encode(b'E', &mut self.client.out);
        }
    }

    /// An error of the database's in our words: the run that it ends has a record, and its outcome the same SQLSTATE.
    pub(super) fn in_place_of(error: &Refusal) -> ErrorFields {
        ErrorFields::refusal("ERROR", error)
    }
}

/// What PostgreSQL says first in a transaction that failed: it reads a statement there, and looks for no name. What a policy refuses is
/// told all the same.
fn aborted(refusal: &Logged, simple: bool) -> Option<Refusal> {
    if refusal.refusal().stage != Stage::Resolve || refusal.refusal().sqlstate == SqlState::INSUFFICIENT_PRIVILEGE {
        return None;
    }
    let words = "current transaction is aborted, commands ignored until end of transaction block";
    let said_by = if simple { "exec_simple_query" } else { "exec_parse_message" };
    let aborted = Refusal::new(Stage::Session, SqlState::IN_FAILED_SQL_TRANSACTION, words);
    Some(aborted.said_by("postgres.c", said_by))
}
