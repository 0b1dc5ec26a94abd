//! Rows that a purpose does not see, in a real database: retention, children, objections, restrictions, direct marketing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::string_slice)]

#[path = "../raw/mod.rs"]
mod raw;

mod added;
mod commands;
mod groups;
mod observe;
mod order;
mod own;
mod patterns;

use std::fmt::Write as _;

use jiff::civil::Date;
use jiff::{Timestamp, ToSpan};
use pgpurpose::server::Options;
use raw::{Client, Proxy, servers, socket};

const POLICY: &str = r#"
version = 1
[tables."public.people"]
subject = "id"
date_of_birth = "born"
identity_number = "id_number"
columns = { id = "reference", name = "identity", email = "contact", phone = "contact", born = "birth", id_number = "birth" }
[tables."public.orders"]
subject = "person_id"
retain = { support = "5 years after closed_on", "*" = "7 years after closed_on" }
no_children = "their people are tested by another table"
columns = { id = "reference", person_id = "reference", closed_on = "operational", total = "operational" }
[tables."public.items"]
subject = { column = "order_id", references = "public.orders.id" }
retain = "5 years after public.orders.closed_on"
no_children = "as orders"
columns = { id = "reference", order_id = "reference" }
[tables."public.visits"]
subject = "person_id"
retain = "30 days after seen_at"
columns = { id = "reference", person_id = "reference", seen_at = "operational" }

[consent]
table = "privacy.consents"
subject = "subject_id"
purpose = "purpose"
active = "granted AND withdrawn_at IS NULL"
[objections]
table = "privacy.objections"
subject = "subject_id"
purpose = "purpose"
active = "lifted_at IS NULL"
[restrictions]
table = "privacy.restrictions"
subject = "subject_id"
active = "lifted_at IS NULL"
[direct_marketing]
approaches = "privacy.approaches"
opt_outs = "privacy.opt_outs"
contacts = { email = "public.people.email", phone = "public.people.phone", id_number = "public.people.id_number" }

[purposes.support]
basis = "contract"
[purposes.billing]
basis = "contract"
[purposes.guardians]
basis = "contract"
child_ground = "s35(1)(a): a guardian consented"
[purposes.proof]
basis = "legal_obligation"
child_ground = "s35(1)(b)"
proof = true
[purposes.destroy]
basis = "legal_obligation"
child_ground = "s35(1)(b)"
destruction = true
[purposes.offers]
basis = "legitimate_interest"
child_ground = "s35(1)(a): none is a child"
direct_marketing = { customers = "public.orders.person_id", first_approach = true, opt_outs_days = 31 }

[roles.r]
logins = ["support"]
purposes = ["support", "billing", "guardians", "proof", "destroy", "offers"]
[[rules]]
name = "all"
roles = ["r"]
purposes = ["support", "billing", "guardians", "proof", "destroy", "offers"]
read = ["reference", "identity", "operational", "contact"]
write = ["operational", "identity"]
delete = ["public.orders", "public.items", "public.people"]
"#;

/// Midnight in South Africa, where the limits are counted.
const TODAY: &str = "(now() AT TIME ZONE 'Africa/Johannesburg')::date";

fn database(name: &str) -> Proxy {
    let schema = format!(
        "CREATE TABLE people (id bigint PRIMARY KEY, name text, email text, phone text, born date, id_number text);
         CREATE TABLE orders (id bigint PRIMARY KEY, person_id bigint, closed_on date, total numeric);
         CREATE TABLE items (id bigint PRIMARY KEY, order_id bigint);
         CREATE TABLE visits (id bigint PRIMARY KEY, person_id bigint, seen_at timestamptz);
         {}
         GRANT USAGE ON SCHEMA privacy TO support;
         GRANT SELECT ON ALL TABLES IN SCHEMA privacy TO support;
         GRANT ALL ON ALL TABLES IN SCHEMA public TO support;",
        privacy()
    );
    raw::cluster().run_statements("postgres", &format!("CREATE DATABASE {name}")).unwrap();
    raw::cluster().run_sql(name, &schema).unwrap();
    raw::start(Options::new("127.0.0.1:0", servers(&socket())), POLICY, raw::catalog(name))
}

