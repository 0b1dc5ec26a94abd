//! What statements did to purpose, actor, ticket and search path, as transactions make it last or undo it.

use std::sync::Arc;

use crate::sql::{Effect, Said};

/// One setting.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Setting<T> {
    value: T,
    /// SET LOCAL: until the transaction ends.
    local: Option<T>,
    /// SET LOCAL .. TO DEFAULT: what is in force until the transaction ends was not said in it.
    by_default: bool,
}

impl<T: PartialEq> Setting<T> {
    fn new(value: T) -> Self {
        Self { value, local: None, by_default: false }
    }

    fn now(&self) -> &T {
        self.local.as_ref().unwrap_or(&self.value)
    }

    fn set(&mut self, value: T, local: bool) {
        if local { (self.local, self.by_default) = (Some(value), false) } else { *self = Self::new(value) }
    }

    fn end_local(&mut self) {
        (self.local, self.by_default) = (None, false);
    }
}

/// The values in force at one point.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Values {
    purpose: Setting<String>,
    path: Setting<Vec<String>>,
    actor: Setting<Option<String>>,
    ticket: Setting<Option<String>>,
    application: Setting<Option<String>>,
    /// SET SESSION AUTHORIZATION, and SET ROLE: nobody where they are who logged in.
    authorization: Setting<Option<String>>,
    role: Setting<Option<String>>,
}

impl Values {
    fn said(&self, what: Said) -> &Setting<Option<String>> {
        match what {
            Said::Actor => &self.actor,
            Said::Ticket => &self.ticket,
            Said::Application => &self.application,
        }
    }

    fn said_mut(&mut self, what: Said) -> &mut Setting<Option<String>> {
        match what {
            Said::Actor => &mut self.actor,
            Said::Ticket => &mut self.ticket,
            Said::Application => &mut self.application,
        }
    }

    fn is_local(&self) -> bool {
        let said = [&self.actor, &self.ticket, &self.application].iter().any(|one| one.local.is_some());
        let roles = self.authorization.local.is_some() || self.role.local.is_some();
        said || roles || self.purpose.local.is_some() || self.path.local.is_some()
    }

    fn end_local(&mut self) {
        self.purpose.end_local();
        self.path.end_local();
        for one in [&mut self.actor, &mut self.ticket, &mut self.application, &mut self.authorization, &mut self.role] {
            one.end_local();
        }
    }
}

/// What a connection begins with, besides purpose and search path.
#[derive(Debug, Clone, Default)]
pub struct SaidAtStart {
    /// The application's end user.
    pub actor: Option<String>,
    /// The reason.
    pub ticket: Option<String>,
    /// `application_name`.
    pub application: Option<String>,
}

/// Purpose, actor, ticket, application and search path, transaction-aware: SET is undone by ROLLBACK and ROLLBACK TO, SET LOCAL by the
/// end of the transaction ("SET" in PostgreSQL's documentation).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(in crate::session) struct Settings {
    /// What RESET goes back to.
    start: Arc<Values>,
    /// What ROLLBACK goes back to.
    committed: Arc<Values>,
    now: Arc<Values>,
    savepoints: Vec<(String, Arc<Values>)>,
}

impl Settings {
    /// As the session begins.
    pub(in crate::session) fn new(purpose: String, path: Vec<String>, said: SaidAtStart) -> Self {
        let start = Arc::new(Values {
            purpose: Setting::new(purpose),
            path: Setting::new(path),
            actor: Setting::new(said.actor),
            ticket: Setting::new(said.ticket),
            application: Setting::new(said.application),
            ..Values::default()
        });
        Self { committed: Arc::clone(&start), now: Arc::clone(&start), start, savepoints: Vec::new() }
    }

    /// Whether nothing waits for a transaction's end.
    pub(in crate::session) fn is_settled(&self) -> bool {
        !self.now.is_local() && self.savepoints.is_empty() && self.committed == self.now
    }

    /// The purpose in force.
    pub(in crate::session) fn purpose(&self) -> &str {
        self.now.purpose.now()
    }

    /// What is said of whom the session serves; empty where that is nobody.
    pub(in crate::session) fn said(&self, what: Said) -> Option<&str> {
        self.now.said(what).now().as_deref()
    }

    /// The same, where it was said by SET LOCAL: DEFAULT says nobody.
    pub(in crate::session) fn said_in_transaction(&self, what: Said) -> Option<&str> {
        Some(self.now.said(what)).filter(|said| !said.by_default)?.local.as_ref()?.as_deref()
    }

