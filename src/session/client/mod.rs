//! The client's direction: messages one at a time, long bodies passed on as they come.

mod extended;
mod late;
mod plain;
mod simple;
mod structure;

use std::borrow::Cow;

use crate::error::{Refusal, SqlState, Stage};
use crate::session::flow::{Door, Next};
use crate::session::judge::names::{check_name, cut};
use crate::session::state::{End, HIGH, Session};
use crate::upstream::Control;
use crate::wire::frontend::{self, BindHead, MAX_NAMES, Parse, Tag, Target};
use crate::wire::{Encoding, HEADER, Header, WireError};

/// The longest message that holds no statement and no values.
const SMALL: usize = 64 * 1024;
/// What a Parse may hold beside its text: a name, and 65,535 types.
const PARSE_EXTRA: usize = SMALL + 4 * 65_535 + 4;
/// The longest values of a Bind that are held whole.
const LONGEST_VALUES: usize = 64 * 1024 * 1024;
/// The client's direction.
#[derive(Debug, Default)]
pub(super) struct Inbound {
    /// How many bytes the client's next message needs; `None` while it is not read.
    pub(super) need: Option<usize>,
    /// Bytes of a message that are dropped.
    skip: usize,
    /// The body at hand, so that a short message asks for no memory of its own.
    scratch: Vec<u8>,
}

/// The longest body whose room is kept.
const KEPT: usize = 256;

impl Inbound {
    /// The room of a body that was handled.
    fn keep(&mut self, body: Vec<u8>) {
        if body.capacity() <= KEPT {
            self.scratch = body;
        }
    }
}

impl Session {
    /// Handles what the client sent, as far as it is there and may be handled now.
    pub(in crate::session) async fn serve_client(&mut self) -> Result<(), End> {
        loop {
            if !self.pass_body() {
                return Ok(());
            }
            if self.is_blocked() {
                self.inbound.need = None;
                return Ok(());
            }
            if self.structure.in_batch() && !self.flow.takes_copy() {
                Box::pin(self.next_step()).await;
                continue;
            }
            let header = Header::read(self.client.input()).map_err(|error| End::violation(error.to_string()))?;
            let Some(header) = header else {
                self.inbound.need = Some(HEADER);
                return Ok(());
            };
            let tag = Tag::new(header.tag)
                .map_err(|_| End::violation(format!("invalid frontend message type {}", header.tag)))?;
            let handled = match self.flow.next(tag) {
                Next::Handle if self.awaits_structure(tag) => continue,
                Next::Handle => self.message(tag, header).await?,
                next => self.unhandled(next, header)?,
            };
            if !handled {
                return Ok(());
            }
        }
    }

    /// Whether the next message has to wait for the database.
    fn is_blocked(&mut self) -> bool {
        let shut = match self.flow.door() {
            Door::Open => false,
            Door::Shut => true,
            Door::ShutAsking => {
                self.upstream.control(Control::Flush);
                true
            }
        };
        shut || self.upstream.waiting() > HIGH
    }

    /// Moves the rest of a body that is dropped or passed on; whether all of it is through.
    fn pass_body(&mut self) -> bool {
        loop {
            let there = self.client.input().len();
            if self.inbound.skip > 0 {
                let count = self.inbound.skip.min(there);
                self.client.consume(count);
                self.inbound.skip -= count;
            } else if self.upstream.owed() > 0 {
                if self.upstream.waiting() > HIGH {
                    self.inbound.need = None;
                    return false;
                }
                let count = self.upstream.body(self.client.input());
                self.client.consume(count);
            } else {
                return true;
            }
            if self.client.input().is_empty() && (self.inbound.skip > 0 || self.upstream.owed() > 0) {
                self.inbound.need = Some(1);
                return false;
            }
        }
    }

    /// The body of the message at hand, taken; `None` while it is not all there.
    fn take_body(&mut self, header: Header, limit: usize) -> Result<Option<Vec<u8>>, End> {
        if header.body > limit {
            return Err(End::violation("invalid message length"));
        }
        let input = self.client.input();
        if input.len() < header.total() {
            self.inbound.need = Some(header.total());
            return Ok(None);
        }
        let mut body = std::mem::take(&mut self.inbound.scratch);
        body.clear();
        body.extend_from_slice(input.get(HEADER..header.total()).unwrap_or_default());
        self.client.consume(header.total());
        Ok(Some(body))
    }

