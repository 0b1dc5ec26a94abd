//! Puts the exceptions of the file in force, takes them out again, and writes both into the access log.

use std::io;
use std::path::Path;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::grants::{Grant, Grants};
use crate::audit::{Event, Filter, search};
use crate::policy::{Granted, PolicySet};
use crate::session::Shared;

/// The clock may have been set back by so much between a grant and its end.
const SLACK: SignedDuration = SignedDuration::from_hours(1);

/// What of the file is in force.
#[derive(Debug)]
pub(super) struct Exceptions {
    grants: Grants,
    shared: Arc<Shared>,
    /// The file as it was looked at last, or why it could not be; `None` before the first look.
    seen: Option<Result<Vec<u8>, String>>,
    /// The file as it held last: it only grows, so whatever comes begins with that.
    held: Vec<u8>,
    /// In force, and so in the log.
    known: Vec<Granted>,
    /// In force no longer, which the log does not hold yet.
    owed: Vec<Granted>,
    /// The next look is one though the file is the same.
    again: bool,
    /// Why none is in force, once the log has it.
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
        let (held, known, owed) = (Vec::new(), Vec::new(), Vec::new());
        Self { grants, shared, seen: None, held, known, owed, again: false, trouble: None }
    }

    /// Those that are in force, for policies that are loaded again; what these do not take they leave out.
    pub(super) fn in_force(&self) -> Vec<Granted> {
        self.known.clone()
    }

    /// Other policies may take others.
    pub(super) fn look_again(&mut self) {
        self.again = true;
    }

    /// Looks whether the file has changed, or time has.
    pub(super) async fn look(&mut self) {
        let now = Timestamp::now();
        let read = self.grants.bytes().map_err(|error| self.grants.at(&format!("it cannot be read: {error}")));
        let first = self.seen.is_none();
        let over = self.known.iter().any(|grant| grant.until <= now);
        if self.seen.as_ref() == Some(&read) && !over && !self.again {
            return;
        }
        self.again = false;
        let believed = match &read {
            Ok(bytes) => self.believed(bytes, now).await,
            Err(error) => Err(error.clone()),
        };
        self.seen = Some(read);
        match believed {
            Ok(all) => self.change(&all, now, first).await,
            Err(error) => self.refuse(error).await,
        }
    }

    /// The grants of the file, where it says all that it said before, and nothing that the log says is over.
    async fn believed(&mut self, bytes: &[u8], now: Timestamp) -> Result<Vec<Grant>, String> {
        let (all, _) = self.grants.of_bytes(bytes)?;
        if !bytes.starts_with(&self.held) {
            return Err(self.grants.at("lines that it had are gone or others: no grant is in force"));
        }
        let is_known = |id: &str| self.known.iter().any(|grant| grant.id == id);
        let new = all.iter().filter(|grant| grant.is_open(now) && !is_known(&grant.line.id));
        let new: Vec<(String, Timestamp)> = new.map(|grant| (grant.line.id.clone(), grant.from)).collect();
        let directory = self.shared.audit.directory().to_path_buf();
        let ended = tokio::task::spawn_blocking(move || ended(&directory, &new)).await;
        match ended.map_err(io::Error::other).flatten() {
            Ok(None) => {
                self.held = bytes.to_vec();
                Ok(all)
            }
            Ok(Some(id)) => Err(self.grants.at(&format!(
                "the access log says that `{id}` was ended, and the file does not: no grant is in force"
            ))),
            Err(error) => {
                // It may be read the next time.
                self.again = true;
                let unread = format!("the access log does not say which are over ({error}): no grant is in force");
                Err(self.grants.at(&unread))
            }
        }
    }

    /// Puts in force what is open, each once the log has it, and takes out what is not, whether the log has that or not.
    async fn change(&mut self, all: &[Grant], now: Timestamp, first: bool) {
        self.trouble = None;
        let open = self.of(all, now);
        let is_in = |list: &[Granted], id: &str| list.iter().any(|grant| grant.id == id);
        let of = |id: &str| all.iter().find(|grant| grant.line.id == id);
        let (mut kept, gone): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.known).into_iter().partition(|grant| is_in(&open, &grant.id));
        self.put(&kept);
        let owed = std::mem::take(&mut self.owed).into_iter().filter(|grant| !is_in(&open, &grant.id));
        for granted in owed.chain(gone) {
            let grant = of(&granted.id);
            let what = match grant {
                Some(grant) if grant.ended.is_some() => "ended",
                Some(grant) if grant.until > now => "withdrawn",
                Some(_) | None => "expired",
            };
            if let Err(error) = self.tell(&Change { what, granted: &granted, grant }).await {
                tracing::error!(error, grant = granted.id, "the access log does not hold yet that a grant is over");
                self.owed.push(granted);
            }
        }
        for granted in open {
            if is_in(&kept, &granted.id) {
                continue;
            }
            let what = if first { "in_force" } else { "begun" };
            match self.tell(&Change { what, granted: &granted, grant: of(&granted.id) }).await {
                Ok(()) => kept.push(granted),
                Err(error) => {
                    tracing::error!(error, grant = granted.id, "a grant is not in force, for it could not be logged");
                    self.again = true;
                }
            }
        }
        self.put(&kept);
        self.known = kept;
        self.again |= !self.owed.is_empty();
    }

    /// What is open and means anything under the policies in force.
    fn of(&self, all: &[Grant], now: Timestamp) -> Vec<Granted> {
        let policies = self.shared.policies.load();
        let open = all.iter().filter(|grant| grant.is_open(now)).map(Grant::granted);
        let allowed = open.filter(|grant| match policies.takes(grant) {
            Ok(()) => true,
            Err(why) => {
                tracing::warn!(grant = grant.id, why, "a grant opens nothing");
                false
            }
        });
        allowed.collect()
    }

    fn put(&self, open: &[Granted]) {
        self.shared.policies.rcu(|policies| Arc::new(PolicySet::clone(policies).with_granted(open.to_vec())));
    }

    async fn refuse(&mut self, error: String) {
        self.put(&[]);
        // Those that were ended meanwhile are told as soon as the file holds again.
        self.owed.append(&mut self.known);
        if self.trouble.as_ref() == Some(&error) {
            return;
        }
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
            (self.again, self.trouble) = (true, None);
            return;
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
        self.append(&event).await?;
        tracing::info!(what, grant = granted.id, login = granted.login, purpose = granted.purpose, "grant");
        Ok(())
    }

    async fn append(&self, event: &Event<'_>) -> Result<(), String> {
        let record = event.record().map_err(|error| error.to_string())?;
        self.shared.audit.append(record).await.map(drop).map_err(|error| error.to_string())
    }
}

/// The first of these grants, each with its beginning, that the access log says was ended.
fn ended(directory: &Path, grants: &[(String, Timestamp)]) -> io::Result<Option<String>> {
    let Some(since) = grants.iter().map(|(_, from)| *from).min() else { return Ok(None) };
    let since = since.checked_sub(SLACK).map_err(io::Error::other)?;
    let filter = Filter { event: Some("grant".to_owned()), since: Some(since), ..Filter::default() };
    let mut found = None;
    let effort = search(directory, filter, false, |entry| {
        let is =
            |(id, _): &&(String, Timestamp)| entry.text("grant") == Some(id) && entry.text("what") == Some("ended");
        found = grants.iter().find(is).map(|(id, _)| id.clone());
        found.is_none()
    })?;
    effort.complete()?;
    Ok(found)
}

#[cfg(test)]
mod tests;