    /// The search path in force, `$user` not replaced.
    pub(in crate::session) fn path(&self) -> &[String] {
        self.now.path.now()
    }

    /// As whom the database takes the session, where that is not who logged in.
    pub(in crate::session) fn role(&self) -> Option<&str> {
        self.now.role.now().as_deref().or(self.now.authorization.now().as_deref())
    }

    /// Applies what a statement does, once it has run. `rolled_back`: a COMMIT that PostgreSQL answered with ROLLBACK.
    pub(in crate::session) fn apply(&mut self, effect: &Effect, rolled_back: bool) {
        match effect {
            Effect::SetPurpose { purpose, local } => {
                let value = purpose.clone().unwrap_or_else(|| self.start.purpose.value.clone());
                Arc::make_mut(&mut self.now).purpose.set(value, *local);
            }
            Effect::SetSearchPath { path, local } => {
                let value = path.clone().unwrap_or_else(|| self.start.path.value.clone());
                Arc::make_mut(&mut self.now).path.set(value, *local);
            }
            Effect::Say { what, value, local } => {
                let by_default = *local && value.is_none();
                let value = value.clone().or_else(|| self.start.said(*what).value.clone());
                let setting = Arc::make_mut(&mut self.now).said_mut(*what);
                setting.set(value, *local);
                setting.by_default = by_default;
            }
            Effect::SetRole { role, session, local } => {
                let now = Arc::make_mut(&mut self.now);
                if *session {
                    now.authorization.set(role.clone(), *local);
                }
                now.role.set(role.clone().filter(|_| !session), *local);
            }
            // It leaves the session's role ("RESET" in PostgreSQL's documentation, and `GUC_NO_RESET_ALL`).
            Effect::ResetAll => {
                let (authorization, role) = (self.now.authorization.clone(), self.now.role.clone());
                self.now = Arc::new(Values { authorization, role, ..(*self.start).clone() });
            }
            Effect::DiscardAll => self.now = self.start.clone(),
            Effect::Commit { .. } if rolled_back => self.rollback(),
            Effect::Commit { .. } => self.commit(),
            Effect::Rollback { .. } => self.rollback(),
            Effect::Savepoint(name) => self.savepoints.push((name.clone(), self.now.clone())),
            Effect::Release(name) => {
                if let Some(position) = self.find(name) {
                    self.savepoints.truncate(position);
                }
            }
            Effect::RollbackTo(name) => {
                if let Some(position) = self.find(name) {
                    // The savepoint itself stays.
                    self.savepoints.truncate(position.saturating_add(1));
                    if let Some((_, values)) = self.savepoints.last() {
                        self.now = values.clone();
                    }
                }
            }
            Effect::None
            | Effect::Begin
            | Effect::Prepare(_)
            | Effect::Execute(_)
            | Effect::Deallocate(_)
            | Effect::Declare { .. }
            | Effect::Fetch { .. }
            | Effect::CloseCursor(_)
            | Effect::CopyIn
            | Effect::CopyOut
            | Effect::Define => {}
        }
    }

    /// The database is ready and no transaction is open: the implicit one was committed, or rolled back where a
    /// statement failed.
    pub(in crate::session) fn idle(&mut self, failed: bool) {
        if failed { self.rollback() } else { self.commit() }
    }

    fn commit(&mut self) {
        if self.now.is_local() {
            Arc::make_mut(&mut self.now).end_local();
        }
        self.savepoints.clear();
        if self.committed != self.now {
            self.committed = self.now.clone();
        }
    }

    fn rollback(&mut self) {
        self.savepoints.clear();
        if self.committed != self.now {
            self.now = self.committed.clone();
        }
    }

