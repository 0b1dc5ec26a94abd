//! Text to AST, names to columns, and back to the text that runs.
//!
//! [`enforce`] is the one path: simple query, Parse, SQL-level PREPARE, DECLARE, EXPLAIN and COPY all go through it.

mod ask;
mod builtins;
mod ddl;
mod definitions;
mod dialect;
mod enforce;
mod enforced;
mod facts;
mod fragment;
mod fresh;
mod keywords;
mod lex;
#[cfg(test)]
mod lex_tests;
mod limits;
pub mod marker;
mod parse;
mod redact;
mod render;
mod resolve;
mod rewrite;
mod seen;
mod settings;
mod split;
mod stack;
mod stated;
mod steer;
mod steps;
mod system;
mod tested;
mod token;
mod tokens;
mod tree;
mod unicode;
pub mod utility;
mod versions;
pub mod witness;

use crate::catalog::Catalog;
use crate::policy::PolicySet;

pub use ddl::Ddl;
pub use enforce::{enforce, relay_unrestricted};
pub use enforced::{Effect, Enforced, Guard, Lookups, Refused};
pub use facts::Facts;
pub use fresh::{portal_refusal, refusal_for};
pub use parse::{Kind, Parsed, parse};
pub use redact::{Redacted, redact};
pub use render::{render, render_expr};
pub use resolve::HIDDEN as HIDDEN_COLUMN;
pub use resolve::open_parameters;
pub use rewrite::due_counts;
pub use seen::{column_parts, is_grammar_function, is_substring_call};
pub use split::split;
pub use stack::on_parser_stack;
pub use stated::stated_purpose;
pub use steps::{Step, Steps};
pub use tested::{Compared, Given, Tested};
pub use token::TokenKey;

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
    /// The session's search path: `"$user"` replaced by the login.
    pub search_path: &'a [String],
    /// Today in UTC.
    pub today: jiff::civil::Date,
    /// Observe mode: decide and report, change nothing.
    pub observe: bool,
    /// Types that the client declared for its parameters, by number; 0 leaves one to the statement, as does a short list.
    pub parameters: &'a [crate::catalog::Oid],
    /// Who is told of the steps that are taken.
    pub steps: Steps<'a>,
}
