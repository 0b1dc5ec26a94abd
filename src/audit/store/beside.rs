//! What stands beside the files of the log: the newest checkpoint, and up to where other places have the records.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use jiff::Timestamp;

use crate::audit::record::Entry;
use crate::audit::record::chain::{Hash, Link};

/// The newest checkpoint's own file.
pub(in crate::audit) const CHECKPOINT: &str = "checkpoint.json";

/// Puts a file that is its owner's alone in the place of the one before, whole or not at all; `durable`: it is on disk before it does.
pub(crate) fn replace(path: &Path, bytes: &[u8], durable: bool) -> io::Result<()> {
    let mut unfinished = path.to_owned();
    unfinished.as_mut_os_string().push(".tmp");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
    file.write_all(bytes)?;
    if durable {
        file.sync_data()?;
    }
    fs::rename(unfinished, path)
}

/// Keeps what a checkpoint's own file held; gives the name of the copy in the folder.
pub(in crate::audit) fn keep_aside(directory: &Path, held: &[u8]) -> io::Result<String> {
    let base = format!("checkpoint-{}", Timestamp::now().strftime("%Y%m%dT%H%M%S%6f"));
    // The clock may stand where it stood before.
    for number in 0..u32::MAX {
        let kept = if number == 0 { format!("{base}.kept") } else { format!("{base}-{number}.kept") };
        match OpenOptions::new().write(true).create_new(true).mode(0o600).open(directory.join(&kept)) {
            Ok(mut file) => {
                file.write_all(held)?;
                file.sync_all()?;
                return Ok(kept);
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::new(io::ErrorKind::AlreadyExists, base))
}

/// Up to where a place beside the files has the records, as it is written down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::audit) struct Given {
    /// The file that says so.
    pub(in crate::audit) place: String,
    /// The last record that was given.
    pub(in crate::audit) seq: u64,
    /// Its hash, where that was written down.
    pub(in crate::audit) hash: Option<Hash>,
}

impl Given {
    fn read(place: String, bytes: &[u8]) -> Option<Self> {
        let entry = Entry::parse(bytes.trim_ascii_end())?;
        Some(Self { place, seq: entry.seq()?, hash: entry.text("hash").and_then(Hash::from_hex) })
    }
}

/// The position of one place; `None` where nothing is written down.
pub(in crate::audit) fn position(path: &Path) -> Option<Given> {
    let name = path.file_name()?.to_string_lossy().into_owned();
    Given::read(name, &fs::read(path).ok()?)
}

/// Writes it down.
pub(in crate::audit) fn keep_position(path: &Path, link: Link) -> io::Result<()> {
    let unfinished = path.with_extension("json.tmp");
    fs::write(&unfinished, format!("{{\"seq\":{},\"hash\":\"{}\"}}\n", link.seq, link.hash))?;
    fs::rename(unfinished, path)
}

/// The positions of all places.
pub(in crate::audit) fn given(directory: &Path) -> io::Result<Vec<Given>> {
    let mut places = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if name.starts_with("sink-") && name.ends_with(".json") {
            places.extend(position(&path));
        }
    }
    places.sort_by(|one, other| one.place.cmp(&other.place));
    Ok(places)
}
