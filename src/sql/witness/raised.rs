//! What PostgreSQL's grammar says by itself, where it stops at no token: the rest of what it tells, and the place.
//!
//! Source: `gram.y`, `parser.c` and `scan.l` of PostgreSQL 15. libpg_query gives the message alone.

use crate::error::SqlState;
use crate::sql::text::lex::{Kind, Token, lex};

/// The rest of an error of the grammar's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Raised {
    pub(super) sqlstate: SqlState,
    pub(super) hint: Option<&'static str>,
    pub(super) speaker: (&'static str, &'static str),
    place: Place,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// None is told.
    None,
    /// The one token that is this word or sign.
    At(&'static str),
    /// The token behind the one that is this word.
    Behind(&'static str),
    /// This byte: of an escape in a string, or behind it.
    Byte(usize),
}

const GRAMMAR: (&str, &str) = ("gram.y", "base_yyparse");
const OPTIONS: (&str, &str) = ("gram.y", "insertSelectOptions");

impl Raised {
    /// What else goes with these words; `None` where it is not known.
    pub(super) fn of(words: &str, text: &str) -> Option<Self> {
        let said = |place, hint, speaker| Self { sqlstate: SqlState::SYNTAX_ERROR, hint, speaker, place };
        let plain = |place| said(place, None, GRAMMAR);
        let ties = "WITH TIES options cannot be used together";
        Some(match words {
            "invalid Unicode escape" => {
                let at = escape(text, words)?;
                match is_standard(text, at)? {
                    true => said(
                        Place::Byte(at),
                        Some("Unicode escapes must be \\XXXX or \\+XXXXXX."),
                        ("parser.c", "str_udeescape"),
                    ),
                    false => Self {
                        sqlstate: SqlState::INVALID_ESCAPE_SEQUENCE,
                        hint: Some("Unicode escapes must be \\uXXXX or \\UXXXXXXXX."),
                        speaker: ("scan.l", "core_yylex"),
                        place: Place::Byte(at),
                    },
                }
            }
            "invalid Unicode surrogate pair" => {
                let behind = |at| Place::Byte(behind(text, at));
                said(escape(text, words).map_or(Place::None, behind), None, ("parser.c", "str_udeescape"))
            }
            "invalid Unicode escape value" => {
                said(escape(text, words).map_or(Place::None, Place::Byte), None, ("parser.c", "check_unicode_value"))
            }
            "missing argument" => {
                said(Place::At(")"), Some("Use NONE to denote the missing argument of a unary operator."), GRAMMAR)
            }
            "cannot use multiple ORDER BY clauses with WITHIN GROUP"
            | "cannot use DISTINCT with WITHIN GROUP"
            | "cannot use VARIADIC with WITHIN GROUP" => plain(Place::At("within")),
            "WHERE clause not allowed with COPY TO" => plain(Place::At("where")),
            "for a generated column, GENERATED ALWAYS must be specified" => plain(Place::Behind("generated")),
            "constraint declared INITIALLY DEFERRED must be DEFERRABLE" => plain(Place::At("initially")),
            "WITH TIES cannot be specified without ORDER BY clause" => said(Place::None, None, OPTIONS),
            _ if words.ends_with(ties) => said(Place::None, None, OPTIONS),
            "LIMIT #,# syntax is not supported" => {
                said(Place::At("limit"), Some("Use separate LIMIT and OFFSET clauses."), GRAMMAR)
            }
            "MATCH PARTIAL not yet implemented" => {
                Self { sqlstate: SqlState::FEATURE_NOT_SUPPORTED, ..plain(Place::At("match")) }
            }
            "CREATE SCHEMA IF NOT EXISTS cannot include schema elements"
            | "CREATE OR REPLACE CONSTRAINT TRIGGER is not supported"
            | "CREATE EXTENSION ... FROM is no longer supported"
            | "CREATE ASSERTION is not yet implemented" => {
                Self { sqlstate: SqlState::FEATURE_NOT_SUPPORTED, ..plain(Place::None) }
            }
            _ if words.contains(" constraints cannot be marked ") => {
                let marks = said(Place::None, None, ("gram.y", "processCASbits"));
                Self { sqlstate: SqlState::FEATURE_NOT_SUPPORTED, ..marks }
            }
            _ if words.ends_with(" cannot be used as a role name here") => {
                Self { sqlstate: SqlState::RESERVED_NAME, ..plain(Place::None) }
            }
            _ if words.starts_with("precision for type float must be ") => {
                Self { sqlstate: SqlState::INVALID_PARAMETER_VALUE, ..plain(Place::None) }
            }
            _ if words.starts_with("role name \"") && words.ends_with("\" is reserved") => {
                let name = words.split('"').nth(1).filter(|name| ["public", "none"].contains(name));
                let place = match name {
                    Some("public") => Place::At("public"),
                    Some(_) => Place::At("none"),
                    None => Place::None,
                };
                Self { sqlstate: SqlState::RESERVED_NAME, ..plain(place) }
            }
            _ if words.starts_with("unrecognized partitioning strategy \"") => Self {
                sqlstate: SqlState::INVALID_PARAMETER_VALUE,
                ..said(Place::None, None, ("tablecmds.c", "transformPartitionSpec"))
            },
            _ if words.starts_with("unrecognized row security option ") => said(
                Place::Behind("as"),
                Some("Only PERMISSIVE or RESTRICTIVE policies are supported currently."),
                GRAMMAR,
            ),
            _ => return None,
        })
    }

    /// The byte that is meant; `None` where none is, or it is not certain.
    pub(super) fn place(&self, text: &str) -> Option<usize> {
        match self.place {
            Place::None => None,
            Place::At(word) => one(&lex(text).ok()?, word).map(|(_, token)| token.start),
            Place::Behind(word) => {
                let tokens: Vec<Token> =
                    lex(text).ok()?.into_iter().filter(|token| token.kind != Kind::Comment).collect();
                let (number, _) = one(&tokens, word)?;
                tokens.get(number.checked_add(1)?).map(|token| token.start)
            }
            Place::Byte(at) => Some(at),
        }
    }
}

fn one<'a>(tokens: &'a [Token], word: &str) -> Option<(usize, &'a Token)> {
    let mut found = tokens.iter().enumerate().filter(|(_, token)| token.is_word(word) || token.is_symbol(word));
    let first = found.next()?;
    found.next().is_none().then_some(first)
}

