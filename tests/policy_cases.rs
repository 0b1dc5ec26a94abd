//! Decisions and faults as data: `tests/cases/decide/*.toml` and `tests/cases/faults/*.toml`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use pgpurpose::catalog::{CatalogBuilder, RelationName, TypeClass};
use pgpurpose::policy::{
    AccessReport, AccessRequest, Action, ColumnAccess, ColumnReport, Decision, PolicySet, RelationAccess,
    RelationObligation, Shape, Use, Verb, decide,
};
use serde::Deserialize;

/// One file of decisions.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Cases {
    /// The policy; without it the sample shop's.
    policy: Option<String>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    login: String,
    purpose: String,
    #[serde(default = "today")]
    today: String,
    #[serde(default)]
    grouped: bool,
    #[serde(default)]
    relations: Vec<Relation>,
    /// allow, mask, deny.
    verdict: String,
    /// Each must appear in some reason (message, detail or hint).
    #[serde(default)]
    reasons: Vec<String>,
    /// `relation: column=action`, as the report tells it.
    #[serde(default)]
    columns: Vec<String>,
    /// `relation: column=category`, as the report tells it.
    #[serde(default)]
    categories: Vec<String>,
    /// `relation: filter` of each relation that has one.
    #[serde(default)]
    filters: Vec<String>,
    /// Columns on which a lookup of the raw value is open.
    #[serde(default)]
    lookups: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Relation {
    name: String,
    #[serde(default = "select")]
    verb: String,
    #[serde(default)]
    star: bool,
    #[serde(default)]
    whole_row_write: bool,
    #[serde(default)]
    ancestors: Vec<String>,
    #[serde(default)]
    reaches: Vec<String>,
    #[serde(default)]
    opaque: bool,
    /// `name:class:use,use`; the class may be left out (text).
    #[serde(default)]
    columns: Vec<String>,
}

fn today() -> String {
    "2026-11-22".into()
}

fn select() -> String {
    "select".into()
}

fn files(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases").join(folder);
    let mut files: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty(), "no cases in {}", folder.display());
    files
}

fn shop() -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("policies/shop.toml")).unwrap()
}

fn class(text: &str) -> TypeClass {
    match text {
        "text" => TypeClass::Text,
        "integer" => TypeClass::Integer,
        "numeric" => TypeClass::Numeric,
        "date" => TypeClass::Date,
        "timestamptz" => TypeClass::TimestampTz,
        "bool" => TypeClass::Bool,
        "other" => TypeClass::Other,
        other => panic!("no class `{other}` in cases"),
    }
}

fn used(text: &str) -> Use {
    match text {
        "output" => Use::Output,
        "filter" => Use::Filter,
        "join" => Use::Join,
        "group" => Use::Group,
        "order" => Use::Order,
        "aggregate" => Use::Aggregate,
        "lookup" => Use::Lookup,
        "write" => Use::Write,
        "star" => Use::Star,
        "target" => Use::Target,
        other => panic!("no use `{other}`"),
    }
}

fn column(text: &str) -> ColumnAccess {
    let parts: Vec<&str> = text.split(':').collect();
    let (name, kind, uses) = match parts.as_slice() {
        [name, uses] => (*name, "text", *uses),
        [name, kind, uses] => (*name, *kind, *uses),
        _ => panic!("column `{text}`"),
    };
    ColumnAccess { name: name.into(), class: class(kind), uses: uses.split(',').map(used).collect::<BTreeSet<_>>() }
}

fn names(list: &[String]) -> Vec<RelationName> {
    list.iter().map(|name| name.parse().unwrap()).collect()
}

fn request(case: &Case) -> AccessRequest {
    AccessRequest {
        login: case.login.clone(),
        purpose: case.purpose.clone(),
        actor: None,
        today: case.today.parse().unwrap(),
        relations: case
            .relations
            .iter()
            .map(|relation| RelationAccess {
                relation: relation.name.parse().unwrap(),
                ancestors: names(&relation.ancestors),
                reaches: names(&relation.reaches),
                opaque: relation.opaque,
                verb: match relation.verb.as_str() {
                    "select" => Verb::Select,
                    "insert" => Verb::Insert,
                    "update" => Verb::Update,
                    "delete" => Verb::Delete,
                    other => panic!("no verb `{other}`"),
                },
                star: relation.star,
                columns: relation.columns.iter().map(|text| column(text)).collect(),
                temporary: false,
                filled: std::collections::BTreeSet::new(),
                whole_row_write: relation.whole_row_write,
                automatic: pgpurpose::policy::Automatic::default(),
            })
            .collect(),
        structure: None,
        consequences: Vec::new(),
        shape: Shape { grouped: case.grouped },
    }
}

