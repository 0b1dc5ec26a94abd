//! The application's end user behind a login that many share: said, recorded, and held to their own rows.

use std::path::Path;
use std::sync::OnceLock;

use serde_json::Value;

use super::support::client::{As, Said, login};
use super::support::proxy::{Proxy, Upstream};
use super::{POLICY, support, truth};

const SHOW: &str = "SHOW pgpurpose.actor";
const COUNT: &str = "SELECT count(*) FROM customers";
/// A rule's own rows: a customer is of whoever has the city.
const OWN: &str = "write = [\"operational\"]\nown = \"city = actor\"\n";

/// The policy with more keys for the agents' role, and with lines in place of `write` in their rule.
fn policy(role: &str, rule: &str) -> String {
    POLICY
        .replace(
            "purposes = [\"support\"]\n\n[roles.marketing]",
            &format!("purposes = [\"support\"]\n{role}\n[roles.marketing]"),
        )
        .replace("write = [\"operational\"]\n", rule)
}

fn started(role: &str, rule: &str, audit: &str) -> Proxy {
    Proxy::start_logging(support::shop(), Upstream::Socket, &policy(role, rule), "", audit)
}

/// Agents see their own customers, and must say who they are.
fn own() -> &'static Proxy {
    static PROXY: OnceLock<Proxy> = OnceLock::new();
    PROXY.get_or_init(|| started("actor = \"required\"\nactor_from_application = \"crm/{actor}/{ticket}\"", OWN, ""))
}

fn psql(who: &As<'_>, commands: &[&str]) -> Said {
    own().psql(support::shop(), who, commands)
}

fn of(city: &str) -> String {
    truth(&format!("SELECT count(*) FROM customers WHERE city = '{city}'"))
}

fn said(records: &[Value]) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    records.iter().map(|record| (text(&record["actor"]), text(&record["ticket"]))).collect()
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(actor, ticket)| ((*actor).to_owned(), (*ticket).to_owned())).collect()
}

#[test]
fn the_nearest_way_to_say_an_actor_wins_and_each_record_has_it() {
    let who = login("support_agent").application("actor-ways");
    let option = who.clone().options("-c pgpurpose.actor=Durban -c pgpurpose.ticket=OPS-1");
    let answers = psql(
        &option,
        &[
            SHOW,
            COUNT,
            "SET pgpurpose.actor = 'Pretoria'",
            COUNT,
            &format!("BEGIN; SET LOCAL pgpurpose.actor = 'Cape Town'; {COUNT}; COMMIT; {COUNT}"),
            &format!("{COUNT} /*actor='Durban',ticket='OPS%202'*/"),
            "RESET pgpurpose.actor",
            SHOW,
            "BEGIN; SET pgpurpose.actor = 'Pretoria'; ROLLBACK",
            SHOW,
            "SET pgpurpose.actor = 'Pretoria'",
            "DISCARD ALL",
            SHOW,
        ],
    );
    let [durban, pretoria, cape] = ["Durban", "Pretoria", "Cape Town"].map(of);
    assert!(durban != pretoria && pretoria != cape && durban != "0");
    let shown = "Durban";
    assert_eq!(
        answers.lines(),
        [shown, &durban, &pretoria, &cape, &pretoria, &durban, shown, shown, shown].map(str::to_owned)
    );
    let mut records = own().accesses_of("actor-ways");
    records.retain(|record| record["statement"].as_str().is_some_and(|text| text.contains("count(*)")));
    let expected = [
        ("Durban", "OPS-1"),
        ("Pretoria", "OPS-1"),
        ("Cape Town", "OPS-1"),
        ("Pretoria", "OPS-1"),
        ("Durban", "OPS 2"),
    ];
    assert_eq!(said(&records), pairs(&expected));
    assert_eq!(records[0]["relations"][0]["filter"], "own(support sees contact details)");
}

#[test]
fn the_name_of_the_application_tells_the_actor_where_the_role_says_how() {
    let who = login("support_agent").application("crm/Durban/OPS-7");
    let other = "SET application_name = 'crm/Pretoria/'";
    let answers = psql(
        &who,
        &[COUNT, &format!("{other}; {COUNT}"), "SHOW pgpurpose.ticket", "SET application_name = 'psql'", COUNT],
    );
    assert!(answers.err.contains("42501") && answers.err.contains("actor"), "{answers:?}");
    assert_eq!(answers.out.lines().collect::<Vec<_>>(), [of("Durban"), of("Pretoria")]);
}

