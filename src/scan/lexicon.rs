//! Phrases, words and names of people that a scan knows: those of this folder, and those that a user adds.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use serde::Deserialize;

use super::checks::banks::Banks;
use super::kind::{Kind, Level};
use super::words;

/// A data file that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("`{file}`: {reason}")]
pub struct LexiconError {
    /// The file.
    pub file: String,
    /// In words.
    pub reason: String,
}

/// What the names of columns mean, and what their values are compared with.
#[derive(Debug, Default)]
pub struct Lexicon {
    /// By the words of the phrase, joined with blanks.
    phrases: HashMap<String, (Kind, Level)>,
    /// The words of all phrases, and further ones: what run-together names are split into.
    pub(super) known: HashSet<String>,
    pub(super) context: Context,
    pub(super) banks: Banks,
    first_names: HashSet<String>,
    surnames: HashSet<String>,
    /// How many words the longest phrase has.
    longest: usize,
}

/// `context.toml`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Context {
    pub(super) turned_by_what_follows: HashSet<String>,
    pub(super) turned_into_a_key: HashSet<String>,
    pub(super) turned_by_what_precedes: HashSet<String>,
    pub(super) kept_by: HashSet<String>,
    pub(super) people: HashSet<String>,
    pub(super) prefixes: HashSet<String>,
    further_words: Vec<String>,
    titles: Words,
    streets: Words,
    pub(super) values: HashMap<String, Values>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Words {
    words: HashSet<String>,
}

/// Values of a column that holds little else.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Values {
    pub(super) all: HashSet<String>,
    pub(super) marks: HashSet<String>,
}

/// A file of phrases: by kind, by level.
type Phrases = HashMap<String, HashMap<String, Vec<String>>>;

const PHRASES: &[(&str, &str)] = &[
    ("eu.toml", include_str!("names/eu.toml")),
    ("za.toml", include_str!("names/za.toml")),
    ("af.toml", include_str!("names/af.toml")),
    ("en.toml", include_str!("names/en.toml")),
];
const CONTEXT: &str = include_str!("names/context.toml");
const BANKS: &str = include_str!("names/banks.toml");
const FIRST_NAMES: &str = include_str!("people/first_names.txt");
const SURNAMES: &str = include_str!("people/surnames.txt");

impl Lexicon {
    /// What comes with the program.
    ///
    /// # Errors
    /// A file of the program's own is broken, which a test holds.
    pub fn built_in() -> Result<Self, LexiconError> {
        let mut lexicon = Self::default();
        for (file, text) in PHRASES {
            lexicon.add_phrases(file, text)?;
        }
        lexicon.add_context("context.toml", CONTEXT)?;
        lexicon.add_banks("banks.toml", BANKS)?;
        lexicon.add_people(FIRST_NAMES, SURNAMES);
        Ok(lexicon)
    }

    /// Adds a user's folder: `first_names.txt`, `surnames.txt`, `context.toml`, `banks.toml` and every other `*.toml` as phrases, in the order of their names.
    /// What it says of a phrase takes the place of what was known.
    ///
    /// # Errors
    /// A file that cannot be read or does not have the form.
    pub fn add_folder(&mut self, folder: &Path) -> Result<(), LexiconError> {
        let unreadable = |path: &Path, error: std::io::Error| LexiconError {
            file: path.display().to_string(),
            reason: format!("cannot be read: {error}"),
        };
        let entries = std::fs::read_dir(folder).map_err(|error| unreadable(folder, error))?;
        let mut paths: Vec<_> = entries.filter_map(|entry| entry.ok().map(|entry| entry.path())).collect();
        paths.sort();
        for path in paths {
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            let of_interest = name.ends_with(".toml") || name == "first_names.txt" || name == "surnames.txt";
            if !of_interest {
                continue;
            }
            let text = std::fs::read_to_string(&path).map_err(|error| unreadable(&path, error))?;
            let file = path.display().to_string();
            match name.as_str() {
                "first_names.txt" => self.add_people(&text, ""),
                "surnames.txt" => self.add_people("", &text),
                "context.toml" => self.add_context(&file, &text)?,
                "banks.toml" => self.add_banks(&file, &text)?,
                _ => self.add_phrases(&file, &text)?,
            }
        }
        Ok(())
    }

