//! Sessions whose statements are decided: purposes, prepared statements, cursors, the guard, cleaned errors.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod raw;

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use pgpurpose::catalog::{CatalogBuilder, CatalogStore, RelationName};
use pgpurpose::policy::PolicySet;
use pgpurpose::server::Options;
use raw::{
    Client, Proxy, batch, bind, bind_with, describe, execute, field, message, parse, parse_with, query, rows, servers,
    shown, socket, sync,
};

const POLICY: &str = r#"
version = 1
unlisted_tables = "deny"
[tables."public.people"]
subject = "id"
columns = { id = "reference", email = "contact", secret = "hidden" }
[purposes.support]
basis = "contract"
[purposes.billing]
basis = "contract"
[purposes.fraud]
basis = "contract"
[roles.support]
logins = ["support"]
purposes = ["support", "billing"]
[roles.migrator]
logins = ["postgres"]
unrestricted = "tests of the protocol"
[[rules]]
name = "support sees masks"
roles = ["support"]
purposes = ["support"]
read = ["reference"]
mask = { contact = "first(1)" }
[[rules]]
name = "billing sees all"
roles = ["support"]
purposes = ["billing"]
read = ["reference", "contact"]
"#;

const MASKED: &str = "a********";
const PLAIN: &str = "ann@x.org";

fn proxy() -> &'static Proxy {
    static PROXY: OnceLock<Proxy> = OnceLock::new();
    PROXY.get_or_init(|| {
        set_up();
        raw::start(Options::new("127.0.0.1:0", servers(&socket())), POLICY, raw::catalog("postgres"))
    })
}

fn set_up() {
    static DONE: OnceLock<()> = OnceLock::new();
    DONE.get_or_init(|| {
        let sql = "CREATE TABLE people (id int PRIMARY KEY, email text, secret text);
                   INSERT INTO people VALUES (1, 'ann@x.org', 'canary');
                   GRANT SELECT, DELETE ON people TO support;
                   CREATE TABLE visits (id int PRIMARY KEY, town text);
                   INSERT INTO visits VALUES (1, 'Durban'), (2, 'Durban'), (3, 'Paarl'), (4, 'Paarl');
                   GRANT SELECT ON visits TO support";
        raw::cluster().run_sql("postgres", sql).unwrap();
    });
}

fn support() -> Client {
    proxy().login("support", &[])
}

const EMAIL: &str = "SELECT email FROM people";

#[test]
fn the_purpose_is_stated_in_any_of_the_ways() {
    assert_eq!(support().rows(EMAIL), [MASKED]);
    assert_eq!(proxy().login("support", &[("options", "-c pgpurpose.purpose=billing")]).rows(EMAIL), [PLAIN]);
    assert_eq!(proxy().login("support", &[("database", "postgres@billing")]).rows(EMAIL), [PLAIN]);
    let mut client = support();
    assert_eq!(client.rows(&format!("/* purpose='billing' */ {EMAIL}")), [PLAIN]);
    assert_eq!(client.rows(EMAIL), [MASKED]);
    assert_eq!(client.query("SET pgpurpose.purpose = 'billing'"), "C(SET) ZI");
    assert_eq!(client.rows(EMAIL), [PLAIN]);
    assert_eq!(client.rows("SHOW pgpurpose.purpose"), ["billing"]);
    assert_eq!(client.query("RESET pgpurpose.purpose"), "C(RESET) ZI");
    assert_eq!(client.rows(EMAIL), [MASKED]);
}

#[test]
fn a_purpose_that_the_role_may_not_use_is_refused() {
    let mut client = support();
    assert_eq!(client.query("SET pgpurpose.purpose = 'fraud'"), "E42501 ZI");
    assert_eq!(client.query(&format!("/* purpose='fraud' */ {EMAIL}")), "E42501 ZI");
    assert_eq!(client.rows(EMAIL), [MASKED]);
}

