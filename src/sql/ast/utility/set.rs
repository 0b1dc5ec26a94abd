//! SET, RESET, SHOW and the modes of a transaction.

use super::cursor::{Cursor, text_of};
use super::{Isolation, SetValue, TransactionMode, Utility};
use crate::error::Refusal;
use crate::sql::text::keywords::{Category, category};
use crate::sql::text::lex::Kind;

/// Modes of BEGIN, START TRANSACTION and SET TRANSACTION, with or without commas between them.
///
/// # Errors
/// 42601.
pub(super) fn transaction_modes(c: &mut Cursor<'_>) -> Result<Vec<TransactionMode>, Refusal> {
    let mut modes = Vec::new();
    while !c.at_end() {
        if !modes.is_empty() {
            c.symbol(",");
        }
        modes.push(if c.words(&["isolation", "level"]) {
            TransactionMode::Isolation(if c.words(&["read", "uncommitted"]) {
                Isolation::ReadUncommitted
            } else if c.words(&["read", "committed"]) {
                Isolation::ReadCommitted
            } else if c.words(&["repeatable", "read"]) {
                Isolation::RepeatableRead
            } else if c.words(&["serializable"]) {
                Isolation::Serializable
            } else {
                return Err(c.refuse());
            })
        } else if c.words(&["read", "only"]) {
            TransactionMode::ReadOnly
        } else if c.words(&["read", "write"]) {
            TransactionMode::ReadWrite
        } else if c.words(&["not", "deferrable"]) {
            TransactionMode::NotDeferrable
        } else if c.words(&["deferrable"]) {
            TransactionMode::Deferrable
        } else {
            return Err(c.refuse());
        });
    }
    Ok(modes)
}

/// A word, string or number.
///
/// # Errors
/// 42601.
pub(super) fn value(c: &mut Cursor<'_>) -> Result<SetValue, Refusal> {
    if let Some(number) = c.number() {
        return Ok(SetValue::Number(number));
    }
    let refusal = c.refuse();
    match c.skip().map(|token| &token.kind) {
        Some(Kind::Text(text) | Kind::Quoted(text)) => Ok(SetValue::Text(text.clone())),
        Some(Kind::Word(word))
            if category(word) != Some(Category::Reserved) || matches!(word.as_str(), "true" | "false" | "on") =>
        {
            Ok(SetValue::Text(word.clone()))
        }
        _ => Err(refusal),
    }
}

/// Behind SET.
///
/// # Errors
/// 42601, 0A000.
pub(super) fn set(c: &mut Cursor<'_>) -> Result<Utility, Refusal> {
    if c.words(&["constraints"]) {
        return constraints(c);
    }
    if c.words(&["session", "characteristics", "as", "transaction"]) {
        return modes(c, true);
    }
    if c.is_word("transaction") && !c.peek(1).is_some_and(|token| token.is_symbol("=") || token.is_word("to")) {
        c.skip();
        return modes(c, false);
    }
    // A setting may be called `session` only in quotes.
    let local = c.words(&["local"]);
    if local {
        if c.words(&["transaction"]) {
            return modes(c, false);
        }
    } else if !c.peek(1).is_some_and(|token| token.is_word("authorization")) {
        c.words(&["session"]);
    }
    let (name, values) = setting(c)?;
    Ok(Utility::Set { local, name, values })
}

fn modes(c: &mut Cursor<'_>, session: bool) -> Result<Utility, Refusal> {
    if !session && c.words(&["snapshot"]) {
        return Ok(Utility::SetSnapshot(c.text()?));
    }
    let modes = transaction_modes(c)?;
    if modes.is_empty() { Err(c.refuse()) } else { Ok(Utility::SetTransaction { session, modes }) }
}

fn setting(c: &mut Cursor<'_>) -> Result<(String, Option<Vec<SetValue>>), Refusal> {
    if c.words(&["time", "zone"]) {
        return Ok(("timezone".to_owned(), zone(c)?));
    }
    let names = [("names", "client_encoding"), ("schema", "search_path"), ("role", "role")];
    for (word, setting) in names {
        let assigned =
            c.peek(1).is_none_or(|token| token.is_symbol("=") || token.is_word("to") || token.is_symbol("."));
        if c.is_word(word) && (!assigned || (word == "names" && c.peek(1).is_none())) {
            c.skip();
            if c.at_end() || c.words(&["default"]) {
                return if word == "names" { Ok((setting.to_owned(), None)) } else { Err(c.refuse()) };
            }
            return Ok((setting.to_owned(), Some(vec![value(c)?])));
        }
    }
    if c.words(&["session", "authorization"]) {
        let values = if c.words(&["default"]) { None } else { Some(vec![value(c)?]) };
        return Ok(("session_authorization".to_owned(), values));
    }
    if c.words(&["xml", "option"]) {
        let value = value(c)?;
        return Ok(("xmloption".to_owned(), Some(vec![value])));
    }
    let name = setting_name(c)?;
    if !c.symbol("=") {
        c.expect_words(&["to"])?;
    }
    if c.words(&["default"]) {
        return Ok((name, None));
    }
    let mut values = vec![value(c)?];
    while c.symbol(",") {
        values.push(value(c)?);
    }
    Ok((name, Some(values)))
}

/// `a` or `a.b`.
fn setting_name(c: &mut Cursor<'_>) -> Result<String, Refusal> {
    let mut name = c.name()?;
    while c.symbol(".") {
        name.push('.');
        name.push_str(&c.name()?);
    }
    Ok(name)
}

fn zone(c: &mut Cursor<'_>) -> Result<Option<Vec<SetValue>>, Refusal> {
    if c.one_of(&["default", "local"]).is_some() {
        return Ok(None);
    }
    if c.words(&["interval"]) {
        let value = c.text()?;
        let fields = text_of(c.rest());
        while c.skip().is_some() {}
        return Ok(Some(vec![SetValue::Interval { value, fields }]));
    }
    value(c).map(|value| Some(vec![value]))
}

fn constraints(c: &mut Cursor<'_>) -> Result<Utility, Refusal> {
    let mut constraints = Vec::new();
    if !c.words(&["all"]) {
        constraints.push(c.qualified()?);
        while c.symbol(",") {
            constraints.push(c.qualified()?);
        }
    }
    match c.one_of(&["deferred", "immediate"]) {
        Some(word) => Ok(Utility::SetConstraints { constraints, deferred: word == "deferred" }),
        None => Err(c.refuse()),
    }
}

/// Settings with a syntax of their own in RESET and SHOW.
fn own_syntax(c: &mut Cursor<'_>) -> Option<String> {
    let forms: [(&[&str], &str); 3] = [
        (&["time", "zone"], "timezone"),
        (&["transaction", "isolation", "level"], "transaction_isolation"),
        (&["session", "authorization"], "session_authorization"),
    ];
    forms.into_iter().find(|(words, _)| c.words(words)).map(|(_, name)| name.to_owned())
}

/// Behind RESET.
///
/// # Errors
/// 42601.
pub(super) fn reset(c: &mut Cursor<'_>) -> Result<Utility, Refusal> {
    Ok(Utility::Reset(if c.words(&["all"]) { None } else { Some(named(c)?) }))
}

/// Behind SHOW.
///
/// # Errors
/// 42601.
pub(super) fn show(c: &mut Cursor<'_>) -> Result<Utility, Refusal> {
    Ok(Utility::Show(if c.words(&["all"]) { None } else { Some(named(c)?) }))
}

fn named(c: &mut Cursor<'_>) -> Result<String, Refusal> {
    match own_syntax(c) {
        Some(name) => Ok(name),
        None => setting_name(c),
    }
}
