//! What comes out of the pipeline, and the only place where it is made.
//!
//! INVARIANT I1: What runs is what was decided: the text is written here from trees; a client's own needs the leave of `AsItStands`.

use std::sync::Arc;

use sqlparser::ast::Statement;

use super::about::{About, Lookups};
use super::effect::Effect;
use super::fills::Fills;
use super::notice::Compared;
use super::words::Words;
use crate::catalog::{Touched, quote_ident, quote_literal};
use crate::error::{Refusal, Stage};
use crate::policy::{AccessReport, Disclosure, Role};
use crate::sql::ast::ddl::{Ddl, Edits};
use crate::sql::ast::render::{render, render_owned};
use crate::sql::ast::utility::{Utility, render_utility};
use crate::sql::form::context::Context;
use crate::sql::form::{Class, Constants, Form, Keyed, Slot, Template};
use crate::sql::resolve::{Given, Tested};
use crate::sql::rewrite::{Guard, Recheck};
use crate::sql::steps::Step;
use crate::sql::witness::{self, Facts};
use crate::wire::copy_rows::CopyForm;

/// A statement that may run: rendered from the AST that was decided and rewritten. Only this module's pipeline makes
/// one, so text that was not decided cannot be forwarded.
///
/// All statements of one form share what was decided ([`Plan`]); each has its own constants.
#[derive(Debug, Clone)]
pub struct Enforced {
    plan: Arc<Plan>,
    constants: Arc<Constants>,
    /// The text with the constants; `None` where it has none.
    text: Option<String>,
}

/// What was decided about all statements of one form. Its text is written in this file alone, from a [`Tree`]; but for
/// [`Plan::as_it_stands`] nothing takes a text.
#[derive(Debug)]
pub(in crate::sql) struct Plan {
    text: Template,
    /// The key of the form it was decided for; empty where it was for one text.
    form: Box<str>,
    /// The classes of the form's constants.
    classes: Vec<Class>,
    /// Constants that were asked for, with the values for which it was decided.
    pins: Vec<(Slot, String)>,
    about: About,
}

/// What a text is written from.
pub(in crate::sql) enum Tree<'a> {
    /// A statement of no text.
    Nothing,
    /// What the rewrite made.
    Statement(Box<Statement>),
    /// What steers the session, with the statement that it holds governed.
    Utility(&'a Utility),
    /// What changes the structure: tokens with the names in full, and the query within it.
    Ddl(&'a Ddl, &'a Edits, Option<&'a Statement>),
    /// One value of the proxy's own, under a name.
    Value(&'a str, &'a str),
    /// Lines of the proxy's own, as rows under a name.
    Lines(&'static str, &'a [String]),
}

impl Tree<'_> {
    fn write(self) -> String {
        match self {
            Self::Nothing => String::new(),
            Self::Statement(statement) => render_owned(*statement),
            Self::Utility(utility) => render_utility(utility),
            Self::Ddl(ddl, edits, query) => ddl.text(edits, query.map(render).as_deref()),
            Self::Value(name, value) => {
                format!("SELECT {}::pg_catalog.text AS {}", quote_literal(value), quote_ident(name))
            }
            Self::Lines(name, lines) => {
                let lines: Vec<String> = lines.iter().map(|line| quote_literal(line)).collect();
                let (lines, name) = (lines.join(", "), quote_ident(name));
                format!("SELECT pg_catalog.unnest(ARRAY[{lines}]::pg_catalog.text[]) AS {name}")
            }
        }
    }
}

/// Leave for a client's text to run as it stands: of a role that is unrestricted, or where a policy only observes.
pub(in crate::sql) struct AsItStands(());

impl AsItStands {
    /// For an unrestricted role.
    pub(super) fn of(role: &Role) -> Option<Self> {
        role.unrestricted.is_some().then_some(Self(()))
    }

    /// In observe mode.
    pub(super) fn observed(context: &Context<'_>) -> Option<Self> {
        context.observe.then_some(Self(()))
    }
}

impl Plan {
    /// A statement that refers to nothing.
    pub(super) fn plain(tree: Tree<'_>, effect: Effect) -> Self {
        Self::of(Template::plain(tree.write()), About::nothing(effect))
    }

    /// A statement whose text PostgreSQL's grammar reads once more, and holds to what the rewrite meant.
    ///
    /// # Errors
    /// It does not refer to what was meant.
    pub(super) fn held(
        tree: Tree<'_>,
        about: About,
        expected: &Facts,
        context: &Context<'_>,
    ) -> Result<Self, Box<Refused>> {
        let fault = || refused(Refusal::internal(Stage::Rewrite));
        let template = Template::of(&tree.write()).map_err(|_| fault())?;
        let (text, places) = context.constants.splice(&template).ok_or_else(fault)?;
        context.steps.begin(Step::Witness);
        witness::check_spliced(&text, expected, &places, context.constants).map_err(refused)?;
        Ok(Self::of(template, about))
    }

