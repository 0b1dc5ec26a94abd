//! Statements that change the database's structure: their own words, PostgreSQL's reading of them, and the query inside.
//!
//! PostgreSQL's tree says what such a statement is, for sqlparser's is lossy here. What runs is written anew from our own
//! tokens, each in one canonical form, names in full and the query governed; the gate holds it to the client's tree as it
//! does every other statement.

mod words;

use std::collections::BTreeMap;

use pg_raw_parse::Node;
use sqlparser::ast::Statement;

use super::parse;
use super::render::render;
use crate::error::{Refusal, Stage};
use crate::sql::text::keywords;
use crate::sql::text::lex::{Kind, Token};
use crate::sql::witness::{self, Reading};

/// First words of the statements that are read here.
const FIRST: [&str; 20] = [
    "create",
    "alter",
    "drop",
    "truncate",
    "vacuum",
    "analyze",
    "analyse",
    "lock",
    "comment",
    "grant",
    "revoke",
    "reindex",
    "refresh",
    "cluster",
    "security",
    "do",
    "import",
    "load",
    "checkpoint",
    "reassign",
];

/// A statement that changes the database's structure.
#[derive(Debug, Clone)]
pub struct Ddl {
    /// Its tokens, without those of the query.
    words: Vec<Token>,
    /// PostgreSQL's reading of it, with the places of names in the text.
    pub(in crate::sql) reading: Reading,
    /// The query of CREATE TABLE AS and CREATE VIEW, and before which word it stands.
    pub(in crate::sql) query: Option<(usize, Box<Statement>)>,
}

/// What is written instead of the client's own names.
#[derive(Debug, Default)]
pub(in crate::sql) struct Edits {
    /// By the place of the first token in the client's text: how many tokens, and what stands instead.
    names: BTreeMap<usize, (usize, String)>,
    /// The whole statement.
    whole: Option<String>,
}

impl Edits {
    /// The whole statement is written as this.
    pub(in crate::sql) fn whole(&mut self, text: String) {
        self.whole = Some(text);
    }
}

/// Reads a statement of this kind; `None` where the tokens (no comments) start none.
///
/// # Errors
/// 42601 where it is not understood, 0A000 where it is of a kind that is not carried out.
pub(in crate::sql) fn read(text: &str, tokens: &[Token]) -> Option<Result<Ddl, Refusal>> {
    let first = tokens.first()?;
    (explains(tokens) || FIRST.iter().any(|word| first.is_word(word))).then(|| of(text, tokens))
}

/// `SELECT .. INTO t ..` as `CREATE TABLE t AS SELECT ..`, which PostgreSQL does with it too; `None` for anything else.
///
/// # Errors
/// 42601 where it is not understood.
pub(in crate::sql) fn select_into(text: &str, tokens: &[Token]) -> Option<Result<Ddl, Refusal>> {
    let starts = tokens.first().is_some_and(|token| token.is_word("select") || token.is_word("with"));
    if !starts || !tokens.iter().any(|token| token.is_word("into")) {
        return None;
    }
    let reading = witness::read(text).ok()?;
    let Node::SelectStmt(select) = reading.node() else { return None };
    let into = select.into_clause()?;
    let parts = words::select_into(tokens, into.rel().map_or(-1, |rel| rel.location));
    let Some((words, query)) = parts else {
        return Some(Err(Refusal::unsupported(Stage::Parse, "this form of SELECT INTO is not carried out")));
    };
    Some(parse::statement(&query).map(|statement| Ddl {
        query: Some((words.len(), Box::new(statement))),
        words,
        reading: reading.clone(),
    }))
}

/// Whether it shows the plan of a statement that makes something, with ANALYZE while it is made.
pub(in crate::sql) fn explains(tokens: &[Token]) -> bool {
    tokens.first().is_some_and(|token| token.is_word("explain"))
        && words::explained(tokens).is_some_and(|token| token.is_word("create"))
}

/// Whether it makes a function whose body is statements, with semicolons between them. PostgreSQL's grammar says whether it is one
/// statement.
pub(in crate::sql) fn has_a_body(tokens: &[Token]) -> bool {
    let begins = |pair: &[Token]| matches!(pair, [begin, atomic] if begin.is_word("begin") && atomic.is_word("atomic"));
    tokens.first().is_some_and(|token| token.is_word("create")) && tokens.windows(2).any(begins)
}

fn of(text: &str, tokens: &[Token]) -> Result<Ddl, Refusal> {
    let reading = witness::read(text)?;
    let node = match reading.node() {
        Node::ExplainStmt(explain) => match explain.query() {
            made @ Node::CreateTableAsStmt(_) => made,
            _ => return Err(refused_kind(tokens)),
        },
        node => node,
    };
    if !is_carried_out(node) {
        return Err(refused_kind(tokens));
    }
    let mut words = tokens.to_vec();
    let mut query = None;
    if matches!(node, Node::CreateTableAsStmt(_) | Node::ViewStmt(_)) {
        let range = words::query(&words).ok_or_else(|| {
            Refusal::unsupported(Stage::Parse, "this form of a relation from a query is not carried out")
        })?;
        let at = range.start;
        let inner: Vec<Token> = words.drain(range).collect();
        query = Some((at, Box::new(parse::statement(&inner)?)));
    }
    Ok(Ddl { words, reading, query })
}

