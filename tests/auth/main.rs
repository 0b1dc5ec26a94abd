//! Logging in: every method over every kind of connection, with the clients that people have.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::cast_possible_truncation,
    missing_docs
)]

mod cancel;
mod changes;
mod clients;
mod guards;
mod hostile;
mod limits;
mod matrix;
mod newer;
mod pooler;
mod raw;
mod rogue;
mod servers;
mod setup;
#[path = "../support/mod.rs"]
mod support;
mod tls;