    /// A client's own text, with nothing guarded.
    pub(super) fn as_it_stands(_leave: &AsItStands, text: &str, effect: Effect, report: AccessReport) -> Self {
        let guard = Guard { unrestricted: true, ..Guard::default() };
        Self::of(Template::plain(text.to_owned()), About { report, guard, ..About::nothing(effect) })
    }

    fn of(text: Template, about: About) -> Self {
        Self { text, form: Box::default(), classes: Vec::new(), pins: Vec::new(), about }
    }

    /// The same with more known about it.
    pub(super) fn with(mut self, more: impl FnOnce(&mut About)) -> Self {
        more(&mut self.about);
        self
    }

    /// What was decided, without the text.
    pub(super) fn into_about(self) -> About {
        self.about
    }

    /// The statement with the constants it was decided with.
    pub(super) fn of_form(mut self, form: &Form) -> Option<Enforced> {
        let constants = form.constants();
        self.form = form.key().into();
        self.classes = constants.classes();
        let value = |slot| constants.of_run(slot).map(|value| (slot, value.to_owned()));
        self.pins = constants.asked().into_iter().map(value).collect::<Option<_>>()?;
        Enforced::of(Arc::new(self), Arc::clone(constants))
    }

    /// Of a plan for one text: it has no slots.
    pub(super) fn of_text(self) -> Option<Enforced> {
        Enforced::of(Arc::new(self), Arc::default())
    }
}

impl Enforced {
    fn of(plan: Arc<Plan>, constants: Arc<Constants>) -> Option<Self> {
        let text = if plan.text.is_plain() { None } else { Some(plan.text.splice(&constants)?) };
        Some(Self { plan, constants, text })
    }

    /// The same decision for another statement of its form; `None` for one of another form, and where a constant that was
    /// asked for has another value.
    pub fn again(&self, form: &Keyed) -> Option<Self> {
        let constants = form.constants();
        let pinned = |(slot, value): &(Slot, String)| constants.of_run(*slot) == Some(value.as_str());
        if *form.key() == *self.plan.form && constants.fit(&self.plan.classes) && self.plan.pins.iter().all(pinned) {
            Self::of(Arc::clone(&self.plan), Arc::clone(constants))
        } else {
            None
        }
    }

