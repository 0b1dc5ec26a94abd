//! Statements that steer the session: each is written anew from its own AST, the ones that hold a statement with that
//! statement governed.

use sqlparser::ast::{Expr, SelectItem, SetExpr, Statement};

use super::effect::{Effect, Said, Way};
use super::enforce::{govern, govern_resolved};
use super::enforced::{Plan, Refused, Tree, refused};
use super::shown;
use super::words::Words;
use crate::error::{Refusal, SqlState, Stage};
use crate::sql::ast::fragment;
use crate::sql::ast::parse::{Kind, Parsed};
use crate::sql::ast::types::declared_type;
use crate::sql::ast::utility::{
    CopyDirection, CopyOption, CopySource, CopyStatement, CopyValue, Direction, Discard, ExplainOption, Explained,
    Phase, SetValue, Utility,
};
use crate::sql::form::Asked;
use crate::sql::form::context::Context;
use crate::sql::resolve::{self, Carry};
use crate::sql::resolve::{Compared, Given};
use crate::sql::reviewed::settings;
use crate::sql::text::parse_search_path;
use crate::sql::witness::Facts;
use crate::wire::copy_rows::{CopyForm, CopyFormat};

/// What a statement does to the session.
pub(in crate::sql) fn effect(parsed: &Parsed) -> Effect {
    match parsed.kind() {
        Kind::Empty | Kind::Statement(_) => Effect::None,
        Kind::Ddl(_) => Effect::Define,
        Kind::Utility(utility) => utility_effect(utility),
    }
}

