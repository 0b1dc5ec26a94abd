//! The built program, as a shell sees it: what it prints, and how it ends. No database is needed here.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::borrow::Cow;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use pgpurpose::audit::checkpoint::Signer;
use pgpurpose::audit::{Access, AuditLog, Event, LogOptions, SessionFacts, Sync};
use pgpurpose::config::SecretSource;
use pgpurpose::policy::{AccessReport, Verdict};
use tempfile::TempDir;

fn run(arguments: &[&str]) -> (i32, String, String) {
    let Output { status, stdout, stderr } =
        Command::new(env!("CARGO_BIN_EXE_pgpurpose")).args(arguments).env("RUST_BACKTRACE", "0").output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

const POLICY: &str = r#"
version = 1
[tables."public.people"]
subject = "id"
columns = { id = "reference", email = "contact", born = "birth", secret = "health" }
[categories.health]
special = true
[purposes.support]
basis = "contract"
[roles.agent]
logins = ["agent"]
purposes = ["support"]
[[rules]]
name = "agents see contacts masked"
roles = ["agent"]
purposes = ["support"]
read = ["reference"]
mask = { contact = "email", birth = "year" }
[[tests]]
login = "agent"
sql = "SELECT id, email, born FROM people"
expect = "mask"
[[tests]]
login = "agent"
sql = "SELECT secret FROM people"
expect = "deny"
reason = "secret"
"#;

fn policy(folder: &TempDir, text: &str) -> String {
    let file = folder.path().join("policy.toml");
    fs::write(&file, text).unwrap();
    file.display().to_string()
}

#[test]
fn every_verb_explains_itself_with_an_example() {
    let (status, text, _) = run(&["--help"]);
    assert_eq!(status, 0);
    for verb in [
        &["demo"][..],
        &["serve"],
        &["check"],
        &["explain"],
        &["scan"],
        &["suggest"],
        &["retention"],
        &["optouts", "import"],
        &["document"],
        &["audit", "tail"],
        &["audit", "search"],
        &["audit", "report"],
        &["audit", "verify"],
        &["audit", "index"],
    ] {
        assert!(text.contains(verb[0]), "{verb:?} in {text}");
        let (status, help, _) = run(&[verb, &["--help"]].concat());
        assert_eq!(status, 0);
        assert!(help.contains("Example"), "{verb:?}: {help}");
        assert!(help.contains(&format!("  pgpurpose {}", verb.join(" "))), "{verb:?}: {help}");
    }
}

#[test]
fn wrong_usage_ends_with_2() {
    for arguments in [
        &["nonsense"][..],
        &["explain"],
        &["audit", "tail", "--lines", "x"],
        &["serve"],
        &["check", "--config", "/nonexistent.toml"],
        &["audit", "report", "--dir", "/nonexistent"],
        &["audit", "report", "--unused"],
        &["audit", "report", "--time-zone", "Nowhere/At_all"],
        &["audit", "report", "--observe", "--config", "x.toml", "--unused", "7"],
    ] {
        let (status, _, told) = run(arguments);
        assert_eq!(status, 2, "{arguments:?}: {told}");
        assert!(!told.is_empty());
    }
    let (status, _, told) = run(&["audit", "verify", "--dir", "/nonexistent"]);
    assert_eq!((status, told.contains("/nonexistent")), (2, true), "{told}");
}

#[test]
fn a_policy_without_faults_passes_its_own_tests_without_a_database() {
    let folder = TempDir::new().unwrap();
    let (status, said, told) = run(&["check", "--offline", "--policy", &policy(&folder, POLICY)]);
    assert_eq!(status, 0, "{said}{told}");
    assert!(said.contains("passed: 2 tests against an assumed catalog"), "{said}");
}

#[test]
fn a_failing_test_ends_with_1_and_says_where_and_why() {
    let folder = TempDir::new().unwrap();
    let file = policy(&folder, &POLICY.replace("expect = \"mask\"", "expect = \"allow\""));
    let (status, said, _) = run(&["check", "--offline", "--policy", &file]);
    assert_eq!(status, 1);
    assert!(said.contains(&format!("failed: {file}:19: ")) && said.contains("expected allow, got mask"), "{said}");
    let file = policy(&folder, &POLICY.replace("reason = \"secret\"", "reason = \"elephant\""));
    let (status, said, _) = run(&["check", "--offline", "--policy", &file]);
    assert_eq!(status, 1);
    assert!(said.contains("`elephant` is not in the reason"), "{said}");
}

#[test]
fn a_fault_in_a_policy_ends_with_2_and_names_file_and_line() {
    let folder = TempDir::new().unwrap();
    let file = policy(&folder, &POLICY.replace("basis = \"contract\"", "basis = \"curiosity\""));
    let (status, _, told) = run(&["check", "--offline", "--policy", &file]);
    assert_eq!(status, 2);
    assert!(told.contains(&format!("{file}:9:")) && told.contains("curiosity"), "{told}");
}

#[test]
fn the_sample_policy_passes() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies/shop.toml");
    let key = TempDir::new().unwrap();
    let config = key.path().join("pgpurpose.toml");
    fs::write(key.path().join("token.key"), "ab".repeat(32)).unwrap();
    let text = format!(
        "[upstream]\naddress = \"127.0.0.1:1\"\n[auth]\nmethod = \"relay\"\n[policy]\nfiles = [\"{}\"]\ntoken_key = \"file:token.key\"\n",
        file.display()
    );
    fs::write(&config, text).unwrap();
    let (status, said, told) = run(&["check", "--offline", "--config", &config.display().to_string()]);
    assert_eq!(status, 0, "{said}{told}");
    assert!(!said.contains("failed"), "{said}");
}

