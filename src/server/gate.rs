//! Limits on connections and on failed logins. Nothing here grows with what strangers send.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use super::places::{Place, Places, locked, whole};
use crate::config::{DIGEST, Limits};

/// Failures are counted for so long.
const WINDOW: Duration = Duration::from_secs(60);
/// Entries that are kept at most.
const MOST_ENTRIES: usize = 10_000;
/// A login is known at an address for so long after it logged in there.
const KNOWN_FOR: Duration = Duration::from_secs(24 * 60 * 60);
/// The answer to a first failure waits so long, and twice as long with each more.
const FIRST_DELAY: Duration = Duration::from_millis(100);
/// Doublings of the delay.
const DOUBLINGS: u32 = 5;

/// How many sessions there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionLimits {
    /// At the same time.
    pub all: usize,
    /// Of one login.
    pub per_login: Option<usize>,
    /// From one address.
    pub per_address: Option<usize>,
}

/// Who has to wait and who may not enter; one for all workers.
#[derive(Debug)]
pub(super) struct Gate {
    limits: Limits,
    sessions: SessionLimits,
    pending: Arc<Places>,
    by_login: Mutex<Counts<String>>,
    by_address: Mutex<Counts<IpAddr>>,
    failures: Mutex<HashMap<(IpAddr, Option<String>), Failures>>,
    /// Which logins have logged in from which addresses, and when last.
    known: Mutex<HashMap<(IpAddr, String), Instant>>,
    /// Verifiers of logins that are not there are made of it.
    pub(super) secret: Zeroizing<[u8; DIGEST]>,
}

#[derive(Debug)]
struct Counts<K> {
    all: usize,
    by: HashMap<K, usize>,
}

#[derive(Debug, Clone, Copy)]
struct Failures {
    since: Instant,
    count: u32,
}

impl<K: Hash + Eq + Clone> Counts<K> {
    fn enter(&mut self, key: &K, most: usize, most_by: Option<usize>) -> bool {
        let by = self.by.get(key).copied().unwrap_or_default();
        if self.all >= most || most_by.is_some_and(|most| by >= most) {
            return false;
        }
        self.all += 1;
        self.by.insert(key.clone(), by + 1);
        true
    }

    fn leave(&mut self, key: &K) {
        self.all = self.all.saturating_sub(1);
        if let Some(by) = self.by.get_mut(key) {
            *by = by.saturating_sub(1);
            if *by == 0 {
                self.by.remove(key);
            }
        }
    }
}

impl<K> Default for Counts<K> {
    fn default() -> Self {
        Self { all: 0, by: HashMap::new() }
    }
}

/// A session; dropped, it no longer counts.
#[derive(Debug)]
pub(super) struct Seat {
    gate: Arc<Gate>,
    address: IpAddr,
    login: String,
}

impl Drop for Seat {
    fn drop(&mut self) {
        locked(&self.gate.by_login).leave(&self.login);
        locked(&self.gate.by_address).leave(&self.address);
    }
}

impl Gate {
    pub(super) fn new(limits: Limits, sessions: SessionLimits) -> Self {
        let pending = Places::new(count(limits.pending), count(limits.pending_per_address));
        Self {
            limits,
            sessions,
            pending,
            by_login: Mutex::default(),
            by_address: Mutex::default(),
            failures: Mutex::default(),
            known: Mutex::default(),
            secret: Zeroizing::new(rand::random()),
        }
    }

    /// A connection comes. Where too many have not logged in yet, the one that waits longest makes room, of the same address
    /// where there are too many from it: a login takes milliseconds, and whoever never finishes it is in nobody's way.
    pub(super) fn enter(&self, address: IpAddr) -> Place {
        self.pending.enter(address)
    }

    /// Whether all seats are taken: nobody needs to log in then.
    pub(super) fn is_full(&self) -> bool {
        locked(&self.by_login).all >= self.sessions.all
    }

