//! What a session sees of the database's structure that others do not: what its open transaction changed, and its temporary
//! relations.
//!
//! After a statement that may change the structure, the session asks the database, on its own connection and before it decides
//! anything else, what has changed since the shared snapshot. So what it decides by is what its transaction sees, and
//! nobody else decides by it.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::pending::Expect;
use super::{Copying, Flow};
use crate::catalog::{Catalog, CatalogStore, FilledFor, Oid, Question, Told, Touched, Unapplied, Unread};
use crate::policy::ActorUse;
use crate::session::judge::enforcer::Judgement;
use crate::sql::{Effect, Enforced};
use crate::wire::backend::Status;

/// Epochs of snapshots that belong to one session; those of shared ones are far below.
static OWN_EPOCH: AtomicU64 = AtomicU64::new(1 << 62);
/// Statements in which the structure is asked for: the search path is set aside, what has changed, the path is put back.
pub(in crate::session) const STATEMENTS: usize = 3;
/// Which of them, counted from the end, tells the changes.
const TELLS: usize = 2;
/// Names of temporary relations that were refused which are kept in mind.
const REFUSED: usize = 1000;

/// The state.
#[derive(Debug, Default)]
pub(in crate::session) struct Structure {
    /// The epoch of the shared snapshot it was made from, and the session's own.
    own: Option<(u64, Arc<Catalog>)>,
    /// A statement may have changed what the session sees.
    stale: bool,
    /// In what, since the database was asked last.
    touched: Unread,
    /// The answer to that was that there is more.
    within: bool,
    /// The session has temporary relations, or may have.
    temporary: bool,
    /// Its last temporary relation went in the open transaction, and comes back where that is rolled back.
    parted: bool,
    /// By temporary relation, for what governed rows went into it.
    filled: HashMap<Oid, BTreeSet<FilledFor>>,
    /// The same for relations that are made and not read yet.
    filling: BTreeSet<FilledFor>,
    /// Temporary relations that were refused: their names mean no permanent one.
    refused: BTreeSet<String>,
    /// On the heap, since few sessions read at a time.
    reading: Option<Box<Reading>>,
    /// A statement may have taken away what a pooler did not take at start-up.
    unset: bool,
    /// Answers CloseComplete that are to come until it is set again.
    setting: u8,
    /// A transaction that had failed was left since the database last told its state.
    recovered: bool,
    /// The statements that the database has.
    prepared: Prepared,
    /// What is left of a message of several statements, which are decided as they run; characters before each.
    batch: Option<VecDeque<(String, usize)>>,
    /// Characters before the one that runs.
    before_step: usize,
}

/// Which of its own statements the database has: those about the path, and one for each [`Asked`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::session) struct Prepared {
    /// The search path is set aside and put back.
    pub(in crate::session) path: bool,
    changed: bool,
    plain: bool,
    within: bool,
}

/// What the database is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::session) enum Asked {
    /// All that has changed since a transaction.
    Changed(u32),
    /// About a part.
    Part(Question),
}

/// An answer that is being read.
#[derive(Debug)]
struct Reading {
    /// The shared snapshot.
    base: Arc<Catalog>,
    /// What the answer is about a part of; `None` where it tells all that has changed since the shared one.
    of: Option<Arc<Catalog>>,
    rows: Vec<(String, Option<String>)>,
    /// Answers CloseComplete that are to come: for each statement that the database did not have one, and then one for each.
    left: usize,
}

impl Structure {
    /// What the session decides by.
    pub(in crate::session) fn catalog(&self, shared: &CatalogStore) -> Arc<Catalog> {
        self.own.as_ref().map_or_else(|| shared.current(), |(_, own)| Arc::clone(own))
    }

    /// Whether that is what the session decides by.
    pub(in crate::session) fn is_current(&self, shared: &CatalogStore, catalog: &Arc<Catalog>) -> bool {
        match &self.own {
            Some((_, own)) => Arc::ptr_eq(own, catalog),
            None => shared.is_current(catalog),
        }
    }

    /// Whether the database must be asked before anything else is decided.
    pub(in crate::session) fn is_due(&self, shared: &CatalogStore) -> bool {
        let older = || self.own.as_ref().is_some_and(|(epoch, _)| *epoch != shared.current().epoch());
        self.reading.is_none() && (self.stale || older())
    }

    /// Whether a statement may have taken away settings of the session's start.
    pub(in crate::session) fn is_unset(&self) -> bool {
        self.unset
    }

    /// It did not, or they are being set again: so many CloseComplete end the answer.
    pub(in crate::session) fn sets(&mut self, closed: u8) {
        (self.unset, self.setting) = (false, closed);
    }

    /// Whether statements of one message must be decided one by one, since each may see another structure.
    pub(in crate::session) fn is_own(&self) -> bool {
        self.own.is_some() || self.stale
    }

