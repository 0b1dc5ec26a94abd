//! What a statement calls without naming it: operators of the grammar's own forms, operator classes, casts, types of parameters.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod raw;

use std::sync::OnceLock;

use pgpurpose::server::Options;
use raw::{Client, Proxy, batch, bind, execute, message, parse, query, servers, shown, socket, sync};

const POLICY: &str = r#"
version = 1
unlisted_tables = "allow"
[tables."public.people"]
subject = "id"
columns = { id = "open", name = "open", email = "open", secret = "closed", born = "open", price = "open" }
[purposes.support]
basis = "contract"
[roles.support]
logins = ["support"]
purposes = ["support"]
[[rules]]
name = "all but the secret"
roles = ["support"]
purposes = ["support"]
read = ["open"]
"#;

/// Every function that must not be called tells the canary.
const TABLES: &str = "
    CREATE TABLE people (id int PRIMARY KEY, name text, email text, secret text, born date, price numeric);
    INSERT INTO people VALUES (1, 'ann', 'ann@x.org', 'canary', '1970-01-01', 1), (2, 'ben', 'ben@x.org', 'canary', '1980-01-01', 2);
    CREATE TABLE things (k int, label text); INSERT INTO things VALUES (1, 'a'), (2, 'b');
    CREATE FUNCTION tell() RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER AS
        $$ BEGIN PERFORM pg_notify('told', (SELECT secret FROM public.people LIMIT 1)); RAISE NOTICE 'canary'; RETURN true; END $$;";

/// Operators of PostgreSQL's own names between types for which it has none.
const OPERATORS: &str = "
    CREATE FUNCTION tell2(int, text) RETURNS boolean LANGUAGE sql AS 'SELECT public.tell()';
    CREATE OPERATOR public.= (LEFTARG = int, RIGHTARG = text, FUNCTION = tell2);
    CREATE OPERATOR public.<> (LEFTARG = int, RIGHTARG = text, FUNCTION = tell2);
    CREATE OPERATOR public.<= (LEFTARG = int, RIGHTARG = text, FUNCTION = tell2);
    CREATE OPERATOR public.>= (LEFTARG = int, RIGHTARG = text, FUNCTION = tell2);
    CREATE OPERATOR public.< (LEFTARG = int, RIGHTARG = text, FUNCTION = tell2);
    CREATE OPERATOR public.> (LEFTARG = int, RIGHTARG = text, FUNCTION = tell2);
    CREATE OPERATOR public.~~ (LEFTARG = int, RIGHTARG = text, FUNCTION = tell2);
    CREATE OPERATOR public.!# (RIGHTARG = oid, FUNCTION = pg_catalog.lo_get);
    SELECT lo_from_bytea(4711, 'canary');";

/// A type that compares and converts by such a function.
const TYPES: &str = "
    CREATE TYPE secretive AS (i int);
    CREATE FUNCTION less(secretive, secretive) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT public.tell()';
    CREATE FUNCTION compare(secretive, secretive) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT CASE WHEN public.tell() THEN 0 END';
    CREATE OPERATOR <# (LEFTARG = secretive, RIGHTARG = secretive, FUNCTION = less);
    CREATE OPERATOR <=# (LEFTARG = secretive, RIGHTARG = secretive, FUNCTION = less);
    CREATE OPERATOR =# (LEFTARG = secretive, RIGHTARG = secretive, FUNCTION = less);
    CREATE OPERATOR >=# (LEFTARG = secretive, RIGHTARG = secretive, FUNCTION = less);
    CREATE OPERATOR >#  (LEFTARG = secretive, RIGHTARG = secretive, FUNCTION = less);
    CREATE OPERATOR CLASS secretive_ops DEFAULT FOR TYPE secretive USING btree AS
        OPERATOR 1 <#, OPERATOR 2 <=#, OPERATOR 3 =#, OPERATOR 4 >=#, OPERATOR 5 >#, FUNCTION 1 compare(secretive, secretive);
    CREATE TABLE kept (k int, v secretive, vs secretive[]); INSERT INTO kept VALUES (1, ROW(1), ARRAY[ROW(1)::secretive]), (2, ROW(2), '{}');
    CREATE TYPE shade AS ENUM ('dark', 'light');
    CREATE FUNCTION text_of(shade) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT CASE WHEN public.tell() THEN 'x' END $$;
    CREATE CAST (shade AS text) WITH FUNCTION text_of(shade) AS IMPLICIT;
    CREATE TABLE shades (k int, s shade); INSERT INTO shades VALUES (1, 'dark');
    CREATE DOMAIN watched AS text CHECK (public.tell());
    CREATE TABLE watching (k int, w watched);
    CREATE DOMAIN fetched AS oid CHECK (lo_get(VALUE) IS NOT NULL);
    CREATE FUNCTION date_of(int) RETURNS date LANGUAGE sql IMMUTABLE AS $$ SELECT CASE WHEN public.tell() THEN date '2000-01-01' END $$;
    CREATE CAST (int AS date) WITH FUNCTION date_of(int);";

