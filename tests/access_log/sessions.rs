//! Sessions: how they begin and end, what is told of those that do not come about, and of statements in the middle of which
//! they end.

use std::sync::Arc;
use std::time::{Duration, Instant};

use pgpurpose::catalog::{CatalogBuilder, CatalogStore, RelationName};
use pgpurpose::cluster::{Cluster, ClusterOptions};
use pgpurpose::policy::PolicySet;
use pgpurpose::server::Options;
use serde_json::{Value, json};

use super::raw::socket;
use super::raw::{self, Client, Proxy, batch, bind, describe, execute, message, parse, query, servers, shown, sync};
use super::{POLICY, login, proxy, records_of, set_up};

fn event<'a>(records: &'a [Value], event: &str) -> &'a Value {
    records.iter().find(|record| record["event"] == event).unwrap_or_else(|| panic!("no {event} in {records:?}"))
}

/// Status, rows, SQLSTATE of the one outcome of the one access.
fn outcome(records: &[Value]) -> (String, Option<u64>, Value) {
    let access = event(records, "access");
    let outcomes: Vec<_> =
        records.iter().filter(|other| other["event"] == "outcome" && other["of"] == access["seq"]).collect();
    assert_eq!(outcomes.len(), 1, "{records:?}");
    (outcomes[0]["status"].as_str().unwrap().to_owned(), outcomes[0]["rows"].as_u64(), outcomes[0]["sqlstate"].clone())
}

/// Waits until the statement is in the log, and so as good as at the database.
fn until_logged(proxy: &Proxy, application: &str) {
    let started = Instant::now();
    let here = |record: &Value| record["event"] == "access" && record["application"] == application;
    while !proxy.records().iter().any(here) {
        assert!(started.elapsed() < Duration::from_secs(20));
    }
}

#[test]
fn a_login_that_is_refused_is_in_the_log_with_the_reason() {
    for (parameters, sqlstate, word, role) in [
        (&[("user", "nobody_known"), ("database", "log")][..], "28000", "refused the login", Value::Null),
        (&[("user", "support"), ("database", "log@fraud")], "28000", "fraud", json!("support")),
        (
            &[("user", "support"), ("database", "log"), ("options", "-c pgpurpose.purpose=fraud")],
            "28000",
            "fraud",
            json!("support"),
        ),
        (
            &[("user", "support"), ("database", "log"), ("client_encoding", "LATIN1")],
            "22023",
            "client_encoding",
            Value::Null,
        ),
        (&[("user", "support"), ("database", "log"), ("replication", "true")], "0A000", "replication", Value::Null),
        (&[("user", "postgres"), ("database", "none_such")], "3D000", "refused the login", json!("owner")),
    ] {
        let parameters: Vec<_> = parameters.iter().copied().chain([("application_name", "refused")]).collect();
        let before = proxy().records().len();
        let mut client = proxy().connect();
        let address = client.stream.local_addr().unwrap().to_string();
        client.startup(3, 0, &parameters);
        assert_eq!(shown(&client.until_closed()), format!("E{sqlstate}"), "{parameters:?}");
        let records = proxy().records();
        let found: Vec<_> = records[before..].iter().filter(|record| record["client"] == address).collect();
        assert_eq!(found.len(), 1, "{parameters:?}: {found:?}");
        let record = found[0];
        let fields: Vec<&str> = record.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(
            fields,
            [
                "seq",
                "time",
                "event",
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
                "sqlstate",
                "reason",
                "prev",
                "hash"
            ]
        );
        assert_eq!(record["event"], "login_refused");
        assert_eq!((&record["login"], &record["application"]), (&json!(parameters[0].1), &json!("refused")));
        assert_eq!(
            record["database"].as_str().unwrap().split('@').next(),
            Some(parameters[1].1.split('@').next().unwrap())
        );
        assert_eq!((&record["sqlstate"], &record["role"]), (&json!(sqlstate), &role), "{record}");
        assert!(record["reason"].as_str().unwrap().contains(word), "{record}");
    }
}

#[test]
fn a_session_begins_and_ends_in_the_log() {
    let mut client = login(proxy(), "support", "orderly");
    client.send(&message(b'X', b""));
    assert!(client.until_closed().is_empty());
    let records = records_of(proxy(), "orderly");
    let events: Vec<&str> = records.iter().map(|record| record["event"].as_str().unwrap()).collect();
    assert_eq!(events, ["connect", "disconnect"]);
    let connect = &records[0];
    assert_eq!((&connect["authentication"], &connect["tls"]), (&json!("relay"), &Value::Null));
    assert_eq!((&connect["role"], &connect["purpose"]), (&json!("support"), &json!("support")));
    assert_eq!(records[1]["reason"], Value::Null);
}

