//! Forms of servers that are newer than the witness's grammar (PostgreSQL 18): refused by name, for its syntax error would say what is
//! right there to be wrong.
//!
//! Source: the release notes of PostgreSQL 19.

use crate::error::{Refusal, SqlState, Stage};
use crate::sql::text::lex::{Kind, Token};

const V19: u32 = 190_000;

/// Words in a row, and what they are of.
const FORMS: [(&[&str], &str); 11] = [
    (&["graph_table", "("], "GRAPH_TABLE"),
    (&["property", "graph"], "a property graph"),
    (&["for", "portion", "of"], "FOR PORTION OF"),
    (&["group", "by", "all"], "GROUP BY ALL"),
    (&["ignore", "nulls"], "IGNORE NULLS of a window function"),
    (&["respect", "nulls"], "RESPECT NULLS of a window function"),
    (&["do", "select"], "ON CONFLICT DO SELECT"),
    (&["repack"], "REPACK"),
    (&["wait", "for"], "WAIT FOR"),
    (&["merge", "partitions"], "MERGE PARTITIONS"),
    (&["split", "partition"], "SPLIT PARTITION"),
];

/// The same refusal, or one that names the form of a newer server that its grammar did not read.
pub(super) fn named(refusal: Refusal, tokens: &[Token], server_version: u32) -> Refusal {
    if server_version < V19 || refusal.sqlstate != SqlState::SYNTAX_ERROR {
        return refusal;
    }
    let is = |token: &Token, word: &str| match &token.kind {
        Kind::Word(written) => written == word,
        Kind::Symbol(written) => written == word,
        _ => false,
    };
    let stands = |words: &[&str]| {
        tokens.windows(words.len()).any(|window| window.iter().zip(words).all(|(token, word)| is(token, word)))
    };
    match FORMS.iter().find(|(words, _)| stands(words)) {
        Some((_, what)) => Refusal::unsupported(Stage::Parse, format!("{what} is not carried out"))
            .hint("it is of PostgreSQL 19; forms of PostgreSQL 18 are read"),
        None => refusal,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use crate::sql::parse;

    #[test]
    fn forms_of_a_newer_server_are_refused_by_name_there_alone() {
        for (sql, what) in [
            ("SELECT * FROM GRAPH_TABLE (g MATCH (a IS person) COLUMNS (a.name))", "GRAPH_TABLE"),
            ("CREATE PROPERTY GRAPH g VERTEX TABLES (t)", "property graph"),
            ("UPDATE t FOR PORTION OF at FROM '2026-01-01' TO '2026-02-01' SET a = 1", "FOR PORTION OF"),
            ("DELETE FROM t FOR PORTION OF at FROM '2026-01-01' TO '2026-02-01'", "FOR PORTION OF"),
            ("SELECT a, count(*) FROM t GROUP BY ALL", "GROUP BY ALL"),
            ("SELECT lag(a) IGNORE NULLS OVER (ORDER BY b) FROM t", "IGNORE NULLS"),
            ("INSERT INTO t VALUES (1) ON CONFLICT (a) DO SELECT RETURNING a", "ON CONFLICT DO SELECT"),
            ("REPACK t", "REPACK"),
            ("WAIT FOR LSN '0/3000060'", "WAIT FOR"),
            ("ALTER TABLE t MERGE PARTITIONS (a, b) INTO c", "MERGE PARTITIONS"),
        ] {
            let newer = parse(sql, 190_000).unwrap_err();
            assert!(newer.message.contains(what), "{sql}: {newer}");
            assert_eq!(newer.sqlstate.as_str(), "0A000", "{sql}");
            let older = parse(sql, 180_000).unwrap_err();
            assert!(!older.message.contains(what) || older.sqlstate.as_str() == "0A000", "{sql}: {older}");
        }
        // What is wrong there too stays a syntax error.
        assert_eq!(parse("SELECT FROM WHERE", 190_000).unwrap_err().sqlstate.as_str(), "42601");
        assert!(parse("SELECT a, count(*) FROM t GROUP BY ALL a", 190_000).is_ok());
    }
}
