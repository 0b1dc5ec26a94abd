//! What definitions give away of the tables that they belong to, and what clients need of them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::print_stdout)]

mod raw;

use pgpurpose::server::Options;
use raw::{Client, Proxy, query, rows, servers, shown, socket};

const POLICY: &str = r#"
version = 1
unlisted_tables = "deny"
[tables."public.people"]
subject = "id"
columns = { id = "open", kind = "open", email = "contact", secret = "hidden", added = "contact", serial = "open" }
[tables."public.things"]
open = true
[tables."public.all_things"]
open = true
[tables."public.parts"]
columns = { id = "hidden", region = "hidden" }
[purposes.support]
basis = "contract"
[roles.support]
logins = ["support"]
purposes = ["support"]
[[rules]]
name = "masks"
roles = ["support"]
purposes = ["support"]
read = ["open"]
mask = { contact = "first(1)" }
"#;

/// The canaries: a word and a number.
const CANARIES: [&str; 3] = ["kanarie", "7654321", "6b616e61726965"];

const SCHEMA: &str = r#"
    CREATE SEQUENCE people_serial START 7654321;
    SELECT nextval('people_serial');
    CREATE DOMAIN watched AS text DEFAULT 'kanarie' CHECK (VALUE <> 'kanarie');
    CREATE TABLE people (id serial PRIMARY KEY, kind text DEFAULT 'plain', email text DEFAULT 'kanarie@x.org', secret text DEFAULT 'kanarie',
        serial bigint DEFAULT nextval('people_serial'), flag boolean DEFAULT true,
        money int DEFAULT 7654321 CHECK (money <> 7654321), doubled text GENERATED ALWAYS AS (secret || 'kanarie') STORED,
        CONSTRAINT named CHECK (secret <> 'kanarie'));
    INSERT INTO people (email, secret, money) VALUES ('a', 'x', 1);
    ALTER TABLE people ADD COLUMN added text DEFAULT 'kanarie';
    COMMENT ON TABLE people IS 'kanarie';
    COMMENT ON COLUMN people.secret IS 'kanarie';
    COMMENT ON COLUMN people.kind IS 'what kind';
    COMMENT ON CONSTRAINT named ON people IS 'kanarie';
    CREATE INDEX partly ON people (lower(secret)) WHERE secret <> 'kanarie' AND money <> 7654321;
    COMMENT ON INDEX partly IS 'kanarie';
    CREATE UNIQUE INDEX live ON people (email) WHERE flag;
    CREATE INDEX computed ON people ((secret || 'kanarie'));
    CREATE STATISTICS computed_too ON (secret || 'kanarie'), kind FROM people;
    COMMENT ON STATISTICS computed_too IS 'kanarie';
    CREATE VIEW several AS SELECT id, 'kanarie'::text AS "a'b", 7654321 AS "c'd" FROM people WHERE secret <> 'kanarie';
    CREATE MATERIALIZED VIEW kept AS SELECT id FROM people WHERE secret <> 'kanarie';
    CREATE RULE ruled AS ON UPDATE TO people WHERE NEW.secret = 'kanarie' DO ALSO SELECT 'kanarie';
    CREATE POLICY held ON people USING (secret <> 'kanarie') WITH CHECK (secret <> 'kanarie');
    CREATE FUNCTION act() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN /* kanarie */ RETURN NEW; END $$;
    COMMENT ON FUNCTION act() IS 'kanarie';
    CREATE TRIGGER acts BEFORE UPDATE ON people FOR EACH ROW WHEN (NEW.secret = 'kanarie') EXECUTE FUNCTION act('kanarie');
    CREATE FUNCTION defaulted(a text DEFAULT 'kanarie') RETURNS text LANGUAGE sql AS $$ SELECT a || 'kanarie' $$;
    CREATE FUNCTION configured() RETURNS int LANGUAGE sql SET application_name = 'kanarie' AS 'SELECT 1';
    CREATE TABLE parts (id int, region text) PARTITION BY LIST ((region || 'kanarie'));
    CREATE TABLE part PARTITION OF parts FOR VALUES IN ('kanarie');
    CREATE EXTENSION file_fdw; CREATE EXTENSION postgres_fdw;
    CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host 'kanarie');
    CREATE USER MAPPING FOR PUBLIC SERVER far OPTIONS (user 'kanarie', password 'kanarie');
    CREATE FOREIGN TABLE abroad (id int OPTIONS (column_name 'kanarie')) SERVER far OPTIONS (table_name 'kanarie');
    CREATE PUBLICATION told FOR TABLE people WHERE (kind <> 'kanarie');
    ALTER ROLE support SET my.own = 'kanarie';
    CREATE TYPE address AS (street text, zip text); COMMENT ON COLUMN address.zip IS 'kanarie';
    CREATE TABLE things (k int PRIMARY KEY DEFAULT 123456, label text DEFAULT 'a label', CONSTRAINT short CHECK (label <> 'too long'));
    COMMENT ON TABLE things IS 'what we sell';
    CREATE INDEX things_partly ON things (label) WHERE label <> 'nothing';
    CREATE VIEW all_things AS SELECT k, 'constant'::text AS c FROM things;
    ALTER TABLE people REPLICA IDENTITY FULL;
    ANALYZE;
    GRANT ALL ON ALL TABLES IN SCHEMA public TO support; GRANT pg_read_all_data, pg_monitor TO support;
    GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO support; GRANT USAGE ON FOREIGN SERVER far TO support; ALTER TABLE people OWNER TO support;
    ALTER VIEW several OWNER TO support; ALTER VIEW all_things OWNER TO support; ALTER FUNCTION defaulted(text) OWNER TO support; ALTER FUNCTION act() OWNER TO support;"#;

