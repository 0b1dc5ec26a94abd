//! Who looked a value up: by a keyed digest, which is the same however the value was sent.

use std::process::{Command, Stdio};
use std::sync::Arc;

use pgpurpose::audit::{AuditLog, SubjectKey, Sync};
use pgpurpose::policy::PolicySet;
use pgpurpose::server::{Options, Server};
use pgpurpose::session::{Catalogs, Parts, Shared};
use pgpurpose::telemetry::Metrics;
use serde_json::{Value, json};

use super::raw::{
    self, batch, bind_with, cluster, describe, execute, message, parse, parse_with, query, servers, shown, socket, sync,
};
use super::{POLICY, login, proxy, records_of, set_up};

const ID: &str = "8001015009083";

fn digest(column: &str, value: &str) -> Value {
    let digest = SubjectKey::derive(&[7; 32]).lookup("public.people", column, value);
    json!({ "relation": "public.people", "column": column, "digest": digest })
}

fn without(column: &str, reason: &str) -> Value {
    json!({ "relation": "public.people", "column": column, "digest": null, "reason": reason })
}

/// A Bind of one value in the binary format.
fn bind_binary(value: &[u8]) -> Vec<u8> {
    let mut body = vec![0, 0, 0, 1, 0, 1, 0, 1];
    body.extend((value.len() as u32).to_be_bytes());
    body.extend(value);
    body.extend([0, 0]);
    message(b'B', &body)
}

fn bind_null() -> Vec<u8> {
    message(b'B', &[0, 0, 0, 0, 0, 1, 255, 255, 255, 255, 0, 0])
}

/// What a session looked up, in order: on which kind of record, and what.
fn looked_up(records: &[Value]) -> Vec<(String, Value)> {
    let found = records.iter().filter(|record| !record["lookups"].is_null());
    found.map(|record| (record["event"].as_str().unwrap().to_owned(), record["lookups"].clone())).collect()
}

const BY_ID: &str = "SELECT id FROM people WHERE id_number = $1";
const BY_MEMBER: &str = "SELECT id FROM people WHERE member = $1";
const TEXT: u32 = 25;
const VARCHAR: u32 = 1043;
const INT8: u32 = 20;
const INT2: u32 = 21;
const INT4: u32 = 23;
const NUMERIC: u32 = 1700;

fn run(parsed: Vec<u8>, bound: Vec<u8>) -> Vec<u8> {
    batch(&[parsed, bound, execute("", 0), sync()])
}

#[test]
fn the_same_value_has_one_digest_however_it_is_sent() {
    let id = digest("id_number", ID);
    let member = digest("member", "33");
    let by_id = |types: &[u32]| parse_with("", BY_ID, types);
    let by_member = |types: &[u32]| parse_with("", BY_MEMBER, types);
    let literal = |sql: &str| query(&sql.replace("ID", &format!("'{ID}'")));
    for (name, bytes, kind, expected) in [
        ("literal", literal("SELECT id FROM people WHERE id_number = ID"), "access", &id),
        ("literal first", literal("SELECT id FROM people p WHERE ID = p.id_number AND id > 0"), "access", &id),
        ("literal, escaped", query("SELECT id FROM people WHERE id_number = E'800101500908\\063'"), "access", &id),
        ("literal, dollar", query(&format!("SELECT id FROM people WHERE id_number = $q${ID}$q$")), "access", &id),
        ("literal, cast", literal("SELECT id FROM people WHERE id_number = ID::text"), "access", &id),
        ("literal, below", literal("SELECT id FROM (SELECT * FROM people WHERE id_number = ID) p"), "access", &id),
        ("number", query("SELECT id FROM people WHERE member = 33"), "access", &member),
        ("number, quoted", query("SELECT id FROM people WHERE member = ' +033'"), "access", &member),
        (
            "cursor",
            literal("BEGIN; DECLARE c CURSOR FOR SELECT id FROM people WHERE id_number = ID; FETCH c"),
            "access",
            &id,
        ),
        ("copy", literal("COPY (SELECT id FROM people WHERE id_number = ID) TO STDOUT"), "access", &id),
        ("prepare", literal("PREPARE q AS SELECT id FROM people WHERE id_number = $1; EXECUTE q(ID)"), "access", &id),
        (
            "prepare, literal",
            literal("PREPARE q AS SELECT id FROM people WHERE id_number = ID; EXECUTE q"),
            "access",
            &id,
        ),
        (
            "literal, extended",
            run(parse("", &format!("SELECT id FROM people WHERE id_number = '{ID}'")), bind_with("", "", &[])),
            "lookup",
            &id,
        ),
        ("text", run(by_id(&[]), bind_with("", "", &[ID.as_bytes()])), "lookup", &id),
        ("text, declared", run(by_id(&[VARCHAR]), bind_with("", "", &[ID.as_bytes()])), "lookup", &id),
        ("text, binary", run(by_id(&[TEXT]), bind_binary(ID.as_bytes())), "lookup", &id),
        ("text, binary, undeclared", run(by_id(&[]), bind_binary(ID.as_bytes())), "lookup", &id),
        ("number, text", run(by_member(&[]), bind_with("", "", &[b"33"])), "lookup", &member),
        ("number, int2", run(by_member(&[INT2]), bind_binary(&33_i16.to_be_bytes())), "lookup", &member),
        ("number, int4", run(by_member(&[INT4]), bind_binary(&33_i32.to_be_bytes())), "lookup", &member),
        ("number, int8", run(by_member(&[INT8]), bind_binary(&33_i64.to_be_bytes())), "lookup", &member),
        ("number, undeclared", run(by_member(&[]), bind_binary(&33_i32.to_be_bytes())), "lookup", &member),
        ("number, numeric", run(by_member(&[NUMERIC]), bind_with("", "", &[b"33.00"])), "lookup", &member),
        (
            "explain",
            run(
                parse_with("", "EXPLAIN (COSTS off) SELECT id FROM people WHERE id_number = $1", &[TEXT]),
                bind_with("", "", &[ID.as_bytes()]),
            ),
            "lookup",
            &id,
        ),
    ] {
        let name = format!("looked up: {name}");
        let mut client = login(proxy(), "support", &name);
        client.send(&bytes);
        let answers = client.until_ready();
        assert!(!answers.iter().any(|(tag, _)| *tag == b'E'), "{name}: {}", shown(&answers));
        drop(client);
        let records = records_of(proxy(), &name);
        assert_eq!(looked_up(&records), [(kind.to_owned(), json!([expected]))], "{name}: {records:?}");
        assert!(!serde_json::to_string(&records).unwrap().contains(ID), "{name}");
    }
}

