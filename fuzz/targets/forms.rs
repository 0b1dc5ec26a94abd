//! Decisions for a form: whatever constants are put in the place of others of their class, the text that the form's decision
//! gives must be, by PostgreSQL's own tree, the one that is decided from nothing, and the log must say the same.

#![allow(clippy::string_slice, clippy::indexing_slicing)]

use pgpurpose::sql::{self, Class, Context, Form};

/// What came of one exchange.
#[allow(dead_code)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Came {
    /// There is nothing to exchange, or nothing may run.
    Nothing,
    /// The decision holds for the other constants too, and is the same as one from nothing.
    Shared,
    /// It is held to its own constants.
    Pinned,
}

/// Constants of each class, as clients write them; those that tempt a lexer or a renderer among them.
const INTEGERS: &[&str] = &["0", "1", "2", "7", "42", "007", "18", "1000000", "2147483647"];
const LARGE: &[&str] = &["2147483648", "9223372036854775807", "00000000004294967296"];
const NUMERIC: &[&str] =
    &["1.5", "0.0", "00.10", "9223372036854775808", "1e10", "1.5e-3", "1E5", "3.14159265358979323846264338327950288"];
const TEXTS: &[&str] = &[
    "''",
    "'x'",
    "'it''s'",
    "'\\'",
    "'\\000'",
    "'a\\''b'",
    "E'\\\\'",
    "E'\\'; DROP TABLE t; --'",
    "E'\\x41\\u00e9\\n\\t'",
    "E'a''b'",
    "U&'\\0061\\+01F600'",
    "U&'!0061' UESCAPE '!'",
    "$$it's$$",
    "$q$ $$ $q$",
    "'a' \n 'b'",
    "'-- no comment'",
    "'/* none */'",
    "'#0;'",
    "'$1'",
    "'%_'",
    "'2026-11-29'",
    "'pgpurpose.purpose'",
    "'search_path'",
    "'1'",
    "'-5'",
    "'true'",
    "'é😀'",
    "'\u{1}\u{7f}'",
];

/// Exchanges the constants of `text` as the bytes of `choice` say, and compares. `Came::Nothing` where the text has none.
///
/// # Panics
/// Where the form's decision is another than that from nothing.
#[allow(dead_code)]
pub fn exchanged(text: &str, context: &Context<'_>, choice: &[u8]) -> Came {
    let Ok(form) = Form::read(text, context.parameters, true) else { return Came::Nothing };
    if !form.is_open() {
        return Came::Nothing;
    }
    // A constant that touches a word, a number or another constant may grow together with it once it is another.
    let free = |byte: Option<&u8>| {
        byte.is_none_or(|byte| byte.is_ascii() && !byte.is_ascii_alphanumeric() && !b"_$&'\".".contains(byte))
    };
    let bytes = text.as_bytes();
    let stands_free = |place: &std::ops::Range<usize>| {
        free(place.start.checked_sub(1).and_then(|before| bytes.get(before))) && free(bytes.get(place.end))
    };
    if !form.spans().all(|(place, _)| stands_free(&place)) {
        return Came::Nothing;
    }
    let mut choice = choice.iter().copied().cycle();
    let long = format!("'{}'", "long ''\\".repeat(2000));
    let mut other = String::with_capacity(text.len());
    let mut end = 0;
    for (place, class) in form.spans() {
        other.push_str(&text[end..place.start]);
        let at = usize::from(choice.next().unwrap_or(0));
        other.push_str(match class {
            _ if at % 5 == 4 => &text[place.clone()],
            Class::Integer => INTEGERS[at % INTEGERS.len()],
            Class::Large => LARGE[at % LARGE.len()],
            Class::Numeric => NUMERIC[at % NUMERIC.len()],
            Class::Text if at == 255 => &long,
            Class::Text => TEXTS[at % TEXTS.len()],
        });
        end = place.end;
    }
    other.push_str(&text[end..]);
    let others = Form::read(&other, context.parameters, true).expect("constants of the same classes are read");
    assert_eq!(form.key(), others.key(), "only constants were exchanged: {text}\n{other}");
    let Ok(decided) = sql::enforce_form(text, &form, context) else { return Came::Nothing };
    let own = sql::enforce(text, context).unwrap_or_else(|refused| panic!("{}: {text}", refused.refusal.message));
    assert!(sql::reads_same(decided.text(), own.text()), "{text}\n{}\n{}", decided.text(), own.text());
    let Some(shared) = decided.again(&others) else { return Came::Pinned };
    let fresh = sql::enforce(&other, context)
        .unwrap_or_else(|refused| panic!("refused from nothing: {}\n{text}\n{other}", refused.refusal.message));
    assert!(sql::reads_same(shared.text(), fresh.text()), "{text}\n{other}\n{}\n{}", shared.text(), fresh.text());
    assert_eq!(shared.report(), fresh.report(), "{text}\n{other}");
    assert_eq!(shared.guard(), fresh.guard(), "{text}\n{other}");
    assert_eq!(shared.effect(), fresh.effect(), "{text}\n{other}");
    assert_eq!(shared.disclosure(), fresh.disclosure(), "{text}\n{other}");
    assert_eq!(shared.lookups(), fresh.lookups(), "{text}\n{other}");
    assert_eq!(shared.rests_on_consent(), fresh.rests_on_consent(), "{text}\n{other}");
    assert_eq!(sql::redact(text), sql::redact(&other), "{text}\n{other}");
    assert_eq!(shared.tested().len(), fresh.tested().len(), "{text}\n{other}");
    for (one, two) in shared.tested().iter().zip(fresh.tested()) {
        assert_eq!((&one.relation, &one.column, one.compared), (&two.relation, &two.column, two.compared), "{other}");
        assert_eq!(shared.given(&one.value), fresh.given(&two.value), "what is looked up: {text}\n{other}");
    }
    Came::Shared
}