#[test]
fn a_statement_that_the_client_does_not_wait_for_is_lost_with_the_rows_that_came() {
    let mut client = login(proxy(), "postgres", "left");
    client.send(&query("SELECT repeat('x', 1000) FROM generate_series(1, 10000000)"));
    for _ in 0..10 {
        client.receive().unwrap();
    }
    drop(client);
    let records = records_of(proxy(), "left");
    let (status, rows, sqlstate) = outcome(&records);
    assert_eq!((status.as_str(), sqlstate), ("lost", Value::Null));
    assert!((9..10_000_000).contains(&rows.unwrap()), "{rows:?}");
    assert_eq!(event(&records, "disconnect")["reason"], "the client's connection ended");
}

#[test]
fn a_statement_that_is_cancelled_has_its_error() {
    let mut client = proxy().connect();
    client.startup(3, 0, &[("user", "postgres"), ("database", "log"), ("application_name", "cancelled")]);
    let messages = client.until_ready();
    let key = messages.iter().find(|(tag, _)| *tag == b'K').unwrap().1.clone();
    client.send(&query("SELECT pg_sleep(60)"));
    until_logged(proxy(), "cancelled");
    // It may not be at the database yet: cancelled until it is.
    client.stream.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    let answers = loop {
        let mut other = proxy().connect();
        other.send(&[&(key.len() as u32 + 8).to_be_bytes()[..], &80_877_102_u32.to_be_bytes(), &key].concat());
        other.until_closed();
        if let Some(first) = client.receive() {
            break std::iter::once(first).chain(client.until_ready()).collect::<Vec<_>>();
        }
    };
    assert!(shown(&answers).ends_with("E57014 ZI"), "{}", shown(&answers));
    drop(client);
    assert_eq!(outcome(&records_of(proxy(), "cancelled")), ("error".to_owned(), None, json!("57014")));
}

