//! A simple-query message into its statements.

use super::lex::{Kind, Token, lex};
use super::limits;
use crate::error::{Refusal, Stage};

/// The statements of a simple-query message, cut at the semicolons of the top level. Comments stay with the statement
/// before which they stand, those behind the last semicolon with the last statement; what else holds comments only is dropped.
///
/// # Errors
/// 42601 where a text that may hold several cannot be read token by token; 54001 for too many statements.
pub fn split(text: &str) -> Result<Vec<&str>, Refusal> {
    if let Some(statement) = only(text) {
        return Ok(vec![statement]);
    }
    let mut statements = Vec::new();
    let mut start = 0;
    let mut last_start = 0;
    let mut holds_tokens = false;
    let mut depth = 0usize;
    // Depth of BEGIN ATOMIC .. END, the body of an SQL function; CASE .. END nests in it.
    let mut body = 0usize;
    let mut previous: Option<&Token> = None;
    let tokens = lex(text)?;
    for token in &tokens {
        match &token.kind {
            Kind::Comment => continue,
            Kind::Symbol(symbol) => match symbol.as_str() {
                "(" | "[" => depth += 1,
                ")" | "]" => depth = depth.saturating_sub(1),
                ";" if depth == 0 && body == 0 => {
                    if holds_tokens {
                        statements.push(part(text, start, token.start)?);
                        last_start = start;
                    }
                    start = token.end;
                    holds_tokens = false;
                    previous = None;
                    continue;
                }
                _ => {}
            },
            Kind::Word(word) => match word.as_str() {
                "atomic" if previous.is_some_and(|token| token.is_word("begin")) => body += 1,
                "case" if body > 0 => body += 1,
                "end" => body = body.saturating_sub(1),
                _ => {}
            },
            Kind::Quoted(_)
            | Kind::Text(_)
            | Kind::National(_)
            | Kind::Bits(_)
            | Kind::Hex(_)
            | Kind::Number { .. }
            | Kind::Param(_) => {}
        }
        holds_tokens = true;
        previous = Some(token);
    }
    if holds_tokens {
        statements.push(part(text, start, text.len())?);
    } else if let (Some(Token { kind: Kind::Comment, .. }), Some(last)) = (tokens.last(), statements.last_mut()) {
        // It may state the purpose: some frameworks write it behind the semicolon.
        *last = part(text, last_start, text.len())?;
    }
    limits::statements(statements.len())?;
    Ok(statements)
}

/// The text where it is plainly one statement: nothing that could be a comment, and no semicolon but at the end. Whoever
/// decides it reads it token by token.
fn only(text: &str) -> Option<&str> {
    let statement = text.trim();
    let statement = statement.strip_suffix(';').unwrap_or(statement).trim_end();
    let plain = !statement.is_empty()
        && !statement.as_bytes().contains(&0)
        // A searcher for two bytes takes longer to make than a statement to look through.
        && memchr::memchr3_iter(b';', b'-', b'/', statement.as_bytes()).all(|at| {
            let pair = statement.as_bytes().get(at..).unwrap_or_default();
            !(pair.starts_with(b";") || pair.starts_with(b"--") || pair.starts_with(b"/*"))
        });
    plain.then_some(statement)
}

fn part(text: &str, start: usize, end: usize) -> Result<&str, Refusal> {
    text.get(start..end).map(str::trim).ok_or_else(|| Refusal::internal(Stage::Parse))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_batch_is_cut_at_semicolons_outside_quotes_comments_and_parentheses() {
        let text = "/* a; */ SELECT ';', $x$;$x$, \"a;b\" -- ;\n; ; /* only a comment */; UPDATE t SET a = E'\\';' ;";
        let parts = split(text).unwrap();
        assert_eq!(parts, ["/* a; */ SELECT ';', $x$;$x$, \"a;b\" -- ;", "UPDATE t SET a = E'\\';'"]);
    }

    #[test]
    fn a_comment_behind_the_last_semicolon_stays_with_the_last_statement() {
        assert_eq!(split("SELECT 1; SELECT 2; /* a */").unwrap(), ["SELECT 1", "SELECT 2; /* a */"]);
        assert_eq!(split("SELECT 1; ; -- a\n").unwrap(), ["SELECT 1; ; -- a"]);
        assert_eq!(split("SELECT 1; /* a */ ;").unwrap(), ["SELECT 1"]);
        assert!(split("; /* a */").unwrap().is_empty());
    }

    #[test]
    fn a_function_body_in_sql_stays_whole() {
        let text =
            "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; SELECT 2; END; SELECT 3";
        assert_eq!(split(text).unwrap().len(), 2);
    }

    #[test]
    fn the_end_of_a_transaction_is_no_end_of_a_body() {
        assert_eq!(split("BEGIN; SELECT 1; END; SELECT 2").unwrap().len(), 4);
    }

    #[test]
    fn what_is_not_closed_is_refused() {
        assert!(split("SELECT 1; SELECT 'a").is_err());
        assert!(split("SELECT /* a").is_err());
        assert!(split("SELECT $x$ a; SELECT 1").is_err());
    }

    #[test]
    fn what_is_plainly_one_statement_is_left_to_whoever_decides_it() {
        for text in ["SELECT 'a'", " SELECT 'a' ;\n", "SELECT 'a", "SELECT a - - 1 / 2"] {
            assert_eq!(split(text).unwrap(), [text.trim().trim_end_matches(';').trim_end()], "{text}");
        }
        assert!(split(" \n").unwrap().is_empty());
        assert!(split(";").unwrap().is_empty());
    }
}
