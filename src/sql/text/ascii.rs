//! A text in ASCII alone that means the same, whatever encoding the database reads it in.

use std::borrow::Cow;
use std::fmt::Write as _;

use super::lex::{Kind, lex};

/// The same statement in ASCII: names as `U&"..."`, constants as `E'...'`, comments left out. `None` where a character beyond ASCII
/// stands elsewhere.
///
/// A session may speak another encoding than UTF-8 by the time that the database reads a text; what was decided is what runs all the same.
pub fn in_ascii(text: &str) -> Option<Cow<'_, str>> {
    if text.is_ascii() {
        return Some(Cow::Borrowed(text));
    }
    let mut out = String::with_capacity(text.len().saturating_mul(2));
    let mut at = 0;
    for token in lex(text).ok()? {
        let (between, written) = (text.get(at..token.start)?, text.get(token.start..token.end)?);
        if !between.is_ascii() {
            return None;
        }
        out.push_str(between);
        at = token.end;
        if written.is_ascii() {
            out.push_str(written);
            continue;
        }
        // What stands before it must not come to be a part of it.
        out.push(' ');
        match &token.kind {
            Kind::Comment => {}
            Kind::Word(name) | Kind::Quoted(name) => {
                out.push_str("U&\"");
                name.chars().for_each(|c| put(&mut out, c, '"', ['+', '6']));
                out.push('"');
            }
            Kind::Text(value) => {
                out.push_str("E'");
                value.chars().for_each(|c| put(&mut out, c, '\'', ['U', '8']));
                out.push('\'');
            }
            Kind::National(_)
            | Kind::Bits(_)
            | Kind::Hex(_)
            | Kind::Number { .. }
            | Kind::Param(_)
            | Kind::Symbol(_) => {
                return None;
            }
        }
    }
    let rest = text.get(at..)?;
    out.push_str(rest);
    rest.is_ascii().then_some(Cow::Owned(out))
}

/// One character: `quote` and backslashes doubled; beyond ASCII `\\XXXX` or `\\+XXXXXX` in names, `\\uXXXX` or `\\UXXXXXXXX` in constants.
fn put(out: &mut String, c: char, quote: char, long: [char; 2]) {
    let in_name = long == ['+', '6'];
    let code = u32::from(c);
    // Writing to a string cannot fail.
    let _ = match code {
        _ if c == quote || c == '\\' => write!(out, "{c}{c}"),
        0..0x80 => write!(out, "{c}"),
        0x80..0x1_0000 if in_name => write!(out, "\\{code:04x}"),
        0x80..0x1_0000 => write!(out, "\\u{code:04x}"),
        _ if in_name => write!(out, "\\+{code:06x}"),
        _ => write!(out, "\\U{code:08x}"),
    };
}
