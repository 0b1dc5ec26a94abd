//! The query functions of SQL/JSON: JSON_EXISTS, JSON_VALUE, JSON_QUERY, JSON_SCALAR, JSON_SERIALIZE; JSON_TABLE in
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

/// Forms of the same standard that are not.
const CLOSED: [(&str, &str); 2] =
    [("json_arrayagg", "JSON_ARRAYAGG is not carried out"), ("json_objectagg", "JSON_OBJECTAGG is not carried out")];

impl Stream<'_> {
    /// Carries out the call that starts with this word, if it is one; then it stands behind it.
    pub(super) fn json(&mut self, word: &str) -> Result<bool, Refusal> {
        if !self.is_symbol(1, "(") {
            return Ok(false);
        }
        if let Some((_, message)) = CLOSED.iter().find(|(name, _)| *name == word) {
            return Err(Refusal::unsupported(crate::error::Stage::Parse, *message)
                .hint("`json_agg` and `json_object_agg` do the same"));
        }
        if word == "json_table" {
            return self.json_table();
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