#[test]
fn without_an_actor_nothing_of_a_governed_table_is_read_and_the_refusal_says_what_helps() {
    let who = login("support_agent").application("actor-none");
    let answers = psql(&who, &["SELECT 1", COUNT, "SELECT count(*) FROM products", &format!("{COUNT} /*actor=''*/")]);
    let refused = answers.err.matches("must say for which actor").count();
    assert!(refused >= 2 && answers.err.contains("42501") && answers.err.contains("SET LOCAL"), "{answers:?}");
    assert_eq!(answers.out.lines().collect::<Vec<_>>(), ["1", &truth("SELECT count(*) FROM products")]);
    let malformed =
        psql(&who, &[&format!("{COUNT} /* the actor = Durban */"), &format!("{COUNT} /*actor='a'*//*actor='b'*/")]);
    assert_eq!(malformed.err.matches("22023").count(), 2, "{malformed:?}");
    assert!(malformed.out.is_empty(), "{malformed:?}");
}

#[test]
fn one_s_own_rows_hold_everywhere_and_reach_what_belongs_to_them() {
    let mine = "city = 'Durban'";
    let who = login("support_agent").application("actor-own").options("-c pgpurpose.actor=Durban");
    for (asked, truly) in [
        (
            "SELECT count(*) FROM customers WHERE id < 500",
            format!("SELECT count(*) FROM customers WHERE id < 500 AND {mine}"),
        ),
        (
            "SELECT count(*) FROM orders",
            format!("SELECT count(*) FROM orders WHERE customer_id IN (SELECT id FROM customers WHERE {mine})"),
        ),
        (
            "SELECT sum(quantity) FROM order_items",
            format!(
                "SELECT sum(quantity) FROM order_items JOIN orders USING (order_id) WHERE customer_id IN (SELECT id FROM customers WHERE {mine})"
            ),
        ),
        (
            "SELECT count(*) FROM customers c JOIN orders o ON o.customer_id = c.id WHERE o.total > 100",
            format!(
                "SELECT count(*) FROM customers c JOIN orders o ON o.customer_id = c.id WHERE o.total > 100 AND c.{mine}"
            ),
        ),
        ("SELECT DISTINCT city FROM customers", "SELECT 'Durban'".to_owned()),
    ] {
        assert_eq!(psql(&who, &[asked]).fine(), truth(&truly), "{asked}");
    }
    // What is not one's own is not there to be changed, and nothing is handed to somebody else.
    let foreign = truth("SELECT min(id) FROM customers WHERE city <> 'Durban'");
    let own = truth("SELECT min(id) FROM customers WHERE city = 'Durban'");
    let changes = psql(
        &who,
        &[
            &format!("UPDATE customers SET postal_code = '0001' WHERE id = {foreign} RETURNING id"),
            &format!("UPDATE customers SET city = 'Pretoria' WHERE id = {own}"),
            &format!("UPDATE customers SET city = 'Durban' WHERE id = {own} RETURNING id"),
        ],
    );
    assert_eq!(changes.out, own, "{changes:?}");
    assert_eq!(changes.err.matches("42501").count(), 1, "{changes:?}");
    assert_eq!(truth(&format!("SELECT count(*) FROM customers WHERE id = {own} AND city = 'Durban'")), "1");
}

#[test]
fn a_temporary_table_of_one_actor_s_rows_is_closed_to_the_next() {
    let who = login("support_agent").application("actor-temporary").options("-c pgpurpose.actor=Durban");
    let answers = psql(
        &who,
        &[
            "CREATE TEMP TABLE mine AS SELECT id, city FROM customers",
            "CREATE TEMP TABLE more (city text)",
            "INSERT INTO more SELECT city FROM mine",
            "SELECT count(DISTINCT city) FROM mine",
            "PREPARE again AS SELECT count(*) FROM mine",
            "SET pgpurpose.actor = 'Pretoria'",
            "SELECT count(*) FROM mine",
            "SELECT count(*) FROM more",
            "EXECUTE again",
            "CREATE TEMP TABLE copied AS SELECT * FROM mine",
            "DELETE FROM mine WHERE city LIKE 'D%'",
            "SELECT count(*) FROM mine /*actor=''*/",
            "CREATE TEMP TABLE fresh AS SELECT DISTINCT city FROM customers",
            "SELECT city FROM fresh",
            "SET pgpurpose.actor = 'Durban'",
            "SELECT count(*) FROM fresh",
            "SELECT count(DISTINCT city) FROM more",
        ],
    );
    assert_eq!(answers.err.matches("for another actor").count(), 7, "{answers:?}");
    assert_eq!(answers.out.lines().collect::<Vec<_>>(), ["1", "Pretoria", "1"], "{answers:?}");
}

