//! The decision: a plain function of values. What is not opened is denied.

mod added;
mod allowed;
mod automatic;
pub(super) mod column;
mod disclosure;
pub(super) mod filters;
pub(super) mod govern;
mod listing;
mod permit;
mod report;
mod sees;
mod structural;

use std::collections::BTreeMap;

use crate::catalog::RelationName;
use crate::policy::model::{
    AccessRequest, ActorRule, Basis, Change, ConsentFilter, PolicySet, Purpose, RelationAccess, Role, Table, Verb,
};
use column::Sight;
pub use disclosure::{Disclosed, DisclosedColumn, Disclosure};
use filters::Filtering;
use govern::{Governed, Whom, governed, listed, reads_only};
use listing::Listing;
pub use permit::{Action, ColumnObligation, Decision, Denial, Permit, Reason, Recording, RelationObligation};
pub use report::{AccessReport, ColumnReport, RelationReport, filters_groups};
pub use sees::Seen;

/// Decides one statement.
///
/// Pure: the same policies and request always give the same decision. Every reason for a denial is found, not only the
/// first; those about a named column come first.
pub fn decide(policies: &PolicySet, request: &AccessRequest) -> Decision {
    let session = match Session::of(policies, request) {
        Ok(session) => session,
        Err(reason) => {
            let relations = request.relations.iter().map(|access| reported(policies, access, None, &[])).collect();
            return Decision::Denial(Denial { reasons: vec![reason], relations });
        }
    };
    let mut reasons = match (&request.structure, policies.role_of(&request.login)) {
        (Some(structure), Some(role)) => structure.check(policies, role),
        (Some(_) | None, _) => Vec::new(),
    };
    let mut obligations = Vec::new();
    let mut reports = Vec::new();
    for (number, access) in request.relations.iter().enumerate() {
        let mut found = Vec::new();
        let obligation = match access.verb {
            Verb::Define => {
                // The lock of a reader is for who may read.
                if request.structure.as_ref().is_some_and(|structure| structure.reads) {
                    let read = RelationAccess { verb: Verb::Select, ..access.clone() };
                    session.relation(request, &read, &mut found);
                }
                session.definition(request, number, access, &mut found)
            }
            Verb::Select | Verb::Insert | Verb::Update | Verb::Delete => session.relation(request, access, &mut found),
        };
        reports.push(reported(policies, access, obligation.as_ref(), &found));
        obligations.extend(obligation);
        for reason in found {
            if !reasons.contains(&reason) {
                reasons.push(reason);
            }
        }
    }
    for consequence in &request.consequences {
        let mut found = Vec::new();
        let obligation = session.consequence(request, consequence, &mut found);
        reports.push(reported(policies, &consequence.access, obligation.as_ref(), &found));
        for reason in found {
            if !reasons.contains(&reason) {
                reasons.push(reason);
            }
        }
    }
    if reasons.is_empty() && obligations.len() == request.relations.len() {
        let lookup_limit = policies.lookup_limit(session.whom.role, session.whom.purpose);
        return Decision::Permit(Permit { relations: obligations, lookup_limit, reports });
    }
    if reasons.is_empty() {
        // An obligation was withheld without a word: a fault of this module, and no reason to let it pass.
        reasons.push(Reason::plain("the statement could not be decided"));
    }
    reasons.sort_by_key(|reason| reason.column.is_none());
    Decision::Denial(Denial { reasons, relations: reports })
}

/// One occurrence in the words of the log, with the categories that its columns have now.
fn reported(
    policies: &PolicySet,
    access: &RelationAccess,
    obligation: Option<&RelationObligation>,
    found: &[Reason],
) -> RelationReport {
    let table = listed(policies, access).map(|(_, table)| table);
    RelationReport::of(access, obligation, found, |column| table?.columns.get(column).cloned())
}

/// On whose behalf, and why.
pub(super) struct Session<'a> {
    pub(super) policies: &'a PolicySet,
    pub(super) whom: Whom<'a>,
    /// The purpose in force and its ancestors.
    lineage: Vec<&'a Purpose>,
    /// The largest of the lineage.
    min_group: Option<u32>,
    /// The purposes of the lineage that rest on consent.
    consent: Vec<String>,
    actors: ActorRule,
}

/// The reason against rows that are each actor's own where nobody is known.
#[allow(clippy::result_large_err)]
fn nobody_said(whom: Whom<'_>, relation: &RelationName, rule: &str) -> Reason {
    Reason::about(relation, whom.not_open(&format!("table `{relation}` without an actor")))
        .detail(format!("rule `{rule}` opens each actor's own rows, and the statement does not say who it is"))
        .hint(SAY_ACTOR)
}

/// How an actor is said.
const SAY_ACTOR: &str = "say it in a comment, `/* actor='u42' */`, or by `SET LOCAL pgpurpose.actor = 'u42'`";

