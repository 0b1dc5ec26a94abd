//! What several proxies count together, so that a login that goes through all of them has one budget.

use std::fmt;
use std::future::Future;
use std::num::NonZeroU32;
use std::pin::Pin;
use std::sync::Arc;

use jiff::civil::Date;

/// An answer that comes over the network.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, Away>> + Send + 'a>>;

/// Where the counts are cannot be asked now: each proxy has its own share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Away;

/// One statement over groups, that is to be counted for a purpose and those above it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spend {
    /// Who asks.
    pub login: String,
    /// The day, in the policies' zone.
    pub day: Date,
    /// The purpose and those above it: each with its budget, where it has one, and how many this proxy has counted before.
    pub purposes: Vec<(String, Option<u32>, u32)>,
}

/// What counting came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Spent {
    /// It counts; so many have been counted of each purpose by all proxies, this one included.
    Counted(Vec<u32>),
    /// The budget of this purpose is used up, and nothing was counted.
    Exhausted(String),
}

/// Where several proxies count together.
pub trait Counts: Send + Sync {
    /// Counts one statement against every budget, or none.
    fn spend(&self, spend: Spend) -> Answer<'_, Spent>;

    /// Takes back what a statement that was not forwarded was counted.
    fn give_back(&self, login: String, day: Date, purposes: Vec<String>) -> Answer<'_, ()>;

    /// Whether a login has room for so many more lookups in this minute; if so, `added` of them count.
    fn look_up(&self, login: &str, needed: u32, added: u32, limit: u32) -> Answer<'_, bool>;
}

/// Where they count, and how many they are: while that is away each may spend its part.
#[derive(Clone)]
pub struct Together {
    /// Where.
    pub counts: Arc<dyn Counts>,
    /// How many proxies.
    pub proxies: NonZeroU32,
}

impl fmt::Debug for Together {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Together").field("proxies", &self.proxies).finish_non_exhaustive()
    }
}
