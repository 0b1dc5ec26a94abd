//! The constants of a statement, which the pipeline does not see: it works on slots, and must ask for a value.
//!
//! Asking pins: the decision then holds for statements with that very value at that place, and for no others. What nobody
//! asked for cannot have mattered, because nobody could have read it. Values have no other way out than
//! [`Constants::ask`], [`super::Template::splice`], which writes them as PostgreSQL's constants, and
//! [`Constants::of_run`], for what the log says about one run.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};

use sqlparser::ast::Value;

use super::exchangeable::{Found, pin_others};
use super::template::{Opaque, Place, Template};

/// PostgreSQL's token for a constant, and the type that an unadorned one of it has. All of one class are read by the same
/// rules of the grammar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// `ICONST`: digits that fit `integer`.
    Integer,
    /// `FCONST`: digits that fit `bigint`.
    Large,
    /// `FCONST`: any other number that begins and ends with a digit.
    Numeric,
    /// `SCONST`: a string, however it is quoted.
    Text,
}

impl Class {
    /// Of a number as it is written; `None` for a form that keeps no class of its own: `.5`, `1.`.
    pub(super) fn of_number(digits: &str) -> Option<Self> {
        let bytes = digits.as_bytes();
        if !(bytes.first()?.is_ascii_digit() && bytes.last()?.is_ascii_digit()) {
            None
        } else if !bytes.iter().all(u8::is_ascii_digit) {
            Some(Self::Numeric)
        } else if digits.parse::<i32>().is_ok() {
            Some(Self::Integer)
        } else if digits.parse::<i64>().is_ok() {
            Some(Self::Large)
        } else {
            Some(Self::Numeric)
        }
    }

    /// What stands in a form for any constant of the class.
    pub(super) fn sign(self) -> char {
        match self {
            Self::Integer => 'i',
            Self::Large => 'l',
            Self::Numeric => 'n',
            Self::Text => 't',
        }
    }
}

/// The place of a constant: counted from 0 in the order of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(pub(super) u16);

/// What stands in the tokens for a constant, before sqlparser: no client can write a NUL.
const IN_TOKENS: &str = "\0?";
/// What stands in the AST for it, behind sqlparser. Whatever sqlparser put elsewhere than into a constant keeps the sign above.
const IN_TREE: &str = "\0#";
/// The end of both; no NUL, which ends signs of the renderer's.
const END: char = ';';

impl Slot {
    /// What stands for it in the tokens.
    pub(in crate::sql) fn in_tokens(self) -> String {
        format!("{IN_TOKENS}{}{END}", self.0)
    }

    fn in_tree(self) -> String {
        format!("{IN_TREE}{}{END}", self.0)
    }

    fn of(sign: &str, written: &str) -> Option<Self> {
        written.strip_prefix(sign)?.strip_suffix(END)?.parse().ok().map(Self)
    }

    /// The slot that a value of the AST is; `None` for a visible constant, a parameter, TRUE, NULL.
    pub(in crate::sql) fn of_value(value: &Value) -> Option<Self> {
        match value {
            Value::Placeholder(written) => Self::of(IN_TREE, written),
            _ => None,
        }
    }

    /// What a constant that sqlparser made of a slot's sign becomes; `None` for any other value.
    pub(in crate::sql) fn tree_value(value: &Value) -> Option<Value> {
        match value {
            Value::SingleQuotedString(written) | Value::EscapedStringLiteral(written) | Value::Number(written, _) => {
                Self::of(IN_TOKENS, written).map(|slot| Value::Placeholder(slot.in_tree()))
            }
            _ => None,
        }
    }

    /// The next sign of a slot in a rendered text: where it starts and ends, and the slot. `Err` for any other NUL.
    pub(super) fn find(text: &str) -> Result<Option<(usize, usize, Self)>, Opaque> {
        let Some(start) = text.find('\0') else { return Ok(None) };
        let sign = text.get(start..).unwrap_or("");
        let end = sign.find(END).map(|end| end + END.len_utf8()).ok_or(Opaque)?;
        let slot = sign.get(..end).and_then(|sign| Self::of(IN_TREE, sign)).ok_or(Opaque)?;
        Ok(Some((start, start + end, slot)))
    }

