//! Each step as a record of the access log, before it is taken.

use std::time::Duration;

use serde_json::{Value, json};

use crate::audit::{AuditError, AuditLog, LogOptions, LookedUp, RequestStep, SubjectKey, hand_in};
use crate::config::Config;
use crate::requests::deletion::Trouble;

/// The proxy looks for what is handed to it each second.
const TAKEN_WITHIN: Duration = Duration::from_secs(15);

/// A step of a request.
#[derive(Debug, Clone, Copy)]
pub(in crate::cli) struct Step<'a> {
    /// What is done: `find`, `open`, `export` ...
    pub(in crate::cli) step: &'a str,
    /// The request's number.
    pub(in crate::cli) request: Option<i64>,
    /// The person's key, which the log has as its pseudonym.
    pub(in crate::cli) subject: Option<&'a str>,
    /// More of it, without a value.
    pub(in crate::cli) says: &'a str,
    /// What was looked up.
    pub(in crate::cli) lookups: &'a [LookedUp],
}

/// Where steps are told.
pub(in crate::cli) struct Told {
    options: LogOptions,
    key: Option<SubjectKey>,
    login: String,
    database: String,
    by: String,
}

impl Told {
    pub(in crate::cli) fn new(config: &Config, database: &str, by: &str) -> Result<Self, String> {
        Ok(Self {
            options: crate::app::log_options(&config.audit)?,
            key: crate::app::subject_key(config)?,
            login: config.upstream.catalog_login.clone(),
            database: database.to_owned(),
            by: by.to_owned(),
        })
    }

    /// What stands in the log for a value that is looked up.
    pub(in crate::cli) fn lookup(&self, relation: &str, column: &str, value: &str) -> LookedUp {
        let digest = self.key.as_ref().map(|key| key.lookup(relation, column, value));
        let reason = digest.is_none().then_some("no key");
        LookedUp { relation: relation.to_owned(), column: column.to_owned(), digest, reason }
    }

    /// Appends the step to the log; gives its record's number, where that is known.
    ///
    /// # Errors
    /// The log cannot be written: then nothing is done.
    pub(in crate::cli) async fn tell(&self, step: &Step<'_>) -> Result<Option<u64>, Trouble> {
        let subject = step.subject.map(|subject| match &self.key {
            Some(key) => key.pseudonym(subject),
            None => "-".to_owned(),
        });
        let lookups = step.lookups.iter();
        let told = RequestStep {
            step: step.step.to_owned(),
            request: step.request,
            subject,
            by: self.by.clone(),
            login: self.login.clone(),
            database: self.database.clone(),
            says: step.says.to_owned(),
            lookups: lookups.map(|one| (one.relation.clone(), one.column.clone(), one.digest.clone())).collect(),
        };
        let failed = |error: &dyn std::fmt::Display| {
            Trouble::Refused(format!("nothing is done, since the access log cannot be written: {error}"))
        };
        let log = match AuditLog::open_with(self.options.clone()) {
            Ok(log) => log,
            // The proxy writes it.
            Err(AuditError::InUse { .. }) => {
                let signer = self.options.signer.as_deref();
                return hand_in(&self.options.directory, &told, signer, TAKEN_WITHIN)
                    .map(Some)
                    .map_err(|error| failed(&error));
            }
            Err(error) => return Err(failed(&error)),
        };
        let record = told.record().map_err(|error| failed(&error))?;
        let seq = log.append(record).await.map_err(|error| failed(&error))?;
        log.close("a step of a request").await.map_err(|error| failed(&error))?;
        Ok(Some(seq))
    }

    /// A certificate with its signature by the log's key, where there is one.
    pub(in crate::cli) fn signed(&self, mut content: Value) -> Result<Value, String> {
        let Some(signer) = &self.options.signer else { return Ok(content) };
        let text = content.to_string();
        let signature = json!({ "key": signer.public().to_string(), "ed25519": signer.sign_certificate(&text) });
        if let Some(content) = content.as_object_mut() {
            content.insert("signature".to_owned(), signature);
        }
        Ok(content)
    }
}
