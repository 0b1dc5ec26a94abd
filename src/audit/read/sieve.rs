//! Which lines are worth being read as JSON: those that hold the bytes of what is looked for.

use memchr::memmem::Finder;

/// How a value stands in the text that is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::audit) enum Part {
    /// It is the whole text.
    Whole,
    /// The text begins with it.
    Start,
    /// The text ends with it.
    End,
}

/// Lets a line through that may hold, for each group of values, one of them. It never holds a line back that does.
///
/// JSON can write a character in three ways: as itself, as `\u` with four digits, and a few, among them the quote, the
/// backslash and the slash, as a backslash and one character. A line with `\u` in it is therefore let through always, and a
/// value with one of those few is not sieved by.
#[derive(Debug)]
pub(in crate::audit) struct Sieve {
    groups: Vec<Vec<Finder<'static>>>,
    escape: Finder<'static>,
}

impl Sieve {
    /// A sieve for records that hold one value at least of each group.
    pub(in crate::audit) fn new<'a>(groups: impl IntoIterator<Item = Vec<(&'a str, Part)>>) -> Self {
        let groups = groups.into_iter().filter_map(|group| group.into_iter().map(finder).collect()).collect();
        Self { groups, escape: Finder::new(b"\\u") }
    }

    pub(in crate::audit) fn lets_through(&self, line: &[u8]) -> bool {
        let holds = |finder: &Finder<'_>| finder.find(line).is_some();
        self.groups.iter().all(|group| group.iter().any(holds)) || holds(&self.escape)
    }
}

/// `None` where JSON could write the value in another way, or where it is no text to look for.
fn finder((value, part): (&str, Part)) -> Option<Finder<'static>> {
    let other_ways = |c: char| matches!(c, '"' | '\\' | '/') || c < ' ';
    if value.is_empty() || value.contains(other_ways) {
        return None;
    }
    let text = match part {
        Part::Whole => format!("\"{value}\""),
        Part::Start => format!("\"{value}"),
        Part::End => format!("{value}\""),
    };
    Some(Finder::new(text.as_bytes()).into_owned())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    /// A JSON string of this text; each character is written in the way that the numbers choose.
    fn written(text: &str, ways: &[u8]) -> String {
        let mut units = [0; 2];
        let mut out = String::from("\"");
        for (at, c) in text.chars().enumerate() {
            let way = ways.get(at % ways.len().max(1)).copied().unwrap_or_default();
            let short = match c {
                '"' => Some("\\\""),
                '\\' => Some("\\\\"),
                '/' => Some("\\/"),
                '\n' => Some("\\n"),
                '\t' => Some("\\t"),
                _ => None,
            };
            match (way, short) {
                (0, _) => c.encode_utf16(&mut units).iter().for_each(|unit| out.push_str(&format!("\\u{unit:04x}"))),
                (1, Some(short)) => out.push_str(short),
                (_, Some(short)) if c != '/' => out.push_str(short),
                (_, _) if c < ' ' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
                (_, _) => out.push(c),
            }
        }
        out.push('"');
        out
    }

    proptest! {
        #[test]
        fn no_way_to_write_a_value_is_held_back(
            value in "[a-c\"\\\\/\n\té€\u{1F600}]{0,6}",
            before in "[a-c/\"]{0,2}",
            after in "[a-c/\"]{0,2}",
            ways in proptest::collection::vec(0_u8..4, 1..6),
        ) {
            for (part, text) in [
                (Part::Whole, value.clone()),
                (Part::Start, format!("{value}{after}")),
                (Part::End, format!("{before}{value}")),
            ] {
                let line = format!("{{\"login\" : {}}}", written(&text, &ways));
                let read: Value = serde_json::from_str(&line).unwrap();
                prop_assert_eq!(read["login"].as_str(), Some(text.as_str()));
                let sieve = Sieve::new([vec![("elsewhere", Part::Whole), (value.as_str(), part)]]);
                prop_assert!(sieve.lets_through(line.as_bytes()), "{} for {:?}", line, value);
            }
        }
    }

    #[test]
    fn lines_without_the_value_are_held_back() {
        let sieve = Sieve::new([vec![("ada", Part::Whole)], vec![("ps_1", Part::Whole), ("ps_2", Part::Whole)]]);
        for (line, through) in [
            (r#"{"login":"ada","subjects":["ps_2"]}"#, true),
            (r#"{"login":"ada","subjects":["ps_3"]}"#, false),
            (r#"{"login":"adam","subjects":["ps_1"]}"#, false),
            (r#"{"login":"adam\u0020","subjects":["ps_1"]}"#, true),
        ] {
            assert_eq!(sieve.lets_through(line.as_bytes()), through, "{line}");
        }
        assert!(!Sieve::new([vec![("sup", Part::Start)]]).lets_through(br#"{"purpose":"my sup"}"#));
        assert!(Sieve::new([vec![("a/b", Part::Whole)]]).lets_through(b"{}"));
        assert!(Sieve::new([]).lets_through(b"{}"));
    }
}
