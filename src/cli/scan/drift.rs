//! `scan --drift`: what the policies in force no longer say of the database.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::{Value, json};

use super::super::Ending;
use super::super::check::functions;
use super::super::output::{Output, Style, printable};
use crate::app::Database;
use crate::audit::{self, Filter};
use crate::catalog::{RelationKind, RelationName};
use crate::policy::{Governance, Lineage, PolicySet};
use crate::scan::{Judged, Kind, Level, Verdict};

/// The policies as they are for this database, and what reaches the columns that they govern.
pub(super) struct Reaching {
    policies: PolicySet,
    /// Views and functions by name, with what is to be said of each.
    found: Vec<(&'static str, String, String)>,
}

impl Reaching {
    /// Asks the database.
    ///
    /// # Errors
    /// It does not answer; in words for the operator.
    pub(super) async fn read(database: &Database, policies: &PolicySet) -> Result<Self, String> {
        let catalog = database.catalog().await?.current();
        let policies = policies.fitted(&catalog);
        let mut found = Vec::new();
        for view in catalog.relations() {
            let kind = match view.kind {
                RelationKind::View => "view",
                RelationKind::MaterializedView => "materialized view",
                RelationKind::Table
                | RelationKind::PartitionedTable
                | RelationKind::ForeignTable
                | RelationKind::Sequence
                | RelationKind::Toast
                | RelationKind::Other => continue,
            };
            // One that is listed is known.
            if policies.governance(&view.name) == Governance::Governed {
                continue;
            }
            let lineage = Lineage::of(&catalog, view.oid);
            let reached = lineage.reaches.iter().filter(|name| policies.governance(name) == Governance::Governed);
            let reached: BTreeSet<String> = reached.map(|name| format!("`{name}`")).collect();
            if !reached.is_empty() {
                let reached = reached.into_iter().collect::<Vec<_>>().join(", ");
                let text = format!("{kind} `{}` reads {reached}, and stands in no policy: it is refused", view.name);
                found.push(("view", view.name.to_string(), text));
            }
        }
        let client = database.client().await?;
        for (function, finding) in functions(&policies, &client).await? {
            found.push(("function", function, finding.text));
        }
        found.sort();
        Ok(Self { policies, found })
    }
}

/// What the database is compared with.
pub(super) struct Against<'a> {
    pub(super) reaching: &'a Reaching,
    /// Lines of an earlier scan.
    pub(super) baseline: Option<&'a Path>,
    /// The folder of the access log.
    pub(super) log: Option<&'a Path>,
    /// What the scan says of each column, whatever people decided.
    pub(super) seen: &'a BTreeMap<String, String>,
}

/// One difference.
struct Drift {
    /// `new_table`, `new_column`, `gone_table`, `gone_column`, `type`, `evidence`, `view`, `function`.
    kind: &'static str,
    /// `schema.table` or `schema.table.column`.
    what: String,
    text: String,
    asked: Option<Asked>,
}

/// Who asked for a column that is closed.
#[derive(Debug, Default, Clone)]
struct Asked {
    times: u64,
    first: String,
    roles: BTreeSet<String>,
}

