//! Constants with a type of several words before them, SELECT of no columns, and what stands behind a recursive query.

use sqlparser::tokenizer::Token as Out;

use super::{Stream, key, name};
use crate::error::Refusal;
use crate::sql::ast::marker;
use crate::sql::ast::utility::canonical;
use crate::sql::text::lex::Kind;

/// Fields of an interval.
const FIELDS: [&str; 6] = ["year", "month", "day", "hour", "minute", "second"];

impl Stream<'_> {
    /// Whether a string stands there.
    pub(super) fn is_text(&self, ahead: usize) -> bool {
        matches!(self.peek(ahead).map(|token| &token.kind), Some(Kind::Text(_)))
    }

    /// `interval '1-2' year to month`, `interval(3) '..'`, `varchar(3) '..'`: a type with more than a name before its text.
    pub(super) fn is_typed(&self, word: &str) -> bool {
        const TYPES: [&str; 12] = [
            "interval",
            "varchar",
            "char",
            "character",
            "bpchar",
            "numeric",
            "decimal",
            "dec",
            "bit",
            "varbit",
            "timestamp",
            "time",
        ];
        if !TYPES.contains(&word) || self.back(1).is_some_and(|token| token.is_symbol("::") || token.is_symbol(".")) {
            return false;
        }
        let fields = word == "interval" && self.is_text(1) && FIELDS.iter().any(|field| self.is_word(2, field));
        let behind =
            |closer: usize| matches!(self.tokens.get(closer + 1).map(|token| &token.kind), Some(Kind::Text(_)));
        fields || (self.is_symbol(1, "(") && self.closer(self.at + 1).is_some_and(behind))
    }

    /// The same as a cast, which has the same tree.
    pub(super) fn typed(&mut self, word: &str) -> Result<(), Refusal> {
        self.at += 1;
        let modifiers = if self.is_symbol(0, "(") { self.closer(self.at) } else { None };
        let (from, text) = (self.at, modifiers.map_or(self.at, |closer| closer + 1));
        self.at = text;
        self.step()?;
        self.out.extend([Out::DoubleColon, key(word)]);
        let end = self.at;
        if let Some(closer) = modifiers {
            self.at = from;
            self.until(closer + 1)?;
            self.at = end;
        }
        if word == "interval" && modifiers.is_none() {
            while FIELDS.iter().chain(&["to"]).any(|field| self.is_word(0, field)) {
                let Some(Kind::Word(field)) = self.peek(0).map(|token| &token.kind) else { break };
                self.out.push(key(field));
                self.at += 1;
            }
            if self.is_symbol(0, "(")
                && let Some(closer) = self.closer(self.at)
            {
                self.until(closer + 1)?;
            }
        }
        Ok(())
    }

    /// `SELECT` of no columns, where no FROM follows, which sqlparser knows.
    pub(super) fn selects_nothing(&self) -> bool {
        let clauses = ["where", "group", "having", "union", "intersect", "except", "order", "limit", "offset", "fetch"];
        self.peek(1).is_none_or(|token| token.is_symbol(")") || clauses.iter().any(|word| token.is_word(word)))
    }

    /// SEARCH and CYCLE of a WITH query: as the one name that sqlparser takes behind such a query.
    pub(super) fn recursion(&mut self) -> Result<bool, Refusal> {
        let mut words: Vec<String> = Vec::new();
        loop {
            let cycles = self.is_word(0, "cycle");
            // SEARCH ends with its SET, CYCLE with its USING.
            let last = if cycles { "using" } else { "set" };
            loop {
                let Some(token) = self.peek(0) else { return Ok(false) };
                words.push(canonical(token));
                self.at += 1;
                if token.is_word(last) {
                    break;
                }
            }
            let Some(token) = self.peek(0) else { return Ok(false) };
            words.push(canonical(token));
            self.at += 1;
            if cycles || !self.is_word(0, "cycle") {
                break;
            }
        }
        self.out.extend([key("FROM"), name(&format!("{}{}", marker::RECURSION, words.join(" ")), None)]);
        Ok(true)
    }
}
