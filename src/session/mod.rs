//! One client's session after login: statements decided, logged and forwarded in one direction, answers checked and
//! relayed in the other, both in one task.

mod cancel;
mod catalogs;
mod client;
mod flow;
mod journal;
mod judge;
mod relay;
mod shared;
mod state;
#[cfg(test)]
mod tests;
mod told;

pub use cancel::{CancelKey, Cancels};
pub use catalogs::{Catalogs, OpenCatalog};
pub use flow::settings::SaidAtStart;
pub use judge::enforcer::Enforce;
pub use judge::together::{Answer, Away, Counts, Spend, Spent, Together};
pub use relay::clean_login;
pub use shared::{Parts, STATEMENT_LIMIT, Shared};
pub use state::{Login, Session, Stop, leaving, stopped};
