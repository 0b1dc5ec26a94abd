//! What a session holds by name. The unnamed one, which most clients replace with each statement, stands apart: it is found without
//! hashing and kept without asking for memory.

use std::collections::HashMap;

/// Values by name; the empty name is one like the others to who asks.
#[derive(Debug)]
pub(in crate::session) struct ByName<T> {
    unnamed: Option<T>,
    /// There once something has a name: most sessions are idle, and each would pay for what is not.
    #[allow(clippy::box_collection)]
    named: Option<Box<HashMap<String, T>>>,
}

impl<T> Default for ByName<T> {
    fn default() -> Self {
        Self { unnamed: None, named: None }
    }
}

impl<T> ByName<T> {
    pub(super) fn get(&self, name: &str) -> Option<&T> {
        if name.is_empty() { self.unnamed.as_ref() } else { self.named.as_ref()?.get(name) }
    }

    pub(super) fn get_mut(&mut self, name: &str) -> Option<&mut T> {
        if name.is_empty() { self.unnamed.as_mut() } else { self.named.as_mut()?.get_mut(name) }
    }

    /// Gives what had the name before.
    pub(super) fn insert(&mut self, name: String, value: T) -> Option<T> {
        if name.is_empty() {
            self.unnamed.replace(value)
        } else {
            self.named.get_or_insert_default().insert(name, value)
        }
    }

    pub(super) fn remove(&mut self, name: &str) -> Option<T> {
        if name.is_empty() { self.unnamed.take() } else { self.named.as_mut()?.remove(name) }
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &T> {
        self.unnamed.iter().chain(self.named.iter().flat_map(|named| named.values()))
    }

    pub(super) fn len(&self) -> usize {
        self.named.as_ref().map_or(0, |named| named.len()) + usize::from(self.unnamed.is_some())
    }

    /// Keeps those of which this holds.
    pub(super) fn retain(&mut self, holds: impl Fn(&T) -> bool) {
        if self.unnamed.as_ref().is_some_and(|value| !holds(value)) {
            self.unnamed = None;
        }
        if let Some(named) = &mut self.named
            && !named.is_empty()
        {
            named.retain(|_, value| holds(value));
        }
    }
}
