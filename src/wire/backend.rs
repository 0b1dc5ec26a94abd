//! Messages of the database, by field where the proxy needs fields.

use super::{Encoding, Reader, WireError};

/// ReadyForQuery's transaction status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// `I`: not in a transaction block.
    Idle,
    /// `T`: in one.
    Transaction,
    /// `E`: in one that failed.
    Failed,
}

impl Status {
    /// Reads the body of ReadyForQuery.
    ///
    /// # Errors
    /// Not one of the three.
    pub fn decode(body: &[u8]) -> Result<Self, WireError> {
        match body {
            b"I" => Ok(Self::Idle),
            b"T" => Ok(Self::Transaction),
            b"E" => Ok(Self::Failed),
            _ => Err(WireError::Field),
        }
    }
}

/// Gives (table oid, attribute number) of each field of a RowDescription to `visit`, and its end.
///
/// # Errors
/// Anything that does not fill its frame exactly.
pub fn row_description(body: &[u8], mut visit: impl FnMut(u32, i16)) -> Result<(), WireError> {
    let mut reader = Reader::new(body);
    let count = reader.i16()?;
    for _ in 0..u16::try_from(count).map_err(|_| WireError::Field)? {
        reader.cstr_bytes()?;
        let (table, column) = (reader.u32()?, reader.i16()?);
        // Type oid, type size, type modifier, format.
        reader.bytes(12)?;
        visit(table, column);
    }
    reader.finish()
}

/// The tag of a CommandComplete.
///
/// # Errors
/// Anything that does not fill its frame exactly.
pub fn command_tag(body: &[u8]) -> Result<&str, WireError> {
    let mut reader = Reader::new(body);
    let tag = reader.cstr()?;
    reader.finish()?;
    Ok(tag)
}

/// Rows that a command tag counts: `SELECT 5`, `INSERT 0 1`; `None` for `BEGIN` and the like.
pub fn rows_of(tag: &str) -> Option<u64> {
    tag.rsplit(' ').next()?.parse().ok()
}

/// A ParameterStatus: name and value.
///
/// # Errors
/// Anything that does not fill its frame exactly.
pub fn parameter_status(body: &[u8]) -> Result<(&str, &str), WireError> {
    let mut reader = Reader::new(body);
    let pair = (reader.cstr()?, reader.cstr()?);
    reader.finish()?;
    Ok(pair)
}

/// NotificationResponse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Notification<'a> {
    /// The process that notified.
    pub pid: u32,
    /// Of what.
    pub channel: &'a str,
    /// With which words.
    pub payload: &'a str,
}

impl Notification<'_> {
    /// The body of the same with an empty payload.
    pub fn without_payload(&self) -> Vec<u8> {
        [&self.pid.to_be_bytes(), self.channel.as_bytes(), &[0, 0]].concat()
    }
}

/// Reads the body of a NotificationResponse.
///
/// # Errors
/// Anything that does not fill its frame exactly, and text that is not UTF-8.
pub fn notification(body: &[u8]) -> Result<Notification<'_>, WireError> {
    let mut reader = Reader::new(body);
    let notification = Notification { pid: reader.u32()?, channel: reader.cstr()?, payload: reader.cstr()? };
    reader.finish()?;
    Ok(notification)
}

/// BackendKeyData: process id and secret.
///
/// # Errors
/// A secret that no server sends.
pub fn key_data(body: &[u8]) -> Result<(u32, &[u8]), WireError> {
    let mut reader = Reader::new(body);
    let pid = reader.u32()?;
    let secret = reader.rest();
    if (4..=256).contains(&secret.len()) { Ok((pid, secret)) } else { Err(WireError::Length) }
}

/// What an Authentication message asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Authentication {
    /// Logged in.
    Ok,
    /// The password in clear.
    Cleartext,
    /// MD5 with a salt.
    Md5,
    /// SASL with one of these mechanisms.
    Sasl(Vec<String>),
    /// A SASL challenge.
    SaslContinue,
    /// SASL is over.
    SaslFinal,
    /// Kerberos, GSSAPI, SSPI ... by number.
    Other(u32),
}

impl Authentication {
    /// Reads a body.
    ///
    /// # Errors
    /// Anything that does not fill its frame exactly.
    pub fn decode(body: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(body);
        match reader.u32()? {
            0 => reader.finish().map(|()| Self::Ok),
            3 => reader.finish().map(|()| Self::Cleartext),
            5 => {
                reader.bytes(4)?;
                reader.finish().map(|()| Self::Md5)
            }
            10 => {
                let mut mechanisms = Vec::new();
                loop {
                    match reader.cstr()? {
                        "" => break,
                        mechanism => mechanisms.push(mechanism.to_owned()),
                    }
                }
                reader.finish().map(|()| Self::Sasl(mechanisms))
            }
            11 => Ok(Self::SaslContinue),
            12 => Ok(Self::SaslFinal),
            other => Ok(Self::Other(other)),
        }
    }
}

/// The values of a DataRow, as text; `None` for NULL.
///
/// # Errors
/// Anything that does not fill its frame exactly, or is not UTF-8.
pub fn data_row(body: &[u8]) -> Result<Vec<Option<String>>, WireError> {
    data_row_in(body, &Encoding::Utf8)
}

/// The same, of a session that speaks this encoding.
///
/// # Errors
/// As [`data_row`].
pub fn data_row_in(body: &[u8], encoding: &Encoding) -> Result<Vec<Option<String>>, WireError> {
    let mut reader = Reader::new(body);
    let count = u16::try_from(reader.i16()?).map_err(|_| WireError::Field)?;
    let mut values = Vec::new();
    for _ in 0..count {
        values.push(match reader.i32()? {
            -1 => None,
            length => {
                let bytes = reader.bytes(usize::try_from(length).map_err(|_| WireError::Field)?)?;
                Some(encoding.read(bytes).ok_or(WireError::NotUtf8)?.into_owned())
            }
        });
    }
    reader.finish()?;
    Ok(values)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;

    #[test]
    fn a_row_description_is_read_by_field_and_must_fill_its_frame() {
        let mut body = vec![0, 2];
        for (name, table, column) in [("a", 16384_u32, 1_i16), ("b", 0, 0)] {
            body.extend_from_slice(name.as_bytes());
            body.push(0);
            body.extend_from_slice(&table.to_be_bytes());
            body.extend_from_slice(&column.to_be_bytes());
            body.extend_from_slice(&[0; 12]);
        }
        let mut seen = Vec::new();
        row_description(&body, |table, column| seen.push((table, column))).unwrap();
        assert_eq!(seen, [(16384, 1), (0, 0)]);
        body.push(0);
        assert_eq!(row_description(&body, |_, _| ()), Err(WireError::LeftOver));
        body.truncate(20);
        assert_eq!(row_description(&body, |_, _| ()), Err(WireError::Short));
    }

    #[test]
    fn rows_are_counted_from_the_tag() {
        assert_eq!(rows_of("SELECT 5"), Some(5));
        assert_eq!(rows_of("INSERT 0 12"), Some(12));
        assert_eq!(rows_of("BEGIN"), None);
    }

    proptest::proptest! {
        #[test]
        fn random_bodies_never_panic(bytes: Vec<u8>) {
            let _ = row_description(&bytes, |_, _| ());
            let _ = Authentication::decode(&bytes);
            let _ = (command_tag(&bytes).map(rows_of), key_data(&bytes), parameter_status(&bytes), data_row(&bytes));
        }
    }
}
