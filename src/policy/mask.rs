//! Masks as values. How one is written in SQL is the rewrite's business.

use std::fmt;
use std::str::FromStr;

use crate::catalog::TypeClass;

/// What is shown instead of a value. Every mask keeps the column's type.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Mask {
    /// NULL.
    Null,
    /// A constant text.
    Fixed(String),
    /// The first n characters, the rest as `*`.
    First(u32),
    /// The last n characters, the rest as `*`.
    Last(u32),
    /// `t***@e***.za`: first character of name and host, the last label kept.
    Email,
    /// The first of January of the year.
    Year,
    /// The first of the month.
    Month,
    /// The lower end of the band of width n that holds the value.
    Band(u64),
    /// A keyed pseudonym, another key per purpose.
    Token,
}

/// The longest prefix or suffix a mask may keep.
const MAX_KEPT: u32 = 1000;
/// Widest band: what a `bigint` can hold.
const MAX_BAND: u64 = i64::MAX as u64;
/// Longest constant, in bytes.
const MAX_FIXED: usize = 1000;

impl Mask {
    /// Whether the mask can keep a type of this class.
    pub fn fits(&self, class: TypeClass) -> bool {
        use TypeClass as T;
        match self {
            Self::Null => true,
            Self::Fixed(_) | Self::First(_) | Self::Last(_) | Self::Email => class == T::Text,
            Self::Year | Self::Month => matches!(class, T::Date | T::Timestamp | T::TimestampTz),
            Self::Band(_) => matches!(class, T::Integer | T::Numeric | T::Float),
            Self::Token => matches!(class, T::Text | T::Uuid | T::Integer),
        }
    }

    /// What both masks let through: where two rules mask one column differently, this is shown. Where neither of
    /// the two can be computed from the other's result it is [`Mask::Null`]. The order of the rules does not matter.
    #[must_use]
    pub fn meet(self, other: Self) -> Self {
        match (self, other) {
            (Self::First(a), Self::First(b)) => Self::First(a.min(b)),
            (Self::Last(a), Self::Last(b)) => Self::Last(a.min(b)),
            (Self::Year, Self::Month) | (Self::Month, Self::Year) => Self::Year,
            (Self::Band(a), Self::Band(b)) => common_band(a, b),
            (a, b) if a == b => a,
            (_, _) => Self::Null,
        }
    }
}

/// The narrowest band that both bands can be coarsened to: the least common multiple.
fn common_band(a: u64, b: u64) -> Mask {
    let (mut x, mut y) = (a, b);
    while y != 0 {
        (x, y) = (y, x % y);
    }
    let multiple = a.checked_div(x).and_then(|part| part.checked_mul(b));
    match multiple {
        Some(width) if width <= MAX_BAND => Mask::Band(width),
        Some(_) | None => Mask::Null,
    }
}

/// As policies write it; [`Mask::from_str`] reads it back.
impl fmt::Display for Mask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Fixed(text) if is_quoted(text) || text.trim() != text => write!(f, "fixed(\"{text}\")"),
            Self::Fixed(text) => write!(f, "fixed({text})"),
            Self::First(n) => write!(f, "first({n})"),
            Self::Last(n) => write!(f, "last({n})"),
            Self::Email => f.write_str("email"),
            Self::Year => f.write_str("year"),
            Self::Month => f.write_str("month"),
            Self::Band(n) => write!(f, "band({n})"),
            Self::Token => f.write_str("token"),
        }
    }
}

fn is_quoted(text: &str) -> bool {
    ['"', '\''].into_iter().any(|quote| text.len() >= 2 && text.starts_with(quote) && text.ends_with(quote))
}

/// What is between the parentheses of `fixed(...)`: one pair of quotes around it is taken off.
fn unquoted(text: &str) -> &str {
    let text = text.trim();
    if !is_quoted(text) {
        return text;
    }
    let mut inner = text.chars();
    inner.next();
    inner.next_back();
    inner.as_str()
}

/// Reads `null`, `first(1)`, `fixed(hidden)`, `fixed("hidden")`, `band(10)` ... The error says what is wrong.
impl FromStr for Mask {
    type Err = String;