    fn add_phrases(&mut self, file: &str, text: &str) -> Result<(), LexiconError> {
        let wrong = |reason: String| LexiconError { file: file.to_owned(), reason };
        let phrases: Phrases = toml::from_str(text).map_err(|error| wrong(error.to_string()))?;
        for (kind_name, levels) in phrases {
            let kind = Kind::named(&kind_name).ok_or_else(|| wrong(format!("no kind is called `{kind_name}`")))?;
            for (level_name, phrases) in levels {
                let level = match level_name.as_str() {
                    "sure" => Level::Sure,
                    "likely" => Level::Likely,
                    "unsure" => Level::Unsure,
                    other => return Err(wrong(format!("`{other}` is none of `sure`, `likely`, `unsure`"))),
                };
                for phrase in phrases {
                    self.add_phrase(&phrase, kind, level);
                }
            }
        }
        Ok(())
    }

    fn add_phrase(&mut self, phrase: &str, kind: Kind, level: Level) {
        let split: Vec<String> = words::plain(phrase).split_whitespace().map(str::to_owned).collect();
        self.longest = self.longest.max(split.len());
        self.phrases.insert(split.join(" "), (kind, level));
        self.known.extend(split.into_iter().filter(|word| word.chars().count() > 2));
    }

    fn add_context(&mut self, file: &str, text: &str) -> Result<(), LexiconError> {
        let more: Context =
            toml::from_str(text).map_err(|error| LexiconError { file: file.to_owned(), reason: error.to_string() })?;
        let lists = [&more.turned_by_what_follows, &more.turned_by_what_precedes, &more.people];
        self.known.extend(lists.into_iter().flatten().filter(|word| word.chars().count() > 3).cloned());
        self.known.extend(more.further_words.iter().cloned());
        let context = &mut self.context;
        context.turned_by_what_follows.extend(more.turned_by_what_follows);
        context.turned_into_a_key.extend(more.turned_into_a_key);
        context.turned_by_what_precedes.extend(more.turned_by_what_precedes);
        context.kept_by.extend(more.kept_by);
        context.people.extend(more.people);
        context.prefixes.extend(more.prefixes);
        context.titles.words.extend(more.titles.words);
        context.streets.words.extend(more.streets.words);
        for (kind, values) in more.values {
            let known = context.values.entry(kind).or_default();
            known.all.extend(values.all);
            known.marks.extend(values.marks);
        }
        Ok(())
    }

    fn add_banks(&mut self, file: &str, text: &str) -> Result<(), LexiconError> {
        self.banks.add(text).map_err(|reason| LexiconError { file: file.to_owned(), reason })
    }

    fn add_people(&mut self, first_names: &str, surnames: &str) {
        let lines = |text: &str| -> Vec<String> {
            text.lines()
                .map(str::trim)
                .filter(|line| !line.is_empty() && !line.starts_with('#'))
                .map(words::plain)
                .collect()
        };
        self.first_names.extend(lines(first_names));
        self.surnames.extend(lines(surnames));
    }

    /// What a phrase means.
    pub(super) fn phrase(&self, words: &[String]) -> Option<(Kind, Level)> {
        self.phrases.get(&words.join(" ")).copied()
    }

    /// How many words the longest phrase has.
    pub(super) fn longest(&self) -> usize {
        self.longest
    }

    /// Whether a word in lower case without accents is a first name.
    pub(super) fn is_first_name(&self, word: &str) -> bool {
        self.first_names.contains(word)
    }

    /// Whether a word in lower case without accents is a surname.
    pub(super) fn is_surname(&self, word: &str) -> bool {
        self.surnames.contains(word)
    }

    /// Whether a word is a title: `mrs`, `mnr`.
    pub(super) fn is_title(&self, word: &str) -> bool {
        self.context.titles.words.contains(word)
    }

    /// Whether a word stands in street addresses: `road`, `straat`.
    pub(super) fn is_street(&self, word: &str) -> bool {
        self.context.streets.words.contains(word)
    }
}
