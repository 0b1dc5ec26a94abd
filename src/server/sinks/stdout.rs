//! Standard output: one record a line, as it stands in the log.

use std::io::{self, Write};

use crate::audit::read::Entry;
use crate::audit::ship::{Deliver, Position};

/// The process's own.
#[derive(Debug, Clone, Copy, Default)]
pub struct Stdout;

impl Deliver for Stdout {
    fn begin(&mut self) -> Result<Option<Position>, String> {
        Ok(None)
    }

    fn deliver(&mut self, entries: &[Entry]) -> Result<(), String> {
        let mut out = io::stdout().lock();
        let written = entries.iter().try_for_each(|entry| writeln!(out, "{}", entry.line)).and_then(|()| out.flush());
        written.map_err(|error| format!("standard output cannot be written: {error}"))
    }
}
