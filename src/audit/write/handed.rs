//! Steps of requests that another process hands to the one that writes the log: `pgpurpose subject` while the proxy runs.
//!
//! A step lies in the folder as `handed-ID.json` until the writer takes it, which is within a second; `handed-ID.taken` then says under
//! which number it stands in the log. Only a step can be handed in. Where the log is signed, so is the step, with the same key over these lines:
//!
//! ```text
//! pgpurpose step 1
//! <log>
//! <id>
//! <time>
//! <the step, as JSON>
//! ```

use std::collections::VecDeque;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::dropbox;
use crate::audit::record::checkpoint::Signer;
use crate::audit::record::{AuditError, Body, Event, LookedUp};
use crate::audit::store::files;

/// A step, as it is handed over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RequestStep {
    /// `find`, `open`, `export` ...
    pub step: String,
    /// The request's number.
    pub request: Option<i64>,
    /// The person's pseudonym.
    pub subject: Option<String>,
    /// Who did it.
    pub by: String,
    /// With which login.
    pub login: String,
    /// In which database.
    pub database: String,
    /// More of it, without a value.
    pub says: String,
    /// What was looked up: relation, column, digest.
    pub lookups: Vec<(String, String, Option<String>)>,
}

impl RequestStep {
    /// As a record of the log.
    ///
    /// # Errors
    /// [`AuditError::Encode`].
    pub fn record(&self) -> Result<crate::audit::EventRecord, AuditError> {
        let lookups: Vec<LookedUp> = self
            .lookups
            .iter()
            .map(|(relation, column, digest)| LookedUp {
                relation: relation.clone(),
                column: column.clone(),
                digest: digest.clone(),
                reason: digest.is_none().then_some("no key"),
            })
            .collect();
        Event::Request {
            step: &self.step,
            request: self.request,
            subject: self.subject.as_deref(),
            by: &self.by,
            login: &self.login,
            database: &self.database,
            says: &self.says,
            lookups: &lookups,
        }
        .record()
    }
}

#[derive(Serialize, Deserialize)]
struct Handed {
    time: String,
    step: String,
    signature: Option<String>,
}

/// What lies longer is none that somebody waits for.
const WAITS: SignedDuration = SignedDuration::from_mins(10);
/// So many are taken at once, and so many identifiers are remembered, so that none is taken twice.
const AT_ONCE: usize = 100;
const REMEMBERED: usize = 10_000;

fn message(log: &str, id: &str, time: &str, step: &str) -> String {
    format!("pgpurpose step 1\n{log}\n{id}\n{time}\n{step}\n")
}

fn name(id: &str, ending: &str) -> String {
    format!("handed-{id}.{ending}")
}

fn place(directory: &Path, id: &str, ending: &str) -> PathBuf {
    directory.join(name(id, ending))
}

/// Hands a step to the process that writes the log of this folder, and waits until it stands there; gives its number.
///
/// # Errors
/// The folder cannot be written, or nobody took the step within `longest`: then it is taken back.
pub fn hand_in(directory: &Path, step: &RequestStep, signer: Option<&Signer>, longest: Duration) -> io::Result<u64> {
    let id = format!("{:032x}", rand::random::<u128>());
    let log = files::log_name(directory)?.unwrap_or_default();
    let (time, text) = (Timestamp::now().to_string(), serde_json::to_string(step)?);
    let signature = dropbox::sign(signer, &message(&log, &id, &time, &text));
    let handed = serde_json::to_vec(&Handed { time, step: text, signature })?;
    dropbox::lay(directory, &name(&id, "json"), &handed)?;
    let lies = place(directory, &id, "json");
    let taken = place(directory, &id, "taken");
    let begun = Instant::now();
    while begun.elapsed() < longest {
        if let Ok(number) = fs::read_to_string(&taken) {
            fs::remove_file(taken)?;
            return number.trim().parse().map_err(io::Error::other);
        }
        thread::sleep(Duration::from_millis(20));
    }
    // Taken back, unless it is being taken at this moment.
    match fs::remove_file(&lies) {
        Ok(()) => Err(io::Error::other("the process that writes the log does not take what is handed to it")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            thread::sleep(Duration::from_millis(500));
            let number = fs::read_to_string(&taken)?;
            number.trim().parse().map_err(io::Error::other)
        }
        Err(error) => Err(error),
    }
}

/// Identifiers that were taken.
#[derive(Debug, Default)]
pub(super) struct Taken(VecDeque<String>);

