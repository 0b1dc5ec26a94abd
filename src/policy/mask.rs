//! Masks as values. How one is written in SQL is the rewrite's business.

use std::fmt;

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
}

/// As policies write it.
impl fmt::Display for Mask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
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