/// The kinds of statement that a role with `ddl = true` may run. What runs code that nobody reviewed on unmasked values, or
/// changes who may do what to whom, is not among them.
fn is_carried_out(node: Node<'_>) -> bool {
    matches!(
        node,
        Node::CreateStmt(_)
            | Node::CreateTableAsStmt(_)
            | Node::ViewStmt(_)
            | Node::IndexStmt(_)
            | Node::CreateSeqStmt(_)
            | Node::AlterSeqStmt(_)
            | Node::AlterTableStmt(_)
            | Node::RenameStmt(_)
            | Node::AlterObjectSchemaStmt(_)
            | Node::DropStmt(_)
            | Node::TruncateStmt(_)
            | Node::VacuumStmt(_)
            | Node::LockStmt(_)
            | Node::CommentStmt(_)
            | Node::GrantStmt(_)
            | Node::CreateSchemaStmt(_)
            | Node::CreateEnumStmt(_)
            | Node::AlterEnumStmt(_)
            | Node::CreateDomainStmt(_)
            | Node::CompositeTypeStmt(_)
            | Node::CreateRangeStmt(_)
            | Node::CreateFunctionStmt(_)
            | Node::CreateTrigStmt(_)
            | Node::CreateExtensionStmt(_)
            | Node::AlterOwnerStmt(_)
            | Node::CreatedbStmt(_)
            | Node::DropdbStmt(_)
            | Node::ReindexStmt(_)
            | Node::RefreshMatViewStmt(_)
            | Node::ClusterStmt(_)
            | Node::AlterCollationStmt(_)
            | Node::AlterDefaultPrivilegesStmt(_)
            | Node::AlterDomainStmt(_)
            | Node::AlterExtensionStmt(_)
            | Node::AlterExtensionContentsStmt(_)
            | Node::AlterFunctionStmt(_)
            | Node::AlterObjectDependsStmt(_)
            | Node::AlterOpFamilyStmt(_)
            | Node::AlterOperatorStmt(_)
            | Node::AlterPolicyStmt(_)
            | Node::AlterStatsStmt(_)
            | Node::AlterTSConfigurationStmt(_)
            | Node::AlterTSDictionaryStmt(_)
            | Node::AlterTypeStmt(_)
            | Node::CreateCastStmt(_)
            | Node::CreateConversionStmt(_)
            | Node::CreateOpClassStmt(_)
            | Node::CreateOpFamilyStmt(_)
            | Node::CreatePolicyStmt(_)
            | Node::CreateStatsStmt(_)
            | Node::DefineStmt(_)
            | Node::CreateRoleStmt(_)
            | Node::AlterRoleStmt(_)
            | Node::DropRoleStmt(_)
            | Node::GrantRoleStmt(_)
            | Node::ReassignOwnedStmt(_)
            | Node::DropOwnedStmt(_)
    )
}

/// 0A000, naming the kind by its key words and nothing else that the client wrote.
pub(in crate::sql) fn refused_kind(tokens: &[Token]) -> Refusal {
    let skipped = ["or", "replace", "temp", "temporary", "unlogged", "unique", "recursive", "trusted", "constraint"];
    let words: Vec<String> = tokens
        .iter()
        .map_while(|token| match &token.kind {
            Kind::Word(word) if keywords::category(word).is_some() => Some(word.as_str()),
            _ => None,
        })
        .filter(|word| !skipped.contains(word))
        .take(2)
        .map(str::to_ascii_uppercase)
        .collect();
    Refusal::unsupported(Stage::Parse, format!("{} is not carried out for governed sessions", words.join(" ")))
        .detail("it could run code that nobody reviewed on unmasked values, or change who may do what")
        .hint("use an unrestricted role")
}

impl Ddl {
    /// The text, as the client meant it.
    pub fn render(&self) -> String {
        let query = self.query.as_ref().map(|(_, statement)| render(statement));
        self.text(&Edits::default(), query.as_deref())
    }

    /// The text with these names, and this query.
    pub(in crate::sql) fn text(&self, edits: &Edits, query: Option<&str>) -> String {
        if let Some(whole) = &edits.whole {
            return whole.clone();
        }
        let mut parts: Vec<String> = Vec::new();
        let mut skip = 0_usize;
        for (number, token) in self.words.iter().enumerate() {
            if self.query.as_ref().is_some_and(|(at, _)| *at == number) {
                parts.extend(query.map(str::to_owned));
            }
            if skip > 0 {
                skip -= 1;
            } else if let Some((count, text)) = edits.names.get(&token.start) {
                parts.push(text.clone());
                skip = count.saturating_sub(1);
            } else {
                parts.push(super::utility::canonical(token));
            }
        }
        if self.query.as_ref().is_some_and(|(at, _)| *at >= self.words.len()) {
            parts.extend(query.map(str::to_owned));
        }
        parts.join(" ")
    }

    /// Puts another name at a place of the text. False where no name of these parts stands there.
    pub(in crate::sql) fn name_at(&self, edits: &mut Edits, location: i32, parts: &[String], instead: String) -> bool {
        let Ok(location) = usize::try_from(location) else { return false };
        let Some(at) = self.words.iter().position(|token| token.start == location) else { return false };
        let written = self.words.get(at..).unwrap_or_default();
        let Some(length) = words::spells(written, parts) else { return false };
        edits.names.insert(location, (length, instead));
        true
    }

    /// Where the token behind the first of these words stands.
    pub(in crate::sql) fn behind(&self, words: &[&str]) -> Option<usize> {
        let at = self.words.iter().position(|token| words.iter().any(|word| token.is_word(word)))?;
        self.words.get(at.checked_add(1)?).map(|token| token.start)
    }

    /// Leaves the last token out, where it is this word.
    pub(in crate::sql) fn leave_out_last(&self, edits: &mut Edits, word: &str) -> bool {
        match self.words.last().filter(|token| token.is_word(word)) {
            Some(token) => {
                edits.names.insert(token.start, (1, String::new()));
                true
            }
            None => false,
        }
    }

    /// The key words that it begins with.
    pub(in crate::sql) fn refused_kind(&self) -> Refusal {
        refused_kind(&self.words)
    }
}
