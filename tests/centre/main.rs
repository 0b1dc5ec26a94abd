//! The privacy centre, as people and strangers meet it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::print_stdout,
    clippy::print_stderr
)]

mod browser;
mod doors;
mod pages;
mod stand;
#[path = "../support/mod.rs"]
mod support;
