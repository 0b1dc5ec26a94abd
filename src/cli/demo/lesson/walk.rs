//! The walk through a lesson: told, done, looked at; then the questions.

use std::io::{self, BufRead, Write};

use super::desk::Desk;
use super::seen;
use super::text::{By, ENOUGH, Lesson, Question, Step};

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Result {
    pub(super) steps: usize,
    pub(super) right: usize,
    pub(super) questions: usize,
}

/// Where the learner reads and types.
pub(super) struct Class<I, O> {
    pub(super) input: I,
    pub(super) out: O,
    /// What is typed is not seen by itself.
    pub(super) echo: bool,
}

impl From<io::Error> for Ended {
    fn from(error: io::Error) -> Self {
        Self(error.to_string())
    }
}

/// Why a lesson ended before its end.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Ended(pub(super) String);

impl<I: BufRead, O: Write> Class<I, O> {
    /// The lesson from its beginning to its end.
    ///
    /// # Errors
    /// The input ended, the learner wanted no more, or too few questions were answered rightly.
    pub(super) fn hold(&mut self, lesson: &Lesson, desk: &mut Desk) -> std::result::Result<Result, Ended> {
        let steps = lesson.steps.len();
        writeln!(self.out, "\n{}\n\n{}", lesson.title, lesson.begins.trim())?;
        writeln!(self.out, "\nType `hint` for a line that does it, `quit` to end.")?;
        for (at, step) in lesson.steps.iter().enumerate() {
            writeln!(self.out, "\nStep {} of {steps}. {}", at + 1, step.tell.trim())?;
            self.step(lesson, step, desk, &format!("step {} of {steps}", at + 1))?;
            writeln!(self.out, "  Done. {}", step.done.trim())?;
        }
        let questions = lesson.questions.len();
        writeln!(self.out, "\nTen questions; {ENOUGH} right answers are enough. Type a letter.")?;
        let mut right = 0;
        for (at, question) in lesson.questions.iter().enumerate() {
            writeln!(self.out, "\nQuestion {} of {questions}. {}", at + 1, question.ask.trim())?;
            if self.question(question, &format!("question {} of {questions}", at + 1))? {
                right += 1;
            }
        }
        writeln!(self.out, "\n{right} of {questions} are right.")?;
        if right < ENOUGH {
            return Err(Ended(format!("{right} of {questions} questions were answered rightly, {ENOUGH} are needed")));
        }
        Ok(Result { steps, right, questions })
    }

    fn step(&mut self, lesson: &Lesson, step: &Step, desk: &mut Desk, place: &str) -> std::result::Result<(), Ended> {
        let login = step.login.as_deref().unwrap_or(&lesson.login);
        let prompt = match step.by {
            By::Statement => format!(
                "{}=> ",
                step.database.as_deref().map_or(login.to_owned(), |database| format!("{login} {database}"))
            ),
            By::Command => "$ pgpurpose ".to_owned(),
            By::Answer => "answer: ".to_owned(),
        };
        let begun = desk.mark()?;
        loop {
            let line = self.read(&prompt, step.by == By::Statement, place)?;
            if line.eq_ignore_ascii_case("hint") {
                writeln!(self.out, "  {}", step.hint.trim())?;
                continue;
            }
            let said = match step.by {
                By::Statement => desk.ask(login, step.database.as_deref(), &line)?,
                By::Command => desk.run(&line)?,
                By::Answer => super::desk::Said { line, text: String::new(), fine: true },
            };
            if !said.text.is_empty() {
                writeln!(self.out, "{}", said.text.trim_end())?;
            }
            match seen::missing(&step.seen, &said, begun, login, desk)? {
                None => return Ok(()),
                Some(missing) => writeln!(self.out, "  Not yet: {missing}. Try again, or type `hint`.")?,
            }
        }
    }

    fn question(&mut self, question: &Question, place: &str) -> std::result::Result<bool, Ended> {
        let letters: Vec<char> = ('a'..='z').take(question.answers.len()).collect();
        for (letter, answer) in letters.iter().zip(&question.answers) {
            writeln!(self.out, "  {letter}) {answer}")?;
        }
        let right = letters.get(question.right.saturating_sub(1)).copied();
        loop {
            let line = self.read("answer: ", false, place)?;
            let typed = line.to_lowercase();
            let Some(letter) = typed.chars().next().filter(|letter| typed.len() == 1 && letters.contains(letter))
            else {
                writeln!(self.out, "  One letter, please.")?;
                continue;
            };
            let fine = Some(letter) == right;
            let says = if fine { "Right.".to_owned() } else { format!("No, {}.", right.unwrap_or('a')) };
            writeln!(self.out, "  {says} {}", question.because.trim())?;
            return Ok(fine);
        }
    }

    /// What is typed: one line, or a statement up to the line that ends with a semicolon.
    fn read(&mut self, prompt: &str, statement: bool, place: &str) -> std::result::Result<String, Ended> {
        let mut typed = String::new();
        write!(self.out, "{prompt}")?;
        self.out.flush()?;
        loop {
            let mut line = String::new();
            if self.input.read_line(&mut line)? == 0 {
                writeln!(self.out)?;
                return Err(Ended(format!("the input ended at {place}")));
            }
            if self.echo {
                writeln!(self.out, "{}", line.trim_end())?;
            }
            let word = line.trim();
            if typed.is_empty() {
                if word.is_empty() {
                    continue;
                }
                if matches!(word, "quit" | "exit" | "\\q") {
                    return Err(Ended(format!("it was left at {place}")));
                }
                if !statement || word.eq_ignore_ascii_case("hint") {
                    return Ok(word.to_owned());
                }
            }
            typed.push_str(&line);
            if word.ends_with(';') {
                return Ok(typed.trim().to_owned());
            }
            // A statement goes on until its semicolon.
            write!(self.out, "-> ")?;
            self.out.flush()?;
        }
    }
}
