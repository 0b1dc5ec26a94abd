//! Strings and quoted names: `'..'`, `E'..'`, `U&'..'`, `$tag$..$tag$`, `".."`.

use super::{Lexer, is_name_part, is_name_start, is_space, refuse};
use crate::error::Refusal;
use crate::sql::text::unicode;

impl Lexer<'_> {
    /// `'...'` after a prefix of `skip` bytes that ends with the quote, continued over line breaks; doubled quotes undone.
    pub(super) fn quoted_string(&mut self, skip: usize) -> Result<String, Refusal> {
        self.at += skip;
        let mut value = String::new();
        loop {
            let part = self.until(b'\'')?;
            value.push_str(part);
            self.at += part.len() + 1;
            if self.byte(0) == b'\'' {
                self.at += 1;
                value.push('\'');
            } else if !self.continues() {
                return Ok(value);
            }
        }
    }

    pub(super) fn quoted_name(&mut self, skip: usize) -> Result<String, Refusal> {
        self.at += skip;
        let mut value = String::new();
        loop {
            let part = self.until(b'"')?;
            value.push_str(part);
            self.at += part.len() + 1;
            if self.byte(0) == b'"' {
                self.at += 1;
                value.push('"');
            } else if value.is_empty() {
                return Err(refuse("a quoted name is empty"));
            } else {
                return Ok(value);
            }
        }
    }

    /// After a closing quote: whether white space with a line break and another quote follow, so that the string goes
    /// on; moves behind that quote if so. Comments to the end of a line count as white space here.
    fn continues(&mut self) -> bool {
        let mut at = 0;
        let mut newline = false;
        loop {
            match (self.byte(at), self.byte(at + 1)) {
                (b'\n' | b'\r', _) => {
                    newline = true;
                    at += 1;
                }
                (b' ' | b'\t' | b'\x0c', _) => at += 1,
                (b'-', b'-') => {
                    while self.at + at < self.text.len() && !matches!(self.byte(at), b'\n' | b'\r') {
                        at += 1;
                    }
                }
                (b'\'', _) if newline => {
                    self.at += at + 1;
                    return true;
                }
                _ => return false,
            }
        }
    }

    pub(super) fn escape_string(&mut self) -> Result<String, Refusal> {
        self.at += 2;
        let mut value = Vec::new();
        let mut surrogate: Option<u32> = None;
        loop {
            if self.at >= self.text.len() {
                return Err(refuse("a quote is not closed"));
            }
            let byte = self.byte(0);
            let unicode = byte == b'\\' && matches!(self.byte(1), b'u' | b'U');
            if surrogate.is_some() && !unicode {
                return Err(refuse("a surrogate pair in a string is not complete"));
            }
            match byte {
                0 => return Err(refuse("a NUL byte stands in the statement")),
                b'\'' if self.byte(1) == b'\'' => {
                    value.push(b'\'');
                    self.at += 2;
                }
                b'\'' => {
                    self.at += 1;
                    if !self.continues() {
                        break;
                    }
                }
                b'\\' if unicode => {
                    let length = if self.byte(1) == b'u' { 4 } else { 8 };
                    let digits = self.text.get(self.at + 2..self.at + 2 + length).unwrap_or("");
                    if digits.len() != length || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
                        return Err(refuse("a Unicode escape in a string is not complete"));
                    }
                    let code = u32::from_str_radix(digits, 16).map_err(|_| refuse("a Unicode escape is not valid"))?;
                    if let Some(c) = unicode::join(&mut surrogate, code)? {
                        let mut buffer = [0; 4];
                        value.extend_from_slice(c.encode_utf8(&mut buffer).as_bytes());
                    }
                    self.at += 2 + length;
                }
                b'\\' => self.escape(&mut value)?,
                _ => {
                    value.push(byte);
                    self.at += 1;
                }
            }
        }
        if value.contains(&0) {
            return Err(refuse("an escape in a string is a NUL byte"));
        }
        String::from_utf8(value).map_err(|_| refuse("the escapes in a string do not form UTF-8"))
    }

    /// A backslash and what it escapes, but for `\u`.
    fn escape(&mut self, value: &mut Vec<u8>) -> Result<(), Refusal> {
        let next = self.byte(1);
        self.at += 1;
        match next {
            0 => return Err(refuse("a quote is not closed")),
            b'0'..=b'7' => {
                let mut code = 0u32;
                let mut digits = 0;
                while digits < 3 && matches!(self.byte(0), b'0'..=b'7') {
                    code = code * 8 + u32::from(self.byte(0) - b'0');
                    digits += 1;
                    self.at += 1;
                }
                // Three octal digits may exceed a byte; PostgreSQL keeps the low eight bits.
                value.push((code & 0xff) as u8);
                return Ok(());
            }
            b'x' if self.byte(1).is_ascii_hexdigit() => {
                self.at += 1;
                let mut code = 0u32;
                let mut digits = 0;
                while let (true, Some(digit)) = (digits < 2, char::from(self.byte(0)).to_digit(16)) {
                    code = code * 16 + digit;
                    digits += 1;
                    self.at += 1;
                }
                value.push((code & 0xff) as u8);
                return Ok(());
            }
            b'b' => value.push(8),
            b'f' => value.push(12),
            b'n' => value.push(10),
            b'r' => value.push(13),
            b't' => value.push(9),
            b'v' => value.push(11),
            other => value.push(other),
        }
        self.at += 1;
        Ok(())
    }

    pub(super) fn dollar_string(&mut self) -> Result<String, Refusal> {
        let rest = self.text_from();
        let tag = rest.get(1..).and_then(|tail| tail.find('$').and_then(|end| tail.get(..end)));
        let tag =
            tag.filter(|tag| tag.bytes().enumerate().all(|(at, b)| is_name_start(b) || (at > 0 && b.is_ascii_digit())));
        let tag = tag.ok_or_else(|| refuse("a dollar sign starts neither a parameter nor a quoted string"))?;
        let delimiter = rest.get(..tag.len() + 2).unwrap_or("");
        let body = rest.get(delimiter.len()..).unwrap_or("");
        // PostgreSQL's lexer skips another `$tag$` but for its last `$`: a plain search finds the same place.
        let end = body.find(delimiter).ok_or_else(|| refuse("a dollar-quoted string is not closed"))?;
        let value = body.get(..end).unwrap_or("").to_owned();
        let length = delimiter.len() * 2 + end;
        if value.contains('\0') {
            return Err(refuse("a NUL byte stands in the statement"));
        }
        self.at += length;
        Ok(value)
    }

    /// After `U&'..'`: the escape character, from `UESCAPE '!'` where that follows.
    pub(super) fn uescape(&mut self) -> Result<char, Refusal> {
        let end = self.at;
        loop {
            self.skip_while(is_space);
            match (self.byte(0), self.byte(1)) {
                (b'-', b'-') => self.skip_while(|b| b != b'\n' && b != b'\r'),
                (b'/', b'*') => self.block_comment()?,
                _ => break,
            }
        }
        let word = self.rest().get(..7).is_some_and(|word| word.eq_ignore_ascii_case("uescape"));
        if !word || is_name_part(self.byte(7)) {
            self.at = end;
            return Ok('\\');
        }
        self.at += 7;
        self.skip_while(is_space);
        if self.byte(0) != b'\'' {
            return Err(refuse("UESCAPE is not followed by a plain string of one character"));
        }
        let value = self.quoted_string(1)?;
        let mut chars = value.chars();
        match (chars.next(), chars.next()) {
            (Some(c), None)
                if c.is_ascii() && !c.is_ascii_hexdigit() && !matches!(c, '+' | '\'' | '"') && !is_space(c as u8) =>
            {
                Ok(c)
            }
            _ => Err(refuse("UESCAPE is not followed by a plain string of one character")),
        }
    }
}

impl<'a> Lexer<'a> {
    /// The text up to the next `quote`.
    fn until(&self, quote: u8) -> Result<&'a str, Refusal> {
        let rest = self.text_from();
        let end = rest.bytes().position(|b| b == quote || b == 0);
        match end.and_then(|end| Some((rest.as_bytes().get(end)?, rest.get(..end)?))) {
            Some((found, part)) if *found == quote => Ok(part),
            Some(_) => Err(refuse("a NUL byte stands in the statement")),
            None => Err(refuse("a quote is not closed")),
        }
    }

    /// The rest of the text, for as long as the text lives.
    fn text_from(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or("")
    }
}
