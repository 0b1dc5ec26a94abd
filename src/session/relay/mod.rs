//! The database's direction: rows pass as bytes; what describes, ends or fails a statement is read.

mod beside;
mod clean;
pub(super) mod disclose;
mod failures;
mod guard;
pub(super) mod late;
mod settle;
mod structure;

use std::borrow::Cow;
use std::collections::BTreeSet;

pub use self::clean::clean_login;
use self::disclose::Held;
use self::late::Late;
use crate::session::flow::running::Running;
use crate::session::flow::{Answer, Description, Reply, Strange};
use crate::session::state::{End, HIGH, Session};
use crate::wire::backend::{self, Status};
use crate::wire::copy_rows::{self, CopyTrim};
use crate::wire::{Encoding, ErrorFields, HEADER, Header};

/// The longest message that is held whole; of a longer error only the beginning is read.
const HELD: usize = 256 * 1024;
/// How much of a too long error is read.
const ERROR_PART: usize = 16 * 1024;
/// The longest message whose room is kept.
const KEPT: usize = 256;
/// A RowDescription of 1,664 columns with long names.
const DESCRIPTION: usize = 1024 * 1024;

/// The database's direction.
#[derive(Debug, Default)]
pub(super) struct Outbound {
    /// How many bytes the database's next message needs; `None` while it is not read.
    pub(super) need: Option<usize>,
    /// Bytes of a message that are passed on.
    pub(super) passing: usize,
    /// Bytes of a message that are dropped.
    skipping: usize,
    scratch: Vec<u8>,
    /// Rows whose subjects are not in the log yet.
    held: Held,
    /// Takes hidden columns out of the rows of a COPY.
    copy_trim: CopyTrim,
    /// The run whose rows were opened earlier than it.
    late: Option<Box<Late>>,
    /// What the client asked runs again once the database is ready: its structure was another.
    again: Option<Box<str>>,
    /// Columns of which was told that they are compared by their masks.
    #[allow(clippy::box_collection)] // rarely there, and each idle session pays for what is
    told: Option<Box<BTreeSet<String>>>,
}

impl Session {
    /// Handles what the database sent, as far as it is there and the client takes it.
    pub(in crate::session) async fn serve_upstream(&mut self) -> Result<(), End> {
        loop {
            if self.client.out.len() > HIGH {
                self.outbound.need = None;
                return Ok(());
            }
            let input = self.upstream.input();
            if self.outbound.passing > 0 {
                let part = input.get(..self.outbound.passing.min(input.len())).unwrap_or_default();
                if part.is_empty() {
                    self.outbound.need = Some(1);
                    return Ok(());
                }
                self.client.out.extend_from_slice(part);
                let count = part.len();
                self.outbound.passing -= count;
                self.upstream.consume(count);
                continue;
            }
            if self.outbound.skipping > 0 {
                let count = self.outbound.skipping.min(input.len());
                if count == 0 {
                    self.outbound.need = Some(1);
                    return Ok(());
                }
                self.outbound.skipping -= count;
                self.upstream.consume(count);
                continue;
            }
            let Some(header) = Header::read(input).map_err(|_| unreadable())? else {
                self.outbound.need = Some(HEADER);
                return Ok(());
            };
            if !matches!(header.tag, b'E' | b'N' | b'A' | b'S') && self.is_reading_late() {
                if header.body > late::LONGEST_PART {
                    return Err(unreadable());
                }
                let Some(body) = self.upstream.input().get(HEADER..header.total()).map(<[u8]>::to_vec) else {
                    self.outbound.need = Some(header.total());
                    return Ok(());
                };
                self.upstream.consume(header.total());
                Box::pin(self.late_message(header, &body)).await?;
                continue;
            }
            let own = self.flow.is_asking();
            if matches!(header.tag, b'D' | b'd') && !own {
                let hidden = self.carried();
                if hidden > 0 {
                    let held = self.hold_rows(header.tag, hidden)?;
                    if self.must_disclose() {
                        Box::pin(self.disclose(header.tag)).await?;
                    } else if !held {
                        return Ok(());
                    }
                    continue;
                }
            }
            let input = self.upstream.input();
            match header.tag {
                b'D' | b'd' if !own => {
                    if self.owes_disclosure(header.tag) {
                        Box::pin(self.disclose(header.tag)).await?;
                    }
                    self.pass_rows(header)?;
                }
                b'E' | b'N' if header.body > HELD => {
                    let Some(part) = input.get(HEADER..HEADER + ERROR_PART) else {
                        self.outbound.need = Some(HEADER + ERROR_PART);
                        return Ok(());
                    };
                    let fields = ErrorFields::decode_part(part);
                    if self.owes_disclosure(header.tag) {
                        Box::pin(self.disclose(header.tag)).await?;
                    }
                    self.outbound.skipping = header.total();
                    self.failure_or_notice(header.tag, fields)?;
                }
                tag => {
                    let longest = match tag {
                        b'T' => DESCRIPTION,
                        b'D' => structure::LONGEST,
                        _ => HELD,
                    };
                    if header.body > longest {
                        return Err(unreadable());
                    }
                    let Some(body) = input.get(HEADER..header.total()) else {
                        self.outbound.need = Some(header.total());
                        return Ok(());
                    };
                    let mut scratch = std::mem::take(&mut self.outbound.scratch);
                    scratch.clear();
                    scratch.extend_from_slice(body);
                    self.upstream.consume(header.total());
                    if self.owes_disclosure(tag) {
                        Box::pin(self.disclose(tag)).await?;
                    }
                    let handled = self.answer_or_again(header, &scratch).await;
                    if scratch.capacity() <= KEPT {
                        self.outbound.scratch = scratch;
                    }
                    handled?;
                }
            }
        }
    }

