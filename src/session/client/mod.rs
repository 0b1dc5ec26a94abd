//! The client's direction: messages one at a time, long bodies passed on as they come.

mod extended;
mod simple;

use crate::error::{Refusal, SqlState, Stage};
use crate::session::flow::pending::Expect;
use crate::session::state::{End, HIGH, Session};
use crate::upstream::Control;
use crate::wire::backend::Status;
use crate::wire::frontend::{self, BindHead, MAX_NAMES, Parse, Tag, Target};
use crate::wire::{ErrorFields, HEADER, Header, WireError, backend};

/// The longest message that holds no statement and no values.
const SMALL: usize = 64 * 1024;
/// What a Parse may hold beside its text: a name, and 65,535 types.
const PARSE_EXTRA: usize = SMALL + 4 * 65_535 + 4;
/// The longest values of a Bind that are held whole.
const LONGEST_VALUES: usize = 64 * 1024 * 1024;
/// Messages that may wait for their answers before the client is no longer read.
const MAX_PENDING: usize = 4096;

impl Session {
    /// Handles what the client sent, as far as it is there and may be handled now.
    pub(in crate::session) async fn serve_client(&mut self) -> Result<(), End> {
        loop {
            if !self.pass_body() {
                return Ok(());
            }
            if self.is_blocked() {
                self.client_need = None;
                return Ok(());
            }
            let header = Header::read(self.client.input()).map_err(|error| End::violation(error.to_string()))?;
            let Some(header) = header else {
                self.client_need = Some(HEADER);
                return Ok(());
            };
            let tag = Tag::new(header.tag)
                .map_err(|_| End::violation(format!("invalid frontend message type {}", header.tag)))?;
            if self.discarding && !matches!(tag, Tag::Sync | Tag::Terminate) {
                self.skip = header.total();
                continue;
            }
            let handled =
                if self.copy_in { self.copy_message(tag, header)? } else { self.message(tag, header).await? };
            if !handled {
                return Ok(());
            }
        }
    }

    /// Whether the next message has to wait for the database.
    fn is_blocked(&mut self) -> bool {
        if self.pending.len() >= MAX_PENDING && !self.barrier {
            // The database may keep its answers until it is told to send them.
            self.upstream.control(Control::Flush);
            self.barrier = true;
        }
        if self.pending.is_empty() {
            self.barrier = false;
        }
        self.upstream.waiting() > HIGH || (self.barrier && !self.copy_in)
    }

    /// Moves the rest of a body that is dropped or passed on; whether all of it is through.
    fn pass_body(&mut self) -> bool {
        loop {
            let there = self.client.input().len();
            if self.skip > 0 {
                let count = self.skip.min(there);
                self.client.consume(count);
                self.skip -= count;
            } else if self.upstream.owed() > 0 {
                if self.upstream.waiting() > HIGH {
                    self.client_need = None;
                    return false;
                }
                let count = self.upstream.body(self.client.input());
                self.client.consume(count);
            } else {
                return true;
            }
            if self.client.input().is_empty() && (self.skip > 0 || self.upstream.owed() > 0) {
                self.client_need = Some(1);
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
            self.client_need = Some(header.total());
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
                    self.skip = header.total();
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
                    self.skip = header.total();
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
                self.exchange = self.exchange.wrapping_add(1);
                self.upstream.control(Control::Flush);
            }
            Tag::CopyData => {
                // Sent ahead of the answer that asks for it, or by a client that has not seen the error yet: the
                // database takes or ignores it, as it is.
                if self.pending.is_empty() {
                    self.skip = header.total();
                } else {
                    self.client.consume(HEADER);
                    self.upstream.control(Control::CopyData { rest: header.body });
                }
            }
            Tag::CopyDone | Tag::CopyFail => {
                if self.take_body(header, SMALL)?.is_none() {
                    return Ok(false);
                }
                if !self.pending.is_empty() {
                    self.end_copy(tag == Tag::CopyDone);
                }
            }
            Tag::FunctionCall => {
                self.skip = header.total();
                let refusal = Refusal::unsupported(Stage::Session, "function calls by message are not supported")
                    .hint("call the function in a SELECT");
                let refusal = self.log_refusal_of(refusal, "function call").await;
                self.refuse(refusal, true);
            }
            Tag::Terminate => return Err(End::Terminated),
        }
        Ok(true)
    }

    /// Handles one message while the database takes rows of a COPY.
    fn copy_message(&mut self, tag: Tag, header: Header) -> Result<bool, End> {
        match tag {
            Tag::CopyData => {
                self.client.consume(HEADER);
                self.upstream.control(Control::CopyData { rest: header.body });
            }
            Tag::CopyDone | Tag::CopyFail => {
                if self.take_body(header, SMALL)?.is_none() {
                    return Ok(false);
                }
                self.end_copy(tag == Tag::CopyDone);
            }
            // PostgreSQL ignores these two within a COPY.
            Tag::Sync | Tag::Flush => {
                if self.take_body(header, SMALL)?.is_none() {
                    return Ok(false);
                }
            }
            Tag::Terminate => return Err(End::Terminated),
            Tag::Query | Tag::Parse | Tag::Bind | Tag::Describe | Tag::Execute | Tag::Close | Tag::FunctionCall => {
                self.skip = header.total();
                self.end_copy(false);
            }
        }
        Ok(true)
    }

    fn end_copy(&mut self, done: bool) {
        self.copy_in = false;
        self.upstream.control(if done { Control::CopyDone } else { Control::CopyFail });
        self.pending.push(Expect::CopyEnd);
    }

    async fn bind_message(&mut self, header: Header) -> Result<bool, End> {
        let part = self.client.input().get(HEADER..).unwrap_or_default();
        let head = BindHead::decode(part, header.body).map_err(|error| End::violation(error.to_string()))?;
        let Some(head) = head else {
            self.client_need = Some(header.total().min(MAX_NAMES + HEADER));
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
            self.skip = rest;
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
        let quiet = self.pending.is_empty() && !self.segment_open && self.status != Status::Transaction;
        if quiet {
            ErrorFields::refusal("ERROR", &refusal).encode(b'E', &mut self.client.out);
            if simple {
                backend::ready(&mut self.client.out, self.status);
            } else {
                self.discarding = true;
            }
            return;
        }
        self.upstream.control(Control::Refuse);
        self.pending.push(Expect::Refuse(Box::new(refusal)));
        if simple {
            self.sync();
        } else {
            self.segment_open = true;
            self.discarding = true;
        }
    }

    /// Forwards a Sync: the segment ends.
    pub(in crate::session) fn sync(&mut self) {
        self.discarding = false;
        self.exchange = self.exchange.wrapping_add(1);
        self.upstream.control(Control::Sync);
        self.pending.push(Expect::Sync { hidden: false });
        self.end_segment();
    }

    /// A Sync or simple query was forwarded.
    pub(in crate::session) fn end_segment(&mut self) {
        self.segment_open = false;
        self.segment = self.segment.wrapping_add(1);
        self.barrier |= self.dirty;
        self.dirty = false;
    }

    /// Forwards a Describe of something that was decided.
    fn describe(&mut self, target: Target, name: &str) {
        let prepared = match target {
            Target::Statement => {
                self.names.statement(name).cloned().ok_or_else(|| crate::session::judge::admit::no_statement(name))
            }
            Target::Portal => self
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
        let undo = match target {
            Target::Statement => {
                self.dirty = true;
                self.names.forget_statement(name)
            }
            Target::Portal => self.names.forget_portal(name),
        };
        self.pending.push(Expect::Close { hidden: false, undo: Some(undo) });
        self.segment_open = true;
    }
}
