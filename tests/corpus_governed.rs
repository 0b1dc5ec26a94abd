//! Statements that real clients, ORMs and PostgreSQL's own tests send, over tables that are all governed and all open:
//! what PostgreSQL prepares as it stands must be answered, and the rewritten text must prepare to the same columns.
//!
//! Wants the same folder as `tests/corpus.rs`, and skips with a message where there is none.
//! `PGPURPOSE_CORPUS_REFUSED=FILE` writes down what was refused or came out otherwise.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing,
    clippy::string_slice,
    unreachable_pub,
    missing_docs
)]

#[path = "../fuzz/targets/forms.rs"]
mod forms;
mod support;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use pgpurpose::catalog::{Catalog, RelationKind, load_catalog};
use pgpurpose::policy::PolicySet;
use pgpurpose::sql::{Context, enforce, on_parser_stack};
use tokio_postgres::{Client, NoTls};

/// Files of statements over tables, with the least share in percent that must be answered.
const FILES: &[(&str, f64)] =
    &[("django", 99.0), ("sqlalchemy", 99.0), ("clients_misc", 97.0), ("psql_catalog", 96.0), ("regress15", 80.0)];

fn corpus() -> Option<PathBuf> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    std::env::var_os("PGPURPOSE_CORPUS")
        .map(PathBuf::from)
        .into_iter()
        .chain([root.join("../shared/corpus"), root.join("../../shared/corpus")])
        .find(|folder| folder.is_dir())
}

