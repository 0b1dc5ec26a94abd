//! The client's direction: messages one at a time, long bodies passed on as they come.

mod extended;
mod simple;

use crate::error::{Refusal, SqlState, Stage};
use crate::session::flow::{Door, Next, Refused};
use crate::session::state::{End, HIGH, Session};
use crate::upstream::Control;
use crate::wire::frontend::{self, BindHead, MAX_NAMES, Parse, Tag, Target};
use crate::wire::{ErrorFields, HEADER, Header, WireError, backend};

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
            let header = Header::read(self.client.input()).map_err(|error| End::violation(error.to_string()))?;
            let Some(header) = header else {
                self.inbound.need = Some(HEADER);
                return Ok(());
            };
            let tag = Tag::new(header.tag)
                .map_err(|_| End::violation(format!("invalid frontend message type {}", header.tag)))?;
            let handled = match self.flow.next(tag) {
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
        let body = input.get(HEADER..header.total()).unwrap_or_default().to_vec();
        self.client.consume(header.total());
        Ok(Some(body))
    }

    /// Handles one message; whether it was there.
    async fn message(&mut self, tag: Tag, header: Header) -> Result<bool, End> {
        let limit = self.shared.statement_limit;
        match tag {
            Tag::Query => {
                if header.body > limit.saturating_add(1) {
                    self.inbound.skip = header.total();
                    self.refuse_long(header, true).await;
                    return Ok(true);
                }
                let Some(body) = self.take_body(header, usize::MAX)? else { return Ok(false) };
                match frontend::query(&body) {
                    Ok(text) => self.simple(text).await,
                    Err(error) => self.refuse_unreadable(error, true).await,
                }
            }
            Tag::Parse => {
                if header.body > limit.saturating_add(PARSE_EXTRA) {
                    self.inbound.skip = header.total();
                    self.refuse_long(header, false).await;
                    return Ok(true);
                }
                let Some(body) = self.take_body(header, usize::MAX)? else { return Ok(false) };
                match Parse::decode(&body) {
                    Ok(parse) if parse.sql.len() > limit => self.refuse_long(header, false).await,
                    Ok(parse) => self.parse(parse).await,
                    Err(error) => self.refuse_unreadable(error, false).await,
                }
            }
            Tag::Bind => return self.bind_message(header).await,
            Tag::Describe => {
                let Some(body) = self.take_body(header, SMALL)? else { return Ok(false) };
                let (target, name) = frontend::target(&body).map_err(|error| End::violation(error.to_string()))?;
                match crate::session::judge::admit::cut(name) {
                    Ok(name) => self.describe(target, name),
                    Err(refusal) => self.refuse(refusal, false),
                }
            }
            Tag::Execute => {
                let Some(body) = self.take_body(header, SMALL)? else { return Ok(false) };
                let (portal, rows) = frontend::execute(&body).map_err(|error| End::violation(error.to_string()))?;
                self.execute(portal, rows).await;
            }
            Tag::Close => {
                let Some(body) = self.take_body(header, SMALL)? else { return Ok(false) };
                let (target, name) = frontend::target(&body).map_err(|error| End::violation(error.to_string()))?;
                match crate::session::judge::admit::cut(name) {
                    Ok(name) => self.close(target, name),
                    Err(refusal) => self.refuse(refusal, false),
                }
            }
            Tag::Sync => {
                let Some(body) = self.take_body(header, SMALL)? else { return Ok(false) };
                frontend::empty(&body).map_err(|error| End::violation(error.to_string()))?;
                self.sync();
            }
            Tag::Flush => {
                let Some(body) = self.take_body(header, SMALL)? else { return Ok(false) };
                frontend::empty(&body).map_err(|error| End::violation(error.to_string()))?;
                self.flow.flushed();
                self.upstream.control(Control::Flush);
            }
            Tag::FunctionCall => {
                self.inbound.skip = header.total();
                let refusal = Refusal::unsupported(Stage::Session, "function calls by message are not supported")
                    .hint("call the function in a SELECT");
                let refusal = self.log_refusal_of(refusal, "function call").await;
                self.refuse(refusal, true);
            }
            // What is not handled is dropped, passed on or an end: see `unhandled`.
            Tag::CopyData | Tag::CopyDone | Tag::CopyFail | Tag::Terminate => self.inbound.skip = header.total(),
        }
        Ok(true)
    }

    /// Does with a message what the order of messages says; whether it was there.
    fn unhandled(&mut self, next: Next, header: Header) -> Result<bool, End> {
        match next {
            Next::Handle | Next::Drop => self.inbound.skip = header.total(),
            Next::Ignore => return Ok(self.take_body(header, SMALL)?.is_some()),
            Next::PassCopy => {
                self.client.consume(HEADER);
                self.upstream.control(Control::CopyData { rest: header.body });
            }
            Next::EndCopy { done } => {
                if self.take_body(header, SMALL)?.is_none() {
                    return Ok(false);
                }
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
        self.flow.copy_ended();
    }

    async fn bind_message(&mut self, header: Header) -> Result<bool, End> {
        let part = self.client.input().get(HEADER..).unwrap_or_default();
        let head = BindHead::decode(part, header.body).map_err(|error| End::violation(error.to_string()))?;
        let Some(head) = head else {
            self.inbound.need = Some(header.total().min(MAX_NAMES + HEADER));
            return Ok(false);
        };
        let (portal, statement, length) = (head.portal.to_owned(), head.statement.to_owned(), head.length);
        let rest = header.body.saturating_sub(length);
        // Where rows may have hidden columns, the formats at the end of the message must count them.
        // And what is looked up is among the values.
        if rest <= LONGEST_VALUES && (self.shared.policies.load().records_subjects() || self.reads_values(&statement)) {
            let Some(body) = self.take_body(header, usize::MAX)? else { return Ok(false) };
            let values = body.get(length..).unwrap_or_default();
            if let Err(refusal) = self.bind(&portal, &statement, rest, Some(values)).await {
                self.refuse(refusal, false);
            }
            return Ok(true);
        }
        self.client.consume(HEADER.saturating_add(length));
        if let Err(refusal) = self.bind(&portal, &statement, rest, None).await {
            self.inbound.skip = rest;
            self.refuse(refusal, false);
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
        let refusal =
            self.log_refusal_of(Refusal::new(Stage::Wire, sqlstate, error.to_string()), "unreadable statement").await;
        self.refuse(refusal, simple);
    }

    /// Answers with an error in protocol order. `simple`: ReadyForQuery follows; else everything up to the client's
    /// Sync is dropped.
    ///
    /// Where the database has part of the pipeline or an open transaction, it gets a message that fails, so that it
    /// rolls back what PostgreSQL would roll back, and its error is replaced by this one.
    pub(in crate::session) fn refuse(&mut self, refusal: Refusal, simple: bool) {
        match self.flow.refuse(refusal, simple) {
            Refused::Now(refusal, status) => {
                ErrorFields::refusal("ERROR", &refusal).encode(b'E', &mut self.client.out);
                if let Some(status) = status {
                    backend::ready(&mut self.client.out, status);
                }
            }
            Refused::InOrder { sync } => {
                self.upstream.control(Control::Refuse);
                if sync {
                    self.upstream.control(Control::Sync);
                }
            }
        }
    }

    /// Forwards a Sync: the segment ends.
    fn sync(&mut self) {
        self.upstream.control(Control::Sync);
        self.flow.synced();
    }

    /// Forwards a Describe of something that was decided.
    fn describe(&mut self, target: Target, name: &str) {
        let prepared = match target {
            Target::Statement => {
                self.flow.names.statement(name).cloned().ok_or_else(|| crate::session::judge::admit::no_statement(name))
            }
            Target::Portal => self
                .flow
                .names
                .portal(name)
                .map(|portal| portal.prepared.clone())
                .ok_or_else(|| crate::session::judge::admit::no_portal(name)),
        };
        match prepared {
            Ok(prepared) => self.forward_describe(target, name, &prepared, false),
            Err(refusal) => self.refuse(refusal, false),
        }
    }

    /// Forwards a Close: what is not there may be closed too.
    fn close(&mut self, target: Target, name: &str) {
        self.upstream.control(Control::Close(target, name));
        self.flow.closing(target, name, false);
    }
}
