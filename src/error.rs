//! The one kind of error whose text may reach a client.
//!
//! Everything else that fails inside the proxy is told to the operator's log and reaches the client as a
//! [`Refusal::internal`], which says nothing.

use std::fmt;

/// A five-character SQLSTATE, as in appendix A of PostgreSQL's documentation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SqlState(&'static str);

impl SqlState {
    /// `insufficient_privilege`: the policy refuses.
    pub const INSUFFICIENT_PRIVILEGE: Self = Self("42501");
    /// `syntax_error`: the statement is not understood.
    pub const SYNTAX_ERROR: Self = Self("42601");
    /// `feature_not_supported`: understood, and not carried out here.
    pub const FEATURE_NOT_SUPPORTED: Self = Self("0A000");
    /// `invalid_escape_sequence`.
    pub const INVALID_ESCAPE_SEQUENCE: Self = Self("22025");
    /// `reserved_name`.
    pub const RESERVED_NAME: Self = Self("42939");
    /// `undefined_table`.
    pub const UNDEFINED_TABLE: Self = Self("42P01");
    /// `invalid_schema_name`.
    pub const UNDEFINED_SCHEMA: Self = Self("3F000");
    /// `undefined_column`.
    pub const UNDEFINED_COLUMN: Self = Self("42703");
    /// `ambiguous_column`.
    pub const AMBIGUOUS_COLUMN: Self = Self("42702");
    /// `undefined_function`.
    pub const UNDEFINED_FUNCTION: Self = Self("42883");
    /// `undefined_object`.
    pub const UNDEFINED_OBJECT: Self = Self("42704");
    /// `name_too_long`.
    pub const NAME_TOO_LONG: Self = Self("42622");
    /// `invalid_sql_statement_name`: no such prepared statement.
    pub const INVALID_SQL_STATEMENT_NAME: Self = Self("26000");
    /// `invalid_cursor_name`: no such portal or cursor.
    pub const INVALID_CURSOR_NAME: Self = Self("34000");
    /// `duplicate_prepared_statement`.
    pub const DUPLICATE_PREPARED_STATEMENT: Self = Self("42P05");
    /// `in_failed_sql_transaction`.
    pub const IN_FAILED_SQL_TRANSACTION: Self = Self("25P02");
    /// `statement_too_complex`: size or nesting over the limit.
    pub const STATEMENT_TOO_COMPLEX: Self = Self("54001");
    /// `program_limit_exceeded`.
    pub const PROGRAM_LIMIT_EXCEEDED: Self = Self("54000");
    /// `protocol_violation`.
    pub const PROTOCOL_VIOLATION: Self = Self("08P01");
    /// `connection_failure`: the database went away.
    pub const CONNECTION_FAILURE: Self = Self("08006");
    /// `sqlclient_unable_to_establish_sqlconnection`.
    pub const CANNOT_CONNECT: Self = Self("08001");
    /// `invalid_authorization_specification`.
    pub const INVALID_AUTHORIZATION: Self = Self("28000");
    /// `invalid_password`.
    pub const INVALID_PASSWORD: Self = Self("28P01");
    /// `invalid_parameter_value`.
    pub const INVALID_PARAMETER_VALUE: Self = Self("22023");
    /// `character_not_in_repertoire`: text that is not UTF-8.
    pub const CHARACTER_NOT_IN_REPERTOIRE: Self = Self("22021");
    /// `too_many_connections`.
    pub const TOO_MANY_CONNECTIONS: Self = Self("53300");
    /// `configuration_limit_exceeded`: too many lookups in a minute.
    pub const DISK_FULL: Self = Self("53100");
    /// `53400`
    pub const CONFIGURATION_LIMIT_EXCEEDED: Self = Self("53400");
    /// `io_error`: the access log cannot be written.
    pub const IO_ERROR: Self = Self("58030");
    /// `admin_shutdown`.
    pub const ADMIN_SHUTDOWN: Self = Self("57P01");
    /// `internal_error`.
    pub const INTERNAL_ERROR: Self = Self("XX000");

    /// The five characters.
    pub fn as_str(self) -> &'static str {
        self.0
    }
}

impl fmt::Display for SqlState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// The stage that refused a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// Frames and messages.
    Wire,
    /// What belongs to the session: purpose, settings, prepared statements.
    Session,
    /// Text to AST, with the limits.
    Parse,
    /// The second parser disagrees.
    Witness,
    /// Names to catalog columns.
    Resolve,
    /// The policy.
    Decide,
    /// AST to the text that runs.
    Rewrite,
    /// The access log.
    Audit,
}