#[test]
fn nobody_s_rows_become_one_s_own_by_a_write() {
    let proxy = started("", "write = [\"operational\", \"reference\"]\nown = \"city = actor\"\n", "");
    let who = login("support_agent").application("actor-writes").options("-c pgpurpose.actor=Durban");
    let one = |sql: &str| truth(&format!("SELECT min(id) FROM customers WHERE city {sql} 'Durban'"));
    let (mine, foreign) = (one("="), one("<>"));
    let order =
        truth("SELECT min(order_id) FROM orders JOIN customers c ON c.id = customer_id WHERE c.city = 'Durban'");
    let state = || truth("SELECT md5(string_agg(o::text, ',' ORDER BY order_id)) FROM orders o");
    let before = state();
    let answers = proxy.psql(
        support::shop(),
        &who,
        &[
            &format!("UPDATE orders SET customer_id = {foreign} WHERE order_id = {order}"),
            &format!("INSERT INTO orders (order_id, customer_id) VALUES (987654, {foreign})"),
            &format!("INSERT INTO orders (order_id, customer_id) SELECT 987654, {foreign}"),
            "INSERT INTO orders (order_id) VALUES (987654)",
            &format!("UPDATE orders SET customer_id = DEFAULT WHERE order_id = {order}"),
        ],
    );
    assert_eq!(answers.err.matches("42501").count(), 5, "{answers:?}");
    assert_eq!(state(), before);
    let own = format!("UPDATE orders SET customer_id = {mine} WHERE order_id = -1");
    assert!(!proxy.psql(support::shop(), &who, &[&own]).err.contains("42501"));
}

#[test]
fn nothing_that_the_database_does_by_itself_reaches_another_actor_s_rows() {
    let cluster = support::own_shop();
    let changed = "\
        ALTER TABLE orders DROP CONSTRAINT orders_customer_id_fkey, ADD FOREIGN KEY (customer_id) REFERENCES customers ON DELETE CASCADE ON UPDATE CASCADE; \
        ALTER TABLE order_items DROP CONSTRAINT order_items_order_id_fkey, ADD FOREIGN KEY (order_id) REFERENCES orders ON DELETE SET NULL; \
        ALTER TABLE order_items DROP CONSTRAINT IF EXISTS order_items_pkey; ALTER TABLE order_items ALTER order_id DROP NOT NULL; \
        CREATE FUNCTION moves() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS 'BEGIN UPDATE public.tickets SET status = status; RETURN NEW; END'; \
        CREATE TRIGGER moves AFTER UPDATE ON tickets FOR EACH ROW EXECUTE FUNCTION moves()";
    cluster.run_statements("shop", changed).unwrap();
    let rule = "write = [\"operational\", \"reference\"]\n\
        delete = [\"public.customers\", \"public.orders\", \"public.order_items\", \"public.tickets\"]\nown = \"city = actor\"\n";
    let proxy = Proxy::start_logging(&cluster, Upstream::Socket, &policy("", rule), "", "");
    let who = login("support_agent").application("actor-cascades").options("-c pgpurpose.actor=Durban");
    let mine = support::direct(
        &cluster,
        "shop",
        "SELECT min(customer_id) FROM orders JOIN customers c ON c.id = customer_id WHERE city = 'Durban'",
    );
    let all = || {
        let of = |table: &str| format!("(SELECT md5(string_agg(t::text, ',' ORDER BY t::text)) FROM {table} t)");
        let tables = ["customers", "orders", "order_items", "tickets"].map(of).join(", ");
        support::direct(&cluster, "shop", &format!("SELECT {tables}"))
    };
    let before = all();
    for (statement, by) in [
        (format!("DELETE FROM customers WHERE id = {mine}"), "foreign key"),
        (format!("UPDATE customers SET id = 987654 WHERE id = {mine}"), "foreign key"),
        (format!("DELETE FROM orders WHERE customer_id = {mine}"), "foreign key"),
        (
            format!(
                "WITH gone AS (DELETE FROM orders WHERE customer_id = {mine} RETURNING order_id) SELECT count(*) FROM gone"
            ),
            "foreign key",
        ),
        (format!("UPDATE tickets SET status = 'closed' WHERE customer_id = {mine}"), "trigger"),
    ] {
        let said = proxy.psql(&cluster, &who, &[&statement]);
        assert!(said.err.contains("42501") && said.err.contains(by), "{statement}: {said:?}");
        assert_eq!(all(), before, "{statement}");
    }
}

