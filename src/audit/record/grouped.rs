//! What several statements over groups tell together: how many a login has run.

use serde::Serialize;

use super::error::AuditError;
use super::{Body, EventRecord, SessionFacts};

/// How many statements over groups a login has run on a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Asked {
    /// For the purpose, this one included; what is asked for its children counts too.
    pub asked: u32,
    /// How many more the policy leaves (`queries_per_day`, the least of the purpose's and its ancestors'); `None` where it states none.
    pub left: Option<u32>,
}

/// A statement over groups, before it is forwarded.
#[derive(Debug, Clone, Copy)]
pub struct GroupedRecord<'a> {
    /// Number of the `access` record.
    pub of: u64,
    /// The session, with the purpose that the statement runs under.
    pub session: &'a SessionFacts,
    /// The count.
    pub asked: Asked,
}

#[derive(Serialize)]
struct Fields<'a> {
    event: &'static str,
    of: u64,
    #[serde(flatten)]
    session: &'a SessionFacts,
    #[serde(flatten)]
    asked: Asked,
}

impl GroupedRecord<'_> {
    /// Writes it as JSON.
    ///
    /// # Errors
    /// [`AuditError::Encode`].
    pub fn record(&self) -> Result<EventRecord, AuditError> {
        let Self { of, session, asked } = *self;
        let fields = Fields { event: "groups", of, session, asked };
        Ok(EventRecord { body: Body::new(&fields, true)? })
    }
}
