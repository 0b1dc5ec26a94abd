//! Our tokens into sqlparser's, so that its own lexer never sees the text.
//!
//! * Words that are no key words of PostgreSQL's get no key word of sqlparser's either.
//! * Names and strings are decoded; [`super::render`] writes them.
//! * Forms that sqlparser does not parse are put in an equal form that it does (`TABLE t` is `SELECT * FROM t`, also in
//!   PostgreSQL's tree), or marked with names that no client can write ([`super::marker`]).
//!
//! None of this has to be right to be safe: the witness compares what comes out with the client's own text.

mod calls;
mod forms;
mod json;
mod json_table;
mod targets;
mod typed;

use std::collections::HashSet;

use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token as Out, Word};

use super::marker;
use crate::error::{Refusal, SqlState, Stage};
use crate::sql::text::keywords::category;
use crate::sql::text::lex::{Kind, Token};

/// sqlparser's tokens, and where among them a `(` starts a query though a `(` follows it.
pub(in crate::sql) struct Tokens {
    pub(in crate::sql) tokens: Vec<Out>,
    pub(in crate::sql) queries: HashSet<usize>,
}

/// Makes sqlparser's tokens of one statement's. Comments are left out.
///
/// # Errors
/// 42601 and 0A000 for forms that are not carried out.
pub(in crate::sql) fn stream(tokens: &[Token]) -> Result<Tokens, Refusal> {
    let tokens: Vec<&Token> = tokens.iter().filter(|token| token.kind != Kind::Comment).collect();
    let (closers, queries) = parentheses(&tokens);
    let mut stream = Stream {
        tokens: &tokens,
        closers: &closers,
        queries: &queries,
        at: 0,
        out: Vec::with_capacity(tokens.len() + 8),
        found: HashSet::new(),
        depth: 0,
        in_substring: false,
        overriding: 0,
        excludes: 0,
    };
    while stream.at < tokens.len() {
        stream.step()?;
    }
    Ok(Tokens { tokens: stream.out, queries: stream.found })
}

/// For each `(` and `[` where it closes, and whether it is the `(` of a query that starts with another `(` and goes on behind
/// what that one closes: `((SELECT ..) UNION ..)`.
fn parentheses(tokens: &[&Token]) -> (Vec<Option<usize>>, Vec<bool>) {
    let mut closers = vec![None; tokens.len()];
    let mut is_query = vec![false; tokens.len()];
    let mut marked = vec![false; tokens.len()];
    let mut open: Vec<usize> = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        if token.is_symbol("(") || token.is_symbol("[") {
            open.push(at);
        } else if token.is_symbol(")") || token.is_symbol("]") {
            let Some(start) = open.pop() else { continue };
            if let Some(closer) = closers.get_mut(start) {
                *closer = Some(at);
            }
            let first = tokens.get(start + 1);
            let inner = closers.get(start + 1).copied().flatten();
            let words = |token: &&&Token, words: &[&str]| words.iter().any(|word| token.is_word(word));
            let (query, mark) = match (first, inner) {
                (Some(token), _) if words(&token, &["select", "with", "values", "table"]) => (true, false),
                (Some(_), Some(inner)) if is_query.get(start + 1) == Some(&true) => {
                    let next = tokens.get(inner + 1);
                    let goes_on = next.is_some_and(|token| {
                        words(&token, &["union", "intersect", "except", "order", "limit", "offset", "fetch", "for"])
                    });
                    (goes_on || inner + 1 == at, goes_on)
                }
                _ => (false, false),
            };
            if let Some(slot) = is_query.get_mut(start) {
                *slot = query;
            }
            if let Some(slot) = marked.get_mut(start) {
                *slot = mark;
            }
        }
    }
    (closers, marked)
}

struct Stream<'a> {
    tokens: &'a [&'a Token],
    closers: &'a [Option<usize>],
    queries: &'a [bool],
    at: usize,
    out: Vec<Out>,
    found: HashSet<usize>,
    /// Forms within forms.
    depth: usize,
    /// Within SUBSTRING(.. SIMILAR ..).
    in_substring: bool,
    /// OVERRIDING that INTO has said already.
    overriding: usize,
    /// EXCLUDE so far; each looks for the start of its window.
    excludes: usize,
}

/// Forms stand within each other so deep.
const DEPTH: usize = 400;

/// A key word.
fn key(word: &str) -> Out {
    Out::make_keyword(word)
}

/// A name; sqlparser sees no key word in it.
fn name(value: &str, quote_style: Option<char>) -> Out {
    Out::Word(Word { value: value.to_owned(), quote_style, keyword: Keyword::NoKeyword })
}

fn refuse(message: &str) -> Refusal {
    Refusal::unsupported(Stage::Parse, message)
}

