//! The desk beside its log: a start goes on from what was read before, and reads the log from there.
//!
//! One file: a line of JSON that says of which logs it is, up to which record of each, and the digest of the rest; the rest is the desk,
//! compressed. Where the log is signed, its key signs the line, so that nobody who can write in the folder makes findings go away.
//! What does not hold is not used: the log is read from its beginning then.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use jiff::tz::TimeZone;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Desk;
use crate::audit::record::Entry;
use crate::audit::record::chain::{Hash, Link};
use crate::audit::record::checkpoint::{PublicKey, Signer};
use crate::audit::report::clock::Clock;
use crate::audit::report::strangers::person;
use crate::audit::store::beside::replace;

/// What the file is, and in which form.
const FORM: &str = "pgpurpose desk 1";
/// Bytes that a desk is never larger than.
const MOST_BYTES: u64 = 4 << 30;
/// Bytes that the first line is never longer than.
const MOST_HEAD: u64 = 1 << 20;

/// The first line.
#[derive(Debug, Serialize, Deserialize)]
struct Head {
    what: String,
    /// Rules change with the program.
    version: String,
    zone: String,
    /// How people's names are told apart, which may change with the compiler.
    person: u64,
    logs: Vec<End>,
    sha256: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    signature: Option<String>,
}

/// Up to where a log was read.
#[derive(Debug, Serialize, Deserialize)]
struct End {
    log: String,
    number: u64,
    seq: u64,
    hash: String,
}

impl Head {
    /// What is signed.
    fn message(&self) -> String {
        let mut text = format!("{}\n{}\n{}\n{}\n", self.what, self.version, self.zone, self.person);
        for end in &self.logs {
            let _ = writeln!(text, "{} {} {} {}", end.log, end.number, end.seq, end.hash);
        }
        let _ = writeln!(text, "{}", self.sha256);
        text
    }
}

impl Desk {
    /// Keeps it in this file; `logs` are the logs that it is of, by number.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn keep(&self, path: &Path, logs: &BTreeMap<u64, String>, signer: Option<&Signer>) -> io::Result<()> {
        let mut body = zstd::stream::write::Encoder::new(Vec::new(), 1)?;
        serde_json::to_writer(&mut body, self)?;
        let mut body = body.finish()?;
        let ends = logs.iter().map(|(number, log)| {
            let Link { seq, hash } = self.ends.get(number).copied().unwrap_or(Link::START);
            End { log: log.clone(), number: *number, seq, hash: hash.to_string() }
        });
        let mut head = Head {
            what: FORM.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            zone: self.clock.name(),
            person: person(FORM),
            logs: ends.collect(),
            sha256: Hash::of(&body).to_string(),
            signature: None,
        };
        head.signature = signer.map(|signer| signer.sign(head.message().as_bytes()));
        let mut bytes = serde_json::to_vec(&head)?;
        bytes.push(b'\n');
        bytes.append(&mut body);
        replace(path, &bytes, false)
    }

    /// What was kept in this file, and the logs that it is of, by number; `key` is that of the log, where it is signed. That the logs
    /// still have the records that it [ends](Self::ends) with is for the caller to see.
    ///
    /// # Errors
    /// Why it is not used, in words; `None` where there is none.
    pub fn resume(
        path: &Path,
        zone: &TimeZone,
        key: Option<&PublicKey>,
    ) -> Result<(Self, BTreeMap<u64, String>), Option<String>> {
        let failed = |error: &dyn std::fmt::Display| Some(format!("`{}`: {error}", path.display()));
        let file = match fs::File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(None),
            opened => opened.map_err(|error| failed(&error))?,
        };
        let mut reader = BufReader::new(file);
        let mut line = Vec::new();
        (&mut reader).take(MOST_HEAD).read_until(b'\n', &mut line).map_err(|error| failed(&error))?;
        let head: Head = serde_json::from_slice(&line).map_err(|_| failed(&"it is of another form"))?;
        let clock = Clock::new(zone.clone());
        if head.what != FORM || head.version != env!("CARGO_PKG_VERSION") || head.person != person(FORM) {
            return Err(failed(&"it is of another version"));
        }
        if head.zone != clock.name() {
            return Err(failed(&"it has days of another time zone"));
        }
        if let Some(key) = key {
            let signature = head.signature.as_deref().unwrap_or_default();
            if !key.signed(head.message().as_bytes(), signature) {
                return Err(failed(&"it is not signed with the log's key"));
            }
        }
        let mut body = Vec::new();
        reader.take(MOST_BYTES).read_to_end(&mut body).map_err(|error| failed(&error))?;
        if Hash::of(&body).to_string() != head.sha256 {
            return Err(failed(&"it was changed or cut"));
        }
        let text = zstd::stream::read::Decoder::new(body.as_slice()).map_err(|error| failed(&error))?;
        let text = BufReader::with_capacity(1 << 18, text.take(MOST_BYTES));
        let mut desk: Self = serde_json::from_reader(text).map_err(|error| failed(&error))?;
        let (mut ends, mut logs) = (BTreeMap::new(), BTreeMap::new());
        for end in head.logs {
            let hash = Hash::from_hex(&end.hash).ok_or_else(|| failed(&"it says no record's hash"))?;
            if end.seq > 0 {
                ends.insert(end.number, Link { seq: end.seq, hash });
            }
            logs.insert(end.number, end.log);
        }
        (desk.clock, desk.ends) = (clock, ends);
        desk.inbox.resumed(zone.clone());
        Ok((desk, logs))
    }

    /// By the number of a log: the last record of it that the desk has.
    pub fn ends(&self) -> &BTreeMap<u64, Link> {
        &self.ends
    }
}

pub(super) fn lines<S: Serializer>(all: &BTreeMap<String, Entry>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(all.iter().map(|(day, entry)| (day, &entry.line)))
}

pub(super) fn lines_again<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, Entry>, D::Error> {
    let lines = BTreeMap::<String, String>::deserialize(deserializer)?;
    Ok(lines.into_iter().filter_map(|(day, line)| Some((day, Entry::parse(line.as_bytes())?))).collect())
}
