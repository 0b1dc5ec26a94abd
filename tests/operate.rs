//! What an operator does to a running proxy: signals, a log that goes away, policies that change, questions over HTTP.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::print_stdout,
    clippy::print_stderr
)]

#[path = "operate/bundle.rs"]
mod bundle;
#[path = "operate/certificates.rs"]
mod certificates;
#[path = "operate/console.rs"]
mod console;
#[path = "operate/counted.rs"]
mod counted;
#[path = "operate/deployed.rs"]
mod deployed;
#[path = "operate/desks.rs"]
mod desks;
#[path = "operate/exports.rs"]
mod exports;
#[path = "operate/grants.rs"]
mod grants;
#[path = "operate/installs.rs"]
mod installs;
#[path = "operate/nights.rs"]
mod nights;
#[path = "peers/smtp.rs"]
mod smtp;
#[path = "operate/snooper.rs"]
mod snooper;
mod support;
#[path = "operate/telemetry.rs"]
mod telemetry;

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD_NO_PAD;
use pgpurpose::audit::verify;
use pgpurpose::cluster::{Cluster, ClusterOptions};
use pgpurpose::sql::TokenKey;
use support::client::login;
use support::proxy::{Proxy, Upstream};
use support::visitor::{REVIEWER, Visitor, people};
use support::{shop, template};

const SHOP_POLICY: &str = include_str!("../policies/shop.toml");

fn signal(proxy: &Proxy, name: &str) {
    assert!(Command::new("kill").args([&format!("-{name}"), &proxy.pid().to_string()]).status().unwrap().success());
}

fn get(proxy: &Proxy, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, proxy.admin_port)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    (answer.split(' ').nth(1).unwrap().parse().unwrap(), answer)
}

#[track_caller]
fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(20), "{what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn pgpurpose(arguments: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_pgpurpose")).args(arguments).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

fn folder(proxy: &Proxy) -> std::path::PathBuf {
    proxy.audit_dir().parent().unwrap().to_owned()
}

#[test]
fn policies_are_loaded_again_on_a_signal_whole_or_not_at_all() {
    let proxy = Proxy::start(shop());
    let policy = folder(&proxy).join("policy.toml");
    let agent = login("support_agent").application("reload");
    let city = || proxy.psql(shop(), &agent, &["SELECT city FROM customers WHERE id = 1"]);
    assert!(city().ok, "{:?}", city());
    let events = || proxy.access_log().into_iter().filter(|record| record["event"] == "policy").collect::<Vec<_>>();
    assert_eq!(events().len(), 1);

    // A set with a fault is not taken.
    fs::write(&policy, format!("{SHOP_POLICY}\n[nonsense]\n")).unwrap();
    signal(&proxy, "HUP");
    until("the refused load is logged", || events().len() >= 2);
    let refused_loads = events().len();
    let refused = events().pop().unwrap();
    assert_eq!(refused["policy"], refused["before"], "{refused}");
    assert!(refused["faults"][0].as_str().unwrap().contains("nonsense"), "{refused}");
    assert!(city().ok, "the policies before stay in force");
    assert!(!get(&proxy, "/metrics").1.contains("\npgpurpose_policy_reload_failures_total 0\n"));

    // Closed to everybody: the next statement is refused.
    let closed = format!(
        "{SHOP_POLICY}\n[[rules]]\nname = \"nobody sees cities\"\nroles = [\"support_agent\"]\npurposes = [\"support\"]\ndeny = [\"public.customers.city\"]\n"
    );
    fs::write(&policy, closed).unwrap();
    signal(&proxy, "HUP");
    until("the load is logged", || events().len() > refused_loads);
    let taken = events().pop().unwrap();
    assert_ne!(taken["policy"], taken["before"], "{taken}");
    let said = city();
    assert!(said.err.contains("42501") && said.err.contains("nobody sees cities"), "{said:?}");
    assert!(!get(&proxy, "/metrics").1.contains("\npgpurpose_policy_reloads_total 0\n"));
}

