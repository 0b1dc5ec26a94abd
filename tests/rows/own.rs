//! Rows that a rule opens (`rows`), purposes that stand in the record, and rows that are kept until a day.

use pgpurpose::server::Options;

use super::raw::{self, servers, socket};
use super::{TODAY, error, ids, run, session};

const POLICY: &str = r#"
version = 1
[tables."public.clients"]
subject = "id"
columns = { id = "reference", name = "identity", rep = "operational", town = "operational" }
[tables."public.calls"]
subject = "client_id"
columns = { id = "reference", client_id = "reference", rep = "operational", town = "operational" }
[tables."public.records"]
subject = false
purposes = "uses"
columns = { id = "reference", uses = "reference" }
[tables."public.documents"]
subject = false
purposes = "uses"
columns = { id = "reference", uses = "reference" }
[tables."public.parcels"]
subject = false
purposes = { table = "public.parcel_uses", record = "parcel", key = "id", purpose = "purpose" }
columns = { id = "reference" }
[tables."public.tickets"]
subject = false
retain = "until ttl"
columns = { id = "reference", ttl = "operational" }
[tables."public.tokens"]
subject = false
retain = "until ttl"
columns = { id = "reference", ttl = "operational" }
[purposes.support]
basis = "contract"
[purposes."support.calls"]
[purposes.billing]
basis = "contract"
[purposes.all]
basis = "contract"
[purposes.destroy]
basis = "legal_obligation"
destruction = true
[roles.r]
logins = ["support", "row_other"]
purposes = ["support", "support.calls", "billing", "all", "destroy"]
[[rules]]
name = "own clients"
roles = ["r"]
purposes = ["support", "support.calls"]
read = ["reference", "identity", "operational"]
write = ["operational", "reference"]
delete = ["*"]
rows = { "public.clients" = "rep = login", "public.calls" = "rep = login AND town <> 'Nowhere'" }
[[rules]]
name = "everybody's"
roles = ["r"]
purposes = ["billing", "all", "destroy"]
read = ["reference", "identity", "operational"]
write = ["operational"]
delete = ["*"]
"#;

fn database(name: &str) -> raw::Proxy {
    let cluster = raw::cluster();
    cluster.run_statements("postgres", &format!("CREATE DATABASE {name}")).unwrap();
    // Another test of this binary may have made it.
    let _ = cluster.run_statements("postgres", "CREATE ROLE row_other LOGIN");
    run(
        name,
        &format!(
            "CREATE TABLE clients (id bigint PRIMARY KEY, name text, rep text, town text);
             INSERT INTO clients VALUES (1, 'Ann', 'support', 'Durban'), (2, 'Ben', 'row_other', 'Durban'), (3, 'Cas', NULL, 'Paarl');
             CREATE TABLE calls (id bigint PRIMARY KEY, client_id bigint, rep text, town text);
             INSERT INTO calls VALUES (1, 1, 'support', 'Durban'), (2, 1, 'support', 'Nowhere'), (3, 2, 'row_other', 'Durban');
             CREATE TABLE records (id bigint PRIMARY KEY, uses text[]);
             INSERT INTO records VALUES (1, '{{support}}'), (2, '{{billing,support.calls}}'), (3, '{{}}'), (4, NULL);
             CREATE TABLE documents (id bigint PRIMARY KEY, uses jsonb);
             INSERT INTO documents VALUES (1, '[\"support\"]'), (2, '[\"billing\"]'), (3, '{{\"support\": false}}'), (4, '\"support\"');
             CREATE TABLE parcels (id bigint PRIMARY KEY);
             INSERT INTO parcels VALUES (1), (2), (3);
             CREATE TABLE parcel_uses (parcel bigint, purpose text);
             INSERT INTO parcel_uses VALUES (1, 'support'), (1, 'billing'), (2, 'billing');
             CREATE TABLE tickets (id bigint PRIMARY KEY, ttl date);
             INSERT INTO tickets VALUES (1, {TODAY} - 1), (2, {TODAY}), (3, {TODAY} + 1), (4, NULL);
             CREATE TABLE tokens (id bigint PRIMARY KEY, ttl timestamptz);
             INSERT INTO tokens VALUES (1, now() - interval '1 minute'), (2, now() + interval '1 hour');
             GRANT ALL ON ALL TABLES IN SCHEMA public TO support, row_other;"
        ),
    );
    raw::start(Options::new("127.0.0.1:0", servers(&socket())), POLICY, raw::catalog(name))
}

#[test]
fn a_rule_opens_its_own_rows_alone_and_to_each_login_its_own() {
    let proxy = database("own_rows");
    let ids = |purpose, sql| ids(&proxy, "own_rows", purpose, sql);
    assert_eq!(ids("support", "SELECT id FROM clients ORDER BY 1"), "1");
    assert_eq!(ids("support.calls", "SELECT id FROM clients ORDER BY 1"), "1", "a child has its parent's");
    assert_eq!(ids("billing", "SELECT id FROM clients ORDER BY 1"), "1 2 3");
    assert_eq!(ids("support", "SELECT id FROM calls ORDER BY 1"), "1");
    assert_eq!(ids("support", "SELECT count(*) FROM clients c JOIN calls l ON l.client_id = c.id"), "1");
    let mut other = proxy.login("row_other", &[("database", "own_rows@support")]);
    assert_eq!(other.rows("SELECT id FROM clients"), ["2"]);
    // What is asked about a row that is hidden does not reach it.
    assert_eq!(ids("support", "SELECT count(*) FROM clients WHERE 1 / (id - 2) IS NOT NULL"), "1");
    // No search path, schema or setting of a session's changes whose rows they are.
    let mut session = session(&proxy, "own_rows", "support");
    for statement in ["SET search_path = pg_catalog", "SET TimeZone = 'Asia/Tokyo'"] {
        session.rows(statement);
    }
    assert_eq!(session.rows("SELECT id FROM public.clients"), ["1"]);
}

