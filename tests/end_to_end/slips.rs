//! What somebody is told who slips: names that are not there, conditions over masks, and which record of the log a refusal is.

use super::support::client::{As, login};
use super::support::direct;
use super::{psql, python, shared};

fn agent() -> As<'static> {
    login("support_agent")
}

#[test]
fn an_unknown_name_is_told_with_its_place_and_what_was_perhaps_meant() {
    // The statement; where the caret stands below LINE 1, as a name; what was perhaps meant.
    for (sql, at, hint) in [
        ("SELECT id, emial FROM customers", "emial", "\"customers.email\""),
        ("SELECT c.id FROM customers AS c WHERE c.citi = 'x'", "c.citi", "\"c.city\""),
        ("SELECT 'emial', id AS emial_ FROM customers ORDER BY cty", "cty", "\"customers.city\""),
        (
            "SELECT order_id FROM orders o JOIN customers c ON c.id = o.customer_idd",
            "o.customer_idd",
            "\"o.customer_id\"",
        ),
        ("SELECT zzz FROM customers", "zzz", ""),
        // Nearly a column that this role does not see.
        ("SELECT health_not FROM customers", "health_not", ""),
        ("SELECT addres FROM customers", "addres", ""),
        ("SELECT 1 FROM custmers", "custmers", ""),
        ("SELECT x.id FROM customers", "x", ""),
        ("INSERT INTO orders (order_id, statos) VALUES (1, 'x')", "statos", ""),
        ("SELECT 1; SELECT emial FROM customers", "emial", "\"customers.email\""),
    ] {
        let said = psql(&agent(), &[sql]).err;
        let lines: Vec<&str> = said.lines().collect();
        let line =
            lines.iter().position(|line| line.starts_with("LINE 1: ")).unwrap_or_else(|| panic!("{sql}: {said}"));
        let caret = lines[line + 1].find('^').unwrap();
        // psql cuts a long line at both ends.
        let there = lines[line][caret..].trim_end_matches("...");
        assert!(there.starts_with(at) || at.starts_with(there), "{sql}: {said}");
        let meant = said.to_lowercase().contains("perhaps you meant");
        assert_eq!(meant, !hint.is_empty(), "{sql}: {said}");
        assert!(said.contains(hint), "{sql}: {said}");
        assert!(!said.contains("health_note") && !said.contains("address"), "{sql}: {said}");
    }
}

#[test]
fn a_condition_over_a_mask_is_told_once_a_session() {
    let masked = "SELECT count(*) FROM customers WHERE email = 'a@b.c'";
    let said =
        psql(&agent(), &[masked, masked, "SELECT id FROM customers WHERE phone LIKE '%1' AND email > '' LIMIT 1"]);
    assert_eq!(said.err.matches("NOTICE").count(), 2, "{said:?}");
    assert!(said.err.contains("`public.customers.email`") && said.err.contains("through the mask `email`"), "{said:?}");
    assert!(said.err.contains("`lookup`"), "{said:?}");
    // Neither a column that is seen as it is, nor one that is looked up.
    let silent = psql(
        &agent(),
        &["SELECT id FROM customers WHERE city = 'x'", "SELECT id FROM customers WHERE id_number = '1'"],
    );
    assert!(!silent.err.contains("NOTICE"), "{silent:?}");
}

#[test]
fn a_refusal_names_its_record() {
    let said = psql(&agent(), &["SELECT health_note FROM customers"]).err;
    let number =
        said.split("record ").nth(1).and_then(|rest| rest.split(' ').next()).and_then(|word| word.parse::<u64>().ok());
    let (_, proxy) = shared();
    let record = proxy.access_log().into_iter().find(|record| record["seq"].as_u64() == number).unwrap();
    assert_eq!(record["verdict"], "deny", "{said}: {record}");
    assert!(record["statement"].as_str().unwrap().contains("health_note"), "{record}");
}

#[test]
fn a_database_that_no_session_uses_can_be_dropped_and_be_a_template() {
    let (cluster, proxy) = shared();
    cluster.run_statements("postgres", "CREATE DATABASE passing").unwrap();
    direct(cluster, "passing", "CREATE TABLE t (k int); GRANT SELECT ON t TO PUBLIC");
    let said = proxy.psql(cluster, &login("migrator").database("passing"), &["SELECT count(*) FROM t"]);
    assert_eq!(said.out, "0", "{said:?}");
    let begun = std::time::Instant::now();
    let sits = "SELECT count(*) FROM pg_stat_activity WHERE datname = 'passing'";
    while direct(cluster, "postgres", sits) != "0" {
        assert!(begun.elapsed() < std::time::Duration::from_secs(20), "somebody sits in it");
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    cluster.run_statements("postgres", "CREATE DATABASE passed TEMPLATE passing").unwrap();
    cluster.run_statements("postgres", "DROP DATABASE passing").unwrap();
    // And it is served again where it is asked for again.
    let said = proxy.psql(cluster, &login("migrator").database("passed"), &["SELECT count(*) FROM t"]);
    assert_eq!(said.out, "0", "{said:?}");
}

#[test]
fn named_cursors_of_a_driver_read_what_rests_on_consent() {
    let script = r#"
import psycopg
with psycopg.connect("") as connection:
    everybody = [row[0] for row in connection.execute("SELECT id FROM customers ORDER BY id")]
    with connection.cursor("reader") as cursor:
        cursor.itersize = 7
        cursor.execute("SELECT id FROM customers ORDER BY id")
        assert [row[0] for row in cursor] == everybody, "by name"
    with connection.cursor("binary", binary=True) as cursor:
        cursor.itersize = 7
        cursor.execute("SELECT id, email FROM customers ORDER BY id")
        assert [row[0] for row in cursor] == everybody, "binary"
print(len(everybody) > 20)
"#;
    let Some(said) = python(&login("marketing"), script) else { return };
    assert_eq!(said.out, "True", "{said:?}");
}