/// The ready schema, in one piece: clusters of one test share roles.
fn privacy() -> String {
    std::fs::read_to_string("deploy/privacy.sql").unwrap()
}

fn run(name: &str, sql: &str) {
    raw::cluster().run_sql(name, sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
}

fn session(proxy: &Proxy, database: &str, purpose: &str) -> Client {
    proxy.login("support", &[("database", &format!("{database}@{purpose}"))])
}

/// Message, DETAIL and HINT of what must be refused.
fn error(client: &mut Client, sql: &str) -> String {
    client.send(&raw::query(sql));
    let answers = client.until_ready();
    let refused = answers.iter().find(|(tag, _)| *tag == b'E').unwrap_or_else(|| panic!("{sql} was not refused"));
    [b'M', b'D', b'H'].map(|code| raw::field(&refused.1, code)).join("; ")
}

fn ids(proxy: &Proxy, database: &str, purpose: &str, sql: &str) -> String {
    session(proxy, database, purpose).rows(sql).join(" ")
}

#[test]
fn rows_past_their_retention_are_seen_for_proof_and_destruction_only() {
    let proxy = database("retention");
    run(
        "retention",
        &format!(
            "INSERT INTO people VALUES (1, 'Ann', null, null, '1980-01-01', null);
             INSERT INTO orders SELECT n, 1, d, n FROM (VALUES
                 (1, null::date), (2, {TODAY}), (3, ({TODAY} - '5 years'::interval)::date),
                 (4, ({TODAY} - '5 years'::interval)::date - 1), (5, ({TODAY} - '7 years'::interval)::date),
                 (6, ({TODAY} - '7 years'::interval)::date - 1), (7, 'infinity'), (8, '-infinity')) AS t(n, d);
             INSERT INTO items SELECT 10 + id, id FROM orders;
             INSERT INTO items VALUES (99, 99);
             INSERT INTO visits VALUES (1, 1, now() - '30 days'::interval + '1 minute'::interval),
                 (2, 1, now() - '30 days'::interval - '1 minute'::interval), (3, 1, null);"
        ),
    );
    let orders = "SELECT id FROM orders ORDER BY id";
    assert_eq!(ids(&proxy, "retention", "support", orders), "1 2 3 7");
    assert_eq!(ids(&proxy, "retention", "billing", orders), "1 2 3 4 5 7");
    assert_eq!(ids(&proxy, "retention", "proof", orders), "1 2 3 4 5 6 7 8");
    assert_eq!(ids(&proxy, "retention", "destroy", orders), "6 8");
    assert_eq!(ids(&proxy, "retention", "support", "SELECT id FROM items ORDER BY id"), "11 12 13 17");
    assert_eq!(ids(&proxy, "retention", "destroy", "SELECT id FROM items ORDER BY id"), "14 15 16 18");
    assert_eq!(ids(&proxy, "retention", "support", "SELECT id FROM visits ORDER BY id"), "1 3");
    // No time zone of a session's, and no way to write the clock, moves a limit.
    let mut client = session(&proxy, "retention", "support");
    for zone in ["Pacific/Kiritimati", "Etc/GMT+12", "<+100>-100"] {
        client.query(&format!("SET timezone = '{zone}'"));
        assert_eq!(client.rows(orders).join(" "), "1 2 3 7", "{zone}");
        assert_eq!(client.rows("SELECT id FROM visits ORDER BY id").join(" "), "1 3", "{zone}");
    }
    // What would fail on a row that is not seen does not.
    assert_eq!(client.rows("SELECT id FROM orders WHERE 1 / (id - 4) < 9 ORDER BY id").join(" "), "1 2 3 7");
    assert_eq!(client.rows("SELECT count(*), sum(total) FROM orders").join(" "), "4|13");
    // Nor is it changed or deleted, but for destruction.
    assert_eq!(client.query("UPDATE orders SET total = 0"), "C(UPDATE 4) ZI");
    assert_eq!(client.query("DELETE FROM orders WHERE id IN (4, 6, 7)"), "N C(DELETE 1) ZI", "and says so");
    let mut destroyer = session(&proxy, "retention", "destroy");
    assert_eq!(destroyer.query("DELETE FROM orders"), "C(DELETE 2) ZI");
    assert_eq!(destroyer.query("DELETE FROM people"), "C(DELETE 0) ZI");
    assert_eq!(ids(&proxy, "retention", "proof", orders), "1 2 3 4 5");
}

/// As POPIA and the Identification Act read a number: adult only where no possible birthday makes a child.
fn adult_by_number(text: &str, today: Date) -> bool {
    let digits: String = text.chars().filter(|c| !" -".contains(*c)).collect();
    if digits.len() != 13 || !digits.chars().all(|c| c.is_ascii_digit()) {
        return false;
    }
    let part = |range: std::ops::Range<usize>| digits[range].parse::<i16>().unwrap();
    let birthday = |century: i16| {
        Date::new(century + part(0..2), i8::try_from(part(2..4)).unwrap(), i8::try_from(part(4..6)).unwrap()).ok()
    };
    let possible: Vec<Date> =
        [birthday(1900), birthday(2000)].into_iter().flatten().filter(|day| *day <= today).collect();
    !possible.is_empty() && possible.iter().all(|day| *day <= today.checked_sub(18.years()).unwrap())
}

#[test]
fn rows_of_children_stay_out_until_a_ground_is_named() {
    let proxy = database("children");
    let today = Timestamp::now().to_zoned_datetime(jiff::tz::TimeZone::fixed(jiff::tz::offset(2))).date();
    let mut people = format!(
        "INSERT INTO people SELECT n, 'x', null, null, d, i FROM (VALUES
             (1, ({TODAY} - '18 years'::interval)::date, null), (2, ({TODAY} - '18 years'::interval)::date + 1, null),
             (3, null::date, null), (4, 'infinity', null), (5, '-infinity', null), (6, '1900-01-01', null),
             (7, '1980-05-05', '1501015009087'), (8, {TODAY}, '8001015009087'), (9, null, '8001015009087'),
             (10, {TODAY} + 400, null)) AS t(n, d, i);
         INSERT INTO visits SELECT id, id, now() FROM people;
         INSERT INTO visits VALUES (98, null, now()), (99, 99, now());"
    );
    // Every year, with days at the edges: real ones, impossible ones, and today's.
    let mut numbers = Vec::new();
    let days = ["0101", "0229", "0230", "0431", "1231", "1301", "0000", "0010"];
    let near: Vec<String> =
        (-1..=1).map(|n| today.checked_add(n.days()).unwrap().strftime("%m%d").to_string()).collect();
    for year in 0..100 {
        for day in days.iter().copied().chain(near.iter().map(String::as_str)) {
            numbers.push(format!("{year:02}{day}5009087"));
        }
    }
    numbers.extend(
        ["", "8001015009", "80010150090871", "800101500908X", "800101 5009 08 7", "８００１０１５００９０８７"]
            .map(str::to_owned),
    );
    for (number, text) in numbers.iter().enumerate() {
        write!(people, "INSERT INTO people VALUES ({}, null, null, null, null, '{text}');", 1000 + number).unwrap();
    }
    run("children", &people);
    let few = "SELECT id FROM people WHERE id < 1000 ORDER BY id";
    assert_eq!(ids(&proxy, "children", "support", few), "1 7 9");
    assert_eq!(ids(&proxy, "children", "guardians", few), "1 2 3 4 5 6 7 8 9 10");
    // Whose row it is, is found in the table that knows; a stranger's age is not known.
    assert_eq!(ids(&proxy, "children", "support", "SELECT id FROM visits ORDER BY id"), "1 7 9");
    let wanted: Vec<String> = numbers
        .iter()
        .enumerate()
        .filter(|(_, text)| adult_by_number(text, today))
        .map(|(number, _)| (1000 + number).to_string())
        .collect();
    assert!(wanted.len() > 300 && wanted.len() < numbers.len());
    assert_eq!(
        ids(&proxy, "children", "support", "SELECT id FROM people WHERE id >= 1000 ORDER BY id"),
        wanted.join(" ")
    );
    let mut client = session(&proxy, "children", "support");
    assert_eq!(client.query("UPDATE people SET name = 'y' WHERE id < 1000"), "C(UPDATE 3) ZI");
    assert_eq!(client.query("DELETE FROM people WHERE id IN (2, 3)"), "C(DELETE 0) ZI");
    client.query("SET timezone = '<+100>-100'");
    assert_eq!(client.rows(few).join(" "), "1 7 9");
}