impl<'a> Stream<'a> {
    fn peek(&self, ahead: usize) -> Option<&'a Token> {
        self.tokens.get(self.at + ahead).copied()
    }

    fn is_word(&self, ahead: usize, word: &str) -> bool {
        self.peek(ahead).is_some_and(|token| token.is_word(word))
    }

    fn is_symbol(&self, ahead: usize, symbol: &str) -> bool {
        self.peek(ahead).is_some_and(|token| token.is_symbol(symbol))
    }

    /// The token `behind` places before this one: 1 is the one before.
    fn back(&self, behind: usize) -> Option<&'a Token> {
        self.at.checked_sub(behind).and_then(|at| self.tokens.get(at).copied())
    }

    fn is_behind(&self, words: &[&str]) -> bool {
        self.back(1).is_some_and(|token| words.iter().any(|word| token.is_word(word)))
    }

    /// Where the parenthesis or bracket at `at` closes.
    fn closer(&self, at: usize) -> Option<usize> {
        self.closers.get(at).copied().flatten()
    }

    /// How many tokens from here a name takes, `a.b.c`; 0 where none stands here.
    fn name_length(&self, ahead: usize) -> usize {
        let is_name =
            |at: usize| matches!(self.peek(at).map(|token| &token.kind), Some(Kind::Word(_) | Kind::Quoted(_)));
        if !is_name(ahead) {
            return 0;
        }
        let mut length = 1;
        while self.is_symbol(ahead + length, ".") && is_name(ahead + length + 1) {
            length += 2;
        }
        length
    }

    /// Works on up to the token at `end`.
    fn until(&mut self, end: usize) -> Result<(), Refusal> {
        while self.at < end && self.at < self.tokens.len() {
            self.step()?;
        }
        Ok(())
    }

    fn step(&mut self) -> Result<(), Refusal> {
        let Some(token) = self.peek(0) else { return Ok(()) };
        match &token.kind {
            Kind::Comment => {}
            Kind::Word(word) => return self.word(word),
            Kind::Quoted(value) => self.out.push(name(value, Some('"'))),
            Kind::Text(value) if self.is_frame_bound() => self.out.push(Out::EscapedStringLiteral(value.clone())),
            Kind::Text(value) => self.out.push(Out::SingleQuotedString(value.clone())),
            Kind::National(value) => {
                if value.contains('\\') {
                    return Err(refuse("a national string holds a backslash").hint("write it as a plain string"));
                }
                self.out.push(Out::NationalStringLiteral(value.clone()));
            }
            Kind::Bits(value) => self.out.push(Out::SingleQuotedByteStringLiteral(value.clone())),
            Kind::Hex(value) => self.out.push(Out::HexStringLiteral(value.clone())),
            Kind::Number { text, .. } => self.out.push(Out::Number(text.clone(), false)),
            Kind::Param(number) => self.out.push(Out::Placeholder(format!("${number}"))),
            Kind::Symbol(symbol) => return self.symbol(symbol),
        }
        self.at += 1;
        Ok(())
    }

    fn symbol(&mut self, symbol: &str) -> Result<(), Refusal> {
        match symbol {
            "(" if self.queries.get(self.at) == Some(&true) => {
                self.found.insert(self.out.len());
                self.out.push(Out::LParen);
            }
            "*" if self.is_field_star() => self.out.push(name(marker::STAR, None)),
            "*" if self.is_table_star() => {}
            // `t.*::text` is `(t.*)::text`.
            "*" if self.is_symbol(1, "::") && self.back(1).is_some_and(|token| token.is_symbol(".")) => {
                self.star_in_parentheses()
            }
            _ => self.out.push(operator(symbol)?),
        }
        self.at += 1;
        Ok(())
    }

    /// Puts the `t.*` that ends here in parentheses.
    fn star_in_parentheses(&mut self) {
        let part = |token: &Out| matches!(token, Out::Word(_) | Out::Period);
        let length = self.out.iter().rev().take_while(|token| part(token)).count();
        // Of `SELECT t.*`, SELECT is no part of the name: names and dots take turns.
        let mut start = self.out.len();
        let mut dots = true;
        for token in self.out.iter().rev().take(length) {
            if matches!(token, Out::Period) != dots {
                break;
            }
            (start, dots) = (start.saturating_sub(1), !dots);
        }
        self.out.insert(start, Out::LParen);
        self.shift(start, 1);
        self.out.extend([Out::Mul, Out::RParen]);
    }

    fn word(&mut self, word: &str) -> Result<(), Refusal> {
        let after_dot = self.back(1).is_some_and(|token| token.is_symbol("."));
        // Behind a dot or AS every word is a name.
        let label = after_dot || (self.is_behind(&["as"]) && !self.is_symbol(1, "("));
        if !label {
            self.depth += 1;
            if self.depth > DEPTH {
                return Err(Refusal::new(
                    Stage::Parse,
                    SqlState::STATEMENT_TOO_COMPLEX,
                    format!("the statement nests deeper than {DEPTH} levels"),
                ));
            }
            let done = self.form(word)?;
            self.depth -= 1;
            if done {
                return Ok(());
            }
        }
        let sample = self.is_behind(&["tablesample"]);
        let out = if !after_dot && (category(word).is_some() || sample) { key(word) } else { name(word, None) };
        self.out.push(out);
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
