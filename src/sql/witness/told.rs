//! What PostgreSQL's grammar says against a text that it does not read, in its own words and with its place.

use std::panic::catch_unwind;

use super::raised::Raised;
use crate::error::{Refusal, SqlState};
use crate::sql::text::lex::{Kind, Token, lex, lex_with};
use crate::sql::text::limits::{self, Limits};

/// Places that are tried before the first is taken.
pub(super) const TRIED: usize = 32;

/// Bytes of a text that the grammar is given though not all of its tokens were counted. Its parser keeps its own stack on the heap, and
/// no tree of it is walked.
const UNCOUNTED: usize = 8 * 1024;

/// What the lexer says of a quote or comment that goes on to the end: whatever stands in it is one token.
const OPEN_ENDED: &str = "is not closed";

/// The refusal of a statement in PostgreSQL's own words, where its grammar refuses the text as well; else as it was.
///
/// The words may hold a literal of the statement: they are for the client, and for no log.
pub fn in_its_words(refusal: Refusal, text: &str) -> Refusal {
    if refusal.sqlstate == SqlState::STATEMENT_TOO_COMPLEX || refusal.in_its_words().is_some() {
        return refusal;
    }
    let Some((words, position, raised)) = said(text) else { return refusal };
    let mut told = Refusal::syntax(refusal.stage, refusal.message).told(words).at(position);
    (told.detail, told.hint) = (None, None);
    let Some(Raised { sqlstate, hint, speaker: (file, routine), .. }) = raised else { return told };
    (told.sqlstate, told.hint) = (sqlstate, hint.map(str::to_owned));
    told.said_by(file, routine)
}

/// What PostgreSQL's grammar says against a text, and its place in characters from 1; `None` where the grammar reads the text, or may not
/// be given it.
///
/// The words may hold a literal of the statement: they are for the client, and for no log.
pub fn words_against(text: &str) -> Option<(String, Option<usize>)> {
    said(text).map(|(words, position, _)| (words, position))
}

/// The same with the rest of what the grammar tells, where that is known.
fn said(text: &str) -> Option<(String, Option<usize>, Option<Raised>)> {
    limits::size(text).ok()?;
    let mut limits = Limits::default();
    let counted = match lex_with(text, |token| limits.count(token)) {
        Err(refusal) if refusal.sqlstate == SqlState::STATEMENT_TOO_COMPLEX => return None,
        // No token: what stands behind was not counted, so that a long text is not read.
        Err(refusal) if !refusal.message.ends_with(OPEN_ENDED) => false,
        Ok(_) | Err(_) => true,
    };
    let words = (counted || text.len() <= UNCOUNTED).then(|| words(text)).flatten()?;
    let raised = Raised::of(&words, text);
    let stopped = if counted { stopped_in(text, &words) } else { stopped_at(text, &words) };
    let at = stopped.or_else(|| raised?.place(text));
    Some((words, at.map(|at| characters(text, at)), raised))
}

/// The byte at which it stopped: the first of what it names, behind which it already says what it says of the whole.
fn stopped_at(text: &str, words: &str) -> Option<usize> {
    let near = words.split_once("at or near \"")?.1.strip_suffix('"').filter(|near| !near.is_empty())?;
    let says = |end: usize| text.get(..end).and_then(self::words);
    text.match_indices(near).take(TRIED).map(|(at, _)| at).find(|at| says(at + near.len()).as_deref() == Some(words))
}

/// `None` where the grammar reads the text.
pub(super) fn words(text: &str) -> Option<String> {
    match catch_unwind(|| pg_raw_parse::parse(text)) {
        Ok(Err(pg_raw_parse::Error::Parse(words))) => Some(words.to_string()),
        Ok(_) | Err(_) => None,
    }
}

/// The byte at which it stopped, in a text of which the tokens were counted.
fn stopped_in(text: &str, words: &str) -> Option<usize> {
    if words.ends_with("at end of input") {
        return Some(text.len());
    }
    let near = words.split_once("at or near \"")?.1.strip_suffix('"')?;
    let Ok(tokens) = lex(text) else {
        // What is not closed goes on to the end.
        return text.ends_with(near).then(|| text.len().saturating_sub(near.len()));
    };
    let found: Vec<&Token> = tokens.iter().filter(|token| begins(text, token, near)).collect();
    // The first behind which the grammar already refuses what it refuses of the whole.
    let stopped = |token: &&&Token| {
        found.len() == 1 || text.get(..token.end).is_some_and(|part| self::words(part).as_deref() == Some(words))
    };
    found.iter().take(TRIED).find(stopped).or(found.first()).map(|token| token.start)
}

fn begins(text: &str, token: &Token, near: &str) -> bool {
    token.kind != Kind::Comment && text.get(token.start..).is_some_and(|rest| rest.starts_with(near))
}

/// The place of a byte, in characters from 1.
fn characters(text: &str, byte: usize) -> usize {
    text.get(..byte).map_or(1, |before| before.chars().count().saturating_add(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Stage;

    fn told(text: &str) -> (Option<String>, Option<usize>) {
        let refusal = in_its_words(Refusal::syntax(Stage::Parse, "not understood"), text);
        (refusal.in_its_words().map(str::to_owned), refusal.position())
    }

    #[test]
    fn a_syntax_error_is_told_as_postgresql_tells_it() {
        let cases = [
            ("wat", "syntax error at or near \"wat\"", 1),
            ("SELECT a FROM t WHERE a = 1 a b", "syntax error at or near \"a\"", 29),
            ("SELECT é FROM t WHERE", "syntax error at end of input", 22),
            ("SELECT 'abc' 'd'", "syntax error at or near \"'d'\"", 14),
            ("SELECT 'abc", "unterminated quoted string at or near \"'abc\"", 8),
            ("SELECT 1 +", "syntax error at end of input", 11),
            ("SELECT 12, 12a", "trailing junk after numeric literal at or near \"12a\"", 12),
            ("SELECT 0x", "invalid hexadecimal integer at or near \"0x\"", 8),
            ("SELECT E'\\udb99y'", "invalid Unicode surrogate pair at or near \"y\"", 16),
        ];
        for (text, words, position) in cases {
            assert_eq!(told(text), (Some(words.to_owned()), Some(position)), "{text}");
        }
        assert_eq!(told("SELECT 1"), (None, None));
    }
}
