//! The header, and a reader that cannot leave its frame.

use bytes::{BufMut, BytesMut};

/// Bytes of a header: the tag, and a length that counts itself.
pub const HEADER: usize = 5;

/// The largest body that PostgreSQL itself accepts (`PQ_LARGE_MESSAGE_LIMIT`, 1 GB - 1), less the length field.
pub const MAX_BODY: usize = 0x3fff_ffff - 4;

/// What is wrong with bytes that claim to be a message. Holds none of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// A length below that of the length field itself, or above what any message may have.
    #[error("invalid message length")]
    Length,
    /// The body ends before the field does.
    #[error("message ends too early")]
    Short,
    /// Bytes are left behind the last field.
    #[error("message has bytes left over")]
    LeftOver,
    /// A string without its zero byte.
    #[error("string in message is not terminated")]
    Unterminated,
    /// Text that is not UTF-8.
    #[error("text in message is not valid UTF-8")]
    NotUtf8,
    /// A field holds a value that it cannot have.
    #[error("message has an invalid field")]
    Field,
    /// A tag that no message of this direction has.
    #[error("invalid message type")]
    Tag,
}

/// A message's first five bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// The message's type.
    pub tag: u8,
    /// Bytes of body that follow.
    pub body: usize,
}

impl Header {
    /// Reads a header from the start of `bytes`; `None` while fewer than five are there.
    ///
    /// # Errors
    /// A length that no message can have.
    pub fn read(bytes: &[u8]) -> Result<Option<Self>, WireError> {
        let Some((&[tag, a, b, c, d], _)) = bytes.split_first_chunk::<HEADER>() else { return Ok(None) };
        let length = u32::from_be_bytes([a, b, c, d]);
        let body = usize::try_from(length).ok().and_then(|length| length.checked_sub(4)).ok_or(WireError::Length)?;
        if body > MAX_BODY {
            return Err(WireError::Length);
        }
        Ok(Some(Self { tag, body }))
    }

    /// Header and body together.
    pub fn total(self) -> usize {
        self.body.saturating_add(HEADER)
    }

    /// The header as bytes.
    pub fn encode(self) -> [u8; HEADER] {
        let length = u32::try_from(self.body.saturating_add(4)).unwrap_or(u32::MAX);
        let [a, b, c, d] = length.to_be_bytes();
        [self.tag, a, b, c, d]
    }
}

/// Reads fields from one body and never beyond it.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Over the body of one message.
    pub fn new(body: &'a [u8]) -> Self {
        Self { rest: body }
    }

    /// What has not been read.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        let (head, rest) = self.rest.split_first_chunk::<N>().ok_or(WireError::Short)?;
        self.rest = rest;
        Ok(*head)
    }

    /// One byte.
    ///
    /// # Errors
    /// The body ends first; so for all readers below.
    pub fn u8(&mut self) -> Result<u8, WireError> {
        self.array::<1>().map(u8::from_be_bytes)
    }

    /// Two bytes, signed.
    ///
    /// # Errors
    /// The body ends first.
    pub fn i16(&mut self) -> Result<i16, WireError> {
        self.array().map(i16::from_be_bytes)
    }

    /// Four bytes, signed.
    ///
    /// # Errors
    /// The body ends first.
    pub fn i32(&mut self) -> Result<i32, WireError> {
        self.array().map(i32::from_be_bytes)
    }

    /// Four bytes, unsigned: an object identifier.
    ///
    /// # Errors
    /// The body ends first.
    pub fn u32(&mut self) -> Result<u32, WireError> {
        self.array().map(u32::from_be_bytes)
    }

    /// So many bytes.
    ///
    /// # Errors
    /// The body ends first.
    pub fn bytes(&mut self, count: usize) -> Result<&'a [u8], WireError> {
        let (head, rest) = self.rest.split_at_checked(count).ok_or(WireError::Short)?;
        self.rest = rest;
        Ok(head)
    }

    /// Bytes up to a zero, which is taken too.
    ///
    /// # Errors
    /// No zero byte in the body.
    pub fn cstr_bytes(&mut self) -> Result<&'a [u8], WireError> {
        let end = self.rest.iter().position(|&byte| byte == 0).ok_or(WireError::Unterminated)?;
        let text = self.bytes(end)?;
        self.u8()?;
        Ok(text)
    }

    /// Text up to a zero.
    ///
    /// # Errors
    /// No zero byte in the body, or not UTF-8.
    pub fn cstr(&mut self) -> Result<&'a str, WireError> {
        std::str::from_utf8(self.cstr_bytes()?).map_err(|_| WireError::NotUtf8)
    }

    /// Says that the message ends here.
    ///
    /// # Errors
    /// It does not.
    pub fn finish(self) -> Result<(), WireError> {
        if self.rest.is_empty() { Ok(()) } else { Err(WireError::LeftOver) }
    }
}

/// Appends one message: the header with the length of what `body` writes.
pub fn frame(out: &mut BytesMut, tag: u8, body: impl FnOnce(&mut BytesMut)) {
    let start = out.len();
    out.put_slice(&Header { tag, body: 0 }.encode());
    body(out);
    let written = out.len().saturating_sub(start).saturating_sub(HEADER);
    let header = Header { tag, body: written }.encode();
    for (slot, byte) in out.iter_mut().skip(start).zip(header) {
        *slot = byte;
    }
}

/// Appends text and its zero byte. A zero within the text would end it early, so the text is cut there.
pub fn put_cstr(out: &mut BytesMut, text: &str) {
    let text = text.split('\0').next().unwrap_or_default();
    out.put_slice(text.as_bytes());
    out.put_u8(0);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]
    use super::*;

    #[test]
    fn a_header_needs_five_bytes_and_an_honest_length() {
        assert_eq!(Header::read(b"Q\0\0\0"), Ok(None));
        assert_eq!(Header::read(b"Q\0\0\0\x05x"), Ok(Some(Header { tag: b'Q', body: 1 })));
        assert_eq!(Header::read(b"Q\0\0\0\x03"), Err(WireError::Length));
        assert_eq!(Header::read(b"Q\xff\xff\xff\xff"), Err(WireError::Length));
        assert_eq!(Header::read(b"Q\x40\0\0\0"), Err(WireError::Length));
    }

    #[test]
    fn a_reader_stays_within_its_frame() {
        let mut reader = Reader::new(b"ab\0\x01\x02");
        assert_eq!(reader.cstr(), Ok("ab"));
        assert_eq!(reader.i32(), Err(WireError::Short));
        assert_eq!(reader.i16(), Ok(258));
        assert_eq!(reader.finish(), Ok(()));
        assert_eq!(Reader::new(b"x").finish(), Err(WireError::LeftOver));
        assert_eq!(Reader::new(b"abc").cstr(), Err(WireError::Unterminated));
        assert_eq!(Reader::new(b"\xff\0").cstr(), Err(WireError::NotUtf8));
    }

    #[test]
    fn a_frame_states_its_own_length() {
        let mut out = BytesMut::from(&b"before"[..]);
        frame(&mut out, b'C', |body| put_cstr(body, "SELECT 1\0hidden"));
        assert_eq!(&out[6..], b"C\0\0\0\x0dSELECT 1\0");
    }

    proptest::proptest! {
        #[test]
        fn random_bytes_never_make_a_reader_panic(bytes: Vec<u8>) {
            let _ = Header::read(&bytes);
            let mut reader = Reader::new(&bytes);
            while reader.cstr().is_ok() || reader.i32().is_ok() {}
            let _ = reader.finish();
        }
    }
}
