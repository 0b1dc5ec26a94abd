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
//! main, cli -> app -> centre, console, fleet -> server -> session
//! upstream  requests
//! sql       audit     papers    scan
//! policy
//! catalog   wire      mail
//! config
//! error     document    telemetry    page    cluster
//! ```
//!
//! # What does not compile
//!
//! A permit that no decision gave, a text that no decision shaped, a statement that is not in the log:
//!
//! ```compile_fail,E0451
//! let permit = pgpurpose::policy::Permit { relations: Vec::new() };
//! ```
//!
//! ```compile_fail,E0451
//! fn forge(honest: pgpurpose::sql::Enforced) -> pgpurpose::sql::Enforced {
//!     pgpurpose::sql::Enforced { text: "SELECT 1".into(), ..honest }
//! }
//! ```
//!
//! ```compile_fail,E0451
//! let audited = pgpurpose::audit::Audited { what: "SELECT 1", seq: 1 };
//! ```
//!
//! Two runs under one record, and the run of a portal as if it had no text:
//!
//! ```compile_fail,E0382
//! fn twice(database: &mut pgpurpose::upstream::Upstream, run: pgpurpose::audit::Audited<pgpurpose::upstream::Decided>) {
//!     database.execute(run, "", 0);
//!     database.execute(run, "", 0);
//! }
//! ```
//!
//! ```compile_fail,E0423
//! fn unlogged(database: &mut pgpurpose::upstream::Upstream) {
//!     database.execute_empty(&pgpurpose::upstream::NoText(()), "");
//! }
//! ```

mod app;
pub mod audit;
pub mod catalog;
mod centre;
pub mod cli;
pub mod cluster;
pub mod config;
mod console;
pub mod document;
pub mod error;
pub mod fleet;
pub mod mail;
mod page;
pub mod papers;
pub mod policy;
pub mod requests;
pub mod scan;
pub mod server;
pub mod session;
pub mod sql;
pub mod telemetry;
pub mod upstream;
pub mod wire;