#[test]
fn every_decision_is_as_its_case_says() {
    let mut failures = Vec::new();
    let mut count = 0;
    for file in files("decide") {
        let cases: Cases = toml::from_str(&std::fs::read_to_string(&file).unwrap())
            .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let text = cases.policy.unwrap_or_else(shop);
        let set = PolicySet::from_sources(&[("policy.toml".into(), text)])
            .unwrap_or_else(|faults| panic!("{}: {faults:#?}", file.display()));
        for case in &cases.cases {
            count += 1;
            let request = request(case);
            let decision = decide(&set, &request);
            let report = AccessReport::of(&decision);
            let mut told = Vec::new();
            let verdict = serde_json::to_value(report.verdict).unwrap();
            if verdict != case.verdict.as_str() {
                told.push(format!("verdict {verdict}, wanted {}", case.verdict));
            }
            let reasons = match &decision {
                Decision::Permit(_) => Vec::new(),
                Decision::Denial(denial) => denial
                    .reasons
                    .iter()
                    .map(|reason| {
                        let detail = reason.detail.clone().unwrap_or_default();
                        format!("{} | {detail} | {}", reason.message, reason.hint.clone().unwrap_or_default())
                    })
                    .collect(),
            };
            for wanted in &case.reasons {
                if !reasons.iter().any(|reason| reason.contains(wanted.as_str())) {
                    told.push(format!("no reason says `{wanted}`"));
                }
            }
            let columns: Vec<String> = report
                .relations
                .iter()
                .flat_map(|relation| {
                    relation.columns.iter().map(move |column| {
                        let mask = column.mask.as_ref().map(|mask| format!(" {mask}")).unwrap_or_default();
                        format!("{}: {}={}{mask}", relation.name, column.name, column.action)
                    })
                })
                .collect();
            for wanted in &case.columns {
                if !columns.contains(wanted) {
                    told.push(format!("no column `{wanted}` in {columns:?}"));
                }
            }
            let category = |relation: &str, column: &ColumnReport| {
                format!("{relation}: {}={}", column.name, column.category.as_deref().unwrap_or("none"))
            };
            let categories: Vec<String> = report
                .relations
                .iter()
                .flat_map(|relation| relation.columns.iter().map(|column| category(&relation.name, column)))
                .collect();
            for wanted in &case.categories {
                if !categories.contains(wanted) {
                    told.push(format!("no category `{wanted}` in {categories:?}"));
                }
            }
            let filters: Vec<String> = report
                .relations
                .iter()
                .filter_map(|relation| Some(format!("{}: {}", relation.name, relation.filter.as_ref()?)))
                .collect();
            if case.verdict != "deny" && filters != case.filters {
                told.push(format!("filters {filters:?}, wanted {:?}", case.filters));
            }
            let lookups: Vec<String> = match &decision {
                Decision::Denial(_) => Vec::new(),
                Decision::Permit(permit) => permit
                    .relations()
                    .iter()
                    .flat_map(|relation| match relation {
                        RelationObligation::Open { .. } => Vec::new(),
                        RelationObligation::Governed { columns, .. } => columns
                            .iter()
                            .filter(|(_, column)| matches!(column.action, Action::Mask { lookup: true, .. }))
                            .map(|(name, _)| name.clone())
                            .collect(),
                    })
                    .collect(),
            };
            if lookups != case.lookups {
                told.push(format!("lookups {lookups:?}, wanted {:?}", case.lookups));
            }
            if !told.is_empty() {
                failures.push(format!(
                    "{}: {}: {}\n  reasons: {reasons:#?}",
                    file.file_name().unwrap().to_string_lossy(),
                    case.name,
                    told.join("; ")
                ));
            }
        }
    }
    assert!(failures.is_empty(), "{} of {count} cases failed:\n{}", failures.len(), failures.join("\n"));
}

