//! Runs the policies' own `[[tests]]`.

use super::super::explain::Known;
use super::super::output::{Output, Style, printable};
use super::super::verdict::{Judged, Question, default_path, judge, refused};
use crate::error::{SqlState, Stage};
use crate::policy::{Expected, PolicySet, PolicyTest, Verdict};
use crate::sql::on_parser_stack;

/// Whether all of them pass.
pub(super) fn run(policies: &PolicySet, known: &Known, output: &mut Output) -> bool {
    let (mut failed, mut left_out) = (0, 0);
    for test in policies.tests() {
        let (style, word, why) = match passes(test, policies, known) {
            Ok(Ran::Passed) => continue,
            Ok(Ran::NeedsDatabase(why)) => {
                left_out += 1;
                (Style::Middling, "left out", why)
            }
            Err(why) => {
                failed += 1;
                (Style::Bad, "failed", why)
            }
        };
        let name = printable(test.name.as_deref().unwrap_or(&test.sql));
        let line = format!("{}: {}:{}: {name}: {}", output.styled(style, word), test.file, test.line, printable(&why));
        output.line(line);
    }
    let place = known
        .database
        .as_ref()
        .map_or_else(|| "an assumed catalog".to_owned(), |database| format!("the catalog of `{database}`"));
    let count = policies.tests().len() - left_out;
    if left_out > 0 {
        output.line(format_args!(
            "{left_out} tests need more than the policies say of the database: start it, and run this again"
        ));
    }
    let line = match (count, failed) {
        (0, _) => "the policies have no tests".to_owned(),
        (_, 0) => format!("{}: {count} tests against {place}", output.styled(Style::Good, "passed")),
        (_, _) => format!("{}: {failed} of {count} tests against {place}", output.styled(Style::Bad, "failed")),
    };
    output.line(line);
    failed == 0
}

/// What a name gets that the catalog does not have.
const UNKNOWN: [SqlState; 3] = [SqlState::UNDEFINED_TABLE, SqlState::UNDEFINED_COLUMN, SqlState::UNDEFINED_FUNCTION];

/// How a test that did not fail ended.
#[derive(Debug)]
pub(in crate::cli) enum Ran {
    Passed,
    /// The assumed catalog lacks what the statement names.
    NeedsDatabase(String),
}

pub(in crate::cli) fn passes(test: &PolicyTest, policies: &PolicySet, known: &Known) -> Result<Ran, String> {
    let role = policies.role_of(&test.login).ok_or_else(|| format!("no role has the login `{}`", test.login))?;
    let question = Question {
        policies,
        catalog: &known.catalog,
        role,
        login: &test.login,
        purpose: test.purpose.as_deref(),
        actor: test.actor.as_deref(),
        today: policies.zone().today(),
        search_path: default_path(&test.login),
    };
    let judged = on_parser_stack(|| judge(&test.sql, &question)).unwrap_or_else(refused);
    let reasons = judged.reasons();
    if let (None, Judged::Refused { refusal, .. }) = (&known.database, &judged)
        && refusal.stage == Stage::Resolve
        && UNKNOWN.contains(&refusal.sqlstate)
    {
        return Ok(Ran::NeedsDatabase(refusal.message.clone()));
    }
    let because = if reasons.is_empty() { String::new() } else { format!(" ({reasons})") };
    match test.expect {
        Expected::Verdict(expected) if judged.verdict() != expected => {
            return Err(format!("expected {}, got {}{because}", name(expected), name(judged.verdict())));
        }
        Expected::Aggregate if judged.verdict() == Verdict::Deny => {
            return Err(format!("expected aggregate, got deny{because}"));
        }
        Expected::Aggregate if !judged.shows_groups() => {
            return Err("expected aggregate, and it shows rows: the purpose has no `min_group`".to_owned());
        }
        Expected::Verdict(_) | Expected::Aggregate => {}
    }
    match &test.reason {
        Some(reason) if !reasons.contains(reason.as_str()) => Err(format!(
            "`{reason}` is not in the reason: {}",
            if reasons.is_empty() { "there is none" } else { &reasons }
        )),
        Some(_) | None => Ok(Ran::Passed),
    }
}

fn name(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Allow => "allow",
        Verdict::Mask => "mask",
        Verdict::Deny => "deny",
    }
}
