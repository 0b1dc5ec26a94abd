//! What is taken and what is not, and how it is written.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::*;
use crate::catalog::{CatalogBuilder, RelationName};

fn written(text: &str) -> Result<String, String> {
    let name = RelationName::new("w", "consents");
    let mut builder = CatalogBuilder::new();
    let columns = [
        ("granted", "boolean"),
        ("status", "text"),
        ("n", "integer"),
        ("share", "double precision"),
        ("day", "date"),
        ("at", "timestamp without time zone"),
        ("moment", "timestamp with time zone"),
        ("period", "interval"),
        ("clock", "time without time zone"),
        ("price", "money"),
        ("doc", "jsonb"),
        ("key", "uuid"),
    ];
    builder.table(name.clone(), &columns, &[]);
    let catalog = builder.build();
    condition("active", text, catalog.relation(&name).unwrap(), "c", &catalog).map_err(|fail| fail.message)
}

#[test]
fn what_means_the_same_under_every_setting_is_taken() {
    for text in [
        "granted",
        "granted AND moment IS NULL",
        "granted AND (moment IS NULL OR moment > now())",
        "day >= current_date",
        "day >= current_date - 3 AND day < '2030-01-31'",
        "at > now() - '2 years'::interval",
        "moment > current_timestamp - interval '30 days'",
        "moment > '2026-01-01 10:00'",
        "moment > '2026-01-01T10:00:00+02:00'::timestamptz",
        "moment > timestamptz '2026-01-01 10:00Z'",
        "(moment AT TIME ZONE 'Africa/Johannesburg')::date >= (now() AT TIME ZONE 'Africa/Johannesburg')::date",
        "at AT TIME ZONE 'UTC' > now()",
        "moment + period > now()",
        "date_trunc('month', day) <= date_trunc('month', now())",
        "extract(year FROM moment) = 2026",
        "age(day, current_date) < interval '1 year'",
        "status IN ('live', 'given') AND lower(btrim(status)) <> 'x'",
        "coalesce(n, 0) > 3 AND n % 2 = 0",
        "key = '00000000-0000-0000-0000-000000000000'",
        "btrim(moment::text) <> ''",
        "btrim(doc::text) <> ''",
        "n::text = '3'",
        "CASE WHEN granted THEN day ELSE date '2026-01-01' END > current_date",
        "share > 0.5",
        "day BETWEEN '2026-01-01' AND current_date",
        "status LIKE 'l%'",
        "moment IS DISTINCT FROM at",
    ] {
        assert!(written(text).is_ok(), "{text}: {:?}", written(text));
    }
}

#[test]
fn what_a_setting_gives_a_meaning_to_is_not() {
    for text in [
        "day > '01/02/2026'",
        "day > 'today'",
        "moment > 'now'",
        "moment > '2026-01-01 10:00 SAST'",
        "at > '2026-01-01 10:00+02'",
        "day::text > '2026-01-01'",
        "moment::text <> '2026-01-01'",
        "moment::text = status",
        "status::date > current_date",
        "status::timestamptz > now()",
        "to_char(moment, 'TMDay') = 'Monday'",
        "to_date(status, 'YYYY') > current_date",
        "period > '-1 2:00'",
        "period = '1-2'",
        "period::text = '1 day'",
        "share::text = '0.5'",
        "price > '$3'",
        "clock > current_time",
        "clock > '10:00'",
        "now() AT TIME ZONE 'SAST' > at",
        "now() AT TIME ZONE status > at",
        "status = current_schema",
        "status = current_setting('app.x')",
        "age(day) < interval '1 year'",
        "status::regclass = n",
        "doc = '{}'",
        "concat(day, '') = '2026-01-01'",
        "format('%s', day) = '2026-01-01'",
        "nosuch",
        "day",
        "coalesce('01/02/2026', day) > current_date",
        "greatest('today', day) > current_date",
    ] {
        assert!(written(text).is_err(), "{text}: {:?}", written(text));
    }
}

#[test]
fn moments_become_south_africas_time() {
    let text = written("moment > now() AND day >= current_date AND moment::date > day").unwrap();
    let at = "pg_catalog.timezone('02:00'::pg_catalog.interval, ";
    assert_eq!(text.matches(at).count(), 2, "{text}");
    assert!(!text.contains("current_date") && !text.contains("now()"), "{text}");
}
