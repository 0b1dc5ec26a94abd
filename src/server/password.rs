//! The verifier of a password.

use super::scram::{self, Keys};
use crate::config::Verifier;

/// PostgreSQL's own number of rounds.
const ROUNDS: u32 = 4096;

/// The SCRAM-SHA-256 verifier of a password, with a salt of its own, as PostgreSQL would keep it.
pub fn hash_password(password: &str) -> Option<String> {
    Some(Keys::of_password(password, &rand::random::<[u8; 16]>(), ROUNDS)?.verifier())
}

/// Whether a verifier is one of this password. Where there is none it takes as long, and is not. Takes some milliseconds.
pub fn is_password(verifier: Option<&Verifier>, password: &str) -> bool {
    scram::is_password(verifier, password)
}
