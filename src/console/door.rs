//! Who may come in: a password, a certificate, or the token; tries are counted.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use subtle::ConstantTimeEq;

use crate::audit::chain::hex;
use crate::config::{Admin as Settings, Person, Standing};
use crate::server::site::{Limiter, Sessions, random};

/// How long a session lives without being used, and at most.
const IDLE: Duration = Duration::from_secs(30 * 60);
const LONGEST: Duration = Duration::from_secs(10 * 60 * 60);
const QUARTER: Duration = Duration::from_secs(15 * 60);

/// Whoever is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Who {
    /// As the access log names them.
    pub(super) name: String,
    pub(super) standing: Standing,
}

impl Who {
    pub(super) fn of(person: &Person) -> Self {
        Self { name: person.name.clone(), standing: person.standing }
    }

    pub(super) fn is_officer(&self) -> bool {
        match self.standing {
            Standing::Officer => true,
            Standing::Reviewer => false,
        }
    }
}

/// What is kept while somebody is in.
#[derive(Debug, Clone)]
struct Inside {
    who: Who,
    /// What their forms bring along.
    form: String,
}

/// Sessions and tries.
#[derive(Debug)]
pub(super) struct Door {
    sessions: Sessions<Inside>,
    tries_by_address: Limiter<IpAddr>,
    tries_by_name: Limiter<(IpAddr, String)>,
    /// What the form of the log-in brings along.
    entrance: String,
}

impl Door {
    pub(super) fn new() -> Self {
        Self {
            sessions: Sessions::new(IDLE, LONGEST),
            tries_by_address: Limiter::new(60, QUARTER),
            tries_by_name: Limiter::new(10, QUARTER),
            entrance: random(),
        }
    }

    /// What the log-in's form brings along, in the browser that holds this cookie.
    pub(super) fn entrance(&self, cookie: &str) -> String {
        tag(&self.entrance, cookie)
    }

    /// Whether this name may be tried once more from there; it is counted.
    pub(super) fn may_try(&mut self, from: IpAddr, name: &str, now: Instant) -> bool {
        let by_name = self.tries_by_name.take((from, name.chars().take(100).collect()), now);
        self.tries_by_address.take(from, now) && by_name
    }

    /// Somebody is in: gives the cookie from here on.
    pub(super) fn open(&mut self, who: Who, now: Instant) -> String {
        self.sessions.open(Inside { who, form: random() }, now)
    }

    /// Who holds this cookie, and what their forms bring along.
    pub(super) fn session(&mut self, cookie: &str, now: Instant) -> Option<(Who, String)> {
        self.sessions.get(cookie, now).map(|inside| (inside.who.clone(), inside.form.clone()))
    }

    pub(super) fn leave(&mut self, cookie: &str) {
        self.sessions.leave(cookie);
    }
}

fn tag(key: &str, text: &str) -> String {
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, key.as_bytes());
    hex(ring::hmac::sign(&key, text.as_bytes()).as_ref())
}

/// Whether both are the same, in a time that does not say where they differ.
pub(super) fn is_same(a: &str, b: &str) -> bool {
    a.as_bytes().ct_eq(b.as_bytes()).into()
}

/// Whoever has this password. Takes some milliseconds, for a name that nobody has too.
pub(super) fn by_password(settings: &Settings, name: &str, password: &str) -> Option<Who> {
    let person = settings.people.iter().find(|person| person.name == name);
    let verifier = person.and_then(|person| person.verifier.as_ref());
    crate::server::is_password(verifier, password).then(|| person.map(Who::of)).flatten()
}

/// Whoever has this certificate, whose authority was proved.
pub(super) fn by_certificate(settings: &Settings, certificate: Option<&str>) -> Option<Who> {
    let shown = certificate?;
    settings.people.iter().find(|person| person.certificate.as_deref() == Some(shown)).map(Who::of)
}
