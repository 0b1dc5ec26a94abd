//! A part of the structure that was read says what the whole says, over statements of all kinds in an order that nobody chose.

use pgpurpose::catalog::{
    Catalog, CatalogStore, RelationName, Told, Touched, connect_plain, load_catalog, plain_query, seen_query,
    within_query,
};
use pgpurpose::policy::PolicySet;
use pgpurpose::sql::{self, Context};
use tokio_postgres::Client;

use super::{config, difference, load_alone, own_cluster, runtime};

const POLICY: &str = "version = 1\nunlisted_tables = \"allow\"\n[purposes.work]\nbasis = \"contract\"\n\
    [roles.owner]\nlogins = [\"postgres\"]\npurposes = [\"work\"]\nddl = true\n";

/// Numbers in an order that looks like none and is the same each time (Steele and Vigna's SplitMix64).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, most: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % most as u64).unwrap()
    }

    fn of<'a>(&mut self, words: &[&'a str]) -> &'a str {
        words[self.below(words.len())]
    }
}

/// Few names, so that statements meet what others made; `_t0` is what the server calls the array of `t0`.
const TABLES: &[&str] = &["t0", "t1", "t2", "t3", "t4", "t5", "_t0", "other.t0", "\"Größe\"", "p0", "p1"];
const VIEWS: &[&str] = &["v0", "v1", "other.v0", "m0"];
const COLUMNS: &[&str] = &["a", "b", "c", "d", "e"];
const TYPES: &[&str] = &["int", "text", "numeric(8,2)", "mood", "short", "t0", "t1[]", "varchar(20)"];

const STATEMENTS: &[&str] = &[
    "CREATE TABLE {t} (a int PRIMARY KEY, b text, c numeric)",
    "CREATE TABLE {t} (a int, b text, d jsonb)",
    "DROP TABLE {t}",
    "CREATE TABLE {t} ({c} int PRIMARY KEY, {c} {y})",
    "DROP TABLE {t}",
    "CREATE TABLE {t} (id serial PRIMARY KEY, a {y} DEFAULT NULL, b text DEFAULT lower('X'), c int CHECK (c > 0))",
    "CREATE TABLE {t} (id int GENERATED ALWAYS AS IDENTITY, a int, b int, d int GENERATED ALWAYS AS (a + b) STORED, UNIQUE (a, b))",
    "CREATE TABLE {t} (a int REFERENCES {t}, b int)",
    "CREATE TABLE {t} (a int PRIMARY KEY, b int REFERENCES {t} ON DELETE CASCADE)",
    "CREATE TABLE {t} (a int, c int) PARTITION BY RANGE (a)",
    "CREATE TABLE {t} PARTITION OF {t} FOR VALUES FROM ({n}0) TO ({n}9)",
    "CREATE TABLE {t} (e text) INHERITS ({t})",
    "CREATE TABLE {t} (LIKE {t} INCLUDING ALL)",
    "CREATE TABLE IF NOT EXISTS {t} (a int)",
    "CREATE TABLE {t} AS SELECT * FROM {t}",
    "SELECT * INTO {t} FROM {t}",
    "ALTER TABLE {t} ADD COLUMN {c} {y}",
    "ALTER TABLE {t} ADD COLUMN {c} int GENERATED ALWAYS AS IDENTITY, DROP COLUMN IF EXISTS {c}",
    "ALTER TABLE {t} DROP COLUMN {c}",
    "ALTER TABLE {t} DROP COLUMN {c} CASCADE",
    "ALTER TABLE {t} ALTER COLUMN {c} TYPE {y} USING NULL",
    "ALTER TABLE {t} ALTER COLUMN {c} SET DEFAULT lower('a')",
    "ALTER TABLE {t} ALTER COLUMN {c} SET NOT NULL",
    "ALTER TABLE {t} ADD PRIMARY KEY ({c}, {c})",
    "ALTER TABLE {t} ADD UNIQUE ({c}) DEFERRABLE",
    "ALTER TABLE {t} ADD CONSTRAINT k{n} CHECK ({c} IS NOT NULL)",
    "ALTER TABLE {t} ADD CONSTRAINT k{n} FOREIGN KEY ({c}) REFERENCES {t}",
    "ALTER TABLE {t} DROP CONSTRAINT k{n}",
    "ALTER TABLE {t} RENAME COLUMN {c} TO {c}",
    "ALTER TABLE {t} RENAME TO t{n}",
    "ALTER TABLE {t} SET SCHEMA other",
    "ALTER TABLE {t} INHERIT {t}",
    "ALTER TABLE {t} NO INHERIT {t}",
    "ALTER TABLE {t} DETACH PARTITION {t}",
    "ALTER TABLE {t} SET UNLOGGED",
    "CREATE INDEX i{n} ON {t} ({c})",
    "CREATE UNIQUE INDEX i{n} ON {t} ({c}, {c}) WHERE {c} IS NOT NULL",
    "CREATE INDEX ON {t} (lower({c}::text))",
    "ALTER TABLE {t} ADD CONSTRAINT k{n} UNIQUE USING INDEX i{n}",
    "DROP INDEX i{n}",
    "DROP TABLE {t}",
    "DROP TABLE {t}, {t} CASCADE",
    "DROP TABLE IF EXISTS {t}",
    "CREATE VIEW {v} AS SELECT * FROM {t}",
    "CREATE VIEW {v} AS SELECT x.a FROM {v} x, {t} y",
    "CREATE OR REPLACE VIEW {v} AS SELECT a, 1 AS more FROM {t}",
    "CREATE MATERIALIZED VIEW {v} AS SELECT * FROM {t}",
    "REFRESH MATERIALIZED VIEW {v}",
    "DROP VIEW {v}",
    "DROP MATERIALIZED VIEW {v}",
    "CREATE SEQUENCE s{n} OWNED BY {t}.{c}",
    "CREATE SEQUENCE s{n}",
    "ALTER SEQUENCE s{n} OWNED BY NONE",
    "ALTER SEQUENCE s{n} RESTART",
    "DROP SEQUENCE s{n}",
    "CREATE FUNCTION f{n}() RETURNS SETOF {t} LANGUAGE sql AS 'SELECT NULL'",
    "DROP FUNCTION f{n}",
    "CREATE TYPE y{n} AS ENUM ('x')",
    "CREATE DOMAIN y{n} AS {y}",
    "DROP TYPE y{n}",
    "CREATE TRIGGER g{n} BEFORE UPDATE ON {t} FOR EACH ROW EXECUTE FUNCTION fired()",
    "DROP TRIGGER g{n} ON {t}",
    "CREATE POLICY o{n} ON {t} USING (EXISTS (SELECT FROM {t}))",
    "DROP POLICY o{n} ON {t}",
    "TRUNCATE {t} CASCADE",
    "COMMENT ON TABLE {t} IS 'x'",
    "COMMENT ON COLUMN {t}.{c} IS 'x'",
    "GRANT SELECT ON {t} TO PUBLIC",
    "VACUUM {t}",
    "VACUUM FULL {t}",
    "ANALYZE {t}",
    "CLUSTER {t} USING i{n}",
    "REINDEX TABLE {t}",
    "LOCK {t}",
];