#[test]
fn explain_shows_decisions_rules_and_the_text_that_would_run() {
    let folder = TempDir::new().unwrap();
    let file = policy(&folder, POLICY);
    let explain =
        |more: &[&str]| run(&[&["explain", "--offline", "--policy", &file, "--login", "agent"], more].concat());
    let (status, said, _) = explain(&["SELECT email FROM people WHERE id = 'x'"]);
    assert_eq!(status, 0);
    for part in [
        "mask",
        "public.people",
        "email  mask email",
        "agents see contacts masked",
        "forwarded",
        "\"public\".\"people\"",
    ] {
        assert!(said.contains(part), "`{part}` in {said}");
    }
    let (status, said, _) = explain(&["SELECT secret FROM people"]);
    assert_eq!(status, 0, "a refusal is an answer");
    for part in ["deny", "refused at decide with 42501", "secret"] {
        assert!(said.contains(part), "`{part}` in {said}");
    }
    let (_, said, _) = explain(&["--json", "SELECT secret FROM people"]);
    let object: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(
        (&object["verdict"], &object["stage"], &object["sqlstate"]),
        (&"deny".into(), &"decide".into(), &"42501".into())
    );
    assert_eq!(object["relations"][0]["columns"][0]["name"], "secret");
    let (status, _, told) = run(&["explain", "--offline", "--policy", &file, "--login", "nobody", "SELECT 1"]);
    assert_eq!((status, told.contains("`nobody`")), (2, true));
    let (_, said, _) = explain(&["--json", "--purpose", "marketing", "SELECT id FROM people"]);
    let object: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!((&object["verdict"], &object["stage"]), (&"deny".into(), &"decide".into()));
}

#[test]
fn explain_answers_a_file_line_by_line_and_says_the_stage() {
    let folder = TempDir::new().unwrap();
    let file = policy(&folder, POLICY);
    let statements = folder.path().join("statements.jsonl");
    let sql = [
        "SELECT email FROM people",
        "SELEC 1",
        "SELECT 'open",
        "SELECT a FROM nowhere",
        "SELECT secret FROM people",
        "SELECT id FROM people; SELECT secret FROM people",
        "",
    ];
    fs::write(&statements, sql.map(|sql| serde_json::to_string(sql).unwrap()).join("\n")).unwrap();
    let arguments =
        ["explain", "--offline", "--policy", &file, "--login", "agent", "--file", &statements.display().to_string()];
    let (status, said, told) = run(&arguments);
    assert_eq!(status, 0, "{told}");
    let answers: Vec<(String, String)> = said
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .map(|verdict| {
            (verdict["verdict"].as_str().unwrap().to_owned(), verdict["stage"].as_str().unwrap_or("-").to_owned())
        })
        .collect();
    let expected = [
        ("mask", "-"),
        ("deny", "parse"),
        ("deny", "parse"),
        ("deny", "resolve"),
        ("deny", "decide"),
        ("deny", "decide"),
        ("allow", "-"),
    ];
    assert_eq!(answers, expected.map(|(verdict, stage)| (verdict.to_owned(), stage.to_owned())));
    fs::write(&statements, "\"SELECT 1\"\nSELECT 2\n").unwrap();
    let (status, said, told) = run(&arguments);
    assert_eq!((status, said.lines().count()), (2, 1));
    assert!(told.contains("line 2 of"), "{told}");
}

