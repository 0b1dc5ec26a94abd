//! What people look at, before it has a form: sections of text, tables and charts. What stands in them is escaped by who
//! writes a form, and nowhere else. One stylesheet serves every page.

pub(crate) mod chart;
pub(crate) mod html;
pub(crate) mod markdown;

use std::borrow::Cow;

/// The whole page.
#[derive(Debug, Default)]
pub(crate) struct Page {
    /// The language of its texts, as HTML names it; English where it is empty.
    pub(crate) language: &'static str,
    pub(crate) title: String,
    pub(crate) sections: Vec<Section>,
}

#[derive(Debug)]
pub(crate) struct Section {
    /// For links within the page.
    pub(crate) id: &'static str,
    pub(crate) title: Cow<'static, str>,
    pub(crate) blocks: Vec<Block>,
}

#[derive(Debug)]
pub(crate) enum Block {
    Text(Words),
    /// Something that must not be overlooked.
    Warning(Words),
    List(Vec<Words>),
    Heading(Words),
    Table(Table),
    /// A table that is long and of which not everybody needs each row: closed at first on a screen, open on paper.
    Folded(Words, Table),
    Chart(Chart),
    Heat(Heat),
}

/// Text, parts of which are names or statements.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Words(pub(crate) Vec<Word>);

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Word {
    Plain(String),
    Code(String),
    /// What is still to be filled in by a person.
    Gap(String),
}

impl Word {
    /// What it says, without its form.
    pub(crate) fn text(&self) -> &str {
        match self {
            Self::Plain(text) | Self::Code(text) | Self::Gap(text) => text,
        }
    }
}

impl Words {
    pub(crate) fn code(text: impl Into<String>) -> Self {
        Self(vec![Word::Code(text.into())])
    }

    /// What the proxy said: names stand between backticks.
    pub(crate) fn said(message: &str) -> Self {
        let parts: Vec<&str> = message.split('`').collect();
        if parts.len().is_multiple_of(2) {
            return Self::from(message);
        }
        let words = parts.into_iter().enumerate().map(|(at, part)| {
            if at.is_multiple_of(2) { Word::Plain(part.to_owned()) } else { Word::Code(part.to_owned()) }
        });
        Self(
            words
                .filter(
                    |word| !matches!(word, Word::Plain(text) | Word::Code(text) | Word::Gap(text) if text.is_empty()),
                )
                .collect(),
        )
    }

    /// The same, the first of them where there are many.
    pub(crate) fn some<T: AsRef<str>>(names: &[T]) -> Self {
        const TOLD: usize = 20;
        let words = Self::names(names.iter().take(TOLD));
        match names.len().saturating_sub(TOLD) {
            0 => words,
            more => words.plain(format!(" and {} more", number(more as u64))),
        }
    }

    /// Names, with commas between.
    pub(crate) fn names<T: AsRef<str>>(names: impl IntoIterator<Item = T>) -> Self {
        let mut words = Self::default();
        for name in names {
            if !words.0.is_empty() {
                words = words.plain(", ");
            }
            words = words.name(name.as_ref());
        }
        words
    }

    #[must_use]
    pub(crate) fn plain(mut self, text: impl Into<String>) -> Self {
        self.0.push(Word::Plain(text.into()));
        self
    }

    /// What is still to be filled in.
    #[must_use]
    pub(crate) fn gap(mut self, text: impl Into<String>) -> Self {
        self.0.push(Word::Gap(text.into()));
        self
    }

    #[must_use]
    pub(crate) fn name(mut self, text: impl Into<String>) -> Self {
        self.0.push(Word::Code(text.into()));
        self
    }

    #[must_use]
    pub(crate) fn and(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }
}

impl From<&str> for Words {
    fn from(text: &str) -> Self {
        Self(vec![Word::Plain(text.to_owned())])
    }
}

impl From<String> for Words {
    fn from(text: String) -> Self {
        Self(vec![Word::Plain(text)])
    }
}

#[derive(Debug)]
pub(crate) struct Table {
    /// What it shows, where the heading above it does not say so.
    pub(crate) caption: String,
    /// Each column's heading, and whether it holds numbers.
    pub(crate) heads: Vec<(Cow<'static, str>, bool)>,
    pub(crate) rows: Vec<Vec<Cell>>,
}

/// Headings that are the same in every page: the text, and whether the column holds numbers.
pub(crate) fn heads<const N: usize>(heads: [(&'static str, bool); N]) -> Vec<(Cow<'static, str>, bool)> {
    heads.into_iter().map(|(head, number)| (Cow::Borrowed(head), number)).collect()
}

#[derive(Debug)]
pub(crate) enum Cell {
    Words(Words),
    Number(u64),
    /// A record's number, to be searched for.
    Record(u64),
    /// A part of a whole, as a bar.
    Bar(u64, u64),
}

impl<T: Into<Words>> From<T> for Cell {
    fn from(words: T) -> Self {
        Self::Words(words.into())
    }
}

/// Numbers over time, one on top of the other.
#[derive(Debug)]
pub(crate) struct Chart {
    pub(crate) title: String,
    /// What it shows, for who cannot see it.
    pub(crate) description: String,
    /// `day`, `week` ...
    pub(crate) step: &'static str,
    pub(crate) steps: Vec<String>,
    pub(crate) series: Vec<(String, Vec<u64>)>,
    /// Whether the series together are a number that means something.
    pub(crate) sums: bool,
}

/// Numbers by two kinds, as shades.
#[derive(Debug)]
pub(crate) struct Heat {
    pub(crate) title: String,
    /// What it shows, for who cannot see it.
    pub(crate) description: String,
    pub(crate) columns: Vec<String>,
    /// Each with a number for each column.
    pub(crate) rows: Vec<(String, Vec<u64>)>,
}

/// With commas: `12,345`.
pub(crate) fn number(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `1 statement`, `2 statements`.
pub(crate) fn count(count: u64, what: &str) -> String {
    format!("{} {what}{}", number(count), if count == 1 { "" } else { "s" })
}

/// Text that somebody else chose, fit for a terminal: what a terminal takes as a command is shown as an escape.
pub(crate) fn printable(text: &str) -> String {
    let hidden = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if hidden(c) { shown.extend(c.escape_default()) } else { shown.push(c) }
    }
    shown
}

/// Text that means itself in HTML, in an element or between quotes.
pub(crate) fn markup(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}