async fn connect(cluster: &pgpurpose::cluster::Cluster, database: &str) -> Client {
    let mut config = tokio_postgres::Config::new();
    config.host_path(cluster.socket_dir()).port(cluster.port()).user("postgres").dbname(database);
    let (client, connection) = config.connect(NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

fn first_word(text: &str) -> String {
    let word: String =
        text.trim_start_matches(['(', ' ', '\n', '\t']).chars().take_while(char::is_ascii_alphabetic).collect();
    word.to_ascii_lowercase()
}

/// Everything listed, every column open.
fn policy(catalog: &Catalog) -> String {
    let mut text = String::from("version = 1\nunlisted_tables = \"deny\"\n[categories.all]\n");
    let mut names = Vec::new();
    for relation in catalog.relations() {
        let schema = relation.name.schema.as_str();
        let kind = matches!(
            relation.kind,
            RelationKind::Table
                | RelationKind::PartitionedTable
                | RelationKind::View
                | RelationKind::MaterializedView
                | RelationKind::ForeignTable
                | RelationKind::Sequence
        );
        if !kind
            || relation.columns.is_empty()
            || schema == "pg_catalog"
            || schema == "information_schema"
            || schema == "pg_toast"
        {
            continue;
        }
        let key = toml::Value::String(relation.name.to_string()).to_string();
        writeln!(text, "[tables.{key}.columns]").unwrap();
        for column in &relation.columns {
            writeln!(text, "{} = \"all\"", toml::Value::String(column.name.clone())).unwrap();
        }
        names.push(key);
    }
    write!(
        text,
        "[purposes.all]\nbasis = \"contract\"\n[roles.postgres]\nlogins = [\"postgres\"]\npurposes = [\"all\"]\n\
         [[rules]]\nname = \"all\"\nroles = [\"postgres\"]\npurposes = [\"all\"]\nread = [\"all\"]\nwrite = [\"all\"]\ndelete = [{}]\n",
        names.join(", ")
    )
    .unwrap();
    text
}

#[derive(Default)]
struct Count {
    asked: usize,
    answered: usize,
    /// Decisions that hold for other constants too, and those that do not.
    shared: usize,
    pinned: usize,
}

async fn shape(client: &Client, text: &str) -> Result<Vec<(String, u32)>, String> {
    match client.prepare(text).await {
        Ok(statement) => {
            // A whole row of a derived table is a `record`, of a table its row type: the same in text.
            Ok(statement.columns().iter().map(|column| (column.name().to_owned(), column.type_().oid())).collect())
        }
        Err(error) => Err(error
            .as_db_error()
            .map_or_else(|| error.to_string(), |db| format!("{} {}", db.code().code(), db.message()))),
    }
}

#[test]
fn what_postgresql_prepares_is_answered_over_governed_tables() {
    let Some(folder) = corpus() else {
        println!("skipped: no corpus beside the checkout");
        return;
    };
    let cluster = support::own_cluster();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut notes = String::new();
    let mut short = Vec::new();
    println!("{:<16}{:<8}{:>9}{:>10}{:>9}{:>9}", "file", "kind", "prepared", "answered", "shared", "pinned");
    let (mut shared, mut pinned) = (0, 0);
    for (file, least) in FILES {
        let texts: Vec<String> = std::fs::read_to_string(folder.join(format!("{file}.jsonl")))
            .unwrap()
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let counts = runtime.block_on(run(&cluster, file, &texts, &mut notes));
        let (mut asked, mut answered) = (0, 0);
        for (kind, count) in counts {
            println!(
                "{file:<16}{kind:<8}{:>9}{:>10}{:>9}{:>9}",
                count.asked, count.answered, count.shared, count.pinned
            );
            shared += count.shared;
            pinned += count.pinned;
            asked += count.asked;
            answered += count.answered;
        }
        let share = 100.0 * answered as f64 / asked.max(1) as f64;
        if share < *least {
            short.push(format!("{file}: {share:.2} % answered, {least} % wanted"));
        }
    }
    if let Some(path) = std::env::var_os("PGPURPOSE_CORPUS_REFUSED") {
        std::fs::write(path, notes).unwrap();
    }
    assert!(short.is_empty(), "{}", short.join("\n"));
    assert!(pinned * 4 < shared, "{shared} decisions hold for other constants, {pinned} do not");
}

async fn run(
    cluster: &pgpurpose::cluster::Cluster,
    file: &str,
    texts: &[String],
    notes: &mut String,
) -> BTreeMap<String, Count> {
    let admin = connect(cluster, "postgres").await;
    admin.batch_execute(&format!("CREATE DATABASE corpus_{file}")).await.unwrap();
    let mut client = connect(cluster, &format!("corpus_{file}")).await;
    client.batch_execute("SET statement_timeout = '5s'").await.unwrap();
    for text in texts {
        let lower = text.to_ascii_lowercase();
        // Casts and operator classes in SQL for PostgreSQL's own types close every statement until a policy opens them:
        // `tests/implied.rs` is about those.
        let anywhere = ["create cast", "create operator class", "alter operator family"];
        let makes = first_word(text) == "create"
            && !lower.contains("subscription")
            && !lower.contains("database")
            && !anywhere.iter().any(|start| lower.starts_with(start))
            || lower.starts_with("alter table") && lower.contains("add column");
        if makes {
            let _ = client.simple_query(text).await;
        }
    }
    let catalog = load_catalog(&mut client, 1).await.unwrap();
    let policies =
        PolicySet::from_sources(&[("all.toml".to_owned(), policy(&catalog))]).unwrap_or_else(|f| panic!("{f:#?}"));
    let search_path = vec!["public".to_owned()];
    // Of every fifth statement the constants are exchanged, of all with `PGPURPOSE_CORPUS_FORMS=1`.
    let every = std::env::var("PGPURPOSE_CORPUS_FORMS").ok().and_then(|every| every.parse().ok()).unwrap_or(5);
    let mut counts: BTreeMap<String, Count> = BTreeMap::new();
    for text in texts {
        let kind = first_word(text);
        if !matches!(kind.as_str(), "select" | "insert" | "update" | "delete" | "with" | "values" | "table") {
            continue;
        }
        let Ok(asked) = shape(&client, text).await else { continue };
        let count = counts.entry(kind).or_default();
        count.asked += 1;
        let context =
            Context::new(&catalog, &policies, "postgres", "all", &search_path, jiff::civil::date(2026, 11, 22));
        let turn = u8::try_from(count.asked % 251).unwrap_or(0);
        let choice: Vec<u8> = (0..23_u8).map(|at| at.wrapping_mul(89).wrapping_add(turn)).collect();
        let came = if count.asked.is_multiple_of(every) {
            on_parser_stack(|| forms::exchanged(text, &context, &choice)).expect("as from nothing")
        } else {
            forms::Came::Nothing
        };
        match came {
            forms::Came::Nothing => {}
            forms::Came::Shared => count.shared += 1,
            forms::Came::Pinned => {
                count.pinned += 1;
                writeln!(notes, "{file}\tpinned\t{}", text.replace('\n', " ")).unwrap();
            }
        }
        let outcome = on_parser_stack(|| enforce(text, &context)).unwrap();
        match outcome {
            Err(refused) => {
                let refusal = &refused.refusal;
                writeln!(
                    notes,
                    "{file}\trefused {:?} {} {}\t{}",
                    refusal.stage,
                    refusal.sqlstate,
                    refusal.message,
                    text.replace('\n', " ")
                )
                .unwrap();
            }
            Ok(enforced) => match shape(&client, enforced.text()).await {
                Err(error) => {
                    writeln!(notes, "{file}\tfails: {error}\t{}\t{}", text.replace('\n', " "), enforced.text()).unwrap()
                }
                Ok(got) if got.len() != asked.len() || got.iter().zip(&asked).any(|(g, a)| g.0 != a.0) => {
                    writeln!(notes, "{file}\tcolumns differ\t{}\t{}", text.replace('\n', " "), enforced.text())
                        .unwrap();
                }
                Ok(_) => count.answered += 1,
            },
        }
    }
    counts
}
