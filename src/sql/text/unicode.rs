//! Unicode escapes of `U&'..'`, `U&".."` and `E'\u....'`.

use crate::error::{Refusal, Stage};

fn refuse() -> Refusal {
    Refusal::syntax(Stage::Parse, "a Unicode escape is not valid")
}

/// Undoes `\XXXX` and `\+XXXXXX`, where `escape` stands for the backslash.
///
/// # Errors
/// 42601 for an escape that is cut short, a NUL or half a surrogate pair.
pub(in crate::sql) fn decode(text: &str, escape: char) -> Result<String, Refusal> {
    let mut value = String::with_capacity(text.len());
    let mut surrogate = None;
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let tail = rest.get(first.len_utf8()..).unwrap_or("");
        if first != escape || tail.starts_with(escape) {
            if surrogate.is_some() {
                return Err(refuse());
            }
            value.push(first);
            rest = if first == escape { tail.get(escape.len_utf8()..).unwrap_or("") } else { tail };
            continue;
        }
        let (digits, length) = match tail.strip_prefix('+') {
            Some(digits) => (digits, 6),
            None => (tail, 4),
        };
        let code = digits.get(..length).filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit())).ok_or_else(refuse)?;
        let code = u32::from_str_radix(code, 16).map_err(|_| refuse())?;
        if let Some(c) = join(&mut surrogate, code)? {
            value.push(c);
        }
        rest = digits.get(length..).unwrap_or("");
    }
    if surrogate.is_some() { Err(refuse()) } else { Ok(value) }
}

/// One code unit: a character, or nothing yet where it is the first of a surrogate pair.
///
/// # Errors
/// 42601 for a NUL, half a pair, or a code that is no character.
pub(in crate::sql) fn join(surrogate: &mut Option<u32>, code: u32) -> Result<Option<char>, Refusal> {
    match (surrogate.take(), code) {
        (None, 0xD800..=0xDBFF) => {
            *surrogate = Some(code);
            Ok(None)
        }
        (Some(high), 0xDC00..=0xDFFF) => {
            let code = 0x10000 + ((high & 0x3FF) << 10) + (code & 0x3FF);
            char::from_u32(code).map(Some).ok_or_else(refuse)
        }
        (Some(_), _) | (None, 0) => Err(refuse()),
        (None, code) => char::from_u32(code).map(Some).ok_or_else(refuse),
    }
}
