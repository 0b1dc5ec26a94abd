//! The records, and the order of their fields.

pub mod chain;
pub mod checkpoint;
mod disclosure;
pub(super) mod entry;
mod error;
mod json;
mod lookup;

use std::borrow::Cow;

use serde::Serialize;

use crate::policy::{AccessReport, RelationReport, Verdict};
pub use disclosure::{DisclosureRecord, Seen, SubjectKey};
pub use entry::Entry;
pub use error::AuditError;
use json::one_line;
pub use lookup::{LookedUp, LookupRecord};

/// What a session's records say about it. `purpose` is the one in force for the record at hand.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct SessionFacts {
    /// Names the session in all its records; random, so that it is unique over restarts.
    pub session: String,
    /// Address and port of the client, or `local`.
    pub client: String,
    /// The PostgreSQL login.
    pub login: String,
    /// The policy's role of that login.
    pub role: Option<String>,
    /// The purpose in force.
    pub purpose: Option<String>,
    /// `internal`, or the third party's name.
    pub recipient: Option<String>,
    /// The database.
    pub database: String,
    /// `application_name`.
    pub application: String,
}

/// One statement, before it is forwarded or refused.
#[derive(Debug, Clone, Copy)]
pub struct Access<'a> {
    /// The session, with the purpose in force.
    pub session: &'a SessionFacts,
    /// The statement with each literal replaced by `$n`.
    pub statement: &'a str,
    /// The same for all statements that differ in literals only.
    pub fingerprint: &'a str,
    /// Verdict, relations, reason.
    pub report: &'a AccessReport,
    /// `sha256:…` of the policies that decided.
    pub policy: &'a str,
    /// Observe mode: `report` says what would have been, and the statement runs as it is.
    pub observe: bool,
    /// The reason why the role is relayed as it is, where it is.
    pub unrestricted: Option<&'a str>,
    /// What it looks up, where that is known before it is forwarded.
    pub lookups: &'a [LookedUp],
}

/// An `access` record, ready to be appended.
#[derive(Debug, Clone)]
pub struct AccessRecord {
    pub(in crate::audit) body: Body,
    pub(in crate::audit) may_run: bool,
}

impl Access<'_> {
    /// Writes it as JSON.
    ///
    /// # Errors
    /// [`AuditError::Encode`].
    pub fn record(&self) -> Result<AccessRecord, AuditError> {
        let fields = AccessFields {
            event: "access",
            session: self.session,
            statement: self.statement,
            fingerprint: self.fingerprint,
            verdict: self.report.verdict,
            mode: self.observe.then_some("observe"),
            unrestricted: self.unrestricted,
            relations: &self.report.relations,
            lookups: self.lookups,
            reason: self.report.reason.as_deref(),
            policy: self.policy,
        };
        let may_run = match self.report.verdict {
            Verdict::Allow | Verdict::Mask => true,
            Verdict::Deny => self.observe,
        };
        Ok(AccessRecord { body: Body::new(&fields, true)?, may_run })
    }
}

#[derive(Serialize)]
struct AccessFields<'a> {
    event: &'static str,
    #[serde(flatten)]
    session: &'a SessionFacts,
    statement: &'a str,
    fingerprint: &'a str,
    verdict: Verdict,
    #[serde(skip_serializing_if = "Option::is_none")]
    mode: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unrestricted: Option<&'a str>,
    relations: &'a [RelationReport],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    lookups: &'a [LookedUp],
    reason: Option<&'a str>,
    policy: &'a str,
}

/// How a statement ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum OutcomeStatus {
    /// It was carried out. What its transaction became is another statement's outcome.
    Ok,
    /// The database answered with an error.
    Error,
    /// It was not forwarded: its `access` has the verdict deny.
    Refused,
    /// It was forwarded behind another that failed, and the database passed over it.
    Skipped,
    /// Its end is not known: the session was closed, or the database went away.
    Lost,
}

/// What became of an `access`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Outcome<'a> {
    /// Number of the `access` record.
    pub of: u64,
    /// How it ended.
    pub status: OutcomeStatus,
    /// Rows returned or changed, where the database said so; of one that did not end well, the rows that came before.
    pub rows: Option<u64>,
    /// SQLSTATE of the error, or of the refusal.
    pub sqlstate: Option<Cow<'a, str>>,
    /// Milliseconds from forwarding to the end; 0 for what was not forwarded.
    pub ms: f64,
}

