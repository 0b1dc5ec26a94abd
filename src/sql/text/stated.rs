//! The purpose that a statement states of itself, in sqlcommenter's form: `/* purpose='billing' */`.
//!
//! Frameworks write it behind the statement, people before it. Within the statement a comment says nothing, so that what an
//! application puts together from parts has one place at each end to look at.
//!
//! Source: <https://google.github.io/sqlcommenter/spec/>.

use super::lex::{Kind, Token, lex};
use crate::error::{Refusal, SqlState, Stage};

/// The purpose in the comments before the statement's first token and behind its last, semicolons aside: `/* purpose='billing' */`,
/// also among other keys, each key and value URL-encoded. Other comments say nothing.
///
/// # Errors
/// 42601 where a text with a comment cannot be read token by token; 22023 for two different purposes, an empty one, or a comment that
/// means to state a purpose and is not of the form.
pub fn stated_purpose(text: &str) -> Result<Option<String>, Refusal> {
    let mut stated: Option<String> = None;
    if memchr::memmem::find(text.as_bytes(), b"/*").is_none() {
        // No comment of the form stands anywhere; whoever decides the statement reads it token by token.
        return Ok(None);
    }
    let tokens = lex(text)?;
    let comment = |token: &&Token| token.kind == Kind::Comment;
    let closes = |token: &&Token| comment(token) || matches!(&token.kind, Kind::Symbol(symbol) if symbol == ";");
    let before = tokens.iter().take_while(comment).count();
    let behind = tokens.iter().skip(before).rev().take_while(closes).filter(comment);
    for token in tokens.iter().take(before).chain(behind) {
        let comment = text.get(token.start..token.end).unwrap_or("");
        let Some(body) = comment.strip_prefix("/*").and_then(|body| body.strip_suffix("*/")) else { continue };
        let purpose = match pairs(body) {
            Some(pairs) => pairs.into_iter().filter(|(key, _)| key == "purpose").map(|(_, value)| value).collect(),
            None if means_purpose(body) => {
                return Err(refuse("a comment states a purpose in another form")
                    .hint("write it as `/* purpose='name' */` before the statement or behind it"));
            }
            None => Vec::new(),
        };
        for purpose in purpose {
            if purpose.is_empty() {
                return Err(refuse("the statement states an empty purpose"));
            }
            match &stated {
                Some(held) if *held != purpose => return Err(refuse("the statement states two purposes")),
                _ => stated = Some(purpose),
            }
        }
    }
    Ok(stated)
}

fn refuse(message: &str) -> Refusal {
    Refusal::new(Stage::Session, SqlState::INVALID_PARAMETER_VALUE, message)
}

/// `key='value'` pairs, comma-separated; `None` where the comment is not of that form.
fn pairs(body: &str) -> Option<Vec<(String, String)>> {
    let mut pairs = Vec::new();
    let mut rest = body.trim();
    loop {
        let (key, tail) = rest.split_once('=')?;
        let key = key.trim();
        if key.is_empty() || key.contains(|c: char| c.is_whitespace() || matches!(c, '\'' | ',' | '"')) {
            return None;
        }
        let mut value = String::new();
        let mut chars = tail.trim_start().strip_prefix('\'')?.chars();
        loop {
            match chars.next()? {
                '\'' => break,
                '\\' => value.push(chars.next()?),
                c => value.push(c),
            }
        }
        pairs.push((url_decode(key)?, url_decode(&value)?));
        rest = chars.as_str().trim_start();
        if rest.is_empty() {
            return Some(pairs);
        }
        rest = rest.strip_prefix(',')?;
    }
}

/// Whether `purpose =` stands in the comment as a word.
fn means_purpose(body: &str) -> bool {
    let lower = body.to_ascii_lowercase();
    lower.match_indices("purpose").any(|(at, word)| {
        let before = lower.get(..at).and_then(|text| text.chars().next_back());
        let after = lower.get(at + word.len()..).unwrap_or("").trim_start();
        !before.is_some_and(|c| c.is_alphanumeric() || c == '_') && after.starts_with('=')
    })
}

/// Undoes `%XX`.
fn url_decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let (high, low) = (tail.first()?, tail.get(1)?);
        let digit = |b: u8| char::from(b).to_digit(16);
        bytes.push(u8::try_from(digit(*high)? * 16 + digit(*low)?).ok()?);
        rest = tail.get(2..)?;
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn stated(text: &str) -> Option<String> {
        stated_purpose(text).unwrap()
    }

    #[test]
    fn a_leading_comment_states_the_purpose() {
        assert_eq!(stated("/* purpose='billing' */ SELECT 1").as_deref(), Some("billing"));
        assert_eq!(stated("/*app='crm',purpose='marketing%2Esms'*/ SELECT 1").as_deref(), Some("marketing.sms"));
        assert_eq!(stated("-- first\n/* hello */ /*purpose='a'*//*purpose='a'*/ SELECT 1").as_deref(), Some("a"));
    }

    #[test]
    fn a_comment_behind_it_does_as_frameworks_write_it() {
        for text in [
            "SELECT 1 /*purpose='billing'*/",
            "SELECT 1 /*purpose='billing'*/;",
            "SELECT 1; /*purpose='billing'*/ ",
            "SELECT 1/*action='%2Fpolls',db_driver='django.db.backends.postgresql',purpose='billing',\
             traceparent='00-5bd66ef5095369c7b0d1f8f4bd33716a-c532cb4098ac3dd2-01'*/",
            "/*purpose='billing'*/ SELECT 1 /* by hand */ /*purpose='bill%69ng'*/ -- purpose='other'",
            "SELECT 1 /*route='it\\'s', purpose = 'billing' */",
        ] {
            assert_eq!(stated(text).as_deref(), Some("billing"), "{text}");
        }
    }

    #[test]
    fn a_comment_within_a_statement_or_a_value_states_nothing() {
        for text in [
            "SELECT 1",
            "SELECT /* purpose='billing' */ 1",
            "SELECT 1 /* purpose='billing' */ FROM t",
            "SELECT '/* purpose=''billing'' */'",
            "SELECT 'a' || '/*purpose=''billing''*/'",
            "SELECT $$/*purpose='billing'*/$$",
            "SELECT $x$ $$ /*purpose='billing'*/$x$;",
            "SELECT E'\\'/*purpose=\\'billing\\'*/'",
            "SELECT 1 AS \"/*purpose='billing'*/\"",
            "SELECT 1 -- /*purpose='billing'*/",
            "SELECT 1 -- purpose='billing'",
        ] {
            assert_eq!(stated(text), None, "{text}");
        }
    }

    #[test]
    fn two_purposes_or_another_form_are_refused() {
        assert!(stated_purpose("/* purpose='a' */ /* purpose='b' */ SELECT 1").is_err());
        assert!(stated_purpose("/* purpose='a',purpose='b' */ SELECT 1").is_err());
        assert!(stated_purpose("/* purpose=billing */ SELECT 1").is_err());
        assert!(stated_purpose("/* purpose='a' */ SELECT 1 /* purpose='b' */").is_err());
        assert!(stated_purpose("SELECT 1 /* purpose='a' */ /* purpose='b' */").is_err());
        assert!(stated_purpose("SELECT 1 /* purpose='a' */; /* purpose='b' */").is_err());
        assert!(stated_purpose("SELECT 1 /* purpose=a */").is_err());
        assert!(stated_purpose("SELECT 1 /* /* purpose='a' */ */").is_err());
        assert!(stated_purpose("/* purpose='' */ SELECT 1").is_err());
        assert!(stated_purpose("/* for the purpose='a' */ SELECT 1").is_err());
    }
}
