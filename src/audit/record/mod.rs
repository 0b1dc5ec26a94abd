//! The records, and the order of their fields.

mod body;
pub mod chain;
pub mod checkpoint;
mod disclosure;
pub(super) mod entry;
mod error;
mod grouped;
mod json;
mod lookup;
pub(super) mod prepared;
pub(super) mod stamp;

use std::borrow::Cow;
use std::sync::Arc;

use serde::Serialize;

use crate::policy::AccessReport;
pub(in crate::audit) use body::Body;
pub use disclosure::{DisclosureRecord, Seen, SubjectKey};
pub use entry::Entry;
pub use error::AuditError;
pub use grouped::{Asked, GroupedRecord};
pub use lookup::{LookedUp, LookupRecord};
pub use prepared::{PreparedAccess, PreparedSession, WHOLE_STATEMENT};

/// What a session's records say about it. `purpose` is the one in force for the record at hand.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct SessionFacts {
    /// Names the session in all its records; random, so that it is unique over restarts.
    #[serde(serialize_with = "json::name")]
    pub session: String,
    /// Address and port of the client, or `local`.
    #[serde(serialize_with = "json::name")]
    pub client: String,
    /// The PostgreSQL login.
    #[serde(serialize_with = "json::name")]
    pub login: String,
    /// The policy's role of that login.
    #[serde(serialize_with = "json::some_name")]
    pub role: Option<String>,
    /// The purpose in force.
    #[serde(serialize_with = "json::some_name")]
    pub purpose: Option<String>,
    /// The application's end user, or a pseudonym of theirs.
    #[serde(serialize_with = "json::some_name")]
    pub actor: Option<String>,
    /// The reason that was given: a ticket, a case.
    #[serde(serialize_with = "json::some_name")]
    pub ticket: Option<String>,
    /// `internal`, or the third party's name.
    #[serde(serialize_with = "json::some_name")]
    pub recipient: Option<String>,
    /// The database.
    #[serde(serialize_with = "json::name")]
    pub database: String,
    /// `application_name`.
    #[serde(serialize_with = "json::name")]
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
        PreparedAccess::record(&Arc::new(self.prepare()?), &PreparedSession::new(self.session)?, self.lookups)
    }
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

