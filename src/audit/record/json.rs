//! JSON on one line, whatever the text holds.

use std::io::{self, Write};

use ring::digest::{Context, SHA256};
use serde::Serialize;
use serde_json::Serializer;
use serde_json::ser::{CharEscape, CompactFormatter, Formatter};

use super::chain::Hash;

/// Bytes that a text in a record takes at most, as it is written. What is behind is told by length and digest.
const MOST_TEXT: usize = 4096;
/// The same for what names a session: it stands in each of its records.
const MOST_NAME: usize = 256;

/// Writes JSON as `serde_json` does, and escapes besides what some readers take for a line's end or a terminal for a
/// command: DEL and the C1 controls, U+2028, U+2029, marks that reverse the direction of text, and U+FEFF.
///
/// A text that would take more than [`MOST_TEXT`] bytes is cut, and `… (N bytes, sha256:…)` of all of it put behind.
struct OneLine {
    inner: CompactFormatter,
    most: usize,
    /// Of the text at hand: bytes written, what it is, and how far it was written.
    written: usize,
    text: Vec<u8>,
    cut: bool,
}

impl OneLine {
    fn new(most: usize) -> Self {
        Self { inner: CompactFormatter, most, written: 0, text: Vec::new(), cut: false }
    }
}

impl Formatter for OneLine {
    fn begin_string<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        (self.written, self.cut) = (0, false);
        self.text.clear();
        self.inner.begin_string(writer)
    }

    fn end_string<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        if self.cut {
            let mut digest = Context::new(&SHA256);
            digest.update(&self.text);
            write!(writer, "{}", cut_mark(self.text.len(), Hash::finish(digest.finish())))?;
        }
        self.inner.end_string(writer)
    }

    fn write_char_escape<W: ?Sized + Write>(&mut self, writer: &mut W, escape: CharEscape) -> io::Result<()> {
        let byte = match escape {
            CharEscape::Quote => b'"',
            CharEscape::ReverseSolidus => b'\\',
            CharEscape::Solidus => b'/',
            CharEscape::Backspace => 8,
            CharEscape::FormFeed => 12,
            CharEscape::LineFeed => b'\n',
            CharEscape::CarriageReturn => b'\r',
            CharEscape::Tab => b'\t',
            CharEscape::AsciiControl(byte) => byte,
        };
        self.text.push(byte);
        self.written += 6;
        self.cut |= self.written > self.most;
        if self.cut { Ok(()) } else { self.inner.write_char_escape(writer, escape) }
    }

    fn write_string_fragment<W: ?Sized + Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        self.text.extend_from_slice(fragment.as_bytes());
        if self.cut {
            return Ok(());
        }
        let room = self.most.saturating_sub(self.written);
        // What nearly every text is: nothing in it takes more than its byte. Quotes come one by one, not here.
        if fragment.len() <= room && fragment.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
            self.written += fragment.len();
            return self.inner.write_string_fragment(writer, fragment);
        }
        let mut plain = beginning(fragment, room);
        self.cut = plain.len() < fragment.len();
        self.written += escaped(plain);
        while let Some((before, at, after)) = split_at_hidden(plain) {
            self.inner.write_string_fragment(writer, before)?;
            write!(writer, "\\u{:04x}", u32::from(at))?;
            plain = after;
        }
        self.inner.write_string_fragment(writer, plain)
    }
}

/// What stands behind a text that was cut.
fn cut_mark(bytes: usize, digest: Hash) -> String {
    format!("… ({bytes} bytes, sha256:{digest})")
}

/// Bytes that a character takes in a record.
fn cost(c: char) -> usize {
    match c {
        '"' | '\\' => 2,
        c if c < ' ' || is_hidden(c) => 6,
        c => c.len_utf8(),
    }
}

/// Bytes that a text takes in a record.
pub(in crate::audit) fn escaped(text: &str) -> usize {
    text.chars().map(cost).sum()
}

/// The beginning of a text that takes no more than so many bytes in a record.
pub(in crate::audit) fn beginning(text: &str, most: usize) -> &str {
    let mut taken = 0;
    let end = text.char_indices().find(|(_, c)| {
        taken += cost(*c);
        taken > most
    });
    end.map_or(text, |(at, _)| text.get(..at).unwrap_or_default())
}

/// Writes a name as text of bounded length.
pub(in crate::audit) fn name<S: serde::Serializer>(name: &str, serializer: S) -> Result<S::Ok, S::Error> {
    let start = beginning(name, MOST_NAME);
    if start.len() == name.len() {
        return serializer.serialize_str(name);
    }
    serializer.serialize_str(&format!("{start}{}", cut_mark(name.len(), Hash::of(name.as_bytes()))))
}

/// The same of a name that may be missing.
pub(in crate::audit) fn some_name<S: serde::Serializer>(
    given: &Option<String>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match given {
        Some(given) => name(given, serializer),
        None => serializer.serialize_none(),
    }
}

fn split_at_hidden(text: &str) -> Option<(&str, char, &str)> {
    let (at, hidden) = text.char_indices().find(|&(_, c)| is_hidden(c))?;
    Some((text.get(..at)?, hidden, text.get(at + hidden.len_utf8()..)?))
}

fn is_hidden(c: char) -> bool {
    matches!(c, '\u{7f}'..='\u{9f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// The value as JSON without a line break; `None` where it has no JSON form.
pub(in crate::audit) fn one_line<T: Serialize + ?Sized>(value: &T) -> Option<String> {
    write(value, MOST_TEXT)
}

/// The same with every text as long as it is.
pub(in crate::audit) fn whole_line<T: Serialize + ?Sized>(value: &T) -> Option<String> {
    write(value, usize::MAX)
}

fn write<T: Serialize + ?Sized>(value: &T, most: usize) -> Option<String> {
    let mut bytes = Vec::with_capacity(512);
    value.serialize(&mut Serializer::with_formatter(&mut bytes, OneLine::new(most))).ok()?;
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_takes_too_much_room_is_cut_and_told_by_length_and_digest() {
        for (what, text) in [
            ("letters", "x".repeat(5_000)),
            ("control characters", "\u{1}".repeat(5_000)),
            ("hidden characters", "\u{202e}".repeat(5_000)),
            ("quotes", "\"".repeat(5_000)),
            ("long characters", "\u{1f600}".repeat(5_000)),
        ] {
            let line = one_line(&[&text, "next"]).unwrap();
            assert!(line.len() < MOST_TEXT + 200, "{what}: {}", line.len());
            let read: Vec<String> = serde_json::from_str(&line).unwrap();
            let (start, mark) = read[0].rsplit_once('…').unwrap();
            assert!(text.starts_with(start) && !start.is_empty(), "{what}");
            assert_eq!(mark, format!(" ({} bytes, sha256:{})", text.len(), Hash::of(text.as_bytes())), "{what}");
            assert_eq!(read[1], "next");
            assert_eq!(serde_json::from_str::<Vec<String>>(&whole_line(&[&text]).unwrap()).unwrap(), [text]);
        }
        let fits = "é\n".repeat(500);
        assert_eq!(serde_json::from_str::<Vec<String>>(&one_line(&[&fits]).unwrap()).unwrap(), [fits]);
    }
}
