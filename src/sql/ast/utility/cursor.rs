//! A place in a list of tokens.

use crate::catalog::{quote_ident, quote_literal};
use crate::error::{Refusal, Stage};
use crate::sql::text::keywords::{Category, category};
use crate::sql::text::lex::{Kind, Token};

/// Reads tokens one after the other.
#[derive(Debug, Clone)]
pub(super) struct Cursor<'a> {
    tokens: &'a [Token],
    /// The statement's kind, for messages.
    kind: &'static str,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(tokens: &'a [Token], kind: &'static str) -> Self {
        Self { tokens, kind }
    }

    /// What is left.
    pub(super) fn rest(&self) -> &'a [Token] {
        self.tokens
    }

    pub(super) fn at_end(&self) -> bool {
        self.tokens.is_empty()
    }

    pub(super) fn peek(&self, ahead: usize) -> Option<&'a Token> {
        self.tokens.get(ahead)
    }

    pub(super) fn is_word(&self, word: &str) -> bool {
        self.peek(0).is_some_and(|token| token.is_word(word))
    }

    pub(super) fn is_symbol(&self, symbol: &str) -> bool {
        self.peek(0).is_some_and(|token| token.is_symbol(symbol))
    }

    pub(super) fn skip(&mut self) -> Option<&'a Token> {
        let (first, rest) = self.tokens.split_first()?;
        self.tokens = rest;
        Some(first)
    }

    /// Moves behind these words, if they stand here.
    pub(super) fn words(&mut self, words: &[&str]) -> bool {
        let found = words.iter().enumerate().all(|(at, word)| self.peek(at).is_some_and(|token| token.is_word(word)));
        if found {
            self.tokens = self.tokens.get(words.len()..).unwrap_or(&[]);
        }
        found
    }

    /// Moves behind the first of these words that stands here.
    pub(super) fn one_of(&mut self, words: &[&'static str]) -> Option<&'static str> {
        words.iter().find(|word| self.words(&[word])).copied()
    }

    pub(super) fn symbol(&mut self, symbol: &str) -> bool {
        let found = self.is_symbol(symbol);
        if found {
            self.skip();
        }
        found
    }

    /// # Errors
    /// 42601 where the words do not stand here.
    pub(super) fn expect_words(&mut self, words: &[&str]) -> Result<(), Refusal> {
        if self.words(words) { Ok(()) } else { Err(self.refuse()) }
    }

    /// # Errors
    /// 42601 where the symbol does not stand here.
    pub(super) fn expect_symbol(&mut self, symbol: &str) -> Result<(), Refusal> {
        if self.symbol(symbol) { Ok(()) } else { Err(self.refuse()) }
    }

    /// # Errors
    /// 42601 where something is left.
    pub(super) fn end(&self) -> Result<(), Refusal> {
        if self.at_end() { Ok(()) } else { Err(self.refuse()) }
    }

    /// A name of a column, table, cursor, channel ..: quoted, or no reserved word.
    ///
    /// # Errors
    /// 42601 where none stands here.
    pub(super) fn name(&mut self) -> Result<String, Refusal> {
        let refusal = self.refuse();
        match self.skip().map(|token| &token.kind) {
            Some(Kind::Quoted(name)) => Ok(name.clone()),
            Some(Kind::Word(name))
                if matches!(category(name), None | Some(Category::Unreserved | Category::ColumnName)) =>
            {
                Ok(name.clone())
            }
            _ => Err(refusal),
        }
    }

    /// Any word, reserved or not, or a quoted name.
    ///
    /// # Errors
    /// 42601 where none stands here.
    pub(super) fn label(&mut self) -> Result<String, Refusal> {
        let refusal = self.refuse();
        match self.skip().map(|token| &token.kind) {
            Some(Kind::Quoted(name) | Kind::Word(name)) => Ok(name.clone()),
            _ => Err(refusal),
        }
    }

    /// `name` or `schema.name`.
    ///
    /// # Errors
    /// 42601 where none stands here.
    pub(super) fn qualified(&mut self) -> Result<(Option<String>, String), Refusal> {
        let first = self.name()?;
        if !self.symbol(".") {
            return Ok((None, first));
        }
        let second = self.label()?;
        if self.is_symbol(".") {
            return Err(Refusal::unsupported(Stage::Parse, "a table is named with its database")
                .hint("name it as `schema.table`"));
        }
        Ok((Some(first), second))
    }

    /// A string constant.
    ///
    /// # Errors
    /// 42601 where none stands here.
    pub(super) fn text(&mut self) -> Result<String, Refusal> {
        let refusal = self.refuse();
        match self.skip().map(|token| &token.kind) {
            Some(Kind::Text(text)) => Ok(text.clone()),
            _ => Err(refusal),
        }
    }

    /// A number with an optional sign, as text; nothing where none stands here.
    pub(super) fn number(&mut self) -> Option<String> {
        let sign = match self.peek(0) {
            Some(token) if token.is_symbol("-") => "-",
            Some(token) if token.is_symbol("+") => "+",
            _ => "",
        };
        let Some(Kind::Number { text, .. }) = self.peek(sign.len()).map(|token| &token.kind) else { return None };
        self.tokens = self.tokens.get(sign.len() + 1..).unwrap_or(&[]);
        Some(format!("{sign}{text}"))
    }

    /// A whole number with an optional sign; nothing where none stands here.
    ///
    /// # Errors
    /// 42601 where it is not whole, or too large.
    pub(super) fn whole(&mut self) -> Result<Option<i64>, Refusal> {
        let refusal = self.refuse();
        match self.number() {
            None => Ok(None),
            Some(text) => text.parse::<i32>().map(|number| Some(i64::from(number))).map_err(|_| refusal),
        }
    }

    /// Tokens up to the `)` that closes the `(` behind which this stands, which is skipped too; parted at the commas between.
    ///
    /// # Errors
    /// 42601 where the parenthesis is not closed.
    pub(super) fn parts(&mut self) -> Result<Vec<&'a [Token]>, Refusal> {
        let tokens = self.tokens;
        let mut parts = Vec::new();
        let (mut depth, mut start) = (0usize, 0usize);
        for (at, token) in tokens.iter().enumerate() {
            if token.is_symbol("(") || token.is_symbol("[") {
                depth += 1;
            } else if depth > 0 && (token.is_symbol(")") || token.is_symbol("]")) {
                depth -= 1;
            } else if depth == 0 && (token.is_symbol(",") || token.is_symbol(")")) {
                parts.push(tokens.get(start..at).unwrap_or(&[]));
                start = at + 1;
                if token.is_symbol(")") {
                    self.tokens = tokens.get(start..).unwrap_or(&[]);
                    return Ok(parts);
                }
            }
        }
        Err(self.refuse())
    }

    /// 42601 at this place; names the word here, never a literal.
    pub(super) fn refuse(&self) -> Refusal {
        let near = match self.peek(0).map(|token| &token.kind) {
            None => "at its end".to_owned(),
            Some(Kind::Word(word) | Kind::Quoted(word) | Kind::Symbol(word)) => format!("near `{word}`"),
            Some(
                Kind::Comment
                | Kind::Text(_)
                | Kind::National(_)
                | Kind::Bits(_)
                | Kind::Hex(_)
                | Kind::Number { .. }
                | Kind::Param(_),
            ) => "near a constant".to_owned(),
        };
        Refusal::syntax(Stage::Parse, format!("the {} statement is not understood {near}", self.kind))
    }
}

/// Tokens as SQL text, names and strings written anew.
pub(super) fn text_of(tokens: &[Token]) -> String {
    tokens.iter().map(canonical).collect::<Vec<_>>().join(" ")
}

/// A token in the one form that means the same to PostgreSQL.
pub(in crate::sql) fn canonical(token: &Token) -> String {
    match &token.kind {
        Kind::Comment => String::new(),
        Kind::Word(word) | Kind::Symbol(word) => word.clone(),
        Kind::Quoted(name) => quote_ident(name),
        Kind::Text(text) => quote_literal(text),
        Kind::National(text) => format!("N'{}'", text.replace('\'', "''")),
        Kind::Bits(digits) => format!("B'{digits}'"),
        Kind::Hex(digits) => format!("X'{digits}'"),
        Kind::Number { text, newer: _ } => text.clone(),
        Kind::Param(number) => format!("${number}"),
    }
}