fn utility_effect(utility: &Utility) -> Effect {
    match utility {
        Utility::Begin { .. } => Effect::Begin,
        Utility::Commit { chain } => Effect::Commit { chain: *chain },
        Utility::Rollback { chain } => Effect::Rollback { chain: *chain },
        Utility::TwoPhase { step: Phase::Prepare, .. } => Effect::Commit { chain: false },
        // What it made of the structure is there from now on.
        Utility::TwoPhase { step: Phase::Commit, .. } => Effect::Define,
        Utility::TwoPhase { step: Phase::Rollback, .. } => Effect::None,
        Utility::Savepoint(name) => Effect::Savepoint(name.clone()),
        Utility::Release(name) => Effect::Release(name.clone()),
        Utility::RollbackTo(name) => Effect::RollbackTo(name.clone()),
        // PostgreSQL compares names of settings without case, quoted or not.
        Utility::Set { local, name, values } => match name.to_ascii_lowercase().as_str() {
            settings::PURPOSE => Effect::SetPurpose {
                purpose: values.as_ref().and_then(|values| one_text(values)).map(str::to_owned),
                local: *local,
            },
            settings::SEARCH_PATH => Effect::SetSearchPath { path: values.as_deref().map(texts), local: *local },
            name @ (settings::ROLE | settings::AUTHORIZATION) => set_role(name, values.as_deref(), *local),
            name => said(name).map_or(Effect::None, |what| Effect::Say {
                what,
                value: values.as_deref().map(|values| texts(values).join(", ")),
                local: *local,
            }),
        },
        Utility::SetPath { path, local, .. } => {
            Effect::SetSearchPath { path: Some(parse_search_path(path)), local: *local }
        }
        Utility::Reset(Some(name)) if name.eq_ignore_ascii_case(settings::PURPOSE) => {
            Effect::SetPurpose { purpose: None, local: false }
        }
        Utility::Reset(Some(name)) if name.eq_ignore_ascii_case(settings::SEARCH_PATH) => {
            Effect::SetSearchPath { path: None, local: false }
        }
        Utility::Reset(Some(name)) if name.eq_ignore_ascii_case(settings::ROLE) => {
            set_role(settings::ROLE, None, false)
        }
        Utility::Reset(Some(name)) if name.eq_ignore_ascii_case(settings::AUTHORIZATION) => {
            set_role(settings::AUTHORIZATION, None, false)
        }
        Utility::Reset(Some(name)) => said(&name.to_ascii_lowercase()).map_or(Effect::None, |what| Effect::Say {
            what,
            value: None,
            local: false,
        }),
        Utility::Reset(None) => Effect::ResetAll,
        Utility::Discard(Discard::All) => Effect::DiscardAll,
        Utility::Discard(Discard::Plans | Discard::Sequences | Discard::Temp) => Effect::None,
        Utility::Declare { name, options, .. } => Effect::Declare { name: name.clone(), hold: options.hold },
        Utility::Fetch { r#move, name, direction } => {
            Effect::Fetch { name: name.clone(), moves: *r#move, way: way(*direction) }
        }
        Utility::Close(name) => Effect::CloseCursor(name.clone()),
        Utility::Copy(copy) => match copy.direction {
            CopyDirection::FromStdin => Effect::CopyIn,
            CopyDirection::ToStdout => Effect::CopyOut,
        },
        Utility::Prepare { name, .. } => Effect::Prepare(name.clone()),
        Utility::Execute { name, .. } => Effect::Execute(name.clone()),
        Utility::Deallocate(name) => Effect::Deallocate(name.clone()),
        Utility::Explain { statement: Explained::Utility(inner), .. } => match inner.as_ref() {
            // EXPLAIN EXECUTE shows the plan of what was prepared, so the session must know it.
            Utility::Execute { name, .. } => Effect::Execute(name.clone()),
            _ => Effect::None,
        },
        Utility::Explain { .. }
        | Utility::SetTransaction { .. }
        | Utility::SetSnapshot(_)
        | Utility::SetConstraints { .. }
        | Utility::Show(_)
        | Utility::Listen(_)
        | Utility::Unlisten(_)
        | Utility::Notify { .. } => Effect::None,
    }
}

fn set_role(name: &str, values: Option<&[SetValue]>, local: bool) -> Effect {
    let session = name == settings::AUTHORIZATION;
    let role = values.and_then(one_text).filter(|role| session || *role != "none").map(str::to_owned);
    Effect::SetRole { role, session, local }
}

/// What a setting of this name says of whom the session serves.
fn said(name: &str) -> Option<Said> {
    match name {
        settings::ACTOR => Some(Said::Actor),
        settings::TICKET => Some(Said::Ticket),
        settings::APPLICATION => Some(Said::Application),
        _ => None,
    }
}

/// How FETCH goes on where rows that it brought are left out.
fn way(direction: Direction) -> Way {
    match direction {
        Direction::Next => Way::Forward(Some(1)),
        Direction::Prior => Way::Backward(Some(1)),
        // 0 is the row that it stands on, and what is negative goes the other way.
        Direction::Forward(Some(count)) if count < 0 => Way::Backward(Some(count.unsigned_abs())),
        Direction::Backward(Some(count)) if count < 0 => Way::Forward(Some(count.unsigned_abs())),
        Direction::Forward(Some(0)) | Direction::Backward(Some(0)) => Way::Place,
        Direction::Forward(count) => Way::Forward(count.map(i64::unsigned_abs)),
        Direction::Backward(count) => Way::Backward(count.map(i64::unsigned_abs)),
        Direction::First | Direction::Last | Direction::Absolute(_) | Direction::Relative(_) => Way::Place,
    }
}

/// Governs a statement that steers the session.
pub(in crate::sql) fn enforce(
    utility: Utility,
    facts: &Facts,
    effect: Effect,
    context: &Context<'_>,
) -> Result<Plan, Box<Refused>> {
    match utility {
        Utility::Begin { .. }
        | Utility::Commit { .. }
        | Utility::Rollback { .. }
        | Utility::Savepoint(_)
        | Utility::Release(_)
        | Utility::RollbackTo(_)
        | Utility::SetTransaction { .. }
        | Utility::SetSnapshot(_)
        | Utility::TwoPhase { .. }
        | Utility::Discard(_)
        | Utility::Fetch { .. }
        | Utility::Close(_)
        | Utility::Listen(_)
        | Utility::Unlisten(_)
        | Utility::Deallocate(_) => Ok(plain(&utility, effect)),
        Utility::Notify { ref channel, ref payload } => {
            let notifies = payload.as_ref().map(|payload| (channel.clone(), payload.clone()));
            Ok(plain(&utility, effect).with(|about| about.notifies = notifies))
        }
        // Constraints speak now of what was written before.
        Utility::SetConstraints { .. } => {
            let words = if context.policies.hides_nothing() { Words::All } else { Words::Names };
            Ok(plain(&utility, effect).with(|about| about.words = words))
        }
        Utility::Set { ref name, ref values, .. } => {
            settings::may_set(name, values.as_deref(), context).map_err(refused)?;
            Ok(plain(&utility, effect))
        }
        Utility::SetPath { ref path, local, .. } => {
            // Written with its schema, whatever the client wrote: no path makes it mean another function.
            let utility = Utility::SetPath { qualified: true, path: path.clone(), local };
            Ok(plain(&utility, effect))
        }
        Utility::Reset(ref name) => {
            if let Some(name) = name {
                settings::may_set(name, None, context).map_err(refused)?;
            }
            Ok(plain(&utility, effect))
        }
        Utility::Show(ref name) => match name.as_deref().map(str::to_ascii_lowercase) {
            Some(name) if name.starts_with(settings::OWN) => shown::show(&name, context).map_err(refused),
            Some(name) if !settings::may_read(&name, context.policies) => Err(refused(
                Refusal::new(
                    Stage::Resolve,
                    SqlState::INSUFFICIENT_PRIVILEGE,
                    format!("setting `{name}` is not open to governed sessions"),
                )
                .hint(format!("a policy may open it: `[settings] allow = [\"{name}\"]`")),
            )),
            // PostgreSQL leaves settings that it does not know out of SHOW ALL, so no key is shown.
            _ => Ok(plain(&utility, effect)),
        },
        Utility::Execute { ref arguments, .. } if are_constants(arguments) => {
            constants(arguments, context)?;
            Ok(plain(&utility, effect).with(|about| about.arguments = given(arguments)))
        }
        Utility::Execute { name, arguments } => execute(name, arguments, facts, effect, context),
        Utility::Declare { name, options, query } => {
            let context = &Context { later: true, ..*context };
            let mut governed = govern(*query, facts, Facts::default(), Carry::Rows, context)?;
            let query = governed.take();
            governed.finish(Tree::Utility(&Utility::Declare { name, options, query }), effect, context)
        }
        Utility::Prepare { name, types, statement } => {
            let written: Vec<String> = types.iter().map(|written| format!("{written:?}")).collect();
            resolve::open_types(&written.join(" "), context).map_err(refused)?;
            let parameters: Vec<_> = types.iter().map(|written| declared_type(written)).collect();
            let context = &Context { parameters: &parameters, ..*context };
            let mut governed = govern(*statement, facts, Facts::default(), Carry::Rows, context)?;
            let statement = governed.take();
            governed.finish(Tree::Utility(&Utility::Prepare { name, types, statement }), effect, context)
        }
        Utility::Explain { options, statement } => explain(options, statement, facts, effect, context),
        Utility::Copy(copy) => self::copy(copy, facts, effect, context),
    }
}

/// The arguments of EXECUTE as they are compared; for what they stand is known where they are.
fn given(arguments: &[sqlparser::ast::Expr]) -> Vec<Given> {
    arguments.iter().map(|argument| Given::of(argument, Compared::Text, Asked::default())).collect()
}

fn plain(utility: &Utility, effect: Effect) -> Plan {
    Plan::plain(Tree::Utility(utility), effect)
}

fn explain(
    options: Vec<ExplainOption>,
    statement: Explained,
    facts: &Facts,
    effect: Effect,
    context: &Context<'_>,
) -> Result<Plan, Box<Refused>> {
    match statement {
        Explained::Statement(statement) => {
            let mut governed = govern(*statement, facts, Facts::default(), Carry::Plan, context)?;
            let statement = Explained::Statement(governed.take());
            let options = plan_only(options, governed.filtered)?;
            governed.finish(Tree::Utility(&Utility::Explain { options, statement }), effect, context)
        }
        Explained::Utility(utility) => match *utility {
            Utility::Declare { name, options: cursor, query } => {
                let mut governed = govern(*query, facts, Facts::default(), Carry::Plan, context)?;
                let query = governed.take();
                let statement = Explained::Utility(Box::new(Utility::Declare { name, options: cursor, query }));
                let options = plan_only(options, governed.filtered)?;
                governed.finish(Tree::Utility(&Utility::Explain { options, statement }), effect, context)
            }
            Utility::Execute { name, arguments } => {
                constants(&arguments, context)?;
                // What was prepared is not at hand here: that it may be counted is found where it is.
                let counts_met = analyzes(&options);
                let options = if context.policies.hides_nothing() { options } else { without_costs(options) };
                let given = given(&arguments);
                let statement = Explained::Utility(Box::new(Utility::Execute { name, arguments }));
                let explained = plain(&Utility::Explain { options, statement }, effect);
                Ok(explained.with(|about| {
                    (about.shows_plan, about.counts_met, about.arguments) = (true, counts_met, given);
                }))
            }
            _ => Err(refused(resolve::unsupported("EXPLAIN of this statement"))),
        },
    }
}

/// Holds EXPLAIN of filtered rows to the plan's form: how many rows were met, or are estimated, tells of those left out.
fn plan_only(options: Vec<ExplainOption>, filtered: bool) -> Result<Vec<ExplainOption>, Box<Refused>> {
    if !filtered {
        return Ok(options);
    }
    if analyzes(&options) {
        let message = "EXPLAIN ANALYZE is not open where rows are left out or only groups are seen";
        return Err(refused(
            Refusal::new(Stage::Decide, SqlState::INSUFFICIENT_PRIVILEGE, message)
                .detail("it counts the rows that were met, also those that are not shown")
                .hint("ask for the plan without ANALYZE"),
        ));
    }
    Ok(without_costs(options))
}

/// Whether EXPLAIN runs what it explains.
fn analyzes(options: &[ExplainOption]) -> bool {
    let on = |value: &Option<SetValue>| match value {
        Some(SetValue::Text(text) | SetValue::Number(text)) => {
            !matches!(text.to_ascii_lowercase().as_str(), "off" | "false" | "0" | "no")
        }
        Some(SetValue::Interval { .. }) | None => true,
    };
    options.iter().any(|option| option.name == "analyze" && on(&option.value))
}

/// Without estimates of how many rows there are.
fn without_costs(mut options: Vec<ExplainOption>) -> Vec<ExplainOption> {
    options.retain(|option| option.name != "costs");
    options.push(ExplainOption { name: "costs".to_owned(), value: Some(SetValue::Text("off".to_owned())) });
    options
}

/// COPY: out of a table is a query over it, into a table is a write.
fn copy(copy: CopyStatement, facts: &Facts, effect: Effect, context: &Context<'_>) -> Result<Plan, Box<Refused>> {
    let CopyStatement { source, direction, legacy, options, filter } = copy;
    let form = copy_form(&options);
    let carry = if form.is_some() { Carry::Copy } else { Carry::Nothing };
    match (source, direction) {
        (CopySource::Query(query), CopyDirection::ToStdout) => {
            let mut governed = govern(*query, facts, Facts::default(), carry, context)?;
            let source = CopySource::Query(governed.take());
            let copy = Utility::Copy(CopyStatement { source, direction, legacy, options, filter });
            Ok(governed.finish(Tree::Utility(&copy), effect, context)?.with(|about| about.copy_form = form))
        }
        (CopySource::Query(_), CopyDirection::FromStdin) => Err(refused(resolve::unsupported("COPY into a query"))),
        (CopySource::Table { schema, name, columns }, CopyDirection::ToStdout) => {
            let resolved = resolve::copy_out(schema, name, &columns, facts, carry, context).map_err(refused)?;
            let mut governed = govern_resolved(resolved, context)?;
            let source = CopySource::Query(governed.take());
            let copy = Utility::Copy(CopyStatement { source, direction, legacy, options, filter });
            Ok(governed.finish(Tree::Utility(&copy), effect, context)?.with(|about| about.copy_form = form))
        }
        (CopySource::Table { schema, name, columns }, CopyDirection::FromStdin) => {
            let mut filter = filter;
            let held = filter.as_deref_mut();
            let (resolved, target) = resolve::copy_in(schema, name, &columns, held, facts, context).map_err(refused)?;
            let governed = govern_resolved(resolved, context)?;
            let source = CopySource::Table { schema: Some(target.schema), name: target.name, columns };
            let copy = Utility::Copy(CopyStatement { source, direction, legacy, options, filter });
            governed.finish(Tree::Utility(&copy), effect, context)
        }
    }
}

/// How the rows of a COPY TO STDOUT will be written; `None` where a row could not be taken apart again with certainty.
fn copy_form(options: &[CopyOption]) -> Option<CopyForm> {
    let text = |value: &Option<CopyValue>| match value {
        Some(CopyValue::Text(text)) => Some(text.clone()),
        Some(CopyValue::Number(_) | CopyValue::Flag | CopyValue::Default | CopyValue::Star | CopyValue::List(_))
        | None => None,
    };
    let byte = |value: &Option<CopyValue>| match text(value)?.as_bytes() {
        [byte] => Some(*byte),
        _ => None,
    };
    let (mut format, mut header) = ("text".to_owned(), false);
    let (mut delimiter, mut quote, mut escape) = (None, b'"', None);
    for CopyOption { name, value } in options {
        match name.as_str() {
            "format" => format = text(value)?.to_ascii_lowercase(),
            "header" => {
                header = match value {
                    None | Some(CopyValue::Flag) => true,
                    Some(CopyValue::Text(text) | CopyValue::Number(text)) => {
                        !matches!(text.to_ascii_lowercase().as_str(), "off" | "false" | "0")
                    }
                    Some(CopyValue::Default | CopyValue::Star | CopyValue::List(_)) => return None,
                }
            }
            "delimiter" => delimiter = Some(byte(value)?),
            "quote" => quote = byte(value)?,
            "escape" => escape = Some(byte(value)?),
            // Within a text that is not escaped, a backslash would be read as one that escapes.
            "null" if text(value)?.replace("\\N", "").contains('\\') => return None,
            "null" | "force_quote" => {}
            "encoding" if ["utf8", "utf-8", "unicode"].contains(&text(value)?.to_ascii_lowercase().as_str()) => {}
            _ => return None,
        }
    }
    let format = match format.as_str() {
        "text" => CopyFormat::Text { delimiter: delimiter.unwrap_or(b'\t') },
        "csv" => CopyFormat::Csv { delimiter: delimiter.unwrap_or(b','), quote, escape: escape.unwrap_or(quote) },
        "binary" => CopyFormat::Binary,
        _ => return None,
    };
    Some(CopyForm { format, header })
}

/// EXECUTE with expressions: they are decided as what a SELECT of them would be.
fn execute(
    name: String,
    arguments: Vec<Expr>,
    facts: &Facts,
    effect: Effect,
    context: &Context<'_>,
) -> Result<Plan, Box<Refused>> {
    let given = given(&arguments);
    let select = selects(arguments).ok_or_else(|| refused(Refusal::internal(Stage::Resolve)))?;
    let mut governed = govern(select, facts, Facts::default(), Carry::Nothing, context)?;
    let arguments = selected(*governed.take()).ok_or_else(|| refused(Refusal::internal(Stage::Rewrite)))?;
    let plan = governed.finish(Tree::Utility(&Utility::Execute { name, arguments }), effect, context)?;
    Ok(plan.with(|about| about.arguments = given))
}

/// `SELECT a, b`.
fn selects(items: Vec<Expr>) -> Option<Statement> {
    let mut query = fragment::parse_query("SELECT 1").ok()?;
    let SetExpr::Select(select) = &mut *query.body else { return None };
    select.projection = items.into_iter().map(SelectItem::UnnamedExpr).collect();
    Some(Statement::Query(Box::new(query)))
}

/// What a statement of that form selects.
fn selected(statement: Statement) -> Option<Vec<Expr>> {
    let Statement::Query(query) = statement else { return None };
    let SetExpr::Select(select) = *query.body else { return None };
    let plain = |item| match item {
        SelectItem::UnnamedExpr(expr) => Some(expr),
        SelectItem::ExprWithAlias { .. }
        | SelectItem::ExprWithAliases { .. }
        | SelectItem::QualifiedWildcard(..)
        | SelectItem::Wildcard(_) => None,
    };
    select.projection.into_iter().map(plain).collect()
}

fn are_constants(arguments: &[Expr]) -> bool {
    arguments.iter().all(resolve::is_constant)
}

/// Arguments of EXECUTE that are constants or parameters.
fn constants(arguments: &[Expr], context: &Context<'_>) -> Result<(), Box<Refused>> {
    if are_constants(arguments) {
        arguments.iter().try_for_each(|argument| resolve::open_types(&argument.to_string(), context)).map_err(refused)
    } else {
        Err(refused(
            Refusal::new(
                Stage::Resolve,
                SqlState::FEATURE_NOT_SUPPORTED,
                "EXECUTE with arguments that are no constants is not supported",
            )
            .hint("pass the values themselves"),
        ))
    }
}

fn one_text(values: &[SetValue]) -> Option<&str> {
    match values {
        [SetValue::Text(text)] => Some(text),
        _ => None,
    }
}

fn texts(values: &[SetValue]) -> Vec<String> {
    values
        .iter()
        .map(|value| match value {
            SetValue::Text(text) | SetValue::Number(text) | SetValue::Interval { value: text, .. } => text.clone(),
        })
        .collect()
}
