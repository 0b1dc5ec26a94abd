//! JSON_TABLE in FROM.
//!
//! What stands in its parentheses becomes the arguments of one call, [`marker::SEQUENCE`]: expressions, each column that it makes as
//! [`marker::MADE_COLUMN`] with its name and type, and all other words as they stand. Written, they stand behind each other.
//!
//! Source: "JSON_TABLE" in the documentation of PostgreSQL 17.

use sqlparser::tokenizer::Token as Out;

use super::{Stream, name, refuse};
use crate::error::Refusal;
use crate::sql::ast::marker;
use crate::sql::ast::utility::canonical;
use crate::sql::text::lex::Kind;

/// Where an expression ends, or the type of a column.
type End = fn(&Stream<'_>) -> bool;

impl Stream<'_> {
    /// Carries out the call that starts here; then it stands behind it.
    pub(super) fn json_table(&mut self) -> Result<bool, Refusal> {
        let Some(closer) = self.closer(self.at + 1) else { return Ok(false) };
        self.out.extend([name("json_table", None), Out::LParen, name(marker::SEQUENCE, None), Out::LParen]);
        self.at += 2;
        self.given(closer)?;
        self.copied(1);
        self.given(closer)?;
        if self.is_word(0, "as") {
            self.copied(2);
        }
        if self.is_word(0, "passing") {
            self.copied(1);
            loop {
                self.given(closer)?;
                // AS and the label.
                self.copied(2);
                if !self.is_symbol(0, ",") {
                    break;
                }
                self.copied(1);
            }
        }
        self.made_columns(closer)?;
        self.copied(closer.saturating_sub(self.at));
        self.out.extend([Out::RParen, Out::RParen]);
        self.at = closer + 1;
        Ok(true)
    }

    /// An expression, perhaps with FORMAT JSON behind it.
    fn given(&mut self, end: usize) -> Result<(), Refusal> {
        self.expression(end, |stream| {
            stream.is_symbol(0, ",")
                || ["as", "passing", "columns"].iter().any(|word| stream.is_word(0, word))
                || (stream.is_word(0, "format") && stream.is_word(1, "json"))
        })?;
        if self.is_word(0, "format") {
            self.copied(if self.is_word(2, "encoding") { 4 } else { 2 });
        }
        Ok(())
    }

    fn expression(&mut self, end: usize, is_end: End) -> Result<(), Refusal> {
        let stop = self.place_of(end, is_end);
        if stop == self.at {
            return Err(refuse("this form of JSON_TABLE is not carried out"));
        }
        self.part();
        self.until(stop)
    }

    /// The first place from here, outside parentheses, where that holds.
    fn place_of(&mut self, end: usize, is_end: End) -> usize {
        let start = self.at;
        while self.at < end && !is_end(self) {
            self.at = self.closer(self.at).unwrap_or(self.at) + 1;
        }
        std::mem::replace(&mut self.at, start).min(end)
    }

    /// `COLUMNS (..)`.
    fn made_columns(&mut self, end: usize) -> Result<(), Refusal> {
        let closer = self.closer(self.at + 1).filter(|_| self.is_word(0, "columns") && self.is_symbol(1, "("));
        let Some(closer) = closer.filter(|closer| *closer < end) else {
            return Err(refuse("this form of JSON_TABLE is not carried out"));
        };
        self.copied(2);
        while self.at < closer {
            self.made_column(closer)?;
            if self.is_symbol(0, ",") {
                self.copied(1);
            }
        }
        self.copied(1);
        Ok(())
    }

    fn made_column(&mut self, end: usize) -> Result<(), Refusal> {
        if self.is_word(0, "nested") && (self.is_word(1, "path") || self.is_text(1)) {
            self.copied(if self.is_word(1, "path") { 2 } else { 1 });
            self.expression(end, |stream| stream.is_word(0, "as") || stream.is_word(0, "columns"))?;
            if self.is_word(0, "as") {
                self.copied(2);
            }
            return self.made_columns(end);
        }
        if !matches!(self.peek(0).map(|token| &token.kind), Some(Kind::Word(_) | Kind::Quoted(_))) {
            return Err(refuse("this form of JSON_TABLE is not carried out"));
        }
        let typed = self.place_of(end, |stream| {
            let is = |ahead: usize, words: &[&str]| words.iter().any(|word| stream.is_word(ahead, word));
            stream.is_symbol(0, ",")
                || is(0, &["path", "exists", "keep", "omit", "default", "error", "null", "true", "false", "unknown"])
                || is(0, &["empty"])
                || (is(0, &["for"]) && is(1, &["ordinality"]))
                || (is(0, &["format"]) && is(1, &["json"]))
                || (is(0, &["with", "without"]) && !is(1, &["time"]))
        });
        // The name may be any of these words.
        let words = self.taken(typed.max(self.at + 1) - self.at);
        self.part();
        self.out.push(name(&format!("{}{words}", marker::MADE_COLUMN), None));
        while self.at < end && !self.is_symbol(0, ",") {
            if self.is_word(0, "default") {
                self.copied(1);
                self.expression(end, |stream| {
                    stream.is_word(0, "on") && (stream.is_word(1, "empty") || stream.is_word(1, "error"))
                })?;
            } else if self.is_text(0) {
                self.part();
                self.step()?;
            } else {
                self.copied(1);
            }
        }
        Ok(())
    }

    /// Begins one part of the sequence.
    fn part(&mut self) {
        if !matches!(self.out.last(), Some(Out::LParen)) {
            self.out.push(Out::Comma);
        }
    }

    /// Tokens from here as they stand, as one part.
    fn copied(&mut self, length: usize) {
        let words = self.taken(length);
        if !words.is_empty() {
            self.part();
            self.out.push(name(&format!("{}{words}", marker::WORDS), None));
        }
    }

    fn taken(&mut self, length: usize) -> String {
        let words: Vec<String> = (0..length).filter_map(|ahead| self.peek(ahead)).map(canonical).collect();
        self.at += length;
        words.join(" ")
    }
}
