//! How many statements over groups each login has run today, where a purpose has `queries_per_day`.
//!
//! Single statements cannot be held against each other for what their difference tells; that many of them cost something can.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::civil::Date;

use super::enforcer::{Rejected, Scope};
use super::together::{Away, Spend, Spent, Together};
use crate::audit::{Asked, AuditError, Logged};
use crate::error::{Refusal, SqlState, Stage};
use crate::policy::{AccessReport, PolicySet};
use crate::session::flow::running::Running;
use crate::session::state::Session;

/// Counts of one day of the policies' zone; all sessions share them.
#[derive(Debug, Default)]
pub struct Budgets(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    day: Date,
    /// By login and purpose; what is asked for a child counts for its ancestors too.
    used: HashMap<(String, String), u32>,
}

/// A budget that is used up.
struct Exhausted {
    purpose: String,
    budget: u32,
    /// The counts of all proxies cannot be asked, and this one's part is used up.
    away: bool,
}

impl Budgets {
    /// Counts a statement that ran earlier, as the access log tells of it.
    pub fn recover(&self, policies: &PolicySet, login: &str, purpose: &str, day: Date) {
        self.on(day).count(policies, login, purpose);
    }

    fn on(&self, day: Date) -> MutexGuard<'_, Counts> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // A clock that is set back gives no new budget.
        if day > counts.day {
            *counts = Counts { day, used: HashMap::new() };
        }
        counts
    }

    /// Counts one statement against every budget of the purpose, or none.
    fn spend(&self, policies: &PolicySet, login: &str, purpose: &str, day: Date) -> Result<Asked, Exhausted> {
        self.spend_part(policies, login, purpose, day, None)
    }

    /// The same of one proxy's part of each budget, where there are so many proxies that cannot ask each other.
    fn spend_part(
        &self,
        policies: &PolicySet,
        login: &str,
        purpose: &str,
        day: Date,
        proxies: Option<NonZeroU32>,
    ) -> Result<Asked, Exhausted> {
        let mut counts = self.on(day);
        for (name, budget) in policies.budgets(purpose) {
            let part = proxies.map_or(budget, |proxies| budget / proxies);
            if counts.used(login, name) >= part {
                return Err(Exhausted { purpose: name.to_owned(), budget, away: proxies.is_some() });
            }
        }
        counts.count(policies, login, purpose);
        let left =
            policies.budgets(purpose).map(|(name, budget)| budget.saturating_sub(counts.used(login, name))).min();
        Ok(Asked { asked: counts.used(login, purpose), left })
    }

    /// Counts it together with other proxies; what is counted here too is this one's part while they cannot be asked.
    async fn spend_together(
        &self,
        together: &Together,
        policies: &PolicySet,
        login: &str,
        purpose: &str,
        day: Date,
    ) -> Result<Asked, Exhausted> {
        let purposes: Vec<(String, Option<u32>, u32)> = {
            let counts = self.on(day);
            let lineage = policies.lineage(purpose).into_iter();
            lineage.map(|one| (one.name.clone(), one.queries_per_day, counts.used(login, &one.name))).collect()
        };
        let spend = Spend { login: login.to_owned(), day, purposes: purposes.clone() };
        match together.counts.spend(spend).await {
            Ok(Spent::Counted(totals)) => {
                self.on(day).count(policies, login, purpose);
                let left = |((_, budget, _), total): (&(String, Option<u32>, u32), &u32)| {
                    budget.map(|budget| budget.saturating_sub(*total))
                };
                let left = purposes.iter().zip(&totals).filter_map(left).min();
                Ok(Asked { asked: totals.first().copied().unwrap_or(1), left })
            }
            Ok(Spent::Exhausted(name)) => {
                let budget = policies.budgets(purpose).find(|(known, _)| *known == name);
                let budget = budget.map_or(0, |(_, budget)| budget);
                Err(Exhausted { purpose: name, budget, away: false })
            }
            Err(Away) => self.spend_part(policies, login, purpose, day, Some(together.proxies)),
        }
    }

    /// Takes back what a statement that was not forwarded was counted.
    fn give_back(&self, policies: &PolicySet, login: &str, purpose: &str, day: Date) {
        let mut counts = self.on(day);
        for purpose in policies.lineage(purpose) {
            if let Some(used) = counts.used.get_mut(&(login.to_owned(), purpose.name.clone())) {
                *used = used.saturating_sub(1);
            }
        }
    }
}

impl Counts {
    fn used(&self, login: &str, purpose: &str) -> u32 {
        self.used.get(&(login.to_owned(), purpose.to_owned())).copied().unwrap_or(0)
    }

    /// Also where no budget is stated yet: one that is loaded during the day begins with the day.
    fn count(&mut self, policies: &PolicySet, login: &str, purpose: &str) {
        for purpose in policies.lineage(purpose) {
            let used = self.used.entry((login.to_owned(), purpose.name.clone())).or_default();
            *used = used.saturating_add(1);
        }
    }
}

