//! What was decided about a statement, beside the text that may run.

use super::effect::Effect;
use super::fills::Fills;
use super::holds::Holds;
use super::notice::Compared;
use super::words::Words;
use crate::catalog::Touched;
use crate::policy::{AccessReport, Disclosure};
use crate::sql::resolve::{Given, Tested};
use crate::sql::rewrite::{Guard, Recheck};
use crate::wire::copy_rows::CopyForm;

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

/// What was decided about a statement.
#[derive(Debug)]
pub(in crate::sql) struct About {
    pub(super) report: AccessReport,
    pub(super) guard: Guard,
    pub(super) effect: Effect,
    /// Raw values that it tests.
    pub(super) lookups: Lookups,
    pub(super) tested: Vec<Tested>,
    pub(super) arguments: Vec<Given>,
    /// Rows are left out for want of consent.
    pub(super) consented: bool,
    pub(super) disclosure: Disclosure,
    pub(super) recheck: Recheck,
    pub(super) shows_plan: bool,
    /// It counts the rows that what was prepared meets.
    pub(super) counts_met: bool,
    /// Every row of what it reads is seen, and alone.
    pub(super) unfiltered: bool,
    /// Its plan would tell what the purpose may not see.
    pub(super) plan_tells: bool,
    pub(super) copy_form: Option<CopyForm>,
    /// The literal that it notifies a channel of: channel, payload.
    pub(super) notifies: Option<(String, String)>,
    /// What the client may be told of errors.
    pub(super) words: Words,
    /// Temporary relations that governed rows go into.
    pub(super) fills: Fills,
    /// It makes a temporary relation.
    pub(super) temporary: bool,
    /// What of the structure it may change, and whether that is of the session's temporary relations alone.
    pub(super) touched: Touched,
    pub(super) touches_own: bool,
    /// Columns that a condition compares by their masks.
    pub(super) compared: Vec<Compared>,
    /// Relations of which it deletes rows, and not those that are past their retention.
    pub(super) kept_back: Vec<String>,
    /// New rows are held to whom they are about.
    pub(super) holds: Holds,
    /// It waits for row locks, and its rows are asked about behind them.
    pub(super) waits: bool,
    /// Parameters of the client's statement that the text does without.
    pub(super) parameters: u16,
    /// It names actor or ticket: nobody else's statement is answered by it.
    pub(super) of_whom: bool,
}

impl About {
    /// A statement that refers to nothing.
    pub(super) fn nothing(effect: Effect) -> Self {
        Self {
            report: AccessReport::allow(),
            guard: Guard::default(),
            effect,
            lookups: Lookups::default(),
            tested: Vec::new(),
            arguments: Vec::new(),
            consented: false,
            disclosure: Disclosure::default(),
            recheck: Recheck::default(),
            shows_plan: false,
            counts_met: false,
            unfiltered: false,
            plan_tells: false,
            copy_form: None,
            notifies: None,
            words: Words::All,
            fills: Fills::default(),
            temporary: false,
            touched: Touched::Everything,
            touches_own: false,
            compared: Vec::new(),
            kept_back: Vec::new(),
            holds: Holds::default(),
            waits: false,
            parameters: 0,
            of_whom: false,
        }
    }
}
