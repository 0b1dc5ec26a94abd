//! Messages of the client, by field where the proxy needs fields.

use bytes::{BufMut, BytesMut};

use super::{Reader, WireError, frame, put_cstr};

/// What a client's message may be, once it has logged in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tag {
    /// Simple query.
    Query,
    /// Parse.
    Parse,
    /// Bind.
    Bind,
    /// Describe.
    Describe,
    /// Execute.
    Execute,
    /// Close.
    Close,
    /// Sync.
    Sync,
    /// Flush.
    Flush,
    /// CopyData.
    CopyData,
    /// CopyDone.
    CopyDone,
    /// CopyFail.
    CopyFail,
    /// FunctionCall: never carried out.
    FunctionCall,
    /// Terminate.
    Terminate,
}

impl Tag {
    /// From the header's byte.
    ///
    /// # Errors
    /// No message of a client has this tag after login.
    pub fn new(byte: u8) -> Result<Self, WireError> {
        match byte {
            b'Q' => Ok(Self::Query),
            b'P' => Ok(Self::Parse),
            b'B' => Ok(Self::Bind),
            b'D' => Ok(Self::Describe),
            b'E' => Ok(Self::Execute),
            b'C' => Ok(Self::Close),
            b'S' => Ok(Self::Sync),
            b'H' => Ok(Self::Flush),
            b'd' => Ok(Self::CopyData),
            b'c' => Ok(Self::CopyDone),
            b'f' => Ok(Self::CopyFail),
            b'F' => Ok(Self::FunctionCall),
            b'X' => Ok(Self::Terminate),
            _ => Err(WireError::Tag),
        }
    }
}

/// Parse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parse<'a> {
    /// The prepared statement; empty for the unnamed one.
    pub name: &'a str,
    /// The SQL.
    pub sql: &'a str,
    /// The count and oids of parameter types, as they stand in the message.
    pub types: &'a [u8],
}

impl<'a> Parse<'a> {
    /// Reads a body.
    ///
    /// # Errors
    /// Anything that does not fill its frame exactly.
    pub fn decode(body: &'a [u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(body);
        let name = reader.cstr()?;
        let sql = reader.cstr()?;
        let types = reader.rest();
        let count = reader.i16()?;
        for _ in 0..u16::from_be_bytes(count.to_be_bytes()) {
            reader.u32()?;
        }
        reader.finish()?;
        Ok(Self { name, sql, types })
    }

    /// Writes the message.
    pub fn encode(&self, out: &mut BytesMut) {
        frame(out, b'P', |body| {
            put_cstr(body, self.name);
            put_cstr(body, self.sql);
            body.put_slice(self.types);
        });
    }
}

/// The oids in [`Parse::types`]; 0 stands for a type that the statement decides.
pub fn parameter_types(types: &[u8]) -> impl Iterator<Item = u32> + '_ {
    let oids = types.get(2..).unwrap_or_default();
    oids.chunks_exact(4).map(|oid| oid.iter().fold(0, |sum, byte| sum << 8 | u32::from(*byte)))
}

/// The text of a simple query.
///
/// # Errors
/// Anything that does not fill its frame exactly, or is not UTF-8.
pub fn query(body: &[u8]) -> Result<&str, WireError> {
    let mut reader = Reader::new(body);
    let sql = reader.cstr()?;
    reader.finish()?;
    Ok(sql)
}

/// The two names at the start of a Bind; what follows is streamed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BindHead<'a> {
    /// The portal that is made.
    pub portal: &'a str,
    /// The statement that it runs.
    pub statement: &'a str,
    /// Bytes of the body that the two names take, their zeros included.
    pub length: usize,
}

/// The longest start of a Bind that is looked at for its names.
pub const MAX_NAMES: usize = 8 * 1024;

impl<'a> BindHead<'a> {
    /// Reads the names from the part of a body that is there; `None` while more is needed. `whole` is the length of
    /// the whole body.
    ///
    /// # Errors
    /// Names that are not UTF-8, that do not end within the body, or longer than [`MAX_NAMES`].
    pub fn decode(part: &'a [u8], whole: usize) -> Result<Option<Self>, WireError> {
        let part = part.get(..part.len().min(whole).min(MAX_NAMES)).unwrap_or_default();
        let mut reader = Reader::new(part);
        let names = (reader.cstr(), reader.cstr());
        match names {
            (Ok(portal), Ok(statement)) => {
                let length = part.len().saturating_sub(reader.rest().len());
                Ok(Some(Self { portal, statement, length }))
            }
            (Err(WireError::Unterminated), _) | (Ok(_), Err(WireError::Unterminated)) => {
                if part.len() == whole || part.len() == MAX_NAMES { Err(WireError::Unterminated) } else { Ok(None) }
            }
            (Err(error), _) | (_, Err(error)) => Err(error),
        }
    }
}

