//! While the proxy runs: what an officer enters is in force at the next statement of sessions that are open, and stands in its log.

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::Value;
use tokio_postgres::{Config, NoTls};

use crate::support::proxy::{Proxy, Upstream};
use crate::{POLICY, Stand};

#[tokio::test]
async fn an_objection_is_in_force_at_the_next_statement_and_stands_in_the_proxys_own_log() {
    let stand = Stand::open();
    let keys =
        format!("subject_key = \"file:{0}/key\"\nsigning_key = \"file:{0}/signing\"", stand.folder.path().display());
    let proxy = Proxy::start_logging(&stand.cluster, Upstream::Socket, POLICY, "", &keys);
    let config = proxy.audit_dir().parent().unwrap().join("pgpurpose.toml");
    let subject = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pgpurpose"));
        command.env("USER", "thabo").args(["subject", arguments[0], "--config"]).arg(&config);
        command.args(["--database", "shop", "--of", "public.customers"]).args(&arguments[1..]);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let (client, driver) = Config::new()
        .host("127.0.0.1")
        .port(proxy.port)
        .user("agent")
        .dbname("shop")
        .options("-c pgpurpose.purpose=offers")
        .connect(NoTls)
        .await
        .unwrap();
    tokio::spawn(driver);
    let sees = async || client.query("SELECT email FROM customers WHERE id = 12", &[]).await.unwrap().len();
    assert_eq!(sees().await, 1);
    let opened: Value = serde_json::from_str(&subject(&[
        "open",
        "--asked",
        "objection",
        "--subject",
        "12",
        "--form",
        "telephone",
        "--identified",
        "recording 12",
        "--json",
    ]))
    .unwrap();
    let request = opened["request"].to_string();
    subject(&["object", &request, "--purpose", "offers"]);
    assert_eq!(sees().await, 0);
    let steps: Vec<Value> = proxy.access_log().into_iter().filter(|record| record["event"] == "request").collect();
    let names: Vec<&str> = steps.iter().map(|step| step["step"].as_str().unwrap()).collect();
    assert_eq!(names, ["open", "object"]);
    let verified = Command::new(env!("CARGO_BIN_EXE_pgpurpose"))
        .args(["audit", "verify", "--config"])
        .arg(&config)
        .output()
        .unwrap();
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stdout));
}

/// What a learner types who knows everything: each hint, and each right answer.
fn typed(lesson: &str) -> String {
    let file =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("src/cli/demo/lesson/words/{lesson}.toml"));
    let text: toml::Table = std::fs::read_to_string(file).unwrap().parse().unwrap();
    let hints = text["steps"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|step| step["hint"].as_str().unwrap().split(" -- and then: "));
    let letters = text["questions"].as_array().unwrap().iter().map(|question| {
        let right = u8::try_from(question["right"].as_integer().unwrap()).unwrap();
        char::from(b'a' + right - 1).to_string()
    });
    hints.map(str::to_owned).chain(letters).map(|line| line + "\n").collect()
}