    fn find(&self, name: &str) -> Option<usize> {
        self.savepoints.iter().rposition(|(savepoint, _)| savepoint == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings {
        let said = SaidAtStart { actor: Some("desk".into()), ..SaidAtStart::default() };
        Settings::new("support".into(), vec!["public".into()], said)
    }

    fn set(purpose: &str, local: bool) -> Effect {
        Effect::SetPurpose { purpose: Some(purpose.into()), local }
    }

    #[test]
    fn a_set_is_undone_by_rollback_and_kept_by_commit() {
        let mut s = settings();
        s.apply(&Effect::Begin, false);
        s.apply(&set("billing", false), false);
        assert_eq!(s.purpose(), "billing");
        s.apply(&Effect::Rollback { chain: false }, false);
        assert_eq!(s.purpose(), "support");
        s.apply(&set("billing", false), false);
        s.idle(false);
        s.apply(&Effect::Rollback { chain: false }, false);
        assert_eq!(s.purpose(), "billing");
        s.apply(&Effect::SetPurpose { purpose: None, local: false }, false);
        assert_eq!(s.purpose(), "support");
    }

    #[test]
    fn a_commit_of_a_failed_transaction_is_a_rollback() {
        let mut s = settings();
        s.apply(&set("billing", false), false);
        s.apply(&Effect::Commit { chain: false }, true);
        assert_eq!(s.purpose(), "support");
    }

    #[test]
    fn set_local_ends_with_the_transaction() {
        let mut s = settings();
        s.apply(&set("billing", false), false);
        s.apply(&set("fraud", true), false);
        assert_eq!(s.purpose(), "fraud");
        s.apply(&Effect::Commit { chain: false }, false);
        assert_eq!(s.purpose(), "billing");
    }

    #[test]
    fn rollback_to_a_savepoint_restores_its_values_and_keeps_it() {
        let mut s = settings();
        s.apply(&Effect::Savepoint("a".into()), false);
        s.apply(&set("billing", false), false);
        s.apply(&Effect::Savepoint("a".into()), false);
        s.apply(&set("fraud", true), false);
        s.apply(&Effect::RollbackTo("a".into()), false);
        assert_eq!(s.purpose(), "billing");
        s.apply(&Effect::Release("a".into()), false);
        s.apply(&Effect::RollbackTo("a".into()), false);
        assert_eq!(s.purpose(), "support");
    }

    #[test]
    fn an_actor_is_of_its_transaction_and_goes_with_the_session() {
        let mut s = settings();
        let say =
            |value: Option<&str>, local| Effect::Say { what: Said::Actor, value: value.map(str::to_owned), local };
        s.apply(&say(Some("u1"), true), false);
        assert_eq!(s.said(Said::Actor), Some("u1"));
        s.apply(&Effect::Commit { chain: false }, false);
        assert_eq!(s.said(Said::Actor), Some("desk"));
        s.apply(&say(Some("u2"), false), false);
        s.idle(true);
        assert_eq!(s.said(Said::Actor), Some("desk"), "it was rolled back");
        s.apply(&say(Some("u2"), false), false);
        s.idle(false);
        assert_eq!(s.said(Said::Actor), Some("u2"));
        s.apply(&say(Some(""), false), false);
        assert_eq!(s.said(Said::Actor), Some(""), "nobody");
        s.apply(&Effect::DiscardAll, false);
        assert_eq!(s.said(Said::Actor), Some("desk"));
        assert_eq!(s.said(Said::Ticket), None);
    }

    #[test]
    fn what_goes_back_to_the_start_in_a_transaction_was_not_said_in_it() {
        let mut s = settings();
        let say =
            |value: Option<&str>, local| Effect::Say { what: Said::Actor, value: value.map(str::to_owned), local };
        s.apply(&say(Some("u1"), true), false);
        assert_eq!(s.said_in_transaction(Said::Actor), Some("u1"));
        s.apply(&Effect::Savepoint("a".into()), false);
        s.apply(&say(None, true), false);
        assert_eq!((s.said(Said::Actor), s.said_in_transaction(Said::Actor)), (Some("desk"), None));
        s.apply(&Effect::RollbackTo("a".into()), false);
        assert_eq!(s.said_in_transaction(Said::Actor), Some("u1"));
        s.apply(&say(None, true), false);
        s.apply(&say(Some("u2"), true), false);
        assert_eq!(s.said_in_transaction(Said::Actor), Some("u2"));
    }

    #[test]
    fn a_failed_implicit_transaction_undoes_what_was_not_committed() {
        let mut s = settings();
        s.apply(&set("billing", false), false);
        s.apply(&Effect::Commit { chain: false }, false);
        s.apply(&set("fraud", false), false);
        s.idle(true);
        assert_eq!(s.purpose(), "billing");
    }

    #[test]
    fn discard_all_goes_back_to_the_start() {
        let mut s = settings();
        s.apply(&Effect::SetSearchPath { path: Some(vec!["x".into()]), local: false }, false);
        assert_eq!(s.path(), ["x"]);
        s.apply(&Effect::DiscardAll, false);
        assert_eq!(s.path(), ["public"]);
    }
}
