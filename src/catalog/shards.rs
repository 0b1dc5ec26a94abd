//! A map whose copies share what was not changed since: a change of a snapshot costs what it touches, however large the database is.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hash};
use std::sync::Arc;

/// How many parts a map has; each is copied as a whole when something in it is changed.
const COUNT: usize = 256;

/// The map.
#[derive(Debug, Clone)]
pub(super) struct Shards<K, V> {
    parts: Vec<Arc<HashMap<K, V>>>,
    places: RandomState,
}

impl<K, V> Default for Shards<K, V> {
    fn default() -> Self {
        let empty = Arc::new(HashMap::new());
        Self { parts: vec![empty; COUNT], places: RandomState::new() }
    }
}

impl<K: Clone + Eq + Hash, V: Clone> Shards<K, V> {
    fn place<Q: Hash + ?Sized>(&self, key: &Q) -> usize {
        usize::try_from(self.places.hash_one(key) % COUNT as u64).unwrap_or_default()
    }

    fn part<Q: Hash + ?Sized>(&self, key: &Q) -> Option<&Arc<HashMap<K, V>>> {
        self.parts.get(self.place(key))
    }

    fn part_mut<Q: Hash + ?Sized>(&mut self, key: &Q) -> Option<&mut HashMap<K, V>> {
        let place = self.place(key);
        self.parts.get_mut(place).map(Arc::make_mut)
    }

    pub(super) fn get<Q: Eq + Hash + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.part(key)?.get(key)
    }

    pub(super) fn contains_key(&self, key: &K) -> bool {
        self.get(key).is_some()
    }

    pub(super) fn get_mut<Q: Eq + Hash + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        self.get(key)?;
        self.part_mut(key)?.get_mut(key)
    }

    pub(super) fn insert(&mut self, key: K, value: V) -> Option<V> {
        self.part_mut(&key)?.insert(key, value)
    }

    pub(super) fn remove(&mut self, key: &K) -> Option<V> {
        if !self.contains_key(key) {
            return None;
        }
        self.part_mut(key)?.remove(key)
    }

    pub(super) fn len(&self) -> usize {
        self.parts.iter().map(|part| part.len()).sum()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.parts.iter().flat_map(|part| part.iter())
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &V> {
        self.parts.iter().flat_map(|part| part.values())
    }

    /// Keeps those of which this holds; parts of which all stay are shared as before.
    pub(super) fn retain(&mut self, keep: impl Fn(&K, &V) -> bool) {
        for part in &mut self.parts {
            if part.iter().any(|(key, value)| !keep(key, value)) {
                Arc::make_mut(part).retain(|key, value| keep(key, value));
            }
        }
    }

    /// Changes those that this gives another value for; parts of which none does are shared as before.
    pub(super) fn update(&mut self, change: impl Fn(&V) -> Option<V>) {
        for part in &mut self.parts {
            let changed: Vec<(K, V)> =
                part.iter().filter_map(|(key, value)| Some((key.clone(), change(value)?))).collect();
            if !changed.is_empty() {
                Arc::make_mut(part).extend(changed);
            }
        }
    }

    /// What stands in parts that both do not share: all that differs is among it.
    pub(super) fn apart<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = (&'a K, &'a V)> {
        let pairs = self.parts.iter().zip(&other.parts).filter(|(own, held)| !Arc::ptr_eq(own, held));
        pairs.flat_map(|(own, _)| own.iter())
    }

    /// Whether both hold the same, as `same` has it of values.
    pub(super) fn same(&self, other: &Self, same: impl Fn(&V, &V) -> bool) -> bool {
        self.len() == other.len()
            && self.apart(other).all(|(key, own)| other.get(key).is_some_and(|held| same(own, held)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_that_is_changed_shares_the_rest_and_leaves_the_first_as_it_was() {
        let mut first = Shards::default();
        for key in 0..10_000_u32 {
            first.insert(key, key);
        }
        let mut copy = first.clone();
        assert_eq!(copy.apart(&first).count(), 0);
        copy.insert(7, 8);
        copy.remove(&9);
        copy.update(|value| (*value == 11).then_some(12));
        copy.retain(|key, _| *key != 13);
        let apart = copy.apart(&first).count();
        assert!(apart < 10_000 / 32, "{apart} of 10000 are copied for four changes");
        assert_eq!(
            (first.get(&7), first.get(&9), first.get(&11), first.len()),
            (Some(&7), Some(&9), Some(&11), 10_000)
        );
        assert_eq!((copy.get(&7), copy.get(&9), copy.get(&11), copy.len()), (Some(&8), None, Some(&12), 9_998));
        assert!(!copy.same(&first, u32::eq) && copy.same(&copy.clone(), u32::eq));
        let again: Shards<u32, u32> = {
            let mut again = Shards::default();
            for (key, value) in first.iter() {
                again.insert(*key, *value);
            }
            again
        };
        assert!(first.same(&again, u32::eq), "whatever the order they were made in");
        assert_eq!(first.values().count(), 10_000);
    }
}
