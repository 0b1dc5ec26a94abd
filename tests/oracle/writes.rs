//! Writes: what the policy allows changes the same rows as on the copy, what it does not changes nothing.

use std::collections::BTreeMap;

use pgpurpose::cluster::Cluster;
use rand::RngExt;
use tokio::runtime::Runtime;

use super::answer::{Answer, difference, simple};
use super::generate::{Generator, Ty};
use super::support::direct;
use super::support::proxy::Proxy;
use super::{Purpose, Share, Sides, reason, sides};

/// A table that both purposes may change, with the columns that they see as they are.
struct Target {
    name: &'static str,
    open: &'static [(&'static str, Ty)],
    set: &'static [(&'static str, Ty)],
    deletable: bool,
}

const TARGETS: [Target; 3] = [
    Target {
        name: "orders",
        open: &[
            ("order_id", Ty::Int),
            ("customer_id", Ty::Int),
            ("status", Ty::Text),
            ("\"Order\"", Ty::Int),
            ("created_at", Ty::Time),
        ],
        set: &[("status", Ty::Text)],
        deletable: false,
    },
    Target {
        name: "tickets",
        open: &[
            ("ticket_id", Ty::Int),
            ("customer_id", Ty::Int),
            ("status", Ty::Text),
            ("urgency", Ty::Int),
            ("created_at", Ty::Time),
        ],
        set: &[("status", Ty::Text), ("urgency", Ty::Int)],
        deletable: false,
    },
    Target {
        name: "notes",
        open: &[("note_id", Ty::Int), ("customer_id", Ty::Int), ("label", Ty::Text), ("n", Ty::Int)],
        set: &[("label", Ty::Text), ("n", Ty::Int)],
        deletable: true,
    },
];

/// Everything there is, as one number.
const CHECKSUM: &str = "SELECT md5(string_agg(t::text, ',' ORDER BY t::text)) FROM (
    SELECT c::text FROM customers c UNION ALL SELECT o::text FROM orders o UNION ALL SELECT a::text FROM archive.orders a
    UNION ALL SELECT i::text FROM order_items i UNION ALL SELECT p::text FROM products p
    UNION ALL SELECT k::text FROM tickets k UNION ALL SELECT n::text FROM notes n UNION ALL SELECT s::text FROM privacy.consents s) t";

#[derive(Default)]
struct Counts {
    asked: usize,
    same: usize,
    rows: u64,
    forbidden: usize,
    neither: usize,
    refused: BTreeMap<String, usize>,
    wrong: Vec<String>,
}

pub fn run(
    runtime: &Runtime,
    cluster: &Cluster,
    proxy: &Proxy,
    purpose: &Purpose,
    share: Share,
    start: u64,
) -> Vec<String> {
    let before = direct(cluster, "shop", CHECKSUM);
    let mut counts = Counts::default();
    runtime.block_on(async {
        let sides = sides(cluster, proxy, purpose).await;
        let first = start * 1_000_000;
        let mut seed = first;
        while share.lasts(usize::try_from(seed - first).unwrap()) && counts.wrong.len() < 8 {
            if seed.is_multiple_of(4) {
                forbidden(&sides, seed, purpose, &mut counts).await;
            } else {
                allowed(&sides, seed, purpose, &mut counts).await;
            }
            seed += 1;
        }
    });
    // Every write that was allowed was rolled back, so that anything that differs is a refused one's doing.
    if direct(cluster, "shop", CHECKSUM) != before {
        counts.wrong.push(format!("{}: a refused write changed something", purpose.login));
    }
    println!(
        "{}: {} writes, {} the same ({} rows), {} answered by neither, {} forbidden ones refused, {} not answered, {} different",
        purpose.login,
        counts.asked,
        counts.same,
        counts.rows,
        counts.neither,
        counts.forbidden,
        counts.refused.values().sum::<usize>(),
        counts.wrong.len()
    );
    for (reason, count) in &counts.refused {
        println!("  not answered: {count} × {reason}");
    }
    let refused = counts.refused.values().sum::<usize>();
    if refused * 50 > counts.asked {
        counts.wrong.push(format!("{}: {refused} of {} writes are not answered", purpose.login, counts.asked));
    }
    counts.wrong
}