    /// Whether a rendered text has no other NUL than those with which signs of slots begin.
    pub(in crate::sql) fn are_all_signs(text: &str) -> bool {
        let mut rest = text.as_bytes();
        while let Some(at) = memchr::memchr(0, rest) {
            rest = rest.get(at..).unwrap_or_default();
            if !rest.starts_with(IN_TREE.as_bytes()) {
                return false;
            }
            rest = rest.get(IN_TREE.len()..).unwrap_or_default();
        }
        true
    }

    pub(super) fn place(self) -> usize {
        usize::from(self.0)
    }
}

struct Held {
    class: Class,
    value: String,
    asked: AtomicBool,
}

/// The constants of one statement, by slot.
///
/// There is no way to a value that goes unnoticed:
///
/// ```compile_fail,E0616
/// fn peek(constants: &pgpurpose::sql::Constants) -> usize {
///     constants.held.len()
/// }
/// ```
///
/// nor one that a stage of the pipeline could take without an [`Asked`], which notes it:
///
/// ```compile_fail,E0624
/// fn peek(constants: &pgpurpose::sql::Constants, slot: pgpurpose::sql::Slot) -> String {
///     constants.ask(slot).unwrap_or_default().to_owned()
/// }
/// ```
#[derive(Default)]
pub struct Constants {
    held: Vec<Held>,
}

impl fmt::Debug for Constants {
    /// No value: they may be personal information.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.held.iter().map(|held| held.class)).finish()
    }
}

impl Constants {
    /// Takes one more; `None` where there are too many for slots.
    pub(super) fn push(&mut self, class: Class, value: String) -> Option<Slot> {
        let slot = Slot(u16::try_from(self.held.len()).ok()?);
        self.held.push(Held { class, value, asked: AtomicBool::new(false) });
        Some(slot)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.held.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// Whether these can stand where the others stood: as many, each of the same class.
    pub(in crate::sql) fn fit(&self, others: &[Class]) -> bool {
        self.held.len() == others.len() && self.held.iter().zip(others).all(|(held, class)| held.class == *class)
    }

    pub(in crate::sql) fn classes(&self) -> Vec<Class> {
        self.held.iter().map(|held| held.class).collect()
    }

    fn class(&self, slot: Slot) -> Option<Class> {
        self.held.get(slot.place()).map(|held| held.class)
    }

    /// The value, and a note that it was read.
    fn ask(&self, slot: Slot) -> Option<&str> {
        let held = self.held.get(slot.place())?;
        held.asked.store(true, Ordering::Relaxed);
        Some(&held.value)
    }

    /// The slots that were asked for so far, in order.
    pub(in crate::sql) fn asked(&self) -> Vec<Slot> {
        let asked = |(place, held): (usize, &Held)| {
            if held.asked.load(Ordering::Relaxed) { u16::try_from(place).ok().map(Slot) } else { None }
        };
        self.held.iter().enumerate().filter_map(asked).collect()
    }

    /// Notes that a value was read elsewhere than through [`Asked`], or may have been.
    pub(super) fn pin(&self, slot: Slot) {
        if let Some(held) = self.held.get(slot.place()) {
            held.asked.store(true, Ordering::Relaxed);
        }
    }

    /// What the splicing of texts and the comparison with PostgreSQL's tree work on.
    pub(super) fn written(&self, slot: Slot) -> Option<(Class, &str)> {
        self.held.get(slot.place()).map(|held| (held.class, held.value.as_str()))
    }

    /// The value that one run has at a slot, for the digests in that run's record: nothing that is kept for other runs may
    /// come of it.
    pub(in crate::sql) fn of_run(&self, slot: Slot) -> Option<&str> {
        self.held.get(slot.place()).map(|held| held.value.as_str())
    }
}

/// The one way by which a stage of the pipeline learns a constant.
#[derive(Debug, Clone, Copy, Default)]
pub struct Asked<'a>(Option<&'a Constants>);

