//! Under a policy that opens everything, what could call code that nobody opened stays closed, by whatever way it is reached.

use crate::raw::{self};
use crate::{proxy, straight};

/// What is made of functions that no policy names: the steps, of which the last is refused with this SQLSTATE.
const CASES: &[(&str, &str, &[&str])] = &[
    (
        "an operator of a function of one's own",
        "42601",
        &["CREATE OPERATOR c.##> (RIGHTARG = text, FUNCTION = c.own)", "SELECT OPERATOR(c.##>) 'x'"],
    ),
    ("the same by the search path", "42501", &["SET search_path = c, pg_catalog", "SELECT ##> 'x'"]),
    (
        "an operator of a function that reads files",
        "42501",
        &["CREATE OPERATOR c.##< (RIGHTARG = text, FUNCTION = pg_read_file)"],
    ),
    (
        "the same, with its schema",
        "42501",
        &["CREATE OPERATOR c.##< (RIGHTARG = text, PROCEDURE = pg_catalog.pg_read_file)"],
    ),
    (
        "an aggregate over a function of one's own",
        "42501",
        &["CREATE AGGREGATE c.gather (text) (SFUNC = c.both, STYPE = text)", "SELECT c.gather('x')"],
    ),
    (
        "an aggregate that ends in a function which runs text",
        "42501",
        &["CREATE AGGREGATE c.run (text) (SFUNC = textcat, STYPE = text, FINALFUNC = query_to_xml)"],
    ),
    (
        "a cast by a function of one's own",
        "42501",
        &[
            "CREATE TYPE c.boxed AS (a text)",
            "CREATE FUNCTION c.unbox (c.boxed) RETURNS text LANGUAGE sql AS 'SELECT ''x''::text'",
            "CREATE CAST (c.boxed AS text) WITH FUNCTION c.unbox (c.boxed) AS ASSIGNMENT",
            "SELECT ROW('a')::c.boxed::text",
        ],
    ),
    (
        "a cast by a function that reads files",
        "42501",
        &["CREATE CAST (text AS bytea) WITH FUNCTION pg_read_binary_file (text)"],
    ),
    (
        "a function of one's own behind a system's type",
        "42501",
        &[
            "CREATE FUNCTION c.cmp (int, int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 0'",
            "CREATE OPERATOR CLASS c.odd FOR TYPE int USING btree AS OPERATOR 1 <, OPERATOR 3 =, FUNCTION 1 c.cmp (int, int)",
        ],
    ),
    (
        "the same in a family",
        "42501",
        &[
            "CREATE OPERATOR FAMILY c.fam USING btree",
            "ALTER OPERATOR FAMILY c.fam USING btree ADD FUNCTION 1 c.cmp (int, int)",
        ],
    ),
    (
        "a cast between system's types by a function of one's own",
        "42501",
        &[
            "CREATE FUNCTION c.turn (int) RETURNS point LANGUAGE sql IMMUTABLE AS 'SELECT ''(1,1)''::point'",
            "CREATE CAST (int AS point) WITH FUNCTION c.turn (int)",
        ],
    ),
    (
        "a support function that waits",
        "42501",
        &["CREATE OPERATOR CLASS c.odd FOR TYPE int USING btree AS OPERATOR 1 <, FUNCTION 1 pg_cancel_backend (int)"],
    ),
    (
        "a function with a body in SQL",
        "42501",
        &["CREATE FUNCTION c.body () RETURNS text RETURN pg_read_file('x')", "SELECT c.body()"],
    ),
    (
        "a check by a function of one's own",
        "42501",
        &["CREATE DOMAIN c.d AS text", "ALTER DOMAIN c.d ADD CHECK (c.own(VALUE) > '')"],
    ),
    ("a default by a function of one's own", "42501", &["ALTER DOMAIN c.d SET DEFAULT c.own('x')"]),
    (
        "row security by a function of one's own",
        "42501",
        &["CREATE TABLE c.t (a text)", "CREATE POLICY p ON c.t USING (c.own(a) > '')"],
    ),
    (
        "a trigger's condition by a function of one's own",
        "42501",
        &["CREATE TRIGGER tg BEFORE INSERT ON c.t FOR EACH ROW WHEN (c.own(NEW.a) > '') EXECUTE FUNCTION c.trg()"],
    ),
    ("statistics by a function of one's own", "42501", &["CREATE STATISTICS c.s ON (c.own(a)), a FROM c.t"]),
    ("a rule", "0A000", &["CREATE RULE r AS ON INSERT TO c.t DO ALSO SELECT c.own('x')"]),
    ("a role", "0A000", &["CREATE ROLE somebody"]),
    ("code that runs at once", "0A000", &["DO 'BEGIN END'"]),
    ("a function in C", "0A000", &["CREATE FUNCTION c.now () RETURNS text LANGUAGE internal AS 'version'"]),
    ("a base type", "0A000", &["CREATE TYPE c.base (INPUT = c.base_in, OUTPUT = c.base_out)"]),
    ("foreign data", "0A000", &["CREATE FOREIGN DATA WRAPPER w"]),
    ("an event trigger", "0A000", &["CREATE EVENT TRIGGER e ON ddl_command_start EXECUTE FUNCTION c.trg()"]),
    ("a subscription", "0A000", &["CREATE SUBSCRIPTION s CONNECTION 'host=x' PUBLICATION p"]),
    ("another owner", "0A000", &["ALTER TABLE c.t OWNER TO pg_monitor"]),
];

#[test]
fn what_calls_code_that_no_policy_opens_is_refused_where_nothing_is_hidden() {
    let proxy = proxy();
    straight("through", "app").query(
        "CREATE SCHEMA c; CREATE FUNCTION c.own (text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT $1'; \
         CREATE FUNCTION c.both (text, text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT $1'; \
         CREATE FUNCTION c.trg () RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
    );
    let mut strange = Vec::new();
    for (what, sqlstate, steps) in CASES {
        let mut client = proxy.login("app", &[("database", "through")]);
        let Some((last, first)) = steps.split_last() else { continue };
        for step in first {
            client.send(&raw::query(step));
            let answer = client.until_ready();
            if let Some((_, body)) = answer.iter().find(|(tag, _)| *tag == b'E') {
                strange.push(format!("{what}: `{step}` is refused: {}", raw::field(body, b'M')));
            }
        }
        client.send(&raw::query(last));
        let answer = client.until_ready();
        let said = answer.iter().find(|(tag, _)| *tag == b'E').map(|(_, body)| raw::field(body, b'C'));
        if said.as_deref() != Some(sqlstate) {
            strange.push(format!("{what}: `{last}` was answered by {said:?}"));
        }
    }
    assert!(strange.is_empty(), "{}", strange.join("\n"));
}
