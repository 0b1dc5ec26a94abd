//! SCRAM-SHA-256 (RFC 5802, RFC 7677), both sides, with the keys alone: no password is known here.
//!
//! The client proves its password to the proxy, which checks the proof with the verifier and, from the proof, learns the
//! client's key; with that it proves the same to the database. PostgreSQL's own peculiarities hold: the user's name in the
//! exchange is not looked at (the start-up packet names the user), and `authzid` is refused.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::config::{DIGEST, Shapes, Verifier};

/// Without channel binding.
pub(super) const PLAIN: &str = "SCRAM-SHA-256";
/// With it.
pub(super) const PLUS: &str = "SCRAM-SHA-256-PLUS";
const BINDING: &str = "p=tls-server-end-point,,";
/// The longest nonce that is taken.
const LONGEST_NONCE: usize = 256;

type Digest = Zeroizing<[u8; DIGEST]>;

/// A client's message that is not one, or that asks for what is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

/// Why a final message does not log in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wrong {
    /// It is not one, or is bound to another connection.
    Malformed,
    /// Another password.
    Proof,
}

/// What logs in at a server that has the same verifier. Not printed; overwritten when dropped.
pub(super) struct Keys {
    client_key: Digest,
    server_key: Digest,
    /// The salt that the keys were derived with.
    salt: Vec<u8>,
    rounds: u32,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keys(..)")
    }
}

fn hmac(key: &[u8], message: &[u8]) -> Digest {
    let tag = ring::hmac::sign(&ring::hmac::Key::new(ring::hmac::HMAC_SHA256, key), message);
    copied(tag.as_ref())
}

fn hash(bytes: &[u8]) -> Digest {
    copied(ring::digest::digest(&ring::digest::SHA256, bytes).as_ref())
}

fn copied(bytes: &[u8]) -> Digest {
    let mut digest = Zeroizing::new([0; DIGEST]);
    for (to, from) in digest.iter_mut().zip(bytes) {
        *to = *from;
    }
    digest
}

fn xor(a: &[u8; DIGEST], b: &[u8; DIGEST]) -> Digest {
    let mut out = Zeroizing::new(*a);
    for (to, from) in out.iter_mut().zip(b) {
        *to ^= from;
    }
    out
}

/// 144 random bits, as PostgreSQL takes them.
pub(super) fn nonce() -> String {
    STANDARD.encode(rand::random::<[u8; 18]>())
}

/// A verifier for a login that has none: always the same for the same name, so that nobody sees by a changing salt that it
/// is not there, and with the rounds and the length of salt that real ones have, as often as they have them. Nothing proves
/// to it.
pub(super) fn mock(secret: &[u8; DIGEST], login: &str, shapes: &Shapes) -> Verifier {
    let part = |name: &str| hmac(secret, format!("{name} {login}").as_bytes());
    let draw = part("shape").first_chunk().map_or(0, |bytes| u32::from_be_bytes(*bytes));
    let shape = shapes.at(draw);
    // Other rounds go with another salt, as where a password was changed.
    let named = format!("salt {} ", shape.rounds);
    let salt = (0..shape.salt.div_ceil(DIGEST)).flat_map(|block| *part(&format!("{named}{block}"))).take(shape.salt);
    Verifier::new(salt.collect(), shape.rounds, *part("stored"), *part("server"))
}

/// The server's side, after its first message.
pub(super) struct Challenge {
    verifier: Verifier,
    /// What stands under `c=`: the client's own header, and what the connection is bound to.
    bound: String,
    bare: String,
    nonce: String,
    /// The message to send.
    pub(super) first: String,
}

impl Challenge {
    /// Takes the client's first message. `plus`: the mechanism that the client has chosen. `end_point`: what the connection
    /// can be bound to; where it is there, PLUS was offered.
    pub(super) fn new(
        message: &[u8],
        plus: bool,
        end_point: Option<&[u8]>,
        verifier: Verifier,
        own_nonce: &str,
    ) -> Result<Self, Malformed> {
        let message = std::str::from_utf8(message).map_err(|_| Malformed)?;
        let mut parts = message.splitn(3, ',');
        let (Some(flag), Some(""), Some(bare)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(Malformed);
        };
        let bound = match (flag, plus, end_point) {
            ("p=tls-server-end-point", true, Some(end_point)) => [BINDING.as_bytes(), end_point].concat(),
            ("n", false, _) => b"n,,".to_vec(),
            // The client would have bound the connection, and was not offered it: somebody between took the offer away.
            ("y", false, Some(_)) => return Err(Malformed),
            ("y", false, None) => b"y,,".to_vec(),
            _ => return Err(Malformed),
        };
        let rest = bare.strip_prefix("n=").and_then(|rest| rest.split_once(",r=")).ok_or(Malformed)?.1;
        // Extensions may follow; mandatory ones stand before the name.
        let theirs = rest.split(',').next().unwrap_or_default();
        let printable = theirs.bytes().all(|byte| byte.is_ascii_graphic());
        if theirs.is_empty() || theirs.len() > LONGEST_NONCE || !printable {
            return Err(Malformed);
        }
        let nonce = format!("{theirs}{own_nonce}");
        let first = format!("r={nonce},s={},i={}", STANDARD.encode(&verifier.salt), verifier.rounds);
        Ok(Self { verifier, bound: STANDARD.encode(bound), bare: bare.to_owned(), nonce, first })
    }