#[test]
fn the_purpose_follows_the_transaction() {
    let mut client = support();
    client.query("BEGIN");
    client.query("SET pgpurpose.purpose = 'billing'");
    assert_eq!(client.rows(EMAIL), [PLAIN]);
    client.query("ROLLBACK");
    assert_eq!(client.rows(EMAIL), [MASKED]);
    client.query("BEGIN");
    client.query("SET LOCAL pgpurpose.purpose = 'billing'");
    assert_eq!(client.rows(EMAIL), [PLAIN]);
    client.query("COMMIT");
    assert_eq!(client.rows(EMAIL), [MASKED]);
    client.query("BEGIN; SAVEPOINT a; SET pgpurpose.purpose = 'billing'");
    client.query("ROLLBACK TO a");
    assert_eq!(client.rows(EMAIL), [MASKED]);
    client.query("ROLLBACK");
    client.send(&query(&format!("SET pgpurpose.purpose = 'billing'; {EMAIL}")));
    assert_eq!(rows(&client.until_ready()), [PLAIN]);
    assert_eq!(client.rows(EMAIL), [PLAIN]);
}

#[test]
fn a_set_that_fails_with_its_batch_changes_nothing() {
    let mut client = support();
    assert_eq!(client.query("SET pgpurpose.purpose = 'billing'; SELECT 1/0"), "C(SET) E22012 ZI");
    assert_eq!(client.rows(EMAIL), [MASKED]);
    assert_eq!(client.query("SET pgpurpose.purpose = 'billing'; SELECT secret FROM people"), "E42501 ZI");
    assert_eq!(client.rows(EMAIL), [MASKED]);
}

#[test]
fn a_pipelined_set_counts_for_what_follows_only_if_it_ran() {
    let mut client = support();
    client.send(&batch(&[query("SET pgpurpose.purpose = 'billing'"), query(EMAIL)]));
    client.until_ready();
    assert_eq!(rows(&client.until_ready()), [PLAIN]);
    client.query("RESET ALL");
    client.send(&batch(&[
        parse("", "SELECT 1/count(*) FROM generate_series(1, 0)"),
        bind("", ""),
        execute("", 0),
        parse("", "SET pgpurpose.purpose = 'billing'"),
        bind("", ""),
        execute("", 0),
        sync(),
        parse("", EMAIL),
        bind("", ""),
        execute("", 0),
        sync(),
    ]));
    assert_eq!(shown(&client.until_ready()), "1 2 E22012 ZI");
    assert_eq!(rows(&client.until_ready()), [MASKED]);
}

#[test]
fn a_refused_batch_runs_nothing_and_fails_the_transaction() {
    let mut client = support();
    assert_eq!(client.query("SELECT id FROM people; SELECT secret FROM people"), "E42501 ZI");
    client.query("BEGIN");
    assert_eq!(client.query("SELECT secret FROM people"), "E42501 ZE");
    assert_eq!(client.query(EMAIL), "E25P02 ZE");
    assert_eq!(client.query("ROLLBACK"), "C(ROLLBACK) ZI");
}

#[test]
fn a_refused_statement_in_a_pipeline_is_answered_in_order() {
    let mut client = support();
    client.send(&batch(&[
        parse("", EMAIL),
        bind("", ""),
        describe('P', ""),
        execute("", 0),
        parse("", "SELECT secret FROM people"),
        bind("", ""),
        execute("", 0),
        sync(),
        parse("", EMAIL),
        bind("", ""),
        execute("", 0),
        sync(),
    ]));
    assert_eq!(shown(&client.until_ready()), "1 2 T D C(SELECT 1) E42501 ZI");
    assert_eq!(shown(&client.until_ready()), "1 2 D C(SELECT 1) ZI");
}

#[test]
fn a_prepared_statement_is_decided_again_for_another_purpose() {
    let mut client = support();
    client.send(&batch(&[parse("named", EMAIL), sync()]));
    client.until_ready();
    let run = batch(&[bind("", "named"), execute("", 0), sync()]);
    for (purpose, seen) in [("support", MASKED), ("billing", PLAIN), ("support", MASKED)] {
        client.query(&format!("SET pgpurpose.purpose = '{purpose}'"));
        client.send(&run);
        let messages = client.until_ready();
        assert_eq!(shown(&messages), "2 D C(SELECT 1) ZI");
        assert_eq!(rows(&messages), [seen]);
    }
}

