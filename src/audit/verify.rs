//! The proof that nothing in the log was changed, removed, inserted or reordered.
//!
//! Without a key, the chain shows every change but a rewrite of everything that follows it, and a clean cut of the
//! newest records: compare the last hash with one that was kept elsewhere.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Seek, SeekFrom};
use std::path::Path;
use std::time::Duration;

use super::chain::{self, BadLine, Hash, Link, Sealed};
use super::files;
use super::read::Entry;

/// What the log's chain says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verification {
    /// Files read.
    pub files: usize,
    /// Lines read.
    pub records: u64,
    /// The end of the chain.
    pub last: Link,
    /// Where it breaks, in order; no more than [`MOST_BREAKS`].
    pub breaks: Vec<Break>,
    /// What the log itself says of crashes and outages.
    pub notices: Vec<String>,
}

/// After so many breaks nobody needs more.
pub const MOST_BREAKS: usize = 100;

/// Where and how the chain breaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Break {
    /// The file's name.
    pub file: String,
    /// Line, from 1; 0 where it is about the file.
    pub line: u64,
    /// What is wrong.
    pub what: Wrong,
}

/// What is wrong with a line or a file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Wrong {
    /// It is no whole record.
    #[error("{0}")]
    Line(#[from] BadLine),
    /// Records are missing before it.
    #[error("records {from} to {to} are missing before it")]
    Missing {
        /// First missing number.
        from: u64,
        /// Last missing number.
        to: u64,
    },
    /// Its number is not above the one before.
    #[error("record {seq} stands after record {after}: moved or inserted")]
    Moved {
        /// Its number.
        seq: u64,
        /// The number before.
        after: u64,
    },
    /// Number as expected, but it follows another record than the one before it.
    #[error("record {seq} does not follow the record before it: one of the two was replaced")]
    Replaced {
        /// Its number.
        seq: u64,
    },
    /// The last line has no end.
    #[error("the last line is cut off")]
    Cut,
    /// A file begins with another record than its name says.
    #[error("the file should begin with record {named}")]
    Name {
        /// The number in its name.
        named: u64,
    },
    /// A file is named as one of the log and is none.
    #[error("the file is not named as one of the log")]
    Stray,
    /// Bytes that were kept aside are gone or changed.
    #[error("the torn end that was kept in `{kept}` is gone or changed")]
    Torn {
        /// The file.
        kept: String,
    },
}

impl fmt::Display for Break {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line == 0 {
            write!(f, "{}: {}", self.file, self.what)
        } else {
            write!(f, "{}:{}: {}", self.file, self.line, self.what)
        }
    }
}

impl Verification {
    /// Whether nothing is wrong.
    pub fn holds(&self) -> bool {
        self.breaks.is_empty()
    }

    fn wrong(&mut self, file: &str, line: u64, what: Wrong) {
        if self.breaks.len() < MOST_BREAKS {
            self.breaks.push(Break { file: file.to_owned(), line, what });
        }
    }
}

/// Reads the whole log in `directory`. May run while it is written.
///
/// # Errors
/// The folder or a file cannot be read.
pub fn verify(directory: &Path) -> io::Result<Verification> {
    let (files, stray) = files::list(directory)?;
    let mut found =
        Verification { files: files.len(), records: 0, last: Link::START, breaks: Vec::new(), notices: Vec::new() };
    for name in stray {
        found.wrong(&name, 0, Wrong::Stray);
    }
    let newest = files.last().map(|file| file.path.clone());
    for file in files {
        let (name, mut number, mut line) = (file.name(), 0, Vec::new());
        let mut reader = BufReader::with_capacity(1 << 20, File::open(&file.path)?);
        loop {
            let start = reader.stream_position()?;
            line.clear();
            if reader.read_until(b'\n', &mut line)? == 0 {
                break;
            }
            if !line.ends_with(b"\n") && newest.as_ref() == Some(&file.path) {
                // Perhaps it is just being written.
                std::thread::sleep(Duration::from_millis(250));
                reader.seek(SeekFrom::Start(start))?;
                line.clear();
                reader.read_until(b'\n', &mut line)?;
            }
            number += 1;
            let Some(whole) = line.strip_suffix(b"\n") else {
                found.wrong(&name, number, Wrong::Cut);
                break;
            };
            check(&mut found, directory, &name, number, whole, file.first_seq);
        }
        if number == 0 && newest.as_ref() != Some(&file.path) {
            found.wrong(&name, 0, Wrong::Name { named: file.first_seq });
        }
    }
    Ok(found)
}

fn check(found: &mut Verification, directory: &Path, name: &str, number: u64, line: &[u8], first_seq: u64) {
    found.records += 1;
    let sealed = match chain::open(line) {
        Ok(sealed) => sealed,
        Err(bad) => {
            found.wrong(name, number, bad.into());
            // What follows is held against what this line says of itself, so that one change is told once.
            if let Some((seq, hash)) = said(line) {
                found.last = Link { seq, hash };
            }
            return;
        }
    };
    let Sealed { seq, prev, hash } = sealed;
    if number == 1 && seq != first_seq {
        found.wrong(name, number, Wrong::Name { named: first_seq });
    }
    let expected = found.last.seq + 1;
    if seq > expected {
        found.wrong(name, number, Wrong::Missing { from: expected, to: seq - 1 });
    } else if seq < expected {
        found.wrong(name, number, Wrong::Moved { seq, after: found.last.seq });
    } else if prev != found.last.hash {
        found.wrong(name, number, Wrong::Replaced { seq });
    }
    found.last = Link { seq, hash };
    notice(found, directory, name, number, line);
}

/// Number and hash that a changed line still says it has.
fn said(line: &[u8]) -> Option<(u64, Hash)> {
    let entry = Entry::parse(line)?;
    Some((entry.seq()?, Hash::from_hex(entry.text("hash")?)?))
}

fn notice(found: &mut Verification, directory: &Path, name: &str, number: u64, line: &[u8]) {
    // Most lines are no such event; parsing them all would cost more than the hashes.
    let about = |event: &[u8]| line.windows(event.len()).take(96).any(|window| window == event);
    if !about(b"\"event\":\"torn\"") && !about(b"\"event\":\"recovered\"") {
        return;
    }
    let Some(entry) = Entry::parse(line) else { return };
    let time = entry.text("time").unwrap_or_default();
    if entry.event() == "recovered" {
        let (since, refused) = (entry.text("since").unwrap_or_default(), entry.number("refused").unwrap_or_default());
        found
            .notices
            .push(format!("from {since} to {time} the log could not be written; {refused} records were refused"));
        return;
    }
    let (kept, sha256) = (entry.text("kept").unwrap_or_default(), entry.text("sha256").unwrap_or_default());
    let bytes = entry.number("bytes").unwrap_or_default();
    found.notices.push(format!("at {time} a torn end of {bytes} bytes was kept aside in `{kept}`"));
    let plain_name = !kept.contains('/') && kept.starts_with("torn-");
    let intact = plain_name && fs::read(directory.join(kept)).is_ok_and(|bytes| Hash::of(&bytes).to_string() == sha256);
    if !intact {
        found.wrong(name, number, Wrong::Torn { kept: kept.to_owned() });
    }
}
