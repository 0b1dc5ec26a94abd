//! The proof of a log whose records come from another place than its files, such as a database.

use super::held::Held;
use super::{Break, Check, Ended, Trust, Verification, Wrong};
use crate::audit::record::chain::{self, Link};

/// Takes a log's records in order, and says in the end whether they are the log.
pub struct Proving<'a> {
    check: Check<'a>,
    name: String,
    number: u64,
}

impl std::fmt::Debug for Proving<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Proving").field("name", &self.name).field("number", &self.number).finish_non_exhaustive()
    }
}

impl<'a> Proving<'a> {
    /// Of the log of this name. Of the checkpoints that were kept elsewhere, `trust` holds this log's alone.
    pub fn new(name: &str, trust: &'a Trust, signed_from: u64) -> Self {
        let mut check = Check::new(None, trust, signed_from, Held::elsewhere(trust), Ended::Open);
        check.log = Some(name.to_owned());
        Self { check, name: name.to_owned(), number: 0 }
    }

    /// The next record's line, without its end.
    pub fn line(&mut self, line: &[u8]) {
        self.number += 1;
        // Where it stands is its own number: there is no file whose name could say another.
        let own = chain::open(line).map_or(0, |sealed| sealed.seq);
        let name = std::mem::take(&mut self.name);
        self.check.line(&name, self.number, line, own);
        self.name = name;
    }

    /// Something is wrong with the record that was taken last.
    pub fn wrong(&mut self, what: Wrong) {
        if self.check.found.breaks.len() < super::MOST_BREAKS {
            let seq = self.check.found.last.seq;
            self.check.found.breaks.push(Break { file: self.name.clone(), line: self.number, seq, what });
        }
    }

    /// The last record that was taken.
    pub fn last(&self) -> Link {
        self.check.found.last
    }

    /// The verdict.
    pub fn finish(self) -> Verification {
        self.check.finish()
    }
}
