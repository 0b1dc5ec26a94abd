//! Utility statements as text.

use super::{
    CopyDirection, CopyOption, CopySource, CopyStatement, CopyValue, CursorOptions, Direction, Discard, ExplainOption,
    Explained, Isolation, Phase, SetValue, TransactionMode, Utility,
};
use crate::catalog::{quote_ident, quote_literal};
use crate::sql::ast::render::{render, render_expr};

/// The text of a utility statement, such that PostgreSQL reads the tree that was meant.
pub fn render_utility(utility: &Utility) -> String {
    match utility {
        Utility::Begin { start, modes } => {
            let words = if *start { "START TRANSACTION" } else { "BEGIN" };
            spaced(&[words, &transaction_modes(modes)])
        }
        Utility::Commit { chain } => spaced(&["COMMIT", and_chain(*chain)]),
        Utility::Rollback { chain } => spaced(&["ROLLBACK", and_chain(*chain)]),
        Utility::Savepoint(name) => format!("SAVEPOINT {}", quote_ident(name)),
        Utility::Release(name) => format!("RELEASE SAVEPOINT {}", quote_ident(name)),
        Utility::RollbackTo(name) => format!("ROLLBACK TO SAVEPOINT {}", quote_ident(name)),
        Utility::SetTransaction { session, modes } => {
            let words = if *session { "SET SESSION CHARACTERISTICS AS TRANSACTION" } else { "SET TRANSACTION" };
            spaced(&[words, &transaction_modes(modes)])
        }
        Utility::TwoPhase { step, id } => {
            let words = match step {
                Phase::Prepare => "PREPARE TRANSACTION",
                Phase::Commit => "COMMIT PREPARED",
                Phase::Rollback => "ROLLBACK PREPARED",
            };
            spaced(&[words, &quote_literal(id)])
        }
        Utility::SetSnapshot(id) => format!("SET TRANSACTION SNAPSHOT {}", quote_literal(id)),
        Utility::Set { local, name, values } => set(*local, name, values.as_deref()),
        Utility::SetPath { qualified, path, local } => {
            let schema = if *qualified { "pg_catalog." } else { "" };
            format!("SELECT {schema}set_config('search_path', {}, {local})", quote_literal(path))
        }
        Utility::SetConstraints { constraints, deferred } => {
            let names = constraints.iter().map(|(schema, name)| qualified(schema.as_deref(), name)).collect::<Vec<_>>();
            let names = if names.is_empty() { "ALL".to_owned() } else { names.join(", ") };
            spaced(&["SET CONSTRAINTS", &names, if *deferred { "DEFERRED" } else { "IMMEDIATE" }])
        }
        Utility::Reset(name) => spaced(&["RESET", &name.as_deref().map_or("ALL".to_owned(), setting)]),
        Utility::Show(name) => spaced(&["SHOW", &name.as_deref().map_or("ALL".to_owned(), setting)]),
        Utility::Discard(what) => spaced(&[
            "DISCARD",
            match what {
                Discard::All => "ALL",
                Discard::Plans => "PLANS",
                Discard::Sequences => "SEQUENCES",
                Discard::Temp => "TEMP",
            },
        ]),
        Utility::Declare { name, options, query } => {
            let (before, hold) = cursor_options(*options);
            spaced(&["DECLARE", &quote_ident(name), &before, "CURSOR", hold, "FOR", &render(query)])
        }
        Utility::Fetch { r#move, direction, name } => {
            let word = if *r#move { "MOVE" } else { "FETCH" };
            spaced(&[word, &self::direction(*direction), "FROM", &quote_ident(name)])
        }
        Utility::Close(name) => spaced(&["CLOSE", &name_or_all(name.as_deref())]),
        Utility::Listen(name) => format!("LISTEN {}", quote_ident(name)),
        Utility::Unlisten(name) => spaced(&["UNLISTEN", &name.as_deref().map_or("*".to_owned(), quote_ident)]),
        Utility::Notify { channel, payload } => {
            let payload = payload.as_deref().map_or(String::new(), |payload| format!(", {}", quote_literal(payload)));
            format!("NOTIFY {}{payload}", quote_ident(channel))
        }
        Utility::Copy(statement) => copy(statement),
        Utility::Prepare { name, types, statement } => {
            let types = if types.is_empty() { String::new() } else { format!("({})", types.join(", ")) };
            spaced(&["PREPARE", &quote_ident(name), &types, "AS", &render(statement)])
        }
        Utility::Execute { name, arguments } => {
            let arguments = arguments.iter().map(render_expr).collect::<Vec<_>>().join(", ");
            let arguments = if arguments.is_empty() { arguments } else { format!("({arguments})") };
            spaced(&["EXECUTE", &quote_ident(name), &arguments])
        }
        Utility::Deallocate(name) => spaced(&["DEALLOCATE", &name_or_all(name.as_deref())]),
        Utility::Explain { options, statement } => {
            let statement = match statement {
                Explained::Statement(statement) => render(statement),
                Explained::Utility(utility) => render_utility(utility),
            };
            spaced(&["EXPLAIN", &explain_options(options), &statement])
        }
    }
}