    /// Handles one message; whether it was there.
    async fn message(&mut self, tag: Tag, header: Header) -> Result<bool, End> {
        let limit = self.shared.statement_limit;
        let longest = match tag {
            Tag::Query => limit.saturating_add(1),
            Tag::Parse => limit.saturating_add(PARSE_EXTRA),
            Tag::Bind => return self.bind_message(header).await,
            Tag::FunctionCall => {
                self.inbound.skip = header.total();
                let refusal = Refusal::unsupported(Stage::Session, "function calls by message are not supported")
                    .hint("call the function in a SELECT");
                let refusal = Box::pin(self.log_refusal_of(refusal, "function call")).await;
                self.refuse(refusal, true);
                return Ok(true);
            }
            Tag::Describe
            | Tag::Execute
            | Tag::Close
            | Tag::Sync
            | Tag::Flush
            | Tag::CopyData
            | Tag::CopyDone
            | Tag::CopyFail
            | Tag::Terminate => SMALL,
        };
        if header.body > longest && matches!(tag, Tag::Query | Tag::Parse) {
            self.inbound.skip = header.total();
            Box::pin(self.refuse_long(header, tag == Tag::Query)).await;
            return Ok(true);
        }
        let Some(body) = self.take_body(header, longest)? else { return Ok(false) };
        let handled = self.handle(tag, header, &body).await;
        self.inbound.keep(body);
        handled.map(|()| true)
    }

    /// Handles one message that is there as a whole.
    async fn handle(&mut self, tag: Tag, header: Header, body: &[u8]) -> Result<(), End> {
        let malformed = |error: WireError| End::violation(error.to_string());
        let read = match tag {
            Tag::Query => self.encoding.read_body(body, 1),
            Tag::Parse => self.encoding.read_body(body, 2),
            _ => Some(Cow::Borrowed(body)),
        };
        let Some(read) = read else {
            Box::pin(self.refuse_unreadable(WireError::NotUtf8, tag == Tag::Query)).await;
            return Ok(());
        };
        let body = &*read;
        match tag {
            Tag::Query => match frontend::query(body) {
                // What decides, logs and refuses waits rarely: what it needs while it does is not part of every idle session.
                Ok(text) => Box::pin(self.simple(text)).await,
                Err(error) => Box::pin(self.refuse_unreadable(error, true)).await,
            },
            Tag::Parse => match Parse::decode(body) {
                Ok(parse) if parse.sql.len() > self.shared.statement_limit => {
                    Box::pin(self.refuse_long(header, false)).await
                }
                Ok(parse) => Box::pin(self.parse(parse)).await,
                Err(error) => Box::pin(self.refuse_unreadable(error, false)).await,
            },
            Tag::Describe | Tag::Close => {
                let (target, name) = frontend::target(body).map_err(malformed)?;
                let (what, done) = match cut(name) {
                    Ok(name) if tag == Tag::Describe => ("describe", self.describe(target, name)),
                    Ok(name) => ("close", check_name(name).map(|()| self.close(target, name))),
                    Err(refusal) => ("name", Err(refusal)),
                };
                if let Err(refusal) = done {
                    let logged = Box::pin(self.log_refusal_of(refusal, what)).await;
                    self.refuse(logged, false);
                }
            }
            Tag::Execute => {
                let (portal, rows) = frontend::execute(body).map_err(malformed)?;
                match self.plain_run(portal) {
                    Some(prepared) => {
                        if let Err(refusal) = self.execute_plainly(portal, rows, prepared).await {
                            self.refuse(refusal, false);
                        }
                    }
                    None => Box::pin(self.execute(portal, rows)).await,
                }
            }
            Tag::Sync => {
                frontend::empty(body).map_err(malformed)?;
                self.sync();
            }
            Tag::Flush => {
                frontend::empty(body).map_err(malformed)?;
                self.flow.flushed();
                self.upstream.control(Control::Flush);
            }
            // What is not handled here is streamed, dropped or an end: see `message` and `unhandled`.
            Tag::Bind | Tag::FunctionCall | Tag::CopyData | Tag::CopyDone | Tag::CopyFail | Tag::Terminate => {}
        }
        Ok(())
    }

    /// Does with a message what the order of messages says; whether it was there.
    fn unhandled(&mut self, next: Next, header: Header) -> Result<bool, End> {
        match next {
            Next::Handle | Next::Drop => self.inbound.skip = header.total(),
            Next::Ignore => {
                let Some(body) = self.take_body(header, SMALL)? else { return Ok(false) };
                self.inbound.keep(body);
            }
            Next::PassCopy => {
                self.client.consume(HEADER);
                self.upstream.control(Control::CopyData { rest: header.body });
            }
            Next::EndCopy { done } => {
                let Some(body) = self.take_body(header, SMALL)? else { return Ok(false) };
                self.inbound.keep(body);
                self.end_copy(done);
            }
            Next::BreakCopy => {
                self.inbound.skip = header.total();
                self.end_copy(false);
            }
            Next::Leave => return Err(End::Terminated),
        }
        Ok(true)
    }

