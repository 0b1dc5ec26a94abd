//! deploy/audit.sql: months come by themselves, and each view answers with what the records say.

use std::io::Write;
use std::process::Stdio;

use pgpurpose::audit::read::Entry;
use pgpurpose::audit::ship::Deliver;
use pgpurpose::cluster::Cluster;
use pgpurpose::server::sinks::Postgres;
use pgpurpose::upstream::{TlsMode, UpstreamTls};

use super::SCHEMA;
use super::places::until;
use super::support::{direct, own_shop};

fn database() -> (Cluster, Postgres) {
    let cluster = own_shop();
    cluster.run_statements("postgres", "CREATE DATABASE audit").unwrap();
    cluster.run_statements("audit", SCHEMA).unwrap();
    cluster.run_statements("audit", "CREATE ROLE courier LOGIN; GRANT audit_writer TO courier").unwrap();
    let address = format!("{}:{}", cluster.socket_dir().display(), cluster.port()).parse().unwrap();
    let mut config = tokio_postgres::Config::new();
    config.user("courier").dbname("audit");
    let tls = UpstreamTls::new(TlsMode::Disable, None, None).unwrap();
    let mut sink = Postgres::new(address, tls, config, "log".to_owned());
    sink.begin().unwrap();
    (cluster, sink)
}

/// Records with these fields, numbered and in a day of January 2026 where they say no other time.
fn entries(from: u64, fields: &[&str]) -> Vec<Entry> {
    let entry = |(seq, fields): (u64, &&str)| {
        let time = if fields.contains("\"time\"") || fields.contains("\"outcome\"") {
            String::new()
        } else {
            format!("\"time\":\"2026-01-{:02}T10:00:00.000001Z\",", 10 + seq / 10)
        };
        Entry::parse(format!("{{\"seq\":{seq},{time}{fields},\"hash\":\"h{seq}\"}}").as_bytes()).unwrap()
    };
    (from..).zip(fields).map(entry).collect()
}

fn months(cluster: &Cluster) -> String {
    let sql = "SELECT string_agg(c.relname, ' ' ORDER BY c.relname) FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid \
        WHERE i.inhparent = 'audit.records'::regclass";
    direct(cluster, "audit", sql).replace("records_", "")
}

fn counted(cluster: &Cluster) -> String {
    direct(
        cluster,
        "audit",
        "SELECT string_agg(seq || ' ' || tableoid::regclass, ', ' ORDER BY seq) FROM audit.records",
    )
    .replace("audit.records_", "")
}

