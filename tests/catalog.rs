//! The snapshot against a real server.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing,
    clippy::string_slice
)]

#[path = "catalog/parts.rs"]
mod parts;
mod support;

use std::sync::Arc;
use std::time::{Duration, Instant};

use pgpurpose::catalog::{
    Catalog, CatalogStore, Function, FunctionKind, Relation, RelationKind, RelationName, Touched, TypeClass,
    Volatility, builtin, connect_plain,
};
use pgpurpose::cluster::Cluster;
use support::{direct, own_cluster, shop};

fn config(cluster: &Cluster, database: &str, user: &str) -> tokio_postgres::Config {
    let mut config = tokio_postgres::Config::new();
    config.host_path(cluster.socket_dir()).port(cluster.port()).user(user).dbname(database);
    config
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

fn load(cluster: &Cluster, database: &str, user: &str) -> Arc<Catalog> {
    runtime()
        .block_on(async { CatalogStore::open(connect_plain(config(cluster, database, user))).await.unwrap().current() })
}

#[track_caller]
fn relation<'a>(catalog: &'a Catalog, name: &str) -> &'a Arc<Relation> {
    catalog.relation(&name.parse::<RelationName>().unwrap()).unwrap_or_else(|| panic!("{name} is not there"))
}

#[track_caller]
fn function<'a>(catalog: &'a Catalog, schema: &str, name: &str) -> &'a Function {
    catalog.functions(name).iter().find(|function| function.schema == schema).unwrap_or_else(|| panic!("no {name}"))
}

fn names(catalog: &Catalog, oids: &[u32]) -> Vec<String> {
    let mut names: Vec<String> = oids
        .iter()
        .map(|&oid| catalog.relation_by_oid(oid).map_or_else(|| oid.to_string(), |relation| relation.name.to_string()))
        .collect();
    names.sort();
    names
}