#[test]
fn sql_level_prepare_and_execute_keep_to_the_purpose() {
    let mut client = support();
    assert_eq!(client.query(&format!("PREPARE p AS {EMAIL}")), "C(PREPARE) ZI");
    assert_eq!(client.rows("EXECUTE p"), [MASKED]);
    client.query("SET pgpurpose.purpose = 'billing'");
    client.send(&query("EXECUTE p"));
    let messages = client.until_ready();
    assert_eq!(shown(&messages), "T D C(SELECT 1) ZI");
    assert_eq!(rows(&messages), [PLAIN]);
    client.query("BEGIN; SET LOCAL pgpurpose.purpose = 'support'");
    assert_eq!(client.rows("EXECUTE p"), [MASKED]);
    client.query("ROLLBACK");
    assert_eq!(client.rows("EXECUTE p"), [PLAIN]);
    client.send(&batch(&[parse("x", EMAIL), sync(), query("SET pgpurpose.purpose = 'support'"), query("EXECUTE x")]));
    for _ in 0..2 {
        client.until_ready();
    }
    assert_eq!(rows(&client.until_ready()), [MASKED]);
    client.query("SET pgpurpose.purpose = 'billing'");
    client.query("DEALLOCATE p");
    assert_eq!(client.query("EXECUTE p"), "E26000 ZI");
    client.query(&format!("PREPARE p AS {EMAIL}"));
    assert_eq!(client.rows("EXECUTE p"), [PLAIN]);
    assert_eq!(client.query("DISCARD ALL"), "C(DISCARD ALL) ZI");
    assert_eq!(client.query("EXECUTE p"), "E26000 ZI");
}

#[test]
fn a_cursor_is_closed_to_another_purpose() {
    let mut client = support();
    client.query("BEGIN");
    assert_eq!(client.query("DECLARE c CURSOR FOR SELECT email FROM people"), "C(DECLARE CURSOR) ZT");
    assert_eq!(client.rows("FETCH 1 FROM c"), [MASKED]);
    client.query("SET pgpurpose.purpose = 'billing'");
    assert_eq!(client.query("FETCH 1 FROM c"), "E42501 ZE");
    client.query("ROLLBACK");
    client.send(&batch(&[query("BEGIN"), parse("", EMAIL), bind("open", ""), execute("open", 1), sync()]));
    client.until_ready();
    client.until_ready();
    client.query("SET pgpurpose.purpose = 'billing'");
    client.send(&batch(&[execute("open", 1), sync()]));
    assert_eq!(shown(&client.until_ready()), "E42501 ZE");
}

#[test]
fn what_the_database_says_back_cannot_carry_data() {
    let mut client = support();
    client.query("SET pgpurpose.purpose = 'billing'");
    client.send(&query("SELECT email::integer FROM people"));
    let messages = client.until_ready();
    let error = messages.iter().find(|(tag, _)| *tag == b'E').unwrap();
    assert_eq!(field(&error.1, b'M'), "invalid text representation");
    assert!(!String::from_utf8_lossy(&error.1).contains("ann"));
}

#[test]
fn every_run_has_one_record_and_one_outcome() {
    let proxy = proxy();
    let mut client = proxy.login("support", &[("application_name", "counted")]);
    client.query("SELECT id FROM people WHERE id = 1; SELECT 2");
    client.send(&batch(&[parse("", EMAIL), bind("", ""), execute("", 0), sync()]));
    client.until_ready();
    client.send(&batch(&[
        parse("kept", EMAIL),
        sync(),
        bind("", "kept"),
        execute("", 0),
        sync(),
        bind("", "kept"),
        execute("", 0),
        sync(),
    ]));
    for _ in 0..3 {
        client.until_ready();
    }
    client.query("SELECT secret FROM people");
    client.query("SELECT nonsense FROM");
    drop(client);
    let records = proxy.records();
    let accesses: Vec<_> =
        records.iter().filter(|record| record["event"] == "access" && record["application"] == "counted").collect();
    let verdicts: Vec<_> = accesses.iter().map(|access| access["verdict"].as_str().unwrap()).collect();
    assert_eq!(verdicts, ["allow", "allow", "mask", "mask", "mask", "mask", "deny", "deny"]);
    assert_eq!(accesses[0]["statement"], "SELECT id FROM people WHERE id = $1");
    for access in accesses.iter().filter(|access| access["verdict"] != "deny") {
        let outcomes: Vec<_> =
            records.iter().filter(|record| record["event"] == "outcome" && record["of"] == access["seq"]).collect();
        assert_eq!(outcomes.len(), 1, "{access}");
        assert_eq!(outcomes[0]["status"], "ok");
    }
    for event in ["connect", "disconnect"] {
        assert!(records.iter().any(|record| record["event"] == event), "no {event}");
    }
}