fn start() -> Proxy {
    let version = raw::cluster().run_sql("postgres", "SHOW server_version_num").unwrap();
    // Publications of some rows are of PostgreSQL 15.
    let schema = if version.trim() < "150000" {
        SCHEMA.replace("TABLE people WHERE (kind <> 'kanarie')", "TABLE people")
    } else {
        SCHEMA.to_owned()
    };
    raw::cluster().run_sql("postgres", &schema).unwrap();
    raw::start(Options::new("127.0.0.1:0", servers(&socket())), POLICY, raw::catalog("postgres"))
}

/// Whether the answer holds a canary; what came back.
fn leaks(client: &mut Client, sql: &str) -> (bool, String) {
    client.send(&query(sql));
    let messages = client.until_ready();
    let all: Vec<u8> = messages.iter().flat_map(|(_, body)| body.clone()).collect();
    let text = String::from_utf8_lossy(&all);
    // A tree holds a string as its bytes in decimal.
    let tree = b"kanarie".map(|byte| byte.to_string()).join(" ");
    (CANARIES.iter().any(|canary| text.contains(canary)) || text.contains(&tree), shown(&messages))
}

#[test]
fn no_system_relation_gives_a_constant_of_a_closed_table_away() {
    let proxy = start();
    let relations = raw::cluster()
        .run_sql(
            "postgres",
            "SELECT format('%I.%I', relnamespace::regnamespace, relname) FROM pg_class
             WHERE relnamespace IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace) AND relkind IN ('r', 'v')",
        )
        .unwrap();
    let mut client = proxy.login("support", &[]);
    client.stream.set_read_timeout(Some(std::time::Duration::from_secs(60))).unwrap();
    let (mut leaking, mut answered, mut refused) = (Vec::new(), 0, 0);
    for relation in relations.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let name = relation.rsplit('.').next().unwrap();
        let mut statements = vec![format!("SELECT * FROM {relation}")];
        // One form stands for all where nothing is treated.
        if ["pg_attrdef", "pg_constraint", "check_constraints", "pg_views"].contains(&name) {
            statements.extend([
                format!("SELECT {name} FROM {relation}"),
                format!("SELECT x::text FROM {relation} AS x"),
                format!("TABLE {relation}"),
                format!("COPY {relation} TO STDOUT"),
                format!("SELECT row_to_json(y) FROM (SELECT * FROM {relation}) y"),
            ]);
        }
        for sql in statements {
            let (leaks, shown) = leaks(&mut client, &sql);
            if leaks {
                leaking.push(sql);
            }
            match shown.contains("E42501") {
                true => refused += 1,
                false => answered += 1,
            }
            assert!(!shown.contains("E42601") && !shown.contains("EXX000"), "{relation}: {shown}");
        }
    }
    println!("{answered} answered, {refused} refused");
    assert!(answered > 130, "{answered} answered, {refused} refused");
    assert_eq!(leaking, [""; 0]);
}

