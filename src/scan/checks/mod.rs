//! What one value is, by check and not by shape alone. Each takes the text of a value and says whether it holds.

pub(super) mod banks;
pub(super) mod dates;
pub(super) mod identity;
pub(super) mod numbers;
pub(super) mod online;
pub(super) mod phones;
pub(super) mod text;

/// The digits of a text that holds nothing else but blanks, dashes and dots.
fn digits(text: &str) -> Option<Vec<u8>> {
    let mut digits = Vec::with_capacity(text.len());
    for c in text.chars() {
        match c.to_digit(10) {
            Some(digit) => digits.push(u8::try_from(digit).unwrap_or_default()),
            None if matches!(c, ' ' | '-' | '.' | '\u{a0}') => {}
            None => return None,
        }
    }
    Some(digits)
}