/// What Describe and Close name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// `S`.
    Statement,
    /// `P`.
    Portal,
}

impl Target {
    /// The byte in the message.
    pub fn byte(self) -> u8 {
        match self {
            Self::Statement => b'S',
            Self::Portal => b'P',
        }
    }
}

/// The body of Describe or Close.
///
/// # Errors
/// Anything that does not fill its frame exactly.
pub fn target(body: &[u8]) -> Result<(Target, &str), WireError> {
    let mut reader = Reader::new(body);
    let target = match reader.u8()? {
        b'S' => Target::Statement,
        b'P' => Target::Portal,
        _ => return Err(WireError::Field),
    };
    let name = reader.cstr()?;
    reader.finish()?;
    Ok((target, name))
}

/// The body of Execute: portal and row limit.
///
/// # Errors
/// Anything that does not fill its frame exactly.
pub fn execute(body: &[u8]) -> Result<(&str, i32), WireError> {
    let mut reader = Reader::new(body);
    let portal = reader.cstr()?;
    let rows = reader.i32()?;
    reader.finish()?;
    Ok((portal, rows))
}

/// The body of a message that has none.
///
/// # Errors
/// It has one.
pub fn empty(body: &[u8]) -> Result<(), WireError> {
    Reader::new(body).finish()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;

    #[test]
    fn a_parse_must_fill_its_frame() {
        let mut out = BytesMut::new();
        let parse = Parse { name: "s", sql: "SELECT $1", types: &[0, 1, 0, 0, 0, 23] };
        parse.encode(&mut out);
        assert_eq!(Parse::decode(&out[5..]), Ok(parse));
        assert_eq!(parameter_types(parse.types).collect::<Vec<_>>(), [23]);
        out.put_u8(0);
        assert_eq!(Parse::decode(&out[5..]), Err(WireError::LeftOver));
        assert_eq!(Parse::decode(b"s\0x\0\0\x02\0\0\0\x17"), Err(WireError::Short));
        assert_eq!(Parse::decode(b"s\0\xff\0\0\0"), Err(WireError::NotUtf8));
    }

    #[test]
    fn a_second_statement_cannot_hide_behind_a_zero_byte() {
        assert_eq!(query(b"SELECT 1\0"), Ok("SELECT 1"));
        assert_eq!(query(b"SELECT 1\0; DROP TABLE x\0"), Err(WireError::LeftOver));
        assert_eq!(query(b"SELECT 1"), Err(WireError::Unterminated));
    }

    #[test]
    fn the_names_of_a_bind_are_read_before_its_values_arrive() {
        assert_eq!(BindHead::decode(b"p\0st", 200_000_000), Ok(None));
        let head = BindHead::decode(b"p\0st\0\0\0", 200_000_000).unwrap().unwrap();
        assert_eq!((head.portal, head.statement, head.length), ("p", "st", 5));
        assert_eq!(BindHead::decode(b"p\0st", 4), Err(WireError::Unterminated));
        assert_eq!(BindHead::decode(&[b'a'; 9000], 200_000_000), Err(WireError::Unterminated));
    }

    #[test]
    fn describe_close_and_execute_must_fill_their_frames() {
        assert_eq!(target(b"Sname\0"), Ok((Target::Statement, "name")));
        assert_eq!(target(b"Xname\0"), Err(WireError::Field));
        assert_eq!(target(b"Pname\0x"), Err(WireError::LeftOver));
        assert_eq!(execute(b"\0\0\0\0\x05"), Ok(("", 5)));
        assert_eq!(execute(b"\0\0\0"), Err(WireError::Short));
    }

    proptest::proptest! {
        #[test]
        fn random_bodies_never_panic(bytes: Vec<u8>, whole: usize) {
            let _ = Parse::decode(&bytes);
            let _ = query(&bytes);
            let _ = BindHead::decode(&bytes, whole);
            let _ = target(&bytes);
            let _ = execute(&bytes);
        }
    }
}
