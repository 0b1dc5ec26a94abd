//! What is read masked and saved again stays as it is: each mask over each type, through each kind of statement that sets a column.

use super::{ALL, FITS, Zoo, policy, run};
use pgpurpose::policy::PolicySet;

/// The policy of one mask, under which everything may be set too.
fn kept(mask: &str) -> PolicySet {
    let text = format!("{}write = [\"all\", \"open\"]\nkeep_masked = true\n", policy(mask, "care"));
    PolicySet::from_sources(&[("zoo.toml".to_owned(), text)]).unwrap()
}

/// Keyed pseudonyms may not be written by who reads them.
pub(super) fn is_dictionary(mask: &str) -> bool {
    mask == "token" || mask.starts_with("name")
}

/// Every row as the database has it.
async fn raw(zoo: &Zoo) -> Vec<String> {
    let rows = zoo.rows("SELECT id || ' ' || z::text FROM zoo z ORDER BY id").await;
    rows.into_iter().map(|row| row[0].clone().unwrap()).collect()
}

fn quoted(value: Option<&str>) -> String {
    value.map_or("NULL".to_owned(), |value| format!("'{}'", value.replace('\'', "''")))
}

/// The statements by which an application may save what it read of one row: `values`, in the order of `columns`.
fn of_values(columns: &[&str], id: &str, values: &[String]) -> [String; 3] {
    let pairs: Vec<String> = columns.iter().zip(values).map(|(column, value)| format!("{column} = {value}")).collect();
    let (list, row) = (columns.join(", "), values.join(", "));
    [
        format!("UPDATE zoo SET {} WHERE id = {id}", pairs.join(", ")),
        format!("UPDATE public.zoo AS z SET ({list}, id) = ({row}, z.id) WHERE z.id = {id}"),
        format!("UPDATE zoo SET ({list}, id) = ROW ({row}, id) WHERE id = {id}"),
    ]
}

/// Those by which a database may write back what it shows. A row that is proposed must pass the checks of domains, which no mask need.
fn of_queries(columns: &[&str]) -> [String; 5] {
    let list = columns.join(", ");
    let of = |alias: &str, columns: &[&str]| {
        columns.iter().map(|column| format!("{column} = {alias}.{column}")).collect::<Vec<_>>().join(", ")
    };
    let may: Vec<&str> = columns.iter().copied().filter(|column| !["a_checked", "a_count"].contains(column)).collect();
    let some = may.join(", ");
    [
        format!("UPDATE zoo SET ({list}, id) = (SELECT {list}, z.id FROM zoo z WHERE z.id = zoo.id)"),
        format!("WITH s AS (SELECT * FROM zoo) UPDATE zoo SET {} FROM s WHERE s.id = zoo.id", of("s", columns)),
        format!(
            "INSERT INTO zoo AS z (id, {some}) SELECT id, {some} FROM zoo ON CONFLICT (id) DO UPDATE SET {}",
            of("excluded", &may)
        ),
        format!(
            "INSERT INTO zoo (id, {some}) SELECT id, {some} FROM zoo ON CONFLICT (id) DO UPDATE SET ({some}, id) = \
             (SELECT {}, excluded.id)",
            may.iter().map(|column| format!("excluded.{column}")).collect::<Vec<_>>().join(", ")
        ),
        format!("MERGE INTO zoo t USING zoo s ON s.id = t.id WHEN MATCHED THEN UPDATE SET {}", of("s", columns)),
    ]
}

