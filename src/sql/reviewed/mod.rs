//! What was reviewed, name by name: everything else is refused.

pub(super) mod builtins;
pub(super) mod definitions;
pub(super) mod settings;
pub(super) mod system;
