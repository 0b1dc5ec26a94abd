//! server

pub mod admin;
