//! Under a policy that opens everything, what could call code that nobody opened stays closed, by whatever way it is reached.

use std::sync::Arc;

use pgpurpose::policy::PolicySet;
use pgpurpose::server::Options;

use crate::raw::{self, servers, socket};
use crate::{POLICY, proxy, straight};

/// What is made of functions that no policy names: the steps, of which the last is refused with this SQLSTATE.
const CASES: &[(&str, &str, &[&str])] = &[
    (
        "a column that is not there, where a function has its name",
        "42703",
        &[
            "CREATE TABLE c.called (a int)",
            "CREATE FUNCTION c.shut (c.called) RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN 1; END'",
            "SET search_path = c",
            "INSERT INTO called VALUES (1)",
            "SELECT called.shut FROM called",
        ],
    ),
    (
        "the same beside a column that is left to the database",
        "42703",
        &["SET search_path = c", "SELECT nope, called.shut FROM called"],
    ),
    (
        "a function in PL/pgSQL, also where it only computes",
        "42501",
        &["CREATE FUNCTION c.one () RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN 1; END'", "SELECT c.one()"],
    ),
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
            "CREATE FUNCTION c.unbox (c.boxed) RETURNS text LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT ''x''); END'",
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
    (
        "row security by a function that came to be another",
        "42501",
        &[
            "CREATE TABLE c.rows_of (a int)",
            "CREATE FUNCTION c.sees (int) RETURNS boolean LANGUAGE sql AS 'SELECT true'",
            "CREATE POLICY p ON c.rows_of USING (c.sees(a))",
            "SELECT a FROM c.rows_of",
            "CREATE OR REPLACE FUNCTION c.sees (int) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN RETURN EXISTS (SELECT FROM c.t); END'",
            "SELECT a FROM c.rows_of",
        ],
    ),
    ("the same by a write", "42501", &["UPDATE c.rows_of SET a = 1"]),
    ("the same by COPY", "42501", &["COPY c.rows_of TO STDOUT"]),
    ("the same behind a view", "42501", &["CREATE VIEW c.over_rows AS SELECT 1 AS a FROM c.rows_of"]),
    (
        "an index over a function that came to be another, gathered",
        "42501",
        &[
            "CREATE TABLE c.keyed (a int)",
            "CREATE FUNCTION c.key (int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1'",
            "CREATE INDEX by_key ON c.keyed (c.key(a))",
            "ANALYZE c.keyed",
            "CREATE OR REPLACE FUNCTION c.key (int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS 'BEGIN PERFORM 1 FROM c.t; RETURN $1; END'",
            "ANALYZE c.keyed",
        ],
    ),
    ("the same, made anew", "42501", &["REINDEX INDEX c.by_key"]),
    ("the same by its table", "42501", &["VACUUM FULL c.keyed"]),
    ("the same by every table", "42501", &["VACUUM ANALYZE"]),
    ("the same with the table", "42501", &["ALTER TABLE c.keyed ALTER a TYPE bigint"]),
    ("the same, dropped", "00000", &["DROP INDEX c.by_key", "ANALYZE c.keyed"]),
    (
        "a check that came to be another, validated",
        "42501",
        &[
            "CREATE FUNCTION c.holds (int) RETURNS boolean LANGUAGE sql AS 'SELECT true'",
            "ALTER TABLE c.keyed ADD CONSTRAINT held CHECK (c.holds(a)) NOT VALID",
            "CREATE OR REPLACE FUNCTION c.holds (int) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN PERFORM 1 FROM c.t; RETURN true; END'",
            "ALTER TABLE c.keyed VALIDATE CONSTRAINT held",
        ],
    ),
    ("the same, dropped", "00000", &["ALTER TABLE c.keyed DROP CONSTRAINT held", "ANALYZE c.keyed"]),
    (
        "statistics that came to be others",
        "42501",
        &[
            "CREATE FUNCTION c.told (int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1'",
            "CREATE STATISTICS c.told_of ON (c.told(a)), a FROM c.keyed",
            "CREATE OR REPLACE FUNCTION c.told (int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS 'BEGIN PERFORM 1 FROM c.t; RETURN $1; END'",
            "ANALYZE c.keyed",
        ],
    ),
    (
        "a partition key that came to be another",
        "42501",
        &[
            "CREATE FUNCTION c.part (int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1'",
            "CREATE TABLE c.parted (a int) PARTITION BY LIST (c.part(a))",
            "CREATE TABLE c.parted_1 PARTITION OF c.parted FOR VALUES IN (1)",
            "INSERT INTO c.parted VALUES (1)",
            "CREATE OR REPLACE FUNCTION c.part (int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS 'BEGIN PERFORM 1 FROM c.t; RETURN $1; END'",
            "INSERT INTO c.parted VALUES (1)",
        ],
    ),
    ("the same by the name of a partition", "42501", &["INSERT INTO c.parted_1 VALUES (1)"]),
    (
        "a materialized view of a function, read anew",
        "42501",
        &[
            "CREATE FUNCTION c.shown () RETURNS int LANGUAGE sql AS 'SELECT 1'",
            "CREATE MATERIALIZED VIEW c.shows AS SELECT c.shown()",
            "REFRESH MATERIALIZED VIEW c.shows",
        ],
    ),
    (
        "what another reads by `$user`",
        "42501",
        &[
            "CREATE FUNCTION c.as_owner () RETURNS bigint LANGUAGE sql SECURITY DEFINER AS 'SELECT count(*) FROM c.t'",
            "SELECT c.as_owner()",
            "SET search_path = \"$user\", c",
            "CREATE OR REPLACE FUNCTION c.as_owner () RETURNS bigint LANGUAGE sql SECURITY DEFINER AS 'SELECT count(*) FROM t'",
            "SELECT c.as_owner()",
        ],
    ),
    (
        "the same in what it calls",
        "42501",
        &[
            "SET search_path = \"$user\", c",
            "CREATE FUNCTION c.inner_one () RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM t'",
            "SELECT c.inner_one()",
            "CREATE OR REPLACE FUNCTION c.as_owner () RETURNS bigint LANGUAGE sql SECURITY DEFINER AS 'SELECT c.inner_one()'",
            "SELECT c.as_owner()",
        ],
    ),
    (
        "a trigger that waits for COMMIT",
        "42501",
        &[
            "CREATE TABLE c.late (a int)",
            "CREATE FUNCTION c.later () RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
            "CREATE CONSTRAINT TRIGGER late AFTER INSERT ON c.late DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION c.later()",
            "INSERT INTO c.late VALUES (1)",
        ],
    ),
    (
        "a trigger that calls another function of a name of PostgreSQL's",
        "42501",
        &[
            "CREATE TABLE c.counted (a varchar, n int)",
            "CREATE FUNCTION c.counts () RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.n := char_length(NEW.a); RETURN NEW; END'",
            "CREATE TRIGGER counts BEFORE INSERT ON c.counted FOR EACH ROW EXECUTE FUNCTION c.counts()",
            "INSERT INTO c.counted VALUES ('x')",
            "CREATE FUNCTION c.char_length (varchar) RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT count(*) FROM c.t); END'",
            "INSERT INTO c.counted VALUES ('x')",
        ],
    ),
    (
        "that function, dropped",
        "00000",
        &["DROP FUNCTION c.char_length (varchar)", "INSERT INTO c.counted VALUES ('x')"],
    ),
    (
        "a setting of the proxy's, by a body",
        "42501",
        &[
            "CREATE FUNCTION c.says () RETURNS text LANGUAGE sql AS $$ SELECT current_setting('pgpurpose.purpose', true) $$",
            "SELECT c.says()",
        ],
    ),
    (
        "a setting by a name that a body computes",
        "42501",
        &[
            "CREATE FUNCTION c.says_too () RETURNS text LANGUAGE sql AS $$ SELECT current_setting('pgpurpose' || '.purpose', true) $$",
            "SELECT c.says_too()",
        ],
    ),
    // What is made within a transaction is judged within it as it is afterwards.
    (
        "an operator, in the transaction that makes it",
        "42501",
        &[
            "BEGIN",
            "CREATE OPERATOR c.##| (LEFTARG = text, RIGHTARG = text, FUNCTION = c.both)",
            "SET LOCAL search_path = c",
            "SELECT 'a'::text ##| 'b'::text",
        ],
    ),
    (
        "a cast, in the transaction that makes it",
        "42501",
        &[
            "BEGIN",
            "CREATE TYPE c.crate AS (a text)",
            "CREATE FUNCTION c.open_crate (c.crate) RETURNS text LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT ''x''); END'",
            "CREATE CAST (c.crate AS text) WITH FUNCTION c.open_crate (c.crate)",
            "SELECT ROW('a')::c.crate::text",
        ],
    ),
    (
        "a domain whose check came to be another, in one transaction",
        "42501",
        &[
            "BEGIN",
            "CREATE FUNCTION c.fits (text) RETURNS boolean LANGUAGE sql AS 'SELECT true'",
            "CREATE DOMAIN c.fitting AS text CHECK (c.fits(VALUE))",
            "CREATE OR REPLACE FUNCTION c.fits (text) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN RETURN true; END'",
            "SELECT 'x'::c.fitting",
        ],
    ),
    (
        "such a domain by another name, in one transaction",
        "42501",
        &[
            "CREATE FUNCTION c.suits (text) RETURNS boolean LANGUAGE sql AS 'SELECT true'",
            "CREATE DOMAIN c.suiting AS text CHECK (c.suits(VALUE))",
            "CREATE OR REPLACE FUNCTION c.suits (text) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN RETURN true; END'",
            "BEGIN",
            "ALTER DOMAIN c.suiting RENAME TO plain_text",
            "SELECT 'x'::c.plain_text",
        ],
    ),
    (
        "a trigger, in the transaction that makes it",
        "42501",
        &[
            "BEGIN",
            "CREATE TABLE c.fresh (a text)",
            "CREATE TRIGGER tg BEFORE INSERT ON c.fresh FOR EACH ROW EXECUTE FUNCTION c.trg()",
            "INSERT INTO c.fresh VALUES ('x')",
        ],
    ),
    (
        "a default that came to be another, in one transaction",
        "42501",
        &[
            "BEGIN",
            "CREATE FUNCTION c.given () RETURNS text LANGUAGE sql AS $$ SELECT 'x' $$",
            "CREATE TABLE c.giving (a text DEFAULT c.given())",
            "CREATE OR REPLACE FUNCTION c.given () RETURNS text LANGUAGE plpgsql AS 'BEGIN RETURN 1; END'",
            "INSERT INTO c.giving DEFAULT VALUES",
        ],
    ),
    (
        "the same of a temporary table, in one message",
        "42501",
        &["CREATE FUNCTION c.given () RETURNS text LANGUAGE sql AS $$ SELECT 'x' $$; \
           CREATE TEMP TABLE giving (a text DEFAULT c.given()); \
           CREATE OR REPLACE FUNCTION c.given () RETURNS text LANGUAGE plpgsql AS 'BEGIN RETURN 1; END'; \
           INSERT INTO giving DEFAULT VALUES"],
    ),
    (
        "a function of one's own as an extension's",
        "0A000",
        &[
            "CREATE FUNCTION c.lent (text, text) RETURNS text LANGUAGE plpgsql AS 'BEGIN RETURN $1; END'",
            "CREATE OPERATOR c.##~ (LEFTARG = text, RIGHTARG = text, FUNCTION = c.lent)",
            "ALTER EXTENSION plpgsql ADD FUNCTION c.lent (text, text)",
        ],
    ),
    ("an operator the same", "0A000", &["ALTER EXTENSION plpgsql ADD OPERATOR c.##~ (text, text)"]),
    (
        "a function that values are sent by",
        "0A000",
        &[
            "CREATE FUNCTION c.sent (text) RETURNS bytea LANGUAGE plpgsql AS $$ BEGIN RETURN 'x'; END $$",
            "ALTER TYPE text SET (SEND = c.sent)",
        ],
    ),
    ("a rule", "0A000", &["CREATE RULE r AS ON INSERT TO c.t DO ALSO SELECT c.own('x')"]),
    ("a password", "0A000", &["CREATE ROLE somebody LOGIN PASSWORD 'x'"]),
    ("a login of the policy, changed", "42501", &["ALTER ROLE app NOCREATEDB"]),
    ("the same by who it is", "42501", &["ALTER ROLE CURRENT_USER NOCREATEDB"]),
    ("the same, dropped", "42501", &["DROP ROLE IF EXISTS other_one, app"]),
    ("the same, renamed", "42501", &["ALTER ROLE app RENAME TO somebody"]),
    ("a name of the policy, taken", "42501", &["ALTER ROLE other RENAME TO app"]),
    ("a membership of a login of the policy", "42501", &["GRANT pg_read_server_files TO app"]),
    ("the same when a role is made", "42501", &["CREATE ROLE somebody ROLE app"]),
    ("who reads the catalog", "42501", &["DROP ROLE postgres"]),
    ("what sessions of a role begin with", "0A000", &["ALTER ROLE other SET search_path = c"]),
    (
        "a body that reads files",
        "42501",
        &["CREATE FUNCTION c.reads () RETURNS text LANGUAGE sql AS 'SELECT pg_read_file(''x'')'", "SELECT c.reads()"],
    ),
    (
        "a body that calls one in another language",
        "42501",
        &["CREATE FUNCTION c.around (text) RETURNS text LANGUAGE sql AS 'SELECT c.own($1)'", "SELECT c.around('x')"],
    ),
    (
        "the same by the name of a column",
        "42501",
        &[
            "CREATE TABLE c.rows (a text)",
            "CREATE FUNCTION c.odd (a c.rows) RETURNS text LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT a.a); END'",
            "SET search_path = c",
            "CREATE FUNCTION c.column_of () RETURNS text LANGUAGE sql AS 'SELECT r.odd FROM c.rows r'",
            "SELECT c.column_of()",
        ],
    ),
    (
        "the same behind an operator",
        "42501",
        &[
            "CREATE OPERATOR c.#~# (LEFTARG = text, RIGHTARG = text, FUNCTION = c.both)",
            "CREATE FUNCTION c.by_sign () RETURNS text LANGUAGE sql AS $$ SELECT 'a'::text OPERATOR(c.#~#) 'b'::text $$",
            "SELECT c.by_sign()",
        ],
    ),
    (
        "the same as a default of an argument",
        "42501",
        &["CREATE FUNCTION c.plain (a text DEFAULT c.own('x')) RETURNS text LANGUAGE sql AS 'SELECT $1'"],
    ),
    (
        "one function of several of a name",
        "42501",
        &[
            "CREATE FUNCTION c.many (int) RETURNS int LANGUAGE sql AS 'SELECT $1'",
            "CREATE FUNCTION c.many (text) RETURNS text LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT $1); END'",
            "SELECT c.many(1)",
        ],
    ),
    (
        "a name in a body that some schema has in another language",
        "42501",
        &[
            "CREATE FUNCTION c.initcap (text) RETURNS text LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT $1); END'",
            "CREATE FUNCTION c.low (text) RETURNS text LANGUAGE sql AS 'SELECT initcap($1)'",
            "SELECT c.low('x')",
        ],
    ),
    (
        "a body that sets something",
        "42501",
        &["CREATE FUNCTION c.sets () RETURNS int LANGUAGE sql AS 'SET search_path = c; SELECT 1'", "SELECT c.sets()"],
    ),
    (
        "the same by a function",
        "42501",
        &[
            "CREATE FUNCTION c.sets_too () RETURNS text LANGUAGE sql AS $$ SELECT set_config('search_path', 'c', false) $$",
            "SELECT c.sets_too()",
        ],
    ),
    (
        "settings of the function's own",
        "42501",
        &["CREATE FUNCTION c.apart () RETURNS int LANGUAGE sql SET search_path = c AS 'SELECT 1'", "SELECT c.apart()"],
    ),
    (
        "a body that reads passwords",
        "42501",
        &[
            "CREATE FUNCTION c.secret () RETURNS text LANGUAGE sql AS 'SELECT rolpassword FROM pg_authid'",
            "SELECT c.secret()",
        ],
    ),
    (
        "a body that makes something",
        "42501",
        &[
            "CREATE FUNCTION c.makes () RETURNS int LANGUAGE sql AS 'CREATE TABLE c.made (); SELECT 1'",
            "SELECT c.makes()",
        ],
    ),
    (
        "a body that writes where code runs",
        "42501",
        &[
            "CREATE TABLE c.watched (a int)",
            "CREATE TRIGGER tg BEFORE INSERT ON c.watched FOR EACH ROW EXECUTE FUNCTION c.trg()",
            "CREATE FUNCTION c.puts () RETURNS void LANGUAGE sql AS 'INSERT INTO c.watched VALUES (1)'",
            "SELECT c.puts()",
        ],
    ),
    (
        "functions that call each other without end",
        "42501",
        &[
            "SET check_function_bodies = off",
            "CREATE FUNCTION c.ping () RETURNS int LANGUAGE sql AS 'SELECT c.pong()'",
            "CREATE FUNCTION c.pong () RETURNS int LANGUAGE sql AS 'SELECT c.ping()'",
            "SELECT c.ping()",
        ],
    ),
    (
        "row security by a query that calls one",
        "0A000",
        &["CREATE POLICY deep ON c.t USING (EXISTS (SELECT c.own(a)))"],
    ),
    (
        "a parsed body that calls one",
        "42501",
        &["CREATE FUNCTION c.parsed () RETURNS text LANGUAGE sql RETURN c.own('x')", "SELECT c.parsed()"],
    ),
    (
        "a parsed body that reads files",
        "42501",
        &["CREATE FUNCTION c.peeks () RETURNS text BEGIN ATOMIC SELECT pg_read_file('x'); END", "SELECT c.peeks()"],
    ),
    (
        "a parsed body with an operator of one",
        "42501",
        &[
            "CREATE OPERATOR c.<< (LEFTARG = text, RIGHTARG = text, FUNCTION = c.both)",
            "CREATE FUNCTION c.rows () RETURNS text BEGIN ATOMIC SELECT 'a' OPERATOR(c.<<) 'b'; END",
            "SELECT c.rows()",
        ],
    ),
    (
        "a parsed body that reads what holds statistics",
        "42501",
        &["CREATE FUNCTION c.stats () RETURNS bigint RETURN (SELECT count(*) FROM pg_statistic)", "SELECT c.stats()"],
    ),
    (
        "a parsed body that writes",
        "42501",
        &[
            "CREATE FUNCTION c.put (text) RETURNS void BEGIN ATOMIC INSERT INTO c.t VALUES ($1); END",
            "SELECT c.put('x')",
        ],
    ),
    (
        "a procedure in PL/pgSQL",
        "42501",
        &["CREATE PROCEDURE c.proc () LANGUAGE plpgsql AS 'BEGIN COMMIT; END'", "CALL c.proc()"],
    ),
    (
        "a procedure in SQL that calls one",
        "42501",
        &["CREATE PROCEDURE c.calls () LANGUAGE sql AS 'SELECT c.own(''x'')'", "CALL c.calls()"],
    ),
    ("an argument of CALL that calls one", "42501", &["CALL c.calls(c.own('x'))"]),
    (
        "a default within CREATE SCHEMA that calls one",
        "42501",
        &["CREATE SCHEMA within CREATE TABLE t (a text DEFAULT c.own('x'))"],
    ),
    (
        "an index within CREATE SCHEMA over one",
        "42501",
        &["CREATE SCHEMA within CREATE TABLE t (a text) CREATE INDEX ON t (c.own(a))"],
    ),
    (
        "a view within CREATE SCHEMA that calls one, once it is read",
        "42501",
        &["CREATE SCHEMA seen CREATE VIEW v AS SELECT c.own('x')", "SELECT * FROM seen.v"],
    ),
    (
        "a view within CREATE SCHEMA of what holds passwords, once it is read",
        "42501",
        &["CREATE SCHEMA told CREATE VIEW v AS SELECT rolpassword FROM pg_authid", "SELECT * FROM told.v"],
    ),
    (
        "a table from a query that calls one, with its plan",
        "42501",
        &["EXPLAIN (ANALYZE) CREATE TABLE c.copied AS SELECT c.own('x')"],
    ),
    ("code that runs at once", "0A000", &["DO 'BEGIN END'"]),
    ("a function in C", "0A000", &["CREATE FUNCTION c.now () RETURNS text LANGUAGE internal AS 'version'"]),
    ("a base type", "0A000", &["CREATE TYPE c.base (INPUT = c.base_in, OUTPUT = c.base_out)"]),
    ("foreign data", "0A000", &["CREATE FOREIGN DATA WRAPPER w"]),
    ("an event trigger", "0A000", &["CREATE EVENT TRIGGER e ON ddl_command_start EXECUTE FUNCTION c.trg()"]),
    ("a subscription", "0A000", &["CREATE SUBSCRIPTION s CONNECTION 'host=x' PUBLICATION p"]),
];

