//! A policy's condition means the same whatever a session sets: each, on real rows, under every zone and style.

use pgpurpose::catalog::load_catalog;
use pgpurpose::policy::PolicySet;
use pgpurpose::sql::{Context, enforce, on_parser_stack};
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

use super::support;
use super::support::operators::{BEFORE, CONTRARY, OPEN, OTHERS};

/// Consents that end on each day and at each hour around now.
const TABLES: &str = "
    CREATE SCHEMA w;
    CREATE EXTENSION citext SCHEMA w;
    CREATE TYPE stage AS ENUM ('asked', 'given');
    CREATE TABLE t (id int PRIMARY KEY, a text);
    CREATE TABLE w.consent (s int, p text DEFAULT 'p', day date, at timestamp, moment timestamptz, period interval, stage stage, note text, word w.citext);
    INSERT INTO t SELECT n, 'x' FROM generate_series(1, 400) AS n;
    INSERT INTO w.consent (s, day, at, moment, period, stage, note, word)
        SELECT n, (now() AT TIME ZONE interval '02:00')::date + n - 200, (now() AT TIME ZONE interval '02:00') + (n - 200) * interval '1 hour',
               now() + (n - 200) * interval '1 hour', n * interval '1 hour', CASE WHEN n % 2 = 0 THEN 'given' ELSE 'asked' END::stage, '2026-01-' || n, CASE WHEN n % 2 = 0 THEN 'Given' ELSE 'asked' END
        FROM generate_series(1, 400) AS n;";

const CONDITIONS: &[&str] = &[
    "day >= current_date",
    "day >= current_date - 3",
    "day > now()",
    "at >= now()",
    "at > localtimestamp",
    "at > current_date",
    "moment >= now()",
    "moment >= current_date",
    "moment > localtimestamp",
    "moment > day",
    "at >= moment - interval '1 minute' AND stage = 'given'",
    "moment + period > now() + '9 days'::interval",
    "moment::date >= current_date",
    "date_trunc('month', day) = date_trunc('month', now())",
    "date_trunc('day', moment) = date_trunc('day', current_timestamp)",
    "date_part('hour', moment) < 12",
    "date_part('day', at) = date_part('day', now())",
    "moment > '2026-06-30 12:00' AND day < '2030-12-31'",
    "moment < '2030-01-01T00:00:00+02:00'::timestamptz AND moment > now()",
    "(moment AT TIME ZONE 'Africa/Johannesburg')::date >= (now() AT TIME ZONE 'Africa/Johannesburg')::date",
    "at AT TIME ZONE 'America/New_York' > now()",
    "age(moment, now()) < '3 days'::interval",
    "btrim(day::text) <> '' AND day > current_date",
    "lower(stage::text) = 'given'",
    "lower(word::text) NOT IN ('asked', 'x') AND word IS NOT NULL",
];

/// What is compared by operators that a search path finds, or does not.
const BY_THE_PATH: &[&str] = &[
    "word = 'given'",
    "word <> 'asked'",
    "word NOT IN ('asked')",
    "word BETWEEN 'a' AND 'b'",
    "word LIKE 'g%'",
    "word ILIKE 'g%'",
    "nullif(word, 'asked') IS NOT NULL",
    "greatest(word, 'b') = 'given'",
    "coalesce(word, 'x') = 'given'",
    "CASE word WHEN 'asked' THEN false ELSE true END",
    "lower(word) = 'given'",
];

const SETTINGS: &[&str] = &[
    "RESET ALL",
    "SET timezone = 'X+150'",
    "SET timezone = 'X-150'",
    "SET timezone = 'America/St_Johns'",
    "SET timezone = 'Africa/Johannesburg'",
    "SET datestyle = 'German, DMY'",
    "SET datestyle = 'SQL, MDY'",
    "SET datestyle = 'Postgres, YMD'",
    "SET intervalstyle = 'sql_standard'",
    "SET intervalstyle = 'iso_8601'",
    "SET timezone_abbreviations = 'Australia'",
    "SET search_path = 'w'",
    "SET search_path = pg_catalog",
    "SET extra_float_digits = 0",
    "SET bytea_output = 'escape'",
];

