//! Every claim of `docs/threat-model.md` names the test that holds it, and each of those exists.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout)]

use std::fs;
use std::path::Path;

/// What stands between backticks and begins with a folder of tests or sources.
fn references(line: &str) -> Vec<&str> {
    let spans = line.split('`').skip(1).step_by(2);
    spans.filter(|span| span.starts_with("tests/") || span.starts_with("src/")).collect()
}

/// `file::function`, `file "case of a catalogue"`, or a file alone.
fn exists(reference: &str) -> bool {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (file, within) = match (reference.split_once("::"), reference.split_once(" \"")) {
        (Some((file, function)), _) => (file, vec![format!("fn {function}(")]),
        (None, Some((file, case))) => {
            let case = case.trim_end_matches('"');
            (file, vec![format!("[\"{case}\", "), format!("name = \"{case}\"\n")])
        }
        (None, None) => (reference, Vec::new()),
    };
    let Ok(text) = fs::read_to_string(root.join(file)) else { return false };
    within.is_empty() || within.iter().any(|wanted| text.contains(wanted))
}

#[test]
fn every_claim_of_the_threat_model_names_tests_that_exist() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/threat-model.md");
    let text = fs::read_to_string(path).unwrap();
    let rows = text.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| ---"));
    let claims: Vec<&str> = rows.filter(|row| !row.starts_with("| claim |") && !row.starts_with("| hole |")).collect();
    let unheld: Vec<&&str> = claims.iter().filter(|row| references(row).is_empty()).collect();
    assert!(unheld.is_empty(), "claims without a test: {unheld:#?}");
    let named: Vec<&str> = text.lines().flat_map(references).collect();
    let missing: Vec<&&str> = named.iter().filter(|reference| !exists(reference)).collect();
    assert!(missing.is_empty(), "tests that do not exist: {missing:#?}");
    println!("{} claims name {} tests", claims.len(), named.len());
    assert!(claims.len() > 25, "the tables are not read any more");
}