async fn allowed(sides: &Sides, seed: u64, purpose: &Purpose, counts: &mut Counts) {
    let (sql, table) = write(seed, purpose);
    counts.asked += 1;
    for side in [&sides.copy, &sides.proxied] {
        side.batch_execute("BEGIN").await.unwrap();
    }
    let (expected, got) = (simple(&sides.copy, &sql).await, simple(&sides.proxied, &sql).await);
    match (&expected, &got) {
        (Answer::Failed { .. }, Answer::Failed { .. }) => counts.neither += 1,
        (Answer::Rows { .. }, Answer::Failed { code, message }) => {
            *counts
                .refused
                .entry(format!("{code} {}: {}", reason(message), sql.split(' ').next().unwrap_or_default()))
                .or_default() += 1;
            if std::env::var_os("PGPURPOSE_ORACLE_NOTES").is_some() {
                println!("  seed {seed}: {code} {message}\n    {sql}");
            }
        }
        (Answer::Failed { code, message }, Answer::Rows { .. }) => {
            counts.wrong.push(format!("seed {seed}: written, though the copy says {code} {message}\n{sql}"));
        }
        (Answer::Rows { count, .. }, Answer::Rows { .. }) => {
            let view = format!("SELECT * FROM {table} ORDER BY 1");
            let (left, right) = (simple(&sides.copy, &view).await, simple(&sides.proxied, &view).await);
            let what = difference(&expected, &got, false).or_else(|| difference(&left, &right, true));
            match (what, &right) {
                (Some(what), _) => counts.wrong.push(format!("seed {seed}: copy and proxy differ: {what}\n{sql}")),
                (None, Answer::Failed { code, message }) => {
                    counts.wrong.push(format!("seed {seed}: after it {code} {message}\n{sql}"));
                }
                (None, Answer::Rows { .. }) => {
                    counts.same += 1;
                    counts.rows += count;
                }
            }
        }
    }
    for side in [&sides.copy, &sides.proxied] {
        side.batch_execute("ROLLBACK").await.unwrap();
    }
}

/// A write that the policy allows, and the table that it changes.
fn write(seed: u64, purpose: &Purpose) -> (String, &'static str) {
    let mut make = Generator::new(seed, purpose.letter, false);
    let target = &TARGETS[make.rng.random_range(0..TARGETS.len())];
    let table = target.name;
    make.enter("x", target.open);
    let condition = make.expr(Ty::Bool, 2);
    let returning = if make.chance(0.4) {
        let ty = target.set[0].1;
        format!(" RETURNING x.{}, {} AS more", target.open[0].0, make.expr(ty, 1))
    } else {
        String::new()
    };
    let kind = make.rng.random_range(0..13);
    let sql = match kind {
        0..=1 if target.deletable => format!("DELETE FROM {table} AS x WHERE {condition}{returning}"),
        2 if target.deletable => {
            format!(
                "DELETE FROM {table} AS x USING customers AS c WHERE c.id = x.customer_id AND c.full_name LIKE 'Z%'{returning}"
            )
        }
        // For a purpose that rests on consent no row is added: nobody can have agreed to it yet.
        3..=4 if target.deletable && purpose.letter == 's' => insert(&mut make),
        5..=6 => {
            // Masked columns of another table may be read: they are masked before they are written.
            let source = make.one_of(&["c.full_name", "c.email", "c.city", "upper(c.full_name)"]);
            let column = target.set.iter().find(|column| column.1 == Ty::Text).map_or("status", |column| column.0);
            format!(
                "UPDATE {table} AS x SET {column} = {source} FROM customers AS c WHERE c.id = x.customer_id AND {condition}{returning}"
            )
        }
        10..=12 => merge(&mut make, target, &condition, purpose),
        7 => {
            let (column, ty) = target.set[0];
            let value = make.expr(ty, 1);
            format!(
                "WITH w AS (UPDATE {table} AS x SET {column} = {value} WHERE {condition} RETURNING x.{column}) SELECT count(*), max({column}) FROM w"
            )
        }
        _ => {
            let list: Vec<String> =
                target.set.iter().map(|(column, ty)| format!("{column} = {}", make.expr(*ty, 2))).collect();
            let list = if list.len() == 2 && make.chance(0.2) {
                let value = make.expr(target.set[1].1, 1);
                format!("({}, {}) = ('a', {value})", target.set[0].0, target.set[1].0)
            } else {
                list.join(", ")
            };
            format!("UPDATE {table} AS x SET {list} WHERE {condition}{returning}")
        }
    };
    (sql, table)
}

