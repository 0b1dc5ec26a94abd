//! Every mask over every type that it fits, on a real server: the type stays, NULL stays NULL, no value fails.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use pgpurpose::catalog::load_catalog;
use pgpurpose::policy::PolicySet;
use pgpurpose::sql::{Context, TokenKey, enforce, on_parser_stack};
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

const TABLE: &str = r#"
    CREATE EXTENSION citext;
    CREATE TYPE mood AS ENUM ('sad', 'fine');
    CREATE TYPE pair AS (a integer, b text);
    CREATE DOMAIN short_text AS varchar(12);
    CREATE TABLE zoo (
        id bigint PRIMARY KEY, a_text text, a_varchar varchar(20), a_char char(6), a_citext citext, a_domain short_text,
        a_smallint smallint, an_integer integer, a_bigint bigint, a_numeric numeric(12,2), a_real real,
        a_double double precision, a_date date, a_timestamp timestamp, a_timestamptz timestamptz, a_uuid uuid,
        a_bool boolean, a_mood mood, a_json json, a_jsonb jsonb, an_array text[], a_pair pair, some_bytes bytea,
        an_inet inet);
    INSERT INTO zoo VALUES
        (1, 'Thandi', 'thandi@example.co.za', 'abc', 'Sipho@Example.org', 'Durban', 1234, 123456, 1234567890123, 1234.56,
         1234.5, 1234.5, '1990-05-17', '1990-05-17 12:34:56', '1990-05-17 12:34:56+00',
         'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', true, 'fine', '{"a": 1}', '{"a": 1}', '{x,y}', '(1,x)', '\xdead', '10.0.0.1'),
        (2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
         NULL, NULL, NULL, NULL),
        (3, '', 'no at sign', '', '@', 'x', -32768, -2147483648, -9223372036854775808, 'NaN', 'NaN', 'NaN', 'infinity',
         'infinity', 'infinity', '00000000-0000-0000-0000-000000000000', false, 'sad', '[]', '[]', '{}', '(,)', '', '::1'),
        (4, 'é', 'a@b@c.d', 'é', 'x@y', '''', 32767, 2147483647, 9223372036854775807, 9999999999.99, '-infinity', '-infinity',
         '-infinity', '-infinity', '-infinity', 'ffffffff-ffff-ffff-ffff-ffffffffffff', NULL, NULL, 'null', 'null',
         '{NULL}', NULL, NULL, NULL),
        (5, 'Thandi', 'Thandi', 'Thandi', 'Thandi', 'Thandi', 0, 0, 0, 0, 0, 0, '5000000-01-01', '0001-01-01 BC',
         '0001-01-01 BC', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
"#;

/// Masks, and the columns whose type each fits.
const FITS: &[(&str, &[&str])] = &[
    (
        "null",
        &[
            "a_text",
            "a_varchar",
            "a_char",
            "a_citext",
            "a_domain",
            "a_smallint",
            "an_integer",
            "a_bigint",
            "a_numeric",
            "a_real",
            "a_double",
            "a_date",
            "a_timestamp",
            "a_timestamptz",
            "a_uuid",
            "a_bool",
            "a_mood",
            "a_json",
            "a_jsonb",
            "an_array",
            "a_pair",
            "some_bytes",
            "an_inet",
        ],
    ),
    ("fixed(gone)", &["a_text", "a_varchar", "a_char", "a_citext", "a_domain"]),
    ("first(2)", &["a_text", "a_varchar", "a_char", "a_citext", "a_domain"]),
    ("last(2)", &["a_text", "a_varchar", "a_char", "a_citext", "a_domain"]),
    ("email", &["a_text", "a_varchar", "a_citext", "a_domain"]),
    ("year", &["a_date", "a_timestamp", "a_timestamptz"]),
    ("month", &["a_date", "a_timestamp", "a_timestamptz"]),
    ("band(100)", &["a_smallint", "an_integer", "a_bigint", "a_numeric", "a_real", "a_double"]),
    ("token", &["a_text", "a_varchar", "a_citext", "a_uuid", "a_smallint", "an_integer", "a_bigint"]),
];

fn policy(mask: &str, purpose: &str) -> String {
    format!(
        r#"
version = 1
[tables."public.zoo"]
columns = {{ id = "open", a_text = "all", a_varchar = "all", a_char = "all", a_citext = "all", a_domain = "all", a_smallint = "all", an_integer = "all", a_bigint = "all", a_numeric = "all", a_real = "all", a_double = "all", a_date = "all", a_timestamp = "all", a_timestamptz = "all", a_uuid = "all", a_bool = "all", a_mood = "all", a_json = "all", a_jsonb = "all", an_array = "all", a_pair = "all", some_bytes = "all", an_inet = "all" }}
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
mask = {{ all = "{mask}" }}
"#
    )
}

struct Zoo {
    _cluster: pgpurpose::cli::cluster::Cluster,
    client: Client,
    catalog: pgpurpose::catalog::Catalog,
}

impl Zoo {
    async fn open() -> Self {
        let cluster = support::own_cluster();
        let mut config = tokio_postgres::Config::new();
        config.host_path(cluster.socket_dir()).port(cluster.port()).user("postgres").dbname("postgres");
        let (mut client, connection) = config.connect(NoTls).await.unwrap();
        tokio::spawn(connection);
        client.batch_execute(TABLE).await.unwrap();
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
        let policies = PolicySet::from_sources(&[("zoo.toml".to_owned(), policy(mask, purpose))]).unwrap();
        let context = Context {
            catalog: &self.catalog,
            policies: &policies,
            login: "keeper",
            purpose,
            search_path: &["public".to_owned()],
            today: jiff::civil::date(2026, 11, 22),
            observe: false,
        };
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
        for (mask, columns) in FITS {
            for column in *columns {
                let masked = zoo.rewritten(mask, "care", &format!("SELECT {column} FROM zoo ORDER BY id")).unwrap();
                let plain = format!("SELECT {column} FROM zoo ORDER BY id");
                let (masked_type, plain_type) =
                    (zoo.client.prepare(&masked).await.unwrap(), zoo.client.prepare(&plain).await.unwrap());
                let (masked_type, plain_type) = (masked_type.columns()[0].type_(), plain_type.columns()[0].type_());
                assert_eq!(masked_type, plain_type, "{mask} over {column}");
                let (masked, plain) = (zoo.rows(&masked).await, zoo.rows(&plain).await);
                assert_eq!(masked.len(), 5, "{mask} over {column}");
                for (masked, plain) in masked.iter().zip(&plain) {
                    if plain[0].is_none() && !mask.starts_with("fixed") {
                        assert_eq!(masked[0], None, "{mask} over {column} makes a value of NULL");
                    }
                }
            }
        }
    });
}

#[test]
fn a_mask_that_does_not_fit_closes_the_column() {
    run(async |zoo: Zoo| {
        for (mask, columns) in FITS {
            for (_, others) in FITS.iter().take(1) {
                for column in others.iter().filter(|column| !columns.contains(column)) {
                    // `char(n)` pads, so that an address or a pseudonym may be cut; it is text all the same.
                    if *column == "a_char" || *column == "a_domain" {
                        continue;
                    }
                    let refused = zoo.rewritten(mask, "care", &format!("SELECT {column} FROM zoo"));
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
fn a_pseudonym_without_its_key_fails_and_shows_nothing() {
    run(async |zoo: Zoo| {
        let sql = zoo.rewritten("token", "nokey", "SELECT a_text FROM zoo").unwrap();
        let error = zoo.client.simple_query(&sql).await.expect_err("there is no key");
        assert_eq!(error.code().unwrap().code(), "42704");
    });
}
