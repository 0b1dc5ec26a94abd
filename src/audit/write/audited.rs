//! Proof that something stands in the log: what may run, and what is refused.
//!
//! INVARIANT I3: Logged before forwarded: nothing but an append that succeeded makes an `Audited`.

use crate::audit::record::AuditError;
use crate::error::{Refusal, SqlState};

/// A value whose `access` record stands in the log, as far as [`Sync`](super::options::Sync) promises. Only
/// [`AuditLog`](super::log::AuditLog) makes one, so what was not logged cannot be forwarded:
///
/// ```compile_fail,E0451
/// let forged = pgpurpose::audit::Audited { what: "SELECT 1", seq: 1 };
/// ```
///
/// ```compile_fail,E0624
/// let forged = pgpurpose::audit::Audited::new("SELECT 1", 1);
/// ```
#[derive(Debug)]
#[must_use = "a logged statement waits to be forwarded"]
pub struct Audited<T> {
    what: T,
    seq: u64,
}

impl<T> Audited<T> {
    pub(super) fn new(what: T, seq: u64) -> Self {
        Self { what, seq }
    }

    /// Number of the `access` record; the `outcome` record names it.
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// What was logged.
    pub fn get(&self) -> &T {
        &self.what
    }

    /// What was logged, without the proof.
    pub fn into_inner(self) -> T {
        self.what
    }
}

/// A refusal whose record stands in the log, or that says that the log cannot be written: nothing else is told to a client whose
/// statement does not run.
///
/// ```compile_fail,E0423
/// fn unlogged(refusal: pgpurpose::error::Refusal) -> pgpurpose::audit::Logged {
///     pgpurpose::audit::Logged(refusal)
/// }
/// ```
#[derive(Debug)]
#[must_use = "the client is to be told"]
pub struct Logged(Refusal);

impl Logged {
    /// Of a record with this number; who is refused for want of a right is told the number, by which the record is found.
    pub(super) fn new(mut refusal: Refusal, seq: u64) -> Self {
        if refusal.sqlstate == SqlState::INSUFFICIENT_PRIVILEGE {
            let record = format!("record {seq} of the access log");
            refusal.detail = Some(refusal.detail.map_or(record.clone(), |detail| format!("{detail}; {record}")));
        }
        Self(refusal)
    }

    /// Instead of what could not be logged.
    pub fn unwritten(error: &AuditError) -> Self {
        Self(error.refusal())
    }

    /// What the client is told.
    pub fn refusal(&self) -> &Refusal {
        &self.0
    }

    /// The same in a longer text, in which so many characters stand before the statement.
    pub fn behind(self, characters: usize) -> Self {
        Self(self.0.behind(characters))
    }

    /// The same with what PostgreSQL's grammar says of a longer text, where it was told in the grammar's words: `say` says it, and where.
    pub fn told_of(self, say: impl FnOnce() -> Option<(String, Option<usize>)>) -> Self {
        let said = self.0.in_its_words().and_then(|_| say());
        Self(match said {
            Some((words, position)) => self.0.told(words).at(position),
            None => self.0,
        })
    }

    /// For tests of what only passes one on.
    #[cfg(test)]
    pub(crate) fn of_a_test(refusal: Refusal) -> Self {
        Self(refusal)
    }
}
