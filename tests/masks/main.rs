//! Every mask over every type that it fits, on a real server: the type stays, NULL stays NULL, no value fails.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    missing_docs
)]

#[path = "../support/mod.rs"]
mod support;

mod edges;
mod hostile;
mod keep;
mod operators;
mod orm;
mod ranges;

use std::collections::{BTreeMap, BTreeSet};

use pgpurpose::catalog::load_catalog;
use pgpurpose::policy::PolicySet;
use pgpurpose::sql::{Context, TokenKey, enforce, on_parser_stack};
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

const TABLE: &str = r#"
    CREATE EXTENSION citext;
    CREATE TYPE mood AS ENUM ('sad', 'fine');
    CREATE TYPE pair AS (a integer, b text);
    CREATE DOMAIN short_text AS varchar(12);
    CREATE DOMAIN checked AS varchar(30) CHECK (VALUE !~ '[*_]');
    CREATE DOMAIN checked_again AS checked CHECK (length(VALUE) < 25);
    CREATE DOMAIN count_of AS smallint CHECK (VALUE <> 0 AND VALUE > -100);
    CREATE TABLE zoo (
        id bigint PRIMARY KEY, a_text text, a_varchar varchar(20), a_char char(6), a_citext citext, a_domain short_text,
        a_checked checked_again, a_smallint smallint, an_integer integer, a_bigint bigint, a_count count_of,
        a_numeric numeric(12,2), a_free_numeric numeric, a_real real,
        a_double double precision, a_date date, a_timestamp timestamp(3), a_timestamptz timestamptz(0), a_uuid uuid,
        a_bool boolean, a_mood mood, a_json json, a_jsonb jsonb, an_array text[], a_pair pair, some_bytes bytea,
        an_inet inet, a_cidr cidr);
    INSERT INTO zoo VALUES
        (1, 'Thandi', 'thandi@example.co.za', 'abc', 'Sipho@Example.org', 'Durban', 'thandi@example.org', 1234, 123456,
         1234567890123, 99, 1234.56, 1234.5678, 1234.5, 1234.5, '1990-05-17', '1990-05-17 12:34:56', '1990-05-17 12:34:56+00',
         'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', true, 'fine', '{"a": 1, "c": 2}', '{"a": 1, "c": 2}', '{x,y}', '(1,x)',
         '\xdead', '10.0.0.1', '10.0.0.0/8'),
        (2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
         NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
        (3, '', 'no at sign', '', '@', 'x', '', -32768, -2147483648, -9223372036854775808, -99, 'NaN', 'NaN', 'NaN', 'NaN',
         'infinity', 'infinity', 'infinity', '00000000-0000-0000-0000-000000000000', false, 'sad', '[]', '[]', '{}', '(,)',
         '', '::1', '2001:db8::/32'),
        (4, 'é', 'a@b@c.d', 'é', 'x@y', '''', 'a@b@c.d', 32767, 2147483647, 9223372036854775807, 32767, 9999999999.99, 1e200,
         '-infinity', '-infinity', '-infinity', '-infinity', '-infinity', 'ffffffff-ffff-ffff-ffff-ffffffffffff', NULL,
         NULL, 'null', 'null', '{NULL}', NULL, NULL, '10.1.2.3/8', '2001:db8:1:2::/64'),
        (5, 'Thandi', 'Thandi', 'Thandi', 'Thandi', 'Thandi', 'Thandi', 0, 0, 0, 1, -9999999999.99, 0, 3.4e38, 1.7e308,
         '5000000-01-01', '294276-12-31', '294276-12-31', NULL, NULL, NULL, NULL, '"a"', NULL, NULL, NULL,
         '2001:db8:1:2:3::4', '0.0.0.0/0'),
        (6, '+27 82 123 4567', '8502035800086', '8001', '2012/123456/07', '1234567890', '4111 1111 1111 1111', 1, 1, 1, 1, 1, 1,
         -3.4e38, -1.7e308, '4714-11-24 BC', '4714-11-24 BC', '4714-11-24 BC', NULL, NULL, NULL, NULL, '{"a": null, "b": {"c": 1}}',
         NULL, NULL, NULL, NULL, NULL),
        (7, 'https://u:p@example.org:80/p?q#f', '10.1.2.3', '12', '2001:db8:1:2::3', '29', '1, Long St, Durban', -1, -1, -1, -1,
         -1, -1, 1e-40, 5e-324, '0001-01-01 BC', '0001-01-01 BC', '0001-01-01 BC', NULL, NULL, NULL, NULL, '{}', NULL, NULL,
         NULL, NULL, NULL),
        (8, E'Flat 3\r\n12 Long Street\nGardens\nCape Town\n8001', 'http://[::1]/', '  ', ',,,', '-29', '()', 7, 7, 7, 7,
         7, 7, 7, 7, '0001-01-01', '0001-01-01', '0001-01-01', NULL, NULL, NULL, NULL, '1', NULL, NULL, NULL, NULL, NULL),
        (9, repeat('9', 5000), '99999999999999999999', '%_\\', '$1', '0', '-', 7, 7, 7, 7, 7, 7, 7, 7, '9999-12-31',
         '9999-12-31 23:59:59', '9999-12-31 23:59:59', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
"#;

/// Columns by the class of their type.
const TEXTS: &[&str] = &["a_text", "a_varchar", "a_char", "a_citext", "a_domain", "a_checked"];
const INTEGERS: &[&str] = &["a_smallint", "an_integer", "a_bigint", "a_count"];
const NUMBERS: &[&str] = &["a_numeric", "a_free_numeric", "a_real", "a_double"];
const TIMES: &[&str] = &["a_timestamp", "a_timestamptz"];
const DATE: &[&str] = &["a_date"];
const UUID: &[&str] = &["a_uuid"];
const ADDRESSES: &[&str] = &["an_inet", "a_cidr"];
const JSONB: &[&str] = &["a_jsonb"];
const OTHERS: &[&str] = &["a_bool", "a_mood", "a_json", "an_array", "a_pair", "some_bytes"];
const ALL: &[&[&str]] = &[TEXTS, INTEGERS, NUMBERS, TIMES, DATE, UUID, ADDRESSES, JSONB, OTHERS];

/// Masks, and the columns whose type each fits: those, and no others.
const FITS: &[(&str, &[&[&str]])] = &[
    ("null", ALL),
    ("fixed(gone)", &[TEXTS]),
    ("first(2)", &[TEXTS]),
    ("last(2)", &[TEXTS]),
    ("partial(1, xx, 1)", &[TEXTS]),
    ("email", &[TEXTS]),
    ("range(10)", &[TEXTS]),
    ("name", &[TEXTS]),
    ("name(given)", &[TEXTS]),
    ("name(family)", &[TEXTS]),
    ("sa_id", &[TEXTS]),
    ("sa_id(year, sex)", &[TEXTS]),
    ("phone", &[TEXTS]),
    ("phone(area)", &[TEXTS]),
    ("account", &[TEXTS]),
    ("card", &[TEXTS]),
    ("address(suburb)", &[TEXTS]),
    ("address(town)", &[TEXTS]),
    ("postal_area", &[TEXTS]),
    ("tax_number", &[TEXTS]),
    ("company_number", &[TEXTS]),
    ("host", &[TEXTS]),
    ("network", &[TEXTS, ADDRESSES]),
    ("hour", &[TIMES]),
    ("day", &[TIMES]),
    ("week", &[TIMES, DATE]),
    ("month", &[TIMES, DATE]),
    ("quarter", &[TIMES, DATE]),
    ("year", &[TIMES, DATE]),
    ("decade", &[TIMES, DATE]),
    ("noise(3 days)", &[TIMES, DATE]),
    ("noise(3 hours)", &[TIMES]),
    ("shift(30 days)", &[TIMES, DATE]),
    ("band(100)", &[INTEGERS, NUMBERS]),
    ("steps(-5, 0, 100000)", &[INTEGERS, NUMBERS]),
    ("noise(100%)", &[INTEGERS, NUMBERS]),
    ("token", &[TEXTS, UUID, INTEGERS]),
    ("keys(a, b)", &[JSONB]),
];

fn policy(mask: &str, purpose: &str) -> String {
    let columns: Vec<String> =
        ALL.iter().flat_map(|columns| *columns).map(|column| format!("{column} = \"all\"")).collect();
    let columns = format!("columns = {{ id = \"open\", {} }}", columns.join(", "));
    format!(
        r#"
version = 1
[tables."public.zoo"]
subject = "id"
{columns}
[purposes.{purpose}]
basis = "contract"
[roles.keeper]
logins = ["keeper"]
purposes = ["{purpose}"]
[[rules]]
name = "masks"
roles = ["keeper"]
purposes = ["{purpose}"]
read = ["open"]
mask = {{ all = '{mask}' }}
"#
    )
}

fn policies(mask: &str, purpose: &str) -> PolicySet {
    PolicySet::from_sources(&[("zoo.toml".to_owned(), policy(mask, purpose))]).unwrap()
}

struct Zoo {
    _cluster: pgpurpose::cluster::Cluster,
    client: Client,
    catalog: pgpurpose::catalog::Catalog,
}

impl Zoo {
    async fn open() -> Self {
        Self::with(TABLE).await
    }

    async fn with(table: &str) -> Self {
        let cluster = support::own_cluster();
        let mut config = tokio_postgres::Config::new();
        config.host_path(cluster.socket_dir()).port(cluster.port()).user("postgres").dbname("postgres");
        let (mut client, connection) = config.connect(NoTls).await.unwrap();
        tokio::spawn(connection);
        client.batch_execute(table).await.unwrap();
        client.batch_execute("SET timezone = 'UTC'").await.unwrap();
        let key = TokenKey::from_hex(&"5a".repeat(32)).unwrap();
        for purpose in ["care", "study"] {
            for (name, value) in key.settings(purpose) {
                client.batch_execute(&format!("SET {name} = '{value}'")).await.unwrap();
            }
        }
        let catalog = load_catalog(&mut client, 1).await.unwrap();
        Self { _cluster: cluster, client, catalog }
    }

    /// What the statement becomes; the refusal's message where it is refused.
    fn rewritten(&self, mask: &str, purpose: &str, sql: &str) -> Result<String, String> {
        self.rewritten_under(&policies(mask, purpose), purpose, sql)
    }

    fn rewritten_under(&self, policies: &PolicySet, purpose: &str, sql: &str) -> Result<String, String> {
        let path = ["public".to_owned()];
        let context = Context::new(&self.catalog, policies, "keeper", purpose, &path, jiff::civil::date(2026, 11, 22));
        match on_parser_stack(|| enforce(sql, &context)).unwrap() {
            Ok(enforced) => Ok(enforced.text().to_owned()),
            Err(refused) => Err(format!("{} {:?}", refused.refusal.message, refused.refusal.detail)),
        }
    }

    async fn rows(&self, sql: &str) -> Vec<Vec<Option<String>>> {
        let messages = self.client.simple_query(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
        messages
            .into_iter()
            .filter_map(|message| match message {
                SimpleQueryMessage::Row(row) => Some((0..row.len()).map(|at| row.get(at).map(str::to_owned)).collect()),
                _ => None,
            })
            .collect()
    }

    async fn seen(&self, mask: &str, purpose: &str, column: &str) -> Vec<Option<String>> {
        let sql = self.rewritten(mask, purpose, &format!("SELECT {column} FROM zoo ORDER BY id")).unwrap();
        self.rows(&sql).await.into_iter().map(|row| row[0].clone()).collect()
    }
}

fn run(test: impl AsyncFnOnce(Zoo)) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { test(Zoo::open().await).await });
}

#[test]
fn a_mask_keeps_the_type_keeps_null_and_fails_on_no_value() {
    run(async |zoo: Zoo| {
        for (mask, classes) in FITS {
            let columns = classes.concat().join(", ");
            let plain = format!("SELECT {columns} FROM zoo ORDER BY id");
            let masked = zoo.rewritten(mask, "care", &plain).unwrap();
            let prepared = zoo.client.prepare(&masked).await.unwrap_or_else(|error| panic!("{mask}: {error:?}"));
            let types = |prepared: &tokio_postgres::Statement| -> Vec<_> {
                let columns = prepared.columns().iter();
                columns.map(|column| (column.type_().clone(), column.type_modifier())).collect()
            };
            let (types, wanted) = (types(&prepared), types(&zoo.client.prepare(&plain).await.unwrap()));
            assert_eq!(types, wanted, "{mask}");
            let (masked, plain) = (zoo.rows(&masked).await, zoo.rows(&plain).await);
            assert_eq!(masked.len(), 9, "{mask}");
            for (number, (masked, plain)) in masked.iter().zip(&plain).enumerate() {
                for (at, (masked, plain)) in masked.iter().zip(plain).enumerate() {
                    let nulls = plain.is_none() && masked.is_some();
                    assert!(!nulls, "{mask} makes a value of NULL in row {number} of {}", classes.concat()[at]);
                }
            }
        }
    });
}

#[test]
fn a_mask_that_does_not_fit_closes_the_column_and_is_told_at_load() {
    run(async |zoo: Zoo| {
        for (mask, classes) in FITS {
            let policies = policies(mask, "care");
            let told: Vec<String> = policies
                .check_against(&zoo.catalog)
                .iter()
                .filter(|fault| fault.is_error())
                .map(ToString::to_string)
                .collect();
            for columns in ALL {
                for column in *columns {
                    let fits = classes.contains(columns);
                    let named = told.iter().any(|fault| fault.contains(&format!("`public.zoo.{column}`")));
                    assert_ne!(fits, named, "{mask} over {column}: {told:?}");
                }
                let (column, fits) = (columns[0], classes.contains(columns));
                if !fits {
                    let refused = zoo.rewritten_under(&policies, "care", &format!("SELECT {column} FROM zoo"));
                    let reason = refused.expect_err(&format!("{mask} over {column}"));
                    assert!(
                        reason.contains(column) && reason.contains("does not fit"),
                        "{mask} over {column}: {reason}"
                    );
                }
            }
        }
    });
}

/// What a client may set must not make a mask say more.
const SETTINGS: &[&str] = &[
    "SET timezone = '<x>+167'",
    "SET timezone = '<x>-13:37'",
    "SET timezone = 'Africa/Johannesburg'; SET datestyle = 'SQL, DMY'",
    "SET datestyle = 'German'; SET extra_float_digits = -15; SET bytea_output = 'escape'; SET intervalstyle = 'iso_8601'",
];

#[test]
fn no_setting_of_the_session_changes_what_a_mask_shows() {
    run(async |zoo: Zoo| {
        // Compared in a form that settings do not change.
        let sent = |column: &str| match column {
            "a_timestamptz" => format!("encode(timestamptz_send({column}), 'hex')"),
            "a_timestamp" => format!("encode(timestamp_send({column}), 'hex')"),
            "a_date" => format!("encode(date_send({column}), 'hex')"),
            "a_real" => format!("encode(float4send({column}), 'hex')"),
            "a_double" => format!("encode(float8send({column}), 'hex')"),
            _ => column.to_owned(),
        };
        let changing = ["null", "some_bytes"];
        for (mask, classes) in FITS.iter().filter(|(mask, _)| !changing.contains(mask)) {
            let columns = classes.concat();
            let sql =
                zoo.rewritten(mask, "care", &format!("SELECT {} FROM zoo ORDER BY id", columns.join(", "))).unwrap();
            let outputs: Vec<String> = columns.iter().map(|column| sent(column)).collect();
            let sql = format!("SELECT {} FROM ({sql}) AS x", outputs.join(", "));
            let before = zoo.rows(&sql).await;
            for setting in SETTINGS {
                zoo.client.batch_execute(setting).await.unwrap();
                assert_eq!(zoo.rows(&sql).await, before, "{mask} after {setting}");
                zoo.client.batch_execute(RESET).await.unwrap();
            }
        }
    });
}

/// Ends them.
const RESET: &str =
    "SET timezone = 'UTC'; RESET datestyle; RESET extra_float_digits; RESET bytea_output; RESET intervalstyle";

#[test]
fn what_masks_show() {
    run(async |zoo: Zoo| {
        for (mask, column, want) in [
            ("first(2)", "a_text", "Th****"),
            ("last(2)", "a_text", "****di"),
            ("first(2)", "a_varchar", "th******************"),
            ("email", "a_varchar", "t***@e***.za"),
            ("email", "a_citext", "S***@E***.org"),
            ("fixed(gone)", "a_text", "gone"),
            ("year", "a_date", "1990-01-01"),
            ("month", "a_date", "1990-05-01"),
            ("month", "a_timestamp", "1990-05-01 00:00:00"),
            ("year", "a_timestamptz", "1990-01-01 00:00:00+00"),
            ("band(100)", "an_integer", "123400"),
            ("band(100)", "a_numeric", "1200.00"),
            ("band(100)", "a_double", "1200"),
        ] {
            assert_eq!(zoo.seen(mask, "care", column).await[0].as_deref(), Some(want), "{mask} over {column}");
        }
        // A value that is not longer than what is shown, and one that is no address, show nothing of themselves.
        assert_eq!(zoo.seen("first(2)", "care", "a_text").await[3].as_deref(), Some("*"));
        let addresses = zoo.seen("email", "care", "a_varchar").await;
        assert_eq!(addresses[2].as_deref(), Some("n***@***"));
        assert_eq!(addresses[4].as_deref(), Some("T***@***"));
    });
}

#[test]
fn pseudonyms_are_stable_within_a_purpose_and_cannot_be_linked_across_purposes() {
    run(async |zoo: Zoo| {
        for column in ["a_text", "a_varchar", "a_uuid", "an_integer", "a_bigint"] {
            let (care, again, study) = (
                zoo.seen("token", "care", column).await,
                zoo.seen("token", "care", column).await,
                zoo.seen("token", "study", column).await,
            );
            assert_eq!(care, again, "{column}");
            assert_ne!(care[0], study[0], "{column}");
            assert_ne!(care[0], care[2], "{column}");
        }
        let text = zoo.seen("token", "care", "a_text").await;
        assert_eq!(text[0], text[4], "equal values have equal pseudonyms");
        let sql = zoo.rewritten("token", "care", "SELECT a_text FROM zoo").unwrap();
        assert!(!sql.contains(&"5a".repeat(4)), "no key stands in the text");
    });
}

#[test]
fn noise_is_bounded_and_the_same_at_every_asking_and_another_for_each_subject() {
    let rows = "CREATE TABLE zoo (id bigint, an_integer integer, a_date date, a_timestamptz timestamptz);
        INSERT INTO zoo SELECT i, 1000, '2000-06-15', '2000-06-15 12:00+00' FROM generate_series(1, 500) i;
        INSERT INTO zoo SELECT i, 1000, '2000-06-25', '2000-06-15 12:00+00' FROM generate_series(1, 500) i;";
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let zoo = Zoo::with(rows).await;
        let numbers = async |mask: &str, sql: &str| -> Vec<i64> {
            let sql = zoo.rewritten(mask, "care", sql).unwrap();
            zoo.rows(&sql).await.into_iter().map(|row| row[0].as_deref().unwrap().parse().unwrap()).collect()
        };
        for (mask, sql, least, greatest) in [
            ("noise(10%)", "SELECT an_integer FROM zoo ORDER BY id, an_integer", 900, 1100),
            ("noise(30 days)", "SELECT a_date - date '2000-06-15' FROM zoo WHERE a_date < '2000-07-25' ORDER BY id, 1", -30, 40),
            (
                "noise(2 hours)",
                "SELECT EXTRACT(epoch FROM a_timestamptz - timestamptz '2000-06-15 12:00+00')::int FROM zoo ORDER BY id, 1",
                -7200,
                7200,
            ),
        ] {
            let shown = numbers(mask, sql).await;
            assert_eq!(shown, numbers(mask, sql).await, "{mask} is the same again");
            assert!(shown.iter().all(|value| (least..=greatest).contains(value)), "{mask}: {shown:?}");
            let span = greatest - least;
            assert!(shown.iter().any(|value| *value < least + span / 10), "{mask} reaches its lower end");
            assert!(shown.iter().any(|value| *value > greatest - span / 10), "{mask} reaches its upper end");
        }
        // Two rows of one subject with one value are moved alike: no second sample.
        let pairs = numbers("noise(10%)", "SELECT count(DISTINCT an_integer) FROM zoo GROUP BY id").await;
        assert!(pairs.iter().all(|count| *count == 1));

        let apart = numbers("shift(30 days)", "SELECT max(a_date) - min(a_date) FROM zoo GROUP BY id").await;
        assert_eq!(apart.len(), 500);
        assert!(apart.iter().all(|days| *days == 10), "a subject's dates keep their distance: {apart:?}");
        let shifts = numbers("shift(30 days)", "SELECT min(a_date) - date '2000-06-15' FROM zoo GROUP BY id").await;
        assert!(shifts.iter().all(|days| (-30..=30).contains(days) && *days != 0), "{shifts:?}");
        assert!(shifts.contains(&-30) && shifts.contains(&30), "both ends are reached");
    });
}

#[test]
fn noise_shows_no_whole_number_as_it_is_however_small() {
    // The value stands in the key too, which is open: 10 more, and a thousand subjects of each.
    let rows = "CREATE TABLE zoo (id bigint, a_smallint smallint, an_integer integer, a_bigint bigint, a_numeric numeric(12, 2),
            a_free_numeric numeric, a_real real, a_double double precision);
        INSERT INTO zoo SELECT (v + 10) * 1000 + i, v, v, v, v, v, v, v FROM generate_series(-3, 12) v, generate_series(1, 200) i;
        INSERT INTO zoo (id, a_smallint) SELECT 32777000 + i, 32767 FROM generate_series(1, 50) i;
        INSERT INTO zoo (id, a_smallint) SELECT -32758000 + i, -32768 FROM generate_series(1, 50) i;";
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let zoo = Zoo::with(rows).await;
        for percent in [1, 10, 100] {
            for column in ["a_smallint", "an_integer", "a_bigint", "a_numeric", "a_free_numeric", "a_real", "a_double"] {
                let sql = format!(
                    "SELECT floor(id / 1000.0)::int - 10, round({column}::numeric)::int, {column}::text FROM zoo WHERE {column} IS NOT NULL"
                );
                let sql = zoo.rewritten(&format!("noise({percent}%)"), "care", &sql).unwrap();
                let mut shown: BTreeMap<i64, BTreeSet<i64>> = BTreeMap::new();
                for row in zoo.rows(&sql).await {
                    let number = |at: usize| row[at].as_deref().unwrap().parse::<i64>().unwrap();
                    let (value, rounded) = (number(0), number(1));
                    assert_ne!(value, rounded, "{column}, {percent} %: shown as {:?}", row[2]);
                    assert!(value < 0 || rounded >= 0, "{column}: {value} became {rounded}");
                    shown.entry(value).or_default().insert(rounded);
                }
                assert!(shown.len() >= 16 && shown.values().all(|several| several.len() > 1), "{column}: {shown:?}");
            }
        }
    });
}

#[test]
fn a_pseudonym_without_its_key_fails_and_shows_nothing() {
    run(async |zoo: Zoo| {
        let sql = zoo.rewritten("token", "nokey", "SELECT a_text FROM zoo").unwrap();
        let error = zoo.client.simple_query(&sql).await.expect_err("there is no key");
        assert_eq!(error.code().unwrap().code(), "42704");
    });
}

/// The rows of the table on the page: mask, type, in, out.
fn examples() -> Vec<(String, String, String, Option<String>)> {
    let page = include_str!("../../docs/masks.md");
    let rows =
        page.lines().skip_while(|line| !line.starts_with("| mask |")).skip(2).take_while(|line| line.starts_with('|'));
    let code = |cell: &str| cell.trim().strip_prefix('`').and_then(|cell| cell.strip_suffix('`')).map(str::to_owned);
    rows.map(|row| {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").collect();
        assert_eq!(cells.len(), 5, "{row}");
        let mask = code(cells[0]).unwrap();
        let ty = match cells[1].trim().split(", ").next().unwrap() {
            "any" | "texts" => "text",
            "dates" => "date",
            "timestamps" => "timestamp",
            "numbers" => "numeric",
            "`inet`" => "inet",
            "`jsonb`" => "jsonb",
            other => panic!("what is {other}?"),
        };
        (mask, ty.to_owned(), code(cells[2]).unwrap(), code(cells[3]))
    })
    .collect()
}

#[test]
fn the_table_in_the_documentation_is_what_postgresql_shows() {
    let examples = examples();
    assert!(examples.len() > 35);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let columns: Vec<String> = examples.iter().enumerate().map(|(at, (_, ty, ..))| format!("c{at} {ty}")).collect();
        let values: Vec<String> = examples.iter().map(|(_, _, value, _)| format!("'{value}'")).collect();
        let table = format!(
            "CREATE TABLE zoo (id bigint, {}); INSERT INTO zoo VALUES (1, {})",
            columns.join(", "),
            values.join(", ")
        );
        let zoo = Zoo::with(&table).await;
        let masks: Vec<String> =
            examples.iter().enumerate().map(|(at, (mask, ..))| format!("\"public.zoo.c{at}\" = '{mask}'")).collect();
        let columns: Vec<String> = (0..examples.len()).map(|at| format!("c{at} = 'all'")).collect();
        let text = policy("null", "care");
        let (before, after) = (text.split("columns = ").next().unwrap(), text.split("[purposes").nth(1).unwrap());
        let rest = after.replace("{ all = 'null' }", &format!("{{ {} }}", masks.join(", ")));
        let text = format!("{before}columns = {{ id = 'open', {} }}\n[purposes{rest}", columns.join(", "));
        let policies = PolicySet::from_sources(&[("zoo.toml".to_owned(), text)]).unwrap();
        let names: Vec<String> = (0..examples.len()).map(|at| format!("c{at}")).collect();
        let sql = zoo.rewritten_under(&policies, "care", &format!("SELECT {} FROM zoo", names.join(", "))).unwrap();
        let shown = zoo.rows(&sql).await.remove(0);
        let wrong: Vec<String> = examples
            .iter()
            .zip(&shown)
            .filter(|((.., out), shown)| out != *shown)
            .map(|((mask, _, value, out), shown)| format!("{mask} of {value}: {out:?} on the page, {shown:?} shown"))
            .collect();
        assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    });
}
