//! Values that a column is compared with, where some rule opens the column for lookups: the access log names them by a keyed
//! digest.

use sqlparser::ast::{Expr, UnaryOperator, Value};

use crate::catalog::{Oid, builtin};
use crate::sql::ast::types::declared_type;
use crate::sql::form::{Asked, Class, Known, Slot};

/// One comparison `column = value`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tested {
    /// `public.customers`.
    pub relation: String,
    /// The column.
    pub column: String,
    /// How its values are compared.
    pub compared: Compared,
    /// The value.
    pub value: Given,
}

/// How a statement gives a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Given {
    /// As a constant: what stands between the quotes, or the number.
    Text(String),
    /// As a constant that is kept apart: each run has its own.
    Constant {
        /// Which.
        slot: Slot,
        /// A minus stands before it.
        negative: bool,
    },
    /// As a parameter, counted from 1.
    Parameter(usize),
    /// NULL, which nothing equals.
    Null,
    /// In a form that is not worked out here: a cast that may change it, an operator.
    Computed,
}

impl Given {
    /// What a constant or parameter is compared as.
    pub(in crate::sql) fn of(expr: &Expr, compared: Compared, asked: Asked<'_>) -> Self {
        match expr {
            Expr::Nested(inner) => Self::of(inner, compared, asked),
            Expr::Value(value) => Self::of_value(&value.value, asked),
            Expr::UnaryOp { op: UnaryOperator::Minus, expr } => match Self::of(expr, compared, asked) {
                Self::Constant { slot, negative: false } if is_number(expr, asked) => {
                    Self::Constant { slot, negative: true }
                }
                Self::Constant { slot, negative: false } => match asked.value(slot) {
                    Some(number) if number.starts_with(|first: char| first.is_ascii_digit()) => {
                        Self::Text(format!("-{number}"))
                    }
                    Some(_) | None => Self::Computed,
                },
                Self::Text(number) if number.starts_with(|first: char| first.is_ascii_digit()) => {
                    Self::Text(format!("-{number}"))
                }
                _ => Self::Computed,
            },
            Expr::Cast { expr, data_type, .. } => {
                let written = data_type.to_string();
                let kept = match declared_type(&written) {
                    // A length may cut the value.
                    builtin::TEXT => compared == Compared::Text && !written.contains('('),
                    builtin::INT2 | builtin::INT4 | builtin::INT8 => compared == Compared::Integer,
                    _ => false,
                };
                if kept { Self::of(expr, compared, asked) } else { Self::Computed }
            }
            _ => Self::Computed,
        }
    }
}

impl Given {
    fn of_value(value: &Value, asked: Asked<'_>) -> Self {
        if let Some(slot) = Slot::of_value(value) {
            return Self::Constant { slot, negative: false };
        }
        let written = match asked.known(value) {
            Known::Constant(Class::Text) => asked.text(value),
            Known::Constant(Class::Integer | Class::Large | Class::Numeric) => asked.number(value),
            Known::Null => return Self::Null,
            Known::Other => {
                let Value::Placeholder(name) = value else { return Self::Computed };
                let number = name.strip_prefix('$').and_then(|number| number.parse().ok());
                return number.map_or(Self::Computed, Self::Parameter);
            }
            Known::Typed | Known::Boolean => None,
        };
        written.map_or(Self::Computed, |written| Self::Text(written.to_owned()))
    }
}

/// Whether it is a number itself, or one in parentheses.
fn is_number(expr: &Expr, asked: Asked<'_>) -> bool {
    match expr {
        Expr::Nested(inner) => is_number(inner, asked),
        Expr::Value(value) => {
            matches!(asked.known(&value.value), Known::Constant(Class::Integer | Class::Large | Class::Numeric))
        }
        _ => false,
    }
}

/// How the values of a type are compared, as far as two forms of the same value can be told here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compared {
    /// `text`, `varchar`: byte by byte.
    Text,
    /// `char(n)`: without the blanks at the end.
    Padded,
    /// `smallint`, `integer`, `bigint`.
    Integer,
    /// Anything else.
    Other,
}

impl Compared {
    /// Of a column or parameter of this type, domains taken for what they are made of.
    pub fn of(oid: Oid) -> Self {
        match oid {
            builtin::TEXT | builtin::VARCHAR | builtin::UNKNOWN => Self::Text,
            builtin::BPCHAR => Self::Padded,
            builtin::INT2 | builtin::INT4 | builtin::INT8 => Self::Integer,
            _ => Self::Other,
        }
    }

