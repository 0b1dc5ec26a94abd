//! What another process lays into the log's folder for the one that writes it: whole or not at all, of this moment, and signed with the
//! log's own key where the log is signed, since who can write the folder could else say anything.

use std::fs;
use std::io;
use std::path::Path;

use jiff::{SignedDuration, Timestamp};

use crate::audit::record::checkpoint::Signer;

/// A larger file is none.
const LARGEST: u64 = 64 << 10;

/// Lays a file there under this name, whole.
pub(super) fn lay(directory: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let unfinished = directory.join(format!("{name}.tmp"));
    fs::write(&unfinished, bytes)?;
    fs::rename(unfinished, directory.join(name))
}

/// What lies there, where it is no longer than anybody's word is.
pub(super) fn read(file: &Path) -> Result<Vec<u8>, &'static str> {
    if fs::metadata(file).map_or(u64::MAX, |file| file.len()) > LARGEST {
        return Err("it is too long");
    }
    fs::read(file).map_err(|_| "it cannot be read")
}

/// Whether it was said about now: one that was laid down while the clock was elsewhere says nothing of where it is now.
pub(super) fn of_now(said: &str, now: Timestamp, within: SignedDuration) -> Result<(), &'static str> {
    let near = said.parse::<Timestamp>().is_ok_and(|said| said.duration_since(now).abs() <= within);
    if near { Ok(()) } else { Err("it was said at another time") }
}

/// The signature of a word.
pub(super) fn sign(signer: Option<&Signer>, message: &str) -> Option<String> {
    signer.map(|signer| signer.sign(message.as_bytes()))
}

/// Whether a word is signed where the log is.
pub(super) fn check(signer: Option<&Signer>, signature: Option<&str>, message: &str) -> Result<(), &'static str> {
    let Some(signer) = signer else { return Ok(()) };
    let signature = signature.ok_or("it is not signed, and the log is: give `--config`")?;
    if signer.public().signed(message.as_bytes(), signature) { Ok(()) } else { Err("its signature does not match") }
}
