//! Temporary tables and structure that a transaction makes: filled from governed queries, changed, renamed, in the place of a permanent name,
//! taken back, and read again, they hold what a database with nothing else in it would hold. For another purpose they are closed.

use std::collections::BTreeMap;

use pgpurpose::cluster::Cluster;
use rand::RngExt;
use tokio::runtime::Runtime;

use super::answer::{Answer, difference, simple};
use super::generate::{Generator, Ty};
use super::support::proxy::Proxy;
use super::{Purpose, Share, Sides, reason, sides};

/// Tables of which a temporary one of the same name may stand in the way, with columns that both sides see as they are.
const SHADOWED: &[(&str, &str)] = &[
    ("tickets", "ticket_id > 5"),
    ("orders", "status = 'paid' OR order_id < 9"),
    ("customers", "city IS NOT NULL"),
    ("notes", "n < 5"),
    ("products", "product_id <> 3"),
    ("order_items", "quantity > 1"),
];

#[derive(Default)]
struct Counts {
    asked: usize,
    same: usize,
    rows: usize,
    neither: usize,
    closed: usize,
    refused: BTreeMap<String, usize>,
    wrong: Vec<String>,
}

/// What one session does, one statement after the other.
struct Story<'a> {
    sides: &'a Sides,
    counts: &'a mut Counts,
    seed: u64,
    said: Vec<String>,
}

impl Story<'_> {
    /// Asks both sides; whether both did it.
    async fn ask(&mut self, sql: &str) -> bool {
        let (expected, got) = tokio::join!(simple(&self.sides.copy, sql), simple(&self.sides.proxied, sql));
        self.said.push(sql.replace('\n', " "));
        self.counts.asked += 1;
        match (&expected, &got) {
            (Answer::Rows { rows, .. }, Answer::Rows { .. }) => {
                self.counts.rows += rows.len();
                match difference(&expected, &got, false) {
                    None => self.counts.same += 1,
                    Some(what) => self.wrong(&format!("copy and proxy differ: {what}")),
                }
                true
            }
            (Answer::Failed { code, .. }, _) | (_, Answer::Failed { code, .. }) if code == "57014" => {
                self.counts.neither += 1;
                false
            }
            (Answer::Failed { code, message }, Answer::Rows { .. }) => {
                self.wrong(&format!("done, though the copy says {code} {message}"));
                false
            }
            (Answer::Failed { .. }, Answer::Failed { .. }) => {
                self.counts.neither += 1;
                false
            }
            (Answer::Rows { .. }, Answer::Failed { code, message }) => {
                *self.counts.refused.entry(format!("{code} {}", reason(message))).or_default() += 1;
                false
            }
        }
    }

    /// Asks the proxy alone, for another purpose; it must refuse.
    async fn closed(&mut self, sql: &str) {
        simple(&self.sides.proxied, "SET pgpurpose.purpose = 'survey'").await;
        self.said.push(format!("(survey) {sql}"));
        match simple(&self.sides.proxied, sql).await {
            Answer::Failed { code, .. } if code == "42501" => self.counts.closed += 1,
            other => self.wrong(&format!("another purpose gets {other:?}")),
        }
        simple(&self.sides.proxied, "ROLLBACK").await;
        simple(&self.sides.proxied, "RESET pgpurpose.purpose").await;
    }

    fn wrong(&mut self, what: &str) {
        self.counts.wrong.push(format!("seed {}: {what}\n{}", self.seed, self.said.join(";\n")));
    }
}

/// Whether a query may read rows of somebody.
fn reads_people(sql: &str) -> bool {
    let sql = sql.to_lowercase();
    ["customers", "orders", "order_items", "tickets", "notes"].iter().any(|table| sql.contains(table))
}

fn columns(types: &[Ty]) -> Vec<(String, Ty)> {
    types.iter().enumerate().map(|(at, ty)| (format!("k{at}"), *ty)).collect()
}

