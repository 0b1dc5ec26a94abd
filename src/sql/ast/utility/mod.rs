//! Statements that steer the session: a small AST of our own, parsed from our own tokens and rendered by us.
//!
//! The witness holds them to PostgreSQL's tree as it does every other statement.

mod copy;
mod cursor;
mod read;
mod set;
mod write;

use sqlparser::ast::Statement;

pub(in crate::sql) use cursor::canonical;
pub(in crate::sql) use read::read;
pub use write::render_utility;

use super::seen;
use crate::sql::witness::Facts;

/// A name as PostgreSQL has it after its lexer: folded unless quoted, cut at 63 bytes.
pub type Name = String;

/// A statement that steers the session.
#[derive(Debug, Clone)]
pub enum Utility {
    /// BEGIN, START TRANSACTION.
    Begin {
        /// START TRANSACTION.
        start: bool,
        /// Modes, in the order written.
        modes: Vec<TransactionMode>,
    },
    /// COMMIT, END.
    Commit {
        /// AND CHAIN.
        chain: bool,
    },
    /// ROLLBACK, ABORT.
    Rollback {
        /// AND CHAIN.
        chain: bool,
    },
    /// SAVEPOINT name.
    Savepoint(Name),
    /// RELEASE SAVEPOINT name.
    Release(Name),
    /// ROLLBACK TO SAVEPOINT name.
    RollbackTo(Name),
    /// PREPARE TRANSACTION, COMMIT PREPARED, ROLLBACK PREPARED: what ran in it was decided, and is in the log, when it ran.
    TwoPhase {
        /// Which of them.
        step: Phase,
        /// The name that the client gives the transaction.
        id: String,
    },
    /// SET TRANSACTION modes, or SET SESSION CHARACTERISTICS AS TRANSACTION modes.
    SetTransaction {
        /// SESSION CHARACTERISTICS.
        session: bool,
        /// Modes, in the order written.
        modes: Vec<TransactionMode>,
    },
    /// SET TRANSACTION SNAPSHOT: the number of a snapshot that another session's transaction exported. It needs an isolation level under
    /// which rows that rest on consent are not read.
    SetSnapshot(String),
    /// SET [LOCAL | SESSION] name = value, ..; also the forms with a syntax of their own: TIME ZONE, NAMES, ROLE, SESSION
    /// AUTHORIZATION, SCHEMA, SEED under the names of the settings they set (`timezone`, `client_encoding`, `role`,
    /// `session_authorization`, `search_path`, `seed`).
    Set {
        /// SET LOCAL.
        local: bool,
        /// The setting, parts joined by dots.
        name: Name,
        /// The values; `None` is DEFAULT.
        values: Option<Vec<SetValue>>,
    },
    /// `SELECT set_config('search_path', '..', ..)`: a SET that answers with the new value.
    SetPath {
        /// Written as `pg_catalog.set_config`.
        qualified: bool,
        /// The path as text.
        path: String,
        /// Until the transaction ends.
        local: bool,
    },
    /// SET CONSTRAINTS.
    SetConstraints {
        /// Schema and name of each; empty is ALL.
        constraints: Vec<(Option<Name>, Name)>,
        /// DEFERRED, else IMMEDIATE.
        deferred: bool,
    },
    /// RESET name; `None` is ALL.
    Reset(Option<Name>),
    /// SHOW name; `None` is ALL.
    Show(Option<Name>),
    /// DISCARD.
    Discard(Discard),
    /// DECLARE name CURSOR FOR query.
    Declare {
        /// The cursor.
        name: Name,
        /// BINARY, INSENSITIVE, ASENSITIVE, SCROLL, NO SCROLL, WITH HOLD.
        options: CursorOptions,
        /// The query.
        query: Box<Statement>,
    },
    /// FETCH and MOVE.
    Fetch {
        /// MOVE.
        r#move: bool,
        /// How far.
        direction: Direction,
        /// The cursor.
        name: Name,
    },
    /// CLOSE name; `None` is ALL.
    Close(Option<Name>),
    /// LISTEN channel.
    Listen(Name),
    /// UNLISTEN channel; `None` is `*`.
    Unlisten(Option<Name>),
    /// NOTIFY channel, payload.
    Notify {
        /// The channel.
        channel: Name,
        /// The payload, decoded.
        payload: Option<String>,
    },
    /// COPY.
    Copy(CopyStatement),
    /// PREPARE name (types) AS statement.
    Prepare {
        /// The prepared statement.
        name: Name,
        /// Parameter types, as SQL text.
        types: Vec<String>,
        /// SELECT, INSERT, UPDATE, DELETE, VALUES, MERGE.
        statement: Box<Statement>,
    },
    /// EXECUTE name (arguments).
    Execute {
        /// The prepared statement.
        name: Name,
        /// Arguments.
        arguments: Vec<sqlparser::ast::Expr>,
    },
    /// DEALLOCATE name; `None` is ALL.
    Deallocate(Option<Name>),
    /// EXPLAIN (options) statement.
    Explain {
        /// Options.
        options: Vec<ExplainOption>,
        /// SELECT, INSERT, UPDATE, DELETE, VALUES, MERGE, or a utility that holds one of them.
        statement: Explained,
    },
}

