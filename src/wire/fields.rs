//! The fields of ErrorResponse and NoticeResponse.

use super::speaker;
use std::borrow::Cow;

use bytes::{BufMut, BytesMut};

use super::{Reader, WireError, frame};
use crate::error::{Refusal, SqlState};

/// Fields by their codes ("Error and Notice Message Fields" in PostgreSQL's documentation), in their order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ErrorFields(Vec<(u8, Vec<u8>)>);

impl ErrorFields {
    /// A message of the proxy's own. `severity` is `ERROR`, `FATAL` ...
    pub fn new(severity: &str, sqlstate: &str, message: &str) -> Self {
        let mut fields = Self::default();
        fields.set(b'S', severity.as_bytes());
        fields.set(b'V', severity.as_bytes());
        fields.set(b'C', sqlstate.as_bytes());
        fields.set(b'M', message.as_bytes());
        fields
    }

    /// Another field.
    pub fn add(&mut self, code: u8, value: &[u8]) {
        self.set(code, value);
    }

    /// What a client sees of a refusal.
    pub fn refusal(severity: &str, refusal: &Refusal) -> Self {
        let own = as_postgresql(refusal);
        let message = refusal.in_its_words().unwrap_or(&own);
        let mut fields = Self::new(severity, refusal.sqlstate.as_str(), message);
        let position = refusal.position().map(|position| position.to_string());
        let by_words = || speaker::of(refusal.sqlstate.as_str(), message, position.is_some());
        if let Some((file, routine)) = refusal.speaker().or_else(by_words) {
            fields.set(b'F', file.as_bytes());
            fields.set(b'R', routine.as_bytes());
        }
        let hint = refusal.hint.as_deref().map(hint_as_postgresql);
        for (code, text) in [(b'D', refusal.detail.as_deref()), (b'H', hint.as_deref()), (b'P', position.as_deref())] {
            if let Some(text) = text {
                fields.set(code, text.as_bytes());
            }
        }
        fields
    }

    /// Reads a body.
    ///
    /// # Errors
    /// Anything that does not fill its frame exactly.
    pub fn decode(body: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(body);
        let mut fields = Vec::new();
        loop {
            match reader.u8()? {
                0 => break,
                code => fields.push((code, reader.cstr_bytes()?.to_vec())),
            }
        }
        reader.finish()?;
        Ok(Self(fields))
    }

    /// Reads the fields that are complete in the first part of a body too long to hold.
    pub fn decode_part(part: &[u8]) -> Self {
        let mut reader = Reader::new(part);
        let mut fields = Vec::new();
        while let Ok(code) = reader.u8() {
            match reader.cstr_bytes() {
                Ok(value) => fields.push((code, value.to_vec())),
                Err(_) => break,
            }
        }
        Self(fields)
    }

    /// The value of a field.
    pub fn get(&self, code: u8) -> Option<&[u8]> {
        self.0.iter().find(|(key, _)| *key == code).map(|(_, value)| value.as_slice())
    }

    /// The SQLSTATE, if it has the shape of one.
    pub fn sqlstate(&self) -> Option<&str> {
        let code = std::str::from_utf8(self.get(b'C')?).ok()?;
        (code.len() == 5 && code.bytes().all(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase())).then_some(code)
    }

    /// Whether the connection ends with this.
    pub fn is_fatal(&self) -> bool {
        matches!(self.get(b'V').or_else(|| self.get(b'S')), Some(b"FATAL" | b"PANIC"))
    }

    /// Sets a field.
    pub fn set(&mut self, code: u8, value: &[u8]) {
        let value: Vec<u8> = value.iter().copied().filter(|&byte| byte != 0).collect();
        match self.0.iter_mut().find(|(key, _)| *key == code) {
            Some((_, old)) => *old = value,
            None => self.0.push((code, value)),
        }
    }

    /// Keeps the fields whose codes the condition names.
    pub fn retain(&mut self, keep: impl Fn(u8) -> bool) {
        self.0.retain(|(code, _)| keep(*code));
    }