    /// A login has succeeded; `None` where there are too many sessions.
    pub(super) fn seat(self: &Arc<Self>, address: IpAddr, login: &str) -> Option<Seat> {
        let (address, login) = (whole(address), login.to_owned());
        if !locked(&self.by_login).enter(&login, self.sessions.all, self.sessions.per_login) {
            return None;
        }
        if !locked(&self.by_address).enter(&address, self.sessions.all, self.sessions.per_address) {
            locked(&self.by_login).leave(&login);
            return None;
        }
        Some(Seat { gate: Arc::clone(self), address, login })
    }

    /// Whether this login may be tried from this address. Guesses from an address keep none of the logins out that have logged in from
    /// there before: those are held to their own failures alone. So there are at most `failures_per_address` guesses a minute from an
    /// address, and `failures_per_login` more for each login that is known there.
    pub(super) fn may_try(&self, address: IpAddr, login: &str) -> bool {
        let address = whole(address);
        let failures = locked(&self.failures);
        let recent = |key| failures.get(&key).filter(|one| one.since.elapsed() < WINDOW).map_or(0, |one| one.count);
        let (by_address, by_login) = (recent((address, None)), recent((address, Some(login.to_owned()))));
        drop(failures);
        by_login < self.limits.failures_per_login
            && (by_address < self.limits.failures_per_address || self.is_known(address, login))
    }

    fn is_known(&self, address: IpAddr, login: &str) -> bool {
        locked(&self.known).get(&(address, login.to_owned())).is_some_and(|last| last.elapsed() < KNOWN_FOR)
    }

    /// A login has failed; how long the answer waits.
    pub(super) fn failed(&self, address: IpAddr, login: &str) -> Duration {
        let address = whole(address);
        let mut failures = locked(&self.failures);
        if failures.len() >= MOST_ENTRIES {
            failures.retain(|_, one| one.since.elapsed() < WINDOW);
            // Only whoever has many addresses comes here; those with few failures are forgotten first. Some room is left, so that
            // not every failure looks at all of them.
            let mut few = 1;
            while failures.len() > MOST_ENTRIES / 4 * 3 {
                failures.retain(|(_, login), one| login.is_none() && one.count > few);
                few = few.saturating_mul(2);
            }
        }
        let mut bump = |key| {
            let now = Instant::now();
            let one = failures.entry(key).or_insert(Failures { since: now, count: 0 });
            if one.since.elapsed() >= WINDOW {
                *one = Failures { since: now, count: 0 };
            }
            one.count = one.count.saturating_add(1);
            one.count
        };
        bump((address, None));
        let count = bump((address, Some(login.to_owned())));
        FIRST_DELAY.saturating_mul(1_u32 << count.saturating_sub(1).min(DOUBLINGS))
    }

    /// A login has succeeded: its own failures are forgotten, those of the address are not.
    pub(super) fn succeeded(&self, address: IpAddr, login: &str) {
        let key = (whole(address), login.to_owned());
        let mut known = locked(&self.known);
        if known.len() >= MOST_ENTRIES && !known.contains_key(&key) {
            // Those that logged in last stay; some room is made at a time.
            let mut times: Vec<Instant> = known.values().copied().collect();
            times.sort_unstable();
            if let Some(middle) = times.get(times.len() / 4).copied() {
                known.retain(|_, last| *last > middle);
            }
        }
        known.insert(key.clone(), Instant::now());
        drop(known);
        locked(&self.failures).remove(&(key.0, Some(key.1)));
    }
}