#[test]
fn policies_are_loaded_again_when_their_file_changes_and_sessions_that_run_feel_it() {
    let proxy = Proxy::start(shop());
    let policy = folder(&proxy).join("policy.toml");
    let events = || proxy.access_log().into_iter().filter(|record| record["event"] == "policy").collect::<Vec<_>>();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut config = tokio_postgres::Config::new();
        config.host("127.0.0.1").port(proxy.port).user("support_agent").dbname("shop");
        let (client, connection) = config.connect(tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(connection);
        let city = client.prepare("SELECT city FROM customers WHERE id = $1").await.unwrap();
        let settle = async |what: &str, holds: &dyn Fn() -> bool| {
            let begun = Instant::now();
            while !holds() {
                assert!(begun.elapsed() < Duration::from_secs(20), "{what}");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let count = events().len();
        fs::write(&policy, "version = 1\n[tables").unwrap();
        settle("a broken file is told", &|| events().len() > count).await;
        let told = events().pop().unwrap();
        assert_eq!(told["policy"], told["before"], "the policy before stays: {told}");
        assert!(!told["faults"].as_array().unwrap().is_empty());
        assert_eq!(client.query(&city, &[&1_i64]).await.unwrap().len(), 1);
        assert!(get(&proxy, "/metrics").1.contains("\npgpurpose_policy_reload_failures_total 1\n"));
        assert!(proxy.output().contains("the policies were not loaded"), "loud in the proxy's own log");

        // A mask that does not fit its column is no policy either.
        let misfit = SHOP_POLICY.replace("birth = \"year\"", "birth = \"email\"");
        let count = events().len();
        fs::write(&policy, misfit).unwrap();
        settle("a misfit is told", &|| events().len() > count).await;
        let told = events().pop().unwrap();
        assert!(told["faults"][0].as_str().unwrap().contains("does not fit column `public.customers.date_of_birth`"), "{told}");

        let closed = format!("{SHOP_POLICY}\n[[rules]]\nname = \"nobody sees cities\"\nroles = [\"support_agent\"]\npurposes = [\"support\"]\ndeny = [\"public.customers.city\"]\n");
        let beside = policy.with_extension("new");
        fs::write(&beside, closed).unwrap();
        fs::rename(&beside, &policy).unwrap();
        settle("the change is taken", &|| events().pop().unwrap()["policy"] != told["policy"]).await;
        let refused = client.query(&city, &[&1_i64]).await.unwrap_err();
        assert_eq!(refused.code().unwrap().code(), "42501", "a statement prepared before is decided again");
    });
}

#[test]
fn a_log_that_goes_away_stops_service_and_brings_it_back_by_itself() {
    let proxy = Proxy::start(shop());
    let agent = login("support_agent").application("outage");
    let ask = || proxy.psql(shop(), &agent, &["SELECT city FROM customers WHERE id = 1"]);
    assert!(ask().ok);
    let away = folder(&proxy).join("away");
    fs::rename(proxy.audit_dir(), &away).unwrap();
    let said = ask();
    assert!(!said.ok && !said.err.is_empty(), "{said:?}");
    let (status, text) = get(&proxy, "/readyz");
    assert_eq!(status, 503, "{text}");
    assert!(text.contains("catalog: ok"), "{text}");
    fs::rename(&away, proxy.audit_dir()).unwrap();
    until("readiness returns by itself", || get(&proxy, "/readyz").0 == 200);
    assert!(ask().ok, "and so does service");
    let found = verify(&proxy.audit_dir()).unwrap();
    assert!(found.holds(), "{:?}", found.breaks);
    assert_eq!(found.notices.len(), 1, "{:?}", found.notices);
    assert_eq!(proxy.accesses_of("outage").len(), 2, "what was refused was not forwarded");
}

#[test]
fn a_killed_proxy_leaves_a_log_that_verifies_and_goes_on() {
    let mut proxy = Proxy::start(shop());
    let agent = login("support_agent");
    assert!(proxy.psql(shop(), &agent, &["SELECT city FROM customers WHERE id = 1"]).ok);
    proxy.kill();
    let directory = proxy.audit_dir();
    let before = verify(&directory).unwrap();
    assert!(before.holds() && before.records > 3, "{before:?}");
    let (status, said, told) = pgpurpose(&["audit", "verify", "--dir", &directory.display().to_string()]);
    assert_eq!(status, 0, "{said}{told}");
}

#[test]
fn two_proxies_cannot_write_one_log() {
    let proxy = Proxy::start(shop());
    let config = folder(&proxy).join("pgpurpose.toml");
    let (status, _, told) = pgpurpose(&["serve", "--config", &config.display().to_string(), "--listen", "127.0.0.1:0"]);
    assert_eq!(status, 2);
    assert!(told.contains("is in use by another process"), "{told}");
}

#[test]
fn an_orderly_end_is_in_the_log() {
    let proxy = Proxy::start(shop());
    signal(&proxy, "TERM");
    until("the log is closed", || proxy.access_log().last().is_some_and(|record| record["event"] == "stop"));
    assert_eq!(proxy.access_log().last().unwrap()["reason"], "SIGTERM");
    assert!(verify(&proxy.audit_dir()).unwrap().holds());
}

#[test]
fn the_console_and_the_metrics_show_what_was_decided_without_literals() {
    let proxy = Proxy::start_with(shop(), Upstream::Socket, SHOP_POLICY, &people());
    let agent = login("support_agent").application("console");
    proxy.psql(
        shop(),
        &agent,
        &["SELECT id FROM customers WHERE city = 'Qwertyville'", "SELECT health_note FROM customers"],
    );
    assert_eq!(get(&proxy, "/").0, 303, "nobody looks without a log-in");
    let page = Visitor::log_in(&proxy, REVIEWER).get("/proxy");
    assert!(page.contains("SELECT health_note FROM customers") && page.contains("support_agent"), "{page}");
    assert!(!page.contains("Qwertyville"));
    let metrics = get(&proxy, "/metrics").1;
    assert!(metrics.contains("\npgpurpose_statements_total{verdict=\"deny\"} 1\n"), "{metrics}");
    assert!(!metrics.contains("support_agent") && !metrics.contains("customers"), "labels are bounded");
}

#[test]
fn a_run_that_a_reload_overtakes_is_decided_again_and_not_refused() {
    let proxy = Proxy::start(shop());
    let policy = folder(&proxy).join("policy.toml");
    let done = std::sync::atomic::AtomicBool::new(false);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut config = tokio_postgres::Config::new();
    config.host("127.0.0.1").port(proxy.port).user("support_agent").dbname("shop");
    std::thread::scope(|scope| {
        // The same policies each time, by another hash.
        scope.spawn(|| {
            let mut load = 0;
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                load += 1;
                fs::write(&policy, format!("{SHOP_POLICY}\n# {load}\n")).unwrap();
                signal(&proxy, "HUP");
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        let worked = runtime.block_on(async {
            let (mut client, connection) = config.connect(tokio_postgres::NoTls).await.unwrap();
            tokio::spawn(connection);
            let prepared = client.prepare("SELECT city FROM customers WHERE id = $1").await.unwrap();
            for turn in 0..150 {
                let rows = client.query(&prepared, &[&1_i64]).await.map_err(|error| (turn, "prepared", error))?;
                assert_eq!(rows.len(), 1);
                client
                    .simple_query("SELECT city FROM customers WHERE id = 1")
                    .await
                    .map_err(|error| (turn, "simple", error))?;
                let transaction = client.transaction().await.map_err(|error| (turn, "begin", error))?;
                let portal = transaction
                    .bind("SELECT city FROM customers ORDER BY id", &[])
                    .await
                    .map_err(|error| (turn, "bind", error))?;
                for _ in 0..2 {
                    transaction.query_portal(&portal, 3).await.map_err(|error| (turn, "portal", error))?;
                }
                transaction
                    .batch_execute("DECLARE c CURSOR FOR SELECT city FROM customers")
                    .await
                    .map_err(|error| (turn, "declare", error))?;
                for _ in 0..2 {
                    transaction.simple_query("FETCH 2 FROM c").await.map_err(|error| (turn, "fetch", error))?;
                }
                transaction.commit().await.map_err(|error| (turn, "commit", error))?;
            }
            Ok::<_, (usize, &str, tokio_postgres::Error)>(())
        });
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        assert!(worked.is_ok(), "{worked:?}");
    });
    let loads = proxy.access_log().iter().filter(|record| record["event"] == "policy").count();
    assert!(loads > 5, "{loads}");
}

/// A configuration beside a policy of its own.
fn configured(at: &Path, policy: &str) -> String {
    let cluster = shop();
    fs::write(at.join("policy.toml"), policy).unwrap();
    let config = at.join("pgpurpose.toml");
    let text = format!(
        "[upstream]\naddress = \"{}:{}\"\n[auth]\nmethod = \"relay\"\n[policy]\nfiles = [\"policy.toml\"]\n",
        cluster.socket_dir().display(),
        cluster.port()
    );
    fs::write(&config, text).unwrap();
    config.display().to_string()
}

#[test]
fn check_live_compares_the_policies_with_the_database() {
    let folder = tempfile::tempdir().unwrap();
    let policy = "version = 1\n\
        [tables.\"public.customers\"]\nsubject = \"owner\"\n\
        columns = { id = \"reference\", email = \"contact\", shoe_size = \"contact\", created_at = \"when\" }\n\
        [tables.\"public.ghosts\"]\ncolumns = { id = \"reference\" }\n\
        [purposes.support]\nbasis = \"contract\"\n\
        [roles.agent]\nlogins = [\"support_agent\"]\npurposes = [\"support\"]\n\
        [[rules]]\nname = \"r\"\nroles = [\"agent\"]\npurposes = [\"support\"]\nread = [\"reference\"]\n\
        mask = { contact = \"email\", when = \"last(4)\" }\n\
        [[tests]]\nlogin = \"support_agent\"\nsql = \"SELECT email FROM customers\"\nexpect = \"mask\"\n";
    let config = configured(folder.path(), policy);
    let (status, said, told) = pgpurpose(&["check", "--config", &config, "--live", "--database", "shop"]);
    assert_eq!(status, 1, "{said}{told}");
    for part in [
        "table `public.ghosts` does not exist",
        "column `public.customers.shoe_size` does not exist",
        "column `public.customers.owner` does not exist, and rows of `public.customers` lead to their subject by it",
        "mask `last(4)` does not fit column `public.customers.created_at`",
        "note: ",
        "column `public.customers.health_note` has no category, so it is denied",
        "passed: 1 tests against the catalog of `shop`",
    ] {
        assert!(said.contains(part), "`{part}` in {said}");
    }
    assert!(said.contains("policy.toml:2: column"), "{said}");
}

/// A database beside the shop, with a schema that patterns mean and the accounts of a library that maps whole tables.
const WHOLE: &str = "
    CREATE SCHEMA crm; CREATE SCHEMA old;
    CREATE TABLE public.django_migrations (id int);
    CREATE TABLE crm.people (id bigint PRIMARY KEY, email text, name text, made_at date);
    CREATE TABLE crm.visits (id bigint, person_id bigint, seen_at date, note text);
    CREATE TABLE old.visits (id bigint, seen_at date);
    CREATE VIEW crm.seen AS SELECT email FROM crm.people;";

#[test]
fn check_live_tells_what_patterns_list_and_what_maps_whole_tables_would_name() {
    let folder = tempfile::tempdir().unwrap();
    let cluster = shop();
    cluster.run_statements("postgres", "CREATE DATABASE whole").unwrap();
    cluster.run_sql("whole", WHOLE).unwrap();
    let policy = "version = 1\n\
        [tables.\"crm.*\"]\nsubject = \"person_id\"\ncolumns = { \"*_id\" = \"reference\", \"*_at\" = \"operational\" }\n\
        [tables.\"crm.people\"]\nsubject = \"id\"\ncolumns = { id = \"reference\", emial = \"contact\" }\n\
        [tables.\"nothing.*\"]\nopen = true\n\
        [columns]\n\"*.made_at\" = \"operational\"\n\
        [purposes.support]\nbasis = \"contract\"\n\
        [roles.agent]\nlogins = [\"support_agent\"]\npurposes = [\"support\"]\n\
        [[rules]]\nname = \"r\"\nroles = [\"agent\"]\npurposes = [\"support\"]\nread = [\"reference\", \"operational\"]\n";
    let config = configured(folder.path(), policy);
    let named = fs::read_to_string(&config).unwrap().replace("[upstream]\n", "[upstream]\ndatabase = \"whole\"\n");
    fs::write(&config, named).unwrap();
    let (status, said, told) = pgpurpose(&["check", "--config", &config, "--live"]);
    assert_eq!(status, 1, "{said}{told}");
    for part in [
        "policy.toml:2: pattern `crm.*` lists 1 table: `crm.visits`",
        "pattern `nothing.*` lists no table of this database",
        "policy.toml:11: pattern `*.*.made_at` gives `crm.people.made_at` the category `operational`",
        "policy.toml:7: column `crm.people.emial` does not exist: did you mean `email`?",
        "view `crm.seen` reads `crm.people`, which a policy governs",
        "Django (`public.django_migrations` is there) names every column of a table, and role `agent` for purpose `support` sees only some of",
        "`crm.visits` (id, note)",
        "mask those columns as `null`",
    ] {
        assert!(said.contains(part), "`{part}` in {said}");
    }
    // What a pattern newly opens is told table by table.
    let wider = folder.path().join("wider.toml");
    fs::write(&wider, format!("{policy}[tables.\"old.*\"]\nopen = \"read\"\n")).unwrap();
    let (wider, old) = (wider.display().to_string(), folder.path().join("policy.toml").display().to_string());
    let (status, said, told) =
        pgpurpose(&["policy", "diff", &old, &wider, "--config", &config, "--live", "--fail-on-opening"]);
    assert_eq!(status, 1, "{said}{told}");
    assert!(said.contains("`old.visits.*` read, and was closed"), "{said}");
    assert!(!said.contains("`old.*"), "no pattern is left: {said}");
}

/// What acts by itself: keys that cascade and set, over open tables too, a circle, triggers of each sort, a rule, a view that is written
/// through, generated and identity columns, children.
const BY_ITSELF: &str = "
    CREATE SCHEMA privacy;
    CREATE TABLE purposes (name text PRIMARY KEY);
    CREATE TABLE privacy.consents (subject_id int, purpose text REFERENCES purposes ON UPDATE CASCADE, granted boolean);
    CREATE TABLE steps (id int PRIMARY KEY);
    CREATE TABLE middle (id int PRIMARY KEY REFERENCES steps ON DELETE CASCADE ON UPDATE CASCADE);
    CREATE TABLE people (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, email text, shout text GENERATED ALWAYS AS (upper(email)) STORED,
        step int DEFAULT 7 REFERENCES middle ON DELETE SET DEFAULT ON UPDATE SET NULL, boss int REFERENCES people ON DELETE CASCADE);
    CREATE FUNCTION act() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM 1; RETURN NEW; END $$;
    CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.email := lower(NEW.email); RETURN NEW; END $$;
    CREATE TRIGGER known BEFORE INSERT ON people FOR EACH ROW EXECUTE FUNCTION touch();
    CREATE TRIGGER unknown AFTER UPDATE OR DELETE ON people FOR EACH ROW EXECUTE FUNCTION act();
    CREATE RULE beside AS ON UPDATE TO people DO ALSO NOTIFY changed;
    CREATE VIEW seen AS SELECT id, email FROM people;
    CREATE TRIGGER instead INSTEAD OF INSERT ON seen FOR EACH ROW EXECUTE FUNCTION act();
    CREATE TABLE old_people () INHERITS (people); CREATE TABLE strict_people () INHERITS (people);
    CREATE TABLE plain (id int PRIMARY KEY); CREATE TABLE plain_too (id int REFERENCES plain ON DELETE CASCADE)";

#[test]
fn check_live_lists_what_the_database_does_by_itself_where_it_reaches_what_is_governed() {
    let folder = tempfile::tempdir().unwrap();
    let policy = "version = 1\n\
        [tables.\"public.people\"]\nsubject = \"id\"\n\
        columns = { id = \"reference\", email = \"contact\", shout = \"reference\", step = \"reference\", boss = \"reference\" }\n\
        [tables.\"public.strict_people\"]\nsubject = \"id\"\n\
        columns = { id = \"reference\", email = \"contact\", shout = \"contact\", step = \"reference\", boss = \"reference\" }\n\
        [tables.\"public.old_people\"]\nopen = true\n\
        [consent]\ntable = \"privacy.consents\"\nsubject = \"subject_id\"\npurpose = \"purpose\"\nactive = \"granted\"\n\
        [purposes.support]\nbasis = \"contract\"\n\
        [roles.agent]\nlogins = [\"support_agent\"]\npurposes = [\"support\"]\n\
        [[rules]]\nname = \"r\"\nroles = [\"agent\"]\npurposes = [\"support\"]\nread = [\"reference\"]\n\
        [functions]\nallow = [\"public.act\"]\n";
    let config = configured(folder.path(), policy);
    shop().run_statements("postgres", "CREATE DATABASE itself").unwrap();
    shop().run_statements("itself", BY_ITSELF).unwrap();
    let (_, said, told) = pgpurpose(&["check", "--config", &config, "--live", "--database", "itself"]);
    let refused = "it is refused where a rule does not open that";
    let named = "the policies name it, and what it reads and writes is not decided";
    for part in [
        &format!(
            "changing keys of `public.purposes` changes `privacy.consents.purpose` by foreign key `consents_purpose_fkey`: {refused}"
        ),
        &format!(
            "deleting rows of `public.steps` deletes rows of `public.middle` by foreign key `middle_id_fkey`, which sets `public.people.step` \
             to NULL or its default by foreign key `people_step_fkey`: {refused}"
        ),
        &format!(
            "changing keys of `public.middle` sets `public.people.step` to NULL or its default by foreign key `people_step_fkey`: {refused}"
        ),
        &format!(
            "deleting rows of `public.people` deletes rows of `public.people` by foreign key `people_boss_fkey`: {refused}"
        ),
        &format!("trigger `unknown` of `public.people` calls `public.act` on UPDATE, DELETE: {named}"),
        &format!("trigger `instead` of `public.seen` calls `public.act` on INSERT: {named}"),
        "trigger `known` of `public.people` calls `public.touch` on INSERT, which touches nothing but the row",
        "rule `beside` of `public.people` runs on UPDATE: such a write is refused, and no policy can name it",
        "rows of `public.old_people` come along with `public.people`, and `public.old_people` by its own name is open",
        "generated column `public.people.shout` is computed of `email`: its own category shows it to who sees less of `email`",
        "identity column `public.people.id` is numbered by a sequence where an INSERT leaves it out",
        "`public.strict_people` is listed more strictly than `public.people`, whose part it is (column `shout`): reading `public.people` is \
         refused where its part shows less",
    ] {
        assert!(said.contains(part), "`{part}` in {said}{told}");
    }
    assert!(!said.contains("public.plain"), "{said}");
    // What a part is listed as is known from the catalog, whether or not that is asked for.
    let (_, said, told) = pgpurpose(&["check", "--config", &config, "--database", "itself"]);
    assert!(said.contains("is listed more strictly than") && !said.contains("foreign key"), "{said}{told}");
}

#[test]
fn check_live_without_a_database_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let config = configured(folder.path(), SHOP_POLICY);
    let text = fs::read_to_string(&config).unwrap();
    let (status, _, told) = pgpurpose(&["check", "--config", &config, "--live", "--database", "nowhere"]);
    assert_eq!(status, 2);
    assert!(told.contains("nowhere") || told.contains("token_key"), "{told}");
    fs::write(&config, text.replace("address = \"", "address = \"/nonexistent")).unwrap();
    assert_eq!(pgpurpose(&["check", "--config", &config, "--live"]).0, 2);
}

#[test]
fn explain_finds_the_database_by_the_policies_tables() {
    let proxy = Proxy::start_with(shop(), Upstream::Tcp, SHOP_POLICY, "");
    let config = folder(&proxy).join("pgpurpose.toml").display().to_string();
    let (status, said, told) = pgpurpose(&[
        "explain",
        "--config",
        &config,
        "--login",
        "support_agent",
        "--json",
        "SELECT email FROM customers",
    ]);
    assert_eq!(status, 0, "{told}");
    let verdict: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!((&verdict["verdict"], &verdict["catalog"]), (&"mask".into(), &"database".into()), "{verdict}");
}

#[test]
fn a_restart_gives_no_new_budget_of_queries() {
    let policy = SHOP_POLICY.replace("min_group = 10 ", "queries_per_day = 2\nmin_group = 10 ");
    assert_ne!(policy, SHOP_POLICY);
    let mut proxy = Proxy::start_with(shop(), Upstream::Socket, &policy, "");
    let count = |proxy: &Proxy| proxy.psql(shop(), &login("analyst"), &["SELECT count(*) FROM customers"]);
    assert!(count(&proxy).ok);
    assert!(get(&proxy, "/metrics").1.contains("\npgpurpose_group_queries_total{purpose=\"analytics\"} 1\n"));
    proxy.kill();
    proxy.restart();
    assert!(count(&proxy).ok);
    proxy.kill();
    proxy.restart();
    let said = count(&proxy);
    assert!(!said.ok && said.err.contains("has used its budget of 2 queries a day"), "{said:?}");
    assert!(get(&proxy, "/metrics").1.contains("\npgpurpose_group_queries_refused_total{purpose=\"analytics\"} 1\n"));
}

/// The shop's customers, whose names are shown as pseudonyms.
const PSEUDONYMS: &str = "version = 1\n\
    [tables.\"public.customers\"]\nsubject = \"id\"\ncolumns = { id = \"reference\", full_name = \"identity\" }\n\
    [purposes.support]\nbasis = \"contract\"\n\
    [roles.agent]\nlogins = [\"support_agent\"]\npurposes = [\"support\"]\n\
    [[rules]]\nname = \"names as pseudonyms\"\nroles = [\"agent\"]\npurposes = [\"support\"]\nread = [\"reference\"]\n\
    mask = { identity = \"token\" }\n";

#[test]
fn no_key_of_a_pseudonym_is_in_the_log_or_the_activity_of_a_database_that_logs_all_it_can() {
    let settings = [
        ("logging_collector", "on"),
        ("log_min_messages", "debug1"),
        ("log_statement", "all"),
        ("log_min_duration_statement", "0"),
        ("log_duration", "on"),
        ("log_connections", "on"),
        ("log_disconnections", "on"),
        ("log_parameter_max_length_on_error", "-1"),
        ("log_line_prefix", "%m %u %d %a %Q "),
        ("log_error_verbosity", "verbose"),
        ("debug_print_plan", "on"),
        ("debug_print_rewritten", "on"),
        ("session_preload_libraries", "auto_explain"),
        ("auto_explain.log_min_duration", "0"),
        ("auto_explain.log_analyze", "on"),
        ("auto_explain.log_verbose", "on"),
        ("auto_explain.log_settings", "on"),
        ("track_activity_query_size", "1048576"),
    ];
    let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let options = ClusterOptions { template: Some(template(None)), settings, ..ClusterOptions::default() };
    let cluster = Cluster::start(&options).unwrap();
    let proxy = Proxy::start_with(&cluster, Upstream::Socket, PSEUDONYMS, "");
    // The client's session stays, so that the view shows its last statement.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let activity = runtime.block_on(async {
        let mut config = tokio_postgres::Config::new();
        config.host("127.0.0.1").port(proxy.port).user("support_agent").dbname("shop");
        let (client, connection) = config.connect(tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(connection);
        let name = client.query_one("SELECT full_name FROM customers WHERE id = $1", &[&1_i64]).await.unwrap();
        assert!(name.get::<_, &str>(0).starts_with("tok_"));
        assert!(
            client.simple_query("SELECT full_name, 1 / (id - id) FROM customers").await.is_err(),
            "an error is logged"
        );
        client
            .batch_execute("BEGIN; DECLARE c CURSOR FOR SELECT full_name FROM customers; FETCH 2 FROM c")
            .await
            .unwrap();
        client
            .batch_execute("ROLLBACK; EXPLAIN (ANALYZE, VERBOSE, SETTINGS) SELECT full_name FROM customers")
            .await
            .unwrap();
        client.batch_execute("SELECT full_name FROM customers WHERE id < 3").await.unwrap();
        cluster.run_sql("shop", "SELECT query FROM pg_stat_activity").unwrap()
    });
    let log = cluster.run_sql("shop", "SELECT pg_read_file(pg_current_logfile())").unwrap();
    for shown in [&activity, &log] {
        assert!(shown.contains("current_setting"), "the masked statement is shown");
    }
    assert!(log.contains("Query Text") && log.contains("division by zero"), "explained plans and errors are logged");

    let root = "0123456789abcdef".repeat(4);
    let mut secrets = vec![root.clone()];
    secrets.extend(TokenKey::from_hex(&root).unwrap().settings("support").map(|(_, value)| value));
    for secret in secrets {
        let bytes: Vec<u8> =
            (0..secret.len()).step_by(2).map(|at| u8::from_str_radix(&secret[at..at + 2], 16).unwrap()).collect();
        // A part is enough: settings may be cut. Base64 depends on where the bytes begin, so each beginning is looked for.
        let mut forms = vec![secret[..24].to_owned(), secret[secret.len() - 24..].to_owned()];
        forms.extend((0..3).map(|from| BASE64_STANDARD_NO_PAD.encode(&bytes[from..from + 18])));
        for form in forms {
            for (place, text) in [("log", &log), ("activity", &activity)] {
                assert!(!text.to_lowercase().contains(&form.to_lowercase()), "a key is in the database's {place}");
            }
        }
    }
}