/// Where the clock on the wall stands (the record's time) against the one that only goes forward.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct ClockFields<'a> {
    /// Names a start of the machine.
    pub boot: &'a str,
    /// Milliseconds since then, also those in which it slept.
    pub up: i64,
    /// Milliseconds by which the clock was set since it was believed last, all steps together; forward is positive.
    pub drift: i64,
    /// Seconds of which nothing is known but the clock itself, since it was believed last: the machine was off.
    pub off: i64,
    /// Seconds by which the clock jumped since the log began, all jumps together.
    pub shift: i64,
    /// The incident that waits for being confirmed: its record's number, 0 in that record itself.
    pub doubt: Option<u64>,
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
        /// SHA-256 of the bundle that they came in.
        #[serde(skip_serializing_if = "Option::is_none")]
        bundle: Option<&'a str>,
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
        /// What the proxy calls itself among several; not there where it says nothing.
        #[serde(skip_serializing_if = "Option::is_none")]
        proxy: Option<&'a str>,
        /// Names the key that signs checkpoints, where there is one.
        key: Option<&'a str>,
        /// Both clocks of the machine.
        clock: ClockFields<'a>,
    },
    /// What the log ended with does not hold: it was changed while no proxy wrote it.
    #[serde(rename = "incident")]
    LogIncident {
        /// `log`: it counts as a break for ever.
        about: &'a str,
        /// What happened.
        what: &'a str,
        /// The checkpoint that tells of it, in the same folder.
        kept: Option<&'a str>,
    },
    /// The log was opened behind an end that nobody closed, or that no checkpoint vouched for.
    Resumed {
        /// The last record that was there.
        after: u64,
        /// The last record that a checkpoint of the key in use covers, or is; `None` without a key.
        signed: Option<u64>,
        /// Whether the log had been closed in order.
        closed: bool,
        /// The checkpoint beside the log, where it was not the newest one in it.
        checkpoint: Option<u64>,
    },
    /// The machine's clock moved as no clock does: nothing is destroyed by age until somebody confirms it.
    #[serde(rename = "incident")]
    ClockIncident {
        /// `clock`
        about: &'a str,
        /// What happened.
        what: &'a str,
        /// Seconds by which it jumped, as far as that is known; backwards is negative.
        jump: i64,
        /// Both clocks, as they are believed now.
        clock: ClockFields<'a>,
    },
    /// Somebody looked at the machine's clock, and found it right.
    ClockConfirmed {
        /// The record of the incident.
        of: u64,
        /// Why it is right.
        reason: &'a str,
        /// Both clocks, as they are believed now.
        clock: ClockFields<'a>,
    },
    /// Both clocks, from time to time, so that the next start knows how the one moved against the other.
    Clock {
        /// Both clocks.
        clock: ClockFields<'a>,
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
    /// A step of a data subject's request was taken, or is about to be (POPIA s23, s24).
    Request {
        /// `find`, `open`, `export` ...
        step: &'a str,
        /// The request's number; a search for a person has none.
        request: Option<i64>,
        /// The person's pseudonym.
        subject: Option<&'a str>,
        /// Who did it.
        by: &'a str,
        /// With which login.
        login: &'a str,
        /// In which database.
        database: &'a str,
        /// More of it, without a value.
        says: &'a str,
        /// What was looked up.
        #[serde(skip_serializing_if = "<[_]>::is_empty")]
        lookups: &'a [LookedUp],
    },
    /// Somebody was to be told of something.
    Alert {
        /// Names it.
        alert: &'a str,
        /// `refusals`, `unusual`, `protected`, `canary`, `log`, `expiring`, `overdue`, `folded`.
        kind: &'a str,
        /// Of whom or what.
        about: &'a str,
        /// What, in one line.
        what: &'a str,
        /// Number of the record that shows it.
        of: Option<u64>,
        /// The ways that took it.
        sent: Vec<&'static str>,
        /// The ways that did not.
        unsent: Vec<&'static str>,
        /// Why not.
        reason: Option<String>,
    },
    /// An exception began or ended: a login may use a purpose for a time.
    Grant {
        /// `begun`, `in_force` at a start of the proxy, `ended` before its time, `expired`, `withdrawn` by other policies, or
        /// `refused`.
        what: &'a str,
        /// Names it; empty where the file as a whole is refused.
        grant: &'a str,
        /// The PostgreSQL login.
        login: Option<&'a str>,
        /// The purpose.
        purpose: Option<&'a str>,
        /// When it is gone.
        until: Option<String>,
        /// Why: of a file that is refused, what does not hold.
        reason: Option<&'a str>,
        /// Who granted it, or ended it.
        by: Option<&'a str>,
        /// Who approved it besides.
        approved_by: Option<&'a str>,
    },
    /// Somebody looked at a page of the console, came in or was not let in, or took something away.
    Console {
        /// Who; empty where a name is not known.
        by: &'a str,
        /// `reviewer` or `officer`.
        standing: &'a str,
        /// Which page, or what was done.
        page: &'a str,
        /// What was looked for, with people by pseudonym.
        says: &'a str,
    },
    /// Findings were looked at, and judged.
    Review {
        /// `expected`, `ask` or `incident`.
        verdict: &'a str,
        /// Which, as the console names them.
        findings: &'a [String],
        /// What was found, in words.
        what: &'a str,
        /// The day that they are about.
        day: &'a str,
        /// The login that they are about.
        login: &'a str,
        /// The end user behind it.
        actor: Option<&'a str>,
        /// Who judged.
        by: &'a str,
        /// `reviewer` or `officer`.
        standing: &'a str,
        /// In their words.
        comment: &'a str,
    },
    /// A step of a campaign in which what everybody has is certified.
    Campaign {
        /// `begun`, `certified`, `revoked` or `closed`.
        what: &'a str,
        /// Names it.
        campaign: &'a str,
        /// The policies that it is about.
        policy: &'a str,
        /// Of a line: the role.
        role: Option<&'a str>,
        /// Of a line: the purpose.
        purpose: Option<&'a str>,
        /// Of a line: what is open, in words; of a campaign: how many lines it has.
        has: &'a str,
        /// Who.
        by: &'a str,
        /// `reviewer` or `officer`.
        standing: &'a str,
        /// In their words.
        comment: &'a str,
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
    /// What was counted instead of being told one by one: connections that came to no session, statements of a login that had
    /// written its share of the log.
    Folded {
        /// `login_refused` or `access`.
        what: &'a str,
        /// The address; of many where it is empty.
        client: Option<&'a str>,
        /// The login.
        login: Option<&'a str>,
        /// How many since the last such record, which is not much more than a minute ago.
        count: u64,
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
        let body = match self {
            Self::Outcome(outcome) => Body::of_outcome(outcome)?,
            _ => Body::new(self, true)?,
        };
        Ok(EventRecord { body })
    }
}
