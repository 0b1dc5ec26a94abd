//! What makes deletion hard: circles, composite keys, references to oneself, partitions, cascades, rows that are shared, rows that the law keeps.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::Stand;

/// Tables whose rows hold what was written about somebody.
const ALL: &[&str] =
    &["customers", "orders", "order_items", "returns", "visits", "messages", "invoices", "notes", "stock", "staff"];

/// How often the canary of a person stands in each table.
fn canaries(stand: &Stand, person: u32) -> BTreeMap<String, i64> {
    let mut found = BTreeMap::new();
    for table in ALL {
        let sql = format!("SELECT count(*) FROM {table} t WHERE t::text ~ 'canary-{person}([^0-9]|$)'");
        let count: i64 = stand.sql(&sql).parse().unwrap();
        if count > 0 {
            found.insert((*table).to_owned(), count);
        }
    }
    found
}

/// Everything that is not this person's, as one digest a table; `loose` columns may become NULL.
fn others(stand: &Stand, person: u32) -> BTreeMap<String, String> {
    let of = |table: &str, not: &str| {
        stand.sql(&format!(
            "SELECT count(*) || ' ' || coalesce(md5(string_agg(r, '|' ORDER BY r)), '') FROM \
             (SELECT (to_jsonb(t) - 'referred_by' - 'favourite_order' - 'reserved_for')::text AS r FROM {table} t WHERE {not}) rows"
        ))
    };
    let orders = format!("(SELECT order_id FROM orders WHERE customer_id = {person})");
    [
        ("customers", format!("id <> {person}")),
        ("orders", format!("customer_id <> {person}")),
        ("order_items", format!("order_id NOT IN {orders}")),
        ("returns", format!("order_id NOT IN {orders}")),
        ("visits", format!("customer_id <> {person}")),
        ("messages", format!("sender <> {person}")),
        ("invoices", format!("customer_id <> {person}")),
        ("notes", format!("customer_id <> {person}")),
        ("stock", "true".to_owned()),
        ("staff", "true".to_owned()),
    ]
    .into_iter()
    .map(|(table, not)| (table.to_owned(), of(table, &not)))
    .collect()
}

/// Foreign keys some row of which refers to nothing: asked of the rows themselves, not of the database's word that it looks.
fn orphans(stand: &Stand) -> Vec<String> {
    let keys = stand.sql(
        "SELECT format('SELECT %L WHERE EXISTS (SELECT FROM %s AS a WHERE (%s) IS NOT NULL AND NOT EXISTS (SELECT FROM %s AS b WHERE (%s) = (%s)))', \
            k.conrelid::regclass || ' ' || k.conname, k.conrelid::regclass, own.names, k.confrelid::regclass, own.names, there.names) \
         FROM pg_constraint AS k, \
         LATERAL (SELECT string_agg('a.' || quote_ident(attname), ', ' ORDER BY at) AS names FROM unnest(k.conkey) WITH ORDINALITY AS n(num, at) \
                  JOIN pg_attribute ON attrelid = k.conrelid AND attnum = num) AS own, \
         LATERAL (SELECT string_agg('b.' || quote_ident(attname), ', ' ORDER BY at) AS names FROM unnest(k.confkey) WITH ORDINALITY AS n(num, at) \
                  JOIN pg_attribute ON attrelid = k.confrelid AND attnum = num) AS there \
         WHERE k.contype = 'f'",
    );
    assert!(keys.lines().count() > 10, "{keys}");
    keys.lines().map(|query| stand.sql(query)).filter(|name| !name.is_empty()).collect()
}

fn plan(out: &str) -> BTreeMap<String, [u64; 4]> {
    let plan: Value = serde_json::from_str(out).unwrap();
    let lines = plan["tables"].as_array().unwrap().iter();
    lines
        .map(|line| {
            let number = |key: &str| line[key].as_u64().unwrap();
            (
                line["table"].as_str().unwrap().trim_start_matches("public.").to_owned(),
                [number("delete"), number("anonymise"), number("keep"), number("unlink")],
            )
        })
        .collect()
}