#[tokio::test]
async fn the_log_is_read_searched_and_proved_by_command() {
    let folder = TempDir::new().unwrap();
    let log = AuditLog::open(folder.path(), Sync::Written).unwrap();
    let session =
        SessionFacts { login: "agent\u{1b}[2J".into(), purpose: Some("support".into()), ..SessionFacts::default() };
    for verdict in [Verdict::Allow, Verdict::Mask, Verdict::Deny] {
        let report = AccessReport { verdict, relations: Vec::new(), reason: None };
        let access = Access {
            session: &session,
            statement: "SELECT $1",
            fingerprint: "f",
            report: &report,
            policy: "p",
            observe: false,
            unrestricted: None,
            lookups: &[],
        };
        log.append_refused(access.record().unwrap()).await.unwrap();
    }
    log.close("test").await.unwrap();
    let directory = folder.path().display().to_string();
    let audit = |verb: &str, more: &[&str]| run(&[&["audit", verb, "--dir", &directory], more].concat());
    let (status, said, _) = audit("tail", &["-n", "4"]);
    assert_eq!((status, said.lines().count()), (0, 4), "{said}");
    assert!(!said.contains('\u{1b}'), "what a client chose is no command to a terminal");
    let (status, said, told) = audit("search", &["--verdict", "deny", "--json"]);
    assert_eq!((status, said.lines().count()), (0, 1), "{told}");
    assert_eq!(serde_json::from_str::<serde_json::Value>(&said).unwrap()["seq"], 4);
    assert_eq!(audit("search", &["--since", "1h"]).1.lines().count(), 5);
    assert_eq!(audit("search", &["--until", "2020-01-01"]).1.lines().count(), 0);
    assert_eq!(audit("search", &["--since", "yesterday-ish"]).0, 2);
    let (status, said, _) = audit("verify", &[]);
    assert_eq!(status, 0);
    assert!(said.starts_with("the chain holds: 5 records in 1 files, the last is 5:"), "{said}");
    let last = said.trim().rsplit(' ').next().unwrap().to_owned();
    assert_eq!(audit("verify", &["--last", &last]).0, 0);
    let file = fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|e| e == "jsonl"))
        .unwrap();
    let text = fs::read_to_string(&file).unwrap();
    // A clean cut leaves a chain that holds, and not the hash that somebody kept.
    let cut: String = text.split_inclusive('\n').take(4).collect();
    fs::write(&file, cut).unwrap();
    assert_eq!(audit("verify", &[]).0, 0);
    assert_eq!(audit("verify", &["--last", &last]).0, 1);
    fs::write(&file, text.replacen("\"verdict\":\"deny\"", "\"verdict\":\"mask\"", 1)).unwrap();
    let (status, said, _) = audit("verify", &[]);
    assert_eq!(status, 1);
    assert!(said.contains(":4: at record 4: the line was changed"), "{said}");
    let (status, said, _) = audit("verify", &["--json"]);
    assert_eq!((status, &serde_json::from_str::<serde_json::Value>(&said).unwrap()["holds"]), (1, &false.into()));
}

