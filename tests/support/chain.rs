//! Lines of an access log that no proxy wrote, chained as one would chain them.

use std::fmt::Write;

/// A log in the making.
pub struct Lines {
    /// What was written since it was last taken out.
    pub text: String,
    /// The number of the last record.
    pub seq: u64,
    prev: String,
}

impl Default for Lines {
    fn default() -> Self {
        Self { text: String::new(), seq: 0, prev: "0".repeat(64) }
    }
}

impl Lines {
    /// Adds a record with these fields between its number and its hashes; gives its number.
    pub fn add(&mut self, fields: &str) -> u64 {
        self.seq += 1;
        let covered = format!("{{\"seq\":{},{fields},\"prev\":\"{}\"", self.seq, self.prev);
        let hash = ring::digest::digest(&ring::digest::SHA256, covered.as_bytes());
        self.prev = hash.as_ref().iter().fold(String::new(), |mut hex, byte| {
            write!(hex, "{byte:02x}").unwrap();
            hex
        });
        writeln!(self.text, "{covered},\"hash\":\"{}\"}}", self.prev).unwrap();
        self.seq
    }
}
