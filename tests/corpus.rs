//! Statements that real clients, ORMs and PostgreSQL's own tests send, through both parsers.
//!
//! Wants `../shared/corpus/*.jsonl` (one JSON string a line) beside the checkout, or the folder named in `PGPURPOSE_CORPUS`;
//! skips with a message where there is none. `PGPURPOSE_CORPUS_REFUSED=FILE` writes down what was refused.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, missing_docs)]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use pgpurpose::error::Stage;
use pgpurpose::sql;

/// The server that the corpus was recorded against.
const SERVER: u32 = 150_004;

#[derive(Default)]
struct Count {
    total: usize,
    agreed: usize,
    not_parsed: usize,
    two_ways: usize,
}

fn corpus() -> Option<PathBuf> {
    let folder = std::env::var_os("PGPURPOSE_CORPUS")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus"), PathBuf::from);
    let nearby = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpus");
    [folder, nearby].into_iter().find(|folder| folder.is_dir())
}

/// The kind of a statement that PostgreSQL's grammar reads; `None` where it reads none or several.
fn kind(statement: &str) -> Option<String> {
    let parsed = pg_raw_parse::parse(statement).ok()?;
    let mut statements = parsed.stmts();
    let (Some(one), None) = (statements.next(), statements.next()) else { return None };
    let mut name = Name(String::new());
    let _ = write!(name, "{one:?}");
    Some(name.0.trim_end_matches("Stmt").to_owned())
}

/// What is written up to the first parenthesis: the binding cannot write all of every node.
struct Name(String);

impl std::fmt::Write for Name {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        let (name, more) = text.split_once('(').map_or((text, false), |(name, _)| (name, true));
        self.0.push_str(name);
        if more { Err(std::fmt::Error) } else { Ok(()) }
    }
}

#[test]
fn statements_of_real_clients_are_read_by_both_parsers_alike() {
    let Some(folder) = corpus() else {
        println!("skipped: no corpus beside the checkout");
        return;
    };
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "jsonl"));
    files.sort();
    let mut refused = String::new();
    let mut table: BTreeMap<(String, String), Count> = BTreeMap::new();
    for path in files {
        let file = path.file_stem().unwrap().to_string_lossy().into_owned();
        let texts: Vec<String> =
            std::fs::read_to_string(&path).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let counted = sql::on_parser_stack(|| count(&file, &texts)).expect("nothing panics");
        refused.push_str(&counted.1);
        for (kind, count) in counted.0 {
            table.insert((file.clone(), kind), count);
        }
    }
    println!(
        "{:<16} {:<18} {:>7} {:>7} {:>10} {:>8} {:>8}",
        "file", "kind", "total", "agreed", "not parsed", "2 ways", "share"
    );
    for ((file, kind), count) in &table {
        let share = 100.0 * count.agreed as f64 / count.total as f64;
        println!(
            "{file:<16} {kind:<18} {:>7} {:>7} {:>10} {:>8} {share:>7.2}%",
            count.total, count.agreed, count.not_parsed, count.two_ways
        );
    }
    if let Some(path) = std::env::var_os("PGPURPOSE_CORPUS_REFUSED") {
        std::fs::write(path, refused).unwrap();
    }
    let mut short = Vec::new();
    for (file, least) in [
        ("django", 0.999),
        ("sqlalchemy", 0.999),
        ("clients_misc", 0.999),
        ("psql_catalog", 0.999),
        ("regress15", 0.985),
    ] {
        for kind in ["Select", "Insert", "Update", "Delete"] {
            let Some(count) = table.get(&(file.to_owned(), kind.to_owned())) else { continue };
            if (count.agreed as f64) < least * count.total as f64 {
                short.push(format!("{file} {kind}: {} of {}", count.agreed, count.total));
            }
        }
    }
    assert!(short.is_empty(), "too few agree: {short:?}");
}

fn count(file: &str, texts: &[String]) -> (BTreeMap<String, Count>, String) {
    let mut table: BTreeMap<String, Count> = BTreeMap::new();
    let mut refused = String::new();
    for text in texts {
        let statements = sql::split(text).unwrap_or_else(|_| vec![text.as_str()]);
        for statement in statements {
            let Some(kind) = kind(statement) else { continue };
            let count = table.entry(kind.clone()).or_default();
            count.total += 1;
            match sql::parse(statement, SERVER) {
                Ok(_) => count.agreed += 1,
                Err(refusal) => {
                    if refusal.stage == Stage::Witness {
                        count.two_ways += 1;
                    } else {
                        count.not_parsed += 1;
                    }
                    let line = serde_json::to_string(statement).unwrap();
                    writeln!(refused, "{file}\t{kind}\t{}\t{line}", refusal.message).unwrap();
                }
            }
        }
    }
    (table, refused)
}
