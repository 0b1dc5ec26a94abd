//! The centre's keys, each for one use, derived from one root.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use subtle::ConstantTimeEq;

use crate::audit::chain::hex;
use crate::audit::checkpoint::{PublicKey, Signer};
use crate::config::Key;

/// Keys for forms, links, references and receipts.
pub(crate) struct Keys {
    forms: hmac::Key,
    links: hmac::Key,
    references: hmac::Key,
    contacts: hmac::Key,
    /// Signs receipts.
    pub(super) receipts: Signer,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keys(..)")
    }
}

impl Keys {
    /// # Errors
    /// The root makes no signing key: the system's cryptography failed.
    pub(crate) fn derive(root: &Key) -> Result<Self, String> {
        let root = hmac::Key::new(hmac::HMAC_SHA256, root.expose());
        let of = |label: &str| hmac::sign(&root, format!("pgpurpose centre 1 {label}").as_bytes());
        let key = |label: &str| hmac::Key::new(hmac::HMAC_SHA256, of(label).as_ref());
        let mut seed = [0_u8; 32];
        seed.copy_from_slice(of("receipts").as_ref());
        let receipts = Signer::new(&seed).ok_or_else(|| "the key of `[centre]` cannot sign".to_owned())?;
        let [forms, links, references, contacts] = ["forms", "links", "references", "contacts"].map(key);
        Ok(Self { forms, links, references, contacts, receipts })
    }

    /// What receipts are checked with.
    pub(crate) fn public(&self) -> PublicKey {
        self.receipts.public()
    }

    /// What a form must bring along, of the browser that holds this cookie.
    pub(super) fn form(&self, cookie: &str) -> String {
        digits(&hmac::sign(&self.forms, cookie.as_bytes()), 32)
    }

    /// Whether it brought it.
    pub(super) fn is_form(&self, cookie: &str, token: &str) -> bool {
        self.form(cookie).as_bytes().ct_eq(token.as_bytes()).into()
    }

    /// Names a contact where tries are counted, so that no address stands there.
    pub(super) fn contact(&self, normal: &str) -> [u8; 32] {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(hmac::sign(&self.contacts, normal.as_bytes()).as_ref());
        bytes
    }

    /// The path of one click that ends a purpose for a person (RFC 8058): `/u/PURPOSE/KEY/MAC`.
    pub(crate) fn unsubscribe(&self, purpose: &str, subject: &str) -> String {
        let mac = self.link(purpose, subject);
        format!("/u/{purpose}/{}/{mac}", URL_SAFE_NO_PAD.encode(subject))
    }

    fn link(&self, purpose: &str, subject: &str) -> String {
        let tag = hmac::sign(&self.links, format!("{purpose}\n{subject}").as_bytes());
        URL_SAFE_NO_PAD.encode(tag.as_ref())
    }

    /// Whose link it is, and to what; `None` where it is not ours.
    pub(super) fn unsubscribes(&self, path: &str) -> Option<(String, String)> {
        let mut parts = path.strip_prefix("/u/")?.split('/');
        let (purpose, subject, mac) = (parts.next()?, parts.next()?, parts.next()?);
        let subject = String::from_utf8(URL_SAFE_NO_PAD.decode(subject).ok()?).ok()?;
        let ours = self.link(purpose, &subject).as_bytes().ct_eq(mac.as_bytes());
        (bool::from(ours) && parts.next().is_none()).then(|| (purpose.to_owned(), subject))
    }

    /// What a person knows a request by: its number, and signs that nobody can guess: `17-3f09a2c41b7e`.
    pub(super) fn reference(&self, id: i64) -> String {
        format!("{id}-{}", digits(&hmac::sign(&self.references, id.to_string().as_bytes()), 12))
    }

    /// The number of a request whose reference it is.
    pub(super) fn referred(&self, reference: &str) -> Option<i64> {
        let reference = reference.trim().to_ascii_lowercase();
        let id: i64 = reference.split('-').next()?.parse().ok()?;
        bool::from(self.reference(id).as_bytes().ct_eq(reference.as_bytes())).then_some(id)
    }
}

/// So many hexadecimal digits of a tag.
fn digits(tag: &hmac::Tag, count: usize) -> String {
    hex(tag.as_ref()).chars().take(count).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn keys(byte: u8) -> Keys {
        Keys::derive(&Key::new([byte; 32])).unwrap()
    }

    #[test]
    fn a_link_ends_one_purpose_of_one_person_and_nothing_else() {
        let keys = keys(1);
        let path = keys.unsubscribe("marketing.email", "17");
        assert_eq!(keys.unsubscribes(&path), Some(("marketing.email".to_owned(), "17".to_owned())));
        let other = keys.unsubscribe("marketing.email", "18");
        let mac = other.rsplit('/').next().unwrap();
        let forged = format!("{}/{mac}", path.rsplit_once('/').unwrap().0);
        for path in
            [forged, path.replace("email", "sms"), format!("{path}/x"), path.replace("/u/", "/v/"), "/u/".into()]
        {
            assert_eq!(keys.unsubscribes(&path), None, "{path}");
        }
        assert_eq!(super::tests::keys(2).unsubscribes(&path), None);
    }

    #[test]
    fn a_reference_is_not_made_from_a_number_alone() {
        let keys = keys(1);
        let reference = keys.reference(17);
        assert_eq!(keys.referred(&format!(" {} ", reference.to_uppercase())), Some(17));
        for wrong in
            ["17", "17-", "17-000000000000", "", "x-1", &reference.replacen("17", "18", 1), "9".repeat(40).as_str()]
        {
            assert_eq!(keys.referred(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_form_belongs_to_one_browser() {
        let keys = keys(1);
        assert!(keys.is_form("a", &keys.form("a")) && !keys.is_form("b", &keys.form("a")) && !keys.is_form("a", ""));
    }
}
