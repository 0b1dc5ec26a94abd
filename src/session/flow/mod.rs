//! What a session waits for and what its messages mean for names and settings: no sockets, no runtime.

pub(super) mod names;
pub(super) mod pending;
pub(super) mod running;
pub(super) mod settings;
