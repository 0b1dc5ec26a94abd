//! Whose rows go to the client: the hidden columns are taken out, and what they say stands in the access log before the
//! rows are relayed.
//!
//! Rows are held while they are few. Where the log cannot be written they are dropped, and the session ends.

use std::collections::BTreeSet;
use std::mem;

use bytes::BytesMut;

use crate::audit::Seen;
use crate::catalog::builtin;
use crate::error::{Refusal, SqlState, Stage};
use crate::policy::RecordAs;
use crate::session::flow::running::Running;
use crate::session::judge::enforcer::Decision;
use crate::session::state::{End, Session};
use crate::sql::HIDDEN_COLUMN;
use crate::wire::{HEADER, Header, trim};

/// Bytes of rows that wait for one record.
const HELD_BYTES: usize = 32 * 1024;
/// Rows that wait for one record.
const HELD_ROWS: u64 = 1000;
/// The longest row of a table that records subjects: it is held whole.
const LONGEST_ROW: usize = 64 * 1024 * 1024;

/// Rows whose subjects are not in the log yet.
#[derive(Debug, Default)]
pub(in crate::session) struct Held {
    rows: BytesMut,
    count: u64,
    /// By the relations of the disclosure.
    subjects: Vec<BTreeSet<Box<[u8]>>>,
}

impl Held {
    pub(in crate::session) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// None yet, of so many relations.
    pub(super) fn of(relations: usize) -> Self {
        Self { subjects: vec![BTreeSet::new(); relations], ..Self::default() }
    }

    /// One row without its hidden columns, and by relation whose it is.
    pub(super) fn add(&mut self, message: &[u8], recorded: Vec<(usize, Box<[u8]>)>) {
        self.rows.extend_from_slice(message);
        self.count += 1;
        for (relation, key) in recorded {
            if let Some(subjects) = self.subjects.get_mut(relation) {
                subjects.insert(key);
            }
        }
    }

    pub(super) fn count(&self) -> u64 {
        self.count
    }

    fn is_full(&self) -> bool {
        self.rows.len() >= HELD_BYTES || self.count >= HELD_ROWS
    }
}

impl Session {
    /// How many hidden columns the rows that come now have.
    pub(in crate::session) fn carried(&mut self) -> usize {
        self.flow.running().and_then(|run| run.running.as_ref()).map_or(0, Running::hidden)
    }

    /// Holds rows as far as they are there; whether any was. `hidden` is what [`Self::carried`] said.
    pub(in crate::session) fn hold_rows(&mut self, tag: u8, hidden: usize) -> Result<bool, End> {
        let (seq, running) = match self.flow.rows_come(tag == b'd') {
            Ok(run) => (run.seq, run.running.as_ref()),
            Err(strange) => return Err(self.strange(strange)),
        };
        let Some(decision) = running.map(|running| running.rows().clone()) else { return Err(unreadable()) };
        let disclosure = decision.enforced.disclosure();
        self.outbound.held.subjects.resize_with(disclosure.rows.len(), BTreeSet::new);
        let before = self.outbound.held.count;
        while !self.outbound.held.is_full() {
            let input = self.upstream.input();
            let Some(header) = Header::read(input).map_err(|_| unreadable())? else {
                self.outbound.need = Some(HEADER);
                break;
            };
            if header.tag != tag {
                break;
            }
            if header.body > LONGEST_ROW {
                return Err(End::Fatal(too_long()));
            }
            let Some(body) = input.get(HEADER..header.total()) else {
                self.outbound.need = Some(header.total());
                break;
            };
            let Held { rows, count, subjects } = &mut self.outbound.held;
            let mut strange = false;
            let mut note = |at: usize, value: &[u8]| {
                let Some(relation) = disclosure.hidden.get(at) else { return strange = true };
                // A key that is not there for the log.
                let Some(relation) = relation else { return };
                match subjects.get_mut(*relation) {
                    Some(known) if known.contains(value) => {}
                    Some(known) => drop(known.insert(value.into())),
                    None => strange = true,
                }
            };
            let mut unmarked = false;
            let trimmed = if tag == b'd' {
                let Some(form) = decision.enforced.copy_form() else { return Err(unreadable()) };
                self.outbound.copy_trim.message(form, body, hidden, rows, |at, value| match value.strip_prefix(b"=") {
                    Some(key) => note(at, key),
                    None => unmarked |= !value.is_empty(),
                })
            } else {
                trim::row(body, hidden, rows, |at, value| value.into_iter().for_each(|value| note(at, value)))
            };
            strange |= unmarked;
            if trimmed.is_err() || strange {
                return Err(self.incident(seq, "a row came without the key of its data subject"));
            }
            *count += 1;
            self.upstream.consume(header.total());
        }
        let more = self.outbound.held.count.saturating_sub(before);
        // Of a COPY only the database knows how many rows its messages are.
        if tag == b'D'
            && let Some(run) = self.flow.running()
        {
            run.rows = run.rows.saturating_add(more);
        }
        Ok(more > 0)
    }