    /// A statement is about to run.
    pub(in crate::session) fn runs(&mut self, enforced: &Enforced) {
        self.temporary |= enforced.makes_temporary();
        match enforced.effect() {
            Effect::Define => self.touches(enforced.touched()),
            Effect::ResetAll => self.unset = true,
            Effect::DiscardAll => {
                self.unset = true;
                self.touches_all_own();
                self.prepared = Prepared::default();
                self.refused.clear();
            }
            Effect::Deallocate(None) => self.prepared = Prepared::default(),
            Effect::Commit { .. } | Effect::Rollback { .. } | Effect::RollbackTo(_) => {
                self.touches_all_own();
                self.recovered = true;
            }
            Effect::None
            | Effect::Begin
            | Effect::Savepoint(_)
            | Effect::Release(_)
            | Effect::SetPurpose { .. }
            | Effect::Say { .. }
            | Effect::SetSearchPath { .. }
            | Effect::SetRole { .. }
            | Effect::Prepare(_)
            | Effect::Execute(_)
            | Effect::Deallocate(Some(_))
            | Effect::Declare { .. }
            | Effect::Fetch { .. }
            | Effect::CloseCursor(_)
            | Effect::CopyIn
            | Effect::CopyOut => {}
        }
    }

    fn touches(&mut self, touched: &Touched) {
        self.stale |= !touched.is_nothing();
        self.touched.add(touched);
    }

    /// What the session alone sees may all be another.
    fn touches_all_own(&mut self) {
        if self.is_own() {
            self.touches(&Touched::Everything);
        }
    }

    /// A statement was decided for a purpose: the temporary relations that it fills with governed rows are that purpose's from
    /// here on, and the actor's where rows are each actor's own, whether it runs or not.
    pub(in crate::session) fn fills(&mut self, decision: &Judgement) {
        let (fills, scope) = (decision.enforced.fills(), decision.scope());
        if !fills.made && fills.relations.is_empty() {
            return;
        }
        let actor = match scope.policies.actor_use(&scope.role.name, &scope.purpose) {
            ActorUse::Value => Some(scope.who.actor.clone().unwrap_or_default()),
            ActorUse::Nothing | ActorUse::Presence => None,
        };
        let filled = FilledFor { purpose: scope.purpose.clone(), actor };
        if fills.made {
            self.filling.insert(filled.clone());
        }
        let mut news = false;
        for oid in &fills.relations {
            news |= self.filled.entry(*oid).or_default().insert(filled.clone());
        }
        if news && let Some((base, own)) = self.own.take() {
            let own = own.with_private(&self.filled, &self.refused, next_epoch());
            self.own = Some((base, Arc::new(own)));
        }
    }

    /// A temporary relation of this name was not made.
    pub(in crate::session) fn refuse(&mut self, name: String) {
        if self.refused.len() < REFUSED {
            self.refused.insert(name);
            self.temporary = true;
            self.touches(&Touched::Everything);
        }
    }

    /// Whether the database can be asked though its transaction had failed.
    pub(in crate::session) fn is_recovered(&self) -> bool {
        self.recovered
    }

    /// The database told the state of its transaction; `idle`: none is open.
    pub(in crate::session) fn told(&mut self, idle: bool) {
        self.recovered = false;
        if idle && std::mem::take(&mut self.parted) {
            self.temporary = true;
            self.touches(&Touched::Everything);
        } else if idle && !self.temporary {
            (self.own, self.stale, self.touched, self.within) = (None, false, Unread::default(), false);
            self.filling.clear();
            self.filled.clear();
        }
    }

    /// The database is asked: what, and whether it has the statements for it already. `None` where the shared snapshot
    /// was not read from a server.
    pub(in crate::session) fn ask(&mut self, shared: &CatalogStore) -> Option<(Asked, Prepared, bool)> {
        let base = shared.current();
        let since = base.since()?;
        // Where others have changed something meanwhile, what the session sees has to be made anew from what they see.
        let of = match &self.own {
            Some((epoch, own)) => (*epoch == base.epoch()).then(|| Arc::clone(own)),
            None => Some(Arc::clone(&base)),
        };
        let part = of.and_then(|of| Some((of.question(self.touched.touched(), self.within)?, of)));
        let prepared = self.prepared;
        self.prepared.path = true;
        let (asked, has, of) = match part {
            Some((question, of)) => {
                let has = if question.within { &mut self.prepared.within } else { &mut self.prepared.plain };
                (Asked::Part(question), std::mem::replace(has, true), Some(of))
            }
            None => (Asked::Changed(since), std::mem::replace(&mut self.prepared.changed, true), None),
        };
        let of_path = if prepared.path { 0 } else { STATEMENTS - 1 };
        let left = of_path + usize::from(!has) + STATEMENTS;
        self.reading = Some(Box::new(Reading { base, of, rows: Vec::new(), left }));
        Some((asked, prepared, has))
    }

    /// A row of an answer came.
    pub(in crate::session) fn row(&mut self, values: Vec<Option<String>>) {
        let Some(reading) = &mut self.reading else { return };
        let mut values = values.into_iter();
        if reading.left == TELLS
            && let (Some(Some(word)), Some(text)) = (values.next(), values.next())
        {
            reading.rows.push((word, text));
        }
    }

