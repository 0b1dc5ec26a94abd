//! What of a statement may stand in a log: no literal.

use std::fmt::Write;
use std::sync::Arc;

use super::lex::{Kind, lex};

/// A statement without its literals.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redacted {
    /// Each literal is a `$n`, numbered after the highest parameter of the text; comments are gone, white space is one
    /// space. A text that cannot be read token by token is a fixed phrase with its length.
    pub statement: Arc<str>,
    /// 16 hexadecimal digits of the SHA-256 of `statement`.
    pub fingerprint: Arc<str>,
}

/// Takes the literals out of a statement.
pub fn redact(text: &str) -> Redacted {
    let statement = redacted(text).unwrap_or_else(|| format!("<unreadable statement of {} bytes>", text.len()));
    let digest = ring::digest::digest(&ring::digest::SHA256, statement.as_bytes());
    let fingerprint: String = digest.as_ref().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    Redacted { statement: statement.into(), fingerprint: fingerprint.into() }
}

fn redacted(text: &str) -> Option<String> {
    let tokens = lex(text).ok()?;
    let highest = tokens.iter().filter_map(|token| if let Kind::Param(n) = token.kind { Some(n) } else { None }).max();
    let mut next = u64::from(highest.unwrap_or(0));
    let mut statement = String::with_capacity(text.len());
    let mut end = 0;
    let mut glue = false;
    for token in &tokens {
        let wordy = match &token.kind {
            Kind::Comment => continue,
            Kind::Symbol(_) => false,
            Kind::Text(_)
            | Kind::National(_)
            | Kind::Bits(_)
            | Kind::Hex(_)
            | Kind::Number { .. }
            | Kind::Word(_)
            | Kind::Quoted(_)
            | Kind::Param(_) => true,
        };
        if !statement.is_empty() && (end != token.start || (glue && wordy)) {
            statement.push(' ');
        }
        match &token.kind {
            Kind::Text(_) | Kind::National(_) | Kind::Bits(_) | Kind::Hex(_) | Kind::Number { .. } => {
                next += 1;
                write!(statement, "${next}").ok()?;
            }
            Kind::Comment | Kind::Word(_) | Kind::Quoted(_) | Kind::Param(_) | Kind::Symbol(_) => {
                statement.push_str(text.get(token.start..token.end)?);
            }
        }
        end = token.end;
        glue = wordy;
    }
    Some(statement)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_literal_is_a_parameter() {
        let text = "SELECT 'a''b', E'\\'x', U&'\\0061', $q$z$q$, B'01', X'ff', N'n', 1.5e3, .5, -7 FROM t WHERE id=$3";
        assert_eq!(&*redact(text).statement, "SELECT $4, $5, $6, $7, $8, $9, $10, $11, $12, -$13 FROM t WHERE id=$3");
    }

    #[test]
    fn comments_go_and_white_space_is_folded() {
        assert_eq!(&*redact("SELECT/* 8001015009087 */a -- x\n  FROM\tt").statement, "SELECT a FROM t");
        assert_eq!(&*redact("select'a'b").statement, "select $1 b");
        assert_eq!(&*redact("SELECT 'a'\n'b'").statement, "SELECT $1");
    }

    #[test]
    fn what_cannot_be_read_shows_nothing_of_itself() {
        let redacted = redact("SELECT 'secret");
        assert_eq!(&*redacted.statement, "<unreadable statement of 14 bytes>");
    }

    #[test]
    fn statements_that_differ_in_literals_only_share_a_fingerprint() {
        assert_eq!(redact("SELECT 1").fingerprint, redact("SELECT 'x'").fingerprint);
        assert_ne!(redact("SELECT 1").fingerprint, redact("SELECT a").fingerprint);
        assert_eq!(redact("SELECT 1").fingerprint.len(), 16);
    }
}