/// A table of a query's rows, what is done to it, and what is read of it then.
async fn filled(story: &mut Story<'_>, make: &mut Generator) -> Option<String> {
    let (query, types) = make.filling()?;
    let mut columns = columns(&types);
    let mut name = make.one_of(&["kept", "\"Kept too\"", "pg_temp.kept"]).to_owned();
    let list: Vec<&str> = columns.iter().map(|(name, _)| name.as_str()).collect();
    let list = list.join(", ");
    let begun = make.chance(0.7);
    if begun {
        story.ask("BEGIN").await;
    }
    let temp = if name.starts_with("pg_temp") { "" } else { "TEMP " };
    let end = if begun && make.chance(0.2) && !temp.is_empty() { " ON COMMIT DROP" } else { "" };
    let made = match make.rng.random_range(0..4) {
        0 => format!("CREATE {temp}TABLE {name} ({list}){end} AS {query} WITH DATA"),
        _ => format!("CREATE {temp}TABLE {name} ({list}){end} AS {query}"),
    };
    if !story.ask(&made).await {
        return None;
    }
    for _ in 0..make.rng.random_range(1..6) {
        let bare = name.trim_start_matches("pg_temp.").to_owned();
        let step = match make.rng.random_range(0..12) {
            0 => {
                let new = format!("more{}", columns.len());
                let step = format!("ALTER TABLE {name} ADD COLUMN {new} int DEFAULT 7");
                columns.push((new, Ty::Int));
                step
            }
            1 => {
                let at = make.rng.random_range(0..columns.len());
                let new = format!("called{at}");
                let step = format!("ALTER TABLE {name} RENAME COLUMN {} TO {new}", columns[at].0);
                if columns[at].0 == new {
                    continue;
                }
                columns[at].0 = new;
                step
            }
            2 if bare != "moved" => {
                let step = format!("ALTER TABLE {name} RENAME TO moved");
                name = "moved".to_owned();
                step
            }
            3 => {
                let list: Vec<&str> = columns.iter().map(|(name, _)| name.as_str()).collect();
                format!("INSERT INTO {name} ({0}) SELECT {0} FROM {name}", list.join(", "))
            }
            4 => {
                let at = make.rng.random_range(0..columns.len());
                format!("UPDATE {name} SET {} = NULL", columns[at].0)
            }
            5 => format!("CREATE INDEX ON {name} ({})", columns[0].0),
            6 => format!("CREATE TEMP VIEW seen{0} AS SELECT * FROM {name}", columns.len()),
            7 => format!("ANALYZE {name}"),
            8 if begun => "SAVEPOINT s".to_owned(),
            9 => format!("COPY {name} TO STDOUT"),
            10 => format!("CREATE TEMP TABLE again{0} AS TABLE {name}", columns.len()),
            _ => read(make, &name, &columns),
        };
        // COPY has an answer of another kind.
        if step.starts_with("COPY") {
            continue;
        }
        if !story.ask(&step).await {
            return None;
        }
    }
    let step = read(make, &name, &columns);
    if !story.ask(&step).await {
        return None;
    }
    let people = reads_people(&query);
    if begun && make.chance(0.5) {
        story.ask("COMMIT").await;
        if !end.is_empty() {
            return None;
        }
        let step = read(make, &name, &columns);
        if !story.ask(&step).await {
            return None;
        }
    }
    people.then_some(name)
}

fn read(make: &mut Generator, name: &str, columns: &[(String, Ty)]) -> String {
    let plain: Vec<(&str, Ty)> = columns.iter().map(|(name, ty)| (name.as_str(), *ty)).collect();
    make.alone("x", &plain);
    let condition = make.expr(Ty::Bool, 2);
    match make.rng.random_range(0..4) {
        0 => format!("SELECT x.* FROM {name} AS x"),
        1 => format!("SELECT count(*) FROM {name} AS x WHERE {condition}"),
        2 => format!("SELECT x.*, c.city FROM {name} AS x LEFT JOIN customers c ON c.id = 1 WHERE {condition}"),
        _ => format!("SELECT * FROM {name} AS x WHERE {condition}"),
    }
}