#[test]
fn an_actor_s_name_is_a_value_and_never_sql() {
    let who = login("support_agent").application("actor-quoted");
    let hostile = [
        "x' OR 'a' = 'a",
        "x\\' OR true --",
        "Durban'; DROP TABLE customers --",
        "$1",
        "${city}",
        "Durban\\",
        "''",
        "é☃",
    ];
    for actor in hostile {
        let set = format!("SET pgpurpose.actor = $${actor}$$");
        let quoted = format!("SET pgpurpose.actor = '{}'", actor.replace('\'', "''"));
        let answers = psql(&who, &[if actor.contains('$') { &quoted } else { &set }, COUNT, SHOW]);
        assert_eq!(answers.clone().lines(), ["0", actor], "{answers:?}");
    }
}

#[test]
fn what_is_prepared_or_open_for_one_actor_takes_the_next_ones_rows_or_none() {
    let who = login("support_agent").application("actor-prepared").options("-c pgpurpose.actor=Durban");
    let answers = psql(
        &who,
        &[
            &format!("PREPARE mine AS {COUNT}"),
            "EXECUTE mine",
            "SET pgpurpose.actor = 'Pretoria'",
            "EXECUTE mine",
            "EXECUTE mine /*actor='Cape Town'*/",
            "EXECUTE mine",
            "BEGIN; DECLARE c CURSOR FOR SELECT city FROM customers ORDER BY id; FETCH 1 FROM c",
            "SET LOCAL pgpurpose.actor = 'Durban'",
            "FETCH 1 FROM c",
            "ROLLBACK",
        ],
    );
    let [durban, pretoria, cape] = ["Durban", "Pretoria", "Cape Town"].map(of);
    assert!(answers.err.contains("another purpose, actor,"), "{answers:?}");
    assert_eq!(answers.out.lines().collect::<Vec<_>>(), [durban.as_str(), &pretoria, &cape, &pretoria, "Pretoria"]);
    let records = own().accesses_of("actor-prepared");
    let runs: Vec<Value> = records
        .into_iter()
        .filter(|record| record["statement"].as_str().is_some_and(|text| text.contains("EXECUTE")))
        .collect();
    assert_eq!(said(&runs), pairs(&[("Durban", "-"), ("Pretoria", "-"), ("Cape Town", "-"), ("Pretoria", "-")]));
    let script = r#"
import psycopg
with psycopg.connect("", autocommit=True, prepare_threshold=0) as c:
    count = lambda: c.execute("SELECT count(*) FROM customers WHERE id > %s", [0]).fetchone()[0]
    print(count(), count())
    c.execute("SET pgpurpose.actor = 'Pretoria'")
    print(count(), count())
    with c.transaction():
        c.execute("SET LOCAL pgpurpose.actor = 'Cape Town'")
        print(count())
    with c.pipeline():
        c.execute("SET pgpurpose.actor = 'Durban'")
        cur = c.execute("SELECT count(*) FROM customers WHERE id > %s", [0])
    print(cur.fetchone()[0])
    c.execute("DISCARD ALL")
    print(c.execute("SHOW pgpurpose.actor").fetchone()[0])
"#;
    let who = login("support_agent").application("actor-driver").options("-c pgpurpose.actor=Durban");
    if let Some(answers) = own().python(support::shop(), &who, script) {
        let twice = |count: &str| format!("{count} {count}");
        assert_eq!(answers.lines(), [twice(&durban), twice(&pretoria), cape, durban.clone(), "Durban".to_owned()]);
        let records = own().accesses_of("actor-driver");
        let counts: Vec<Value> =
            records.into_iter().filter(|record| record["relations"][0]["name"] == "public.customers").collect();
        let actors: Vec<String> = said(&counts).into_iter().map(|(actor, _)| actor).collect();
        // What is prepared alone has a record too.
        assert_eq!(actors, ["Durban", "Durban", "Durban", "Pretoria", "Pretoria", "Cape Town", "Durban"]);
    }
}

