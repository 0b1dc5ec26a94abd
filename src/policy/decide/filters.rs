//! Which row filters a purpose brings to a listed table.

use std::collections::BTreeSet;

use super::Reason;
use super::govern::Whom;
use crate::catalog::RelationName;
use crate::policy::model::{
    ActorRows, Approach, Basis, ConsentFilter, Exclusion, ExclusionList, Limit, Own, PolicySet, Purpose,
    RelationAccess, RowCondition, RowFilter, Rule, SubjectPath, Table, Use, Verb,
};

/// On whose behalf and for what rows are filtered.
pub(in crate::policy) struct Filtering<'a> {
    pub(in crate::policy) policies: &'a PolicySet,
    pub(in crate::policy) whom: Whom<'a>,
    /// The purpose in force and its ancestors.
    pub(in crate::policy) lineage: &'a [&'a Purpose],
    pub(in crate::policy) access: &'a RelationAccess,
    /// The listing that governs.
    pub(in crate::policy) name: &'a RelationName,
    pub(in crate::policy) table: &'a Table,
}

impl PolicySet {
    /// The governed tables whose rows name their subject by a column of their own.
    fn registers(&self) -> Vec<(RelationName, String)> {
        let by = |table: &Table| match table.subject.as_ref()? {
            SubjectPath::Column(column) => Some(column.clone()),
            SubjectPath::Through { .. } => None,
        };
        self.tables.iter().filter_map(|(name, table)| Some((name.clone(), by(table)?))).collect()
    }
}

