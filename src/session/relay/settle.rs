//! How runs ended, as the access log is told.

use std::sync::Arc;

use crate::session::flow::{Ended, How};
use crate::session::state::Session;

impl Session {
    /// Tells the log what ended, and learns of another structure.
    pub(in crate::session) fn tell_ended(&mut self) {
        for ended in self.flow.ended() {
            match ended {
                Ended::Run { seq, started, how } => {
                    let took = started.elapsed();
                    match &how {
                        How::Done(rows) => self.journal.outcome(seq, took, *rows, None),
                        How::Failed(sqlstate, rows) => self.journal.outcome(seq, took, *rows, Some(sqlstate)),
                        How::Skipped => self.journal.skipped(seq, took),
                        How::Lost(rows) => self.journal.lost(seq, took, *rows),
                    }
                    if matches!(how, How::Done(_) | How::Failed(..)) {
                        self.shared.metrics.upstream.observe(took);
                    }
                }
                Ended::Purpose { before, after } => self.journal.purpose(&before, &after, None),
                Ended::Structure(touched) => {
                    // Before the client hears of it: no session decides by the older snapshot from here on.
                    self.catalog.outdated(&touched);
                    let catalog = Arc::clone(&self.catalog);
                    tokio::spawn(async move { crate::session::shared::settle(&catalog).await });
                }
            }
        }
    }
}