const EXTENSIONS: &str = "
    CREATE EXTENSION citext; CREATE EXTENSION hstore; CREATE EXTENSION pg_trgm; CREATE EXTENSION btree_gist; CREATE EXTENSION btree_gin;
    CREATE EXTENSION ltree; CREATE EXTENSION cube; CREATE EXTENSION intarray; CREATE EXTENSION isn; CREATE EXTENSION \"uuid-ossp\";
    CREATE EXTENSION pgcrypto; CREATE EXTENSION seg; CREATE EXTENSION earthdistance;
    CREATE FUNCTION proper(t text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN t LIKE '%@%'; END $$;
    CREATE DOMAIN mail AS citext CHECK (proper(VALUE));
    CREATE TYPE kind AS ENUM ('a', 'b');
    CREATE TYPE period AS RANGE (subtype = date);
    CREATE TABLE wide (id int, name citext, more hstore, path ltree, at cube, mail mail, kind kind, during period, tags int[]);
    INSERT INTO wide VALUES (1, 'Ann', 'a=>1', 'a.b', '(1,2)', 'ann@x.org', 'a', '[2020-01-01,2020-02-01)', '{1,2}');";

fn start(database: &str, sql: &[&str]) -> Proxy {
    raw::cluster().run_statements("postgres", &format!("CREATE DATABASE {database}")).unwrap();
    let grant = "GRANT ALL ON ALL TABLES IN SCHEMA public TO support";
    for sql in sql.iter().chain([&grant]) {
        raw::cluster().run_sql(database, sql).unwrap();
    }
    raw::start(Options::new("127.0.0.1:0", servers(&socket())), POLICY, raw::catalog(database))
}

/// Runs each statement in a session that listens; gives those in which the canary came back, or that were answered otherwise than said.
fn wrong(client: &mut Client, refused: bool, statements: &[&str]) -> Vec<String> {
    let mut wrong = Vec::new();
    for statement in statements {
        client.send(&query(statement));
        let messages = client.until_ready();
        let all: Vec<u8> = messages.iter().flat_map(|(_, body)| body.clone()).collect();
        let leaks =
            String::from_utf8_lossy(&all).contains("canary") || String::from_utf8_lossy(&all).contains("63616e617279");
        let told = messages.iter().any(|(tag, _)| matches!(tag, b'N' | b'A'));
        let failed = messages.iter().any(|(tag, _)| *tag == b'E');
        if leaks || told || failed != refused {
            wrong.push(format!("{statement}: {}", shown(&messages)));
        }
    }
    wrong
}

fn open(proxy: &Proxy, database: &str) -> Client {
    let mut client = proxy.login("support", &[("database", database)]);
    assert_eq!(client.query("LISTEN told"), "C(LISTEN) ZI");
    client
}

#[test]
fn an_operator_that_the_grammar_implies_calls_nothing_unreviewed() {
    static PROXY: OnceLock<Proxy> = OnceLock::new();
    let proxy = PROXY.get_or_init(|| start("operators", &[TABLES, OPERATORS]));
    let mut client = open(proxy, "operators");
    let refused = [
        "SELECT id FROM people WHERE id IN (name, email)",
        "SELECT id FROM people WHERE id NOT IN (name)",
        "SELECT id FROM people WHERE id IN (SELECT label FROM things)",
        "SELECT id FROM people WHERE id NOT IN (SELECT label FROM things)",
        "SELECT id FROM people WHERE (id, id) IN (SELECT label, label FROM things)",
        "SELECT id FROM people WHERE (id, id) IN ((name, name))",
        "SELECT CASE id WHEN name THEN 1 END FROM people",
        "SELECT CASE id + 0 WHEN name || '' THEN 1 END FROM people",
        "SELECT NULLIF(id, name) FROM people",
        "SELECT nullif(id + 1, name || '') FROM people",
        "SELECT id FROM people WHERE id BETWEEN name AND email",
        "SELECT id FROM people WHERE id NOT BETWEEN name AND email",
        "SELECT id FROM people WHERE id BETWEEN SYMMETRIC name AND email",
        "SELECT id IS DISTINCT FROM name FROM people",
        "SELECT id IS NOT DISTINCT FROM name FROM people",
        "SELECT id FROM people WHERE id LIKE name",
        "SELECT id FROM people WHERE id = name",
        "SELECT id FROM people WHERE id = ANY (ARRAY[name])",
        "SELECT id FROM people WHERE (id, id) = (name, email)",
        "SELECT id FROM people WHERE (id, id) < (name, email)",
        "SELECT 1 FROM people p JOIN (SELECT label AS id FROM things) t USING (id)",
        "SELECT 1 FROM people p NATURAL JOIN (SELECT label AS id FROM things) t",
        "SELECT CASE 1 WHEN 'x'::text THEN 1 END",
        "SELECT !# 4711::oid",
        "EXECUTE nothing",
    ];
    assert_eq!(wrong(&mut client, true, &refused), [""; 0]);
    let answered = [
        "SELECT id FROM people WHERE id IN (1, 2) AND name IN ('ann', 'ben') AND name NOT IN ('x')",
        "SELECT id FROM people WHERE id IN (SELECT k FROM things)",
        "SELECT id FROM people WHERE id NOT IN (SELECT k FROM things WHERE k > 5)",
        "SELECT id FROM people WHERE (id, name) IN (SELECT k, label FROM things)",
        "SELECT CASE name WHEN 'ann' THEN 1 WHEN 'ben' THEN 2 END, NULLIF(name, ''), NULLIF(id, 0) FROM people",
        "SELECT id FROM people WHERE id BETWEEN 1 AND 5 AND born BETWEEN '1960-01-01' AND '1990-01-01'",
        "SELECT id FROM people WHERE name IS DISTINCT FROM 'x'",
        "SELECT p.id FROM people p JOIN (SELECT k AS id FROM things) t ON t.id = p.id",
        "SELECT p.id FROM people p JOIN people q USING (id)",
        "SELECT id + 1, name || 'x' FROM people WHERE id + 1 >= 2 ORDER BY name, id DESC",
        "SELECT name, count(*), min(born), max(price) FROM people GROUP BY name HAVING count(*) > 0",
    ];
    assert_eq!(wrong(&mut client, false, &answered), [""; 0]);
}

#[test]
fn a_type_that_compares_or_converts_by_an_unreviewed_function_is_closed() {
    static PROXY: OnceLock<Proxy> = OnceLock::new();
    let proxy = PROXY.get_or_init(|| start("typed", &[TABLES, TYPES]));
    let mut client = open(proxy, "typed");
    let refused = [
        "SELECT k FROM kept ORDER BY v",
        "SELECT DISTINCT v FROM kept",
        "SELECT count(*) FROM kept GROUP BY v",
        "SELECT v FROM kept UNION SELECT v FROM kept",
        "SELECT v FROM kept INTERSECT SELECT v FROM kept",
        "SELECT row_number() OVER (ORDER BY v) FROM kept",
        "SELECT rank() OVER (PARTITION BY v ORDER BY k) FROM kept",
        "SELECT greatest(v, v) FROM kept",
        "SELECT count(DISTINCT v) FROM kept",
        "SELECT array_agg(v ORDER BY v) FROM kept",
        "SELECT max(vs) FROM kept",
        "SELECT k FROM kept WHERE vs < vs",
        "SELECT k FROM kept a WHERE a = a",
        "SELECT DISTINCT kept FROM kept",
        "SELECT DISTINCT * FROM kept",
        "SELECT k FROM kept WHERE v = v",
        "SELECT k FROM kept WHERE v IN (v)",
        "SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY v) FROM kept",
        "SELECT * FROM kept a JOIN kept b USING (v)",
        "SELECT ROW(1)::secretive < ROW(2)::secretive",
        "SELECT s || '' FROM shades",
        "SELECT s::text FROM shades",
        "SELECT lower(s) FROM shades",
        "SELECT k FROM shades WHERE s LIKE 'd%'",
        "SELECT concat(s, 'x') FROM shades",
        "SELECT 'dark'::shade || ''",
        "SELECT 'x'::watched",
        "SELECT json_populate_record(NULL::watching, '{\"w\": \"x\"}')",
        "SELECT 4711::fetched",
        "SELECT 1::date",
        "SELECT CAST(id AS date) FROM people",
        "PREPARE p (watched) AS SELECT $1",
        "PREPARE q (shade) AS SELECT $1 || ''",
    ];
    assert_eq!(wrong(&mut client, true, &refused), [""; 0]);
    let answered = [
        "SELECT k FROM kept",
        "SELECT k FROM shades ORDER BY k",
        "SELECT w FROM watching WHERE w = 'x'",
        "SELECT DISTINCT name FROM people UNION SELECT label FROM things ORDER BY 1",
        "SELECT greatest(born, '2000-01-01') FROM people",
        "SELECT * FROM people",
    ];
    assert_eq!(wrong(&mut client, false, &answered), [""; 0]);
}

#[test]
fn what_extensions_bring_goes_on_working() {
    static PROXY: OnceLock<Proxy> = OnceLock::new();
    let proxy = PROXY.get_or_init(|| start("extended", &[TABLES, EXTENSIONS]));
    let mut client = open(proxy, "extended");
    let answered = [
        "SELECT * FROM wide ORDER BY name",
        "SELECT id FROM wide WHERE name = 'ANN' AND name IN ('ann', 'ben') AND name LIKE 'a%'",
        "SELECT DISTINCT name, path, at, kind, during FROM wide",
        "SELECT more -> 'a', more ? 'a', path ~ 'a.*'::lquery, path @> 'a.b' FROM wide",
        "SELECT id FROM wide WHERE name::text % 'ann' AND kind = 'a' AND during && '[2020-01-01,2020-01-02)'::period",
        "SELECT CASE name WHEN 'ann' THEN 1 END, NULLIF(name, 'x'), mail, mail = 'ANN@x.org' FROM wide",
        "SELECT id FROM wide WHERE name BETWEEN 'a' AND 'z' AND tags && ARRAY[1] AND tags @> '{1}'",
        "SELECT 'A'::citext = 'a'::citext, '(1,2)'::cube <-> '(2,3)'::cube, 'a=>1'::hstore || 'b=>2'::hstore",
        "SELECT max(name), min(kind), count(DISTINCT during) FROM wide GROUP BY path",
    ];
    assert_eq!(wrong(&mut client, false, &answered), [""; 0]);
    assert_eq!(client.rows("SELECT id FROM wide WHERE name IN ('ANN')"), ["1"]);
}

#[test]
fn a_parameters_type_is_held_to_the_rule_of_types_that_are_named() {
    static PROXY: OnceLock<Proxy> = OnceLock::new();
    let proxy = PROXY.get_or_init(|| start("parameters", &[TABLES, TYPES]));
    let mut client = open(proxy, "parameters");
    let oid = |name: &str| -> u32 {
        raw::cluster().run_sql("parameters", &format!("SELECT '{name}'::regtype::oid")).unwrap().trim().parse().unwrap()
    };
    let typed = |sql: &str, oid: u32| {
        let mut body = format!("\0{sql}\0").into_bytes();
        body.extend(1_u16.to_be_bytes());
        body.extend(oid.to_be_bytes());
        message(b'P', &body)
    };
    let value = |text: &str| {
        let mut body = b"\0\0\0\0\0\x01".to_vec();
        body.extend((text.len() as i32).to_be_bytes());
        body.extend(text.as_bytes());
        body.extend(b"\0\0");
        message(b'B', &body)
    };
    for (name, text) in
        [("watched", "x"), ("watched[]", "{x}"), ("watching", "(1,x)"), ("shade", "dark"), ("fetched", "4711")]
    {
        client.send(&batch(&[typed("SELECT $1", oid(name)), value(text), execute("", 0), sync()]));
        assert_eq!(shown(&client.until_ready()), "E42501 ZI", "{name}");
    }
    client.send(&batch(&[typed("SELECT $1", 999_999), value("x"), execute("", 0), sync()]));
    assert_eq!(shown(&client.until_ready()), "E42704 ZI");
    client.send(&batch(&[typed("SELECT $1", oid("int")), value("7"), execute("", 0), sync()]));
    assert_eq!(shown(&client.until_ready()), "1 2 D C(SELECT 1) ZI");
    client.send(&batch(&[parse("", "SELECT 1"), bind("", ""), execute("", 0), sync()]));
    assert_eq!(shown(&client.until_ready()), "1 2 D C(SELECT 1) ZI");
}
