//! Frames of PostgreSQL's protocol: read by bounds-checked readers, each held to its own frame, and written.
//!
//! A message is five bytes of header (tag, length) and a body. What the proxy needs by field is decoded here; every
//! other body passes as bytes. Source: "Frontend/Backend Protocol" in PostgreSQL's documentation.

pub mod array;
pub mod backend;
mod binding;
pub mod copy_rows;
mod encoding;
mod fields;
mod frame;
pub mod frontend;
mod link;
pub mod own;
mod pool;
mod speaker;
pub mod startup;
pub mod trim;
mod values;

pub use binding::{common_name, end_point};
pub use encoding::{Encoding, is_utf8};
pub use fields::ErrorFields;
pub use frame::{HEADER, Header, MAX_BODY, Reader, WireError, frame, put_cstr};
pub use link::{Io, Link, Prefixed};
pub use pool::{CHUNK, Pool};
pub use values::{BoundValue, Values};
