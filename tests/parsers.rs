//! What the two parsers agree on, and what they must not let pass.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    missing_docs
)]

use std::time::{Duration, Instant};

use pgpurpose::error::Refusal;
use pgpurpose::sql::{self, Kind, Parsed};

const SERVER: u32 = 150_004;

fn parse(text: &str) -> Result<Parsed, Refusal> {
    sql::on_parser_stack(|| sql::parse(text, SERVER)).expect("no panic")
}

fn text_of(parsed: &Parsed) -> String {
    match parsed.kind() {
        Kind::Empty => String::new(),
        Kind::Statement(statement) => sql::render(statement),
        Kind::Utility(utility) => sql::utility::render_utility(utility),
        Kind::Ddl(ddl) => ddl.render(),
    }
}

/// What it was rendered to.
fn rendered(text: &str) -> String {
    match parse(text) {
        Ok(parsed) => sql::on_parser_stack(|| text_of(&parsed)).unwrap(),
        Err(refusal) => panic!("{text}: {refusal}"),
    }
}

fn relations(text: &str) -> Vec<String> {
    let parsed = parse(text).unwrap_or_else(|refusal| panic!("{text}: {refusal}"));
    parsed.facts().relations().iter().map(|(_, name)| name.clone()).collect()
}

#[test]
fn too_much_is_refused_at_once() {
    let cases = [
        format!("SELECT {}1{}", "(".repeat(100_000), ")".repeat(100_000)),
        format!("SELECT {}1{}", "[".repeat(100_000), "]".repeat(100_000)),
        format!("SELECT 1{}", " UNION SELECT 1".repeat(20_000)),
        format!("SELECT 1 WHERE a{}", " AND a".repeat(50_000)),
        format!("SELECT 1{}", "+1".repeat(50_000)),
        format!("SELECT {}1", "- ".repeat(50_000)),
        format!("SELECT {}1", "NOT ".repeat(50_000)),
        format!("SELECT {}1 {}1", "/*".repeat(100_000), "*/".repeat(100_000)),
        format!("SELECT '{}'", "x".repeat(20_000_000)),
        format!("SELECT {}1{}", "CASE WHEN true THEN ".repeat(50_000), " END".repeat(50_000)),
        format!("SELECT 1 FROM a{}", " JOIN a ON true".repeat(50_000)),
        format!("SELECT a{}", "::int".repeat(100_000)),
        format!("SELECT a{}", "[1]".repeat(100_000)),
        format!("SELECT a{}", ".a".repeat(200_000)),
        format!("SELECT {}", "+".repeat(900_000)),
        format!("SELECT {}", "$a$".repeat(300_000)),
        format!("UPDATE t {}1", "SET a = ".repeat(100_000)),
        format!("SELECT 1 {} ROWS ONLY", "FETCH FIRST ".repeat(50_000)),
        format!("EXPLAIN {}SELECT 1", "EXPLAIN ".repeat(100_000)),
        format!("SELECT {}1{}", "x IN ((SELECT ".repeat(500), "))".repeat(500)),
        format!("SELECT sum(1) OVER ({})", "ROW EXCLUDE TIES ".repeat(50_000)),
        format!("SELECT {}1", "a IS NOT DISTINCT FROM ".repeat(40_000)),
        format!("SELECT {}1", "a BETWEEN 1 AND ".repeat(50_000)),
        format!("SELECT {}1", "ALL ".repeat(100_000)),
        format!("{} SELECT 1", "WITH a AS (SELECT 1)".repeat(30_000)),
    ];
    for text in cases {
        let start = Instant::now();
        let result = parse(&text);
        let took = start.elapsed();
        println!("{:>8.1?} {:?}", took, result.as_ref().err().map(ToString::to_string));
        let head: String = text.chars().take(60).collect();
        assert!(result.is_err(), "{head}");
        assert!(took < Duration::from_secs(2), "{head} took {took:?}");
    }
}

