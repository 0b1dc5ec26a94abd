//! Whether a text of the policy is a plain SQL condition that can stand between parentheses.
//!
//! Policies are written by the DBA, so this guards against slips and against a text that reads differently where it is
//! put: what closes the parenthesis, comments the rest away, or quotes it. The rewrite's own gate checks the statement
//! as a whole.

use std::collections::BTreeSet;

/// Words that make it more than a condition over the row.
const NOT_A_CONDITION: &[&str] = &[
    "select",
    "from",
    "where",
    "with",
    "values",
    "table",
    "union",
    "intersect",
    "except",
    "into",
    "insert",
    "update",
    "delete",
    "merge",
    "returning",
    "execute",
    "limit",
    "offset",
];

/// Checks `granted AND withdrawn_at IS NULL`.
///
/// # Errors
/// What about it is not plain.
pub(in crate::policy) fn check(text: &str) -> Result<(), String> {
    if text.trim().is_empty() {
        return Err("it is empty".to_owned());
    }
    let mut chars = text.chars().peekable();
    let mut depth = 0_usize;
    let mut word = String::new();
    while let Some(c) = chars.next() {
        if c.is_alphanumeric() || c == '_' {
            word.push(c.to_ascii_lowercase());
            continue;
        }
        // E'...', U&'...', B'...': what the quote means then depends on the letter before it.
        if c == '\'' && !word.is_empty() {
            return Err(format!("a quote follows `{word}` directly"));
        }
        end_of_word(&mut word)?;
        match c {
            '(' => depth += 1,
            ')' => depth = depth.checked_sub(1).ok_or("a `)` closes what was not opened")?,
            '\'' | '"' => skip_quoted(c, &mut chars)?,
            ';' => return Err("it holds a `;`".to_owned()),
            '\\' => return Err("it holds a backslash".to_owned()),
            '$' => return Err("it holds a `$`".to_owned()),
            '?' | '@' | '#' | '`' | '{' | '}' | '&' | '|' | '~' | '^' | '[' | ']' => {
                return Err(format!("it holds `{c}`: only comparisons, AND, OR, NOT, IS and function calls are taken"));
            }
            '-' if chars.peek() == Some(&'-') => return Err("it holds a comment".to_owned()),
            '/' if chars.peek() == Some(&'*') => return Err("it holds a comment".to_owned()),
            '*' if chars.peek() == Some(&'/') => return Err("it holds a comment".to_owned()),
            '+' | '-' | '*' | '/' | '%' | '=' | '<' | '>' | '!' | '.' | ',' | ':' | ' ' | '\n' | '\t' => {}
            _ => return Err(format!("it holds the character U+{:04X}", u32::from(c))),
        }
    }
    end_of_word(&mut word)?;
    if depth > 0 { Err("a `(` is not closed".to_owned()) } else { Ok(()) }
}

/// The names in a condition that was checked: what stands in double quotes as it is, other words in small letters. Words that are no
/// names are among them.
pub(in crate::policy) fn names(text: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\'' | '"' => {
                let mut quoted = String::new();
                while let Some(inner) = chars.next() {
                    if inner == c && chars.peek() != Some(&c) {
                        break;
                    }
                    if inner == c {
                        chars.next();
                    }
                    quoted.push(inner);
                }
                if c == '"' {
                    names.insert(quoted);
                }
            }
            c if c.is_alphabetic() || c == '_' => {
                let mut word = String::from(c.to_ascii_lowercase());
                while let Some(next) = chars.next_if(|next| next.is_alphanumeric() || *next == '_') {
                    word.push(next.to_ascii_lowercase());
                }
                names.insert(word);
            }
            _ => {}
        }
    }
    names
}

fn end_of_word(word: &mut String) -> Result<(), String> {
    if NOT_A_CONDITION.contains(&word.as_str()) {
        return Err(format!("it holds `{word}`: only a condition over the table's own columns is taken"));
    }
    word.clear();
    Ok(())
}

/// Goes past the closing quote; a doubled quote stands for itself.
fn skip_quoted(quote: char, chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Result<(), String> {
    while let Some(c) = chars.next() {
        match c {
            '\\' => return Err("it holds a backslash".to_owned()),
            c if c.is_control() => return Err("it holds a control character".to_owned()),
            c if c == quote => {
                if chars.peek() != Some(&quote) {
                    return Ok(());
                }
                chars.next();
            }
            _ => {}
        }
    }
    Err(format!("a {quote} is not closed"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_conditions_are_taken() {
        for text in [
            "granted AND withdrawn_at IS NULL",
            "granted AND (withdrawn_at IS NULL OR withdrawn_at > now())",
            "\"Granted\" = 'it''s yes' AND expires >= current_date - 3",
            "status IN ('live', 'given; really -- yes')",
            "granted AND created_at > now() - '2 years'::interval",
        ] {
            assert_eq!(check(text), Ok(()), "{text}");
        }
    }

    #[test]
    fn names_are_found_and_texts_are_none() {
        let found = |text| names(text).into_iter().collect::<Vec<_>>().join(" ");
        assert_eq!(found("Rep = login AND \"Sales Rep\" <> 'rep two'"), "Sales Rep and login rep");
        assert_eq!(found("\"a\"\"b\" = 'it''s' AND c2 > 1"), "a\"b and c2");
    }

    #[test]
    fn what_could_read_differently_elsewhere_is_not() {
        for text in [
            "",
            "granted)",
            "(granted",
            "granted) OR (true",
            "granted; DROP TABLE x",
            "granted -- yes",
            "granted /* yes */",
            "granted = 'yes",
            "granted = E'a\\''",
            "granted = U&'a'",
            "\"granted",
            "granted = $$yes$$",
            "granted = $1",
            "granted = 'a\\'",
            "EXISTS (SELECT 1)",
            "granted UNION SELECT true",
            "granted \u{a0}OR true",
        ] {
            assert!(check(text).is_err(), "{text}");
        }
    }
}
