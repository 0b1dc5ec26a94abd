//! The files of a log: names, order, and where the last one ends.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::Date;

use crate::audit::record::Entry;
use crate::audit::record::chain::{self, Hash, Link, Sealed};

/// One file of a log: `access-<number of its first record>-<day it was begun>.jsonl`, compressed with `.zst` behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::audit) struct LogFile {
    pub(in crate::audit) first_seq: u64,
    pub(in crate::audit) path: PathBuf,
    pub(in crate::audit) day: Date,
    pub(in crate::audit) packed: bool,
}

/// The end of a compressed file's name.
pub(in crate::audit) const PACKED: &str = ".zst";

impl LogFile {
    pub(in crate::audit) fn new(directory: &Path, first_seq: u64, day: Date) -> Self {
        let path = directory.join(format!("access-{first_seq:012}-{}.jsonl", day.strftime("%Y%m%d")));
        Self { first_seq, path, day, packed: false }
    }

    fn parse(path: PathBuf) -> Option<Self> {
        let name = path.file_name()?.to_str()?;
        let (plain, packed) = name.strip_suffix(PACKED).map_or((name, false), |plain| (plain, true));
        let (first_seq, day) = plain.strip_prefix("access-")?.strip_suffix(".jsonl")?.split_once('-')?;
        Some(Self { first_seq: first_seq.parse().ok()?, day: Date::strptime("%Y%m%d", day).ok()?, path, packed })
    }

    /// The same file in its other form.
    pub(in crate::audit) fn other_form(&self) -> Self {
        let mut path = self.path.clone();
        if self.packed {
            path.set_extension("");
        } else {
            path.as_mut_os_string().push(PACKED);
        }
        Self { path, packed: !self.packed, ..self.clone() }
    }

    /// Where its index is.
    pub(in crate::audit) fn index(&self) -> PathBuf {
        let plain = if self.packed { self.path.with_extension("") } else { self.path.clone() };
        plain.with_extension("idx")
    }

    /// Its lines, whether it is compressed or not, or was compressed since it was listed.
    pub(in crate::audit) fn open(&self) -> io::Result<Box<dyn BufRead>> {
        match self.open_as_it_is() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.other_form().open_as_it_is(),
            opened => opened,
        }
    }

    /// Whether it is there in neither form.
    pub(in crate::audit) fn is_gone(&self) -> bool {
        !self.path.exists() && !self.other_form().path.exists()
    }

    fn open_as_it_is(&self) -> io::Result<Box<dyn BufRead>> {
        let file = File::open(&self.path)?;
        if self.packed {
            return Ok(Box::new(BufReader::with_capacity(1 << 18, zstd::stream::read::Decoder::new(file)?)));
        }
        Ok(Box::new(BufReader::with_capacity(1 << 20, file)))
    }

    /// The name without the folder.
    pub(in crate::audit) fn name(&self) -> String {
        self.path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    }
}

/// The files of the log, oldest first, and the names of those that begin and end as one but are none. Of a file that is
/// there in both forms, the plain one: it was not removed yet.
pub(in crate::audit) fn list(directory: &Path) -> io::Result<(Vec<LogFile>, Vec<String>)> {
    let (mut files, mut strange) = (Vec::<LogFile>::new(), Vec::new());
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if name.starts_with("access-") && name.strip_suffix(PACKED).unwrap_or(&name).ends_with(".jsonl") {
            match LogFile::parse(path) {
                Some(file) => files.push(file),
                None => strange.push(name),
            }
        }
    }
    files.sort_by(|a, b| (a.first_seq, &a.path).cmp(&(b.first_seq, &b.path)));
    files.dedup_by(|later, earlier| later.packed && later.other_form().path == earlier.path);
    strange.sort();
    Ok((files, strange))
}

/// Makes the folder, for its owner only.
pub(in crate::audit) fn make_directory(directory: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)
}

const LOCK: &str = ".lock";

