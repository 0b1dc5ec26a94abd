//! Deletion of what is held about a person (POPIA s24(1)(b)): what goes, what is made anonymous, what stays and by which section.
//!
//! Which rows is settled in the database, within one transaction, as three sets of each table: *gone*, *bare* (they stay, and say nothing
//! about the person any more) and *kept*. A row begins as gone where it is the person's, becomes kept where the policies keep it, and bare
//! where a row that stays refers to it and cannot let go. A row that is not the person's is in no set; at most its reference to one that goes
//! becomes NULL. All gone rows go in one statement, so that circles of foreign keys need no order, and the database's own count of what was
//! deleted must be ours: a cascade or trigger that takes more undoes everything.

mod bare;
mod sets;

use std::collections::BTreeSet;
use std::fmt;

use tokio_postgres::Transaction;
use tokio_postgres::error::SqlState;

use super::map::PersonMap;
use crate::catalog::{Catalog, RelationName};
use crate::policy::PolicySet;
use sets::Sets;

/// What becomes of a person's rows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// Each table that is concerned; one whose rows refer to another's comes before it, where there is no circle.
    pub lines: Vec<Line>,
    /// What whoever carries it out should know.
    pub warnings: Vec<String>,
}

/// What becomes of the rows of one table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The table.
    pub table: RelationName,
    /// Whether the policies list it.
    pub listed: bool,
    /// Rows that go.
    pub gone: u64,
    /// Rows that stay without what they say about the person.
    pub bare: u64,
    /// Rows that stay as they are.
    pub kept: u64,
    /// Rows of others whose reference to the person becomes NULL.
    pub unlinked: u64,
    /// Why rows stay: the reason with its section, and how many.
    pub because: Vec<(String, u64)>,
    /// Columns of bare rows that keep their value, since nothing else fits there.
    pub stays: BTreeSet<String>,
}

/// Why nothing was done.
#[derive(Debug)]
pub enum Trouble {
    /// The database's own error.
    Database(tokio_postgres::Error),
    /// In words for whoever asked.
    Refused(String),
}

impl From<tokio_postgres::Error> for Trouble {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Database(error)
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // The database's DETAIL may hold a value.
            Self::Database(error) => match error.as_db_error() {
                Some(db) if *db.code() == SqlState::INSUFFICIENT_PRIVILEGE => {
                    write!(
                        f,
                        "{}: grant it to the login of `[upstream] catalog_login` (docs/requests.md)",
                        db.message()
                    )
                }
                Some(db) => write!(f, "{} ({})", db.message(), db.code().code()),
                None => write!(f, "{error}"),
            },
            Self::Refused(why) => f.write_str(why),
        }
    }
}

impl Plan {
    /// Rows of all tables: gone, bare, kept.
    pub fn totals(&self) -> (u64, u64, u64) {
        self.lines
            .iter()
            .fold((0, 0, 0), |(gone, bare, kept), line| (gone + line.gone, bare + line.bare, kept + line.kept))
    }
}

/// What must not be deleted even of the person: the register of requests is the proof that one was answered.
const PROOF_OF_ANSWER: &[&str] = &["privacy.requests", "privacy.request_steps"];

/// Finds out what would become of the person's rows, or does it.
///
/// `subject` is the person's key as text; with `apply` rows are locked, changed and deleted within `transaction`, which the caller commits.
/// Without it nothing is changed and no row is locked; the sets are temporary tables of the transaction.
///
/// # Errors
/// [`Trouble`]; the transaction is to be rolled back.
pub async fn delete(
    transaction: &Transaction<'_>,
    map: &PersonMap<'_>,
    policies: &PolicySet,
    catalog: &Catalog,
    subject: &str,
    apply: bool,
) -> Result<Plan, Trouble> {
    let mut sets = Sets::new(transaction, map, subject, apply);
    sets.refuse_row_security().await?;
    sets.gather().await?;
    sets.keep(policies, catalog, PROOF_OF_ANSWER).await?;
    sets.settle().await?;
    if apply {
        sets.carry_out().await?;
    }
    sets.plan().await
}