#[test]
fn what_calls_code_that_no_policy_opens_is_refused_where_nothing_is_hidden() {
    let proxy = proxy();
    straight("through", "app").query(
        "CREATE SCHEMA c; CREATE FUNCTION c.own (text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN (SELECT $1); END'; \
         CREATE FUNCTION c.both (text, text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN (SELECT $1); END'; \
         CREATE FUNCTION c.trg () RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM 1 FROM c.t; RETURN NEW; END'",
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
        if said.as_deref().unwrap_or("00000") != *sqlstate {
            strange.push(format!("{what}: `{last}` was answered by {said:?}"));
        }
    }
    assert!(strange.is_empty(), "{}", strange.join("\n"));
}

#[test]
fn roles_are_made_and_dropped_where_nothing_is_hidden_and_the_database_lets_them() {
    let mut client = proxy().login("app", &[("database", "through")]);
    let steps = [
        "CREATE ROLE made CREATEROLE",
        "ALTER ROLE made CREATEDB VALID UNTIL 'infinity'",
        "CREATE USER made_too IN ROLE made",
        "CREATE GROUP made_three ROLE made, made_too",
        "GRANT made TO made_too WITH ADMIN OPTION",
        "ALTER GROUP made_three DROP USER made",
        "REVOKE ADMIN OPTION FOR made FROM made_too",
        "ALTER ROLE made RENAME TO remade",
        "COMMENT ON ROLE remade IS 'somebody'",
        "GRANT USAGE ON LANGUAGE plpgsql TO remade",
        "REASSIGN OWNED BY remade TO other",
        "DROP OWNED BY remade, made_too",
        "DROP ROLE remade, made_too, made_three",
    ];
    for step in steps {
        client.send(&raw::query(step));
        let answer = client.until_ready();
        let refused = answer.iter().find(|(tag, _)| *tag == b'E').map(|(_, body)| raw::field(body, b'M'));
        assert_eq!(refused, None, "{step}");
    }
    let left = straight("through", "app").query("SELECT 1 / count(*) FROM pg_roles WHERE rolname ~ '^(re)?made'");
    assert!(left.contains("E22012"), "none is left, so that nothing can be divided by: {left}");
}