#[tokio::test]
async fn what_cannot_be_read_of_a_log_is_told_and_a_log_without_records_proves_nothing() {
    let folder = TempDir::new().unwrap();
    let directory = folder.path().display().to_string();
    let audit = |verb: &str, more: &[&str]| run(&[&["audit", verb, "--dir", &directory], more].concat());
    let (status, said, _) = audit("verify", &[]);
    assert!(status == 1 && !said.contains("the chain holds") && said.contains("holds no record"), "{said}");
    let (status, said, _) = audit("verify", &["--json"]);
    assert_eq!((status, &serde_json::from_str::<serde_json::Value>(&said).unwrap()["holds"]), (1, &false.into()));
    let options = LogOptions { rotate_bytes: 400, ..LogOptions::new(folder.path(), Sync::Written) };
    let log = AuditLog::open_with(options).unwrap();
    let session = SessionFacts { login: "agent".into(), ..SessionFacts::default() };
    for _ in 0..6 {
        let event =
            Event::Connect { session: Cow::Borrowed(&session), authentication: "scram", tls: None, certificate: None };
        log.append(event.record().unwrap()).await.unwrap();
    }
    log.close("test").await.unwrap();
    let mut files: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "jsonl"));
    files.sort();
    let (status, said, _) = audit("search", &["--login", "agent", "--json"]);
    assert_eq!((status, said.lines().count()), (0, 6), "{said}");
    // As if it had been compressed, and damaged since.
    let packed = format!("{}.zst", files[2].display());
    fs::remove_file(&files[2]).unwrap();
    fs::write(&packed, "no frame of zstd").unwrap();
    let (status, said, told) = audit("search", &["--login", "agent", "--json"]);
    assert!(status == 1 && (1..6).contains(&said.lines().count()), "{said}{told}");
    let name = packed.rsplit('/').next().unwrap();
    assert!(told.contains("damaged") && told.contains(name), "{told}");
    assert_eq!(audit("verify", &[]).0, 1);
}

#[tokio::test]
async fn a_log_is_followed_while_its_files_are_closed_and_compressed() {
    let folder = TempDir::new().unwrap();
    let options =
        LogOptions { rotate_bytes: 2_000, compress: true, keep: true, ..LogOptions::new(folder.path(), Sync::Written) };
    let log = AuditLog::open_with(options).unwrap();
    let append = || async {
        let session = SessionFacts::default();
        let event =
            Event::Connect { session: Cow::Borrowed(&session), authentication: "scram", tls: None, certificate: None };
        log.append(event.record().unwrap()).await.unwrap();
    };
    let mut tail = Command::new(env!("CARGO_BIN_EXE_pgpurpose"))
        .args(["audit", "tail", "--follow", "--json", "-n", "1", "--dir", &folder.path().display().to_string()])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(tail.stdout.take().unwrap()).lines();
    let mut seq =
        || serde_json::from_str::<serde_json::Value>(&lines.next().unwrap().unwrap()).unwrap()["seq"].as_u64();
    assert_eq!(seq(), Some(1), "it follows from here on");
    let packed = || {
        fs::read_dir(folder.path())
            .unwrap()
            .filter(|e| e.as_ref().unwrap().path().extension().is_some_and(|e| e == "zst"))
            .count()
    };
    for n in 2..100 {
        append().await;
        if n % 20 == 0 {
            // Some of it is read when it is compressed already.
            while packed() < n / 20 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    }
    for n in 2..100 {
        assert_eq!(seq(), Some(n));
    }
    tail.kill().unwrap();
    tail.wait().unwrap();
    log.close("test").await.unwrap();
}

#[tokio::test]
async fn indexes_are_built_again_by_command() {
    let folder = TempDir::new().unwrap();
    let options = LogOptions { rotate_bytes: 500, keep: true, ..LogOptions::new(folder.path(), Sync::Written) };
    for _ in 0..5 {
        AuditLog::open_with(options.clone()).unwrap().close("test").await.unwrap();
    }
    let directory = folder.path().display().to_string();
    let index = |more: &[&str]| run(&[&["audit", "index", "--dir", &directory], more].concat()).1;
    let closed: usize = index(&["--again"]).split(' ').next().unwrap().parse().unwrap();
    assert!(closed >= 2);
    let built = |built| format!("{built} indexes built; {closed} closed files have one\n");
    assert_eq!(index(&[]), built(0));
    let one = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path());
    let one = one.into_iter().find(|path| path.extension().is_some_and(|end| end == "idx")).unwrap();
    let was = fs::read(&one).unwrap();
    fs::write(&one, &was[..was.len() - 1]).unwrap();
    assert_eq!(index(&[]), built(1));
    assert_eq!(fs::read(&one).unwrap(), was);
    let (status, _, told) = run(&["audit", "search", "--dir", &directory, "--event", "stop"]);
    assert_eq!(status, 0);
    assert!(told.contains("5 found") && told.contains(" 1 without an index"), "{told}");
}