const BEFORE: &str = "CREATE SCHEMA other; CREATE TYPE mood AS ENUM ('sad'); CREATE DOMAIN short AS varchar(3);
    CREATE FUNCTION fired() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
    CREATE TABLE t0 (a int PRIMARY KEY, b text); CREATE TABLE t1 (a int PRIMARY KEY, b int REFERENCES t0);
    CREATE TABLE p0 (a int, c int) PARTITION BY RANGE (a); CREATE TABLE p1 PARTITION OF p0 DEFAULT;
    CREATE TABLE other.t0 (a serial, b mood); CREATE VIEW v0 AS SELECT a FROM t0";

/// A domain that calls a function of one's own: what types call is held by names too, so that everything is read where there is one.
const CALLING: &str = "CREATE FUNCTION secretly(int) RETURNS boolean LANGUAGE sql AS 'SELECT true';
    CREATE DOMAIN checked AS int CHECK (secretly(VALUE))";

fn statement(numbers: &mut Numbers, types: &[&str]) -> String {
    let mut text = numbers.of(STATEMENTS).to_owned();
    while let Some(at) = text.find('{') {
        let word = match &text[at..at + 3] {
            "{t}" => numbers.of(TABLES).to_owned(),
            "{v}" => numbers.of(VIEWS).to_owned(),
            "{c}" => numbers.of(COLUMNS).to_owned(),
            "{y}" => numbers.of(types).to_owned(),
            _ => numbers.below(4).to_string(),
        };
        text.replace_range(at..at + 3, &word);
    }
    text
}

