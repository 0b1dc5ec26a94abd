//! Two proxies with one audit database: nothing is lost and nothing is there twice, whoever is killed; one report over the database is
//! the sum of those over the folders; which proxy runs what; and what the database says otherwise than the logs is seen.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use pgpurpose::cluster::Cluster;
use serde_json::Value;

use super::support::client::{Said, login};
use super::support::proxy::Proxy;
use super::support::{direct, own_shop};
use super::{POLICY, PRIVATE_KEY, PUBLIC_KEY, SCHEMA, in_files, until};

/// A cluster with the shop, and an audit database beside it.
pub(super) fn with_audit() -> Cluster {
    let cluster = own_shop();
    cluster.run_statements("postgres", "CREATE DATABASE audit").unwrap();
    cluster.run_statements("audit", SCHEMA).unwrap();
    let roles = "CREATE ROLE courier LOGIN; GRANT audit_writer TO courier; CREATE ROLE auditor LOGIN; GRANT audit_reader TO auditor";
    cluster.run_statements("audit", roles).unwrap();
    cluster
}

/// The section that sends a proxy's log there.
pub(super) fn sink(cluster: &Cluster) -> String {
    let (folder, port) = (cluster.socket_dir().display().to_string(), cluster.port());
    format!("[audit.postgres]\naddress = \"{folder}:{port}\"\ndatabase = \"audit\"\nlogin = \"courier\"\n")
}

/// The database for whoever reads.
pub(super) fn url(cluster: &Cluster) -> String {
    format!("postgresql://auditor@/audit?host={}&port={}", cluster.socket_dir().display(), cluster.port())
}

fn policy() -> String {
    let table = "[tables.\"public.customers\"]\n";
    assert!(POLICY.contains(table));
    POLICY.replace(table, &format!("{table}record_subjects = true\n"))
}

fn start(cluster: &Cluster, name: &str, more: &str) -> Proxy {
    let sections = format!("{}[fleet]\nname = \"{name}\"\n{more}", sink(cluster));
    let keys = "signing_key = \"env:PGPURPOSE_TEST_SIGNING_KEY\"\ncheckpoint_seconds = 1";
    Proxy::start_in(cluster, &policy(), &sections, keys, &[("PGPURPOSE_TEST_SIGNING_KEY", PRIVATE_KEY)])
}

fn in_database(cluster: &Cluster, log: &str) -> Vec<String> {
    let sql = format!("SELECT line FROM audit.records WHERE log = '{log}' ORDER BY seq, time");
    direct(cluster, "audit", &sql).lines().map(str::to_owned).collect()
}

pub(super) fn log_of(proxy: &Proxy) -> String {
    proxy.access_log().iter().find_map(|record| Some(record.get("log")?.as_str()?.to_owned())).unwrap()
}

/// Until the database has what the files have, each record once.
fn settled(cluster: &Cluster, proxies: &[&Proxy]) {
    until("the audit database has every record", || {
        proxies.iter().all(|proxy| in_files(proxy) == in_database(cluster, &log_of(proxy)))
    });
}

fn json(said: &Said) -> Value {
    serde_json::from_str(&said.out).unwrap_or_else(|error| panic!("{error}: {said:?}"))
}

