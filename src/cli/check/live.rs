//! Compares the policies with what the database has.

use tokio_postgres::Client;

use crate::catalog::{Catalog, Relation, RelationKind, RelationName};
use crate::document::alike;
use crate::policy::{Governance, PolicySet, SubjectPath};

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) struct Finding {
    /// The policies cannot be right; else it is worth knowing.
    pub(in crate::cli) wrong: bool,
    pub(in crate::cli) text: String,
}

impl From<crate::app::Trouble> for Finding {
    fn from(trouble: crate::app::Trouble) -> Self {
        match trouble {
            crate::app::Trouble::Wrong(text) => wrong(text),
            crate::app::Trouble::Note(text) => note(text),
        }
    }
}

fn wrong(text: String) -> Finding {
    Finding { wrong: true, text }
}

pub(super) fn note(text: String) -> Finding {
    Finding { wrong: false, text }
}

/// What the snapshot shows: unknown tables and columns, masks that do not fit, columns without a category, and what
/// else reaches governed tables.
pub(super) fn compare(policies: &PolicySet, catalog: &Catalog) -> Vec<Finding> {
    let mut findings = Vec::new();
    for table in policies.listed_tables() {
        let place = policies.listed_at(&table).map(|place| format!("{place}: ")).unwrap_or_default();
        match catalog.relation(&table) {
            None => {
                let near = catalog.relations().map(|relation| relation.name.to_string());
                let near = near.filter(|other| alike(other, &table.to_string())).min();
                let near = near.map(|near| format!(": did you mean `{near}`?")).unwrap_or_default();
                findings.push(wrong(format!("{place}table `{table}` does not exist{near}")));
            }
            Some(relation) => columns(policies, &table, relation, &place, &mut findings),
        }
    }
    subjects(policies, catalog, &mut findings);
    consents(policies, catalog, &mut findings);
    findings.extend(
        policies
            .check_filters(catalog)
            .into_iter()
            .chain(crate::sql::unsettled(policies, catalog))
            .map(|fault| wrong(format!("{}:{}: {}", fault.file, fault.line, fault.message))),
    );
    reached(policies, catalog, &mut findings);
    findings.sort_by(|a, b| (b.wrong, &a.text).cmp(&(a.wrong, &b.text)));
    findings.dedup();
    findings
}

/// What each pattern lists here, and what stays closed because two of them match.
pub(super) fn patterns(policies: &PolicySet, catalog: &Catalog) -> Vec<Finding> {
    let told = policies.by_patterns(catalog).into_iter();
    told.map(|fault| Finding {
        wrong: fault.is_error(),
        text: format!("{}:{}: {}", fault.file, fault.line, fault.message),
    })
    .collect()
}

fn columns(policies: &PolicySet, table: &RelationName, relation: &Relation, place: &str, findings: &mut Vec<Finding>) {
    let listed = policies.listed_columns(table);
    for column in &listed {
        let place =
            policies.category_at(table, column.name).map_or_else(|| place.to_owned(), |(_, at)| format!("{at}: "));
        let Some(real) = relation.column(column.name) else {
            let near = relation.columns.iter().find(|other| alike(&other.name, column.name));
            let near = near.map(|near| format!(": did you mean `{}`?", near.name)).unwrap_or_default();
            findings.push(wrong(format!("{place}column `{table}.{}` does not exist{near}", column.name)));
            continue;
        };
        for mask in column.masks.iter().filter(|mask| !mask.fits(real.class)) {
            findings.push(wrong(format!(
                "{place}mask `{mask}` does not fit column `{table}.{}` of type {}",
                column.name, real.type_sql
            )));
        }
    }
    if policies.governance(table) == Governance::Governed {
        for real in &relation.columns {
            if !listed.iter().any(|column| column.name == real.name) {
                findings.push(note(format!("{place}column `{table}.{}` has no category, so it is denied", real.name)));
            }
        }
    }
}

