//! A finished text with places for constants, and the check that PostgreSQL reads nothing but a constant at each.

use super::constant::{Class, Constants, Slot};
use crate::catalog::quote_literal;

/// The text is not one whose constants can be exchanged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sql) struct Opaque;

/// A rendered text without its constants.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(in crate::sql) struct Template {
    text: String,
    /// Where in `text` which constant goes, in order.
    cuts: Vec<(usize, Slot)>,
}

/// Where a constant was put: the first byte of its token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sql) struct Place {
    pub(in crate::sql) start: usize,
    pub(in crate::sql) slot: Slot,
}

impl Template {
    /// A text without slots.
    pub(in crate::sql) fn plain(text: String) -> Self {
        Self { text, cuts: Vec::new() }
    }

    /// From a text that was rendered of an AST with slots.
    ///
    /// # Errors
    /// A sign stands in it that is no slot of the AST.
    pub(in crate::sql) fn of(rendered: &str) -> Result<Self, Opaque> {
        let mut template = Self { text: String::with_capacity(rendered.len()), cuts: Vec::new() };
        let mut rest = rendered;
        while let Some((start, end, slot)) = Slot::find(rest)? {
            template.text.push_str(rest.get(..start).unwrap_or(""));
            rest = rest.get(end..).unwrap_or("");
            if !(stands_free(template.text.bytes().next_back()) && stands_free(rest.bytes().next())) {
                return Err(Opaque);
            }
            template.cuts.push((template.text.len(), slot));
        }
        template.text.push_str(rest);
        Ok(template)
    }

    /// Whether it is the same for all constants.
    pub(in crate::sql) fn is_plain(&self) -> bool {
        self.cuts.is_empty()
    }

    /// The text itself where it is the same for all constants.
    pub(in crate::sql) fn text(&self) -> &str {
        &self.text
    }

    /// The text with these constants, each written here; `None` where one is missing.
    pub(in crate::sql) fn splice(&self, constants: &Constants) -> Option<String> {
        let mut text = String::with_capacity(self.text.len() + 16 * self.cuts.len());
        self.write(constants, &mut text, |_| {})?;
        Some(text)
    }

    /// The same, and where each constant stands.
    pub(in crate::sql) fn splice_placed(&self, constants: &Constants) -> Option<(String, Vec<Place>)> {
        let mut text = String::with_capacity(self.text.len() + 16 * self.cuts.len());
        let mut places = Vec::with_capacity(self.cuts.len());
        self.write(constants, &mut text, |place| places.push(place))?;
        Some((text, places))
    }

    fn write(&self, constants: &Constants, text: &mut String, mut placed: impl FnMut(Place)) -> Option<()> {
        let mut from = 0;
        for (at, slot) in &self.cuts {
            text.push_str(self.text.get(from..*at)?);
            from = *at;
            let (class, value) = constants.written(*slot)?;
            placed(Place { start: text.len(), slot: *slot });
            match class {
                Class::Integer | Class::Large | Class::Numeric => text.push_str(value),
                Class::Text if value.contains(['\'', '\\']) => text.push_str(&quote_literal(value)),
                Class::Text => {
                    text.push('\'');
                    text.push_str(value);
                    text.push('\'');
                }
            }
        }
        text.push_str(self.text.get(from..)?);
        Some(())
    }

    /// Bytes that it takes.
    pub(in crate::sql) fn weight(&self) -> usize {
        self.text.capacity() + self.cuts.capacity() * size_of::<(usize, Slot)>()
    }
}

/// A rendered text whose slots are all the same constant, for what leaves constants out anyway.
pub(in crate::sql) fn without_constants(rendered: &str) -> String {
    let mut text = String::with_capacity(rendered.len());
    let mut rest = rendered;
    while let Ok(Some((start, end, _))) = Slot::find(rest) {
        text.push_str(rest.get(..start).unwrap_or(""));
        text.push('0');
        rest = rest.get(end..).unwrap_or("");
    }
    text + rest
}

/// Whether a constant beside this byte is a token of its own, whatever its value: `E` and digits grow together with names,
/// quotes with quotes, points with numbers.
fn stands_free(beside: Option<u8>) -> bool {
    match beside {
        None => true,
        Some(byte) => {
            byte.is_ascii()
                && !byte.is_ascii_alphanumeric()
                && !matches!(byte, b'_' | b'$' | b'&' | b'\'' | b'"' | b'.')
        }
    }
}
