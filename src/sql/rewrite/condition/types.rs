//! Types of parts of a condition, and what comes of them together.

use sqlparser::ast::{BinaryOperator, DataType, Expr, TimezoneInfo};

use super::constant;
use super::written::form_of;

/// What a part of a condition gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ty {
    Bool,
    Text,
    Number,
    Float,
    Date,
    /// In South Africa's time, whatever it was before.
    Timestamp,
    Interval,
    Uuid,
    Enum,
    Inet,
    /// A constant in quotes, whose type its neighbour decides.
    Constant,
    Null,
    /// The application's end user, a text until it is compared with something else.
    Actor,
    /// The session's login likewise.
    Login,
    /// How a value is written that settings write differently: only whether it is empty may be asked.
    Written,
    /// Text that is compared by operators of an extension: it is cast to text first.
    Folded,
    /// May be missing or not, and no more.
    Opaque,
}

/// What is wrong, as the rest of a sentence.
pub(super) type Typed = Result<Ty, String>;

/// What a cast leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    Bool,
    Text,
    /// By PostgreSQL's name for it.
    Number(&'static str),
    Float,
    Date,
    Timestamp,
    /// With time zone.
    Moment,
    Interval,
    Uuid,
}

impl Target {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Bool => "bool",
            Self::Text => "text",
            Self::Number(name) => name,
            Self::Float => "float8",
            Self::Date => "date",
            // Taken as South Africa's.
            Self::Timestamp | Self::Moment => "timestamp",
            Self::Interval => "interval",
            Self::Uuid => "uuid",
        }
    }

    pub(super) fn gives(self) -> Ty {
        match self {
            Self::Bool => Ty::Bool,
            Self::Text => Ty::Text,
            Self::Number(_) => Ty::Number,
            Self::Float => Ty::Float,
            Self::Date => Ty::Date,
            Self::Timestamp | Self::Moment => Ty::Timestamp,
            Self::Interval => Ty::Interval,
            Self::Uuid => Ty::Uuid,
        }
    }
}

pub(super) fn target(data_type: &DataType) -> Option<Target> {
    let written = data_type.to_string().to_ascii_lowercase();
    let written = written.strip_prefix("pg_catalog.").unwrap_or(&written);
    match data_type {
        DataType::Timestamp(None, TimezoneInfo::WithTimeZone | TimezoneInfo::Tz) => return Some(Target::Moment),
        DataType::Timestamp(None, TimezoneInfo::None | TimezoneInfo::WithoutTimeZone) => {
            return Some(Target::Timestamp);
        }
        _ => {}
    }
    Some(match written {
        "bool" | "boolean" => Target::Bool,
        "text" | "varchar" | "character varying" => Target::Text,
        "int" | "int4" | "integer" => Target::Number("int4"),
        "int8" | "bigint" => Target::Number("int8"),
        "int2" | "smallint" => Target::Number("int2"),
        "numeric" | "decimal" => Target::Number("numeric"),
        "float8" | "double precision" => Target::Float,
        "date" => Target::Date,
        "timestamptz" => Target::Moment,
        "timestamp" => Target::Timestamp,
        "interval" => Target::Interval,
        "uuid" => Target::Uuid,
        _ => return None,
    })
}

/// Whether two values may be compared; `constant` is the one that is a constant, where one is.
pub(super) fn comparable(ty: Ty, other: Ty, constant: &Expr) -> Result<(), String> {
    match (ty, other) {
        (Ty::Date, Ty::Constant) => constant::day(constant),
        (Ty::Timestamp, Ty::Constant) => constant::time(constant),
        (Ty::Interval, Ty::Constant) => constant::period(constant),
        (Ty::Written, Ty::Constant) if constant::is_empty(constant) => Ok(()),
        (
            Ty::Bool | Ty::Text | Ty::Number | Ty::Float | Ty::Uuid | Ty::Enum | Ty::Inet | Ty::Constant | Ty::Null,
            Ty::Constant,
        )
        | (_, Ty::Null)
        | (Ty::Null, _)
        | (Ty::Date | Ty::Timestamp, Ty::Date | Ty::Timestamp)
        | (Ty::Number | Ty::Float, Ty::Number | Ty::Float) => Ok(()),
        (ty, other) if ty == other && !matches!(ty, Ty::Opaque | Ty::Written | Ty::Folded) => Ok(()),
        _ => Err(format!("compares {} in a way that depends on a session's settings", form_of(constant))),
    }
}

/// The common type of alternatives.
pub(super) fn alike(found: Ty, ty: Ty, expr: &Expr) -> Typed {
    comparable(found, ty, expr).or_else(|why| if found == Ty::Constant { Ok(()) } else { Err(why) })?;
    match (found, ty) {
        (Ty::Null, ty) | (ty, Ty::Null) => Ok(ty),
        (Ty::Constant, Ty::Date | Ty::Timestamp | Ty::Interval) => {
            Err(format!("has a constant before {}: write its type, as in `date '2026-12-31'`", form_of(expr)))
        }
        (Ty::Constant, ty) | (ty, Ty::Constant) => Ok(ty),
        (Ty::Date, Ty::Timestamp) | (Ty::Timestamp, Ty::Date) => Ok(Ty::Timestamp),
        (ty, _) => Ok(ty),
    }
}

/// What an operation on numbers and times gives.
pub(super) fn reckoned(left: Ty, op: &BinaryOperator, right: Ty) -> Option<Ty> {
    let (adds, takes) = (matches!(op, BinaryOperator::Plus), matches!(op, BinaryOperator::Minus));
    Some(match (left, right) {
        (Ty::Number, Ty::Number) => Ty::Number,
        (Ty::Number | Ty::Float, Ty::Number | Ty::Float) => Ty::Float,
        (Ty::Date, Ty::Number) if adds || takes => Ty::Date,
        (Ty::Number, Ty::Date) if adds => Ty::Date,
        (Ty::Date, Ty::Date) if takes => Ty::Number,
        (Ty::Date | Ty::Timestamp, Ty::Interval) if adds || takes => Ty::Timestamp,
        (Ty::Interval, Ty::Date | Ty::Timestamp) if adds => Ty::Timestamp,
        (Ty::Date | Ty::Timestamp, Ty::Date | Ty::Timestamp) if takes => Ty::Interval,
        (Ty::Interval, Ty::Interval) if adds || takes => Ty::Interval,
        (Ty::Interval, Ty::Number) if !adds && !takes => Ty::Interval,
        (Ty::Number, Ty::Interval) if matches!(op, BinaryOperator::Multiply) => Ty::Interval,
        _ => return None,
    })
}
