//! `check --against`: what a change of the policies opens and closes.

use std::path::PathBuf;

use super::super::output::{Output, Style, printable};
use crate::document::{Fault, Place};
use crate::policy::PolicySet;

/// Tells the changes since the policies in these files, openings first, and gives the number of openings.
///
/// # Errors
/// The older policies cannot be read.
pub(super) fn run(old: &[String], policies: &PolicySet, output: &mut Output) -> Result<usize, Vec<Fault>> {
    if old.is_empty() {
        return Ok(0);
    }
    let changes = policies.changes_since(&PolicySet::load(&files(old)?)?);
    for change in &changes {
        let (style, word) = if change.opens { (Style::Bad, "opens") } else { (Style::Good, "closes") };
        let line = format!("{} {}", output.styled(style, format!("{word:6}")), printable(&change.text));
        output.line(line);
    }
    let opened = changes.iter().filter(|change| change.opens).count();
    output.line(format_args!("against {}: {opened} openings, {} closings", old.join(" "), changes.len() - opened));
    Ok(opened)
}

fn files(old: &[String]) -> Result<Vec<PathBuf>, Vec<Fault>> {
    let mut files = Vec::new();
    for pattern in old {
        let pattern = if PathBuf::from(pattern).is_dir() { format!("{pattern}/*.toml") } else { pattern.clone() };
        let fault = |message: String| vec![Fault::error(&Place::default(), message)];
        let found: Vec<PathBuf> = glob::glob(&pattern)
            .map_err(|error| fault(format!("`{pattern}` is no pattern of files: {error}")))?
            .filter_map(Result::ok)
            .collect();
        if found.is_empty() {
            return Err(fault(format!("`--against {pattern}`: there is no such file")));
        }
        files.extend(found);
    }
    Ok(files)
}
