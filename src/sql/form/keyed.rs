//! What a decision is found by: the key of a statement's form, and its constants.

use std::sync::Arc;

use super::constant::{Class, Constants, Slot};
use crate::catalog::Oid;
use crate::sql::text::lex::{is_name_part, is_name_start, is_space};

/// The key of a form, and the constants of one statement of it.
#[derive(Debug)]
pub struct Keyed {
    pub(super) key: String,
    pub(super) constants: Arc<Constants>,
}

/// The most bytes of a text that is read without making tokens of it.
const SHORT: usize = 8 * 1024;

/// Statements whose constants are kept apart; the others are their own form.
pub(super) const OPEN: [&str; 8] = ["select", "with", "values", "table", "insert", "update", "delete", "merge"];

/// Words before a parenthesis with numbers that belong to a type: `varchar(10)`, `float(24)`.
pub(super) const TYPES: [&str; 18] = [
    "varchar",
    "char",
    "character",
    "varying",
    "bpchar",
    "nchar",
    "national",
    "numeric",
    "decimal",
    "dec",
    "float",
    "bit",
    "varbit",
    "time",
    "timetz",
    "timestamp",
    "timestamptz",
    "interval",
];

impl Keyed {
    /// All that a decision depends on but values that are asked for.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The key with the values of these constants; `None` where one is none of its own.
    pub fn pinned_key(&self, slots: &[Slot]) -> Option<String> {
        let mut key = format!("{}\0p", self.key);
        for slot in slots {
            let value = self.constants.of_run(*slot)?;
            // No value holds a NUL.
            key.push_str(&format!("{}={value}\0", slot.place()));
        }
        Some(key)
    }

    /// The constants.
    pub fn constants(&self) -> &Arc<Constants> {
        &self.constants
    }

    /// What [`Form::read`](super::Form::read) makes of a plain statement, in one pass that makes no tokens: for the decision that is
    /// there already. `None` where the lexer itself has to look: comments, constants of other forms than `'…'`, `1` and `1.5`, quotes
    /// within quotes, types with lengths, and whatever PostgreSQL refuses to read. A limit need not be looked at: what passes one has
    /// no decision that could be found, and what it depends on is part of the key.
    pub fn quick(text: &str, types: &[Oid], open: bool) -> Option<Self> {
        if !open || text.len() > SHORT {
            return None;
        }
        let mut reader = Quick::new(text);
        while reader.token()? {}
        if reader.before == Before::Nothing {
            return None;
        }
        let Quick { mut key, constants, .. } = reader;
        push_types(&mut key, types);
        Some(Self { key, constants: Arc::new(constants) })
    }
}

/// Types that a client declared for its parameters are part of a form.
pub(super) fn push_types(key: &mut String, types: &[Oid]) {
    if !types.iter().all(|oid| *oid == 0) {
        key.push_str("\0d");
        for oid in types {
            key.push_str(&oid.to_string());
            key.push(',');
        }
    }
}

/// What stood before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Before {
    Nothing,
    /// INSERT or MERGE: INTO behind it makes no table.
    Writes,
    Text,
    Other,
}

struct Quick<'a> {
    text: &'a str,
    at: usize,
    key: String,
    constants: Constants,
    before: Before,
}

impl<'a> Quick<'a> {
    fn new(text: &'a str) -> Self {
        let key = String::with_capacity(text.len() + 8);
        Self { text, at: 0, key, constants: Constants::default(), before: Before::Nothing }
    }

    fn byte(&self, at: usize) -> u8 {
        self.text.as_bytes().get(at).copied().unwrap_or(0)
    }

    /// Where the run ends that begins at `at`.
    fn run(&self, at: usize, holds: fn(u8) -> bool) -> usize {
        let rest = self.text.as_bytes().get(at..).unwrap_or_default();
        rest.iter().position(|byte| !holds(*byte)).map_or(self.text.len(), |length| at + length)
    }

