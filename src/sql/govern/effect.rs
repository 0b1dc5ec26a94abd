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
    /// SET pgpurpose.actor, pgpurpose.ticket or application_name, by which an actor may be told. `None`: back to the session's start
    /// value.
    Say {
        /// Which.
        what: Said,
        /// What; empty for none.
        value: Option<String>,
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
    /// SET ROLE or SET SESSION AUTHORIZATION: as whom the database takes the session. `None`: back to whom it was before.
    SetRole {
        /// The role.
        role: Option<String>,
        /// SESSION AUTHORIZATION.
        session: bool,
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
        /// How far.
        way: Way,
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

/// What a session says of whom it serves, besides the purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Said {
    /// The application's end user.
    Actor,
    /// The reason.
    Ticket,
    /// `application_name`.
    Application,
}

/// How far a FETCH goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Forward over so many rows; `None`: all that are left.
    Forward(Option<u64>),
    /// Backward likewise.
    Backward(Option<u64>),
    /// To one row by its place: FIRST, LAST, ABSOLUTE, RELATIVE, or the row that it stands on.
    Place,
}

/// What a statement names that somebody has to look at before it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Named<'a> {
    /// Nothing.
    Nothing,
    /// The purpose that it sets, which must be one of the role's.
    Purpose(&'a str),
    /// A statement or cursor that it makes.
    New(&'a str),
    /// The prepared statement that it runs.
    Statement(&'a str),
    /// The cursor that it reads.
    Cursor(&'a str),
}

impl Effect {
    /// What it names.
    pub fn named(&self) -> Named<'_> {
        match self {
            Self::SetPurpose { purpose: Some(purpose), .. } => Named::Purpose(purpose),
            Self::Prepare(name) | Self::Declare { name, .. } => Named::New(name),
            Self::Execute(name) => Named::Statement(name),
            Self::Fetch { name, .. } => Named::Cursor(name),
            // Their effects need no other permission than the decision; what they name may be gone, or was looked at.
            Self::SetPurpose { purpose: None, .. }
            | Self::Say { .. }
            | Self::None
            | Self::Begin
            | Self::Commit { .. }
            | Self::Rollback { .. }
            | Self::Savepoint(_)
            | Self::Release(_)
            | Self::RollbackTo(_)
            | Self::SetSearchPath { .. }
            | Self::SetRole { .. }
            | Self::ResetAll
            | Self::DiscardAll
            | Self::Deallocate(_)
            | Self::CloseCursor(_)
            | Self::CopyIn
            | Self::CopyOut
            | Self::Define => Named::Nothing,
        }
    }

    /// Whether it runs a statement of its own: PREPARE only keeps one, and FETCH reads on in one that ran before.
    pub fn runs(&self) -> bool {
        !matches!(self, Self::Prepare(_) | Self::Fetch { .. })
    }

    /// Whether nothing is read yet: PREPARE and DECLARE leave that to EXECUTE and FETCH.
    pub fn reads_later(&self) -> bool {
        matches!(self, Self::Prepare(_) | Self::Declare { .. })
    }

    /// DECLARE .. WITH HOLD: the database reads the rows when the transaction ends, and an error of theirs comes then, of COMMIT or behind
    /// a Sync.
    pub fn holds(&self) -> bool {
        matches!(self, Self::Declare { hold: true, .. })
    }

    /// MOVE: no row comes, only how many were passed.
    pub fn moves(&self) -> bool {
        matches!(self, Self::Fetch { moves: true, .. })
    }

    /// The prepared statement that EXECUTE runs.
    pub fn executes(&self) -> Option<&str> {
        match self.named() {
            Named::Statement(name) => Some(name),
            Named::Nothing | Named::Purpose(_) | Named::New(_) | Named::Cursor(_) => None,
        }
    }

    /// Whether it ends a transaction so that it lasts.
    pub fn commits(&self) -> bool {
        matches!(self, Self::Commit { .. })
    }

    /// Whether the database may begin a COPY in this direction for it.
    pub fn copies(&self, incoming: bool) -> bool {
        *self == if incoming { Self::CopyIn } else { Self::CopyOut }
    }

    /// Whether names or settings of the session may be others after it, so that what follows has to wait for its answer.
    pub fn changes_session(&self) -> bool {
        !matches!(self, Self::None | Self::Execute(_) | Self::Fetch { .. } | Self::CopyIn | Self::CopyOut)
    }

    /// Whether it touches no data, and a session needs it to get out of a purpose or a transaction.
    pub fn leaves_purpose(&self) -> bool {
        match self {
            Self::SetPurpose { .. }
            | Self::Say { .. }
            | Self::ResetAll
            | Self::DiscardAll
            | Self::Commit { .. }
            | Self::Rollback { .. }
            | Self::RollbackTo(_)
            | Self::Release(_)
            | Self::Deallocate(_)
            | Self::CloseCursor(_) => true,
            Self::None
            | Self::Begin
            | Self::Savepoint(_)
            | Self::SetSearchPath { .. }
            | Self::SetRole { .. }
            | Self::Prepare(_)
            | Self::Execute(_)
            | Self::Declare { .. }
            | Self::Fetch { .. }
            | Self::CopyIn
            | Self::CopyOut
            | Self::Define => false,
        }
    }
}
