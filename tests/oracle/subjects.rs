//! Whose rows were seen, against the truth. Of row-level queries the log must name exactly those whom the copy names. Of any
//! query it must name everybody without whose rows the copy would answer otherwise, or say that people were counted.

use std::collections::BTreeSet;
use std::path::Path;

use pgpurpose::audit::read::Follower;
use pgpurpose::cluster::Cluster;
use rand::RngExt;
use tokio::runtime::Runtime;
use tokio_postgres::{Client, Config, NoTls};

use super::answer::{Answer, difference, simple};
use super::generate::{Generator, Statement, Ty};
use super::support::proxy::Proxy;
use super::{Purpose, Share, Sides};

/// The policy of the oracle with every table's subjects recorded as they are.
pub fn recording(policy: &str) -> String {
    let lines = policy.lines().map(|line| {
        let recorded = line.starts_with("subject = ") && !line.contains("subject_id");
        if recorded { format!("record_subjects = \"plain\"\n{line}\n") } else { format!("{line}\n") }
    });
    lines.collect()
}

/// A table of which the log names each row's subject: columns to ask by, and the subject as the copy says it.
struct Kept {
    from: &'static str,
    columns: &'static [(&'static str, Ty)],
    keys: &'static [&'static str],
}

const KEPT: &[Kept] = &[
    Kept {
        from: "customers AS x",
        columns: &[("id", Ty::Int), ("city", Ty::Text), ("points", Ty::Int), ("created_at", Ty::Time)],
        keys: &["x.id"],
    },
    Kept {
        from: "orders AS x",
        columns: &[("order_id", Ty::Int), ("customer_id", Ty::Int), ("total", Ty::Num), ("status", Ty::Text)],
        keys: &["x.customer_id"],
    },
    Kept {
        from: "order_items AS x",
        columns: &[("order_id", Ty::Int), ("quantity", Ty::Int), ("price", Ty::Num)],
        keys: &["(SELECT o.customer_id FROM orders o WHERE o.order_id = x.order_id)"],
    },
    Kept {
        from: "customers AS x JOIN orders AS y ON y.customer_id = x.id",
        columns: &[("id", Ty::Int), ("city", Ty::Text), ("points", Ty::Int)],
        keys: &["x.id", "y.customer_id"],
    },
    Kept {
        from: "orders AS x LEFT JOIN customers AS y ON y.id = x.order_id",
        columns: &[("order_id", Ty::Int), ("customer_id", Ty::Int), ("status", Ty::Text)],
        keys: &["x.customer_id", "y.id"],
    },
];

/// Takes everything of one person away.
const FORGET: &str = "
    CREATE PROCEDURE pg_temp.forget(person bigint) LANGUAGE plpgsql AS $$ BEGIN
    DELETE FROM public.order_items WHERE order_id IN (SELECT order_id FROM public.orders WHERE customer_id = person);
    DELETE FROM public.orders WHERE customer_id = person; DELETE FROM archive.orders WHERE customer_id = person;
    DELETE FROM public.tickets WHERE customer_id = person; DELETE FROM public.notes WHERE customer_id = person;
    DELETE FROM public.customers WHERE id = person; END $$";

/// What the copy says without that person, by one message.
async fn without(copy: &Client, person: i64, sql: &str) -> Answer {
    match simple(copy, &format!("BEGIN; CALL pg_temp.forget({person}); {sql}\n; ROLLBACK")).await {
        // The count is that of the last of the four.
        Answer::Rows { names, types, rows, .. } => {
            let count = rows.len() as u64;
            Answer::Rows { names, types, rows, count }
        }
        failed @ Answer::Failed { .. } => {
            copy.batch_execute("ROLLBACK").await.unwrap();
            failed
        }
    }
}

/// What the log says of the statements since the last look: subjects, and whether people were counted.
fn told(follower: &mut Follower) -> (BTreeSet<String>, bool) {
    let (mut subjects, mut counted) = (BTreeSet::new(), false);
    for entry in follower.poll().unwrap().into_iter().filter(|entry| entry.event() == "disclosure") {
        subjects.extend(entry.subjects().map(str::to_owned));
        counted |= entry.field("aggregate").is_some();
    }
    (subjects, counted)
}

