//! Verdicts of people, kept from one scan to the next: `scan.toml`. No value of the database stands in it.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::findings::Judged;
use super::judge::Verdict;
use super::kind::Kind;

/// The file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeptError {
    /// It cannot be read or written.
    #[error("`{0}`: {1}")]
    Io(String, std::io::Error),
    /// It has not the form.
    #[error("`{0}`: {1}")]
    Form(String, String),
}

/// What somebody decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It is of that category.
    Confirmed,
    /// It is nothing personal.
    Dismissed,
}

/// One column's verdict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeptVerdict {
    /// `schema.table.column`.
    pub column: String,
    /// What was decided.
    pub verdict: Outcome,
    /// The category, of what was confirmed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// Who decided.
    pub by: String,
    /// The day.
    pub when: String,
    /// The reason.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub why: String,
    /// What the scan itself said then: a category and how sure, or `nothing`.
    pub seen: String,
}

/// The file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kept {
    /// In the order in which they were decided.
    #[serde(default, rename = "verdicts")]
    pub verdicts: Vec<KeptVerdict>,
}

impl Kept {
    /// Reads the file; one that is not there holds nothing.
    ///
    /// # Errors
    /// It cannot be read, or has not the form.
    pub fn load(path: &Path) -> Result<Self, KeptError> {
        let file = path.display().to_string();
        match std::fs::read_to_string(path) {
            Ok(text) => {
                let kept: Self =
                    toml::from_str(&text).map_err(|error| KeptError::Form(file.clone(), error.to_string()))?;
                let unknown = kept
                    .verdicts
                    .iter()
                    .find(|verdict| verdict.verdict == Outcome::Confirmed && verdict.category.is_none());
                match unknown {
                    Some(verdict) => {
                        Err(KeptError::Form(file, format!("`{}` is confirmed without a `category`", verdict.column)))
                    }
                    None => Ok(kept),
                }
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(KeptError::Io(file, error)),
        }
    }

    /// Writes the file whole, or leaves the old one.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), KeptError> {
        let file = path.display().to_string();
        let text = toml::to_string(self).map_err(|error| KeptError::Form(file.clone(), error.to_string()))?;
        let head = "# Verdicts on columns, kept from one `pgpurpose scan` to the next. No value of the database stands here.\n\n";
        let beside = path.with_extension("toml.new");
        std::fs::write(&beside, format!("{head}{text}"))
            .and_then(|()| std::fs::rename(&beside, path))
            .map_err(|error| KeptError::Io(file, error))
    }

    /// The verdict on a column: the last one.
    pub fn of(&self, column: &str) -> Option<&KeptVerdict> {
        self.verdicts.iter().rev().find(|kept| kept.column == column)
    }

    /// Puts the verdicts of people in the place of the scan's own; gives those whose evidence is another now, in words.
    pub fn apply(&self, judged: &mut [Judged]) -> Vec<String> {
        let mut changed = Vec::new();
        for table in judged {
            let name = table.name();
            let columns: Vec<String> =
                table.table.columns.iter().map(|column| format!("{name}.{}", column.name)).collect();
            for (column, verdict) in columns.iter().zip(&mut table.verdicts) {
                let Some(kept) = self.of(column) else { continue };
                let now = seen(verdict);
                if now != kept.seen {
                    changed.push(format!(
                        "`{column}` was {} by {} on {} when the scan saw {}; now it sees {now}",
                        outcome(kept),
                        kept.by,
                        kept.when,
                        kept.seen
                    ));
                }
                let evidence = format!("{} by {} on {}; {}", outcome(kept), kept.by, kept.when, verdict.evidence);
                *verdict = match kept.verdict {
                    Outcome::Confirmed => Verdict {
                        kind: kept
                            .category
                            .as_deref()
                            .and_then(Kind::of_category)
                            .or(verdict.kind)
                            .or(verdict.suggested),
                        confidence: 0.99,
                        evidence,
                        suggested: None,
                        paths: std::mem::take(&mut verdict.paths),
                    },
                    Outcome::Dismissed => Verdict::nothing(0.99, evidence, None),
                };
            }
        }
        changed
    }
}

fn outcome(kept: &KeptVerdict) -> String {
    match (kept.verdict, &kept.category) {
        (Outcome::Confirmed, Some(category)) => format!("confirmed as {category}"),
        (Outcome::Confirmed, None) => "confirmed".to_owned(),
        (Outcome::Dismissed, _) => "dismissed".to_owned(),
    }
}

/// What a scan says of a column in two words.
pub fn seen(verdict: &Verdict) -> String {
    match (verdict.kind, verdict.suggested) {
        (Some(kind), _) => format!("{} ({})", kind.category(), verdict.level().name()),
        (None, Some(kind)) => format!("nothing, by name {}", kind.category()),
        (None, None) => "nothing".to_owned(),
    }
}