#[tokio::test]
async fn a_lesson_of_the_demo_is_entered_in_another_register_and_counted_by_check_and_report() {
    let stand = Stand::open();
    let keys =
        format!("subject_key = \"file:{0}/key\"\nsigning_key = \"file:{0}/signing\"", stand.folder.path().display());
    let policy = POLICY.replace("logins = [\"agent\"]", "logins = [\"agent\"]\ntraining = \"12 months\"");
    let proxy = Proxy::start_logging(&stand.cluster, Upstream::Socket, &policy, "", &keys);
    let config = proxy.audit_dir().parent().unwrap().join("pgpurpose.toml");
    let (client, driver) =
        Config::new().host("127.0.0.1").port(proxy.port).user("agent").dbname("shop").connect(NoTls).await.unwrap();
    tokio::spawn(driver);
    client.query("SELECT email FROM customers WHERE id = 12", &[]).await.unwrap();
    let run = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_pgpurpose"))
            .args(arguments)
            .arg("--config")
            .arg(&config)
            .output()
            .unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
    };
    let trained = || {
        let (_, report) = run(&["audit", "report", "--format", "json", "--no-verify"]);
        let report: Value = serde_json::from_str(&report).unwrap();
        (report["trained"][0]["people"].as_u64().unwrap(), report["trained"][0]["trained"].as_u64().unwrap())
    };
    assert_eq!(trained(), (1, 0));
    let (_, page) = run(&["audit", "report", "--no-verify"]);
    assert!(page.contains("1 person has access without a lesson that counts"), "{page}");
    assert_eq!(run(&["training", "--database", "shop"]).0, 1);

    let port = || std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let mut demo = Command::new(env!("CARGO_BIN_EXE_pgpurpose"));
    demo.args([
        "demo",
        "--listen",
        &port(),
        "--admin",
        &port(),
        "--lesson",
        "support",
        "--learner",
        "agent",
        "--register",
    ]);
    let mut demo = demo.arg(&config).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    demo.stdin.take().unwrap().write_all(typed("support").as_bytes()).unwrap();
    let said = demo.wait_with_output().unwrap();
    let text = String::from_utf8(said.stdout).unwrap();
    assert!(said.status.success(), "{text}");
    assert_eq!(text.matches("agent passed `support` on ").count(), 2, "{text}");

    let (code, lines) = run(&["training", "--database", "shop"]);
    assert!(code == 0 && lines.contains("10 of 10 right, 6 steps  signed"), "{lines}");
    assert!(!run(&["check", "--database", "shop"]).1.contains("demands training"));
    assert_eq!(trained(), (1, 1));
    assert!(proxy.access_log().iter().any(|record| record["step"] == "lesson" && record["by"] == "agent"));
    // Another's line is worth nothing under one's own name.
    stand.sql(
        "INSERT INTO privacy.lessons (learner, lesson, edition, passed_at, steps, right_answers, questions, signed_by, signature) \
         SELECT 'books', lesson, edition, passed_at, steps, right_answers, questions, signed_by, signature FROM privacy.lessons",
    );
    let (code, lines) = run(&["training", "--database", "shop"]);
    assert!(code == 1 && lines.contains("the signature does not hold"), "{lines}");
}

#[tokio::test]
async fn who_really_saw_the_person_stands_in_the_letter_with_the_day_even_where_no_rule_opens_it_any_more() {
    let stand = Stand::open();
    stand.sql("CREATE ROLE books LOGIN; GRANT SELECT ON invoices TO books; GRANT privacy_reader TO books");
    let keys =
        format!("subject_key = \"file:{0}/key\"\nsigning_key = \"file:{0}/signing\"", stand.folder.path().display());
    let policy =
        POLICY.replace("[tables.\"public.invoices\"]\n", "[tables.\"public.invoices\"]\nrecord_subjects = true\n");
    // The log keeps invoices of every age from nobody here.
    let policy = policy.replace("retain = { bookkeeping = \"5 years after issued_on\" }\n", "");
    let proxy = Proxy::start_logging(&stand.cluster, Upstream::Socket, &policy, "", &keys);
    let folder = proxy.audit_dir().parent().unwrap().to_owned();
    let (client, driver) =
        Config::new().host("127.0.0.1").port(proxy.port).user("books").dbname("shop").connect(NoTls).await.unwrap();
    tokio::spawn(driver);
    assert_eq!(client.query("SELECT amount FROM invoices WHERE customer_id = 8", &[]).await.unwrap().len(), 1);
    // Since then the bookkeeper may see days only.
    std::fs::write(folder.join("policy.toml"), policy.replace("\"public.invoices.amount\", ", "")).unwrap();
    let subject = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pgpurpose"));
        command.env("USER", "thabo").args(["subject", arguments[0], "--config"]).arg(folder.join("pgpurpose.toml"));
        command.args(["--database", "shop", "--of", "public.customers"]).args(&arguments[1..]);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    };
    subject(&["open", "--asked", "correction", "--subject", "8", "--form", "hand", "--identified", "seen in the shop"]);
    let letters = folder.join("letters");
    let correct = ["correct", "1", "--column", "public.invoices.amount", "--value", "31", "--letters"];
    subject(&[&correct[..], &[letters.to_str().unwrap()]].concat());
    let letter = std::fs::read_to_string(letters.join("request-1-recipient-1.txt")).unwrap();
    for says in [
        "To Books (Pty) Ltd, ZA (B-1)",
        "`amount` in `public.invoices` were corrected",
        "By our log you last saw this person on 20",
    ] {
        assert!(letter.contains(says), "{says}: {letter}");
    }
    assert!(!letter.contains("this was open to you"), "{letter}");
}
