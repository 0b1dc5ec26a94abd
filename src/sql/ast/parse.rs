//! Text to AST.

use sqlparser::ast::{Expr, Statement};
use sqlparser::parser::Parser;
use sqlparser::tokenizer::Token as Out;

use super::ddl::{self, Ddl};
use super::dialect::Postgres;
use super::named::names_quoted;
use super::render::render;
use super::tokens::{self, Tokens};
use super::utility::{self, Utility};
use super::{seen, unread, versions};
use crate::error::{Refusal, Stage};
use crate::sql::form::{self, Form, Template};
use crate::sql::steps::{Step, Steps};
use crate::sql::text::lex::{self, Token, lex_with};
use crate::sql::text::limits::{self, Limits};
use crate::sql::witness::{self, Facts, in_its_words};

/// One statement on whose meaning both parsers agree.
#[derive(Debug, Clone)]
pub struct Parsed {
    pub(in crate::sql) kind: Kind,
    pub(in crate::sql) facts: Facts,
}

impl Parsed {
    /// What kind of statement it is.
    pub fn kind(&self) -> &Kind {
        &self.kind
    }

    /// What PostgreSQL's tree refers to.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }
}

/// The two kinds of statement.
#[derive(Debug, Clone)]
pub enum Kind {
    /// Nothing at all: an empty text or comments only.
    Empty,
    /// SELECT, VALUES, TABLE, INSERT, UPDATE, DELETE, MERGE: no other variant of [`Statement`] stands here.
    Statement(Box<Statement>),
    /// What steers the session, some with a statement inside.
    Utility(Utility),
    /// What changes the database's structure.
    Ddl(Box<Ddl>),
}

/// Depth that sqlparser may recurse to; our own limits hold before.
const RECURSION: usize = 10_000;

/// Parses one statement and holds it to the witness. Call it on a thread with a large stack
/// ([`super::stack::on_parser_stack`]).
///
/// `server_version` is the server's `server_version_num`: 150004 for 15.4.
///
/// # Errors
/// 54001 for a text over a limit, 42601 and 0A000 for what is not understood.
pub fn parse(text: &str, server_version: u32) -> Result<Parsed, Refusal> {
    parse_in(text, server_version, Steps::default())
}

/// The same, with somebody who is told of each step.
///
/// # Errors
/// As [`parse`].
pub(in crate::sql) fn parse_in(text: &str, server_version: u32, steps: Steps<'_>) -> Result<Parsed, Refusal> {
    steps.begin(Step::Parse);
    limits::size(text)?;
    let mut limits = Limits::default();
    let tokens = lex_with(text, |token| limits.count(token));
    let tokens = tokens.map(plain_tokens).map_err(|refusal| in_its_words(refusal, text))?;
    let refusal = match parse_tokens(text, &tokens, server_version, steps) {
        Ok(parsed) => return Ok(parsed),
        Err(refusal) => in_its_words(refusal, text),
    };
    // PostgreSQL reads it: perhaps a name is a key word.
    let again = refusal.in_its_words().is_none().then(|| names_quoted(text, &tokens)).flatten();
    match again.map(|tokens| parse_tokens(text, &tokens, server_version, steps)) {
        Some(Ok(parsed)) => Ok(parsed),
        Some(Err(_)) | None => Err(unread::named(into_of(refusal, &tokens), &tokens, server_version)),
    }
}

/// What COPY and CREATE VIEW say of SELECT INTO is their own.
fn into_of(refusal: Refusal, tokens: &[Token]) -> Refusal {
    if refusal.in_its_words() != Some(witness::INTO) {
        return refusal;
    }
    let first = |word| tokens.first().is_some_and(|token| token.is_word(word));
    let (words, file, routine) = if first("copy") {
        ("COPY (SELECT INTO) is not supported", "copyto.c", "BeginCopyTo")
    } else if first("create") && tokens.iter().any(|token| token.is_word("view")) {
        ("views must not contain SELECT INTO", "view.c", "DefineView")
    } else {
        return refusal;
    };
    Refusal::unsupported(refusal.stage, refusal.message).told(words).said_by(file, routine)
}

/// A statement that reads or writes rows, with a slot for each constant that its form keeps apart.
///
/// # Errors
/// As [`parse`], and where a constant stands where it cannot be kept apart.
pub(in crate::sql) fn parse_form(
    text: &str,
    form: &Form,
    server_version: u32,
    steps: Steps<'_>,
) -> Result<Parsed, Refusal> {
    steps.begin(Step::Parse);
    let tokens = plain_tokens(form.signed_tokens());
    versions::check(text, &tokens, server_version)?;
    let mut statement = statement(&tokens)?;
    super::slots::slots(&mut statement);
    let rendered = render(&statement);
    let apart = |_: form::Opaque| Refusal::internal(Stage::Parse);
    let template = Template::of(&rendered).map_err(apart)?;
    let rendered = template.splice(form.constants()).ok_or_else(|| Refusal::internal(Stage::Parse))?;
    drop(tokens);
    steps.begin(Step::Witness);
    let facts = witness::gate_form(form, text, &rendered)?;
    let mut seen = Facts::default();
    seen::seen(&statement, &mut seen);
    facts.agrees(&seen)?;
    Ok(Parsed { kind: Kind::Statement(Box::new(statement)), facts })
}

/// Without comments, and without semicolons at the end.
fn plain_tokens(mut tokens: Vec<Token>) -> Vec<Token> {
    tokens.retain(|token| token.kind != lex::Kind::Comment);
    while tokens.last().is_some_and(|token| token.is_symbol(";")) {
        tokens.pop();
    }
    tokens
}

