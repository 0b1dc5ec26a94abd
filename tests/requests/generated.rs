//! Deletion over schemas and rows that nobody thought of: never a row of somebody else.

use std::collections::BTreeMap;
use std::fmt::Write;

use pgpurpose::catalog::load_catalog;
use pgpurpose::policy::PolicySet;
use pgpurpose::requests::deletion::delete;
use pgpurpose::requests::{PersonMap, Shape};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::support;

const PEOPLE: u32 = 12;

/// A schema with its policy: tables that belong to people, directly or through others, with further references among them.
fn schema(random: &mut StdRng) -> (String, String, usize) {
    let tables = random.random_range(3..7_usize);
    let mut sql =
        String::from("CREATE TABLE t0 (id bigint PRIMARY KEY, note text NOT NULL, peer bigint REFERENCES t0);\n");
    let mut policy = String::from(
        "version = 1\n[purposes.p]\nbasis = \"contract\"\n[roles.r]\nlogins = [\"r\"]\npurposes = [\"p\"]\n\
         [tables.\"public.t0\"]\nsubject = \"id\"\ncolumns = { id = \"key\", note = \"text\", peer = \"key\" }\n",
    );
    let action = |random: &mut StdRng, nullable: bool| match random.random_range(0..4) {
        0 => " ON DELETE CASCADE",
        1 if nullable => " ON DELETE SET NULL",
        2 => " ON DELETE RESTRICT",
        _ => "",
    };
    let mut later = String::new();
    for at in 1..tables {
        let owner = random.random_range(0..at);
        let _ = write!(
            sql,
            "CREATE TABLE t{at} (id bigint PRIMARY KEY, note text, owner bigint NOT NULL REFERENCES t{owner}{}",
            action(random, false)
        );
        let mut columns = String::from("id = \"key\", note = \"text\", owner = \"key\"");
        for extra in 0..random.random_range(0..3) {
            let to = random.random_range(0..tables);
            let nullable = to > at || random.random();
            let null = if nullable { "" } else { " NOT NULL" };
            let action = action(random, nullable);
            let _ = write!(sql, ", x{extra} bigint{null}");
            let _ = writeln!(later, "ALTER TABLE t{at} ADD FOREIGN KEY (x{extra}) REFERENCES t{to}{action};");
            let _ = write!(columns, ", x{extra} = \"key\"");
        }
        sql.push_str(");\n");
        let subject = match owner {
            0 => "\"owner\"".to_owned(),
            _ => format!("{{ column = \"owner\", references = \"public.t{owner}.id\" }}"),
        };
        let _ = writeln!(policy, "[tables.\"public.t{at}\"]\nsubject = {subject}\ncolumns = {{ {columns} }}");
    }
    let _ = writeln!(sql, "INSERT INTO t0 SELECT i, 'p' || i, NULL FROM generate_series(1, {PEOPLE}) i;");
    sql.push_str("UPDATE t0 SET peer = 1 + (id * 5) % 12 WHERE id % 3 = 0;\n");
    // A column of a table that has no rows yet stays empty, or is filled from those there are.
    for at in 1..tables {
        let mut names = vec!["id".to_owned(), "note".to_owned(), "owner".to_owned()];
        let mut picks = vec!["i".to_owned(), "'n'".to_owned()];
        let declared = sql.lines().find(|line| line.starts_with(&format!("CREATE TABLE t{at} "))).unwrap().to_owned();
        let referred = |from: &str| {
            from.split("REFERENCES t").nth(1).unwrap().chars().take_while(char::is_ascii_digit).collect::<String>()
        };
        let pick = |to: &str, seed: u32| {
            format!(
                "(SELECT id FROM t{to} WHERE hashint8(id * 7 + i * {seed}) IS NOT NULL ORDER BY hashint8(id + i * {seed}) LIMIT 1)"
            )
        };
        picks.push(pick(&referred(&declared), 31));
        for extra in 0..3 {
            if declared.contains(&format!(", x{extra} bigint")) {
                let key = later
                    .lines()
                    .find(|line| line.starts_with(&format!("ALTER TABLE t{at} ADD FOREIGN KEY (x{extra})")))
                    .unwrap();
                let to: usize = referred(key).parse().unwrap();
                names.push(format!("x{extra}"));
                // To itself or forwards: of what is there, its own number.
                picks.push(if to < at {
                    pick(&to.to_string(), 17 + extra)
                } else if to == at {
                    "i".to_owned()
                } else {
                    "NULL".to_owned()
                });
            }
        }
        let _ = writeln!(
            sql,
            "INSERT INTO t{at} ({}) SELECT {} FROM generate_series(1, {}) i;",
            names.join(", "),
            picks.join(", "),
            random.random_range(8..25)
        );
    }
    (sql + &later, policy, tables)
}