#[tokio::test]
async fn a_signed_log_is_proved_by_its_public_key() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    let (status, public, _) = run(&["audit", "keygen", "--out", &at("signing.key")]);
    assert_eq!((status, public.trim().len()), (0, 64));
    assert_eq!(run(&["audit", "keygen", "--of", &at("signing.key")]).1, public);
    assert_eq!(run(&["audit", "keygen", "--out", &at("signing.key")]).0, 2, "a key is not overwritten");
    assert_eq!(run(&["audit", "keygen"]).0, 2);
    fs::write(at("signing.pub"), &public).unwrap();

    let key = SecretSource::File(at("signing.key").into()).read_key().unwrap();
    let signer = Some(Arc::new(Signer::new(key.expose()).unwrap()));
    let log = AuditLog::open_with(LogOptions { signer, ..LogOptions::new(at("log"), Sync::Written) }).unwrap();
    log.close("test").await.unwrap();
    let verify = |more: &[&str]| run(&[&["audit", "verify", "--dir", &at("log")], more].concat());
    for key in [public.trim(), &at("signing.pub")] {
        let (status, said, told) =
            verify(&["--public-key", key, "--closed", "--checkpoint", &at("log/checkpoint.json")]);
        assert_eq!(status, 0, "{said}{told}");
        assert!(told.contains("2 checkpoints vouch for everything up to record 4"), "{told}");
    }
    let told = verify(&[]).2;
    assert!(told.contains("without a key") && told.contains("2 signed checkpoints"), "{told}");
    assert_eq!(verify(&["--public-key", &"0".repeat(64)]).0, 1);
    assert_eq!(verify(&["--public-key", "nonsense"]).0, 2);
    assert_eq!(verify(&["--checkpoint", &at("signing.pub")]).0, 2);
}

#[test]
fn policies_alone_are_checked_without_a_configuration() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies/shop.toml").display().to_string();
    let (status, said, told) = run(&["check", "--offline", "--policy", &file]);
    assert_eq!(status, 0, "{said}{told}");
}

#[test]
fn a_change_of_the_policies_is_told_as_what_it_opens_and_closes() {
    let folder = TempDir::new().unwrap();
    let old = folder.path().join("old.toml");
    fs::write(&old, POLICY).unwrap();
    let old = old.display().to_string();
    let run_against = |text: &str| {
        let new = policy(&folder, text);
        run(&["check", "--offline", "--policy", &new, "--against", &old, "--fail-on-opening"])
    };
    let (status, out, _) = run_against(POLICY);
    assert!(status == 0 && out.contains("0 openings, 0 closings"), "{out}");
    let whom = "role `agent` for purpose `support`";
    for (change, to, told) in [
        (
            "contact = \"email\"",
            "contact = \"first(1)\"",
            "`public.people.email` masked as `first(1)`, and was masked as `email`",
        ),
        (
            "read = [\"reference\"]",
            "read = [\"reference\"]\nwrite = [\"birth\"]\nkeep_masked = true",
            "`public.people.born` set",
        ),
        ("read = [\"reference\"]", "read = [\"reference\"]\nlookup = [\"contact\"]", "`public.people.email` looked up"),
        (
            "read = [\"reference\"]",
            "read = [\"reference\"]\ndelete = [\"public.people\"]",
            "rows of `public.people` deleted",
        ),
    ] {
        let (status, out, err) = run_against(&POLICY.replace(change, to));
        assert_eq!(status, 1, "{out}{err}");
        assert!(out.contains(&format!("opens  {whom}: {told}")), "{out}");
    }
    let (status, out, _) = run_against(&POLICY.replace(
        "mask = { contact = \"email\", birth = \"year\" }",
        "mask = { contact = \"email\", birth = \"null\" }",
    ));
    assert!(
        status == 0
            && out.contains(&format!("closes {whom}: `public.people.born` masked as `null`, and was masked as `year`")),
        "{out}"
    );
    let retained = POLICY.replace("subject = \"id\"\n", "subject = \"id\"\nretain = \"5 years after born\"\n");
    let (status, out, _) = run_against(&retained);
    assert!(status == 0 && out.contains("are left out by `retain(5 years after born)`"), "{out}");
    let (_, out, _) = run_against(&POLICY.replace("logins = [\"agent\"]", "logins = [\"agent\", \"other\"]"));
    assert!(out.contains("opens  login `other` is in role `agent`, and was in none"), "{out}");
    assert_eq!(run(&["check", "--offline", "--policy", &old, "--against", "/nonexistent.toml"]).0, 2);
}

