//! The order in which rows come where an index over a hidden column, or the heap itself, is in that column's order.

use pgpurpose::server::Options;

use super::raw::{self, Client, servers, socket};
use super::{run, session};

const POLICY: &str = r#"
version = 1
[tables."public.staff"]
subject = "id"
columns = { id = "reference", office = "place", pay = "money" }
[tables."public.ranked"]
subject = "id"
columns = { id = "reference", office = "place", pay = "money" }
[purposes.plain]
basis = "contract"
[purposes.shuffled]
basis = "contract"
order = "shuffle"
[roles.r]
logins = ["support"]
purposes = ["plain", "shuffled"]
[[rules]]
name = "all"
roles = ["r"]
purposes = ["plain", "shuffled"]
read = ["reference"]
mask = { place = "first(1)" }
"#;

const NAME: &str = "ordered";
const PEOPLE: usize = 2000;

/// Spearman's coefficient between the places in which people come and those of their pay. Nobody has the same pay as another.
fn correlation(ids: &[usize], place: &[usize]) -> f64 {
    let n = ids.len() as f64;
    let squares: f64 = ids.iter().enumerate().map(|(at, id)| (at as f64 - place[*id] as f64).powi(2)).sum();
    1.0 - 6.0 * squares / (n * (n * n - 1.0))
}

fn ids(client: &mut Client, sql: &str) -> Vec<usize> {
    client.rows(sql).iter().map(|row| row.split('|').next().unwrap().parse().unwrap()).collect()
}

#[test]
fn shuffled_rows_tell_nothing_of_the_order_of_a_hidden_column() {
    raw::cluster().run_statements("postgres", &format!("CREATE DATABASE {NAME}")).unwrap();
    // The pay is a permutation of 1 to 2000, which the number of a person tells nothing of.
    run(
        NAME,
        "CREATE TABLE staff (id int, office text, pay int);
         INSERT INTO staff SELECT i, 'Durban', row_number() OVER (ORDER BY md5('pay' || i)) FROM generate_series(0, 1999) i;
         CREATE INDEX ON staff (pay) INCLUDE (id, office);
         CREATE TABLE ranked (id int, office text, pay int);
         INSERT INTO ranked SELECT * FROM staff ORDER BY pay;
         GRANT SELECT ON staff, ranked TO support; ANALYZE;
         ALTER DATABASE ordered SET enable_seqscan = off; ALTER DATABASE ordered SET enable_bitmapscan = off",
    );
    let told = raw::cluster().run_sql(NAME, "SELECT pay - 1 FROM staff ORDER BY id").unwrap();
    let place: Vec<usize> = told.lines().map(|line| line.trim().parse().unwrap()).collect();
    let proxy = raw::start(Options::new("127.0.0.1:0", servers(&socket())), POLICY, raw::catalog(NAME));
    let mut client = session(&proxy, NAME, "shuffled");
    let mut plain = session(&proxy, NAME, "plain");
    for sql in [
        "SELECT id FROM staff",
        "SELECT id, office FROM ranked",
        "SELECT * FROM staff",
        "SELECT s.id FROM staff s WHERE office <> 'x'",
        "WITH w AS MATERIALIZED (SELECT id FROM ranked) SELECT id FROM w",
        "SELECT unnest(array_agg(id)) FROM staff",
    ] {
        let found = ids(&mut plain, sql);
        assert_eq!(found.len(), PEOPLE, "{sql}");
        let shown = correlation(&found, &place);
        assert!(shown > 0.99, "without it the order is told: {shown} by {sql}");
        // Of rows in no order the coefficient has a deviation of 1 / sqrt(1999), 0.022: 0.2 is nine of them.
        let mut before = Vec::new();
        for seed in ["", "SELECT setseed(0.25)", "SELECT setseed(0.25)", "SET seed = 0.25"] {
            if !seed.is_empty() {
                client.query(seed);
            }
            let found = ids(&mut client, sql);
            assert_eq!(found.len(), PEOPLE, "{sql}");
            let told = correlation(&found, &place);
            assert!(told.abs() < 0.2, "{told} by {sql} after `{seed}`");
            assert_ne!(found, before, "a sequence that the client begins gives the order away: {sql} after `{seed}`");
            before = found;
        }
    }
    // What a statement asks for, it gets.
    assert_eq!(ids(&mut client, "SELECT id FROM staff ORDER BY id LIMIT 3"), [0, 1, 2]);
    for setting in ["SET enable_indexscan = off", "SET enable_sort = off", "SET random_page_cost = 0"] {
        assert_eq!(client.query(setting), "E42501 ZI", "{setting}");
    }
}