#[test]
fn no_function_over_definitions_gives_a_constant_of_a_closed_table_away() {
    let proxy = start();
    let mut client = proxy.login("support", &[]);
    let mut wrong = Vec::new();
    for sql in [
        "SELECT pg_get_constraintdef(oid), pg_get_constraintdef(oid, true) FROM pg_constraint",
        "SELECT pg_get_indexdef(indexrelid), pg_get_indexdef(indexrelid, 1, true) FROM pg_index",
        "SELECT pg_get_expr(indpred, indrelid), pg_get_expr(indexprs, indrelid, true) FROM pg_index",
        "SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef",
        "SELECT pg_get_expr(d.x, d.r) FROM (SELECT adbin AS x, adrelid AS r FROM pg_attrdef) d",
        "SELECT pg_get_expr(d.tree, d.rel) FROM pg_attrdef AS d(o, rel, n, tree)",
        "SELECT pg_get_expr(conbin, conrelid) FROM pg_constraint",
        "SELECT adbin::text FROM pg_attrdef",
        "SELECT (d).adbin::text FROM pg_attrdef d",
        "SELECT j.d FROM (pg_attrdef CROSS JOIN pg_am) AS j(a, b, c, d)",
        "SELECT d.definition FROM pg_views d JOIN (VALUES (' SELECT 1;')) v(definition) USING (definition)",
        "SELECT count(*) FROM pg_proc JOIN (VALUES (' BEGIN /* kanarie */ RETURN NEW; END ')) v(prosrc) USING (prosrc)",
        "SELECT pg_get_viewdef(oid), pg_get_viewdef(oid, true), pg_get_viewdef(oid, 40) FROM pg_class WHERE relkind IN ('v', 'm')",
        "SELECT pg_get_viewdef('several'), pg_get_viewdef('public.several', true)",
        "SELECT pg_get_viewdef('several'::regclass)",
        "SELECT definition FROM pg_views WHERE schemaname = 'public'",
        "SELECT pg_get_ruledef(oid), pg_get_ruledef(oid, true) FROM pg_rewrite WHERE ev_class >= 16384",
        "SELECT pg_get_triggerdef(oid), pg_get_triggerdef(oid, true), tgargs FROM pg_trigger",
        "SELECT pg_get_functiondef(oid) FROM pg_proc WHERE oid >= 16384 AND prokind = 'f'",
        "SELECT pg_get_function_sqlbody(oid), pg_get_function_arguments(oid), pg_get_function_arg_default(oid, 1) FROM pg_proc WHERE oid >= 16384",
        "SELECT pg_get_partkeydef(oid), pg_get_partition_constraintdef(oid), pg_get_expr(relpartbound, oid) FROM pg_class",
        "SELECT pg_get_statisticsobjdef(oid), pg_get_statisticsobjdef_columns(oid) FROM pg_statistic_ext",
        "SELECT obj_description(oid, 'pg_class'), obj_description(oid) FROM pg_class",
        "SELECT obj_description(oid, 'pg_constraint') FROM pg_constraint",
        "SELECT obj_description(oid, 'pg_proc') FROM pg_proc",
        "SELECT col_description(attrelid, attnum) FROM pg_attribute",
        "SELECT pg_sequence_last_value(oid) FROM pg_class WHERE relkind = 'S'",
        "SELECT last_value FROM people_serial",
        "SELECT DISTINCT pg_get_constraintdef(oid) COLLATE \"C\" FROM pg_constraint ORDER BY 1",
        "SELECT string_agg(pg_get_constraintdef(c.oid), ',') FROM pg_constraint c GROUP BY conrelid",
        "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE pg_get_constraintdef(oid) LIKE '%kan%'",
        "SELECT 1 FROM pg_constraint WHERE position('kanarie' in pg_get_constraintdef(oid)) > 0",
        "SELECT column_default, generation_expression FROM information_schema.columns",
        "SELECT option_value FROM pg_options_to_table((SELECT srvoptions FROM pg_foreign_server))",
        "SELECT attmissingval::text FROM pg_attribute WHERE attmissingval IS NOT NULL",
        "SELECT setconfig FROM pg_db_role_setting",
        "SELECT rolconfig FROM pg_roles WHERE rolname = 'support'",
        "SELECT pg_get_constraintdef(VARIADIC ARRAY[1])",
        "SELECT * FROM pg_get_viewdef('several')",
        "SELECT * FROM ROWS FROM (pg_get_viewdef('several'))",
        "SELECT * FROM pg_class c, LATERAL pg_get_constraintdef(c.oid)",
        "EXPLAIN (VERBOSE, GENERIC_PLAN) SELECT * FROM people",
    ] {
        let (leaks, shown) = leaks(&mut client, sql);
        if leaks || shown.contains("EXX000") {
            wrong.push(format!("{sql}: {shown}"));
        }
    }
    assert_eq!(client.rows("SELECT 1 FROM pg_constraint WHERE pg_get_constraintdef(oid) LIKE '%kanarie%'"), [""; 0]);
    assert_eq!(wrong, [""; 0]);
}

