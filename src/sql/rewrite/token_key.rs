//! Keys of pseudonyms: one for each purpose, from one root, so that two purposes cannot be linked.
//!
//! A session's upstream connection carries them as settings in its start-up packet. They stand in no SQL text, and
//! PostgreSQL logs no start-up settings.

use ring::{digest, hmac};

/// Bytes of SHA-256's block.
const BLOCK: usize = 64;

/// The root of all keys: 32 bytes. Shows nothing of itself.
#[derive(Clone)]
pub struct TokenKey([u8; 32]);

impl std::fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TokenKey")
    }
}

impl TokenKey {
    /// From 64 hexadecimal digits.
    ///
    /// # Errors
    /// Says what is wrong with the form, nothing of the text.
    pub fn from_hex(text: &str) -> Result<Self, &'static str> {
        const FORM: &str = "the token key is not 64 hexadecimal digits, as `openssl rand -hex 32` makes them";
        let text = text.trim();
        let digits: Vec<u8> =
            text.chars().filter_map(|c| c.to_digit(16)).filter_map(|d| u8::try_from(d).ok()).collect();
        if digits.len() != text.len() {
            return Err(FORM);
        }
        let bytes: Vec<u8> =
            digits.chunks_exact(2).map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit)).collect();
        match <[u8; 32]>::try_from(bytes) {
            Ok(bytes) if digits.len() == 64 => Ok(Self(bytes)),
            _ => Err(FORM),
        }
    }

    /// The settings that a session needs for the purpose's pseudonyms: names and values. Values are secret.
    pub fn settings(&self, purpose: &str) -> [(String, String); 2] {
        let root = hmac::Key::new(hmac::HMAC_SHA256, &self.0);
        let key = hmac::sign(&root, purpose.as_bytes());
        let padded = |pad: u8| {
            let mut block = [pad; BLOCK];
            for (byte, key) in block.iter_mut().zip(key.as_ref()) {
                *byte ^= key;
            }
            hex(&block)
        };
        let (inner, outer) = setting_names(purpose);
        [(inner, padded(0x36)), (outer, padded(0x5c))]
    }
}

/// Names of the two settings of a purpose; a purpose's own name may hold what a setting's may not.
pub(in crate::sql) fn setting_names(purpose: &str) -> (String, String) {
    let digest = digest::digest(&digest::SHA256, purpose.as_bytes());
    let id: String = hex(digest.as_ref()).chars().take(16).collect();
    (format!("pgpurpose.k_{id}_i"), format!("pgpurpose.k_{id}_o"))
}

fn hex(bytes: &[u8]) -> String {
    // Every login writes some hundred of these.
    let digit = |value: u8| char::from_digit(u32::from(value), 16).unwrap_or('0');
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn purposes_have_keys_of_their_own_and_a_bad_root_is_refused() {
        let key = TokenKey::from_hex(&"ab".repeat(32)).unwrap();
        let [inner, outer] = key.settings("marketing");
        assert_ne!(inner.1, outer.1);
        assert_eq!(inner.1.len(), 128);
        assert_ne!(key.settings("analytics")[0].1, inner.1);
        assert_ne!(key.settings("analytics")[0].0, inner.0);
        for bad in ["", "ab", &"zz".repeat(32), &"ab".repeat(33)] {
            assert!(TokenKey::from_hex(bad).is_err());
        }
        assert_eq!(format!("{key:?}"), "TokenKey");
    }
}
