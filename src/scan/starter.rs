//! A first policy from what was found: every column of every table, with what speaks for its category.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::Lexicon;
use super::findings::Judged;
use super::judge::Verdict;
use super::kind::{Kind, Level};
use super::structure::Relkind;
use super::subjects::{Subject, subjects};

/// What the text says besides the tables.
#[derive(Debug, Clone, Default)]
pub struct About {
    /// The database's name.
    pub database: String,
    /// The application's login, where one was found.
    pub login: Option<String>,
    /// Whether values were looked at.
    pub values: bool,
}

/// The policy's text. The same findings give the same text.
pub fn starter_policy(judged: &[Judged], about: &About, lexicon: &Lexicon) -> String {
    let subjects = subjects(judged, lexicon);
    let mut text = String::new();
    head(&mut text, judged, about);
    let mut used = BTreeSet::new();
    for table in judged {
        let subject = subjects.get(&(table.table.schema.clone(), table.table.name.clone()));
        one_table(&mut text, table, subject, &mut used);
    }
    categories(&mut text, &used);
    rest(&mut text, &used, about);
    text
}

/// Writing to a `String` cannot fail.
macro_rules! put {
    ($text:expr, $($arguments:tt)*) => {{ let _ = writeln!($text, $($arguments)*); }};
}

fn head(text: &mut String, judged: &[Judged], about: &About) {
    let columns: usize = judged.iter().map(|table| table.verdicts.len()).sum();
    let unsure = judged
        .iter()
        .flat_map(|table| &table.verdicts)
        .filter(|verdict| verdict.level() == Level::Unsure && (verdict.kind.is_some() || verdict.suggested.is_some()))
        .count();
    put!(
        text,
        "# A first policy for the database `{}`: {} tables, {columns} columns, of which somebody should look at {unsure} marked `unsure`.",
        comment(&about.database),
        judged.len()
    );
    put!(
        text,
        "# Behind each column stands what speaks for its category{}. No value of the database stands here.",
        if about.values { "" } else { " (names alone: no value was looked at)" }
    );
    put!(
        text,
        "# Next: correct it, `pgpurpose check --config ... --live`, serve it with `mode = \"observe\"`, then `pgpurpose suggest`.\n"
    );
    put!(text, "version = 1\nunlisted_tables = \"deny\"\n");
}

/// `used`: the categories that the text names.
fn one_table(text: &mut String, table: &Judged, subject: Option<&Subject>, used: &mut BTreeSet<&'static str>) {
    let name = toml_string(&table.name());
    if let Some(skipped) = &table.skipped {
        put!(text, "# not sampled, {}: judged by names alone", comment(skipped));
    }
    // A materialized view may bring rows of other tables along: it is never open.
    let may_be_open = table.table.kind != Relkind::Materialized;
    if may_be_open && !table.is_personal() && subject.is_none() && !table.verdicts.is_empty() {
        put!(
            text,
            "[tables.{name}]\nopen = true    # nothing personal seen in {} columns, and no key leads to people\n",
            table.verdicts.len()
        );
        return;
    }
    put!(text, "[tables.{name}]");
    match subject {
        Some(Subject::Column { column, found }) => put!(text, "subject = {}    # {found}", toml_string(column)),
        Some(Subject::Through { column, references }) => {
            put!(
                text,
                "subject = {{ column = {}, references = {} }}    # by foreign keys",
                toml_string(column),
                toml_string(references)
            );
        }
        None => put!(text, "# subject = \"...\"    # whose row is it? no key leads to people"),
    }
    put!(text, "[tables.{name}.columns]");
    let keys = keys(table, subject);
    for (column, verdict) in table.columns() {
        let is_key = keys.contains(&column.name) && verdict.kind.is_none_or(|kind| kind == Kind::PersonId);
        let category = if is_key { "reference" } else { verdict.policy_category() };
        used.insert(category);
        put!(text, "{} = {}    # {}", key(&column.name), toml_string(category), remark(verdict));
    }
    put!(text, "");
}

/// Columns that only lead to rows.
fn keys(table: &Judged, subject: Option<&Subject>) -> BTreeSet<String> {
    let mut keys: BTreeSet<String> = table.table.primary_key.iter().cloned().collect();
    keys.extend(table.table.foreign_keys.iter().map(|key| key.column.clone()));
    match subject {
        Some(Subject::Column { column, .. } | Subject::Through { column, .. }) => {
            keys.insert(column.clone());
        }
        None => {}
    }
    keys
}

