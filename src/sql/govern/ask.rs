//! `EXPLAIN POLICY statement`: what the statement would get, as rows of text.
//!
//! The statement is decided and goes no further: what is sent to the database is a constant. The answer holds what a refusal,
//! or the rows themselves, would have told: not what the statement would have become, and no name of a column that only a star
//! reached and that is closed. The DBA's `pgpurpose explain` shows all.

use super::effect::Effect;
use super::enforce::enforce;
use super::enforced::{Plan, Refused, Tree, refused};
use crate::error::{Refusal, Stage};
use crate::policy::{AccessReport, ColumnReport, Role, Use, Verdict};
use crate::sql::form::context::Context;
use crate::sql::text::lex::{Kind, Token, lex};

/// The statement that is asked about; `None` where nothing is.
pub(in crate::sql) fn question(text: &str) -> Option<&str> {
    let tokens = lex(text).ok()?;
    let mut tokens = tokens.iter().filter(|token| token.kind != Kind::Comment);
    let (explain, policy) = (tokens.next()?, tokens.next()?);
    if explain.is_word("explain") && policy.is_word("policy") { text.get(policy.end..) } else { None }
}

/// Decides the statement and tells what came of it, in observe mode too.
pub(in crate::sql) fn answer(statement: &str, context: &Context<'_>) -> Result<Plan, Box<Refused>> {
    if question(statement).is_some() {
        return Err(refused(Refusal::syntax(Stage::Parse, "EXPLAIN POLICY of EXPLAIN POLICY tells nothing")));
    }
    let judged = enforce(statement, &Context { observe: false, ..*context });
    let (report, refusal) = match &judged {
        Ok(enforced) => (enforced.report(), None),
        Err(refused) => (&refused.report, Some(&refused.refusal)),
    };
    let verdict = if refusal.is_some() { Verdict::Deny } else { report.verdict };
    let mut lines = vec![format!("verdict: {}", name(verdict))];
    lines.push(for_whom(context));
    if context.observe {
        lines.push("observe mode: it would run as it stands, and the log would say this".to_owned());
    }
    if report.shows_groups() {
        lines.extend(context.policies.budgets(context.purpose).map(|(purpose, budget)| {
            format!("counts as one of {budget} queries a day and login for purpose {purpose}")
        }));
    }
    let looks_up = judged.as_ref().is_ok_and(|enforced| enforced.lookups().count > 0);
    lines.extend(relations(report, looks_up));
    if let Some(refusal) = refusal {
        lines.push(format!("refused with {}: {}", refusal.sqlstate, refusal.message));
        lines.extend(refusal.detail.iter().map(|detail| format!("detail: {detail}")));
        lines.extend(refusal.hint.iter().map(|hint| format!("hint: {hint}")));
    }
    Ok(told(&lines, statement))
}

/// The same for a role whose statements are not decided.
pub(in crate::sql) fn unrestricted(statement: &str, role: &Role) -> Plan {
    let reason = role.unrestricted.as_deref().unwrap_or_default();
    let lines = [format!("verdict: {}", name(Verdict::Allow)), format!("role {} is unrestricted: {reason}", role.name)];
    told(&lines, statement)
}

fn told(lines: &[String], statement: &str) -> Plan {
    let parameters = parameters(statement);
    Plan::plain(Tree::Lines("policy", lines), Effect::None).with(|about| about.parameters = parameters)
}

/// The highest `$n`: a driver gives values for all of them.
fn parameters(statement: &str) -> u16 {
    let number = |token: &Token| match token.kind {
        Kind::Param(number) => u16::try_from(number).ok(),
        _ => None,
    };
    lex(statement).unwrap_or_default().iter().filter_map(number).max().unwrap_or(0)
}

fn name(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Allow => "allow",
        Verdict::Mask => "mask",
        Verdict::Deny => "deny",
    }
}

/// Role, purpose, and why that is lawful.
fn for_whom(context: &Context<'_>) -> String {
    let role = context.policies.role_of(context.login).map_or("none", |role| role.name.as_str());
    let basis = context
        .policies
        .purpose(context.purpose)
        .map(|purpose| format!(" ({}, POPIA {})", purpose.basis.name(), purpose.basis.section()));
    format!("role {role} for purpose {}{}", context.purpose, basis.unwrap_or_default())
}

/// `looks_up`: raw values are tested.
fn relations(report: &AccessReport, looks_up: bool) -> Vec<String> {
    let mut lines = Vec::new();
    for relation in &report.relations {
        let rows = relation.filter.as_ref().map(|filter| format!(", rows: {filter}")).unwrap_or_default();
        lines.push(format!("{}{rows}", relation.name));
        let closed = |column: &&ColumnReport| {
            column.uses.iter().all(|used| *used == Use::Star) && matches!(column.action, "omit" | "deny")
        };
        for column in relation.columns.iter().filter(|column| !closed(column)) {
            let mask = column.mask.as_ref().map(|mask| format!(" {mask}")).unwrap_or_default();
            let rule = match &column.rule {
                Some(rule) => format!("by rule `{rule}`"),
                None if column.action == "deny" => "no rule opens it".to_owned(),
                None => "no rule needed".to_owned(),
            };
            lines.push(format!("  {}: {}{mask}, {rule}", column.name, column.action));
            let by_pseudonym = column.mask.as_deref() == Some("token") && column.uses.contains(&Use::Lookup);
            if by_pseudonym && !looks_up {
                let category = column.category.as_deref().unwrap_or(&column.name);
                lines.push(format!(
                    "    a comparison with it makes the pseudonym of every row: `lookup = [\"{category}\"]` in a rule lets it use the index"
                ));
            }
        }
        if let more @ 1.. = relation.columns.iter().filter(closed).count() {
            lines.push(format!("  left out of the star: {more}"));
        }
    }
    lines
}