    /// Passes as many rows as stand together, in one piece.
    fn pass_rows(&mut self, first: Header) -> Result<(), End> {
        let input = self.upstream.input();
        let (mut end, mut rows) = (0_usize, 0_u64);
        while let Ok(Some(header)) = Header::read(input.get(end..).unwrap_or_default()) {
            if header.tag != first.tag {
                break;
            }
            end = end.saturating_add(header.total());
            rows += 1;
            if end >= input.len() {
                break;
            }
        }
        let copied = first.tag == b'd';
        match self.flow.rows_come(copied) {
            // Of a COPY only the database knows how many rows its messages are.
            Ok(run) if !copied => run.rows = run.rows.saturating_add(rows),
            Ok(_) => {}
            Err(strange) => return Err(self.strange(strange)),
        }
        self.outbound.passing = end;
        Ok(())
    }

    fn pass(&mut self, header: Header, body: &[u8]) {
        self.client.out.extend_from_slice(&header.encode());
        self.client.out.extend_from_slice(body);
    }

    /// Handles an answer; where it does not fit what was decided, after the structure was read again.
    async fn answer_or_again(&mut self, header: Header, body: &[u8]) -> Result<(), End> {
        match header.tag {
            b'T' if !self.flow.is_asking() => return self.described(header, body).await,
            b'E' if !self.flow.is_asking() => return self.failed_or_again(body).await,
            _ => self.answer(header, body)?,
        }
        if header.tag == b'Z'
            && let Some(text) = self.outbound.again.take()
        {
            Box::pin(self.simple(&text)).await;
        }
        Ok(())
    }

    /// An error: the client hears of it, or its statement runs once again.
    async fn failed_or_again(&mut self, body: &[u8]) -> Result<(), End> {
        let fields = ErrorFields::decode(body).map_err(|_| unreadable())?;
        if self.may_be_outdated(&fields)
            && let Some(text) = Box::pin(self.outdated()).await
        {
            self.flow.runs_again();
            self.outbound.again = Some(text.into());
            let sqlstate = fields.sqlstate().unwrap_or("XX000");
            self.take(Answer::Failed { sqlstate, fatal: false })?;
            return Ok(());
        }
        self.failure_or_notice(b'E', fields)
    }

    fn answer(&mut self, header: Header, body: &[u8]) -> Result<(), End> {
        if self.flow.is_asking() && !matches!(header.tag, b'N' | b'A' | b'S') {
            return self.structure_answer(header.tag, body);
        }
        match header.tag {
            b'N' => {
                let fields = ErrorFields::decode(body).map_err(|_| unreadable())?;
                self.failure_or_notice(header.tag, fields)
            }
            b'A' if self.governed() => {
                let notification = backend::notification(body).map_err(|_| unreadable())?;
                // A trigger may notify of a row's values, so that the payload stays behind: process id, channel, nothing.
                if self.shows_payload(&notification) {
                    self.pass(header, body);
                } else {
                    let shorter = notification.without_payload();
                    self.pass(Header { tag: header.tag, body: shorter.len() }, &shorter);
                }
                Ok(())
            }
            b'A' => {
                self.pass(header, body);
                Ok(())
            }
            b'S' => {
                let (name, value) = backend::parameter_status(body).map_err(|_| unreadable())?;
                self.check_status(name, value)?;
                if name == "application_name" {
                    self.journal.application(value);
                }
                self.pass(header, body);
                Ok(())
            }
            b'C' => {
                self.tell_masks();
                let reply = self.take(answer_of(header.tag, body)?)?;
                self.reply(reply, header, body);
                Ok(())
            }
            b'H' => self.copy_begins(header, body),
            b'Z' => {
                let status = Status::decode(body).map_err(|_| unreadable())?;
                self.structure.told(status == Status::Idle);
                let reply = self.take(Answer::Ready(status))?;
                self.reply(reply, header, body);
                Ok(())
            }
            _ => {
                let reply = self.take(answer_of(header.tag, body)?)?;
                self.reply(reply, header, body);
                Ok(())
            }
        }
    }

    /// Whether a payload holds nothing but what the session, or whoever wrote the policy, knows.
    fn shows_payload(&self, notification: &backend::Notification<'_>) -> bool {
        let backend::Notification { pid, channel, payload } = *notification;
        let own =
            || pid == self.key.target_pid() && self.notified.iter().any(|(to, what)| to == channel && what == payload);
        self.shared.policies.load().shows_payloads_of(channel) || own()
    }

