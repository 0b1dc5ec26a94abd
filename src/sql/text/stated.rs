//! What a statement states of itself, in sqlcommenter's form: `/* purpose='billing',actor='u42',ticket='OPS-12' */`.
//!
//! Frameworks write it behind the statement, people before it. Within the statement a comment says nothing, so that what an
//! application puts together from parts has one place at each end to look at.
//!
//! Source: <https://google.github.io/sqlcommenter/spec/>.

use super::lex::{Kind, Token, lex};
use crate::error::{Refusal, SqlState, Stage};

/// Characters that an actor or a ticket may have.
const LONGEST: usize = 128;

/// Why and on whose behalf a statement runs, as far as it says so itself. An actor or ticket that is empty is none, whatever the session
/// says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Stated {
    /// The purpose.
    pub purpose: Option<String>,
    /// The application's end user.
    pub actor: Option<String>,
    /// The reason: a ticket, a case.
    pub ticket: Option<String>,
}

impl Stated {
    /// Whether it says nothing.
    pub fn is_nothing(&self) -> bool {
        self.purpose.is_none() && self.actor.is_none() && self.ticket.is_none()
    }

    /// What it says, and where it says nothing what the other does.
    #[must_use]
    pub fn or(&self, other: &Self) -> Self {
        let first = |own: &Option<String>, other: &Option<String>| own.as_ref().or(other.as_ref()).cloned();
        Self {
            purpose: first(&self.purpose, &other.purpose),
            actor: first(&self.actor, &other.actor),
            ticket: first(&self.ticket, &other.ticket),
        }
    }

    fn of(&mut self, key: Key) -> &mut Option<String> {
        match key {
            Key::Purpose => &mut self.purpose,
            Key::Actor => &mut self.actor,
            Key::Ticket => &mut self.ticket,
        }
    }
}

/// What may be stated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Key {
    Purpose,
    Actor,
    Ticket,
}

impl Key {
    const ALL: [Self; 3] = [Self::Purpose, Self::Actor, Self::Ticket];

    fn name(self) -> &'static str {
        match self {
            Self::Purpose => "purpose",
            Self::Actor => "actor",
            Self::Ticket => "ticket",
        }
    }
}

/// What is stated in the comments before the statement's first token and behind its last, semicolons aside: `/* purpose='billing' */`,
/// also among other keys, each key and value URL-encoded. Other comments say nothing.
///
/// # Errors
/// 42601 where a text with a comment cannot be read token by token; 22023 for two different values of a key, an empty purpose, an actor or
/// ticket that [`check_said`] refuses, or a comment that means to state a purpose or an actor and is not of the form.
pub fn stated(text: &str) -> Result<Stated, Refusal> {
    let mut stated = Stated::default();
    let begins = |at: usize| text.as_bytes().get(at..).is_some_and(|rest| rest.starts_with(b"/*"));
    if !memchr::memchr_iter(b'/', text.as_bytes()).any(begins) {
        // No comment of the form stands anywhere; whoever decides the statement reads it token by token.
        return Ok(stated);
    }
    let tokens = lex(text)?;
    let comment = |token: &&Token| token.kind == Kind::Comment;
    let closes = |token: &&Token| comment(token) || matches!(&token.kind, Kind::Symbol(symbol) if symbol == ";");
    let before = tokens.iter().take_while(comment).count();
    let behind = tokens.iter().skip(before).rev().take_while(closes).filter(comment);
    for token in tokens.iter().take(before).chain(behind) {
        let comment = text.get(token.start..token.end).unwrap_or("");
        let Some(body) = comment.strip_prefix("/*").and_then(|body| body.strip_suffix("*/")) else { continue };
        let Some(pairs) = pairs(body) else {
            // A ticket is a word of every comment, and decides nothing.
            if let Some(key) = [Key::Purpose, Key::Actor].into_iter().find(|key| means(*key, body)) {
                let name = key.name();
                let what = if key == Key::Purpose { "a purpose" } else { "an actor" };
                return Err(refuse(&format!("a comment states {what} in another form"))
                    .hint(format!("write it as `/* {name}='name' */` before the statement or behind it")));
            }
            continue;
        };
        for (name, value) in pairs {
            let Some(key) = Key::ALL.into_iter().find(|key| key.name() == name) else { continue };
            match key {
                Key::Purpose if value.is_empty() => return Err(refuse("the statement states an empty purpose")),
                Key::Purpose => {}
                Key::Actor | Key::Ticket => check_said(key.name(), &value)?,
            }
            match stated.of(key) {
                Some(held) if *held != value => {
                    return Err(refuse(&format!("the statement states two {}s", key.name())));
                }
                held => *held = Some(value),
            }
        }
    }
    Ok(stated)
}

/// Whether a text may be an actor or a ticket; empty is none.
///
/// # Errors
/// 22023 for more than 128 characters, and for control characters.
pub fn check_said(what: &str, value: &str) -> Result<(), Refusal> {
    if value.chars().count() > LONGEST {
        return Err(refuse(&format!("the {what} is longer than {LONGEST} characters"))
            .hint("state a number or a short name, and no text"));
    }
    if value.chars().any(char::is_control) {
        return Err(refuse(&format!("the {what} holds a control character")));
    }
    Ok(())
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

/// Whether the key stands in the comment as a word, and `=` behind it.
fn means(key: Key, body: &str) -> bool {
    let lower = body.to_ascii_lowercase();
    lower.match_indices(key.name()).any(|(at, word)| {
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
        super::stated(text).unwrap().purpose
    }

    fn stated_purpose(text: &str) -> Result<Stated, Refusal> {
        super::stated(text)
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

    #[test]
    fn actor_and_ticket_stand_beside_the_purpose_or_alone() {
        let said = |text: &str| {
            let stated = super::stated(text).unwrap();
            [stated.purpose, stated.actor, stated.ticket].map(|part| part.unwrap_or_else(|| "-".to_owned())).join(" ")
        };
        for (text, parts) in [
            ("/* purpose='support',actor='u42',ticket='OPS-12' */ SELECT 1", "support u42 OPS-12"),
            ("SELECT 1 /*actor='jo%40shop.example',route='%2Fcase'*/", "- jo@shop.example -"),
            ("SELECT 1 /*ticket='OPS 12'*/ /*actor='u42'*/;", "- u42 OPS 12"),
            ("/*actor=''*/ SELECT 1", "-  -"),
            ("SELECT 1 /* see ticket = 12 */", "- - -"),
            ("SELECT 1 /* the actor's own rows */", "- - -"),
            ("SELECT /*actor='u42'*/ 1", "- - -"),
            ("SELECT '/*actor=''u42''*/'", "- - -"),
        ] {
            assert_eq!(said(text), parts, "{text}");
        }
        for text in [
            "/*actor='a'*/ SELECT 1 /*actor='b'*/",
            "/*ticket='a',ticket='b'*/ SELECT 1",
            "/* actor=u42 */ SELECT 1",
            "SELECT 1 /* the actor = 'u42' */",
            "SELECT 1 /*actor='a%0Ab'*/",
        ] {
            assert!(super::stated(text).is_err(), "{text}");
        }
        assert!(super::stated(&format!("/*actor='{}'*/ SELECT 1", "é".repeat(128))).is_ok());
        assert!(super::stated(&format!("/*actor='{}'*/ SELECT 1", "é".repeat(129))).is_err());
    }
}
