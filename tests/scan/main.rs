//! `pgpurpose scan`: what it finds of personal information, and what it leaves alone.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::string_slice)]

mod generate;
mod live;
mod set;
#[path = "../support/mod.rs"]
mod support;
