//! What a change of the policies opens and closes: `policy diff`, `check --against`.

use std::path::PathBuf;

use serde_json::json;

use super::output::{Output, Style, printable};
use crate::document::{Fault, Place};
use crate::policy::PolicySet;

/// Tells what differs from the older policies, openings first, and gives the number of openings.
pub(super) fn tell(old: &PolicySet, new: &PolicySet, named: &str, as_json: bool, output: &mut Output) -> usize {
    let changes = new.changes_since(old);
    for change in &changes {
        if as_json {
            output.line(json!({"change": if change.opens { "opens" } else { "closes" }, "text": change.text}));
            continue;
        }
        let (style, word) = if change.opens { (Style::Bad, "opens") } else { (Style::Good, "closes") };
        let line = format!("{} {}", output.styled(style, format!("{word:6}")), printable(&change.text));
        output.line(line);
    }
    let opened = changes.iter().filter(|change| change.opens).count();
    let summary = format!("against {named}: {opened} openings, {} closings", changes.len() - opened);
    if as_json {
        output.remark(summary)
    } else {
        output.line(summary)
    }
    opened
}

/// The policies in files, folders and what patterns of files name.
///
/// # Errors
/// Every fault; that there is no such file.
pub(super) fn load(named: &[String]) -> Result<PolicySet, Vec<Fault>> {
    PolicySet::load(&files(named)?)
}

/// The files that these names mean.
///
/// # Errors
/// That there is no such file.
pub(super) fn files(named: &[String]) -> Result<Vec<PathBuf>, Vec<Fault>> {
    let mut files = Vec::new();
    for pattern in named {
        let pattern = if PathBuf::from(pattern).is_dir() { format!("{pattern}/*.toml") } else { pattern.clone() };
        let fault = |message: String| vec![Fault::error(&Place::default(), message)];
        let found: Vec<PathBuf> = glob::glob(&pattern)
            .map_err(|error| fault(format!("`{pattern}` is no pattern of files: {error}")))?
            .filter_map(Result::ok)
            .collect();
        if found.is_empty() {
            return Err(fault(format!("`{pattern}`: there is no such file")));
        }
        files.extend(found);
    }
    Ok(files)
}