/// One row of opt-outs for a person's own form of an address.
fn opt_out(kind: &str, normal: &str) -> String {
    format!("INSERT INTO privacy.opt_outs VALUES ('registry', '{kind}', sha256(convert_to('{normal}', 'UTF8')));")
}

#[test]
fn who_objects_is_restricted_or_opted_out_is_left_alone() {
    const NAME: &str = "wishes";
    let proxy = &database(NAME);
    run(
        NAME,
        &format!(
            "INSERT INTO people SELECT n, 'x', 'P' || n || '@X.org ', '082 000 000' || n, '1980-01-01', '800101 500908' || n
                 FROM generate_series(1, 9) AS n;
             INSERT INTO orders VALUES (1, 1, null, 1), (2, 2, null, 1), (3, 3, null, 1), (9, 9, null, 1);
             INSERT INTO privacy.approaches (subject_id, purpose, evidence) SELECT n, 'offers', 'x' FROM generate_series(1, 6) AS n;
             INSERT INTO privacy.consents (subject_id, purpose, evidence) VALUES (4, 'offers', 'x'), (5, 'letters', 'x');
             INSERT INTO privacy.consents (subject_id, purpose, evidence, granted) VALUES (7, 'offers', 'x', false);
             INSERT INTO privacy.opt_out_lists VALUES ('registry', {TODAY}, now(), 'file', 0);"
        ),
    );
    let people = "SELECT id FROM people ORDER BY id";
    // 1, 2, 3, 9 bought; 4 consented; 5 and 6 were approached before; 7 said no; 8 was never asked.
    assert_eq!(ids(proxy, NAME, "offers", people), "1 2 3 4 8 9");
    // Asked once, never again.
    run(NAME, "INSERT INTO privacy.approaches (subject_id, purpose, evidence) VALUES (8, 'offers', 'x')");
    assert_eq!(ids(proxy, NAME, "offers", people), "1 2 3 4 9");
    // The list, in whatever form a number is written.
    run(
        NAME,
        &(opt_out("email", "p1@x.org") + &opt_out("phone", "27820000002") + &opt_out("id_number", "8001015009083")),
    );
    assert_eq!(ids(proxy, NAME, "offers", people), "4 9");
    assert_eq!(ids(proxy, NAME, "offers", "SELECT id FROM orders ORDER BY id"), "9");
    assert_eq!(ids(proxy, NAME, "support", people), "1 2 3 4 5 6 7 8 9");
    // On its last day it counts; then, or dated tomorrow, or gone, it closes the purpose.
    for (day, seen) in [("- 31", "4 9"), ("- 32", ""), ("+ 1", "")] {
        run(NAME, &format!("UPDATE privacy.opt_out_lists SET as_of = {TODAY} {day}"));
        assert_eq!(ids(proxy, NAME, "offers", people), seen, "{day}");
    }
    run(NAME, &format!("UPDATE privacy.opt_out_lists SET as_of = {TODAY}"));
    run(NAME, &format!("INSERT INTO privacy.opt_out_lists VALUES ('own', {TODAY} - 40, now(), 'file', 0)"));
    assert_eq!(ids(proxy, NAME, "offers", people), "", "one of two lists is stale");
    run(NAME, "DELETE FROM privacy.opt_out_lists WHERE list = 'own'");
    // An objection counts at the next statement, for the purpose that it names.
    let mut client = session(proxy, NAME, "offers");
    assert_eq!(client.rows(people).join(" "), "4 9");
    run(
        NAME,
        "INSERT INTO privacy.objections (subject_id, purpose, evidence) VALUES (9, 'offers', 'letter'), (4, 'letters', 'x')",
    );
    assert_eq!(client.rows(people).join(" "), "4");
    assert_eq!(client.query("BEGIN ISOLATION LEVEL REPEATABLE READ"), "C(BEGIN) ZT");
    assert!(client.query(people).ends_with("E42501 ZE"), "an old snapshot");
    client.query("ROLLBACK");
    run(NAME, "UPDATE privacy.objections SET lifted_at = now(), lifted_why = 'by mistake'");
    assert_eq!(client.rows(people).join(" "), "4 9");
    // A restriction leaves the rows out for everything but proof, destruction included.
    run(NAME, "INSERT INTO privacy.restrictions (subject_id, ground, evidence) VALUES (1, 'unlawful', 'letter')");
    assert_eq!(ids(proxy, NAME, "support", people), "2 3 4 5 6 7 8 9");
    assert_eq!(ids(proxy, NAME, "proof", people), "1 2 3 4 5 6 7 8 9");
    run(NAME, "UPDATE orders SET closed_on = '2000-01-01' WHERE id < 3");
    assert_eq!(ids(proxy, NAME, "destroy", "SELECT id FROM orders ORDER BY id"), "2");
    // Nobody reads or writes these tables through the proxy.
    for sql in [
        "SELECT 1 FROM privacy.opt_outs",
        "DELETE FROM privacy.objections",
        "INSERT INTO privacy.approaches (subject_id) VALUES (6)",
        "UPDATE privacy.restrictions SET lifted_at = now()",
    ] {
        assert_eq!(session(proxy, NAME, "support").query(sql), "E42501 ZI", "{sql}");
    }
    // A table that is gone closes what it was for, and no more.
    run(NAME, "DROP TABLE privacy.approaches");
    assert!(session(proxy, NAME, "offers").query(people).starts_with('E'));
    assert_eq!(ids(proxy, NAME, "support", "SELECT count(*) FROM people"), "8");
}