fn spaced(words: &[&str]) -> String {
    words.iter().filter(|word| !word.is_empty()).copied().collect::<Vec<_>>().join(" ")
}

fn and_chain(chain: bool) -> &'static str {
    if chain { "AND CHAIN" } else { "" }
}

fn name_or_all(name: Option<&str>) -> String {
    name.map_or("ALL".to_owned(), quote_ident)
}

fn qualified(schema: Option<&str>, name: &str) -> String {
    let schema = schema.map_or(String::new(), |schema| format!("{}.", quote_ident(schema)));
    format!("{schema}{}", quote_ident(name))
}

/// A setting's name; its parts are joined by dots.
fn setting(name: &str) -> String {
    name.split('.').map(quote_ident).collect::<Vec<_>>().join(".")
}

fn transaction_modes(modes: &[TransactionMode]) -> String {
    let modes: Vec<&str> = modes
        .iter()
        .map(|mode| match mode {
            TransactionMode::Isolation(Isolation::ReadUncommitted) => "ISOLATION LEVEL READ UNCOMMITTED",
            TransactionMode::Isolation(Isolation::ReadCommitted) => "ISOLATION LEVEL READ COMMITTED",
            TransactionMode::Isolation(Isolation::RepeatableRead) => "ISOLATION LEVEL REPEATABLE READ",
            TransactionMode::Isolation(Isolation::Serializable) => "ISOLATION LEVEL SERIALIZABLE",
            TransactionMode::ReadOnly => "READ ONLY",
            TransactionMode::ReadWrite => "READ WRITE",
            TransactionMode::Deferrable => "DEFERRABLE",
            TransactionMode::NotDeferrable => "NOT DEFERRABLE",
        })
        .collect();
    modes.join(", ")
}

fn set(local: bool, name: &str, values: Option<&[SetValue]>) -> String {
    let scope = if local { "SET LOCAL" } else { "SET" };
    if let Some([value @ SetValue::Interval { .. }]) = values {
        return spaced(&[scope, "TIME ZONE", &set_value(value)]);
    }
    let values =
        values.map_or("DEFAULT".to_owned(), |values| values.iter().map(set_value).collect::<Vec<_>>().join(", "));
    spaced(&[scope, &setting(name), "TO", &values])
}

fn set_value(value: &SetValue) -> String {
    match value {
        SetValue::Text(text) => quote_literal(text),
        SetValue::Number(number) => number.clone(),
        SetValue::Interval { value, fields } => spaced(&["INTERVAL", &quote_literal(value), fields]),
    }
}

