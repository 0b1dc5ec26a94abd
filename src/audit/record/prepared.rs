//! Parts of records that are the same for many: written as JSON once and copied from then on.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;

use super::chain::Hash;
use super::json::{beginning, escaped, one_line, whole_line};
use super::{Access, AccessRecord, AuditError, Body, LookedUp, SessionFacts};
use crate::policy::{RelationReport, Verdict};

/// Bytes of a statement's text up to which it stands in each record of its runs; a longer one, and one that takes twice as
/// much room as JSON, stands whole once in each file of the log, as an event `statement`, and is cut to this in the records.
pub const WHOLE_STATEMENT: usize = 1024;

/// Whether a text is cut in the records of its runs.
fn is_long(text: &str) -> bool {
    text.len() > WHOLE_STATEMENT || escaped(text) > 2 * WHOLE_STATEMENT
}

/// What all `access` records of one decision say, whoever runs it and whatever it looks up.
#[derive(Debug)]
pub struct PreparedAccess {
    /// From `"statement"` to `"relations"`.
    before: Box<str>,
    /// From `"reason"` on.
    after: Box<str>,
    may_run: bool,
    whole: Option<Whole>,
}

/// The whole text of a long statement, to be written once a file.
#[derive(Debug)]
pub(in crate::audit) struct Whole {
    pub(in crate::audit) digest: Hash,
    pub(in crate::audit) body: Body,
    /// First record of the file that it was written into last; 0 where it was not.
    told: AtomicU64,
}

impl Whole {
    /// It stands in the file that begins with this record.
    pub(in crate::audit) fn tell(&self, file: u64) {
        self.told.store(file, Ordering::Release);
    }

    /// Whether it stands in that file.
    pub(in crate::audit) fn is_told(&self, file: u64) -> bool {
        self.told.load(Ordering::Acquire) == file
    }
}

/// What all records of a session say about it while its purpose and name stay.
#[derive(Debug, Clone)]
pub struct PreparedSession(Arc<str>);

impl PreparedSession {
    /// Writes the facts as JSON.
    ///
    /// # Errors
    /// [`AuditError::Encode`].
    pub fn new(facts: &SessionFacts) -> Result<Self, AuditError> {
        Ok(Self(fields_of(facts)?.into()))
    }
}

/// A statement's text as it stands in a record: whole, or cut, with its length and digest then.
#[derive(Debug, Serialize)]
pub(in crate::audit) struct Statement<'a> {
    statement: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    fingerprint: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    statement_bytes: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    statement_sha256: Option<String>,
}

impl<'a> Statement<'a> {
    pub(in crate::audit) fn new(text: &'a str, fingerprint: Option<&'a str>) -> Self {
        if !is_long(text) {
            return Self { statement: text, fingerprint, statement_bytes: None, statement_sha256: None };
        }
        let digest = Hash::of(text.as_bytes()).to_string();
        Self {
            statement: beginning(text, WHOLE_STATEMENT),
            fingerprint,
            statement_bytes: Some(text.len()),
            statement_sha256: Some(digest),
        }
    }
}

#[derive(Serialize)]
struct Before<'a> {
    #[serde(flatten)]
    statement: Statement<'a>,
    verdict: Verdict,
    #[serde(skip_serializing_if = "Option::is_none")]
    mode: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unrestricted: Option<&'a str>,
    relations: &'a [RelationReport],
}

#[derive(Serialize)]
struct After<'a> {
    reason: Option<&'a str>,
    policy: &'a str,
}

#[derive(Serialize)]
struct WholeFields<'a> {
    event: &'static str,
    fingerprint: &'a str,
    statement_bytes: usize,
    statement_sha256: String,
    statement: &'a str,
}

impl Access<'_> {
    /// The part that other runs of the same decision share; `session` and `lookups` are no part of it.
    ///
    /// # Errors
    /// [`AuditError::Encode`].
    pub fn prepare(&self) -> Result<PreparedAccess, AuditError> {
        let before = Before {
            statement: Statement::new(self.statement, Some(self.fingerprint)),
            verdict: self.report.verdict,
            mode: self.observe.then_some("observe"),
            unrestricted: self.unrestricted,
            relations: &self.report.relations,
        };
        let after = After { reason: self.report.reason.as_deref(), policy: self.policy };
        let may_run = match self.report.verdict {
            Verdict::Allow | Verdict::Mask => true,
            Verdict::Deny => self.observe,
        };
        Ok(PreparedAccess {
            before: fields_of(&before)?.into(),
            after: fields_of(&after)?.into(),
            may_run,
            whole: self.whole()?,
        })
    }

    fn whole(&self) -> Result<Option<Whole>, AuditError> {
        if !is_long(self.statement) {
            return Ok(None);
        }
        let digest = Hash::of(self.statement.as_bytes());
        let fields = WholeFields {
            event: "statement",
            fingerprint: self.fingerprint,
            statement_bytes: self.statement.len(),
            statement_sha256: digest.to_string(),
            statement: self.statement,
        };
        let fields = inner(whole_line(&fields))?;
        let body = Body::of_text(fields, true);
        Ok(Some(Whole { digest, body, told: AtomicU64::new(0) }))
    }
}

impl PreparedAccess {
    /// The record of one run.
    ///
    /// # Errors
    /// [`AuditError::Encode`].
    pub fn record(
        self: &Arc<Self>,
        session: &PreparedSession,
        lookups: &[LookedUp],
    ) -> Result<AccessRecord, AuditError> {
        Ok(AccessRecord { body: Body::of_access(session, self, lookups)?, may_run: self.may_run })
    }

    /// The whole text, where the statement is long.
    pub(super) fn whole(&self) -> Option<&Whole> {
        self.whole.as_ref()
    }

    /// Bytes of a record's fields without what it looks up, at most.
    pub(super) fn length(&self, session: &PreparedSession) -> usize {
        EVENT.len() + LOOKUPS.len() + 3 + session.0.len() + self.before.len() + self.after.len()
    }

    /// Appends a record's fields.
    pub(super) fn write(&self, session: &PreparedSession, lookups: Option<&str>, out: &mut Vec<u8>) {
        for part in [EVENT, &session.0, ",", &self.before] {
            out.extend_from_slice(part.as_bytes());
        }
        if let Some(lookups) = lookups {
            out.extend_from_slice(LOOKUPS.as_bytes());
            out.extend_from_slice(lookups.as_bytes());
        }
        out.push(b',');
        out.extend_from_slice(self.after.as_bytes());
    }
}

const EVENT: &str = "\"event\":\"access\",";
const LOOKUPS: &str = ",\"lookups\":";

/// A value's fields as JSON, without the braces.
pub(in crate::audit) fn fields_of<T: Serialize>(value: &T) -> Result<String, AuditError> {
    inner(one_line(value))
}

fn inner(object: Option<String>) -> Result<String, AuditError> {
    let object = object.ok_or(AuditError::Encode)?;
    let fields = object.strip_prefix('{').and_then(|object| object.strip_suffix('}')).ok_or(AuditError::Encode)?;
    Ok(fields.to_owned())
}