const LOOKUPS: &str = r#"
version = 1
[tables."public.people"]
subject = "id"
columns = { id = "reference", name = "identity", id_number = "national_id" }
[purposes.support]
basis = "contract"
[roles.r]
logins = ["support"]
purposes = ["support"]
lookup_limit = 5
[roles.mover]
logins = ["postgres"]
unrestricted = "moves the data"
recipient = "Mover Inc"
operator_contract = "2026/1"
operator_expires = 2999-01-01
[[rules]]
name = "clerks look up"
roles = ["r"]
purposes = ["support"]
read = ["reference"]
mask = { national_id = "last(4)" }
lookup = ["national_id"]
lookup_limit = 4
"#;

#[test]
fn lookups_use_the_index_and_are_limited_and_contracts_end_within_a_session() {
    const NAME: &str = "lookups";
    raw::cluster().run_statements("postgres", &format!("CREATE DATABASE {NAME}")).unwrap();
    run(
        NAME,
        "CREATE TABLE people (id bigint PRIMARY KEY, name text, id_number text);
         INSERT INTO people SELECT n, 'x', (8001015000000 + n)::text FROM generate_series(1, 20000) AS n;
         CREATE INDEX by_number ON people (id_number);
         GRANT SELECT ON people TO support",
    );
    run(NAME, "ANALYZE people");
    let proxy = raw::start(Options::new("127.0.0.1:0", servers(&socket())), LOOKUPS, raw::catalog(NAME));
    let mut client = session(&proxy, NAME, "support");
    let find = |number: u64| format!("SELECT id, id_number FROM people WHERE id_number = '{number}'");
    let plan = client.rows(&format!("EXPLAIN {}", find(8_001_015_000_007))).join("\n");
    assert!(plan.contains("by_number"), "{plan}");
    let mut client = session(&proxy, NAME, "support");
    assert_eq!(client.rows(&find(8_001_015_000_007)), ["7|*********0007"]);
    // A prepared statement counts each time that it runs, and not when it is prepared.
    let sql = "PREPARE q AS SELECT id FROM people WHERE id_number = '8001015000008'";
    assert_eq!(client.query(sql), "C(PREPARE) ZI");
    assert_eq!(client.rows("EXECUTE q"), ["8"]);
    client.send(&raw::batch(&[
        raw::parse("", &find(8_001_015_000_009)),
        raw::bind("", ""),
        raw::execute("", 0),
        raw::sync(),
    ]));
    assert_eq!(raw::rows(&client.until_ready()), ["9|*********0009"]);
    assert_eq!(client.rows("EXECUTE q"), ["8"]);
    assert_eq!(client.query("EXECUTE q"), "E53400 ZI");
    assert_eq!(client.query(&find(8_001_015_000_010)), "E53400 ZI");
    client.send(&raw::batch(&[
        raw::parse("", &find(8_001_015_000_009)),
        raw::bind("", ""),
        raw::execute("", 0),
        raw::sync(),
    ]));
    assert!(raw::shown(&client.until_ready()).contains("E53400"));
    // Five at once are too many for anybody, and the mask may be tested without end.
    let several = |count: u64| {
        let parts: Vec<String> = (1..=count).map(|n| find(8_001_015_000_000 + n)).collect();
        parts.join(" UNION ALL ")
    };
    let mut fresh = session(&proxy, NAME, "support");
    assert_eq!(fresh.query(&several(5)), "E53400 ZI");
    // Who connects again and again has what ten sessions may, and five of these forty are used.
    let mut held: Vec<_> = (0..8).map(|_| session(&proxy, NAME, "support")).collect();
    for again in &mut held {
        assert_eq!(again.rows(&several(4)).len(), 4);
    }
    assert_eq!(fresh.rows(&several(3)).len(), 3);
    fresh.send(&raw::query(&find(8_001_015_000_011)));
    let answer = fresh.until_ready();
    let error = &answer.iter().find(|(tag, _)| *tag == b'E').unwrap().1;
    assert!(raw::field(error, b'M').contains("40 values a minute"), "{}", raw::field(error, b'M'));
    assert_eq!(fresh.rows("SELECT count(*) FROM people WHERE id_number LIKE '%0007'").join(""), "2");
    let denied = proxy
        .records()
        .iter()
        .filter(|record| {
            record["event"] == "access"
                && record["verdict"] == "deny"
                && record["reason"].as_str().unwrap().contains("look up")
        })
        .count();
    assert_eq!(denied, 5);
    // A contract that has ended counts for the next statement, also of a role without rules.
    let mut mover = proxy.login("postgres", &[("database", NAME)]);
    let ended = LOOKUPS.replace("2999-01-01", "2026-01-01");
    let policies = pgpurpose::policy::PolicySet::from_sources(&[("test.toml".into(), ended)]).unwrap();
    proxy.shared.policies.store(std::sync::Arc::new(policies));
    assert_eq!(mover.query("SELECT 1"), "E42501 ZI");
}
