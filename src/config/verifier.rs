//! What a server keeps of a password for SCRAM-SHA-256: with it a proof is checked, and no password can be computed.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

/// Bytes of a SHA-256 digest.
pub const DIGEST: usize = 32;
/// Rounds that are still taken: a client that is told more would compute for minutes.
const MOST_ROUNDS: u32 = 10_000_000;
/// Bytes of salt that are still told.
const LONGEST_SALT: usize = 1024;

/// A SCRAM-SHA-256 verifier in PostgreSQL's form, `SCRAM-SHA-256$ROUNDS:SALT$STOREDKEY:SERVERKEY` (RFC 5803). Its keys are
/// not printed, and their memory is overwritten when it is dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Verifier {
    /// The salt.
    pub salt: Vec<u8>,
    /// Rounds of PBKDF2.
    pub rounds: u32,
    stored_key: Zeroizing<[u8; DIGEST]>,
    server_key: Zeroizing<[u8; DIGEST]>,
}

impl Verifier {
    /// From its parts.
    pub fn new(salt: Vec<u8>, rounds: u32, stored_key: [u8; DIGEST], server_key: [u8; DIGEST]) -> Self {
        Self { salt, rounds, stored_key: Zeroizing::new(stored_key), server_key: Zeroizing::new(server_key) }
    }

    /// `StoredKey`, for the one place that checks proofs.
    pub fn stored_key(&self) -> &[u8; DIGEST] {
        &self.stored_key
    }

    /// `ServerKey`, for the one place that signs.
    pub fn server_key(&self) -> &[u8; DIGEST] {
        &self.server_key
    }
}

/// What everybody sees of a verifier: a client that asks to log in is told both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Shape {
    /// Rounds of PBKDF2.
    pub rounds: u32,
    /// Bytes of the salt.
    pub salt: usize,
}

impl Default for Shape {
    /// PostgreSQL's own (`scram_iterations`).
    fn default() -> Self {
        Self { rounds: 4096, salt: 16 }
    }
}

/// Which shapes the verifiers of a server have, and how many have each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shapes(Vec<(Shape, u32)>);

impl Default for Shapes {
    fn default() -> Self {
        Self(vec![(Shape::default(), 1)])
    }
}

impl Shapes {
    /// From counts of each; what cannot be is left out, and where nothing is left it is [`Shape::default`].
    pub fn counted(counts: impl IntoIterator<Item = (Shape, u32)>) -> Self {
        let possible = |(shape, count): &(Shape, u32)| {
            (1..=MOST_ROUNDS).contains(&shape.rounds) && (1..=LONGEST_SALT).contains(&shape.salt) && *count > 0
        };
        let mut counts: Vec<_> = counts.into_iter().filter(possible).collect();
        counts.sort_unstable();
        if counts.is_empty() { Self::default() } else { Self(counts) }
    }

    /// Those of verifiers.
    pub fn of<'a>(verifiers: impl IntoIterator<Item = &'a Verifier>) -> Self {
        let mut counts = std::collections::BTreeMap::<Shape, u32>::new();
        for verifier in verifiers {
            let count = counts.entry(Shape { rounds: verifier.rounds, salt: verifier.salt.len() }).or_default();
            *count = count.saturating_add(1);
        }
        Self::counted(counts)
    }

    /// One of them: over all values of `draw` each comes as often as it is there.
    pub fn at(&self, draw: u32) -> Shape {
        let all: u128 = self.0.iter().map(|(_, count)| u128::from(*count)).sum();
        let mut point = (u128::from(draw) * all) >> u32::BITS;
        for (shape, count) in &self.0 {
            match point.checked_sub(u128::from(*count)) {
                Some(rest) => point = rest,
                None => return *shape,
            }
        }
        Shape::default()
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Verifier(..)")
    }
}

/// The error never repeats the text.
impl FromStr for Verifier {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        read(text).ok_or_else(|| {
            "not a SCRAM-SHA-256 verifier: `pgpurpose hash-password` makes one, and so does PostgreSQL where \
             `password_encryption = 'scram-sha-256'`"
                .to_owned()
        })
    }
}

fn read(text: &str) -> Option<Verifier> {
    let (salted, keys) = text.strip_prefix("SCRAM-SHA-256$")?.split_once('$')?;
    let (rounds, salt) = salted.split_once(':')?;
    let (stored, server) = keys.split_once(':')?;
    let key =
        |text: &str| -> Option<[u8; DIGEST]> { Zeroizing::new(STANDARD.decode(text).ok()?).as_slice().try_into().ok() };
    let rounds = rounds.parse().ok().filter(|rounds| (1..=MOST_ROUNDS).contains(rounds))?;
    let salt = STANDARD.decode(salt).ok().filter(|salt| !salt.is_empty())?;
    Some(Verifier::new(salt, rounds, key(stored)?, key(server)?))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn postgresql_s_own_form_is_read_and_never_printed() {
        let text = postgres_protocol::password::scram_sha_256(b"geheim");
        let verifier: Verifier = text.parse().unwrap();
        assert_eq!((verifier.rounds, verifier.salt.len()), (4096, 16));
        assert_eq!(format!("{verifier:?}"), "Verifier(..)");
    }

    #[test]
    fn what_is_no_verifier_is_refused_without_being_repeated() {
        let good = postgres_protocol::password::scram_sha_256(b"geheim");
        let cut = good.get(..good.len() - 3).unwrap().to_owned();
        for text in ["geheim", "md5abcdef", "SCRAM-SHA-256$0:AAAA$AAAA:AAAA", cut.as_str(), "SCRAM-SHA-256$4096:$x:y"] {
            let error = text.parse::<Verifier>().unwrap_err();
            assert!(!error.contains(text), "{error}");
        }
    }
}
