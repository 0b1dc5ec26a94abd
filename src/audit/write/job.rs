//! What is handed to the writer.

use std::ops::Deref;

use tokio::sync::oneshot;

use super::numbers::Numbers;
use crate::audit::record::{AuditError, Body};

/// The numbers that records got.
pub(in crate::audit) type Answer = Result<Numbers, AuditError>;

/// Records that stand or fall together. One alone asks for no memory.
#[derive(Debug)]
pub(in crate::audit) enum Bodies {
    One(Body),
    Some(Vec<Body>),
}

impl Deref for Bodies {
    type Target = [Body];

    fn deref(&self) -> &[Body] {
        match self {
            Self::One(body) => std::slice::from_ref(body),
            Self::Some(bodies) => bodies,
        }
    }
}

/// Who is answered.
#[derive(Debug)]
pub(in crate::audit) enum Asker {
    /// Nobody waits.
    Nobody,
    /// Whoever holds the other end.
    Waits(oneshot::Sender<Answer>),
    /// Whoever has it written.
    Here,
}

/// Records, and who waits for them.
#[derive(Debug)]
pub(in crate::audit) struct Job {
    pub(in crate::audit) bodies: Bodies,
    pub(in crate::audit) asker: Asker,
}

impl Job {
    /// That nobody waits for.
    pub(in crate::audit) fn noted(body: Body) -> Self {
        Self { bodies: Bodies::One(body), asker: Asker::Nobody }
    }

    /// Whether somebody waits for it.
    pub(in crate::audit) fn is_awaited(&self) -> bool {
        match self.asker {
            Asker::Nobody => false,
            Asker::Waits(_) | Asker::Here => true,
        }
    }
}

impl AsRef<[Body]> for Job {
    fn as_ref(&self) -> &[Body] {
        &self.bodies
    }
}