#[test]
fn what_has_no_effect_or_contradicts_itself_is_told_with_its_place() {
    let folder = TempDir::new().unwrap();
    let text = POLICY
        .replace(
            "[purposes.support]",
            "[categories.colour]\nspecial = false\n[purposes.idle]\nbasis = \"contract\"\n[purposes.support]",
        )
        .replace("read = [\"reference\"]", "read = [\"reference\", \"contact\"]\ndeny = [\"birth\"]");
    let (status, out, err) = run(&["check", "--offline", "--policy", &policy(&folder, &text)]);
    assert_eq!(status, 1, "{out}{err}");
    for told in [
        "policy.toml:3: warning: no rule opens `public.people.secret (health)`",
        "no column has the category `colour`",
        "no role has the purpose `idle`",
        "both reads and masks `contact`: it is masked",
        "both opens and denies `birth`: it is denied",
    ] {
        assert!(err.contains(told), "{told} is not in {err}");
    }
}

#[test]
fn explain_names_the_basis_its_section_and_the_ground_of_each_rule() {
    let folder = TempDir::new().unwrap();
    let text = POLICY
        .replace("read = [\"reference\"]", "read = [\"reference\", \"health\"]\nground = \"s32(1)(a): treatment\"");
    let file = policy(&folder, &text);
    let asked = ["explain", "--offline", "--policy", &file, "--login", "agent", "SELECT id, secret FROM people"];
    let (status, out, err) = run(&asked);
    assert_eq!(status, 0, "{err}");
    assert!(out.contains("role agent for purpose support (contract, POPIA s11(1)(b))"), "{out}");
    assert!(out.contains("rule `agents see contacts masked` stands at "), "{out}");
    assert!(out.contains("on the ground: s32(1)(a): treatment"), "{out}");
    let (_, out, _) = run(&[&asked[..], &["--json"]].concat());
    let told: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&told["basis"], &told["section"]), (&"contract".into(), &"s11(1)(b)".into()));
    assert_eq!(told["rules"][0]["ground"], "s32(1)(a): treatment");
}

#[test]
fn explain_says_which_budgets_a_question_counts_for() {
    let folder = tempfile::tempdir().unwrap();
    let policy = "version = 1\n[tables.\"public.people\"]\nsubject = \"id\"\ncolumns = { id = \"reference\", town = \"place\" }\n\
        [purposes.figures]\nbasis = \"contract\"\nmin_group = 10\nqueries_per_day = 200\n\
        [purposes.\"figures.towns\"]\nqueries_per_day = 20\n[purposes.\"figures.free\"]\n\
        [roles.r]\nlogins = [\"ann\"]\npurposes = [\"figures.towns\", \"figures\", \"figures.free\"]\n\
        [[rules]]\nname = \"all\"\nroles = [\"r\"]\npurposes = [\"figures\", \"figures.towns\", \"figures.free\"]\n\
        read = [\"reference\", \"place\"]\n";
    let file = folder.path().join("policy.toml").display().to_string();
    std::fs::write(&file, policy).unwrap();
    let explain = |more: &[&str], sql: &str| {
        let (_, said, told) =
            run(&[&["explain", "--offline", "--policy", &file, "--login", "ann"], more, &[sql]].concat());
        assert!(!said.is_empty(), "{told}");
        said
    };
    let question = "SELECT town, count(*) FROM people GROUP BY town";
    let (own, parents) = (
        "counts as one of 20 queries a day and login for purpose figures.towns",
        "counts as one of 200 queries a day and login for purpose figures",
    );
    // A child's questions count for its parent too, whether it has a budget of its own or not.
    let said = explain(&[], question);
    assert!(said.contains(own) && said.lines().any(|line| line == parents), "{said}");
    let said = explain(&["--purpose", "figures.free"], question);
    assert!(!said.contains(own) && said.lines().any(|line| line == parents), "{said}");
    // What is refused costs nothing.
    assert!(!explain(&[], "SELECT town FROM people").contains("queries a day"));
    let json = |more: &[&str], sql: &str| -> serde_json::Value {
        serde_json::from_str(&explain(&[&["--json"], more].concat(), sql)).unwrap()
    };
    assert_eq!(json(&[], question)["queries_per_day"], 20);
    assert_eq!(json(&["--purpose", "figures"], question)["queries_per_day"], 200);
    assert_eq!(json(&[], "SELECT town FROM people")["queries_per_day"], serde_json::Value::Null);
}

