//! What a scan found, table by table.

use serde_json::{Value, json};

use super::judge::Verdict;
use super::structure::{Column, Table};
use crate::catalog::RelationName;

/// A table and what its columns are taken for.
#[derive(Debug, Clone, PartialEq)]
pub struct Judged {
    /// The table.
    pub table: Table,
    /// A verdict for each of its columns.
    pub verdicts: Vec<Verdict>,
    /// Why its rows were not looked at, where they should have been.
    pub skipped: Option<String>,
}

impl Judged {
    /// Columns with their verdicts.
    pub fn columns(&self) -> impl Iterator<Item = (&Column, &Verdict)> {
        self.table.columns.iter().zip(&self.verdicts)
    }

    /// `schema.table`, as policies write it.
    pub fn name(&self) -> String {
        RelationName::new(&*self.table.schema, &*self.table.name).to_string()
    }

    /// Whether a column holds, or by its name may hold, something personal.
    pub fn is_personal(&self) -> bool {
        self.verdicts.iter().any(|verdict| verdict.kind.is_some() || verdict.suggested.is_some())
    }

    /// A JSON object a column.
    pub fn json(&self) -> impl Iterator<Item = Value> {
        self.columns().map(|(column, verdict)| {
            let mut line = json!({
                "schema": self.table.schema,
                "table": self.table.name,
                "column": column.name,
                "category": verdict.category(),
                "confidence": verdict.confidence,
                "evidence": verdict.evidence,
                "level": verdict.level().name(),
                "type": column.type_sql,
            });
            if let Some(object) = line.as_object_mut() {
                if let Some(suggested) = verdict.suggested {
                    object.insert("suggested".to_owned(), json!(suggested.category()));
                }
                if verdict.kind.is_some_and(super::Kind::is_special) {
                    object.insert("special".to_owned(), json!(true));
                }
                if !verdict.paths.is_empty() {
                    let paths: Vec<Value> = verdict
                        .paths
                        .iter()
                        .map(|(path, kind)| json!({"path": path, "category": kind.category()}))
                        .collect();
                    object.insert("paths".to_owned(), Value::Array(paths));
                }
            }
            line
        })
    }
}
