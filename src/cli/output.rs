//! What a command says: results to stdout, everything else to stderr.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};

use super::Ending;
pub(super) use crate::page::{markup, printable};

/// Where a command writes.
pub(super) struct Output {
    results: Box<dyn Write>,
    remarks: Box<dyn Write>,
    colours: bool,
    /// Remarks go to a terminal.
    watched: bool,
    /// Progress stands on the terminal's line.
    drawn: bool,
    /// Nobody reads the results any more (`… | head`).
    closed: bool,
}

/// How a piece of text is set off on a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    Good,
    Bad,
    Middling,
    Heading,
}

impl Output {
    /// The process's own streams.
    pub(super) fn of_process() -> Self {
        let colours = io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        let watched = io::stderr().is_terminal();
        Self {
            results: Box::new(io::stdout()),
            remarks: Box::new(io::stderr()),
            colours,
            watched,
            drawn: false,
            closed: false,
        }
    }

    /// A line of the result.
    pub(super) fn line(&mut self, line: impl Display) {
        self.progress("");
        if !self.closed {
            self.closed = writeln!(self.results, "{line}").and_then(|()| self.results.flush()).is_err();
        }
    }

    /// Whether nobody reads the result any more: then long work may stop.
    pub(super) fn closed(&self) -> bool {
        self.closed
    }

    /// A line for the person that is no result: progress, what was assumed.
    pub(super) fn remark(&mut self, remark: impl Display) {
        self.progress("");
        // There is nowhere left to complain to.
        let _ = writeln!(self.remarks, "{remark}");
    }

    /// A question, whose answer is typed behind it.
    pub(super) fn ask(&mut self, question: &str) {
        self.progress("");
        // There is nowhere left to complain to.
        let _ = write!(self.remarks, "{question}").and_then(|()| self.remarks.flush());
    }

    /// How far long work has come, on one line of a terminal, which goes with whatever is written next; empty text removes it.
    /// Without a terminal nothing is written. See [`Bar`](super::bar::Bar).
    pub(super) fn progress(&mut self, text: impl AsRef<str>) {
        let text = text.as_ref();
        if self.watched && (self.drawn || !text.is_empty()) {
            self.drawn = !text.is_empty();
            // There is nowhere left to complain to.
            let _ = write!(self.remarks, "\r\x1b[K{text}").and_then(|()| self.remarks.flush());
        }
    }

    /// Says what is wrong with usage or configuration.
    pub(super) fn wrong(&mut self, error: impl Display) -> Ending {
        self.remark(format_args!("pgpurpose: {error}"));
        Ending::Wrong
    }

    /// What was looked at is not in order.
    pub(super) fn failed(&mut self, error: impl Display) -> Ending {
        self.remark(format_args!("pgpurpose: {error}"));
        Ending::Failed
    }

    /// Sets text off, where that can be seen.
    pub(super) fn styled(&self, style: Style, text: impl Display) -> String {
        if !self.colours {
            return text.to_string();
        }
        let code = match style {
            Style::Good => "32",
            Style::Bad => "31;1",
            Style::Middling => "33",
            Style::Heading => "1",
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }
}