    /// Takes an answer in, and tells the log what it ends.
    fn take(&mut self, answer: Answer<'_>) -> Result<Reply, End> {
        let reply = self.flow.answer(answer).map_err(|strange| self.strange(strange))?;
        self.tell_ended();
        Ok(reply)
    }

    fn reply(&mut self, reply: Reply, header: Header, body: &[u8]) {
        match reply {
            Reply::Pass => self.pass(header, body),
            Reply::Hide => {}
            Reply::Refusal(refusal) => self.say(&refusal),
        }
    }

    /// The session's end where an answer must not come.
    fn strange(&self, strange: Strange) -> End {
        match strange {
            Strange::Unexpected => unexpected(),
            Strange::Incident(seq, what) => self.incident(seq, what),
        }
    }

    /// Settings under which the proxy and the database would read a text differently.
    fn check_status(&mut self, name: &str, value: &str) -> Result<(), End> {
        let (name, wrong) = match name {
            "client_encoding" => {
                self.encoding = Encoding::named(value).unwrap_or(Encoding::Other);
                ("client_encoding", self.encoding != Encoding::Utf8)
            }
            "standard_conforming_strings" => {
                ("standard_conforming_strings", value != "on" && self.role.unrestricted.is_none())
            }
            // Nobody whom a policy governs changes it where anything is hidden, and the database reports changes only: it would run as
            // somebody else. Where nothing is, SET says whom, and the session is not served once something is.
            "session_authorization" => {
                let open = self.shared.policies_now().hides_nothing();
                ("session_authorization", self.governed() && value != self.login && !open)
            }
            _ => return Ok(()),
        };
        if self.unlike == Some(name) && !wrong {
            self.unlike = None;
        }
        let observed = self.observes() && self.role.unrestricted.is_none();
        if wrong && (observed || name == "client_encoding" && self.shared.policies_now().hides_nothing()) {
            // Nothing is changed while nothing is enforced, nor hidden; once it is, such a session is not served.
            self.unlike = Some(name);
            self.upstream.write_in_ascii();
            return Ok(());
        }
        if wrong {
            Err(self.incident(None, &format!("`{name}` was changed to a value that is not allowed")))
        } else {
            Ok(())
        }
    }

    /// What of a row description the client is to see, what it is held against, and the number of its record.
    fn seen_of<'b>(&mut self, body: &'b [u8]) -> Result<(Cow<'b, [u8]>, Description), End> {
        let description = self.flow.description().map_err(|strange| self.strange(strange))?;
        let hidden = description.running.as_ref().map_or(0, Running::hidden);
        let seen = if hidden > 0 {
            Cow::Owned(self.trim_description(hidden, description.seq, body)?)
        } else {
            Cow::Borrowed(body)
        };
        Ok((seen, description))
    }

    /// Holds a row description against the decision, and takes its hidden columns out.
    async fn described(&mut self, header: Header, body: &[u8]) -> Result<(), End> {
        let (seen, Description { running, seq }) = self.seen_of(body)?;
        if let Some(stranger) = self.stranger(running.as_ref().map(|running| &**running.rows()), &seen)? {
            Box::pin(self.described_beside(body, &seen, stranger, seq)).await?;
        }
        let reply = self.take(Answer::Described)?;
        self.reply(reply, Header { tag: header.tag, body: seen.len() }, &seen);
        Ok(())
    }

    /// The database begins a COPY to the client.
    fn copy_begins(&mut self, header: Header, body: &[u8]) -> Result<(), End> {
        let reply = self.take(Answer::CopyOut)?;
        self.outbound.copy_trim = CopyTrim::default();
        let hidden = self.carried();
        if hidden == 0 {
            self.reply(reply, header, body);
            return Ok(());
        }
        let shorter = copy_rows::response(body, hidden).map_err(|_| unreadable())?;
        self.reply(reply, Header { tag: header.tag, body: shorter.len() }, &shorter);
        Ok(())
    }
}

/// What a message of the database's answers; rows, descriptions, errors and what it says unasked are none of it.
fn answer_of(tag: u8, body: &[u8]) -> Result<Answer<'_>, End> {
    Ok(match tag {
        b'1' => Answer::Parsed,
        b'2' => Answer::Bound,
        b'3' => Answer::Closed,
        b't' => Answer::Parameters,
        b'n' => Answer::NoData,
        b'G' => Answer::CopyIn,
        b'c' => Answer::CopyDone,
        b'C' => Answer::Complete(backend::command_tag(body).map_err(|_| unreadable())?),
        b'I' => Answer::Empty,
        b's' => Answer::Suspended,
        _ => return Err(unexpected()),
    })
}

fn unreadable() -> End {
    End::violation("the database sent a message that cannot be read")
}

fn unexpected() -> End {
    End::violation("the database sent a message that was not expected")
}