#[test]
fn a_month_begins_by_itself_while_somebody_reads() {
    let (cluster, mut sink) = database();
    let connect = |time: &str| format!("\"time\":\"{time}\",\"event\":\"connect\"");
    let first = [
        connect("2026-11-30T23:59:59.999999Z"),
        // It has no time of its own.
        "\"event\":\"outcome\",\"of\":1,\"status\":\"ok\"".to_owned(),
    ];
    sink.deliver(&entries(1, &first.each_ref().map(String::as_str))).unwrap();
    assert_eq!(months(&cluster), "2026_11");

    // A long report, and a long report's lock on what it has read.
    let mut reader = cluster.client("psql");
    reader.args(["-X", "-q", "-d", "audit", "-U", "postgres"]).stdin(Stdio::piped()).stdout(Stdio::null());
    let mut reader = reader.spawn().unwrap();
    let mut commands = reader.stdin.take().unwrap();
    writeln!(commands, "BEGIN; SELECT count(*) FROM audit.records;").unwrap();
    let reads =
        "SELECT count(*) > 0 FROM pg_locks WHERE relation = 'audit.records'::regclass AND mode = 'AccessShareLock'";
    until("somebody reads", || direct(&cluster, "audit", reads) == "t");
    let then = [
        connect("2026-12-01T00:00:00.000000Z"),
        "\"event\":\"outcome\",\"of\":3,\"status\":\"ok\"".to_owned(),
        connect("2027-01-01T00:00:00.000000Z"),
        // The clock was put back.
        connect("2026-10-31T23:59:59.000000Z"),
    ];
    sink.deliver(&entries(3, &then.each_ref().map(String::as_str))).unwrap();
    drop(commands);
    reader.wait().unwrap();
    assert_eq!(months(&cluster), "2026_10 2026_11 2026_12 2027_01");
    assert_eq!(counted(&cluster), "1 2026_11, 2 2026_11, 3 2026_12, 4 2026_12, 5 2027_01, 6 2026_10");

    // Partitions of the owner's own making serve.
    let year = "CREATE TABLE audit.all_of_2030 PARTITION OF audit.records \
        FOR VALUES FROM ('2030-01-01 00:00:00+00') TO ('2031-01-01 00:00:00+00')";
    cluster.run_statements("audit", year).unwrap();
    sink.deliver(&entries(7, &[&connect("2030-06-01T12:00:00.000000Z")])).unwrap();
    assert_eq!(direct(&cluster, "audit", "SELECT seq FROM audit.all_of_2030"), "7");
    // A session with another time zone means the same months.
    cluster.run_statements("postgres", "ALTER ROLE courier SET timezone = 'Pacific/Kiritimati'").unwrap();
    sink.begin().unwrap();
    sink.deliver(&entries(8, &[&connect("2027-02-28T23:00:00.000000Z")])).unwrap();
    assert!(counted(&cluster).ends_with("8 2027_02"), "{}", counted(&cluster));
    // Every index is there in every month.
    let lacking = "SELECT count(*) FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid \
        WHERE i.inhparent = 'audit.records'::regclass AND \
        (SELECT count(*) FROM pg_index WHERE indrelid = c.oid) <> (SELECT count(*) FROM pg_index WHERE indrelid = i.inhparent)";
    assert_eq!(direct(&cluster, "audit", lacking), "0");
}

const WHO: &str = r#""session":"s1","client":"10.0.0.7:50112","login":"crm","role":"agent","purpose":"support","recipient":"Courier (Pty) Ltd","database":"shop","application":"app""#;