/// What a utility statement refers to, by the rules of [`Facts`].
pub(in crate::sql) fn seen(utility: &Utility, facts: &mut Facts) {
    match utility {
        Utility::Declare { query: statement, .. } | Utility::Prepare { statement, .. } => {
            seen::seen(&**statement, facts)
        }
        Utility::Explain { statement: Explained::Statement(statement), .. } => seen::seen(&**statement, facts),
        Utility::Explain { statement: Explained::Utility(utility), .. } => self::seen(utility, facts),
        Utility::Execute { arguments, .. } => seen::seen(arguments, facts),
        Utility::SetPath { qualified, .. } => {
            let schema = qualified.then(|| "pg_catalog".to_owned());
            facts.add_function(schema.into_iter().chain(["set_config".to_owned()]).collect());
        }
        Utility::Copy(copy) => {
            match &copy.source {
                CopySource::Table { schema, name, .. } => facts.add_relation(schema.clone(), name.clone()),
                CopySource::Query(query) => seen::seen(&**query, facts),
            }
            seen::seen(&copy.filter, facts);
        }
        Utility::Begin { .. }
        | Utility::Commit { .. }
        | Utility::Rollback { .. }
        | Utility::Savepoint(_)
        | Utility::Release(_)
        | Utility::RollbackTo(_)
        | Utility::SetTransaction { .. }
        | Utility::SetSnapshot(_)
        | Utility::TwoPhase { .. }
        | Utility::Set { .. }
        | Utility::SetConstraints { .. }
        | Utility::Reset(_)
        | Utility::Show(_)
        | Utility::Discard(_)
        | Utility::Fetch { .. }
        | Utility::Close(_)
        | Utility::Listen(_)
        | Utility::Unlisten(_)
        | Utility::Notify { .. }
        | Utility::Deallocate(_) => {}
    }
}

/// A step of a transaction in two phases (PostgreSQL's documentation, PREPARE TRANSACTION).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// PREPARE TRANSACTION: the session's transaction ends, and waits on the disk.
    Prepare,
    /// COMMIT PREPARED, of any session.
    Commit,
    /// ROLLBACK PREPARED, of any session.
    Rollback,
}

/// A mode of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransactionMode {
    /// ISOLATION LEVEL.
    Isolation(Isolation),
    /// READ ONLY.
    ReadOnly,
    /// READ WRITE.
    ReadWrite,
    /// DEFERRABLE.
    Deferrable,
    /// NOT DEFERRABLE.
    NotDeferrable,
}

/// Isolation levels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isolation {
    /// READ UNCOMMITTED.
    ReadUncommitted,
    /// READ COMMITTED.
    ReadCommitted,
    /// REPEATABLE READ.
    RepeatableRead,
    /// SERIALIZABLE.
    Serializable,
}

/// A value of SET.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SetValue {
    /// A word without quotes (folded), or a quoted identifier, or a string: what PostgreSQL takes as text.
    Text(String),
    /// A number, with its sign, as written.
    Number(String),
    /// INTERVAL '..' with its fields, only in SET TIME ZONE.
    Interval {
        /// The string, decoded.
        value: String,
        /// Its fields as SQL text, `HOUR TO MINUTE`; may be empty.
        fields: String,
    },
}

/// What DISCARD discards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Discard {
    /// ALL.
    All,
    /// PLANS.
    Plans,
    /// SEQUENCES.
    Sequences,
    /// TEMP, TEMPORARY.
    Temp,
}

/// Options of DECLARE.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CursorOptions {
    /// BINARY.
    pub binary: bool,
    /// INSENSITIVE.
    pub insensitive: bool,
    /// ASENSITIVE.
    pub asensitive: bool,
    /// SCROLL (true), NO SCROLL (false).
    pub scroll: Option<bool>,
    /// WITH HOLD.
    pub hold: bool,
}

/// How far FETCH goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// NEXT, or nothing.
    Next,
    /// PRIOR.
    Prior,
    /// FIRST.
    First,
    /// LAST.
    Last,
    /// ABSOLUTE n.
    Absolute(i64),
    /// RELATIVE n.
    Relative(i64),
    /// A count, FORWARD, FORWARD n; `None` is FORWARD ALL.
    Forward(Option<i64>),
    /// BACKWARD, BACKWARD n; `None` is BACKWARD ALL.
    Backward(Option<i64>),
}

/// COPY.
#[derive(Debug, Clone)]
pub struct CopyStatement {
    /// What is copied.
    pub source: CopySource,
    /// Which way; files and programs are refused by the parser.
    pub direction: CopyDirection,
    /// Whether the options are written without parentheses, as before PostgreSQL 9.0.
    pub legacy: bool,
    /// Options.
    pub options: Vec<CopyOption>,
    /// WHERE of COPY FROM.
    pub filter: Option<Box<sqlparser::ast::Expr>>,
}

/// What COPY copies.
#[derive(Debug, Clone)]
pub enum CopySource {
    /// A table.
    Table {
        /// Its schema.
        schema: Option<Name>,
        /// Its name.
        name: Name,
        /// Its columns; empty where none are written.
        columns: Vec<Name>,
    },
    /// A query, only with TO.
    Query(Box<Statement>),
}

/// Which way COPY goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CopyDirection {
    /// FROM STDIN.
    FromStdin,
    /// TO STDOUT.
    ToStdout,
}

/// An option of COPY.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyOption {
    /// Its name.
    pub name: Name,
    /// Its value.
    pub value: Option<CopyValue>,
}

/// A value of an option of COPY.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CopyValue {
    /// A word or a string.
    Text(String),
    /// A number, with its sign.
    Number(String),
    /// A flag of the older syntax.
    Flag,
    /// DEFAULT.
    Default,
    /// `*`.
    Star,
    /// Names of columns.
    List(Vec<Name>),
}

/// An option of EXPLAIN.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExplainOption {
    /// Its name, lower case.
    pub name: Name,
    /// Its value.
    pub value: Option<SetValue>,
}

/// What EXPLAIN explains.
#[derive(Debug, Clone)]
pub enum Explained {
    /// A statement.
    Statement(Box<Statement>),
    /// DECLARE or EXECUTE.
    Utility(Box<Utility>),
}
