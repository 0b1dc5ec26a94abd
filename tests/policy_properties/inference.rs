//! What the figures of one statement tell of one person: each shown sum, average and count is a linear form over the persons' values, found
//! by changing one person's value at a time. Whatever is added to and taken from each other, no single person's value comes out. Nor does a
//! statement fail because of one person's row, and where it counts, nobody is the only one who is in one count and not in another.

use std::time::{Duration, Instant};

use pgpurpose::catalog::load_catalog;
use pgpurpose::policy::PolicySet;
use pgpurpose::sql::{Context, enforce, on_parser_stack};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

use super::support;

const PEOPLE: usize = 12;
const LEAST: usize = 3;

const TABLES: &str = "
    CREATE TABLE people (id int PRIMARY KEY, city text, score int, kind text, salary numeric, bonus numeric, born date);
    CREATE TABLE visits (visit int PRIMARY KEY, person int REFERENCES people, ward text, cost numeric);
    CREATE TABLE towns (name text PRIMARY KEY, weight int);
    CREATE TABLE numbers (n int PRIMARY KEY, weight int);
    INSERT INTO people SELECT i, 'town' || i % 2, i % 4, CASE WHEN i < 5 THEN 'a' ELSE 'b' END, 1000 + i * 37,
        CASE WHEN i NOT IN (2, 3, 5, 8) THEN i * 10 END, date '1990-01-01' + i * 40 FROM generate_series(1, 12) i;
    INSERT INTO visits SELECT i, 1 + i % 12, 'ward' || i % 3, 100 + i * 11 FROM generate_series(1, 30) i;
    INSERT INTO towns VALUES ('town0', 1), ('town1', 5);
    INSERT INTO numbers SELECT i, (2 ^ i)::int FROM generate_series(0, 12) i;";

