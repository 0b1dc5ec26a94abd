//! A scan of a database that is there.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use pgpurpose::cluster::Cluster;
use serde_json::Value;
use tempfile::TempDir;

use crate::set::{Score, tables, values};
use crate::support;

/// The sample shop, and beside it a database with the South African set.
fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| {
        let cluster = support::own_shop();
        cluster.run_statements("postgres", "CREATE DATABASE suid").unwrap();
        let mut sql = String::new();
        for (name, columns) in tables() {
            let list: Vec<String> =
                columns.iter().map(|column| format!("\"{}\" {}", column.name, column.type_sql)).collect();
            sql.push_str(&format!(
                "CREATE TABLE {name} ({});\nINSERT INTO {name} SELECT * FROM unnest(",
                list.join(", ")
            ));
            let arrays: Vec<String> = columns
                .iter()
                .map(|column| {
                    let quoted: Vec<String> = values(&name, column, 100)
                        .iter()
                        .map(|value| format!("'{}'", value.replace('\'', "''")))
                        .collect();
                    format!("ARRAY[{}]::text[]", quoted.join(","))
                })
                .collect();
            let casts: Vec<String> =
                columns.iter().enumerate().map(|(at, column)| format!("c{at}::{}", column.type_sql)).collect();
            let names: Vec<String> = (0..columns.len()).map(|at| format!("c{at}")).collect();
            sql.truncate(sql.len() - "SELECT * FROM unnest(".len());
            sql.push_str(&format!(
                "SELECT {} FROM unnest({}) AS u({});\n",
                casts.join(", "),
                arrays.join(", "),
                names.join(", ")
            ));
        }
        // It brings rows of other tables along, though none of its own columns is personal.
        sql.push_str(
            "CREATE MATERIALIZED VIEW omset AS SELECT status, sum(total) AS som FROM orders GROUP BY status;\n",
        );
        cluster.run_sql("suid", &sql).unwrap();
        cluster
    })
}

fn scan(database: &str, more: &[&str]) -> (i32, String, String) {
    scan_with(database, more, "")
}

