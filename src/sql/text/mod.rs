//! Tokens, limits, and what is done to text alone: nothing here knows a tree.

mod ascii;
mod defines;
pub(super) mod keywords;
pub(super) mod lex;
#[cfg(test)]
mod lex_tests;
pub(super) mod limits;
mod path;
mod place;
pub(super) mod redact;
mod sent;
mod split;
mod stated;
mod unicode;

pub use ascii::in_ascii;
pub use defines::{may_define, may_fetch, may_reset, temporary_target};
pub use path::parse_search_path;
pub use place::place_of;
pub use redact::{Redacted, redact};
pub use sent::place_in;
pub use split::split;
pub use stated::{Stated, check_said, stated};
