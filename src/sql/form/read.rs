//! A statement as its form: one pass of the lexer.

use std::ops::{Deref, Range};
use std::sync::Arc;

use super::constant::{Class, Constants, Slot};
use super::keyed::{Keyed, OPEN, TYPES, push_types};
use super::template::Place;
use crate::catalog::Oid;
use crate::error::Refusal;
use crate::sql::text::lex::{Kind, Token, lex_with};
use crate::sql::text::limits::{self, Limits};

/// A statement whose constants are kept apart.
///
/// Two statements with equal keys have the same tokens but for the values of free constants, which are of the same classes
/// in the same places; and, comments and white space aside, the same text.
#[derive(Debug)]
pub struct Form {
    keyed: Keyed,
    /// Without the values of slots; comments are among them.
    tokens: Vec<Token>,
    places: Vec<Place>,
    small: bool,
}

/// The most bytes of a statement whose constants are kept apart: each prepared one keeps its own, which take more room than
/// their text does.
const OPENED: usize = 32 * 1024;

/// The most bytes of a statement that is decided on the session's own thread.
const SMALL: usize = 8 * 1024;

impl Deref for Form {
    type Target = Keyed;

    fn deref(&self) -> &Keyed {
        &self.keyed
    }
}

impl Form {
    /// Reads a statement. `types` are those that the client declared for its parameters; `open`: whether free constants are
    /// kept apart, or the whole text is the form.
    ///
    /// # Errors
    /// What the lexer refuses, and what is over a limit.
    pub fn read(text: &str, types: &[Oid], open: bool) -> Result<Self, Refusal> {
        limits::size(text)?;
        let mut limits = Limits::default();
        let tokens = lex_with(text, |token| limits.count(token))?;
        let first = tokens.iter().find(|token| token.kind != Kind::Comment && !token.is_symbol("("));
        let open = open
            && first.is_some_and(|token| matches!(&token.kind, Kind::Word(word) if OPEN.contains(&word.as_str())))
            && text.len() <= OPENED
            && !makes_a_table(&tokens)
            // What stands before it is read in another way, which no value of a slot is.
            && !tokens.iter().any(|token| matches!(&token.kind, Kind::Word(word) if word == "uescape"));
        let key = String::with_capacity(text.len() + 8);
        let small = text.len() <= SMALL && limits.are_small();
        let keyed = Keyed { key, constants: Arc::default() };
        let mut form = Self { keyed, tokens, places: Vec::new(), small };
        if open {
            let mut constants = Constants::default();
            form.take_constants(text, &mut constants);
            form.keyed.constants = Arc::new(constants);
        } else {
            form.keyed.key.push_str(text);
        }
        push_types(&mut form.keyed.key, types);
        Ok(form)
    }

    /// A text that is its own form, whatever it holds.
    pub fn of_text(text: &str) -> Self {
        let keyed = Keyed { key: text.to_owned(), constants: Arc::default() };
        Self { keyed, tokens: Vec::new(), places: Vec::new(), small: false }
    }

    /// Whether a constant in quotes, of any form, stands there.
    fn is_quoted(&self, at: usize) -> bool {
        self.tokens
            .get(at)
            .is_some_and(|token| matches!(token.kind, Kind::Text(_) | Kind::National(_) | Kind::Bits(_) | Kind::Hex(_)))
    }