/// Tells the differences; ends with 1 where there is one.
///
/// # Errors
/// The baseline or the log cannot be read.
pub(super) fn tell(
    judged: &[Judged],
    against: &Against<'_>,
    as_json: bool,
    output: &mut Output,
) -> Result<Ending, String> {
    let mut drifts = compare(judged, &against.reaching.policies);
    let mut known = BTreeSet::new();
    if let Some(file) = against.baseline {
        drifts.extend(since(judged, file, against.seen, &mut known)?);
    }
    let reaching = against.reaching.found.iter();
    let new = reaching.filter(|(kind, what, _)| !known.contains(&((*kind).to_owned(), what.clone())));
    drifts.extend(new.map(|(kind, what, text)| drift(kind, what.clone(), text.clone())));
    if let Some(folder) = against.log.filter(|folder| folder.is_dir()) {
        let asked = asked_for(folder).map_err(|error| format!("the access log cannot be read: {error}"))?;
        for drift in &mut drifts {
            drift.asked = asked.get(&drift.what).cloned();
        }
    }
    drifts.sort_by(|a, b| (a.kind, &a.what).cmp(&(b.kind, &b.what)));
    for drift in &drifts {
        if as_json {
            let asked = drift
                .asked
                .as_ref()
                .map(|asked| json!({"times": asked.times, "since": asked.first, "roles": asked.roles}));
            output.line(json!({"drift": drift.kind, "what": drift.what, "text": drift.text, "asked": asked}));
        } else {
            let asked = drift.asked.as_ref().map(words).unwrap_or_default();
            let kind = output.styled(Style::Middling, drift.kind);
            output.line(format_args!("{kind}: {}{asked}", printable(&drift.text)));
        }
    }
    if drifts.is_empty() {
        output.remark("the policies in force still say what the database has");
    }
    Ok(if drifts.is_empty() { Ending::Fine } else { Ending::Failed })
}

fn words(asked: &Asked) -> String {
    let roles: Vec<&str> = asked.roles.iter().map(String::as_str).collect();
    format!("; closed since {} at the latest, asked for {} times by {}", asked.first, asked.times, roles.join(", "))
}

fn compare(judged: &[Judged], policies: &PolicySet) -> Vec<Drift> {
    let mut drifts = Vec::new();
    let mut there = BTreeSet::new();
    for table in judged {
        let name = RelationName::new(&*table.table.schema, &*table.table.name);
        match policies.governance(&name) {
            Governance::UnlistedDeny | Governance::UnlistedAllow => {
                let personal = table.verdicts.iter().filter(|verdict| verdict.kind.is_some()).count();
                drifts.push(drift(
                    "new_table",
                    table.name(),
                    format!(
                        "table `{}` stands in no policy; {personal} of its {} columns look personal",
                        table.name(),
                        table.verdicts.len()
                    ),
                ));
            }
            Governance::Open => {
                drifts.extend(table.columns().filter(|(_, verdict)| personal(verdict)).map(|(column, verdict)| {
                    let what = format!("{}.{}", table.name(), column.name);
                    let text = format!(
                        "column `{what}` of an open table looks like {}: {}",
                        verdict.policy_category(),
                        verdict.evidence
                    );
                    drift("evidence", what, text)
                }))
            }
            Governance::Governed => drifts.extend(columns(table, &name, policies)),
        }
        there.insert(name);
    }
    for name in policies.listed_tables().into_iter().filter(|name| !there.contains(name)) {
        drifts.push(drift(
            "gone_table",
            name.to_string(),
            format!("table `{name}` stands in the policies and is not in the database, or is a view"),
        ));
    }
    drifts
}

fn columns(table: &Judged, name: &RelationName, policies: &PolicySet) -> Vec<Drift> {
    let listed: BTreeMap<&str, &str> =
        policies.listed_columns(name).into_iter().map(|column| (column.name, column.category)).collect();
    let mut drifts = Vec::new();
    for (column, verdict) in table.columns() {
        let what = format!("{}.{}", table.name(), column.name);
        match listed.get(column.name.as_str()) {
            None => {
                let text = format!(
                    "column `{what}` has no category, and so is closed; looks like {}: {}",
                    verdict.policy_category(),
                    verdict.evidence
                );
                drifts.push(drift("new_column", what, text));
            }
            Some(category) if personal(verdict) && matches!(*category, "operational" | "reference") => {
                let text = format!(
                    "column `{what}` is `{category}` in the policies and looks like {}: {}",
                    verdict.policy_category(),
                    verdict.evidence
                );
                drifts.push(drift("evidence", what, text));
            }
            Some(_) => {}
        }
    }
    for gone in listed.keys().filter(|column| !table.table.columns.iter().any(|there| there.name == **column)) {
        let what = format!("{}.{gone}", table.name());
        drifts.push(drift(
            "gone_column",
            what.clone(),
            format!("column `{what}` stands in the policies and is not in the database"),
        ));
    }
    drifts
}