    /// The constants that were asked for when it was decided.
    pub fn pins(&self) -> impl Iterator<Item = Slot> + '_ {
        self.plan.pins.iter().map(|(slot, _)| *slot)
    }

    /// Whether one statement is all that it was decided for.
    pub fn is_closed(&self) -> bool {
        self.plan.classes.is_empty()
    }

    /// A value of this run's, where the statement gives one: what stands between the quotes, or the number.
    pub fn given(&self, value: &Given) -> Option<String> {
        match value {
            Given::Text(text) => Some(text.clone()),
            Given::Constant { slot, negative } => {
                let value = self.constants.of_run(*slot)?;
                Some(if *negative { format!("-{value}") } else { value.to_owned() })
            }
            Given::Parameter(_) | Given::Null | Given::Computed => None,
        }
    }

    /// Bytes that the decision takes, estimated.
    pub fn weight(&self) -> usize {
        let plan = &*self.plan;
        let report: usize = plan.about.report.relations.iter().map(|relation| 256 + 256 * relation.columns.len()).sum();
        let guard = (plan.about.guard.open.len() + plan.about.guard.columns.len()) * 16;
        let pins: usize = plan.pins.iter().map(|(_, value)| 32 + value.len()).sum();
        let held: usize = if self.is_closed() { 0 } else { self.text.as_ref().map_or(0, String::len) * 2 };
        size_of::<Plan>()
            + plan.form.len()
            + plan.text.weight()
            + report
            + guard
            + pins
            + held
            + plan.about.recheck.weight()
            + 256 * plan.about.tested.len()
    }

    /// Raw values that each run of it tests.
    pub fn lookups(&self) -> Lookups {
        self.plan.about.lookups
    }

    /// Values that columns are compared with which some rule opens for lookups; more than [`Self::lookups`] counts where the
    /// column may be read as it is.
    pub fn tested(&self) -> &[Tested] {
        &self.plan.about.tested
    }

    /// Whether any of them is a parameter.
    pub fn tests_parameters(&self) -> bool {
        self.plan.about.tested.iter().any(|tested| matches!(tested.value, Given::Parameter(_)))
    }

    /// The arguments of EXECUTE.
    pub fn arguments(&self) -> &[Given] {
        &self.plan.about.arguments
    }

    /// The text to forward.
    pub fn text(&self) -> &str {
        self.text.as_deref().unwrap_or_else(|| self.plan.text.text())
    }

    /// For the access log.
    pub fn report(&self) -> &AccessReport {
        &self.plan.about.report
    }

    /// What the row description may name.
    pub fn guard(&self) -> &Guard {
        &self.plan.about.guard
    }

    /// Whether it reads or changes only rows whose subjects consent: a snapshot of them must not grow old.
    pub fn rests_on_consent(&self) -> bool {
        self.plan.about.consented
    }

    /// What is asked again before rows go out that are read later than it began; nothing where they cannot be.
    pub fn recheck(&self) -> &Recheck {
        &self.plan.about.recheck
    }

    /// Columns that a condition of it compares by their masks.
    pub fn compared(&self) -> &[Compared] {
        &self.plan.about.compared
    }

    /// Relations of which it deletes rows, and not those that are past their retention: the purpose does not see them.
    pub fn kept_back(&self) -> &[String] {
        &self.plan.about.kept_back
    }

    /// Whether an error of the database's stands for a new row about somebody about whom the purpose may have none: what is told of one
    /// is the same whoever that is. `file`: of PostgreSQL's source. `names`: schema, table and constraint that the error names.
    pub fn refuses_new_row(&self, sqlstate: &str, file: Option<&[u8]>, names: [Option<&str>; 3]) -> bool {
        self.plan.about.holds.stand_for(sqlstate, file, names)
    }

    /// Whether its rows are asked about again in any case, since it waits for row locks before it gives them.
    pub fn waits(&self) -> bool {
        self.plan.about.waits
    }

    /// Whose rows it shows, as far as the policy wants that recorded.
    pub fn disclosure(&self) -> &Disclosure {
        &self.plan.about.disclosure
    }

    /// Whether its plan would tell what the purpose may not see: partitions, by a key that is masked or closed.
    pub fn plan_tells(&self) -> bool {
        self.plan.about.plan_tells
    }

    /// Whether it names for whom the statement runs, so that the decision is for this statement alone.
    pub fn is_of_whom(&self) -> bool {
        self.plan.about.of_whom
    }

    /// Whether it shows the plan of what was prepared instead of its rows: EXPLAIN EXECUTE.
    pub fn shows_plan(&self) -> bool {
        self.plan.about.shows_plan
    }

    /// Whether it tells how many rows what was prepared meets, also of those that it leaves out: EXPLAIN ANALYZE EXECUTE.
    pub fn counts_met(&self) -> bool {
        self.plan.about.counts_met
    }

    /// Whether it was decided that it leaves no rows out, nor shows groups alone; false of what reads nothing itself.
    pub fn unfiltered(&self) -> bool {
        self.plan.about.unfiltered
    }

    /// How the rows of a COPY TO STDOUT with hidden columns are written.
    pub fn copy_form(&self) -> Option<CopyForm> {
        self.plan.about.copy_form
    }

    /// How many parameters the client will give values for, though the text names none of them: EXPLAIN POLICY.
    pub fn parameters(&self) -> u16 {
        self.plan.about.parameters
    }

    /// The literal that it notifies a channel of: channel, payload.
    pub fn notifies(&self) -> Option<&(String, String)> {
        self.plan.about.notifies.as_ref()
    }

    /// How much of what the database says about it the client may be told.
    pub fn words(&self) -> Words {
        self.plan.about.words
    }

    /// Temporary relations that governed rows go into.
    pub fn fills(&self) -> &Fills {
        &self.plan.about.fills
    }

    /// Whether it makes a temporary relation.
    pub fn makes_temporary(&self) -> bool {
        self.plan.about.temporary
    }

    /// What of the structure it may change, where it changes any.
    pub fn touched(&self) -> &Touched {
        &self.plan.about.touched
    }

    /// Whether that is of nothing but temporary relations of the session's own.
    pub fn touches_own(&self) -> bool {
        self.plan.about.touches_own
    }

    /// What the statement does to the session.
    pub fn effect(&self) -> &Effect {
        &self.plan.about.effect
    }
}

/// A statement that may not run, with what the log should hold about it.
#[derive(Debug, Clone)]
pub struct Refused {
    /// What the client is told.
    pub refusal: Refusal,
    /// What the log is told; its verdict is deny.
    pub report: AccessReport,
}

/// A refusal with a report that holds its message.
pub(in crate::sql) fn refused(refusal: Refusal) -> Box<Refused> {
    Box::new(Refused { report: AccessReport::deny(refusal.message.clone()), refusal })
}