/// The source holds each customer once, so that no row is changed twice.
fn merge(make: &mut Generator, target: &Target, condition: &str, purpose: &Purpose) -> String {
    let table = target.name;
    let source = match make.rng.random_range(0..3) {
        0 => "customers AS c",
        1 => "(SELECT id, upper(full_name) AS full_name, email, city FROM customers WHERE city <> 'Durban') AS c",
        _ => "customers AS c JOIN (VALUES (1), (3), (5), (7), (9), (12)) AS v (k) ON v.k = c.id",
    };
    let also = if make.chance(0.5) { format!(" AND {condition}") } else { String::new() };
    let mut actions = String::new();
    if make.chance(0.4) {
        let when = make.expr(Ty::Bool, 1);
        let action = if target.deletable && make.chance(0.6) { "DELETE" } else { "DO NOTHING" };
        actions.push_str(&format!(" WHEN MATCHED AND {when} THEN {action}"));
    }
    let column = target.set.iter().find(|column| column.1 == Ty::Text).map_or("status", |column| column.0);
    let value = if make.chance(0.5) {
        make.one_of(&["c.full_name", "c.email", "lower(c.city) || x.customer_id"]).to_owned()
    } else {
        make.expr(Ty::Text, 1)
    };
    actions.push_str(&format!(" WHEN MATCHED THEN UPDATE SET {column} = {value}"));
    if table == "notes" && purpose.letter == 's' {
        actions.push_str(
            " WHEN NOT MATCHED AND c.city LIKE 'C%' THEN INSERT (note_id, customer_id, label, n) VALUES (4000 + c.id, c.id, c.email, DEFAULT)",
        );
    }
    if make.chance(0.3) {
        actions.push_str(" WHEN NOT MATCHED THEN DO NOTHING");
    }
    format!("MERGE INTO {table} AS x USING {source} ON c.id = x.customer_id{also}{actions}")
}

fn insert(make: &mut Generator) -> String {
    let label = make.literal(Ty::Text);
    match make.rng.random_range(0..4) {
        0 => "INSERT INTO notes AS x (note_id, customer_id, label, n) SELECT 1000 + id, id, full_name, points FROM customers WHERE id < 20 RETURNING x.label".to_owned(),
        1 => format!(
            "INSERT INTO notes (note_id, customer_id, label) VALUES ({}, 3, {label}) ON CONFLICT (note_id) DO UPDATE SET label = excluded.label || notes.label, n = notes.n + 1 WHERE notes.n < 5 RETURNING note_id, label, n",
            make.rng.random_range(1..80)
        ),
        2 => format!(
            "INSERT INTO notes (note_id, customer_id, n) VALUES ({}, 4, DEFAULT), (2000, 5, 7) ON CONFLICT DO NOTHING",
            make.rng.random_range(1..80)
        ),
        _ => format!("INSERT INTO notes (note_id, customer_id, label, n) SELECT 3000 + id, id, {label}, length(email) FROM customers"),
    }
}

