//! Our lexer against PostgreSQL's: splitting and redaction rest on it without the witness.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::expect_used, clippy::string_slice)]

use super::lex::{Kind, lex};

/// Where each token starts and ends; comments left out.
fn ours(text: &str) -> Option<Vec<(usize, usize)>> {
    let tokens = lex(text).ok()?;
    Some(tokens.iter().filter(|token| token.kind != Kind::Comment).map(|token| (token.start, token.end)).collect())
}

/// The texts of PostgreSQL's tokens, each asked for where one of ours begins; `None` where its scanner refuses. Behind DISCARD
/// stands none of them, so that the parser names the one that it meets.
fn theirs(text: &str, ours: &[(usize, usize)]) -> Option<Vec<String>> {
    let mut tokens = Vec::new();
    let mut from = 0;
    loop {
        let Err(pg_raw_parse::Error::Parse(said)) = pg_raw_parse::parse(&format!("DISCARD {}", &text[from..])) else {
            return None;
        };
        let said = said.to_string();
        if said == "syntax error at end of input" {
            return Some(tokens);
        }
        let near = said.strip_prefix("syntax error at or near \"")?.strip_suffix('"')?;
        // Comments before it belong to no token.
        from = ours.get(tokens.len())?.1;
        tokens.push(near.to_owned());
    }
}

/// Pieces that may join to other tokens. Not `U&` and `N`, which PostgreSQL's lexer gives in two tokens.
const PIECES: &[&str] = &[
    "select", " ", "\n", "\t", "'", "''", "\"", "\\", "\\'", "$", "$$", "$a$", "$1", "E'", "e'", "X'", "b'01'",
    "x'1f'", "--", "/*", "*/", "+", "-", "*", "/", "<", ">", "=", "~", "!", "@", "#", "%", "^", "&", "|", "`", "?",
    "::", ":=", "=>", ".", "..", ",", ";", ":", "(", ")", "[", "]", "1", "1.5", "1e", "1e5", "0x1", "1_0", "_", "a",
    "é", "{", "\u{a0}", "'a'", "\"a\"", "\r",
];

#[test]
fn both_lexers_part_a_text_alike_or_ours_refuses_it() {
    // A plain generator with a fixed seed: the same texts at each run.
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let mut compared = 0;
    for _ in 0..40_000 {
        let length = 1 + next() % 12;
        let text: String = (0..length).map(|_| PIECES[(next() % PIECES.len() as u64) as usize]).collect();
        let Some(ours) = ours(&text) else { continue };
        compared += 1;
        let parts: Vec<String> = ours.iter().map(|(start, end)| text[*start..*end].to_owned()).collect();
        assert_eq!(Some(parts), theirs(&text, &ours), "{text:?}");
    }
    assert!(compared > 5_000, "only {compared} were read");
}

#[test]
fn strings_are_decoded() {
    let value = |text: &str| match &lex(text).unwrap()[0].kind {
        Kind::Text(value) | Kind::National(value) => value.clone(),
        other => format!("{other:?}"),
    };
    assert_eq!(value("'a''b\\'"), "a'b\\");
    assert_eq!(value("E'a\\'\\\\\\n\\x41\\101\\u0041\\U0001F600'"), "a'\\\nAAA😀");
    assert_eq!(value("E'\\uD83D\\uDE00'"), "😀");
    assert_eq!(value("U&'\\D83D\\DE00\\\\'"), "😀\\");
    assert_eq!(value("U&'!0041' /* c */ UESCAPE '!'"), "A");
    assert_eq!(value("$é$a$$b$é$"), "a$$b");
    assert_eq!(value("'a' -- c\n  'b'"), "ab");
    assert_eq!(value("N'a'"), "a");
}

#[test]
fn what_postgresql_refuses_is_refused() {
    for text in [
        "E'\\uD83D'",
        "E'\\u00'",
        "E'\\000'",
        "E'\\xff'",
        "U&'\\0000'",
        "U&'\\1'",
        "\"\"",
        "1a",
        "$1a",
        "$a",
        "'",
        "/*",
        "a\0b",
    ] {
        assert!(lex(text).is_err(), "{text:?}");
    }
}

#[test]
fn names_are_folded_and_cut_at_63_bytes() {
    let long = "é".repeat(40);
    assert_eq!(lex(&long).unwrap()[0].kind, Kind::Word("é".repeat(31)));
    assert_eq!(lex("AbÉ").unwrap()[0].kind, Kind::Word("abÉ".to_owned()));
    assert_eq!(lex("\"A\"\"b\"").unwrap()[0].kind, Kind::Quoted("A\"b".to_owned()));
}
