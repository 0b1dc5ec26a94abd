//! Every access is in the log before it reaches the database.

use super::support::client::login;
use super::{psql, python, shared};

#[test]
fn each_statement_has_its_record_and_none_holds_a_literal() {
    let (_, proxy) = shared();
    let who = login("support_agent").application("log-each");
    psql(
        &who,
        &[
            "SELECT id, email FROM customers WHERE id_number = '7110185001781'",
            "SELECT health_note FROM customers WHERE full_name = 'Zaheer Moodley'",
            "SELECT 'unfinished",
            "SELECT 424242424242 + 1; SELECT $$dollar secret$$",
            "/* purpose='support' */ SELECT city FROM customers WHERE id = 987654",
        ],
    );
    let records = proxy.accesses_of("log-each");
    let verdicts: Vec<&str> = records.iter().map(|record| record["verdict"].as_str().unwrap()).collect();
    assert_eq!(verdicts, ["mask", "deny", "deny", "allow", "allow", "allow"], "{records:#?}");
    let text = serde_json::to_string(&records).unwrap();
    for literal in ["7110185001781", "Zaheer", "Moodley", "424242424242", "dollar secret", "987654", "unfinished"] {
        assert!(!text.contains(literal), "`{literal}` stands in the log");
    }
    let first = &records[0];
    for (field, value) in [
        ("login", "support_agent"),
        ("role", "support_agent"),
        ("purpose", "support"),
        ("database", "shop"),
        ("recipient", "internal"),
    ] {
        assert_eq!(first[field], value, "{field}");
    }
    assert!(first["policy"].as_str().unwrap().starts_with("sha256:"));
    let relation = &first["relations"][0];
    assert_eq!(relation["name"], "public.customers");
    let email = relation["columns"].as_array().unwrap().iter().find(|column| column["name"] == "email").unwrap();
    assert_eq!(
        (&email["category"], &email["action"], &email["mask"], &email["rule"]),
        (&"contact".into(), &"mask".into(), &"email".into(), &"support sees contact details".into())
    );
    let denied = &records[1];
    assert!(denied["reason"].as_str().unwrap().contains("health_note"), "{denied}");
    let columns = denied["relations"][0]["columns"].as_array().unwrap();
    let note = columns.iter().find(|column| column["name"] == "health_note").unwrap();
    assert_eq!((&note["action"], &note["category"]), (&"deny".into(), &"health".into()), "{denied}");
    // Each has its outcome, which is written after the client has its answer.
    for record in records.iter().filter(|record| record["verdict"] != "deny") {
        let has_outcome = || {
            let log = proxy.access_log();
            log.iter().any(|other| other["event"] == "outcome" && other["of"] == record["seq"])
        };
        assert!(
            (0..100).any(|_| has_outcome() || {
                std::thread::sleep(std::time::Duration::from_millis(100));
                false
            }),
            "{record}"
        );
    }
}

#[test]
fn each_execution_of_a_prepared_statement_has_its_record_and_none_holds_a_parameter() {
    let (_, proxy) = shared();
    let who = login("support_agent").application("log-prepared");
    let script = r#"
import psycopg
with psycopg.connect("", autocommit=True, prepare_threshold=0) as c:
    for id in (314159, 271828, 161803):
        c.execute("SELECT email FROM customers WHERE id = %s", [id])
"#;
    if let Some(said) = python(&who, script) {
        said.fine();
        let records = proxy.accesses_of("log-prepared");
        let log = proxy.access_log();
        let ran = |record: &&serde_json::Value| {
            log.iter()
                .any(|other| other["event"] == "outcome" && other["of"] == record["seq"] && other["rows"].is_number())
        };
        assert_eq!(records.iter().filter(ran).count(), 3, "one for each execution: {records:#?}");
        let text = serde_json::to_string(&records).unwrap();
        assert!(["314159", "271828", "161803"].iter().all(|parameter| !text.contains(parameter)));
    }
}

#[test]
fn what_an_unrestricted_role_does_is_logged_with_the_reason() {
    let (_, proxy) = shared();
    psql(
        &login("migrator").application("log-migrator"),
        &["SELECT count(*) FROM staff WHERE full_name = 'secret one'"],
    )
    .fine();
    let records = proxy.accesses_of("log-migrator");
    assert_eq!(records.len(), 1);
    let text = records[0].to_string();
    assert!(text.contains("OPS-12") && !text.contains("secret one"), "{text}");
}