async fn saved(zoo: &Zoo, policies: &PolicySet, sql: &str, rows: u64) {
    let rewritten = zoo.rewritten_under(policies, "care", sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    let done = zoo.client.execute(&rewritten, &[]).await;
    let done = done.unwrap_or_else(|error| panic!("{sql}\n{rewritten}: {error:?}"));
    assert_eq!(done, rows, "{sql}");
}

#[test]
fn what_is_read_masked_and_saved_again_by_any_statement_stays_as_it_is() {
    run(async |zoo: Zoo| {
        let before = raw(&zoo).await;
        for (mask, classes) in FITS.iter().filter(|(mask, _)| !is_dictionary(mask)) {
            let policies = kept(mask);
            let columns = classes.concat();
            let read = format!("SELECT id, {} FROM zoo ORDER BY id", columns.join(", "));
            let seen = zoo.rows(&zoo.rewritten_under(&policies, "care", &read).unwrap()).await;
            assert_eq!(seen.len(), 9, "{mask}");
            for (row, form) in [(0, 0), (2, 0), (5, 0), (3, 1), (6, 2)] {
                let row = &seen[row];
                let values: Vec<String> = row[1..].iter().map(|value| quoted(value.as_deref())).collect();
                let sql = &of_values(&columns, row[0].as_deref().unwrap(), &values)[form];
                saved(&zoo, &policies, sql, 1).await;
            }
            for sql in of_queries(&columns) {
                saved(&zoo, &policies, &sql, 9).await;
            }
            for (before, after) in before.iter().zip(&raw(&zoo).await) {
                assert_eq!(before, after, "{mask}");
            }
        }
    });
}

#[test]
fn another_value_is_written_as_it_is() {
    run(async |zoo: Zoo| {
        for (mask, column, value) in [
            ("email", "a_varchar", "new@example.com"),
            ("first(2)", "a_char", "xyz   "),
            ("fixed(gone)", "a_citext", "Gone"),
            ("null", "an_array", "{a,b}"),
            ("null", "a_json", "{\"b\": 2}"),
            ("keys(a, b)", "a_jsonb", "{\"a\": 2}"),
            ("year", "a_date", "1991-01-01"),
            ("month", "a_timestamp", "1990-05-01 00:00:01"),
            ("shift(30 days)", "a_timestamptz", "1990-05-17 12:34:56+00"),
            ("band(100)", "an_integer", "123500"),
            ("band(100)", "a_numeric", "1200.01"),
            ("network", "an_inet", "10.0.0.9"),
        ] {
            let policies = kept(mask);
            for sql in [
                format!("UPDATE zoo SET {column} = '{value}' WHERE id = 1"),
                format!("UPDATE zoo SET ({column}, id) = ('{value}', id) WHERE id = 1"),
                format!("UPDATE zoo SET ({column}, id) = (SELECT '{value}', 1) WHERE id = 1"),
                format!(
                    "INSERT INTO zoo (id, {column}) VALUES (1, '{value}') ON CONFLICT (id) DO UPDATE SET {column} = excluded.{column}"
                ),
            ] {
                let rewritten = zoo.rewritten_under(&policies, "care", &sql).unwrap();
                zoo.client.batch_execute("BEGIN").await.unwrap();
                zoo.client
                    .execute(&rewritten, &[])
                    .await
                    .unwrap_or_else(|error| panic!("{sql}\n{rewritten}: {error:?}"));
                let now = zoo.rows(&format!("SELECT {column} FROM zoo WHERE id = 1")).await;
                assert_eq!(now[0][0].as_deref(), Some(value), "{mask}: {sql}");
                zoo.client.batch_execute("ROLLBACK").await.unwrap();
            }
            // DEFAULT is what nobody read.
            let sql =
                zoo.rewritten_under(&policies, "care", &format!("UPDATE zoo SET {column} = DEFAULT WHERE id = 1"));
            zoo.client.batch_execute("BEGIN").await.unwrap();
            zoo.client.execute(&sql.unwrap(), &[]).await.unwrap();
            assert_eq!(zoo.rows(&format!("SELECT {column} FROM zoo WHERE id = 1")).await[0][0], None, "{mask}");
            zoo.client.batch_execute("ROLLBACK").await.unwrap();
        }
    });
}

#[test]
fn a_value_too_long_for_the_column_fails_as_before_and_what_is_set_in_part_is_refused() {
    run(async |zoo: Zoo| {
        let policies = kept("null");
        let too_long = zoo.rewritten_under(&policies, "care", "UPDATE zoo SET a_varchar = repeat('x', 21)").unwrap();
        let error = zoo.client.execute(&too_long, &[]).await.unwrap_err();
        assert_eq!(error.code().map(|code| code.code()), Some("22001"));
        for sql in ["UPDATE zoo SET an_array[1] = 'x'", "UPDATE zoo SET a_pair.b = 'x'"] {
            let refused = zoo.rewritten_under(&policies, "care", sql).unwrap_err();
            assert!(refused.contains("cannot be set by this kind of statement"), "{sql}: {refused}");
        }
    });
}

/// A value is compared with the mask alone: what was told by an update is what a query of the mask tells.
#[test]
fn nothing_is_learnt_by_writing_but_what_the_mask_shows() {
    run(async |zoo: Zoo| {
        let policies = kept("first(1)");
        let alike = "UPDATE zoo SET a_text = 'T*****' WHERE id IN (1, 5)";
        // Two values with one mask are told apart neither by what is done nor by what is shown of it.
        let sql = zoo.rewritten_under(&policies, "care", &format!("{alike} RETURNING *")).unwrap();
        zoo.client.batch_execute("UPDATE zoo SET a_text = 'Tobias' WHERE id = 5").await.unwrap();
        let shown = zoo.rows(&sql).await;
        let at = 1;
        assert_eq!(shown[0][at], shown[1][at]);
        assert_eq!(shown[0][at].as_deref(), Some("T*****"));
        for sql in [
            "UPDATE zoo SET a_text = 'x' WHERE a_text = 'Thandi'",
            "UPDATE zoo SET a_varchar = a_text",
            "UPDATE zoo SET a_text = 'x' RETURNING a_text || ''",
            "INSERT INTO zoo (id, a_text) VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET a_text = zoo.a_text || '!'",
        ] {
            let refused = zoo.rewritten_under(&policies, "care", sql).unwrap_err();
            assert!(refused.contains("is masked for role"), "{sql}: {refused}");
        }
        assert_eq!(ALL.concat().len(), zoo.rows("SELECT * FROM zoo LIMIT 1").await[0].len() - 1);
    });
}
