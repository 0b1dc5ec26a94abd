//! What a scan says of columns given as JSON lines `{table, column, samples}`: JSON lines `{table, column, category, confidence, evidence}`,
//! as `score.py` of a labelled set reads them.
//!
//! ```text
//! cargo run --example yardstick -- columns.jsonl [--no-values] > predictions.jsonl
//! ```
#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;

use pgpurpose::scan::{Facts, Lexicon, Sample, judge_table};
use serde_json::{Value, json};

fn main() {
    let mut arguments = std::env::args().skip(1);
    let file = arguments.next().expect("a file of columns");
    let with_values = arguments.next().as_deref() != Some("--no-values");
    let mut tables: BTreeMap<String, Vec<Facts>> = BTreeMap::new();
    for line in
        std::fs::read_to_string(file).expect("the columns are read").lines().filter(|line| !line.trim().is_empty())
    {
        let column: Value = serde_json::from_str(line).expect("a JSON line");
        let text = |key: &str| column.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let values: Vec<String> = column
            .get("samples")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned))
            .collect();
        let sample = with_values.then_some(Sample { rows: values.len(), values, ..Sample::default() });
        tables.entry(text("table")).or_default().push(Facts {
            name: text("column"),
            type_sql: "text".to_owned(),
            comment: None,
            sample,
        });
    }
    let lexicon = Lexicon::built_in().expect("the program's own files are fine");
    for (table, columns) in &tables {
        for (facts, verdict) in columns.iter().zip(judge_table(table, columns, &lexicon)) {
            println!(
                "{}",
                json!({"table": table, "column": facts.name, "category": verdict.category(), "confidence": verdict.confidence, "evidence": verdict.evidence})
            );
        }
    }
}
