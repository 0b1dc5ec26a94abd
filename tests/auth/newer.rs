//! PostgreSQL 18 as the database: every method, what a policy does, and its logins by token.

use std::io::Write;
use std::process::Command;

use pgpurpose::wire::startup::startup_message;

use crate::raw::{Stream, connect, initial, message, over_tls, send};
use crate::setup::{Guarded, HBA, Libpq, OWN_PASSWORD, PASSWORD, ask, conninfo, libpq18, missing, pg18, proxy, psql};

#[test]
fn postgresql_18_is_logged_in_to_by_every_method_and_governed() {
    let Some(bin) = pg18() else { return };
    let guarded = Guarded::start_as(HBA, Some(bin), true, &[("ssl_max_protocol_version", "TLSv1.2")]);
    assert!(guarded.sql("SHOW server_version").starts_with("18."));
    let socket = guarded.upstream(&guarded.socket(), "");
    for (method, upstream) in [
        ("passthrough", guarded.upstream_tls()),
        ("passthrough", socket.clone()),
        ("scram", guarded.upstream_tls()),
        ("relay", socket),
    ] {
        let proxy = proxy(&guarded.listen(), &format!("{upstream}{}", guarded.auth(method)));
        let (login, password) = if method == "scram" { ("agent", OWN_PASSWORD) } else { ("support_agent", PASSWORD) };
        for (libpq, more) in [
            (Libpq::Own, "sslmode=require"),
            (Libpq::Eighteen, "sslmode=require sslnegotiation=direct max_protocol_version=latest"),
            (Libpq::Eighteen, "sslmode=disable min_protocol_version=3.2"),
        ] {
            let to = conninfo(&proxy, login, more);
            let said = ask(&guarded, libpq, &to, password, "SELECT email FROM customers WHERE id = 1");
            assert!(
                said.as_ref().is_ok_and(|email| email.contains('*') && email.contains('@')),
                "{method} {more}: {said:?}"
            );
            let refused =
                ask(&guarded, libpq, &to, password, "SELECT health_note FROM customers WHERE id = 1").unwrap_err();
            assert!(refused.contains("health_note"), "{refused}");
            assert!(psql(&guarded, libpq, &to, "wrong").unwrap_err().contains("password authentication failed"));
        }
        let written = ask(
            &guarded,
            Libpq::Own,
            &conninfo(&proxy, login, "sslmode=require"),
            password,
            "BEGIN; UPDATE orders SET status = 'paid' WHERE order_id = 1 RETURNING status; ROLLBACK",
        );
        assert!(written.as_ref().is_ok_and(|said| said.contains("paid")), "{method}: {written:?}");
    }
}

