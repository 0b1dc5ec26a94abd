//! Utility statements from tokens.

use super::copy::copy;
use super::cursor::{Cursor, text_of};
use super::set::{reset, set, show, transaction_modes, value};
use super::{CursorOptions, Direction, Discard, ExplainOption, Explained, Phase, Utility};
use crate::error::Refusal;
use crate::sql::ast::parse::{expression, statement};
use crate::sql::text::lex::Token;

/// Reads a utility statement; `None` where the tokens (no comments) start none.
///
/// # Errors
/// 42601 where it is not understood, 0A000 where it is not carried out.
pub(crate) fn read(tokens: &[Token]) -> Option<Result<Utility, Refusal>> {
    const KINDS: [&str; 23] = [
        "begin",
        "start",
        "commit",
        "end",
        "rollback",
        "abort",
        "savepoint",
        "release",
        "set",
        "reset",
        "show",
        "discard",
        "declare",
        "fetch",
        "move",
        "close",
        "listen",
        "unlisten",
        "notify",
        "copy",
        "prepare",
        "execute",
        "deallocate",
    ];
    let first = tokens.first()?;
    if first.is_word("explain") {
        let mut cursor = Cursor::new(tokens, "EXPLAIN");
        cursor.skip();
        return Some(explain(&mut cursor));
    }
    if first.is_word("select") {
        return set_path(tokens).map(Ok);
    }
    let kind = KINDS.into_iter().find(|kind| first.is_word(kind))?;
    Some(of_kind(tokens, kind))
}

fn of_kind(tokens: &[Token], kind: &'static str) -> Result<Utility, Refusal> {
    let mut cursor = Cursor::new(tokens, kind);
    cursor.skip();
    let c = &mut cursor;
    let utility = match kind {
        "begin" => {
            c.one_of(&["work", "transaction"]);
            Utility::Begin { start: false, modes: transaction_modes(c)? }
        }
        "start" => {
            c.expect_words(&["transaction"])?;
            Utility::Begin { start: true, modes: transaction_modes(c)? }
        }
        "commit" | "end" => {
            if kind == "commit" && c.words(&["prepared"]) {
                Utility::TwoPhase { step: Phase::Commit, id: c.text()? }
            } else {
                c.one_of(&["work", "transaction"]);
                Utility::Commit { chain: chain(c)? }
            }
        }
        "rollback" if c.words(&["prepared"]) => Utility::TwoPhase { step: Phase::Rollback, id: c.text()? },
        "rollback" | "abort" => rollback(c)?,
        "savepoint" => Utility::Savepoint(c.name()?),
        "release" => {
            c.words(&["savepoint"]);
            Utility::Release(c.name()?)
        }
        "set" => set(c)?,
        "reset" => reset(c)?,
        "show" => show(c)?,
        "discard" => Utility::Discard(match c.one_of(&["all", "plans", "sequences", "temp", "temporary"]) {
            Some("all") => Discard::All,
            Some("plans") => Discard::Plans,
            Some("sequences") => Discard::Sequences,
            Some("temp" | "temporary") => Discard::Temp,
            Some(_) | None => return Err(c.refuse()),
        }),
        "declare" => return declare(c),
        "fetch" => fetch(c, false)?,
        "move" => fetch(c, true)?,
        "close" => Utility::Close(name_or_all(c)?),
        "listen" => Utility::Listen(c.name()?),
        "unlisten" => Utility::Unlisten(if c.symbol("*") { None } else { Some(c.name()?) }),
        "notify" => {
            let channel = c.name()?;
            let payload = if c.symbol(",") { Some(c.text()?) } else { None };
            Utility::Notify { channel, payload }
        }
        "copy" => return copy(c),
        "prepare" => return prepare(c),
        "execute" => execute(c)?,
        "deallocate" => {
            // A statement may be called `prepare`.
            if c.is_word("prepare") && c.peek(1).is_some() {
                c.skip();
            }
            Utility::Deallocate(name_or_all(c)?)
        }
        _ => return Err(c.refuse()),
    };
    c.end()?;
    Ok(utility)
}

/// `SELECT set_config('search_path', '..', true)`, and nothing else.
fn set_path(tokens: &[Token]) -> Option<Utility> {
    let mut cursor = Cursor::new(tokens, "SELECT");
    let c = &mut cursor;
    c.skip();
    let qualified = c.is_word("pg_catalog");
    if qualified {
        c.skip();
    }
    if qualified && !c.symbol(".") {
        return None;
    }
    if !c.words(&["set_config"])
        || !c.symbol("(")
        || !c.text().ok()?.eq_ignore_ascii_case("search_path")
        || !c.symbol(",")
    {
        return None;
    }
    let path = c.text().ok()?;
    if !c.symbol(",") {
        return None;
    }
    let local = c.one_of(&["true", "false"])? == "true";
    (c.symbol(")") && c.at_end()).then_some(Utility::SetPath { qualified, path, local })
}

fn chain(c: &mut Cursor<'_>) -> Result<bool, Refusal> {
    if c.words(&["and", "no", "chain"]) {
        return Ok(false);
    }
    if c.is_word("and") {
        c.expect_words(&["and", "chain"])?;
        return Ok(true);
    }
    Ok(false)
}