#[test]
fn what_is_just_within_the_limits_is_read_on_the_parsers_stack() {
    for text in [
        format!("SELECT {}1{}", "(".repeat(190), ")".repeat(190)),
        format!("SELECT 1{}", "+1".repeat(1_900)),
        format!("SELECT 1 WHERE a{}", " AND a".repeat(1_900)),
        format!("SELECT 1{}", " UNION SELECT 1".repeat(490)),
        format!("SELECT 1 WHERE a IN ({}1)", "1,".repeat(19_000)),
        format!("SELECT {}1", "a + b, ".repeat(1_900)),
        format!("SELECT CASE {} END", "WHEN a = 1 THEN 2 ".repeat(2_500)),
        format!("SELECT 1 FROM a{}", " JOIN a ON true".repeat(490)),
    ] {
        let start = Instant::now();
        let result = parse(&text);
        println!("{:.1?}", start.elapsed());
        assert!(result.is_ok(), "{:.60}: {:?}", text, result.err());
    }
}

#[test]
fn nested_alternatives_cost_no_more_than_the_text_is_long() {
    for text in [
        format!("SELECT 1 WHERE {}1{}", "a IN ((SELECT b WHERE ".repeat(60), ") + 1)".repeat(60)),
        format!("SELECT 1 FROM {}a{}", "((SELECT * FROM ".repeat(60), ") AS t)".repeat(60)),
        format!("SELECT {}1{}", "((SELECT ".repeat(60), ") + 1)".repeat(60)),
        format!("SELECT {}1{}", "f(f(g((".repeat(40), "))))".repeat(40)),
        format!("SELECT {}1{}", "CASE case ".repeat(90), "END".repeat(90)),
        format!("SELECT {}1", "interval ".repeat(2_000)),
        format!("SELECT {}1{}", "cast(cast(".repeat(90), ")".repeat(180)),
        format!("SELECT {}1{}", "(row(array[".repeat(60), "]))".repeat(60)),
        format!("SELECT {}", "x.(".repeat(190)),
        format!("SELECT {}1{}", "exists(select ".repeat(190), ")".repeat(190)),
        format!("SELECT {}1{}", "not exists((select ".repeat(95), "))".repeat(95)),
    ] {
        let start = Instant::now();
        let result = parse(&text);
        let took = start.elapsed();
        println!("{took:>8.1?} {:.30} {:?}", text, result.err().map(|e| e.to_string()));
        assert!(took < Duration::from_secs(2), "{text:.60} took {took:?}");
    }
}

#[test]
fn text_hidden_behind_an_operator_and_a_comment_is_seen() {
    let text = "SELECT 2 &/* ' */ 3, password FROM users --'";
    assert_eq!(relations(text), ["users"]);
    let parsed = parse(text).unwrap();
    assert_eq!(parsed.facts().columns(), [["password"]]);
}

#[test]
fn every_relation_is_seen_however_it_is_named() {
    assert_eq!(relations("SELECT 1 FROM ONLY users"), ["users"]);
    assert_eq!(relations("SELECT 1 FROM ONLY (users)"), ["users"]);
    assert_eq!(relations("SELECT 1 UNION ALL TABLE users"), ["users"]);
    assert_eq!(relations("TABLE ONLY users"), ["users"]);
    assert_eq!(relations("COPY users TO STDOUT"), ["users"]);
    assert_eq!(relations("COPY (SELECT * FROM users) TO STDOUT"), ["users"]);
    assert_eq!(relations("EXPLAIN SELECT * FROM users"), ["users"]);
    assert_eq!(relations("DECLARE c CURSOR FOR SELECT * FROM users"), ["users"]);
    assert_eq!(relations("PREPARE p AS SELECT * FROM users"), ["users"]);
    assert_eq!(relations("EXECUTE p ((SELECT password FROM users))"), ["users"]);
    assert_eq!(relations("SELECT * FROM U&\"\\0075sers\""), ["users"]);
    assert_eq!(relations("SELECT * FROM users*"), ["users"]);
    assert_eq!(relations("SELECT * FROM \"Users\", USERS"), ["Users", "users"]);
    assert_eq!(relations("WITH users AS (SELECT 1) SELECT * FROM users"), ["users"]);
    assert_eq!(relations("SELECT 1 FROM a FOR UPDATE OF a"), ["a"]);
}