    fn end_copy(&mut self, done: bool) {
        self.upstream.control(if done { Control::CopyDone } else { Control::CopyFail });
        if self.structure.in_batch() {
            // What stepped statements run by tells how a COPY ended only with the next Sync or Flush, and the next statement waits for that.
            self.upstream.control(Control::Flush);
        }
        self.flow.copy_ended();
    }

    /// Forwards a Bind as far as its names; its values follow as they come.
    async fn bind_message(&mut self, header: Header) -> Result<bool, End> {
        let part = self.client.input().get(HEADER..).unwrap_or_default();
        let head = BindHead::decode(part, header.body).map_err(|error| End::violation(error.to_string()))?;
        let Some(head) = head else {
            self.inbound.need = Some(header.total().min(MAX_NAMES + HEADER));
            return Ok(false);
        };
        let (portal, statement, length) = (head.portal.to_owned(), head.statement.to_owned(), head.length);
        let rest = header.body.saturating_sub(length);
        if self.bind_plainly(&portal, &statement, rest) {
            self.client.consume(HEADER.saturating_add(length));
            return Ok(true);
        }
        Box::pin(self.bind_otherwise(header, (&portal, &statement, length))).await
    }

    /// A Bind of which something has to be asked, waited for or read; `length`: bytes of its names.
    async fn bind_otherwise(
        &mut self,
        header: Header,
        (portal, statement, length): (&str, &str, usize),
    ) -> Result<bool, End> {
        let rest = header.body.saturating_sub(length);
        let (found, reads) = match self.bindable(statement).await {
            Ok(found) => found,
            Err(refusal) => {
                self.client.consume(HEADER.saturating_add(length));
                self.inbound.skip = rest;
                self.refuse(refusal, false);
                return Ok(true);
            }
        };
        let body = if reads && rest <= LONGEST_VALUES {
            let Some(body) = self.take_body(header, usize::MAX)? else { return Ok(false) };
            Some(body)
        } else {
            self.client.consume(HEADER.saturating_add(length));
            None
        };
        let values = body.as_deref().map(|body| body.get(length..).unwrap_or_default());
        if let Err(refusal) = self.bind(portal, statement, found, rest, values).await {
            if body.is_none() {
                self.inbound.skip = rest;
            }
            self.refuse(refusal, false);
        }
        if let Some(body) = body {
            self.inbound.keep(body);
        }
        Ok(true)
    }

    async fn refuse_long(&mut self, header: Header, simple: bool) {
        let message = format!("the statement is longer than {} bytes", self.shared.statement_limit);
        let refusal = Refusal::new(Stage::Wire, SqlState::PROGRAM_LIMIT_EXCEEDED, message)
            .hint("send values as parameters, or use COPY");
        let refusal = self.log_refusal_of(refusal, &format!("statement of {} bytes", header.body)).await;
        self.refuse(refusal, simple);
    }

    async fn refuse_unreadable(&mut self, error: WireError, simple: bool) {
        let sqlstate = match error {
            WireError::NotUtf8 => SqlState::CHARACTER_NOT_IN_REPERTOIRE,
            WireError::Length
            | WireError::Short
            | WireError::LeftOver
            | WireError::Unterminated
            | WireError::Field
            | WireError::Tag => SqlState::PROTOCOL_VIOLATION,
        };
        let message = match (error, &self.encoding) {
            (WireError::NotUtf8, Encoding::Single(_) | Encoding::Other) => {
                "a statement with characters beyond ASCII is not read in this client_encoding".to_owned()
            }
            (error, _) => error.to_string(),
        };
        let refusal = self.log_refusal_of(Refusal::new(Stage::Wire, sqlstate, message), "unreadable statement").await;
        self.refuse(refusal, simple);
    }

    /// Forwards a Sync: the segment ends.
    fn sync(&mut self) {
        self.upstream.control(Control::Sync);
        self.flow.synced();
    }

    /// Forwards a Describe of something that was decided.
    fn describe(&mut self, target: Target, name: &str) -> Result<(), Refusal> {
        let prepared = match target {
            Target::Statement => self.statement(name)?,
            Target::Portal => self.of_portal(name)?,
        };
        self.forward_describe(target, name, &prepared, false);
        Ok(())
    }

    /// Forwards a Close: what is not there may be closed too.
    fn close(&mut self, target: Target, name: &str) {
        self.upstream.control(Control::Close(target, name));
        self.flow.closing(target, name, false);
    }
}