#[test]
fn a_statement_whose_session_the_database_ends_has_its_error_or_is_lost() {
    let cluster = Cluster::start(&ClusterOptions::default()).unwrap();
    let address = format!("{}:{}", cluster.socket_dir().display(), cluster.port());
    let proxy = raw::start(Options::new("127.0.0.1:0", servers(&address)), POLICY, raw::no_catalog());
    let begin = |application: &str| {
        let mut client = proxy.login("postgres", &[("application_name", application)]);
        client.send(&query("SELECT pg_sleep(60)"));
        until_logged(&proxy, application);
        client
    };
    let mut told = begin("told");
    let end =
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'told' AND state = 'active'";
    while !cluster.run_sql("postgres", end).unwrap().contains('t') {
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(shown(&told.until_closed()).ends_with("E57P01"));
    let records = records_of(&proxy, "told");
    assert_eq!(outcome(&records), ("error".to_owned(), None, json!("57P01")));
    assert_eq!(event(&records, "disconnect")["reason"], "the database ended it with 57P01");

    let mut killed = begin("killed");
    let pid = "SELECT pid FROM pg_stat_activity WHERE application_name = 'killed'";
    let pid = cluster.run_sql("postgres", pid).unwrap().trim().to_owned();
    assert!(std::process::Command::new("kill").args(["-9", &pid]).status().unwrap().success());
    killed.until_closed();
    let records = records_of(&proxy, "killed");
    assert_eq!(outcome(&records), ("lost".to_owned(), None, Value::Null));
    assert_eq!(event(&records, "disconnect")["reason"], "the database closed the connection unexpectedly");
}

#[test]
fn a_result_that_was_not_decided_is_an_incident_of_its_access() {
    set_up();
    // A catalog in which the table has another oid: what comes back is then a stranger.
    let mut builder = CatalogBuilder::new();
    builder.table(RelationName::new("public", "things"), &[("id", "integer"), ("thing", "text")], &[]);
    let catalog = Arc::new(CatalogStore::fixed(builder.build()));
    let policy = POLICY.replace("[tables.\"public.things\"]\nopen = true", "");
    let policy = format!(
        "{policy}\n[tables.\"public.things\"]\nsubject = \"id\"\ncolumns = {{ id = \"reference\", thing = \"note\" }}\n"
    );
    let proxy = raw::start(Options::new("127.0.0.1:0", servers(&socket())), &policy, catalog);
    let sql = "SELECT thing FROM things";
    for (name, bytes) in [
        ("incident, simple", query(sql)),
        ("incident, run", batch(&[parse("", sql), bind("", ""), execute("", 0), sync()])),
        ("incident, described", batch(&[parse("", sql), describe('S', ""), sync()])),
    ] {
        let mut client = login(&proxy, "support", name);
        client.send(&bytes);
        assert!(shown(&client.until_closed()).ends_with("E42501"));
        let records = records_of(&proxy, name);
        let incident = event(&records, "incident");
        assert_eq!(incident["of"], event(&records, "access")["seq"], "{name}: {records:?}");
        assert!(incident["what"].as_str().unwrap().contains("column 2"), "{incident}");
        for (field, value) in [("login", "support"), ("role", "support"), ("purpose", "support"), ("database", "log")] {
            assert_eq!(incident[field], value, "{field}");
        }
        assert_eq!(outcome(&records), ("lost".to_owned(), None, Value::Null), "{name}");
        assert!(event(&records, "disconnect")["reason"].as_str().unwrap().contains("does not match the decision"));
    }
}

#[test]
fn what_observe_mode_would_have_refused_has_the_outcome_of_what_ran() {
    set_up();
    let options = Options::new("127.0.0.1:0", servers(&socket()));
    let proxy = raw::start_in(true, options, POLICY, raw::catalog("log"));
    let mut client = login(&proxy, "support", "observed");
    client.rows("SELECT secret FROM people WHERE id < 3");
    drop(client);
    let records = records_of(&proxy, "observed");
    let access = event(&records, "access");
    assert_eq!((&access["verdict"], &access["mode"]), (&json!("deny"), &json!("observe")));
    assert!(access["reason"].as_str().unwrap().contains("public.people.secret"));
    assert_eq!(outcome(&records), ("ok".to_owned(), Some(2), Value::Null));
}

#[test]
fn what_a_login_without_a_role_asks_for_is_in_the_log() {
    set_up();
    let proxy = raw::start(Options::new("127.0.0.1:0", servers(&socket())), POLICY, raw::catalog("log"));
    let run = |application: &str, before: &[u8], after: &[u8]| {
        let mut client = login(&proxy, "support", application);
        if !before.is_empty() {
            client.send(before);
            client.until_ready();
        }
        let gone = POLICY.replace("logins = [\"support\"]", "logins = [\"somebody\"]");
        proxy.shared.policies.store(Arc::new(PolicySet::from_sources(&[("test.toml".into(), gone)]).unwrap()));
        client.send(after);
        let answer = shown(&client.until_ready());
        drop::<Client>(client);
        proxy.shared.policies.store(Arc::new(PolicySet::from_sources(&[("test.toml".into(), POLICY.into())]).unwrap()));
        (answer, records_of(&proxy, application))
    };
    let prepared = batch(&[parse("p", "SELECT id FROM people WHERE id = 4711"), sync()]);
    let runs = batch(&[bind("", "p"), execute("", 0), sync()]);
    for (name, before, after) in [
        ("gone, simple", &[][..], &query("SELECT id FROM people WHERE id = 4711")),
        ("gone, prepared", &prepared, &runs),
    ] {
        let (answer, records) = run(name, before, after);
        assert_eq!(answer, "E28000 ZI", "{name}");
        let denied: Vec<_> = records.iter().filter(|record| record["verdict"] == "deny").collect();
        assert_eq!(denied.len(), 1, "{name}: {records:?}");
        assert_eq!(denied[0]["statement"], "SELECT id FROM people WHERE id = $1");
        assert_eq!((&denied[0]["login"], &denied[0]["role"]), (&json!("support"), &Value::Null));
        assert!(denied[0]["reason"].as_str().unwrap().contains("has no role"));
        let ended = records.iter().find(|record| record["of"] == denied[0]["seq"]).unwrap();
        assert_eq!((&ended["status"], &ended["sqlstate"]), (&json!("refused"), &json!("28000")));
    }
}

/// Purposes and rules of the accesses to `people`, in their order.
fn purposes(records: &[Value]) -> Vec<(String, String)> {
    let accesses = records.iter().filter(|record| record["event"] == "access");
    let of_people = accesses.filter(|record| record["relations"].as_array().is_some_and(|all| !all.is_empty()));
    of_people
        .map(|record| {
            let rule = &record["relations"][0]["columns"][0]["rule"];
            (record["purpose"].as_str().unwrap().to_owned(), rule.as_str().unwrap_or_default().to_owned())
        })
        .collect()
}

#[test]
fn each_run_is_recorded_for_the_purpose_that_it_was_decided_for() {
    let application = "one purpose a run";
    let mut client = login(proxy(), "support", application);
    client.query("PREPARE z AS SELECT email FROM people WHERE id = 1");
    client.query("/* purpose='billing' */ EXECUTE z");
    client.query("EXECUTE z");
    let other = "/* purpose='billing' */ EXECUTE z";
    client.send(&batch(&[parse("", other), bind("", ""), execute("", 0), sync()]));
    client.until_ready();
    client.query("BEGIN");
    client.query("/* purpose='billing' */ DECLARE c CURSOR FOR SELECT email FROM people");
    client.query("FETCH c");
    client.query("ROLLBACK");
    drop(client);
    let found = purposes(&records_of(proxy(), application));
    assert!(found.len() >= 6, "{found:?}");
    for (purpose, rule) in &found {
        assert_eq!(purpose, rule, "a record has another purpose than its decision: {found:?}");
    }
    assert!(found.iter().filter(|(purpose, _)| purpose == "billing").count() >= 4, "{found:?}");
}