#[test]
fn tables_made_from_queries_name_what_they_are_made_of() {
    for text in [
        "SELECT * INTO stolen FROM users",
        "WITH w AS (SELECT password FROM users) SELECT w.* INTO UNLOGGED stolen FROM w, users",
        "CREATE TABLE stolen AS SELECT * FROM users",
        "CREATE TABLE stolen (LIKE users)",
        "CREATE TEMP TABLE stolen AS TABLE users",
        "CREATE VIEW stolen (a) AS SELECT * FROM users WITH CHECK OPTION",
    ] {
        let relations = relations(text);
        assert!(relations.contains(&"stolen".to_owned()) && relations.contains(&"users".to_owned()), "{text}");
    }
}

#[test]
fn files_programs_and_tables_within_queries_are_refused() {
    for text in [
        "SELECT * FROM (SELECT * INTO stolen FROM users) x",
        "SELECT 1 UNION SELECT password INTO stolen FROM users",
        "CREATE TABLE stolen AS EXECUTE p",
        "COPY users TO '/tmp/stolen'",
        "COPY users TO PROGRAM 'cat'",
        "COPY users FROM '/tmp/x'",
    ] {
        assert!(parse(text).is_err(), "{text}");
    }
}

#[test]
fn more_than_one_statement_is_refused() {
    for text in
        ["SELECT 1; SELECT 2", "COMMIT; SELECT 2", "SELECT 1;; SELECT 2", "END; TABLE users", "BEGIN; TABLE users"]
    {
        assert!(parse(text).is_err(), "{text}");
    }
    assert!(parse("SELECT 1;").is_ok());
    assert!(parse("SELECT 1 ; -- two").is_ok());
    assert!(matches!(parse(" /* nothing */ -- here").unwrap().kind(), Kind::Empty));
    assert!(matches!(parse(" ; ").unwrap().kind(), Kind::Empty));
}

#[test]
fn rendering_means_what_was_written() {
    for (text, expected) in [
        ("SELECT - - 1", "SELECT -(-1)"),
        ("SELECT - -1", "SELECT -(-1)"),
        ("SELECT 1 - - 1", "SELECT 1 - -1"),
        ("SELECT ''''''", "SELECT ''''''"),
        ("SELECT 'a\\'", "SELECT E'a\\\\'"),
        ("SELECT E'a\\'b'", "SELECT 'a''b'"),
        ("SELECT E'a\\'b\\\\'", "SELECT E'a''b\\\\'"),
        ("SELECT U&'d\\0061t!', U&'d!0061t' UESCAPE '!'", "SELECT 'dat!', 'dat'"),
        ("SELECT $$it's$$, $a$ $$ $a$", "SELECT 'it''s', ' $$ '"),
        ("SELECT 'a'\n'b'", "SELECT 'ab'"),
        ("SELECT X'1f'\n'2a', B'01'", "SELECT X'1f2a', B'01'"),
        ("SELECT 1 &> 2", "SELECT 1 &> 2"),
        ("SELECT a &>b", "SELECT a &> b"),
        ("SELECT a ISNULL, a NOTNULL", "SELECT a IS NULL, a IS NOT NULL"),
        ("SELECT \"a\\\" FROM t", "SELECT \"a\\\" FROM t"),
        ("SELECT \"a\"\"\"\"b\"", "SELECT \"a\"\"\"\"b\""),
        ("SELECT 1 LIMIT ALL", "SELECT 1 LIMIT NULL"),
        ("SELECT 1 != 2", "SELECT 1 <> 2"),
        ("SELECT @ - 1", "SELECT @ (-1)"),
        ("TABLE t", "SELECT * FROM t"),
        ("SELECT * FROM ONLY s.t AS a", "SELECT * FROM ONLY s.t AS a"),
        ("SELECT 1 FROM a FOR NO KEY UPDATE OF a SKIP LOCKED", "SELECT 1 FROM a FOR NO KEY UPDATE OF a SKIP LOCKED"),
        ("SELECT 1 FROM a, b FOR UPDATE OF a, b", "SELECT 1 FROM a, b FOR UPDATE OF a, b"),
        ("SELECT 1 FROM a FOR KEY SHARE", "SELECT 1 FROM a FOR KEY SHARE"),
        ("UPDATE t SET a[1].b = 2, c[1:] = d", "UPDATE t SET a[1].b = 2, c[1:] = d"),
        (
            "INSERT INTO t (a[1]) OVERRIDING USER VALUE VALUES (1)",
            "INSERT INTO t (a[1]) OVERRIDING USER VALUE VALUES (1)",
        ),
        ("SELECT (r).*, (r).a.b FROM t", "SELECT (r).*, (r).a.b FROM t"),
        ("SELECT * FROM a JOIN b USING (x) AS j", "SELECT * FROM a JOIN b USING(x) AS j"),
        ("DELETE FROM t WHERE CURRENT OF c", "DELETE FROM t WHERE CURRENT OF c"),
        ("SELECT f(VARIADIC a)", "SELECT f(VARIADIC a)"),
        ("SET a.b TO 'x', 1", "SET \"a\".\"b\" TO 'x', 1"),
        ("START TRANSACTION READ ONLY, DEFERRABLE", "START TRANSACTION READ ONLY, DEFERRABLE"),
        ("PREPARE TRANSACTION E'it\\'s'", "PREPARE TRANSACTION 'it''s'"),
        ("COMMIT PREPARED 'x'", "COMMIT PREPARED 'x'"),
        ("ROLLBACK PREPARED 'x'", "ROLLBACK PREPARED 'x'"),
        ("FETCH 3 c", "FETCH FORWARD 3 FROM \"c\""),
        ("NOTIFY c, 'it''s'", "NOTIFY \"c\", 'it''s'"),
        ("CALL s.p(1, x => 'a')", "CALL s.p(1, x => 'a')"),
        (
            "INSERT INTO t VALUES (1) ON CONFLICT (a s.ops, lower(b) COLLATE c ops) DO NOTHING",
            "INSERT INTO t VALUES (1) ON CONFLICT(a s.ops, lower(b) COLLATE c ops) DO NOTHING",
        ),
    ] {
        assert_eq!(rendered(text), expected, "{text}");
    }
}

