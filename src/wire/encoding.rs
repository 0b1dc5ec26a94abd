//! Encodings of what clients write: UTF-8, and others in which a session may speak.
//!
//! Texts are decided in UTF-8. A statement in another encoding is read by the table of that encoding; one of ASCII alone is the same in
//! all of them. Values and rows are not read here: the database converts them itself ("Character Set Support" in PostgreSQL's
//! documentation).

use std::borrow::Cow;
use std::sync::Arc;

/// Names, then what each byte from 0x80 on stands for, as PostgreSQL's own conversions have it (`convert_from`, tested); `-` for none.
const TABLES: &str = include_str!("encodings.txt");

/// Encodings of several bytes a character, of which statements of ASCII alone are read, and SQL_ASCII, which is none.
const OTHERS: &str = "BIG5 EUCCN EUCJIS2004 EUCJP EUCKR EUCTW GB18030 GBK JOHAB MSKANJI MULEINTERNAL SHIFTJIS SHIFTJIS2004 SJIS \
    SQLASCII UHC WIN932 WIN936 WIN949 WIN950 WINDOWS932 WINDOWS936 WINDOWS949 WINDOWS950";

/// How the bytes of a client's texts are read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Encoding {
    /// As they are.
    #[default]
    Utf8,
    /// One byte a character: what those from 0x80 on stand for.
    Single(Arc<[Option<char>]>),
    /// Not, but for ASCII.
    Other,
}

impl Encoding {
    /// The encoding of a name, as PostgreSQL reads such names: letters and digits count, their case does not
    /// (`pg_char_to_encoding`). `None` where PostgreSQL has none of that name.
    pub fn named(name: &str) -> Option<Self> {
        if is_utf8(name) {
            return Some(Self::Utf8);
        }
        let plain = plain(name).to_ascii_uppercase();
        let among = |names: &str| names.split_ascii_whitespace().any(|one| one == plain);
        if among(OTHERS) {
            return Some(Self::Other);
        }
        let lines = TABLES.lines().filter_map(|line| line.split_once(": "));
        let (_, codes) = lines.into_iter().find(|(names, _)| among(names))?;
        let read = |code: &str| u32::from_str_radix(code, 16).ok().and_then(char::from_u32);
        Some(Self::Single(codes.split(' ').map(read).collect()))
    }

    /// Bytes as text; `None` where a byte stands for nothing that is known here.
    pub fn read<'a>(&self, bytes: &'a [u8]) -> Option<Cow<'a, str>> {
        match self {
            Self::Utf8 => std::str::from_utf8(bytes).ok().map(Cow::Borrowed),
            Self::Single(_) | Self::Other if bytes.is_ascii() => std::str::from_utf8(bytes).ok().map(Cow::Borrowed),
            Self::Single(upper) => {
                let read = |&byte: &u8| match byte.checked_sub(0x80) {
                    Some(at) => upper.get(usize::from(at)).copied().flatten(),
                    None => Some(char::from(byte)),
                };
                bytes.iter().map(read).collect::<Option<String>>().map(Cow::Owned)
            }
            Self::Other => None,
        }
    }

    /// The body of a Query or a Parse, whose texts end with a zero, in UTF-8; `texts` of them. `None` where one cannot be read.
    pub fn read_body<'a>(&self, body: &'a [u8], texts: usize) -> Option<Cow<'a, [u8]>> {
        if *self == Self::Utf8 || body.is_ascii() {
            return Some(Cow::Borrowed(body));
        }
        let mut read = Vec::with_capacity(body.len());
        let mut rest = body;
        for _ in 0..texts {
            let end = rest.iter().position(|byte| *byte == 0)?;
            let (text, behind) = rest.split_at_checked(end)?;
            read.extend_from_slice(self.read(text)?.as_bytes());
            read.push(0);
            rest = behind.get(1..)?;
        }
        read.extend_from_slice(rest);
        Some(Cow::Owned(read))
    }
}

/// Whether a name of an encoding means UTF-8.
pub fn is_utf8(encoding: &str) -> bool {
    let plain = plain(encoding);
    plain.eq_ignore_ascii_case("utf8") || plain.eq_ignore_ascii_case("unicode")
}

fn plain(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_name_of_utf_8_is_one_by_its_letters_and_digits() {
        assert!(["UTF8", "utf-8", "UNICODE", "Unicode", "UTF_8"].into_iter().all(is_utf8));
        assert!(!["LATIN1", "UTF16", "SQL_ASCII", ""].into_iter().any(is_utf8));
    }

    #[test]
    fn bytes_are_read_by_the_table_of_their_encoding() {
        let read = |name: &str, bytes: &'static [u8]| Encoding::named(name).unwrap().read(bytes).map(Cow::into_owned);
        assert_eq!(read("LATIN1", b"caf\xe9"), Some("caf\u{e9}".to_owned()));
        assert_eq!(read("iso-8859-15", b"\xa4"), Some("\u{20ac}".to_owned()));
        assert_eq!(read("win1252", b"\x80"), Some("\u{20ac}".to_owned()));
        assert_eq!(read("win1252", b"\x81"), None, "PostgreSQL has no character for it");
        assert_eq!(read("KOI8R", b"\xc1"), Some("\u{430}".to_owned()));
        assert_eq!(read("SJIS", b"SELECT 1"), Some("SELECT 1".to_owned()));
        assert_eq!(read("SJIS", b"\x83\x5c"), None);
        assert_eq!(Encoding::named("latin99"), None);
    }

    #[test]
    fn each_table_has_a_place_for_each_byte() {
        for line in TABLES.lines() {
            let (names, codes) = line.split_once(": ").unwrap();
            assert_eq!(codes.split(' ').count(), 128, "{names}");
        }
    }

    #[test]
    fn texts_of_a_message_are_read_and_what_follows_them_is_left() {
        let latin = Encoding::named("LATIN1").unwrap();
        assert_eq!(
            latin.read_body(b"\xe9\0a\0\0\xff", 2).unwrap(),
            "\u{e9}\0a\0".as_bytes().iter().copied().chain([0, 0xff]).collect::<Vec<u8>>()
        );
        assert_eq!(latin.read_body(b"\xe9", 1), None);
    }
}
