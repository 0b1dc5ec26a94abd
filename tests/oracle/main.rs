//! A differential oracle: the same statement through the proxy, and on tables that hold only what the purpose may see,
//! must give the same. The copies are made by SQL of their own (`copy_*.sql`), not by the product's masks and filters.
//!
//! A set of queries that is the same each time; with `PGPURPOSE_ORACLE_SECONDS` as many as there is time for, from
//! `PGPURPOSE_ORACLE_SEED` millions on. Each query has a seed of its own, which is printed with what went wrong, and `PGPURPOSE_ORACLE_ONE=SEED` runs that one alone. `PGPURPOSE_ORACLE_NOTES=FILE`
//! writes down every refusal. `PGPURPOSE_ORACLE_PURPOSE=marketing` asks for one purpose alone. `PGPURPOSE_ORACLE_DELETIONS=10000` leaves each person out of the copy of so many queries: who changes an
//! answer is in the log.
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::indexing_slicing
)]

#[path = "../support/mod.rs"]
mod support;

mod answer;
mod changes;
mod deliver;
mod generate;
mod shop;
mod subjects;
mod temporary;
mod writes;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use answer::{Answer, difference};
use deliver::Way;
use generate::{Generator, Statement};
use pgpurpose::cluster::Cluster;
use support::proxy::{Proxy, Upstream};
use tokio_postgres::{Client, Config, NoTls};

const POLICY: &str = include_str!("policy.toml");
const GRANTS: &str = include_str!("grants.sql");

/// The most that may be refused though the copy answers, in percent.
const MOST_REFUSED: f64 = 2.0;

/// One purpose: its letter in `shop.rs`, its login and its copy.
pub struct Purpose {
    pub letter: char,
    pub login: &'static str,
    database: &'static str,
    copy: &'static str,
}

const PURPOSES: [Purpose; 2] = [
    Purpose { letter: 's', login: "support_agent", database: "copy_support", copy: include_str!("copy_support.sql") },
    Purpose { letter: 'm', login: "marketing", database: "copy_marketing", copy: include_str!("copy_marketing.sql") },
];

/// The two sides.
pub struct Sides {
    pub proxied: Client,
    pub copy: Client,
}

#[derive(Default)]
struct Counts {
    asked: usize,
    ways: BTreeMap<&'static str, usize>,
    same: usize,
    rows: usize,
    /// Neither answers: by the SQLSTATE of the copy and of the proxy.
    neither: BTreeMap<String, usize>,
    denied: usize,
    refused: BTreeMap<String, usize>,
    wrong: Vec<String>,
    notes: String,
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is not a number: {text}")))
}

/// A database with everything, one copy for each purpose, and the proxy before the first.
fn set_up() -> (Cluster, Proxy, Proxy) {
    let cluster = support::own_cluster();
    cluster.run_statements("postgres", "CREATE DATABASE shop").unwrap();
    cluster.run_sql("shop", include_str!("schema.sql")).unwrap();
    for purpose in &PURPOSES {
        cluster.run_statements("postgres", &format!("CREATE DATABASE {} TEMPLATE shop", purpose.database)).unwrap();
        cluster.run_sql(purpose.database, purpose.copy).unwrap();
        cluster.run_sql(purpose.database, GRANTS).unwrap();
        // The proxy must find the tables in one database only.
        let connect = format!(
            "REVOKE CONNECT ON DATABASE {0} FROM PUBLIC; GRANT CONNECT ON DATABASE {0} TO {1}, builder",
            purpose.database, purpose.login
        );
        cluster.run_statements(purpose.database, &connect).unwrap();
    }
    cluster.run_sql("shop", GRANTS).unwrap();
    cluster.run_statements("shop", "GRANT USAGE ON SCHEMA privacy TO support_agent, marketing; GRANT SELECT ON privacy.consents TO support_agent, marketing").unwrap();
    let proxy = Proxy::start_with(&cluster, Upstream::Socket, POLICY, "");
    let recording = subjects::recording(POLICY);
    let recording = Proxy::start_logging(&cluster, Upstream::Socket, &recording, "", "sync = \"written\"");
    (cluster, proxy, recording)
}