/// Writes that no rule opens.
async fn forbidden(sides: &Sides, seed: u64, purpose: &Purpose, counts: &mut Counts) {
    let mut make = Generator::new(seed, purpose.letter, false);
    make.enter("x", &[("order_id", Ty::Int), ("customer_id", Ty::Int), ("status", Ty::Text)]);
    let condition = make.expr(Ty::Bool, 1);
    let mut statements = vec![
        format!("DELETE FROM orders AS x WHERE {condition}"),
        format!("UPDATE orders AS x SET total = 1 WHERE {condition}"),
        format!("UPDATE orders AS x SET customer_id = 5 WHERE {condition}"),
        format!("WITH w AS (DELETE FROM orders AS x WHERE {condition} RETURNING *) SELECT count(*) FROM w"),
        "UPDATE customers SET city = 'x'".to_owned(),
        "UPDATE customers SET full_name = 'x' WHERE full_name = 'Q'".to_owned(),
        "DELETE FROM customers WHERE id_number = '7001015104729'".to_owned(),
        "INSERT INTO customers (id, city) VALUES (999, 'x')".to_owned(),
        "INSERT INTO tickets (ticket_id, customer_id, body) VALUES (999, 1, 'x')".to_owned(),
        "UPDATE tickets SET status = body".to_owned(),
        "UPDATE tickets SET status = 'x' WHERE body LIKE 'body%'".to_owned(),
        "UPDATE tickets SET status = 'x' RETURNING body".to_owned(),
        "UPDATE notes SET label = c.health_note FROM customers c WHERE c.id = notes.customer_id".to_owned(),
        "UPDATE privacy.consents SET granted = true".to_owned(),
        "INSERT INTO notes SELECT 5000, 1, health_note, 1 FROM customers WHERE id = 3".to_owned(),
        "TRUNCATE notes".to_owned(),
        "DELETE FROM notes USING tickets WHERE tickets.body = notes.label".to_owned(),
        "MERGE INTO tickets t USING customers c ON c.id = t.customer_id AND t.body LIKE 'body%' WHEN MATCHED THEN UPDATE SET status = 'x'".to_owned(),
        "MERGE INTO tickets t USING customers c ON c.id = t.customer_id WHEN MATCHED THEN UPDATE SET status = t.body".to_owned(),
        "MERGE INTO tickets t USING customers c ON c.id = t.customer_id WHEN MATCHED THEN UPDATE SET status = c.health_note".to_owned(),
        "MERGE INTO orders o USING customers c ON c.id = o.customer_id WHEN MATCHED THEN DELETE".to_owned(),
        "MERGE INTO customers c USING orders o ON c.id = o.customer_id WHEN MATCHED THEN UPDATE SET city = 'x'".to_owned(),
        "INSERT INTO products VALUES (99, (SELECT health_note FROM customers LIMIT 1), 1, 1)".to_owned(),
    ];
    if purpose.letter == 'm' {
        statements.push("UPDATE orders SET status = 'x' WHERE total > 100".to_owned());
        statements.push("UPDATE orders SET status = total::text".to_owned());
        statements.push("UPDATE orders SET status = 'x' RETURNING note".to_owned());
    } else {
        statements.push("UPDATE tickets SET status = 'x' WHERE subject = 'subject 1'".to_owned());
        statements.push("UPDATE tickets SET status = subject".to_owned());
    }
    let sql = &statements[make.rng.random_range(0..statements.len())];
    match simple(&sides.proxied, sql).await {
        Answer::Failed { code, .. } if code == "42501" || code == "0A000" => counts.forbidden += 1,
        Answer::Failed { code, message } => {
            counts.wrong.push(format!("seed {seed}: {code} {message}, 42501 wanted\n{sql}"))
        }
        Answer::Rows { count, .. } => counts.wrong.push(format!("seed {seed}: {count} rows written\n{sql}")),
    }
}
