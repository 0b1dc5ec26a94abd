//! The database's side: where it is, how it is reached, and what may be sent to it.
//!
//! [`Upstream`] keeps its write buffer to itself: bytes get into it as [`Audited`](crate::audit::Audited) statements or
//! as one of the closed set of [`Control`] messages, so that forwarding what was not decided or not logged does not
//! compile.

mod address;
mod connect;
mod driver;
mod later;
mod send;
mod tls;
mod verify;
mod watched;

pub use address::{Address, ParseAddressError};
pub use connect::{CancelTarget, ConnectError, Servers, cancel};
pub use driver::{DriveError, Driven, described, drive};
pub use later::SETTINGS_CLOSED;
pub use send::{Begun, Control, Decided, NoText, OWN_STATEMENT, REFUSED_STATEMENT, SEPARATOR, Structural, Upstream};
pub use tls::{TlsError, TlsMode, UpstreamTls};
