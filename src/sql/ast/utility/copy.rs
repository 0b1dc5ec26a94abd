//! COPY.

use super::cursor::Cursor;
use super::{CopyDirection, CopyOption, CopySource, CopyStatement, CopyValue, SetValue, Utility};
use crate::error::{Refusal, Stage};
use crate::sql::ast::parse::{expression, statement};

/// Behind COPY.
///
/// # Errors
/// 42601; 0A000 for files and programs.
pub(super) fn copy(c: &mut Cursor<'_>) -> Result<Utility, Refusal> {
    let mut options = Vec::new();
    let source = if c.symbol("(") {
        let query = inside(c)?;
        CopySource::Query(Box::new(statement(query)?))
    } else {
        if c.is_word("binary") && !c.peek(1).is_some_and(|token| token.is_word("from") || token.is_word("to")) {
            c.skip();
            options.push(option("format", Some(CopyValue::Text("binary".to_owned()))));
        }
        let (schema, name) = c.qualified()?;
        let columns = if c.symbol("(") { names(c)? } else { Vec::new() };
        CopySource::Table { schema, name, columns }
    };
    let direction = match (c.one_of(&["from", "to"]), &source) {
        (Some("from"), CopySource::Table { .. }) => CopyDirection::FromStdin,
        (Some("to"), _) => CopyDirection::ToStdout,
        _ => return Err(c.refuse()),
    };
    if c.one_of(&["stdin", "stdout"]).is_none() {
        return Err(Refusal::unsupported(
            Stage::Parse,
            "COPY from or to a file or program of the server is not carried out",
        )
        .hint("use FROM STDIN or TO STDOUT"));
    }
    c.words(&["with"]);
    let legacy = !c.is_symbol("(");
    if legacy {
        while !c.at_end() && !c.is_word("where") {
            options.push(legacy_option(c)?);
        }
    } else if options.is_empty() {
        c.skip();
        options = generic_options(c)?;
    } else {
        return Err(c.refuse());
    }
    let filter = if c.words(&["where"]) { Some(Box::new(expression(c.rest())?)) } else { None };
    if filter.is_none() {
        c.end()?;
    }
    Ok(Utility::Copy(CopyStatement { source, direction, legacy, options, filter }))
}

/// The tokens up to the parenthesis that closes the query; behind it afterwards.
fn inside<'a>(c: &mut Cursor<'a>) -> Result<&'a [crate::sql::text::lex::Token], Refusal> {
    let all = c.rest();
    c.parts()?;
    let length = all.len() - c.rest().len();
    length.checked_sub(1).and_then(|end| all.get(..end)).ok_or_else(|| c.refuse())
}

fn option(name: &str, value: Option<CopyValue>) -> CopyOption {
    CopyOption { name: name.to_owned(), value }
}

/// Names behind `(`, up to `)`.
fn names(c: &mut Cursor<'_>) -> Result<Vec<String>, Refusal> {
    let mut names = vec![c.name()?];
    while c.symbol(",") {
        names.push(c.name()?);
    }
    c.expect_symbol(")")?;
    Ok(names)
}

fn generic_options(c: &mut Cursor<'_>) -> Result<Vec<CopyOption>, Refusal> {
    let mut options = Vec::new();
    for part in c.parts()? {
        let mut part = Cursor::new(part, "COPY");
        let name = part.label()?;
        let value = if part.at_end() {
            None
        } else if part.symbol("*") {
            Some(CopyValue::Star)
        } else if part.words(&["default"]) {
            Some(CopyValue::Default)
        } else if part.symbol("(") {
            let mut items = Vec::new();
            for item in part.parts()? {
                let mut item = Cursor::new(item, "COPY");
                let SetValue::Text(name) = super::set::value(&mut item)? else { return Err(item.refuse()) };
                item.end()?;
                items.push(name);
            }
            Some(CopyValue::List(items))
        } else {
            Some(match super::set::value(&mut part)? {
                SetValue::Text(text) => CopyValue::Text(text),
                SetValue::Number(number) => CopyValue::Number(number),
                SetValue::Interval { .. } => return Err(part.refuse()),
            })
        };
        part.end()?;
        options.push(CopyOption { name, value });
    }
    Ok(options)
}

/// Options as before PostgreSQL 9.0, which psql and pg_dump still write.
fn legacy_option(c: &mut Cursor<'_>) -> Result<CopyOption, Refusal> {
    for (word, format) in [("binary", "binary"), ("csv", "csv")] {
        if c.words(&[word]) {
            return Ok(option("format", Some(CopyValue::Text(format.to_owned()))));
        }
    }
    for flag in ["header", "freeze"] {
        if c.words(&[flag]) {
            return Ok(option(flag, Some(CopyValue::Flag)));
        }
    }
    if c.words(&["encoding"]) {
        return Ok(option("encoding", Some(CopyValue::Text(c.text()?))));
    }
    if let Some(word) = c.one_of(&["delimiter", "null", "quote", "escape"]) {
        c.words(&["as"]);
        return Ok(option(word, Some(CopyValue::Text(c.text()?))));
    }
    let name = if c.words(&["force", "quote"]) {
        "force_quote"
    } else if c.words(&["force", "not", "null"]) {
        "force_not_null"
    } else if c.words(&["force", "null"]) {
        "force_null"
    } else {
        return Err(c.refuse());
    };
    if c.symbol("*") {
        return Ok(option(name, Some(CopyValue::Star)));
    }
    let mut columns = vec![c.name()?];
    while c.symbol(",") {
        columns.push(c.name()?);
    }
    Ok(option(name, Some(CopyValue::List(columns))))
}
