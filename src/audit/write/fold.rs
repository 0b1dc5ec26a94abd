//! Connections that come to no session: the first of an address stand in the log one by one, the rest of a minute is counted
//! and told in one record, so that nobody fills the log by knocking.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How many of one address stand one by one in a minute.
const SINGLY: u64 = 120;
/// How many of all addresses together.
const ALL_SINGLY: u64 = 1_200;
/// Addresses that are counted apart.
const APART: usize = 1_000;
const MINUTE: Duration = Duration::from_secs(60);

/// So many connections of an address that were not told one by one; of many addresses where it is empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::audit) struct Folded {
    pub(in crate::audit) address: String,
    pub(in crate::audit) count: u64,
}

#[derive(Debug)]
struct Minute {
    begun: Instant,
    singly: u64,
    seen: BTreeMap<String, u64>,
}

/// The minute that runs.
#[derive(Debug)]
pub(in crate::audit) struct Fold(Mutex<Minute>);

impl Default for Fold {
    fn default() -> Self {
        Self(Mutex::new(Minute { begun: Instant::now(), singly: 0, seen: BTreeMap::new() }))
    }
}

impl Fold {
    /// Whether one more of this address stands in the log by itself; else it is counted.
    pub(in crate::audit) fn stands(&self, address: &str) -> bool {
        let mut minute = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let address = if minute.seen.contains_key(address) || minute.seen.len() < APART { address } else { "" };
        let all = minute.singly;
        let seen = minute.seen.entry(address.to_owned()).or_default();
        *seen += 1;
        let stands = *seen <= SINGLY && all < ALL_SINGLY;
        if stands {
            minute.singly += 1;
        } else if *seen <= SINGLY {
            // Counted from here on, however few it were.
            *seen = SINGLY + 1;
        }
        stands
    }

    /// What was counted, once the minute is over, or `now`.
    pub(in crate::audit) fn over(&self, now: bool) -> Vec<Folded> {
        let mut minute = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !now && minute.begun.elapsed() < MINUTE {
            return Vec::new();
        }
        let seen = std::mem::take(&mut minute.seen);
        (minute.begun, minute.singly) = (Instant::now(), 0);
        let folded = seen.into_iter().map(|(address, seen)| Folded { address, count: seen.saturating_sub(SINGLY) });
        folded.filter(|folded| folded.count > 0).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_an_address_stand_and_the_rest_is_counted() {
        let fold = Fold::default();
        assert_eq!((0..500).filter(|_| fold.stands("10.0.0.1")).count(), 120);
        assert_eq!((0..7).filter(|_| fold.stands("10.0.0.2")).count(), 7);
        assert_eq!(fold.over(false), []);
        assert_eq!(fold.over(true), [Folded { address: "10.0.0.1".into(), count: 380 }]);
        assert!(fold.stands("10.0.0.1"), "another minute");
    }

    #[test]
    fn many_addresses_do_not_fill_it_either() {
        let fold = Fold::default();
        let stand = (0..100_000).filter(|number| fold.stands(&format!("2001:db8::{number:x}"))).count() as u64;
        assert_eq!(stand, 1_000 + SINGLY);
        let folded = fold.over(true);
        assert_eq!(folded, [Folded { address: String::new(), count: 99_000 - SINGLY }]);
    }

    #[test]
    fn none_is_lost_where_all_together_are_too_many() {
        let fold = Fold::default();
        let mut stand = 0;
        for number in 0..40 {
            stand += (0..100).filter(|_| fold.stands(&format!("10.0.0.{number}"))).count() as u64;
        }
        let folded: u64 = fold.over(true).iter().map(|folded| folded.count).sum();
        assert_eq!((stand, stand + folded), (ALL_SINGLY, 4_000));
    }
}