    fn from_str(written: &str) -> Result<Self, Self::Err> {
        let text = written.trim();
        let (name, argument) = match text.split_once('(') {
            None => (text, None),
            Some((name, rest)) => match rest.strip_suffix(')') {
                Some(argument) => (name.trim(), Some(argument)),
                None => return Err(format!("mask `{written}` is not closed with `)`")),
            },
        };
        let plain = |mask: Self| match argument {
            None => Ok(mask),
            Some(_) => Err(format!("mask `{name}` takes nothing in parentheses")),
        };
        let number = |max: u64, least: u64| {
            argument
                .and_then(|argument| argument.trim().parse::<u64>().ok())
                .filter(|number| (least..=max).contains(number))
                .ok_or_else(|| format!("mask `{name}` takes a whole number from {least} to {max}, as in `{name}(4)`"))
        };
        let kept = || number(u64::from(MAX_KEPT), 0).map(|n| u32::try_from(n).unwrap_or(0));
        match name {
            "null" => plain(Self::Null),
            "email" => plain(Self::Email),
            "year" => plain(Self::Year),
            "month" => plain(Self::Month),
            "token" => plain(Self::Token),
            "first" => kept().map(Self::First),
            "last" => kept().map(Self::Last),
            "band" => number(MAX_BAND, 1).map(Self::Band),
            "fixed" => match argument.map(unquoted) {
                Some(text) if text.len() > MAX_FIXED => Err(format!("mask `fixed` takes at most {MAX_FIXED} bytes")),
                Some(text) if text.chars().any(char::is_control) => {
                    Err("mask `fixed` takes no control characters".to_owned())
                }
                Some(text) => Ok(Self::Fixed(text.to_owned())),
                None => Err("mask `fixed` takes a text, as in `fixed(hidden)`".to_owned()),
            },
            _ => Err(format!(
                "there is no mask `{written}`: masks are `null`, `fixed(text)`, `first(n)`, `last(n)`, `email`, `year`, `month`, `band(n)`, `token`"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    fn any_mask() -> impl Strategy<Value = Mask> {
        prop_oneof![
            Just(Mask::Null),
            Just(Mask::Email),
            Just(Mask::Year),
            Just(Mask::Month),
            Just(Mask::Token),
            (0..=MAX_KEPT).prop_map(Mask::First),
            (0..=MAX_KEPT).prop_map(Mask::Last),
            (1..=MAX_BAND).prop_map(Mask::Band),
            (1..=40_u64).prop_map(Mask::Band),
            "[ -~'\"()]{0,12}".prop_map(Mask::Fixed),
            "\\PC{0,12}".prop_map(Mask::Fixed),
        ]
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(mask in any_mask()) {
            prop_assert_eq!(mask.to_string().parse::<Mask>().unwrap(), mask);
        }

        #[test]
        fn reading_never_panics(text in "\\PC*") {
            let _ = text.parse::<Mask>();
        }

        #[test]
        fn the_order_of_masks_does_not_matter(a in any_mask(), b in any_mask(), c in any_mask()) {
            prop_assert_eq!(a.clone().meet(b.clone()), b.clone().meet(a.clone()));
            prop_assert_eq!(a.clone().meet(a.clone()), a.clone());
            prop_assert_eq!(a.clone().meet(b.clone()).meet(c.clone()), a.meet(b.meet(c)));
        }

        #[test]
        fn what_two_masks_share_fits_where_both_fit(a in any_mask(), b in any_mask()) {
            for class in [TypeClass::Text, TypeClass::Integer, TypeClass::Date, TypeClass::Uuid, TypeClass::Float] {
                if a.fits(class) && b.fits(class) {
                    prop_assert!(a.clone().meet(b.clone()).fits(class));
                }
            }
        }
    }

    #[test]
    fn quotes_around_a_fixed_text_are_optional() {
        for written in ["fixed(hidden)", "fixed('hidden')", "fixed( \"hidden\" )"] {
            assert_eq!(written.parse(), Ok(Mask::Fixed("hidden".into())), "{written}");
        }
    }

    #[test]
    fn a_mask_that_is_not_one_is_told_why() {
        for (written, told) in [
            ("hash", "there is no mask `hash`"),
            ("first", "takes a whole number"),
            ("first(-1)", "takes a whole number"),
            ("first(1", "not closed"),
            ("null(3)", "takes nothing"),
            ("band(0)", "takes a whole number from 1"),
            ("fixed", "takes a text"),
            ("fixed(a\nb)", "no control characters"),
        ] {
            let error = written.parse::<Mask>().unwrap_err();
            assert!(error.contains(told), "{written}: {error}");
        }
    }

    #[test]
    fn bands_meet_at_their_common_multiple() {
        assert_eq!(Mask::Band(4).meet(Mask::Band(6)), Mask::Band(12));
        assert_eq!(Mask::Band(MAX_BAND).meet(Mask::Band(2)), Mask::Null);
        assert_eq!(Mask::First(3).meet(Mask::First(1)), Mask::First(1));
        assert_eq!(Mask::First(3).meet(Mask::Last(1)), Mask::Null);
    }
}