    /// Writes an ErrorResponse (`E`) or NoticeResponse (`N`).
    pub fn encode(&self, tag: u8, out: &mut BytesMut) {
        let texts = self.0.iter().map(|(code, value)| Some((*code, String::from_utf8(value.clone()).ok()?)));
        if let Some(texts) = texts.collect() {
            super::own::fields(out, tag, texts);
            return;
        }
        // Words of a database in another encoding, which are no text here.
        frame(out, tag, |body| {
            for (code, value) in &self.0 {
                body.put_u8(*code);
                body.put_slice(value);
                body.put_u8(0);
            }
            body.put_u8(0);
        });
    }
}

/// What is said of a relation or a column that is not there, in PostgreSQL's spelling: drivers read the name out of it.
fn as_postgresql(refusal: &Refusal) -> Cow<'_, str> {
    let (message, sqlstate) = (refusal.message.as_str(), refusal.sqlstate);
    let unknown =
        [SqlState::UNDEFINED_TABLE, SqlState::UNDEFINED_COLUMN, SqlState::AMBIGUOUS_COLUMN].contains(&sqlstate);
    if !unknown || !message.contains('`') {
        return Cow::Borrowed(message);
    }
    let qualified = message.strip_prefix("column `").and_then(|rest| rest.strip_suffix("` does not exist"));
    // A dot may stand in a name.
    let several = refusal.name().is_none_or(|parts| parts.len() > 1);
    match qualified.filter(|name| several && name.contains('.') && !name.contains('`')) {
        Some(name) => Cow::Owned(format!("column {name} does not exist")),
        None => Cow::Owned(message.replace('`', "\"")),
    }
}

/// The one hint that PostgreSQL gives as well, in its spelling.
fn hint_as_postgresql(hint: &str) -> Cow<'_, str> {
    match hint.strip_prefix("perhaps you meant to reference ") {
        Some(columns) => Cow::Owned(format!("Perhaps you meant to reference {}.", columns.replace('`', "\""))),
        None => Cow::Borrowed(hint),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use crate::error::Stage;

    #[test]
    fn fields_are_read_back_as_they_were_written() {
        let fields = ErrorFields::new("ERROR", "42501", "not open");
        let mut out = BytesMut::new();
        fields.encode(b'E', &mut out);
        assert_eq!(ErrorFields::decode(&out[5..]), Ok(fields.clone()));
        assert_eq!(fields.sqlstate(), Some("42501"));
        assert!(!fields.is_fatal());
        assert_eq!(ErrorFields::decode(&out[5..out.len() - 1]), Err(WireError::Short));
        assert_eq!(ErrorFields::decode_part(&out[5..out.len() - 4]).sqlstate(), Some("42501"));
    }

    #[test]
    fn what_is_not_there_is_named_as_postgresql_names_it() {
        for (message, told) in [
            ("column `z` does not exist", "column \"z\" does not exist"),
            ("column `t.z` does not exist", "column t.z does not exist"),
            ("column `z` of relation `t` does not exist", "column \"z\" of relation \"t\" does not exist"),
            ("column `z` of relation `a.b` does not exist", "column \"z\" of relation \"a.b\" does not exist"),
            ("column reference `z` is ambiguous", "column reference \"z\" is ambiguous"),
        ] {
            let refusal = Refusal::new(Stage::Resolve, SqlState::UNDEFINED_COLUMN, message);
            assert_eq!(as_postgresql(&refusal), told);
        }
        let one = Refusal::new(Stage::Resolve, SqlState::UNDEFINED_COLUMN, "column `a.b` does not exist");
        assert_eq!(as_postgresql(&one.named(vec!["a.b".to_owned()])), "column \"a.b\" does not exist");
    }

    proptest::proptest! {
        #[test]
        fn random_fields_never_panic(bytes: Vec<u8>) {
            let _ = ErrorFields::decode(&bytes);
            let _ = ErrorFields::decode_part(&bytes);
        }
    }
}
