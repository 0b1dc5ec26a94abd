//! Whether a statement may run now: decided or found, held to purpose, budget and lookups, and written down.

pub(super) mod admit;
pub(super) mod budget;
mod cache;
pub(super) mod enforcer;
mod fits;
pub(super) mod lookups;
pub(super) mod names;
pub(super) mod together;
pub(super) mod who;
