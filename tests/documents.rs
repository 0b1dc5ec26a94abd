//! What the documentation says of tests is true: each that it names is there.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    missing_docs
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

/// Names of all functions that are tests, in `tests` and `src`.
fn tests() -> BTreeSet<String> {
    fn walk(folder: &Path, found: &mut BTreeSet<String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                let mut is_test = false;
                for line in text.lines().map(str::trim) {
                    if line == "#[test]" || line.starts_with("#[tokio::test") {
                        is_test = true;
                    } else if let Some(rest) = line.strip_prefix("async ").unwrap_or(line).strip_prefix("fn ") {
                        if is_test {
                            found.extend(rest.split('(').next().map(str::to_owned));
                        }
                        is_test = false;
                    }
                }
            }
        }
    }
    let mut found = BTreeSet::new();
    walk(Path::new("tests"), &mut found);
    walk(Path::new("src"), &mut found);
    found
}

/// The names between backticks of a column of the page's table.
fn named(page: &str, column: &str) -> Vec<(String, Vec<String>)> {
    let text = fs::read_to_string(page).unwrap();
    let cells = |line: &str| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect::<Vec<_>>();
    let mut rows = text.lines().filter(|line| line.starts_with('|')).map(cells);
    let heading = rows.next().unwrap();
    let at = heading.iter().position(|cell| cell == column).unwrap_or_else(|| panic!("{page} has no column {column}"));
    rows.skip(1)
        .map(|row| {
            let names = row[at].split('`').skip(1).step_by(2).map(str::to_owned).collect();
            (row[0].clone(), names)
        })
        .collect()
}

#[test]
fn the_ten_principles_name_tests_that_are_there() {
    let tests = tests();
    let rows = named("docs/ten-principles.md", "shown by");
    assert_eq!(rows.len(), 10);
    for (principle, names) in rows {
        assert!(!names.is_empty(), "{principle} names no test");
        for name in names {
            assert!(tests.contains(&name), "{principle}: there is no test `{name}`");
        }
    }
}

#[test]
fn the_sample_policies_load_and_pass_their_own_tests() {
    for name in ["shop", "clinic/clinic", "lender/lender", "employer"] {
        let policy = format!("policies/{name}.toml");
        let own = fs::read_to_string(&policy).unwrap().matches("[[tests]]").count();
        assert!(own >= 12, "{policy} has {own} tests");
        let checked =
            Command::new(env!("CARGO_BIN_EXE_pgpurpose")).args(["check", "--policy", &policy]).output().unwrap();
        let said = format!("{}{}", String::from_utf8_lossy(&checked.stdout), String::from_utf8_lossy(&checked.stderr));
        assert!(checked.status.success(), "{policy}: {said}");
        // Columns that stay closed are meant to.
        let mut warnings = said.lines().filter(|line| line.contains("warning") && !line.contains("no rule opens"));
        assert_eq!(warnings.next(), None, "{policy}: {said}");
    }
}

/// An employer has customers, patients or borrowers too: its policy uses no name of theirs.
#[test]
fn the_employers_policy_loads_beside_each_of_the_others() {
    let own = |name: &str| fs::read_to_string(format!("policies/{name}.toml")).unwrap().matches("[[tests]]").count();
    for name in ["shop", "clinic/clinic", "lender/lender"] {
        let other = format!("policies/{name}.toml");
        let checked = Command::new(env!("CARGO_BIN_EXE_pgpurpose"))
            .args(["check", "--offline", "--policy", &other, "--policy", "policies/employer.toml"])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&checked.stdout);
        assert!(checked.status.success(), "{name}: {said}");
        assert!(said.contains(&format!("{} tests", own(name) + own("employer"))), "{name}: {said}");
    }
}

/// `--policy 'policies/*.toml'` is what `--help` and the documentation print.
#[test]
fn the_sample_policies_in_one_folder_load_together() {
    let all = ["check", "--offline", "--policy", "policies/*.toml"];
    let checked = Command::new(env!("CARGO_BIN_EXE_pgpurpose")).args(all).output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&checked.stdout), String::from_utf8_lossy(&checked.stderr));
    assert!(checked.status.success() && said.contains("passed: "), "{said}");
}

/// The keys that readers of TOML take.
fn keys(files: &[&str]) -> BTreeSet<String> {
    const OPENERS: &[&str] = &[
        ".string(\"",
        ".strings(\"",
        ".boolean(\"",
        ".integer(\"",
        ".date(\"",
        ".section(\"",
        ".sections(\"",
        ".take(\"",
        "section,\"",
        "top,\"",
        "number(\"",
    ];
    let mut found = BTreeSet::new();
    for file in files {
        let text: String = fs::read_to_string(file).unwrap().split_whitespace().collect();
        for opener in OPENERS {
            for (at, _) in text.match_indices(opener) {
                let rest = &text[at + opener.len()..];
                let key: String = rest.chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect();
                if !key.is_empty() && rest[key.len()..].starts_with('"') {
                    found.insert(key);
                }
            }
        }
    }
    found
}