/// Takes the folder's lock, which ends with the process; `None` where another holds it.
pub(in crate::audit) fn lock(directory: &Path) -> io::Result<Option<File>> {
    let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(directory.join(LOCK))?;
    // Who looks whether the log is in use holds the lock for a moment.
    for _ in 0..5 {
        match file.try_lock() {
            Ok(()) => return Ok(Some(file)),
            Err(fs::TryLockError::WouldBlock) => thread::sleep(Duration::from_millis(10)),
            Err(fs::TryLockError::Error(error)) => return Err(error),
        }
    }
    Ok(None)
}

/// Whether a process writes this log now.
pub(in crate::audit) fn in_use(directory: &Path) -> bool {
    File::open(directory.join(LOCK))
        .is_ok_and(|file| matches!(file.try_lock_shared(), Err(fs::TryLockError::WouldBlock)))
}

/// Opens a file for appending; a new one is made durable in its folder.
pub(in crate::audit) fn open_append(file: &LogFile, new: bool) -> io::Result<File> {
    let opened = OpenOptions::new().read(true).append(true).create_new(new).mode(0o600).open(&file.path)?;
    if new {
        sync_directory(&file.path)?;
    }
    Ok(opened)
}

/// Makes what was created, renamed or removed beside this file durable.
pub(in crate::audit) fn sync_directory(inside: &Path) -> io::Result<()> {
    inside.parent().map_or(Ok(()), |parent| File::open(parent)?.sync_all())
}

/// Whether the path still leads to this open file.
pub(in crate::audit) fn still_there(file: &File, path: &Path) -> io::Result<()> {
    let (open, named) = (file.metadata()?, fs::metadata(path)?);
    if (open.dev(), open.ino()) == (named.dev(), named.ino()) {
        Ok(())
    } else {
        Err(io::Error::new(io::ErrorKind::NotFound, "another file has taken the place of the log"))
    }
}

/// The bytes after a file's last whole record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::audit) struct TornEnd {
    pub(in crate::audit) file: String,
    pub(in crate::audit) kept: String,
    pub(in crate::audit) bytes: u64,
    pub(in crate::audit) sha256: Hash,
}

/// What the end of a file holds.
#[derive(Debug, PartialEq, Eq)]
struct End {
    /// The last whole record; `None` where there is none.
    last: Option<Sealed>,
    /// Bytes up to and including it.
    whole: u64,
}

/// Finds the last line that is a whole record, reading backwards in steps that double.
fn find_end(file: &mut File) -> io::Result<End> {
    let length = file.metadata()?.len();
    let mut window: u64 = 64 << 10;
    loop {
        let from = length.saturating_sub(window);
        file.seek(SeekFrom::Start(from))?;
        let mut bytes = Vec::new();
        file.take(length - from).read_to_end(&mut bytes)?;
        // Where the window begins within a line, that line is not looked at.
        let skip = if from == 0 { Some(0) } else { bytes.iter().position(|&byte| byte == b'\n').map(|at| at + 1) };
        if let Some(skip) = skip
            && let Some(end) = last_whole(bytes.get(skip..).unwrap_or_default(), from + skip as u64)
        {
            return Ok(end);
        }
        if from == 0 {
            return Ok(End { last: None, whole: 0 });
        }
        window = window.saturating_mul(2);
    }
}

fn last_whole(bytes: &[u8], offset: u64) -> Option<End> {
    let mut end = bytes.len();
    while let Some(newline) = bytes.get(..end).and_then(|bytes| bytes.iter().rposition(|&byte| byte == b'\n')) {
        let line = bytes.get(..newline).unwrap_or_default();
        let start = line.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
        if let Ok(sealed) = chain::open(line.get(start..).unwrap_or_default()) {
            return Some(End { last: Some(sealed), whole: offset + newline as u64 + 1 });
        }
        end = newline;
    }
    None
}

/// The end of the log in this folder, once what is torn was put aside.
#[derive(Debug)]
pub(in crate::audit) struct Recovered {
    /// What the next record follows.
    pub(in crate::audit) link: Link,
    /// The file that may be continued.
    pub(in crate::audit) last: Option<LogFile>,
    /// What was put aside.
    pub(in crate::audit) torn: Vec<TornEnd>,
}