#[test]
fn nothing_runs_when_the_log_cannot_be_written() {
    set_up();
    let proxy = raw::start(Options::new("127.0.0.1:0", servers(&socket())), POLICY, raw::catalog("postgres"));
    let mut client = proxy.login("support", &[]);
    assert_eq!(client.rows(EMAIL), [MASKED]);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(proxy.shared.audit.close("test")).unwrap();
    assert_eq!(client.query(EMAIL), "E58030 ZI");
    client.send(&batch(&[parse("", EMAIL), bind("", ""), execute("", 0), sync()]));
    assert_eq!(shown(&client.until_ready()), "E58030 ZI");
    let mut other = proxy.connect();
    other.startup(3, 0, &[("user", "support"), ("database", "postgres")]);
    assert!(shown(&other.until_closed()).ends_with("E58030"));
}

#[test]
fn a_new_policy_counts_for_the_next_statement_of_every_session() {
    set_up();
    let proxy = raw::start(Options::new("127.0.0.1:0", servers(&socket())), POLICY, raw::catalog("postgres"));
    let mut client = proxy.login("support", &[]);
    client.send(&batch(&[parse("named", EMAIL), sync()]));
    client.until_ready();
    let run = batch(&[bind("", "named"), execute("", 0), sync()]);
    client.send(&run);
    assert_eq!(rows(&client.until_ready()), [MASKED]);
    let closed = POLICY.replace("mask = { contact = \"first(1)\" }", "");
    let policies = PolicySet::from_sources(&[("test.toml".into(), closed)]).unwrap();
    proxy.shared.policies.store(Arc::new(policies));
    client.send(&run);
    assert_eq!(shown(&client.until_ready()), "E42501 ZI");
    let gone = POLICY.replace("logins = [\"support\"]", "logins = [\"somebody\"]");
    proxy.shared.policies.store(Arc::new(PolicySet::from_sources(&[("test.toml".into(), gone)]).unwrap()));
    assert_eq!(client.query(EMAIL), "E28000 ZI");
}

