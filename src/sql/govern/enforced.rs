//! What comes out of the pipeline.

use std::sync::Arc;

use super::effect::Effect;
use super::fills::Fills;
use super::notice::Compared;
use super::words::Words;
use crate::error::Refusal;
use crate::policy::{AccessReport, Disclosure};
use crate::sql::form::{Class, Constants, Form, Slot, Template};
use crate::sql::resolve::{Given, Tested};
use crate::sql::rewrite::{Guard, Recheck};
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

/// What was decided about all statements of one form.
#[derive(Debug)]
pub(in crate::sql) struct Plan {
    /// Raw values that it tests.
    pub(in crate::sql) lookups: Lookups,
    pub(in crate::sql) text: Template,
    /// The key of the form it was decided for; empty where it was for one text.
    pub(in crate::sql) form: Box<str>,
    /// The classes of the form's constants.
    pub(in crate::sql) classes: Vec<Class>,
    /// Constants that were asked for, with the values for which it was decided.
    pub(in crate::sql) pins: Vec<(Slot, String)>,
    pub(in crate::sql) report: AccessReport,
    pub(in crate::sql) guard: Guard,
    pub(in crate::sql) effect: Effect,
    /// Rows are left out for want of consent.
    pub(in crate::sql) consented: bool,
    pub(in crate::sql) disclosure: Disclosure,
    pub(in crate::sql) recheck: Recheck,
    pub(in crate::sql) shows_plan: bool,
    /// Its plan would tell what the purpose may not see.
    pub(in crate::sql) plan_tells: bool,
    pub(in crate::sql) copy_form: Option<CopyForm>,
    /// The literal that it notifies a channel of: channel, payload.
    pub(in crate::sql) notifies: Option<(String, String)>,
    /// What the client may be told of errors.
    pub(in crate::sql) words: Words,
    /// Temporary relations that governed rows go into.
    pub(in crate::sql) fills: Fills,
    /// It makes a temporary relation.
    pub(in crate::sql) temporary: bool,
    /// Columns that a condition compares by their masks.
    pub(in crate::sql) compared: Vec<Compared>,
    /// New rows are held to whom they are about.
    pub(in crate::sql) holds: bool,
    /// It waits for row locks, and its rows are asked about behind them.
    pub(in crate::sql) waits: bool,
    /// Parameters of the client's statement that the text does without.
    pub(in crate::sql) parameters: u16,
    pub(in crate::sql) tested: Vec<Tested>,
    pub(in crate::sql) arguments: Vec<Given>,
}

/// Raw values of masked columns that a statement tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Lookups {
    /// How many.
    pub count: u32,
    /// How many a session may test in a minute.
    pub limit: u32,
    /// A write of it that a constraint refuses counts as one.
    pub guesses: bool,
}

impl Plan {
    /// The statement with the constants it was decided with.
    pub(in crate::sql) fn of_form(mut self, form: &Form) -> Option<Enforced> {
        let constants = form.constants();
        self.form = form.key().into();
        self.classes = constants.classes();
        let value = |slot| constants.of_run(slot).map(|value| (slot, value.to_owned()));
        self.pins = constants.asked().into_iter().map(value).collect::<Option<_>>()?;
        Enforced::of(Arc::new(self), Arc::clone(constants))
    }
}

impl Enforced {
    /// Of a plan for one text: it has no slots.
    pub(in crate::sql) fn of_text(plan: Plan) -> Option<Self> {
        Self::of(Arc::new(plan), Arc::default())
    }

    fn of(plan: Arc<Plan>, constants: Arc<Constants>) -> Option<Self> {
        let text = if plan.text.is_plain() { None } else { Some(plan.text.splice(&constants)?) };
        Some(Self { plan, constants, text })
    }

