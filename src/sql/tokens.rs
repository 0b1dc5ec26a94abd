//! Our tokens into sqlparser's, so that its own lexer never sees the text.
//!
//! * Words that are no key words of PostgreSQL's get no key word of sqlparser's either.
//! * Names and strings are decoded; [`super::render`] writes them.
//! * Forms that sqlparser does not parse are put in an equal form that it does (`TABLE t` is `SELECT * FROM t`, also in
//!   PostgreSQL's tree), or marked with names that no client can write ([`super::marker`]).

use sqlparser::tokenizer::{Token as Out, Word};

use super::keywords::category;
use super::lex::{Kind, Token};
use super::marker;
use crate::error::{Refusal, Stage};

/// Makes sqlparser's tokens of one statement's. Comments are left out.
///
/// # Errors
/// 42601 and 0A000 for forms that are not carried out.
pub(super) fn stream(tokens: &[Token]) -> Result<Vec<Out>, Refusal> {
    let tokens: Vec<&Token> = tokens.iter().filter(|token| token.kind != Kind::Comment).collect();
    let mut stream = Stream { tokens: &tokens, at: 0, out: Vec::with_capacity(tokens.len() + 8) };
    while stream.at < tokens.len() {
        stream.step()?;
    }
    Ok(stream.out)
}

struct Stream<'a> {
    tokens: &'a [&'a Token],
    at: usize,
    out: Vec<Out>,
}

fn plain(word: &str) -> Out {
    Out::make_keyword(word)
}

fn name(value: &str, quote_style: Option<char>) -> Out {
    Out::Word(Word { value: value.to_owned(), quote_style, keyword: sqlparser::keywords::Keyword::NoKeyword })
}

impl Stream<'_> {
    fn peek(&self, ahead: usize) -> Option<&Token> {
        self.tokens.get(self.at + ahead).copied()
    }

    fn is_word(&self, ahead: usize, word: &str) -> bool {
        self.peek(ahead).is_some_and(|token| token.is_word(word))
    }

    fn is_symbol(&self, ahead: usize, symbol: &str) -> bool {
        self.peek(ahead).is_some_and(|token| token.is_symbol(symbol))
    }

    /// The token before this one.
    fn before(&self) -> Option<&Token> {
        self.at.checked_sub(1).and_then(|at| self.tokens.get(at).copied())
    }

    /// Behind a dot or AS every word is a name.
    fn is_label(&self) -> bool {
        self.before().is_some_and(|token| token.is_symbol(".") || token.is_word("as"))
    }

    fn step(&mut self) -> Result<(), Refusal> {
        let Some(token) = self.tokens.get(self.at).copied() else { return Ok(()) };
        match &token.kind {
            Kind::Comment => {}
            Kind::Word(word) => return self.word(word),
            Kind::Quoted(value) => self.out.push(name(value, Some('"'))),
            Kind::Text(value) => self.out.push(Out::SingleQuotedString(value.clone())),
            Kind::National(value) => {
                if value.contains('\\') {
                    return Err(Refusal::unsupported(Stage::Parse, "a national string holds a backslash")
                        .hint("write it as a plain string"));
                }
                self.out.push(Out::NationalStringLiteral(value.clone()));
            }
            Kind::Bits(value) => self.out.push(Out::SingleQuotedByteStringLiteral(value.clone())),
            Kind::Hex(value) => self.out.push(Out::HexStringLiteral(value.clone())),
            Kind::Number { text, .. } => self.out.push(Out::Number(text.clone(), false)),
            Kind::Param(number) => self.out.push(Out::Placeholder(format!("${number}"))),
            Kind::Symbol(symbol) => self.out.push(operator(symbol)?),
        }
        self.at += 1;
        Ok(())
    }

    fn word(&mut self, word: &str) -> Result<(), Refusal> {
        let label = self.is_label();
        match word {
            _ if label => {}
            "isnull" if !self.is_symbol(1, "(") => return self.replace(1, &["IS", "NULL"]),
            "notnull" if !self.is_symbol(1, "(") => return self.replace(1, &["IS", "NOT", "NULL"]),
            "limit" if self.is_word(1, "all") => return self.replace(2, &["LIMIT", "NULL"]),
            "table" if !self.before().is_some_and(|token| token.is_word("into")) => {
                self.out.push(plain("SELECT"));
                self.out.push(Out::Mul);
                return self.replace(1, &["FROM"]);
            }
            "only" if !self.before().is_some_and(|token| token.is_word("row") || token.is_word("rows")) => {
                return self.only();
            }
            "overriding" if self.is_word(2, "value") => {
                let marker = match (self.is_word(1, "user"), self.is_word(1, "system")) {
                    (true, _) => marker::OVERRIDING_USER,
                    (_, true) => marker::OVERRIDING_SYSTEM,
                    (false, false) => return Err(Refusal::syntax(Stage::Parse, "OVERRIDING is followed by neither USER nor SYSTEM")),
                };
                self.out.extend([plain("PARTITION"), Out::LParen, name(marker, None), Out::RParen]);
                self.at += 3;
                return Ok(());
            }
            _ => {}
        }
        let after_dot = self.before().is_some_and(|token| token.is_symbol("."));
        let sample = self.before().is_some_and(|token| token.is_word("tablesample"));
        let out = if !after_dot && (category(word).is_some() || sample) { plain(word) } else { name(word, None) };
        self.out.push(out);
        self.at += 1;
        Ok(())
    }

    fn replace(&mut self, length: usize, words: &[&str]) -> Result<(), Refusal> {
        self.out.extend(words.iter().map(|word| plain(word)));
        self.at += length;
        Ok(())
    }

    /// `ONLY t` and `ONLY (t)`: a marker as the first part of the name.
    fn only(&mut self) -> Result<(), Refusal> {
        self.out.push(name(marker::ONLY, None));
        self.out.push(Out::Period);
        self.at += 1;
        if !self.is_symbol(0, "(") {
            return Ok(());
        }
        self.at += 1;
        while !self.is_symbol(0, ")") {
            if self.peek(0).is_none() {
                return Err(Refusal::syntax(Stage::Parse, "ONLY ( is not closed"));
            }
            self.step()?;
        }
        self.at += 1;
        Ok(())
    }
}

/// A symbol as sqlparser has it. Operators that are neither arithmetic nor comparison are all custom ones to it.
fn operator(symbol: &str) -> Result<Out, Refusal> {
    Ok(match symbol {
        "," => Out::Comma,
        "(" => Out::LParen,
        ")" => Out::RParen,
        "[" => Out::LBracket,
        "]" => Out::RBracket,
        "." => Out::Period,
        ";" => Out::SemiColon,
        ":" => Out::Colon,
        "::" => Out::DoubleColon,
        ":=" => Out::Assignment,
        "=>" => Out::RArrow,
        "+" => Out::Plus,
        "-" => Out::Minus,
        "*" => Out::Mul,
        "/" => Out::Div,
        "%" => Out::Mod,
        "^" => Out::Caret,
        "<" => Out::Lt,
        ">" => Out::Gt,
        "=" => Out::Eq,
        "<=" => Out::LtEq,
        ">=" => Out::GtEq,
        "<>" => Out::Neq,
        "||" => Out::StringConcat,
        ".." => return Err(Refusal::syntax(Stage::Parse, "`..` stands in the statement")),
        other => Out::CustomBinaryOperator(other.to_owned()),
    })
}
