//! `pgpurpose suggest`: the smallest rules that what was done would need, from the access log.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use clap::Args;
use serde_json::Value;

use super::Ending;
use super::days::{self, Days};
use super::output::{Output, Style, printable};
use super::setup;
use crate::audit::read::Entry;
use crate::audit::{self, Filter};
use crate::config::{Config, When};
use crate::policy::{Governance, PolicySet};

#[derive(Debug, Args)]
pub(super) struct SuggestArgs {
    /// The configuration file: its policies and its access log
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// The folder of the access log, where it is another than the configuration's
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Not before: `2026-11-22`, or so long ago: `2h`, `7d`
    #[arg(long, alias = "from", value_name = "TIME")]
    since: Option<When>,
    #[command(flatten)]
    days: Days,
    /// Write the rules into this file
    #[arg(short, long = "out", value_name = "FILE")]
    out: Option<PathBuf>,
}

/// What one role did for one purpose.
#[derive(Debug, Default)]
struct Done {
    statements: u64,
    logins: BTreeSet<String>,
    /// Column by its full name, and how often.
    read: BTreeMap<String, Need>,
    lookup: BTreeMap<String, Need>,
    write: BTreeMap<String, Need>,
    delete: BTreeMap<String, Need>,
    /// What rules on columns do not mend, and how often.
    refused: BTreeMap<String, u64>,
}

#[derive(Debug, Default, Clone)]
struct Need {
    times: u64,
    category: Option<String>,
}

/// By role and purpose.
type Usage = BTreeMap<(String, String), Done>;

pub(super) fn run(arguments: &SuggestArgs, output: &mut Output) -> Ending {
    let Some((config, policies)) = setup::loaded(Config::load(&arguments.config), output) else { return Ending::Wrong };
    let since = match days::bounds(arguments.since.as_ref(), None, &arguments.days.zone(Some(&config))) {
        Ok((since, _)) => since,
        Err(error) => return output.wrong(error),
    };
    let folder = arguments.dir.clone().unwrap_or(config.audit.directory);
    let filter = Filter { event: Some("access".to_owned()), since, ..Filter::default() };
    let mut usage = Usage::new();
    let read = audit::search(&folder, filter, false, |entry| {
        count(&entry, &mut usage);
        true
    });
    if let Err(error) = read {
        return output.wrong(format_args!("the access log in `{}` cannot be read: {error}", folder.display()));
    }
    if usage.is_empty() {
        return output.wrong(format_args!(
            "`{}` holds no statement of a role of that time: serve with `mode = \"observe\"` for some days first",
            folder.display()
        ));
    }
    let text = rules(&usage, &policies);
    match &arguments.out {
        Some(file) => match std::fs::write(file, &text) {
            Ok(()) => {
                let roles = usage.len();
                let line = output.styled(
                    Style::Good,
                    format_args!("rules for {roles} pairs of role and purpose are in `{}`", file.display()),
                );
                output.remark(line);
            }
            Err(error) => return output.wrong(format_args!("`{}` cannot be written: {error}", file.display())),
        },
        None => output.line(text.trim_end()),
    }
    Ending::Fine
}

fn count(entry: &Entry, usage: &mut Usage) {
    let (Some(role), Some(purpose)) = (entry.text("role"), entry.text("purpose")) else { return };
    let done = usage.entry((role.to_owned(), purpose.to_owned())).or_default();
    done.statements += 1;
    done.logins.extend(entry.text("login").map(str::to_owned));
    let relations = entry.field("relations").and_then(Value::as_array).cloned().unwrap_or_default();
    let mut closed = false;
    for relation in &relations {
        let name = relation.get("name").and_then(Value::as_str).unwrap_or_default();
        for column in relation.get("columns").and_then(Value::as_array).into_iter().flatten() {
            closed |= column.get("action").and_then(Value::as_str) == Some("deny");
            one_column(name, column, done);
        }
    }
    let statement = entry.text("statement").unwrap_or_default().trim_start();
    if statement.get(..6).is_some_and(|word| word.eq_ignore_ascii_case("delete"))
        && let [relation] = relations.as_slice()
    {
        let name = relation.get("name").and_then(Value::as_str).unwrap_or_default();
        done.delete.entry(name.to_owned()).or_default().times += 1;
        // The rule that names the table mends that.
        closed = true;
    }
    if let Some(reason) = entry.text("reason").filter(|_| !closed) {
        *done.refused.entry(reason.to_owned()).or_default() += 1;
    }
}

fn one_column(relation: &str, column: &Value, done: &mut Done) {
    let Some(name) = column.get("name").and_then(Value::as_str) else { return };
    let uses: Vec<&str> =
        column.get("use").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    let category = column.get("category").and_then(Value::as_str).map(str::to_owned);
    let add = |needs: &mut BTreeMap<String, Need>| {
        let need = needs.entry(format!("{relation}.{name}")).or_default();
        need.times += 1;
        need.category.clone_from(&category);
    };
    if uses.contains(&"write") {
        add(&mut done.write);
    }
    let read = uses.iter().any(|used| !matches!(*used, "write" | "lookup" | "star"));
    // A star leaves out what is closed: it needs nothing.
    match (read, uses.contains(&"lookup")) {
        (true, _) => add(&mut done.read),
        (false, true) => add(&mut done.lookup),
        (false, false) => {}
    }
}

/// Writing to a `String` cannot fail.
macro_rules! put {
    ($text:expr, $($arguments:tt)*) => {{
        $text.push_str(&format!($($arguments)*));
        $text.push('\n');
    }};
}