#[test]
fn an_actor_that_must_be_said_each_time_is_never_the_last_client_s() {
    let proxy = started("actor = \"each\"", OWN, "");
    let who = login("support_agent").application("actor-each").options("-c pgpurpose.actor=Durban");
    let answers = proxy.psql(
        support::shop(),
        &who,
        &[
            COUNT,
            "SET pgpurpose.actor = 'Durban'",
            COUNT,
            &format!("{COUNT} /*actor='Pretoria'*/"),
            COUNT,
            &format!("BEGIN; SET LOCAL pgpurpose.actor = 'Durban'; {COUNT}; COMMIT; {COUNT}"),
            &format!("BEGIN; SET LOCAL pgpurpose.actor = 'Durban'; {COUNT}; COMMIT"),
            &format!("BEGIN; SET LOCAL pgpurpose.actor TO DEFAULT; {COUNT}; COMMIT"),
        ],
    );
    assert_eq!(answers.err.matches("must say for which actor").count(), 5, "{answers:?}");
    assert_eq!(answers.out.lines().collect::<Vec<_>>(), [of("Pretoria"), of("Durban")], "{answers:?}");
}

#[test]
fn actors_stand_in_the_log_as_pseudonyms_where_it_says_so_and_are_found() {
    let proxy = started("", "write = [\"operational\"]\n", "actors = \"pseudonym\"");
    let who = login("support_agent").application("actor-pseudonym").options("-c pgpurpose.actor=thandi@shop.example");
    proxy.psql(support::shop(), &who, &[COUNT, &format!("{COUNT} /*actor='jo'*/")]).fine();
    let text = serde_json::to_string(&proxy.access_log()).unwrap();
    assert!(!text.contains("thandi") && text.contains("\"actor\":\"ac_"), "{text}");
    let search = |actor: &str| {
        let said = proxy.command(&[
            "audit",
            "search",
            "--config",
            "pgpurpose.toml",
            "--event",
            "access",
            "--json",
            "--actor",
            actor,
        ]);
        assert!(said.ok, "{said:?}");
        said.out.lines().count()
    };
    assert_eq!((search("thandi@shop.example"), search("jo"), search("nobody")), (1, 1, 0));
    let found =
        proxy.command(&["audit", "search", "--config", "pgpurpose.toml", "--event", "access", "--actor", "jo"]).out;
    assert!(found.contains(" as ac_"), "{found}");
    let verified = proxy.command(&["audit", "verify", "--config", "pgpurpose.toml"]);
    assert!(verified.ok, "{verified:?}");
}

/// The code of a recipe of docs/actors.md.
fn recipe(heading: &str) -> String {
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/actors.md")).unwrap();
    let (_, section) = page.split_once(&format!("### {heading}\n")).unwrap();
    let (_, code) = section.split_once("```").unwrap();
    let (code, _) = code.split_once("\n```").unwrap();
    code.split_once('\n').unwrap().1.to_owned()
}

/// The actors that stand in the records of an application over customers.
fn recorded(application: &str) -> Vec<String> {
    let records = own().accesses_of(application);
    let counts: Vec<Value> =
        records.into_iter().filter(|record| record["relations"][0]["name"] == "public.customers").collect();
    said(&counts).into_iter().map(|(actor, _)| actor).collect()
}

