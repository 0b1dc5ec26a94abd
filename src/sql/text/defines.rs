//! What a text may do to the database's structure, told by its first words: asked where nothing is decided yet, or no more.

use super::lex::{self, Kind, Token};

/// Words that begin statements after which names may mean something else.
const DEFINES: [&str; 8] = ["create", "alter", "drop", "truncate", "discard", "rollback", "abort", "refresh"];

/// Whether what follows in the same message may see another structure than before.
pub fn may_define(text: &str) -> bool {
    let Ok(tokens) = lex::lex(text) else { return false };
    let mut tokens = tokens.iter().filter(|token| token.kind != Kind::Comment);
    let Some(first) = tokens.next() else { return false };
    DEFINES.iter().any(|word| first.is_word(word))
        || ((first.is_word("select") || first.is_word("with")) && tokens.any(|token| token.is_word("into")))
}

/// Whether it reads from a cursor.
pub fn may_fetch(text: &str) -> bool {
    first(text).is_some_and(|token| token.is_word("fetch"))
}

/// Whether it may set all settings back to what they are without the session's own.
pub fn may_reset(text: &str) -> bool {
    first(text).is_some_and(|token| token.is_word("reset") || token.is_word("discard"))
}

fn first(text: &str) -> Option<Token> {
    lex::lex(text).ok()?.into_iter().find(|token| token.kind != Kind::Comment)
}

/// The name of the temporary relation that a statement would make, where it has no schema or that of temporary relations.
pub fn temporary_target(text: &str) -> Option<String> {
    let tokens = lex::lex(text).ok()?;
    let tokens: Vec<&Token> = tokens.iter().filter(|token| token.kind != Kind::Comment).collect();
    let is_one = |token: &&&Token, words: &[&str]| words.iter().any(|word| token.is_word(word));
    let temporary = ["temp", "temporary"];
    let before = [
        "or",
        "replace",
        "local",
        "global",
        "unlogged",
        "recursive",
        "table",
        "view",
        "sequence",
        "if",
        "not",
        "exists",
    ];
    let first = tokens.first()?;
    let rest = if first.is_word("create") {
        tokens.get(1..)?
    } else if first.is_word("select") || first.is_word("with") {
        let into = tokens.iter().position(|token| token.is_word("into"))?;
        tokens.get(into + 1..)?
    } else {
        return None;
    };
    let at = rest.iter().take_while(|token| is_one(token, &before) || is_one(token, &temporary)).count();
    let own = rest.iter().take(at).any(|token| is_one(&token, &temporary));
    let name = word(rest.get(at)?)?;
    match (rest.get(at + 1).is_some_and(|token| token.is_symbol(".")), own) {
        (true, _) if name == "pg_temp" => word(rest.get(at + 2)?),
        (false, true) => Some(name),
        (true, _) | (false, false) => None,
    }
}

fn word(token: &Token) -> Option<String> {
    match &token.kind {
        Kind::Word(name) | Kind::Quoted(name) => Some(name.clone()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_temporary_relation_is_found_in_each_form() {
        for text in [
            "CREATE TEMP TABLE t (a int)",
            "create /* x */ local temporary table if not exists T as select 1",
            "CREATE TEMP VIEW t AS SELECT 1",
            "CREATE OR REPLACE TEMP RECURSIVE VIEW t (a) AS SELECT 1",
            "CREATE TEMPORARY SEQUENCE t",
            "CREATE TABLE pg_temp.t (a int)",
            "CREATE TEMP TABLE pg_temp.\"t\" (a int)",
            "SELECT 1 AS a INTO TEMP t",
            "SELECT 1 AS a INTO TEMPORARY TABLE t FROM x",
            "WITH y AS (SELECT 1) SELECT * INTO LOCAL TEMP t FROM y",
        ] {
            assert_eq!(temporary_target(text).as_deref(), Some("t"), "{text}");
        }
        for text in [
            "CREATE TABLE t (temp int)",
            "SELECT 1 INTO t",
            "INSERT INTO temp VALUES (1)",
            "CREATE TEMP TABLE s.t (a int)",
        ] {
            assert_eq!(temporary_target(text), None, "{text}");
        }
    }
}
