//! Cases as data: catalog, policy, login, purpose and SQL, and what must come of them.
//!
//! Each file in `tests/cases/sql` names its policy and tables; the rewritten texts are snapshots beside the test.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    unreachable_pub
)]

use std::fmt::Write as _;
use std::path::Path;

use pgpurpose::catalog::{Catalog, CatalogBuilder};
use pgpurpose::policy::{PolicySet, Verdict};
use pgpurpose::sql::{Context, Form, enforce, on_parser_stack};

#[path = "../fuzz/targets/forms.rs"]
mod forms;

#[path = "cases/file.rs"]
mod file;

use file::File;

/// Runs a file; gives the rewritten texts and refusals for the snapshot, and the cases that came out otherwise.
fn run(path: &Path) -> (String, Vec<String>) {
    let file = File::read(path);
    let (catalog, policies) = (file.catalog(), file.policies());
    let search_path = file.search_path();
    let (mut snapshot, mut wrong) = (String::new(), Vec::new());
    for case in &file.case {
        let context = Context {
            parameters: &case.parameters,
            actor: case.actor.as_deref(),
            ..Context::new(
                &catalog,
                &policies,
                &case.login,
                &case.purpose,
                &search_path,
                jiff::civil::date(2026, 11, 22),
            )
        };
        writeln!(snapshot, "-- {}\n-- {} for {}: {}", case.name, case.login, case.purpose, case.sql.trim()).unwrap();
        match enforce(&case.sql, &context) {
            Ok(enforced) => {
                let verdict = enforced.report().verdict;
                writeln!(snapshot, "{}", enforced.text()).unwrap();
                let disclosure = enforced.disclosure();
                if !disclosure.is_empty() {
                    let hidden =
                        disclosure.hidden.iter().map(|at| at.map_or("nobody", |at| disclosure.rows[at].name.as_str()));
                    write!(snapshot, "-- subjects: {}", hidden.collect::<Vec<_>>().join(", ")).unwrap();
                    for relation in &disclosure.aggregate {
                        let filter = relation.filter.as_deref().unwrap_or("-");
                        write!(snapshot, "; aggregate over {} where {filter}", relation.name).unwrap();
                    }
                    snapshot.push('\n');
                }
                snapshot.push('\n');
                if verdict != case.expect {
                    wrong.push(format!("{}: {verdict:?} instead of {:?}", case.name, case.expect));
                }
            }
            Err(refused) => {
                let refusal = &refused.refusal;
                let told = format!(
                    "{} {} / {} / {}",
                    refusal.sqlstate,
                    refusal.message,
                    refusal.detail.as_deref().unwrap_or("-"),
                    refusal.hint.as_deref().unwrap_or("-")
                );
                writeln!(snapshot, "refused by {:?}: {told}\n", refusal.stage).unwrap();
                let sqlstate = case.sqlstate.as_deref().unwrap_or("42501");
                if case.expect != Verdict::Deny {
                    wrong.push(format!("{}: refused: {told}", case.name));
                } else if refusal.sqlstate.as_str() != sqlstate {
                    wrong.push(format!("{}: {told}, instead of {sqlstate}", case.name));
                } else if let Some(reason) = &case.reason
                    && !told.contains(reason.as_str())
                {
                    wrong.push(format!("{}: `{reason}` is not in: {told}", case.name));
                }
                if refused.report.verdict != Verdict::Deny {
                    wrong.push(format!("{}: refused, yet reported as {:?}", case.name, refused.report.verdict));
                }
            }
        }
    }
    (snapshot, wrong)
}

#[test]
fn every_case_comes_out_as_it_says() {
    let mut files: Vec<_> = std::fs::read_dir("tests/cases/sql").unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty());
    let mut all_wrong = Vec::new();
    for path in files {
        let (snapshot, wrong) = on_parser_stack(|| run(&path)).unwrap();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
            insta::assert_snapshot!(name.clone(), snapshot);
        });
        all_wrong.extend(wrong.into_iter().map(|wrong| format!("{name}: {wrong}")));
    }
    assert!(all_wrong.is_empty(), "\n{}", all_wrong.join("\n"));
}

/// Half of what a session's thread has.
const SMALL_STACK: usize = 8 * 1024 * 1024;

/// As large and as deep as is decided on a session's own thread.
#[test]
fn the_largest_statement_that_is_small_is_decided_on_half_the_stack_of_a_session() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/sql/select.toml");
    let file = File::read(&path);
    let (catalog, policies) = (file.catalog(), file.policies());
    let case = file.case.iter().find(|case| case.expect == Verdict::Mask).unwrap();
    let search_path = vec!["public".to_owned()];
    let context =
        Context::new(&catalog, &policies, &case.login, &case.purpose, &search_path, jiff::civil::date(2026, 11, 22));
    let inner = case.sql.trim().trim_end_matches(';');
    let largest = |nesting: usize, chain: usize| {
        let sum = " + 1".repeat(chain);
        format!("SELECT {}({inner}) IS NULL{} AND 1{sum} > 0", "(".repeat(nesting), ")".repeat(nesting))
    };
    let small = |text: &str| Form::read(text, &[], true).is_ok_and(|form| form.is_small());
    let nesting = (1..20).take_while(|nesting| small(&largest(*nesting, 1))).last().unwrap();
    let chain = (1..200).take_while(|chain| small(&largest(nesting, *chain))).last().unwrap();
    let text = largest(nesting, chain);
    std::thread::scope(|scope| {
        let decided = std::thread::Builder::new().stack_size(SMALL_STACK);
        let decided = decided.spawn_scoped(scope, || enforce(&text, &context).map(|_| ())).unwrap().join().unwrap();
        decided.unwrap_or_else(|refused| panic!("{}: {text}", refused.refusal.message));
    });
}

/// Every statement of the cases, with its constants exchanged for others of their class.
#[test]
fn a_decision_for_a_form_is_the_one_from_nothing_whatever_its_constants_are() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/sql");
    let (mut shared, mut pinned) = (0, Vec::new());
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let file = File::read(&path);
        let (catalog, policies) = (file.catalog(), file.policies());
        let search_path = file.search_path();
        on_parser_stack(|| {
            for case in &file.case {
                let context = Context {
                    parameters: &case.parameters,
                    actor: case.actor.as_deref(),
                    ..Context::new(
                        &catalog,
                        &policies,
                        &case.login,
                        &case.purpose,
                        &search_path,
                        jiff::civil::date(2026, 11, 22),
                    )
                };
                if Form::read(case.sql.trim(), &case.parameters, true).is_ok_and(|form| form.is_small()) {
                    std::thread::scope(|scope| {
                        let decided = std::thread::Builder::new().stack_size(SMALL_STACK);
                        decided
                            .spawn_scoped(scope, || enforce(case.sql.trim(), &context).is_ok())
                            .unwrap()
                            .join()
                            .unwrap();
                    });
                }
                for turn in 0..6_u8 {
                    let choice: Vec<u8> = (0..17).map(|at: u8| at.wrapping_mul(97).wrapping_add(turn * 41)).collect();
                    match forms::exchanged(case.sql.trim(), &context, &choice) {
                        forms::Came::Nothing => {}
                        forms::Came::Shared => shared += 1,
                        forms::Came::Pinned => pinned.push(case.sql.trim().to_owned()),
                    }
                }
            }
        })
        .unwrap();
    }
    pinned.dedup();
    assert!(shared > 100 && pinned.len() * 10 < shared, "{shared} shared, pinned: {pinned:#?}");
}