impl<'a> Session<'a> {
    #[allow(clippy::result_large_err)] // a refusal is rare and is told in full
    fn of(policies: &'a PolicySet, request: &'a AccessRequest) -> Result<Self, Reason> {
        let role: &'a Role = policies.role_of(&request.login).ok_or_else(|| {
            Reason::plain(format!("login `{}` is in no role", request.login))
                .hint("name it among the `logins` of a role in the policy")
        })?;
        if role.unrestricted.is_some() {
            // Such a role's statements are relayed as they are and never come here; what comes here is governed.
            return Err(Reason::plain(format!("role `{}` is unrestricted: its statements are not decided", role.name)));
        }
        policies.check_purpose(role, &request.purpose, request.today)?;
        let lineage = policies.lineage(&request.purpose);
        let purpose =
            lineage.first().ok_or_else(|| Reason::plain(format!("there is no purpose `{}`", request.purpose)))?;
        let whom = Whom { role: &role.name, purpose: &purpose.name, actor: request.actor.as_deref() };
        let min_group = lineage.iter().filter_map(|purpose| purpose.min_group).max();
        let consent = lineage
            .iter()
            .filter(|purpose| purpose.basis == Basis::Consent)
            .map(|purpose| purpose.name.clone())
            .collect();
        Ok(Self { policies, whom, lineage, min_group, consent, actors: role.actor.rule })
    }

    /// The reason against a statement of a role that must say for whom it runs, and does not.
    fn unsaid(&self, request: &AccessRequest) -> Option<Reason> {
        match self.actors {
            ActorRule::Free => None,
            ActorRule::Required | ActorRule::Each if request.actor.is_some() => None,
            rule @ (ActorRule::Required | ActorRule::Each) => Some(
                Reason::plain(format!("role `{}` must say for which actor a statement runs", self.whom.role))
                    .detail(format!("the policy states `actor = \"{}\"` for it", rule.name()))
                    .hint(SAY_ACTOR),
            ),
        }
    }

    /// What must be done to one occurrence; each reason against it goes to `reasons`. Nothing is returned where there
    /// is no way to carry it out.
    pub(super) fn relation(
        &self,
        request: &AccessRequest,
        access: &RelationAccess,
        reasons: &mut Vec<Reason>,
    ) -> Option<RelationObligation> {
        let relation = &access.relation;
        reasons.extend(automatic::unknown(self.policies, &self.whom, access));
        if self.min_group.is_some() && access.verb != Verb::Select {
            reasons.push(
                Reason::plain(format!("purpose `{}` sees groups, and writes nothing", self.whom.purpose))
                    .detail("what it writes could weigh or pick the rows that it adds up")
                    .hint("use another purpose to write"),
            );
        }
        let (listing, table) = match governed(self.policies, access, &self.whom) {
            Governed::By(listing, table) => (listing, table),
            Governed::Open if access.verb != Verb::Select && reads_only(self.policies, access) => {
                reasons.push(self.only_read(relation));
                return None;
            }
            Governed::Open => return Some(RelationObligation::Open { relation: relation.clone() }),
            Governed::Refused(reason) => {
                reasons.push(reason);
                return None;
            }
        };
        reasons.extend(self.unsaid(request));
        let governed = Listing { session: self, access, name: &listing, table };
        let mut columns = BTreeMap::new();
        for column in &access.columns {
            if let Some(obligation) = governed.column(column, reasons) {
                columns.insert(column.name.clone(), obligation);
            }
        }
        governed.whole(&columns, reasons);
        if let Some(least) = self.min_group {
            self.aggregates_only(request, access, table, least, reasons);
        }
        let consent = self.consent_filter(access, table, reasons);
        let record = table.record.map(|form| Recording {
            form,
            categories: access
                .columns
                .iter()
                .filter_map(|column| Some((column.name.clone(), table.columns.get(&column.name)?.clone())))
                .collect(),
        });
        let filtering = Filtering {
            policies: self.policies,
            whom: self.whom,
            lineage: &self.lineage,
            access,
            name: &listing,
            table,
        };
        let (rows, added) = (filtering.filters(reasons), filtering.added());
        filtering.own_added(reasons);
        let obligation = RelationObligation::Governed {
            relation: relation.clone(),
            columns,
            consent,
            rows,
            added,
            subject: table.subject.clone(),
            min_group: self.min_group,
            record,
        };
        let plain = |column: &str, tested: bool| match governed.standing(column, None).sight {
            Sight::Plain { .. } => true,
            Sight::Masked { lookup, .. } => tested && lookup,
            Sight::Hidden(_) => false,
        };
        automatic::against(self, access, &obligation, plain, reasons);
        automatic::below(self, request, access, Some(&obligation).filter(|_| reasons.is_empty()), reasons);
        Some(obligation)
    }

    /// The same for a relation whose structure is changed. What is named of it is looked at in every row, so that it must
    /// be open unmasked and in all rows; else nothing of it need be open.
    fn definition(
        &self,
        request: &AccessRequest,
        number: usize,
        access: &RelationAccess,
        reasons: &mut Vec<Reason>,
    ) -> Option<RelationObligation> {
        let structure = request.structure.as_ref()?;
        let relation = &access.relation;
        let governed = governed(self.policies, access, &self.whom);
        let (mut empties, mut drops) = (false, false);
        for change in structure.changes_of(number) {
            empties |= *change == Change::Empty;
            drops |= *change == Change::Drop { rows: true };
            reasons.extend(structure.against(change, access, &governed, self.policies, &self.whom));
        }
        let mut columns = BTreeMap::new();
        match governed {
            Governed::Open if (empties || drops) && reads_only(self.policies, access) => {
                reasons.push(self.only_read(relation));
                return None;
            }
            Governed::Open => return Some(RelationObligation::Open { relation: relation.clone() }),
            Governed::Refused(reason) => {
                if !access.columns.is_empty() || empties {
                    reasons.push(reason);
                }
            }
            Governed::By(listing, table) => {
                reasons.extend(self.unsaid(request));
                let read = RelationAccess { verb: Verb::Select, ..access.clone() };
                let filtering = Filtering {
                    policies: self.policies,
                    whom: self.whom,
                    lineage: &self.lineage,
                    access: &read,
                    name: &listing,
                    table,
                };
                let left_out = !filtering.filters(&mut Vec::new()).is_empty();
                let listing = Listing { session: self, access, name: &listing, table };
                for column in &access.columns {
                    if let Some(obligation) = listing.column(column, reasons) {
                        columns.insert(column.name.clone(), obligation);
                    }
                }
                let part = left_out || !self.consent.is_empty() || self.min_group.is_some();
                let removes = empties || drops;
                if part && (!access.columns.is_empty() || removes) {
                    reasons.push(
                        Reason::about(
                            relation,
                            self.whom.not_open(&format!("what looks at every row of `{relation}`")),
                        )
                        .detail("the purpose may see some rows only, or groups of them"),
                    );
                }
                if removes && !listing.deletable() {
                    let whom = &self.whom;
                    let message = format!(
                        "rows of `{relation}` may not be deleted by role `{}` for purpose `{}`",
                        whom.role, whom.purpose
                    );
                    reasons.push(Reason::about(relation, message).detail("no rule names it under `delete`"));
                }
            }
        }
        Some(RelationObligation::Governed {
            relation: relation.clone(),
            columns,
            consent: None,
            rows: Vec::new(),
            added: Vec::new(),
            subject: None,
            record: None,
            min_group: None,
        })
    }

    fn only_read(&self, relation: &RelationName) -> Reason {
        Reason::about(relation, self.whom.not_open(&format!("writing to table `{relation}`")))
            .detail("the policy opens it with `open = \"read\"`: nobody writes to it through the proxy")
            .hint("`open = true` lets every role write to it that the database lets")
    }

    fn aggregates_only(
        &self,
        request: &AccessRequest,
        access: &RelationAccess,
        table: &Table,
        least: u32,
        reasons: &mut Vec<Reason>,
    ) {
        let purpose = self.whom.purpose;
        let rows = access.star || access.whole_row_write || access.verb != Verb::Select;
        if rows || !request.shape.grouped {
            reasons.push(
                Reason::plain(format!(
                    "purpose `{purpose}` may see aggregates only, over groups of at least {least} data subjects"
                ))
                .detail(format!("the policy states `min_group = {least}` for it"))
                .hint("one SELECT with aggregates such as count(*), avg(x), and a plain GROUP BY, over inner joins"),
            );
        }
        if table.subject.is_none() {
            reasons.push(
                Reason::about(&access.relation, self.whom.not_open(&format!("table `{}`", access.relation)))
                    .detail("the purpose sees groups of data subjects, and the policy does not say whose a row is")
                    .hint("state the table's `subject` in the policy"),
            );
        }
    }

    fn consent_filter(
        &self,
        access: &RelationAccess,
        table: &Table,
        reasons: &mut Vec<Reason>,
    ) -> Option<ConsentFilter> {
        // Rows of no data subject are nobody's to consent to.
        if self.consent.is_empty() || table.no_subject {
            return None;
        }
        let not_open = || Reason::about(&access.relation, self.whom.not_open(&format!("table `{}`", access.relation)));
        if table.subject.is_none() {
            reasons.push(
                not_open().detail("the purpose rests on consent, and the policy does not say whose a row is").hint(
                    "state the table's `subject` in the policy, or `subject = false` where its rows are about nobody",
                ),
            );
        }
        let Some(source) = &self.policies.consent else {
            reasons.push(
                not_open().detail("the purpose rests on consent, and the policy does not say where consents are kept"),
            );
            return None;
        };
        Some(ConsentFilter {
            table: source.table.clone(),
            subject: source.subject.clone(),
            purpose_column: source.purpose.clone(),
            purposes: self.consent.clone(),
            active: source.active.clone(),
        })
    }
}
