//! The database's direction: rows pass as bytes; what describes, ends or fails a statement is read.

mod clean;
pub(super) mod disclose;
mod guard;
mod settle;

use self::clean::clean;
use crate::session::flow::pending::Expect;
use crate::session::flow::running::Running;
use crate::session::state::{End, HIGH, Session};
use crate::sql::{self, Effect};
use crate::wire::backend::{self, Status};
use crate::wire::copy_rows::{self, CopyTrim};
use crate::wire::{ErrorFields, HEADER, Header};

/// The longest message that is held whole; of a longer error only the beginning is read.
const HELD: usize = 256 * 1024;
/// How much of a too long error is read.
const ERROR_PART: usize = 16 * 1024;
/// A RowDescription of 1,664 columns with long names.
const DESCRIPTION: usize = 1024 * 1024;

/// Command tags after which the catalog is another.
const DDL: &[&str] = &[
    "CREATE",
    "ALTER",
    "DROP",
    "GRANT",
    "REVOKE",
    "COMMENT",
    "SECURITY",
    "IMPORT",
    "REFRESH",
    "SELECT INTO",
    "DO",
    "CALL",
];

impl Session {
    /// Handles what the database sent, as far as it is there and the client takes it.
    pub(in crate::session) async fn serve_upstream(&mut self) -> Result<(), End> {
        loop {
            if self.client.out.len() > HIGH {
                self.upstream_need = None;
                return Ok(());
            }
            let input = self.upstream.input();
            if self.passing > 0 {
                let part = input.get(..self.passing.min(input.len())).unwrap_or_default();
                if part.is_empty() {
                    self.upstream_need = Some(1);
                    return Ok(());
                }
                self.client.out.extend_from_slice(part);
                let count = part.len();
                self.passing -= count;
                self.upstream.consume(count);
                continue;
            }
            if self.skipping > 0 {
                let count = self.skipping.min(input.len());
                if count == 0 {
                    self.upstream_need = Some(1);
                    return Ok(());
                }
                self.skipping -= count;
                self.upstream.consume(count);
                continue;
            }
            let Some(header) = Header::read(input).map_err(|_| unreadable())? else {
                self.upstream_need = Some(HEADER);
                return Ok(());
            };
            if matches!(header.tag, b'D' | b'd') {
                let hidden = self.carried();
                if hidden > 0 {
                    let held = self.hold_rows(header.tag, hidden)?;
                    if self.must_disclose() {
                        self.disclose().await?;
                    } else if !held {
                        return Ok(());
                    }
                    continue;
                }
            }
            let input = self.upstream.input();
            match header.tag {
                b'D' | b'd' => {
                    if self.owes_disclosure(header.tag) {
                        self.disclose().await?;
                    }
                    self.pass_rows(header)?;
                }
                b'E' | b'N' if header.body > HELD => {
                    let Some(part) = input.get(HEADER..HEADER + ERROR_PART) else {
                        self.upstream_need = Some(HEADER + ERROR_PART);
                        return Ok(());
                    };
                    let fields = ErrorFields::decode_part(part);
                    if self.owes_disclosure(header.tag) {
                        self.disclose().await?;
                    }
                    self.skipping = header.total();
                    self.failure_or_notice(header.tag, fields)?;
                }
                tag => {
                    if header.body > if tag == b'T' { DESCRIPTION } else { HELD } {
                        return Err(unreadable());
                    }
                    let Some(body) = input.get(HEADER..header.total()) else {
                        self.upstream_need = Some(header.total());
                        return Ok(());
                    };
                    let mut scratch = std::mem::take(&mut self.scratch);
                    scratch.clear();
                    scratch.extend_from_slice(body);
                    self.upstream.consume(header.total());
                    if self.owes_disclosure(tag) {
                        self.disclose().await?;
                    }
                    let handled = self.answer(header, &scratch);
                    if scratch.capacity() <= 8192 {
                        self.scratch = scratch;
                    }
                    handled?;
                }
            }
        }
    }

    /// Passes as many rows as stand together, in one piece.
    fn pass_rows(&mut self, first: Header) -> Result<(), End> {
        let allowed = match (first.tag, self.pending.head()) {
            (b'd', _) => self.copy_out,
            (_, Some(Expect::Query { runs, .. })) => runs.front().is_some_and(|run| run.described),
            (_, Some(Expect::Execute(run))) => run.described,
            _ => false,
        };
        if !allowed {
            return Err(self.incident(None, "the database sent rows that nobody asked for"));
        }
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
        self.passing = end;
        if first.tag == b'D'
            && let Some(run) = self.running()
        {
            run.rows = run.rows.saturating_add(rows);
        }
        Ok(())
    }

    fn pass(&mut self, header: Header, body: &[u8]) {
        self.client.out.extend_from_slice(&header.encode());
        self.client.out.extend_from_slice(body);
    }

