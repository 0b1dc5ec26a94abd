//! What a body in PL/pgSQL calls, where it does no more than compute: no statement of SQL stands in it.
//!
//! It is read as words. Every statement of SQL, and what reads a table within an expression, begins with a key word of PostgreSQL, so that
//! one whose key words are all among those below reads and writes nothing by itself; other words are names, of which those before a
//! parenthesis are calls. What runs text is a key word too. PERFORM, which is none, takes what is held to the same.
//!
//! Source: "PL/pgSQL" in PostgreSQL's documentation, and its appendix "SQL Key Words".

use super::body::Body;
use crate::sql::text::keywords::category;
use crate::sql::text::lex::{Kind, Token, lex};

/// Key words that begin no statement of SQL and read no table: those of control, of expressions and of types.
const WORDS: &str = "all and any array as begin between bigint bit boolean by case char character coalesce continue current_date \
    current_role current_time current_timestamp current_user data day dec decimal declare default distinct else end false float for greatest hour if \
    ilike in int integer interval is json key least level like localtime localtimestamp location minute month name new next not null nullif numeric old or others \
    precision real result return reverse row second session_user smallint some strict text then time timestamp true type user value varchar \
    varying when while year zone";

/// Reads such a body. `None` where it may do more.
pub(in crate::sql) fn body_in_plpgsql(text: &str) -> Option<Body> {
    let tokens: Vec<Token> = lex(text).ok()?.into_iter().filter(|token| token.kind != Kind::Comment).collect();
    let mut body = Body::empty();
    for (at, token) in tokens.iter().enumerate() {
        let (name, is_name) = match &token.kind {
            Kind::Word(word) if category(word).is_some() => {
                if !WORDS.split_ascii_whitespace().any(|known| known == word) {
                    return None;
                }
                (word, false)
            }
            Kind::Word(name) | Kind::Quoted(name) => (name, true),
            Kind::Symbol(symbol) => {
                body.operators.insert(symbol.clone());
                continue;
            }
            Kind::Comment | Kind::Number { .. } | Kind::Text(_) | Kind::Param(_) => continue,
            Kind::National(_) | Kind::Bits(_) | Kind::Hex(_) => return None,
        };
        // Any of them may be the name of a type.
        body.types.insert(name.clone());
        let part = |back: usize| at.checked_sub(back).and_then(|at| tokens.get(at));
        let dotted = part(1).is_some_and(|token| token.is_symbol("."));
        let called = tokens.get(at + 1).is_some_and(|token| token.is_symbol("("));
        match (dotted, called) {
            (false, true) if is_name => body.facts.add_function(vec![name.clone()]),
            (true, true) => {
                let schema = part(2).and_then(|token| match &token.kind {
                    Kind::Word(schema) | Kind::Quoted(schema) => Some(schema.clone()),
                    _ => None,
                })?;
                // A database, or a field of a row, before it.
                if part(3).is_some_and(|token| token.is_symbol(".")) {
                    return None;
                }
                body.facts.add_function(vec![schema, name.clone()]);
            }
            (true, false) => {
                body.fields.insert(name.clone());
            }
            (false, _) => {}
        }
    }
    Some(body)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_body_that_computes_is_read_with_what_it_calls() {
        let body = body_in_plpgsql(
            "DECLARE s text := 'x'; n p.a%TYPE; BEGIN -- from here\n FOR i IN 1..n LOOP s := upper(s) || pg_catalog.lower(\"S\"); END LOOP; \
             RAISE NOTICE '%', s; IF NEW.kept #> old.b THEN PERFORM my(1); END IF; RETURN s; EXCEPTION WHEN others THEN RETURN NULL; END",
        )
        .unwrap();
        assert_eq!(
            body.facts.functions(),
            [vec!["my".to_owned()], vec!["pg_catalog".into(), "lower".into()], vec!["upper".into()]]
        );
        assert!(body.operators.contains("#>") && body.operators.contains("="));
        assert!(body.fields.contains("kept") && body.types.contains("text"));
    }

    #[test]
    fn what_could_read_write_or_run_text_is_not_taken() {
        for body in [
            "BEGIN RETURN (SELECT 1); END",
            "BEGIN RETURN (TABLE people); END",
            "BEGIN RETURN (VALUES (1)); END",
            "BEGIN RETURN (WITH w AS (TABLE t) TABLE w); END",
            "BEGIN x := email FROM people; END",
            "BEGIN PERFORM 1 FROM people; END",
            "BEGIN INSERT INTO t VALUES (1); END",
            "BEGIN UPDATE t SET a = 1; END",
            "BEGIN DELETE FROM t; END",
            "BEGIN MERGE INTO t USING u ON true WHEN MATCHED THEN DELETE; END",
            "BEGIN EXECUTE 'x'; END",
            "BEGIN RETURN QUERY EXECUTE 'x'; END",
            "BEGIN OPEN c FOR EXECUTE 'x'; END",
            "BEGIN FOR r IN EXECUTE 'x' LOOP END LOOP; END",
            "BEGIN COMMIT; END",
            "BEGIN SET search_path = x; END",
            "BEGIN CALL p(); END",
            "BEGIN COPY t TO '/tmp/x'; END",
            "BEGIN NOTIFY x; END",
            "BEGIN TRUNCATE t; END",
            "BEGIN CREATE TABLE t (); END",
            "BEGIN RETURN a.b.c(1); END",
            "BEGIN RETURN U&\"f\"(1) UNION TABLE t; END",
        ] {
            assert_eq!(body_in_plpgsql(body), None, "{body}");
        }
    }
}
