//! A sweep: a canary in every place that a literal, a parameter or a comment can take, and then a search for it in the access
//! log and in the proxy's own log, which is told to say everything.

use std::fs;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::raw::{Client, batch, bind_with, cluster, execute, message, parse, query, sync};
use super::support::proxy::Proxy;
use super::{POLICY, set_up};

const TEXT: &str = "zq7canary";
const NUMBER: &str = "731846250917";

/// `C` in quotes of some kind is the canary, `731846250917` the number.
const STATEMENTS: &[&str] = &[
    "SELECT 'C', E'C', E'\\x43C', N'C', U&'C', U&'C!0041' UESCAPE '!', $$C$$, $q$C$q$, $C$x$C$, 'C'\n'C'",
    "SELECT B'0101', X'C0FFEE', 731846250917, 731846250917.5, .731846250917, 731846250917e1, -731846250917",
    "SELECT id FROM people WHERE email LIKE '%C%' OR email ILIKE 'C' OR email ~ 'C' OR email SIMILAR TO 'C'",
    "SELECT id FROM people WHERE email IN ('C', 'x') AND id BETWEEN 1 AND 731846250917 LIMIT 731846250917 OFFSET 731846250917",
    "SELECT id FROM people WHERE email = ANY (ARRAY['C']) OR email = ANY ('{C}')",
    "SELECT interval 'C', date 'C', timestamp 'C', 'C'::int, CAST('C' AS uuid), json 'C', '{\"C\": \"C\"}'::jsonb -> 'C'",
    "SELECT date '2026-11-22' + interval '731846250917' day, now() AT TIME ZONE 'C'",
    "SELECT 'C'::int",
    "SELECT CASE email WHEN 'C' THEN 'C' ELSE 'C' END FROM people",
    "SELECT overlay('C' PLACING 'C' FROM 1), substring('C' FROM 'C'), trim('C' FROM 'C'), position('C' IN 'C'), extract(year FROM date 'C')",
    "SELECT thing FROM things TABLESAMPLE system (731846250917)",
    "SELECT nothing, 'C' FROM people",
    "SELECT secret FROM people WHERE secret = 'C'",
    "SELECT id FROM nowhere WHERE x = 'C'",
    "SELECT pg_read_file('C')",
    "SELECT set_config('search_path', 'C', false)",
    "SELECT current_setting('C')",
    "SELECT 'C",
    "SELECT E'C\\",
    "SELECT $C$ C",
    "SELECT \"C",
    "SELECT 1 /* C",
    "SELECT 'C' FROM FROM WHERE",
    "SELECT 'C' 'C'",
    "1 'C' 731846250917",
    "SELECT 1 -- C\n, 2 /* C /* C */ C */, 3",
    "/* C */ SELECT 1; -- C",
    "/* purpose='support',route='C',controller='C' */ SELECT 1",
    "/* purpose='support', C */ SELECT 1",
    "/*+ C */ SELECT 1 /* traceparent='C' */",
    "SELECT 2 &/* ' */ 3, secret FROM people --'C'",
    "INSERT INTO notes VALUES (731846250917, 'C')",
    "INSERT INTO notes VALUES (1, 'C') ON CONFLICT DO NOTHING RETURNING 'C'",
    "UPDATE notes SET note = 'C' WHERE note = 'C'",
    "DELETE FROM notes WHERE note = 'C'",
    "MERGE INTO notes n USING (SELECT 1 AS id) s ON n.id = s.id WHEN NOT MATCHED THEN INSERT VALUES (1, 'C')",
    "COPY (SELECT 'C') TO STDOUT (FORMAT csv, NULL 'C', DELIMITER 'C', QUOTE 'C', HEADER)",
    "COPY things TO 'C'",
    "COPY things FROM PROGRAM 'C'",
    "COPY things TO STDOUT WITH NULL AS 'C' DELIMITER AS 'C'",
    "SET search_path = 'C'",
    "SELECT * FROM there_is_none",
    "RESET search_path",
    "SET application_name TO 'plain'",
    "SET statement_timeout = 'C'",
    "SET statement_timeout = 731846250917",
    "SET TIME ZONE 'C'",
    "SET client_encoding = 'C'",
    "SET NAMES 'C'",
    "SET role 'C'",
    "SET SESSION AUTHORIZATION 'C'",
    "SET default_transaction_isolation = 'C'",
    "SET made.up = 'C'",
    "SET TRANSACTION SNAPSHOT 'C'",
    "NOTIFY channel, 'C'",
    "SELECT pg_notify('channel', 'C')",
    "PREPARE p AS SELECT id FROM people WHERE email = $1 OR email = 'C'",
    "EXECUTE p('C')",
    "EXECUTE unknown('C', 731846250917)",
    "EXPLAIN (COSTS off) EXECUTE p('C')",
    "DEALLOCATE p",
    "BEGIN; DECLARE c CURSOR FOR SELECT id FROM people WHERE email = 'C'; FETCH 731846250917 FROM c; COMMIT",
    "EXPLAIN SELECT id FROM people WHERE email = 'C'",
    "EXPLAIN (FORMAT 'C') SELECT 1",
    "EXPLAIN POLICY SELECT id FROM people WHERE email = 'C'",
    "EXPLAIN POLICY SELECT secret FROM people WHERE email = 'C'",
    "DO $$ BEGIN RAISE EXCEPTION 'C'; END $$",
    "DO LANGUAGE 'C' 'C'",
    "CALL nothing('C')",
    "COMMENT ON TABLE people IS 'C'",
    "SECURITY LABEL ON TABLE people IS 'C'",
    "CREATE ROLE somebody LOGIN PASSWORD 'C'",
    "ALTER ROLE support PASSWORD 'C' VALID UNTIL 'C'",
    "ALTER ROLE support SET work_mem = 'C'",
    "CREATE USER MAPPING FOR support SERVER s OPTIONS (user 'C', password 'C')",
    "CREATE SERVER s FOREIGN DATA WRAPPER w OPTIONS (host 'C')",
    "CREATE SUBSCRIPTION s CONNECTION 'C' PUBLICATION p",
    "CREATE TABLE t (x text DEFAULT 'C' CHECK (x <> 'C'))",
    "CREATE VIEW v AS SELECT 'C'",
    "CREATE FUNCTION f() RETURNS text LANGUAGE sql AS 'SELECT ''C'''",
    "ALTER TABLE people ALTER email SET DEFAULT 'C'",
    "PREPARE TRANSACTION 'C'",
    "COMMIT PREPARED 'C'",
    "LOAD 'C'",
    "LOCK TABLE things",
    "VACUUM (PARALLEL 731846250917) people",
    "ALTER SYSTEM SET archive_command = 'C'",
    "SELECT id FROM people WHERE id_number = 'C' AND member = 731846250917",
    "SELECT id FROM people WHERE member = 'C'",
    "SELECT xmlparse(DOCUMENT 'C'), xmlelement(NAME a, 'C')",
    "SELECT json_build_object('C', 'C'), '{C}'::text[], row('C')",
    "SELECT 1 ORDER BY 'C'; SELECT 1 GROUP BY 'C'; VALUES ('C'); TABLE things",
    "WITH x AS (SELECT 'C' AS y) SELECT * FROM x WHERE y = 'C'",
];

