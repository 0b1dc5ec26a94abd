//! One client's session after login: statements decided, logged and forwarded in one direction, answers checked and
//! relayed in the other, both in one task.

mod admit;
mod budget;
mod cache;
mod cancel;
mod catalogs;
mod clean;
mod client;
mod disclose;
mod enforcer;
mod extended;
mod guard;
mod journal;
mod lookups;
mod names;
mod pending;
mod relay;
mod settings;
mod settle;
mod shared;
mod simple;
mod state;
#[cfg(test)]
mod tests;

pub use admit::refusal_of;
pub use cancel::{CancelKey, Cancels};
pub use catalogs::{Catalogs, OpenCatalog};
pub use enforcer::Enforce;
pub use shared::{Parts, STATEMENT_LIMIT, Shared};
pub use state::{Login, Session, stopped};
