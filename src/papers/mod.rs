//! Papers about processing, made from the policies that are enforced, so that they cannot drift from what happens.
//!
//! POPIA wants the documentation of all processing operations (s17) and data subjects told (s18); PAIA wants a manual
//! (s51); contracts with operators must be written (s20, s21); the information officer sees to an impact assessment
//! (regulation 4(1)(b)). What policies cannot know stands in `[organisation]` of the configuration; what stands nowhere is a
//! marked gap ([`Paper`] says which papers there are, [`write()`] gives a page and its gaps).

mod assessment;
pub(crate) mod facts;
mod notice;
mod operators;
mod paia;
mod parts;
mod register;
pub(crate) mod texts;

use jiff::civil::Date;

use crate::config::Organisation;
use crate::page::{Block, Page, Word, Words, html, markdown};
use crate::policy::PolicySet;
use facts::Facts;
use parts::Writer;
pub use texts::Language;

/// A paper that can be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paper {
    /// The manual of a private body (PAIA s51(1), with s51(1)(c) on personal information).
    Paia,
    /// What a data subject is told when information is collected (POPIA s18(1)).
    Notice,
    /// The documentation of all processing operations (POPIA s17).
    Register,
    /// Operators and other third parties, their contracts and countries (POPIA s20, s21, s72).
    Operators,
    /// A personal information impact assessment (regulation 4(1)(b) under POPIA).
    Assessment,
}

/// A paper in one language.
#[derive(Debug)]
pub struct Written {
    page: Page,
    /// What a person must still fill in, in the paper's own words, each once, in the order of the paper.
    pub gaps: Vec<String>,
}

impl Written {
    /// As one HTML page that loads nothing.
    pub fn html(&self) -> String {
        html::render(&self.page)
    }

    /// As Markdown.
    pub fn markdown(&self) -> String {
        markdown::render(&self.page)
    }
}

/// Makes a paper. `today` decides which contracts have ended; it stands in the paper with the policies' hash.
///
/// # Errors
/// The texts of the language cannot be read: a fault of this program.
pub fn write(
    paper: Paper,
    language: Language,
    policies: &PolicySet,
    organisation: &Organisation,
    today: Date,
) -> Result<Written, String> {
    let texts = texts::Texts::of(language)?;
    let facts = Facts::of(policies, today);
    let writer = Writer { texts: &texts, facts: &facts, organisation };
    let page = match paper {
        Paper::Paia => paia::page(&writer),
        Paper::Notice => notice::page(&writer),
        Paper::Register => register::page(&writer),
        Paper::Operators => operators::page(&writer),
        Paper::Assessment => assessment::page(&writer),
    };
    let gaps = gaps(&page);
    Ok(Written { page, gaps })
}

/// How a paper names the policies that it was made from; a paper with another is older than they are.
pub fn stamp(policies: &PolicySet) -> &str {
    policies.hash()
}

/// The mark of a gap, in HTML and in Markdown: for papers that were filled in by hand.
pub const GAP_MARKS: [&str; 2] = ["<mark>[", "**\\["];

fn gaps(page: &Page) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut look = |words: &Words| {
        for word in &words.0 {
            match word {
                Word::Gap(what) if !found.contains(what) => found.push(what.clone()),
                Word::Gap(_) | Word::Plain(_) | Word::Code(_) => {}
            }
        }
    };
    for block in page.sections.iter().flat_map(|section| &section.blocks) {
        match block {
            Block::Text(words) | Block::Warning(words) | Block::Heading(words) => look(words),
            Block::List(items) => items.iter().for_each(&mut look),
            Block::Table(table) | Block::Folded(_, table) => {
                for cell in table.rows.iter().flatten() {
                    if let crate::page::Cell::Words(words) = cell {
                        look(words);
                    }
                }
            }
            Block::Chart(_) | Block::Heat(_) => {}
        }
    }
    found
}

#[cfg(test)]
mod tests;