#[test]
fn forms_without_an_equal_are_refused_by_name() {
    for (text, said) in [
        ("CREATE RULE r AS ON INSERT TO t DO INSTEAD NOTHING", "CREATE RULE"),
        ("CREATE OR REPLACE TRUSTED LANGUAGE l HANDLER h", "CREATE LANGUAGE"),
        ("DO $$begin end$$", "DO"),
        ("SELECT 1 FROM db.s.t", "another database"),
        ("SELECT 1_000", "number"),
        ("SELECT 0x1F", "number"),
    ] {
        let refusal = parse(text).err().unwrap_or_else(|| panic!("{text} is read"));
        assert!(refusal.message.contains(said), "{text}: {refusal}");
    }
    assert!(sql::on_parser_stack(|| sql::parse("SELECT 1_000, 0x1F", 160_000)).unwrap().is_ok());
}

#[test]
fn no_refusal_repeats_a_literal() {
    for text in [
        "SELECT 'secret' 'secret'",
        "SELECT a 'secret' b 'secret'",
        "SELECT 'secret",
        "SET 'secret'",
        "FOO 'secret'",
        "EXECUTE p('secret' x y)",
    ] {
        let refusal = parse(text).err().unwrap_or_else(|| panic!("{text} is read"));
        assert!(!format!("{refusal:?}").contains("secret"), "{refusal:?}");
    }
}

/// Pieces that lexers read differently when they touch.
const PIECES: &[&str] = &[
    "SELECT ",
    "1",
    "a",
    "b",
    " FROM ",
    "users",
    "+",
    "-",
    "*",
    "/",
    "<",
    ">",
    "=",
    "~",
    "!",
    "@",
    "#",
    "%",
    "^",
    "&",
    "|",
    "`",
    "?",
    "/*",
    "*/",
    "--",
    "\n",
    " ",
    "'",
    "''",
    "\"",
    "$$",
    "$a$",
    "$1",
    "E'",
    "e'\\'",
    "U&'",
    "U&\"",
    "X'",
    "B'",
    "N'",
    "::",
    ":=",
    "=>",
    "..",
    ".",
    "(",
    ")",
    "[",
    "]",
    ",",
    ";",
    ":",
    "\\",
    "\t",
    "_",
    "é",
    "1e5",
    "0x1",
    ".5",
    " AND ",
    " IS ",
    " NOT ",
    " NULL ",
    " ONLY ",
    " TABLE ",
    " UNION ",
    " AS ",
    " IN ",
    " ANY",
    " COLLATE ",
    " CASE ",
    " END ",
    " ROW",
    " ARRAY",
    " INTERVAL ",
    " LIMIT ",
    " FOR ",
    " OF ",
    " SET ",
];

