//! The answers to what the proxy itself asks about the structure: none of it goes to the client.

use crate::error::{Refusal, SqlState, Stage};
use crate::session::state::{End, Session};
use crate::wire::backend;

/// The longest row of such an answer.
pub(super) const LONGEST: usize = 64 * 1024 * 1024;

impl Session {
    /// One message of the answer.
    pub(super) fn structure_answer(&mut self, tag: u8, body: &[u8]) -> Result<(), End> {
        match tag {
            b'1' | b'2' => Ok(()),
            b'D' => {
                let values = backend::data_row_in(body, &self.encoding).map_err(|_| unread())?;
                self.structure.row(values);
                Ok(())
            }
            b'C' => Ok(()),
            b'3' => {
                if self.structure.answered().map_err(|_| unread())? {
                    self.flow.told_structure();
                }
                Ok(())
            }
            _ => Err(unread()),
        }
    }
}

/// Nothing can be decided without it.
pub(super) fn unread() -> End {
    End::Fatal(
        Refusal::new(
            Stage::Session,
            SqlState::IO_ERROR,
            "the structure of the database could not be read in this session",
        )
        .hint("connect again; the operator's log says why"),
    )
}
