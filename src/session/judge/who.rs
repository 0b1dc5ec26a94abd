//! On whose behalf a run is: the application's end user, and the reason that was given.
//!
//! INVARIANT I12: One scope a run: an actor stands in the scope that a statement is decided under, so that no record, filter or
//! disclosure of a run can have another, and none outlives the session, transaction or statement that it was said for.

use std::sync::Arc;

use crate::audit::SubjectKey;
use crate::policy::{ActorRule, Role};
use crate::session::flow::settings::Settings;
use crate::sql::{Said, Stated};

/// Actor and ticket of a run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(in crate::session) struct Who {
    /// The application's end user, as it was said.
    pub(in crate::session) actor: Option<String>,
    /// Why.
    pub(in crate::session) ticket: Option<String>,
    /// The actor as the log names it.
    pub(in crate::session) written: Option<String>,
}

impl Who {
    /// What is said first counts: by the statement's own comment, by the session, by the name of its application. `key`: the log has
    /// pseudonyms by it.
    pub(in crate::session) fn of(
        stated: Option<&Stated>,
        settings: &Settings,
        role: &Role,
        key: Option<&SubjectKey>,
    ) -> Self {
        let local = match role.actor.rule {
            ActorRule::Each => true,
            ActorRule::Free | ActorRule::Required => false,
        };
        let from = role.actor.from.as_ref().filter(|_| !local);
        let (by_name, by_name_why) =
            from.map(|from| from.read(settings.said(Said::Application).unwrap_or_default())).unwrap_or_default();
        let session = |what| if local { settings.said_in_transaction(what) } else { settings.said(what) };
        let first = |stated: Option<&String>, what: Said, by_name: Option<String>| {
            let said = stated.map(String::as_str).or_else(|| session(what)).map(str::to_owned).or(by_name);
            // Empty is nobody, whatever is said elsewhere.
            said.filter(|said| !said.is_empty())
        };
        let actor = first(stated.and_then(|stated| stated.actor.as_ref()), Said::Actor, by_name);
        let ticket = first(stated.and_then(|stated| stated.ticket.as_ref()), Said::Ticket, by_name_why);
        let written = actor.as_ref().map(|actor| key.map_or_else(|| actor.clone(), |key| key.actor(actor)));
        Self { actor, ticket, written }
    }
}

/// What two say, the run before what it runs.
pub(in crate::session) fn over(run: Option<&Arc<Stated>>, own: Option<&Arc<Stated>>) -> Option<Arc<Stated>> {
    match (run, own) {
        (None, own) => own.cloned(),
        (Some(run), None) => Some(Arc::clone(run)),
        (Some(run), Some(own)) => Some(Arc::new(run.or(own))),
    }
}
