//! Limits on connections and on failed logins. Nothing here grows with what strangers send.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use zeroize::Zeroizing;

use crate::config::{DIGEST, Limits};

/// Failures are counted for so long.
const WINDOW: Duration = Duration::from_secs(60);
/// Entries that are kept at most.
const MOST_ENTRIES: usize = 10_000;
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
    pending: Mutex<Waiting>,
    by_login: Mutex<Counts<String>>,
    by_address: Mutex<Counts<IpAddr>>,
    failures: Mutex<HashMap<(IpAddr, Option<String>), Failures>>,
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

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Counts stay right whoever panicked.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Connections that have not logged in, in the order in which they came.
#[derive(Debug, Default)]
struct Waiting {
    next: u64,
    by_age: BTreeMap<u64, (IpAddr, Arc<Notify>)>,
    by_address: HashMap<IpAddr, usize>,
}

impl Waiting {
    fn enter(&mut self, address: IpAddr) -> (u64, Arc<Notify>) {
        let (number, end) = (self.next, Arc::new(Notify::new()));
        self.next = self.next.wrapping_add(1);
        self.by_age.insert(number, (address, Arc::clone(&end)));
        *self.by_address.entry(address).or_default() += 1;
        (number, end)
    }

    fn leave(&mut self, number: u64) -> Option<Arc<Notify>> {
        let (address, end) = self.by_age.remove(&number)?;
        if let Some(by) = self.by_address.get_mut(&address) {
            *by = by.saturating_sub(1);
            if *by == 0 {
                self.by_address.remove(&address);
            }
        }
        Some(end)
    }

    /// Ends the one that waits longest: of this address, or of all.
    fn end_oldest(&mut self, address: Option<IpAddr>) {
        let mut by_age = self.by_age.iter();
        let oldest =
            by_age.find(|(_, (of, _))| address.is_none_or(|address| *of == address)).map(|(number, _)| *number);
        if let Some(end) = oldest.and_then(|number| self.leave(number)) {
            end.notify_one();
        }
    }
}

/// A connection that has not logged in; dropped, it no longer counts.
#[derive(Debug)]
pub(super) struct Pending {
    gate: Arc<Gate>,
    number: u64,
    end: Arc<Notify>,
}

impl Pending {
    /// Ready when the connection has to make room for another.
    pub(super) async fn ended(&self) {
        self.end.notified().await;
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        let _ = locked(&self.gate.pending).leave(self.number);
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
        Self {
            limits,
            sessions,
            pending: Mutex::default(),
            by_login: Mutex::default(),
            by_address: Mutex::default(),
            failures: Mutex::default(),
            secret: Zeroizing::new(rand::random()),
        }
    }

    /// A connection comes. Where too many have not logged in yet, the one that waits longest makes room, of the same address
    /// where there are too many from it: a login takes milliseconds, and whoever never finishes it is in nobody's way.
    pub(super) fn enter(self: &Arc<Self>, address: IpAddr) -> Pending {
        let address = whole(address);
        let mut pending = locked(&self.pending);
        if pending.by_address.get(&address).copied().unwrap_or_default() >= count(self.limits.pending_per_address) {
            pending.end_oldest(Some(address));
        } else if pending.by_age.len() >= count(self.limits.pending) {
            pending.end_oldest(None);
        }
        let (number, end) = pending.enter(address);
        Pending { gate: Arc::clone(self), number, end }
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

    /// Whether this login may be tried from this address.
    pub(super) fn may_try(&self, address: IpAddr, login: &str) -> bool {
        let address = whole(address);
        let failures = locked(&self.failures);
        let recent = |key| failures.get(&key).filter(|one| one.since.elapsed() < WINDOW).map_or(0, |one| one.count);
        recent((address, None)) < self.limits.failures_per_address
            && recent((address, Some(login.to_owned()))) < self.limits.failures_per_login
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
        locked(&self.failures).remove(&(whole(address), Some(login.to_owned())));
    }
}

fn count(limit: u32) -> usize {
    usize::try_from(limit).unwrap_or(usize::MAX)
}

/// An IPv6 customer has a whole /64.
fn whole(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(six) => {
            let [a, b, c, d, ..] = six.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        four @ IpAddr::V4(_) => four,
    }
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
        assert!(!gate.may_try(here, "a") && !gate.may_try(here, "new"), "five from one address");
        assert!(gate.may_try(there, "a"));
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
        assert_eq!(locked(&gate.pending).by_age.len(), 3);
        drop((first, second, third));
        assert_eq!(locked(&gate.pending).by_age.len(), 2);

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
