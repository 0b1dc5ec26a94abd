//! Puts the exceptions of the file in force, takes them out again, and writes both into the access log.

use std::sync::Arc;

use jiff::Timestamp;

use super::grants::{Grant, Grants};
use crate::audit::Event;
use crate::policy::{Granted, PolicySet};
use crate::session::Shared;

/// What of the file is in force.
#[derive(Debug)]
pub(super) struct Exceptions {
    grants: Grants,
    shared: Arc<Shared>,
    /// The file as it was looked at last; `None` before the first look.
    seen: Option<Vec<u8>>,
    known: Vec<Granted>,
    /// Why none is in force.
    pub(super) trouble: Option<String>,
}

/// One change, as the log tells of it.
struct Change<'a> {
    what: &'static str,
    granted: &'a Granted,
    grant: Option<&'a Grant>,
}

impl Exceptions {
    pub(super) fn new(grants: Grants, shared: Arc<Shared>) -> Self {
        Self { grants, shared, seen: None, known: Vec::new(), trouble: None }
    }

    /// Those that are in force, for policies that are loaded again.
    pub(super) fn in_force(&self) -> Vec<Granted> {
        self.known.clone()
    }

    /// Looks whether the file has changed, or time has.
    pub(super) async fn look(&mut self) {
        let now = Timestamp::now();
        let bytes = self.grants.bytes().unwrap_or_else(|error| error.to_string().into_bytes());
        let first = self.seen.is_none();
        let over = self.known.iter().any(|grant| grant.until <= now);
        if self.seen.as_ref() == Some(&bytes) && !over {
            return;
        }
        self.seen = Some(bytes);
        let all = match self.grants.all() {
            Ok(all) => all,
            Err(error) => return self.refuse(error).await,
        };
        self.trouble = None;
        let open: Vec<Granted> = self.of(&all, now);
        let is_in = |list: &[Granted], id: &str| list.iter().any(|grant| grant.id == id);
        let of = |id: &str| all.iter().find(|grant| grant.line.id == id);
        let begun = open.iter().filter(|grant| !is_in(&self.known, &grant.id));
        let gone = self.known.iter().filter(|grant| !is_in(&open, &grant.id));
        let mut changes = Vec::new();
        for granted in begun {
            changes.push(Change { what: if first { "in_force" } else { "begun" }, granted, grant: of(&granted.id) });
        }
        for granted in gone {
            let grant = of(&granted.id);
            let ended = grant.is_some_and(|grant| grant.ended.is_some());
            changes.push(Change { what: if ended { "ended" } else { "expired" }, granted, grant });
        }
        self.put(&open);
        for change in &changes {
            if let Err(error) = self.tell(change).await {
                tracing::error!(
                    error,
                    grant = change.granted.id,
                    "a grant is not in force, for it could not be logged"
                );
                let without: Vec<Granted> =
                    open.iter().filter(|grant| grant.id != change.granted.id).cloned().collect();
                self.put(&without);
            }
        }
        self.known = open;
    }

    /// What is open and means anything under the policies in force.
    fn of(&self, all: &[Grant], now: Timestamp) -> Vec<Granted> {
        let policies = self.shared.policies.load();
        let open = all.iter().filter(|grant| grant.is_open(now));
        let allowed = open.filter(|grant| match policies.may_grant(&grant.login, &grant.purpose) {
            Ok(crate::policy::GrantRule::Two) => grant.line.approved_by.is_some(),
            Ok(_) => true,
            Err(why) => {
                tracing::warn!(grant = grant.line.id, why, "a grant opens nothing");
                false
            }
        });
        allowed.map(Grant::granted).collect()
    }

    fn put(&self, open: &[Granted]) {
        self.shared.policies.rcu(|policies| Arc::new(PolicySet::clone(policies).with_granted(open.to_vec())));
    }

    async fn refuse(&mut self, error: String) {
        self.put(&[]);
        self.known.clear();
        tracing::error!(error, "no grant is in force");
        let event = Event::Grant {
            what: "refused",
            grant: "",
            login: None,
            purpose: None,
            until: None,
            reason: Some(&error),
            by: None,
            approved_by: None,
        };
        if let Err(error) = self.append(&event).await {
            tracing::error!(error, "the access log does not hold this");
        }
        self.trouble = Some(error);
    }

    async fn tell(&self, change: &Change<'_>) -> Result<(), String> {
        let Change { what, granted, grant } = change;
        let line = grant.map(|grant| &grant.line);
        let ended = grant.and_then(|grant| grant.ended.as_ref()).filter(|_| *what == "ended");
        let by = ended.map(|(_, by)| by.as_str()).or_else(|| line.map(|line| line.by.as_str()));
        let event = Event::Grant {
            what,
            grant: &granted.id,
            login: Some(&granted.login),
            purpose: Some(&granted.purpose),
            until: Some(format!("{:.6}", granted.until)),
            reason: line.and_then(|line| line.reason.as_deref()),
            by,
            approved_by: line.and_then(|line| line.approved_by.as_deref()),
        };
        tracing::info!(what, grant = granted.id, login = granted.login, purpose = granted.purpose, "grant");
        self.append(&event).await
    }

    async fn append(&self, event: &Event<'_>) -> Result<(), String> {
        let record = event.record().map_err(|error| error.to_string())?;
        self.shared.audit.append(record).await.map(drop).map_err(|error| error.to_string())
    }
}
