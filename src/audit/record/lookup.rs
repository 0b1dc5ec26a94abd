//! Which values were looked up: by keyed digest, so that a value can be searched for, and none stands in the log.

use serde::Serialize;

use super::error::AuditError;
use super::prepared::Statement;
use super::{Body, EventRecord, SessionFacts};

/// A comparison of a column with a value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LookedUp {
    /// `public.customers`.
    pub relation: String,
    /// The column.
    pub column: String,
    /// [`SubjectKey::lookup`](super::disclosure::SubjectKey::lookup) of the value.
    pub digest: Option<String>,
    /// Why there is no digest, where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'static str>,
}

/// What an Execute looks up, before it is forwarded: values of parameters are known only then.
#[derive(Debug, Clone, Copy)]
pub struct LookupRecord<'a> {
    /// Number of the `access` record.
    pub of: u64,
    /// The session, with the purpose that the statement runs under.
    pub session: &'a SessionFacts,
    /// The statement, as its `access` has it.
    pub statement: &'a str,
    /// What is looked up.
    pub lookups: &'a [LookedUp],
}

#[derive(Serialize)]
struct Fields<'a> {
    event: &'static str,
    of: u64,
    #[serde(flatten)]
    session: &'a SessionFacts,
    #[serde(flatten)]
    statement: Statement<'a>,
    lookups: &'a [LookedUp],
}

impl LookupRecord<'_> {
    /// Writes it as JSON.
    ///
    /// # Errors
    /// [`AuditError::Encode`].
    pub fn record(&self) -> Result<EventRecord, AuditError> {
        let Self { of, session, statement, lookups } = *self;
        let statement = Statement::new(statement, None);
        let fields = Fields { event: "lookup", of, session, statement, lookups };
        Ok(EventRecord { body: Body::new(&fields, true)? })
    }
}