fn parse_tokens(text: &str, tokens: &[Token], server_version: u32, steps: Steps<'_>) -> Result<Parsed, Refusal> {
    versions::check(text, tokens, server_version)?;
    if tokens.iter().any(|token| token.is_symbol(";")) && !ddl::has_a_body(tokens) {
        return Err(Refusal::syntax(Stage::Parse, "more than one statement"));
    }
    if tokens.is_empty() {
        return Ok(Parsed { kind: Kind::Empty, facts: Facts::default() });
    }
    if let Some(ddl) = ddl::select_into(text, tokens) {
        let ddl = ddl?;
        let query = ddl.query.as_ref().map(|(_, query)| render(query)).unwrap_or_default();
        steps.begin(Step::Witness);
        let facts = witness::gate_into(text, &query)?;
        return Ok(Parsed { kind: Kind::Ddl(Box::new(ddl)), facts });
    }
    let utility = if ddl::explains(tokens) { None } else { utility::read(tokens) };
    let (kind, rendered) = match (utility, ddl::read(text, tokens)) {
        (Some(utility), _) => {
            let utility = utility?;
            let rendered = utility::render_utility(&utility);
            (Kind::Utility(utility), rendered)
        }
        (None, Some(ddl)) => {
            let ddl = ddl?;
            let rendered = ddl.render();
            (Kind::Ddl(Box::new(ddl)), rendered)
        }
        (None, None) => {
            let statement = statement(tokens)?;
            let rendered = render(&statement);
            (Kind::Statement(Box::new(statement)), rendered)
        }
    };
    steps.begin(Step::Witness);
    let facts = witness::gate(text, &rendered)?;
    let mut seen = Facts::default();
    match &kind {
        Kind::Empty => {}
        // PostgreSQL's tree is the one that is walked: what the walk meets is held to it there.
        Kind::Ddl(_) => return Ok(Parsed { kind, facts }),
        Kind::Statement(statement) => seen::seen(&**statement, &mut seen),
        Kind::Utility(utility) => utility::seen(utility, &mut seen),
    }
    facts.agrees(&seen)?;
    Ok(Parsed { kind, facts })
}

/// A statement that reads or writes rows, of its own tokens.
///
/// # Errors
/// 42601 where it is not understood, 0A000 where it is of another kind.
pub(in crate::sql) fn statement(tokens: &[Token]) -> Result<Statement, Refusal> {
    kind(tokens)?;
    let Tokens { tokens, queries } = tokens::stream(tokens)?;
    let dialect = Postgres::new(queries, tokens.len());
    let mut parser = Parser::new(&dialect).with_recursion_limit(RECURSION).with_tokens(tokens);
    let statement = parser.parse_statement().map_err(|_| not_understood(&parser))?;
    if parser.peek_token_ref().token != Out::EOF {
        return Err(not_understood(&parser));
    }
    match statement {
        Statement::Query(_)
        | Statement::Insert(_)
        | Statement::Update { .. }
        | Statement::Delete(_)
        | Statement::Merge { .. }
        | Statement::Call(_) => Ok(statement),
        _ => Err(Refusal::unsupported(Stage::Parse, "statements of this kind are not carried out")),
    }
}

/// An expression, of its own tokens.
///
/// # Errors
/// 42601 where it is not understood.
pub(in crate::sql) fn expression(tokens: &[Token]) -> Result<Expr, Refusal> {
    let Tokens { tokens, queries } = tokens::stream(tokens)?;
    let dialect = Postgres::new(queries, tokens.len());
    let mut parser = Parser::new(&dialect).with_recursion_limit(RECURSION).with_tokens(tokens);
    let expr = parser.parse_expr().map_err(|_| not_understood(&parser))?;
    if parser.peek_token_ref().token != Out::EOF {
        return Err(not_understood(&parser));
    }
    Ok(expr)
}

/// Refuses kinds of statement that are not parsed at all, by their name.
fn kind(tokens: &[Token]) -> Result<(), Refusal> {
    let first = tokens.iter().find(|token| !token.is_symbol("("));
    match first.map(|token| &token.kind) {
        Some(lex::Kind::Word(word)) => match word.as_str() {
            "select" | "with" | "values" | "table" | "insert" | "update" | "delete" | "merge" | "call" => Ok(()),
            word if crate::sql::text::keywords::category(word).is_some() => Err(Refusal::unsupported(
                Stage::Parse,
                format!("{} statements are not carried out", word.to_ascii_uppercase()),
            )),
            _ => Err(Refusal::syntax(Stage::Parse, "the statement starts with no key word")),
        },
        _ => Err(Refusal::syntax(Stage::Parse, "the statement starts with no key word")),
    }
}

/// Names the word or sign near which sqlparser stopped; never a literal.
fn not_understood(parser: &Parser) -> Refusal {
    let near = match &parser.peek_token_ref().token {
        Out::EOF => "at its end".to_owned(),
        Out::Word(word) if !word.value.contains('\0') => format!("near `{}`", word.value),
        Out::Word(_) => "near ONLY or OVERRIDING".to_owned(),
        Out::SingleQuotedString(_)
        | Out::NationalStringLiteral(_)
        | Out::SingleQuotedByteStringLiteral(_)
        | Out::HexStringLiteral(_)
        | Out::Number(..) => "near a constant".to_owned(),
        sign => format!("near `{sign}`"),
    };
    Refusal::syntax(Stage::Parse, format!("the statement is not understood {near}"))
}