    /// One of the statements is answered; whether all are.
    ///
    /// # Errors
    /// What was read says nothing.
    pub(in crate::session) fn answered(&mut self) -> Result<bool, Unapplied> {
        if let Some(left) = self.setting.checked_sub(1) {
            self.setting = left;
            return Ok(left == 0);
        }
        let Some(reading) = &mut self.reading else { return Err(Unapplied::Unreadable) };
        reading.left = reading.left.saturating_sub(1);
        if reading.left > 0 {
            return Ok(false);
        }
        let Some(reading) = self.reading.take() else { return Err(Unapplied::Unreadable) };
        let Reading { base, of, rows, .. } = *reading;
        let own = match of.map(|of| of.told(&rows, next_epoch(), false)) {
            None => base.changed(&rows, next_epoch(), false)?,
            Some(Ok(Told::Next(own))) => *own,
            // It is still to be asked.
            Some(Ok(Told::More)) if !self.within => {
                self.within = true;
                return Ok(true);
            }
            Some(Ok(Told::More) | Err(_)) => {
                self.touches(&Touched::Everything);
                return Ok(true);
            }
        };
        let had = self.own.as_ref().is_some_and(|(_, before)| before.temporaries().next().is_some());
        self.parted |= had && own.temporaries().next().is_none();
        let filling = std::mem::take(&mut self.filling);
        self.filled.retain(|oid, _| own.is_temporary(*oid));
        for relation in own.temporaries() {
            let known = self.own.as_ref().is_some_and(|(_, before)| before.is_temporary(relation.oid));
            if !known && !filling.is_empty() {
                self.filled.entry(relation.oid).or_default().extend(filling.iter().cloned());
            }
            self.refused.remove(&relation.name.name);
        }
        self.temporary = own.temporaries().next().is_some() || !self.refused.is_empty();
        let own = own.with_private(&self.filled, &self.refused, own.epoch());
        (self.own, self.stale) = (Some((base.epoch(), Arc::new(own))), false);
        (self.touched, self.within) = (Unread::default(), false);
        Ok(true)
    }

    /// A message of several statements begins, which are decided one by one.
    pub(in crate::session) fn begin_batch(&mut self, statements: VecDeque<(String, usize)>) {
        self.batch = Some(statements);
    }

    /// Whether such a message is at work.
    pub(in crate::session) fn in_batch(&self) -> bool {
        self.batch.is_some()
    }

    /// Its next statement.
    pub(in crate::session) fn next_of_batch(&mut self) -> Option<String> {
        let (text, before) = self.batch.as_mut()?.pop_front()?;
        self.before_step = before;
        Some(text)
    }

    /// Characters that stand before the statement at work in the client's message.
    pub(in crate::session) fn before_step(&self) -> usize {
        self.before_step
    }

    /// It is over.
    pub(in crate::session) fn end_batch(&mut self) {
        self.batch = None;
        self.before_step = 0;
    }
}

/// Whether the structure can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::session) enum Asking {
    /// The database would answer nothing.
    Never,
    /// Answers come first; `flush`: the database has to be told to send them.
    Later {
        /// A Flush.
        flush: bool,
    },
    /// Now; `sync`: a Sync ends it, for nothing of the client's is open.
    Now {
        /// A Sync.
        sync: bool,
    },
}

impl<T> Flow<T> {
    /// Whether the structure can be asked for; `recovered`: a transaction that had failed was left.
    pub(in crate::session) fn asking(&mut self, recovered: bool) -> Asking {
        if self.discarding || (self.status == Status::Failed && !recovered) {
            return Asking::Never;
        }
        self.barrier = true;
        if self.pending.is_empty() {
            Asking::Now { sync: !self.segment_open }
        } else {
            Asking::Later { flush: self.segment_open }
        }
    }

    /// It was asked for.
    pub(in crate::session) fn asked(&mut self, sync: bool) {
        self.pending.push(Expect::Structure);
        if sync {
            self.pending.push(Expect::Sync { hidden: true });
        }
    }

    /// Whether the next answer is to that.
    pub(in crate::session) fn is_asking(&mut self) -> bool {
        matches!(self.pending.head(), Some(Expect::Structure))
    }

    /// It is answered.
    pub(in crate::session) fn told_structure(&mut self) {
        self.pending.pop();
    }

    /// The client is not read before what was forwarded is answered.
    pub(in crate::session) fn hold(&mut self) {
        self.barrier = true;
    }

    /// Statements of one message begin, or cease, to run one by one.
    pub(in crate::session) fn step(&mut self, stepping: bool) {
        self.stepping = stepping;
    }

    /// Whether something failed or was refused, and the rest is dropped up to a Sync.
    pub(in crate::session) fn is_discarding(&self) -> bool {
        self.discarding
    }

    /// Whether messages of the extended protocol were forwarded since the last Sync.
    pub(in crate::session) fn is_open(&self) -> bool {
        self.segment_open
    }

    /// Whether the client sends rows of a COPY.
    pub(in crate::session) fn takes_copy(&self) -> bool {
        self.copying == Copying::In
    }
}

fn next_epoch() -> u64 {
    OWN_EPOCH.fetch_add(1, Ordering::Relaxed)
}
