//! The server's configuration, and how TOML files are read with the place of every fault.

mod address;
pub mod document;
mod fault;
mod read;
mod secret;
mod server;

pub use address::{HostPort, UpstreamAddress};
pub use fault::{Fault, Located, Place, Severity};
pub use secret::{Key, Secret, SecretSource};
pub use server::{Admin, Audit, AuditSync, AuthMethod, Config, Listen, Mode, Policy, ServerTls, Upstream, UpstreamTls};
