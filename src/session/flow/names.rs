//! Prepared statements and portals by name, as the database will have them.
//!
//! A name is taken when its message is forwarded, so that the next message of a pipeline finds it; what an error makes
//! void is undone in reverse order.

use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use super::by_name::ByName;
use crate::audit::LookedUp;
use crate::session::judge::enforcer::{Judgement, Scope};
use crate::sql::Stated;
use crate::upstream::NoText;

/// A prepared statement, by Parse or by PREPARE.
#[derive(Debug)]
pub(in crate::session) struct Prepared {
    /// The client's text, from which it can be decided again; empty for a statement of no text.
    pub(in crate::session) text: Arc<str>,
    /// Count and oids of the parameters' types; `None` for PREPARE.
    pub(in crate::session) types: Option<Vec<u8>>,
    what: What,
    /// What the statement's own comment states.
    pub(in crate::session) stated: Option<Arc<Stated>>,
    described: AtomicBool,
    described_in: AtomicU64,
}

/// What was prepared.
#[derive(Debug)]
enum What {
    Decided(Judgement),
    /// A statement of no text, under what it came.
    Nothing(NoText, Arc<Scope>),
}

impl Prepared {
    pub(in crate::session) fn new(
        text: Arc<str>,
        types: Option<Vec<u8>>,
        decision: Judgement,
        stated: Option<Arc<Stated>>,
    ) -> Self {
        Self::of(text, types, What::Decided(decision), stated)
    }

    fn of(text: Arc<str>, types: Option<Vec<u8>>, what: What, stated: Option<Arc<Stated>>) -> Self {
        let (described, described_in) = (AtomicBool::new(false), AtomicU64::new(0));
        Self { text, types, what, stated, described, described_in }
    }

    /// A statement of no text.
    pub(in crate::session) fn empty(no_text: NoText, scope: Arc<Scope>) -> Self {
        Self::of(Arc::from(""), Some(vec![0, 0]), What::Nothing(no_text, scope), None)
    }

    /// What was decided about it; `None` for a statement of no text.
    pub(in crate::session) fn decision(&self) -> Option<&Judgement> {
        match &self.what {
            What::Decided(decision) => Some(decision),
            What::Nothing(..) => None,
        }
    }

    /// That it has no text.
    pub(in crate::session) fn no_text(&self) -> Option<&NoText> {
        match &self.what {
            What::Decided(_) => None,
            What::Nothing(no_text, _) => Some(no_text),
        }
    }

    /// Under what it was decided.
    pub(in crate::session) fn scope(&self) -> &Arc<Scope> {
        match &self.what {
            What::Decided(decision) => decision.scope(),
            What::Nothing(_, scope) => scope,
        }
    }

    /// A Describe was forwarded in this segment.
    pub(in crate::session) fn describing(&self, segment: u64) {
        self.described_in.store(segment, Ordering::Relaxed);
    }

    /// Its row description came back and was in order.
    pub(in crate::session) fn described(&self) {
        self.described.store(true, Ordering::Relaxed);
    }

    /// Whether rows may come without another Describe: the row description was seen, or will be before them.
    pub(in crate::session) fn is_described(&self, segment: u64) -> bool {
        self.described.load(Ordering::Relaxed) || self.described_in.load(Ordering::Relaxed) == segment
    }
}

/// A portal, by Bind or by DECLARE CURSOR.
#[derive(Debug, Clone)]
pub(in crate::session) struct Portal {
    pub(in crate::session) prepared: Arc<Prepared>,
    /// WITH HOLD: outlives its transaction.
    pub(in crate::session) hold: bool,
    /// The exchange in which it was opened.
    pub(in crate::session) exchange: u64,
    /// What each run of it looks up, where it does.
    pub(in crate::session) lookups: Option<Arc<[LookedUp]>>,
    /// When it was opened, where its rows rest on consent.
    pub(in crate::session) opened: Option<Instant>,
    /// What its Bind had behind the names, where its rows rest on consent: it may have to be opened again.
    pub(in crate::session) values: Option<Arc<[u8]>>,
    /// An Execute of it was forwarded.
    pub(in crate::session) begun: bool,
}

