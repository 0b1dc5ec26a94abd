//! JSON on one line, whatever the text holds.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::Serializer;
use serde_json::ser::{CompactFormatter, Formatter};

/// Writes JSON as `serde_json` does, and escapes besides what some readers take for a line's end or a terminal for a
/// command: DEL and the C1 controls, U+2028, U+2029, marks that reverse the direction of text, and U+FEFF.
struct OneLine(CompactFormatter);

impl Formatter for OneLine {
    fn write_string_fragment<W: ?Sized + Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        let mut plain = fragment;
        while let Some((before, at, after)) = split_at_hidden(plain) {
            self.0.write_string_fragment(writer, before)?;
            write!(writer, "\\u{:04x}", u32::from(at))?;
            plain = after;
        }
        self.0.write_string_fragment(writer, plain)
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
    let mut bytes = Vec::with_capacity(512);
    value.serialize(&mut Serializer::with_formatter(&mut bytes, OneLine(CompactFormatter))).ok()?;
    String::from_utf8(bytes).ok()
}
