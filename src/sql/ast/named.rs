//! Key words that are names where they stand.
//!
//! PostgreSQL takes most of its key words for names in most places, and sqlparser takes fewer in fewer. Which is meant is asked of
//! PostgreSQL's own grammar: a word that may stand in quotes without the tree being another is a name.

use crate::sql::text::keywords::category;
use crate::sql::text::lex::{Kind, Token};
use crate::sql::witness;

/// Words that are asked about, and bytes that are parsed for that.
const MOST: usize = 96;
const BYTES: usize = 512 * 1024;

/// Words that make up statements; they are names behind a dot, behind AS, and at the end only.
const FRAME: &str = "select from where and or by on as join case when then else end null not in is group order values insert into \
    update delete with union all distinct having limit true false";

/// The tokens with each key word that is a name in quotes; `None` where none is. `tokens` have no comments and are of `text`.
pub(super) fn names_quoted(text: &str, tokens: &[Token]) -> Option<Vec<Token>> {
    let asked = witness::tree(text).ok()?;
    let mut kept: Vec<Token> = tokens.to_vec();
    let candidates = candidates(tokens);
    let mut parsed = 0_usize;
    let mut found = false;
    let mut same = |tokens: &[Token]| {
        parsed = parsed.saturating_add(text.len());
        parsed <= BYTES
            && written(text, tokens).and_then(|text| witness::tree(&text).ok()).is_some_and(|tree| tree == asked)
    };
    for number in candidates.into_iter().take(MOST) {
        let mut tried = kept.clone();
        if let Some(token) = tried.get_mut(number)
            && let Kind::Word(word) = &token.kind
        {
            token.kind = Kind::Quoted(word.clone());
            if same(&tried) {
                kept = tried;
                found = true;
            }
        }
    }
    found.then_some(kept)
}

fn candidates(tokens: &[Token]) -> Vec<usize> {
    let before = |number: usize| number.checked_sub(1).and_then(|before| tokens.get(before));
    let named = |number: usize| before(number).is_some_and(|token| token.is_symbol(".") || token.is_word("as"));
    let candidate = |(number, token): (usize, &Token)| match &token.kind {
        Kind::Word(word) => {
            let frame = FRAME.split_ascii_whitespace().any(|held| held == word);
            let last = number.checked_add(1) == Some(tokens.len());
            (category(word).is_some() && (!frame || last || named(number))).then_some(number)
        }
        _ => None,
    };
    tokens.iter().enumerate().filter_map(candidate).collect()
}

/// The text with what is quoted among its tokens in quotes.
fn written(text: &str, tokens: &[Token]) -> Option<String> {
    let mut out = String::with_capacity(text.len() + 16);
    let mut at = 0;
    for token in tokens {
        let source = text.get(token.start..token.end)?;
        if let Kind::Quoted(word) = &token.kind
            && !source.ends_with('"')
            && source.eq_ignore_ascii_case(word)
        {
            out.push_str(text.get(at..token.start)?);
            out.push('"');
            out.push_str(word);
            out.push('"');
            at = token.end;
        }
    }
    out.push_str(text.get(at..)?);
    Some(out)
}