#[test]
fn a_person_goes_whole_and_nobody_else_loses_a_row() {
    let stand = Stand::open();
    stand.sql("INSERT INTO privacy.consents (subject_id, purpose, evidence) VALUES (1, 'marketing', 'form'), (2, 'marketing', 'form')");
    let request = stand.open_request("deletion", "1");
    let before = others(&stand, 1);
    let (canaries_before, planned) =
        (canaries(&stand, 1), plan(&stand.done(&["delete", &request, "--plan", "--json"])));
    assert_eq!(canaries(&stand, 1), canaries_before, "a plan changes nothing");
    // Three others were referred by 1, one likes an order of 1's, a chair is reserved for one.
    assert_eq!(planned["customers"], [1, 0, 0, 4]);
    assert_eq!(planned["orders"], [3, 0, 0, 0]);
    assert_eq!(planned["order_items"], [6, 0, 0, 0]);
    assert_eq!(planned["returns"], [3, 0, 0, 0], "{planned:?}");
    assert_eq!(planned["visits"], [2, 0, 0, 0]);
    assert_eq!(planned["notes"], [1, 0, 0, 0]);
    assert_eq!(planned["privacy.consents"], [1, 0, 0, 0]);
    let out = stand.done(&["delete", &request, "--apply", "--json", "--certificate", "1.json"]);
    assert_eq!(plan(&out), planned, "what was done is what was planned");
    assert_eq!(canaries(&stand, 1), BTreeMap::new());
    assert_eq!(others(&stand, 1), before);
    assert_eq!(
        stand.sql("SELECT count(*) FROM customers WHERE referred_by IS NOT NULL OR favourite_order IS NULL"),
        "1"
    );
    assert_eq!(stand.sql("SELECT count(*) FROM privacy.consents"), "1");
    assert_eq!(orphans(&stand), Vec::<String>::new());
    let certificate: Value = serde_json::from_str(&std::fs::read_to_string(stand.path("1.json")).unwrap()).unwrap();
    assert_eq!(certificate["deleted"], 17);
    assert!(!certificate.to_string().contains("canary"));
}

#[test]
fn what_the_law_keeps_stays_and_what_it_hangs_on_says_nothing_any_more() {
    let stand = Stand::open();
    let request = stand.open_request("deletion", "7");
    let before = others(&stand, 7);
    let out = stand.done(&["delete", &request, "--apply"]);
    assert!(out.contains("`bookkeeping` keeps it for 5 years after issued_on (s14(1)(a))"), "{out}");
    assert_eq!(stand.sql("SELECT string_agg(invoice_id::text, ',') FROM invoices WHERE customer_id = 7"), "1");
    assert_eq!(canaries(&stand, 7), BTreeMap::new());
    assert_eq!(others(&stand, 7), before);
    assert_eq!(orphans(&stand), Vec::<String>::new());
    // Its key, who served it and nothing else; a day of birth must stand there, and tells the year.
    assert_eq!(
        stand.sql(
            "SELECT id, full_name, email LIKE 'removed-%', phone, id_number, born, city FROM customers WHERE id = 7"
        ),
        "7|removed|t||||".replace("||||", "|||1980-01-01|")
    );
}

#[test]
fn a_row_that_another_wrote_keeps_whom_it_names_without_what_it_says_of_them() {
    let stand = Stand::open();
    let request = stand.open_request("deletion", "5");
    let before = others(&stand, 5);
    stand.done(&["delete", &request, "--apply"]);
    assert_eq!(stand.sql("SELECT message_id, recipient FROM messages ORDER BY 1"), "2|5");
    assert_eq!(canaries(&stand, 5), BTreeMap::new());
    assert_eq!(others(&stand, 5), before);
}

#[test]
fn a_failure_in_the_middle_and_a_trigger_that_takes_more_leave_everything_as_it_was() {
    let stand = Stand::open();
    let request = stand.open_request("deletion", "3");
    let whole = || ALL.iter().map(|table| stand.sql(&format!("SELECT count(*) FROM {table}"))).collect::<Vec<_>>();
    let before = whole();
    stand.sql(
        "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no'; END $$; \
         CREATE TRIGGER fail BEFORE DELETE ON notes FOR EACH ROW EXECUTE FUNCTION fail()",
    );
    let (code, _, remarks) = stand.subject(&["delete", &request, "--apply"]);
    assert_eq!(code, 1, "{remarks}");
    assert_eq!(whole(), before);
    assert!(!stand.path(&format!("request-{request}-certificate.json")).exists());
    stand.sql(
        "DROP TRIGGER fail ON notes; CREATE FUNCTION more() RETURNS trigger LANGUAGE plpgsql AS $$ \
         BEGIN DELETE FROM invoices WHERE invoice_id = 3; RETURN OLD; END $$; \
         CREATE TRIGGER more AFTER DELETE ON notes FOR EACH ROW EXECUTE FUNCTION more()",
    );
    let (code, _, remarks) = stand.subject(&["delete", &request, "--apply"]);
    assert!(code == 1 && remarks.contains("a trigger or cascade does more"), "{remarks}");
    assert_eq!(whole(), before);
}

