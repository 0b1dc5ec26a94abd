//! The commands.

pub mod cluster;