async fn connect(config: &Config) -> Client {
    let (client, connection) = config.connect(NoTls).await.unwrap();
    tokio::spawn(connection);
    client.batch_execute("SET statement_timeout = '4s'").await.unwrap();
    client
}

async fn sides(cluster: &Cluster, proxy: &Proxy, purpose: &Purpose) -> Sides {
    let mut proxied = Config::new();
    proxied.host("127.0.0.1").port(proxy.port).user(purpose.login).dbname("shop");
    let mut copy = Config::new();
    copy.host_path(cluster.socket_dir()).port(cluster.port()).user(purpose.login).dbname(purpose.database);
    Sides { proxied: connect(&proxied).await, copy: connect(&copy).await }
}

async fn compare(sides: &mut Sides, statement: &Statement, way: Way, seed: u64, counts: &mut Counts) {
    let Sides { proxied, copy } = sides;
    let (expected, got) = tokio::join!(way.answer(copy, statement), way.answer(proxied, statement));
    *counts.ways.entry(way.name()).or_default() += 1;
    let sql = statement.sql.replace('\n', " ");
    counts.asked += 1;
    match (&expected, &got) {
        (Answer::Rows { rows, .. }, Answer::Rows { .. }) => match difference(&expected, &got, statement.ordered) {
            None => {
                counts.same += 1;
                counts.rows += rows.len();
            }
            Some(what) => counts
                .wrong
                .push(format!("seed {seed}, {way:?}: copy and proxy differ: {what}\n{sql}\n{:?}", statement.values)),
        },
        // Out of time on one side tells of the machine only.
        (Answer::Failed { code, .. }, _) | (_, Answer::Failed { code, .. }) if code == "57014" => {
            *counts.neither.entry("out of time".to_owned()).or_default() += 1;
        }
        // PostgreSQL looks for max() by an index with the WITH TIES that is meant for the result, and finds several.
        (Answer::Failed { code, .. }, _) if code == "21000" && sql.contains("WITH TIES") => {
            *counts.neither.entry("max() WITH TIES".to_owned()).or_default() += 1;
        }
        (Answer::Failed { code, message }, Answer::Rows { .. }) => {
            // A condition that fails on a value may be run or not, as the plan is.
            counts.wrong.push(format!("seed {seed}, {way:?}: answered, though the copy says {code} {message}\n{sql}"));
        }
        (Answer::Failed { code, .. }, Answer::Failed { code: got, .. }) if code == "42703" && got == "42501" => {
            counts.denied += 1;
        }
        (Answer::Failed { code, message }, Answer::Failed { code: got, message: said }) => {
            let _ = writeln!(counts.notes, "neither\t{seed} {way:?}\t{code} {message}\t{got} {said}\t{sql}");
            *counts.neither.entry(format!("{code}, the proxy {got}")).or_default() += 1;
        }
        (Answer::Rows { .. }, Answer::Failed { code, message }) => {
            let _ = writeln!(counts.notes, "refused\t{seed} {way:?}\t{code} {message}\t{sql}");
            *counts.refused.entry(format!("{code} {}", reason(message))).or_default() += 1;
        }
    }
}

/// The message with the names taken out.
fn reason(message: &str) -> String {
    message.split('`').enumerate().map(|(at, part)| if at % 2 == 1 { "_" } else { part }).collect::<Vec<_>>().join("`")
}

fn report(name: &str, counts: &Counts) {
    println!(
        "{name}: {} queries, {} the same ({} rows), {} that name a denied column refused, {} not answered, {} different",
        counts.asked,
        counts.same,
        counts.rows,
        counts.denied,
        counts.refused.values().sum::<usize>(),
        counts.wrong.len()
    );
    println!("  delivered: {:?}", counts.ways);
    for (reason, count) in &counts.refused {
        println!("  not answered: {count} × {reason}");
    }
    for (codes, count) in &counts.neither {
        println!("  neither answers: {count} × copy {codes}");
    }
    if let Some(path) = std::env::var_os("PGPURPOSE_ORACLE_NOTES") {
        std::fs::write(format!("{}.{name}", path.display()), &counts.notes).unwrap();
    }
}