#[test]
fn the_plan_warns_of_keys_without_an_index_and_of_tables_in_no_policy() {
    let stand = Stand::open();
    let request = stand.open_request("deletion", "2");
    let (_, _, remarks) = stand.subject(&["delete", &request, "--plan"]);
    assert!(remarks.contains("`public.orders` has no index that begins with customer_id"), "{remarks}");
    assert!(remarks.contains("`public.notes` is in no policy"), "{remarks}");
    // Wishes have sections of their own.
    stand.sql("INSERT INTO privacy.objections (subject_id, purpose, evidence) VALUES (2, 'offers', 'letter')");
    let (_, out, remarks) = stand.subject(&["delete", &request, "--plan"]);
    assert!(
        out.contains("privacy.objections") && !remarks.contains("`privacy.objections` is in no policy"),
        "{remarks}"
    );
    assert!(!remarks.contains("`public.order_items` has no index"), "{remarks}");
}

#[test]
fn rows_that_are_restricted_for_proof_are_not_deleted() {
    let stand = Stand::open();
    let request = stand.open_request("deletion", "4");
    stand.done(&["restrict", &request, "--ground", "kept_for_proof"]);
    let (code, _, remarks) = stand.subject(&["delete", &request, "--apply"]);
    assert!(code == 1 && remarks.contains("s14(6)"), "{remarks}");
    assert!(!canaries(&stand, 4).is_empty());
}

/// The client dies while rows go; then the server does.
#[test]
fn a_crash_in_the_middle_leaves_everything_as_it_was_and_no_certificate() {
    let stand = Stand::open();
    let request = stand.open_request("deletion", "3");
    let whole = || ALL.iter().map(|table| stand.sql(&format!("SELECT count(*) FROM {table}"))).collect::<Vec<_>>();
    let before = (whole(), canaries(&stand, 3), others(&stand, 3));
    stand.sql(
        "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(600); RETURN OLD; END $$; \
         CREATE TRIGGER slow BEFORE DELETE ON notes FOR EACH ROW EXECUTE FUNCTION slow()",
    );
    let soon = |what: &str, done: &dyn Fn() -> bool| {
        let begun = Instant::now();
        while !done() {
            assert!(begun.elapsed() < Duration::from_secs(60), "{what}");
            thread::sleep(Duration::from_millis(50));
        }
    };
    let asleep = "SELECT pid FROM pg_stat_activity WHERE wait_event = 'PgSleep'";
    let ask = |sql: &str| stand.cluster.run_sql("shop", sql).map(|text| text.trim().to_owned()).unwrap_or_default();
    let begin = || {
        let child = Command::new(env!("CARGO_BIN_EXE_pgpurpose"))
            .current_dir(stand.folder.path())
            .env("USER", "thabo")
            .args([
                "subject",
                "delete",
                "--config",
                "pgpurpose.toml",
                "--database",
                "shop",
                "--of",
                "public.customers",
                &request,
                "--apply",
            ])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        soon("rows go", &|| !ask(asleep).is_empty());
        child
    };
    let mut child = begin();
    child.kill().unwrap();
    child.wait().unwrap();
    ask(&format!("SELECT pg_terminate_backend(({asleep}))"));
    soon("the session ends", &|| ask(asleep).is_empty());
    assert_eq!((whole(), canaries(&stand, 3), others(&stand, 3)), before);

    let mut child = begin();
    // PostgreSQL takes a killed backend for a crash, and starts again from its log.
    let killed = Command::new("kill").args(["-9", &ask(asleep)]).status().unwrap();
    assert!(killed.success() && !child.wait().unwrap().success());
    soon("the server is back", &|| ask("SELECT 1") == "1");
    assert_eq!((whole(), canaries(&stand, 3), others(&stand, 3)), before);
    assert_eq!(orphans(&stand), Vec::<String>::new());
    assert!(!stand.path(&format!("request-{request}-certificate.json")).exists());
    // And what was not done can be done.
    stand.sql("DROP TRIGGER slow ON notes");
    stand.done(&["delete", &request, "--apply"]);
    assert_eq!(canaries(&stand, 3), BTreeMap::new());
    assert!(stand.path(&format!("request-{request}-certificate.json")).exists());
}