#[test]
fn rows_outside_of_the_rule_are_neither_changed_nor_deleted_nor_made() {
    let proxy = database("own_writes");
    let mut session = session(&proxy, "own_writes", "support");
    session.rows("UPDATE clients SET town = 'Pretoria'");
    session.rows("DELETE FROM clients WHERE id > 1");
    let all = || ids(&proxy, "own_writes", "billing", "SELECT id || town FROM clients ORDER BY id");
    assert_eq!(all(), "1Pretoria 2Durban 3Paarl");
    // Neither a row of somebody else's, nor one's own given away, nor one that says nobody's.
    for (statement, said) in [
        ("UPDATE clients SET rep = 'row_other'", "about whom this purpose may have none"),
        ("INSERT INTO clients (id, rep) VALUES (4, 'row_other')", "about whom this purpose may have none"),
        ("INSERT INTO clients (id, rep) VALUES (4, NULL)", "about whom this purpose may have none"),
        ("INSERT INTO clients (id, town) VALUES (4, 'Durban')", "must say its `rep`"),
        ("INSERT INTO calls (id, rep, town) VALUES (4, 'support', 'Durban')", "which is about several columns"),
        ("UPDATE calls SET town = 'Nowhere'", "which is about several columns"),
        (
            "MERGE INTO clients AS t USING (VALUES (1)) AS s(id) ON t.id = s.id WHEN MATCHED THEN UPDATE SET rep = 'row_other'",
            "",
        ),
    ] {
        let refusal = error(&mut session, statement);
        assert!(refusal.contains(said), "{statement}: {refusal}");
    }
    assert_eq!(all(), "1Pretoria 2Durban 3Paarl");
    session.rows("INSERT INTO clients (id, rep, town) VALUES (4, 'support', 'George')");
    session.rows("UPDATE clients SET rep = 'support' WHERE id = 4");
    assert_eq!(all(), "1Pretoria 2Durban 3Paarl 4George");
}

#[test]
fn a_record_is_used_for_the_purposes_that_it_names() {
    let proxy = database("record_purposes");
    let ids = |purpose, sql| ids(&proxy, "record_purposes", purpose, sql);
    let records = "SELECT id FROM records ORDER BY 1";
    assert_eq!(ids("support", records), "1");
    assert_eq!(ids("support.calls", records), "1 2", "what allows a purpose allows its children");
    assert_eq!(ids("billing", records), "2");
    assert_eq!(ids("all", records), "");
    assert_eq!(ids("support", "SELECT id FROM documents ORDER BY 1"), "1", "a document is no list of purposes");
    let parcels = "SELECT id FROM parcels ORDER BY 1";
    assert_eq!((ids("support", parcels), ids("billing", parcels)), ("1".to_owned(), "1 2".to_owned()));
    assert_eq!(ids("all", parcels), "");
    // Who says what a record may be used for is not told by the proxy's clients.
    let refusal =
        error(&mut session(&proxy, "record_purposes", "support"), "INSERT INTO parcel_uses VALUES (3, 'support')");
    assert!(refusal.contains("parcel_uses"), "{refusal}");
    session(&proxy, "record_purposes", "support").rows("DELETE FROM records");
    assert_eq!(ids("billing", records), "2");
}

#[test]
fn rows_are_kept_until_their_day_and_destroyed_after_it() {
    let proxy = database("until_ttl");
    let ids = |purpose, sql| ids(&proxy, "until_ttl", purpose, sql);
    assert_eq!(ids("billing", "SELECT id FROM tickets ORDER BY 1"), "2 3 4");
    assert_eq!(ids("destroy", "SELECT id FROM tickets ORDER BY 1"), "1");
    assert_eq!(ids("billing", "SELECT id FROM tokens ORDER BY 1"), "2");
    assert_eq!(ids("destroy", "SELECT id FROM tokens ORDER BY 1"), "1");
}

#[test]
fn a_delete_says_that_rows_past_their_retention_stay() {
    let proxy = database("told_deletes");
    let mut session = session(&proxy, "told_deletes", "billing");
    let notices = |session: &mut raw::Client, sql: &str| -> Vec<String> {
        session.send(&raw::query(sql));
        let answers = session.until_ready();
        answers
            .iter()
            .filter(|(kind, _)| *kind == b'N')
            .map(|(_, body)| String::from_utf8_lossy(body).into_owned())
            .collect()
    };
    let told = notices(&mut session, "DELETE FROM tickets");
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(
        told[0].contains("rows of `public.tickets` that are past their retention stay") && told[0].contains("WARNING")
    );
    assert!(notices(&mut session, "DELETE FROM tickets").is_empty(), "once a session and table");
    assert!(notices(&mut session, "DELETE FROM clients").is_empty(), "no retention");
    assert_eq!(ids(&proxy, "told_deletes", "destroy", "SELECT id FROM tickets ORDER BY 1"), "1");
    let mut destroying = super::session(&proxy, "told_deletes", "destroy");
    assert!(notices(&mut destroying, "DELETE FROM tickets").is_empty());
}
