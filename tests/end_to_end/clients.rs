//! What clients send of themselves.

use super::support::client::login;
use super::support::shop;
use super::{psql, python, shared, truth};

#[test]
fn psqls_describe_commands_say_what_they_say_without_the_proxy() {
    let cluster = shop();
    let mut wrong = Vec::new();
    for command in [
        "\\d",
        "\\d+",
        "\\dt",
        "\\dt *.*",
        "\\d customers",
        "\\d+ orders",
        "\\d privacy.*",
        "\\dn",
        "\\dn+",
        "\\du",
        "\\l",
        "\\df",
        "\\df pg_catalog.*",
        "\\dT",
        "\\di",
        "\\dv",
        "\\dm",
        "\\ds",
        "\\dp customers",
        "\\dx",
        "\\do",
        "\\dy",
        "\\des",
        "\\dC",
        "\\dD",
        "\\dA",
        "\\dRp",
        "\\drds",
        "\\dL",
        "\\ddp",
    ] {
        let through = psql(&login("support_agent"), &[command]);
        let mut straight = cluster.client("psql");
        let straight = straight
            .args(["-X", "-q", "-A", "-t", "-P", "null=∅", "-U", "support_agent", "-d", "shop", "-c", command])
            .output()
            .unwrap();
        let straight = String::from_utf8_lossy(&straight.stdout).trim_end().to_owned();
        // How large a table is that is not seen whole is left out; the seventh column says it.
        let sized = |said: &str| -> Vec<String> {
            let lines = said.lines().map(|line| {
                let cells: Vec<&str> = line.split('|').collect();
                let rest = cells.iter().enumerate().filter(|(at, _)| command != "\\d+" || *at != 6);
                rest.map(|(_, cell)| *cell).collect::<Vec<_>>().join("|")
            });
            lines.collect()
        };
        if !through.ok || !through.err.is_empty() {
            wrong.push(format!("{command}: {}", through.err));
        } else if sized(&through.out) != sized(&straight) {
            wrong.push(format!("{command}: another answer"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn pgbench_runs_in_each_query_mode() {
    let (cluster, proxy) = shared();
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("lookup.sql");
    std::fs::write(
        &script,
        "\\set id random(1, 10000)\nSELECT id, email, city FROM customers WHERE id = :id;\nSELECT order_id, total FROM orders WHERE customer_id = :id;\n",
    )
    .unwrap();
    for mode in ["simple", "extended", "prepared"] {
        let said = proxy.pgbench(
            cluster,
            &login("support_agent"),
            &["-n", "-M", mode, "-c", "4", "-t", "100", "-f", script.to_str().unwrap()],
        );
        assert!(said.ok && said.out.contains("400/400"), "{mode}: {said:?}");
    }
}

#[test]
fn psycopg_reads_binary_copies_and_scrolls() {
    let script = r#"
import psycopg
with psycopg.connect("") as c:
    print(c.execute("SELECT id, total, o.created_at FROM customers JOIN orders o ON customer_id = id WHERE order_id = %s", [5], binary=True).fetchone()[0])
    with c.cursor() as cur, cur.copy("COPY (SELECT id, email FROM customers WHERE id < 3 ORDER BY id) TO STDOUT") as copy:
        for row in copy.rows(): print(row)
    with c.cursor("named") as cur:
        cur.itersize = 100
        cur.execute("SELECT id FROM customers ORDER BY id")
        print(sum(1 for _ in cur))
    with c.cursor("scroll", scrollable=True) as cur:
        cur.execute("SELECT id FROM customers ORDER BY id")
        cur.scroll(10)
        print(cur.fetchone())
    print(len(c.execute("SELECT id FROM customers WHERE id = ANY(%s)", [[1, 2, 3]]).fetchall()))
    c.commit()
    try:
        c.execute("SELECT * FROM customers WHERE city = %s AND id = 'x'", ["Durban"])
    except psycopg.Error as e:
        print(e.sqlstate)
    c.rollback()
    with c.cursor() as cur:
        cur.executemany("UPDATE orders SET status = %s WHERE order_id = %s", [("paid", 79), ("paid", 80)])
        print(cur.rowcount)
    print(c.info.server_version >= 130000, c.info.encoding)
"#;
    if let Some(said) = python(&login("support_agent"), script) {
        let customer = truth("SELECT customer_id FROM orders WHERE order_id = 5");
        assert_eq!(
            said.lines(),
            [
                customer.as_str(),
                "('1', 'z***@m***.za')",
                "('2', 'z***@p***.org')",
                "10000",
                "(11,)",
                "3",
                "22P02",
                "2",
                "True utf-8"
            ]
        );
    }
}

#[test]
fn a_running_statement_can_be_cancelled() {
    let script = r#"
import psycopg, threading, time
with psycopg.connect("", autocommit=True) as c:
    threading.Timer(0.3, c.cancel).start()
    began = time.monotonic()
    try:
        c.execute("SELECT count(*) FROM orders a, orders b, orders d")
    except psycopg.errors.QueryCanceled:
        print("cancelled", time.monotonic() - began < 5)
    print(c.execute("SELECT 1").fetchone())
"#;
    if let Some(said) = python(&login("support_agent"), script) {
        assert_eq!(said.lines(), ["cancelled True", "(1,)"]);
    }
}

#[test]
fn another_client_encoding_is_refused_clearly() {
    let said = psql(&login("support_agent"), &["SET client_encoding = 'LATIN1'", "SELECT 1"]);
    assert!(said.err.contains("UTF8") || said.err.contains("UTF-8"), "{said:?}");
    assert_eq!(said.out, "1");
}
