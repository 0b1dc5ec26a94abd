//! What comes out of the pipeline.

use super::effect::Effect;
use crate::error::Refusal;
use crate::policy::{AccessReport, Disclosure};
use crate::sql::resolve::{Given, Tested};
use crate::sql::rewrite::Guard;
use crate::wire::copy_rows::CopyForm;

/// A statement that may run: rendered from the AST that was decided and rewritten. Only this module's pipeline makes
/// one, so text that was not decided cannot be forwarded.
#[derive(Debug, Clone)]
pub struct Enforced {
    /// Raw values that it tests.
    pub(in crate::sql) lookups: Lookups,
    pub(in crate::sql) text: String,
    pub(in crate::sql) report: AccessReport,
    pub(in crate::sql) guard: Guard,
    pub(in crate::sql) effect: Effect,
    /// Rows are left out for want of consent.
    pub(in crate::sql) consented: bool,
    pub(in crate::sql) disclosure: Disclosure,
    pub(in crate::sql) shows_plan: bool,
    pub(in crate::sql) copy_form: Option<CopyForm>,
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
}

impl Enforced {
    /// Raw values that each run of it tests.
    pub fn lookups(&self) -> Lookups {
        self.lookups
    }

    /// Values that columns are compared with which some rule opens for lookups; more than [`Self::lookups`] counts where the
    /// column may be read as it is.
    pub fn tested(&self) -> &[Tested] {
        &self.tested
    }

    /// Whether any of them is a parameter.
    pub fn tests_parameters(&self) -> bool {
        self.tested.iter().any(|tested| matches!(tested.value, Given::Parameter(_)))
    }

    /// The arguments of EXECUTE.
    pub fn arguments(&self) -> &[Given] {
        &self.arguments
    }

    /// The text to forward.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// For the access log.
    pub fn report(&self) -> &AccessReport {
        &self.report
    }

    /// What the row description may name.
    pub fn guard(&self) -> &Guard {
        &self.guard
    }

    /// Whether it reads or changes only rows whose subjects consent: a snapshot of them must not grow old.
    pub fn rests_on_consent(&self) -> bool {
        self.consented
    }

    /// Whose rows it shows, as far as the policy wants that recorded.
    pub fn disclosure(&self) -> &Disclosure {
        &self.disclosure
    }

    /// Whether it shows the plan of what was prepared instead of its rows: EXPLAIN EXECUTE.
    pub fn shows_plan(&self) -> bool {
        self.shows_plan
    }

    /// How the rows of a COPY TO STDOUT with hidden columns are written.
    pub fn copy_form(&self) -> Option<CopyForm> {
        self.copy_form
    }

    /// How many parameters the client will give values for, though the text names none of them: EXPLAIN POLICY.
    pub fn parameters(&self) -> u16 {
        self.parameters
    }

    /// What the statement does to the session.
    pub fn effect(&self) -> &Effect {
        &self.effect
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
