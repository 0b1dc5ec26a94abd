//! Limits that hold before either parser sees a text, so that neither can be made to recurse too deep or work too long.
//!
//! A tree is as deep as what nests and what stands in a row: `a + b + c` and `a UNION b UNION c` are two levels each. The
//! limits are such that both parsers stay well within the stack of [`super::on_parser_stack`].

use super::lex::Kind;
use crate::error::{Refusal, SqlState, Stage};

/// Longest statement in bytes.
const STATEMENT_BYTES: usize = 1024 * 1024;
/// Most tokens of a statement.
const TOKENS: usize = 250_000;
/// Parentheses, brackets and CASE within each other.
const NESTING: usize = 200;
/// Operators, joins or set operations in a row.
const CHAIN: usize = 2_000;
/// Rows within rows: what is open at once.
const LEVELS: usize = 4_000;

fn refuse(message: String) -> Refusal {
    Refusal::new(Stage::Parse, SqlState::STATEMENT_TOO_COMPLEX, message)
}

/// Holds the text to its size.
///
/// # Errors
/// 54001.
pub(super) fn size(text: &str) -> Result<(), Refusal> {
    if text.len() > STATEMENT_BYTES {
        return Err(refuse(format!("the statement is longer than {STATEMENT_BYTES} bytes")));
    }
    Ok(())
}

/// Counts, token by token, what nests and what stands in a row.
#[derive(Debug)]
pub(super) struct Limits {
    tokens: usize,
    /// The row of each level that is open.
    rows: Vec<Row>,
    /// Links of all of them.
    links: usize,
}

/// What stands in a row within one pair of parentheses.
#[derive(Debug, Default, Clone, Copy)]
struct Row {
    /// Operators; a comma ends their row.
    operators: usize,
    /// Joins, set operations, subscripts: a comma does not.
    tables: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { tokens: 0, rows: vec![Row::default()], links: 0 }
    }
}

/// What a token does to the depth.
enum Step {
    Open,
    Close,
    Operator,
    Table,
    Reset,
    None,
}

fn step(kind: &Kind) -> Step {
    match kind {
        Kind::Symbol(symbol) => match symbol.as_str() {
            "(" | "[" => Step::Open,
            ")" | "]" => Step::Close,
            "," => Step::Reset,
            ";" | "." | ":" => Step::None,
            _ => Step::Operator,
        },
        Kind::Word(word) => match word.as_str() {
            "case" => Step::Open,
            "end" => Step::Close,
            "and" | "or" | "not" | "is" | "in" | "like" | "ilike" | "similar" | "between" | "at" | "collate"
            | "operator" | "isnull" | "notnull" | "overlaps" | "fetch" | "set" => Step::Operator,
            "join" | "union" | "except" | "intersect" | "explain" => Step::Table,
            "when" | "then" | "else" => Step::Reset,
            _ => Step::None,
        },
        Kind::Comment
        | Kind::Quoted(_)
        | Kind::Text(_)
        | Kind::National(_)
        | Kind::Bits(_)
        | Kind::Hex(_)
        | Kind::Number { .. }
        | Kind::Param(_) => Step::None,
    }
}

impl Limits {
    /// Takes the next token.
    ///
    /// # Errors
    /// 54001 where a limit is passed.
    pub(super) fn count(&mut self, kind: &Kind) -> Result<(), Refusal> {
        self.tokens += 1;
        if self.tokens > TOKENS {
            return Err(refuse(format!("the statement has more than {TOKENS} words and signs")));
        }
        match step(kind) {
            Step::Open => {
                // `a[1][1]` is a row, too.
                if matches!(kind, Kind::Symbol(symbol) if symbol == "[") {
                    self.link(|row| &mut row.tables);
                }
                self.rows.push(Row::default());
            }
            Step::Close if self.rows.len() > 1 => {
                let row = self.rows.pop().unwrap_or_default();
                self.links -= row.operators + row.tables;
            }
            Step::Operator => self.link(|row| &mut row.operators),
            Step::Table => self.link(|row| &mut row.tables),
            Step::Reset => {
                if let Some(row) = self.rows.last_mut() {
                    self.links -= row.operators;
                    row.operators = 0;
                }
            }
            Step::Close | Step::None => {}
        }
        if self.rows.len() > NESTING {
            return Err(refuse(format!("the statement nests deeper than {NESTING} levels")));
        }
        if self.rows.last().is_some_and(|row| row.operators > CHAIN || row.tables > CHAIN) || self.links > LEVELS {
            return Err(refuse(format!("more than {CHAIN} operators, joins or set operations stand in a row")));
        }
        Ok(())
    }

    fn link(&mut self, which: impl Fn(&mut Row) -> &mut usize) {
        if let Some(row) = self.rows.last_mut() {
            *which(row) += 1;
            self.links += 1;
        }
    }
}
