//! Tokens as text, and where a query stands among them.

use std::ops::Range;

use crate::sql::text::lex::{Kind, Token};

/// The query behind the first AS outside of parentheses, without WITH DATA or WITH CHECK OPTION.
pub(super) fn query(tokens: &[Token]) -> Option<Range<usize>> {
    if tokens.iter().take(5).any(|token| token.is_word("recursive")) {
        // PostgreSQL makes a WITH of it, in which the view's own name is a query's.
        return None;
    }
    let mut depth = 0_usize;
    let start = tokens.iter().position(|token| {
        if token.is_symbol("(") {
            depth += 1;
        } else if token.is_symbol(")") {
            depth = depth.saturating_sub(1);
        }
        depth == 0 && token.is_word("as")
    })? + 1;
    let ends: [&[&str]; 5] = [
        &["with", "data"],
        &["with", "no", "data"],
        &["with", "check", "option"],
        &["with", "cascaded", "check", "option"],
        &["with", "local", "check", "option"],
    ];
    let behind = |words: &[&str]| {
        let from = tokens.len().checked_sub(words.len())?;
        let tail = tokens.get(from..)?;
        tail.iter().zip(words).all(|(token, word)| token.is_word(word)).then_some(from)
    };
    let end = ends.iter().find_map(|words| behind(words)).unwrap_or(tokens.len());
    (start < end).then_some(start..end)
}

/// The first word behind EXPLAIN and its options.
pub(super) fn explained(tokens: &[Token]) -> Option<&Token> {
    let behind = tokens.get(1..)?;
    if behind.first()?.is_symbol("(") {
        let closing = behind.iter().position(|token| token.is_symbol(")"))?;
        return behind.get(closing + 1);
    }
    behind.iter().find(|token| !["analyze", "analyse", "verbose"].iter().any(|word| token.is_word(word)))
}

/// SELECT INTO in two: `CREATE TABLE name AS`, and the query without INTO. `location`: where the name stands.
pub(super) fn select_into(tokens: &[Token], location: i32) -> Option<(Vec<Token>, Vec<Token>)> {
    let location = usize::try_from(location).ok()?;
    let name = tokens.iter().position(|token| token.start == location)?;
    let mut from = name;
    let options = ["table", "unlogged", "temp", "temporary", "local", "global"];
    while tokens.get(from.checked_sub(1)?).is_some_and(|token| options.iter().any(|word| token.is_word(word))) {
        from -= 1;
    }
    from -= 1;
    if !tokens.get(from)?.is_word("into") {
        return None;
    }
    let mut end = name + 1;
    if tokens.get(end).is_some_and(|token| token.is_symbol(".")) {
        end += 2;
    }
    // Places of the text are names' own; these words stand nowhere in it.
    let word = |word: &str| Token { kind: Kind::Word(word.to_owned()), start: usize::MAX, end: usize::MAX };
    let mut words = vec![word("create")];
    for kind in ["unlogged", "temp", "temporary"] {
        if tokens.get(from..name)?.iter().any(|token| token.is_word(kind)) {
            words.push(word(kind));
        }
    }
    words.push(word("table"));
    words.extend(tokens.get(name..end)?.iter().cloned());
    words.push(word("as"));
    let query = tokens.get(..from)?.iter().chain(tokens.get(end..)?).cloned().collect();
    Some((words, query))
}

/// How many tokens the dotted name takes that begins here, where it is the one of these parts.
pub(super) fn spells(tokens: &[Token], parts: &[String]) -> Option<usize> {
    let mut length = 0_usize;
    for (number, part) in parts.iter().enumerate() {
        if number > 0 {
            if !tokens.get(length)?.is_symbol(".") {
                return None;
            }
            length += 1;
        }
        match &tokens.get(length)?.kind {
            Kind::Word(name) | Kind::Quoted(name) if name == part => length += 1,
            _ => return None,
        }
    }
    (length > 0 && !tokens.get(length).is_some_and(|token| token.is_symbol("."))).then_some(length)
}
