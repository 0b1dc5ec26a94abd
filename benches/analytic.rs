//! What masks cost the database: 46 analytic queries over masked columns, held against views that a person writes by hand and
//! that show the same. Both run on one session, so that the proxy itself is no part of it.
//!
//! `cargo bench --bench analytic` prints a table in Markdown. The answers of both must be the same, or it fails. Rounds:
//! `PGPURPOSE_BENCH_ROUNDS` (3). Texts and data are in `benches/analytic`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing,
    missing_docs
)]

use std::time::Instant;

use pgpurpose::catalog::load_catalog;
use pgpurpose::cluster::{Cluster, ClusterOptions};
use pgpurpose::policy::PolicySet;
use pgpurpose::sql::{self, Context, TokenKey};
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

const DATA: &str = include_str!("analytic/data.sql");
const VIEWS: &str = include_str!("analytic/views.sql");
const QUERIES: &str = include_str!("analytic/queries.sql");

const POLICY: &str = r#"
version = 1
[tables."public.region"]
open = true
[tables."public.country"]
open = true
[tables."public.part"]
open = true
[tables."public.stock"]
open = true
[tables."public.customer"]
subject = "id"
columns = { id = "plain", name = "name", country = "plain", segment = "plain", balance = "money", phone = "phone" }
[tables."public.supplier"]
columns = { id = "plain", name = "firm", country = "plain", balance = "money" }
[tables."public.purchase"]
columns = { id = "plain", customer = "plain", status = "plain", total = "money", placed = "day", priority = "plain", clerk = "plain" }
[tables."public.line".columns]
purchase = "plain"
number = "plain"
part = "plain"
supplier = "plain"
quantity = "plain"
price = "plain"
discount = "plain"
tax = "plain"
returned = "plain"
status = "plain"
shipped = "day"
committed = "day"
received = "day"
mode = "plain"
[tables."public.hits".columns]
id = "plain"
at = "moment"
day = "day"
visitor = "visitor"
address = "address"
url = "link"
referer = "link"
phrase = "words"
region = "plain"
engine = "plain"
width = "plain"
title = "title"
refresh = "plain"
[purposes.report]
basis = "contract"
[roles.analyst]
logins = ["analyst"]
purposes = ["report"]
[[rules]]
name = "masked"
roles = ["analyst"]
purposes = ["report"]
read = ["plain"]
[rules.mask]
name = "first(1)"
firm = "first(2)"
phone = "last(4)"
money = "band(1000)"
day = "month"
moment = "hour"
visitor = "token"
address = "network"
link = "host"
words = "first(8)"
title = "first(6)"
"#;

async fn rows(client: &Client, sql: &str) -> (f64, Vec<Vec<Option<String>>>) {
    let from = Instant::now();
    let messages = client.simple_query(sql).await.unwrap_or_else(|error| panic!("{error:?}\n{sql}"));
    let took = from.elapsed().as_secs_f64() * 1000.0;
    let rows = messages.into_iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some((0..row.len()).map(|at| row.get(at).map(str::to_owned)).collect()),
        _ => None,
    });
    (took, rows.collect())
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

/// Name of the set, and its queries.
fn sets() -> Vec<(&'static str, Vec<&'static str>)> {
    let mut sets: Vec<(&str, Vec<&str>)> = Vec::new();
    for line in QUERIES.lines() {
        match line.strip_prefix("-- set ") {
            Some(name) => sets.push((name, Vec::new())),
            None => sets.last_mut().unwrap().1.push(line.trim_end_matches(';')),
        }
    }
    sets
}

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(run());
}

async fn run() {
    let rounds: usize = std::env::var("PGPURPOSE_BENCH_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(3);
    let settings = [("max_parallel_workers_per_gather", "0"), ("fsync", "off"), ("work_mem", "64MB"), ("jit", "off")];
    let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let cluster = Cluster::start(&ClusterOptions { settings, ..ClusterOptions::default() }).unwrap();
    let mut config = tokio_postgres::Config::new();
    config.host_path(cluster.socket_dir()).port(cluster.port()).user("postgres").dbname("postgres");
    let (mut client, connection) = config.connect(NoTls).await.unwrap();
    tokio::spawn(connection);
    client.batch_execute(DATA).await.unwrap();
    client.batch_execute(VIEWS).await.unwrap();
    client.batch_execute("VACUUM ANALYZE").await.unwrap();
    let catalog = load_catalog(&mut client, 1).await.unwrap();
    let policies = PolicySet::from_sources(&[("bench.toml".to_owned(), POLICY.to_owned())]).unwrap();
    let key = TokenKey::from_hex(&"5a".repeat(32)).unwrap();
    for ((name, value), view) in key.settings("report").into_iter().zip(["bench.key_i", "bench.key_o"]) {
        client.batch_execute(&format!("SET {name} = '{value}'; SET {view} = '{value}'")).await.unwrap();
    }
    let path = ["public".to_owned()];
    let context = Context::new(&catalog, &policies, "analyst", "report", &path, jiff::civil::date(2026, 11, 22));
    println!(
        "{rounds} rounds, medians.\n\n| set | queries | masked, ms | views, ms | ratio | geometric mean |\n| --- | ---: | ---: | ---: | ---: | ---: |"
    );
    let mut slow = Vec::new();
    for (name, queries) in sets() {
        let (mut own, mut by_hand, mut logs) = (0.0, 0.0, 0.0);
        for (number, query) in queries.iter().enumerate() {
            let enforced = sql::on_parser_stack(|| sql::enforce(query, &context)).unwrap();
            let enforced = enforced.unwrap_or_else(|refused| panic!("{}\n{query}", refused.refusal.message));
            let (mut masked, mut viewed) = (Vec::new(), Vec::new());
            for _ in 0..=rounds {
                client.batch_execute("SET search_path = pg_catalog").await.unwrap();
                let (took, found) = rows(&client, enforced.text()).await;
                client.batch_execute("SET search_path = v").await.unwrap();
                let (took_by_hand, wanted) = rows(&client, query).await;
                assert_eq!(found, wanted, "{query}\n{}", enforced.text());
                masked.push(took);
                viewed.push(took_by_hand);
            }
            // The first round warms up.
            let (masked, viewed) = (median(masked.split_off(1)), median(viewed.split_off(1)));
            own += masked;
            by_hand += viewed;
            logs += (masked / viewed).ln();
            slow.push((masked / viewed, format!("{name} {}: {masked:.1} ms, {viewed:.1} by hand", number + 1)));
        }
        let mean = (logs / queries.len() as f64).exp();
        println!("| {name} | {} | {own:.0} | {by_hand:.0} | {:.2} | {mean:.2} |", queries.len(), own / by_hand);
    }
    slow.sort_by(|one, other| other.0.total_cmp(&one.0));
    println!("\nDearest beside the view:\n");
    for (ratio, what) in slow.iter().take(8) {
        println!("- {ratio:.2} x: {what}");
    }
    println!("\nCheapest:\n");
    for (ratio, what) in slow.iter().rev().take(5) {
        println!("- {ratio:.2} x: {what}");
    }
}
