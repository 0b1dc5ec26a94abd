//! The report before it has a form: sections of text, tables and charts. What stands in them is escaped by who writes a form,
//! and nowhere else.

/// The whole report.
#[derive(Debug, Default)]
pub(super) struct Page {
    pub(super) title: String,
    pub(super) sections: Vec<Section>,
}

#[derive(Debug)]
pub(super) struct Section {
    /// For links within the page.
    pub(super) id: &'static str,
    pub(super) title: &'static str,
    pub(super) blocks: Vec<Block>,
}

#[derive(Debug)]
pub(super) enum Block {
    Text(Words),
    /// Something that must not be overlooked.
    Warning(Words),
    List(Vec<Words>),
    Heading(Words),
    Table(Table),
    Chart(Chart),
}

/// Text, parts of which are names or statements.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Words(pub(super) Vec<Word>);

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Word {
    Plain(String),
    Code(String),
}

impl Words {
    pub(super) fn code(text: impl Into<String>) -> Self {
        Self(vec![Word::Code(text.into())])
    }

    /// What the proxy said: names stand between backticks.
    pub(super) fn said(message: &str) -> Self {
        let parts: Vec<&str> = message.split('`').collect();
        if parts.len().is_multiple_of(2) {
            return Self::from(message);
        }
        let words = parts.into_iter().enumerate().map(|(at, part)| {
            if at.is_multiple_of(2) { Word::Plain(part.to_owned()) } else { Word::Code(part.to_owned()) }
        });
        Self(words.filter(|word| !matches!(word, Word::Plain(text) | Word::Code(text) if text.is_empty())).collect())
    }

    /// The same, the first of them where there are many.
    pub(super) fn some<T: AsRef<str>>(names: &[T]) -> Self {
        const TOLD: usize = 20;
        let words = Self::names(names.iter().take(TOLD));
        match names.len().saturating_sub(TOLD) {
            0 => words,
            more => words.plain(format!(" and {} more", number(more as u64))),
        }
    }

    /// Names, with commas between.
    pub(super) fn names<T: AsRef<str>>(names: impl IntoIterator<Item = T>) -> Self {
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
    pub(super) fn plain(mut self, text: impl Into<String>) -> Self {
        self.0.push(Word::Plain(text.into()));
        self
    }

    #[must_use]
    pub(super) fn name(mut self, text: impl Into<String>) -> Self {
        self.0.push(Word::Code(text.into()));
        self
    }

    #[must_use]
    pub(super) fn and(mut self, other: Self) -> Self {
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
pub(super) struct Table {
    pub(super) caption: String,
    /// Each column's heading, and whether it holds numbers.
    pub(super) heads: Vec<(&'static str, bool)>,
    pub(super) rows: Vec<Vec<Cell>>,
}

#[derive(Debug)]
pub(super) enum Cell {
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
pub(super) struct Chart {
    pub(super) title: String,
    /// What it shows, for who cannot see it.
    pub(super) description: String,
    /// `day`, `week` ...
    pub(super) step: &'static str,
    pub(super) steps: Vec<String>,
    pub(super) series: Vec<(String, Vec<u64>)>,
    /// Whether the series together are a number that means something.
    pub(super) sums: bool,
}

/// With commas: `12,345`.
pub(super) fn number(number: u64) -> String {
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
pub(super) fn count(count: u64, what: &str) -> String {
    format!("{} {what}{}", number(count), if count == 1 { "" } else { "s" })
}