fn rules(usage: &Usage, policies: &PolicySet) -> String {
    let mut text = String::new();
    let listed = listed(policies);
    put!(
        text,
        "# Rules that what was done would need, from the access log. They open as little as was used; whether it should have been used"
    );
    put!(
        text,
        "# is for you to say. Special personal information stands commented out: its rule needs a `ground` (POPIA s27-33).\n"
    );
    put!(text, "version = 1\n");
    for ((role, purpose), done) in usage {
        let unrestricted = policies.roles().any(|known| known.name == *role && known.unrestricted.is_some());
        let logins: Vec<&str> = done.logins.iter().map(String::as_str).collect();
        put!(text, "# {} statements of {} for `{}`", done.statements, comment(&logins.join(", ")), comment(purpose));
        if unrestricted {
            put!(text, "# role `{}` is unrestricted: it needs no rule\n", comment(role));
            continue;
        }
        rule(&mut text, (role, purpose), done, &listed, policies);
        for (reason, times) in &done.refused {
            put!(text, "# still refused, {times} times: {}", comment(reason));
        }
        put!(text, "");
    }
    text
}

/// Every governed column and table by its full name.
fn listed(policies: &PolicySet) -> BTreeSet<String> {
    let tables =
        policies.listed_tables().into_iter().filter(|table| policies.governance(table) == Governance::Governed);
    tables
        .flat_map(|table| {
            let columns = policies
                .listed_columns(&table)
                .into_iter()
                .map(|column| format!("{table}.{}", column.name))
                .collect::<Vec<_>>();
            std::iter::once(table.to_string()).chain(columns)
        })
        .collect()
}

fn rule(
    text: &mut String,
    (role, purpose): (&str, &str),
    done: &Done,
    listed: &BTreeSet<String>,
    policies: &PolicySet,
) {
    let lists = [("read", &done.read), ("lookup", &done.lookup), ("write", &done.write), ("delete", &done.delete)];
    if lists.iter().all(|(_, needs)| needs.is_empty()) {
        put!(text, "# nothing of it touched a table");
        return;
    }
    put!(
        text,
        "[[rules]]\nname = {}\nroles = [{}]\npurposes = [{}]",
        quoted(&format!("what {role} did for {purpose}")),
        quoted(role),
        quoted(purpose)
    );
    let known = |name: &String| listed.contains(name) || policies.names_by_pattern(name);
    let unlisted = lists.iter().flat_map(|(_, needs)| needs.keys()).filter(|name| !known(name));
    let unlisted: BTreeSet<&String> = unlisted.collect();
    if !unlisted.is_empty() {
        let names: Vec<String> = unlisted.iter().map(|name| comment(name)).collect();
        put!(text, "# of open tables, or listed nowhere: {}", names.join(", "));
    }
    for (key, needs) in lists {
        // Columns of open tables need no rule.
        let needs: Vec<_> = needs.iter().filter(|(name, _)| known(name)).collect();
        if needs.is_empty() {
            continue;
        }
        put!(text, "{key} = [");
        for (name, need) in needs {
            let special = need.category.as_deref().is_some_and(|category| policies.is_special(category));
            let hidden = if special { "# " } else { "" };
            let category = need.category.as_deref().map(|category| format!("{category}, ")).unwrap_or_default();
            put!(text, "    {hidden}{},    # {}{} times", quoted(name), comment(&category), need.times);
        }
        put!(text, "]");
    }
}

fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

fn comment(text: &str) -> String {
    printable(text)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn entry(line: &str) -> Entry {
        Entry::parse(line.as_bytes()).unwrap()
    }

    #[test]
    fn what_was_used_is_counted_by_role_and_purpose() {
        let mut usage = Usage::new();
        for _ in 0..2 {
            count(
                &entry(
                    r#"{"event":"access","login":"a","role":"agent","purpose":"support","statement":"SELECT email FROM t","relations":[{"name":"public.t","columns":[{"name":"email","category":"contact","use":["output"],"action":"deny"},{"name":"note","use":["star"],"action":"omit"}]}],"reason":"closed"}"#,
                ),
                &mut usage,
            );
        }
        count(
            &entry(
                r#"{"event":"access","login":"a","role":"agent","purpose":"support","statement":"DELETE FROM t WHERE id = $1","relations":[{"name":"public.t","columns":[{"name":"id","use":["lookup"],"action":"read"}]}],"reason":null}"#,
            ),
            &mut usage,
        );
        count(
            &entry(
                r#"{"event":"access","login":"a","role":"agent","purpose":"support","statement":"SELECT dblink($1)","relations":[],"reason":"function `dblink` is not allowed"}"#,
            ),
            &mut usage,
        );
        let done = usage.get(&("agent".to_owned(), "support".to_owned())).unwrap();
        assert_eq!((done.statements, done.read.get("public.t.email").unwrap().times, done.read.len()), (4, 2, 1));
        assert!(done.lookup.contains_key("public.t.id") && done.delete.contains_key("public.t"));
        assert_eq!(done.refused.keys().collect::<Vec<_>>(), ["function `dblink` is not allowed"]);
        // What a pattern lists is listed; what none does needs more than a rule.
        let policies = "version = 1\n[tables.\"public.*\"]\nsubject = false\ncolumns = { \"e*\" = \"contact\" }\n";
        let policies = PolicySet::from_sources(&[("p.toml".into(), policies.into())]).unwrap();
        let text = rules(&usage, &policies);
        assert!(text.contains("\"public.t.email\",    # contact, 2 times") && text.contains("\"public.t\","), "{text}");
        assert!(text.contains("# of open tables, or listed nowhere: public.t.id"), "{text}");
    }
}
