//! PostgreSQL's lexical rules: one pass, linear, no recursion.
//!
//! Source: "Lexical Structure" in PostgreSQL's documentation, version 15, with `standard_conforming_strings` on. What an
//! older or newer server reads otherwise is marked ([`Kind::Number`]) or refused.

mod strings;

use super::limits;
use crate::error::{Refusal, SqlState, Stage};

/// Longest name in bytes; the rest is cut.
pub(in crate::sql) const NAME_BYTES: usize = 63;
/// Comments nest so far; libpg_query's time is quadratic in it.
const COMMENT_DEPTH: usize = 64;

/// A run of operator characters is read no further than this.
const OPERATOR_RUN: usize = 256;

/// A token and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::sql) struct Token {
    pub(in crate::sql) kind: Kind,
    /// Byte offsets into the text.
    pub(in crate::sql) start: usize,
    pub(in crate::sql) end: usize,
}

/// What a token is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::sql) enum Kind {
    /// `--` to the end of the line, or `/* */`.
    Comment,
    /// A key word or a name without quotes: folded to lower case and cut at 63 bytes.
    Word(String),
    /// A quoted name, decoded and cut at 63 bytes.
    Quoted(String),
    /// A string constant of any form, decoded.
    Text(String),
    /// `N'...'`, decoded: PostgreSQL reads a cast to `bpchar`.
    National(String),
    /// `B'...'`: its digits.
    Bits(String),
    /// `X'...'`: its digits.
    Hex(String),
    /// A number as written. `newer`: a form that servers before 16 do not read (`1_000`, `0x1F`).
    Number {
        /// As written.
        text: String,
        /// Needs 16.
        newer: bool,
    },
    /// `$1`.
    Param(u32),
    /// An operator or punctuation: `,` `(` `::` `..` `:=` `=>` `<>` `@>` ..; `!=` is given as `<>`.
    Symbol(String),
}

impl Token {
    /// Whether it is this key word, without quotes. `word` is lower case.
    pub(in crate::sql) fn is_word(&self, word: &str) -> bool {
        matches!(&self.kind, Kind::Word(held) if held == word)
    }

    /// Whether it is this symbol.
    pub(in crate::sql) fn is_symbol(&self, symbol: &str) -> bool {
        matches!(&self.kind, Kind::Symbol(held) if held == symbol)
    }
}

/// All tokens of a text, comments too.
///
/// # Errors
/// 42601 for what PostgreSQL's lexer refuses, 54001 for comments nested too deep or too many tokens.
pub(in crate::sql) fn lex(text: &str) -> Result<Vec<Token>, Refusal> {
    lex_with(text, limits::message())
}

/// The same, where `check` may refuse each token as it comes.
///
/// # Errors
/// As [`lex`], and what `check` refuses.
pub(in crate::sql) fn lex_with(
    text: &str,
    mut check: impl FnMut(&Kind) -> Result<(), Refusal>,
) -> Result<Vec<Token>, Refusal> {
    let mut lexer = Lexer { text, at: 0, tokens: Vec::new() };
    while lexer.next_token()? {
        if let Some(token) = lexer.tokens.last() {
            check(&token.kind)?;
        }
    }
    Ok(lexer.tokens)
}

fn refuse(message: &str) -> Refusal {
    Refusal::syntax(Stage::Parse, message)
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
    tokens: Vec<Token>,
}

