//! Calls that the grammar spells in words of its own: TREAT, XMLSERIALIZE, XMLPARSE, XMLTABLE.

use sqlparser::tokenizer::Token as Out;

use super::{Stream, key, name};
use crate::error::Refusal;
use crate::sql::ast::marker;
use crate::sql::ast::utility::canonical;
use crate::sql::text::lex::{Kind, Token};

impl Stream<'_> {
    /// Carries out the call that starts with this word, if it is one; then it stands behind it, or behind its `(`.
    pub(super) fn call(&mut self, word: &str) -> Result<bool, Refusal> {
        match word {
            "treat" if self.is_symbol(1, "(") => self.treat(),
            "xmlserialize" if self.is_symbol(1, "(") => self.serialize(),
            "xmlparse" if self.is_symbol(1, "(") => self.parse_xml(),
            "lateral" if self.is_word(1, "xmltable") && self.is_symbol(2, "(") => {
                self.out.extend([key("xmltable"), Out::LParen]);
                self.at += 3;
                if self.is_word(0, "xmlnamespaces")
                    && let Some(closer) = self.closer(self.at + 1)
                {
                    // And the comma behind it.
                    self.until(closer + 2)?;
                }
                self.out.push(name(marker::LATERAL, None));
                Ok(true)
            }
            "by" if self.is_word(1, "value") && self.is_behind(&["passing"]) => {
                // Says nothing, as BY REF does not.
                self.at += 2;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// Where the AS of `name(.. AS type)` stands, and its `)`.
    fn typed_call(&self) -> Option<(usize, usize)> {
        let closer = self.closer(self.at + 1)?;
        let mut at = self.at + 2;
        while at < closer {
            if self.tokens.get(at).is_some_and(|token| token.is_word("as")) {
                return Some((at, closer));
            }
            at = self.closer(at).unwrap_or(at) + 1;
        }
        None
    }

    /// `TREAT(x AS type)`: a call of the function that is called as the type is, which is what the tree has.
    fn treat(&mut self) -> Result<bool, Refusal> {
        let Some((to, closer)) = self.typed_call() else { return Ok(false) };
        let Some(function) = called_as(self.tokens.get(to + 1..closer).unwrap_or(&[])) else { return Ok(false) };
        self.out.extend([name("pg_catalog", Some('"')), Out::Period, name(&function, Some('"')), Out::LParen]);
        self.at += 2;
        self.until(to)?;
        self.out.push(Out::RParen);
        self.at = closer + 1;
        Ok(true)
    }

    /// `XMLSERIALIZE(CONTENT x AS type)`: CONTENT as a prefix, the type in one name.
    fn serialize(&mut self) -> Result<bool, Refusal> {
        let Some((to, closer)) = self.typed_call() else { return Ok(false) };
        let kind = match self.peek(2) {
            Some(token) if token.is_word("content") => marker::XML_CONTENT,
            Some(token) if token.is_word("document") => marker::XML_DOCUMENT,
            _ => return Ok(false),
        };
        let words: Vec<String> =
            self.tokens.get(to + 1..closer).unwrap_or(&[]).iter().map(|token| canonical(token)).collect();
        self.out.extend([key("xmlserialize"), Out::LParen, name(kind, None)]);
        self.at += 3;
        self.until(to)?;
        self.out.extend([key("AS"), name(&format!("{}{}", marker::WORDS, words.join(" ")), None), Out::RParen]);
        self.at = closer + 1;
        Ok(true)
    }

    /// `XMLPARSE(CONTENT x PRESERVE WHITESPACE)`; STRIP WHITESPACE is what it does without.
    fn parse_xml(&mut self) -> Result<bool, Refusal> {
        let Some(closer) = self.closer(self.at + 1) else { return Ok(false) };
        let is = |at: Option<usize>, word: &str| {
            at.and_then(|at| self.tokens.get(at)).is_some_and(|token| token.is_word(word))
        };
        if !is(closer.checked_sub(1), "whitespace") {
            return Ok(false);
        }
        let preserves = is(closer.checked_sub(2), "preserve");
        if !preserves && !is(closer.checked_sub(2), "strip") {
            return Ok(false);
        }
        self.out.push(key("xmlparse"));
        self.at += 1;
        self.until(closer - 2)?;
        if preserves {
            self.postfix("PRESERVE WHITESPACE", 2);
        }
        self.out.push(Out::RParen);
        self.at = closer + 1;
        Ok(true)
    }
}

/// The last part of the name that PostgreSQL's grammar gives a type.
fn called_as(written: &[&Token]) -> Option<String> {
    let mut parts = written.iter();
    let mut last = parts.next()?;
    let mut dotted = false;
    while parts.clone().next().is_some_and(|token| token.is_symbol(".")) {
        parts.next();
        last = parts.next()?;
        dotted = true;
    }
    let word = match &last.kind {
        Kind::Quoted(name) => return Some(name.clone()),
        Kind::Word(word) => word.as_str(),
        _ => return None,
    };
    let has = |word: &str| written.iter().any(|token| token.is_word(word));
    let name = match word {
        _ if dotted => word,
        "int" | "integer" => "int4",
        "smallint" => "int2",
        "bigint" => "int8",
        "real" => "float4",
        // FLOAT(n) is one or the other.
        "float" if written.len() > 1 => return None,
        "float" | "double" => "float8",
        "decimal" | "dec" => "numeric",
        "boolean" => "bool",
        "character" | "char" | "nchar" | "national" => {
            if has("varying") {
                "varchar"
            } else {
                "bpchar"
            }
        }
        "bit" if has("varying") => "varbit",
        "timestamp" if has("with") => "timestamptz",
        "time" if has("with") => "timetz",
        other => other,
    };
    Some(name.to_owned())
}
