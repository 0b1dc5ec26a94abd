//! Policies in one signed file, so that every proxy of a fleet takes all of them or none.
//!
//! A bundle is one JSON object: `bundle` (1), `made` (UTC), `files` (each `name` and `text`), `key` (names the key that signed) and
//! `signature`, Ed25519 over `pgpurpose bundle 1`, the end of that line, and the same object without `signature`, written without
//! spaces in this order.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::audit::chain::Hash;
use crate::audit::checkpoint::{PublicKey, Signer};

/// A larger file is no bundle.
const LARGEST: u64 = 16 << 20;
const FORM: u32 = 1;

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    bundle: u32,
    made: String,
    files: Vec<PolicyText>,
    key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    signature: Option<String>,
}

/// One policy file of a bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyText {
    /// Its name, for messages.
    pub name: String,
    /// What it holds.
    pub text: String,
}

/// A bundle whose signature holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle {
    /// `sha256:…` of the file.
    pub digest: String,
    /// When it was made.
    pub made: Timestamp,
    /// The policies.
    pub files: Vec<PolicyText>,
}

/// Why a file is not taken for a bundle.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadBundle {
    /// It cannot be read.
    #[error("the bundle cannot be read: {0}")]
    Unreadable(String),
    /// It is too long, or no such JSON object.
    #[error("it is no bundle of policies: `pgpurpose policy bundle` makes one")]
    None,
    /// A later version made it.
    #[error("it is a bundle of form {0}, which this version does not know")]
    Form(u32),
    /// None of the keys signed it.
    #[error(
        "the bundle's signature is not of a key in `verify_key`: it was changed, or somebody else signed it (key {0})"
    )]
    Signature(String),
}

/// A bundle of these files, signed.
///
/// # Errors
/// It cannot be written as JSON.
pub fn sign(files: Vec<PolicyText>, made: Timestamp, signer: &Signer) -> Result<String, String> {
    let unsigned =
        Written { bundle: FORM, made: format!("{made:.6}"), files, key: signer.public().id(), signature: None };
    let text = serde_json::to_string(&unsigned).map_err(|error| error.to_string())?;
    let signed = Written { signature: Some(signer.sign_bundle(&text)), ..unsigned };
    serde_json::to_string(&signed).map_err(|error| error.to_string())
}

impl Bundle {
    /// From a file, if one of these keys signed it.
    ///
    /// # Errors
    /// It did not, or it is no bundle.
    pub fn read(file: &Path, keys: &[PublicKey]) -> Result<Self, BadBundle> {
        let mut bytes = Vec::new();
        File::open(file)
            .and_then(|opened| opened.take(LARGEST + 1).read_to_end(&mut bytes))
            .map_err(|error| BadBundle::Unreadable(error.to_string()))?;
        Self::of(&bytes, keys)
    }

    fn of(bytes: &[u8], keys: &[PublicKey]) -> Result<Self, BadBundle> {
        if bytes.len() as u64 > LARGEST {
            return Err(BadBundle::None);
        }
        let digest = format!("sha256:{}", Hash::of(bytes));
        let mut written: Written = serde_json::from_slice(bytes).map_err(|_| BadBundle::None)?;
        if written.bundle != FORM {
            return Err(BadBundle::Form(written.bundle));
        }
        let signature = written.signature.take().unwrap_or_default();
        let text = serde_json::to_string(&written).map_err(|_| BadBundle::None)?;
        if !keys.iter().any(|key| key.signed_bundle(&text, &signature)) {
            let key: String = written.key.chars().filter(char::is_ascii_hexdigit).take(16).collect();
            return Err(BadBundle::Signature(key));
        }
        let made = written.made.parse().map_err(|_| BadBundle::None)?;
        Ok(Self { digest, made, files: written.files })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    fn signer(byte: u8) -> Signer {
        Signer::new(&[byte; 32]).unwrap()
    }

    #[test]
    fn no_byte_of_a_bundle_can_be_another_and_no_other_key_will_do() {
        let files = vec![
            PolicyText { name: "shop.toml".to_owned(), text: "version = 1\n# é \"quoted\"\n".to_owned() },
            PolicyText { name: "more.toml".to_owned(), text: "version = 1\n".to_owned() },
        ];
        let made = "2026-11-22T10:00:00.000001Z".parse().unwrap();
        let text = sign(files.clone(), made, &signer(1)).unwrap();
        let keys = [signer(2).public(), signer(1).public()];
        let read = Bundle::of(text.as_bytes(), &keys).unwrap();
        assert_eq!((&read.files, read.made), (&files, made));
        assert!(matches!(Bundle::of(text.as_bytes(), &keys[..1]), Err(BadBundle::Signature(_))));
        assert_eq!(Bundle::of(text.as_bytes(), &[]).unwrap_err(), BadBundle::Signature(signer(1).public().id()));
        let mut taken = 0;
        for at in 0..text.len() {
            for byte in [b' ', b'0', b'"', b'x', text.as_bytes()[at] ^ 1] {
                let mut changed = text.clone().into_bytes();
                changed[at] = byte;
                if changed == text.as_bytes() {
                    continue;
                }
                // What JSON writes in more than one way may still be the same bundle; another one it is not.
                if let Ok(other) = Bundle::of(&changed, &keys) {
                    taken += 1;
                    assert_eq!((other.files, other.made), (files.clone(), made), "byte {at}");
                }
            }
            assert!(Bundle::of(text.get(..at).unwrap_or_default().as_bytes(), &keys).is_err(), "cut at {at}");
        }
        assert!(taken < 10, "{taken}");
        for (more, bad) in [("{\"bundle\":1}", BadBundle::None), ("", BadBundle::None)] {
            assert_eq!(Bundle::of(more.as_bytes(), &keys).unwrap_err(), bad);
        }
        let later = text.replacen("\"bundle\":1", "\"bundle\":2", 1);
        assert_eq!(Bundle::of(later.as_bytes(), &keys).unwrap_err(), BadBundle::Form(2));
        let twice = text.replacen("\"files\":", "\"files\":[],\"files\":", 1);
        assert!(Bundle::of(twice.as_bytes(), &keys).is_err());
    }
}
