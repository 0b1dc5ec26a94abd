//! What the witness's grammar (PostgreSQL 18) reads otherwise than an older server: refused there.
//!
//! Source: the release notes of PostgreSQL 16 and 17, and the appendix "SQL Key Words" of each version.

use crate::error::{Refusal, Stage};
use crate::sql::text::lex::{Kind, Token};

const V15: u32 = 150_000;
const V16: u32 = 160_000;
const V17: u32 = 170_000;

/// Words that are calls of the grammar's own from a version on, and of any function of that name before it.
const CALLS: [(&str, u32); 12] = [
    ("json_array", V16),
    ("json_arrayagg", V16),
    ("json_objectagg", V16),
    ("json", V17),
    ("json_exists", V17),
    ("json_query", V17),
    ("json_scalar", V17),
    ("json_serialize", V17),
    ("json_table", V17),
    ("json_value", V17),
    ("merge_action", V17),
    ("system_user", V16),
];

/// Refuses numbers (`1_000`, `0x1F`) and words that the server reads otherwise than the witness.
///
/// # Errors
/// 42601.
pub(in crate::sql) fn check(text: &str, tokens: &[Token], server_version: u32) -> Result<(), Refusal> {
    if server_version >= V17 {
        return Ok(());
    }
    for (at, token) in tokens.iter().enumerate() {
        match &token.kind {
            Kind::Number { text: number, newer: true } if server_version < V16 => {
                let refusal =
                    Refusal::syntax(Stage::Parse, "a number is written in a form that this server does not read");
                return Err(match junk(number).filter(|_| server_version >= V15) {
                    Some(words) => {
                        refusal.told(words).at(text.get(..token.start).map(|before| before.chars().count() + 1))
                    }
                    None => refusal.hint("write it in plain decimal digits"),
                });
            }
            Kind::Word(word) => {
                let newer = CALLS.iter().any(|(name, since)| name == word && server_version < *since);
                // SYSTEM_USER is the grammar's without parentheses: before 16 it is a column.
                let called = word == "system_user" || tokens.get(at + 1).is_some_and(|next| next.is_symbol("("));
                // `a.json(..)` is a function's full name, `INTO json (..)` a table.
                let plain = at
                    .checked_sub(1)
                    .and_then(|at| tokens.get(at))
                    .is_none_or(|token| !(token.is_symbol(".") || token.is_word("into") || token.is_word("as")));
                if newer && called && plain {
                    return Err(Refusal::syntax(Stage::Parse, format!("`{word}` means something else to this server"))
                        .hint("write the name in double quotes"));
                }
            }
            Kind::Number { .. }
            | Kind::Comment
            | Kind::Quoted(_)
            | Kind::Text(_)
            | Kind::National(_)
            | Kind::Bits(_)
            | Kind::Hex(_)
            | Kind::Param(_)
            | Kind::Symbol(_) => {}
        }
    }
    Ok(())
}

/// What PostgreSQL 15 says of a number that begins as a whole one does and goes on as a name does.
fn junk(number: &str) -> Option<String> {
    let digits = number.find(|c: char| !c.is_ascii_digit())?;
    let end = number.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(number.len());
    let junk = number.get(..end).filter(|junk| digits < junk.len())?;
    Some(format!("trailing junk after numeric literal at or near \"{junk}\""))
}
