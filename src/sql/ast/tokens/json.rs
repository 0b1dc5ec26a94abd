//! The functions of SQL/JSON: JSON_EXISTS, JSON_VALUE, JSON_QUERY, JSON_SCALAR, JSON_SERIALIZE, and the constructors; JSON_TABLE in
//! [`super::json_table`].
//!
//! sqlparser reads none of their clauses. Each becomes words between or behind expressions, in the order in which they stand, so that
//! what is written is what the client wrote.
//!
//! Source: "SQL/JSON Query Functions" in the documentation of PostgreSQL 17.

use super::{Stream, key};
use crate::error::Refusal;
use crate::sql::ast::utility::canonical;

/// Calls that are read here.
const CALLS: [&str; 5] = ["json_exists", "json_query", "json_scalar", "json_serialize", "json_value"];

/// Constructors. sqlparser reads the plain forms of their clauses.
const CONSTRUCTORS: [&str; 5] = ["json", "json_array", "json_arrayagg", "json_object", "json_objectagg"];

impl Stream<'_> {
    /// Carries out the call that starts with this word, if it is one; then it stands behind it.
    pub(super) fn json(&mut self, word: &str) -> Result<bool, Refusal> {
        if !self.is_symbol(1, "(") {
            return Ok(false);
        }
        if word == "json_table" {
            return self.json_table();
        }
        if CONSTRUCTORS.contains(&word) {
            return self.json_constructor(word);
        }
        let (true, Some(closer)) = (CALLS.contains(&word), self.closer(self.at + 1)) else { return Ok(false) };
        self.out.extend([key(word), super::Out::LParen]);
        self.at += 2;
        while self.at < closer {
            match self.clause(closer) {
                Some((0, _)) | None => {
                    let next = self.closer(self.at).unwrap_or(self.at) + 1;
                    self.until(next)?;
                }
                // Between two expressions.
                Some((length, None)) => {
                    let words = self.words(length);
                    self.operator(&words, length);
                }
                Some((length, Some(()))) => {
                    let words = self.words(length);
                    self.postfix(&words, length);
                }
            }
        }
        self.out.push(super::Out::RParen);
        self.at = closer + 1;
        Ok(true)
    }

    /// JSON, JSON_ARRAY, JSON_OBJECT and their aggregates, if a clause is among what stands in the parentheses that sqlparser does not read: it
    /// becomes words behind the value before it.
    fn json_constructor(&mut self, word: &str) -> Result<bool, Refusal> {
        let Some(closer) = self.closer(self.at + 1) else { return Ok(false) };
        let (start, first) = (self.at, self.at + 2);
        let mut any = false;
        self.at = first;
        while self.at < closer {
            any |= self.at > first && self.unread(closer) > 0;
            self.at = self.closer(self.at).unwrap_or(self.at) + 1;
        }
        self.at = start;
        if !any {
            return Ok(false);
        }
        self.out.extend([key(word), super::Out::LParen]);
        self.at = first;
        while self.at < closer {
            match if self.at > first { self.unread(closer) } else { 0 } {
                0 => {
                    let next = self.closer(self.at).unwrap_or(self.at) + 1;
                    self.until(next)?;
                }
                length => {
                    let words = self.words(length);
                    self.postfix(&words, length);
                }
            }
        }
        self.out.push(super::Out::RParen);
        self.at = closer + 1;
        Ok(true)
    }

    /// How many tokens a clause takes that starts here, where sqlparser does not read it: FORMAT JSON; UNIQUE KEYS with what stands before it;
    /// RETURNING with FORMAT JSON behind its type.
    fn unread(&self, closer: usize) -> usize {
        let is = |ahead: usize, words: &[&str]| words.iter().any(|word| self.is_word(ahead, word));
        if self.is_word(0, "format") && self.is_word(1, "json") {
            return if self.is_word(2, "encoding") { 4 } else { 2 };
        }
        let nulls = is(0, &["absent", "null"]) && self.is_word(1, "on") && self.is_word(2, "null");
        let mut length = if nulls { 3 } else { 0 };
        let unique = is(length, &["with", "without"]) && self.is_word(length + 1, "unique");
        if unique {
            length += if self.is_word(length + 2, "keys") { 3 } else { 2 };
        }
        let rest = closer.saturating_sub(self.at);
        let returns = self.is_word(length, "returning") && (length..rest).any(|ahead| self.is_word(ahead, "format"));
        match (nulls || unique, returns) {
            // RETURNING by itself: the type in it is looked at.
            (false, true) => rest,
            (true, true) => length,
            (_, false) if unique => length,
            (_, false) => 0,
        }
    }

    /// How many tokens of a clause's words start here, and whether nothing follows that belongs to it.
    fn clause(&self, closer: usize) -> Option<(usize, Option<()>)> {
        let behind = Some(());
        let is = |ahead: usize, words: &[&str]| words.iter().any(|word| self.is_word(ahead, word));
        let on = |ahead: usize| self.is_word(ahead, "on") && is(ahead + 1, &["empty", "error"]);
        if self.is_word(0, "passing") || self.is_word(0, "default") {
            return Some((1, None));
        }
        if self.is_word(0, "as") {
            return Some((2, behind));
        }
        if on(0) {
            return Some((2, behind));
        }
        if is(0, &["error", "null", "true", "false", "unknown", "empty"]) {
            let shape = usize::from(is(1, &["array", "object"]));
            return on(1 + shape).then_some((3 + shape, behind));
        }
        let until = |ends: &dyn Fn(usize) -> bool| {
            let mut ahead = 1;
            while self.at + ahead < closer && !ends(ahead) {
                ahead += 1;
            }
            ahead
        };
        if is(0, &["with", "without"]) {
            return Some(((until(&|ahead| self.is_word(ahead, "wrapper")) + 1).min(closer - self.at), behind));
        }
        if is(0, &["keep", "omit"]) && self.is_word(1, "quotes") {
            return Some((if self.is_word(2, "on") && self.is_word(3, "scalar") { 5 } else { 2 }, behind));
        }
        if self.is_word(0, "format") && self.is_word(1, "json") {
            return Some((if self.is_word(2, "encoding") { 4 } else { 2 }, behind));
        }
        if self.is_word(0, "returning") {
            let ends = |ahead: usize| {
                is(ahead, &["with", "without"]) && !is(ahead + 1, &["time"])
                    || is(
                        ahead,
                        &["keep", "omit", "default", "error", "null", "true", "false", "unknown", "empty", "format"],
                    )
                    || on(ahead)
            };
            return Some((until(&ends), behind));
        }
        None
    }

    /// Tokens from here as words.
    fn words(&self, length: usize) -> String {
        let written: Vec<String> = (0..length).filter_map(|ahead| self.peek(ahead)).map(canonical).collect();
        written.join(" ")
    }
}
