//! Limits that hold before either parser sees a text, so that neither can be made to recurse too deep or work too long.
//!
//! A tree is as deep as what nests and what stands in a row: `a + b + c` and `a UNION b UNION c` are two levels each. The
//! limits are such that both parsers stay well within the stack of [`crate::sql::ast::on_parser_stack`].

use super::lex::Kind;
use crate::error::{Refusal, SqlState, Stage};

/// Longest statement in bytes.
const STATEMENT_BYTES: usize = 1024 * 1024;
/// Most tokens of a statement: its trees take about a kilobyte for each, and one session is to take less than 64 MB.
const TOKENS: usize = 40_000;
/// What a name counts for: a reference takes more than a constant.
const NAME: usize = 4;
/// Most tokens of a message, which may hold several statements.
const MESSAGE_TOKENS: usize = 250_000;
/// Most statements of a message.
const STATEMENTS: usize = 5_000;
/// Most comments: PostgreSQL's lexer, as it is bound here, takes time with the square of their number.
const COMMENTS: usize = 1_000;
/// Most items of a list that stands in no parentheses, VALUES apart: PostgreSQL selects 1,664 columns at most.
const ITEMS: usize = 2_000;
/// Most relations that a statement names: a masked one takes more than a hundred kilobytes.
const RELATIONS: usize = 250;
/// Most masked columns that a statement reads.
const MASKS: usize = 500;
/// Most bytes that the rewrite adds: masks, filters, what takes constants out of definitions. As many words and signs as a
/// statement may have take about as much.
const ADDED: usize = 256 * 1024;
/// Parentheses, brackets and CASE within each other.
const NESTING: usize = 200;
/// Operators in a row.
const CHAIN: usize = 2_000;
/// Joins, set operations or subscripts in a row.
const TABLES: usize = 500;
/// Rows within rows: what is open at once.
const LEVELS: usize = 4_000;

/// What is parsed on the session's own thread has no more tokens, names counting as above,
const SMALL_TOKENS: usize = 2_000;
/// no more parentheses within each other,
const SMALL_NESTING: usize = 8;
/// and no more links open at once; a test parses as much on half the stack of such a thread.
const SMALL_CHAIN: usize = 32;

fn refuse(message: String) -> Refusal {
    Refusal::new(Stage::Parse, SqlState::STATEMENT_TOO_COMPLEX, message)
}

/// Holds the text to its size.
///
/// # Errors
/// 54001.
pub(in crate::sql) fn size(text: &str) -> Result<(), Refusal> {
    if text.len() > STATEMENT_BYTES {
        return Err(refuse(format!("the statement is longer than {STATEMENT_BYTES} bytes")));
    }
    Ok(())
}

/// Holds a message's tokens, counted by this, to their number.
///
/// # Errors
/// 54001.
pub(in crate::sql) fn message() -> impl FnMut(&Kind) -> Result<(), Refusal> {
    let mut tokens = 0_usize;
    move |_| {
        tokens += 1;
        if tokens > MESSAGE_TOKENS {
            return Err(refuse(format!("the message has more than {MESSAGE_TOKENS} words and signs")));
        }
        Ok(())
    }
}

/// Holds a message to the number of its statements.
///
/// # Errors
/// 54001.
pub(in crate::sql) fn statements(count: usize) -> Result<(), Refusal> {
    if count > STATEMENTS {
        return Err(refuse(format!("the message has more than {STATEMENTS} statements")));
    }
    Ok(())
}

/// Holds a statement to the number of relations that it names.
///
/// # Errors
/// 54001.
pub(in crate::sql) fn relations(count: usize) -> Result<(), Refusal> {
    if count > RELATIONS {
        return Err(refuse(format!("the statement names more than {RELATIONS} relations")));
    }
    Ok(())
}

/// Holds a statement to the number of masks that it needs.
///
/// # Errors
/// 54001.
pub(in crate::sql) fn masks(count: usize) -> Result<(), Refusal> {
    if count > MASKS {
        return Err(refuse(format!("the statement reads more than {MASKS} masked columns")));
    }
    Ok(())
}

/// Holds what the rewrite adds to its size, before all of it is parsed at once.
///
/// # Errors
/// 54001.
pub(in crate::sql) fn added(bytes: usize) -> Result<(), Refusal> {
    if bytes > ADDED {
        return Err(refuse("the statement reads too many masked, filtered or described things at once".to_owned()));
    }
    Ok(())
}

/// Counts, token by token, what nests and what stands in a row.
#[derive(Debug)]
pub(in crate::sql) struct Limits {
    tokens: usize,
    comments: usize,
    /// The row of each level that is open.
    rows: Vec<Row>,
    /// Links of all of them.
    links: usize,
    /// The most of each so far.
    deepest: usize,
    longest: usize,
}

/// What stands in a row within one pair of parentheses.
#[derive(Debug, Default, Clone, Copy)]
struct Row {
    /// Operators; a comma ends their row.
    operators: usize,
    /// Joins, set operations, subscripts: a comma does not.
    tables: usize,
    /// Commas of the clause at hand; a list in parentheses and VALUES have none.
    items: Option<usize>,
}

impl Default for Limits {
    fn default() -> Self {
        let rows = vec![Row { items: Some(0), ..Row::default() }];
        Self { tokens: 0, comments: 0, rows, links: 0, deepest: 1, longest: 0 }
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
    pub(in crate::sql) fn count(&mut self, kind: &Kind) -> Result<(), Refusal> {
        self.tokens += match kind {
            Kind::Word(word) if matches!(word.as_str(), "null" | "true" | "false" | "default" | "and" | "or") => 1,
            Kind::Word(_) | Kind::Quoted(_) => NAME,
            _ => 1,
        };
        if self.tokens > TOKENS {
            return Err(refuse(format!(
                "the statement has more than {TOKENS} signs and constants, a name counting as {NAME}"
            )));
        }
        if *kind == Kind::Comment {
            self.comments += 1;
            if self.comments > COMMENTS {
                return Err(refuse(format!("the statement has more than {COMMENTS} comments")));
            }
        }
        self.item(kind)?;
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
        self.deepest = self.deepest.max(self.rows.len());
        self.longest = self.longest.max(self.links);
        if self.rows.len() > NESTING {
            return Err(refuse(format!("the statement nests deeper than {NESTING} levels")));
        }
        if self.rows.last().is_some_and(|row| row.operators > CHAIN || row.tables > TABLES) || self.links > LEVELS {
            return Err(refuse(format!(
                "more than {CHAIN} operators, or {TABLES} joins or set operations, stand in a row"
            )));
        }
        Ok(())
    }

    /// Whether what was counted needs no stack of its own to be parsed.
    pub(in crate::sql) fn are_small(&self) -> bool {
        self.tokens <= SMALL_TOKENS && self.deepest <= SMALL_NESTING && self.longest <= SMALL_CHAIN
    }

    /// Counts the items of clauses: of the whole statement, and of queries in parentheses.
    fn item(&mut self, kind: &Kind) -> Result<(), Refusal> {
        let Some(row) = self.rows.last_mut() else { return Ok(()) };
        match kind {
            Kind::Word(word) => match word.as_str() {
                "values" => row.items = None,
                "select" | "with" | "from" | "where" | "group" | "order" | "window" | "returning" => {
                    row.items = Some(0)
                }
                _ => {}
            },
            Kind::Symbol(symbol) if symbol == "," => {
                if let Some(items) = &mut row.items {
                    *items += 1;
                    if *items >= ITEMS {
                        return Err(refuse(format!("more than {ITEMS} columns, relations or keys stand in one list")));
                    }
                }
            }
            _ => {}
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