/// What newer servers read, in a governed session: what comes, or the words of the refusal.
const NEWER: &[(&str, Result<&str, &str>)] = &[
    ("SELECT json_exists('{\"a\":1}'::jsonb, '$.a'), json_value('{\"a\":\"x\"}'::jsonb, '$.a')", Ok("t|x")),
    ("SELECT json_value('[]'::jsonb, '$.a' RETURNING int DEFAULT 1 + 1 ON EMPTY ERROR ON ERROR) + 1", Ok("3")),
    (
        "SELECT json_query('{\"a\":[1]}'::jsonb, '$.a[*]' WITH CONDITIONAL ARRAY WRAPPER), json_query('\"x\"'::jsonb, '$' RETURNING text OMIT QUOTES)",
        Ok("1|x"),
    ),
    ("SELECT json_query('[1,2]'::jsonb, '$[*] ? (@ > $least)' PASSING 1 AS least RETURNING text)", Ok("2")),
    ("SELECT json_scalar(1), json_serialize(json('{}') RETURNING text)", Ok("1|{}")),
    // Within them masks are seen, as everywhere.
    (
        "SELECT json_value(to_jsonb(email), '$') = email, json_value(to_jsonb(email), '$') LIKE '%*%' FROM customers WHERE id = 1",
        Ok("t|t"),
    ),
    ("SELECT json_value(to_jsonb(health_note), '$') FROM customers WHERE id = 1", Err("health_note")),
    ("SELECT json_value('{\"a\":1}'::jsonb, '$.a' PASSING health_note AS x) FROM customers", Err("health_note")),
    ("SELECT json_value('{\"a\":1}'::jsonb, '$.b' DEFAULT health_note ON EMPTY) FROM customers", Err("health_note")),
    ("SELECT json_query('{}'::jsonb, '$' RETURNING spied) FROM customers", Err("not open")),
    ("SELECT * FROM json_table('[1,2]'::jsonb, '$[*]' COLUMNS (a int PATH '$')) ORDER BY a DESC LIMIT 1", Ok("2")),
    (
        "SELECT j.n, j.\"B\", j.c, j.d, j.e FROM json_table('[{\"b\":1.25,\"c\":[1]},{\"x\":2}]'::jsonb, '$[*] ? (@.b > $least)' AS p PASSING 1 AS least \
         COLUMNS (n FOR ORDINALITY, \"B\" numeric(3, 1) PATH '$.b', c jsonb FORMAT JSON PATH '$.c' WITH CONDITIONAL WRAPPER KEEP QUOTES, \
         d timestamp(0) with time zone PATH '$.d' NULL ON EMPTY, e int PATH '$.e' DEFAULT 3 + 4 ON EMPTY ERROR ON ERROR, path bool EXISTS PATH '$.b') \
         ERROR ON ERROR) AS j",
        Ok("1|1.3|[1]||7"),
    ),
    (
        "SELECT k.a, k.b, k.z FROM json_table('{\"a\":1,\"l\":[{\"b\":2}]}', '$' COLUMNS (a int PATH '$.a', NESTED PATH '$.l[*]' AS l COLUMNS (b int PATH '$.b', \
         NESTED '$.m[*]' COLUMNS (c int PATH '$')))) AS k (a, b, z)",
        Ok("1|2|"),
    ),
    // What it is given is seen masked, and what is closed is not given.
    (
        "SELECT c.email LIKE '%*%', j.e = c.email FROM customers c, LATERAL json_table(to_jsonb(c.email), '$' COLUMNS (e text PATH '$')) j WHERE id = 1",
        Ok("t|t"),
    ),
    (
        "SELECT j.* FROM customers c, json_table(to_jsonb(c.health_note), '$' COLUMNS (e text PATH '$')) j",
        Err("health_note"),
    ),
    (
        "SELECT count(j.e), count(j.n) > 0 FROM customers c, json_table(to_jsonb(c), '$' COLUMNS (e text PATH '$.health_note', n text PATH '$.email')) j",
        Ok("0|t"),
    ),
    (
        "SELECT j.* FROM customers c, json_table('{}'::jsonb, '$' PASSING c.health_note AS x COLUMNS (e text PATH '$x')) j",
        Err("health_note"),
    ),
    (
        "SELECT j.* FROM customers c, json_table('{}'::jsonb, '$' COLUMNS (e text PATH '$.x' DEFAULT c.health_note ON EMPTY)) j",
        Err("health_note"),
    ),
    ("SELECT * FROM json_table('{}'::jsonb, '$' COLUMNS (e spied PATH '$'))", Err("not open")),
    ("SELECT e.email FROM json_table('[1]'::jsonb, '$[*]' COLUMNS (e int PATH '$')) AS e", Err("email")),
    (
        "SELECT timestamptz '2026-01-02 03:04:05+00' AT LOCAL = timestamptz '2026-01-02 03:04:05+00' AT TIME ZONE current_setting('timezone')",
        Ok("t"),
    ),
    ("SELECT (now() AT LOCAL) IS NULL, system_user LIKE '%support%' OR system_user IS NULL", Ok("f|t")),
    (
        "SELECT pg_input_is_valid('42', 'int'), pg_input_is_valid('x', 'numeric(3, 1)'), (pg_input_error_info('x', 'integer')).sql_error_code",
        Ok("t|f|22P02"),
    ),
    ("SELECT pg_input_is_valid(email, 'date') FROM customers WHERE id = 1", Ok("f")),
    ("SELECT pg_input_is_valid('{}', 'spied')", Err("not open")),
    ("SELECT pg_input_is_valid('{}', 'public.spied[]')", Err("not open")),
    ("SELECT pg_input_is_valid('{}', '\"Spied\"')", Err("not open")),
    ("SELECT pg_input_is_valid('{}', 'U&\"\\0073pied\"')", Err("not open")),
    ("SELECT pg_input_is_valid('{}', t) FROM (VALUES ('spied')) v (t)", Err("not open")),
    ("SELECT * FROM pg_input_error_info('{}', concat('spi', 'ed'))", Err("not open")),
    ("SELECT ('{}'::text).pg_input_is_valid", Err("")),
    (
        "SELECT JSON_OBJECT(), JSON_OBJECT('a': 1, 'b' VALUE NULL), JSON_OBJECT('a': NULL ABSENT ON NULL RETURNING jsonb)",
        Ok("{}|{\"a\" : 1, \"b\" : null}|{}"),
    ),
    ("SELECT json_object('{a,1}'), JSON_OBJECT('a': JSON_OBJECT('b': 1))", Ok("{\"a\" : \"1\"}|{\"a\" : {\"b\" : 1}}")),
    (
        "SELECT JSON_OBJECT('e': email)::text LIKE '%*%', JSON_OBJECT(email VALUE 1)::text LIKE '%*%' FROM customers WHERE id = 1",
        Ok("t|t"),
    ),
    ("SELECT JSON_OBJECT('n': health_note) FROM customers", Err("health_note")),
    ("SELECT JSON_OBJECT(health_note VALUE 1 ABSENT ON NULL) FROM customers", Err("health_note")),
    ("SELECT JSON_OBJECT('a': 1 RETURNING spied)", Err("not open")),
    ("SELECT at local FROM (SELECT 1 AS at) x", Ok("1")),
    (
        "SELECT JSON_ARRAY(1, NULL, 'x'), JSON_ARRAY(1, NULL NULL ON NULL RETURNING jsonb), JSON_ARRAY(), JSON_ARRAY(RETURNING jsonb)",
        Ok("[1, \"x\"]|[1, null]|[]|[]"),
    ),
    (
        "SELECT JSON_ARRAY('{\"a\":1}' FORMAT JSON, 2 NULL ON NULL), JSON_ARRAY('[1]' FORMAT JSON RETURNING text FORMAT JSON)",
        Ok("[{\"a\":1}, 2]|[[1]]"),
    ),
    (
        "SELECT JSON_OBJECT('a': '[1]' FORMAT JSON, 'b' VALUE 2 WITH UNIQUE KEYS RETURNING text), JSON_OBJECT('a': NULL ABSENT ON NULL WITHOUT UNIQUE RETURNING jsonb)",
        Ok("{\"a\" : [1], \"b\" : 2}|{}"),
    ),
    ("SELECT JSON_OBJECT('a': 1, 'a': 2 NULL ON NULL WITH UNIQUE)", Err("duplicate")),
    ("SELECT JSON('{\"a\":1}' WITH UNIQUE KEYS), JSON('[]' FORMAT JSON), JSON('[2]')", Ok("{\"a\":1}|[]|[2]")),
    (
        "SELECT json_serialize(json('{}') RETURNING bytea FORMAT JSON), json_serialize('[]' FORMAT JSON)",
        Ok("\\x7b7d|[]"),
    ),
    (
        "SELECT JSON_ARRAYAGG(g ORDER BY g DESC RETURNING jsonb), JSON_ARRAYAGG(g ORDER BY g DESC) FILTER (WHERE g > 1), JSON_ARRAYAGG(NULLIF(g, 2) ORDER BY g DESC NULL ON NULL RETURNING jsonb) FROM generate_series(1, 3) g",
        Ok("[3, 2, 1]|[3, 2]|[3, null, 1]"),
    ),
    (
        "SELECT JSON_OBJECTAGG(g: '[1]' FORMAT JSON NULL ON NULL WITH UNIQUE KEYS RETURNING jsonb), JSON_OBJECTAGG('k' VALUE NULLIF(g, 1) ABSENT ON NULL RETURNING jsonb) FROM generate_series(1, 1) g",
        Ok("{\"1\": [1]}|{}"),
    ),
    ("SELECT JSON_ARRAYAGG(g) OVER (ORDER BY g ROWS CURRENT ROW) FROM generate_series(1, 1) g", Ok("[1]")),
    // What is gathered is seen masked, and what is closed is not gathered, nor sorted by.
    (
        "SELECT JSON_ARRAYAGG(email)::text LIKE '%*%', JSON_OBJECTAGG(id: email)::text LIKE '%*%' FROM customers",
        Ok("t|t"),
    ),
    ("SELECT JSON_ARRAYAGG(health_note) FROM customers", Err("health_note")),
    ("SELECT JSON_ARRAYAGG(id ORDER BY health_note) FROM customers", Err("health_note")),
    ("SELECT JSON_ARRAYAGG(id) FILTER (WHERE health_note IS NULL) FROM customers", Err("health_note")),
    ("SELECT JSON_OBJECTAGG(health_note: 1 FORMAT JSON NULL ON NULL) FROM customers", Err("health_note")),
    ("SELECT JSON_OBJECTAGG(id VALUE health_note WITH UNIQUE KEYS) FROM customers", Err("health_note")),
    ("SELECT JSON_ARRAY(health_note FORMAT JSON) FROM customers", Err("health_note")),
    ("SELECT JSON_ARRAY(SELECT health_note FROM customers)", Err("health_note")),
    ("SELECT JSON(health_note WITH UNIQUE KEYS) FROM customers", Err("health_note")),
    ("SELECT JSON_ARRAYAGG(1 RETURNING spied)", Err("not open")),
    ("SELECT JSON_ARRAYAGG(1 RETURNING spied FORMAT JSON)", Err("not open")),
    ("SELECT JSON_OBJECT('a': 1 WITH UNIQUE KEYS RETURNING spied FORMAT JSON)", Err("not open")),
    ("SELECT JSON_OBJECT('a': 1 NULL ON NULL WITH UNIQUE RETURNING spied FORMAT JSON)", Err("not open")),
    ("SELECT JSON_ARRAY(1 NULL ON NULL RETURNING spied FORMAT JSON)", Err("not open")),
    ("SELECT JSON_OBJECT('a': 1 WITH UNIQUE KEYS RETURNING spied)", Err("not open")),
    ("SELECT JSON_ARRAY(1 NULL ON NULL RETURNING text FORMAT JSON)", Ok("[1]")),
    ("UPDATE orders SET status = 'paid' WHERE order_id = 1 RETURNING new.status, old.status = 'paid'", Ok("paid|f")),
    (
        "UPDATE orders SET status = 'paid' WHERE order_id = 1 RETURNING (old.order_id = new.order_id), status",
        Ok("t|paid"),
    ),
    ("UPDATE orders SET status = 'paid' WHERE order_id = 1 RETURNING old.nosuch", Err("nosuch")),
    ("UPDATE customers SET email = email WHERE id = 1 RETURNING old.*", Err("not open")),
    ("UPDATE customers SET email = 'x' WHERE id = 1 RETURNING new.*", Err("not open")),
    ("UPDATE orders AS old SET status = 'paid' WHERE order_id = 1 RETURNING old.status", Ok("paid")),
    (
        "UPDATE orders SET status = 'paid' WHERE order_id = 1 RETURNING WITH (OLD AS o) o.status",
        Err("is not carried out"),
    ),
];

