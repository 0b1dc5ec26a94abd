//! Compresses a closed file and writes its index.
//!
//! The compressed file is a row of zstd frames (RFC 8878) of about a mebibyte of whole lines each, so that one block can
//! be read alone and `zstd -d` gives the plain file back, to the byte.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use ring::digest::{Context, SHA256};

use super::files::{self, LogFile};
use super::index::Builder;
use crate::audit::record::chain::Hash;

/// Bytes of lines after which a block is full. Of a file no more than 65,536 blocks can be told apart.
const BLOCK: usize = if cfg!(test) { 4 << 10 } else { 1 << 20 };
/// zstd's own default: 7 % of JSON lines at some hundred megabytes a second.
const LEVEL: i32 = 3;

/// How much of one core the work on closed files may take, so that it slows down no statement.
#[derive(Debug, Clone, Copy)]
pub(in crate::audit) struct Pace<'a> {
    /// The work is to end.
    pub(in crate::audit) stop: &'a AtomicBool,
    /// Parts of a hundred.
    pub(in crate::audit) percent: u32,
}

impl Pace<'_> {
    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    /// Waits as long as this work asks for.
    fn rest(&self, worked: Duration) {
        let percent = self.percent.clamp(1, 100);
        let mut left = (worked * (100 - percent) / percent).min(LONGEST_REST);
        while !left.is_zero() && !self.is_stopped() {
            let now = left.min(Duration::from_millis(20));
            thread::sleep(now);
            left -= now;
        }
    }
}

/// After a block, whatever it took: on a machine that is very slow files must be closed all the same.
const LONGEST_REST: Duration = Duration::from_secs(1);

/// Compresses a plain file, writes its index, and removes the plain file once the compressed one has proved to hold the
/// same. `Ok(false)`: it was told to stop, and nothing has changed.
pub(in crate::audit) fn pack(file: &LogFile, pace: &Pace<'_>) -> io::Result<bool> {
    let packed = file.other_form();
    let unfinished = packed.path.with_extension("zst.tmp");
    let mut out = create(&unfinished)?;
    let mut compressor = zstd::bulk::Compressor::new(LEVEL)?;
    compressor.include_checksum(true)?;
    let (mut plain_hash, mut packed_hash) = (Context::new(&SHA256), Context::new(&SHA256));
    let (mut index, mut offset) = (Builder::default(), 0);
    let mut reader = file.open()?;
    loop {
        if pace.is_stopped() {
            fs::remove_file(&unfinished)?;
            return Ok(false);
        }
        let begun = Instant::now();
        let lines = read_block(&mut *reader)?;
        if lines.is_empty() {
            break;
        }
        plain_hash.update(&lines);
        note(&mut index, &lines);
        let frame = compressor.compress(&lines)?;
        packed_hash.update(&frame);
        out.write_all(&frame)?;
        index.block(offset, frame.len());
        offset += frame.len() as u64;
        pace.rest(begun.elapsed());
    }
    out.sync_all()?;
    if hash_of(&mut zstd::stream::read::Decoder::new(File::open(&unfinished)?)?)? != Hash::finish(plain_hash.finish()) {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "the compressed file does not hold what the plain one does",
        ));
    }
    write_index(file, &index.finish(Hash::finish(packed_hash.finish()), offset))?;
    fs::rename(&unfinished, &packed.path)?;
    files::sync_directory(&packed.path)?;
    fs::remove_file(&file.path)?;
    files::sync_directory(&packed.path)?;
    Ok(true)
}

/// The index that this file should have.
pub(in crate::audit) fn index_again(file: &LogFile) -> io::Result<Vec<u8>> {
    let raw = fs::read(&file.path)?;
    let (mut index, mut offset) = (Builder::default(), 0);
    let mut rest = raw.as_slice();
    while !rest.is_empty() {
        let (lines, length) = if file.packed {
            let length = zstd::zstd_safe::find_frame_compressed_size(rest)
                .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is not a row of zstd frames"))?;
            let frame = rest.get(..length).unwrap_or_default();
            (zstd::stream::decode_all(frame)?, length)
        } else {
            let lines = read_block(&mut &*rest)?;
            let length = lines.len();
            (lines, length)
        };
        note(&mut index, &lines);
        index.block(offset, length);
        offset += length as u64;
        rest = rest.get(length..).unwrap_or_default();
    }
    Ok(index.finish(Hash::of(&raw), offset))
}

/// SHA-256 of all that is left to read.
pub(in crate::audit) fn hash_of(reader: &mut dyn Read) -> io::Result<Hash> {
    let mut hash = Context::new(&SHA256);
    let mut buffer = vec![0; 1 << 17];
    loop {
        match reader.read(&mut buffer)? {
            0 => return Ok(Hash::finish(hash.finish())),
            count => hash.update(buffer.get(..count).unwrap_or_default()),
        }
    }
}

/// Whole lines, up to a block's size and to the end of the line there.
pub(in crate::audit) fn read_block(reader: &mut dyn BufRead) -> io::Result<Vec<u8>> {
    let mut lines = Vec::with_capacity(BLOCK + 8192);
    while lines.len() < BLOCK && reader.read_until(b'\n', &mut lines)? > 0 {}
    Ok(lines)
}

fn note(index: &mut Builder, lines: &[u8]) {
    lines.split(|byte| *byte == b'\n').for_each(|line| index.line(line));
}

pub(in crate::audit) fn write_index(file: &LogFile, bytes: &[u8]) -> io::Result<()> {
    let path = file.index();
    let unfinished = path.with_extension("idx.tmp");
    let mut out = create(&unfinished)?;
    out.write_all(bytes)?;
    out.sync_all()?;
    fs::rename(&unfinished, &path)
}

fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)
}
