//! A condition over a mask that keeps the order of values is said of the raw column, too, so that its index is used. It must
//! change no row: held against the same condition over the masked values alone.

use super::*;

/// Rows around the ends of units, before our era, and far away.
const MORE: &str = "
    INSERT INTO zoo (id, a_smallint, an_integer, a_bigint, a_count, a_numeric, a_free_numeric, a_date, a_timestamp, a_timestamptz)
        SELECT 100 + i, i * 7 - 200, i * 37 - 900, i * 91 - 2500, i * 3 - 99 + CASE WHEN i = 33 THEN 1 ELSE 0 END,
            i * 37.5 - 900, i * 12.25 - 300, date '1989-11-20' + i * 5, timestamp '1989-12-29 12:00' + i * interval '7 hours',
            timestamptz '1989-12-29 12:00+00' + i * interval '7 hours'
        FROM generate_series(0, 60) i;
    INSERT INTO zoo (id, a_date, a_timestamp, a_timestamptz) VALUES
        (201, '0001-12-31 BC', '0001-12-31 23:59:59.999999 BC', '0001-12-31 23:59:59.999999+00 BC'),
        (202, '0002-01-01', '0002-01-01', '0002-01-01 00:00+00'), (203, '9899-12-31', '9899-12-31', '9899-12-31 23:59+00'),
        (204, '9900-01-01', '9900-01-01', '9900-01-01 00:00+00'), (205, '0044-03-15 BC', '0044-03-15 BC', '0044-03-15 BC'),
        (206, '1989-12-31', '1989-12-31 23:59:59.999999', '1989-12-31 23:59:59.999999+00'),
        (207, '1990-01-01', '1990-01-01', '1990-01-01 00:00+00'), (208, '0009-12-31', '0009-12-31', '0009-12-31 00:00+00');
    CREATE INDEX ON zoo (a_date);
    CREATE INDEX ON zoo (a_timestamptz);
    CREATE INDEX ON zoo (an_integer);
    CREATE INDEX ON zoo (a_numeric);
    ANALYZE zoo;
";

const MOMENTS: &[&str] = &[
    "'1990-01-01'",
    "'1989-12-31'",
    "'1990-05-17'",
    "'0001-01-01'",
    "'0002-01-01'",
    "'0001-06-01 BC'",
    "'9899-06-01'",
    "'9900-01-01'",
    "'infinity'",
    "'-infinity'",
    "NULL",
];
const DATES: &[&str] = &[
    "'5000000-01-01'",
    "date '1990-01-01'",
    "timestamp '1990-01-01 00:00:01'",
    "'1990-02-03'::date",
    "date '1990-04-01' - interval '90 days'",
    "(date '1990-01-31' + interval '1 month')",
];
const ZONED: &[&str] = &["timestamptz '1990-01-01 02:00+02'", "'1989-12-31 23:59:59.999999+00'"];
const WHOLE: &[&str] =
    &["0", "100", "-100", "99", "-1", "101", "250", "'300'", "NULL", "7::smallint", "32767", "-32768"];
const DECIMALS: &[&str] =
    &["0", "100", "99.99", "-0.01", "1e3", "-12.5", "NULL", "250::numeric", "'NaN'", "'Infinity'"];

/// Masks, columns and constants.
type Kept = (&'static [&'static str], &'static [&'static str], &'static [&'static [&'static str]]);
const KEPT: &[Kept] = &[
    (&["week", "month", "quarter", "year", "decade"], &["a_date"], &[MOMENTS, DATES]),
    (
        &["hour", "day", "week", "month", "quarter", "year", "decade"],
        &["a_timestamp"],
        &[MOMENTS, &["date '1990-01-01'"]],
    ),
    (&["hour", "day", "month", "year"], &["a_timestamptz"], &[MOMENTS, ZONED]),
    (&["band(100)", "band(7)"], INTEGERS, &[WHOLE]),
    (&["band(100)", "band(7)"], &["a_numeric", "a_free_numeric"], &[DECIMALS]),
    // These do not keep the order, or nothing is known of it: nothing may be implied.
    (&["noise(3 days)", "null"], &["a_date"], &[MOMENTS]),
    (&["steps(-5, 0, 100000)", "noise(100%)", "band(100)"], &["a_real"], &[&["0", "100", "'NaN'"]]),
];

#[test]
fn a_condition_over_a_mask_gives_the_same_rows_with_its_range_of_raw_values() {
    run(async |zoo: Zoo| {
        zoo.client.batch_execute(MORE).await.unwrap();
        for zone in ["UTC", "Pacific/Auckland"] {
            zoo.client.batch_execute(&format!("SET timezone = '{zone}'")).await.unwrap();
            for (masks, columns, constants) in KEPT {
                for (mask, column) in masks.iter().flat_map(|mask| columns.iter().map(move |column| (mask, column))) {
                    let policies = policies(mask, "care");
                    let rewritten = |sql: &str| zoo.rewritten_under(&policies, "care", sql).unwrap();
                    let masked = rewritten(&format!("SELECT id, {column} FROM zoo"));
                    for constant in constants.concat() {
                        let mut conditions: Vec<String> =
                            ["<", "<=", "=", ">=", ">"].iter().map(|op| format!("{column} {op} {constant}")).collect();
                        conditions.push(format!("{constant} > {column} AND id > 3"));
                        conditions.push(format!("({column} BETWEEN {constant} AND {constant}) AND id < 1000"));
                        for condition in conditions {
                            let asked =
                                rewritten(&format!("SELECT id FROM zoo WHERE {condition} GROUP BY id ORDER BY id"));
                            let wanted = format!("SELECT id FROM ({masked}) AS zoo WHERE {condition} ORDER BY id");
                            let (asked, wanted) = (zoo.answer(&asked).await, zoo.answer(&wanted).await);
                            assert_eq!(asked, wanted, "{mask}: {condition} in {zone}");
                        }
                    }
                }
            }
        }
    });
}

impl Zoo {
    /// Rows, or the error's SQLSTATE: a constant may be none of the column's type.
    async fn answer(&self, sql: &str) -> Result<Vec<Vec<Option<String>>>, String> {
        let messages = self.client.simple_query(sql).await;
        let messages = messages.map_err(|error| error.code().map_or(String::new(), |code| code.code().to_owned()))?;
        let rows = messages.into_iter().filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some((0..row.len()).map(|at| row.get(at).map(str::to_owned)).collect()),
            _ => None,
        });
        Ok(rows.collect())
    }
}