fn scan_with(database: &str, more: &[&str], typed: &str) -> (i32, String, String) {
    let cluster = cluster();
    let upstream = format!("{}:{}", cluster.socket_dir().display(), cluster.port());
    let mut child = Command::new(env!("CARGO_BIN_EXE_pgpurpose"))
        .args(["scan", "--upstream", &upstream, "--login", "postgres", "--database", database])
        .args(more)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(typed.as_bytes()).unwrap();
    let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
    (status.code().unwrap(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

fn lines(text: &str) -> BTreeMap<String, Value> {
    let name = |line: &Value| format!("{}.{}", line["table"].as_str().unwrap(), line["column"].as_str().unwrap());
    text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()).map(|line| (name(&line), line)).collect()
}

fn path(folder: &TempDir, name: &str) -> String {
    folder.path().join(name).display().to_string()
}

#[test]
fn a_database_is_read_as_well_as_its_values_alone() {
    let (status, out, err) = scan("suid", &["--json", "-", "--verdicts", "/nowhere/scan.toml"]);
    assert_eq!(status, 0, "{err}");
    let (found, mut score) = (lines(&out), Score::default());
    for (name, columns) in tables() {
        for column in columns {
            let full = format!("{name}.{}", column.name);
            score.add(&full, &column.category, found[&full]["category"].as_str());
        }
    }
    let (precision, recall) = score.precision_and_recall();
    assert!(
        precision >= 0.97 && recall >= 0.97,
        "precision {precision:.3}, recall {recall:.3}\n{}",
        score.words.join("\n")
    );
    assert_eq!(found["leads.profile"]["paths"][0]["path"], "$.kontak.selfoon");
}

#[test]
fn names_alone_still_say_most() {
    let (status, out, _) = scan("suid", &["--json", "-", "--no-values"]);
    assert_eq!(status, 0);
    let found = lines(&out);
    assert_eq!(found["klante.idnr"]["category"], "national_id");
    assert_eq!(found["werknemers_ou.f1"]["category"], Value::Null);
    assert!(!out.contains("sampled"), "no value is looked at");
}

#[test]
fn the_first_policy_is_the_same_each_time() {
    let folder = TempDir::new().unwrap();
    let (one, two) = (path(&folder, "one.toml"), path(&folder, "policies/two.toml"));
    for file in [&one, &two] {
        let (status, _, err) = scan("shop", &["-o", file]);
        assert_eq!(status, 0, "{err}");
    }
    let text = fs::read_to_string(&one).unwrap();
    assert_eq!(text, fs::read_to_string(&two).unwrap());
    for line in [
        "subject = \"id\"",
        "subject = \"customer_id\"",
        "subject = { column = \"order_id\", references = \"public.orders.order_id\" }",
        "id_number = \"national_id\"",
        "special = true",
        "[tables.\"public.products\"]\nopen = true",
    ] {
        assert!(text.contains(line), "{line}:\n{text}");
    }
}

#[test]
fn the_first_policy_is_accepted() {
    for (database, more) in [("shop", &[][..]), ("suid", &[][..]), ("suid", &["--no-values"][..])] {
        let folder = TempDir::new().unwrap();
        let policy = path(&folder, "scanned.toml");
        let (status, _, err) = scan(database, &[&["-o", policy.as_str()][..], more].concat());
        assert_eq!(status, 0, "{err}");
        let (config, cluster) = (path(&folder, "pgpurpose.toml"), cluster());
        let address = format!("{}:{}", cluster.socket_dir().display(), cluster.port());
        let (upstream, audit) =
            (format!("address = \"{address}\"\ncatalog_login = \"postgres\""), path(&folder, "audit"));
        let text =
            format!("[upstream]\n{upstream}\n[policy]\nfiles = [\"{policy}\"]\n[audit]\ndirectory = \"{audit}\"\n");
        fs::write(&config, text).unwrap();
        let mut check = Command::new(env!("CARGO_BIN_EXE_pgpurpose"));
        let check = check.args(["check", "--config", &config, "--live", "--database", database]).output().unwrap();
        let said = String::from_utf8_lossy(&check.stdout).into_owned() + &String::from_utf8_lossy(&check.stderr);
        assert_eq!(
            check.status.code(),
            Some(0),
            "{database} {more:?}: {said}\n{}",
            fs::read_to_string(&policy).unwrap()
        );
    }
}

#[test]
fn a_table_that_somebody_holds_is_skipped_and_named() {
    let cluster = cluster();
    let mut holder = cluster
        .client("psql")
        .args(["-X", "-q", "-d", "suid"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut hold = holder.stdin.take().unwrap();
    writeln!(hold, "BEGIN; LOCK TABLE klante IN ACCESS EXCLUSIVE MODE;").unwrap();
    let held = "SELECT count(*) FROM pg_locks l JOIN pg_class c ON c.oid = l.relation WHERE c.relname = 'klante' AND l.granted AND l.mode = 'AccessExclusiveLock'";
    let begun = Instant::now();
    while support::direct(cluster, "suid", held) != "1" {
        assert!(begun.elapsed() < Duration::from_secs(20), "the lock is not held");
        std::thread::sleep(Duration::from_millis(50));
    }
    let (status, out, err) = scan("suid", &["--json", "-"]);
    drop(hold);
    holder.wait().unwrap();
    assert_eq!(status, 0, "{err}");
    assert!(err.contains("`public.klante` was not sampled: locked by somebody else"), "{err}");
    assert_eq!(lines(&out)["klante.idnr"]["category"], "national_id", "its names are judged all the same");
}

#[test]
fn a_verdict_lasts_and_is_looked_at_again() {
    let folder = TempDir::new().unwrap();
    let verdicts = path(&folder, "scan.toml");
    let (status, out, err) = scan_with(
        "suid",
        &["--no-values", "--review", "--by", "thandi", "--verdicts", &verdicts],
        "n not a person's\ny\nq\n",
    );
    assert_eq!(status, 0, "{out}{err}");
    let kept = fs::read_to_string(&verdicts).unwrap();
    assert!(
        kept.contains("by = \"thandi\"")
            && kept.contains("not a person's")
            && kept.contains("dismissed")
            && kept.contains("confirmed"),
        "{kept}"
    );
    let (_, out, err) = scan("suid", &["--json", "-", "--verdicts", &verdicts]);
    let decided: Vec<Value> =
        lines(&out).into_values().filter(|line| line["evidence"].as_str().unwrap().contains("by thandi")).collect();
    assert_eq!(decided.len(), 2, "{out}");
    let states: HashMap<bool, usize> = decided.iter().fold(HashMap::new(), |mut states, line| {
        *states.entry(line["category"].is_null()).or_default() += 1;
        states
    });
    assert_eq!(states, HashMap::from([(true, 1), (false, 1)]));
    // With values the scan sees more than the names that were decided about.
    assert!(err.contains("when the scan saw"), "{err}");
}

#[test]
fn what_the_policies_no_longer_say_is_drift() {
    let policy = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies/shop.toml").display().to_string();
    let (status, out, err) = scan("suid", &["--drift", "--policy", &policy]);
    assert_eq!(status, 1, "{err}");
    assert!(
        out.contains("new_table: table `public.klante` stands in no policy")
            && out.contains("gone_table: table `public.customers`")
            || out.contains("new_column"),
        "{out}"
    );
    let folder = TempDir::new().unwrap();
    let (own, before) = (path(&folder, "own.toml"), path(&folder, "before.jsonl"));
    assert_eq!(scan("suid", &["-o", &own, "--json", &before]).0, 0);
    let (status, out, err) = scan("suid", &["--drift", "--policy", &own, "--baseline", &before]);
    assert_eq!((status, out.as_str()), (0, ""), "{err}");
    let changed = fs::read_to_string(&before).unwrap().replace("\"type\":\"inet\"", "\"type\":\"text\"");
    fs::write(&before, changed).unwrap();
    let (status, out, _) = scan("suid", &["--drift", "--policy", &own, "--baseline", &before]);
    assert!(
        status == 1 && out.contains("type: column `public.logins.last_login_ip` was of type text and is of type inet"),
        "{out}"
    );
}

#[test]
fn views_and_functions_that_newly_reach_what_is_governed_are_drift() {
    let cluster = cluster();
    cluster.run_statements("postgres", "CREATE DATABASE reaching").unwrap();
    let table = "CREATE TABLE people (id bigint PRIMARY KEY, email text);
        INSERT INTO people SELECT n, 'u' || n || '@example.org' FROM generate_series(1, 50) AS n;";
    cluster.run_sql("reaching", table).unwrap();
    let folder = TempDir::new().unwrap();
    let (own, known) = (path(&folder, "own.toml"), path(&folder, "known.jsonl"));
    assert_eq!(scan("reaching", &["-o", &own]).0, 0);
    let (status, out, err) = scan("reaching", &["--drift", "--policy", &own]);
    assert_eq!((status, out.as_str()), (0, ""), "{err}");
    let more = "CREATE VIEW addresses AS SELECT email FROM people; CREATE VIEW twice AS SELECT email FROM addresses;
        CREATE FUNCTION all_of_them() RETURNS SETOF text LANGUAGE sql AS 'SELECT email FROM people';";
    cluster.run_sql("reaching", more).unwrap();
    let (status, out, _) = scan("reaching", &["--drift", "--policy", &own, "--json", "-"]);
    assert_eq!(status, 1);
    let lines: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let drifts: Vec<(&str, &str)> = lines
        .iter()
        .filter(|line| line["drift"].is_string())
        .map(|line| (line["drift"].as_str().unwrap(), line["what"].as_str().unwrap()))
        .collect();
    assert_eq!(drifts, [("function", "public.all_of_them"), ("view", "public.addresses"), ("view", "public.twice")]);
    // Who looked at them keeps the lines.
    let kept: Vec<String> = lines.iter().filter(|line| line["drift"].is_string()).map(Value::to_string).collect();
    fs::write(&known, kept.join("\n")).unwrap();
    let (status, out, err) = scan("reaching", &["--drift", "--policy", &own, "--baseline", &known]);
    assert_eq!((status, out.as_str()), (0, ""), "{err}");
}

#[test]
fn what_is_unsure_fails_where_that_is_asked_for() {
    assert_eq!(scan("suid", &["--json", "/dev/null", "--no-values", "--strict"]).0, 1);
    let (status, _, err) = scan("nowhere", &["--json", "/dev/null"]);
    assert_eq!(status, 2, "{err}");
}