#[test]
fn forms_of_newer_servers_are_governed_as_others_are() {
    let Some(bin) = pg18() else { return };
    let guarded = Guarded::start_as(HBA, Some(bin), true, &[]);
    guarded.sql("CREATE FUNCTION spy(jsonb) RETURNS boolean LANGUAGE sql AS 'SELECT true'; CREATE DOMAIN spied AS jsonb CHECK (spy(VALUE))");
    let upstream = guarded.upstream(&guarded.socket(), "");
    let proxy = proxy(&guarded.listen(), &format!("{upstream}{}", guarded.auth("relay")));
    let to = conninfo(&proxy, "support_agent", "sslmode=require");
    let mut strange = Vec::new();
    for (statement, expected) in NEWER {
        let said = ask(&guarded, Libpq::Own, &to, PASSWORD, &format!("BEGIN; {statement}; ROLLBACK"));
        let said = said
            .map(|said| said.replace("BEGIN", "").replace("ROLLBACK", "").replace("UPDATE 1", "").trim().to_owned());
        let as_told = match (expected, &said) {
            (Ok(expected), Ok(said)) => expected == said,
            (Err(words), Err(said)) => said.contains(words),
            (Ok(_), Err(_)) | (Err(_), Ok(_)) => false,
        };
        if !as_told {
            strange.push(format!("{statement}: {said:?}"));
        }
    }
    assert!(strange.is_empty(), "{}", strange.join("\n"));
}