fn count(limit: u32) -> usize {
    usize::try_from(limit).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn gate(limits: Limits, per_login: Option<usize>, per_address: Option<usize>) -> Arc<Gate> {
        Arc::new(Gate::new(limits, SessionLimits { all: 3, per_login, per_address }))
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn failures_are_delayed_and_limited_by_login_and_by_address() {
        let gate = gate(Limits { failures_per_login: 3, failures_per_address: 5, ..Limits::default() }, None, None);
        let (here, there) = (ip("10.0.0.1"), ip("10.0.0.2"));
        let delays: Vec<_> = (0..3).map(|_| gate.failed(here, "a").as_millis()).collect();
        assert_eq!(delays, [100, 200, 400]);
        assert!(!gate.may_try(here, "a") && gate.may_try(here, "b") && gate.may_try(there, "a"));
        gate.succeeded(here, "a");
        assert!(gate.may_try(here, "a"));
        gate.failed(here, "b");
        gate.failed(here, "c");
        assert!(!gate.may_try(here, "new") && gate.may_try(here, "a"), "five from one address, where `a` is known");
        assert!(gate.may_try(there, "a"));
    }

    #[test]
    fn guesses_from_an_address_keep_out_no_login_that_is_known_there() {
        let gate = gate(Limits { failures_per_login: 3, failures_per_address: 5, ..Limits::default() }, None, None);
        let (here, there) = (ip("10.0.0.1"), ip("10.0.0.2"));
        for login in ["shop", "reports"] {
            gate.succeeded(here, login);
        }
        for guess in 0..50 {
            gate.failed(here, &format!("guess{guess}"));
        }
        assert!(gate.may_try(here, "shop") && gate.may_try(here, "reports"));
        assert!(
            !gate.may_try(here, "new") && !gate.may_try(here, "guess1"),
            "who is not known there is held to its limit"
        );
        for _ in 0..3 {
            gate.failed(here, "shop");
        }
        assert!(!gate.may_try(here, "shop") && gate.may_try(here, "reports"), "and who is known, to its own");
        assert!(gate.may_try(there, "shop"), "from elsewhere nothing has happened");
        for number in 0..30_000_u32 {
            gate.succeeded(IpAddr::V4(number.into()), "x");
            assert!(locked(&gate.known).len() <= MOST_ENTRIES);
        }
        gate.failed(IpAddr::V4(29_999.into()), "x");
        assert!(
            gate.is_known(IpAddr::V4(29_999.into()), "x") && !gate.is_known(here, "shop"),
            "the oldest are forgotten"
        );
    }

    #[test]
    fn many_strangers_take_bounded_memory() {
        let gate = gate(Limits::default(), None, None);
        for number in 0..30_000_u32 {
            gate.failed(IpAddr::V4(number.into()), "x");
        }
        assert!(locked(&gate.failures).len() <= MOST_ENTRIES + 2);
        // Each of them many times, and many names from one address: the one that fails most is remembered longest.
        let worst = ip("192.0.2.1");
        for number in 0..30_000_u32 {
            gate.failed(worst, &format!("name{number}"));
            for _ in 0..3 {
                gate.failed(IpAddr::V4((number + 0x0a00_0000).into()), "x");
            }
            assert!(locked(&gate.failures).len() <= MOST_ENTRIES + 2);
        }
        assert!(!gate.may_try(worst, "somebody else"));
        assert_eq!(whole(ip("2001:db8::1")), whole(ip("2001:db8::2")));
    }

    #[tokio::test]
    async fn those_that_do_not_log_in_and_sessions_are_counted_apart() {
        let gate = gate(Limits { pending: 3, pending_per_address: 2, ..Limits::default() }, Some(1), Some(2));
        let (here, there) = (ip("10.0.0.1"), ip("10.0.0.2"));
        let (first, second) = (gate.enter(here), gate.enter(here));
        let third = gate.enter(there);
        let _fourth = gate.enter(here);
        first.ended().await;
        let _fifth = gate.enter(there);
        second.ended().await;
        assert_eq!(gate.pending.taken(), 3);
        drop((first, second, third));
        assert_eq!(gate.pending.taken(), 2);

        let first = gate.seat(here, "a").unwrap();
        assert!(gate.seat(there, "a").is_none(), "one of a login");
        let _second = gate.seat(here, "b").unwrap();
        assert!(gate.seat(here, "c").is_none(), "two from an address");
        let _third = gate.seat(there, "c").unwrap();
        assert!(gate.is_full() && gate.seat(there, "d").is_none());
        drop(first);
        assert!(!gate.is_full() && gate.seat(here, "a").is_some());
    }
}