#[test]
fn what_clients_need_of_definitions_is_whole() {
    let proxy = start();
    let mut client = proxy.login("support", &[]);
    let mut one = |sql: &str| -> String {
        client.send(&query(sql));
        let messages = client.until_ready();
        let found = rows(&messages);
        assert!(!found.is_empty(), "{sql}: {}", shown(&messages));
        found.join("\n")
    };
    let default = |table: &str, column: &str| {
        format!(
            "SELECT pg_get_expr(d.adbin, d.adrelid) FROM pg_attribute a LEFT JOIN pg_attrdef d ON a.attrelid = d.adrelid AND a.attnum = d.adnum
             WHERE a.attrelid = '{table}'::regclass AND a.attname = '{column}'"
        )
    };
    // Of an open table everything, of another what belongs to a column that is seen, and what holds no value.
    assert_eq!(one(&default("things", "label")), "'a label'::text");
    assert_eq!(one(&default("things", "k")), "123456");
    assert_eq!(one(&default("people", "kind")), "'plain'::text");
    assert_eq!(one(&default("people", "id")), "nextval('people_id_seq'::regclass)");
    assert_eq!(one(&default("people", "flag")), "true");
    assert_eq!(one(&default("people", "email")), "NULL");
    let column = |table: &str, column: &str| {
        format!(
            "SELECT column_default FROM information_schema.columns WHERE table_name = '{table}' AND column_name = '{column}'"
        )
    };
    assert_eq!(one(&column("things", "label")), "'a label'::text");
    assert_eq!(one(&column("people", "id")), "nextval('people_id_seq'::regclass)");
    assert_eq!(one(&column("people", "serial")), "nextval('people_serial'::regclass)");
    assert_eq!(one(&column("people", "flag")), "true");
    assert_eq!(one(&column("people", "email")), "NULL");
    assert_eq!(
        one("SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'short'"),
        "CHECK ((label <> 'too long'::text))"
    );
    assert_eq!(
        one("SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'named'"),
        "CHECK ((secret <> '…'::text))"
    );
    assert_eq!(
        one("SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'people_pkey'"),
        "PRIMARY KEY (id)"
    );
    assert_eq!(
        one("SELECT pg_get_indexdef('things_partly'::regclass)"),
        "CREATE INDEX things_partly ON public.things USING btree (label) WHERE (label <> 'nothing'::text)"
    );
    assert_eq!(
        one("SELECT indexdef FROM pg_indexes WHERE indexname = 'partly'"),
        "CREATE INDEX partly ON public.people USING btree (lower(secret)) WHERE ((secret <> '…'::text) AND (money <> 0))"
    );
    assert_eq!(one("SELECT pg_get_expr(indpred, indrelid) FROM pg_index WHERE indexrelid = 'live'::regclass"), "flag");
    assert_eq!(one("SELECT obj_description('things'::regclass, 'pg_class')"), "what we sell");
    assert_eq!(one("SELECT col_description('people'::regclass, 2)"), "what kind");
    assert_eq!(one("SELECT obj_description('people'::regclass, 'pg_class')"), "NULL");
    assert_eq!(one("SELECT obj_description('pg_catalog'::regnamespace, 'pg_namespace')"), "system catalog schema");
    assert!(one("SELECT pg_get_viewdef('all_things'::regclass)").contains("'constant'"));
    assert!(
        one("SELECT view_definition FROM information_schema.views WHERE table_name = 'all_things'")
            .contains("'constant'")
    );
    assert!(one("SELECT prosrc FROM pg_proc WHERE proname = 'lower' LIMIT 1").contains("lower"));
    assert_eq!(
        one(
            "SELECT d.description FROM pg_class c LEFT JOIN pg_catalog.pg_description d ON (c.oid = d.objoid AND d.objsubid = 0 AND d.classoid = 'pg_class'::regclass) WHERE c.relname = 'things'"
        ),
        "what we sell"
    );
    // psql's own questions, as `\d people` asks them.
    assert!(one("SELECT c2.relname, i.indisprimary, i.indisunique, i.indisclustered, i.indisvalid, pg_catalog.pg_get_indexdef(i.indexrelid, 0, true),
        pg_catalog.pg_get_constraintdef(con.oid, true), contype, condeferrable, condeferred, i.indisreplident, c2.reltablespace
        FROM pg_catalog.pg_class c, pg_catalog.pg_class c2, pg_catalog.pg_index i
          LEFT JOIN pg_catalog.pg_constraint con ON (conrelid = i.indrelid AND conindid = i.indexrelid AND contype IN ('p','u','x'))
        WHERE c.oid = 'people'::regclass AND c.oid = i.indrelid AND i.indexrelid = c2.oid
        ORDER BY i.indisprimary DESC, c2.relname").contains("PRIMARY KEY (id)"));
    assert!(
        one("SELECT a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod),
        (SELECT pg_catalog.pg_get_expr(d.adbin, d.adrelid, true) FROM pg_catalog.pg_attrdef d
         WHERE d.adrelid = a.attrelid AND d.adnum = a.attnum AND a.atthasdef), a.attnotnull,
        (SELECT c.collname FROM pg_catalog.pg_collation c, pg_catalog.pg_type t
         WHERE c.oid = a.attcollation AND t.oid = a.atttypid AND a.attcollation <> t.typcollation) AS attcollation,
        a.attidentity, a.attgenerated FROM pg_catalog.pg_attribute a
        WHERE a.attrelid = 'people'::regclass AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum")
        .contains("nextval")
    );
    assert!(one("SELECT tableoid, oid, pg_get_expr(adbin, adrelid) FROM pg_attrdef").contains('|'));
}
