//! Transactions, prepared statements and pipelines go on as they would without the proxy.

use super::support::client::login;
use super::support::{
    direct, own_shop,
    proxy::{Proxy, Upstream},
};
use super::{POLICY, psql, python, truth};

#[test]
fn a_refusal_in_a_transaction_leaves_it_failed() {
    let said = psql(
        &login("support_agent"),
        &["BEGIN", "SELECT 1", "SELECT health_note FROM customers", "SELECT 2", "ROLLBACK", "SELECT 3"],
    );
    assert_eq!(said.out, "1\n3", "{said:?}");
    assert!(said.err.contains("42501") && said.err.contains("25P02"), "{said:?}");
    let to_savepoint = psql(
        &login("support_agent"),
        &["BEGIN", "SAVEPOINT s", "SELECT health_note FROM customers", "ROLLBACK TO s", "SELECT 4", "COMMIT"],
    );
    assert_eq!(to_savepoint.out, "4", "{to_savepoint:?}");
}

#[test]
fn a_refused_transaction_keeps_nothing_that_it_wrote() {
    let before = truth("SELECT status FROM orders WHERE order_id = 78");
    psql(
        &login("support_agent"),
        &[
            "BEGIN",
            "UPDATE orders SET status = 'never' WHERE order_id = 78",
            "SELECT health_note FROM customers",
            "COMMIT",
        ],
    );
    assert_eq!(truth("SELECT status FROM orders WHERE order_id = 78"), before);
    // The same as one message of several statements, which is one implicit transaction.
    psql(
        &login("support_agent"),
        &["UPDATE orders SET status = 'never' WHERE order_id = 78; SELECT health_note FROM customers; SELECT 1"],
    );
    assert_eq!(truth("SELECT status FROM orders WHERE order_id = 78"), before);
}

#[test]
fn several_statements_in_one_message_are_each_answered() {
    let said = psql(&login("support_agent"), &["SELECT 1; SELECT id, email FROM customers WHERE id = 1; SELECT 'a;b'"]);
    assert_eq!(said.lines(), ["1", "1|z***@m***.za", "a;b"]);
}

#[test]
fn a_withdrawn_consent_counts_from_the_next_statement_on() {
    // A cluster of its own, because it changes what the others count.
    let cluster = own_shop();
    let proxy = Proxy::start_with(&cluster, Upstream::Tcp, POLICY, "");
    let live =
        "SELECT min(subject_id) FROM privacy.consents WHERE purpose = 'marketing' AND granted AND withdrawn_at IS NULL";
    let id = direct(&cluster, "shop", live);
    let ask = format!("SELECT count(*) FROM customers WHERE id = {id}");
    // One session all the while: psql waits for the shell's command between its statements.
    let withdraw =
        format!("UPDATE privacy.consents SET withdrawn_at = now() WHERE subject_id = {id} AND purpose = 'marketing'");
    let shell = format!(
        "\\! PGHOST={} PGPORT={} PGUSER=postgres PGOPTIONS= psql -X -q -d shop -c \"{withdraw}\"",
        cluster.socket_dir().display(),
        cluster.port()
    );
    let prepare = "PREPARE one (bigint) AS SELECT count(*) FROM customers WHERE id = $1";
    let execute = format!("EXECUTE one({id})");
    let said = proxy.psql(&cluster, &login("marketing"), &[prepare, &ask, &execute, &shell, &ask, &execute]);
    assert_eq!(said.lines(), ["1", "1", "0", "0"]);

    let id = direct(&cluster, "shop", live);
    let script = format!(
        r#"
import os, psycopg
with psycopg.connect("", autocommit=True, prepare_threshold=0) as c:
    def ask(): return c.execute("SELECT count(*) FROM customers WHERE id = %s", [{id}], prepare=True).fetchone()[0]
    print(ask(), ask())
    with psycopg.connect("host={} port={} user=postgres dbname=shop", autocommit=True) as direct:
        direct.execute("UPDATE privacy.consents SET withdrawn_at = now() WHERE subject_id = {id} AND purpose = 'marketing'")
    print(ask())
"#,
        cluster.socket_dir().display(),
        cluster.port()
    );
    if let Some(said) = proxy.python(&cluster, &login("marketing"), &script) {
        assert_eq!(said.lines(), ["1 1", "0"]);
    }
}

#[test]
fn psycopgs_prepared_statements_and_pipelines_get_their_errors_in_order() {
    let script = r#"
import psycopg
from psycopg import errors
with psycopg.connect("", autocommit=True, prepare_threshold=0) as c:
    for id in (1, 5, 1):
        print(c.execute("SELECT id, email FROM customers WHERE id = %s", [id]).fetchone())
    try:
        c.execute("SELECT health_note FROM customers WHERE id = %s", [1])
    except errors.InsufficientPrivilege as e:
        print("refused", e.sqlstate, bool(e.diag.message_detail), bool(e.diag.message_hint))
    print(c.execute("SELECT 1").fetchone())
    with c.pipeline() as p:
        a = c.execute("SELECT id FROM customers WHERE id = %s", [2])
        b = c.execute("SELECT health_note FROM customers WHERE id = %s", [2])
        d = c.execute("SELECT id FROM customers WHERE id = %s", [3])
        try:
            p.sync()
        except errors.InsufficientPrivilege:
            print("refused in the pipeline")
        print(a.fetchone())
    print(c.execute("SELECT 2").fetchone(), c.info.transaction_status.name)
"#;
    if let Some(said) = python(&login("support_agent"), script) {
        assert_eq!(
            said.lines(),
            [
                "(1, 'z***@m***.za')",
                "(5, 'e***@p***.org')",
                "(1, 'z***@m***.za')",
                "refused 42501 True True",
                "(1,)",
                "refused in the pipeline",
                "(2,)",
                "(2,) IDLE"
            ]
        );
    }
}

#[test]
fn another_database_is_decided_by_its_own_tables() {
    let cluster = own_shop();
    cluster.run_statements("postgres", "CREATE DATABASE other").unwrap();
    // The same name, other columns, other oids; the policy lists `health_note` and not `nickname`.
    let made = "CREATE TABLE customers (nickname text, health_note text, id bigint PRIMARY KEY, city text); \
        INSERT INTO customers VALUES ('secret-nick', 'secret-note', 1, 'Durban'); GRANT SELECT ON customers TO PUBLIC";
    direct(&cluster, "other", made);
    let proxy = Proxy::start_with(&cluster, Upstream::Socket, POLICY, "");
    let ask = |database: &str, sql: &str| proxy.psql(&cluster, &login("support_agent").database(database), &[sql]);
    assert_eq!(ask("other", "SELECT * FROM customers").fine(), "1|Durban");
    assert_eq!(ask("other@support", "SELECT id, city FROM customers").fine(), "1|Durban");
    for sql in ["SELECT nickname FROM customers", "SELECT health_note FROM customers"] {
        let said = ask("other", sql);
        assert!(!said.ok && said.err.contains("is not open to role") && !said.err.contains("secret"), "{said:?}");
    }
    // A decision for one database is not the other's, though the text is the same.
    assert!(ask("shop", "SELECT * FROM customers WHERE id = 1").fine().starts_with("1|Z***"));
    let said = ask("nowhere", "SELECT 1");
    assert!(!said.ok && said.err.contains("nowhere"), "{said:?}");
}