    /// One token; false at the end.
    fn token(&mut self) -> Option<bool> {
        let start = self.run(self.at, is_space);
        if start >= self.text.len() {
            return Some(false);
        }
        if start != self.at && !self.key.is_empty() && !self.key.ends_with(' ') {
            self.key.push(' ');
        }
        let (first, second) = (self.byte(start), self.byte(start + 1));
        match first {
            b'\'' => self.string(start)?,
            b'0'..=b'9' => self.number(start)?,
            _ if is_name_start(first) => self.word(start, first, second)?,
            // All else may not come first.
            _ if self.before == Before::Nothing => return None,
            b'"' => {
                let end = start + 1 + memchr::memchr(b'"', self.text.as_bytes().get(start + 1..)?)? + 1;
                // No name, a quote within one, or what no lexer reads.
                if end == start + 2 || self.byte(end) == b'"' || self.text.get(start..end)?.contains('\0') {
                    return None;
                }
                self.push(start, end)?;
            }
            b'$' if second.is_ascii_digit() => {
                let end = self.run(start + 1, |byte| byte.is_ascii_digit());
                // Longer ones may be too large.
                if end - start > 9 || is_name_start(self.byte(end)) {
                    return None;
                }
                self.push(start, end)?;
            }
            b'-' if second == b'-' => return None,
            b'/' if second == b'*' => return None,
            b'.' if second.is_ascii_digit() => return None,
            b',' | b'(' | b')' | b'[' | b']' | b'.' | b';' | b':' => self.push(start, start + 1)?,
            b'~' | b'!' | b'@' | b'#' | b'^' | b'&' | b'|' | b'`' | b'?' | b'+' | b'-' | b'*' | b'/' | b'%' | b'<'
            | b'>' | b'=' => self.push(start, start + 1)?,
            _ => return None,
        }
        Some(true)
    }

    /// A token that is part of the key as it stands.
    fn push(&mut self, start: usize, end: usize) -> Option<()> {
        self.key.push_str(self.text.get(start..end)?);
        (self.at, self.before) = (end, Before::Other);
        Some(())
    }

    fn word(&mut self, start: usize, first: u8, second: u8) -> Option<()> {
        let prefix = matches!(first | 0x20, b'e' | b'n' | b'b' | b'x') && second == b'\''
            || first | 0x20 == b'u' && second == b'&';
        if prefix {
            return None;
        }
        let end = self.run(start, is_name_part);
        let word = self.text.get(start..end)?;
        let is = |other: &&str| word.eq_ignore_ascii_case(other);
        if self.before == Before::Nothing && !OPEN.iter().any(is)
            || TYPES.iter().any(is)
            || is(&"uescape")
            || is(&"into") && self.before != Before::Writes
        {
            return None;
        }
        let writes = is(&"insert") || is(&"merge");
        self.push(start, end)?;
        if writes {
            self.before = Before::Writes;
        }
        Some(())
    }

    fn number(&mut self, start: usize) -> Option<()> {
        let digits = |byte: u8| byte.is_ascii_digit();
        let mut end = self.run(start, digits);
        if self.byte(end) == b'.' {
            let behind = self.run(end + 1, digits);
            if behind == end + 1 || self.byte(behind) == b'.' {
                return None;
            }
            end = behind;
        }
        // `0x1F`, `1_000`, `1e5`, `1a`, `1$1`
        if self.before == Before::Nothing || is_name_part(self.byte(end)) {
            return None;
        }
        let written = self.text.get(start..end)?;
        self.constant(Class::of_number(written)?, written, end)
    }

    fn string(&mut self, start: usize) -> Option<()> {
        let end = start + 1 + memchr::memchr(b'\'', self.text.as_bytes().get(start + 1..)?)?;
        let value = self.text.get(start + 1..end)?;
        // Another quote, or a comment that one may hide behind, may go on with it.
        let next = self.run(end + 1, is_space);
        let goes_on = matches!((self.byte(next), self.byte(next + 1)), (b'\'', _) | (b'-', b'-') | (b'/', b'*'));
        // The same with a prefix: what stands side by side is the grammar's to say.
        let prefixed = matches!(self.byte(next) | 0x20, b'e' | b'n' | b'b' | b'x' | b'u')
            && matches!(self.byte(next + 1), b'\'' | b'&');
        let dollar = self.byte(next) == b'$';
        if matches!(self.before, Before::Nothing | Before::Text)
            || goes_on
            || prefixed
            || dollar
            || value.contains('\0')
        {
            return None;
        }
        self.constant(Class::Text, value, end + 1)?;
        self.before = Before::Text;
        Some(())
    }

