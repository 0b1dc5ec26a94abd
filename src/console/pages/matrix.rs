//! Role, purpose and category: what is open, and of that what was used.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use jiff::{SignedDuration, Timestamp};

use super::{Frame, blocks};
use crate::console::{Due, tables};
use crate::page::html::escape;
use crate::page::{Block, Table, Words, count, heads};
use crate::policy::{Grant, PolicySet, Way};

/// What was not used in so many days is greyed.
const DAYS: i64 = 90;

/// How a category is open, the widest way first.
fn ways(grants: &[&Grant]) -> String {
    let ways: BTreeSet<Way> = grants.iter().map(|grant| grant.way).collect();
    ways.iter().map(|way| way.name()).collect::<Vec<_>>().join(", ")
}

/// What one role has for one purpose, by category.
pub(in crate::console) type Has<'a> = BTreeMap<&'a str, Vec<&'a Grant>>;

/// By role and purpose.
pub(in crate::console) fn lines(grants: &[Grant]) -> BTreeMap<(&str, &str), Has<'_>> {
    let mut lines: BTreeMap<(&str, &str), Has<'_>> = BTreeMap::new();
    for grant in grants {
        let line = lines.entry((&grant.role, &grant.purpose)).or_default();
        line.entry(&grant.category).or_default().push(grant);
    }
    lines
}

/// `contact (read), identity (mask)`.
pub(in crate::console) fn told(has: &Has<'_>) -> String {
    has.iter().map(|(category, grants)| format!("{category} ({})", ways(grants))).collect::<Vec<_>>().join(", ")
}

/// Logins of a role.
pub(in crate::console) fn logins<'a>(policies: &'a PolicySet, role: &str) -> Vec<&'a str> {
    policies.logins().filter(|login| policies.role_of(login).is_some_and(|of| of.name == role)).collect()
}

pub(in crate::console) fn render(frame: &Frame<'_>, policies: &PolicySet, due: &Result<Vec<Due>, String>) -> String {
    let grants = policies.grants();
    let lines = lines(&grants);
    let desk = frame.console.following.desk();
    let old = Timestamp::now().checked_sub(SignedDuration::from_hours(24 * DAYS)).unwrap_or(Timestamp::MIN);
    let mut out = String::new();
    let (open, used) = lines.iter().fold((0_u64, 0_u64), |(open, used), ((role, purpose), has)| {
        let is_used = |category: &&str| desk.used(role, purpose, category).is_some_and(|used| used.last.time >= old);
        (open + has.len() as u64, used + has.keys().filter(|category| is_used(category)).count() as u64)
    });
    let _ = writeln!(
        out,
        "<p class=\"lead\">{}, of which {} were used within {DAYS} days. What was not used is dashed: it may be more than is needed (POPIA s10).</p>",
        count(open, "opening"),
        crate::page::number(used)
    );
    let mut by_role: BTreeMap<&str, Vec<(&str, &Has<'_>)>> = BTreeMap::new();
    for ((role, purpose), has) in &lines {
        by_role.entry(role).or_default().push((purpose, has));
    }
    for (role, purposes) in by_role {
        let logins = logins(policies, role);
        let _ = write!(
            out,
            "<section class=\"card\">\n<h2><code>{}</code></h2>\n<p class=\"quiet\">{}</p>\n<dl class=\"facts\">\n",
            escape(role),
            if logins.is_empty() {
                "nobody logs in with it".to_owned()
            } else {
                format!("Logins: {}", super::words(&Words::some(&logins)))
            }
        );
        for (purpose, has) in purposes {
            let _ = write!(out, "<div><dt><code>{}</code></dt><dd><ul class=\"chips\">", escape(purpose));
            for (category, grants) in has {
                let used = desk.used(role, purpose, category).filter(|used| used.last.time >= old);
                let (class, when) = match used {
                    Some(used) => {
                        ("", format!("{}, last {}", count(used.statements, "statement"), frame.time(used.last.time)))
                    }
                    None => (" class=\"unused\"", format!("not used in {DAYS} days")),
                };
                let special =
                    if policies.is_special(category) { " <span class=\"special\">special</span>" } else { "" };
                let _ = write!(
                    out,
                    "<li{class}>{}{special} <small>{} – {when}</small></li>",
                    escape(category),
                    ways(grants)
                );
            }
            out.push_str("</ul></dd></div>\n");
        }
        out.push_str("</dl>\n</section>\n");
    }
    unrestricted(&mut out, policies);
    exceptions(&mut out, frame, &desk.exceptions(Timestamp::now()));
    drop(desk);
    requests(&mut out, frame, due);
    frame.page("Who has what", &out)
}

fn unrestricted(out: &mut String, policies: &PolicySet) {
    let rows: Vec<_> = policies
        .roles()
        .filter_map(|role| {
            let why = role.unrestricted.as_ref()?;
            Some(vec![
                Words::code(&role.name).into(),
                Words::some(&logins(policies, &role.name)).into(),
                why.clone().into(),
            ])
        })
        .collect();
    if !rows.is_empty() {
        let table = Table {
            caption: "What these use is not known: their statements are logged and relayed as they are".to_owned(),
            heads: heads([("role", false), ("logins", false), ("why", false)]),
            rows,
        };
        out.push_str(&super::section("Unrestricted", &[Block::Table(table)]));
    }
}

fn exceptions(out: &mut String, frame: &Frame<'_>, open: &[&crate::audit::report::Exception]) {
    out.push_str("<h2>Exceptions in force</h2>\n");
    if open.is_empty() {
        out.push_str("<p>None.</p>\n");
        return;
    }
    out.push_str(&blocks(&[Block::Table(tables::exceptions(frame, open.iter().copied()))]));
}

fn requests(out: &mut String, frame: &Frame<'_>, due: &Result<Vec<Due>, String>) {
    out.push_str("<h2>Requests of data subjects that are open</h2>\n");
    let due = match due {
        Ok(due) if due.is_empty() => return out.push_str("<p>None.</p>\n"),
        Ok(due) => due,
        Err(why) => {
            let _ = writeln!(out, "<p class=\"quiet\">Not known: {}</p>", escape(why));
            return;
        }
    };
    let today = frame.zone.today();
    let rows = due.iter().map(|due| {
        let by = if due.by < today { format!("{} – overdue", due.by) } else { due.by.to_string() };
        vec![
            crate::page::Cell::Record(u64::try_from(due.id).unwrap_or_default()),
            due.asked.clone().into(),
            due.received.to_string().into(),
            by.into(),
        ]
    });
    out.push_str(&blocks(&[Block::Table(Table {
        caption: String::new(),
        heads: heads([("request", true), ("asks for", false), ("received", false), ("last day", false)]),
        rows: rows.collect(),
    })]));
}