#[test]
fn what_a_function_reads_and_writes_is_in_the_log_with_the_statement_that_calls_it() {
    let proxy = proxy();
    straight("through", "app").query(
        "CREATE SCHEMA logged; CREATE TABLE logged.a (x int); CREATE TABLE logged.b (y int); \
         CREATE FUNCTION logged.reads () RETURNS SETOF int LANGUAGE sql AS 'SELECT x FROM logged.a'; \
         CREATE FUNCTION logged.both () RETURNS void LANGUAGE sql AS 'INSERT INTO logged.b SELECT * FROM logged.reads()'; \
         CREATE AGGREGATE logged.gathered (int) (SFUNC = int4pl, STYPE = int)",
    );
    let mut client = proxy.login("app", &[("database", "through")]);
    client.send(&raw::query("SELECT logged.both()"));
    client.until_ready();
    let records = proxy.records();
    let record = records.iter().find(|record| record["statement"] == "SELECT logged.both()").unwrap();
    let mut touched: Vec<String> = record["relations"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|relation| relation["columns"].as_array().unwrap().iter().map(move |column| (relation, column)))
        .map(|(relation, column)| format!("{} {} {}", relation["name"], column["name"], column["use"]).replace('"', ""))
        .collect();
    touched.sort();
    assert_eq!(touched, ["logged.a x [output]", "logged.b y [write]"]);
}

