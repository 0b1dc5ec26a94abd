//! Who may come in: codes that were sent, tries that are counted, and sessions. In memory alone; a restart ends them.
//!
//! A code has six digits, lives 15 minutes and takes 5 tries, of the browser that asked for it. Whether anybody is known by what was typed
//! is found later and elsewhere: everything here is the same for both.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use rand::RngExt;
use subtle::ConstantTimeEq;

use super::receipt::Receipt;
use super::store::Details;
use crate::server::site::{Holder, Limiter, Sessions, holder, make_room};

/// How long a code lives.
pub(super) const CODE: Duration = Duration::from_secs(15 * 60);
/// Tries of one code.
pub(super) const TRIES: u8 = 5;
/// How long a session lives without being used, and at most.
const IDLE: Duration = Duration::from_secs(20 * 60);
const LONGEST: Duration = Duration::from_secs(2 * 60 * 60);
/// What was done in a session is shown again, so many times.
const MOST_RECEIPTS: usize = 100;

/// A person who has shown who they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Person {
    /// The key, as text.
    pub(super) subject: String,
    /// What the code went to, as it is on record.
    pub(super) contact: String,
    /// Whether that is an e-mail address; else a telephone number.
    pub(super) by_mail: bool,
}

#[derive(Debug)]
struct Pending {
    /// So that what comes late meets the code that it was for.
    number: u64,
    code: String,
    contact: [u8; 32],
    person: Option<Person>,
    tries: u8,
    until: Instant,
}

/// What is kept while somebody is in.
#[derive(Debug, Clone)]
pub(super) struct Session {
    /// Who.
    pub(super) person: Person,
    /// What the forms say of them.
    pub(super) details: Details,
    /// What was changed in it.
    pub(super) receipts: Vec<Receipt>,
}

/// What became of a try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Tried {
    /// In: the cookie from here on.
    In(String, Person),
    /// Not the code; so many tries are left.
    Wrong(u8),
    /// There is no code to be tried, or no longer.
    Over,
}

/// All of it.
#[derive(Debug)]
pub(super) struct Door {
    next: u64,
    pending: HashMap<Holder, Pending>,
    sessions: Sessions<Session>,
    /// Codes that one address asks for, and that go to one contact.
    asks_by_address: Limiter<IpAddr>,
    asks_by_contact: Limiter<[u8; 32]>,
    /// Wrong tries from one address, and for one contact.
    wrong_by_address: Limiter<IpAddr>,
    wrong_by_contact: Limiter<[u8; 32]>,
    /// Other forms that strangers send.
    forms_by_address: Limiter<IpAddr>,
    links: Limiter<String>,
}

const QUARTER: Duration = Duration::from_secs(15 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A code that is to be sent, if anybody is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Asked {
    /// Of which code.
    pub(super) number: u64,
    /// The code.
    pub(super) code: String,
    /// Which cookie asked.
    pub(super) cookie: String,
}

impl Door {
    pub(super) fn new() -> Self {
        Self {
            next: 0,
            pending: HashMap::new(),
            sessions: Sessions::new(IDLE, LONGEST),
            asks_by_address: Limiter::new(20, QUARTER),
            asks_by_contact: Limiter::new(5, Duration::from_secs(60 * 60)),
            wrong_by_address: Limiter::new(50, QUARTER),
            wrong_by_contact: Limiter::new(25, DAY),
            forms_by_address: Limiter::new(60, QUARTER),
            links: Limiter::new(10, Duration::from_secs(60 * 60)),
        }
    }

    /// Whether a form that needs no session may be sent from there once more.
    pub(super) fn takes_form(&mut self, from: IpAddr, now: Instant) -> bool {
        self.forms_by_address.take(from, now)
    }

    /// Whether a link of a mail, which needs no session, may act once more: each time is a record of the log.
    pub(super) fn takes_link(&mut self, link: &str, now: Instant) -> bool {
        self.links.take(link.to_owned(), now)
    }

    /// A browser asks for a code for a contact; a code that it waited for before is void. `None` where it is asked too often: then
    /// nothing is sent, and nobody is told.
    pub(super) fn ask(&mut self, cookie: &str, contact: [u8; 32], from: IpAddr, now: Instant) -> Option<Asked> {
        // Who asks too often from one place drives nobody else's code out.
        if !self.asks_by_address.take(from, now) {
            return None;
        }
        make_room(&mut self.pending, |pending| pending.until <= now, |pending| pending.until);
        let code = format!("{:06}", rand::rng().random_range(0..1_000_000_u32));
        self.next = self.next.wrapping_add(1);
        let number = self.next;
        let waits = Pending { number, code: code.clone(), contact, person: None, tries: 0, until: now + CODE };
        self.pending.insert(holder(cookie), waits);
        self.asks_by_contact.take(contact, now).then(|| Asked { number, code, cookie: cookie.to_owned() })
    }

    /// Somebody is known by the contact: only from here on the code opens.
    pub(super) fn found(&mut self, asked: &Asked, person: Person) {
        if let Some(pending) = self.pending.get_mut(&holder(&asked.cookie))
            && pending.number == asked.number
        {
            pending.person = Some(person);
        }
    }

    /// Tries a code. Whether there is anybody behind it makes no difference but where it is right.
    pub(super) fn enter(&mut self, cookie: &str, code: &str, from: IpAddr, now: Instant) -> Tried {
        let key = holder(cookie);
        let Some(pending) = self.pending.get_mut(&key) else { return Tried::Over };
        let open = self.wrong_by_address.is_open(&from, now) && self.wrong_by_contact.is_open(&pending.contact, now);
        if !open || pending.until <= now || pending.tries >= TRIES {
            return Tried::Over;
        }
        let right: bool = pending.code.as_bytes().ct_eq(code.as_bytes()).into();
        if let (true, Some(person)) = (right, pending.person.clone()) {
            self.pending.remove(&key);
            let session = Session { person: person.clone(), details: Details::default(), receipts: Vec::new() };
            let cookie = self.sessions.open(session, now);
            return Tried::In(cookie, person);
        }
        pending.tries += 1;
        self.wrong_by_address.take(from, now);
        self.wrong_by_contact.take(pending.contact, now);
        match TRIES.saturating_sub(pending.tries) {
            0 => Tried::Over,
            left => Tried::Wrong(left),
        }
    }

    /// Whether a code of this browser can be tried.
    pub(super) fn waits(&self, cookie: &str, now: Instant) -> bool {
        self.pending.get(&holder(cookie)).is_some_and(|pending| pending.until > now && pending.tries < TRIES)
    }

    /// The session of a cookie; it is used.
    pub(super) fn session(&mut self, cookie: &str, now: Instant) -> Option<&mut Session> {
        self.sessions.get(cookie, now)
    }

    /// Ends it.
    pub(super) fn leave(&mut self, cookie: &str) {
        self.sessions.leave(cookie);
        self.pending.remove(&holder(cookie));
    }
}

impl Session {
    /// Keeps what was done to be shown again.
    pub(super) fn keep(&mut self, receipt: Receipt) {
        if self.receipts.len() >= MOST_RECEIPTS {
            self.receipts.remove(0);
        }
        self.receipts.push(receipt);
    }
}

#[cfg(test)]
mod tests;
