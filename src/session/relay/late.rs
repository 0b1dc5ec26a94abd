//! Rows that rest on consent and were opened earlier: each part of them is held until the database has said whose are still to be
//! seen; the others are dropped, and as many more are read as the client asked for.

use std::collections::BTreeSet;

use bytes::BytesMut;

use super::disclose::Held;
use crate::error::{Refusal, SqlState, Stage};
use crate::session::flow::Answer;
use crate::session::judge::enforcer::Judgement;
use crate::session::state::{End, Session};
use crate::sql::Way;
use crate::upstream::{Begun, Control};
use crate::wire::backend;
use crate::wire::{Header, array, trim};

/// Rows of the first part.
const FIRST_PART: u64 = 16;
/// Rows of the largest part.
const LARGEST_PART: u64 = 1000;
/// Bytes that a part should have.
const PART: u64 = 256 * 1024;
/// Bytes that a part may have.
pub(super) const LONGEST_PART: usize = 32 * 1024 * 1024;

/// Where the rows come from.
#[derive(Debug)]
pub(in crate::session) enum Reading {
    /// A portal, which is read on until so many rows came as the client asked for.
    Portal,
    /// FETCH of so many rows as its text says.
    Cursor {
        /// The cursor.
        cursor: String,
        /// How far.
        way: Way,
        /// The formats of the result's columns, as a Bind has them.
        formats: Vec<u8>,
    },
    /// FETCH whose rows are not made up for.
    Fetched,
}

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Rows, and the end of the part.
    Rows,
    /// Keys of a query, and its end.
    Keys,
    /// The names that the proxy's own question took are free again, so many are left.
    Closing(u8),
}

/// One row that is held: where it ends, whose it is by query, and by relation for the log.
#[derive(Debug)]
struct Row {
    end: usize,
    keys: Vec<(usize, Box<[u8]>)>,
    recorded: Vec<(usize, Box<[u8]>)>,
}

/// A run whose rows were opened earlier.
#[derive(Debug)]
pub(in crate::session) struct Late {
    run: Begun,
    portal: String,
    /// Whose rows come.
    rows_of: Judgement,
    /// How many rows the client asked for; `None`: all.
    wanted: Option<u64>,
    reading: Reading,
    /// How many rows FETCH asked for last, where that is counted.
    asked: Option<u64>,
    phase: Phase,
    /// What is read is of the proxy's own FETCH.
    own: bool,
    /// Rows that came of the FETCH at hand, of the client's or of the proxy's own.
    came: u64,
    given: u64,
    part: u64,
    bytes: BytesMut,
    rows: Vec<Row>,
    /// How the part ended: the tag, or `None` where more may come.
    ended: Option<String>,
    /// The query that is answered next.
    query: usize,
    /// By query, the keys whose rows may be seen.
    seen: Vec<BTreeSet<Box<[u8]>>>,
}

impl Late {
    pub(in crate::session) fn new(
        run: Begun,
        portal: &str,
        rows_of: Judgement,
        wanted: Option<u64>,
        reading: Reading,
    ) -> Self {
        let asked = match &reading {
            Reading::Cursor { way: Way::Forward(count) | Way::Backward(count), .. } => *count,
            Reading::Cursor { way: Way::Place, .. } | Reading::Portal | Reading::Fetched => None,
        };
        Self {
            run,
            portal: portal.to_owned(),
            rows_of,
            wanted,
            reading,
            asked,
            phase: Phase::Rows,
            own: false,
            came: 0,
            given: 0,
            part: FIRST_PART,
            bytes: BytesMut::new(),
            rows: Vec::new(),
            ended: None,
            query: 0,
            seen: Vec::new(),
        }
    }

    /// Rows of the first part of a run of which the client wants so many; `None`: all.
    pub(in crate::session) fn first_part(wanted: Option<u64>) -> i32 {
        part_of(wanted, FIRST_PART)
    }

    /// Rows of the next part.
    fn next_part(&self) -> i32 {
        part_of(self.wanted.map(|wanted| wanted.saturating_sub(self.given)), self.part)
    }

    /// The next part is as large as the rows of this one let it be.
    fn measure(&mut self) {
        let came = u64::try_from(self.rows.len()).unwrap_or(u64::MAX);
        let Some(row) = u64::try_from(self.bytes.len()).unwrap_or(u64::MAX).checked_div(came) else { return };
        let fits = PART.checked_div(row.max(1)).unwrap_or(1);
        self.part = fits.min(self.part.saturating_mul(4)).clamp(1, LARGEST_PART);
    }

