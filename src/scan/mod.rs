//! Finds columns that hold personal information, and says how sure it is and why, without ever showing a value.
//!
//! [`judge_table`] is pure: names, types, comments and samples in, [`Verdict`]s out. It reads names by phrases
//! ([`Lexicon`], data files in `names/` to which a user may add), values by check (dates and check digits, number plans,
//! lists of names) and by the share of a column that passes, and lets the columns of one table speak for each other.
//! What counts as personal information is POPIA section 1's definition; special personal information is section 26's.

mod accounts;
mod checks;
mod context;
mod document;
mod findings;
mod judge;
mod kept;
mod kind;
mod lexicon;
mod naming;
mod profile;
mod sample;
mod starter;
mod structure;
mod subjects;
mod values;
mod words;

pub use findings::Judged;
pub use judge::{Facts, Sample, Verdict, judge, judge_table};
pub use kept::{Kept, KeptError, KeptVerdict, Outcome, seen};
pub use kind::{Kind, Level};
pub use lexicon::{Lexicon, LexiconError};
pub use sample::{Limits, Skipped, facts, prepare_session, sampled_facts};
pub use starter::{About, starter_policy};
pub use structure::{Column, ForeignKey, Relkind, Table, read_tables};
pub use subjects::{Subject, subjects};
