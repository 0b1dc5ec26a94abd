//! The one path from text to what may run.

use sqlparser::ast::Statement;

use super::about::{About, Lookups};
use super::effect::Effect;
use super::enforced::{AsItStands, Enforced, Plan, Refused, Tree, refused};
use super::holds::Holds;
use super::words::Words;
use super::{ask, fills, late, notice, steer};
use crate::catalog::Touched;
use crate::error::{Refusal, Stage};
use crate::policy::{AccessReport, Decision, RelationObligation, Role, decide};
use crate::sql::ast::database::without_database;
use crate::sql::ast::locks::{returns_changed, waits_for_locks};
use crate::sql::ast::parse::{Kind, Parsed, parse_form, parse_in};
use crate::sql::form::context::Context;
use crate::sql::form::{Asked, Form};
use crate::sql::resolve::{self, Carry, Resolved};
use crate::sql::rewrite;
use crate::sql::steps::Step;
use crate::sql::text::lex::{self, Token};
use crate::sql::witness::Facts;

/// Decides one statement and gives the text that may run instead of it.
///
/// Pure: no I/O, no clock. Call it on a thread with a large stack ([`crate::sql::ast::on_parser_stack`]): both parsers recurse.
///
/// In observe mode the client's own text runs, and the report says what would have been; a statement that would have
/// been refused is not.
///
/// # Errors
/// [`Refused`] with the refusal for the client and the report for the log.
pub fn enforce(text: &str, context: &Context<'_>) -> Result<Enforced, Box<Refused>> {
    let plan = plan(text, &Context { constants: Asked::default(), ..*context })?;
    plan.of_text().ok_or_else(|| refused(Refusal::internal(Stage::Rewrite)))
}

/// Decides the form of a statement: what comes out holds, through [`Enforced::again`], for all statements of the same form
/// that have the same values where any were asked for.
///
/// What is not permitted without values is decided from nothing, as [`enforce`] does, and so is everything in observe mode,
/// where the client's own text runs.
///
/// # Errors
/// As [`enforce`].
pub fn enforce_form(text: &str, form: &Form, context: &Context<'_>) -> Result<Enforced, Box<Refused>> {
    if form.is_open() && !context.observe {
        let context = Context { constants: Asked::of(form.constants()), ..*context };
        let parsed = parse_form(text, form, context.catalog.server_version(), context.steps);
        let plan = parsed.map_err(refused).and_then(|parsed| decided(parsed, Effect::None, &context));
        if let Some(enforced) = plan.ok().and_then(|plan| plan.of_form(form)) {
            return Ok(enforced);
        }
    }
    enforce(text, context)
}

fn plan(text: &str, context: &Context<'_>) -> Result<Plan, Box<Refused>> {
    if let Some(statement) = ask::question(text) {
        return ask::answer(statement, context);
    }
    let text = &*without_database(text, context.catalog.database());
    let parsed = match parse_in(text, context.catalog.server_version(), context.steps) {
        Ok(parsed) => parsed,
        Err(refusal) => return observed_or(text, context, Effect::None, refused(refusal)),
    };
    let effect = steer::effect(&parsed);
    match (decided(parsed, effect.clone(), context), AsItStands::observed(context)) {
        (Ok(plan), Some(leave)) => {
            // Nothing carries subjects then: what was read is recorded as a whole.
            let About { disclosure, tested, arguments, report, .. } = plan.into_about();
            Ok(Plan::as_it_stands(&leave, text, effect, report).with(|about| {
                (about.disclosure, about.tested, about.arguments) = (disclosure, tested, arguments);
            }))
        }
        (Ok(plan), None) => Ok(plan),
        (Err(refused), _) => observed_or(text, context, effect, refused),
    }
}

fn decided(parsed: Parsed, effect: Effect, context: &Context<'_>) -> Result<Plan, Box<Refused>> {
    let Parsed { kind, facts, .. } = parsed;
    match kind {
        Kind::Empty => Ok(Plan::plain(Tree::Nothing, effect)),
        Kind::Statement(statement) => {
            let mut governed = govern(*statement, &facts, Facts::default(), Carry::Rows, context)?;
            let statement = governed.take();
            governed.finish(Tree::Statement(statement), effect, context)
        }
        Kind::Utility(utility) => steer::enforce(utility, &facts, effect, context),
        Kind::Ddl(ddl) => {
            context.steps.begin(Step::Resolve);
            let (resolved, edits, ddl) = resolve::define(*ddl, &facts, context).map_err(refused)?;
            let mut governed = govern_resolved(resolved, context)?;
            let statement = governed.take();
            let query = ddl.query.is_some().then_some(&*statement);
            governed.finish(Tree::Ddl(&ddl, &edits, query), effect, context)
        }
    }
}

/// A statement with its obligations carried out, before it is text.
pub(in crate::sql) struct Governed {
    /// The AST that may run.
    statement: Statement,
    /// What the text must refer to.
    expected: Facts,
    /// Rows are left out, or only groups are seen: how many rows a plan met must not be told.
    pub(super) filtered: bool,
    about: About,
}

impl Governed {
    /// The governed statement, to be written, alone or within what held it.
    pub(super) fn take(&mut self) -> Box<Statement> {
        let hollow = Statement::UNLISTEN { channel: sqlparser::ast::Ident::new("*") };
        Box::new(std::mem::replace(&mut self.statement, hollow))
    }