/// PostgreSQL computes it wherever it is read, so also for a condition that it tests before a row filter.
#[test]
fn a_virtual_column_is_computed_for_no_row_that_is_left_out() {
    let Some(bin) = pg18() else { return };
    let guarded = Guarded::start_as(HBA, Some(bin), true, &[]);
    // It fails for one who did not agree to marketing.
    guarded.sql(&format!(
        "ALTER ROLE marketing PASSWORD '{PASSWORD}';
         DO $$ BEGIN EXECUTE format('ALTER TABLE customers DROP COLUMN city CASCADE,
             ADD COLUMN city text GENERATED ALWAYS AS ((1 / (id - %s))::text) VIRTUAL',
             (SELECT min(id) FROM customers c WHERE NOT EXISTS (SELECT FROM privacy.consents s WHERE s.subject_id = c.id))); END $$"
    ));
    let upstream = guarded.upstream(&guarded.socket(), "");
    let proxy = proxy(&guarded.listen(), &format!("{upstream}{}", guarded.auth("relay")));
    let to = conninfo(&proxy, "marketing", "sslmode=require");
    for statement in [
        "SELECT count(city) > 0 FROM customers",
        "SELECT count(*) >= 0 FROM customers WHERE city > '5'",
        "SELECT count(*) >= 0 FROM customers WHERE city IS NOT NULL",
        "SELECT count(*) >= 0 FROM customers a JOIN customers b ON a.city = b.city WHERE a.id < 50 AND b.id < 50",
        "SELECT count(*) >= 0 FROM customers a JOIN customers b USING (city) WHERE a.id < 50 AND b.id < 50",
        "SELECT count(*) >= 0 FROM customers WHERE id > 0 AND city IN ('1', '2')",
    ] {
        assert_eq!(ask(&guarded, Libpq::Own, &to, PASSWORD, statement).as_deref(), Ok("t"), "{statement}");
    }
}

