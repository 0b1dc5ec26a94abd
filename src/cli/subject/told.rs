//! Each step as a record of the access log, before it is taken.

use serde_json::{Value, json};

use crate::audit::checkpoint::Signer;
use crate::audit::{self, AuditLog, Event, LogOptions, LookedUp, SubjectKey};
use crate::cli::{access_log, setup};
use crate::config::Config;
use crate::requests::deletion::Trouble;

/// A step of a request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Step<'a> {
    /// What is done: `find`, `open`, `export` ...
    pub(super) step: &'a str,
    /// The request's number.
    pub(super) request: Option<i64>,
    /// The person's key, which the log has as its pseudonym.
    pub(super) subject: Option<&'a str>,
    /// More of it, without a value.
    pub(super) says: &'a str,
    /// What was looked up.
    pub(super) lookups: &'a [LookedUp],
}

/// Where steps are told.
pub(super) struct Told {
    options: LogOptions,
    key: Option<SubjectKey>,
    login: String,
    database: String,
    by: String,
}

impl Told {
    pub(super) fn new(config: &Config, database: &str, by: &str) -> Result<Self, String> {
        Ok(Self {
            options: access_log::options(&config.audit)?,
            key: setup::subject_key(config)?,
            login: config.upstream.catalog_login.clone(),
            database: database.to_owned(),
            by: by.to_owned(),
        })
    }

    /// What stands in the log for a value that is looked up.
    pub(super) fn lookup(&self, relation: &str, column: &str, value: &str) -> LookedUp {
        let digest = self.key.as_ref().map(|key| key.lookup(relation, column, value));
        let reason = digest.is_none().then_some("no key");
        LookedUp { relation: relation.to_owned(), column: column.to_owned(), digest, reason }
    }

    /// Appends the step to the log; gives its record's number, where that is known.
    ///
    /// # Errors
    /// The log cannot be written: then nothing is done.
    pub(super) async fn tell(&self, step: &Step<'_>) -> Result<Option<u64>, Trouble> {
        let subject = step.subject.map(|subject| match &self.key {
            Some(key) => key.pseudonym(subject),
            None => "-".to_owned(),
        });
        let event = Event::Request {
            step: step.step,
            request: step.request,
            subject: subject.as_deref(),
            by: &self.by,
            login: &self.login,
            database: &self.database,
            says: step.says,
            lookups: step.lookups,
        };
        let record = event.record().map_err(|error| Trouble::Refused(error.to_string()))?;
        let failed = |error: audit::AuditError| {
            Trouble::Refused(format!("nothing is done, since the access log cannot be written: {error}"))
        };
        let log = AuditLog::open_with(self.options.clone()).map_err(failed)?;
        let seq = log.append(record).await.map_err(failed)?;
        log.close("a step of a request").await.map_err(failed)?;
        Ok(Some(seq))
    }

    /// A certificate with its signature by the log's key, where there is one.
    pub(super) fn signed(&self, mut content: Value) -> Result<Value, String> {
        let Some(signer) = &self.options.signer else { return Ok(content) };
        let text = content.to_string();
        let signature = json!({ "key": signer.public().to_string(), "ed25519": certificate_signature(signer, &text) });
        if let Some(content) = content.as_object_mut() {
            content.insert("signature".to_owned(), signature);
        }
        Ok(content)
    }
}

fn certificate_signature(signer: &Signer, text: &str) -> String {
    signer.sign_certificate(text)
}
