//! Maps whose keys are no text, as JSON has them: a list of pairs.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A map.
pub(super) trait Pairs {
    type Key;
    type Value;

    fn pairs(&self) -> impl Iterator<Item = (&Self::Key, &Self::Value)>;
    fn of(pairs: Vec<(Self::Key, Self::Value)>) -> Self;
}

impl<K: Hash + Eq, V> Pairs for HashMap<K, V> {
    type Key = K;
    type Value = V;

    fn pairs(&self) -> impl Iterator<Item = (&K, &V)> {
        self.iter()
    }

    fn of(pairs: Vec<(K, V)>) -> Self {
        pairs.into_iter().collect()
    }
}

impl<K: Ord, V> Pairs for BTreeMap<K, V> {
    type Key = K;
    type Value = V;

    fn pairs(&self) -> impl Iterator<Item = (&K, &V)> {
        self.iter()
    }

    fn of(pairs: Vec<(K, V)>) -> Self {
        pairs.into_iter().collect()
    }
}

pub(super) fn serialize<S: Serializer, M>(map: &M, serializer: S) -> Result<S::Ok, S::Error>
where
    M: Pairs<Key: Serialize, Value: Serialize>,
{
    serializer.collect_seq(map.pairs())
}

pub(super) fn deserialize<'de, D: Deserializer<'de>, M>(deserializer: D) -> Result<M, D::Error>
where
    M: Pairs<Key: Deserialize<'de>, Value: Deserialize<'de>>,
{
    Vec::deserialize(deserializer).map(M::of)
}