    /// The text that all forms of the same value share; `None` for what is no value of the type.
    pub fn canonical(self, text: &str) -> Option<String> {
        match self {
            Self::Text => Some(text.to_owned()),
            Self::Padded => Some(text.trim_end_matches(' ').to_owned()),
            Self::Integer => {
                let text = text.trim_ascii();
                // `42.00` is compared as a number, and equals 42.
                let whole = match text.split_once('.') {
                    Some((whole, zeros)) if !whole.is_empty() && zeros.bytes().all(|digit| digit == b'0') => whole,
                    _ => text,
                };
                whole.parse::<i64>().ok().map(|number| number.to_string())
            }
            Self::Other => None,
        }
    }

    /// The same of a parameter in the binary format, of the type that it was declared to have; 0 for the column's own.
    pub fn canonical_of_binary(self, declared: Oid, value: &[u8]) -> Option<String> {
        let sent = if declared == 0 { self } else { Self::of(declared) };
        match sent {
            Self::Text | Self::Padded => self.canonical(std::str::from_utf8(value).ok()?),
            Self::Integer => {
                let number = match value {
                    [a, b] => i16::from_be_bytes([*a, *b]).into(),
                    [a, b, c, d] => i32::from_be_bytes([*a, *b, *c, *d]).into(),
                    _ => i64::from_be_bytes(value.try_into().ok()?),
                };
                self.canonical(&number.to_string())
            }
            Self::Other => None,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use sqlparser::dialect::PostgreSqlDialect;
    use sqlparser::parser::Parser;

    use super::*;

    fn given(sql: &str, compared: Compared) -> Given {
        let expr = Parser::new(&PostgreSqlDialect {}).try_with_sql(sql).unwrap().parse_expr().unwrap();
        Given::of(&expr, compared, Asked::default())
    }

    #[test]
    fn forms_of_the_same_value_have_one_text() {
        for (compared, form, text) in [
            (Compared::Text, "8001015009087 ", Some("8001015009087 ")),
            (Compared::Padded, "ab  ", Some("ab")),
            (Compared::Integer, " +0042 ", Some("42")),
            (Compared::Integer, "-7", Some("-7")),
            (Compared::Integer, "42.00", Some("42")),
            (Compared::Integer, "42.5", None),
            (Compared::Integer, ".0", None),
            (Compared::Integer, "x", None),
            (Compared::Integer, "9223372036854775808", None),
            (Compared::Other, "x", None),
        ] {
            assert_eq!(compared.canonical(form).as_deref(), text, "{compared:?} {form}");
        }
        for (compared, declared, bytes, text) in [
            (Compared::Integer, 0, &[0, 42][..], Some("42")),
            (Compared::Integer, builtin::INT4, &[255, 255, 255, 255], Some("-1")),
            (Compared::Integer, builtin::INT8, &[0, 0, 0, 0, 0, 0, 0, 42], Some("42")),
            (Compared::Integer, builtin::INT8, &[0, 0, 42], None),
            (Compared::Integer, builtin::NUMERIC, &[0, 42], None),
            (Compared::Text, 0, b"abc", Some("abc")),
            (Compared::Text, builtin::VARCHAR, b"abc", Some("abc")),
            (Compared::Padded, builtin::TEXT, b"abc ", Some("abc")),
            (Compared::Text, 0, b"\xff", None),
            (Compared::Text, builtin::UUID, b"abc", None),
        ] {
            assert_eq!(compared.canonical_of_binary(declared, bytes).as_deref(), text, "{compared:?} {bytes:?}");
        }
    }

    #[test]
    fn a_constant_is_taken_as_it_stands_and_what_may_change_it_is_not_worked_out() {
        let text = |value: &str| Given::Text(value.to_owned());
        for (sql, compared, expected) in [
            ("'x'", Compared::Text, text("x")),
            ("('x'::text)", Compared::Text, text("x")),
            ("CAST($3 AS varchar)", Compared::Text, Given::Parameter(3)),
            ("'abcdef'::varchar(3)", Compared::Text, Given::Computed),
            ("'x'::text", Compared::Padded, Given::Computed),
            ("-42", Compared::Integer, text("-42")),
            ("- - 42", Compared::Integer, Given::Computed),
            ("'42'::bigint", Compared::Integer, text("42")),
            ("'042'::bigint", Compared::Text, Given::Computed),
            ("NULL", Compared::Text, Given::Null),
            ("true", Compared::Text, Given::Computed),
            ("date '2026-11-22'", Compared::Other, Given::Computed),
        ] {
            assert_eq!(given(sql, compared), expected, "{sql}");
        }
    }
}