/// Sure enough to speak against what the policies say. A key is not.
fn personal(verdict: &Verdict) -> bool {
    verdict.kind.is_some_and(|kind| kind != Kind::PersonId) && verdict.level() >= Level::Likely
}

fn drift(kind: &'static str, what: String, text: String) -> Drift {
    Drift { kind, what, text, asked: None }
}

/// What differs from an earlier scan. Lines of an earlier `--drift --json` may stand in the file too: the views and functions that they
/// name are `known`.
fn since(
    judged: &[Judged],
    file: &Path,
    seen: &BTreeMap<String, String>,
    known: &mut BTreeSet<(String, String)>,
) -> Result<Vec<Drift>, String> {
    let text =
        std::fs::read_to_string(file).map_err(|error| format!("`{}` cannot be read: {error}", file.display()))?;
    let mut before: BTreeMap<String, (String, Option<String>)> = BTreeMap::new();
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let line: Value = serde_json::from_str(line)
            .map_err(|_| format!("line {} of `{}` is no JSON", number + 1, file.display()))?;
        let field = |key: &str| line.get(key).and_then(Value::as_str).map(str::to_owned);
        if let (Some(kind), Some(what)) = (field("drift"), field("what")) {
            known.insert((kind, what));
            continue;
        }
        let name =
            [field("schema"), field("table"), field("column")].into_iter().flatten().collect::<Vec<_>>().join(".");
        before.insert(name, (field("type").unwrap_or_default(), field("category")));
    }
    let mut drifts = Vec::new();
    for table in judged {
        for (column, verdict) in table.columns() {
            let what = format!("{}.{}", table.name(), column.name);
            let Some((type_sql, category)) = before.get(&what) else { continue };
            if *type_sql != column.type_sql {
                drifts.push(drift(
                    "type",
                    what.clone(),
                    format!("column `{what}` was of type {type_sql} and is of type {}", column.type_sql),
                ));
            }
            if category.as_deref() != verdict.category() {
                let now = seen.get(&what).cloned().unwrap_or_default();
                drifts.push(drift(
                    "evidence",
                    what.clone(),
                    format!(
                        "column `{what}` looked like {} and now looks like {now}",
                        category.as_deref().unwrap_or("nothing personal")
                    ),
                ));
            }
        }
    }
    Ok(drifts)
}

/// How often each column was refused, from the access log.
fn asked_for(folder: &Path) -> std::io::Result<BTreeMap<String, Asked>> {
    let mut found: BTreeMap<String, Asked> = BTreeMap::new();
    let denied = Filter { event: Some("access".to_owned()), verdict: Some("deny".to_owned()), ..Filter::default() };
    audit::search(folder, denied, false, |entry| {
        let role = entry.text("role").unwrap_or_default().to_owned();
        let day = entry.text("time").unwrap_or_default().chars().take(10).collect::<String>();
        let relations = entry.field("relations").and_then(Value::as_array).cloned().unwrap_or_default();
        for relation in &relations {
            let name = relation.get("name").and_then(Value::as_str).unwrap_or_default();
            let columns = relation.get("columns").and_then(Value::as_array).into_iter().flatten();
            let closed = columns
                .filter(|column| column.get("action").and_then(Value::as_str) == Some("deny"))
                .filter_map(|column| column.get("name")?.as_str());
            for what in closed.map(|column| format!("{name}.{column}")).chain(std::iter::once(name.to_owned())) {
                let asked = found.entry(what).or_default();
                asked.times += 1;
                asked.roles.insert(role.clone());
                if asked.first.is_empty() {
                    asked.first.clone_from(&day);
                }
            }
        }
        true
    })?;
    Ok(found)
}
