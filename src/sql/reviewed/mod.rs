//! What was reviewed, name by name: everything else is refused.
//!
//! INVARIANT I2: Deny by default: what is not on a list, and not matched by name, is refused.

pub(super) mod builtins;
pub(super) mod definitions;
pub(super) mod pure;
pub(super) mod settings;
pub(super) mod system;