#[test]
fn what_an_execute_looks_up_stands_between_its_access_and_its_outcome() {
    let mut client = login(proxy(), "support", "twice");
    client.send(&batch(&[parse("s", BY_ID), describe('S', "s"), sync()]));
    client.until_ready();
    for value in [ID, "8001015009085", ID] {
        client.send(&batch(&[bind_with("", "s", &[value.as_bytes()]), execute("", 0), sync()]));
        client.until_ready();
    }
    // A portal that waits between two Executes looks the value up in each.
    client.send(&batch(&[bind_with("", "s", &[ID.as_bytes()]), execute("", 1), execute("", 1), sync()]));
    client.until_ready();
    drop(client);
    let records = records_of(proxy(), "twice");
    let lookups: Vec<&Value> = records.iter().filter(|record| record["event"] == "lookup").collect();
    let found: Vec<_> = lookups.iter().map(|record| record["lookups"][0]["digest"].clone()).collect();
    let [one, other] = [ID, "8001015009085"].map(|value| digest("id_number", value)["digest"].clone());
    assert_eq!(found, [one.clone(), other, one.clone(), one.clone(), one]);
    for lookup in lookups {
        let place = |wanted: &dyn Fn(&Value) -> bool| records.iter().find(|record| wanted(record)).unwrap();
        let access = place(&|record| record["seq"] == lookup["of"]);
        let outcome = place(&|record| record["event"] == "outcome" && record["of"] == lookup["of"]);
        let seq = |record: &Value| record["seq"].as_u64().unwrap();
        assert!(seq(access) < seq(lookup) && seq(lookup) < seq(outcome), "{lookup}");
        let fields = [
            "session",
            "client",
            "login",
            "role",
            "purpose",
            "actor",
            "ticket",
            "recipient",
            "database",
            "application",
            "statement",
        ];
        for field in fields {
            assert_eq!(lookup[field], access[field], "{field}");
        }
        assert!(access["lookups"].is_null());
        assert_eq!(outcome["status"], "ok");
    }
}

