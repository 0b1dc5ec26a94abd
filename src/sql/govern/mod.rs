//! The one path through the stages: a statement's text goes in, what may run instead of it comes out.
//!
//! INVARIANT I8: One path: simple query, Parse, PREPARE, DECLARE, EXPLAIN and COPY all go through `enforce`.

mod about;
mod admitted;
mod ask;
mod effect;
mod enforce;
mod enforced;
mod fills;
mod holds;
mod late;
mod notice;
mod shown;
mod steer;
mod words;

pub use about::Lookups;
pub use admitted::{admitted, may_use, refusal_of};
pub use effect::{Effect, Named, Said, Way};
pub use enforce::{enforce, enforce_form, relay_unrestricted};
pub use enforced::{Enforced, Refused};
pub use fills::Fills;
pub use late::{portal_refusal, too_old_refusal};
pub use notice::Compared as ComparedMask;
pub use words::Words;