impl Lexer<'_> {
    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or("")
    }

    fn byte(&self, ahead: usize) -> u8 {
        self.text.as_bytes().get(self.at + ahead).copied().unwrap_or(0)
    }

    fn slice(&self, start: usize) -> &str {
        self.text.get(start..self.at).unwrap_or("")
    }

    fn push(&mut self, start: usize, kind: Kind) {
        self.tokens.push(Token { kind, start, end: self.at });
    }

    fn skip_while(&mut self, keep: impl Fn(u8) -> bool) {
        while self.at < self.text.len() && keep(self.byte(0)) {
            self.at += 1;
        }
    }

    /// One token; false at the end.
    fn next_token(&mut self) -> Result<bool, Refusal> {
        self.skip_while(is_space);
        let start = self.at;
        if start >= self.text.len() {
            return Ok(false);
        }
        let (first, second, third) = (self.byte(0), self.byte(1), self.byte(2));
        match first {
            0 => return Err(refuse("a NUL byte stands in the statement")),
            b'-' if second == b'-' => {
                self.skip_while(|b| b != b'\n' && b != b'\r');
                self.push(start, Kind::Comment);
            }
            b'/' if second == b'*' => {
                self.block_comment()?;
                self.push(start, Kind::Comment);
            }
            b'\'' => {
                let value = self.quoted_string(1)?;
                self.push(start, Kind::Text(value));
            }
            b'e' | b'E' if second == b'\'' => {
                let value = self.escape_string()?;
                self.push(start, Kind::Text(value));
            }
            b'n' | b'N' if second == b'\'' => {
                let value = self.quoted_string(2)?;
                self.push(start, Kind::National(value));
            }
            b'b' | b'B' if second == b'\'' => {
                let value = self.quoted_string(2)?;
                if !value.bytes().all(|b| matches!(b, b'0' | b'1')) {
                    return Err(refuse("a bit string holds another digit than 0 and 1"));
                }
                self.push(start, Kind::Bits(value));
            }
            b'x' | b'X' if second == b'\'' => {
                let value = self.quoted_string(2)?;
                if !value.bytes().all(|b| b.is_ascii_hexdigit()) {
                    return Err(refuse("a hexadecimal string holds another character than its digits"));
                }
                self.push(start, Kind::Hex(value));
            }
            b'u' | b'U' if second == b'&' && third == b'\'' => {
                let value = self.quoted_string(3)?;
                let escape = self.uescape()?;
                let value = super::unicode::decode(&value, escape)?;
                self.push(start, Kind::Text(value));
            }
            b'u' | b'U' if second == b'&' && third == b'"' => {
                let value = self.quoted_name(3)?;
                let escape = self.uescape()?;
                let value = super::unicode::decode(&value, escape)?;
                self.push(start, Kind::Quoted(truncate(value)));
            }
            b'"' => {
                let value = self.quoted_name(1)?;
                self.push(start, Kind::Quoted(truncate(value)));
            }
            b'$' if second.is_ascii_digit() => self.parameter()?,
            b'$' => {
                let value = self.dollar_string()?;
                self.push(start, Kind::Text(value));
            }
            b'0'..=b'9' => self.number()?,
            b'.' if second.is_ascii_digit() => self.number()?,
            b'.' if second == b'.' => self.symbol(2),
            b':' if second == b':' || second == b'=' => self.symbol(2),
            b',' | b'(' | b')' | b'[' | b']' | b'.' | b';' | b':' => self.symbol(1),
            _ if is_name_start(first) => {
                self.skip_while(is_name_part);
                let word = truncate(self.slice(start).to_ascii_lowercase());
                self.push(start, Kind::Word(word));
            }
            _ if is_operator(first) => self.operator()?,
            _ => return Err(refuse("a character stands in the statement that starts no token")),
        }
        Ok(true)
    }

    fn symbol(&mut self, length: usize) {
        let start = self.at;
        self.at += length;
        let text = self.slice(start).to_owned();
        self.push(start, Kind::Symbol(text));
    }

    fn block_comment(&mut self) -> Result<(), Refusal> {
        let mut depth = 0usize;
        loop {
            match (self.byte(0), self.byte(1)) {
                (b'/', b'*') => {
                    depth += 1;
                    self.at += 2;
                    if depth > COMMENT_DEPTH {
                        return Err(Refusal::new(
                            Stage::Parse,
                            SqlState::STATEMENT_TOO_COMPLEX,
                            format!("comments are nested deeper than {COMMENT_DEPTH}"),
                        ));
                    }
                }
                (b'*', b'/') => {
                    depth -= 1;
                    self.at += 2;
                    if depth == 0 {
                        return Ok(());
                    }
                }
                (0, _) if self.at >= self.text.len() => return Err(refuse("a comment is not closed")),
                (0, _) => return Err(refuse("a NUL byte stands in the statement")),
                _ => self.at += 1,
            }
        }
    }

    /// An operator: cut before a comment that starts within it, and a trailing `+` or `-` stays only where one of
    /// ``~ ! @ # ^ & | ` ? %`` stands before it.
    fn operator(&mut self) -> Result<(), Refusal> {
        let start = self.at;
        // Looking no further than this keeps a long run of signs, each a token, from costing its length squared.
        while self.at < start + OPERATOR_RUN && is_operator(self.byte(0)) {
            self.at += 1;
        }
        let run = self.slice(start);
        let comment = ["/*", "--"].iter().filter_map(|comment| run.find(comment)).min();
        if comment.is_none() && run.len() >= OPERATOR_RUN {
            return Err(refuse("an operator is too long"));
        }
        let run = run.get(..comment.unwrap_or(run.len())).unwrap_or("");
        let special = |b| matches!(b, b'~' | b'!' | b'@' | b'#' | b'^' | b'&' | b'|' | b'`' | b'?' | b'%');
        let length = if run.bytes().any(special) { run.len() } else { run.trim_end_matches(['+', '-']).len().max(1) };
        if length > NAME_BYTES {
            return Err(refuse("an operator is too long"));
        }
        self.at = start + length;
        let text = match self.slice(start) {
            "!=" => "<>".to_owned(),
            text => text.to_owned(),
        };
        self.push(start, Kind::Symbol(text));
        Ok(())
    }

    fn parameter(&mut self) -> Result<(), Refusal> {
        let start = self.at;
        self.at += 1;
        self.skip_while(|b| b.is_ascii_digit());
        if is_name_start(self.byte(0)) {
            return Err(refuse("letters stand right behind a parameter"));
        }
        let digits = self.text.get(start + 1..self.at).unwrap_or("");
        let number = digits.parse::<u32>().ok().filter(|n| *n <= i32::MAX as u32);
        let number = number.ok_or_else(|| refuse("a parameter's number is too large"))?;
        self.push(start, Kind::Param(number));
        Ok(())
    }

    fn number(&mut self) -> Result<(), Refusal> {
        let start = self.at;
        let mut newer = false;
        let radix = match (self.byte(0), self.byte(1) | 0x20) {
            (b'0', b'x') => Some(16),
            (b'0', b'o') => Some(8),
            (b'0', b'b') => Some(2),
            _ => None,
        };
        if let Some(radix) = radix {
            self.at += 2;
            newer = true;
            self.digits(radix)?;
        } else {
            if self.byte(0) != b'.' {
                newer |= self.digits(10)?;
            }
            if self.byte(0) == b'.' && self.byte(1) != b'.' {
                self.at += 1;
                if self.byte(0).is_ascii_digit() {
                    newer |= self.digits(10)?;
                }
            }
            if self.byte(0) | 0x20 == b'e' {
                let sign = usize::from(matches!(self.byte(1), b'+' | b'-'));
                if self.byte(1 + sign).is_ascii_digit() {
                    self.at += 1 + sign;
                    newer |= self.digits(10)?;
                }
            }
        }
        let text = self.slice(start).to_owned();
        // `1e5$1` is a number and a parameter, or a number and a name, as the server's version has it.
        let name_like = text.bytes().any(is_name_start) && self.byte(0) == b'$';
        if is_name_start(self.byte(0)) || name_like {
            return Err(refuse("letters stand right behind a number"));
        }
        self.push(start, Kind::Number { text, newer });
        Ok(())
    }

    /// Digits with single underscores between them; whether there were underscores.
    fn digits(&mut self, radix: u32) -> Result<bool, Refusal> {
        let mut newer = false;
        let start = self.at;
        loop {
            let digit = |b: u8| char::from(b).is_digit(radix);
            if digit(self.byte(0)) {
                self.at += 1;
            } else if self.byte(0) == b'_' && digit(self.byte(1)) {
                newer = true;
                self.at += 2;
            } else if self.at == start {
                return Err(refuse("a number has no digits"));
            } else {
                return Ok(newer);
            }
        }
    }
}

pub(in crate::sql) fn is_space(b: u8) -> bool {
    matches!(b, b' ' | b'\t' | b'\n' | b'\r' | b'\x0c')
}

pub(in crate::sql) fn is_name_start(b: u8) -> bool {
    b.is_ascii_alphabetic() || b == b'_' || b >= 0x80
}

pub(in crate::sql) fn is_name_part(b: u8) -> bool {
    is_name_start(b) || b.is_ascii_digit() || b == b'$'
}

fn is_operator(b: u8) -> bool {
    matches!(
        b,
        b'~' | b'!'
            | b'@'
            | b'#'
            | b'^'
            | b'&'
            | b'|'
            | b'`'
            | b'?'
            | b'+'
            | b'-'
            | b'*'
            | b'/'
            | b'%'
            | b'<'
            | b'>'
            | b'='
    )
}

/// Cuts a name at 63 bytes, never within a character.
pub(in crate::sql) fn truncate(mut name: String) -> String {
    if name.len() > NAME_BYTES {
        let end = (0..=NAME_BYTES).rev().find(|end| name.is_char_boundary(*end)).unwrap_or(0);
        name.truncate(end);
    }
    name
}