fn cursor_options(options: CursorOptions) -> (String, &'static str) {
    let scroll = match options.scroll {
        Some(true) => "SCROLL",
        Some(false) => "NO SCROLL",
        None => "",
    };
    let word = |set: bool, word: &'static str| if set { word } else { "" };
    let before = spaced(&[
        word(options.binary, "BINARY"),
        word(options.insensitive, "INSENSITIVE"),
        word(options.asensitive, "ASENSITIVE"),
        scroll,
    ]);
    (before, word(options.hold, "WITH HOLD"))
}

fn direction(direction: Direction) -> String {
    match direction {
        Direction::Next => "NEXT".to_owned(),
        Direction::Prior => "PRIOR".to_owned(),
        Direction::First => "FIRST".to_owned(),
        Direction::Last => "LAST".to_owned(),
        Direction::Absolute(count) => format!("ABSOLUTE {count}"),
        Direction::Relative(count) => format!("RELATIVE {count}"),
        Direction::Forward(None) => "FORWARD ALL".to_owned(),
        Direction::Forward(Some(count)) => format!("FORWARD {count}"),
        Direction::Backward(None) => "BACKWARD ALL".to_owned(),
        Direction::Backward(Some(count)) => format!("BACKWARD {count}"),
    }
}

fn explain_options(options: &[ExplainOption]) -> String {
    if options.is_empty() {
        return String::new();
    }
    let options: Vec<String> = options
        .iter()
        .map(|option| spaced(&[&quote_ident(&option.name), &option.value.as_ref().map_or(String::new(), set_value)]))
        .collect();
    format!("({})", options.join(", "))
}

fn copy(statement: &CopyStatement) -> String {
    let source = match &statement.source {
        CopySource::Table { schema, name, columns } => {
            let columns = columns.iter().map(|column| quote_ident(column)).collect::<Vec<_>>().join(", ");
            let columns = if columns.is_empty() { columns } else { format!("({columns})") };
            spaced(&[&qualified(schema.as_deref(), name), &columns])
        }
        CopySource::Query(query) => format!("({})", render(query)),
    };
    let direction = match statement.direction {
        CopyDirection::FromStdin => "FROM STDIN",
        CopyDirection::ToStdout => "TO STDOUT",
    };
    let options = if statement.options.is_empty() {
        String::new()
    } else if statement.legacy {
        let options: Vec<String> = statement.options.iter().map(legacy_option).collect();
        format!("WITH {}", options.join(" "))
    } else {
        let options: Vec<String> = statement.options.iter().map(copy_option).collect();
        format!("WITH ({})", options.join(", "))
    };
    let filter = statement.filter.as_ref().map_or(String::new(), |filter| format!("WHERE {}", render_expr(filter)));
    spaced(&["COPY", &source, direction, &options, &filter])
}

fn copy_option(option: &CopyOption) -> String {
    let value = match &option.value {
        None | Some(CopyValue::Flag) => String::new(),
        Some(CopyValue::Text(text)) => quote_literal(text),
        Some(CopyValue::Number(number)) => number.clone(),
        Some(CopyValue::Default) => "DEFAULT".to_owned(),
        Some(CopyValue::Star) => "*".to_owned(),
        Some(CopyValue::List(names)) => {
            format!("({})", names.iter().map(|name| quote_literal(name)).collect::<Vec<_>>().join(", "))
        }
    };
    spaced(&[&quote_ident(&option.name), &value])
}

fn legacy_option(option: &CopyOption) -> String {
    let word = option.name.to_ascii_uppercase().replace('_', " ");
    match &option.value {
        Some(CopyValue::Text(text)) if option.name == "format" => text.to_ascii_uppercase(),
        Some(CopyValue::Text(text)) => spaced(&[&word, &quote_literal(text)]),
        Some(CopyValue::Star) => spaced(&[&word, "*"]),
        Some(CopyValue::List(names)) => {
            spaced(&[&word, &names.iter().map(|name| quote_ident(name)).collect::<Vec<_>>().join(", ")])
        }
        Some(CopyValue::Number(number)) => spaced(&[&word, number]),
        None | Some(CopyValue::Flag | CopyValue::Default) => word,
    }
}