#[test]
fn what_row_policies_read_is_in_the_log_with_the_statement_that_finds_the_rows() {
    let proxy = proxy();
    straight("through", "app").query(
        "CREATE SCHEMA kept; CREATE TABLE kept.rows (x int); CREATE TABLE kept.who (y text); CREATE TABLE kept.level (z int); \
         CREATE FUNCTION kept.level_of () RETURNS int LANGUAGE sql AS $$ SELECT max(z) FROM kept.level WHERE current_setting('app.who', true) <> '' $$; \
         ALTER TABLE kept.rows ENABLE ROW LEVEL SECURITY; CREATE VIEW kept.over AS SELECT x FROM kept.rows; \
         CREATE POLICY p ON kept.rows USING (x < kept.level_of() AND EXISTS (SELECT FROM kept.who))",
    );
    let mut client = proxy.login("app", &[("database", "through")]);
    for sql in ["SELECT x FROM kept.rows", "SELECT x FROM kept.over", "DELETE FROM kept.rows"] {
        client.send(&raw::query(sql));
        assert!(!client.until_ready().iter().any(|(tag, _)| *tag == b'E'), "{sql}");
        let records = proxy.records();
        let record = records.iter().find(|record| record["statement"] == sql).unwrap();
        let relations = record["relations"].as_array().unwrap();
        let mut names: Vec<&str> = relations.iter().map(|relation| relation["name"].as_str().unwrap()).collect();
        names.sort_unstable();
        let own = if sql.contains("over") { "kept.over" } else { "kept.rows" };
        let mut expected = [own, "kept.level", "kept.who"];
        expected.sort_unstable();
        assert_eq!(names, expected, "{sql}");
    }
}