/// A refusal whose every field is safe to show to the client: no value of the database and no literal of the
/// statement stands in it, only names that the client wrote and names of the policy.
///
/// Text is lower case without a full stop; names stand in backticks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// Where it was refused.
    pub stage: Stage,
    /// SQLSTATE of the ErrorResponse.
    pub sqlstate: SqlState,
    /// What was refused, for whom.
    pub message: String,
    /// Which rule, or that none does.
    pub detail: Option<String>,
    /// What would help.
    pub hint: Option<String>,
    /// What the client alone is told; apart, since most refusals have none of it and all are carried about.
    answer: Option<Box<Answer>>,
}

/// What a client is told of its own statement, and no log.
#[derive(Clone, PartialEq, Eq, Default)]
struct Answer {
    /// PostgreSQL's own words in place of the message: they may hold what the client wrote.
    told: Option<String>,
    /// Where in the statement, in characters from 1.
    position: Option<usize>,
    /// The name that it is about, part by part, where its place is to be found.
    name: Option<Vec<String>>,
    /// File and function of PostgreSQL's source that say this, where its words alone do not tell.
    speaker: Option<(&'static str, &'static str)>,
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer").field("position", &self.position).finish_non_exhaustive()
    }
}

impl Refusal {
    /// A refusal with neither DETAIL nor HINT.
    pub fn new(stage: Stage, sqlstate: SqlState, message: impl Into<String>) -> Self {
        Self { stage, sqlstate, message: message.into(), detail: None, hint: None, answer: None }
    }

    /// A statement of a kind that is never forwarded (0A000).
    pub fn unsupported(stage: Stage, message: impl Into<String>) -> Self {
        Self::new(stage, SqlState::FEATURE_NOT_SUPPORTED, message)
    }

    /// A statement that is not understood (42601).
    pub fn syntax(stage: Stage, message: impl Into<String>) -> Self {
        Self::new(stage, SqlState::SYNTAX_ERROR, message)
    }

    /// What a client sees of a failure inside the proxy: nothing of it.
    pub fn internal(stage: Stage) -> Self {
        Self::new(stage, SqlState::INTERNAL_ERROR, "the proxy could not carry this out")
    }

    /// Says which name it is about, part by part.
    #[must_use]
    pub fn named(mut self, parts: Vec<String>) -> Self {
        self.answer.get_or_insert_default().name = Some(parts);
        self
    }

    /// The same without the name, where PostgreSQL tells no place.
    #[must_use]
    pub fn placeless(mut self) -> Self {
        if let Some(answer) = &mut self.answer {
            answer.name = None;
        }
        self
    }

    /// Adds the DETAIL.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// The name that it is about, part by part, where its place is to be found.
    pub fn name(&self) -> Option<&[String]> {
        self.answer.as_ref()?.name.as_deref()
    }

    /// PostgreSQL's own words, in place of the message.
    pub fn in_its_words(&self) -> Option<&str> {
        self.answer.as_ref()?.told.as_deref()
    }

    /// File and function of PostgreSQL's source that say this, where it was told.
    pub fn speaker(&self) -> Option<(&'static str, &'static str)> {
        self.answer.as_ref()?.speaker
    }

    /// Says which file and function of PostgreSQL's source say this.
    #[must_use]
    pub fn said_by(mut self, file: &'static str, routine: &'static str) -> Self {
        self.answer.get_or_insert_default().speaker = Some((file, routine));
        self
    }

    /// Where in the statement, in characters from 1.
    pub fn position(&self) -> Option<usize> {
        self.answer.as_ref()?.position
    }

    /// Adds PostgreSQL's own words, which the client gets and nobody else.
    #[must_use]
    pub fn told(mut self, told: impl Into<String>) -> Self {
        self.answer.get_or_insert_default().told = Some(told.into());
        self
    }

    /// Says where in the statement, in characters from 1.
    #[must_use]
    pub fn at(mut self, position: Option<usize>) -> Self {
        if position.is_some() {
            self.answer.get_or_insert_default().position = position;
        }
        self
    }

    /// The same refusal in a longer text, in which so many characters stand before the statement.
    #[must_use]
    pub fn behind(self, characters: usize) -> Self {
        let position = self.position().map(|position| position.saturating_add(characters));
        self.at(position)
    }

    /// Adds the HINT.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}
