//! How records are chained, to the byte.
//!
//! A record is one line: a JSON object, then `\n`. Its last two fields are `prev` and `hash`, each 64 lower-case
//! hexadecimal digits. `hash` is the SHA-256 of the line's bytes from its `{` up to, and not including, `,"hash":`.
//! These bytes hold `prev`, the `hash` of the record before, so each hash covers all records before it. The first
//! record of a log has `seq` 1 and a `prev` of 64 zeros; `seq` then grows by one, over files and restarts.
//!
//! By hand: `printf %s "${line%,\"hash\":*}" | sha256sum`.

use std::fmt;

use ring::digest::{Digest, SHA256, digest};
use serde::{Deserialize, Deserializer};

use super::{Body, stamp};

/// Bytes as lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A SHA-256 value.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Hash([u8; 32]);

impl Hash {
    /// What the first record names as the one before it.
    pub const GENESIS: Self = Self([0; 32]);

    /// Of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self::finish(digest(&SHA256, bytes))
    }

    /// What a running digest came to.
    pub(in crate::audit) fn finish(digest: Digest) -> Self {
        let mut hash = [0; 32];
        for (to, from) in hash.iter_mut().zip(digest.as_ref()) {
            *to = *from;
        }
        Self(hash)
    }

    /// From 32 bytes; `None` where there are more or fewer.
    pub(in crate::audit) fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// The 32 bytes.
    pub(in crate::audit) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// From 64 lower-case hexadecimal digits.
    pub fn from_hex(text: &str) -> Option<Self> {
        if text.len() != 64 {
            return None;
        }
        let digit = |byte: u8| match byte {
            b'0'..=b'9' => Some(byte - b'0'),
            b'a'..=b'f' => Some(byte - b'a' + 10),
            _ => None,
        };
        let mut hash = [0; 32];
        for (to, pair) in hash.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            let [high, low] = pair else { return None };
            *to = digit(*high)? << 4 | digit(*low)?;
        }
        Some(Self(hash))
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<'de> Deserialize<'de> for Hash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::from_hex(&text).ok_or_else(|| serde::de::Error::custom("not a SHA-256 in lower-case hexadecimal"))
    }
}

/// The end of a chain: what the next record follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    /// Number of the last record; 0 before the first.
    pub seq: u64,
    /// Its hash.
    pub hash: Hash,
}

impl Link {
    /// Before the first record.
    pub const START: Self = Self { seq: 0, hash: Hash::GENESIS };
}

/// Number and hashes of a line that is whole in itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct Sealed {
    /// Its number.
    pub seq: u64,
    /// The hash of the record before it.
    pub prev: Hash,
    /// Its own.
    pub hash: Hash,
}

/// Why a line is no whole record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadLine {
    /// It does not end in its hash.
    #[error("the line does not end in a hash")]
    NoHash,
    /// The hash is not that of the line.
    #[error("the line was changed: its hash does not match")]
    Changed,
    /// It has no number or no hash of the record before, or is no JSON.
    #[error("the line is not a record")]
    NotARecord,
}

const HASH_FIELD: &str = ",\"hash\":\"";
/// `,"hash":"` + 64 digits + `"}`.
const TAIL: usize = HASH_FIELD.len() + 64 + 2;

/// Appends the next record's line to `out`; gives the chain's new end. `time` is text already.
pub(in crate::audit) fn seal(after: Link, time: &[u8], body: &Body, out: &mut Vec<u8>) -> Link {
    let seq = after.seq + 1;
    let from = out.len();
    out.reserve(body.length() + ROOM);
    out.extend_from_slice(b"{\"seq\":");
    stamp::number(out, seq);
    if body.is_timed() {
        out.extend_from_slice(b",\"time\":\"");
        out.extend_from_slice(time);
        out.push(b'"');
    }
    out.push(b',');
    body.write(out);
    out.extend_from_slice(b",\"prev\":\"");
    stamp::hex(out, &after.hash.0);
    out.push(b'"');
    let hash = Hash::of(out.get(from..).unwrap_or_default());
    out.extend_from_slice(HASH_FIELD.as_bytes());
    stamp::hex(out, &hash.0);
    out.extend_from_slice(b"\"}\n");
    Link { seq, hash }
}

/// What a line holds at most besides its own fields.
const ROOM: usize = 256;

/// Reads a line (without its `\n`) and checks its hash.
///
/// # Errors
/// What is wrong with it. That it follows another line is not looked at.
pub fn open(line: &[u8]) -> Result<Sealed, BadLine> {
    let (covered, tail) =
        line.len().checked_sub(TAIL).and_then(|at| line.split_at_checked(at)).ok_or(BadLine::NoHash)?;
    let hash = std::str::from_utf8(tail)
        .ok()
        .and_then(|tail| tail.strip_prefix(HASH_FIELD)?.strip_suffix("\"}"))
        .and_then(Hash::from_hex)
        .ok_or(BadLine::NoHash)?;
    if Hash::of(covered) != hash {
        return Err(BadLine::Changed);
    }
    let sealed: Sealed = serde_json::from_slice(line).map_err(|_| BadLine::NotARecord)?;
    if sealed.hash == hash { Ok(sealed) } else { Err(BadLine::NotARecord) }
}
