//! A lesson as its file has it: what is told, what is to be done, and how it is seen that it was done.

use clap::ValueEnum;
use serde::Deserialize;

use crate::audit::chain::Hash;

/// Of ten questions so many must be answered rightly.
pub(super) const ENOUGH: usize = 8;

/// The lessons.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LessonName {
    /// For who answers customers.
    Support,
    /// For who writes to customers.
    Marketing,
    /// For who writes the application.
    Developer,
    /// For who keeps the database.
    Dba,
    /// For who reads the access log.
    Reviewer,
    /// For who answers requests.
    Officer,
}

impl LessonName {
    pub(super) fn source(self) -> &'static str {
        match self {
            Self::Support => include_str!("words/support.toml"),
            Self::Marketing => include_str!("words/marketing.toml"),
            Self::Developer => include_str!("words/developer.toml"),
            Self::Dba => include_str!("words/dba.toml"),
            Self::Reviewer => include_str!("words/reviewer.toml"),
            Self::Officer => include_str!("words/officer.toml"),
        }
    }

    /// As it is typed and stored.
    pub(super) fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    /// The beginning of its text's SHA-256.
    pub(super) fn edition(self) -> String {
        Hash::of(self.source().as_bytes()).to_string().chars().take(16).collect()
    }
}

/// One lesson.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Lesson {
    pub(super) title: String,
    /// What it is about, and for whom.
    pub(super) begins: String,
    /// Who asks the database where a step says nothing else.
    pub(super) login: String,
    /// Whether somebody looks people up before it begins, who is to be found.
    #[serde(default)]
    pub(super) snooper: bool,
    pub(super) steps: Vec<Step>,
    pub(super) questions: Vec<Question>,
}

/// Something to do.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Step {
    /// What is to be done, and why.
    pub(super) tell: String,
    /// How it is done.
    pub(super) by: By,
    /// Who asks, where it is another login than the lesson's.
    pub(super) login: Option<String>,
    /// The database's name, where it says the purpose too.
    pub(super) database: Option<String>,
    /// One line that would do it.
    pub(super) hint: String,
    /// What must have happened.
    pub(super) seen: Seen,
    /// What is said then.
    pub(super) done: String,
}

/// How a step is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum By {
    /// A statement is sent through the proxy.
    Statement,
    /// A command of this program's own is run.
    Command,
    /// A word or number is answered.
    Answer,
}

/// What must have happened since the step began; all that is given.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Seen {
    /// A record of the access log.
    pub(super) record: Option<Record>,
    /// SQL over the shop's database that is true, asked behind the proxy.
    pub(super) holds: Option<String>,
    /// The command began with these words, and ended with 0.
    pub(super) ran: Option<String>,
    /// What it printed holds this.
    pub(super) printed: Option<String>,
    /// The answer is this.
    pub(super) truth: Option<Truth>,
}

/// A record of the log, by what stands in it; all that is given.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Record {
    /// `access`, `purpose`, `request` ...
    pub(super) event: String,
    pub(super) login: Option<String>,
    pub(super) purpose: Option<String>,
    pub(super) verdict: Option<String>,
    /// A column that it used, as `table.column`.
    pub(super) column: Option<String>,
    /// What became of that column: `read`, `mask`, `deny`.
    pub(super) action: Option<String>,
    /// It looked a value up.
    #[serde(default)]
    pub(super) lookup: bool,
    /// Its statement holds this.
    pub(super) statement: Option<String>,
    /// The step of a request.
    pub(super) step: Option<String>,
    /// The purpose that was asked for was refused.
    #[serde(default)]
    pub(super) refused: bool,
    /// So many rows came.
    pub(super) rows: Option<u64>,
}

/// What an answer is held against: the log as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Truth {
    /// The application that looked up most.
    Snooper,
    /// How often it did.
    SnoopersLookups,
    /// The column for which it was refused.
    SnoopersWish,
    /// The number of the learner's last record.
    LastRecord,
}

/// A question with its answers.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Question {
    pub(super) ask: String,
    pub(super) answers: Vec<String>,
    /// Which of them is right, from 1.
    pub(super) right: usize,
    pub(super) because: String,
}

impl Lesson {
    /// # Errors
    /// The file is none.
    pub(super) fn load(name: LessonName) -> Result<Self, String> {
        toml::from_str(name.source()).map_err(|error| format!("the lesson `{}`: {error}", name.name()))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn each_lesson_has_steps_that_are_looked_at_and_ten_questions() {
        for name in LessonName::value_variants() {
            let lesson = Lesson::load(*name).unwrap();
            assert!(lesson.steps.len() >= 5, "{name:?}");
            for step in &lesson.steps {
                let Seen { record, holds, ran, printed: _, truth } = &step.seen;
                assert!(
                    record.is_some() || holds.is_some() || ran.is_some() || truth.is_some(),
                    "{name:?}: nothing is looked at: {}",
                    step.tell
                );
                assert_eq!(step.by == By::Answer, truth.is_some(), "{name:?}: {}", step.tell);
            }
            assert_eq!(lesson.questions.len(), 10, "{name:?}");
            let mut right = Vec::new();
            for question in &lesson.questions {
                assert!((2..=4).contains(&question.answers.len()), "{}", question.ask);
                assert!((1..=question.answers.len()).contains(&question.right), "{}", question.ask);
                right.push(question.right);
            }
            right.sort_unstable();
            right.dedup();
            assert!(right.len() > 1, "{name:?}: the right answer is always the same");
        }
    }
}
