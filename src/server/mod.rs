//! Listeners, start-up of a connection, and the way to a session.
//!
//! One `current_thread` runtime for each worker, each with its own listening sockets (SO_REUSEPORT): a session never
//! leaves its thread.

mod accept;
pub mod admin;
pub mod alerts;
mod gate;
mod login;
pub mod otlp;
mod parameters;
mod password;
mod patient;
mod peer;
mod places;
mod probe;
mod prove;
mod relay_auth;
mod scram;
pub mod sinks;
pub(crate) mod site;
mod startup;
mod tls;
pub mod web;

pub use accept::{Options, Server, ServerError};
pub use gate::SessionLimits;
pub use password::{hash_password, is_password};
pub use probe::{Asked, ask};
pub use prove::{Method, OwnLogin, OwnLogins};
pub use tls::{ListenTls, ListenTlsError};
