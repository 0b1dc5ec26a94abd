//! pgpurpose stands between unchanged applications and PostgreSQL and enforces *why* data is accessed.
//!
//! # The way of a statement
//!
//! | stage | module | takes | gives |
//! | --- | --- | --- | --- |
//! | frames | [`wire`] | bytes | messages, each held to its own frame |
//! | session | [`session`] | messages | one statement at a time, with login, role and purpose |
//! | parse | [`sql::parse`] | text | [`sql::Parsed`]: an AST on which two parsers agree |
//! | resolve | [`sql::resolve`] | `Parsed`, [`catalog::Catalog`] | [`sql::Resolved`]: catalog columns and their use |
//! | decide | [`policy::decide`] | [`policy::AccessRequest`] | [`policy::Permit`] or [`policy::Denial`] |
//! | rewrite | [`sql::rewrite`] | `Resolved`, `Permit` | [`sql::Enforced`]: the only text that may run |
//! | audit | [`audit`] | `Enforced` | [`audit::Audited`]: it is in the log |
//! | forward | [`upstream`] | `Audited<Enforced>` | bytes on the database's connection |
//! | relay | [`session`] | result frames | the same bytes, the row description checked, errors cleaned |
//!
//! A module imports only from rows below it; `tests/layering.rs` holds that:
//!
//! ```text
//! main, cli -> server -> session
//! upstream
//! sql       audit
//! policy
//! catalog   wire
//! error     config    telemetry
//! ```

pub mod audit;
pub mod catalog;
pub mod cli;
pub mod config;
pub mod error;
pub mod policy;
pub mod server;
pub mod session;
pub mod sql;
pub mod telemetry;
pub mod upstream;
pub mod wire;