#[test]
fn a_paper_is_written_and_checked_until_no_gap_is_left_and_the_policies_are_the_same() {
    let folder = TempDir::new().unwrap();
    let described = POLICY.replace("basis = \"contract\"", "basis = \"contract\"\ndescription = \"Answer questions\"");
    let policy = policy(&folder, &described);
    let config = folder.path().join("pgpurpose.toml");
    let write_config = |organisation: &str| {
        let text = format!(
            "[upstream]\naddress = \"127.0.0.1:5432\"\n[policy]\nfiles = [\"policy.toml\"]\n[organisation]\n{organisation}"
        );
        fs::write(&config, text).unwrap();
    };
    let (config_file, paper) = (config.display().to_string(), folder.path().join("n.html").display().to_string());
    let document = |more: &[&str]| run(&[&["document", "notice", "--config", &config_file], more].concat());
    write_config("name = \"Kaap Winkel\"\n");
    let (status, text, remark) = document(&[]);
    assert_eq!(status, 0);
    assert!(text.contains("Kaap Winkel tells you this") && text.contains("s11(1)(b)"), "{text}");
    assert!(remark.contains("gaps to be filled in"), "{remark}");
    let (status, told, _) = document(&["--check"]);
    assert!(status == 1 && told.contains("to be filled in: Information officer"), "{told}");
    document(&["-o", &paper]);
    assert_eq!(document(&["-o", &paper, "--check"]).0, 1);

    let keys = pgpurpose::config::Organisation::KEYS;
    write_config(&keys.map(|key| format!("{key} = [\"a\", \"b\"]\n")).concat());
    assert_eq!(document(&["--check"]).0, 0);
    document(&["-o", &paper]);
    assert_eq!(document(&["-o", &paper, "--check"]).0, 0);
    fs::write(&policy, format!("{described}# another day\n")).unwrap();
    let (status, told, _) = document(&["-o", &paper, "--check"]);
    assert!(status == 1 && told.contains("older than the policies"), "{told}");
}

#[test]
fn policy_diff_compares_two_folders_with_patterns_as_they_are_written() {
    let folder = TempDir::new().unwrap();
    let file = |name: &str, text: &str| {
        let file = folder.path().join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, text).unwrap();
        file.parent().unwrap().display().to_string()
    };
    let old = file("old/policy.toml", POLICY);
    let wider =
        format!("{POLICY}\n[tables.\"audit.*\"]\nopen = true\n[columns]\n\"public.people.seen_*\" = \"reference\"\n");
    let new = file("new/policy.toml", &wider);
    let (status, out, err) = run(&["policy", "diff", &old, &new, "--fail-on-opening"]);
    assert_eq!(status, 1, "{out}{err}");
    assert!(out.contains("opens  role `agent` for purpose `support`: `audit.*.*` read, and was closed"), "{out}");
    assert!(out.contains("`public.people.seen_*` read, and was closed"), "{out}");
    let (status, out, err) = run(&["policy", "diff", &new, &old, "--json"]);
    assert!(status == 0 && out.lines().all(|line| line.contains("\"change\":\"closes\"")), "{out}{err}");
    assert!(err.contains("0 openings"), "{err}");
    assert_eq!(run(&["policy", "diff", &old, "/nonexistent"]).0, 2);
}

