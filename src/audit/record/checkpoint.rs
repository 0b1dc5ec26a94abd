//! Signed checkpoints: who holds the public key alone can tell that a chain was rewritten.
//!
//! A `checkpoint` record says `covers` and `head`: number and hash of the record before it, and so of the whole chain up
//! to there. Its `signature` is Ed25519 (RFC 8032) over these lines, each ended by `\n`:
//!
//! ```text
//! pgpurpose checkpoint 1
//! <log>
//! <covers>
//! <head>
//! <time>
//! <records>
//! <seconds>
//! ```
//!
//! The newest one stands in the file `checkpoint.json` beside the log too, so that a cut of the newest records shows until
//! that file is exchanged for an older one as well; for certain it shows where checkpoints are kept on another machine.
//!
//! `log` names the log, so that one signed log does not pass for another; `records` and `seconds` say how often a
//! checkpoint is due, so that a suffix without any shows.

use std::fmt;
use std::path::Path;

use ring::rand::{SecureRandom, SystemRandom};
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use zeroize::Zeroizing;

use super::Event;
use super::chain::{Hash, Link, hex};
use super::entry::Entry;
use super::error::AuditError;

/// How often a checkpoint is due; whichever comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rhythm {
    /// Records after which one follows.
    pub records: u64,
    /// Seconds after which one follows, where anything was written since the last.
    pub seconds: u64,
}

impl Default for Rhythm {
    fn default() -> Self {
        Self { records: 1000, seconds: 60 }
    }
}

/// What stands before the text of a certificate where it is signed.
const CERTIFICATE: &str = "pgpurpose certificate 1\n";
/// What stands before the text of a grant.
pub const GRANT: &str = "pgpurpose grant 1\n";

/// What stands before the text of a bundle of policies.
const BUNDLE: &str = "pgpurpose bundle 1\n";

/// The public half of a signing key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublicKey(Hash);

impl PublicKey {
    /// From 64 lower-case hexadecimal digits.
    pub fn from_hex(text: &str) -> Option<Self> {
        Hash::from_hex(text).map(Self)
    }

    /// From the digits themselves, or from a file that holds them.
    ///
    /// # Errors
    /// It is neither.
    pub fn read(text: &str) -> Result<Self, String> {
        if let Some(key) = Self::from_hex(text) {
            return Ok(key);
        }
        let held =
            std::fs::read_to_string(Path::new(text)).map_err(|error| format!("`{text}` cannot be read: {error}"))?;
        Self::from_hex(held.trim()).ok_or_else(|| format!("`{text}` holds no public key: 64 hexadecimal digits"))
    }

    /// Whether these 128 hexadecimal digits are this key's signature of the message.
    pub(in crate::audit) fn signed(&self, message: &[u8], signature: &str) -> bool {
        bytes_of(signature).is_some_and(|signature| {
            UnparsedPublicKey::new(&ED25519, self.0.bytes()).verify(message, &signature).is_ok()
        })
    }

    /// Whether these digits are this key's [`Signer::sign_certificate`] of the text.
    pub fn certifies(&self, text: &str, signature: &str) -> bool {
        self.signed(format!("{CERTIFICATE}{text}").as_bytes(), signature)
    }

    /// Whether this is the signature of a grant's text.
    pub fn signed_grant(&self, text: &str, signature: &str) -> bool {
        self.signed(format!("{GRANT}{text}").as_bytes(), signature)
    }

    /// Whether this is the signature of a bundle's text.
    pub fn signed_bundle(&self, text: &str, signature: &str) -> bool {
        self.signed(format!("{BUNDLE}{text}").as_bytes(), signature)
    }

    /// Names the key in records: the first 16 digits of its SHA-256.
    pub fn id(&self) -> String {
        Hash::of(self.0.bytes()).to_string().chars().take(16).collect()
    }
}

/// As 64 hexadecimal digits.
impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// A signing key. Neither printed nor compared.
pub struct Signer {
    pair: Ed25519KeyPair,
    public: PublicKey,
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer").field("public", &self.public).finish_non_exhaustive()
    }
}

impl Signer {
    /// From the 32 bytes of the private key (RFC 8032, section 5.1.5); `None` where they are none.
    pub fn new(private: &[u8; 32]) -> Option<Self> {
        let pair = Ed25519KeyPair::from_seed_unchecked(private).ok()?;
        let public = PublicKey(Hash::from_slice(pair.public_key().as_ref())?);
        Some(Self { pair, public })
    }

    /// The public half.
    pub fn public(&self) -> PublicKey {
        self.public
    }

    /// The signature of a message, as 128 hexadecimal digits.
    pub(in crate::audit) fn sign(&self, message: &[u8]) -> String {
        hex(self.pair.sign(message).as_ref())
    }