impl Portal {
    /// That is opened now.
    pub(super) fn new(
        prepared: Arc<Prepared>,
        exchange: u64,
        lookups: Option<Arc<[LookedUp]>>,
        values: Option<Arc<[u8]>>,
    ) -> Self {
        let late = prepared.decision().is_some_and(|decision| decision.enforced.rests_on_consent());
        let opened = late.then(Instant::now);
        Self { prepared, hold: false, exchange, lookups, opened, values, begun: false }
    }

    /// Whether each of its rows has the keys by which consent is asked for again.
    pub(in crate::session) fn is_keyed(&self) -> bool {
        self.prepared.decision().is_some_and(|decision| !decision.enforced.recheck().is_empty())
    }
}

/// What a message took or freed, to be undone if it does not happen.
#[derive(Debug)]
pub(in crate::session) enum Undo {
    Statement(String, Option<Arc<Prepared>>),
    Portal(String, Option<Portal>),
    Statements(ByName<Arc<Prepared>>),
    Portals(ByName<Portal>),
}

/// Names that one session may hold.
const MAX_NAMES: usize = 20_000;
/// Bytes of text that their statements may have together; each is held four times, as sent, as it runs and for the log.
const MAX_TEXT: usize = 3 * 1024 * 1024;

/// All names of a session.
#[derive(Debug, Default)]
pub(in crate::session) struct Names {
    /// Bytes of text in both maps, at least.
    text: usize,
    statements: ByName<Arc<Prepared>>,
    portals: ByName<Portal>,
}

impl Names {
    pub(in crate::session) fn statement(&self, name: &str) -> Option<&Arc<Prepared>> {
        self.statements.get(name)
    }

    pub(in crate::session) fn portal(&self, name: &str) -> Option<&Portal> {
        self.portals.get(name)
    }

    /// An Execute of the portal is forwarded.
    pub(in crate::session) fn begin(&mut self, name: &str) {
        if let Some(portal) = self.portals.get_mut(name) {
            portal.begun = true;
        }
    }

    /// Whether a cursor or portal is open whose rows must be asked about again.
    pub(in crate::session) fn any_keyed(&self) -> bool {
        self.portals.values().any(Portal::is_keyed)
    }

    /// Whether no more statements are taken.
    pub(in crate::session) fn is_full(&mut self) -> bool {
        if self.text > MAX_TEXT {
            // What was forgotten meanwhile still counts: count anew.
            let statements = self.statements.values().map(|prepared| prepared.text.len());
            let portals = self.portals.values().map(|portal| portal.prepared.text.len());
            self.text = statements.chain(portals).sum();
        }
        self.text > MAX_TEXT || self.statements.len().saturating_add(self.portals.len()) >= MAX_NAMES
    }

    pub(in crate::session) fn prepare(&mut self, name: &str, prepared: Arc<Prepared>) -> Undo {
        self.text = self.text.saturating_add(prepared.text.len());
        Undo::Statement(name.to_owned(), self.statements.insert(name.to_owned(), prepared))
    }

    pub(in crate::session) fn bind(&mut self, name: &str, portal: Portal) -> Undo {
        Undo::Portal(name.to_owned(), self.portals.insert(name.to_owned(), portal))
    }

    pub(in crate::session) fn forget_statement(&mut self, name: &str) -> Undo {
        Undo::Statement(name.to_owned(), self.statements.remove(name))
    }

    pub(in crate::session) fn forget_portal(&mut self, name: &str) -> Undo {
        Undo::Portal(name.to_owned(), self.portals.remove(name))
    }

    pub(in crate::session) fn forget_statements(&mut self) -> Undo {
        Undo::Statements(mem::take(&mut self.statements))
    }

    pub(in crate::session) fn forget_portals(&mut self) -> Undo {
        Undo::Portals(mem::take(&mut self.portals))
    }

    /// The transaction is over: only cursors WITH HOLD stay.
    pub(in crate::session) fn end_transaction(&mut self) {
        self.portals.retain(|portal| portal.hold);
    }

    pub(in crate::session) fn undo(&mut self, undo: Undo) {
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
