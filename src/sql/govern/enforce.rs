//! The one path from text to what may run.

use sqlparser::ast::Statement;

use super::effect::Effect;
use super::enforced::{Enforced, Refused};
use super::enforced::{Lookups, Plan, refused};
use super::fills::Fills;
use super::notice::{self, Compared};
use super::words::Words;
use super::{ask, fills, late, steer};
use crate::error::{Refusal, Stage};
use crate::policy::{AccessReport, Decision, Disclosure, RelationObligation, Role, decide};
use crate::sql::ast::database::without_database;
use crate::sql::ast::locks::waits_for_locks;
use crate::sql::ast::parse::{Kind, Parsed, parse_form, parse_in};
use crate::sql::ast::render::render;
use crate::sql::form::context::Context;
use crate::sql::form::{Asked, Form, Template};
use crate::sql::resolve::Tested;
use crate::sql::resolve::{self, Carry, Resolved};
use crate::sql::rewrite::{Guard, Recheck};
use crate::sql::steps::Step;
use crate::sql::text::lex::{self, Token};
use crate::sql::witness::Facts;
use crate::sql::{rewrite, witness};

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
    Enforced::of_text(plan).ok_or_else(|| refused(Refusal::internal(Stage::Rewrite)))
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
    match decided(parsed, effect.clone(), context) {
        Ok(enforced) if context.observe => {
            // Nothing carries subjects then: what was read is recorded as a whole.
            let Plan { disclosure, tested, arguments, report, .. } = enforced;
            Ok(Plan { disclosure, tested, arguments, ..observed(text, effect, report) })
        }
        Ok(enforced) => Ok(enforced),
        Err(refused) => observed_or(text, context, effect, refused),
    }
}

fn decided(parsed: Parsed, effect: Effect, context: &Context<'_>) -> Result<Plan, Box<Refused>> {
    let Parsed { kind, facts, .. } = parsed;
    match kind {
        Kind::Empty => Ok(plain(String::new(), effect)),
        Kind::Statement(statement) => {
            let governed = govern(*statement, &facts, Facts::default(), Carry::Rows, context)?;
            let text = render(&governed.statement);
            governed.finish(text, effect, context)
        }
        Kind::Utility(utility) => steer::enforce(utility, &facts, effect, context),
        Kind::Ddl(ddl) => {
            context.steps.begin(Step::Resolve);
            let (resolved, edits, ddl) = resolve::define(*ddl, &facts, context).map_err(refused)?;
            let governed = govern_resolved(resolved, context)?;
            let query = ddl.query.is_some().then(|| render(&governed.statement));
            let text = ddl.text(&edits, query.as_deref());
            governed.finish(text, effect, context)
        }
    }
}

/// A statement with its obligations carried out, before it is text.
pub(in crate::sql) struct Governed {
    /// The AST that may run.
    pub(in crate::sql) statement: Statement,
    /// What the text must refer to.
    pub(in crate::sql) expected: Facts,
    /// Rows are left out, or only groups are seen: how many rows a plan met must not be told.
    pub(in crate::sql) filtered: bool,
    /// Rows are left out for want of consent.
    consented: bool,
    plan_tells: bool,
    report: AccessReport,
    guard: Guard,
    disclosure: Disclosure,
    recheck: Recheck,
    lookups: Lookups,
    tested: Vec<Tested>,
    fills: Fills,
    temporary: bool,
    waits: bool,
    compared: Vec<Compared>,
    holds: bool,
    words: Words,
}