/// Finds where the log in this folder ends; bytes behind the last whole record are moved to a file beside it.
pub(in crate::audit) fn recover(directory: &Path, now: Timestamp) -> io::Result<Recovered> {
    let (files, _) = list(directory)?;
    let mut torn = Vec::new();
    for file in files.into_iter().rev() {
        if file.packed {
            let link = last_link(&file)?.ok_or_else(|| unreadable(&file))?;
            return Ok(Recovered { link, last: None, torn });
        }
        let mut opened = OpenOptions::new().read(true).write(true).open(&file.path)?;
        let end = find_end(&mut opened)?;
        if opened.metadata()?.len() > end.whole {
            torn.push(put_aside(directory, &file, &mut opened, end.whole, now)?);
        }
        if let Some(Sealed { seq, hash, .. }) = end.last {
            return Ok(Recovered { link: Link { seq, hash }, last: Some(file), torn });
        }
        // Nothing whole in it: begun, and stopped before its first record. Gone, so that its name is free.
        fs::remove_file(&file.path)?;
    }
    Ok(Recovered { link: Link::START, last: None, torn })
}

fn unreadable(file: &LogFile) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("`{}` does not end in a record", file.name()))
}

fn last_link(file: &LogFile) -> io::Result<Option<Link>> {
    let mut last = None;
    each_line(file, |line| last = Some(line.to_owned()))?;
    let sealed = last.and_then(|line| chain::open(&line).ok());
    Ok(sealed.map(|Sealed { seq, hash, .. }| Link { seq, hash }))
}

/// Gives each whole line of a file, without its `\n`.
pub(in crate::audit) fn each_line(file: &LogFile, mut each: impl FnMut(&[u8])) -> io::Result<()> {
    let mut reader = file.open()?;
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line)? > 0 {
        if let Some(whole) = line.strip_suffix(b"\n") {
            each(whole);
        }
        line.clear();
    }
    Ok(())
}

/// What this log is called in the newest record that says so.
pub(in crate::audit) fn log_name(directory: &Path) -> io::Result<Option<String>> {
    for file in list(directory)?.0.into_iter().rev() {
        let mut name = None;
        each_line(&file, |line| {
            // No text in a record holds an unescaped quote, so this is a field.
            if line.windows(FIELD.len()).take(200).any(|window| window == FIELD)
                && let Some(found) = Entry::parse(line).and_then(|entry| entry.text("log").map(str::to_owned))
            {
                name = Some(found);
            }
        })?;
        if name.is_some() {
            return Ok(name);
        }
    }
    Ok(None)
}

const FIELD: &[u8] = b",\"log\":\"";

/// When a file was begun: the time of its first record that has one.
pub(in crate::audit) fn begun(file: &LogFile) -> io::Result<Option<Timestamp>> {
    let (mut reader, mut line) = (file.open()?, Vec::new());
    while reader.read_until(b'\n', &mut line)? > 0 {
        if let Some(time) = line.strip_suffix(b"\n").and_then(Entry::parse).and_then(|entry| entry.time()) {
            return Ok(Some(time));
        }
        line.clear();
    }
    Ok(None)
}

fn put_aside(directory: &Path, file: &LogFile, opened: &mut File, whole: u64, now: Timestamp) -> io::Result<TornEnd> {
    opened.seek(SeekFrom::Start(whole))?;
    let mut bytes = Vec::new();
    opened.read_to_end(&mut bytes)?;
    let kept = format!("torn-{}-{}.torn", now.strftime("%Y%m%dT%H%M%S%6f"), whole);
    let mut aside = OpenOptions::new().write(true).create_new(true).mode(0o600).open(directory.join(&kept))?;
    aside.write_all(&bytes)?;
    aside.sync_all()?;
    opened.set_len(whole)?;
    opened.sync_all()?;
    sync_directory(&file.path)?;
    Ok(TornEnd { file: file.name(), kept, bytes: bytes.len() as u64, sha256: Hash::of(&bytes) })
}
