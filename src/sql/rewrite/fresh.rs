//! Rows that rest on consent are read as they are now: never in a snapshot that is older than the statement, so that a
//! consent that was withdrawn before a statement began is not used by it.

use crate::error::{Refusal, SqlState, Stage};
use crate::policy::RelationObligation;
use crate::sql::resolve::Occurrence;

/// A setting that no server has: reading it fails, and the error's message holds its name in every language.
const OLDER: &str = "pgpurpose.older_snapshot";

/// A condition that fails in a transaction that keeps one snapshot. Only the server knows the isolation level for certain:
/// it comes from BEGIN, from settings of the session, and from defaults of role and database.
///
/// It names no column, so that PostgreSQL tests it once, before it reads a row.
pub(in crate::sql) fn condition() -> String {
    format!(
        "CASE WHEN pg_catalog.current_setting('transaction_isolation') = ANY (ARRAY['read committed', 'read uncommitted']) \
         THEN true ELSE pg_catalog.current_setting('{OLDER}') IS NULL END"
    )
}

/// The same for a new row that its purpose may not have; it is read for such a row only.
pub(in crate::sql) const NEW_ROW: &str = "pgpurpose.new_row";

/// The refusal that an error of [`condition`], or of a new row, stands for; nothing for any other error.
pub fn refusal_for(sqlstate: &str, message: &[u8]) -> Option<Refusal> {
    let names = |name: &str| sqlstate == "42704" && message.windows(name.len()).any(|part| part == name.as_bytes());
    if names(NEW_ROW) {
        return Some(new_row_refusal());
    }
    names(OLDER).then(|| {
        Refusal::new(
            Stage::Session,
            SqlState::INSUFFICIENT_PRIVILEGE,
            "rows that rest on consent are not read in a transaction that keeps one snapshot",
        )
        .detail("a consent that is withdrawn while it lasts would still be used")
        .hint("begin it with `BEGIN ISOLATION LEVEL READ COMMITTED`, or set `default_transaction_isolation` to that")
    })
}

/// The refusal of a new row that its purpose may not have; the same where its data subject is not there at all, so that nobody learns
/// from it which of the two it is.
pub fn new_row_refusal() -> Refusal {
    Refusal::new(
        Stage::Session,
        SqlState::INSUFFICIENT_PRIVILEGE,
        "a new row is about a data subject about whom this purpose may have none",
    )
    .detail("the row would be of a child, of somebody who objected or is restricted, or of nobody who is there: the purpose could not see it")
    .hint("use a purpose that may have such rows, or leave the row out")
}

/// A condition that lets a statement wait for a row lock no longer than so many seconds, from here to the transaction's end, where the
/// session does not wait less anyway: what it changes then is as it is, and the consents as they were.
///
/// It names no column either.
pub(super) fn short_wait(seconds: u32) -> String {
    let now = "pg_catalog.current_setting('lock_timeout')::pg_catalog.interval";
    format!(
        "(SELECT CASE WHEN {now} >= '1 millisecond'::pg_catalog.interval AND {now} <= '{seconds} seconds'::pg_catalog.interval THEN true ELSE pg_catalog.set_config('lock_timeout', '{seconds}s', true) IS NOT NULL END)"
    )
}

/// Refuses what waits for others before it reads, or gives back, rows that rest on consent: a lock is waited for as long as its
/// holder likes, the rows that come then are as they are, and the consents as they were.
///
/// # Errors
/// 42501.
pub(super) fn waits(
    occurrence: &Occurrence,
    obligation: &RelationObligation,
    blocks: Option<&str>,
    later: bool,
) -> Result<(), Refusal> {
    if !obligation.rests_on_wishes() {
        return Ok(());
    }
    let refused = |message: String, hint: &str| {
        Err(Refusal::new(Stage::Rewrite, SqlState::INSUFFICIENT_PRIVILEGE, message)
            .detail("a consent that is withdrawn while it waits would still be used")
            .hint(hint.to_owned()))
    };
    match blocks {
        Some(function) => refused(
            format!("`{function}` is not open beside rows that rest on consent"),
            "take the lock in a statement of its own before, or use `pg_try_advisory_lock`",
        ),
        // Where rows have keys, whoever agreed is asked for again behind the lock.
        None if occurrence.waits && !later => refused(
            "rows that rest on consent are not locked by a statement that may wait for them".to_owned(),
            "add `NOWAIT` or `SKIP LOCKED`",
        ),
        None => Ok(()),
    }
}