#[test]
fn a_session_that_took_another_role_is_not_served_once_something_is_hidden() {
    crate::proxy();
    let proxy = raw::start(Options::new("127.0.0.1:0", servers(&socket())), POLICY, raw::catalog("through"));
    straight("through", "app").query("CREATE SCHEMA taken; CREATE TABLE taken.t (a int); GRANT USAGE ON SCHEMA taken TO other; GRANT SELECT ON taken.t TO other");
    let mut took = proxy.login("app", &[("database", "through")]);
    let mut stayed = proxy.login("app", &[("database", "through")]);
    let mut returned = proxy.login("app", &[("database", "through")]);
    for step in ["SET ROLE other", "SELECT a FROM taken.t"] {
        took.send(&raw::query(step));
        let answer = took.until_ready();
        assert!(!answer.iter().any(|(tag, _)| *tag == b'E'), "{step}");
    }
    for step in
        ["SET SESSION AUTHORIZATION other", "RESET SESSION AUTHORIZATION", "BEGIN", "SET LOCAL ROLE other", "COMMIT"]
    {
        returned.send(&raw::query(step));
        assert!(!returned.until_ready().iter().any(|(tag, _)| *tag == b'E'), "{step}");
    }
    let hides = format!("{POLICY}\n[tables.\"taken.t\"]\n[tables.\"taken.t\".columns]\na = \"number\"\n");
    let policies = PolicySet::from_sources(&[("test.toml".into(), hides.as_str().into())]).unwrap();
    proxy.shared.policies.store(Arc::new(policies));
    let said = |client: &mut crate::raw::Client, sql: &str| {
        client.send(&raw::query(sql));
        client.until_ready().iter().find(|(tag, _)| *tag == b'E').map(|(_, body)| raw::field(body, b'M'))
    };
    let refused = said(&mut took, "SELECT 1").unwrap_or_default();
    assert!(refused.contains("took another role"), "{refused}");
    assert_eq!(said(&mut stayed, "SELECT 1"), None);
    assert_eq!(said(&mut returned, "SELECT 1"), None);
    assert!(said(&mut stayed, "SET ROLE other").is_some_and(|said| said.contains("`role` cannot be changed")));
}
