//! Reading the log back: all of it, its end, and what is added.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::files;

/// One record as it was read. Its hash is not looked at: that is for [`verify`](super::verify).
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The line, without its `\n`.
    pub line: String,
    fields: Map<String, Value>,
}

impl Entry {
    /// Reads a line; `None` where it is no JSON object.
    pub fn parse(line: &[u8]) -> Option<Self> {
        let line = std::str::from_utf8(line).ok()?;
        Some(Self { line: line.to_owned(), fields: serde_json::from_str(line).ok()? })
    }

    /// A field that holds text.
    pub fn text(&self, field: &str) -> Option<&str> {
        self.fields.get(field)?.as_str()
    }

    /// A field that holds a number from 0.
    pub fn number(&self, field: &str) -> Option<u64> {
        self.fields.get(field)?.as_u64()
    }

    /// Any field.
    pub fn field(&self, field: &str) -> Option<&Value> {
        self.fields.get(field)
    }

    /// Its number.
    pub fn seq(&self) -> Option<u64> {
        self.number("seq")
    }

    /// What it records: `access`, `outcome`, `connect` ...
    pub fn event(&self) -> &str {
        self.text("event").unwrap_or_default()
    }

    /// `(relation, its columns' names)` of an `access`.
    pub fn relations(&self) -> impl Iterator<Item = (&str, Vec<&str>)> {
        self.fields.get("relations").and_then(Value::as_array).into_iter().flatten().map(|relation| {
            let columns = relation.get("columns").and_then(Value::as_array).into_iter().flatten();
            let names = columns.filter_map(|column| column.get("name")?.as_str()).collect();
            (relation.get("name").and_then(Value::as_str).unwrap_or_default(), names)
        })
    }
}

/// Every line of the log that is a JSON object, oldest first, given to `each` until it answers `false`.
///
/// # Errors
/// The folder or a file cannot be read.
pub fn scan(directory: &Path, mut each: impl FnMut(Entry) -> bool) -> io::Result<()> {
    for file in files::list(directory)?.0 {
        let mut reader = BufReader::with_capacity(1 << 20, File::open(&file.path)?);
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line)? > 0 {
            if let Some(entry) = line.strip_suffix(b"\n").and_then(Entry::parse)
                && !each(entry)
            {
                return Ok(());
            }
            line.clear();
        }
    }
    Ok(())
}

/// The last `count` records that `wanted` takes, oldest first. Reads no more than the newest files that it needs, and
/// of each no more than its last `reach` bytes.
///
/// # Errors
/// The folder or a file cannot be read.
pub fn last(directory: &Path, count: usize, reach: u64, wanted: impl Fn(&Entry) -> bool) -> io::Result<Vec<Entry>> {
    let mut found: VecDeque<Entry> = VecDeque::new();
    for file in files::list(directory)?.0.into_iter().rev() {
        let mut opened = File::open(&file.path)?;
        let from = opened.metadata()?.len().saturating_sub(reach);
        opened.seek(SeekFrom::Start(from))?;
        let mut here = Vec::new();
        // A line that begins before the reach is cut, so it is no JSON object.
        for line in BufReader::new(opened).split(b'\n') {
            here.extend(Entry::parse(&line?).filter(&wanted));
        }
        for entry in here.into_iter().rev() {
            if found.len() == count {
                return Ok(found.into());
            }
            found.push_front(entry);
        }
    }
    Ok(found.into())
}

/// Gives what is added to the log from now on, over rotations.
#[derive(Debug)]
pub struct Follower {
    directory: PathBuf,
    /// The file that is read, and how far.
    at: Option<(PathBuf, u64)>,
}

impl Follower {
    /// Begins at the log's end.
    ///
    /// # Errors
    /// The folder or a file cannot be read.
    pub fn at_end(directory: &Path) -> io::Result<Self> {
        let at = match files::list(directory)?.0.pop() {
            Some(file) => Some((file.path.clone(), file.path.metadata()?.len())),
            None => None,
        };
        Ok(Self { directory: directory.to_owned(), at })
    }

    /// The records added since the last call.
    ///
    /// # Errors
    /// The folder or a file cannot be read.
    pub fn poll(&mut self) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        let files = files::list(&self.directory)?.0;
        let known = self.at.as_ref().and_then(|(path, _)| files.iter().position(|file| file.path == *path));
        for file in files.into_iter().skip(known.unwrap_or(0)) {
            let mut offset = match &self.at {
                Some((path, offset)) if *path == file.path => *offset,
                Some(_) | None => 0,
            };
            let mut opened = File::open(&file.path)?;
            opened.seek(SeekFrom::Start(offset))?;
            let mut reader = BufReader::new(opened);
            let mut line = Vec::new();
            while reader.read_until(b'\n', &mut line)? > 0 {
                // A line that is not whole yet is read again.
                let Some(whole) = line.strip_suffix(b"\n") else { break };
                entries.extend(Entry::parse(whole));
                offset += line.len() as u64;
                line.clear();
            }
            self.at = Some((file.path, offset));
        }
        Ok(entries)
    }
}