/// How many statements or transactions: more of them by hand.
fn rounds(usual: usize) -> usize {
    std::env::var("PGPURPOSE_TEST_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(usual)
}

/// What the pipeline says a statement touches; `None` where it is refused, so that no client could have it run.
fn touched(text: &str, catalog: &Catalog, policies: &PolicySet) -> Option<Touched> {
    let path = ["public".to_owned()];
    let context = Context::new(catalog, policies, "postgres", "work", &path, jiff::civil::date(2026, 11, 30));
    sql::enforce(text, &context).ok().map(|enforced| enforced.touched().clone())
}

/// As a session asks on its own connection, within its own transaction.
async fn asked(client: &Client, own: &Catalog, touched: &Touched) -> Option<Catalog> {
    client.batch_execute("SET LOCAL search_path = pg_catalog, pg_temp").await.unwrap();
    let mut within = false;
    let told = loop {
        let Some(question) = own.question(touched, within) else { break None };
        let query = if question.within { within_query() } else { plain_query() };
        let rows = client.query(query, &[&question.about]).await.unwrap();
        let rows: Vec<_> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
        match own.told(&rows, own.epoch() + 1, false) {
            Ok(Told::Next(next)) => break Some(*next),
            Ok(Told::More) if !question.within => within = true,
            Ok(Told::More) | Err(_) => break None,
        }
    };
    client.batch_execute("SET LOCAL search_path = public").await.unwrap();
    told
}

async fn connect(cluster: &pgpurpose::cluster::Cluster) -> Client {
    let (client, connection) = config(cluster, "postgres", "postgres").connect(tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// How many statements of a stream ran, how many of them said which part they touch, and what the store read: everything, changes, parts.
/// After each the store says what a whole reading says.
async fn over_a_stream(before: &[&str], seed: u64, types: &[&str], most: usize) -> (usize, usize, [u64; 3]) {
    let cluster = own_cluster();
    for statements in before {
        cluster.run_sql("postgres", statements).unwrap();
    }
    let policies = PolicySet::from_sources(&[("p.toml".to_owned(), POLICY.to_owned())]).unwrap();
    let store = CatalogStore::open(connect_plain(config(&cluster, "postgres", "postgres"))).await.unwrap();
    let client = connect(&cluster).await;
    let mut reader = connect(&cluster).await;
    let (mut numbers, mut ran, mut parts) = (Numbers(seed), 0, 0);
    for round in 0..rounds(most) {
        let text = statement(&mut numbers, types);
        let Some(touched) = touched(&text, &store.current(), &policies) else { continue };
        // What fails changes nothing, and may as well be told.
        let carried_out = client.batch_execute(&text).await.is_ok();
        store.outdated(&touched);
        store.settled().await.unwrap();
        if !carried_out {
            continue;
        }
        ran += 1;
        parts += usize::from(matches!(touched, Touched::These { .. }));
        let (read, whole) = (store.current(), load_catalog(&mut reader, 1).await.unwrap());
        assert!(read.same_contents(&whole), "{round}: {text}: {}", difference(&read, &whole));
        assert!(read.same_parts(&whole), "{round}: {text}: what belongs to what");
    }
    (ran, parts, store.reads())
}

#[test]
fn a_part_that_was_read_and_the_whole_say_the_same_after_each_statement() {
    let (ran, parts, [whole, changed, part]) = runtime().block_on(over_a_stream(&[BEFORE], 7, TYPES, 400));
    println!(
        "{ran} statements ran, {parts} of which a part is read; read whole {whole}, changes {changed}, parts {part}"
    );
    assert!(ran > 80 && parts > 40 && part > 80, "{ran} ran, {parts} told in part, {part} read in part");
}

#[test]
fn where_a_type_calls_a_function_everything_is_read_and_says_what_the_whole_says() {
    let types = [TYPES, &["checked", "checked", "checked[]"]].concat();
    let (ran, _, [_, _, part]) = runtime().block_on(over_a_stream(&[BEFORE, CALLING], 13, &types, 120));
    assert!(ran > 20 && part == 0, "{ran} ran, {part} read in part");
}

#[test]
fn a_transaction_reads_its_own_part_as_others_read_it_whole_behind_it() {
    let cluster = own_cluster();
    cluster.run_sql("postgres", BEFORE).unwrap();
    let policies = PolicySet::from_sources(&[("p.toml".to_owned(), POLICY.to_owned())]).unwrap();
    runtime().block_on(async {
        let client = connect(&cluster).await;
        let (mut numbers, mut compared) = (Numbers(11), 0);
        for round in 0..rounds(60) {
            let base = load_alone(connect_plain(config(&cluster, "postgres", "postgres"))).await;
            let mut own = Some((*base).clone());
            let mut all = Vec::new();
            client.batch_execute("BEGIN").await.unwrap();
            for _ in 0..4 {
                let text = statement(&mut numbers, TYPES);
                let Some(now) = &own else { break };
                let Some(touched) = touched(&text, now, &policies).filter(|touched| *touched != Touched::Everything)
                else {
                    continue;
                };
                client.batch_execute("SAVEPOINT s").await.unwrap();
                if client.batch_execute(&text).await.is_err() {
                    client.batch_execute("ROLLBACK TO s").await.unwrap();
                    continue;
                }
                own = asked(&client, now, &touched).await;
                all.push(text);
            }
            client.batch_execute("COMMIT").await.unwrap();
            let Some(own) = own.filter(|_| !all.is_empty()) else { continue };
            let whole = load_alone(connect_plain(config(&cluster, "postgres", "postgres"))).await;
            assert!(own.same_contents(&whole), "{round}: {all:?}: {}", difference(&own, &whole));
            assert!(own.same_parts(&whole), "{round}: {all:?}: what belongs to what");
            compared += 1;
        }
        println!("{compared} transactions");
        assert!(compared > 20, "{compared}");
    });
}

/// What is told of as a whole within a transaction: what calls code of one's own, by whatever way.
const CALLED_WITHIN: &[&str] = &[
    "CREATE FUNCTION f(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1'",
    "CREATE FUNCTION joined(text, text) RETURNS text LANGUAGE plpgsql AS 'BEGIN RETURN $1; END'",
    "CREATE OPERATOR ##> (LEFTARG = text, RIGHTARG = text, FUNCTION = joined)",
    "CREATE TYPE crate AS (a text)",
    "CREATE FUNCTION opened(crate) RETURNS text LANGUAGE plpgsql AS 'BEGIN RETURN 1; END'",
    "CREATE CAST (crate AS text) WITH FUNCTION opened(crate)",
    "CREATE TABLE t2 (a int, b crate, c text DEFAULT f(1)::text, d int GENERATED ALWAYS AS (f(a)) STORED)",
    "CREATE DOMAIN fitting AS int CHECK (f(VALUE) > 0)",
    "ALTER TABLE t2 ADD COLUMN e fitting, ADD CHECK (f(a) > 0), ADD PRIMARY KEY (a)",
    "CREATE INDEX ON t2 (f(a))",
    "CREATE TRIGGER g BEFORE UPDATE ON t2 FOR EACH ROW EXECUTE FUNCTION fired()",
    "CREATE POLICY o ON t2 USING (EXISTS (SELECT FROM t0 WHERE f(t0.a) = t2.a))",
    "CREATE STATISTICS told ON (f(a)), c FROM t2",
    "CREATE TABLE p2 (a int) PARTITION BY LIST (f(a))",
    "ALTER TABLE t1 ADD FOREIGN KEY (a) REFERENCES t2 ON DELETE CASCADE",
    "ALTER DOMAIN short ADD CONSTRAINT fits CHECK (f(length(VALUE)) > 0)",
    "ALTER DOMAIN fitting RENAME TO suiting",
    "ALTER FUNCTION f(int) RENAME TO h",
    "CREATE OR REPLACE FUNCTION fired() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM 1; RETURN NEW; END'",
    "ALTER TYPE crate SET SCHEMA other",
    "ALTER SCHEMA other RENAME TO another",
];

#[test]
fn a_session_reads_within_its_transaction_what_calls_code_of_ones_own() {
    let cluster = own_cluster();
    cluster.run_sql("postgres", BEFORE).unwrap();
    runtime().block_on(async {
        let (client, mut reader) = (connect(&cluster).await, connect(&cluster).await);
        let base = load_catalog(&mut reader, 1).await.unwrap();
        for (at, text) in CALLED_WITHIN.iter().enumerate() {
            client.batch_execute(text).await.unwrap();
            // Reading everything so often is what takes its time.
            if at % 4 != 2 && at + 1 < CALLED_WITHIN.len() {
                continue;
            }
            client.batch_execute("SET search_path = pg_catalog, pg_temp; SET jit = off").await.unwrap();
            let rows = client.query(seen_query(), &[&base.since().unwrap().to_string()]).await.unwrap();
            client.batch_execute("SET search_path = public, other").await.unwrap();
            let rows: Vec<_> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
            let own = base.changed(&rows, 2, false).unwrap();
            let whole = load_catalog(&mut reader, 1).await.unwrap();
            assert!(own.same_contents(&whole), "{text}: {}", difference(&own, &whole));
        }
    });
}

#[test]
fn where_something_may_happen_along_with_a_change_everything_is_read() {
    let cluster = own_cluster();
    cluster.run_sql("postgres", BEFORE).unwrap();
    let policies = PolicySet::from_sources(&[("p.toml".to_owned(), POLICY.to_owned())]).unwrap();
    runtime().block_on(async {
        let store = CatalogStore::open(connect_plain(config(&cluster, "postgres", "postgres"))).await.unwrap();
        let client = connect(&cluster).await;
        // An event trigger that was made a moment ago: what it does along with the next statement is seen all the same.
        client
            .batch_execute(
                "CREATE FUNCTION along() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN
                     IF tg_tag = 'CREATE TABLE' AND to_regclass('along') IS NULL THEN CREATE TABLE along (a int); END IF; END $$;
                 CREATE EVENT TRIGGER also ON ddl_command_end EXECUTE FUNCTION along()",
            )
            .await
            .unwrap();
        let text = "CREATE TABLE made (id int)";
        let touched = touched(text, &store.current(), &policies).unwrap();
        client.batch_execute(text).await.unwrap();
        store.outdated(&touched);
        store.settled().await.unwrap();
        for name in ["made", "along"] {
            assert!(store.current().relation(&RelationName::new("public", name)).is_some(), "{name}");
        }
        assert!(store.current().is_hooked());
        assert_eq!(store.reads()[2], 0, "nothing was read in part");
        // Other relations of its names than it was decided about: swapped beside the proxy, and then changed through it.
        client.batch_execute("DROP EVENT TRIGGER also; CREATE TABLE one (a int); CREATE TABLE two (b int)").await.unwrap();
        store.reload().await.unwrap();
        client
            .batch_execute("ALTER TABLE one RENAME TO three; ALTER TABLE two RENAME TO one; ALTER TABLE one ADD COLUMN c int")
            .await
            .unwrap();
        let text = "ALTER TABLE one ADD COLUMN d int";
        let touched = super::parts::touched(text, &store.current(), &policies).unwrap();
        client.batch_execute(text).await.unwrap();
        store.outdated(&touched);
        store.settled().await.unwrap();
        let now = store.current();
        let columns = |name: &str| {
            let relation = now.relation(&RelationName::new("public", name)).unwrap();
            relation.columns.iter().map(|column| column.name.clone()).collect::<Vec<_>>()
        };
        assert_eq!((columns("one"), columns("three")), (vec!["b".into(), "c".into(), "d".into()], vec!["a".to_owned()]));
    });
}

#[test]
fn what_is_read_behind_a_change_is_no_more_with_a_thousand_tables_than_with_one() {
    let told = |tables: usize| {
        let cluster = own_cluster();
        let many: String = (0..tables).map(|at| format!("CREATE TABLE x{at} (id int PRIMARY KEY, a text);")).collect();
        cluster.run_statements("postgres", &many).unwrap();
        let policies = PolicySet::from_sources(&[("p.toml".to_owned(), POLICY.to_owned())]).unwrap();
        runtime().block_on(async {
            let store = CatalogStore::open(connect_plain(config(&cluster, "postgres", "postgres"))).await.unwrap();
            let client = connect(&cluster).await;
            let mut rows = Vec::new();
            for text in [
                "CREATE TABLE made (id int PRIMARY KEY, note text)",
                "ALTER TABLE made ADD COLUMN more text",
                "CREATE INDEX ON made (note)",
                "COMMENT ON TABLE made IS 'x'",
                "DROP TABLE made",
            ] {
                let before = store.current();
                let touched = touched(text, &before, &policies).unwrap();
                client.batch_execute(text).await.unwrap();
                if !touched.is_nothing() {
                    let question = before.question(&touched, false).unwrap();
                    assert!(!question.within, "{text}: {question:?}");
                    client.batch_execute("BEGIN").await.unwrap();
                    client.batch_execute("SET LOCAL search_path = pg_catalog, pg_temp").await.unwrap();
                    rows.push(client.query(plain_query(), &[&question.about]).await.unwrap().len());
                    client.batch_execute("COMMIT").await.unwrap();
                }
                store.outdated(&touched);
                store.settled().await.unwrap();
                let there = store.current().relation(&RelationName::new("public", "made")).is_some();
                assert_eq!(there, text != "DROP TABLE made", "{text}");
            }
            // Once to open, and nothing in whole since: four parts, and nothing for what no snapshot holds.
            assert_eq!(store.reads(), [0, 0, 4]);
            rows
        })
    };
    let (one, thousand) = (told(1), told(1_000));
    assert_eq!(one, thousand, "rows that the server tells behind each statement");
    assert!(one.iter().all(|rows| *rows < 16), "{one:?}");
}
