//! Each way of running a statement: what the client sends, and the records that stand in the log for it.

use std::fs;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use super::raw::{Client, batch, bind_with, describe, execute, message, parse, query, shown, sync};
use super::{login, proxy, records_of};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Catalogue {
    case: Vec<Case>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    #[serde(default = "support")]
    login: String,
    /// Messages that are sent at once; everything that comes back for them is read.
    steps: Vec<Vec<String>>,
    /// What came back, as [`shown`] writes it.
    answers: Vec<String>,
    /// The records as [`told`] writes them, in order.
    log: Vec<String>,
}

fn support() -> String {
    "support".to_owned()
}

/// One message in bytes. `-` stands for the empty name, `\n` for a line's end.
fn encoded(text: &str) -> Vec<u8> {
    let (kind, rest) = text.split_once(' ').unwrap_or((text, ""));
    let rest = rest.replace("\\n", "\n");
    let mut words = rest.split(' ').map(|word| if word == "-" { "" } else { word });
    match kind {
        "Query" => query(&rest),
        "Parse" => parse(words.next().unwrap(), &words.collect::<Vec<_>>().join(" ")),
        "Bind" => {
            let (portal, statement) = (words.next().unwrap(), words.next().unwrap());
            bind_with(portal, statement, &words.map(str::as_bytes).collect::<Vec<_>>())
        }
        "Describe" => describe(words.next().unwrap().chars().next().unwrap(), words.next().unwrap()),
        "Execute" => execute(words.next().unwrap(), words.next().map_or(0, |rows| rows.parse().unwrap())),
        "Close" => message(b'C', format!("{}{}\0", words.next().unwrap(), words.next().unwrap()).as_bytes()),
        "Sync" => sync(),
        "CopyData" => message(b'd', rest.as_bytes()),
        "CopyDone" => message(b'c', b""),
        "CopyFail" => message(b'f', b"\0"),
        "FunctionCall" => message(b'F', &[0, 0, 0, 1, 0, 0, 0, 0, 0, 0]),
        "Long" => query(&"x".repeat(2_000_000)),
        "NotUtf8" => message(b'Q', b"SELECT '\xff'\0"),
        other => panic!("no message is called `{other}`"),
    }
}

fn step(client: &mut Client, messages: &[String]) -> String {
    client.send(&batch(&messages.iter().map(|text| encoded(text)).collect::<Vec<_>>()));
    let ends = |text: &&String| {
        ["Query", "Sync", "FunctionCall", "Long", "NotUtf8"].contains(&text.split(' ').next().unwrap())
    };
    let mut answers = Vec::new();
    for _ in messages.iter().filter(ends) {
        answers.extend(client.until_ready());
    }
    shown(&answers)
}

/// `relation[column use+use action(mask) by rule, ...] where filter`
fn relations(record: &Value) -> String {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let one = |relation: &Value| {
        let columns: Vec<String> = relation["columns"]
            .as_array()
            .unwrap()
            .iter()
            .map(|column| {
                assert_eq!(keys(column), ["name", "category", "use", "action", "mask", "rule"]);
                assert_eq!(column["category"].as_str(), category(column["name"].as_str().unwrap(), relation));
                let uses: Vec<_> =
                    column["use"].as_array().unwrap().iter().map(|used| used.as_str().unwrap()).collect();
                let mask = text(&column["mask"]).map(|mask| format!(" {mask}")).unwrap_or_default();
                let rule = text(&column["rule"]).map(|rule| format!(" by {rule}")).unwrap_or_default();
                let (name, action) = (text(&column["name"]).unwrap(), text(&column["action"]).unwrap());
                format!("{name} {} {action}{mask}{rule}", uses.join("+"))
            })
            .collect();
        assert_eq!(keys(relation), ["name", "filter", "columns"]);
        let filter = text(&relation["filter"]).map(|filter| format!(" where {filter}")).unwrap_or_default();
        format!("{}[{}]{filter}", text(&relation["name"]).unwrap().trim_start_matches("public."), columns.join(", "))
    };
    record["relations"].as_array().unwrap().iter().map(one).collect::<Vec<_>>().join(" ")
}

/// As `policy.toml` has it.
fn category(column: &str, relation: &Value) -> Option<&'static str> {
    match (relation["name"].as_str().unwrap(), column) {
        ("public.things", _) => None,
        (_, "id") => Some("reference"),
        (_, "email") => Some("contact"),
        (_, "id_number") => Some("national_id"),
        (_, "member") => Some("number"),
        (_, "secret") => Some("closed"),
        (_, "note") => Some("note"),
        (_, other) => panic!("{other}"),
    }
}

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