    /// The keys that a query is asked about, as an array's text.
    fn keys(&self, query: usize) -> Vec<u8> {
        let keys: BTreeSet<&[u8]> = self
            .rows
            .iter()
            .flat_map(|row| row.keys.iter().filter(|(of, _)| *of == query).map(|(_, key)| &**key))
            .collect();
        array::text(keys)
    }

    /// How many rows of a FETCH are to be made up for, once a part of it came: as many as were dropped, where not all were.
    fn lacking(&self) -> Option<(String, bool, u64, Vec<u8>)> {
        let Reading::Cursor { cursor, way, formats } = &self.reading else { return None };
        let (forward, count) = match way {
            Way::Forward(Some(count)) => (true, *count),
            Way::Backward(Some(count)) => (false, *count),
            Way::Forward(None) | Way::Backward(None) | Way::Place => return None,
        };
        // It came to the end.
        if Some(self.came) < self.asked {
            return None;
        }
        let lacking = count.saturating_sub(self.given).min(self.part);
        (lacking > 0).then(|| (cursor.clone(), forward, lacking, formats.clone()))
    }
}

impl Session {
    /// The first part of a run was asked for.
    pub(in crate::session) fn begin_late(&mut self, late: Late) {
        self.upstream.control(Control::Flush);
        self.outbound.late = Some(Box::new(late));
    }

    fn read_part(&mut self, late: &Late) {
        self.upstream.read_on(&late.run, &late.portal, late.next_part());
        self.upstream.control(Control::Flush);
    }

    /// Whether what the database says now belongs to such a run.
    pub(super) fn is_reading_late(&mut self) -> bool {
        self.outbound.late.is_some() && self.flow.running().is_some_and(|run| run.late)
    }

    /// What was held is not given away, and nothing more is read.
    pub(super) fn abandon_late(&mut self) {
        self.outbound.late = None;
    }

    /// One message of such a run; errors, notices and what the database says unasked are none of them.
    pub(super) async fn late_message(&mut self, header: Header, body: &[u8]) -> Result<(), End> {
        let Some(mut late) = self.outbound.late.take() else { return Err(super::unexpected()) };
        let goes_on = match (header.tag, late.phase) {
            (b'1' | b'2', Phase::Rows) if late.own => true,
            (b'3', Phase::Rows) if late.own => true,
            (b'D', Phase::Rows) => {
                self.hold_late(&mut late, body)?;
                true
            }
            (b'C' | b's', Phase::Rows) => {
                late.ended = match header.tag {
                    b'C' => Some(backend::command_tag(body).map_err(|_| super::unreadable())?.to_owned()),
                    _ => None,
                };
                match late.own {
                    true => late.phase = Phase::Closing(2),
                    false => return self.part_came(late).await,
                }
                true
            }
            (b'3', Phase::Closing(left)) => {
                late.phase = Phase::Closing(left.saturating_sub(1));
                match (late.phase, late.own) {
                    (Phase::Closing(0), true) => {
                        late.own = false;
                        return self.part_came(late).await;
                    }
                    (Phase::Closing(0), false) => return self.keys_came(late).await,
                    (_, _) => {}
                }
                true
            }
            (b'1' | b'2' | b'3', Phase::Keys) => true,
            (b'D', Phase::Keys) => {
                let mut values = backend::data_row(body).map_err(|_| super::unreadable())?.into_iter();
                let (Some(Some(key)), None) = (values.next(), values.next()) else { return Err(super::unreadable()) };
                if let Some(seen) = late.seen.get_mut(late.query) {
                    seen.insert(key.into_bytes().into());
                }
                true
            }
            (b'C', Phase::Keys) => {
                late.phase = Phase::Closing(2);
                true
            }
            (_, _) => false,
        };
        if !goes_on {
            return Err(super::unexpected());
        }
        self.outbound.late = Some(late);
        Ok(())
    }

    fn hold_late(&mut self, late: &mut Late, body: &[u8]) -> Result<(), End> {
        let (hidden, decision) = (self.carried(), late.rows_of.clone());
        let (recheck, disclosure) = (decision.enforced.recheck(), decision.enforced.disclosure());
        let (mut keys, mut recorded) = (Vec::new(), Vec::new());
        let mut strange = recheck.columns.len() != hidden || disclosure.hidden.len() != hidden;
        let trimmed = trim::row(body, hidden, &mut late.bytes, |at, value| {
            let Some(key) = value else { return };
            match (recheck.columns.get(at), disclosure.hidden.get(at)) {
                (Some(query), Some(relation)) => {
                    keys.extend(query.map(|query| (query, Box::from(key))));
                    recorded.extend(relation.map(|relation| (relation, Box::from(key))));
                }
                (_, _) => strange = true,
            }
        });
        if trimmed.is_err() || strange {
            let seq = self.flow.running().and_then(|run| run.seq);
            return Err(self.incident(seq, "a row came without the key of its data subject"));
        }
        if late.bytes.len() > LONGEST_PART {
            return Err(End::Fatal(too_long()));
        }
        late.came = late.came.saturating_add(1);
        late.rows.push(Row { end: late.bytes.len(), keys, recorded });
        Ok(())
    }

