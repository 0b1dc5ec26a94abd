//! What a statement does to the session's own state.

/// What a statement does to the session's own state, once it has run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Effect {
    /// Nothing that the proxy tracks: SELECT, INSERT, LISTEN ...
    #[default]
    None,
    /// BEGIN, START TRANSACTION.
    Begin,
    /// COMMIT, END; `chain` starts another at once.
    Commit {
        /// AND CHAIN.
        chain: bool,
    },
    /// ROLLBACK, ABORT.
    Rollback {
        /// AND CHAIN.
        chain: bool,
    },
    /// SAVEPOINT.
    Savepoint(String),
    /// RELEASE SAVEPOINT.
    Release(String),
    /// ROLLBACK TO SAVEPOINT.
    RollbackTo(String),
    /// SET pgpurpose.purpose; the session checks that the role may use it. `None`: back to the session's start value.
    SetPurpose {
        /// The purpose.
        purpose: Option<String>,
        /// SET LOCAL.
        local: bool,
    },
    /// SET search_path; names as written, `$user` not replaced. `None`: back to the session's start value.
    SetSearchPath {
        /// The schemas.
        path: Option<Vec<String>>,
        /// SET LOCAL.
        local: bool,
    },
    /// RESET ALL: purpose and search path go back to the session's start values.
    ResetAll,
    /// DISCARD ALL: as RESET ALL, and prepared statements, cursors and portals are gone. DISCARD PLANS and the like are `None`.
    DiscardAll,
    /// PREPARE name AS ...: report and guard of this statement are those of the inner one.
    Prepare(String),
    /// EXECUTE name: report and guard are those that PREPARE left behind; the session has them.
    Execute(String),
    /// DEALLOCATE name, or ALL.
    Deallocate(Option<String>),
    /// DECLARE name CURSOR: report and guard are those of its query.
    Declare {
        /// The cursor.
        name: String,
        /// WITH HOLD.
        hold: bool,
    },
    /// FETCH, MOVE: the cursor's guard applies.
    Fetch {
        /// The cursor.
        name: String,
        /// MOVE: no row comes, only how many were passed.
        moves: bool,
    },
    /// CLOSE name, or ALL.
    CloseCursor(Option<String>),
    /// COPY ... FROM STDIN.
    CopyIn,
    /// COPY ... TO STDOUT.
    CopyOut,
    /// It may change the database's structure: once it lasts, the catalog is another.
    Define,
}
