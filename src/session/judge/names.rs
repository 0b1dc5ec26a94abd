//! Names of prepared statements and portals: how the database knows them, which are the proxy's own, and what is said of one that is not
//! there.

use crate::error::{Refusal, SqlState, Stage};
use crate::upstream::REFUSED_STATEMENT;

/// Bytes of a name that PostgreSQL keeps (`NAMEDATALEN` - 1).
const NAME_BYTES: usize = 63;

/// The name that the database will know a statement or portal by: it looks at the first 63 bytes only, so that two longer
/// names may be one.
///
/// # Errors
/// 42622 where a character would be cut in two.
pub(in crate::session) fn cut(name: &str) -> Result<&str, Refusal> {
    name.get(..name.len().min(NAME_BYTES)).ok_or_else(|| {
        let message = format!("the name of a statement or portal is longer than {NAME_BYTES} bytes");
        Refusal::new(Stage::Session, SqlState::NAME_TOO_LONG, message)
    })
}

/// Names of the proxy's own cannot be taken, nor what has one be closed.
pub(in crate::session) fn check_name(name: &str) -> Result<(), Refusal> {
    let own = REFUSED_STATEMENT.split('.').next().unwrap_or(REFUSED_STATEMENT);
    if name.starts_with(own) {
        let message = format!("the name `{name}` begins with `{own}`, which is kept for the proxy");
        return Err(Refusal::new(Stage::Session, SqlState::INVALID_SQL_STATEMENT_NAME, message));
    }
    Ok(())
}

pub(in crate::session) fn no_statement(name: &str) -> Refusal {
    let message = format!("prepared statement `{name}` does not exist");
    let told = match name {
        "" => "unnamed prepared statement does not exist".to_owned(),
        name => format!("prepared statement \"{name}\" does not exist"),
    };
    Refusal::new(Stage::Session, SqlState::INVALID_SQL_STATEMENT_NAME, message).told(told)
}

/// The same where FETCH or MOVE names it.
pub(super) fn no_cursor(name: &str) -> Refusal {
    no_portal(name).told(format!("cursor \"{name}\" does not exist"))
}

pub(in crate::session) fn no_portal(name: &str) -> Refusal {
    let told = format!("portal \"{name}\" does not exist");
    Refusal::new(Stage::Session, SqlState::INVALID_CURSOR_NAME, format!("cursor `{name}` does not exist")).told(told)
}
