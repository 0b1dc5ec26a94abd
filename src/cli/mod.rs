//! The commands.

pub mod cluster;
pub mod demo;