async fn exact(sides: &Sides, seed: u64, purpose: &Purpose, log: &Path, wrong: &mut Vec<String>) -> usize {
    let mut make = Generator::new(seed, purpose.letter, false);
    let kept = &KEPT[make.rng.random_range(0..KEPT.len())];
    make.enter("x", kept.columns);
    let condition = make.expr(Ty::Bool, 2);
    let list = make.one_of(&["*", "x.*", "1 AS one", "x"]);
    let keys: Vec<String> =
        kept.keys.iter().map(|key| format!("SELECT ({key})::text FROM {} WHERE {condition}", kept.from)).collect();
    let sql = match make.rng.random_range(0..4) {
        0 => format!("SELECT * FROM (SELECT {list} FROM {} WHERE {condition}) AS d", kept.from),
        1 if list != "*" => format!("WITH w AS (SELECT {list} FROM {} WHERE {condition}) SELECT w.* FROM w", kept.from),
        _ => format!("SELECT {list} FROM {} WHERE {condition}", kept.from),
    };
    // Two FROM items with a column of the same name cannot be named one by one.
    let doubtful = sql.starts_with("SELECT * FROM (SELECT *") && kept.keys.len() > 1;
    let mut follower = Follower::at_end(log).unwrap();
    let got = simple(&sides.proxied, &sql).await;
    let truth = simple(&sides.copy, &keys.join(" UNION ")).await;
    let (Answer::Rows { .. }, Answer::Rows { rows, .. }) = (&got, &truth) else { return 0 };
    let truth: BTreeSet<String> =
        rows.iter().filter_map(|row| row[0].as_ref().map(|key| String::from_utf8_lossy(key).into_owned())).collect();
    let (subjects, counted) = told(&mut follower);
    // A subquery in the condition reads of people that are not known one by one.
    let subqueries = condition.contains("SELECT");
    let fine = if doubtful { counted || subjects == truth } else { subjects == truth && (subqueries || !counted) };
    if !fine {
        wrong.push(format!(
            "seed {seed}: the log names {subjects:?} (counted: {counted}), the truth is {truth:?}\n{sql}"
        ));
    }
    1
}

/// Of people left out of the copy one by one: how the answer differs, against what the log says.
#[derive(Default)]
struct Left {
    /// So many were tried.
    people: usize,
    /// The log names them.
    named: usize,
    /// The log names them, and the answer is the same without them.
    named_for_nothing: usize,
}

/// Gives how many people were tried.
async fn never_fewer(
    sides: &Sides,
    copy: &Client,
    seed: u64,
    purpose: &Purpose,
    log: &Path,
    wrong: &mut Vec<String>,
) -> Left {
    let mut left = Left::default();
    let Statement { sql, ordered, .. } = Generator::new(seed, purpose.letter, false).statement();
    let mut follower = Follower::at_end(log).unwrap();
    let got = simple(&sides.proxied, &sql).await;
    let (subjects, counted) = told(&mut follower);
    let whole = simple(copy, &sql).await;
    let (Answer::Rows { .. }, Answer::Rows { .. }) = (&got, &whole) else { return left };
    // Who is passed over by OFFSET is not shown, and yet the answer would be another without them.
    if counted || sql.contains("OFFSET") {
        return left;
    }
    for person in 1..=40_i64 {
        let without = without(copy, person, &sql).await;
        // An error, or no time left, tells nothing of rows.
        let Answer::Rows { .. } = &without else { continue };
        let named = subjects.contains(&person.to_string());
        let differs = difference(&whole, &without, ordered);
        left.people += 1;
        left.named += usize::from(named);
        left.named_for_nothing += usize::from(named && differs.is_none());
        if let Some(what) = differs.filter(|_| !named) {
            wrong.push(format!("seed {seed}: {person} was seen ({what}), and the log names {subjects:?}\n{sql}"));
            break;
        }
    }
    left
}

/// Compares for so long; gives what went wrong.
pub fn run(
    runtime: &Runtime,
    cluster: &Cluster,
    proxy: &Proxy,
    purpose: &Purpose,
    share: Share,
    start: u64,
) -> Vec<String> {
    let log = proxy.audit_dir();
    let (mut wrong, mut exacts, mut all, mut queries) = (Vec::new(), 0, Left::default(), 0);
    runtime.block_on(async {
        let sides = super::sides(cluster, proxy, purpose).await;
        let mut config = Config::new();
        config.host_path(cluster.socket_dir()).port(cluster.port()).user("postgres").dbname(purpose.database);
        let (copy, connection) = config.connect(NoTls).await.unwrap();
        tokio::spawn(connection);
        copy.batch_execute("SET statement_timeout = '4s'").await.unwrap();
        copy.batch_execute(FORGET).await.unwrap();
        let first = start * 1_000_000;
        let mut seed = first;
        while share.lasts(usize::try_from(seed - first).unwrap()) && wrong.len() < 6 {
            exacts += exact(&sides, seed, purpose, &log, &mut wrong).await;
            let Left { people, named, named_for_nothing } =
                never_fewer(&sides, &copy, seed, purpose, &log, &mut wrong).await;
            all.people += people;
            all.named += named;
            all.named_for_nothing += named_for_nothing;
            queries += usize::from(people > 0);
            seed += 1;
            if (seed - first).is_multiple_of(1000) {
                let asked = seed - first;
                println!("  {}: {asked} queries asked, people left out of {queries} of them", purpose.login);
            }
        }
    });
    println!(
        "{}: subjects of {exacts} row-level queries compared, and {} people left out of {queries} queries of any shape; {} were named, {} of them for nothing ({:.1} %), {} wrong",
        purpose.login,
        all.people,
        all.named,
        all.named_for_nothing,
        all.named_for_nothing as f64 * 100.0 / all.named.max(1) as f64,
        wrong.len()
    );
    if exacts < 5 {
        wrong.push(format!("{}: {exacts} row-level queries were compared only", purpose.login));
    }
    wrong
}