fn with_canary(statement: &str) -> String {
    // A word of its own, so that `CREATE` and the like stay.
    let mut out = String::new();
    let mut before = ' ';
    let mut rest = statement.chars().peekable();
    while let Some(c) = rest.next() {
        let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let alone =
            c == 'C' && !(word(before) && before != '3') && !rest.peek().is_some_and(|next| next.is_ascii_alphabetic());
        if alone {
            out.push_str(TEXT);
        } else {
            out.push(c);
        }
        before = c;
    }
    out
}

fn connect(proxy: &Proxy, parameters: &[(&str, &str)]) -> Client {
    let stream = TcpStream::connect(("127.0.0.1", proxy.port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut client = Client { stream };
    client.startup(3, 0, parameters);
    client
}

/// Every place where the canary stands: a file of the log, or the proxy's own log, with the line.
fn found(proxy: &Proxy) -> Vec<String> {
    let holds = |line: &str| {
        let line = line.to_lowercase();
        line.contains(TEXT) || line.contains(NUMBER)
    };
    let mut places = Vec::new();
    for entry in fs::read_dir(proxy.audit_dir()).unwrap() {
        let path = entry.unwrap().path();
        let text = String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned();
        places.extend(text.lines().filter(|line| holds(line)).map(|line| format!("log: {line}")));
    }
    places.extend(proxy.output().lines().filter(|line| holds(line)).map(|line| format!("own log: {line}")));
    places
}

#[test]
fn no_literal_parameter_or_comment_is_in_the_log_or_the_proxys_own() {
    set_up();
    cluster().run_sql("postgres", "CREATE ROLE pgpurpose LOGIN SUPERUSER").unwrap();
    let proxy = Proxy::start_in(cluster(), POLICY, "", "", &[("PGPURPOSE_LOG", "trace")]);
    let mut sent = 0;
    for login in ["support", "postgres"] {
        let mut client = connect(&proxy, &[("user", login), ("database", "log"), ("application_name", "sweep")]);
        client.until_ready();
        for statement in STATEMENTS {
            if login == "postgres"
                && ["ALTER SYSTEM", "LOCK", "VACUUM", "CREATE ROLE"].iter().any(|no| statement.starts_with(no))
            {
                continue;
            }
            let sql = with_canary(statement);
            client.send(&query(&sql));
            client.until_ready();
            // A COPY that waits for rows, or a transaction, is over by then.
            client.send(&batch(&[query("ROLLBACK"), parse("", &sql), sync(), query("ROLLBACK")]));
            for _ in 0..3 {
                client.until_ready();
            }
            sent += 2;
        }
        let number = NUMBER.parse::<i64>().unwrap().to_be_bytes();
        let binary = [&[0, 0, 0, 1, 0, 1, 0, 1, 0, 0, 0, 8][..], &number, &[0, 0]].concat();
        for bytes in [
            batch(&[parse("", "SELECT id FROM people WHERE email = $1"), bind_with("", "", &[TEXT.as_bytes()])]),
            batch(&[parse("", "SELECT id FROM people WHERE id_number = $1"), bind_with("", "", &[TEXT.as_bytes()])]),
            batch(&[parse("", "SELECT id FROM people WHERE id = $1"), bind_with("", "", &[TEXT.as_bytes()])]),
            batch(&[parse("", "SELECT id FROM people WHERE member = $1::bigint"), message(b'B', &binary)]),
            batch(&[parse("", "SELECT $1::text LIMIT $2"), bind_with("", "", &[TEXT.as_bytes(), NUMBER.as_bytes()])]),
        ] {
            client.send(&batch(&[bytes, execute("", 0), sync()]));
            client.until_ready();
        }
        for bytes in [
            batch(&[
                query("COPY notes FROM STDIN"),
                message(b'd', format!("1\t{TEXT}\n{TEXT}\t2\n").as_bytes()),
                message(b'c', b""),
            ]),
            batch(&[query("COPY notes FROM STDIN"), message(b'f', format!("{TEXT}\0").as_bytes())]),
            // Cut by the limit, not UTF-8, a message that is not carried out.
            query(&format!("SELECT '{TEXT}{}'", "x".repeat(1 << 21))),
            message(
                b'Q',
                format!("SELECT '{TEXT}")
                    .into_bytes()
                    .into_iter()
                    .chain([0xff, b'\'', 0])
                    .collect::<Vec<_>>()
                    .as_slice(),
            ),
            message(b'F', &[&[0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 9][..], TEXT.as_bytes(), &[0, 0]].concat()),
        ] {
            client.send(&bytes);
            client.until_ready();
        }
        client.send(&message(b'X', b""));
        client.until_closed();
    }
    // Start-up: values of settings, refused and not.
    for (name, value) in [
        ("client_encoding", TEXT),
        ("replication", TEXT),
        ("DateStyle", TEXT),
        ("TimeZone", TEXT),
        ("search_path", TEXT),
        ("options", "-c row_security=zq7canary"),
        ("options", "-c statement_timeout=zq7canary"),
        ("options", "-c made.up=zq7canary"),
        ("options", "zq7canary"),
    ] {
        let mut client = connect(&proxy, &[("user", "support"), ("database", "log"), (name, value)]);
        client.send(&message(b'X', b""));
        client.until_closed();
    }
    let started = Instant::now();
    while proxy.access_log().iter().filter(|record| record["event"] == "disconnect").count() < 2 {
        assert!(started.elapsed() < Duration::from_secs(20));
    }
    let records = proxy.access_log();
    let accesses = records.iter().filter(|record| record["event"] == "access").count();
    assert!(accesses > sent, "{accesses} for {sent} statements");
    assert!(!proxy.output().is_empty(), "the proxy's own log");
    let found = found(&proxy);
    assert!(found.is_empty(), "{} places:\n{}", found.len(), found.join("\n"));
}