#[test]
fn two_proxies_killed_in_turn_under_load_leave_one_truth_in_one_database() {
    let cluster = with_audit();
    let mut proxies = [start(&cluster, "edge-1", ""), start(&cluster, "edge-2", "")];
    let ports = proxies.each_ref().map(|proxy| proxy.port);
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        for port in ports {
            let (over, cluster) = (&over, &cluster);
            scope.spawn(move || {
                let mut id = 0;
                while !over.load(Ordering::Relaxed) {
                    id = id % 20 + 1;
                    let mut psql = cluster.client("psql");
                    psql.env("PGHOST", "127.0.0.1").env("PGPORT", port.to_string()).env("PGUSER", "support_agent");
                    psql.env("PGDATABASE", "shop").args(["-X", "-q", "-A", "-t"]);
                    for _ in 0..20 {
                        psql.args(["-c", &format!("SELECT id, city FROM customers WHERE id = {id}")]);
                    }
                    // A proxy that was killed is no fault of the client's.
                    let _ = psql.output().unwrap();
                }
            });
        }
        let audit = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = 'courier'";
        for round in 0..6 {
            thread::sleep(std::time::Duration::from_millis(500));
            // What was being sent is sent again.
            direct(&cluster, "postgres", audit);
            let proxy = &mut proxies[round % 2];
            proxy.kill();
            proxy.restart();
        }
        over.store(true, Ordering::Relaxed);
    });
    let [one, two] = &proxies;
    // However far the load came: each has shown this one.
    for proxy in [one, two] {
        proxy.psql(&cluster, &login("support_agent"), &["SELECT id, city FROM customers WHERE id = 7"; 20]).fine();
    }
    settled(&cluster, &[one, two]);
    let twice = "SELECT count(*) FROM (SELECT log, seq FROM audit.records GROUP BY 1, 2 HAVING count(*) > 1) AS t";
    assert_eq!(direct(&cluster, "audit", twice), "0");
    one_report_is_the_sum(&cluster, one, two);
    every_reader_finds_the_same(&cluster, one, two);
    the_database_proves_itself(&cluster, one, two);
}

/// Their folders in the order in which the database names their logs.
fn folders(one: &Proxy, two: &Proxy) -> [String; 2] {
    let mut logs = [one, two].map(|proxy| (log_of(proxy), proxy.audit_dir().display().to_string()));
    logs.sort();
    logs.map(|(_, folder)| folder)
}

fn one_report_is_the_sum(cluster: &Cluster, one: &Proxy, two: &Proxy) {
    let [first, second] = folders(one, two);
    // Proxies that run write on: what both see is before now.
    let until = jiff::Timestamp::now().to_string();
    let rest = ["--format", "json", "--until", &until];
    let report = |place: &[&str]| {
        let said = one.command(&[&["audit", "report"], place, &rest].concat());
        assert!(said.ok, "{said:?}");
        json(&said)
    };
    let url = url(cluster);
    let (mut database, mut files) = (report(&["--audit-db", &url]), report(&["--dir", &first, "--dir", &second]));
    let alone = [report(&["--dir", &first]), report(&["--dir", &second])];
    // Records that were written since are in the count of all.
    for report in [&mut database, &mut files] {
        let report = report.as_object_mut().unwrap();
        assert!(report.remove("chain").unwrap().as_array().unwrap().iter().all(|chain| chain["holds"] == true));
        report.remove("records");
        report.remove("log");
    }
    assert_eq!(database, files);
    let statements = |report: &Value| report["activity"]["all"]["total"]["statements"].as_u64().unwrap();
    assert!(statements(&alone[0]) >= 20 && statements(&alone[1]) >= 20);
    assert_eq!(statements(&database), alone.iter().map(statements).sum::<u64>());
}

