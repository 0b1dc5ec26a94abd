//! Each step as a record of the access log, before it is taken.

use std::time::Duration;

use serde_json::{Value, json};

use super::deletion::Trouble;
use crate::audit::checkpoint::{PublicKey, Signer};
use crate::audit::{AuditError, AuditLog, LogOptions, LookedUp, RequestStep, SubjectKey, hand_in};

/// The proxy looks for what is handed to it each second.
const TAKEN_WITHIN: Duration = Duration::from_secs(15);

/// A step of a request.
#[derive(Debug, Clone, Copy)]
pub struct Step<'a> {
    /// What is done: `find`, `open`, `export` ...
    pub step: &'a str,
    /// The request's number.
    pub request: Option<i64>,
    /// The person's key, which the log has as its pseudonym.
    pub subject: Option<&'a str>,
    /// More of it, without a value.
    pub says: &'a str,
    /// What was looked up.
    pub lookups: &'a [LookedUp],
}

/// Where steps are told.
pub struct Told {
    /// How the log is kept that a step is appended or handed to.
    pub options: LogOptions,
    /// By which subjects and values that are looked up are named.
    pub key: Option<SubjectKey>,
    /// The login with which it is done.
    pub login: String,
    /// In which database.
    pub database: String,
    /// By whom.
    pub by: String,
}

impl Told {
    /// What stands in the log for a value that is looked up.
    pub fn lookup(&self, relation: &str, column: &str, value: &str) -> LookedUp {
        let digest = self.key.as_ref().map(|key| key.lookup(relation, column, value));
        let reason = digest.is_none().then_some("no key");
        LookedUp { relation: relation.to_owned(), column: column.to_owned(), digest, reason }
    }

    /// Appends the step to the log; gives its record's number, where that is known.
    ///
    /// # Errors
    /// The log cannot be written: then nothing is done.
    pub async fn tell(&self, step: &Step<'_>) -> Result<Option<u64>, Trouble> {
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
                let LogOptions { directory, signer, .. } = self.options.clone();
                let handed =
                    tokio::task::spawn_blocking(move || hand_in(&directory, &told, signer.as_deref(), TAKEN_WITHIN));
                return match handed.await {
                    Ok(handed) => handed.map(Some).map_err(|error| failed(&error)),
                    Err(error) => Err(failed(&error)),
                };
            }
            Err(error) => return Err(failed(&error)),
        };
        let record = told.record().map_err(|error| failed(&error))?;
        let seq = log.append(record).await.map_err(|error| failed(&error))?;
        log.close("a step of a request").await.map_err(|error| failed(&error))?;
        Ok(Some(seq))
    }

    /// A certificate with its signature by the log's key, where there is one.
    pub fn signed(&self, content: Value) -> Value {
        sign(content, self.options.signer.as_deref())
    }
}

/// A certificate with its signature over the text of what stands before it, where there is a key.
pub fn sign(mut content: Value, signer: Option<&Signer>) -> Value {
    let Some(signer) = signer else { return content };
    let text = content.to_string();
    let signature = json!({ "key": signer.public().to_string(), "ed25519": signer.sign_certificate(&text) });
    if let Some(content) = content.as_object_mut() {
        content.insert("signature".to_owned(), signature);
    }
    content
}

/// Whether a certificate is as it was signed with that key.
pub fn is_signed(certificate: &Value, key: &PublicKey) -> bool {
    let mut content = certificate.clone();
    let signature = content.as_object_mut().and_then(|content| content.shift_remove("signature"));
    let ed25519 = signature.as_ref().and_then(|signature| signature.get("ed25519")).and_then(Value::as_str);
    ed25519.is_some_and(|signature| key.certifies(&content.to_string(), signature))
}
