//! Proof that something stands in the log.
//!
//! INVARIANT I3: Logged before forwarded: nothing but an append that succeeded makes an `Audited`.

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
