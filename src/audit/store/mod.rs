//! Files of the log: names and order, the compressed form, and the index beside a closed file.

mod advance;
pub(super) mod beside;
pub(super) mod clock;
pub(super) mod files;
pub(super) mod index;
mod indexed;
pub(super) mod opened;
pub(super) mod pack;
pub(super) mod pair;
mod reindex;
pub(super) mod tail;
pub(super) mod tally;

pub use advance::Advance;
pub use reindex::{Reindexed, reindex};
pub use tally::{Group, Tally, Times, Whom};