fn remark(verdict: &Verdict) -> String {
    let level = verdict.level().name();
    match (verdict.kind, verdict.suggested) {
        (Some(_), _) | (None, Some(_)) => format!("{level}: {}", comment(&verdict.evidence)),
        (None, None) => comment(&verdict.evidence),
    }
}

fn categories(text: &mut String, used: &BTreeSet<&'static str>) {
    put!(text, "# ---------------------------------------------------------------- categories\n");
    for category in used {
        if Kind::of_category(category).is_some_and(Kind::is_special) {
            put!(
                text,
                "[categories.{category}]\nspecial = true    # POPIA s26: a rule that opens it says its `ground` (s27-33)\n"
            );
        }
    }
}

fn rest(text: &mut String, used: &BTreeSet<&'static str>, about: &About) {
    let login = about.login.as_deref().unwrap_or("app");
    let closed: Vec<&str> =
        used.iter().copied().filter(|category| !matches!(*category, "reference" | "operational")).collect();
    put!(
        text,
        "# ---------------------------------------------------------------- purposes, roles, rules: to be made your own\n"
    );
    put!(
        text,
        "[purposes.operations]\nbasis = \"contract\"    # or another of POPIA s11(1)(a)-(f)\ndescription = \"What the application is there for: say it in a sentence that a data subject understands\"\n"
    );
    put!(
        text,
        "[roles.application]\nlogins = [{}]    # the PostgreSQL logins of the application\npurposes = [\"operations\"]\n",
        toml_string(login)
    );
    let open: Vec<String> = ["operational", "reference"]
        .iter()
        .filter(|category| used.contains(*category))
        .map(|category| toml_string(category))
        .collect();
    if open.is_empty() {
        put!(text, "# No rule: every table is open.");
        return;
    }
    let open = open.join(", ");
    put!(text, "[[rules]]\nname = \"the application sees nothing personal yet\"");
    put!(text, "roles = [\"application\"]\npurposes = [\"operations\"]\nread = [{open}]\nwrite = [{open}]");
    put!(
        text,
        "# What the purpose needs of these goes into `read`, `mask` or `lookup`; what no rule opens stays closed:"
    );
    put!(text, "# {}", if closed.is_empty() { "nothing personal was seen".to_owned() } else { closed.join(", ") });
}

/// A TOML key: bare where it can be.
fn key(name: &str) -> String {
    let bare = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
    if bare { name.to_owned() } else { toml_string(name) }
}

/// A TOML basic string.
fn toml_string(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c if c.is_control() => {
                let _ = write!(out, "\\u{:04X}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// Text that stays within its comment.
fn comment(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use crate::scan::structure::{Column, Table};
    use crate::scan::{Facts, judge_table};

    #[test]
    fn names_of_any_kind_stay_within_their_strings_and_comments() {
        let lexicon = Lexicon::built_in().unwrap();
        let columns = ["e-mail \"x\"\n[rules]", "back\\slash email", "id"].map(|name| Column {
            name: name.to_owned(),
            type_sql: "text".to_owned(),
            comment: None,
        });
        let table = Table {
            schema: "a.b".to_owned(),
            name: "cust\"omers\n".to_owned(),
            columns: columns.to_vec(),
            ..Table::default()
        };
        let facts: Vec<Facts> = columns
            .iter()
            .map(|column| Facts { name: column.name.clone(), type_sql: column.type_sql.clone(), ..Facts::default() })
            .collect();
        let judged = [Judged { verdicts: judge_table(&table.name, &facts, &lexicon), table, skipped: None }];
        let about = About { database: "d\nx".to_owned(), ..About::default() };
        let text = starter_policy(&judged, &about, &lexicon);
        let read: toml::Table = toml::from_str(&text).unwrap();
        let columns = read["tables"]["\"a.b\".\"cust\"\"omers\n\""]["columns"].as_table().unwrap();
        assert_eq!(columns.len(), 3);
        assert_eq!(columns["e-mail \"x\"\n[rules]"].as_str(), Some("contact"));
        assert_eq!(text, starter_policy(&judged, &about, &lexicon));
    }
}
