//! What a statement would get, without running it: the core of `explain` and of the policies' own tests.

use jiff::civil::Date;
use serde_json::{Value, json};

use crate::catalog::Catalog;
use crate::error::{Refusal, SqlState, Stage};
use crate::policy::{AccessReport, PolicySet, Role, Verdict};
use crate::sql::{self, Context};

/// Who asks, why, and under which snapshots.
pub(super) struct Question<'a> {
    pub(super) policies: &'a PolicySet,
    pub(super) catalog: &'a Catalog,
    pub(super) role: &'a Role,
    pub(super) login: &'a str,
    pub(super) purpose: Option<&'a str>,
    pub(super) today: Date,
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
    if question.role.unrestricted.is_some() {
        return match sql::relay_unrestricted(text, question.role) {
            Ok(enforced) => Judged::Runs { text: enforced.text().to_owned(), report: enforced.report().clone() },
            Err(no) => Judged::Refused { refusal: no.refusal, report: no.report },
        };
    }
    let purpose = match purpose(text, question) {
        Ok(purpose) => purpose,
        Err(refusal) => return refused(refusal),
    };
    let search_path = [question.login.to_owned(), "public".to_owned()];
    let context = Context {
        catalog: question.catalog,
        policies: question.policies,
        login: question.login,
        purpose: &purpose,
        search_path: &search_path,
        today: question.today,
        observe: false,
        parameters: &[],
        constants: sql::Asked::default(),
        steps: sql::Steps::default(),
    };
    match sql::enforce(text, &context) {
        Ok(enforced) => Judged::Runs { text: enforced.text().to_owned(), report: enforced.report().clone() },
        Err(no) => Judged::Refused { refusal: no.refusal, report: no.report },
    }
}

/// The purpose that would be in force: the statement's own comment, the one asked for, the role's default.
fn purpose(text: &str, question: &Question<'_>) -> Result<String, Refusal> {
    let no_purpose = || {
        Refusal::new(
            Stage::Session,
            SqlState::INSUFFICIENT_PRIVILEGE,
            format!("role `{}` has no purpose", question.role.name),
        )
    };
    let stated = sql::stated_purpose(text)?;
    let purpose = stated
        .as_deref()
        .or(question.purpose)
        .or_else(|| question.role.purposes.first().map(String::as_str))
        .ok_or_else(no_purpose)?
        .to_owned();
    match question.policies.check_purpose(question.role, &purpose, question.today) {
        Ok(()) => Ok(purpose),
        Err(reason) => {
            let mut refusal = Refusal::new(Stage::Session, SqlState::INSUFFICIENT_PRIVILEGE, reason.message);
            refusal.detail = reason.rule.map(|rule| format!("rule `{rule}`"));
            refusal.hint = reason.hint;
            Err(refusal)
        }
    }
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