/// What can be said of a constant without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known {
    /// A constant of this class.
    Constant(Class),
    /// `B'..'`, `X'..'`, `N'..'`: with types of their own.
    Typed,
    /// TRUE or FALSE.
    Boolean,
    /// NULL.
    Null,
    /// A parameter, or anything else that is not a constant.
    Other,
}

impl<'a> Asked<'a> {
    /// Of these constants.
    pub(in crate::sql) fn of(constants: &'a Constants) -> Self {
        Self(Some(constants))
    }

    /// What kind of constant it is. Pins nothing: the class is part of the form.
    pub(in crate::sql) fn known(self, value: &Value) -> Known {
        match value {
            Value::Number(digits, _) => Known::Constant(Class::of_number(digits).unwrap_or(Class::Numeric)),
            Value::SingleQuotedString(_)
            | Value::EscapedStringLiteral(_)
            | Value::DollarQuotedString(_)
            | Value::UnicodeStringLiteral(_) => Known::Constant(Class::Text),
            Value::Boolean(_) => Known::Boolean,
            Value::Null => Known::Null,
            Value::Placeholder(_) => {
                let class = Slot::of_value(value).and_then(|slot| self.0?.class(slot));
                class.map_or(Known::Other, Known::Constant)
            }
            Value::HexStringLiteral(_) | Value::SingleQuotedByteStringLiteral(_) | Value::NationalStringLiteral(_) => {
                Known::Typed
            }
            _ => Known::Other,
        }
    }

    /// The digits of a number; `None` for anything else. Pins it.
    pub(in crate::sql) fn number<'v>(self, value: &'v Value) -> Option<&'v str>
    where
        'a: 'v,
    {
        match (self.known(value), value) {
            (Known::Constant(Class::Integer | Class::Large | Class::Numeric), Value::Number(digits, _)) => Some(digits),
            (Known::Constant(Class::Integer | Class::Large | Class::Numeric), _) => self.ask(value),
            (Known::Constant(Class::Text) | Known::Typed | Known::Boolean | Known::Null | Known::Other, _) => None,
        }
    }

    /// The text of a plain string; `None` for anything else. Pins it.
    pub(in crate::sql) fn text<'v>(self, value: &'v Value) -> Option<&'v str>
    where
        'a: 'v,
    {
        match (self.known(value), value) {
            (Known::Constant(Class::Text), Value::SingleQuotedString(text) | Value::EscapedStringLiteral(text)) => {
                Some(text)
            }
            (Known::Constant(Class::Text), _) => self.ask(value),
            (
                Known::Constant(Class::Integer | Class::Large | Class::Numeric)
                | Known::Typed
                | Known::Boolean
                | Known::Null
                | Known::Other,
                _,
            ) => None,
        }
    }

    fn ask(self, value: &Value) -> Option<&'a str> {
        self.0?.ask(Slot::of_value(value)?)
    }

    /// The value at a slot. Pins it.
    pub(in crate::sql) fn value(self, slot: Slot) -> Option<&'a str> {
        self.0?.ask(slot)
    }

    /// A template with the constants, and where each stands; `None` where it has slots and there are no constants.
    pub(in crate::sql) fn splice(self, template: &Template) -> Option<(String, Vec<Place>)> {
        match self.0 {
            Some(constants) => template.splice_placed(constants),
            None => template.splice_placed(&Constants::default()),
        }
    }

    /// [`pin_others`].
    pub(in crate::sql) fn pin_others(self, text: &str, places: &[Place], found: &[Found]) {
        if let Some(constants) = self.0 {
            pin_others(text, places, found, constants);
        }
    }
}
