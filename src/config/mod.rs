//! The server's configuration, and how TOML files are read with the place of every fault.

pub mod document;
mod fault;

pub use fault::{Fault, Located, Place, Severity};
