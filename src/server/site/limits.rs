//! How often something may be done in a time, by whom.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::{Duration, Instant};

/// So many keys are counted at a time; with more that are not over yet, nothing new is let through.
const MOST_KEYS: usize = 200_000;

/// Counts by key; a count begins with the first time and is over after `within`.
#[derive(Debug)]
pub(crate) struct Limiter<K> {
    most: u32,
    within: Duration,
    counts: HashMap<K, (Instant, u32)>,
}

impl<K: Eq + Hash> Limiter<K> {
    pub(crate) fn new(most: u32, within: Duration) -> Self {
        Self { most, within, counts: HashMap::new() }
    }

    /// Counts one more; whether it may be done.
    pub(crate) fn take(&mut self, key: K, now: Instant) -> bool {
        if self.counts.len() >= MOST_KEYS && !self.counts.contains_key(&key) {
            let within = self.within;
            self.counts.retain(|_, (begun, _)| now.saturating_duration_since(*begun) < within);
            if self.counts.len() >= MOST_KEYS {
                return false;
            }
        }
        let (begun, count) = self.counts.entry(key).or_insert((now, 0));
        if now.saturating_duration_since(*begun) >= self.within {
            (*begun, *count) = (now, 0);
        }
        *count = count.saturating_add(1);
        *count <= self.most
    }

    /// Whether one more would be let through.
    pub(crate) fn is_open(&self, key: &K, now: Instant) -> bool {
        match self.counts.get(key) {
            Some((begun, count)) => now.saturating_duration_since(*begun) >= self.within || *count < self.most,
            // What is not counted is not let through, as in [`Limiter::take`].
            None => self.counts.len() < MOST_KEYS,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_are_let_through_and_again_when_the_time_is_over() {
        let (mut limiter, begun) = (Limiter::new(3, Duration::from_secs(60)), Instant::now());
        let taken: Vec<bool> = (0..5).map(|_| limiter.take("a", begun)).collect();
        assert_eq!(taken, [true, true, true, false, false]);
        assert!(limiter.take("b", begun) && !limiter.is_open(&"a", begun + Duration::from_secs(59)));
        assert!(
            limiter.is_open(&"a", begun + Duration::from_secs(60))
                && limiter.take("a", begun + Duration::from_secs(60))
        );
    }

    #[test]
    fn more_keys_than_are_counted_let_nothing_through_until_some_are_over() {
        let (mut limiter, begun) = (Limiter::new(1, Duration::from_secs(60)), Instant::now());
        assert!((0..MOST_KEYS).all(|key| limiter.take(key, begun)));
        assert!(!limiter.take(MOST_KEYS, begun) && !limiter.is_open(&MOST_KEYS, begun));
        assert!(limiter.take(MOST_KEYS, begun + Duration::from_secs(61)));
    }
}