#[test]
fn a_condition_over_a_mask_that_keeps_the_order_uses_the_index() {
    run(async |zoo: Zoo| {
        zoo.client.batch_execute(MORE).await.unwrap();
        zoo.client.batch_execute("SET enable_seqscan = off").await.unwrap();
        for (mask, condition, index) in [
            ("year", "a_date >= date '1990-01-01' AND a_date < date '1991-01-01'", true),
            ("month", "a_date BETWEEN '1990-01-01' AND '1990-02-01'", true),
            ("month", "a_date <= date '1990-04-01' - interval '90 days'", true),
            ("year", "a_timestamptz = '1990-01-01 00:00+00'", true),
            ("band(100)", "an_integer = 200", true),
            ("band(100)", "a_numeric > 700", true),
            ("year", "a_date >= date '1990-01-01' OR id = 4", false),
            ("year", "NOT (a_date < date '1990-01-01')", false),
            ("noise(3 days)", "a_date >= date '1990-01-01'", false),
            ("steps(-5, 0)", "an_integer = 0", false),
        ] {
            let sql = zoo.rewritten(mask, "care", &format!("SELECT count(*) FROM zoo WHERE {condition}")).unwrap();
            let plan: Vec<_> = zoo.rows(&format!("EXPLAIN {sql}")).await.concat().into_iter().flatten().collect();
            let uses = plan.iter().any(|line| line.contains("Index Cond: ((a") || line.contains("Index Cond: (a"));
            assert_eq!(uses, index, "{mask}: {condition}: {plan:#?}");
        }
        for alone in [
            // An outer join fills it with NULLs.
            "SELECT count(*) FROM zoo y LEFT JOIN zoo z ON z.id = y.id WHERE z.a_date >= date '1990-01-01'",
            // Rows, and what depends on their order: the index's order is that of the raw values.
            "SELECT id FROM zoo WHERE a_date >= date '1990-01-01'",
            "SELECT id, count(*) OVER () FROM zoo WHERE a_date >= date '1990-01-01'",
            "SELECT array_agg(id) FROM zoo WHERE a_date >= date '1990-01-01'",
            "SELECT count(*), string_agg(a_date::text, '') FROM zoo WHERE a_date >= date '1990-01-01'",
            "SELECT DISTINCT ON (a_date) id FROM zoo WHERE a_date >= date '1990-01-01'",
            "SELECT count(*) FROM (SELECT id FROM zoo WHERE a_date >= date '1990-01-01' LIMIT 5) AS few",
        ] {
            let sql = zoo.rewritten("year", "care", alone).unwrap();
            assert!(!sql.contains("0002-01-01"), "{sql}");
        }
    });
}

#[test]
fn explain_policy_says_that_a_comparison_with_a_pseudonym_reads_every_row() {
    run(async |zoo: Zoo| {
        let told = |mask: &str, condition: &str, more: &str| {
            let policy = policy(mask, "care") + more;
            let policies = PolicySet::from_sources(&[("zoo.toml".to_owned(), policy)]).unwrap();
            let sql = format!("EXPLAIN POLICY SELECT id FROM zoo WHERE {condition}");
            zoo.rewritten_under(&policies, "care", &sql).unwrap()
        };
        let said = "makes the pseudonym of every row: `lookup = [\"all\"]`";
        assert!(told("token", "a_text = 'Thandi'", "").contains(said));
        assert!(
            !told("token", "a_text = 'Thandi'", "lookup = [\"all\"]\n").contains(said),
            "the raw value is compared"
        );
        assert!(!told("token", "a_text IS NULL", "").contains(said));
        assert!(!told("first(1)", "a_text = 'T*****'", "").contains(said));
    });
}