fn subjects(policies: &PolicySet, catalog: &Catalog, findings: &mut Vec<Finding>) {
    for table in policies.listed_tables() {
        let place = policies.listed_at(&table).map(|place| format!("{place}: ")).unwrap_or_default();
        let mut missing = |relation: &RelationName, column: &str| {
            if catalog.relation(relation).is_some_and(|relation| relation.column(column).is_none()) {
                findings.push(wrong(format!(
                    "{place}column `{relation}.{column}` does not exist, and rows of `{table}` lead to their subject by it"
                )));
            }
        };
        let (mut at, mut path) = (table.clone(), policies.listed_subject(&table));
        while let Some(step) = path {
            path = match step {
                SubjectPath::Column(column) => {
                    missing(&at, column);
                    None
                }
                SubjectPath::Through { column, relation, references, next } => {
                    missing(&at, column);
                    missing(relation, references);
                    at = relation.clone();
                    Some(next)
                }
            };
        }
    }
}

fn consents(policies: &PolicySet, catalog: &Catalog, findings: &mut Vec<Finding>) {
    let Some(consent) = policies.listed_consent() else { return };
    let closes = "purposes that need consent are closed";
    match catalog.relation(consent.table) {
        None => findings.push(wrong(format!("{}: table `{}` does not exist: {closes}", consent.place, consent.table))),
        Some(relation) => {
            for column in [consent.subject, consent.purpose] {
                if relation.column(column).is_none() {
                    findings.push(wrong(format!(
                        "{}: column `{}.{column}` does not exist: {closes}",
                        consent.place, consent.table
                    )));
                }
            }
        }
    }
}

/// Views, partitions and children that are not listed themselves.
fn reached(policies: &PolicySet, catalog: &Catalog, findings: &mut Vec<Finding>) {
    let governed = |oid: &u32| {
        catalog
            .relation_by_oid(*oid)
            .filter(|relation| policies.governance(&relation.name) == Governance::Governed)
            .map(|relation| relation.name.to_string())
    };
    for relation in catalog.relations() {
        let treated = policies.governance(&relation.name);
        if treated == Governance::Governed
            || matches!(relation.name.schema.as_str(), "pg_catalog" | "information_schema")
        {
            continue;
        }
        let name = &relation.name;
        if let Some(parent) = catalog.ancestors(relation.oid).iter().find_map(governed) {
            findings.push(note(format!("`{name}` is a partition or child of `{parent}` and is governed as it is")));
        }
        let kind = match relation.kind {
            RelationKind::View => "view",
            RelationKind::MaterializedView => "materialized view",
            RelationKind::Table
            | RelationKind::PartitionedTable
            | RelationKind::ForeignTable
            | RelationKind::Sequence
            | RelationKind::Toast
            | RelationKind::Other => "relation",
        };
        for table in relation.reaches.iter().filter_map(governed) {
            let text = format!("{kind} `{name}` reads `{table}`, which a policy governs");
            findings.push(match treated {
                Governance::Open => wrong(format!("{text}, and is listed as open: list its own columns")),
                Governance::Governed | Governance::UnlistedDeny | Governance::UnlistedAllow => {
                    note(format!("{text}: it is refused until its own columns are listed"))
                }
            });
        }
    }
}

/// Functions, not of an extension, whose text names a governed table, or which depend on one.
const FUNCTIONS: &str = "SELECT n.nspname || '.' || p.proname, l.lanname::text, p.prosecdef, t.name \
    FROM pg_catalog.pg_proc AS p \
    JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace \
    JOIN pg_catalog.pg_language AS l ON l.oid = p.prolang \
    CROSS JOIN ROWS FROM (pg_catalog.unnest($1::text[]), pg_catalog.unnest($2::text[])) AS t(schema, name) \
    WHERE n.nspname NOT IN ('pg_catalog', 'information_schema') \
    AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend AS d WHERE d.objid = p.oid AND d.deptype = 'e') \
    AND (pg_catalog.regexp_replace(p.prosrc, '[^[:alnum:]_]+', ' ', 'g') ~* ('(^| )' || pg_catalog.regexp_replace(t.name, '[^[:alnum:]_]+', ' ', 'g') || '( |$)') \
    OR EXISTS (SELECT FROM pg_catalog.pg_depend AS d JOIN pg_catalog.pg_class AS c ON c.oid = d.refobjid \
    WHERE d.objid = p.oid AND d.classid = 'pg_catalog.pg_proc'::regclass \
    AND c.relname = t.name AND c.relnamespace = (SELECT s.oid FROM pg_catalog.pg_namespace AS s WHERE s.nspname = t.schema))) \
    ORDER BY 1, 4";

