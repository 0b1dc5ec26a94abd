//! Somebody has looked at the machine's clock and found it right: how that is said to the proxy that writes the log.
//!
//! The word lies in the folder for the proxy to take. It names the incident's record, so that it is good for one, and the moment,
//! so that it says nothing of where the clock is later; where the log is signed it is signed with the same key (Ed25519, RFC 8032)
//! over these lines, each ended by `\n`, since who can write the folder could else have old records destroyed:
//!
//! ```text
//! pgpurpose clock 1
//! <log>
//! <record>
//! <time>
//! <reason>
//! ```

use std::fs;
use std::io;
use std::path::Path;

use jiff::Timestamp;

use super::dropbox;
use super::steady::{ABOUT, STEPS};
use crate::audit::read::scan;
use crate::audit::record::Entry;
use crate::audit::record::checkpoint::Signer;
use crate::audit::store::files;

const FILE: &str = "clock-confirmed.json";

/// What somebody said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::audit) struct Confirmation {
    /// The incident's record.
    pub(in crate::audit) of: u64,
    /// Why the clock is right.
    pub(in crate::audit) reason: String,
}

/// A jump of the clock that nobody has confirmed yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Doubt {
    /// Its record's number.
    pub seq: u64,
    /// When it was seen, by the clock that jumped.
    pub time: String,
    /// What happened, in words.
    pub what: String,
}

/// The jump that waits to be confirmed, where one does.
///
/// # Errors
/// The log cannot be read.
pub fn clock_doubt(directory: &Path) -> io::Result<Option<Doubt>> {
    let mut doubt = None;
    scan(directory, |entry| {
        match (entry.event(), entry.text("about")) {
            ("incident", Some(ABOUT)) => {
                let text = |field| entry.text(field).unwrap_or_default().to_owned();
                doubt = entry.seq().map(|seq| Doubt { seq, time: text("time"), what: text("what") });
            }
            ("clock_confirmed", _) => doubt = None,
            _ => {}
        }
        true
    })?;
    Ok(doubt)
}

/// Says that the clock is right as it is now; the proxy that writes the log takes it within a second, or with its next start.
///
/// # Errors
/// The folder cannot be read or written, or a text cannot be encoded.
pub fn confirm_clock(directory: &Path, of: u64, reason: &str, signer: Option<&Signer>) -> io::Result<()> {
    let (time, log) = (format!("{:.6}", Timestamp::now()), files::log_name(directory)?.unwrap_or_default());
    let signature = dropbox::sign(signer, &message(&log, of, &time, reason));
    let said = serde_json::json!({ "of": of, "time": time, "reason": reason, "log": log, "signature": signature });
    dropbox::lay(directory, FILE, &serde_json::to_vec(&said)?)
}

/// What somebody said since the last call, where it holds. It stays until it is [`done`]; what does not hold is removed.
pub(in crate::audit) fn take(
    directory: &Path,
    doubt: Option<u64>,
    now: Timestamp,
    signer: Option<&Signer>,
) -> Option<Confirmation> {
    let file = directory.join(FILE);
    if !file.exists() {
        return None;
    }
    match dropbox::read(&file).and_then(|bytes| check(&bytes, directory, doubt, now, signer)) {
        Ok(confirmation) => Some(confirmation),
        Err(why) => {
            tracing::error!(why, "a confirmation of the clock was not taken");
            done(directory);
            None
        }
    }
}

/// It was taken.
pub(in crate::audit) fn done(directory: &Path) {
    if let Err(error) = fs::remove_file(directory.join(FILE)) {
        tracing::warn!(%error, "the confirmation of the clock cannot be removed");
    }
}

fn check(
    bytes: &[u8],
    directory: &Path,
    doubt: Option<u64>,
    now: Timestamp,
    signer: Option<&Signer>,
) -> Result<Confirmation, &'static str> {
    let said = Entry::parse(bytes).ok_or("it is no JSON object")?;
    let of = said.number("of").ok_or("it names no record")?;
    let (time, reason) = (said.text("time").unwrap_or_default(), said.text("reason").unwrap_or_default());
    if doubt != Some(of) {
        return Err("it is of another jump than the one that waits");
    }
    dropbox::of_now(time, now, STEPS)?;
    let log = files::log_name(directory).ok().flatten().unwrap_or_default();
    dropbox::check(signer, said.text("signature"), &message(&log, of, time, reason))?;
    Ok(Confirmation { of, reason: reason.to_owned() })
}

fn message(log: &str, of: u64, time: &str, reason: &str) -> String {
    format!("pgpurpose clock 1\n{log}\n{of}\n{time}\n{reason}\n")
}