    /// Holds the finished text to what the rewrite meant.
    ///
    /// # Errors
    /// It does not refer to what was meant, or it is a cursor over rows that rest on consent.
    pub(super) fn finish(self, tree: Tree<'_>, effect: Effect, context: &Context<'_>) -> Result<Plan, Box<Refused>> {
        let about = About { effect, ..self.about };
        late::check_cursor(about.consented && about.recheck.is_empty() && !context.observe, &about.effect)?;
        Plan::held(tree, about, &self.expected, context)
    }
}

/// Resolves, decides and rewrites one statement. `extra` is what the text around it refers to.
pub(in crate::sql) fn govern(
    statement: Statement,
    facts: &Facts,
    extra: Facts,
    carry: Carry,
    context: &Context<'_>,
) -> Result<Governed, Box<Refused>> {
    context.steps.begin(Step::Resolve);
    // A lock may be waited for as long as its holder likes: whose rows come then is asked about behind it.
    let waits = carry == Carry::Rows && waits_for_locks(&statement);
    if carry == Carry::Rows && !waits && returns_changed(&statement) {
        // What is changed waits too, a bounded time; where its rows have keys, whose they are is asked about again.
        let later = &Context { later: true, ..*context };
        let asked = resolve::resolve(statement.clone(), facts, extra.clone(), carry, later).map_err(refused);
        if let Ok(mut governed) = asked.and_then(|resolved| govern_resolved(resolved, later)) {
            governed.about.waits = !governed.about.recheck.is_empty();
            return Ok(governed);
        }
    }
    let context = &Context { later: context.later || waits, ..*context };
    let resolved = resolve::resolve(statement, facts, extra, carry, context).map_err(refused)?;
    let mut governed = govern_resolved(resolved, context)?;
    governed.about.waits = waits && !governed.about.recheck.is_empty();
    Ok(governed)
}

/// Decides and rewrites what is resolved.
pub(in crate::sql) fn govern_resolved(resolved: Resolved, context: &Context<'_>) -> Result<Governed, Box<Refused>> {
    let request = resolve::request(&resolved, context);
    context.steps.begin(Step::Decide);
    let decision = decide(context.policies, &request);
    let report = AccessReport::of(&decision);
    match decision {
        Decision::Denial(denial) => Err(Box::new(Refused { refusal: denial.refusal(), report })),
        Decision::Permit(permit) => {
            let filtered = permit.relations().iter().any(|obligation| match obligation {
                RelationObligation::Open { .. } => false,
                RelationObligation::Governed { min_group, .. } => obligation.leaves_rows_out() || min_group.is_some(),
            });
            let consented = permit.relations().iter().any(RelationObligation::rests_on_wishes);
            context.steps.begin(Step::Rewrite);
            resolve::check_values(&resolved, &permit, context).map_err(refused)?;
            let planned = resolve::planned(&resolved, context);
            let plan_tells =
                planned.is_some_and(|planned| matches!(decide(context.policies, &planned), Decision::Denial(_)));
            let filled = fills::of(&resolved, &permit, context.catalog);
            let temporary = fills::makes_temporary(&resolved, context.catalog);
            let structure = resolved.structure.as_ref();
            let touched = structure.map_or(Touched::Everything, |structure| structure.touched.clone());
            let touches_own = structure.is_some_and(|structure| structure.temporary);
            let compared = notice::compared(&resolved.occurrences, permit.relations());
            let kept_back = notice::kept_back(&resolved.occurrences, permit.relations());
            let guesses = notice::guesses(&resolved.occurrences, permit.relations(), context);
            let holds = Holds::of(&resolved.occurrences, permit.relations(), context.catalog);
            let words = Words::of(&resolved, &permit, context);
            let rewritten = rewrite::rewrite(resolved, &permit, context).map_err(refused)?;
            Ok(Governed {
                statement: rewritten.statement,
                expected: rewritten.expected,
                filtered,
                about: About {
                    consented,
                    plan_tells,
                    unfiltered: !filtered,
                    report,
                    guard: rewritten.guard,
                    disclosure: rewritten.disclosure,
                    recheck: rewritten.recheck,
                    lookups: Lookups { count: rewritten.lookups, limit: permit.lookup_limit(), guesses },
                    tested: rewritten.tested,
                    fills: filled,
                    temporary,
                    touched,
                    touches_own,
                    compared,
                    kept_back,
                    holds,
                    words,
                    ..About::nothing(Effect::None)
                },
            })
        }
    }
}

fn observed_or(text: &str, context: &Context<'_>, effect: Effect, refused: Box<Refused>) -> Result<Plan, Box<Refused>> {
    match AsItStands::observed(context) {
        // Observe mode changes nothing.
        Some(leave) => Ok(Plan::as_it_stands(&leave, text, effect, refused.report)),
        None => Err(refused),
    }
}

/// A statement of an unrestricted role: forwarded as it is, and logged.
///
/// # Errors
/// Refused where the role is not unrestricted.
pub fn relay_unrestricted(text: &str, role: &Role) -> Result<Enforced, Box<Refused>> {
    let fault = || refused(Refusal::internal(Stage::Decide));
    let leave = AsItStands::of(role).ok_or_else(fault)?;
    unrestricted(text, role, &leave).of_text().ok_or_else(fault)
}

fn unrestricted(text: &str, role: &Role, leave: &AsItStands) -> Plan {
    if let Some(statement) = ask::question(text) {
        return ask::unrestricted(statement, role);
    }
    // CREATE TABLE AS is answered as a SELECT is.
    let creates = |tokens: Vec<Token>| {
        tokens.iter().find(|token| token.kind != lex::Kind::Comment).is_some_and(|token| token.is_word("create"))
    };
    let effect = if lex::lex(text).is_ok_and(creates) { Effect::Define } else { Effect::None };
    Plan::as_it_stands(leave, text, effect, AccessReport::allow())
}
