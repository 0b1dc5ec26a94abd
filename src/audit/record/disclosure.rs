//! Who was seen: the subjects whose rows go to a client, in the log before the rows do (POPIA s23(1)(b)).

use ring::hmac;
use serde::Serialize;

use super::chain::hex;
use super::error::AuditError;
use super::{Body, EventRecord, SessionFacts};
use crate::policy::{Disclosed, RecordAs};

/// What separates this use of the root key from every other.
const LABEL: &[u8] = b"pgpurpose access log: subjects";
/// The same for the application's end users.
const ACTORS: &[u8] = b"pgpurpose access log: actors";
/// The same for values that were looked up.
const LOOKUPS: &[u8] = b"pgpurpose access log: lookups";
/// Bytes of a pseudonym: so many that two subjects never share one.
const LENGTH: usize = 16;

/// The keys of the pseudonyms by which the log names subjects, and of the digests of values that were looked up. Shows
/// nothing of itself.
#[derive(Clone)]
pub struct SubjectKey {
    subjects: hmac::Key,
    lookups: hmac::Key,
    actors: hmac::Key,
}

impl std::fmt::Debug for SubjectKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SubjectKey")
    }
}

impl SubjectKey {
    /// From a root of 32 bytes, which may serve other uses too.
    pub fn derive(root: &[u8; 32]) -> Self {
        let root = hmac::Key::new(hmac::HMAC_SHA256, root);
        let derived = |label| hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&root, label).as_ref());
        Self { subjects: derived(LABEL), lookups: derived(LOOKUPS), actors: derived(ACTORS) }
    }

    /// The pseudonym of a subject, from its key as PostgreSQL writes it as text: `ps_` and 32 hexadecimal digits.
    pub fn pseudonym(&self, subject: &str) -> String {
        format!("ps_{}", digits(&hmac::sign(&self.subjects, subject.as_bytes())))
    }

    /// The pseudonym of one of an application's end users: `ac_` and 32 hexadecimal digits.
    pub fn actor(&self, actor: &str) -> String {
        format!("ac_{}", digits(&hmac::sign(&self.actors, actor.as_bytes())))
    }

    /// The digest of a value that a column (`public.customers`, `id_number`) was compared with, from the text in which it is
    /// compared: `lk_` and 32 hexadecimal digits. The same value has another digest in another column.
    pub fn lookup(&self, relation: &str, column: &str, value: &str) -> String {
        format!("lk_{}", digits(&hmac::sign(&self.lookups, format!("{relation}\0{column}\0{value}").as_bytes())))
    }

    /// How the log names a subject.
    pub fn written(&self, form: RecordAs, subject: &str) -> String {
        match form {
            RecordAs::Pseudonym => self.pseudonym(subject),
            RecordAs::Plain => subject.to_owned(),
        }
    }
}

fn digits(tag: &hmac::Tag) -> String {
    tag.as_ref().get(..LENGTH).map(hex).unwrap_or_default()
}

/// Subjects of one relation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Seen<'a> {
    /// The relation, and the columns that were read of it.
    #[serde(flatten)]
    pub relation: &'a Disclosed,
    /// Each once, in the form that the relation says.
    pub subjects: Vec<String>,
}

/// Rows that are about to go to a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DisclosureRecord<'a> {
    /// Number of the `access` record.
    pub of: u64,
    /// The session, with the purpose that the statement ran under.
    pub session: &'a SessionFacts,
    /// How many rows go with it.
    pub rows: u64,
    /// Whose rows they are.
    pub relations: Vec<Seen<'a>>,
    /// What was counted, grouped or tested for, by people who are not known one by one.
    pub aggregate: &'a [Disclosed],
}

#[derive(Serialize)]
struct Fields<'a> {
    event: &'static str,
    of: u64,
    #[serde(flatten)]
    session: &'a SessionFacts,
    rows: u64,
    relations: &'a [Seen<'a>],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    aggregate: &'a [Disclosed],
}

impl DisclosureRecord<'_> {
    /// Writes it as JSON.
    ///
    /// # Errors
    /// [`AuditError::Encode`].
    pub fn record(&self) -> Result<EventRecord, AuditError> {
        let fields = Fields {
            event: "disclosure",
            of: self.of,
            session: self.session,
            rows: self.rows,
            relations: &self.relations,
            aggregate: self.aggregate,
        };
        Ok(EventRecord { body: Body::new(&fields, true)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pseudonym_is_the_same_for_one_key_and_another_for_another() {
        let (key, other) = (SubjectKey::derive(&[1; 32]), SubjectKey::derive(&[2; 32]));
        assert_eq!(key.pseudonym("17"), key.pseudonym("17"));
        assert_ne!(key.pseudonym("17"), key.pseudonym("18"));
        assert_ne!(key.pseudonym("17"), other.pseudonym("17"));
        assert_eq!(key.pseudonym("17").len(), 35);
        assert_eq!(key.written(RecordAs::Plain, "17"), "17");
        assert_eq!(format!("{key:?}"), "SubjectKey");
        let digest = key.lookup("public.people", "id_number", "17");
        assert_eq!(digest, key.lookup("public.people", "id_number", "17"));
        assert_eq!(digest.len(), 35);
        assert_ne!(digest.trim_start_matches("lk_"), key.pseudonym("17").trim_start_matches("ps_"));
        for other in [
            key.lookup("public.people", "id_number", "18"),
            key.lookup("public.people", "tax_number", "17"),
            key.lookup("public.staff", "id_number", "17"),
            other.lookup("public.people", "id_number", "17"),
        ] {
            assert_ne!(digest, other);
        }
    }
}
