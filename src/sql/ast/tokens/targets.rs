//! What is written: columns with subscripts, OVERRIDING, and the targets of ON CONFLICT.

use sqlparser::tokenizer::Token as Out;

use super::{Stream, key, name};
use crate::error::Refusal;
use crate::sql::ast::marker;
use crate::sql::text::lex::Kind;

impl Stream<'_> {
    /// `INSERT INTO t AS a (columns) OVERRIDING ..`: OVERRIDING as the first part of the table's name, subscripts as
    /// parts of the columns'.
    pub(super) fn into(&mut self) -> Result<bool, Refusal> {
        if !self.is_behind(&["insert"]) {
            return Ok(false);
        }
        let mut length = 1 + self.name_length(1);
        if self.is_word(length, "as") {
            length += 2;
        }
        let open = self.at + length;
        let query = ["select", "with", "values", "table"].iter().any(|word| self.is_word(length + 1, word));
        let columns =
            self.closer(open).filter(|_| self.is_symbol(length, "(") && !query && !self.is_symbol(length + 1, "("));
        let behind = columns.map_or(open, |closer| closer + 1);
        self.out.push(key("into"));
        self.at += 1;
        if self.tokens.get(behind).is_some_and(|token| token.is_word("overriding")) {
            let user = self.tokens.get(behind + 1).is_some_and(|token| token.is_word("user"));
            let marker = if user { marker::OVERRIDING_USER } else { marker::OVERRIDING_SYSTEM };
            self.out.extend([name(marker, None), Out::Period]);
            self.overriding += 1;
        }
        if let Some(closer) = columns {
            self.until(open)?;
            self.out.push(Out::LParen);
            self.at = open + 1;
            while self.at < closer {
                if !self.target()? {
                    self.step()?;
                }
            }
        }
        Ok(true)
    }

    /// `SET a[1] = .., b.c = ..`: subscripts as parts of the columns' names.
    pub(super) fn set(&mut self) -> Result<bool, Refusal> {
        let length = self.target_length(1);
        let target = length > 0 && self.is_symbol(1 + length, "=");
        if !target && !self.is_symbol(1, "(") {
            return Ok(false);
        }
        self.out.push(key("set"));
        self.at += 1;
        loop {
            if self.is_symbol(self.target_length(0), "=") {
                self.target()?;
            }
            // The value, up to the next comma, clause or parenthesis of this level.
            loop {
                let Some(token) = self.peek(0) else { return Ok(true) };
                if token.is_symbol(",") {
                    self.step()?;
                    break;
                }
                let clause = ["where", "from", "returning", "when"].iter().any(|word| token.is_word(word));
                let distinct = token.is_word("from") && self.is_behind(&["distinct"]);
                if token.is_symbol(")") || (clause && !distinct && !self.in_case()) {
                    return Ok(true);
                }
                match self.closer(self.at) {
                    Some(closer) => {
                        self.until(closer)?;
                        self.step()?;
                    }
                    None => self.step()?,
                }
            }
        }
    }

    /// Whether a WHEN here belongs to a CASE: then the word before it is none that ends an action of MERGE.
    fn in_case(&self) -> bool {
        if !self.is_word(0, "when") {
            return false;
        }
        !(self.is_word(1, "matched") || self.is_word(1, "not"))
    }

    /// How many tokens from here a target takes: `a[1].b`; 0 where none stands here.
    fn target_length(&self, ahead: usize) -> usize {
        let mut length = self.name_length(ahead);
        if length == 0 {
            return 0;
        }
        loop {
            if self.is_symbol(ahead + length, "[") {
                let Some(closer) = self.closer(self.at + ahead + length) else { return 0 };
                length = closer + 1 - self.at - ahead;
            } else if self.is_symbol(ahead + length, ".") {
                let more = self.name_length(ahead + length + 1);
                if more == 0 {
                    return 0;
                }
                length += 1 + more;
            } else {
                return length;
            }
        }
    }

    /// A target, its subscripts as parts of its name; false where none stands here.
    fn target(&mut self) -> Result<bool, Refusal> {
        let length = self.target_length(0);
        if length == 0 {
            return Ok(false);
        }
        let end = self.at + length;
        while self.at < end {
            match self.peek(0).map(|token| &token.kind) {
                Some(Kind::Word(value)) => self.out.push(name(value, None)),
                Some(Kind::Quoted(value)) => self.out.push(name(value, Some('"'))),
                Some(Kind::Symbol(symbol)) if symbol == "." => self.out.push(Out::Period),
                _ => {
                    self.subscript()?;
                    continue;
                }
            }
            self.at += 1;
        }
        Ok(true)
    }

    /// `[1]` and `[1:2]`, either bound of which may be left out.
    fn subscript(&mut self) -> Result<(), Refusal> {
        let Some(closer) = self.closer(self.at) else { return Ok(()) };
        let mut colon = self.at + 1;
        while colon < closer && !self.tokens.get(colon).is_some_and(|token| token.is_symbol(":")) {
            colon = self.closer(colon).unwrap_or(colon) + 1;
        }
        let slice = colon < closer;
        self.out.push(Out::Period);
        self.out.push(name(if slice { marker::SLICE } else { marker::SUBSCRIPT }, None));
        self.out.push(Out::LParen);
        self.at += 1;
        self.bound(colon.min(closer))?;
        if slice {
            self.out.push(Out::Comma);
            self.at = colon + 1;
            self.bound(closer)?;
        }
        self.out.push(Out::RParen);
        self.at = closer + 1;
        Ok(())
    }

    fn bound(&mut self, end: usize) -> Result<(), Refusal> {
        if self.at == end {
            self.out.push(name(marker::NO_BOUND, None));
        }
        self.until(end)
    }

    /// `ON CONFLICT (lower(a), b) WHERE ..`: as a constraint whose name has arguments.
    pub(super) fn conflict(&mut self) -> Result<bool, Refusal> {
        let open = self.at + 1;
        let Some(closer) = self.closer(open) else { return Ok(false) };
        let inner = self.tokens.get(open + 1..closer).unwrap_or(&[]);
        let plain = inner.iter().all(|token| {
            matches!(token.kind, Kind::Quoted(_))
                || token.is_symbol(",")
                || matches!(&token.kind, Kind::Word(word) if word != "collate")
        });
        // Two names in a row are a column and its operator class.
        let pairs = inner.iter().zip(inner.iter().skip(1)).all(|(a, b)| a.is_symbol(",") || b.is_symbol(","));
        let filtered = self.tokens.get(closer + 1).is_some_and(|token| token.is_word("where"));
        if plain && pairs && !filtered {
            return Ok(false);
        }
        self.out.extend([key("CONFLICT"), key("ON"), key("CONSTRAINT"), name(marker::CONFLICT, None), Out::LParen]);
        self.at = open + 1;
        while self.at < closer {
            self.conflict_element(closer)?;
        }
        self.at = closer + 1;
        if filtered {
            self.out.extend([Out::Comma, name(marker::CONFLICT_WHERE, None), Out::LParen]);
            self.at += 1;
            while self.peek(0).is_some_and(|token| !token.is_word("do")) {
                match self.closer(self.at) {
                    Some(inner) => self.until(inner + 1)?,
                    None => self.step()?,
                }
            }
            self.out.push(Out::RParen);
        }
        self.out.push(Out::RParen);
        Ok(true)
    }

    /// One element and the comma behind it: an operator class at its end is written as a collation.
    fn conflict_element(&mut self, closer: usize) -> Result<(), Refusal> {
        let starts = |at: usize, symbol: &str| self.tokens.get(at).is_some_and(|token| token.is_symbol(symbol));
        let mut end = self.at;
        while end < closer && !starts(end, ",") {
            end = self.closer(end).unwrap_or(end) + 1;
        }
        // A name, a call, or what stands in parentheses; and perhaps a collation.
        let mut behind = self.at + self.name_length(0);
        behind = self.closer(behind).filter(|_| starts(behind, "(")).map_or(behind, |closing| closing + 1);
        if self.tokens.get(behind).is_some_and(|token| token.is_word("collate")) {
            behind += 1 + self.name_length(behind + 1 - self.at);
        }
        let length = self.name_length(behind - self.at);
        if length > 0 && behind > self.at && behind + length == end {
            self.until(behind)?;
            self.out.extend([key("COLLATE"), name(marker::OPERATOR_CLASS, None), Out::Period]);
        }
        self.until(end)?;
        if end < closer { self.step() } else { Ok(()) }
    }
}