#[test]
fn each_view_answers_with_what_the_records_say() {
    let (cluster, mut sink) = database();
    let column = |name: &str, action: &str| format!(r#"{{"name":"{name}","use":["output"],"action":"{action}"}}"#);
    let relation = |name: &str, columns: &[String]| format!(r#"{{"name":"{name}","columns":[{}]}}"#, columns.join(","));
    let access = |verdict: &str, statement: &str, relations: &[String], reason: &str| {
        format!(
            r#""event":"access",{WHO},"verdict":"{verdict}","statement":"{statement}","fingerprint":"f","relations":[{}],"reason":{reason}"#,
            relations.join(",")
        )
    };
    let customers = relation("public.customers", &[column("id", "read"), column("email", "mask")]);
    let orders = relation("public.orders", &[column("total", "read")]);
    let secret = relation("public.customers", &[column("health_note", "deny")]);
    let seen = r#""relations":[{"name":"public.customers","subjects":["ps_1","ps_2"]},{"name":"public.orders","subjects":["7"]}]"#;
    let records = [
        r#""event":"start","log":"log""#.to_owned(),
        format!(r#""event":"connect",{WHO},"authentication":"scram""#),
        r#""event":"login_refused","login":"crm","client":"10.0.0.9:1","database":"shop","application":"psql","sqlstate":"28P01","reason":"wrong password""#.to_owned(),
        access("mask", "SELECT id, email FROM customers", std::slice::from_ref(&customers), "null"),
        format!(r#""event":"disclosure","of":4,{WHO},"rows":2,{seen}"#),
        r#""event":"outcome","of":4,"status":"ok","rows":2,"sqlstate":null,"ms":0.8"#.to_owned(),
        access("mask", "SELECT id, email FROM customers JOIN orders", &[customers, orders], "null"),
        r#""event":"outcome","of":7,"status":"error","rows":0,"sqlstate":"57014","ms":12.5"#.to_owned(),
        access("deny", "SELECT health_note FROM customers", &[secret], r#""`health_note` is closed""#),
        // Another day.
        access("allow", "SELECT 1", &[], "null"),
        format!(r#""event":"incident",{WHO},"of":4,"what":"a \u001b[31mcolumn\n came""#),
        r#""event":"destroyed","file":"access-1-2025-01-01.jsonl","from":1,"to":9"#.to_owned(),
    ];
    sink.deliver(&entries(1, &records.each_ref().map(String::as_str))).unwrap();
    let courier = "Courier (Pty) Ltd";
    for (sql, wanted) in [
        (
            "SELECT day::date, purpose, role, recipient, verdict, statements FROM audit.accesses_by_purpose ORDER BY 1, 5",
            format!(
                "2026-01-10|support|agent|{courier}|deny|1\n2026-01-10|support|agent|{courier}|mask|2\n2026-01-11|support|agent|{courier}|allow|1"
            ),
        ),
        (
            "SELECT day::date, recipient, purpose, relation, column_name, action, statements FROM audit.columns_by_recipient ORDER BY 4, 5",
            format!(
                "2026-01-10|{courier}|support|public.customers|email|mask|2\n2026-01-10|{courier}|support|public.customers|id|read|2\n\
                 2026-01-10|{courier}|support|public.orders|total|read|1"
            ),
        ),
        (
            "SELECT seq, \"of\", recipient, purpose, relation, subject FROM audit.subjects_seen ORDER BY subject",
            format!(
                "5|4|{courier}|support|public.orders|7\n5|4|{courier}|support|public.customers|ps_1\n5|4|{courier}|support|public.customers|ps_2"
            ),
        ),
        (
            "SELECT seq, login, statement, reason FROM audit.refusals",
            "9|crm|SELECT health_note FROM customers|`health_note` is closed".to_owned(),
        ),
        (
            "SELECT event, login, client, application, reason, sqlstate FROM audit.logins ORDER BY event",
            "connect|crm|10.0.0.7:50112|app||\nlogin_refused|crm|10.0.0.9:1|psql|wrong password|28P01".to_owned(),
        ),
        (
            "SELECT seq, event, login, what = E'a \\x1b[31mcolumn\\n came' FROM audit.incidents ORDER BY seq",
            "11|incident|crm|t\n12|destroyed||".to_owned(),
        ),
        (
            "SELECT seq, verdict, status, rows, sqlstate, ms FROM audit.statements ORDER BY seq",
            "4|mask|ok|2||0.8\n7|mask|error|0|57014|12.5\n9|deny||||\n10|allow||||".to_owned(),
        ),
        ("SELECT log, seq, hash FROM audit.positions", "log|12|h12".to_owned()),
    ] {
        assert_eq!(
            direct(&cluster, "audit", &format!("SET ROLE audit_reader; SET timezone = 'UTC'; {sql}")),
            wanted,
            "{sql}"
        );
    }
    // Who may read may not write, and who writes may not change or remove.
    for (role, sql) in [
        ("audit_reader", "DELETE FROM audit.records"),
        ("audit_reader", "SELECT audit.make_partition('2026-01-01')"),
        ("audit_writer", "DELETE FROM audit.records"),
        ("audit_writer", "UPDATE audit.records SET login = 'x'"),
        ("audit_writer", "DROP TABLE audit.records_2026_01"),
        ("audit_writer", "DELETE FROM audit.records_2026_01"),
    ] {
        let error = cluster.run_sql("audit", &format!("SET ROLE {role}; {sql}")).unwrap_err().to_string();
        assert!(error.contains("permission denied") || error.contains("must be owner"), "{role}: {sql}: {error}");
    }
}