    /// Checks the client's final message: the server's final message, and the keys that the proof has shown.
    pub(super) fn answer(&self, message: &[u8]) -> Result<(String, Keys), Wrong> {
        let message = std::str::from_utf8(message).map_err(|_| Wrong::Malformed)?;
        let (without_proof, proof) = message.rsplit_once(",p=").ok_or(Wrong::Malformed)?;
        let mut fields = without_proof.split(',');
        let (bound, nonce) = (fields.next(), fields.next());
        if bound != Some(&format!("c={}", self.bound)) || nonce != Some(&format!("r={}", self.nonce)) {
            return Err(Wrong::Malformed);
        }
        let proof = Zeroizing::new(STANDARD.decode(proof).map_err(|_| Wrong::Malformed)?);
        let proof: &[u8; DIGEST] = proof.as_slice().try_into().map_err(|_| Wrong::Malformed)?;
        let said = format!("{},{},{without_proof}", self.bare, self.first);
        let signature = hmac(self.verifier.stored_key(), said.as_bytes());
        let client_key = xor(proof, &signature);
        let shown = hash(&*client_key);
        if !bool::from(shown.ct_eq(self.verifier.stored_key())) {
            return Err(Wrong::Proof);
        }
        let answer = hmac(self.verifier.server_key(), said.as_bytes());
        let keys = Keys {
            client_key,
            server_key: Zeroizing::new(*self.verifier.server_key()),
            salt: self.verifier.salt.clone(),
            rounds: self.verifier.rounds,
        };
        Ok((format!("v={}", STANDARD.encode(*answer)), keys))
    }
}

/// Whether a verifier is one of this password. Where there is none it takes as long, and is not.
pub(super) fn is_password(verifier: Option<&Verifier>, password: &str) -> bool {
    let usual = Shapes::default().at(0);
    let (salt, rounds) =
        verifier.map_or((vec![0; usual.salt], usual.rounds), |verifier| (verifier.salt.clone(), verifier.rounds));
    let Some(keys) = Keys::of_password(password, &salt, rounds) else { return false };
    let shown = hash(&*keys.client_key);
    verifier.is_some_and(|verifier| shown.ct_eq(verifier.stored_key()).into())
}

/// What the database said in its first message.
pub(super) struct Salted<'a> {
    nonce: &'a str,
    pub(super) salt: Vec<u8>,
    pub(super) rounds: u32,
}

/// Reads the database's first message; `own` is the nonce that was sent.
pub(super) fn salted<'a>(message: &'a str, own: &str) -> Option<Salted<'a>> {
    let mut fields = message.split(',');
    let nonce = fields.next()?.strip_prefix("r=")?;
    let salt = STANDARD.decode(fields.next()?.strip_prefix("s=")?).ok()?;
    let rounds = fields.next()?.strip_prefix("i=")?.parse().ok()?;
    let fresh = nonce.strip_prefix(own).is_some_and(|theirs| !theirs.is_empty());
    fresh.then_some(Salted { nonce, salt, rounds })
}

impl Keys {
    /// The keys of a password (`Hi`, RFC 5802). `None` where there are more rounds than are reasonable.
    pub(super) fn of_password(password: &str, salt: &[u8], rounds: u32) -> Option<Self> {
        /// A database that asks for more would keep the proxy busy.
        const MOST: u32 = 1_000_000;
        let count = std::num::NonZeroU32::new(rounds).filter(|count| count.get() <= MOST)?;
        // As PostgreSQL: a password that cannot be prepared is taken as it is.
        let prepared = Zeroizing::new(stringprep::saslprep(password).map_or_else(|_| password.to_owned(), Into::into));
        let mut salted = Zeroizing::new([0; DIGEST]);
        ring::pbkdf2::derive(ring::pbkdf2::PBKDF2_HMAC_SHA256, count, salt, prepared.as_bytes(), &mut *salted);
        let (client_key, server_key) = (hmac(&*salted, b"Client Key"), hmac(&*salted, b"Server Key"));
        Some(Self { client_key, server_key, salt: salt.to_vec(), rounds })
    }

    /// The verifier that a server keeps of these keys, in PostgreSQL's form.
    pub(super) fn verifier(&self) -> String {
        let stored = hash(&*self.client_key);
        format!(
            "SCRAM-SHA-256${}:{}${}:{}",
            self.rounds,
            STANDARD.encode(&self.salt),
            STANDARD.encode(*stored),
            STANDARD.encode(*self.server_key)
        )
    }

    /// Whether the database still keeps what these keys were derived with.
    pub(super) fn fit(&self, salted: &Salted<'_>) -> bool {
        self.salt == salted.salt && self.rounds == salted.rounds
    }

    /// The client's final message, and the final message that only a server with the verifier can answer.
    pub(super) fn prove(
        &self,
        header: &str,
        bound: &[u8],
        bare: &str,
        first: &str,
        salted: &Salted<'_>,
    ) -> (String, String) {
        let bound = STANDARD.encode([header.as_bytes(), bound].concat());
        let without_proof = format!("c={bound},r={}", salted.nonce);
        let said = format!("{bare},{first},{without_proof}");
        let signature = hmac(&*hash(&*self.client_key), said.as_bytes());
        let proof = xor(&self.client_key, &signature);
        let expected = hmac(&*self.server_key, said.as_bytes());
        (format!("{without_proof},p={}", STANDARD.encode(*proof)), format!("v={}", STANDARD.encode(*expected)))
    }
}

/// Whether the database has shown that it has the verifier.
pub(super) fn is_expected(answer: &[u8], expected: &str) -> bool {
    answer.ct_eq(expected.as_bytes()).into()
}

/// The header of a client's first message: with what it is bound to where the connection can be bound and the database
/// offers it.
pub(super) fn header(plus: bool, could: bool) -> &'static str {
    match (plus, could) {
        (true, _) => BINDING,
        // "I could, and you do not offer it": a database that did offer it sees that somebody took the offer away.
        (false, true) => "y,,",
        (false, false) => "n,,",
    }
}

#[cfg(test)]
mod tests;