#[test]
fn a_value_without_a_digest_says_why() {
    for (name, bytes, expected) in [
        ("null", run(parse("", BY_ID), bind_null()), vec![without("id_number", "the value is null")]),
        (
            "misfit",
            query("SELECT id FROM people WHERE member = 'x'"),
            vec![without("member", "the value is not one of the column's type")],
        ),
        (
            "computed",
            query("SELECT id FROM people WHERE id_number = 'abcdef'::varchar(3)"),
            vec![without("id_number", "the value is computed")],
        ),
        (
            "type",
            query("SELECT id FROM people WHERE born = '1980-01-01'"),
            vec![without("born", "values of the column's type have no digest")],
        ),
        (
            "two",
            query("SELECT id FROM people WHERE id_number = 'a' AND member = 1"),
            vec![digest("id_number", "a"), digest("member", "1")],
        ),
    ] {
        let name = format!("no digest: {name}");
        let mut client = login(proxy(), "support", &name);
        client.send(&bytes);
        client.until_ready();
        drop(client);
        let found = looked_up(&records_of(proxy(), &name));
        assert_eq!(found.len(), 1, "{name}");
        assert_eq!(found[0].1, Value::Array(expected), "{name}");
    }
}

#[test]
fn what_is_no_lookup_is_none() {
    let mut client = login(proxy(), "support", "none");
    for sql in [
        "SELECT id FROM people WHERE id = 3",
        "SELECT id FROM people WHERE email = 'x'",
        "SELECT id FROM people WHERE id_number <> 'x'",
        "SELECT thing FROM things WHERE id = 1",
        "PREPARE q AS SELECT id FROM people WHERE id_number = 'x'",
    ] {
        client.send(&query(sql));
        let answers = client.until_ready();
        assert!(!answers.iter().any(|(tag, _)| *tag == b'E'), "{sql}: {}", shown(&answers));
    }
    drop(client);
    assert_eq!(looked_up(&records_of(proxy(), "none")), []);
}

#[test]
fn a_role_that_sees_the_column_as_it_is_looks_up_too() {
    let mut client = login(proxy(), "other", "plain");
    assert_eq!(client.rows(&format!("SELECT id_number FROM people WHERE id_number = '{ID}'")), [ID]);
    drop(client);
    let records = records_of(proxy(), "plain");
    assert_eq!(looked_up(&records), [("access".to_owned(), json!([digest("id_number", ID)]))]);
}

#[test]
fn without_a_key_there_is_no_digest_and_the_log_says_so() {
    set_up();
    let log = tempfile::tempdir().unwrap();
    let shared = Shared::new(Parts {
        policies: Arc::new(PolicySet::from_sources(&[("test.toml".into(), POLICY.into())]).unwrap()),
        catalogs: Catalogs::one(raw::catalog("log")),
        audit: AuditLog::open(log.path(), Sync::Written).unwrap(),
        metrics: Arc::new(Metrics::default()),
        enforce: Box::new(pgpurpose::sql::enforce_form),
        observe: false,
        subject_key: None,
    });
    let shared = Arc::new(shared.unwrap());
    let server = Server::start(Options::new("127.0.0.1:0", servers(&socket())), Arc::clone(&shared)).unwrap();
    let port = server.addresses()[0].port();
    let proxy = raw::Proxy { server: Some(server), port, log, shared };
    let mut client = login(&proxy, "support", "no key");
    client.query(&format!("SELECT id FROM people WHERE id_number = '{ID}'"));
    drop(client);
    let records = records_of(&proxy, "no key");
    assert_eq!(looked_up(&records), [("access".to_owned(), json!([without("id_number", "no key is configured")]))]);
}

