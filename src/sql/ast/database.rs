//! Names that begin with the session's own database: `shop.public.customers` is `public.customers`.
//!
//! Whether a name stands there is asked of PostgreSQL's grammar: a text without the prefix must have the tree of the one with it, but
//! for the database.

use std::borrow::Cow;

use crate::sql::text::lex::{Kind, Token, lex_with};
use crate::sql::text::limits::{self, Limits};
use crate::sql::witness;

/// Prefixes that are tried.
const MOST: usize = 64;

/// The text without the database before its names; the text itself where none stands there.
pub(in crate::sql) fn without_database<'a>(text: &'a str, database: &str) -> Cow<'a, str> {
    let kept = Cow::Borrowed(text);
    if database.is_empty() || limits::size(text).is_err() || !mentions(text, database) {
        return kept;
    }
    let mut limits = Limits::default();
    let Ok(tokens) = lex_with(text, |token| limits.count(token)) else { return kept };
    let tokens: Vec<Token> = tokens.into_iter().filter(|token| token.kind != Kind::Comment).collect();
    let prefixes = prefixes(&tokens, database);
    if prefixes.is_empty() {
        return kept;
    }
    let Ok(asked) = witness::tree(text).map(|tree| tree.without_database(database)) else { return kept };
    let mut left: Vec<(usize, usize)> = Vec::new();
    for prefix in prefixes.into_iter().take(MOST) {
        left.push(prefix);
        let same = witness::tree(&cut(text, &left)).is_ok_and(|tree| tree.without_database(database) == asked);
        if !same {
            left.pop();
        }
    }
    if left.is_empty() { kept } else { Cow::Owned(cut(text, &left)) }
}

/// Whether the name stands in the text at all, whatever its case.
fn mentions(text: &str, database: &str) -> bool {
    let (text, database) = (text.to_ascii_lowercase(), database.to_ascii_lowercase());
    text.contains(&database)
}

/// From where to where `database.` stands at the front of a name of at least three parts.
fn prefixes(tokens: &[Token], database: &str) -> Vec<(usize, usize)> {
    let is_name = |at: usize| matches!(tokens.get(at).map(|token| &token.kind), Some(Kind::Word(_) | Kind::Quoted(_)));
    let dot = |at: usize| tokens.get(at).is_some_and(|token| token.is_symbol("."));
    let first = |at: usize| {
        let named = matches!(tokens.get(at).map(|token| &token.kind),
            Some(Kind::Word(name) | Kind::Quoted(name)) if name == database);
        named && !at.checked_sub(1).is_some_and(dot)
    };
    let long = |at: usize| dot(at + 1) && is_name(at + 2) && dot(at + 3);
    let places = (0..tokens.len()).filter(|at| first(*at) && long(*at));
    places.filter_map(|at| Some((tokens.get(at)?.start, tokens.get(at + 2)?.start))).collect()
}

fn cut(text: &str, left: &[(usize, usize)]) -> String {
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    for (from, to) in left {
        out.push_str(text.get(at..*from).unwrap_or_default());
        at = *to;
    }
    out.push_str(text.get(at..).unwrap_or_default());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_own_database_before_a_name_is_left_out_and_no_other_name_is() {
        let cases = [
            ("SELECT shop.public.t.a FROM shop.public.t", "SELECT public.t.a FROM public.t"),
            ("SELECT shop.t.a FROM shop.t", "SELECT shop.t.a FROM shop.t"),
            ("SELECT shop.t.a FROM shop.shop.t", "SELECT shop.t.a FROM shop.t"),
            ("SELECT 'shop.public.t' FROM \"shop\".\"public\".t", "SELECT 'shop.public.t' FROM \"public\".t"),
            ("SELECT 1 FROM other.public.t", "SELECT 1 FROM other.public.t"),
            ("DROP TABLE shop.public.t", "DROP TABLE public.t"),
        ];
        for (text, without) in cases {
            assert_eq!(without_database(text, "shop"), without, "{text}");
        }
    }
}