/// Whether the string in which the escape at this byte stands is `U&'..'`, and not `E'..'`.
fn is_standard(text: &str, at: usize) -> Option<bool> {
    let before = text.get(..at)?;
    let opened = before.get(..before.rfind('\'')?)?;
    match opened.as_bytes() {
        [.., b'U' | b'u', b'&'] => Some(true),
        [.., b'E' | b'e'] => Some(false),
        _ => None,
    }
}

/// The byte behind the escape of a `U&'..'` at this one.
fn behind(text: &str, at: usize) -> usize {
    let long = text.get(at..).is_some_and(|rest| rest.starts_with("\\+"));
    at.saturating_add(if long { 8 } else { 5 })
}

/// The first escape of the text's that PostgreSQL's grammar does not take: the one behind which it says no more than it says of the whole
/// (`words`), were the string to end there.
fn escape(text: &str, words: &str) -> Option<usize> {
    let mut escapes = text.match_indices('\\').take(super::told::TRIED).map(|(at, _)| at);
    escapes.find(|at| {
        let rest = text.get(at.saturating_add(1)..).unwrap_or_default();
        let end = rest.find(['\\', '\'']).map_or(text.len(), |length| at.saturating_add(length).saturating_add(1));
        let part = text.get(..end).map(|part| format!("{part}'"));
        part.and_then(|part| super::told::words(&part)).as_deref() == Some(words)
    })
}