    fn take_constants(&mut self, text: &str, constants: &mut Constants) {
        let mut end = 0;
        // Numbers up to this parenthesis' end belong to a type.
        let mut in_type = 0_usize;
        let mut after_type = false;
        for at in 0..self.tokens.len() {
            let gap = self.tokens.get(at).is_some_and(|token| token.start != end);
            let stands_free = self.comment_stands_free(at, gap);
            // Where two stand side by side, what is one constant is the grammar's to say.
            let beside = at.checked_sub(1).is_some_and(|at| self.is_quoted(at)) || self.is_quoted(at.saturating_add(1));
            let Some(token) = self.tokens.get_mut(at) else { break };
            let written = text.get(token.start..token.end).unwrap_or("");
            if gap && end != 0 {
                push_gap(&mut self.keyed.key);
            }
            end = token.end;
            let class = match &token.kind {
                Kind::Comment if stands_free => {
                    push_gap(&mut self.keyed.key);
                    continue;
                }
                Kind::Comment => {
                    self.keyed.key.push_str("\0c");
                    self.keyed.key.push_str(written);
                    self.keyed.key.push('\0');
                    continue;
                }
                Kind::Text(_) if !beside => Some(Class::Text),
                Kind::Number { text, newer: false } if in_type == 0 => Class::of_number(text),
                Kind::Symbol(symbol) => {
                    match symbol.as_str() {
                        "(" if after_type || in_type > 0 => in_type += 1,
                        ")" => in_type = in_type.saturating_sub(1),
                        _ => {}
                    }
                    None
                }
                Kind::Number { .. }
                | Kind::Text(_)
                | Kind::Word(_)
                | Kind::Quoted(_)
                | Kind::National(_)
                | Kind::Bits(_)
                | Kind::Hex(_)
                | Kind::Param(_) => None,
            };
            after_type = matches!(&token.kind, Kind::Word(word) if TYPES.contains(&word.as_str()));
            match class.and_then(|class| Some((class, take(token, constants, class)?))) {
                Some((class, slot)) => {
                    self.places.push(Place { start: token.start, slot });
                    self.keyed.key.push('\0');
                    self.keyed.key.push(class.sign());
                }
                None => self.keyed.key.push_str(written),
            }
        }
        self.keyed.key.truncate(self.keyed.key.trim_end_matches(' ').len());
    }

    /// Whether the comment at `at` may be left out of the form: no operator stands beside it, where it would matter to how
    /// the signs are read.
    fn comment_stands_free(&self, at: usize, gap: bool) -> bool {
        let beside = |token: Option<&Token>, touches: bool| match token.map(|token| &token.kind) {
            Some(Kind::Symbol(symbol)) => !touches || matches!(symbol.as_str(), "(" | ")" | "," | ";"),
            Some(_) | None => true,
        };
        let Some(token) = self.tokens.get(at) else { return false };
        let next = self.tokens.get(at + 1);
        let before = at.checked_sub(1).and_then(|at| self.tokens.get(at));
        beside(before, !gap) && beside(next, next.is_some_and(|next| next.start == token.end))
    }

    /// The places of all constants that are kept apart.
    pub fn slots(&self) -> impl Iterator<Item = Slot> + '_ {
        self.places.iter().map(|place| place.slot)
    }

    /// Whether it may be decided on the session's own thread: neither long nor deep.
    pub fn is_small(&self) -> bool {
        self.small
    }

    /// Whether any constant is kept apart.
    pub fn is_open(&self) -> bool {
        !self.constants.is_empty()
    }

    /// Where in the text the constants stand that are kept apart, and their classes.
    pub fn spans(&self) -> impl Iterator<Item = (Range<usize>, Class)> + '_ {
        let ends = self.tokens.iter().map(|token| (token.start, token.end));
        let mut ends = ends.filter(|(start, _)| self.places.iter().any(|place| place.start == *start));
        self.places.iter().filter_map(move |place| {
            let (start, end) = ends.next()?;
            Some((start..end, self.constants.written(place.slot)?.0))
        })
    }

    pub(in crate::sql) fn places(&self) -> &[Place] {
        &self.places
    }

    /// The tokens with a sign for each slot.
    pub(in crate::sql) fn signed_tokens(&self) -> Vec<Token> {
        let mut tokens = self.tokens.clone();
        let mut places = self.places.iter().peekable();
        for token in &mut tokens {
            let Some(place) = places.next_if(|place| place.start == token.start) else { continue };
            let sign = place.slot.in_tokens();
            token.kind = match token.kind {
                Kind::Number { .. } => Kind::Number { text: sign, newer: false },
                _ => Kind::Text(sign),
            };
        }
        tokens
    }
}

/// Whether INTO stands elsewhere than behind INSERT or MERGE: the statement makes a table.
fn makes_a_table(tokens: &[Token]) -> bool {
    let mut written = tokens.iter().filter(|token| token.kind != Kind::Comment);
    let mut before = written.next();
    written.any(|token| {
        let writes = before.is_some_and(|before| before.is_word("insert") || before.is_word("merge"));
        before = Some(token);
        token.is_word("into") && !writes
    })
}

/// One space, at the start none.
fn push_gap(key: &mut String) {
    if !key.is_empty() && !key.ends_with(' ') {
        key.push(' ');
    }
}

/// Takes the value out of a token.
fn take(token: &mut Token, constants: &mut Constants, class: Class) -> Option<Slot> {
    match &mut token.kind {
        Kind::Text(value) | Kind::Number { text: value, .. } => constants.push(class, std::mem::take(value)),
        _ => None,
    }
}
