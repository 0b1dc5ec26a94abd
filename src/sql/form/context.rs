//! What a statement is decided under.

use crate::catalog::{Catalog, Oid};
use crate::policy::PolicySet;
use crate::sql::form::Asked;
use crate::sql::steps::Steps;

/// On whose behalf, why, and under which snapshots a statement is decided.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// The catalog snapshot.
    pub catalog: &'a Catalog,
    /// The policy snapshot.
    pub policies: &'a PolicySet,
    /// The session's PostgreSQL login.
    pub login: &'a str,
    /// The purpose in force for this statement.
    pub purpose: &'a str,
    /// The application's end user on whose behalf it runs, where that is known.
    pub actor: Option<&'a str>,
    /// The reason that was given for it.
    pub ticket: Option<&'a str>,
    /// The session's search path: `"$user"` replaced by the login.
    pub search_path: &'a [String],
    /// Today in UTC.
    pub today: jiff::civil::Date,
    /// Observe mode: decide and report, change nothing.
    pub observe: bool,
    /// The rows are read later than the statement begins, by a cursor or in parts: what rests on consent is asked for again then.
    pub later: bool,
    /// Columns that are not there are left to the database, which says so in its own words: for statements that were refused for one,
    /// where nothing is hidden.
    pub absent: bool,
    /// Types that the client declared for its parameters, by number; 0 leaves one to the statement, as does a short list.
    pub parameters: &'a [Oid],
    /// The constants of the statement that stand in the AST as slots.
    pub constants: Asked<'a>,
    /// Who is told of the steps that are taken.
    pub steps: Steps<'a>,
}

impl<'a> Context<'a> {
    /// A statement without declared types, decided from nothing but these; nobody is told of the steps.
    pub fn new(
        catalog: &'a Catalog,
        policies: &'a PolicySet,
        login: &'a str,
        purpose: &'a str,
        search_path: &'a [String],
        today: jiff::civil::Date,
    ) -> Self {
        let (constants, steps) = (Asked::default(), Steps::default());
        let (observe, later, absent, parameters) = (false, false, false, &[][..]);
        let (actor, ticket) = (None, None);
        Self {
            catalog,
            policies,
            login,
            purpose,
            actor,
            ticket,
            search_path,
            today,
            observe,
            later,
            absent,
            parameters,
            constants,
            steps,
        }
    }
}