/// Each list of opt-outs: its name, its day, how old it is by South Africa's day. `{}` is their table.
const LISTS: &str = "SELECT list::text, as_of::text, \
    (pg_catalog.timezone('02:00'::pg_catalog.interval, pg_catalog.now()))::pg_catalog.date - as_of FROM {} ORDER BY 1";

/// Within so many days of growing stale a list is worth a note.
const SOON: i64 = 7;

/// Lists of opt-outs that are stale, or missing: purposes of direct marketing that need them see nobody.
pub(super) async fn opt_out_lists(policies: &PolicySet, client: &Client) -> Vec<Finding> {
    let (Some((_, lists, _)), mut findings) = (policies.opt_out_tables(), Vec::new()) else { return Vec::new() };
    let needed: Vec<(&str, u32)> = policies.opt_outs_needed().collect();
    if needed.is_empty() {
        return findings;
    }
    let rows = match client.query(&LISTS.replace("{}", &lists.to_sql()), &[]).await {
        Ok(rows) => rows,
        Err(error) => {
            let why = error.as_db_error().map_or_else(|| error.to_string(), |error| error.message().to_owned());
            return vec![note(format!("`{lists}` could not be read, so that nothing is known of its lists: {why}"))];
        }
    };
    for (purpose, days) in &needed {
        if rows.is_empty() {
            findings.push(wrong(format!("`{lists}` holds no list of opt-outs: purpose `{purpose}` sees nobody")));
        }
        for row in &rows {
            let (Ok(list), Ok(as_of), Ok(age)) =
                (row.try_get::<_, String>(0), row.try_get::<_, Option<String>>(1), row.try_get::<_, Option<i32>>(2))
            else {
                findings.push(wrong(format!("`{lists}.as_of` is not a date: purpose `{purpose}` is closed")));
                break;
            };
            let name = format!("list `{list}` of opt-outs");
            let nobody = format!("purpose `{purpose}` sees nobody");
            let (Some(as_of), Some(age)) = (as_of, age.map(i64::from)) else {
                findings.push(wrong(format!("{name} has no day: {nobody}")));
                continue;
            };
            let left = i64::from(*days) - age;
            if age < 0 {
                findings.push(wrong(format!("{name} is of {as_of}, a day to come: {nobody}")));
            } else if left < 0 {
                let stale = format!("{name} is of {as_of}, {age} days ago, and may be {days} days old");
                findings.push(wrong(format!("{stale}: {nobody} until a newer one is imported")));
            } else if left <= SOON {
                let soon = format!("{name} is of {as_of}, {age} days ago, and may be {days} days old");
                findings.push(note(format!("{soon}: {nobody} in {} days", left + 1)));
            }
        }
    }
    findings
}

/// What the functions of the database read, as far as their text tells, by their names.
///
/// # Errors
/// The database's answer, in words for the operator.
pub(in crate::cli) async fn functions(policies: &PolicySet, client: &Client) -> Result<Vec<(String, Finding)>, String> {
    let governed: Vec<RelationName> = policies
        .listed_tables()
        .into_iter()
        .filter(|table| policies.governance(table) == Governance::Governed)
        .collect();
    let (schemas, names): (Vec<&str>, Vec<&str>) =
        governed.iter().map(|table| (table.schema.as_str(), table.name.as_str())).unzip();
    let failed = |error: tokio_postgres::Error| format!("the functions could not be read: {error}");
    let mut findings = Vec::new();
    for row in client.query(FUNCTIONS, &[&schemas, &names]).await.map_err(failed)? {
        let (function, language): (String, String) = (row.try_get(0).map_err(failed)?, row.try_get(1).map_err(failed)?);
        let (definer, table): (bool, String) = (row.try_get(2).map_err(failed)?, row.try_get(3).map_err(failed)?);
        let rights = if definer { ", with its owner's rights" } else { "" };
        let (schema, name) = function.split_once('.').unwrap_or(("", &function));
        let text = format!("function `{function}` ({language}) names `{table}`{rights}");
        let finding = if policies.allows_function(schema, name) {
            wrong(format!("{text}, and the policies allow it: what it reads is not masked"))
        } else {
            note(format!("{text}: calls are refused unless the policies allow it"))
        };
        findings.push((function.clone(), finding));
    }
    Ok(findings)
}
