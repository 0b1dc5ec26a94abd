//! What a statement would get, without running it: the core of `explain` and of the policies' own tests.

use jiff::civil::Date;
use serde_json::{Value, json};

use crate::catalog::Catalog;
use crate::error::{Refusal, SqlState, Stage};
use crate::policy::{AccessReport, PolicySet, Role, Verdict};
use crate::sql::{self, Context, Stated};

/// Who asks, why, and under which snapshots.
pub(super) struct Question<'a> {
    pub(super) policies: &'a PolicySet,
    pub(super) catalog: &'a Catalog,
    pub(super) role: &'a Role,
    pub(super) login: &'a str,
    pub(super) purpose: Option<&'a str>,
    /// The application's end user, where one is stated.
    pub(super) actor: Option<&'a str>,
    pub(super) today: Date,
    /// Schemas of names that are written without one, `$user` replaced.
    pub(super) search_path: Vec<String>,
}

/// The search path of a session that nothing was set for: `"$user", public`.
pub(super) fn default_path(login: &str) -> Vec<String> {
    vec![login.to_owned(), "public".to_owned()]
}

/// What it would get.
#[derive(Debug, Clone)]
pub(super) enum Judged {
    /// It would run as this text.
    Runs { text: String, report: AccessReport },
    /// It would be refused.
    Refused { refusal: Refusal, report: AccessReport },
}

/// Judges one message of simple query; where it holds several statements, each in its turn until one is refused, as a
/// session does. Call it on a thread with a large stack.
pub(super) fn judge(text: &str, question: &Question<'_>) -> Judged {
    let statements = match sql::split(text) {
        Ok(statements) => statements,
        Err(refusal) => return refused(refusal),
    };
    let mut all: Option<Judged> = None;
    for statement in statements {
        let next = judge_one(statement, question);
        all = Some(match all {
            None => next,
            Some(before) => before.and(next),
        });
        if matches!(all, Some(Judged::Refused { .. })) {
            break;
        }
    }
    all.unwrap_or_else(|| Judged::Runs { text: String::new(), report: AccessReport::allow() })
}

fn judge_one(text: &str, question: &Question<'_>) -> Judged {
    let (purpose, actor) = match purpose(text, question) {
        Ok(said) => said,
        Err(refusal) => return refused(refusal),
    };
    let decided = if question.role.unrestricted.is_some() {
        sql::relay_unrestricted(text, question.role)
    } else {
        sql::enforce(
            text,
            &Context {
                actor: actor.as_deref(),
                ..Context::new(
                    question.catalog,
                    question.policies,
                    question.login,
                    &purpose,
                    &question.search_path,
                    question.today,
                )
            },
        )
    };
    let enforced = match decided {
        Ok(enforced) => enforced,
        Err(no) => return Judged::Refused { refusal: no.refusal, report: no.report },
    };
    // A session looks at what was prepared in it; here nothing was.
    if enforced.counts_met() {
        let message = "EXPLAIN ANALYZE is open for a prepared statement that leaves no rows out, which its session alone can tell";
        return refused(
            Refusal::new(Stage::Decide, SqlState::INSUFFICIENT_PRIVILEGE, message)
                .hint("ask about the statement itself"),
        );
    }
    match sql::admitted(enforced.effect(), question.policies, question.role, &purpose, question.today) {
        Ok(()) => Judged::Runs { text: enforced.text().to_owned(), report: enforced.report().clone() },
        Err(refusal) => refused(refusal),
    }
}

/// Purpose and actor that would be in force: the statement's own comment, the one asked for, the role's default. An unrestricted
/// role without purposes needs none.
fn purpose(text: &str, question: &Question<'_>) -> Result<(String, Option<String>), Refusal> {
    let unrestricted = question.role.unrestricted.is_some();
    let stated = match sql::stated(text) {
        Ok(stated) => stated,
        Err(_) if unrestricted => Stated::default(),
        Err(refusal) => return Err(refusal),
    };
    let named = stated.purpose.as_deref().or(question.purpose);
    let actor = stated.actor.or_else(|| question.actor.map(str::to_owned)).filter(|actor| !actor.is_empty());
    let purpose = match named.or_else(|| question.role.purposes.first().map(String::as_str)) {
        Some(purpose) => Ok(purpose.to_owned()),
        None if unrestricted => Ok(String::new()),
        None => Err(Refusal::new(
            Stage::Session,
            SqlState::INSUFFICIENT_PRIVILEGE,
            format!("role `{}` has no purpose", question.role.name),
        )),
    };
    Ok((purpose?, actor))
}

pub(super) fn refused(refusal: Refusal) -> Judged {
    Judged::Refused { report: AccessReport::deny(refusal.message.clone()), refusal }
}

impl Judged {
    /// The first statement of a batch and the next: one refusal refuses all.
    fn and(self, next: Self) -> Self {
        match (self, next) {
            (Self::Runs { text: a, report: x }, Self::Runs { text: b, report: y }) => {
                let relations = x.relations.into_iter().chain(y.relations).collect();
                let report =
                    AccessReport { verdict: x.verdict.max(y.verdict), relations, reason: x.reason.or(y.reason) };
                Self::Runs { text: format!("{a}; {b}"), report }
            }
            (refused @ Self::Refused { .. }, _) | (_, refused @ Self::Refused { .. }) => refused,
        }
    }

    /// Allow, mask or deny.
    pub(super) fn verdict(&self) -> Verdict {
        match self {
            Self::Runs { report, .. } => report.verdict,
            Self::Refused { .. } => Verdict::Deny,
        }
    }

    /// Whether it runs and shows groups of data subjects only.
    pub(super) fn shows_groups(&self) -> bool {
        match self {
            Self::Runs { report, .. } => report.shows_groups(),
            Self::Refused { .. } => false,
        }
    }

    /// All words that say why not.
    pub(super) fn reasons(&self) -> String {
        match self {
            Self::Runs { .. } => String::new(),
            Self::Refused { refusal, report } => {
                [Some(&refusal.message), refusal.detail.as_ref(), refusal.hint.as_ref(), report.reason.as_ref()]
                    .into_iter()
                    .flatten()
                    .cloned()
                    .collect::<Vec<_>>()
                    .join("; ")
            }
        }
    }

    /// As one JSON object; `stage` says where it was refused.
    pub(super) fn json(&self) -> Value {
        match self {
            Self::Runs { text, report } => json!({
                "verdict": report.verdict, "stage": null, "relations": report.relations, "forward": text,
            }),
            Self::Refused { refusal, report } => json!({
                "verdict": Verdict::Deny, "stage": refusal.stage, "sqlstate": refusal.sqlstate.as_str(),
                "message": refusal.message, "detail": refusal.detail, "hint": refusal.hint,
                "relations": report.relations, "reason": report.reason,
            }),
        }
    }
}

#[cfg(test)]
mod tests;