/// A temporary table in the place of a permanent one: whatever is asked means it, and after it is gone the permanent one.
async fn shadowing(story: &mut Story<'_>, make: &mut Generator, purpose: &Purpose) -> Option<String> {
    let (table, condition) = SHADOWED[make.rng.random_range(0..SHADOWED.len())];
    let begun = make.chance(0.6);
    if begun {
        story.ask("BEGIN").await;
    }
    if !story.ask(&format!("CREATE TEMP TABLE {table} AS SELECT * FROM {table} WHERE {condition}")).await {
        return None;
    }
    for more in 0..3 {
        let statement = Generator::new(story.seed * 10 + more, purpose.letter, false).statement();
        if statement.sql.contains(" FOR ") || !story.ask(&statement.sql).await && begun {
            return None;
        }
    }
    if make.chance(0.5) {
        let gone = if begun { "ROLLBACK".to_owned() } else { format!("DROP TABLE {table}") };
        story.ask(&gone).await;
        story.ask(&format!("SELECT count(*) FROM {table}")).await;
        return None;
    }
    (table != "products").then(|| format!("pg_temp.{table}"))
}

/// Views and tables that a transaction makes and takes back.
async fn structure(story: &mut Story<'_>, make: &mut Generator) {
    let Some((query, types)) = make.filling() else { return };
    let columns = columns(&types);
    let list: Vec<&str> = columns.iter().map(|(name, _)| name.as_str()).collect();
    let list = list.join(", ");
    story.ask("BEGIN").await;
    let what = make.one_of(&["VIEW", "TEMP VIEW", "TABLE", "VIEW"]).to_owned();
    if !story.ask(&format!("CREATE {what} made ({list}) AS {query}")).await {
        return;
    }
    for _ in 0..2 {
        let step = read(make, "made", &columns);
        if !story.ask(&step).await {
            return;
        }
    }
    if what == "TABLE" && story.ask("ALTER TABLE made RENAME TO other").await {
        let step = read(make, "other", &columns);
        story.ask(&step).await;
    }
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
    let mut counts = Counts::default();
    let mut stories = 0;
    runtime.block_on(async {
        let mut both = sides(cluster, proxy, purpose).await;
        let builder = Purpose { login: "builder", ..*purpose };
        let mut building = sides(cluster, proxy, &builder).await;
        while share.lasts(stories) && counts.wrong.len() < 8 {
            let seed = start * 1_000_000 + stories as u64;
            let mut make = Generator::new(seed, purpose.letter, false);
            let with_structure = purpose.letter == 's' && seed % 3 == 2;
            let sides = if with_structure { &building } else { &both };
            let mut story = Story { sides, counts: &mut counts, seed, said: Vec::new() };
            let kept = match seed % 3 {
                2 if with_structure => {
                    structure(&mut story, &mut make).await;
                    None
                }
                1 => shadowing(&mut story, &mut make, purpose).await,
                _ => filled(&mut story, &mut make).await,
            };
            if let Some(kept) = kept {
                let sql = format!("SELECT * FROM {kept}");
                story.closed(&sql).await;
            }
            for side in [&sides.proxied, &sides.copy] {
                for end in ["ROLLBACK", "DISCARD ALL", "SET statement_timeout = '4s'"] {
                    simple(side, end).await;
                }
            }
            if both.proxied.is_closed() || building.proxied.is_closed() {
                counts.wrong.push(format!("seed {seed}: the session ended"));
                both = self::sides(cluster, proxy, purpose).await;
                building = self::sides(cluster, proxy, &builder).await;
            }
            stories += 1;
        }
    });
    println!(
        "{}: {stories} stories of temporary tables and structure, {} statements, {} the same ({} rows), {} answered by neither, {} closed to another purpose, {} not answered, {} different",
        purpose.login,
        counts.asked,
        counts.same,
        counts.rows,
        counts.neither,
        counts.closed,
        counts.refused.values().sum::<usize>(),
        counts.wrong.len()
    );
    for (reason, count) in &counts.refused {
        println!("  not answered: {count} × {reason}");
    }
    if stories > 40 && counts.closed < stories / 20 {
        counts.wrong.push(format!("{}: of {stories} stories {} ended in a refusal", purpose.login, counts.closed));
    }
    counts.wrong
}
