//! What a record says of itself, before the writer gives it number, time and hashes. What many records share is held once and
//! copied when the line is written, so that neither a run nor its end asks for memory of its own.

use std::sync::Arc;

use serde::Serialize;

use super::json::one_line;
use super::prepared::{PreparedAccess, PreparedSession, Whole, fields_of};
use super::{AuditError, LookedUp, Outcome, OutcomeStatus, stamp};

/// A record's own fields; number, time and hashes are the writer's.
#[derive(Debug, Clone)]
pub(in crate::audit) struct Body {
    fields: Fields,
    timed: bool,
}

/// `"event":…` first, without the braces.
#[derive(Debug, Clone)]
enum Fields {
    /// As they stand in the line.
    Text(String),
    /// An `access`: what the session, the decision and this run say.
    Access { session: PreparedSession, access: Arc<PreparedAccess>, lookups: Option<Box<str>> },
    /// An `outcome`; its SQLSTATE is JSON already.
    Outcome { of: u64, status: OutcomeStatus, rows: Option<u64>, sqlstate: Option<Box<str>>, ms: f64 },
}

/// Bytes that an outcome takes at most, but for its SQLSTATE.
const OUTCOME: usize = 144;

impl Body {
    /// Of a value's fields; `timed`: the record has the time of its writing.
    ///
    /// # Errors
    /// [`AuditError::Encode`].
    pub(in crate::audit) fn new<T: Serialize>(value: &T, timed: bool) -> Result<Self, AuditError> {
        Ok(Self::of_text(fields_of(value)?, timed))
    }

    /// Of fields that are JSON already, without the braces.
    pub(in crate::audit) fn of_text(fields: String, timed: bool) -> Self {
        Self { fields: Fields::Text(fields), timed }
    }

    /// An `access` record.
    ///
    /// # Errors
    /// [`AuditError::Encode`].
    pub(super) fn of_access(
        session: &PreparedSession,
        access: &Arc<PreparedAccess>,
        lookups: &[LookedUp],
    ) -> Result<Self, AuditError> {
        let lookups = if lookups.is_empty() { None } else { Some(one_line(lookups).ok_or(AuditError::Encode)?.into()) };
        let (session, access) = (session.clone(), Arc::clone(access));
        Ok(Self { fields: Fields::Access { session, access, lookups }, timed: true })
    }

    /// An `outcome` record.
    ///
    /// # Errors
    /// [`AuditError::Encode`].
    pub(super) fn of_outcome(outcome: &Outcome<'_>) -> Result<Self, AuditError> {
        let Outcome { of, status, rows, ref sqlstate, ms } = *outcome;
        let sqlstate = sqlstate.as_deref().map(|state| one_line(state).ok_or(AuditError::Encode)).transpose()?;
        let sqlstate = sqlstate.map(Into::into);
        Ok(Self { fields: Fields::Outcome { of, status, rows, sqlstate, ms }, timed: false })
    }

    /// Whether the record has the time of its writing.
    pub(super) fn is_timed(&self) -> bool {
        self.timed
    }

    /// What must stand in the same file before it.
    pub(in crate::audit) fn whole(&self) -> Option<&Whole> {
        match &self.fields {
            Fields::Access { access, .. } => access.whole(),
            Fields::Text(_) | Fields::Outcome { .. } => None,
        }
    }

    /// Bytes that its fields take, at most.
    pub(in crate::audit) fn length(&self) -> usize {
        match &self.fields {
            Fields::Text(text) => text.len(),
            Fields::Access { session, access, lookups } => {
                access.length(session) + lookups.as_ref().map_or(0, |lookups| lookups.len())
            }
            Fields::Outcome { sqlstate, .. } => OUTCOME + sqlstate.as_ref().map_or(0, |state| state.len()),
        }
    }

    /// Bytes that must be written before it into the file that begins with this record, as far as is known.
    pub(in crate::audit) fn untold_bytes(&self, file: u64) -> usize {
        self.whole().filter(|whole| !whole.is_told(file)).map_or(0, |whole| whole.body.length())
    }

    /// Appends its fields.
    pub(in crate::audit) fn write(&self, out: &mut Vec<u8>) {
        match &self.fields {
            Fields::Text(text) => out.extend_from_slice(text.as_bytes()),
            Fields::Access { session, access, lookups } => access.write(session, lookups.as_deref(), out),
            Fields::Outcome { of, status, rows, sqlstate, ms } => {
                out.extend_from_slice(b"\"event\":\"outcome\",\"of\":");
                stamp::number(out, *of);
                out.extend_from_slice(match status {
                    OutcomeStatus::Ok => b",\"status\":\"ok\",\"rows\":",
                    OutcomeStatus::Error => b",\"status\":\"error\",\"rows\":",
                    OutcomeStatus::Refused => b",\"status\":\"refused\",\"rows\":",
                    OutcomeStatus::Skipped => b",\"status\":\"skipped\",\"rows\":",
                    OutcomeStatus::Lost => b",\"status\":\"lost\",\"rows\":",
                });
                match rows {
                    Some(rows) => stamp::number(out, *rows),
                    None => out.extend_from_slice(b"null"),
                }
                out.extend_from_slice(b",\"sqlstate\":");
                out.extend_from_slice(sqlstate.as_deref().unwrap_or("null").as_bytes());
                out.extend_from_slice(b",\"ms\":");
                stamp::milliseconds(out, *ms);
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use std::borrow::Cow;

    use super::*;
    use crate::audit::record::Event;

    #[test]
    fn an_outcome_is_written_as_its_fields_say_and_takes_no_more_room_than_was_told() {
        for (status, rows, sqlstate, ms) in [
            (OutcomeStatus::Ok, Some(3), None, 0.812),
            (OutcomeStatus::Error, None, Some("22P02"), 12.0),
            (OutcomeStatus::Refused, Some(u64::MAX), Some("a \"word\"\n"), 1e15),
            (OutcomeStatus::Skipped, Some(0), None, 0.0),
            (OutcomeStatus::Lost, None, None, 86_400_000.5),
        ] {
            let outcome = Outcome { of: u64::MAX, status, rows, sqlstate: sqlstate.map(Cow::Borrowed), ms };
            let event = Event::Outcome(outcome.clone());
            let (body, mut out) = (Body::of_outcome(&outcome).unwrap(), Vec::new());
            body.write(&mut out);
            assert!(out.len() <= body.length(), "{} of {}", out.len(), body.length());
            let read: serde_json::Value = serde_json::from_slice(&[b"{", &out[..], b"}"].concat()).unwrap();
            let mut wanted = serde_json::to_value(&event).unwrap();
            if ms > 1e12 {
                // Nothing runs for longer than whole microseconds can be told.
                wanted["ms"] = serde_json::json!(1e12);
            }
            assert_eq!(read, wanted);
        }
    }
}