const ZOO: &str = r#"
    CREATE EXTENSION IF NOT EXISTS citext;
    CREATE SCHEMA "Odd Schema";
    CREATE TYPE mood AS ENUM ('sad', 'fine');
    CREATE TYPE pair AS (a integer, b text);
    CREATE DOMAIN e_mail AS citext CHECK (VALUE ~ '@');
    CREATE DOMAIN work_mail AS e_mail;
    CREATE TABLE "Odd Schema"."Odd Table" (
        gone text, "Key" bigint, second integer, mail citext, work work_mail, short varchar(20), mood mood, pair pair,
        tags text[], moods mood[], document jsonb, doubled bigint GENERATED ALWAYS AS ("Key" * 2) STORED,
        PRIMARY KEY (second, "Key") INCLUDE (short));
    ALTER TABLE "Odd Schema"."Odd Table" DROP COLUMN gone;
    CREATE TABLE measure (at date NOT NULL, value numeric(8,2)) PARTITION BY RANGE (at);
    CREATE TABLE measure_2026 PARTITION OF measure FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
    CREATE TABLE base (id integer PRIMARY KEY);
    CREATE TABLE derived (more text) INHERITS (base);
    CREATE VIEW plain_view AS SELECT "Key", mail FROM "Odd Schema"."Odd Table" WHERE mail = 'x@y.z';
    CREATE VIEW view_of_view AS SELECT p.*, b.id FROM plain_view p, LATERAL (SELECT max(id) AS id FROM base) b;
    CREATE MATERIALIZED VIEW stored AS SELECT * FROM view_of_view;
    CREATE VIEW values_of_catalog AS SELECT most_common_vals::text FROM pg_stats;
    CREATE VIEW passwords AS SELECT rolpassword FROM pg_authid;
    CREATE FUNCTION peek(n integer) RETURNS SETOF base LANGUAGE sql STABLE SECURITY DEFINER AS 'SELECT * FROM base';
    CREATE FUNCTION split(IN text, OUT head text, OUT tail text) LANGUAGE plpgsql IMMUTABLE AS 'BEGIN END';
    CREATE FUNCTION pick(integer) RETURNS TABLE (x integer, y text) LANGUAGE sql AS 'SELECT 1, ''''';
    CREATE PROCEDURE do_it() LANGUAGE sql AS '';
    CREATE VIEW through_function AS SELECT * FROM peek(1);
    CREATE VIEW through_operator_of_user AS SELECT 1 AS one;
    CREATE FUNCTION secretly(integer, integer) RETURNS boolean LANGUAGE sql AS 'SELECT EXISTS (SELECT FROM base)';
    CREATE OPERATOR === (LEFTARG = integer, RIGHTARG = integer, FUNCTION = secretly);
    CREATE OR REPLACE VIEW through_operator_of_user AS SELECT 1 AS one WHERE 1 === 2;
    CREATE TYPE grade AS ENUM ('calm', 'glad');
    CREATE FUNCTION below(grade, grade) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT EXISTS (SELECT FROM base)';
    CREATE OPERATOR <<< (LEFTARG = grade, RIGHTARG = grade, FUNCTION = below);
    CREATE OPERATOR FAMILY grades USING btree;
    CREATE FUNCTION weighed(grade, grade) RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT 0';
    CREATE OPERATOR CLASS by_grade FOR TYPE grade USING btree FAMILY grades AS OPERATOR 1 <<<, FUNCTION 1 weighed(grade, grade);
    CREATE FUNCTION fired() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
    CREATE TABLE compares (a grade, b bool DEFAULT (('calm'::grade, 'calm'::grade) OPERATOR(public.<<<) ('glad'::grade, 'glad'::grade)),
        CONSTRAINT ordered CHECK ((a, 'calm'::grade) OPERATOR(public.<<<) ('glad'::grade, 'glad'::grade)));
    CREATE INDEX partly ON compares (a) WHERE ('calm'::grade, 'calm'::grade) OPERATOR(public.<<<) ('glad'::grade, 'glad'::grade);
    CREATE POLICY seen ON compares USING (('calm'::grade, 'calm'::grade) OPERATOR(public.<<<) ('glad'::grade, 'glad'::grade));
    CREATE TRIGGER after BEFORE UPDATE ON compares FOR EACH ROW WHEN (('calm'::grade, NEW.a) OPERATOR(public.<<<) ('glad'::grade, OLD.a)) EXECUTE FUNCTION fired();
    CREATE VIEW through_rows_compared AS SELECT 1 AS one WHERE ('calm'::grade, 'calm'::grade) OPERATOR(public.<<<) ('glad'::grade, 'glad'::grade);
    CREATE VIEW through_text AS SELECT query_to_xml('SELECT * FROM base', true, true, '') AS x;
    CREATE VIEW through_opaque AS SELECT * FROM through_text;
    CREATE VIEW with_random AS SELECT id, random() AS r FROM base;
    CREATE RULE forward AS ON INSERT TO derived DO ALSO INSERT INTO measure VALUES ('2026-02-02', NEW.id);
    CREATE OPERATOR public.= (LEFTARG = smallint, RIGHTARG = smallint, FUNCTION = int2eq);
    CREATE FUNCTION leaky(boolean, boolean) RETURNS boolean LANGUAGE sql AS 'SELECT true';
    CREATE OPERATOR public.= (LEFTARG = boolean, RIGHTARG = boolean, FUNCTION = leaky);
"#;

/// One database with everything in it that the snapshot tells apart.
fn zoo() -> (Cluster, Arc<Catalog>) {
    let cluster = own_cluster();
    cluster.run_sql("postgres", ZOO).unwrap();
    cluster.run_sql("postgres", "CREATE ROLE nobody_special LOGIN").unwrap();
    let catalog = load(&cluster, "postgres", "nobody_special");
    (cluster, catalog)
}

#[test]
fn columns_keys_and_types_are_as_the_server_has_them() {
    let (_cluster, catalog) = zoo();
    let odd = relation(&catalog, "Odd Schema.Odd Table");
    assert_eq!(odd.kind, RelationKind::Table);
    let column = |name: &str| {
        let column = odd.column(name).unwrap();
        (column.number, column.type_sql.as_str(), column.class, column.generated)
    };
    assert!(odd.column("gone").is_none());
    assert_eq!(column("Key"), (2, "bigint", TypeClass::Integer, false));
    assert_eq!(column("mail"), (4, "public.citext", TypeClass::Text, false));
    assert_eq!(column("work"), (5, "public.work_mail", TypeClass::Text, false));
    assert_eq!(column("short"), (6, "character varying(20)", TypeClass::Text, false));
    assert_eq!(column("mood"), (7, "public.mood", TypeClass::Enum, false));
    assert_eq!(column("pair"), (8, "public.pair", TypeClass::Composite, false));
    assert_eq!(column("tags"), (9, "text[]", TypeClass::Array, false));
    assert_eq!(column("moods"), (10, "public.mood[]", TypeClass::Array, false));
    assert_eq!(column("document"), (11, "jsonb", TypeClass::Jsonb, false));
    assert_eq!(column("doubled"), (12, "bigint", TypeClass::Integer, true));
    assert_eq!(odd.primary_key, [3, 2], "in key order, without what it only includes");
    let domain = catalog.type_by_name("public", "work_mail").unwrap();
    assert_eq!(domain.base, catalog.type_by_name("public", "citext").unwrap().oid);
    assert_eq!(catalog.type_by_name("pg_catalog", "_text").unwrap().element, Some(builtin::TEXT));
    assert!(catalog.has_schema("Odd Schema") && !catalog.has_schema("pg_temp_1"));
    assert!(catalog.server_version() >= 130_000);
    for (name, kind) in [
        ("public.measure", RelationKind::PartitionedTable),
        ("public.measure_2026", RelationKind::Table),
        ("public.stored", RelationKind::MaterializedView),
        ("public.plain_view", RelationKind::View),
        ("pg_catalog.pg_class", RelationKind::Table),
        ("public.base_pkey", RelationKind::Other),
    ] {
        assert_eq!(relation(&catalog, name).kind, kind, "{name}");
    }
}

#[test]
fn partitions_and_children_know_their_parents() {
    let (_cluster, catalog) = zoo();
    let (measure, part) = (relation(&catalog, "public.measure"), relation(&catalog, "public.measure_2026"));
    assert_eq!((&measure.children, &part.parents), (&vec![part.oid], &vec![measure.oid]));
    let (base, derived) = (relation(&catalog, "public.base"), relation(&catalog, "public.derived"));
    assert_eq!(catalog.descendants(base.oid), [derived.oid]);
    assert_eq!(catalog.ancestors(derived.oid), [base.oid]);
}

#[test]
fn views_and_rules_say_what_they_reach_and_what_cannot_be_looked_into() {
    let (_cluster, catalog) = zoo();
    let reaches = |name: &str| {
        let relation = relation(&catalog, name);
        (names(&catalog, &relation.reaches), relation.opaque)
    };
    let odd = "Odd Schema.Odd Table".to_owned();
    assert_eq!(reaches("public.plain_view"), (vec![odd.clone()], false));
    assert_eq!(
        reaches("public.view_of_view"),
        (vec![odd.clone(), "public.base".into(), "public.plain_view".into()], false)
    );
    assert_eq!(
        reaches("public.stored"),
        (vec![odd, "public.base".into(), "public.plain_view".into(), "public.view_of_view".into()], false)
    );
    // What `initdb` made is pinned: no dependency on it is recorded, and yet it is found.
    let (of_catalog, _) = reaches("public.values_of_catalog");
    assert!(of_catalog.contains(&"pg_catalog.pg_stats".to_owned()), "{of_catalog:?}");
    assert_eq!(reaches("public.passwords"), (vec!["pg_catalog.pg_authid".into()], false));
    assert_eq!(reaches("public.derived"), (vec!["public.measure".into()], false));
    assert_eq!(reaches("public.with_random"), (vec!["public.base".into()], false));
    let calling =
        ["through_function", "through_operator_of_user", "through_rows_compared", "through_text", "through_opaque"];
    for name in calling {
        assert!(reaches(&format!("public.{name}")).1, "{name} calls what cannot be looked into");
    }
    assert_eq!(reaches("public.base"), (vec![], false));
    // Wherever an expression is stored, a comparison of rows names its operators alike.
    let code = &relation(&catalog, "public.compares").automatic.code;
    let below = Some(("public".to_owned(), "below".to_owned()));
    let mut by: Vec<&str> = code.iter().filter(|code| code.function == below).map(|code| &*code.what).collect();
    by.sort_unstable();
    let all = [
        "constraint `ordered`",
        "default of `b`",
        "index `partly`",
        "row policy `seen`",
        "the condition of trigger `after`",
    ];
    assert_eq!(by, all);
}

#[test]
fn functions_say_what_they_are() {
    let (_cluster, catalog) = zoo();
    let lower = catalog.functions("lower").iter().find(|function| function.arguments == [builtin::TEXT]).unwrap();
    assert_eq!(
        (lower.schema.as_str(), lower.language.as_str(), lower.volatility),
        ("pg_catalog", "internal", Volatility::Immutable)
    );
    assert_eq!((lower.returns, lower.returns_set, lower.columns.as_slice()), (builtin::TEXT, false, &[][..]));
    let peek = function(&catalog, "public", "peek");
    assert!(peek.security_definer && peek.returns_set && !peek.leakproof);
    assert_eq!((peek.language.as_str(), peek.columns.as_slice()), ("sql", &["id".to_owned()][..]));
    assert_eq!(function(&catalog, "public", "split").columns, ["head", "tail"]);
    assert_eq!(function(&catalog, "public", "pick").columns, ["x", "y"]);
    assert_eq!(function(&catalog, "public", "do_it").kind, FunctionKind::Procedure);
    assert_eq!(function(&catalog, "pg_catalog", "count").kind, FunctionKind::Aggregate);
    assert_eq!(function(&catalog, "pg_catalog", "row_number").kind, FunctionKind::Window);
    assert_eq!(function(&catalog, "public", "citext_eq").extension.as_deref(), Some("citext"));
    assert_eq!(function(&catalog, "public", "peek").extension, None);
}

#[test]
fn an_operator_is_leakproof_only_if_every_one_of_that_name_is() {
    let (_cluster, catalog) = zoo();
    for oid in [builtin::INT4, builtin::INT8, builtin::TEXT, builtin::UUID, builtin::DATE, builtin::INT2] {
        assert!(catalog.operator_is_leakproof("=", oid, oid), "{oid}");
    }
    assert!(!catalog.operator_is_leakproof("=", builtin::BOOL, builtin::BOOL), "another schema's may be meant");
    assert!(!catalog.operator_is_leakproof("~", builtin::TEXT, builtin::TEXT));
    assert!(!catalog.operator_is_leakproof("/", builtin::INT4, builtin::INT4));
}

#[test]
fn the_epoch_grows_only_when_something_has_changed() {
    let cluster = own_cluster();
    runtime().block_on(async {
        let store = CatalogStore::open(connect_plain(config(&cluster, "postgres", "postgres"))).await.unwrap();
        assert_eq!(store.current().epoch(), 1);
        assert_eq!(store.reload().await.unwrap().epoch(), 1);
        let change = |sql: &str| direct(&cluster, "postgres", sql);
        change("CREATE TABLE a (x integer)");
        assert_eq!(store.reload().await.unwrap().epoch(), 2);
        change("INSERT INTO a SELECT generate_series(1, 1000); ANALYZE a;");
        assert_eq!(store.reload().await.unwrap().epoch(), 2, "rows are no part of it");
        change("ALTER TABLE a RENAME x TO y");
        assert_eq!(store.reload().await.unwrap().epoch(), 3);
        assert!(store.current().relation(&RelationName::new("public", "a")).unwrap().column("y").is_some());
    });
}

#[test]
fn unknown_names_do_not_make_load_after_load_and_a_broken_connection_is_made_again() {
    let cluster = own_cluster();
    runtime().block_on(async {
        let store = CatalogStore::open(connect_plain(config(&cluster, "postgres", "postgres"))).await.unwrap();
        direct(&cluster, "postgres", "CREATE TABLE late (x integer)");
        for _ in 0..4 {
            assert_eq!(store.reload_for_unknown_name().await.unwrap().epoch(), 2, "a look finds it");
        }
        direct(&cluster, "postgres", "DROP TABLE late");
        assert_eq!(store.reload_for_unknown_name().await.unwrap().epoch(), 3);
        // However often something changes beside, whoever asks then gets it: the first few at once, the others with the next load, which
        // they share.
        for n in 0..8 {
            direct(&cluster, "postgres", &format!("CREATE TABLE later{n} (x integer)"));
            let ask = || store.reload_for_unknown_name();
            let all = futures_util::future::join_all((0..20).map(|_| ask())).await;
            let known = |catalog: &Catalog| catalog.relation(&RelationName::new("public", format!("later{n}"))).is_some();
            assert!(all.iter().all(|one| one.as_ref().is_ok_and(|catalog| known(catalog))), "{n}");
        }
        direct(&cluster, "postgres", "DROP TABLE later0, later1, later2, later3, later4, later5, later6, later7");
        let epoch = store.reload().await.unwrap().epoch();
        // Many at once share the loads.
        let begun = Instant::now();
        let all = futures_util::future::join_all((0..200).map(|_| store.reload())).await;
        assert!(all.iter().all(|one| one.as_ref().is_ok_and(|catalog| catalog.epoch() == epoch)));
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
        direct(
            &cluster,
            "postgres",
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'",
        );
        direct(&cluster, "postgres", "CREATE TABLE later (x integer)");
        assert_eq!(store.reload().await.unwrap().epoch(), epoch + 1);
        // Nothing is read where nothing was written, and what was is found.
        let read = store.current().since();
        store.catch_up().await.unwrap();
        store.catch_up().await.unwrap();
        assert_eq!(store.current().epoch(), epoch + 1);
        assert_eq!(store.current().since(), read);
        direct(&cluster, "postgres", "ALTER TABLE later ADD y integer");
        store.catch_up().await.unwrap();
        assert_eq!(store.current().epoch(), epoch + 2);
    });
}

#[test]
fn what_cannot_be_reached_is_an_error_that_says_so() {
    let error = runtime().block_on(async {
        let mut nowhere = tokio_postgres::Config::new();
        nowhere.host("127.0.0.1").port(1).user("nobody").dbname("shop");
        CatalogStore::open(connect_plain(nowhere)).await.unwrap_err()
    });
    assert!(error.to_string().contains("connection"), "{error}");
}

#[test]
fn the_sample_shop_loads_by_the_proxys_own_login() {
    let cluster = shop();
    runtime().block_on(async {
        let store = CatalogStore::open(connect_plain(config(cluster, "shop", "pgpurpose"))).await.unwrap();
        let begun = Instant::now();
        store.reload().await.unwrap();
        println!("reloading the shop's catalog took {} ms", begun.elapsed().as_millis());
        let catalog = store.current();
        let customers = relation(&catalog, "public.customers");
        assert_eq!(
            customers.columns.iter().map(|column| column.name.as_str()).collect::<Vec<_>>(),
            [
                "id",
                "full_name",
                "email",
                "phone",
                "id_number",
                "date_of_birth",
                "address",
                "city",
                "postal_code",
                "health_note",
                "created_at"
            ]
        );
        assert_eq!(relation(&catalog, "privacy.consents").primary_key, [1, 2]);
    });
}

/// Changes of every kind that a snapshot knows of, one after the other.
const CHANGES: &[&str] = &[
    "CREATE TABLE fresh (id int PRIMARY KEY, parent int REFERENCES fresh (id), name varchar(20), mood mood)",
    "ALTER TABLE fresh ADD COLUMN more numeric(10, 2), ADD COLUMN twice int GENERATED ALWAYS AS (id * 2) STORED",
    "ALTER TABLE fresh DROP COLUMN name",
    "ALTER TABLE fresh RENAME more TO less",
    "ALTER TABLE fresh ALTER less TYPE text",
    "ALTER TABLE fresh DROP CONSTRAINT fresh_pkey CASCADE",
    "ALTER TABLE fresh ADD PRIMARY KEY (twice, id)",
    "BEGIN; SAVEPOINT a; CREATE TABLE in_savepoint (a int); RELEASE a; ALTER TABLE in_savepoint RENAME TO moved; COMMIT",
    "ALTER TABLE moved RENAME TO freed; ALTER TABLE fresh RENAME TO moved; ALTER TABLE freed RENAME TO fresh",
    "ALTER TABLE fresh SET SCHEMA \"Odd Schema\"",
    "ALTER SCHEMA \"Odd Schema\" RENAME TO even",
    "ALTER TYPE mood RENAME TO humour",
    "CREATE TYPE trio AS (a int, b humour, c text[]); CREATE TABLE of_trio (t trio, ts trio[])",
    "CREATE DOMAIN short AS varchar(5); CREATE DOMAIN shorter AS short; CREATE TABLE of_domain (s shorter, ss short)",
    "CREATE TABLE measure_2027 PARTITION OF measure FOR VALUES FROM ('2027-01-01') TO ('2028-01-01')",
    "ALTER TABLE measure DETACH PARTITION measure_2026",
    "CREATE TABLE child (x int) INHERITS (base); ALTER TABLE derived NO INHERIT base",
    "CREATE VIEW seen AS SELECT * FROM moved; CREATE VIEW seen_again AS SELECT * FROM seen",
    "CREATE OR REPLACE VIEW seen AS SELECT * FROM moved WHERE random() > 2 OR id IN (SELECT id FROM base)",
    "CREATE MATERIALIZED VIEW held AS SELECT * FROM seen_again; CREATE INDEX ON held (id)",
    "CREATE RULE told AS ON INSERT TO of_trio DO ALSO DELETE FROM base",
    "CREATE VIEW through AS SELECT * FROM peek(2)",
    "DROP VIEW seen CASCADE",
    "CREATE FUNCTION given(moved) RETURNS SETOF moved LANGUAGE sql AS 'SELECT $1'",
    "ALTER TABLE moved ADD COLUMN last date",
    "CREATE OR REPLACE FUNCTION pick(integer) RETURNS TABLE (x integer, y text) LANGUAGE sql STABLE AS 'SELECT 2, ''''; '",
    "ALTER FUNCTION split(text) RENAME TO sundered",
    "DROP FUNCTION given(moved)",
    "CREATE SEQUENCE numbers; DROP TABLE of_trio",
    "CREATE TEMP TABLE own (a int)",
    "CREATE OPERATOR @@@ (LEFTARG = integer, RIGHTARG = integer, FUNCTION = secretly)",
    "CREATE CAST (trio AS humour) WITH INOUT",
    "CREATE DOMAIN checked AS int CHECK (secretly(VALUE, 1))",
    "CREATE TABLE of_checked (c checked, cs checked[])",
    "CREATE EXTENSION pg_trgm",
    "DROP EXTENSION pg_trgm; DROP SCHEMA even CASCADE",
];