/// Everything else that the log holds. No field may carry a literal of a statement or a value of the database.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event<'a> {
    /// A statement ended.
    Outcome(Outcome<'a>),
    /// A login was accepted.
    Connect {
        /// The session.
        #[serde(flatten)]
        session: Cow<'a, SessionFacts>,
        /// How the login was checked: `passthrough`, `scram`, `relay`.
        authentication: &'a str,
        /// The version of TLS, where it was used.
        tls: Option<&'a str>,
        /// The common name of the client's certificate, where it has one.
        certificate: Option<&'a str>,
    },
    /// A session ended.
    Disconnect {
        /// The session.
        session: &'a str,
        /// Why, where it did not end of itself.
        reason: Option<&'a str>,
    },
    /// A login was refused; `role` and `purpose` are there as far as they were known.
    LoginRefused {
        /// The session that was not to be.
        #[serde(flatten)]
        session: Cow<'a, SessionFacts>,
        /// What the client was told.
        sqlstate: &'a str,
        /// Why.
        reason: &'a str,
    },
    /// The session's purpose changed, or a change was refused; `purpose` is the one in force afterwards.
    Purpose {
        /// The session.
        #[serde(flatten)]
        session: Cow<'a, SessionFacts>,
        /// The purpose before.
        from: Option<&'a str>,
        /// The purpose that was asked for.
        to: &'a str,
        /// Why it was refused, where it was.
        refused: Option<&'a str>,
    },
    /// Policies came into force, or could not be loaded (then the ones before stay).
    Policy {
        /// `sha256:…` of what is in force now.
        policy: &'a str,
        /// The same before.
        before: Option<&'a str>,
        /// `enforce` or `observe`.
        mode: &'a str,
        /// The files.
        files: &'a [String],
        /// The faults for which a new set was not taken.
        faults: &'a [String],
    },
    /// Something happened that must never happen: the row description named a column that was not opened ...
    Incident {
        /// The session.
        #[serde(flatten)]
        session: Cow<'a, SessionFacts>,
        /// Number of the `access` record that it is about.
        of: Option<u64>,
        /// What happened.
        what: &'a str,
    },
    /// The log was opened.
    Start {
        /// Version of the proxy.
        version: &'a str,
        /// `always` or `written`.
        sync: &'a str,
        /// Names this log over files and restarts; random.
        log: &'a str,
        /// Names the key that signs checkpoints, where there is one.
        key: Option<&'a str>,
    },
    /// What a signature vouches for; see [`checkpoint`](crate::audit::checkpoint).
    Checkpoint {
        /// The log.
        log: &'a str,
        /// Number of the record before it.
        covers: u64,
        /// Hash of that record.
        head: &'a str,
        /// Records after which the next one is due.
        records: u64,
        /// Seconds after which the next one is due.
        seconds: u64,
        /// Names the key.
        key: &'a str,
        /// 128 hexadecimal digits.
        signature: &'a str,
    },
    /// A whole file was destroyed because of its age, or will be at once.
    Destroyed {
        /// Its name.
        file: &'a str,
        /// Number of its first record.
        from: u64,
        /// Number of its last record.
        to: u64,
        /// Hash of its last record, which the next file follows.
        last: &'a str,
        /// SHA-256 of the file as it was.
        sha256: &'a str,
        /// Time of its newest record.
        newest: &'a str,
        /// After so many days records are destroyed.
        retain_days: u32,
    },
    /// The log was closed in order.
    Stop {
        /// Why.
        reason: &'a str,
    },
    /// The end of a file was no whole record; it was kept aside.
    Torn {
        /// The file.
        file: &'a str,
        /// Where its bytes are kept, in the same folder.
        kept: &'a str,
        /// How many bytes.
        bytes: u64,
        /// SHA-256 of those bytes.
        sha256: &'a str,
    },
    /// The log could not be written for a while, and can again.
    Recovered {
        /// The first error.
        error: &'a str,
        /// From when on.
        since: &'a str,
        /// Records that were refused meanwhile.
        refused: u64,
    },
}

/// An event, ready to be appended.
#[derive(Debug, Clone)]
pub struct EventRecord {
    pub(in crate::audit) body: Body,
}

impl Event<'_> {
    /// Writes it as JSON.
    ///
    /// # Errors
    /// [`AuditError::Encode`].
    pub fn record(&self) -> Result<EventRecord, AuditError> {
        let timed = !matches!(self, Self::Outcome(_));
        Ok(EventRecord { body: Body::new(self, timed)? })
    }
}

/// A record's own fields, `"event":…` first, without the braces; number, time and hashes are the writer's.
#[derive(Debug, Clone)]
pub(in crate::audit) struct Body {
    pub(in crate::audit) fields: String,
    pub(in crate::audit) timed: bool,
}

impl Body {
    pub(in crate::audit) fn new<T: Serialize>(value: &T, timed: bool) -> Result<Self, AuditError> {
        let json = one_line(value).ok_or(AuditError::Encode)?;
        let fields = json.strip_prefix('{').and_then(|json| json.strip_suffix('}')).ok_or(AuditError::Encode)?;
        Ok(Self { fields: fields.to_owned(), timed })
    }
}