    fn answer(&mut self, header: Header, body: &[u8]) -> Result<(), End> {
        match header.tag {
            b'E' | b'N' => {
                let fields = ErrorFields::decode(body).map_err(|_| unreadable())?;
                self.failure_or_notice(header.tag, fields)
            }
            b'A' if self.governed() => {
                // A trigger may notify of a row's values, so that the payload stays behind: process id, channel, nothing.
                let channel = body.get(4..).and_then(|rest| rest.iter().position(|byte| *byte == 0));
                let kept = channel.and_then(|end| body.get(..end.saturating_add(5))).ok_or_else(unreadable)?;
                let mut notice = kept.to_vec();
                notice.push(0);
                self.pass(Header { tag: header.tag, body: notice.len() }, &notice);
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
            b'Z' => self.ready(header, body),
            b'C' | b'I' | b's' => self.completed(header, body),
            b'T' | b't' | b'n' => self.described(header, body),
            b'1' | b'2' | b'3' => self.acknowledged(header, body),
            b'G' | b'H' => self.copy_begins(header, body),
            b'c' if self.copy_out => {
                self.copy_out = false;
                self.pass(header, body);
                Ok(())
            }
            _ => Err(End::violation("the database sent a message that was not expected")),
        }
    }

    /// Settings under which the proxy and the database would read a text differently.
    fn check_status(&self, name: &str, value: &str) -> Result<(), End> {
        let wrong = match name {
            "client_encoding" => !value.eq_ignore_ascii_case("utf8"),
            "standard_conforming_strings" => value != "on" && self.role.unrestricted.is_none(),
            _ => false,
        };
        if wrong {
            Err(self.incident(None, &format!("`{name}` was changed to a value that is not allowed")))
        } else {
            Ok(())
        }
    }

    fn acknowledged(&mut self, header: Header, body: &[u8]) -> Result<(), End> {
        let hidden = match (header.tag, self.pending.head()) {
            (b'1', Some(Expect::Parse { hidden, .. })) | (b'3', Some(Expect::Close { hidden, .. })) => *hidden,
            (b'2', Some(Expect::Bind { .. })) => false,
            _ => return Err(unexpected()),
        };
        self.pending.pop();
        if !hidden {
            self.pass(header, body);
        }
        Ok(())
    }

    fn described(&mut self, header: Header, body: &[u8]) -> Result<(), End> {
        let (hidden, running, seq, of) = match self.pending.head() {
            Some(Expect::Describe { of, running, hidden }) => (*hidden, running.clone(), None, Some(of.clone())),
            Some(Expect::Query { runs, .. }) if header.tag == b'T' => match runs.front_mut() {
                Some(run) => {
                    run.described = true;
                    (false, run.running.clone(), run.seq, None)
                }
                None => return Err(unexpected()),
            },
            _ => return Err(unexpected()),
        };
        let mut shorter = None;
        if header.tag == b'T' {
            let seq = seq.or_else(|| self.seq_of(of.as_ref()?, self.pending.iter()));
            let trimmed = running.as_ref().map_or(0, Running::hidden);
            if trimmed > 0 {
                shorter = Some(self.trim_description(trimmed, seq, body)?);
            }
            self.check_description(
                running.as_ref().map(|running| &*running.rows),
                seq,
                shorter.as_deref().unwrap_or(body),
            )?;
        }
        if header.tag != b't'
            && let Some(of) = of
        {
            of.described();
            self.pending.pop();
        }
        if !hidden {
            match shorter {
                Some(shorter) => self.pass(Header { tag: header.tag, body: shorter.len() }, &shorter),
                None => self.pass(header, body),
            }
        }
        Ok(())
    }

    fn copy_begins(&mut self, header: Header, body: &[u8]) -> Result<(), End> {
        let incoming = header.tag == b'G';
        let (run, extended) = match self.pending.head() {
            Some(Expect::Query { runs, .. }) => (runs.front(), false),
            Some(Expect::Execute(run)) => (Some(&**run), true),
            _ => return Err(unexpected()),
        };
        let Some(run) = run else { return Err(unexpected()) };
        if !run.running.as_ref().is_some_and(|running| running.copies(incoming)) {
            let seq = run.seq;
            return Err(self.incident(seq, "the database began a COPY that was not decided"));
        }
        if incoming {
            self.copy_in = true;
            if extended && self.pending.drop_syncs_in_copy() > 0 {
                // PostgreSQL ignores that Sync, so the segment is not over.
                self.barrier = false;
                self.segment_open = true;
                self.dirty = true;
            }
        } else {
            self.copy_out = true;
            self.copy_trim = CopyTrim::default();
            let hidden = self.carried();
            if hidden > 0 {
                let shorter = copy_rows::response(body, hidden).map_err(|_| unreadable())?;
                self.pass(Header { tag: header.tag, body: shorter.len() }, &shorter);
                return Ok(());
            }
        }
        self.pass(header, body);
        Ok(())
    }

    fn completed(&mut self, header: Header, body: &[u8]) -> Result<(), End> {
        let tag = if header.tag == b'C' { backend::command_tag(body).map_err(|_| unreadable())? } else { "" };
        let mut concealed = false;
        let run = match self.pending.head() {
            Some(Expect::Query { runs, hidden }) => match (runs.pop_front(), header.tag) {
                (Some(run), b'C' | b'I') => {
                    concealed = *hidden;
                    Some(run)
                }
                // The empty query, or more results of a text that could not be split.
                (None, b'I') => None,
                (None, b'C') if self.role.unrestricted.is_some() => None,
                _ => return Err(unexpected()),
            },
            Some(Expect::Execute(_)) => match self.pending.pop() {
                Some(Expect::Execute(run)) => Some(*run),
                _ => return Err(unexpected()),
            },
            _ => return Err(unexpected()),
        };
        self.copy_in = false;
        self.copy_out = false;
        self.ddl |= DDL.iter().any(|ddl| tag.starts_with(ddl));
        if let Some(running) = run.as_ref().and_then(|run| run.running.as_ref()) {
            self.ddl |= *running.statement.enforced.effect() == Effect::Define;
        }
        if let Some(run) = run {
            let rows = if header.tag == b's' { Some(run.rows) } else { backend::rows_of(tag) };
            self.finished(&run, rows, None);
            if header.tag != b's'
                && let Some(running) = &run.running
            {
                let before = self.confirmed.purpose().to_owned();
                self.confirmed.apply(running.statement.enforced.effect(), tag == "ROLLBACK");
                self.tell_purpose(&before);
            }
        }
        if !concealed {
            self.pass(header, body);
        }
        Ok(())
    }

    fn tell_purpose(&mut self, before: &str) {
        if self.confirmed.purpose() != before {
            let after = self.confirmed.purpose().to_owned();
            self.journal.purpose(before, &after, None);
        }
    }

    fn ready(&mut self, header: Header, body: &[u8]) -> Result<(), End> {
        let status = Status::decode(body).map_err(|_| unreadable())?;
        let hidden = match self.pending.pop() {
            Some(Expect::Sync { hidden }) => hidden,
            Some(Expect::Query { runs, hidden }) => {
                for run in runs {
                    self.lost(&run);
                }
                hidden
            }
            _ => return Err(unexpected()),
        };
        self.status = status;
        if status == Status::Idle {
            let before = self.confirmed.purpose().to_owned();
            self.confirmed.idle(self.failed);
            self.tell_purpose(&before);
        }
        self.failed = false;
        if self.pending.is_empty() && !self.segment_open {
            if status == Status::Idle {
                self.names.end_transaction();
            }
            if self.ahead != self.confirmed {
                self.ahead = self.confirmed.clone();
                self.scope = None;
            }
            for unspent in self.unspent.drain(..) {
                self.journal.outcome(unspent.token.seq(), unspent.started, None, None);
            }
        }
        if self.ddl && status == Status::Idle {
            self.ddl = false;
            // Before the client hears of it: no session decides by the older snapshot from here on.
            self.catalog.outdated();
            let catalog = self.catalog.clone();
            tokio::spawn(async move { crate::session::shared::settle(&catalog).await });
        }
        if !hidden {
            self.pass(header, body);
        }
        Ok(())
    }

    fn failure_or_notice(&mut self, tag: u8, mut fields: ErrorFields) -> Result<(), End> {
        let mut sqlstate = fields.sqlstate().unwrap_or("XX000").to_owned();
        if self.governed() {
            match sql::refusal_for(&sqlstate, fields.get(b'M').unwrap_or_default()) {
                Some(refusal) => {
                    refusal.sqlstate.as_str().clone_into(&mut sqlstate);
                    fields = ErrorFields::refusal("ERROR", &refusal);
                }
                None => clean(&mut fields, true),
            }
        }
        if tag == b'N' {
            fields.encode(tag, &mut self.client.out);
            return Ok(());
        }
        let fatal = fields.is_fatal();
        self.failed = true;
        self.copy_in = false;
        self.copy_out = false;
        match self.pending.head() {
            Some(Expect::Query { runs, .. }) => {
                let runs = std::mem::take(runs);
                let failed = runs.front().and_then(|run| run.seq).map(|seq| (seq, &*sqlstate));
                self.void_runs(runs.into_iter().collect(), failed);
            }
            Some(Expect::Refuse(refusal)) if !fatal => {
                fields = ErrorFields::refusal("ERROR", refusal);
                self.void_to_sync(None);
            }
            Some(_) => self.void_to_sync(Some(&sqlstate)),
            None => {}
        }
        fields.encode(b'E', &mut self.client.out);
        if fatal { Err(End::Told(sqlstate)) } else { Ok(()) }
    }
}

fn unreadable() -> End {
    End::violation("the database sent a message that cannot be read")
}

fn unexpected() -> End {
    End::violation("the database sent a message that was not expected")
}