#[test]
fn pieces_glued_at_random_are_refused_or_read_alike_and_never_panic() {
    // A plain generator with a fixed seed: the same texts at each run.
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let texts: Vec<String> = (0..60_000)
        .map(|_| {
            let length = 2 + next() % 14;
            let mut text = String::from("SELECT ");
            for _ in 0..length {
                text.push_str(PIECES[(next() % PIECES.len() as u64) as usize]);
            }
            text
        })
        .collect();
    let agreed = sql::on_parser_stack(|| {
        let mut agreed = 0;
        for text in &texts {
            let Ok(parsed) = sql::parse(text, SERVER) else { continue };
            agreed += 1;
            let again = text_of(&parsed);
            let back = sql::parse(&again, SERVER).unwrap_or_else(|refusal| panic!("{text} became {again}: {refusal}"));
            if !matches!(parsed.kind(), Kind::Empty) {
                assert_eq!(parsed.facts(), back.facts(), "{text} became {again}");
            }
            for relation in parsed.facts().relations() {
                assert!(again.contains(relation.1.as_str()), "{text} became {again}");
            }
            let _ = sql::redact(text);
        }
        agreed
    })
    .expect("no panic");
    println!("{agreed} of {} read", texts.len());
    assert!(agreed > 500, "only {agreed} were read at all");
}

#[test]
fn words_that_an_older_server_reads_otherwise_are_refused_there() {
    let at = |text: &str, version: u32| sql::on_parser_stack(|| sql::parse(text, version)).unwrap();
    for text in ["SELECT system_user FROM t", "SELECT json_value(a, '$') FROM t", "SELECT json_array(1)"] {
        assert!(at(text, 150_000).is_err(), "{text}");
        assert!(at(text, 180_000).is_ok(), "{text}");
    }
    assert!(at("SELECT \"system_user\", json FROM t", 150_000).is_ok());
}

#[test]
fn a_text_in_ascii_means_the_same() {
    let texts = [
        "SELECT 'caf\u{e9} \\ '' \u{1f600}' AS \"na\u{ef}ve \\ \"\" \u{1f600}\" FROM \u{e9}t\u{e9} AS x",
        "SELECT E'a\\n\u{e9}'/* \u{e9} */, $x$\u{e9} ' \\ $x$, U&'\\00e9 \u{e9}' -- \u{e9}\n",
        "SELECT'\u{e9}'AS\"\u{e9}\"",
        "CREATE FUNCTION \u{e9}() RETURNS text LANGUAGE sql AS $$SELECT '\u{e9}\\'$$",
        "SELECT 'a' 'b'",
    ];
    for text in texts {
        let ascii = sql::in_ascii(text).unwrap();
        assert!(ascii.is_ascii() && sql::reads_same(text, &ascii) || text == ascii, "{text}: {ascii}");
    }
    assert_eq!(sql::in_ascii("SELECT N'\u{e9}'"), None, "a constant of that form has no other");
    assert_eq!(sql::in_ascii("SELECT '\u{e9}"), None);
}

proptest::proptest! {
    #[test]
    fn any_name_and_any_constant_mean_the_same_in_ascii(name in "[^\\x00]{1,15}", value in "[^\\x00]{0,15}") {
        let text = format!("SELECT '{}' AS \"{}\"", value.replace('\'', "''"), name.replace('"', "\"\""));
        let ascii = sql::in_ascii(&text).unwrap();
        proptest::prop_assert!(ascii.is_ascii() && sql::reads_same(&text, &ascii), "{}", ascii);
    }
}
