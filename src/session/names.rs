//! Prepared statements and portals by name, as the database will have them.
//!
//! A name is taken when its message is forwarded, so that the next message of a pipeline finds it; what an error makes
//! void is undone in reverse order.

use std::collections::HashMap;
use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::enforcer::{Decision, Scope};
use crate::audit::LookedUp;

/// A prepared statement, by Parse or by PREPARE.
#[derive(Debug)]
pub(super) struct Prepared {
    /// The client's text, from which it can be decided again; empty for a statement of no text.
    pub(super) text: String,
    /// Count and oids of the parameters' types; `None` for PREPARE.
    pub(super) types: Option<Vec<u8>>,
    /// `None` for a statement of no text.
    pub(super) decision: Option<Arc<Decision>>,
    /// Under what it was decided.
    pub(super) scope: Arc<Scope>,
    /// The purpose was stated in the statement's own comment.
    pub(super) stated: bool,
    described: AtomicBool,
    described_in: AtomicU64,
}

impl Prepared {
    pub(super) fn new(
        text: String,
        types: Option<Vec<u8>>,
        decision: Option<Arc<Decision>>,
        scope: Arc<Scope>,
        stated: bool,
    ) -> Self {
        let (described, described_in) = (AtomicBool::new(false), AtomicU64::new(0));
        Self { text, types, decision, scope, stated, described, described_in }
    }

    /// A Describe was forwarded in this segment.
    pub(super) fn describing(&self, segment: u64) {
        self.described_in.store(segment, Ordering::Relaxed);
    }

    /// Its row description came back and was in order.
    pub(super) fn described(&self) {
        self.described.store(true, Ordering::Relaxed);
    }

    /// Whether rows may come without another Describe: the row description was seen, or will be before them.
    pub(super) fn is_described(&self, segment: u64) -> bool {
        self.described.load(Ordering::Relaxed) || self.described_in.load(Ordering::Relaxed) == segment
    }
}

/// A portal, by Bind or by DECLARE CURSOR.
#[derive(Debug, Clone)]
pub(super) struct Portal {
    pub(super) prepared: Arc<Prepared>,
    /// WITH HOLD: outlives its transaction.
    pub(super) hold: bool,
    /// The exchange in which it was opened.
    pub(super) exchange: u64,
    /// What each run of it looks up.
    pub(super) lookups: Arc<[LookedUp]>,
}

/// What a message took or freed, to be undone if it does not happen.
#[derive(Debug)]
pub(super) enum Undo {
    Statement(String, Option<Arc<Prepared>>),
    Portal(String, Option<Portal>),
    Statements(HashMap<String, Arc<Prepared>>),
    Portals(HashMap<String, Portal>),
}

/// Names that one session may hold.
const MAX_NAMES: usize = 20_000;
/// Bytes of text that their statements may have together; each is held four times, as sent, as it runs and for the log.
const MAX_TEXT: usize = 3 * 1024 * 1024;

/// All names of a session.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// Bytes of text in both maps, at least.
    text: usize,
    statements: HashMap<String, Arc<Prepared>>,
    portals: HashMap<String, Portal>,
}

impl Names {
    pub(super) fn statement(&self, name: &str) -> Option<&Arc<Prepared>> {
        self.statements.get(name)
    }

    pub(super) fn portal(&self, name: &str) -> Option<&Portal> {
        self.portals.get(name)
    }

    /// Whether no more statements are taken.
    pub(super) fn is_full(&mut self) -> bool {
        if self.text > MAX_TEXT {
            // What was forgotten meanwhile still counts: count anew.
            let statements = self.statements.values().map(|prepared| prepared.text.len());
            let portals = self.portals.values().map(|portal| portal.prepared.text.len());
            self.text = statements.chain(portals).sum();
        }
        self.text > MAX_TEXT || self.statements.len().saturating_add(self.portals.len()) >= MAX_NAMES
    }

    pub(super) fn prepare(&mut self, name: &str, prepared: Arc<Prepared>) -> Undo {
        self.text = self.text.saturating_add(prepared.text.len());
        Undo::Statement(name.to_owned(), self.statements.insert(name.to_owned(), prepared))
    }

    pub(super) fn bind(&mut self, name: &str, portal: Portal) -> Undo {
        Undo::Portal(name.to_owned(), self.portals.insert(name.to_owned(), portal))
    }

    pub(super) fn forget_statement(&mut self, name: &str) -> Undo {
        Undo::Statement(name.to_owned(), self.statements.remove(name))
    }

    pub(super) fn forget_portal(&mut self, name: &str) -> Undo {
        Undo::Portal(name.to_owned(), self.portals.remove(name))
    }

    pub(super) fn forget_statements(&mut self) -> Undo {
        Undo::Statements(mem::take(&mut self.statements))
    }

    pub(super) fn forget_portals(&mut self) -> Undo {
        Undo::Portals(mem::take(&mut self.portals))
    }

    /// The transaction is over: only cursors WITH HOLD stay.
    pub(super) fn end_transaction(&mut self) {
        if !self.portals.is_empty() {
            self.portals.retain(|_, portal| portal.hold);
        }
    }

    pub(super) fn undo(&mut self, undo: Undo) {
        match undo {
            Undo::Statement(name, Some(prepared)) => drop(self.statements.insert(name, prepared)),
            Undo::Statement(name, None) => drop(self.statements.remove(&name)),
            Undo::Portal(name, Some(portal)) => drop(self.portals.insert(name, portal)),
            Undo::Portal(name, None) => drop(self.portals.remove(&name)),
            Undo::Statements(statements) => self.statements = statements,
            Undo::Portals(portals) => self.portals = portals,
        }
    }
}
