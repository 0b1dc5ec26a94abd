//! Places for connections of which nothing is known yet: bounded, and never refused to the one that comes last.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// So many connections are kept from making room at a time.
const MOST_HELD: usize = 16;

/// Places in the order in which they were taken. Where all are taken, or all that one address may have, the connection that is there
/// longest makes room for the one that comes: whoever wants something short is served, and whoever stays is in nobody's way.
#[derive(Debug)]
pub(super) struct Places {
    most: usize,
    most_per_address: usize,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    next: u64,
    by_age: BTreeMap<u64, (IpAddr, Arc<Notify>)>,
    by_address: HashMap<IpAddr, usize>,
    held: usize,
}

impl Taken {
    fn enter(&mut self, number: u64, address: IpAddr, end: Arc<Notify>) {
        self.by_age.insert(number, (address, end));
        *self.by_address.entry(address).or_default() += 1;
    }

    fn leave(&mut self, number: u64) -> Option<(IpAddr, Arc<Notify>)> {
        let (address, end) = self.by_age.remove(&number)?;
        if let Some(by) = self.by_address.get_mut(&address) {
            *by = by.saturating_sub(1);
            if *by == 0 {
                self.by_address.remove(&address);
            }
        }
        Some((address, end))
    }

    /// Ends the one that is there longest: of this address, or of all.
    fn end_oldest(&mut self, address: Option<IpAddr>) {
        let mut by_age = self.by_age.iter();
        let oldest =
            by_age.find(|(_, (of, _))| address.is_none_or(|address| *of == address)).map(|(number, _)| *number);
        if let Some((_, end)) = oldest.and_then(|number| self.leave(number)) {
            end.notify_one();
        }
    }
}

impl Places {
    /// So many places, and so many for one address.
    pub(super) fn new(most: usize, most_per_address: usize) -> Arc<Self> {
        Arc::new(Self { most, most_per_address, taken: Mutex::default() })
    }

    /// Takes one.
    pub(super) fn enter(self: &Arc<Self>, address: IpAddr) -> Place {
        let address = whole(address);
        let mut taken = locked(&self.taken);
        if taken.by_address.get(&address).copied().unwrap_or_default() >= self.most_per_address {
            taken.end_oldest(Some(address));
        } else if taken.by_age.len() >= self.most {
            taken.end_oldest(None);
        }
        let (number, end) = (taken.next, Arc::new(Notify::new()));
        taken.next = taken.next.wrapping_add(1);
        taken.enter(number, address, Arc::clone(&end));
        Place { places: Arc::clone(self), number, end }
    }

    /// How many are taken.
    #[cfg(test)]
    pub(super) fn taken(&self) -> usize {
        locked(&self.taken).by_age.len()
    }
}

/// A connection's place; dropped, it is free.
#[derive(Debug)]
pub(super) struct Place {
    places: Arc<Places>,
    number: u64,
    end: Arc<Notify>,
}

impl Place {
    /// Ready when the connection has to make room for another.
    pub(super) async fn ended(&self) {
        self.end.notified().await;
    }

    /// Keeps the connection from making room until what this gives is dropped; `None` where that is kept for too many already.
    pub(super) fn hold(&self) -> Option<Held<'_>> {
        let mut taken = locked(&self.places.taken);
        if taken.held >= MOST_HELD {
            return None;
        }
        let (address, end) = taken.leave(self.number)?;
        taken.held += 1;
        Some(Held { place: self, address, end })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = locked(&self.places.taken).leave(self.number);
    }
}

/// A place that nobody is given in the meantime.
#[derive(Debug)]
pub(super) struct Held<'a> {
    place: &'a Place,
    address: IpAddr,
    end: Arc<Notify>,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        let mut taken = locked(&self.place.places.taken);
        taken.held = taken.held.saturating_sub(1);
        taken.enter(self.place.number, self.address, Arc::clone(&self.end));
    }
}

pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Counts stay right whoever panicked.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An IPv6 customer has a whole /64.
pub(super) fn whole(address: IpAddr) -> IpAddr {
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
    use std::time::Duration;

    use super::*;

    async fn is_ended(place: &Place) -> bool {
        tokio::time::timeout(Duration::from_millis(20), place.ended()).await.is_ok()
    }

    #[tokio::test]
    async fn whoever_is_held_makes_no_room_and_few_are() {
        let places = Places::new(2, 2);
        let here: IpAddr = [10, 0, 0, 1].into();
        let (first, second) = (places.enter(here), places.enter(here));
        let held = first.hold().unwrap();
        let third = places.enter(here);
        assert!(!is_ended(&first).await && !is_ended(&second).await, "the one that is held takes no place");
        let _fourth = places.enter(here);
        assert!(!is_ended(&first).await && is_ended(&second).await);
        drop(held);
        let _fifth = places.enter(here);
        assert!(is_ended(&first).await && !is_ended(&third).await, "it counts again, with its own age");
        let places = Places::new(100, 100);
        let many: Vec<Place> = (0..=MOST_HELD).map(|_| places.enter(here)).collect();
        let held: Vec<_> = many.iter().map(Place::hold).collect();
        assert_eq!(held.iter().filter(|held| held.is_some()).count(), MOST_HELD);
        drop(held);
        drop(many);
        assert_eq!(places.taken(), 0);
    }
}