fn rollback(c: &mut Cursor<'_>) -> Result<Utility, Refusal> {
    c.one_of(&["work", "transaction"]);
    if c.words(&["to"]) {
        c.words(&["savepoint"]);
        return Ok(Utility::RollbackTo(c.name()?));
    }
    Ok(Utility::Rollback { chain: chain(c)? })
}

fn name_or_all(c: &mut Cursor<'_>) -> Result<Option<String>, Refusal> {
    if c.words(&["all"]) { Ok(None) } else { c.name().map(Some) }
}

fn declare(c: &mut Cursor<'_>) -> Result<Utility, Refusal> {
    let name = c.name()?;
    let mut options = CursorOptions::default();
    loop {
        if c.words(&["binary"]) {
            options.binary = true;
        } else if c.words(&["insensitive"]) {
            options.insensitive = true;
        } else if c.words(&["asensitive"]) {
            options.asensitive = true;
        } else if c.words(&["no", "scroll"]) {
            options.scroll = Some(false);
        } else if c.words(&["scroll"]) {
            options.scroll = Some(true);
        } else {
            break;
        }
    }
    c.expect_words(&["cursor"])?;
    if c.words(&["with", "hold"]) {
        options.hold = true;
    } else {
        c.words(&["without", "hold"]);
    }
    c.expect_words(&["for"])?;
    Ok(Utility::Declare { name, options, query: Box::new(statement(c.rest())?) })
}

fn fetch(c: &mut Cursor<'_>, r#move: bool) -> Result<Utility, Refusal> {
    let start = c.clone();
    let direction = direction(c)?;
    let direction = match direction {
        // A cursor may be called `next`: then nothing follows.
        Some(_) if c.at_end() => {
            *c = start;
            Direction::Next
        }
        Some(direction) => {
            c.one_of(&["from", "in"]);
            direction
        }
        None => {
            c.one_of(&["from", "in"]);
            Direction::Next
        }
    };
    Ok(Utility::Fetch { r#move, direction, name: c.name()? })
}

fn direction(c: &mut Cursor<'_>) -> Result<Option<Direction>, Refusal> {
    if let Some(count) = c.whole()? {
        return Ok(Some(Direction::Forward(Some(count))));
    }
    let words = ["next", "prior", "first", "last", "absolute", "relative", "all", "forward", "backward"];
    Ok(match c.one_of(&words) {
        Some("next") => Some(Direction::Next),
        Some("prior") => Some(Direction::Prior),
        Some("first") => Some(Direction::First),
        Some("last") => Some(Direction::Last),
        Some("absolute") => c.whole()?.map(Direction::Absolute),
        Some("relative") => c.whole()?.map(Direction::Relative),
        Some("all") => Some(Direction::Forward(None)),
        Some("forward") if c.words(&["all"]) => Some(Direction::Forward(None)),
        Some("forward") => Some(Direction::Forward(Some(c.whole()?.unwrap_or(1)))),
        Some("backward") if c.words(&["all"]) => Some(Direction::Backward(None)),
        Some("backward") => Some(Direction::Backward(Some(c.whole()?.unwrap_or(1)))),
        Some(_) | None => None,
    })
}

fn prepare(c: &mut Cursor<'_>) -> Result<Utility, Refusal> {
    if c.is_word("transaction") && c.peek(1).is_some_and(|token| !token.is_word("as") && !token.is_symbol("(")) {
        c.skip();
        let id = c.text()?;
        c.end()?;
        return Ok(Utility::TwoPhase { step: Phase::Prepare, id });
    }
    let name = c.name()?;
    let types = if c.symbol("(") { c.parts()?.into_iter().map(text_of).collect() } else { Vec::new() };
    c.expect_words(&["as"])?;
    Ok(Utility::Prepare { name, types, statement: Box::new(statement(c.rest())?) })
}

fn execute(c: &mut Cursor<'_>) -> Result<Utility, Refusal> {
    let name = c.name()?;
    let arguments =
        if c.symbol("(") { c.parts()?.into_iter().map(expression).collect::<Result<_, _>>()? } else { Vec::new() };
    Ok(Utility::Execute { name, arguments })
}

fn explain(c: &mut Cursor<'_>) -> Result<Utility, Refusal> {
    let mut options = Vec::new();
    let query = c.peek(1).is_some_and(|token| {
        ["select", "with", "values", "table"].iter().any(|word| token.is_word(word)) || token.is_symbol("(")
    });
    if c.is_symbol("(") && !query {
        c.skip();
        for part in c.parts()? {
            let mut option = Cursor::new(part, "EXPLAIN");
            let name = option.label()?;
            let value = if option.at_end() { None } else { Some(value(&mut option)?) };
            option.end()?;
            options.push(ExplainOption { name: if name == "analyse" { "analyze".to_owned() } else { name }, value });
        }
    } else {
        if c.one_of(&["analyze", "analyse"]).is_some() {
            options.push(ExplainOption { name: "analyze".to_owned(), value: None });
        }
        if c.words(&["verbose"]) {
            options.push(ExplainOption { name: "verbose".to_owned(), value: None });
        }
    }
    let statement = match read(c.rest()) {
        Some(utility) => match utility? {
            utility @ (Utility::Declare { .. } | Utility::Execute { .. }) => Explained::Utility(Box::new(utility)),
            _ => return Err(c.refuse()),
        },
        None => Explained::Statement(Box::new(statement(c.rest())?)),
    };
    Ok(Utility::Explain { options, statement })
}