#[test]
fn ddl_that_passes_is_known_to_the_next_statement() {
    let mut migrator = proxy().login("postgres", &[]);
    let mut client = support();
    assert_eq!(client.query("SELECT added FROM people"), "E42703 ZI");
    assert_eq!(migrator.query("ALTER TABLE people ADD COLUMN added text"), "C(ALTER TABLE) ZI");
    let started = Instant::now();
    while client.query("SELECT added FROM people") != "E42501 ZI" {
        assert!(started.elapsed() < Duration::from_secs(5), "the new column is not known");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_result_that_does_not_match_the_decision_ends_the_session_before_a_row() {
    set_up();
    // A catalog in which the table has another oid: what comes back is then a stranger.
    let mut builder = CatalogBuilder::new();
    let columns = [("id", "integer"), ("email", "text"), ("secret", "text")];
    builder.table(RelationName::new("public", "people"), &columns, &["id"]);
    let catalog = Arc::new(CatalogStore::fixed(builder.build()));
    let proxy = raw::start(Options::new("127.0.0.1:0", servers(&socket())), POLICY, catalog);
    for bytes in [
        query("SELECT id FROM people"),
        batch(&[parse("", "SELECT id FROM people"), bind("", ""), execute("", 0), sync()]),
        batch(&[parse("", "SELECT id FROM people"), describe('S', ""), message(b'H', b"")]),
    ] {
        let mut client = proxy.login("support", &[]);
        client.send(&bytes);
        let messages = client.until_closed();
        assert!(!messages.iter().any(|(tag, _)| matches!(tag, b'D' | b'T')), "{}", shown(&messages));
        assert!(shown(&messages).ends_with("E42501"), "{}", shown(&messages));
    }
    assert_eq!(proxy.records().iter().filter(|record| record["event"] == "incident").count(), 3);
}

#[test]
fn explain_policy_tells_what_a_statement_would_get_and_forwards_none_of_it() {
    let mut client = support();
    let told = client.rows("EXPLAIN POLICY SELECT id, email FROM people WHERE id = 4711");
    let want = [
        "verdict: mask",
        "role support for purpose support (contract, POPIA s11(1)(b))",
        "public.people",
        "  email: mask first(1), by rule `support sees masks`",
        "  id: read, by rule `support sees masks`",
    ];
    assert_eq!(told, want);
    let told = client.rows("/* purpose='billing' */ explain /* why */ policy SELECT secret FROM people");
    assert_eq!(told[0], "verdict: deny");
    assert!(told.iter().any(|line| line.starts_with("refused with 42501: column `public.people.secret`")), "{told:?}");
    let told = client.rows("EXPLAIN POLICY SELECT * FROM people");
    assert!(told.contains(&"  left out of the star: 1".to_owned()) && !told.concat().contains("secret"), "{told:?}");
    let told = client.rows("EXPLAIN POLICY DELETE FROM people");
    assert_eq!(told[0], "verdict: deny");
    assert_eq!(client.rows("EXPLAIN POLICY nonsense")[0], "verdict: deny");
    assert_eq!(client.query("EXPLAIN POLICY EXPLAIN POLICY SELECT 1"), "E42601 ZI");
    assert_eq!(client.rows(EMAIL), [MASKED], "the rows are there still");
    // The extended protocol, where a driver prepares it.
    client.send(&batch(&[
        parse("why", "EXPLAIN POLICY SELECT email FROM people"),
        bind("", "why"),
        describe('P', ""),
        execute("", 0),
        sync(),
    ]));
    let answers = client.until_ready();
    assert_eq!(rows(&answers)[0], "verdict: mask", "{}", shown(&answers));
    let mut migrator = proxy().login("postgres", &[]);
    assert_eq!(migrator.rows("EXPLAIN POLICY DELETE FROM people")[0], "verdict: allow");
    assert_eq!(migrator.rows("SELECT count(*) FROM people"), ["1"]);
}

const FIGURES: &str = r#"
version = 1
[tables."public.people"]
subject = "id"
columns = { id = "reference", email = "contact", secret = "hidden" }
[tables."public.visits"]
subject = "id"
columns = { id = "reference", town = "place" }
[purposes.figures]
basis = "contract"
min_group = 2
queries_per_day = 4
[purposes.service]
basis = "contract"
[roles.support]
logins = ["support"]
purposes = ["figures", "service"]
[[rules]]
name = "all"
roles = ["support"]
purposes = ["figures", "service"]
read = ["reference", "place"]
"#;

const TOWNS: &str = "SELECT town, count(*) FROM visits GROUP BY town ORDER BY town";

#[test]
fn queries_over_groups_have_a_budget_that_all_sessions_share_and_no_way_of_asking_gets_past() {
    set_up();
    let proxy = raw::start(Options::new("127.0.0.1:0", servers(&socket())), FIGURES, raw::catalog("postgres"));
    let (mut one, mut other) = (proxy.login("support", &[]), proxy.login("support", &[]));
    let prepared = || batch(&[parse("", TOWNS), bind("", ""), execute("", 0), sync()]);
    // Neither what is refused nor what brings no rows counts.
    assert_eq!(one.query("SELECT id FROM visits"), "E42501 ZI");
    assert_eq!(one.query(&format!("PREPARE towns AS {TOWNS}")), "C(PREPARE) ZI");
    one.send(&batch(&[parse("later", TOWNS), describe('S', "later"), sync()]));
    one.until_ready();

    assert_eq!(one.rows(TOWNS).len(), 2);
    other.send(&prepared());
    assert_eq!(rows(&other.until_ready()).len(), 2);
    assert_eq!(one.rows("EXECUTE towns"), ["Durban|2", "Paarl|2"]);
    assert_eq!(other.query(&format!("{TOWNS}; {TOWNS}")), "E42501 ZI", "a batch is taken whole or not at all");
    let declared = other.query(&format!("BEGIN; DECLARE kept CURSOR FOR {TOWNS}"));
    assert_eq!(declared, "C(BEGIN) C(DECLARE CURSOR) ZT", "what was refused whole left its share");
    assert_eq!(other.rows("FETCH 1 FROM kept"), ["Durban|2"]);

    for asked in [
        TOWNS.to_owned(),
        format!("/* again */ {TOWNS}"),
        "EXECUTE towns".to_owned(),
        format!("COPY ({TOWNS}) TO STDOUT"),
        format!("DECLARE held CURSOR WITH HOLD FOR {TOWNS}"),
        "SELECT count(*) FROM visits".to_owned(),
    ] {
        one.query("BEGIN");
        assert_eq!(one.query(&asked), "E42501 ZE", "{asked}");
        one.query("ROLLBACK");
    }
    one.send(&prepared());
    assert!(shown(&one.until_ready()).contains("E42501"));
    one.send(&batch(&[bind("", "later"), execute("", 0), sync()]));
    let refused = one.until_ready();
    assert!(rows(&refused).is_empty() && shown(&refused).contains("E42501"), "{}", shown(&refused));
    assert_eq!(other.rows("FETCH 1 FROM kept"), ["Paarl|2"], "a cursor was counted when it was declared");
    assert_eq!(one.rows("/* purpose='service' */ SELECT id FROM visits").len(), 4, "another purpose is not counted");
    // What was prepared for a purpose is refused for it, whatever the session's is.
    assert_eq!(one.query(&format!("/* purpose='figures' */ PREPARE own AS {TOWNS}")), "C(PREPARE) ZI");
    assert_eq!(one.query("SET pgpurpose.purpose = 'service'"), "C(SET) ZI");
    assert_eq!(one.query("EXECUTE own"), "E42501 ZI");
    assert_eq!(one.query("RESET pgpurpose.purpose"), "C(RESET) ZI");

    one.send(&query(TOWNS));
    let answer = one.until_ready();
    let error = &answer.iter().find(|(tag, _)| *tag == b'E').unwrap().1;
    assert_eq!(
        field(error, b'M'),
        "login `support` of role `support` has used its budget of 4 queries a day for purpose `figures`"
    );
    let detail = field(error, b'D');
    assert!(detail.starts_with("the policy states `queries_per_day = 4` for it; record "), "{detail}");
    assert!(field(error, b'H').ends_with(", in Africa/Johannesburg"), "{}", field(error, b'H'));
    let denied =
        |record: &&serde_json::Value| record["reason"].as_str().is_some_and(|why| why.contains("its budget of 4"));
    let records = proxy.records();
    let denied: Vec<_> = records.iter().filter(denied).collect();
    assert_eq!(denied.len(), 11, "each refusal is in the log");
    assert!(denied.iter().all(|record| record["purpose"] == "figures"), "under the purpose that it was decided for");
    // What several statements tell is metered: each that ran says how many there were.
    let records = proxy.records();
    let number = |record: &serde_json::Value, field: &str| record[field].as_u64().unwrap();
    let metered: Vec<(u64, u64)> = records
        .iter()
        .filter(|record| record["event"] == "groups")
        .map(|record| {
            let of = records.iter().find(|access| access["seq"] == record["of"]).unwrap();
            assert_eq!(
                (&of["event"], &of["relations"][0]["filter"]),
                (&"access".into(), &"min_group(2)".into()),
                "{record}"
            );
            assert_eq!((&record["login"], &record["purpose"]), (&"support".into(), &"figures".into()), "{record}");
            (number(record, "asked"), number(record, "left"))
        })
        .collect();
    assert_eq!(metered, [(1, 3), (2, 2), (3, 1), (4, 0)]);
    let told = one.rows(&format!("EXPLAIN POLICY {TOWNS}"));
    assert!(told.contains(&"counts as one of 4 queries a day and login for purpose figures".to_owned()), "{told:?}");
}

#[test]
fn observe_mode_changes_nothing_and_the_log_holds_what_would_have_been() {
    set_up();
    let policy = format!(
        "{POLICY}[consent]\ntable = \"public.nowhere\"\nsubject = \"s\"\npurpose = \"p\"\nactive = \"true\"\n\
                          [purposes.letters]\nbasis = \"consent\"\n[roles.clerk]\nlogins = [\"clerk\"]\npurposes = [\"letters\"]\n"
    );
    let catalog = raw::catalog("postgres");
    let proxy = raw::start_in(true, Options::new("127.0.0.1:0", servers(&socket())), &policy, catalog);
    let mut client = proxy.login("support", &[("application_name", "watched")]);
    assert_eq!(client.rows(EMAIL), [PLAIN], "no mask");
    assert_eq!(client.rows("SELECT * FROM people"), ["1|ann@x.org|canary"], "no column is left out");
    assert_eq!(client.rows("SELECT secret FROM people WHERE secret = 'canary'"), ["canary"], "no refusal");
    assert_eq!(client.rows("SELECT town FROM visits WHERE id = 1"), ["Durban"], "nor of a table that no policy names");
    assert_eq!(client.rows("SET pgpurpose.purpose = 'letters'; SELECT email FROM people"), [PLAIN], "nor a row filter");
    assert_eq!(client.rows("RESET pgpurpose.purpose; SELECT 1"), ["1"]);
    assert_eq!(client.query("DO $$ BEGIN PERFORM 1; END $$"), "C(DO) ZI", "nor of a kind that is never forwarded");
    assert_eq!(client.query("BEGIN; DELETE FROM people; ROLLBACK"), "C(BEGIN) C(DELETE 1) C(ROLLBACK) ZI");
    client.send(&batch(&[parse("", "SELECT secret FROM people"), bind("", ""), execute("", 0), sync()]));
    assert_eq!(rows(&client.until_ready()), ["canary"]);
    assert_eq!(client.query("SELECT email FROM nobody"), "E42P01 ZI", "the database's own error");

    let records = proxy.records();
    let accesses: Vec<_> = records.iter().filter(|record| record["event"] == "access").collect();
    assert!(accesses.iter().all(|record| record["mode"] == "observe"), "{accesses:?}");
    let verdict = |statement: &str| {
        let found: Vec<_> = accesses.iter().filter(|record| record["statement"] == statement).collect();
        assert!(!found.is_empty(), "`{statement}` in {accesses:?}");
        (found[0]["verdict"].as_str().unwrap(), found[0]["reason"].as_str().unwrap_or_default().to_owned())
    };
    assert_eq!(verdict("SELECT email FROM people"), ("mask", String::new()));
    assert_eq!(verdict("SELECT * FROM people"), ("mask", String::new()));
    let (denied, why) = verdict("SELECT secret FROM people WHERE secret = $1");
    assert!(denied == "deny" && why.contains("public.people.secret"), "{why}");
    let (denied, why) = verdict("SELECT town FROM visits WHERE id = $1");
    assert!(denied == "deny" && why.contains("public.visits"), "{why}");
    assert_eq!(verdict("DELETE FROM people").0, "deny");
    assert_eq!(verdict("SELECT secret FROM people").0, "deny");
    let letters: Vec<_> = accesses.iter().filter(|record| record["purpose"] == "letters").collect();
    assert!(letters.iter().any(|record| record["verdict"] == "deny"), "{letters:?}");
}

#[test]
fn explain_policy_takes_parameters_as_drivers_send_them_and_is_in_the_log() {
    let mut client = proxy().login("support", &[("application_name", "asks why")]);
    let text = "EXPLAIN POLICY SELECT id, email FROM people WHERE id = $1 AND email = $2";
    // int4 and text, as a driver says, and left to the database.
    for types in [&[23_u32, 25][..], &[]] {
        client.send(&batch(&[
            parse_with("", text, types),
            describe('S', ""),
            bind_with("", "", &[b"4711", b"x@y.org"]),
            execute("", 0),
            sync(),
        ]));
        let answers = client.until_ready();
        assert_eq!(rows(&answers).first().map(String::as_str), Some("verdict: mask"), "{types:?} {}", shown(&answers));
    }
    let records = proxy().records();
    let asked: Vec<_> =
        records.iter().filter(|record| record["event"] == "access" && record["application"] == "asks why").collect();
    assert_eq!(asked.len(), 2, "one record for each: {asked:?}");
    for record in asked {
        assert_eq!((&record["statement"], &record["verdict"]), (&text.into(), &"allow".into()), "{record}");
        let ended = records.iter().find(|ended| ended["event"] == "outcome" && ended["of"] == record["seq"]).unwrap();
        assert_eq!((&ended["status"], ended["rows"].as_u64()), (&"ok".into(), Some(5)), "{ended}");
    }
}