const POLICY: &str = "version = 1
[tables.\"public.people\"]
subject = \"id\"
columns = { id = \"k\", city = \"k\", score = \"k\", kind = \"k\", salary = \"k\", bonus = \"k\", born = \"k\" }
[tables.\"public.visits\"]
subject = { column = \"person\", references = \"public.people.id\" }
columns = { visit = \"k\", person = \"k\", ward = \"k\", cost = \"k\" }
[tables.\"public.towns\"]
open = true
[tables.\"public.numbers\"]
open = true
[purposes.p]
basis = \"contract\"
min_group = 3
[roles.r]
logins = [\"r\"]
purposes = [\"p\"]
[[rules]]
name = \"x\"
roles = [\"r\"]
purposes = [\"p\"]
read = [\"k\"]
";

const SOURCES: &[&str] = &[
    "people p",
    "people p",
    "visits v",
    "visits v JOIN people p ON p.id = v.person",
    "people p, visits v WHERE v.person = p.id",
    "people p JOIN towns t ON t.name = p.city",
    "people p JOIN numbers n ON n.n = p.score",
    "people p JOIN numbers n ON n.n = p.id",
    "people p JOIN numbers n ON n.n <= p.id",
    "people p, numbers n WHERE n.n <= p.id",
    "people p CROSS JOIN numbers n",
    "people p JOIN people q ON q.city = p.city",
    "people p JOIN people q ON q.id = p.id",
    "visits v JOIN visits w ON w.person = v.person",
    "visits v JOIN people p ON p.id = v.person JOIN visits w ON w.person = p.id",
    "people p TABLESAMPLE BERNOULLI (50) REPEATABLE (1)",
];

const FIGURES: &[&str] = &[
    "sum(p.salary)",
    "avg(p.salary)",
    "count(*)",
    "count(DISTINCT p.id)",
    "sum(v.cost)",
    "avg(v.cost)",
    "sum(DISTINCT p.salary)",
    "sum(p.salary) - sum(DISTINCT p.salary)",
    "sum(p.salary) + sum(v.cost)",
    "sum(p.salary * p.score)",
    "sum(CASE WHEN p.score = 1 THEN p.salary END)",
    "sum(n.weight)",
    "sum(p.salary) FILTER (WHERE p.score = 1)",
    "sum(p.salary) / count(*)",
    "sum(p.bonus)",
    "count(p.bonus)",
    "avg(p.bonus)",
    "var_pop(p.salary)",
    "count(nullif(p.score, 3))",
];

const CONDITIONS: &[&str] = &[
    "p.score > 0",
    "p.score = 1",
    "p.score <> 2",
    "p.kind = 'a'",
    "p.kind = 'b' AND p.score < 3",
    "p.city = 'town1'",
    "p.id > 1",
    "v.ward = 'ward1'",
    "v.ward <> 'ward0'",
    "n.weight > 2",
    "t.weight > 2",
    "p.score IN (0, 1)",
    "p.born < '1990-09-01'::date",
    "p.born < 'x'::text::date",
    "p.born < '5874897-12-31'::date::timestamptz",
    "p.born IS NOT NULL",
    "true",
];

const KEYS: &[&str] = &[
    "p.city",
    "p.score",
    "p.kind",
    "v.ward",
    "p.id",
    "date_trunc('year', p.born)",
    "date_trunc('fortnight', p.born)",
    "1 / (p.score - 3)",
    "p.score * 900000000",
    "p.score > 1",
];

fn statement() -> impl Strategy<Value = String> {
    (select(SOURCES), subsequence(FIGURES, 1..=2), subsequence(CONDITIONS, 0..=2), subsequence(KEYS, 0..=2), 0_u8..10)
        .prop_map(|(source, figures, conditions, keys, form)| {
            // Only of what stands in FROM.
            let there = |text: &&str| {
                [("p.", "people p"), ("v.", "visits v"), ("n.", "numbers n"), ("t.", "towns t")].iter().all(
                    |(alias, table)| {
                        let named = text
                            .match_indices(alias)
                            .any(|(at, _)| at == 0 || !text.as_bytes()[at - 1].is_ascii_alphanumeric());
                        !named || source.contains(table)
                    },
                )
            };
            let mut figures: Vec<&str> = figures.into_iter().filter(there).collect();
            if figures.is_empty() {
                figures.push(if source.starts_with("visits") { "sum(v.cost)" } else { "sum(p.salary)" });
            }
            let conditions: Vec<&str> = conditions.into_iter().filter(there).collect();
            let keys: Vec<&str> = keys.into_iter().filter(there).collect();
            let joined = if source.contains("WHERE") { " AND " } else { " WHERE " };
            let all =
                if conditions.is_empty() { String::new() } else { format!("{joined}{}", conditions.join(" AND ")) };
            let named: Vec<String> = keys.iter().enumerate().map(|(at, key)| format!("{key} AS k{at}")).collect();
            let aliases: Vec<String> = (0..keys.len()).map(|at| format!("k{at}")).collect();
            let places: Vec<String> = (1..=keys.len()).map(|at| at.to_string()).collect();
            let named: Vec<&str> = named.iter().map(String::as_str).collect();
            let list: Vec<&str> = if form == 4 { &named } else { &keys }.iter().chain(&figures).copied().collect();
            let grouped = match (keys.is_empty(), form) {
                (true, _) => String::new(),
                (false, 3) => format!(" GROUP BY {}", places.join(", ")),
                (false, 4) => format!(" GROUP BY {}", aliases.join(", ")),
                (false, 0) => format!(" GROUP BY GROUPING SETS (({}), ())", keys.join(", ")),
                (false, 1) => format!(" GROUP BY ROLLUP ({})", keys.join(", ")),
                (false, _) => format!(" GROUP BY {0} ORDER BY {0}", keys.join(", ")),
            };
            let one = format!("SELECT {} FROM {source}{all}{grouped}", list.join(", "));
            if form == 2 { format!("({one}) UNION ALL ({one})") } else { one }
        })
}

/// The cells that are numbers, by row and column.
async fn cells(client: &Client, sql: &str) -> Option<Vec<f64>> {
    let messages = client.simple_query(sql).await.ok()?;
    let mut found = Vec::new();
    for message in &messages {
        if let SimpleQueryMessage::Row(row) = message {
            for column in 0..row.len() {
                found.push(row.get(column).and_then(|text| text.parse().ok()).unwrap_or(0.0));
            }
        }
    }
    Some(found)
}

/// Whether some combination of the rows is one unknown alone.
fn tells_one(mut rows: Vec<Vec<f64>>) -> Option<usize> {
    const NOTHING: f64 = 1e-6;
    let width = rows.first().map_or(0, Vec::len);
    let mut done = 0;
    for column in 0..width {
        let Some(pivot) = (done..rows.len()).max_by(|a, b| rows[*a][column].abs().total_cmp(&rows[*b][column].abs()))
        else {
            break;
        };
        if rows[pivot][column].abs() < NOTHING {
            continue;
        }
        rows.swap(done, pivot);
        let lead = rows[done].clone();
        for (at, row) in rows.iter_mut().enumerate() {
            if at != done {
                let times = row[column] / lead[column];
                row.iter_mut().zip(&lead).for_each(|(cell, lead)| *cell -= times * lead);
            }
        }
        done += 1;
    }
    // In reduced form a single unknown is in the span only where a row has it alone.
    rows.iter().find_map(|row| {
        let mut there = (0..width).filter(|column| row[*column].abs() > NOTHING);
        match (there.next(), there.next()) {
            (Some(column), None) => Some(column),
            _ => None,
        }
    })
}

/// Of a statement with `count(*)` and `count(p.bonus)` in one row: a person who makes all the difference between both.
async fn counted_alone(client: &Client, sql: &str, enforced: &str) -> Option<usize> {
    if !(sql.contains("count(*)") && sql.contains("count(p.bonus)"))
        || sql.contains("GROUP BY")
        || sql.contains("UNION")
    {
        return None;
    }
    let mut makes = Vec::new();
    for person in 1..=PEOPLE {
        let given = format!("BEGIN; UPDATE people SET bonus = 1 WHERE id = {person}");
        client.batch_execute(&given).await.unwrap();
        let after = cells(client, enforced).await;
        client.batch_execute("ROLLBACK").await.unwrap();
        let before = cells(client, enforced).await;
        if before != after
            && client
                .query("SELECT FROM people WHERE id = $1 AND bonus IS NULL", &[&i32::try_from(person).unwrap()])
                .await
                .unwrap()
                .len()
                == 1
        {
            makes.push(person);
        }
    }
    (makes.len() == 1).then(|| makes[0])
}

#[test]
fn a_solver_finds_what_one_person_adds() {
    assert_eq!(tells_one(vec![vec![1.0, 1.0, 1.0], vec![1.0, 1.0, 0.0]]), Some(2));
    assert_eq!(tells_one(vec![vec![1.0, 1.0, 1.0], vec![1.0, 2.0, 3.0]]), None);
    assert_eq!(tells_one(vec![vec![1.0, 1.0], vec![1.0, 2.0]]), Some(0));
}

#[test]
fn the_figures_of_one_statement_give_no_single_persons_value() {
    let mut runner = TestRunner::new_with_rng(Config::default(), TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]));
    // `PGPURPOSE_INFERENCE_SECONDS=600`: as many as there is time for.
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let most = number("PGPURPOSE_INFERENCES").unwrap_or(400);
    let until = number("PGPURPOSE_INFERENCE_SECONDS").map(|seconds| Instant::now() + Duration::from_secs(seconds));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let cluster = support::own_cluster();
        let mut config = tokio_postgres::Config::new();
        config.host_path(cluster.socket_dir()).port(cluster.port()).user("postgres").dbname("postgres");
        let (mut client, connection) = config.connect(NoTls).await.unwrap();
        tokio::spawn(connection);
        client.batch_execute(TABLES).await.unwrap();
        let catalog = load_catalog(&mut client, 1).await.unwrap();
        let policies = PolicySet::from_sources(&[("p.toml".into(), POLICY.into())]).unwrap();
        let path = ["public".to_owned()];
        let context = Context::new(&catalog, &policies, "r", "p", &path, jiff::civil::date(2026, 11, 22));
        let (mut shown, mut refused, mut asked) = (0, 0, 0);
        while until.map_or(asked < most, |end| Instant::now() < end) {
            asked += 1;
            let sql = statement().new_tree(&mut runner).unwrap().current();
            let Ok(enforced) = on_parser_stack(|| enforce(&sql, &context)).unwrap() else {
                refused += 1;
                continue;
            };
            let before = cells(&client, enforced.text()).await;
            // Whether it fails tells of nobody.
            for person in 1..=PEOPLE {
                let gone = "DELETE FROM visits WHERE person = $1; DELETE FROM people WHERE id = $1";
                client.batch_execute(&format!("BEGIN; {}", gone.replace("$1", &person.to_string()))).await.unwrap();
                let after = cells(&client, enforced.text()).await;
                client.batch_execute("ROLLBACK").await.unwrap();
                let (fails, failed) = (before.is_none(), after.is_none());
                assert_eq!(fails, failed, "without {person} it fails, or does not:\n{sql}\n{}", enforced.text());
            }
            let Some(before) = before else { continue };
            if before.is_empty() {
                continue;
            }
            if let Some(alone) = counted_alone(&client, &sql, enforced.text()).await {
                panic!("{alone} is the only one in one count and not in another\n{sql}\n{}", enforced.text());
            }
            let mut forms = vec![Vec::new(); before.len()];
            for table in [
                "UPDATE people SET salary = salary + 1000 WHERE id = ",
                "UPDATE visits SET cost = cost + 1000 WHERE person = ",
            ] {
                for person in 1..=PEOPLE {
                    client.batch_execute(&format!("BEGIN; {table}{person}")).await.unwrap();
                    let after = cells(&client, enforced.text()).await.unwrap();
                    client.batch_execute("ROLLBACK").await.unwrap();
                    assert_eq!(after.len(), before.len(), "{sql}");
                    let changed = after.iter().zip(&before).map(|(after, before)| (after - before) / 1000.0);
                    forms.iter_mut().zip(changed).for_each(|(form, by)| form.push(by));
                }
            }
            let found = tells_one(forms);
            assert_eq!(found, None, "one person's value comes out of\n{sql}\n{}", enforced.text());
            shown += 1;
        }
        println!("{shown} statements with figures solved, {refused} of {asked} refused, groups of {LEAST} at least");
        assert!(shown > 20, "{shown} statements were shown");
    });
}