    /// Rows are there: whose are they?
    async fn part_came(&mut self, mut late: Box<Late>) -> Result<(), End> {
        late.query = 0;
        late.seen = vec![BTreeSet::new(); late.rows_of.enforced.recheck().queries.len()];
        if late.rows.is_empty() {
            return self.part_told(late);
        }
        self.ask_about(&mut late);
        self.outbound.late = Some(late);
        Ok(())
    }

    fn ask_about(&mut self, late: &mut Late) {
        let keys = late.keys(late.query);
        self.upstream.recheck(&late.run, &late.rows_of.enforced, late.query, &keys);
        self.upstream.control(Control::Flush);
        late.phase = Phase::Keys;
    }

    /// One query is answered.
    async fn keys_came(&mut self, mut late: Box<Late>) -> Result<(), End> {
        late.query = late.query.saturating_add(1);
        if late.query < late.seen.len() {
            self.ask_about(&mut late);
            self.outbound.late = Some(late);
            return Ok(());
        }
        late.measure();
        let held = keep_seen(&mut late)?;
        late.given = late.given.saturating_add(held.count());
        self.outbound.held = held;
        if !self.outbound.held.is_empty() {
            self.disclose(b'D').await?;
        }
        self.part_told(late)
    }

    /// What was to be given of a part is given: the next one, or the end.
    fn part_told(&mut self, mut late: Box<Late>) -> Result<(), End> {
        late.rows.clear();
        late.bytes.clear();
        late.phase = Phase::Rows;
        let enough = late.wanted.is_some_and(|wanted| late.given >= wanted);
        match late.ended.take() {
            None if !enough => self.read_part(&late),
            None => return self.end_late(&late, None),
            Some(tag) => match late.lacking() {
                None => return self.end_late(&late, Some(&tag)),
                Some((cursor, forward, rows, formats)) => {
                    (late.own, late.asked, late.came) = (true, Some(rows), 0);
                    self.upstream.fetch_more(&late.run, &cursor, (forward, rows), &formats);
                    self.upstream.control(Control::Flush);
                }
            },
        }
        self.outbound.late = Some(late);
        Ok(())
    }

    /// Tells the client how it ended.
    fn end_late(&mut self, late: &Late, tag: Option<&str>) -> Result<(), End> {
        if let Some(run) = self.flow.running() {
            run.rows = late.given;
        }
        let Some(tag) = tag else {
            let reply = self.take(Answer::Suspended)?;
            self.reply(reply, Header { tag: b's', body: 0 }, &[]);
            return Ok(());
        };
        // The database counts the rows of the last part; of what was changed all count, whoever's they are by now.
        let counts = [("SELECT ", late.given), ("FETCH ", late.given), ("UPDATE ", late.came), ("DELETE ", late.came)];
        let counted = counts.iter().find(|(word, _)| tag.starts_with(word));
        let tag = counted.map_or_else(|| tag.to_owned(), |(word, count)| format!("{word}{count}"));
        let reply = self.take(Answer::Complete(&tag))?;
        let body = [tag.as_bytes(), &[0]].concat();
        self.reply(reply, Header { tag: b'C', body: body.len() }, &body);
        Ok(())
    }
}

/// Rows of a part that may have so many, where so many are still wanted.
fn part_of(wanted: Option<u64>, part: u64) -> i32 {
    i32::try_from(wanted.map_or(part, |wanted| wanted.min(part)).max(1)).unwrap_or(1)
}

/// The rows of those who still agree, to be given away.
fn keep_seen(late: &mut Late) -> Result<Held, End> {
    let bytes = std::mem::take(&mut late.bytes);
    let mut held = Held::of(late.rows_of.enforced.disclosure().rows.len());
    let mut begin = 0;
    for row in late.rows.drain(..) {
        let message = bytes.get(begin..row.end).ok_or_else(super::unreadable)?;
        begin = row.end;
        let seen = |(query, key): &(usize, Box<[u8]>)| late.seen.get(*query).is_some_and(|seen| seen.contains(key));
        if row.keys.iter().all(seen) {
            held.add(message, row.recorded);
        }
    }
    Ok(held)
}

fn too_long() -> Refusal {
    let message = format!("rows of a cursor that rest on consent are longer than {LONGEST_PART} bytes");
    Refusal::new(Stage::Session, SqlState::PROGRAM_LIMIT_EXCEEDED, message)
        .hint("read fewer columns, or fetch fewer rows")
}