/// A validator of tokens, which takes one. No headers of PostgreSQL 18 are installed: what of them it needs stands here.
const VALIDATOR: &str = r#"
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
typedef struct { int version, funcmaxargs, indexmaxkeys, namedatalen, float8byval; char abi_extra[32]; } Abi;
typedef struct { int len; Abi abi; const char *name, *version; } Magic;
const Magic *Pg_magic_func(void) {
    static const Magic magic = { sizeof(Magic), { 1800, 100, 32, 64, 1, "PostgreSQL" }, 0, 0 };
    return &magic;
}
typedef struct { bool authorized; char *authn_id; } Result;
extern char *pstrdup(const char *);
static bool validate(const void *state, const char *token, const char *role, Result *result) {
    (void) state;
    result->authorized = strcmp(token, "a-good-token") == 0;
    result->authn_id = pstrdup(role);
    return true;
}
typedef struct { uint32_t magic; void *startup, *shutdown; bool (*validate)(const void *, const char *, const char *, Result *); } Callbacks;
const Callbacks *_PG_oauth_validator_module_init(void) {
    static const Callbacks callbacks = { 0x20250220, 0, 0, validate };
    return &callbacks;
}
"#;

/// libpq 18 with a token of its application's (`PQsetAuthDataHook`).
const WITH_A_TOKEN: &str = r#"
import ctypes, os, sys
pq = ctypes.CDLL("libpq.so.5")
class Request(ctypes.Structure):
    _fields_ = [("configuration", ctypes.c_char_p), ("scope", ctypes.c_char_p), ("poll", ctypes.c_void_p),
                ("cleanup", ctypes.c_void_p), ("token", ctypes.c_char_p), ("user", ctypes.c_void_p)]