fn policies(condition: &str) -> PolicySet {
    let text = format!(
        "version = 1\n[tables.\"public.t\"]\nsubject = \"id\"\ncolumns = {{ id = \"k\", a = \"k\" }}\n[purposes.p]\nbasis = \"consent\"\n\
         [consent]\ntable = \"w.consent\"\nsubject = \"s\"\npurpose = \"p\"\nactive = \"{condition}\"\n\
         [roles.r]\nlogins = [\"r\"]\npurposes = [\"p\"]\n[[rules]]\nname = \"x\"\nroles = [\"r\"]\npurposes = [\"p\"]\nread = [\"k\"]\n"
    );
    PolicySet::from_sources(&[("p.toml".into(), text)]).unwrap_or_else(|faults| panic!("{condition}: {faults:?}"))
}

async fn ids(client: &Client, sql: &str) -> Vec<String> {
    let messages = client.simple_query(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    messages
        .iter()
        .filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
            _ => None,
        })
        .collect()
}

#[test]
fn a_condition_means_the_same_under_every_setting_of_a_session() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let cluster = support::own_cluster();
        let mut config = tokio_postgres::Config::new();
        config.host_path(cluster.socket_dir()).port(cluster.port()).user("postgres").dbname("postgres");
        let (mut client, connection) = config.connect(NoTls).await.unwrap();
        tokio::spawn(connection);
        client.batch_execute(TABLES).await.unwrap();
        let catalog = load_catalog(&mut client, 1).await.unwrap();
        let mut some = 0;
        for condition in CONDITIONS {
            let policies = policies(condition);
            let path = ["public".to_owned()];
            let context = Context::new(&catalog, &policies, "r", "p", &path, jiff::civil::date(2026, 11, 22));
            let sql = on_parser_stack(|| enforce("SELECT id FROM t ORDER BY id", &context)).unwrap();
            let sql = sql.unwrap_or_else(|refused| panic!("{}", refused.refusal.message)).text().to_owned();
            let mut first: Option<Vec<String>> = None;
            for setting in SETTINGS {
                // Within one transaction the clock of `now()` stands still; the statement's own moves by less than a minute.
                client.batch_execute(&format!("RESET ALL; {setting}")).await.unwrap();
                let found = ids(&client, &sql).await;
                let wanted = first.get_or_insert_with(|| found.clone());
                assert_eq!(found, *wanted, "{condition} under {setting}\n{sql}");
            }
            some += usize::from(first.is_some_and(|rows| !rows.is_empty() && rows.len() < 400));
        }
        for condition in BY_THE_PATH {
            let policies = policies(condition);
            let path = ["public".to_owned()];
            let context = Context::new(&catalog, &policies, "r", "p", &path, jiff::civil::date(2026, 11, 22));
            let refused = on_parser_stack(|| enforce("SELECT id FROM t ORDER BY id", &context)).unwrap();
            assert!(refused.is_err(), "{condition}");
        }
        assert!(some > 20, "{some} conditions left some rows out and not all");
        for others in [OTHERS, CONTRARY, OPEN] {
            no_operator_of_another(&mut client, others).await;
            client.batch_execute("RESET ALL; DROP SCHEMA other CASCADE").await.unwrap();
        }
    });
}

/// Nor does what somebody made under the names of PostgreSQL's own operators, and the path puts before them.
async fn no_operator_of_another(client: &mut Client, others: &str) {
    client.batch_execute("RESET ALL").await.unwrap();
    client.batch_execute(others).await.unwrap();
    let catalog = load_catalog(client, 2).await.unwrap();
    let mut held = 0;
    for condition in CONDITIONS {
        let policies = policies(condition);
        let path = ["public".to_owned()];
        let context = Context::new(&catalog, &policies, "r", "p", &path, jiff::civil::date(2026, 11, 22));
        let sql = on_parser_stack(|| enforce("SELECT id FROM t ORDER BY id", &context)).unwrap();
        let Ok(sql) = sql.map(|enforced| enforced.text().to_owned()) else { continue };
        client.batch_execute("RESET ALL").await.unwrap();
        let before = ids(client, &sql).await;
        client.batch_execute(BEFORE).await.unwrap();
        assert_eq!(ids(client, &sql).await, before, "{condition}\n{sql}");
        held += 1;
    }
    assert!(held > 15, "{held} conditions were tried");
}