/// One file of faulty policies. A fault is expected on each line that ends in `#! TEXT`, and its message must hold TEXT;
/// several are separated by ` && `. A line `#! TEXT` at the very beginning stands for itself.
#[test]
fn every_fault_is_told_with_its_line_and_all_at_once() {
    for file in files("faults") {
        let text = std::fs::read_to_string(&file).unwrap();
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        let mut wanted: Vec<(usize, String)> = Vec::new();
        for (number, line) in (1..).zip(text.lines()) {
            if let Some((_, told)) = line.split_once("#! ") {
                wanted.extend(told.split(" && ").map(|told| (number, told.trim().to_owned())));
            }
        }
        let faults = match PolicySet::from_sources(&[(name.clone(), text)]) {
            Ok(_) => Vec::new(),
            Err(faults) => faults,
        };
        let mut left: Vec<String> = Vec::new();
        for fault in &faults {
            assert_eq!(fault.file, name);
            match wanted.iter().position(|(line, told)| *line == fault.line && fault.message.contains(told.as_str())) {
                Some(at) => {
                    wanted.remove(at);
                }
                None => left.push(fault.to_string()),
            }
        }
        assert!(wanted.is_empty() && left.is_empty(), "{name}: not told: {wanted:#?}\nnot expected: {left:#?}");
    }
}

#[test]
fn the_sample_policy_loads_without_a_fault_or_warning() {
    let set = PolicySet::from_sources(&[("shop.toml".into(), shop())]).unwrap();
    assert!(set.warnings().is_empty(), "{:#?}", set.warnings());
    assert!(set.tests().len() >= 15);
    assert!(set.hash().starts_with("sha256:"));
}

#[test]
fn what_is_worth_a_look_is_a_warning() {
    let text = r#"
version = 1
[tables."public.t"]
columns = { a = "helth", b = "b" }
[categories.health]
special = true
[purposes.p]
basis = "contract"
review = 2026-01-01
[purposes.q]
basis = "contract"
expires = 2026-01-01
[roles.r]
logins = ["r"]
purposes = ["p"]
recipient = "Mailer Inc"
operator_contract = "2024/7"
operator_expires = 2026-06-01
[[rules]]
name = "never"
roles = ["r"]
purposes = ["q"]
read = ["b"]
[[rules]]
name = "nothing"
roles = ["r"]
purposes = ["p"]
"#;
    let set = PolicySet::from_sources(&[("p.toml".into(), text.into())]).unwrap();
    let told: Vec<String> =
        set.warnings().iter().chain(&set.overdue(jiff::civil::date(2026, 11, 22))).map(ToString::to_string).collect();
    let wanted = [
        "p.toml:4: warning: column `public.t.a` has the category `helth`, which nothing describes: is it `health`?",
        "p.toml:19: warning: rule `never` never matches: none of its roles may use any of its purposes",
        "p.toml:24: warning: rule `nothing` opens and denies nothing",
        "p.toml:7: warning: purpose `p` should have been reviewed by 2026-01-01",
        "p.toml:10: warning: purpose `q` expired on 2026-01-01, and is refused",
        "p.toml:13: warning: the contract with `Mailer Inc` ended on 2026-06-01: role `r` is refused",
    ];
    assert_eq!(told, wanted);
    let told = |year, month, day| -> Vec<String> {
        set.overdue(jiff::civil::date(year, month, day)).iter().map(|fault| fault.message.clone()).collect()
    };
    assert!(told(2025, 12, 1).is_empty());
    // From thirty days before; on its last day each still holds.
    let first = [
        "purpose `p` is to be reviewed by 2026-01-01, in 30 days",
        "purpose `q` expires after 2026-01-01, in 30 days, and is refused from then on",
    ];
    assert_eq!(told(2025, 12, 2), first);
    assert_eq!(
        told(2026, 1, 1)[1],
        "purpose `q` expires after 2026-01-01, which is today, and is refused from then on"
    );
    assert_eq!(told(2026, 1, 2)[1], "purpose `q` expired on 2026-01-01, and is refused");
    let ends = "the contract with `Mailer Inc` ends after 2026-06-01, in 1 day: role `r` is refused from then on";
    assert_eq!(told(2026, 5, 31)[2], ends);
}