impl Governed {
    /// Holds the finished text to what the rewrite meant.
    ///
    /// # Errors
    /// It does not refer to what was meant, or it is a cursor over rows that rest on consent.
    pub(in crate::sql) fn finish(
        self,
        text: String,
        effect: Effect,
        context: &Context<'_>,
    ) -> Result<Plan, Box<Refused>> {
        let fault = || refused(Refusal::internal(Stage::Rewrite));
        let template = Template::of(&text).map_err(|_| fault())?;
        let (text, places) = context.constants.splice(&template).ok_or_else(fault)?;
        late::check_cursor(self.consented && self.recheck.is_empty() && !context.observe, &effect)?;
        context.steps.begin(Step::Witness);
        match witness::check_spliced(&text, &self.expected, &places, context.constants) {
            Ok(()) => Ok(Plan {
                text: template,
                form: Box::default(),
                classes: Vec::new(),
                pins: Vec::new(),
                report: self.report,
                guard: self.guard,
                effect,
                consented: self.consented,
                disclosure: self.disclosure,
                recheck: self.recheck,
                shows_plan: false,
                plan_tells: self.plan_tells,
                copy_form: None,
                lookups: self.lookups,
                tested: self.tested,
                arguments: Vec::new(),
                fills: self.fills,
                words: self.words,
                notifies: None,
                temporary: self.temporary,
                waits: self.waits,
                compared: self.compared,
                holds: self.holds,
                parameters: 0,
            }),
            Err(refusal) => Err(refused(refusal)),
        }
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
    let context = &Context { later: context.later || waits, ..*context };
    let resolved = resolve::resolve(statement, facts, extra, carry, context).map_err(refused)?;
    let governed = govern_resolved(resolved, context)?;
    Ok(Governed { waits: waits && !governed.recheck.is_empty(), ..governed })
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
            let compared = notice::compared(&resolved.occurrences, permit.relations());
            let guesses = notice::guesses(&resolved.occurrences, permit.relations(), context);
            let holds = permit.relations().iter().any(RelationObligation::holds_added);
            let words = Words::of(&resolved, context);
            let rewritten = rewrite::rewrite(resolved, &permit, context).map_err(refused)?;
            Ok(Governed {
                statement: rewritten.statement,
                expected: rewritten.expected,
                filtered,
                consented,
                plan_tells,
                report,
                guard: rewritten.guard,
                disclosure: rewritten.disclosure,
                recheck: rewritten.recheck,
                lookups: Lookups { count: rewritten.lookups, limit: permit.lookup_limit(), guesses },
                tested: rewritten.tested,
                fills: filled,
                temporary,
                waits: false,
                compared,
                holds,
                words,
            })
        }
    }
}

/// A statement that refers to nothing.
pub(in crate::sql) fn plain(text: String, effect: Effect) -> Plan {
    Plan {
        text: Template::plain(text),
        form: Box::default(),
        classes: Vec::new(),
        pins: Vec::new(),
        report: AccessReport::allow(),
        guard: Guard::default(),
        effect,
        consented: false,
        disclosure: Disclosure::default(),
        recheck: Recheck::default(),
        shows_plan: false,
        plan_tells: false,
        copy_form: None,
        lookups: Lookups::default(),
        tested: Vec::new(),
        arguments: Vec::new(),
        fills: Fills::default(),
        words: Words::All,
        notifies: None,
        temporary: false,
        waits: false,
        compared: Vec::new(),
        holds: false,
        parameters: 0,
    }
}

fn observed_or(text: &str, context: &Context<'_>, effect: Effect, refused: Box<Refused>) -> Result<Plan, Box<Refused>> {
    if context.observe { Ok(observed(text, effect, refused.report)) } else { Err(refused) }
}

/// Observe mode changes nothing: the client's own text, with nothing guarded.
fn observed(text: &str, effect: Effect, report: AccessReport) -> Plan {
    Plan { report, guard: Guard { unrestricted: true, ..Guard::default() }, ..plain(text.to_owned(), effect) }
}

/// A statement of an unrestricted role: forwarded as it is, and logged.
///
/// # Errors
/// Refused where the role is not unrestricted.
pub fn relay_unrestricted(text: &str, role: &Role) -> Result<Enforced, Box<Refused>> {
    if role.unrestricted.is_none() {
        return Err(refused(Refusal::internal(Stage::Decide)));
    }
    let plan = unrestricted(text, role);
    Enforced::of_text(plan).ok_or_else(|| refused(Refusal::internal(Stage::Decide)))
}

fn unrestricted(text: &str, role: &Role) -> Plan {
    if let Some(statement) = ask::question(text) {
        return ask::unrestricted(statement, role);
    }
    // CREATE TABLE AS is answered as a SELECT is.
    let creates = |tokens: Vec<Token>| {
        tokens.iter().find(|token| token.kind != lex::Kind::Comment).is_some_and(|token| token.is_word("create"))
    };
    let effect = if lex::lex(text).is_ok_and(creates) { Effect::Define } else { Effect::None };
    observed(text, effect, AccessReport::allow())
}