/// A session's records: accesses with what became of them, and everything else, in the order of the log.
fn told(records: &[Value]) -> Vec<String> {
    let mut lines = Vec::new();
    for record in records {
        let text = |field: &str| record[field].as_str().unwrap_or("-");
        match text("event") {
            "access" => {
                let outcomes: Vec<&Value> = records
                    .iter()
                    .filter(|other| other["event"] == "outcome" && other["of"] == record["seq"])
                    .collect();
                let [outcome] = outcomes.as_slice() else {
                    lines.push(format!("{} has {} outcomes", text("statement"), outcomes.len()));
                    continue;
                };
                assert!(outcome["seq"].as_u64() > record["seq"].as_u64() && outcome["ms"].as_f64().unwrap() >= 0.0);
                let rows = outcome["rows"].as_u64().map_or_else(|| "-".to_owned(), |rows| rows.to_string());
                let ended = [outcome["status"].as_str().unwrap(), &rows, outcome["sqlstate"].as_str().unwrap_or("-")];
                let mut line = format!("{} {}", text("verdict"), text("statement"));
                if text("purpose") != "support" {
                    line = format!("{line} | for {}", text("purpose"));
                }
                let more = [relations(record), text("reason").to_owned()];
                for part in more.iter().filter(|part| !part.is_empty() && *part != "-") {
                    line = format!("{line} | {part}");
                }
                lines.push(format!("{line} => {}", ended.join(" ")));
            }
            "purpose" => lines.push(format!("purpose {} to {} {}", text("from"), text("to"), text("refused"))),
            "connect" | "disconnect" | "outcome" => {}
            other => lines.push(other.to_owned()),
        }
    }
    lines
}

/// The fields that are the same in kind for every record.
fn check_fields(records: &[Value], client: &str, login: &str, application: &str) {
    let session = &records[0]["session"];
    let policy = proxy().shared.policies.load().hash().to_owned();
    let mut before = (0, String::new());
    for record in records {
        let seq = record["seq"].as_u64().unwrap();
        assert!(seq > before.0, "{record}");
        let event = record["event"].as_str().unwrap();
        let time = if event == "outcome" { before.1 } else { record["time"].as_str().unwrap().to_owned() };
        if event != "outcome" {
            time.parse::<jiff::Timestamp>().unwrap();
            assert!(time.len() == 27 && time.ends_with('Z'), "{time}");
        }
        before = (seq, time);
        for hash in ["prev", "hash"] {
            assert_eq!(record[hash].as_str().unwrap().len(), 64);
        }
        let own: &[&str] = match event {
            "outcome" => &["of", "status", "rows", "sqlstate", "ms"],
            "access" if login == "postgres" => {
                assert_eq!(record["unrestricted"], "OPS-12");
                &["statement", "fingerprint", "verdict", "unrestricted", "relations", "reason", "policy"]
            }
            "access" => &["statement", "fingerprint", "verdict", "relations", "reason", "policy"],
            "connect" => &["authentication", "tls", "certificate"],
            "purpose" => &["from", "to", "refused"],
            "disconnect" => &["session", "reason"],
            other => panic!("{other}"),
        };
        let whose = [
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
        ];
        let mut expected = if event == "outcome" { vec!["seq", "event"] } else { vec!["seq", "time", "event"] };
        if event != "outcome" {
            assert_eq!(&record["session"], session);
        }
        if !matches!(event, "outcome" | "disconnect") {
            expected.extend(whose);
            let (role, recipient) = match login {
                "support" => ("support", "Call Centre Ltd"),
                _ => ("owner", "internal"),
            };
            for (field, value) in [
                ("client", client),
                ("login", login),
                ("role", role),
                ("recipient", recipient),
                ("database", "log"),
                ("application", application),
            ] {
                assert_eq!(record[field], value, "{field} in {record}");
            }
        }
        if event == "access" {
            let statement = record["statement"].as_str().unwrap();
            if !statement.starts_with('<') {
                // Literals are `$n` already, so that nothing is left to take out.
                let again = pgpurpose::sql::redact(statement);
                assert_eq!(
                    (statement, record["fingerprint"].as_str().unwrap()),
                    (&*again.statement, &*again.fingerprint)
                );
            }
            assert_eq!(record["policy"], policy);
            assert_eq!(record["reason"].is_null(), record["verdict"] != "deny", "{record}");
        }
        expected.extend(own.iter().chain(&["prev", "hash"]));
        assert_eq!(keys(record), expected, "{record}");
    }
}

#[test]
fn each_way_of_running_a_statement_is_in_the_log_field_by_field() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/access_log/coverage.toml");
    let catalogue: Catalogue = toml::from_str(&fs::read_to_string(file).unwrap()).unwrap();
    let mut wrong = Vec::new();
    for case in &catalogue.case {
        let mut client = login(proxy(), &case.login, &case.name);
        let address = client.stream.local_addr().unwrap().to_string();
        let answers: Vec<String> = case.steps.iter().map(|messages| step(&mut client, messages)).collect();
        drop(client);
        let records = records_of(proxy(), &case.name);
        check_fields(&records, &address, &case.login, &case.name);
        let log = told(&records);
        if answers != case.answers || log != case.log {
            wrong.push(format!("# {}\nanswers = {answers:#?}\nlog = {log:#?}", case.name));
        }
    }
    assert!(pgpurpose::audit::verify(proxy().log.path()).unwrap().holds());
    assert!(wrong.is_empty(), "{} of {} cases:\n{}", wrong.len(), catalogue.case.len(), wrong.join("\n"));
}
