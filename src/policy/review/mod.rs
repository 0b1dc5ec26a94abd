//! What is worth knowing of policies that are in force: what does not fit the database, what a change opens and closes, what
//! is opened, listed, kept or overdue.

mod by_itself;
mod diff;
mod grants;
mod lint;
mod listing;
mod live;
mod needed;
mod overdue;
mod own;
mod partly;
mod parts;
mod retained;

pub use diff::Difference;
pub use grants::{Grant, Way};
pub use listing::{ListedColumn, ListedConsent, ListedExclusion, OWN, ROWS, Stated};
pub use needed::{Holds, NeededColumn, WishTable};
pub use partly::Partly;
pub use retained::{Keeps, Retained};