    /// The signature of a certificate's text, as 128 hexadecimal digits: over `pgpurpose certificate 1`, the end of that line, and the text.
    pub fn sign_certificate(&self, text: &str) -> String {
        self.sign(format!("{CERTIFICATE}{text}").as_bytes())
    }

    /// The signature of a grant's text, as 128 hexadecimal digits: over `pgpurpose grant 1`, the end of that line, and the text.
    pub fn sign_grant(&self, text: &str) -> String {
        self.sign(format!("{GRANT}{text}").as_bytes())
    }

    /// The signature of a bundle's text, as 128 hexadecimal digits: over `pgpurpose bundle 1`, the end of that line, and the text.
    pub fn sign_bundle(&self, text: &str) -> String {
        self.sign(format!("{BUNDLE}{text}").as_bytes())
    }

    /// A new private key, as 64 hexadecimal digits; `None` where the system has no randomness.
    pub fn generate() -> Option<Zeroizing<String>> {
        let mut bytes = Zeroizing::new([0_u8; 32]);
        SystemRandom::new().fill(bytes.as_mut()).ok()?;
        Some(Zeroizing::new(hex(bytes.as_ref())))
    }

    /// The record that covers everything up to `link`. `time` must become the record's own time.
    pub(in crate::audit) fn record(
        &self,
        log: &str,
        link: Link,
        time: &str,
        rhythm: Rhythm,
    ) -> Result<super::EventRecord, AuditError> {
        let signature = self.sign(message(log, link, time, rhythm).as_bytes());
        Event::Checkpoint {
            log,
            covers: link.seq,
            head: &link.hash.to_string(),
            records: rhythm.records,
            seconds: rhythm.seconds,
            key: &self.public.id(),
            signature: &signature,
        }
        .record()
    }
}

fn message(log: &str, link: Link, time: &str, rhythm: Rhythm) -> String {
    let Link { seq, hash } = link;
    let Rhythm { records, seconds } = rhythm;
    format!("pgpurpose checkpoint 1\n{log}\n{seq}\n{hash}\n{time}\n{records}\n{seconds}\n")
}

/// 128 hexadecimal digits.
fn bytes_of(signature: &str) -> Option<Vec<u8>> {
    let (first, second) = signature.split_at_checked(64)?;
    let halves = [Hash::from_hex(first)?, Hash::from_hex(second)?];
    Some(halves.iter().flat_map(|half| half.bytes().iter().copied()).collect())
}

/// A `checkpoint` record as it was read, here or elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// The log that it is of.
    pub log: String,
    /// The record that it covers, with all before it.
    pub covers: Link,
    /// Its own number and hash.
    pub record: Link,
    /// When it was made.
    pub time: String,
    /// How often one is due.
    pub rhythm: Rhythm,
    key: String,
    signature: Vec<u8>,
}

/// What is wrong with a checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadCheckpoint {
    /// Fields are missing or no such values.
    #[error("it is not a checkpoint")]
    Unreadable,
    /// Another key, or none that was given.
    #[error("it is signed with a key that was not given")]
    OtherKey,
    /// The signature is not of this.
    #[error("its signature does not match: it, or a record that it covers, was changed")]
    Forged,
    /// It does not name the record before it.
    #[error("it does not cover the record before it")]
    Elsewhere,
    /// Of another log.
    #[error("it is of another log")]
    OtherLog,
}

impl Checkpoint {
    /// Reads the fields; nothing is checked.
    pub fn of(entry: &Entry) -> Option<Self> {
        if entry.event() != "checkpoint" {
            return None;
        }
        let signature = bytes_of(entry.text("signature")?)?;
        Some(Self {
            log: entry.text("log")?.to_owned(),
            covers: Link { seq: entry.number("covers")?, hash: Hash::from_hex(entry.text("head")?)? },
            record: Link { seq: entry.seq()?, hash: Hash::from_hex(entry.text("hash")?)? },
            time: entry.text("time")?.to_owned(),
            rhythm: Rhythm { records: entry.number("records")?, seconds: entry.number("seconds")? },
            key: entry.text("key")?.to_owned(),
            signature,
        })
    }

    /// Checks the signature with that of the keys that it names.
    ///
    /// # Errors
    /// It is not signed with one of them, or the signature is not of this.
    pub fn check(&self, keys: &[PublicKey]) -> Result<(), BadCheckpoint> {
        let key = keys.iter().find(|key| key.id() == self.key).ok_or(BadCheckpoint::OtherKey)?;
        let message = message(&self.log, self.covers, &self.time, self.rhythm);
        UnparsedPublicKey::new(&ED25519, key.0.bytes())
            .verify(message.as_bytes(), &self.signature)
            .map_err(|_| BadCheckpoint::Forged)
    }
}
