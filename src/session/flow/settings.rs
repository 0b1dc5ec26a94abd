//! What statements did to purpose and search path, as transactions make it last or undo it.

use std::sync::Arc;

use crate::sql::Effect;

/// The values in force at one point.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Values {
    purpose: String,
    path: Vec<String>,
    /// SET LOCAL: until the transaction ends.
    local_purpose: Option<String>,
    local_path: Option<Vec<String>>,
}

/// Purpose and search path, transaction-aware: SET is undone by ROLLBACK and ROLLBACK TO, SET LOCAL by the end of the
/// transaction ("SET" in PostgreSQL's documentation).
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
    pub(in crate::session) fn new(purpose: String, path: Vec<String>) -> Self {
        let start = Arc::new(Values { purpose, path, ..Values::default() });
        Self { committed: Arc::clone(&start), now: Arc::clone(&start), start, savepoints: Vec::new() }
    }

    /// Whether nothing waits for a transaction's end.
    pub(in crate::session) fn is_settled(&self) -> bool {
        self.now.local_purpose.is_none()
            && self.now.local_path.is_none()
            && self.savepoints.is_empty()
            && self.committed == self.now
    }

    /// The purpose in force.
    pub(in crate::session) fn purpose(&self) -> &str {
        self.now.local_purpose.as_deref().unwrap_or(&self.now.purpose)
    }

    /// The search path in force, `$user` not replaced.
    pub(in crate::session) fn path(&self) -> &[String] {
        self.now.local_path.as_deref().unwrap_or(&self.now.path)
    }

    /// Applies what a statement does, once it has run. `rolled_back`: a COMMIT that PostgreSQL answered with ROLLBACK.
    pub(in crate::session) fn apply(&mut self, effect: &Effect, rolled_back: bool) {
        match effect {
            Effect::SetPurpose { purpose, local } => {
                let value = purpose.clone().unwrap_or_else(|| self.start.purpose.clone());
                let now = Arc::make_mut(&mut self.now);
                if *local {
                    now.local_purpose = Some(value);
                } else {
                    now.purpose = value;
                    now.local_purpose = None;
                }
            }
            Effect::SetSearchPath { path, local } => {
                let value = path.clone().unwrap_or_else(|| self.start.path.clone());
                let now = Arc::make_mut(&mut self.now);
                if *local {
                    now.local_path = Some(value);
                } else {
                    now.path = value;
                    now.local_path = None;
                }
            }
            Effect::ResetAll | Effect::DiscardAll => self.now = self.start.clone(),
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
        if self.now.local_purpose.is_some() || self.now.local_path.is_some() {
            let now = Arc::make_mut(&mut self.now);
            (now.local_purpose, now.local_path) = (None, None);
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
        Settings::new("support".into(), vec!["public".into()])
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
