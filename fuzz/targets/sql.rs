//! Statements: none panics, and what both parsers agree on is written as something that they agree on again.

use std::sync::OnceLock;

use pgpurpose::catalog::{Catalog, CatalogBuilder, RelationName};
use pgpurpose::policy::PolicySet;
use pgpurpose::sql::{self, Context, Kind};

use super::forms;

const SERVER: u32 = 150_004;

const POLICY: &str = r#"
version = 1
unlisted_tables = "deny"
[tables."public.users"]
subject = "id"
columns = { id = "open", name = "masked", secret = "secret" }
[purposes.work]
basis = "contract"
description = "Work"
[roles.worker]
logins = ["worker"]
purposes = ["work"]
[[rules]]
name = "work"
roles = ["worker"]
purposes = ["work"]
read = ["open"]
write = ["open"]
mask = { masked = "first(1)" }
"#;

/// Reads, decides and rewrites the text for a role that sees one column, another through a mask, and not a third.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let text = text.to_owned();
    sql::on_parser_stack(move || one(&text)).expect("nothing panics");
}

/// Whether the text is understood; then what is written for it means the same to PostgreSQL's own grammar.
#[allow(dead_code)]
pub fn agrees(text: &str) -> bool {
    let text = text.to_owned();
    sql::on_parser_stack(move || {
        let Ok(parsed) = sql::parse(&text, SERVER) else { return false };
        if let Kind::Statement(tree) = parsed.kind() {
            let again = sql::parse(&sql::render(tree), SERVER).expect("what was rendered is read");
            assert_eq!(parsed.facts(), again.facts(), "it refers to the same: {text}");
        }
        true
    })
    .expect("nothing panics")
}

/// Exchanges the constants of a statement; what its form was decided must be what is decided from nothing. The last bytes
/// choose.
#[allow(dead_code)]
pub fn exchange(data: &[u8]) {
    let (text, choice) = data.split_at(data.len().saturating_sub(16));
    let Ok(text) = std::str::from_utf8(text) else { return };
    let text = text.to_owned();
    let choice = choice.to_vec();
    sql::on_parser_stack(move || {
        for statement in sql::split(&text).unwrap_or_default() {
            forms::exchanged(statement, &context(), &choice);
        }
    })
    .expect("a form's decision is the one from nothing");
}

fn context() -> Context<'static> {
    static PATH: OnceLock<Vec<String>> = OnceLock::new();
    Context::new(
        catalog(),
        policies(),
        "worker",
        "work",
        PATH.get_or_init(|| vec!["public".to_owned()]),
        jiff::civil::date(2026, 11, 22),
    )
}

fn one(text: &str) {
    let _ = sql::redact(text);
    let _ = sql::stated(text);
    let Ok(statements) = sql::split(text) else { return };
    for statement in statements {
        if let Ok(parsed) = sql::parse(statement, SERVER)
            && let Kind::Statement(tree) = parsed.kind()
        {
            let again = sql::render(tree);
            assert!(sql::parse(&again, SERVER).is_ok(), "what was rendered is refused: {again}");
        }
        if let Ok(enforced) = sql::enforce(statement, &context()) {
            let names = enforced.text().to_lowercase();
            assert!(!names.contains("pgpurpose_row\".\"secret"), "a denied column is read: {names}");
        }
    }
}

fn catalog() -> &'static Catalog {
    static CATALOG: OnceLock<Catalog> = OnceLock::new();
    CATALOG.get_or_init(|| {
        let mut builder = CatalogBuilder::new();
        builder.table(
            RelationName::new("public", "users"),
            &[("id", "bigint"), ("name", "text"), ("secret", "text")],
            &["id"],
        );
        builder.build()
    })
}

fn policies() -> &'static PolicySet {
    static POLICIES: OnceLock<PolicySet> = OnceLock::new();
    POLICIES.get_or_init(|| {
        PolicySet::from_sources(&[("fuzz.toml".to_owned(), POLICY.to_owned())]).expect("the policy is right")
    })
}
