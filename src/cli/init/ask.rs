//! Questions to whoever sets the proxy up: on a terminal, from a pipe, or answered beforehand by `--yes`.

use std::io::{self, BufRead, IsTerminal};

use zeroize::Zeroizing;

use super::super::output::{Output, Style};
use crate::config::Secret;

/// Who answers.
pub(super) struct Asker {
    /// Every step is taken, and what is not said is as it is by default.
    pub(super) yes: bool,
}

impl Asker {
    /// Whether a step is taken. `--yes` takes it.
    ///
    /// # Errors
    /// Nobody answers.
    pub(super) fn step(&self, question: &str, output: &mut Output) -> Result<bool, String> {
        if self.yes { Ok(true) } else { self.decide(question, true, output) }
    }

    /// Something that must not happen by itself: `--yes` is no answer to it.
    ///
    /// # Errors
    /// Nobody answers.
    pub(super) fn allowed(&self, question: &str, output: &mut Output) -> Result<bool, String> {
        if self.yes { Ok(false) } else { self.decide(question, false, output) }
    }

    fn decide(&self, question: &str, usual: bool, output: &mut Output) -> Result<bool, String> {
        loop {
            let answer = self.read(&format!("{question} [{}] ", if usual { "Y/n" } else { "y/N" }), output)?;
            match answer.to_ascii_lowercase().as_str() {
                "" => return Ok(usual),
                "y" | "yes" => return Ok(true),
                "n" | "no" => return Ok(false),
                _ => output.remark("y or n"),
            }
        }
    }

    /// A text; `usual` where nothing is typed.
    ///
    /// # Errors
    /// Nobody answers, or `--yes` and there is no usual one.
    pub(super) fn text(&self, question: &str, usual: Option<&str>, output: &mut Output) -> Result<String, String> {
        if self.yes {
            return usual.map(str::to_owned).ok_or_else(|| format!("{question}: --yes cannot know it"));
        }
        loop {
            let shown = usual.map(|usual| format!(" [{usual}]")).unwrap_or_default();
            let answer = self.read(&format!("{question}{shown}: "), output)?;
            match (answer.is_empty(), usual) {
                (false, _) => return Ok(answer),
                (true, Some(usual)) => return Ok(usual.to_owned()),
                (true, None) => output.remark("it is needed"),
            }
        }
    }

    /// A password, without echo where that can be; `None` where nothing is typed, and with `--yes`.
    ///
    /// # Errors
    /// Nobody answers.
    pub(super) fn password(&self, question: &str, output: &mut Output) -> Result<Option<Secret>, String> {
        if self.yes {
            return Ok(None);
        }
        let failed = |error: io::Error| format!("the password cannot be read: {error}");
        let typed = if io::stdin().is_terminal() {
            let question = output.styled(Style::Heading, format!("{question}: "));
            Zeroizing::new(rpassword::prompt_password(question).map_err(failed)?)
        } else {
            output.ask(&format!("{question}: "));
            Zeroizing::new(line()?)
        };
        Ok((!typed.is_empty()).then(|| Secret::new(typed.to_string())))
    }

    fn read(&self, question: &str, output: &mut Output) -> Result<String, String> {
        let question = output.styled(Style::Heading, question);
        output.ask(&question);
        line().map(|line| line.trim().to_owned())
    }
}

/// A line of standard input, without its end.
fn line() -> Result<String, String> {
    let mut line = String::new();
    match io::stdin().lock().read_line(&mut line) {
        Ok(0) => Err("nobody answers: --yes takes every step without asking".to_owned()),
        Ok(_) => Ok(line.trim_end_matches(['\n', '\r']).to_owned()),
        Err(error) => Err(format!("the answer cannot be read: {error}")),
    }
}