#[tokio::test]
async fn no_plan_ever_takes_a_row_of_somebody_else() {
    let seed = std::env::var("PGPURPOSE_DELETIONS_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1_u64);
    let plans = std::env::var("PGPURPOSE_DELETIONS").ok().and_then(|plans| plans.parse().ok()).unwrap_or(240_u32);
    let cluster = support::own_cluster();
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("generated.toml");
    let (config, connection) = (
        format!("host={} port={} user=postgres", cluster.socket_dir().display(), cluster.port()),
        tokio_postgres::NoTls,
    );
    let (mut done, mut gone, mut bare) = (0, 0, 0);
    let mut random = StdRng::seed_from_u64(seed);
    while done < plans {
        let (sql, policy, tables) = schema(&mut random);
        let (mut client, driver) = tokio_postgres::connect(&config, connection).await.unwrap();
        let driver = tokio::spawn(driver);
        client.batch_execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public").await.unwrap();
        client.batch_execute(&sql).await.unwrap_or_else(|error| panic!("{error:?}\n{sql}"));
        let catalog = load_catalog(&mut client, 1).await.unwrap();
        std::fs::write(&file, &policy).unwrap();
        let policies =
            PolicySet::load(std::slice::from_ref(&file)).unwrap_or_else(|faults| panic!("{faults:?}\n{policy}"));
        let shape = Shape::read(&client).await.unwrap();
        let map = PersonMap::new(&shape, &policies, None).unwrap();
        for person in 1..=PEOPLE {
            let person = person.to_string();
            let transaction = client.transaction().await.unwrap();
            let before = rows(&transaction, &map, tables, &person).await;
            let plan = delete(&transaction, &map, &policies, &catalog, &person, true).await;
            let plan = plan.unwrap_or_else(|trouble| panic!("{trouble}\nperson {person}\n{sql}"));
            let after = rows(&transaction, &map, tables, &person).await;
            for at in 0..tables {
                let (own, others) = &before[&at];
                let (left, others_after) = &after[&at];
                assert_eq!(others, others_after, "t{at} of others, person {person}\n{sql}");
                let line = plan.lines.iter().find(|line| line.table.name == format!("t{at}"));
                let (went, stay) = line.map_or((0, 0), |line| (line.gone, line.bare + line.kept));
                assert_eq!((own.len() as u64, left.len() as u64), (went + stay, stay), "t{at}, person {person}\n{sql}");
            }
            gone += plan.totals().0;
            bare += plan.totals().1;
            transaction.rollback().await.unwrap();
            done += 1;
        }
        driver.abort();
    }
    println!("{done} plans: {gone} rows deleted, {bare} made anonymous");
    assert!(gone > u64::from(done) && bare > 0, "the schemas are hard enough: {gone} {bare}");
}

/// The keys of each table's rows: the person's, and the others'.
async fn rows(
    client: &tokio_postgres::Transaction<'_>,
    map: &PersonMap<'_>,
    tables: usize,
    person: &str,
) -> BTreeMap<usize, (Vec<i64>, Vec<i64>)> {
    let mut all = BTreeMap::new();
    for at in 0..tables {
        let held = map.held.iter().find(|held| map.table(held).unwrap().name.name == format!("t{at}")).unwrap();
        let owned = map.is_owned(held, "held").unwrap();
        let of = async |condition: String| {
            let sql = format!("SELECT id FROM t{at} AS held WHERE {condition} ORDER BY id");
            client.query(&sql, &[&person]).await.unwrap().iter().map(|row| row.get(0)).collect::<Vec<i64>>()
        };
        all.insert(at, (of(owned.clone()).await, of(format!("NOT ({owned})")).await));
    }
    all
}