token = os.environ["TEST_TOKEN"].encode()
@ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
def hook(kind, connection, data):
    if kind != 1:
        return 0
    ctypes.cast(data, ctypes.POINTER(Request)).contents.token = token
    return 1
pq.PQsetAuthDataHook(hook)
for name in ("PQconnectdb", "PQexec"): getattr(pq, name).restype = ctypes.c_void_p
for name in ("PQerrorMessage", "PQgetvalue"): getattr(pq, name).restype = ctypes.c_char_p
c = ctypes.c_void_p(pq.PQconnectdb(sys.argv[1].encode()))
if pq.PQstatus(c) != 0:
    print("refused", pq.PQerrorMessage(c).decode())
else:
    r = ctypes.c_void_p(pq.PQexec(c, b"SELECT email FROM customers WHERE id = 1"))
    print("in", pq.PQgetvalue(r, 0, 0).decode())
"#;

#[test]
fn a_token_is_relayed_over_tls_only() {
    let Some(bin) = pg18() else { return };
    let files = crate::setup::Files::new();
    let (source, library) = (files.write("validator.c", VALIDATOR), files.at("validator.so"));
    if !Command::new("cc")
        .args(["-shared", "-fPIC", "-o"])
        .arg(&library)
        .arg(&source)
        .status()
        .is_ok_and(|status| status.success())
    {
        return missing("no C compiler, so logins by token are not tested");
    }
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&library, mode).unwrap();
    let hba = "local all postgres trust\nlocal all pgpurpose scram-sha-256\n\
               local all all oauth issuer=\"https://issuer.example\" scope=\"openid\"\n";
    let library = library.display().to_string();
    let guarded = Guarded::start_as(hba, Some(bin), false, &[("oauth_validator_libraries", &library)]);
    let sections = format!("{}{}", guarded.upstream(&guarded.socket(), ""), guarded.auth("relay"));
    let proxy = proxy(&guarded.listen(), &sections);

    // libpq itself, over TLS.
    let login = |token: &str| {
        let more = "sslmode=require oauth_issuer=https://issuer.example oauth_client_id=crm";
        let output = Command::new("python3")
            .args(["-c", WITH_A_TOKEN, &conninfo(&proxy, "support_agent", more)])
            .env("LD_LIBRARY_PATH", libpq18().unwrap())
            .env("TEST_TOKEN", token)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    };
    let said = login("a-good-token");
    assert!(said.starts_with("in ") && said.contains("*"), "{said}\n{}", proxy.output());
    let said = login("another-token");
    assert!(said.starts_with("refused") && said.contains("28000") || said.contains("authentication failed"), "{said}");

    // Message by message: what is offered, and that a plain connection never gets as far.
    let offered = |mut stream: Box<dyn Stream>| {
        stream.write_all(&startup_message([("user", "support_agent"), ("database", "shop")])).unwrap();
        let (tag, body) = message(&mut stream).unwrap();
        (tag, String::from_utf8_lossy(&body).into_owned(), stream)
    };
    let (tag, said, _) = offered(Box::new(connect(&proxy, 1).unwrap()));
    assert!(tag == b'E' && said.contains("C28000") && said.contains("over TLS only"), "{said}");
    let (tag, said, mut stream) = offered(over_tls(connect(&proxy, 2).unwrap()));
    assert!(tag == b'R' && said.contains("OAUTHBEARER\0"), "{said}");
    send(&mut stream, &token(b"n,,\x01auth=Bearer a-good-token\x01\x01")).unwrap();
    let (tag, body) = message(&mut stream).unwrap();
    assert_eq!((tag, body.as_slice()), (b'R', &[0, 0, 0, 0][..]), "AuthenticationOk");

    let log = proxy.access_log();
    assert!(log.iter().any(|record| record["event"] == "connect" && record["authentication"] == "relay"));
    let everything = format!("{log:?}{}", proxy.output());
    assert!(!everything.contains("a-good-token") && !everything.contains("another-token"));
}

fn token(first: &[u8]) -> Vec<u8> {
    let scram = initial(first);
    [b"OAUTHBEARER\0", scram.split_at(b"SCRAM-SHA-256\0".len()).1].concat()
}