/// How much of one kind is tried: so many, the same ones each time, or all that there is time for.
pub enum Share {
    Cases(usize),
    Until(Instant),
}

impl Share {
    fn of(seconds: Option<Duration>, part: f64, cases: usize) -> Self {
        seconds.map_or(Self::Cases(cases), |seconds| Self::Until(Instant::now() + seconds.mul_f64(part)))
    }

    pub fn lasts(&self, done: usize) -> bool {
        match self {
            Self::Cases(cases) => done < *cases,
            Self::Until(end) => Instant::now() < *end,
        }
    }
}

#[test]
fn a_purpose_gets_what_a_database_with_nothing_else_in_it_would_say() {
    let (cluster, plain, recording) = set_up();
    let seconds = number("PGPURPOSE_ORACLE_SECONDS").map(Duration::from_secs);
    let start = number("PGPURPOSE_ORACLE_SEED").unwrap_or(1);
    let one = number("PGPURPOSE_ORACLE_ONE");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut faults = Vec::new();
    for purpose in &PURPOSES {
        if std::env::var("PGPURPOSE_ORACLE_PURPOSE").is_ok_and(|one| one != purpose.login) {
            continue;
        }
        let mut counts = Counts::default();
        // Hidden columns must change no answer.
        let proxy = if purpose.letter == 's' { &recording } else { &plain };
        runtime.block_on(async {
            let mut sides = sides(&cluster, proxy, purpose).await;
            let share = Share::of(seconds, 0.24, 400);
            let mut seed = one.unwrap_or(start * 1_000_000);
            while share.lasts(counts.asked) && counts.wrong.len() < 12 {
                let way = Way::of(seed, purpose.letter == 's');
                let statement = Generator::new(seed, purpose.letter, way.parameters()).statement();
                compare(&mut sides, &statement, way, seed, &mut counts).await;
                if sides.proxied.is_closed() || sides.copy.is_closed() {
                    counts.wrong.push(format!("seed {seed}: the session ended\n{}", statement.sql));
                    sides = self::sides(&cluster, proxy, purpose).await;
                }
                if one.is_some() {
                    println!("{}", statement.sql);
                    break;
                }
                seed += 1;
            }
        });
        report(purpose.login, &counts);
        let refused = counts.refused.values().sum::<usize>() as f64 * 100.0 / counts.asked.max(1) as f64;
        if refused >= MOST_REFUSED {
            faults.push(format!("{}: {refused:.2} % are not answered, {MOST_REFUSED} % is the most", purpose.login));
        }
        // What neither side answers tests nothing: a generator that makes much of it is out of order.
        let neither = counts.neither.values().sum::<usize>() as f64 * 100.0 / counts.asked.max(1) as f64;
        if neither >= 5.0 {
            faults.push(format!("{}: {neither:.2} % are answered by neither", purpose.login));
        }
        faults.append(&mut counts.wrong);
        if one.is_none() {
            let mut wrong = writes::run(&runtime, &cluster, proxy, purpose, Share::of(seconds, 0.08, 300), start);
            faults.append(&mut wrong);
            let mut wrong = temporary::run(&runtime, &cluster, proxy, purpose, Share::of(seconds, 0.1, 150), start);
            faults.append(&mut wrong);
            // People are left out of the copy, one after the other, of so many queries.
            let left_out = number("PGPURPOSE_ORACLE_DELETIONS").and_then(|queries| usize::try_from(queries).ok());
            let share = left_out.map_or_else(|| Share::of(seconds, 0.1, 200), Share::Cases);
            let mut wrong = subjects::run(&runtime, &cluster, &recording, purpose, share, start);
            faults.append(&mut wrong);
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n\n"));
}