fn every_reader_finds_the_same(cluster: &Cluster, one: &Proxy, two: &Proxy) {
    let url = url(cluster);
    let dirs = folders(one, two);
    let lines = |arguments: &[&str]| {
        let said = one.command(arguments);
        assert!(said.ok, "{said:?}");
        // Which log a record is of stands before it where there are several; what follows is the record to the byte.
        let lines = said.out.lines().map(|line| {
            let named = line.strip_prefix("{\"log\":\"").and_then(|rest| rest.split_once("\",\"seq\""));
            named.map_or_else(
                || (line.to_owned(), None),
                |(log, rest)| (format!("{{\"seq\"{rest}"), Some(log.to_owned())),
            )
        });
        lines.collect::<Vec<_>>()
    };
    for filter in [
        ["--login", "support_agent"],
        ["--statement", "city"],
        ["--relation", "customers"],
        ["--verdict", "allow"],
        ["--event", "disclosure"],
        ["--login", "nobody"],
    ] {
        let search = |place: [&str; 2]| lines(&[&["audit", "search"], &place[..], &filter, &["--json"]].concat());
        let found = search(["--audit-db", &url]);
        let mut wanted: Vec<String> =
            dirs.iter().flat_map(|dir| search(["--dir", dir])).map(|(record, _)| record).collect();
        assert!(found.iter().all(|(_, log)| log.is_some()), "each says which log it is of");
        let mut had: Vec<String> = found.into_iter().map(|(record, _)| record).collect();
        had.sort();
        wanted.sort();
        assert!(had == wanted, "{filter:?}: {} and {}", had.len(), wanted.len());
        assert_eq!(had.is_empty(), filter[1] == "nobody", "{filter:?}");
    }
    let csv = one.command(&["audit", "export", "--audit-db", &url, "--format", "ocsf", "--event", "access"]);
    let mut ids: Vec<String> = csv
        .out
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["metadata"]["uid"].to_string())
        .collect();
    let all = ids.len();
    ids.sort();
    ids.dedup();
    assert!(all >= 40 && ids.len() == all, "no two records have one name");

    let config = one.folder().join("pgpurpose.toml");
    let config = config.to_str().unwrap();
    let seen = |place: [&str; 2]| {
        let said = one.command(&[&["audit", "subject", "7", "--config", config], &place[..], &["--json"]].concat());
        assert!(said.ok, "{said:?}");
        json(&said)["seen"][0]["seen"]["statements"].as_u64().unwrap_or_default()
    };
    let alone = dirs.each_ref().map(|dir| seen(["--dir", dir]));
    assert!(alone[0] > 0 && alone[1] > 0, "{alone:?}");
    assert_eq!(seen(["--audit-db", &url]), alone[0] + alone[1]);
    let breach = |place: [&str; 2]| {
        let rest = ["--config", config, "--login", "support_agent", "--from", "2h", "--json"];
        let said = one.command(&[&["audit", "breach"], &place[..], &rest].concat());
        json(&said)["statements"].as_u64().unwrap()
    };
    assert_eq!(breach(["--audit-db", &url]), dirs.iter().map(|dir| breach(["--dir", dir])).sum::<u64>());
}

fn the_database_proves_itself(cluster: &Cluster, one: &Proxy, two: &Proxy) {
    let url = url(cluster);
    let [first, second] = folders(one, two);
    let verify = || {
        let arguments =
            ["audit", "verify", "--audit-db", &url, "--dir", &first, "--dir", &second, "--public-key", PUBLIC_KEY];
        one.command(&arguments)
    };
    let said = verify();
    assert!(said.ok, "{said:?}");
    assert_eq!(said.out.matches("the chain holds").count(), 2, "{said:?}");
    assert_eq!(said.out.matches("the same log").count(), 2, "{said:?}");
    let log = log_of(one);
    let access = direct(
        cluster,
        "audit",
        &format!("SELECT min(seq) FROM audit.records WHERE log = '{log}' AND event = 'access'"),
    );
    let here = format!("WHERE log = '{log}' AND seq = {access}");
    for (change, says) in [
        (format!("UPDATE audit.records SET login = 'somebody' {here}"), "the column `login`"),
        (format!("UPDATE audit.records SET verdict = 'deny' {here}"), "the column `verdict`"),
        (format!("UPDATE audit.records SET rows = 7 {here}"), "the column `rows`"),
        (
            format!(
                "UPDATE audit.records SET line = replace(line, 'support_agent', 'marketing'), login = 'marketing' {here}"
            ),
            "hash",
        ),
        (format!("DELETE FROM audit.records {here}"), "are missing before it"),
        (
            format!(
                "INSERT INTO audit.records SELECT (jsonb_populate_record(r, '{{\"time\":\"2027-01-01T00:00:00Z\"}}')).* FROM audit.records AS r {here}"
            ),
            "moved or inserted",
        ),
        (format!("DELETE FROM audit.records WHERE log = '{log}' AND seq > {access}"), "up to record"),
        (format!("UPDATE audit.positions SET seq = seq - 1 WHERE log = '{log}'"), "another"),
        (
            format!(
                "DELETE FROM audit.records WHERE log = '{log}' AND seq > {access}; \
                 UPDATE audit.positions AS p SET seq = {access}, hash = r.hash FROM audit.records AS r WHERE r.log = p.log AND r.seq = {access} AND p.log = '{log}'"
            ),
            // Nothing in the database shows a clean cut; the files do not hold it against a database that has less.
            "",
        ),
    ] {
        let before = "SELECT string_agg(log || seq, ',') FROM audit.positions";
        let positions = direct(cluster, "audit", before);
        // Nothing is sent meanwhile.
        let lock = "ALTER ROLE courier NOLOGIN; SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'courier'";
        cluster.run_statements("audit", lock).unwrap();
        let kept = "CREATE TABLE audit.kept_records AS SELECT * FROM audit.records; CREATE TABLE audit.kept_positions AS SELECT * FROM audit.positions;";
        cluster.run_statements("audit", kept).unwrap();
        if change.contains("2027") {
            cluster.run_statements("audit", "SELECT audit.make_partition('2027-01-01')").unwrap();
        }
        cluster.run_statements("audit", &change).unwrap();
        let said = verify();
        let back = "TRUNCATE audit.records, audit.positions; INSERT INTO audit.records SELECT * FROM audit.kept_records; \
            INSERT INTO audit.positions SELECT * FROM audit.kept_positions; DROP TABLE audit.kept_records, audit.kept_positions; ALTER ROLE courier LOGIN";
        cluster.run_statements("audit", back).unwrap();
        if says.is_empty() {
            assert!(said.out.contains("have not been sent yet"), "{change}: {said:?}");
        } else {
            assert!(!said.ok && said.out.contains(says), "{change} after {positions}: {said:?}");
        }
    }
}

