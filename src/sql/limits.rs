//! Limits that hold before either parser sees a text, so that neither can be made to recurse too deep or work too long.

use super::lex::{Kind, Token};
use crate::error::{Refusal, SqlState, Stage};

/// Longest statement in bytes.
pub(super) const STATEMENT_BYTES: usize = 1024 * 1024;
/// Parentheses, brackets and CASE within each other.
const NESTING: usize = 200;
/// Operators, joins and set operations within one pair of parentheses: each may be a level of the tree.
const CHAIN: usize = 2_000;
/// The same over the whole statement, in case chains stand within chains.
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

/// Counts what nests and what stands in a row.
///
/// # Errors
/// 54001.
pub(super) fn depth(tokens: &[Token]) -> Result<(), Refusal> {
    // For each open level: how long its chain is. The deepest tree is the sum over the open levels.
    let mut chains = vec![0usize];
    let mut sum = 0usize;
    for token in tokens {
        let (open, close, link) = match &token.kind {
            Kind::Symbol(symbol) => match symbol.as_str() {
                "(" | "[" => (true, false, false),
                ")" | "]" => (false, true, false),
                "," | ";" | "." | ":" => (false, false, false),
                _ => (false, false, true),
            },
            Kind::Word(word) => match word.as_str() {
                "case" => (true, false, false),
                "end" => (false, true, false),
                "and" | "or" | "not" | "is" | "in" | "like" | "ilike" | "similar" | "between" | "join" | "union" | "except"
                | "intersect" | "at" | "collate" | "operator" | "isnull" | "notnull" | "when" | "overlaps" | "any" | "some" | "all"
                | "select" | "with" | "explain" => (false, false, true),
                _ => (false, false, false),
            },
            Kind::Comment
            | Kind::Quoted(_)
            | Kind::Text(_)
            | Kind::National(_)
            | Kind::Bits(_)
            | Kind::Hex(_)
            | Kind::Number { .. }
            | Kind::Param(_) => (false, false, false),
        };
        if open {
            chains.push(0);
        } else if close && chains.len() > 1 {
            sum -= chains.pop().unwrap_or(0);
        } else if link {
            sum += 1;
            if let Some(chain) = chains.last_mut() {
                *chain += 1;
            }
        }
        if chains.len() > NESTING {
            return Err(refuse(format!("the statement nests deeper than {NESTING} levels")));
        }
        if chains.last().is_some_and(|chain| *chain > CHAIN) || sum > LEVELS {
            return Err(refuse(format!("more than {CHAIN} operators, joins or set operations stand in a row")));
        }
    }
    Ok(())
}
