//! Where and how a log does not hold.

use std::fmt;

use crate::audit::record::chain::BadLine;
use crate::audit::record::checkpoint::BadCheckpoint;

/// After so many breaks nobody needs more.
pub const MOST_BREAKS: usize = 100;

/// Where and how the chain breaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Break {
    /// The file's name.
    pub file: String,
    /// Line, from 1; 0 where it is about the file.
    pub line: u64,
    /// Number of the record that should stand there; 0 where it is about the file.
    pub seq: u64,
    /// What is wrong.
    pub what: Wrong,
}

/// What is wrong with a line or a file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Wrong {
    /// It is no whole record.
    #[error("{0}")]
    Line(#[from] BadLine),
    /// Records are missing before it.
    #[error("records {from} to {to} are missing before it")]
    Missing {
        /// First missing number.
        from: u64,
        /// Last missing number.
        to: u64,
    },
    /// Its number is not above the one before.
    #[error("record {seq} stands after record {after}: moved or inserted")]
    Moved {
        /// Its number.
        seq: u64,
        /// The number before.
        after: u64,
    },
    /// Number as expected, but it follows another record than the one before it.
    #[error("record {seq} does not follow the record before it: one of the two was replaced")]
    Replaced {
        /// Its number.
        seq: u64,
    },
    /// The last line has no end.
    #[error("the last line is cut off")]
    Cut,
    /// A file begins with another record than its name says.
    #[error("the file should begin with record {named}")]
    Name {
        /// The number in its name.
        named: u64,
    },
    /// A file is named as one of the log and is none.
    #[error("the file is not named as one of the log")]
    Stray,
    /// Bytes that were kept aside are gone or changed.
    #[error("the torn end that was kept in `{kept}` is gone or changed")]
    Torn {
        /// The file.
        kept: String,
    },
    /// A compressed file cannot be read.
    #[error("the file was changed: it cannot be decompressed")]
    Damaged,
    /// The index leaves out, or makes up, what the file holds.
    #[error("its index was changed: a search by it may miss records; remove the index, or search with `--all`")]
    Index,
    /// A checkpoint in the log is wrong.
    #[error("the checkpoint after record {vouched}: {why}")]
    Checkpoint {
        /// The last record that an earlier checkpoint vouches for.
        vouched: u64,
        /// What is wrong.
        why: BadCheckpoint,
    },
    /// More records than may be without a checkpoint, or for longer.
    #[error("{why}: all from there on may be forged")]
    Unvouched {
        /// How many, or for how long.
        why: String,
    },
    /// Records that nobody had signed when the log was first opened with a key.
    #[error(
        "records {from} to {to} stood there without a checkpoint when the log was opened: all may be forged; where signing was switched on then, \
         say so with `--signed-from {}`", to + 1
    )]
    Unsigned {
        /// The first.
        from: u64,
        /// The last.
        to: u64,
    },
    /// The log tells that its end did not hold when it was opened.
    #[error("the log was changed while no proxy wrote it: {what}")]
    Incident {
        /// What did not hold.
        what: String,
    },
    /// A file was destroyed before its time.
    #[error("`{file}` was destroyed too early: {why}")]
    Early {
        /// The file.
        file: String,
        /// Why it should have stayed.
        why: String,
    },
    /// Another place has a record that the log has not.
    #[error(
        "`{place}` says that record {seq} was given away, and the log ends with record {last}: its end was cut off"
    )]
    Given {
        /// The file that says so.
        place: String,
        /// The record.
        seq: u64,
        /// The last record of the log.
        last: u64,
    },
    /// A checkpoint that was kept elsewhere could be held against no record.
    #[error(
        "the checkpoint in {place} could not be held against any record: its file was destroyed by age, or cut off"
    )]
    NotHeld {
        /// Where the checkpoint is.
        place: String,
    },
    /// No checkpoint of the keys that were given.
    #[error("the log holds no checkpoint of the public key: nothing in it is vouched for")]
    NoCheckpoint,
    /// A checkpoint kept elsewhere is of a record behind the log's end.
    #[error("the checkpoint in {place} is record {covers}, and the log ends with record {last}: its end was cut off")]
    CutOff {
        /// Where the checkpoint is.
        place: String,
        /// Its number.
        covers: u64,
        /// The last record.
        last: u64,
    },
    /// A checkpoint kept elsewhere is another record than the log holds under its number.
    #[error("the checkpoint in {place} is another record {covers} than the log holds: the log was rewritten")]
    Rewritten {
        /// Where the checkpoint is.
        place: String,
        /// Its number.
        covers: u64,
    },
    /// The log is signed, and the newest checkpoint is not beside it.
    #[error("the newest checkpoint's own file `checkpoint.json` is gone or is none: its end may have been cut off")]
    NoNewest,
    /// A row of a database says otherwise than the record that it holds.
    #[error("the column `{column}` of its row says otherwise than its line: who asks the table is told something else")]
    Row {
        /// The column.
        column: &'static str,
    },
    /// What a database says of a log's end is not what it holds.
    #[error("`audit.positions` says that the log is there up to record {seq}, and its last record is another")]
    Position {
        /// The number that it says.
        seq: u64,
    },
    /// Another place has another record under the same number.
    #[error("{place} has another record {seq}: one of the two was rewritten")]
    Differs {
        /// Where.
        place: String,
        /// The record.
        seq: u64,
    },
    /// A checkpoint kept elsewhere is not signed with a key that was given.
    #[error("the checkpoint in {place}: {why}")]
    Sent {
        /// Where the checkpoint is.
        place: String,
        /// What is wrong.
        why: BadCheckpoint,
    },
}

impl fmt::Display for Break {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.line, self.seq) {
            (0, _) => write!(f, "{}: {}", self.file, self.what),
            (line, seq) => write!(f, "{}:{line}: at record {seq}: {}", self.file, self.what),
        }
    }
}
