//! Decisions for a form: statements that differ only in constants share one.
//!
//! Why that is sound, in four steps:
//!
//! 1. A [`Form`] is made by our lexer in one pass: its key holds every token but the free constants, and of each of those the
//!    class, PostgreSQL's token for it. The tokens that the pipeline gets hold slots in the place of these constants
//!    ([`constant`]), so that no stage could look at a value: none is there. Where a value is wanted it is asked for, and
//!    asking pins it into the key. The pipeline is a function of the form and of the answers; for two statements with the
//!    same form and the same pinned values it gives the same decision, and the same text with the same slots.
//! 2. What runs is that text with the constants of the statement at hand, decoded by our lexer and written by us, each a token
//!    of its own of the same class ([`template`]). The client's bytes are never forwarded.
//! 3. PostgreSQL's grammar is driven by tokens, not by their values, but for a few rules that look at one (`float(24)`,
//!    the sign before a number). So every slot is held to PostgreSQL's own tree when the form is decided, in the client's text
//!    and in the one that runs: where the tree has not exactly that constant at exactly that place, the slot is pinned
//!    ([`exchangeable`]). What is left differs, in the tree, by that value alone.
//! 4. What cannot be decided without values, a refusal among it, is decided from nothing with all of them in sight, and
//!    holds for that very statement only.

mod constant;
pub(in crate::sql) mod context;
mod exchangeable;
mod keyed;
mod read;
mod template;

pub use constant::{Asked, Class, Constants, Known, Slot};
pub use context::Context;
pub(in crate::sql) use exchangeable::{Found, FoundValue, pin_others};
pub use keyed::Keyed;
pub use read::Form;
pub(in crate::sql) use template::{Opaque, Place, Template, without_constants};