impl Taken {
    /// Steps that lie there and hold, as records, each with its identifier. What does not hold is removed.
    pub(super) fn waiting(&mut self, directory: &Path, log: &str, signer: Option<&Signer>) -> Vec<(String, Body)> {
        let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
        let mut found = Vec::new();
        for entry in entries.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let Some(id) = name.strip_prefix("handed-").and_then(|rest| rest.strip_suffix(".json")) else { continue };
            if found.len() == AT_ONCE {
                break;
            }
            let held = self.check(id, &entry.path(), log, signer);
            if let Err(why) = fs::remove_file(entry.path()) {
                tracing::warn!(%why, "what was handed to the access log cannot be removed, and is not taken");
                continue;
            }
            match held {
                Ok(body) => found.push((id.to_owned(), body)),
                Err(why) => tracing::error!(why, "what was handed to the access log was not taken"),
            }
        }
        found
    }

    fn check(&mut self, id: &str, file: &Path, log: &str, signer: Option<&Signer>) -> Result<Body, &'static str> {
        let handed: Handed = serde_json::from_slice(&dropbox::read(file)?).map_err(|_| "it is no step")?;
        dropbox::of_now(&handed.time, Timestamp::now(), WAITS)?;
        if self.0.iter().any(|taken| taken == id) {
            return Err("it was taken before");
        }
        let signed = message(log, id, &handed.time, &handed.step);
        dropbox::check(signer, handed.signature.as_deref(), &signed)?;
        let step: RequestStep = serde_json::from_str(&handed.step).map_err(|_| "it is no step")?;
        let body = step.record().map_err(|_| "it cannot be encoded")?.body;
        if self.0.len() == REMEMBERED {
            self.0.pop_front();
        }
        self.0.push_back(id.to_owned());
        Ok(body)
    }
}

/// Says under which number a step stands.
pub(super) fn tell(directory: &Path, id: &str, number: u64) -> io::Result<()> {
    dropbox::lay(directory, &name(id, "taken"), format!("{number}\n").as_bytes())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn step() -> RequestStep {
        RequestStep {
            step: "export".to_owned(),
            request: Some(17),
            subject: Some("ps_1".to_owned()),
            by: "thabo".to_owned(),
            login: "pgpurpose".to_owned(),
            database: "shop".to_owned(),
            says: String::new(),
            lookups: Vec::new(),
        }
    }

    fn lay(directory: &Path, id: &str, handed: &Handed) {
        fs::write(place(directory, id, "json"), serde_json::to_vec(handed).unwrap()).unwrap();
    }

    fn handed(id: &str, time: Timestamp, step: &str, signer: Option<&Signer>) -> Handed {
        let time = time.to_string();
        let signature = signer.map(|signer| signer.sign(message("log", id, &time, step).as_bytes()));
        Handed { time, step: step.to_owned(), signature }
    }

    #[test]
    fn only_a_step_of_now_that_the_key_signed_is_taken_and_only_once() {
        let folder = tempfile::tempdir().unwrap();
        let (own, other) = (Signer::new(&[1; 32]).unwrap(), Signer::new(&[2; 32]).unwrap());
        let (now, text) = (Timestamp::now(), serde_json::to_string(&step()).unwrap());
        let ours = handed("a", now, &text, Some(&own));
        lay(folder.path(), "a", &ours);
        lay(folder.path(), "b", &handed("b", now, &text, Some(&other)));
        lay(folder.path(), "c", &handed("c", now, &text, None));
        lay(folder.path(), "d", &handed("d", now - SignedDuration::from_hours(1), &text, Some(&own)));
        // The signature of another identifier.
        lay(folder.path(), "e", &ours);
        // No other record can be handed in.
        let stop = r#"{"event":"stop","reason":"x"}"#;
        lay(folder.path(), "f", &handed("f", now, stop, Some(&own)));
        let mut taken = Taken::default();
        let found = taken.waiting(folder.path(), "log", Some(&own));
        assert_eq!(found.iter().map(|(id, _)| id.as_str()).collect::<Vec<_>>(), ["a"]);
        let mut line = Vec::new();
        found.iter().for_each(|(_, body)| body.write(&mut line));
        assert!(String::from_utf8(line).unwrap().contains("\"event\":\"request\""));
        lay(folder.path(), "a", &ours);
        assert!(taken.waiting(folder.path(), "log", Some(&own)).is_empty());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "what does not hold is removed");
    }

    #[test]
    fn what_nobody_takes_is_taken_back() {
        let folder = tempfile::tempdir().unwrap();
        let error = hand_in(folder.path(), &step(), None, Duration::from_millis(50)).unwrap_err();
        assert!(error.to_string().contains("does not take"));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
