//! The log in other programs' forms: every record once, in order, and read back by readers that are not our own.

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::Value;

use super::support::client::login;
use super::support::proxy::{Proxy, Upstream};
use super::support::shop;
use super::{SHOP_POLICY, until};

/// What a program makes of a text; `None` where there is no such program.
fn through(program: &str, arguments: &[&str], text: &str) -> Option<String> {
    let mut child = Command::new(program).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().ok()?;
    let mut stdin = child.stdin.take().unwrap();
    let text = text.to_owned();
    let writes = std::thread::spawn(move || stdin.write_all(text.as_bytes()));
    let output = child.wait_with_output().unwrap();
    writes.join().unwrap().unwrap();
    assert!(output.status.success(), "{program}");
    Some(String::from_utf8(output.stdout).unwrap())
}

const CSV: &str = "import csv, json, sys; json.dump(list(csv.DictReader(sys.stdin)), sys.stdout)";

#[test]
fn each_form_has_every_record_once_and_is_read_back() {
    let policy = SHOP_POLICY.replacen("subject = \"id\" ", "record_subjects = \"plain\"\nsubject = \"id\" ", 1);
    let proxy = Proxy::start_with(shop(), Upstream::Socket, &policy, "");
    let who = login("support_agent").application("=cmd|' /C calc'!A0");
    let said = proxy.psql(
        shop(),
        &who,
        &[
            "/*actor='0820000001',ticket='%2B27'*/ SELECT city,\n full_name FROM customers WHERE id IN (17, 18)",
            "SELECT health_note FROM customers WHERE full_name = 'a,\"b\"'",
        ],
    );
    assert!(said.err.contains("42501"), "{said:?}");
    until("the session's end is in the log", || {
        proxy.access_log().iter().any(|record| record["event"] == "disconnect")
    });
    let log = proxy.access_log();
    let export = |more: &[&str]| {
        let all: Vec<&str> = ["audit", "export", "--config", "pgpurpose.toml"].iter().chain(more).copied().collect();
        let said = proxy.command(&all);
        assert!(said.ok, "{said:?}");
        said.out
    };
    let objects = |text: &str| -> Vec<Value> { text.lines().map(|line| serde_json::from_str(line).unwrap()).collect() };
    let numbers: Vec<u64> = log.iter().map(|record| record["seq"].as_u64().unwrap()).collect();
    let of_text = |value: &Value| -> u64 { value.as_str().unwrap().parse().unwrap() };

    let csv = through("python3", &["-c", CSV], &export(&[])).expect("python3");
    let csv: Vec<Value> = serde_json::from_str(&csv).unwrap();
    assert_eq!(csv.iter().map(|row| of_text(&row["seq"])).collect::<Vec<_>>(), numbers);
    for (row, record) in csv.iter().zip(&log) {
        assert_eq!(row["event"], record["event"]);
        assert_eq!(row["statement"].as_str().unwrap(), record["statement"].as_str().unwrap_or_default());
        assert_eq!(row["hash"], record["hash"]);
    }
    let seen = csv.iter().find(|row| row["event"] == "disclosure").unwrap();
    assert_eq!(
        (&seen["actor"], &seen["ticket"], &seen["people"], &seen["application"]),
        (&"'0820000001".into(), &"'+27".into(), &"[\"17\",\"18\"]".into(), &"'=cmd|' /C calc'!A0".into())
    );

    let ocsf = export(&["--format", "ocsf"]);
    assert_eq!(objects(&ocsf).iter().map(|event| of_text(&event["metadata"]["uid"])).collect::<Vec<_>>(), numbers);
    let refused = "select(.activity_id == 4 and .action_id == 2) | .actor.user.name + \" \" + .unmapped.purpose";
    if let Some(told) = through("jq", &["-r", refused], &ocsf) {
        assert_eq!(told, "support_agent support\n");
    }
    let ecs = objects(&export(&["--format", "ecs"]));
    assert_eq!(ecs.iter().map(|event| of_text(&event["event"]["id"])).collect::<Vec<_>>(), numbers);
    assert!(ecs.iter().any(|event| event["event"]["outcome"] == "failure" && event["user"]["name"] == "support_agent"));
    let cef = export(&["--format", "cef"]);
    assert_eq!(cef.lines().count(), numbers.len());
    assert!(cef.lines().all(|line| line.starts_with("CEF:0|pgpurpose|pgpurpose|") && line.len() < 8000), "{cef}");
    // What search finds is what is exported.
    let denied = export(&["--verdict", "deny", "--event", "access"]);
    assert_eq!(denied.lines().count(), 2, "{denied}");
    assert!(!denied.contains("a,\"\"b") && !cef.contains("a,\"b"), "no literal of a statement is in the log");
}