    /// The same decision for another statement of its form; `None` for one of another form, and where a constant that was
    /// asked for has another value.
    pub fn again(&self, form: &Form) -> Option<Self> {
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
        let report: usize = plan.report.relations.iter().map(|relation| 256 + 256 * relation.columns.len()).sum();
        let guard = (plan.guard.open.len() + plan.guard.columns.len()) * 16;
        let pins: usize = plan.pins.iter().map(|(_, value)| 32 + value.len()).sum();
        let held: usize = if self.is_closed() { 0 } else { self.text.as_ref().map_or(0, String::len) * 2 };
        size_of::<Plan>()
            + plan.form.len()
            + plan.text.weight()
            + report
            + guard
            + pins
            + held
            + plan.recheck.weight()
            + 256 * plan.tested.len()
    }

    /// Raw values that each run of it tests.
    pub fn lookups(&self) -> Lookups {
        self.plan.lookups
    }

    /// Values that columns are compared with which some rule opens for lookups; more than [`Self::lookups`] counts where the
    /// column may be read as it is.
    pub fn tested(&self) -> &[Tested] {
        &self.plan.tested
    }

    /// Whether any of them is a parameter.
    pub fn tests_parameters(&self) -> bool {
        self.plan.tested.iter().any(|tested| matches!(tested.value, Given::Parameter(_)))
    }

    /// The arguments of EXECUTE.
    pub fn arguments(&self) -> &[Given] {
        &self.plan.arguments
    }

    /// The text to forward.
    pub fn text(&self) -> &str {
        self.text.as_deref().unwrap_or_else(|| self.plan.text.text())
    }

    /// For the access log.
    pub fn report(&self) -> &AccessReport {
        &self.plan.report
    }

    /// What the row description may name.
    pub fn guard(&self) -> &Guard {
        &self.plan.guard
    }

    /// Whether it reads or changes only rows whose subjects consent: a snapshot of them must not grow old.
    pub fn rests_on_consent(&self) -> bool {
        self.plan.consented
    }

    /// What is asked again before rows go out that are read later than it began; nothing where they cannot be.
    pub fn recheck(&self) -> &Recheck {
        &self.plan.recheck
    }

    /// Columns that a condition of it compares by their masks.
    pub fn compared(&self) -> &[Compared] {
        &self.plan.compared
    }

    /// Whether new rows of it are held to whom they are about: what is told of one that is refused is then the same whoever that is.
    pub fn holds_added(&self) -> bool {
        self.plan.holds
    }

    /// Whether its rows are asked about again in any case, since it waits for row locks before it gives them.
    pub fn waits(&self) -> bool {
        self.plan.waits
    }

    /// Whose rows it shows, as far as the policy wants that recorded.
    pub fn disclosure(&self) -> &Disclosure {
        &self.plan.disclosure
    }

    /// Whether its plan would tell what the purpose may not see: partitions, by a key that is masked or closed.
    pub fn plan_tells(&self) -> bool {
        self.plan.plan_tells
    }

    /// Whether it shows the plan of what was prepared instead of its rows: EXPLAIN EXECUTE.
    pub fn shows_plan(&self) -> bool {
        self.plan.shows_plan
    }

    /// How the rows of a COPY TO STDOUT with hidden columns are written.
    pub fn copy_form(&self) -> Option<CopyForm> {
        self.plan.copy_form
    }

    /// How many parameters the client will give values for, though the text names none of them: EXPLAIN POLICY.
    pub fn parameters(&self) -> u16 {
        self.plan.parameters
    }

    /// The literal that it notifies a channel of: channel, payload.
    pub fn notifies(&self) -> Option<&(String, String)> {
        self.plan.notifies.as_ref()
    }

    /// How much of what the database says about it the client may be told.
    pub fn words(&self) -> Words {
        self.plan.words
    }

    /// Temporary relations that governed rows go into.
    pub fn fills(&self) -> &Fills {
        &self.plan.fills
    }

    /// Whether it makes a temporary relation.
    pub fn makes_temporary(&self) -> bool {
        self.plan.temporary
    }

    /// What the statement does to the session.
    pub fn effect(&self) -> &Effect {
        &self.plan.effect
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