#[test]
fn the_fleet_tells_who_runs_which_policies_since_when() {
    let cluster = with_audit();
    let (mut one, two) = (start(&cluster, "edge-1", ""), start(&cluster, "edge-2", ""));
    let url = url(&cluster);
    let fleet = || two.command(&["fleet", "--audit-db", &url, "--json"]);
    let names = |fleet: &Value| {
        let mut names: Vec<String> = fleet["proxies"]
            .as_array()
            .unwrap()
            .iter()
            .map(|proxy| proxy["name"].as_str().unwrap().to_owned())
            .collect();
        names.sort();
        names
    };
    until("both are seen", || json(&fleet())["proxies"].as_array().unwrap().len() == 2);
    let said = fleet();
    let told = json(&said);
    assert!(said.ok && told["same"] == true, "{said:?}");
    assert_eq!(names(&told), ["edge-1", "edge-2"]);
    let first = told["proxies"].as_array().unwrap().iter().find(|proxy| proxy["name"] == "edge-1").unwrap().clone();
    assert_eq!((first["mode"].as_str(), first["version"].as_str()), (Some("enforce"), Some(env!("CARGO_PKG_VERSION"))));
    assert_eq!(first["log"], log_of(&one));
    // A restart changes nothing of since when.
    one.kill();
    one.restart();
    let of_one = |told: &Value| {
        told["proxies"].as_array().unwrap().iter().find(|proxy| proxy["name"] == "edge-1").unwrap().clone()
    };
    until("it is seen again", || of_one(&json(&fleet()))["started"] != first["started"]);
    until("its policies too", || of_one(&json(&fleet()))["since"] == first["since"]);
    // Other policies on one of them.
    let policy = one.folder().join("policy.toml");
    let text = std::fs::read_to_string(&policy).unwrap();
    std::fs::write(&policy, format!("{text}\n[purposes.newer]\nbasis = \"contract\"\n")).unwrap();
    until("they differ", || !fleet().ok);
    let told = json(&fleet());
    assert_eq!((&told["same"], names(&told).len()), (&Value::Bool(false), 2));
    let now = of_one(&told);
    assert!(now["policy"] != first["policy"] && now["since"] != first["since"], "{now}");
    let text = two.command(&["fleet", "--audit-db", &url]);
    assert!(!text.ok && text.out.contains("edge-1") && text.out.contains("they differ"), "{text:?}");
    // Policies with a fault are told, and those before stay.
    std::fs::write(&policy, "version = 2").unwrap();
    until("the fault is told", || of_one(&json(&fleet()))["refused"].is_string());
    assert_eq!(of_one(&json(&fleet()))["policy"], now["policy"]);
    let nowhere = two.command(&["fleet", "--audit-db", "postgresql://auditor@127.0.0.1:1/audit"]);
    assert!(!nowhere.ok && nowhere.err.contains("127.0.0.1:1"), "{nowhere:?}");
    let none = two.command(&["fleet", "--audit-db", &url.replace("/audit?", "/postgres?")]);
    assert!(!none.ok && none.err.contains("deploy/audit.sql"), "{none:?}");
}