#[test]
fn the_recipe_for_django_says_who_is_logged_in() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("actors.py"), recipe("Django")).unwrap();
    let script = format!(
        r#"
import sys
sys.path.insert(0, {folder:?})
try:
    import django
except ImportError:
    print("no django"); sys.exit()
from django.conf import settings
settings.configure(DATABASES={{"default": {{"ENGINE": "django.db.backends.postgresql", "NAME": "shop"}}}}, INSTALLED_APPS=[])
django.setup()
from django.db import connection, models
from actors import ActorMiddleware
class Customer(models.Model):
    id = models.IntegerField(primary_key=True)
    city = models.TextField()
    class Meta:
        app_label, db_table, managed = "shop", "customers", False
class User:
    is_authenticated = True
    def __init__(self, pk): self.pk = pk
class Request: pass
def view(request):
    raw = connection.cursor()
    raw.execute("SELECT count(*) FROM customers WHERE city LIKE 'D%'")
    return Customer.objects.filter(city__contains="").count(), raw.fetchone()[0]
def served(user):
    request = Request()
    request.user = user
    return ActorMiddleware(view)(request)
print(*served(User("Durban")))
print(*served(User("Cape Town")))
print(*served(User("100% 'mine'")))
class Nobody: is_authenticated = False
try:
    served(Nobody())
except Exception as error:
    print(type(error).__name__)
"#,
        folder = folder.path().display().to_string()
    );
    let who = login("support_agent").application("recipe-django");
    let Some(answers) = own().python(support::shop(), &who, &script) else { return };
    if answers.out == "no django" {
        eprintln!("SKIPPED: Django is not installed");
        return;
    }
    let [durban, cape] = ["Durban", "Cape Town"].map(of);
    assert_eq!(
        answers.lines(),
        [format!("{durban} {durban}"), format!("{cape} 0"), "0 0".to_owned(), "ProgrammingError".to_owned()]
    );
    let known = recorded("recipe-django");
    assert_eq!(known[..6], ["Durban", "Durban", "Cape Town", "Cape Town", "100% 'mine'", "100% 'mine'"]);
    assert_eq!(known[6], "-");
}

#[test]
fn the_recipe_for_sqlalchemy_says_who_it_serves() {
    let code = recipe("SQLAlchemy");
    let script = format!(
        r#"
import sys
try:
    import sqlalchemy
except ImportError:
    print("no sqlalchemy"); sys.exit()
{code}
from sqlalchemy import create_engine, text
from sqlalchemy.pool import QueuePool
engine = create_engine("postgresql+psycopg://", poolclass=QueuePool, pool_size=1, max_overflow=0)
def count(who):
    before = actor.set(who)
    try:
        with engine.connect() as c:
            return c.execute(text("SELECT count(*) FROM customers WHERE id > :id"), {{"id": 0}}).scalar()
    finally:
        actor.reset(before)
for who in ("Durban", "Cape Town", "100% 'mine'"):
    print(count(who))
try:
    count("")
except Exception as error:
    print(type(error).__name__)
"#
    );
    let who = login("support_agent").application("recipe-sqlalchemy");
    let Some(answers) = own().python(support::shop(), &who, &script) else { return };
    if answers.out == "no sqlalchemy" {
        eprintln!("SKIPPED: SQLAlchemy is not installed");
        return;
    }
    assert_eq!(answers.lines(), [of("Durban"), of("Cape Town"), "0".to_owned(), "ProgrammingError".to_owned()]);
    assert_eq!(recorded("recipe-sqlalchemy"), ["Durban", "Cape Town", "100% 'mine'", "-"]);
}

#[test]
fn the_recipe_for_node_postgres_says_who_it_serves() {
    let code = recipe("node-postgres");
    let script = format!(
        r#"{code}
const pool = new pg.Pool({{ max: 1 }});
const count = (actor) => serving.run({{ actor }}, async () =>
  (await pool.query('SELECT count(*)::int AS n FROM customers WHERE id > $1', [0])).rows[0].n);
(async () => {{
  for (const actor of ['Durban', 'Cape Town', "100% 'mine'"]) console.log(await count(actor));
  await count('').catch((error) => console.log(error.code));
  await pool.end();
}})();
"#
    );
    let modules = concat!(env!("CARGO_MANIFEST_DIR"), "/target/pg18/node_modules");
    if !Path::new(modules).join("pg").exists() {
        eprintln!("SKIPPED: node-postgres is not installed; `.ci/run` installs it");
        return;
    }
    let who = login("support_agent").application("recipe-node");
    let mut node = own().client(support::shop(), &who, "node");
    let output = node.arg("-e").arg(script).env("NODE_PATH", modules).output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(out.lines().collect::<Vec<_>>(), [of("Durban"), of("Cape Town"), "0".into(), "42501".into()], "{err}");
    assert_eq!(recorded("recipe-node"), ["Durban", "Cape Town", "100% 'mine'", "-"]);
}