impl Filtering<'_> {
    /// The filters; what cannot be filtered is a reason against it.
    pub(in crate::policy) fn filters(&self, reasons: &mut Vec<Reason>) -> Vec<RowFilter> {
        let destruction = self.lineage.first().is_some_and(|purpose| purpose.destruction);
        if destruction && self.access.verb == Verb::Insert {
            reasons.push(
                self.closed().detail("the purpose is for destruction, and adds no rows").hint("use another purpose"),
            );
        }
        // Nothing of the table is read where rows are only added.
        let only_adds = self.access.verb == Verb::Insert
            && !self.access.star
            && self.access.columns.iter().all(|column| column.uses.iter().all(|used| *used == Use::Write));
        if only_adds {
            return Vec::new();
        }
        let mut filters = Vec::new();
        if destruction {
            let limits: BTreeSet<&Limit> = self.table.retain.values().collect();
            filters.push(RowFilter::Due(limits.into_iter().cloned().collect()));
        } else {
            let limits = self.limits();
            filters.extend((!limits.is_empty()).then_some(RowFilter::Kept(limits)));
        }
        if let Some(birth) = &self.table.birth
            && !self.children_open()
        {
            filters.push(RowFilter::Adults(birth.clone()));
        }
        if self.table.subject.is_some() {
            filters.extend(self.exclusions());
        }
        filters.extend(self.approaches(reasons));
        filters.extend(self.of_actor(reasons));
        filters.extend(self.own().map(RowFilter::Own));
        // What is due goes, whatever it may be used for.
        if let Some(purposes) = self.table.purposes.as_ref().filter(|_| !destruction) {
            let names = self.lineage.iter().map(|purpose| purpose.name.clone()).collect();
            filters.push(RowFilter::Allowed(purposes.clone(), names));
        }
        filters
    }

    /// The rules for the purpose and those above it.
    fn rules(&self) -> impl Iterator<Item = &Rule> {
        self.lineage.iter().flat_map(|level| self.policies.rules_for(self.whom.role, &level.name))
    }

    /// The conditions of the rules that open anything of the table, for the purpose and those above it: a row meets each.
    pub(in crate::policy) fn own(&self) -> impl Iterator<Item = Own> {
        let mut found: Vec<Own> = Vec::new();
        for rule in self.rules().filter(|rule| !rule.rows.is_empty() && rule.opens(self.name, self.table)) {
            for rows in rule.rows.iter().filter(|rows| rows.concerns(self.name)) {
                if !found.iter().any(|own| own.condition == rows.condition) {
                    found.push(Own {
                        rule: rule.name.clone(),
                        condition: rows.condition.clone(),
                        columns: self
                            .table
                            .columns
                            .keys()
                            .filter(|column| rows.names.contains(*column))
                            .cloned()
                            .collect(),
                    });
                }
            }
        }
        found.into_iter()
    }

    /// What speaks against rows that are added or changed where a rule opens some rows only: a new row is held to a condition over one
    /// column, and that column must be said.
    pub(in crate::policy) fn own_added(&self, reasons: &mut Vec<Reason>) {
        let set = |column: &str| {
            self.access.columns.iter().any(|access| access.name == column && access.uses.contains(&Use::Write))
        };
        let inserts = match self.access.verb {
            Verb::Insert => true,
            Verb::Update => false,
            Verb::Select | Verb::Delete | Verb::Define => return,
        };
        if inserts {
            // Nothing of the table is read where rows are only added, and nobody has rows of their own to add.
            self.of_actor(reasons);
        }
        for own in self.own() {
            let rule = &own.rule;
            let detail = format!("rule `{rule}` opens only rows that meet `{}`", own.condition);
            match own.columns.as_slice() {
                [column] if inserts && !set(column) => reasons.push(
                    self.closed()
                        .detail(format!("{detail}, and a new row must say its `{column}`"))
                        .hint(format!("name `{column}` among the columns that are set")),
                ),
                [_] => {}
                [] if inserts => {
                    reasons.push(self.closed().detail(format!("{detail}, and no new row can be held to that")))
                }
                [] => {}
                several if inserts || several.iter().any(|column| set(column)) => reasons.push(
                    self.closed()
                        .detail(format!("{detail}, which is about several columns: a new row cannot be held to it"))
                        .hint("use a purpose whose rules have no `rows`, or leave those columns as they are"),
                ),
                _ => {}
            }
        }
    }

    /// The conditions of the rules themselves: of each that opens anything of the table, at every level.
    pub(in crate::policy) fn of_actor(&self, reasons: &mut Vec<Reason>) -> Vec<RowFilter> {
        let mut own: Vec<RowFilter> = Vec::new();
        for rule in self.rules().filter(|rule| rule.opens(self.name, self.table)) {
            let Some(condition) = &rule.own else { continue };
            if self.whom.actor.is_none() {
                reasons.push(super::nobody_said(self.whom, &self.access.relation, &rule.name));
            }
            let filter = RowFilter::OfActor(self.actor_rows(rule, condition, true));
            if !own.contains(&filter) {
                own.push(filter);
            }
        }
        own
    }

    /// The conditions of rules that open nothing of the table, where rows that they do open may be looked up here or lead through it.
    pub(in crate::policy) fn ways_to_own(&self) -> Vec<RowFilter> {
        let others = self.rules().filter(|rule| !rule.opens(self.name, self.table));
        let own = others.filter_map(|rule| Some(self.actor_rows(rule, rule.own.as_ref()?, false)));
        own.filter(|own| own.leads || !own.referred.is_empty()).map(RowFilter::OfActor).collect()
    }

    fn actor_rows(&self, rule: &Rule, condition: &RowCondition, opens: bool) -> ActorRows {
        let tables = self.policies.tables.iter();
        let others: Vec<&SubjectPath> = tables
            .filter(|(name, table)| *name != self.name && rule.opens(name, table))
            .filter_map(|(_, table)| table.subject.as_ref())
            .collect();
        let mut referred = BTreeSet::new();
        for path in &others {
            let mut step = Some(*path);
            while let Some(SubjectPath::Through { relation, references, next, .. }) = step {
                if relation == self.name {
                    referred.insert(references.clone());
                }
                step = Some(next.as_ref());
            }
        }
        ActorRows {
            rule: rule.name.clone(),
            condition: condition.clone(),
            registers: self.policies.registers(),
            table: self.name.clone(),
            opens,
            leads: !others.is_empty(),
            referred: referred.into_iter().collect(),
        }
    }

    fn closed(&self) -> Reason {
        let relation = &self.access.relation;
        Reason::about(relation, self.whom.not_open(&format!("table `{relation}`")))
    }

    /// The limits of each level: its own, or, where neither it nor one above it has one, that of every other purpose. A
    /// purpose of proof has none but its own.
    fn limits(&self) -> Vec<Limit> {
        let own = |purpose: &Purpose| self.table.retain.get(&Some(purpose.name.clone()));
        let mut limits: BTreeSet<&Limit> = BTreeSet::new();
        let mut stated = false;
        for purpose in self.lineage.iter().rev() {
            let limit = own(purpose);
            stated |= limit.is_some();
            let other = self.table.retain.get(&None).filter(|_| !stated && !purpose.proof);
            limits.extend(limit.or(other));
        }
        limits.into_iter().cloned().collect()
    }

    /// Whether each level names a ground on which this table's rows of children are opened.
    pub(in crate::policy) fn children_open(&self) -> bool {
        let by_rule = |purpose: &Purpose| {
            let mut rules = self.policies.rules_for(self.whom.role, &purpose.name);
            rules.any(|rule| rule.child_ground.is_some() && rule.opens(self.name, self.table))
        };
        (0..self.lineage.len()).all(|level| {
            let above = self.lineage.get(level..).unwrap_or_default();
            above.iter().any(|purpose| purpose.child_ground.is_some()) || above.first().is_some_and(|own| by_rule(own))
        })
    }

    pub(in crate::policy) fn exclusions(&self) -> impl Iterator<Item = RowFilter> {
        let proof = self.lineage.first().is_some_and(|purpose| purpose.proof);
        // s11(3): to direct marketing, and to what rests on (d) to (f); other purposes only where a row names them.
        let objectionable = self.lineage.iter().any(|purpose| {
            purpose.direct_marketing.is_some()
                || matches!(purpose.basis, Basis::SubjectInterest | Basis::PublicDuty | Basis::LegitimateInterest)
        });
        let names: Vec<String> = self.lineage.iter().map(|purpose| purpose.name.clone()).collect();
        self.policies
            .exclusions
            .iter()
            .filter(move |source| match source.list {
                ExclusionList::Objections => true,
                // s14(7): restricted information may be processed for purposes of proof.
                ExclusionList::Restrictions => !proof,
            })
            .map(move |source| {
                RowFilter::NotListed(Exclusion {
                    list: source.list,
                    table: source.table.clone(),
                    subject: source.subject.clone(),
                    purposes: source.purpose.clone().map(|column| (column, names.clone())),
                    general: match source.list {
                        ExclusionList::Objections => objectionable,
                        ExclusionList::Restrictions => true,
                    },
                    active: source.active.clone(),
                })
            })
    }

    /// What each level says of direct marketing.
    fn approaches(&self, reasons: &mut Vec<Reason>) -> Vec<RowFilter> {
        let mut filters = Vec::new();
        for purpose in self.lineage {
            let Some(direct) = purpose.direct_marketing.as_ref().filter(|_| !self.table.no_subject) else { continue };
            if self.table.subject.is_none() {
                reasons.push(
                    self.closed()
                        .detail("the purpose is direct marketing, and the policy does not say whose a row is")
                        .hint("state the table's `subject` in the policy"),
                );
                return filters;
            }
            let consent = self.policies.consent.as_ref().map(|source| ConsentFilter {
                table: source.table.clone(),
                subject: source.subject.clone(),
                purpose_column: source.purpose.clone(),
                purposes: vec![purpose.name.clone()],
                active: source.active.clone(),
            });
            filters.push(RowFilter::Approachable(Box::new(Approach {
                only_consent: purpose.basis == Basis::Consent,
                consent,
                customers: direct.customers.clone(),
                first: self.policies.marketing.approaches.clone().filter(|_| direct.first_approach),
                opt_outs: direct.opt_outs_days.and_then(|days| self.policies.opt_outs(days)),
            })));
        }
        filters.dedup();
        filters
    }
}
