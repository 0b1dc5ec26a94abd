//! Who is in. In memory alone; a restart ends all of them.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use ring::digest::{SHA256, digest};

use crate::audit::chain::hex;

/// Sessions at a time: with more the oldest go.
pub(in crate::server::site) const MOST: usize = 50_000;

/// A cookie's value is kept as its digest.
pub(crate) type Holder = [u8; 32];

/// Of a cookie's value.
pub(crate) fn holder(cookie: &str) -> Holder {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest(&SHA256, cookie.as_bytes()).as_ref());
    bytes
}

/// 32 random bytes of the system's, as hexadecimal digits.
pub(crate) fn random() -> String {
    hex(&rand::random::<[u8; 32]>())
}

/// Sessions, each with what is kept while somebody is in.
#[derive(Debug)]
pub(crate) struct Sessions<T> {
    idle: Duration,
    longest: Duration,
    all: HashMap<Holder, Session<T>>,
}

#[derive(Debug)]
struct Session<T> {
    inside: T,
    begun: Instant,
    used: Instant,
}

impl<T> Sessions<T> {
    /// How long a session lives without being used, and at most.
    pub(crate) fn new(idle: Duration, longest: Duration) -> Self {
        Self { idle, longest, all: HashMap::new() }
    }

    /// Somebody is in: gives the cookie from here on.
    pub(crate) fn open(&mut self, inside: T, now: Instant) -> String {
        let (idle, longest) = (self.idle, self.longest);
        make_room(&mut self.all, |session| session.is_over(idle, longest, now), |session| session.used);
        let cookie = random();
        self.all.insert(holder(&cookie), Session { inside, begun: now, used: now });
        cookie
    }

    /// What is kept of the session of a cookie; it is used.
    pub(crate) fn get(&mut self, cookie: &str, now: Instant) -> Option<&mut T> {
        let key = holder(cookie);
        if self.all.get(&key)?.is_over(self.idle, self.longest, now) {
            self.all.remove(&key);
            return None;
        }
        let session = self.all.get_mut(&key)?;
        session.used = now;
        Some(&mut session.inside)
    }

    /// Ends it.
    pub(crate) fn leave(&mut self, cookie: &str) {
        self.all.remove(&holder(cookie));
    }
}

impl<T> Session<T> {
    fn is_over(&self, idle: Duration, longest: Duration, now: Instant) -> bool {
        now.saturating_duration_since(self.used) >= idle || now.saturating_duration_since(self.begun) >= longest
    }
}

/// What is over goes, and where that is not enough, the oldest.
pub(crate) fn make_room<T>(kept: &mut HashMap<Holder, T>, is_over: impl Fn(&T) -> bool, age: impl Fn(&T) -> Instant) {
    if kept.len() < MOST {
        return;
    }
    kept.retain(|_, one| !is_over(one));
    if kept.len() < MOST {
        return;
    }
    let mut ages: Vec<Instant> = kept.values().map(&age).collect();
    ages.sort_unstable();
    if let Some(middle) = ages.get(ages.len() / 10).copied() {
        kept.retain(|_, one| age(one) > middle);
    }
}
