//! Temporary tables and structure that a transaction makes: filled from governed queries, changed, renamed, in the place of a permanent name,
//! taken back, and read again, they hold what a database with nothing else in it would hold. For another purpose they are closed.

use std::collections::BTreeMap;

use pgpurpose::cluster::Cluster;
use rand::RngExt;
use tokio::runtime::Runtime;

use super::answer::{Answer, copied, difference, simple};
use super::changes;
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
pub(super) struct Story<'a> {
    sides: &'a Sides,
    counts: &'a mut Counts,
    pub(super) seed: u64,
    said: Vec<String>,
}

impl Story<'_> {
    /// Asks both sides; whether both did it.
    pub(super) async fn ask(&mut self, sql: &str) -> bool {
        let (copy, proxied) = (&self.sides.copy, &self.sides.proxied);
        let (expected, got) = match sql.starts_with("COPY ") {
            true => tokio::join!(copied(copy, sql), copied(proxied, sql)),
            false => tokio::join!(simple(copy, sql), simple(proxied, sql)),
        };
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
            // What fails for a value that the copy does not hold tells of it.
            (Answer::Rows { .. }, Answer::Failed { code, message })
                if code.starts_with("22") || code.starts_with("23") =>
            {
                self.wrong(&format!("failed by {code} {message}, though the copy did not"));
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

/// A temporary table as it is at one moment.
#[derive(Debug, Clone)]
struct Kept {
    name: String,
    columns: Vec<(String, Ty)>,
    /// Whether it may hold rows of somebody.
    people: bool,
    /// What it is called when another purpose asks for it.
    views: Vec<String>,
}

impl Kept {
    fn list(&self) -> String {
        let list: Vec<&str> = self.columns.iter().map(|(name, _)| name.as_str()).collect();
        list.join(", ")
    }

    fn column_of(&self, make: &mut Generator, ty: Ty) -> Option<String> {
        let names: Vec<&str> = self.columns.iter().filter(|(_, of)| *of == ty).map(|(name, _)| name.as_str()).collect();
        (!names.is_empty()).then(|| make.one_of(&names).to_owned())
    }
}

/// What becomes of it at COMMIT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Stays,
    Emptied,
    Dropped,
}

/// Makes a temporary table of a query's rows, by one of the ways in which one is made.
async fn made(story: &mut Story<'_>, make: &mut Generator, begun: bool) -> Option<(Kept, End)> {
    if make.chance(0.15) {
        return like_a_permanent_one(story, make).await.map(|kept| (kept, End::Stays));
    }
    let (query, types) = make.filling()?;
    let name = make.one_of(&["kept", "\"Kept too\"", "pg_temp.kept"]).to_owned();
    let kept = Kept { name, columns: columns(&types), people: reads_people(&query), views: Vec::new() };
    let (name, list) = (kept.name.as_str(), kept.list());
    let temp = if name.starts_with("pg_temp") { "" } else { "TEMP " };
    let end = match make.rng.random_range(0..10) {
        0 if begun && !temp.is_empty() => End::Dropped,
        1 if begun && !temp.is_empty() => End::Emptied,
        _ => End::Stays,
    };
    let on_commit = match end {
        End::Dropped => " ON COMMIT DROP",
        End::Emptied => " ON COMMIT DELETE ROWS",
        End::Stays if !temp.is_empty() && make.chance(0.1) => " ON COMMIT PRESERVE ROWS",
        End::Stays => "",
    };
    let into = format!("INSERT INTO {name} ({list}) {query}");
    let steps = match make.rng.random_range(0..8) {
        0 => vec![format!("CREATE {temp}TABLE {name} ({list}){on_commit} AS {query} WITH DATA")],
        1 if on_commit.is_empty() => {
            vec![format!(
                "SELECT q.* INTO {}{name} FROM ({query}) AS q ({list})",
                if temp.is_empty() { "" } else { "TEMPORARY " }
            )]
        }
        2 => vec![format!("CREATE {temp}TABLE {name} ({list}){on_commit} AS {query} WITH NO DATA"), into],
        3 => vec![
            format!("CREATE TEMP TABLE shape ({list}) AS {query} WITH NO DATA"),
            format!("CREATE {temp}TABLE {name} (LIKE shape INCLUDING ALL){on_commit}"),
            into,
        ],
        4 => vec![
            format!("CREATE {temp}TABLE {name} ({list}){on_commit} AS {query} WITH NO DATA"),
            format!("PREPARE fills AS {into}"),
            "EXECUTE fills".to_owned(),
        ],
        _ => vec![format!("CREATE {temp}TABLE {name} ({list}){on_commit} AS {query}")],
    };
    for step in steps {
        if !story.ask(&step).await {
            return None;
        }
        // Without a transaction what the commands above made is emptied by now.
    }
    Some((kept, end))
}

/// A temporary table by the columns of a permanent one, of which both sides have all.
async fn like_a_permanent_one(story: &mut Story<'_>, make: &mut Generator) -> Option<Kept> {
    let note: &[(&str, Ty)] = &[("note_id", Ty::Int), ("customer_id", Ty::Int), ("label", Ty::Text), ("n", Ty::Int)];
    let order: &[(&str, Ty)] =
        &[("order_id", Ty::Int), ("customer_id", Ty::Int), ("total", Ty::Num), ("closed", Ty::Date)];
    let (table, columns) = if make.chance(0.5) { ("notes", note) } else { ("archive.orders", order) };
    let how = make.one_of(&["", " INCLUDING DEFAULTS", " INCLUDING ALL"]).to_owned();
    let columns = columns.iter().map(|(name, ty)| ((*name).to_owned(), *ty)).collect();
    let kept = Kept { name: "kept".to_owned(), columns, people: true, views: Vec::new() };
    make.alone("x", &kept.columns.iter().map(|(name, ty)| (name.as_str(), *ty)).collect::<Vec<_>>());
    let condition = make.expr(Ty::Bool, 2);
    for step in [
        format!("CREATE TEMP TABLE kept (LIKE {table}{how})"),
        format!("INSERT INTO kept SELECT * FROM {table} AS x WHERE {condition}"),
    ] {
        if !story.ask(&step).await {
            return None;
        }
    }
    Some(kept)
}

/// One thing that is done to the table, and how it is then; `None` where that does not fit.
fn step(make: &mut Generator, kept: &Kept, number: usize, begun: bool) -> Option<(Vec<String>, Kept)> {
    let mut then = kept.clone();
    let (name, list) = (kept.name.as_str(), kept.list());
    let at = make.rng.random_range(0..kept.columns.len());
    let (column, ty) = kept.columns[at].clone();
    let plain: Vec<(&str, Ty)> = kept.columns.iter().map(|(name, ty)| (name.as_str(), *ty)).collect();
    make.alone("x", &plain);
    let sql = match make.rng.random_range(0..25) {
        0 => {
            let new = format!("more{number}");
            then.columns.push((new.clone(), Ty::Int));
            format!("ALTER TABLE {name} ADD COLUMN {new} int DEFAULT 7")
        }
        1 => {
            let new = format!("called{number}");
            then.columns[at].0.clone_from(&new);
            format!("ALTER TABLE {name} RENAME COLUMN {column} TO {new}")
        }
        2 => {
            then.name = format!("moved{number}");
            format!("ALTER TABLE {name} RENAME TO {}", then.name)
        }
        3 => format!("INSERT INTO {name} ({list}) SELECT {list} FROM {name}"),
        4 => format!("UPDATE {name} SET {column} = NULL"),
        5 => format!("CREATE INDEX ON {name} ({column})"),
        6 => {
            then.views.push(format!("seen{number}"));
            format!("CREATE TEMP VIEW seen{number} AS SELECT * FROM {name}")
        }
        7 => format!("ANALYZE {name}"),
        8 => format!("COPY {name} TO STDOUT"),
        9 => {
            then.views.push(format!("again{number}"));
            format!("CREATE TEMP TABLE again{number} AS TABLE {name}")
        }
        10 if kept.columns.len() > 1 => {
            then.columns.remove(at);
            format!("ALTER TABLE {name} DROP COLUMN {column}")
        }
        11 if ty == Ty::Int => {
            then.columns[at].1 = Ty::Num;
            format!("ALTER TABLE {name} ALTER COLUMN {column} TYPE numeric")
        }
        12 if ty == Ty::Text => format!("ALTER TABLE {name} ALTER {column} TYPE text USING left({column}, 3) || 'x'"),
        13 => format!("ALTER TABLE {name} ALTER {column} SET DEFAULT NULL"),
        14 => format!("INSERT INTO {name} DEFAULT VALUES"),
        15 => {
            let (column, from) = match (kept.column_of(make, Ty::Text), kept.column_of(make, Ty::Int)) {
                (Some(column), _) => (column, make.one_of(&["full_name", "email", "city", "lower(email)"])),
                (None, Some(column)) => (column, make.one_of(&["points", "id", "length(full_name)"])),
                (None, None) => return None,
            };
            then.people = true;
            format!("INSERT INTO {name} ({column}) SELECT {from} FROM customers WHERE id < 9")
        }
        16 => {
            let column = kept.column_of(make, Ty::Text)?;
            then.people = true;
            let from = make.one_of(&["c.full_name", "c.email", "c.email || c.city"]).to_owned();
            format!("UPDATE {name} AS x SET {column} = {from} FROM customers AS c WHERE c.id = 7")
        }
        17 => format!("DELETE FROM {name} AS x WHERE {}", make.expr(Ty::Bool, 2)),
        18 => format!(
            "ALTER TABLE {name} ADD COLUMN made{number} text GENERATED ALWAYS AS (upper({})) STORED",
            kept.column_of(make, Ty::Text)?
        ),
        19 => format!("CREATE INDEX ON {name} ((lower({})))", kept.column_of(make, Ty::Text)?),
        20 => {
            let query = read(make, name, &kept.columns);
            return Some((vec![format!("PREPARE asks{number} AS {query}"), format!("EXECUTE asks{number}")], then));
        }
        21 if begun => {
            let query = read(make, name, &kept.columns);
            let cursor = vec![format!("DECLARE c{number} CURSOR FOR {query}"), format!("FETCH ALL FROM c{number}")];
            return Some((cursor, then));
        }
        22 => format!("COPY ({}) TO STDOUT", read(make, name, &kept.columns)),
        _ => read(make, name, &kept.columns),
    };
    Some((vec![sql], then))
}

/// A table of a query's rows, what is done to it, and what is read of it then: what another purpose must not get.
async fn filled(story: &mut Story<'_>, make: &mut Generator) -> Option<String> {
    let begun = make.chance(0.7);
    if begun {
        story.ask("BEGIN").await;
    }
    let (mut kept, end) = made(story, make, begun).await?;
    let mut marks: Vec<Kept> = Vec::new();
    for number in 0..make.rng.random_range(1..6) {
        if begun && make.chance(0.15) {
            story.ask("SAVEPOINT s").await;
            marks.push(kept.clone());
        }
        if make.chance(0.1)
            && let Some(then) = marks.last().cloned()
        {
            story.ask("ROLLBACK TO s").await;
            // Whose rows it held is not forgotten.
            kept = Kept { people: kept.people && then.people, ..then };
        }
        let Some((steps, then)) = step(make, &kept, number, begun) else { continue };
        for step in steps {
            if !story.ask(&step).await {
                return None;
            }
        }
        kept = then;
    }
    let query = read(make, &kept.name, &kept.columns);
    if !story.ask(&query).await {
        return None;
    }
    if begun && make.chance(0.5) {
        story.ask("COMMIT").await;
        if end == End::Dropped {
            return None;
        }
        let query = read(make, &kept.name, &kept.columns);
        if !story.ask(&query).await || end == End::Emptied {
            return None;
        }
    }
    if !kept.people {
        return None;
    }
    let views: Vec<&str> = kept.views.iter().map(String::as_str).chain([kept.name.as_str()]).collect();
    Some(make.one_of(&views).to_owned())
}

/// What another purpose asks of it.
fn asked_for_another(make: &mut Generator, name: &str) -> String {
    match make.rng.random_range(0..9) {
        0 => format!("SELECT count(*) FROM {name}"),
        1 => format!("TABLE {name}"),
        2 => format!("COPY {name} TO STDOUT"),
        3 => format!("CREATE TEMP TABLE taken AS SELECT * FROM {name}"),
        4 => format!("CREATE TEMP VIEW taken AS SELECT * FROM {name}"),
        5 => format!("SELECT 1 FROM products WHERE EXISTS (SELECT FROM {name})"),
        6 => format!("EXPLAIN ANALYZE SELECT * FROM {name}"),
        7 => format!("PREPARE taken AS SELECT x FROM {name} AS x"),
        _ => format!("SELECT * FROM {name}"),
    }
}

pub(super) fn read(make: &mut Generator, name: &str, columns: &[(String, Ty)]) -> String {
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
            let with_changes = with_structure && seed.is_multiple_of(2);
            let sides = if with_structure { &building } else { &both };
            let mut story = Story { sides, counts: &mut counts, seed, said: Vec::new() };
            let kept = match seed % 3 {
                2 if with_changes => {
                    changes::story(&mut story, &mut make, purpose).await;
                    None
                }
                2 if with_structure => {
                    structure(&mut story, &mut make).await;
                    None
                }
                1 => shadowing(&mut story, &mut make, purpose).await,
                _ => filled(&mut story, &mut make).await,
            };
            if let Some(kept) = kept {
                let sql = asked_for_another(&mut make, &kept);
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