impl Session {
    /// Counts the runs of a batch that show groups, all of them or none. Gives what each was counted as, in their order, `None` for
    /// what shows no groups; nothing where none does.
    ///
    /// # Errors
    /// 42501: a budget is used up; it is in the log when this returns.
    pub(in crate::session) async fn spend(&mut self, runs: &[&Running]) -> Result<Vec<Option<Asked>>, Logged> {
        if !runs.iter().any(|running| shows_groups(running)) {
            // What counts nothing keeps no list of it.
            return Ok(Vec::new());
        }
        let (mut counted, mut all) = (Vec::new(), Vec::with_capacity(runs.len()));
        for running in runs {
            if !shows_groups(running) {
                all.push(None);
                continue;
            }
            let (scope, day) = (running.scope(), running.scope().policies.zone().today());
            let (budgets, purpose) = (&self.shared.budgets, running.purpose());
            let spent = match &self.shared.together {
                None => budgets.spend(&scope.policies, &scope.login, purpose, day),
                Some(together) => {
                    Box::pin(budgets.spend_together(together, &scope.policies, &scope.login, purpose, day)).await
                }
            };
            let exhausted = match spent {
                Ok(asked) => {
                    counted.push((scope, running.purpose(), day));
                    all.push(Some(asked));
                    continue;
                }
                Err(exhausted) => exhausted,
            };
            let refusal = exhausted.refusal(scope, day);
            let rejected = Rejected {
                report: AccessReport::deny(refusal.message.clone()),
                refusal,
                logged: running.statement().logged.clone(),
            };
            if scope.observe {
                // Nothing is changed; the log says what would have been.
                Box::pin(self.log_observed(scope, &rejected)).await;
                all.push(None);
                continue;
            }
            self.shared.metrics.group_queries_refused.bump(running.purpose());
            let refusal = Box::pin(self.log_refused(scope, rejected)).await;
            for (scope, purpose, day) in counted {
                self.shared.budgets.give_back(&scope.policies, &scope.login, purpose, day);
                if let Some(together) = &self.shared.together {
                    let purposes = scope.policies.lineage(purpose).into_iter().map(|one| one.name.clone()).collect();
                    // Where it cannot be told, one statement less is left than might be.
                    let _ = together.counts.give_back(scope.login.clone(), day, purposes).await;
                }
            }
            return Err(refusal);
        }
        Ok(all)
    }

    /// Writes into the log what a run over groups was counted as, before it is forwarded.
    ///
    /// # Errors
    /// The log cannot be written: the run must not be forwarded.
    pub(in crate::session) async fn meter(
        &mut self,
        of: u64,
        running: &Running,
        asked: Option<Asked>,
    ) -> Result<(), AuditError> {
        let Some(asked) = asked else { return Ok(()) };
        self.shared.metrics.group_queries.bump(running.purpose());
        self.journal.grouped(of, running, asked).await.map(drop)
    }
}

fn shows_groups(running: &Running) -> bool {
    running.brings_rows() && running.report().shows_groups()
}

impl Exhausted {
    fn refusal(&self, scope: &Scope, day: Date) -> Refusal {
        let Self { purpose, budget, away } = self;
        let whose = if *away { "this proxy's part of its budget" } else { "its budget" };
        let message = format!(
            "login `{}` of role `{}` has used {whose} of {budget} queries a day for purpose `{purpose}`",
            scope.login, scope.role.name
        );
        if *away {
            return Refusal::new(Stage::Decide, SqlState::INSUFFICIENT_PRIVILEGE, message)
                .detail("what the other proxies have counted cannot be asked now")
                .hint("try again once the audit database is back; the operator's log tells of it");
        }
        let hint = match day.tomorrow() {
            Ok(tomorrow) => format!("the next budget begins with {tomorrow}, in {}", scope.policies.zone()),
            Err(_) => "the next budget begins with the next day".to_owned(),
        };
        Refusal::new(Stage::Decide, SqlState::INSUFFICIENT_PRIVILEGE, message)
            .detail(format!("the policy states `queries_per_day = {budget}` for it"))
            .hint(hint)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn a_budget_is_of_a_day_a_login_and_a_purpose_with_its_children() {
        let policy = "version = 1\n[purposes.figures]\nbasis = \"contract\"\nmin_group = 10\nqueries_per_day = 2\n\
                      [purposes.\"figures.towns\"]\nqueries_per_day = 1\n[purposes.\"figures.years\"]\n";
        let policies = PolicySet::from_sources(&[("test.toml".into(), policy.into())]).unwrap();
        let budgets = Budgets::default();
        let (today, tomorrow) = (date(2026, 11, 22), date(2026, 11, 23));
        let asked = budgets.spend(&policies, "eve", "figures.towns", today).ok();
        assert_eq!(asked, Some(Asked { asked: 1, left: Some(0) }), "what is left is the least of all that count");
        let asked = budgets.spend(&policies, "eve", "figures.years", today).ok();
        assert_eq!(asked, Some(Asked { asked: 1, left: Some(0) }));
        let spend = |login, purpose, day| {
            budgets.spend(&policies, login, purpose, day).map(|_| ()).map_err(|full| full.purpose)
        };
        assert_eq!(spend("ann", "figures.towns", today), Ok(()));
        assert_eq!(spend("ann", "figures.towns", today), Err("figures.towns".to_owned()));
        assert_eq!(spend("ann", "figures.years", today), Ok(()));
        assert_eq!(spend("ann", "figures.years", today), Err("figures".to_owned()), "children share their parent's");
        assert_eq!(spend("ann", "figures", today), Err("figures".to_owned()));
        budgets.give_back(&policies, "ann", "figures", today);
        assert_eq!(spend("ann", "figures", today), Ok(()), "what was not forwarded is given back");
        assert_eq!(spend("ben", "figures", today), Ok(()), "another login has its own");
        assert_eq!(spend("ann", "figures", tomorrow), Ok(()), "a new day");
        assert_eq!(spend("ann", "figures", tomorrow), Ok(()));
        assert_eq!(spend("ann", "figures", today), Err("figures".to_owned()), "a clock set back brings nothing");
    }
}