/// `pgpurpose audit search` over the log of this test: numbers and events of what was found, or what it says.
fn search(arguments: &[&str], key: &str, input: &str) -> Result<Vec<Value>, String> {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::write(at("policy.toml"), POLICY).unwrap();
    std::fs::write(at("key"), "07".repeat(32)).unwrap();
    std::fs::write(at("input"), input).unwrap();
    let config = format!(
        "[upstream]\naddress = \"127.0.0.1:1\"\n[auth]\nmethod = \"relay\"\n[policy]\nfiles = [\"policy.toml\"]\n\
         [audit]\ndirectory = \"{}\"\n{key}\n",
        proxy().log.path().display()
    );
    std::fs::write(at("pgpurpose.toml"), config).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_pgpurpose"))
        .args(["audit", "search", "--json", "--config"])
        .arg(at("pgpurpose.toml"))
        .args(arguments)
        .stdin(Stdio::from(std::fs::File::open(at("input")).unwrap()))
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    if !output.status.success() {
        return Err(String::from_utf8(output.stderr).unwrap());
    }
    Ok(text.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

#[test]
fn who_looked_a_value_up_is_found_by_the_value() {
    const WANTED: &str = "7110185001781";
    const KEY: &str = "subject_key = \"file:key\"";
    let mut client = login(proxy(), "support", "found");
    client.query(&format!("SELECT id FROM people WHERE id_number = '{WANTED}'"));
    client.send(&run(parse_with("", BY_ID, &[TEXT]), bind_binary(WANTED.as_bytes())));
    client.until_ready();
    client.query("SELECT id FROM people WHERE id_number = '7110185001782'");
    client.query("SELECT id FROM people WHERE member = '000711018'");
    drop(client);
    let records = records_of(proxy(), "found");
    let expected: Vec<(&str, &Value)> = {
        let accesses: Vec<_> = records.iter().filter(|record| record["event"] == "access").collect();
        let outcome = |access: &Value| {
            records.iter().find(|record| record["event"] == "outcome" && record["of"] == access["seq"]).unwrap()
        };
        let lookup = records.iter().find(|record| record["event"] == "lookup").unwrap();
        vec![
            ("access", &accesses[0]["seq"]),
            ("outcome", &outcome(accesses[0])["seq"]),
            ("lookup", &lookup["seq"]),
            ("outcome", &outcome(accesses[1])["seq"]),
        ]
    };
    let told = |found: &[Value]| -> Vec<(String, Value)> {
        found.iter().map(|record| (record["event"].as_str().unwrap().to_owned(), record["seq"].clone())).collect()
    };
    let expected: Vec<_> = expected.into_iter().map(|(event, seq)| (event.to_owned(), seq.clone())).collect();
    for arguments in [
        &["--lookup", WANTED][..],
        &["--lookup", WANTED, "--column", "id_number"],
        &["--lookup", WANTED, "--relation", "people", "--column", "id_number", "--all"],
        &["--lookup", WANTED, "--column", "public.people.id_number", "--login", "support"],
        &["--lookup", "-"],
    ] {
        assert_eq!(told(&search(arguments, KEY, &format!("{WANTED}\n")).unwrap()), expected, "{arguments:?}");
    }
    assert_eq!(search(&["--lookup", "711018"], KEY, "").unwrap().len(), 2, "a number in another form");
    for arguments in [
        &["--lookup", "7110185001783"][..],
        &["--lookup", WANTED, "--login", "nobody"],
        &["--lookup", WANTED, "--column", "member"],
    ] {
        assert_eq!(search(arguments, KEY, "").unwrap(), Vec::<Value>::new(), "{arguments:?}");
    }
    let said = search(&["--lookup", WANTED], "", "").unwrap_err();
    assert!(said.contains("subject_key") && !said.contains(WANTED), "{said}");
    let said = search(&["--lookup", WANTED, "--column", "email"], KEY, "").unwrap_err();
    assert!(said.contains("--column public.customers.id_number"), "{said}");
}

/// A client program against the proxy.
fn client(program: &str, application: &str) -> Command {
    let mut command = cluster().client(program);
    command.env("PGHOST", "127.0.0.1").env("PGPORT", proxy().port.to_string()).env("PGUSER", "support");
    command.env("PGDATABASE", "log").env("PGAPPNAME", application).stdin(Stdio::null());
    command
}

#[test]
fn psql_and_psycopg_leave_the_same_digest() {
    let sql = format!("SELECT id FROM people WHERE id_number = '{ID}'");
    let said = client("psql", "psql").args(["-X", "-A", "-t", "-c", &sql]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&said.stdout), "3\n", "{said:?}");
    assert_eq!(looked_up(&records_of(proxy(), "psql")), [("access".to_owned(), json!([digest("id_number", ID)]))]);

    let script = r#"
import psycopg
with psycopg.connect("", autocommit=True) as c:
    for form in ("%s", "%t", "%b"):
        print(c.execute(f"SELECT id FROM people WHERE id_number = {form}", ["8001015009083"]).fetchall())
        print(c.execute(f"SELECT id FROM people WHERE member = {form}", [33]).fetchall())
    c.cursor(binary=True).execute("SELECT id FROM people WHERE id_number = %s", ["8001015009083"], prepare=True).fetchall()
"#;
    let python = std::env::var("PGPURPOSE_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let found = Command::new(&python).args(["-c", "import psycopg; assert psycopg.__version__ >= '3'"]).output();
    if !found.is_ok_and(|found| found.status.success()) {
        let _ = std::io::Write::write_all(&mut std::io::stderr(), b"SKIPPED: there is no psycopg 3\n");
        return;
    }
    let said = client(&python, "psycopg").args(["-c", script]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&said.stdout), "[(3,)]\n".repeat(6), "{said:?}");
    let (id, member) = (json!([digest("id_number", ID)]), json!([digest("member", "33")]));
    let found: Vec<_> = looked_up(&records_of(proxy(), "psycopg")).into_iter().map(|(_, lookups)| lookups).collect();
    assert_eq!(found, [id.clone(), member.clone(), id.clone(), member.clone(), id.clone(), member, id]);
}