    fn constant(&mut self, class: Class, value: &str, end: usize) -> Option<()> {
        self.constants.push(class, value.to_owned())?;
        self.key.push('\0');
        self.key.push(class.sign());
        (self.at, self.before) = (end, Before::Other);
        Some(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sql::Form;

    /// Pieces of statements, whatever reads them and whatever does not.
    const PIECES: &[&str] = &[
        "SELECT",
        "select ",
        "INSERT INTO t",
        " insert",
        " into ",
        "WITH x AS (",
        "UPDATE t SET a = ",
        "(",
        ")",
        ",",
        ";",
        "a",
        " abalance",
        "\"B c\"",
        "\"\"",
        "\"a\"\"b\"",
        "t.",
        ".",
        "..",
        "::",
        ":",
        ":=",
        "'x'",
        "'it''s'",
        "''",
        "'\n'",
        " 'y'",
        "'a'\n'b'",
        "E'\\n'",
        "e'x'",
        "B'01'",
        "x'1F'",
        "N'n'",
        "U&'d'",
        "u&\"d\"",
        " UESCAPE '!'",
        "$1",
        "$$x$$",
        "$a$y$a$",
        "$12345678901",
        "1",
        " 42",
        "0",
        "-0",
        "+7",
        "2147483648",
        "99999999999999999999",
        "1.5",
        "1.",
        ".5",
        "1..2",
        "1_000",
        "0x1F",
        "1e5",
        "1E+5",
        "1a",
        "1$1",
        "$1a",
        "varchar(10)",
        " numeric (4, 2)",
        "float(24)",
        "::timestamp(3)",
        "interval '1 day'",
        " -- c\n",
        "/* c */",
        "/*",
        "- -",
        "--",
        "=",
        "<>",
        "!=",
        "~~*",
        "@>",
        "<=",
        "#>>",
        "||",
        "&&",
        "?|",
        "%",
        " ",
        "\n",
        "\t",
        "\r\n",
        "\u{b}",
        "é",
        "'é'",
        "\\",
        "{",
        "\0",
        "'\0'",
        " AND ",
        " FROM pgbench_accounts WHERE aid = ",
        "VALUES (1, 'a')",
        " -- 'x'\n'y'",
        "'x' --\n'y'",
        "'x'/**/'y'",
        "IN (1, 2, 3)",
        " LIMIT 10",
        "merge into t",
    ];

    fn holds(text: &str, types: &[Oid]) -> bool {
        let Some(quick) = Keyed::quick(text, types, true) else { return false };
        let form = Form::read(text, types, true).unwrap_or_else(|_| panic!("the lexer refuses {text:?}"));
        assert_eq!(quick.key, form.key(), "{text:?}");
        let both = |at: u16| {
            let slot = Slot(at);
            (quick.constants.written(slot), form.constants().written(slot))
        };
        assert_eq!(quick.constants.len(), form.constants().len(), "{text:?}");
        for at in 0..quick.constants.len() {
            let (own, lexed) = both(u16::try_from(at).unwrap());
            assert_eq!(own, lexed, "{text:?}");
        }
        true
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_000))]

        #[test]
        fn what_is_read_in_one_pass_is_what_the_lexer_makes_of_it(
            pieces in proptest::collection::vec(proptest::sample::select(PIECES), 0..12),
            first in proptest::sample::select(&["SELECT ", "SELECT", "insert into t values (", "UPDATE t SET a=", "", "WITH "][..]),
            types in proptest::collection::vec(proptest::sample::select(&[0_u32, 23, 25][..]), 0..3),
        ) {
            holds(&format!("{first}{}", pieces.concat()), &types);
        }

        #[test]
        fn the_same_for_single_characters(text in "[sS][eE]lect [a-z0-9 '\"$.,():;=<>+*/\\-_\n!&]{0,24}") {
            holds(&text, &[]);
        }
    }

    #[test]
    fn what_applications_write_is_read_in_one_pass() {
        for text in [
            "SELECT abalance FROM pgbench_accounts WHERE aid = 4711;",
            "SELECT \"a\".\"id\", name FROM public.a WHERE name = 'Thandi' AND b IN (1, 2, -3) ORDER BY 1 LIMIT 20 OFFSET 5",
            "INSERT INTO t (a, b) VALUES ('x', 1.5), ('é', 9999999999) RETURNING id",
            "UPDATE t SET a = a + 1 WHERE b = $1::int4 AND c LIKE '%x\\_%'",
            "WITH x AS (SELECT 1) SELECT * FROM x",
        ] {
            assert!(holds(text, &[0, 23]), "{text}");
        }
        for text in [
            "SELECT 'a'\n'b'",
            "SELECT E'a'",
            "SELECT 1 -- a",
            "SELECT a INTO b FROM c",
            "SET a = 1",
            "SELECT 1::varchar(3)",
        ] {
            assert!(!holds(text, &[]), "{text}");
        }
        assert!(Keyed::quick("SELECT 1", &[], false).is_none());
    }
}
