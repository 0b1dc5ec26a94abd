//! The same rows in PostgreSQL: what the rewritten statement brings is what the decision's values say.

use std::collections::BTreeSet;
use std::fmt::Write;

use pgpurpose::catalog::load_catalog;
use pgpurpose::sql::{Context, enforce, on_parser_stack};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use tokio_postgres::{NoTls, SimpleQueryMessage};

use super::filters::{Policy, Row, TODAY, TREE, policy, rows, seen};
use super::support;

const TABLES: &str = "
    CREATE SCHEMA w;
    CREATE TABLE t (id int PRIMARY KEY, a text, b date, c date);
    CREATE TABLE sales (who int);
    CREATE TABLE w.consent (s int, p text, live boolean);
    CREATE TABLE w.objections (s int, p text, live boolean);
    CREATE TABLE w.restrictions (s int, p text, live boolean);
    CREATE TABLE w.approaches (subject_id int);
    CREATE TABLE w.opt_outs (kind text, digest bytea);
    CREATE TABLE w.opt_out_lists (as_of date);";

/// South Africa's day.
const DAY: &str = "(now() AT TIME ZONE interval '02:00')::date";

/// The facts of each row as rows.
fn facts(rows: &[Row]) -> String {
    let mut sql = String::new();
    for (id, row) in rows.iter().enumerate() {
        let born = if row.adult { "'1980-01-01'".to_owned() } else { format!("{DAY} - 400") };
        writeln!(sql, "INSERT INTO t VALUES ({id}, 'p{id}@x.org', {born}, {DAY} - {});", row.age).unwrap();
        let mut wish = |table: &str, purpose: Option<&str>, live: bool| {
            let purpose = purpose.map_or("NULL".to_owned(), |purpose| format!("'{purpose}'"));
            writeln!(sql, "INSERT INTO w.{table} VALUES ({id}, {purpose}, {live});").unwrap();
        };
        row.objections.iter().for_each(|purpose| wish("objections", *purpose, true));
        row.restrictions.iter().for_each(|purpose| wish("restrictions", *purpose, true));
        // What was lifted, refused or withdrawn is there too, and counts for nothing but having been asked.
        wish("objections", Some("p"), false);
        wish("restrictions", None, false);
        row.asked.iter().for_each(|purpose| wish("consent", Some(purpose), row.consents.contains(purpose)));
        for (fact, table) in [(row.customer, "sales"), (row.approached, "w.approaches")] {
            if fact {
                writeln!(sql, "INSERT INTO {table} VALUES ({id});").unwrap();
            }
        }
        if row.opted_out {
            writeln!(sql, "INSERT INTO w.opt_outs VALUES ('email', sha256('p{id}@x.org'));").unwrap();
        }
    }
    sql
}

#[test]
fn postgresql_shows_the_rows_that_the_decision_says() {
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[3; 32]);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let mut known: Vec<Row> = rows().new_tree(&mut runner).unwrap().current();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let cluster = support::own_cluster();
        let mut config = tokio_postgres::Config::new();
        config.host_path(cluster.socket_dir()).port(cluster.port()).user("postgres").dbname("postgres");
        let (mut client, connection) = config.connect(NoTls).await.unwrap();
        tokio::spawn(connection);
        client.batch_execute(TABLES).await.unwrap();
        client.batch_execute(&facts(&known)).await.unwrap();
        let catalog = load_catalog(&mut client, 1).await.unwrap();
        let (mut some, mut compared) = (0, 0);
        for turn in 0..60_usize {
            let mut policy: Policy = policy().new_tree(&mut runner).unwrap().current();
            policy.operator_expires = None;
            for level in &mut policy.levels {
                (level.min_group, level.queries, level.expires) = (None, None, None);
                level.denied.clear();
            }
            // The list is one for everybody.
            let list = [None, Some(0), Some(20)][turn % 3];
            known.iter_mut().for_each(|row| row.list = list);
            let day = list.map_or(String::new(), |age| format!("INSERT INTO w.opt_out_lists VALUES ({DAY} - {age});"));
            client.batch_execute(&format!("TRUNCATE w.opt_out_lists; {day}")).await.unwrap();
            let policies = policy.load();
            for purpose in TREE {
                let Some(wanted) = seen(&policies, purpose, &known, TODAY) else { continue };
                let path = ["public".to_owned()];
                let context = Context::new(&catalog, &policies, "r", purpose, &path, TODAY);
                let sql = on_parser_stack(|| enforce("SELECT id FROM t", &context)).unwrap();
                let sql = sql.unwrap_or_else(|refused| panic!("{}", refused.refusal.message)).text().to_owned();
                let messages = client.simple_query(&sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
                let found: BTreeSet<usize> = messages
                    .iter()
                    .filter_map(|message| match message {
                        SimpleQueryMessage::Row(row) => row.get(0)?.parse().ok(),
                        _ => None,
                    })
                    .collect();
                assert_eq!(found, wanted.rows, "{purpose} of {policy:#?}\n{sql}");
                compared += 1;
                some += usize::from(!found.is_empty() && found.len() < known.len());
            }
        }
        assert!(compared > 100 && some > 50, "{some} of {compared} left some rows out and not all");
    });
}
