//! Who connects, and what the access log is told of a connection that comes to no session.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::Arc;

use super::gate::Gate;
use super::parameters;
use super::startup::{NoSession, PeerTls};
use crate::audit::{Event, SessionFacts};
use crate::error::{Refusal, SqlState, Stage};
use crate::session::Shared;
use crate::wire::startup::Startup;

/// A connection that has not logged in: what is known of it, and whether its end stands in the access log.
pub(super) struct Attempt {
    pub(super) facts: SessionFacts,
    noted: bool,
}

impl Attempt {
    pub(super) fn new(from: SocketAddr) -> Self {
        let facts = SessionFacts { session: session_id(), client: from.to_string(), ..SessionFacts::default() };
        Self { facts, noted: false }
    }

    /// Takes the names for the log, not longer than PostgreSQL's own.
    pub(super) fn names(&mut self, startup: &Startup) {
        let name = |key: &str| parameters::cut(startup.parameter(key).unwrap_or_default()).to_owned();
        self.facts.login = name("user");
        self.facts.database = name("database");
        self.facts.application = name("application_name");
    }

    /// Notes once that it came to no session.
    pub(super) fn refused(&mut self, shared: &Shared, sqlstate: &str, reason: &str) {
        if std::mem::replace(&mut self.noted, true) {
            return;
        }
        shared.metrics.logins_refused.bump();
        let event = Event::LoginRefused { session: Cow::Borrowed(&self.facts), sqlstate, reason };
        if let Ok(record) = event.record() {
            let address = self.facts.client.rsplit_once(':').map_or(self.facts.client.as_str(), |(host, _)| host);
            shared.audit.note_refused(address, record);
        }
    }
}

/// Whose connection it is.
pub(super) struct Peer<'a> {
    pub(super) from: SocketAddr,
    pub(super) tls: Option<PeerTls>,
    pub(super) gate: &'a Arc<Gate>,
}

impl Peer<'_> {
    /// Whether this login may be tried from here.
    pub(super) fn may_try(&self, login: &str) -> Result<(), NoSession> {
        if self.gate.may_try(self.from.ip(), login) {
            return Ok(());
        }
        let message = "too many failed logins";
        let refusal = Refusal::new(Stage::Session, SqlState::INVALID_AUTHORIZATION, message);
        Err(NoSession::Refused(refusal.hint("try again in a minute")))
    }
}

/// As PostgreSQL says it.
pub(super) fn too_many() -> Refusal {
    Refusal::new(Stage::Session, SqlState::TOO_MANY_CONNECTIONS, "sorry, too many clients already")
}

/// 128 random bits in hexadecimal.
fn session_id() -> String {
    format!("{:032x}", rand::random::<u128>())
}