#[test]
fn what_has_changed_and_the_whole_catalog_say_the_same() {
    let (cluster, _) = zoo();
    runtime().block_on(async {
        let connect = || connect_plain(config(&cluster, "postgres", "postgres"));
        let store = CatalogStore::open(connect()).await.unwrap();
        let (client, connection) =
            config(&cluster, "postgres", "postgres").connect(tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(connection);
        for change in CHANGES {
            let before = store.current();
            client.batch_execute(change).await.unwrap_or_else(|error| panic!("{change}: {error:?}"));
            store.outdated(&Touched::Everything);
            store.settled().await.unwrap();
            let (read, whole) = (store.current(), load_alone(connect()).await);
            assert!(read.same_contents(&whole), "{change}: {}", difference(&read, &whole));
            let told = !change.contains("TEMP") && !change.contains("INOUT");
            assert_eq!(read.epoch() > before.epoch(), told, "{change}");
        }
    });
}

async fn load_alone(connect: pgpurpose::catalog::Connect) -> Arc<Catalog> {
    CatalogStore::open(connect).await.unwrap().current()
}

fn difference(read: &Catalog, whole: &Catalog) -> String {
    let (mut read, mut whole): (Vec<_>, Vec<_>) = (read.relations().collect(), whole.relations().collect());
    read.sort_by_key(|relation| relation.oid);
    whole.sort_by_key(|relation| relation.oid);
    let pair = read.iter().zip(&whole).find(|(read, whole)| read != whole);
    format!("{pair:?}, or in number, {} and {}, or not in relations", read.len(), whole.len())
}