#[test]
fn what_differs_between_installations_comes_from_the_environment() {
    let folder = TempDir::new().unwrap();
    let text = POLICY
        .replace("public.people", "${PGPURPOSE_TEST_SCHEMA:-public}.people")
        .replace("logins = [\"agent\"]", "logins = [\"${PGPURPOSE_TEST_LOGIN}\"]");
    let file = policy(&folder, &text);
    let check = |variables: &[(&str, &str)]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pgpurpose"));
        command.args(["check", "--offline", "--policy", &file]).envs(variables.iter().copied());
        let Output { status, stdout, stderr } = command.output().unwrap();
        let said = format!("{}{}", String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap());
        let hash = said.lines().find(|line| line.starts_with("policy sha256:")).map(str::to_owned);
        (status.code().unwrap(), said, hash)
    };
    let (status, said, _) = check(&[]);
    assert_eq!(status, 2, "{said}");
    assert!(said.contains("policy.toml:11: `roles.agent.logins` asks for `${PGPURPOSE_TEST_LOGIN}`"), "{said}");
    let (status, said, one) = check(&[("PGPURPOSE_TEST_LOGIN", "agent")]);
    assert_eq!(status, 0, "{said}");
    let (status, said, other) = check(&[("PGPURPOSE_TEST_LOGIN", "agent"), ("PGPURPOSE_TEST_SCHEMA", "shop")]);
    // Its tests name `people` without a schema, which is looked for in `public`.
    assert!(status == 0 || said.contains("left out") || said.contains("failed"), "{said}");
    assert!(
        one.is_some() && other.is_some() && one != other,
        "another installation has other policies: {one:?} {other:?}"
    );
}

#[test]
fn explain_names_the_line_of_each_category_and_lays_the_statement_out() {
    let folder = TempDir::new().unwrap();
    let file = policy(&folder, POLICY);
    let (status, out, err) = run(&[
        "explain",
        "--offline",
        "--policy",
        &file,
        "--login",
        "agent",
        "SELECT id, email, born FROM people WHERE email LIKE 'a%' AND id > 3 ORDER BY born",
    ]);
    assert_eq!(status, 0, "{out}{err}");
    assert!(out.contains(&format!("contact, {file}:5")), "{out}");
    assert!(out.lines().all(|line| line.chars().count() < 200) && out.contains("\n  FROM ("), "{out}");
}

#[test]
fn a_test_of_the_policies_expects_groups_alone() {
    let folder = TempDir::new().unwrap();
    let test = |basis: &str, sql: &str| {
        let text = POLICY.replace("basis = \"contract\"", basis).split("[[tests]]").next().unwrap().to_owned();
        let text = format!("{text}[[tests]]\nlogin = \"agent\"\nsql = \"{sql}\"\nexpect = \"aggregate\"\n");
        run(&["check", "--offline", "--policy", &policy(&folder, &text)])
    };
    let grouped = "basis = \"contract\"\nmin_group = 5";
    let (status, out, err) = test(grouped, "SELECT count(*) FROM people");
    assert_eq!(status, 0, "{out}{err}");
    let (status, out, _) = test("basis = \"contract\"", "SELECT count(*) FROM people");
    assert!(status == 1 && out.contains("expected aggregate, and it shows rows"), "{out}");
    let (status, out, _) = test(grouped, "SELECT id FROM people");
    assert!(status == 1 && out.contains("expected aggregate, got deny"), "{out}");
}

/// Each table and each condition was held against all others before: this took minutes.
#[test]
fn a_large_policy_is_checked_without_a_database() {
    let mut text = String::from(
        "version = 1\n[purposes.work]\nbasis = \"contract\"\n[roles.staff]\nlogins = [\"staff\"]\npurposes = [\"work\"]\n",
    );
    for table in 0..800 {
        text += &format!(
            "[tables.\"public.t{table}\"]\nsubject = \"id\"\ncolumns = {{ id = \"c{}\", name = \"c{}\", day = \"c{}\" }}\n",
            table % 200,
            (table + 31) % 200,
            (table + 62) % 200
        );
    }
    for rule in 0..8_000 {
        text += &format!(
            "[[rules]]\nname = \"rule {rule}\"\nroles = [\"staff\"]\npurposes = [\"work\"]\nread = [\"c{}\"]\n",
            rule % 200
        );
        if rule % 1_000 == 0 {
            text += "rows = \"name <> 'x'\"\n";
        }
    }
    let folder = TempDir::new().unwrap();
    let (code, out, error) = run(&["check", "--offline", "--policy", &policy(&folder, &text)]);
    assert_eq!(code, 0, "{out}{error}");
}