#[test]
fn faults_of_several_files_name_each_its_own() {
    let sources = [
        (
            "a.toml".to_owned(),
            "version = 1\nunlisted_tables = \"allow\"\n[tables.\"public.t\"]\nopen = true\n".to_owned(),
        ),
        (
            "b.toml".to_owned(),
            "version = 1\nunlisted_tables = \"deny\"\n\n[tables.\"public.t\"]\nopen = true\n".to_owned(),
        ),
    ];
    let told: Vec<String> = PolicySet::from_sources(&sources).unwrap_err().iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "b.toml:2: `unlisted_tables` is `allow` at a.toml:2",
            "b.toml:4: table `public.t` is already given at a.toml:3"
        ]
    );
    assert_eq!(PolicySet::from_sources(&[]).unwrap_err()[0].message, "there is no policy file");
}

#[test]
fn a_refusal_has_message_detail_and_hint() {
    let set = PolicySet::from_sources(&[("shop.toml".into(), shop())]).unwrap();
    let cases: Cases = toml::from_str(
        "[[cases]]\nname = \"x\"\nlogin = \"support_agent\"\npurpose = \"support\"\nverdict = \"deny\"\n\
         [[cases.relations]]\nname = \"public.customers\"\ncolumns = [\"address:output\", \"health_note:filter\"]\n",
    )
    .unwrap();
    let request = request(&cases.cases[0]);
    let decision = decide(&set, &request);
    let Decision::Denial(denial) = &decision else { panic!("permitted") };
    let refusal = denial.refusal();
    assert_eq!(refusal.sqlstate.as_str(), "42501");
    assert_eq!(
        refusal.message,
        "column `public.customers.address` is not open to role `support_agent` for purpose `support`"
    );
    assert_eq!(
        refusal.detail.as_deref(),
        Some(
            "no rule opens it; also: column `public.customers.health_note` is not open to role `support_agent` for \
             purpose `support`"
        )
    );
    assert!(refusal.hint.is_some());
    let report = serde_json::to_value(AccessReport::of(&decision)).unwrap();
    assert_eq!(
        report,
        serde_json::json!({
            "verdict": "deny",
            "relations": [{"name": "public.customers", "filter": null, "columns": [
                {"name": "address", "category": "address", "use": ["output"], "action": "deny", "mask": null, "rule": null},
                {"name": "health_note", "category": "health", "use": ["filter"], "action": "deny", "mask": null, "rule": "support never sees health notes"},
            ]}],
            "reason": "column `public.customers.address` is not open to role `support_agent` for purpose `support`; column `public.customers.health_note` is not open to role `support_agent` for purpose `support`",
        })
    );
}

#[test]
fn the_sample_policy_agrees_with_the_sample_shop() {
    let mut builder = CatalogBuilder::new();
    let mut table = |name: &str, columns: &[(&str, &str)]| {
        builder.table(name.parse().unwrap(), columns, &[]);
    };
    table(
        "public.customers",
        &[
            ("id", "bigint"),
            ("full_name", "text"),
            ("email", "text"),
            ("phone", "text"),
            ("id_number", "text"),
            ("date_of_birth", "date"),
            ("address", "text"),
            ("city", "text"),
            ("postal_code", "text"),
            ("health_note", "text"),
            ("created_at", "timestamp with time zone"),
        ],
    );
    table(
        "public.orders",
        &[
            ("order_id", "bigint"),
            ("customer_id", "bigint"),
            ("total", "numeric(10,2)"),
            ("status", "text"),
            ("created_at", "timestamp with time zone"),
        ],
    );
    table(
        "public.order_items",
        &[
            ("order_id", "bigint"),
            ("line", "integer"),
            ("product_id", "bigint"),
            ("quantity", "integer"),
            ("price", "numeric(10,2)"),
        ],
    );
    table("public.products", &[("product_id", "bigint"), ("name", "text"), ("price", "numeric(10,2)")]);
    table(
        "public.tickets",
        &[
            ("ticket_id", "bigint"),
            ("customer_id", "bigint"),
            ("subject", "text"),
            ("body", "text"),
            ("status", "text"),
            ("created_at", "timestamp with time zone"),
        ],
    );
    table("public.staff", &[("staff_id", "bigint"), ("full_name", "text"), ("email", "text"), ("position", "text")]);
    table(
        "privacy.consents",
        &[
            ("subject_id", "bigint"),
            ("purpose", "text"),
            ("granted", "boolean"),
            ("granted_at", "timestamp with time zone"),
            ("withdrawn_at", "timestamp with time zone"),
            ("evidence", "text"),
        ],
    );
    let set = PolicySet::from_sources(&[("shop.toml".into(), shop())]).unwrap();
    assert_eq!(set.check_against(&builder.build()), []);
}
