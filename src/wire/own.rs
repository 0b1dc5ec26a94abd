//! What the proxy itself says to clients, by pgwire's messages. It is the one file that knows pgwire; rows, and all that is read, stay
//! with our own bounds-checked code.
//!
//! Three things are not left to pgwire, measured with 0.42: its encoders write a zero byte that stands within a text, which ends the
//! field for whoever reads it and not for the length; they write the tag before they find that a message is too long; and the fields of
//! an error are Unicode, which those of a database in another encoding are not. So texts are cut here as PostgreSQL would read them,
//! what could not be written leaves nothing behind, and such errors go out by [`super::ErrorFields`]' own frame.

use bytes::{Bytes, BytesMut};
use pgwire::messages::Message;
use pgwire::messages::response::{ErrorResponse, NoticeResponse, ReadyForQuery, TransactionStatus};
use pgwire::messages::startup::{Authentication, BackendKeyData, NegotiateProtocolVersion, ParameterStatus, SecretKey};

use super::backend::Status;

/// Writes ReadyForQuery.
pub fn ready(out: &mut BytesMut, status: Status) {
    let status = match status {
        Status::Idle => TransactionStatus::Idle,
        Status::Transaction => TransactionStatus::Transaction,
        Status::Failed => TransactionStatus::Error,
    };
    put(out, &ReadyForQuery::new(status));
}

/// Writes BackendKeyData: the process id, and a secret of 4 to 256 bytes.
pub fn key_data(out: &mut BytesMut, pid: u32, secret: &[u8]) {
    put(out, &BackendKeyData::new(pid.cast_signed(), SecretKey::Bytes(Bytes::copy_from_slice(secret))));
}

/// Writes NegotiateProtocolVersion: the newest minor version that is spoken, and the `_pq_.` options that are not known.
pub fn negotiate(out: &mut BytesMut, minor: u16, unknown: &[&str]) {
    let unknown = unknown.iter().map(|option| text(option)).collect();
    put(out, &NegotiateProtocolVersion::new(0x0003_0000 | i32::from(minor), unknown));
}

/// Writes ParameterStatus. What is longer than any client of PostgreSQL reads, 30,000 bytes, is not said.
pub fn parameter_status(out: &mut BytesMut, name: &str, value: &str) {
    put(out, &ParameterStatus::new(text(name), text(value)));
}

/// Writes AuthenticationOk.
pub fn logged_in(out: &mut BytesMut) {
    put(out, &Authentication::Ok);
}

/// Writes AuthenticationSASL with these mechanisms.
pub fn sasl(out: &mut BytesMut, mechanisms: &[&str]) {
    put(out, &Authentication::SASL(mechanisms.iter().map(|mechanism| text(mechanism)).collect()));
}

/// Writes AuthenticationSASLContinue with the mechanism's data.
pub fn sasl_continue(out: &mut BytesMut, data: &[u8]) {
    put(out, &Authentication::SASLContinue(Bytes::copy_from_slice(data)));
}

/// Writes AuthenticationSASLFinal with the mechanism's data.
pub fn sasl_final(out: &mut BytesMut, data: &[u8]) {
    put(out, &Authentication::SASLFinal(Bytes::copy_from_slice(data)));
}

/// Writes a NoticeResponse (`N`), or for any other tag an ErrorResponse, with these fields, none of which has a zero byte.
pub(super) fn fields(out: &mut BytesMut, tag: u8, fields: Vec<(u8, String)>) {
    match tag {
        b'N' => put(out, &NoticeResponse::new(fields)),
        _ => put(out, &ErrorResponse::new(fields)),
    }
}

fn put(out: &mut BytesMut, message: &impl Message) {
    let before = out.len();
    if message.encode(out).is_err() {
        out.truncate(before);
    }
}

/// As PostgreSQL reads it: up to a zero byte.
fn text(text: &str) -> String {
    text.split('\0').next().unwrap_or_default().to_owned()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;
    use crate::wire::backend::{self, key_data as read_key_data};
    use crate::wire::{HEADER, Header};

    /// The one message that is written, held to its own frame.
    fn written(write: impl FnOnce(&mut BytesMut)) -> (u8, Vec<u8>) {
        let mut out = BytesMut::new();
        write(&mut out);
        let header = Header::read(&out).unwrap().unwrap();
        assert_eq!(header.total(), out.len());
        (header.tag, out[HEADER..].to_vec())
    }

    #[test]
    fn what_is_written_is_read_back_by_our_own_readers() {
        for (status, letter) in [(Status::Idle, b"I"), (Status::Transaction, b"T"), (Status::Failed, b"E")] {
            assert_eq!(written(|out| ready(out, status)), (b'Z', letter.to_vec()));
        }
        let (tag, body) = written(|out| key_data(out, u32::MAX, &[7; 32]));
        assert_eq!((tag, read_key_data(&body)), (b'K', Ok((u32::MAX, &[7_u8; 32][..]))));
        let (tag, body) = written(|out| parameter_status(out, "TimeZone", "Africa/Johannesburg"));
        assert_eq!((tag, backend::parameter_status(&body)), (b'S', Ok(("TimeZone", "Africa/Johannesburg"))));
        assert_eq!(written(logged_in), (b'R', vec![0; 4]));
        let (tag, body) = written(|out| sasl(out, &["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"]));
        let asked = backend::Authentication::Sasl(vec!["SCRAM-SHA-256-PLUS".into(), "SCRAM-SHA-256".into()]);
        assert_eq!((tag, backend::Authentication::decode(&body)), (b'R', Ok(asked)));
        assert_eq!(written(|out| sasl_continue(out, b"r=1")), (b'R', b"\0\0\0\x0br=1".to_vec()));
        assert_eq!(written(|out| sasl_final(out, b"v=1")), (b'R', b"\0\0\0\x0cv=1".to_vec()));
        let (tag, body) = written(|out| negotiate(out, 2, &["_pq_.a", "_pq_.b"]));
        assert_eq!((tag, &body[..]), (b'v', &b"\0\x03\0\x02\0\0\0\x02_pq_.a\0_pq_.b\0"[..]));
    }

    #[test]
    fn a_text_ends_at_its_zero_byte_and_what_is_too_long_leaves_nothing_behind() {
        let (_, body) = written(|out| parameter_status(out, "a\0hidden", "b\0hidden"));
        assert_eq!(backend::parameter_status(&body), Ok(("a", "b")));
        let mut out = BytesMut::from(&b"before"[..]);
        parameter_status(&mut out, "search_path", &"x".repeat(40_000));
        key_data(&mut out, 1, &[1, 2]);
        assert_eq!(&out[..], b"before");
    }
}