#[test]
fn every_key_of_policies_and_configuration_is_documented() {
    let policies: &[&str] = &["src/policy/read/source.rs", "src/policy/read/source/purpose.rs"];
    let configuration: &[&str] = &["src/config/read.rs", "src/config/audit.rs", "src/config/auth.rs"];
    for (page, files, least) in [("docs/policies.md", policies, 60), ("docs/configuration.md", configuration, 40)] {
        // The reference, or the page about the matter that it leads to.
        let pages = fs::read_dir("docs").unwrap().map(|entry| entry.unwrap().path());
        let text: String = pages.filter(|path| path.is_file()).map(|path| fs::read_to_string(path).unwrap()).collect();
        let words: BTreeSet<&str> = text.split(|c: char| !(c.is_ascii_lowercase() || c == '_')).collect();
        let keys = keys(files);
        assert!(keys.len() >= least, "{files:?} have {} keys: the readers are called otherwise now", keys.len());
        let missing: Vec<&String> = keys.iter().filter(|key| !words.contains(key.as_str())).collect();
        assert!(missing.is_empty(), "{page} and the pages beside it lack {missing:?}");
    }
}

#[test]
fn the_configuration_in_the_readme_names_policies_that_load_together() {
    let readme = fs::read_to_string("README.md").unwrap();
    let line = readme.lines().find(|line| line.starts_with("files = [")).expect("the files of [policy]");
    let written: toml::Table = line.parse().unwrap();
    let patterns = written["files"].as_array().unwrap().iter().map(|pattern| pattern.as_str().unwrap());
    let files: Vec<_> = patterns.flat_map(|pattern| glob::glob(pattern).unwrap()).map(Result::unwrap).collect();
    assert!(!files.is_empty(), "{line}");
    let loaded = pgpurpose::policy::PolicySet::load(&files);
    assert!(loaded.is_ok(), "{loaded:#?}");
}

#[test]
fn the_page_that_says_where_what_is_decided_names_files_that_are_there() {
    let page = fs::read_to_string("docs/design/where.md").unwrap();
    let named: Vec<&str> = page.split('`').skip(1).step_by(2).filter(|name| name.contains('/')).collect();
    assert!(named.len() > 20);
    for name in named {
        assert!(Path::new(name).exists(), "{name}");
    }
}

/// The files of the repository that people read, with their text.
fn readable(folder: &Path, found: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.strip_prefix(".").unwrap_or(&path).display().to_string();
        if path.is_dir() {
            if !["target", ".git", "fuzz/corpus", "tests/snapshots"].contains(&name.as_str()) {
                readable(&path, found);
            }
        } else if [".rs", ".md", ".toml", ".sh"].iter().any(|end| name.ends_with(end)) {
            found.extend(fs::read_to_string(&path).ok().map(|text| (name, text)));
        }
    }
}

#[test]
fn every_page_that_code_and_documents_name_is_in_the_tree() {
    let mut files = Vec::new();
    readable(Path::new("."), &mut files);
    let (mut named, mut missing) = (0, Vec::new());
    for (file, text) in &files {
        let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || "/_-.".contains(c)));
        for word in words.map(|word| word.trim_matches('.')) {
            let folder = ["docs/", "tests/", "src/", "policies/", "deploy/", "benches/", "findings/"];
            let is_page = [".md", ".rs", ".toml", ".sh", ".sql"].iter().any(|end| word.ends_with(end));
            if is_page && folder.iter().any(|folder| word.starts_with(folder)) {
                named += 1;
                // A page names another beside it, or from the root.
                let beside = Path::new(file).parent().unwrap().join(word);
                if !Path::new(word).exists() && !beside.exists() && !made_up(word) {
                    missing.push(format!("{file}: {word}"));
                }
            }
        }
    }
    assert!(named > 300, "{named} are named: they are not read any more");
    assert!(missing.is_empty(), "not in the tree:\n{}", missing.join("\n"));
}

/// Files of users, in examples.
fn made_up(word: &str) -> bool {
    let names = ["scanned", "suggested", "first", "a", "two"].map(|name| format!("policies/{name}.toml"));
    names.iter().any(|name| name == word) || word == "findings/NAME.sh"
}

#[test]
fn each_invariant_is_marked_in_the_code_that_holds_it_and_named_with_a_test() {
    let (page, tests) = ("docs/design/invariants.md", tests());
    let (files, shown) = (named(page, "in"), named(page, "shown by"));
    assert!(files.len() >= 10);
    for ((number, files), (_, names)) in files.iter().zip(&shown) {
        for file in files {
            let text = fs::read_to_string(file).unwrap_or_else(|error| panic!("{file}: {error}"));
            assert!(text.contains(&format!("INVARIANT {number}:")), "{file} does not mark {number}");
        }
        assert!(!files.is_empty() && !names.is_empty(), "{number}");
        for name in names {
            assert!(tests.contains(name), "{number}: there is no test `{name}`");
        }
    }
}