    /// Whether the rows that are held have to go before anything else is held.
    pub(in crate::session) fn must_disclose(&self) -> bool {
        self.outbound.held.is_full()
    }

    /// Whether something of this run has to stand in the log before the message with this tag is relayed.
    pub(in crate::session) fn owes_disclosure(&mut self, tag: u8) -> bool {
        if !self.outbound.held.is_empty() {
            return true;
        }
        if tag == b'E' {
            let running = self.flow.running().and_then(|run| run.running.as_ref());
            return running.is_some_and(|running| running.everything().next().is_some());
        }
        // Rows, or the end of a run.
        if !matches!(tag, b'D' | b'd' | b'C' | b's') {
            return false;
        }
        self.flow.running().is_some_and(|run| {
            let running = run.running.as_ref().filter(|_| !run.told);
            running.is_some_and(|running| running.aggregates().next().is_some())
        })
    }

    /// Writes what is owed into the log, and relays the rows that were held.
    pub(in crate::session) async fn disclose(&mut self, tag: u8) -> Result<(), End> {
        let Some(run) = self.flow.running() else { return Err(unreadable()) };
        let (Some(seq), Some(running)) = (run.seq, run.running.clone()) else {
            return Err(unreadable());
        };
        let told = mem::replace(&mut run.told, true);
        // An error says of some row that it is there, and not of which.
        let aggregate = match (tag, told) {
            (b'E', _) => running.everything().cloned().collect(),
            (_, true) => Vec::new(),
            (_, false) => running.aggregates().cloned().collect(),
        };
        let Held { rows, count, subjects } = mem::take(&mut self.outbound.held);
        let relations = self.seen(running.rows(), subjects)?;
        if !relations.is_empty() || !aggregate.is_empty() {
            let written = self.journal.disclosure(&running, (seq, count), relations, &aggregate).await;
            written.map_err(|error| {
                error.told("rows were not sent because whose they are could not be logged");
                End::Fatal(unlogged())
            })?;
        }
        if self.client.out.is_empty() {
            self.client.out = rows;
        } else {
            self.client.out.extend_from_slice(&rows);
        }
        Ok(())
    }

    fn seen<'a>(&self, decision: &'a Decision, subjects: Vec<BTreeSet<Box<[u8]>>>) -> Result<Vec<Seen<'a>>, End> {
        let mut relations = Vec::new();
        for (relation, keys) in decision.enforced.disclosure().rows.iter().zip(subjects) {
            let mut subjects = Vec::with_capacity(keys.len());
            for key in keys {
                let key = std::str::from_utf8(&key).map_err(|_| unreadable())?;
                subjects.push(match (relation.form, &self.shared.subject_key) {
                    (RecordAs::Plain, _) => key.to_owned(),
                    (RecordAs::Pseudonym, Some(secret)) => secret.pseudonym(key),
                    (RecordAs::Pseudonym, None) => return Err(End::Fatal(Refusal::internal(Stage::Audit))),
                });
            }
            if !subjects.is_empty() {
                relations.push(Seen { relation, subjects });
            }
        }
        Ok(relations)
    }

    /// A RowDescription without its hidden columns, which must be there.
    pub(in crate::session) fn trim_description(
        &self,
        hidden: usize,
        seq: Option<u64>,
        body: &[u8],
    ) -> Result<Vec<u8>, End> {
        let mut strange = false;
        let trimmed = trim::description(body, hidden, |field| {
            strange |= !field.name.starts_with(HIDDEN_COLUMN.as_bytes()) || field.type_oid != builtin::TEXT;
        });
        match trimmed {
            Ok(trimmed) if !strange => Ok(trimmed),
            Ok(_) | Err(_) => Err(self.incident(seq, "the result does not hold the keys of its data subjects")),
        }
    }
}

fn unreadable() -> End {
    End::violation("the database sent a message that cannot be read")
}

fn too_long() -> Refusal {
    let message = format!("a row of a table that records its data subjects is longer than {LONGEST_ROW} bytes");
    Refusal::new(Stage::Session, SqlState::PROGRAM_LIMIT_EXCEEDED, message)
}

fn unlogged() -> Refusal {
    Refusal::new(
        Stage::Audit,
        SqlState::IO_ERROR,
        "the access log cannot be written, so the rows were not sent and the session was ended",
    )
    .hint("the operator's log names the cause; service returns when the access log can be written again")
}
